"""A matmul of m x k activations with k x n weights, in any format of :data:`llmcx.machine.kernels.FORMATS`."""

from __future__ import annotations

from typing import NamedTuple

from llmcx.machine.kernels import Peaks


class Constants(NamedTuple):
    """``flops`` and ``memory`` shares of the peaks; ``launch_us`` microseconds that every kernel takes; ``sharp`` how abruptly
    arithmetic gives way to memory; ``weight`` and ``activation`` bytes an element.
    """

    flops: float
    memory: float
    launch_us: float
    sharp: float
    weight: float
    activation: float


def seconds(constants: Constants, peaks: Peaks, m: int, n: int, k: int) -> float:
    """Seconds.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> round(seconds(Constants(0.8, 0.9, 2, 3, 2, 2), peaks, 4096, 4096, 4096) * 1e6, 1)
    174.4
    """
    arithmetic = 2 * m * n * k / (constants.flops * peaks.flops)
    moved = (m * k * constants.activation + n * k * constants.weight + 2 * m * n) / (constants.memory * peaks.bytes_per_s)
    p = constants.sharp
    busy: float = (arithmetic**p + moved**p) ** (1 / p)
    return constants.launch_us * 1e-6 + busy
