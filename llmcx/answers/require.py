"""What is required of an answer: "fits and tpot<40ms"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llmcx import units
from llmcx.errors import InputError, shown, unknown_name

if TYPE_CHECKING:
    from llmcx.answers.check import Check
    from llmcx.answers.check_train import TrainingCheck

COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


class Quantity(NamedTuple):
    """What may be compared: how its limit reads, and its value; None where the line does not fit, or times are not known."""

    reads: str
    of: Callable[[Any], float | None]


def _first(found: Check, name: str) -> float | None:
    return getattr(found.estimate[0], name) if found.estimate else None


QUANTITIES = {
    "users": Quantity("count", lambda found: found.users),
    "tokens": Quantity("count", lambda found: found.cache_tokens),
    "headroom": Quantity("size", lambda found: found.headroom_bytes),
    "ttft": Quantity("time", lambda found: _first(found, "ttft_s")),
    "tpot": Quantity("time", lambda found: _first(found, "tpot_s")),
    "tokens_per_s": Quantity("number", lambda found: _first(found, "tokens_per_s_user")),
    "usd_per_million": Quantity("number", lambda found: _first(found, "usd_per_million")),
}
OF_TRAINING = {
    "headroom": QUANTITIES["headroom"],
    "step": Quantity("time", lambda found: found.estimate and found.estimate.step_s),
    "mfu": Quantity("number", lambda found: found.estimate and found.estimate.mfu),
    "days": Quantity("number", lambda found: found.estimate and found.estimate.days),
    "tokens_per_s_gpu": Quantity("number", lambda found: found.estimate and found.estimate.tokens_per_s_gpu),
}
_TERM = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>)\s*(\d+\.?\d*|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)


def terms(text: str, known: Mapping[str, Quantity] | None = None) -> list[tuple[str, Callable[[Any], bool]]]:
    """What a requirement consists of, each with what decides it, of ``known`` quantities (None: all). Raises InputError.

    >>> [name for name, _ in terms("fits and tpot<40ms")]
    ['fits', 'tpot<40ms']
    """
    quantities = {**QUANTITIES, **OF_TRAINING} if known is None else known
    out: list[tuple[str, Callable[[Any], bool]]] = []
    for part in re.split(r"\s+and\s+|\s*,\s*|\s*&&\s*", text.strip()):
        if part == "fits":
            out.append((part, lambda found: found.fits))
            continue
        match = _TERM.fullmatch(part)
        if match is None:
            allowed = "fits, or a quantity, <, <=, > or >=, and a number, joined by and: fits and tpot<40ms"
            raise InputError(f"--require has {shown(part)}, but must be {allowed}", field="require", value=text, allowed=allowed)
        name, sign, number, unit = match.groups()
        if name not in quantities:
            raise unknown_name("quantity of --require", name, ["fits", *quantities], field="require")
        limit = _limit(name, quantities[name].reads, number, unit, text)
        out.append((part, _decides(quantities[name], COMPARED[sign], limit)))
    return out


def _decides(of: Quantity, compared: Callable[[float, float], bool], limit: float) -> Callable[[Any], bool]:
    def decided(found: Any) -> bool:
        value = of.of(found)
        return found.fits and value is not None and compared(value, limit)

    return decided


def _limit(name: str, reads: str, number: str, unit: str, text: str) -> float:
    """The number that a quantity is compared with."""
    if reads == "time":
        if unit not in SECONDS:
            problem = f"--require compares {name} with {number}{unit}, but must with a time: 40ms, 2s"
            raise InputError(problem, field="require", value=text, allowed="ms or s")
        return float(number) * SECONDS[unit]
    if reads == "size":
        return float(units.size(number + unit, "--require"))
    if reads == "count":
        return float(units.count(number + unit, "--require"))
    if unit:
        raise InputError(f"--require compares {name} with {number}{unit}, but must with a number", field="require", value=text)
    return float(number)


def met(text: str, found: Check | TrainingCheck) -> bool:
    """Whether all of it holds; times are those for the fewest users of the estimate. Raises InputError for a quantity that only
    the other kind of answer has.
    """
    known = OF_TRAINING if hasattr(found, "layout") else QUANTITIES
    return all(decides(found) for _, decides in terms(text, known))
