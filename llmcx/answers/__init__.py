"""The answers, one module a question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, NamedTuple, TypeVar

T = TypeVar("T")


class Line(NamedTuple):
    """One figure, explained: what it is, its formula, the numbers put in (none where it is found by trying), the result and the
    source; ``where``: what its symbols mean here; of an estimate, how far off it is and by which rows that is known.
    """

    component: str
    formula: str
    numbers: str
    value: int | float
    source: str
    where: str = ""
    interval: str = ""


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


def as_json(value: Any) -> Any:
    """A result as JSON's types; exact integers stay integers."""
    names = shown(value)
    if names is not None:
        return {name: as_json(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return value


def flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping without mappings in it: what is inside one has its path.

    >>> flat({"layout": {"tp": 8, "pp": 4}, "seconds": 1.5})
    {'layout.tp': 8, 'layout.pp': 4, 'seconds': 1.5}
    """
    out: dict[str, Any] = {}
    for key, item in value.items():
        out |= {f"{key}.{inner}": each for inner, each in flat(item).items()} if isinstance(item, Mapping) else {key: item}
    return out


class Result:
    """What every answer can do: show itself in a line and in a notebook, and become plain data or rows of a table.

    >>> class Cost(Result, brief="usd", table="parts"):
    ...     usd = 12345
    ...     parts = [{"part": "weights", "usd": 12000}, {"part": "cache", "usd": 345}]
    >>> Cost(), Cost().rows()[1]
    (Cost(usd=12_345), {'part': 'cache', 'usd': 345})
    """

    _brief: ClassVar[tuple[str, ...]] = ()
    _table: ClassVar[str] = ""

    def __init_subclass__(cls, *, brief: str = "", table: str = "") -> None:
        """``brief`` names the figures that stand in the repr, ``table`` the list of rows that is the main table: paths with dots,
        in which a number is that of a row.
        """
        super().__init_subclass__()
        cls._brief, cls._table = tuple(brief.split()) or cls._brief, table or cls._table

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(_figure(path, _at(self, path)) for path in self._brief)})"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the same as the command's JSON has under ``result``."""
        found: dict[str, Any] = as_json(self)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """The main table, each row a flat mapping, as ``pandas.DataFrame`` takes it."""
        return [flat(row) for row in as_json(_at(self, self._table))]

    def _repr_html_(self) -> str:
        """The main table in a notebook."""
        return _html(repr(self), self.rows())


class Sparse(Result):
    """An answer of which JSON leaves out what was not asked for: the fields that are None by default and still are."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the same as the command's JSON has under ``result``."""
        one: Any = self
        there = (field.name for field in fields(one) if field.default is MISSING or getattr(self, field.name) is not None)
        return {name: as_json(getattr(self, name)) for name in there}


class Rows(list[T]):
    """A field called "rows" that is the main table: a list of rows which, called, gives them as :meth:`Result.rows` does."""

    def __call__(self) -> list[dict[str, Any]]:
        return [flat(row) for row in as_json(self)]


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[int(name)] if name.isdecimal() else getattr(value, name)
    return value


def _figure(path: str, value: Any) -> str:
    """A figure in a repr; of a list its length."""
    if isinstance(value, list):
        return f"{path}[{len(value)}]"
    whole = isinstance(value, int) and not isinstance(value, bool)
    return f"{path}={f'{value:_}' if whole else f'{value:.4g}' if isinstance(value, float) else repr(value)}"


def _html(caption: str, rows: list[dict[str, Any]]) -> str:
    """Rows as an HTML table, numbers to the right."""
    from html import escape

    def cell(tag: str, value: Any, right: bool) -> str:
        style = ' style="text-align: right"' if right else ' style="text-align: left"'
        return f"<{tag}{style}>{escape('' if value is None else _number(value) if _counts(value) else str(value))}</{tag}>"

    keys = [*dict.fromkeys(key for row in rows for key in row)]
    numbers = {key for key in keys if any(_counts(row.get(key)) for row in rows)}
    lines = [f"<table>\n<caption>{escape(caption)}</caption>", "<thead>"]
    lines += ["<tr>" + "".join(cell("th", key, key in numbers) for key in keys) + "</tr>", "</thead>", "<tbody>"]
    lines += ["<tr>" + "".join(cell("td", row.get(key), key in numbers) for key in keys) + "</tr>" for row in rows]
    return "\n".join([*lines, "</tbody>", "</table>"])


def _counts(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: int | float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
