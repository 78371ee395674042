"""The search for a way to train: accelerator, engine, format of the matmuls, number of GPUs, layout; days against dollars.

A place (accelerator, engine, format) is searched as :func:`llmcx.answers.plan.plan` searches one, over several numbers of GPUs.
What a layout holds is counted once for all accelerators and formats (:func:`sized`); what it takes, once per place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llmcx.answers import Result
from llmcx.answers.plan import WAYS, grown, label, layouts
from llmcx.answers.train import Costs, Training, peak, train
from llmcx.answers.training_run import TrainingRun, running
from llmcx.engines.programs import PROGRAMS
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError
from llmcx.machine.hardware import Hardware
from llmcx.parallel.layout import Layout

ENGINES = ("megatron", "fsdp", "torchtitan", "maxtext")
"""Those whose times were measured on many GPUs."""
KEPT = 5
NEAR = 3
WORTH = 0.99
"""What misses a limit is told where it takes no more than this share of the best's dollars or of the fastest's days."""
TOO_LARGE = 1.25
"""Layouts that need more than this share of a GPU's memory are not timed."""
PLACE = ("hardware", "engine", "compute_dtype", "gpus")


class Limits(NamedTuple):
    """Days and dollars at most (None: any); ``sure``: by the upper end of their ranges in place of the estimate."""

    days: float | None = None
    dollars: float | None = None
    sure: bool = False


class Place(NamedTuple):
    """An accelerator with the memory that may be used of it, an engine and a format of the matmuls: what times them, where eight
    of ten measured steps lie beside it, and USD per hour of one accelerator; the layouts that it ``runs`` (None: all).
    """

    trainer: Trainer
    band: tuple[float, float]
    usd_per_hour: float | None
    runs: Callable[[Layout], bool] | None = None

    @property
    def hardware(self) -> Hardware:
        return self.trainer.hardware


class Found(NamedTuple):
    """A layout in a place: the bytes of its fullest GPU, days of the run; dollars, or GPU-hours where there is no price; the
    largest of its time, dollars and bytes as multiples of their limits.
    """

    place: Place
    layout: Layout
    bytes: int
    step_s: float
    days: float
    cost: float
    over: float

    @property
    def fits(self) -> bool:
        return self.bytes <= self.place.hardware.memory_bytes


@dataclass(frozen=True, kw_only=True)
class Choice(TrainingRun):
    """A run and what it comes to; ranges: 10th to 90th percentile of measured / estimated steps. ``memory_bytes`` of
    ``capacity_bytes`` on the fullest GPU. ``over``: the largest of its days, dollars and bytes as multiples of their limits.
    """

    step_s: float
    days: float
    days_range: tuple[float, float]
    dollars: float | None
    dollars_range: tuple[float, float] | None
    gpu_hours: float
    tokens_per_s_gpu: float
    mfu: float
    memory_bytes: int
    capacity_bytes: int
    over: float


@dataclass(frozen=True)
class Miss:
    """A choice that would be better than the best, and what it misses."""

    choice: Choice
    why: str


@dataclass(frozen=True, repr=False)
class TrainPlan(Result, brief="searched met best[0].days best[0].dollars", table="frontier"):
    """``best`` choices that fit and keep the limits, one for each accelerator, engine, format and number of GPUs, the cheapest
    first; ``fastest`` of those that keep them; ``near``: what would be cheaper or faster, and misses a limit or the memory, the
    nearest first; ``frontier``: what no other beats both in days and in dollars; ``why``: for each way of the best, what the
    best with another costs. ``searched`` configurations, of which ``fitted`` and ``met`` the limits; ``left_out``: what does
    not run.
    """

    best: list[Choice]
    fastest: Choice | None
    near: list[Miss]
    frontier: list[Choice]
    why: list[str]
    steps: int
    searched: int
    fitted: int
    met: int
    left_out: list[str]

    def __repr__(self) -> str:
        first = f", best={named(self.best[0])!r}" if self.best else ""
        return f"TrainPlan(searched={self.searched:_}, met={self.met:_}{first})"


