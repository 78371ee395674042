"""The topics that people meet first, each a text of its own: a formula, its symbols, a model's numbers in it, its limits.

One YAML file a theme, here beside. A symbol's line is its value in the example, what it stands for, and its unit (none for a
plain number), parted by bars; an answer is a command and the figure of its JSON that the symbol equals. tests/test_lessons.py
reads each formula as it is printed, computes it from the values as they are printed, and asks the commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmcx.catalog.files import parse, read_text
from llmcx.explain import Computed, Draft, Example, Formula, Lesson, Symbol

THEMES = {
    "model": "a model",
    "memory": "memory",
    "long": "long sequences",
    "experts": "experts",
    "scaling": "training and scaling",
    "parallel": "parallelism",
    "tuning": "fine-tuning and quantisation",
    "serving": "speed and serving",
    "theory": "the textbook",
}
"""File -> theme, in the order in which they are listed."""

SYMBOL = re.compile(r"[^\W\d][a-z_]*")


def drafts() -> Iterator[Draft]:
    """A topic for each."""
    for file, theme in THEMES.items():
        path = Path(__file__).with_name(f"{file}.yaml")
        for name, of in parse(read_text(str(path)), path.name).items():
            yield draft(name, theme, of)


def draft(name: str, theme: str, of: dict[str, Any]) -> Draft:
    """One topic as its file has it."""
    symbols = [symbol(word, line) for word, line in of["symbols"].items()]
    told = {each.symbol: each for each in symbols}
    formulas = [Formula(told[text.partition(" = ")[0]].meaning, text, of["source"]) for text in of["formula"]]
    answers = [Computed(word, *map(str.strip, line.split(" | "))) for word, line in of["answers"].items()]
    return Draft(
        name,
        of["title"],
        theme,
        of["text"],
        formulas,
        lambda: [worked(text, told) for text in of["formula"]],
        symbols={word: (each.meaning, each.unit) for word, each in told.items()},
        commands=tuple(dict.fromkeys(answer.command for answer in answers)),
        synonyms=tuple(of.get("also", ())),
        lesson=Lesson(of["example"], symbols, answers, of["misleads"], list(of.get("see", ()))),
    )


def symbol(word: str, line: str) -> Symbol:
    """A symbol from its line.

    >>> symbol("w", "2 | bytes of a number | bytes")
    Symbol(symbol='w', meaning='bytes of a number', unit='bytes', value='2')
    """
    value, meaning, *unit = (part.strip() for part in str(line).split(" | "))
    return Symbol(word, meaning, unit[0] if unit else "1", value)


def worked(formula: str, symbols: dict[str, Symbol]) -> Example:
    """A formula with the values put in.

    >>> worked("M = L·n²", {"M": Symbol("M", "", "bytes", "18"), "L": Symbol("L", "", "1", "2"), "n": Symbol("n", "", "1", "3")})
    Example(asked='M = 2·3²', result='18 bytes')
    """
    left, _, right = formula.partition(" = ")
    put = SYMBOL.sub(lambda found: symbols[found[0]].value or found[0] if found[0] in symbols else found[0], right)
    of = symbols[left]
    return Example(f"{left} = {put}", str(of.value) if of.unit == "1" else f"{of.value} {of.unit}")
