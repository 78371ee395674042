"""Attention cores as people type them, and a model with its core exchanged."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from .errors import InputError, unknown_name
from .parts import CORES, Core, Layers, ModelSpec

KEYS = {
    "w": "window",
    "k": "stride",
    "g": "n_global",
    "m": "dilation",
    "r": "features",
    "rank": "rank",
}
"""Short names of a variant's settings, as typed: local:w=256, strided:k=64, longformer:w=512,g=16,m=2, linformer:k=256, performer:r=256."""


def parse_core(text: str) -> Core:
    """An attention core from its name and settings.

    Raises InputError for an unknown name, an unknown or missing setting, or a value that is not a whole number.

    >>> parse_core("linformer:k=256")
    Linformer(rank=256, type='linformer')
    """
    name, _, settings = text.partition(":")
    if name not in CORES:
        raise unknown_name("attention variant", name, list(CORES), field="attention")
    kind = CORES[name]
    settable = _settings(kind)
    given: dict[str, int] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        long = KEYS.get(key, key)
        if key == "k" and name == "linformer":
            long = "rank"
        if long not in settable:
            raise unknown_name(f"setting of {name}", key, settable, field="attention")
        if not value.isdecimal():
            raise InputError(f"{name}:{key} is {value!r}, but must be a whole number", field="attention", value=value)
        given[long] = int(value)
    try:
        core: Core = kind(**given)
    except TypeError:
        missing = [name for name in settable if name not in given]
        raise InputError(
            f"{name} needs a value for {' and '.join(missing)}, e.g. {name}:{missing[0]}=256", field="attention", value=text
        ) from None
    return core


def _settings(kind: Any) -> list[str]:
    return [field.name for field in fields(kind) if field.name != "type"]


def label(core: Core) -> str:
    """How a core is typed: the inverse of :func:`parse_core`.

    >>> label(parse_core("longformer:w=512,g=16,m=1"))
    'longformer:w=512,g=16'
    """
    short = {long: key for key, long in KEYS.items()} | {"rank": "k"}
    given = [f"{short[name]}={getattr(core, name)}" for name in _settings(core) if (name, getattr(core, name)) != ("dilation", 1)]
    return core.type + (":" + ",".join(given) if given else "")


def with_core(spec: ModelSpec, core: Core) -> ModelSpec:
    """``spec`` with ``core`` in every self-attention mixer; cross-attention keeps its own."""

    def swap(groups: tuple[Layers, ...]) -> tuple[Layers, ...]:
        return tuple(replace(layers, mixer=replace(layers.mixer, core=core)) for layers in groups)

    return replace(spec, encoder=swap(spec.encoder), decoder=swap(spec.decoder))
