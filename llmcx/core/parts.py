"""The parts a model is composed of: plain data, validated for meaning when built.

A :class:`ModelSpec` is an embedding, an encoder and/or a decoder (each a sequence of groups of identical layers), a
final norm and a head. A :class:`Layers` group is ``repeat`` x [mixer, cross-attention, feed-forward]. Cost never
grows with the number of layers, because a group is lowered once.

The classes know shapes, never costs: what a part costs is said in :mod:`llmcx.core.lower` and the folds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Union

from .errors import InputError

# Far above any real model, low enough that a slip of the keyboard is refused instead of answered.
LARGEST = 10**15


def check_size(name: str, value: int | None, least: int = 1) -> None:
    """Raise unless ``value`` is an integer in [least, 10^15] (or None, for "follows from the others")."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} is {value!r}, but must be a whole number", field=name, value=value)
    if not least <= value <= LARGEST:
        allowed = f"between {least} and 10^15"
        raise InputError(f"{name} is {value}, but must be {allowed}", field=name, value=value, allowed=allowed)


def check_sizes(part: Any, *names: str, least: int = 1) -> None:
    """:func:`check_size` for several fields of one part."""
    for name in names:
        check_size(name, getattr(part, name), least)


# --- attention cores: how queries meet keys -------------------------------------------------------------------------


@dataclass(frozen=True)
class Standard:
    """Every query meets every key, scores written out (eager). A causal mask hides half of them, computed all the same."""

    type: Literal["standard"] = "standard"


@dataclass(frozen=True)
class Flash:
    """The same matmuls in tiles that never leave the chip (Dao et al. 2022, arXiv:2205.14135)."""

    type: Literal["flash"] = "flash"


@dataclass(frozen=True)
class Sliding:
    """A released model's sliding window: ``window`` keys per query, the query's own included (Mistral, Gemma).

    Eager code still computes the full score matrix and masks it; ``--causal`` counts the band alone.
    """

    window: int
    type: Literal["sliding"] = "sliding"

    def __post_init__(self) -> None:
        check_sizes(self, "window")


@dataclass(frozen=True)
class Local:
    """Each query meets itself and ``window`` neighbours: the ones before it under a causal mask, else half on each side."""

    window: int
    type: Literal["local"] = "local"

    def __post_init__(self) -> None:
        check_sizes(self, "window")


@dataclass(frozen=True)
class Strided:
    """The ``stride`` tokens before the query and every ``stride``-th token (Child et al. 2019, arXiv:1904.10509, sec. 4.2)."""

    stride: int
    type: Literal["strided"] = "strided"

    def __post_init__(self) -> None:
        check_sizes(self, "stride")


@dataclass(frozen=True)
class Longformer:
    """A window of ``window`` neighbours, dilated ``dilation``-fold, and ``n_global`` tokens that see and are seen by all.

    Beltagy et al. 2020, arXiv:2004.05150, sec. 3.1. Dilation widens the reach and leaves the inner pairs as they are.
    """

    window: int
    n_global: int = 1
    dilation: int = 1
    type: Literal["longformer"] = "longformer"

    def __post_init__(self) -> None:
        check_sizes(self, "window", "dilation")
        check_sizes(self, "n_global", least=0)


@dataclass(frozen=True)
class Linformer:
    """Keys and values projected along the sequence from n to ``rank`` (Wang et al. 2020, arXiv:2006.04768).

    The two projections (n x rank each) are learned per layer and shared by its heads; they are sized for the
    model's context length, and a causal mask has no meaning for them.
    """

    rank: int
    type: Literal["linformer"] = "linformer"

    def __post_init__(self) -> None:
        check_sizes(self, "rank")


@dataclass(frozen=True)
class Performer:
    """softmax(QKᵀ) approximated by phi(Q) [phi(K)ᵀ V] with ``features`` random features (Choromanski et al. 2020, arXiv:2009.14794)."""

    features: int
    type: Literal["performer"] = "performer"

    def __post_init__(self) -> None:
        check_sizes(self, "features")


Core = Union[Standard, Flash, Sliding, Local, Strided, Longformer, Linformer, Performer]
CORES: dict[str, Any] = {
    "standard": Standard,
    "flash": Flash,
    "sliding": Sliding,
    "local": Local,
    "strided": Strided,
    "longformer": Longformer,
    "linformer": Linformer,
    "performer": Performer,
}


# --- mixers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attention:
    """Softmax attention: projections to ``n_heads`` queries and ``n_kv_heads`` keys and values, a core, an output projection.

    ``n_kv_heads`` defaults to ``n_heads`` (MHA; 1 is MQA, between is GQA), ``head_dim`` to d_model / n_heads,
    ``out_bias`` to ``bias``. ``relative_buckets`` is T5's learned relative position bias, which lives in a stack's first
    layer. ``relative_projection`` is Transformer-XL's: keys for the relative positions by a projection of their own, and two
    learned biases per head (Dai et al. 2019, arXiv:1901.02860, sec. 3.3).
    """

    n_heads: int
    n_kv_heads: int | None = None
    head_dim: int | None = None
    bias: bool = False
    out_bias: bool | None = None
    rope: bool = False
    relative_buckets: int | None = None
    relative_projection: bool = False
    core: Core = field(default_factory=Standard)
    type: Literal["attention"] = "attention"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "n_kv_heads", "head_dim", "relative_buckets")
        if self.n_heads % self.kv_heads:
            raise InputError(
                f"n_heads {self.n_heads} is not divisible by n_kv_heads {self.kv_heads}: each key-value head serves"
                " the same number of query heads",
                field="n_kv_heads",
                value=self.kv_heads,
                allowed=f"a divisor of {self.n_heads}",
            )

    @property
    def kv_heads(self) -> int:
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads


