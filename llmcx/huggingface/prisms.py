"""Encoders of the largest new families, and the families that have them: Inkling, dots, Cosmos 3, Unlimited-OCR."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise
from math import ceil, log
from operator import mul

from llmcx.huggingface.common import activation, in_order, layer_count, layer_types
from llmcx.huggingface.config import Config
from llmcx.huggingface.queries import overridden
from llmcx.huggingface.sight import sam
from llmcx.huggingface.towers import IDLE, RMS, Towers, encoder, heard, layers, mlp, multimodal, patches, per_image, seen
from llmcx.model.norm import Norm
from llmcx.model.spec import FFN, Attention, Gated, Layers, ModelSpec, MoE, Plain
from llmcx.model.tower import Activated, Dense, Normed, Piece, Table, Tower, Vector

# --- Inkling --------------------------------------------------------------------------------------------------------


def _factors(number: int) -> list[int]:
    """Prime factors, the largest first."""
    found, factor = [], 2
    while factor * factor <= number:
        while number % factor == 0:
            found.append(factor)
            number //= factor
        factor += 1
    return ([number] if number > 1 else []) + found[::-1]


def _scales(c: Config) -> list[tuple[int, int]]:
    """What stands before, between and after the layers: how many pixels lie side by side in one place, and its width. A layer
    takes the scale nearest, in logarithms, to its share of the way to a whole patch.
    """
    frames, side, channels = c.size("temporal_patch_size"), c.size("patch_size"), c.size("num_channels")
    n = layer_count(c)
    if max(frames, side) > 10_000:
        raise c.wrong("patch_size", max(frames, side), "at most 10,000")
    spatial = [*accumulate(_factors(side), mul)]
    scales = [(1, channels), *((edge**2, ceil(edge**2 * channels / 64) * 64) for edge in spatial)]
    scales += [(times * side**2, side**2 * channels * times * 64) for times in accumulate(_factors(frames), mul)]
    if n < len(scales) or side < 2 or frames < 2:
        raise c.wrong("num_hidden_layers", n, f"at least {len(scales)}, and a patch of 2 frames and pixels or more")
    whole = log(side**2 * frames * channels)
    near = [min(range(len(scales)), key=lambda j: abs(whole * i / n - log(scales[j][0]))) for i in range(n + 1)]
    return [scales[j] for j in (0, *near[1:-1], len(scales) - 1)]


@encoder("inkling_vision")
def inkling_vision(c: Config) -> Towers:
    """Matrices, each of which lays more pixels side by side or none, until one place is a patch (Touvron et al. 2022,
    arXiv:2203.09795, sec. 5); norms between them.
    """
    c.ignore("hidden_size", "num_attention_heads")
    scales, out = _scales(c), c.size("text_hidden_size")
    pieces: list[Piece] = []
    for at, ((before, inner), (after, width)) in enumerate(pairwise(scales)):
        last, parts = at == len(scales) - 2, scales[-1][0] // after
        width = out if last else width
        pieces.append(Dense(f"{at}", inner * (after // before), width, stem=at == 0, parts=parts))
        if not last:
            pieces += [Normed(f"{at}.norm", width, parts=parts), Activated(f"{at}.activation", width, parts=parts)]
    return (Tower("vision", out, (*pieces, Normed("norm", out)), norm=RMS),)


@encoder("inkling_audio")
def inkling_audio(c: Config) -> Towers:
    """A table of levels for each band, the sum of a frame's, and a norm."""
    d = c.size("text_hidden_size")
    levels = Table("levels", c.size("n_mel_bins") * c.size("mel_vocab_size"), d)
    return (Tower("audio", d, (levels, Normed("norm", d)), norm=RMS, fed="audio"),)


@multimodal("inkling_mm_model")
def inkling(c: Config, spec: ModelSpec) -> Towers:
    """Both end at the language model's width."""
    c.ignore("mtp_config")
    for key in ("vision_config", "audio_config"):
        overridden(c, key, text_hidden_size=spec.d_model)
    return *seen(c)[1], *heard(c)[1]


