"""Data files other than models: scaling laws and hardware, one YAML file each."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llmcx import plugins
from llmcx.catalog.files import parse, read_text
from llmcx.catalog.index import ROOT, data_of, names, offered
from llmcx.errors import InputError, unknown_name
from llmcx.machine.hardware import Hardware, hardware

if TYPE_CHECKING:
    from llmcx.scaling.laws import Law


def load(kind: str, name: str) -> dict[str, Any]:
    """One file's data. Raises InputError with the nearest names, or with what is wrong in a plugin's file."""
    if name in names(kind):
        return data_of(ROOT / kind / f"{name}.yaml")
    brought = plugins.file(kind, name)
    if brought is None:
        what = {"laws": "law"}.get(kind, kind)
        raise unknown_name(what, name, offered(kind), field=what)
    from llmcx.scaling.laws import law

    data = parse(read_text(str(brought.path)), str(brought.path))
    try:
        {"laws": law, "hardware": hardware}[kind](data)
    except InputError as error:
        raise InputError(f"{brought.path}: {error.message}", field=error.field, value=error.value) from None
    return data


def load_law(name: str) -> Law:
    """A scaling law by name, or from a YAML file of one's own (a name with a dot or a slash in it)."""
    from llmcx.scaling.laws import law

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
        if lower not in aliases and plugins.file("hardware", lower) is None:
            raise unknown_name("hardware", name, [*offered("hardware"), *aliases], field="hardware", listed="hardware list")
        lower = aliases.get(lower, lower)
    return hardware(load("hardware", lower))


def listed() -> tuple[list[Hardware], list[str]]:
    """Every accelerator, plugins' included, and a note on each of those."""
    known = [load_hardware(name) for name in names("hardware")]
    own = {*names("hardware"), *hardware_aliases()}
    files, notes = plugins.files("hardware")
    for file in files:
        if file.name in own:
            notes.append(file.passed_over())
            continue
        try:
            known.append(load_hardware(file.name))
        except InputError as error:
            notes.append(error.message)
        else:
            notes.append(file.had())
    return known, notes
