"""Which families a file is alike, by its keys; and what a file is that is no model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmcx.huggingface.config import BEGINS, ENDS, HARMLESS, OFF, SAME, assumed, table
from llmcx.huggingface.own import OWN

READ = "a config.json, a params.json of Meta, Mistral or DeepSeek, an adapter_config.json, a GGUF file or a preset"
"""What is read as a model."""

OTHERS = {
    "an index of weight files": ("weight_map",),
    "a tokenizer's file": (
        "added_tokens",
        "added_tokens_decoder",
        "tokenizer_class",
        "chat_template",
        "additional_special_tokens",
    ),
    "a preprocessor's file": ("image_processor_type", "feature_extractor_type", "processor_class", "image_mean"),
    "an hf_quant_config.json": ("quantization",),
    "a generation_config.json": ("do_sample", "temperature", "top_p", "max_new_tokens", "bos_token_id", "eos_token_id"),
    "a trainer's state": ("log_history", "global_step"),
    "a list of modules of sentence-transformers": ("__version__", "similarity_fn_name"),
}
"""Files that lie beside a config.json, and keys of which they have one."""


def other(data: Mapping[str, Any]) -> str | None:
    """What a file without model_type is by its keys, where they are those of a file that lies beside a config.json."""
    if telling(data):
        return None
    return next((what for what, keys in OTHERS.items() if any(key in data for key in keys)), None)


def telling(data: Mapping[str, Any]) -> set[str]:
    """The keys of a file that say a size or a part of a model in some family."""
    known = {key for _, keys in families() for key in keys} - {"version"}  # MiniCPM-V's, and a tokenizer's
    return {key for key in data if key in known and not _idle(key, data[key])}


def families() -> list[tuple[str, dict[str, Any]]]:
    """Each family that is read, and the keys that its files may have, with what is assumed for them."""
    found = ((name, assumed(name)) for name in (*table()["families"], *OWN))
    return [(name, {**dict.fromkeys(one["names"]), **one["defaults"]}) for name, one in found]


def alike(data: Mapping[str, Any], order: list[str], most: int = 3) -> list[str]:
    """The families that understand most of a file's keys, and of those that do the ones that miss fewest, at most ``most``. A key
    is missed that is not nothing by default; files seldom state tie_word_embeddings. Only those in ``order`` are named, equals in
    that order, those of multimodal files last.
    """
    places = {name: place for place, name in enumerate(order)}
    stated = {key for key in data if not _idle(key, data[key])}
    if len(stated) < 3:
        return []

    def rank(family: tuple[str, dict[str, Any]]) -> tuple[int, int, bool, int, str]:
        name, keys = family
        passed = stated | {"tie_word_embeddings"}
        missed = [key for key, value in keys.items() if value and key not in passed and not _idle(key, value)]
        return len(stated - keys.keys()), len(missed), name.endswith("_text"), places[name], name

    ranked = sorted(rank(one) for one in families() if one[0] in places)[:most]
    return [name for strange, *_, name in ranked if 2 * strange < len(stated)]


def _idle(key: str, value: Any) -> bool:
    """Whether a key is one that any file may have, or says nothing."""
    common = key in HARMLESS or key in table()["common"] or key in SAME or key.startswith(BEGINS) or key.endswith(ENDS)
    return common or value is None or OFF.get(key, 0) == value or key == "architectures"
