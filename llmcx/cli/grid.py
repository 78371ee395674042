"""Grids of inputs: lists and ranges as people write them, and every combination of them by number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any

from llmcx.errors import InputError, shown, unknown_name
from llmcx.units import many

MOST = 1_000_000
"""Values that one range may have. A grid may be of any size: it is never made."""

_NUMBER = r"\d[\d_.]*(?:[eE]\+?\d+)?[a-zA-Z]*"
_RANGE = re.compile(rf"{_NUMBER}:{_NUMBER}(?::.*)?")
_SETTING = re.compile(r"\w+=[^:]*")


def entries(text: str) -> list[str]:
    """A comma-separated list; the settings of a name belong to it, though they have commas too.

    >>> entries("bf16,fp8_block"), entries("local:w=256,fixed:k=128,c=8,mla")
    (['bf16', 'fp8_block'], ['local:w=256', 'fixed:k=128,c=8', 'mla'])
    """
    out: list[str] = []
    for part in text.split(","):
        if out and ":" in out[-1] and _SETTING.fullmatch(part.strip()):
            out[-1] += f",{part.strip()}"
        else:
            out.append(part.strip())
    return out


def values(text: str, one: Callable[[str, str], int], field: str) -> list[int | str]:
    """What a list holds: numbers as ``one`` reads them, ranges of them, and names.

    >>> from llmcx.units import length
    >>> values("512,1k:4k:x2,auto", length, "--seq")
    [512, 1024, 2048, 4096, 'auto']
    """
    out: list[int | str] = []
    for entry in entries(text):
        if not entry:
            raise InputError(f"{field} is {shown(text)}, which has an empty entry", field=field.lstrip("-"), value=text[:200])
        if _RANGE.fullmatch(entry):
            out += many(entry, one, field, MOST)
            continue
        out.append(entry)
        with suppress(InputError):  # of a name that begins with a digit, or what the command itself will refuse
            if re.fullmatch(_NUMBER, entry):
                out[-1] = one(entry, field)
    return out


def decimals(text: str, field: str) -> list[float]:
    """A list of decimal numbers and ranges of them.

    >>> decimals("4.5,0.1:0.3:+0.1", "--reserve")
    [4.5, 0.1, 0.2, 0.3]
    """
    out: list[Decimal] = []
    for entry in text.split(","):
        try:
            low, *more = (part.strip() for part in entry.split(":"))
            first = Decimal(low)
            if not more:
                out.append(first)
                continue
            last, step = Decimal(more[0]), Decimal(more[1].removeprefix("+"))
            if len(more) != 2 or more[1][:1] != "+" or step <= 0 or not 0 <= last - first < MOST * step:
                raise InvalidOperation
            out += [first + k * step for k in range(int((last - first) / step) + 1)]
        except (InvalidOperation, IndexError):
            problem = f"{field} is {shown(text)}, but must be numbers, or ranges FROM:TO:+STEP that grow up to their end"
            raise InputError(problem, field=field.lstrip("-"), value=text[:200]) from None
    return [float(number) for number in out]


class Grid:
    """Every combination of the values of each name, the last name's changing fastest; ``together`` names advance as one."""

    def __init__(self, lists: Mapping[str, Sequence[Any]], together: Iterable[Sequence[str]] = ()) -> None:
        self.names = list(lists)
        groups: dict[str, list[str]] = {name: [name] for name in lists}
        seen: set[str] = set()
        for names in together:
            for name in names:
                if name not in lists:
                    raise unknown_name("name to advance together", name, self.names, field="zip")
                if name in seen:
                    raise InputError(f"zip names {name} twice; what advances together is named once", field="zip", value=name)
                seen.add(name)
            if not names:
                raise InputError("zip has an empty list, but must name options that advance together", field="zip")
            groups[names[0]] = list(names)
            for name in names[1:]:
                groups.pop(name, None)
            lengths = {name: len(lists[name]) for name in names}
            if len(set(lengths.values())) > 1:
                each = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
                raise InputError(f"what advances together must have as many values each, not {each}", field="zip", value=each)
        self.axes = [(names, list(zip(*(lists[name] for name in names), strict=True))) for names in groups.values()]
        sizes = [len(points) for _, points in self.axes]
        self.size = prod(sizes)
        self._steps = [*accumulate(reversed(sizes[1:]), mul, initial=1)][::-1] if sizes else []

    def point(self, number: int) -> dict[str, Any]:
        """The combination of that number, from 0.

        >>> Grid({"a": [1, 2], "b": "xy"}).point(1), Grid({"a": [1, 2], "b": "xy"}, [("a", "b")]).point(1)
        ({'a': 1, 'b': 'y'}, {'a': 2, 'b': 'y'})
        """
        at: dict[str, Any] = {}
        for (names, points), step in zip(self.axes, self._steps, strict=True):
            which, number = divmod(number, step)
            at.update(zip(names, points[which], strict=True))
        return at
