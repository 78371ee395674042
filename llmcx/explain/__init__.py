"""What `llmcx explain` tells: every formula with its symbols, units, source and an example, read off the code that computes it.

The topics that people meet first have texts of their own (lessons/); a test computes their examples and asks the commands. The
others are no second copy: rules, variants, laws, optimizers and formats are listed from their registries; prose and examples are
the docstrings'; what a topic quotes is held against the code by tests/test_explain.py. names.txt lists the topics for a shell,
which asks at every press of the key; `python -m llmcx.explain` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from llmcx.answers import Line

NAMES = Path(__file__).resolve().parent / "names.txt"


class Formula(NamedTuple):
    """What it gives, the formula, and where it comes from."""

    what: str
    formula: str
    source: str


class Symbol(NamedTuple):
    """What a symbol stands for, and in what unit: "1" for a plain number. ``value``: in the worked example, as it is printed."""

    symbol: str
    meaning: str
    unit: str
    value: str | None = None


class Example(NamedTuple):
    """What was computed, just now, and what came out."""

    asked: str
    result: str


class Slip(NamedTuple):
    """Where the textbook chapter that llmcx started from is wrong or loose."""

    chapter: str
    checked: str


class Computed(NamedTuple):
    """The command that computes a symbol's value, and where in the result of its JSON it stands."""

    symbol: str
    command: str
    field: str


class Lesson(NamedTuple):
    """What a topic that people meet first has more: whose numbers the example has, the symbols with their values, the commands
    that give the same, when the formula misleads, and topics to read next.
    """

    example: str
    symbols: list[Symbol]
    answers: list[Computed]
    misleads: str
    see: list[str]


@dataclass(frozen=True)
class Topic:
    """One topic. ``numbers`` are a model's, where one is named. ``lesson``: of the topics that people meet first; of the others
    ``text`` is the docstring of what computes it.
    """

    name: str
    title: str
    group: str
    text: str
    formulas: list[Formula]
    symbols: list[Symbol]
    examples: list[Example]
    chapter: list[Slip]
    commands: list[str]
    synonyms: list[str]
    numbers: list[Line]
    lesson: Lesson | None = None


class Entry(NamedTuple):
    """A topic in the list of all."""

    name: str
    title: str
    group: str


class Draft(NamedTuple):
    """A topic before its examples are run: what is cheap to say of it, and how to say the rest.

    ``symbols`` are those of its own, beside and before :data:`~llmcx.explain.symbols.SYMBOLS`; ``applied`` puts a model's numbers
    in, given the spec, the batch and the length.
    """

    name: str
    title: str
    group: str
    text: str
    formulas: list[Formula]
    examples: Callable[[], list[Example]]
    symbols: Mapping[str, tuple[str, str]] = MappingProxyType({})
    commands: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    applied: Callable[[Any, int, int], list[Line]] | None = None
    lesson: Lesson | None = None


def names() -> list[str]:
    """The topics' names, from the checked-in list."""
    return NAMES.read_text(encoding="utf-8").split()


def known(name: str) -> bool:
    """Whether a topic is called so, or also called so."""
    from llmcx.explain import rules
    from llmcx.explain.collect import drafts, synonyms

    wanted = rules.hyphens(name.strip())
    return wanted in drafts() or wanted in synonyms()


def listed(every: bool = False) -> list[Entry]:
    """The topics that people meet first by theme, with a title each; with ``every`` all others after them."""
    from llmcx.explain.collect import drafts

    return [Entry(draft.name, draft.title, draft.group) for draft in drafts().values() if every or draft.lesson]


def topic(name: str, spec: Any = None, batch: int = 1, seq: int | None = None) -> Topic:
    """A topic by its name or a synonym, its examples run, with the numbers of ``spec`` put in where one is given.

    Raises InputError with the nearest names for an unknown one, and where a topic has no numbers of a model.
    """
    from llmcx.explain.collect import find, made

    return made(find(name), spec, batch, seq)
