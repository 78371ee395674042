"""Routing as chance: what an expert accepts, what overflows, how many experts a batch meets, when one expert is hot.

Tokens are independent, and each picks ``top_k`` distinct experts. ``imbalance`` h is the load of the hottest expert over the
mean load; Wang et al. 2024, arXiv:2408.15664, sec. 4.1, call h - 1 the maximal violation. Here **one** expert is hot and the
others share the rest evenly: the hot one is met by a token with probability h·top_k/n_experts, each other one with
(top_k - h·top_k/n_experts)/(n_experts - 1); h = 1 is uniform routing. A trained router is never that even.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, comb, erfc, exp, expm1, lgamma, log, log1p, pi, sqrt

from llmcx.errors import InputError

MOST_PICKS = 10**7
"""Assignments that a simulation may draw: some ten seconds."""


@dataclass(frozen=True)
class Simulated:
    """What ``trials`` seeded batches gave: means, and the standard error of the dropped share (None for one trial).

    ``hottest`` is the mean of the hottest expert's load over the mean load, above ``imbalance`` by chance alone.
    """

    trials: int
    seed: int
    dropped: float | None
    dropped_error: float | None
    distinct_experts: float
    hottest: float


def capacity(tokens: int, n_experts: int, top_k: int, factor: float) -> int:
    """Tokens an expert accepts: ceil(tokens · top_k / n_experts · factor).

    Fedus et al. 2021, arXiv:2101.03961, eq. 3 (top_k = 1 there). ``factor`` is taken as the decimal it was written as.

    >>> capacity(tokens=1024, n_experts=8, top_k=1, factor=1.25)
    160
    """
    digits = 10**9
    scaled = round(factor * digits)
    return -(-tokens * top_k * scaled // (n_experts * digits))


def chances(n_experts: int, top_k: int, imbalance: float = 1.0) -> tuple[float, float]:
    """The chance that a token meets the hot expert, and that it meets a given other one.

    Raises InputError for an imbalance that no routing can have: below 1, or a hot expert met more than once by a token.

    >>> chances(n_experts=8, top_k=2), chances(n_experts=5, top_k=1, imbalance=3)
    ((0.25, 0.25), (0.6, 0.1))
    """
    most = n_experts / top_k
    if not 1 <= imbalance <= most:
        raise InputError(
            f"imbalance is {imbalance:g}, but the hottest of {n_experts:,} experts at top-{top_k} has 1 to {most:g} times"
            " the mean load",
            field="imbalance",
            value=str(imbalance),
            allowed=f"1 to {most:g}",
        )
    hot = imbalance * top_k / n_experts
    return hot, (top_k - hot) / (n_experts - 1) if n_experts > 1 else hot


def distinct_experts(tokens: int, n_experts: int, top_k: int, imbalance: float = 1.0) -> float:
    """Expected experts that at least one of ``tokens`` meets: the sum over experts of 1 - (1 - p)^tokens.

    Under uniform routing n_experts·(1 - (1 - top_k/n_experts)^tokens), exact for independent tokens with distinct picks.

    >>> distinct_experts(tokens=2, n_experts=4, top_k=2), round(distinct_experts(tokens=32, n_experts=256, top_k=8), 2)
    (3.0, 163.31)
    """

    def met(p: float) -> float:
        return 1.0 if p >= 1 else -expm1(tokens * log1p(-p))

    hot, other = chances(n_experts, top_k, imbalance)
    if hot == other:
        return n_experts * met(hot)
    return met(hot) + (n_experts - 1) * met(other)


def dropped(tokens: int, n_experts: int, top_k: int, per_expert: int, imbalance: float = 1.0) -> float:
    """Expected share of assignments beyond capacity: the sum over experts of E[max(0, X - per_expert)], over tokens·top_k.

    An expert met with chance p receives X ~ Binomial(tokens, p), whatever the others receive.

    >>> dropped(tokens=2, n_experts=2, top_k=1, per_expert=1)      # both on one expert half of the time: 1 of 2 dropped
    0.25
    >>> dropped(tokens=2, n_experts=2, top_k=1, per_expert=1, imbalance=2)      # always both on the hot one
    0.5
    """
    hot, other = chances(n_experts, top_k, imbalance)
    if hot == other:
        return n_experts * _excess(tokens, hot, per_expert) / (tokens * top_k)
    return (_excess(tokens, hot, per_expert) + (n_experts - 1) * _excess(tokens, other, per_expert)) / (tokens * top_k)


def _excess(n: int, p: float, limit: int) -> float:
    """E[max(0, X - limit)] for X ~ Binomial(n, p): the tail's sum over a few standard deviations, or the normal's where
    these are thousands."""
    if limit >= n or p <= 0:
        return 0.0
    if p >= 1:
        return float(n - limit)
    if n <= 60:
        return sum((x - limit) * comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(limit + 1, n + 1))
    mean, deviation = n * p, sqrt(n * p * (1 - p))
    if deviation > 5000:
        z = (limit - mean) / deviation
        return max(0.0, deviation * exp(-z * z / 2) / sqrt(2 * pi) + (mean - limit) * erfc(z / sqrt(2)) / 2)
    last = min(n, ceil(max(mean, limit) + 12 * deviation + 12))
    choose, over = lgamma(n + 1), 0.0
    for x in range(max(limit + 1, int(mean - 12 * deviation)), last + 1):
        over += (x - limit) * exp(choose - lgamma(x + 1) - lgamma(n - x + 1) + x * log(p) + (n - x) * log1p(-p))
    return over


def simulate(
    tokens: int, n_experts: int, top_k: int, per_expert: int | None, imbalance: float = 1.0, trials: int = 1, seed: int = 0
) -> Simulated:
    """Draw ``trials`` batches from the router above and count; the same ``seed`` gives the same answer.

    The hot expert is drawn first, the rest of a token's picks uniformly among the others.
    Raises InputError where that would draw more than MOST_PICKS assignments.
    """
    from random import Random

    picks = tokens * top_k * trials
    if trials < 1 or picks > MOST_PICKS:
        raise InputError(
            f"simulate is {trials:,}, but must be 1 or more with at most {MOST_PICKS:,} assignments in all"
            f" ({tokens:,} tokens, top-{top_k}: {tokens * top_k:,} a trial); lower --batch or --seq",
            field="simulate",
            value=trials,
        )
    hot, _ = chances(n_experts, top_k, imbalance)
    draw = Random(seed)
    others = range(1, n_experts)
    shares, met, hottest = [], 0, 0
    for _ in range(trials):
        load = [0] * n_experts
        for _ in range(tokens):
            on_hot = draw.random() < hot
            load[0] += on_hot
            for expert in draw.sample(others, top_k - on_hot):
                load[expert] += 1
        met += sum(count > 0 for count in load)
        hottest += max(load)
        if per_expert is not None:
            shares.append(sum(max(0, count - per_expert) for count in load) / (tokens * top_k))
    mean = sum(shares) / trials if shares else None
    error = None
    if mean is not None and trials > 1:
        error = sqrt(sum((share - mean) ** 2 for share in shares) / (trials - 1) / trials)
    return Simulated(trials, seed, mean, error, met / trials, hottest * n_experts / (trials * tokens * top_k))
