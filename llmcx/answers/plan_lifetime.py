"""The size, tokens, format and accelerators that train a model of some quality and serve it for least, by laws of loss.

The optimum is :func:`llmcx.scaling.standing.lifetime`'s; here FLOPs become dollars. A token of training takes 6 N FLOPs, one
served 2 N (Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1); attention's n² is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llmcx.answers import Result
from llmcx.engines.efficiency import band
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.machine.hardware import Hardware
from llmcx.scaling.laws import Law
from llmcx.scaling.optimum import Optimum, optimum
from llmcx.scaling.standing import Smaller, lifetime, of_loss, smaller

FORMATS = ("bf16", "fp8", "int8", "int4")
"""In which weights are served; prompts are multiplied in 16 bits where the accelerator has no such arithmetic."""
SERVING_BAND = (0.5, 2.0)
"""Assumed: what serving costs, as a multiple of what the utilisation says, which depends on batches, lengths and layouts."""
SIZES = (0.75, 0.6, 0.5, 0.4, 0.3, 0.25)
"""Of the training optimum's parameters, for which tokens and overhead are given."""
KEPT = 12


class Where(NamedTuple):
    """Accelerators to train on (in 16 bits) and to serve on, USD per hour of each, and the share of their peaks that training,
    prompts and answers reach.
    """

    train: Hardware
    serve: Hardware
    train_price: float
    price: float
    mfu: float
    prefill_mfu: float
    decode_mfu: float

    @property
    def training(self) -> float:
        """USD of a FLOP."""
        return self.train_price / 3600 / (self.train.flops(self.train.dtype) * self.mfu)

    def serving(self, dtype: str, share: float) -> float:
        """USD of a FLOP of serving in ``dtype``, ``share`` of them on prompts: these at the peak of the format that is
        multiplied, answers at a peak that grows as weights shrink, because they wait for the weights.
        """
        plain = self.serve.flops(self.serve.dtype)
        multiplied = self.serve.flops(dtype) if dtype != "int4" and dtype in self.serve.dense_tflops else plain
        narrow = plain * 16 / dtypes.bits(dtype)
        return self.price / 3600 * (share / (multiplied * self.prefill_mfu) + (1 - share) / (narrow * self.decode_mfu))


class Demand(NamedTuple):
    """``tokens`` served over the lifetime, ``share`` of them in prompts."""

    tokens: float
    share: float = 0.5


@dataclass(frozen=True)
class LifetimeChoice:
    """The model of the quality asked for that costs least, by one law: on which accelerators and in which format (None: counted
    in FLOPs), what training and serving cost, in USD or FLOPs, with the range from best to worst case; the same of the training
    optimum (``baseline``), and the share of its cost that this saves.
    """

    law: str
    train_hardware: str | None
    hardware: str | None
    dtype: str | None
    loss: float
    params: float
    tokens: float
    tokens_per_param: float
    training: float
    serving: float
    total: float
    total_range: tuple[float, float] | None
    baseline_params: float
    baseline_tokens: float
    baseline_total: float
    saving: float
    in_range: bool
    warning: str | None


@dataclass(frozen=True)
class LawSizes:
    """By one law: smaller models of the training optimum's loss (:class:`llmcx.scaling.standing.Smaller`)."""

    law: str
    rows: list[Smaller]


@dataclass(frozen=True, repr=False)
class LifetimePlan(Result, brief="unit choices best.params best.tokens best.total", table="choices"):
    """``choices``, of each law the cheapest first, in ``unit`` "USD" or "FLOP"; ``sizes``: what smaller models than the training
    optimum take.
    """

    unit: str
    choices: list[LifetimeChoice]
    sizes: list[LawSizes]

    @property
    def best(self) -> LifetimeChoice:
        """The first law's cheapest."""
        return self.choices[0]


def quality(law: Law, *, loss: float | None = None, params: float | None = None, compute: float | None = None) -> Optimum:
    """The training optimum of a loss, a size or a budget, which says how good the model is to be."""
    if loss is not None:
        return of_loss(law, loss)
    return optimum(law, params=params) if params is not None else optimum(law, compute=compute)


def plan(laws: Sequence[tuple[Law, Optimum]], demand: Demand, places: Sequence[Where], formats: Sequence[str]) -> LifetimePlan:
    """Of each law's quality the cheapest models: one for each place and format, or in FLOPs where there are no places.

    Raises InputError for a law that is not parametric, and where everything costs nothing.
    """
    choices: list[LifetimeChoice] = []
    for law, best in laws:
        if not places:
            choices.append(_choice(law, best, demand, None, None))
            continue
        found = [_choice(law, best, demand, place, dtype) for place in places for dtype in formats]
        choices += sorted(found, key=lambda each: each.total)[:KEPT]
    sizes = []
    for law, best in laws:
        rows = (smaller(law, best, size) for size in SIZES)
        sizes.append(LawSizes(law.name, [row for row in rows if row is not None]))
    return LifetimePlan("USD" if places else "FLOP", choices, sizes)


def _choice(law: Law, best: Optimum, demand: Demand, place: Where | None, dtype: str | None) -> LifetimeChoice:
    train = serve = 1.0
    if place is not None and dtype is not None:
        train, serve = place.training, place.serving(dtype, demand.share)
        if not train:
            problem = "training costs nothing, so that no trade of it for serving can be priced; give --train-price above 0"
            raise InputError(problem, field="train_price", value=place.train_price)
    found = lifetime(law, best, demand.tokens, serving_price=serve / train)
    training, serving = found.train_compute * train, found.inference_compute * serve
    baseline = best.compute * train + 2 * best.params * demand.tokens * serve
    spread = None
    if place is not None:
        (low, high), (least, most) = band("megatron", False), SERVING_BAND
        spread = training * low + serving * least, training * high + serving * most
    return LifetimeChoice(
        law=law.name,
        train_hardware=place and place.train.name,
        hardware=place and place.serve.name,
        dtype=dtype,
        loss=found.loss,
        params=found.params,
        tokens=found.tokens,
        tokens_per_param=found.tokens_per_param,
        training=training,
        serving=serving,
        total=training + serving,
        total_range=spread,
        baseline_params=best.params,
        baseline_tokens=best.tokens,
        baseline_total=baseline,
        saving=1 - (training + serving) / baseline,
        in_range=best.in_range,
        warning=best.warning,
    )
