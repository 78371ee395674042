"""The formulas behind a plan for a lifetime: of each law's cheapest model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmcx.answers import Line
from llmcx.answers.plan_lifetime import Demand, LifetimePlan, Where
from llmcx.scaling.laws import Law
from llmcx.scaling.optimum import Optimum
from llmcx.scaling.standing import SARDANA

PRICED = "Sardana et al. 2024, arXiv:2401.00448, eq. 5"


def rows(laws: Sequence[tuple[Law, Optimum]], demand: Demand, places: Sequence[Where], answer: LifetimePlan) -> list[Any]:
    """Of the cheapest choice of each law."""
    found = []
    for law, best in laws:
        one = next(each for each in answer.choices if each.law == law.name)
        place = next((each for each in places if (each.serve.name, each.train.name) == (one.hardware, one.train_hardware)), None)
        ratio = 1.0 if place is None or one.dtype is None else place.serving(one.dtype, demand.share) / place.training
        served = f"T = {demand.tokens:.4g}" + ("" if place is None else f", a FLOP served costs {ratio:.4g} of one trained")
        n, d = one.params, one.tokens
        lines = [
            Line("params", "argmin 6·N·D + 2·N·T·r at loss L", f"L = {one.loss:.4f}, {served}", n, PRICED if place else SARDANA),
            Line("tokens", "α(L - E - B/D^β) = βB/D^β·(1 + T·r/(3D))", f"L = {one.loss:.4f}, {served}", d, SARDANA),
        ]
        if place is not None and one.dtype is not None:
            peak = place.train.flops(place.train.dtype)
            training, serving = place.training, place.serving(one.dtype, demand.share)
            lines += [
                Line("USD per FLOP trained", "USD per hour / 3600 / (peak·MFU)",
                     f"{place.train_price:g} / 3600 / ({peak:.4g}·{place.mfu:g})", training, PRICED),
                Line("USD per FLOP served", "prompts' share / their peak·MFU + answers' / theirs",
                     f"{demand.share:.3g} in prompts, {one.dtype}", serving, PRICED),
                Line("training", "6·N·D of them", f"6·{n:.4g}·{d:.4g}·{training:.4g}", one.training, PRICED),
                Line("serving", "2·N·T of them", f"2·{n:.4g}·{demand.tokens:.4g}·{serving:.4g}", one.serving, PRICED),
            ]  # fmt: skip
        else:
            lines += [
                Line("training", "6·N·D", f"6·{n:.4g}·{d:.4g}", one.training, SARDANA),
                Line("serving", "2·N·T", f"2·{n:.4g}·{demand.tokens:.4g}", one.serving, SARDANA),
            ]
        lines.append(Line("total", "training + serving", f"{one.training:.4g} + {one.serving:.4g}", one.total, SARDANA))
        numbers = f"1 - {one.total:.4g} / {one.baseline_total:.4g}, N = {best.params:.4g}"
        lines.append(Line("saving", "1 - total / the training optimum's", numbers, one.saving, SARDANA))
        found += [line._replace(component=f"{law.name} {line.component}") for line in lines]
    return found
