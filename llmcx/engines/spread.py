"""How a time is spread over requests: what half, nine tenths or 99% of them lie below, from a mean and a variance alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erf, exp, gamma, log, sqrt
from typing import NamedTuple

SHARES = (0.5, 0.9, 0.99)
"""Percentiles that are told, as shares of the requests."""
NORMAL = {0.5: 0.0, 0.9: 1.2815515655446004, 0.99: 2.3263478740408408}
"""Standard deviations above the mean below which such shares of a normal distribution lie."""


LEAST = 0.01
"""A Weibull of a smaller power is beyond what a float holds; nearly all of its requests take the least time by then."""


class Spread(NamedTuple):
    """Seconds of a request: ``least``, and more, which is ``mean`` seconds on average, with a ``variance``; a gamma distribution
    (by the cube root of Wilson and Hilferty 1931, PNAS 17(12)), or where it is wider than an exponential one a Weibull.
    """

    least: float
    mean: float
    variance: float

    def at(self, share: float) -> float:
        """What ``share`` of the requests, one of :data:`SHARES`, lie below.

        >>> [round(Spread(1.0, 2.0, 4.0).at(share), 2) for share in SHARES]  # 1 + an exponential: ln 2, ln 10, ln 100 times 2
        [2.4, 5.56, 10.22]
        """
        if self.mean <= 0 or self.variance <= 0:
            return self.least + max(0.0, self.mean)
        shape = self.mean**2 / self.variance
        if shape >= 1:
            root = 1 - 1 / (9 * shape) + NORMAL[share] / (3 * sqrt(shape))
            return self.least + self.mean * (root * root * root)
        power = max(LEAST, shape**0.543)
        return self.least + self.mean / gamma(1 + 1 / power) * exp(log(-log(1 - share)) / power)

    def below(self) -> Callable[[float], float]:
        """The share of the requests that take at most so many seconds.

        >>> round(Spread(1.0, 2.0, 4.0).below()(3.0), 2)  # 1 + an exponential: 1 - 1/e
        0.63
        """
        least, mean = self.least, self.mean
        if mean <= 0 or self.variance <= 0:
            return lambda seconds: 1.0 if seconds > least and seconds - least >= mean else 0.0
        shape = mean**2 / self.variance
        if shape >= 1:
            less, root, two = 1 / (9 * shape), sqrt(shape), sqrt(2)

            def normal(seconds: float) -> float:
                if seconds <= least:
                    return 0.0
                return 0.5 * (1 + erf((((seconds - least) / mean) ** (1 / 3) - 1 + less) * 3 * root / two))

            return normal
        power = max(LEAST, shape**0.543)
        scale = gamma(1 + 1 / power)
        return lambda seconds: 1 - exp(-(((seconds - least) * scale / mean) ** power)) if seconds > least else 0.0

    def later(self, seconds: float) -> Spread:
        """The same, ``seconds`` later.

        >>> Spread(1.0, 2.0, 4.0).later(0.5)
        Spread(least=1.5, mean=2.0, variance=4.0)
        """
        return self._replace(least=self.least + seconds)


class Even(NamedTuple):
    """Seconds of requests that are answered one after the other, from the first to the last."""

    least: float
    most: float

    def at(self, share: float) -> float:
        """What ``share`` of the requests lie below.

        >>> Even(1.0, 3.0).at(0.9)
        2.8
        """
        return self.least + (self.most - self.least) * share

    def below(self) -> Callable[[float], float]:
        """The share of the requests that take at most so many seconds."""
        least, most = self.least, self.most

        def even(seconds: float) -> float:
            if seconds < least:
                return 0.0
            return 1.0 if seconds >= most else (seconds - least) / (most - least)

        return even

    def later(self, seconds: float) -> Even:
        """The same, ``seconds`` later."""
        return Even(self.least + seconds, self.most + seconds)


Parts = Sequence[tuple[float, "Spread | Even"]]
"""Shares of the requests, and how each is spread."""


def percentile(of: Parts, share: float) -> float:
    """What ``share`` of the requests, one of :data:`SHARES`, lie below.

    >>> fast, slow = Even(1.0, 1.0), Even(2.0, 2.0)
    >>> [round(percentile([(0.8, fast), (0.2, slow)], share), 3) for share in SHARES]
    [1.0, 2.0, 2.0]
    """
    parts = [each for each in of if each[0] > 0]
    if len(parts) == 1:
        return parts[0][1].at(share)
    low, high = min(each.at(share) for _, each in parts), max(each.at(SHARES[-1]) for _, each in parts)
    below = [(weight, each.below()) for weight, each in parts]
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        if sum([weight * lie(middle) for weight, lie in below]) < share:
            low = middle
        else:
            high = middle
    return high


def gap(share: float, step: float, prompt: float, came: float, together: float) -> float:
    """Seconds from a token to the next in ``share`` of the steps: a ``step`` of decoding, and ``prompt`` seconds for each of the
    prompts in it, of which ``came`` come in a step on average, in any (a Poisson distribution), at most ``together``; below 1 a
    prompt takes as many more steps.

    >>> [gap(share, 0.01, 0.1, 0.2, 8) for share in SHARES], gap(0.99, 0.01, 0.1, 0.02, 0.25)
    ([0.01, 0.11, 0.21000000000000002], 0.035)
    """
    if together < 1:
        return step + prompt * together if share > 1 - came / together else step
    many, chance, below = 0, exp(-came), exp(-came)
    while below < share and many < together and chance > 0:
        many += 1
        chance *= came / many
        below += chance
    return step + many * prompt
