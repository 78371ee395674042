"""Estimates beside published runs, and docs/validation.md made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import median

from llmcx.answers.plan import label, plan
from llmcx.answers.serve import Load, estimator, point
from llmcx.catalog import data as catalog
from llmcx.catalog.presets import load_preset
from llmcx.engines import efficiency as calibration
from llmcx.engines.ideal import Ideal
from llmcx.engines.serving_time import Server, Setup
from llmcx.engines.training_time import Trainer
from llmcx.machine.roofline import IDEAL
from llmcx.parallel.layout import Layout
from tests import published

MOST_USERS = 2048  # trtllm-bench's default largest batch


@dataclass(frozen=True)
class Row:
    """``error`` of the estimate, relative; ``ideal`` the bound. Seconds, hours or tokens/s, the same for all three."""

    name: str
    how: str
    measured: float
    ideal: float
    estimate: float
    calibrates: bool
    group: str
    source: str
    remark: str = ""

    @property
    def error(self) -> float:
        return self.estimate / self.measured - 1


@lru_cache(maxsize=1)
def training() -> list[Row]:
    rows = []
    for run in published.training():
        hardware = catalog.load_hardware(run.hardware)
        factors, _ = calibration.efficiency(hardware, run.stack, run.dtype)
        attention = "flash" if run.fused else "eager"
        ideal, estimate = (
            Trainer(run.spec, run.seq, hardware, e, run.dtype, attention).step(run.layout, run.batch).total
            for e in (IDEAL, factors)
        )
        rows.append(Row(run.name, run.how, run.step_s, ideal, estimate, run.calibrates, run.stack, run.source, run.remark))
    return rows


@lru_cache(maxsize=1)
def hours() -> list[tuple[Row, Layout, float]]:
    """Whole runs: the best layout found stands in for the one that was not printed. With what the fsdp stack would give."""
    rows = []
    for run in published.HOURS:
        hardware = catalog.load_hardware(run.hardware)
        spec = load_preset(run.preset)
        trainers = {
            stack: Trainer(spec, run.seq, hardware, calibration.efficiency(hardware, stack)[0]) for stack in ("megatron", "fsdp")
        }
        layout = plan(trainers["megatron"], run.gpus, run.batch, hardware.memory_bytes).best[0].layout
        each = run.tokens / (run.batch * run.seq) * run.gpus / 3600
        found = {stack: trainer.step(layout, run.batch).total * each for stack, trainer in trainers.items()}
        ideal = Trainer(spec, run.seq, hardware).step(layout, run.batch).total * each
        row = Row(run.name, f"{run.hours:,.0f} GPU-hours", run.hours, ideal, found["megatron"], False, "hours", run.source)
        rows.append((row, layout, found["fsdp"]))
    return rows


@lru_cache(maxsize=1)
def serving() -> list[Row]:
    rows = []
    for run in published.serving():
        hardware = catalog.load_hardware(run.hardware)
        setup, load = Setup(run.tp, 1, 8, 8, "fp8"), Load(run.prompt, run.output)
        servers = [Server(run.spec, hardware, setup), estimator(run.spec, hardware, setup, Ideal(), "fp8")[0]]
        users = min(MOST_USERS, servers[0].largest_batch(run.prompt + run.output))
        ideal, estimate = (point(server, load, users, None).tokens_per_s_gpu * run.tp for server in servers)
        rows.append(Row(run.name, f"{users} users", run.tokens_per_s, ideal, estimate, False, "serving", run.source))
    return rows


@lru_cache(maxsize=1)
def latency() -> list[Row]:
    """One user, NVIDIA NIM."""
    hardware = catalog.load_hardware("h100")
    spec, setup = load_preset("llama-3.1-70b"), Setup(2, 1, 8, 8, "fp8")
    servers = [Server(spec, hardware, setup), estimator(spec, hardware, setup, Ideal(), "fp8")[0]]
    rows = []
    for prompt, output, ttft, tpot in published.LATENCY:
        ideal, real = (point(server, Load(prompt, output), 1, None) for server in servers)
        name = f"Llama 3.3 70B, 2 x H100, fp8, {prompt:,} in, {output:,} out, one user"
        source = "NVIDIA NIM LLM benchmarking 1.0.0, NIM 1.8.0"
        rows.append(Row(name, "first token, ms", ttft, 1e3 * ideal.ttft_s, 1e3 * real.ttft_s, False, "latency", source))
        rows.append(Row(name, "per token, ms", tpot, 1e3 * ideal.tpot_s, 1e3 * real.tpot_s, False, "latency", source))
    return rows


def typical(rows: list[Row], calibrates: bool) -> float:
    """Median of |error| over the rows that do or do not calibrate."""
    return median(abs(row.error) for row in rows if row.calibrates == calibrates)


def balance(rows: list[Row], group: str) -> float:
    """Median of estimate / measured over the calibrating rows of a group: what the fit makes 1."""
    return median(1 + row.error for row in rows if row.calibrates and row.group == group)


# --- the page -------------------------------------------------------------------------------------------------------

HEAD = """# Estimates beside published runs

