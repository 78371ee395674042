"""What training holds on a GPU, part by part: :mod:`llmcx.engines.training_memory`'s bytes, with the formulas that gave them."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt

from llmcx.answers.memory import Chapter, Checkpointing, Part, Rank, chapter_activations
from llmcx.engines.deepspeed import BUCKET
from llmcx.engines.megatron import HEAD, TURN
from llmcx.engines.phases import BACKWARD, LOSS, REDUCE, STEP, TABLE
from llmcx.engines.recipe import Recipe, check_every, check_recipe
from llmcx.engines.training_memory import StageGPU, TrainingMemory
from llmcx.errors import InputError
from llmcx.formats import dtypes, quant
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import in_flight


def trained(
    spec: ModelSpec, batch: int, seq: int, layout: Layout, recipe: Recipe | None, activations: str
) -> tuple[list[Rank], Checkpointing | None, Chapter, int | None]:
    """The GPUs of the stages, with their activations op by op or as the textbook has them; what checkpointing comes to, where it
    is asked for; the textbook's activations; bytes in the host's memory.
    """
    recipe = recipe or Recipe()
    chapter = chapter_activations(spec, batch, seq, recipe.bytes.activation)
    ranks = training_ranks(spec, batch, seq, layout, recipe)
    if activations == "textbook":
        ranks = [_chapter_rank(ranks[0], chapter, spec, batch, seq, layout, recipe)]
    plan = None if recipe.checkpoint_every is None else _plan(spec, batch, seq, recipe, activations, chapter)
    return ranks, plan, chapter, TrainingMemory(spec, seq, recipe).host(layout, batch, recipe)


def training_ranks(spec: ModelSpec, batch: int, seq: int, layout: Layout, recipe: Recipe) -> list[Rank]:
    """What one GPU of each stage holds at its fullest, for micro-batches of ``batch`` sequences, with the formulas.

    Raises InputError for what cannot be run or is not known.

    >>> from llmcx.model.spec import Attention, Embedding, Layers, ModelSpec, Plain
    >>> one = ModelSpec("one", 64, Embedding(100), (Layers(4, Attention(4), Plain(256)),))
    >>> [(rank.layers, rank.in_flight) for rank in training_ranks(one, 1, 16, Layout(pp=2), Recipe())]
    [(2, 2), (2, 1)]
    """
    check_recipe(spec, layout, recipe)
    of = TrainingMemory(spec, seq, recipe)
    return [_training_rank(spec, of, rank, layout, recipe) for rank in of.ranks(layout, batch)]


def _training_rank(spec: ModelSpec, of: TrainingMemory, rank: StageGPU, layout: Layout, recipe: Recipe) -> Rank:
    """A stage's bytes with the formulas that gave them."""
    sizes, peak = of.held(rank, layout, recipe)
    texts = _phase_texts(spec, rank, layout, recipe, peak) if peak is not None else _texts(spec, of, rank, layout, recipe)
    parts = [
        Part(part, size, formula)
        for (part, size), formula in zip(sizes._asdict().items(), texts, strict=True)
        if part != "logits" or rank.saved.head is not None
    ]
    chunks = in_flight(rank.stage.number, layout.pp, layout.virtual, layout.micro_batches)
    return Rank(rank.stage.number, rank.stage.layers, chunks, sizes.total, parts, peak)


def _texts(spec: ModelSpec, of: TrainingMemory, rank: StageGPU, layout: Layout, recipe: Recipe) -> list[str]:
    """The formulas of the parts, where all are held at once."""
    p, texts = recipe.bytes, _model_texts(spec, rank, layout, recipe)
    chunks = in_flight(rank.stage.number, layout.pp, layout.virtual, layout.micro_batches)
    times = f" × {chunks} in flight" if chunks > 1 else ""
    if recipe.every is None:
        texts.append(f"kept for backward op by op, at {p.activation} B per activation{times}")
    else:
        texts.append(f"the input of every {recipe.every}. layer{times}, and {recipe.every} recomputed at a time")
    work = []
    head = rank.saved.head
    if head is None:
        texts.append("")
    else:
        rows, chunk = head[0], recipe.at_once(head[0])
        text = "b·n·V" if chunk == rows else f"{chunk:,} tokens at a time × V"
        text += f" / {layout.tp} (tensor parallel)" if layout.tp > 1 else ""
        texts.append(f"{text} × ({p.activation} B logits + 4 B log-softmax)")
        work.append(f"{text} × 4 B: the logits in fp32, or their gradient")
    why = ("two layers gathered, one layer's gradients", "a layer's input gathered", "routed tokens sent and received")
    buffers = of.buffers(rank, layout, recipe)
    if any(buffers):
        work.append("estimate: " + ", ".join(text for text, size in zip(why, buffers, strict=True) if size))
    if recipe.margin:
        work.append(f"an assumed {recipe.margin:.0%} of the rest is lost between blocks")
    return [*texts, "; ".join(work) or "none"]


