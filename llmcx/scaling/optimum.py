"""Scaling laws: which model size and how many tokens a training budget is best spent on, and the loss to expect.

Units throughout: N parameters, D tokens, C FLOPs of training, L nats per token. Everything here is an estimate, so the
results are floats. C = k N D with k = 6 FLOPs per parameter and token (forward 2, backward 4; Kaplan et al. 2020,
arXiv:2001.08361, sec. 2.1) unless the caller gives another k, e.g. a model's exact train FLOPs / (N D).

The laws themselves are data (:mod:`llmcx.scaling.laws`); their formulas are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from llmcx.errors import InputError
from llmcx.scaling import fine_grained
from llmcx.scaling.laws import LARGEST, FineGrained, Law, Parametric, Power, number

FLOPS_PER_PARAM_TOKEN = 6.0
"""Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1: 2 forward and 4 backward per parameter and token; attention's n² left out."""

EQ2 = "Hoffmann et al. 2022, arXiv:2203.15556, eq. 2"
EQ4 = "Hoffmann et al. 2022, arXiv:2203.15556, eq. 4"
SIX_ND = "Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1"


def amount(field: str, value: float) -> float:
    """A quantity at least 1 and below 10^60."""
    return number(value, field, 1.0, closed=True)


def training_compute(params: float, tokens: float, flops_per_param_token: float = FLOPS_PER_PARAM_TOKEN) -> float:
    """C = k N D, FLOPs of training N ``params`` on D ``tokens``.

    k = ``flops_per_param_token``, 6 by default (Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1), which leaves out attention's
    n² term and recomputation. Limits: N, D from 1 to 10^60, k above 0. Raises InputError (params, tokens,
    flops_per_param_token).

    GPT-3, 174.6e9 parameters on 300e9 tokens: 3.14e23 (Brown et al. 2020, Table D.1).

    >>> f"{training_compute(174.6e9, 300e9):.3g}"
    '3.14e+23'
    """
    return factor(flops_per_param_token) * amount("params", params) * amount("tokens", tokens)


def factor(flops_per_param_token: float) -> float:
    return number(flops_per_param_token, "flops_per_param_token", high=1e9)


def gpu_compute(gpu_hours: float, peak_flops: float, mfu: float) -> float:
    """C = hours · 3600 · peak · MFU, FLOPs that a model gets out of ``gpu_hours`` of GPUs of ``peak_flops`` FLOP/s each.

    ``peak_flops`` is the dense peak of the format trained in; ``mfu`` the fraction of it spent on the model's own FLOPs
    (Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1). Limits: hours and peak above 0, 0 < MFU <= 1. Raises InputError
    (gpu_hours, peak_flops, mfu).

    1000 H100 (989.4e12 FLOP/s) for 24 hours at 40 %: 24,000 · 3600 · 989.4e12 · 0.4 = 3.42e22.

    >>> f"{gpu_compute(24_000, 989.4e12, 0.4):.3g}"
    '3.42e+22'
    """
    return number(gpu_hours, "gpu_hours") * _gpu_hour(peak_flops, mfu)


def gpu_hours(compute: float, peak_flops: float, mfu: float) -> float:
    """hours = C / (3600 · peak · MFU): the inverse of :func:`gpu_compute`, same units, limits and source.

    >>> round(gpu_hours(gpu_compute(24_000, 989.4e12, 0.4), 989.4e12, 0.4), 6)
    24000.0
    """
    return amount("compute", compute) / _gpu_hour(peak_flops, mfu)


def dollar_hours(dollars: float, usd_per_hour: float) -> float:
    """hours = dollars / price: the GPU-hours that a sum of money rents. Raises InputError (dollars, price).

    >>> dollar_hours(1_000_000, 2.0)
    500000.0
    """
    return number(dollars, "dollars") / number(usd_per_hour, "price")


def day_hours(days: float, gpus: int) -> float:
    """hours = 24 · days · GPUs. Raises InputError (days, gpus).

    >>> day_hours(30, 1024)
    737280.0
    """
    return 24 * number(days, "days") * amount("gpus", gpus)


