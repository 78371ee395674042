"""GPT-2 and its kin: plain feed-forwards, layer norms, learned positions or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from llmcx.huggingface import family
from llmcx.huggingface.common import LAYER, SCALE_ONLY, activation, head, in_order, layer_count, model, window
from llmcx.huggingface.config import ROTARY, SUMMARY, Config
from llmcx.model.spec import Attention, Embedding, Layers, ModelSpec, Norm, Plain, Sliding


@family("gpt2", "gpt-sw3", "gpt_bigcode")
def gpt2(c: Config) -> ModelSpec:
    """Learned positions, biases everywhere; GPT-BigCode shares one key-value head."""
    c.expect("add_cross_attention", False)
    c.ignore("n_ctx", "reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx", "scale_attn_weights")
    c.ignore("attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "inference_runner", "validate_runner_input")
    c.ignore("pre_allocate_kv_cache", "max_batch_size", "pad_key_length", *SUMMARY)
    n = c.size("n_head")
    kv_heads = 1 if c.flag("multi_query") else n
    c.expect("num_key_value_heads", kv_heads)
    ffn = Plain(c.optional("n_inner") or 4 * c.size("n_embd"), True, activation(c, "activation_function"))
    mixer = Attention(n, kv_heads, bias=True, softmax_fp32=c.model_type == "gpt_bigcode", joint=True)
    return model(
        c,
        d_model="n_embd",
        context="n_positions",
        embedding=Embedding(c.size("vocab_size"), c.size("n_positions")),
        decoder=(Layers(c.size("n_layer"), mixer, ffn),),
    )


@family("gpt_neo")
def gpt_neo(c: Config) -> ModelSpec:
    """Windows in layers that attention_layers or else attention_types names; a bias on the output projection alone."""
    n = layer_count(c, "num_layers")
    mixer = Attention(c.size("num_heads"), out_bias=True)
    ffn = Plain(c.optional("intermediate_size") or 4 * c.size("hidden_size"), True, activation(c, "activation_function"))
    cores = {"global": window(None), "local": Sliding(c.size("window_size"), kept=True)}
    kinds = c.list("attention_layers")
    c.ignore("attention_types", *SUMMARY)
    if kinds is None:
        types = c.data.get("attention_types") or [[["global", "local"], 12]]
        try:
            listed = (kind for pattern, times in types for _ in range(min(int(times), n + 1)) for kind in pattern)
            kinds = list(islice(listed, n + 1))
        except (TypeError, ValueError, OverflowError):
            raise c.wrong("attention_types", types, "a list of [[kinds], times]") from None
    if len(kinds) != n or any(kind not in ("global", "local") for kind in kinds):
        raise c.wrong("attention_types", kinds, f"global or local for each of {n} layers")
    layers = in_order(kinds, lambda kind: Layers(1, replace(mixer, core=cores[kind]), ffn))
    return model(c, embedding=Embedding(c.size("vocab_size"), c.size("max_position_embeddings")), decoder=layers)


@family("gptj", "codegen")
def gptj(c: Config) -> ModelSpec:
    """Attention without biases and a feed-forward with them, side by side after one norm; a bias in the head."""
    ffn = Plain(c.optional("n_inner") or 4 * c.size("n_embd"), True, activation(c, "activation_function"))
    c.ignore("n_ctx", "scale_attn_weights", "rotary", *SUMMARY, *ROTARY)
    n = c.size("n_head")
    if c.model_type == "codegen" and n % 4:
        raise c.wrong("n_head", n, "a multiple of 4, because the queries, keys and values are laid out in four parts")
    layers = Layers(c.size("n_layer"), Attention(n, rope=True, joint=c.model_type == "codegen"), ffn, norms=("layer",))
    return model(c, d_model="n_embd", context="n_positions", decoder=(layers,), head=head(c, bias=True))


@family("gpt_neox")
def gpt_neox(c: Config) -> ModelSpec:
    """Two norms whether or not the parts stand side by side; an untied head."""
    c.ignore("use_parallel_residual", *ROTARY)
    mixer = Attention(c.size("num_attention_heads"), bias=c.flag("attention_bias"), rope=True, one_matrix=True)
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    return model(c, decoder=(Layers(c.size("num_hidden_layers"), mixer, ffn),))


@family("opt")
def opt(c: Config) -> ModelSpec:
    """Two spare rows of positions; 350M embeds in another width than it works at, and ends without a norm."""
    bias, before = c.flag("enable_bias", True), c.flag("do_layer_norm_before", True)
    width = c.optional("word_embed_proj_dim")
    width = None if width == c.size("hidden_size") else width
    rows = c.size("max_position_embeddings") + 2
    ffn = Plain(c.size("ffn_dim"), bias, activation(c, "activation_function"))
    affine = c.flag("layer_norm_elementwise_affine", True)
    c.ignore("learned_embeddings", "scale_embeddings")
    built = head(c)
    if width is not None and built is None:  # whose last hidden states are projected back all the same
        raise c.wrong("word_embed_proj_dim", width, f"hidden_size, {c.size('hidden_size')}, without a head over the vocabulary")
    return model(
        c,
        head=built,
        embedding=Embedding(c.size("vocab_size"), rows, width=width, projection_bias=False, positions_full=True),
        decoder=(Layers(c.size("num_hidden_layers"), Attention(c.size("num_attention_heads"), bias=bias), ffn),),
        norm=LAYER if affine else Norm("layernorm", bias=False, scale=False),
        final_norm=before and not c.flag("_remove_final_layer_norm"),
    )


@family("bloom")
def bloom(c: Config) -> ModelSpec:
    """ALiBi positions, a norm after the embedding, biases everywhere."""
    width = _width(c)
    c.ignore("apply_residual_connection_post_layernorm", "slow_but_exact", "seq_length", "masked_softmax_fusion", "n_inner")
    c.ignore("offset_alibi", "skip_bias_add", "skip_bias_add_qkv", "bias_dropout_fusion", "attention_softmax_in_fp32")
    ffn = Plain(4 * c.size(width), True, "gelu_tanh")
    layers = Layers(c.size("n_layer"), Attention(c.size("n_head"), bias=True, joint=True), ffn)
    return model(c, d_model=width, context=None, embedding=Embedding(c.size("vocab_size"), normed=True), decoder=(layers,))


@family("mpt")
def mpt(c: Config) -> ModelSpec:
    """No biases anywhere, a feed-forward of 4 d_model whatever expansion_ratio says, ALiBi positions."""
    c.ignore("attn_config", "expansion_ratio", "no_bias", "learned_pos_emb", "norm_type", "init_device", "init_config")
    c.ignore("embedding_fraction", "verbose", "loss_fn", "tokenizer_name", "ffn_config")
    n = c.size("n_heads")
    only = {"attn_type": "multihead_attention", "kv_n_heads": n, "ffn_type": "mptmlp"}
    for part in ("attn_config", "ffn_config"):
        stated = c.data.get(part) or {}
        if not isinstance(stated, Mapping):
            raise c.wrong(part, stated, "a mapping")
        for key in only:
            if stated.get(key, only[key]) != only[key]:
                raise c.wrong(f"{part}.{key}", stated[key], f"{only[key]!r}, the only one that transformers builds")
    if c.data.get("no_bias", True) is not True or c.data.get("expansion_ratio", 4) != 4:
        c.notes.append("transformers builds MPT without biases and 4 d_model wide, whatever no_bias and expansion_ratio say")
    layers = Layers(c.size("n_layers"), Attention(n, joint=True), Plain(4 * c.size("d_model")))
    return model(c, d_model="d_model", context="max_seq_len", decoder=(layers,), norm=SCALE_ONLY)


@family("falcon")
def falcon(c: Config) -> ModelSpec:
    """Multi-query (7B), grouped-query (40B, the new decoder) or multi-head (RW); side by side or in turn."""
    n, width, one_kv, bias = c.size("num_attention_heads"), _width(c), c.flag("multi_query"), c.flag("bias")
    new, parallel = c.flag("new_decoder_architecture"), c.flag("parallel_attn")
    if new and not parallel:
        raise c.wrong("parallel_attn", parallel, "true with new_decoder_architecture")
    stated = c.optional("num_kv_heads")
    kv_heads = (stated or n) if new else 1 if one_kv else n
    norms = c.optional("num_ln_in_parallel_attn") or (2 if new else 1)
    if parallel and norms > (2 if new else 1):
        raise c.wrong("num_ln_in_parallel_attn", norms, "1, or 2 with new_decoder_architecture")
    c.ignore("apply_residual_connection_post_layernorm", "ff_factor", *ROTARY)
    ffn = Plain(c.optional("ffn_hidden_size") or 4 * c.size(width), bias, activation(c, "activation"))
    mixer = Attention(n, kv_heads, bias=bias, rope=not c.flag("alibi"), joint=True)
    layers = Layers(c.size("num_hidden_layers"), mixer, ffn, norms=("layer",) if parallel and norms == 1 else None)
    return model(c, d_model=width, decoder=(layers,))


def _width(c: Config) -> str:
    """The key of d_model: the old n_embed where it is stated, which then wins."""
    c.ignore("n_embed", "hidden_size")
    return "hidden_size" if c.data.get("n_embed") is None else "n_embed"
