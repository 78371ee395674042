"""Fit the laws of llmcx.machine.kernels to measured kernels, and say how well they predict those that the fit did not see.

    PYTHONPATH=. python tests/oracle/kernel_laws.py [KIND ...] [--silicon ../shared/silicon] [--no-write]

Each kind of op has a module kernels_<kind>.py beside this one, whose KINDS say how to read its table and where to start. A
shape is fitted or held out by its hash, on every accelerator and in every engine alike, so that no shape is ever on both sides.
Constants are fitted in the logarithm, by soft L1, group by group. Written: presets/kernels/<kind>.yaml, and its part of
tests/oracle/kernels.csv, a sample of the held-out half.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib import import_module
from math import exp, prod
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from llmcx.catalog.data import load_hardware
from llmcx.catalog.kernels import Row as Fit
from llmcx.catalog.kernels import Table, generation, nearest
from llmcx.machine.kernels import Fitted, Peaks, peaks

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SAMPLE = HERE / "kernels.csv"
SILICON = next((path for up in ROOT.parents[:2] if (path := up / "shared" / "silicon").is_dir()), ROOT.parent / "shared/silicon")
SOURCE = "NVIDIA aiconfigurator-core 0.12.0 (Apache-2.0), thinned"
MODULES = ("gemm", "experts", "attention", "recurrent", "collectives")
DTYPES = {"bfloat16": "bf16", "half": "bf16", "float16": "bf16", "sq": "int8"} | {
    "w4a16_mxfp4": "mxfp4",
    "w4a8_mxfp4_mxfp8": "mxfp4_mxfp8",
}
"""The tables' names of formats, where llmcx has another."""

Group = tuple[str, str, str]
"""Accelerator, engine, format."""


class Row(NamedTuple):
    """A measured kernel: its group, the arguments of its law after constants and peaks, and its seconds."""

    group: Group
    shape: tuple[Any, ...]
    seconds: float


@dataclass(frozen=True)
class Kind:
    """A kind of op."""

    name: str
    """Of its file in presets/kernels."""
    tables: tuple[str, ...]
    """In the folder of measurements; with .csv behind its name, beside this script: published by others, with their sources."""
    read: Callable[[Mapping[str, str]], Row | None]
    """A line of a table, or None to leave it out."""
    law: str
    """The type of the constants: module and name in llmcx.machine.kernels."""
    bounds: Callable[[Group], Mapping[str, tuple[float, float, float]]]
    """Start, least and most of each constant, in a group; equal: not fitted."""
    seconds: Callable[..., float]
    """What is measured, of constants, peaks and a shape."""
    arithmetic: Callable[[str], str] = lambda dtype: dtype
    """The format whose peak counts, of a group's format."""
    many: Callable[[Any, Peaks, Sequence[tuple[Any, ...]]], Any] | None = None
    """The same over many shapes at once, where that is quicker: a test holds both to each other."""
    ridge: float = 0.01
    """What a constant weighs that is a factor e from its start: the residual of a row that is wrong by so much."""
    comparable: Callable[[Group], bool] = lambda group: True
    """Whether a group's law may stand in for another: not where something else than the kernel was measured."""
    least_squares: Mapping[str, Any] | None = None
    """Options of scipy's, where they differ."""
    choices: Callable[[Group], Sequence[Mapping[str, float]]] = lambda group: ({},)
    """Constants that are not fitted but tried: those are kept with which the fit is best."""
    starts: Sequence[Mapping[str, float]] = ({},)
    """Other starts of some constants, from which the fit is tried too."""
    like: Callable[[Group, Mapping[Group, Any]], Mapping[str, float]] = lambda group, laws: {}
    """Constants that a group takes from the laws fitted so far, because its own rows say nothing of them."""


def kinds(chosen: Iterable[str] = ()) -> list[Kind]:
    """Those that have a module beside this one."""
    known = [
        kind
        for module in MODULES
        if (HERE / f"kernels_{module}.py").exists()
        for kind in import_module(f"tests.oracle.kernels_{module}").KINDS
    ]
    return [kind for kind in known if not chosen or kind.name in chosen]


DEALT = ("mamba2_prefill", "mamba2_decode")
"""Kinds of which a dozen shapes are known, each twice as large as the one before: every second one is held out."""


def held_out(kind: str, shape: tuple[Any, ...]) -> bool:
    """Whether a shape is kept from the fit: by the hash of its numbers alone, or in turn by its size."""
    if kind in DEALT:
        return prod(shape).bit_length() % 2 == 1
    return blake2b(repr((kind, *shape)).encode(), digest_size=1).digest()[0] % 2 == 1


