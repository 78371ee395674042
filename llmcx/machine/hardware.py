"""An accelerator: the figures that bound speed, memory, power and price, each with its source.

The numbers are data (presets/hardware); this is their schema. Peaks are dense: a figure that needs structured sparsity is never
used. Bandwidths of links are each way, per accelerator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from math import isfinite
from typing import Any, TypedDict

from llmcx.errors import InputError, shown, unknown_name

GB = 10**9


@dataclass(frozen=True)
class Link:
    """A network: ``gb_per_s`` GB/s each way per accelerator, among ``size`` accelerators (None: as many as one likes)."""

    link: str
    gb_per_s: float
    size: int | None = None


@dataclass(frozen=True)
class OnChip:
    """Memory on the chip: ``units`` processors (SMs, CUs, cores) with ``shared_kib`` of software-managed memory each, the cache
    that all of them share, and a cache between that and the memory.
    """

    unit: str
    units: int
    shared_kib: int | None = None
    l2_mib: float | None = None
    last_level_mib: float | None = None


@dataclass(frozen=True)
class Physical:
    """Memory as it is reported: ``mib`` by nvidia-smi, ``torch_gib`` of that by torch.cuda.mem_get_info, where that is known."""

    mib: float
    source: str
    torch_gib: float | None = None


@dataclass(frozen=True)
class Price:
    """What an hour of one accelerator costs, when and where: a default that ages."""

    usd: float
    date: str
    source: str

    def stated(self) -> str:
        """In words, with date and source."""
        return f"{self.usd:g} USD/h, {self.source}, {self.date}"


@dataclass(frozen=True)
class Hardware:
    """One accelerator. ``source`` holds for every figure that ``sources`` does not give one of its own; ``unconfirmed`` names the
    figures for which no second source was found; ``boost`` the highest clock over the one that its peaks are stated for. 1 GB
    is 10^9 bytes, as on a datasheet.
    """

    name: str
    title: str
    vendor: str
    year: int
    dense_tflops: dict[str, float]
    memory_gb: float
    memory_gb_per_s: float
    source: str
    scale_up: Link | None = None
    scale_out: Link | None = None
    tdp_w: float | None = None
    boost: float | None = None
    on_chip: OnChip | None = None
    usd_per_hour: Price | None = None
    physical: Physical | None = None
    aliases: tuple[str, ...] = ()
    sources: Mapping[str, str] | None = None
    unconfirmed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def memory_bytes(self) -> int:
        """As the driver reports them; the name's GB where that is not known."""
        return round(self.memory_gb * GB) if self.physical is None else round(self.physical.mib * 2**20)

    @property
    def visible_bytes(self) -> int:
        """What torch is told that there is."""
        of = self.physical
        return self.memory_bytes if of is None or of.torch_gib is None else int(of.torch_gib * 2**30)

    @property
    def bytes_per_s(self) -> float:
        """Of the memory."""
        return self.memory_gb_per_s * GB

    @property
    def dtype(self) -> str:
        """The 16-bit format that it multiplies: bf16 where it can."""
        return "bf16" if "bf16" in self.dense_tflops else "fp16"

    @property
    def chip_bytes(self) -> int | None:
        """Memory on the chip for tiles: of all its processors together, else its shared cache; None where neither is known."""
        chip = self.on_chip
        if chip is None:
            return None
        return chip.units * chip.shared_kib * 2**10 if chip.shared_kib else round((chip.l2_mib or 0) * 2**20) or None

    @property
    def domain(self) -> int:
        """Accelerators joined by the fast network; 1 where there is none."""
        return self.scale_up.size or 1 if self.scale_up else 1

    def flops(self, dtype: str) -> float:
        """Dense peak, FLOP/s. Raises InputError for a format that it does not multiply.

        >>> Hardware("x", "X", "me", 2024, {"bf16": 1.5}, 80, 1000, "me").flops("bf16")
        1500000000000.0
        """
        try:
            return self.dense_tflops[dtype] * 1e12
        except KeyError:
            known = ", ".join(self.dense_tflops)
            raise InputError(
                f"{self.title} does not multiply {shown(dtype)}; it has {known}", field="dtype", value=dtype[:200], allowed=known
            ) from None

    def source_of(self, figure: str) -> str:
        """Where a figure is from."""
        return (self.sources or {}).get(figure, self.source)


