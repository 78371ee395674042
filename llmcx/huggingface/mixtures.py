"""Further mixtures of experts: LLaMA's and DeepSeek's kin with something changed in the attention, the norms or the router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import repeat
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    GEMMA,
    RMS,
    SANDWICH,
    SCALE_ONLY,
    activation,
    gated,
    head,
    heads,
    in_order,
    layer_count,
    layer_types,
    model,
    window,
    windowed_layers,
)
from llmcx.huggingface.config import ROTARY, ROUTING, SCALES, Config
from llmcx.huggingface.labels import first_named
from llmcx.huggingface.llama import uniform, with_window
from llmcx.huggingface.moe import after, dense_first, experts, latent, listed, no_mtp, qwen_sparse, shared, windowed, with_experts
from llmcx.model.extras import ScaledResiduals
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.further import Convolved, Mingled, Routed
from llmcx.model.spec import Core, Embedding, Gated, Layers, ModelSpec, MoE, Sliding, Standard


def block(c: Config, key: str) -> Gated | None:
    """A shared expert whose width is a key of its own."""
    width = c.size(key, 0)
    return Gated(width, activation=activation(c, "hidden_act")) if width else None


@family("cohere2_moe")
def cohere2_moe(c: Config) -> ModelSpec:
    """Cohere 2 with experts beside shared ones, both of intermediate_size, after dense first layers."""
    first = c.size("first_k_dense_replace", 0) if "first_k_dense_replace" in c.data else 0
    every = {True: c.size("prefix_dense_sliding_window_pattern"), False: c.size("sliding_window_pattern")}
    local = windowed_layers(c, lambda i: (i + 1 if i < first else i - first + 1) % every[i < first] != 0)
    c.ignore("shared_expert_combination_strategy", "expert_selection_fn", *SCALES)
    sparse = listed(c, first)
    mixer = heads(c, bias=c.flag("attention_bias"))
    plain, turned = (windowed(mixer, c.optional("sliding_window"), local, rope=rope) for rope in (False, True))
    mixers = [turned[i] if not routed and every[True] == 1 else plain[i] for i, routed in enumerate(sparse)]
    moe = experts(c, "num_experts", width="intermediate_size", shared=shared(c, "num_shared_experts", "intermediate_size"))
    width = c.optional("prefix_dense_intermediate_size")
    dense = gated(c) if width is None else replace(gated(c), d_ff=width)
    norm = SCALE_ONLY if c.get("rms_norm_eps") is None else RMS
    return model(c, decoder=with_experts(mixers, moe, dense, sparse, ("layer",)), norm=norm)


@family("solar_open")
def solar_open(c: Config) -> ModelSpec:
    """GLM 4.5's experts in every layer; biases on queries, keys and values by option."""
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    return uniform(c, heads(c, bias=c.flag("attention_bias"), out_bias=False), moe)


@family("dots1")
def dots1(c: Config) -> ModelSpec:
    """DeepSeek-V3's experts with Qwen 3's attention, whose window begins at max_window_layers."""
    size, first = c.optional("sliding_window"), c.size("max_window_layers", 0)
    local = windowed_layers(c, lambda i: size is not None and i >= first)
    mixers = windowed(heads(c, bias=c.flag("attention_bias"), qk_norm="head"), size, local)
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    return model(c, decoder=with_experts(mixers, moe, gated(c), after(c, c.size("first_k_dense_replace", 0))), norm=RMS)


@family("granitemoe_swa")
def granitemoe_swa(c: Config) -> ModelSpec:
    """Granite's experts, a sink per head, and a window but in every fourth layer, the first of them global."""
    c.ignore("layer_rope_theta", *SCALES)
    moe = experts(c, "num_local_experts", width="intermediate_size", shared=block(c, "shared_intermediate_size"))
    mixer = heads(c, bias=c.flag("attention_bias"), sinks=True)
    return with_window(c, mixer, moe, c.optional("sliding_window"), lambda i: i % 4 != 0)


