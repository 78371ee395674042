"""Kernels as they were measured: for each kind of op one small law, whose constants are data (presets/kernels).

A law is a function ``seconds(constants, peaks, shape...)`` in a module of this package. It says where the time of one kernel
goes: launch, tiles and waves, arithmetic, memory, tail. Its constants are shares of the peaks on the datasheet, and
microseconds, fitted to measurements by tests/oracle/kernel_laws.py: so that the law of one accelerator can stand in for another
that nobody measured, by that one's :class:`Peaks`. :func:`llmcx.catalog.kernels.law` finds the constants for an accelerator, an
engine and a format.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llmcx.machine.hardware import Hardware


class Peaks(NamedTuple):
    """What a datasheet promises of one accelerator, for one format.

    ``flops`` FLOP/s, dense, of the format that is multiplied; ``bytes_per_s`` of the memory; ``sms`` processors that work on
    tiles; ``l2_bytes`` of the cache that they share, 0 where that is unknown; ``link`` bytes/s each way of the fast network,
    which joins ``domain`` accelerators (0 and 1 where there is none).
    """

    flops: float
    bytes_per_s: float
    sms: int
    l2_bytes: float
    link: float
    domain: int


class Fitted(NamedTuple):
    """Constants of a law, and how far they are to be trusted.

    Of 80% of the kernels that the fit had not seen, measured / predicted lies between ``low`` and ``high``; ``error`` is the
    median of |predicted / measured - 1| over them. ``rows`` measurements were fitted. ``stated`` says in words whose law it is.
    """

    constants: Any
    low: float
    high: float
    rows: int
    error: float
    stated: str


class Format(NamedTuple):
    """How a matmul stores and multiplies its operands: ``multiplied`` names the peak, the nearest that the accelerator has;
    bytes an element of the weights and of the activations as the matmul reads them, with the scales of their blocks.
    """

    multiplied: tuple[str, ...]
    weight: float
    activation: float


BF16, FP8, INT8, FP4 = (
    ("bf16", "fp16"),
    ("fp8", "int8", "bf16", "fp16"),
    ("int8", "fp8", "bf16", "fp16"),
    ("fp4", "fp8", "bf16", "fp16"),
)

FORMATS = {
    "bf16": Format(BF16, 2, 2),
    "fp8": Format(FP8, 1, 1),
    "fp8_block": Format(FP8, 1, 1 + 4 / 128),  # a 4-byte scale for 128 activations, and for 128 x 128 weights
    "nvfp4": Format(FP4, 0.5 + 1 / 16, 0.5 + 1 / 16),  # a byte of scale for 16 elements
    "mxfp4_mxfp8": Format(FP8, 0.5 + 1 / 32, 1 + 1 / 32),
    "mxfp4": Format(BF16, 0.5 + 1 / 32, 2),
    "int8": Format(INT8, 1, 1),  # both operands: SmoothQuant
    "int8_wo": Format(BF16, 1, 2),
    "int4_wo": Format(BF16, 0.5 + 2 / 128, 2),  # a 16-bit scale for 128 weights
}
"""Formats of matmuls that were measured. ``_wo``: weights only, unpacked to 16 bits before they are multiplied."""

PROCESSORS = {"SM", "CU"}
USUAL_PROCESSORS = 128
"""Of an accelerator that does not say how many processors share its tiles (a TPU, an Apple chip): about what an NVIDIA chip
has.
"""


def peaks(hardware: Hardware, dtype: str) -> Peaks:
    """The peaks of an accelerator for matmuls in a format of :data:`FORMATS`, or for arithmetic in another ("fp32").

    >>> from llmcx.machine.hardware import hardware
    >>> chip = {"name": "x", "title": "X", "vendor": "me", "year": 2024, "dense_tflops": {"bf16": 100}, "memory_gb": 80,
    ...         "memory_gb_per_s": 2000, "source": "me"}
    >>> peaks(hardware(chip), "fp8")  # has no fp8: multiplied in bf16
    Peaks(flops=100000000000000.0, bytes_per_s=2000000000000.0, sms=128, l2_bytes=0.0, link=0.0, domain=1)
    """
    ways = FORMATS[dtype].multiplied if dtype in FORMATS else (dtype, *BF16)
    way = next((each for each in ways if each in hardware.dense_tflops), hardware.dtype)
    chip, network = hardware.on_chip, hardware.scale_up
    return Peaks(
        hardware.flops(way),
        float(hardware.bytes_per_s),
        chip.units if chip and chip.unit in PROCESSORS else USUAL_PROCESSORS,
        (chip.l2_mib or 0) * 2.0**20 if chip else 0.0,
        network.gb_per_s * 1e9 if network else 0.0,
        hardware.domain,
    )


def where(condition: Any, one: Any, other: Any) -> Any:
    """``one`` or ``other``. A law that chooses by this, and by max and min, is one formula for numbers and for numpy's arrays:
    tests/oracle/kernel_laws.py exchanges the three.
    """
    return one if condition else other
