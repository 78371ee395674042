"""Encoders of images of any shape, and the families that have them: Qwen-VL, GLM-V, Gemma 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmcx.huggingface.common import RMS, SANDWICH, activation, in_order
from llmcx.huggingface.config import Config
from llmcx.huggingface.towers import Towers, encoded, encoder, gated_mlp, layers, mlp, multimodal, patches, per_image, seen
from llmcx.model.norm import Norm
from llmcx.model.spec import Attention, Chunked, Layers, ModelSpec, Plain
from llmcx.model.tower import Activated, Averaged, Dense, Normed, Piece, Table, Tower, Vector

QWEN = ("spatial_patch_size", "tokens_per_second")
"""Keys of Qwen's files that change no count."""


def stem_of_frames(c: Config, d: int, bias: bool) -> Dense:
    """Patches of several frames, which an image repeats."""
    if "in_chans" in c.data:
        c.expect("in_chans", c.size("in_channels"))
    return patches(c, d, bias, "in_channels", c.size("temporal_patch_size"))


def _merged(c: Config) -> int:
    """Patches that become one token of the language model."""
    return c.size("spatial_merge_size") ** 2


@encoder("qwen2_vl_vision")
def qwen2_vl(c: Config) -> Towers:
    """Rotary positions in two directions; a norm, squares of tokens side by side, and two matrices."""
    c.ignore(*QWEN)
    d, merged = c.size("embed_dim"), _merged(c)
    ratio = c.get("mlp_ratio")
    ffn = Plain(int(d * ratio), True, activation(c, "hidden_act"))
    stack = layers(c, "", "num_heads", "depth", ffn=ffn, rope=True)
    projector = (Normed("norm", d, per=1), *mlp(d * merged, d * merged, c.size("hidden_size"), "gelu"))
    return (Tower("vision", d, (stem_of_frames(c, d, False),), stack), Tower("projector", d * merged, projector, per=merged))


@encoder("qwen2_5_vl_vision", "qwen2_5_omni_vision_encoder")
def qwen2_5_vl(c: Config) -> Towers:
    """LLaMA's layers with biases, most of them over windows; the same merger, with an RMS norm."""
    c.ignore(*QWEN)
    d, merged = c.size("hidden_size"), _merged(c)
    stack = windowed(c, layers(c, heads="num_heads", count="depth", gate=True, rope=True)[0])
    projector = (Normed("norm", d, per=1), *mlp(d * merged, d * merged, c.size("out_hidden_size"), "gelu"))
    before = (stem_of_frames(c, d, False),)
    return (Tower("vision", d, before, stack, norm=RMS), Tower("projector", d * merged, projector, norm=RMS, per=merged))


def windowed(c: Config, layer: Layers) -> tuple[Layers, ...]:
    """Layers that attend within windows of window_size pixels, whole tokens of the language model, but for some."""
    assert isinstance(layer.mixer, Attention)
    whole, merge = c.list("fullatt_block_indexes") or [], c.size("spatial_merge_size")
    window = c.size("window_size") // merge // c.size("patch_size") * merge
    if window < 1:
        raise c.wrong("window_size", c.get("window_size"), "at least the pixels of one token")
    inside = replace(layer, repeat=1, mixer=replace(layer.mixer, core=Chunked(window)))
    return in_order((at in whole for at in range(layer.repeat)), lambda full: replace(layer, repeat=1) if full else inside)


@encoder("qwen3_vl_vision", "qwen3_vl_moe_vision", "qwen3_omni_moe_vision_encoder", "qwen3_5_vision", "qwen3_5_moe_vision")
def qwen3_vl(c: Config) -> Towers:
    """Learned positions besides; Qwen3-VL merges the outputs of some layers too, for the language model's first ones."""
    d, merged = c.size("hidden_size"), _merged(c)
    inner, out = d * merged, c.size("out_hidden_size")
    before = (stem_of_frames(c, d, True), Table("positions", c.size("num_position_embeddings"), d))
    stack = layers(c, heads="num_heads", count="depth", rope=True)
    projector: tuple[Piece, ...] = (Normed("norm", d, per=1), *mlp(inner, inner, out, "gelu"))
    deep = c.list("deepstack_visual_indexes") or []
    if deep and c.model_type.startswith("qwen3_5"):
        raise c.wrong("deepstack_visual_indexes", deep, "empty: Qwen3.5 merges the last layer alone")
    if deep:
        merger = mlp(inner, inner, out, "gelu", times=len(deep))
        named = (piece._replace(name=f"deepstack.{piece.name}") for piece in merger)
        projector = (*projector, Normed("deepstack.norm", inner, times=len(deep)), *named)
    return (Tower("vision", d, before, stack), Tower("projector", inner, projector, per=merged))


@encoder("glm4v_vision", "glm4v_moe_vision")
def glm4v(c: Config) -> Towers:
    """LLaMA's layers, as wide inside as what comes out; a convolution over squares, a matrix and a gated feed-forward."""
    d, out, merged = c.size("hidden_size"), c.size("out_hidden_size"), _merged(c)
    act = activation(c, "hidden_act")
    bias = c.flag("attention_bias")
    stack = layers(c, "out_hidden_size", "num_heads", "depth", bias=False, gate=True, rope=True)
    stack = (Layers(stack[0].repeat, Attention(c.size("num_heads"), bias=bias, out_bias=False, rope=True), stack[0].ffn),)
    before = (stem_of_frames(c, d, True), Normed("norm.before", d), Table("positions", per_image(c), d))
    projector = (
        Dense("merge", d * merged, out, True),
        Dense("in", out, out),
        Normed("norm", out, Norm("layernorm")),
        Activated("activation", out),
        *gated_mlp(out, c.size("intermediate_size"), out, act),
    )
    return (Tower("vision", d, before, stack, (Normed("norm", d),), norm=RMS), Tower("projector", out, projector, per=merged))


