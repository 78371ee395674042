"""Hugging Face config.json -> ModelSpec: a registry by model_type, one small function per family.

To add a family: write its function in a module here, register it with @family, and name the module in MODULES; or leave it in a
package of your own and name it in its entry points (llmcx.plugins).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from llmcx import plugins
from llmcx.errors import InputError, shown, unknown_name
from llmcx.huggingface.config import TEXT_KEYS, Config, table
from llmcx.huggingface.storage import stored_of
from llmcx.huggingface.towers import HOME, towers_of
from llmcx.model.spec import ModelSpec

Reader = Callable[[Config], ModelSpec]

MODULES = {
    "moe": """mixtral qwen2_moe qwen3_moe deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 glm4_moe glm4_moe_lite minicpm3 gpt_oss
        glm_moe_dsa olmoe flex_olmo phimoe granitemoe granitemoeshared minimax_m2 dbrx ernie4_5_moe llama4_text hunyuan_v1_moe
        exaone_moe afmoe qwen3_vl_moe_text glm4v_moe_text qwen3_omni_moe_text""",
    "encdec": "t5 mt5 umt5 switch_transformers bart mbart pegasus marian m2m_100 whisper",
    "encoder": "bert roberta xlm-roberta camembert electra distilbert albert modernbert longformer big_bird",
    "gpt": "gpt2 gpt_bigcode gpt_neo gptj codegen gpt_neox opt bloom mpt falcon",
    "llama": """llama mistral ministral ministral3 phi3 qwen2 qwen3 olmo olmo2 olmo3 cohere cohere2
        granite glm glm4 smollm3 seed_oss exaone4 hunyuan_v1_dense arcee apertus ernie4_5 nemotron starcoder2 stablelm phi
        qwen2_vl_text qwen2_5_vl_text qwen3_vl_text glm4v_text qwen2_5_omni_text
        mllama_text_model glm_ocr_text paddleocr_vl_text phi4_multimodal""",
    "gemma": "gemma gemma2 gemma3_text gemma3n_text gemma4_text",
    "recurrent": "mamba falcon_mamba mamba2 jamba bamba falcon_h1 granitemoehybrid nemotron_h zamba2",
    "linear": "qwen3_next qwen3_5_text qwen3_5_moe_text kimi_linear minimax lfm2 lfm2_moe recurrent_gemma rwkv",
}
"""Module -> the model_types that it reads."""

WHERE = {name: module for module, names in MODULES.items() for name in names.split()}
READERS: dict[str, Reader] = {}

# Multimodal files of the time before text_config: the language model's keys stand beside vision_config.
FLAT_TYPES = {"qwen2_vl": "qwen2_vl_text", "qwen2_5_vl": "qwen2_5_vl_text", "phi4_multimodal": "phi4_multimodal"}
# By what tie_word_embeddings a multimodal model ties its head: the one beside text_config, unless it is named here. "either":
# that or text_config's; "inner": text_config's; "never": it is not tied.
TIES = {
    **dict.fromkeys(
        [
            "glm4v",
            "glm4v_moe",
            "glm_ocr",
            "paddleocr_vl",
            "video_llama_3",
            "llava",
            "llava_next_video",
            "llava_onevision",
            "qwen2_5_vl",
            "qwen2_vl",
        ],
        "either",
    ),
    **dict.fromkeys(["audioflamingo3", "mllama", "qwen2_audio", "voxtral"], "never"),
    "llama4": "inner",
}
# The language model inside a multimodal configuration that does not name its own model_type, as transformers assumes.
_TEXT_TYPES = {
    "cohere2": "aya_vision cohere2_vision",
    "deepseek_v3": "kimi_k25",
    "exaone4": "exaone4_5",
    "gemma": "paligemma",
    "glm_ocr_text": "glm_ocr",
    "granite": "granite_speech",
    "gemma3_text": "gemma3 shieldgemma2",
    "gemma3n_text": "gemma3n",
    "gemma4_text": "gemma4",
    "glm4v_moe_text": "glm4v_moe",
    "glm4v_text": "glm4v glm46v",
    "lfm2": "lfm2_vl",
    "llama": """deepseek_vl glmasr idefics3 janus llava llava_next llava_next_video perception_lm smolvlm video_llava vipllava
        voxtral""",
    "llama4_text": "llama4",
    "mistral": "idefics2 mistral3",
    "mllama_text_model": "mllama",
    "paddleocr_vl_text": "paddleocr_vl",
    "phi4_multimodal": "phi4_multimodal",
    "qwen2": "audioflamingo3 got_ocr2 internvl llava_onevision ovis2 qwen2_audio video_llama_3",
    "qwen2_5_vl_text": "qwen2_5_vl",
    "qwen2_vl_text": "qwen2_vl",
    "qwen2_5_omni_text": "qwen2_5_omni_thinker",
    "qwen3": "lighton_ocr qianfan_ocr qwen3_asr",
    "qwen3_omni_moe_text": "qwen3_omni_moe_thinker",
    "qwen3_5_moe_text": "qwen3_5_moe",
    "qwen3_5_text": "qwen3_5",
    "qwen3_vl_moe_text": "qwen3_vl_moe",
    "qwen3_vl_text": "qwen3_vl",
}
TEXT_TYPES = {outer: inner for inner, outers in _TEXT_TYPES.items() for outer in outers.split()}


def family(*model_types: str) -> Callable[[Reader], Reader]:
    """Register the decorated function as the reader of ``model_types``. Raises InputError unless MODULES says that it is."""

    def register(reader: Reader) -> Reader:
        for name in model_types:
            if reader.__module__ != f"{__name__}.{WHERE.get(name)}":
                problem = f"{reader.__module__} is not where MODULES has {name!r}; a plugin names its reader in its entry points"
                raise InputError(problem, field="model_type", value=name)
            READERS[name] = reader
        return reader

    return register


def from_config(data: Mapping[str, Any], source: str, insist: str | None = None) -> ModelSpec:
    """The model that a config.json builds in transformers.

    ``insist`` reads it as that model_type whatever it says, with a warning in the spec's assumptions.
    Raises InputError for an unknown model_type, a key that is not understood, or a value that cannot be.
    """
    notes: list[str] = []
    given = data.get("model_type")
    files, outer, flat = [data], data, False
    inner = next((data[key] for key in TEXT_KEYS if isinstance(data.get(key), Mapping)), None)
    if inner is None and isinstance(given, str) and given in FLAT_TYPES and insist is None:
        parts = ("vision_config", "audio_config")
        inner = {**{key: value for key, value in data.items() if key not in parts}, "model_type": FLAT_TYPES[given]}
        flat = True
    if insist is None and f"{given}" in HOME and not flat:
        usual = table()["families"][given]["parts"]["text_config"]
        inner = usual["absent"] or {} if inner is None else {**usual.get("merged", {}), **inner}
    if isinstance(inner, Mapping) and insist is None:
        if "model_type" not in inner and str(given) not in TEXT_TYPES:
            raise InputError(
                f"{source}: text_config names no model_type, so its language model is unknown", field="text_config.model_type"
            )
        files.append(inner)
        data = _language_model(data, inner, source, notes)
        given = data["model_type"]
    name = insist or given
    if not isinstance(name, str):
        raise InputError(f"{source}: model_type is {shown(name)}, but must be a string", field="model_type")
    reader = _reader(name, notes)
    if reader is None:
        known = unknown_name("model_type", name, [*WHERE, *plugins.names("families")], field="model_type")
        raise InputError(
            f"{source}: {known.message}; --as TYPE reads it as another one", field="model_type", value=name, nearest=known.nearest
        )
    if insist is not None and insist != given:
        notes.append(f"warning: model_type {given!r} was read as {insist!r} because --as says so; nobody checked that they agree")
    config = Config(data, name, source)
    if (foreign := _foreign(data, name)) is not None:
        notes.append(
            f"warning: architectures names {foreign}, no class of model_type {name}; counted as {name}, which it may not be"
        )
    spec = reader(config)
    config.check_leftovers()
    if len(files) > 1:
        spec = _with_towers(outer, spec, source, flat, notes)
    if config.assumed:
        said = ", ".join(f"{key}={value}" for key, value in sorted(config.assumed.items()) if not isinstance(value, (list, dict)))
        notes.append(f"keys left out, as transformers {table()['transformers']} assumes for {name}: {said}")
    return replace(spec, assumes=(*spec.assumes, *config.notes, *notes), stored=stored_of(*files), mtp=config.mtp)


_ALSO = {"kimi_k2": "deepseekv3", "hunyuan_v1_moe": "hunyuanmoev1", "hunyuan_v1_dense": "hunyuandensev1"}
"""Types whose class is called otherwise."""


def _foreign(data: Mapping[str, Any], model_type: str) -> str | None:
    """The class that a file names, where it is none of its model_type by its name; None where it is, or where none is named."""
    named = data.get("architectures")
    first = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    stem = re.sub(r"(For[A-Z]\w*|(LMHead|Encoder|PreTrained)?Model|LMHeadModel|MTModel)$", "", first).replace("_", "").lower()
    own = re.sub(r"[_-]|(?<=.)text$", "", model_type.lower()).replace("text", "")
    if not stem or model_type not in WHERE or stem.startswith(own) or own.startswith(stem) or stem == _ALSO.get(model_type):
        return None
    return first[:80]


def _reader(name: str, notes: list[str]) -> Reader | None:
    """What reads a model_type: llmcx's own function, else a plugin's, else nothing."""
    if name in WHERE:
        import_module(f"{__name__}.{WHERE[name]}")
        return READERS[name]
    if name not in plugins.names("families"):
        return None
    theirs, plugin = plugins.load("families", name)
    notes.append(f"model_type {name} is read by the plugin {plugin}, not by llmcx")

    def read(config: Config) -> ModelSpec:
        try:
            spec = theirs(config)
        except InputError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise InputError(f"{config.source}: the plugin {plugin} fails on it with {said}", field="model_type") from None
        if not isinstance(spec, ModelSpec):
            problem = f"{config.source}: the plugin {plugin} reads it as a {type(spec).__name__}, but must return a ModelSpec"
            raise InputError(problem, field="model_type", value=name)
        return spec

    return read


def _with_towers(outer: Mapping[str, Any], spec: ModelSpec, source: str, flat: bool, notes: list[str]) -> ModelSpec:
    """The language model of a multimodal file with what sees and hears for it, where that is known."""
    kind = outer.get("model_type")
    found = towers_of(outer, spec, source, flat)
    if found is None:
        notes.append(f"the language model of a multimodal {kind}: its vision or audio towers and projectors are not counted")
        return spec
    notes += found[1]
    return replace(spec, towers=found[0])


def _language_model(outer: Mapping[str, Any], inner: Mapping[str, Any], source: str, notes: list[str]) -> dict[str, Any]:
    """The text_config of a multimodal file as a file of its own, with a causal head."""
    kind = str(outer.get("model_type"))
    out = {"model_type": TEXT_TYPES.get(kind), **inner, "architectures": None}
    own, beside = (
        said.get("tie_word_embeddings", table()["families"].get(name, {"defaults": {}})["defaults"].get("tie_word_embeddings"))
        for said, name in ((inner, out["model_type"]), (outer, kind))
    )
    rule = TIES.get(kind, "outer" if kind in TEXT_TYPES else "inner")
    tied = {"either": bool(own or beside), "inner": bool(own), "never": False}.get(rule, bool(beside))
    for said, where in ((inner, "in"), (outer, "beside")):
        stated = said.get("tie_word_embeddings")
        if stated is not None and bool(stated) != tied:
            notes.append(f"tie_word_embeddings={stated} {where} text_config is not applied: transformers builds it with {tied}")
    out["tie_word_embeddings"] = tied
    return out
