"""Shape flags: a whole model from a few numbers, or a known model with one thing changed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from llmcx.errors import InputError
from llmcx.model.order import LONGEST_STACK, period
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, MoE, Norm, Plain, Sliding, runs_of


@dataclass(frozen=True)
class Shape:
    """The numbers a user may state on the command line; None is "not stated"."""

    layers: int | None = None
    d_model: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    d_ff: int | None = None
    vocab: int | None = None
    positions: int | None = None
    context_length: int | None = None
    experts: int | None = None
    top_k: int | None = None
    experts_from: str | None = None
    window: int | None = None
    ffn: str | None = None
    norm: str | None = None
    attention: str | None = None
    bias: bool | None = None
    tied: bool | None = None

    def stated(self) -> dict[str, Any]:
        """The fields that were given."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


def from_shape(shape: Shape) -> tuple[ModelSpec, list[str]]:
    """A decoder from shape flags alone, and what had to be assumed.

    The assumptions are the textbook's: a plain feed-forward 4 d_model wide, heads of 128, layer norms, a tied head,
    no biases, no learned positions. Raises InputError naming the flags that are missing.
    """
    missing = [f"--{name.replace('_', '-')}" for name in ("layers", "d_model", "vocab") if getattr(shape, name) is None]
    if missing:
        problem = f"no model is named: give one, as llama-3-8b or ./config.json, or its shape: {', '.join(missing)}"
        raise InputError(problem, field="model")
    assert shape.layers is not None and shape.d_model is not None and shape.vocab is not None
    head_dim = shape.head_dim or next(dim for dim in (128, 64, shape.d_model) if shape.d_model % dim == 0)
    heads = max(1, shape.d_model // head_dim) if shape.heads is None else shape.heads
    d_ff = 4 * shape.d_model if shape.d_ff is None else shape.d_ff
    assumed = (
        (shape.heads, f"--heads {heads} ({f'heads of {head_dim}' if shape.head_dim is None else 'd_model / head_dim'})"),
        (shape.d_ff, f"--d-ff {d_ff} (4 × d_model)"),
        (shape.ffn, "--ffn plain"),
        (shape.norm, "--norm layernorm"),
        (shape.tied, "--tied"),
        (shape.bias, "--no-bias"),
        (shape.positions, "no learned positions"),
    )
    block = Gated(d_ff) if shape.ffn == "gated" else Plain(d_ff)
    spec = ModelSpec(
        name=f"{shape.layers}x{shape.d_model}",
        d_model=shape.d_model,
        embedding=Embedding(shape.vocab),
        decoder=(Layers(shape.layers, Attention(heads, head_dim=shape.head_dim), block),),
        head=Head(tied=True),
    )
    return apply(spec, shape), [f"assumed {text}" for value, text in assumed if value is None]


def made_experts(shape: Shape) -> list[str]:
    """Which of the two ways to make experts of a dense feed-forward was taken: they give different models."""
    if shape.experts_from == "split":
        said = f"split: {shape.experts:,} experts of d_ff / {shape.experts:,}; the total grows by the routers alone"
    else:
        said = f"copy: {shape.experts:,} experts as wide as the dense feed-forward, as in Switch; the total grows"
    return [f"--set experts_from={said}"]


def apply(spec: ModelSpec, shape: Shape) -> ModelSpec:
    """``spec`` with what ``shape`` states in place of its own; everything else stays as it was.

    Raises InputError where a flag has no single meaning for this model.
    """
    given = shape.stated()
    if not given:
        return spec
    stacks = {stack: getattr(spec, stack) for stack in ("encoder", "decoder")}
    if shape.layers is not None:
        stacks = {stack: runs and _resized(spec, shape.layers) for stack, runs in stacks.items()}
    if (shape.experts is None) != (shape.top_k is None) and not spec.mixtures:
        missing = "experts" if shape.experts is None else "top_k"
        raise InputError("a mixture of experts needs both --experts and --top-k", field=missing)
    if shape.experts_from is not None:
        _choice("experts_from", shape.experts_from, ("split", "copy"))
        if shape.experts is None or spec.mixtures:
            why = f"{spec.name} has experts already" if shape.experts is not None else "give --experts and --top-k"
            raise InputError(f"experts_from makes a dense model's feed-forward into experts: {why}", field="experts_from")
    model: dict[str, Any] = {key.removesuffix("_length"): given[key] for key in ("d_model", "context_length") if key in given}
    model["embedding"] = replace(spec.embedding, **{key: given[key] for key in ("vocab", "positions") if key in given})
    if shape.norm is not None:
        model["norm"] = Norm(_choice("norm", shape.norm, ("layernorm", "rmsnorm")))  # type: ignore[arg-type]
    if shape.tied is not None:
        if spec.head is None:
            raise InputError(f"{spec.name} has no LM head to tie", field="tied")
        model["head"] = replace(spec.head, tied=shape.tied)
    changes = ", ".join(f"{name}={value}" for name, value in given.items())
    model["title"] = f"{spec.title or spec.name} with {changes}"
    # All at once, so that two flags that only fit together (d_model and heads) are not judged one by one.
    for stack, runs in stacks.items():
        kinds = {layers.kind: _layers(layers, shape) for layers in runs}
        model[stack] = runs_of(replace(kinds[layers.kind], repeat=layers.repeat) for layers in runs)
    spec = replace(spec, **model)
    if shape.attention is not None and shape.window is not None:
        raise InputError("--window and --attention both choose the attention core; give one", field="window")
    if shape.attention is None and shape.window is None:
        return spec
    from llmcx.model.variants import parse_variant, with_variant

    if shape.attention is not None:
        return with_variant(spec, parse_variant(shape.attention))
    assert shape.window is not None
    return with_variant(spec, Sliding(shape.window))


def _resized(spec: ModelSpec, layers: int) -> tuple[Layers, ...]:
    """The one stack of ``spec`` with that many ``layers``: alike, or its pattern some times over, if there is one."""
    if len(spec.kinds) == 1:
        return (replace(spec.groups[0], repeat=layers),)
    every = None if spec.encoder and spec.decoder else period(spec.runs)
    if every is None:
        problem = f"--layers cannot say which of the {len(spec.groups)} layer groups of {spec.name} it means"
        way_out = f"edit the preset instead (llmcx catalog show {spec.name})"
        raise InputError(f"{problem}; {way_out}", field="layers", value=layers)
    if layers == spec.n_layers:
        return spec.encoder or spec.decoder
    if layers < 1 or layers % every or layers > LONGEST_STACK:
        allowed = f"a multiple of {every} up to {LONGEST_STACK:,}, because its layers repeat a pattern of {every}"
        problem = f"--layers is {layers}, but for {spec.name} must be {allowed}"
        raise InputError(problem, field="layers", value=layers, allowed=allowed)
    names = [name for name, n in spec.runs for _ in range(n)][:every]
    return runs_of([replace(spec.kinds[name], repeat=1) for name in names] * (layers // every))


def _choice(field: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        either = " or ".join(allowed)
        raise InputError(f"{field} is {value!r}, but must be {either}", field=field, value=value, allowed=either)
    return value


def _layers(layers: Layers, shape: Shape) -> Layers:
    mixer = _attention(layers.mixer, shape) if isinstance(layers.mixer, Attention) else layers.mixer
    cross = None if layers.cross is None else _attention(layers.cross, shape)
    ffn = None if layers.ffn is None else _ffn(layers.ffn, shape)
    return replace(layers, mixer=mixer, cross=cross, ffn=ffn)


def _attention(part: Attention, shape: Shape) -> Attention:
    names = {"heads": "n_heads", "kv_heads": "n_kv_heads", "head_dim": "head_dim", "bias": "bias"}
    given = {names[key]: value for key, value in shape.stated().items() if key in names}
    if shape.bias is not None:
        given["out_bias"] = None
    if shape.heads is not None and shape.kv_heads is None and part.n_kv_heads == part.n_heads:
        given["n_kv_heads"] = None  # multi-head stays multi-head
    return replace(part, **given) if given else part


def _ffn(part: Plain | Gated | MoE, shape: Shape) -> Plain | Gated | MoE:
    if isinstance(part, MoE):
        expert = _dense(part.expert, shape)
        experts = part.n_experts if shape.experts is None else shape.experts
        return replace(part, expert=expert, n_experts=experts, top_k=part.top_k if shape.top_k is None else shape.top_k)
    block = _dense(part, shape)
    if shape.experts is not None and shape.top_k is not None:
        return MoE(shape.experts, shape.top_k, _split(block, shape.experts) if shape.experts_from == "split" else block)
    return block


def _split(block: Plain | Gated, n_experts: int) -> Plain | Gated:
    """One of ``n_experts`` equal parts of a dense feed-forward (the chapter's k n d²/E); a bias on the way out is each's own."""
    if block.d_ff % n_experts:
        problem = f"experts_from=split cuts d_ff {block.d_ff:,} into {n_experts:,} equal experts, which does not come out even"
        raise InputError(problem, field="experts", value=n_experts, allowed=f"a divisor of {block.d_ff}")
    return replace(block, d_ff=block.d_ff // n_experts)


def _dense(part: Plain | Gated, shape: Shape) -> Plain | Gated:
    kind = part.type if shape.ffn is None else _choice("ffn", shape.ffn, ("plain", "gated"))
    d_ff = part.d_ff if shape.d_ff is None else shape.d_ff
    bias = part.bias if shape.bias is None else shape.bias
    if kind == part.type:
        return replace(part, d_ff=d_ff, bias=bias)
    return Gated(d_ff, bias) if kind == "gated" else Plain(d_ff, bias)
