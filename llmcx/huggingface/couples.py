"""Models that are two: an encoder of texts or pictures, and a decoder whose cross-attention meets what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

from llmcx.errors import InputError
from llmcx.huggingface import READERS, WHERE, family, from_config
from llmcx.huggingface.common import LAYER, RMS, activation, gated, heads, layer_count, model, titles
from llmcx.huggingface.config import BEGINS, ROTARY, Config
from llmcx.huggingface.encdec import bart_stack, t5_ffn, t5_ignore, t5_stacks, t5_ties
from llmcx.huggingface.labels import first_named
from llmcx.huggingface.queries import overridden
from llmcx.huggingface.towers import Towers, checked, encoder, layers, patches, seen, towers_of
from llmcx.model.extras import Idle, Tables
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Plain, runs_of
from llmcx.model.tower import Activated, Dense, Normed, Piece, Table, Tower, Vector

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
        c.notes.append("its cross-attention meets an image: without one, a pass has none of it")
    return replace(decoder, towers=(*before, replace(last, met=True)), **titles(c))


# --- any two --------------------------------------------------------------------------------------------------------

READ = {"bert", "bert-generation", "camembert", "electra", "roberta", "roberta-prelayernorm", "xlm-roberta"}
"""Encoders of texts."""
SEEN = {"beit", "deit", "dinov2", "donut-swin", "swin", "vit"}
"""Encoders of pictures."""
GIVEN = READ | {"gpt2"}
"""Decoders that are given a cross-attention like their own attention, where a file asks for it."""
BUILT = {"bart", "blenderbot", "mbart", "pegasus", "plbart", "trocr"}
"""Decoders that have one in any case, as their causal class."""


def one_of(c: Config, key: str, known: set[str]) -> Config:
    """A part of a type that is read beside another. Raises InputError."""
    part = c.part(key)
    assert part is not None
    if part.model_type not in known:
        raise part.wrong("model_type", part.model_type, f"one of {', '.join(sorted(known))}")
    return part


def decoder_of(c: Config) -> ModelSpec:
    """The decoder, with its cross-attention, as the causal class of its type whatever class it names."""
    part = one_of(c, "decoder", GIVEN | BUILT)
    given = part.data
    part.ignore("add_cross_attention")
    given["architectures"] = ["ForCausalLM"] if part.model_type in BUILT else None
    if part.model_type in GIVEN:
        for key in ("add_cross_attention", "is_decoder"):
            if not given.pop(key, False) and (key, part.model_type) != ("is_decoder", "gpt2"):
                raise part.wrong(key, False, "true in a decoder")
        if given.get("cross_attention_hidden_size") is not None:
            raise part.wrong("cross_attention_hidden_size", given["cross_attention_hidden_size"], f"null in a {part.model_type}")
    spec = read(part)
    stack = (crossed(layer) for layer in spec.decoder or spec.encoder)
    return replace(spec, encoder=(), decoder=(*stack,))


def crossed(layer: Layers) -> Layers:
    """A layer with a cross-attention."""
    assert isinstance(layer.mixer, Attention)
    return layer if layer.cross is not None else replace(layer, cross=replace(layer.mixer, rope=False))


def joined(c: Config, towers: Towers) -> ModelSpec:
    """An encoder's towers and the decoder, with a matrix between where they are of two widths and the decoder states none."""
    c.ignore("is_encoder_decoder", "tie_word_embeddings", "vocab_size")
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
    return joined(c, towers_of(one_of(c, "encoder", SEEN)))


@family("encoder-decoder")
def reads_and_writes(c: Config) -> ModelSpec:
    """An encoder of texts, and a decoder of texts."""
    of_class(c, "EncoderDecoderModel")
    part = one_of(c, "encoder", READ)
    part.data["architectures"] = [f"{part.model_type}Model"]
    return joined(c, as_towers(read(part)))


def as_towers(spec: ModelSpec) -> Towers:
    """An encoder of texts as a tower of another model; its pooler, which nobody reads, as one of its own before it."""
    part, d = spec.embedding, spec.d_model
    assert not (spec.extras or spec.labels or spec.head or spec.pad_to), "no encoder of texts has these"
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


# --- UDOP -----------------------------------------------------------------------------------------------------------


