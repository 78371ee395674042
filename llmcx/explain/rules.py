"""Topics of the folds: every rule of every cost, and each kind of op with what it costs in all of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from llmcx.answers import Line
from llmcx.costs import flops as flop_counter
from llmcx.costs import kv_cache as cached
from llmcx.costs import params, traffic
from llmcx.explain import Draft, Example, Formula
from llmcx.explain.read import doc, examples
from llmcx.explain.terms import substitute, terms
from llmcx.formats import optimizers
from llmcx.machine import roofline
from llmcx.model.lower import Run, lower
from llmcx.model.run import step_at
from llmcx.ops.fold import Fold
from llmcx.ops.op import KINDS


class Cost(NamedTuple):
    """A fold as a topic: its name, unit and title; ``decode`` where its ops are a decode step's."""

    fold: Fold
    unit: str
    title: str
    synonyms: tuple[str, ...] = ()
    command: str = ""
    decode: bool = False


ACT = 2  # bytes of an activation, where a rule counts them

COSTS = {
    "params": Cost(params.fold, "parameters", "Parameters: what a model learns", ("parameters",), "llmcx params gpt3"),
    "active": Cost(params.active_fold, "parameters", "Active parameters: what one token meets", (), "llmcx params mixtral-8x7b"),
    "flops": Cost(
        flop_counter.fold,
        "FLOPs",
        "Matmul FLOPs of a forward pass",
        ("forward", "matmul-flops"),
        "llmcx flops gpt3 --seq 2048",
    ),
    "backward": Cost(flop_counter.backward_fold, "FLOPs", "Matmul FLOPs of the backward pass", (), "llmcx flops gpt3 --seq 2048"),
    "elementwise": Cost(
        flop_counter.elementwise,
        "operations",
        "Elementwise operations, kept apart from the matmuls",
        (),
        "llmcx flops gpt3",
    ),
    "cache": Cost(
        cached.cache_fold,
        "elements",
        "Elements that a layer leaves for the next token",
        (),
        "llmcx memory llama-3-8b --seq 8k",
        decode=True,
    ),
    "traffic": Cost(
        traffic.traffic(roofline.WHOLE_CHIP, ACT),
        "bytes",
        "Bytes between memory and chip, forward",
        ("bytes-moved",),
        "llmcx attention-compare llama-3-8b",
    ),
    "traffic-backward": Cost(
        traffic.traffic(roofline.WHOLE_CHIP, ACT, backward=True), "bytes", "Bytes between memory and chip, backward"
    ),
    "moved": Cost(
        traffic.moved_fold,
        "elements",
        "Elements that a kernel reads and writes, matrices apart",
        (),
        "llmcx serve llama-3-8b --hardware h100",
    ),
    "adafactor-rules": Cost(optimizers.factored_fold, "elements", "Adafactor's factored second moments"),
}

SAMPLE = {
    "tokens": 8, "d_in": 1024, "d_out": 4096, "bias": 1, "tied": 0, "rows": 512, "width": 128, "weights": 256, "weight": 0,
    "size": 1024, "batch": 2, "heads": 16, "pairs": 512 * 512, "keys": 512, "shared": 4, "fused": 0, "m": 64, "k": 32, "n": 16,
    "grads": 2, "channels": 1024, "length": 515, "kernel": 4, "met": 1024, "elements": 4096, "operations": 3,
}  # fmt: skip
"""Dims to put into a rule for an example."""


def dims(kind: str) -> dict[str, int]:
    """Those of :data:`SAMPLE` that an op of this kind has: the named parameters of all rules for it."""
    rules = [cost.fold.rules[kind].compute for cost in COSTS.values() if kind in cost.fold.rules]
    taken = {name for rule in rules for name in inspect.signature(rule).parameters}
    return {name: value for name, value in SAMPLE.items() if name in taken}


def told(fold: Fold, kind: str) -> str:
    """A rule's docstring; the forward rule's, or what the kind is, where it has none."""
    own = doc(fold.rules[kind].compute)
    if own:
        return own
    forward = flop_counter.fold.rules.get(kind)
    return doc(forward.compute) if forward and fold is flop_counter.backward_fold else ""


