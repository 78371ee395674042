"""Files in their makers' own form, as a config.json says the same: Meta's and Mistral's params.json, DeepSeek's inference config.

Each key is asked for by its own name, so that one which is not understood is refused by the name that the file has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from llmcx.errors import shown
from llmcx.huggingface.config import ROTARY, Config

Data = dict[str, Any]


def as_config(data: Mapping[str, Any], source: str, ignore: Collection[str] = ()) -> tuple[Data, list[str]]:
    """The config.json that says what a maker's own file does, and what to know about it; the user passes over ``ignore``."""
    known: Data
    read, whose, known = meta, "Meta's params.json", {"multiple_of": 256, "vocab_size": -1}
    if "n_routed_experts" in data:
        read, whose, known = deepseek, "DeepSeek's inference config", {}
    elif "hidden_dim" in data and not {"use_scaled_rope", "use_hf_rope", "multiple_of"} & data.keys():
        read, whose, known = mistral, "Mistral's params.json", {"model_type": "transformer"}
    c = Config(data, whose, source, known)
    c.ignored = dict.fromkeys(ignore)
    config, notes = read(c)
    c.check_leftovers()
    c.check_ignored()
    return config, [*notes, *c.notes]


def renamed(c: Config, names: Mapping[str, str]) -> Data:
    """The keys that the file has of ``names``, under their names in a config.json; a null says nothing."""
    return {theirs: c.get(own) for own, theirs in names.items() if c.data.get(own) is not None}


SIZES = {
    **{"dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads", "vocab_size": "vocab_size"},
    **{"n_kv_heads": "num_key_value_heads", "head_dim": "head_dim", "hidden_dim": "intermediate_size"},
}

UNSTATED = {"tie_word_embeddings": False, "max_position_embeddings": None}
"""Of transformers' defaults, those that are not the makers'."""


