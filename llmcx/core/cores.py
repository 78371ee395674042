"""Attention cores: the ways in which queries meet keys, as data, and as people type them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Union

from .errors import InputError, check_sizes, unknown_name


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
class Chunked:
    """Each query meets the tokens of its own chunk of ``window`` (Llama 4), as far as a mask lets it.

    Eager code still computes the full score matrix and masks it; ``--causal`` counts the chunks alone.
    """

    window: int
    type: Literal["chunked"] = "chunked"

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
    """softmax(QKᵀ) approximated by phi(Q) [phi(K)ᵀ V] with ``features`` random features (Choromanski et al. 2020,
    arXiv:2009.14794).
    """

    features: int
    type: Literal["performer"] = "performer"

    def __post_init__(self) -> None:
        check_sizes(self, "features")


Core = Union[Standard, Flash, Sliding, Chunked, Local, Strided, Longformer, Linformer, Performer]
CORES: dict[str, Any] = {
    "standard": Standard,
    "flash": Flash,
    "sliding": Sliding,
    "chunked": Chunked,
    "local": Local,
    "strided": Strided,
    "longformer": Longformer,
    "linformer": Linformer,
    "performer": Performer,
}

KEYS = {
    "w": "window",
    "k": "stride",
    "g": "n_global",
    "m": "dilation",
    "r": "features",
    "rank": "rank",
}
"""Short names of a variant's settings, as typed: local:w=256, strided:k=64, longformer:w=512,g=16,m=2, linformer:k=256,
performer:r=256.
"""


def parse_core(text: str) -> Core:
    """An attention core from its name and settings.

    Raises InputError for an unknown name, an unknown or missing setting, or a value that is not a whole number.

    >>> parse_core("linformer:k=256")
    Linformer(rank=256, type='linformer')
    """
    name, _, settings = text.partition(":")
    if name not in CORES:
        raise unknown_name("attention variant", name, list(CORES), field="attention")
    kind = CORES[name]
    settable = _settings(kind)
    given: dict[str, int] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        long = KEYS.get(key, key)
        if key == "k" and name == "linformer":
            long = "rank"
        if long not in settable:
            raise unknown_name(f"setting of {name}", key, settable, field="attention")
        if not value.isdecimal():
            raise InputError(f"{name}:{key} is {value!r}, but must be a whole number", field="attention", value=value)
        given[long] = int(value)
    try:
        core: Core = kind(**given)
    except TypeError:
        missing = [name for name in settable if name not in given]
        raise InputError(
            f"{name} needs a value for {' and '.join(missing)}, e.g. {name}:{missing[0]}=256", field="attention", value=text
        ) from None
    return core


def _settings(kind: Any) -> list[str]:
    return [field.name for field in fields(kind) if field.name != "type"]


def label(core: Core) -> str:
    """How a core is typed: the inverse of :func:`parse_core`.

    >>> label(parse_core("longformer:w=512,g=16,m=1"))
    'longformer:w=512,g=16'
    """
    short = {long: key for key, long in KEYS.items()} | {"rank": "k"}
    given = [f"{short[name]}={getattr(core, name)}" for name in _settings(core) if (name, getattr(core, name)) != ("dilation", 1)]
    return core.type + (":" + ",".join(given) if given else "")
