"""What a training run comes to: seconds, GPU-hours, dollars, energy. Estimates, all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmcx.answers import Result, as_json, flat
from llmcx.engines.recipe import check_recipe
from llmcx.engines.training_memory import GPUBytes
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError
from llmcx.parallel.layout import Layout, check_batch


@dataclass(frozen=True)
class Outcome:
    """What a run comes to at one set of efficiencies. ``mfu`` and ``hfu`` are results here, not inputs."""

    step_s: float
    step: dict[str, float]
    seconds: float
    days: float
    gpu_hours: float
    tokens_per_s_gpu: float
    mfu: float
    hfu: float
    usd: float | None
    energy_kwh: float | None
    co2_kg: float | None


RATES = ("tokens_per_s_gpu", "mfu", "hfu")
"""Figures of an Outcome that fall when the time grows."""


@dataclass(frozen=True)
class Costs:
    """What an hour, a kWh and a site add: price per accelerator-hour, watts drawn, power usage effectiveness, g CO2 per kWh, and
    the share of the wall clock in which the run makes progress.
    """

    usd_per_hour: float | None = None
    watts: float | None = None
    pue: float = 1.0
    grid_g_per_kwh: float = 0.0
    available: float = 1.0


@dataclass(frozen=True, repr=False)
class Training(Result, brief="gpus fits estimate.days estimate.usd estimate.mfu"):
    """The answer: ``ideal`` at the peaks, all communication hidden that can be; ``estimate`` calibrated; ``band``,
    times it, where eight of ten measurements lie; ``measured``, by the step that somebody measured, whose parts are not known.
    """

    layout: Layout
    gpus: int
    tokens: int
    steps: int
    memory: GPUBytes
    memory_bytes: int
    capacity_bytes: int
    fits: bool
    train_flops: int
    ideal: Outcome
    estimate: Outcome
    band: tuple[float, float]
    measured: Outcome | None = None

    def span(self, figure: str) -> tuple[float, float] | None:
        """Where eight of ten measurements of a figure of the estimate lie: a time, or what grows with it, times ``band``; a rate
        over it; never beyond the ideal. None where the figure is not known.
        """
        value, ideal = getattr(self.estimate, figure), getattr(self.ideal, figure)
        if value is None:
            return None
        low, high = self.band
        if figure in RATES:
            return value / high, min(value / low, ideal)
        return max(value * low, ideal), value * high

    def rows(self) -> list[dict[str, Any]]:
        """The figures of the run and the parts of a step, ideal and estimated."""
        ideal, estimate = (flat(as_json(each)) for each in (self.ideal, self.estimate))
        return [{"name": name, "ideal": ideal[name], "estimate": estimate[name]} for name in estimate]


def outcome(trainer: Trainer, layout: Layout, global_batch: int, steps: int, costs: Costs) -> Outcome:
    """A run of ``steps`` steps as ``trainer`` estimates them."""
    step = trainer.step(layout, global_batch)
    return came_to(trainer, layout, global_batch, steps, costs, step.total, step._asdict())


def came_to(
    trainer: Trainer, layout: Layout, global_batch: int, steps: int, costs: Costs, step_s: float, parts: dict[str, float]
) -> Outcome:
    """A run of ``steps`` steps of ``step_s`` seconds. Energy: accelerators · watts · PUE · hours; CO2 by the grid's intensity."""
    time = step_s * steps / costs.available
    hours = time / 3600 * layout.gpus
    mfu, hfu = trainer.mfu(step_s, layout, global_batch, peak(trainer))
    kwh = None if costs.watts is None else hours * costs.watts / 1000 * costs.pue
    return Outcome(
        step_s=step_s,
        step=parts,
        seconds=time,
        days=time / 86400,
        gpu_hours=hours,
        tokens_per_s_gpu=global_batch * trainer.seq / step_s / layout.gpus,
        mfu=mfu,
        hfu=hfu,
        usd=None if costs.usd_per_hour is None else hours * costs.usd_per_hour,
        energy_kwh=kwh,
        co2_kg=None if kwh is None else kwh * costs.grid_g_per_kwh / 1000,
    )


def peak(trainer: Trainer) -> float:
    """FLOP/s that utilisation is held against: the dense peak of the matmuls' format."""
    return trainer.hardware.flops(trainer.dtype or trainer.hardware.dtype)


def train(
    calibrated: Trainer,
    ideal: Trainer,
    layout: Layout,
    *,
    tokens: int,
    global_batch: int,
    costs: Costs,
    band: tuple[float, float],
    measured_s: float | None = None,
) -> Training:
    """A whole run of ``tokens`` tokens with ``layout``, at both efficiencies, and at ``measured_s`` seconds a step. Raises
    InputError for a layout that cannot be run, and for a step faster than the arithmetic at the peak.
    """
    check_recipe(calibrated.spec, layout, calibrated.recipe(layout))
    check_batch(layout, global_batch)
    steps = -(-tokens // (global_batch * calibrated.seq))
    needs = calibrated.memory(layout, global_batch)
    capacity = calibrated.hardware.memory_bytes
    return Training(
        layout=layout,
        gpus=layout.gpus,
        tokens=tokens,
        steps=steps,
        memory=needs,
        memory_bytes=needs.total,
        capacity_bytes=capacity,
        fits=needs.total <= capacity,
        train_flops=steps * global_batch * calibrated.model_flops,
        ideal=outcome(ideal, layout, global_batch, steps, costs),
        estimate=outcome(calibrated, layout, global_batch, steps, costs),
        band=band,
        measured=None if measured_s is None else _measured(calibrated, layout, global_batch, steps, costs, measured_s),
    )


def _measured(trainer: Trainer, layout: Layout, global_batch: int, steps: int, costs: Costs, step_s: float) -> Outcome:
    try:
        return came_to(trainer, layout, global_batch, steps, costs, step_s, {})
    except ArithmeticError:
        least = trainer.model_flops * global_batch / (layout.gpus * peak(trainer) * (trainer.hardware.boost or 1.0))
        problem = (
            f"measured is {step_s:.4g} s a step, but the arithmetic alone takes {least:.4g} s at the peak of {layout.gpus:,}"
        )
        problem += f" {trainer.hardware.name}; tokens/s are those of all GPUs together"
        raise InputError(problem, field="measured", value=step_s, allowed=f"{least:.4g} s or more") from None
