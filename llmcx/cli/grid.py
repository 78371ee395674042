"""Grids of inputs: lists and ranges as people write them, and every combination of them by number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any

from llmcx.errors import InputError, unknown_name

MOST = 1_000_000
"""Values that one range may have. A grid may be of any size: it is never made."""

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