def _gpu_hour(peak_flops: float, mfu: float) -> float:
    if isinstance(mfu, (int, float)) and not isinstance(mfu, bool) and mfu > 1:
        problem = f"mfu is {mfu}, but is the fraction of the peak that is used, above 0 and at most 1"
        raise InputError(problem, field="mfu", value=str(mfu), allowed="above 0, at most 1")
    return 3600 * number(peak_flops, "peak_flops") * number(mfu, "mfu")


@dataclass(frozen=True)
class Optimum:
    """The compute-optimal model of a budget. ``loss`` is None where the law has none (form "power").

    ``counts`` is what ``params`` counts (:class:`llmcx.scaling.laws.Law`); ``exponent`` is a in N ~ C^a, with its interval where
    the source gives one; ``total_params`` and ``granularity`` are a mixture of experts'.
    ``in_range`` is False, and ``warning`` says by how much, where ``compute`` lies outside the budgets the law was fitted to;
    ``extrapolation`` is then ``compute`` over the largest of them, or over the smallest where it is less.
    """

    law: str
    params: float
    tokens: float
    compute: float
    loss: float | None
    tokens_per_param: float
    in_range: bool
    warning: str | None
    extrapolation: float | None
    counts: str
    exponent: float
    exponent_low: float | None
    exponent_high: float | None
    total_params: float | None
    granularity: int | None


def loss(law: Law, params: float, tokens: float) -> float:
    """L(N, D) = E + A / N^alpha + B / D^beta, nats per token on the law's own data and tokenizer.

    Source: Hoffmann et al. 2022, arXiv:2203.15556, eq. 2. Limits: N, D from 1 to 10^60. Raises InputError: law (form "power"
    has no loss), params, tokens.

    1.6934 + 406.4 / (70e9)^0.3392 + 410.7 / (1.4e12)^0.2849 = 1.6934 + 0.0852 + 0.1423, Chinchilla by approach 3:

    >>> three = Law("three", "", Parametric(1.6934, 406.4, 410.7, 0.3392, 0.2849), 6e18, 3e21, "")
    >>> round(loss(three, 70e9, 1.4e12), 3)
    1.921
    """
    return loss_at(parametric(law), amount("params", params), amount("tokens", tokens))


def loss_at(c: Parametric, n: float, d: float) -> float:
    return float(c.E + c.A / n**c.alpha + c.B / d**c.beta)


def parametric(law: Law) -> Parametric:
    if isinstance(law.constants, Parametric):
        return law.constants
    problem = f"{law.name} is a power law of the optimum and has no loss; a parametric law is needed"
    raise InputError(problem, field="law", value=law.name, allowed="a law of form parametric")


def frontier(law: Law, flops_per_param_token: float = FLOPS_PER_PARAM_TOKEN) -> Power:
    """The line of optima, N_opt(C) = coefficient (C / compute)^exponent. A power law is that line already.

    For a parametric law, minimising L under C = k N D gives N_opt = G (C/k)^a, D_opt = (1/G) (C/k)^b, where
    G = (alpha A / (beta B))^(1 / (alpha + beta)), a = beta / (alpha + beta), b = alpha / (alpha + beta): coefficient G
    (parameters), compute k (FLOPs), exponent a. Source: Hoffmann et al. 2022, arXiv:2203.15556, eq. 4. Raises InputError
    (flops_per_param_token).

    >>> three = Law("three", "", Parametric(1.6934, 406.4, 410.7, 0.3392, 0.2849), 6e18, 3e21, "")
    >>> round(frontier(three).exponent, 4)  # 0.2849 / 0.6241; the paper prints 0.46
    0.4565
    """
    k = factor(flops_per_param_token)
    c = law.constants
    if isinstance(c, Power):
        return c
    if isinstance(c, FineGrained):
        raise InputError(f"the optima of {law.name} are no straight line in log C", field="law", value=law.name)
    try:
        g = (c.alpha * c.A / (c.beta * c.B)) ** (1 / (c.alpha + c.beta))
    except OverflowError:
        g = float("inf")
    if not 0 < g < LARGEST:
        raise InputError(f"the constants of {law.name} put its optimum out of reach of numbers", field="law", value=law.name)
    return Power(g, k, law.exponent)


