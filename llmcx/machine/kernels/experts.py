"""The routed experts of a mixture's feed-forward, as one rank runs them: sort, first products, activation, second, sum.

What was measured is the busiest rank of a group of ep x tp ranks; no communication between them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil, log
from typing import NamedTuple

from llmcx.machine.kernels import Peaks


class Constants(NamedTuple):
    """Arithmetic: ``flops`` share of the peak; ``spread`` times the mean rows of an expert is the height of a tile, 8 to ``most``
    rows; ``tile`` rows that a tile costs besides; ``wave`` tiles a multiprocessor that keep it busy. Weights: ``memory`` share of
    the peak; ``thin`` what those of few columns cost besides; ``cached`` how much faster than memory the cache is; ``weight``
    bytes an element. Activations: ``moved`` times the rows of the products pass through memory, ``token`` times the tokens.
    Other ranks' slots: ``others`` share of the arithmetic, ``passed`` share of the memory that they still cost. ``launch_us``
    microseconds a call, ``expert_us`` an expert of the rank; ``sharp`` how abruptly arithmetic gives way to memory; ``plain`` how
    much longer experts without a gate take.
    """

    flops: float
    spread: float
    most: float
    tile: float
    wave: float
    memory: float
    thin: float
    cached: float
    weight: float
    moved: float
    token: float
    others: float
    passed: float
    launch_us: float
    expert_us: float
    sharp: float
    plain: float


COLUMNS = 128
"""Of a tile."""
LEAST = 8
"""Rows of a tile."""
DRAWS = 12
"""Experts that stand for all of a rank, from the least loaded to the most."""
QUANTILES = tuple((draw + 0.5) / DRAWS for draw in range(DRAWS))
"""Theirs."""


def kernel(engine: str, dtype: str, top_k: int, gated: bool = True) -> str:
    """The name of an engine's law for such experts: an engine runs some models by a second kernel of another speed.

    What was measured: vLLM and SGLang run mxfp4 experts of gpt-oss (top_k 4) by a kernel of its own, others by Marlin; SGLang
    those without a gate by CUTLASS. SGLang on B200 runs some models by Triton ("sglang/triton", 1.5 to 3 times as long: Mixtral,
    Llama 4, MiMo in bf16; Mixtral, MiniMax in fp8_block), which no shape tells: it is not chosen here.

    TensorRT-LLM's own for mxfp4 were not measured: where there is no fp4 arithmetic it runs Triton's, as vLLM does (its guide for
    gpt-oss on Hopper).

    >>> kernel("vllm", "mxfp4", 8), kernel("vllm", "mxfp4", 4), kernel("trtllm", "mxfp4", 8)
    ('vllm/marlin', 'vllm', 'vllm')
    """
    if dtype == "mxfp4" and engine == "trtllm":
        return "vllm"
    if dtype == "mxfp4" and top_k != 4 and engine in ("vllm", "sglang"):
        return f"{engine}/marlin"
    return f"{engine}/cutlass" if engine == "sglang" and dtype == "bf16" and not gated else engine


class Load(NamedTuple):
    """Of the busiest rank: ``rows`` that its experts compute; ``met`` experts that have any; ``each`` expert's rows, of
    :data:`DRAWS` or one that stand for all.
    """

    rows: float
    met: float
    each: tuple[float, ...]


@lru_cache(maxsize=8192)
def busiest(tokens: float, top_k: int, experts: int, ep: int, skew: float = 0.0) -> Load:
    """How ``tokens`` of a group, each with ``top_k`` experts, load the busiest of its ``ep`` ranks.

    ``skew`` 0: all experts alike. Else loads follow the power law x^-skew, between 1 and 200 where there are no more slots than
    experts, 1 and 0.8 tokens where there are three times as many, scaled to tokens x top_k together. The busiest of ep ranks of
    one expert each holds the highest of ep draws, u^(1/ep); the more experts to a rank, the nearer to the mean:
    u^(1/ep^(1/n^c)), c = 0.34 + 0.058 ln ep, fitted to simulated draws (rows within 4% at the median, 21% at the 90th
    percentile).

    >>> busiest(64, 8, 256, 8)
    Load(rows=64.0, met=32.0, each=(2.0,))
    >>> [round(each) for each in busiest(64, 8, 256, 8, 1.2)[:2]]
    [87, 25]
    """
    local, slots = max(experts // ep, 1), tokens * top_k
    mean = slots / experts
    if not skew:
        return Load(max(slots / ep, 1.0), max(local * min(1.0, mean), 1.0), (mean,))
    power = 1 - skew if abs(skew - 1) > 1e-3 and abs(skew - 2) > 1e-3 else 1.002 - skew
    full = min(max(log(mean) / log(3), 0.0), 1.0)
    high = 200.0 ** (1 - full) * max(0.8 * tokens, 1.01) ** full
    last = high**power - 1
    tilt = 1 / ep ** (local ** -(0.34 + 0.058 * log(ep)))
    scale = slots / experts * DRAWS / sum((1 + last * draw) ** (1 / power) for draw in QUANTILES)
    each = tuple(min((1 + last * draw**tilt) ** (1 / power) * scale, tokens) for draw in QUANTILES)
    share = local / DRAWS
    return Load(max(share * sum(each), 1.0), max(share * sum(min(1.0, rows) for rows in each), 1.0), each)


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
    not, ``skew`` as in :func:`busiest`. Arithmetic: of each of the two products, a tile's time, 2 x (height + ``tile``) x 128 x
    depth FLOPs on one multiprocessor, times the waves of tiles, at least one. Weights: of the experts that any token meets, once.
    Activations: of rows, read, between the products and written; of tokens, read and written.
    ``repeated`` as a benchmark runs it: the weights of the last call are still in the cache, where they fit.

    >>> h100 = Peaks(1e15, 3.35e12, 132, 5e7, 4.5e11, 8)
    >>> fitted = Constants(0.7, 4, 128, 20, 1, 0.9, 0.3, 2, 2, 2, 1, 0, 0, 30, 0.01, 2, 1)
    >>> [round(seconds(fitted, h100, tokens, 2048, 768, 8, 128) * 1e6) for tokens in (1, 64, 4096)]
    [61, 407, 1182]
    """
    return of_tokens(constants, peaks, hidden, inter, top_k, experts, tp, ep, skew, gated, repeated)(tokens)


