"""Parts -> ops: a whole model, part after part, as the ops of one pass.

Every cost is a fold over what ``lower`` returns. What an op saved for backward follows PyTorch autograd on the code of
transformers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isqrt
from typing import TYPE_CHECKING

from llmcx.model.cores import Chunked, Standard
from llmcx.model.mixers.attention import idle
from llmcx.model.run import LayerRun, Run
from llmcx.model.spec import Attention, Labels, Layers, ModelSpec, MoE
from llmcx.ops.op import TOKENS, VOCAB, WHOLE, Dims, Op, Saved, is_core

if TYPE_CHECKING:
    from llmcx.model.tower import Piece, Tower

__all__ = ["Run", "lower"]


def lower(spec: ModelSpec, run: Run) -> list[Op]:
    """Every op of one forward pass of ``run``. Parameters do not depend on ``run``."""
    ops: list[Op] = []
    both = bool(spec.encoder and spec.decoder)
    source = run.seq if run.source is None else run.source
    encoded = (source if both else run.seq) if run.encode else 0
    out = run.seq if spec.decoder else encoded  # tokens that reach the head

    lookups = run.batch * (out + (encoded if both else 0))
    ops += _embedding(spec, run, lookups, out)
    for extra in spec.extras:
        ops += extra.outside(LayerRun(spec, run, 1, lookups, lookups, 0, False, "embedding", role="positions"))
    for layers in spec.groups:
        rotary = layers.mixer
        if not isinstance(rotary, Attention) or not rotary.rope:
            continue
        size = 2 * out * rotary.width(spec.d_model)
        tables = (Saved("cos and sin of the positions", size),)
        at = LayerRun(spec, run, 1, out, out, 0, False, "embedding", role="rotary")
        ops.append(at.op("embedding.rotary", "rotary", *tables, elements=size, cut=WHOLE))
        break

    for stack, layers_in_order in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        if not layers_in_order:
            continue
        decoding = stack == "decoder"
        ahead = spec.prompt if decoding else 0
        q = run.seq + (0 if run.past else ahead) if decoding else encoded
        if spec.pad_to and not decoding and q > spec.pad_above:
            q = -(-q // spec.pad_to) * spec.pad_to
        kv = q + (run.past + ahead if decoding and run.past else 0)
        met = source if both else sum(_made(tower, run, source) for tower in spec.towers if tower.met)
        for name, layers in spec.kinds.items():
            if not name.startswith(stack):
                continue
            made = _layer(layers, LayerRun(spec, run, run.batch, q, kv, met, decoding, name, layers.repeat))
            if layers.grad is False:
                made = (op._replace(grad=False, saved=()) for op in made)
            elif layers.grad == "kv":
                made = _keys_and_values(made)
            ops += (op._replace(copies=0, used=0) for op in made) if layers.reused else made
        if spec.final_norm:
            at = LayerRun(spec, run, run.batch, q, kv, met, decoding, f"{stack}.norm")
            ops.append(at.norm("final_norm", spec.final_norm_type or spec.norm, spec.d_model, role="final_norm"))
    ops += _head(spec, run, run.batch * out)
    for tower in spec.towers:
        ops += _tower(tower, run, source, encoded if both and tower.fed == "audio" else 0)
    return ops


def _keys_and_values(made: Iterator[Op]) -> Iterator[Op]:
    """A layer's ops, of which the keys and values alone are read: their gradients and their norm's, and the input of their
    matrices, which the queries' keeps.
    """
    norms = 0
    for op in made:
        norms += op.role == "norm"
        read = op.module in ("k", "v") or (op.role == "norm" and norms == 1)
        yield op if read else op._replace(grad=False, saved=op.saved if op.module == "q" else ())


Given = tuple[int, tuple[int, int]]
"""How many of a kind, and the rows and columns of each."""


def _given(tower: Tower, run: Run, source: int) -> list[Given]:
    """What each sequence has for a tower: images of patches, sounds of frames, or a text of ``source`` tokens."""
    if tower.fed == "image":
        return [(run.images, run.grid), *run.further]
    return [(1, (1, source)) if tower.fed == "text" else (run.sounds, (1, run.frames))]


def _made(tower: Tower, run: Run, source: int) -> int:
    """The tokens that come out of a tower, of all that a sequence has for it."""
    return sum(many * _tokens(tower, each) for many, each in _given(tower, run, source))


def _tokens(tower: Tower, given: tuple[int, int]) -> int:
    """Those of one image, sound or text."""
    return _standing(tower, given, tower.per) + tower.added if tower.latents is None else tower.latents


def _tower(tower: Tower, run: Run, source: int, encoded: int) -> Iterator[Op]:
    """A tower's ops, whose components begin with its name; a token of text meets none of its weights, but for one that is fed the
    text. What one that hears makes are the ``encoded`` tokens, where there is an encoder for them.
    """
    first, *more = [(1, (1, encoded * tower.per))] if encoded else _given(tower, run, source)
    yield from _fed(tower, run, *first)
    for many, each in more:  # by the same weights
        yield from (op._replace(copies=0) for op in _fed(tower, run, many, each))


def _fed(tower: Tower, run: Run, many: int, given: tuple[int, int]) -> Iterator[Op]:
    """A tower's ops on ``many`` images or sounds of ``given`` patches or frames in each sequence."""
    many = run.batch * many if run.encode else 0
    standing = _standing(tower, given, tower.per)
    tokens = _tokens(tower, given)
    source = standing + tower.added
    at = LayerRun(tower, run, many, tokens, tokens + (run.seq if tower.joins else 0), source, False, tower.name)

    def met(piece: Piece) -> int:
        """Tokens that a piece meets: as many as stand for patches or frames, or as the layers have."""
        per, parts = getattr(piece, "per", None), getattr(piece, "parts", 1)
        if per is not None:
            return many * _standing(tower, given, per) * parts
        return many * (standing if getattr(piece, "stem", False) and tower.latents is None else tokens) * parts

    def ops() -> Iterator[Op]:
        for piece in tower.before:
            yield from piece.ops(at, met(piece))
        for name, layers in tower.kinds.items():
            where = at._replace(group=name, times=layers.repeat)
            shape = given[0] // isqrt(tower.per), given[1] // isqrt(tower.per)
            windowed = _padded if tower.pads else _windowed
            yield from windowed(layers, where, shape) if _window(layers) else _layer(layers, where)
            for piece in tower.inside:
                yield from piece.ops(where, where.tokens)
        for piece in tower.after:
            yield from piece.ops(at, met(piece))

    for op in ops():
        if op.kind != "cache":  # what it makes stands among the model's tokens
            used = op.used if tower.fed == "text" else 0
            yield op._replace(
                component=f"{tower.name}.{op.component}",
                used=used,
                role="tower",
                grad=op.grad and tower.grad,
                cut=op.cut or WHOLE,
            )


