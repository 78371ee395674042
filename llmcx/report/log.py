"""How an engine's log beside the prediction reads: a row a term, and on which line of the log it stands."""

from __future__ import annotations

from typing import Any

from llmcx.report.json import as_rows
from llmcx.report.render import Item, View
from llmcx.report.table import Fact, Table, columns_of

WORDS = {
    "workspace": "activation peak",
    "outside": "outside of torch",
    "graphs": "CUDA graphs",
    "kv_cache": "KV cache",
    "kv_tokens": "tokens of KV cache",
    "kv_tokens_of_pool": "tokens, by the log's pool",
    "concurrency": "requests at the full length",
    "d_model": "model width",
    "kv_heads": "KV heads",
    "vocab": "vocabulary",
    "state": "recurrent state",
}


def kind_of(unit: str, engine: str) -> str:
    """How a term's figures read: bytes as the engine itself writes them."""
    return {"bytes": "mib" if engine == "llama.cpp" else "gib", "requests": "float"}.get(unit, "int")


def words(term: str) -> str:
    """A term for a reader.

    >>> words("workspace"), words("compute_buffer.CUDA0"), words("weights")
    ('activation peak', 'compute buffer, CUDA0', 'weights')
    """
    name, _, device = term.partition(".")
    text = WORDS.get(name, name.replace("_", " "))
    return f"{text}, {device}" if device else text


def _rows(item: Item) -> list[dict[str, Any]]:
    engine = item.result.engine
    return [row | {"what": words(row["term"]), "kind": kind_of(row["unit"], engine)} for row in as_rows(item.result.terms)]


def _tables(item: Item) -> list[Table]:
    rows = _rows(item)
    columns = "what: term | logged: logged (cell) | "
    if any(row["predicted"] is not None for row in rows):
        columns = "what: term | predicted: predicted (cell) | logged: logged (cell) | difference: difference (±cell) | "
        columns += "share: off by (±share) | "
    if any(row["low"] is not None for row in rows):
        columns += "low: from (cell 2) | high: to (cell 2) | "
    keys = ("term", "unit", "predicted", "low", "high", "logged", "difference", "share", "line")
    return [Table("", columns_of(f"{columns}line: line (int 1)"), rows, keys=keys)]


def _facts(item: Item) -> list[Fact]:
    """How far each term is off, for several models beside one log."""
    return [Fact(term.term, words(term.term), term.share, "±share") for term in item.result.terms if term.share is not None]


VIEW = View(_tables, _facts)
