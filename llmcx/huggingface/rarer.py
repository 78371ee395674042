"""Families of which few models were released."""

from __future__ import annotations

from dataclasses import replace

from llmcx.huggingface import family
from llmcx.huggingface.common import LAYER, SCALE_ONLY, activation, gated, head, heads, model
from llmcx.huggingface.config import SCALES, Config
from llmcx.huggingface.encdec import CONDITIONAL
from llmcx.huggingface.encoder import layers_of, outside
from llmcx.huggingface.labels import ANSWER, CHOICE, NEXT, SEQUENCE, asked, first_named
from llmcx.huggingface.llama import uniform, with_window
from llmcx.huggingface.moe import experts
from llmcx.model.extras import Adapters, Beside, Tables
from llmcx.model.mixers.fourier import Fourier
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Plain


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
    shared = Gated(wide, bias, activation(c, "hidden_act"))
    moe = experts(c, "moe_num_experts", "moe_topk", "intermediate_size", shared=shared)
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
