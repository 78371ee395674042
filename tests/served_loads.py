"""Continuous batching, step by step: what the closed formulas of waiting are held to. Written from what engines do.

A step gives each running request its next token and takes up to ``budget`` tokens of the prompts that wait, first come, first
served; it takes as long as decoding for so many (``step_at``) and the time of those prompt tokens. A request has a place from its
first prompt token to its last token. Lengths are drawn from 80 to 100% of what is given.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Served(NamedTuple):
    """Of each request the seconds to its first token and between its tokens, and when it came; of steps their seconds and how
    many got a token from each.
    """

    requests: list[tuple[float, float, float]]
    gaps: list[tuple[float, int]]


def served(
    coming: Iterator[float] | None,
    requests: int,
    prompt: float,
    output: float,
    step_at: Callable[[int], float],
    token_s: float,
    users: int = 0,
    places: int = 10**9,
    budget: int = 8192,
    seed: int = 1,
) -> Served:
    """Requests at the times of ``coming``; without, ``users`` that begin together and ask again as soon as they are answered."""
    draw = random.Random(seed)
    lengths = [(draw.uniform(0.8, 1) * prompt, max(2, int(draw.uniform(0.8, 1) * output))) for _ in range(requests)]
    times = [next(coming) for _ in range(requests)] if coming is not None else [0.0] * users
    sent, queue = 0, []  # waiting: when it came, tokens of its prompt left, tokens of its answer
    running: list[tuple[int, float, int]] = []  # the step that ends it, when it got its first token, tokens of its answer
    came: dict[tuple[int, float, int], tuple[float, float]] = {}
    now, steps, found, gaps = 0.0, 0, [], []
    begun = 0  # of the queue, those that have a place
    while sent < requests or queue or running:
        while sent < min(requests, len(times)) and times[sent] <= now:
            queue.append([times[sent], *lengths[sent]])
            sent += 1
        if not queue and not running:
            if sent >= len(times):
                break
            now = times[sent]
            continue
        begun = min(len(queue), max(begun, places - len(running)))
        left, ready, at = float(budget), [], 0
        while at < begun and left > 0:
            taken = min(queue[at][1], left)
            queue[at][1], left = queue[at][1] - taken, left - taken
            if queue[at][1] <= 0:
                ready.append(queue[at])
                at += 1
        queue, begun = queue[at:], begun - at
        decoding = len(running)
        if left < budget:
            took, ahead = (budget - left) * token_s + (step_at(decoding) if decoding else 0.0), 1
        else:  # nothing changes until the next one ends, or comes
            took = step_at(decoding)
            ahead = max(1, running[0][0] - steps)
            if not queue and sent < len(times):
                ahead = max(1, min(ahead, int((times[sent] - now) / took) + 1))
        now, steps = now + ahead * took, steps + ahead
        if decoding:
            gaps.append((took, ahead * decoding))
        for since, _, tokens in ready:
            one = (steps + int(tokens) - 1, now, int(tokens))
            while one in came:
                one = (one[0], one[1] + 1e-12, one[2])
            came[one] = (since, now - since)
            heapq.heappush(running, one)
        while running and running[0][0] <= steps:
            one = heapq.heappop(running)
            since, first = came.pop(one)
            found.append((first, (now - one[1]) / (one[2] - 1), since))
            if coming is None and len(times) < requests:
                times.append(now)
    return Served(found, gaps)


def poisson(rate: float, seed: int = 2) -> Iterator[float]:
    """Times of arrivals, ``rate`` a second."""
    draw, now = random.Random(seed), 0.0
    while True:
        now += draw.expovariate(rate)
        yield now
