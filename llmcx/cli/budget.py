"""llmcx check --all: every launch line that a repository's llmcx.toml lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import llmcx
from llmcx.answers import budget as answers
from llmcx.catalog import budget as files
from llmcx.cli import built, values
from llmcx.cli.options import heading
from llmcx.errors import InputError
from llmcx.report.render import Answer, Item

USUAL = "llmcx.toml"
"""The file that is read where none is named."""
FITS = "fits"
"""What is required where nothing is said."""
OTHERS = ("line", "all_", "file", "against", "preset", "config", "hf")
"""Options of check that no line of a file has."""
LARGEST = 16 * 2**20
"""Bytes of an earlier answer."""
UNSAID = ("line", "require")
"""Inputs of a line's answer that are said elsewhere, or of which each word is an input of its own."""


def checked(file: str | None, against: str | None, given: Mapping[str, Any]) -> Answer:
    """Every line of ``file``; options ``given`` beside --all come before those of the file. ``against``: an earlier answer in
    JSON, or another such file, which is checked as well.
    """
    path = file or USUAL
    found = answers.budget(_entries(path, given), None if against is None else _before(against, given))
    inputs = {"file": path, "against": against, "version": llmcx.__version__}
    item = Item(None, inputs, found, [], head=heading("budget", inputs, found))
    return Answer([item], "budget")


def _entries(path: str, given: Mapping[str, Any], data: bytes | None = None) -> list[answers.Entry]:
    """The answers of a file's lines."""
    declared = built("check").callback.question.declared
    options = [name for name, each in declared.items() if name not in OTHERS and not each.rare and each.group != "Shape"]
    asked = files.read(path, options) if data is None else files.parsed(data, path, options)
    return [_entry(name, {**options, **given}) for name, options in asked.items()]


def _entry(name: str, options: dict[str, Any]) -> answers.Entry:
    """One line's answer. Raises InputError, which names it."""
    question = built("check").callback.question
    require = options.setdefault("require", FITS)
    try:
        lists = values.lists(question, options)
        for option, listed in lists.items():
            if len(listed) != 1:
                raise InputError(f"{option} has {len(listed):,} values, but must have one", field=option)
        item = question.answer({option: value for option, [value] in lists.items()})
    except InputError as error:
        raise InputError(
            f"{name}: {error.message}", field=error.field, value=error.value, allowed=error.allowed, nearest=error.nearest
        ) from None
    told = {key: value for key, value in item.inputs.items() if key not in UNSAID}
    return answers.entry(name, require, {"model": item.model["name"], **told}, item.result)


def _before(path: str, given: Mapping[str, Any]) -> list[answers.Entry]:
    """The entries of an earlier answer, or of another file."""
    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="against", value=path) from None
    if not raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _entries(path, given, raw)
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise InputError(f"{path} is no JSON", field="against", value=path) from None
    return answers.earlier(data, path)
