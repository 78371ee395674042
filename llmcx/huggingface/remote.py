"""Families whose code is released beside the weights and is not in transformers: decoders, and models that unmask in any order.

What their code assumes for keys left out is in :mod:`llmcx.huggingface.own`. Each is held to a count that its makers or the index
of its files publish (tests/test_remote.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import repeat
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import LAYER, RMS, gated, heads, in_order, layer_count, model
from llmcx.huggingface.config import ROTARY, SCALES, SCORES, Config
from llmcx.huggingface.llama import qwen2, qwen_layers, uniform
from llmcx.huggingface.moe import after, experts, no_mtp, shared, with_experts
from llmcx.model.mixers.rwkv7 import RWKV7
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Norm


@family("Yi", "xverse")
def yi(c: Config) -> ModelSpec:
    """LLaMA under its makers' name."""
    c.ignore("max_tokenizer_truncation")
    return uniform(c, heads(c), gated(c))


@family("orion")
def orion(c: Config) -> ModelSpec:
    """LLaMA with layer norms."""
    return uniform(c, heads(c, bias=c.flag("attention_bias")), gated(c), LAYER)


@family("internlm", "internlm2")
def internlm(c: Config) -> ModelSpec:
    """LLaMA with one switch for the biases of all four projections."""
    c.ignore("rotary")
    return uniform(c, heads(c, bias=c.flag("bias")), gated(c))


@family("baichuan")
def baichuan(c: Config) -> ModelSpec:
    """LLaMA; the larger ones, which state no max_position_embeddings, tell positions by slopes in place of rotations."""
    c.ignore("z_loss_weight")
    rotary = c.data.get("max_position_embeddings") is not None
    context = "max_position_embeddings" if rotary else "model_max_length"
    layer = Layers(c.size("num_hidden_layers"), heads(c, rope=rotary), gated(c))
    return model(c, decoder=(layer,), norm=RMS, context=context if c.has(context) else None)


@family("minicpm")
def minicpm(c: Config) -> ModelSpec:
    """LLaMA with multipliers, tied unless it says otherwise, and full-size experts where it has any."""
    c.ignore("scale_depth", "dim_model_base", "mup_denominator", "sparse_config", *SCALES)
    if c.data.get("sparse_config"):
        c.notes.append("sparse_config is not applied: every pair is counted")
    mixer = heads(c, bias=c.flag("attention_bias"))
    c.ignore("num_experts_per_tok")
    if c.size("num_experts", 0):
        return uniform(c, mixer, experts(c, "num_experts", width="intermediate_size"))
    return uniform(c, mixer, gated(c, bias=c.flag("mlp_bias")))


