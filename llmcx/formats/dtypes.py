"""Number formats: bits per element, payload only (scales of block formats are not included)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmcx.errors import unknown_name

if TYPE_CHECKING:
    from llmcx.model.spec import ModelSpec

BITS = {"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "int4": 4}
"""tf32 is a matmul mode of fp32 storage, so it takes 32 bits in memory (NVIDIA A100 whitepaper, 2020)."""


RELEASED = "released"
"""The format that a model is stored in, module by module, as its files say."""


def default(spec: ModelSpec) -> str:
    """The format to take where none is asked for: that of the release; 16 bits where its files do not say, or not understandably.

    >>> from llmcx.catalog.presets import load_preset
    >>> default(load_preset("llama-3-8b"))
    'bf16'
    """
    stored = spec.stored
    return "bf16" if stored is None else RELEASED if stored.quantised else stored.plain


def bits(dtype: str) -> int:
    """Bits that one element takes in memory.

    >>> bits("bf16")
    16
    """
    if dtype not in BITS:
        raise unknown_name("dtype", dtype, list(BITS), field="dtype")
    return BITS[dtype]


CACHE_BLOCKS = {"q8_0": (32, 34), "q5_1": (32, 24), "q5_0": (32, 22), "q4_1": (32, 20), "q4_0": (32, 18), "iq4_nl": (32, 18)}
"""Elements and bytes of a block of llama.cpp's cache types, scales included (ggml/src/ggml-common.h). They stand in
llmcx.formats.gguf.BLOCKS too, which a short command need not import; a test holds the two together.
"""


def per_element(dtype: str) -> float:
    """Bytes that one element takes, its share of the scales included.

    >>> per_element("q8_0"), per_element("bf16")
    (1.0625, 2.0)
    """
    if dtype in CACHE_BLOCKS:
        block, held = CACHE_BLOCKS[dtype]
        return held / block
    return bits(dtype) / 8


def size(elements: int, dtype: str) -> int:
    """Bytes of ``elements`` numbers packed in ``dtype``, rounded up to a whole byte: ceil(elements · bits / 8); or to a block.

    >>> size(3, "int4"), size(64, "q8_0")
    (2, 68)
    """
    if dtype in CACHE_BLOCKS:
        block, held = CACHE_BLOCKS[dtype]
        return -(-elements // block) * held
    return -(-elements * bits(dtype) // 8)