Written by `python tests/test_validation.py`; a test keeps it true. An error above 0 means that the estimate is larger than what
was measured.

- *calibrates*: the shipped factors (`presets/engines/*.yaml`) were fitted to these rows, dealt alternately within each source
  before anything was fitted: one factor for a stack of software, two for `fsdp`. The other rows only test.
- Serving is estimated from measured kernels and served loads of other sources ([serving.md](serving.md)): its rows only test.
- *ideal* is the bound at every peak, with no calibration; no measurement beats it.
- The structure of the estimates (what is read, sent and hidden) was settled while all rows were in sight; only the factors
  are blind.
"""

WHOLE = """## Training: GPU-hours of whole runs

The layouts were not printed or changed on the way, so the best one found stands in; the hours are the run's own, with restarts
and slow days. Meta's stack of 2023 was not Megatron-LM: the last column takes the `fsdp` factors. None of these rows calibrates;
the error counts in the table above with the default factors.
"""

OUTLIERS = """## Outliers, and what is not in the estimates

- Llama 3.1 405B in fp8 on eight GPUs at full load is estimated too fast, most where outputs are long: the table's schedule and
  batches are not printed. Llama 3.1 8B with prompts and answers of 128 tokens is estimated too slow: at most 2,048 users are
  assumed.
- Llama 2's GPU-hours lie a third above the estimate with the default factors: wall clock with restarts, on a stack slower than
  Megatron-LM's. LLaMA's lie nearer, and all lie near with the `fsdp` factors.
- Llama 3.1 405B's GPU-hours include the stages of smaller batches and of longer contexts, and more than 90% effective time
  (arXiv:2407.21783, sec. 3.3.4 and 3.4); its printed TFLOP/s per GPU, above, are met within a tenth.
- DeepSeek-V3: see the remark under its row. MosaicML's fp8 rows: small fp8 matmuls reach less of the doubled peak.
- The first token of a short prompt for one user (500 tokens) is late: what a request costs on its way is that of loaded servers.
- Not in the estimates: stragglers and failures (give `--available`), data loading, checkpoints, the imbalance of a
causal mask among
  context-parallel ranks, experts that are not met evenly.
- Not measured here: no GPU was at hand when this page was written, so it has no measurements of our own.
"""


def page() -> str:
    """docs/validation.md."""
    runs, whole, served, alone = training(), [row for row, _, _ in hours()], serving(), latency()
    out = [
        HEAD,
        "| | rows that calibrate, median error | rows that only test, median error | goal |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, rows, goal in (("training", [*runs, *whole], "15%"), ("serving", [*served, *alone], "20%")):
        counts = [sum(row.calibrates == kind for row in rows) for kind in (True, False)]
        errors = [f"{typical(rows, kind):.1%} ({n} rows)" if n else "none" for kind, n in zip((True, False), counts, strict=True)]
        out.append(f"| {name} | {errors[0]} | {errors[1]} | {goal} |")
    out += ["", "## Training: seconds per step", ""]
    for source in dict.fromkeys(row.source for row in runs):
        mine = [row for row in runs if row.source == source]
        out += [f"{source}.", "", *_table(mine, ", s"), ""]
        out += [f"{row.name}: {row.remark}.\n" for row in mine if row.remark]
    out += [
        WHOLE,
        "| run | measured | ideal | estimate | error | layout | fsdp |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    for row, layout, other in hours():
        figures = " | ".join(f"{value:,.0f}" for value in (row.measured, row.ideal, row.estimate))
        out.append(f"| {row.name} | {figures} | {row.error:+.1%} | {label(layout)} | {other / row.measured - 1:+.1%} |")
    out += ["", "Sources: " + "; ".join(dict.fromkeys(row.source for row in whole)) + ".", ""]
    users = f"As many users as their cache fits, at most {MOST_USERS:,}; fp8 weights and cache. Llama 3.3 70B there."
    out += ["## Serving: output tokens/s at full load", "", f"{served[0].source}. {users}", "", *_table(served, ""), ""]
    out += ["## Serving: one user", "", f"{alone[0].source}.", "", *_table(alone, ""), "", OUTLIERS]
    return "\n".join(out)


def _table(rows: list[Row], unit: str) -> list[str]:
    out = [
        f"| run | as printed | measured{unit} | ideal | estimate | error | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        figures = " | ".join(
            f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" for value in (row.measured, row.ideal, row.estimate)
        )
        out.append(f"| {row.name} | {row.how} | {figures} | {row.error:+.1%} | {'calibrates' if row.calibrates else ''} |")
    return out
