"""Encoder-decoders: T5 and its kin, BART and its kin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from llmcx.core.parts import Attention, Embedding, Gated, Head, Layers, ModelSpec, MoE, Plain

from . import family
from .common import ACTIVATIONS, LAYER, RMS, activation, head, layer_count, model
from .config import Config

CONDITIONAL = ("ForConditionalGeneration",)


def t5_ffn(c: Config) -> Plain | Gated:
    """relu, gelu, gated-gelu (the tanh form), gated-silu."""
    said = c.text("feed_forward_proj")
    gate, _, act = said.rpartition("-")
    if gate not in ("", "gated") or act not in ACTIVATIONS:
        raise c.wrong("feed_forward_proj", said, "an activation, or gated- and an activation")
    c.ignore("dense_act_fn", "is_gated_act")
    if gate:
        return Gated(c.size("d_ff"), activation="gelu_new" if act == "gelu" else ACTIVATIONS[act])
    return Plain(c.size("d_ff"), activation=ACTIVATIONS[act])


def t5_stacks(c: Config, ffn: Callable[[str], list[tuple[int, Any]]], every: bool) -> dict[str, tuple[Layers, ...]]:
    """Both stacks; the relative position table is in the first layer of each, or (``every``) in every layer.

    ``ffn(stack)`` gives how many layers have which feed-forward, the first layer's first.
    """
    plain = Attention(c.size("num_heads"), head_dim=c.size("d_kv"))
    first = replace(plain, relative_buckets=c.size("relative_attention_num_buckets"))
    out = {}
    for stack in ("encoder", "decoder"):
        cross = plain if stack == "decoder" else None
        groups = []
        for index, (count, part) in enumerate(ffn(stack)):
            if every:
                groups.append(Layers(count, first, part, cross))
                continue
            if index == 0:
                groups.append(Layers(1, first, part, cross))
            rest = count - (index == 0)
            if rest:
                groups.append(Layers(rest, plain, part, cross))
        out[stack] = tuple(groups)
    return out


def t5_ignore(c: Config) -> None:
    c.ignore("relative_attention_max_distance", "dropout_rate", "n_positions", "is_decoder", "tokenizer_class", "output_past")
    c.ignore("scale_decoder_outputs", "layer_norm_eps", "max_new_tokens", "num_decoder_heads")


@family("t5", "mt5", "umt5")
def t5(c: Config) -> ModelSpec:
    """RMS norms, no biases, heads of d_kv; always tied, whatever the key says. UMT5 has a position table in every layer."""
    t5_ignore(c)
    c.ignore("tie_word_embeddings")
    if c.data.get("tie_word_embeddings") is False:
        c.notes.append(
            "tie_word_embeddings=false: transformers builds T5 tied all the same; the checkpoint has a head of its own"
        )
    part = t5_ffn(c)
    depth = {"encoder": c.size("num_layers"), "decoder": c.optional("num_decoder_layers") or c.size("num_layers")}
    stacks = t5_stacks(c, lambda stack: [(depth[stack], part)], c.model_type == "umt5")
    named = c.data.get("architectures")
    if isinstance(named, list) and named and str(named[0]).endswith("EncoderModel"):
        return model(c, d_model="d_model", context=None, encoder=stacks["encoder"], norm=RMS, head=None)
    built = head(c, CONDITIONAL)
    return model(c, d_model="d_model", context=None, **stacks, norm=RMS, head=built and Head())


@family("switch_transformers")
def switch(c: Config) -> ModelSpec:
    """T5 with experts in evenly spaced layers, one per token."""
    t5_ignore(c)
    c.ignore("add_router_probs", "router_dtype", "router_ignore_padding_tokens", "router_type", "expert_capacity")
    c.ignore("feed_forward_proj", "is_gated_act", "batch_prioritized_routing", "num_selected_experts")
    c.ignore("encoder_sparse_step", "decoder_sparse_step")
    c.expect("add_cross_attention", False)
    dense = Plain(c.size("d_ff"), activation=activation(c, "dense_act_fn"))
    sparse = MoE(c.size("num_experts"), 1, dense, router_bias=c.flag("router_bias"))
    keys = {
        "encoder": ("num_layers", "num_sparse_encoder_layers"),
        "decoder": ("num_decoder_layers", "num_sparse_decoder_layers"),
    }

    def ffn(stack: str) -> list[tuple[int, Any]]:
        n, wanted = layer_count(c, keys[stack][0]), c.size(keys[stack][1], 0)
        step = n // wanted if wanted else n
        with_experts = sum(step == 1 or i % step == 1 for i in range(n)) if step else 0
        parts = [(n - with_experts, dense), (with_experts, sparse)]
        return [(count, part) for count, part in parts if count]

    built = head(c, CONDITIONAL)
    tables = 1 if c.flag("tie_word_embeddings", True) else 3  # untied, each stack has a token table of its own too
    stacks = t5_stacks(c, ffn, False)
    embedding = Embedding(c.size("vocab_size"), token_tables=tables)
    return model(c, d_model="d_model", context=None, **stacks, norm=RMS, head=built, embedding=embedding)


@family("bart", "mbart", "pegasus")
def bart(c: Config) -> ModelSpec:
    """Biases everywhere, a position table per stack. BART normalises after its parts, mBART and Pegasus before and at the end."""
    c.ignore("scale_embedding", "is_decoder", "encoder_layerdrop", "decoder_layerdrop", "add_bias_logits", "add_final_layer_norm")
    c.ignore("normalize_before", "normalize_embedding", "static_position_embeddings", "force_bos_token_to_be_generated")
    c.ignore("extra_pos_embeddings", "num_hidden_layers", "max_length", "classif_dropout")
    act = activation(c, "activation_function")

    def stack(name: str) -> tuple[Layers, ...]:
        mixer = Attention(c.size(f"{name}_attention_heads"), bias=True)
        ffn = Plain(c.size(f"{name}_ffn_dim"), True, act)
        return (Layers(c.size(f"{name}_layers"), mixer, ffn, mixer if name == "decoder" else None),)

    tied = c.flag("tie_word_embeddings", True)
    sinusoidal = c.model_type == "pegasus"
    rows = c.size("max_position_embeddings") + (0 if sinusoidal else 2)
    return model(
        c,
        d_model="d_model",
        embedding=Embedding(c.size("vocab_size"), rows, normed=not sinusoidal, per_stack=True, token_tables=1 if tied else 3),
        encoder=stack("encoder"),
        decoder=stack("decoder"),
        norm=LAYER,
        final_norm=c.model_type != "bart",
        head=head(c, CONDITIONAL),
    )