@family("mimo_v2_flash")
def mimo_v2_flash(c: Config) -> ModelSpec:
    """Values narrower than keys; a window in five of six layers, and there sinks and twice the key-value heads; experts in all
    layers but the first.
    """
    n = layer_count(c)
    if c.data.get("sliding_window_size") is not None:
        c.data["sliding_window"] = c.size("sliding_window_size") + 1
    c.ignore("sliding_window_size", "attention_value_scale")
    local = windowed_layers(c, lambda i: i != 0 and (i + 1) % 6 != 0)
    mixer = heads(c, bias=c.flag("attention_bias"), out_bias=False, v_dim=c.size("v_head_dim"))
    wide = replace(mixer, n_kv_heads=2 * mixer.kv_heads, core=Sliding(c.size("sliding_window")), sinks=True)
    sparse = listed(c, 1)
    # Released files say it all a second time, under names that transformers does not read.
    c.expect("hybrid_layer_pattern", [int(one) for one in local])
    c.expect("moe_layer_freq", [int(one) for one in sparse])
    for key, built in (
        ("swa_num_attention_heads", wide.n_heads),
        ("swa_num_key_value_heads", wide.kv_heads),
        ("swa_head_dim", wide.head_dim),
        ("swa_v_head_dim", wide.v_dim),
        ("add_swa_attention_sink_bias", True),
        ("add_full_attention_sink_bias", False),
        ("n_shared_experts", None),
    ):
        c.expect(key, built)
    no_mtp(c, "num_nextn_predict_layers")
    mixers: list[Mixer] = [wide if one else mixer for one in local]
    return model(c, decoder=with_experts(mixers[:n], experts(c, "n_routed_experts"), gated(c), sparse), norm=RMS)


@family("hy_v3")
def hy_v3(c: Config) -> ModelSpec:
    """A norm on each head's queries and keys; experts beside shared ones in all layers but the first, biases by option."""
    bias = c.flag("mlp_bias")
    c.ignore("router_scaling_factor", "enable_moe_fp32_combine")
    no_mtp(c, "num_nextn_predict_layers")
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head")
    moe = experts(c, "num_experts", shared=shared(c, "num_shared_experts", "moe_intermediate_size", bias))
    return model(c, decoder=with_experts(repeat(mixer), moe, gated(c, bias=bias), listed(c, 1)), norm=RMS)


@family("axk1")
def axk1(c: Config) -> ModelSpec:
    """DeepSeek-V3 with a norm after the experts."""
    no_mtp(c, "num_nextn_predict_layers")
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    routed = Layers(1, latent(c), moe, norms=("attention", "ffn", "ffn_out"))
    dense = Layers(1, routed.mixer, gated(c))
    return model(c, decoder=in_order(dense_first(c, layer_count(c)), lambda one: routed if one else dense), norm=RMS)


@family("youtu")
def youtu(c: Config) -> ModelSpec:
    """Latent attention with a dense feed-forward."""
    return model(c, decoder=(Layers(c.size("num_hidden_layers"), latent(c), gated(c)),), norm=RMS)


@family("flint")
def flint(c: Config) -> ModelSpec:
    """Sinks, a norm on each head's queries and keys, rotary positions only where there is a window; a shared expert."""
    n = layer_count(c)
    if c.get("mlp_only_layers") is None:
        c.data["mlp_only_layers"] = [0, 1]
    local = windowed_layers(c, lambda i: not (i < 2 or i % 4 == 1 or i == n - 1))
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", sinks=True)
    mixers = windowed(mixer, c.size("sliding_window"), local, rope=False)
    moe = experts(c, "num_experts", shared=block(c, "shared_expert_intermediate_size"))
    return model(c, decoder=with_experts(mixers, moe, gated(c), qwen_sparse(c)), norm=RMS)


