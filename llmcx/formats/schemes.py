"""Formats of quantised weights outside GGUF: the bytes of one matrix in each, quants and scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llmcx.errors import InputError


class Sizes(NamedTuple):
    """Bytes of a matrix: its quants, its scales."""

    payload: int
    scales: int


class Scheme(NamedTuple):
    """A format outside GGUF: the bytes of one matrix, the type's name, and where the layout was read."""

    sizes: Callable[..., Sizes]
    name: str
    source: str
    settings: tuple[str, ...] = ()


class Uneven(InputError):
    """A side of a matrix that a format's blocks do not divide."""

    def __init__(self, side: str, n: int, block: int) -> None:
        super().__init__(f"a matrix has {n:,} {side}, but the format needs a multiple of {block}", field="dtype", value=n)
        self.side, self.n, self.block = side, n, block


def _whole(side: str, n: int, block: int) -> int:
    if n % block:
        raise Uneven(side, n, block)
    return n // block


def gptq(d_in: int, d_out: int, bits: int = 4, group: int = 128) -> Sizes:
    """Quants packed in int32 words; per group of inputs and output an fp16 scale and a packed zero; per input its group (int32).

    >>> gptq(4096, 4096)
    Sizes(payload=8388608, scales=344064)
    """
    if bits not in (2, 3, 4, 8):
        raise InputError(f"bits is {bits}, but must be 2, 3, 4 or 8", field="dtype", value=bits)
    groups = 1 if group == -1 else -(-d_in // group)
    words = _whole("outputs", d_out, 32) * bits
    return Sizes(_whole("inputs", d_in, 32) * bits * d_out * 4, groups * (words * 4 + d_out * 2) + d_in * 4)


def awq(d_in: int, d_out: int, group: int = 128) -> Sizes:
    """4 bits packed along the outputs, a packed zero and an fp16 scale per group of inputs and output.

    >>> awq(4096, 4096)
    Sizes(payload=8388608, scales=327680)
    """
    groups = 1 if group == -1 else _whole("inputs", d_in, group)
    words = _whole("outputs", d_out, 8)
    return Sizes(d_in * words * 4, groups * (words * 4 + d_out * 2))


def nf4(d_in: int, d_out: int) -> Sizes:
    """4 bits in blocks of 64 over the flattened matrix, an fp32 absmax each, and the 16 fp32 values of the code.

    >>> nf4(100, 300)
    Sizes(payload=15000, scales=1940)
    """
    n = d_in * d_out
    return Sizes(-(-n // 2), 4 * -(-n // 64) + 64)


def nf4_double(d_in: int, d_out: int) -> Sizes:
    """:func:`nf4` with each absmax in a byte, an fp32 scale per 256 of them, and their code of 256 fp32 values (Dettmers et al.
    2023, arXiv:2305.14314, sec. 3).

    >>> nf4_double(100, 300)
    Sizes(payload=15000, scales=1565)
    """
    n = d_in * d_out
    blocks = -(-n // 64)
    return Sizes(-(-n // 2), blocks + 4 * -(-blocks // 256) + 64 + 1024)


def llm_int8(d_in: int, d_out: int) -> Sizes:
    """A byte per weight and an fp32 scale per output (Dettmers et al. 2022, arXiv:2208.07339)."""
    return Sizes(d_in * d_out, 4 * d_out)


def fp8_tensor(d_in: int, d_out: int) -> Sizes:
    """E4M3 with one fp32 scale."""
    return Sizes(d_in * d_out, 4)


def fp8_block(d_in: int, d_out: int, rows: int = 128, columns: int = 128, scale: int = 4) -> Sizes:
    """E4M3 with a scale of ``scale`` bytes, fp32 or E8M0, per block of ``rows`` outputs and ``columns`` inputs, the last cut.

    Source: DeepSeek-AI 2024, arXiv:2412.19437, sec. 3.3.2.

    >>> fp8_block(7168, 576)
    Sizes(payload=4128768, scales=1120)
    """
    return Sizes(d_in * d_out, scale * -(-d_out // rows) * -(-d_in // columns))


def fp8_channel(d_in: int, d_out: int) -> Sizes:
    """E4M3 with an fp32 scale per output."""
    return Sizes(d_in * d_out, 4 * d_out)


def mxfp8(d_in: int, d_out: int) -> Sizes:
    """E4M3 with an E8M0 scale, a byte, per 32 inputs (OCP Microscaling Formats 1.0, sec. 5.2)."""
    return Sizes(d_in * d_out, -(-d_in // 32) * d_out)


def integer(d_in: int, d_out: int, bits: int = 4, group: int = 128, zero: int = 0, order: int = 0) -> Sizes:
    """Whole numbers packed in int32 words along the inputs; a 16-bit scale per group and output, with ``zero`` a packed zero,
    with ``order`` each input's group; the shape (two int64). Group -1 is a whole row.

    >>> integer(4096, 4096, 4, 32)
    Sizes(payload=8388608, scales=1048592)
    """
    groups = 1 if group == -1 else -(-d_in // group)
    words = -(-d_in * bits // 32)
    packed = 4 * -(-d_out * bits // 32) * groups if zero else 0
    return Sizes(4 * words * d_out, 2 * groups * d_out + packed + (4 * d_in if order else 0) + 16)


def hqq(d_in: int, d_out: int, bits: int = 4, group: int = 64) -> Sizes:
    """Packed numbers, and a 16-bit scale and zero per group (Badri and Shaji 2023, "Half-Quadratic Quantization")."""
    n = d_in * d_out
    return Sizes(-(-n * bits // 8), 4 * -(-n // group))


def mlx(d_in: int, d_out: int, bits: int = 4, group: int = 64) -> Sizes:
    """Packed in words of 32 bits along the inputs, a 16-bit scale and bias per group (mlx.core.quantize)."""
    return Sizes(-(-d_in * bits // 32) * 4 * d_out, 4 * -(-d_in // group) * d_out)


def aqlm(d_in: int, d_out: int, books: int = 1, bits: int = 16, group: int = 8) -> Sizes:
    """A code of each book per group of inputs, the books of 2^bits 16-bit vectors, a 16-bit scale per output (Egiazarian et al.
    2024, arXiv:2401.06118, sec. 3).
    """
    codes = -(-bits // 8) * books * d_out * -(-d_in // group)
    return Sizes(codes, 2 * books * 2**bits * group + 2 * d_out)


def mxfp4(d_in: int, d_out: int) -> Sizes:
    """E2M1 with an E8M0 scale, a byte, per 32 inputs (OCP Microscaling Formats 1.0, sec. 5.2)."""
    blocks = -(-d_in // 32) * d_out
    return Sizes(16 * blocks, blocks)


def nvfp4(d_in: int, d_out: int) -> Sizes:
    """E2M1 with an E4M3 scale, a byte, per 16 inputs, and an fp32 scale over all. Scales of activations are not counted."""
    blocks = -(-d_in // 16) * d_out
    return Sizes(8 * blocks, blocks + 4)


BNB = "bitsandbytes/functional.py and nn/modules.py of bitsandbytes-foundation/bitsandbytes: the tensors that it saves"
_CT = "src/compressed_tensors/compressors/quantized_compressors of neuralmagic/compressed-tensors"
SCHEMES = {
    "gptq": Scheme(gptq, "GPTQ", "auto_gptq/nn_modules/qlinear/qlinear_cuda.py of AutoGPTQ/AutoGPTQ", ("bits", "group")),
    "awq": Scheme(awq, "AWQ", "awq/modules/linear/gemm.py of casper-hansen/AutoAWQ", ("group",)),
    "nf4": Scheme(nf4, "NF4", BNB),
    "nf4_double": Scheme(nf4_double, "NF4", BNB),
    "llm_int8": Scheme(llm_int8, "INT8", BNB),
    "fp8_tensor": Scheme(fp8_tensor, "F8_E4M3", "vllm/model_executor/layers/quantization/fp8.py of vllm-project/vllm"),
    "fp8_block": Scheme(
        fp8_block, "F8_E4M3", "inference/kernel.py of deepseek-ai/DeepSeek-V3: weight_scale_inv", ("rows", "columns", "scale")
    ),
    "fp8_channel": Scheme(fp8_channel, "F8_E4M3", f"{_CT}/naive_quantized.py"),
    "mxfp8": Scheme(mxfp8, "MXFP8", "OCP Microscaling Formats 1.0"),
    "int": Scheme(integer, "INT", f"{_CT}/pack_quantized.py", ("bits", "group", "zero", "order")),
    "hqq": Scheme(hqq, "HQQ", "hqq/core/quantize.py of mobiusml/hqq", ("bits", "group")),
    "mlx": Scheme(mlx, "MLX", "mlx/ops.cpp of ml-explore/mlx: quantize", ("bits", "group")),
    "aqlm": Scheme(aqlm, "AQLM", "src/aq.py of Vahe1994/AQLM", ("books", "bits", "group")),
    "mxfp4": Scheme(mxfp4, "MXFP4", _CT),
    "nvfp4": Scheme(nvfp4, "NVFP4", f"{_CT}/fp4_quantized.py"),
}
