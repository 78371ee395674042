"""Fitting a scaling law to one's own runs, as Hoffmann et al. 2022 (arXiv:2203.15556) did in their approaches 2 and 3.

Estimates. A run is (N parameters, D tokens, L final loss in nats per token). numpy and scipy are imported inside the functions:
they are an optional extra, and nothing else in llmcx needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, log
from typing import Any, NamedTuple, TypedDict

from llmcx.errors import InputError
from llmcx.scaling.laws import Law, Parametric, Spread
from llmcx.scaling.optimum import Optimum

DELTA = 1e-3
"""Of the Huber loss, in log L (Hoffmann et al. 2022, sec. 3.3)."""
GRID = {
    "a": (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
    "b": (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
    "e": (-1.0, -0.5, 0.0, 0.5, 1.0),
    "alpha": (0.0, 0.5, 1.0, 1.5, 2.0),
    "beta": (0.0, 0.5, 1.0, 1.5, 2.0),
}
"""Starts, 4,500 of them (Hoffmann et al. 2022, appendix D.2); a, b, e are ln A, ln B, ln E."""
SAME_BUDGET = 0.05
"""Runs whose 6 N D lie within a factor 1 ± this are of one IsoFLOP budget."""


class Run(NamedTuple):
    """One training run."""

    params: float
    tokens: float
    loss: float


@dataclass(frozen=True)
class Estimate:
    """A constant of the law: its value, and the 10th and 90th percentile of the bootstraps (None without)."""

    constant: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Fit:
    """Approach 3. ``estimates`` are E, A, B, alpha, beta and a of N_opt ~ C^a. ``rmse_log`` and ``r2`` are of log L;
    ``agreeing`` how many of the ``starts`` that were followed ended at the best solution; ``objective`` the sum of Huber losses.
    """

    runs: int
    estimates: list[Estimate]
    objective: float
    rmse_log: float
    r2: float
    starts: int
    agreeing: int
    bootstraps: int
    compute_min: float
    compute_max: float
    warnings: list[str]
    law: Law


@dataclass(frozen=True)
class Budget:
    """One IsoFLOP curve: its least loss by a parabola in log N."""

    compute: float
    runs: int
    params: float
    tokens: float
    loss: float


@dataclass(frozen=True)
class IsoFlop:
    """Approach 2: the minima of several budgets and the line N_opt = coefficient (C / 1e20)^exponent through them."""

    budgets: list[Budget]
    exponent: float
    coefficient: float
    warnings: list[str]


class Fitted(TypedDict):
    """The law fitted, approach 2 where runs share budgets, and the optima of the budgets asked for by that law."""

    fit: Fit
    isoflop: IsoFlop | None
    laws: list[Optimum]


def _numpy() -> Any:
    try:
        import numpy
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise InputError("a fit needs numpy and scipy: pip install 'llmcx[fit]'", field="fit") from None
    return numpy


def objective(
    theta: Sequence[float], log_n: Any, log_d: Any, log_l: Any, weight: Any = 1.0, delta: float = DELTA
) -> tuple[float, Any]:
    """Sum over runs of Huber_delta(LSE(a - alpha ln N, b - beta ln D, e) - ln L), and its gradient in (a, b, e, alpha, beta).

    Huber(r) = r²/2 for abs(r) <= delta, else delta (abs(r) - delta/2). LSE is ln(A / N^alpha + B / D^beta + E). The sum, not
    the mean: with a mean L-BFGS stops early (Besiroglu et al. 2024, arXiv:2404.10102, sec. 3). Source: Hoffmann et al. 2022, eq.
    3.
    """
    np = _numpy()
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * log_n, b - beta * log_d, np.full_like(log_n, e)])
    top = terms.max(axis=0)
    shares = np.exp(terms - top)
    total = shares.sum(axis=0)
    residual = top + np.log(total) - log_l
    inside = np.abs(residual) <= delta
    value = weight * np.where(inside, residual**2 / 2, delta * (np.abs(residual) - delta / 2))
    slope = weight * np.where(inside, residual, delta * np.sign(residual))
    by = slope * shares / total
    gradient = np.array([by[0].sum(), by[1].sum(), by[2].sum(), -(by[0] * log_n).sum(), -(by[1] * log_d).sum()])
    return float(value.sum()), gradient


def fit(runs: Sequence[Run], *, name: str = "fit", starts: int = 60, bootstraps: int = 200, seed: int = 0) -> Fit:
    """L = E + A / N^alpha + B / D^beta by approach 3: :data:`GRID` is evaluated whole, its ``starts`` best points are followed by
    L-BFGS, the best end is the fit; ``bootstraps`` resamples of the runs, each from there, give the intervals.

    Limits: at least 6 runs, of two sizes and two token counts. Raises InputError (runs, starts, bootstraps, fit without scipy).
    """
    np = _numpy()
    from scipy.optimize import minimize

    if len(runs) < 6 or len({run.params for run in runs}) < 2 or len({run.tokens for run in runs}) < 2:
        problem = f"{len(runs)} runs cannot fix 5 constants: at least 6 are needed, of two sizes and two token counts"
        raise InputError(problem, field="runs", value=len(runs), allowed="6 or more")
    if starts < 1 or bootstraps < 0:
        raise InputError("starts must be 1 or more and bootstraps 0 or more", field="starts" if starts < 1 else "bootstraps")
    log_n, log_d, log_l = (np.log(np.array([run[i] for run in runs], dtype=float)) for i in range(3))

    def descend(start: Any, weight: Any = 1.0) -> Any:
        options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-15, "gtol": 1e-10}
        end = minimize(objective, start, args=(log_n, log_d, log_l, weight), jac=True, method="L-BFGS-B", options=options)
        again = minimize(objective, end.x, args=(log_n, log_d, log_l, weight), jac=True, method="BFGS", options={"gtol": 1e-9})
        return again if again.fun <= end.fun else end

    grid = sorted(product(*GRID.values()), key=lambda start: objective(start, log_n, log_d, log_l)[0])
    ends = sorted((descend(np.array(start)) for start in grid[:starts]), key=lambda end: float(end.fun))
    best = ends[0]
    agreeing = sum(bool(np.allclose(end.x, best.x, rtol=1e-2, atol=1e-3)) for end in ends)
    draw = np.random.default_rng(seed)
    n = len(runs)
    weights = (np.bincount(draw.integers(n, size=n), minlength=n).astype(float) for _ in range(bootstraps))
    drawn = [_constants(descend(best.x, weight).x) for weight in weights]
    found = _constants(best.x)
    bands = np.percentile(drawn, (10, 90), axis=0).T.tolist() if drawn else [(None, None)] * len(found)
    names = ("E", "A", "B", "alpha", "beta", "a")
    estimates = [Estimate(constant, value, *band) for constant, value, band in zip(names, found, bands, strict=True)]
    a, b, e, alpha, beta = best.x
    residual = np.logaddexp(np.logaddexp(a - alpha * log_n, b - beta * log_d), e) - log_l
    spent = [6 * run.params * run.tokens for run in runs]
    spread = float(((log_l - log_l.mean()) ** 2).sum())
    kind = f"10th to 90th percentile of {bootstraps} bootstraps"
    uncertain = tuple(Spread(e.constant, e.low, e.high, kind) for e in estimates if e.low is not None and e.high is not None)
    made = Law(
        name=name,
        title=f"fit to {len(runs)} runs",
        constants=Parametric(*found[:5]),
        compute_min=min(spent),
        compute_max=max(spent),
        source="llmcx chinchilla fit: Huber loss on log L, delta 1e-3 (Hoffmann et al. 2022, arXiv:2203.15556, sec. 3.3)",
        uncertainty=uncertain,
    )
    return Fit(
        runs=len(runs),
        estimates=estimates,
        objective=float(best.fun),
        rmse_log=float(np.sqrt((residual**2).mean())),
        r2=1 - float((residual**2).sum()) / spread if spread else 0.0,
        starts=len(ends),
        agreeing=agreeing,
        bootstraps=bootstraps,
        compute_min=min(spent),
        compute_max=max(spent),
        warnings=list(_warnings(runs, found, agreeing, len(ends))),
        law=made,
    )


def _constants(theta: Any) -> tuple[float, float, float, float, float, float]:
    a, b, e, alpha, beta = (float(x) for x in theta)
    return exp(e), exp(min(a, 700)), exp(min(b, 700)), alpha, beta, beta / (alpha + beta)


def _warnings(runs: Sequence[Run], found: Sequence[float], agreeing: int, starts: int) -> list[str]:
    said = []
    if len(runs) < 25:
        said.append(f"{len(runs)} runs for 5 constants: expect wide intervals, and check them with --bootstraps")
    ratios = [run.tokens / run.params for run in runs]
    if max(ratios) < 4 * min(ratios):
        said.append("tokens per parameter hardly vary, so the terms of N and D cannot be told apart")
    if agreeing < max(2, starts // 20):
        said.append(f"only {agreeing} of {starts} starts ended at this solution; raise --starts")
    if not (0 < found[3] < 2 and 0 < found[4] < 2):
        said.append("alpha or beta lies outside 0 to 2: the runs do not show a power law")
    return said


def isoflop(runs: Sequence[Run]) -> IsoFlop | None:
    """Approach 2 where the runs allow it, else None: at least two budgets with three sizes each.

    Runs are of one budget where 6 N D is alike (:data:`SAME_BUDGET`). Per budget the minimum of a parabola fitted to L over
    ln N; through the minima a least-squares line of ln N over ln C. Source: Hoffmann et al. 2022, sec. 3.2.
    """
    np = _numpy()
    groups: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: run.params * run.tokens):
        spent = run.params * run.tokens
        if groups and spent <= groups[-1][0].params * groups[-1][0].tokens * (1 + 2 * SAME_BUDGET):
            groups[-1].append(run)
        else:
            groups.append([run])
    budgets, warnings = [], []
    for group in groups:
        if len({run.params for run in group}) < 3:
            continue
        sizes = np.log([run.params for run in group])
        curve = np.polyfit(sizes - sizes.mean(), [run.loss for run in group], 2)
        compute = exp(float(np.mean([log(6 * run.params * run.tokens) for run in group])))
        if curve[0] <= 0:
            warnings.append(f"the runs of {compute:.3g} FLOPs bend the wrong way and are left out")
            continue
        at = -curve[1] / (2 * curve[0]) + sizes.mean()
        if not sizes.min() <= at <= sizes.max():
            warnings.append(f"the minimum at {compute:.3g} FLOPs lies outside the sizes tried and is left out")
            continue
        n = exp(float(at))
        budgets.append(Budget(compute, len(group), n, compute / (6 * n), float(np.polyval(curve, at - sizes.mean()))))
    if len(budgets) < 2:
        return None
    slope, level = np.polyfit([log(each.compute / 1e20) for each in budgets], [log(each.params) for each in budgets], 1)
    return IsoFlop(budgets, float(slope), exp(float(level)), warnings)


def octaves(found: Fit, most: int = 6) -> list[float]:
    """Budgets that span the runs' own, evenly in log C: what a plot of the fit shows."""
    low, high = log(found.compute_min), log(found.compute_max)
    return [exp(low + (high - low) * i / (most - 1)) for i in range(most)]
