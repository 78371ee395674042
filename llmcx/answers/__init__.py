"""The answers, one module a question."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple


class Line(NamedTuple):
    """One figure, explained: what it is, its formula, the numbers put in, the result and the source."""

    component: str
    formula: str
    numbers: str
    value: int | float
    source: str


def shown(value: Any) -> tuple[str, ...] | None:
    """The fields of an answer, or of a part of one, as JSON shows them; None for a plain number, text, list or mapping."""
    kind: Any = type(value)
    return fields_of(kind)


@cache
def fields_of(kind: Any) -> tuple[str, ...] | None:
    """The same of its type.

    A class that holds what was asked, and computes each figure when it is first read, has its public cached properties. Of any
    other it is the fields of the dataclass that are in its repr, or those of the NamedTuple.
    """
    parts = [(name, part) for base in reversed(kind.__mro__) for name, part in vars(base).items()]
    computed = dict.fromkeys(name for name, part in parts if isinstance(part, cached_property) and not name.startswith("_"))
    if computed:
        return tuple(computed)
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind) if field.repr)
    return getattr(kind, "_fields", None)
