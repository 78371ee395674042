"""LLaMA and its kin: RMS norms, rotary grouped-query attention, gated feed-forwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    LAYER,
    RMS,
    SANDWICH,
    SCALE_ONLY,
    WIDE_RMS,
    gated,
    head,
    heads,
    in_order,
    layer_count,
    model,
    plain,
    window,
    windowed_layers,
)
from llmcx.huggingface.config import SCALES, Config
from llmcx.model.spec import FFN, Attention, Embedding, Gated, Layers, ModelSpec, Norm, Plain

POST = ("attention_out", "ffn_out")  # norms on the way out of a part, not in


def uniform(
    c: Config, mixer: Attention, ffn: FFN, norm: Norm = RMS, norms: tuple[str, ...] | None = None, **parts: Any
) -> ModelSpec:
    """A decoder of layers that are all alike."""
    return model(c, decoder=(Layers(c.size("num_hidden_layers"), mixer, ffn, norms=norms),), norm=norm, **parts)


def windowed(
    c: Config, mixer: Attention, ffn: Gated | Plain, every: int | None, norm: Norm = RMS, stack: str = "decoder", **layer: Any
) -> ModelSpec:
    """Layers with a sliding window, but for every ``every``-th (None: all of them have it)."""
    size = c.optional("sliding_window")
    return with_window(c, mixer, ffn, size, lambda i: every is None or (i + 1) % every != 0, norm, stack, **layer)


def with_window(
    c: Config,
    mixer: Attention,
    ffn: FFN,
    size: int | None,
    local: Callable[[int], bool],
    norm: Norm = RMS,
    stack: str = "decoder",
    **layer: Any,
) -> ModelSpec:
    """Layers with a window of ``size`` (None: without) where layer_types says, else where ``local(i)``."""

    def make(is_local: bool) -> Layers:
        return Layers(1, replace(mixer, core=window(size if is_local else None)), ffn, **layer)

    kinds = windowed_layers(c, lambda i: size is not None and local(i))
    parts: dict[str, Any] = {stack: in_order(kinds, make), "norm": norm}
    return model(c, **parts)


def pattern(c: Config, otherwise: int) -> int:
    """Every how many layers one is global: the old key sliding_window_pattern, else the family's own."""
    return c.size("sliding_window_pattern") if c.has("sliding_window_pattern") else otherwise


@family("llama")
def llama(c: Config) -> ModelSpec:
    """The original; biases by option."""
    c.ignore("perceiver_config", "pixel_shuffle_factor")  # SmolVLM's, of the side that sees
    return uniform(c, heads(c, bias=c.flag("attention_bias")), gated(c, bias=c.flag("mlp_bias")))


@family("mllama_text_model")
def mllama(c: Config) -> ModelSpec:
    """LLaMA in which some layers meet an image in place of the tokens before, behind two gates; 8 rows of the table are no
    words.
    """
    n, crossed = layer_count(c), c.list("cross_attention_layers")
    crossed = [*range(3, 39, 5)] if crossed is None else crossed
    mixer, ffn = heads(c), gated(c)
    cross = replace(mixer, rope=False, qk_norm="head", scalars=2)
    plain, seeing = Layers(1, mixer, ffn), Layers(1, None, ffn, cross, norms=("cross_attention", "ffn"))
    order = in_order((at in crossed for at in range(n)), lambda sees: seeing if sees else plain)
    return model(c, decoder=order, norm=RMS, embedding=Embedding(c.size("vocab_size"), spare=8))


@family("mistral", "ministral3", "phi3", "phi4_multimodal")
def mistral(c: Config) -> ModelSpec:
    """LLaMA without biases, every layer with the same sliding window if there is one."""
    for key in ("attention_bias", "mlp_bias", "lm_head_bias"):
        c.expect(key, False)
    c.ignore("full_attn_mod", "interpolate_factor")
    joined = c.model_type.startswith("phi")
    return uniform(c, heads(c, core=window(c.optional("sliding_window")), one_matrix=joined), gated(c, joint=joined))


@family("ministral")
def ministral(c: Config) -> ModelSpec:
    """LLaMA with windows by layer_types."""
    return windowed(c, heads(c), gated(c), None)


@family("qwen2", "qwen2_vl_text", "qwen2_5_vl_text", "qwen2_5_omni_text")
def qwen2(c: Config) -> ModelSpec:
    """Biases on queries, keys and values; an optional window above max_window_layers."""
    if c.data.get("dual_chunk_attention_config"):
        c.notes.append("dual_chunk_attention_config is not applied: eager code multiplies every pair")
    c.ignore("dual_chunk_attention_config")
    return qwen_layers(c, heads(c, bias=True, out_bias=False))


@family("qwen3", "qwen3_vl_text", "sdar")
def qwen3(c: Config) -> ModelSpec:
    """A norm over each head of the queries and keys, always."""
    c.ignore("use_qk_norm")
    if c.model_type == "sdar":
        c.ignore(*SDAR)
        c.notes.append("the tokens of a block are unmasked together: a step is counted a token, as one after the other")
    return qwen_layers(c, heads(c, bias=c.flag("attention_bias"), qk_norm="head"))


