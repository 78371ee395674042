"""What weight files hold beside a model's count, as Python has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmcx.answers import Sparse
from llmcx.huggingface.weights import Stored


@dataclass(frozen=True, repr=False)
class Weights(Sparse, brief="stored.elements stored.bytes counted difference"):
    """What is stored beside the parameters counted, None where no model is named
    (:class:`llmcx.huggingface.weights.Compared`).
    """

    stored: Stored
    counted: int | None
    difference: int | None = None

    def rows(self) -> list[dict[str, Any]]:
        """What is stored in each format."""
        return [{"dtype": name, **row} for name, row in self.stored.by_dtype.items()]
