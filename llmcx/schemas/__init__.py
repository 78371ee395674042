"""JSON Schemas of what the commands print, checked in.

`llmcx tools schema COMMAND` prints one; `python -m llmcx.schemas` writes them all.
"""

from __future__ import annotations

from pathlib import Path

from llmcx.errors import unknown_name

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """Of the schemas, sorted: a command's name each, and "error"."""
    return sorted(path.stem for path in HERE.glob("*.json"))


def text(name: str) -> str:
    """A schema as it is checked in. Raises InputError with the nearest names."""
    if name not in names():
        raise unknown_name("schema", name, names(), field="schema")
    return (HERE / f"{name}.json").read_text(encoding="utf-8")
