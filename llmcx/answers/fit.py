"""The inverse questions: the largest batch or context, the fewest GPUs, the most precise weights that fit a budget."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import gcd
from typing import Any

from llmcx.answers.memory import Fit, Memory, memory
from llmcx.answers.search import below_zero
from llmcx.errors import InputError, unknown_name
from llmcx.formats import quant
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout, divisors

FIT = ("batch", "seq", "gpus", "dtype", "offload")
PLAIN = ("fp32", "bf16", "int8", "int4")
GGUF = ("fp32", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")
"""From the most precise: what "dtype" tries; real formats, scales included, for a family whose tensors are known in them."""


def most(price: Callable[[int], Memory], budget: int, limit: int, what: str) -> tuple[int, Memory, Fit]:
    """The largest n up to ``limit`` that fits ``budget``: costs never fall with n.

    Raises InputError where not even 1 fits.
    """
    if (first := price(1)).total_bytes > budget:
        raise InputError(f"not even {what} 1 fits {budget:,} B: it takes {first.total_bytes:,} B", field="budget", value=budget)
    low, high = 1, min(2, limit)
    while low < high and price(high).total_bytes <= budget:
        low, high = high, min(2 * high, limit)
    if low < high:
        low = below_zero(lambda n: budget - price(n).total_bytes, low, high) - 1
    after = price(low + 1).total_bytes if low < limit else None
    return low, price(low), Fit(what, low, low + 1 if after else None, after)


def fewest(price: Callable[[int], Memory], budget: int, steps: Sequence[int]) -> tuple[int, Memory, Fit]:
    """The first of ``steps`` that fits; the next step that would not is the one before it.

    Raises InputError where none does.
    """
    before: tuple[int, int] | None = None
    for step in steps:
        result = price(step)
        if result.total_bytes <= budget:
            return step, result, Fit("gpus", step, *(before or (None, None)))
        before = step, result.total_bytes
    held = f"{before[1]:,} B on {before[0]:,}" if before else "nothing"
    raise InputError(f"no number of GPUs tried fits {budget:,} B: still {held}", field="budget", value=budget)


def least(price: Callable[[int], Memory], budget: int, limit: int = 2**20) -> tuple[int, Memory, Fit]:
    """The smallest number of GPUs that fits, where more of them never hold more each.

    Raises InputError where not even ``limit`` do.
    """
    low, high = 0, 1
    while price(high).total_bytes > budget:
        if high >= limit:
            held = price(high).total_bytes
            raise InputError(
                f"no number of GPUs tried fits {budget:,} B: still {held:,} B on {high:,}", field="budget", value=budget
            )
        low, high = high, 2 * high
    low += bisect_left(range(low + 1, high), True, key=lambda gpus: price(gpus).total_bytes <= budget)
    return low + 1, price(low + 1), Fit("gpus", low + 1, low or None, price(low).total_bytes if low else None)


def precise(price: Callable[[str], Memory], budget: int, names: Sequence[str]) -> tuple[str, Memory, Fit]:
    """The most precise of ``names`` that fits; the next step that would not is the more precise one before it."""
    before: tuple[str, int] | None = None
    for name in names:
        result = price(name)
        if result.total_bytes <= budget:
            return name, result, Fit("dtype", name, *(before or (None, None)))
        before = name, result.total_bytes
    raise InputError(
        f"weights do not fit {budget:,} B in any of {', '.join(names)}: {before[1] if before else 0:,} B in the last",
        field="budget",
        value=budget,
    )


def context_limit(spec: ModelSpec) -> int:
    """The longest sequence that may be tried: as many as there are learned positions, else the model's context, else 2^40."""
    return spec.embedding.positions or spec.context or 2**40


def fitted(
    what: str, spec: ModelSpec, budget: int, asked: dict[str, Any], fixed: dict[str, Any]
) -> tuple[Memory, dict[str, Any]]:
    """:func:`llmcx.answers.memory.memory` with one of ``asked`` (batch, seq, dtype, layout) made to fit, and what it was made.

    GPUs: in training, data-parallel ones that share states by ZeRO; in inference, tensor-parallel ones that divide the heads.
    """
    if what not in FIT:
        raise unknown_name("thing to fit", what, list(FIT), field="fit")
    train: bool = fixed["train"]
    layout: Layout = asked["layout"]

    def price(value: Any) -> Memory:
        key = "layout" if what == "gpus" else what
        return memory(spec, **{**asked, key: on(value) if what == "gpus" else value}, **fixed, budget=budget)

    def on(gpus: int) -> Layout:
        return layout._replace(dp=gpus) if train else layout._replace(tp=gpus)

    value: Any
    if what in ("batch", "seq"):
        beside = fixed["shown"].tokens if "shown" in fixed else 0
        limit = max(1, context_limit(spec) - beside) if what == "seq" else 2**40
        value, result, answer = most(price, budget, limit, what)
    elif what == "dtype":
        if train:
            raise InputError("--fit dtype is for inference; training takes --precision", field="fit", value=what)
        value, result, answer = precise(price, budget, formats(spec))
    else:
        if train and not layout.zero:
            raise InputError("more data-parallel GPUs hold no less without ZeRO: give --zero 1, 2 or 3", field="zero")
        inner = layout.tp * layout.pp * layout.cp if train else 1
        value, result, answer = least(price, budget) if train else fewest(price, budget, tensor_sizes(spec))
        answer = replace(answer, value=value * inner, next=answer.next and int(answer.next) * inner)
    key = "layout" if what == "gpus" else what
    return replace(result, fit=answer), {**asked, key: on(value) if what == "gpus" else value}


def formats(spec: ModelSpec) -> Sequence[str]:
    """The dtypes to try for this model."""
    try:
        for name in GGUF[2:]:
            quant.weights(spec, name)
    except InputError:
        return PLAIN
    return GGUF


def tensor_sizes(spec: ModelSpec) -> list[int]:
    """Tensor-parallel sizes that divide the heads of every layer."""
    return divisors(gcd(*spec.head_counts) or 1)