def meta(c: Config) -> tuple[Data, list[str]]:
    """LLaMA 1 to 3: the feed-forward's width follows from dim, ffn_dim_multiplier and multiple_of."""
    notes = []
    c.ignore("norm_eps", "max_batch_size", "max_seq_len", "use_scaled_rope", "rope_scaling_factor", "low_freq_factor")
    c.ignore("high_freq_factor", "use_hf_rope", "no_rope_layer_interval", *ROTARY)
    c.expect("attention_qkv_bias", None, False)
    c.expect("model_type", None, "llama")
    config = {"model_type": "llama", **renamed(c, SIZES), **UNSTATED}
    if "hidden_dim" not in c.data:
        width, factor = 2 * 4 * c.size("dim") // 3, c.get("ffn_dim_multiplier") if c.has("ffn_dim_multiplier") else None
        if factor is not None:
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 1000:
                raise c.wrong("ffn_dim_multiplier", factor, "a number between 0 and 1000")
            width = int(factor * width)
        multiple = c.size("multiple_of")
        config["intermediate_size"] = -(-width // multiple) * multiple
    c.ignore("ffn_dim_multiplier", "multiple_of")
    if c.get("vocab_size") == -1:
        config["vocab_size"] = 32000
        said = "vocab_size is left to the tokenizer" if "vocab_size" in c.data else "vocab_size is left out"
        notes.append(f"warning: {said}: 32,000 is assumed, as in LLaMA 1 and 2; --vocab says another")
    notes.append("read as Meta's params.json, which has a head of its own; Llama 3.2's 1B and 3B tie it (--set tied=true)")
    return config, notes


MISTRAL_MOE = {
    "num_experts": "n_routed_experts",
    "num_experts_per_tok": "num_experts_per_tok",
    "expert_hidden_dim": "moe_intermediate_size",
    "num_shared_experts": "n_shared_experts",
    "first_k_dense_replace": "first_k_dense_replace",
    "route_every_n": "moe_layer_freq",
}
LATENT = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


def mistral(c: Config) -> tuple[Data, list[str]]:
    """Mistral and Mixtral; with shared experts, latent attention and the rest of DeepSeek-V3 (Mistral Large 3)."""
    notes = ["read as Mistral's params.json"]
    c.ignore("norm_eps", "yarn", "llama_4_scaling", "max_seq_len", "_sliding_window", *ROTARY)
    c.expect("model_type", "transformer")
    c.expect("causal", True)
    config: Data = {**UNSTATED, "model_type": "mistral", **renamed(c, SIZES), "tie_word_embeddings": c.flag("tied_embeddings")}
    config |= renamed(c, {"activation": "hidden_act", "max_seq_len": "max_position_embeddings"})
    config |= renamed(c, {"max_position_embeddings": "max_position_embeddings"})
    for key in ("vision_encoder", "multimodal"):
        if c.data.get(key):
            notes.append(f"the language model of a multimodal file: {key} and what projects from it are not counted")
        c.ignore(key)
    if c.data.get("quantization"):
        how = c.inner("quantization")
        how.expect("qformat_weight", "fp8_e4m3")
        how.ignore("qscheme_act")
        how.check_leftovers()
        config["quantization_config"] = {"quant_method": "fp8"}
    windows = c.get("sliding_window") if c.has("sliding_window") else None
    if isinstance(windows, list):
        n = c.size("n_layers")
        numbers = all(size is None or (isinstance(size, int) and not isinstance(size, bool)) for size in windows)
        sizes = {size for size in windows if size is not None} if numbers else {0, 1}
        if not windows or n % len(windows) or len(sizes) > 1 or n > 10_000:
            raise c.wrong("sliding_window", windows, "a number, or a list of one number and nulls that the layers divide by")
        kinds = ["full_attention" if size is None else "sliding_attention" for size in windows] * (n // len(windows))
        config |= {"model_type": "ministral", "layer_types": kinds, "sliding_window": next(iter(sizes), None)}
    else:
        config["sliding_window"] = c.optional("sliding_window")
    latent = renamed(c, {key: key for key in LATENT})
    moe = c.inner("moe") if c.data.get("moe") else None
    if moe is not None and moe.optional("num_shared_experts", 0):
        moe.ignore("expert_parallel", "expert_model_parallel", "routed_scale", "num_expert_groups", "num_expert_groups_per_tok")
        config |= {**latent, **renamed(moe, MISTRAL_MOE), "model_type": "deepseek_v3"}
        config.pop("sliding_window", None)
        config.pop("head_dim", None)
        if c.get("n_kv_heads") != c.get("n_heads"):
            config["num_key_value_heads"] = c.size("n_heads")
    elif latent:
        raise c.wrong("kv_lora_rank", c.data.get("kv_lora_rank"), "beside a moe with shared experts, as in Mistral Large 3")
    elif moe is not None:
        if config["model_type"] == "ministral":
            raise c.wrong("sliding_window", windows, "a number where there is a moe")
        moe.ignore("expert_parallel", "expert_model_parallel")
        config |= {"model_type": "mixtral", "num_local_experts": moe.size("num_experts")}
        config["num_experts_per_tok"] = moe.size("num_experts_per_tok")
    if moe is not None:
        moe.check_leftovers()
    return config, notes


DEEPSEEK = {
    **{key: SIZES[key] for key in ("dim", "n_layers", "n_heads", "vocab_size", "head_dim")},
    **{key: key for key in (*LATENT, "n_routed_experts", "n_shared_experts", "index_n_heads", "index_head_dim", "index_topk")},
    "inter_dim": "intermediate_size",
    "moe_inter_dim": "moe_intermediate_size",
    "n_dense_layers": "first_k_dense_replace",
    "n_activated_experts": "num_experts_per_tok",
}
DEEPSEEK_V4 = {
    **{key: key for key in ("o_groups", "o_lora_rank", "hc_mult", "compress_ratios", "score_func", "swiglu_limit")},
    **{"window_size": "sliding_window", "n_hash_layers": "num_hash_layers", "rope_head_dim": "qk_rope_head_dim"},
    **{"score_func": "scoring_func"},
}
WORDS = "route_scale score_func n_expert_groups n_limited_groups mscale original_seq_len rope_factor beta_fast beta_slow"
WORDS += " max_batch_size max_seq_len scale_fmt hc_sinkhorn_iters compress_rope_theta gate_func"


def deepseek(c: Config) -> tuple[Data, list[str]]:
    """DeepSeek-V2 and V3 (which score by a sigmoid), V3.2 (with an indexer), V4 (with hyper-connections)."""
    names, version = dict(DEEPSEEK), "deepseek_v3" if c.data.get("score_func") == "sigmoid" else "deepseek_v2"
    if "index_n_heads" in c.data:
        version = "deepseek_v32"
    config: Data = dict(UNSTATED)
    if "hc_mult" in c.data:
        version, names = "deepseek_v4", names | DEEPSEEK_V4
        config["num_key_value_heads"] = 1
    else:
        config["num_key_value_heads"] = c.size("n_heads")
    config |= {"model_type": version, **renamed(c, names)}
    if config.get("q_lora_rank") == 0 or "q_lora_rank" not in config:
        config["q_lora_rank"] = None  # straight from the width
    c.ignore(*WORDS.split(), *ROTARY, *names)
    config |= formats(c)
    return config, ["read as DeepSeek's inference config"]


def formats(c: Config) -> Data:
    """How the weights are stored: FP8 in blocks of 128 x 128, or as they are; the experts perhaps otherwise."""
    dtype = c.text("dtype", ("fp8", "bf16")) if c.has("dtype") else "bf16"
    c.ignore("dtype")
    expert = c.data.get("expert_dtype")
    c.ignore("expert_dtype")
    if dtype == "fp8":
        named = {} if expert is None else {"expert_dtype": expert}
        return {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128], **named}}
    return {} if expert in (None, dtype) else {"quantization_config": {"quant_method": f"experts in {shown(expert)}"}}
