"""Plugins: families, mixers, presets, hardware and laws that other packages bring, found by their entry points.

``llmcx.families``: model_type -> "module:reader"; ``llmcx.mixers``: type -> "module:Class"; ``llmcx.presets``: any name ->
"package", a directory with models/, hardware/ or laws/. CONTRIBUTING.md has one of each.

llmcx looks here only for a name that it does not have, or to list all of them. So its own names cannot be taken over, and whoever
has no plugins, or does not use them, does not wait for them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from llmcx.errors import InputError


class File(NamedTuple):
    """A data file of a plugin, by its stem in lower case; ``plugin`` is the package's name and version."""

    name: str
    path: Path
    plugin: str

    def had(self) -> str:
        """What a list says of it."""
        return f"{self.name} is of the plugin {self.plugin}"

    def passed_over(self) -> str:
        """What a list says where llmcx has one of its name."""
        return f"{self.name} of the plugin {self.plugin} is passed over: the name is llmcx's own"


@cache
def _any() -> bool:
    """Whether a package beside llmcx mentions it at all: a hundredth of the time that importlib.metadata takes to be imported."""
    for directory in sys.path:
        with suppress(OSError), os.scandir(directory or os.curdir) as entries:
            for entry in entries:
                if entry.name.endswith((".dist-info", ".egg-info")):
                    with suppress(OSError), open(os.path.join(entry.path, "entry_points.txt"), "rb") as file:
                        if b"[llmcx." in file.read():
                            return True
    return False


@cache
def _entries(group: str) -> tuple[Any, ...]:
    if not _any():
        return ()
    from importlib.metadata import entry_points

    return tuple(entry_points(group=f"llmcx.{group}"))


def _plugin(entry: Any) -> str:
    return f"{entry.dist.name} {entry.dist.version}"


def names(group: str) -> list[str]:
    """What plugins offer in "families", "mixers" or "presets", sorted; nothing of theirs is imported.

    >>> isinstance(names("mixers"), list)
    True
    """
    return sorted({entry.name for entry in _entries(group)})


def load(group: str, name: str) -> tuple[Any, str]:
    """The object that a plugin offers as ``name``, one of :func:`names`, and the plugin's name and version.

    Raises InputError, field = the group, if two plugins offer it, or if the one that does cannot be imported.
    """
    found = [entry for entry in _entries(group) if entry.name == name]
    _one(f"llmcx.{group}", name, [_plugin(entry) for entry in found])
    try:
        return found[0].load(), _plugin(found[0])
    except (Exception, SystemExit) as error:  # whatever happens to be wrong with it
        raise _broken(_plugin(found[0]), found[0].value, error) from None


def files(kind: str) -> tuple[list[File], list[str]]:
    """The YAML files of "models", "hardware" or "laws" in plugins, by name, and a sentence on each plugin that has none to find.

    >>> isinstance(files("models")[0], list)
    True
    """
    found, problems = [], []
    for entry in _entries("presets"):
        from importlib.util import find_spec

        try:
            spec = find_spec(entry.value)  # imports no more than the packages around it
        except (Exception, SystemExit) as error:
            problems.append(_broken(_plugin(entry), entry.value, error).message)
            continue
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            problems.append(f"the plugin {_plugin(entry)} names {entry.value} for its presets, which is not an installed package")
        found += [File(path.stem.lower(), path, _plugin(entry)) for place in places for path in Path(place, kind).glob("*.yaml")]
    return sorted(found), problems


def beside(kind: str, own: list[str]) -> list[str]:
    """The names in ``own``, and what plugins add to them."""
    return own + sorted({file.name for file in files(kind)[0]} - set(own))


def file(kind: str, name: str) -> File | None:
    """The plugins' file called ``name``. Raises InputError if two plugins have one."""
    found = [each for each in files(kind)[0] if each.name == name]
    if found:
        _one(kind, name, [each.plugin for each in found])
    return found[0] if found else None


def _one(what: str, name: str, plugins: list[str]) -> None:
    if len(plugins) > 1:
        problem = f"{name!r} of {what} is in several plugins: {', '.join(plugins)}; one of them has to go"
        raise InputError(problem, field=what, value=name)


def _broken(plugin: str, value: str, error: BaseException) -> InputError:
    said = " ".join(str(error).split())[:200]
    return InputError(
        f"the plugin {plugin} is broken: {value} raises {type(error).__name__}: {said}", field="plugin", value=plugin
    )
