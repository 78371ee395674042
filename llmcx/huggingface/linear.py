"""Attention replaced by something linear in most layers: delta rules, lightning attention, short filters, RG-LRU, RWKV, mLSTM."""

from __future__ import annotations

from dataclasses import replace

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    GEMMA,
    RMS,
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
)
from llmcx.huggingface.config import ROUTING, Config
from llmcx.huggingface.moe import experts, latent, no_mtp, shared
from llmcx.model.extras import ResidualAttention
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.delta import GatedDelta, KimiDelta
from llmcx.model.mixers.lightning import Lightning
from llmcx.model.mixers.mlstm import MLSTM
from llmcx.model.mixers.rglru import RGLRU
from llmcx.model.mixers.rwkv import RWKV
from llmcx.model.mixers.shortconv import ShortConv
from llmcx.model.spec import FFN, Embedding, Gated, Layers, ModelSpec, MoE, Norm, Sliding

LINEAR = ("linear_attention", "full_attention")


def layer(mixer: Mixer, ffn: FFN, name: str = "attention") -> Layers:
    """A mixer and a feed-forward, each after a norm."""
    return Layers(1, mixer, ffn, norms=(name, "ffn"))


def delta_net(c: Config) -> dict[str, Mixer]:
    """Gated DeltaNet, and gated attention with normalised heads."""
    delta = GatedDelta(
        c.size("linear_num_key_heads"),
        c.size("linear_num_value_heads"),
        c.size("linear_key_head_dim"),
        c.size("linear_value_head_dim"),
        c.size("linear_conv_kernel_dim"),
    )
    c.expect("attn_output_gate", True)
    c.ignore("mamba_ssm_dtype", "output_gate_type")
    no_mtp(c, "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings")
    return {
        "linear_attention": delta,
        "full_attention": heads(c, bias=c.flag("attention_bias"), qk_norm="head", qk_norm_type=GEMMA, gate=True),
    }


def in_turn(c: Config, n: int) -> list[str]:
    """layer_types, else full attention once every full_attention_interval layers, by default four."""
    every = c.optional("full_attention_interval") or 4
    return layer_types(c, "layer_types", LINEAR, n) or [LINEAR[(i + 1) % every == 0] for i in range(n)]


def qwen_moe(c: Config) -> MoE:
    """Small experts, and a shared one behind a gate of its own."""
    return experts(c, "num_experts", shared=gated(c, "shared_expert_intermediate_size"), shared_gate=True)


@family("qwen3_next")
def qwen3_next(c: Config) -> ModelSpec:
    """Gated DeltaNet and gated attention in turn; experts in every layer but those that say otherwise."""
    n = layer_count(c)
    c.ignore("use_sliding_window", "intermediate_size")
    c.ignore("num_experts_per_tok", "moe_intermediate_size", "shared_expert_intermediate_size")
    dense, step = c.list("mlp_only_layers") or [], c.size("decoder_sparse_step")
    mixers, any_experts = delta_net(c), c.size("num_experts", least=0) > 0
    kinds = [(kind, any_experts and i not in dense and (i + 1) % step == 0) for i, kind in enumerate(in_turn(c, n))]
    layers = in_order(kinds, lambda kind: layer(mixers[kind[0]], qwen_moe(c) if kind[1] else gated(c)))
    return model(c, decoder=layers, norm=GEMMA)


@family("qwen3_5_text", "qwen3_5_moe_text")
def qwen3_5(c: Config) -> ModelSpec:
    """Qwen3-Next's mixers with a gated feed-forward, or experts, in every layer."""
    c.expect("mlp_only_layers", [])
    mixers, ffn = delta_net(c), qwen_moe(c) if c.model_type == "qwen3_5_moe_text" else gated(c)
    return model(c, decoder=in_order(in_turn(c, layer_count(c)), lambda kind: layer(mixers[kind], ffn)), norm=GEMMA)


