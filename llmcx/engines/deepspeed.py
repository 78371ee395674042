"""DeepSpeed's ZeRO among data-parallel GPUs, phase by phase: shares, buckets, and what is offloaded to the host's memory.

Held against the program itself on several ranks of a fake process group (tests/oracle/zero.py). Its own estimators leave out two
copies of gradients that it makes (docs/engines.md). allgather_bucket_size takes no memory: weights are gathered in place.
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.engines.phases import BACKWARD, LOSS, REDUCE, STEP, GPUBytes, Saved
from llmcx.parallel.layout import cut

BUCKET = "the first full bucket of gradients"
OFFLOAD = ("optimizer", "params")
"""What the host's memory holds: master copies, states and gradients; or the weights too, at level 3."""
ALL_REDUCE, SUB_GROUP = 500_000_000, 1_000_000_000
"""Numbers that are summed up at a time at level 0; that are stepped at a time at level 3."""


class Buckets(NamedTuple):
    """Numbers in DeepSpeed's buffers: reduce_bucket_size; stage3_max_live_parameters, of which what is prefetched is a part."""

    reduce: int = 500_000_000
    live: int = 1_000_000_000

    def named(self) -> dict[str, int]:
        """By the options' names."""
        return {"reduce_bucket_size": self.reduce, "max_live_parameters": self.live}


BUCKETS = Buckets()
"""What DeepSpeed has where nothing is said."""


class Partition(NamedTuple):
    """Numbers of all parameters and of the largest matrix; ``states``: bytes of the optimizer's states and
    master copies before they are shared out ``among`` so many GPUs; bytes of a weight, a gradient, and a master copy (0: none).
    """

    params: int
    matrix: int
    states: int
    among: int
    weight: int
    gradient: int
    master: int

    @property
    def share(self) -> int:
        return cut(self.params, self.among)


def phases(of: Partition, saved: Saved, zero: int, buckets: Buckets, offload: str | None, again: bool) -> dict[str, GPUBytes]:
    """A step at ``zero`` level 0 to 3; ``again``: of several micro-batches, so that gradients are there from the second on.

    Level 3 has its gradients' share and bucket all along, and the matrix at work and those that are met soon, up to ``live``
    numbers. Levels 1 and 2 copy gradients to a share of their own, 1 when all are there, 2 when the first bucket is full. What is
    offloaded goes by way of a buffer for the largest matrix. The step flattens the share, and makes a copy of it in the master's
    format.

    >>> of = Partition(1000, 50, 12000, 4, 2, 2, 4)
    >>> [held.total for held in phases(of, Saved(600, 60, 0, 0, 0), 2, Buckets(10, 10), None, False).values()]
    [5600, 5660, 6155, 5520, 7000]
    """
    shared, offloaded, size = zero == 3, offload is not None, of.gradient * of.matrix
    weights = 0 if offload == "params" else of.weight * (of.share if shared else of.params)
    states = 0 if offloaded else cut(of.states, of.among if zero else 1)
    mine, whole = 0 if offloaded else of.gradient * of.share, of.gradient * of.params
    held = mine if zero > 1 else whole
    bucket = of.gradient * (buckets.reduce if zero > 1 else 0 if zero else min(of.params, ALL_REDUCE))
    live = of.weight * min(of.params, of.matrix + buckets.live) if shared else 0
    before = held if shared or again else 0
    begun = held if shared or again else 0
    always = bucket if shared else size if offloaded else 0
    making = size + (of.master * (cut(of.matrix, of.among) if shared else of.matrix) if offloaded else 0)
    step = of.params if not zero else min(of.share, SUB_GROUP) if shared else of.share
    copies = 0 if offloaded else (of.gradient + of.master) * step
    reducing = bucket if zero != 1 else mine
    passing = making + always + (bucket if zero == 2 else 0)
    left = saved.first - saved.first * min(buckets.reduce, of.params) // of.params
    return {
        LOSS: GPUBytes(weights + live, before, states, saved.kept, saved.losses, saved.gradients + always),
        BACKWARD: GPUBytes(weights + live, begun, states, saved.first, 0, passing),
        **({BUCKET: GPUBytes(weights, mine, states, left, 0, passing)} if zero == 2 else {}),
        REDUCE: GPUBytes(weights, held, states, 0, 0, reducing + (always if offloaded and not shared else 0)),
        STEP: GPUBytes(weights, mine if zero else 0, states, 0, 0, copies + always),
    }


def host(of: Partition, zero: int, offload: str) -> int:
    """Bytes in the host's memory for each GPU: of its share states and master copies, gradients in both formats, at level 2 room
    for the largest matrix, at level 3 the weights where they are offloaded.

    >>> host(Partition(1000, 50, 12000, 4, 2, 2, 4), 3, "params") / 250
    20.0
    """
    each = of.master + of.gradient + (of.weight if offload == "params" else 0)
    return cut(of.states, of.among) + each * of.share + (of.gradient * of.matrix if zero < 3 else 0)
