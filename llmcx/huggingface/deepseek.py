"""DeepSeek-V4 and what is near it: Hy 4, LongCat-Flash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import RMS, WIDE_RMS, activation, gated, in_order, layer_count, layer_types, model
from llmcx.huggingface.config import ROTARY, Config
from llmcx.huggingface.moe import dense_first, experts, latent, listed, no_mtp, shared, with_experts
from llmcx.model.extras import HyperConnections
from llmcx.model.mixers.compressed import Compressed
from llmcx.model.spec import Gated, Layers, ModelSpec, MoE, Sliding

SLIDING, SPARSE, HEAVY = "sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"
RATES = {SPARSE: 4, HEAVY: 128}


@family("deepseek_v4")
def deepseek_v4(c: Config) -> ModelSpec:
    """Compressed attention of three kinds, several residual streams, experts beside a shared one in every layer."""
    n = layer_count(c)
    c.ignore(*ROTARY, "qk_rope_head_dim", "compress_rope_theta", "attention_bias", "swiglu_limit", "hc_sinkhorn_iters")
    c.ignore("num_hash_layers", "expert_dtype")
    layer_types(c, "mlp_layer_types", ("hash_moe", "moe"))  # a router or a table of tokens choose among the same experts
    no_mtp(c, "num_nextn_predict_layers", alike=False)
    for key in ("n_shared_experts", "num_key_value_heads"):
        if c.data.get(key, 1) != 1:
            c.notes.append(f"{key} is not applied: transformers builds 1 whatever it says")
        c.ignore(key)
    rates = _rates(c)
    mixer = Compressed(
        c.size("num_attention_heads"),
        c.size("head_dim"),
        c.size("q_lora_rank"),
        c.size("o_groups"),
        c.size("o_lora_rank"),
        c.size("sliding_window"),
    )
    index: dict[str, Any] = {
        "index_heads": c.size("index_n_heads"),
        "index_dim": c.size("index_head_dim"),
        "top_k": c.size("index_topk"),
    }
    mixers = {
        SLIDING: mixer,
        HEAVY: replace(mixer, rate=rates[HEAVY]),
        SPARSE: replace(mixer, rate=rates[SPARSE], **index),
    }
    moe = experts(c, "n_routed_experts", shared=gated(c, "moe_intermediate_size", bias=c.flag("mlp_bias")))
    layers = in_order(_kinds(c, n), lambda kind: Layers(1, mixers[kind], moe))
    return model(c, decoder=layers, norm=WIDE_RMS, extras=(HyperConnections(c.size("hc_mult")),))


def _rates(c: Config) -> dict[str, int]:
    """Tokens in an entry, by kind of attention."""
    rates = dict(RATES)
    if c.get("compress_rates") is not None:
        stated = c.inner("compress_rates")
        rates = {kind: stated.size(kind) for kind in RATES}
        stated.check_leftovers()
    for kind, key in ((SPARSE, "compress_rate_csa"), (HEAVY, "compress_rate_hca")):
        if c.data.get(key) is not None:
            rates[kind] = c.size(key)
    return rates


def _kinds(c: Config, n: int) -> list[str]:
    """Each layer's attention: by layer_types, by the rates of released files, or the two compressed ones in turn."""
    ratios = c.data.get("compress_ratios")
    c.ignore("compress_ratios")
    stated = layer_types(c, "layer_types", (SLIDING, SPARSE, HEAVY))
    if stated is None and ratios is not None:
        names = {0: SLIDING, **{rate: kind for kind, rate in RATES.items()}}
        if not isinstance(ratios, list) or not all(type(ratio) is int and ratio in names for ratio in ratios):
            raise c.wrong("compress_ratios", ratios, f"a list of {', '.join(map(str, names))}")
        stated = [names[ratio] for ratio in ratios]
    if stated is None:
        stated = [HEAVY if i < 2 or i % 2 == 0 else SPARSE for i in range(n)]
    if len(stated) < n:
        raise c.wrong("layer_types", stated, f"a list of {n} layers")
    return stated[:n]


@family("hy_v4")
def hy_v4(c: Config) -> ModelSpec:
    """Gated latent attention with sinks, behind an indexer that most layers take from the one before; residual streams that are
    not mixed; experts in all layers but the first.
    """
    n = layer_count(c)
    c.ignore("index_topk", "hc_magnitude", "learnable_sink_init", "swiglu_limit")
    c.data["num_key_value_heads"] = c.size("num_attention_heads")  # whatever the file says
    layer_types(c, "layer_types", ("indexed_attention",), n)
    no_mtp(c, "num_nextn_predict_layers", alike=False)
    c.notes.append("index_topk is not applied: every pair is counted, as eager code multiplies it")
    types = layer_types(c, "indexer_types", ("full", "shared"), n)
    types = types or ["full" if i == 0 or (i - 1) % 4 == 0 else "shared" for i in range(n)]
    if types[0] != "full":
        raise c.wrong("indexer_types", types, "full in the first layer")
    index: dict[str, Any] = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim")}
    mixer = latent(c, gate=c.size("v_head_dim"), sinks=True)
    mixers = {"full": replace(mixer, **index), "shared": mixer}
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    dense, sparse = gated(c), listed(c, 1)
    kinds = zip(types, sparse, strict=True)
    layers = in_order(kinds, lambda kind: Layers(1, mixers[kind[0]], moe if kind[1] else dense))
    return model(c, decoder=layers, norm=RMS, extras=(HyperConnections(c.size("hc_mult"), mixing=False),))