@family("kolibri1")
def kolibri1(c: Config) -> ModelSpec:
    """EXAONE 4's attention, norms before and after each part, and a shared expert; a window but in every fifth layer."""
    local = windowed_layers(c, lambda i: (i + 1) % 5 != 0)
    mixers = windowed(heads(c, qk_norm="head"), c.optional("sliding_window"), local, rope=False)
    moe = experts(c, "num_experts", shared=block(c, "shared_expert_intermediate_size"))
    return model(c, decoder=with_experts(mixers, moe, moe, repeat(True), SANDWICH), norm=RMS)


@family("laguna")
def laguna(c: Config) -> ModelSpec:
    """A gate on the attention, for each head or each number of it; heads by layer; dense layers by mlp_layer_types."""
    n = layer_count(c)
    gating = c.get("gating")
    if gating not in (True, False, "per-head", "per-element"):
        raise c.wrong("gating", gating, "true, per-head or per-element")
    counts = c.list("num_attention_heads_per_layer") or [c.size("num_attention_heads")] * n
    if len(counts) != n or not all(type(count) is int and count > 0 for count in counts):
        raise c.wrong("num_attention_heads_per_layer", counts, f"a whole number for each of {n} layers")
    c.expect("moe_apply_router_weight_on_input", False)
    c.ignore("moe_routed_scaling_factor", "moe_router_logit_softcapping")
    kinds = layer_types(c, "layer_types", ("sliding_attention", "full_attention"), n) or ["full_attention"] * n
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", gate=True, gate_bias=False)
    mixer = replace(mixer, gate_per_head=gating in (True, "per-head"))
    cores: dict[str, Core] = {"sliding_attention": Sliding(c.size("sliding_window")), "full_attention": Standard()}
    mixers = [replace(mixer, n_heads=count, core=cores[kind]) for count, kind in zip(counts, kinds, strict=True)]
    moe = experts(c, "num_experts", shared=block(c, "shared_expert_intermediate_size"), correction=True)
    return model(c, decoder=with_experts(mixers, moe, gated(c), listed(c, 1)), norm=RMS)


@family("mellum")
def mellum(c: Config) -> ModelSpec:
    """Qwen 3's experts and attention, with a window where layer_types says."""
    no_mtp(c, "num_mtp_layers", "num_nextn_predict_layers", "mtp_layer_types", "mtp_mlp_layer_types")
    local = windowed_layers(c, lambda i: False)
    mixers = windowed(heads(c, bias=c.flag("attention_bias"), qk_norm="head"), c.optional("sliding_window"), local)
    return model(c, decoder=with_experts(mixers, experts(c, "num_experts"), gated(c), listed(c, 0)), norm=RMS)


@family("jetmoe")
def jetmoe(c: Config) -> ModelSpec:
    """Queries and outputs of the attention by experts too, as many heads as key-value heads each."""
    c.expect("num_attention_heads", c.size("num_key_value_heads") * c.size("num_experts_per_tok"))
    c.ignore("aux_loss_coef", "moe_num_experts", "moe_top_k", *ROTARY)
    count, top_k = c.size("num_local_experts"), c.size("num_experts_per_tok")
    mixer = Routed(c.size("num_key_value_heads"), c.size("kv_channels"), count, top_k)
    moe = MoE(count, top_k, gated(c, act="activation_function"), out_bias=True)
    return model(c, decoder=(Layers(c.size("num_hidden_layers"), mixer, moe),), norm=RMS)


