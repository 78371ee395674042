"""Encoder-decoders: T5 and its kin, BART and its kin, Whisper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import ACTIVATIONS, LAYER, RMS, activation, head, in_order, layer_count, model
from llmcx.huggingface.config import ROUTING, Config
from llmcx.huggingface.encoder import window_list
from llmcx.huggingface.labels import TOKEN, asked, encoder_labels, first_named, known_heads
from llmcx.huggingface.towers import stem
from llmcx.model.mixers.blocks import BigBird, LongformerBlocks
from llmcx.model.mixers.longt5 import LongT5Blocks
from llmcx.model.spec import FFN, Activation, Attention, Embedding, Gated, Head, Layers, ModelSpec, MoE, Plain
from llmcx.model.tower import Table, Tower

CONDITIONAL = ("ForConditionalGeneration",)
OLD_T5 = ("T5WithLMHeadModel",)  # what T5ForConditionalGeneration was called in the first released files


def t5_ffn(c: Config) -> Plain | Gated:
    """relu, gelu, gated-gelu (the tanh form), gated-silu; is_gated_act and dense_act_fn overrule it where a file has them."""
    said = c.text("feed_forward_proj")
    gate, _, act = said.rpartition("-")
    if gate not in ("", "gated") or act not in ACTIVATIONS:
        raise c.wrong("feed_forward_proj", said, "an activation, or gated- and an activation")
    kind: Activation = "gelu_new" if said == "gated-gelu" else ACTIVATIONS[act]
    if "dense_act_fn" in c.data:
        kind = activation(c, "dense_act_fn")
    part = Gated if c.flag("is_gated_act", bool(gate)) else Plain
    return part(c.size("d_ff"), activation=kind)


def t5_stacks(c: Config, ffn: Callable[[str, int], list[FFN]], every: bool) -> dict[str, tuple[Layers, ...]]:
    """Both stacks; the relative position table is in the first layer of each, or (``every``) in every layer.

    ``ffn(stack, n)`` is the feed-forward of each of the stack's n layers.
    """
    plain = Attention(c.size("num_heads"), head_dim=c.size("d_kv"), softmax_fp32=False)
    first = replace(plain, relative_buckets=c.size("relative_attention_num_buckets"))

    def stack(name: str, n: int) -> tuple[Layers, ...]:
        cross = plain if name == "decoder" else None
        kinds = [(every or i == 0, part) for i, part in enumerate(ffn(name, n))]
        return in_order(kinds, lambda kind: Layers(1, first if kind[0] else plain, kind[1], cross))

    return {name: stack(name, n) for name, n in t5_depth(c).items()}


def t5_depth(c: Config) -> dict[str, int]:
    """The layers of both stacks; the decoder's default to the encoder's."""
    if "num_layers" in c.late:
        raise c.wrong("num_hidden_layers", c.size("num_layers"), "called num_layers: the decoder's depth follows from that name")
    n = layer_count(c, "num_layers")
    return {"encoder": n, "decoder": n if c.optional("num_decoder_layers") is None else layer_count(c, "num_decoder_layers")}


def t5_outside(c: Config, stacks: dict[str, tuple[Layers, ...]], built: Head | None, tables: int = 1) -> ModelSpec:
    """Both stacks, or the encoder alone."""
    parts: dict[str, Any] = {**stacks, "head": built, "embedding": Embedding(c.size("vocab_size"), token_tables=tables)}
    parts["labels"] = encoder_labels(c, dense="tanh")
    if encoder_alone(c):
        parts |= {"decoder": (), "head": None, "embedding": Embedding(c.size("vocab_size"), token_tables=min(tables, 2))}
    return model(c, d_model="d_model", context=None, norm=RMS, **parts)


def encoder_alone(c: Config) -> bool:
    """Whether `architectures` asks for the encoder without the decoder: T5EncoderModel, T5ForTokenClassification."""
    return first_named(c).endswith("EncoderModel") or asked(c) == TOKEN


def t5_ignore(c: Config) -> None:
    c.ignore("relative_attention_max_distance", "dropout_rate", "n_positions", "is_decoder", "tokenizer_class", "output_past")
    c.ignore("scale_decoder_outputs", "layer_norm_eps", "num_decoder_heads", "scalable_attention")


def t5_ties(c: Config) -> None:
    """Always, whatever the file says."""
    c.ignore("tie_word_embeddings")
    if c.data.get("tie_word_embeddings") is False:
        c.notes.append(
            "tie_word_embeddings=false: transformers builds T5 tied all the same; the checkpoint has a head of its own"
        )


@family("t5", "mt5", "umt5")
def t5(c: Config) -> ModelSpec:
    """RMS norms, no biases, heads of d_kv; always tied, whatever the key says. UMT5 has a position table in every layer."""
    t5_ignore(c)
    t5_ties(c)
    part = t5_ffn(c)
    stacks = t5_stacks(c, lambda _, n: [part] * n, c.model_type == "umt5")
    return t5_outside(c, stacks, None if encoder_alone(c) else head(c, (*CONDITIONAL, *OLD_T5)) and Head())


@family("switch_transformers")
def switch(c: Config) -> ModelSpec:
    """T5 with experts in evenly spaced layers, one per token."""
    t5_ignore(c)
    c.ignore(*ROUTING, "add_router_probs", "router_ignore_padding_tokens", "router_type", "capacity_factor")
    c.notes.append(f"every token is counted: none is dropped past expert_capacity, {c.size('expert_capacity')} a sequence")
    c.ignore("feed_forward_proj", "is_gated_act", "batch_prioritized_routing", "num_selected_experts")
    c.expect("add_cross_attention", False)
    dense = Plain(c.size("d_ff"), activation=activation(c, "dense_act_fn"))
    sparse = MoE(c.size("num_experts"), 1, dense, router_bias=c.flag("router_bias"))

    def ffn(stack: str, n: int) -> list[FFN]:
        wanted = c.size(f"num_sparse_{stack}_layers", 0)
        stated = c.optional(f"{stack}_sparse_step", 0)
        step = stated if stated is not None else n // wanted if wanted else n  # a step of 0 means no experts
        return [sparse if step == 1 or (step and i % step == 1) else dense for i in range(n)]

    tables = 1 if c.flag("tie_word_embeddings", True) else 3  # untied, each stack has a token table of its own too
    return t5_outside(c, t5_stacks(c, ffn, False), None if encoder_alone(c) else head(c, CONDITIONAL), tables)


OF_BART: dict[str, tuple[int | None, bool, bool]] = {
    "bart": (2, True, False),
    "mvp": (2, True, False),
    "plbart": (2, True, False),
    "mbart": (2, True, True),
    "blenderbot": (0, False, True),
    "blenderbot-small": (0, True, False),
    "pegasus": (0, False, True),
    "marian": (0, False, False),
    "m2m_100": (None, False, True),
    "nllb-moe": (None, False, True),
    "led": (0, True, False),
    "bigbird_pegasus": (0, False, True),
}
"""Of each: rows of positions beyond those that the file states (None: no such table), whether the embeddings are normalised, and
whether the last layer's output is.
"""


@family(*OF_BART)
def bart(c: Config) -> ModelSpec:
    """Biases everywhere; a position table per stack, learned or sinusoids that Pegasus and Marian hold as parameters.

    BartForCausalLM and the like are the decoder alone, with a cross-attention that has nothing to attend to.
    """
    c.ignore("scale_embedding", "is_decoder", "encoder_layerdrop", "decoder_layerdrop", "add_bias_logits", "add_final_layer_norm")
    c.ignore("normalize_before", "normalize_embedding", "static_position_embeddings", "force_bos_token_to_be_generated")
    c.ignore("extra_pos_embeddings", "num_hidden_layers", "max_length", "classif_dropout", "prompt_length", "prompt_mid_dim")
    c.expect("use_prompt", False)
    if c.model_type == "marian":
        c.expect("share_encoder_decoder_embeddings", True)
        c.expect("decoder_vocab_size", None, c.size("vocab_size"))
    alone = first_named(c).endswith("ForCausalLM")
    if alone:
        c.ignore("attention_type", "block_size", "num_random_blocks")
        c.ignore("encoder_layers", "encoder_attention_heads", "encoder_ffn_dim")
    spare, normed, final = OF_BART[c.model_type]
    table, ends = _positions(c, spare), ("ForCausalLM",) if "ForCausalLM" in known_heads(c) else ()
    windows = window_list(c, "encoder_layers") if c.model_type == "led" else []
    tables = 1 if c.flag("tie_word_embeddings", True) or alone else 3
    return model(
        c,
        d_model="d_model",
        context=None if c.model_type == "led" else "max_position_embeddings",
        embedding=Embedding(c.size("vocab_size"), normed=normed, per_stack=True, token_tables=tables, **table),
        encoder=() if alone else bart_stack(c, "encoder", windows),
        decoder=bart_stack(c, "decoder"),
        norm=LAYER,
        final_norm=final,
        head=head(c, (*CONDITIONAL, "MTModel", *ends), ties=not (alone and c.model_type == "bigbird_pegasus")),
        labels=encoder_labels(c, dense="tanh"),
        **(_padding(c) if c.model_type == "bigbird_pegasus" and not alone else {"pad_to": max(windows, default=None)}),
    )


def _positions(c: Config, spare: int | None) -> dict[str, Any]:
    """The tables of positions: LED's stacks have one each of another size."""
    c.ignore("max_position_embeddings")
    if c.model_type == "led":
        return {
            "positions": c.size("max_decoder_position_embeddings"),
            "source_positions": c.size("max_encoder_position_embeddings"),
        }
    return {} if spare is None else {"positions": c.size("max_position_embeddings") + spare}


