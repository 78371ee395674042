"""Encoders that are BERT with one thing changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    RMS,
    SCALE_ONLY,
    activation,
    gated,
    head,
    heads,
    in_order,
    layer_count,
    model,
    windowed_layers,
)
from llmcx.huggingface.config import ROTARY, SUMMARY, Config
from llmcx.huggingface.encoder import MASKED, layers_of, outside
from llmcx.huggingface.labels import ANSWER, CHOICE, SEQUENCE, asked, encoder_labels, first_named
from llmcx.model.extras import Idle, Tables
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Plain, Sliding


@family("ernie")
def ernie(c: Config) -> ModelSpec:
    """A fourth table, of tasks."""
    tasks = (Tables((c.size("task_type_vocab_size"),)),) if c.flag("use_task_id") else ()
    c.ignore("task_type_vocab_size")
    return outside(c, (layers_of(c),), extras=tasks)


@family("data2vec-text")
def data2vec(c: Config) -> ModelSpec:
    """RoBERTa."""
    return outside(c, (layers_of(c),))


@family("roberta-prelayernorm")
def prenorm(c: Config) -> ModelSpec:
    """RoBERTa with norms before its parts, and at the end."""
    return outside(c, (layers_of(c),), final_norm=True)


@family("megatron-bert", "xlm-roberta-xl")
def megatron(c: Config) -> ModelSpec:
    """Norms before the parts and at the end, none of the embeddings."""
    tables = Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), c.size("type_vocab_size"))
    return outside(c, (layers_of(c),), embedding=tables, final_norm=True)


@family("rembert")
def rembert(c: Config) -> ModelSpec:
    """Tables narrower than the model, a head wider, and never tied."""
    inside, width = c.size("input_embedding_size"), c.size("output_embedding_size")
    c.ignore("classifier_dropout_prob")
    spec = outside(c, (layers_of(c),), inside)
    return replace(spec, head=spec.head and replace(spec.head, width=width, tied=False, second_bias=False))


@family("roformer")
def roformer(c: Config) -> ModelSpec:
    """Rotary positions from a table of sines, tables narrower than the model, no pooler."""
    c.ignore("rotary_value")
    d, n = c.size("hidden_size"), c.size("num_attention_heads")
    width = c.optional("embedding_size") or d
    narrow = None if width == d else width
    found = encoder_labels(c)
    if found and asked(c) == SEQUENCE:
        found = replace(found, dense=activation(c, "hidden_act"))
    return outside(
        c,
        (layers_of(c, Attention(n, bias=True, rope=True, softmax_fp32=False)),),
        embedding=Embedding(c.size("vocab_size"), None, c.size("type_vocab_size"), narrow, normed=True),
        extras=(Tables((c.size("max_position_embeddings"),), d // n),),
        labels=found,
        pooler=False,
    )


@family("mpnet")
def mpnet(c: Config) -> ModelSpec:
    """T5's relative positions, in 32 rows of a table that may have more, beside the absolute ones; no segments."""
    plain = Attention(c.size("num_attention_heads"), bias=True, softmax_fp32=False)
    first = replace(plain, relative_buckets=c.size("relative_attention_num_buckets", 32))
    one = replace(layers_of(c), repeat=1)
    kinds = (i == 0 for i in range(layer_count(c)))
    return outside(c, in_order(kinds, lambda is_first: replace(one, mixer=first if is_first else plain)))


@family("layoutlm")
def layoutlm(c: Config) -> ModelSpec:
    """Four tables of places on the page; a pooler whatever the head."""
    places = c.size("max_2d_position_embeddings")
    return outside(c, (layers_of(c),), extras=(Tables((places,) * 4),), pooler=asked(c) != SEQUENCE)


@family("esm")
def esm(c: Config) -> ModelSpec:
    """Rotary or learned positions, no segments, norms before the parts and at the end; a head for contacts that no pass meets."""
    c.ignore(
        "hidden_act",
        "token_dropout",
        "vocab_list",
        "position_embedding_type",
        "max_position_embeddings",
        "esmfold_config",
        *ROTARY,
    )
    c.expect("is_folding_model", False)
    rotary = c.text("position_embedding_type", ("absolute", "rotary")) == "rotary"
    n, rows = c.size("num_attention_heads"), None if rotary else c.size("max_position_embeddings")
    mixer = Attention(n, bias=True, rope=rotary, softmax_fp32=False)
    return outside(
        c,
        (Layers(c.size("num_hidden_layers"), mixer, Plain(c.size("intermediate_size"), True)),),
        embedding=Embedding(c.size("vocab_size"), rows, normed=c.flag("emb_layer_norm_before")),
        final_norm=True,
        extras=(Idle(n * c.size("num_hidden_layers") + 1),),
    )


