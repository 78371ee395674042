"""Gemma, from the first to the fourth: wide heads, GELU gates, norms before and after each part, windows in most layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    GEMMA,
    SANDWICH,
    WIDE_RMS,
    activation,
    gated,
    head,
    head_dim,
    heads,
    in_order,
    layer_count,
    layer_types,
    model,
    windowed_layers,
)
from llmcx.huggingface.config import ROUTING, SCALES, Config
from llmcx.huggingface.labels import asked, first_named
from llmcx.huggingface.llama import pattern, uniform, windowed
from llmcx.model.extras import AltUp, Laurel, PerLayer
from llmcx.model.mixers.further import Merged
from llmcx.model.spec import FFN, Attention, Embedding, Gated, Head, Layers, ModelSpec, MoE, Sliding, Standard

SLIDING, FULL = "sliding_attention", "full_attention"
EXPERTS = ("shared_out", "experts", "experts_out")  # Gemma 4's further norms where experts stand beside the feed-forward


@family("gemma")
def gemma(c: Config) -> ModelSpec:
    """LLaMA with wide heads, a GELU gate and a tied head."""
    c.ignore("use_bidirectional_attention", "hidden_activation", "hidden_act", *SCALES)  # eager code masks all the same
    act = "hidden_activation" if c.data.get("hidden_activation") else "hidden_act"
    return uniform(c, heads(c, bias=c.flag("attention_bias")), gated(c, act=act), GEMMA)


@family("gemma2")
def gemma2(c: Config) -> ModelSpec:
    """Norms before and after each part, a window in every other layer."""
    c.ignore("use_bidirectional_attention", "hidden_act", "sliding_window_size", *SCALES)
    mixer = heads(c, bias=c.flag("attention_bias"))
    return windowed(c, mixer, gated(c, act="hidden_activation"), pattern(c, 2), GEMMA, norms=SANDWICH)


@family("vaultgemma")
def vaultgemma(c: Config) -> ModelSpec:
    """Gemma 2 without the norms after each part."""
    c.ignore(*SCALES)
    mixer = heads(c, bias=c.flag("attention_bias"))
    return windowed(c, mixer, gated(c, act="hidden_activation"), 2, GEMMA)


@family("gemma3_text")
def gemma3(c: Config) -> ModelSpec:
    """Gemma 2 with a norm on each head's queries and keys, and a window in five of six layers."""
    c.ignore("hidden_act", *SCALES)
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", qk_norm_type=GEMMA)
    # EmbeddingGemma: nothing is masked, and a window reaches half as far to each side.
    stack = "encoder" if c.flag("use_bidirectional_attention") else "decoder"
    return windowed(c, mixer, gated(c, act="hidden_activation"), pattern(c, 6), GEMMA, stack, norms=SANDWICH)


@family("gemma3n_text")
def gemma3n(c: Config) -> ModelSpec:
    """Gemma 3 with per-layer embeddings, alternating updates and a learned residual; the last layers share keys and values."""
    c.ignore("altup_active_idx", "altup_coef_clip", "altup_correct_scale", "altup_lr_multiplier", "activation_sparsity_pattern")
    c.ignore(*SCALES)
    types, sharing = _types(c, 5)
    stated = c.get("intermediate_size")
    widths = stated if isinstance(stated, list) else [stated] * len(types)
    if len(widths) != len(types) or not all(type(width) is int and 0 < width <= 10**15 for width in widths):
        raise c.wrong("intermediate_size", stated, "a whole number, or one for each layer")
    attention = heads(c, bias=c.flag("attention_bias"), qk_norm="head", qk_norm_type=WIDE_RMS, v_norm=True)
    act = activation(c, "hidden_activation")

    def make(kind: tuple[str, bool, int]) -> Layers:
        mixer = replace(attention, core=_core(c, kind[0]), shares_kv=kind[1])
        return Layers(1, mixer, Gated(kind[2], activation=act), norms=SANDWICH)

    layers = in_order(zip(types, sharing, widths, strict=True), make)
    extras = (_per_layer(c), AltUp(c.size("altup_num_inputs")), Laurel(c.size("laurel_rank")))
    return model(c, decoder=layers, norm=WIDE_RMS, extras=extras)


