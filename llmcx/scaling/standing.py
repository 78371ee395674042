"""Where a model stands by a scaling law, and the optimum when more counts than the compute of training.

Estimates all: N parameters, D tokens, C = k N D FLOPs of training, L nats per token, T tokens served over a lifetime. One
served token costs 2 N FLOPs where one of training costs 6 N (Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1), k / 3 for another
k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, log
from typing import Any, TypedDict

from llmcx.errors import InputError
from llmcx.scaling.accounting import Accounting
from llmcx.scaling.laws import LARGEST, Law, Parametric, Repetition
from llmcx.scaling.minimum import least, rising
from llmcx.scaling.optimum import (
    FLOPS_PER_PARAM_TOKEN,
    EqualCompute,
    Optimum,
    amount,
    factor,
    loss_at,
    optimum,
    out_of_range,
    parametric,
)

NEAR = 2.0
"""A ratio of tokens to parameters within this factor of the optimum's is called near it: losses there differ by under 1%."""

SARDANA = "Sardana et al. 2024, arXiv:2401.00448, eq. 3"
MUENNIGHOFF = "Muennighoff et al. 2023, arXiv:2305.16264, eq. 5 and 6"


@dataclass(frozen=True)
class Standing:
    """A model that was trained, held against the best use of the same compute by one law.

    ``ratio`` is its tokens per parameter over the optimum's. ``same_loss_compute``: what the optimum would need to be as good;
    ``excess_compute`` the share of the model's own that this saves. ``justified_inference``: the tokens served over a
    lifetime that make this over-trained model the cheapest of its loss, None for one that is not. Losses are None where
    the law has none.
    """

    law: str
    params: float
    tokens: float
    compute: float
    tokens_per_param: float
    loss: float | None
    optimal_params: float
    optimal_tokens: float
    optimal_loss: float | None
    ratio: float
    verdict: str
    same_loss_compute: float | None
    excess_compute: float | None
    justified_inference: float | None
    in_range: bool
    warning: str | None


def standing(law: Law, params: float, tokens: float, compute: float | None = None) -> Standing:
    """Under- or over-trained: N and D of a model against the optimum of its compute, ``compute`` or else 6 N D.

    The optimum is under the model's own k = C / (N D). Along the frontier L = E + K (C/k)^(-gamma), gamma =
    alpha beta / (alpha + beta), K = A / G^alpha + B G^beta (Hoffmann et al. 2022, arXiv:2203.15556, eq. 2 and 4), which gives the
    compute of the same loss. Serving T tokens, the cheapest model of a loss has alpha A / N^alpha =
    beta B / D^beta · (1 + T / (3 D)) (Sardana et al. 2024, arXiv:2401.00448, eq. 3, differentiated), so a given one is cheapest
    at T = 3 D (alpha A N^-alpha / (beta B D^-beta) - 1).

    Limits: N, D from 1 to 10^60. Raises InputError (params, tokens, compute; law for form "fine-grained", whose N is a
    mixture's).

    GPT-3, 174.6e9 on 300e9, by Hoffmann's third approach: 1.7 tokens per parameter where 54 were best.

    >>> from llmcx.scaling.laws import Parametric
    >>> three = Law("three", "", Parametric(1.6934, 406.4, 410.7, 0.3392, 0.2849), 6e18, 3e21, "")
    >>> gpt3 = standing(three, 174.6e9, 300e9)
    >>> gpt3.verdict, round(gpt3.tokens_per_param, 2), round(gpt3.optimal_tokens / gpt3.optimal_params)
    ('under-trained', 1.72, 56)
    """
    n, d = amount("params", params), amount("tokens", tokens)
    c = FLOPS_PER_PARAM_TOKEN * n * d if compute is None else amount("compute", compute)
    k = c / (n * d)
    if law.form == "fine-grained":
        raise InputError(f"{law.name} needs a mixture's granularity; it cannot place a model", field="law", value=law.name)
    best = optimum(law, compute=c, flops_per_param_token=k)
    ratio = (d / n) / best.tokens_per_param
    verdict = "near the optimum" if 1 / NEAR <= ratio <= NEAR else "over-trained" if ratio > 1 else "under-trained"
    reached = same = excess = served = None
    if law.form == "parametric" and best.loss is not None:
        p = parametric(law)
        reached = loss_at(p, n, d)
        gamma = p.alpha * p.beta / (p.alpha + p.beta)
        same = c * ((best.loss - p.E) / (reached - p.E)) ** (1 / gamma)
        excess = 1 - same / c
        worth = marginal_ratio(p, n, d)
        served = 3 * d * (worth - 1) if worth > 1 else None
    warning = out_of_range(law, c)
    return Standing(
        law=law.name,
        params=n,
        tokens=d,
        compute=c,
        tokens_per_param=d / n,
        loss=reached,
        optimal_params=best.params,
        optimal_tokens=best.tokens,
        optimal_loss=best.loss,
        ratio=ratio,
        verdict=verdict,
        same_loss_compute=same,
        excess_compute=excess,
        justified_inference=served,
        in_range=warning is None,
        warning=warning,
    )


