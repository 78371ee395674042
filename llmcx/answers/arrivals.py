"""Serving requests that arrive at a rate: users at a time, how long they wait, and the largest rate that can be kept up.

The queue is :mod:`llmcx.engines.open_loop`'s; steps and prompts are those of :func:`llmcx.answers.load.point`, between whose
numbers of users straight lines are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from math import exp, floor, log10
from typing import NamedTuple

from llmcx.answers.load import Apart, Load, Point, percentiles, pointed
from llmcx.answers.serve import Arrivals
from llmcx.engines.open_loop import FULL, first_token, per_token, running
from llmcx.engines.serving_time import Server, ServingStep
from llmcx.engines.spread import Parts, Spread
from llmcx.errors import InputError

QUARTERS = 4
"""Numbers of users that are tried between one power of two and the next."""


def batches(largest: int) -> list[int]:
    """Numbers up to the largest, a quarter of a power of two apart.

    >>> batches(18)
    [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18]
    """
    steps = (
        (1 << power) * quarter // QUARTERS for power in range(largest.bit_length()) for quarter in range(QUARTERS, 2 * QUARTERS)
    )
    return sorted({size for size in steps if size < largest} | ({largest} if largest else set()))


TRIED, HALVED = (0.5, 0.8, 0.86, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, FULL), 8
"""Of the rate at which all are answered, where it is asked whether all have a place; how often the range between is halved."""


class Offered(NamedTuple):
    """At a rate: the usual ``users``, of whom each adds ``slope`` seconds to a ``token`` of any number; ``added`` seconds of a
    prompt; those for which a request is ``held`` before it decodes; the ``work`` of an answer among any number; and the index of
    the ``near``est number tried.
    """

    users: float
    slope: float
    token: Callable[[float], float]
    added: float
    held: float
    work: Callable[[float], float]
    near: int


class Paces:
    """How fast a server answers, by how many it answers at once, up to ``places``: evaluated as it is asked, once."""

    def __init__(self, server: Server, load: Load, places: int) -> None:
        self.server, self.load = server, load
        self.workers = 1 if load.apart is None else load.apart.workers
        groups = server.setup.attention_dp
        self.places = max(1, places // self.workers)  # of a worker
        sizes = [groups * size for size in batches(self.places // groups)] or batches(self.places)
        self.sizes = sizes if sizes[-1] == self.places else [*sizes, self.places]
        self._timed: dict[int, tuple[ServingStep, float, float, float]] = {}

    def among(self, apart: Apart) -> Paces:
        """The same workers in other numbers: what a step and a prompt take is known already."""
        other = copy(self)
        other.load, other.workers = self.load.among(apart), apart.workers
        for name in ("top", "largest_rate"):
            other.__dict__.pop(name, None)
        return other

    def at(self, index: int) -> tuple[ServingStep, float, float, float]:
        """A decode step; its seconds with drafting, those of a token; those that a prompt adds to the steps of all."""
        if index not in self._timed:
            size, load, of = self.sizes[index], self.load, self.load.speculation
            step = self.server.decode(size, load.context, 1 + of.drafted)
            seconds = step.total
            if of.drafted:
                seconds += of.drafted * of.cost * self.server.decode(size, load.context).total
            added = 0.0 if load.apart else self.server.prompt(load.prompt, load.cached, size, load.context, load.chunk)
            self._timed[index] = step, seconds, seconds / of.tokens, added
        return self._timed[index]

    @cached_property
    def prompts(self) -> Server:
        """What works off the prompts."""
        apart, server = self.load.apart, self.server
        return server if apart is None else server.like(apart.prompts(server.setup))

    @cached_property
    def alone(self) -> tuple[float, float]:
        """Seconds of a prompt's own pass, and besides; where it is worked off apart, those in which its cache is handed on."""
        pass_, besides = self.prompts.alone(self.load.prompt, self.load.cached)
        return pass_, besides if self.load.apart is None else self.prompts.handed(self.load.prompt)

    @cached_property
    def together(self) -> float:
        """Prompts that a step takes at most."""
        return self.prompts.together(self.load.prompt - self.load.cached, self.load.chunk)

    def answered(self, index: int) -> float:
        """Requests a second that each worker answers, so many at a time."""
        _, _, token, added = self.at(index)
        return self.sizes[index] / (self.load.output * token + self.sizes[index] * added)

    def prompted(self, index: int) -> float:
        """Requests a second whose prompts each worker takes beside so many at a time."""
        apart = self.load.apart
        if apart is not None:
            return apart.prefill_workers / self.alone[0] / self.workers
        _, seconds, _, added = self.at(index)
        return 1 / (added + seconds / self.together / self.server.setup.pp)

    @cached_property
    def top(self) -> int:
        """The index from which on more at a time are not answered faster: all places, or what prompts leave."""
        low, high = 0, len(self.sizes) - 1
        if self.answered(high) <= self.prompted(high):
            return high
        while low < high:
            middle = (low + high) // 2
            if self.answered(middle) < self.prompted(middle):
                low = middle + 1
            else:
                high = middle
        return low

    @cached_property
    def largest_rate(self) -> float:
        """That can be kept up, in requests a second of all workers: as many as are answered, and have a place until they are."""
        tried = (self.top, max(0, self.top - 1))
        most = max(min(self.answered(index), self.prompted(index)) for index in tried)
        low = 0.0
        for share in TRIED:  # between numbers of users tried, more may leave at one rate than at a lower one
            high = share * most
            if self.crowded(high):
                for _ in range(HALVED):
                    middle = (low + high) / 2
                    low, high = (low, middle) if self.crowded(middle) else (middle, high)
                return self.workers * low
            low = high
        return self.workers * most

    def crowded(self, rate: float) -> bool:
        """Whether more come than leave where all places are taken, at ``rate`` requests a second on each worker."""
        return rate * self.offered(rate).work(self.places) >= self.places

    def offered(self, rate: float) -> Offered:
        """What ``rate`` requests a second on each worker find there."""
        load, server = self.load, self.server
        low, high = self.between(rate)
        users, slope, token, added = _usual(self, rate, low, high)
        seconds, pp = token(users) * load.speculation.tokens, server.setup.pp
        pass_, _ = self.alone
        first = Spread(pass_, 0.0, 0.0)
        if server.bands() is not None and load.apart is None:
            none = exp(-users)
            first = _staged(first_token(pass_, added, seconds / pp, rate, self.together, none), seconds, pp, none)
        held = 0.0 if load.apart else first.least + first.mean
        rest = 1 - rate * added

        def work(n: float) -> float:
            return held + load.output * token(n) / rest

        return Offered(users, slope, token, added, held, work, min((low, high), key=lambda index: abs(self.sizes[index] - users)))

    def between(self, rate: float) -> tuple[int, int]:
        """Of ``rate`` requests a second on each worker, the numbers of users tried, by index, between which those needed lie."""
        low, high = 0, self.top
        while high - low > 1:
            middle = (low + high) // 2
            if self.answered(middle) < rate:
                low = middle
            else:
                high = middle
        return low, high


