"""Attention cores: the ways in which queries meet keys, as data, and as people type them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Union

from llmcx.errors import InputError, check_sizes


@dataclass(frozen=True)
class Standard:
    """Every query meets every key, scores written out (eager). A causal mask hides half of them, computed all the same.
    Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2.1.
    """

    type: Literal["standard"] = "standard"


@dataclass(frozen=True)
class Flash:
    """The same matmuls in tiles that never leave the chip (Dao et al. 2022, arXiv:2205.14135)."""

    type: Literal["flash"] = "flash"


@dataclass(frozen=True)
class CausalFlash:
    """Flash that skips what a causal mask hides: n(n+1)/2 pairs of n² (Dao 2023, arXiv:2307.08691, sec. 3.1)."""

    type: Literal["causal_flash"] = "causal_flash"


@dataclass(frozen=True)
class Ring:
    """Flash over ``devices`` that each hold n / devices tokens and pass their keys and values round (Liu et al. 2023,
    arXiv:2310.01889, sec. 3). The same pairs, divided.
    """

    devices: int
    type: Literal["ring"] = "ring"

    def __post_init__(self) -> None:
        check_sizes(self, "devices")


@dataclass(frozen=True)
class Sliding:
    """A released model's sliding window: ``window`` keys per query, the query's own included (Mistral, Gemma).
    Jiang et al. 2023, arXiv:2310.06825, sec. 2.

    Eager code still computes the full score matrix and masks it; ``--causal`` counts the band alone.
    """

    window: int
    type: Literal["sliding"] = "sliding"

    def __post_init__(self) -> None:
        check_sizes(self, "window")


@dataclass(frozen=True)
class Chunked:
    """Each query meets the tokens of its own chunk of ``window`` (Llama 4), as far as a mask lets it. Source: transformers,
    masking_utils.py, chunked_overlay.

    Eager code still computes the full score matrix and masks it; ``--causal`` counts the chunks alone.
    """

    window: int
    type: Literal["chunked"] = "chunked"

    def __post_init__(self) -> None:
        check_sizes(self, "window")


@dataclass(frozen=True)
class Local:
    """Each query meets itself and ``window`` neighbours: the ones before it under a causal mask, else half on each side
    (Beltagy et al. 2020, arXiv:2004.05150, sec. 3.1: the sliding window).
    """

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
class Fixed:
    """The query's own block of ``stride`` and the last ``summary`` tokens of every block (Child et al. 2019,
    arXiv:1904.10509, sec. 4.2: l and c).
    """

    stride: int
    summary: int
    type: Literal["fixed"] = "fixed"

    def __post_init__(self) -> None:
        check_sizes(self, "stride", "summary")
        if self.summary > self.stride:
            raise InputError(
                f"summary {self.summary} is more than the stride {self.stride}: it is the end of a block of stride tokens",
                field="summary",
                value=self.summary,
                allowed=f"1 to {self.stride}",
            )


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
class BigBird:
    """In blocks of ``block`` tokens: a window of ``window`` blocks (odd, own in the middle), ``n_global`` leading blocks that
    see and are seen by all, ``random`` further blocks per row (Zaheer et al. 2020, arXiv:2007.14062, sec. 2).

    Random blocks are drawn among the whole blocks that a row does not see already, under a causal mask among the earlier ones.
    """

    block: int
    window: int = 3
    n_global: int = 2
    random: int = 3
    type: Literal["bigbird"] = "bigbird"

    def __post_init__(self) -> None:
        check_sizes(self, "block", "window")
        check_sizes(self, "n_global", "random", least=0)
        if self.window % 2 == 0:
            raise InputError(
                f"window is {self.window}, but must be odd: the query's own block is in the middle",
                field="window",
                value=self.window,
            )


@dataclass(frozen=True)
class Reformer:
    """Tokens sorted by a hash, in chunks of ``chunk`` that meet themselves and the chunk before, ``rounds`` times over.

    Kitaev et al. 2020, arXiv:2001.04451, sec. 2: queries are the keys, and n tokens hash to 2 n / chunk buckets.
    """

    chunk: int
    rounds: int = 1
    type: Literal["reformer"] = "reformer"

    def __post_init__(self) -> None:
        check_sizes(self, "chunk", "rounds")


@dataclass(frozen=True)
class TopK:
    """Each query meets the ``top_k`` keys that an indexer chose for it (DeepSeek-V3.2, arXiv:2512.02556, sec. 2.1)."""

    top_k: int
    type: Literal["topk"] = "topk"

    def __post_init__(self) -> None:
        check_sizes(self, "top_k")


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
    """softmax(QKᵀ) approximated by phi(Q) [phi(K)ᵀ V] with ``features`` random features (Choromanski et al. 2020,
    arXiv:2009.14794).
    """

    features: int
    type: Literal["performer"] = "performer"

    def __post_init__(self) -> None:
        check_sizes(self, "features")


@dataclass(frozen=True)
class Linear:
    """phi(Q) [phi(K)ᵀ V] with an elementwise phi, as wide as the head (Katharopoulos et al. 2020, arXiv:2006.16236)."""

    type: Literal["linear"] = "linear"


Core = Union[
    Standard,
    Flash,
    CausalFlash,
    Ring,
    Sliding,
    Chunked,
    Local,
    Strided,
    Fixed,
    Longformer,
    BigBird,
    Reformer,
    TopK,
    Linformer,
    Performer,
    Linear,
]
CORES: dict[str, Any] = {
    "standard": Standard,
    "flash": Flash,
    "causal_flash": CausalFlash,
    "ring": Ring,
    "sliding": Sliding,
    "chunked": Chunked,
    "local": Local,
    "strided": Strided,
    "fixed": Fixed,
    "longformer": Longformer,
    "bigbird": BigBird,
    "reformer": Reformer,
    "topk": TopK,
    "linformer": Linformer,
    "performer": Performer,
    "linear": Linear,
}

EAGER = ("standard", "sliding", "chunked")
"""Cores that eager code runs by writing every score out; the others exist as kernels that keep them on the chip."""

STEPS = {"strided": "stride", "fixed": "stride", "bigbird": "block", "reformer": "chunk", "longformer": "dilation"}
"""Cores whose cost steps, and the field that says after how many tokens."""

DENSE = ("standard", "flash", "causal_flash", "ring")
"""Cores in which every query meets every key that the mask leaves: exact."""
