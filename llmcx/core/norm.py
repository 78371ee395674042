"""Normalisation, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Norm:
    """A normalisation with a scale (``scale`` False: without weights), and for a layer norm a shift."""

    type: Literal["layernorm", "rmsnorm"] = "layernorm"
    bias: bool | None = None
    scale: bool = True

    @property
    def shift(self) -> bool:
        """Whether it learns a shift: by default a layer norm does, an RMS norm does not."""
        return self.type == "layernorm" if self.bias is None else self.bias
