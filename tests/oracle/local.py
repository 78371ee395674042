"""Fit the numbers of programs for one user (presets/engines/llama_cpp.yaml, ...) to the rows of tests/published_local.csv that
calibrate, and say how the others do.

    python tests/oracle/local.py [ENGINE]      # what it prints is written by hand; -v: row by row
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import exp, log
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmcx.engines import efficiency
from tests import published
from tests.published import Alone
from tests.validation import alone

START: dict[str, dict[str, float]] = {
    "llama.cpp": {
        "memory.default": 0.8, "memory.hopper": 0.6, "memory.ampere": 0.6,
        "memory.apple7": 0.8, "memory.apple8": 0.8, "memory.apple9": 0.8,
        "layer_us.default": 50.0, "layer_us.hopper": 50.0, "layer_us.ampere": 50.0, "layer_us.apple": 100.0,
        "unpack.default": 20.0, "unpack.apple7": 10.0, "unpack.apple8": 10.0, "unpack.apple9": 10.0,
        "prefill.default": 0.2, "prefill.apple": 0.7, "prefill.geforce": 0.7,
        "prefill_unpacked.default": 0.2, "prefill_unpacked.apple": 0.7, "prefill_unpacked.geforce": 0.7,
        "prefill_unpacked.hopper": 0.2, "prefill_unpacked.ampere": 0.2,
    },
    "mlx": {
        "memory.default": 0.85, "unpack.default": 10.0, "prefill.default": 0.7, "prefill_unpacked.default": 0.7,
        "routed_us.default": 10.0,
    },
    "exllamav2": {"memory.default": 0.8, "layer_us.default": 30.0},
    "transformers": {"launch_us.default": 700.0},
}  # fmt: skip


def put(engine: str, values: Mapping[str, float]) -> None:
    """In place of the file's numbers."""
    of = efficiency.data(published.FILES[engine])
    for name, value in values.items():
        number, generation = name.split(".")
        held = of[number] if isinstance(of[number], dict) else {"default": of[number]}
        of[number] = {**held, generation: value}


def loss(engine: str, rows: list[Alone], values: Mapping[str, float]) -> float:
    """Mean distance in logarithms; where that is flat between two rows, a tenth of the squares takes the middle."""
    put(engine, values)
    far = [abs(log(alone(row) / row.rate)) for row in rows]
    return mean(far) + 0.1 * mean(each**2 for each in far)


def fit(engine: str, rows: list[Alone], values: dict[str, float]) -> dict[str, float]:
    best, step = loss(engine, rows, values), 0.4
    for _ in range(5):
        for name in values:
            moved = True
            while moved:
                moved = False
                for factor in (1 + step, 1 / (1 + step)):
                    at = {**values, name: values[name] * factor}
                    if at[name] > 1 and name.startswith(("memory", "prefill")):
                        continue
                    if (found := loss(engine, rows, at)) < best - 1e-6:
                        best, values, moved = found, at, True
                        break
        step /= 2
    put(engine, values)
    return values


def main() -> None:
    for engine, start in START.items():
        if any(name in sys.argv for name in START) and engine not in sys.argv:
            continue
        mine = [row for row in published.local() if row.engine == engine]
        values = fit(engine, [row for row in mine if row.calibrates], dict(start))
        print(engine, {name: float(f"{value:.3g}") for name, value in values.items()})
        for kind in dict.fromkeys(row.kind for row in mine):
            for calibrates in (True, False):
                of = [alone(row) / row.rate for row in mine if row.kind == kind and row.calibrates == calibrates]
                if of:
                    error, ratio = median(abs(each - 1) for each in of), exp(mean(log(each) for each in of))
                    print(
                        f"  {kind:40s} {'calibrates' if calibrates else 'tests':10s} {len(of):3d} {error:6.1%} ratio {ratio:.2f}"
                    )
        if "-v" in sys.argv:
            for row in mine:
                print("     ", "C" if row.calibrates else " ", f"{alone(row) / row.rate:.2f}", row.kind, row.name)


if __name__ == "__main__":
    main()