class Summary(TypedDict):
    """An accelerator in a row: dense TFLOP/s of its 16-bit format and of fp8, GB, GB/s of memory and links, how many the fast
    network joins, watts, price.
    """

    name: str
    tflops: float
    fp8_tflops: float | None
    memory_gb: float
    memory_gb_per_s: float
    scale_up_gb_per_s: float | None
    domain: int
    scale_out_gb_per_s: float | None
    tdp_w: float | None
    usd_per_hour: float | None
    vendor: str
    year: int
    title: str


def summary(one: Hardware) -> Summary:
    """A row of ``llmcx catalog hardware``."""
    return {
        "name": one.name,
        "tflops": one.flops(one.dtype) / 1e12,
        "fp8_tflops": one.dense_tflops.get("fp8"),
        "memory_gb": one.memory_gb,
        "memory_gb_per_s": one.memory_gb_per_s,
        "scale_up_gb_per_s": one.scale_up.gb_per_s if one.scale_up else None,
        "domain": one.domain,
        "scale_out_gb_per_s": one.scale_out.gb_per_s if one.scale_out else None,
        "tdp_w": one.tdp_w,
        "usd_per_hour": one.usd_per_hour.usd if one.usd_per_hour else None,
        "vendor": one.vendor,
        "year": one.year,
        "title": one.title,
    }


FIGURES = ("dense_tflops", "memory_gb", "memory_gb_per_s", "scale_up", "scale_out", "tdp_w", "boost", "on_chip")
"""What a source can be given for; the price carries its own."""

DTYPES = ("bf16", "fp16", "fp8", "fp6", "fp4", "int8", "int4", "tf32", "fp32", "fp64")


def hardware(data: Mapping[str, Any]) -> Hardware:
    """A :class:`Hardware` from plain data, the shape of presets/hardware/*.yaml.

    Raises InputError, field = the key's path, for an unknown or missing key or a figure that is not a positive number.

    >>> hardware({"name": "x", "title": "X", "vendor": "me", "year": 2024, "dense_tflops": {"bf16": 100}, "memory_gb": 80,
    ...           "memory_gb_per_s": 2000, "source": "me"}).dtype
    'bf16'
    """
    _keys(data, Hardware, "hardware")
    rates = data["dense_tflops"]
    if not isinstance(rates, Mapping) or not rates or not {"bf16", "fp16"} & set(rates):
        raise InputError("dense_tflops must give at least bf16 or fp16", field="dense_tflops", value=shown(rates))
    for dtype, rate in rates.items():
        if dtype not in DTYPES:
            raise unknown_name("dtype", str(dtype), list(DTYPES), field=f"dense_tflops.{dtype}")
        _positive(rate, f"dense_tflops.{dtype}")
    for key in ("memory_gb", "memory_gb_per_s", "year", "tdp_w", "boost"):
        if data.get(key) is not None:
            _positive(data[key], key)
    for key in ("sources", "unconfirmed"):
        for figure in data.get(key, ()):
            if figure.split(".")[0] not in FIGURES:
                raise unknown_name(f"figure in {key}", str(figure), list(FIGURES), field=f"{key}.{figure}")
    parts: dict[str, Any] = {
        key: _part(kind, data[key], key)
        for key, kind in (
            ("scale_up", Link),
            ("scale_out", Link),
            ("on_chip", OnChip),
            ("usd_per_hour", Price),
            ("physical", Physical),
        )
        if data.get(key) is not None
    }
    lists = {key: tuple(data.get(key, ())) for key in ("aliases", "unconfirmed", "notes")}
    return Hardware(**{**data, **parts, **lists})


def _part(kind: type[Any], data: Any, field: str) -> Any:
    _keys(data, kind, field)
    for key, value in data.items():
        if not isinstance(value, str):
            _positive(value, f"{field}.{key}")
    return kind(**data)


def _keys(data: Any, kind: type[Any], what: str) -> None:
    if not isinstance(data, Mapping):
        raise InputError(f"{what} is {shown(data)}, but must be a mapping", field=what, value=shown(data))
    known = {field.name: field for field in fields(kind)}
    for key in data:
        if key not in known:
            raise unknown_name(f"key of {what}", str(key), list(known), field=str(key))
    for name, field in known.items():
        if field.default is MISSING and name not in data:
            raise InputError(f"{what} lacks {name}", field=name)


def _positive(value: Any, field: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value <= 0:
        raise InputError(f"{field} is {shown(value)}, but must be a positive number", field=field, value=shown(value))
