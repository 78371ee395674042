"""Types of text that share little with others."""

from __future__ import annotations

from dataclasses import replace

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    LAYER,
    RMS,
    WIDE_RMS,
    activation,
    gated,
    head,
    heads,
    in_order,
    layer_count,
    layer_types,
    model,
    window,
)
from llmcx.huggingface.config import ROUTING, SUMMARY, Config
from llmcx.huggingface.encdec import CONDITIONAL
from llmcx.huggingface.labels import ANSWER, CHOICE, SEQUENCE, asked, encoder_labels, first_named
from llmcx.model.extras import Idle, ScaledResiduals, Tables
from llmcx.model.mixers.einsum import Distant, Prophet, Summed
from llmcx.model.mixers.funnel import FunnelLayer
from llmcx.model.mixers.further import Mingled
from llmcx.model.mixers.mlstm import MLSTM
from llmcx.model.spec import Embedding, Gated, Head, Layers, ModelSpec, MoE, Norm, Plain


@family("xlnet")
def xlnet(c: Config) -> ModelSpec:
    """Attention by distance, without biases, seen from both sides; norms after the parts; a vector for what is masked, which a
    run without masked places does not meet.
    """
    c.expect("attn_type", "bi")
    c.ignore("mem_len", "reuse_len", "use_mems_eval", "use_mems_train", "bi_data", "clamp_len", "same_length", "untie_r")
    c.ignore("start_n_top", "end_n_top", "ff_activation", "summary_last_dropout", *SUMMARY)
    d, n = c.size("d_model"), c.size("n_head")
    if d % n:
        raise c.wrong("n_head", n, f"a divisor of d_model, {d}")
    c.expect("d_head", None, d // n)
    if asked(c) == ANSWER and not first_named(c).endswith("Simple"):
        raise c.wrong("architectures", first_named(c), "another class: its head is of several parts")
    if asked(c) in (SEQUENCE, CHOICE) and not c.flag("summary_use_proj", True):
        raise c.wrong("summary_use_proj", False, "true")
    built = head(c, ("LMHeadModel",), bias=True)
    ffn = Plain(c.size("d_inner"), True, activation(c, "ff_activation"))
    return model(
        c,
        d_model=d,
        context=None,
        encoder=(Layers(c.size("n_layer"), Distant(n, softmax_fp32=False), ffn),),
        norm=LAYER,
        final_norm=False,
        head=built and replace(built, bias=True),
        labels=encoder_labels(c, dense="tanh"),
        extras=(Idle(d),),
    )


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


@family("prophetnet")
def prophetnet(c: Config) -> ModelSpec:
    """Norms after the parts; a decoder in streams, of which all but the first score tokens ahead. ProphetNetForCausalLM is the
    decoder alone, whose cross-attention has nothing to attend to.
    """
    c.ignore("relative_max_distance", "disable_ngram_loss", "eps", "is_decoder", "init_std")
    alone = first_named(c).endswith("ForCausalLM")
    if alone:
        c.ignore("num_encoder_layers", "num_encoder_attention_heads", "encoder_ffn_dim")
    else:
        c.expect("add_cross_attention", True)
    act, ahead, d = activation(c, "activation_function"), c.size("ngram"), c.size("hidden_size")
    for n in [c.size("num_decoder_attention_heads")] + ([] if alone else [c.size("num_encoder_attention_heads")]):
        if d % n:
            raise c.wrong("hidden_size", d, f"a multiple of the heads, {n}")
    layer = Prophet(
        c.size("num_decoder_attention_heads"),
        c.size("decoder_ffn_dim"),
        ahead,
        c.size("num_buckets"),
        act,
        c.flag("add_cross_attention", True),
    )
    encoder: tuple[Layers, ...] = ()
    if not alone:
        mixer = Summed(c.size("num_encoder_attention_heads"), bias=True, softmax_fp32=False)
        encoder = (Layers(c.size("num_encoder_layers"), mixer, Plain(c.size("encoder_ffn_dim"), True, act)),)
    built = head(c, (*CONDITIONAL, "ForCausalLM"))
    tables = 1 if c.flag("tie_word_embeddings", True) else 2 if alone else 3
    rows = c.size("max_position_embeddings")
    return model(
        c,
        embedding=Embedding(c.size("vocab_size"), rows, normed=True, per_stack=True, token_tables=tables),
        encoder=encoder,
        decoder=(Layers(c.size("num_decoder_layers"), layer, norms=()),),
        norm=LAYER,
        final_norm=False,
        head=built and replace(built, ahead=ahead),
        extras=(Tables((ahead,)),),
    )


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


def _counts(c: Config, key: str, least: int = 1) -> list[int]:
    """A list of whole numbers, of at most 10,000 layers together."""
    given = c.list(key)
    if not given or not all(isinstance(n, int) and not isinstance(n, bool) and least <= n <= 10_000 for n in given):
        raise c.wrong(key, given, "a list of whole numbers")
    if len(given) > 50 or sum(given) > 10_000:
        raise c.wrong(key, given, "at most 50 blocks, and 10,000 layers")
    return given


@family("funnel")
def funnel(c: Config) -> ModelSpec:
    """Blocks of layers with half as many tokens each as the one before, and a few layers at the end with all of them, which what
    is said of a whole sequence goes without.
    """
    c.ignore("hidden_dropout", "pooling_type", "initializer_std")
    sizes = _counts(c, "block_sizes")
    repeats = [1] * len(sizes) if c.get("block_repeats") is None else _counts(c, "block_repeats")
    if len(repeats) != len(sizes) or sum(n * again for n, again in zip(sizes, repeats, strict=True)) > 10_000:
        raise c.wrong("block_repeats", repeats, f"a list of {len(sizes)}, of at most 10,000 layers")
    layer = FunnelLayer(
        c.size("n_head"),
        c.size("d_head"),
        c.size("d_inner"),
        keys_too=not c.flag("pool_q_only"),
        factorized=c.text("attention_type", ("relative_shift", "factorized")) == "factorized",
        apart=c.flag("separate_cls"),
        cut=c.flag("truncate_seq"),
        activation=activation(c, "hidden_act"),
    )
    kinds = [
        (block, bool(block) and i == 0 and again == 0, again > 0)
        for block, (many, times) in enumerate(zip(sizes, repeats, strict=True))
        for i in range(many)
        for again in range(times)
    ]
    base = first_named(c) == "FunnelBaseModel" or asked(c) in (SEQUENCE, CHOICE)
    kinds += [] if base else [(0, False, False)] * c.size("num_decoder_layers")
    c.ignore("num_decoder_layers")

    def make(kind: tuple[int, bool, bool]) -> Layers:
        """A layer that runs again has the weights of its first run."""
        return Layers(1, replace(layer, block=kind[0], pools=kind[1]), norms=(), reused=kind[2])

    built: Head | None = None
    if first_named(c).endswith("ForPreTraining"):
        c.ignore("tie_word_embeddings")
        built = Head(discriminator=True)
    elif first_named(c) != "FunnelBaseModel":
        built = head(c, ("ForMaskedLM",), bias=True)
    else:
        c.ignore("tie_word_embeddings")
    return model(
        c,
        d_model="d_model",
        context=None,
        embedding=Embedding(c.size("vocab_size"), normed=True),
        encoder=in_order(kinds, make),
        norm=LAYER,
        final_norm=False,
        head=built,
        labels=encoder_labels(c, dense="tanh"),
    )


@family("moshi")
def moshi(c: Config) -> ModelSpec:
    """LLaMA with a spare row of its table, as MoshiForCausalLM has it: the part that thinks in text."""
    if not first_named(c).endswith(("ForCausalLM", "MoshiModel")):
        c.notes.append("the text model of a moshi: its codecs and the decoder of audio are not counted")
    c.ignore("num_codebooks", "audio_vocab_size", "audio_encoder_config", "depth_decoder_config", "sliding_window")
    wide = c.size("ffn_dim", 2)
    if wide % 2:
        raise c.wrong("ffn_dim", wide, "even: half of it is the gate")
    d, n = c.size("hidden_size"), c.size("num_attention_heads")
    if d % n:
        raise c.wrong("num_attention_heads", n, f"a divisor of hidden_size, {d}")
    layer = Layers(c.size("num_hidden_layers"), heads(c), Gated(wide // 2, activation=activation(c, "hidden_act")))
    built = head(c, ("ForCausalLM", "ForConditionalGeneration"), ties=False)
    return model(c, embedding=Embedding(c.size("vocab_size"), spare=1), decoder=(layer,), norm=WIDE_RMS, head=built)