@family("nomic_bert", "gte", "jina_embeddings_v3")
def rotary(c: Config) -> ModelSpec:
    """Rotary positions: with gated feed-forwards and, of Nomic, no biases; a pooler in a bare jina_embeddings_v3 alone."""
    c.ignore(*ROTARY)
    biased, jina = c.model_type != "nomic_bert", c.model_type == "jina_embeddings_v3"
    dim = c.optional("head_dim")
    mixer = Attention(c.size("num_attention_heads"), head_dim=dim, bias=biased, rope=True, softmax_fp32=False)
    width, act = c.size("intermediate_size"), activation(c, "hidden_act")
    ffn = Plain(width, True, act) if jina else Gated(width, False, act, down_bias=biased)
    return outside(
        c,
        (Layers(c.size("num_hidden_layers"), mixer, ffn),),
        embedding=Embedding(c.size("vocab_size"), None, c.optional("type_vocab_size", 0) or None, normed=True),
        **({} if jina else {"pooler": False}),
    )


@family("eurobert")
def eurobert(c: Config) -> ModelSpec:
    """LLaMA without a mask; what is said of a sequence is said of every token, and averaged, unless they are pooled before."""
    bias, late = c.flag("mlp_bias"), c.text("classifier_pooling", ("late", "mean", "bos")) == "late"
    built, found = head(c, MASKED), encoder_labels(c, dense="gelu")
    layers = Layers(c.size("num_hidden_layers"), heads(c, bias=c.flag("attention_bias")), gated(c, bias=bias))
    return model(
        c,
        encoder=(layers,),
        norm=RMS,
        head=built and Head(built.tied, bias),
        labels=found and replace(found, once=found.once and not late),
    )


@family("ultrabert")
def ultrabert(c: Config) -> ModelSpec:
    """LLaMA without a mask, a window around each token in two of three layers; two narrow matrices before the head."""
    windows = c.data.get("attention_windows")
    if windows is not None:
        if not isinstance(windows, list) or not all(type(one) is int or one is None for one in windows):
            raise c.wrong("attention_windows", windows, "a list of windows, null where a layer has none")
        c.data["sliding_window"] = next((one for one in windows if one), c.get("sliding_window"))
        if c.data.get("layer_types") is None:
            c.data["layer_types"] = ["sliding_attention" if one else "full_attention" for one in windows]
    c.ignore("attention_windows", "classifier_pooling", "classifier_dropout", "prediction_head_size")
    built, found = head(c, MASKED), encoder_labels(c)
    mixer, ffn = heads(c, bias=c.flag("attention_bias")), gated(c, bias=c.flag("mlp_bias"))
    inside = replace(mixer, core=Sliding(2 * c.size("sliding_window")))  # as far to either side
    local = windowed_layers(c, lambda i: (i + 1) % 3 != 0)
    return model(
        c,
        encoder=in_order(local, lambda one: Layers(1, inside if one else mixer, ffn)),
        norm=RMS,
        head=built and Head(built.tied, bottleneck=c.size("prediction_head_size")),
        labels=found,
    )


@family("esmc")
def esmc(c: Config) -> ModelSpec:
    """LLaMA's parts with layer norms, one over all queries and one over all keys, and BERT's head, never tied."""
    c.expect("num_key_value_heads", None, c.size("num_attention_heads"))
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="full", qk_norm_type=SCALE_ONLY)
    layers = Layers(c.size("num_hidden_layers"), mixer, gated(c, bias=c.flag("mlp_bias")))
    built: Any = head(c, MASKED)
    return model(
        c,
        encoder=(layers,),
        final_norm_type=SCALE_ONLY,
        head=built and Head(False, True, True),
        labels=encoder_labels(c, dense="tanh"),
    )


@family("xlm", "flaubert")
def xlm(c: Config) -> ModelSpec:
    """A table of languages where there are several, a feed-forward of 4 d_model, a head without a transform."""
    c.ignore("n_layers", "lang_id", "is_encoder", "causal", "sinusoidal_embeddings", "pre_norm", "start_n_top", "end_n_top")
    c.ignore("bos_index", "eos_index", "pad_index", "unk_index", "mask_index", "lang2id", "id2lang", *SUMMARY)
    c.expect("asm", False)
    c.expect("is_encoder", True)
    kind = asked(c)
    if kind in (CHOICE, ANSWER):
        raise c.wrong("architectures", first_named(c), "another class: its head is of several parts")
    if kind == SEQUENCE and not (c.flag("summary_use_proj", True) and c.flag("summary_proj_to_labels", True)):
        raise c.wrong("summary_use_proj", False, "true, and summary_proj_to_labels")
    languages = c.size("n_langs")
    ffn = Plain(4 * c.size("emb_dim"), True, "gelu" if c.flag("gelu_activation") else "relu")
    built = head(c, ("WithLMHeadModel",))
    return model(
        c,
        d_model="emb_dim",
        embedding=Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), normed=True),
        encoder=(Layers(c.size("n_layers"), Attention(c.size("n_heads"), bias=True), ffn),),
        final_norm=False,
        extras=(Tables((languages,)),) if languages > 1 and c.flag("use_lang_emb") else (),
        head=built and Head(built.tied, True),
        labels=encoder_labels(c),
    )


@family("bert-generation")
def bert_generation(c: Config) -> ModelSpec:
    """BERT without segments, and a head without a transform."""
    named = first_named(c)
    built = None if named.endswith("Encoder") else head(c, ("Decoder",))
    tables = Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), normed=True)
    c.ignore("architectures", "tie_word_embeddings")
    return outside(
        c, (layers_of(c),), embedding=tables, head=built and Head(built.tied, True, second_bias=not built.tied), pooler=False
    )
