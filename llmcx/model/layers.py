"""Layers that are alike: a mixer, cross-attention, a feed-forward, and the norms around them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal, Union

from llmcx.errors import check_sizes
from llmcx.model.ffn import FFN
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention


@dataclass(frozen=True)
class Layers:
    """``repeat`` identical layers: mixer, cross-attention, feed-forward; each may be missing.

    ``beside`` is a second mixer on the same input, its output added (Falcon-H1). ``norms`` names the layer's norms over
    d_model; by default there is one for each of the other parts, wherever it stands. ``reused`` layers run again with weights
    that another group counts (ALBERT). ``grad`` False: this run of them is not trained through (HRM); "kv": of it nothing is read
    but keys and values (the last layer before another model that meets these: π0).
    """

    repeat: int
    mixer: Mixer | None = None
    ffn: FFN | None = None
    cross: Attention | None = None
    beside: Mixer | None = None
    norms: tuple[str, ...] | None = None
    reused: bool = False
    grad: Union[bool, Literal["kv"]] = True

    def __post_init__(self) -> None:
        check_sizes(self, "repeat")

    @property
    def kind(self) -> tuple[Any, ...]:
        """What each of these layers is: everything but how many they are."""
        return self.mixer, self.ffn, self.cross, self.beside, self.norms, self.reused, self.grad

    @property
    def norm_names(self) -> tuple[str, ...]:
        """The layer's norms: those stated, else one per part."""
        if self.norms is not None:
            return self.norms
        parts = (("attention", self.mixer), ("cross_attention", self.cross), ("ffn", self.ffn))
        return tuple(name for name, part in parts if part is not None)


def runs_of(layers: Iterable[Layers]) -> tuple[Layers, ...]:
    """Layers in their order as the runs that a stack is: neighbours of one kind become one :class:`Layers`.

    >>> a, b = Layers(1, Attention(2)), Layers(1, Attention(4))
    >>> [run.repeat for run in runs_of([a, a, b, a])]
    [2, 1, 1]
    """
    together = ([*run] for _, run in groupby(layers, lambda one: one.kind))
    return tuple(run[0] if len(run) == 1 else replace(run[0], repeat=sum(one.repeat for one in run)) for run in together)
