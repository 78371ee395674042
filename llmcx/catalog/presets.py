"""The built-in presets: one YAML file a model, and in the index what each counts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypedDict

from llmcx.catalog.build import build
from llmcx.catalog.index import ROOT, data_of, entry, indexed, made, read_yaml, recount, stems
from llmcx.errors import InputError, shown
from llmcx.model.spec import ModelSpec

MODELS = ROOT / "models"


def names() -> list[str]:
    """Every preset's name, sorted."""
    return stems(MODELS)


@lru_cache(maxsize=1)
def aliases() -> dict[str, str]:
    """Every other name of a preset -> the preset's, as the index has them; of ORG/NAME also NAME alone."""
    known: dict[str, str] | None = indexed("aliases")
    return _aliases() if known is None else known


def _aliases() -> dict[str, str]:
    """The same from every file."""
    return {alias: name for name in names() for alias in others(data_of(MODELS / f"{name}.yaml"))}


def others(data: Mapping[str, Any]) -> dict[str, int | None]:
    """The other names of a preset, each with the context where that is another than the preset's.

    >>> others({"name": "a", "aliases": ["org/a", "org/a-chat"], "releases": [{"context": 9, "names": ["org/a-long"]}]})
    {'org/a': None, 'org/a-chat': None, 'a-chat': None, 'org/a-long': 9, 'a-long': 9}
    """
    found: dict[str, int | None] = {}
    stated = [(alias, None) for alias in data.get("aliases", ())]
    stated += [(name, release["context"]) for release in data.get("releases", ()) for name in release["names"]]
    for name, context in stated:
        found[name] = context
        if (short := name.rpartition("/")[2]) != data["name"]:
            found.setdefault(short, context)
    return found


def path_of(name: str) -> Path:
    """The file of a preset, by its name or an alias. Raises InputError with the nearest names."""
    lower = name.lower()
    if re.fullmatch(r"[\w.+-]+", lower) and (MODELS / f"{lower}.yaml").is_file():
        return MODELS / f"{lower}.yaml"
    known = aliases() if lower in aliases() else _aliases()  # perhaps a file has changed since the index was made
    if lower in known:
        return MODELS / f"{known[lower]}.yaml"
    from llmcx.catalog import brought

    theirs = brought.find(lower, {*names(), *known})
    if theirs is None:
        alike = {own for own in (*names(), *known) if _bare(own) == _bare(lower)}
        if len({known.get(own, own) for own in alike}) == 1:
            own = alike.pop()
            return MODELS / f"{known.get(own, own)}.yaml"
        raise _unknown(name)
    return theirs


def _bare(name: str) -> str:
    """A name without what people write in different ways: Llama_3.1-70B and llama3.1:70b are llama-3.1-70b."""
    return re.sub(r"[\s._:-]", "", name.lower())


def _unknown(name: str) -> InputError:
    """The refusal of a preset's name: those that begin with the same words and numbers, else those spelt alike, each preset once;
    and what to give of a model that is none of them.
    """
    from difflib import get_close_matches

    def parts(text: str) -> list[str]:
        return re.findall(r"[a-z]+|\d+", text.lower())

    known, start = aliases(), parts(name)
    own = [each for each in offered() if "/" not in each]
    begin = [each for each in names() if start and parts(each)[: len(start)] == start]
    near = begin or (get_close_matches(name.lower(), own, n=9, cutoff=0.6) if len(name) < 200 else [])
    once: list[str] = []
    for each in near:
        if known.get(each, each) not in (known.get(other, other) for other in once):
            once.append(each)
    once = once[:3]
    if once:
        hint = f"did you mean {' or '.join(once)}, or a config.json of its own?"
    else:
        hint = "`llmcx catalog models` lists those that are, and any other model is read from its config.json"
    return InputError(f"preset {shown(name)} is not known; {hint}", field="preset", value=name[:200], nearest=once)


def offered() -> list[str]:
    """Every name that `--preset` takes, aliases and plugins' presets included."""
    from llmcx import plugins

    return plugins.beside("models", [*names(), *sorted(aliases())])


def load_data(name: str) -> dict[str, Any]:
    """A preset's file as plain data, with the context of the release that ``name`` names."""
    data = _data(path_of(name))
    context = _context(name, data)
    return data if context is None else {**data, "context": context}


def _context(name: str, data: Mapping[str, Any]) -> int | None:
    """The context of a release of a preset, where ``name`` is its name and it differs."""
    if not data.get("releases"):
        return None
    known = others(data)
    lower = name.lower()
    found: int | None = known[lower] if lower in known else {_bare(own): each for own, each in known.items()}.get(_bare(name))
    return found


def _data(path: Path) -> dict[str, Any]:
    if path.parent != MODELS:
        from llmcx.catalog import brought

        return brought.read(path)
    return data_of(path)


class Summary(TypedDict):
    """A preset in a row: parameters in all and met by a token, as published, tokens of context, licence of the release."""

    name: str
    family: str
    year: int
    total: int
    active: int
    published: str | None
    context: int | None
    aliases: list[str]
    title: str
    license: str | None


def plugin_summaries() -> tuple[list[Summary], list[str]]:
    """The rows of plugins' presets, and what to know about them."""
    from llmcx.catalog import brought

    return brought.summaries({*names(), *aliases()})


def summaries() -> list[Summary]:
    """Every preset in a row: what it is and how large, without building it."""
    recount()
    paths = [MODELS / f"{name}.yaml" for name in names()]
    found = [entry(path) or _made(path) for path in paths]
    return [summary(one["data"], one["total"], one["active"]) for one in found]


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
        "aliases": [*data.get("aliases", []), *(name for each in data.get("releases", []) for name in each["names"])],
        "title": data["title"],
        "license": data.get("license"),
    }


def load_preset(name: str) -> ModelSpec:
    """A built-in model. Its file is not validated again: tests do that."""
    path = path_of(name)
    spec = _built(path, path.stat().st_mtime_ns)
    context = _context(name, _data(path)) if spec.releases else None
    return spec if context is None else replace(spec, context=context)


@cache
def _built(path: Path, changed: int) -> ModelSpec:
    """The model of a file as it was at a time, built once."""
    return build(_data(path))


def _made(path: Path) -> dict[str, Any]:
    """An entry of the index."""
    from llmcx.costs.params import active, count

    spec = build(read_yaml(path))
    return made(path, total=count(spec), active=active(spec))


def index() -> str:
    """What presets/index.json should hold."""
    models = {name: _made(MODELS / f"{name}.yaml") for name in names()}
    known = {alias: name for name, one in models.items() for alias in others(one["data"])}
    files = [path for path in sorted(ROOT.rglob("*.yaml")) if path.parent != MODELS]
    rows = {"aliases": known} | {f"{path.parent.name}/{path.stem}": made(path) for path in files} | models
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()) + "\n}\n"
