"""Each part of the budget, and the figures that follow from the parts."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.memory import Checkpointing, Memory
from llmcx.costs.kv_cache import cache_fold
from llmcx.explain.terms import terms
from llmcx.model.lower import lower
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec

SOURCES = {
    "weights": "each parameter once, tied ones once",
    "gradients": "one per parameter",
    "optimizer": "states per parameter of the optimizer named",
    "activations": "what torch.autograd saves, op by op; at leading order Korthikanti et al. 2022, arXiv:2205.05198, sec. 4",
    "logits": "torch.nn.functional.cross_entropy keeps the log-softmax in fp32",
    "kv_cache": "Shazeer 2019, arXiv:1911.02150, sec. 2.4",
    "state": "Choromanski et al. 2020, arXiv:2009.14794, sec. 2.5: a sum of outer products in place of a cache",
    "overhead": "starts of vLLM 0.19 on H100, jgchn/llm-d-planner, accuracy/results/v0.19.0",
    "workspace": "llmcx's estimate of the largest transient tensors, collectives' buffers and margin",
    "policy": "the sum of memory --train, or between its turns of its weights and states",
    "reference": "weights in the format of the pass",
    "reward": "weights in the format of the pass, without the head",
    "critic": "as the policy, without the head",
    "rollout": "vLLM's gpu_memory_utilization",
}
FORMULAS = {
    "weights": "parameters · bytes",
    "gradients": "parameters · bytes",
    "optimizer": "parameters · bytes of state",
    "activations": "Σ kept elements · bytes",
    "logits": "b·n·V · bytes",
    "kv_cache": "elements · bytes",
    "state": "elements · bytes",
    "workspace": "largest transient + buffers + margin",
    "overhead": "outside of torch + graphs",
    **dict.fromkeys(("policy", "reference", "reward", "critic"), "what it holds in the fullest phase"),
    "rollout": "share of the GPU · its bytes",
}
"""What a part is, before it is known how: its ``formula`` says that, with the numbers."""
_CHAPTER = "the textbook chapter, sec. 2"


def rows(spec: ModelSpec, batch: int, seq: int, train: bool, kv_dtype: str, answer: Memory) -> list[Line]:
    """Parts, sums, and in inference the cache op by op."""
    sources = SOURCES if answer.stored is None else SOURCES | {"weights": answer.stored.source}
    lines = [Line(part.part, FORMULAS[part.part], part.formula, part.bytes, sources[part.part]) for part in answer.parts]
    lines += _sums(spec, batch, seq, kv_dtype, answer)
    if train:
        return lines
    step = lower(spec, step_at(seq, batch))
    return lines + [line._replace(component=f"elements of {line.component}") for line in terms(cache_fold, step)]


def _sums(spec: ModelSpec, batch: int, seq: int, kv_dtype: str, answer: Memory) -> list[Line]:
    """The figures that follow from the parts."""
    total, chapter = answer.total_bytes, answer.chapter
    each = " + ".join(f"{part.bytes:,}" for part in answer.parts)
    per = answer.kv_bytes_per_token
    bnd = f"{spec.n_layers:,}·{batch:,}·{seq:,}·{spec.d_model:,} elements"
    on = f"{total:,} on the fullest"
    scores = f"Σ heads of all layers · {batch:,}·{seq:,}²"
    both = f"{chapter.activation_bytes:,} + {chapter.score_bytes:,}"
    lines = [
        Line("total_bytes", "Σ parts", each, total, "the fullest GPU"),
        Line("all_gpus_bytes", "Σ over stages · GPUs of a stage", on, answer.all_gpus_bytes, "every GPU of the run"),
        Line("kv_bytes_per_token", "elements that one more token adds · bytes", f"in {kv_dtype}", per, SOURCES["kv_cache"]),
        Line("chapter.activation_bytes", "L b n d · bytes", bnd, chapter.activation_bytes, _CHAPTER),
        Line("chapter.score_bytes", "L b H n² · bytes", scores, chapter.score_bytes, _CHAPTER),
        Line("chapter.total_bytes", "activations + scores", both, chapter.total_bytes, _CHAPTER),
    ]
    if answer.stored is not None:
        held = answer.stored
        elements = sum(each["elements"] for each in held.by_dtype.values())
        put = f"8·{held.bytes:,} / {elements:,}"
        lines.append(Line("stored.bits_per_weight", "8 · bytes / elements", put, held.bits_per_weight, held.source))
    if answer.budget_bytes is not None:
        budget = answer.budget_bytes
        lines.append(
            Line("headroom_bytes", "budget - total", f"{budget:,} - {total:,}", budget - total, "fits where it is 0 or more")
        )
    return lines + ([] if answer.checkpointing is None else _plan(answer.checkpointing, spec.n_layers))


def _plan(plan: Checkpointing, n_layers: int) -> list[Line]:
    """The formulas of :class:`Checkpointing`."""
    layer, boundary = plan.segment_bytes // plan.every, plan.checkpoint_bytes // plan.checkpoints
    source = "Chen et al. 2016, arXiv:1604.06174"

    def cost(c: int) -> str:
        return f"ceil({n_layers:,}/{c})·{boundary:,} + {c}·{layer:,}"

    units = "forward twice, backward 2 units"
    return [
        Line("checkpointing.checkpoints", "ceil(L/c)", f"ceil({n_layers:,}/{plan.every})", plan.checkpoints, source),
        Line("checkpointing.bytes", "ceil(L/c)·boundary + c·layer", cost(plan.every), plan.bytes, source),
        Line("checkpointing.best_bytes", "the same at the best c", cost(plan.best_every), plan.best_bytes, source),
        Line("checkpointing.train_factor", "(1 + 1 + 2) / (1 + 2)", units, plan.train_factor, source),
    ]
