"""Families of which few models were released."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import (
    LAYER,
    RMS,
    SCALE_ONLY,
    activation,
    gated,
    head,
    heads,
    in_order,
    layer_count,
    layer_types,
    model,
)
from llmcx.huggingface.config import SCALES, SUMMARY, Config
from llmcx.huggingface.encdec import CONDITIONAL
from llmcx.huggingface.encoder import layers_of, outside
from llmcx.huggingface.labels import ANSWER, CHOICE, NEXT, SEQUENCE, asked, encoder_labels, first_named
from llmcx.huggingface.llama import uniform, with_window
from llmcx.huggingface.moe import experts, latent, listed, no_mtp, shared, with_experts
from llmcx.model.extras import Adapters, Beside, GatedNorms, Idle, Tables
from llmcx.model.mixers.convbert import ConvBert
from llmcx.model.mixers.fourier import Fourier
from llmcx.model.mixers.further import Filtered
from llmcx.model.mixers.globallocal import GlobalLocal
from llmcx.model.mixers.resolutions import BLOCK, Resolutions
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Norm, Plain


@family("roc_bert")
def roc_bert(c: Config) -> ModelSpec:
    """BERT with tables of what characters look and sound like, laid beside the tokens' and projected."""
    parts = [
        (c.size(f"{part}_vocab_size"), c.size(f"{part}_embed_dim"), c.flag(f"enable_{part}"))
        for part in ("pronunciation", "shape")
    ]
    together = c.flag("concat_input")
    if not together and any(width != c.size("hidden_size") for _, width, used in parts if used):
        raise c.wrong("concat_input", False, "true: tables of another width than hidden_size are not summed")
    if not first_named(c).endswith("ForPreTraining"):
        used = [(rows, width) for rows, width, on in parts if on and together]
        idle = [(rows, width) for rows, width, on in parts if not (on and together)]
        beside = [Beside(tuple(rows for rows, _ in used), tuple(width for _, width in used))] if together else []
        return outside(c, (layers_of(c),), extras=(*beside, *(Tables((rows,), width) for rows, width in idle)))
    raise c.wrong("architectures", first_named(c), "another class: it is trained on several sequences at once")


@family("xmod")
def xmod(c: Config) -> ModelSpec:
    """RoBERTa with an adapter for each language after each layer; norms before the parts by option."""
    languages = c.list("languages")
    if not languages:
        raise c.wrong("languages", languages, "a list of languages")
    c.ignore("default_language", "ln_before_adapter")
    own = c.flag("adapter_layer_norm")
    again = c.flag("adapter_reuse_layer_norm") and not own
    width = c.size("hidden_size") // c.size("adapter_reduction_factor")
    if not width:
        raise c.wrong("adapter_reduction_factor", c.get("adapter_reduction_factor"), "at most hidden_size")
    adapters = Adapters(width, len(languages), own, again, activation(c, "hidden_act"))
    return outside(c, (layers_of(c),), extras=(adapters,), final_norm=c.flag("pre_norm"))


@family("ibert")
def ibert(c: Config) -> ModelSpec:
    """RoBERTa, whose matrices can be run in whole numbers."""
    c.expect("quant_mode", False)
    c.ignore("force_dequant")
    return outside(c, (layers_of(c),))


@family("fnet")
def fnet(c: Config) -> ModelSpec:
    """BERT with a Fourier transform in place of attention, and a projection after the embedding; a pooler whatever the head."""
    c.expect("use_tpu_fourier_optimizations", False)
    c.ignore("tpu_short_seq_length", "num_attention_heads", "use_fft")
    return outside(c, (layers_of(c, Fourier()),), c.size("hidden_size"), pooler=asked(c) not in (SEQUENCE, CHOICE, NEXT))


@family("tapas")
def tapas(c: Config) -> ModelSpec:
    """BERT with seven tables that say where in a table of figures a token stands."""
    c.ignore(*(key for key in TAPAS.split() if key != "num_aggregation_labels"))
    rows = c.list("type_vocab_sizes")
    if not rows or not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 10**9 for n in rows):
        raise c.wrong("type_vocab_sizes", rows, "a list of sizes")
    c.ignore("num_aggregation_labels")
    if asked(c) == ANSWER:
        raise c.wrong("architectures", first_named(c), "another class: its head picks cells and an operation")
    embedding = Embedding(c.size("vocab_size"), c.size("max_position_embeddings"), normed=True)
    return outside(c, (layers_of(c),), embedding=embedding, extras=(Tables(tuple(rows)),))