@family("longcat_flash")
def longcat_flash(c: Config) -> ModelSpec:
    """A layer is two halves, each latent attention and a dense feed-forward; beside the first of these, experts, some of which
    hand on what they get.
    """
    idle, top_k = c.optional("zero_expert_num", 0) or 0, c.size("moe_topk")
    real, width = c.size("n_routed_experts"), c.size("expert_ffn_hidden_size")
    c.expect("zero_expert_type", "identity")
    c.ignore("routed_scaling_factor", "qk_head_dim", "head_dim", "attention_method", "mla_scale_q_lora", "mla_scale_kv_lora")
    if idle:
        unused = idle * 2 * width * c.size("hidden_size") * layer_count(c, "num_layers")
        c.notes.append(f"a token that chooses some of the {idle} experts without weights costs less than is counted here")
        c.notes.append(f"transformers builds {unused:,} parameters for those experts, which no release holds")
    ffn, bias = gated(c, "ffn_hidden_size"), c.flag("router_bias")
    moe = MoE(real, min(top_k, real), Gated(width, activation=activation(c, "hidden_act")), ffn, bias, idle_experts=idle)
    half = latent(c)
    halves = (Layers(1, half, moe), Layers(1, half, ffn))
    return model(c, decoder=halves * layer_count(c, "num_layers"), norm=RMS)


@family("dots3_note_text")
def dots3_note(c: Config) -> ModelSpec:
    """Latent attention with a gate per head, behind an indexer, but in three of four layers with a window and sizes of its own;
    experts beside a shared one after dense first layers.
    """
    n = layer_count(c)
    for key in ("per_layer_config", "mlp_bias"):
        c.expect(key, None if key == "per_layer_config" else False)
    c.ignore("index_topk", "swa_rope_theta", "head_dim", "indexer_rope_interleave")
    no_mtp(c, "num_nextn_predict_layers", alike=False)
    indexed = "full_attention" if c.data.get("use_dsa") is False else "indexed_attention"
    stated = layer_types(c, "layer_types", ("sliding_attention", "full_attention", "indexed_attention"), n)
    if stated is not None and not all(kind in ("sliding_attention", indexed) for kind in stated):
        stated = ["sliding_attention" if kind == "sliding_attention" else indexed for kind in stated]
    windows = c.flag("use_sliding_window", True)
    kinds = stated or [indexed if not windows or i < 2 or i % 4 == 1 else "sliding_attention" for i in range(n)]
    c.ignore("use_dsa", "use_sliding_window")
    mixer = latent(c, gate=1, rope_norm=True)
    index: dict[str, Any] = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim")}
    own = {key: c.size(f"swa_{key}") if f"swa_{key}" in c.data else usual for key, usual in SWA.items()}
    rope = c.size("swa_qk_rope_head_dim") if "swa_qk_rope_head_dim" in c.data else own["head_dim"] - own["qk_nope_head_dim"]
    if own["num_key_value_heads"] != own["num_attention_heads"] or rope < 1 or own["head_dim"] != own["qk_nope_head_dim"] + rope:
        raise c.wrong("swa_head_dim", own["head_dim"], "swa_qk_nope_head_dim and swa_qk_rope_head_dim together, of as many heads")
    window = c.optional("sliding_window") or (c.size("sliding_window_size") if "sliding_window_size" in c.data else 512)
    c.ignore("sliding_window_size")
    local = replace(
        mixer,
        n_heads=own["num_attention_heads"],
        kv_rank=own["kv_lora_rank"],
        nope_dim=own["qk_nope_head_dim"],
        rope_dim=rope,
        v_dim=own["v_head_dim"],
        q_rank=own["q_lora_rank"],
        core=Sliding(window),
    )
    mixers = {"sliding_attention": local, "full_attention": mixer, "indexed_attention": replace(mixer, **index)}
    if "indexed_attention" in kinds:
        c.notes.append("index_topk is not applied: every pair is counted, as eager code multiplies it")
    width = "moe_shared_expert_intermediate_size"
    width = width if width in c.data else "shared_experts_intermediate_size"
    c.ignore("shared_experts_intermediate_size")
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", width))
    chosen = [mixers[kind] for kind in kinds]
    return model(c, decoder=with_experts(chosen, moe, gated(c), dense_first(c, n), ("attention", "ffn")), norm=RMS)


SWA = {
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "q_lora_rank": 1024,
    "kv_lora_rank": 1024,
    "head_dim": 256,
    "qk_nope_head_dim": 192,
    "v_head_dim": 128,
}
"""Sizes of dots3's layers with a window, where swa_* does not say them."""
