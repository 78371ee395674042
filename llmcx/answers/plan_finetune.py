"""What can be fine-tuned on the GPUs that one has: which methods fit, how, and how much of a batch and a sequence.

Bytes are those of :func:`llmcx.answers.memory.memory` and :func:`llmcx.answers.rl.post_trained` for the same options. Time is
told where an engine's steps were measured: transformers' and PEFT's, and FSDP's of full fine-tuning on A100s and H100s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llmcx.answers import Result
from llmcx.answers.fit import context_limit
from llmcx.answers.memory import Memory, memory
from llmcx.answers.rl import RL, post_trained
from llmcx.answers.search import below_zero
from llmcx.costs.lora import LoRA
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.recipe import Recipe, usual
from llmcx.engines.rl import METHODS as POST
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.machine.hardware import Hardware
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout, divisors


class Method(NamedTuple):
    """``adapters`` are trained, on a frozen base in the format ``base`` (None: as released), or all weights; by ``rl`` of
    :data:`~llmcx.engines.rl.METHODS` in place of the next token.
    """

    adapters: bool = False
    base: str | None = None
    rl: str | None = None


METHODS = {
    **{"lora": Method(True), "qlora": Method(True, "nf4"), "full": Method()},
    **{"dpo": Method(rl="dpo"), "dpo+lora": Method(True, rl="dpo"), "dpo+qlora": Method(True, "nf4", "dpo")},
    **{"grpo": Method(rl="grpo"), "grpo+lora": Method(True, rl="grpo"), "grpo+qlora": Method(True, "nf4", "grpo")},
}
SHARES = (0.3, 0.5, 0.7, 0.9)
"""Of a GPU's memory that a rollout engine is tried with."""
MOST_SEQUENCES = 1024
"""Of a micro-batch that is tried."""
TIMED = ("ampere", "hopper")
"""Generations of chips on which FSDP's steps were measured."""
SIXTEEN = ("mixed", "bf16")
"""Precisions in which adapters' steps were measured: the frozen model is in 16 bits, or packed."""


class Question(NamedTuple):
    """A model at a length, on ``budget`` bytes of a GPU; ``rank`` of adapters, the rest as in
    :class:`~llmcx.engines.recipe.Recipe`.
    """

    spec: ModelSpec
    seq: int
    budget: int
    rank: int = 16
    precision: str = "mixed"
    optimizer: str = "adamw"
    attention: str = "sdpa"


class Setting(NamedTuple):
    """How GPUs share a method's work; ``share`` of a GPU's memory and ``tp`` GPUs are a rollout engine's, where there is one."""

    gpus: int
    zero: int = 0
    recompute: str = "none"
    offload: str | None = None
    share: float | None = None
    tp: int = 1


@dataclass(frozen=True)
class Tuning:
    """A method on so many GPUs, as it is run with the largest ``micro_batch`` that fits. ``longest_seq`` fits a micro-batch of
    one with all layers recomputed. ``options`` are those of `llmcx memory`. Of ``steps`` of one micro-batch a GPU the run
    consists; what it takes is None where no such step was measured.
    """

    method: str
    gpus: int
    engine: str
    zero: int
    recompute: str
    offload: str | None
    rollout_utilization: float | None
    rollout_tp: int | None
    micro_batch: int
    memory_bytes: int
    host_bytes: int | None
    longest_seq: int
    dollars_per_hour: float | None
    steps: int | None
    tokens_per_s_gpu: float | None
    hours: float | None
    hours_range: tuple[float, float] | None
    dollars: float | None
    dollars_range: tuple[float, float] | None
    options: str


@dataclass(frozen=True)
class Short:
    """A method that fits on no number of GPUs that was tried: the nearest, and the bytes that each GPU lacks (None: what it
    ``misses`` is no number of bytes).
    """

    method: str
    gpus: int
    lacks_bytes: int | None
    misses: str
    options: str


