"""A small evaluator of what is printed under --explain: numbers put into a formula, as intervals of what they were rounded from.

It knows nothing of llmcx. Whole numbers are exact; others stand for all that rounds to them, at least to four digits.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Any

Span = tuple[Any, Any]
SIGNS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a // b if isinstance(a, int) and isinstance(b, int) and b and a % b == 0 else a / b,
    ast.Pow: operator.pow,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(math, name) for name in ("ceil", "floor", "sqrt", "exp", "log2", "log10")},
    "ln": math.log,
    "round": round,
    "max": max,
    "min": min,
}
RELATIONS: dict[type[ast.AST], Callable[[Span, Span], bool]] = {
    ast.LtE: lambda a, b: a[0] <= b[1],
    ast.GtE: lambda a, b: a[1] >= b[0],
    ast.Lt: lambda a, b: a[0] < b[1],
    ast.Gt: lambda a, b: a[1] > b[0],
}


def rounded(text: str) -> Span:
    """What a printed number may have been: a whole one itself; of any other, half a unit of its last digit either way."""
    digits, _, power = text.replace(",", "").partition("e")
    if not power and "." not in digits:
        return int(digits), int(digits)
    value = float(text.replace(",", ""))
    shown = max(len(digits.replace(".", "").lstrip("0")), 4)
    slack = 0.5 * 10.0 ** (math.floor(math.log10(abs(value))) - shown + 1) if value else 0.0
    return value - slack, value + slack


NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def evaluate(text: str) -> Span:
    """The least and the most that an expression of numbers may come to; of a relation, 1 where it may hold."""
    spans: list[Span] = []

    def kept(match: re.Match[str]) -> str:
        found = match.group()
        trailing = "," if found.endswith(",") else ""  # between two arguments
        spans.append(rounded(found.rstrip(",")))
        return f"_{len(spans) - 1}" + trailing

    python = NUMBER.sub(kept, text)
    if "≈" in python:
        left, right = (evaluate(side) for side in text.split("≈"))
        return (1, 1) if left[0] <= right[1] * (1 + 1e-4) and right[0] <= left[1] * (1 + 1e-4) else (0, 0)
    for sign, other in {"·": "*", "×": "*", "^": "**", "²": "**2 ", "−": "-", "%": "/100"}.items():
        python = python.replace(sign, other)
    spans.append((2, 2))
    return _value(ast.parse(python.strip().replace("**2 ", f"**_{len(spans) - 1} "), mode="eval").body, spans)


def _value(node: ast.AST, spans: list[Span]) -> Span:
    if isinstance(node, ast.Name):
        return spans[int(node.id[1:])]
    if isinstance(node, ast.Constant):
        return node.value, node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        low, high = _value(node.operand, spans)
        return -high, -low
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, spans), _value(node.right, spans)
        ends = [SIGNS[type(node.op)](a, b) for a in left for b in right]
        return min(ends), max(ends)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        arguments = [_value(each, spans) for each in node.args]
        return tuple(FUNCTIONS[node.func.id](*(each[end] for each in arguments)) for end in (0, 1))  # type: ignore[return-value]
    if isinstance(node, ast.Compare):
        terms = [_value(each, spans) for each in (node.left, *node.comparators)]
        held = all(RELATIONS[type(sign)](a, b) for sign, a, b in zip(node.ops, terms[:-1], terms[1:], strict=True))
        return int(held), int(held)
    raise AssertionError(f"{ast.dump(node)} is no arithmetic")


def agrees(numbers: str, printed: str) -> bool:
    """Whether ``numbers`` come to the number that is ``printed``. "N: a >= b; c < d": N, for which the relations hold."""
    if ": " in numbers:
        found, _, held = numbers.partition(": ")
        return found == printed and all(evaluate(each)[0] for each in held.split("; "))
    (low, high), (least, most) = evaluate(numbers), rounded(printed.lstrip("-"))
    if printed.startswith("-"):
        least, most = -most, -least
    if isinstance(low, float) and least == most and most:  # four digits of a broken number may look whole
        slack = 0.5 * 10.0 ** (math.floor(math.log10(abs(most))) - max(len(str(most)), 4) + 1)
        least, most = least - slack, most + slack
    slack = 1e-12 * max(abs(low), abs(high))
    return bool(low - slack <= most and high + slack >= least)