@family("step3p5")
def step3p5(c: Config) -> ModelSpec:
    """The language model of Step 3.7: gated heads, more of them where there is a window; experts beside a shared one."""
    n = layer_count(c)
    bias, n_heads = c.flag("mlp_bias"), c.size("num_attention_heads")
    more = {c.size("num_nextn_predict_layers", 0)} if "num_nextn_predict_layers" in c.data else {0}
    for key in ("layer_types", "mlp_layer_types"):  # with the layers for multi-token prediction at the end
        stated = c.list(key)
        if stated is not None and len(stated) - n in more:
            c.data[key] = stated[:n]
    no_mtp(c, "num_nextn_predict_layers", "mtp_layer_types", "mtp_mlp_layer_types", alike=False)
    for key in ("use_head_wise_attn_gate", "gating", "use_bidirectional_attention"):
        c.expect(key, key != "use_bidirectional_attention")
    c.ignore("swiglu_limits", "swiglu_limits_shared", "moe_router_scaling_factor", "moe_router_activation", "use_moe_router_bias")
    c.ignore("partial_rotary_factors", "attention_other_setting", "moe_layers_enum", "hidden_act", "need_fp32_gate")
    c.expect("per_layer_config", None)
    c.expect("n_shared_experts", None, 1)
    other = c.data.get("attention_other_setting") or {}
    if not isinstance(other, Mapping):
        raise c.wrong("attention_other_setting", other, "a mapping")
    wide = c.optional("num_sliding_attention_heads") or other.get("num_attention_heads", n_heads)
    if type(wide) is not int or wide < 1:
        raise c.wrong("attention_other_setting", wide, "a number of heads")
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", qk_norm_type=GEMMA, gate=True, gate_bias=False)
    mixer = replace(mixer, gate_per_head=True)
    local = windowed_layers(c, lambda i: False)
    size = c.optional("sliding_window")
    if True in local and size is None:
        raise c.wrong("sliding_window", None, "a whole number where layer_types has sliding_attention")
    windows = replace(mixer, n_heads=wide, core=Standard() if size is None else Sliding(size))
    expert, always = (
        Gated(c.size(key), bias and key == "share_expert_dim") for key in ("moe_intermediate_size", "share_expert_dim")
    )
    moe = MoE(c.size("n_routed_experts"), c.size("num_experts_per_tok"), expert, always)
    c.ignore(*ROUTING)
    mixers = [windows if one else mixer for one in local]
    layers = with_experts(mixers, moe, Gated(c.size("intermediate_size"), bias), _step_sparse(c, n))
    return model(c, decoder=layers, norm=GEMMA, head=None if first_named(c) == "Step3p7TextModel" else head(c))


def _step_sparse(c: Config, n: int) -> list[bool]:
    """Which layers have experts: mlp_layer_types, else those that moe_layers_enum lists, "3,4,5", else all after the third."""
    kinds, chosen = layer_types(c, "mlp_layer_types", ("dense", "sparse"), n), c.data.get("moe_layers_enum")
    if kinds is not None or chosen is None:
        first = c.size("first_k_dense_replace", least=0) if c.has("first_k_dense_replace") else 3
        return [kind == "sparse" for kind in kinds] if kinds else after(c, first)
    items = chosen.split(",") if isinstance(chosen, str) else chosen
    if not isinstance(items, list) or not all(str(item).strip().isdecimal() for item in items):
        raise c.wrong("moe_layers_enum", chosen, "layers by number, as 3,4,5")
    return [i in {int(item) for item in items} for i in range(n)]