@family("qwen")
def qwen(c: Config) -> ModelSpec:
    """The first Qwen: biases on queries, keys and values, and a feed-forward half as wide as the file says."""
    c.ignore(
        "onnx_safe", "bf16", "fp16", "fp32", "scale_attn_weights", "use_dynamic_ntk", "use_logn_attn", "use_cache_quantization"
    )
    c.ignore("use_cache_kernel", "activation", "apply_residual_connection_post_layernorm", "bias_dropout_fusion", "n_inner")
    c.ignore("params_dtype", "pos_emb", *ROTARY)
    c.expect("activation", "swiglu")
    bias = not c.flag("no_bias")
    ffn = Gated(c.size("intermediate_size", 2) // 2, bias)
    return uniform(c, heads(c, bias=True, out_bias=bias), ffn)


@family("chatglm")
def chatglm(c: Config) -> ModelSpec:
    """ChatGLM 2 and 3, and GLM-4-9B: a few key-value heads, biases on queries, keys and values; the bare class has the head."""
    c.ignore("apply_query_key_layer_scaling", "attention_softmax_in_fp32", "bias_dropout_fusion", "fp32_residual_connection")
    c.ignore("original_rope", "quantization_bit", "prefix_projection", "apply_residual_connection_post_layernorm", *ROTARY)
    c.ignore("interleaved_qkv", "tie_word_embeddings", "multi_query_group_num", "classifier_dropout")
    c.expect("pre_seq_len", None)
    n, bias = c.size("num_attention_heads"), c.flag("add_bias_linear")
    groups = c.size("multi_query_group_num") if c.flag("multi_query_attention") else n
    mixer = Attention(n, groups, c.size("head_dim"), bias=bias or c.flag("add_qkv_bias"), out_bias=bias, rope=True)
    layer = Layers(c.size("num_hidden_layers"), mixer, Gated(c.size("intermediate_size"), bias))
    norm = RMS if c.flag("rmsnorm") else LAYER
    return model(c, decoder=(layer,), norm=norm, final_norm=c.flag("post_layer_norm"), head=Head(tied=False))


@family("mimo")
def mimo(c: Config) -> ModelSpec:
    """Qwen2 with layers for multi-token prediction."""
    no_mtp(c, "num_nextn_predict_layers")
    c.expect("attention_bias", True)
    return qwen2(c)


UNMASKS = "it unmasks tokens in any order: each pass sees all of them, both ways, and leaves no cache"


@family("Dream")
def dream(c: Config) -> ModelSpec:
    """Qwen2 without a mask."""
    c.ignore("mask_token_id")
    c.expect("attention_bias", True)
    c.notes.append(UNMASKS)
    return qwen_layers(c, heads(c, bias=True, out_bias=False), "encoder")


@family("llada")
def llada(c: Config) -> ModelSpec:
    """LLaMA's layers without a mask, under OLMo's first names."""
    c.ignore("alibi_bias_max", "attention_layer_norm_with_affine", "block_group_size", "flash_attention", "init_cutoff_factor")
    c.ignore("mlp_ratio", "precision", "rope_full_precision", "scale_logits", "rms_norm_eps", "embedding_dropout", *ROTARY)
    c.expect("block_type", "llama")
    c.expect("layer_norm_type", "rms")
    c.expect("activation_type", "silu")
    c.expect("layer_norm_with_affine", True)
    c.expect("rope", True)
    for key in ("alibi", "attention_layer_norm", "bias_for_layer_norm", "input_emb_norm"):
        c.expect(key, False)
    c.expect("multi_query_attention", None, False)
    bias = c.flag("include_bias")
    mixer = heads(c, bias=bias or c.flag("include_qkv_bias"), out_bias=bias)
    c.notes.append(UNMASKS)
    layer = Layers(c.size("num_hidden_layers"), mixer, Gated(c.size("intermediate_size"), bias))
    return model(c, encoder=(layer,), norm=RMS, head=Head(tied=c.flag("tie_word_embeddings")))


@family("nemotron-nas")
def nemotron_nas(c: Config) -> ModelSpec:
    """LLaMA whose layers differ, as block_configs has them: key-value heads, a width, and either part missing."""
    n, blocks = layer_count(c), c.list("block_configs")
    if blocks is None or len(blocks) != n or not all(isinstance(block, Mapping) for block in blocks):
        raise c.wrong("block_configs", blocks, f"a list of {n} mappings")
    c.ignore("num_key_value_heads", "intermediate_size")
    wide, bias = c.size("hidden_size"), c.flag("attention_bias")
    n_heads, mlp_bias = c.size("num_attention_heads"), c.flag("mlp_bias")

    def part(block: Mapping[str, Any], name: str) -> Config | None:
        """One part of a block; None where it is left out."""
        inner = Config(block, c.model_type, f"{c.source}: block_configs", {}).inner(name)
        inner.expect("replace_with_linear", False)
        inner.expect("sparsify", None)
        return None if inner.flag("no_op") else inner

    def kind(block: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """Key-value heads and width of one block."""
        attention, ffn = part(block, "attention"), part(block, "ffn")
        groups = width = None
        if attention is not None:
            for key in ("window_length", "num_sink_tokens"):
                attention.expect(key, None)
            each = attention.size("n_heads_in_group")
            if n_heads % each:
                raise attention.wrong("n_heads_in_group", each, f"a divisor of {n_heads}")
            groups = n_heads // each
        if ffn is not None:
            factor = ffn.get("ffn_mult")
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 1000:
                raise ffn.wrong("ffn_mult", factor, "a number between 0 and 1000")
            width = -(-int(2 * factor * wide / 3) // 256) * 256
        return groups, width

    c.ignore(*ROTARY, *SCORES)

    def make(one: tuple[int | None, int | None]) -> Layers:
        groups, width = one
        mixer = None if groups is None else Attention(n_heads, groups, wide // n_heads, bias=bias, rope=True)
        return Layers(1, mixer, None if width is None else Gated(width, mlp_bias))

    c.expect("hidden_act", "silu")
    return model(c, decoder=in_order(map(kind, blocks), make), norm=RMS)


@family("rwkv7")
def rwkv7(c: Config) -> ModelSpec:
    """RWKV-7: a layer norm after the embedding; the first layer has no values of an earlier one to mix in."""
    n, d = c.size("num_hidden_layers"), c.size("hidden_size")
    c.ignore("attn_mode", "fuse_norm", "hidden_ratio", "num_heads", "head_dim")
    c.expect("attn", None)
    c.expect("norm_first", True)
    c.expect("hidden_act", "sqrelu")
    values = c.get("value_dim")  # released files list one for each layer
    if any(value not in (None, d) for value in (values if isinstance(values, list) else [values])):
        raise c.wrong("value_dim", values, f"{d}, as hidden_size")
    heads = d // c.size("head_dim") if c.optional("head_dim") else c.size("num_heads")
    width = c.optional("intermediate_size")
    if width is None:
        width = -(-c.size("hidden_ratio") * d // 32) * 32
    ranks = [c.size(f"{leaf}_low_rank_dim") for leaf in ("decay", "a", "v", "gate")]
    first = RWKV7(heads, ranks[0], ranks[1], 0, ranks[3], width)
    layers = [Layers(1, first, norms=("attention", "ffn"))]
    if n > 1:
        layers.append(Layers(n - 1, replace(first, value=ranks[2]), norms=("attention", "ffn")))
    norm, vocab = Norm("layernorm", bias=c.flag("norm_bias")), c.size("vocab_size")
    return model(c, context=None, embedding=Embedding(vocab, normed=True), decoder=tuple(layers), norm=norm)


# --- mixtures of experts ------------------------------------------------------------------------------------------------


@family("bailing_moe")
def bailing_moe(c: Config) -> ModelSpec:
    """Ling and Ring: LLaMA's attention, in the second edition with normalised heads; small experts beside shared ones."""
    no_mtp(c, "num_nextn_predict_layers")
    c.ignore(
        "norm_head", "norm_softmax", "moe_router_enable_expert_bias", "score_function", "router_dtype", "mtp_loss_scaling_factor"
    )
    c.expect("multi_gate", False)
    qk = {"qk_norm": "head"} if c.flag("use_qk_norm") else {}
    mixer = heads(c, bias=c.flag("use_qkv_bias"), out_bias=c.flag("use_bias"), **qk)
    own = c.optional("moe_shared_expert_intermediate_size") is not None
    width = "moe_shared_expert_intermediate_size" if own else "moe_intermediate_size"
    moe = experts(c, "num_experts", shared=shared(c, "num_shared_experts", width, c.flag("use_bias")))
    sparse = after(c, c.size("first_k_dense_replace", 0))
    return model(c, decoder=with_experts(repeat(mixer), moe, gated(c, bias=c.flag("use_bias")), sparse), norm=RMS)
