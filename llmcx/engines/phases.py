"""The peak of a training step, phase by phase, where a program frees and makes tensors as it goes.

Gradients do not exist while the loss is computed, nor saved activations while the optimizer steps, so a GPU never holds the sum
of both. Held against torch's own trackers on fake tensors (tests/oracle/phases.py): MemTracker for torch's loop on one GPU,
FSDPMemTracker for fully_shard.
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.parallel.layout import cut

LOSS, BACKWARD, TABLE = "the loss", "the first layer of backward", "the last gradient of the tied table"
REDUCE, STEP = "the last reduce-scatter", "the optimizer's step"


class GPUBytes(NamedTuple):
    """Bytes on one GPU. ``workspace`` is an estimate: the loss's transients, buffers of communication, the margin."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    workspace: int

    @property
    def total(self) -> int:
        return sum(self)


class Saved(NamedTuple):
    """Bytes that are saved for backward: ``kept`` from the forward pass on, ``layer`` of the largest one; ``again`` while one is
    recomputed; ``losses`` of the logits, and of their ``gradients`` at a time.
    """

    kept: int
    layer: int
    again: int
    losses: int
    gradients: int

    @property
    def first(self) -> int:
        """While the first layer goes backward: it is recomputed, or what it had saved goes as it does."""
        return self.kept + self.again if self.again else max(self.kept - self.layer, 0)


def torch_loop(weights: int, gradients: int, states: int, table: int, saved: Saved, tied: bool = False) -> dict[str, GPUBytes]:
    """One GPU, gradients set to None between steps and a fused optimizer, as transformers' Trainer and torch do by default.

    The loss: log-probabilities are saved in fp32, and two gradients of that size are alive at once; the logits themselves are
    gone, for the loop holds the loss alone. Backward: ``table`` bytes are the head's gradient. A ``tied`` table
    gets a second gradient at the end, and their sum. The step: all gradients, no activations.

    >>> one = torch_loop(100, 100, 200, 10, Saved(500, 50, 0, 40, 80))
    >>> {phase: held.total for phase, held in one.items()}
    {'the loss': 920, 'the first layer of backward': 760, "the optimizer's step": 400}
    """
    return {
        LOSS: GPUBytes(weights, 0, states, saved.kept, saved.losses, saved.gradients),
        BACKWARD: GPUBytes(weights, table, states, saved.first, 0, 0),
        **({TABLE: GPUBytes(weights, gradients + 2 * table, states, 0, 0, 0)} if tied else {}),
        STEP: GPUBytes(weights, gradients, states, 0, 0, 0),
    }


class Sharded(NamedTuple):
    """What fully_shard divides among ``among`` GPUs: numbers of all parameters, of the largest layer, of what stands outside the
    layers and of its token table; ``states`` are the optimizer's bytes before they are shared out. A number takes ``stored``
    bytes where it is shared out (its gradient too), ``used`` in the pass, and ``reduced`` as gradients are summed up.
    """

    params: int
    layer: int
    outside: int
    table: int
    states: int
    among: int
    stored: int
    used: int
    reduced: int


def fsdp2(of: Sharded, saved: Saved, reshard: bool) -> dict[str, GPUBytes]:
    """torch's FSDP2: each layer a group, all else the root's, which stays gathered until its gradients are reduced.

    ``reshard`` (reshard_after_forward): a layer is gathered again for its backward, the next one meanwhile; else all stay.

    Source: Zhao et al. 2023, arXiv:2304.11277; torch/distributed/fsdp/_fully_shard.
    """
    shard, states = cut(of.params, of.among) * of.stored, cut(of.states, of.among)
    gathered = of.outside + of.layer if reshard else of.params
    turning = of.outside + 2 * of.layer if reshard else of.params
    summing = of.layer * (of.used + (of.reduced if reshard else 0))
    layers = cut(of.params - of.outside, of.among) * of.stored
    return {
        LOSS: GPUBytes(shard + gathered * of.used, 0, states, saved.kept, saved.losses, saved.gradients),
        BACKWARD: GPUBytes(shard + turning * of.used, of.table * of.used, states, saved.first, 0, summing),
        REDUCE: GPUBytes(shard, layers + of.outside * of.used, states, 0, 0, of.outside * of.reduced),
        STEP: GPUBytes(shard, shard, states, 0, 0, 0),
    }
