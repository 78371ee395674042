"""What a launch line asks for, and what it holds on a GPU: the model, what is left in the host's memory, adapters, a draft."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from llmcx.answers.fit import most
from llmcx.answers.memory import Memory, Part, memory
from llmcx.costs.params import fold as params_fold
from llmcx.engines import Engine
from llmcx.engines.inference_memory import beside, held
from llmcx.engines.vllm import VLLM
from llmcx.errors import InputError
from llmcx.formats import dtypes, quant
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers
from llmcx.parallel.layout import Layout

TABLES = (
    *("apertus", "cohere", "exaone", "exaone4", "falcon_h1", "granite", "granitemoe", "granitemoehybrid", "granitemoeshared"),
    *("jamba", "lfm2", "lfm2_moe", "llama", "minicpm", "mistral", "mixtral", "nemotron", "nemotron_h", "phimoe", "qwen3"),
    *("qwen3_moe", "qwen3_5_text", "qwen3_5_moe_text"),
)
"""Families of which vLLM adapts the token table and the head too (embedding_modules of their classes)."""


@dataclass(frozen=True)
class Slots:
    """Room for ``many`` adapters at once, of ``rank`` in each matrix of the layers; ``experts`` have them too."""

    many: int
    rank: int
    experts: bool = True


@dataclass(frozen=True)
class Draft:
    """What drafts tokens: another model, its weights in ``dtype``; or the model's own layers for multi-token prediction."""

    spec: ModelSpec | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Asked:
    """What a line asks for: ``batch`` sequences of ``seq`` tokens at the least, at most ``limit``; weights in ``dtype``, a cache
    in ``kv_dtype``; on ``layout``, in ``replicas`` copies; of ``there`` GPUs, where their number is known. ``whole``: bytes of a
    GPU, of which the engine has a share; ``host``: bytes of a GPU's weights that stay in the host's memory at most;
    ``still``: the engine where images may be shown and no videos; ``made``: the engine makes fp8 of 16-bit files; ``twice``: it
    keeps experts as they were loaded beside those that it has laid out for its kernels; ``apart``: each GPU has all of the
    encoder of images.
    """

    seq: int
    dtype: str
    kv_dtype: str
    layout: Layout
    engine: Engine
    batch: int = 1
    limit: int | None = None
    replicas: int = 1
    there: int | None = None
    whole: int | None = None
    host: int = 0
    slots: Slots | None = None
    draft: Draft | None = None
    still: Engine | None = None
    made: bool = False
    twice: bool = False
    apart: bool = False

    def inputs(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """As :func:`llmcx.answers.remedies.remedies` takes them."""
        asked = {"batch": self.batch, "seq": self.seq, "dtype": self.dtype, "layout": self.layout}
        return asked, {"train": False, "kv_dtype": self.kv_dtype, "engine": self.engine}

    @property
    def plain(self) -> bool:
        """Whether it holds the model alone, all of it on GPUs."""
        return not (self.host or self.slots or self.draft or self.twice or self.apart)


def served(spec: ModelSpec, asked: Asked) -> ModelSpec:
    """The model with the layers that are run beside its own: those that predict more tokens, each as its last one that attends
    (vllm/model_executor/models/deepseek_mtp.py; sglang/srt/models/glm4_moe_nextn.py).
    """
    if asked.draft is None or asked.draft.spec is not None or not spec.mtp:
        return spec
    attends = [each for each in spec.decoder if getattr(each.mixer, "type", None) in ("attention", "mla")]
    last = (attends or [*spec.decoder])[-1]
    return replace(spec, decoder=(*spec.decoder, replace(last, repeat=spec.mtp)))


def holding(spec: ModelSpec, asked: Asked, budget: int | None = None) -> Memory:
    """The bytes of the fullest GPU, with all that the line asks for."""
    inputs, fixed = asked.inputs()
    whole = served(spec, asked)
    found = memory(whole, **inputs, **fixed, budget=budget)
    if asked.plain:
        return found
    more = [
        *_twice(whole, asked),
        *_apart(whole, asked),
        *_draft(spec, asked),
        *_slots(whole, asked),
        *_host(whole, asked, found),
    ]
    total = found.total_bytes + sum(part.bytes for part in more)
    left = None if budget is None else budget - total
    return replace(
        found,
        parts=[*found.parts, *more],
        total_bytes=total,
        fits=None if left is None else left >= 0,
        headroom_bytes=left,
    )


def loading(spec: ModelSpec, asked: Asked) -> int:
    """Bytes of the weights of the fullest GPU while they are loaded, where the engine makes fp8 of them after that; else 0."""
    if not (asked.made and asked.engine.wide):
        return 0
    whole = served(spec, asked)
    return 2 * max(gpu.params for gpu in held(whole, asked.batch, asked.seq, asked.layout, asked.engine)) - asked.host


def missing(spec: ModelSpec, asked: Asked, budget: int) -> int:
    """Bytes that a GPU has too few with a driver of which CUDA graphs take more; 0 where there is room, or none are made."""
    if not isinstance(asked.engine, VLLM) or asked.engine.eager or asked.whole is None:
        return 0
    of = replace(asked, engine=replace(asked.engine, old=True))
    size, _ = beside(served(spec, of), of.batch, of.seq, of.layout, of.engine)
    return max(0, budget + size - asked.whole, holding(spec, of).total_bytes - budget)


def longest(spec: ModelSpec, asked: Asked, budget: int) -> int | None:
    """The most tokens of a sequence, up to those asked for, that fit; None where not even one does."""
    if holding(spec, asked).total_bytes <= budget:
        return asked.seq
    try:
        return most(lambda n: holding(spec, replace(asked, seq=n)), budget, asked.seq, "seq")[0]
    except InputError:
        return None


def _twice(spec: ModelSpec, asked: Asked) -> list[Part]:
    """Experts once more, as they were loaded."""
    if not asked.twice:
        return []
    sizes = []
    for gpu in held(spec, asked.batch, asked.seq, asked.layout, asked.engine):
        sizes.append(quant.weights(spec, asked.dtype, [op for op in gpu.weights if op.role == "expert"]).bytes)
    return [Part("copies", max(sizes), "the experts as they were loaded, beside those that the kernels take")]


def _apart(spec: ModelSpec, asked: Asked) -> list[Part]:
    """What an encoder has more where it is whole on each tensor-parallel GPU."""
    if not asked.apart or asked.layout.tp == asked.layout.attention_dp:
        return []
    sizes = []
    for layout in (asked.layout._replace(tp=1, ep=1, attention_dp=1), asked.layout):
        gpus = held(spec, asked.batch, asked.seq, layout, asked.engine)
        towers = [[op for op in gpu.weights if op.role == "tower"] for gpu in gpus]
        if asked.dtype in dtypes.BITS:
            sizes.append(max(int(params_fold.total(ops) * dtypes.per_element(asked.dtype)) for ops in towers))
        else:
            sizes.append(max(quant.weights(spec, asked.dtype, ops).bytes for ops in towers if ops))
    rest = max(0, sizes[0] - sizes[1])
    return [Part("encoder", rest, "the rest of the encoder, which each GPU has whole")] if rest else []


def _draft(spec: ModelSpec, asked: Asked) -> list[Part]:
    """Another model's weights and its cache of the same tokens. Of the model's own layers, which are counted with it, the
    projection from a state and a token that stands before each, on every GPU.
    """
    if asked.draft is None:
        return []
    of = asked.draft.spec
    if of is None:
        size = 2 * spec.mtp * (2 * spec.d_model**2 + 3 * spec.d_model)
        return [Part("draft", size, f"{spec.mtp} projections of 2·d × d and three norms before each layer that drafts, × 2 B")]
    inputs, fixed = asked.inputs()
    dtype = asked.draft.dtype or dtypes.default(of)
    for layout in (asked.layout, asked.layout._replace(tp=1, pp=1, ep=1, attention_dp=1)):
        try:
            found = memory(replace(of, context=None), **{**inputs, "dtype": dtype, "layout": layout}, **fixed)
        except InputError:  # what the tensor-parallel GPUs of the model do not divide is on each of them
            continue
        sizes = {part.part: part.bytes for part in found.parts if part.part in ("weights", "kv_cache", "state")}
        return [Part("draft", sum(sizes.values()), f"{of.title or of.name}: {' + '.join(sizes)}")]
    raise InputError(f"{of.title or of.name} cannot draft with the layout of the model", field="line")


def _slots(spec: ModelSpec, asked: Asked) -> list[Part]:
    """Both matrices of each adapter, whole where the model's is not divided (vllm/lora/layers, create_lora_weights)."""
    if asked.slots is None:
        return []
    of, gpus = asked.slots, held(spec, asked.batch, asked.seq, asked.layout, asked.engine)
    size = max(sum(_sides(op) for op in gpu.weights if of.experts or op.role != "expert") for gpu in gpus)
    text = f"{of.many} × rank {of.rank} × (in + out) of each matrix in the layers"
    if asked.engine.name == "vllm" and spec.family in TABLES:
        size += 2 * (spec.embedding.vocab + spec.d_model)
        text += ", of the token table and of the head"
    return [Part("adapters", 2 * of.many * of.rank * size, f"{text} × 2 B")]


def _sides(op: Op) -> int:
    """Both sides of a matrix in the layers, for each of them."""
    seen = op.kind == "linear" and in_layers(op) and op.role != "tower"
    return (op.dims["d_in"] + op.dims["d_out"]) * op.copies * op.times if seen else 0


def _host(spec: ModelSpec, asked: Asked, found: Memory) -> list[Part]:
    """What of the layers stays in the host's memory, layer by layer (vllm/model_executor/offloader/uva.py)."""
    if not asked.host:
        return []
    weights = next(part.bytes for part in found.parts if part.part == "weights")
    shares = []
    for gpu in held(spec, asked.batch, asked.seq, asked.layout, asked.engine):
        shares.append(params_fold.total(op for op in gpu.weights if in_layers(op)) / gpu.params)
    size = min(asked.host, int(weights * min(shares)))
    return [Part("host", -size, f"of the layers, in the host's memory: at most {asked.host:,} B")]
