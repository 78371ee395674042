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
def factored_linear(tokens: int, d_in: int, d_out: int, bias: int, tied: int) -> int:
    """A matrix keeps the means of its rows and of its columns; a vector one number each.

    >>> factored_linear(tokens=8, d_in=1024, d_out=4096, bias=1, tied=0)
    9216
    """
    return (0 if tied else d_in + d_out) + bias * d_out


@factored_fold.rule("lookup", text="rows + width", source=_FACTORED)
def factored_lookup(tokens: int, rows: int, width: int) -> int:
    """As any matrix."""
    return rows + width


@dataclass(frozen=True)
class Optimizer:
    """Bytes of state per parameter, and the source.

    ``block`` > 0 adds two fp32 scales per block of that many values. ``matrices``, where given, is the bytes for the weights of
    linear layers inside the layers; ``factored`` replaces the states by fp32 means of rows and columns.
    """

    name: str
    states: int
    source: str
    block: int = 0
    matrices: int | None = None
    factored: bool = False

    def basis(self, op: Op) -> int:
        """What states are counted from besides parameters, if any: means of rows and columns, or the layers' matrices."""
        if self.factored:
            return factored_fold.of(op)
        inside = self.matrices is not None and op.kind == "linear" and in_layers(op)
        return params_fold.fold.of(op) if inside else 0

    def bytes(self, ops: Iterable[Op]) -> int:
        """States of the parameters of ``ops``, unrounded sharding aside."""
        ops = list(ops)
        return self.of(params_fold.fold.total(ops), sum(map(self.basis, ops)))

    def of(self, params: int, basis: int = 0, width: int = 4) -> int:
        """States of ``params`` parameters, of which :meth:`basis` adds up to ``basis``, where what is updated has ``width`` bytes
        a number: torch makes a moment as zeros_like of it, so that of 16-bit weights without a master copy has 16 bits
        (tests/oracle/optimizers.py asks the classes themselves). Block-wise and factored states have formats of their own.

        >>> OPTIMIZERS["adam"].of(10), OPTIMIZERS["muon"].of(10, 6), OPTIMIZERS["adam"].of(10, width=2)
        (80, 56, 40)
        """
        if self.factored:
            return 4 * basis
        if self.block:
            return self.states * params + 8 * -(-params // self.block)
        states = self.states * params
        if self.matrices is not None:
            states = self.matrices * basis + self.states * (params - basis)
        return states * width // 4

    def stated(self, width: int = 4) -> str:
        """The source, with the format that the moments have then."""
        return self.source if width == 4 or self.block or self.factored else self.source.replace("fp32", "16-bit")


_ADAM = "two fp32 moments per parameter (Kingma and Ba 2015, arXiv:1412.6980)"
OPTIMIZERS = {
    "sgd": Optimizer("sgd", 0, "no state"),
    "momentum": Optimizer("momentum", 4, "one fp32 velocity per parameter (Polyak 1964)"),
    "adam": Optimizer("adam", 8, _ADAM),
    "adamw": Optimizer("adamw", 8, _ADAM + "; decay apart (Loshchilov and Hutter 2019, arXiv:1711.05101)"),
    "adam8bit": Optimizer(
        "adam8bit", 2, "two 1-byte moments, an fp32 scale each per block of 2048 (Dettmers et al. 2021, arXiv:2110.02861)", 2048
    ),
    "adafactor": Optimizer(
        "adafactor", 4, "fp32 means of rows and columns, no momentum (Shazeer and Stern 2018, arXiv:1804.04235)", factored=True
    ),
    "lion": Optimizer("lion", 4, "one fp32 momentum per parameter (Chen et al. 2023, arXiv:2302.06675)"),
    "muon": Optimizer(
        "muon", 8, "one fp32 momentum for the layers' matrices, AdamW for the rest (Jordan et al. 2024)", matrices=4
    ),
}
