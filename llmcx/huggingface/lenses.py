"""Encoders of images of further families: Granite-Docling, Fuyu, Qwen4, ERNIE 4.5, Muse, Nemotron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from llmcx.huggingface.common import activation, in_order, layer_count, layer_types
from llmcx.huggingface.config import Config
from llmcx.huggingface.grids import qwen3_vl
from llmcx.huggingface.towers import (
    RMS,
    Towers,
    UnknownTower,
    encoder,
    heard,
    layers,
    mlp,
    multimodal,
    patches,
    per_image,
    ratio,
    seen,
    side,
)
from llmcx.model.norm import Norm
from llmcx.model.spec import Attention, Chunked, ModelSpec, Plain
from llmcx.model.tower import Activated, Dense, Filter, Normed, Piece, Table, Tower, Vector

# --- Granite-Docling, Fuyu, Qwen4 -----------------------------------------------------------------------------------


@encoder("granite_docling_vision")
def docling_vision(c: Config) -> Towers:
    """SigLIP, of which some layers' outputs are merged too, for the language model's first ones; by option, a second, finer path
    of the same parts, which most images do not take.
    """
    d, out, scale = c.size("hidden_size"), c.size("out_hidden_size"), c.size("scale_factor", least=2)
    chosen = c.list("deepstack_visual_indexes")
    deep = 3 if chosen is None else len(chosen)
    before = (patches(c, d), Table("positions", per_image(c), d))
    inner, finer = d * scale**2, d * (scale // 2) ** 2
    pieces: list[Piece] = [Normed("norm", d, per=1), Dense("up", inner, out)]
    if deep:
        named = (piece._replace(name=f"deepstack.{piece.name}") for piece in mlp(inner, out, out, "gelu", times=deep))
        pieces += [Normed("deepstack.norm", inner, times=deep), *named]
    pieces += [Normed("norm.inside", out), Activated("activation", out), Dense("down", out, out), Normed("norm.out", out)]
    if c.flag("use_fine_route", True):
        pieces.append(Vector("fine", finer * out + deep * (2 * finer + (finer + 1) * out + (out + 1) * out)))
    vision = Tower("vision", d, before, layers(c), (Normed("norm", d),))
    return vision, Tower("projector", inner, tuple(pieces), per=scale**2)


@multimodal("granite_docling")
def docling(c: Config, spec: ModelSpec) -> Towers:
    """The encoder ends at the language model's width."""
    c.expect("density_router_hidden_size", None)
    c.ignore("density_router_threshold")
    return seen(c)[1]


@multimodal("fuyu")
def fuyu(c: Config, spec: ModelSpec) -> Towers:
    """Patches stand among the tokens as they are, brought to the width by a matrix."""
    c.ignore("image_size", *(key for key in c.data if key not in c.defaults))  # the first files say the language model twice
    return (Tower("projector", spec.d_model, (patches(c, spec.d_model),)),)


encoder("qwen4_exp_vision", "cohere_compass_vision")(qwen3_vl)


@multimodal("qwen4_exp", "cohere_compass")
def qwen4(c: Config, spec: ModelSpec) -> Towers:
    """Qwen3.5's encoder, or Qwen3-VL's."""
    return seen(c)[1]


# --- ERNIE 4.5, Muse, Nemotron --------------------------------------------------------------------------------------


@encoder("ernie4_5_vl_moe_vision")
def ernie_vision(c: Config) -> Towers:
    """Rotary positions in two directions, and a norm after the layers."""
    c.ignore("temporal_merge_size")
    d = c.size("hidden_size")
    stem = patches(c, d, False, "in_channels")
    return (Tower("vision", d, (stem,), layers(c, heads="num_heads", count="depth", rope=True), (Normed("norm", d),)),)


