"""Programs that train from scratch: which layouts each runs, how its memory is counted, whose chips its speed was measured on."""

from __future__ import annotations

from typing import NamedTuple

from llmcx.costs.saved_activations import RECOMPUTE
from llmcx.engines.recipe import Recipe
from llmcx.parallel.layout import Layout

RECIPE = Recipe("megatron", kernels="fused", attention="flash", engine="megatron")
"""Megatron-LM's mixed precision and kernels, Adam, fused attention unless it is eager."""
SHARDED = Recipe("mixed", attention="flash", engine="fsdp")
"""torch's FSDP2 with its own kernels."""


class Program(NamedTuple):
    """How it trains (``base``) and on whose chips; ``tensor``, ``pipeline``, ``context`` and ``expert`` parallelism that it runs
    beside data parallelism; its levels of ZeRO, the first of them where weights are not shared out or a pipeline divides them;
    what it may ``recompute``; whether a stage may have several chunks of layers (``interleaved``), and what tensor parallelism
    leaves whole is cut by tokens (``sequence``).
    """

    base: Recipe
    vendors: tuple[str, ...]
    tensor: bool = True
    pipeline: bool = False
    context: bool = False
    expert: bool = True
    zero: tuple[int, ...] = (3,)
    recompute: tuple[str, ...] = ("none", "full")
    interleaved: bool = True
    sequence: bool = True

    def counts_as(self, layout: Layout) -> str:
        """The engine of `llmcx memory --train` that counts a layout: FSDP2 among data-parallel GPUs alone, where it is divided
        further the plain sum of its parts.
        """
        if self.base.engine != "fsdp" or (layout.gpus == layout.dp and layout.zero in (2, 3)):
            return self.base.engine
        return "transformers"


_GPUS = ("NVIDIA", "AMD")
PROGRAMS = {
    "megatron": Program(RECIPE, _GPUS, pipeline=True, context=True, zero=(1, 2, 3), recompute=RECOMPUTE),
    "megatron-deepspeed": Program(RECIPE, _GPUS, pipeline=True, expert=False, zero=(1,), interleaved=False, sequence=False),
    "fsdp": Program(SHARDED, _GPUS, tensor=False, expert=False),
    "torchtitan": Program(SHARDED, _GPUS, context=True),
    "maxtext": Program(RECIPE, ("Google",), recompute=("none", "elementwise", "full")),
    "llmq": Program(RECIPE, ("NVIDIA",), tensor=False, expert=False, zero=(1,)),
}
"""By name, those of :data:`~llmcx.engines.efficiency.TRAINING`. How much memory MaxText, llm.q and
Megatron-DeepSpeed take is not known: they are counted as Megatron-LM, at their own level of ZeRO.
"""
