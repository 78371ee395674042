"""The way out of training: the launch file of a program for what `llmcx train` was asked, which `llmcx check` reads back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from llmcx.answers.training_run import TrainingRun
from llmcx.cli.targets import TARGETS, WRAPPED, Job, degrees_of, module
from llmcx.cli.targets.clusters import Line, kubernetes, parted, slurm
from llmcx.errors import InputError, unknown_name
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

ALL = (*TARGETS, *WRAPPED)
BY_ENGINE = {"megatron": "megatron", "torchtitan": "torchtitan", "fsdp": "fsdp-accelerate"}
"""What a cluster's file runs, by the engine."""


def target_of(emit: str, engine: str | None) -> str:
    """The program whose file is written. Raises InputError for one that is not known, or another than the engine asked about."""
    if emit not in ALL:
        raise unknown_name("launch file", emit, list(ALL), field="emit")
    if emit in WRAPPED:
        if (engine or "megatron") not in BY_ENGINE:
            problem = f"--emit {emit} starts {', '.join(BY_ENGINE)}, and --engine is {engine}"
            raise InputError(problem, field="engine", value=engine)
        return BY_ENGINE[engine or "megatron"]
    if engine not in (None, TARGETS[emit].engine):
        problem = (
            f"--emit {emit} and --engine {engine} contradict each other; give --engine {TARGETS[emit].engine}, or leave it out"
        )
        raise InputError(problem, field="emit", value=emit)
    return emit


def sayable(target: str, spec: ModelSpec) -> Callable[[Layout], bool]:
    """Which layouts the file has words for, for a search."""
    return partial(module(target).says, layers=spec.n_layers)


def emitted(
    emit: str, target: str, run: TrainingRun, spec: ModelSpec, source: str | None, vendor: str, tokens: int, budget: int | None
) -> str:
    """The file of a training run; ``source``: the model as it was named. Raises InputError for what the file does not say."""
    steps = -(-tokens // (run.global_batch * run.seq))
    dtype = None if run.compute_dtype == "bf16" else run.compute_dtype
    job = Job(
        target,
        degrees_of(run.layout),
        run.gpus,
        run.seq,
        run.global_batch,
        steps=steps,
        spec=spec,
        model=source or spec.name,
        dtype=dtype,
        precision=run.precision,
        optimizer=run.optimizer,
        attention=run.attn,
        budget=budget,
    )
    text: str = module(target).written(job, run.hardware)
    if emit not in WRAPPED:
        return text
    of = started(target, text, run.gpus)
    return slurm(spec.name, of, run.gpus) if emit == "slurm" else kubernetes(spec.name, of, run.gpus, vendor)


def started(target: str, text: str, gpus: int) -> Line:
    """The line that starts a job on every GPU of a cluster, with the file that it reads beside it."""
    if target == "megatron":
        return parted(text)
    of = module(target)
    return Line([], {of.FILE: text}, of.start(gpus))
