"""Presets that plugins bring: read with the care that a stranger's file gets, and never in place of llmcx's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmcx import plugins
from llmcx.catalog.build import build, validate
from llmcx.catalog.files import parse, read_text
from llmcx.errors import InputError

if TYPE_CHECKING:
    from llmcx.catalog.presets import Summary

REQUIRED = ("title", "family", "year", "source")
"""What every preset of llmcx's own says beside its shape, and `catalog models` shows."""


def find(name: str, taken: set[str]) -> Path | None:
    """The file of a plugin's preset, by its name or an alias in lower case."""
    found = plugins.file("models", name) or next(
        (file for file in plugins.files("models")[0] if file.name not in taken and name in _aliases(file.path)), None
    )
    return found and found.path


def _aliases(path: Path) -> list[str]:
    try:
        from llmcx.catalog.presets import others

        return list(others(read(path)))
    except InputError:  # said where the preset is asked for by name, or listed
        return []


def read(path: Path) -> dict[str, Any]:
    """A preset's data, checked. Raises InputError, one sentence with the file and the field."""
    data = parse(read_text(str(path)), str(path))
    missing = next((key for key in REQUIRED if data.get(key) is None), None)
    if missing is not None:
        raise InputError(f"{path}: {missing} is missing, which a preset must state", field=missing)
    if data.get("name") != path.stem.lower():
        raise InputError(f"{path}: name is {data.get('name')!r}, but must be the file's, {path.stem.lower()!r}", field="name")
    validate(data, str(path))
    return data


def summaries(taken: set[str]) -> tuple[list[Summary], list[str]]:
    """The rows of `catalog models`, and what to know about them: whose they are, and which of them cannot be had."""
    from llmcx.catalog.presets import summary
    from llmcx.costs.params import active, count

    files, notes = plugins.files("models")
    rows: list[Summary] = []
    for file in files:
        if file.name in taken:
            notes.append(file.passed_over())
            continue
        try:
            plugins.file("models", file.name)  # refuses two of a name
            data = read(file.path)
            spec = build(data)
            total, met = count(spec), active(spec)
        except InputError as error:
            notes.append(error.message)
            continue
        rows.append(summary(data, total, met))
        notes.append(file.had())
    return rows, notes
