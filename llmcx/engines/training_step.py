"""What a training step is made of, in seconds: of the GPU that the others wait for, and of one micro-batch on a stage's GPU."""

from __future__ import annotations

from typing import NamedTuple


class TrainingStep(NamedTuple):
    """Seconds of one step, by what they are spent on, on the GPU that the others wait for. Communication: what is not hidden."""

    compute: float
    recompute: float
    bubble: float
    tensor: float
    context: float
    expert: float
    pipeline: float
    data: float
    optimizer: float
    host: float = 0.0

    @property
    def total(self) -> float:
        return sum(self)


SPENT_ON = {
    "compute": "arithmetic, memory traffic",
    "recompute": "recomputation",
    "bubble": "pipeline bubble",
    "tensor": "tensor-parallel traffic",
    "context": "context-parallel traffic",
    "expert": "all-to-all",
    "pipeline": "sends between stages",
    "data": "data-parallel traffic",
    "optimizer": "optimizer",
    "host": "waiting for launches",
}
"""What a reader is told of each part of a :class:`TrainingStep`."""


class StagePass(NamedTuple):
    """Seconds of one micro-batch on a GPU of a stage: of all its ops forward and backward; of what is done again in the layers
    for each of RECOMPUTE; of traffic not hidden, forward and backward, and forward in the layers alone; in which the host
    launches the ops, and those of the layers once more.
    """

    forward: float
    backward: float
    core: float
    light: float
    layers: float
    tensor: float
    context: float
    expert: float
    tensor_again: float
    context_again: float
    expert_again: float
    launches: float
    launches_again: float

    def again(self, recompute: str) -> float:
        """What ``recompute`` does again: the cores that write scores, all that is elementwise, the layers."""
        return 0.0 if recompute == "none" else float(getattr(self, AGAIN[recompute]))

    def total(self, recompute: str) -> float:
        """With what is done again, its traffic too."""
        full = self.tensor_again + self.context_again + self.expert_again if recompute == "full" else 0.0
        spent = self.forward + self.backward + self.tensor + self.context + self.expert
        return spent + self.again(recompute) + full + self.waits(recompute)

    def waits(self, recompute: str) -> float:
        """Seconds in which the GPU has nothing to do, because the host has not launched it yet."""
        launched = self.launches + (self.launches_again if recompute == "full" else 0.0)
        return max(0.0, launched - self.forward - self.backward - self.again(recompute))


AGAIN = {"selective": "core", "elementwise": "light", "full": "layers"}
"""Fields of a :class:`StagePass`."""
