"""A model's shape as Megatron-LM's arguments, and the shape that such arguments state.

A model is written, read back and compared; what differs is what the arguments cannot say, so nothing is left out by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import groupby
from typing import Any

from llmcx.cli.launching import bad
from llmcx.errors import InputError, shown
from llmcx.model.cores import Sliding, Standard
from llmcx.model.ffn import FFN, Gated, MoE, Plain
from llmcx.model.layers import Layers, runs_of
from llmcx.model.mixers.attention import Attention
from llmcx.model.mixers.mla import MLA
from llmcx.model.norm import Norm
from llmcx.model.spec import Embedding, Head, ModelSpec

Values = Mapping[str, str | None]
"""Arguments by flag; None for one that takes no value."""

ALIKE = {"gelu_new": "gelu", "gelu_tanh": "gelu", "gelu_pytorch_tanh": "gelu"}
"""Activations that cost the same, by the one that arguments name."""


WAY = "--emit deepspeed and fsdp-accelerate leave the shape to the script"


def shaped(spec: ModelSpec, tp: int) -> list[str]:
    """The arguments of a model's shape. Raises InputError for what they do not say."""
    first = spec.decoder[0].mixer if spec.decoder else None
    why = ""
    if spec.encoder or spec.towers or not spec.decoder:
        why = "no encoder and no towers"
    elif not isinstance(first, (Attention, MLA)):
        why = f"no mixer {getattr(first, 'type', 'of that kind')}"
    words = [] if why else list(_words(spec, tp))
    vocabulary = spec.embedding.vocab
    if not why:
        values = {flag: text.strip('"') or None for flag, _, text in (word.partition(" ") for word in words)}
        differs = _unlike(comparable(spec), comparable(with_vocabulary(stated(values), vocabulary)))
        why = differs and f"no {differs}"
    if why:
        problem = f"Megatron-LM's arguments have {why}, which {spec.title or spec.name} needs; {WAY}"
        raise InputError(problem, field="emit", value="megatron")
    return words


def _words(spec: ModelSpec, tp: int) -> Iterator[str]:
    """The arguments, as well as they can."""
    layers = spec.decoder
    first = layers[0].mixer
    yield f"--num-layers {spec.n_layers}"
    yield f"--hidden-size {spec.d_model}"
    if isinstance(first, (Attention, MLA)):
        yield f"--num-attention-heads {first.n_heads}"
    if isinstance(first, Attention):
        yield from _attention(spec, first)
    elif isinstance(first, MLA):
        yield "--multi-latent-attention"
        yield "--qk-layernorm"
        yield from (f"--q-lora-rank {first.q_rank}",) if first.q_rank else ()
        yield f"--kv-lora-rank {first.kv_rank}"
        yield f"--qk-head-dim {first.nope_dim}"
        yield f"--qk-pos-emb-head-dim {first.rope_dim}"
        yield f"--v-head-dim {first.v_dim}"
        yield "--position-embedding-type rope"
    dense = next((run.ffn for run in layers if isinstance(run.ffn, (Plain, Gated))), None)
    mixture = next((run.ffn for run in layers if isinstance(run.ffn, MoE)), None)
    shape = dense or (mixture.expert if mixture else None)
    if shape is not None:
        yield f"--ffn-hidden-size {shape.d_ff}"
        if isinstance(shape, Gated):
            yield "--quick-geglu" if shape.activation == "quick_gelu" else "--swiglu"
        elif shape.activation == "relu2":
            yield "--squared-relu"
        elif shape.activation == "gelu_new":
            yield "--openai-gelu"
        biased = shape.bias
        if not biased:
            yield "--disable-bias-linear"
        if isinstance(first, Attention) and first.bias and not biased:
            yield "--add-qkv-bias"
    if mixture is not None:
        yield from _mixture(mixture, layers)
    yield f"--normalization {'RMSNorm' if spec.norm.type == 'rmsnorm' else 'LayerNorm'}"
    if spec.head is not None and not spec.head.tied:
        yield "--untie-embeddings-and-output-weights"
    vocab = spec.embedding.vocab
    yield f"--vocab-size {vocab}"
    yield f"--padded-vocab-size {-(-vocab // tp) * tp}"


