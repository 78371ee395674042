"""Fit a serving engine's own numbers to served loads, and say how well they hold for models and accelerators never seen.

    PYTHONPATH=. python tests/oracle/serving.py [--silicon ../shared/silicon] [--no-write]

Reads runs.csv: closed loops at a fixed concurrency. Kernels are as the laws in presets/kernels say, which no run has touched; of
an engine ten numbers (:class:`llmcx.engines.serving_estimate.Schedule`) are fitted, in the logarithm, by soft L1, each pulled a
little to what is usual. Errors and bands are those of fits without the row's model, and without its accelerator. Written:
presets/engines/<engine>.yaml, serving.json (the errors). Needs numpy and scipy.

What the file does not say, and how it is read here:

- ``tp_size`` x ``attention_dp_size`` is the square of the GPUs where moe_tp_size = moe_ep_size = their root (64, 1, 8, 8: eight
  GPUs), and where tp_size = attention_dp_size (4, 4, 1, 16: four). Rows that are the same measurement to the last digit stand
  there once so and once as 8, 1, 1, 8; a fit to both readings is 40% off on the first.
- lengths of 1,024 and 8,192 are drawn from 80 to 100% of that (InferenceMAX), so 0.9 of them is the mean; others are exact.
- DeepSeek's rows come in pairs of equal settings, one 1.3 to 2.3 times as fast: drafts of its multi-token layer, which no column
  says. They are scored and not fitted.
- the cache is in 8 bits under TensorRT-LLM and vLLM where the weights are narrow, as such checkpoints ask for.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmcx.answers.serve import Apart, Load, point, stored_as
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
        """Of a cached number: 8 where the weights are narrow too, as their files ask for in TensorRT-LLM and vLLM."""
        return 8.0 if self.engine in ("trtllm", "vllm") and self.precision != "bf16" else 16.0

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


def read_apart(path: Path) -> list[tuple[Run, Apart]]:
    """The runs that decode apart from prompts, of which the file says how many copies do what; each measurement once."""
    found: dict[tuple[float, float], tuple[Run, Apart]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            counts = line["prefill_num_workers"], line["decode_num_workers"], line["concurrency"]
            if line["mode"] == "agg" or not all(counts):
                continue
            of = [max(1, int(float(line[f"decode_{key}_size"]))) for key in ("tp", "attention_dp", "moe_ep")]
            tp = max(1, int(float(line["prefill_tp_size"]))) * max(1, int(float(line["prefill_attention_dp_size"])))
            gpus = of[0] * of[1]
            if of[1] > 1:  # whichever of moe_tp_size and moe_ep_size says so, experts are shared out beside such attention
                of[2] = gpus
            lengths = [int(float(line[key])) for key in ("isl", "osl")]
            prompt, output = (n * 9 // 10 if n in (1024, 8192) else n for n in lengths)
            ms = float(line["ttft_ms"]), float(line["tpot_ms"])
            who = line["model"], line["hardware"], line["engine"], line["precision"]
            run = Run(*who, prompt, output, int(float(counts[2])), gpus, of[1], min(of[2], gpus), ms[0] / 1e3, ms[1] / 1e3)
            found.setdefault(ms, (run, Apart(int(float(counts[0])), tp, int(float(counts[1])))))
    return [*found.values()]


def scored_apart(run: Run, apart: Apart, by: Schedule) -> tuple[float, float]:
    """Estimated / measured of both times, by an engine's numbers, which no such run has touched."""
    spec, hardware = load_preset(run.model), load_hardware(run.hardware)
    setup = Setup(run.gpus, run.ep, 16.0, 16.0, None, run.attention_dp)
    kernels = _kernels(run.hardware, run.engine, run.cache_bits)
    server = Timed(spec, hardware, setup, Ideal(), by, stored_as(spec, run.dtype), kernels)
    found = point(server, Load(run.prompt, run.output, apart=apart), run.users, None)
    return found.ttft_s / run.ttft_s, found.tpot_s / run.tpot_s