def shown(fold: Fold, kind: str) -> Example:
    """A rule with numbers put in."""
    rule, put = fold.rules[kind], dims(kind) | {"act": ACT}
    stated = rule.text.partition(";")[0]
    value = rule.compute(**dims(kind))
    return Example(f"{stated} = {substitute(stated, put)}", f"{value:,}")


def run(fold: Fold, kind: str) -> list[Example]:
    """The example above, and those of the rule's docstring."""
    rule = fold.rules[kind]
    return [shown(fold, kind), *(examples(rule.compute) if rule.compute.__doc__ else [])]


def numbers(name: str, kind: str | None, spec: Any, batch: int, seq: int) -> list[Line]:
    """A model's numbers put into the rules of one fold, of one kind or of all."""
    cost = COSTS[name]
    step = step_at(seq, batch)
    ops = lower(spec, step if cost.decode else Run(batch, seq))
    return terms(cost.fold, (op for op in ops if kind in (None, op.kind)))


def hyphens(name: str) -> str:
    """A name as a topic's: small, with hyphens."""
    return name.lower().replace("_", "-").replace(" ", "-")


def drafts() -> Iterator[Draft]:
    """A topic for each fold, for each of its rules, and for each kind of op."""
    for name, cost in COSTS.items():
        fold = cost.fold
        yield Draft(
            name,
            cost.title,
            "costs",
            f"The sum over all ops, each weighted by {fold.weight_text}. Free here: {', '.join(sorted(fold.free)) or 'nothing'}.",
            [Formula(f"{kind}, {cost.unit}", rule.text, rule.source) for kind, rule in fold.rules.items()],
            partial(_all, fold),
            commands=(cost.command,) if cost.command else (),
            synonyms=cost.synonyms,
            applied=partial(numbers, name, None),
        )
    for name, cost in COSTS.items():
        for kind, rule in cost.fold.rules.items():
            yield Draft(
                f"{name}.{hyphens(kind)}",
                f"{cost.title}: {kind}",
                "rules",
                told(cost.fold, kind) or f"{cost.title}, of an op with these dims: {KINDS[kind]}.",
                [Formula(f"{kind}, {cost.unit}", rule.text, rule.source)],
                partial(run, cost.fold, kind),
                applied=partial(numbers, name, kind),
            )
    for kind, stated in KINDS.items():
        if kind == "cache":
            continue  # the fold of that name
        having = {name: cost for name, cost in COSTS.items() if kind in cost.fold.rules}
        put: list[str] = [name for name in ("params", "flops", "elementwise") if name in having] or [*having][:1]
        yield Draft(
            hyphens(kind),
            f"The op {kind}: what it costs",
            "ops",
            told(flop_counter.fold if kind in flop_counter.fold.rules else next(iter(having.values())).fold, kind)
            + f"\n\nDims: {stated}.",
            [
                Formula(f"{name}, {cost.unit}", cost.fold.rules[kind].text, cost.fold.rules[kind].source)
                for name, cost in having.items()
            ],
            partial(_each, kind, having),
            applied=partial(_every, kind, put),
            synonyms={"scores": ("qkt", "attention-scores"), "rotary": ("rope",), "lookup": ("embedding",)}.get(kind, ()),
        )


def _all(fold: Fold) -> list[Example]:
    return [shown(fold, kind) for kind in fold.rules]


def _each(kind: str, having: dict[str, Cost]) -> list[Example]:
    return [
        example._replace(asked=f"{name}: {example.asked}")
        for name, cost in having.items()
        for example in [shown(cost.fold, kind)]
    ]


def _every(kind: str, having: list[str], spec: Any, batch: int, seq: int) -> list[Line]:
    lines: list[Line] = []
    for name in having:
        unit = COSTS[name].unit
        lines += [line._replace(component=f"{line.component}, {unit}") for line in numbers(name, kind, spec, batch, seq)]
    return lines
