"""Attention cores: the ways in which queries meet keys, as data.

They are NamedTuples, which cost a fifth of a dataclass at start-up; what takes one in checks it (:func:`check`).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Union, get_args

from llmcx.errors import InputError, check_size


class Standard(NamedTuple):
    """Every query meets every key, scores written out (eager). A causal mask hides half of them, computed all the same.
    Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2.1.
    """

    type: Literal["standard"] = "standard"


class Flash(NamedTuple):
    """The same matmuls in tiles that never leave the chip (Dao et al. 2022, arXiv:2205.14135)."""

    type: Literal["flash"] = "flash"


class CausalFlash(NamedTuple):
    """Flash that skips what a causal mask hides: n(n+1)/2 pairs of n² (Dao 2023, arXiv:2307.08691, sec. 3.1)."""

    type: Literal["causal_flash"] = "causal_flash"


class Ring(NamedTuple):
    """Flash over ``devices`` that each hold n / devices tokens and pass their keys and values round (Liu et al. 2023,
    arXiv:2310.01889, sec. 3). The same pairs, divided.
    """

    devices: int
    type: Literal["ring"] = "ring"


class Sliding(NamedTuple):
    """A released model's sliding window: ``window`` keys per query, the query's own included (Mistral, Gemma).
    Jiang et al. 2023, arXiv:2310.06825, sec. 2.

    Eager code still computes the full score matrix and masks it; ``--causal`` counts the band alone. ``kept``: transformers' code
    keeps the keys behind the window too (GPT-Neo).
    """

    window: int
    kept: bool = False
    type: Literal["sliding"] = "sliding"


class Chunked(NamedTuple):
    """Each query meets the tokens of its own chunk of ``window`` (Llama 4), as far as a mask lets it. Source: transformers,
    masking_utils.py, chunked_overlay.

    Eager code still computes the full score matrix and masks it; ``--causal`` counts the chunks alone.
    """

    window: int
    type: Literal["chunked"] = "chunked"


class Local(NamedTuple):
    """Each query meets itself and ``window`` neighbours: the ones before it under a causal mask, else half on each side
    (Beltagy et al. 2020, arXiv:2004.05150, sec. 3.1: the sliding window).
    """

    window: int
    type: Literal["local"] = "local"


class Strided(NamedTuple):
    """The ``stride`` tokens before the query and every ``stride``-th token (Child et al. 2019, arXiv:1904.10509, sec. 4.2)."""

    stride: int
    type: Literal["strided"] = "strided"


class Fixed(NamedTuple):
    """The query's own block of ``stride`` and the last ``summary`` tokens of every block (Child et al. 2019,
    arXiv:1904.10509, sec. 4.2: l and c).
    """

    stride: int
    summary: int
    type: Literal["fixed"] = "fixed"


class Longformer(NamedTuple):
    """A window of ``window`` neighbours, dilated ``dilation``-fold, and ``n_global`` tokens that see and are seen by all.

    Beltagy et al. 2020, arXiv:2004.05150, sec. 3.1. Dilation widens the reach and leaves the inner pairs as they are.
    """

    window: int
    n_global: int = 1
    dilation: int = 1
    type: Literal["longformer"] = "longformer"


class BigBird(NamedTuple):
    """In blocks of ``block`` tokens: a window of ``window`` blocks (odd, own in the middle), ``n_global`` leading blocks that
    see and are seen by all, ``random`` further blocks per row (Zaheer et al. 2020, arXiv:2007.14062, sec. 2).

    Random blocks are drawn among the whole blocks that a row does not see already, under a causal mask among the earlier ones.
    """

    block: int
    window: int = 3
    n_global: int = 2
    random: int = 3
    type: Literal["bigbird"] = "bigbird"


class Reformer(NamedTuple):
    """Tokens sorted by a hash, in chunks of ``chunk`` that meet themselves and the chunk before, ``rounds`` times over.

    Kitaev et al. 2020, arXiv:2001.04451, sec. 2: queries are the keys, and n tokens hash to 2 n / chunk buckets.
    """

    chunk: int
    rounds: int = 1
    type: Literal["reformer"] = "reformer"


class TopK(NamedTuple):
    """Each query meets the ``top_k`` keys that an indexer chose for it (DeepSeek-V3.2, arXiv:2512.02556, sec. 2.1)."""

    top_k: int
    type: Literal["topk"] = "topk"


class Linformer(NamedTuple):
    """Keys and values projected along the sequence from n to ``rank`` (Wang et al. 2020, arXiv:2006.04768).

    The two projections (n x rank each) are learned per layer and shared by its heads; they are sized for the
    model's context length, and a causal mask has no meaning for them.
    """

    rank: int
    type: Literal["linformer"] = "linformer"


class Performer(NamedTuple):
    """softmax(QKᵀ) approximated by phi(Q) [phi(K)ᵀ V] with ``features`` random features (Choromanski et al. 2020,
    arXiv:2009.14794).
    """

    features: int
    type: Literal["performer"] = "performer"


class Linear(NamedTuple):
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
CORES: dict[str, Any] = {core._field_defaults["type"]: core for core in get_args(Core)}

EAGER = ("standard", "sliding", "chunked")
"""Cores that eager code runs by writing every score out; the others exist as kernels that keep them on the chip."""

STEPS = {"strided": "stride", "fixed": "stride", "bigbird": "block", "reformer": "chunk", "longformer": "dilation"}
"""Cores whose cost steps, and the field that says after how many tokens."""

DENSE = ("standard", "flash", "causal_flash", "ring")
"""Cores in which every query meets every key that the mask leaves: exact."""


def check(core: Core) -> None:
    """Raises InputError where a size of ``core`` is none, or two do not fit together."""
    for name in core._fields:
        if name not in ("type", "kept"):
            check_size(name, getattr(core, name), least=0 if name in ("n_global", "random") else 1)
    if isinstance(core, Fixed) and core.summary > core.stride:
        raise InputError(
            f"summary {core.summary} is more than the stride {core.stride}: it is the end of a block of stride tokens",
            field="summary",
            value=core.summary,
            allowed=f"1 to {core.stride}",
        )
    if isinstance(core, BigBird) and core.window % 2 == 0:
        raise InputError(
            f"window is {core.window}, but must be odd: the query's own block is in the middle",
            field="window",
            value=core.window,
        )
