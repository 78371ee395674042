"""Continuous batching in stages of layers, pass by pass: what the closed formulas are held to. Written from what engines do.

There are as many groups of requests as stages. A group's pass goes through one stage after another, each of which works on one
pass at a time, in the order in which they come; when it is through, each of its requests has its next token, and the group
begins again at the first stage. Requests that wait go into the next pass that begins, as many as its ``budget`` of tokens takes
and as the group has room for. A pass takes of each stage what decoding for so many does (``stage_at``), and the time of its
prompt tokens.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator


def served(
    pp: int,
    requests: int,
    prompt: float,
    output: float,
    stage_at: Callable[[int], float],
    token_s: float,
    *,
    users: int = 0,
    coming: Iterator[float] | None = None,
    budget: float = 8192,
    varied: bool = True,
) -> list[tuple[float, float]]:
    """Of each request the seconds to its first token, and between its tokens. Lengths are drawn from 80 to 100% of what is given,
    where they are ``varied``. ``users`` begin together and ask again as soon as they are answered; or requests are ``coming``.
    """
    draw = random.Random(1)

    def length(of: float) -> float:
        return (draw.uniform(0.8, 1) if varied else 1.0) * of

    def one(when: float) -> tuple[float, float, int]:
        return when, length(prompt), max(2, int(length(output)))

    waiting = [one(0.0 if coming is None else next(coming)) for _ in range(users if coming is None else requests)]
    heapq.heapify(waiting)
    left = requests - len(waiting)
    room = -(-users // pp) if coming is None else requests
    groups: list[list[tuple[int, float, float, int]]] = [[] for _ in range(pp)]  # its last pass, first token, wait, tokens
    passes, ready, free = [0] * pp, [0.0] * pp, [0.0] * pp
    found: list[tuple[float, float]] = []
    while waiting or any(groups):
        starts = [ready[g] if groups[g] else max(ready[g], waiting[0][0]) if waiting else float("inf") for g in range(pp)]
        g = min(range(pp), key=lambda each: starts[each])
        at = max(starts[g], free[0])
        taken: list[tuple[float, float, int]] = []
        tokens = 0.0
        while waiting and waiting[0][0] <= at and len(groups[g]) + len(taken) < room:
            if taken and tokens + waiting[0][1] > budget:
                break
            taken.append(heapq.heappop(waiting))
            tokens += taken[-1][1]
        spent = (stage_at(len(groups[g])) if groups[g] else 0.0) + tokens * token_s
        for stage in range(pp):
            at = max(at, free[stage]) + spent
            free[stage] = at
        ready[g] = at
        passes[g] += 1
        while groups[g] and groups[g][0][0] <= passes[g]:
            _, began, waited, many = heapq.heappop(groups[g])
            found.append((waited, (at - began) / (many - 1)))
            if coming is None and left:
                left -= 1
                heapq.heappush(waiting, one(at))
        for when, _, many in taken:
            heapq.heappush(groups[g], (passes[g] + many - 1, at, at - when, many))
    return found
