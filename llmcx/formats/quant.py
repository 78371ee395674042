"""Weights in quantised formats, to the byte: quants, scales, and what stays as it was.

Each format quantises the matrices inside the layers, one by one (:mod:`llmcx.formats.storage` says which); what it leaves alone
stays as it was, in GGUF in 32 bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from llmcx.costs import params as params_fold
from llmcx.errors import InputError, unknown_name
from llmcx.formats import dtypes, gguf
from llmcx.formats.dtypes import RELEASED
from llmcx.formats.schemes import BNB, SCHEMES, Sizes, Uneven
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
    stored = stored_as(spec, text)
    if stored is not spec.stored and name != RELEASED:
        check(text)
    if stored.unsized:
        problem = f"how {spec.name} is stored is not known: {stored.unsized}; --dtype says another format"
        raise InputError(problem, field="dtype", value=text)
    if stored.tensors and (name == RELEASED or name == stored.format):
        return _listed(spec, stored, ops is not None)
    return _stored(spec, stored, lower(spec, Run()) if ops is None else ops)


ATTENDING = ("deepseek_v3", "deepseek_v32", "kimi_k2", "glm_moe_dsa", "minimax_m2", "gemma4")
"""Families of mixtures whose attention NVIDIA's releases in NVFP4 leave in 16 bits: DeepSeek-R1 (issue 150 of NVIDIA/
Model-Optimizer), DeepSeek-V3-0324, Kimi-K2.7-Code, GLM-5.1, GLM-5.2, MiniMax-M2.5, MiniMax-M2.7 and Gemma-4-26B-A4B (their own
files). Others differ: Qwen3-30B-A3B's is in four bits too, Qwen3.6-35B-A3B's in fp8.
"""


def stored_as(spec: ModelSpec, text: str) -> Storage:
    """How weights in the format ``text`` are stored, matrix by matrix: as the model's files are, where they are in it.

    NVFP4 of some mixtures leaves attention in 16 bits (:data:`ATTENDING`).

    >>> from llmcx.catalog.presets import load_preset
    >>> stored_as(load_preset("llama-3-8b"), "fp8").format, stored_as(load_preset("deepseek-v3"), "nvfp4").keep
    ('fp8', ('self_attn',))
    """
    name, _, rest = str(text).lower().partition(":")
    of = spec.stored
    if of is not None and (name == RELEASED or any(form.partition(":")[0] == name and not rest for form in of.formats)):
        return of
    if name == RELEASED:
        return Storage("bf16")
    keep = ("self_attn",) if name == "nvfp4" and spec.mixtures and spec.family in ATTENDING else ()
    return Storage(str(text).lower(), "bf16" if of is None else of.plain, keep=keep)


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
        if scheme.source == BNB and op.role == "expert":
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