@family("udop")
def udop(c: Config) -> ModelSpec:
    """T5 that reads a page: its patches stand among the encoder's tokens, two tables say where on it a token stands, and beside
    T5's there are biases for distances across and down. The decoder has these, and what makes patches, for nothing.
    """
    t5_ignore(c)
    t5_ties(c)
    of_class(c, "ForConditionalGeneration")
    part = t5_ffn(c)
    if c.text("feed_forward_proj") == "gated-gelu" and "dense_act_fn" not in c.data:
        part = replace(part, activation="gelu")
    d, heads, rows = c.size("d_model"), c.size("num_heads"), c.size("max_2d_position_embeddings")
    stem = patches(c, d)
    c.expect("is_decoder", False)
    c.expect("add_cross_attention", False)
    biases = Tables((*2 * _biases(c),), heads)
    return model(
        c,
        d_model="d_model",
        context=None,
        norm=RMS,
        head=Head(),
        extras=(Tables((rows, rows)), *((biases,) if biases.rows else ()), Idle((stem.d_in + 1) * d)),
        towers=(Tower("vision", d, (stem,)),),
        **t5_stacks(c, lambda _, n: [part] * n, False),
    )


def _biases(c: Config) -> list[int]:
    """The rows of each table of biases but the first, which is T5's own."""
    given = c.list("relative_bias_args")
    given = [{}, {}, {}] if given is None else given
    found = []
    for each in given:
        said = each if isinstance(each, Mapping) else {}
        buckets, prefixed = said.get("relative_attention_num_buckets", 32), said.get("prefix_bucket", False)
        if not isinstance(each, Mapping) or type(buckets) is not int or not 0 < buckets < 10**6 or prefixed or "expand" in said:
            raise c.wrong("relative_bias_args", given, "a list of mappings without prefix_bucket and expand")
        found.append(buckets)
    if not found:
        raise c.wrong("relative_bias_args", given, "a list of at least one")
    return found[1:]


# --- Pix2Struct -----------------------------------------------------------------------------------------------------


@encoder("pix2struct_vision_model", "kosmos_2_5_vision_model")
def flattened(c: Config) -> Towers:
    """T5's layers without a bias of positions, for which there are tables of rows and columns; gated feed-forwards."""
    first = c.model_type == "pix2struct_vision_model"
    rows, dim, d_ff = ("seq_len", "d_kv", "d_ff") if first else ("max_num_patches", "head_dim", "intermediate_size")
    c.ignore("relative_attention_num_buckets", "relative_attention_max_distance", "dropout_rate", "patch_size", "num_channels")
    c.ignore("image_size", "layer_norm_bias", "mlp_bias", "projection_dim")  # which the first files have, and nothing reads
    d, bound = c.size("hidden_size"), c.size(rows)
    stem = Dense("patches", c.size("patch_embed_hidden_size"), d, True, stem=True)
    stack = layers(c, d_ff, act="dense_act_fn", bias=False, gate=True, head_dim=c.size(dim))
    before = (stem, Table("rows", bound, d), Table("columns", bound, d))
    return (Tower("vision", d, before, stack, (Normed("norm", d),), norm=RMS),)


@family("pix2struct_text_model")
def pix2struct_text(c: Config) -> ModelSpec:
    """T5's decoder, whose heads are together as wide as the model, with gated feed-forwards."""
    c.ignore("relative_attention_max_distance", "dropout_rate", "layer_norm_epsilon", "add_cross_attention")
    c.ignore("encoder_hidden_size", "feed_forward_proj")  # which the first files have, and nothing reads
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


# --- Evolla ---------------------------------------------------------------------------------------------------------


