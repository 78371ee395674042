"""Families in which learned queries, or the means of squares, meet what was seen: BLIP-2, Granite Vision, Molmo; and one with two
encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmcx.huggingface.common import activation
from llmcx.huggingface.config import Config
from llmcx.huggingface.hear import qformer
from llmcx.huggingface.sight import sam
from llmcx.huggingface.towers import Towers, encoder, gated_mlp, layers, multimodal, patches, per_image, ratio, seen, side
from llmcx.model.spec import Attention, Layers, ModelSpec, Plain
from llmcx.model.tower import Activated, Dense, Normed, Table, Tower, Vector


def overridden(c: Config, key: str, **said: Any) -> None:
    """What the outer file says of a part, whatever the part says itself."""
    given = c.data.get(key)
    c.data[key] = {**(given if isinstance(given, Mapping) else {}), **said}


# --- BLIP-2 ---------------------------------------------------------------------------------------------------------


@encoder("blip_2_vision_model", "instructblip_vision_model", "instructblipvideo_vision_model", "blip_vision_model")
def eva(c: Config) -> Towers:
    """A class token and learned positions; a norm after the layers."""
    c.ignore("projection_dim", "num_channels")
    d = c.size("hidden_size")
    stem = Dense("patches", 3 * side(c, "patch_size") ** 2, d, True, stem=True)
    before = (stem, Vector("class", d), Vector("positions", (per_image(c) + 1) * d))
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    stack = layers(c, ffn=ffn, bias=c.flag("qkv_bias", True), out_bias=True)
    return (Tower("vision", d, before, stack, (Normed("norm", d),), added=1),)


@encoder("instructblip_qformer", "instructblipvideo_qformer")
def instructed(c: Config) -> Towers:
    """BLIP-2's, which reads an instruction too: tables of words and positions, and a feed-forward for words in each layer."""
    d, n = c.size("hidden_size"), c.size("num_hidden_layers")
    c.data.setdefault("use_qformer_text_input", False)
    (former,) = qformer(c)
    wide = c.size("intermediate_size")
    words = Vector("words.ffn", n * ((d + 1) * wide + (wide + 1) * d + 2 * d))
    tables = (Table("words", c.size("vocab_size"), d), Table("positions", c.size("max_position_embeddings"), d))
    c.notes.append("the instruction that the Q-Former reads beside its queries is not counted in a pass")
    return (replace(former, before=(*tables, *former.before, words)),)


@multimodal("blip-2", "instructblip", "instructblipvideo")
def blip2(c: Config, spec: ModelSpec) -> Towers:
    """A Q-Former and a matrix."""
    c.ignore("image_text_hidden_size", "use_decoder_only_language_model", "num_query_tokens")
    part, towers = seen(c)
    overridden(c, "qformer_config", encoder_hidden_size=part.size("hidden_size"))
    inner, (former,) = seen(c, "qformer_config")
    d, queries = inner.size("hidden_size"), c.size("num_query_tokens")
    own = (Vector("queries", queries * d), *former.before)
    after = (*former.after, Dense("out", d, spec.d_model, True))
    return *towers, replace(former, before=own, after=after, latents=queries, added=towers[-1].added, fed="image")


# --- Aria -----------------------------------------------------------------------------------------------------------


@multimodal("aria")
def aria(c: Config, spec: ModelSpec) -> Towers:
    """Queries, as many as the largest image asks for, meet what was seen through a second set of matrices; two more matrices."""
    c.ignore("vision_feature_layer")
    part, towers = seen(c)
    asked = c.get("projector_patch_to_query_dict")
    asked = {1225: 128, 4900: 256} if asked is None else asked
    if (
        not isinstance(asked, Mapping)
        or not asked
        or not all(f"{each}".isdigit() and 0 < int(each) < 10**6 for each in asked.values())
    ):
        raise c.wrong("projector_patch_to_query_dict", asked, "a mapping of numbers of patches to numbers of queries")
    d, out, queries = part.size("hidden_size"), spec.d_model, max(map(int, asked.values()))
    heads = Attention(part.size("num_attention_heads"), bias=True, softmax_fp32=True)
    met = Layers(1, cross=heads, norms=("queries", "tokens"))
    before = (Vector("queries", queries * d), Dense("q", d, d))
    after = (Dense("attention.after", d, d, True), Normed("norm", d), Dense("up", d, out), Dense("down", out, out))
    return (
        *towers,
        Tower("projector", d, (Dense("k", d, d), Dense("v", d, d))),
        Tower("projector", d, before, (met,), after, latents=queries),
    )


# --- Granite Vision -------------------------------------------------------------------------------------------------


