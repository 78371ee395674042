"""Files that describe a model otherwise than a config.json of a known type: makers' own, adapters, directories, strangers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from llmcx.catalog.load import load
from llmcx.costs.params import count
from llmcx.errors import InputError

from .helpers import data, refused, refused_in_json

# --- the makers' own ----------------------------------------------------------------------------------------------------

LLAMA_3 = {
    "multiple_of": 1024,
    "ffn_dim_multiplier": 1.3,
    "n_kv_heads": 8,
    "norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "vocab_size": 128256,
}
V3 = {
    "vocab_size": 129280,
    "dim": 7168,
    "inter_dim": 18432,
    "moe_inter_dim": 2048,
    "n_layers": 61,
    "n_dense_layers": 3,
    "n_heads": 128,
}
V3 |= {"n_routed_experts": 256, "n_shared_experts": 1, "n_activated_experts": 8, "n_expert_groups": 8, "n_limited_groups": 4}
V3 |= {"route_scale": 2.5, "score_func": "sigmoid", "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128}
V3 |= {"qk_rope_head_dim": 64, "v_head_dim": 128, "dtype": "fp8"}
LITE = {"vocab_size": 102400, "dim": 2048, "inter_dim": 10944, "moe_inter_dim": 1408, "n_layers": 27, "n_dense_layers": 1}
LITE |= {
    "n_heads": 16,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "n_activated_experts": 6,
    "route_scale": 1.0,
    "q_lora_rank": 0,
}
LITE |= {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "mscale": 0.707}
SEVEN = {"dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8, "norm_eps": 1e-5}
LARGE = {
    "dim": 7168,
    "n_layers": 61,
    "head_dim": 128,
    "hidden_dim": 16384,
    "n_heads": 128,
    "n_kv_heads": 128,
    "vocab_size": 131072,
}
LARGE |= {key: V3[key] for key in ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")}
LARGE |= {
    "norm_eps": 1e-6,
    "llama_4_scaling": {"beta": 0.1, "original_max_position_embeddings": 8192},
    "vision_encoder": {"dim": 1664},
}
EXPERTS = {
    "num_experts": 128,
    "num_experts_per_tok": 4,
    "expert_hidden_dim": 4096,
    "num_shared_experts": 1,
    "first_k_dense_replace": 3,
}

NATIVE: dict[str, tuple[dict[str, Any], str, int]] = {
    "LLaMA-7B": (
        {"dim": 4096, "multiple_of": 256, "n_heads": 32, "n_layers": 32, "norm_eps": 1e-6, "vocab_size": -1},
        "llama",
        6_738_415_616,
    ),
    "Llama-2-70B": (
        {
            "dim": 8192,
            "multiple_of": 4096,
            "ffn_dim_multiplier": 1.3,
            "n_heads": 64,
            "n_kv_heads": 8,
            "n_layers": 80,
            "vocab_size": -1,
        },
        "llama",
        68_976_648_192,
    ),
    "Llama-3-8B": ({**LLAMA_3, "dim": 4096, "n_layers": 32, "n_heads": 32}, "llama", 8_030_261_248),
    "Llama-3.1-70B": (
        {**LLAMA_3, "dim": 8192, "n_layers": 80, "n_heads": 64, "multiple_of": 4096, "use_scaled_rope": True},
        "llama",
        70_553_706_496,
    ),
    # The file does not say that the head is tied: 2048 · 128,256 more than the 1,235,814,400 of transformers.
    "Llama-3.2-1B": (
        {**LLAMA_3, "dim": 2048, "n_layers": 16, "n_heads": 32, "multiple_of": 256, "ffn_dim_multiplier": 1.5},
        "llama",
        1_235_814_400 + 2048 * 128_256,
    ),
    "Mistral-7B-v0.1": ({**SEVEN, "sliding_window": 4096, "vocab_size": 32000}, "mistral", 7_241_732_096),
    "Mixtral-8x7B": (
        {**SEVEN, "vocab_size": 32000, "moe": {"num_experts_per_tok": 2, "num_experts": 8}},
        "mixtral",
        46_702_792_704,
    ),
    "Pixtral-12B": (
        {"dim": 5120, "n_layers": 40, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8, "rope_theta": 1e9}
        | {"norm_eps": 1e-5, "vocab_size": 131072, "vision_encoder": {"hidden_size": 1024, "image_size": 1024}},
        "mistral",
        12_247_782_400,
    ),
    "DeepSeek-V3": (V3, "deepseek_v3", 671_026_404_352),
    "DeepSeek-V3.2": ({**V3, "index_n_heads": 64, "index_head_dim": 128, "index_topk": 2048}, "deepseek_v32", 671_877_929_216),
    "DeepSeek-V2-Lite": (LITE, "deepseek_v2", 15_706_484_224),
}
"""What a maker released, the family that it is, and the parameters that transformers counts of the same release's config.json."""