def arriving(of: Paces, rate: float, usd_per_hour: float | None, shares: Sequence[float] = ()) -> tuple[Point, Arrivals]:
    """The point of the users that there are when requests arrive at ``rate`` a second, with percentiles for ``shares`` of them.

    Raises InputError for a rate that cannot be kept up.
    """
    server, load, output = of.server, of.load, of.load.output
    if rate >= of.largest_rate:
        raise _unstable(of, rate)
    each = rate / of.workers
    users, slope, token, added, held, work, near = of.offered(each)
    prompts = each * added
    pass_, besides = of.alone
    bound, pp, first = server.bands() is None, server.setup.pp, Spread(pass_, 0.0, 0.0)
    found = running(work, each, of.places, users, slope * users / token(users), prompts)
    answered = found._replace(users=max(found.users - each * held, each * output * token(1)))
    seconds = token(answered.users) * load.speculation.tokens
    tokens = per_token(answered, token(1), slope, added, each, output)
    tpot = tokens.least + tokens.mean
    if not bound:
        if load.apart is None:
            first = first_token(pass_, added, seconds / pp, each, of.together, found.none)
            first = _staged(first, seconds, pp, found.none)
        else:
            first = first_token(pass_, pass_, 0.0, rate / load.apart.prefill_workers, 1.0, 1.0)
            besides += of.prompts.taken_up(seconds)
    wait = 0.0 if bound else found.waiting / each
    mean = besides + first.least + first.mean + wait
    told = {}
    if shares:
        gaps = seconds, added, each * seconds / (1 - prompts), of.together
        told = percentiles(shares, _firsts(first.later(besides), found.full, wait), [(1.0, tokens)], gaps)
    limit = of.at(near)[0].largest
    batch = min(of.places, max(1, round(answered.users))) * of.workers
    point = pointed(server, load, batch, mean, tpot, rate * output, limit, usd_per_hour, told)
    present = rate * (mean + output * tpot)
    waiting = 0.0 if bound else found.waiting * of.workers
    return point, Arrivals(rate, of.largest_rate, rate / of.largest_rate, present, waiting, found.full, wait)


