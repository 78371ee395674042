"""The header of a GGUF file: its keys and values, and the shapes of its tensors, by reads that never pass the end of the file.

GGUF (versions 2 and 3): magic, counts, typed key-value pairs, then name, dims, type and offset of each tensor, each starting at
the next multiple of the alignment, as ggml/src/gguf.cpp of ggml-org/llama.cpp reads them. No length that a header claims is
believed further than the file is long, and of a value no more is kept than a model's description has.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from llmcx.errors import InputError
from llmcx.formats.gguf import BLOCKS

_NUMBERED = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0", 42: "Q2_0",
}  # fmt: skip
GGUF_TYPES = {number: (name, BLOCKS[name].elements, BLOCKS[name].bytes) for number, name in _NUMBERED.items()}
"""GGUF tensor type -> name, elements per block, bytes per block (ggml/include/ggml.h, and GGML_QUANT_SIZES in
gguf-py/gguf/constants.py of ggml-org/llama.cpp). Types 4, 5, 31-33 and 36-38 are withdrawn.
"""

MAX_ITEMS = 1_000_000  # tensors, keys, or strings in all arrays: the largest vocabularies have some 800,000 tokens and merges
LONGEST = 1024  # of the text or the list that a value is kept of; models have fewer layers
_FIXED = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}  # GGUF value type -> struct's
_U32, _STRING, _ARRAY = 4, 8, 9


class Tensor(NamedTuple):
    """A tensor's name (its first 64 bytes), dims (the innermost first), type, elements and bytes."""

    name: str
    dims: tuple[int, ...]
    dtype: str
    elements: int
    bytes: int


class Header(NamedTuple):
    """The keys of a file with their values (of a long list or text, None), and its tensors."""

    keys: dict[str, Any]
    tensors: list[Tensor]


class File(NamedTuple):
    """A file of weights: its name as an error says it, its bytes, and how it is opened."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


def local(path: Path) -> File:
    """A file on the disk."""
    return File(str(path), path.stat().st_size, lambda: path.open("rb"))


def wrong(path: str, what: str) -> InputError:
    """The refusal of a file of weights."""
    return InputError(f"{path} {what}", field="weights", value=path)


def header(path: Path) -> Header:
    """The header of a file. Raises InputError where it is none, corrupt or cut off."""
    try:
        of = local(path)
        with of.open() as file:
            if file.read(4) != b"GGUF":
                raise wrong(of.name, "is no GGUF file")
            file.seek(0)
            reader = Reader(of, file)
            keys = _keys(reader)
            return Header(keys, list(_tensors(reader)))
    except OSError as error:
        raise wrong(str(path), f"cannot be read: {error.strerror}") from None


def tensors_of(of: File, file: BinaryIO) -> Iterator[Tensor]:
    """Every tensor of an open file."""
    reader = Reader(of, file)
    _keys(reader)
    yield from _tensors(reader)


class Reader:
    """Little-endian reads that never pass the end of the file."""

    def __init__(self, of: File, file: BinaryIO) -> None:
        self.path, self.file, self.size = of.name, file, of.size
        self.left, self.items, self.tensors, self.alignment = self.size, 0, 0, 32

    def take(self, count: int) -> bytes:
        self._spend(count)
        return self.file.read(count)

    def skip(self, count: int) -> None:
        self._spend(count)
        self.file.seek(count, 1)

    def _spend(self, count: int) -> None:
        if count > self.left:
            raise wrong(self.path, "is cut off or corrupt: its header claims more than the file holds")
        self.left -= count

    def u32(self) -> int:
        return int(struct.unpack("<I", self.take(4))[0])

    def u64(self) -> int:
        return int(struct.unpack("<Q", self.take(8))[0])

    def text(self) -> str:
        """A key or a tensor's name: its first bytes, which tell it apart."""
        length = self.u64()
        start = self.take(min(length, 64))
        self.skip(length - len(start))
        return start.decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        """A value of a GGUF type; None where it is longer than any that a model's description has."""
        if kind in _FIXED:
            form = f"<{_FIXED[kind]}"
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if kind == _STRING:
            length = self.u64()
            if length > LONGEST:
                self.skip(length)
                return None
            return self.take(length).decode("utf-8", "replace")
        if kind == _ARRAY and depth < 4:
            inner, count = self.u32(), self.u64()
            if inner in _FIXED and count > LONGEST:
                self.skip(struct.calcsize(f"<{_FIXED[inner]}") * count)
                return None
            self.items += count
            if self.items > MAX_ITEMS:
                raise wrong(self.path, f"is corrupt: its arrays claim {self.items:,} values")
            if inner == _STRING and count > LONGEST:
                for _ in range(count):
                    self.skip(self.u64())
                return None
            found = [self.value(inner, depth + 1) for _ in range(count)]
            return found if count <= LONGEST else None
        raise wrong(self.path, f"is corrupt: it has a value of the unknown type {kind}")


def _keys(reader: Reader) -> dict[str, Any]:
    path = reader.path
    reader.skip(4)
    version = reader.u32()
    if version not in (2, 3):
        raise wrong(path, f"is GGUF version {version}, but must be 2 or 3 (and little-endian)")
    reader.tensors, pairs = reader.u64(), reader.u64()
    if max(reader.tensors, pairs) > MAX_ITEMS:
        raise wrong(path, f"is corrupt: it claims {reader.tensors:,} tensors and {pairs:,} keys")
    keys = {}
    for _ in range(pairs):
        key, kind = reader.text(), reader.u32()
        value = reader.value(kind)
        if key == "general.alignment" and kind == _U32:
            reader.alignment = value
        keys[key] = value
    if reader.alignment & (reader.alignment - 1) or not reader.alignment:
        raise wrong(path, f"is corrupt: its alignment is {reader.alignment:,}, not a power of 2")
    return keys


def _tensors(reader: Reader) -> Iterator[Tensor]:
    path, alignment = reader.path, reader.alignment
    end = padded = 0
    for _ in range(reader.tensors):
        tensor, offset = _tensor(reader), reader.u64()
        if offset != padded:
            raise wrong(path, f"is corrupt: tensor {tensor.name!r} starts at byte {offset:,} of the data, not at {padded:,}")
        end = offset + tensor.bytes
        padded = -(-end // alignment) * alignment
        yield tensor
    data = reader.size - -(-(reader.size - reader.left) // alignment) * alignment
    if reader.tensors and end > data:
        raise wrong(path, f"is cut off: its tensors end at byte {end:,} of the data, the file at {max(data, 0):,}")


def _tensor(reader: Reader) -> Tensor:
    name, n_dims = reader.text(), reader.u32()
    if n_dims > 4:
        raise wrong(reader.path, f"is corrupt: it has a tensor of {n_dims:,} dimensions")
    dims = [reader.u64() for _ in range(n_dims)]
    kind = reader.u32()
    if kind not in GGUF_TYPES:
        raise wrong(reader.path, f"has a tensor of the GGUF type {kind}, which llmcx does not know")
    dtype, block, size = GGUF_TYPES[kind]
    count, row = prod(dims), dims[0] if dims else 1
    if row % block:
        raise wrong(reader.path, f"is corrupt: it has a {dtype} tensor with rows of {row:,} elements, not a multiple of {block}")
    return Tensor(name, tuple(dims), dtype, count, count // block * size)