def _bird(c: Config) -> BigBird | None:
    """The blocks of BigBird's encoder; None where it attends in full."""
    sparse = c.text("attention_type", ("block_sparse", "original_full")) == "block_sparse"
    # Blocks of one token are multiplied without a matmul.
    block, random, bias = c.size("block_size", 2), c.size("num_random_blocks"), c.flag("use_bias")
    return BigBird(c.size("encoder_attention_heads"), block, random, bias, bias) if sparse else None


def _padding(c: Config) -> dict[str, Any]:
    """To what BigBird's encoder pads."""
    bird = _bird(c)
    return {} if bird is None else {"pad_to": bird.block, "pad_above": bird.full_up_to(bird.block, bird.random)}


def bart_stack(c: Config, name: str, windows: Sequence[int] = ()) -> tuple[Layers, ...]:
    """One stack's layers: LED's encoder has Longformer's ``windows``, NLLB's mixture experts in every so many layers."""
    heads, n = c.size(f"{name}_attention_heads"), c.size(f"{name}_layers")
    bird = c.model_type == "bigbird_pegasus"
    mixer = Attention(heads, bias=c.flag("use_bias") if bird else True, softmax_fp32=False)
    ffn = Plain(c.size(f"{name}_ffn_dim"), True, activation(c, "activation_function"))
    one = Layers(1, mixer, ffn, mixer if name == "decoder" else None)
    if bird and name == "encoder":
        return (replace(one, repeat=n, mixer=_bird(c) or mixer),)
    if windows:
        return in_order(windows, lambda window: replace(one, mixer=LongformerBlocks(heads, window)))
    step = c.size(f"{name}_sparse_step", 0) if c.model_type == "nllb-moe" else 0
    if not step:
        return (replace(one, repeat=n),)
    sparse = replace(one, ffn=_nllb(c, ffn))
    return in_order(((i + 1) % step == 0 for i in range(layer_count(c, f"{name}_layers"))), lambda has: sparse if has else one)


