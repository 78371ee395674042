"""Families whose code is not in transformers: each count by hand, from the modules that its code builds, and as published.

A calculation below is the shapes of the weights, as the index of the files names them. The released files themselves are read
where they are at hand (../shared/wild).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcx.catalog.load import load
from llmcx.costs.params import count, mtp
from llmcx.errors import InputError
from llmcx.model.extras import ResidualAttention
from llmcx.model.spec import ModelSpec, MoE

WILD = Path(__file__).resolve().parent.parent.parent / "shared" / "wild"


def llama(d: int, ff: int, layers: int, heads: int, groups: int, vocab: int, **more: Any) -> dict[str, Any]:
    config = {"hidden_size": d, "intermediate_size": ff, "num_hidden_layers": layers, "num_attention_heads": heads}
    return {**config, "num_key_value_heads": groups, "vocab_size": vocab, "hidden_act": "silu", "rms_norm_eps": 1e-6, **more}


def by_hand(
    d: int, ff: int, layers: int, heads: int, groups: int, vocab: int, *, dim: int = 0, bias: int = 0, tables: int = 2
) -> int:
    """LLaMA's shape: q, k, v, o of heads of ``dim``; gate, up, down; two norms a layer and one at the end; ``tables`` of the
    vocabulary. ``bias`` numbers a layer more.
    """
    dim = dim or d // heads
    attention = d * heads * dim + 2 * d * groups * dim + heads * dim * d
    return layers * (attention + 3 * d * ff + 2 * d + bias) + tables * vocab * d + d


QWEN = {"model_type": "qwen", "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32, "num_attention_heads": 32}
QWEN |= {"kv_channels": 128, "no_bias": True, "vocab_size": 151936, "bf16": True, "use_dynamic_ntk": True, "seq_length": 8192}
GLM = {
    "model_type": "chatglm",
    "architectures": ["ChatGLMModel"],
    "num_layers": 28,
    "padded_vocab_size": 65024,
    "hidden_size": 4096,
}
GLM |= {
    "ffn_hidden_size": 13696,
    "kv_channels": 128,
    "num_attention_heads": 32,
    "multi_query_attention": True,
    "add_qkv_bias": True,
}
GLM |= {"multi_query_group_num": 2, "seq_length": 32768, "rmsnorm": True, "post_layer_norm": True, "add_bias_linear": False}
GLM_4 = GLM | {"num_layers": 40, "padded_vocab_size": 151552, "rope_ratio": 500, "seq_length": 131072, "original_rope": True}
LLADA = {
    "model_type": "llada",
    "d_model": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "n_kv_heads": 32,
    "mlp_hidden_size": 12288,
    "rope": True,
}
LLADA |= {
    "vocab_size": 126464,
    "embedding_size": 126464,
    "block_type": "llama",
    "layer_norm_type": "rms",
    "activation_type": "silu",
}
LLADA |= {"include_bias": False, "weight_tying": False, "architectures": ["LLaDAModelLM"], "rms_norm_eps": 1e-5}

DENSE: dict[str, tuple[dict[str, Any], int, int | None]] = {
    "Yi-34B": (
        {"model_type": "Yi", **llama(7168, 20480, 60, 56, 8, 64000)},
        by_hand(7168, 20480, 60, 56, 8, 64000),
        34_388_917_248,
    ),
    "Baichuan-7B": (
        {"model_type": "baichuan", **llama(4096, 11008, 32, 32, 32, 64000, max_position_embeddings=4096)},
        by_hand(4096, 11008, 32, 32, 32, 64000),
        7_000_559_616,
    ),
    "Baichuan2-13B": (
        {"model_type": "baichuan", **llama(5120, 13696, 40, 40, 40, 125696, model_max_length=4096, z_loss_weight=0)},
        by_hand(5120, 13696, 40, 40, 40, 125696),
        13_896_668_160,
    ),
    "InternLM2-20B": (
        {"model_type": "internlm2", **llama(6144, 16384, 48, 48, 8, 92544, bias=False)},
        by_hand(6144, 16384, 48, 48, 8, 92544),
        19_861_149_696,
    ),
    # Biases of q, k, v and o.
    "InternLM-7B": (
        {"model_type": "internlm", **llama(4096, 11008, 32, 32, 32, 103168, bias=True)},
        by_hand(4096, 11008, 32, 32, 32, 103168, bias=4 * 4096),
        None,
    ),
    "MiniCPM-2B": (
        {"model_type": "minicpm", **llama(2304, 5760, 40, 36, 36, 122753, scale_emb=12, scale_depth=1.4, dim_model_base=256)},
        by_hand(2304, 5760, 40, 36, 36, 122753, tables=1),
        2_724_880_896,
    ),
    "Qwen-7B": (QWEN, by_hand(4096, 11008, 32, 32, 32, 151936, bias=3 * 4096), 7_721_324_544),
    "ChatGLM3-6B": (GLM, by_hand(4096, 13696, 28, 32, 2, 65024, bias=4096 + 2 * 256), 6_243_584_000),
    "GLM-4-9B": (GLM_4, by_hand(4096, 13696, 40, 32, 2, 151552, bias=4096 + 2 * 256), 9_399_951_360),
    "LLaDA-8B": (LLADA, by_hand(4096, 12288, 32, 32, 32, 126464), 8_015_581_184),
    "Dream-7B": (
        {"model_type": "Dream", **llama(3584, 18944, 28, 28, 4, 152064, mask_token_id=151666)},
        by_hand(3584, 18944, 28, 28, 4, 152064, bias=3584 + 2 * 512),
        7_615_616_512,
    ),
    # A norm on each head's queries and keys.
    "SDAR-8B": (
        {"model_type": "sdar", **llama(4096, 12288, 36, 32, 8, 151936, head_dim=128, block_size=4, mask_token_id=151669)},
        by_hand(4096, 12288, 36, 32, 8, 151936, bias=2 * 128),
        8_190_735_360,
    ),
    "XVERSE-13B": (
        {"model_type": "xverse", **llama(5120, 13824, 40, 40, 40, 100278, max_tokenizer_truncation=8192)},
        by_hand(5120, 13824, 40, 40, 40, 100278),
        None,
    ),
    # Layer norms: a shift for each scale.
    "Orion-14B": (
        {"model_type": "orion", **llama(5120, 15360, 40, 40, 40, 84608, attention_bias=False)},
        by_hand(5120, 15360, 40, 40, 40, 84608, bias=2 * 5120) + 5120,
        None,
    ),
}
"""A released shape, its count by hand, and the count that its page or its index gives, where that is known."""


@pytest.mark.parametrize("name", DENSE)
def test_a_decoder_without_experts(name: str) -> None:
    config, hand, published = DENSE[name]
    spec = load(config)
    assert count(spec) == hand and published in (hand, None)
    assert not any("warning" in note for note in spec.assumes)


def test_what_unmasks_in_any_order_has_no_cache() -> None:
    """Each pass multiplies all pairs, both ways."""
    for name in ("LLaDA-8B", "Dream-7B"):
        spec = load(DENSE[name][0])
        assert spec.encoder and not spec.decoder and any("no cache" in note for note in spec.assumes)


def test_a_larger_baichuan_has_no_rotary_positions() -> None:
    def rotary(name: str) -> bool:
        mixer: Any = load(DENSE[name][0]).decoder[0].mixer
        return bool(mixer.rope)

    assert rotary("Baichuan-7B") and not rotary("Baichuan2-13B")


def moe_of(spec: ModelSpec) -> MoE:
    return spec.mixtures[0][1]


def test_deepseek_moe_by_hand() -> None:
    """DeepSeekMoE 16B: a dense layer; 27 with a router, 64 experts and two shared ones of 1408; 16.4 B on its page."""
    config = llama(2048, 10944, 28, 16, 16, 102400, model_type="deepseek", n_routed_experts=64, n_shared_experts=2)
    config |= {"num_experts_per_tok": 6, "moe_intermediate_size": 1408, "first_k_dense_replace": 1, "moe_layer_freq": 1}
    sparse = 27 * (64 * 2048 + 66 * 3 * 2048 * 1408 - 3 * 2048 * 10944)
    assert count(load(config)) == by_hand(2048, 10944, 28, 16, 16, 102400) + sparse == 16_375_728_128


def test_deepseek_ocr_has_plain_attention_in_deepseek_v2() -> None:
    """12 layers of 1280 with ten heads of 128, of which 11 have 64 experts of 896 and two shared ones."""
    config = llama(1280, 6848, 12, 10, 10, 129280, n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6)
    config |= {
        "moe_intermediate_size": 896,
        "first_k_dense_replace": 1,
        "use_mla": False,
        "kv_lora_rank": None,
        "q_lora_rank": None,
    }
    config |= {"qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0, "lm_head": True, "rm_head": False}
    config |= {"topk_method": "greedy", "n_group": 1, "topk_group": 1, "tie_word_embeddings": False}
    outer = {"model_type": "deepseek_vl_v2", "language_config": config, "vision_config": {"model_type": "vision"}}
    sparse = 11 * (64 * 1280 + 66 * 3 * 1280 * 896 - 3 * 1280 * 6848)
    assert count(load(outer)) == by_hand(1280, 6848, 12, 10, 10, 129280) + sparse


SEEN = {"hidden_size": 1152, "image_size": 980, "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27}
SEEN |= {"patch_size": 14, "model_type": "siglip"}


def encoder_by_hand(d: int, ff: int, layers: int) -> int:
    """Layers of a vision transformer: q, k, v, o and two matrices with biases, two layer norms."""
    return layers * (4 * (d * d + d) + 2 * d * ff + ff + d + 4 * d)


@pytest.mark.parametrize(
    ("version", "config", "language", "queries", "published"),
    [
        (2.6, llama(3584, 18944, 28, 28, 4, 151666), by_hand(3584, 18944, 28, 28, 4, 151666, bias=4608), 64, 8_099_175_152),
        (None, llama(4096, 14336, 32, 32, 8, 128256), by_hand(4096, 14336, 32, 32, 8, 128256), 96, 8_537_092_336),
        (
            4.5,
            llama(4096, 12288, 36, 32, 8, 151748, head_dim=128),
            by_hand(4096, 12288, 36, 32, 8, 151748, bias=256),
            64,
            8_695_895_280,
        ),
    ],
)
def test_minicpm_v_by_hand(version: float | None, config: dict[str, Any], language: int, queries: int, published: int) -> None:
    """SigLIP with 70 x 70 positions; a matrix to the language model's width, queries, one attention with biases, three layer
    norms and a matrix.
    """
    config |= {"model_type": "minicpmv", "vision_config": SEEN, "query_num": queries, "drop_vision_last_layer": False}
    config |= {"architectures": ["MiniCPMV"], "tie_word_embeddings": False, "slice_mode": True, "batch_vision_input": True}
    d, seen = config["hidden_size"], 3 * 14 * 14 * 1152 + 1152 + 70 * 70 * 1152 + encoder_by_hand(1152, 4304, 27) + 2 * 1152
    resampler = 1152 * d + queries * d + 4 * (d * d + d) + 3 * 2 * d + d * d
    spec = load(config if version is None else config | {"version": version})
    assert count(spec) == language + seen + resampler == published
    assert sum(count(replace(spec, towers=(tower,))) - language for tower in spec.towers) == seen + resampler


def test_a_minicpm_v_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(InputError, match="version"):
        load(llama(3584, 18944, 28, 28, 4, 151666, model_type="minicpmv", version=9.9, vision_config=SEEN))


@pytest.mark.parametrize(
    ("config", "language", "published"),
    [
        (
            llama(3584, 37888, 28, 28, 4, 152064, qkv_bias=True, embedding_size=152064),
            by_hand(3584, 18944, 28, 28, 4, 152064, bias=4608),
            8_021_025_280,
        ),
        (
            llama(4096, 22016, 32, 32, 32, 100278, embedding_size=100352, attention_layer_norm=True, norm_after=True),
            by_hand(4096, 11008, 32, 32, 32, 100352, bias=2 * 4096),
            None,
        ),
    ],
)
def test_molmo_by_hand(config: dict[str, Any], language: int, published: int | None) -> None:
    """Molmo-7B-D and 7B-O: 128 rows more; CLIP's first 23 layers of 1024 with 577 positions; attention over two layers' outputs
    and two vectors for padding; a gated feed-forward as wide as the language model's.
    """
    d, wide = config["hidden_size"], config["intermediate_size"] // 2
    vision = 588 * 1024 + 1024 + 577 * 1024 + 2 * 1024 + encoder_by_hand(1024, 4096, 23)
    pooling = 3 * (2048 * 1024 + 1024) + 1024 * 1024 + 1024 + 2 * 2048
    hand = language + 128 * d + vision + pooling + 2 * 1024 * wide + wide * d
    config |= {"model_type": "molmo", "layer_norm_type": "rms", "architectures": ["MolmoForCausalLM"], "weight_tying": False}
    assert count(load(config)) == hand and published in (hand, None)


def test_deepseek_ocr_by_hand() -> None:
    """SAM's base encoder of 1024 pixels, windows of 14 in 8 of 12 layers; CLIP's large one; 3.34 B on its page."""
    language = llama(1280, 6848, 12, 10, 10, 129280, n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6)
    language |= {"moe_intermediate_size": 896, "first_k_dense_replace": 1, "use_mla": False, "kv_lora_rank": None}
    language |= {"q_lora_rank": None, "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0, "topk_method": "greedy"}
    language |= {"architectures": ["DeepseekV2ForCausalLM"]}
    outer = {"model_type": "deepseek_vl_v2", "architectures": ["DeepseekOCRForCausalLM"], "language_config": language}
    outer |= {"vision_config": {"image_size": 1024, "mlp_ratio": 3.7362, "model_name": "deeplip_b_l", "model_type": "vision"}}
    outer |= {"projector_config": {"input_dim": 2048, "model_type": "mlp_projector", "n_embed": 1280, "projector_type": "linear"}}
    sam = 768 * 768 + 768 + 64 * 64 * 768 + encoder_by_hand(768, 3072, 12) + 2 * 64 * (8 * 27 + 4 * 127)
    sam += 768 * 256 + 2 * 256 + 9 * 256 * 256 + 2 * 256 + 9 * 256 * 512 + 9 * 512 * 1024
    clip = 1024 + 588 * 1024 + 257 * 1024 + 2 * 1024 + encoder_by_hand(1024, 4096, 24)
    sparse = 11 * (64 * 1280 + 66 * 3 * 1280 * 896 - 3 * 1280 * 6848)
    hand = by_hand(1280, 6848, 12, 10, 10, 129280) + sparse + sam + clip + 2048 * 1280 + 1280 + 2 * 1280
    assert count(load(outer)) == hand == 3_336_106_240


LING = {"num_experts_per_tok": 6, "moe_intermediate_size": 1408, "num_experts": 64, "num_shared_experts": 2, "use_bias": False}
LING |= {"use_qkv_bias": False, "norm_head": True, "norm_topk_prob": True, "model_type": "bailing_moe"}
MINI = {
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 512,
    "num_experts": 256,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
}
MINI |= {"head_dim": 128, "use_bias": False, "use_qkv_bias": False, "use_qk_norm": True, "num_nextn_predict_layers": 0}
MINI |= {
    "moe_router_enable_expert_bias": True,
    "score_function": "sigmoid",
    "partial_rotary_factor": 0.5,
    "model_type": "bailing_moe",
}


def test_ling_by_hand() -> None:
    """Ling-lite: experts in every layer; 16.8 B on its page. Ling-mini-2.0: a dense first layer, normalised heads; 16.26 B."""
    lite = llama(2048, 5632, 28, 16, 4, 126464, architectures=["BailingMoeForCausalLM"], **LING)
    sparse = 28 * (64 * 2048 + 66 * 3 * 2048 * 1408 - 3 * 2048 * 5632)
    assert count(load(lite)) == by_hand(2048, 5632, 28, 16, 4, 126464) + sparse == 16_801_974_272
    mini = llama(2048, 5120, 20, 16, 4, 157184, architectures=["BailingMoeV2ForCausalLM"], **MINI)
    sparse = 19 * (256 * 2048 + 257 * 3 * 2048 * 512 - 3 * 2048 * 5120)
    buffers = 19 * 256  # that steer the choice of experts; the index counts them too
    assert count(load(mini)) == by_hand(2048, 5120, 20, 16, 4, 157184, bias=2 * 128) + sparse == 16_255_643_392 - buffers
    assert not any("warning" in note for config in (lite, mini) for note in load(config).assumes)


def test_hunyuan_a13b_by_hand() -> None:
    """64 experts and a shared one of 3072 in 32 layers, normalised heads, a tied table: 80.4 B in its index."""
    config = llama(
        4096, 3072, 32, 32, 8, 128167, model_type="hunyuan", num_experts=64, moe_topk=[8] * 32, num_shared_expert=[1] * 32
    )
    config |= {"moe_intermediate_size": [3072] * 32, "attention_head_dim": 128, "use_qk_norm": True, "tie_word_embeddings": True}
    config |= {"use_cla": False, "use_mla": False, "architectures": ["HunYuanMoEV1ForCausalLM"], "use_mixed_mlp_moe": True}
    sparse = 32 * (64 * 4096 + 64 * 3 * 4096 * 3072)
    spec = load(config)
    assert count(spec) == by_hand(4096, 3072, 32, 32, 8, 128167, bias=2 * 128, tables=1) + sparse == 80_393_183_232
    assert moe_of(spec).top_k == 8
    with pytest.raises(InputError, match="use_cla is True"):
        load({**config, "use_cla": True})


def test_mimo_and_its_multi_token_layer() -> None:
    """7,833,409,536 in its index: Qwen2's shape, and a layer with a projection of two states and three norms."""
    config = llama(4096, 11008, 36, 32, 8, 151680, model_type="mimo", attention_bias=True, num_nextn_predict_layers=1)
    bias = 4096 + 2 * 1024
    layer = by_hand(4096, 11008, 1, 32, 8, 0, bias=bias) - 4096
    spec = load({**config, "head_dim": 128, "use_mrope": False})
    assert count(spec) == by_hand(4096, 11008, 36, 32, 8, 151680, bias=bias) == 7_622_619_136
    assert mtp(spec) == layer + 2 * 4096**2 + 3 * 4096
    assert count(spec) + mtp(spec) == 7_833_409_536