def optimum(
    law: Law,
    *,
    compute: float | None = None,
    params: float | None = None,
    tokens: float | None = None,
    flops_per_param_token: float = FLOPS_PER_PARAM_TOKEN,
) -> Optimum:
    """The compute-optimal N, D and C, from exactly one of them.

    On the frontier N = c (C / u)^a (:func:`frontier`) with C = k N D:
    from C: N = c (C/u)^a; from N: C = u (N/c)^(1/a); from D: C = u (k D c / u)^(1/(1-a)); D = C / (k N) throughout.
    Source: Hoffmann et al. 2022, arXiv:2203.15556, eq. 4. Units: FLOPs, parameters (all of them, or non-embedding:
    ``law.parameters``), tokens. Limits: 1 to 10^60. Raises InputError: compute (none or several given), compute, params,
    tokens, flops_per_param_token, law.

    Gopher's budget by approach 3 is best spent on 40B parameters (the paper's Fig. 4):

    >>> three = Law("three", "", Parametric(1.6934, 406.4, 410.7, 0.3392, 0.2849), 6e18, 3e21, "")
    >>> best = optimum(three, compute=5.76e23)
    >>> f"{best.params:.3g} {best.tokens:.3g} {best.tokens_per_param:.1f}"
    '4.03e+10 2.38e+12 59.1'
    """
    given = {name: value for name, value in (("compute", compute), ("params", params), ("tokens", tokens)) if value is not None}
    if len(given) != 1:
        what = " and ".join(given) if given else "none"
        raise InputError(f"give exactly one of compute, params and tokens, not {what}", field="compute", allowed="exactly one")
    k = factor(flops_per_param_token)
    [(name, asked)] = given.items()
    value = amount(name, asked)
    expected = total = granularity = None
    try:
        if isinstance(law.constants, FineGrained):  # N is the active parameters, and the granularity is chosen too
            found = fine_grained.optimum(law.constants, name, value, k / FLOPS_PER_PARAM_TOKEN)
            n, total, d, budget, expected, granularity = found
        else:
            line = frontier(law, k)
            c, u, a = line.coefficient, line.compute, line.exponent
            if name == "compute":
                n, budget = c * (value / u) ** a, value
            elif name == "params":
                n, budget = value, u * (value / c) ** (1 / a)
            else:
                budget = u * (k * value * c / u) ** (1 / (1 - a))
                n = budget / (k * value)
            d = value if name == "tokens" else budget / (k * n)
    except (OverflowError, ZeroDivisionError):
        n = d = budget = float("inf")
    if not all(isfinite(x) and x > 0 for x in (n, d, budget)):
        raise InputError(f"{name} {asked:g} puts the optimum of {law.name} out of reach of numbers", field=name, value=asked)
    if isinstance(law.constants, Parametric):
        expected = loss_at(law.constants, n, d)
    warning, spread = out_of_range(law, budget), law.exponent_spread
    return Optimum(
        law=law.name,
        params=n,
        tokens=d,
        compute=budget,
        loss=expected,
        tokens_per_param=d / n,
        in_range=warning is None,
        warning=warning,
        extrapolation=extrapolation(law, budget),
        counts=law.parameters,
        exponent=law.exponent,
        exponent_low=spread and spread.low,
        exponent_high=spread and spread.high,
        total_params=total,
        granularity=granularity,
    )


def out_of_range(law: Law, compute: float) -> str | None:
    """A warning where ``compute`` FLOPs lies outside the budgets that ``law`` was fitted to, else None.

    >>> out_of_range(Law("one", "one", Power(1e9, 1e20, 0.5), 6e18, 3e21, ""), 3e24)
    'one was fitted to budgets of 6e+18 to 3e+21 FLOPs; 3e+24 is 1,000 times the largest, so this is an extrapolation'
    """
    ratio = extrapolation(law, compute)
    if ratio is None:
        return None
    span = f"{law.name} was fitted to budgets of {law.compute_min:.3g} to {law.compute_max:.3g} FLOPs"
    end = "largest" if ratio > 1 else "smallest"
    return f"{span}; {compute:.3g} is {times(ratio)} the {end}, so this is an extrapolation"


