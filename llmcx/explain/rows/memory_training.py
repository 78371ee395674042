"""What training holds on the fullest GPU: the engine's own rules, run once more on numbers that remember their names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.answers import Line
from llmcx.answers.memory import Memory
from llmcx.costs.saved_activations import fused, kept_bytes, without
from llmcx.engines import deepspeed
from llmcx.engines.recipe import Recipe
from llmcx.engines.training_memory import StageGPU, TrainingMemory
from llmcx.explain.terms import summed
from llmcx.explain.written import named, plain, told, written
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers
from llmcx.parallel.layout import Layout
from llmcx.parallel.ranks import rank_ops

KEPT = "what torch.autograd saves, op by op (docs/kept.md); leading order: Korthikanti et al. 2022, arXiv:2205.05198, sec. 4"
PROGRAMS = {
    "transformers": "llmcx/engines/phases.py: torch's loop, held against MemTracker (tests/oracle/phases.py)",
    "fsdp": "llmcx/engines/phases.py: torch's FSDP2, held against FSDPMemTracker (tests/oracle/phases.py)",
    "deepspeed": "llmcx/engines/deepspeed.py, held against the program itself (tests/oracle/zero.py)",
    "megatron": "llmcx/engines/megatron.py, held against measured peaks (tests/oracle/megatron_peaks.csv)",
}
INTERVALS = {
    "transformers": "measured peaks and llmcx side by side: docs/memory.md and docs/engines.md",
    "fsdp": "measured peaks and llmcx side by side: docs/memory.md and docs/engines.md",
    "deepspeed": "measured peaks and llmcx side by side: docs/engines.md",
    "megatron": "measured peaks and llmcx side by side: docs/engines.md, tests/oracle/megatron_peaks.csv",
}
_NAMES = {
    "params": "params",
    "experts": "expert_params",
    "states": "states",
    "expert_states": "expert_states",
    "adapters": "adapters",
    "frozen": "frozen",
    "layer": "layer_params",
    "outside": "outside_params",
    "shapes": "one_of_each_shape",
}
"""What StageWeights has, under the names in the formulas."""
WHERE = {
    "weights": "",
    "gradients": "",
    "optimizer": "states: bytes of the optimizer's states and master copies before they are shared out",
    "activations": "saved_by_layers: of one micro-batch; saved_outside, saved_at_the_end: before and after the layers",
    "logits": "",
    "workspace": "what is there for a moment: the loss's gradients, buffers of communication",
}


def parts(spec: ModelSpec, asked: dict[str, Any], fixed: dict[str, Any], answer: Memory) -> list[Line]:
    """Each part of the fullest GPU at its peak."""
    recipe: Recipe = fixed["recipe"]
    layout: Layout = asked["layout"]
    of = TrainingMemory(spec, asked["seq"], recipe)
    at = max(range(len(answer.ranks)), key=lambda i: answer.ranks[i].total_bytes)
    rank = of.ranks(layout, asked["batch"])[at]
    traced, _ = of.held(named_rank(rank), layout, recipe)
    sizes: dict[str, Any] = traced._asdict()
    source = PROGRAMS[recipe.engine]
    interval = INTERVALS[recipe.engine]
    found = []
    for part in answer.parts:
        value, where = sizes[part.part], " ".join(filter(None, (part.formula, WHERE[part.part] and f"({WHERE[part.part]})")))
        if part.part == "activations" and fixed["activations"] == "textbook":
            found.append(_textbook(part.bytes, answer, where))
        elif plain(value) != part.bytes:
            found.append(Line(part.part, "held at the peak", "", part.bytes, source, where, interval))
        else:
            if part.part == "activations" and part.bytes:
                found += kept_by_layers(spec, of, rank, asked["batch"], layout, recipe)
            formula, numbers = told(value) if part.bytes else (part.formula, "0")
            found.append(Line(part.part, formula, numbers, part.bytes, source, where if part.bytes else "", interval))
    return found


def _textbook(size: int, answer: Memory, where: str) -> Line:
    """The chapter's leading order in the place of what autograd saves."""
    of, source = answer.chapter, "the textbook chapter, sec. 2"
    if answer.checkpointing is not None:
        plan = answer.checkpointing
        numbers = f"{plan.checkpoint_bytes:,} + {plan.segment_bytes:,}"
        return Line("activations", "checkpoints + a segment recomputed", numbers, size, source, where)
    numbers = f"{of.activation_bytes:,} + {of.score_bytes:,}"
    return Line("activations", "L·b·n·d·bytes + L·b·H·n²·bytes", numbers, size, source, where)


def named_rank(rank: StageGPU) -> StageGPU:
    """A stage's GPU whose sums remember their names."""
    weights = rank.weights._replace(**{name: written(getattr(rank.weights, name), new) for name, new in _NAMES.items()})
    saved = rank.saved
    head = None if saved.head is None else (written(saved.head[0], "tokens"), written(saved.head[1], "vocabulary"))
    traced = saved._replace(
        layers={how: written(size, "saved_by_layers") for how, size in saved.layers.items()},
        layer={how: written(size, "saved_by_a_layer") for how, size in saved.layer.items()},
        embedding=written(saved.embedding, "saved_outside"),
        end=written(saved.end, "saved_at_the_end"),
        turn=written(saved.turn, "turn"),
        head=head,
        tokens=written(saved.tokens, "tokens"),
    )
    return rank._replace(weights=weights, saved=traced)


