"""Draft models, which propose tokens to a model that they are trained for: EAGLE-3 and P-EAGLE, DFlash and DSpark.

Their files name the model_type of the layers that they are made of. They read the token table of their target, and some its head,
which are not theirs and not counted. What they have is as SpecForge (sgl-project/SpecForge) builds and saves it.
"""

from __future__ import annotations

from dataclasses import replace

from llmcx.huggingface import family
from llmcx.huggingface.common import RMS, gated, heads, in_order, model, window, windowed_layers
from llmcx.huggingface.config import Config
from llmcx.huggingface.labels import first_named
from llmcx.model.extras import Drafting
from llmcx.model.spec import Embedding, Head, Layers, ModelSpec

STATES = 3  # of its target that EAGLE-3 reads


@family("eagle3")
def eagle3(c: Config) -> ModelSpec:
    """EAGLE-3: a layer that reads a token beside a state, after a projection of three of its target's states; a head over the
    tokens that come most often. P-EAGLE has more layers, and a learned state for what is masked.
    """
    n, d, parallel = c.size("num_hidden_layers"), c.size("hidden_size"), first_named(c) == "PEagleDraftModel"
    if n != 1 and not parallel:
        raise c.wrong("num_hidden_layers", n, "1, as EAGLE-3 has")
    if c.data.get("eagle_config") is not None:
        inner = c.inner("eagle_config")
        inner.expect("use_aux_hidden_state", True)
        layers = inner.list("eagle_aux_hidden_state_layer_ids") if inner.has("eagle_aux_hidden_state_layer_ids") else None
        if layers is not None and len(layers) != STATES:
            raise inner.wrong("eagle_aux_hidden_state_layer_ids", layers, f"a list of {STATES}")
        inner.check_leftovers()
    c.ignore("eagle_config", "max_window_layers", "use_sliding_window")
    c.expect("mlp_bias", False)
    c.expect("sliding_window", None)
    c.notes.append("a draft model: the token table is its target's, and not counted")
    mixer, ffn = heads(c, bias=c.flag("attention_bias")), gated(c)
    first = Layers(1, replace(mixer, inputs=2), ffn, norms=("attention", "state", "ffn"))
    stack = (first, Layers(n - 1, mixer, ffn)) if n > 1 else (first,)
    vocab = c.size("vocab_size")
    scored = c.optional("draft_vocab_size") or vocab
    tied = c.flag("tie_word_embeddings")
    if tied and scored != vocab:
        raise c.wrong("draft_vocab_size", scored, f"{vocab}, as vocab_size, where the head is tied")
    return model(
        c,
        embedding=Embedding(vocab, borrowed=True),
        decoder=stack,
        norm=RMS,
        head=Head(tied=tied, vocab=None if scored == vocab else scored),
        extras=(Drafting(STATES, c.optional("target_hidden_size") or d, masked=parallel),),
    )


@family("dflash")
def dflash(c: Config) -> ModelSpec:
    """DFlash: Qwen3's layers over blocks of masked tokens, beside keys and values of its target's states; DSpark adds a bias from
    the token before, and a verdict on each token. The head is the target's.
    """
    n, inner = c.size("num_hidden_layers"), c.inner("dflash_config")
    listed = inner.list("target_layer_ids") if inner.has("target_layer_ids") else None
    states = n if listed is None else len(listed)
    if not states:
        raise inner.wrong("target_layer_ids", listed, "a list of layers")
    inner.ignore("mask_token_id", "confidence_head_alpha")
    inner.expect("attention_mode", "gqa")
    spark = first_named(c) == "DSparkDraftModel"
    inner.expect("projector_type", "dspark" if spark else "dflash")
    markov, verdict = 0, False
    if spark:
        markov, verdict = inner.optional("markov_rank", 0) or 0, inner.flag("enable_confidence_head")
        inner.expect("markov_head_type", "vanilla")
        if verdict:
            inner.expect("confidence_head_with_markov", True)
    inner.check_leftovers()
    c.ignore("block_size", "num_target_layers", "max_window_layers", "use_sliding_window", "tie_word_embeddings")
    c.notes.append("a draft model: the token table and the head are its target's, and not counted")
    c.notes.append("a pass is counted as a decoder's over all tokens; its target's states need keys and values only")
    mixer, ffn, size = heads(c, bias=c.flag("attention_bias"), qk_norm="head"), gated(c), c.optional("sliding_window")
    kinds = windowed_layers(c, lambda i: False)
    if True in kinds and size is None:
        raise c.wrong("sliding_window", None, "a number where layer_types has sliding_attention")
    layers = in_order(kinds, lambda local: Layers(1, replace(mixer, core=window(size if local else None)), ffn))
    extra = Drafting(states, c.size("hidden_size"), normed=True, markov=markov, confidence=verdict)
    vocab = c.size("vocab_size")
    return model(c, embedding=Embedding(vocab, borrowed=True), decoder=layers, norm=RMS, head=Head(tied=True), extras=(extra,))
