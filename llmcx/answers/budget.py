"""Every launch line of a repository against what it must do, and what changed since an earlier answer, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmcx.answers import Line, Result
from llmcx.answers.check import Change
from llmcx.answers.compare import Change as Moved
from llmcx.answers.compare import Difference, Value, Why, change, differences, why
from llmcx.answers.memory import Part
from llmcx.errors import InputError

FIGURES = (
    *("total_bytes", "headroom_bytes", "users", "cache_tokens"),
    *("ttft_s", "tpot_s", "tokens_per_s_user", "usd_per_million"),
)
"""What is set beside an earlier answer."""


@dataclass(frozen=True)
class Entry:
    """A launch line: what it was asked with, whether it meets what it ``require``-s, its figures for the fewest users of its
    estimate (None where it does not fit, they are not known, or it has none), the parts of its memory, and what would make it
    fit.
    """

    name: str
    require: str
    met: bool
    fits: bool
    total_bytes: int
    budget_bytes: int
    headroom_bytes: int
    users: int | None
    cache_tokens: int | None
    ttft_s: float | None
    tpot_s: float | None
    tokens_per_s_user: float | None
    usd_per_million: float | None
    parts: list[Part]
    changes: list[Change]
    asked: dict[str, Value]


@dataclass(frozen=True)
class Changed:
    """An entry that is not as it was: "added", "removed", or "changed": whether it met what is required, and does; what it was
    asked with that is not the same; its figures that are not; and which parts of the memory make the difference, largest first.
    """

    name: str
    what: str
    met_before: bool | None
    met: bool | None
    inputs: list[Difference]
    figures: list[Moved]
    why: Why | None


@dataclass(frozen=True, repr=False)
class Budget(Result, brief="met entries changed", table="entries"):
    """Whether every launch line meets what is required of it; and what changed, where there is an earlier answer."""

    met: bool
    entries: list[Entry]
    changed: list[Changed] | None = None


def entry(name: str, require: str, asked: Mapping[str, Value], found: Any) -> Entry:
    """A launch line's answer, as :class:`llmcx.answers.check.Check` has it."""
    first = found.estimate[0] if isinstance(found.estimate, list) and found.estimate else None
    times = {figure: getattr(first, figure, None) for figure in FIGURES[4:]}
    return Entry(
        name=name,
        require=require,
        met=found.met is True,
        fits=found.fits,
        total_bytes=found.total_bytes,
        budget_bytes=found.budget_bytes,
        headroom_bytes=found.headroom_bytes,
        users=getattr(found, "users", None),
        cache_tokens=getattr(found, "cache_tokens", None),
        **times,
        parts=found.parts,
        changes=found.changes,
        asked=dict(asked),
    )


def budget(entries: list[Entry], before: list[Entry] | None = None) -> Budget:
    """All of them, beside those of ``before``."""
    met = all(each.met for each in entries)
    return Budget(met, entries, None if before is None else against(entries, before))


def against(now: list[Entry], before: list[Entry]) -> list[Changed]:
    """What is not as it was, entry by entry."""
    old, new = ({each.name: each for each in side} for side in (before, now))
    found = []
    for name in {**new, **old}:
        if name not in new:
            found.append(Changed(name, "removed", old[name].met, None, [], [], None))
        elif name not in old:
            found.append(Changed(name, "added", None, new[name].met, [], [], None))
        elif (one := _changed(old[name], new[name])) is not None:
            found.append(one)
    return found


def _changed(old: Entry, new: Entry) -> Changed | None:
    """The difference of an entry's two answers; None where there is none."""
    asked = [{"require": side.require, **side.asked} for side in (old, new)]
    inputs = differences(*asked)
    pairs = [(figure, getattr(old, figure), getattr(new, figure)) for figure in FIGURES]
    figures = [change("check", figure, a, b) for figure, a, b in pairs if a != b]
    if not inputs and not figures and old.met == new.met:
        return None
    terms = [{part.part: [Line(part.part, part.formula, "", part.bytes, "")] for part in side.parts} for side in (old, new)]
    parts = why("memory", (old, new), (terms[0], terms[1]))
    return Changed(new.name, "changed", old.met, new.met, inputs, figures, parts if parts.causes else None)


def earlier(data: Any, path: str) -> list[Entry]:
    """The entries of an answer as it was written in JSON. Raises InputError for what is none."""
    try:
        if data["schema"].partition("/")[0] != "llmcx.check":
            raise TypeError
        return [_read(row) for row in data["result"]["entries"]]
    except (TypeError, KeyError, AttributeError):
        problem = f"{path} is no answer of `llmcx check --all --json`, nor an llmcx.toml"
        raise InputError(problem, field="against", value=path) from None


def _read(row: Any) -> Entry:
    """One entry. Raises TypeError or KeyError."""
    kinds: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(("name", "require"), (str,)),
        **dict.fromkeys(("met", "fits"), (bool,)),
        **dict.fromkeys((*FIGURES[:2], "budget_bytes"), (int,)),
        **dict.fromkeys(FIGURES[2:], (int, float, type(None))),
    }
    if any(not isinstance(row[name], kind) for name, kind in kinds.items()) or not isinstance(row["asked"], dict):
        raise TypeError
    parts = [Part(part["part"], part["bytes"], part["formula"]) for part in row["parts"]]
    if not all(isinstance(part.part, str) and isinstance(part.bytes, int) for part in parts):
        raise TypeError
    return Entry(**{name: row[name] for name in kinds}, parts=parts, changes=[], asked=row["asked"])
