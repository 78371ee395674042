"""Stages of a pipeline: which layers each has, in the model's order, and how many micro-batches are in flight there."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

Runs = tuple[tuple[str, int], ...]
"""Layers in order: the name of a kind, and how many of it follow one another (:attr:`llmcx.model.spec.ModelSpec.runs`)."""


class Stage(NamedTuple):
    """What a stage has: of each kind of layer ``counts``, in the order in which the kinds come first in the model, ``layers`` in
    all; the first stage the embedding, the last the head.
    """

    number: int
    layers: int
    counts: tuple[int, ...]
    first: bool
    last: bool


@lru_cache(maxsize=1024)
def stages(runs: Runs, pp: int, virtual: int = 1, more: str = "first") -> tuple[Stage, ...]:
    """The stages of ``pp``; stage s has the chunks of layers s, s + pp, ... of pp · ``virtual``.

    L mod pp stages have one layer ``more`` than the others: the "first" ones, the "last" ones, or those before the last one
    ("middle"). Where pp · virtual chunks are one or two more than there are layers, each layer fills a chunk, the embedding one
    of its own, and the head another (Llama Team 2024, arXiv:2407.21783, sec. 3.3.2).

    >>> [stage.layers for stage in stages((("a", 7),), 2)], [stage.layers for stage in stages((("a", 126),), 16, 8)][-2:]
    ([4, 3], [8, 7])
    >>> [stage.counts for stage in stages((("a", 1), ("b", 1)) * 4, 2)]
    [(2, 2), (2, 2)]
    >>> [[stage.layers for stage in stages((("a", 61),), 4, 1, more)] for more in ("first", "middle", "last")]
    [[16, 15, 15, 15], [15, 15, 16, 15], [15, 15, 15, 16]]
    """
    n = sum(count for _, count in runs)
    each, rest = divmod(n, pp)
    start = {"first": 0, "middle": max(0, pp - 1 - rest), "last": pp - rest}[more]
    sizes = [each + (start <= stage < start + rest) for stage in range(pp)]
    if pp * virtual > n:
        sizes = [virtual] * pp
        sizes[0] -= 1
        sizes[-1] -= pp * virtual - n - 1
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(kind for kind, _ in runs))}
    counts = [[0] * len(kinds) for _ in range(pp)]
    left = list(reversed(runs))
    for chunk in range(virtual):
        for stage, size in enumerate(sizes):
            # A missing layer is the first chunk's of the first stage, and the last chunk's of the last.
            late = stage == 0 and pp * virtual > n
            some = (size + chunk) // virtual if late else size // virtual + (chunk < size % virtual)
            while some:
                kind, count = left.pop()
                taken = min(some, count)
                counts[stage][kinds[kind]] += taken
                some -= taken
                if taken < count:
                    left.append((kind, count - taken))
    return tuple(Stage(s, sizes[s], tuple(counts[s]), s == 0, s == pp - 1) for s in range(pp))


@lru_cache(maxsize=1024)
def distinct(runs: Runs, pp: int, virtual: int = 1, more: str = "first") -> tuple[tuple[Stage, int], ...]:
    """The stages that differ in what they have, each with how many there are like it.

    >>> [(stage.number, many) for stage, many in distinct((("a", 96),), 8)]
    [(0, 1), (1, 6), (7, 1)]
    """
    found: dict[tuple[tuple[int, ...], bool, bool], list[Stage]] = {}
    for stage in stages(runs, pp, virtual, more):
        found.setdefault((stage.counts, stage.first, stage.last), []).append(stage)
    return tuple((like[0], len(like)) for like in found.values())


@lru_cache(maxsize=1024)
def fullest(runs: Runs, pp: int, virtual: int = 1, more: str = "first") -> tuple[Stage, ...]:
    """The stages that may be the fullest: not those that have no more than an earlier one, which has no fewer micro-batches in
    flight.

    >>> [stage.number for stage in fullest((("a", 96),), 8)], [stage.number for stage in fullest((("a", 3), ("b", 58)), 16)]
    ([0, 7], [0, 1, 15])
    """
    found: list[Stage] = []
    for stage in stages(runs, pp, virtual, more):
        if not any(_covers(earlier, stage) for earlier in found):
            found.append(stage)
    return tuple(found)


def _covers(one: Stage, other: Stage) -> bool:
    more = all(a >= b for a, b in zip(one.counts, other.counts, strict=True))
    return more and one.first >= other.first and one.last >= other.last


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
