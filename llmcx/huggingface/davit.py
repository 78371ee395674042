"""Florence-2: DaViT (Ding et al. 2022, arXiv:2204.03645) before BART."""

from __future__ import annotations

from collections.abc import Mapping

from llmcx.huggingface.common import activation
from llmcx.huggingface.config import Config
from llmcx.huggingface.towers import LAYER, Towers, encoder, multimodal, ratio, seen, whole_numbers
from llmcx.model.spec import Attention, Chunked, Layers, ModelSpec, Plain
from llmcx.model.tower import Channels, Dense, Filter, Normed, Piece, Table, Tower


@encoder("florence_vision")
def davit(c: Config) -> Towers:
    """Stages, each after a convolution that makes fewer and wider tokens of what came before: in turn attention of tokens within
    windows and of channels to one another, both with filters over neighbours and a feed-forward.
    """
    c.ignore("patch_padding", "drop_path_rate", "projection_dim", "max_temporal_embeddings", "max_position_embeddings")
    widths = whole_numbers(c, "embed_dim")
    sizes, strides, depths, heads, groups = (
        whole_numbers(c, key, len(widths)) for key in ("patch_size", "patch_stride", "depths", "num_heads", "num_groups")
    )
    first = c.list("patch_prenorm")
    if not isinstance(first, list) or len(first) != len(widths) or not all(isinstance(each, bool) for each in first):
        raise c.wrong("patch_prenorm", first, f"a list of {len(widths)} true or false")
    by, bias, act = ratio(c), c.flag("qkv_bias", True), activation(c, "activation_function")
    towers, read, per, before = [], c.size("in_channels"), 1, 1
    for at, d in enumerate(widths):
        per = per if at == 0 else per * strides[at] ** 2
        norm = Normed("norm.before", read if first[at] else d, per=before if first[at] else None)
        stem = Dense("patches", read * sizes[at] ** 2, d, True, stem=at == 0 and not first[at])
        ffn = Plain(int(d * by), True, act)
        window = Attention(heads[at], bias=bias, out_bias=True, core=Chunked(c.size("window_size")))
        filters: tuple[Piece, ...] = (Filter("filter.0", d, 9, True), Filter("filter.1", d, 9, True))
        tokens = Layers(depths[at], window, ffn)
        channels: tuple[Piece, ...] = (
            *filters,
            Dense("channels.qkv", d, 3 * d, bias),
            Channels("channels", d, groups[at]),
            Dense("channels.out", d, d, True),
        )
        towers.append(Tower("vision", d, (norm, stem), (tokens,), inside=filters, per=per))
        towers.append(
            Tower("vision", d, (), (Layers(depths[at], None, ffn, norms=("channels", "ffn")),), inside=channels, per=per)
        )
        read, before = d, per
    return tuple(towers)


@multimodal("florence2")
def florence2(c: Config, spec: ModelSpec) -> Towers:
    """Tables of rows and columns are added; a matrix and a norm; one more token is the mean of all."""
    text = c.data.get("text_config")
    inner, tied = (
        text.get("tie_word_embeddings", True) if isinstance(text, Mapping) else True,
        c.flag("tie_word_embeddings", True),
    )
    if inner is not tied:  # then some of BART's tables are one, and others not
        raise c.wrong("tie_word_embeddings", tied, f"{inner}, as in text_config")
    part, towers = seen(c)
    d, out = towers[-1].width, part.size("projection_dim")
    rows, per = part.size("max_position_embeddings"), towers[-1].per
    places = (Table("rows", rows, d // 2), Table("columns", rows, d - d // 2))
    pieces = (*places, Dense("out", d, out), Normed("norm", out, LAYER))
    return *towers, Tower("projector", d, pieces, per=per, added=1)
