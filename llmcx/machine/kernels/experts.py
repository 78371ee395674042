"""The routed experts of a mixture's feed-forward, as one rank runs them: sort, first products, activation, second, sum.

What was measured is the busiest rank of a group of ep x tp ranks; no communication between them.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, log
from typing import NamedTuple

from llmcx.machine.kernels import Peaks


class Constants(NamedTuple):
    """``flops`` and ``memory`` shares of the peaks; ``launch_us`` microseconds that every call takes; ``sharp`` how abruptly
    arithmetic gives way to memory; ``tile`` rows that a tile costs besides its own; ``wave`` tiles a multiprocessor that keep it
    busy; ``thin`` what weights in few columns cost besides; ``moved`` how often activations pass through memory; ``others``
    share of the work that the slots of other ranks' experts still cost; ``cached`` how much faster the cache is than memory;
    ``plain`` how much longer experts without a gate take; ``weight`` bytes an element.
    """

    flops: float
    memory: float
    launch_us: float
    sharp: float
    tile: float
    wave: float
    thin: float
    moved: float
    others: float
    cached: float
    plain: float
    weight: float


ROWS = (16, 32, 64, 128)
"""Of a tile: an engine chooses by how many tokens meet an expert."""
COLUMNS = 128
"""Of a tile."""
DRAWS = 12
"""Experts that stand for all of a rank, from the least loaded to the most."""


class Load(NamedTuple):
    """Of the busiest rank: ``rows`` that its experts compute, ``met`` experts that have any, ``tiles`` of each of :data:`ROWS`."""

    rows: float
    met: float
    tiles: tuple[float, ...]


@lru_cache(maxsize=8192)
def busiest(tokens: float, top_k: int, experts: int, ep: int, skew: float = 0.0) -> Load:
    """How ``tokens`` of a group, each with ``top_k`` experts, load the busiest of its ``ep`` ranks.

    ``skew`` 0: all experts alike. Else loads follow the power law x^-skew, between 1 and 0.8 tokens, or 1 to 200 where there are
    no more slots than experts, scaled to tokens x top_k together. The busiest of ep ranks of one expert each holds the highest of
    ep draws, u^(1/ep); the more experts to a rank, the nearer to the mean: u^(1/ep^(1/n^c)), c = 0.34 + 0.058 ln ep, from
    simulated draws (rows within 4% at the median, 25% at the 90th percentile).

    >>> busiest(64, 8, 256, 8)
    Load(rows=64.0, met=32.0, tiles=(32.0, 32.0, 32.0, 32.0))
    >>> [round(each) for each in busiest(64, 8, 256, 8, 1.2)[:2]]
    [84, 27]
    """
    local, slots = max(experts // ep, 1), tokens * top_k
    mean = slots / experts
    if not skew:
        met = max(local * min(1.0, mean), 1.0)
        return Load(max(slots / ep, 1.0), met, tuple(met * ceil(mean / rows) for rows in ROWS))
    power = 1 - skew if abs(skew - 1) > 1e-3 and abs(skew - 2) > 1e-3 else 1.002 - skew
    low, high = (1.0, 200.0) if slots <= experts else (1.0, max(0.8 * tokens, 1.01))
    first, last = low**power, high**power
    scale = mean * (1 + power) / power * (last - first) / (high ** (1 + power) - low ** (1 + power))
    tilt = 1 / ep ** (local ** -(0.34 + 0.058 * log(ep)))
    loads = [
        min((first + (last - first) * ((each + 0.5) / DRAWS) ** tilt) ** (1 / power) * scale, tokens) for each in range(DRAWS)
    ]
    share = local / DRAWS
    met = max(share * sum(min(1.0, load) for load in loads), 1.0)
    tiles = tuple(  # of n rows: 1 up to a full one, then on average half a tile is empty
        max(share * sum(min(1.0, n) if n <= rows else n / rows + (n - rows) / (2 * n) for n in loads), 1.0) for rows in ROWS
    )
    return Load(max(share * sum(loads), 1.0), met, tiles)


def seconds(
    constants: Constants,
    peaks: Peaks,
    tokens: float,
    hidden: int,
    inter: int,
    top_k: int,
    experts: int,
    tp: int = 1,
    ep: int = 1,
    skew: float = 1.2,
    gated: bool = True,
    repeated: bool = False,
) -> float:
    """Seconds on the busiest of ep x tp ranks for ``tokens`` of the whole group, before they are dispatched.

    launch + (arithmetic^sharp + weights^sharp)^(1/sharp) + activations, of experts of ``hidden`` x ``inter`` / tp, ``gated`` or
    not, ``skew`` as in :func:`busiest`. Arithmetic: for each of two products, the sum over its columns of waves of tiles, each
    wave as long as one tile takes, (rows + ``tile``) x 128 x depth x 2 FLOPs on one processor: the quickest of four heights of
    tiles. Weights: those of the experts that any token meets, read once. Activations: read, between the products, and written.
    ``repeated`` as a benchmark runs it: the weights of the last call are still in the cache, where they fit.

    >>> h100 = Peaks(1e15, 3.35e12, 132, 5e7, 4.5e11, 8)
    >>> fitted = Constants(0.7, 0.9, 30, 2, 20, 1, 0.3, 2, 0, 2, 1, 2)
    >>> [round(seconds(fitted, h100, tokens, 2048, 768, 8, 128) * 1e6) for tokens in (1, 64, 4096)]
    [60, 404, 911]
    """
    rows, met, tiles = busiest(tokens, top_k, experts, ep, skew)
    width = inter / tp
    first = 2 * width if gated else width
    elsewhere = constants.others * max(tokens * top_k - rows, 0.0)
    waiting = peaks.sms * constants.wave
    ups, downs = ceil(first / COLUMNS), ceil(hidden / COLUMNS)
    quickest = min(
        (height + constants.tile)
        * (
            hidden * (1 + ((each + elsewhere / height) * ups / waiting) ** 2) ** 0.5
            + width * (1 + ((each + elsewhere / height) * downs / waiting) ** 2) ** 0.5
        )
        for height, each in zip(ROWS, tiles, strict=True)
    )
    arithmetic = quickest * 2 * COLUMNS * waiting / (constants.flops * peaks.flops)
    stored = met * hidden * (first + width) * constants.weight
    strips = met * min(first, hidden) / COLUMNS
    reading = stored / (constants.memory * peaks.bytes_per_s) * (1 + constants.thin * peaks.sms / (strips + peaks.sms))
    if repeated and peaks.l2_bytes:
        kept = 1 / (1 + (stored / peaks.l2_bytes) ** 6)
        reading *= 1 - kept + kept / constants.cached
    passing = constants.moved * 4 * (rows + elsewhere) * (hidden + first + width) / peaks.bytes_per_s
    p = constants.sharp
    busy: float = (arithmetic**p + reading**p) ** (1 / p) + passing
    return constants.launch_us * 1e-6 + busy * (1.0 if gated else constants.plain)
