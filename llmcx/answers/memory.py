"""The budget: what inference or training holds on a GPU, part by part; and what a cache holds.

The bytes are the engines' (:mod:`llmcx.engines.inference_memory`, :mod:`llmcx.engines.training_memory`), each a fold over the ops
of one GPU. Element counts are exact integers; bytes follow from the dtypes. What is an estimate (the workspace) says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isqrt
from typing import TYPE_CHECKING

from llmcx.answers import Result
from llmcx.engines import Engine
from llmcx.engines.deepspeed import BUCKET
from llmcx.engines.inference_memory import IDEAL, ONE_GPU, Held, besides, cache_bytes, check_inference, held, per_token, total
from llmcx.engines.megatron import HEAD, TURN
from llmcx.engines.phases import BACKWARD, LOSS, REDUCE, STEP, TABLE
from llmcx.engines.recipe import Recipe, check_every, check_recipe
from llmcx.engines.training_memory import StageGPU, TrainingMemory
from llmcx.errors import InputError, unknown_name
from llmcx.formats import dtypes, quant
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model.pictures import NOTHING, Shown
from llmcx.model.spec import Attention, ModelSpec, check_size, text_length
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import in_flight

if TYPE_CHECKING:
    from llmcx.huggingface.shards import Files


@dataclass(frozen=True)
class Part:
    """One entry of the budget, with the formula that gave it."""

    part: str
    bytes: int
    formula: str


@dataclass(frozen=True)
class Rank:
    """One GPU of each pipeline stage; the others of a stage hold no more. ``peak`` is the phase of a step in which it holds this,
    None where all parts are held at once.
    """

    stage: int
    layers: int
    in_flight: int
    total_bytes: int
    parts: list[Part]
    peak: str | None = None


@dataclass(frozen=True)
class Checkpointing:
    """Keeping only every ``every``-th layer's input and recomputing the layers between (Chen et al. 2016, arXiv:1604.06174).

    ``bytes`` = ``checkpoints`` inputs + the activations of one segment while it is recomputed. ``best_every`` makes
    that smallest. Costs one extra forward of the layers: 4 units in place of 3.
    """

    every: int
    checkpoints: int
    checkpoint_bytes: int
    segment_bytes: int
    bytes: int
    best_every: int
    best_bytes: int
    train_factor: float


@dataclass(frozen=True)
class Chapter:
    """The textbook's leading order: L b n d activations and L b H n² scores, in activation bytes."""

    activation_bytes: int
    score_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Fit:
    """What fits, and the next step, which does not (None: nothing further to try)."""

    what: str
    value: int | str
    next: int | str | None
    next_bytes: int | None


@dataclass(frozen=True, repr=False)
class Memory(Result, brief="total_bytes gpus fits headroom_bytes", table="parts"):
    """Bytes on one GPU, part by part, and what is left of the budget; where a model is split, ``host_bytes`` beside it in the
    host's memory, and what is left of that; where a GPU's models take turns, ``phases``: its bytes in each.
    """

    total_bytes: int
    parts: list[Part]
    gpus: int
    all_gpus_bytes: int
    kv_bytes_per_token: int
    checkpointing: Checkpointing | None
    chapter: Chapter
    budget_bytes: int | None
    fits: bool | None
    headroom_bytes: int | None
    ranks: list[Rank] = field(default_factory=list)
    heaviest: str | None = None
    peak: str | None = None
    fit: Fit | None = None
    stored: quant.Weights | None = None
    host_bytes: int | None = None
    host_headroom_bytes: int | None = None
    phases: dict[str, int] = field(default_factory=dict)


def chapter_activations(spec: ModelSpec, batch: int, seq: int, act: int) -> Chapter:
    """L b n d + L b H n² elements of ``act`` bytes (encoder and decoder layers alike).

    GPT-3 at b 32, n 2048, fp32: 309 GB + 4.95 TB.
    """
    plain = spec.n_layers * batch * seq * spec.d_model * act
    heads = sum(g.repeat * getattr(g.mixer, "n_heads", 0) for g in spec.groups if _attends(g.mixer))
    scores = heads * batch * seq * seq * act
    return Chapter(plain, scores, plain + scores)


def _attends(mixer: object) -> bool:
    """Whether its heads meet every pair of positions: softmax attention, latent or not."""
    return getattr(mixer, "type", None) in ("attention", "mla")


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


