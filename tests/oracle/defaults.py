"""Write llmcx/huggingface/defaults.json: what transformers assumes for the keys that a config.json leaves out.

    python tests/oracle/defaults.py [--check]

For each model_type the raw defaults of its configuration class (before it derives one from another), without the keys
that every configuration has, and its attribute_map (other names that it accepts for a key). Needs transformers.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[2] / "llmcx" / "families" / "defaults.json"
_NAMES = """
    gpt2 gpt_neo gptj codegen gpt_neox gpt_bigcode opt bloom mpt falcon llama mistral ministral ministral3 mixtral gemma gemma2
    gemma3_text gemma3n_text gemma4_text phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next qwen3_5_text
    qwen3_5_moe_text deepseek_v2 deepseek_v3 deepseek_v32 kimi_linear gpt_oss olmo olmo2 olmo3 olmoe flex_olmo stablelm starcoder2
    cohere cohere2 granite granitemoe granitemoehybrid granitemoeshared glm glm4 glm4_moe glm4_moe_lite smollm3 minicpm3
    minimax minimax_m2 nemotron nemotron_h dbrx jamba bamba falcon_h1 zamba2 mamba mamba2 falcon_mamba recurrent_gemma
    rwkv lfm2 lfm2_moe ernie4_5 ernie4_5_moe exaone4 seed_oss llama4_text hunyuan_v1_dense hunyuan_v1_moe arcee apertus
    exaone_moe afmoe qwen2_vl_text qwen2_5_vl_text qwen3_vl_text qwen3_vl_moe_text glm4v_text glm4v_moe_text
    t5 mt5 umt5 switch_transformers bart mbart pegasus marian m2m_100 bert roberta xlm-roberta camembert electra distilbert albert
    modernbert longformer big_bird
"""
MODEL_TYPES = _NAMES.split()
SUB_CONFIGS = {
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


def collect() -> dict[str, Any]:
    from transformers import PretrainedConfig, __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    common = set(raw(PretrainedConfig)) - {"tie_word_embeddings"}
    families: dict[str, Any] = {}
    for name in MODEL_TYPES:
        kind = CONFIG_MAPPING[name]
        defaults = {key: value for key, value in raw(kind).items() if key not in common}
        for key, sub in SUB_CONFIGS.get(name, {}).items():
            module = sys.modules[kind.__module__]
            defaults[key] = {k: v for k, v in raw(getattr(module, sub)).items() if k not in common}
        families[name] = {"defaults": defaults, "names": dict(kind.attribute_map)}
    return {"transformers": __version__, "common": sorted(common), "families": families}


def main() -> None:
    made = collect()
    lines = [f'"transformers": {json.dumps(made["transformers"])}', f'"common": {json.dumps(made["common"])}']
    rows = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(value, sort_keys=True)}" for name, value in sorted(made["families"].items())
    )
    text = "{\n" + ",\n".join(lines) + ',\n"families": {\n' + rows + "\n}}\n"
    if "--check" in sys.argv:
        sys.exit(
            0 if TARGET.read_text(encoding="utf-8") == text else f"{TARGET} differs from transformers {made['transformers']}"
        )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
