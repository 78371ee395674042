"""Encoders of images of the newest families, and the families that have them: Step, MiniMax, MiniCPM-V, LFM 3, HunYuan, Gemma's
without an encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmcx.huggingface.common import activation, layer_count, layer_types
from llmcx.huggingface.config import Config
from llmcx.huggingface.grids import each_normed
from llmcx.huggingface.towers import (
    RMS,
    Towers,
    UnknownTower,
    encoder,
    layers,
    mlp,
    multimodal,
    patches,
    per_image,
    ratio,
    seen,
    side,
)
from llmcx.model.spec import Attention, Chunked, Gated, Layers, ModelSpec, Plain
from llmcx.model.tower import Activated, Dense, Filter, Normed, Piece, Table, Tower, Vector

# --- Step 3.7, MiniMax M3 -------------------------------------------------------------------------------------------


@encoder("step3p5_vision")
def step(c: Config) -> Towers:
    """Rotary positions beside the table, a learned scale on each part's output; two convolutions, each halving both sides."""
    c.ignore("max_position_embeddings", "layer_scale_init_value", "ls_init_value", "intermediate_size", "output_dim", "pool_type")
    c.ignore("use_abs_posemb", "use_cls_token", "use_ln_post", "use_ln_pre", "use_rope2d")  # which transformers takes as given
    for first, now in (("width", "hidden_size"), ("layers", "num_hidden_layers"), ("heads", "num_attention_heads")):
        if first in c.data:  # as released files have it
            c.data[now] = c.data.pop(first)
    d = c.size("hidden_size")
    ffn = Plain(int(d * ratio(c)), True, activation(c, "hidden_act"))
    before = (patches(c, d, False), Table("positions", per_image(c), d), Normed("norm.before", d))
    scales = (Vector("scale.attention", d), Vector("scale.ffn", d))
    down = (Dense("down.0", 9 * d, 2 * d, True, per=4), Dense("down.1", 18 * d, 4 * d, True))
    return Tower("vision", d, before, layers(c, ffn=ffn, rope=True), inside=scales), Tower("projector", 4 * d, down, per=16)


@multimodal("step3p7")
def step3p7(c: Config, spec: ModelSpec) -> Towers:
    """A matrix."""
    if "vision_config" not in c.data and "hidden_size" in c.data:  # a file of the language model alone
        raise UnknownTower("vision_config")
    c.ignore("understand_projector_stride", "vision_select_layer", "image_token_len", "patch_token_len", "im_end_token")
    part, towers = seen(c)
    d = 4 * part.size("hidden_size")
    return *towers, Tower("projector", d, (Dense("out", d, spec.d_model, c.flag("projector_bias")),), per=16)


@encoder("minimax_m3_vl_vision")
def minimax_vision(c: Config) -> Towers:
    """CLIP's layers with rotary positions in three directions, and no table."""
    c.ignore("image_size")
    d = c.size("hidden_size")
    stem = patches(c, d, False, frames=c.size("temporal_patch_size"))
    return (Tower("vision", d, (stem, Normed("norm.before", d)), layers(c, rope=True)),)


@multimodal("minimax_m3_vl")
def minimax(c: Config, spec: ModelSpec) -> Towers:
    """Two matrices for each patch, and two for squares of what comes out."""
    part, towers = seen(c)
    d, width, out, merged = (
        part.size("hidden_size"),
        c.size("projector_hidden_size"),
        spec.d_model,
        part.size("spatial_merge_size"),
    )
    each = (Dense("up", d, width, True), Activated("activation", width), Dense("down", width, out, True))
    both = (piece._replace(name=f"merge.{piece.name}") for piece in mlp(out * merged**2, width, out, "gelu"))
    return *towers, Tower("projector", d, each), Tower("projector", out, (*both,), per=merged**2)


# --- Gemma 4 without an encoder -------------------------------------------------------------------------------------


