"""State spaces and their hybrids with attention: Mamba and Mamba-2, alone, in turns or side by side."""

from __future__ import annotations

from llmcx.core.mixers import Mixer
from llmcx.core.mixers.mamba import Mamba
from llmcx.core.mixers.mamba2 import Mamba2
from llmcx.core.parts import FFN, Layers, ModelSpec, MoE, Plain

from . import family
from .common import RMS, activation, gated, grouped, heads, layer_types, listed, model
from .config import Config

NUMERICS = [
    "residual_in_fp32",
    "rescale_prenorm_residual",
    "mamba_ssm_cache_dtype",
    "use_mambapy",
    "use_associative_scan",
    "use_mamba_kernels",
    "time_step_floor",
    "time_step_init_scheme",
    "time_step_limit",
    "time_step_max",
    "time_step_min",
    "time_step_scale",
    "num_logits_to_keep",
]
"""Keys of state-space models that change no count."""


def ssm(kind: Mixer) -> str:
    """The name of a layer's norm before its mixer."""
    return "ssm" if isinstance(kind, (Mamba, Mamba2)) else "attention"


def dt_rank(c: Config, key: str) -> int:
    """A rank, or "auto": a sixteenth of the width, rounded up."""
    return -(-c.size("hidden_size") // 16) if c.get(key) == "auto" else c.size(key)


@family("mamba", "falcon_mamba")
def mamba(c: Config) -> ModelSpec:
    """Nothing but Mamba; Falcon Mamba normalises Δ, B and C without weights."""
    activation(c, "hidden_act")
    # Files that were converted keep their first names beside the ones that count.
    c.ignore(*NUMERICS, "use_falcon_mambapy", "mixer_rms_eps", "d_inner", "d_model", "n_layer", "ssm_cfg", "rms_norm")
    c.ignore("fused_add_norm", "pad_vocab_size_multiple")
    mixer = Mamba(
        c.optional("intermediate_size") or c.size("expand") * c.size("hidden_size"),
        c.size("state_size"),
        dt_rank(c, "time_step_rank"),
        c.size("conv_kernel"),
        bias=c.flag("use_bias"),
        conv_bias=c.flag("use_conv_bias"),
        norms="plain" if c.model_type == "falcon_mamba" else None,
    )
    return model(c, context=None, decoder=(Layers(c.size("num_hidden_layers"), mixer, norms=("ssm",)),), norm=RMS)


@family("mamba2")
def mamba2(c: Config) -> ModelSpec:
    """Nothing but Mamba-2."""
    activation(c, "hidden_act")
    c.ignore(*NUMERICS, "time_step_rank", "intermediate_size", "rms_norm", "norm_before_gate")
    mixer = Mamba2(
        c.size("num_heads"),
        c.size("head_dim"),
        c.size("state_size", least=2),
        c.size("n_groups"),
        c.size("conv_kernel"),
        c.size("chunk_size", least=2),
        bias=c.flag("use_bias"),
        conv_bias=c.flag("use_conv_bias"),
    )
    if mixer.n_heads * mixer.head_dim != c.size("expand") * c.size("hidden_size"):
        raise c.wrong("num_heads", mixer.n_heads, "expand · hidden_size / head_dim")
    return model(c, context=None, decoder=(Layers(c.size("num_hidden_layers"), mixer, norms=("ssm",)),), norm=RMS)


def hybrid_mamba2(c: Config, inner: int, out_bias: bool | None = None, norm: bool = True) -> Mamba2:
    """Mamba-2 of ``inner`` channels from the mamba_* keys."""
    c.ignore(*NUMERICS)
    n_heads = c.size("mamba_n_heads")
    mixer = Mamba2(
        n_heads,
        inner // n_heads if c.get("mamba_d_head") == "auto" else c.size("mamba_d_head"),
        c.size("mamba_d_state", least=2),
        c.size("mamba_n_groups"),
        c.size("mamba_d_conv"),
        c.size("mamba_chunk_size", least=2),
        bias=c.flag("mamba_proj_bias"),
        out_bias=out_bias,
        conv_bias=c.flag("mamba_conv_bias"),
        norm=norm,
    )
    if n_heads * mixer.head_dim != inner:
        raise c.wrong("mamba_n_heads", n_heads, f"such that the heads' width is {inner:,} together")
    return mixer


def two_parts(mixer: Mixer, ffn: FFN) -> Layers:
    """A layer with a norm before its mixer and one before its feed-forward."""
    return Layers(1, mixer, ffn, norms=(ssm(mixer), "ffn"))


@family("bamba")
def bamba(c: Config) -> ModelSpec:
    """Mamba-2, with attention in the layers that attn_layer_indices lists."""
    count = listed(c)
    c.ignore("z_loss_coefficient")
    chosen = c.list("attn_layer_indices") or []
    attention = heads(c, bias=c.flag("attention_bias"))
    state_space = hybrid_mamba2(c, c.size("mamba_expand") * c.size("hidden_size"))
    ffn = gated(c, bias=c.flag("mlp_bias"))
    layers = (two_parts(attention if i in chosen else state_space, ffn) for i in range(count))
    return model(c, decoder=grouped(layers), norm=RMS)


@family("falcon_h1")
def falcon_h1(c: Config) -> ModelSpec:
    """Attention and Mamba-2 side by side in every layer, on the same input."""
    inner = c.optional("mamba_d_ssm") or c.size("mamba_expand") * c.size("hidden_size")
    c.ignore("mamba_expand", "mamba_norm_before_gate", "mamba_use_mlp", "lm_head_multiplier", "embedding_multiplier")
    c.ignore("mlp_multipliers", "key_multiplier", "attention_out_multiplier", "attention_in_multiplier", "ssm_multipliers")
    c.ignore("ssm_in_multiplier", "ssm_out_multiplier", "mlp_expansion_factor", "attn_layer_indices")
    layer = Layers(
        c.size("num_hidden_layers"),
        heads(c, bias=c.flag("attention_bias")),
        gated(c, bias=c.flag("mlp_bias")),
        beside=hybrid_mamba2(c, inner, c.flag("projectors_bias"), c.flag("mamba_rms_norm")),
        norms=("attention", "ffn"),
    )
    return model(c, decoder=(layer,), norm=RMS)


@family("granitemoehybrid")
def granite_hybrid(c: Config) -> ModelSpec:
    """Mamba-2 or attention as layer_types says; a shared expert in every layer, routed ones beside it if there are any."""
    kinds = layer_types(c, "layer_types", ("linear_attention", "full_attention"))
    kinds = kinds or ["linear_attention"] * listed(c)
    if len(kinds) != c.size("num_hidden_layers"):
        raise c.wrong("layer_types", kinds, "a list of num_hidden_layers kinds")
    c.ignore("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")
    rope = c.get("position_embedding_type") == "rope"
    shared = gated(c, "shared_intermediate_size")
    experts = c.size("num_local_experts", least=0)
    routed = MoE(experts, c.size("num_experts_per_tok"), gated(c), shared) if experts else None
    c.ignore("num_experts_per_tok", "intermediate_size", "mamba_expand")
    state_space = hybrid_mamba2(c, c.size("mamba_expand") * c.size("hidden_size"))
    mixers = {"linear_attention": state_space, "full_attention": heads(c, bias=c.flag("attention_bias"), rope=rope)}
    return model(c, decoder=grouped(two_parts(mixers[kind], routed or shared) for kind in kinds), norm=RMS)


@family("jamba")
def jamba(c: Config) -> ModelSpec:
    """Mamba with normalised Δ, B and C; attention and experts each once in a period of layers."""
    c.ignore(*NUMERICS)
    turns = {}
    for part in ("attn", "expert"):
        period, offset = c.size(f"{part}_layer_period"), c.size(f"{part}_layer_offset", least=0)
        if offset >= period:
            raise c.wrong(f"{part}_layer_offset", offset, f"less than {part}_layer_period, {period}")
        turns[part] = (period, offset)
    state_space = Mamba(
        c.size("mamba_expand") * c.size("hidden_size"),
        c.size("mamba_d_state"),
        dt_rank(c, "mamba_dt_rank"),
        c.size("mamba_d_conv"),
        bias=c.flag("mamba_proj_bias"),
        conv_bias=c.flag("mamba_conv_bias"),
        norms="learned",
    )
    attention, ffn, experts = heads(c, rope=False), gated(c), c.size("num_experts")
    routed: FFN = MoE(experts, c.size("num_experts_per_tok"), ffn) if experts > 1 else ffn
    c.ignore("num_experts_per_tok")

    def on(part: str, index: int) -> bool:
        period, offset = turns[part]
        return index % period == offset

    layers = (
        two_parts(attention if on("attn", i) else state_space, routed if on("expert", i) else ffn) for i in range(listed(c))
    )
    return model(c, decoder=grouped(layers), norm=RMS)


@family("nemotron_h")
def nemotron_h(c: Config) -> ModelSpec:
    """One part a layer, with one norm: Mamba-2, attention without positions, a feed-forward or experts."""
    letters = {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"}
    kinds = layer_types(c, "layers_block_type", (*letters.values(),))
    if kinds is None and c.has("hybrid_override_pattern"):
        pattern = c.text("hybrid_override_pattern")
        if not pattern or set(pattern) - set(letters):
            raise c.wrong("hybrid_override_pattern", pattern, "a string of M, E, * and -")
        kinds = [letters[letter] for letter in pattern]
    kinds = kinds or ["linear_attention", "moe", "full_attention", "mlp"]
    # Released files name these keys both ways; the older name wins.
    old = {"n_groups": "mamba_n_groups", "conv_kernel": "mamba_d_conv", "chunk_size": "mamba_chunk_size"}
    name = {new: alias if alias in c.data else new for new, alias in old.items()}
    conv_bias = c.flag("mamba_conv_bias" if "mamba_conv_bias" in c.data else "use_conv_bias")
    c.ignore(*NUMERICS, *old, "use_conv_bias", "num_hidden_layers", "hybrid_override_pattern", "expand", "mamba_expand")
    c.ignore("mamba_dt_min", "mamba_dt_max", "mamba_dt_limit", "mamba_dt_init_floor", "attention_bias", "sliding_window")
    c.ignore("n_shared_experts", "moe_shared_expert_overlap", "routed_scaling_factor", "n_group", "topk_group", "norm_topk_prob")
    c.ignore("num_nextn_predict_layers", "mtp_layers_block_type", "mtp_hybrid_override_pattern", "mamba_hidden_act")
    bias, act = c.flag("mlp_bias"), activation(c, "mlp_hidden_act")
    state_space = Mamba2(
        c.size("mamba_num_heads"),
        c.size("mamba_head_dim"),
        c.size("ssm_state_size", least=2),
        c.size(name["n_groups"]),
        c.size(name["conv_kernel"]),
        c.size(name["chunk_size"], least=2),
        bias=c.flag("mamba_proj_bias"),
        out_bias=c.flag("use_bias"),
        conv_bias=conv_bias,
    )
    routed = MoE(
        c.size("n_routed_experts"),
        c.size("num_experts_per_tok"),
        Plain(c.size("moe_intermediate_size"), activation=act),
        Plain(c.size("moe_shared_expert_intermediate_size"), bias, act),
        latent=c.optional("moe_latent_size"),
        latent_bias=bias,
    )
    parts = {
        "linear_attention": Layers(1, state_space, norms=("ssm",)),
        "full_attention": Layers(1, heads(c, rope=False), norms=("attention",)),
        "mlp": Layers(1, None, Plain(c.size("intermediate_size"), bias, act)),
        "moe": Layers(1, None, routed),
    }
    return model(c, decoder=grouped(parts[kind] for kind in kinds), norm=RMS)