@dataclass(frozen=True, repr=False)
class FinetunePlan(Result, brief="budget_bytes fits does_not_fit", table="fits"):
    """Methods that fit ``budget_bytes`` of each GPU, on every number of GPUs on which they do, and those that fit on none."""

    hardware: str | None
    budget_bytes: int
    seq: int
    fits: list[Tuning]
    does_not_fit: list[Short]


def plan(
    of: Question,
    methods: Sequence[str],
    gpus: tuple[int, int],
    hardware: Hardware,
    *,
    tokens: int | None = None,
    usd_per_hour: float | None = None,
) -> FinetunePlan:
    """Search, on the numbers of GPUs of :func:`numbers`; a run is of ``tokens`` tokens."""
    fits: list[Tuning] = []
    short: list[Short] = []
    timer, sizes = _Timer(of, hardware), Sizes(of)
    for name in methods:
        nearest: Short | None = None
        before = len(fits)
        for many in numbers(*gpus):
            found = _first(sizes, name, many)
            if isinstance(found, Setting):
                fits.append(_tuning(sizes, name, found, timer, tokens, usd_per_hour))
            elif nearest is None or _lack(found) < _lack(nearest):
                nearest = found
        if len(fits) == before and nearest is not None:
            short.append(nearest)
    return FinetunePlan(hardware.name, of.budget, of.seq, fits, short)


def numbers(least: int, most: int) -> list[int]:
    """Powers of two, and both ends.

    >>> numbers(1, 6)
    [1, 2, 4, 6]
    """
    return sorted({least, most, *(1 << power for power in range(most.bit_length()) if least <= 1 << power)})


def settings(method: Method, gpus: int) -> Iterator[Setting]:
    """Ways to run a method, what costs least time first: before anything is offloaded layers are recomputed; before that weights
    are shared out. Adapters' base is held by each GPU where it can be.
    """
    levels = (0, 3) if method.adapters and gpus > 1 else (0,) if gpus == 1 else (3,)
    for zero in levels:
        for recompute in ("none", "full"):
            yield Setting(gpus, zero, recompute)
    if method.rl is not None:
        for offload in ("optimizer", "params"):
            yield Setting(gpus, levels[-1], "full", offload)
    elif not method.adapters:
        for zero, offload in ((2, "optimizer"), (3, "optimizer"), (3, "params")):
            yield Setting(gpus, zero, "full", offload)


class Sizes:
    """What GPUs hold, each thing counted once."""

    def __init__(self, of: Question) -> None:
        self.of = of
        self._known: dict[object, Memory | InputError] = {}

    def held(self, name: str, how: Setting, micro_batch: int, seq: int) -> Memory:
        """What the fullest GPU holds. Raises InputError for what is not known, or has no room for a rollout."""
        if how.zero == 0:  # nothing is shared out: it does not matter among how many
            how = how._replace(gpus=min(how.gpus, 2 * how.tp))
        key = (name, how, micro_batch, seq)
        if key not in self._known:
            try:
                self._known[key] = held(self.of, name, how, micro_batch, seq)
            except InputError as refusal:
                self._known[key] = refusal
        found = self._known[key]
        if isinstance(found, InputError):
            raise found
        return found

    def room(self, name: str, how: Setting, micro_batch: int, seq: int) -> int:
        """Bytes that are left of a GPU; below 0 where it does not fit."""
        try:
            return self.of.budget - self.held(name, how, micro_batch, seq).total_bytes
        except InputError:
            return -self.of.budget


def held(of: Question, name: str, how: Setting, micro_batch: int, seq: int) -> Memory:
    """What the fullest GPU holds, as `llmcx memory` is asked by :func:`options`."""
    method = METHODS[name]
    layout, recipe = Layout(dp=how.gpus, zero=how.zero), _recipe(of, name, how)
    if method.rl is None:
        return memory(of.spec, micro_batch, seq, train=True, recipe=recipe, layout=layout, budget=of.budget)
    rl = RL(method.rl, 0.3 if how.share is None else how.share, how.tp, offload=how.offload)
    return post_trained(of.spec, micro_batch, seq, layout, recipe, rl, of.budget)