def plan(
    places: Sequence[Place],
    tokens: int,
    global_batch: int,
    gpus: tuple[int, int],
    limits: Limits,
    available: float = 1.0,
) -> TrainPlan:
    """Search, on the numbers of GPUs of :func:`numbers`. Raises InputError when nothing fits, with what comes nearest."""
    one = places[0].trainer
    steps = -(-tokens // (global_batch * one.seq))
    search = _Search(global_batch, steps / available, limits)
    for place in places:
        search.add(place, numbers(*gpus))
    found = search.found
    fitting = sorted((each for each in found if each.fits), key=_rank)
    if not fitting:
        raise search.nothing(places, gpus)
    met = [each for each in fitting if each.over <= 1]
    quick = min(met, key=lambda each: (each.days, each.cost), default=None)
    better = [
        each
        for each in found
        if each.over > 1 and (quick is None or each.cost < WORTH * met[0].cost or each.days < WORTH * quick.days)
    ]
    better.sort(key=lambda each: each.over)
    late = _first_of_each([each for each in better if each.fits], NEAR)
    large = _first_of_each([each for each in better if not _missed(each, limits, memory=False)], NEAR)

    def told(each: Found) -> Choice:
        return choice(each, global_batch, steps)

    return TrainPlan(
        best=[told(each) for each in _first_of_each(met, KEPT)],
        fastest=None if quick is None else told(quick),
        near=[Miss(told(each), _missed(each, limits)) for each in [*late, *large]],
        frontier=[told(each) for each in frontier(fitting)],
        why=list(_why(met, global_batch)),
        steps=steps,
        searched=search.searched,
        fitted=len(fitting),
        met=len(met),
        left_out=search.left_out,
    )


class _Search:
    """What is found in place after place: ``steps`` a share of the wall clock that makes progress."""

    def __init__(self, global_batch: int, steps: float, limits: Limits) -> None:
        self.global_batch, self.steps, self.limits = global_batch, steps, limits
        self.found: list[Found] = []
        self.searched = 0
        self.left_out: list[str] = []
        self.refusals: list[InputError] = []
        self._nearest: Found | None = None
        self._sized: dict[object, list[tuple[Layout, int]]] = {}

    def add(self, place: Place, gpus: Sequence[int]) -> None:
        """Every layout in a place."""
        trainer, capacity, before = place.trainer, place.hardware.memory_bytes, self.searched
        for many in gpus:
            try:
                if many > trainer.machine.domain:
                    trainer.machine.between(2, many)
            except InputError as refusal:  # no network reaches so far
                self.refusals.append(refusal)
                break
            key = (trainer.engine, many, trainer.machine.domain)
            if key not in self._sized:
                self._sized[key] = sized(trainer, many, self.global_batch, place.runs)
            self.searched += len(self._sized[key])
            for layout, size in self._sized[key]:
                if size <= TOO_LARGE * capacity:
                    self.found.append(self.timed(place, layout, size))
                elif not self.found and (self._nearest is None or size < self._nearest.bytes):
                    self._nearest = Found(place, layout, size, 0.0, 0.0, 0.0, size / capacity)
        if self.searched == before and self.refusals:
            self.left_out.append(f"{_where(place)}: {self.refusals[-1].message}")

    def timed(self, place: Place, layout: Layout, size: int) -> Found:
        """A layout with its time and cost."""
        limits = self.limits
        step_s = place.trainer.step(layout, self.global_batch).total
        days = step_s * self.steps / 86400
        cost = 24 * days * layout.gpus * (1.0 if place.usd_per_hour is None else place.usd_per_hour)
        held = place.band[1] if limits.sure else 1.0
        over = size / place.hardware.memory_bytes
        if limits.days is not None:
            over = max(over, held * days / limits.days)
        if limits.dollars is not None:
            over = max(over, held * cost / limits.dollars)
        return Found(place, layout, size, step_s, days, cost, over)

    def nothing(self, places: Sequence[Place], gpus: tuple[int, int]) -> InputError:
        """Why nothing fits."""
        if not self.searched and self.refusals:
            return self.refusals[-1]
        spec = places[0].trainer.spec
        if not self.searched:
            problem = f"no layout of {spec.name} on {gpus[0]:,} to {gpus[1]:,} GPUs divides a batch of {self.global_batch:,}"
            problem += " sequences; give another --global-batch"
            return InputError(problem, field="global_batch", value=self.global_batch)
        nearest = min([*self.found, *([self._nearest] if self._nearest else [])], key=lambda each: each.bytes)
        lacks = (nearest.bytes - nearest.place.hardware.memory_bytes) / 1e9
        names = ", ".join(dict.fromkeys(place.hardware.title for place in places))
        problem = f"no layout of {spec.name} on up to {gpus[1]:,} x {names} with a batch of {self.global_batch:,} sequences fits"
        problem += f"; the nearest, {_short(nearest)}, lacks {lacks:,.1f} GB on a GPU; give more --gpus"
        return InputError(problem, field="gpus", value=gpus[1])


def numbers(least: int, most: int) -> list[int]:
    """GPUs that are tried: powers of two and three halves of them, and both ends.

    >>> numbers(6, 48)
    [6, 8, 12, 16, 24, 32, 48]
    """
    steps = (n for power in range(most.bit_length()) for n in (1 << power, 3 << power))
    return sorted({least, most, *(n for n in steps if least <= n <= most)})


def formats(hardware: Hardware) -> list[str]:
    """Formats of the matmuls to try: 16 bits, and fp8 where it is faster.

    >>> from llmcx.catalog.data import load_hardware
    >>> [formats(load_hardware(name)) for name in ("h100", "a100", "v100", "tpu-v5p")]
    [['bf16', 'fp8'], ['bf16'], ['fp16'], ['bf16']]
    """
    rates = hardware.dense_tflops
    return [hardware.dtype, *(["fp8"] if rates.get("fp8", 0) > rates[hardware.dtype] else [])]


def runs_on(engine: str, hardware: Hardware) -> bool:
    """Whether an engine runs there, as far as its times are known."""
    return hardware.vendor in PROGRAMS[engine].vendors


def sized(
    trainer: Trainer, gpus: int, global_batch: int, runs: Callable[[Layout], bool] | None = None
) -> list[tuple[Layout, int]]:
    """Every layout of so many GPUs that the trainer's engine ``runs``, and the bytes of its fullest GPU."""
    every = layouts(trainer.spec, trainer.seq, gpus, global_batch, trainer.machine.domain, trainer.fused, program=trainer.program)
    return [(layout, trainer.memory(layout, global_batch).total) for layout in every if runs is None or runs(layout)]


def _rank(of: Found) -> tuple[float, float, int]:
    """The cheapest first; of those that cost as much the fastest, then the smallest."""
    return of.cost, of.days, of.bytes


def frontier(fitting: Sequence[Found]) -> list[Found]:
    """What no other beats both in days and in dollars, the fastest first."""
    kept: list[Found] = []
    for each in sorted(fitting, key=lambda each: (each.days, each.cost)):
        if not kept or each.cost < kept[-1].cost:
            kept.append(each)
    return kept


def _first_of_each(found: Sequence[Found], most: int) -> list[Found]:
    """The first on each number of GPUs of a place."""
    kept: dict[tuple[int, int], Found] = {}
    for each in found:
        kept.setdefault((id(each.place), each.layout.gpus), each)
        if len(kept) == most:
            break
    return [*kept.values()]


def choice(of: Found, global_batch: int, steps: int) -> Choice:
    """As it is told."""
    place, layout = of.place, of.layout
    trainer, (low, high) = place.trainer, place.band
    hours, priced = 24 * of.days * layout.gpus, place.usd_per_hour is not None
    return Choice(
        **vars(running(trainer, layout, global_batch)),
        step_s=of.step_s,
        days=of.days,
        days_range=(of.days * low, of.days * high),
        dollars=of.cost if priced else None,
        dollars_range=(of.cost * low, of.cost * high) if priced else None,
        gpu_hours=hours,
        tokens_per_s_gpu=global_batch * trainer.seq / of.step_s / layout.gpus,
        mfu=trainer.mfu(of.step_s, layout, global_batch, peak(trainer))[0],
        memory_bytes=of.bytes,
        capacity_bytes=place.hardware.memory_bytes,
        over=of.over,
    )


def trained(places: Sequence[Place], of: Choice, tokens: int, available: float) -> tuple[Place, Trainer, Training]:
    """A choice's place, the bound there, and the run as `llmcx train` has it."""
    at = (of.hardware, of.engine, of.compute_dtype)
    place = next(place for place in places if (place.hardware.name, place.trainer.engine, place.trainer.dtype) == at)
    real = place.trainer
    bound = Trainer(real.spec, real.seq, real.hardware, dtype=real.dtype, engine=real.engine, sizes=real.sizes)
    costs = Costs(place.usd_per_hour, available=available)
    run = train(real, bound, of.layout, tokens=tokens, global_batch=of.global_batch, costs=costs, band=place.band)
    return place, bound, run


def _missed(of: Found, limits: Limits, memory: bool = True) -> str:
    """What it misses, and by how much."""
    high = of.place.band[1] if limits.sure else 1.0
    said, excess = [], of.bytes - of.place.hardware.memory_bytes
    if memory and excess > 0:
        said.append(f"does not fit by {excess / 1e9:,.1f} GB")
    if limits.days is not None and of.days * high > limits.days:
        said.append(f"{of.days * high:,.3g} days, {of.days * high / limits.days - 1:.0%} over {limits.days:g}")
    if limits.dollars is not None and of.cost * high > limits.dollars:
        said.append(f"${of.cost * high:,.0f}, {of.cost * high / limits.dollars - 1:.0%} over ${limits.dollars:,.9g}")
    return "; ".join(said)


def named(of: Choice) -> str:
    """A choice in short."""
    return _label(of.layout, of.hardware, of.engine, of.compute_dtype)


def _where(place: Place) -> str:
    trainer = place.trainer
    return f"{trainer.engine} in {trainer.dtype or trainer.hardware.dtype} on {trainer.hardware.name}"


def _ways(of: Found) -> dict[str, object]:
    """What was chosen, by name."""
    return {name: _way(of, name) for name in (*PLACE, *(way for way in WAYS if way != "dp"))}


def _way(of: Found, name: str) -> object:
    if name not in PLACE:
        return getattr(of.layout, name)
    trainer = of.place.trainer
    at = (trainer.hardware.name, trainer.engine, trainer.dtype or trainer.hardware.dtype, of.layout.gpus)
    return at[PLACE.index(name)]


def _why(met: Sequence[Found], global_batch: int) -> Iterator[str]:
    """For each way of the best: the best with another value of it that keeps the limits, what it costs more, and where that
    goes where only the layout differs.
    """
    if not met:
        return
    best = met[0]
    for name, chosen in _ways(best).items():
        other = next((each for each in met if _way(each, name) != chosen), None)
        if other is None:
            continue
        more = other.cost / best.cost - 1 if best.cost else 0.0  # where all cost nothing
        dearer = "costs as much" if more < 0.0005 else f"costs {more:.1%} more"
        spent = ""
        if other.place is best.place and other.layout.gpus == best.layout.gpus:
            spent = grown(*(each.place.trainer.step(each.layout, global_batch) for each in (best, other)))
        yield f"{name.replace('_', ' ')} {chosen}: the best with another, {_short(other)}, {dearer}{spent}"


def _short(of: Found) -> str:
    trainer = of.place.trainer
    return _label(of.layout, trainer.hardware.name, trainer.engine, trainer.dtype or trainer.hardware.dtype)


def _label(layout: Layout, *where: str) -> str:
    return " ".join([f"{layout.gpus:,} x", *where, label(layout)])
