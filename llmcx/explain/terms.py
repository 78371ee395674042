"""A fold's rules with an op's numbers put in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from llmcx.answers import Line
from llmcx.explain.written import named, told
from llmcx.ops.fold import Fold
from llmcx.ops.op import Op


def terms(fold: Fold, ops: Iterable[Op]) -> list[Line]:
    """Each op that costs something in ``fold``, with what its rule does to its shapes. Where several have one name, with their
    layers.
    """
    found = [(op, value) for op, value in ((op, fold.of(op)) for op in ops) if value]
    often = Counter(op.component for op, _ in found)
    return [
        Line(_title(op, often[op.component] > 1), *told(fold.of(named(op))), value, fold.rules[op.kind].source)
        for op, value in found
    ]


def _title(op: Op, several: bool) -> str:
    return f"{op.component} in {op.group}" if several and op.group else op.component


def summed(component: str, lines: Iterable[Line], source: str = "its terms above", where: str = "") -> Line:
    """The sum of some lines that stand above it."""
    each = list(lines)
    names = [line.component for line in each]
    formula = " + ".join(names) if len(each) <= 4 and len({*names}) == len(each) else f"Σ of the {len(each)} above"
    numbers = " + ".join(f"{line.value:,}" for line in each) or "0"
    return Line(component, formula, numbers, sum(line.value for line in each), source, where)


def tree(parts: Mapping[str, Iterable[Line]]) -> list[Line]:
    """Each part's lines, and its sum under its name where that is not the only one."""
    found: list[Line] = []
    for name, lines in parts.items():
        each = list(lines)
        found += each
        if len(each) != 1:
            found.append(summed(name, each))
        elif each[0].component != name:
            found[-1] = each[0]._replace(component=name)
    return found


def by_component(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """Lines by the component that they are part of, in order of first appearance."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.component.partition(" in ")[0], []).append(line)
    return found


def by_row(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """The lines of an answer by the row that they explain: its terms, each of one kind of layer, without their sum beside them.

    >>> one, two = (Line(f"kv_cache of attention.cache in decoder.{i}", "", "", 8, "") for i in range(2))
    >>> [line.component for line in by_row([one, two, summed("kv_cache", [one, two])])["kv_cache"]]
    ['kv_cache of attention.cache in decoder.0', 'kv_cache of attention.cache in decoder.1']
    """
    found: dict[str, list[Line]] = {}
    for line in lines:
        if ", " not in line.component:  # of other figures: what a token meets, the tables
            found.setdefault(re.split(" of | in ", line.component)[0], []).append(line)
    return {row: [line for line in each if line.component != row] or each[:1] for row, each in found.items()}


def substitute(text: str, values: dict[str, Any]) -> str:
    """A formula's text with its symbols replaced by numbers.

    >>> substitute("2·tokens·d_in", {"tokens": 8, "d_in": 1024})
    '2·8·1,024'
    """

    def number(match: re.Match[str]) -> str:
        value = values.get(match.group())
        return match.group() if value is None else f"{value:,}"

    return re.sub(r"[A-Za-z_]\w*", number, text)