def _recipe(of: Question, name: str, how: Setting) -> Recipe:
    method = METHODS[name]
    engine = _engine(name, how)
    base = method.base or (dtypes.RELEASED if dtypes.default(of.spec) == dtypes.RELEASED else None)
    return Recipe(
        of.precision,
        of.optimizer,
        attention=of.attention,
        recompute=how.recompute,
        lora=LoRA(of.rank) if method.adapters else None,
        base=base if method.adapters else None,
        engine=engine,
        offload=how.offload if engine == "deepspeed" else None,
    )


def _engine(name: str, how: Setting) -> str:
    """What trains: DeepSpeed where states are offloaded while they are trained, else the usual."""
    method = METHODS[name]
    if how.offload is not None and method.rl is None:
        return "deepspeed"
    return usual(Layout(dp=how.gpus, zero=how.zero), method.adapters)


def options(of: Question, name: str, how: Setting, micro_batch: int, seq: int) -> str:
    """What `llmcx memory` is asked for the same."""
    method = METHODS[name]
    said = ["--train", f"--gpus {how.gpus}"]
    said += [f"--zero {how.zero}"] if how.zero else []
    said += [f"--lora {of.rank}"] if method.adapters else []
    said += [f"--dtype {method.base}"] if method.base else []
    said += [f"--rl {method.rl}"] if method.rl else []
    said += [f"--engine {_engine(name, how)}"] if how.offload and method.rl is None else []
    said += [f"--recompute {how.recompute}"] if how.recompute != "none" else []
    said += [f"--precision {of.precision}", f"--optimizer {of.optimizer}", f"--attn {of.attention}"]
    said += [f"--micro-batch {micro_batch}", f"--seq {seq}"]
    said += [f"--set offload={how.offload}"] if how.offload else []
    if how.share is not None:
        said.append(f"--set rollout_utilization={how.share:g}")
        said += [f"--set rollout_tp={how.tp}"] if how.tp > 1 else []
    return " ".join(said)


def _first(sizes: Sizes, name: str, gpus: int) -> Setting | Short:
    """The first setting that fits one sequence, or the one that comes nearest."""
    of = sizes.of
    nearest: Short | None = None
    for plain in settings(METHODS[name], gpus):
        for how in _rollouts(of, name, plain):
            try:
                found = sizes.held(name, how, 1, of.seq)
            except InputError as refusal:
                missed = Short(name, gpus, None, refusal.message, options(of, name, how, 1, of.seq))
            else:
                if found.fits:
                    return how
                lacks = found.total_bytes - of.budget
                missed = Short(name, gpus, lacks, f"{lacks / 1e9:,.1f} GB", options(of, name, how, 1, of.seq))
            if nearest is None or _lack(missed) < _lack(nearest):
                nearest = missed
    assert nearest is not None  # there is always a setting
    return nearest


def _lack(of: Short) -> float:
    return float("inf") if of.lacks_bytes is None else of.lacks_bytes


def _rollouts(of: Question, name: str, plain: Setting) -> Iterator[Setting]:
    """A setting with each size of a rollout engine, where the method has one: the smallest share, on the fewest GPUs."""
    method = METHODS[name].rl
    if method is None or not POST[method].rollout:
        yield plain
        return
    for tp in divisors(plain.gpus):
        if all(heads % tp == 0 for heads in of.spec.head_counts):
            for share in SHARES:
                yield plain._replace(share=share, tp=tp)


