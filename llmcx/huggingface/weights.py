"""What weight files store: tensors, elements and bytes per number format, read from the headers alone.

Safetensors: 8 bytes of header length, then JSON {name: {dtype, shape, data_offsets}}, the tensors side by side without a gap.
GGUF is read by :mod:`llmcx.huggingface.gguf`. Both as their reference readers check them: safetensors/src/tensor.rs of
huggingface/safetensors, ggml/src/gguf.cpp of ggml-org/llama.cpp. No tensor is read, and no length that a header claims is
believed further than the file is long, so a corrupt file costs an error and never memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any, TypedDict

from llmcx.formats.quant import Weights
from llmcx.huggingface.gguf import tensors_of, wrong

SAFETENSORS_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
"""Bits per element of the safetensors format's dtypes."""

MAX_HEADER = 100_000_000  # the safetensors reference implementation's own limit
_SHARD = re.compile(r"(.*)-(\d{1,9})-of-(\d{1,9})\.[a-z]+")


@dataclass(frozen=True)
class Stored:
    """What the files hold. ``by_dtype`` maps a format to its elements and bytes."""

    files: int
    tensors: int
    elements: int
    bytes: int
    by_dtype: dict[str, dict[str, int]]


class _Compared(TypedDict):
    stored: Stored
    counted: int | None


class Compared(_Compared, total=False):
    """What is stored beside the parameters counted (None where no model is named), and what is stored beyond them."""

    difference: int


def read(path: str) -> Stored:
    """The weights in a file, or in all the .safetensors or .gguf files of a directory.

    Raises InputError for a path that is neither, and for a header that is corrupt or cut off.
    """
    root = Path(path)
    try:
        if root.is_dir():
            files = _files(root)
        elif root.is_file():
            files = [root]
        else:
            raise wrong(root, "is neither a file nor a directory" if root.exists() else "does not exist")
    except OSError as error:  # a name too long, a loop of links, a directory that may not be read
        raise wrong(root, f"cannot be read: {error.strerror}") from None
    tensors = elements = size = 0
    by_dtype: dict[str, dict[str, int]] = {}
    for file in files:
        for dtype, count, taken in _tensors(file):
            tensors, elements, size = tensors + 1, elements + count, size + taken
            row = by_dtype.setdefault(dtype, {"elements": 0, "bytes": 0})
            row["elements"] += count
            row["bytes"] += taken
    return Stored(len(files), tensors, elements, size, by_dtype)


def as_weights(path: str) -> Weights:
    """The bytes of files as the weights of an answer."""
    found = read(path)
    by_dtype = {name: {"elements": each["elements"], "bytes": each["bytes"]} for name, each in found.by_dtype.items()}
    formula = f"{found.tensors:,} tensors in {found.files:,} files, {found.bytes:,} B by their headers"
    bits = 8 * found.bytes / max(found.elements, 1)
    return Weights("files", found.bytes, 0, 0, found.bytes, bits, by_dtype, formula, path, [])


def _files(root: Path) -> list[Path]:
    """The files of one model in a directory.

    An index names them; without one, a lone file, model.safetensors, or all the shards NAME-00001-of-00005 to the last. Raises
    InputError where a shard is missing, or where several models lie side by side: their sum would mean nothing.
    """
    index = root / "model.safetensors.index.json"
    if index.is_file():
        return _indexed(root, index)
    whole = root / "model.safetensors"
    files = [whole] if whole.is_file() else sorted(root.glob("*.safetensors")) or sorted(root.glob("*.gguf"))
    if not files:
        raise wrong(root, "holds no .safetensors or .gguf file")
    if len(files) > 1:
        _check_shards(root, files)
    return files