@family("gemma4_text", "gemma4_unified_text")
def gemma4(c: Config) -> ModelSpec:
    """Wider heads in the global layers, whose keys can be their values; experts beside the feed-forward by option."""
    types, sharing = _types(c, 6, last=FULL)
    bidirectional = c.get("use_bidirectional_attention")
    if bidirectional not in (None, "vision", "all"):
        raise c.wrong("use_bidirectional_attention", bidirectional, "null, vision or all")
    ffn, k_is_v = gated(c, act="hidden_activation"), c.flag("attention_k_eq_v")
    attention = heads(c, bias=c.flag("attention_bias"), qk_norm="head", qk_norm_type=WIDE_RMS, v_norm=True)
    routed: FFN = ffn
    if c.flag("enable_moe_block"):
        expert = gated(c, "moe_intermediate_size", "hidden_activation")
        routed = MoE(c.size("num_experts"), c.size("top_k_experts"), expert, ffn, correction=True, router_norm=True)
    c.ignore("num_experts", "top_k_experts", "moe_intermediate_size", *ROUTING, *SCALES)
    double = 2 if c.flag("use_double_wide_mlp") else 1
    shapes = _shapes(c, types, attention)

    def make(kind: tuple[str, bool, tuple[int, int]]) -> Layers:
        name, shared, (dim, n_kv) = kind
        core, same = _core(c, name), k_is_v and name == FULL
        mixer = replace(attention, n_kv_heads=n_kv, head_dim=dim, core=core, shares_kv=shared, k_is_v=same)
        wide = replace(ffn, d_ff=ffn.d_ff * (double if shared else 1))
        block = replace(routed, shared=wide) if isinstance(routed, MoE) else wide
        return Layers(1, mixer, block, norms=SANDWICH + (EXPERTS if isinstance(routed, MoE) else ()))

    parts: dict[str, Any] = {
        "encoder" if bidirectional == "all" else "decoder": in_order(zip(types, sharing, shapes, strict=True), make)
    }
    c.ignore("vocab_size_per_layer_input")
    extras = (_per_layer(c),) if c.optional("hidden_size_per_layer_input", least=0) else ()
    return model(c, **parts, norm=WIDE_RMS, extras=extras)


def _types(c: Config, every: int, last: str | None = None) -> tuple[list[str], list[bool]]:
    """Each layer's kind, the ``every``-th one global unless listed, and whether it reuses an earlier layer's keys and values."""
    n = layer_count(c)
    types = layer_types(c, "layer_types", (SLIDING, FULL), n) or [SLIDING if (i + 1) % every else FULL for i in range(n)]
    types = [*types[:-1], last or types[-1]]
    own = n - c.size("num_kv_shared_layers", least=0)
    if own < n and (own < 1 or set(types[:own]) != set(types)):
        raise c.wrong("num_kv_shared_layers", n - own, "so few that a layer of each kind keeps keys and values of its own")
    return types, [i >= own for i in range(n)]


def _core(c: Config, kind: str) -> Sliding | Standard:
    return Sliding(c.size("sliding_window")) if kind == SLIDING else Standard()


def _per_layer(c: Config) -> PerLayer:
    width = c.size("hidden_size_per_layer_input")
    return PerLayer(c.size("vocab_size_per_layer_input"), width, activation(c, "hidden_activation"))


def _shapes(c: Config, types: list[str], attention: Attention) -> list[tuple[int, int]]:
    """Head width and key-value heads of each layer: the global ones' by keys of their own, or as saved, layer by layer."""
    usual = (head_dim(c, attention.n_heads), attention.kv_heads)
    if not c.has("per_layer_config"):
        dim = c.size("global_head_dim") if c.has("global_head_dim") else 512
        n_kv = c.optional("num_global_key_value_heads") if c.flag("attention_k_eq_v") else None
        c.ignore("num_global_key_value_heads")
        return [(dim, n_kv or usual[1]) if kind == FULL else usual for kind in types]
    c.ignore("global_head_dim", "num_global_key_value_heads")
    saved = c.inner("per_layer_config")
    keys = {int(key): key for key in saved.data if str(key).isdecimal()}  # transformers writes them with leading zeros: "05"

    def shape(i: int) -> tuple[int, int]:
        if i not in keys or not saved.has(keys[i]):
            return usual
        layer = saved.inner(keys[i])
        found = (layer.optional("head_dim") or usual[0], layer.optional("num_key_value_heads") or usual[1])
        layer.check_leftovers()
        return found

    shapes = [shape(i) for i in range(len(types))]
    saved.check_leftovers()
    return shapes


