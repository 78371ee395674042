"""All topics together, found by name, synonym or near name."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import Any

from llmcx.errors import InputError, unknown_name
from llmcx.explain import Draft, Symbol, Topic, formats, kinds, lessons, mixers, quantities, rules, slips
from llmcx.explain.symbols import SYMBOLS, used
from llmcx.model.spec import check_size, sequence_length


@lru_cache(maxsize=1)
def drafts() -> MappingProxyType[str, Draft]:
    """Every topic by its name: those that people meet first by theme, then the others in the order of their groups."""
    found = {draft.name: draft for draft in lessons.drafts()}
    generated: dict[str, Draft] = {}
    for made in (
        quantities.drafts,
        rules.drafts,
        mixers.of_variants,
        mixers.of_mixers,
        kinds.of_laws,
        kinds.of_optimizers,
        formats.of_formats,
    ):
        for draft in made():
            if draft.name in generated:
                raise ValueError(f"two topics are named {draft.name}")
            generated[draft.name] = draft
    for name, draft in generated.items():
        lesson = found.get(name)
        found[name] = draft if lesson is None else taught(lesson, draft)
    return MappingProxyType(found)


def taught(lesson: Draft, draft: Draft) -> Draft:
    """A lesson in place of a generated topic, of which it keeps what takes a model's numbers, the commands and other names."""
    synonyms = dict.fromkeys((*lesson.synonyms, *draft.synonyms))
    commands = dict.fromkeys((*lesson.commands, *draft.commands))
    return lesson._replace(applied=draft.applied, commands=tuple(commands), synonyms=tuple(synonyms))


def synonyms() -> dict[str, str]:
    """Other names of topics; none is a topic itself."""
    taken: dict[str, str] = {}
    for draft in drafts().values():  # lessons come first, and keep what a generated topic calls itself too
        for other in draft.synonyms:
            if other not in drafts():
                taken.setdefault(other, draft.name)
    return taken


def find(name: str) -> Draft:
    """A topic by its name or a synonym, however it is hyphenated. Raises InputError with the nearest ones."""
    wanted, known, others = rules.hyphens(name.strip()), drafts(), synonyms()
    wanted = others.get(wanted, wanted)
    if wanted not in known:
        raise unknown_name("topic", name, [*known, *others], field="topic", listed="explain")
    return known[wanted]


def symbols(draft: Draft) -> list[Symbol]:
    """The symbols of a topic's formulas, each once."""
    if draft.lesson is not None:
        return draft.lesson.symbols
    words = dict.fromkeys(word for formula in draft.formulas for word in used(formula.formula))
    told = {word: draft.symbols.get(word) or SYMBOLS.get(word) for word in words}
    return [Symbol(word, *meaning) for word, meaning in told.items() if meaning is not None]


def made(draft: Draft, spec: Any = None, batch: int = 1, seq: int | None = None) -> Topic:
    """A topic with its examples run, and a model's numbers put in where one is given."""
    lines = []
    if spec is not None:
        if draft.applied is None:
            raise InputError(f"the topic {draft.name} takes no model: no number of one stands in its formula", field="preset")
        check_size("batch", batch)
        lines = draft.applied(spec, batch, sequence_length(spec, seq))
        if not lines:
            raise InputError(f"{spec.name} has nothing that the topic {draft.name} is about", field="preset", value=spec.name)
    return Topic(
        name=draft.name,
        title=draft.title,
        group=draft.group,
        text=draft.text,
        formulas=draft.formulas,
        symbols=symbols(draft),
        examples=draft.examples(),
        chapter=slips.of(draft.name),
        commands=list(draft.commands),
        synonyms=[other for other, name in synonyms().items() if name == draft.name],
        numbers=lines,
        lesson=draft.lesson,
    )
