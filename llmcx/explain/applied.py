"""A model's numbers put into a topic's formula: the same lines that --explain prints under the command's answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmcx.answers import Line, bounds, flops, memory, moe
from llmcx.answers import params as counting
from llmcx.costs import params
from llmcx.engines.inference_memory import IDEAL
from llmcx.engines.recipe import Recipe
from llmcx.explain.rows import flops as rows_of_flops
from llmcx.explain.rows import memory as rows_of_memory
from llmcx.explain.rows import moe as rows_of_experts
from llmcx.explain.rows import params as rows_of_params
from llmcx.explain.rows.bounds import REACH
from llmcx.formats import dtypes
from llmcx.model import pairs
from llmcx.model.spec import Attention, ModelSpec
from llmcx.parallel.layout import Layout
from llmcx.scaling.optimum import SIX_ND

Numbers = Callable[[ModelSpec, int, int], "list[Line]"]


def budget(spec: ModelSpec, batch: int, seq: int, train: bool, every: int | None = None) -> list[Line]:
    """The parts of the memory of one GPU, in mixed-precision training or in inference."""
    recipe, layout = Recipe(checkpoint_every=every), Layout()
    answer = memory.memory(spec, batch, seq, train=train, recipe=recipe, layout=layout)
    asked = {"batch": batch, "seq": seq, "dtype": dtypes.default(spec), "layout": layout}
    fixed: dict[str, Any] = {"train": train, "kv_dtype": "bf16", "activations": "autograd", "recipe": recipe, "engine": IDEAL}
    return rows_of_memory.rows(spec, asked, fixed, None, answer)


def part(*names: str, train: bool = True) -> Numbers:
    """Lines of the budget, in bytes."""

    def put(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
        lines = budget(spec, batch, seq, train)
        return [line._replace(component=f"{line.component}, bytes") for line in lines if line.component in names]

    return put


def cache(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    """What the tokens leave, layer by layer."""
    return [line for line in budget(spec, batch, seq, False) if line.component.startswith(("kv_cache", "state"))]


def checkpointing(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    """The best interval of checkpoints."""
    best = memory.memory(spec, batch, seq, train=True, recipe=Recipe(checkpoint_every=1)).checkpointing
    every = 1 if best is None else best.best_every
    return [line for line in budget(spec, batch, seq, True, every) if line.component.startswith("checkpointing.")]


def experts(*starts: str) -> Numbers:
    """Lines about a mixture of experts."""

    def put(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
        lines = rows_of_experts.rows(spec, moe.moe(spec, batch, seq, capacity_factor=1.25), "bf16")
        return [line for line in lines if line.component.startswith(starts)]

    return put


def passes(*starts: str, convention: str = "flops") -> Numbers:
    """Lines about a pass; of the leading order, its two terms."""

    def put(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
        lines = rows_of_flops.rows(flops.flops(spec, batch, seq, convention=convention))
        return [line for line in lines if line.component.startswith(starts)]

    return put


def chapter_params(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    """The textbook's count beside the exact one."""
    lines = rows_of_params.rows(spec, counting.params(spec))
    return [line for line in lines if line.component in ("chapter", "total")]


def generalisation(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    """The bound of a model trained on 20 examples a parameter."""
    n = params.count(spec)
    gap = bounds.generalization(n, 20 * n)
    return [Line("gap at 20 examples a parameter", gap.formula, gap.numbers, gap.bound, gap.source)]


def compute(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    """What training on 20 tokens a parameter takes."""
    n = params.active(spec)
    return [Line("training on 20 tokens a parameter, FLOPs", "6·N·D", f"6·{n:,}·{20 * n:,}", 6 * n * 20 * n, SIX_ND)]


def hops(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    """How far each group of layers reaches."""
    lines = []
    for number, layers in enumerate(spec.groups):
        core = getattr(layers.mixer, "core", None) if isinstance(layers.mixer, Attention) else None
        reach = None if core is None else pairs.hops(core, seq, masked=True)
        if core is not None and reach is not None:
            what = f"group {number} ({core.type})"
            lines.append(Line(what, "layers until all are reached", str(reach), reach, REACH, f"n = {seq:,}"))
    return lines
