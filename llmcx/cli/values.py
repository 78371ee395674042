"""Values as people write them: one, lists, ranges; and a command asked at every combination of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from llmcx import units
from llmcx.cli.grid import MOST, Grid, entries
from llmcx.errors import InputError, shown

if TYPE_CHECKING:
    from llmcx.cli.options import Declared, Question
    from llmcx.report.render import Answer, Item

AT_ONCE = 1000
"""Answers that a command gives at once; `llmcx sweep` streams any number."""

NAMED = ("--engine", "--dtype", "--kv-dtype", "--compute-dtype", "--optimizer", "--recompute", "--attn")
"""Options whose values are llmcx's own names, in whatever case; of formats in torch's names too."""
WHOLE_NUMBERS: dict[str, Callable[[str, str], int]] = {"count": units.count, "length": units.length, "size": units.size}


def texts(text: str, reads: str, flag: str) -> list[Any]:
    """What a text lists, of an option that ``reads`` such values.

    >>> texts("512,1k:4k:x2", "length", "--seq"), texts("0.1:0.3:+0.1", "number", "--x"), texts("bf16,q4_k_m", "word", "--dtype")
    ([512, 1024, 2048, 4096], [0.1, 0.2, 0.3], ['bf16', 'q4_k_m'])
    >>> texts("BF16,float16", "word", "--dtype"), texts("vLLM", "word", "--engine")
    (['bf16', 'fp16'], ['vllm'])
    """
    if reads in ("text", "argument"):
        return [text]
    if reads in ("count", "length", "integer"):
        _no_thousands(text, flag)
    if (one := WHOLE_NUMBERS.get(reads)) is not None:
        return list(units.many(text, one, flag, MOST))
    if reads == "integer":
        return list(units.many(text, _integer, flag, MOST))
    if reads in ("number", "share"):
        return decimals(text, flag, reads == "share")
    if reads == "time":
        return [units.seconds(entry, flag) for entry in text.split(",")]
    if reads == "rate":
        return [units.rate(entry, flag) for entry in text.split(",")]
    found = entries(text)
    if not all(found):
        raise InputError(f"{flag} is {shown(text)}, which has an empty entry", field=flag, value=text[:200])
    if flag in NAMED:
        from llmcx.cli.spelling import FORMATS

        return [FORMATS.get(entry.lower(), entry.lower()) for entry in found]
    return list(found)


def _integer(text: str, flag: str) -> int:
    if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) is None:
        problem = f"{flag} is {shown(text)}, but must be a whole number"
        raise InputError(problem, field=flag, value=text[:200], allowed="a whole number")
    return int(text)


def _no_thousands(text: str, flag: str) -> None:
    """Refuse 4,096, which a list would take for two numbers. Two numbers of three digits, as in 128,256, are a list."""
    if re.fullmatch(r"\d{1,3}(,\d{3})+", text.strip(), re.ASCII) is None:
        return
    _, *later = text.split(",")
    one = int(text.replace(",", ""))
    if one % 1024 == 0 or any(group[0] == "0" or int(group) % 4 for group in later) or flag == "--vocab":
        problem = f"{flag} is {text}, which reads as one number with thousands separators; write {one}, or a list with blanks"
        raise InputError(problem, field=flag, value=text[:200], allowed=f"{one}")


def decimals(text: str, flag: str, share: bool = False) -> list[float]:
    """A list of decimal numbers and ranges of them; of a ``share``, each may be a percentage.

    >>> decimals("4.5,0.1:0.3:+0.1", "--price"), decimals("90%", "--utilization", share=True)
    ([4.5, 0.1, 0.2, 0.3], [0.9])
    """
    from decimal import Decimal, InvalidOperation  # which few calls need

    out: list[Decimal] = []
    what = "a share such as 90% or 0.9" if share else "a number"
    for entry in text.split(","):
        try:
            parts = [part.strip() for part in entry.split(":")]
            by = parts.pop().removeprefix("+") if len(parts) == 3 and parts[2].startswith("+") else None
            ends = [Decimal(p[:-1]) / 100 if share and p.endswith("%") else Decimal(p) for p in parts]
            if not all(end.is_finite() for end in ends) or len(ends) != (1 if by is None else 2):
                raise InvalidOperation
            if by is None:
                out += ends
                continue
            low, high = ends
            step = Decimal(by)
            if step <= 0 or not 0 <= high - low < MOST * step:
                raise InvalidOperation
            out += [low + k * step for k in range(int((high - low) / step) + 1)]
        except InvalidOperation:
            problem = f"{flag} is {shown(text)}, but must be {what}, or a list, or a range FROM:TO:+STEP that grows up to its end"
            raise InputError(problem, field=flag, value=text[:200], allowed=what) from None
    found = [float(number) for number in out]
    if not all(map(isfinite, found)):
        raise InputError(f"{flag} is {shown(text)}, which is beyond any number here", field=flag, value=text[:200], allowed=what)
    return found


def read(declared: Declared, flag: str, given: Any, each: bool = False) -> list[Any]:
    """The values that an option is given: texts as on the command line, or numbers and lists as in Python or a plan's file.

    An option that is answered as a ``whole`` has one value, a list; with ``each``, one for every entry.
    """
    found: list[Any] = []
    for entry in given if isinstance(given, (list, tuple, range)) else [given]:
        if isinstance(entry, (list, tuple)) and declared.whole:
            found.append(read(declared, flag, entry)[0])
        elif declared.reads == "flag":
            found.append(_truth(entry, flag))
        elif isinstance(entry, str):
            values = texts(entry, declared.reads, flag)
            found += [[value] for value in values] if declared.whole and each else values
        else:
            value = _number(entry, declared.reads, flag)
            found.append([value] if declared.whole and each and value is not None else value)
    return found if each or not declared.whole else [found]


def _truth(value: Any, flag: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise InputError(f"{flag} is {shown(value)}, but must be true or false", field=flag, value=shown(value))


def _number(value: Any, reads: str, flag: str) -> Any:
    """A value that is no text, as the option takes it."""
    if value is None or reads in ("argument", "any"):
        return value
    whole = reads in ("count", "length", "size", "integer")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (whole and isinstance(value, float)):
        if whole and isinstance(value, float) and value.is_integer() and abs(value) < 1e36:
            return int(value)
        what = {"word": "text", "text": "text", "words": "text"}.get(reads, "a whole number" if whole else "a number")
        raise InputError(f"{flag} is {shown(value)}, but must be {what}", field=flag, value=shown(value), allowed=what)
    if reads in ("time", "rate") and not 0 < value < 1e12:
        what = "a time" if reads == "time" else "a rate"
        allowed = "seconds" if reads == "time" else "requests a second"
        raise InputError(f"{flag} is {shown(value)}, but must be {what} above 0", field=flag, value=shown(value), allowed=allowed)
    if reads in ("number", "share", "time", "rate"):
        return float(value)
    return value if whole else str(value)


def lists(question: Question, given: Mapping[str, Any], each: bool = False) -> dict[str, list[Any]]:
    """The values of every option given; models in one list, however they are named."""
    found = {name: read(question.declared[name], question.flags[name], value, each) for name, value in given.items()}
    if "model" in question.declared:
        from llmcx.catalog.load import spelled

        sources = {kind: found.pop(kind) for kind in ("model", "preset", "config", "hf") if kind in found}
        models = [spelled(kind, source) for kind, listed in sources.items() for source in listed]
        if models.count("-") > 1:
            raise InputError("- is named twice, but stdin can be read only once", field="config", value="-")
        if sources:
            found = {"model": models} | found
    return found


def given(question: Question, values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of a parsed command line."""
    return {name: value for name, value in values.items() if value not in (None, (), []) and name in question.declared}


