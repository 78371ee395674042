"""DeBERTa, its versions 1 to 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import activation, head, in_order, layer_count
from llmcx.huggingface.config import Config
from llmcx.huggingface.encoder import MASKED, layers_of, outside
from llmcx.huggingface.labels import encoder_labels
from llmcx.model.mixers.disentangled import Disentangled, LocalConv
from llmcx.model.spec import Attention, Embedding, Head, Layers, ModelSpec


@family("deberta", "deberta-v2")
def deberta(c: Config) -> ModelSpec:
    """BERT whose tokens meet relative positions too; without a pooler, and tables of positions and segments by option."""
    second = c.model_type == "deberta-v2"
    c.ignore("pooler_dropout", "cls_dropout", "position_buckets", "max_relative_positions", "pos_att_type", "model_max_length")
    for key in ("embedding_size", "pooler_hidden_size"):
        c.expect(key, c.size("hidden_size"))
    rows = c.size("max_position_embeddings") if c.flag("position_biased_input") else None
    c.ignore("max_position_embeddings")
    built = head(c, MASKED)
    untied = c.flag("legacy", True) and not c.flag("tie_word_embeddings", True)
    dense: Any = "tanh" if c.get("pooler_hidden_act") == "tanh" else activation(c, "pooler_hidden_act")
    return outside(
        c,
        _layers(c, second),
        embedding=Embedding(c.size("vocab_size"), rows, c.size("type_vocab_size", 0) or None, normed=True),
        head=built and Head(not untied, True, True, second_bias=untied),
        labels=encoder_labels(c, dense=dense),
    )


def _layers(c: Config, second: bool) -> tuple[Layers, ...]:
    """The first layer holds the table of positions, and of version 2 a convolution beside it."""
    one, n, heads = replace(layers_of(c), repeat=1), layer_count(c), c.size("num_attention_heads")
    c.expect("attention_head_size", c.size("hidden_size") // heads)
    mixer: Any = Attention(heads, bias=True, softmax_fp32=False)
    kernel = c.optional("conv_kernel_size", 0) or 0 if second else 0
    beside, norms = None, one.norm_names
    if kernel:
        c.expect("conv_groups", 1)
        if kernel % 2 == 0:
            raise c.wrong("conv_kernel_size", kernel, "odd")
        act: Any = c.text("conv_act", ("tanh", "gelu")) if c.has("conv_act") else "tanh"
        beside, norms = LocalConv(kernel, act), (*norms, "conv")
    c.ignore("conv_act", "conv_groups")
    if c.flag("relative_attention"):
        c.expect("talking_head", False)
        mixer = Disentangled(heads, **_positions(c, second))
    elif second:
        c.expect("norm_rel_ebd", "none")
        c.ignore("share_att_key")
    else:
        mixer = Disentangled(heads, 1, False, False, first_edition=True)
    first = replace(mixer, table=True) if c.flag("relative_attention") else mixer

    def make(is_first: bool) -> Layers:
        return replace(one, mixer=first, beside=beside, norms=norms) if is_first else replace(one, mixer=mixer)

    return in_order((i == 0 for i in range(n)), make)


def _positions(c: Config, second: bool) -> dict[str, Any]:
    """How many relative positions there are, and what meets them."""
    stated: Any = c.get("max_relative_positions")
    span = c.size("max_position_embeddings") if isinstance(stated, int) and stated < 1 else c.size("max_relative_positions")
    buckets: Any = c.get("position_buckets") if second and c.has("position_buckets") else None
    if isinstance(buckets, int) and buckets > 0:
        span = c.size("position_buckets")
    kinds = c.get("pos_att_type") or []
    kinds = [kind.strip() for kind in kinds.lower().split("|")] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or any(kind not in ("c2p", "p2c") for kind in kinds):
        raise c.wrong("pos_att_type", kinds, "a list of c2p and p2c")
    found = {"span": span, "c2p": "c2p" in kinds, "p2c": "p2c" in kinds, "first_edition": not second}
    if second:
        norm = c.text("norm_rel_ebd").lower() if c.has("norm_rel_ebd") else "none"
        found |= {"shared": c.flag("share_att_key"), "normed": "layer_norm" in [part.strip() for part in norm.split("|")]}
    return found
