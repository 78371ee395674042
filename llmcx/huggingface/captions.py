"""Families that put a picture into words: BLIP, GIT, Kosmos, Janus, IDEFICS; and encoders that stand before any decoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from llmcx.huggingface import family
from llmcx.huggingface.common import LAYER, RMS, activation, gated, head, layer_count, model
from llmcx.huggingface.config import ROTARY, STRICT, Config
from llmcx.huggingface.couples import meeting, of_class, part_of
from llmcx.huggingface.encoder import layers_of
from llmcx.huggingface.queries import overridden
from llmcx.huggingface.towers import (
    Towers,
    checked,
    encoder,
    layers,
    multimodal,
    patches,
    per_image,
    ratio,
    seen,
    side,
    whole_numbers,
)
from llmcx.model.norm import Norm
from llmcx.model.spec import Attention, Chunked, Embedding, Gated, Head, Layers, ModelSpec, Plain, runs_of
from llmcx.model.tower import Activated, Dense, Normed, Piece, Table, Tower, Vector

# --- encoders -------------------------------------------------------------------------------------------------------


@encoder("vit", "deit")
def vit(c: Config) -> Towers:
    """A class token, of DeiT another for what it is taught, and learned positions; a pooler that nobody reads."""
    c.ignore("encoder_stride", "pooler_act")
    d, extra = c.size("hidden_size"), 1 + (c.model_type == "deit")
    before = (patches(c, d), Vector("class", extra * d), Vector("positions", (per_image(c) + extra) * d))
    stack = layers(
        c, bias=c.flag("qkv_bias", True), out_bias=True, ffn=Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    )
    pooler = (Dense("pooler", d, c.optional("pooler_output_size", 0) or d, True),)
    idle = Tower("vision", d, pooler, latents=1, grad=False)
    return idle, Tower("vision", d, before, stack, (Normed("norm", d),), added=extra)


@encoder("beit")
def beit(c: Config) -> Towers:
    """A class token; positions as a table, or as biases of the scores; learned scales on each part's output; a norm after the
    layers, or for the pooler alone.
    """
    c.ignore(*BACKBONE, *(key for key in c.data if key.startswith("auxiliary_")), "pool_scales", "use_auxiliary_head", "add_fpn")
    c.ignore("vocab_size", "drop_path_rate", "semantic_loss_ignore_index")
    d, n, heads = c.size("hidden_size"), per_image(c), c.size("num_attention_heads")
    edge = side(c, "image_size") // side(c, "patch_size")
    biases = ((2 * edge - 1) ** 2 + 3) * heads
    before: list[Piece] = [patches(c, d), Vector("class", d)]
    for key, size in (
        ("use_mask_token", d),
        ("use_absolute_position_embeddings", (n + 1) * d),
        ("use_shared_relative_position_bias", biases),
    ):
        before += [Vector(key.removeprefix("use_"), size)] if c.flag(key) else []
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    inside: list[Piece] = [Vector("biases", biases)] if c.flag("use_relative_position_bias") else []
    scale = c.get("layer_scale_init_value")
    if isinstance(scale, (int, float)) and scale > 0:
        inside += [Vector("scale.attention", d), Vector("scale.ffn", d)]
    c.flag("use_mean_pooling")  # then the norm is the pooler's, and over one token
    stack = layers(c, ffn=ffn, k_bias=False)
    return (Tower("vision", d, (*before,), stack, (Normed("norm", d),), (*inside,), added=1),)


BACKBONE = ("reshape_hidden_states", "out_features", "out_indices", "stage_names", "apply_layernorm")
"""What an encoder hands to other models than these."""


@encoder("dinov2")
def dinov2(c: Config) -> Towers:
    """A class token and learned positions; learned scales on each part's output; gated feed-forwards by option."""
    c.ignore(*BACKBONE, "drop_path_rate", "layerscale_value")
    d, act = c.size("hidden_size"), activation(c, "hidden_act")
    wide = int(d * ratio(c))
    ffn = Gated(-(-int(wide * 2 / 3) // 8) * 8, True) if c.flag("use_swiglu_ffn") else Plain(wide, True, act)
    before: list[Piece] = [patches(c, d), Vector("class", d), Vector("positions", (per_image(c) + 1) * d)]
    before += [Vector("mask", d)] if c.flag("use_mask_token", True) else []
    scales = (Vector("scale.attention", d), Vector("scale.ffn", d))
    stack = layers(c, ffn=ffn, bias=c.flag("qkv_bias", True), out_bias=True)
    return (Tower("vision", d, (*before,), stack, (Normed("norm", d),), scales, added=1),)


@encoder("swin", "donut-swin")
def swin(c: Config) -> Towers:
    """Attention within windows, with a bias for each pair of places in one; between stages, squares of four tokens become one of
    twice the width, which is counted of images whose sides are even at each stage.
    """
    c.ignore(*BACKBONE, "drop_path_rate", "encoder_stride", "path_norm", "num_layers")
    first, depths, size = c.size("embed_dim"), whole_numbers(c, "depths"), c.size("window_size")
    heads = whole_numbers(c, "num_heads", len(depths))
    c.expect("hidden_size", first * 2 ** (len(depths) - 1))
    before: list[Piece] = [patches(c, first), Normed("norm.before", first)]
    if c.flag("use_absolute_embeddings"):
        before.append(Vector("positions", (per_image(c) + (c.model_type == "donut-swin")) * first))
    c.ignore("image_size")
    by, act, bias, made = ratio(c), activation(c, "hidden_act"), c.flag("qkv_bias", True), []
    for at, (depth, n) in enumerate(zip(depths, heads, strict=True)):
        d = first * 2**at
        mixer = Attention(n, bias=bias, out_bias=True, core=Chunked(size))
        stack = (Layers(depth, mixer, Plain(int(by * d), True, act)),)
        pairs = (Vector("biases", (2 * size - 1) ** 2 * n),)
        if at:
            before = [Normed("merge.norm", 2 * d), Dense("merge", 2 * d, d)]
        last = at + 1 == len(depths) and c.model_type == "swin"
        made.append(Tower("vision", d, (*before,), stack, (Normed("norm", d),) if last else (), pairs, per=4**at, pads=True))
    return tuple(made)


# --- BLIP, GIT ------------------------------------------------------------------------------------------------------


@family("blip_text_model")
def blip_text(c: Config) -> ModelSpec:
    """BERT as a decoder, without segments; each layer meets what was seen, unless the file says that it is none."""
    c.ignore("projection_dim")
    (layer,) = (layers_of(c),)
    width = c.size("encoder_hidden_size")
    if c.flag("is_decoder", True):
        assert isinstance(layer.mixer, Attention)
        layer = replace(layer, cross=replace(layer.mixer, kv_width=width))
    tied = c.flag("tie_word_embeddings", True)
    return model(
        c,
        decoder=(layer,),
        embedding=Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), normed=True),
        norm=LAYER,
        final_norm=False,
        head=Head(tied, True, True, second_bias=not tied),
    )