@family("evolla")
def evolla(c: Config) -> ModelSpec:
    """LLaMA that reads proteins: a text of their own for an encoder as ESM's, whose queries some layers meet after their
    feed-forward, with another behind a second gate.
    """
    c.ignore("tie_word_embeddings", *ROTARY)
    c.expect("add_cross_attention", False)
    of_class(c, "ForProteinText2Text")
    protein = c.inner("protein_encoder_config")
    d, n, inner, bias = c.size("hidden_size"), layer_count(c), protein.size("hidden_size"), c.flag("aligner_enable_bias", True)
    mixer = heads(c, bias=c.flag("attention_bias"))
    layer = Layers(1, mixer, gated(c, bias=c.flag("mlp_bias")))
    # Its second norm is a layer norm, whose shift stands with the two gates.
    adapter = Layers(
        1,
        cross=Attention(mixer.n_heads, head_dim=d // mixer.n_heads, bias=True, out_bias=bias, scalars=2 + d, softmax_fp32=False),
        ffn=Plain(d * c.size("aligner_ffn_mult")),
        norms=("cross_attention", "ffn"),
    )
    every = max(n // c.size("aligner_num_add_layers"), 1)
    order = (each for at in range(n) for each in ((layer, adapter) if (at + 1) % every == 0 else (layer,)))
    latents = c.size("resampler_num_latents")
    meets = Layers(
        c.size("resampler_depth"),
        cross=Attention(c.size("resampler_heads"), head_dim=c.size("resampler_dim_head"), softmax_fp32=False),
        ffn=Plain(inner * c.size("resampler_ff_mult")),
        norms=("latents", "context", "ffn"),
    )
    after = (Dense("out", inner, d, True), Normed("norm", d))
    own = (Vector("latents", latents * inner),)
    resampler = Tower("projector", inner, own, (meets,), after, fed="text", latents=latents, added=latents)
    c.notes.append("--source-seq is a protein's residues")
    return meeting(c, model(c, decoder=runs_of(order), norm=RMS, head=Head(False)), (_proteins(protein), resampler))


def _proteins(c: Config) -> Tower:
    """ESM-2 (Lin et al. 2023, doi:10.1126/science.ade2574), without its heads."""
    c.ignore("token_dropout", "mask_token_id", *ROTARY)
    c.expect("is_decoder", False)
    c.expect("add_cross_attention", False)
    d, rotary = c.size("hidden_size"), c.text("position_embedding_type", ("rotary", "absolute")) == "rotary"
    before: list[Piece] = [Table("embedding.tokens", c.size("vocab_size"), d)]
    before += [] if rotary else [Table("embedding.positions", c.size("max_position_embeddings"), d)]
    before += [Normed("embedding.norm", d)] if c.flag("emb_layer_norm_before") else []
    c.ignore("max_position_embeddings")
    mixer = Attention(c.size("num_attention_heads"), bias=True, rope=rotary, softmax_fp32=False)
    layer = Layers(c.size("num_hidden_layers"), mixer, Plain(c.size("intermediate_size"), True))
    c.check_leftovers()
    return Tower("encoder", d, (*before,), (layer,), (Normed("norm", d),), fed="text")


# --- pi0 ------------------------------------------------------------------------------------------------------------


@family("pi0")
def pi0(c: Config) -> ModelSpec:
    """PaliGemma without its head, and beside it a narrower Gemma of actions, which has as many layers and meets their keys and
    values too (Black et al. 2024, arXiv:2410.24164).
    """
    c.ignore(*(key for key in c.defaults if key.startswith(("time_sampling_", "min_", "max_period"))))
    c.ignore("loss_reduction", "tie_word_embeddings")
    of_class(c, "ForConditionalGeneration")
    part = one_of(c, "vlm_config", {"paligemma"})
    part.read.update(part.data)
    sees = from_config({**part.data, "model_type": part.model_type}, part.source)
    overridden(c, "dit_config", vocab_size=sees.embedding.vocab)
    acts = read(one_of(c, "dit_config", {"gemma"}))
    checked(c)
    if _cached(sees) != _cached(acts) or None in _cached(acts):
        allowed = "as many layers, and as wide keys and values, as text_config in vlm_config"
        raise InputError(f"{c.source}: dit_config has other layers, but must have {allowed}", field="dit_config", allowed=allowed)
    c.notes.append(
        f"a pass is one step towards {c.size('chunk_size')} actions, of which {c.size('num_inference_steps')} are made"
    )
    return replace(sees, decoder=_handed(sees.decoder), head=None, towers=(*sees.towers, *_actions(c, acts)), **titles(c))


def _cached(spec: ModelSpec) -> list[tuple[int, int, int] | None]:
    """Of each run of layers how many there are, and what each keeps of a token."""
    mixers = ((layer.repeat, layer.mixer) for layer in spec.decoder)
    return [(n, each.kv_heads, each.width(spec.d_model)) if isinstance(each, Attention) else None for n, each in mixers]


def _handed(layers: tuple[Layers, ...]) -> tuple[Layers, ...]:
    """Layers of whose last one nothing but the keys and values is read."""
    *before, last = layers
    rest = (replace(last, repeat=last.repeat - 1),) if last.repeat > 1 else ()
    return *before, *rest, replace(last, repeat=1, grad="kv")


def _actions(c: Config, spec: ModelSpec) -> Towers:
    """A token for the state and one for each action, with the time as sinusoids beside it; a table of words for nothing."""
    d, many, state, action = spec.d_model, c.size("chunk_size"), c.size("max_state_dim"), c.size("max_action_dim")
    timed = (
        Dense("action", action, d, True, stem=True),
        Dense("time.up", 2 * d, d, True),
        Activated("time.activation", d, "silu"),
        Dense("time.down", d, d, True),
    )
    tables = (Table("words", spec.embedding.vocab, d),)
    return (
        Tower("actions", d, (Dense("state", state, d, True, stem=True),), fed="text", latents=1),
        Tower("actions", d, timed, fed="text", latents=many),
        Tower("actions", d, tables, spec.decoder, (Normed("norm", d),), norm=spec.norm, fed="text", latents=many + 1, joins=True),
        Tower("actions", d, (Dense("out", d, action, True),), fed="text", latents=many),
    )
