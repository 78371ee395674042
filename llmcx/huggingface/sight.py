"""Further encoders of images, and the families that have them: Llama 3.2, Ovis, GOT-OCR, Phi-4, small readers of documents."""

from __future__ import annotations

from dataclasses import replace

from llmcx.huggingface.common import activation, in_order, layer_count
from llmcx.huggingface.config import Config
from llmcx.huggingface.grids import stem_of_frames, windowed
from llmcx.huggingface.towers import (
    RMS,
    Towers,
    encoder,
    gated_mlp,
    heard,
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
from llmcx.model.spec import Attention, Chunked, Gated, Layers, ModelSpec, Plain
from llmcx.model.tower import Activated, Dense, Normed, Piece, Table, Tower, Vector

# --- Llama 3.2 ------------------------------------------------------------------------------------------------------


@encoder("mllama_vision_model")
def mllama_vision(c: Config) -> Towers:
    """A class token; tables of positions in a tile and of tiles, behind gates; then layers over all tiles, whose parts are gated.
    The outputs of some layers are laid beside the last's.
    """
    c.ignore("intermediate_layers_indices", "supported_aspect_ratios", "vision_output_dim")
    d, n, tiles = c.size("hidden_size"), per_image(c) + 1, c.size("max_num_tiles")
    shapes = c.list("supported_aspect_ratios")
    rows = (8 if shapes is None else len(shapes)) + 1  # as many as four tiles can make
    before: tuple[Piece, ...] = (
        patches(c, d, False),
        Vector("class", d),
        Vector("positions", n * d + 1),
        Table("tiles", rows, tiles * n * d),
        Table("tiles.before", rows, tiles * d),
        Table("tiles.after", rows, tiles * d),
        Vector("tiles.gates", 2),
        Normed("norm.before", d),
        Normed("norm", d),
    )
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    layer = Layers(c.size("num_hidden_layers"), Attention(c.size("attention_heads")), ffn)
    over_all = Layers(c.size("num_global_layers"), layer.mixer, ffn)
    return Tower("vision", d, before, (layer,), added=1), Tower("vision", d, (), (over_all,), inside=(Vector("gates", 2),))


@multimodal("mllama")
def mllama(c: Config, spec: ModelSpec) -> Towers:
    """A matrix to the width of the language model, whose cross-attention layers meet what comes out."""
    part, towers = seen(c)
    d = part.size("vision_output_dim")
    return *towers, Tower("projector", d, (Dense("out", d, spec.d_model, True),), added=1)


# --- Ovis 2, GOT-OCR 2 ----------------------------------------------------------------------------------------------


@encoder("ovis2_vision")
def ovis2_vision(c: Config) -> Towers:
    """Learned positions and RMS norms, also before the layers; a head that gives each token a share of every visual word."""
    c.ignore("tokenize_function")
    d, words = c.size("hidden_size"), c.size("vocab_size") - c.size("num_visual_indicator_tokens")
    before = (patches(c, d), Table("positions", per_image(c), d), Normed("norm.before", d))
    ffn = Gated(c.size("intermediate_size"), c.flag("mlp_bias"), activation(c, "hidden_act"))
    layer = Layers(c.size("num_hidden_layers"), Attention(c.size("num_attention_heads"), bias=c.flag("qkv_bias")), ffn)
    per = c.size("hidden_stride") ** 2
    head = (Dense("head", d * per, words), Normed("norm", words, Norm("layernorm")))
    return Tower("vision", d, before, (layer,), (Normed("norm", d),), norm=RMS), Tower("vision", d * per, head, per=per)


@multimodal("ovis2")
def ovis2(c: Config, spec: ModelSpec) -> Towers:
    """A table of visual words, of which a token is the mean in its shares. Its width and the head's are said beside text_config,
    and a head of other sizes than the model's can be built, not run.
    """
    part, towers = seen(c)
    width, vocab = c.size("hidden_size"), c.size("vocab_size")
    if spec.head is not None and not spec.head.tied and (width, vocab) != (spec.d_model, spec.embedding.vocab):
        c.expect("hidden_size", spec.d_model)
        c.expect("vocab_size", spec.embedding.vocab)
    words, per = part.size("vocab_size"), part.size("hidden_stride") ** 2
    return *towers, Tower("projector", words, (Table("words", words, width),), per=per)


@encoder("got_ocr2_vision", "pp_chart2table_vision", "pp_formulanet_vision")
def sam(c: Config) -> Towers:
    """SAM's encoder (Kirillov et al. 2023, arXiv:2304.02643): windows in most layers, relative positions in all, and two
    convolutions.
    """
    d, out, n = c.size("hidden_size"), c.size("output_channels"), per_image(c)
    heads, depth, edge = c.size("num_attention_heads"), layer_count(c), side(c, "image_size") // side(c, "patch_size")
    whole = {at for at in c.list("global_attn_indexes") or [] if isinstance(at, int) and 0 <= at < depth}
    window = c.size("window_size", 0)
    before: list[Piece] = [patches(c, d)]
    if c.flag("use_abs_pos"):
        before.append(Vector("positions", n * d))
    if c.flag("use_rel_pos"):
        sides = [2 * (edge if at in whole or not window else window) - 1 for at in range(depth)]
        before.append(Vector("positions.relative", 2 * sum(sides) * (d // heads)))
    ffn = Plain(c.size("mlp_dim"), True, activation(c, "hidden_act"))
    mixer = Attention(heads, bias=c.flag("qkv_bias"), out_bias=True, places=c.flag("use_rel_pos"))
    inside = replace(mixer, core=Chunked(window)) if window else mixer
    stack = in_order((at in whole for at in range(depth)), lambda every: Layers(1, mixer if every else inside, ffn))
    neck = (Dense("neck.0", d, out), Normed("neck.norm.0", out), Dense("neck.1", 9 * out, out), Normed("neck.norm.1", out))
    return (Tower("vision", d, tuple(before), stack, neck, pads=True),)


@multimodal("got_ocr2", "pp_chart2table")
def got_ocr2(c: Config, spec: ModelSpec) -> Towers:
    """Two convolutions, each halving both sides, and a matrix."""
    part, towers = seen(c)
    d, out = part.size("output_channels"), spec.d_model
    pieces = (Dense("up.0", 9 * d, 2 * d, per=4), Dense("up.1", 18 * d, out), Dense("out", out, out, True))
    return *towers, Tower("projector", d, pieces, per=16)


# --- Qwen's and GLM's kin -------------------------------------------------------------------------------------------


@encoder("exaone4_5_vision")
def exaone(c: Config) -> Towers:
    """Qwen2.5-VL's, with fewer heads of keys and values."""
    c.ignore("tokens_per_second")
    d, merged = c.size("hidden_size"), c.size("spatial_merge_size") ** 2
    layer = layers(c, heads="num_heads", count="depth", gate=True, rope=True, n_kv_heads=c.size("num_key_value_heads"))[0]
    stack = windowed(c, layer)
    pieces = (Normed("norm", d, per=1), *mlp(d * merged, d * merged, c.size("out_hidden_size"), "gelu"))
    before = (stem_of_frames(c, d, False),)
    return Tower("vision", d, before, stack, norm=RMS), Tower("projector", d * merged, pieces, norm=RMS, per=merged)


@encoder("glm_ocr_vision", "glm5_next_vision")
def glm_ocr(c: Config) -> Towers:
    """GLM-V's with biases, normed queries and keys, and no table of positions."""
    c.ignore("swiglu_limit")
    width = "projection_intermediate_size"
    d, out, merged = c.size("hidden_size"), c.size("out_hidden_size"), c.size("spatial_merge_size") ** 2
    c.ignore("image_size")
    act = activation(c, "hidden_act")
    stack = layers(c, heads="num_heads", count="depth", gate=True, rope=True, bias=c.flag("attention_bias"), qk_norm="head")
    pieces = (
        Dense("merge", d * merged, out, True),
        Dense("in", out, out),
        Normed("norm", out, Norm("layernorm")),
        Activated("activation", out),
        *gated_mlp(out, c.size(width) if c.has(width) else out * c.size("in_channels"), out, act),
    )
    vision = Tower("vision", d, (stem_of_frames(c, d, True),), stack, (Normed("norm", d),), norm=RMS)
    return vision, Tower("projector", out, pieces, norm=RMS, per=merged)


@multimodal("exaone4_5", "glm_ocr", "glm5_next")
def whole(c: Config, spec: ModelSpec) -> Towers:
    """The encoder ends at the language model's width."""
    return seen(c)[1]


# --- SigLIP's kin ---------------------------------------------------------------------------------------------------


@encoder("video_llama_3_vision")
def video_llama_vision(c: Config) -> Towers:
    """SigLIP's layers with rotary positions in place of a table."""
    d = c.size("hidden_size")
    return (Tower("vision", d, (patches(c, d),), layers(c, rope=True), (Normed("norm", d),)),)


@multimodal("video_llama_3", "deepseek_vl")
def two_matrices(c: Config, spec: ModelSpec) -> Towers:
    """SigLIP and two matrices."""
    part, towers = seen(c)
    return *towers, Tower(
        "projector", part.size("hidden_size"), mlp(part.size("hidden_size"), spec.d_model, spec.d_model, "gelu")
    )


@encoder("paddleocr_vl_vision")
def paddle_vision(c: Config) -> Towers:
    """SigLIP's layers with rotary positions beside the table."""
    c.ignore("spatial_merge_size")
    d = c.size("hidden_size")
    before = (patches(c, d), Table("positions", per_image(c), d))
    return (Tower("vision", d, before, layers(c, rope=True), (Normed("norm", d),)),)


@multimodal("paddleocr_vl")
def paddle(c: Config, spec: ModelSpec) -> Towers:
    """A norm, squares of tokens side by side, and two matrices."""
    part, towers = seen(c)
    d, merged = part.size("hidden_size"), part.size("spatial_merge_size") ** 2
    pieces = (Normed("norm", d, per=1), *mlp(d * merged, d * merged, spec.d_model, "gelu"))
    return *towers, Tower("projector", d * merged, pieces, per=merged)


# --- Phi-4 ----------------------------------------------------------------------------------------------------------


@encoder("phi4_multimodal_vision")
def phi4_vision(c: Config) -> Towers:
    """SigLIP, its head too."""
    c.ignore("crop_size", "feature_layer")
    d = c.size("hidden_size")
    before = (patches(c, d), Table("positions", per_image(c), d))
    return Tower("vision", d, before, layers(c), (Normed("norm", d),)), pooled(c, d, c.size("intermediate_size"))


@encoder("phi4_multimodal_audio")
def phi4_audio(c: Config) -> Towers:
    """Convolutions that halve time and frequencies, each but the first by channel and then across them; conformer layers with
    gated feed-forwards and one table of relative positions.
    """
    c.ignore("chunk_size", "left_chunk", "dropout_rate", "feature_layer", "nemo_final_size")
    c.ignore("conv_activation", "conv_glu_type", "nemo_activation")
    d, act, channels = c.size("hidden_size"), activation(c, "activation"), c.size("nemo_conv_channels")
    halvings, bins = c.size("time_reduction").bit_length() - 1, c.size("input_size")
    for _ in range(halvings):
        bins = (bins - 1) // 2 + 1
    distance = c.size("bias_max_distance") * (1 if c.flag("bias_symmetric") else 2)
    by_channel: list[Piece] = []
    for at in range(1, halvings):
        by_channel += [Vector(f"stem.{at}.filter", 10 * channels), Dense(f"stem.{at}", channels, channels, True)]
    heads = c.size("num_attention_heads")
    before = (
        Dense("stem.0", 9, channels, True, stem=True),
        *by_channel,
        Dense("stem.out", channels * bins, d, True),
        Table("positions.relative", distance, heads),
    )
    wide, out = c.size("ext_pw_out_channel"), c.size("depthwise_separable_out_channel")
    width, across = c.size("intermediate_size"), d * c.size("depthwise_multiplier")
    feed: list[Piece] = []
    for name in ("ffn.in", "ffn.out"):
        feed += [Normed(f"{name}.norm", d), Dense(f"{name}.gate_up", d, 2 * width, True)]
        feed += [Activated(f"{name}.activation", width, act), Dense(f"{name}.down", width, d, True)]
    inside = (
        *feed,
        Normed("conv.norm", d),
        Dense("conv.gated", d, 2 * wide, True),
        Vector("conv.gates", 2 * wide),
        Vector("conv.filter", across * (c.size("kernel_size") + 1)),
        Dense("conv.across", across, out, True),
        Dense("conv.out", d, wide, True),
        Normed("norm.out", d),
    )
    layer = Layers(c.size("num_blocks"), Attention(heads, bias=True))
    return (Tower("audio", d, before, (layer,), (), inside, fed="audio", per=2**halvings),)


@multimodal("phi4_multimodal")
def phi4(c: Config, spec: ModelSpec) -> Towers:
    """Two matrices after what is seen, two after what is heard, and two more for what is heard beside images."""
    part, vision = seen(c)
    sound, audio = heard(c)
    out, d = spec.d_model, part.size("hidden_size")
    images = (*mlp(d, out, out, "gelu"), Vector("marks", 2 * d))
    together = sound.size("downsample_rate")
    both = mlp(sound.size("hidden_size") * together, out, out, "gelu", times=2)
    per = sound.size("time_reduction") * together
    return (
        *vision,
        Tower("projector", d, images, per=4),
        *audio,
        Tower("audio_projector", sound.size("hidden_size"), both, fed="audio", per=per),
    )