@family("blip")
def blip(c: Config) -> ModelSpec:
    """A decoder whose cross-attention meets all that the encoder says of an image, as wide as that is."""
    c.ignore("projection_dim", "image_text_hidden_size", "logit_scale_init_value")
    of_class(c, "ForConditionalGeneration")
    vision, towers = seen(c)
    given, tied = c.data.get("text_config"), c.flag("tie_word_embeddings", True)
    tied = tied or not isinstance(given, Mapping) or given.get("tie_word_embeddings") is not False  # by either
    overridden(c, "text_config", encoder_hidden_size=vision.size("hidden_size"), tie_word_embeddings=tied)
    return meeting(c, part_of(c, "text_config"), towers)


@family("git")
def git(c: Config) -> ModelSpec:
    """BERT's layers as a decoder, before whose text stand all tokens of an image, by a matrix and a norm; of a video, each frame
    has a learned mark.
    """
    c.begins = STRICT
    c.ignore("position_embedding_type", "classifier_dropout")
    vision, towers = seen(c)
    d, out, frames = vision.size("hidden_size"), c.size("hidden_size"), c.optional("num_image_with_embedding")
    marks = () if frames is None else (Vector("frames", frames * d),)
    projector = Tower("projector", d, (*marks, Dense("out", d, out, True), Normed("norm", out)), added=1)
    checked(c)
    return model(
        c,
        decoder=(layers_of(c),),
        embedding=Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), normed=True),
        norm=LAYER,
        final_norm=False,
        head=head(c, bias=True),
        towers=(*towers, projector),
    )


# --- Kosmos ---------------------------------------------------------------------------------------------------------