TAPAS = """positive_label_weight num_aggregation_labels aggregation_loss_weight use_answer_as_supervision answer_loss_importance
    use_normalized_answer_loss huber_loss_delta aggregation_temperature use_gumbel_for_cells use_gumbel_for_aggregation
    average_approximation_function cell_selection_preference answer_loss_cutoff max_num_rows max_num_columns
    average_logits_per_cell select_one_column allow_empty_column_selection init_cell_selection_weights_to_zero
    reset_position_index_per_cell disable_per_token_loss aggregation_labels no_aggregation_label_index type_vocab_size"""


@family("cohere_compass_text")
def compass(c: Config) -> ModelSpec:
    """Cohere's layers, with a window where layer_types says."""
    c.ignore("pooling", *SCALES)
    mixer = heads(c, bias=c.flag("attention_bias"))
    size = c.optional("sliding_window")
    return with_window(c, mixer, gated(c), size, lambda _: False, SCALE_ONLY, norms=("layer",))


@family("aria_text")
def aria(c: Config) -> ModelSpec:
    """LLaMA with experts in every layer, and shared ones as one block."""
    bias, wide = c.flag("mlp_bias"), c.size("moe_num_shared_experts") * c.size("intermediate_size")
    always = Gated(wide, bias, activation(c, "hidden_act"))
    moe = experts(c, "moe_num_experts", "moe_topk", "intermediate_size", shared=always)
    return uniform(c, heads(c, bias=c.flag("attention_bias")), moe)


@family("fsmt")
def fsmt(c: Config) -> ModelSpec:
    """The Transformer of 2017: a vocabulary for each side, sinusoids that are held as parameters, norms after the parts."""
    c.ignore("langs", "scale_embedding", "encoder_layerdrop", "decoder_layerdrop", "max_length", "num_hidden_layers")
    rows = c.size("max_position_embeddings") + c.size("pad_token_id", least=0) + 1
    c.expect("src_vocab_size", c.size("tgt_vocab_size"))
    act, tied = activation(c, "activation_function"), c.flag("tie_word_embeddings", True)

    def stack(name: str) -> tuple[Layers, ...]:
        mixer = Attention(c.size(f"{name}_attention_heads"), bias=True, softmax_fp32=False)
        ffn = Plain(c.size(f"{name}_ffn_dim"), True, act)
        return (Layers(c.size(f"{name}_layers"), mixer, ffn, mixer if name == "decoder" else None),)

    head(c, (*CONDITIONAL, "FSMTModel"))
    return model(
        c,
        d_model="d_model",
        embedding=Embedding(c.size("tgt_vocab_size"), rows, per_stack=True, token_tables=1 if tied else 2),
        encoder=stack("encoder"),
        decoder=stack("decoder"),
        norm=LAYER,
        final_norm=False,
        head=Head(tied),  # which the bare model has too
    )


def _filtered(c: Config, key: str) -> Attention:
    """BERT's attention, with a filter on the values where ``key`` says how long it is."""
    n, kernel = c.size("num_attention_heads"), c.optional(key)
    if kernel is None:
        return Attention(n, bias=True, softmax_fp32=False)
    if kernel % 2 == 0:
        raise c.wrong(key, kernel, "odd")
    return Filtered(n, bias=True, softmax_fp32=False, kernel=kernel)


def _resolutions(c: Config) -> Resolutions:
    """MRA's blocks, as many as the longest sequence has."""
    c.ignore("initial_prior_first_n_blocks", "initial_prior_diagonal_n_blocks")
    rows, n = c.size("max_position_embeddings", BLOCK) // BLOCK, c.size("num_attention_heads")
    if c.size("hidden_size") % n:
        raise c.wrong("num_attention_heads", n, f"a divisor of hidden_size, {c.size('hidden_size')}")
    c.notes.append("attention's FLOPs follow its code for GPUs: on a CPU, where llmcx's were measured, nothing is multiplied")
    blocks = min(rows * c.size("block_per_row"), rows * rows)
    return Resolutions(n, blocks, c.text("approx_mode", ("full", "sparse")) == "sparse")


