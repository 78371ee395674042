"""The best use of a training budget, as Python has it."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.answers import Sparse
from llmcx.scaling.accounting import Accounting
from llmcx.scaling.optimum import EqualCompute, Optimum
from llmcx.scaling.standing import Constrained, LawShape, Lifetime, Standing


@dataclass(frozen=True, repr=False)
class Optima(Sparse, brief="laws laws.0.law laws.0.params laws.0.tokens", table="laws"):
    """What the laws say (:class:`llmcx.scaling.standing.Advice`): the optima; of a trained model where it stands; and what else
    was asked for, else None.
    """

    laws: list[Optimum]
    accounting: Accounting | None = None
    standing: list[Standing] | None = None
    constrained: list[Constrained] | None = None
    lifetime: list[Lifetime] | None = None
    equal_compute: list[EqualCompute] | None = None
    shapes: list[LawShape] | None = None