def measured(kind: Kind, silicon: Path = SILICON) -> dict[Group, list[Row]]:
    """All rows, by group."""
    found = defaultdict(list)
    for table in kind.tables:
        beside = table.endswith(".csv")
        with (HERE / table).open(encoding="utf-8") if beside else gzip.open(silicon / f"{table}.csv.gz", "rt") as file:
            for line in csv.DictReader(file):
                row = kind.read(line)
                if row is not None:
                    found[row.group].append(row)
    return dict(sorted(found.items()))


@lru_cache(maxsize=256)
def peaks_of(hardware: str, dtype: str) -> Peaks:
    """Those of the datasheet."""
    return peaks(load_hardware(hardware), dtype)


def constants_type(kind: Kind) -> Any:
    """The NamedTuple that a law takes."""
    module, _, name = kind.law.partition(".")
    return getattr(import_module(f"llmcx.machine.kernels.{module}"), name)


def predicted(kind: Kind, constants: Any, hardware: str, dtype: str, rows: Sequence[Row]) -> list[float]:
    """Seconds by the law."""
    of = peaks_of(hardware, kind.arithmetic(dtype))
    if kind.many:
        return list(kind.many(constants, of, [row.shape for row in rows]))
    return [kind.seconds(constants, of, *row.shape) for row in rows]


def fit(kind: Kind, group: Group, rows: Sequence[Row], laws: Mapping[Group, Any] | None = None) -> Any:
    """Constants of a group: the least soft L1 of the logarithms, and of how far constants are from their start, which decides
    those that no row says anything of. From every start, and from where that led with each constant a third of the way back.
    """
    limits = {**kind.bounds(group), **{name: (value,) * 3 for name, value in kind.like(group, laws or {}).items()}}
    tried = [
        _fit(kind, group, rows, limits | {name: (value,) * 3 for name, value in chosen.items()}, start)
        for chosen in kind.choices(group)
        for start in kind.starts
    ]
    return min(tried, key=lambda each: each[0])[1]


def _fit(
    kind: Kind,
    group: Group,
    rows: Sequence[Row],
    limits: Mapping[str, tuple[float, float, float]],
    start: Mapping[str, float],
) -> tuple[float, Any]:
    """What is left, and the constants."""
    import numpy as np
    from scipy.optimize import least_squares

    made = constants_type(kind)
    free = [name for name in made._fields if limits[name][1] < limits[name][2]]
    fixed = {name: limits[name][0] for name in made._fields if name not in free}
    target = np.log([row.seconds for row in rows])
    usual, low, high = (np.log([limits[name][place] for name in free]) for place in range(3))
    first = np.clip(np.log([start.get(name, limits[name][0]) for name in free]), low, high)

    def constants(vector: Any) -> Any:
        return made(**fixed, **{name: float(exp(value)) for name, value in zip(free, vector, strict=True)})

    def residuals(vector: Any) -> Any:
        off = np.log(predicted(kind, constants(vector), group[0], group[2], rows)) - target
        return np.concatenate([off, kind.ridge * (vector - usual)])

    options = {"loss": "soft_l1", "f_scale": 0.05, "diff_step": 0.02, "max_nfev": 60, **(kind.least_squares or {})}
    found = least_squares(residuals, first, bounds=(low, high), **options)
    again = least_squares(residuals, np.clip(found.x + (first - found.x) / 3, low, high), bounds=(low, high), **options)
    best = min(found, again, key=lambda each: each.cost)
    return float(best.cost), made(*(float(f"{value:.4g}") for value in constants(best.x)))


def of_arrays(seconds: Callable[..., float]) -> Callable[..., Any]:
    """A law of arrays: itself, with numpy's functions in place of those that it chooses and rounds by."""
    import numpy as np

    names = vars(import_module(seconds.__module__)) | {
        "max": np.maximum,
        "min": np.minimum,
        "ceil": np.ceil,
        "log2": np.log2,
        "where": np.where,
    }
    for name, value in list(names.items()):
        if isinstance(value, FunctionType) and value.__module__ == seconds.__module__:
            names[name] = FunctionType(value.__code__, names, name, value.__defaults__)
    law: Callable[..., Any] = names[seconds.__name__]
    return law


def at_once(seconds: Callable[..., float]) -> Callable[[Any, Peaks, Sequence[tuple[Any, ...]]], Any]:
    """A law over many shapes."""
    import numpy as np

    law = of_arrays(seconds)

    def many(constants: Any, peaks: Peaks, shapes: Sequence[tuple[Any, ...]]) -> Any:
        return law(constants, peaks, *(np.array(each) for each in zip(*shapes, strict=True)))

    return many


class Errors(NamedTuple):
    """Of measured against predicted: how many, the median and 90th percentile of |predicted / measured - 1|, the 10th, 50th and
    90th percentile of measured / predicted.
    """

    rows: int
    median: float
    ninety: float
    low: float
    middle: float
    high: float