def _attention(spec: ModelSpec, of: Attention) -> Iterator[str]:
    if of.kv_heads != of.n_heads:
        yield "--group-query-attention"
        yield f"--num-query-groups {of.kv_heads}"
    if spec.d_model % of.n_heads or of.width(spec.d_model) != spec.d_model // of.n_heads:
        yield f"--kv-channels {of.width(spec.d_model)}"
    if of.qk_norm is not None:
        yield "--qk-layernorm"
    if of.sinks:
        yield "--softmax-type learnable"
    windows = [getattr(run.mixer, "core", None) for run in spec.decoder for _ in range(run.repeat)]
    wide = {core.window for core in windows if isinstance(core, Sliding)}
    if len(wide) == 1:
        yield f'--window-size "({wide.pop() - 1},0)"'
        if not all(isinstance(core, Sliding) for core in windows):
            yield f'--window-attn-skip-freq "{_pattern([int(isinstance(core, Sliding)) for core in windows])}"'
    where = "rope" if of.rope else "none" if spec.embedding.positions is None else "learned_absolute"
    yield f"--position-embedding-type {where}"
    if where == "learned_absolute":
        yield f"--max-position-embeddings {spec.embedding.positions}"


def _mixture(of: MoE, layers: tuple[Layers, ...]) -> Iterator[str]:
    yield f"--num-experts {of.n_experts}"
    yield f"--moe-router-topk {of.top_k}"
    yield f"--moe-ffn-hidden-size {of.expert.d_ff}"
    if of.shared is not None:
        yield f"--moe-shared-expert-intermediate-size {of.shared.d_ff}"
    if of.shared_gate:
        yield "--moe-shared-expert-gate"
    if of.correction:
        yield "--moe-router-score-function sigmoid"
        yield "--moe-router-enable-expert-bias"
    if of.latent is not None:
        yield f"--moe-latent-size {of.latent}"
    mixed = [int(isinstance(run.ffn, MoE)) for run in layers for _ in range(run.repeat)]
    if not all(mixed):
        yield f'--moe-layer-freq "{_pattern(mixed)}"'


