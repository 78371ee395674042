"""Mixtures of experts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import repeat
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    LAYER,
    RMS,
    SANDWICH,
    SCALE_ONLY,
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
    window,
    windowed_layers,
)
from llmcx.huggingface.config import ROTARY, ROUTING, SCALES, SCORES, Config
from llmcx.huggingface.llama import HUNYUAN, POST, uniform, with_window
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.mla import MLA
from llmcx.model.spec import FFN, Activation, Attention, Chunked, Core, Gated, Layers, ModelSpec, MoE, Standard

CHUNKED, FULL = "chunked_attention", "full_attention"


def experts(c: Config, count: str, top_k: str = "num_experts_per_tok", width: str = "moe_intermediate_size", **more: Any) -> MoE:
    """A router and gated experts from the keys named."""
    c.ignore(*ROUTING)
    return MoE(c.size(count), c.size(top_k), gated(c, width), **more)


def with_experts(
    mixers: Iterable[Mixer], moe: MoE, dense: FFN, sparse: Iterable[bool], norms: tuple[str, ...] | None = None
) -> tuple[Layers, ...]:
    """Layers with ``mixers`` in that order (there may be more than layers), and ``moe`` where ``sparse``, else ``dense``."""
    return in_order(zip(mixers, sparse, strict=False), lambda kind: Layers(1, kind[0], moe if kind[1] else dense, norms=norms))


def listed(c: Config, first: int) -> list[bool]:
    """Which layers have experts: those that mlp_layer_types lists as sparse, else all after the ``first``."""
    n = layer_count(c)
    kinds = layer_types(c, "mlp_layer_types", ("dense", "sparse"), n)
    return [kind == "sparse" for kind in kinds] if kinds else after(c, first)


def after(c: Config, first: int) -> list[bool]:
    """Experts in all layers but the ``first``."""
    return [i >= first for i in range(layer_count(c))]


def dense_first(c: Config, n: int) -> list[bool]:
    """Which layers have experts: mlp_layer_types, else those after the first that moe_layer_freq names, or every so many."""
    kinds = layer_types(c, "mlp_layer_types", ("dense", "sparse"), n)
    first = c.size("first_k_dense_replace", 0) if "first_k_dense_replace" in c.data else 1
    every = c.data.get("moe_layer_freq", 1)
    c.ignore("first_k_dense_replace", "moe_layer_freq")
    if kinds:
        return [kind == "sparse" for kind in kinds]
    if isinstance(every, list):
        if len(every) < n or not set(every) <= {0, 1}:
            raise c.wrong("moe_layer_freq", every, f"a whole number, or 0 or 1 for each of {n} layers")
        return [i >= first and bool(every[i]) for i in range(n)]
    step = c.size("moe_layer_freq") if "moe_layer_freq" in c.data else 1
    return [i >= first and i % step == 0 for i in range(n)]


def windowed(mixer: Attention, size: int | None, local: list[bool], rope: bool = True) -> list[Mixer]:
    """``mixer`` with a window where ``local``, elsewhere with none, and then rotary positions only with ``rope``."""
    kinds = {True: replace(mixer, core=window(size)), False: replace(mixer, rope=rope)}
    return [kinds[is_local] for is_local in local]


def shared(c: Config, count: str, width: str, bias: bool = False) -> Gated | None:
    """Always-on experts, built as one block ``count`` times as wide."""
    n = c.optional(count, 0)
    return Gated(n * c.size(width), bias, activation(c, "hidden_act")) if n else None


def no_mtp(c: Config, *keys: str, alike: bool = True) -> None:
    """Multi-token prediction layers are in some checkpoints, but transformers does not build them. They are counted apart where
    they are ``alike`` the model's last.
    """
    c.ignore(*keys)
    stated = [c.data.get(key) for key in keys if key in ("num_nextn_predict_layers", "mtp_num_hidden_layers")]
    counts = [value for value in stated if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 64]
    c.mtp = max(counts, default=0) if alike else 0  # of other keys it is not known that the weights are released
    if any(c.data.get(key) for key in keys):
        counted = "counted apart" if c.mtp else "not counted"
        c.notes.append(f"multi-token prediction layers are {counted}: transformers does not build them")


@family("mixtral")
def mixtral(c: Config) -> ModelSpec:
    """LLaMA's layers with full-size experts."""
    moe = experts(c, "num_local_experts", width="intermediate_size")
    return uniform(c, heads(c, core=window(c.optional("sliding_window"))), moe)