@multimodal("ernie4_5_vl_moe")
def ernie(c: Config, spec: ModelSpec) -> Towers:
    """Squares of tokens, then pairs of frames, which an image repeats, side by side, and a matrix. Every sparse layer of the
    language model has experts of its own for what is seen, as many as for text, behind a router of their own.
    """
    part, towers = seen(c)
    d, merged, times = part.size("hidden_size"), part.size("spatial_merge_size") ** 2, part.size("temporal_merge_size")
    wide, out = d * merged, spec.d_model
    twice: list[Piece] = []
    for name, inner in (("spatial", wide), ("temporal", wide * times)):
        twice += [piece._replace(name=f"{name}.{piece.name}") for piece in mlp(inner, wide, wide, "gelu")]
        twice.append(Normed(f"{name}.norm", wide))
    pieces = (*twice, Dense("out", wide, out, True), Normed("norm", out, RMS))
    text = c.data.get("text_config")
    said = text.get("moe_intermediate_size") if isinstance(text, Mapping) else None
    width = (said or [1536, 512])[1]
    experts = sum(many * (moe.n_experts * (3 * out * width + out + 1)) for many, moe in spec.mixtures)
    c.notes.append("the experts that tokens of images meet are counted apart, as vision_experts")
    own = Tower("vision_experts", out, (Vector("experts", experts),)) if experts else None
    projector = Tower("projector", wide, pieces, per=merged)
    return (*towers, projector, own) if own else (*towers, projector)


@encoder("muse_glimmer_vision", "muse_spark_vision")
def muse_vision(c: Config) -> Towers:
    """Learned and rotary positions; windows as large as the table in most layers."""
    c.ignore("max_position_embeddings")
    d, n, rows, columns = c.size("hidden_size"), layer_count(c), c.size("pos_emb_height"), c.size("pos_emb_width")
    kinds = layer_types(c, "layer_types", ("window_attention", "full_attention"), n)
    kinds = kinds or ["full_attention" if (i + 1) % 4 == 0 or i == n - 1 else "window_attention" for i in range(n)]
    (layer,) = layers(c, rope=True)
    assert isinstance(layer.mixer, Attention)
    full = replace(layer, repeat=1)
    windows = replace(full, mixer=replace(layer.mixer, core=Chunked(rows)))
    stack = in_order(kinds, lambda kind: full if kind == "full_attention" else windows)
    stem = Dense("patches", 3 * c.size("patch_temporal") * side(c, "patch_size") ** 2, d, stem=True)
    before = (stem, Table("positions", rows * columns, d), Normed("norm.before", d))
    return (Tower("vision", d, before, stack, (Normed("norm", d),)),)


@multimodal("muse_glimmer", "muse_spark")
def muse(c: Config, spec: ModelSpec) -> Towers:
    """Squares of tokens side by side and three matrices. Spark hears, too."""
    part, towers = seen(c)
    audio = heard(c)[1] if c.model_type == "muse_spark" else ()
    merged, width, act = part.size("merge_size") ** 2, c.size("projector_hidden_size"), activation(c, "projector_hidden_act")
    inner = part.size("hidden_size") * merged
    c.expect("out_hidden_size", inner)
    pieces = (
        *mlp(inner, width, width, act, False),
        Activated("activation", width, act),
        Dense("out", width, spec.d_model),
        Normed("norm", spec.d_model, Norm("rmsnorm", scale=False)),
    )
    return *towers, Tower("projector", inner, pieces, per=merged), *audio


def _sizes(c: Config, key: str, usual: tuple[int, ...]) -> list[int]:
    """A list of whole numbers, one a layer."""
    found = c.list(key) or [*usual]
    if len(found) != layer_count(c) or not all(type(one) is int and 0 < one < 10**5 for one in found):
        raise c.wrong(key, found, f"{layer_count(c)} whole numbers, one a layer")
    return found


