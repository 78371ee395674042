"""Encoders: BERT and its kin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import LAYER, activation, head, in_order, layer_count, model, windowed_layers
from llmcx.huggingface.config import ROTARY, SUMMARY, Config
from llmcx.huggingface.labels import ANSWER, CHOICE, SEQUENCE, asked, encoder_labels, first_named, known_heads, label_count
from llmcx.model.mixers.blocks import BigBird, LongformerBlocks
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Norm, Plain, Sliding

MASKED = ("ForMaskedLM", "LMHeadModel")
# What is done to the one token that speaks for its sequence: BERT's pooler, for one.
ONCE: dict[str, Any] = {"electra": "gelu", "distilbert": "relu"}
ONE_BIAS = ("electra", "convbert", "distilbert", "esm", "gte")  # in an untied head: the matrix's own, or one beside it


def outside(c: Config, layers: tuple[Layers, ...], width: int | None = None, **more: Any) -> ModelSpec:
    """BERT's outside: tables with a norm, and the masked-LM head with its transform, or a pooler; ``width`` factorises."""
    c.expect("add_cross_attention", False)
    c.expect("is_decoder", False)
    if "position_embedding_type" not in c.read:
        c.expect("position_embedding_type", "absolute")
    parts: dict[str, Any] = {"norm": LAYER, "final_norm": False, **more}
    if "embedding" not in parts:
        types = c.size("type_vocab_size") if c.has("type_vocab_size") else None
        parts["embedding"] = Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), types, width, normed=True)
    if "labels" not in parts:
        parts["labels"] = encoder_labels(c, dense=ONCE.get(c.model_type, "tanh"))
    if "head" not in parts:
        built = head(c, (*MASKED, *(end for end in known_heads(c) if end in ("ForCausalLM", "ForPreTraining"))))
        paired = built is not None and first_named(c).endswith("ForPreTraining")
        pair = (label_count(c) if c.model_type == "albert" else 2) if paired else 0
        second = built is not None and not built.tied and c.model_type not in ONE_BIAS
        parts["head"] = built and Head(built.tied, True, True, second_bias=second, pair=pair)
        parts.setdefault("pooler", paired or (built is None and not asked(c)))
    return model(c, encoder=layers, **parts)


def layers_of(c: Config, mixer: Any = None) -> Layers:
    """BERT's layers: biases everywhere, norms after each part."""
    mixer = mixer or Attention(c.size("num_attention_heads"), bias=True, softmax_fp32=False)
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    return Layers(c.size("num_hidden_layers"), mixer, ffn)


@family("bert", "roberta", "xlm-roberta", "camembert")
def bert(c: Config) -> ModelSpec:
    """Token, position and segment tables with a norm; norms after each part; a masked-LM head with a transform, or a pooler."""
    c.ignore("directionality", "pooler_fc_size", "pooler_num_attention_heads")
    c.ignore("pooler_num_fc_layers", "pooler_size_per_head", "pooler_type")
    return outside(c, (layers_of(c),))


@family("electra")
def electra(c: Config) -> ModelSpec:
    """BERT with a factorised embedding and without a pooler, as generator or as discriminator."""
    c.ignore("generator_size", *SUMMARY)
    width = c.size("embedding_size")
    parts: dict[str, Any] = {"width": None if width == c.size("hidden_size") else width, "pooler": False}
    if first_named(c) == "ElectraForPreTraining":
        c.ignore("tie_word_embeddings")
        return outside(c, (layers_of(c),), head=Head(tied=True, discriminator=True), **parts)
    return outside(c, (layers_of(c),), **parts)


@family("distilbert")
def distilbert(c: Config) -> ModelSpec:
    """BERT without segments and pooler."""
    c.ignore("sinusoidal_pos_embds", "qa_dropout", "seq_classif_dropout", "tie_weights_")
    ffn = Plain(c.size("hidden_dim"), True, activation(c, "activation"))
    layers = Layers(c.size("n_layers"), Attention(c.size("n_heads"), bias=True, softmax_fp32=False), ffn)
    return outside(c, (layers,), d_model="dim", pooler=False)


@family("albert")
def albert(c: Config) -> ModelSpec:
    """BERT with a factorised embedding, whose layers run with the weights of num_hidden_groups."""
    c.ignore("classifier_dropout_prob", "net_structure_type", "gap_size", "num_memory_blocks", "down_scale_factor")
    c.ignore("layers_to_keep")
    n, groups, inner = layer_count(c), c.size("num_hidden_groups"), c.size("inner_group_num")
    if groups > n:
        raise c.wrong("num_hidden_groups", groups, f"at most num_hidden_layers, {n}: a group that never runs")
    one, group = layers_of(c), [int(i / (n / groups)) for i in range(n)]  # in floats, as transformers divides
    again = [i > 0 and group[i] == group[i - 1] for i in range(n)]
    return outside(c, in_order(again, lambda reused: replace(one, repeat=inner, reused=reused)), c.size("embedding_size"))


