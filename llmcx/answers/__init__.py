"""The answers, one module a question."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache, cached_property
from typing import Any


@cache
def shown(kind: Any) -> tuple[str, ...] | None:
    """The fields of an answer's type, as JSON shows them; None for a type that is no answer's.

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
