"""Bars of letters: what fills a GPU, readable without colour and in plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_letters

LETTERS = {
    "weights": "W",
    "gradients": "G",
    "optimizer": "O",
    "activations": "A",
    "logits": "L",
    "workspace": "w",
    "kv_cache": "K",
    "state": "S",
    "other": "A",
    "shared": "S",
    "met": "E",
    "idle": "·",
    "attention and the rest": "A",
    "shared experts": "S",
    "experts met": "E",
    "idle experts": "·",
}


def letters(parts: Sequence[str]) -> dict[str, str]:
    """A letter for each part, no two the same: its own, else the first of its name that is free.

    >>> letters(["weights", "workspace", "attention", "and", "q"])
    {'weights': 'W', 'workspace': 'w', 'attention': 'a', 'and': 'n', 'q': 'q'}
    """
    found: dict[str, str] = {part: LETTERS[part] for part in parts if part in LETTERS}
    for part in parts:
        if part not in found:
            free = (letter for letter in f"{part}{ascii_letters}" if letter.isalpha() and letter not in found.values())
            found[part] = next(free, "?")
    return {part: found[part] for part in parts}


def bar(parts: Mapping[str, int], full: int, budget: int | None = None, width: int = 40) -> str:
    """Each part's letter, as often as its share of ``full``; dots to the budget's line, which stands at its place.

    >>> bar({"weights": 30, "activations": 20}, full=100, budget=80, width=10)
    'WWWAA···|'
    """
    filled, out = 0, ""
    for part, size in parts.items():
        filled += size
        out += LETTERS[part] * (round(width * filled / full) - len(out))
    if budget is None:
        return out
    line = round(width * budget / full)
    return f"{out[:line]}{'·' * (line - len(out))}|{out[line:]}"


def legend(parts: Mapping[str, int]) -> str:
    """What the letters mean.

    >>> legend({"weights": 1, "logits": 1})
    'W weights, L logits'
    """
    return ", ".join(f"{LETTERS[part]} {part}" for part, size in parts.items() if size)
