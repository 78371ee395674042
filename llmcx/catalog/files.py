"""Reading a YAML or JSON document from a file or stdin, with bounds on everything a hostile or mistaken one could grow."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from llmcx.catalog.index import plain_loader
from llmcx.errors import InputError, shown

MAX_BYTES = 16 << 20  # released config.json that name every module of a quantised model have some MB
MAX_YAML = 1 << 20  # no description that people write is longer, and YAML takes its time
MAX_DEPTH = 64
MAX_NODES = 100_000
DEEP = f"is nested deeper than {MAX_DEPTH} levels"
OPEN_RANGE = "time_step_limit"  # the one key that released files end with Infinity, of state-space layers; it costs nothing


_KINDS = {
    "NoneType": "nothing (null)",
    "list": "a list",
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
}
"""What a file may hold in place of a mapping, in words."""


def read_text(path: str) -> str:
    """At most MAX_BYTES of UTF-8 text from ``path`` ("-" is stdin)."""
    if not path.strip():
        raise InputError(f"{path!r} is not a file name", field="config", value=path)
    if path == "-" and sys.stdin is None:
        raise InputError("stdin is closed, so there is nothing to read from it", field="config", value=path)
    if path != "-" and "\x00" not in path and os.path.isdir(path):
        raise InputError(f"{path} is a directory, but must be a YAML or JSON file", field="config", value=path)
    try:
        if path == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as file:
                raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="config", value=path) from None
    except ValueError:
        raise InputError(f"{path!r} is not a file name", field="config", value=path) from None
    name = "stdin" if path == "-" else path
    if len(raw) > MAX_BYTES:
        raise InputError(f"{name} is larger than 16 MiB, which no model description is", field="config", value=path)
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
        if len(text) > MAX_YAML:
            raise InputError(f"{name} is no JSON, and longer than YAML may be, 1 MiB", field="config")
        try:
            data = _yaml(text, name)
        except InputError as error:
            raise (_no_json(text, name) if name.lower().endswith(".json") else error) from None
    if not isinstance(data, dict):
        what = _KINDS.get(type(data).__name__, "something else")
        raise InputError(f"{name} holds {what}, but must hold a mapping of keys to values", field="config")
    return data


def _json(text: str, name: str) -> Any:
    import json

    def refuse(token: str) -> Any:
        problem = f"{name} contains {shown(token)}, which is not a number that a model can have"
        raise InputError(problem, field="config", value=token[:80])

    class Constant(str):
        """NaN or an Infinity, kept until its key is known."""

    def whole(token: str) -> int:
        return int(token) if len(token) < 400 else refuse(token)

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        for key, value in pairs:
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, Constant) and key != OPEN_RANGE:
                    refuse(item)
        if len(made) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise InputError(f"{name} states {shown(twice)} twice", field=twice[:80])
        return made

    deep = InputError(f"{name} {DEEP}", field="config")
    try:
        data = json.loads(text, parse_constant=Constant, parse_int=whole, object_pairs_hook=mapping)
    except RecursionError:
        raise deep from None
    except InputError:
        raise
    except ValueError:
        return None  # {a: 1} is YAML
    if text.count("[") + text.count("{") > MAX_DEPTH:  # Python 3.14 reads thousands of levels
        level = [data]
        for _ in range(MAX_DEPTH):
            inner = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
            level = [item for item in inner if isinstance(item, (dict, list))]
        if level:
            raise deep
    return data


def _no_json(text: str, name: str) -> InputError:
    """The refusal of a file that is called JSON, and is neither that nor YAML."""
    import json

    try:
        json.loads(text)
    except ValueError as error:
        where = f" at line {error.lineno}, column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
        return InputError(f"{name} is not valid JSON{where}", field="config")
    return InputError(f"{name} is not valid JSON", field="config")


def _yaml(text: str, name: str) -> Any:
    import yaml

    base: Any = plain_loader()

    class Loader(base):  # type: ignore[misc]
        """The safe loader, which builds plain values only, without its habit of letting the last of equal keys win."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            made = super().construct_mapping(node, deep)
            if len(made) < len(node.value):
                keys = [key.value for key, _ in node.value]
                twice = next((key for key in keys if keys.count(key) > 1), keys[0])
                raise InputError(f"{name} states {shown(twice)} twice", field=str(twice)[:80])
            return made

        def construct_yaml_int(self, node: Any) -> int:
            """YAML 1.1 takes 0100 for 64 and 1:40 for 100: nobody who writes a model means that."""
            text = str(self.construct_scalar(node))
            if re.match(r"[+-]?0[_0-9]", text) or ":" in text:
                odd = "in base 60" if ":" in text else "octal"
                problem = f"{name} contains {shown(text)}, which YAML reads as {odd}; write it in decimal"
                raise InputError(problem, field="config", value=text[:80])
            number: int = super().construct_yaml_int(node)
            return number

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    try:
        depth = 0
        for nodes, event in enumerate(yaml.parse(text, Loader=base)):
            if isinstance(event, yaml.AliasEvent):
                alias = f"a YAML alias (*{event.anchor})"
                raise InputError(f"{name} uses {alias}, which llmcx does not follow; write the value out", field="config")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or nodes > MAX_NODES:
                bound = DEEP if depth > MAX_DEPTH else f"holds more than {MAX_NODES:,} values"
                raise InputError(f"{name} {bound}, which no model description does", field="config")
        return yaml.load(text, Loader=Loader)
    except InputError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = shown(error.problem or error.context)[1:-1]
        if "nesting depth" in problem:  # newer libyaml stops by itself, while it looks ahead
            raise InputError(f"{name} {DEEP}{where}", field="config") from None
        raise InputError(f"{name} is not valid YAML{where}: {problem}", field="config") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is not valid YAML: {str(error).splitlines()[0][:120]}", field="config") from None
