"""Fit a serving engine's own numbers to served loads, and say how well they predict models and accelerators that the fit did not see.

    PYTHONPATH=. python tests/oracle/serving.py [--silicon ../shared/silicon] [--no-write]

Reads runs.csv: closed loops at a fixed concurrency. Kernels are as the laws in presets/kernels say, which no run has touched; of an
engine a handful of numbers (:class:`llmcx.engines.serving_estimate.Schedule`) is fitted, to all its rows, in the logarithm, by soft L1.
The errors that docs/serving.md shows are of fits without the row's model, and without its accelerator; bands are their
percentiles. Needs numpy and scipy.

What the file does not say, and how it is read here:

- ``tp_size`` x ``attention_dp_size`` is the square of the GPUs where moe_tp_size = moe_ep_size = their root (64, 1, 8, 8: eight
  GPUs), and where tp_size = attention_dp_size (4, 4, 1, 16: four). Rows that are the same measurement to the last digit stand
  there once so and once as 8, 1, 1, 8; a fit to both readings is 40% off on the first.
- lengths of 1,024 and 8,192 are drawn from 80 to 100% of that (InferenceMAX), so 0.9 of them is the mean; others are exact.
- DeepSeek's rows come in pairs of equal settings, one 1.3 to 2.3 times as fast: drafts of its multi-token layer, which no column
  says. Both are kept.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmcx.answers.serve import stored_as
from llmcx.catalog.data import load_hardware
from llmcx.catalog.presets import load_preset
from llmcx.engines.closed_loop import first_token, per_token
from llmcx.engines.ideal import Ideal
from llmcx.engines.kernel_time import Kernels
from llmcx.engines.launches import together
from llmcx.engines.serving_estimate import Schedule, Timed
from llmcx.engines.serving_time import Setup

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SILICON = next((path for up in ROOT.parents[:2] if (path := up / "shared" / "silicon").is_dir()), ROOT.parent / "shared/silicon")
ENGINES = ("trtllm", "vllm", "sglang")
MOST_GPUS = 16
"""Of a run on one machine, or two: larger ones are prefill and decode apart, without saying how."""
BLOCKS = ("deepseek-v3", "minimax-m2", "qwen3-235b-a22b", "qwen3.5-397b-a17b", "qwen3-32b")
"""Models whose fp8 release has a scale for each block of 128 x 128."""
MIXES = {"trtllm": True, "vllm": True, "sglang": False}
TOGETHER = 8192


@dataclass(frozen=True)
class Run:
    """A row, read as the head of this file says."""

    model: str
    hardware: str
    engine: str
    precision: str
    prompt: int
    output: int
    users: int
    gpus: int
    attention_dp: int
    ep: int
    ttft_s: float
    tpot_s: float

    @property
    def cache_bits(self) -> float:
        """Of a cached number."""
        import os
        e=os.environ.get("KV","")
        return 8.0 if self.engine in e and self.precision != "bf16" and (self.model!="deepseek-v3" or "ds" in e) and (self.model!="gpt-oss-120b" or "oss" in e) else 16.0

    @property
    def dtype(self) -> str:
        """The format that --dtype would name."""
        if self.precision == "fp4":
            return "released" if self.model == "gpt-oss-120b" else "nvfp4"
        return ("fp8_block" if self.model in BLOCKS else "fp8_tensor") if self.precision == "fp8" else "bf16"


def read(path: Path) -> list[Run]:
    """The aggregated runs whose layout is known, each measurement once."""
    found: dict[tuple[Any, ...], Run] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            run = _read(line)
            if run is not None:
                key = (run.model, run.hardware, run.engine, run.precision, run.users, run.gpus, run.ttft_s, run.tpot_s)
                found.setdefault(key, run)
    return [*found.values()]


def _read(line: dict[str, str]) -> Run | None:
    def number(key: str) -> int:
        return max(1, int(float(line[key] or 1)))

    if line["mode"] != "agg" or line["precision"] not in ("bf16", "fp8", "fp4"):
        return None
    tp, dp, expert_tp, ep = (number(key) for key in ("tp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size"))
    gpus = tp * dp
    if expert_tp == ep > 1 and expert_tp * ep == gpus >= 16:
        gpus, dp = ep, ep if dp > 1 else 1
    elif tp == dp > 1:
        gpus, dp = tp, dp
    if gpus > MOST_GPUS:
        return None
    prompt, output = (length * 9 // 10 if length in (1024, 8192) else length for length in (number("isl"), number("osl")))
    users = int(float(line["concurrency"] or float(line["batch_size"]) * dp))
    ms = float(line["ttft_ms"]), float(line["tpot_ms"])
    of = line["model"], line["hardware"], line["engine"], line["precision"]
    return Run(*of, prompt, output, users, gpus, dp, min(ep, gpus), ms[0] / 1e3, ms[1] / 1e3)


class Features:
    """What the kernels of a run take: a decode step, and a prompt, alone and beside the step; prompts in a pass."""

    def __init__(self, run: Run) -> None:
        spec, hardware = load_preset(run.model), load_hardware(run.hardware)
        setup = Setup(run.gpus, run.ep, 16.0, 16.0, None, run.attention_dp)
        server = Timed(spec, hardware, setup, Ideal(), _UNIT, stored_as(spec, run.dtype), _kernels(run.hardware, run.engine, run.cache_bits))
        users = -(-run.users // run.attention_dp) * run.attention_dp
        self.run, self.layers = run, spec.n_layers
        self.many = max(1, min(run.users, TOGETHER // run.prompt))
        decoding = server._decoding(users, run.prompt + run.output // 2)
        prompts = server._prompts(run.prompt, 0, -(-self.many // run.attention_dp) * run.attention_dp)
        self.decode, self.prompts = server._sum(decoding), server._sum(prompts)
        self.mixed = server._sum(together(decoding, prompts)) - self.decode


_UNIT = Schedule(1.0, 1.0, 0, 0, 0, 0, 0, 0, 10.0, TOGETHER, True)


@lru_cache(maxsize=64)
def _kernels(hardware: str, engine: str, cache_bits: float) -> Kernels:
    return Kernels(load_hardware(hardware), engine, None, cache_bits)


def predicted(of: Features, by: Schedule) -> tuple[float, float]:
    """Seconds to the first token and between tokens: :class:`~llmcx.engines.serving_estimate.Timed`'s sums, from features."""
    run = of.run
    step = by.decode * of.decode + 1e-6 * (by.step_us + by.layer_us * of.layers + by.user_us * run.users)
    spent = of.mixed if by.mixes else of.prompts + 1e-6 * by.layer_us * of.layers
    prompt = (by.prompts * spent + 1e-6 * by.pass_us) / of.many + 1e-6 * by.prompt_us
    first = first_token(prompt, step, run.users, run.output, by.together // run.prompt or by.together / run.prompt, by.rounds)
    return 1e-6 * by.request_us + first, per_token(step, prompt, run.users, run.output) if run.users > 1 else step


TOKEN = {  # start, least, most
    "decode": (1.0, 0.5, 1.5),
    "prompts": (1.0, 0.5, 2.0),
    "step_us": (200, 0, 5000),
    "layer_us": (5, 0, 60),
    "user_us": (5, 0, 60),
    "pass_us": (1000, 0, 100000),
    "prompt_us": (1000, 0, 60000),
    "request_us": (30000, 0, 400000),
    "rounds": (10, 2, 20),
}


def fitted(rows: list[Features], engine: str) -> Schedule:
    """An engine's numbers, those that move both times by both."""
    import numpy as np
    from scipy.optimize import least_squares

    names, starts = [*TOKEN], np.array([[float(x) for x in bounds] for bounds in TOKEN.values()])
    scale = np.maximum(starts[:, 0], 1e-9)

    def made(x: Any) -> Schedule:
        return _UNIT._replace(**dict(zip(names, x * scale, strict=True)), mixes=MIXES[engine])

    def wrong(x: Any) -> Any:
        by = made(x)
        errors = []
        for row in rows:
            first, token = predicted(row, by)
            errors += [np.log(token / row.run.tpot_s) / 0.07, np.log(first / row.run.ttft_s) / 0.2]
        return np.array(errors)

    found = least_squares(
        wrong, np.ones(len(names)), loss="soft_l1", bounds=(starts[:, 1] / scale, starts[:, 2] / scale), x_scale=0.3
    )
    return made(found.x)


def held_out(rows: list[Features], by: Callable[[Run], str]) -> list[tuple[Features, float, float]]:
    """Each row with predicted / measured of both times, by a fit to the engine's rows of all other models, or accelerators."""
    found = []
    for engine in ENGINES:
        mine = [row for row in rows if row.run.engine == engine]
        for value in sorted({by(row.run) for row in mine}):
            others = [row for row in mine if by(row.run) != value]
            if len(others) < 20:
                continue
            schedule = fitted(others, engine)
            for row in mine:
                if by(row.run) == value:
                    first, token = predicted(row, schedule)
                    found.append((row, first / row.run.ttft_s, token / row.run.tpot_s))
    return found


def percentile(values: Iterable[float], share: float) -> float:
    """By linear interpolation.

    >>> percentile([1, 2, 3], 0.5)
    2.0
    """
    at = sorted(values)
    place = share * (len(at) - 1)
    low = int(place)
    return at[low] + (place - low) * (at[min(low + 1, len(at) - 1)] - at[low])


def report(rows: list[tuple[Features, float, float]], name: str) -> None:
    """Median and 90th percentile of both errors, by engine."""
    for engine in ("", *ENGINES):
        mine = [row for row in rows if not engine or row[0].run.engine == engine]
        token, first = ([abs(row[which] - 1) for row in mine] for which in (2, 1))
        bias = percentile([row[2] for row in mine], 0.5), percentile([row[1] for row in mine], 0.5)
        print(
            f"{name:12} {engine or 'all':8} {len(mine):5}  tpot {percentile(token, 0.5):6.1%} {percentile(token, 0.9):6.1%} ({bias[0]:.2f})"
            f"  ttft {percentile(first, 0.5):6.1%} {percentile(first, 0.9):6.1%} ({bias[1]:.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--silicon", type=Path, default=SILICON)
    parser.add_argument("--no-write", action="store_true")
    args = parser.parse_args()
    rows = [Features(run) for run in read(args.silicon / "runs.csv")]
    print(len(rows), "runs")
    seen = []
    for engine in ENGINES:
        mine = [row for row in rows if row.run.engine == engine]
        schedule = fitted(mine, engine)
        print(engine, {key: round(value, 3) for key, value in schedule._asdict().items() if key in TOKEN})
        seen += [
            (row, *(a / b for a, b in zip(predicted(row, schedule), (row.run.ttft_s, row.run.tpot_s), strict=True)))
            for row in mine
        ]
    report(seen, "seen")
    report(held_out(rows, lambda run: run.model), "model")
    report(held_out(rows, lambda run: run.hardware), "accelerator")


if __name__ == "__main__":
    main()
