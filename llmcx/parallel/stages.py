"""Stages of a pipeline: which layers each has, and sums over ops that are taken once and added up for any stage.

A layer group's sums are taken once per layer, so a stage costs an addition per group, however many layers it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers

Sums = tuple[int, ...]


class Span(NamedTuple):
    """What a stage has: ``layers``, of each of the spec's groups ``counts``; the first stage the embedding, the last the head."""

    stage: int
    layers: int
    counts: tuple[int, ...]
    first: bool
    last: bool


class Tally(NamedTuple):
    """Sums over ops: of one layer of each group; of the embedding, but for ``tables`` (positions' cosines and sines), which every
    stage has; of the end (final norm and head), with a token table of its own unless it is ``tied`` in the same place.
    """

    groups: tuple[Sums, ...]
    embedding: Sums
    tables: Sums
    end: Sums
    tied: Sums


@lru_cache(maxsize=1024)
def spans(repeats: tuple[int, ...], pp: int, virtual: int = 1) -> tuple[Span, ...]:
    """The stages of ``pp`` for groups of ``repeats`` layers, in the order of the spec's groups.

    The first L mod pp stages have one layer more than the others. Where pp · ``virtual`` chunks are one or two more than there
    are layers, each layer fills a chunk, the embedding one of its own, and the head another (Llama Team 2024, arXiv:2407.21783,
    sec. 3.3.2).

    >>> [span.layers for span in spans((7,), 2)], [span.layers for span in spans((126,), 16, 8)][-2:]
    ([4, 3], [8, 7])
    """
    n = sum(repeats)
    each, more = divmod(n, pp)
    sizes = [each + (stage < more) for stage in range(pp)]
    if pp * virtual > n:
        sizes = [virtual] * pp
        sizes[0] -= 1
        sizes[-1] -= pp * virtual - n - 1
    made, end = [], 0
    for stage, size in enumerate(sizes):
        first, end = end, end + size
        counts, start = [], 0
        for repeat in repeats:
            counts.append(max(0, min(start + repeat, end) - max(start, first)))
            start += repeat
        made.append(Span(stage, size, tuple(counts), stage == 0, stage == pp - 1))
    return tuple(made)


@lru_cache(maxsize=1024)
def fullest(repeats: tuple[int, ...], pp: int, virtual: int = 1) -> tuple[Span, ...]:
    """The stages that may be the fullest: not those that have no more than an earlier one, which has no fewer micro-batches in
    flight.

    >>> [span.stage for span in fullest((96,), 8)], [span.stage for span in fullest((3, 58), 16)]
    ([0, 7], [0, 1, 15])
    """
    found: list[Span] = []
    for span in spans(repeats, pp, virtual):
        if not any(_covers(earlier, span) for earlier in found):
            found.append(span)
    return tuple(found)


def _covers(one: Span, other: Span) -> bool:
    more = all(a >= b for a, b in zip(one.counts, other.counts, strict=True))
    return more and one.first >= other.first and one.last >= other.last


def tally(spec: ModelSpec, ops: Iterable[Op], measure: Callable[[Op], Sums], width: int) -> Tally:
    """``measure`` (``width`` integers per op) summed up by place; in the layers per layer, so for an op once."""
    names = list(spec.kinds)
    places = {name: [0] * width for name in (*names, "embedding", "tables", "end", "tied")}

    def put(place: str, op: Op) -> None:
        into = places[place]
        for i, value in enumerate(measure(op)):
            into[i] += value

    for op in ops:
        if in_layers(op):
            put(op.group, op._replace(times=1))
        elif op.group == "embedding":
            put("tables" if op.component == "embedding.rotary" else "embedding", op)
        else:
            put("end", op._replace(dims=op.dims | {"tied": 0}) if op.component == "head" else op)
            put("tied", op)
    groups = tuple(tuple(places[name]) for name in names)
    return Tally(groups, *(tuple(places[name]) for name in ("embedding", "tables", "end", "tied")))


def total(of: Tally, span: Span) -> tuple[Sums, Sums, Sums]:
    """A stage's sums: its layers', its part of the embedding's, its end's."""
    width = len(of.embedding)
    layers = tuple(sum(n * one[i] for n, one in zip(span.counts, of.groups, strict=True)) for i in range(width))
    embedding = tuple(table + (first if span.first else 0) for table, first in zip(of.tables, of.embedding, strict=True))
    end = (of.tied if span.first else of.end) if span.last else (0,) * width
    return layers, embedding, end


def present(of: Tally, span: Span) -> list[Sums]:
    """The sums of one layer, for each group of which the stage has any."""
    return [one for n, one in zip(span.counts, of.groups, strict=True) if n]


def in_flight(stage: int, pp: int, virtual: int, micro_batches: int | None) -> int:
    """Chunks of layers (a stage's layers / virtual) whose activations a stage holds at most.

    1F1B holds pp - stage micro-batches (Narayanan et al. 2021, arXiv:2104.04473, sec. 2.2.1); interleaved, 2 (pp - stage - 1) +
    (virtual - 1) pp + 1 chunks, on the first stage pp·virtual + pp - 1, which is 1 + (pp - 1) / (pp·virtual) times as much
    (Korthikanti et al. 2022, arXiv:2205.05198, sec. 4.2.3).

    >>> in_flight(0, 4, 1, None), in_flight(3, 4, 1, None), in_flight(0, 4, 2, None), in_flight(0, 4, 1, 2)
    (4, 1, 11, 2)
    """
    most = pp - stage if virtual == 1 else 2 * (pp - stage - 1) + (virtual - 1) * pp + 1
    return most if micro_batches is None else min(most, micro_batches * virtual)