def marginal_ratio(p: Parametric, n: float, d: float) -> float:
    """alpha A / N^alpha over beta B / D^beta: what a larger model would gain over what more tokens would, 1 at the optimum."""
    return float(p.alpha * p.A / n**p.alpha / (p.beta * p.B / d**p.beta))


@dataclass(frozen=True)
class Lifetime:
    """The model of a loss that is cheapest to train and then serve, beside the one that is cheapest to train.

    FLOPs: ``train_compute`` + ``inference_compute`` = ``total_compute``; ``saving`` is against ``baseline_compute``, training and
    serving the training optimum.
    """

    law: str
    loss: float
    inference_tokens: float
    params: float
    tokens: float
    tokens_per_param: float
    train_compute: float
    inference_compute: float
    total_compute: float
    baseline_params: float
    baseline_tokens: float
    baseline_compute: float
    saving: float


def lifetime(
    law: Law,
    best: Optimum,
    inference_tokens: float,
    flops_per_param_token: float = FLOPS_PER_PARAM_TOKEN,
    serving_price: float = 1.0,
) -> Lifetime:
    """min k N D + (k/3) N T subject to L(N, D) = the loss of ``best``, the training optimum (Sardana et al. 2024, eq. 3); where a
    FLOP of serving costs ``serving_price`` of those of training, that many times as much of it (their eq. 5).

    At the minimum alpha (L - E - B / D^beta) = beta B / D^beta (1 + T / (3 D)); the left side grows with D, the right one
    falls, so bisection in log D finds it; N follows from the loss. Limits: T from 0 to 10^60. Raises InputError: law (not
    parametric), inference_tokens.

    With nothing to serve it is the training optimum:

    >>> from llmcx.scaling.laws import Parametric
    >>> three = Law("three", "", Parametric(1.6934, 406.4, 410.7, 0.3392, 0.2849), 6e18, 3e21, "")
    >>> best = optimum(three, params=13e9)
    >>> round(lifetime(three, best, 0).params / 1e9, 3), lifetime(three, best, 2e12).params < 13e9
    (13.0, True)
    """
    p, k = parametric(law), factor(flops_per_param_token)
    served = amount("inference_tokens", inference_tokens) if inference_tokens else 0.0
    target = loss_at(p, best.params, best.tokens)

    def slack(tokens: float) -> float:
        left = p.B / tokens**p.beta
        return float(p.alpha * (target - p.E - left) - p.beta * left * (1 + served * serving_price / (3 * tokens)))

    tokens = rising(slack, best.tokens, 1e30 * best.tokens)
    params = params_of(p, target, tokens)
    training, serving = k * params * tokens, k / 3 * params * served
    baseline = best.compute + k / 3 * best.params * served
    return Lifetime(
        law=law.name,
        loss=target,
        inference_tokens=served,
        params=params,
        tokens=tokens,
        tokens_per_param=tokens / params,
        train_compute=training,
        inference_compute=serving,
        total_compute=training + serving,
        baseline_params=best.params,
        baseline_tokens=best.tokens,
        baseline_compute=baseline,
        saving=1 - (training + serving) / baseline,
    )


def params_of(p: Parametric, loss: float, tokens: float) -> float:
    """N that reaches a loss on so many tokens: (A / (L - E - B / D^beta))^(1 / alpha)."""
    return float((p.A / (loss - p.E - p.B / tokens**p.beta)) ** (1 / p.alpha))


