"""Any model source -> ModelSpec: a preset's name, a file, stdin, or plain data."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any

from llmcx.catalog.presets import aliases
from llmcx.catalog.presets import load_preset as load_preset
from llmcx.errors import InputError, Unreachable, shown
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage


def load_config(path: str, as_type: str | None = None, ignore: Collection[str] = ()) -> ModelSpec:
    """The model that a YAML or JSON file describes ("-" is stdin), or a GGUF file, or what of these a directory holds."""
    from llmcx.catalog.files import parse, read_text

    if os.path.isdir(path):
        path = _inside(path)
    if path.lower().endswith(".gguf"):
        from llmcx.huggingface.gguf_model import model_of

        if as_type is not None or ignore:
            word = "--as" if as_type is not None else "--ignore"
            raise InputError(f"{word} says how to read a config.json, and {path} is a GGUF file", field=word)
        return model_of(path)
    name = "stdin" if path == "-" else path
    data: Mapping[str, Any] = parse(read_text(path), name)
    if "peft_type" in data and os.path.basename(path) != "config.json":
        from llmcx.catalog.adapter import adapted

        return adapted(data, path, as_type, ignore)
    if path != "-" and "model_type" in data:
        data = _with_preprocessing(_with_quantization(data, os.path.dirname(path)), os.path.dirname(path))
    spec = from_data(data, name, as_type, ignore)
    return spec if path == "-" else _indexed(spec, os.path.join(os.path.dirname(path), "model.safetensors.index.json"))


def _with_quantization(data: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    """A config.json with what stands beside it: modelopt's hf_quant_config.json, of which a file with a quantization_config of
    its own takes the format of the cache; or AutoGPTQ's quantize_config.json, of the time before quantization_config.
    """
    from llmcx.catalog.files import parse, read_text

    own = data.get("quantization_config")
    modelopts, gptqs = (os.path.join(folder, name) for name in ("hf_quant_config.json", "quantize_config.json"))
    if os.path.isfile(modelopts):
        beside = parse(read_text(modelopts), modelopts)
        if own is None:
            return {**data, "quantization_config": beside}
        inner = beside.get("quantization")
        says = isinstance(own, Mapping) and {"kv_cache_scheme", "kv_cache_quant_algo"} & own.keys()
        if isinstance(own, Mapping) and isinstance(inner, Mapping) and not says:
            return {**data, "quantization_config": {**own, "kv_cache_quant_algo": inner.get("kv_cache_quant_algo")}}
    elif own is None and os.path.isfile(gptqs):
        return {**data, "quantization_config": {"quant_method": "gptq", **parse(read_text(gptqs), gptqs)}}
    return data


def _with_preprocessing(data: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    """A multimodal config.json with what stands beside it of how images are cut: preprocessor_config.json."""
    from llmcx.catalog.files import parse, read_text
    from llmcx.huggingface.towers import HOME

    name = str(data.get("model_type"))
    known = name in HOME or f"{name}_thinker" in HOME
    path = os.path.join(folder, "preprocessor_config.json")
    return {**data, "preprocessor_config": parse(read_text(path), path)} if known and os.path.isfile(path) else data


DESCRIBING = ("config.json", "params.json", "adapter_config.json")
"""The files of a directory that say what the model is, the first that is there."""


def _inside(directory: str) -> str:
    """The file in a directory that says what the model is: config.json and its like, else the only GGUF file."""
    for name in DESCRIBING:
        if os.path.isfile(path := os.path.join(directory, name)):
            return path
    found = sorted(name for name in os.listdir(directory) if name.lower().endswith(".gguf"))
    first = [name for name in found if "-of-" not in name or "-00001-of-" in name]
    if len(first) == 1:
        return os.path.join(directory, first[0])
    if found:
        problem = f"{directory} has {len(found)} GGUF files, {found[0]} and {found[1]} among them; name one of them"
        raise InputError(problem, field="config", value=directory)
    raise InputError(
        f"{directory} is a directory without a config.json, params.json or GGUF file", field="config", value=directory
    )


_LARGEST_INDEX = 2**26


def _indexed(spec: ModelSpec, path: str) -> ModelSpec:
    """The model with what the index of its safetensors files states: the bytes of all tensors, and a head of its own where one is
    stored beside the token table, whatever config.json says of it.
    """
    if not os.path.isfile(path) or os.path.getsize(path) > _LARGEST_INDEX:
        return spec
    with open(path, "rb") as file:
        text = file.read()
    total = re.search(rb'"total_size"\s*:\s*(\d{1,18})\b', text)
    if total is not None and int(total[1]):  # some tools write 0
        spec = replace(spec, stored=replace(spec.stored or Storage("bf16"), total=int(total[1])))
    if spec.head is None or not spec.head.tied or b'lm_head.weight"' not in text:
        return spec
    from llmcx.costs.params import count

    apart = replace(spec, head=replace(spec.head, tied=False))
    note = f"the index beside config.json lists lm_head.weight: a head of its own, {count(apart):,} parameters in all"
    return replace(apart, assumes=(*spec.assumes, f"{note}; tied, as config.json has it, {count(spec):,}"))


def load_hub(repo: str, as_type: str | None = None, ignore: Collection[str] = ()) -> ModelSpec:
    """The model whose config.json is ORG/NAME's on the Hugging Face hub."""
    from llmcx.huggingface.hub import config_path

    try:
        path = config_path(repo)
    except Unreachable as error:
        from llmcx.catalog.named import way_forward

        said, nearest = way_forward(repo)
        raise Unreachable(f"{error.message}{said}", field=error.field, value=repo, nearest=nearest) from None
    spec = load_config(path, as_type, ignore)
    return replace(spec, name=repo.partition("@")[0].rpartition("/")[2], source=f"config.json of {repo}")