@encoder("muse_spark_audio")
def muse_audio(c: Config) -> Towers:
    """Samples laid side by side, in several steps; in each, filters over time and feed-forwards (Liu et al. 2022,
    arXiv:2201.03545).
    """
    sizes, widths, depths = (
        _sizes(c, key, usual)
        for key, usual in (
            ("patch_sizes", (16, 6, 5, 4)),
            ("hidden_sizes", (256, 512, 1024, 2048)),
            ("depths", (2, 2, 2, 2)),
        )
    )
    if sum(depths) > 10_000:
        raise c.wrong("depths", depths, "at most 10,000 together")
    ratio, act, kernel = c.get("mlp_ratio"), activation(c, "hidden_act"), c.size("conv_kernel_size")
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 < ratio < 1000:
        raise c.wrong("mlp_ratio", ratio, "a number between 0 and 1000")
    parts = per = prod(sizes)
    pieces: list[Piece] = []
    inner = 1
    for at, (size, width, depth) in enumerate(zip(sizes, widths, depths, strict=True)):
        parts //= size
        pieces += [
            Dense(f"{at}.in", inner * size, width, True, stem=at == 0, parts=parts),
            Normed(f"{at}.norm", width, parts=parts),
        ]
        for block in range(depth):
            name = f"{at}.{block}"
            pieces += [Filter(f"{name}.filter", width, kernel, True, parts=parts), Normed(f"{name}.norm", width, parts=parts)]
            wide = int(width * ratio)
            pieces += [
                Dense(f"{name}.up", width, wide, True, parts=parts),
                Activated(f"{name}.activation", wide, act, parts=parts),
            ]
            pieces.append(Dense(f"{name}.down", wide, width, True, parts=parts))
        inner = width
    out = c.size("out_hidden_size")
    pieces += [Normed("norm", inner), Dense("out", inner, out, True), Normed("norm.out", out)]
    return (Tower("audio", inner, tuple(pieces), norm=RMS, fed="audio", per=per),)


@encoder("radio")
def radio(c: Config) -> Towers:
    """C-RADIO (Heinrich et al. 2024, arXiv:2412.07679): several class tokens and registers, a large table of positions, a learned
    scale on each part's output; patches of videos have a matrix of their own.
    """
    c.ignore("summary_idxs", "norm_mean", "norm_std", "layerscale_value", "drop_path_rate", "image_size", "patch_dim")
    c.ignore("video_patch_dim")
    c.expect("use_swiglu_ffn", False)
    d, pixels = c.size("hidden_size"), c.size("num_channels") * side(c, "patch_size") ** 2
    added = c.size("num_cls_tokens", 0) + c.size("num_registers", 0)
    rows = (c.size("max_img_size") // c.size("patch_size")) ** 2
    frames = c.optional("video_temporal_patch_size")
    before = (Dense("patches", pixels, d, stem=True), Vector("positions", rows * d), Vector("class", added * d))
    videos = () if frames is None else (Vector("patches.video", frames * pixels * d),)
    ffn = Plain(int(d * ratio(c)), True, activation(c, "hidden_act"))
    stack = layers(c, ffn=ffn, bias=c.flag("qkv_bias", True), out_bias=True)
    scales = (Vector("scale.attention", d), Vector("scale.ffn", d))
    return (Tower("vision", d, (*before, *videos), stack, inside=scales, added=added),)


@multimodal("nemotron_h_omni")
def nemotron_omni(c: Config, spec: ModelSpec) -> Towers:
    """Squares of tokens side by side, normed, and two matrices. What hears is not read."""
    if c.data.get("audio_config") is not None:
        raise UnknownTower("audio_config")
    text = c.data.get("text_config")
    if isinstance(text, Mapping) and text.get("num_nextn_predict_layers"):
        raise UnknownTower("vision_final_layernorm")
    c.ignore("audio_config", "force_image_size", "video_pruning_rate", "video_temporal_patch_size")
    part, towers = seen(c)
    less, d = c.get("downsample_ratio"), part.size("hidden_size")
    c.expect("vision_hidden_size", d)
    if isinstance(less, bool) or not isinstance(less, (int, float)) or not 0 < less <= 1:
        raise c.wrong("downsample_ratio", less, "a number above 0 and at most 1")
    merged = int(1 / less) ** 2
    pieces = (Normed("norm", d * merged), *mlp(d * merged, c.size("projector_hidden_size"), spec.d_model, "relu2", False))
    return *towers, Tower("projector", d * merged, pieces, norm=RMS, per=merged)