def of_loss(law: Law, loss: float, flops_per_param_token: float = FLOPS_PER_PARAM_TOKEN) -> Optimum:
    """The training optimum that reaches a loss: B / D^beta = (L - E) alpha / (alpha + beta) (Hoffmann et al. 2022, eq. 4).

    Raises InputError: law (not parametric), loss (none that it reaches).

    >>> from llmcx.scaling.laws import Parametric
    >>> three = Law("three", "", Parametric(1.6934, 406.4, 410.7, 0.3392, 0.2849), 6e18, 3e21, "")
    >>> round(of_loss(three, optimum(three, params=13e9).loss).params / 1e9, 6)
    13.0
    """
    p = parametric(law)
    if not p.E < loss < p.E + p.A + p.B:
        problem = f"loss is {loss:g}, but by {law.name} it lies above {p.E:g}, its least, and below {p.E + p.A + p.B:g}"
        raise InputError(problem, field="loss", value=loss)
    try:
        tokens = ((p.alpha + p.beta) * p.B / (p.alpha * (loss - p.E))) ** (1 / p.beta)
    except OverflowError:
        tokens = float("inf")
    if not 1 <= tokens < LARGEST:
        raise InputError(f"loss is {loss:g}, which {law.name} puts out of reach of numbers", field="loss", value=loss)
    return optimum(law, tokens=tokens, flops_per_param_token=flops_per_param_token)


@dataclass(frozen=True)
class Smaller:
    """A model of the optimum's loss with ``size`` of its parameters: its tokens, what its training costs more than the optimum's,
    as a share, and the tokens served from which no other is cheaper to train and serve.
    """

    size: float
    params: float
    tokens: float
    overhead: float
    pays_from: float


def smaller(law: Law, best: Optimum, size: float) -> Smaller | None:
    """D = (B / (L - E - A / N^alpha))^(1 / beta) at N = ``size`` of the optimum's; None where no tokens reach its loss.

    Source: de Vries 2023, harmdevries.com/post/model-size-vs-compute-overhead. Raises InputError: law (not parametric).

    Half the size takes 2.4 times the tokens, and a fifth more training:

    >>> from llmcx.scaling.laws import Parametric
    >>> three = Law("three", "", Parametric(1.69, 406.4, 410.7, 0.336, 0.283), 6e18, 3e21, "")
    >>> half = smaller(three, optimum(three, compute=1e23), 0.5)
    >>> round(half.tokens / optimum(three, compute=1e23).tokens, 2), round(half.overhead, 2)
    (2.42, 0.21)
    """
    p, params = parametric(law), size * best.params
    left = loss_at(p, best.params, best.tokens) - p.E - p.A / params**p.alpha
    if left <= 0:
        return None
    try:
        tokens = float((p.B / left) ** (1 / p.beta))
    except OverflowError:
        return None
    served = 3 * tokens * (marginal_ratio(p, params, tokens) - 1)
    return Smaller(size, params, tokens, params * tokens / (best.params * best.tokens) - 1, max(served, 0.0))


@dataclass(frozen=True)
class Constrained:
    """The optimum of a budget when only ``unique_tokens`` exist, beside the one that would want ``unlimited_tokens``.

    ``effective_params`` and ``effective_tokens`` are N' and D': what they would be worth as fresh ones. ``naive_loss`` is that
    of the unlimited optimum trained on repeated data.
    """

    law: str
    unique_tokens: float
    params: float
    tokens: float
    epochs: float
    effective_params: float
    effective_tokens: float
    loss: float
    unlimited_params: float
    unlimited_tokens: float
    naive_loss: float


def effective(law: Law, params: float, tokens: float, unique_tokens: float) -> tuple[float, float]:
    """N' and D': D' = U_D + U_D R_D* (1 - exp(-R_D / R_D*)) with R_D = D / U_D - 1 repeats, and N' likewise of U_N, the size
    that U_D tokens deserve at the optimum (at most N). Source: Muennighoff et al. 2023, arXiv:2305.16264, eq. 5 and 6.

    Raises InputError: law (without repetition), params, tokens, unique_tokens.
    """
    worn = _repetition(law)
    d = amount("tokens", tokens)
    u_d = min(amount("unique_tokens", unique_tokens), d)
    n = amount("params", params)
    u_n = min(optimum(law, tokens=u_d).params, n)
    return _worth(n, u_n, worn.params), _worth(d, u_d, worn.tokens)