@multimodal("granite4_vision")
def granite4(c: Config, spec: ModelSpec) -> Towers:
    """Windows of what some layers say, each met by a Q-Former of its own with fewer queries than the window has tokens; the last
    by four.
    """
    part, towers = seen(c)
    c.ignore("vision_feature_layer", "vision_feature_select_strategy", "spatial_vision_layer", "spatial_target_layers")
    c.ignore("projector_dropout", "use_image_newline_parameter")
    d, out, rate = part.size("hidden_size"), spec.d_model, c.text("downsample_rate")
    sides = rate.split("/")
    if len(sides) != 2 or not all(each.isdigit() and 0 < int(each) < 10_000 for each in sides):
        raise c.wrong("downsample_rate", rate, "a fraction of two sides, as 4/8")
    query, window = (int(each) ** 2 for each in sides)
    overridden(c, "qformer_config", hidden_size=d, num_attention_heads=max(1, d // 64), encoder_hidden_size=d)
    _, (former,) = seen(c, "qformer_config")
    deep = c.list("deepstack_layer_map") or []
    own = (Normed("norm.before", d), Vector("queries", query * d), Vector("positions", window * d), *former.before)
    after = (*former.after, Dense("out", d, out, True))
    one = replace(former, before=own, after=after, latents=query, fed="image")
    return *towers, *(one for _ in range(len(deep) + 4)), Tower("projector", out, (Vector("newline", out),))


# --- Molmo 2 --------------------------------------------------------------------------------------------------------


@encoder("molmo2_vision")
def molmo2_vision(c: Config) -> Towers:
    """SigLIP without a norm at the end."""
    for first, now in (("image_default_input_size", "image_size"), ("image_patch_size", "patch_size")):
        if first in c.data:  # as released files have it
            c.data[now] = c.data.pop(first)
    if "image_num_pos" in c.data:
        c.data["num_position_embeddings"] = c.data.pop("image_num_pos")
    d, sizes, rows = c.size("hidden_size"), c.list("image_size") or [378, 378], c.optional("num_position_embeddings")
    if rows is None:
        if len(sizes) != 2 or not all(isinstance(each, int) and each > 0 for each in sizes):
            raise c.wrong("image_size", sizes, "a height and a width")
        rows = (sizes[0] // c.size("patch_size")) * (sizes[1] // c.size("patch_size"))
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    shape: dict[str, Any] = {"n_kv_heads": c.size("num_key_value_heads"), "head_dim": c.size("head_dim")}
    stack = layers(c, ffn=ffn, bias=c.flag("attention_bias", True), **shape)
    return (Tower("vision", d, (patches(c, d), Vector("positions", rows * d)), stack),)


@encoder("molmo2_adapter")
def molmo2_adapter(c: Config) -> Towers:
    """A square's tokens, each what several layers say of it, are met by their mean; then a gated feed-forward."""
    chosen, d, dim = c.list("vision_feature_layer") or [24, 18], c.size("hidden_size"), c.size("head_dim")
    heads, groups, bias = c.size("num_attention_heads"), c.size("num_key_value_heads"), c.flag("attention_bias", True)
    c.expect("mlp_bias", False)
    inner = d * len(chosen)
    pieces = (
        Dense("attention.q", inner, heads * dim, bias),
        Dense("attention.k", inner, groups * dim, bias, per=1),
        Dense("attention.v", inner, groups * dim, bias, per=1),
        Dense("attention.out", heads * dim, d, bias),
        *gated_mlp(d, c.size("intermediate_size"), c.size("text_hidden_size"), activation(c, "hidden_act")),
    )
    return (Tower("projector", inner, pieces, per=4),)


@multimodal("molmo2")
def molmo2(c: Config, spec: ModelSpec) -> Towers:
    """The adapter ends at the language model's width. Released files have more layers than are read, which are not built."""
    first = c.data.pop("vit_config", None)
    if first is not None and c.data.get("vision_config") is None:
        c.data["vision_config"] = first
    _, towers = seen(c)
    adapter, projector = seen(c, "adapter_config")
    if first is not None:
        (vision,) = towers
        (layer,) = vision.layers
        chosen = adapter.list("vision_feature_layer") or [24, 18]
        if not all(isinstance(each, int) and -layer.repeat <= each < layer.repeat for each in chosen):
            raise adapter.wrong("vision_feature_layer", chosen, f"layers of the {layer.repeat} of vit_config")
        last = max(each % layer.repeat for each in chosen)
        towers = (replace(vision, layers=(replace(layer, repeat=last + 1),)),)
    return *towers, *projector


# --- two encoders ---------------------------------------------------------------------------------------------------


@encoder("sam_vision_model")
def sam_vision(c: Config) -> Towers:
    """SAM's encoder."""
    c.ignore("num_pos_feats", "mlp_ratio")
    if c.get("mlp_dim") is None:
        c.data["mlp_dim"] = int(c.size("hidden_size") * ratio(c))
    return sam(c)


@multimodal("deepseek_vl_hybrid")
def deepseek_hybrid(c: Config, spec: ModelSpec) -> Towers:
    """SigLIP, and beside it SAM, of which an earlier layer has a neck of its own; four convolutions and three matrices."""
    part, towers = seen(c)
    fine, made = seen(c, "high_res_vision_config")
    d, wide, out = part.size("hidden_size"), fine.size("output_channels"), spec.d_model
    (encoder_of,) = made
    neck = tuple(piece._replace(name=f"early.{piece.name}") for piece in encoder_of.after)
    convolutions = (Dense("down.0", 9 * wide, 2 * wide), Dense("down.1", 18 * wide, 4 * wide), Vector("share", 1))
    pieces = (Dense("in.fine", 4 * wide, out // 2, True), Dense("in", d, out // 2, True), Activated("activation", out))
    joined = (*convolutions, *pieces, Dense("out", out, out, True))
    return *towers, replace(encoder_of, after=(*encoder_of.after, *neck)), Tower("projector", out, joined)
