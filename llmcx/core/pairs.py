"""How many (query, key) pairs a pattern attends, counted exactly with the edges, and how far it reaches.

Every function takes ``q`` queries that are the last ones of ``kv`` tokens (a full pass has q = kv, one decode step q = 1).
Under a causal mask query i (1-based position p in the kv tokens) sees keys 1..p.
"""

from __future__ import annotations

from .cores import Chunked, Core, Flash, Linformer, Local, Longformer, Performer, Sliding, Standard, Strided


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


def useful(core: Core, q: int, kv: int, masked: bool) -> int:
    """The pairs that the pattern itself calls for: what an ideal kernel multiplies.

    ``masked`` is whether a causal mask applies. Linformer and Performer have no pairs; they are lowered apart.
    """
    if not masked:
        if q != kv and not isinstance(core, (Standard, Flash)):
            return dense(q, kv)
        if isinstance(core, Chunked):
            return blocks(kv, core.window, False)
        if isinstance(core, (Local, Sliding)):
            return centred(kv, core.window // 2)
        if isinstance(core, Strided):
            return strided_both_sides(kv, core.stride)
        if isinstance(core, Longformer):
            return longformer(kv, core.window, core.n_global, core.dilation)
        return dense(q, kv)
    if isinstance(core, Sliding):
        return banded(q, kv, core.window)
    if isinstance(core, Chunked):
        return blocks(kv, core.window, True) - blocks(kv - q, core.window, True)
    if isinstance(core, Local):
        return banded(q, kv, core.window + 1)
    if isinstance(core, Strided):
        return strided(q, kv, core.stride)
    if isinstance(core, Longformer):
        return longformer_causal(q, kv, core.window, core.n_global, core.dilation)
    return causal(q, kv)


def computed(core: Core, q: int, kv: int, masked: bool, ideal: bool) -> int:
    """The pairs that are multiplied: the full matrix for eager code, the useful ones for sparse patterns or ``ideal``.

    Standard, flash, sliding-window and chunked attention are counted as eager runs them (every pair, then a mask), unless
    ``ideal`` asks for the useful pairs alone. The sparse patterns exist only as kernels that skip pairs.
    """
    if not ideal and isinstance(core, (Standard, Flash, Sliding, Chunked)):
        return dense(q, kv)
    return useful(core, q, kv, masked)


def hops(core: Core, n: int, masked: bool = False) -> int | None:
    """Layers until information from every token can reach every token that the mask allows it to.

    Dense kinds 1. Local ceil((n-1)/w) under a mask (reach w per layer), ceil((n-1)/(w/2)) without. Strided 2 (one
    stride hop, one local hop). Longformer 2 through a global token without a mask; under a mask the g leading global
    tokens cannot relay, so the window has to: ceil((n-1-g)/w). Chunks never meet. None when tokens are never all connected.

    >>> hops(Local(window=256), 4096, masked=True)
    16
    """
    if n <= 1 or isinstance(core, (Standard, Flash, Linformer, Performer)):
        return 1
    if isinstance(core, Chunked):
        return 1 if n <= core.window else None
    if isinstance(core, Strided):
        return 1 if core.stride == 1 or n - 1 <= core.stride else 2
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
    if isinstance(core, Sliding):
        reach = core.window - 1 if masked else core.window // 2
    else:
        reach = core.window if masked else core.window // 2
    if reach == 0:
        return None
    return -(-span // reach)
