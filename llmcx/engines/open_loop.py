"""What users wait for where requests arrive at a rate, whoever is being answered: closed formulas.

Arrivals are independent of each other (a Poisson process). A test holds the formulas to a simulation, step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt
from typing import NamedTuple

from llmcx.engines.spread import Spread

FULL = 0.999999
"""The largest load for which formulas that grow without bound towards 1 are asked."""
FAR = 16.0
"""The logarithm of how much rarer than the usual a number of users is that no longer counts."""


class Running(NamedTuple):
    """Requests that have a place: ``users`` of them on average, with a ``variance``; the share of the time that there are
    ``none``, and that all places are taken (``full``); ``waiting`` ones without a place, on average.
    """

    users: float
    variance: float
    none: float
    full: float
    waiting: float


def running(work: Callable[[float], float], rate: float, places: int, about: float, elastic: float, prompts: float) -> Running:
    """Of answers that take ``work(n)`` seconds while n are given at once, where rate · work(n) / n is below 1 at n = ``places``.

    All share a server whose pace depends on how many they are: in the long run n of them are there in proportion to the product
    over k = 1 ... n of rate · work(k) / k, however answers' lengths are distributed (Cohen 1979, Acta Informatica 12: generalized
    processor sharing). The share ``prompts`` of the time goes into those that come: what they put off makes n vary by as much
    more. ``about``: the usual n; ``elastic``: by how many percent work grows where n does by one. The sum is taken some places at
    a time, a sixth of the deviation. Beyond ``places`` they wait, first come, first served: as in an M/D/c queue (Cosmetatos
    1975, Operational Research Quarterly 26(3)).
    """
    noise = 1 + prompts
    by = max(1, int(sqrt(noise * max(1.0, about) / max(0.02, 1 - elastic)) / 6))
    total = first = second = none = weight = 0.0  # the weight as a logarithm, against that of the start
    n = start = min(max(1, round(about)), places)
    while weight > -FAR:
        share = by * exp(weight)
        total, first, second = total + share, first + share * n, second + share * n * n
        if n == 0:
            none = share
            break
        less = min(by, n)
        middle = n - (less - 1) / 2
        weight -= less * log(rate * work(middle) / middle) / noise
        n -= less
    weight, n = 0.0, start
    while n < places and weight > -FAR:
        more = min(by, places - n)
        middle = n + (more + 1) / 2
        weight += more * log(rate * work(middle) / middle) / noise
        n += more
        share = by * exp(weight)
        total, first, second = total + share, first + share * n, second + share * n * n
    full = waiting = 0.0
    if n == places:
        load = min(FULL, rate * work(places) / places)
        each, last = load ** (1 / noise), exp(weight)  # of one more that waits
        beyond = last * each / (1 - each)
        total, first, second = total + beyond, first + beyond * places, second + beyond * places * places
        memory = 0.5 + (1 - load) * (places - 1) * (sqrt(4 + 5 * places) - 2) / (32 * load * places)
        full, waiting = (last + beyond) / total, min(1.0, memory) * beyond / (1 - each) / total
    mean = first / total
    return Running(mean, max(0.0, second / total - mean * mean), none / total, full, waiting)


def first_token(alone: float, prompt: float, step: float, rate: float, together: float, none: float) -> Spread:
    """Seconds to the first token of a request that has a place: its own pass takes ``alone``, that of each before it
    ``prompt``, a step of decoding ``step``, unless there is nobody to decode for (``none`` of the time); a step takes
    ``together`` prompts at most (below 1: a prompt takes several).

    A request waits for the end of the step in which it comes, a long one more often than a short one, and is worked off with
    those that came in the same step as far as they go together. What does not waits as for as many servers (Sakasegawa 1977,
    Annals of the Institute of Statistical Mathematics 29(1)).

    >>> one = first_token(0.1, 0.1, 0.0, 5, 1, 1.0)  # an M/D/1 queue, half loaded: it waits for half a prompt
    >>> round(one.least + one.mean, 3)
    0.15
    """
    step *= 1 - none
    share = rate * prompt
    least, each = alone + step * max(1.0, 1 / together), prompt + step / together
    load = min(FULL, rate * each)
    if together <= 1:
        behind = load * each / (2 * (1 - load))
        return Spread(least, behind + step / 2, behind * behind + 2 / 3 * each * behind + step * step / 12)
    mean = step / (1 - share)  # of a step, with the prompts that came in the one before
    longer, longer2 = (mean, mean * mean)  # of the step in which a request comes, and its square
    if mean:
        came = rate * mean
        variance = came / (1 - share * share)
        second = mean * mean + prompt * prompt * variance
        third = mean**3 + 3 * mean * prompt * prompt * variance + prompt**3 * variance * (2 * variance / came - 1)
        longer, longer2 = second / mean, third / mean
    others = share * (1 - 1 / together)
    waits = longer * (0.5 + others)
    deviation = longer2 / 12 + prompt * others * longer + (0.5 + others) ** 2 * max(0.0, longer2 - longer * longer)
    behind = load ** sqrt(2 * (together + 1)) * each / (2 * (1 - load))
    return Spread(least, waits + behind, deviation + behind * behind + 2 / 3 * each * behind)


def per_token(of: Running, least: float, slope: float, prompt: float, rate: float, output: float) -> Spread:
    """Seconds between a request's tokens, ``least`` where it is alone: on average what makes so many users of so many arrivals
    (Little's law); requests differ by how many others run while they do, ``slope`` seconds of a step for each, and how many
    prompts are worked off meanwhile.
    """
    mean = of.users / (rate * output)
    meanwhile = rate * output * mean
    passes = (prompt / output) * (prompt / output + slope) * meanwhile * min(1.0, of.variance / of.users)
    variance = (2 / 3 * slope * slope * of.variance + passes) / (1 - rate * prompt) ** 2
    return Spread(min(least, mean), max(0.0, mean - least), variance)