@family("mra", "nystromformer", "yoso")
def approximated(c: Config) -> ModelSpec:
    """BERT whose attention can be approximated, and in transformers' defaults is not, but for MRA's; a filter on the values by
    option.
    """
    c.ignore("inv_coeff_init_option", "hash_code_len", "num_hash", "use_fast_hash", "lsh_backward")
    if c.model_type == "yoso":
        c.expect("use_expectation", True)
    elif c.model_type == "nystromformer":
        c.expect("num_landmarks", c.size("segment_means_seq_len"))
    filters = {"yoso": "conv_window", "nystromformer": "conv_kernel_size"}
    mixer = _resolutions(c) if c.model_type == "mra" else _filtered(c, filters[c.model_type])
    found = encoder_labels(c, dense=activation(c, "hidden_act") if asked(c) == SEQUENCE else "relu")
    rows = c.size("max_position_embeddings") + 2
    tables = Embedding(c.size("vocab_size"), rows, c.size("type_vocab_size"), normed=True)
    return outside(c, (layers_of(c, mixer),), embedding=tables, pooler=False, labels=found)


@family("trocr")
def trocr(c: Config) -> ModelSpec:
    """BART's decoder, alone, with a cross-attention that has nothing to attend to; of what width that would be, the file says."""
    c.ignore("scale_embedding", "decoder_layerdrop", "is_decoder")
    d, width = c.size("d_model"), c.optional("cross_attention_hidden_size")
    learned = c.flag("use_learned_position_embeddings")
    mixer = Attention(c.size("decoder_attention_heads"), bias=True, softmax_fp32=False)
    ffn = Plain(c.size("decoder_ffn_dim"), True, activation(c, "activation_function"))
    rows = c.size("max_position_embeddings") + 2 if learned else None
    return model(
        c,
        d_model=d,
        embedding=Embedding(c.size("vocab_size"), rows, normed=c.flag("layernorm_embedding")),
        decoder=(Layers(c.size("decoder_layers"), mixer, ffn, replace(mixer, kv_width=width)),),
        norm=LAYER,
        final_norm=False,
    )


@family("pegasus_x")
def pegasus_x(c: Config) -> ModelSpec:
    """Pegasus without biases in attention, whose encoder attends within blocks and to global tokens."""
    c.ignore("scale_embedding", "encoder_layerdrop", "decoder_layerdrop", "num_hidden_layers", "max_position_embeddings")
    act, block, many = activation(c, "activation_function"), c.size("block_size"), c.size("num_global_tokens")
    n, ffn = layer_count(c, "encoder_layers"), Plain(c.size("encoder_ffn_dim"), True, act)
    mixer = GlobalLocal(c.size("encoder_attention_heads"), block, many, ffn.d_ff, act)
    if block % 2:
        raise c.wrong("block_size", block, "even")
    kinds = [(c.flag("stagger_local_blocks") and i % 2 == 1, i == n - 1) for i in range(n)]
    decoding = Attention(c.size("decoder_attention_heads"), softmax_fp32=False)
    wide = Plain(c.size("decoder_ffn_dim"), True, act)
    return model(
        c,
        d_model="d_model",
        embedding=Embedding(c.size("vocab_size"), token_tables=1 if c.flag("tie_word_embeddings", True) else 3),
        encoder=in_order(kinds, lambda kind: Layers(1, replace(mixer, staggered=kind[0], last=kind[1]), ffn)),
        decoder=(Layers(c.size("decoder_layers"), decoding, wide, decoding),),
        norm=LAYER,
        head=head(c, CONDITIONAL),
        extras=(Tables((many,)),),
        pad_to=block,
    )