def _worth(whole: float, unique: float, star: float) -> float:
    return unique - unique * star * expm1((1 - whole / unique) / star)


def _repetition(law: Law) -> Repetition:
    if law.repetition is None:
        raise InputError(f"{law.name} says nothing of repeated data", field="law", value=law.name, allowed="muennighoff")
    return law.repetition


def constrained_loss(law: Law, params: float, tokens: float, unique_tokens: float) -> float:
    """L(N', D') of a model trained on ``tokens``, repeating ``unique_tokens`` (:func:`effective`), nats per token."""
    return loss_at(parametric(law), *effective(law, params, tokens, unique_tokens))


def constrained(
    law: Law, compute: float, unique_tokens: float, flops_per_param_token: float = FLOPS_PER_PARAM_TOKEN
) -> Constrained:
    """min L(N', D') under C = k N D, by golden section in log N (the paper searches a grid; it has no closed form).

    Raises InputError as :func:`effective`, and compute.
    """
    p, k = parametric(law), factor(flops_per_param_token)
    free = optimum(law, compute=compute, flops_per_param_token=k)
    budget, middle = free.compute, log(free.params)

    def at(size: float) -> float:
        return constrained_loss(law, exp(size), budget / (k * exp(size)), unique_tokens)

    n = exp(least(at, max(middle - 20, 0.0), min(middle + 20, log(budget / k))))
    d = budget / (k * n)
    n_worth, d_worth = effective(law, n, d, unique_tokens)
    found = loss_at(p, n_worth, d_worth)
    unique = min(float(unique_tokens), d)
    return Constrained(
        law=law.name,
        unique_tokens=unique,
        params=n,
        tokens=d,
        epochs=d / unique,
        effective_params=n_worth,
        effective_tokens=d_worth,
        loss=found,
        unlimited_params=free.params,
        unlimited_tokens=free.tokens,
        naive_loss=constrained_loss(law, free.params, free.tokens, unique_tokens),
    )


class LawShape(TypedDict):
    """A real shape near a law's optimum (:class:`llmcx.answers.architecture.Architecture`), and the model as a preset."""

    law: str
    asked: float
    counts: str
    params: int
    relative: float
    n_layers: int
    d_model: int
    n_heads: int
    d_ff: int
    vocab: int
    aspect_ratio: float
    preset: dict[str, Any]


class _Optima(TypedDict):
    laws: list[Optimum]


class Advice(_Optima, total=False):
    """What the laws say: the optima; of a trained model where it stands; and what else was asked for."""

    accounting: Accounting
    standing: list[Standing]
    constrained: list[Constrained]
    lifetime: list[Lifetime]
    equal_compute: list[EqualCompute]
    shapes: list[LawShape]


def of_model(laws: list[Law], counted: Accounting, compute: float) -> tuple[Advice, list[str]]:
    """A model by each law, with the parameters that the law counts, and what to bear in mind."""
    sizes = [counted.active if one.parameters == "all" else counted.active_non_embedding for one in laws]
    result, notes = placed(laws, sizes, counted.tokens, compute)
    return Advice(accounting=counted, **result), notes


def placed(laws: list[Law], sizes: Sequence[float], tokens: float, compute: float) -> tuple[Advice, list[str]]:
    """Where a model of each law's size stands by those that can say so, the optima of its compute, and what to bear in mind."""
    each = list(zip(laws, sizes, strict=True))
    stands = [standing(one, n, tokens, compute) for one, n in each if one.form != "fine-grained"]
    best = [optimum(one, compute=compute, flops_per_param_token=compute / (n * tokens)) for one, n in each]
    notes = [f"estimates: fits to other people's runs; C = {compute / (max(sizes) * tokens):.3g} N D"]
    if any(one.excess_compute is not None for one in stands):
        notes.append("wasted: the share of the compute that the optimum of the same loss would have spared")
    if any(one.justified_inference is not None for one in stands):
        served = "tokens served over the lifetime for which no other model of its loss is cheaper to train and serve"
        notes.append(f"pays from: {served}")
    return Advice(standing=stands, laws=best), notes
