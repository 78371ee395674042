"""The built-in presets: one YAML file a model, found in the wheel or in the checkout.

The YAML files are the truth. presets/index.json holds the same data in a form that is read without a YAML parser, which
would be a fifth of the start-up; an entry whose checksum does not fit its file is ignored. `python -m llmcx.spec.presets`
writes it anew.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any
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
    return sorted(path.stem for path in MODELS.glob("*.yaml"))


@lru_cache(maxsize=1)
def _index() -> dict[str, Any]:
    return json.loads(INDEX.read_bytes()) if INDEX.is_file() else {}


@lru_cache(maxsize=1)
def aliases() -> dict[str, str]:
    """Alias -> preset name."""
    return {alias: name for name in names() for alias in load_data(name).get("aliases", ())}


def path_of(name: str) -> Path:
    """The file of a preset, by its name or an alias. Raises InputError with the nearest names."""
    lower = name.lower()
    if re.fullmatch(r"[\w.+-]+", lower) and (MODELS / f"{lower}.yaml").is_file():
        return MODELS / f"{lower}.yaml"
    known = aliases()
    if lower in known:
        return MODELS / f"{known[lower]}.yaml"
    raise unknown_name("preset", name, [*names(), *known], field="preset")


def read_yaml(path: Path) -> dict[str, Any]:
    """A file of ours, trusted to be YAML."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open("rb") as file:
        data: dict[str, Any] = yaml.load(file, Loader=loader)
    return data


def load_data(name: str) -> dict[str, Any]:
    """A preset's file as plain data."""
    path = path_of(name)
    entry = _index().get(path.stem)
    if entry is not None and entry["crc32"] == crc32(path.read_bytes()):
        data: dict[str, Any] = entry["data"]
        return data
    return read_yaml(path)


def load_preset(name: str) -> ModelSpec:
    """A built-in model. Its file is not validated again: tests do that."""
    return build(load_data(name))


def index() -> str:
    """What presets/index.json should hold."""
    entries = ((path.stem, path) for path in sorted(MODELS.glob("*.yaml")))
    rows = (json.dumps(name) + ": " + json.dumps({"crc32": crc32(p.read_bytes()), "data": read_yaml(p)}) for name, p in entries)
    return "{\n" + ",\n".join(rows) + "\n}\n"


if __name__ == "__main__":
    INDEX.write_text(index(), encoding="utf-8")
