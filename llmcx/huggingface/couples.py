"""Models that are two: an encoder of texts or pictures, and a decoder whose cross-attention meets what it says."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from llmcx.errors import InputError
from llmcx.huggingface import READERS, WHERE, family
from llmcx.huggingface.common import LAYER, RMS, activation, model, titles
from llmcx.huggingface.config import BEGINS, Config
from llmcx.huggingface.encdec import bart_stack
from llmcx.huggingface.labels import first_named
from llmcx.huggingface.queries import overridden
from llmcx.huggingface.towers import Towers, UnknownTower, checked, encoder, layers, seen
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec
from llmcx.model.tower import Dense, Normed, Piece, Table, Tower

# --- two of them ----------------------------------------------------------------------------------------------------


def of_class(c: Config, *ends: str) -> None:
    """Refuse a file that asks for another class than one that ends so."""
    if not first_named(c).endswith(ends) and first_named(c):
        raise c.wrong("architectures", first_named(c), f"a class that ends in {' or '.join(ends)}")


def part_of(c: Config, key: str) -> ModelSpec:
    """The language model that a part of a file is."""
    part = c.part(key)
    assert part is not None
    return read(part)


def read(part: Config) -> ModelSpec:
    """A part as a language model. Raises InputError where it is of no type that is read as one."""
    part.begins = BEGINS
    if part.model_type not in WHERE:
        problem = f"{part.source}: model_type {part.model_type!r} is not read as a language model"
        raise InputError(problem, field="model_type", value=part.model_type)
    import_module(f"llmcx.huggingface.{WHERE[part.model_type]}")
    return READERS[part.model_type](part)


def meeting(c: Config, decoder: ModelSpec, towers: Towers) -> ModelSpec:
    """A decoder whose cross-attention meets what comes out of the last tower."""
    checked(c)
    *before, last = towers
    if last.fed == "image":
        c.notes.append("its cross-attention is counted for an image's tokens where there is one, and for none else")
    return replace(decoder, towers=(*before, replace(last, met=True)), **titles(c))


# --- any two --------------------------------------------------------------------------------------------------------

GIVEN = {"bert", "bert-generation", "camembert", "electra", "gpt2", "roberta", "roberta-prelayernorm", "xlm-roberta"}
"""Decoders and encoders that are given a cross-attention where a file asks for it, like their own attention."""
BUILT = {"bart", "blenderbot", "mbart", "pegasus", "plbart", "trocr"}
"""Decoders that have one in any case, as their causal class."""


def decoder_of(c: Config) -> ModelSpec:
    """The decoder, with its cross-attention."""
    part = c.part("decoder")
    assert part is not None
    given = part.data
    if part.model_type in GIVEN:
        for key in ("add_cross_attention", "is_decoder"):
            if not given.pop(key, False) and (key, part.model_type) != ("is_decoder", "gpt2"):
                raise part.wrong(key, False, "true in a decoder")
        if given.get("cross_attention_hidden_size") is not None:
            raise part.wrong("cross_attention_hidden_size", given["cross_attention_hidden_size"], f"null in a {part.model_type}")
    elif part.model_type in BUILT:
        given["architectures"] = ["ForCausalLM"]
    else:
        allowed = f"one of {', '.join(sorted(GIVEN | BUILT))}"
        raise InputError(
            f"{part.source}: model_type is {part.model_type}, but of decoders beside an encoder only these are read: {allowed}",
            field="decoder.model_type",
            value=part.model_type,
        )
    spec = read(part)
    stack = (crossed(layer) for layer in spec.decoder or spec.encoder)
    return replace(spec, encoder=(), decoder=(*stack,))


def crossed(layer: Layers) -> Layers:
    """A layer with a cross-attention."""
    assert isinstance(layer.mixer, Attention)
    return layer if layer.cross is not None else replace(layer, cross=replace(layer.mixer, rope=False))


def joined(c: Config, towers: Towers) -> ModelSpec:
    """An encoder's towers and the decoder, with a matrix between where they are of two widths and the decoder states none."""
    c.ignore("is_encoder_decoder", "tie_word_embeddings")
    decoder, last = decoder_of(c), towers[-1]
    cross = decoder.decoder[0].cross
    if last.width != decoder.d_model and cross is not None and cross.kv_width is None:
        last = replace(last, after=(*last.after, Dense("out", last.width, decoder.d_model, True)))
    elif cross is not None and cross.kv_width not in (None, last.width):
        allowed = f"the encoder's width, {last.width}"
        raise InputError(
            f"{c.source}: decoder.cross_attention_hidden_size is {cross.kv_width}, but must be {allowed}",
            field="decoder.cross_attention_hidden_size",
            value=cross.kv_width,
            allowed=allowed,
        )
    return meeting(c, decoder, (*towers[:-1], last))


@family("vision-encoder-decoder")
def sees_and_writes(c: Config) -> ModelSpec:
    """An encoder of pictures, and a decoder of texts."""
    of_class(c, "EncoderDecoderModel")
    try:
        _, towers = seen(c, "encoder")
    except UnknownTower as unknown:
        problem = f"{c.source}: encoder.model_type is {unknown}, which is not read as an encoder of pictures"
        raise InputError(problem, field="encoder.model_type", value=f"{unknown}") from None
    return joined(c, towers)


@family("encoder-decoder")
def reads_and_writes(c: Config) -> ModelSpec:
    """An encoder of texts, and a decoder of texts."""
    of_class(c, "EncoderDecoderModel")
    part = c.part("encoder")
    assert part is not None
    part.data["architectures"] = [f"{part.model_type}Model"]
    spec = read(part)
    if not spec.encoder or spec.decoder:
        problem = f"{c.source}: encoder.model_type is {part.model_type}, but must be that of an encoder, such as bert"
        raise InputError(problem, field="encoder.model_type", value=part.model_type)
    return joined(c, as_towers(spec))


