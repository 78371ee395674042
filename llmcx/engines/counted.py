"""What a serving pass asks of one GPU, op by op, whatever the accelerator: for any number of sequences.

Ops are lowered for a few numbers of sequences. Where every count of every op is a straight line through them, that is what it is
for others too; a frontier, or a search, asks for hundreds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from llmcx.costs.kv_cache import cache_fold
from llmcx.machine.roofline import task
from llmcx.ops.op import Op

AT = (1, 2, 1009)
"""Groups of sequences for which a pass is lowered: two that say how its counts grow, and one, far out, that they must meet: not
where GPUs share out tokens, rounded up, or a count has a limit.
"""


class Work(NamedTuple):
    """Of an op what does not depend on the sequences. ``kind`` is a :class:`~llmcx.machine.roofline.Task`'s, or "" of one that
    only leaves something in the cache; ``experts``: how many there are and how many a token meets.
    """

    kind: str
    group: str
    weights: int
    kernels: int
    experts: tuple[int, int] | None


class Counted(NamedTuple):
    """A pass: its ``works``, of each the FLOPs, the elements moved and the numbers cached; the ops that are ``sent``, and of how
    many elements, which they do not say themselves.
    """

    works: Sequence[Work]
    counts: Sequence[tuple[float, float, int]]
    sent: Sequence[Op]
    elements: Sequence[int]


def counted(ops: Iterable[Op]) -> Counted:
    """What ``ops`` of one GPU ask of it."""
    works: list[Work] = []
    counts: list[tuple[float, float, int]] = []
    sent: list[Op] = []
    elements: list[int] = []
    for op in ops:
        if op.role == "traffic":
            sent.append(op._replace(dims=op.dims | {"elements": 0}))
            elements.append(op.dims["elements"])
            continue
        cached = 0 if op.cache is None else cache_fold.of(op)
        one = task(op)
        if one is None and not cached:
            continue
        experts = (op.copies, op.used) if op.role == "expert" else None
        if one is None:
            works.append(Work("", op.group, 0, 0, experts))
            counts.append((0.0, 0.0, cached))
        else:
            works.append(Work(one.kind, op.group, one.weights, one.kernels, experts))
            counts.append((one.flops, one.moved, cached))
    return Counted(works, counts, sent, elements)


class Counting:
    """A pass for any number of sequences; ``of`` lowers it for one, of which ``unit`` groups of GPUs have a share each.

    >>> def pass_of(n): return [Op("q", "linear", {"tokens": n, "d_in": 4, "d_out": 2, "bias": 0, "tied": 0})]
    >>> Counting(pass_of, 1).at(5).counts
    [(80, 30, 0)]
    """

    def __init__(self, of: Callable[[int], Iterable[Op]], unit: int) -> None:
        self.of, self.unit = of, unit
        self.first, second, other = (counted(of(unit * groups)) for groups in AT)
        self.more: Counted | None = None
        if all(each[::2] == self.first[::2] for each in (second, other)):
            grow = [(b - a, d - c, f - e) for (a, c, e), (b, d, f) in zip(self.first.counts, second.counts, strict=True)]
            sent = [b - a for a, b in zip(self.first.elements, second.elements, strict=True)]
            self.more = Counted(self.first.works, grow, self.first.sent, sent)
            if self.at(unit * AT[-1])[1::2] != other[1::2]:
                self.more = None

    def at(self, batch: int) -> Counted:
        """For ``batch`` sequences."""
        first, more = self.first, self.more
        further, rest = divmod(batch, self.unit)
        if more is None or rest:
            return counted(self.of(batch))
        n = further - 1
        counts = [
            (flops + n * a, moved + n * b, cached + n * c)
            for (flops, moved, cached), (a, b, c) in zip(first.counts, more.counts, strict=True)
        ]
        return Counted(
            first.works, counts, first.sent, [size + n * by for size, by in zip(first.elements, more.elements, strict=True)]
        )
