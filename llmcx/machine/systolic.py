"""How much more a kernel multiplies on a systolic array than it is asked for: whole arrays, whole blocks, whole tiles.

A TPU multiplies on arrays of 128 × 128 (v5p and before) or 256 × 256 (v6e, v7) numbers: a narrower side is filled up with zeros,
so heads of 64 use a quarter of an array of 256. Its attention kernel meets keys in whole blocks; a sliding window of 128 costs
two blocks. Its grouped matmuls take tiles of rows, and a tile that two experts share is multiplied once for each.
"""

from __future__ import annotations

from math import ceil, sqrt

from llmcx.ops.op import Op


def filled(width: int, array: float) -> float:
    """What a side of ``width`` becomes, as a multiple of itself.

    >>> filled(64, 256), filled(2880, 256), filled(4096, 256)
    (4.0, 1.0666666666666667, 1.0)
    """
    return ceil(width / array) * array / width if array else 1.0


def blocked(rows: int, keys: int, pairs: int, block: float) -> float:
    """Pairs of queries and keys in blocks that hold any, as a multiple of ``pairs``.

    Half a block a row above a causal diagonal; under a window of w the w / block blocks, rounded up, and one more. Queries, fewer
    than ``keys`` on a context-parallel rank, lie evenly among them: a window of w leaves w - w² / (2 keys) pairs a query.

    >>> round(blocked(8192, 8192, 8192 * 8193 // 2, 1024), 3), round(blocked(2048, 8192, 2048 * 8193 // 2, 1024), 3)
    (1.125, 1.125)
    >>> round(blocked(8192, 8192, 128 * 8192 - 128 * 127 // 2, 1024), 1)  # a window of 128: 2 blocks, 1 in the first rows
    15.1
    """
    each = pairs / rows if rows else 0.0
    if not block or not each or each >= keys:
        return 1.0
    causal = (keys + min(block, keys)) / 2
    window = keys - sqrt(max(keys * keys - 2 * keys * each, 0.0))
    if window >= keys - 1 - sqrt(keys):  # no window: all that the diagonal leaves
        return causal / each
    reach = (ceil(round(window, 3) / block) + 1) * block
    return max(1.0, min(causal, reach - reach * (reach - block) / (2 * keys)) / each)


def stretch(op: Op, array: float, block: float, tile: float) -> float:
    """Multiplications done over those asked for, of a matmul or of what attention is made of."""
    d = op.dims
    if op.kind in ("scores", "values"):
        met = blocked(d["rows"], d["keys"], d["pairs"], block) if d.get("fused") else 1.0
        return met * filled(d["width"], array)
    if op.kind != "linear" or not d["tokens"]:
        return 1.0
    shared = tile * op.copies / d["tokens"] if op.role == "expert" else 0.0
    return (1 + shared) * filled(d["d_in"], array) * filled(d["d_out"], array)
