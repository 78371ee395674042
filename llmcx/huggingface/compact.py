"""MobileBERT, SqueezeBERT and Funnel-Transformer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import LAYER, activation, counts, head, in_order, model
from llmcx.huggingface.config import Config
from llmcx.huggingface.encoder import MASKED, outside
from llmcx.huggingface.labels import CHOICE, SEQUENCE, asked, encoder_labels, first_named
from llmcx.model.mixers.compact import MobileLayer, SqueezeLayer
from llmcx.model.mixers.funnel import FunnelLayer
from llmcx.model.spec import Embedding, Head, Layers, ModelSpec


@family("mobilebert")
def mobilebert(c: Config) -> ModelSpec:
    """A narrow table of which three neighbours are read, layers in a bottleneck, a tied head that is wider than the table."""
    c.expect("classifier_activation", True)
    c.ignore("normalization_type", "classifier_dropout", "intra_bottleneck_size", "key_query_shared_bottleneck")
    c.ignore("use_bottleneck_attention")
    d, width, trigram = c.size("hidden_size"), c.size("embedding_size"), c.flag("trigram_input")
    if width > d or (width == d and not trigram):
        raise c.wrong("embedding_size", width, f"below hidden_size, {d}")
    inner, more = None, dict[str, Any]()
    if c.flag("use_bottleneck"):
        inner, narrow = c.size("intra_bottleneck_size"), c.flag("use_bottleneck_attention")
        more = {"shared": c.flag("key_query_shared_bottleneck"), "narrow": narrow}
        if inner != d and not any(more.values()):
            raise c.wrong("key_query_shared_bottleneck", False, "true, or use_bottleneck_attention")
    heads, act = c.size("num_attention_heads"), activation(c, "hidden_act")
    if (inner or d) % heads:
        raise c.wrong("num_attention_heads", heads, f"a divisor of {inner or d}")
    layer = MobileLayer(heads, c.size("intermediate_size"), inner, c.size("num_feedforward_networks"), activation=act, **more)
    built = head(c, (*MASKED, "ForPreTraining"))
    paired = built is not None and first_named(c).endswith("ForPreTraining")
    if built is not None and not built.tied:
        raise c.wrong("tie_word_embeddings", False, "true")
    rows, types = c.size("max_position_embeddings"), c.size("type_vocab_size")
    return outside(
        c,
        (Layers(c.size("num_hidden_layers"), layer, norms=()),),
        embedding=Embedding(
            c.size("vocab_size"), rows, types, width, positions_full=True, normed=True, neighbours=3 if trigram else 1
        ),
        head=built and Head(True, True, True, width=d, pair=2 * paired),
        pooler=paired or (built is None and not asked(c)),
    )


@family("squeezebert")
def squeezebert(c: Config) -> ModelSpec:
    """BERT of grouped matrices, with a pooler whatever the head."""
    c.expect("embedding_size", c.size("hidden_size"))
    d, ff, heads = c.size("hidden_size"), c.size("intermediate_size"), c.size("num_attention_heads")
    ends = {"q": (d, d), "k": (d, d), "v": (d, d), "post_attention": (d, d), "intermediate": (d, ff), "output": (ff, d)}
    groups: Any = tuple(c.size(f"{name}_groups") for name in ends)
    for (name, sizes), count in zip(ends.items(), groups, strict=True):
        if any(size % count for size in sizes):
            raise c.wrong(f"{name}_groups", count, f"a divisor of {' and '.join(map(str, dict.fromkeys(sizes)))}")
    layer = SqueezeLayer(heads, ff, groups, activation(c, "hidden_act"))
    layers = Layers(c.size("num_hidden_layers"), layer, norms=())
    return outside(c, (layers,), pooler=asked(c) not in (SEQUENCE, CHOICE))


@family("funnel")
def funnel(c: Config) -> ModelSpec:
    """Blocks of layers with half as many tokens each as the one before, and a few layers at the end with all of them, which what
    is said of a whole sequence goes without.
    """
    c.ignore("hidden_dropout", "pooling_type", "initializer_std")
    sizes = counts(c, "block_sizes")
    repeats = [1] * len(sizes) if c.get("block_repeats") is None else counts(c, "block_repeats")
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
