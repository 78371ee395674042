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
        "memory.default": 0.85, "memory.geforce": 0.92, "memory.apple7": 0.65, "memory.apple8": 0.82, "memory.apple9": 0.88,
        "kernel_us.default": 3.0, "kernel_us.geforce": 1.5, "kernel_us.rtx_ampere": 2.5, "kernel_us.hopper": 7.0,
        "kernel_us.ampere": 6.0, "kernel_us.apple": 7.0,
        "unpack.default": 1.0, "unpack.geforce": 4.0, "unpack.apple7": 8.0, "unpack.apple8": 2.7, "unpack.apple9": 0.4,
        "prefill.default": 0.25, "prefill.apple": 0.7, "prefill.geforce": 0.88,
        "prefill_unpacked.default": 0.115, "prefill_unpacked.apple": 0.6, "prefill_unpacked.geforce": 0.24,
        "prefill_unpacked.rtx_ampere": 0.2, "prefill_unpacked.hopper": 0.09, "prefill_unpacked.ampere": 0.17,
    },
    "mlx": {
        "memory.default": 0.85, "unpack.default": 10.0, "prefill.default": 0.7, "prefill_unpacked.default": 0.7,
        "kernel_us.default": 4.0,
    },
    "exllamav2": {"memory.default": 0.8, "kernel_us.default": 2.0},
    "transformers": {"launch_us.default": 700.0},
}  # fmt: skip


BOUNDS = {"kernel_us": (1.0, 100.0), "memory": (0.1, 0.93), "prefill": (0.01, 1.0), "prefill_unpacked": (0.01, 1.0)}
"""Kernels of a graph that need each other are a microsecond apart at least, and streams reach no more of a memory."""


def put(engine: str, values: Mapping[str, float]) -> None:
    """In place of the file's numbers."""
    of = efficiency.data(published.FILES[engine])
    for name, value in values.items():
        number, generation = name.split(".")
        held = of[number] if isinstance(of[number], dict) else {"default": of[number]}
        of[number] = {**held, generation: value}


def loss(engine: str, rows: list[Alone], values: Mapping[str, float]) -> float:
    """Mean square of the distance in logarithms: rows of a kind are few and of several builds; their middle is asked for."""
    put(engine, values)
    return mean(log(alone(row) / row.rate) ** 2 for row in rows)


def fit(engine: str, rows: list[Alone], values: dict[str, float]) -> dict[str, float]:
    best, step = loss(engine, rows, values), 0.4
    for _ in range(5):
        for name in values:
            moved = True
            while moved:
                moved = False
                for factor in (1 + step, 1 / (1 + step)):
                    at = {**values, name: values[name] * factor}
                    least, most = BOUNDS.get(name.split(".")[0], (0.0, float("inf")))
                    if not least <= at[name] <= most:
                        continue
                    if (found := loss(engine, rows, at)) < best - 1e-7:
                        best, values, moved = found, at, True
                        break
        step /= 2
    put(engine, values)
    return values


def main() -> None:
    for engine, start in START.items():
        if any(name in sys.argv for name in START) and engine not in sys.argv:
            continue
        mine = [row for row in published.local() if row.engine == engine and not row.aside]
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
