"""llmcx.toml: what each launch line of a repository must do."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
    **dict.fromkeys(("int_type", "float_type"), "must be a number, or a text such as '4k'"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be a table"),
    **{"string_type": "must be a text", "string_too_short": "must not be empty", "too_short": "must have an entry: [check.NAME]"},
}
"""What pydantic's errors say of a value."""

Text = Annotated[str, Field(min_length=1, max_length=100_000)]
Size = Union[int, float, Text]


class Limits(BaseModel):
    """What a launch line runs on and must do, as the options of `llmcx check` of these names say it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hardware: Text | None = None
    budget: Size | None = None
    prompt: Size | None = None
    output: Size | None = None
    batch: Size | None = None
    dtype: Text | None = None
    require: Text | None = None
    model: Text | None = None


class Entry(Limits):
    """A launch line, or a file with one."""

    line: Text | None = None
    file: Text | None = None


class Budget(BaseModel):
    """The whole file: launch lines by name, and what holds for all that do not say otherwise."""

    model_config = ConfigDict(extra="forbid", strict=True)

    defaults: Limits = Limits()
    check: Annotated[dict[str, Entry], Field(min_length=1, max_length=MOST)]


def read(path: str) -> dict[str, dict[str, Any]]:
    """The options of `llmcx check` for each launch line, by its name; files beside ``path`` with their way there.

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
    return parsed(raw, path)


def parsed(raw: bytes, path: str) -> dict[str, dict[str, Any]]:
    """The same of the bytes of a file."""
    try:
        data = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8, as TOML must be", field="file", value=path) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path} is no TOML: {said[:200]}", field="file", value=path) from None
    try:
        made = Budget.model_validate(data)
    except ValidationError as failure:
        errors = failure.errors()
        unknown = (error for error in errors if error["type"] == "extra_forbidden")
        raise _sentence(next(unknown, errors[0]), path) from None
    folder = os.path.dirname(path)
    return {name: _options(entry, made.defaults, f"{path}, [check.{name}]", folder) for name, entry in made.check.items()}


def _options(entry: Entry, defaults: Limits, where: str, folder: str) -> dict[str, Any]:
    """One entry, with what holds for all."""
    if (entry.line is None) == (entry.file is None):
        what = "has both line and file" if entry.line else "has neither line nor file"
        raise InputError(f"{where} {what}, but must have one of them", field="file")
    if "-" in (entry.line, entry.file, entry.model):
        raise InputError(f"{where} names stdin, which an entry of a file cannot read", field="file", value="-")
    said = defaults.model_dump(exclude_none=True) | entry.model_dump(exclude_none=True, exclude={"file"})
    if entry.file is not None:
        said["line"] = os.path.join(folder, entry.file)
        if not os.path.isfile(said["line"]):
            raise InputError(f"{where} names the file {said['line']}, which is not there", field="file", value=entry.file)
    for key in ("model", "hardware"):
        if key in said and os.path.exists(beside := os.path.join(folder, said[key])):
            said[key] = beside
    return said


def _sentence(error: Any, path: str) -> InputError:
    """The first of pydantic's errors in our words."""
    *above, key = map(str, error["loc"]) if error["loc"] else ("",)
    above = [part for part in above if part not in ("int", "float") and not part.startswith("constrained")]
    where = f"{path}, [{'.'.join(above)}]" if above else path
    if error["type"] == "extra_forbidden":
        kinds: dict[int, Any] = {0: Budget, 1: Limits, 2: Entry}
        known = [*kinds[len(above)].model_fields]
        return unknown_name(f"{where}: key", key, known, field="file")
    if error["type"] == "missing":
        return InputError(f"{path} has no launch line; add a table [check.NAME] with line or file", field="file", value=path)
    if key in ("int", "float") or key.startswith("constrained") or above[-1:] == [key]:
        key = above.pop() if above else key
        where = f"{path}, [{'.'.join(above)}]" if above else path
    must = MUST.get(error["type"], error["msg"][0].lower() + error["msg"][1:])
    return InputError(f"{where}: {key} is {shown(error['input'])}, but {must}", field="file", value=shown(error["input"]))
