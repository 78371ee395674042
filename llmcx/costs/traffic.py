"""Bytes between memory and chip, and the roofline: time when a kernel is as fast as its arithmetic or its traffic allows.

Eager code is one kernel an op: each reads its inputs from memory and writes its outputs there. A fused attention is one kernel
that holds ``on_chip`` bytes of tiles and never writes a score: FlashAttention's algorithms 1 and 4, counted access by access (Dao
et al. 2022, arXiv:2205.14135; theorem 2 gives Θ(n² d² / M), proposition 4 the same times the share of pairs for sparse patterns).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from llmcx.costs.flops import fold as flops_fold
from llmcx.ops.fold import Fold
from llmcx.ops.op import ACTIVATIONS, Op

STATISTICS = 4
"""Bytes of each running maximum and sum of a row: fp32."""

EACH_ONCE = "each input read once, each output written once (one kernel an op)"
FLASH = (
    "Dao et al. 2022, arXiv:2205.14135, algorithm 1: keys and values once; queries, outputs and statistics once per tile of keys"
)
FLASH_BACKWARD = "Dao et al. 2022, arXiv:2205.14135, algorithm 4"


class Machine(NamedTuple):
    """``flops`` a second of matmuls, ``bandwidth`` bytes a second of memory, ``on_chip`` bytes for tiles, ``link`` bytes a second
    that one device sends to the next (None: unknown).
    """

    name: str
    flops: int
    bandwidth: int
    on_chip: int
    link: int | None = None


WHOLE_CHIP = 108 * 192 * 1024
"""Tiles that all multiprocessors hold together, where a machine states no figure of its own: an A100's 108 with 192 KiB each
(Dao et al. 2022, sec. 2.1). They work on the same keys at about the same time, so memory sends those once for all of them.
"""


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

    def scores(
        batch: int, heads: int, pairs: int, width: int, rows: int = 0, keys: int = 0, shared: int = 1, fused: int = 0
    ) -> int:
        own = heads // shared * keys * width
        if not fused:
            return written(batch, heads, pairs, width, rows, own)
        met = heads * visits(on_chip, act, width, rows, keys, pairs)
        if backward:  # read K, write dK; per visit: read Q and dQ, write dQ
            return act * batch * (2 * own + 3 * met * width)
        return act * batch * (own + met * width)

    def values(
        batch: int, heads: int, pairs: int, width: int, rows: int = 0, keys: int = 0, shared: int = 1, fused: int = 0
    ) -> int:
        own = heads // shared * keys * width
        if not fused:
            return written(batch, heads, pairs, width, rows, own)
        met = heads * visits(on_chip, act, width, rows, keys, pairs)
        if backward:  # read V, write dV; per visit: read O and dO, and both statistics
            return batch * (act * (2 * own + 2 * met * width) + 2 * STATISTICS * met)
        # per visit: read and write O and both statistics
        return batch * (act * (own + 2 * met * width) + 4 * STATISTICS * met)

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

    def linear(tokens: int, d_in: int, d_out: int, bias: int, tied: int) -> int:
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


class Roofline(NamedTuple):
    """Kernels one after the other, each as long as the resource that binds it takes.

    ``ticks`` is the time in units of 1 / (flops · bandwidth) seconds, an exact integer; ``binds`` the resource that most of it
    waits for.
    """

    ticks: int
    seconds: float
    binds: str


def kernels(ops: Iterable[Op]) -> list[list[Op]]:
    """Ops that run as one kernel: what a fused attention holds together; every other op is one of its own."""
    out: list[list[Op]] = []
    together: dict[tuple[str, str], list[Op]] = {}
    for op in ops:
        if not op.dims.get("fused"):
            out.append([op])
            continue
        key = (op.group, op.component.rpartition(".")[0])
        if key not in together:
            together[key] = []
            out.append(together[key])
        together[key].append(op)
    return out


def roofline(ops: Iterable[Op], machine: Machine, act: int, devices: int = 1, sent: int = 0) -> Roofline:
    """The least time that ``ops`` take on each of ``devices`` machines which share them evenly and send ``sent`` bytes each
    meanwhile.

    A kernel takes max(FLOPs / flops, bytes / bandwidth) (Williams et al. 2009, doi:10.1145/1498765.1498785). Elementwise
    arithmetic is free, launches too, and every pattern is as efficient as a dense matmul: a bound, not a measurement.
    """
    moved = traffic(machine.on_chip, act)
    spent: dict[str, int] = {"compute": 0, "memory": 0, "link": 0}
    for kernel in kernels(ops):
        compute = flops_fold.total(kernel) * machine.bandwidth
        memory = moved.total(kernel) * machine.flops
        spent["compute" if compute >= memory else "memory"] += max(compute, memory)
    binds = max(spent, key=lambda name: spent[name])
    ticks = -(-sum(spent.values()) // devices)
    if sent and machine.link:
        passing = -(-sent * machine.flops * machine.bandwidth // machine.link)
        ticks, binds = (passing, "link") if passing > ticks else (ticks, binds)
    return Roofline(ticks, ticks / (machine.flops * machine.bandwidth), binds)