def _indexed(root: Path, index: Path) -> list[Path]:
    if index.stat().st_size > MAX_HEADER:
        raise wrong(index, "is larger than 100 MB")
    try:
        named = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        strange = [name for name in named if Path(name).name != name]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise wrong(index, "is not a safetensors index") from None
    if strange or not named:
        raise wrong(index, "must name files beside it" + (f", not {strange[0][:60]!r}" if strange else ", but names none"))
    missing = [name for name in named if not (root / name).is_file()]
    if missing:
        raise wrong(root, f"lacks {missing[0]}, which its index names ({len(missing)} of {len(named)} files are missing)")
    return [root / name for name in named]


def _check_shards(root: Path, files: list[Path]) -> None:
    """Refuse files that are not the shards, all of them, of one model."""
    shards = [_SHARD.fullmatch(file.name) for file in files]
    if len({match and (match[1], match[3]) for match in shards}) > 1 or shards[0] is None:
        others = f"{files[0].name} and {files[1].name}"
        raise wrong(root, f"holds {len(files)} files that are not shards of one model, e.g. {others}; name one of them")
    have, count = {int(match[2]) for match in shards if match}, int(shards[0][3])
    if len(have) != count or not have <= set(range(1, min(count, len(files)) + 1)):
        raise wrong(root, f"has {len(have)} of the {count:,} shards of {shards[0][1]}")


def _tensors(path: Path) -> Iterator[tuple[str, int, int]]:
    """(format, elements, bytes) of every tensor of a file, told apart by its first bytes."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            if not magic:
                raise wrong(path, "is empty")
            file.seek(0)
            yield from tensors_of(path, file) if magic == b"GGUF" else _safetensors(path, file)
    except OSError as error:
        raise wrong(path, f"cannot be read: {error.strerror}") from None


def _safetensors(path: Path, file: BufferedReader) -> Iterator[tuple[str, int, int]]:
    total = path.stat().st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > total - 8:
        raise wrong(path, f"is cut off or not safetensors: it claims a header of {length:,} bytes in a file of {total:,}")
    if length > MAX_HEADER:
        raise wrong(path, f"claims a header of {length:,} bytes, above the format's limit of {MAX_HEADER:,}")
    # Looked at before the whole is read: a format without a magic number is easily mistaken for this one.
    if file.peek(1)[:1] != b"{":
        raise wrong(path, "is neither GGUF nor safetensors, whose header starts with {")
    try:
        header = json.loads(file.read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise wrong(path, "is not safetensors: its header is not JSON") from None
    spans = []
    for name, entry in header.items():
        if name != "__metadata__":
            count, begin, end = _entry(path, name, entry)
            spans.append((begin, end, name))
            yield entry["dtype"], count, end - begin
    data, at = total - 8 - length, 0
    for begin, end, name in sorted(spans):
        if begin != at:
            raise wrong(path, f"is corrupt: tensor {name[:60]!r} starts at byte {begin:,} of the data, not at {at:,}")
        if end > data:
            raise wrong(path, f"is cut off: tensor {name[:60]!r} ends at byte {end:,} of {data:,}")
        at = end
    if at != data:
        raise wrong(path, f"is corrupt: its tensors end at byte {at:,}, its data at {data:,}")


def _entry(path: Path, name: str, entry: Any) -> tuple[int, int, int]:
    """Elements, begin and end of a tensor."""
    try:
        shape, (begin, end), bits = entry["shape"], entry["data_offsets"], SAFETENSORS_BITS[entry["dtype"]]
        sizes = [*shape, begin, end]
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 or n >= 2**63 for n in sizes):
            raise ValueError
        if not isinstance(shape, list) or len(shape) > 64 or end < begin:
            raise ValueError
        count = prod(shape)
    except (KeyError, TypeError, ValueError):
        raise wrong(path, f"is corrupt: its header does not describe tensor {name[:60]!r} in a known way") from None
    if end - begin != -(-count * bits // 8):
        raise wrong(path, f"is corrupt: tensor {name[:60]!r} of {count:,} {entry['dtype']} takes {end - begin:,} bytes")
    return count, begin, end