@pytest.mark.parametrize("name", NATIVE)
def test_a_makers_own_file_has_the_count_of_its_config(tmp_path: Path, name: str) -> None:
    """As a file in a directory, which is then named."""
    native, family, params = NATIVE[name]
    (tmp_path / "params.json").write_text(json.dumps(native))
    spec = load(str(tmp_path))
    assert (spec.family, count(spec)) == (family, params)
    assert spec.context is None and spec.name == tmp_path.name


def test_mistral_large_3_by_hand() -> None:
    """Attention, a router and experts as DeepSeek-V3 has them, in other sizes."""
    attention = 7168 * 1536 + 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 + 512 * 128 * 256 + 128 * 128 * 7168
    moe = 7168 * 128 + 129 * 3 * 7168 * 4096
    layers = 61 * (attention + 2 * 7168) + 3 * 3 * 7168 * 16384 + 58 * moe
    assert count(load({**LARGE, "moe": EXPERTS})) == layers + 2 * 131072 * 7168 + 7168
    assert round(count(load({**LARGE, "moe": EXPERTS})) / 1e9) == 673  # as Mistral says of the language model


def test_what_a_makers_own_file_says_of_windows_and_formats() -> None:
    spec = load(
        {**SEVEN, "vocab_size": 100, "sliding_window": [None, 512, 512, 512], "quantization": {"qformat_weight": "fp8_e4m3"}}
    )
    assert [layers.repeat for layers in spec.decoder][:4] == [1, 3, 1, 3] and spec.stored is not None
    assert spec.stored.format == "fp8_tensor"
    assert load(V3).stored.format == "fp8_block"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"moe_args": {}, "qk_gain": 2}, "qk_gain = 2 is not understood"),
        ({"ffn_dim_multiplier": "1.3"}, "ffn_dim_multiplier is '1.3'"),
        ({"mlp_structure": "2_projection"}, "mlp_structure = '2_projection' is not understood"),
        ({"dim": 4096.5}, "dim is 4096.5"),
    ],
)
def test_a_key_of_a_makers_own_file_that_is_not_understood_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        load({**LLAMA_3, "dim": 4096, "n_layers": 32, "n_heads": 32, **change})


# --- adapters -----------------------------------------------------------------------------------------------------------

