"""What differs between versions of vLLM: lines of versions that plan, profile and reserve alike.

The planner of a version of each line was asked (tests/oracle/vllm_cache.py, vllm_lines.py); from where on a rule holds is what
the sources of 0.8.5, 0.9.2, 0.10.2, 0.11.2, 0.14.1, 0.19.1, 0.21.0, 0.25.1 and 0.32.0 say. Bytes are of start-up logs
(tests/oracle/vllm_starts.csv, vllm_v0_starts.csv).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from llmcx.errors import InputError

GIB = 2**30
Version = tuple[int, int]
CONTEXT = int(0.45 * GIB)
"""Bytes of the driver's context: 384 MiB on an RTX 4090, 520 on an H100 (vllm-project/vllm issue 12059)."""


class Line(NamedTuple):
    """Versions ``first`` to ``last``, and the one that was ``asked``.

    The plan: ``grouped``: windows and states beside full layers have groups of blocks of their own, else every layer keeps every
    token; ``chunked``: chunks too; ``equalised``: pages of unequal size are made equal; ``widest``: groups are as wide as the
    commonest kind where it has not half as many layers again as the rarest, else as the rarest; ``ahead``: a step more than the
    stages have is under way; ``prefixed``: states are cached by prefix, so that a sequence has more than one; ``latent_block``:
    tokens that a block of latents is a multiple of beside states; ``counted``: the tokens that are logged are those of the
    blocks, of the blocks of a group, or of as many of the longest requests as fit; ``divided``: blocks are divided between as
    many engines as there are stages, of which a request is in one (worker/cache_engine.py).

    The profile: ``by_length``: a step has as many tokens as the longest prompt; ``logit``: bytes of a number of the logits while
    it is sampled from; ``buffers`` of a runner; ``alone``, ``linked`` and ``hosted``: bytes outside of torch on one GPU, on one
    of several with links of their own, and on one of several that meet in the host; ``context``: of them, that of the driver,
    which others do not count; ``aside``: CUDA graphs are set aside before the cache is sized.
    ``wide``: weights that are made fp8 are all there in 16 bits first. ``shown``: the video that is tried is as long as a
    sequence, else as a step. ``utilization``: the share of the memory where none is given; ``large``: accelerators of 160 GiB
    have larger steps.
    """

    first: Version
    last: Version
    asked: str
    grouped: bool = True
    chunked: bool = True
    equalised: bool = True
    widest: bool = True
    ahead: bool = False
    prefixed: bool = False
    latent_block: int = 64
    counted: str = "group"
    divided: bool = False
    by_length: bool = False
    logit: float = 38.4
    buffers: int = 0
    alone: int = int(0.06 * GIB)
    linked: int = int(1.4 * GIB)
    hosted: int = int(0.23 * GIB)
    context: int = 0
    aside: bool = False
    wide: bool = False
    shown: bool = True
    utilization: float = 0.9
    large: bool = False


LAST = Line(
    (0, 15),
    (0, 19),
    "0.19.1",
    logit=14.5,
    buffers=48 * 2**20,
    alone=2**28,
    linked=2_255_000_000,
    hosted=int(0.42 * GIB),
)
"""The first with a kernel of the sampler's own: as starts of 0.19 logged it."""
LATER = LAST._replace(first=(0, 20), last=(0, 25), asked="0.25.1", counted="requests", aside=True, utilization=0.92)
LINES = (
    Line(
        (0, 7),
        (0, 7),
        "0.8.5's first engine",
        grouped=False,
        counted="blocks",
        divided=True,
        by_length=True,
        wide=True,
        shown=False,
    ),
    Line(
        (0, 8),
        (0, 8),
        "0.8.5",
        grouped=False,
        counted="blocks",
        alone=int(0.06 * GIB) + CONTEXT,
        linked=int(1.4 * GIB) + CONTEXT,
        hosted=int(0.23 * GIB) + CONTEXT,
        context=CONTEXT,
        wide=True,
        shown=False,
    ),
    Line((0, 9), (0, 11), "0.11.2", chunked=False, equalised=False, widest=False, wide=True, shown=False),
    Line((0, 12), (0, 14), "0.19.1", widest=False, wide=True),
    LAST,
    LATER,
    LATER._replace(first=(0, 26), last=(0, 32), asked="0.32.0", ahead=True, prefixed=True, latent_block=128, large=True),
)
"""From the oldest on."""
NEWEST = "0.32"


def read(version: str) -> Version | None:
    """A version's first two numbers; None for what is none.

    >>> read("0.10.2.dev378+g4d7fe40fc"), read("v0.8.5.post1"), read("latest")
    ((0, 10), (0, 8), None)
    """
    found = re.fullmatch(r"v?(\d{1,4})\.(\d{1,4})(?:[A-Za-z.+_-][\w.+-]{0,60})?", version, re.ASCII)
    return (int(found[1]), int(found[2])) if found else None


def release(version: str) -> int | None:
    """A version's third number; None where it has none.

    >>> release("0.8.1"), release("v0.8.5.post1"), release("0.8")
    (1, 5, None)
    """
    found = re.match(r"v?\d{1,4}\.\d{1,4}\.(\d{1,4})", version, re.ASCII)
    return int(found[1]) if found else None


def line(version: str) -> Line:
    """The line of a version. Raises InputError for one that is of none, with the nearest.

    >>> line("0.10.2").asked
    '0.11.2'
    """
    number = read(version)
    if number is None:
        known = ", ".join(f"vllm@{'.'.join(map(str, each.last))}" for each in LINES)
        raise InputError(f"{version!r} is no version of vLLM; give one as in {known}", field="engine", value=version[:200])
    for each in LINES:
        if each.first <= number <= each.last:
            return each
    oldest = ".".join(map(str, LINES[0].first))
    how, nearest = ("older", oldest) if number < LINES[0].first else ("newer", NEWEST)
    problem = f"vLLM {version} is {how} than what llmcx knows, {oldest} to {NEWEST}; the nearest is --engine vllm@{nearest}"
    raise InputError(problem, field="engine", value=f"vllm@{version[:200]}", nearest=[f"vllm@{nearest}"])