@family("kimi_linear")
def kimi_linear(c: Config) -> ModelSpec:
    """Kimi Delta Attention and latent attention without rotation in turn; dense first layers, then experts. Never tied.

    Kimi K3 has gates as wide as the values, experts of a latent width, SiTU, and attention over depth for residual sums.
    """
    n = layer_count(c)
    c.expect("moe_layer_freq", 1)
    c.ignore("mla_use_nope", "moe_router_activation_func", "use_grouped_topk", "moe_renormalize", "num_expert_group")
    no_mtp(c, "num_nextn_predict_layers")
    own = {"heads": "linear_num_heads", "dim": "linear_head_dim", "conv": "linear_conv_kernel_dim"}
    sizes = {leaf: c.size(key) for leaf, key in own.items()}
    kinds, full_gate = layer_types(c, "layer_types", LINEAR, n), False
    if c.has("linear_attn_config"):  # as the released file has it
        inner = c.inner("linear_attn_config")
        for leaf, key in {"heads": "num_heads", "dim": "head_dim", "conv": "short_conv_kernel_size"}.items():
            sizes[leaf] = inner.optional(key) or sizes[leaf]
        full, linear = inner.list("full_attn_layers"), inner.list("kda_layers")
        if kinds is None and full is not None and linear is not None:
            if any(isinstance(i, bool) or not isinstance(i, int) for i in full + linear) or sorted(full + linear) != [
                *range(1, n + 1)
            ]:
                raise inner.wrong("kda_layers", linear, f"such that it and full_attn_layers name each of 1 to {n} once")
            kinds = [LINEAR[i + 1 in full] for i in range(n)]
        full_gate = inner.flag("use_full_rank_gate")
        inner.ignore("gate_lower_bound")
        inner.check_leftovers()
    kinds = kinds or [LINEAR[i > 0 and i % 4 == 0] for i in range(n)]
    sparse = layer_types(c, "mlp_layer_types", ("dense", "sparse"), n)
    first = c.size("first_k_dense_replace", least=0) if c.has("first_k_dense_replace") else 1
    sparse = sparse or ["dense" if i < first else "sparse" for i in range(n)]
    delta = KimiDelta(sizes["heads"], sizes["dim"], sizes["conv"], full_gate=full_gate)
    gate = c.size("v_head_dim") if c.flag("mla_use_output_gate") else 0
    mixers = {"linear_attention": delta, "full_attention": latent(c, gate=gate)}
    situ = c.data.get("hidden_act") == "situ"
    if situ:
        c.data["hidden_act"] = "silu"  # until the parts are made
    always = shared(c, "num_shared_experts", "moe_intermediate_size")
    inside = c.optional("routed_expert_hidden_size")
    normed = c.flag("latent_moe_use_norm") if inside else False
    moe = experts(c, "num_experts", "num_experts_per_token", shared=always, latent=inside, latent_norm=normed)
    dense = gated(c)
    if situ:
        dense = replace(dense, activation="situ")
        moe = replace(moe, expert=replace(moe.expert, activation="situ"), shared=always and replace(always, activation="situ"))
    ffn: dict[str, FFN] = {"dense": dense, "sparse": moe}
    block = c.optional("attn_res_block_size")
    context = "max_position_embeddings" if c.data.get("max_position_embeddings") else "model_max_length"
    c.ignore("model_max_length")
    layers = in_order(zip(kinds, sparse, strict=True), lambda kind: layer(mixers[kind[0]], ffn[kind[1]]))
    extras = () if block is None else (ResidualAttention(block),)
    if block is not None or full_gate or situ:
        c.notes.append("as the release's own code builds it: transformers does not know Kimi K3's gates, SiTU and mixed depths")
    return model(c, context=context, decoder=layers, norm=RMS, head=head(c, ties=False), extras=extras)