@family("kosmos_2_text_model", "kosmos_2_5_text_model")
def kosmos_text(c: Config) -> ModelSpec:
    """Sinusoids, biases, and a norm before the last matrix of a part; Kosmos-2.5 has none such in its attention, and a table that
    marks an image's tokens.
    """
    c.ignore("scale_embedding")
    first = c.model_type == "kosmos_2_text_model"
    c.expect("add_cross_attention", False)
    mixer = Attention(c.size("attention_heads"), bias=True, out_norm=first, softmax_fp32=False)
    ffn = Plain(c.size("ffn_dim"), True, activation(c, "activation_function"), inner_norm=True)
    return model(
        c,
        d_model="embed_dim",
        decoder=(Layers(c.size("layers"), mixer, ffn),),
        embedding=Embedding(c.size("vocab_size"), types=None if first else 2),
        norm=LAYER,
    )


@multimodal("kosmos-2", "kosmos-2.5")
def kosmos(c: Config, spec: ModelSpec) -> Towers:
    """A matrix to the language model's width; queries meet what was seen and themselves, by one attention as its own."""
    vision, towers = seen(c)
    queries, d, out = c.size("latent_query_num"), vision.size("hidden_size"), spec.d_model
    mixer, seen_too = spec.decoder[0].mixer, towers[-1].added
    assert isinstance(mixer, Attention)
    meets = Layers(1, cross=replace(mixer, out_norm=False), norms=())
    own = (Vector("latents", queries * out),)
    resampler = Tower("projector", out, own, (meets,), latents=queries, added=queries + seen_too)
    return *towers, Tower("projector", d, (Dense("in", d, out, True),), added=seen_too), resampler


# --- Janus ----------------------------------------------------------------------------------------------------------


@encoder("janus_vision_model")
def janus_vision(c: Config) -> Towers:
    """SigLIP's; queries and keys normed by option."""
    c.ignore("hidden_dropout_rate")
    d = c.size("hidden_size")
    ffn = Plain(int(d * ratio(c)), True, activation(c, "hidden_act"))
    (layer,) = layers(c, ffn=ffn, bias=c.flag("attention_bias"), out_bias=True)
    if c.flag("use_qk_norm"):
        assert isinstance(layer.mixer, Attention)
        layer = replace(layer, mixer=replace(layer.mixer, qk_norm="full", qk_norm_type=Norm()))
    return (Tower("vision", d, (patches(c, d), Table("positions", per_image(c), d)), (layer,), (Normed("norm", d),)),)


def chain(c: Config, key: str, inner: int, count: int) -> tuple[Piece, ...]:
    """``count`` matrices with an activation between each two, all of them ``key`` wide but the first's input."""
    width, act = c.size(key), activation(c, "hidden_act")
    more: list[Piece] = []
    for at in range(1, count):
        more += [Activated(f"activation.{at}", width, act), Dense(f"hidden.{at}", width, width, True)]
    return Dense("in", inner, width, True), *more


@multimodal("janus")
def janus(c: Config, spec: ModelSpec) -> Towers:
    """A chain of matrices. What draws images in turn is not met by a pass that reads: an encoder to a table of visual words, a
    decoder back, and what stands before and after the language model for these words.
    """
    vision, towers = seen(c)
    projector = Tower(
        "projector", vision.size("hidden_size"), chain(vision, "projection_dim", vision.size("hidden_size"), vision.size("depth"))
    )
    c.notes.append("a pass reads: the weights that draw images are counted, and no pass of them is")
    vq = c.part("vq_config")
    assert vq is not None
    vq.ignore("num_patches")
    words, narrow, wide = vq.size("num_embeddings"), vq.size("embed_dim"), vq.size("projection_dim")
    aligned = sum(d_in * wide + wide for d_in in (narrow, *[wide] * (vq.size("num_hidden_layers") - 1)))
    scored = (vq.size("image_token_embed_dim") + 1) * wide + (wide + 1) * words
    drawing = (Table("words", words, narrow), Table("words.out", words, narrow), Vector("idle", aligned + scored + _vqgan(vq)))
    return *towers, projector, Tower("drawing", narrow, drawing)