def _phase_texts(spec: ModelSpec, rank: StageGPU, layout: Layout, recipe: Recipe, peak: str) -> list[str]:
    """The formulas of the parts in the phase in which a GPU is fullest (:mod:`llmcx.engines.phases`)."""
    if recipe.engine == "megatron":
        return _megatron_texts(spec, rank, layout, recipe, peak)
    p, weights, none = recipe.bytes, rank.weights, "none at the peak"
    loss, step = peak == LOSS, peak == STEP
    model, gradients, states = _model_texts(spec, rank, layout, recipe)
    if recipe.engine == "fsdp":
        n, stored = weights.params + weights.experts, p.master or p.weight
        gathered = f"{weights.outside:,} outside the layers and up to two layers" if layout.zero == 3 else "all"
        model = f"{n:,} parameters × {stored} B / {layout.sharers} GPUs" + (
            "" if step else f"; gathered at {p.weight} B: {gathered}"
        )
        gradients = (
            f"{n:,} parameters × {stored} B / {layout.sharers} GPUs" if step else "of the head, or what is not yet reduced"
        )
        optimizer = OPTIMIZERS[recipe.optimizer]
        states = f"{optimizer.name}: {optimizer.stated(p.updated)} / {layout.sharers} GPUs"
    elif recipe.engine == "deepspeed":
        return _deepspeed_texts(rank, layout, recipe, peak, [model, gradients, states])
    elif peak == BACKWARD:
        gradients = "of the head"
    elif peak == TABLE:
        gradients += ", and two more of the tied table"
    saved = f"kept for backward op by op, at {p.activation} B per activation"
    if recipe.every is not None:
        saved = f"the input of every {recipe.every}. layer" + ("" if loss else f", and {recipe.every} recomputed at a time")
    rows = (rank.saved.head or (0, 0))[0]
    chunk = recipe.at_once(rows)
    text = "b·n·V" if chunk == rows else f"{chunk:,} tokens at a time × V"
    logits = f"{text} × 4 B: log-softmax" if loss else none
    work = [f"{text} × 8 B: two gradients in fp32"] if loss else []
    if recipe.engine == "fsdp" and not (loss or step):
        work.append("gradients of a layer, and what is being reduced")
    if recipe.margin:
        work.append(f"an assumed {recipe.margin:.0%} of the rest is lost between blocks")
    texts = [model, none if loss else gradients, states, none if peak in (TABLE, REDUCE, STEP) else saved, logits]
    return [*texts, "; ".join(work) or "none"]


def _deepspeed_texts(rank: StageGPU, layout: Layout, recipe: Recipe, peak: str, model: list[str]) -> list[str]:
    """The same of DeepSpeed (:mod:`llmcx.engines.deepspeed`)."""
    weights, gradients, states = model
    p, buckets, zero = recipe.bytes, recipe.buckets, layout.zero
    rows = (rank.saved.head or (0, 0))[0]
    chunk = recipe.at_once(rows)
    text = "b·n·V" if chunk == rows else f"{chunk:,} tokens at a time × V"
    if recipe.offload == "params":
        weights = "in the host's memory"
    if zero == 3 and peak in (LOSS, BACKWARD):
        weights += f"; gathered: the matrix at work and up to {buckets.live:,} numbers"
    if recipe.offload is not None:
        gradients, states = ("in the host's memory",) * 2
    saved = f"kept for backward op by op, at {p.activation} B per activation"
    if recipe.every is not None:
        saved = f"the input of every {recipe.every}. layer" + (
            "" if peak == LOSS else f", and {recipe.every} recomputed at a time"
        )
    work = {
        LOSS: f"{text} × 8 B: two gradients in fp32",
        BACKWARD: "the head's gradient",
        BUCKET: "a gradient",
        REDUCE: "what is being reduced",
        STEP: "" if recipe.offload else "the gradients flattened, and their copy for the step",
    }[peak]
    bucket = (
        f"a bucket of {buckets.reduce:,} gradients" if zero == 3 or (zero == 2 and peak in (BACKWARD, BUCKET, REDUCE)) else ""
    )
    margin = f"an assumed {recipe.margin:.0%} of the rest is lost between blocks" if recipe.margin else ""
    activations = "none at the peak" if peak in (REDUCE, STEP) else saved
    logits = f"{text} × 4 B: log-softmax" if peak == LOSS else "none at the peak"
    return [weights, gradients, states, activations, logits, "; ".join(filter(None, (work, bucket, margin))) or "none"]