def _staged(first: Spread, step: float, pp: int, none: float) -> Spread:
    """Of a request whose prompt goes into a group's step, through the first of ``pp`` stages and then the others; ``none`` of the
    time there is nobody to decode for.
    """
    return first.later((step - step / pp) * (1 - none))


def _usual(of: Paces, rate: float, low: int, high: int) -> tuple[float, float, Callable[[float], float], float]:
    """The users at which as many are answered as come, by a straight line between two numbers of them; how many seconds each adds
    to a token; those of a token with any number of users; those that a prompt adds.
    """
    sizes, output = of.sizes, of.load.output
    few, many = sizes[low], sizes[high]
    (_, _, fast, little), (_, _, slow, much) = of.at(low), of.at(high)
    slope = (slow - fast) / (many - few) if many > few else 0.0
    users, added = float(many), much
    for _ in range(3):
        answers = rate * output / (1 - rate * added)
        steep = answers * slope >= 1  # more users take more time than they bring
        users = float(many) if steep else min(float(many), answers * (fast - slope * few) / (1 - answers * slope))
        if users < few:  # of more than the fewest, those tried answer fewer than come
            users = few if low else min(users if users > 0 else few, answers * fast)
        added = little + (much - little) * min(1.0, max(0.0, (users - few) / (many - few))) if many > few else much
    least, places, last = of.at(0)[2], sizes[-1], of.at(len(sizes) - 1)[2]
    steeper = (last - slow) / (places - many) if places > many else 0.0

    def token(n: float) -> float:
        if n <= many:
            return max(least, slow + slope * (n - many))
        return slow + steeper * (n - many)

    return users, slope, token, added


def _firsts(first: Spread, full: float, wait: float) -> Parts:
    """Those that find a place, and those that wait for one."""
    if not full or not wait:
        return [(1.0, first)]
    more = wait / full
    return [(1 - full, first), (full, Spread(first.least, first.mean + more, first.variance + more * more))]


def _unstable(of: Paces, rate: float) -> InputError:
    server, largest = of.server, of.largest_rate
    below = floor_of(largest)
    what = f"{of.load.gpus(server.setup):,} x {server.hardware.title}"
    told = "a larger max_num_seqs, " if of.places * of.workers == of.load.places else ""
    problem = (
        f"{rate:g} requests a second are more than {what} can answer, which is {largest:.3g} at most: queues would grow without"
        f" end; give at most --rate {below:g}/s, {told}or more GPUs (llmcx plan serve --rate)"
    )
    return InputError(problem, field="rate", value=rate, allowed=f"below {largest:.3g}/s")


def floor_of(rate: float) -> float:
    """Two digits that are less.

    >>> floor_of(14.27), floor_of(0.0999)
    (14.0, 0.099)
    """
    unit = 10.0 ** (floor(log10(rate)) - 1)
    return float(f"{floor(rate / unit * (1 - 1e-9)) * unit:.2g}")
