"""Optimizers: what each holds per parameter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmcx.costs import params as params_fold
from llmcx.ops.op import Op, in_layers

factored_fold = params_fold.fold.derived(
    "factored second moments",
    but=("linear", "lookup"),
    change=lambda rule: rule._replace(source="not factored: not a matrix of a linear layer"),
)
_FACTORED = "Shazeer and Stern 2018, arXiv:1804.04235, sec. 3"


@factored_fold.rule("linear", text="(d_in + d_out)·(1 - tied) + bias·d_out", source=_FACTORED)
def factored_linear(tokens: int, d_in: int, d_out: int, bias: int, tied: int, grads: int = 2) -> int:
    """A matrix keeps the means of its rows and of its columns; a vector one number each.

    >>> factored_linear(tokens=8, d_in=1024, d_out=4096, bias=1, tied=0)
    9216
    """
    return (0 if tied else d_in + d_out) + bias * d_out


@factored_fold.rule("lookup", text="rows + width", source=_FACTORED)
def factored_lookup(tokens: int, rows: int, width: int) -> int:
    """As any matrix."""
    return rows + width


SMALL = 4096
"""Numbers of a tensor below which bitsandbytes keeps 32-bit states (min_8bit_size of its optimizers)."""


def _large(op: Op) -> int:
    """Numbers in the tensors of at least :data:`SMALL`: a matrix, all experts' together, its bias, or a vector."""
    whole = params_fold.fold.of(op)
    bias = op.dims["d_out"] * op.dims["bias"] * op.copies * op.times if op.kind == "linear" else 0
    return sum(n for n in (whole - bias, bias) if n >= SMALL * op.times)


@dataclass(frozen=True)
class Optimizer:
    """Bytes of state per parameter, and the source.

    ``block`` > 0: states of a byte with an fp32 scale per block of that many values, in tensors of at least :data:`SMALL`.
    ``matrices``, where given, is the bytes for the weights of linear layers inside the layers; ``factored`` replaces the states
    by fp32 means of rows and columns.
    """

    name: str
    states: int
    source: str
    block: int = 0
    matrices: int | None = None
    factored: bool = False

    def basis(self, op: Op) -> int:
        """What states are counted from besides parameters, if any: means of rows and columns, the layers' matrices, or the
        tensors that are large enough for states in blocks.
        """
        if self.factored:
            return factored_fold.of(op)
        if self.block:
            return _large(op)
        inside = self.matrices is not None and op.kind == "linear" and in_layers(op)
        return params_fold.fold.of(op) if inside else 0

    def bytes(self, ops: Iterable[Op]) -> int:
        """States of the parameters of ``ops``, unrounded sharding aside."""
        ops = list(ops)
        return self.of(params_fold.fold.total(ops), sum(map(self.basis, ops)))

    def of(self, params: int, basis: int = 0, width: int = 4) -> int:
        """States of ``params`` parameters, of which :meth:`basis` adds up to ``basis``, where what is updated has ``width`` bytes
        a number: torch makes a moment as zeros_like of it, so that of 16-bit weights without a master copy has 16 bits
        (tests/oracle/optimizers.py asks the classes themselves). Block-wise and factored states have formats of their own; a
        tensor's last block is counted with the next one's first.

        >>> OPTIMIZERS["adam"].of(10), OPTIMIZERS["muon"].of(10, 6), OPTIMIZERS["adam"].of(10, width=2)
        (80, 56, 40)
        >>> OPTIMIZERS["adam8bit"].of(64 * 64 + 64, 64 * 64)
        8832
        """
        if self.factored:
            return 4 * basis
        if self.block:
            return self.states * (basis + 4 * (params - basis) + 4 * -(-basis // self.block))
        states = self.states * params
        if self.matrices is not None:
            states = self.matrices * basis + self.states * (params - basis)
        return states * width // 4

    def of_adapters(self, params: int) -> int:
        """States of ``params`` parameters of low-rank adapters, whose matrices are taken for large."""
        return self.of(params, params if self.block else 0)

    def stated(self, width: int = 4) -> str:
        """The source, with the format that the moments have then."""
        return self.source if width == 4 or self.block or self.factored else self.source.replace("fp32", "16-bit")


_BLOCKS = "an fp32 scale each per block of 256, fp32 in tensors below 4096 numbers"
_ADAM = "two fp32 moments per parameter (Kingma and Ba 2015, arXiv:1412.6980)"
OPTIMIZERS = {
    "sgd": Optimizer("sgd", 0, "no state"),
    "momentum": Optimizer("momentum", 4, "one fp32 velocity per parameter (Polyak 1964)"),
    "adam": Optimizer("adam", 8, _ADAM),
    "adamw": Optimizer("adamw", 8, _ADAM + "; decay apart (Loshchilov and Hutter 2019, arXiv:1711.05101)"),
    "adam8bit": Optimizer("adam8bit", 2, f"two 1-byte moments, {_BLOCKS} (Dettmers et al. 2021, arXiv:2110.02861)", 256),
    "paged_adam8bit": Optimizer(
        "paged_adam8bit",
        2,
        f"two 1-byte moments, {_BLOCKS}, which CUDA moves to the host where the GPU is full (arXiv:2305.14314, sec. 3)",
        256,
    ),
    "adafactor": Optimizer(
        "adafactor", 4, "fp32 means of rows and columns, no momentum (Shazeer and Stern 2018, arXiv:1804.04235)", factored=True
    ),
    "lion": Optimizer("lion", 4, "one fp32 momentum per parameter (Chen et al. 2023, arXiv:2302.06675)"),
    "lion8bit": Optimizer("lion8bit", 1, f"one 1-byte momentum, {_BLOCKS} (bitsandbytes' Lion8bit)", 256),
    "muon": Optimizer(
        "muon", 8, "one fp32 momentum for the layers' matrices, AdamW for the rest (Jordan et al. 2024)", matrices=4
    ),
}
