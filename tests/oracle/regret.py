"""How much is lost by believing the estimate: of the configurations that were measured for a load, the one that llmcx ranks first
beside the best. The table in docs/plan.md; --fit writes the engines' numbers, fitted without each model (apart.json).

    python -m tests.oracle.regret [--fit]

A cell is a model on an accelerator with lengths of prompt and answer, for which at least three configurations (engine, format,
layout, users) on up to eight GPUs were measured, and a limit on the time per token that one of them meets. Chosen is the one of
the highest estimated tokens/s a GPU among those whose estimate meets the limit, by numbers of the engine that were fitted without
the model's rows. Settings that were measured more than once count once, with their mean. Runs that draft tokens are left out, and
those of which it is not known. --fit needs numpy and scipy, and ../shared/silicon.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

from llmcx.answers.load import Load, point
from llmcx.answers.serve import with_bits
from llmcx.catalog.data import load_hardware
from llmcx.catalog.presets import load_preset
from llmcx.engines.ideal import Ideal
from llmcx.engines.kernel_time import Kernels
from llmcx.engines.serving_estimate import Schedule, Timed
from llmcx.engines.serving_time import Setup
from tests.oracle.recipes import stored
from tests.oracle.serving import DATE, ENGINES, FIRST, SILICON, SOURCE, TOKEN, Features, Run, fitted, read

APART = Path(__file__).with_name("apart.json")
LIMITS_MS = (10, 15, 20, 30, 40, 60)
"""On the time per token."""
LEAST = 3
"""Configurations of a load that can judge."""
GOOD = 0.85
"""Share of the best measured throughput that is near enough."""
MOST_GPUS = 8


class Measured(NamedTuple):
    """A configuration: seconds per token and tokens/s of a GPU, measured and estimated."""

    tpot_s: float
    rate: float
    tpot_estimated_s: float
    rate_estimated: float


class Cell(NamedTuple):
    """A load with a limit: the chosen configuration's rate over the best's, and its time per token over the limit; None where no
    estimate meets it.
    """

    model: str
    hardware: str
    rate: float | None
    time: float | None


def fit() -> None:
    """Each engine's numbers without each model."""
    rows = [Features(run) for run in read(SILICON / "runs.csv")]
    found: dict[str, dict[str, float]] = {}
    for engine in ENGINES:
        mine = [row for row in rows if row.run.engine == engine]
        for model in sorted({row.run.model for row in mine}):
            others = [row for row in mine if row.run.model != model]
            if len(others) >= 20:
                of = fitted(others)
                found[f"{engine} {model}"] = {key: float(f"{getattr(of, key):.4g}") for key in TOKEN | FIRST}
    lines = ",\n".join(f'"{name}": {json.dumps(of)}' for name, of in found.items())
    APART.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


@lru_cache(maxsize=1)
def apart() -> dict[str, Schedule]:
    """By engine and model."""
    return {name: Schedule(**of) for name, of in json.loads(APART.read_text(encoding="utf-8")).items()}


@lru_cache(maxsize=64)
def kernels(hardware: str, engine: str, cache_bits: float) -> Kernels:
    return Kernels(load_hardware(hardware), engine, None, cache_bits)


@lru_cache(maxsize=512)
def server(run: Run) -> Timed:
    """Of a run without its load."""
    spec, hardware = load_preset(run.model), load_hardware(run.hardware)
    setup = Setup(run.gpus, run.ep, 16.0, run.recipe.cache_bits, None, run.attention_dp)
    setup = with_bits(spec, setup, run.dtype, Ideal())
    of = kernels(run.hardware, run.engine, run.recipe.cache_bits)
    weights = stored(run.model, run.engine, run.version, run.dtype, spec)
    return Timed(spec, hardware, setup, Ideal(), apart()[f"{run.engine} {run.model}"], weights, of)


def measured(runs: list[Run]) -> Measured:
    """Of runs with the same settings."""
    one = runs[0]
    alone = replace(one, prompt=0, output=0, users=0, ttft_s=0.0, tpot_s=0.0, version="")
    users = -(-one.users // one.attention_dp) * one.attention_dp
    found = point(server(alone), Load(one.prompt, one.output), users, None)
    tpot = sum(run.tpot_s for run in runs) / len(runs)
    answer = tpot + sum(run.ttft_s for run in runs) / len(runs) / one.output
    return Measured(tpot, one.users / answer / one.gpus, found.tpot_s, found.tokens_per_s_gpu)


def cells() -> list[Cell]:
    """All that the rows can judge."""
    loads: dict[tuple[str, str, int, int], dict[object, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in read(SILICON / "runs.csv"):
        if run.gpus <= MOST_GPUS and run.recipe.drafts == 0 and f"{run.engine} {run.model}" in apart():
            settings = run.engine, run.precision, run.gpus, run.attention_dp, run.ep, run.users
            loads[run.model, run.hardware, run.prompt, run.output][settings].append(run)
    found = []
    for (model, hardware, _, _), configurations in loads.items():
        if len(configurations) < LEAST:
            continue
        rows = [measured(runs) for runs in configurations.values()]
        for limit in LIMITS_MS:
            met = [row for row in rows if 1e3 * row.tpot_s <= limit]
            if not met:
                continue
            best = max(row.rate for row in met)
            chosen = [row for row in rows if 1e3 * row.tpot_estimated_s <= limit]
            if not chosen:
                found.append(Cell(model, hardware, None, None))
                continue
            first = max(chosen, key=lambda row: row.rate_estimated)
            found.append(Cell(model, hardware, first.rate / best, 1e3 * first.tpot_s / limit))
    return found


def line(name: str, of: list[Cell]) -> str:
    rates = [cell.rate for cell in of if cell.rate is not None]
    times = [cell.time for cell in of if cell.time is not None]
    near = sum(rate >= GOOD for rate in rates) / len(of)
    kept = sum(time <= 1 for time in times) / len(of)
    both = sum(c.rate is not None and c.time is not None and c.rate >= GOOD and c.time <= 2 - GOOD for c in of) / len(of)
    return f"| {name} | {len(of)} | {near:.0%} | {median(rates):.2f} | {kept:.0%} | {both:.0%} |"


def table() -> str:
    """As it stands in docs/plan.md."""
    of = cells()
    lines = [
        "| cells | number | within 15% of the best rate | median rate / best | limit kept | both within 15% |",
        "| --- | --: | --: | --: | --: | --: |",
        line("all", of),
    ]
    lines += [line(name, [cell for cell in of if cell.model == name]) for name in sorted({cell.model for cell in of})]
    lines += [line(name, [cell for cell in of if cell.hardware == name]) for name in sorted({cell.hardware for cell in of})]
    return "\n".join(lines) + "\n"


def main() -> None:
    if "--fit" in sys.argv:
        fit()
    print(f"{SOURCE}, {DATE}")
    print(table())


if __name__ == "__main__":
    main()
