"""Number formats of a training run: weights, gradients, activations, and the master copy that mixed precision adds."""

from __future__ import annotations

from typing import NamedTuple


class Precision(NamedTuple):
    """Bytes per weight, gradient and activation, and of the fp32 master copy that mixed precision adds."""

    name: str
    weight: int
    gradient: int
    activation: int
    master: int

    @property
    def updated(self) -> int:
        """Bytes of a number that the optimizer updates: of the master copy, where there is one."""
        return self.master or self.weight


PRECISIONS = {
    "fp32": Precision("fp32", 4, 4, 4, 0),
    "bf16": Precision("bf16", 2, 2, 2, 0),
    "mixed": Precision("mixed", 2, 2, 2, 4),  # Micikevicius et al. 2018, arXiv:1710.03740; ZeRO's 2 + 2 + 12 bytes
    "megatron": Precision("megatron", 2, 4, 2, 4),  # gradients summed up in fp32: Megatron-LM's 18 bytes per parameter
}
