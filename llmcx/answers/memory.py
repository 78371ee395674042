"""The budget: what inference or training holds on a GPU, part by part; and what a cache holds.

The bytes are the engines' (:mod:`llmcx.engines.inference_memory`; of training :mod:`llmcx.answers.memory_training`), each a fold
over the ops of one GPU. Element counts are exact integers; bytes follow from the dtypes. What is an estimate (the workspace) says
so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmcx.answers import Result
from llmcx.engines import Engine
from llmcx.engines.inference_memory import IDEAL, ONE_GPU, Held, besides, cache_bytes, check_inference, held, per_token, total
from llmcx.errors import InputError, unknown_name
from llmcx.formats import dtypes, quant
from llmcx.model.pictures import NOTHING, Shown
from llmcx.model.spec import Attention, ModelSpec, check_size, text_length
from llmcx.parallel.layout import Layout

if TYPE_CHECKING:
    from llmcx.engines.recipe import Recipe
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
    layout = layout or Layout()
    if activations not in ("autograd", "textbook"):
        raise unknown_name("activations", activations, ["autograd", "textbook"], field="activations")
    if recipe is not None and recipe.checkpoint_every is not None and not train:
        raise InputError("checkpointing saves activations of training, so it needs --train", field="checkpoint_every")
    stored: quant.Weights | None = None
    plan: Checkpointing | None = None
    host: int | None = None
    if train:
        from llmcx.answers.memory_training import trained

        ranks, plan, chapter, host = trained(spec, batch, seq, layout, recipe, activations)
    else:
        chapter = chapter_activations(spec, batch, seq, 2)
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
        host_bytes=host,
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
