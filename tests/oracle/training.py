"""Fit the training engines' numbers (presets/engines) to the rows of tests/published.py that calibrate, and say how the others do.

    python tests/oracle/training.py [engine ...]     # prints the numbers and errors; what is printed is written by hand

Each engine's numbers are searched one after the other for the smallest mean |log(estimate / measured)|.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import exp, log
from pathlib import Path
from statistics import mean, median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmcx.catalog.data import load_hardware  # noqa: E402
from llmcx.engines import efficiency as calibration  # noqa: E402
from llmcx.engines.training_time import Trainer  # noqa: E402
from llmcx.machine.roofline import Efficiency, machine  # noqa: E402
from tests import published  # noqa: E402
from tests.published import Run  # noqa: E402

TRAINERS: dict[int, Trainer] = {}


def rows() -> list[Run]:
    return [*published.steps(), *published.training()]


def trainer(run: Run, using: Efficiency) -> Trainer:
    """One a run, its times forgotten."""
    hardware = load_hardware(run.hardware)
    made = TRAINERS.get(id(run))
    if made is None:
        attention = "flash" if run.fused else "eager"
        made = TRAINERS[id(run)] = Trainer(run.spec, run.seq, hardware, using, run.dtype, attention)
    made.efficiency, made.machine = using, machine(hardware, run.dtype, using)
    made._passes, made._tallies, made._reductions = {}, {}, {}
    return made


def ratio(run: Run, values: Mapping[str, float]) -> float:
    """Estimate / measured, with ``values`` in place of the engine's: kernels.<generation> and names of Efficiency."""
    hardware = load_hardware(run.hardware)
    using, _ = calibration.efficiency(hardware, run.stack, run.dtype)
    share = values.get(f"kernels.{calibration.generation(hardware)}", values.get("kernels.default"))
    if share is not None:
        of = share / calibration.of_generation(calibration.data(run.stack)["kernels"], hardware)
        using = replace(using, **{name: min(1.0, getattr(using, name) * of) for name in ("matmul", "attention", "memory")})
    routed = values.get(f"routed_s.{calibration.generation(hardware)}", using.routed_s)
    using = replace(using, routed_s=routed, **{name: value for name, value in values.items() if "." not in name})
    return trainer(run, using).step(run.layout, run.batch).total / run.step_s


def loss(runs: Iterable[Run], values: Mapping[str, float]) -> float:
    return mean(abs(log(ratio(run, values))) for run in runs)


def fit(runs: list[Run], start: dict[str, float], bounds: Mapping[str, tuple[float, float]], rounds: int = 3) -> dict[str, float]:
    """Coordinate by coordinate, steps halved each round."""
    values, step = dict(start), 0.25
    best = loss(runs, values)
    for _ in range(rounds):
        for name, (low, high) in bounds.items():
            moved = True
            while moved:
                moved = False
                for factor in (1 + step, 1 / (1 + step)):
                    at = {**values, name: min(high, max(low, values[name] * factor))}
                    if (found := loss(runs, at)) < best - 1e-6:
                        best, values, moved = found, at, True
                        break
        step /= 2
    return values


def report(title: str, runs: list[Run], values: Mapping[str, float]) -> None:
    for calibrates in (True, False):
        of = [ratio(run, values) for run in runs if run.calibrates == calibrates]
        if of:
            low, *_, high = quantiles([1 / each for each in of], n=10) if len(of) > 1 else (1 / of[0], 1 / of[0])
            error = median(abs(each - 1) for each in of)
            print(
                f"{title:32s} {'calibrates' if calibrates else 'tests':10s} {len(of):3d} rows, median error {error:5.1%},"
                f" ratio {exp(mean(log(each) for each in of)):.2f}, measured / estimated {low:.2f} to {high:.2f}"
            )