@family("molmo2_text")
def molmo2(c: Config) -> ModelSpec:
    """Qwen3, or OLMo's norms; rows of the table that the head does not have."""
    c.ignore("rope_scaling_layers")
    kind = {"qwen3": "head", "olmo": "full"}[c.text("qk_norm_type", ("qwen3", "olmo"))]
    mixer = heads(c, bias=c.flag("attention_bias"), out_bias=False, qk_norm=kind)
    table = Embedding(c.size("vocab_size"), spare=c.size("additional_vocab_size", least=0))
    return uniform(c, mixer, gated(c), norms=POST if c.flag("norm_after") else None, embedding=table)


SDAR = ("block_size", "debug", "fuse_cross_entropy", "mask_token_id", "micro_forward", "skip_checkpoint", "use_deepep", "ep_size")
"""Keys of a model that draws blocks of tokens, whose layers are Qwen3's."""


def qwen_layers(c: Config, mixer: Attention, stack: str = "decoder") -> ModelSpec:
    """Qwen's decoder, or the same layers without a mask: a window, if it is used, from max_window_layers on."""
    size = c.optional("sliding_window") if c.flag("use_sliding_window") else None
    first = c.size("max_window_layers", 0) if c.has("max_window_layers") else 0
    c.expect("use_mrope", False)
    c.ignore("sliding_window")
    return with_window(c, mixer, gated(c), size, lambda i: i >= first, stack=stack)


@family("olmo")
def olmo(c: Config) -> ModelSpec:
    """Layer norms without weights."""
    c.ignore("clip_qkv")
    return uniform(c, heads(c, bias=c.flag("attention_bias")), gated(c), Norm("layernorm", bias=False, scale=False, fp32=True))


@family("olmo2")
def olmo2(c: Config) -> ModelSpec:
    """Norms after each part, and over all queries and all keys."""
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="full", qk_norm_type=WIDE_RMS)
    return uniform(c, mixer, gated(c), WIDE_RMS, POST)


@family("olmo3")
def olmo3(c: Config) -> ModelSpec:
    """OLMo 2 with a window in three of four layers."""
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="full", qk_norm_type=WIDE_RMS)
    return windowed(c, mixer, gated(c), 4, WIDE_RMS, norms=POST)


@family("cohere")
def cohere(c: Config) -> ModelSpec:
    """Attention and feed-forward side by side after one layer norm without shift."""
    c.ignore(*SCALES)
    qk = {"qk_norm": "heads", "qk_norm_type": SCALE_ONLY} if c.flag("use_qk_norm") else {}
    return uniform(c, heads(c, bias=c.flag("attention_bias"), **qk), gated(c), SCALE_ONLY, norms=("layer",))


@family("cohere2")
def cohere2(c: Config) -> ModelSpec:
    """Cohere with a window in three of four layers."""
    mixer = heads(c, bias=c.flag("attention_bias"))
    c.ignore("order_of_interleaved_layers", "position_embedding_type", "rotary_pct", "use_embedding_sharing")
    c.ignore("use_gated_activation", "use_parallel_block", "use_parallel_embedding", "use_qk_norm", "layer_switch", *SCALES)
    return windowed(c, mixer, gated(c), pattern(c, 4), SCALE_ONLY, norms=("layer",))


@family("granite", "granite_docling_text", "granite4_vision_text")
def granite(c: Config) -> ModelSpec:
    """LLaMA with multipliers, which cost nothing."""
    c.ignore(*SCALES)
    return uniform(c, heads(c, bias=c.flag("attention_bias")), gated(c, bias=c.flag("mlp_bias")))


@family("glm")
def glm(c: Config) -> ModelSpec:
    """Biases on queries, keys and values."""
    return uniform(c, heads(c, bias=c.flag("attention_bias"), out_bias=False), gated(c, joint=True))


@family("glm4", "glm4v_text", "glm_ocr_text")
def glm4(c: Config) -> ModelSpec:
    """GLM with norms after each part too; beside images, always with the biases."""
    bias = c.model_type == "glm4v_text" or c.flag("attention_bias")
    c.ignore("attention_bias")
    return uniform(c, heads(c, bias=bias, out_bias=False), gated(c, joint=True), norms=SANDWICH)


@family("smollm3")
def smollm3(c: Config) -> ModelSpec:
    """LLaMA in which some layers have no rotary positions; those have the window, if one is used."""
    mixer, ffn = heads(c, bias=c.flag("attention_bias")), gated(c, bias=c.flag("mlp_bias"))
    size = c.optional("sliding_window") if c.flag("use_sliding_window") else None
    c.ignore("sliding_window", "max_window_layers")
    rotary, every = c.list("no_rope_layers"), c.size("no_rope_layer_interval")

    def local(i: int) -> bool:
        return not rotary[i] if rotary is not None and i < len(rotary) else (i + 1) % every == 0

    return with_window(c, mixer, ffn, size, local)