def errors(pairs: Iterable[tuple[float, float]]) -> Errors:
    """Of (predicted, measured)."""
    ratios = sorted(true / guess for guess, true in pairs)
    off = sorted(abs(1 / ratio - 1) for ratio in ratios)

    def at(values: list[float], share: float) -> float:
        return values[min(int(share * len(values)), len(values) - 1)]

    return Errors(len(ratios), at(off, 0.5), at(off, 0.9), at(ratios, 0.1), at(ratios, 0.5), at(ratios, 0.9))


def crossed(kind: Kind, laws: Mapping[Group, Any], held: Mapping[Group, Sequence[Row]]) -> dict[str, Errors]:
    """What each substitution costs: every law on the held-out rows of every group that differs from its own in that alone.

    "accelerator" within a generation, "generation" beyond it, "engine" and "format" on the same accelerator.
    """
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (hardware, engine, dtype), rows in held.items():
        for (other, others, formats), constants in laws.items():
            alike = generation(hardware) == generation(other)
            changed = [hardware != other, engine != others, dtype != formats]
            if sum(changed) != 1 or not all(map(kind.comparable, ((hardware, engine, dtype), (other, others, formats)))):
                continue
            step = ("accelerator" if alike else "generation", "engine", "format")[changed.index(True)]
            pairs[step] += zip(predicted(kind, constants, hardware, dtype, rows), (row.seconds for row in rows), strict=True)
    return {step: errors(found) for step, found in pairs.items()}


HEAD = """\
# {what}
# Written by tests/oracle/kernel_laws.py {kind}. A law is fitted to half of the shapes; held, error, ninety, low, middle and high
# are of the others: how many; median and 90th percentile of |predicted / measured - 1|; percentiles of measured / predicted.
date: "{date}"
source: "{source}"
law: {law}
names: [{names}]
# 10th and 90th percentile of measured / predicted where a law stands in for another; maker: assumed, as two generations
bands: {{{bands}}}
# median and 90th percentile of the error on an accelerator if nobody had measured it
left_out: {{{without}}}
rows:
"""
ROW = (
    "  - {{hardware: {0[0]}, engine: {0[1]}, dtype: {0[2]}, rows: {1}, held: {2.rows}, error: {2.median:.3f},"
    " ninety: {2.ninety:.3f}, low: {2.low:.3f}, middle: {2.middle:.3f}, high: {2.high:.3f}, constants: [{3}]}}"
)


def left_out(kind: Kind, laws: Mapping[Group, Any], held: Mapping[Group, Sequence[Row]]) -> dict[str, Errors]:
    """Held-out rows of each accelerator by the laws that llmcx would take if nobody had measured it."""
    rows = [Fit(*group, Fitted(law, 1, 1, 0, 0, "")) for group, law in laws.items() if kind.comparable(group)]
    found = {}
    for hardware in sorted({group[0] for group in held}):
        others = Table(tuple(row for row in rows if row.hardware != hardware), defaultdict(lambda: (1.0, 1.0)))
        pairs: list[tuple[float, float]] = []
        for group in held if others.rows else ():
            if group[0] == hardware and kind.comparable(group):
                law = nearest(others, *group).constants
                pairs += zip(
                    predicted(kind, law, hardware, group[2], held[group]), (row.seconds for row in held[group]), strict=True
                )
        if pairs:
            found[hardware] = errors(pairs)
    return found


def written(kind: Kind, date: str, rows: Sequence[str], crosses: Mapping[str, Errors], without: Mapping[str, Errors]) -> str:
    """The text of a file of presets/kernels. A substitution that no two groups allow to measure gets the widest band."""
    measured = [(one.low, one.high) for one in crosses.values()] or [(1 / 2, 2.0)]
    widest = min(low for low, _ in measured), max(high for _, high in measured)
    bands = {
        step: (crosses[step].low, crosses[step].high) if step in crosses else widest
        for step in ("engine", "accelerator", "generation", "format")
    }
    bands["maker"] = bands["generation"][0] ** 2, bands["generation"][1] ** 2
    head = HEAD.format(
        what=import_module(constants_type(kind).__module__).__doc__.partition("\n")[0],
        kind=kind.name,
        date=date,
        source=f"{SOURCE}: {', '.join(kind.tables)}" if not kind.tables[0].endswith(".csv") else published(kind),
        law=kind.law,
        names=", ".join(constants_type(kind)._fields),
        without=", ".join(f"{name}: [{one.median:.3f}, {one.ninety:.3f}]" for name, one in without.items()),
        bands=", ".join(f"{step}: [{low:.3g}, {high:.3g}]" for step, (low, high) in bands.items()),
    )
    return head + "\n".join(rows) + "\n"