@multimodal(
    "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "glm4v", "glm4v_moe", "glm46v", "glmga"
)
def whole(c: Config, spec: ModelSpec) -> Towers:
    """The encoder ends at the language model's width."""
    return seen(c)[1]


@multimodal("cosmos3_omni")
def cosmos3(c: Config, spec: ModelSpec) -> Towers:
    """Qwen3-VL's encoder, whatever type the file has for it."""
    given = c.data.get("vision_config")
    if isinstance(given, Mapping):
        c.data["vision_config"] = {**given, "model_type": "qwen3_vl_vision"}
    return seen(c)[1]


@multimodal("hyperclovax_vision_v2")
def hyperclovax(c: Config, spec: ModelSpec) -> Towers:
    """Qwen2.5-VL's encoder, and a matrix to the language model's width."""
    given = c.data.get("vision_config")
    if isinstance(given, Mapping) and given.get("model_type") == "qwen2_5_vl":  # as the released file has it
        c.data["vision_config"] = {**given, "model_type": "qwen2_5_vl_vision"}
    part, towers = seen(c)
    inner = part.size("out_hidden_size")
    out = Dense("out", inner, spec.d_model, True)
    return *towers, Tower("projector", inner, (out,), per=_merged(part))


@encoder("gemma4_vision")
def gemma4_vision(c: Config) -> Towers:
    """Gemma's layers with rotary positions and two tables more; clipped matrices and a standardised output are no parameters."""
    c.ignore("use_clipped_linears", "standardize", "attention_bias", "global_head_dim", "default_output_length")
    d = c.size("hidden_size")
    heads = Attention(
        c.size("num_attention_heads"), c.size("num_key_value_heads"), c.size("head_dim"), rope=True, qk_norm="head", v_norm=True
    )
    layer = layers(c, act="hidden_activation", bias=False, gate=True)[0]
    before = (
        Dense("patches", 3 * c.size("patch_size") ** 2, d, stem=True),
        Vector("positions", 2 * c.size("position_embedding_size") * d),
    )
    pool = Averaged("pool", d, c.size("pooling_kernel_size") ** 2)
    return (Tower("vision", d, before, (Layers(layer.repeat, heads, layer.ffn, norms=SANDWICH),), (pool,), norm=RMS),)


@encoder("gemma4_audio")
def gemma4_audio(c: Config) -> Towers:
    """Two convolutions, each halving time and frequencies, and conformer layers: half a feed-forward, attention with relative
    positions, a gated convolution over time, half a feed-forward (Gulati et al. 2020, arXiv:2005.08100).
    """
    c.ignore(
        "use_clipped_linears", "attention_chunk_size", "attention_context_left", "attention_context_right", "residual_weight"
    )
    c.ignore("attention_logit_cap", "attention_invalid_logits_value", "gradient_clipping")
    d, act, kernel = c.size("hidden_size"), activation(c, "hidden_act"), c.size("conv_kernel_size")
    channels = c.list("subsampling_conv_channels")
    if not isinstance(channels, list) or len(channels) != 2:
        raise c.wrong("subsampling_conv_channels", channels, "two numbers of channels")
    one, two = channels
    before = (
        Dense("stem.0", 9, one, stem=True, per=1),
        Normed("stem.norm.0", one, Norm(bias=False)),
        Dense("stem.1", 9 * one, two),
        Normed("stem.norm.1", two, Norm(bias=False)),
        Dense("stem.out", one // 4 * two, d),
    )
    heads = c.size("num_attention_heads")
    half = (Normed("ffn.0.norm", d), *mlp(d, 4 * d, d, act, False), Normed("ffn.0.norm_out", d))
    convolution = (
        Normed("conv.norm", d),
        Dense("conv.in", d, 2 * d),
        Vector("conv.filter", kernel * d),
        Normed("conv.norm_inside", d),
        Dense("conv.out", d, d),
    )
    relative = (Vector("attention.scale", d // heads), Dense("attention.relative", d, d))
    inside = (*half, *relative, *convolution, Normed("norm.out", d))
    layer = Layers(c.size("num_hidden_layers"), Attention(heads), Plain(4 * d, activation=act), norms=SANDWICH)
    after = (Dense("out", d, c.size("output_proj_dims"), True),)
    return (Tower("audio", d, before, (layer,), after, inside, RMS, "audio", per=4),)


@multimodal("gemma4")
def gemma4(c: Config, spec: ModelSpec) -> Towers:
    """What is seen is averaged over squares, what is heard not; each is normed, without weights, and multiplied by a matrix."""
    return each_normed(c, spec, ("hidden_size", "output_proj_dims"), 4, "projector")


def each_normed(c: Config, spec: ModelSpec, widths: tuple[str, str], frames: int, heard: str) -> Towers:
    """The towers of what is seen and of what is heard, whose ``widths`` stand under these keys; a norm without weights and a
    matrix after each. A token stands for so many ``frames``; what brings it to the model is counted as ``heard``.
    """
    c.ignore("special_tokens")
    towers: Towers = ()
    for key, width in zip(("vision_config", "audio_config"), widths, strict=True):
        found = encoded(c, key)
        if found is None:
            continue
        part, made = found
        d, seeing = part.size(width), key == "vision_config"
        pieces = (Normed("norm", d, Norm("rmsnorm", scale=False)), Dense("out", d, spec.d_model))
        per = part.size("pooling_kernel_size") ** 2 if seeing else frames
        name = "projector" if seeing else heard
        towers = (*towers, *made, Tower(name, d, pieces, fed="image" if seeing else "audio", per=per))
    return towers