def _nllb(c: Config, expert: Plain) -> MoE:
    """Two experts a token; transformers' code multiplies each token with all of them, whatever the router says."""
    c.ignore(*ROUTING, "expert_capacity", "router_ignore_padding_tokens", "second_expert_policy", "batch_prioritized_routing")
    c.ignore("normalize_router_prob_before_dropping", "moe_eval_capacity_token_fraction", "moe_token_dropout")
    return MoE(c.size("num_experts", 2), 2, expert, router_bias=c.flag("router_bias"), every_expert=True)


@family("longt5")
def longt5(c: Config) -> ModelSpec:
    """T5 whose encoder attends within blocks, and to sums of the whole by option; always tied, as T5."""
    t5_ignore(c)
    t5_ties(c)
    c.expect("encoder_attention_type", "local", "transient-global")
    part, heads, dim = t5_ffn(c), c.size("num_heads"), c.size("d_kv")
    summary = c.size("global_block_size") if c.get("encoder_attention_type") == "transient-global" else None
    c.ignore("global_block_size")
    blocks = LongT5Blocks(heads, dim, c.size("local_radius"), summary)
    first = replace(blocks, buckets=c.size("relative_attention_num_buckets"))
    stacks = t5_stacks(c, lambda _, n: [part] * n, False)
    kinds = (i == 0 for i in range(t5_depth(c)["encoder"]))
    stacks["encoder"] = in_order(kinds, lambda is_first: Layers(1, first if is_first else blocks, part))
    return t5_outside(c, stacks, None if encoder_alone(c) else head(c, CONDITIONAL) and Head())


