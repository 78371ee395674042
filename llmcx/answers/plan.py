"""The search for a layout: every way to divide the GPUs that can be run, timed and sized, the best first.

A layout costs a few dozen additions, because a model is lowered once and a layer is timed once per (tp, cp, ep, micro-batch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

from llmcx.answers import Result
from llmcx.answers.train import Training
from llmcx.costs.params import count
from llmcx.engines.programs import PROGRAMS, Program
from llmcx.engines.training_step import SPENT_ON, TrainingStep
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError
from llmcx.machine.roofline import Efficiency
from llmcx.model.spec import ModelSpec
from llmcx.parallel.division import dividable
from llmcx.parallel.layout import Layout, divisors

LEAST_TOKENS = 4096  # per context-parallel rank
WAYS = ("tp", "pp", "cp", "ep", "dp", "micro_batch", "virtual", "recompute", "zero")


class SizedLayout(NamedTuple):
    """A layout, its step and the bytes of its fullest GPU."""

    layout: Layout
    step: TrainingStep
    bytes: int


@dataclass(frozen=True)
class Plan:
    """``best`` layouts that fit, fastest first; ``near`` ones that would be faster and do not fit, the nearest to fitting first;
    ``why``: for each choice of the best, what the next best value of it costs, and where.
    """

    best: list[SizedLayout]
    near: list[SizedLayout]
    why: list[str]
    searched: int
    fitted: int


class Ranked(TypedDict):
    """A layout in the ranking: in short and by its ways, seconds of a step, bytes of the fullest GPU."""

    layout: str
    ways: Layout
    step_s: float
    bytes: int


class Ranking(TypedDict):
    """A :class:`Plan` as it is told."""

    best: list[Ranked]
    near: list[Ranked]
    why: list[str]
    searched: int
    fitted: int


@dataclass(frozen=True, repr=False)
class Trained(Result, brief="training"):
    """A training run, the efficiencies of its estimate, and the ranking where one was asked for."""

    training: Training
    efficiency: Efficiency
    plan: Ranking | None

    def rows(self) -> list[dict[str, Any]]:
        """Those of the run."""
        return self.training.rows()


def usual_batch(spec: ModelSpec, seq: int) -> int:
    """Sequences per step where none are asked for: 4M tokens of them, 16M from 100B parameters on."""
    return max(1, (2**24 if count(spec) >= 10**11 else 2**22) // seq)


def layouts(
    spec: ModelSpec,
    seq: int,
    gpus: int,
    global_batch: int,
    domain: int,
    fused: bool = True,
    program: Program = PROGRAMS["megatron"],
) -> Iterator[Layout]:
    """Every layout of ``gpus`` that ``program`` runs, that divides what it has to divide, and whose memory is known.

    Tensor parallelism stays within the fast network, and out of layers of which it is not known how it divides them; a pipeline
    out of encoder-decoders. Context parallelism leaves at least 4,096 tokens to a rank, fewer than which no run here was
    validated with, and needs a ``fused`` attention, of which selective recomputation does nothing again. Each rank runs at least
    one micro-batch a step. ZeRO-2 and 3 are tried without a pipeline, where every micro-batch would reduce and gather anew.
    """
    heads = spec.head_counts
    experts = max((part.n_experts for _, part in spec.mixtures), default=1)
    n = spec.n_layers
    recomputed = [how for how in program.recompute if not (fused and how == "selective")]
    piped = program.pipeline and not spec.reads_source
    for tp in _powers(domain if program.tensor else 1):
        if gpus % tp or any(count % tp for count in heads) or (tp > 1 and not dividable(spec, tp)):
            continue
        for pp in divisors(gpus // tp) if piped else [1]:
            if pp > n:
                break
            chunks = [v for v in divisors(-(-n // pp)) if pp * v <= n + 2] if pp > 1 and program.interleaved else [1]
            for cp in _powers(max(1, seq // LEAST_TOKENS) if fused and program.context else 1):
                rest, over = divmod(gpus, tp * pp * cp)
                if over:
                    continue
                if global_batch % rest:
                    continue
                share = global_batch // rest
                for ep in _powers(min(experts, rest * cp) if program.expert else 1):
                    if experts % ep or (rest * cp) % ep:
                        continue
                    for micro in _powers(min(16, share)):
                        if share % micro:
                            continue
                        m = share // micro
                        for v in chunks:
                            if v > 1 and m % pp:
                                continue
                            for recompute in recomputed:
                                for zero in program.zero if pp == 1 and rest * cp > 1 else program.zero[:1]:
                                    yield Layout(tp, pp, cp, ep, rest, micro, v, recompute, zero, program.sequence)


def left_out(spec: ModelSpec, fused: bool = True) -> list[str]:
    """What :func:`layouts` leaves out because its memory is not known."""
    said = []
    if not dividable(spec):
        said.append("tensor parallelism: how it divides this model's layers is not known")
    if spec.reads_source:
        said.append("pipelines of an encoder and a decoder")
    if not fused:
        said.append("context parallelism, which needs a fused attention")
    return said


def plan(
    trainer: Trainer,
    gpus: int,
    global_batch: int,
    capacity: int,
    keep: int = 5,
    runs: Callable[[Layout], bool] | None = None,
) -> Plan:
    """Search, among the layouts that a launch file ``runs``. Raises InputError when nothing fits, with what comes nearest."""
    fitting: list[SizedLayout] = []
    over: list[SizedLayout] = []
    searched = 0
    domain = trainer.machine.domain
    for layout in layouts(trainer.spec, trainer.seq, gpus, global_batch, domain, trainer.fused, trainer.program):
        if runs is not None and not runs(layout):
            continue
        searched += 1
        size = trainer.memory(layout, global_batch).total
        if size > 1.25 * capacity and over and size > over[0].bytes:
            continue
        found = SizedLayout(layout, trainer.step(layout, global_batch), size)
        if size <= capacity:
            fitting.append(found)
        elif not over or size <= 1.25 * capacity:
            over.append(found)
        elif size < over[0].bytes:
            over[0] = found
    if not fitting:
        hint = ""
        if over:
            least = min(over, key=lambda c: c.bytes)
            hint = f"; the nearest, {label(least.layout)}, needs {least.bytes / 1e9:,.1f} GB"
        raise InputError(
            f"no layout of {trainer.spec.name} on {gpus:,} x {trainer.hardware.title} with a batch of {global_batch:,}"
            f" sequences fits {capacity / 1e9:,.1f} GB{hint}",
            field="gpus",
            value=gpus,
        )
    fitting.sort(key=lambda c: (c.step.total, c.bytes))
    best = fitting[0]
    near = sorted((c for c in over if c.step.total < best.step.total), key=lambda c: c.bytes)
    return Plan(fitting[:keep], near[:3], list(_why(fitting, best)), searched, len(fitting))


def ranking(found: Plan) -> Ranking:
    """A plan as it is told."""

    def rows(chosen: list[SizedLayout]) -> list[Ranked]:
        return [{"layout": label(c.layout), "ways": c.layout, "step_s": c.step.total, "bytes": c.bytes} for c in chosen]

    return {
        "best": rows(found.best),
        "near": rows(found.near),
        "why": found.why,
        "searched": found.searched,
        "fitted": found.fitted,
    }


def _why(fitting: list[SizedLayout], best: SizedLayout) -> Iterator[str]:
    """For each way of dividing: the fastest layout that fits with another value of it, how much slower, and what grows most."""
    for way in WAYS:
        chosen = getattr(best.layout, way)
        other = next((c for c in fitting if getattr(c.layout, way) != chosen), None)
        if other is None:
            continue
        slower = other.step.total / best.step.total - 1
        spent = grown(best.step, other.step)
        yield f"{way} {chosen}: the best with another is {label(other.layout)}, {slower:.1%} slower{spent}"


def grown(best: TrainingStep, other: TrainingStep) -> str:
    """What of a step grows most from one to another, where anything does."""
    name = max(TrainingStep._fields, key=lambda part: getattr(other, part) - getattr(best, part))
    more = (getattr(other, name) - getattr(best, name)) / best.total
    return f"; most of it {SPENT_ON[name]} (+{more:.1%} of the step)" if more > 0.0005 else ""


def label(layout: Layout) -> str:
    """A layout in short.

    >>> label(Layout(8, 16, dp=128, zero=1))
    'TP 8 PP 16 DP 128 micro-batch 1 ZeRO-1'
    """
    ways = [f"{name.upper()} {getattr(layout, name)}" for name in ("tp", "pp", "cp", "ep", "dp") if getattr(layout, name) > 1]
    more = [f"micro-batch {layout.micro_batch}"]
    if layout.virtual > 1:
        more.append(f"{layout.virtual} chunks")
    if layout.recompute != "none":
        more.append(f"{layout.recompute} recomputation")
    return " ".join([*ways, *more, f"ZeRO-{layout.zero}"])


def _powers(most: int) -> list[int]:
    """1, 2, 4, ... up to ``most``."""
    return [1 << power for power in range(most.bit_length()) if 1 << power <= most]
