"""A parallel layout and what it may be: :class:`~llmcx.parallel.method.Ways` with the micro-batch and what is recomputed."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from llmcx.errors import InputError, check_size
from llmcx.model.spec import ModelSpec
from llmcx.parallel.method import Method, Ways
from llmcx.parallel.method import check as check_ways


class Layout(NamedTuple):
    """Ways of parallelism, innermost first: tensor, context, data (of which ``ep`` share out the experts), pipeline.

    ``virtual`` chunks of layers per stage (interleaved 1F1B), ``micro_batch`` sequences at a time, ``zero`` what the
    data-parallel ranks share out (1 optimizer states, 2 gradients, 3 weights). ``sequence`` splits norms and residuals with
    ``tp``.
    """

    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1
    dp: int = 1
    micro_batch: int = 1
    virtual: int = 1
    recompute: str = "none"
    zero: int = 1
    sequence: bool = True

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.cp * self.dp

    def ways(self, micro_batches: int | None = None) -> Ways:
        """The same as memory takes it, with the micro-batches that a pipeline runs per step."""
        tp, pp, cp, ep, dp, _, virtual, _, zero, sequence = self
        return Ways(tp, pp, cp, ep, dp, sequence, zero, None, virtual, micro_batches)


def micro_batches(layout: Layout, global_batch: int) -> int:
    """Micro-batches that each pipeline runs per step."""
    return global_batch // (layout.dp * layout.micro_batch)


def check_heads(spec: ModelSpec, tp: int) -> None:
    """Refuse ``tp`` GPUs that do not divide the heads of every layer."""
    for heads in spec.head_counts:
        if heads % tp:
            allowed = f"a divisor of {heads}"
            raise InputError(f"tp is {tp}, which does not divide the {heads} heads", field="tp", allowed=allowed)


def check(spec: ModelSpec, layout: Layout, global_batch: int, method: Method) -> None:
    """Refuse a layout that cannot be run: what :func:`llmcx.parallel.method.check` refuses, and what does not divide."""
    check_size("micro_batch", layout.micro_batch)
    check_ways(spec, layout.ways(), replace(method, recompute=layout.recompute))
    check_heads(spec, layout.tp)
    experts = max((part.n_experts for _, part in spec.mixtures), default=1)
    if experts % layout.ep:
        raise InputError(
            f"ep is {layout.ep}, but must divide the {experts} experts", field="ep", allowed=f"a divisor of {experts}"
        )
    at_once = layout.dp * layout.micro_batch
    if global_batch % at_once:
        raise InputError(
            f"a global batch of {global_batch} sequences is not a multiple of dp x micro-batch = {at_once}",
            field="global_batch",
            value=global_batch,
            allowed=f"a multiple of {at_once}",
        )
    if layout.virtual > 1 and micro_batches(layout, global_batch) % layout.pp:
        raise InputError(
            f"the interleaved schedule needs micro-batches in multiples of pp = {layout.pp} (Narayanan et al. 2021, sec. 2.2.2)",
            field="virtual",
        )
