"""The built-in presets: one YAML file a model, found in the wheel or in the checkout."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmcx.core.errors import unknown_name
from llmcx.core.parts import ModelSpec

from .build import build


def _root() -> Path:
    package = Path(__file__).resolve().parent.parent
    inside = package / "presets"  # a wheel
    return inside if inside.is_dir() else package.parent / "presets"  # a checkout


ROOT = _root()
MODELS = ROOT / "models"


def names() -> list[str]:
    """Every preset's name, sorted."""
    return sorted(path.stem for path in MODELS.glob("*.yaml"))


@lru_cache(maxsize=1)
def aliases() -> dict[str, str]:
    """Alias -> preset name, read off the files' `aliases:` lines without parsing the rest."""
    found: dict[str, str] = {}
    for path in MODELS.glob("*.yaml"):
        for block in re.findall(r"^aliases:\s*(\[[^\]]*\]|(?:\n\s*- .*)+)", path.read_text(encoding="utf-8"), re.M):
            for alias in re.findall(r"[^\s\[\],\"'#-][^\s\[\],\"'#]*", block):
                found[alias] = path.stem
    return found


def path_of(name: str) -> Path:
    """The file of a preset, by its name or an alias. Raises InputError with the nearest names."""
    if re.fullmatch(r"[\w.+-]+", name):
        path = MODELS / f"{name}.yaml"
        if path.is_file():
            return path
    known = aliases()
    if name.lower() in known:
        return MODELS / f"{known[name.lower()]}.yaml"
    lower = MODELS / f"{name.lower()}.yaml"
    if lower.parent == MODELS and lower.stem in names():
        return lower
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
    return read_yaml(path_of(name))


def load_preset(name: str) -> ModelSpec:
    """A built-in model. Its file is not validated again: tests do that."""
    return build(load_data(name))