@family("inkling_text")
def inkling(c: Config) -> ModelSpec:
    """Relative positions, short filters over keys, values and what both parts say, a norm after the embedding; sizes of its own
    where there is a window; experts beside shared ones that the router weighs.
    """
    n = layer_count(c)
    for key in ("log_scaling_n_floor", "log_scaling_alpha", "route_scale", "chain_hidden_post_norm", "mtp_local_layer_ids"):
        c.ignore(key)
    c.ignore("logits_mup_width_multiplier", "unpadded_vocab_size", "shared_expert_sink", "mtp_hidden_states_first", *ROUTING)
    no_mtp(c, "num_mtp_layers", alike=False)
    if c.data.get("dense_intermediate_size") is not None:  # then intermediate_size is the experts'
        c.data |= {"moe_intermediate_size": c.size("intermediate_size"), "intermediate_size": c.size("dense_intermediate_size")}
    c.ignore("dense_intermediate_size")
    local = c.list("local_layer_ids")
    kinds = layer_types(c, "layer_types", ("hybrid_sliding", "hybrid"), n)
    wide = [kind == "hybrid" for kind in kinds] if kinds else [i not in local if local else (i + 1) % 6 == 0 for i in range(n)]
    if local == [] and not kinds:
        wide = [True] * n
    first = c.size("dense_mlp_idx", 0) if "dense_mlp_idx" in c.data else 0
    filters: dict[str, Any] = {"rel_dim": c.size("d_rel"), "d_conv": c.size("conv_kernel_size")}

    def attention(prefix: str, reach: int, core: Core) -> Convolved:
        n_heads, n_kv, dim = (c.size(f"{prefix}{key}") for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
        return Convolved(n_heads, n_kv, dim, qk_norm="head", rel_extent=reach, core=core, **filters)

    window = c.size("sliding_window_size")
    mixers = {True: attention("", c.size("rel_extent"), Standard()), False: attention("swa_", window, Sliding(window))}
    count = c.size("n_shared_experts")
    moe = replace(
        experts(c, "n_routed_experts"), shared=shared(c, "n_shared_experts", "moe_intermediate_size"), shared_scores=count
    )
    chosen = [mixers[kind] for kind in wide]
    embedding = Embedding(c.size("vocab_size"), normed=True)
    layers = with_experts(chosen, moe, gated(c), listed(c, first), ("attention", "ffn"))
    return model(c, decoder=layers, norm=RMS, embedding=embedding, head=head(c, ties=False))


@family("zaya")
def zaya(c: Config) -> ModelSpec:
    """Attention whose queries and keys are filtered and whose values are half of the token before; one of many experts a token,
    by a router of several layers; scales of the residual sums.
    """
    c.ignore(*ROUTING)
    n, size = layer_count(c), c.optional("sliding_window")
    kinds = layer_types(c, "layer_types", ("hybrid", "hybrid_sliding"), n) or ["hybrid"] * n
    if size is None and "hybrid_sliding" in kinds:
        raise c.wrong("sliding_window", None, "a size, as layer_types has hybrid_sliding")
    c.expect("num_experts_per_tok", 1)
    plain = heads(c, bias=c.flag("attention_bias"))
    if plain.kv_heads * plain.width(c.size("hidden_size")) % 2:
        raise c.wrong("head_dim", plain.head_dim, "even, or the key-value heads even: half of each value is another token's")
    mixer = Mingled(
        plain.n_heads,
        plain.n_kv_heads,
        plain.head_dim,
        bias=plain.bias,
        rope=True,
        first=c.size("cca_time0"),
        second=c.size("cca_time1"),
    )
    expert = gated(c, "moe_intermediate_size")
    moe = MoE(c.size("num_experts"), 1, expert, router_mlp=c.size("router_hidden_size"))

    def make(kind: tuple[str, bool]) -> Layers:
        """The first layer's router has none before it."""
        core = window(size if kind[0] == "hybrid_sliding" else None)
        return Layers(1, replace(mixer, core=core), replace(moe, router_states=kind[1]))

    layers = in_order(((kind, i > 0) for i, kind in enumerate(kinds)), make)
    return model(c, decoder=layers, norm=RMS, head=head(c, bias=c.flag("lm_head_bias")), extras=(ScaledResiduals(),))


@family("beam")
def beam(c: Config) -> ModelSpec:
    """A gate on the heads' output, with a number for each head beside; norms around each part; a window and rotary positions in
    five of six layers, but for the last; experts after the first three.
    """
    n = layer_count(c)
    local = windowed_layers(c, lambda i: (i + 1) % 6 != 0 and i != n - 1)
    mixer = heads(c, bias=c.flag("attention_bias"), qk_norm="head", gate=True, gate_bias=False)
    mixer = replace(mixer, scalars=mixer.n_heads)
    c.ignore(*SCALES)
    size = c.optional("sliding_window")
    if size is None and True in local:
        raise c.wrong("sliding_window", None, "a size, as some layers have sliding_attention")
    mixers = windowed(mixer, size, local, rope=False)
    return model(c, decoder=with_experts(mixers, experts(c, "num_experts"), gated(c), listed(c, 3), SANDWICH), norm=RMS)
