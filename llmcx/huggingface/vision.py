"""Encoders of images of a size, cut into patches, and the families that have them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.huggingface.common import activation
from llmcx.huggingface.config import Config
from llmcx.huggingface.towers import (
    RMS,
    Towers,
    encoder,
    gated_mlp,
    layers,
    mlp,
    multimodal,
    patches,
    per_image,
    pooled,
    seen,
    side,
)
from llmcx.model.norm import Norm
from llmcx.model.spec import Attention, Gated, Layers, ModelSpec
from llmcx.model.tower import Activated, Dense, Normed, Piece, Table, Tower, Vector

# --- encoders -------------------------------------------------------------------------------------------------------


@encoder("clip_vision_model", "git_vision_model", "kosmos_2_vision_model", "idefics_vision")
def clip(c: Config) -> Towers:
    """A class token, learned positions, a norm before the layers, and one for the class token after them."""
    c.ignore("projection_dim", "vocab_size")
    d, n = c.size("hidden_size"), per_image(c)
    before = (patches(c, d, False), Vector("class", d), Table("positions", n + 1, d), Normed("norm.before", d))
    return (Tower("vision", d, before, layers(c), (Normed("norm", d, per=n),), added=1),)


@encoder(
    *("siglip_vision_model", "siglip2_vision_model", "idefics2_vision", "idefics3_vision", "smolvlm_vision"),
    "cosmos3_edge_vision",
)
def siglip(c: Config) -> Towers:
    """Learned positions, a norm after the layers; by option a head, whose output no language model reads."""
    c.ignore("projection_dim", "projector_hidden_act", "vocab_size", "image_size", "num_image_tokens")
    d = c.size("hidden_size")
    n = c.size("num_patches") if c.model_type in ("siglip2_vision_model", "cosmos3_edge_vision") else per_image(c)
    stack = layers(c)
    tower = Tower("vision", d, (patches(c, d), Table("positions", n, d)), stack, (Normed("norm", d),))
    if not c.has("vision_use_head") or not c.flag("vision_use_head", True):
        return (tower,)
    return tower, pooled(c, d, c.size("intermediate_size"))


@encoder("pixtral")
def pixtral(c: Config) -> Towers:
    """LLaMA's layers with rotary positions in two directions, and a norm before them."""
    c.ignore("image_size", "vocab_size", "head_dim")
    d = c.size("hidden_size")
    stack = layers(c, bias=False, gate=True, rope=True)
    return (Tower("vision", d, (patches(c, d, False), Normed("norm.before", d)), stack, norm=RMS),)


@encoder("internvl_vision", "qianfan_ocr_vision")
def internvl_vision(c: Config) -> Towers:
    """A class token, learned positions; a learned scale on each part's output; queries and keys normed by option."""
    d, n = c.size("hidden_size"), per_image(c)
    c.ignore("drop_path_rate", "layer_scale_init_value", "hidden_dropout_prob", "projection_dropout")
    norm = Norm(c.text("norm_type", ("layer_norm", "rms_norm")).replace("_", ""))  # type: ignore[arg-type]
    qk: dict[str, Any] = {"qk_norm": "full"} if c.flag("use_qk_norm") else {}
    stack = layers(c, bias=True, **{**qk})
    attention = Attention(c.size("num_attention_heads"), bias=c.flag("attention_bias"), out_bias=True, **qk)
    stack = (Layers(stack[0].repeat, attention, stack[0].ffn),)
    before: list[Piece] = [patches(c, d), Vector("class", d)]
    if c.flag("use_mask_token"):
        before.append(Vector("mask", d))
    if c.flag("use_absolute_position_embeddings"):
        before.append(Vector("positions", (n + 1) * d))
    after = () if c.flag("use_mean_pooling") else (Normed("norm", d, Norm()),)
    scales = (Vector("scale.attention", d), Vector("scale.ffn", d))
    return (Tower("vision", d, tuple(before), stack, after, scales, norm, added=1),)


# --- families -------------------------------------------------------------------------------------------------------