def _megatron_texts(spec: ModelSpec, rank: StageGPU, layout: Layout, recipe: Recipe, peak: str) -> list[str]:
    """The same of Megatron-LM (:mod:`llmcx.engines.megatron`)."""
    p, each = recipe.bytes, recipe.every
    chunks = in_flight(rank.stage.number, layout.pp, layout.virtual, layout.micro_batches)
    times = f" × {chunks} in flight" if chunks > 1 else ""
    saved = f"kept for backward op by op, at {p.activation} B per activation{times}"
    if each is not None:
        saved = f"the input of every {each}. layer{times}, and {each} recomputed at a time"
    logits = "none at the peak" if peak in (TURN, STEP) else f"b·n·V × {p.activation} B"
    passing = {
        TURN: "gradients and routed tokens on their way through a layer",
        LOSS: "the logits in fp32",
        HEAD: "the gradients of the head's matrix and of its input",
    }
    shared = f"{rank.weights.shapes:,} weight gradients × {p.weight} B, one matrix of each shape"
    work = [*([passing[peak]] if peak in passing else []), shared, "the kernels' own"]
    if recipe.margin:
        work.append(f"an assumed {recipe.margin:.0%} of the rest is lost between blocks")
    return [*_model_texts(spec, rank, layout, recipe), saved, logits, "; ".join(work)]


def _model_texts(spec: ModelSpec, rank: StageGPU, layout: Layout, recipe: Recipe) -> list[str]:
    """The formulas of weights, gradients and optimizer."""
    p, optimizer, among = recipe.bytes, OPTIMIZERS[recipe.optimizer], layout.sharers
    n = rank.weights.params + rank.weights.experts
    if recipe.lora is not None:
        each, trained = recipe.lora.bytes, rank.weights.adapters
        size = p.weight if recipe.base is None else dtypes.BITS.get(recipe.base, 0) / 8
        base = f"{n:,} frozen parameters × {size:g} B" if size else quant.weights(spec, str(recipe.base)).formula
        return [
            f"{base} + {trained:,} of adapters × {each} B",
            f"{trained:,} parameters of adapters × {each} B",
            f"{optimizer.name} for the adapters: {optimizer.source}",
        ]

    def shared(level: int) -> str:
        return f" / {among} GPUs (ZeRO-{layout.zero})" if layout.zero >= level and among > 1 else ""

    master = f" + {p.master} B master copy" if p.master else ""
    return [
        f"{n:,} parameters × {p.weight} B{shared(3)}",
        f"{n:,} parameters × {recipe.gradient} B{shared(2)}",
        f"{optimizer.name}: {optimizer.stated(p.updated)}{master}{shared(1)}",
    ]


def _chapter_rank(rank: Rank, chapter: Chapter, spec: ModelSpec, batch: int, seq: int, layout: Layout, recipe: Recipe) -> Rank:
    """The textbook's activations in place of the ops' own, on one GPU of a model that is not divided."""
    if (layout.tp, layout.pp, layout.cp, layout.ep) != (1, 1, 1, 1):
        raise InputError("the chapter's activations are of a whole model: give no tp, pp, cp or ep", field="activations")
    act = recipe.bytes.activation
    size, formula = chapter.total_bytes, f"(L·b·n·d + L·b·H·n²) × {act} B"
    if recipe.checkpoint_every is not None:
        plan = _plan(spec, batch, seq, recipe, "textbook", chapter)
        size, formula = plan.bytes, f"{plan.checkpoints} checkpoints × b·n·d·{act} B + {plan.every} layers recomputed"
    parts = [Part("activations", size, formula) if part.part == "activations" else part for part in rank.parts]
    return Rank(rank.stage, rank.layers, rank.in_flight, sum(part.bytes for part in parts), parts)


def _plan(spec: ModelSpec, batch: int, seq: int, recipe: Recipe, how: str, chapter: Chapter) -> Checkpointing:
    """Checkpointing of the whole model on one GPU: what c is best."""
    act = recipe.bytes.activation
    if how == "textbook":
        layer = -(-chapter.total_bytes // spec.n_layers)
    else:
        whole = TrainingMemory(spec, seq, replace(recipe, lora=None)).ranks(Layout(), batch)[0]
        layer = whole.saved.layer["none"]
    return checkpointing(spec.n_layers, batch * seq * spec.d_model * act, layer, recipe.checkpoint_every or 1)


def checkpointing(n_layers: int, boundary: int, layer: int, every: int) -> Checkpointing:
    """Checkpoint every ``every`` layers: ceil(L / c) boundaries stored, c layers' activations alive while one segment is redone.

    The best c minimises ceil(L/c)·boundary + c·layer; all candidates with distinct ceil(L/c) are O(sqrt L) many.

    >>> checkpointing(96, boundary=1, layer=1, every=8).checkpoints
    12
    """
    check_every(every, n_layers)

    def cost(c: int) -> int:
        return -(-n_layers // c) * boundary + c * layer

    root = isqrt(n_layers) + 1
    candidates = set(range(1, min(root, n_layers) + 1)) | {-(-n_layers // m) for m in range(1, root + 1)}
    best = min(sorted(candidates), key=cost)
    stored = -(-n_layers // every)
    return Checkpointing(every, stored, stored * boundary, every * layer, cost(every), best, cost(best), 4 / 3)
