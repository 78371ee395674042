"""Further kin of LLaMA, dense: each is the original with one thing changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    GEMMA,
    LAYER,
    SANDWICH,
    WIDE_RMS,
    gated,
    head_dim,
    heads,
    plain,
    window,
)
from llmcx.huggingface.config import ROUTING, SCALES, Config
from llmcx.huggingface.llama import uniform, with_window
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.further import Differential, Dynamic
from llmcx.model.spec import Attention, Embedding, ModelSpec, Norm


def square(c: Config) -> Attention:
    """Attention whose output projection transformers makes hidden_size wide on both sides, whatever the heads are."""
    n, d = c.size("num_attention_heads"), c.size("hidden_size")
    if (width := head_dim(c, n)) * n != d:
        raise c.wrong("head_dim", width, f"hidden_size / num_attention_heads, {d} / {n}")
    return heads(c)


@family("internlm3", "iquestcoder")
def internlm3(c: Config) -> ModelSpec:
    """LLaMA, biases by option: InternLM 3's all by one."""
    bias, ffn_bias = c.flag("attention_bias"), c.flag("mlp_bias")
    if c.model_type == "internlm3" and bias != ffn_bias:
        raise c.wrong("attention_bias", bias, f"mlp_bias, {ffn_bias}")
    c.expect("clip_qkv", None)
    c.expect("use_sliding_window", False)
    return uniform(c, heads(c, bias=bias), gated(c, bias=ffn_bias))


@family("hyperclovax")
def hyperclovax(c: Config) -> ModelSpec:
    """Granite with norms after each part too, by option."""
    c.ignore(*SCALES)
    norms = SANDWICH if c.flag("use_post_norm", True) else None
    return uniform(c, heads(c, bias=c.flag("attention_bias")), gated(c, bias=c.flag("mlp_bias")), norms=norms)


@family("bitnet")
def bitnet(c: Config) -> ModelSpec:
    """A norm before each part's last matrix. What the matrices are quantised to changes no count."""
    mixer = replace(square(c), bias=c.flag("attention_bias"), out_norm=True)
    return uniform(c, mixer, replace(gated(c), inner_norm=True))


@family("granite_swa")
def granite_swa(c: Config) -> ModelSpec:
    """Granite with a sink per head, and a window but in every fourth layer, the first of them global."""
    c.ignore("layer_rope_theta", *SCALES)
    mixer = heads(c, bias=c.flag("attention_bias"), sinks=True)
    return with_window(c, mixer, gated(c, bias=c.flag("mlp_bias")), c.optional("sliding_window"), lambda i: i % 4 != 0)


@family("helium")
def helium(c: Config) -> ModelSpec:
    """Norms that scale in fp32, no bias on the output projection."""
    mixer = replace(square(c), bias=c.flag("attention_bias"), out_bias=False)
    return uniform(c, mixer, gated(c, bias=c.flag("mlp_bias")), WIDE_RMS)


@family("nanochat")
def nanochat(c: Config) -> ModelSpec:
    """Norms without weights, one of them after the embedding and others on each head's queries and keys; squared ReLU."""
    c.ignore(*SCALES)
    norm = Norm("rmsnorm", scale=False)
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", qk_norm_type=norm)
    return uniform(c, mixer, plain(c), norm, embedding=Embedding(c.size("vocab_size"), normed=True))


@family("jais2")
def jais2(c: Config) -> ModelSpec:
    """Layer norms and a plain feed-forward (squared ReLU), biases by option."""
    return uniform(c, heads(c, bias=c.flag("attention_bias")), plain(c, bias=c.flag("mlp_bias")), LAYER)


@family("cwm")
def cwm(c: Config) -> ModelSpec:
    """No biases but in the feed-forward, by option; a window but in every fourth layer, the first of them global."""
    c.expect("attention_bias", False)
    size = c.optional("sliding_window", 0) or None
    return with_window(c, heads(c), gated(c, bias=c.flag("mlp_bias")), size, lambda i: i % 4 != 0)


def shape(mixer: Mixer) -> dict[str, Any]:
    """The fields of attention, for one that has more."""
    return {key: value for key, value in vars(mixer).items() if key != "type"}


@family("diffllama")
def diffllama(c: Config) -> ModelSpec:
    """The difference of two attentions."""
    return uniform(c, Differential(**shape(heads(c, bias=c.flag("attention_bias")))), gated(c))


@family("doge")
def doge(c: Config) -> ModelSpec:
    """A mask that the values say, a norm on each head's queries and keys, scaled residual sums."""
    c.expect("is_moe", False)
    c.ignore("keep_window_size", "num_experts", "num_experts_per_tok", *ROUTING)
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", core=window(c.optional("sliding_window")))
    return uniform(c, Dynamic(**shape(mixer)), gated(c, bias=c.flag("mlp_bias")))


@family("muse_glimmer_text")
def muse(c: Config) -> ModelSpec:
    """Gemma's order of norms, queries and keys normed without weights, a gate on what comes out of attention; a window but in
    every fourth layer, counted from the last.
    """
    c.ignore("final_logit_softcapping", "qk_scale_factor", "output_multiplier", "layer_rope_theta")
    n, bare = c.size("num_hidden_layers"), Norm("rmsnorm", scale=False)
    mixer = heads(c, bias=c.flag("attention_bias"), gate=True, gate_bias=False, qk_norm="head", qk_norm_type=bare)
    ffn = gated(c, act="hidden_activation")
    size = c.optional("sliding_window")
    return with_window(c, mixer, ffn, size, lambda i: (n - 1 - i) % 4 != 0, GEMMA, norms=SANDWICH)
