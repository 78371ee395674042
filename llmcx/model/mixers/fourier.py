"""The discrete Fourier transform in place of attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from typing import Literal

from llmcx.model.mixers import Mixer
from llmcx.model.run import LayerRun
from llmcx.ops.op import Op


@dataclass(frozen=True)
class Fourier(Mixer):
    """The real part of a transform over the tokens and over the width (Lee-Thorp et al. 2021, arXiv:2105.03824, sec. 3.2).

    It has no weights. By the fast algorithm of radix 2 it takes 5 log2(n d) operations an element, for n tokens of width d, which
    holds for powers of two, and is close for other sizes.
    """

    type: Literal["fourier"] = "fourier"

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """One transform of all that a sequence has."""
        steps = max(1, round(5 * log2(max(2, where.q * where.d_model))))
        yield where.op(f"{name}.transform", "scan", elements=where.tokens * where.d_model, operations=steps)
