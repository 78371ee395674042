"""Further hybrids: attention in some layers, something linear in the others."""

from __future__ import annotations

from dataclasses import replace

from llmcx.huggingface import family
from llmcx.huggingface.common import RMS, SANDWICH, WIDE_RMS, gated, head, heads, in_order, layer_count, layer_types, model
from llmcx.huggingface.config import Config
from llmcx.huggingface.linear import LINEAR
from llmcx.huggingface.llama import POST
from llmcx.huggingface.moe import experts, latent, listed, no_mtp, shared, with_experts
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.delta import GatedDelta, KimiDelta
from llmcx.model.mixers.shortconv import ShortConv
from llmcx.model.spec import Gated, Layers, ModelSpec, Sliding


@family("olmo_hybrid")
def olmo_hybrid(c: Config) -> ModelSpec:
    """Gated DeltaNet, with norms before each part, but in every fourth layer OLMo 3's attention, with norms after each part."""
    n, n_heads = layer_count(c), c.size("num_attention_heads")
    k_heads, v_heads = c.optional("linear_num_key_heads") or n_heads, c.optional("linear_num_value_heads") or n_heads
    k_dim = c.optional("linear_key_head_dim") or int(0.75 * c.size("hidden_size") / k_heads)
    v_dim = c.optional("linear_value_head_dim") or 2 * k_dim
    c.ignore("linear_a_log_max", "linear_a_log_min", "linear_dt_init_floor", "linear_dt_max", "linear_dt_min")
    c.ignore("linear_allow_neg_eigval")
    delta = GatedDelta(k_heads, v_heads, k_dim, v_dim, c.size("linear_conv_kernel_dim"))
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="full", qk_norm_type=WIDE_RMS)
    ffn = gated(c)
    kinds = layer_types(c, "layer_types", LINEAR, n)
    if kinds is None:
        kinds = [LINEAR[i % 4 == 3] for i in range(n)]
        kinds = kinds if n > 3 else [*kinds[:-1], LINEAR[1]]
    if len(set(kinds)) < 2:
        raise c.wrong("layer_types", kinds, "a list with both linear and full attention")
    layer = {"linear_attention": Layers(1, delta, ffn), "full_attention": Layers(1, mixer, ffn, norms=POST)}
    return model(c, decoder=in_order(kinds, layer.__getitem__), norm=WIDE_RMS)


@family("lfm3")
def lfm3(c: Config) -> ModelSpec:
    """LFM2's filters and attention, which has a window in half its layers and a gate per head; norms after each part too."""
    n = layer_count(c)
    gate = {"gate": True, "gate_bias": False, "gate_per_head": True} if c.flag("use_attention_gate", True) else {}
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", **gate)
    size = c.optional("sliding_window")
    mixers: dict[str, Mixer] = {
        "conv": ShortConv(c.size("conv_L_cache"), c.flag("conv_bias")),
        "full_attention": mixer,
        "sliding_attention": mixer if size is None else replace(mixer, core=Sliding(size)),
    }
    kinds = layer_types(c, "layer_types", (*mixers,), n)
    turns = {0: "sliding_attention", 2: "full_attention"}
    kinds = kinds or ["conv" if i == 0 else turns.get(i % 4, "conv") for i in range(n)]
    norms = SANDWICH if c.flag("use_sandwich_norm", True) else ("attention", "ffn")
    ffn = Gated(c.size("intermediate_size"))
    return model(c, decoder=in_order(kinds, lambda kind: Layers(1, mixers[kind], ffn, norms=norms)), norm=RMS)


@family("bailing_hybrid")
def bailing_hybrid(c: Config) -> ModelSpec:
    """Kimi Delta Attention without bottlenecks, and latent attention with a gate per head in every layer_group_size-th layer.
    Never tied.
    """
    n = layer_count(c)
    no_mtp(c, "num_nextn_predict_layers", alike=False)
    c.ignore("kda_safe_gate", "kda_lower_bound", "mtp_loss_scaling_factor", "num_expert_group", "moe_renormalize")
    delta = KimiDelta(c.size("num_attention_heads"), c.size("head_dim"), c.size("short_conv_kernel_size"), direct=True)
    mixers: dict[str, Mixer] = {"linear_attention": delta, "full_attention": latent(c, gate=1)}
    every, first = c.size("layer_group_size"), c.size("first_k_dense_replace", 0)
    kinds = layer_types(c, "layer_types", LINEAR, n) or [LINEAR[(i + 1) % every == 0] for i in range(n)]
    always = shared(c, "num_shared_experts", "moe_intermediate_size")
    moe = experts(c, "num_experts", "num_experts_per_token", shared=always)
    chosen = [mixers[kind] for kind in kinds]
    layers = with_experts(chosen, moe, gated(c), listed(c, first), ("attention", "ffn"))
    return model(c, decoder=layers, norm=RMS, head=head(c, ties=False))