def test_nemotron_nas_by_hand() -> None:
    """Layers of each kind: attention and feed-forward, either alone; widths rounded up to 256."""
    attention = {"n_heads_in_group": 4, "no_op": False, "replace_with_linear": False, "sparsify": None, "window_length": None}
    ffn = {"ffn_mult": 2.625, "no_op": False, "replace_with_linear": False, "sparsify": None}
    none = {"n_heads_in_group": None, "no_op": True, "replace_with_linear": False, "sparsify": None}
    blocks = [{"attention": attention, "ffn": ffn}, {"attention": none, "ffn": {**ffn, "ffn_mult": 0.5}}]
    blocks += [{"attention": {**attention, "n_heads_in_group": 8}, "ffn": {**ffn, "no_op": True, "ffn_mult": None}}]
    config = llama(1024, 1, 3, 16, 1, 100, model_type="nemotron-nas", block_configs=blocks, architectures=["DeciLMForCausalLM"])
    config |= {"num_key_value_heads": None, "intermediate_size": None}
    first = 2 * 1024 * 1024 + 2 * 1024 * 256 + 3 * 1024 * 1792 + 2 * 1024  # 2 · 2.625 · 1024 / 3 = 1792
    second = 3 * 1024 * 512 + 1024  # 341 becomes 512
    third = 2 * 1024 * 1024 + 2 * 1024 * 128 + 1024
    assert count(load(config)) == first + second + third + 2 * 100 * 1024 + 1024
    linear = [{"attention": {**attention, "replace_with_linear": True}, "ffn": ffn}] * 3
    with pytest.raises(InputError, match="replace_with_linear is True"):
        load({**config, "block_configs": linear})


