"""The folds of bytes between memory and chip.

Eager code is one kernel an op: each reads its inputs from memory and writes its outputs there. A fused attention is one kernel
that holds ``on_chip`` bytes of tiles and never writes a score: FlashAttention's algorithms 1 and 4, counted access by access (Dao
et al. 2022, arXiv:2205.14135; theorem 2 gives Θ(n² d² / M), proposition 4 the same times the share of pairs for sparse patterns).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from llmcx.ops.fold import Fold
from llmcx.ops.op import ACTIVATIONS, KINDS, Op

STATISTICS = 4
"""Bytes of each running maximum and sum of a row: fp32."""

EACH_ONCE = "each input read once, each output written once (one kernel an op)"
FLASH = (
    "Dao et al. 2022, arXiv:2205.14135, algorithm 1: keys and values once; queries, outputs and statistics once per tile of keys"
)
FLASH_BACKWARD = "Dao et al. 2022, arXiv:2205.14135, algorithm 4"


def tile(on_chip: int, act: int, width: int) -> int:
    """Keys that a tile holds: ceil(M / 4d), with M = ``on_chip`` / ``act`` elements (algorithm 1, line 1).

    >>> tile(192 * 1024, 2, 64)
    384
    """
    return -(-on_chip // (4 * act * width))


def visits(on_chip: int, act: int, width: int, rows: int, keys: int, pairs: int) -> int:
    """How often a row of queries is brought on the chip, all rows together: once per tile of keys of which it attends any.

    rows · ceil(keys / tile) where all pairs are attended (algorithm 1); fewer pairs need as many fewer tiles, ceil(pairs / tile),
    but each row one (proposition 4, blocks as well filled as can be).

    >>> visits(192 * 1024, 2, 64, 1024, 1024, 1024 * 1024)
    3072
    """
    size = tile(on_chip, act, width)
    return rows * -(-keys // size) if pairs == rows * keys else max(rows, -(-pairs // size))


@lru_cache(maxsize=8)
def traffic(on_chip: int, act: int, *, backward: bool = False) -> Fold:
    """The fold that counts the bytes of a forward pass, or of the backward pass after it, with activations of ``act`` bytes."""
    made = Fold("bytes between memory and chip", weight_text="layers")
    times = 2 if backward else 1  # a matmul's two gradients are matmuls of the same three tensors
    twice = "2·" if backward else ""

    def written(batch: int, heads: int, pairs: int, width: int, rows: int, own: int) -> int:
        """Of a matmul whose one side, in or out, is the scores, written out."""
        return times * act * batch * (heads * rows * width + own + heads * pairs)

    def attended(fused_bytes: Callable[[int, int, int], int]) -> Callable[..., int]:
        """A rule of queries that meet keys: scores written out, or what a fused kernel moves of a sequence, by the numbers of its
        keys, and by the queries' tiles that meet them, in numbers and in rows.
        """

        def rule(
            batch: int,
            heads: int,
            pairs: int,
            width: int,
            rows: int = 0,
            keys: int = 0,
            shared: int = 1,
            fused: int = 0,
            grads: int = 2,
        ) -> int:
            own = heads // shared * keys * width
            if not fused:
                return written(batch, heads, pairs, width, rows, own)
            met = heads * visits(on_chip, act, width, rows, keys, pairs)
            return batch * fused_bytes(own, met * width, met)

        return rule

    if backward:
        # read K, write dK; per visit: read Q and dQ, write dQ
        scores = attended(lambda own, met, rows: act * (2 * own + 3 * met))
        # read V, write dV; per visit: read O and dO, and both statistics
        values = attended(lambda own, met, rows: act * (2 * own + 2 * met) + 2 * STATISTICS * rows)
    else:
        scores = attended(lambda own, met, rows: act * (own + met))
        # per visit: read and write O and both statistics
        values = attended(lambda own, met, rows: act * (own + 2 * met) + 4 * STATISTICS * rows)

    def softmax(elements: int, fused: int = 0) -> int:
        return 0 if fused else (3 if backward else 2) * act * elements

    source = FLASH_BACKWARD if backward else FLASH
    text = f"{twice}act·batch·(heads·rows·width + heads/shared·keys·width + heads·pairs)"
    text += "; fused: no pairs, keys once, rows once per tile of keys"
    made.rule("scores", text=text, source=source)(scores)
    made.rule("values", text=text, source=source)(values)
    made.rule("softmax", text="2·act·elements" if not backward else "3·act·elements", source=EACH_ONCE)(softmax)

    def matmul(batch: int, m: int, k: int, n: int, weight: int, grads: int = 2) -> int:
        return act * batch * (m * k + k * n + m * n) * (grads if backward else 1)

    def linear(tokens: int, d_in: int, d_out: int, bias: int, tied: int, grads: int = 2) -> int:
        return times * act * (tokens * (d_in + d_out) + d_in * d_out) if tokens else 0

    def solve(batch: int, m: int, n: int) -> int:
        return times * act * batch * (m * m + 2 * m * n)

    def scan(elements: int, operations: int) -> int:
        return times * 2 * act * elements

    each = "grads·" if backward else ""  # a state that starts at zero needs no gradient
    made.rule("matmul", text=f"{each}act·batch·(m·k + k·n + m·n)", source=EACH_ONCE)(matmul)
    made.rule("linear", text=f"{twice}act·(tokens·(d_in + d_out) + d_in·d_out)", source=EACH_ONCE)(linear)
    made.rule("solve", text=f"{twice}act·batch·(m·m + 2·m·n)", source=EACH_ONCE)(solve)
    made.rule("scan", text=f"{twice}2·act·elements", source=EACH_ONCE)(scan)

    def elementwise(elements: int) -> int:
        return times * 2 * act * elements

    def convolve(batch: int, channels: int, length: int, kernel: int, bias: int, met: int) -> int:
        return times * 2 * act * batch * channels * length

    def norm(tokens: int, width: int, weights: int) -> int:
        return times * 2 * act * tokens * width

    made.rule("product", "residual", "rotary", *ACTIVATIONS, text=f"{twice}2·act·elements", source=EACH_ONCE)(elementwise)
    made.rule("conv", text=f"{twice}2·act·batch·channels·length", source=EACH_ONCE)(convolve)
    made.rule("layernorm", "rmsnorm", text=f"{twice}2·act·tokens·width", source=EACH_ONCE)(norm)
    # Looked up or stored by others; a fused kernel multiplies its scores again from what it has read.
    made.costs_nothing("recompute", "lookup", "vector", "cache")
    return made


def kernels(ops: Iterable[Op]) -> list[list[Op]]:
    """Ops that run as one kernel: what a fused attention holds together; every other op is one of its own."""
    out: list[list[Op]] = []
    together: list[Op] = []
    for op in ops:
        if not op.dims.get("fused"):
            out.append([op])
        elif op.kind == "scores":  # the first of a fused attention's ops
            together = [op]
            out.append(together)
        else:
            together.append(op)
    return out


moved_fold = traffic(1, 1).derived(
    "elements of activations read and written",
    but=("scores", "values", "linear", "lookup", "product", "residual"),
    change=lambda rule: rule._replace(text=rule.text.replace("act·", "")),  # elements, not bytes
)
"""Without the matrices, which may be quantised, shared out, or not met, and are counted apart."""
_ONCE = "every input read once and the output written once, no fusion across ops"


@moved_fold.rule("linear", text="tokens·(d_in + d_out)", source=_ONCE)
def linear_moved(tokens: int, d_in: int, d_out: int, bias: int, tied: int, grads: int = 2) -> int:
    """A matrix's inputs and outputs.

    >>> linear_moved(tokens=2, d_in=3, d_out=4, bias=1, tied=0)
    14
    """
    return tokens * (d_in + d_out)


@moved_fold.rule("lookup", text="2·tokens·width", source=_ONCE)
def lookup_moved(tokens: int, rows: int, width: int) -> int:
    """Rows read and written."""
    return 2 * tokens * width


@moved_fold.rule("product", "residual", text="3·elements", source=_ONCE)
def two_sided(elements: int) -> int:
    """Two read, one written."""
    return 3 * elements


# The core's inputs and outputs are those of its projections; what an unfused core writes out is the machine's to say.
moved_fold.costs_nothing("scores", "values")
assert set(KINDS) <= moved_fold.free | set(moved_fold.rules)
