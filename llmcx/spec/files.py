"""Reading a YAML or JSON document from a file or stdin, with bounds on everything a hostile or mistaken one could grow."""

from __future__ import annotations

import os
import sys
from typing import Any

from llmcx.core.errors import InputError

MAX_BYTES = 1 << 20  # the largest released config.json is under 100 KB
MAX_DEPTH = 64
MAX_NODES = 100_000


def read_text(path: str) -> str:
    """At most MAX_BYTES of UTF-8 text from ``path`` ("-" is stdin)."""
    try:
        if path == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            if os.path.isdir(path):
                raise InputError(f"{path} is a directory, but must be a YAML or JSON file", field="config", value=path)
            with open(path, "rb") as file:
                raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="config", value=path) from None
    except ValueError:
        raise InputError(f"{path!r} is not a file name", field="config", value=path) from None
    name = "stdin" if path == "-" else path
    if len(raw) > MAX_BYTES:
        raise InputError(f"{name} is larger than 1 MiB, which no model description is", field="config", value=path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not text (UTF-8), but must be YAML or JSON", field="config", value=path) from None
    if not text.strip():
        raise InputError(f"{name} is empty", field="config", value=path)
    if "\x00" in text:
        raise InputError(f"{name} is a binary file, but must be YAML or JSON", field="config", value=path)
    return text


def parse(text: str, name: str) -> dict[str, Any]:
    """The one mapping that a document holds, as YAML or JSON; plain values only."""
    data = _json(text, name) if text.lstrip()[0] in "{[" else None
    if data is None:
        data = _yaml(text, name)
    if not isinstance(data, dict):
        raise InputError(f"{name} holds a {type(data).__name__}, but must hold a mapping of keys to values", field="config")
    return data


def _json(text: str, name: str) -> Any:
    import json

    try:
        return json.loads(text, parse_constant=lambda token: _refuse_constant(token, name))
    except RecursionError:
        raise InputError(f"{name} is nested deeper than {MAX_DEPTH} levels", field="config") from None
    except InputError:
        raise
    except ValueError:
        return None  # {a: 1} is YAML


def _refuse_constant(token: str, name: str) -> Any:
    raise InputError(f"{name} contains {token}, which is not a number that a model can have", field="config", value=token)


def _yaml(text: str, name: str) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for nodes, event in enumerate(yaml.parse(text, Loader=loader)):
            if isinstance(event, yaml.AliasEvent):
                alias = f"a YAML alias (*{event.anchor})"
                raise InputError(f"{name} uses {alias}, which llmcx does not follow; write the value out", field="config")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or nodes > MAX_NODES:
                bound = f"deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"more than {MAX_NODES:,} values"
                raise InputError(f"{name} has {bound}, which no model description has", field="config")
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{name} is not valid YAML{where}: {error.problem or error.context}", field="config") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is not valid YAML: {str(error).splitlines()[0]}", field="config") from None