K3: dict[str, Any] = {"model_type": "kimi_linear", "hidden_size": 64, "num_hidden_layers": 5, "num_attention_heads": 4}
K3 |= {"num_key_value_heads": 4}
K3 |= {
    "intermediate_size": 96,
    "moe_intermediate_size": 24,
    "num_experts": 6,
    "num_experts_per_token": 2,
    "num_shared_experts": 2,
}
K3 |= {"first_k_dense_replace": 1, "q_lora_rank": 20, "kv_lora_rank": 14, "qk_nope_head_dim": 10, "qk_rope_head_dim": 6}
K3 |= {"v_head_dim": 12, "vocab_size": 100, "hidden_act": "situ", "activation_situ_beta": 4.0, "routed_expert_hidden_size": 32}
K3 |= {"latent_moe_use_norm": True, "mla_use_output_gate": True, "attn_res_block_size": 2, "tie_word_embeddings": False}
K3 |= {"linear_attn_config": {"num_heads": 3, "head_dim": 8, "short_conv_kernel_size": 4, "use_full_rank_gate": True}}
K3["linear_attn_config"] |= {"gate_lower_bound": -5.0, "full_attn_layers": [4, 5], "kda_layers": [1, 2, 3]}


def test_kimi_k3_by_hand() -> None:
    """Delta layers with a full gate, latent attention with one, experts behind a projection, attention over depth."""
    delta = 3 * 64 * 24 + 3 * 24 * 4 + 64 * 3 + (64 * 8 + 8 * 24) + 64 * 24 + 24 + 3 + 8 + 24 * 64
    latent = 64 * 20 + 20 + 20 * 4 * 16 + 64 * 20 + 14 + 14 * 4 * 22 + 64 * 48 + 48 * 64
    moe = 64 * 6 + 2 * 64 * 32 + 32 + 6 * 3 * 32 * 24 + 3 * 64 * 48
    depth = (2 * 5 + 1) * 2 * 64
    layers = 3 * delta + 2 * latent + 3 * 64 * 96 + 4 * moe + 5 * 2 * 64
    outer = {"model_type": "kimi_k3", "text_config": K3, "vision_config": {"hidden_size": 9}}
    assert count(load(outer)) == layers + depth + 2 * 100 * 64 + 64
    with pytest.raises(InputError, match="hidden_act is 'sitar'"):
        load({**K3, "hidden_act": "sitar"})