@family("seed_oss")
def seed_oss(c: Config) -> ModelSpec:
    """The output projection's bias is an option of its own."""
    mixer = heads(c, bias=c.flag("attention_bias"), out_bias=c.flag("attention_out_bias"))
    return uniform(c, mixer, gated(c, bias=c.flag("mlp_bias")))


@family("exaone4")
def exaone4(c: Config) -> ModelSpec:
    """Norms after each part and on each head's queries and keys; a window but in every fourth layer."""
    stated = c.get("sliding_window_pattern")
    if stated is None:
        every = 1
    elif isinstance(stated, str):  # "LLLG": one global layer in four
        every = len(stated) or 1
    else:
        every = c.size("sliding_window_pattern")
    return windowed(c, heads(c, qk_norm="head"), gated(c), every, norms=POST)


HUNYUAN = ("cla_share_factor", "dense_list", "norm_type", "org_vocab_size", "pool_type", "use_rotary_pos_emb")
"""Keys of HunYuan files that transformers does not read."""


@family("hunyuan_v1_dense", "hunyuan_vl_text")
def hunyuan(c: Config) -> ModelSpec:
    """A norm on each head's queries and keys, whatever use_qk_norm says."""
    c.ignore("use_qk_norm", *HUNYUAN)
    c.expect("use_cla", False)
    return uniform(c, heads(c, bias=c.flag("attention_bias"), qk_norm="head"), gated(c))


@family("arcee")
def arcee(c: Config) -> ModelSpec:
    """LLaMA with a plain feed-forward (squared ReLU)."""
    return uniform(c, heads(c, bias=c.flag("attention_bias")), plain(c, bias=c.flag("mlp_bias")))


@family("apertus")
def apertus(c: Config) -> ModelSpec:
    """A plain feed-forward with xIELU, whose two numbers are learned; a norm on each head's queries and keys."""
    c.ignore("mlp_bias", "qk_norm", "post_norm")
    learned = c.get("hidden_act") == "xielu"
    ffn = Plain(c.size("intermediate_size"), activation="xielu") if learned else plain(c)
    return uniform(c, heads(c, bias=c.flag("attention_bias"), qk_norm="head"), ffn)


@family("ernie4_5", "paddleocr_vl_text")
def ernie(c: Config) -> ModelSpec:
    """LLaMA with one switch for all biases."""
    bias = c.flag("use_bias")
    return uniform(c, heads(c, bias=bias), gated(c, bias=bias))


@family("nemotron")
def nemotron(c: Config) -> ModelSpec:
    """Layer norms and a plain feed-forward (squared ReLU)."""
    c.ignore("normalization", "position_embedding_type")
    return uniform(c, heads(c, bias=c.flag("attention_bias")), plain(c, bias=c.flag("mlp_bias")), LAYER)


@family("starcoder2")
def starcoder2(c: Config) -> ModelSpec:
    """Layer norms, a plain feed-forward, one switch for all biases."""
    bias = c.flag("use_bias")
    c.ignore("mlp_type", "norm_type", "activation_function", "scale_attn_weights")
    return uniform(c, heads(c, bias=bias, core=window(c.optional("sliding_window"))), plain(c, bias=bias), LAYER)


@family("stablelm")
def stablelm(c: Config) -> ModelSpec:
    """Layer norms around LLaMA's parts; side by side after one norm with use_parallel_residual."""
    qk = {"qk_norm": "heads", "qk_norm_type": SCALE_ONLY} if c.flag("qk_layernorm") else {}
    mixer = heads(c, bias=c.flag("use_qkv_bias"), out_bias=False, **qk)
    c.ignore("use_norm_bias")
    c.expect("head_dim", c.size("hidden_size") // mixer.n_heads)
    _check_rotary(c, mixer, 0.25)
    return uniform(c, mixer, gated(c), LAYER, ("layer",) if c.flag("use_parallel_residual") else None)


@family("phi")
def phi(c: Config) -> ModelSpec:
    """Attention and a plain feed-forward side by side after one layer norm, biases everywhere, in the head too."""
    qk = {"qk_norm": "head", "qk_norm_type": LAYER} if c.flag("qk_layernorm") else {}
    mixer = heads(c, bias=True, **qk)
    _check_rotary(c, mixer, 0.5)
    return uniform(c, mixer, plain(c, bias=True), LAYER, ("layer",), head=head(c, bias=True))


def _check_rotary(c: Config, mixer: Attention, otherwise: float) -> None:
    """Refuse a partial_rotary_factor that leaves an odd part of each head: transformers rotates pairs, and fails or widens it."""
    places = (c.data.get("rope_scaling") or c.data.get("rope_parameters"), c.data)
    stated = [
        place["partial_rotary_factor"] for place in places if isinstance(place, Mapping) and "partial_rotary_factor" in place
    ]
    factor, dim = stated[0] if stated else otherwise, mixer.width(c.size("hidden_size"))
    if not isinstance(factor, (int, float)) or not 0 <= factor <= 1 or int(dim * factor) % 2:
        raise c.wrong("partial_rotary_factor", factor, f"a fraction that leaves an even number of each head's {dim} dimensions")
