"""llmcx.toml: what each launch line of a repository must do."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, create_model

from llmcx.errors import InputError, shown, unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 2**20
"""Bytes of such a file."""
MOST = 1000
"""Launch lines in it."""
MUST = {
    **dict.fromkeys(("int_type", "float_type", "bool_type"), "must be a number, or a text such as '4k'"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be a table"),
    **{"string_type": "must be a text", "string_too_short": "must not be empty", "too_short": "must have an entry: [check.NAME]"},
}
"""What pydantic's errors say of a value."""

Text = Annotated[str, Field(min_length=1, max_length=100_000)]
Size = int | float | Text


CONFIG = ConfigDict(extra="forbid", strict=True)
SOURCES = ("line", "file")
"""What names a launch line: itself, or a file with it."""


def _models(options: Collection[str]) -> tuple[Any, Any, Any]:
    """Of the whole file, of what holds for all lines, and of a line; their keys are the ``options`` of `llmcx check`."""
    keys: dict[str, Any] = dict.fromkeys(options, (Size | bool | None, None))
    limits = create_model("Limits", __config__=CONFIG, **keys)
    sources: dict[str, Any] = dict.fromkeys(SOURCES, (Text | None, None))
    entry: Any = create_model("Entry", __config__=CONFIG, **keys, **sources)
    entries: Any = Annotated[dict[str, entry], Field(min_length=1, max_length=MOST)]
    return create_model("Budget", __config__=CONFIG, defaults=(limits, limits()), check=(entries, ...)), limits, entry


def read(path: str, options: Collection[str]) -> dict[str, dict[str, Any]]:
    """Those of the ``options`` of `llmcx check` that each launch line has, by its name; files beside ``path`` with their way
    there.

    Raises InputError for a file that cannot be read, a key that is not known, and a value of another type.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        hint = "; name one with --file" if isinstance(error, FileNotFoundError) else ""
        raise InputError(f"{path} cannot be read: {error.strerror}{hint}", field="file", value=path) from None
    if len(raw) > LARGEST:
        raise InputError(f"{path} has more than {LARGEST:,} bytes, but must have fewer", field="file", value=path)
    return parsed(raw, path, options)


def parsed(raw: bytes, path: str, options: Collection[str]) -> dict[str, dict[str, Any]]:
    """The same of the bytes of a file."""
    try:
        data = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8, as TOML must be", field="file", value=path) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path} is no TOML: {said[:200]}", field="file", value=path) from None
    kinds = _models(options)
    try:
        made = kinds[0].model_validate(data)
    except ValidationError as failure:
        errors = failure.errors()
        unknown = (error for error in errors if error["type"] == "extra_forbidden")
        raise _sentence(next(unknown, errors[0]), path, kinds) from None
    folder = os.path.dirname(path)
    return {name: _options(entry, made.defaults, f"{path}, [check.{name}]", folder) for name, entry in made.check.items()}


def _options(entry: Any, defaults: Any, where: str, folder: str) -> dict[str, Any]:
    """One entry, with what holds for all."""
    if (entry.line is None) == (entry.file is None):
        what = "has both line and file" if entry.line else "has neither line nor file"
        raise InputError(f"{where} {what}, but must have one of them", field="file")
    said: dict[str, Any] = defaults.model_dump(exclude_none=True) | entry.model_dump(exclude_none=True, exclude={"file"})
    if "-" in (entry.file, said.get("line"), said.get("model")):
        raise InputError(f"{where} names stdin, which an entry of a file cannot read", field="file", value="-")
    if entry.file is not None:
        said["line"] = os.path.join(folder, entry.file)
        if not os.path.isfile(said["line"]):
            raise InputError(f"{where} names the file {said['line']}, which is not there", field="file", value=entry.file)
    for key in ("model", "hardware"):
        if isinstance(said.get(key), str) and os.path.exists(beside := os.path.join(folder, said[key])):
            said[key] = beside
    return said


def _sentence(error: Any, path: str, kinds: tuple[Any, Any, Any]) -> InputError:
    """The first of pydantic's errors in our words."""
    *above, key = map(str, error["loc"]) if error["loc"] else ("",)
    above = [part for part in above if part not in ("int", "float", "bool") and not part.startswith("constrained")]
    where = f"{path}, [{'.'.join(above)}]" if above else path
    if error["type"] == "extra_forbidden":
        known = [*kinds[len(above)].model_fields]
        return unknown_name(f"{where}: key", key, known, field="file")
    if error["type"] == "missing":
        return InputError(f"{path} has no launch line; add a table [check.NAME] with line or file", field="file", value=path)
    if key in ("int", "float", "bool") or key.startswith("constrained") or above[-1:] == [key]:
        key = above.pop() if above else key
        where = f"{path}, [{'.'.join(above)}]" if above else path
    must = MUST.get(error["type"], error["msg"][0].lower() + error["msg"][1:])
    return InputError(f"{where}: {key} is {shown(error['input'])}, but {must}", field="file", value=shown(error["input"]))
