"""The order of layers in short: runs, and patterns of runs that come again; and names for the kinds of layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Union

from llmcx.model.spec import Attention, Layers, MoE

Entry = tuple[int, Union[str, tuple["Entry", ...]]]
"""How often, and what: a kind's name, or a pattern of entries."""

LONGEST_PATTERN = 64
LONGEST_STACK = 10_000
"""Layers within which patterns are looked for; a longer stack is written as its runs."""


def shorten(runs: Sequence[tuple[str, int]]) -> tuple[Entry, ...]:
    """The fewest entries that give ``runs``, where a pattern counts two more than what is in it.

    >>> shorten([("local", 5), ("full", 1)] * 10 + [("local", 2)])
    ((10, ((5, 'local'), (1, 'full'))), (2, 'local'))
    """
    if len(runs) < 3 or sum(n for _, n in runs) > LONGEST_STACK:
        return tuple((n, name) for name, n in runs)
    return _shortest(tuple(name for name, n in runs for _ in range(n)))[1]


@cache
def _shortest(names: tuple[str, ...]) -> tuple[int, tuple[Entry, ...]]:
    """What the shortest way to write ``names`` costs, and the way itself."""
    n = len(names)
    periods = range(2, min(LONGEST_PATTERN, n // 2) + 1)
    again = {p: _repeats(names, p) for p in periods}
    run = _repeats(names, 1)
    best: list[tuple[int, Entry, int]] = [(0, (0, ""), n)] * (n + 1)  # of the rest from i on: cost, first entry, where it ends
    for i in reversed(range(n)):
        end = i + run[i]
        best[i] = (1 + best[end][0], (run[i], names[i]), end)
        for p in periods:
            if again[p][i] > 1:
                end = i + p * again[p][i]
                inner, entries = _shortest(names[i : i + p])
                cost = 2 + inner + best[end][0]
                if cost < best[i][0] or (cost == best[i][0] and again[p][i] > 2 and isinstance(best[i][1][1], str)):
                    best[i] = cost, (again[p][i], entries), end
    found: list[Entry] = []
    i = 0
    while i < n:
        _, entry, i = best[i]
        found.append(entry)
    return best[0][0], tuple(found)


def _repeats(names: tuple[str, ...], p: int) -> list[int]:
    """For each place, how often the ``p`` names that begin there follow one another."""
    same = [0] * (len(names) + 1)
    for i in reversed(range(len(names) - p)):
        same[i] = same[i + 1] + 1 if names[i] == names[i + p] else 0
    return [min(same[i] // p + 1, (len(names) - i) // p) for i in range(len(names))]


def repeated(entries: Sequence[Entry]) -> set[str]:
    """The kinds that stand in several places, or in a pattern.

    >>> sorted(repeated(((1, "first"), (5, ((1, "a"), (2, "b"))), (2, "last"))))
    ['a', 'b']
    """
    said = Counter(_said(entries))
    return {name for name, count in said.items() if count > 1}


def _said(entries: Sequence[Entry], times: int = 1) -> Iterator[str]:
    """Each kind wherever it stands, twice where that is in a pattern."""
    for _, what in entries:
        if isinstance(what, str):
            yield from [what] * times
        else:
            yield from _said(what, 2)


def text(entries: Sequence[Entry]) -> str:
    """In a line.

    >>> text(shorten([("local", 5), ("full", 1)] * 10 + [("local", 2)]))
    '10 x (5 local, full), 2 local'
    """
    return ", ".join(_text(count, what) for count, what in entries)


def _text(count: int, what: str | tuple[Entry, ...]) -> str:
    if isinstance(what, str):
        return what if count == 1 else f"{count} {what}"
    return f"{count} x ({text(what)})"


def period(runs: Sequence[tuple[str, int]]) -> int | None:
    """Layers after which all of ``runs`` comes again, at least once in full; None where there is no such number.

    >>> period([("local", 5), ("full", 1)] * 10 + [("local", 2)]), period([("dense", 3), ("moe", 58)])
    (6, None)
    """
    if sum(n for _, n in runs) > LONGEST_STACK:
        return None
    names = [name for name, n in runs for _ in range(n)]
    return next((p for p in range(1, len(names) // 2 + 1) if names[p:] == names[:-p]), None)


def labels(kinds: Mapping[str, Layers]) -> dict[str, str]:
    """A name for each of ``kinds`` from what tells it from the others: "sliding" and "full", "mamba", "attention_moe".

    >>> from llmcx.model.spec import Plain, Sliding
    >>> heads, ffn = Attention(2), Plain(8)
    >>> labels({"a": Layers(1, heads, ffn), "b": Layers(1, Attention(2, core=Sliding(4)), ffn), "c": Layers(1, None, ffn)})
    {'a': 'full', 'b': 'sliding', 'c': 'mlp'}
    """
    cores = {layers.mixer.core.type for layers in kinds.values() if isinstance(layers.mixer, Attention)}
    mixtures = any(isinstance(layers.ffn, MoE) for layers in kinds.values())
    words = {name: [*_words(layers, len(cores) > 1, mixtures)] for name, layers in kinds.items()}
    telling = [len(set(column)) > 1 for column in zip(*words.values(), strict=True)]
    found: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for name, row in words.items():
        label = "_".join(word for word, tells in zip(row, telling, strict=True) if word and tells) or next(
            filter(None, row), "layer"
        )
        taken[label] += 1
        found[name] = label if taken[label] == 1 else f"{label}_{taken[label]}"
    return found


def _words(layers: Layers, cores: bool, mixtures: bool) -> Iterator[str]:
    """What the mixer is, what stands beside it, what the feed-forward is, whether weights are those of another layer."""
    mixer = layers.mixer
    if isinstance(mixer, Attention) and cores:
        yield "full" if mixer.core.type == "standard" else mixer.core.type
    else:
        yield getattr(mixer, "type", "")
    yield getattr(layers.beside, "type", "")
    if isinstance(layers.ffn, MoE):
        yield "moe"
    else:
        yield "" if layers.ffn is None else "dense" if mixtures and mixer is not None else "mlp"
    yield "reused" if layers.reused or getattr(layers.beside, "reused", False) else ""
