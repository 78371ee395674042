"""State spaces and their hybrids with attention: Mamba and Mamba-2, alone, in turns or side by side."""

from __future__ import annotations

from dataclasses import replace

from llmcx.huggingface import family
from llmcx.huggingface.common import RMS, activation, gated, head, heads, in_order, layer_count, layer_types, model
from llmcx.huggingface.config import ROTARY, ROUTING, SCALES, Config
from llmcx.huggingface.moe import no_mtp
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.mamba import Mamba
from llmcx.model.mixers.mamba2 import Mamba2
from llmcx.model.mixers.shared import SharedBlock
from llmcx.model.spec import FFN, Layers, ModelSpec, MoE, Plain

_NUMERICS = """
    residual_in_fp32 rescale_prenorm_residual mamba_ssm_cache_dtype use_mambapy use_associative_scan use_mamba_kernels
    time_step_floor time_step_init_scheme time_step_limit time_step_max time_step_min time_step_scale num_logits_to_keep
"""
NUMERICS = _NUMERICS.split()
"""Keys of state-space models that change no count."""


def dt_rank(c: Config, key: str) -> int:
    """A rank, or "auto": a sixteenth of the width, rounded up."""
    return -(-c.size("hidden_size") // 16) if c.get(key) == "auto" else c.size(key)


@family("mamba", "falcon_mamba")
def mamba(c: Config) -> ModelSpec:
    """Nothing but Mamba; Falcon Mamba normalises Δ, B and C without weights."""
    activation(c, "hidden_act")
    # Files that were converted keep their first names beside the ones that count.
    c.ignore(*NUMERICS, "use_falcon_mambapy", "mixer_rms_eps", "d_inner", "d_model", "n_layer", "ssm_cfg", "rms_norm")
    c.ignore("fused_add_norm", "pad_vocab_size_multiple", "expand")
    mixer = Mamba(
        c.optional("intermediate_size") or c.size("expand") * c.size("hidden_size"),
        c.size("state_size"),
        dt_rank(c, "time_step_rank"),
        c.size("conv_kernel"),
        bias=c.flag("use_bias"),
        conv_bias=c.flag("use_conv_bias"),
        inner_norms="plain" if c.model_type == "falcon_mamba" else None,
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
        gated_norm=norm,
    )
    if n_heads * mixer.head_dim != inner:
        raise c.wrong("mamba_n_heads", n_heads, f"such that the heads' width is {inner:,} together")
    return mixer


def two_parts(attention: bool, mixer: Mixer, ffn: FFN) -> Layers:
    """A layer with a norm before its mixer, named after it, and one before its feed-forward."""
    return Layers(1, mixer, ffn, norms=("attention" if attention else "ssm", "ffn"))


@family("bamba")
def bamba(c: Config) -> ModelSpec:
    """Mamba-2, with attention in the layers that attn_layer_indices lists."""
    c.ignore("z_loss_coefficient", "attn_rotary_emb")
    chosen = c.list("attn_layer_indices") or []
    attention = heads(c, bias=c.flag("attention_bias"))
    state_space = hybrid_mamba2(c, c.size("mamba_expand") * c.size("hidden_size"))
    ffn = gated(c, bias=c.flag("mlp_bias"))

    def make(kind: bool) -> Layers:
        return two_parts(kind, attention if kind else state_space, ffn)

    return model(c, decoder=in_order((i in chosen for i in range(layer_count(c))), make), norm=RMS)


@family("falcon_h1")
def falcon_h1(c: Config) -> ModelSpec:
    """Attention and Mamba-2 side by side in every layer, on the same input."""
    inner = c.optional("mamba_d_ssm") or c.size("mamba_expand") * c.size("hidden_size")
    c.ignore("mamba_expand", "mamba_norm_before_gate", "mamba_use_mlp", "lm_head_multiplier", "embedding_multiplier")
    c.ignore("mlp_multipliers", "key_multiplier", "attention_out_multiplier", "attention_in_multiplier", "ssm_multipliers")
    c.ignore("ssm_in_multiplier", "ssm_out_multiplier", "mlp_expansion_factor", "attn_layer_indices", *SCALES)
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
    n = layer_count(c)
    kinds = layer_types(c, "layer_types", ("linear_attention", "full_attention"), n) or ["linear_attention"] * n
    c.ignore(*SCALES, *ROUTING, "normalization_function")
    shared = gated(c, "shared_intermediate_size")
    routed = c.optional("num_local_experts", least=0)
    ffn = MoE(routed, c.size("num_experts_per_tok"), gated(c), shared) if routed else shared
    c.ignore("num_experts_per_tok", "intermediate_size")
    state_space = hybrid_mamba2(c, c.size("mamba_expand") * c.size("hidden_size"))
    attention = heads(c, bias=c.flag("attention_bias"), rope=c.get("position_embedding_type") == "rope")

    def make(kind: str) -> Layers:
        full = kind == "full_attention"
        return two_parts(full, attention if full else state_space, ffn)

    return model(c, decoder=in_order(kinds, make), norm=RMS)


@family("jamba")
def jamba(c: Config) -> ModelSpec:
    """Mamba with normalised Δ, B and C; attention and experts each once in a period of layers."""
    c.ignore(*NUMERICS, *ROUTING, "num_experts_per_tok", "calc_logits_for_entire_prompt")
    c.expect("mamba_inner_layernorms", True)
    turns = []
    for part in ("attn", "expert"):
        period, offset = c.size(f"{part}_layer_period"), c.size(f"{part}_layer_offset", least=0)
        if offset >= period:
            raise c.wrong(f"{part}_layer_offset", offset, f"less than {part}_layer_period, {period}")
        turns.append((period, offset))
    state_space = Mamba(
        c.size("mamba_expand") * c.size("hidden_size"),
        c.size("mamba_d_state"),
        dt_rank(c, "mamba_dt_rank"),
        c.size("mamba_d_conv"),
        bias=c.flag("mamba_proj_bias"),
        conv_bias=c.flag("mamba_conv_bias"),
        inner_norms="learned",
    )
    attention, ffn, experts = heads(c, rope=False), gated(c), c.size("num_experts")
    routed = MoE(experts, c.size("num_experts_per_tok"), ffn) if experts > 1 else ffn

    def make(kind: tuple[bool, bool]) -> Layers:
        full, sparse = kind
        return two_parts(full, attention if full else state_space, routed if sparse else ffn)

    (attends, at), (routes, to) = turns
    return model(c, decoder=in_order(((i % attends == at, i % routes == to) for i in range(layer_count(c))), make), norm=RMS)


@family("nemotron_h")
def nemotron_h(c: Config) -> ModelSpec:
    """One part a layer, with one norm: Mamba-2, attention without positions, a feed-forward or experts. Never tied."""
    letters = {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"}
    kinds = layer_types(c, "layers_block_type", (*letters.values(),))
    if kinds is None and c.has("hybrid_override_pattern"):
        pattern = c.text("hybrid_override_pattern")
        if not pattern or set(pattern) - set(letters):
            raise c.wrong("hybrid_override_pattern", pattern, "a string of M, E, * and -")
        kinds = [letters[letter] for letter in pattern]
    kinds = kinds or [*letters.values()]
    # Released files name these keys both ways; the older name wins.
    old = {"n_groups": "mamba_n_groups", "conv_kernel": "mamba_d_conv", "chunk_size": "mamba_chunk_size"}
    old |= {"use_conv_bias": "mamba_conv_bias"}
    name = {new: alias if alias in c.data else new for new, alias in old.items()}
    c.ignore("num_hidden_layers", "hybrid_override_pattern", "expand", "mamba_expand", "mamba_proj_bias", *NUMERICS, *old)
    c.ignore(*old.values())
    c.ignore("mamba_dt_min", "mamba_dt_max", "mamba_dt_limit", "mamba_dt_init_floor", "attention_bias", "sliding_window")
    c.ignore("n_shared_experts", "moe_shared_expert_overlap", "attention_head_dim", "time_step_rank", *ROUTING)
    no_mtp(c, "num_nextn_predict_layers", "mtp_layers_block_type", "mtp_hybrid_override_pattern", alike=False)  # of several kinds
    activation(c, "mamba_hidden_act")
    bias, act = c.flag("mlp_bias"), activation(c, "mlp_hidden_act")

    def make(kind: str) -> Layers:
        if kind == "full_attention":
            attention = heads(c, rope=False)
            c.expect("attention_head_dim", attention.head_dim)  # an older name, which transformers does not read
            return Layers(1, attention, norms=("attention",))
        if kind == "mlp":
            return Layers(1, None, Plain(c.size("intermediate_size"), bias, act))
        if kind == "moe":
            experts = MoE(
                c.size("n_routed_experts"),
                c.size("num_experts_per_tok"),
                Plain(c.size("moe_intermediate_size"), activation=act),
                Plain(c.size("moe_shared_expert_intermediate_size"), bias, act),
                latent=c.optional("moe_latent_size"),
                latent_bias=bias,
            )
            return Layers(1, None, experts)
        state_space = Mamba2(
            c.size("mamba_num_heads"),
            c.size("mamba_head_dim"),
            c.size("ssm_state_size", least=2),
            c.size(name["n_groups"]),
            c.size(name["conv_kernel"]),
            c.size(name["chunk_size"], least=2),
            bias=c.flag("use_bias"),
            conv_bias=c.flag(name["use_conv_bias"]),
        )
        return Layers(1, state_space, norms=("ssm",))

    # A key of a part that no layer has costs nothing.
    c.ignore("intermediate_size", "head_dim", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "use_bias")
    c.ignore("moe_shared_expert_intermediate_size", "moe_latent_size", "ssm_state_size", "mamba_num_heads", "mamba_head_dim")
    c.ignore("num_attention_heads", "num_key_value_heads")
    return model(c, decoder=in_order(kinds, make), norm=RMS, head=head(c, ties=False))


@family("zamba")
def zamba(c: Config) -> ModelSpec:
    """Mamba in several scans everywhere; in hybrid layers, one transformer block that they share adds to its input."""
    c.expect("tie_word_embeddings", True)  # false would untie the shared block too
    d, n = c.size("hidden_size"), layer_count(c)
    kinds = layer_types(c, "layers_block_type", ("linear_attention", "hybrid"), n)
    period, offset = c.size("attn_layer_period"), c.size("attn_layer_offset", least=0)
    if kinds is None:
        if n < 3:
            raise c.wrong("num_hidden_layers", n, "at least 3, unless layers_block_type lists the layers")
        hybrid = [False, False, True, *(i % period == offset for i in range(n - 3))]
        kinds = ["hybrid" if one else "linear_attention" for one in hybrid]
    c.ignore("hidden_mamba_act", *NUMERICS, *ROTARY)
    c.expect("attention_hidden_size", None, 2 * d)
    inner, heads = c.size("mamba_expand") * d, c.size("n_mamba_heads")
    if inner % heads:
        raise c.wrong("n_mamba_heads", heads, f"a divisor of mamba_expand · hidden_size, {inner:,}")
    bias, rank = c.flag("mamba_proj_bias"), dt_rank(c, "mamba_dt_rank")
    sizes = (inner, c.size("mamba_d_state"), rank, c.size("mamba_d_conv"))
    state_space = Mamba(*sizes, bias=bias, conv_bias=c.flag("mamba_conv_bias"), n_heads=heads)
    n_heads = c.size("num_attention_heads")
    block = SharedBlock(
        n_heads,
        c.optional("num_key_value_heads") or n_heads,
        c.optional("attention_head_dim") or 2 * d // n_heads,
        c.size("intermediate_size"),
        None,
        activation=activation(c, "hidden_act"),
    )
    first = kinds.index("hybrid") if "hybrid" in kinds else n

    def make(role: str) -> Layers:
        beside = replace(block, reused=role == "reused") if role else None
        return Layers(1, state_space, beside=beside, norms=("ssm",))

    roles = ("" if kind != "hybrid" else "new" if i == first else "reused" for i, kind in enumerate(kinds))
    return model(c, decoder=in_order(roles, make), norm=RMS)


@family("zamba2")
def zamba2(c: Config) -> ModelSpec:
    """Mamba-2 everywhere; in hybrid layers, one of num_mem_blocks shared transformer blocks adds to its input."""
    c.expect("tie_word_embeddings", True)  # false would untie the shared blocks too
    d, n = c.size("hidden_size"), layer_count(c)
    kinds = layer_types(c, "layers_block_type", ("linear_attention", "hybrid"), n)
    if kinds is None:
        hybrids = {*range(6, 43, 6), 47, 51}
        kinds = ["hybrid" if i in hybrids else "linear_attention" for i in range(54)]
        if n != 54:
            raise c.wrong("num_hidden_layers", n, "54, unless layers_block_type lists the layers")
    c.ignore("use_conv_bias", "use_mem_eff_path", "kv_channels", "num_query_groups", "ffn_hidden_size", "lora_rank", "state_size")
    c.ignore("use_shared_mlp_adapter", *NUMERICS, *ROTARY)
    c.expect("attention_hidden_size", 2 * d)
    hybrid = [i for i, kind in enumerate(kinds) if kind == "hybrid"]
    c.expect("hybrid_layer_ids", hybrid)
    inner, ssm_heads, bias = c.size("mamba_expand") * d, c.size("n_mamba_heads"), c.flag("add_bias_linear")
    state_space = Mamba2(
        ssm_heads,
        c.optional("mamba_headdim") or inner // ssm_heads,
        c.size("mamba_d_state", least=2),
        c.size("mamba_ngroups"),
        c.size("mamba_d_conv"),
        c.size("chunk_size", least=2),
        bias=bias,
    )
    if ssm_heads * state_space.head_dim != inner:
        raise c.wrong("n_mamba_heads", ssm_heads, f"a divisor of mamba_expand · hidden_size, {inner:,}")
    n_heads = c.size("num_attention_heads")
    block = SharedBlock(
        n_heads,
        c.optional("num_key_value_heads") or n_heads,
        c.optional("attention_head_dim") or 2 * d // n_heads,
        c.optional("intermediate_size") or 4 * d,
        c.size("adapter_rank"),
        bias,
        activation(c, "hidden_act"),
        c.flag("use_mem_rope"),
        c.flag("use_shared_attention_adapter"),
    )
    if block.attention_adapters and not block.n_heads * block.head_dim == block.n_kv_heads * block.head_dim == 2 * d:
        raise c.wrong("use_shared_attention_adapter", True, "false unless queries, keys and values are 2 · hidden_size wide")
    blocks = c.size("num_mem_blocks")
    roles = {layer: "new" if i < blocks else "reused" for i, layer in enumerate(hybrid)}

    def make(role: str) -> Layers:
        beside = replace(block, reused=role == "reused") if role else None
        return Layers(1, state_space, beside=beside, norms=("ssm",))

    spec = model(c, decoder=in_order((roles.get(i, "") for i in range(n)), make), norm=RMS)
    return replace(spec, context=16384) if c.flag("use_long_context") else spec
