"""Decoders of the years before LLaMA: the first GPT, CTRL, XGLM, BioGPT, the Japanese GPT-NeoX, Persimmon."""

from __future__ import annotations

from llmcx.huggingface import family
from llmcx.huggingface.common import LAYER, activation, head, heads, model, plain
from llmcx.huggingface.config import ROTARY, SUMMARY, Config
from llmcx.huggingface.llama import uniform
from llmcx.model.spec import Attention, Embedding, Layers, ModelSpec, Plain


@family("openai-gpt")
def openai_gpt(c: Config) -> ModelSpec:
    """Norms after each part, and none at the end; learned positions."""
    c.ignore(*SUMMARY)
    act = {"gelu": "gelu_new"}.get(c.text("afn", ("relu", "silu", "gelu", "swish")), activation(c, "afn"))
    ffn = Plain(4 * c.size("n_embd"), True, act)
    layers = Layers(c.size("n_layer"), Attention(c.size("n_head"), bias=True, softmax_fp32=False, joint=True), ffn)
    embedding = Embedding(c.size("vocab_size"), c.size("n_positions"))
    return model(c, d_model="n_embd", context="n_positions", embedding=embedding, decoder=(layers,), final_norm=False)


@family("ctrl")
def ctrl(c: Config) -> ModelSpec:
    """Sinusoidal positions, ReLU, a bias in the head."""
    mixer = Attention(c.size("n_head"), bias=True, softmax_fp32=False)
    layers = Layers(c.size("n_layer"), mixer, Plain(c.size("dff"), True, "relu"))
    return model(c, d_model="n_embd", context="n_positions", decoder=(layers,), head=head(c, bias=True))


@family("xglm")
def xglm(c: Config) -> ModelSpec:
    """Sinusoidal positions, biases everywhere."""
    c.expect("add_cross_attention", False)
    c.ignore("scale_embedding")
    mixer = Attention(c.size("attention_heads"), bias=True, softmax_fp32=False)
    layers = Layers(c.size("num_layers"), mixer, plain(c, "ffn_dim", "activation_function", True))
    return model(c, d_model="d_model", decoder=(layers,))


@family("biogpt")
def biogpt(c: Config) -> ModelSpec:
    """Two spare rows of learned positions, biases everywhere."""
    c.ignore("scale_embedding")
    mixer = Attention(c.size("num_attention_heads"), bias=True, softmax_fp32=False)
    embedding = Embedding(c.size("vocab_size"), c.size("max_position_embeddings") + 2)
    return uniform(c, mixer, plain(c, bias=True), LAYER, embedding=embedding)


@family("gpt_neox_japanese")
def gpt_neox_japanese(c: Config) -> ModelSpec:
    """GPT-NeoX without biases but for one on the output projection of the last layer."""
    c.ignore(*ROTARY)
    n, heads = c.size("num_hidden_layers"), c.size("num_attention_heads")
    ffn = Plain(c.size("intermediate_multiple_size") * c.size("hidden_size"), activation=activation(c, "hidden_act"))
    last = Layers(1, Attention(heads, out_bias=True, rope=True, joint=True), ffn)
    layers = (Layers(n - 1, Attention(heads, rope=True, joint=True), ffn), last) if n > 1 else (last,)
    return model(c, decoder=layers)


@family("persimmon")
def persimmon(c: Config) -> ModelSpec:
    """Layer norms, on each head's queries and keys too by option; a plain feed-forward (squared ReLU), biases everywhere."""
    c.expect("num_key_value_heads", None, c.size("num_attention_heads"))
    c.expect("head_dim", None, c.size("hidden_size") // c.size("num_attention_heads"))
    qk = {"qk_norm": "head", "qk_norm_type": LAYER} if c.flag("qk_layernorm", True) else {}
    return uniform(c, heads(c, bias=True, joint=True, **qk), plain(c, bias=True), LAYER)