def _repository(repo: str, as_type: str | None, ignore: Collection[str]) -> ModelSpec:
    """ORG/NAME on the hub; out of reach, where ORG copies what others release, the preset that is called NAME."""
    try:
        return load_hub(repo, as_type, ignore)
    except Unreachable:
        from llmcx.catalog.named import original

        own = None if as_type is not None or ignore else original(repo)
        if own is None:
            raise
    spec = load_preset(own)
    return replace(spec, assumes=(f"{repo} is out of reach, and taken for a copy of {own}", *spec.assumes))


def from_data(data: Mapping[str, Any], source: str, as_type: str | None = None, ignore: Collection[str] = ()) -> ModelSpec:
    """The model that ``data`` describes: a preset's fields, a Hugging Face config.json, its makers' own params.json, or what
    `llmcx catalog show --json` prints.
    """
    from llmcx.catalog.build import validate

    if str(data.get("schema", "")).startswith("llmcx.presets/"):
        inner = data.get("result")
        if not isinstance(inner, Mapping):
            raise InputError(f"{source}: result is missing, so there is no model in it", field="result")
        data = inner
    if _is_native(data) and as_type is None:
        from llmcx.huggingface import from_config, native

        config, notes = native.as_config(data, source, ignore)
        spec = from_config(config, source)
        return replace(spec, assumes=(*notes, *spec.assumes))
    if "model_type" in data or as_type is not None:
        from llmcx.huggingface import from_config

        return from_config(data, source, as_type, ignore)
    if ignore:
        raise InputError(f"--ignore says which keys of a config.json cost nothing, and {source} is a preset", field="ignore")
    if not data.keys() & {field.name for field in fields(ModelSpec)} and (len(data) > 1 or _of_a_config(data)):
        raise _no_model(data, source)
    return validate(data, source)


def _of_a_config(data: Mapping[str, Any]) -> bool:
    """Whether a key is one of a config.json, though the file does not say whose."""
    from llmcx.huggingface.alike import families

    return "quantization" in data or any(data.keys() & keys.keys() for _, keys in families())


def _is_native(data: Mapping[str, Any]) -> bool:
    """Whether a file is in its maker's own form: sizes under short names, and none under those of a config.json."""
    return {"dim", "n_layers", "n_heads"} <= data.keys() and "hidden_size" not in data


