"""`llmcx explain chapter`: the textbook chapter that llmcx started from, quantity by quantity, on two models that people know.

lessons/chapter.yaml holds the formulas and what they come to; tests/test_lessons.py computes each and asks its command.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from llmcx.catalog.files import parse, read_text
from llmcx.explain import Slip
from llmcx.explain.slips import SLIPS

MODELS = {"gpt3": "GPT-3 175B", "llama-7b": "LLaMA 7B"}
LENGTHS = (2048, 8192, 32768, 131072, 524288)
"""Tokens at which the growth of attention is shown."""


class TourSymbol(NamedTuple):
    """A symbol of every formula here, with its value on each model, as printed."""

    symbol: str
    meaning: str
    unit: str
    values: list[str]


class Figure(NamedTuple):
    """One quantity at leading order or exact: the formula, what it is on each model as printed, and the command that computes it
    with where in its JSON's result it stands; MODEL is either, PARAMS and TOKENS are its own.
    """

    what: str
    order: str
    formula: str
    values: list[str]
    command: str
    field: str


class Section(NamedTuple):
    """A part of the chapter, where it is wrong or loose, and topics that tell more."""

    title: str
    text: str
    figures: list[Figure]
    slips: list[Slip]
    see: list[str]


class Exercise(NamedTuple):
    """A question, its steps with what each comes to, and the command that gives the last one."""

    asked: str
    steps: list[tuple[str, str]]
    command: str
    field: str
    note: str


class Growth(NamedTuple):
    """The share of attention in the layers' FLOPs at a length, on each model."""

    seq: int
    shares: list[float]


@dataclass(frozen=True)
class Tour:
    """The chapter."""

    name: str
    title: str
    models: list[str]
    symbols: list[TourSymbol]
    sections: list[Section]
    growth: list[Growth]
    exercises: list[Exercise]


TITLE = "The textbook chapter on what language models cost: leading order beside what is counted"


def tour() -> Tour:
    """The whole of it."""
    path = Path(__file__).with_name("lessons") / "chapter.yaml"
    of = parse(read_text(str(path)), path.name)
    sections = [section(each) for each in of["sections"]]
    overtakes = next(each.values for each in sections[0].figures if each.what.startswith("length from") and each.order == "exact")
    growth = [Growth(n, [n / (n + int(at.replace(",", ""))) for at in overtakes]) for n in LENGTHS]
    symbols = [symbol(word, line) for word, line in of["symbols"].items()]
    return Tour("chapter", TITLE, [*MODELS.values()], symbols, sections, growth, [exercise(each) for each in of["exercises"]])


def parts(line: Any) -> list[str]:
    """What bars part."""
    return [part.strip() for part in str(line).split(" | ")]


def symbol(word: str, line: Any) -> TourSymbol:
    """From its line: GPT-3's value, LLaMA's, the meaning, the unit if any."""
    *values, meaning, unit = [*parts(line), "1"][:4]
    return TourSymbol(word, meaning, unit, values)


def section(of: dict[str, Any]) -> Section:
    """From the file."""
    figures = []
    for each in of["figures"]:
        for order in ("leading", "exact"):
            if order in each:
                formula, *values = parts(each[order])
                command, field = parts(each[f"{order}_by"]) if f"{order}_by" in each else ("", "")
                figures.append(Figure(each["what"], order, formula, values, command, field))
    slips = [slip for name in of["slips"] for slip in SLIPS[name]]
    return Section(of["title"], of["text"], figures, slips, of["see"])


def exercise(of: dict[str, Any]) -> Exercise:
    """From the file."""
    steps = [(step, value) for step, value in map(parts, of["steps"])]
    command, field = parts(of["by"])
    return Exercise(of["asked"], steps, command, field, of["note"])