def _vqgan(c: Config) -> int:
    """The weights of a VQGAN (Esser et al. 2021, arXiv:2012.09841), but for its table of words: convolutions in blocks of two, as
    many as num_res_blocks at each resolution and one more on the way back, attention at the coarsest.
    """
    base, blocks, latent, narrow = (c.size(key) for key in ("base_channels", "num_res_blocks", "latent_channels", "embed_dim"))
    widths = [base * each for each in whole_numbers(c, "channel_multiplier")]
    top = widths[-1]

    def conv(d_in: int, d_out: int, kernel: int = 3) -> int:
        return d_in * d_out * kernel**2 + d_out

    def block(d_in: int, d_out: int) -> int:
        return 2 * d_in + conv(d_in, d_out) + 2 * d_out + conv(d_out, d_out) + (conv(d_in, d_out, 1) if d_in != d_out else 0)

    def path(steps: Iterable[tuple[int, int]], count: int) -> int:
        """Blocks at each resolution, the first of which changes the width."""
        return sum(block(d_in, d_out) + (count - 1) * block(d_out, d_out) for d_in, d_out in steps)

    attention = 2 * top + 4 * conv(top, top, 1)
    middle = 2 * block(top, top) + attention
    ends = c.size("in_channels"), c.size("out_channels"), latent * (2 if c.flag("double_latent") else 1)
    down = conv(ends[0], base) + path(pairwise([base, *widths]), blocks) + sum(conv(each, each) for each in widths[:-1])
    down += blocks * attention + middle + 2 * top + conv(top, ends[2])
    # On the way back the resolutions are walked from the coarsest, whose attention stands after each of its blocks.
    up = conv(latent, top) + path(pairwise([top, *widths[::-1]]), blocks + 1) + sum(conv(each, each) for each in widths[:0:-1])
    up += (blocks + 1) * attention + middle + 2 * widths[0] + conv(widths[0], ends[1])
    return down + up + conv(latent, narrow, 1) + conv(narrow, latent, 1)


# --- IDEFICS --------------------------------------------------------------------------------------------------------


@family("idefics")
def idefics(c: Config) -> ModelSpec:
    """LLaMA, before every so many of whose layers stands another that meets what was seen and has a feed-forward of its own, both
    behind gates; by option, learned queries stand for each image.
    """
    c.begins = STRICT
    c.ignore("alpha_initializer", "alphas_initializer_range", *(key for key in c.defaults if key.startswith("freeze_")), *ROTARY)
    c.ignore("cross_layer_activation_function", "ffn_dim", "word_embed_proj_dim")  # which released files have, and nothing reads
    of_class(c, "ForVisionText2Text")
    frozen = [
        key for key in ("freeze_text_layers", "freeze_vision_layers", "freeze_lm_head") if c.flag(key, key != "freeze_lm_head")
    ]
    if frozen:
        c.notes.append(f"{', '.join(frozen)} in transformers: training is counted of all weights")
    vision, towers = seen(c)
    vision.ignore("vision_model_name")
    d, n, every, met = c.size("hidden_size"), layer_count(c), c.size("cross_layer_interval"), vision.size("hidden_size")
    heads, ffn = c.size("num_attention_heads"), gated(c)
    gates = 2 * (d if c.text("alpha_type", ("float", "vector")) == "vector" else 1)
    norm: Literal["head"] | None = "head" if c.flag("qk_layer_norms") else None
    plain = Layers(1, Attention(heads, rope=True), ffn)
    sees = Layers(1, None, ffn, Attention(heads, kv_width=met, qk_norm=norm, scalars=gates), norms=("cross_attention", "ffn"))
    order = (each for at in range(n) for each in ((sees, plain) if at % every == 0 and at // every < n // every else (plain,)))
    decoder = model(
        c,
        decoder=runs_of(order),
        embedding=Embedding(c.size("vocab_size") + c.size("additional_vocab_size", 0)),
        norm=RMS,
        head=Head(c.flag("tie_word_embeddings")),
    )
    return meeting(c, decoder, (*towers, *_resampler(c, met, towers[-1].added)))


def _resampler(c: Config, d: int, added: int) -> Towers:
    """IDEFICS' queries, which meet an image's tokens and themselves; none where the file does not use them."""
    p = c.part("perceiver_config")
    assert p is not None
    p.ignore("use_resampler")
    depth, latents, heads, dim = (p.size(f"resampler_{each}") for each in ("depth", "n_latents", "n_heads", "head_dim"))
    norm: Literal["head"] | None = "head" if p.flag("qk_layer_norms_perceiver") else None
    if not c.flag("use_resampler"):
        return ()
    mixer = Attention(heads, head_dim=dim, qk_norm=norm, qk_norm_type=Norm())
    layer = Layers(depth, cross=mixer, ffn=Plain(4 * d, activation="relu"), norms=("latents", "context", "ffn"))
    own = (Vector("latents", latents * d),)
    return (Tower("projector", d, own, (layer,), (Normed("norm", d),), latents=latents, added=latents + added),)