def test_attention_over_depth_mixes_what_came_before() -> None:
    """Layers 0 to 4 in blocks of two: 0 and 2, 2 and 2, 2 and 3, 3 and 3, 3 and 4 states before their two parts, 4 at the end."""
    assert ResidualAttention(2).met(5) == 0 + 2 + 2 + 2 + 2 + 3 + 3 + 3 + 3 + 4 + 4


RWKV: list[tuple[int, int, tuple[int, int, int, int], int]] = [
    (768, 12, (64, 64, 32, 128), 191_034_624),
    (1024, 24, (64, 64, 32, 128), 450_767_872),
    (2048, 24, (96, 96, 64, 256), 1_527_404_544),
]
"""Width, layers, ranks of decay, rate, value and gate, and the count of a released RWKV-7 (World, 65,536 tokens)."""


@pytest.mark.parametrize(("d", "layers", "ranks", "published"), RWKV)
def test_rwkv_7_by_hand(d: int, layers: int, ranks: tuple[int, int, int, int], published: int) -> None:
    """Four matrices, six means and three vectors, bottlenecks with a bias but for the gate's and none for the first layer's
    values, a norm of the heads; a mean and two matrices; two norms. Norms before the first layer and at the end.
    """
    decay, rate, value, gate = ranks
    one = 4 * d * d + 6 * d + 3 * d + sum(2 * d * rank + d for rank in (decay, rate, value)) + 2 * d * gate + 2 * d
    one += d + 2 * d * 4 * d + 4 * d
    hand = layers * one - (2 * d * value + d) + 2 * 65536 * d + 4 * d
    config = {"model_type": "rwkv7", "hidden_size": d, "num_hidden_layers": layers, "head_dim": 64, "vocab_size": 65536}
    config |= {f"{leaf}_low_rank_dim": rank for leaf, rank in zip(("decay", "a", "v", "gate"), ranks, strict=True)}
    spec = load({**config, "hidden_ratio": 4.0, "architectures": ["RWKV7ForCausalLM"], "value_dim": [d] * layers})
    assert count(spec) == hand == published
    with pytest.raises(InputError, match="attn is"):
        load({**config, "attn": {"layers": [1]}})