@family("minimax")
def minimax(c: Config) -> ModelSpec:
    """Lightning attention and softmax attention in turn; full-size experts."""
    n, n_heads = layer_count(c), c.size("num_attention_heads")
    c.ignore(
        "shared_moe_mode",
        "postnorm",
        *(f"{part}_{side}_factor" for part in FACTORS for side in ("alpha", "beta")),
    )
    lightning = Lightning(n_heads, head_dim(c, n_heads), c.size("block_size"))
    mixers = {"linear_attention": lightning, "full_attention": heads(c, core=window(c.optional("sliding_window")))}
    moe = experts(c, "num_local_experts", width="intermediate_size")
    kinds = layer_types(c, "layer_types", LINEAR, n)
    released = c.list("attn_type_list")  # of the releases, which transformers does not read: 0 is lightning attention
    if released is not None and (len(released) != n or not set(released) <= {0, 1}):
        raise c.wrong("attn_type_list", released, f"a list of {n} zeros and ones")
    if kinds is None and released is not None:
        kinds = [LINEAR[each] for each in released]
        c.notes.append("attn_type_list is applied, as the release's own code does; transformers 5.23 does not read it")
    kinds = kinds or [LINEAR[i % 2 == 0] for i in range(n)]
    return model(c, decoder=in_order(kinds, lambda kind: layer(mixers[kind], moe)), norm=RMS)


FACTORS = ("full_attn", "linear_attn", "mlp")


def short_conv(c: Config) -> dict[str, Mixer]:
    """LFM2's gated filter, and attention with normalised heads."""
    return {"conv": ShortConv(c.size("conv_L_cache"), c.flag("conv_bias")), "full_attention": heads(c, qk_norm="head")}


def tie(c: Config) -> None:
    """LFM2's older name for tie_word_embeddings wins over it."""
    if c.has("tie_embedding"):
        c.data["tie_word_embeddings"] = c.flag("tie_embedding")


