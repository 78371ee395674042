"""Mixtures of experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmcx.core.mixers import Mixer
from llmcx.core.mixers.mla import MLA
from llmcx.core.parts import Attention, Gated, Layers, ModelSpec, MoE

from . import family
from .common import LAYER, RMS, SCALE_ONLY, activation, by_type, gated, head, heads, layer_count, model, window
from .config import Config


def experts(c: Config, count: str, top_k: str = "num_experts_per_tok", width: str = "moe_intermediate_size", **more: Any) -> MoE:
    """A router and gated experts from the keys named."""
    return MoE(c.size(count), c.size(top_k), gated(c, width), **more)


def sparse_and_dense(c: Config, mixer: Mixer, moe: MoE, sparse: Callable[[int], bool], **dense: Any) -> tuple[Layers, ...]:
    """Layers with experts where ``sparse(i)``, with a gated feed-forward elsewhere."""
    n = layer_count(c)
    with_experts = sum(map(sparse, range(n)))
    block = gated(c, **dense)
    groups = []
    if n - with_experts:
        groups.append(Layers(n - with_experts, mixer, block))
    if with_experts:
        groups.append(Layers(with_experts, mixer, moe))
    return tuple(groups)


def shared(c: Config, count: str, width: str, bias: bool = False) -> Gated | None:
    """Always-on experts, built as one block ``count`` times as wide."""
    n = c.optional(count, 0)
    return Gated(n * c.size(width), bias, activation(c, "hidden_act")) if n else None


def no_mtp(c: Config, *keys: str) -> None:
    """Multi-token prediction layers are in some checkpoints, but transformers does not build them."""
    c.ignore(*keys)
    if any(c.data.get(key) for key in keys):
        c.notes.append("multi-token prediction layers are not counted: transformers does not build them")


@family("mixtral")
def mixtral(c: Config) -> ModelSpec:
    """LLaMA's layers with full-size experts."""
    moe = experts(c, "num_local_experts", width="intermediate_size")
    layer = Layers(c.size("num_hidden_layers"), heads(c, core=window(c.optional("sliding_window"))), moe)
    return model(c, decoder=(layer,), norm=RMS)


@family("qwen2_moe")
def qwen2_moe(c: Config) -> ModelSpec:
    """Biases on queries, keys and values; a shared expert behind a gate of its own."""
    mixer = heads(c, bias=c.flag("qkv_bias", True), out_bias=False)
    width = c.size("shared_expert_intermediate_size", 0)
    block = Gated(width, activation=activation(c, "hidden_act")) if width else None
    return _qwen(c, mixer, experts(c, "num_experts", shared=block, shared_gate=True))


@family("qwen3_moe")
def qwen3_moe(c: Config) -> ModelSpec:
    """A norm on each head's queries and keys; no shared expert."""
    key = "num_local_experts" if "num_local_experts" in c.data else "num_experts"
    return _qwen(c, heads(c, bias=c.flag("attention_bias"), qk_norm="head"), experts(c, key))


def _qwen(c: Config, mixer: Attention, moe: MoE) -> ModelSpec:
    # The window of some layers changes what a cache holds, never what eager code multiplies; released files do not use it.
    c.ignore("sliding_window", "max_window_layers", "use_sliding_window", "layer_types")
    if c.data.get("use_sliding_window"):
        c.notes.append("the sliding window of use_sliding_window is not applied: caches are counted at full length")
    step, dense = c.size("decoder_sparse_step"), c.list("mlp_only_layers") or []
    return model(c, decoder=sparse_and_dense(c, mixer, moe, lambda i: i not in dense and (i + 1) % step == 0), norm=RMS)


def latent(c: Config, **more: Any) -> MLA:
    """Multi-head latent attention from DeepSeek's keys."""
    n = c.size("num_attention_heads")
    kv_heads = c.optional("num_key_value_heads")
    if kv_heads not in (None, n):
        raise c.wrong("num_key_value_heads", kv_heads, f"{n}, as num_attention_heads: latent attention has no groups")
    c.ignore("head_dim", "qk_head_dim")
    nope = c.size("qk_nope_head_dim")
    v_dim = c.optional("v_head_dim") or c.size("hidden_size") // n
    rank = c.optional("q_lora_rank")
    return MLA(n, c.size("kv_lora_rank"), nope, c.size("qk_rope_head_dim"), v_dim, rank, c.flag("attention_bias"), **more)


