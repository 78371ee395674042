"""How a forward pass grows with the length: what is linear in it, what attention adds, and where the one overtakes the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from llmcx.answers.search import lasting_below_zero
from llmcx.costs.flops import fold
from llmcx.costs.leading_order import leading_order
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers, is_core


@dataclass(frozen=True)
class Crossover:
    """Smallest sequence length at which the attention cores cost as much as the linear layers; None when they never do.

    ``layers`` compares within the layers (projections and feed-forward), ``with_head`` counts the LM head as linear too.
    """

    layers: int | None
    with_head: int | None


def _cores_and_all(ops: list[Op]) -> tuple[int, int]:
    return fold.total(op for op in ops if is_core(op)), fold.total(ops)


@lru_cache(maxsize=1024)
def crossover(spec: ModelSpec, ideal: bool = False, convention: str = "flops") -> Crossover:
    """Where attention overtakes the linear layers. For a plain dense model of full attention this solves
    4 n² H d_h = the layers' linear FLOPs: n = 6d when d_ff = 4d; in the leading order, which drops constants and the head, n = d.
    """
    if convention == "leading-order":

        def matrices_beyond(n: int) -> int:
            matrices, cores = leading_order(spec, Run(seq=n))[0].values()
            return matrices - cores - 1

        at = lasting_below_zero(matrices_beyond)
        return Crossover(layers=at, with_head=at)
    steps = {mixer.period() for g in spec.groups for mixer in (g.mixer, g.beside) if mixer is not None} | {spec.pad_to or 1}

    def overtakes(head: bool) -> int | None:
        def linear_beyond(n: int) -> int:
            core, every = _cores_and_all([op for op in lower(spec, Run(seq=n, ideal=ideal)) if head or in_layers(op)])
            return every - 2 * core - 1

        return lasting_below_zero(linear_beyond, steps)

    return Crossover(layers=overtakes(head=False), with_head=overtakes(head=True))


@dataclass(frozen=True)
class Growth:
    """FLOPs of one forward pass at one length: the ``attention`` cores, everything ``linear`` in it, and their ``total``."""

    seq: int
    linear: int
    attention: int
    total: int


def growth(spec: ModelSpec, seqs: Iterable[int], ideal: bool = False) -> list[Growth]:
    """How a forward pass of one sequence grows with its length: total = linear + attention, the head counted as linear.

    The two are equal where :class:`Crossover` says ``with_head``. FLOPs. No errors; ``seqs`` may exceed the model's context.
    Source: Kaplan et al. 2020, arXiv:2001.08361, Table 1: 2 N against 2 n_layer n_ctx d_attn.

    >>> from .shapes import model
    >>> [(g.linear, g.attention, g.total) for g in growth(model(1, 8, vocab=10, head_dim=8, gated=False), [1, 2])]
    [(1696, 32, 1728), (3392, 128, 3520)]
    """
    found = []
    for seq in seqs:
        core, total = _cores_and_all(lower(spec, Run(seq=seq, ideal=ideal)))
        found.append(Growth(seq, total - core, core, total))
    return found


def span(spec: ModelSpec, crossing: int | None, *lengths: int) -> list[int]:
    """Powers of two from 128 to a picture of growth's end: the context, ``lengths``, and four times where attention overtakes,
    if that is below 2^24.

    >>> from .shapes import model
    >>> span(model(1, 8, vocab=10, head_dim=8), 1000)[-1]
    4096
    """
    ends = [*lengths, spec.context or 0, *([4 * crossing] if crossing is not None and crossing < 2**24 else [])]
    return [2**power for power in range(7, max(10, (max(ends) - 1).bit_length()) + 1)]
