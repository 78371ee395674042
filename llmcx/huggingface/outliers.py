"""Types of text that share little with others."""

from __future__ import annotations

from dataclasses import replace
from math import lcm
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    LAYER,
    RMS,
    activation,
    counts,
    head,
    in_order,
    layer_count,
    model,
    window,
)
from llmcx.huggingface.config import SUMMARY, Config
from llmcx.huggingface.encdec import CONDITIONAL
from llmcx.huggingface.labels import ANSWER, CHOICE, SEQUENCE, asked, encoder_labels, first_named
from llmcx.model.extras import Beforehand, Extra, Idle, Learned, SharedBias, Tables
from llmcx.model.mixers.einsum import Distant, Prophet, Summed
from llmcx.model.mixers.further import Prefixed
from llmcx.model.mixers.latents import LatentLayer
from llmcx.model.mixers.patches import PatchCross, PatchLayer
from llmcx.model.mixers.reformer import ReversibleLayer
from llmcx.model.spec import Activation, Attention, Embedding, Gated, Head, Layers, ModelSpec, Plain, runs_of


@family("xlnet")
def xlnet(c: Config) -> ModelSpec:
    """Attention by distance, without biases, seen from both sides; norms after the parts; a vector for what is masked, which a
    run without masked places does not meet.
    """
    c.expect("attn_type", "bi")
    c.ignore("mem_len", "reuse_len", "use_mems_eval", "use_mems_train", "bi_data", "clamp_len", "same_length", "untie_r")
    c.ignore("start_n_top", "end_n_top", "ff_activation", "summary_last_dropout", *SUMMARY)
    d, n = c.size("d_model"), c.size("n_head")
    if d % n:
        raise c.wrong("n_head", n, f"a divisor of d_model, {d}")
    c.expect("d_head", None, d // n)
    if asked(c) == ANSWER and not first_named(c).endswith("Simple"):
        raise c.wrong("architectures", first_named(c), "another class: its head is of several parts")
    if asked(c) in (SEQUENCE, CHOICE) and not c.flag("summary_use_proj", True):
        raise c.wrong("summary_use_proj", False, "true")
    built = head(c, ("LMHeadModel",), bias=True)
    ffn = Plain(c.size("d_inner"), True, activation(c, "ff_activation"))
    return model(
        c,
        d_model=d,
        context=None,
        encoder=(Layers(c.size("n_layer"), Distant(n, softmax_fp32=False), ffn),),
        norm=LAYER,
        final_norm=False,
        head=built and replace(built, bias=True),
        labels=encoder_labels(c, dense="tanh"),
        extras=(Idle(d),),
    )


@family("prophetnet")
def prophetnet(c: Config) -> ModelSpec:
    """Norms after the parts; a decoder in streams, of which all but the first score tokens ahead. ProphetNetForCausalLM is the
    decoder alone, whose cross-attention has nothing to attend to.
    """
    c.ignore("relative_max_distance", "disable_ngram_loss", "eps", "is_decoder", "init_std")
    alone = first_named(c).endswith("ForCausalLM")
    if alone:
        c.ignore("num_encoder_layers", "num_encoder_attention_heads", "encoder_ffn_dim")
    else:
        c.expect("add_cross_attention", True)
    act, ahead, d = activation(c, "activation_function"), c.size("ngram"), c.size("hidden_size")
    for n in [c.size("num_decoder_attention_heads")] + ([] if alone else [c.size("num_encoder_attention_heads")]):
        if d % n:
            raise c.wrong("hidden_size", d, f"a multiple of the heads, {n}")
    layer = Prophet(
        c.size("num_decoder_attention_heads"),
        c.size("decoder_ffn_dim"),
        ahead,
        c.size("num_buckets"),
        act,
        c.flag("add_cross_attention", True),
    )
    encoder: tuple[Layers, ...] = ()
    if not alone:
        mixer = Summed(c.size("num_encoder_attention_heads"), bias=True, softmax_fp32=False)
        encoder = (Layers(c.size("num_encoder_layers"), mixer, Plain(c.size("encoder_ffn_dim"), True, act)),)
    built = head(c, (*CONDITIONAL, "ForCausalLM"))
    tables = 1 if c.flag("tie_word_embeddings", True) else 2 if alone else 3
    rows = c.size("max_position_embeddings")
    return model(
        c,
        embedding=Embedding(c.size("vocab_size"), rows, normed=True, per_stack=True, token_tables=tables),
        encoder=encoder,
        decoder=(Layers(c.size("num_decoder_layers"), layer, norms=()),),
        norm=LAYER,
        final_norm=False,
        head=built and replace(built, ahead=ahead),
        extras=(Tables((ahead,)),),
    )


def _sized(c: Config, part: str) -> tuple[Config, Attention, Gated]:
    """One of BLT's four models: its attention, which its heads must divide, and its feed-forward."""
    found = c.part(f"{part}_config")
    if found is None:
        raise c.wrong(f"{part}_config", None, "a mapping")
    found.ignore("max_position_embeddings", "hidden_size_global", "cross_attn_k", "sliding_window", "tie_word_embeddings")
    d, n = found.size("hidden_size"), found.size("num_attention_heads")
    if d % n:
        raise found.wrong("num_attention_heads", n, f"a divisor of hidden_size, {d}")
    wide = found.optional("intermediate_size") or int(8 * d / 3)
    act: Activation = "silu" if part == "patcher" else activation(found, "hidden_act")
    return found, Attention(n, found.optional("num_key_value_heads") or n, rope=True), Gated(wide, activation=act)


@family("blt")
def blt(c: Config) -> ModelSpec:
    """A small model on bytes, a large one on patches of bytes, and a small one that writes bytes; one more says where patches
    begin. Tables of groups of bytes beside the bytes' own.
    """
    c.ignore("patching_threshold", "patching_batch_size", "max_patch_length")
    encoder, enc, enc_ffn = _sized(c, "encoder")
    decoder, dec, dec_ffn = _sized(c, "decoder")
    whole, top, top_ffn = _sized(c, "global")
    d, wide, many = encoder.size("hidden_size"), whole.size("hidden_size"), c.size("cross_attn_k")
    for part, key, value in (
        (decoder, "hidden_size", d),
        (decoder, "hidden_size_global", wide),
        (decoder, "cross_attn_k", many),
        (encoder, "cross_attn_k", many),
    ):
        part.expect(key, value)
    decoder.ignore("vocab_size")
    rows, vocab, built = encoder.size("vocab_size"), c.size("vocab_size"), head(c)
    if built is not None and built.tied:
        encoder.expect("vocab_size", vocab)
    core = window(c.optional("local_attention_window_len"))
    has, reads = c.flag("patch_in_forward", True), c.get("patching_mode") == "entropy"
    measured = has and reads and c.get("patch_size") is not None
    per = c.size("patch_size") if measured else 1
    c.ignore("patch_size")
    places: dict[str, Any] = {"per": per, "spare": 0 if has and reads else 1}
    if measured:
        c.notes.append(f"a patch is counted as {per} bytes (patch_size), an average: where it ends depends on the text")
    extras: tuple[Extra, ...] = ()
    first: tuple[Layers, ...] = ()
    if has:
        patcher, pat, pat_ffn = _sized(c, "patcher")
        known, narrow, n = patcher.size("vocab_size"), patcher.size("hidden_size"), patcher.size("num_hidden_layers")
        if reads:
            layer = PatchLayer(narrow, pat.n_heads, pat_ffn.d_ff, pat.n_kv_heads)
            first = (Layers(n, layer, norms=(), grad=False),)
            extras = (Beforehand(known, narrow),)
        else:
            matrices = narrow * (2 * narrow + 2 * pat.kv_heads * (narrow // pat.n_heads) + 3 * pat_ffn.d_ff)
            extras = (Tables((known,), narrow), Idle(known * narrow + narrow + n * (matrices + 2 * narrow)))
            c.notes.append("the model that finds patches is held and not run (patching_mode)")
    else:
        c.ignore("patcher_config")
    gather = PatchCross(enc.n_heads, many, True, enc.n_kv_heads, source=d, **places)
    last = replace(gather, out=None if d * many == wide else wide)
    again = replace(gather, tied=True)
    kinds: list[Layers] = [*first]
    n = layer_count(encoder)
    every = encoder.flag("cross_attn_all_layers")
    for i in range(n):
        kinds.append(Layers(1, replace(enc, core=core), enc_ffn))
        if i == n - 1:
            kinds.append(Layers(1, last, norms=()))
        elif every:  # what these gather is thrown away, and trained through by nobody
            kinds.append(Layers(1, again, norms=(), grad=False))
    layer = PatchLayer(wide, top.n_heads, top_ffn.d_ff, top.n_kv_heads, activation=top_ffn.activation, **places)
    kinds.append(Layers(whole.size("num_hidden_layers"), layer, norms=()))
    spread = PatchCross(dec.n_heads, many, False, dec.n_kv_heads, **places)
    for i in range(layer_count(decoder)):
        if not i or decoder.flag("cross_attn_all_layers"):
            kinds.append(Layers(1, spread if i else replace(spread, source=wide), norms=()))
        kinds.append(Layers(1, replace(dec, core=core), dec_ffn))
    decoder.ignore("cross_attn_all_layers")
    sizes = [3, 4, 5, 6, 7, 8] if c.get("encoder_hash_byte_group_size") is None else counts(c, "encoder_hash_byte_group_size")
    tables = len(sizes) * c.size("encoder_hash_byte_group_nb_functions")
    if tables > 1_000:
        raise c.wrong("encoder_hash_byte_group_nb_functions", tables // len(sizes), "at most 1,000 tables together")
    for part in c.parts:
        part.check_leftovers()
    return model(
        c,
        d_model=d,
        embedding=Embedding(rows),
        decoder=runs_of(kinds),
        norm=RMS,
        head=built and replace(built, vocab=vocab),
        extras=(Tables((c.size("encoder_hash_byte_group_vocab"),) * tables), *extras),
    )


@family("cpmant")
def cpmant(c: Config) -> ModelSpec:
    """Learned tokens before each sequence, of one of several kinds; a bias by distance and segments, the same in all layers."""
    c.ignore("position_bias_max_distance", "dropout_p", "eps", "init_std", "tie_word_embeddings")
    n, kinds, length, segments = (
        c.size(key) for key in ("num_attention_heads", "prompt_types", "prompt_length", "segment_types")
    )
    if kinds < 3:
        raise c.wrong("prompt_types", kinds, "at least 3: the code takes the third")
    mixer = Prefixed(n, head_dim=c.size("dim_head"), softmax_fp32=False)
    layer = Layers(c.size("num_hidden_layers"), mixer, Gated(c.size("dim_ff"), activation="gelu"))
    return model(
        c,
        context=None,
        embedding=Embedding(c.size("vocab_size"), types=segments, spare=kinds * length),
        decoder=(layer,),
        norm=RMS,
        head=head(c, ties=False),
        prompt=length,
        extras=(SharedBias(segments**2 + c.size("position_bias_num_buckets"), n),),
    )


@family("perceiver")
def perceiver(c: Config) -> ModelSpec:
    """Of text, as PerceiverForMaskedLM has it: latents that read all tokens once, blocks of layers that may run again with the
    same weights, and a query for each place that a sequence can have, all of which are scored.
    """
    c.ignore("use_query_residual", "image_size", "train_size", "num_frames", "audio_samples_per_frame", "samples_per_patch")
    c.ignore("output_shape", "output_num_channels", "tie_word_embeddings")
    if first_named(c) and not first_named(c).endswith("ForMaskedLM"):
        raise c.wrong("architectures", first_named(c), "a class that ends in ForMaskedLM: others read and write something else")
    d, wide, rows, places = (c.size(key) for key in ("d_model", "d_latents", "num_latents", "max_position_embeddings"))
    by_queries = c.text("cross_attention_shape_for_attention", ("q", "kv")) == "q"
    act, heads_inside, times = activation(c, "hidden_act"), c.size("num_self_attention_heads"), c.size("num_blocks")
    stated, values = c.optional("qk_channels"), c.optional("v_channels")
    across = stated or (wide if by_queries else d)
    inside = values or stated or wide
    if inside != wide:
        raise c.wrong("v_channels", inside, f"{wide}, as d_latents: latents are added to what attention gives out")
    cross = LatentLayer(
        c.size("num_cross_attention_heads"),
        rows,
        wide,
        across,
        values or across,
        wide * c.size("cross_attention_widening_factor"),
        source=d,
        learned=True,
        activation=act,
    )
    factor = c.size("self_attention_widening_factor")
    own = LatentLayer(heads_inside, rows, wide, stated or wide, inside, wide * factor, activation=act)
    write = LatentLayer(8, places, d, 256, d, d, source=wide, source_rows=rows, learned=True, activation=act)
    many = c.size("num_self_attends_per_block")
    again = (Layers(many * (times - 1), own, norms=(), reused=True),) if times > 1 else ()
    return model(
        c,
        d_model=d,
        embedding=Embedding(c.size("vocab_size"), places),
        encoder=(Layers(1, cross, norms=()), Layers(many, own, norms=()), *again, Layers(1, write, norms=())),
        norm=LAYER,
        final_norm=False,
        head=Head(True, True, rows=places),
        labels=None,
    )


def _axes(c: Config, key: str) -> list[int]:
    """Two sizes."""
    given = c.get(key)
    if not isinstance(given, (list, tuple)) or len(given) != 2 or not all(type(n) is int and 0 < n < 10**9 for n in given):
        raise c.wrong(key, given, "two sizes")
    return list(given)


@family("reformer")
def reformer(c: Config) -> ModelSpec:
    """An encoder of two streams, whose layers attend within chunks as they stand or as a hash sorts them; a head as wide as both
    streams; learned positions as two tables that are laid side by side.
    """
    c.ignore("axial_norm_std", "hash_seed", "chunk_size_lm_head", "num_hidden_layers", "tie_word_embeddings")
    c.expect("is_decoder", False)
    d, longest = c.size("hidden_size"), c.size("max_position_embeddings")
    kinds = c.get("attn_layers")
    if not isinstance(kinds, (list, tuple)) or not 0 < len(kinds) <= 10_000 or not set(map(str, kinds)) <= {"local", "lsh"}:
        raise c.wrong("attn_layers", kinds, "a list of local and lsh")
    given = c.get("num_buckets")
    buckets = [] if given is None else given if isinstance(given, (list, tuple)) else [c.size("num_buckets")]
    if not all(type(n) is int and 0 < n < 10**9 and n % 2 == 0 for n in buckets):
        raise c.wrong("num_buckets", given, "an even number, or even factors of it")
    chunks = {kind: c.size(f"{kind}_attn_chunk_length") for kind in dict.fromkeys(kinds)}

    def make(kind: tuple[str, bool]) -> Layers:
        """The last has a norm after it."""
        name, last = kind
        layer = ReversibleLayer(
            c.size("num_attention_heads"),
            c.size("attention_head_size"),
            c.size("feed_forward_size"),
            chunks[name],
            sum(c.size(f"{name}_num_chunks_{side}", 0) for side in ("before", "after")),
            c.size("num_hashes") if name == "lsh" else None,
            tuple(buckets) if name == "lsh" else (),
            longest,
            last,
            activation(c, "hidden_act"),
        )
        return Layers(1, layer, norms=())

    layers = in_order(((str(kind), i == len(kinds) - 1) for i, kind in enumerate(kinds)), make)
    c.ignore(
        *(f"{kind}_{key}" for kind in ("local", "lsh") for key in ("attn_chunk_length", "num_chunks_before", "num_chunks_after"))
    )
    c.ignore("num_hashes", "num_buckets")
    shape, widths = _axes(c, "axial_pos_shape"), _axes(c, "axial_pos_embds_dim")
    axial = c.flag("axial_pos_embds")
    if axial and sum(widths) != d:
        raise c.wrong("axial_pos_embds_dim", widths, f"two sizes that make hidden_size, {d}, together")
    sides = sum(rows * width for rows, width in zip(shape, widths, strict=True))
    built = head(c, ("ForMaskedLM",), ties=False)
    return model(
        c,
        embedding=Embedding(c.size("vocab_size"), None if axial else longest),
        encoder=layers,
        norm=LAYER,
        final_norm=False,
        head=built and Head(False, True, width=2 * d),
        labels=None,
        pad_to=lcm(*chunks.values()),
        pad_above=min(chunks.values()),
        extras=(Learned(sides),) if axial else (),
    )
