"""Collectives within the fast network: all-reduce, all-gather, reduce-scatter, all-to-all; dispatch to experts and back.

Times within one domain (``Peaks.domain``); between domains other networks bound them. Algorithms of the all-reduce: Thakur,
Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH" (2005); one and two shots among GPUs that
write into each other's memory: NVIDIA's TensorRT-LLM. Dispatch and combine: DeepSeek-AI, DeepEP (2025).
"""

from __future__ import annotations

from math import log2
from typing import Any, NamedTuple

from llmcx.machine.kernels import Peaks, where

NO_NETWORK = 31.5e9
"""Bytes/s each way where an accelerator states no network: PCIe 4.0 x16."""


class Collective(NamedTuple):
    """``launch_us`` of every call, and ``hop_us`` more for each GPU besides the first; shares of the link's peak: ``one`` of an
    exchange at once, ``two`` of one in parts, which takes ``two_us`` longer, and of large messages, which take ``bulk_us``
    longer, among 2 GPUs (``pair``), 4 (``four``), 8 or more (``eight``); ``host_us`` what the program takes to launch it, where
    it was not recorded in a graph.
    """

    launch_us: float
    hop_us: float
    one: float
    two_us: float
    two: float
    bulk_us: float
    pair: float
    four: float
    eight: float
    host_us: float


def all_reduce(constants: Collective, peaks: Peaks, gpus: int, size: float) -> float:
    """Seconds to sum ``size`` bytes that each of ``gpus`` holds, everywhere.

    At once, each reads what all others hold: (n - 1) size. In parts, each sums its part and sends it to all: 2 (n - 1)/n size.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 450e9, 8)
    >>> constants = Collective(3, 0.1, 0.6, 5, 0.6, 30, 0.7, 0.8, 1, 0)
    >>> round(all_reduce(constants, peaks, 8, 16384) * 1e6, 1), round(all_reduce(constants, peaks, 8, 2**30) * 1e6)
    (4.1, 4209)
    """
    return _exchange(constants, peaks, gpus, (gpus - 1) * size, 2 * (gpus - 1) / gpus * size)


def scattered(constants: Collective, peaks: Peaks, gpus: int, size: float) -> float:
    """Seconds of an all-gather to ``size`` bytes, a reduce-scatter of ``size`` bytes, an all-to-all of ``size`` bytes: each GPU
    sends (n - 1)/n of that.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 450e9, 8)
    >>> round(scattered(Collective(5, 1, 0.3, 5, 0.6, 30, 0.7, 0.7, 0.7, 0), peaks, 8, 2**30) * 1e6)
    3025
    """
    sent = (gpus - 1) / gpus * size
    return _exchange(constants, peaks, gpus, sent, sent)


def _exchange(constants: Collective, peaks: Peaks, gpus: Any, once: Any, parts: Any) -> float:
    """launch + hop (n - 1) + the least of once/(one link), two + parts/(two link), bulk + parts/(share link), or the host's."""
    link = (peaks.link or NO_NETWORK) * 1e-6
    doubled = min(log2(gpus), 3)
    low, high = where(doubled < 2, constants.pair, constants.four), where(doubled < 2, constants.four, constants.eight)
    share = low + (high - low) * (doubled - where(doubled < 2, 1, 2))
    fast = min(once / (constants.one * link), constants.two_us + parts / (constants.two * link))
    sent = min(fast, constants.bulk_us + parts / (share * link))
    took: float = max(constants.host_us, constants.launch_us + constants.hop_us * (gpus - 1) + sent) * 1e-6
    return took


class Experts(NamedTuple):
    """``launch_us`` of every call; ``token_ns`` of every token; ``copy_ns`` of every copy that is sent; ``link`` share of its
    peak; ``sharp`` how abruptly the one gives way to the others; ``width`` bytes that are sent of an element; ``each`` 1 where
    every chosen expert gets a copy, 0 where every GPU gets one at most.
    """

    launch_us: float
    token_ns: float
    copy_ns: float
    link: float
    sharp: float
    width: float
    each: float


def exchanged(constants: Experts, peaks: Peaks, gpus: int, tokens: int, hidden: int, chosen: int) -> float:
    """Seconds to send ``tokens`` of each of ``gpus``, ``hidden`` elements each, to the GPUs of their ``chosen`` experts, or to
    get the results back.

    Of n GPUs, k experts chosen evenly lie on n (1 - (1 - 1/n)^k); 1/n of all copies stay where they are.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 450e9, 8)
    >>> round(exchanged(Experts(60, 5, 1, 0.9, 2, 2, 0), peaks, 8, 8192, 7168, 8) * 1e6)
    1412
    """
    reached = gpus * (1 - (1 - 1 / gpus) ** chosen)
    copies = (gpus - 1) / gpus * where(constants.each > 0, chosen, reached)
    link = (peaks.link or NO_NETWORK) * constants.link
    sent = copies * hidden * constants.width / link * 1e6 + copies * constants.copy_ns * 1e-3
    busy = tokens * (sent + constants.token_ns * 1e-3)
    p = constants.sharp
    took: float = (constants.launch_us**p + busy**p) ** (1 / p) * 1e-6
    return took
