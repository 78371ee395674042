"""The cases of multimodal models, in the table that cases.py reads: what sees and hears beside a tiny language model.

Two layers and odd sizes everywhere. Only `built`, so that a case costs a model on the meta device, but for those that a line
`sees`.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

Config = dict[str, Any]


def words(**keys: Any) -> str:
    """Keys and values as the table writes them."""
    return " ".join(f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in keys.items())


DENSE = {"hidden_size": 48, "intermediate_size": 76, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
DENSE |= {"vocab_size": 101}
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}}
EXPERTS = {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 28}
DELTA = {"linear_conv_kernel_dim": 3, "linear_key_head_dim": 10, "linear_value_head_dim": 14, "linear_num_key_heads": 2}
DELTA |= {"linear_num_value_heads": 4, "full_attention_interval": 2, "head_dim": 20}
DEEP = {"n_routed_experts": 6, "n_shared_experts": 2, "num_experts_per_tok": 2, "moe_intermediate_size": 28}
DEEP |= {"first_k_dense_replace": 1, "q_lora_rank": 20, "kv_lora_rank": 14, "qk_nope_head_dim": 10, "qk_rope_head_dim": 6}
DEEP |= {"v_head_dim": 12, "num_key_value_heads": 4, "n_group": 2, "topk_group": 1}

# An encoder of SigLIP's shape, and of others.
VIT = {"hidden_size": 24, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 20}
VIT |= {"patch_size": 4}
GRID = {"depth": 3, "num_heads": 3, "patch_size": 4, "temporal_patch_size": 2, "spatial_merge_size": 2, "in_channels": 3}

TEXTS: dict[str, Config] = {
    "llama": {"model_type": "llama"} | DENSE,
    "mistral": {"model_type": "mistral"} | DENSE,
    "qwen2": {"model_type": "qwen2"} | DENSE,
    "qwen3": {"model_type": "qwen3", "head_dim": 12} | DENSE,
    "gemma": {"model_type": "gemma", "head_dim": 12} | DENSE,
    "gemma3": {"model_type": "gemma3_text", "head_dim": 12, "sliding_window": 7, "sliding_window_pattern": 2} | DENSE,
    "gemma4": {"model_type": "gemma4_text", "head_dim": 20, "global_head_dim": 28, "hidden_size_per_layer_input": 10}
    | {"vocab_size_per_layer_input": 89, "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 7}
    | DENSE,
    "cohere2": {"model_type": "cohere2", "sliding_window": 7, "sliding_window_pattern": 2} | DENSE,
    "lfm2": {"model_type": "lfm2", "full_attn_idxs": [1], "conv_L_cache": 3, "block_multiple_of": 16} | DENSE,
    "deepseek_v3": {"model_type": "deepseek_v3"} | DENSE | DEEP,
    "llama4": {"model_type": "llama4_text", "intermediate_size_mlp": 60, "num_local_experts": 3, "head_dim": 20}
    | DENSE
    | {"intermediate_size": 28},
    "dense": DENSE,
    "padded": DENSE | {"pad_token_id": 0},
    "mrope": DENSE | MROPE,
    "granite": {"model_type": "granite"} | DENSE,
    "exaone4": {"model_type": "exaone4", "sliding_window": 7, "sliding_window_pattern": 2, "head_dim": 12} | DENSE,
    "mllama": DENSE | {"num_hidden_layers": 4, "cross_attention_layers": [1, 2], "pad_token_id": 0},
    "paddle": DENSE | MROPE | {"head_dim": 12},
    "qwen3_vl": DENSE | {"head_dim": 20},
    "qwen3_vl_moe": DENSE | {"head_dim": 20} | EXPERTS,
    "qwen3_5": DENSE | DELTA,
    "qwen3_5_moe": {key: value for key, value in DENSE.items() if key != "intermediate_size"}
    | DELTA
    | EXPERTS
    | {"shared_expert_intermediate_size": 36},
    "step": DENSE
    | {"head_dim": 20, "sliding_window": 7, "num_sliding_attention_heads": 6, "n_routed_experts": 5, "num_experts_per_tok": 2}
    | {"moe_intermediate_size": 28, "share_expert_dim": 36, "layer_types": ["full_attention", "sliding_attention"]},
    "minimax": DENSE
    | {"head_dim": 20, "num_local_experts": 5, "num_experts_per_tok": 2, "dense_intermediate_size": 60}
    | {"shared_intermediate_size": 36, "rotary_dim": 8, "index_n_heads": 2, "index_head_dim": 10, "index_block_size": 4}
    | {"index_topk_blocks": 2, "layer_types": ["full_attention", "minimax_m3_sparse"], "mlp_layer_types": ["dense", "sparse"]},
    "gemma4_unified": DENSE
    | {"head_dim": 20, "sliding_window": 7, "global_head_dim": 28, "layer_types": ["sliding_attention", "full_attention"]},
    "lfm3": {"model_type": "lfm3", "head_dim": 20, "conv_L_cache": 3, "layer_types": ["conv", "full_attention"]}
    | {"pad_token_id": 0}
    | DENSE,
    "hunyuan": DENSE | {"head_dim": 12},
    "minicpm": {"model_type": "qwen3_5_text"} | DENSE | DELTA,
    "persimmon": {"model_type": "persimmon", "hidden_size": 64, "intermediate_size": 76, "num_hidden_layers": 2}
    | {"num_attention_heads": 4, "vocab_size": 101},
    "opt": {"model_type": "opt", "vocab_size": 97, "max_position_embeddings": 60, "hidden_size": 24, "word_embed_proj_dim": 24}
    | {"ffn_dim": 40, "num_hidden_layers": 2, "num_attention_heads": 4},
    "t5": {"model_type": "t5", "vocab_size": 97, "d_model": 24, "d_kv": 10, "d_ff": 44, "num_layers": 3, "num_heads": 4},
    "bart": {"model_type": "bart", "vocab_size": 97, "d_model": 24, "encoder_layers": 2, "decoder_layers": 3}
    | {"encoder_ffn_dim": 44, "decoder_ffn_dim": 52, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    | {"max_position_embeddings": 60},
    "realtime": DENSE | {"head_dim": 12, "sliding_window": 7},
    "nemotron_moe": {"model_type": "nemotron_h", "vocab_size": 101, "hidden_size": 48, "intermediate_size": 76}
    | {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 20, "hybrid_override_pattern": "M*E-", "n_groups": 2}
    | {"ssm_state_size": 10, "mamba_num_heads": 6, "mamba_head_dim": 12, "conv_kernel": 3, "chunk_size": 8, "n_routed_experts": 4}
    | {"n_shared_experts": 1, "moe_intermediate_size": 28, "moe_shared_expert_intermediate_size": 36, "num_experts_per_tok": 2},
    "aria": DENSE | {"moe_num_experts": 5, "moe_topk": 2, "moe_num_shared_experts": 2, "head_dim": 12},
    "compass": DENSE
    | {"sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]}
    | {"rope_parameters": dict.fromkeys(("sliding_attention", "full_attention"), MROPE["rope_parameters"])},
    "ernie": DENSE | MROPE | {"moe_num_experts": 5, "moe_k": 2, "moe_intermediate_size": [28, 20], "moe_num_shared_experts": 2},
    "muse": DENSE | {"head_dim": 20, "sliding_window": 7, "num_hidden_layers": 3},
    "blip": {"vocab_size": 97, "hidden_size": 28, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 44}
    | {"max_position_embeddings": 40},
    "kosmos": {
        "vocab_size": 97,
        "embed_dim": 28,
        "layers": 2,
        "attention_heads": 4,
        "ffn_dim": 44,
        "max_position_embeddings": 50,
    },
    "pix2struct": {"vocab_size": 97, "hidden_size": 24, "d_kv": 6, "d_ff": 44, "num_layers": 3, "num_heads": 4}
    | {"relative_attention_num_buckets": 10},
    "formula": {"vocab_size": 97, "d_model": 28, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 44}
    | {"max_position_embeddings": 40, "encoder_attention_heads": 4, "encoder_layers": 2},
    "nemotron": DENSE
    | {"layers_block_type": ["mamba", "mlp", "attention"], "mamba_num_heads": 8, "n_groups": 2, "ssm_state_size": 10}
    | {"mamba_head_dim": 12, "conv_kernel": 3, "chunk_size": 8, "model_type": "nemotron_h", "head_dim": 20},
    "molmo2": DENSE | {"head_dim": 12, "additional_vocab_size": 7},
    "qwen4": {"hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 101}
    | DELTA
    | EXPERTS
    | {"shared_expert_intermediate_size": 36, "hc_count": 3, "hc_lowrank": 10, "indexer_n_heads": 3, "indexer_kv_heads": 1}
    | {"indexer_head_dim": 22, "indexer_budget": 4, "indexer_compress_ratio": 2, "pad_token_id": 0, "eos_token_id": 1},
    "hyperclovax": {"model_type": "hyperclovax"} | DENSE,
    "inkling": {key: value for key, value in DENSE.items() if key != "intermediate_size"}
    | {"head_dim": 10, "swa_num_attention_heads": 6, "swa_num_key_value_heads": 3, "swa_head_dim": 8, "sliding_window_size": 7}
    | {"d_rel": 4, "rel_extent": 9, "layer_types": ["hybrid_sliding", "hybrid"], "moe_intermediate_size": 28}
    | {"n_routed_experts": 5, "num_experts_per_tok": 2, "n_shared_experts": 2},
    "cosmos": DENSE
    | {"head_dim": 12, "pad_token_id": 0}
    | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 2, 2]}},
    "unlimited": DENSE
    | {"n_routed_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 28, "sliding_window": 7}
    | {"num_key_value_heads": 4},
    "spark": DENSE
    | {"head_dim": 20, "sliding_window": 7, "num_hidden_layers": 3, "num_local_experts": 5, "num_experts_per_tok": 2}
    | {"moe_intermediate_size": 28, "moe_hidden_size": 22},
    "inkling2": {key: value for key, value in DENSE.items() if key != "intermediate_size"}
    | {"head_dim": 10, "swa_num_attention_heads": 6, "swa_num_key_value_heads": 3, "swa_head_dim": 8, "sliding_window_size": 7}
    | {"d_rel": 4, "rel_extent": 9, "layer_types": ["hybrid_sliding", "hybrid"], "moe_intermediate_size": 28}
    | {"n_routed_experts": 5, "num_experts_per_tok": 2, "n_layers_per_attn_res_block": 2, "unpadded_vocab_size": 99},
    "large4": DENSE
    | {key: value for key, value in DEEP.items() if key not in ("q_lora_rank", "n_group", "topk_group")}
    | {"index_n_heads": 3, "index_head_dim": 8, "index_topk": 5, "num_hidden_layers": 4, "no_rope_layer_interval": 2},
    "dots3": DENSE
    | {key: value for key, value in DEEP.items() if key not in ("n_group", "topk_group")}
    | {"index_n_heads": 3, "index_head_dim": 8, "index_topk": 5, "num_hidden_layers": 3, "sliding_window": 7, "head_dim": 16}
    | {"swa_num_attention_heads": 6, "swa_num_key_value_heads": 6, "swa_q_lora_rank": 18, "swa_kv_lora_rank": 22}
    | {
        "swa_head_dim": 14,
        "swa_qk_nope_head_dim": 8,
        "swa_v_head_dim": 9,
        "pad_token_id": 0,
        "shared_experts_intermediate_size": 30,
    },
    "glm5": DENSE
    | {key: value for key, value in DEEP.items() if key not in ("n_group", "topk_group", "first_k_dense_replace")}
    | {"qk_rope_head_dim": 0, "num_hidden_layers": 4, "index_n_heads": 3, "index_head_dim": 8, "index_topk": 4, "index_kpool": 2}
    | {"mlp_layer_types": ["dense", "sparse", "sparse", "sparse"], "linear_num_heads": 3, "linear_head_dim": 10, "hc_mult": 3}
    | {"linear_conv_kernel_dim": 3, "pad_token_id": 0},
    "modernbert": {"model_type": "modernbert", "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 4}
    | {"num_attention_heads": 3, "vocab_size": 101, "local_attention": 8, "pad_token_id": 0},
    "ultrabert": {"model_type": "ultrabert", "sliding_window": 5, "prediction_head_size": 10} | DENSE | {"num_hidden_layers": 3},
    "t5gemma2": DENSE | {"head_dim": 12, "sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]},
    "glm4v": DENSE | MROPE | {"pad_token_id": 0},
    "glm4v_moe": DENSE
    | {"pad_token_id": 0, "n_routed_experts": 6, "n_shared_experts": 1, "num_experts_per_tok": 2}
    | {"moe_intermediate_size": 28, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 1]}},
}
VISIONS: dict[str, Config] = {
    "siglip": {"model_type": "siglip_vision_model"} | VIT,
    "clip": {"model_type": "clip_vision_model"} | VIT,
    "siglip2": {"model_type": "siglip2_vision_model", "num_patches": 25}
    | {key: value for key, value in VIT.items() if key != "image_size"},
    "pixtral": {"model_type": "pixtral", "head_dim": 8} | VIT,
    "intern": VIT | {"image_size": [20, 20], "patch_size": [4, 4]},
    "plain": VIT,
    "eva": VIT,
    "llama4": VIT | {"vision_output_dim": 32, "projector_input_dim": 32, "projector_output_dim": 32, "intermediate_size": 96},
    "moon": {key: value for key, value in VIT.items() if key != "image_size"} | {"pos_emb_height": 6, "pos_emb_width": 7},
    "qwen2": GRID | {"embed_dim": 24, "hidden_size": 48, "mlp_ratio": 3},
    "qwen2_5": GRID
    | {"hidden_size": 24, "intermediate_size": 44, "out_hidden_size": 48, "window_size": 16}
    | {"fullatt_block_indexes": [1]},
    "qwen3": GRID | {"hidden_size": 24, "intermediate_size": 44, "out_hidden_size": 48, "num_position_embeddings": 36},
    "deep": {"deepstack_visual_indexes": [0, 1]},
    "glm": GRID | {"hidden_size": 24, "intermediate_size": 44, "out_hidden_size": 48, "image_size": 24},
    "exaone": GRID
    | {"hidden_size": 48, "num_heads": 4, "num_key_value_heads": 2, "intermediate_size": 44}
    | {"out_hidden_size": 48, "window_size": 16, "fullatt_block_indexes": [1]},
    "ocr": GRID | {"hidden_size": 24, "intermediate_size": 44, "out_hidden_size": 48},
    "mllama": {key: value for key, value in VIT.items() if key != "num_attention_heads"}
    | {"attention_heads": 3, "num_global_layers": 1, "max_num_tiles": 2, "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]]}
    | {"intermediate_layers_indices": [0], "vision_output_dim": 48},
    "ovis": VIT | {"vocab_size": 60, "num_visual_indicator_tokens": 5, "hidden_stride": 1},
    "sam": {key: value for key, value in VIT.items() if key != "intermediate_size"}
    | {"output_channels": 10, "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 44},
    "paddle": VIT | {"spatial_merge_size": 2},
    "grid": {key: value for key, value in VIT.items() if key != "image_size"},
    "phi4": VIT | {"crop_size": 20, "image_size": 20},
    "step": VIT | {"image_size": 24},
    "minimax": VIT | {"temporal_patch_size": 2, "spatial_merge_size": 2},
    "unified": {"patch_size": 4, "pooling_kernel_size": 2, "mm_embed_dim": 24, "mm_posemb_size": 30, "output_proj_dims": 24},
    "lfm3": {"hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 3, "num_attention_heads": 4}
    | {"num_key_value_heads": 2, "patch_size": 4, "layer_types": ["conv", "full_attention", "conv"], "conv_kernel_size": 3},
    "minicpm": VIT | {"num_hidden_layers": 3, "image_size": 24},
    "docling": VIT | {"image_size": 24, "out_hidden_size": 48, "scale_factor": 2, "deepstack_visual_indexes": [0]},
    "davit": {"depths": [1, 2], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1], "embed_dim": [12, 24]}
    | {"patch_prenorm": [False, True], "num_heads": [2, 3], "num_groups": [3, 2], "window_size": 3, "projection_dim": 24}
    | {"max_position_embeddings": 10, "mlp_ratio": 3.0},
    "ernie": {key: value for key, value in GRID.items() if key != "temporal_patch_size"}
    | {"hidden_size": 24, "intermediate_size": 44},
    "muse": {key: value for key, value in VIT.items() if key != "image_size"}
    | {"pos_emb_height": 3, "pos_emb_width": 3, "num_hidden_layers": 5, "max_position_embeddings": 9},
    "radio": {key: value for key, value in VIT.items() if key != "intermediate_size"}
    | {"max_img_size": 32, "num_cls_tokens": 2, "num_registers": 3, "mlp_ratio": 2.5}
    | {"video_temporal_patch_size": 2},
    "wide": VIT | {"hidden_size": 64, "num_attention_heads": 4},
    "molmo2": VIT | {"num_key_value_heads": 1, "head_dim": 10, "image_size": [24, 24]},
    "hunyuan": VIT | {"max_image_size": 24, "text_hidden_size": 48, "out_hidden_size": 48, "num_key_value_heads": 3},
    "dots3": {"hidden_size": 24, "intermediate_size": 44, "num_hidden_layers": 3, "num_attention_heads": 3, "patch_size": 4}
    | {"pyramid_num_routed": [-1, 2, 4], "moe_intermediate_size": 20, "adapter_in_dim": 24, "adapter_out_dim": 48},
    "inkling2": {key: value for key, value in VIT.items() if key != "image_size"}
    | {"posemb_grid_size": 5, "projection_hidden_dim": 40, "text_hidden_size": 48},
    "cosmos": {key: value for key, value in VIT.items() if key != "image_size"} | {"num_patches": 25},
    "unlimited": {
        "sam_config": {key: value for key, value in VIT.items() if key != "intermediate_size"}
        | {"output_channels": 10, "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 44, "downsample_channels": [14, 24]},
        "encoder_config": VIT,
    },
    "inkling": {"patch_size": 6, "num_hidden_layers": 5, "text_hidden_size": 48},
    "janus": {key: value for key, value in VIT.items() if key != "intermediate_size"} | {"mlp_ratio": 2.5, "projection_dim": 48},
    "strips": {"patch_embed_hidden_size": 48, "hidden_size": 24, "d_ff": 44, "d_kv": 10, "num_hidden_layers": 2}
    | {"num_attention_heads": 3, "seq_len": 30},
    "strips2_5": {"patch_embed_hidden_size": 48, "hidden_size": 24, "intermediate_size": 44, "head_dim": 10}
    | {"num_hidden_layers": 2, "num_attention_heads": 3, "max_num_patches": 30},
    "gemma4": {"hidden_size": 24, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 3, "patch_size": 4}
    | {"num_key_value_heads": 3, "head_dim": 16, "pooling_kernel_size": 3, "position_embedding_size": 30},
}
SEERS: dict[str, Config] = {name: {"model_type": name} | VIT for name in ("vit", "deit", "beit")}
SEERS["dinov2"] = {"model_type": "dinov2", "mlp_ratio": 3} | {k: v for k, v in VIT.items() if k != "intermediate_size"}
WINDOWED = {"image_size": 24, "patch_size": 3, "embed_dim": 12, "depths": [2, 1], "num_heads": [2, 3], "window_size": 2}
SEERS |= {name: {"model_type": name, "mlp_ratio": 2.5} | WINDOWED for name in ("swin", "donut-swin")}
BERT = {"vocab_size": 97, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 44}
BERT |= {"max_position_embeddings": 60}
CROSSED = {"is_decoder": True, "add_cross_attention": True}
WRITERS: dict[str, Config] = {
    short: {"model_type": name} | BERT
    for short, name in (
        ("bert", "bert"),
        ("roberta", "roberta"),
        ("camembert", "camembert"),
        ("xlm", "xlm-roberta"),
        ("prelayernorm", "roberta-prelayernorm"),
        ("generation", "bert-generation"),
        ("electra", "electra"),
    )
}
WRITERS["electra"] |= {"embedding_size": 14}
PAGE = {"vocab_size": 97, "d_model": 24, "d_kv": 10, "d_ff": 44, "num_layers": 2, "num_heads": 4, "patch_size": 4}
PAGE |= {"image_size": 20, "max_2d_position_embeddings": 20}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
TROCR = {
    "encoder": {"model_type": "vit", "image_size": 384, "qkv_bias": False},
    "decoder": {"model_type": "trocr", "cross_attention_hidden_size": 768, "is_decoder": True, "add_cross_attention": True},
    "processor_class": "TrOCRProcessor",
}
DONUT = {
    "encoder": {"model_type": "donut-swin", "depths": [2, 2, 14, 2], "embed_dim": 128, "num_heads": [4, 8, 16, 32]}
    | {"hidden_size": 1024, "image_size": [2560, 1920], "num_layers": 4, "path_norm": True, "window_size": 10},
    "decoder": {"model_type": "mbart", "decoder_layers": 4, "max_position_embeddings": 1536, "vocab_size": 57525}
    | {"is_decoder": True, "add_cross_attention": True, "add_final_layer_norm": True, "scale_embedding": True},
}
GATED = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 76, "num_hidden_layers": 2, "num_attention_heads": 4}
GATED |= {"freeze_text_layers": False, "freeze_vision_layers": False}
EMBED = {"embed_dim": 24} | {key: value for key, value in VIT.items() if key != "hidden_size"}
LATENTS = {"resampler_n_latents": 5, "resampler_depth": 2, "resampler_n_heads": 4, "resampler_head_dim": 10}
PROTEINS = {"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 44}
PROTEINS |= {"max_position_embeddings": 40}
ALIGNED = {"aligner_num_add_layers": 2, "resampler_depth": 2, "resampler_dim_head": 10, "resampler_heads": 3}
ALIGNED |= {"resampler_num_latents": 5}
VLM = {"text_config": TEXTS["gemma"], "vision_config": VISIONS["siglip"], "projection_dim": 48, "image_token_id": 3}
ACTS = TEXTS["gemma"] | {"hidden_size": 28, "intermediate_size": 52}
LATE = {
    "gpt2": {"model_type": "gpt2", "vocab_size": 97, "n_positions": 60, "n_embd": 24, "n_layer": 2, "n_head": 4}
    | {"add_cross_attention": True}
}
for short in ("bart", "mbart", "pegasus", "plbart", "blenderbot"):
    LATE[short] = {"model_type": short} | TEXTS["bart"] | {"model_type": short}
LATE["trocr"] = {"model_type": "trocr", "vocab_size": 97, "d_model": 28, "decoder_layers": 2, "decoder_attention_heads": 4}
LATE["trocr"] |= {"decoder_ffn_dim": 44, "max_position_embeddings": 60, "cross_attention_hidden_size": 24}
VISIONS["deep"] = VISIONS["qwen3"] | VISIONS["deep"]
VISIONS["formula"] = VISIONS["sam"] | {"post_conv_in_channels": 10, "post_conv_mid_channels": 14, "post_conv_out_channels": 18}
VISIONS["formula"] |= {"decoder_hidden_size": 28}
VQ = {"embed_dim": 6, "num_embeddings": 50, "latent_channels": 10, "base_channels": 32, "channel_multiplier": [1, 2, 2]}
VQ |= {"num_res_blocks": 1, "projection_dim": 44, "image_token_embed_dim": 48}
WHISPER = {"num_mel_bins": 10, "encoder_layers": 2, "encoder_attention_heads": 3, "encoder_ffn_dim": 44, "d_model": 24}
HEARD = {"num_mel_bins": 10, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48, "hidden_size": 24}
AUDIOS: dict[str, Config] = {
    "whisper": WHISPER | {"max_source_positions": 20},
    "omni": WHISPER | {"output_dim": 48},
    "voxtral": HEARD | {"max_source_positions": 20},
    "glm": HEARD,
    "phi4": {"hidden_size": 24, "intermediate_size": 20, "num_blocks": 2, "num_attention_heads": 3, "input_size": 20}
    | {"ext_pw_out_channel": 24, "depthwise_separable_out_channel": 24, "nemo_conv_channels": 14, "bias_max_distance": 9},
    "flamingo": HEARD | {"max_source_positions": 20, "model_type": "audioflamingo3_encoder"},
    "realtime": HEARD | {"head_dim": 10, "sliding_window": 5},
    "conv": WHISPER | {"output_dim": 48, "downsample_hidden_size": 14},
    "dots3": {"hidden_size": 24, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 3, "feature_size": 20}
    | {"downsample_hidden_size": 14, "adapter_input_size": 24, "adapter_out_dim": 48},
    "spark": {"patch_sizes": [4, 3, 2], "hidden_sizes": [6, 10, 14], "depths": [1, 2, 1], "num_hidden_layers": 3}
    | {"conv_kernel_size": 3, "out_hidden_size": 48},
    "inkling": {"n_mel_bins": 10, "mel_vocab_size": 6, "text_hidden_size": 48},
}
SHARED = "".join(
    f"\n{kind}_{name} {words(**{key: config})}"
    for kind, key, some in (
        ("T", "text_config", TEXTS),
        ("V", "vision_config", VISIONS),
        ("A", "audio_config", AUDIOS),
        ("E", "encoder", WRITERS | SEERS),
        ("D", "decoder", {name: each | CROSSED for name, each in WRITERS.items()} | LATE),
    )
    for name, config in some.items()
)


RESAMPLER = {"hidden_size": 48, "resampler_n_latents": 5, "resampler_depth": 2, "resampler_n_heads": 4}
RESAMPLER |= {"resampler_head_dim": 10, "num_key_value_heads": 2}
CONFORMER = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "subsampling_conv_channels": [8, 4]}
CONFORMER |= {"conv_kernel_size": 3, "output_proj_dims": 40}


def inside(part: str, *pairs: str) -> str:
    """Changes of a part's configuration, one each."""
    made = []
    for pair in pairs:
        key, _, values = pair.partition("=")
        made += [words(**{part: {key: json.loads(value)}}) for value in values.split("|")]
    return " ".join(made)


