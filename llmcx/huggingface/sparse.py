"""Attention behind an indexer that chooses blocks of tokens: MiniMax-M3."""

from __future__ import annotations

from collections.abc import Mapping

from llmcx.huggingface import family
from llmcx.huggingface.common import GEMMA, heads, in_order, layer_count, layer_types, model
from llmcx.huggingface.config import ROUTING, Config
from llmcx.huggingface.kin import shape
from llmcx.huggingface.moe import no_mtp
from llmcx.model.mixers.indexed import Indexed
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