def kept_by_layers(spec: ModelSpec, of: TrainingMemory, rank: StageGPU, batch: int, layout: Layout, recipe: Recipe) -> list[Line]:
    """What the layers of a stage save, tensor by tensor; nothing where some are recomputed from their inputs, or are frozen."""
    if recipe.every is not None or recipe.lora is not None or layout.pp > 1:
        return []
    act, lines = recipe.bytes.activation, []
    for op in rank_ops(spec, recipe.run(batch, of.seq), layout):
        op = fused(op) if recipe.kernels == "fused" else op
        op = without(op, recipe.recompute) if in_layers(op) else op
        size = kept_bytes([op], act)
        if size and in_layers(op):
            value = kept_bytes([_saved(op)], act)
            what = ", ".join(dict.fromkeys(kept.what for kept in op.saved))
            lines.append(Line(f"saved by {op.component}", *told(value), size, KEPT, what))
    total = summed("saved_by_layers", lines, KEPT)
    return [*lines, total] if total.value == rank.saved.layers[recipe.recompute] else []


def _saved(op: Op) -> Op:
    """An op whose saved tensors remember that they are elements."""
    return named(op)._replace(saved=tuple(kept._replace(elements=written(kept.elements, "elements")) for kept in op.saved))


def states(spec: ModelSpec, rank: StageGPU, recipe: Recipe) -> list[Line]:
    """The optimizer's states and master copies before they are shared out, where they are so many bytes a parameter."""
    optimizer, p, of = OPTIMIZERS[recipe.optimizer], recipe.bytes, rank.weights
    if recipe.lora is not None or optimizer.factored or optimizer.block or optimizer.matrices is not None:
        return []
    n: Any = written(of.params, "params")
    value = optimizer.of(n, 0, p.updated) + p.master * n
    return [Line("states", *told(value), plain(value), optimizer.source, f"of which {p.master} B a parameter are master copies")]


def turns(
    spec: ModelSpec, asked: dict[str, Any], fixed: dict[str, Any], rl: Any, budget: int | None, answer: Memory
) -> list[Line]:
    """RL: what each model holds in the fullest phase, and the rollout beside it."""
    from llmcx.answers.rl import frozen, trained
    from llmcx.costs.params import count
    from llmcx.engines.rl import METHODS

    layout, recipe = asked["layout"], replace(fixed["recipe"], rl=True)
    rows, seq = asked["batch"] * METHODS[rl.method].sequences, asked["seq"]
    headless = replace(spec, head=None)
    found = []
    for part in answer.parts:
        value: Any = None
        if part.part == "rollout":
            if rl.rollout == "colocated" and budget is not None:
                found.append(
                    Line(
                        "rollout",
                        "floor(share·memory)",
                        f"floor({rl.utilization:g}·{budget:,})",
                        part.bytes,
                        "vLLM's gpu_memory_utilization",
                        part.formula,
                    )
                )
            else:
                held = part.bytes - recipe.bytes.weight * count(spec) if layout.zero == 3 and layout.sharers > 1 else part.bytes
                numbers = f"{held:,} + {part.bytes - held:,}"
                found.append(
                    Line("rollout", "cache of the micro-batch + weights gathered", numbers, part.bytes, "", part.formula)
                )
            continue
        of = TrainingMemory(spec if part.part in ("policy", "reference") else headless, seq, recipe)
        [rank] = of.ranks(layout, rows)
        model = (trained if part.part in ("policy", "critic") else frozen)(of, named_rank(rank), layout, recipe, rl)
        value = next((size for size in model if plain(size) == part.bytes), None)
        where = f"in {answer.peak}: {part.formula}"
        source = PROGRAMS[recipe.engine]
        formula, put = ("held in the phase", "") if value is None else told(value)
        found.append(Line(part.part, formula, put, part.bytes, source, where, INTERVALS[recipe.engine]))
    return found


def phases(spec: ModelSpec, asked: dict[str, Any], fixed: dict[str, Any], rl: Any, answer: Memory) -> list[Line]:
    """RL: what stands on a GPU in each phase."""
    from llmcx.answers.rl import held

    recipe = replace(fixed["recipe"], rl=True)
    found = held(spec, asked["batch"], asked["seq"], asked["layout"], recipe, rl, answer.budget_bytes)
    return [
        Line(
            f"phase: {phase}",
            " + ".join(of),
            " + ".join(f"{size:,}" for size in of.values()),
            sum(of.values()),
            "llmcx/engines/rl.py",
        )
        for phase, of in found.items()
    ]


def host(spec: ModelSpec, asked: dict[str, Any], fixed: dict[str, Any], size: int) -> Line:
    """What DeepSpeed moves to the host's memory, for each GPU."""
    recipe: Recipe = fixed["recipe"]
    of = TrainingMemory(spec, asked["seq"], recipe)
    [rank] = of.ranks(asked["layout"], asked["batch"])
    value: Any = deepspeed.host(
        of.partition(named_rank(rank), asked["layout"], recipe), asked["layout"].zero, recipe.offload or ""
    )
    return Line("host_bytes", *told(value), size, PROGRAMS["deepspeed"], "for each GPU")