vision, audio = partial(inside, "vision_config"), partial(inside, "audio_config")
LETTERS = {"input_dim": 10, "num_layers": 2, "hidden_dim": 24, "feedforward_mult": 3, "num_heads": 3, "dim_head": 10}
LETTERS |= {"output_dim": 9, "context_size": 8, "max_pos_emb": 16, "conv_kernel_size": 5, "conv_expansion_factor": 2}
QUERIES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 44}
QUERIES |= {"encoder_hidden_size": 24, "cross_attention_frequency": 2}


T5GEMMA2 = {"text_config": TEXTS["t5gemma2"], "vision_config": VISIONS["siglip"], "mm_tokens_per_image": 4}
T5GEMMA2 |= {"image_token_index": 3}
ADAPTER = {"vision_feature_layer": [1, 0], "hidden_size": 24, "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 10}
ADAPTER |= {"intermediate_size": 44, "text_hidden_size": 48}
HIGH = {"model_type": "sam_vision_model", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 20}
HIGH |= {"patch_size": 4, "output_channels": 10, "window_size": 3, "global_attn_indexes": [1]}
SAMPLES = {"channels": 1, "hidden_size": 10, "kernel_size": 3, "num_filters": 4, "downsampling_ratios": [2, 3]}
SAMPLES |= {"depths": [1, 2, 3], "ffn_expansion": 2}
ASR = {"hidden_size": 24, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 3}
WHO = {
    "audio_config": ASR | {"hidden_size": 36, "num_mel_bins": 10, "subsampling_factor": 4},
    "head_config": {"hidden_size": 14, "num_speakers": 5, "audio_hidden_size": 36, "subsampling_factor": 4},
    "streaming_config": {"num_speakers": 5, "subsampling_factor": 4},
}
WHO_WIDE = {
    part: one | {key: 5 if key == "subsampling_factor" else 7 for key in one if key in ("subsampling_factor", "num_speakers")}
    for part, one in WHO.items()
}
WORDS = ASR | {"vocab_size": 33, "blank_token_id": 3, "upsampling_factor": 3}
OUTER = "tie_word_embeddings=true|false"
TIED = (
    f"{OUTER} "
    + words(text_config={"tie_word_embeddings": True})
    + " "
    + "+".join(("tie_word_embeddings=false", words(text_config={"tie_word_embeddings": True})))
)
APART = "+".join(("tie_word_embeddings=false", words(text_config={"tie_word_embeddings": False})))
SIZES = vision("hidden_size=36", "intermediate_size=40", "num_hidden_layers=3", "image_size=28", "patch_size=5", "num_channels=1")
GRIDS = vision("depth=2", "patch_size=3", "temporal_patch_size=1", "spatial_merge_size=1", "in_channels=1", "num_heads=4")
PARTS = ("beit", "deit", "dinov2", "donut-swin", "swin", "t5gemma2_encoder")
"""Types of parts that no family has by default."""

TABLE = f"""
gemma3 Gemma3ForConditionalGeneration T_gemma3 V_siglip mm_tokens_per_image=4 image_token_index=3
  sees @images=1+@grid=[5,5]+@image_tokens=4
  built {SIZES} {vision("vision_use_head=false")} {TIED}
paligemma PaliGemmaForConditionalGeneration T_gemma V_siglip projection_dim=48 image_token_index=3
  sees @images=1+@grid=[5,5]+@image_tokens=25+@seq=40
  built {SIZES} {vision("vision_use_head=false", "projection_dim=40")} projection_dim=40 {TIED}
llava LlavaForConditionalGeneration T_llama V_clip image_token_index=3
  sees @images=1+@grid=[5,5]+@image_tokens=25+@seq=40
  built {SIZES} V_siglip V_pixtral vision_feature_layer=[-1,-2] multimodal_projector_bias=false {TIED}
llava_next LlavaNextForConditionalGeneration T_mistral V_clip
  built V_siglip vision_feature_layer=[-1,-2] multimodal_projector_bias=false {TIED}
llava_next_video LlavaNextVideoForConditionalGeneration T_llama V_clip
  built multimodal_projector_bias=false {TIED}
llava_onevision LlavaOnevisionForConditionalGeneration T_qwen2 V_siglip
  built vision_feature_layer=[-1,-2] multimodal_projector_bias=false {TIED}
vipllava VipLlavaForConditionalGeneration T_llama V_clip
  built vision_feature_layer=[-1,-2] {TIED}
video_llava VideoLlavaForConditionalGeneration T_llama V_clip
  built vision_feature_layer=[-1,-2] multimodal_projector_bias=false {TIED}
mistral3 Mistral3ForConditionalGeneration T_mistral V_pixtral image_token_index=3
  sees @images=1+@batch=1+@grid=[4,6]+@image_tokens=6
  built {SIZES} {
    vision("num_attention_heads=4")
} spatial_merge_size=3 multimodal_projector_bias=true vision_feature_layer=[-1,-2] {TIED}
lighton_ocr LightOnOcrForConditionalGeneration T_qwen3 V_pixtral
  built spatial_merge_size=3 {TIED}
internvl InternVLForConditionalGeneration T_qwen2 V_intern image_token_id=3
  sees @images=1+@grid=[6,6]+@image_tokens=9+vision_config={{"image_size":[24,24]}}
  built {SIZES} {
    vision(
        "attention_bias=true",
        "use_qk_norm=true",
        'norm_type="rms_norm"',
        "use_mask_token=true",
        "use_absolute_position_embeddings=false",
        "use_mean_pooling=false",
    )
} downsample_ratio=0.25 {TIED}
aya_vision AyaVisionForConditionalGeneration T_cohere2 V_siglip
  built alignment_intermediate_size=40 downsample_factor=3 {TIED}
cohere2_vision Cohere2VisionForConditionalGeneration T_cohere2 V_siglip alignment_intermediate_size=40 image_token_id=3
  sees @images=1+@grid=[6,6]+@image_tokens=9+vision_config={{"image_size":24}}
  built alignment_intermediate_size=44 downsample_factor=3 {TIED}
lfm2_vl Lfm2VlForConditionalGeneration T_lfm2 V_siglip2 image_token_id=3
  sees @images=1+@grid=[4,4]+@image_tokens=4
  built {vision("hidden_size=36", "patch_size=5", "num_patches=36", "vision_use_head=false")} downsample_factor=3
    projector_hidden_size=40 projector_bias=false projector_use_layernorm=false {TIED}
idefics3 Idefics3ForConditionalGeneration T_llama V_plain image_token_id=3
  sees @images=2+@grid=[6,6]+@image_tokens=9+vision_config={{"image_size":24}}+@seq=28
  built {SIZES} scale_factor=3 {TIED}
smolvlm SmolVLMForConditionalGeneration T_llama V_plain
  built scale_factor=3 {TIED}
idefics2 Idefics2ForConditionalGeneration T_mistral V_plain image_token_id=3
    {words(perceiver_config=RESAMPLER)}
  sees @images=1+@grid=[5,5]+@image_tokens=5
  built {
    inside(
        "perceiver_config",
        "hidden_size=40",
        "resampler_n_latents=6",
        "resampler_depth=3",
        "resampler_head_dim=12",
        "num_key_value_heads=4",
    )
} {inside("text_config", "intermediate_size=80")} {TIED}
llama4 Llama4ForConditionalGeneration T_llama4 V_llama4 image_token_index=3
  sees @images=1+@grid=[6,6]+@image_tokens=9+vision_config={{"image_size":24}}
  built {SIZES} {vision("vision_output_dim=40", "projector_input_dim=40", "projector_output_dim=40", "pixel_shuffle_ratio=1.0")} {
    TIED
}
kimi_k25 Kimi_K25ForConditionalGeneration T_deepseek_v3 V_moon image_token_id=3 projection_hidden_size=24
  sees @images=1+@grid=[4,6]+@image_tokens=6
  built {
    vision(
        "hidden_size=36",
        "intermediate_size=40",
        "num_hidden_layers=3",
        "patch_size=5",
        "pos_emb_height=7",
        "pos_emb_time=5",
        "merge_kernel_size=[1,2]",
    )
} projection_hidden_size=20 {TIED}
qwen2_vl Qwen2VLForConditionalGeneration T_mrope V_qwen2 image_token_id=3
  sees @images=2+@grid=[4,6]+@image_tokens=6
  built {GRIDS} {vision("embed_dim=36", "mlp_ratio=4", "hidden_size=40")} {TIED}
qwen2_5_vl Qwen2_5_VLForConditionalGeneration T_mrope V_qwen2_5 image_token_id=3
  sees @images=1+@grid=[6,8]+@image_tokens=12
  built {GRIDS} {vision("hidden_size=36", "intermediate_size=40", "out_hidden_size=40", "window_size=32")} {TIED}
qwen3_vl Qwen3VLForConditionalGeneration T_qwen3_vl V_deep image_token_id=3
  sees @images=1+@grid=[4,6]+@image_tokens=6
  built {GRIDS} {
    vision(
        "hidden_size=36",
        "intermediate_size=40",
        "out_hidden_size=40",
        "num_position_embeddings=49",
        "deepstack_visual_indexes=[0]|[]",
    )
} {TIED}
qwen3_vl_moe Qwen3VLMoeForConditionalGeneration T_qwen3_vl_moe V_deep
  built {vision("deepstack_visual_indexes=[0]")} {TIED}
qwen3_5 Qwen3_5ForConditionalGeneration T_qwen3_5 V_qwen3 image_token_id=3
  sees @images=1+@grid=[4,6]+@image_tokens=6
  built {vision("hidden_size=36", "out_hidden_size=40", "num_position_embeddings=49")} {TIED}
qwen3_5_moe Qwen3_5MoeForConditionalGeneration T_qwen3_5_moe V_qwen3
  built {vision("hidden_size=36")} {TIED}
glm4v Glm4vForConditionalGeneration T_glm4v V_glm image_token_id=3
  sees @images=1+@grid=[4,6]+@image_tokens=6
  built {GRIDS} {vision("hidden_size=36", "intermediate_size=40", "out_hidden_size=40", "image_size=32", "attention_bias=true")} {
    TIED
}
glm46v Glm46VForConditionalGeneration T_glm4v V_glm
  built {vision("attention_bias=true")} {TIED}
glmga Glm46VForConditionalGeneration T_glm4v V_glm
  built {GRIDS} {vision("attention_bias=true", "image_size=32")} {TIED}
hyperclovax_vision_v2 HyperCLOVAXVisionV2ForConditionalGeneration T_hyperclovax V_qwen2_5 image_token_id=3
  sees @images=1+@grid=[6,8]+@image_tokens=12
  built {GRIDS} {vision("hidden_size=36", "intermediate_size=40", "out_hidden_size=40", "window_size=32")} {TIED}
inkling_mm_model InklingForConditionalGeneration T_inkling V_inkling A_inkling image_token_id=3
  sees @images=1+@grid=[2,3]+@image_tokens=6 @images=1+@grid=[1,1]+@image_tokens=1+vision_config={{"num_hidden_layers":4}}
    @images=2+@grid=[1,2]+@image_tokens=2+vision_config={{"num_hidden_layers":7,"patch_size":12}}
  built {vision("patch_size=7|9|20|30", "temporal_patch_size=3|4", "num_channels=1", "num_hidden_layers=4|6|11")}
    {audio("n_mel_bins=12", "mel_vocab_size=5", "text_hidden_size=40")} {TIED}
inkling2 Inkling2ForConditionalGeneration T_inkling2 V_inkling2 image_token_id=3
  sees @seq=19 @images=1+@grid=[4,6]+@image_tokens=6 @images=2+@grid=[4,2]+@image_tokens=2
  built {
    vision(
        "hidden_size=36",
        "intermediate_size=40",
        "intermediate_size=null",
        "num_hidden_layers=3",
        "patch_size=5",
        "num_channels=1",
        "posemb_grid_size=6",
        "projection_hidden_dim=44",
        "projector_bias=true",
        "spatial_merge_size=1",
    )
} {TIED}
muse_spark MuseSparkForConditionalGeneration T_spark V_muse A_spark out_hidden_size=96 projector_hidden_size=40 image_token_id=3
  sees @seq=19 @images=1+@grid=[6,4]+@image_tokens=6 {
    inside(
        "text_config",
        'mlp_layer_types=["sparse","dense","sparse"]',
        "head_dim=12",
        "attention_bias=true",
        "moe_hidden_size=26",
        "num_experts_per_tok=3",
    )
}
  built {vision("intermediate_size=40", "num_hidden_layers=3", "patch_size=5", "patch_temporal=1", "pos_emb_height=4")} {
    audio("mlp_ratio=2.5", "conv_kernel_size=5", "depths=[2,1,3]", "hidden_sizes=[8,12,16]", "patch_sizes=[5,2,2]")
} projector_hidden_size=44 {TIED}
cosmos3_edge Cosmos3EdgeForConditionalGeneration T_cosmos V_cosmos projector_hidden_size=40 image_token_id=3
  sees @seq=19 @images=1+@grid=[4,6]+@image_tokens=6 {
    inside("text_config", "mlp_bias=true", "attention_bias=true", "num_key_value_heads=1")
}
  built {
    vision(
        "hidden_size=36", "intermediate_size=40", "num_hidden_layers=3", "patch_size=5", "num_patches=36", "spatial_merge_size=3"
    )
} projector_hidden_size=44 {TIED}
cosmos3_omni Cosmos3OmniForConditionalGeneration T_qwen3_vl V_deep image_token_id=3
  sees @seq=19
  built {GRIDS} {vision("hidden_size=36", "out_hidden_size=40", "deepstack_visual_indexes=[0]|[]", 'model_type="qwen3_vl"')} {
    TIED
}
unlimited_ocr UnlimitedOcrForConditionalGeneration T_unlimited V_unlimited image_token_id=3
  sees @seq=19 {inside("text_config", "n_shared_experts=1", "attention_bias=true", 'mlp_layer_types=["sparse","dense"]')}
  built {
    " ".join(
        words(vision_config={"sam_config": {**VISIONS["unlimited"]["sam_config"], **more}})
        for more in (
            {"qkv_bias": False},
            {"use_abs_pos": False},
            {"use_rel_pos": False},
            {"window_size": 4},
            {"mlp_dim": 40},
            {"output_channels": 12},
            {"downsample_channels": [16, 24]},
            {"num_hidden_layers": 3},
            {"patch_size": 5},
        )
    )
} {words(vision_config={"encoder_config": {**VIT, "intermediate_size": 40}})}
    {words(vision_config={"encoder_config": {**VIT, "patch_size": 5}})} {TIED}
mistral_large4 MistralLarge4ForConditionalGeneration T_large4 V_pixtral image_token_index=3
  sees @seq=19 @images=1+@batch=1+@grid=[4,6]+@image_tokens=6 {
    inside(
        "text_config",
        "kv_source_layers=[0,1,0,1]",
        "no_rope_layers=[1,1,1,0]",
        "index_topk_freq=2",
        'indexer_types=["full","shared","full","shared"]',
        "attention_bias=true",
        "n_shared_experts=1",
        "first_k_dense_replace=2",
    )
}
  built spatial_merge_size=3 multimodal_projector_bias=true vision_feature_layer=[-1,-2] {
    inside(
        "text_config",
        "num_experts=4",
        "index_n_heads=2",
        "index_head_dim=10",
        "qk_rope_head_dim=8",
        "v_head_dim=14",
        'mlp_layer_types=["sparse","dense","sparse","dense"]',
    )
} {TIED}
dots3_note Dots3NoteForConditionalGeneration T_dots3 V_dots3 A_dots3 image_token_id=3
  sees @seq=19 @images=1+@grid=[4,6]+@image_tokens=6 @images=2+@grid=[4,2]+@image_tokens=2
  built {
    vision(
        "intermediate_size=40",
        "moe_intermediate_size=22",
        "pyramid_num_routed=[3,-1,-1]",
        "num_experts_per_tok=1",
        "attention_bias=true",
        "patch_size=5",
        "num_channels=1",
    )
} {
    audio(
        "intermediate_size=40",
        "num_hidden_layers=3",
        "num_attention_heads=4",
        "feature_size=22",
        "downsample_hidden_size=12",
        "attention_bias=false",
    )
} {inside("text_config", "n_shared_experts=1", "swa_head_dim=18")} {TIED}
glm5_next Glm5NextForConditionalGeneration T_glm5 V_ocr image_token_id=3
  sees @seq=19 @seq=38 @seq=1+@batch=1 @images=1+@grid=[4,6]+@image_tokens=6 {
    inside(
        "text_config",
        "index_kpool=4",
        "hc_mult=2",
        "linear_head_dim=14",
        "linear_num_heads=2",
        "linear_conv_kernel_dim=4",
        'layer_types=["linear_attention","full_attention","indexed_attention","indexed_attention"]',
        'mlp_layer_types=["sparse","sparse","dense","dense"]',
        "n_shared_experts=1",
        "attention_bias=true",
        'linear_attn_config={"head_dim":8,"num_heads":2,"short_conv_kernel_size":4}',
    )
}
  built {GRIDS} {
    vision(
        "hidden_size=36", "intermediate_size=40", "out_hidden_size=40", "attention_bias=false", "projection_intermediate_size=36"
    )
} {TIED}
modernvbert ModernVBertForMaskedLM T_modernbert V_siglip pixel_shuffle_factor=2 image_token_id=3
  sees @seq=19 @images=1+@grid=[6,6]+@image_tokens=9+vision_config={{"image_size":24}} text_config={{"classifier_bias":true}}
  built {SIZES} {vision("vision_use_head=false")} pixel_shuffle_factor=3 {
    inside("text_config", "decoder_bias=false", "norm_bias=true", "mlp_bias=true")
} architectures=["ModernVBertForSequenceClassification"]+num_labels=3 {TIED}
ultravbert UltraVBertForMaskedLM T_ultrabert V_siglip pixel_shuffle_factor=2 image_token_id=3
  sees @seq=19 @images=1+@grid=[6,6]+@image_tokens=9+vision_config={{"image_size":24}}
  built {SIZES} {vision("vision_use_head=true")} pixel_shuffle_factor=3 {
    inside("text_config", "prediction_head_size=14", "mlp_bias=true", "head_dim=14")
} {TIED}
t5gemma2 T5Gemma2ForConditionalGeneration {words(encoder=T5GEMMA2, decoder=TEXTS["t5gemma2"])} image_token_index=3
  sees @seq=19 @seq=7 @images=1+@grid=[5,5]+@image_tokens=4 {
    " ".join(
        words(encoder={**T5GEMMA2, "text_config": {**TEXTS["t5gemma2"], **more}}, decoder={**TEXTS["t5gemma2"], **more})
        for more in (
            {"attention_bias": True},
            {"num_key_value_heads": 1},
            {"head_dim": 14},
            {"layer_types": ["full_attention", "full_attention"]},
        )
    )
}
  built {words(decoder={**TEXTS["t5gemma2"], "intermediate_size": 60})} {
    " ".join(
        words(encoder={**T5GEMMA2, "vision_config": {**VISIONS["siglip"], **more}})
        for more in ({"vision_use_head": False}, {"hidden_size": 36}, {"patch_size": 5}, {"num_hidden_layers": 3})
    )
} tie_word_embeddings=true|false architectures=["T5Gemma2Model"]
glm4v_moe Glm4vMoeForConditionalGeneration T_glm4v_moe V_glm
  built {vision("attention_bias=true")} {TIED}
gemma4 Gemma4ForConditionalGeneration T_gemma4 V_gemma4 image_token_id=3
  sees @images=1+@grid=[6,6]+@image_tokens=4
  built {
    vision(
        "hidden_size=36",
        "intermediate_size=40",
        "num_hidden_layers=3",
        "patch_size=5",
        "num_key_value_heads=1",
        "head_dim=12",
        "position_embedding_size=31",
        "attention_bias=true",
        "standardize=true",
        "use_clipped_linears=true",
    )
}
    vision_config=null {words(audio_config=CONFORMER)} {TIED}
qwen2_audio Qwen2AudioForConditionalGeneration T_qwen2 A_whisper
  built {
    audio(
        "num_mel_bins=12",
        "encoder_layers=3",
        "encoder_attention_heads=4",
        "encoder_ffn_dim=40",
        "d_model=36",
        "max_source_positions=22",
    )
} {TIED}
voxtral VoxtralForConditionalGeneration T_llama A_voxtral
  built {audio("intermediate_size=72", "max_source_positions=22")} {TIED}
audioflamingo3 AudioFlamingo3ForConditionalGeneration T_qwen2 A_voxtral
  built {audio("hidden_size=36")} projector_bias=false {TIED}
glmasr GlmAsrForConditionalGeneration T_llama A_glm
  built {audio("hidden_size=36", "num_key_value_heads=1", "intermediate_size=72")} {TIED}
qwen2_5_omni_thinker Qwen2_5OmniThinkerForConditionalGeneration T_mrope V_qwen2_5 A_omni
  built {audio("d_model=36", "output_dim=40", "num_mel_bins=12")} {vision("out_hidden_size=40")} {TIED}
qwen3_omni_moe_thinker Qwen3OmniMoeThinkerForConditionalGeneration T_qwen3_vl_moe V_deep A_conv
  built {audio("d_model=36", "output_dim=40", "num_mel_bins=17", "downsample_hidden_size=12")} {
    vision("deepstack_visual_indexes=[1]")
}
    {TIED}
qwen3_asr Qwen3ASRForConditionalGeneration T_qwen3 A_conv
  built {audio("d_model=36", "output_dim=40")} {TIED}
granite_speech GraniteSpeechForConditionalGeneration T_granite {words(encoder_config=LETTERS)} {words(projector_config=QUERIES)}
    window_size=6 downsample_rate=2
  built {
    inside(
        "encoder_config",
        "input_dim=12",
        "num_layers=3",
        "hidden_dim=30",
        "feedforward_mult=4",
        "num_heads=4",
        "dim_head=12",
        "output_dim=8",
        "max_pos_emb=20",
        "conv_kernel_size=3",
        "conv_expansion_factor=3",
    )
}
    {
    inside(
        "projector_config",
        "hidden_size=36",
        "num_hidden_layers=4",
        "intermediate_size=40",
        "encoder_hidden_size=30",
        "cross_attention_frequency=1|3",
    )
} window_size=8 {TIED}
granite_speech_plus GraniteSpeechPlusForConditionalGeneration T_granite {words(encoder_config=LETTERS)}
    {words(projector_config=QUERIES)} window_size=6 downsample_rate=2
  built {
    inside(
        "encoder_config",
        "input_dim=12",
        "num_layers=3",
        "hidden_dim=30",
        "feedforward_mult=4",
        "num_heads=4",
        "dim_head=12",
        "output_dim=8",
        "max_pos_emb=20",
        "conv_kernel_size=3",
        "conv_expansion_factor=3",
    )
}
    {words(encoder_config={"cat_hidden_layers": [0, 1]})}+{words(projector_config={"encoder_hidden_size": 72})}
    {inside("projector_config", "hidden_size=36", "num_hidden_layers=4", "cross_attention_frequency=1|3")} window_size=8 {TIED}
musicflamingo MusicFlamingoForConditionalGeneration T_qwen2 A_flamingo
  built {
    audio(
        "hidden_size=36",
        "num_mel_bins=12",
        "num_hidden_layers=3",
        "num_attention_heads=4",
        "intermediate_size=40",
        "max_source_positions=22",
    )
} {audio('model_type="musicflamingo_encoder"')} projector_bias=false audio_frame_step=0.02 {TIED}
voxtral_realtime VoxtralRealtimeForConditionalGeneration T_realtime A_realtime
  built {
    audio(
        "hidden_size=36",
        "num_mel_bins=12",
        "num_hidden_layers=3",
        "num_attention_heads=4",
        "intermediate_size=40",
        "head_dim=12",
        "sliding_window=9",
    )
} {inside("text_config", "head_dim=20", "sliding_window=null", "num_key_value_heads=1")} downsample_factor=2 {TIED}
moss_transcribe_diarize MossTranscribeDiarizeForConditionalGeneration T_qwen3 A_voxtral
  built {
    audio(
        "hidden_size=36",
        "num_mel_bins=12",
        "num_hidden_layers=3",
        "num_attention_heads=4",
        "intermediate_size=40",
        "max_source_positions=22",
    )
} projector_bias=false audio_merge_size=3 {TIED}
vibevoice_asr VibeVoiceAsrForConditionalGeneration T_qwen2 {words(acoustic_tokenizer_encoder_config=SAMPLES)}
    {words(semantic_tokenizer_encoder_config=SAMPLES | {"hidden_size": 14})}
  built {
    inside(
        "acoustic_tokenizer_encoder_config",
        "hidden_size=12",
        "kernel_size=5",
        "num_filters=6",
        "downsampling_ratios=[3,2]",
        "depths=[3,1,2]",
        "ffn_expansion=3",
        "channels=2",
    )
} {inside("semantic_tokenizer_encoder_config", "depths=[1,1,1]", "hidden_size=20")} {TIED}
nemo_speechlm Nemotron3_5TranscribeForConditionalGeneration T_nemotron_moe
    {words(audio_config={"asr_config": ASR | {"num_mel_bins": 10, "subsampling_factor": 4}, "diarization_config": WHO})}
    {words(word_timestamp_config=WORDS)}
  built {
    words(
        audio_config={
            "asr_config": ASR | {"num_mel_bins": 12, "subsampling_factor": 5, "num_hidden_layers": 3, "num_attention_heads": 4},
            "diarization_config": WHO_WIDE,
        }
    )
} {inside("word_timestamp_config", "vocab_size=40", "upsampling_factor=2", "num_hidden_layers=1", "intermediate_size=40")} {
    words(word_timestamp_config={"num_attention_heads": 4})
} {TIED}
mllama MllamaForConditionalGeneration T_mllama V_mllama
  built {SIZES} {
    vision("num_global_layers=2", "max_num_tiles=3", "supported_aspect_ratios=[[1,1],[1,2]]", "vision_output_dim=72")
}
    {inside("text_config", "cross_attention_layers=[3]", "num_key_value_heads=1")} {TIED}
got_ocr2 GotOcr2ForConditionalGeneration T_qwen2 V_sam image_token_index=3
  sees @images=1+@grid=[8,8]+@image_tokens=4+vision_config={{"image_size":32}}
    @images=1+@grid=[8,8]+@image_tokens=4+vision_config={{"image_size":32,"use_rel_pos":false,"window_size":4}}
  built {
    vision(
        "hidden_size=36",
        "num_hidden_layers=3",
        "image_size=28",
        "patch_size=5",
        "output_channels=12",
        "qkv_bias=false",
        "use_abs_pos=false",
        "use_rel_pos=false",
        "window_size=4",
        "global_attn_indexes=[]",
        "mlp_dim=40",
    )
} {TIED}
shieldgemma2 Gemma3ForConditionalGeneration T_gemma3 V_siglip mm_tokens_per_image=4 image_token_index=3
  sees @images=1+@grid=[5,5]+@image_tokens=4
  built {SIZES} {vision("vision_use_head=false")} {TIED}
ovis2 Ovis2ForConditionalGeneration T_qwen2 V_ovis hidden_size=48 vocab_size=101
  built {SIZES} {vision("vocab_size=66", "num_visual_indicator_tokens=4", "hidden_stride=2", "qkv_bias=true", "mlp_bias=true")} {
    TIED
}
exaone4_5 Exaone4_5_ForConditionalGeneration T_exaone4 V_exaone
  built {vision("num_key_value_heads=4", "hidden_size=64", "out_hidden_size=40")} {TIED}
glm_ocr GlmOcrForConditionalGeneration T_glm4v V_ocr
  built {GRIDS} {vision("hidden_size=36", "intermediate_size=40", "out_hidden_size=40", "attention_bias=false")} {TIED}
video_llama_3 VideoLlama3ForConditionalGeneration T_qwen2 V_grid
  built {vision("hidden_size=36")} {TIED}
paddleocr_vl PaddleOCRVLForConditionalGeneration T_paddle V_paddle
  built {SIZES} {vision("spatial_merge_size=1")} {TIED}
deepseek_vl DeepseekVLForConditionalGeneration T_llama V_siglip
  built {vision("hidden_size=36")} {TIED}
qianfan_ocr QianfanOCRForConditionalGeneration T_qwen3 V_intern
  built {vision("hidden_size=36", "attention_bias=false")} {TIED}
phi4_multimodal Phi4MultimodalForCausalLM dense V_phi4 A_phi4 pad_token_id=0
  built {SIZES} {
    audio(
        "hidden_size=36",
        "intermediate_size=22",
        "num_blocks=3",
        "input_size=33",
        "time_reduction=4",
        "kernel_size=5",
        "nemo_conv_channels=12",
        "bias_max_distance=8",
        "bias_symmetric=true",
        "depthwise_multiplier=2",
    )
} {OUTER}
step3p7 Step3p7ForConditionalGeneration T_step V_step image_token_id=3
  sees @images=1+@grid=[8,4]+@image_tokens=2
  built {SIZES} {vision("image_size=32", "mlp_ratio=2.5")} projector_bias=true {TIED}
minimax_m3_vl MiniMaxM3SparseForConditionalGeneration T_minimax V_minimax image_token_index=3
  sees @images=1+@grid=[4,6]+@image_tokens=6
  built {SIZES} {vision("temporal_patch_size=1", "spatial_merge_size=1")} projector_hidden_size=40 {TIED}
gemma4_unified Gemma4UnifiedForConditionalGeneration T_gemma4_unified V_unified image_token_id=3
  sees @images=1+@grid=[6,4]+@image_tokens=6
  built {vision("patch_size=3", "pooling_kernel_size=3", "mm_posemb_size=31")}
    vision_config=null {words(audio_config={"audio_embed_dim": 24})} {TIED}
lfm3_vl Lfm3VlForConditionalGeneration T_lfm3 V_lfm3 image_token_id=3
  sees @images=1+@grid=[4,6]+@image_tokens=6
  built {
    vision(
        "hidden_size=36",
        "intermediate_size=40",
        "patch_size=5",
        "temporal_patch_size=1",
        "spatial_merge_size=1",
        "in_channels=1",
        "num_key_value_heads=4",
        "conv_kernel_size=5",
    )
} projector_hidden_size=40 projector_bias=false {TIED}
minicpmv4_6 MiniCPMV4_6ForConditionalGeneration T_minicpm V_minicpm image_token_id=3 insert_layer_id=1
  sees @images=1+@grid=[8,4]+@image_tokens=2
  built {SIZES} insert_layer_id=0|2 merger_times=2 {TIED}
hunyuan_vl HunYuanVLForConditionalGeneration T_hunyuan V_hunyuan image_token_id=3
  built {SIZES} {vision("spatial_merge_size=1", "max_image_size=31", "num_key_value_heads=1", "text_hidden_size=40")} {TIED}
  flat: {words(**TEXTS["hunyuan"])} V_hunyuan
minicpmv4_7 MiniCPMV4_7ForConditionalGeneration T_minicpm V_minicpm image_token_id=3 insert_layer_id=1
  built {vision("hidden_size=36")} merger_times=2 downsample_mode="4x" {TIED}
minicpm_ocr MiniCPMOcrForConditionalGeneration T_minicpm V_minicpm image_token_id=3 insert_layer_id=1
  sees @images=1+@grid=[8,4]+@image_tokens=8
  built {vision("hidden_size=36")} merger_times=2 downsample_mode="16x" {TIED}
granite_docling GraniteDoclingForConditionalGeneration T_padded V_docling image_token_id=3
  sees @images=1+@grid=[6,6]+@image_tokens=9
  built {SIZES} {vision("out_hidden_size=48", "scale_factor=4", "deepstack_visual_indexes=[]|[0,1]", "use_fine_route=false")} {
    TIED
}
fuyu FuyuForCausalLM T_persimmon patch_size=4 image_token_id=3
  built patch_size=5 num_channels=1 {TIED}
qwen4_exp Qwen4ExpForConditionalGeneration T_qwen4 V_qwen3
  built {vision("hidden_size=36", "out_hidden_size=40", "num_position_embeddings=49")} {TIED}
blip-2 Blip2ForConditionalGeneration T_opt V_eva {words(qformer_config=QUERIES)} num_query_tokens=5 image_token_index=3
  sees @images=1+@grid=[5,5]+@image_tokens=5
    @images=1+@grid=[5,5]+@image_tokens=5+@batch=1+qformer_config={{"num_hidden_layers":4}}
    @images=1+@grid=[5,5]+@image_tokens=5+qformer_config={{"cross_attention_frequency":1}}
  built {
    vision("hidden_size=36", "intermediate_size=40", "num_hidden_layers=3", "image_size=28", "patch_size=5", "qkv_bias=false")
} {
    inside(
        "qformer_config",
        "hidden_size=36",
        "num_hidden_layers=4",
        "intermediate_size=40",
        "encoder_hidden_size=30",
        "cross_attention_frequency=1|3",
    )
} num_query_tokens=6 text_config={{"tie_word_embeddings":false}} {TIED}
  t5: {words(text_config=TEXTS["t5"])}
granite4_vision Granite4VisionForConditionalGeneration T_dense V_wide downsample_rate="2/4" deepstack_layer_map=[[-1,0],[0,1]]
    {words(qformer_config={"num_hidden_layers": 1, "intermediate_size": 44, "cross_attention_frequency": 1})}
  built {vision("hidden_size=128", "intermediate_size=40")} downsample_rate="1/2" deepstack_layer_map=[] {
    inside("qformer_config", "num_hidden_layers=2", "intermediate_size=40", "hidden_size=32")
} {TIED}
molmo2 Molmo2ForConditionalGeneration T_molmo2 V_molmo2 {words(adapter_config=ADAPTER)} image_patch_id=3
  built {
    vision(
        "hidden_size=36",
        "intermediate_size=40",
        "num_hidden_layers=3",
        "image_size=[28,20]",
        "patch_size=5",
        "num_key_value_heads=3",
        "head_dim=12",
        "attention_bias=false",
        "num_position_embeddings=40",
    )
} {
    inside(
        "adapter_config",
        "vision_feature_layer=[0]",
        "num_attention_heads=4",
        "head_dim=12",
        "attention_bias=false",
        "intermediate_size=40",
        "text_hidden_size=40",
    )
} {
    inside(
        "text_config",
        "additional_vocab_size=0",
        "attention_bias=true",
        "norm_after=true",
    )
} text_config={{"qk_norm_type":"olmo"}} {TIED}
deepseek_vl_hybrid DeepseekVLHybridForConditionalGeneration T_llama V_siglip
    {words(high_res_vision_config=HIGH)}
  built {vision("hidden_size=36")} {
    inside("high_res_vision_config", "hidden_size=36", "output_channels=12", "mlp_dim=40", "mlp_ratio=2.5", "num_hidden_layers=3")
} {TIED}
florence2 Florence2ForConditionalGeneration T_bart V_davit image_token_id=3
  sees @images=1+@grid=[6,12]+@image_tokens=19+@seq=30+vision_config={{"window_size":3}}
  built {
    vision(
        "depths=[2,1]",
        "patch_size=[5,2]",
        "patch_prenorm=[true,false]",
        "num_heads=[3,4]",
        "qkv_bias=false",
        "mlp_ratio=2.5",
        "max_position_embeddings=11",
        "in_channels=1",
    )
} tie_word_embeddings=false+text_config={{"tie_word_embeddings":false}} {TIED}
ernie4_5_vl_moe Ernie4_5_VLMoeForConditionalGeneration T_ernie V_ernie
  built {
    vision(
        "depth=2",
        "patch_size=3",
        "spatial_merge_size=1",
        "in_channels=1",
        "num_heads=4",
        "hidden_size=36",
        "intermediate_size=40",
    )
} {
    inside(
        "text_config",
        "moe_num_shared_experts=0",
        "moe_intermediate_size=[24,16]",
        "use_bias=true",
        'mlp_layer_types=["sparse","sparse"]',
        'mlp_layer_types=["dense","dense"]',
    )
} {TIED}
muse_glimmer MuseGlimmerForConditionalGeneration T_muse V_muse out_hidden_size=96 projector_hidden_size=40 image_token_id=3
  sees @images=1+@grid=[6,4]+@image_tokens=6
  built {
    vision(
        "intermediate_size=40",
        "num_hidden_layers=3",
        "patch_size=5",
        "patch_temporal=1",
        "pos_emb_height=4",
    )
} projector_hidden_size=44 {inside("text_config", "head_dim=12", "attention_bias=true", "num_hidden_layers=5")} {TIED}
nemotron_h_omni NemotronH_Omni_Reasoning_V3 T_nemotron V_radio projector_hidden_size=40 vision_hidden_size=24 image_token_id=3
  built {
    vision(
        "mlp_ratio=3.0",
        "qkv_bias=false",
        "num_hidden_layers=3",
        "patch_size=5",
        "num_cls_tokens=1",
        "num_registers=0",
        "max_img_size=40",
    )
} projector_hidden_size=44 downsample_ratio=0.25 {TIED}
instructblip InstructBlipForConditionalGeneration T_opt V_eva {words(qformer_config=QUERIES | {"vocab_size": 50})}
    num_query_tokens=5 image_token_index=3
  sees @images=1+@grid=[5,5]+@image_tokens=5
  built {vision("hidden_size=36", "qkv_bias=false")} {
    inside(
        "qformer_config",
        "hidden_size=36",
        "num_hidden_layers=4",
        "intermediate_size=40",
        "cross_attention_frequency=1|3",
        "vocab_size=60",
        "max_position_embeddings=30",
    )
} num_query_tokens=6 {TIED}
aria AriaForConditionalGeneration T_aria V_plain projector_patch_to_query_dict={{"25":5,"36":7}}
  built {vision("hidden_size=36", "num_hidden_layers=3", "num_attention_heads=4")} {TIED}
instructblipvideo InstructBlipVideoForConditionalGeneration T_opt V_eva {words(qformer_config=QUERIES | {"vocab_size": 50})}
    num_query_tokens=5 video_token_index=3
  sees @images=3+@grid=[5,5]+@image_tokens=5
  built {vision("hidden_size=36", "qkv_bias=false", "num_hidden_layers=3", "image_size=28", "patch_size=5")} {
    inside(
        "qformer_config",
        "hidden_size=36",
        "num_hidden_layers=4",
        "intermediate_size=40",
        "cross_attention_frequency=1|3",
        "vocab_size=60",
        "max_position_embeddings=30",
    )
} num_query_tokens=6 {TIED}
  t5: {words(text_config=TEXTS["t5"])} V_eva {words(qformer_config=QUERIES)}
pp_chart2table GotOcr2ForConditionalGeneration T_qwen2 V_sam image_token_index=3
  sees @images=1+@grid=[8,8]+@image_tokens=4+vision_config={{"image_size":32}}+@batch=1
  built {
    vision(
        "hidden_size=36",
        "num_hidden_layers=3",
        "image_size=28",
        "output_channels=12",
        "qkv_bias=false",
        "use_abs_pos=false",
        "use_rel_pos=false",
        "window_size=4",
        "mlp_dim=40",
    )
} {TIED}
blip BlipForConditionalGeneration T_blip V_eva
  sees @images=1+@grid=[5,5]+@image_tokens=0 @images=1+@grid=[5,5]+@image_tokens=0+@batch=1+@seq=7
  built {vision("hidden_size=36", "intermediate_size=40", "num_hidden_layers=3", "image_size=28", "patch_size=5")} {
    inside(
        "text_config",
        "hidden_size=36",
        "num_hidden_layers=3",
        "num_attention_heads=2",
        "intermediate_size=40",
        "encoder_hidden_size=30",
        "max_position_embeddings=30",
        "is_decoder=false",
    )
} projection_dim=30 {TIED} {APART} {inside("text_config", "tie_word_embeddings=false")}
  blip-large: {words(text_config={"encoder_hidden_size": 1024, "num_attention_heads": 12}, vision_config=LARGE)}
git GitForCausalLM {words(**TEXTS["blip"])} V_plain
  sees @images=1+@grid=[5,5]+@image_tokens=26+@seq=40
    num_image_with_embedding=2+max_position_embeddings=70+@images=2+@grid=[5,5]+@image_tokens=26+@seq=60
    tie_word_embeddings=true+@images=1+@grid=[5,5]+@image_tokens=26+@seq=30+@batch=1
  built {SIZES} num_image_with_embedding=3 hidden_size=36 num_hidden_layers=3 intermediate_size=40 max_position_embeddings=30
    hidden_act="relu" {OUTER}
  git-large: {
    words(vision_config=LARGE | {"image_size": 224, "patch_size": 14, "num_channels": 3})
} position_embedding_type=absolute
kosmos-2 Kosmos2ForConditionalGeneration T_kosmos V_plain latent_query_num=5
  sees @images=1+@grid=[5,5]+@image_tokens=5 @images=2+@grid=[5,5]+@image_tokens=5
  built {SIZES} {
    inside(
        "text_config",
        "embed_dim=36",
        "layers=3",
        "attention_heads=2",
        "ffn_dim=40",
        "max_position_embeddings=30",
        'activation_function="relu"',
        "tie_word_embeddings=false",
    )
} latent_query_num=6 {TIED} {APART}
kosmos-2.5 Kosmos2_5ForConditionalGeneration T_kosmos V_strips2_5 latent_query_num=5
  sees @images=1+@grid=[4,6]+@image_tokens=5
  built {
    vision(
        "hidden_size=36",
        "patch_embed_hidden_size=27",
        "intermediate_size=40",
        "head_dim=12",
        "num_hidden_layers=3",
        "num_attention_heads=2",
        "max_num_patches=40",
    )
} {
    inside("text_config", "embed_dim=36", "layers=3", "attention_heads=2", "ffn_dim=40", "tie_word_embeddings=false")
} latent_query_num=6 {TIED} {APART}
pix2struct Pix2StructForConditionalGeneration T_pix2struct V_strips
  sees @images=1+@grid=[4,6]+@image_tokens=0 @images=1+@grid=[3,5]+@image_tokens=0+@batch=1+@seq=30
  built {
    vision(
        "patch_embed_hidden_size=27",
        "d_ff=40",
        "d_kv=12",
        "num_hidden_layers=3",
        "num_attention_heads=2",
        "seq_len=40",
        'dense_act_fn="relu"',
    )
} {
    inside(
        "text_config",
        "num_layers=1",
        "d_ff=40",
        "relative_attention_num_buckets=12",
        'dense_act_fn="gelu"',
        "vocab_size=103",
    )
} text_config={{"num_heads":2,"d_kv":12}} {TIED}
pp_formulanet PPFormulaNetForConditionalGeneration T_formula V_formula
  sees @images=1+@grid=[8,8]+@image_tokens=0+vision_config={{"image_size":32}}
    @images=1+@grid=[8,8]+@image_tokens=0+vision_config={{"image_size":32,"global_attn_indexes":[]}}+@batch=1+@seq=7
  built {
    vision(
        "hidden_size=36",
        "num_hidden_layers=3",
        "image_size=28",
        "patch_size=5",
        "qkv_bias=false",
        "use_abs_pos=false",
        "use_rel_pos=false",
        "window_size=4",
        "global_attn_indexes=[]",
        "mlp_dim=40",
        "post_conv_mid_channels=16",
        "post_conv_out_channels=20",
    )
} vision_config={{"output_channels":12,"post_conv_in_channels":12}} {
    inside(
        "text_config",
        "decoder_layers=3",
        "decoder_attention_heads=2",
        "decoder_ffn_dim=40",
        "max_position_embeddings=30",
        'activation_function="relu"',
    )
} {OUTER}
vision-encoder-decoder VisionEncoderDecoderModel E_vit D_bert
  sees @images=1+@grid=[5,5]+@image_tokens=0 decoder={{"hidden_size":36}}+@images=1+@grid=[5,5]+@image_tokens=0+@batch=1
    E_deit+D_gpt2+@images=1+@grid=[5,5]+@image_tokens=0 E_beit+D_roberta+@images=1+@grid=[5,5]+@image_tokens=0+@seq=11
    E_dinov2+D_bart+@images=1+@grid=[5,5]+@image_tokens=0 E_swin+@images=1+@grid=[8,8]+@image_tokens=0
    {words(encoder=SEERS["donut-swin"] | {"window_size": 3})}+@images=1+@grid=[8,8]+@image_tokens=0
    E_donut-swin+D_mbart+@images=1+@grid=[8,8]+@image_tokens=0 E_vit+D_trocr+@images=1+@grid=[5,5]+@image_tokens=0
  built {
    inside(
        "encoder",
        "hidden_size=36",
        "intermediate_size=40",
        "num_hidden_layers=3",
        "image_size=28",
        "patch_size=5",
        "num_channels=1",
        "qkv_bias=false",
        "pooler_output_size=10",
    )
} {
    " ".join(
        words(encoder=SEERS["beit"] | change)
        for change in (
            {"use_mask_token": True},
            {"use_absolute_position_embeddings": True},
            {"use_relative_position_bias": True},
            {"use_shared_relative_position_bias": True},
            {"layer_scale_init_value": 0.0},
            {"use_mean_pooling": False},
        )
    )
} {
    " ".join(
        words(encoder=SEERS["dinov2"] | change)
        for change in ({"use_swiglu_ffn": True}, {"use_mask_token": False}, {"qkv_bias": False}, {"mlp_ratio": 5})
    )
} {
    " ".join(
        words(encoder=SEERS[name] | change)
        for name in ("swin", "donut-swin")
        for change in (
            {"use_absolute_embeddings": True},
            {"window_size": 3},
            {"depths": [1, 2, 1], "num_heads": [1, 2, 4]},
            {"qkv_bias": False},
            {"mlp_ratio": 3.0},
        )
    )
} {inside("decoder", "num_hidden_layers=2", "intermediate_size=40", "tie_word_embeddings=false")} {OUTER}
  trocr-base: {words(**TROCR)}
  donut-base: {words(**DONUT)}
  vit-gpt2: {words(encoder={"model_type": "vit", "encoder_stride": 16})}
    decoder={{"model_type":"gpt2","is_decoder":true,"add_cross_attention":true,"architectures":["GPT2LMHeadModel"]}}
udop UdopForConditionalGeneration {words(**PAGE)}
  sees @images=1+@grid=[5,5]+@image_tokens=25+@seq=40 @images=0+@grid=[0,0]+@image_tokens=0
    @images=1+@grid=[5,5]+@image_tokens=25+@seq=33+@batch=1+@decoder_seq=7
    @images=1+@grid=[5,5]+@image_tokens=25+@seq=33+num_decoder_layers=3+feed_forward_proj="gated-gelu"
  built d_kv=12 d_ff=40 num_layers=3 num_decoder_layers=3 num_heads=2 relative_attention_num_buckets=12
    max_2d_position_embeddings=30 image_size=28 patch_size=5 num_channels=1 feed_forward_proj="gated-gelu" vocab_size=103
    relative_bias_args=[{{"type":"1d"}}]
    relative_bias_args=[{{"type":"1d"}},{{"type":"horizontal","relative_attention_num_buckets":12}}] {OUTER}
idefics IdeficsForVisionText2Text {words(**GATED)} {words(vision_config=EMBED, perceiver_config=LATENTS)}
  sees @images=1+@grid=[5,5]+@image_tokens=0 @images=2+@grid=[5,5]+@image_tokens=0+use_resampler=true
    @images=2+@grid=[5,5]+@image_tokens=0+cross_layer_interval=2+num_hidden_layers=4+@batch=1+@seq=7
  built {
    inside(
        "vision_config",
        "embed_dim=36",
        "intermediate_size=40",
        "num_hidden_layers=3",
        "image_size=28",
        "patch_size=5",
        "num_channels=1",
    )
} use_resampler=true
    use_resampler=true+{words(perceiver_config={"qk_layer_norms_perceiver": True})}
    use_resampler=true+{words(perceiver_config={"resampler_depth": 3, "resampler_head_dim": 12, "resampler_n_latents": 6})}
    cross_layer_interval=2 cross_layer_interval=2+num_hidden_layers=5 qk_layer_norms=true alpha_type="vector"
    additional_vocab_size=7 additional_vocab_size=7+tie_word_embeddings=true num_attention_heads=2 intermediate_size=40 {OUTER}
  idefics-9b: additional_vocab_size=2 cross_layer_interval=4 qk_layer_norms=true use_resampler=true ffn_dim=11008
    {words(perceiver_config={"qk_layer_norms_perceiver": True, "use_resampler": True}, vision_config={"embed_dim": 1280})}
evolla EvollaForProteinText2Text {words(**DENSE)} {words(protein_encoder_config=PROTEINS)} {words(**ALIGNED)}
  sees @images=0+@grid=[0,0] @images=0+@grid=[0,0]+@batch=1+@seq=30+@decoder_seq=5+aligner_num_add_layers=1
    @images=0+@grid=[0,0]+aligner_enable_bias=false+num_hidden_layers=3
  built {
    inside(
        "protein_encoder_config",
        "hidden_size=36",
        "num_hidden_layers=3",
        "num_attention_heads=2",
        "intermediate_size=40",
        "vocab_size=60",
        "emb_layer_norm_before=true",
        'position_embedding_type="absolute"',
    )
} num_key_value_heads=1 attention_bias=true mlp_bias=true aligner_ffn_mult=3 aligner_enable_bias=false aligner_num_add_layers=1
    num_hidden_layers=5 resampler_depth=3 resampler_dim_head=12 resampler_heads=2 resampler_num_latents=6 resampler_ff_mult=3 {
    OUTER
}
pi0 PI0ForConditionalGeneration {words(vlm_config=VLM, dit_config=ACTS)} chunk_size=6 max_state_dim=7 max_action_dim=5
  sees @images=1+@grid=[5,5]+@image_tokens=25+@seq=40 @images=2+@grid=[5,5]+@image_tokens=25+@seq=60+@batch=1+chunk_size=3
  built {inside("dit_config", "hidden_size=36", "intermediate_size=40", "num_attention_heads=2", "attention_bias=true")}
    chunk_size=4 max_state_dim=9 max_action_dim=8
    {words(vlm_config={"vision_config": VISIONS["siglip"] | {"hidden_size": 36}})}
    {words(vlm_config={"text_config": TEXTS["gemma"] | {"vocab_size": 103}})}
    {
    "+".join(
        words(**{key: each})
        for key, each in (
            ("vlm_config", {"text_config": TEXTS["gemma"] | {"num_hidden_layers": 3}}),
            ("dit_config", {"num_hidden_layers": 3}),
        )
    )
} {OUTER}
janus JanusForConditionalGeneration T_llama V_janus {words(vq_config=VQ)} image_token_id=3
  sees @images=1+@grid=[5,5]+@image_tokens=25+@seq=40
  built {
    vision(
        "hidden_size=36",
        "num_hidden_layers=3",
        "image_size=28",
        "patch_size=5",
        "num_channels=1",
        "mlp_ratio=3.0",
        "attention_bias=false",
        "use_qk_norm=true",
        "projection_dim=44",
        "depth=1",
        "depth=4",
    )
} {
    inside(
        "vq_config",
        "embed_dim=10",
        "num_embeddings=40",
        "latent_channels=12",
        "base_channels=64",
        "channel_multiplier=[1,1,2,3]",
        "channel_multiplier=[2]",
        "num_res_blocks=3",
        "projection_dim=40",
        "num_hidden_layers=4",
        "image_token_embed_dim=40",
        "in_channels=1",
        "out_channels=1",
        "double_latent=true",
    )
} {TIED}
cohere_compass CohereCompassForConditionalGeneration T_compass V_deep
  built {vision("hidden_size=36", "out_hidden_size=40", "deepstack_visual_indexes=[]|[0]")} {TIED}
"""