@encoder("gemma4_unified_vision")
def gemma_patches(c: Config) -> Towers:
    """Squares of patches, normed, and a matrix; two tables of positions."""
    pixels, d = 3 * (c.size("patch_size") * c.size("pooling_kernel_size")) ** 2, c.size("mm_embed_dim")
    before = (
        Normed("norm.pixels", pixels),
        Dense("patches", pixels, d, True),
        Normed("norm.before", d),
        Vector("positions", 2 * c.size("mm_posemb_size") * d),
        Normed("norm", d),
    )
    return (Tower("vision", d, before, per=c.size("pooling_kernel_size") ** 2),)


@encoder("gemma4_unified_audio")
def gemma_frames(c: Config) -> Towers:
    """What a frame of sound holds, as it is."""
    c.size("audio_embed_dim")
    return ()


@multimodal("gemma4_unified")
def gemma4_unified(c: Config, spec: ModelSpec) -> Towers:
    """What is seen and what is heard are each normed, without weights, and multiplied by a matrix."""
    return each_normed(c, spec, ("output_proj_dims", "audio_embed_dim"), 1, "audio_projector")


# --- LFM 3 ----------------------------------------------------------------------------------------------------------


@encoder("lfm3_vl_vision")
def lfm3_vision(c: Config) -> Towers:
    """Gated filters over squares of patches, with normed attention in some layers."""
    d, n, kernel = c.size("hidden_size"), layer_count(c), c.size("conv_kernel_size")
    c.ignore("norm_eps")
    kinds = layer_types(c, "layer_types", ("conv", "full_attention"), n)
    kinds = kinds or ["conv" if i < 2 or i % 2 else "full_attention" for i in range(n)]
    heads = Attention(c.size("num_attention_heads"), c.size("num_key_value_heads"), rope=True, qk_norm="head")
    ffn = Gated(c.size("intermediate_size"))
    before = (patches(c, d, False, "in_channels", c.size("temporal_patch_size")), Normed("norm.before", d))
    filters = (Dense("conv.in", d, 3 * d), Filter("conv.filter", d, kernel**2), Dense("conv.out", d, d))
    towers: Towers = (Tower("vision", d, before, norm=RMS),)
    if many := kinds.count("conv"):
        towers = (*towers, Tower("vision", d, (), (Layers(many, None, ffn, norms=("conv", "ffn")),), inside=filters, norm=RMS))
    if many := kinds.count("full_attention"):
        towers = (*towers, Tower("vision", d, (), (Layers(many, heads, ffn),), norm=RMS))
    return towers


@multimodal("lfm3_vl")
def lfm3_vl(c: Config, spec: ModelSpec) -> Towers:
    """A norm, squares of tokens side by side, and two matrices."""
    part, towers = seen(c)
    d, merged = part.size("hidden_size"), part.size("spatial_merge_size") ** 2
    act, bias = activation(c, "projector_hidden_act"), c.flag("projector_bias", True)
    pieces = (Normed("norm", d, per=1), *mlp(d * merged, c.size("projector_hidden_size"), spec.d_model, act, bias))
    return *towers, Tower("projector", d * merged, pieces, per=merged)


# --- MiniCPM-V 4.6 --------------------------------------------------------------------------------------------------