def once(question: Question, values: Mapping[str, Any]) -> dict[str, Any]:
    """One value of each option given, for a command that is asked once.

    Raises InputError for a list.
    """
    asked = given(question, values)
    one = {name: asked.pop(name) for name in question.arguments if name in asked and name != "model"}
    for name, found in lists(question, asked).items():
        if len(found) != 1:
            what = "one model is taken here, not" if name == "model" else f"{question.flags[name]} takes one value here, not"
            raise InputError(f"{what} {len(found):,}", field=name, value=str(found)[:200])
        [one[name]] = found
    return one


def ask(question: Question, values: Mapping[str, Any]) -> Answer:
    """The answers at every combination of the values given, the last option's changing fastest."""
    from llmcx.cli.models import remembering
    from llmcx.report.render import Answer

    asked = given(question, values)
    fixed = {name: asked.pop(name) for name in question.arguments if name in asked and name != "model"}
    grid = Grid(lists(question, asked))
    if grid.size > AT_ONCE:
        problem = f"that is {grid.size:,} answers, more than {AT_ONCE:,} at once; `llmcx sweep` streams any number"
        raise InputError(problem, field=grid.names[-1])
    items: list[Item] = []
    view = None
    several = {name for names, points in grid.axes if len(points) > 1 for name in names}
    with remembering({}):
        for point in map(grid.point, range(grid.size)):
            try:
                answer = question.answer(fixed | point)
            except InputError as error:
                if not several:
                    raise
                said = {name for name in several if name != "model" or str(point[name]) not in error.message}
                raise at({name: value for name, value in point.items() if name in said}, error) from None
            one = answer if isinstance(answer, Answer) else Answer(answer if isinstance(answer, list) else [answer])
            view = one.view
            more = {name: point[name] for name in point if name in several and name != "model"}
            items += [item._replace(inputs=more | item.inputs) for item in one.items]
    return Answer(items, view)


def at(point: Mapping[str, Any], error: InputError) -> InputError:
    """A refusal, with the point of several at which it happened."""
    where = ", ".join(f"{name} {value}" for name, value in point.items())
    return InputError(
        f"at {where}: {error.message}" if where else error.message,
        field=error.field,
        value=error.value,
        allowed=error.allowed,
        nearest=error.nearest,
    )


def named(names: Iterable[str]) -> str:
    """Names in a sentence."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
