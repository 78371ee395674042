"""Data files other than models: scaling laws and hardware, one YAML file each."""

from __future__ import annotations

from typing import Any

from llmcx.core.errors import unknown_name
from llmcx.core.scaling import Law, law

from .presets import ROOT, read_yaml


def names(kind: str) -> list[str]:
    """The files of "laws" or "hardware", sorted."""
    return sorted(path.stem for path in (ROOT / kind).glob("*.yaml"))


def load(kind: str, name: str) -> dict[str, Any]:
    """One file's data. Raises InputError with the nearest names."""
    if name not in names(kind):
        what = {"laws": "law"}.get(kind, kind)
        raise unknown_name(what, name, names(kind), field=what)
    return read_yaml(ROOT / kind / f"{name}.yaml")


def load_law(name: str) -> Law:
    """A scaling law by name."""
    return law(load("laws", name))