TINY = {"hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
TINY |= {"vocab_size": 101, "tie_word_embeddings": False}
ALL = "all-linear"
PEFT = [
    ({"model_type": "llama"}, {"r": 8, "target_modules": ["q_proj", "v_proj"]}, 2688),
    ({"model_type": "llama"}, {"r": 4, "target_modules": ALL}, 5424),
    (
        {"model_type": "llama"},
        {"r": 4, "target_modules": ["q_proj", "down_proj"], "rank_pattern": {"down_proj": 6}, "use_dora": True},
        2328,
    ),
    (
        {"model_type": "llama"},
        {"r": 4, "target_modules": ["k_proj", "o_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
        7808,
    ),
    ({"model_type": "llama"}, {"r": 4, "target_modules": ["lm_head", "embed_tokens", "gate_proj"]}, 1976),
    (
        {"model_type": "qwen3", "head_dim": 10},
        {"r": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj"]},
        7776,
    ),
    ({"model_type": "phi3"}, {"r": 8, "target_modules": ALL}, 8544),
    ({"model_type": "phi3"}, {"r": 8, "target_modules": ["qkv_proj", "gate_up_proj"]}, 5184),
    ({"model_type": "glm4", "head_dim": 10}, {"r": 8, "target_modules": ["q_proj", "gate_up_proj"]}, 4608),
    ({"model_type": "nemotron"}, {"r": 8, "target_modules": ALL}, 9024),
    (
        {"model_type": "qwen3_moe", "head_dim": 10, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12},
        {"r": 8, "target_modules": ["q_proj", "o_proj"]},
        3456,
    ),
    (
        {"model_type": "gpt_oss", "head_dim": 10, "num_local_experts": 4},
        {"r": 8, "target_modules": ["q_proj", "k_proj", "o_proj"]},
        4704,
    ),
]
"""A tiny base, an adapter, and the parameters that PEFT 0.21.2 trains of it on transformers 5.23's model."""


def adapter(path: Path, base: dict[str, Any] | str, lora: dict[str, Any]) -> str:
    """A directory with an adapter, and its base in one beside it."""
    name = base if isinstance(base, str) else "base"
    if isinstance(base, dict):
        (path / "base").mkdir()
        (path / "base" / "config.json").write_text(json.dumps(base))
    (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": name, **lora}))
    return str(path)


@pytest.mark.parametrize(("base", "lora", "trained"), PEFT)
def test_an_adapter_is_its_base_and_says_what_it_adds(
    tmp_path: Path, base: dict[str, Any], lora: dict[str, Any], trained: int
) -> None:
    spec = load(adapter(tmp_path, {**TINY, **base}, lora))
    assert count(spec) == count(load({**TINY, **base}))
    assert f": {trained:,} parameters of its own" in spec.assumes[0]


def test_an_adapter_of_a_preset(tmp_path: Path) -> None:
    """Rank 16 on queries and values of Llama 3.1 8B: 32 · 16 · (2 · 4096 + 4096 + 1024), 6.8 M as PEFT prints it."""
    path = adapter(tmp_path, "meta-llama/Llama-3.1-8B", {"r": 16, "target_modules": ["q_proj", "v_proj"], "lora_alpha": 32})
    notes = data("params", path)["notes"]
    assert any("6,815,744 parameters of its own" in note for note in notes)


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        ({"r": 8, "target_modules": ["q_proj"], "peft_type": "IA3"}, "peft_type is 'IA3', but must be one of LORA"),
        ({"r": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "somebody/model"}, "a preset's name, or a directory"),
        ({"r": 8, "target_modules": ["c_attn"]}, "target_modules is 'c_attn'"),
        ({"r": 8, "target_modules": r".*q_proj"}, "target_modules is '.*q_proj'"),
        ({"r": 8, "target_modules": ["q_proj"], "layers_to_transform": [0]}, "layers_to_transform = [0] is not understood"),
        ({"r": 8, "target_modules": ["q_proj"], "bias": "all"}, "bias is 'all'"),
        ({"r": 8, "target_modules": ["q_proj"], "rank_pattern": {"q": 2}}, "rank_pattern"),
        ({"target_modules": ["q_proj"]}, "r is missing"),
    ],
)
def test_an_adapter_that_is_not_understood_is_refused(tmp_path: Path, lora: dict[str, Any], words: str) -> None:
    assert words in refused("params", adapter(tmp_path, {**TINY, "model_type": "llama"}, lora))


# --- directories, large files, files that are no model's ----------------------------------------------------------------


def test_a_config_of_megabytes_is_read(tmp_path: Path) -> None:
    """Releases that name every module of a quantised model have some MB; above 16 MiB nothing is read."""
    keep = [f"model.layers.{i}.mlp.experts.{j}.gate_proj" for i in range(60) for j in range(900)]
    config = {**TINY, "model_type": "llama", "quantization_config": {"quant_method": "fp8", "modules_to_not_convert": keep}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert path.stat().st_size > 2 << 20
    assert count(load(str(tmp_path))) == count(load({**TINY, "model_type": "llama"}))
    (tmp_path / "long.yaml").write_text("a: b\n# " + "x" * (1 << 20))
    assert "longer than YAML may be" in refused("params", str(tmp_path / "long.yaml"))


STRANGE: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"total_size": 1}, "weight_map": {"a": "b"}}, "is an index of weight files"),
    ({"version": "1.0", "truncation": None, "added_tokens": [], "model": {}}, "is a tokenizer's file"),
    ({"chat_template": "x", "model_max_length": 4096, "unk_token": "a"}, "is a tokenizer's file"),
    ({"image_processor_type": "X", "size": {"height": 2}}, "is a preprocessor's file"),
    ({"bos_token_id": 1, "eos_token_id": 2, "transformers_version": "4.40.0"}, "is a generation_config.json"),
    ({"one": 1, "two": 2, "three": 3}, "has no model_type, and no key of a preset"),
]


@pytest.mark.parametrize(("content", "words"), STRANGE)
def test_a_file_that_is_no_models_is_refused_with_what_is_read(tmp_path: Path, content: dict[str, Any], words: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps(content))
    said = refused("params", str(path))
    assert words in said and "a config.json, a params.json" in said and "GGUF" in said


def test_a_config_without_model_type_is_told_by_its_keys() -> None:
    bert = {
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_size": 32,
        "intermediate_size": 64,
        "vocab_size": 99,
    }
    bert |= {
        "max_position_embeddings": 40,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "type_vocab_size": 2,
        "directionality": "bidi",
    }
    with pytest.raises(InputError, match="keys are most like those of bert or") as said:
        load(bert)
    assert said.value.nearest[0] == "bert"
    assert load(bert, "bert").family == "bert"


