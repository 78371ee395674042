"""DeepSeek-V4."""

from __future__ import annotations

from dataclasses import replace

from llmcx.huggingface import family
from llmcx.huggingface.common import WIDE_RMS, gated, in_order, layer_count, layer_types, model
from llmcx.huggingface.config import ROTARY, Config
from llmcx.huggingface.moe import experts, no_mtp
from llmcx.model.extras import HyperConnections
from llmcx.model.mixers.compressed import Compressed
from llmcx.model.spec import Layers, ModelSpec

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
    index = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim"), "top_k": c.size("index_topk")}
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
