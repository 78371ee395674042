"""Number formats: bits per element, payload only (scales of block formats are not included)."""

from __future__ import annotations

from .errors import unknown_name

BITS = {"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "int4": 4}
"""tf32 is a matmul mode of fp32 storage, so it takes 32 bits in memory (NVIDIA A100 whitepaper, 2020)."""


def bits(dtype: str) -> int:
    """Bits that one element takes in memory.

    >>> bits("bf16")
    16
    """
    try:
        return BITS[dtype]
    except KeyError:
        raise unknown_name("dtype", dtype, list(BITS), field="dtype") from None


def size(elements: int, dtype: str) -> int:
    """Bytes of ``elements`` numbers packed in ``dtype``, rounded up to a whole byte: ceil(elements · bits / 8).

    >>> size(3, "int4")
    2
    """
    return -(-elements * bits(dtype) // 8)
