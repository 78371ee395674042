"""How many (query, key) pairs a pattern attends, counted exactly with the edges, and how far it reaches.

Every function takes ``q`` queries that are the last ones of ``kv`` tokens (a full pass has q = kv, one decode step q = 1).
Under a causal mask query i (1-based position p in the kv tokens) sees keys 1..p.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmcx.model.cores import (
    DENSE,
    EAGER,
    BigBird,
    Chunked,
    Core,
    Fixed,
    Linear,
    Linformer,
    Local,
    Longformer,
    Performer,
    Reformer,
    Sliding,
    Strided,
    TopK,
)


def dense(q: int, kv: int) -> int:
    """All pairs, masked or not: q·kv. What an eager implementation multiplies.

    >>> dense(4, 4)
    16
    """
    return q * kv


def causal(q: int, kv: int) -> int:
    """Pairs that a causal mask leaves: the queries stand at positions kv-q+1 .. kv and see that many keys.

    Σ p for p in kv-q+1..kv = q·kv - q(q-1)/2; n(n+1)/2 for a full pass.

    >>> causal(4, 4), causal(1, 100)
    (10, 100)
    """
    return q * kv - q * (q - 1) // 2


def banded(q: int, kv: int, keys: int) -> int:
    """Causal pairs when a query sees at most ``keys`` tokens, itself included: Σ min(p, keys).

    >>> banded(4, 4, 2)          # 1 + 2 + 2 + 2
    7
    >>> banded(4, 4, 99) == causal(4, 4)
    True
    """
    short = max(0, min(kv, keys) - (kv - q))  # queries so early that fewer than `keys` tokens exist
    first = kv - q + 1
    return short * (2 * first + short - 1) // 2 + (q - short) * keys


def chunked(q: int, chunk: int, ideal: bool) -> tuple[int, int, int]:
    """Chunks, rows and pairs within chunks when q tokens are cut into chunks of that size.

    An eager implementation pads the last chunk and multiplies its square; ``ideal`` counts the tokens there are, and
    the causal half.

    >>> chunked(10, 4, False), chunked(10, 4, True)
    ((3, 12, 48), (3, 10, 23))
    """
    count = -(-q // chunk)
    if not ideal:
        return count, count * chunk, count * chunk * chunk
    return count, q, blocks(q, chunk, True)


def blocks(q: int, size: int, ideal: bool) -> int:
    """Pairs within blocks of that size, the last one shorter: their squares, or with ``ideal`` the causal halves.

    >>> blocks(10, 4, False), blocks(10, 4, True)
    (36, 23)
    """
    count = causal if ideal else dense
    whole, rest = divmod(q, size)
    return whole * count(size, size) + count(rest, rest)


def centred(n: int, side: int) -> int:
    """Pairs |i - j| <= side among n tokens, both sides: n(2 side + 1) - side(side + 1), for side < n.

    >>> centred(5, 1)            # 2 + 3 + 3 + 3 + 2
    13
    """
    side = min(side, n - 1)
    return n * (2 * side + 1) - side * (side + 1)


def strided(q: int, kv: int, stride: int) -> int:
    """Causal pairs of Child et al.'s strided pattern: the ``stride`` tokens before, itself, and every stride-th one.

    A query at position p sees min(p, stride + 1) near keys, of which the one at distance ``stride`` is also on the stride,
    and floor((p - 1) / stride) - 1 farther ones (Child et al. 2019, sec. 4.2: A1 ∪ A2).

    >>> strided(5, 5, 2)         # keys seen: 1, 2, 3, 3, 4
    13
    """

    def farther(p: int) -> int:
        # Σ over positions 1..p of max(0, floor((i - 1) / stride) - 1)
        blocks, rest = divmod(p, stride)
        if blocks < 2:
            return 0
        return stride * (blocks - 2) * (blocks - 1) // 2 + rest * (blocks - 1)

    return banded(q, kv, stride + 1) + farther(kv) - farther(kv - q)


def strided_both_sides(n: int, stride: int) -> int:
    """The strided pattern without a mask: the causal one mirrored, the diagonal counted once.

    >>> strided_both_sides(3, 5)
    9
    """
    return 2 * strided(n, n, stride) - n


def fixed(q: int, kv: int, stride: int, summary: int) -> int:
    """Causal pairs of Child et al.'s fixed pattern: the query's own block, and ``summary`` tokens of each block before it.

    A query at position p (from 1) in block B = floor((p - 1) / stride) sees p - B stride + B summary keys (Child et al. 2019,
    sec. 4.2: A1 ∪ A2; the own block's summary is in the block).

    >>> fixed(5, 5, 2, 1)        # keys seen: 1, 2, 2, 3, 3
    11
    """

    def upto(p: int) -> int:
        whole, rest = divmod(p, stride)
        return blocks(p, stride, True) + summary * (stride * whole * (whole - 1) // 2 + rest * whole)

    return upto(kv) - upto(kv - q)


def fixed_both_sides(n: int, stride: int, summary: int) -> int:
    """The fixed pattern without a mask: the own block in full, and every summary token of the other blocks.

    >>> fixed_both_sides(5, 2, 1)      # 3 + 3 + 3 + 3 + 3
    15
    """
    whole, rest = divmod(n, stride)
    last = max(0, rest - (stride - summary))
    return blocks(n, stride, False) + n * (whole * summary + last) - whole * stride * summary - rest * last


def longformer(n: int, window: int, n_global: int, dilation: int = 1) -> int:
    """Pairs of a symmetric dilated window of ``window`` neighbours plus ``n_global`` leading tokens, no mask.

    A global token has a full row and a full column: 2 g n - g² pairs; the other n - g tokens keep their window among
    themselves. With dilation m the window splits into m interleaved undilated sequences (Beltagy et al. 2020, sec. 3.1).

    >>> longformer(6, 2, 1)      # 11 global pairs + centred(5, 1)
    24
    """
    g = min(n_global, n)
    rest = n - g
    per, extra = divmod(rest, dilation)
    inner = extra * centred(per + 1, window // 2) + (dilation - extra) * (centred(per, window // 2) if per else 0)
    return 2 * g * n - g * g + inner


def longformer_causal(q: int, kv: int, window: int, n_global: int, dilation: int = 1) -> int:
    """The same pattern under a causal mask: itself, ``window`` dilated tokens before, and the leading global tokens.

    Counted position by position in closed form: a query at p sees min(p, g) global keys, and if it is not global itself
    min(ceil((p - g) / dilation), window + 1) of the others.

    >>> longformer_causal(6, 6, 2, 1)      # 1, then 1 + (1, 2, 3, 3, 3)
    18
    """

    def upto(p: int) -> int:
        g = min(n_global, p)
        rest = p - g
        per, extra = divmod(rest, dilation)
        inner = 0
        if extra:
            inner += extra * banded(per + 1, per + 1, window + 1)
        if per:
            inner += (dilation - extra) * banded(per, per, window + 1)
        return g * (g + 1) // 2 + rest * g + inner

    return upto(kv) - upto(kv - q)


def bigbird(n: int, core: BigBird) -> int:
    """Pairs of BigBird's blocks without a mask: global tokens see and are seen; the other blocks see their window, and random
    whole blocks until there are none left to see.

    With m whole other blocks, half a window h and r random ones, a row of blocks sees min(m, window + r) whole blocks, and a
    shorter last block if the window reaches it.

    >>> bigbird(6, BigBird(block=1, window=3, n_global=1, random=1))      # 11 global pairs + 3 + 4 + 4 + 4 + 3
    29
    """
    b, half = core.block, core.window // 2
    g = min(core.n_global * b, n)
    m, short = divmod(n - g, b)
    whole = 0
    if m:
        most = min(max(m - core.random, 0), 2 * half + 1)  # blocks that the window may add before all are seen
        edge = max(0, most - half - 1)
        whole = m * (most + min(core.random, m)) - edge * (edge + 1)
    last = 2 * min(half, m) * b * short + short * short
    if short:  # its own random blocks
        last += short * b * (min(half + core.random, m) - min(half, m))
    return 2 * g * n - g * g + whole * b * b + last


def bigbird_causal(q: int, kv: int, core: BigBird) -> int:
    """The same under a causal mask: leading global tokens, the blocks of the window before the query's and as many random
    ones among the earlier, and the query's own block up to itself.

    >>> bigbird_causal(6, 6, BigBird(block=1, window=3, n_global=1, random=1))      # 1, then 1 + (1, 2, 3, 3, 3)
    18
    """
    b, before = core.block, core.window // 2 + core.random

    def upto(p: int) -> int:
        g = min(core.n_global * b, p)
        rest = p - g
        m, short = divmod(rest, b)
        earlier = (banded(m, m, before + 1) - m) * b * b + short * b * min(m, before)
        return g * (g + 1) // 2 + rest * g + blocks(rest, b, True) + earlier

    return upto(kv) - upto(kv - q)


def reformer(q: int, kv: int, core: Reformer) -> int:
    """Pairs that LSH attention multiplies, masked or not: in each round every sorted chunk meets itself and the one before,
    the first one the last.

    Which tokens share a bucket depends on the data, so this counts what is computed, with the last chunk padded (Kitaev et al.
    2020, sec. 2 and figure 2). A decode step meets two chunks a round.

    >>> reformer(10, 10, Reformer(chunk=4))      # 3 chunks of 4 x 8
    96
    """
    if q < kv:
        return core.rounds * q * min(2 * core.chunk, kv)
    chunks = -(-q // core.chunk)
    return core.rounds * chunks * core.chunk * min(2, chunks) * core.chunk


_MASKED: dict[type, Callable[[Any, int, int], int]] = {
    Sliding: lambda core, q, kv: banded(q, kv, core.window),
    Chunked: lambda core, q, kv: blocks(kv, core.window, True) - blocks(kv - q, core.window, True),
    Local: lambda core, q, kv: banded(q, kv, core.window + 1),
    Strided: lambda core, q, kv: strided(q, kv, core.stride),
    Fixed: lambda core, q, kv: fixed(q, kv, core.stride, core.summary),
    Longformer: lambda core, q, kv: longformer_causal(q, kv, core.window, core.n_global, core.dilation),
    BigBird: lambda core, q, kv: bigbird_causal(q, kv, core),
    TopK: lambda core, q, kv: banded(q, kv, core.top_k),
}
"""Pairs of a pattern under a causal mask."""
_UNMASKED: dict[type, Callable[[Any, int], int]] = {
    Fixed: lambda core, n: fixed_both_sides(n, core.stride, core.summary),
    BigBird: lambda core, n: bigbird(n, core),
    Chunked: lambda core, n: blocks(n, core.window, False),
    Local: lambda core, n: centred(n, core.window // 2),
    Sliding: lambda core, n: centred(n, core.window // 2),
    Strided: lambda core, n: strided_both_sides(n, core.stride),
    Longformer: lambda core, n: longformer(n, core.window, core.n_global, core.dilation),
}
"""Pairs of a pattern without a mask, among n tokens."""


def useful(core: Core, q: int, kv: int, masked: bool) -> int:
    """The pairs that the pattern itself calls for: what an ideal kernel multiplies.

    ``masked`` is whether a causal mask applies. Linformer, Performer and linear attention have no pairs; they are lowered apart.
    """
    if isinstance(core, Reformer):
        return reformer(q, kv, core)
    if masked:
        rule = _MASKED.get(type(core))
        return causal(q, kv) if rule is None else rule(core, q, kv)
    if isinstance(core, TopK):
        return q * min(kv, core.top_k)
    whole = _UNMASKED.get(type(core)) if q == kv else None
    return dense(q, kv) if whole is None else whole(core, kv)


def computed(core: Core, q: int, kv: int, masked: bool, ideal: bool) -> int:
    """The pairs that are multiplied: the full matrix for eager code, the useful ones for sparse patterns or ``ideal``.

    Standard, flash, ring, sliding-window and chunked attention are counted as eager runs them (every pair, then a mask), unless
    ``ideal`` asks for the useful pairs alone. Causal flash and the sparse patterns exist only as kernels that skip pairs.
    """
    if not ideal and (core.type in EAGER or core.type in ("flash", "ring")):
        return dense(q, kv)
    return useful(core, q, kv, masked)


def hops(core: Core, n: int, masked: bool = False) -> int | None:
    """Layers until information from every token can reach every token that the mask allows it to.

    Dense kinds 1. Local ceil((n-1)/w) under a mask (reach w per layer), ceil((n-1)/(w/2)) without. Strided and fixed 2 (one hop
    to the stride or the summary, one local hop). Longformer and BigBird 2 through a global token without a mask; under a mask the
    leading global tokens cannot relay, so the window has to: ceil((n-1-g)/w), BigBird's in blocks, its random blocks promising
    nothing. Chunks never meet. None when tokens are not all connected, or when that depends on the data (Reformer, top-k).

    >>> hops(Local(window=256), 4096, masked=True)
    16
    """
    if n <= 1 or core.type in DENSE or isinstance(core, (Linformer, Performer, Linear)):
        return 1
    if isinstance(core, Chunked):
        return 1 if n <= core.window else None
    if isinstance(core, Reformer):
        return 1 if n <= 2 * core.chunk else None
    if isinstance(core, TopK):
        return 1 if n <= core.top_k else None
    if isinstance(core, Strided):
        return 1 if core.stride == 1 or n - 1 <= core.stride else 2
    if isinstance(core, Fixed):
        return _fixed_hops(core, n, masked)
    if isinstance(core, BigBird):
        return _bigbird_hops(core, n, masked)
    return _window_hops(core, n, masked)


def _fixed_hops(core: Fixed, n: int, masked: bool) -> int | None:
    if n <= core.stride or core.summary == core.stride:
        return 1
    cut = n % core.stride  # a last block cut before its summary tells nobody outside what it holds
    return None if not masked and 0 < cut <= core.stride - core.summary else 2


def _bigbird_hops(core: BigBird, n: int, masked: bool) -> int | None:
    """At most so many: the random blocks may happen to help."""
    near, cut = core.window // 2, n % core.block
    others = -(-n // core.block) - core.n_global  # blocks that are not global
    if others <= 1 or others - 1 <= near or (others <= near + 1 + core.random and (masked or not cut)):
        return 1
    if core.n_global and not masked:
        return 2
    return -(-(others - 1) // near) if near else None


def _window_hops(core: Core, n: int, masked: bool) -> int | None:
    span = n - 1
    if isinstance(core, Longformer):
        span -= core.n_global
        near = core.window if masked else core.window // 2
        if span <= 0 or (core.dilation == 1 and span <= near):
            return 1
        if core.n_global and not masked:
            return 2
        if core.dilation > 1:
            return None  # a fixed dilation leaves residue classes that never meet
    assert isinstance(core, (Local, Longformer, Sliding))
    if isinstance(core, Sliding):
        reach = core.window - 1 if masked else core.window // 2
    else:
        reach = core.window if masked else core.window // 2
    return -(-span // reach) if reach else None
