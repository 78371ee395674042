"""The built-in presets: one YAML file a model, found in the wheel or in the checkout.

The YAML files are the truth. presets/index.json holds the same data, and what it counts, in a form that is read without a
YAML parser, which would be a fifth of the start-up, and one line a preset, so that one is read without the others. An entry
whose checksum does not fit its file is ignored. `python -m llmcx.spec.presets` writes it anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypedDict
from zlib import crc32

from llmcx.core.errors import unknown_name
from llmcx.core.parts import ModelSpec

from .build import build


def _root() -> Path:
    package = Path(__file__).resolve().parent.parent
    inside = package / "presets"  # a wheel
    return inside if inside.is_dir() else package.parent / "presets"  # a checkout


ROOT = _root()
MODELS = ROOT / "models"
INDEX = ROOT / "index.json"


def names() -> list[str]:
    """Every preset's name, sorted."""
    return sorted(file.removesuffix(".yaml") for file in os.listdir(MODELS) if file.endswith(".yaml"))


@lru_cache(maxsize=1)
def _index() -> bytes:
    return INDEX.read_bytes() if INDEX.is_file() else b""


def _indexed(key: str) -> Any:
    """What the index holds of ``key``, which has a line of its own; None if it has none."""
    start = f"\n{json.dumps(key)}: ".encode()
    at = _index().find(start)
    return None if at < 0 else json.loads(_index()[at + len(start) : _index().index(b"\n", at + 1)].rstrip(b","))


@lru_cache(maxsize=1)
def aliases() -> dict[str, str]:
    """Alias -> preset name, as the index has them."""
    known: dict[str, str] | None = _indexed("aliases")
    return _aliases() if known is None else known


def _aliases() -> dict[str, str]:
    """The same from every file."""
    return {alias: name for name in names() for alias in load_data(name).get("aliases", ())}


def path_of(name: str) -> Path:
    """The file of a preset, by its name or an alias. Raises InputError with the nearest names."""
    lower = name.lower()
    if re.fullmatch(r"[\w.+-]+", lower) and (MODELS / f"{lower}.yaml").is_file():
        return MODELS / f"{lower}.yaml"
    known = aliases()
    if lower not in known:
        known = _aliases()  # perhaps a file has changed since the index was made
    if lower in known:
        return MODELS / f"{known[lower]}.yaml"
    from . import brought

    taken = {*names(), *known}
    theirs = brought.find(lower, taken)
    if theirs is not None:
        return theirs
    raise unknown_name("preset", name, offered(), field="preset")


def offered() -> list[str]:
    """Every name that `--preset` takes, aliases and plugins' presets included."""
    from llmcx.core import plugins

    own = [*names(), *sorted(aliases())]
    return own + sorted({file.name for file in plugins.files("models")[0]} - set(own))


def read_yaml(path: Path) -> dict[str, Any]:
    """A file of ours, trusted to be YAML."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open("rb") as file:
        data: dict[str, Any] = yaml.load(file, Loader=loader)
    return data


def _entry(path: Path) -> dict[str, Any] | None:
    """What the index holds of a file, unless the file is another by now."""
    entry: dict[str, Any] | None = _indexed(path.stem)
    return entry if entry is not None and entry["crc32"] == crc32(path.read_bytes()) else None


def load_data(name: str) -> dict[str, Any]:
    """A preset's file as plain data."""
    return _data(path_of(name))


def _data(path: Path) -> dict[str, Any]:
    if path.parent != MODELS:
        from . import brought

        return brought.read(path)
    entry = _entry(path)
    data: dict[str, Any] = entry["data"] if entry is not None else read_yaml(path)
    return data


class Summary(TypedDict):
    """A preset in a row: parameters in all and met by a token, as published, tokens of context."""

    name: str
    family: str
    year: int
    total: int
    active: int
    published: str | None
    context: int | None
    aliases: list[str]
    title: str


def plugin_summaries() -> tuple[list[Summary], list[str]]:
    """The rows of plugins' presets, and what to know about them."""
    from . import brought

    return brought.summaries({*names(), *aliases()})


def summaries() -> list[Summary]:
    """Every preset in a row: what it is and how large, without building it."""
    paths = [MODELS / f"{name}.yaml" for name in names()]
    entries = [_entry(path) or _made(path) for path in paths]
    return [summary(entry["data"], entry["total"], entry["active"]) for entry in entries]


def summary(data: Mapping[str, Any], total: int, active: int) -> Summary:
    """The row of one preset, from its data and its size."""
    return {
        "name": data["name"],
        "family": data["family"],
        "year": data["year"],
        "total": total,
        "active": active,
        "published": data.get("published_params"),
        "context": data.get("context"),
        "aliases": data.get("aliases", []),
        "title": data["title"],
    }


def load_preset(name: str) -> ModelSpec:
    """A built-in model. Its file is not validated again: tests do that."""
    path = path_of(name)
    return _built(path, path.stat().st_mtime_ns)


@cache
def _built(path: Path, changed: int) -> ModelSpec:
    """The model of a file as it was at a time, built once."""
    return build(_data(path))


def _made(path: Path) -> dict[str, Any]:
    """An entry of the index."""
    from llmcx.core.params import params

    data = read_yaml(path)
    sizes = params(build(data))
    return {"crc32": crc32(path.read_bytes()), "total": sizes.total, "active": sizes.active, "data": data}


def index() -> str:
    """What presets/index.json should hold."""
    made = {name: _made(MODELS / f"{name}.yaml") for name in names()}
    known = {alias: name for name, entry in made.items() for alias in entry["data"].get("aliases", ())}
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in made.items())
    return f'{{\n"aliases": {json.dumps(known)},\n"models": {{\n{rows}\n}}}}\n'


if __name__ == "__main__":
    INDEX.write_text(index(), encoding="utf-8")
