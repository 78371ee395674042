"""Rows one after another: what a sweep finds, as JSON lines, CSV or Parquet, written as it comes and never held."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from llmcx.errors import InputError
from llmcx.report.render import Item, envelope, plain

FORMATS = ("jsonl", "csv", "parquet", "table")

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
        return value if value is None or isinstance(value, (int, float, str)) else plain(value)

    return read


def _step(value: Any, names: list[str], at: int) -> tuple[Any, int]:
    """One field or row further, and where the next name begins: a row's own name may have dots."""
    name = names[at]
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        if name.isdecimal():
            return (value[int(name)] if int(name) < len(value) else None), at + 1
        for end in range(len(names), at, -1):
            sought = ".".join(names[at:end])
            for row in value:
                if sought == next(iter(row.values() if isinstance(row, dict) else plain(row).values()), None):
                    return row, end
        return None, at + 1
    if isinstance(value, dict):
        for end in range(len(names), at, -1):
            key = ".".join(names[at:end])
            if key in value:
                return value[key], end
        return None, at + 1
    return getattr(value, name, None), at + 1


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

    def row(self, point: dict[str, Any], item: Item) -> Row:
        """One answer."""
        row = dict(point)
        if self.model:
            row["model"] = item.model["name"] if item.model else None
        for path, read in self.readers:
            row[path] = read(item)
        if self.errors:
            row["error"] = None
        return row

    def refused(self, point: dict[str, Any], error: InputError) -> Row:
        """One refusal, where rows tell of them."""
        return point | dict.fromkeys(self.names[len(self.swept) : -1]) | {"error": error.message}


# --- lines ------------------------------------------------------------------------------------------------------------


def answer_line(command: str, item: Item, explain: bool) -> str:
    """The answer as the command's own --format jsonl writes it."""
    return json.dumps(envelope(command, item, explain), ensure_ascii=False) + "\n"


def refusal_line(command: str, point: dict[str, Any], error: InputError) -> str:
    """A refusal in place of an answer: what was asked, and why not."""
    told = {"schema": f"llmcx.{command}/1", "inputs": point, "error": error.as_dict()}
    return json.dumps(told, ensure_ascii=False, default=str) + "\n"


def row_line(row: Row) -> str:
    """A row as a flat JSON object."""
    return json.dumps(row, ensure_ascii=False) + "\n"


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


class CSVLines:
    """Rows as lines of CSV. A list or an object in a cell is JSON."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._writer: Any = csv.writer(_Line(), lineterminator="\n")

    def head(self) -> str:
        line: str = self._writer.writerow(self.names)
        return line

    def line(self, row: Row) -> str:
        line: str = self._writer.writerow([_cell(value) for value in row.values()])
        return line


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


class Lines:
    """Whole lines into a text file; the first at once, then as often as somebody who watches would see."""

    def __init__(self, file: TextIO, clock: Callable[[], float]) -> None:
        self.file, self.clock, self.last = file, clock, -1.0

    def write(self, line: str) -> None:
        self.file.write(line)
        now = self.clock()
        if now - self.last > 0.05:
            self.file.flush()
            self.last = now

    def close(self) -> None:
        self.file.flush()


# --- Parquet ----------------------------------------------------------------------------------------------------------

GROUP = 8192
"""Rows of a row group: what is held before it is written."""
_WHOLE = 2**53
"""Beyond it a double does not have every integer."""


class Parquet:
    """Rows into a Parquet file, a row group at a time. Integers stay exact: a column that goes beyond 64 bits becomes
    decimal(38, 0), and beyond that text, and the file is written anew up to there.
    """

    def __init__(self, path: str, columns: Columns) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise InputError("Parquet needs pyarrow: pip install 'llmcx[parquet]'", field="format", value="parquet") from None
        self.arrow, self.parquet, self.path, self.names = pyarrow, pyarrow.parquet, path, columns.names
        self.kinds: dict[str, str] = {name: columns.kinds.get(name, "null") for name in columns.names}
        self.rows: list[Row] = []
        self.writer: Any = None
        self.widened: dict[str, str] = {}

    def write(self, row: Row) -> None:
        self.rows.append(row)
        if len(self.rows) == GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the file's end, without which nothing can read it."""
        if self.rows or self.writer is None:
            self._flush()
        self.writer.close()

    def _schema(self) -> Any:
        arrow = self.arrow
        types = {
            "null": arrow.null(),
            "boolean": arrow.bool_(),
            "integer": arrow.int64(),
            "decimal": arrow.decimal128(38, 0),
            "number": arrow.float64(),
            "string": arrow.string(),
        }
        return arrow.schema([(name, types[kind]) for name, kind in self.kinds.items()])

    def _flush(self) -> None:
        wider = {name: _wide(kind, [row.get(name) for row in self.rows]) for name, kind in self.kinds.items()}
        if self.writer is None or wider != self.kinds:
            for name, kind in wider.items():
                if kind != self.kinds[name] and kind in ("decimal", "string") and self.kinds[name] in ("integer", "decimal"):
                    self.widened[name] = kind
            self.kinds = wider
            self._open()
        columns = [
            self.arrow.array([_stored(row.get(field.name), self.kinds[field.name]) for row in self.rows], type=field.type)
            for field in self._schema()
        ]
        self.writer.write_table(self.arrow.Table.from_arrays(columns, schema=self._schema()))
        self.rows = []

    def _open(self) -> None:
        """A file with the columns as they are now, and in it what was written before."""
        schema = self._schema()
        if self.writer is None:
            self.writer = self.parquet.ParquetWriter(self.path, schema)
            return
        before = self.path + ".narrow"
        self.writer.close()
        os.replace(self.path, before)
        self.writer = self.parquet.ParquetWriter(self.path, schema)
        with self.parquet.ParquetFile(before) as file:
            for group in range(file.num_row_groups):
                self.writer.write_table(file.read_row_group(group).cast(schema))
        os.remove(before)


def _wide(kind: str, values: list[Any]) -> str:
    """The narrowest type that holds what a column held so far, and ``values``."""
    kinds = {_kind(value, kind) for value in values if value is not None} | {kind} - {"null"}
    if not kinds:
        return "null"
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= {"integer", "decimal"}:
        return "decimal"
    return "string"


def _kind(value: Any, kind: str) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if kind == "number" and abs(value) <= _WHOLE:  # the schema says that it may be either
            return "number"
        return "integer" if -(2**63) <= value < 2**63 else "decimal" if abs(value) < 10**38 else "string"
    return "number" if isinstance(value, float) else "string"


def _stored(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "decimal":
        from decimal import Decimal

        return Decimal(value)
    if kind == "string" and not isinstance(value, str):
        return str(_cell(value))
    return float(value) if kind == "number" else value
