"""What weight files store: tensors, elements and bytes per number format, read from the headers alone.

Safetensors: 8 bytes of header length, then JSON {name: {dtype, shape, data_offsets}}, the tensors side by side without a gap.
GGUF is read by :mod:`llmcx.huggingface.gguf`. Both as their reference readers check them: safetensors/src/tensor.rs of
huggingface/safetensors, ggml/src/gguf.cpp of ggml-org/llama.cpp. No tensor is read, and no length that a header claims is
believed further than the file is long, so a corrupt file costs an error and never memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypedDict

from llmcx.errors import InputError
from llmcx.huggingface.gguf import File as File
from llmcx.huggingface.gguf import tensors_of
from llmcx.huggingface.gguf import wrong as wrong

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
INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r"(.*)-(\d{1,9})-of-(\d{1,9})\.[a-z]+")


class Tensor(NamedTuple):
    """A tensor that a file stores: its format, its elements and the bytes that it takes."""

    name: str
    dtype: str
    elements: int
    bytes: int


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


def summed(count: int, found: Iterator[Tensor]) -> Stored:
    """The tensors of ``count`` files, added up."""
    n = elements = size = 0
    by_dtype: dict[str, dict[str, int]] = {}
    for tensor in found:
        n, elements, size = n + 1, elements + tensor.elements, size + tensor.bytes
        row = by_dtype.setdefault(tensor.dtype, {"elements": 0, "bytes": 0})
        row["elements"] += tensor.elements
        row["bytes"] += tensor.bytes
    return Stored(count, n, elements, size, by_dtype)


def choose(root: str, names: Collection[str], index: Callable[[], str]) -> list[str]:
    """Of the files side by side in ``root``, those of the model.

    An index names them; without one, a lone file, model.safetensors, or all the shards NAME-00001-of-00005 to the last. Raises
    InputError where a shard is missing, or where several models lie side by side: their sum would mean nothing.
    """
    if INDEX in names:
        return _indexed(root, names, index)
    whole = "model.safetensors"
    kinds = ([name for name in sorted(names) if name.endswith(end)] for end in (".safetensors", ".gguf"))
    found = [whole] if whole in names else next(filter(None, kinds), [])
    if not found:
        raise wrong(root, "holds no .safetensors or .gguf file")
    if len(found) > 1 or _SHARD.fullmatch(found[0]):
        _check_shards(root, found)
    return found


def _indexed(root: str, names: Collection[str], index: Callable[[], str]) -> list[str]:
    where = f"{root.rstrip('/')}/{INDEX}"
    try:
        named = sorted(set(json.loads(index())["weight_map"].values()))
        strange = [name for name in named if Path(name).name != name]
    except InputError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise wrong(where, "is not a safetensors index") from None
    if strange or not named:
        raise wrong(where, "must name files beside it" + (f", not {strange[0][:60]!r}" if strange else ", but names none"))
    missing = [name for name in named if name not in names]
    if missing:
        raise wrong(root, f"lacks {missing[0]}, which its index names ({len(missing)} of {len(named)} files are missing)")
    return named


def _check_shards(root: str, names: list[str]) -> None:
    """Refuse files that are not the shards, all of them, of one model."""
    shards = [_SHARD.fullmatch(name) for name in names]
    if len({match and (match[1], match[3]) for match in shards}) > 1 or shards[0] is None:
        others = f"{names[0]} and {names[1]}"
        raise wrong(root, f"holds {len(names)} files that are not shards of one model, e.g. {others}; name one of them")
    have, count = {int(match[2]) for match in shards if match}, int(shards[0][3])
    if len(have) != count or not have <= set(range(1, min(count, len(names)) + 1)):
        raise wrong(root, f"has {len(have)} of the {count:,} shards of {shards[0][1]}")


def tensors(of: File) -> Iterator[Tensor]:
    """Every tensor of a file, whose format is told by its first bytes. Raises InputError for a header that is corrupt or cut
    off.
    """
    try:
        with of.open() as file:
            magic = file.read(4)
            if not magic:
                raise wrong(of.name, "is empty")
            file.seek(0)
            if magic == b"GGUF":
                yield from (Tensor(each.name, each.dtype, each.elements, each.bytes) for each in tensors_of(of, file))
            else:
                yield from _safetensors(of, file)
    except OSError as error:
        raise wrong(of.name, f"cannot be read: {error.strerror or type(error).__name__}") from None


def _safetensors(of: File, file: BinaryIO) -> Iterator[Tensor]:
    path, total = of.name, of.size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > total - 8:
        raise wrong(path, f"is cut off or not safetensors: it claims a header of {length:,} bytes in a file of {total:,}")
    if length > MAX_HEADER:
        raise wrong(path, f"claims a header of {length:,} bytes, above the format's limit of {MAX_HEADER:,}")
    # Looked at before the whole is read: a format without a magic number is easily mistaken for this one.
    first = file.read(1)
    if first != b"{":
        raise wrong(path, "is neither GGUF nor safetensors, whose header starts with {")
    try:
        header = json.loads((first + file.read(length - 1)).decode("utf-8"))
    except (ValueError, RecursionError):
        raise wrong(path, "is not safetensors: its header is not JSON") from None
    spans = []
    for name, entry in header.items():
        if name != "__metadata__":
            count, begin, end = _entry(path, name, entry)
            spans.append((begin, end, name))
            yield Tensor(name, entry["dtype"], count, end - begin)
    data, at = total - 8 - length, 0
    for begin, end, name in sorted(spans):
        if begin != at:
            raise wrong(path, f"is corrupt: tensor {name[:60]!r} starts at byte {begin:,} of the data, not at {at:,}")
        if end > data:
            raise wrong(path, f"is cut off: tensor {name[:60]!r} ends at byte {end:,} of {data:,}")
        at = end
    if at != data:
        raise wrong(path, f"is corrupt: its tensors end at byte {at:,}, its data at {data:,}")


def _entry(path: str, name: str, entry: Any) -> tuple[int, int, int]:
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
