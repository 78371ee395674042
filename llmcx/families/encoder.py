"""Encoders: BERT and its kin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.core.mixers.blocks import BigBird, LongformerBlocks
from llmcx.core.parts import Attention, Embedding, Gated, Head, Layers, ModelSpec, Norm, Plain, Sliding

from . import family
from .common import LAYER, activation, by_kind, by_type, head, layer_count, model
from .config import Config

MASKED = ("ForMaskedLM", "LMHeadModel")


@family("bert", "roberta", "xlm-roberta", "electra")
def bert(c: Config) -> ModelSpec:
    """Token, position and segment tables with a norm; norms after each part; a masked-LM head with a transform, or a pooler."""
    c.expect("add_cross_attention", False)
    c.expect("is_decoder", False)
    c.expect("position_embedding_type", "absolute")
    c.ignore("summary_last_dropout", "gradient_checkpointing", "directionality", "pooler_fc_size", "pooler_num_attention_heads")
    c.ignore("pooler_num_fc_layers", "pooler_size_per_head", "pooler_type")
    width = c.optional("embedding_size") if c.model_type == "electra" else None
    width = None if width == c.size("hidden_size") else width
    tables = Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), c.size("type_vocab_size"), width, normed=True)
    named = c.data.get("architectures")
    if c.model_type == "electra" and named == ["ElectraForPreTraining"]:
        c.ignore("tie_word_embeddings")
        built: Head | None = Head(tied=True, discriminator=True)
    else:
        built = head(c, MASKED)
        untied = built is not None and not built.tied and c.model_type != "electra"
        built = built and Head(tied=built.tied, bias=True, transform=True, second_bias=untied)
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    layers = Layers(c.size("num_hidden_layers"), Attention(c.size("num_attention_heads"), bias=True), ffn)
    return model(
        c,
        embedding=tables,
        encoder=(layers,),
        norm=LAYER,
        final_norm=False,
        head=built,
        pooler=built is None and c.model_type != "electra",
    )


@family("longformer")
def longformer(c: Config) -> ModelSpec:
    """BERT's layers with sliding chunks of attention_window, and projections of their own for global tokens."""
    c.ignore("onnx_export", "ignore_attention_mask", "attention_mode")
    windows, n = c.get("attention_window"), layer_count(c)
    if isinstance(windows, int) and not isinstance(windows, bool):
        windows = [windows] * n
    whole = isinstance(windows, list) and all(isinstance(w, int) and not isinstance(w, bool) and 2 <= w < 10**9 for w in windows)
    if not whole or len(windows) != n or any(w % 2 for w in windows):
        raise c.wrong("attention_window", c.get("attention_window"), "an even number from 2, or one for each layer")
    heads = c.size("num_attention_heads")
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    layers = by_kind(windows, lambda window: Layers(1, LongformerBlocks(heads, window), ffn))
    return _masked(c, layers, head(c, MASKED), pad_to=max(windows))


@family("big_bird")
def big_bird(c: Config) -> ModelSpec:
    """BERT with blocks: a window, two global ones and random ones; a pooler even beside the masked-LM head."""
    c.expect("add_cross_attention", False)
    c.expect("is_decoder", False)
    c.ignore("rescale_embeddings")
    heads, bias = c.size("num_attention_heads"), c.flag("use_bias")
    block, random = c.size("block_size"), c.size("num_random_blocks")
    sparse = c.text("attention_type", ("block_sparse", "original_full")) == "block_sparse"
    mixer = BigBird(heads, block, random, bias) if sparse else Attention(heads, bias=bias, out_bias=True)
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    layers = (Layers(c.size("num_hidden_layers"), mixer, ffn),)
    padding = {"pad_to": block, "pad_above": BigBird.full_up_to(block, random)} if sparse else {}
    return _masked(c, layers, head(c, MASKED), pooler=True, **padding)


def _masked(c: Config, layers: tuple[Layers, ...], built: Head | None, **more: Any) -> ModelSpec:
    """BERT's outside: three tables with a norm, and the masked-LM head with its transform, or a pooler."""
    tables = Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), c.size("type_vocab_size"), normed=True)
    made = built and Head(tied=built.tied, bias=True, transform=True, second_bias=not built.tied)
    parts = {"embedding": tables, "norm": LAYER, "final_norm": False, "pooler": built is None, **more}
    return model(c, encoder=layers, head=made, **parts)


@family("modernbert")
def modernbert(c: Config) -> ModelSpec:
    """Rotary positions, gated feed-forwards, a window in all but every third layer; no norm before the first."""
    c.ignore(
        "classifier_pooling", "classifier_activation", "deterministic_flash_attn", "mlp_dropout", "initializer_cutoff_factor"
    )
    c.ignore("sparse_prediction", "sparse_pred_ignore_index", "reference_compile", "repad_logits_with_grad", "global_rope_theta")
    c.ignore("local_rope_theta", "position_embedding_type")
    norm = Norm("layernorm", bias=c.flag("norm_bias"))
    mixer = Attention(c.size("num_attention_heads"), bias=c.flag("attention_bias"), rope=True)
    ffn = Gated(c.size("intermediate_size"), c.flag("mlp_bias"), activation(c, "hidden_activation"))
    every = c.size("global_attn_every_n_layers") if c.has("global_attn_every_n_layers") else 3
    local = replace(mixer, core=Sliding(c.size("local_attention")))
    groups = list(by_type(c, lambda w: Layers(1, local if w else mixer, ffn), lambda i: i % every != 0))
    # The first layer is a global one; it has no norm before its attention.
    at = next((i for i, group in enumerate(groups) if group.mixer == mixer), 0)
    first = replace(groups[at], repeat=1, norms=("ffn",))
    groups[at : at + 1] = [first] + ([replace(groups[at], repeat=groups[at].repeat - 1)] if groups[at].repeat > 1 else [])
    built = head(c, MASKED)
    bias, inner = c.flag("decoder_bias", True), c.flag("classifier_bias")
    return model(
        c,
        embedding=Embedding(c.size("vocab_size"), normed=True),
        encoder=tuple(groups),
        norm=norm,
        head=built and Head(tied=built.tied, bias=bias, transform=True, transform_bias=inner),
    )
