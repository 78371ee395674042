"""Attention behind an indexer that chooses blocks of tokens: MiniMax-M3, Qwen4-Exp."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, islice
from math import isqrt
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import GEMMA, heads, in_order, layer_count, layer_types, model
from llmcx.huggingface.config import ROUTING, Config
from llmcx.huggingface.kin import shape
from llmcx.huggingface.linear import delta_net, qwen_moe
from llmcx.huggingface.moe import no_mtp
from llmcx.model.extras import GatedResidual
from llmcx.model.mixers.indexed import Indexed
from llmcx.model.mixers.ngrams import NGrams
from llmcx.model.spec import Gated, Layers, ModelSpec, MoE

SPARSE, FULL = "minimax_m3_sparse", "full_attention"


@family("minimax_m3_vl_text")
def minimax_m3(c: Config) -> ModelSpec:
    """A norm on each head's queries and keys; an indexer where layer_types says; experts beside a shared one."""
    n, old = layer_count(c), c.data.get("sparse_attention_config") or {}
    if not isinstance(old, Mapping):
        raise c.wrong("sparse_attention_config", old, "a mapping")
    c.ignore("sparse_attention_config", "hidden_act", "index_local_blocks", "swiglu_alpha", "swiglu_limit")
    c.ignore("index_topk_blocks", "index_block_size", "use_gemma_norm", "moe_intermediate_size", "first_k_dense_replace")
    c.ignore("use_qk_norm", "qk_norm_type", *ROUTING)
    c.expect("attention_output_gate", False)
    c.expect("n_shared_experts", 1)
    no_mtp(c, "num_mtp_modules", "num_nextn_predict_layers", alike=False)
    for key, name in (("index_n_heads", "sparse_num_index_heads"), ("index_head_dim", "sparse_index_dim")):
        if name in old:
            c.data[key] = old[name]
    types, routed = layer_types(c, "layer_types", (SPARSE, FULL), n), layer_types(c, "mlp_layer_types", ("dense", "sparse"), n)
    kinds = [kind == SPARSE for kind in types] if types else _flags(c, old.get("sparse_attention_freq"), n, False)
    sparse = [kind == "sparse" for kind in routed] if routed else _flags(c, c.data.get("moe_layer_freq"), n, True)
    c.ignore("moe_layer_freq")
    mixer = heads(c, qk_norm="head", qk_norm_type=GEMMA)
    index = Indexed(**shape(mixer), index_heads=c.size("index_n_heads"), index_dim=c.size("index_head_dim"), index_norm=GEMMA)
    if True in kinds:
        c.notes.append("index_topk_blocks is not applied: every pair is counted, as eager code multiplies it")
    expert, shared = Gated(c.size("intermediate_size")), Gated(c.size("shared_intermediate_size"))
    moe = MoE(c.size("num_local_experts"), c.size("num_experts_per_tok"), expert, shared)
    dense = Gated(c.size("dense_intermediate_size"))
    order = zip(kinds, sparse, strict=True)
    layers = in_order(order, lambda kind: Layers(1, index if kind[0] else mixer, moe if kind[1] else dense))
    return model(c, decoder=layers, norm=GEMMA)


def _flags(c: Config, stated: object, n: int, otherwise: bool) -> list[bool]:
    """A list of zeros and ones, one for each layer."""
    if stated is None:
        return [otherwise] * n
    if not isinstance(stated, list) or len(stated) != n or not set(stated) <= {0, 1}:
        raise c.wrong("moe_layer_freq", stated, f"0 or 1 for each of {n} layers")
    return [bool(one) for one in stated]


@family("qwen4_exp_text")
def qwen4_exp(c: Config) -> ModelSpec:
    """Qwen 3.5's mixers and experts on several residual streams, the full attention behind an indexer; in some layers, embeddings
    of n-grams.
    """
    n = layer_count(c)
    c.ignore("ngram_size", "heads_per_ngram", "ple_embed_dim", "ple_conv_kernel_size", "ngram_vocab_size_base", "seed")
    c.ignore("make_ngram_vocab_size_divisible_by", "split_ngram_parts", "indexer_budget", "intermediate_size")
    c.expect("indexer_kv_heads", 1)
    mixers, streams = delta_net(c), c.size("hc_count", 2)
    index: dict[str, Any] = {"index_heads": c.size("indexer_n_heads"), "index_dim": c.size("indexer_head_dim")}
    index |= {"index_norm": GEMMA, "pool": c.size("indexer_compress_ratio")}
    mixers["indexed_attention"] = Indexed(**shape(mixers["full_attention"]), **index)
    c.notes.append("indexer_budget is not applied: every pair is counted, as eager code multiplies it")
    every = c.optional("full_attention_interval") or 4
    kinds = layer_types(c, "layer_types", ("linear_attention", "full_attention", "indexed_attention"), n)
    kinds = kinds or ["linear_attention" if (i + 1) % every else "indexed_attention" for i in range(n)]
    kinds = ["indexed_attention" if kind == "full_attention" else kind for kind in kinds]
    tables = _ngrams(c, kinds, streams)
    moe = qwen_moe(c)
    order = [(kind, tables.get(i + 1)) for i, kind in enumerate(kinds)]
    layers = in_order(order, lambda kind: Layers(1, mixers[kind[0]], moe, beside=kind[1], norms=()))
    extras = (GatedResidual(streams, c.size("hc_lowrank")),)
    return model(c, decoder=layers, norm=GEMMA, final_norm=False, extras=extras)


def _ngrams(c: Config, kinds: list[str], streams: int) -> dict[int, NGrams]:
    """The tables of the layers that ple_layer_ids names, from 1 on: each lookup has a prime number of rows, the next one."""
    stated = c.list("ple_layer_ids") or []
    if not all(type(i) is int and 1 <= i <= len(kinds) and kinds[i - 1] == "linear_attention" for i in stated):
        raise c.wrong("ple_layer_ids", stated, f"numbers of layers with linear attention, from 1 to {len(kinds)}")
    chosen = sorted(set(stated))
    if not chosen:
        return {}
    size, base, step = c.size("ngram_size", 2), c.size("ngram_vocab_size_base"), c.size("make_ngram_vocab_size_divisible_by")
    lookups = (size - 1) * c.size("heads_per_ngram")
    d_ple = c.optional("ple_embed_dim") or c.size("hidden_size")
    if base > 10**10 or lookups * len(chosen) > 10_000:
        raise c.wrong("ngram_vocab_size_base", base, "at most 10^10, with at most 10,000 lookups in all")
    if d_ple % lookups:
        raise c.wrong("ple_embed_dim", d_ple, f"a multiple of the {lookups} lookups")
    primes = islice(filter(_is_prime, count(base)), lookups * len(chosen))
    tables = {}
    for layer in chosen:
        rows = -(-sum(islice(primes, lookups)) // step) * step
        tables[layer] = NGrams(rows, d_ple // lookups, lookups, streams, c.size("ple_conv_kernel_size"), size)
    return tables


def _is_prime(value: int) -> bool:
    return value > 1 and all(value % divisor for divisor in range(2, isqrt(value) + 1))
