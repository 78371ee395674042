"""Language models of the newest families, most of them inside one that sees: Mistral Large 4, GLM 5.3, Inkling 2, Muse Spark,
Cosmos 3, Unlimited-OCR; NeoMME.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import repeat
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    GEMMA,
    RMS,
    gated,
    head,
    heads,
    in_order,
    layer_count,
    layer_types,
    model,
    plain,
    windowed_layers,
)
from llmcx.huggingface.config import ROTARY, ROUTING, SCALES, Config
from llmcx.huggingface.encoder import MASKED
from llmcx.huggingface.moe import experts, indexers, latent, listed, no_mtp, shared, windowed, with_experts
from llmcx.huggingface.towers import mlp
from llmcx.model.extras import HyperConnections, ResidualAttention, ResidualGates, Tables
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.delta import KimiDelta
from llmcx.model.mixers.further import Clipped
from llmcx.model.mixers.mla import MLA
from llmcx.model.norm import Norm
from llmcx.model.spec import Core, Embedding, Head, Layers, ModelSpec, Sliding, Standard
from llmcx.model.tower import Dense, Normed, Tower


@family("mistral_large4_text")
def mistral_large4(c: Config) -> ModelSpec:
    """Latent attention behind an indexer, queries straight from the layer's input and scaled by position; every fourth layer has
    no rotary positions; a layer may read the latents of an earlier one.
    """
    n = layer_count(c)
    c.ignore("index_topk", *SCALES)
    c.data["q_lora_rank"] = None
    if "num_experts" in c.data:  # the older name, which wins
        c.data["n_routed_experts"] = c.size("num_experts")
    layer_types(c, "layer_types", ("indexed_attention",), n)
    c.notes.append("index_topk is not applied: every pair is counted, as eager code multiplies it")
    own, sources, turned = indexers(c, n), c.list("kv_source_layers") or [*range(n)], c.list("no_rope_layers")
    every = c.size("no_rope_layer_interval") if "no_rope_layer_interval" in c.data else 4
    c.ignore("no_rope_layer_interval")
    turned = [int((i + 1) % every != 0) for i in range(n)] if turned is None else turned
    if len(turned) < n or not all(type(one) is int for one in turned):
        raise c.wrong("no_rope_layers", turned, f"0 or 1 for each of {n} layers")
    known = len(sources) == n and all(type(at) is int and 0 <= at <= i for i, at in enumerate(sources))
    if not known or any(sources[at] != at for at in sources):
        raise c.wrong("kv_source_layers", sources, f"an earlier layer with latents of its own for each of {n} layers")
    index: dict[str, Any] = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim")}
    rotary = latent(c, scaled=True)
    plain = replace(rotary, nope_dim=rotary.nope_dim + rotary.rope_dim, rope_dim=0)

    def mixer(i: int) -> MLA:
        return replace(rotary if turned[i] else plain, shares_kv=sources[i] != i, **(index if own[i] else {}))

    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    sparse = listed(c, c.size("first_k_dense_replace", 0))
    return model(c, decoder=with_experts(map(mixer, range(n)), moe, gated(c), sparse), norm=RMS)


@family("glm5_next_text")
def glm5_next(c: Config) -> ModelSpec:
    """Kimi Delta Attention, and in every fourth layer latent attention without rotary positions behind an indexer of pools;
    several residual streams; experts beside a shared one after three dense layers.
    """
    n = layer_count(c)
    c.ignore("index_topk", "index_kpool_always_select_tail", "swiglu_limit", "hc_sinkhorn_iters", "linear_lower_bound")
    no_mtp(c, "num_nextn_predict_layers", alike=False)
    c.expect("qk_rope_head_dim", 0)
    heads, dim, kernel = (c.size(f"linear_{key}") for key in ("num_heads", "head_dim", "conv_kernel_dim"))
    if c.data.get("linear_attn_config") is not None:  # as the released file has it
        inner = c.inner("linear_attn_config")
        heads, dim = inner.optional("num_heads") or heads, inner.optional("head_dim") or dim
        kernel = inner.optional("short_conv_kernel_size") or kernel
        inner.ignore("gate_lower_bound", "safe_gate")
        inner.check_leftovers()
    kinds = layer_types(c, "layer_types", ("linear_attention", "full_attention", "indexed_attention"), n)
    kinds = kinds or ["indexed_attention" if i % 4 == 3 else "linear_attention" for i in range(n)]
    own = indexers(c, n)
    index: dict[str, Any] = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim")}
    index["index_pool"] = c.size("index_kpool")
    delta, attention = KimiDelta(heads, dim, kernel), latent(c)
    mixers: list[Mixer] = [
        delta if kind == "linear_attention" else replace(attention, **(index if full else {}))
        for kind, full in zip(kinds, own, strict=True)
    ]
    if set(kinds) != {"linear_attention"}:
        c.notes.append("index_topk is not applied: every pair is counted, as eager code multiplies it")
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    layers = with_experts(mixers, moe, gated(c), listed(c, 3))
    return model(c, decoder=layers, norm=RMS, extras=(HyperConnections(c.size("hc_mult"), plain=True),))


@family("inkling2_text")
def inkling2(c: Config) -> ModelSpec:
    """Inkling with gates and sinks by token, vectors clipped in place of norms, no shared experts, and attention over blocks of
    layers in place of the residual sum.
    """
    n = layer_count(c)
    c.ignore("log_scaling_n_floor", "log_scaling_alpha", "route_scale", "unpadded_vocab_size", "qk_l2_clip_threshold")
    c.ignore("rel_l2_clip_threshold", "mlp_gate_softcap", "mlp_up_softcap", *SCALES, *ROUTING)
    kinds = layer_types(c, "layer_types", ("hybrid_sliding", "hybrid"), n)
    kinds = kinds or ["hybrid_sliding" if (i + 1) % 6 else "hybrid" for i in range(n)]
    filters: dict[str, Any] = {"rel_dim": c.size("d_rel"), "d_conv": c.size("conv_kernel_size"), "gate": True, "v_norm": True}

    def attention(prefix: str, reach: int, core: Core) -> Clipped:
        n_heads, n_kv, dim = (c.size(f"{prefix}{key}") for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
        return Clipped(n_heads, n_kv, dim, rel_extent=reach, core=core, by_token=not prefix, **filters)

    window, moe = c.size("sliding_window_size"), experts(c, "n_routed_experts")
    made = {
        "hybrid_sliding": Layers(1, attention("swa_", window, Sliding(window)), moe),
        "hybrid": Layers(1, attention("", c.size("rel_extent"), Standard()), moe, norms=("q", "k", "v", "ffn")),
    }
    mixed = ResidualAttention(
        c.size("n_layers_per_attn_res_block"), scaled=False, thrice=tuple(i for i, kind in enumerate(kinds) if kind == "hybrid")
    )
    embedding = Embedding(c.size("vocab_size"), normed=True)
    layers = in_order(kinds, made.__getitem__)
    return model(c, decoder=layers, norm=RMS, embedding=embedding, head=head(c, ties=False), extras=(mixed,))


@family("muse_spark_text")
def muse_spark(c: Config) -> ModelSpec:
    """Muse Glimmer's attention with a norm on what each head says; experts of a latent width between norms; gates on both terms
    of the residual sum.
    """
    n, bare = layer_count(c), Norm("rmsnorm", scale=False)
    c.ignore("final_logit_softcapping", "qk_scale_factor", "output_multiplier", "layer_rope_theta", "residual_gate_temperature")
    mixer = heads(c, bias=c.flag("attention_bias"), gate=True, gate_bias=False, qk_norm="head", qk_norm_type=bare, head_norm=True)
    mixers = windowed(mixer, c.optional("sliding_window"), windowed_layers(c, lambda i: (n - 1 - i) % 4 != 0))
    moe = experts(c, "num_local_experts", latent=c.size("moe_hidden_size"), inner_norms=True)
    layers = with_experts(mixers, moe, gated(c), listed(c, 0), ("attention", "ffn", "ffn_out"))
    return model(c, decoder=layers, norm=GEMMA, extras=(ResidualGates(),))


@family("cosmos3_edge_text")
def cosmos3_edge(c: Config) -> ModelSpec:
    """LLaMA with squared ReLU in place of a gate."""
    ffn = plain(c, bias=c.flag("mlp_bias"))
    return model(c, decoder=(Layers(c.size("num_hidden_layers"), heads(c, bias=c.flag("attention_bias")), ffn),), norm=RMS)


@family("unlimited_ocr_text")
def unlimited_ocr(c: Config) -> ModelSpec:
    """DeepSeekMoE, the first. What it writes meets all that it was given, and a window of its own words."""
    n = layer_count(c)
    c.data.pop("head_dim", None)  # which follows from the others, whatever the file says
    c.ignore("sliding_window", "mlp_bias", "lm_head", "rm_head", "use_mla")
    kinds = layer_types(c, "layer_types", ("reference_sliding_attention", "full_attention"), n) or ["reference_sliding_attention"]
    if "reference_sliding_attention" in kinds:
        c.notes.append("sliding_window is not applied: it leaves out what the model wrote long ago, and never what it was given")
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    first = c.size("first_k_dense_replace", 0) if "first_k_dense_replace" in c.data else 1
    mixer = heads(c, bias=c.flag("attention_bias"))
    c.ignore("head_dim")
    return model(c, decoder=with_experts(repeat(mixer), moe, gated(c), listed(c, first)), norm=RMS)


@family("neomme")
def neomme(c: Config) -> ModelSpec:
    """An encoder that takes patches among its words; norms without weights, gates on attention, a window in most layers, every
    second of them wider; a second table of words, added to values in two layers. The head is the factorised embedding.
    """
    n, bare = layer_count(c), Norm("rmsnorm", scale=False)
    c.ignore("residual_multiplier", "embedding_dim", *ROTARY)
    d, kinds = c.size("hidden_size"), windowed_layers(c, lambda i: (i + 1) % 6 != 0 and i != n - 1)
    mixer = heads(c, bias=c.flag("attention_bias"), gate=True, gate_bias=False, qk_norm="head", qk_norm_type=bare)
    mixer = replace(mixer, scalars=mixer.n_heads + 2)  # how much of the own value is taken out; and of the first state is added
    ffn, wide = plain(c, bias=c.flag("mlp_bias")), _windows(c, kinds)
    cores = [Standard() if size is None else Sliding(2 * size) for size in wide]
    layers = in_order(cores, lambda core: Layers(1, replace(mixer, core=core), ffn))
    built, rank, pixels = head(c, MASKED), c.size("embedding_rank"), 3 * c.size("patch_size") ** 2
    vocab = c.size("vocab_size")
    pieces = (Normed("norm", pixels, Norm()), *mlp(pixels, 2 * d, d, "gelu", False))
    last = pieces[-1]
    assert isinstance(last, Dense)
    return model(
        c,
        encoder=layers,
        norm=bare,
        embedding=Embedding(vocab, width=rank, projection_bias=False),
        head=built and Head(built.tied, projection_tied=built.tied),
        extras=(Tables((vocab,), mixer.kv_heads * mixer.width(d)),),
        towers=(Tower("projector", d, (*pieces[:-1], last._replace(bias=True))),),
    )


def _windows(c: Config, local: list[bool]) -> list[int | None]:
    """How far to either side each layer sees: sliding_window, in every second one 1024, or what per_layer_config says."""
    usual, stated = c.optional("sliding_window"), c.data.get("per_layer_config")
    c.ignore("per_layer_config")
    found: list[int | None] = []
    wider = False
    for i, inside in enumerate(local):
        own = None if not inside else 1024 if wider else usual
        wider ^= inside
        if stated is not None:
            said = stated.get(str(i), {}) if isinstance(stated, Mapping) else None
            if not isinstance(said, Mapping) or not set(said) <= {"sliding_window"}:
                raise c.wrong("per_layer_config", stated, "the sliding_window of layers by number")
            own = said.get("sliding_window", usual if inside else None)
        if (own is None) is inside or (own is not None and (type(own) is not int or not 0 < own < 10**9)):
            raise c.wrong("sliding_window", own, "a whole number above 0 in layers with a window")
        found.append(own)
    return found