# --- feed-forward ---------------------------------------------------------------------------------------------------

Activation = Literal["relu", "gelu", "gelu_new", "gelu_tanh", "silu"]


@dataclass(frozen=True)
class Plain:
    """Two matrices with an activation between them (Vaswani et al. 2017, sec. 3.3)."""

    d_ff: int
    bias: bool = False
    activation: Activation = "gelu"
    type: Literal["plain"] = "plain"

    def __post_init__(self) -> None:
        check_sizes(self, "d_ff")


@dataclass(frozen=True)
class Gated:
    """Three matrices: act(x W_gate) * (x W_up), then W_down (Shazeer 2020, arXiv:2002.05202)."""

    d_ff: int
    bias: bool = False
    activation: Activation = "silu"
    type: Literal["gated"] = "gated"

    def __post_init__(self) -> None:
        check_sizes(self, "d_ff")


@dataclass(frozen=True)
class MoE:
    """A router that sends each token to ``top_k`` of ``n_experts`` experts, beside an always-on ``shared`` one.

    ``capacity_factor`` bounds an expert's tokens per batch (Fedus et al. 2021, arXiv:2101.03961, eq. 3); None means no token is dropped.
    """

    n_experts: int
    top_k: int
    expert: Plain | Gated
    shared: Plain | Gated | None = None
    router_bias: bool = False
    capacity_factor: float | None = None
    type: Literal["moe"] = "moe"

    def __post_init__(self) -> None:
        check_sizes(self, "n_experts", "top_k")
        if self.top_k > self.n_experts:
            raise InputError(
                f"top_k is {self.top_k}, but there are only {self.n_experts} experts",
                field="top_k",
                value=self.top_k,
                allowed=f"at most {self.n_experts}",
            )
        if self.capacity_factor is not None and not 0 < self.capacity_factor < float("inf"):
            raise InputError(
                f"capacity_factor is {self.capacity_factor}, but must be a positive finite number",
                field="capacity_factor",
                value=str(self.capacity_factor),
            )


Mixer = Attention
FFN = Union[Plain, Gated, MoE]


# --- the model ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Norm:
    """A normalisation with a scale, and for a layer norm a shift."""

    type: Literal["layernorm", "rmsnorm"] = "layernorm"
    bias: bool | None = None

    @property
    def shift(self) -> bool:
        """Whether it learns a shift: by default a layer norm does, an RMS norm does not."""
        return self.type == "layernorm" if self.bias is None else self.bias


@dataclass(frozen=True)
class Embedding:
    """Token table, learned positions (``positions`` rows; None for rotary, sinusoidal or relative)."""

    vocab: int
    positions: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "vocab", "positions")


@dataclass(frozen=True)
class Head:
    """The LM head: tied to the token table or a matrix of its own."""

    tied: bool = True
    bias: bool = False


@dataclass(frozen=True)
class Layers:
    """``repeat`` identical layers: mixer, optional cross-attention, feed-forward, one norm before each."""

    repeat: int
    mixer: Mixer
    ffn: FFN | None = None
    cross: Attention | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "repeat")


@dataclass(frozen=True)
class ModelSpec:
    """A whole model. The first block of fields says what it is called and where it was read; the second what it is."""

    name: str
    d_model: int
    embedding: Embedding
    decoder: tuple[Layers, ...] = ()
    encoder: tuple[Layers, ...] = ()
    norm: Norm = field(default_factory=Norm)
    final_norm: bool = True
    head: Head | None = field(default_factory=Head)
    context: int | None = None

    title: str | None = None
    family: str | None = None
    year: int | None = None
    source: str | None = None
    aliases: tuple[str, ...] = ()
    published_params: str | None = None
    published_source: str | None = None
    training_tokens: str | None = None
    assumes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_sizes(self, "d_model", "context")
        if not self.decoder and not self.encoder:
            raise InputError("a model needs layers: give decoder or encoder at least one group", field="decoder")
        for layers in (*self.encoder, *self.decoder):
            for attention in (layers.mixer, layers.cross):
                if attention is not None:
                    self.head_dim(attention)

    def head_dim(self, attention: Attention) -> int:
        """The width of one head: the stated one, else d_model / n_heads, which must be whole."""
        if attention.head_dim is not None:
            return attention.head_dim
        if self.d_model % attention.n_heads:
            raise InputError(
                f"d_model {self.d_model} is not divisible by n_heads {attention.n_heads}; give head_dim if that is meant",
                field="d_model",
                value=self.d_model,
                allowed=f"a multiple of {attention.n_heads}",
            )
        return self.d_model // attention.n_heads

    @property
    def n_layers(self) -> int:
        """All layers, encoder and decoder."""
        return sum(layers.repeat for layers in (*self.encoder, *self.decoder))
