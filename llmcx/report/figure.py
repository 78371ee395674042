"""A figure before it is drawn: curves over two axes, or bars of parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from string import ascii_letters
from typing import NamedTuple, Union

from llmcx.errors import InputError
from llmcx.report.format import cell

MOST = 52
"""Series that a plot holds."""


class Series(NamedTuple):
    """One line, or points that are not ``joined``: its name and (x, y) points, all above zero where an axis is logarithmic.
    ``texts``: what stands beside each of the first points; a line whose points say who they are is not ``named`` at its end.
    """

    label: str
    points: Sequence[tuple[float, float]]
    joined: bool = True
    texts: Sequence[str] = ()
    named: bool = True


class Axis(NamedTuple):
    """What an axis shows, the kind of its numbers (see format.tick), and whether it is logarithmic."""

    title: str = ""
    kind: str = "number"
    log: bool = True

    def at(self, value: float) -> float:
        """Where a value stands."""
        return log10(value) if self.log else value

    def ticks(self, values: Sequence[float]) -> list[float]:
        """Round values between the least and the greatest of ``values``, eight or so; of a length, ``values`` themselves.

        >>> Axis().ticks([1, 50_000]), Axis().ticks([30, 150]), Axis(log=False).ticks([0.2, 1.1])
        ([1.0, 10.0, 100.0, 1000.0, 10000.0], [30.0, 50.0, 70.0, 100.0, 150.0], [0.2, 0.4, 0.6, 0.8, 1.0])
        """
        low, high = min(values), max(values)
        if self.kind == "length":  # powers of two, not of ten
            each = sorted(set(values))
            return each[:: ceil(len(each) / 9)]
        if self.log:
            decades = range(floor(log10(low)), ceil(log10(high)) + 1)
            within = log10(high / low)
            digits = (1,) if within > 3 else (1, 2, 5) if within > 0.8 else (1, 1.5, 2, 3, 5, 7)
            found: list[float] = [k * 10.0**power for power in decades[:: ceil(within / 8) or 1] for k in digits]
        else:
            rough = 10 ** floor(log10((high - low) / 5 or 1))
            step = next(rough * k for k in (1, 2, 5, 10) if (high - low) / (rough * k) <= 6)
            found = [round(step * k, 12) for k in range(ceil(low / step), floor(high / step) + 1)]
        return [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)] or [low, high]


def _alike(one: Series, other: Series) -> bool:
    return len(one.points) == len(other.points) and all(
        a == c and abs(b - d) <= 0.01 * abs(d) for (a, b), (c, d) in zip(one.points, other.points, strict=True)
    )


class Mark(NamedTuple):
    """A place on the x axis that means something."""

    x: float
    label: str


class Curves(NamedTuple):
    """Lines and points over two axes."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    marks: Sequence[Mark] = ()

    def drawable(self) -> list[Series]:
        """The series with the points that the axes can show. Raises InputError where no point is left, or too many series."""

        def shown(x: float | None, y: float | None) -> bool:
            return x is not None and y is not None and (x > 0 or not self.x.log) and (y > 0 or not self.y.log)

        drawn = [s._replace(points=[point for point in s.points if shown(*point)]) for s in self.series]
        if not any(s.points for s in drawn):
            raise InputError("there is nothing to plot: no series has a point above zero", field="plot")
        if len(drawn) > MOST:
            raise InputError(f"{len(drawn)} lines are too many for one plot; it holds {MOST}", field="plot")
        return drawn

    def lines(self) -> list[Series]:
        """The joined series; those that run along the same points (within a hundredth) are one, with all their names."""
        found: list[Series] = []
        for one in self.drawable():
            if not one.joined or not one.points:
                continue
            same = next((at for at, other in enumerate(found) if other.named == one.named and _alike(one, other)), None)
            if same is None:
                found.append(one)
            else:
                found[same] = found[same]._replace(label=f"{found[same].label}, {one.label}")
        return found

    def dots(self) -> list[tuple[float, float, str]]:
        """Points that stand alone, and those of lines that say something, with their texts."""
        found: list[tuple[float, float, str]] = []
        for one in self.drawable():
            texts = one.texts or ([one.label] if not one.joined and len(one.points) == 1 else [])
            each = zip(one.points, [*texts, *[""] * len(one.points)], strict=False)
            found += [(x, y, text) for (x, y), text in each if text or not one.joined]
        return found


class Bar(NamedTuple):
    """One bar and the sizes of its parts; ``note``: what stands at its end, in place of its size."""

    label: str
    parts: Mapping[str, float]
    note: str = ""

    @property
    def total(self) -> float:
        return sum(self.parts.values())

    def end(self, kind: str) -> str:
        """What stands at its end."""
        return self.note or cell(self.total, kind)


class Bars(NamedTuple):
    """Bars to one scale, their numbers all of one ``kind`` (count, bytes); ``limit`` is what they should stay below."""

    title: str
    kind: str
    unit: str
    bars: Sequence[Bar]
    limit: int | None = None

    def parts(self) -> list[str]:
        """The names of all parts that are not empty, in order."""
        named = dict.fromkeys(part for bar in self.bars for part in bar.parts)
        return [part for part in named if any(bar.parts.get(part) for bar in self.bars)]

    def letters(self) -> dict[str, str]:
        """A letter for each part, no two the same: the first of its name that is free. What is idle is a dot.

        >>> Bars("", "count", "", [Bar("", {"weights": 3, "workspace": 2, "wow": 1, "idle experts": 1})]).letters()
        {'weights': 'W', 'workspace': 'w', 'wow': 'o', 'idle experts': '·'}
        """
        found: dict[str, str] = {}
        for part in self.parts():
            free = (c for c in part[0].upper() + part + ascii_letters if c.isalpha() and c not in found.values())
            found[part] = "·" if part.startswith("idle") else next(free)
        return found

    @property
    def most(self) -> float:
        """The end of the scale."""
        return max([*(bar.total for bar in self.bars), self.limit or 0]) or 1


Figure = Union[Curves, Bars]
