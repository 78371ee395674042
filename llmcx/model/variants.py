"""Attention variants as people type them: cores, and mixers that take the place of a model's attention at its own shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, Union

from llmcx.errors import InputError, check_sizes, shown, unknown_name
from llmcx.model.cores import CORES, Core, Flash, TopK, check

if TYPE_CHECKING:
    from llmcx.model.mixers import Mixer
    from llmcx.model.mixers.attention import Attention
    from llmcx.model.spec import ModelSpec


class Replacement:
    """A variant that takes the place of a whole attention: projections, core and cache."""

    type: str

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """The mixer that stands where ``attention`` stood."""
        raise NotImplementedError


@dataclass(frozen=True)
class MHA(Replacement):
    """A key-value head for every query head, in a flash kernel (Vaswani et al. 2017, arXiv:1706.03762)."""

    type: Literal["mha"] = "mha"

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """The attention with as many key-value heads as query heads."""
        return replace(attention, n_kv_heads=attention.n_heads, core=Flash())


@dataclass(frozen=True)
class MQA(Replacement):
    """One key-value head for all query heads, in a flash kernel (Shazeer 2019, arXiv:1911.02150)."""

    type: Literal["mqa"] = "mqa"

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """The attention with one key-value head."""
        return replace(attention, n_kv_heads=1, core=Flash())


@dataclass(frozen=True)
class GQA(Replacement):
    """``n_kv_heads`` key-value heads, each for a group of query heads, in a flash kernel (Ainslie et al. 2023,
    arXiv:2305.13245).
    """

    n_kv_heads: int
    type: Literal["gqa"] = "gqa"

    def __post_init__(self) -> None:
        check_sizes(self, "n_kv_heads")

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """The attention with that many key-value heads."""
        return replace(attention, n_kv_heads=self.n_kv_heads, core=Flash())


@dataclass(frozen=True)
class Latent(Replacement):
    """Multi-head latent attention: ``kv_rank`` numbers per token and a rotary key of ``rope_dim``.

    By default 4 and 1/2 heads wide, as DeepSeek-V2 has it (arXiv:2405.04434, sec. 2.1.4); queries straight from d_model, heads
    as wide as the model's. ``mla`` expands keys and values in a pass and absorbs the expansion in a decode step, as servers do;
    ``mla_naive`` always expands, ``mla_absorbed`` never.
    """

    kv_rank: int | None = None
    rope_dim: int | None = None
    type: Literal["mla", "mla_naive", "mla_absorbed"] = "mla"

    def __post_init__(self) -> None:
        check_sizes(self, "kv_rank", "rope_dim")

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """MLA with the attention's heads."""
        from llmcx.model.mixers.mla import MLA

        dim = attention.width(d_model)
        form: Any = {"mla": "mixed", "mla_naive": "naive", "mla_absorbed": "absorbed"}[self.type]
        rank, rope = self.kv_rank or 4 * dim, self.rope_dim or max(dim // 2, 1)
        return MLA(attention.n_heads, rank, dim, rope, dim, core=Flash(), form=form)


@dataclass(frozen=True)
class Naive(Latent):
    """MLA that always expands, and so caches whole keys and values."""

    type: Literal["mla", "mla_naive", "mla_absorbed"] = "mla_naive"


@dataclass(frozen=True)
class Absorbed(Latent):
    """MLA whose queries and outputs absorb the expansion: one wide key-value head, the latent itself."""

    type: Literal["mla", "mla_naive", "mla_absorbed"] = "mla_absorbed"


@dataclass(frozen=True)
class DSA(Replacement):
    """DeepSeek sparse attention: an indexer scores every pair cheaply, absorbed MLA runs on the ``top_k`` best of them.

    DeepSeek-V3.2 (arXiv:2512.02556, sec. 2.1): 2,048 keys, an indexer of 64 heads of 128 beside 128 attention heads; so by
    default ``index_heads`` is half the model's heads.
    """

    top_k: int = 2048
    index_heads: int | None = None
    index_dim: int = 128
    type: Literal["dsa"] = "dsa"

    def __post_init__(self) -> None:
        check_sizes(self, "top_k", "index_heads", "index_dim")

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """Absorbed MLA of DeepSeek's proportions, its indexer and the selection."""
        from llmcx.model.mixers.mla import MLA

        dim = attention.width(d_model)
        heads = self.index_heads or max(attention.n_heads // 2, 1)
        rope = max(dim // 2, 1)
        latent = MLA(attention.n_heads, 4 * dim, dim, rope, dim, core=TopK(self.top_k), form="absorbed")
        return replace(latent, index_heads=heads, index_dim=self.index_dim)


@dataclass(frozen=True)
class Native(Replacement):
    """Native sparse attention with the paper's sizes (Yuan et al. 2025, arXiv:2502.11089, sec. 4.1): compressed blocks of 32
    every 16 tokens, 16 selected blocks of 64, a window of 512, at the attention's own heads.
    """

    block: int = 32
    stride: int = 16
    select_block: int = 64
    selected: int = 16
    window: int = 512
    type: Literal["nsa"] = "nsa"

    def __post_init__(self) -> None:
        check_sizes(self, "block", "stride", "select_block", "selected", "window")

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """NSA with the attention's heads, key-value heads and width."""
        from llmcx.model.mixers.nsa import NSA

        sizes = (self.block, self.stride, self.select_block, self.selected, self.window)
        return NSA(attention.n_heads, attention.kv_heads, attention.width(d_model), *sizes)


@dataclass(frozen=True)
class DeltaNet(Replacement):
    """Gated DeltaNet (Yang et al. 2024, arXiv:2412.06464), with as many heads as the attention, as wide, and a filter of 4."""

    type: Literal["gated_delta"] = "gated_delta"

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """A state of head_dim x head_dim per head."""
        from llmcx.model.mixers.delta import GatedDelta

        heads, dim = attention.n_heads, attention.width(d_model)
        return GatedDelta(heads, heads, dim, dim, 4)


@dataclass(frozen=True)
class SSD(Replacement):
    """Mamba-2 as published: twice d_model inside, heads of 64, one group, a filter of 4, chunks of 256; a state of ``d_state``
    per channel (Dao and Gu 2024, arXiv:2405.21060, sec. 7 and the released code).
    """

    d_state: int = 128
    type: Literal["mamba2"] = "mamba2"

    def __post_init__(self) -> None:
        check_sizes(self, "d_state")

    def mixer(self, attention: Attention, d_model: int) -> Mixer:
        """Mamba-2 for that d_model."""
        from llmcx.model.mixers.mamba2 import Mamba2

        if 2 * d_model % 64:
            raise InputError(
                f"d_model {d_model} does not give Mamba-2 whole heads of 64 in 2 × d_model", field="d_model", value=d_model
            )
        return Mamba2(2 * d_model // 64, 64, self.d_state, 1, 4, 256)


Variant = Union[Core, Replacement]

_KINDS: tuple[Any, ...] = (MHA, MQA, GQA, Latent, Naive, Absorbed, DSA, Native, DeltaNet, SSD)
REPLACEMENTS: dict[str, Any] = {kind.type: kind for kind in _KINDS}
VARIANTS: dict[str, Any] = {name: kind for name, kind in CORES.items() if name != "topk"} | REPLACEMENTS
"""By the name that is typed. Top-k selection needs an indexer, so it is typed as dsa."""

_EXAMPLES = {"n_kv_heads": 8, "devices": 8, "stride": 128, "summary": 8, "rounds": 4}


def _example(name: str, missing: list[str]) -> str:
    """Settings as one would write them."""
    short = {long: key for key, long in SHORT.get(name, {}).items()}
    return ",".join(f"{short.get(long, long)}={_EXAMPLES.get(long, 256)}" for long in missing)


SHORT = {
    "sliding": {"w": "window"},
    "chunked": {"w": "window"},
    "local": {"w": "window"},
    "strided": {"k": "stride"},
    "fixed": {"k": "stride", "c": "summary"},
    "longformer": {"w": "window", "g": "n_global", "m": "dilation"},
    "bigbird": {"b": "block", "w": "window", "g": "n_global", "r": "random"},
    "reformer": {"c": "chunk", "h": "rounds"},
    "linformer": {"k": "rank"},
    "performer": {"r": "features"},
    "ring": {"p": "devices"},
    "gqa": {"g": "n_kv_heads"},
    "mla": {"c": "kv_rank", "rope": "rope_dim"},
    "mla_naive": {"c": "kv_rank", "rope": "rope_dim"},
    "mla_absorbed": {"c": "kv_rank", "rope": "rope_dim"},
    "dsa": {"k": "top_k", "heads": "index_heads", "dim": "index_dim"},
    "nsa": {"l": "block", "d": "stride", "b": "select_block", "n": "selected", "w": "window"},
    "mamba2": {"n": "d_state"},
}
"""Short names of a variant's settings, as typed: local:w=256, bigbird:b=64,r=3, linformer:k=256."""


def parse_variant(text: str) -> Variant:
    """A variant from its name and settings.

    Raises InputError for an unknown name, an unknown or missing setting, or a value that is not a whole number.

    >>> parse_variant("linformer:k=256")
    Linformer(rank=256, type='linformer')
    """
    name, _, settings = text.partition(":")
    name = name.replace("-", "_")
    if name not in VARIANTS:
        raise unknown_name("attention variant", name, list(VARIANTS), field="attention")
    kind = VARIANTS[name]
    settable = _settings(kind)
    given: dict[str, int] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        long = SHORT.get(name, {}).get(key, key)
        if long not in settable:
            raise unknown_name(f"setting of {name}", key, [*SHORT.get(name, {}), *settable], field="attention")
        if not (value.isascii() and value.isdecimal() and len(value) < 20):
            raise InputError(f"{name}:{key} is {shown(value)}, but must be a whole number", field="attention", value=value)
        given[long] = int(value)
    try:
        variant: Variant = kind(**given)
    except TypeError:
        missing = [field for field in settable if field not in given]
        raise InputError(
            f"{name} needs a value for {' and '.join(missing)}, e.g. {name}:{_example(name, missing)}",
            field="attention",
            value=text,
        ) from None
    if not isinstance(variant, Replacement):
        check(variant)
    return variant


def _settings(kind: Any) -> list[str]:
    return [name for name in signature(kind).parameters if name != "type"]


def label(variant: Variant) -> str:
    """How a variant is typed, most defaults left out: the inverse of :func:`parse_variant`.

    >>> label(parse_variant("longformer:w=512,g=16,m=1"))
    'longformer:w=512,g=16'
    """
    short = {long: key for key, long in SHORT.get(variant.type, {}).items()}
    defaults = {name: setting.default for name, setting in signature(type(variant)).parameters.items()}
    told = {"longformer": "n_global", "dsa": "top_k"}.get(variant.type)  # shown even where it is the default
    values = {name: getattr(variant, name) for name in _settings(type(variant))}
    given = [f"{short[name]}={value}" for name, value in values.items() if value != defaults[name] or name == told]
    return variant.type + (":" + ",".join(given) if given else "")


def with_variant(spec: ModelSpec, variant: Variant) -> ModelSpec:
    """``spec`` with ``variant`` in place of every self-attention; cross-attention keeps its own.

    Raises InputError when the model has no softmax attention to exchange.
    """
    from llmcx.model.mixers.attention import Attention

    if not any(isinstance(layers.mixer, Attention) for layers in spec.groups):
        raise InputError(
            f"{spec.name} has no plain softmax attention whose core could be {variant.type}; a model that has one is llama-3-8b",
            field="attention",
            value=variant.type,
        )

    def swap(layers: Any) -> Any:
        mixer = layers.mixer
        if not isinstance(mixer, Attention):
            return layers
        if isinstance(variant, Replacement):
            return replace(layers, mixer=variant.mixer(mixer, spec.d_model))
        return replace(layers, mixer=replace(mixer, core=variant))

    return spec.with_layers(swap)