# --- draft models -------------------------------------------------------------------------------------------------------


def attention(d: int, heads: int, groups: int, dim: int, reads: int = 1) -> int:
    return reads * d * (heads + 2 * groups) * dim + heads * dim * d


EAGLE = llama(4096, 14336, 1, 32, 8, 128256, model_type="llama", draft_vocab_size=32000, tie_word_embeddings=False)
FLASH = llama(2048, 6144, 8, 32, 8, 65536, model_type="qwen3", head_dim=64, num_target_layers=16, block_size=16)
FLASH |= {
    "architectures": ["DFlashDraftModel"],
    "auto_map": {"AutoModel": "dflash.DFlashDraftModel"},
    "tie_word_embeddings": True,
}
FLASH |= {"dflash_config": {"mask_token_id": 16, "target_layer_ids": [1, 4, 7, 10, 13]}, "layer_types": ["full_attention"] * 8}


@pytest.mark.parametrize("named", ["LlamaForCausalLM", "LlamaForCausalLMEagle3"])
def test_eagle_3_by_hand(named: str) -> None:
    """EAGLE-3 for Llama 3.1 8B, 850 MB in half precision: a projection of three states; a layer whose queries, keys and values
    read two, with three norms; a norm; a head of 32,000. The token table is Llama's.
    """
    layer = attention(4096, 32, 8, 128, reads=2) + 3 * 4096 * 14336 + 3 * 4096
    spec = load({**EAGLE, "architectures": [named]})
    assert count(spec) == 3 * 4096 * 4096 + layer + 4096 + 32000 * 4096
    assert round(2 * count(spec) / 1e6) in range(848, 852)
    assert any("its target's, and not counted" in note for note in spec.assumes)
    wide = load({**EAGLE, "target_hidden_size": 6144})
    assert count(wide) - count(spec) == 3 * (6144 - 4096) * 4096
    with pytest.raises(InputError, match="num_hidden_layers is 2"):
        load({**EAGLE, "num_hidden_layers": 2})