@multimodal("gemma3", "shieldgemma2", "t5gemma2_encoder")
def gemma3(c: Config, spec: ModelSpec) -> Towers:
    """SigLIP; its tokens averaged over squares, normed, and multiplied by a matrix."""
    part, towers = seen(c)
    d, per = part.size("hidden_size"), 1
    if c.has("mm_tokens_per_image"):
        side_of = side(part, "image_size") // side(part, "patch_size")
        per = max(1, side_of // max(1, int(c.size("mm_tokens_per_image") ** 0.5))) ** 2
    projector: tuple[Piece, ...] = (Normed("norm", d), Dense("out", d, spec.d_model))
    if c.model_type == "t5gemma2_encoder":
        tables = spec.embedding.token_tables
        projector = (*projector, Vector("end", tables * spec.d_model))  # what stands after an image
    return *towers, Tower("projector", d, projector, norm=RMS, per=per)


@multimodal("paligemma")
def paligemma(c: Config, spec: ModelSpec) -> Towers:
    """SigLIP and a matrix."""
    part, towers = seen(c)
    d = part.size("hidden_size")
    c.ignore("hidden_size", "vocab_size")
    return *towers, Tower("projector", d, (Dense("out", d, c.size("projection_dim"), True),))


@multimodal("llava", "llava_next", "llava_next_video", "llava_onevision", "video_llava", "vipllava")
def llava(c: Config, spec: ModelSpec) -> Towers:
    """Any encoder, of which the output of one layer or of several meets two matrices."""
    part, towers = seen(c)
    d, out = part.size("hidden_size"), spec.d_model
    chosen = c.get("vision_feature_layer")
    if isinstance(chosen, list) and not (chosen and all(type(at) is int for at in chosen)):
        raise c.wrong("vision_feature_layer", chosen, "a layer, or a list of some")
    inner = d * (len(chosen) if isinstance(chosen, list) else 1)
    towers = read_up_to(towers, chosen)
    whole = c.has("vision_feature_select_strategy") and c.text("vision_feature_select_strategy") == "full"
    bias = c.flag("multimodal_projector_bias", True)
    before = (Normed("norm", inner),) if c.model_type == "vipllava" else ()
    projector = (*before, *mlp(inner, out, out, activation(c, "projector_hidden_act"), bias))
    if c.model_type in ("llava_next", "llava_next_video", "llava_onevision"):
        projector = (*projector, Vector("newline", out))
    c.ignore("use_image_newline_parameter", "spatial_pool_mode", "spatial_pool_stride", "projector_layernorm_eps")
    added = towers[0].added if whole else 0
    if c.model_type == "video_llava":  # an encoder for images and one for videos, alike
        towers = (*towers, *towers)
    return *towers, Tower("projector", d, projector, added=added)


def read_up_to(towers: Towers, chosen: object) -> Towers:
    """An encoder of which the outputs of ``chosen`` layers are read, counted from the end: what comes after runs for nothing."""
    first, *more = towers
    last = max(chosen) if isinstance(chosen, list) else chosen
    if not isinstance(last, int) or last >= -1 or len(first.layers) != 1 or first.layers[0].repeat <= -last - 1:
        return towers
    layer = first.layers[0]
    read = replace(first, layers=(replace(layer, repeat=layer.repeat + last + 1),), after=())
    idle = replace(first, before=(), layers=(replace(layer, repeat=-last - 1),), grad=False)
    return read, idle, *more


@multimodal("mistral3", "mistral_large4", "lighton_ocr")
def mistral3(c: Config, spec: ModelSpec) -> Towers:
    """Pixtral; squares of its tokens merged by a matrix, then two more."""
    part, towers = seen(c)
    d, merged = part.size("hidden_size"), c.size("spatial_merge_size") ** 2
    chosen = c.get("vision_feature_layer") if c.has("vision_feature_layer") else -1
    inner = d * (len(chosen) if isinstance(chosen, list) else 1)
    bias = c.flag("multimodal_projector_bias")
    act = activation(c, "projector_hidden_act") if c.has("projector_hidden_act") else "gelu"
    pieces = (
        Normed("norm", d, per=1),
        Dense("merge", d * merged, d),
        *mlp(inner, spec.d_model, spec.d_model, act, bias),
    )
    return *towers, Tower("projector", d, pieces, norm=RMS, per=merged)


@multimodal("internvl", "qianfan_ocr")
def internvl(c: Config, spec: ModelSpec) -> Towers:
    """Squares of tokens laid side by side, normed, and two matrices."""
    part, towers = seen(c)
    c.ignore("vision_feature_layer", "vision_feature_select_strategy")
    d, ratio = part.size("hidden_size"), c.get("downsample_ratio")
    if not isinstance(ratio, (int, float)) or isinstance(ratio, bool) or not 0 < ratio <= 1:
        raise c.wrong("downsample_ratio", ratio, "a number above 0 and at most 1")
    merged = int(1 / ratio) ** 2
    pieces = (
        Normed("norm", d * merged),
        *mlp(d * merged, spec.d_model, spec.d_model, activation(c, "projector_hidden_act")),
    )
    return *towers, Tower("projector", d, pieces, per=merged)


@multimodal("aya_vision", "cohere2_vision")
def aya(c: Config, spec: ModelSpec) -> Towers:
    """SigLIP, squares of tokens side by side, normed in Aya, and a gated feed-forward whose gate and up are one matrix."""
    part, towers = seen(c)
    c.ignore("vision_feature_layer", "vision_feature_select_strategy", "adapter_layer_norm_eps")
    merged = c.size("downsample_factor") ** 2
    inner, stated = part.size("hidden_size") * merged, c.optional("alignment_intermediate_size")
    width = spec.d_model if stated is None else stated
    norm = (Normed("norm", inner),) if c.model_type == "aya_vision" else ()
    pieces = (
        *norm,
        Dense("up", inner, width, True),
        Activated("activation", width // 2, "silu"),
        Dense("down", width // 2, spec.d_model, True),
    )
    return *towers, Tower("projector", inner, pieces, per=merged)


@multimodal("lfm2_vl")
def lfm2_vl(c: Config, spec: ModelSpec) -> Towers:
    """SigLIP 2 for images of any shape; squares of tokens side by side, a norm by option, two matrices."""
    part, towers = seen(c)
    merged = c.size("downsample_factor") ** 2
    inner, width = part.size("hidden_size") * merged, c.size("projector_hidden_size")
    norm = (Normed("norm", inner),) if c.flag("projector_use_layernorm", True) else ()
    act, bias = activation(c, "projector_hidden_act"), c.flag("projector_bias", True)
    pieces = (*norm, *mlp(inner, width, spec.d_model, act, bias))
    return *towers, Tower("projector", inner, pieces, per=merged)


@multimodal("idefics3", "smolvlm", "modernvbert", "ultravbert")
def idefics3(c: Config, spec: ModelSpec) -> Towers:
    """SigLIP; squares of tokens side by side and a matrix."""
    part, towers = seen(c)
    c.ignore("classifier_bias", "classifier_pooling", "initializer_cutoff_factor")  # text_config's count
    merged = c.size("pixel_shuffle_factor" if c.has("pixel_shuffle_factor") else "scale_factor") ** 2
    d = part.size("hidden_size") * merged
    norm = (Normed("norm", spec.d_model, RMS),) if c.model_type == "ultravbert" else ()
    return *towers, Tower("projector", d, (Dense("out", d, spec.d_model), *norm), per=merged)


@multimodal("idefics2")
def idefics2(c: Config, spec: ModelSpec) -> Towers:
    """SigLIP; a gated feed-forward to the language model's width; a resampler whose latents meet its tokens and themselves."""
    part, towers = seen(c)
    p = c.part("perceiver_config")
    assert p is not None
    p.ignore("hidden_size")  # the language model's, whatever it says
    d, width, latents = part.size("hidden_size"), spec.d_model, p.size("resampler_n_latents")
    block = spec.decoder[0].ffn
    assert isinstance(block, Gated)
    ffn = gated_mlp(d, block.d_ff, width, block.activation)
    heads = Attention(p.size("resampler_n_heads"), p.size("num_key_value_heads"), p.size("resampler_head_dim"))
    act = activation(p, "hidden_act")
    layer = Layers(
        p.size("resampler_depth"), cross=heads, ffn=Gated(4 * width, activation=act), norms=("latents", "context", "ffn")
    )
    resampler = Tower(
        "projector",
        width,
        (Vector("latents", latents * width),),
        (layer,),
        (Normed("norm", width),),
        norm=RMS,
        latents=latents,
        added=latents,
    )
    return *towers, Tower("projector", d, ffn), resampler


@encoder("llama4_vision_model")
def llama4_vision(c: Config) -> Towers:
    """A class token and learned positions, rotary ones too, norms before and after the layers."""
    c.ignore("vision_output_dim", "vision_feature_layer", "vision_feature_select_strategy", "projector_dropout")
    d, n = c.size("hidden_size"), per_image(c)
    before = (patches(c, d, False), Vector("class", d), Vector("positions", (n + 1) * d), Normed("norm.before", d))
    return (Tower("vision", d, before, layers(c, rope=True), (Normed("norm", d),), added=1),)


@multimodal("llama4")
def llama4(c: Config, spec: ModelSpec) -> Towers:
    """Squares of tokens side by side, two matrices with activations, and one more."""
    part, towers = seen(c)
    ratio = part.get("pixel_shuffle_ratio")
    part.expect("multi_modal_projector_bias", False)
    if not isinstance(ratio, (int, float)) or isinstance(ratio, bool) or not 0 < ratio <= 1:
        raise part.wrong("pixel_shuffle_ratio", ratio, "a number above 0 and at most 1")
    inner, width, out = (part.size(key) for key in ("intermediate_size", "projector_input_dim", "projector_output_dim"))
    pieces = (
        Dense("up", inner, width),
        Activated("activation", width),
        Dense("down", out, out),
        Activated("activation", out),
        Dense("out", part.size("vision_output_dim"), spec.d_model),
    )
    return *towers, Tower("projector", inner, pieces, per=int(1 / ratio) ** 2)


MOON = ("merge_type", "mm_projector_type", "pos_emb_type", "video_attn_type", "projector_hidden_act", "projector_ln_eps")
"""What MoonViT's files say and transformers takes as given."""


@encoder("kimi_k25_vision")
def moonvit(c: Config) -> Towers:
    """A table of positions for rows and columns, rotary ones besides, and a norm after the layers."""
    d = c.size("hidden_size")
    for key in ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers"):
        c.expect(f"vt_{key}", c.size(key))  # their own names, which transformers does not read
    for key in ("height", "width", "time"):
        c.expect(f"init_pos_emb_{key}", c.size(f"pos_emb_{key}"))
    c.expect("mm_hidden_size", d)
    c.ignore("text_hidden_size", *MOON)
    positions = Vector("positions", c.size("pos_emb_height") * c.size("pos_emb_width") * d)
    stem = Dense("patches", 3 * side(c, "patch_size") ** 2, d, True, stem=True)
    return (Tower("vision", d, (stem, positions), layers(c, rope=True), (Normed("norm", d),)),)


@multimodal("kimi_k25")
def kimi(c: Config, spec: ModelSpec) -> Towers:
    """A norm, squares of tokens side by side, and two matrices."""
    part, towers = seen(c)
    c.ignore("use_unified_vision_chunk")
    rows, columns = part.get("merge_kernel_size")
    d, merged = part.size("hidden_size"), rows * columns
    pieces = (
        Normed("norm", c.size("projection_hidden_size"), per=1),
        *mlp(d * merged, d * merged, spec.d_model, "gelu"),
    )
    return *towers, Tower("projector", d * merged, pieces, per=merged)
