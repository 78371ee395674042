"""What weight files store: tensors, elements and bytes per number format, read from the headers alone.

Safetensors: 8 bytes of header length, then JSON {name: {dtype, shape, data_offsets}}. GGUF (versions 2 and 3): magic, counts,
typed key-value pairs, then name, dims, type and offset of each tensor. No tensor is read, and no length that a header claims is
believed further than the file is long, so a corrupt file costs an error and never memory.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from llmcx.core.errors import InputError

SAFETENSORS_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
"""Bits per element of the safetensors format's dtypes."""

GGUF_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}
"""GGUF tensor type -> name, elements per block, bytes per block (the ggml type table)."""

MAX_HEADER = 100_000_000  # the safetensors reference implementation's own limit
MAX_ITEMS = 1_000_000
_FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # GGUF value type -> bytes
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class Stored:
    """What the files hold. ``by_dtype`` maps a format to its elements and bytes."""

    files: int
    tensors: int
    elements: int
    bytes: int
    by_dtype: dict[str, dict[str, int]]


def read(path: str) -> Stored:
    """The weights in a file, or in all the .safetensors or .gguf files of a directory.

    Raises InputError for a path that is neither, and for a header that is corrupt or cut off.
    """
    root = Path(path)
    if root.is_dir():
        files = sorted(root.glob("*.safetensors")) or sorted(root.glob("*.gguf"))
        if not files:
            raise _wrong(root, "holds no .safetensors or .gguf file")
        _check_shards(root, files)
    elif root.is_file():
        files = [root]
    else:
        raise _wrong(root, "does not exist")
    tensors = elements = size = 0
    by_dtype: dict[str, dict[str, int]] = {}
    for file in files:
        for dtype, count, taken in _tensors(file):
            tensors, elements, size = tensors + 1, elements + count, size + taken
            row = by_dtype.setdefault(dtype, {"elements": 0, "bytes": 0})
            row["elements"] += count
            row["bytes"] += taken
    return Stored(len(files), tensors, elements, size, by_dtype)


def _wrong(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}", field="weights", value=str(path))


def _check_shards(root: Path, files: list[Path]) -> None:
    """Refuse a directory that lacks a shard which its own index names: its count would be too small."""
    index = root / "model.safetensors.index.json"
    if not index.is_file():
        return
    if index.stat().st_size > MAX_HEADER:
        raise _wrong(index, "is larger than 100 MB")
    try:
        named = set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise _wrong(index, "is not a safetensors index") from None
    missing = sorted(str(name) for name in named if not isinstance(name, str) or not (root / name).is_file())
    if missing:
        raise _wrong(root, f"lacks {missing[0]}, which its index names ({len(missing)} of {len(named)} files are missing)")


def _tensors(path: Path) -> Iterator[tuple[str, int, int]]:
    """(format, elements, bytes) of every tensor of a file, told apart by its first bytes."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            yield from _gguf(path, file) if magic == b"GGUF" else _safetensors(path, file)
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}") from None


def _safetensors(path: Path, file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    total = path.stat().st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > total - 8:
        raise _wrong(path, f"is cut off or not safetensors: it claims a header of {length:,} bytes in a file of {total:,}")
    if length > MAX_HEADER:
        raise _wrong(path, f"claims a header of {length:,} bytes, above the format's limit of {MAX_HEADER:,}")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError):
        raise _wrong(path, "is not safetensors: its header is not JSON") from None
    if not isinstance(header, dict):
        raise _wrong(path, "is not safetensors: its header is not a mapping")
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        count, taken, offset = _entry(path, str(name), entry)
        if offset[1] > total - 8 - length:
            raise _wrong(path, f"is cut off: tensor {name!r} ends at byte {offset[1]:,} of {total - 8 - length:,}")
        end = max(end, offset[1])
        yield entry["dtype"], count, taken
    if end != total - 8 - length:
        raise _wrong(path, f"is corrupt: its tensors end at byte {end:,}, its data at {total - 8 - length:,}")


def _entry(path: Path, name: str, entry: Any) -> tuple[int, int, tuple[int, int]]:
    try:
        shape, (begin, end), bits = entry["shape"], entry["data_offsets"], SAFETENSORS_BITS[entry["dtype"]]
        sizes = [*shape, begin, end]
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 or n >= 2**63 for n in sizes) or len(shape) > 64:
            raise ValueError
        count = prod(shape)
    except (KeyError, TypeError, ValueError):
        raise _wrong(path, f"is corrupt: its header does not describe tensor {name[:60]!r} in a known way") from None
    if end - begin != -(-count * bits // 8):
        raise _wrong(path, f"is corrupt: tensor {name[:60]!r} of {count:,} {entry['dtype']} takes {end - begin:,} bytes")
    return count, end - begin, (begin, end)


class _Reader:
    """Little-endian reads that never pass the end of the file."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file, self.left = path, file, path.stat().st_size

    def take(self, count: int) -> bytes:
        self._spend(count)
        return self.file.read(count)

    def skip(self, count: int) -> None:
        self._spend(count)
        self.file.seek(count, 1)

    def _spend(self, count: int) -> None:
        if count > self.left:
            raise _wrong(self.path, "is cut off or corrupt: its header claims more than the file holds")
        self.left -= count

    def u32(self) -> int:
        return int(struct.unpack("<I", self.take(4))[0])

    def u64(self) -> int:
        return int(struct.unpack("<Q", self.take(8))[0])

    def value(self, kind: int, depth: int = 0) -> None:
        """Pass over a value of a GGUF type."""
        if kind in _FIXED:
            self.skip(_FIXED[kind])
        elif kind == _STRING:
            self.skip(self.u64())
        elif kind == _ARRAY and depth < 4:
            inner, count = self.u32(), self.u64()
            if inner in _FIXED:
                self.skip(_FIXED[inner] * count)
            else:
                for _ in range(count):  # bounded: each string or array takes at least 8 bytes of the file
                    self.value(inner, depth + 1)
        else:
            raise _wrong(self.path, f"is corrupt: it has a value of the unknown type {kind}")


def _gguf(path: Path, file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    reader = _Reader(path, file)
    reader.skip(4)
    version = reader.u32()
    if version not in (2, 3):
        raise _wrong(path, f"is GGUF version {version}, but must be 2 or 3 (and little-endian)")
    tensors, pairs = reader.u64(), reader.u64()
    if max(tensors, pairs) > MAX_ITEMS:
        raise _wrong(path, f"is corrupt: it claims {tensors:,} tensors and {pairs:,} keys")
    for _ in range(pairs):
        reader.skip(reader.u64())
        reader.value(reader.u32())
    for _ in range(tensors):
        reader.skip(reader.u64())
        n_dims = reader.u32()
        if n_dims > 8:
            raise _wrong(path, f"is corrupt: it has a tensor of {n_dims} dimensions")
        count = prod(reader.u64() for _ in range(n_dims))
        kind = reader.u32()
        reader.skip(8)
        if kind not in GGUF_TYPES:
            raise _wrong(path, f"has a tensor of the GGUF type {kind}, which llmcx does not know")
        name, block, taken = GGUF_TYPES[kind]
        if count % block:
            raise _wrong(path, f"is corrupt: it has a {name} tensor of {count:,} elements, not a multiple of {block}")
        yield name, count, count // block * taken