@family("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2")
def deepseek(c: Config) -> ModelSpec:
    """Latent attention; dense first layers, then many small experts beside shared ones. V3.2 adds an indexer."""
    c.expect("moe_layer_freq", 1)
    no_mtp(c, "num_mtp_layers", "num_nextn_predict_layers")
    index = {}
    if c.model_type == "deepseek_v32":
        c.ignore("index_topk", "mlp_bias", "indexer_types")
        index = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim")}
    bias = c.flag("mlp_bias") if c.model_type == "deepseek_v2" else False
    always = shared(c, "n_shared_experts", "moe_intermediate_size", bias)
    n = c.size("n_routed_experts")
    expert = gated(c, "moe_intermediate_size", bias=False)
    moe = MoE(n, c.size("num_experts_per_tok"), expert, always)
    first = c.size("first_k_dense_replace", 0)
    return model(c, decoder=sparse_and_dense(c, latent(c, **index), moe, lambda i: i >= first, bias=bias), norm=RMS)


@family("glm4_moe_lite")
def glm4_moe_lite(c: Config) -> ModelSpec:
    """DeepSeek-V3's layers; which are dense is said by mlp_layer_types, by default the first."""
    no_mtp(c, "num_mtp_layers", "num_nextn_predict_layers")
    c.ignore("first_k_dense_replace")
    kinds = c.list("mlp_layer_types")
    n = layer_count(c)
    if kinds is not None and (len(kinds) != n or any(kind not in ("dense", "sparse") for kind in kinds)):
        raise c.wrong("mlp_layer_types", kinds, f"{n} entries, each dense or sparse")
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    return model(c, decoder=sparse_and_dense(c, latent(c), moe, lambda i: kinds[i] == "sparse" if kinds else i > 0), norm=RMS)


@family("minicpm3")
def minicpm3(c: Config) -> ModelSpec:
    """Latent attention with a dense feed-forward."""
    c.ignore("scale_emb", "dim_model_base", "scale_depth")
    layer = Layers(c.size("num_hidden_layers"), latent(c), gated(c, bias=c.flag("mlp_bias")))
    return model(c, decoder=(layer,), norm=RMS)


@family("glm4_moe")
def glm4_moe(c: Config) -> ModelSpec:
    """Biases on queries, keys and values by option; dense first layers; a shared expert."""
    no_mtp(c, "num_mtp_layers", "num_nextn_predict_layers")
    qk = {"qk_norm": "head"} if c.flag("use_qk_norm") else {}
    mixer = heads(c, bias=c.flag("attention_bias"), out_bias=False, **qk)
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    first = c.size("first_k_dense_replace", 0)
    return model(c, decoder=sparse_and_dense(c, mixer, moe, lambda i: i >= first), norm=RMS)


@family("gpt_oss")
def gpt_oss(c: Config) -> ModelSpec:
    """A learned sink per head, a window in every other layer, biases in router and experts."""
    mixer = heads(c, bias=c.flag("attention_bias"), sinks=True)
    expert = gated(c, bias=True)
    moe = MoE(c.size("num_local_experts"), c.size("num_experts_per_tok"), expert, router_bias=True)
    c.ignore("experts_per_token", "initial_context_length")
    size = c.optional("sliding_window")

    def make(local: bool) -> Layers:
        return Layers(1, _with_core(mixer, size if local else None), moe)

    return model(c, decoder=by_type(c, make, lambda i: size is not None and (i + 1) % 2 == 1), norm=RMS)


def _with_core(mixer: Attention, size: int | None) -> Attention:
    from dataclasses import replace

    return replace(mixer, core=window(size))


@family("olmoe")
def olmoe(c: Config) -> ModelSpec:
    """Small experts; norms over all queries and all keys."""
    c.ignore("clip_qkv")
    moe = experts(c, "num_experts", width="intermediate_size")
    return _every(c, heads(c, bias=c.flag("attention_bias"), qk_norm="full"), moe)


@family("flex_olmo")
def flex_olmo(c: Config) -> ModelSpec:
    """OLMo 2's layers with experts."""
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="full")
    return _every(c, mixer, experts(c, "num_experts", width="intermediate_size"), norms=("attention_out", "ffn_out"))


def _every(c: Config, mixer: Attention, moe: MoE, norms: tuple[str, ...] | None = None, **parts: Any) -> ModelSpec:
    """All layers alike."""
    return model(c, decoder=(Layers(c.size("num_hidden_layers"), mixer, moe, norms=norms),), **{"norm": RMS, **parts})


@family("phimoe")
def phimoe(c: Config) -> ModelSpec:
    """Layer norms; always two experts per token, whatever num_experts_per_tok says."""
    c.ignore("num_experts_per_tok")
    moe = MoE(c.size("num_local_experts"), 2, gated(c))
    mixer = heads(c, bias=c.flag("attention_bias"), core=window(c.optional("sliding_window")))
    return _every(c, mixer, moe, norm=LAYER, head=head(c, bias=c.flag("lm_head_bias")))