@encoder("inkling2_vision")
def inkling2_vision(c: Config) -> Towers:
    """A class token, a table of positions and rotary ones, a learned scale on each part's output; squares of tokens and two
    matrices.
    """
    c.ignore("layer_scale_init_value", "rope_parameters")
    d, ratio, merged = c.size("hidden_size"), c.get("mlp_ratio"), c.size("spatial_merge_size") ** 2
    width = c.optional("intermediate_size")
    if width is None:
        if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 < ratio < 1000:
            raise c.wrong("mlp_ratio", ratio, "a number between 0 and 1000")
        width = int(d * ratio)
    table = Table("positions", c.size("posemb_grid_size") ** 2, d)
    before = (patches(c, d, False), table, Vector("class", 2 * d), Normed("norm.before", d))
    stack = layers(c, ffn=Plain(width, True, activation(c, "hidden_act")), rope=True)
    scales = (Vector("scale.attention", d), Vector("scale.ffn", d))
    act, out, bias = activation(c, "hidden_act"), c.size("text_hidden_size"), c.flag("projector_bias")
    pieces = mlp(d * merged, c.size("projection_hidden_dim"), out, act, bias)
    vision = Tower("vision", d, before, stack, inside=scales, added=1)
    return vision, Tower("projector", d * merged, pieces, per=merged)


@multimodal("inkling2")
def inkling2(c: Config, spec: ModelSpec) -> Towers:
    """The encoder ends at the language model's width."""
    return seen(c)[1]


# --- dots 3 ---------------------------------------------------------------------------------------------------------


def renamed(c: Config, names: dict[str, str]) -> None:
    """Keys under the names that released files have for them."""
    for first, now in names.items():
        if first in c.data:
            c.data[now] = c.data.pop(first)


@encoder("dots3_note_vision_encoder")
def dots_vision(c: Config) -> Towers:
    """Normed queries and keys; more experts from layer to layer after dense first ones; squares of tokens and two matrices."""
    renamed(c, {"embed_dim": "hidden_size", "num_heads": "num_attention_heads", "use_bias": "attention_bias"})
    renamed(c, {"capacity_factor": "num_experts_per_tok"} if c.data.get("num_experts_per_tok") is None else {})
    c.ignore("router_scaling_factor", "router_scale", "is_causal", "adapter_in_dim", "adapter_merge_size", "rope_parameters")
    c.expect("per_layer_config", None)
    d, n, act, bias = c.size("hidden_size"), layer_count(c), activation(c, "hidden_act"), c.flag("mlp_bias")
    many, top_k = c.list("pyramid_num_routed"), c.optional("num_experts_per_tok") or 2
    kinds = layer_types(c, "mlp_layer_types", ("dense", "sparse"), n) if many is None else None
    c.ignore("mlp_layer_types", "num_local_experts")
    if kinds:
        many = [c.size("num_local_experts") if kind == "sparse" else -1 for kind in kinds]
    many = [-1] * 25 + [*range(4, 65, 4), 64] if many is None else many
    if len(many) != n or not all(type(one) is int for one in many):
        raise c.wrong("pyramid_num_routed", many, f"a number of experts, or -1, for each of {n} layers")
    heads = Attention(c.size("num_attention_heads"), bias=c.flag("attention_bias"), rope=True, qk_norm="head")
    dense, expert = Gated(c.size("intermediate_size"), bias, act), Gated(c.size("moe_intermediate_size"), activation=act)

    def layer(count: int) -> Layers:
        ffn: FFN = MoE(count, top_k if kinds else min(top_k, count), expert) if count > 0 else dense
        return Layers(1, heads, ffn)

    before = (patches(c, d), Normed("norm.before", d))
    merged = c.size("spatial_merge_size") ** 2
    pieces = (Normed("norm", d, Norm(), per=1), *mlp(d * merged, d * merged, c.size("adapter_out_dim"), "gelu"))
    vision = Tower("vision", d, before, in_order(many, layer), (Normed("norm", d),), norm=RMS)
    return vision, Tower("projector", d * merged, pieces, per=merged)


WHISPER = {"d_model": "hidden_size", "encoder_attention_heads": "num_attention_heads", "encoder_layers": "num_hidden_layers"}
WHISPER |= {"encoder_ffn_dim": "intermediate_size", "num_mel_bins": "feature_size"}
"""Names of a whisper_config, and dots'."""