@family("qwen2_moe")
def qwen2_moe(c: Config) -> ModelSpec:
    """Biases on queries, keys and values; a shared expert behind a gate of its own."""
    first = c.size("max_window_layers", 0)
    mixer = heads(c, bias=c.flag("qkv_bias", True), out_bias=False)
    width = c.size("shared_expert_intermediate_size", 0)
    block = Gated(width, activation=activation(c, "hidden_act")) if width else None
    c.ignore("sliding_window")
    size = c.size("sliding_window") if c.flag("use_sliding_window") else None
    local = windowed_layers(c, lambda i: size is not None and i % 2 == 0 and i < first)
    if size is None and True in local:
        raise c.wrong("use_sliding_window", False, "true where layer_types has sliding_attention")
    moe = experts(c, "num_experts", shared=block, shared_gate=True)
    return model(c, decoder=with_experts(windowed(mixer, size, local), moe, gated(c), qwen_sparse(c)), norm=RMS)


@family("qwen3_moe", "qwen3_vl_moe_text", "qwen3_omni_moe_text")
def qwen3_moe(c: Config) -> ModelSpec:
    """A norm on each head's queries and keys; no shared expert; a window, if it is used, in all layers."""
    key = "num_local_experts" if "num_local_experts" in c.data else "num_experts"
    c.ignore("sliding_window", "max_window_layers", "layer_types")
    c.expect("qkv_bias", False)
    c.expect("shared_expert_intermediate_size", 0)
    c.expect("use_qk_norm", True)
    size = c.optional("sliding_window") if c.flag("use_sliding_window") else None
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", core=window(size))
    return model(c, decoder=with_experts(repeat(mixer), experts(c, key), gated(c), qwen_sparse(c)), norm=RMS)


def qwen_sparse(c: Config) -> list[bool]:
    """Experts once every decoder_sparse_step layers, but not in mlp_only_layers."""
    step, dense = c.size("decoder_sparse_step"), c.list("mlp_only_layers") or []
    return [i not in dense and (i + 1) % step == 0 for i in range(layer_count(c))]


def latent(c: Config, **more: Any) -> MLA:
    """Multi-head latent attention from DeepSeek's keys."""
    n = c.size("num_attention_heads")
    kv_heads = c.optional("num_key_value_heads")
    if kv_heads not in (None, n):
        raise c.wrong("num_key_value_heads", kv_heads, f"{n}, as num_attention_heads: latent attention has no groups")
    c.ignore("head_dim", "qk_head_dim", *ROTARY, *SCORES)
    sizes = (c.size("kv_lora_rank"), c.size("qk_nope_head_dim"), c.size("qk_rope_head_dim", 0), c.size("v_head_dim"))
    return MLA(n, *sizes, c.optional("q_lora_rank"), c.flag("attention_bias"), **more)