@family("hrm_text")
def hrm(c: Config) -> ModelSpec:
    """Two stacks that run in turns, with the same weights each time: the lower L_cycles times for each of H_cycles of the upper;
    norms without weights, a gate on the heads' output. Of the lower's runs only the last are trained through.
    """
    c.ignore("embedding_scale", "prefix_lm")
    n = c.optional("num_layers_per_stack") or layer_count(c)
    c.ignore("num_hidden_layers")
    high, low = c.size("H_cycles"), c.size("L_cycles")
    trained = c.list("L_bp_cycles") or [2]
    if not all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in trained):
        raise c.wrong("L_bp_cycles", trained, "a list of numbers")
    if n * high * (low + 1) > 10_000:
        raise c.wrong("H_cycles", high, "fewer: at most 10,000 layers run")
    mixer = heads(c, bias=c.flag("attention_bias"), gate=True)
    one = Layers(1, mixer, gated(c, bias=c.flag("mlp_bias")))
    padded = [*[1] * max(0, high - len(trained)), *trained]
    kinds = []
    for upper in range(high):
        for lower in range(low + 1):
            grad = lower == low or lower >= low - padded[upper]
            again = upper > 0 or 0 < lower < low
            kinds += [(lower == low, again, grad, i == n - 1) for i in range(n)]

    def make(kind: tuple[bool, bool, bool, bool]) -> Layers:
        """The last of a stack has a norm after it."""
        return replace(one, reused=kind[1], grad=kind[2], norms=("attention", "ffn", "out") if kind[3] else None)

    return model(
        c,
        decoder=in_order(kinds, make),
        norm=Norm("rmsnorm", scale=False),
        final_norm=False,
        extras=(Idle(c.size("hidden_size")),),
    )


@family("axk2")
def axk2(c: Config) -> ModelSpec:
    """DeepSeek-V3.2 with a gate on the heads' output, made with the queries, and gates on norms."""
    c.expect("moe_layer_freq", None, 1)
    c.ignore("index_topk")
    no_mtp(c, "num_nextn_predict_layers")
    n, first = layer_count(c), c.optional("first_k_dense_replace", 0)
    layer_types(c, "layer_types", ("indexed_attention",), n)
    c.notes.append("index_topk is not applied: every pair is counted, as eager code multiplies it")
    index = {"index_heads": c.size("index_n_heads"), "index_dim": c.size("index_head_dim")}
    c.size("q_lora_rank")
    mixer = latent(c, gate=c.size("v_head_dim"), joint_gate=True, **index)
    moe = experts(c, "n_routed_experts", shared=shared(c, "n_shared_experts", "moe_intermediate_size"))
    layers = with_experts(repeat(mixer), moe, gated(c), listed(c, 1 if first is None else first))
    return model(c, decoder=layers, norm=RMS, extras=(GatedNorms(c.size("gated_norm_rank")),))


@family("convbert")
def convbert(c: Config) -> ModelSpec:
    """ELECTRA, half of whose heads are filters."""
    c.expect("num_groups", 1)
    d, n, ratio, width = c.size("hidden_size"), c.size("num_attention_heads"), c.size("head_ratio"), c.size("embedding_size")
    c.ignore(*SUMMARY)
    heads, kernel = max(1, n // ratio), c.size("conv_kernel_size")
    if d % (2 * heads):
        raise c.wrong("hidden_size", d, f"a multiple of {2 * heads}, twice the heads that attend")
    if kernel % 2 == 0:
        raise c.wrong("conv_kernel_size", kernel, "odd")
    found = encoder_labels(c, dense=activation(c, "hidden_act") if asked(c) == SEQUENCE else None)
    narrow = None if width == d else width
    return outside(c, (layers_of(c, ConvBert(heads, kernel)),), narrow, pooler=False, labels=found)


@family("luke")
def luke(c: Config) -> ModelSpec:
    """RoBERTa that may read entities too, with tables and queries for them; only text is counted as run. The key ties the head of
    the entities, not that of the tokens.
    """
    c.ignore("bert_model_name", "cls_entity_prediction")
    d, n, entities = c.size("hidden_size"), c.size("num_hidden_layers"), c.size("entity_vocab_size")
    narrow, aware = c.size("entity_emb_size"), c.flag("use_entity_aware_attention")
    # Norms, a matrix up from narrow tables, three further queries of each layer, and what predicts an entity.
    idle = 2 * d + (narrow * d if narrow != d else 0) + (3 * n * (d * d + d) if aware else 0)
    built = head(c, ("ForMaskedLM",))
    more: dict[str, Any] = {}
    if built is not None:
        idle += (d * narrow + narrow) + 2 * narrow + entities + (0 if built.tied else entities * narrow)
        more = {"head": Head(False, True, True, second_bias=not built.tied), "pooler": True}
    c.notes.append("no entities are counted in a run; their weights are")
    tables = Tables((c.size("max_position_embeddings"), c.size("type_vocab_size")))
    return outside(c, (layers_of(c),), extras=(Tables((entities,), narrow), tables, Idle(idle)), **more)