def _pattern(marks: list[int]) -> str:
    """Layers by a list that Megatron evaluates.

    >>> _pattern([0, 0, 0, 1, 1]), _pattern([1, 0] * 3)
    ('([0]*3+[1]*2)', '([1,0]*3)')
    """
    for period in range(2, min(9, len(marks) // 2 + 1)):
        if len(marks) % period == 0 and marks == marks[:period] * (len(marks) // period):
            return f"([{','.join(map(str, marks[:period]))}]*{len(marks) // period})"
    return "(" + "+".join(f"[{mark}]*{len(list(run))}" for mark, run in groupby(marks)) + ")"


# --- the way back ------------------------------------------------------------------------------------------------------------


def stated(values: Values) -> ModelSpec:
    """The model of these arguments. Raises InputError where they leave something open, or contradict each other."""
    layers, d, heads = (_size(values, name) for name in ("--num-layers", "--hidden-size", "--num-attention-heads"))
    biased = "--disable-bias-linear" not in values
    norm = Norm("rmsnorm" if values.get("--normalization") == "RMSNorm" else "layernorm")
    windowed = _layers_of(values, "--window-attn-skip-freq", layers, full_at=True)
    mixed = _layers_of(values, "--moe-layer-freq", layers) if "--num-experts" in values else [0] * layers
    window = _window(values)
    kinds = []
    for at in range(layers):
        core = Sliding(window) if window is not None and windowed[at] else Standard()
        kinds.append(Layers(1, _mixer(values, d, heads, biased, core), _ffn(values, d, biased, bool(mixed[at]))))
    position = values.get("--position-embedding-type", "learned_absolute")
    rows = _size(values, "--max-position-embeddings") if position == "learned_absolute" else None
    return ModelSpec(
        name="megatron",
        d_model=d,
        embedding=Embedding(_vocabulary(values), positions=rows),
        decoder=runs_of(kinds),
        norm=norm,
        head=Head(tied="--untie-embeddings-and-output-weights" not in values),
        title="a model of these arguments",
        source="the command line",
    )


def _mixer(values: Values, d: int, heads: int, biased: bool, core: Any) -> Attention | MLA:
    if "--multi-latent-attention" in values:
        rank = values.get("--q-lora-rank")
        return MLA(
            heads,
            kv_rank=_size(values, "--kv-lora-rank", 32),
            nope_dim=_size(values, "--qk-head-dim", 128),
            rope_dim=_size(values, "--qk-pos-emb-head-dim", 64),
            v_dim=_size(values, "--v-head-dim", 128),
            q_rank=None if rank is None else _size(values, "--q-lora-rank"),
            core=core,
        )
    groups = None
    if "--group-query-attention" in values:
        groups = _size(values, "--num-query-groups", 1)
    elif "--num-query-groups" in values:
        raise bad("--num-query-groups counts only with --group-query-attention; add it, or leave both out")
    width = _size(values, "--kv-channels", 0)
    if not width and d % heads:
        raise bad(f"--hidden-size {d:,} is no multiple of --num-attention-heads {heads:,}; add --kv-channels, or change one")
    return Attention(
        heads,
        n_kv_heads=groups,
        head_dim=width or None,
        bias=biased or "--add-qkv-bias" in values,
        out_bias=biased,
        rope=values.get("--position-embedding-type") == "rope",
        qk_norm="head" if "--qk-layernorm" in values else None,
        sinks=values.get("--softmax-type") == "learnable",
        core=core,
    )


def _ffn(values: Values, d: int, biased: bool, mixture: bool) -> FFN:
    gated = "--swiglu" in values or "--quick-geglu" in values
    if gated and "--squared-relu" in values:
        raise bad("--swiglu and --squared-relu contradict each other; give one")

    def one(size: int) -> Plain | Gated:
        if gated:
            return Gated(size, biased, "quick_gelu" if "--quick-geglu" in values else "silu")
        return Plain(size, bias=biased, activation="relu2" if "--squared-relu" in values else "gelu")

    # Where it is not stated: four times the width, or two thirds of that in multiples of 64 where it is gated.
    usual = int(4 * d * 2 / 3 / 64) * 64 if gated else 4 * d
    dense = _size(values, "--ffn-hidden-size", usual)
    if not mixture:
        return one(dense)
    shared = _size(values, "--moe-shared-expert-intermediate-size", 0)
    return MoE(
        _size(values, "--num-experts"),
        _size(values, "--moe-router-topk", 2),
        one(_size(values, "--moe-ffn-hidden-size", dense)),
        shared=one(shared) if shared else None,
        shared_gate="--moe-shared-expert-gate" in values,
        correction="--moe-router-enable-expert-bias" in values,
        latent=_size(values, "--moe-latent-size", 0) or None,
    )


def _vocabulary(values: Values) -> int:
    """Rows of the token table: those stated, else the tokenizer's in multiples of --make-vocab-size-divisible-by times tp."""
    if values.get("--padded-vocab-size") is not None:
        return _size(values, "--padded-vocab-size")
    size = values.get("--vocab-size")
    if size is None:
        raise bad("the line states no --vocab-size, and its tokenizer is not read; add --padded-vocab-size")
    step = _size(values, "--make-vocab-size-divisible-by", 128) * _size(values, "--tensor-model-parallel-size", 1)
    return -(-_size(values, "--vocab-size") // step) * step


def _window(values: Values) -> int | None:
    text = values.get("--window-size")
    if text is None:
        return None
    match = re.fullmatch(r"\(?\s*(-?\d+)\s*,\s*(-?\d+)\s*\)?", text)
    if match is None:
        raise bad(f"--window-size is {shown(text)}, but must be two numbers: (127,0)", text)
    return None if int(match[1]) < 0 else int(match[1]) + 1


def _layers_of(values: Values, flag: str, layers: int, full_at: bool = False) -> list[int]:
    """Of each layer a mark: by a list, or by how often. ``full_at``: N marks all layers but each N-th; else each N-th alone."""
    text = values.get(flag)
    if text is None:
        return [1] * layers
    if text.strip().isdecimal() and int(text) > 0:
        every = int(text)
        return [int((at + 1) % every != 0) if full_at else int(at % every == 0) for at in range(layers)]
    marks = _listed(text, flag)
    if len(marks) != layers:
        raise bad(f"{flag} lists {len(marks):,} layers, but --num-layers is {layers:,}", text)
    return marks


def _listed(text: str, flag: str) -> list[int]:
    """A list of 0 and 1 as Python writes it: ([0]*3+[1]*58).

    >>> _listed("([0]*2+[1,0]*2)", "--moe-layer-freq")
    [0, 0, 1, 0, 1, 0]
    """
    marks: list[int] = []
    body = text.replace(" ", "")
    body = body[1:-1] if body.startswith("(") and body.endswith(")") else body
    for piece in body.split("+"):
        match = re.fullmatch(r"\(?\[((?:[01],?)+)\](?:\*(\d{1,5}))?\)?", piece)
        if match is None:
            raise bad(f"{flag} is {shown(text)}, but must be a whole number or a list such as ([0]*3+[1]*58)", text)
        marks += [int(mark) for mark in match[1].split(",") if mark] * int(match[2] or 1)
    return marks


def _size(values: Values, flag: str, default: int | None = None) -> int:
    text = values.get(flag)
    if text is None:
        if default is None:
            raise bad(f"the line states no {flag}; add it, or name the model after the line")
        return default
    if not re.fullmatch(r"\d{1,15}", text.strip()) or int(text) < 1:
        raise bad(f"{flag} is {shown(text)}, but must be a whole number of at least 1", text)
    return int(text)


# --- whether two models cost the same ----------------------------------------------------------------------------------------


def comparable(spec: ModelSpec) -> ModelSpec:
    """``spec`` with what costs nothing in training as arguments have it: names, defaults written out, how files store a scale."""

    def plain(of: Any) -> Any:
        if isinstance(of, Norm):
            return replace(of, fp32=False, offset=False, bias=of.shift)
        if isinstance(of, Attention):
            width, kv = of.width(spec.d_model), of.kv_heads
            out = of.bias if of.out_bias is None else of.out_bias
            k_bias = of.bias if of.k_bias is None else of.k_bias
            value = None if of.v_dim == width else of.v_dim
            same: dict[str, Any] = {"head_dim": width, "n_kv_heads": kv, "out_bias": out, "v_dim": value, "k_bias": k_bias}
            return replace(of, one_matrix=False, softmax_fp32=True, qk_norm_type=Norm("rmsnorm"), **same)
        if isinstance(of, MLA):
            return of
        if isinstance(of, (Plain, Gated)):
            alike: Any = ALIKE.get(of.activation, of.activation)
            return replace(of, activation=alike)
        if isinstance(of, MoE):
            return replace(of, expert=plain(of.expert), shared=of.shared and plain(of.shared), every_expert=False)
        return of

    def layer(of: Layers) -> Layers:
        norms = None if of.norms == replace(of, norms=None).norm_names else of.norms
        return replace(of, mixer=plain(of.mixer), ffn=plain(of.ffn), norms=norms)

    made = spec.with_layers(layer)
    found = {each.name: getattr(made, each.name) for each in fields(ModelSpec) if each.name in COMPARED}
    final = spec.final_norm_type
    found["final_norm_type"] = None if final is None or plain(final) == plain(spec.norm) else final
    return ModelSpec(name="", **found | {"norm": plain(spec.norm)})


COMPARED = ("d_model", "embedding", "decoder", "encoder", "norm", "final_norm", "head", "labels", "pooler", "prompt", "extras")


def with_vocabulary(spec: ModelSpec, vocab: int) -> ModelSpec:
    """``spec`` with a token table of so many rows."""
    return replace(spec, embedding=replace(spec.embedding, vocab=vocab))


PADDING = 2**14
"""Rows by which a token table may be longer than a model's own: what divides it, times the GPUs that share it."""


def same(one: ModelSpec, other: ModelSpec) -> bool:
    """Whether two models cost the same in training; the token table of the first may be padded."""
    extra = one.embedding.vocab - other.embedding.vocab
    return 0 <= extra <= PADDING and comparable(with_vocabulary(one, other.embedding.vocab)) == comparable(other)


def _unlike(one: Any, other: Any, name: str = "") -> str:
    """The first field in which two parts differ, with the first's value."""
    if type(one) is not type(other):
        return f"{name} {getattr(one, 'type', None) or shown(one)[:60]}"
    if is_dataclass(one) and one != other:
        for each in fields(one):
            kind = f"{getattr(one, 'type', '')} {each.name}".strip()
            if found := _unlike(getattr(one, each.name), getattr(other, each.name), kind):
                return found
    if isinstance(one, tuple) and not hasattr(one, "_fields") and one != other:
        if len(one) != len(other):
            return "such order of layers"
        return next(filter(None, (_unlike(a, b, name) for a, b in zip(one, other, strict=True))), "")
    return "" if one == other else f"{name} {shown(getattr(one, 'type', one))[:60]}"
