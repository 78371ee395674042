"""A training run as it can be launched: what a plan decides, and nothing of what it costs."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.engines.training_time import Trainer
from llmcx.parallel.layout import Layout, micro_batches


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """``engine`` trains ``model`` on ``gpus`` of ``hardware``: degrees as in :class:`~llmcx.parallel.layout.Layout`,
    ``precision`` of :data:`~llmcx.formats.precision.PRECISIONS`, ``compute_dtype`` of the matmuls; batches in sequences of
    ``seq`` tokens.
    """

    model: str
    engine: str
    hardware: str
    gpus: int
    tp: int
    pp: int
    cp: int
    ep: int
    dp: int
    zero: int
    virtual: int
    micro_batch: int
    global_batch: int
    seq: int
    recompute: str
    precision: str
    compute_dtype: str
    attn: str = "flash"
    optimizer: str = "adam"

    @property
    def layout(self) -> Layout:
        """How the GPUs share the work."""
        ways = (self.tp, self.pp, self.cp, self.ep, self.dp, self.micro_batch, self.virtual, self.recompute, self.zero)
        return Layout(*ways)

    @property
    def micro_batches(self) -> int:
        """Micro-batches that each pipeline runs per step (gradient accumulation, where there is no pipeline)."""
        return micro_batches(self.layout, self.global_batch)


def running(trainer: Trainer, layout: Layout, global_batch: int) -> TrainingRun:
    """A layout as ``trainer`` runs it."""
    recipe = trainer.recipe(layout)
    return TrainingRun(
        model=trainer.spec.name,
        engine=trainer.engine,
        hardware=trainer.hardware.name,
        gpus=layout.gpus,
        tp=layout.tp,
        pp=layout.pp,
        cp=layout.cp,
        ep=layout.ep,
        dp=layout.dp,
        zero=layout.zero,
        virtual=layout.virtual,
        micro_batch=layout.micro_batch,
        global_batch=global_batch,
        seq=trainer.seq,
        recompute=layout.recompute,
        precision=recipe.precision,
        compute_dtype=trainer.dtype or trainer.hardware.dtype,
        attn=recipe.attention,
        optimizer=recipe.optimizer,
    )
