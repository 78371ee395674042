"""Any model source -> ModelSpec: a preset's name, a file, stdin, or plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmcx.catalog.presets import aliases
from llmcx.catalog.presets import load_preset as load_preset
from llmcx.errors import InputError, shown
from llmcx.model.spec import ModelSpec


def load_config(path: str, as_type: str | None = None) -> ModelSpec:
    """The model that a YAML or JSON file describes ("-" is stdin)."""
    from llmcx.catalog.files import parse, read_text

    name = "stdin" if path == "-" else path
    return from_data(parse(read_text(path), name), name, as_type)


def load_hub(repo: str, as_type: str | None = None) -> ModelSpec:
    """The model whose config.json is ORG/NAME's on the Hugging Face hub."""
    from llmcx.huggingface.hub import config_path

    spec = load_config(config_path(repo), as_type)
    return replace(spec, name=repo.partition("@")[0].rpartition("/")[2], source=f"config.json of {repo}")


def from_data(data: Mapping[str, Any], source: str, as_type: str | None = None) -> ModelSpec:
    """The model that ``data`` describes: a preset's fields, a Hugging Face config.json, or what `llmcx presets show
    --json` prints.
    """
    from llmcx.catalog.build import validate

    if str(data.get("schema", "")).startswith("llmcx.presets/"):
        inner = data.get("result")
        if not isinstance(inner, Mapping):
            raise InputError(f"{source}: result is missing, so there is no model in it", field="result")
        data = inner
    if "model_type" in data or as_type is not None:
        from llmcx.huggingface import from_config

        return from_config(data, source, as_type)
    return validate(data, source)


def names_file(source: str) -> bool:
    """Whether a text names a file, "-" for stdin among them, and not a preset; some aliases have a slash.

    >>> names_file("gpt3"), names_file("Qwen/Qwen3-0.6B"), names_file("-"), names_file("./gpt3"), names_file("gpt3.yaml")
    (False, False, True, True, True)
    """
    if source == "-" or source.endswith((".yaml", ".yml", ".json")):
        return True
    return "/" in source and (source.lower() not in aliases() or os.path.exists(source))


def load(source: str | os.PathLike[str] | ModelSpec | Mapping[str, Any]) -> ModelSpec:
    """For the Python API: a preset's name, a path to a file, plain data, or a spec."""
    if isinstance(source, ModelSpec):
        return source
    if isinstance(source, Mapping):
        return from_data(source, "the model")
    if isinstance(source, os.PathLike):
        return load_config(os.fspath(source))
    if not isinstance(source, str):
        what = "a preset's name, a path, a mapping or a ModelSpec"
        raise InputError(f"the model is {shown(source)}, but must be {what}", field="source", value=shown(source), allowed=what)
    return load_config(source) if names_file(source) else load_preset(source)