@family("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "mistral4")
def deepseek(c: Config) -> ModelSpec:
    """Latent attention; dense first layers, then many small experts beside shared ones. V3.2 adds an indexer."""
    c.expect("moe_layer_freq", 1)
    no_mtp(c, "num_mtp_layers", "num_nextn_predict_layers")
    if c.data.get("use_mla") is False:
        return without_latent(c)
    if c.get("num_experts_per_tok") is None:
        c.data["num_experts_per_tok"] = c.size("n_routed_experts")
        c.notes.append("warning: num_experts_per_tok is null, with which no token can be run; all experts are counted as active")
    first = c.size("first_k_dense_replace", 0)
    index, sparse = {}, after(c, first)
    if c.model_type == "deepseek_v32":
        c.ignore("index_topk", "mlp_bias", "indexer_types", "indexer_rope_interleave")
        layer_types(c, "layer_types", ("indexed_attention",), layer_count(c))
        c.notes.append("index_topk is not applied: every pair is counted, as eager code multiplies it")
        index, sparse = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim")}, listed(c, first)
    bias = c.flag("mlp_bias") if c.model_type == "deepseek_v2" else False
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size", bias))
    return model(c, decoder=with_experts(repeat(latent(c, **index)), moe, gated(c, bias=bias), sparse), norm=RMS)


@family("deepseek")
def deepseek_moe(c: Config) -> ModelSpec:
    """DeepSeekMoE, the first: LLaMA's attention; dense first layers, then many small experts beside shared ones."""
    c.expect("moe_layer_freq", 1)
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    mixer, sparse = heads(c, bias=c.flag("attention_bias")), after(c, c.size("first_k_dense_replace", 0))
    return model(c, decoder=with_experts(repeat(mixer), moe, gated(c), sparse), norm=RMS)


def without_latent(c: Config) -> ModelSpec:
    """DeepSeek-V2 with the attention of the first, which its own code builds and transformers does not (DeepSeek-OCR)."""
    c.ignore("use_mla", "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "v_head_dim", "mlp_bias", "lm_head", "rm_head")
    c.ignore("qk_rope_head_dim", "head_dim")
    c.data.pop("head_dim", None)
    c.notes.append("use_mla=false: attention without a latent, as the release's own code builds it and transformers does not")
    return deepseek_moe(c)


@family("glm_moe_dsa")
def glm_moe_dsa(c: Config) -> ModelSpec:
    """DeepSeek-V3.2's layers, of which some take the choice of the indexer before them."""
    c.expect("moe_layer_freq", 1)
    no_mtp(c, "num_nextn_predict_layers")
    c.ignore("index_topk", "mlp_bias", "indexer_rope_interleave", "index_share_for_mtp_iteration")
    if "num_experts" in c.data:  # the older name, which wins
        c.data["n_routed_experts"] = c.size("num_experts")
    n = layer_count(c)
    layer_types(c, "layer_types", ("indexed_attention", "deepseek_sparse_attention"), n)
    c.notes.append("index_topk is not applied: every pair is counted, as eager code multiplies it")
    own = indexers(c, n)
    index = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim")}
    mixers = [latent(c, **(index if full else {})) for full in own]
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    return model(c, decoder=with_experts(mixers, moe, gated(c), listed(c, c.size("first_k_dense_replace", 0))), norm=RMS)


def indexers(c: Config, n: int) -> list[bool]:
    """Which layers have an indexer of their own: indexer_types, else a pattern, else one in index_topk_freq from an offset on."""
    stated, pattern = c.list("indexer_types"), c.data.get("index_topk_pattern")
    frequency, offset = (
        c.size(key) if key in c.data else usual for key, usual in (("index_topk_freq", 1), ("index_skip_topk_offset", 2))
    )
    c.ignore("index_topk_pattern", "index_topk_freq", "index_skip_topk_offset")
    if stated is None and pattern is not None:
        stated = [{"F": "full", "S": "shared"}.get(letter, letter) for letter in pattern] if isinstance(pattern, str) else pattern
    if stated is None:
        return [max(i - offset + 1, 0) % frequency == 0 for i in range(n)]
    if not isinstance(stated, list) or len(stated) != n or stated[:1] != ["full"] or not set(stated) <= {"full", "shared"}:
        raise c.wrong("indexer_types", stated, f"{n} of full and shared, the first of them full")
    return [kind == "full" for kind in stated]


@family("glm4_moe_lite")
def glm4_moe_lite(c: Config) -> ModelSpec:
    """DeepSeek-V3's layers; which are dense is said by mlp_layer_types, by default the first."""
    no_mtp(c, "num_mtp_layers", "num_nextn_predict_layers")
    c.ignore("first_k_dense_replace")
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    return model(c, decoder=with_experts(repeat(latent(c)), moe, gated(c), listed(c, 1)), norm=RMS)


@family("minicpm3")
def minicpm3(c: Config) -> ModelSpec:
    """Latent attention with a dense feed-forward."""
    c.ignore("scale_emb", "dim_model_base", "scale_depth")
    if c.optional("v_head_dim") is None:
        c.data["v_head_dim"] = c.size("hidden_size") // c.size("num_attention_heads")
    layer = Layers(c.size("num_hidden_layers"), latent(c), gated(c, bias=c.flag("mlp_bias")))
    return model(c, decoder=(layer,), norm=RMS)


@family("glm4_moe", "glm4v_moe_text")
def glm4_moe(c: Config) -> ModelSpec:
    """Biases on queries, keys and values by option; dense first layers; a shared expert."""
    no_mtp(c, "num_mtp_layers", "num_nextn_predict_layers")
    qk = {"qk_norm": "head"} if c.flag("use_qk_norm") else {}
    mixer = heads(c, bias=c.flag("attention_bias"), out_bias=False, **qk)
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    sparse = after(c, c.size("first_k_dense_replace", 0))
    return model(c, decoder=with_experts(repeat(mixer), moe, gated(c), sparse), norm=RMS)


@family("gpt_oss")
def gpt_oss(c: Config) -> ModelSpec:
    """A learned sink per head, a window in every other layer, biases in router and experts."""
    mixer = heads(c, bias=c.flag("attention_bias"), sinks=True)
    expert = gated(c, bias=True)
    moe = MoE(c.size("num_local_experts"), c.size("num_experts_per_tok"), expert, router_bias=True)
    c.ignore("experts_per_token", "initial_context_length", "swiglu_alpha", "swiglu_limit", *ROUTING)
    return with_window(c, mixer, moe, c.optional("sliding_window"), lambda i: i % 2 == 0, WIDE_RMS)


@family("olmoe")
def olmoe(c: Config) -> ModelSpec:
    """Small experts; norms over all queries and all keys."""
    c.ignore("clip_qkv")
    n, d = c.size("num_attention_heads"), c.size("hidden_size")
    if (width := head_dim(c, n)) * n != d:  # transformers' norm of the queries is hidden_size wide, whatever they are
        raise c.wrong("head_dim", width, f"hidden_size / num_attention_heads, {d} / {n}")
    moe = experts(c, "num_experts", width="intermediate_size")
    return uniform(c, heads(c, bias=c.flag("attention_bias"), qk_norm="full"), moe)


@family("flex_olmo")
def flex_olmo(c: Config) -> ModelSpec:
    """OLMo 2's layers with experts."""
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="full", qk_norm_type=WIDE_RMS)
    moe = experts(c, "num_experts", width="intermediate_size")
    return uniform(c, mixer, moe, WIDE_RMS, POST)


@family("phimoe")
def phimoe(c: Config) -> ModelSpec:
    """Layer norms; always two experts per token, whatever num_experts_per_tok says."""
    c.ignore("num_experts_per_tok", *ROUTING)
    moe = MoE(c.size("num_local_experts"), 2, gated(c))
    mixer = heads(c, bias=c.flag("attention_bias"), core=window(c.optional("sliding_window")))
    return uniform(c, mixer, moe, norm=LAYER, head=head(c, bias=c.flag("lm_head_bias")))


@family("granitemoe", "granitemoeshared")
def granitemoe(c: Config) -> ModelSpec:
    """LLaMA's layers with experts, and optionally a shared block."""
    c.ignore(*SCALES)
    width = c.optional("shared_intermediate_size", 0)
    block = Gated(width, activation=activation(c, "hidden_act")) if width else None
    moe = experts(c, "num_local_experts", width="intermediate_size", shared=block)
    return uniform(c, heads(c, bias=c.flag("attention_bias")), moe)


@family("minimax_m2")
def minimax_m2(c: Config) -> ModelSpec:
    """Small experts; norms over all queries and all keys, whatever use_qk_norm says."""
    c.ignore("use_qk_norm", "qk_norm_type", "use_routing_bias", "attn_type_list", "shared_intermediate_size", "shared_moe_mode")
    c.ignore("mlp_intermediate_size")
    no_mtp(c, "num_mtp_modules", "use_mtp", "mtp_transformer_layers")
    return uniform(c, heads(c, qk_norm="full"), experts(c, "num_local_experts", width="intermediate_size"))


@family("dbrx")
def dbrx(c: Config) -> ModelSpec:
    """Layer norms without shift; sizes in attn_config and ffn_config."""
    attention, ffn = c.inner("attn_config"), c.inner("ffn_config")
    for part in (attention, ffn):
        part.ignore("attn_pdrop", "clip_qkv", "rope_theta", "model_type", "hidden_size", "moe_loss_weight")
        part.ignore(*ROTARY, "moe_normalize_expert_weights", "moe_jitter_eps", "uniform_expert_assignment")
    c.ignore(*ROTARY, *ROUTING)
    act: Activation = "silu"
    if ffn.get("ffn_act_fn") is not None:
        inner = ffn.inner("ffn_act_fn")
        act = activation(inner, "name")
        inner.check_leftovers()
    moe = MoE(ffn.size("moe_num_experts"), ffn.size("moe_top_k"), Gated(ffn.size("ffn_hidden_size"), activation=act))
    kv_heads = attention.size("kv_n_heads")
    c.expect("num_key_value_heads", kv_heads)
    c.expect("tie_word_embeddings", False)
    mixer = Attention(c.size("n_heads"), kv_heads, rope=True)
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
    c.ignore("moe_norm_min", "moe_layer_end_index", "moe_use_aux_free", "moe_gate", "moe_gate_act", "moe_capacity")
    c.ignore("is_quantized", "compression_ratio", "disable_pipeline_warmup", "enable_mtp_magic_send")
    c.expect("use_rmsnorm", True)
    no_mtp(c, "num_nextn_predict_layers")
    always = shared(c, "moe_num_shared_experts", "moe_intermediate_size", bias)
    moe = experts(c, "moe_num_experts", "moe_k", shared=always, correction=True)
    sparse = [(i + 1) % every == 0 and start <= i <= last for i in range(n)]
    layers = with_experts(repeat(heads(c, bias=bias)), moe, gated(c, bias=bias), sparse)
    return model(c, decoder=layers, norm=RMS, head=head(c, bias=bias))


@family("ernie4_5_vl_moe_text")
def ernie4_5_vl(c: Config) -> ModelSpec:
    """The experts of text; those of images are counted beside the encoder (lenses.py)."""
    bias, widths = c.flag("use_bias"), c.list("moe_intermediate_size") or [1536, 512]
    if len(widths) != 2 or not all(isinstance(each, int) and 0 < each < 10**9 for each in widths):
        raise c.wrong("moe_intermediate_size", widths, "two widths: of the experts of text and of those of images")
    c.ignore("moe_norm_min", *ROUTING)
    count, act = c.size("moe_num_shared_experts", 0), activation(c, "hidden_act")
    always = Gated(widths[0] * count, bias, act) if count else None
    expert = Gated(widths[0], activation=act)
    moe = MoE(c.size("moe_num_experts"), c.size("moe_k"), expert, shared=always, correction=True)
    decoder = with_experts(repeat(heads(c, bias=bias)), moe, gated(c, bias=bias), listed(c, 1))
    return model(c, decoder=decoder, norm=RMS)


@family("llama4_text")
def llama4(c: Config) -> ModelSpec:
    """One routed expert beside a shared one (eager code runs every expert on every token); chunked attention where there are
    rotary positions, by default in three of four layers.
    """
    n, every = layer_count(c), c.size("no_rope_layer_interval")
    c.ignore("use_qk_norm", "for_llm_compressor", "interleave_moe_layer_step", *ROUTING)
    rotary = [bool(rope) for rope in c.list("no_rope_layers") or []] or [(i + 1) % every != 0 for i in range(n)]
    if len(rotary) != n:
        raise c.wrong("no_rope_layers", rotary, f"a list of {n} layers")
    cores: dict[str, Core] = {CHUNKED: Chunked(c.size("attention_chunk_size")), FULL: Standard()}
    types = layer_types(c, "layer_types", (*cores,), n) or [CHUNKED if rope else FULL for rope in rotary]
    mixer, kinds = heads(c, bias=c.flag("attention_bias")), [*zip(types, rotary, strict=True)]
    mixers = {(name, rope): replace(mixer, core=cores[name], rope=rope) for name, rope in kinds}
    chosen, block = c.list("moe_layers"), gated(c)
    step = c.size("interleave_moe_layer_step") if chosen is None else 1
    moe = MoE(c.size("num_local_experts"), c.size("num_experts_per_tok"), block, block, every_expert=True)
    sparse = [i in chosen if chosen is not None else (i + 1) % step == 0 for i in range(n)]
    dense = gated(c, "intermediate_size_mlp")
    return model(c, decoder=with_experts([mixers[kind] for kind in kinds], moe, dense, sparse), norm=RMS)


@family("hunyuan_v1_moe", "hunyuan")
def hunyuan_moe(c: Config) -> ModelSpec:
    """A norm on each head's queries and keys; experts and one shared block, all of intermediate_size."""
    n, top_k = layer_count(c), c.get("moe_topk")
    c.ignore("use_qk_norm", "num_shared_expert", "moe_intermediate_size", "use_mixed_mlp_moe", *HUNYUAN)
    c.ignore("anyres_pooling_size", "num_media_embeds", "moe_layer_num_skipped", "moe_drop_tokens")
    c.ignore("moe_random_routing_dropped_token")
    c.ignore("group_limited_greedy", *ROUTING)
    c.expect("use_cla", False)
    c.expect("use_mla", False)
    block, mixer = gated(c), heads(c, bias=c.flag("attention_bias"), qk_norm="head")
    for key, built in (("moe_intermediate_size", block.d_ff), ("num_shared_expert", 1)):
        stated = c.data.get(key)
        if any(value not in (None, built) for value in (stated if isinstance(stated, list) else [stated])):
            c.notes.append(f"{key} is not applied: transformers builds {built} whatever it says")
    if isinstance(top_k, list):  # released files have one number a layer
        if len(top_k) < n or any(isinstance(k, bool) or not isinstance(k, int) or k < 1 for k in top_k):
            raise c.wrong("moe_topk", top_k, f"a whole number, or a list of {n}")
    else:
        top_k = [c.size("moe_topk")] * n

    layers = in_order(top_k[:n], lambda k: Layers(1, mixer, MoE(c.size("num_experts"), k, block, block)))
    return model(c, decoder=layers, norm=RMS)


@family("exaone_moe")
def exaone_moe(c: Config) -> ModelSpec:
    """A norm on each head's queries and keys; a window, and rotary positions only there, but in every fourth layer."""
    first = c.size("first_k_dense_replace", 0)
    local = windowed_layers(c, lambda i: (i + 1) % c.size("sliding_window_pattern") != 0)
    c.ignore("sliding_window_pattern")
    mixers = windowed(heads(c, qk_norm="head"), c.size("sliding_window"), local, rope=False)
    sparse = listed(c, first)
    # Two names of the released file for what transformers reads elsewhere.
    given = c.list("is_moe_layer")
    if given is not None and given != sparse:
        raise c.wrong("is_moe_layer", given, "true for the layers after first_k_dense_replace, or as mlp_layer_types says")
    c.expect("first_last_k_dense_replace", first)
    no_mtp(c, "num_nextn_predict_layers")
    moe = experts(c, "num_experts", shared=shared(c, "num_shared_experts", "moe_intermediate_size"))
    return model(c, decoder=with_experts(mixers, moe, gated(c), sparse), norm=RMS)


@family("afmoe")
def afmoe(c: Config) -> ModelSpec:
    """Gated attention with normalised heads, a window but in every fourth layer; norms after each part too; dense first layers,
    then experts with a learned correction each beside a shared one.
    """
    c.ignore("route_norm", "route_scale", "score_func", "num_expert_groups", "num_limited_groups", "use_grouped_mm")
    c.ignore("mup_enabled", "load_balance_coeff", "global_attn_every_n_layers")
    local = windowed_layers(c, lambda i: (i + 1) % c.size("global_attn_every_n_layers") != 0)
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", gate=True, gate_bias=False)
    mixers = windowed(mixer, c.optional("sliding_window"), local, rope=False)
    always = shared(c, "num_shared_experts", "moe_intermediate_size")
    moe = experts(c, "num_experts", shared=always, correction=True)
    sparse = after(c, c.size("num_dense_layers", 0))
    return model(c, decoder=with_experts(mixers, moe, gated(c), sparse, SANDWICH), norm=RMS)
