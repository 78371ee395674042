"""Fit the numbers of fine-tuning (presets/engines) to the rows of tests/finetuned.py that calibrate; say how the others do.

    PYTHONPATH=. python tests/oracle/finetuning.py [engine ...]   # prints the numbers and errors

Written by hand into presets/engines: what is fitted to all rows; into tests/finetuned.py: what is fitted without each model. The
smallest mean |log(estimate / measured)|, number after number, steps halved each round.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import exp, log
from statistics import mean, median, quantiles

from llmcx.catalog.data import load_hardware
from llmcx.engines.training_time import Trainer
from llmcx.machine.roofline import machine
from tests.finetuned import Tuned, factors, steps, trainer
from tests.oracle.training import descended

TRAINERS: dict[int, Trainer] = {}
START = {
    name: {"kernels": 1.0, "memory": 0.32, "host_s": 50e-6, "adapted": 7.0, "unpacked.nf4": 12.0, "unpacked.gptq": 9.0}
    for name in ("transformers", "unsloth")
}
BOUNDS = {"kernels": (0.2, 1.2), "memory": (0.05, 1.0), "host_s": (1e-6, 1e-3), "adapted": (0.1, 100.0), "unpacked": (0.5, 300.0)}


def estimated(run: Tuned, values: Mapping[str, float]) -> float:
    """Seconds of a step with ``values`` in place of the engine's."""
    using = factors(run, values)
    made = TRAINERS.get(id(run))
    if made is None:
        made = TRAINERS[id(run)] = trainer(run, using)
    made.efficiency, made.machine = using, machine(load_hardware(run.hardware), run.dtype, using)
    made.forget()
    return made.step(run.layout, run.batch).total


def loss(runs: list[Tuned], values: Mapping[str, float]) -> float:
    return mean(abs(log(estimated(run, values) / run.seconds)) for run in runs)


def fit(runs: list[Tuned], start: dict[str, float]) -> dict[str, float]:
    bounds = {name: BOUNDS[name.partition(".")[0]] for name in start}
    return descended(lambda values: loss(runs, values), start, bounds, 3, 0.3)


def report(title: str, runs: list[Tuned], values: Mapping[str, float], each: bool = False) -> None:
    of = [estimated(run, values) / run.seconds for run in runs]
    if not of:
        return
    low, *_, high = quantiles([1 / one for one in of], n=10) if len(of) > 1 else (1 / of[0], 1 / of[0])
    off = sorted(abs(one - 1) for one in of)
    most = off[min(int(0.9 * len(off)), len(off) - 1)]
    print(
        f"{title:50s} {len(of):3d} rows, median error {median(off):5.1%}, 90%: {most:5.1%},"
        f" ratio {exp(mean(map(log, of))):.2f}, measured / estimated {low:.2f} to {high:.2f}"
    )
    if each:
        for run, one in zip(runs, of, strict=True):
            print(
                f"     {run.spec.name} {run.layout.gpus} GPU seq {run.seq} mb {run.layout.micro_batch}: {run.seconds} {one:.2f}"
            )


def main(engines: list[str]) -> None:
    for engine in engines or list(START):
        mine = [run for run in steps() if run.engine == engine]
        fits = [run for run in mine if run.calibrates and run.layout.gpus == 1]
        print(engine, "all", rounded(fit(fits, START[engine])))
        held: dict[str, list[float]] = {"one GPU": [], "ZeRO-3": []}
        for name in sorted({run.spec.name for run in fits}):
            values = fit([run for run in fits if run.spec.name != name], START[engine])
            print(f'    ("{engine}", "{name}"): {rounded(values)},')
            tests = [run for run in mine if run.spec.name == name]
            for kind in sorted({run.kind for run in tests}):
                of = [run for run in tests if run.kind == kind]
                report(f"{kind}, {name}", of, values, True)
                for run in of:
                    held["ZeRO-3" if run.layout.zero else "one GPU"].append(run.seconds / estimated(run, values))
        for where, ratios in held.items():
            off = sorted(abs(1 / one - 1) for one in ratios)
            low, *_, high = quantiles(ratios, n=10)
            print(
                f"{engine}, {where}: {len(ratios)} rows, each by numbers that have not seen its model: median error"
                f" {median(off):.1%}, 90%: {off[int(0.9 * len(off))]:.1%}, measured / estimated {low:.2f} to {high:.2f}"
            )


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.3g}") for name, value in values.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
