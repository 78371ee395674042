"""Data files other than models: scaling laws and hardware, one YAML file each."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from llmcx.core.errors import unknown_name
from llmcx.core.hardware import Hardware, hardware
from llmcx.core.laws import Law, law

from .files import parse, read_text
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
    """A scaling law by name, or from a YAML file of one's own (a name with a dot or a slash in it)."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        return law(parse(read_text(name), name))
    return law(load("laws", name))


@lru_cache(maxsize=1)
def hardware_aliases() -> dict[str, str]:
    """Alias -> name of an accelerator."""
    return {alias: name for name in names("hardware") for alias in load("hardware", name).get("aliases", ())}


def load_hardware(name: str) -> Hardware:
    """An accelerator by name or alias. Raises InputError with the nearest names."""
    lower = name.lower()
    known = names("hardware")
    if lower not in known:
        aliases = hardware_aliases()
        if lower not in aliases:
            raise unknown_name("hardware", name, [*known, *aliases], field="hardware")
        lower = aliases[lower]
    return hardware(load("hardware", lower))