@encoder("dots3_note_audio_encoder")
def dots_audio(c: Config) -> Towers:
    """Three convolutions, each halving time and frequencies; gated feed-forwards; two matrices at the end."""
    renamed(c, {"whisper_adapter_out_dim": "adapter_out_dim", "adapter_output_size": "adapter_out_dim"})
    if c.data.get("whisper_config") is not None:
        inner = c.inner("whisper_config")
        c.data |= {now: inner.size(first) for first, now in WHISPER.items() if first in inner.data}
        inner.ignore("max_source_positions", "dropout", "attention_dropout")
        inner.check_leftovers()
    c.ignore("max_position_embeddings", "hop_length", "sampling_rate", "adapter_input_size", "whisper_adapter_in_dim")
    c.ignore("num_key_value_heads", "head_dim", "rope_parameters", "partial_rotary_factor", "dropout")
    d, channels, bins = c.size("hidden_size"), c.size("downsample_hidden_size"), c.size("feature_size")
    before: list[Piece] = []
    for at, parts in enumerate((4, 2, 1)):
        bins = (bins + 1) // 2
        width = 9 * (channels if at else 1)
        before.append(Dense(f"stem.{at}", width, channels, True, stem=not at, parts=parts * bins))
        before.append(Activated(f"stem.activation.{at}", channels, parts=parts * bins))
    before.append(Dense("stem.out", channels * bins, d))
    heads = Attention(c.size("num_attention_heads"), bias=c.flag("attention_bias", True), k_bias=False, rope=True)
    ffn = Gated(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    out = c.size("adapter_out_dim")
    after = (Normed("norm", d), Normed("norm.out", d, Norm()), *mlp(d, out, out, "gelu"))
    layer = Layers(c.size("num_hidden_layers"), heads, ffn)
    return (Tower("audio", d, tuple(before), (layer,), after, norm=RMS, fed="audio", per=8),)


@multimodal("dots3_note")
def dots(c: Config, spec: ModelSpec) -> Towers:
    """Both end at the language model's width."""
    return *seen(c)[1], *heard(c)[1]


# --- Cosmos 3, Unlimited-OCR ----------------------------------------------------------------------------------------


@multimodal("cosmos3_edge")
def cosmos3_edge(c: Config, spec: ModelSpec) -> Towers:
    """A norm, squares of tokens side by side, and two matrices."""
    part, towers = seen(c)
    d, merged = part.size("hidden_size"), part.size("spatial_merge_size") ** 2
    pieces = (Normed("norm", d, per=1), *mlp(d * merged, c.size("projector_hidden_size"), spec.d_model, "gelu"))
    return *towers, Tower("projector", d * merged, pieces, per=merged)


@encoder("unlimited_ocr_sam_vision_model")
def halved_sam(c: Config) -> Towers:
    """SAM's encoder, and two convolutions that halve both sides each."""
    (tower,) = sam(c)
    width, widths = c.size("output_channels"), c.list("downsample_channels") or [512, 1024]
    if len(widths) != 2 or not all(type(one) is int and 0 < one < 10**6 for one in widths):
        raise c.wrong("downsample_channels", widths, "two whole numbers")
    down = (Dense("down.0", 9 * width, widths[0], per=4), Dense("down.1", 9 * widths[0], widths[1], per=16))
    return (replace(tower, after=(*tower.after, *down)),)


@encoder("unlimited_ocr_vision_encoder")
def clip_after(c: Config) -> Towers:
    """CLIP's layers, a class token and a table of positions, on what another encoder has seen."""
    d, n = c.size("hidden_size"), per_image(c) + 1
    before = (Vector("class", d), Table("positions", n, d), Normed("norm.before", d))
    return (Tower("vision", d, before, layers(c), per=16, added=1),)


@encoder("unlimited_ocr_vision")
def one_after_other(c: Config) -> Towers:
    """SAM, then CLIP."""
    fine, first = seen(c, "sam_config")
    coarse, then = seen(c, "encoder_config")
    if (fine.list("downsample_channels") or [512, 1024])[1] != coarse.size("hidden_size"):
        raise coarse.wrong("hidden_size", coarse.size("hidden_size"), "the last of sam_config's downsample_channels")
    for inner in c.parts:
        inner.ignore(*IDLE)
        inner.check_leftovers()
    return *first, *then


@multimodal("unlimited_ocr")
def unlimited_ocr(c: Config, spec: ModelSpec) -> Towers:
    """A matrix from what both have seen; marks at the ends of rows and between views."""
    c.ignore("sliding_window")
    _, towers = seen(c)
    d = 2 * towers[-1].width
    pieces = (Dense("out", d, spec.d_model, True), Vector("marks", 2 * spec.d_model))
    return *towers, Tower("projector", d, pieces, per=16)