def _window(layers: Layers) -> int:
    """The side of the windows within which a tower's layer attends, in patches; 0 where it attends to all."""
    core = layers.mixer.core if isinstance(layers.mixer, Attention) else None
    return core.window if isinstance(core, Chunked) else 0


def _padded(layers: Layers, where: LayerRun, grid: tuple[int, int]) -> Iterator[Op]:
    """A layer whose tokens meet those of their own square of patches, in attention over whole squares alone."""
    assert isinstance(layers.mixer, Attention)
    size = _window(layers)
    squares = -(-grid[0] // size) * -(-grid[1] // size)
    yield from _layer(replace(layers, mixer=None, norms=layers.norm_names), where)
    plain = replace(layers.mixer, core=Standard())
    yield from plain.ops(where._replace(batch=where.batch * squares, q=size**2, kv=size**2))


def _windowed(layers: Layers, where: LayerRun, grid: tuple[int, int]) -> Iterator[Op]:
    """A layer whose tokens meet those of their own square of patches; what is left at the edges makes smaller ones."""
    assert isinstance(layers.mixer, Attention)
    plain = replace(layers, mixer=replace(layers.mixer, core=Standard()))
    yield from (op for op in _layer(plain, where) if not is_core(op) and op.kind not in ("softmax", "recompute"))
    sides = [divmod(length, _window(layers)) for length in grid]
    size = _window(layers)
    for rows, many_rows in ((size, sides[0][0]), (sides[0][1], 1)):
        for columns, many_columns in ((size, sides[1][0]), (sides[1][1], 1)):
            if tokens := rows * columns * many_rows * many_columns:
                area = rows * columns
                inside = where._replace(batch=where.batch * (tokens // area), q=area, kv=area)
                made = plain.mixer.ops(inside) if plain.mixer is not None else ()
                yield from (op for op in made if is_core(op) or op.kind in ("softmax", "recompute"))


def _standing(tower: Tower, given: tuple[int, int], per: int) -> int:
    """Tokens that stand for ``per`` frames each, or for squares of ``per`` patches; what is left at the edges has none."""
    rows, columns = given
    side = isqrt(per)
    return (rows // side) * (columns // side) if tower.fed == "image" else columns // per


def _embedding(spec: ModelSpec, run: Run, tokens: int, positions: int) -> Iterator[Op]:
    """Tables, the projection of a factorised embedding, and its norm."""
    part, width = spec.embedding, spec.embedding.width or spec.d_model
    at = LayerRun(spec, run, 1, tokens, tokens, 0, False, "embedding", role="positions")
    stacks = 2 if part.per_stack and spec.encoder and spec.decoder else 1
    both = stacks == 2 and part.source_positions is None
    for leaf, rows, ids in (
        ("tokens", part.vocab + part.spare, tokens),
        ("positions", part.positions, positions),
        ("source_positions", part.source_positions if spec.encoder else None, positions),
        ("types", part.types, tokens),
    ):
        if rows is not None:
            indices = Saved("indices", ids, "int64")
            wide = spec.d_model if leaf != "tokens" and part.positions_full else width
            tables = 0 if part.borrowed else part.token_tables
            copies = tables if leaf == "tokens" else 2 if leaf == "positions" and both else 1
            dims: Dims = {"tokens": tokens, "rows": rows, "width": wide}
            table = at._replace(role="embedding") if leaf == "tokens" else at
            how = VOCAB if leaf == "tokens" else WHOLE
            yield table.op(f"embedding.{leaf}", "lookup", indices, copies=copies, used=copies, cut=how, **dims)
    if part.normed:
        wide = spec.d_model if part.positions_full else width
        yield at._replace(times=stacks).norm("embedding.norm", spec.norm, wide, cut=WHOLE)
    if part.width is not None:
        yield at.linear("embedding.projection", width * part.neighbours, spec.d_model, part.projection_bias, cut=WHOLE)


def _head(spec: ModelSpec, run: Run, tokens: int) -> Iterator[Op]:
    """A transform or a projection down if the model has one, then the vocabulary."""
    part = spec.head
    if spec.pooler:
        one = LayerRun(spec, run, run.batch, 1, 1, 0, False, "head", role="head_transform")
        yield one.linear("pooler", spec.d_model, spec.d_model, True, saves=False, cut=WHOLE)._replace(grad=False)
        if part is not None and part.pair:
            yield one.linear("head.pair", spec.d_model, part.pair, True, saves=False, cut=WHOLE)._replace(grad=False)
    if spec.labels is not None:
        yield from _labels(spec, spec.labels, run, run.batch if spec.labels.once else tokens)
    if part is None:
        return
    tokens = tokens * part.ahead if part.rows is None else run.batch * part.rows
    width = part.width or spec.embedding.width or spec.d_model
    at = LayerRun(spec, run, 1, tokens, tokens, 0, False, "head", role="head_transform")
    last = at._replace(role="head")
    if part.discriminator:
        elements = tokens * spec.d_model
        yield at.linear("head.dense", spec.d_model, spec.d_model, True, cut=WHOLE)
        yield at.op("head.activation", "gelu", Saved("activation", elements), elements=elements, cut=WHOLE)
        yield last.linear("head", spec.d_model, 1, True, cut=VOCAB)
        return
    if part.transform:
        yield at.linear("head.transform", spec.d_model, width, part.transform_bias, cut=WHOLE)
        yield at.op("head.activation", "gelu", Saved("activation", tokens * width), elements=tokens * width, cut=WHOLE)
        yield at.norm("head.norm", spec.norm, width, cut=WHOLE)
    elif part.bottleneck is not None:
        for leaf, inner, outer in (("down", spec.d_model, part.bottleneck), ("up", part.bottleneck, spec.d_model)):
            elements = tokens * outer
            yield at.linear(f"head.{leaf}", inner, outer, cut=WHOLE)
            yield at.op(f"head.{leaf}.activation", "gelu_tanh", Saved("activation", elements), elements=elements, cut=WHOLE)
    elif spec.embedding.width is not None:
        bias, tied = spec.embedding.projection_bias, part.projection_tied
        yield at.linear("head.projection", spec.d_model, width, bias, tied=tied, cut=WHOLE)
    outputs = part.outputs(spec.embedding.vocab)
    own = max(width - (spec.embedding.width or spec.d_model), 0) if part.tied else 0
    yield last.linear("head", width - own, outputs, part.bias, tied=part.tied, cut=VOCAB)
    if own:
        yield at.linear("head.rest", own, outputs, saves=False, cut=VOCAB)
    if part.second_bias:
        yield at.op("head.second_bias", "vector", size=spec.embedding.vocab, cut=VOCAB)


def _labels(spec: ModelSpec, part: Labels, run: Run, tokens: int) -> Iterator[Op]:
    """What stands before the labels, then so many numbers of each of ``tokens``."""
    d, at = spec.d_model, LayerRun(spec, run, 1, tokens, tokens, 0, False, "head", role="head_transform")
    if part.dense is not None:
        yield at.linear("head.dense", d, d, part.dense_bias, cut=WHOLE)
        yield at.op("head.activation", part.dense, Saved("activation", tokens * d), elements=tokens * d, cut=WHOLE)
    if part.ffn is not None:
        yield from part.ffn.ops(at, "head.ffn")
    if part.normed:
        yield at.norm("head.norm", spec.norm, d, cut=WHOLE)
    yield at.linear("head.labels", d, part.numbers, part.bias, cut=WHOLE)


def _layer(layers: Layers, where: LayerRun) -> Iterator[Op]:
    """Norms, and the parts with a residual sum after each."""
    dropped = (Saved("dropout mask", where.tokens * where.d_model, "bool"),) if where.run.dropout else ()
    elements = where.tokens * where.d_model
    residual = where.op("residual", "residual", *dropped, elements=elements, cut=TOKENS, role="residual")
    alone = layers.cross is not None and not where.source
    for norm in layers.norm_names:
        rows = 0 if alone and norm == "cross_attention" else None
        yield where.norm(f"norm.{norm}", where.spec.norm, where.d_model, rows, role="norm")
    if layers.mixer is not None:
        yield from layers.mixer.ops(where)
        yield residual
    if layers.beside is not None:
        yield from layers.beside.ops(where._replace(role="beside"))
        yield residual
    if layers.cross is not None:
        crossed = layers.cross.ops(where._replace(role="cross"), "cross_attention", cross=True)
        if alone:  # a decoder without its encoder has the weights, and does not run them
            yield from idle(crossed)
        else:
            yield from crossed
            yield residual
    if layers.ffn is not None:
        yield from layers.ffn.ops(where._replace(role="ffn"), "moe" if isinstance(layers.ffn, MoE) else "ffn")
        yield residual
    for extra in where.spec.extras:
        yield from extra.inside(where._replace(role="extra"))