@encoder("minicpmv4_6_vision", "minicpmv4_7_vision", "minicpm_ocr_vision")
def minicpm_vision(c: Config) -> Towers:
    """SigLIP, in which after some layer squares of four tokens meet and become one; by mode, they are passed by."""
    d, act = c.size("hidden_size"), activation(c, "hidden_act")
    at, (layer,) = c.size("insert_layer_id", least=0), layers(c)
    if at >= layer.repeat:
        raise c.wrong("insert_layer_id", at, f"below the {layer.repeat} layers")
    if c.get("window_kernel_size") not in ([2, 2], (2, 2)):
        raise c.wrong("window_kernel_size", c.get("window_kernel_size"), "[2, 2], the only one that llmcx understands")
    assert isinstance(layer.mixer, Attention)
    before: tuple[Piece, ...] = (patches(c, d), Table("positions", per_image(c), d))
    wide, norm = 4 * c.size("intermediate_size"), Normed("norm", d)
    if c.get("downsample_mode") == "4x":
        attention, ffn = 4 * d * (d + 1) + 2 * d, 8 * d + wide * (4 * d + 1) + d * (wide + 1)
        return (Tower("vision", d, (*before, Vector("merge", attention + ffn)), (layer,), (norm,)),)
    merger: tuple[Piece, ...] = (
        Normed("merge.norm", 4 * d, per=4),
        Dense("merge.up", 4 * d, wide, True, per=4),
        Activated("merge.activation", wide, act, per=4),
        Dense("merge.down", wide, d, True, per=4),
    )
    meets = Layers(1, replace(layer.mixer, core=Chunked(2)), norms=("attention",))
    first = Tower("vision", d, before, (replace(layer, repeat=at + 1), meets), merger)
    rest = (replace(layer, repeat=layer.repeat - at - 1),) if layer.repeat > at + 1 else ()
    return first, Tower("vision", d, (), rest, (norm,), per=4)


@multimodal("minicpmv4_6", "minicpmv4_7", "minicpm_ocr")
def minicpmv(c: Config, spec: ModelSpec) -> Towers:
    """Squares of four tokens become one, as often as the file says, at last at the language model's width."""
    c.ignore("image_size", "drop_vision_last_layer")
    c.ignore(*(f"{mark}_id" for mark in ("image_start", "image_end", "slice_start", "slice_end", "newline")))
    mode = c.text("downsample_mode", ("16x", "4x"))
    c.expect("merge_kernel_size", [2, 2])
    given = c.data.get("vision_config")  # whose layer is overridden
    said = {"insert_layer_id": c.size("insert_layer_id", least=0), "downsample_mode": mode}
    c.data["vision_config"] = {**(given if isinstance(given, Mapping) else {}), **said}
    part, towers = seen(c)
    d, times, per = part.size("hidden_size"), c.size("merger_times"), 16 if mode == "16x" else 4
    for at in range(times):
        out = spec.d_model if at == times - 1 else d
        towers = (*towers, Tower("projector", 4 * d, (Normed("norm", 4 * d), *mlp(4 * d, 4 * d, out, "gelu")), per=per * 4**at))
    return towers


# --- HunYuan --------------------------------------------------------------------------------------------------------


@encoder("hunyuan_vl_vision")
def hunyuan_vision(c: Config) -> Towers:
    """A table of positions; squares of tokens brought to twice, then four times the width; marks before, between and after
    images, and one at the end of each row.
    """
    c.ignore("interpolate_mode", "img_max_token_num", "min_image_size", "max_vit_seq_len", "out_hidden_size")
    c.ignore("temporal_patch_size", "image_size", "add_patchemb_bias", "cat_extra_token", "hidden_dropout")
    d, out, merge = c.size("hidden_size"), c.size("text_hidden_size"), c.size("spatial_merge_size")
    rows = (c.size("max_image_size") // side(c, "patch_size")) ** 2 + 1
    before = (patches(c, d), Table("positions", rows, d))
    c.ignore("num_key_value_heads")  # there are as many as heads, whatever it says
    pieces = (
        Normed("norm", d, RMS, per=1),
        Dense("merge", d * merge**2, 2 * d, True),
        Activated("activation", 2 * d, activation(c, "hidden_act")),
        Dense("up", 2 * d, 4 * d, True),
        Vector("newline", 4 * d),
        Dense("out", 4 * d, out, True),
        Vector("marks", 3 * out),
        Normed("norm.out", out, RMS),
    )
    return Tower("vision", d, before, layers(c)), Tower("projector", d, pieces, per=merge**2)


@multimodal("hunyuan_vl")
def hunyuan(c: Config, spec: ModelSpec) -> Towers:
    """The encoder ends at the language model's width, whatever it says itself."""
    given = c.data.get("vision_config")
    c.data["vision_config"] = {**(given if isinstance(given, Mapping) else {}), "text_hidden_size": spec.d_model}
    return seen(c)[1]