def test_p_eagle_by_hand() -> None:
    """Four layers, of which the first reads two states; and a learned state of three times the width."""
    config = {**EAGLE, "num_hidden_layers": 4, "architectures": ["PEagleDraftModel"]}
    layers = attention(4096, 32, 8, 128, reads=2) + 3 * attention(4096, 32, 8, 128) + 4 * (3 * 4096 * 14336 + 2 * 4096) + 4096
    assert count(load(config)) == 3 * 4096 * 4096 + 3 * 4096 + layers + 4096 + 32000 * 4096


def test_dflash_and_dspark_by_hand() -> None:
    """Qwen3's layers, a projection of the target's states and a norm; DSpark adds two tables of rank 16 and a verdict."""
    layers = 8 * (attention(2048, 32, 8, 64) + 2 * 64 + 3 * 2048 * 6144 + 2 * 2048)
    backbone = layers + 5 * 2048 * 2048 + 2048 + 2048
    assert count(load(FLASH)) == backbone
    spark = {**FLASH["dflash_config"], "projector_type": "dspark", "markov_rank": 16, "markov_head_type": "vanilla"}
    spark |= {"enable_confidence_head": True, "confidence_head_with_markov": True, "attention_mode": "gqa"}
    spec = load({**FLASH, "architectures": ["DSparkDraftModel"], "auto_map": None, "dflash_config": spark})
    assert count(spec) == backbone + 2 * 65536 * 16 + (2048 + 16 + 1)
    with pytest.raises(InputError, match="markov_head_type is 'rnn'"):
        load({**FLASH, "architectures": ["DSparkDraftModel"], "dflash_config": {**spark, "markov_head_type": "rnn"}})


