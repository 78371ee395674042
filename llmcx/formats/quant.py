"""Weights in quantised formats, to the byte: quants, scales, and what stays as it was.

Each format quantises the matrices inside the layers, one by one (:mod:`llmcx.formats.storage` says which); what it leaves alone
stays as it was, in GGUF in 32 bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from llmcx.costs import params as params_fold
from llmcx.errors import InputError, unknown_name
from llmcx.formats import dtypes, gguf
from llmcx.formats.dtypes import RELEASED
from llmcx.formats.storage import portions, shape, size
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage
from llmcx.ops.op import Op


@dataclass(frozen=True)
class Weights:
    """Bytes of a model's weights in ``format``. ``by_dtype``: elements and bytes of each type of tensor, scales included."""

    format: str
    bytes: int
    quantized_bytes: int
    scale_bytes: int
    unquantized_bytes: int
    bits_per_weight: float
    by_dtype: dict[str, dict[str, int]]
    formula: str
    source: str
    notes: list[str]


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


_BNB = "bitsandbytes/functional.py and nn/modules.py of bitsandbytes-foundation/bitsandbytes: the tensors that it saves"
_CT = "src/compressed_tensors/compressors/quantized_compressors of neuralmagic/compressed-tensors"
SCHEMES = {
    "gptq": Scheme(gptq, "GPTQ", "auto_gptq/nn_modules/qlinear/qlinear_cuda.py of AutoGPTQ/AutoGPTQ", ("bits", "group")),
    "awq": Scheme(awq, "AWQ", "awq/modules/linear/gemm.py of casper-hansen/AutoAWQ", ("group",)),
    "nf4": Scheme(nf4, "NF4", _BNB),
    "nf4_double": Scheme(nf4_double, "NF4", _BNB),
    "llm_int8": Scheme(llm_int8, "INT8", _BNB),
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
_GGUF = "src/llama-quant.cpp and ggml/src/ggml-common.h of ggml-org/llama.cpp"


UNIFORM = ("q8_0",)
"""GGUF mixes that give every matrix one type, whatever it is for."""


def names() -> list[str]:
    """Every format."""
    return [*SCHEMES, *gguf.MIXES]


def weights(spec: ModelSpec, text: str, ops: Iterable[Op] | None = None) -> Weights:
    """The weights of ``spec`` in the format ``text``: a name of :func:`names`, gptq and awq and others also with settings
    ("gptq:bits=8,group=32"), or as they are released; of ``ops`` alone, where they are given: those of one GPU.

    Raises InputError for an unknown format, a GGUF file of a family whose tensors are not known, and shapes that the format
    cannot hold.
    """
    name, _, rest = str(text).lower().partition(":")
    name = gguf.ALIASES.get(name, name)
    if name in gguf.MIXES:
        _settings(name, rest)
        if name not in UNIFORM:
            from llmcx.formats.tensors import check as check_gguf

            check_gguf(spec, name)
        return _gguf(spec, name, ops)
    stored = spec.stored
    if stored is None or (name != RELEASED and not any(form.partition(":")[0] == name and not rest for form in stored.formats)):
        if name == RELEASED:
            stored = Storage("bf16")
        else:
            check(text)
            stored = Storage(str(text).lower(), "bf16" if stored is None else stored.plain)
    if stored.unsized:
        problem = f"how {spec.name} is stored is not known: {stored.unsized}; --dtype says another format"
        raise InputError(problem, field="dtype", value=text)
    if stored.tensors and (name == RELEASED or name == stored.format):
        return _listed(spec, stored, ops is not None)
    return _stored(spec, stored, lower(spec, Run()) if ops is None else ops)


def index_beside(spec: ModelSpec, part: int) -> int | None:
    """The bytes counted in the release's format, where the index of its files is off by more than a ``part``-th; else None."""
    if spec.stored is None or spec.stored.total is None:
        return None
    counted = weights(spec, RELEASED).bytes
    return counted if abs(spec.stored.total - counted) > counted // part else None


def _listed(spec: ModelSpec, stored: Storage, divided: bool) -> Weights:
    """The bytes that a GGUF file lists, of the model as it stands in the file on one GPU. Raises InputError for any other."""
    if divided:
        raise InputError("how a GGUF file's tensors are divided among GPUs is not known; give one GPU, or --dtype", field="tp")
    if params_fold.count(spec) != stored.counted:
        problem = f"{spec.name} is not as its GGUF file has it, so the file's bytes are not its; --dtype says another format"
        raise InputError(problem, field="dtype", value=stored.format)
    rows = []
    for each in stored.tensors:
        block = gguf.BLOCKS[each.type]
        n = each.elements // block.elements
        rows.append((each.type, each.elements, Sizes(n * block.payload, n * block.scales)))
    return _sum(stored.format, rows, ("F32", "F16", "BF16"), "the header of the file", [])


def check(text: str) -> tuple[str, dict[str, int]]:
    """The name and the settings of a format outside GGUF. Raises InputError for what is not known."""
    name, _, rest = str(text).lower().partition(":")
    if name not in SCHEMES:
        raise unknown_name("dtype", text, [*dtypes.BITS, *names()], field="dtype")
    return name, _settings(name, rest)


def _stored(spec: ModelSpec, stored: Storage, ops: Iterable[Op]) -> Weights:
    """The bytes of ``ops`` as a release stores them."""
    found, plain = portions(spec, stored, ops)
    rows = [(_PLAIN_NAMES.get(stored.plain, stored.plain), plain, Sizes(dtypes.size(plain, stored.plain), 0))]
    sources = []
    for form, op, times in found:
        elements = size(op) * op.copies * times
        if form in dtypes.BITS:
            rows.append((form, elements, Sizes(dtypes.size(elements, form), 0)))
            continue
        name, settings = check(form)
        scheme = SCHEMES[name]
        if scheme.source == _BNB and op.role == "expert":
            why = f"transformers keeps its experts in one tensor, which {name} leaves alone or splits, depending on the version"
            raise InputError(f"{name} of {spec.name} is not known: {why}", field="dtype", value=name)
        try:
            payload, scales = scheme.sizes(*shape(op), **settings)
        except Uneven as uneven:
            raise _refused(spec, op, form, uneven) from None
        many = op.copies * times
        rows.append((scheme.name, elements, Sizes(payload * many, scales * many)))
        sources.append(scheme.source)
    note = "what the format leaves alone (norms, routers, tables) is counted as released; scales of activations are not counted"
    return _sum(stored.name, rows, tuple({rows[0][0]}), "; ".join(dict.fromkeys(sources)), [note] if found else [])


def _refused(spec: ModelSpec, op: Op, form: str, uneven: Uneven) -> InputError:
    """The refusal of a matrix that a format does not divide: which, on how many GPUs, and what would do."""
    side, n, block = uneven.side, uneven.n, uneven.block
    at = 0 if side == "inputs" else 1
    same = (each for each in lower(spec, Run()) if (each.group, each.component, each.role) == (op.group, op.component, op.role))
    whole = next((shape(each)[at] for each in same), n)
    parts = whole // n
    has = f"{n:,} {side}" if parts < 2 else f"{n:,} of its {whole:,} {side} on each of {parts} GPUs"
    fewer = [tp for tp in range(1, parts) if not parts % tp and not whole % (tp * block)]
    ways = [f"--tp {fewer[-1]}", "another --dtype"] if fewer else ["another --dtype"]
    if op.role == "ffn" and whole in {getattr(layers.ffn, "d_ff", None) for layers in spec.groups}:
        every = parts * block
        ways.append(f"--d-ff {-(-whole // every) * every} where the files are padded to that")
    way = " or ".join(ways) if len(ways) < 3 else f"{', '.join(ways[:-1])}, or {ways[-1]}"
    problem = f"{form} needs a multiple of {block} {side}, and {op.component} of {spec.name} has {has}; give {way}"
    return InputError(problem, field="dtype", value=form, allowed=f"a multiple of {block}")


_PLAIN_NAMES = {"bf16": "16 bits", "fp16": "16 bits"}


def _settings(name: str, text: str) -> dict[str, int]:
    allowed = SCHEMES[name].settings if name in SCHEMES else ()
    settings: dict[str, int] = {}
    for setting in filter(None, text.split(",")):
        key, _, value = setting.partition("=")
        if key not in allowed:
            raise unknown_name(f"setting of {name}", key, list(allowed), field="dtype")
        if not value.removeprefix("-").isdecimal() or len(value) > 15 or not (int(value) > 0 or (key, value) == ("group", "-1")):
            said = "a whole number above 0" + (", or -1 for one group" if key == "group" else "")
            raise InputError(f"{name}:{key} is {value[:20]!r}, but must be {said}", field="dtype", value=value[:20])
        settings[key] = int(value)
    return settings


@lru_cache(maxsize=64)
def _types(spec: ModelSpec, mix: str) -> dict[tuple[str, str], Counter[str]]:
    """The types of the whole model's tensors."""
    from llmcx.formats.tensors import kinds, tensors

    whole, _ = tensors(spec, (op for op in lower(spec, Run()) if op.role != "tower"))
    return kinds(spec, mix, whole)


TABLE = ("embedding", "token_embd")
"""The group and the name of the token table."""


def _gguf(spec: ModelSpec, mix: str, ops: Iterable[Op] | None) -> Weights:
    """On several GPUs the types are those of the whole model, and of the layers of a stage the mean share have each; a GPU that
    has the head without the table that it is tied to has a copy of that.
    """
    from llmcx.formats.tensors import tensors

    every = [*(lower(spec, Run()) if ops is None else ops)]
    mine, plain = tensors(spec, (op for op in every if op.role != "tower"))
    types = _types(spec, mix)
    stored: Counter[str] = Counter(plain)
    towers = params_fold.fold.total(op for op in every if op.role == "tower")
    stored["F16"] += towers
    for tensor in mine:
        shares = types.get((tensor.group, tensor.name)) or types[TABLE]
        layers = {kind: count * tensor.times // shares.total() for kind, count in shares.items()}
        layers[max(shares, key=lambda kind: shares[kind])] += tensor.times - sum(layers.values())
        for kind, count in layers.items():
            stored[kind] += tensor.elements * count
    rows = []
    for kind, elements in (+stored).items():
        block = gguf.BLOCKS[kind]
        n_blocks = -(-elements // block.elements)
        rows.append((kind, elements, Sizes(n_blocks * block.payload, n_blocks * block.scales)))
    notes = ["not counted: a GGUF file's header and padding, and tables of rotary factors (256 bytes in Llama 3.1)"]
    if towers:
        notes.append("towers and projectors have a file of their own (mmproj) in llama.cpp, counted as F16 throughout")
    if mix in gguf.NEEDS_IMATRIX:
        notes.append(f"{mix} with an importance matrix, without which llama.cpp does not make it")
    elif mix in gguf.VARIES_WITH_IMATRIX:
        notes.append(f"{mix} without an importance matrix, which would change the type of the first eighth of the ffn_down")
    return _sum(mix, rows, ("F32", "F16", "BF16"), _GGUF, notes)


def _sum(name: str, rows: list[tuple[str, int, Sizes]], plain: tuple[str, ...], source: str, notes: list[str]) -> Weights:
    by_dtype: dict[str, dict[str, int]] = {}
    quants = scales = rest = 0
    for kind, elements, sizes in rows:
        entry = by_dtype.setdefault(kind, {"elements": 0, "bytes": 0})
        entry["elements"] += elements
        entry["bytes"] += sum(sizes)
        if kind in plain:
            rest += sizes.payload
        else:
            quants, scales = quants + sizes.payload, scales + sizes.scales
    total, elements = quants + scales + rest, sum(entry["elements"] for entry in by_dtype.values())
    bits = 8 * total / elements
    formula = f"{name}: {quants:,} B of quants + {scales:,} B of scales + {rest:,} B not quantised, {bits:.4f} bits per weight"
    return Weights(name, total, quants, scales, rest, bits, by_dtype, formula, source, notes)