def as_towers(spec: ModelSpec) -> Towers:
    """An encoder of texts as a tower of another model; its pooler, which nobody reads, as one of its own before it."""
    part, d = spec.embedding, spec.d_model
    if spec.extras or spec.labels or spec.head or spec.pad_to:
        raise InputError(
            f"{spec.source}: model_type {spec.family} has parts that no encoder beside a decoder is read with", field="encoder"
        )
    wide = part.width or d
    tables = (("tokens", part.vocab), ("positions", part.positions), ("types", part.types))
    before: list[Piece] = [Table(f"embedding.{name}", rows, wide) for name, rows in tables if rows is not None]
    if part.normed:
        before.append(Normed("embedding.norm", wide))
    if part.width is not None:
        before.append(Dense("embedding.projection", wide * part.neighbours, d, part.projection_bias))
    after = (Normed("norm", d, spec.final_norm_type),) if spec.final_norm else ()
    pooler = (Dense("pooler", d, d, True),)
    idle = (Tower("encoder", d, pooler, fed="text", latents=1, grad=False),) if spec.pooler else ()
    return *idle, Tower("encoder", d, (*before,), spec.encoder, after, norm=spec.norm, fed="text")


# --- Pix2Struct -----------------------------------------------------------------------------------------------------


@encoder("pix2struct_vision_model", "kosmos_2_5_vision_model")
def flattened(c: Config) -> Towers:
    """T5's layers without a bias of positions, for which there are tables of rows and columns; gated feed-forwards."""
    first = c.model_type == "pix2struct_vision_model"
    rows, dim, d_ff = ("seq_len", "d_kv", "d_ff") if first else ("max_num_patches", "head_dim", "intermediate_size")
    c.ignore("relative_attention_num_buckets", "relative_attention_max_distance", "dropout_rate")
    d, bound = c.size("hidden_size"), c.size(rows)
    stem = Dense("patches", c.size("patch_embed_hidden_size"), d, True, stem=True)
    stack = layers(c, d_ff, act="dense_act_fn", bias=False, gate=True, head_dim=c.size(dim))
    before = (stem, Table("rows", bound, d), Table("columns", bound, d))
    return (Tower("vision", d, before, stack, (Normed("norm", d),), norm=RMS),)


@family("pix2struct_text_model")
def pix2struct_text(c: Config) -> ModelSpec:
    """T5's decoder, whose heads are together as wide as the model, with gated feed-forwards."""
    c.ignore("relative_attention_max_distance", "dropout_rate", "layer_norm_epsilon", "add_cross_attention")
    c.expect("is_decoder", True)
    d, heads, n = c.size("hidden_size"), c.size("num_heads"), c.size("num_layers")
    if c.size("d_kv") * heads != d:
        raise c.wrong("d_kv", c.size("d_kv"), f"a num_heads-th of hidden_size {d}")
    plain, ffn = Attention(heads, softmax_fp32=False), Gated(c.size("d_ff"), False, activation(c, "dense_act_fn"))
    first = replace(plain, relative_buckets=c.size("relative_attention_num_buckets"))
    rest = (Layers(n - 1, plain, ffn, plain),) if n > 1 else ()
    return model(
        c,
        decoder=(Layers(1, first, ffn, plain), *rest),
        embedding=Embedding(c.size("vocab_size")),
        norm=RMS,
        context=None,
    )


@family("pix2struct")
def pix2struct(c: Config) -> ModelSpec:
    """Patches of a picture of any shape, and a decoder, tied as the file says beside both."""
    c.ignore("is_vqa", "is_encoder_decoder")
    of_class(c, "ForConditionalGeneration")
    overridden(c, "text_config", tie_word_embeddings=c.flag("tie_word_embeddings"))
    return meeting(c, part_of(c, "text_config"), seen(c)[1])


# --- PP-FormulaNet --------------------------------------------------------------------------------------------------


@family("pp_formulanet_text")
def formula_text(c: Config) -> ModelSpec:
    """mBART's decoder, never tied."""
    c.ignore("scale_embedding", "decoder_layerdrop", "encoder_layers", "encoder_attention_heads", "tie_word_embeddings")
    return model(
        c,
        d_model="d_model",
        decoder=bart_stack(c, "decoder"),
        embedding=Embedding(c.size("vocab_size"), c.size("max_position_embeddings") + 2, normed=True),
        norm=LAYER,
        head=Head(False),
    )


@family("pp_formulanet")
def formulanet(c: Config) -> ModelSpec:
    """SAM's encoder, two convolutions that halve both sides and two matrices, before mBART's decoder."""
    c.ignore("is_encoder_decoder", "tie_word_embeddings")
    of_class(c, "ForConditionalGeneration")
    decoder = part_of(c, "text_config")
    vision, towers = seen(c)
    met, mid, out = (vision.size(f"post_conv_{each}_channels") for each in ("in", "mid", "out"))
    if met != vision.size("output_channels"):
        raise vision.wrong("post_conv_in_channels", met, f"output_channels, {vision.size('output_channels')}")
    last = vision.size("decoder_hidden_size")
    if last != decoder.d_model:
        raise vision.wrong("decoder_hidden_size", last, f"the decoder's, {decoder.d_model}")
    down = (Dense("down.0", 9 * met, mid, per=4), Dense("down.1", 9 * mid, out))
    return meeting(
        c,
        decoder,
        (*towers, Tower("projector", out, (*down, Dense("in", out, out, True), Dense("out", out, last, True)), per=16)),
    )
