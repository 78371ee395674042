"""Normalisation, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Norm:
    """A normalisation with a scale (``scale`` False: without weights), and for a layer norm a shift.

    ``fp32`` scales before the cast back to the activations' dtype, so that what autograd keeps is wider (OLMo, Gemma); ``offset``
    holds the scale as its distance from one (Gemma).
    """

    type: Literal["layernorm", "rmsnorm"] = "layernorm"
    bias: bool | None = None
    scale: bool = True
    fp32: bool = False
    offset: bool = False

    @property
    def shift(self) -> bool:
        """Whether it learns a shift: by default a layer norm does, an RMS norm does not."""
        return self.type == "layernorm" if self.bias is None else self.bias