@family("granitemoe", "granitemoeshared")
def granitemoe(c: Config) -> ModelSpec:
    """LLaMA's layers with experts, and optionally a shared block."""
    width = c.optional("shared_intermediate_size", 0)
    block = Gated(width, activation=activation(c, "hidden_act")) if width else None
    moe = experts(c, "num_local_experts", width="intermediate_size", shared=block)
    return _every(c, heads(c, bias=c.flag("attention_bias")), moe)


@family("minimax_m2")
def minimax_m2(c: Config) -> ModelSpec:
    """Small experts; norms over all queries and all keys, whatever use_qk_norm says."""
    c.ignore("use_qk_norm", "qk_norm_type", "scoring_func", "use_routing_bias", "attn_type_list", "shared_intermediate_size")
    no_mtp(c, "num_mtp_modules", "use_mtp", "mtp_transformer_layers")
    return _every(c, heads(c, qk_norm="full"), experts(c, "num_local_experts", width="intermediate_size"))


@family("dbrx")
def dbrx(c: Config) -> ModelSpec:
    """Layer norms without shift; sizes in attn_config and ffn_config."""
    attention, ffn = c.inner("attn_config"), c.inner("ffn_config")
    for part in (attention, ffn):
        part.ignore("attn_pdrop", "clip_qkv", "rope_theta", "model_type", "hidden_size", "moe_loss_weight")
        part.ignore("moe_normalize_expert_weights", "moe_jitter_eps", "ffn_act_fn", "uniform_expert_assignment", "moe_jitter_eps")
    expert = Gated(ffn.size("ffn_hidden_size"))
    moe = MoE(ffn.size("moe_num_experts"), ffn.size("moe_top_k"), expert)
    mixer = Attention(c.size("n_heads"), attention.size("kv_n_heads"), rope=True)
    attention.check_leftovers()
    ffn.check_leftovers()
    layers = Layers(c.size("n_layers"), mixer, moe)
    return model(c, d_model="d_model", context="max_seq_len", decoder=(layers,), norm=SCALE_ONLY)


@family("ernie4_5_moe")
def ernie4_5_moe(c: Config) -> ModelSpec:
    """A learned correction per expert; use_bias puts biases everywhere but in the experts, in the head too."""
    bias = c.flag("use_bias")
    start, end, every = c.size("moe_layer_start_index", 0), c.get("moe_layer_end_index"), c.size("moe_layer_interval")
    n = layer_count(c)
    last = n - 1 if end == -1 else c.size("moe_layer_end_index", 0)
    c.ignore("moe_norm_min", "moe_layer_end_index", "moe_use_aux_free", "moe_gate", "moe_capacity")
    always = shared(c, "moe_num_shared_experts", "moe_intermediate_size", bias)
    moe = experts(c, "moe_num_experts", "moe_k", shared=always, correction=True)
    layers = sparse_and_dense(c, heads(c, bias=bias), moe, lambda i: (i + 1) % every == 0 and start <= i <= last, bias=bias)
    return model(c, decoder=layers, norm=RMS, head=head(c, bias=bias))


@family("llama4_text")
def llama4(c: Config) -> ModelSpec:
    """One routed expert beside a shared one; eager code runs every expert on every token."""
    c.ignore("use_qk_norm", "attention_chunk_size", "layer_types", "for_llm_compressor", "no_rope_layers", "head_dim")
    step = c.size("interleave_moe_layer_step", 0)
    listed = c.list("moe_layers")
    block = gated(c)
    moe = MoE(c.size("num_local_experts"), c.size("num_experts_per_tok"), block, block, every_expert=True)

    def sparse(i: int) -> bool:
        return i in listed if listed is not None else step > 0 and (i + 1) % step == 0

    mixer = heads(c, bias=c.flag("attention_bias"))
    return model(c, decoder=sparse_and_dense(c, mixer, moe, sparse, width="intermediate_size_mlp"), norm=RMS)


@family("hunyuan_v1_moe")
def hunyuan_moe(c: Config) -> ModelSpec:
    """A norm on each head's queries and keys; experts and one shared block of intermediate_size."""
    c.ignore("use_qk_norm", "num_shared_expert", "moe_intermediate_size", "org_vocab_size", "use_mixed_mlp_moe")
    c.ignore("moe_layer_num_skipped", "use_cla", "moe_drop_tokens", "moe_random_routing_dropped_token", "group_limited_greedy")
    block = gated(c)
    moe = MoE(c.size("num_experts"), c.size("moe_topk"), block, block)
    return _every(c, heads(c, bias=c.flag("attention_bias"), qk_norm="head"), moe)