@family("whisper")
def whisper(c: Config) -> ModelSpec:
    """BART's layers without biases on the keys, normed before their parts; what is heard comes through two convolutions, which
    are a tower of their own, and positions are a table in each stack. WhisperForCausalLM is the decoder alone.
    """
    alone = first_named(c).endswith("ForCausalLM")
    if alone:
        c.ignore("encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins", "max_source_positions")
    c.ignore("scale_embedding", "is_decoder", "encoder_layerdrop", "decoder_layerdrop", "max_length", "num_hidden_layers")
    c.ignore("use_weighted_layer_sum", "apply_spec_augment", "classifier_proj_size", "median_filter_width", "alignment_heads")
    c.ignore(*(key for key in c.data if key.startswith(("mask_time_", "mask_feature_"))), "max_initial_timestamp_index")
    act, d = activation(c, "activation_function"), c.size("d_model")

    def stack(name: str) -> tuple[Layers, ...]:
        mixer = Attention(c.size(f"{name}_attention_heads"), bias=True, k_bias=False, softmax_fp32=False)
        ffn = Plain(c.size(f"{name}_ffn_dim"), True, act)
        return (Layers(c.size(f"{name}_layers"), mixer, ffn, mixer if name == "decoder" else None),)

    hearing: dict[str, Any] = {}
    if not alone:
        pieces = (*stem(d, c.size("num_mel_bins")), Table("positions", c.size("max_source_positions"), d))
        hearing = {"encoder": stack("encoder"), "towers": (Tower("audio", d, pieces, fed="audio", per=2),)}
    return model(
        c,
        d_model="d_model",
        context="max_target_positions",
        embedding=Embedding(c.size("vocab_size"), c.size("max_target_positions")),
        decoder=stack("decoder"),
        norm=LAYER,
        head=head(c, (*CONDITIONAL, "ForCausalLM")),
        **hearing,
    )


SEAMLESS = (
    *("vocab_size", "hidden_size", "max_position_embeddings", "activation_function", "tie_word_embeddings"),
    *(f"{stack}_{leaf}" for stack in ("encoder", "decoder") for leaf in ("layers", "attention_heads", "ffn_dim")),
)
"""What SeamlessM4TForTextToText is made of; what else the file says is of the parts that hear and speak."""


@family("seamless_m4t", "seamless_m4t_v2")
def seamless(c: Config) -> ModelSpec:
    """From text to text, as the class of that name has it: M2M-100's stacks."""
    if not first_named(c).endswith("ForTextToText"):
        c.notes.append(f"the part of a {c.model_type} from text to text: those that hear and speak are not counted")
    c.ignore(*(key for key in c.defaults if key not in SEAMLESS), "num_hidden_layers")
    named = ("ForTextToText", "ForSpeechToText", "ForTextToSpeech", "ForSpeechToSpeech", "SeamlessM4TModel", "SeamlessM4Tv2Model")
    return model(
        c,
        embedding=Embedding(c.size("vocab_size"), token_tables=1 if c.flag("tie_word_embeddings", True) else 3),
        encoder=bart_stack(c, "encoder"),
        decoder=bart_stack(c, "decoder"),
        norm=LAYER,
        head=head(c, named),
    )
