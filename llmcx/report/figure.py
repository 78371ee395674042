"""A picture before anybody decided how to draw it: curves over two axes, or bars of parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import NamedTuple, Union


class Series(NamedTuple):
    """One line, or points that are not ``joined``: its name and (x, y) points, all above zero where an axis is logarithmic."""

    label: str
    points: Sequence[tuple[float, float]]
    joined: bool = True


class Axis(NamedTuple):
    """What an axis shows, the kind of its numbers (see format.tick), and whether it is logarithmic."""

    title: str = ""
    kind: str = "number"
    log: bool = True

    def at(self, value: float) -> float:
        """Where a value stands."""
        return log10(value) if self.log else value


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


class Bar(NamedTuple):
    """What one thing consists of."""

    label: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


class Bars(NamedTuple):
    """Bars to one scale, their numbers all of one ``kind`` (count, bytes); ``limit`` is what they should stay below."""

    title: str
    kind: str
    unit: str
    bars: Sequence[Bar]
    limit: int | None = None

    def parts(self) -> list[str]:
        """The names of all parts that are not empty, in order."""
        return list(dict.fromkeys(part for bar in self.bars for part, size in bar.parts.items() if size))

    @property
    def most(self) -> int:
        """The end of the scale."""
        return max([*(bar.total for bar in self.bars), self.limit or 0, 1])


Figure = Union[Curves, Bars]