class Features:
    """What the kernels of a run take, alone: those of a decode step one by one, what prompts add to it, and a pass of prompts."""

    def __init__(self, run: Run) -> None:
        spec, hardware = load_preset(run.model), load_hardware(run.hardware)
        setup = Setup(run.gpus, run.ep, 16.0, 16.0, None, run.attention_dp)
        kernels = _kernels(run.hardware, run.engine, run.cache_bits)
        server = Timed(spec, hardware, setup, Ideal(), UNIT, stored_as(spec, run.dtype), kernels)
        self.run, self.layers = run, spec.n_layers
        self.many = max(1, min(run.users, UNIT.together // run.prompt))
        decoding = server.decoding(_even(run.users, run), run.prompt + run.output // 2)
        prompts = server.prompts(run.prompt, 0, _even(self.many, run))
        self.moved = sum(each.times for each in decoding if each.kind == "moved")
        self.work, self.begun = (sum(each.times * kernels.parts(each)[part] for each in decoding) for part in (0, 1))
        self.prompts = server.seconds(server.prompts(run.prompt, 0, run.attention_dp))
        self.added = (server.seconds(together(decoding, prompts)) - server.seconds(decoding)) / self.many


def _even(count: int, run: Run) -> int:
    """Sequences, as many on each group of GPUs that attends for itself."""
    return -(-count // run.attention_dp) * run.attention_dp


UNIT = Schedule(1, 0, 0, 0, 0, 1, 0, 1, 0, 0)


@lru_cache(maxsize=64)
def _kernels(hardware: str, engine: str, cache_bits: float) -> Kernels:
    return Kernels(load_hardware(hardware), engine, None, cache_bits)


def tokens(of: Features, by: Schedule) -> float:
    """Seconds between tokens, as :class:`~llmcx.engines.serving_estimate.Timed` adds them up."""
    run = of.run
    step = (
        by.decode * of.work
        + by.launched * of.begun
        + 1e-6 * (by.moved_us * of.moved + by.step_us + by.user_us * run.users / run.attention_dp)
    )
    return per_token(step, by.prompts * of.added + 1e-6 * by.pass_us / of.many, run.users, run.output) if run.users > 1 else step


def firsts(of: Features, by: Schedule, token: float) -> float:
    """Seconds to the first token, of a run with ``token`` seconds between tokens."""
    run = of.run
    alone = by.first * of.prompts + 1e-6 * by.first_layer_us * of.layers
    step = max(0.2 * token, token - run.users * alone / run.output)
    at_once = by.together // run.prompt or by.together / run.prompt
    return 1e-6 * by.request_us + first_token(alone, step, run.users, run.output, at_once)


TOKEN = {"decode": (1, 0.05), "launched": (0.6, 0.4), "moved_us": (5, 3), "step_us": (500, 500), "user_us": (12, 6)}
TOKEN |= {"prompts": (1, 0.1), "pass_us": (2000, 3000)}
FIRST = {"first": (1.15, 0.15), "first_layer_us": (250, 200), "request_us": (30000, 20000)}
"""Numbers: what is usual, and by how much they differ."""
PULL = 0.1
"""How much that counts beside the rows."""
UNLABELLED = ("deepseek-v3",)
"""Models of whose rows a part drafts tokens, without saying which."""


def fitted(rows: list[Features]) -> Schedule:
    """An engine's numbers: those of the time between tokens, then those of the first."""
    rows = [row for row in rows if row.run.model not in UNLABELLED]
    by = _fit(rows, UNIT, TOKEN, lambda row, by: tokens(row, by) / row.run.tpot_s, 0.07)
    return _fit(rows, by, FIRST, lambda row, by: firsts(row, by, row.run.tpot_s) / row.run.ttft_s, 0.15)


def _fit(
    rows: list[Features],
    start: Schedule,
    numbers: dict[str, tuple[float, float]],
    ratio: Callable[[Features, Schedule], float],
    scale: float,
) -> Schedule:
    import numpy as np
    from scipy.optimize import least_squares

    usual, differ = (np.array(each, dtype=float) for each in zip(*numbers.values(), strict=True))

    def made(x: Any) -> Schedule:
        return start._replace(**{key: float(value) for key, value in zip(numbers, x * differ, strict=True)})

    def wrong(x: Any) -> Any:
        by = made(x)
        errors = np.log([ratio(row, by) for row in rows]) / scale
        soft = np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1))
        return np.concatenate([soft, PULL * len(rows) ** 0.5 * (x - usual / differ)])

    return made(least_squares(wrong, usual / differ, bounds=(0, np.inf)).x)


def predicted(row: Features, by: Schedule) -> tuple[float, float]:
    """Seconds to the first token, between tokens: of the estimate, measured / predicted's reciprocal."""
    token = tokens(row, by)
    return firsts(row, by, token) / row.run.ttft_s, token / row.run.tpot_s


def held_out(rows: list[Features], by: Callable[[Run], str]) -> list[tuple[Features, float, float]]:
    """Each row with predicted / measured of both times, by a fit to the engine's rows of all other models, or accelerators."""
    found = []
    for engine in ENGINES:
        mine = [row for row in rows if row.run.engine == engine]
        for value in sorted({by(row.run) for row in mine}):
            others = [row for row in mine if by(row.run) != value]
            if len(others) < 20:
                continue
            schedule = fitted(others)
            found += [(row, *predicted(row, schedule)) for row in mine if by(row.run) == value]
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


Scored = tuple[Any, float, float]
"""A row, and estimated / measured of the first token and of the time between tokens."""


def errors(rows: list[Scored]) -> dict[str, Any]:
    """Medians and 90th percentiles of both errors, and medians of estimated / measured."""
    found: dict[str, Any] = {"runs": len(rows)}
    for name, at in (("tpot", 2), ("ttft", 1)):
        ratios = [row[at] for row in rows]
        wrong = [abs(ratio - 1) for ratio in ratios]
        found[name] = [round(percentile(wrong, 0.5), 3), round(percentile(wrong, 0.9), 3), round(percentile(ratios, 0.5), 2)]
    return found


def band(rows: list[Scored], at: int) -> list[float]:
    """10th and 90th percentile of measured / estimated."""
    return [round(percentile([1 / row[at] for row in rows], share), 2) for share in (0.1, 0.9)]


def written(engine: str, by: Schedule, rows: int, bands: dict[str, dict[str, list[float]]]) -> str:
    """A file of presets/engines."""
    numbers = {key: float(f"{getattr(by, key):.4g}") for key in (TOKEN | FIRST)} | {"together": by.together}
    lines = "".join(f"  {key}: {value:g}\n" for key, value in numbers.items())
    spans = "".join(f"  {name}: {{{', '.join(f'{kind}: {span}' for kind, span in of.items())}}}\n" for name, of in bands.items())
    return f"""# What this engine adds to its kernels: llmcx.engines.serving_estimate.Schedule says what each number is.
# Written by tests/oracle/serving.py. `--efficiency name=value` overrides one for a call.
name: {engine}
title: {TITLES[engine]}
date: "{DATE}"
source: "{SOURCE}, {rows} runs"
schedule:
{lines}# 10th and 90th percentile of measured / estimated, by fits without the run's model, and without its accelerator
bands:
{spans}"""


TITLES = {"trtllm": "TensorRT-LLM 1.0 to 1.3", "vllm": "vLLM 0.11 to 0.19", "sglang": "SGLang 0.5"}
SOURCE = "InferenceMAX runs as NVIDIA aiconfigurator-core 0.12.0 carries them (Apache-2.0), thinned"
DATE = "2026-11-29"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--silicon", type=Path, default=SILICON)
    parser.add_argument("--no-write", action="store_true")
    args = parser.parse_args()
    rows = [Features(run) for run in read(args.silicon / "runs.csv")]
    apart = {name: held_out(rows, by) for name, by in SPLITS.items()}
    report: dict[str, Any] = {"date": DATE, "source": SOURCE}
    for name, scored in apart.items():
        said = [row for row in scored if row[0].run.model not in UNLABELLED]
        report[name] = {"all": errors(scored), "all but DeepSeek-V3": errors(said)}
        for key in ("engine", "hardware", "precision", "model", "gpus"):
            report[name] |= {
                f"{key} {value}": errors([row for row in scored if getattr(row[0].run, key) == value])
                for value in sorted({getattr(row[0].run, key) for row in scored})
            }
    engines: dict[str, Schedule] = {}
    for engine in ENGINES:
        mine = [row for row in rows if row.run.engine == engine]
        schedule = engines[engine] = fitted(mine)
        bands = {
            time: {name: band([row for row in scored if row[0].run.engine == engine], at) for name, scored in apart.items()}
            for time, at in (("per_token", 2), ("first", 1))
        }
        text = written(engine, schedule, len(mine), bands)
        print(text)
        if not args.no_write:
            (ROOT / "presets" / "engines" / f"{engine}.yaml").write_text(text, encoding="utf-8")
    groups: dict[str, list[tuple[float, float]]] = {}
    for run, apart in read_apart(args.silicon / "runs.csv"):
        groups.setdefault(f"engine {run.engine}, {run.hardware}", []).append(scored_apart(run, apart, engines[run.engine]))
    report["apart"] = {name: errors([(None, *each) for each in of]) for name, of in sorted(groups.items())}
    lines = ",\n".join(f'"{name}": {json.dumps(of)}' for name, of in flat(report).items())
    print(lines)
    if not args.no_write:
        (HERE / "serving.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def flat(report: dict[str, Any]) -> dict[str, Any]:
    """A line for each group of runs."""
    found: dict[str, Any] = {}
    for name, of in report.items():
        found |= {f"{name}, {group}": one for group, one in of.items()} if isinstance(of, dict) else {name: of}
    return found


SPLITS: dict[str, Callable[[Run], str]] = {"model": lambda run: run.model, "accelerator": lambda run: run.hardware}


if __name__ == "__main__":
    main()