def extrapolation(law: Law, compute: float) -> float | None:
    """``compute`` over the largest budget that ``law`` was fitted to, or the smallest where it is less; None between them."""
    if compute > law.compute_max:
        return compute / law.compute_max
    return compute / law.compute_min if compute < law.compute_min else None


def times(ratio: float) -> str:
    """A ratio in words.

    >>> times(3333.3), times(0.25)
    ('3,333 times', '0.25 times')
    """
    return f"{ratio:,.0f} times" if 100 <= ratio < 1e6 else f"{ratio:.2g} times"


@dataclass(frozen=True)
class Split:
    """One way to spend the budget: ``params`` on the ``tokens`` that are left for them. ``excess_loss`` is over the optimum's."""

    params: float
    tokens: float
    tokens_per_param: float
    loss: float
    excess_loss: float


@dataclass(frozen=True)
class EqualCompute:
    """Model sizes at equal compute, in the order asked for; ``best`` is the index of the one with the lowest loss."""

    law: str
    compute: float
    optimum: Optimum
    rows: list[Split]
    best: int


def at_equal_compute(
    law: Law, compute: float, sizes: Sequence[float], flops_per_param_token: float = FLOPS_PER_PARAM_TOKEN
) -> EqualCompute:
    """The "huge model, few tokens" against the "medium model, many tokens": each of ``sizes`` on D = C / (k N) tokens.

    Per size: tokens, tokens per parameter, L(N, D) (:func:`loss`) and L - L_opt, nats per token. Source: Hoffmann et al. 2022,
    arXiv:2203.15556, sec. 3.3 (IsoFLOP slices of the fitted loss). Limits: sizes from 1 parameter to C/k, which leaves one
    token. Raises InputError: law (form "power"), compute, sizes, flops_per_param_token.

    Gopher (280B) against Chinchilla (70B) at Gopher's 5.76e23 FLOPs, by approach 3:

    >>> three = Law("three", "", Parametric(1.6934, 406.4, 410.7, 0.3392, 0.2849), 6e18, 3e21, "")
    >>> [f"{row.tokens:.3g} {row.loss:.3f}" for row in at_equal_compute(three, 5.76e23, [280e9, 70e9]).rows]
    ['3.43e+11 1.959', '1.37e+12 1.922']
    """
    constants = parametric(law)
    k = factor(flops_per_param_token)
    if not sizes:
        raise InputError("a comparison at equal compute needs at least one model size", field="sizes")
    top = optimum(law, compute=compute, flops_per_param_token=k)
    if top.tokens < 1 or top.params < 1:
        raise InputError(f"compute {compute:g} is too small for even one token", field="compute", value=compute)
    least = loss_at(constants, top.params, top.tokens)
    rows = []
    for size in sizes:
        n = amount("sizes", size)
        d = top.compute / (k * n)
        if d < 1:
            problem = f"{n:.4g} parameters leave less than one token of {top.compute:.4g} FLOPs"
            raise InputError(problem, field="sizes", value=size, allowed=f"at most {top.compute / k:.4g}")
        reached = loss_at(constants, n, d)
        rows.append(Split(n, d, d / n, reached, reached - least))
    return EqualCompute(law.name, top.compute, top, rows, min(range(len(rows)), key=lambda i: rows[i].loss))


def isoflop(law: Law, best: Optimum, points: int = 33) -> tuple[str, list[tuple[float, float]]]:
    """The curve of equal compute through an optimum: (N, L(N, C / (k N))) for N from a hundredth to a hundred times the
    optimum's.

    Source: Hoffmann et al. 2022, arXiv:2203.15556, Fig. 4. Raises InputError: law (not parametric).
    """
    constants = parametric(law)
    spent = best.params * best.tokens
    sizes = [best.params * 100 ** (2 * i / (points - 1) - 1) for i in range(points)]
    return law.name, [(n, loss_at(constants, n, spent / n)) for n in sizes if spent / n >= 1]