def of_tokens(
    constants: Constants,
    peaks: Peaks,
    hidden: int,
    inter: int,
    top_k: int,
    experts: int,
    tp: int,
    ep: int,
    skew: float,
    gated: bool = True,
    repeated: bool = False,
) -> Callable[[float], float]:
    """:func:`seconds` of the same experts by the tokens."""
    local, width, paired = experts // ep, inter / tp, int(gated)

    def of(tokens: float) -> float:
        load = busiest(tokens, top_k, experts, ep, skew)
        return on_rank(constants, peaks, load, tokens, top_k, local, hidden, width, paired, repeated)

    return of


def on_rank(
    constants: Constants,
    peaks: Peaks,
    load: Load,
    tokens: float,
    top_k: int,
    local: int,
    hidden: int,
    width: float,
    gated: int,
    repeated: bool = False,
) -> float:
    """Seconds of a rank that holds ``local`` experts of ``hidden`` x ``width``, under a load."""
    of = constants
    rows, met, each = load
    first = (1 + gated) * width
    abroad = max(tokens * top_k - rows, 0.0)
    height = min(max(of.spread * rows / met, LEAST), of.most)
    filled = sum([min(1.0, n) + (n > height) * (n / height + (n - height) / (2 * n) - 1) for n in each])  # a tile, or more
    tiles = max(filled * local / len(each), 1.0) + of.others * abroad / height
    at_once = peaks.sms * of.wave
    depth = hidden * (1 + (tiles * ceil(first / COLUMNS) / at_once) ** 2) ** 0.5
    depth = depth + width * (1 + (tiles * ceil(hidden / COLUMNS) / at_once) ** 2) ** 0.5
    arithmetic = 2 * (height + of.tile) * COLUMNS * depth * at_once / (of.flops * peaks.flops)
    stored = met * hidden * (first + width) * of.weight
    strips = met * min(first, hidden) / COLUMNS
    weights = stored / (of.memory * peaks.bytes_per_s) * (1 + of.thin * peaks.sms / (strips + peaks.sms))
    if repeated and peaks.l2_bytes:
        kept = 1 / (1 + (stored / peaks.l2_bytes) ** 6)
        weights = weights * (1 - kept + kept / of.cached)
    elements = of.moved * 2 * (rows + of.passed * abroad) * (hidden + first + width) + of.token * tokens * hidden
    sharp = of.sharp
    busy = (arithmetic**sharp + weights**sharp) ** (1 / sharp) + 2 * elements / peaks.bytes_per_s
    taken: float = of.launch_us * 1e-6 + (busy + of.expert_us * 1e-6 * local) * of.plain ** (1 - gated)
    return taken