def published(kind: Kind) -> str:
    """Whose measurements the tables beside this script hold."""
    texts = ((HERE / table).read_text(encoding="utf-8") for table in kind.tables)
    lines = (line for text in texts for line in csv.DictReader(text.splitlines()) if line["kind"] == kind.name)
    return ", ".join(sorted({line["source"] for line in lines}))


def sample(chosen: Mapping[str, Sequence[Row]], each: Mapping[str, int]) -> None:
    """Replace some kinds' part of kernels.csv: ``each`` rows of every group, evenly spaced by their hash."""
    kept = {name: rows for name, rows in read_sample().items() if name not in chosen}
    for name, rows in chosen.items():
        groups = defaultdict(list)
        for row in sorted(rows, key=lambda row: blake2b(repr(row.shape).encode(), digest_size=8).digest()):
            groups[row.group].append(row)
        kept[name] = [row for group in groups.values() for row in group[: each[name]]]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["kind", "hardware", "engine", "dtype", "us", "shape"])
    for name, rows in sorted(kept.items()):
        writer.writerows([name, *row.group, f"{row.seconds * 1e6:.4g}", " ".join(map(str, row.shape))] for row in sorted(rows))
    SAMPLE.write_text(out.getvalue(), encoding="utf-8")


def read_sample() -> dict[str, list[Row]]:
    """kernels.csv, by kind. A shape's numbers come back as such."""

    def plain(each: str) -> int | float | str:
        return int(each) if each.lstrip("-").isdigit() else float(each) if each.replace(".", "", 1).isdigit() else each

    found: dict[str, list[Row]] = defaultdict(list)
    if SAMPLE.exists():
        with SAMPLE.open(encoding="utf-8") as file:
            for line in csv.DictReader(file):
                shape = tuple(plain(each) for each in line["shape"].split())
                found[line["kind"]].append(
                    Row((line["hardware"], line["engine"], line["dtype"]), shape, float(line["us"]) * 1e-6)
                )
    return found


def plain(value: float) -> str:
    """A constant as YAML reads it back: 1e+09 without a point would be a word.

    >>> plain(0.25), plain(1e9), plain(float("inf"))
    ('0.25', '1.0e+09', '.inf')
    """
    text = f"{value:g}"
    digits, e, exponent = text.partition("e")
    return text.replace("inf", ".inf") if not e or "." in digits else f"{digits}.0e{exponent}"


def one(kind: Kind, group: Group, rows: Sequence[Row], laws: Mapping[Group, Any]) -> tuple[Any, Errors]:
    """Fit a group, and what its held-out half says."""
    inside = [row for row in rows if not held_out(kind.name, row.shape)]
    outside = [row for row in rows if held_out(kind.name, row.shape)]
    constants = fit(kind, group, inside, laws)
    return constants, errors(
        zip(predicted(kind, constants, group[0], group[2], outside), (r.seconds for r in outside), strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", nargs="*")
    parser.add_argument("--silicon", type=Path, default=SILICON)
    parser.add_argument("--date", default="2026-11-29")
    parser.add_argument("--no-write", action="store_true")
    parser.add_argument("--each", type=int, default=2, help="rows of a group in kernels.csv")
    asked = parser.parse_args()
    for kind in kinds(asked.kind):
        groups, laws, lines = measured(kind, asked.silicon), {}, []
        held = {group: [row for row in rows if held_out(kind.name, row.shape)] for group, rows in groups.items()}
        for group, rows in groups.items():
            constants, found = one(kind, group, rows, laws)
            laws[group] = constants
            print(kind.name, *group, f"{found.rows} rows, {found.median:.1%}, 90%: {found.ninety:.1%}", flush=True)
            lines.append(ROW.format(group, len(rows) - found.rows, found, ", ".join(map(plain, constants))))
        crosses = crossed(kind, laws, held)
        for step, found in crosses.items():
            print(kind.name, f"another {step}: {found.median:.1%}, 90%: {found.ninety:.1%}")
        without = left_out(kind, laws, held)
        for hardware, found in without.items():
            print(kind.name, f"without {hardware}: {found.median:.1%}, 90%: {found.ninety:.1%}")
        if not asked.no_write:
            (ROOT / "presets" / "kernels" / f"{kind.name}.yaml").write_text(
                written(kind, asked.date, lines, crosses, without), encoding="utf-8"
            )
            sample({kind.name: [row for rows in held.values() for row in rows]}, {kind.name: asked.each})


if __name__ == "__main__":
    from tests.oracle import kernel_laws  # not __main__: the modules beside this one import it by its name

    kernel_laws.main()
