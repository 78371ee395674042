"""Which numbers of an answer a sweep's flat rows have: paths into it, checked against the command's schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llmcx.errors import InputError
from llmcx.report.json import as_json
from llmcx.report.render import Item

ROOTS = ("model", "inputs", "result", "notes")
SCALARS = ("integer", "number", "string", "boolean")

Row = dict[str, Any]
"""Column -> value, in the order of the columns."""


# --- columns ----------------------------------------------------------------------------------------------------------


def _alternatives(schema: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a part of a JSON Schema may be, references followed."""
    if "$ref" in part:
        yield from _alternatives(schema, schema["$defs"][part["$ref"].rpartition("/")[2]])
    elif "anyOf" in part:
        for each in part["anyOf"]:
            yield from _alternatives(schema, each)
    else:
        yield part


def scalars(schema: dict[str, Any]) -> dict[str, str]:
    """The dotted paths of the numbers and words under ``result`` of a command's schema, and the type of each; lists left out."""
    found: dict[str, str] = {}

    def walk(part: dict[str, Any], path: str) -> None:
        for each in _alternatives(schema, part):
            for name, inner in each.get("properties", {}).items():
                walk(inner, f"{path}.{name}")
            kind = each.get("type")
            if kind in SCALARS:
                found[path] = str(kind) if found.get(path, kind) == kind else "number"

    walk(schema["$defs"]["Answer"]["properties"]["result"], "result")
    return found


def leads_somewhere(schema: dict[str, Any], path: str) -> bool:
    """Whether a command's answers may have something at ``path``."""

    def walk(part: dict[str, Any], names: list[str]) -> bool:
        if not names:
            return True
        for each in _alternatives(schema, part):
            inner = each.get("properties", {}).get(names[0])
            if inner is not None and walk(inner, names[1:]):
                return True
            if each.get("type") == "array" and any(walk(each["items"], names[k:]) for k in range(1, len(names) + 1)):
                return True
            more = each.get("additionalProperties")
            if more is True or (isinstance(more, dict) and any(walk(more, names[k:]) for k in range(1, len(names) + 1))):
                return True
        return False

    root, *names = path.split(".")
    return root in ROOTS and walk(schema["$defs"]["Answer"]["properties"].get(root, {}), names)


def reader(path: str) -> Callable[[Item], Any]:
    """What stands at a dotted path of an answer: fields by name, rows of a list by number or by their first value. None where
    there is no such thing.
    """
    root, *names = path.split(".")

    def read(item: Item) -> Any:
        value = getattr(item, root)
        at = 0
        while at < len(names):
            value, at = _step(value, names, at)
            if value is None:
                return None
        return value if value is None or isinstance(value, (int, float, str)) else as_json(value)

    return read


def _step(value: Any, names: list[str], at: int) -> tuple[Any, int]:
    """One field or row further, and where the next name begins: a row's own name may have dots."""
    name = names[at]
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        if name.isdecimal():
            return (value[int(name)] if int(name) < len(value) else None), at + 1
        value = {_name(row): row for row in reversed(value)}
    if isinstance(value, dict):
        ends = (end for end in range(len(names), at, -1) if ".".join(names[at:end]) in value)
        end = next(ends, at)
        return (value[".".join(names[at:end])], end) if end > at else (None, at + 1)
    return getattr(value, name, None), at + 1


def _name(row: Any) -> str:
    """A row's first value."""
    fields = as_json(row)
    return str(next(iter(fields.values()), "")) if isinstance(fields, dict) else ""


class Columns:
    """Which columns a sweep's rows have: the inputs swept, the model, and what is read of each answer."""

    def __init__(self, swept: Sequence[str], schema: dict[str, Any], select: Sequence[str] | None, errors: bool) -> None:
        kinds = scalars(schema)
        self.paths = list(kinds) if select is None else list(select)
        self.readers = [(path, reader(path)) for path in self.paths]
        self.swept = list(swept)
        self.model = "model" in schema["$defs"]["Answer"]["properties"] and "model" not in swept
        self.errors = errors
        self.names = [*swept, *(["model"] if self.model else []), *self.paths, *(["error"] if errors else [])]
        self.kinds = {"model": "string", "error": "string"} | {path: kinds[path] for path in self.paths if path in kinds}

    def row(self, point: dict[str, Any], outcome: Item | InputError) -> Row:
        """An answer, or a refusal where rows have them."""
        if isinstance(outcome, InputError):
            return point | dict.fromkeys(self.names[len(self.swept) : -1]) | {"error": outcome.message}
        row = dict(point)
        if self.model:
            row["model"] = outcome.model["name"] if outcome.model else None
        for path, read in self.readers:
            row[path] = read(outcome)
        return row | {"error": None} if self.errors else row
