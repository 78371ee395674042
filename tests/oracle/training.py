"""Fit the training engines' numbers (presets/engines) to the rows of tests/published.py that calibrate; say how the others do.

    python tests/oracle/training.py [engine ...]     # prints the numbers and errors; what is printed is written by hand

Each engine's numbers are searched one after the other for the smallest mean |log(estimate / measured)|.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import exp, log
from pathlib import Path
from statistics import mean, median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmcx.engines import efficiency as calibration
from llmcx.engines.training_time import Trainer
from llmcx.machine.roofline import Efficiency, machine
from tests import published
from tests.published import Run

TRAINERS: dict[int, Trainer] = {}


def rows() -> list[Run]:
    return [*published.steps(), *published.training()]


def trainer(run: Run, using: Efficiency) -> Trainer:
    """One a run, its times forgotten."""
    hardware = run.accelerator
    made = TRAINERS.get(id(run))
    if made is None:
        attention = "flash" if run.fused else "eager"
        made = TRAINERS[id(run)] = Trainer(run.spec, run.seq, hardware, using, run.dtype, attention)
    made.efficiency, made.machine = using, machine(hardware, run.dtype, using)
    made.forget()
    return made


def ratio(run: Run, values: Mapping[str, float]) -> float:
    """Estimate / measured, with ``values`` in place of the engine's: kernels.<generation> and names of Efficiency."""
    hardware = run.accelerator
    using, _ = calibration.efficiency(hardware, run.stack, run.dtype)
    share = values.get(f"kernels.{calibration.generation(hardware)}", values.get("kernels.default"))
    if share is not None:
        of = share / calibration.of_generation(calibration.data(calibration.STACKS[run.stack])["kernels"], hardware)
        using = replace(using, **{name: min(1.0, getattr(using, name) * of) for name in ("matmul", "attention", "memory")})
    if "attention" in values:  # of the best kernel's, as in the file
        of_best = share or calibration.of_generation(calibration.data(calibration.STACKS[run.stack])["kernels"], hardware)
        using = replace(using, attention=min(1.0, values["attention"] * of_best))
    routed = values.get(f"routed_s.{calibration.generation(hardware)}", using.routed_s)
    using = replace(using, routed_s=routed, **{k: value for k, value in values.items() if "." not in k and k != "attention"})
    return trainer(run, using).step(run.layout, run.batch).total / run.step_s


def loss(runs: Iterable[Run], values: Mapping[str, float]) -> float:
    return mean(abs(log(ratio(run, values))) for run in runs)


def fit(runs: list[Run], start: dict[str, float], bounds: Mapping[str, tuple[float, float]], rounds: int = 3) -> dict[str, float]:
    return descended(lambda values: loss(runs, values), start, bounds, rounds, 0.25)


def descended(
    loss: Callable[[Mapping[str, float]], float],
    start: dict[str, float],
    bounds: Mapping[str, tuple[float, float]],
    rounds: int,
    step: float,
) -> dict[str, float]:
    """Coordinate by coordinate, steps halved each round."""
    values, best = dict(start), loss(start)
    for _ in range(rounds):
        for name, (low, high) in bounds.items():
            moved = True
            while moved:
                moved = False
                for factor in (1 + step, 1 / (1 + step)):
                    at = {**values, name: min(high, max(low, values[name] * factor))}
                    if (found := loss(at)) < best - 1e-6:
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


START: dict[str, dict[str, float]] = {
    "llmq": {"kernels.hopper": 0.85, "kernels.ada": 0.9, "kernels.geforce": 1.15, "quantise": 2.0},
    "megatron": {"kernels.default": 0.8, "kernels.ampere": 0.8, "kernels.blackwell": 0.7},
    "megatron-deepspeed": {"kernels.default": 0.8},
    "torchtitan": {"kernels.default": 0.7},
    "maxtext": {"kernels.default": 0.9, "kernels.mxu128": 1.0, "attention": 0.8, "experts": 0.6, "permuted": 15.0},
}
BOUNDS = {
    "kernels": (0.3, 1.25),
    "attention": (0.1, 1.0),
    "experts": (0.05, 1.0),
    "permuted": (3.0, 30.0),
    "quantise": (0.1, 12.0),
}
ROUTED = {"experts": 0.5, "routed_s.hopper": 1.5e-3}
"""Megatron's numbers for experts, fitted without each model in turn: :data:`tests.published.WITHOUT`."""


def experts(runs: list[Run], dense: Mapping[str, float]) -> None:
    """Megatron's experts: all rows, and what the rows of a model become with numbers that have not seen them."""
    mine = [run for run in runs if run.kind in published.LEFT_OUT]
    bounds = {"experts": (0.05, 1.0), "routed_s.hopper": (1e-6, 1e-2)}
    print("all", fit(mine, {**dense, **ROUTED}, bounds, 5))
    for model in sorted({run.spec.name for run in mine}):
        values = fit([run for run in mine if run.spec.name != model], {**dense, **ROUTED}, bounds, 5)
        print(f"without {model}:", {name: round(values[name], 5) for name in ROUTED})


def main(engines: list[str]) -> None:
    for engine in engines or START:
        mine = [run for run in rows() if run.stack == engine]
        fits = [run for run in mine if run.calibrates and run.kind not in published.LEFT_OUT]
        start = START[engine]
        values = fit(fits, start, {name: BOUNDS[name.split(".")[0]] for name in start}, 5)
        print(f"{engine}: { ({name: round(value, 3) for name, value in values.items()}) }")
        for kind in sorted({run.kind for run in mine if run.kind not in published.LEFT_OUT}):
            report(kind or "papers", [run for run in mine if run.kind == kind], values)
        if engine == "megatron":
            experts(mine, values)


if __name__ == "__main__":
    main(sys.argv[1:])
