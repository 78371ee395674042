"""Families that transformers does not know, whose code is released beside the weights: what that code assumes.

huggingface/defaults.json has what transformers assumes, and so none of these. Their readers stand among the others, in the module
of the family that they are most like.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Own(NamedTuple):
    """What a family's code assumes for keys that a file leaves out: its own ``defaults``, and behind them those of the family
    that it is ``like``. ``names``: other names for keys. ``stem``: what its classes are called, in lower case, where that is not
    the model_type; several, with blanks.
    """

    like: str | None = None
    defaults: Mapping[str, Any] = {}
    names: Mapping[str, str] = {}
    stem: str = ""


LLAMA: dict[str, Any] = {
    **{"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
    **{"num_key_value_heads": None, "hidden_act": "silu", "max_position_embeddings": 2048, "tie_word_embeddings": False},
}
"""What most of these took over from LLaMA."""

OWN = {
    # DeepSeek's shape under another name.
    "kimi_k2": Own("deepseek_v3", stem="deepseekv3"),
    "hunyuan": Own("hunyuan_v1_moe", names={"attention_head_dim": "head_dim"}, stem="hunyuanmoev1 hunyuan"),
    # LLaMA's, with a bias or a norm more.
    "Yi": Own(None, LLAMA | {"vocab_size": 64000, "max_position_embeddings": 4096}),
    "xverse": Own(None, LLAMA | {"vocab_size": 100278, "hidden_size": 5120, "intermediate_size": 13824}),
    "orion": Own(None, LLAMA | {"vocab_size": 84608, "intermediate_size": 15360, "attention_bias": False}),
    "baichuan": Own(None, {**LLAMA, "vocab_size": 64000, "max_position_embeddings": None}),
    "internlm": Own(None, LLAMA | {"vocab_size": 103168, "bias": True}),
    "internlm2": Own(None, LLAMA | {"vocab_size": 103168, "bias": True}),
    "minicpm": Own("llama", {"tie_word_embeddings": True, "num_experts": 0, "num_experts_per_tok": 2}),
    "mimo": Own("qwen2", {"attention_bias": True}),
    "sdar": Own("qwen3"),
    "Dream": Own("qwen2", {"attention_bias": True}),
    "qwen": Own(
        None,
        {
            **LLAMA,
            "intermediate_size": 22016,
            "vocab_size": 151936,
            "max_position_embeddings": 8192,
            "head_dim": 128,
            "no_bias": True,
        },
        {"n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads", "kv_channels": "head_dim"}
        | {"ffn_hidden_size": "intermediate_size", "n_positions": "max_position_embeddings", "padded_vocab_size": "vocab_size"},
    ),
    "chatglm": Own(
        None,
        {"vocab_size": 65024, "hidden_size": 4096, "intermediate_size": 13696, "num_hidden_layers": 28, "num_attention_heads": 32}
        | {"head_dim": 128, "max_position_embeddings": 2048, "rmsnorm": True, "post_layer_norm": True, "add_bias_linear": False}
        | {"add_qkv_bias": False, "multi_query_attention": False, "multi_query_group_num": 1, "pre_seq_len": None}
        | {"apply_residual_connection_post_layernorm": False},
        {"num_layers": "num_hidden_layers", "padded_vocab_size": "vocab_size", "ffn_hidden_size": "intermediate_size"}
        | {"kv_channels": "head_dim", "seq_length": "max_position_embeddings"},
    ),
    "llada": Own(
        None,
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": None, "vocab_size": 50257}
        | {"intermediate_size": None, "tie_word_embeddings": True, "max_position_embeddings": 1024, "activation_type": "swiglu"}
        | {
            "block_type": "sequential",
            "layer_norm_type": "default",
            "include_bias": True,
            "include_qkv_bias": False,
            "rope": False,
        },
        {"d_model": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"}
        | {"n_kv_heads": "num_key_value_heads", "mlp_hidden_size": "intermediate_size", "weight_tying": "tie_word_embeddings"}
        | {"embedding_size": "vocab_size", "max_sequence_length": "max_position_embeddings"},
    ),
    "minicpmv": Own("qwen2", {"attention_bias": False, "mlp_bias": False, "head_dim": None, "query_num": 64, "version": None}),
    "molmo": Own(
        None,
        {**LLAMA, "vocab_size": 50304, "embedding_size": None, "num_hidden_layers": 32, "qkv_bias": False, "weight_tying": False}
        | {"attention_layer_norm": False, "norm_after": False, "layer_norm_type": "rms", "head_dim": None},
    ),
    "nemotron-nas": Own(
        None,
        {**LLAMA, "attention_bias": False, "mlp_bias": False, "intermediate_size": None},
        stem="decilm",
    ),
    # As flash-linear-attention has it.
    "rwkv7": Own(
        None,
        {"hidden_size": 2048, "hidden_ratio": 4, "intermediate_size": None, "num_hidden_layers": 24, "head_dim": 64}
        | {"num_heads": None, "decay_low_rank_dim": 64, "gate_low_rank_dim": 128, "a_low_rank_dim": 64, "v_low_rank_dim": 16}
        | {"hidden_act": "sqrelu", "max_position_embeddings": 2048, "norm_first": True, "norm_bias": True, "attn": None}
        | {"tie_word_embeddings": False, "vocab_size": 32000, "value_dim": None},
    ),
    # Draft models, which are told by their class or their keys.
    "eagle3": Own(
        "llama",
        {"draft_vocab_size": None, "target_hidden_size": None, "eagle_config": None},
        stem="llama llamaforcausallmeagle3 peagledraft",
    ),
    "dflash": Own("qwen3", {"dflash_config": None}, stem="qwen3 dflashdraft dsparkdraft"),
    # Mixtures of experts.
    "deepseek": Own(
        None,
        {**LLAMA, "vocab_size": 102400, "moe_intermediate_size": 1407, "n_routed_experts": None, "n_shared_experts": None}
        | {"num_experts_per_tok": None, "moe_layer_freq": 1, "first_k_dense_replace": 0, "attention_bias": False},
    ),
    "bailing_moe": Own(
        None,
        {**LLAMA, "vocab_size": 30592, "use_qkv_bias": False, "use_bias": True, "use_qk_norm": False, "num_shared_experts": 0}
        | {"first_k_dense_replace": 0, "head_dim": None, "moe_shared_expert_intermediate_size": None},
        stem="bailingmoe bailingmoev2",
    ),
}
