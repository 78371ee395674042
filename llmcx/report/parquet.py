"""Rows as a Parquet file (extra llmcx[parquet]), written as they come."""

from __future__ import annotations

import os
from typing import Any

from llmcx.errors import InputError
from llmcx.report.csv import cell
from llmcx.report.select import Columns, Row

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
        if kind == "number" and abs(value) <= _WHOLE:  # by the schema it may be either
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
        return str(cell(value))
    return float(value) if kind == "number" else value