class _Timer:
    """Steps of the next token's loss, where such were measured: of adapters, and of all weights on one GPU or by FSDP."""

    def __init__(self, of: Question, hardware: Hardware) -> None:
        self.of, self.hardware = of, hardware
        self._trainers: dict[tuple[str, str], Trainer] = {}

    def knows(self, name: str, how: Setting) -> bool:
        """Whether such a step was measured. Experts are known of no such program."""
        of, engine = self.of, _engine(name, how)
        if METHODS[name].rl is not None or of.spec.mixtures:
            return False
        if METHODS[name].adapters:
            return of.precision in SIXTEEN
        timed = engine == "transformers" or (engine == "fsdp" and efficiencies.generation(self.hardware) in TIMED)
        return timed and of.precision == "mixed"

    def step(self, name: str, how: Setting, micro_batch: int) -> float | None:
        """Seconds of a step, None where they are not known."""
        if not self.knows(name, how):
            return None
        key = name, _engine(name, how)
        if key not in self._trainers:
            self._trainers[key] = self._trainer(*key, _recipe(self.of, name, how))
        layout = Layout(dp=how.gpus, zero=how.zero, micro_batch=micro_batch, recompute=how.recompute)
        return self._trainers[key].step(layout, how.gpus * micro_batch).total

    def _trainer(self, name: str, engine: str, recipe: Recipe) -> Trainer:
        factors, _ = efficiencies.efficiency(self.hardware, engine, frozen=recipe.base)
        attention = "eager" if self.of.attention == "eager" else "flash"
        how = {"lora": recipe.lora, "frozen": recipe.base}
        return Trainer(self.of.spec, self.of.seq, self.hardware, factors, attention=attention, engine=engine, **how)  # type: ignore[arg-type]

    def band(self, name: str, how: Setting) -> tuple[float, float]:
        """Where eight of ten measurements lie, times the estimate."""
        return efficiencies.band(_engine(name, how), False, self.hardware, how.zero)


def _largest(room: Callable[[int], int], first: int, limit: int) -> int:
    """The largest number up to ``limit`` for which there is room, where there is for ``first``."""
    low, high = first, min(2 * first, limit)
    while low < high and room(high) >= 0:
        low, high = high, min(2 * high, limit)
    return below_zero(room, low, high) - 1 if low < high else low


def _tuning(sizes: Sizes, name: str, how: Setting, timer: _Timer, tokens: int | None, usd_per_hour: float | None) -> Tuning:
    """A setting with the most that it has room for."""
    of = sizes.of
    full = how._replace(recompute="full")
    size = _largest(lambda n: sizes.room(name, how, n, of.seq), 1, MOST_SEQUENCES)
    longest = _largest(lambda n: sizes.room(name, full, 1, n), of.seq, context_limit(of.spec))
    result = sizes.held(name, how, size, of.seq)
    sequences = POST[method].sequences if (method := METHODS[name].rl) else 1
    a_step = how.gpus * size * of.seq * sequences
    steps = None if tokens is None else -(-tokens // a_step)
    step_s = timer.step(name, how, size)
    hours = None if step_s is None or steps is None else steps * step_s / 3600
    an_hour = None if usd_per_hour is None else usd_per_hour * how.gpus
    dollars = None if hours is None or an_hour is None else hours * an_hour
    low, high = timer.band(name, how) if step_s is not None else (1.0, 1.0)
    return Tuning(
        method=name,
        gpus=how.gpus,
        engine=_engine(name, how),
        zero=how.zero,
        recompute=how.recompute,
        offload=how.offload,
        rollout_utilization=how.share,
        rollout_tp=None if how.share is None else how.tp,
        micro_batch=size,
        memory_bytes=result.total_bytes,
        host_bytes=result.host_bytes,
        longest_seq=longest,
        dollars_per_hour=an_hour,
        steps=steps,
        tokens_per_s_gpu=None if step_s is None else a_step / how.gpus / step_s,
        hours=hours,
        hours_range=None if hours is None else (hours * low, hours * high),
        dollars=dollars,
        dollars_range=None if dollars is None else (dollars * low, dollars * high),
        options=options(of, name, how, size, of.seq),
    )
