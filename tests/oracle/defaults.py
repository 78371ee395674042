"""Write llmcx/huggingface/defaults.json: what transformers assumes for the keys that a config.json leaves out.

    python tests/oracle/defaults.py [--check]

For each model_type of cases.py the raw defaults of its configuration class (before it derives one from another), without the keys
that every configuration has, its attribute_map (other names that it accepts for a key), and how its classes with heads
end. Needs transformers.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import cases
from huggingface_hub.errors import StrictDataclassError

TARGET = Path(__file__).resolve().parents[2] / "llmcx" / "huggingface" / "defaults.json"
SUB_CONFIGS = {
    "t5gemma2": {"decoder": "T5Gemma2DecoderConfig"},
    "t5gemma": {"encoder": "T5GemmaModuleConfig", "decoder": "T5GemmaModuleConfig"},
    "evolla": {"protein_encoder_config": "SaProtConfig"},
    "mpt": {"attn_config": "MptAttentionConfig"},
    "dbrx": {"attn_config": "DbrxAttentionConfig", "ffn_config": "DbrxFFNConfig"},
}


def raw(kind: Any) -> dict[str, Any]:
    """The fields of a configuration class at their defaults, as JSON has them."""
    out = {}
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            out[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            out[field.name] = field.default_factory()
    return {key: value for key, value in out.items() if isinstance(value, (int, float, str, bool, list, dict, tuple, type(None)))}


def heads(kind: Any) -> list[str]:
    """How the family's classes end that have a head, but for those that every family of its sort has."""
    name = kind.__module__.replace("configuration_", "modeling_")
    if importlib.util.find_spec(name) is None:  # another family's classes build it
        return []
    modeling = importlib.import_module(name)
    ends = re.compile(r"(Classification|QuestionAnswering|MultipleChoice|Prediction|PreTraining|CausalLM)$")
    named = (name for name in vars(modeling) if ends.search(name) and not name.startswith("Generic"))
    return sorted({found.group() for name in named if (found := re.search(r"For[A-Z][a-zA-Z]*$", name.replace("Former", "")))})


def parts(kind: Any, common: set[str], families: dict[str, Any]) -> dict[str, Any]:
    """What a multimodal configuration has beside its language model: the type of each part (``auto``: unless the file names one),
    and what it is where the file leaves it out, as far as the part's own class assumes otherwise. Each type's defaults go to
    ``families``.
    """
    found = {}
    left_out = kind()
    for key in kind.sub_configs:
        if key == "talker_config":
            continue
        auto = kind.sub_configs[key].__name__ == "AutoConfig"
        absent = getattr(left_out, key)
        try:
            given = getattr(kind(**{key: {}}), key)
        except KeyError:  # EXAONE 4.5's must name its type
            given = getattr(kind(**{key: {"model_type": absent.model_type}}), key)
        except StrictDataclassError:  # what both state must agree
            given = absent
        if given is None:
            continue
        part = type(given)
        name = part.model_type or f"{kind.model_type}.{key}"
        if name not in cases.FAMILIES:
            families.setdefault(name, described(part, common))
            if any(key.endswith("_config") for key in part.sub_configs):
                families[name]["parts"] = parts(part, common, families)
        said = dict(getattr(kind.sub_configs_defaults.get(key), "init_kwargs", None) or {})
        absent = absent if absent is None else said or unlike(absent, common)
        found[key] = {"type": name, "auto": auto, "absent": absent}
        if unlike(given, common):  # then it stands behind what a file says, too
            found[key]["merged"] = said or unlike(given, common)
    return found


def unlike(one: Any, common: set[str]) -> dict[str, Any]:
    """What a configuration says that its class alone would not."""
    said, usual = one.to_dict(), type(one)().to_dict()
    return {key: said[key] for key in raw(type(one)) if key in said and said[key] != usual.get(key) and key not in common}


def described(kind: Any, common: set[str]) -> dict[str, Any]:
    """The defaults of a configuration class, and its other names for keys."""
    return {"defaults": {k: v for k, v in raw(kind).items() if k not in common}, "names": dict(kind.attribute_map)}


def collect() -> dict[str, Any]:
    from transformers import PretrainedConfig, __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    common = set(raw(PretrainedConfig)) - {"tie_word_embeddings"}
    families: dict[str, Any] = {}
    for name in cases.FAMILIES:
        kind = CONFIG_MAPPING[name]
        defaults = {key: value for key, value in raw(kind).items() if key not in common}
        for key, sub in SUB_CONFIGS.get(name, {}).items():
            module = sys.modules[kind.__module__]
            defaults[key] = {k: v for k, v in raw(getattr(module, sub)).items() if k not in common}
        families[name] = {"defaults": defaults, "names": dict(kind.attribute_map)}
        usual = ([],) if "decoder_layers" in defaults else ([], ["ForCausalLM"])  # of decoders
        families[name] |= {"heads": found} if (found := heads(kind)) not in usual else {}
        if any(key.endswith("_config") for key in kind.sub_configs) or name.endswith("encoder-decoder"):
            families[name]["parts"] = parts(kind, common, families)
    for name in cases.PARTS:
        kind = CONFIG_MAPPING[name]
        families.setdefault(name, described(kind, common))
        if any(key.endswith("_config") for key in kind.sub_configs):
            families[name]["parts"] = parts(kind, common, families)
    return {"transformers": __version__, "common": sorted(common), "families": families}


def main() -> None:
    found = collect()
    lines = [f'"transformers": {json.dumps(found["transformers"])}', f'"common": {json.dumps(found["common"])}']
    rows = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(value, sort_keys=True)}" for name, value in sorted(found["families"].items())
    )
    text = "{\n" + ",\n".join(lines) + ',\n"families": {\n' + rows + "\n}}\n"
    if "--check" in sys.argv:
        sys.exit(
            0 if TARGET.read_text(encoding="utf-8") == text else f"{TARGET} differs from transformers {found['transformers']}"
        )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
