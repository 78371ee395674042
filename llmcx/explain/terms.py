"""A fold's rules with an op's numbers put in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from llmcx.answers import Line
from llmcx.ops.fold import Fold
from llmcx.ops.op import Op


def terms(fold: Fold, ops: Iterable[Op]) -> list[Line]:
    """Each op that costs something in ``fold``, with its formula and the numbers put in."""
    lines = []
    for op in ops:
        value = fold.of(op)
        if value:
            rule, times = fold.rules[op.kind], fold.weight(op)
            numbers = substitute(rule.text, {"grads": 2} | op.dims)
            if times != 1:
                numbers = f"{times:,} × ({numbers})"
            formula = rule.text if times == 1 else f"{fold.weight_text} × ({rule.text})"
            lines.append(Line(op.component, formula, numbers, value, rule.source))
    return lines


def substitute(text: str, values: dict[str, Any]) -> str:
    """A formula's text with its symbols replaced by numbers.

    >>> substitute("2·tokens·d_in", {"tokens": 8, "d_in": 1024})
    '2·8·1,024'
    """

    def number(match: re.Match[str]) -> str:
        value = values.get(match.group())
        return match.group() if value is None else f"{value:,}"

    return re.sub(r"[A-Za-z_]\w*", number, text)