@family("t5gemma")
def t5gemma(c: Config) -> ModelSpec:
    """Gemma 2 as encoder and decoder, each with a token table; the head is the decoder's."""
    c.ignore("classifier_dropout_rate", "dropout_rate")
    if asked(c):
        raise c.wrong("architectures", first_named(c), "T5GemmaForConditionalGeneration or T5GemmaModel")
    source, target = c.inner("encoder"), c.inner("decoder")
    tied = c.flag("tie_word_embeddings", True)
    for key in ("hidden_size", "vocab_size"):
        if source.size(key) != target.size(key):
            raise c.wrong(f"encoder.{key}", source.size(key), f"{target.size(key)}, as in the decoder")

    def stack(part: Config, cross: bool) -> tuple[Layers, ...]:
        part.ignore("cross_attention_hidden_size", "dropout_rate", "hidden_act", "is_decoder", "tie_word_embeddings", *SCALES)
        mixer, ffn = heads(part, bias=part.flag("attention_bias")), gated(part, act="hidden_activation")
        size = part.optional("sliding_window")
        norms = (*SANDWICH[:2], "cross_attention", "cross_attention_out", *SANDWICH[2:]) if cross else SANDWICH

        def make(local: bool) -> Layers:
            own = replace(mixer, core=Sliding(size) if local and size else Standard())
            return Layers(1, own, ffn, replace(mixer, rope=False) if cross else None, norms=norms)

        return in_order(windowed_layers(part, lambda i: i % 2 == 0), make)

    stacks: dict[str, Any] = {"encoder": stack(source, False), "decoder": stack(target, True)}
    sizes: dict[str, Any] = {"d_model": target.size("hidden_size"), "context": target.optional("max_position_embeddings")}
    source.ignore("max_position_embeddings")
    c.ignore("vocab_size")
    for part in (source, target):
        part.check_leftovers()
    built, tables = head(c, ("ForConditionalGeneration",)), Embedding(target.size("vocab_size"), token_tables=2)
    return model(c, norm=GEMMA, embedding=tables, head=built and Head(tied), labels=None, **sizes, **stacks)


@family("t5gemma2")
def t5gemma2(c: Config) -> ModelSpec:
    """Gemma 3 as encoder, which sees, and as decoder, whose queries meet its own keys and the encoder's at once."""
    from llmcx.huggingface.towers import senses_of

    c.ignore("classifier_dropout_rate", "dropout_rate", "vocab_size", "eoi_token_index", "image_token_index")
    if asked(c):
        raise c.wrong("architectures", first_named(c), "T5Gemma2ForConditionalGeneration or T5Gemma2Model")
    given = c.data.get("encoder") or {}
    if not isinstance(given, Mapping):
        raise c.wrong("encoder", given, "a mapping")
    whole = Config(given, "t5gemma2_encoder", f"{c.source}: encoder")
    c.ignore("encoder")
    source, target = whole.part("text_config"), c.inner("decoder")
    assert source is not None
    source.notes, source.begins = c.notes, target.begins
    tied = c.flag("tie_word_embeddings", True)
    for key in ("hidden_size", "vocab_size"):
        if source.size(key) != target.size(key):
            raise c.wrong(f"encoder.text_config.{key}", source.size(key), f"{target.size(key)}, as in the decoder")

    def stack(part: Config, kind: type[Attention]) -> tuple[Layers, ...]:
        part.ignore("dropout_rate", "is_decoder", "tie_word_embeddings", "max_position_embeddings", *SCALES)
        alike = heads(part, bias=part.flag("attention_bias"), qk_norm="head", qk_norm_type=GEMMA)
        mixer = kind(**{key: getattr(alike, key) for key in alike.__dataclass_fields__ if key != "type"})
        ffn, size, every = gated(part, act="hidden_activation"), part.optional("sliding_window"), pattern(part, 6)

        def make(local: bool) -> Layers:
            return Layers(1, replace(mixer, core=Sliding(size) if local and size else Standard()), ffn, norms=SANDWICH)

        return in_order(windowed_layers(part, lambda i: (i + 1) % every != 0), make)

    stacks: dict[str, Any] = {"encoder": stack(source, Attention), "decoder": stack(target, Merged)}
    sizes: dict[str, Any] = {"d_model": target.size("hidden_size"), "context": target.optional("max_position_embeddings")}
    for part in (source, target):
        part.check_leftovers()
    built, table = head(c, ("ForConditionalGeneration",)), Embedding(target.size("vocab_size"), token_tables=1 if tied else 2)
    spec = model(c, norm=GEMMA, embedding=table, head=built and Head(tied), labels=None, **sizes, **stacks)
    outer = {**whole.data, "model_type": "t5gemma2_encoder", "tie_word_embeddings": tied}
    found = senses_of(outer, spec, whole.source, False)
    if found is None:
        c.notes.append("the language model of a multimodal t5gemma2: its vision tower and projector are not counted")
        return spec
    return replace(spec, towers=found.towers, sight=found.sight)