@family("lfm2")
def lfm2(c: Config) -> ModelSpec:
    """Gated short filters, with attention in the layers that full_attn_idxs or layer_types names."""
    n, mixers = layer_count(c), short_conv(c)
    chosen = c.list("full_attn_idxs")
    named = range(n) if chosen is None else chosen
    kinds = layer_types(c, "layer_types", (*mixers,), n) or ["full_attention" if i in named else "conv" for i in range(n)]
    width = c.size("block_ff_dim" if c.has("block_ff_dim") else "intermediate_size")
    c.ignore("intermediate_size", "norm_eps", *(f"block_{leaf}" for leaf in BLOCK), "conv_dim", "conv_dim_out", "num_heads")
    c.ignore("conv_use_xavier_init", "theta", "use_pos_enc", "block_ffn_dim_multiplier", "block_multiple_of")
    if c.flag("block_auto_adjust_ff_dim"):
        width = int(2 * width / 3)  # in floats, as it was trained
        factor = c.get("block_ffn_dim_multiplier")
        if factor is not None:
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 1000:
                raise c.wrong("block_ffn_dim_multiplier", factor, "a number between 0 and 1000")
            multiple = c.size("block_multiple_of")
            width = -(-int(factor * width) // multiple) * multiple
    if not width:
        raise c.wrong("intermediate_size", c.get("intermediate_size"), "large enough to leave a feed-forward")
    tie(c)
    return model(c, decoder=in_order(kinds, lambda kind: layer(mixers[kind], Gated(width), NORMS[kind])), norm=RMS)


BLOCK = ("dim", "norm_eps", "mlp_init_scale", "out_init_scale", "use_swiglu", "use_xavier_init")
NORMS = {"conv": "conv", "full_attention": "attention"}


@family("lfm2_moe")
def lfm2_moe(c: Config) -> ModelSpec:
    """LFM2's mixers; dense first layers, then experts."""
    n, mixers = layer_count(c), short_conv(c)
    kinds = layer_types(c, "layer_types", (*mixers,), n)
    if kinds is None:
        raise c.wrong("layer_types", None, "a list of conv and full_attention")
    c.ignore("norm_eps", "use_expert_bias", "conv_dim", "conv_dim_out", "num_heads", *ROUTING)
    dense, first = Gated(c.size("intermediate_size")), c.size("num_dense_layers", least=0)
    moe = MoE(c.size("num_experts"), c.size("num_experts_per_tok"), Gated(c.size("moe_intermediate_size")))

    def make(kind: tuple[str, bool]) -> Layers:
        return layer(mixers[kind[0]], dense if kind[1] else moe, NORMS[kind[0]])

    tie(c)
    return model(c, decoder=in_order(((kind, i < first) for i, kind in enumerate(kinds)), make), norm=RMS)


@family("recurrent_gemma")
def recurrent_gemma(c: Config) -> ModelSpec:
    """Griffin: RG-LRU and windowed attention in turn, biases in the feed-forward."""
    n, period = layer_count(c), c.list("block_types") or []
    if not period or any(kind not in ("recurrent", "attention") for kind in period) or n > 100 * len(period):
        raise c.wrong("block_types", period, "a list of recurrent and attention, at least a hundredth of the layers long")
    c.ignore("logits_soft_cap", "w_init_variance_scale", "final_w_init_variance_scale", "embeddings_scale_by_sqrt_dim")
    lru = RGLRU(c.optional("lru_width") or c.size("hidden_size"), c.size("num_attention_heads"), c.size("conv1d_width"))
    attention = heads(c, bias=c.flag("attention_bias"), out_bias=True, core=Sliding(c.size("attention_window_size")))
    # transformers builds the feed-forward half as wide as the file says.
    ffn = Gated(c.size("intermediate_size", least=2) // 2, True, activation(c, "hidden_activation"))
    kinds = (period[i % len(period)] for i in range(n))
    mixers: dict[str, Mixer] = {"recurrent": lru, "attention": attention}
    return model(c, decoder=in_order(kinds, lambda kind: layer(mixers[kind], ffn, kind)), norm=RMS)


@family("rwkv")
def rwkv(c: Config) -> ModelSpec:
    """RWKV-4: blocks of time mixing and channel mixing, and a layer norm after the embedding."""
    d = c.size("hidden_size")
    c.ignore("rescale_every", "attention_dropout")
    block = RWKV(c.optional("attention_hidden_size") or d, c.optional("intermediate_size") or 4 * d)
    layers = Layers(c.size("num_hidden_layers"), block, norms=("attention", "ffn"))
    return model(c, context="context_length", embedding=Embedding(c.size("vocab_size"), normed=True), decoder=(layers,))


def _rounded(value: float, step: int) -> int:
    """Up to a multiple of ``step``, as xLSTM's code rounds."""
    return int(((value + step - 1) // step) * step)


def _factor(c: Config, key: str) -> float:
    """A positive number."""
    value = c.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise c.wrong(key, value, "a positive number")
    return float(value)


@family("xlstm")
def xlstm(c: Config) -> ModelSpec:
    """A matrix memory and a gated feed-forward in each layer; RMS norms, with shifts where there are biases."""
    c.ignore("norm_reduction_force_float32", "add_out_norm", "chunkwise_kernel", "sequence_kernel", "step_kernel", "eps")
    c.ignore("return_last_states", "weight_mode", "gate_soft_cap", "output_logit_soft_cap")
    c.expect("mode", "inference", "train")
    d, n, bias = c.size("hidden_size"), c.size("num_heads"), c.flag("use_bias")
    c.expect("embedding_dim", None, d)
    layers = c.optional("num_blocks") or c.size("num_hidden_layers")
    c.ignore("num_hidden_layers")
    qk, v = (int(d * _factor(c, f"{leaf}_dim_factor")) for leaf in ("qk", "v"))
    if qk % n or v % n or not qk or not v:
        raise c.wrong("num_heads", n, f"a divisor of the widths of all queries and values, {qk} and {v}")
    wide = _rounded(d * _factor(c, "ffn_proj_factor"), c.size("ffn_round_up_to_multiple_of"))
    chunk = c.size("chunk_size")
    if c.size("max_inference_chunksize") % chunk:
        raise c.wrong("max_inference_chunksize", c.size("max_inference_chunksize"), f"a multiple of chunk_size, {chunk}")
    mixer = MLSTM(n, qk, v, chunk, bias)
    layer = Layers(layers, mixer, Gated(wide, bias, "silu"), norms=("mlstm", "ffn"))
    built = head(c, ties=False)
    return model(c, context=None, decoder=(layer,), norm=Norm("rmsnorm", bias=bias), final_norm_type=RMS, head=built)
