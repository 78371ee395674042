"""Answers as JSON: one object, or one a line."""

from __future__ import annotations

import json
import sys
from typing import Any

from llmcx.answers import as_json as as_json
from llmcx.errors import InputError
from llmcx.report.render import Item


def as_rows(values: Any) -> list[dict[str, Any]]:
    """Records as rows of a table."""
    return [as_json(value) for value in values]


VERSION = 2
"""Of the schema: the number after the slash."""


def envelope(command: str, item: Item, explain: bool, head: bool = False) -> dict[str, Any]:
    """The stable contract: schema, model, inputs, result, notes; with ``head`` what a reader is told first."""
    out: dict[str, Any] = {"schema": f"llmcx.{command}/{VERSION}"}
    if item.model is not None:
        out["model"] = item.model
    out["inputs"] = as_json(item.inputs)
    if head and item.head is not None:
        first = item.head()
        out |= {"asked": first.asked, "verdict": first.verdict}
        if first.good is False:
            out["changes"] = as_json(list(first.changes))
    out["result"] = as_json(item.result)
    if explain:
        out["explain"] = as_json(item.explained())
    return out | {"notes": item.notes}


def line(data: Any) -> str:
    """An object on one line."""
    return json.dumps(data, ensure_ascii=False, default=str) + "\n"


def answer_line(command: str, item: Item, explain: bool, head: bool = False) -> str:
    """An answer on one line."""
    return line(envelope(command, item, explain, head))


def refusal_line(command: str, point: dict[str, Any], error: InputError) -> str:
    """A refusal in place of an answer: what was asked, and why not."""
    return line({"schema": f"llmcx.{command}/{VERSION}", "inputs": point, "error": error.as_dict()})


def write(command: str, items: list[Item], explain: bool) -> None:
    """One object: the answers as its ``results``; of a single one each part stands at the top too, as .result.total."""
    answers = [envelope(command, item, explain, head=True) for item in items]
    alone = answers[0] if len(answers) == 1 else {}
    out = {"schema": f"llmcx.{command}/{VERSION}"} | alone | {"results": answers}
    sys.stdout.write(json.dumps(out, indent=2, ensure_ascii=False) + "\n")


def write_lines(command: str, items: list[Item], explain: bool) -> None:
    """One object a line."""
    for item in items:
        sys.stdout.write(answer_line(command, item, explain, head=True))