def window_list(c: Config, layers: str) -> list[int]:
    """Longformer's window of each layer."""
    windows, n = c.get("attention_window"), layer_count(c, layers)
    if isinstance(windows, int) and not isinstance(windows, bool):
        windows = [windows] * n
    whole = isinstance(windows, list) and all(isinstance(w, int) and not isinstance(w, bool) and 4 <= w < 10**9 for w in windows)
    if not whole or len(windows) != n or any(w % 2 for w in windows):
        raise c.wrong("attention_window", c.get("attention_window"), "an even number from 4, or one for each layer")
    return list(windows)


@family("longformer")
def longformer(c: Config) -> ModelSpec:
    """BERT's layers with sliding chunks of attention_window, and projections of their own for global tokens."""
    c.ignore("onnx_export", "ignore_attention_mask", "attention_mode")
    windows = window_list(c, "num_hidden_layers")
    if asked(c) in (ANSWER, CHOICE):
        raise c.wrong("architectures", first_named(c), "another class: here the length of the question says what attends to all")
    heads, marked = c.size("num_attention_heads"), int(asked(c) == SEQUENCE)
    layers = in_order(windows, lambda window: replace(layers_of(c, LongformerBlocks(heads, window, marked)), repeat=1))
    return outside(c, layers, pad_to=max(windows))


@family("big_bird")
def big_bird(c: Config) -> ModelSpec:
    """BERT with blocks: a window, two global ones and random ones; a pooler even beside the masked-LM head."""
    c.ignore("rescale_embeddings")
    heads, bias = c.size("num_attention_heads"), c.flag("use_bias")
    # Blocks of one token are multiplied without a matmul.
    block, random = c.size("block_size", 2), c.size("num_random_blocks")
    sparse = c.text("attention_type", ("block_sparse", "original_full")) == "block_sparse"
    mixer = BigBird(heads, block, random, bias) if sparse else Attention(heads, bias=bias, out_bias=True, softmax_fp32=False)
    padding = {"pad_to": block, "pad_above": BigBird.full_up_to(block, random)} if sparse else {}
    layers = layers_of(c, mixer)
    found = encoder_labels(c, dense=activation(c, "hidden_act") if asked(c) == SEQUENCE else "tanh")
    if found and asked(c) == ANSWER and isinstance(layers.ffn, Plain):
        found = replace(found, ffn=layers.ffn, normed=True)
    pooler = asked(c) not in (ANSWER, CHOICE)
    return outside(c, (layers,), pooler=pooler, labels=found, **padding)


@family("modernbert", "modernbert-decoder")
def modernbert(c: Config) -> ModelSpec:
    """Rotary positions, gated feed-forwards, a window in all but every third layer; no norm before the first.

    A window that looks both ways is twice as wide; of the decoder, labels have the bias of the layer before them.
    """
    decodes = c.model_type == "modernbert-decoder"
    c.ignore("classifier_pooling", "classifier_activation", "deterministic_flash_attn", "mlp_dropout")
    c.ignore("initializer_cutoff_factor")
    c.ignore("sparse_prediction", "sparse_pred_ignore_index", "reference_compile", "repad_logits_with_grad", "global_rope_theta")
    c.ignore("local_rope_theta", "position_embedding_type", *ROTARY)
    norm = Norm("layernorm", bias=c.flag("norm_bias"))
    mixer = Attention(c.size("num_attention_heads"), bias=c.flag("attention_bias"), rope=True, joint=not decodes)
    ffn = Gated(c.size("intermediate_size"), c.flag("mlp_bias"), activation(c, "hidden_activation"), joint=True)
    every = c.size("global_attn_every_n_layers") if c.has("global_attn_every_n_layers") else 3
    local = replace(mixer, core=Sliding(c.size("local_attention", 2) // (1 + decodes)))
    kinds = enumerate(windowed_layers(c, lambda i: i % every != 0))

    def make(kind: tuple[bool, bool]) -> Layers:
        """The first layer has no norm before its attention."""
        return Layers(1, local if kind[0] else mixer, ffn, norms=("ffn",) if kind[1] else None)

    layers = in_order(((windowed, i == 0) for i, windowed in kinds), make)
    stack: dict[str, Any] = {"decoder" if decodes else "encoder": layers}
    built, found = head(c, ("ForCausalLM",) if decodes else MASKED), encoder_labels(c)
    bias, inner = c.flag("decoder_bias", True), c.flag("classifier_bias")
    if found:  # before which stands what stands before the masked-LM head
        found = replace(found, dense=activation(c, "classifier_activation"), dense_bias=inner, normed=True)
        found = replace(found, once=False, bias=inner) if decodes else found
    return model(
        c,
        embedding=Embedding(c.size("vocab_size"), normed=True),
        norm=norm,
        head=built and Head(tied=built.tied, bias=bias, transform=True, transform_bias=inner),
        labels=found,
        **stack,
    )
