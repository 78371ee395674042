"""A matmul of m x k activations with k x n weights, in any format of :data:`llmcx.machine.kernels.FORMATS`.

The library cuts the result into tiles, and each tile's sum over k into parts where there are too few tiles; the processors work
them off in waves. A tile takes as long as its multiplications, the reads of its rows and columns from the cache that the
processors share, or the shortest time of so many steps along k, whichever takes longest. The library takes the tile and the cut
that take least. Meanwhile the memory sends each operand once. Before that, formats of 8 and 4 bits quantise the activations.

Tiles, waves and split k: NVIDIA, Matrix Multiplication Background User's Guide (DU-09799), sec. 2-4; CUTLASS, Efficient GEMM.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from llmcx.machine.kernels import Peaks

TILES = ((16, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 128))
"""Rows of activations and columns of weights that a processor works on at a time."""

CUTS = (1, 2, 4, 8, 16, 32)
"""Into how many parts the sum over k may be cut."""

STEP = 64
"""Elements along k in a step of the loop."""

PARTIAL = 8
"""Bytes that an element of a part of a sum costs: written and read again in 32 bits."""

HOT = 1e-3
"""Seconds of arithmetic after which half of the loss of clock has come."""

OUTPUT = 2
"""Bytes of an element of the result, and of an activation before it is quantised."""


class Constants(NamedTuple):
    """Of one library on one accelerator, in one format.

    ``flops`` share of the peak that a large tile reaches at the highest clock; ``sag`` by how much longer work takes that keeps
    the accelerator busy for far longer than :data:`HOT`, when its power limit lowers the clock; ``memory`` share of the
    memory's rate, ``fill_us`` until the first operands arrive; ``cached``, ``l2`` and ``store`` rates of the shared cache, in
    multiples of the memory's: for what it still holds from the call before, at most ``resident`` of its size, for the operands
    of a tile, and for its results; ``step_ns`` an element along k at least; ``tile_us`` to begin and end a tile; ``cut_us`` to
    add up what was cut; ``launch_us`` of the kernels; ``sharp`` the exponent by which arithmetic and memory overlap (large:
    entirely); ``row_ns`` to quantise a row of activations besides its bytes, ``quantise`` share of the memory's rate (0:
    nothing is quantised); ``weight`` and ``activation`` bytes an element; ``host_us`` that the program needs to launch it.
    """

    flops: float
    sag: float
    memory: float
    fill_us: float
    cached: float
    resident: float
    l2: float
    store: float
    step_ns: float
    tile_us: float
    cut_us: float
    launch_us: float
    sharp: float
    row_ns: float
    quantise: float
    weight: float
    activation: float
    host_us: float


def seconds(constants: Constants, peaks: Peaks, m: int, n: int, k: int) -> float:
    """Seconds on the accelerator, as in a graph of kernels that was captured before: the launch without the host.

    t = launch + quantise + min over cuts c of ((hot(tiles)^p + memory^p)^(1/p) + sum of parts); tiles = min over tile shapes a
    x b of ceil(ceil(m/a) ceil(n/b) c / processors) (tile + a b / store + k/c max(2ab / flops, bytes of a + b / cache, step));
    hot(t) = t (1 + sag t / (t + 1 ms)).

    With ``peaks.l2_bytes`` 0 all operands come from memory, as in a model whose other layers ran in between. Median error over
    shapes that the fit had not seen: docs/kernels.md.

    4096 rows, on 132 processors: 512 tiles of 128 x 256 in 4 waves of 44.8 + 1 us, while memory takes 33.4 us; one row: 64 tiles
    in a wave of 6.5 + 1 us, while 33.6 MB take 11.1 us; 2 us of launch.

    >>> of = Constants(0.8, 0, 0.9, 0, 1, 0, 4, float("inf"), 1, 1, 2, 2, 3, 0, 0, 2, 2, 0)
    >>> h100 = Peaks(989.4e12, 3350e9, 132, 0, 450e9, 8)
    >>> [f"{seconds(of, h100, m, 4096, 4096) * 1e6:.1f}" for m in (4096, 1)]
    ['185.4', '14.2']
    """
    return against(constants, peaks, n, k)(m)


def against(constants: Constants, peaks: Peaks, n: int, k: int) -> Callable[[int], float]:
    """:func:`seconds` of a matrix by its rows m: what depends on the matrix alone is worked out once."""
    memory, processors = peaks.bytes_per_s, peaks.sms
    product, cache, tiles = _tiles(constants, peaks)
    weight, activation, p, sag = constants.weight, constants.activation, constants.sharp, constants.sag
    columns = [(a, -(-n // b)) for a, b, _, _ in tiles]
    depths = [(cut, -(-k // (cut * STEP)) * STEP) for cut in CUTS]
    cuts = [(cut, [once + depth * each for _, _, once, each in tiles]) for cut, depth in depths]
    stored, row = n * k * weight, k * activation + n * OUTPUT
    launch, quantised = constants.launch_us * 1e-6, 0.0
    if constants.quantise:
        quantised = constants.row_ns * 1e-9 + k * (OUTPUT + activation) / (constants.quantise * memory)
    adding, fill = constants.cut_us * 1e-6, constants.fill_us * 1e-6

    def of(m: int) -> float:
        counts = [-(-m // a) * count for a, count in columns]
        moved = m * row + stored
        held = min(moved, constants.resident * peaks.l2_bytes)
        sent = fill + (moved - held) / (constants.memory * memory) + held / (constants.cached * memory)
        least = max(sent, m * n * k * product / processors)
        best = float("inf")
        for cut, times in cuts:
            sums = adding + cut * m * n * PARTIAL / cache if cut > 1 else 0.0
            if least + sums >= best:
                break
            busy = min([-(-count * cut // processors) * time for count, time in zip(counts, times, strict=True)])
            busy *= 1 + sag * busy / (busy + HOT)
            best = min(best, (busy**p + sent**p) ** (1 / p) + sums)
        return float(launch + m * quantised + best)

    return of


@lru_cache(maxsize=256)
def _tiles(constants: Constants, peaks: Peaks) -> tuple[float, float, list[tuple[int, int, float, float]]]:
    """Seconds of a product on one of the processors, bytes/s of their cache; tiles, with seconds of each once and for each k."""
    memory, processors = peaks.bytes_per_s, peaks.sms
    product, cache = 2 / constants.flops / peaks.flops * processors, constants.l2 * memory
    read, store, step = processors / cache, OUTPUT * processors / (constants.store * memory), constants.step_ns * 1e-9
    weight, activation, tile = constants.weight, constants.activation, constants.tile_us * 1e-6
    return (
        product,
        cache,
        [(a, b, tile + a * b * store, max(a * b * product, (a * activation + b * weight) * read, step)) for a, b in TILES],
    )


def timed(constants: Constants, peaks: Peaks, m: int, n: int, k: int) -> float:
    """Seconds of one call among many, launched one by one: the accelerator's, or the host's where it is slower."""
    return max(constants.host_us * 1e-6, seconds(constants, peaks, m, n, k))
