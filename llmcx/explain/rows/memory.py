"""Each part of the budget, then what follows from the parts, in the order in which they are shown."""

from __future__ import annotations

from typing import Any

from llmcx.answers import Line
from llmcx.answers.memory import Checkpointing, Memory
from llmcx.explain.rows import memory_inference, memory_training
from llmcx.model.spec import Attention, ModelSpec

_CHAPTER = "the textbook chapter, sec. 2"


def rows(spec: ModelSpec, asked: dict[str, Any], fixed: dict[str, Any], rl: Any, answer: Memory) -> list[Line]:
    """The formulas of an answer to what was ``asked`` with what is ``fixed``; ``rl``: how a model is post-trained, or None."""
    train = fixed["train"]
    if rl is not None:
        lines = memory_training.turns(spec, asked, fixed, rl, answer.budget_bytes, answer)
    else:
        lines = (memory_training if train else memory_inference).parts(spec, asked, fixed, answer)
    each = " + ".join(f"{part.bytes:,}" for part in answer.parts)
    total, formula = answer.total_bytes, " + ".join(part.part for part in answer.parts)
    free = total - sum(part.bytes for part in answer.parts)
    lines.append(Line("total_bytes", formula, each + (f" + {free:,}" if free else ""), total, "the fullest GPU"))
    if rl is not None:
        lines += memory_training.phases(spec, asked, fixed, rl, answer)
    if train and rl is None and answer.host_bytes is not None:
        lines.append(memory_training.host(spec, asked, fixed, answer.host_bytes))
    lines += [_everywhere(answer, asked), *_fit(answer), *_headroom(answer)]
    if not train:
        lines.append(memory_inference.one_more(spec, asked["seq"], fixed["kv_dtype"], asked["layout"], answer))
    else:
        per, what = answer.kv_bytes_per_token, "elements that one more token adds, in a cache of 16 bits"
        lines.append(Line("kv_bytes_per_token", "elements·bytes", f"{per // 2:,}·2", per, memory_inference.SHAZEER, what))
    if answer.stored is not None:
        held = answer.stored
        elements = sum(each["elements"] for each in held.by_dtype.values())
        put = f"8·{held.bytes:,} / {elements:,}"
        lines.append(Line("stored.bits_per_weight", "8·bytes / elements", put, held.bits_per_weight, held.source))
    lines += _chapter(spec, asked["batch"], asked["seq"], fixed["recipe"].bytes.activation if train else 2, answer)
    return lines + ([] if answer.checkpointing is None else _plan(answer.checkpointing, spec.n_layers))


def _everywhere(answer: Memory, asked: dict[str, Any]) -> Line:
    """All GPUs: as many of each stage; in inference each is taken for the fullest."""
    stages = [rank.total_bytes for rank in answer.ranks] or [answer.total_bytes] * asked["layout"].pp
    among = answer.gpus // len(stages)
    sums = " + ".join(f"{size:,}" for size in stages)
    numbers = f"{among:,}·({sums})" if len(stages) > 1 else f"{among:,}·{sums}"
    return Line("all_gpus_bytes", "GPUs of a stage · Σ over the stages", numbers, answer.all_gpus_bytes, "every GPU of the run")


def _fit(answer: Memory) -> list[Line]:
    """The largest that fits, and the next, which does not."""
    fit, budget = answer.fit, answer.budget_bytes
    if fit is None or budget is None:
        return []
    more = (
        []
        if fit.next_bytes is None
        else [
            Line(
                "next_bytes",
                f"total with {fit.what} {fit.next}",
                f"{fit.next_bytes:,}",
                fit.next_bytes,
                "llmcx memory --explain, of that",
            )
        ]
    )
    if not isinstance(fit.value, int) or fit.what == "gpus":
        return more
    numbers = f"{fit.value:,}: {answer.total_bytes:,} <= {budget:,}"
    if fit.next_bytes is not None:
        numbers += f"; {fit.next_bytes:,} > {budget:,}"
    formula = f"largest {fit.what} with total <= budget"
    return [
        Line(f"fit.{fit.what}", formula, numbers, fit.value, "by bisection on the totals", "the next one would not fit"),
        *more,
    ]


def _headroom(answer: Memory) -> list[Line]:
    if answer.budget_bytes is None or answer.headroom_bytes is None:
        return []
    numbers = f"{answer.budget_bytes:,} - {answer.total_bytes:,}"
    return [Line("headroom_bytes", "budget - total", numbers, answer.headroom_bytes, "fits where it is 0 or more")]


def _chapter(spec: ModelSpec, batch: int, seq: int, act: int, answer: Memory) -> list[Line]:
    """The textbook's leading order."""
    of = answer.chapter
    heads = of.score_bytes // (batch * seq * seq * act)
    put = f"{spec.n_layers:,}·{batch:,}·{seq:,}·{spec.d_model:,}·{act}"
    alike = (
        all(isinstance(g.mixer, Attention) for g in spec.groups)
        and len({getattr(g.mixer, "n_heads", 0) for g in spec.groups}) == 1
    )
    each = (
        f"{spec.n_layers:,}·{batch:,}·{heads // spec.n_layers:,}·{seq:,}²·{act}"
        if alike
        else f"{batch:,}·{heads:,}·{seq:,}²·{act}"
    )
    formula = "L·b·H·n²·bytes" if alike else "b·Σ H·n²·bytes"
    both = f"{of.activation_bytes:,} + {of.score_bytes:,}"
    return [
        Line("chapter.activation_bytes", "L·b·n·d·bytes", put, of.activation_bytes, _CHAPTER),
        Line("chapter.score_bytes", formula, each, of.score_bytes, _CHAPTER),
        Line("chapter.total_bytes", "activations + scores", both, of.total_bytes, _CHAPTER),
    ]


def _plan(plan: Checkpointing, n_layers: int) -> list[Line]:
    """The formulas of :class:`Checkpointing`."""
    layer, boundary = plan.segment_bytes // plan.every, plan.checkpoint_bytes // plan.checkpoints
    source = "Chen et al. 2016, arXiv:1604.06174"

    def cost(c: int) -> str:
        return f"ceil({n_layers:,} / {c})·{boundary:,} + {c}·{layer:,}"

    name, where = "checkpointing", "forward once more: 1 + 1 + 2 units in place of 1 + 2"
    stored = f"{plan.checkpoints:,}·{boundary:,}"
    better = f"{plan.best_every:,}: {plan.best_bytes:,} <= {plan.bytes:,}"
    return [
        Line(f"{name}.checkpoints", "ceil(L / c)", f"ceil({n_layers:,} / {plan.every})", plan.checkpoints, source),
        Line(f"{name}.checkpoint_bytes", "ceil(L / c)·boundary", stored, plan.checkpoint_bytes, source),
        Line(f"{name}.segment_bytes", "c·layer", f"{plan.every}·{layer:,}", plan.segment_bytes, source),
        Line(f"{name}.bytes", "ceil(L / c)·boundary + c·layer", cost(plan.every), plan.bytes, source),
        Line(f"{name}.best_every", "the c with the fewest bytes", better, plan.best_every, source),
        Line(f"{name}.best_bytes", "ceil(L / c)·boundary + c·layer", cost(plan.best_every), plan.best_bytes, source),
        Line(f"{name}.train_factor", "(1 + 1 + 2) / (1 + 2)", "(1 + 1 + 2) / (1 + 2)", plan.train_factor, source, where),
    ]