def memory(
    spec: ModelSpec,
    batch: int = 1,
    seq: int | None = None,
    *,
    train: bool = False,
    dtype: str | None = None,
    kv_dtype: str = "bf16",
    activations: str = "autograd",
    recipe: Recipe | None = None,
    layout: Layout | None = None,
    budget: int | None = None,
    engine: Engine = IDEAL,
    files: Files | None = None,
    shown: Shown = NOTHING,
) -> Memory:
    """Bytes that the fullest GPU holds; ``batch`` sequences (in training: of a micro-batch) of ``seq`` tokens.

    Inference holds weights (``dtype``, None as released, or what was read of ``files``), cache (``kv_dtype``, laid out as
    ``engine`` does), the last position's logits and the workspace of one pass. Training holds what ``recipe`` says, its
    activations op by op ("autograd") or at the textbook's leading order ("textbook": L b n d + L b H n²). The tokens of what is
    ``shown`` in each sequence are added to ``seq``.
    """
    seq = text_length(spec, seq, shown.tokens) + shown.tokens
    check_size("batch", batch)
    recipe, layout = recipe or Recipe(), layout or Layout()
    if activations not in ("autograd", "textbook"):
        raise unknown_name("activations", activations, ["autograd", "textbook"], field="activations")
    if recipe.checkpoint_every is not None and not train:
        raise InputError("checkpointing saves activations of training, so it needs --train", field="checkpoint_every")
    stored: quant.Weights | None = None
    plan: Checkpointing | None = None
    chapter = chapter_activations(spec, batch, seq, recipe.bytes.activation if train else 2)
    if train:
        ranks = training_ranks(spec, batch, seq, layout, recipe)
        if activations == "textbook":
            ranks = [_chapter_rank(ranks[0], chapter, spec, batch, seq, layout, recipe)]
        if recipe.checkpoint_every is not None:
            plan = _plan(spec, batch, seq, recipe, activations, chapter)
    else:
        engine = engine.caching(kv_dtype)
        check_inference(spec, layout, engine)
        dtype = dtypes.default(spec) if dtype is None else dtype
        stored = None if files is not None or dtype in dtypes.BITS else quant.weights(spec, dtype)
        gpus = held(spec, batch, seq, layout, engine, shown=shown)
        loaded = [None if files is None else files.on(spec, gpu.stage, layout.pp, gpu.weights) for gpu in gpus]
        stored = max((some for some in loaded if some), key=lambda some: some.bytes, default=stored)
        ranks = inference_ranks(spec, gpus, dtype, kv_dtype, engine, loaded, layout.gpus > 1)
    heaviest = max(ranks, key=lambda rank: rank.total_bytes)
    everywhere = sum(rank.total_bytes for rank in ranks) if train else heaviest.total_bytes * layout.pp
    fullest = heaviest.total_bytes
    return Memory(
        total_bytes=fullest,
        parts=heaviest.parts,
        gpus=layout.gpus,
        all_gpus_bytes=everywhere * (layout.gpus // layout.pp),
        kv_bytes_per_token=kv_bytes_per_token(spec, kv_dtype, seq, layout if not train else ONE_GPU),
        checkpointing=plan,
        chapter=chapter,
        budget_bytes=budget,
        fits=None if budget is None else fullest <= budget,
        headroom_bytes=None if budget is None else budget - fullest,
        ranks=ranks if train else [],
        heaviest=_why(ranks) if train and len(ranks) > 1 else None,
        peak=heaviest.peak,
        stored=stored,
        host_bytes=TrainingMemory(spec, seq, recipe).host(layout, batch, recipe) if train else None,
    )


def inference_ranks(
    spec: ModelSpec,
    gpus: list[Held],
    dtype: str,
    kv_dtype: str,
    engine: Engine,
    loaded: list[quant.Weights | None],
    divided: bool,
) -> list[Rank]:
    """Weights (``loaded`` by each GPU, where files were read), cache, the logits of the last position, a pass's workspace, on a
    GPU of each stage; ``divided`` among several.
    """
    rule = "" if engine.name == "ideal" else "; " + engine.said()
    per_kv = dtypes.per_element(kv_dtype)
    ranks = []
    for gpu, stored in zip(gpus, loaded, strict=True):
        if stored is None and dtype not in dtypes.BITS:
            stored = quant.weights(spec, dtype, gpu.weights if divided else None)
        size, n = dtypes.size(gpu.params, dtype) if stored is None else stored.bytes, gpu.params
        formula = f"{n:,} parameters × {dtypes.bits(dtype) / 8:g} B ({dtype})" if stored is None else stored.formula
        parts = [Part("weights", size, formula)]
        for name, bytes_ in cache_bytes(gpu, kv_dtype).items():
            paged = gpu.paged.bytes(per_kv) is not None
            per = f"{bytes_ / gpu.cached[name]:g} B" if name == "state" else f"{per_kv:g} B ({kv_dtype})"
            text = f"{engine.unit} in {kv_dtype}" if name == "kv_cache" else "states of a sequence"
            text = text if paged else f"{gpu.cached[name]:,} elements × {per}"
            parts.append(Part(name, bytes_, text + rule))
        if gpu.logits:
            parts.append(Part("logits", gpu.logits, "b·V × 4 B: fp32 logits of the last position"))
        parts.append(Part("workspace", gpu.workspace, gpu.transient))
        if gpu.overhead:
            free = besides(gpu, size) - size - gpu.logits - gpu.workspace
            parts.append(Part("overhead", free, gpu.taken))
        ranks.append(Rank(gpu.stage.number, gpu.stage.layers, 1, total(gpu, size, kv_dtype), parts))
    return ranks


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


def _why(ranks: list[Rank]) -> str:
    """Why the fullest GPU is that."""
    fullest = max(ranks, key=lambda rank: rank.total_bytes)
    least = min(ranks, key=lambda rank: rank.total_bytes)
    others = {part.part: part.bytes for part in least.parts}
    part = max(fullest.parts, key=lambda part: part.bytes - others.get(part.part, 0))
    more = part.bytes - others.get(part.part, 0)
    reason = {
        "activations": f"it has {fullest.in_flight} chunks in flight, stage {least.stage} {least.in_flight}",
        "logits": "it has the head, and so the logits",
        "workspace": "the loss is there, or more to gather",
    }.get(part.part, "it has a token table or more layers")
    return f"stage {fullest.stage} holds {more:,} B more {part.part} than stage {least.stage}: {reason}"


def kv_bytes_per_token(spec: ModelSpec, kv_dtype: str, seq: int = 1, layout: Layout = ONE_GPU) -> int:
    """What one more token after ``seq`` adds to the cache of one GPU: nothing where a window is full.

    Shazeer 2019, arXiv:1911.02150, sec. 2.4.
    """
    return dtypes.size(per_token(spec, seq, layout), kv_dtype)


def verified(spec: ModelSpec) -> bool:
    """Whether real runs keep what we count, to the byte or nearly: softmax attention and no extras (docs/kept.md)."""
    plain = all(isinstance(g.mixer, Attention) and g.beside is None for g in spec.groups)
    return plain and not spec.extras and not any(g.cross for g in spec.groups)