RELEASED = {
    "Kimi-K3": 2_779_484_393_568,
    "EAGLE3-train": 424_689_664,
    "SpecForge-ling-flash-2.0-eagle3": 424_689_664,
    "sg-Qwen-7B-Chat": 7_721_324_544,
    "sg-Qwen-14B-Chat": 14_167_290_880,
    "sg-Qwen-72B-Chat": 72_287_920_128,
    "sg-Qwen-1_8B-Chat": 1_836_828_672,
    "sg-CodeFuse-DevOps-Model-7B-Chat": 7_721_324_544,
    "sg-chatglm3-6b": 6_243_584_000,
    "xpu-chatglm2-torch-fp16-6b": 6_243_584_000,
    "sg-InternVL2-2B": 1_889_146_880,
    "sg-MiniCPM-V-2_6": 8_099_175_152,
    "sg-Molmo-7B-D-0924": 8_021_025_280,
    "LLaDA-8B-Instruct": 8_015_581_184,
    "SDAR-8B-Chat": 8_190_735_360,
    "MiMo-7B-Base": 7_622_619_136,
    "Hunyuan-A13B": 80_393_183_232,
    "Ling-lite-model_base_config": 16_801_974_272,
    "Llama-3_3-Nemotron-Super-49B-v1": 49_867_145_216,
}
"""Files as they were released, and the counts that their pages or indexes give."""


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_file(name: str) -> None:
    path = WILD / f"{name}.json"
    if not path.is_file():
        pytest.skip("the released files are not at hand")
    assert count(load(str(path))) == RELEASED[name]
    assert json.loads(path.read_text())["architectures"]