# --- refusals that help -------------------------------------------------------------------------------------------------

LATENT = {"q_lora_rank": 20, "kv_lora_rank": 14, "qk_nope_head_dim": 10, "qk_rope_head_dim": 6, "v_head_dim": 12}
UNKNOWN: list[tuple[str, dict[str, Any], str]] = [
    ("baichuan_9", {**TINY, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1.0}, "llama"),
    ("grok_x", {**TINY, "num_local_experts": 4, "num_experts_per_tok": 2, "router_aux_loss_coef": 0.1}, "mixtral"),
    ("deep", {**TINY, **LATENT, "n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1}, "deepseek_v3"),
    ("q", {**TINY, "head_dim": 8, "max_window_layers": 3, "use_sliding_window": False, "attention_bias": False}, "qwen3"),
    (
        "m",
        {"hidden_size": 32, "state_size": 8, "num_heads": 4, "head_dim": 16, "conv_kernel": 4, "n_groups": 1, "chunk_size": 8},
        "mamba2",
    ),
]


@pytest.mark.parametrize(("name", "config", "right"), UNKNOWN)
def test_an_unknown_model_type_is_told_by_its_keys_not_its_spelling(name: str, config: dict[str, Any], right: str) -> None:
    with pytest.raises(InputError, match="is not known; its keys are most like") as said:
        load({**config, "model_type": name})
    assert right in said.value.nearest


def test_as_type_reads_the_text_config_of_a_multimodal_file(tmp_path: Path) -> None:
    inner = {**TINY, "model_type": "my_text"}
    outer = {"model_type": "my_vision", "text_config": inner, "vision_config": {"hidden_size": 9}}
    with pytest.raises(InputError, match="model_type 'my_text' is not known"):
        load(outer)
    spec = load(outer, "llama")
    assert count(spec) == count(load({**TINY, "model_type": "llama"}))
    assert any("'my_text' was read as 'llama'" in note for note in spec.assumes)
    assert any("towers" in note for note in spec.assumes)
    with pytest.raises(InputError, match="--as 'lama' is not known; did you mean llama"):
        load(outer, "lama")


def test_a_key_is_ignored_where_the_user_says_so(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**TINY, "model_type": "llama", "widgets": 3, "gadgets": [1]}))
    assert "widgets = 3 is not understood" in refused("params", str(path))
    assert "--ignore gadgets" in refused("params", str(path), "--ignore", "widgets")
    found = data("params", str(path), "--ignore", "widgets", "--ignore", "gadgets")
    assert found["result"]["total"] == count(load({**TINY, "model_type": "llama"}))
    assert any("widgets = 3 is passed over because --ignore says so" in note for note in found["notes"])
    assert data("memory", str(path), "--ignore", "widgets,gadgets", "--seq", "16")["result"]
    for key, words in (("hidden_size", "llama reads it"), ("wodgets", "no key of that name is refused")):
        assert words in refused("params", str(path), "--ignore", f"widgets,gadgets,{key}")
    assert refused_in_json("params", "gpt2", "--ignore", "widgets")["field"] == "ignore"


def test_what_trainers_servers_and_embedders_leave_in_a_file_costs_nothing() -> None:
    left = {"use_liger_kernel": True, "trust_remote_code": True, "bf16": True, "sentence_transformers": {"version": "5.0"}}
    left |= {"matryoshka_dimensions": [64, 128], "chat_template": "{{ x }}", "ep_size": 1, "max_cache_length": 16384}
    left |= {"unsloth_fixed": True, "_attn_implementation_autoset": True, "max_model_len": 4096, "tokenizer_type": "x"}
    assert load({**TINY, "model_type": "llama", **left}) == load({**TINY, "model_type": "llama"})


@pytest.mark.parametrize("key", ["AutoModelForCausalLM", "AutoModel"])
def test_a_class_of_its_own_code_is_said(key: str) -> None:
    """As one that `architectures` names: the file's own code may build something else than its model_type says."""
    config = {**TINY, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}
    spec = load({**config, "auto_map": {key: "modeling_sdar.SDARForCausalLM", "AutoConfig": "a.SDARConfig"}})
    assert any(f"auto_map.{key} names SDARForCausalLM, no class of model_type qwen3" in note for note in spec.assumes)
    for own in ("a/b--modeling.Qwen3ForCausalLM", "modeling.Qwen3Model"):
        assert not any("warning" in note for note in load({**config, "auto_map": {key: own}}).assumes)