def _no_model(data: Mapping[str, Any], source: str) -> InputError:
    """The refusal of a file that is neither a config.json with its model_type nor a preset: what it is, and what is read."""
    from llmcx.huggingface import suggested
    from llmcx.huggingface.alike import READ, alike, other

    if (what := other(data)) is not None:
        return InputError(f"{source} is {what}, which says no model; what is read is {READ}", field="config", value=source)
    found = alike(data, suggested())
    hint = (
        f"its keys are most like those of {' or '.join(found)}: --as TYPE reads it as one" if found else f"what is read is {READ}"
    )
    return InputError(f"{source} has no model_type, and no key of a preset; {hint}", field="model_type", nearest=found)


_HUB = re.compile(r"(?:https?://)?huggingface\.co/(?P<repo>[\w.-]+/[\w.-]+)(?:/.*)?")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w.-]+)?")


def names_file(source: str) -> bool:
    """Whether a text names a file or a directory, "-" for stdin among them, and no preset or model on the hub.

    >>> names_file("gpt3"), names_file("Qwen/Qwen3-0.6B"), names_file("-"), names_file("./gpt3"), names_file("gpt3.yaml")
    (False, False, True, True, True)
    """
    if source == "-" or source.lower().endswith((".yaml", ".yml", ".json", ".gguf")):
        return True
    if "/" not in source and os.sep not in source:
        return False
    return os.path.exists(source) or not (source.lower() in aliases() or _REPO.fullmatch(source) or _HUB.fullmatch(source))


def spelled(kind: str, source: Any) -> Any:
    """A model as it is named in one place: what --preset, --config or --hf says, as a positional name would.

    >>> spelled("config", "gpt3"), spelled("hf", "a/b"), spelled("preset", "gpt3"), spelled("model", "gpt3")
    ('./gpt3', 'hf:a/b', 'gpt3', 'gpt3')
    """
    if not isinstance(source, str):
        return source
    if kind == "config" and not names_file(source):
        return f".{os.sep}{source}"
    if kind == "hf":
        return f"hf:{source}"
    return f"preset:{source}" if kind == "preset" and (names_file(source) or "/" in source) else source


def stand_in(source: str) -> int | None:
    """The parameters that a number such as 7B states; None where it is a name.

    >>> stand_in("1.2B"), stand_in("1e9"), stand_in("7_000_000_000"), stand_in("gpt3")
    (1200000000, 1000000000, 7000000000, None)
    """
    from llmcx.units import count

    return count(source, "model") if re.fullmatch(r"\d[\d_]*(\.\d+)?([eE]\d{1,2})?\s?[MmBbTt]?", source) else None


def load(
    source: str | os.PathLike[str] | ModelSpec | Mapping[str, Any], as_type: str | None = None, ignore: Collection[str] = ()
) -> ModelSpec:
    """A model as it is named: a preset, a file or directory, "-" for stdin, ORG/NAME on the hub; a path, plain data, a spec."""
    if isinstance(source, ModelSpec):
        return source
    if isinstance(source, Mapping):
        return from_data(source, "the model", as_type, ignore)
    if isinstance(source, os.PathLike):
        return load_config(os.fspath(source), as_type, ignore)
    if not isinstance(source, str):
        what = "a preset's name, a path, a mapping or a ModelSpec"
        raise InputError(f"the model is {shown(source)}, but must be {what}", field="model", value=shown(source), allowed=what)
    kind, _, name = source.partition(":")
    if kind == "hf":
        return load_hub(name, as_type, ignore)
    if kind != "preset" and names_file(source):
        return load_config(source, as_type, ignore)
    name = name if kind == "preset" else source
    repo = _HUB.fullmatch(name)
    name = repo["repo"] if repo else name
    if kind != "preset" and _REPO.fullmatch(name) and name.lower() not in aliases():
        return _repository(name, as_type, ignore)
    if as_type is not None and not os.path.exists(source):
        problem = f"--as says how to read a config.json, and {name} is a preset, which needs none"
        raise InputError(problem, field="as", value=as_type)
    if ignore and not os.path.exists(source):
        problem = f"--ignore says which keys of a config.json cost nothing, and {name} is a preset, which has none"
        raise InputError(problem, field="ignore")
    try:
        return load_preset(name)
    except InputError:
        if kind != "preset" and os.path.exists(source):
            return load_config(source, as_type, ignore)
        raise
