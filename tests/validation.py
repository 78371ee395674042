"""Estimates beside published runs, and docs/validation.md made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median

from llmcx.answers.load import Load, point
from llmcx.answers.plan import label, plan
from llmcx.answers.serve import estimator
from llmcx.catalog import data as catalog
from llmcx.catalog.presets import load_preset
from llmcx.engines import efficiency as calibration
from llmcx.engines.ideal import Ideal
from llmcx.engines.local_time import Local
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
    kind: str = ""
    band: tuple[float, float] = (1.0, 1.0)

    @property
    def error(self) -> float:
        return self.estimate / self.measured - 1


@lru_cache(maxsize=1)
def training() -> list[Row]:
    rows = []
    for run in published.training():
        hardware = run.accelerator
        factors, _ = calibration.efficiency(hardware, run.stack, run.dtype)
        attention = "flash" if run.fused else "eager"
        ideal, estimate = (
            Trainer(run.spec, run.seq, hardware, e, run.dtype, attention).step(run.layout, run.batch).total
            for e in (IDEAL, factors)
        )
        rows.append(Row(run.name, run.how, run.step_s, ideal, estimate, run.calibrates, run.stack, run.source, run.remark))
    return rows


@lru_cache(maxsize=1)
def steps() -> list[Row]:
    """published_steps.csv. A model of :data:`published.LEFT_OUT` is estimated with numbers fitted without it."""
    rows = []
    for run in published.steps():
        hardware = run.accelerator
        factors, _ = calibration.efficiency(hardware, run.stack, run.dtype)
        calibrates = run.calibrates
        if run.kind in published.LEFT_OUT:
            experts, routed = published.WITHOUT[run.spec.name]
            on_hopper = calibration.generation(hardware) == "hopper"
            factors = replace(factors, experts=experts, routed_s=routed / 1e6 if on_hopper else factors.routed_s)
            calibrates = False
        attention = "flash" if run.fused else "eager"
        ideal, estimate = (
            Trainer(run.spec, run.seq, hardware, e, run.dtype, attention).step(run.layout, run.batch).total
            for e in (IDEAL, factors)
        )
        row = Row(run.name, "", run.step_s, ideal, estimate, calibrates, run.stack, run.source, kind=run.kind)
        rows.append(replace(row, band=calibration.band(run.stack, bool(run.spec.mixtures))))
    return rows


def alone(row: published.Alone, bound: bool = False) -> float:
    """Estimated tokens/s of one user."""
    hardware = catalog.load_hardware(row.hardware)
    setup, spec = Setup(row.gpus, 1, row.weight_bits), load_preset(row.model)
    if bound and row.engine == "llama.cpp" and row.weight_bits < 16 and "int8" in hardware.dense_tflops:
        setup = setup._replace(dtype="int8")  # its kernels for quantised weights (ggml-cuda/mmq.cuh)
    server = Server(spec, hardware, setup) if bound else Local(spec, hardware, setup, name=row.engine)
    found = point(server, Load(row.prompt, row.output), 1, None)
    if row.of == "prompt":
        return row.prompt / found.ttft_s
    return 1 / found.tpot_s if row.of == "output" else row.output / (found.ttft_s + row.output * found.tpot_s)


def one_user() -> list[Row]:
    """One user's tokens/s under a program of their own."""
    return [row for row, aside in alone_rows() if not aside]


@lru_cache(maxsize=2)
def alone_rows(file: str = "published_local.csv") -> list[tuple[Row, bool]]:
    """Those, and whether they stand aside."""
    rows = []
    for run in published.local(file):
        ideal, estimate = alone(run, bound=True), alone(run)
        hardware, spec = catalog.load_hardware(run.hardware), load_preset(run.model)
        bands = Local(spec, hardware, Setup(run.gpus, 1, run.weight_bits), name=run.engine).bands()
        band = bands.first if run.of == "prompt" else bands.per_token
        how = {"prompt": "prompt", "output": "decode", "all": "decode"}[run.of]
        row = Row(run.name, how, run.rate, ideal, estimate, run.calibrates, run.engine, run.source, kind=run.kind, band=band)
        rows.append((row, run.aside))
    return rows


def chips() -> list[Row]:
    """Rows of chips on which llama.cpp's numbers were not fitted, and no row of published_local.csv was measured."""
    return [row for row, _ in alone_rows("published_chips.csv")]


def within(rows: list[Row]) -> float:
    """Share of the rows that only test whose printed band holds what was measured."""
    tests = [row for row in rows if not row.calibrates]
    slower = [row.estimate / row.measured if row.how else row.measured / row.estimate for row in tests]
    return sum(row.band[0] <= each <= row.band[1] for row, each in zip(tests, slower, strict=True)) / len(tests)


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

STEPS = """## Training: steps of other frameworks

Rows of published_steps.csv, split by source and by model before anything was fitted: by the script tests/oracle/training.py,
which prints the numbers of `presets/engines`. Experts on Hopper and Blackwell under Megatron calibrate all together, and each
model's rows stand here as estimated with numbers that were fitted without them: they only test. *Signed* is the median error,
*in the band* the share of rows that only test whose printed 10-90 band holds the measurement: the bands were taken from these
rows, all of an engine together. Recomputation in layouts is as the recipe states it; where none is stated, none is charged.

MaxText's rows are all those of tpu-recipes on one slice whose models have presets. A TPU7x chip is two of JAX's devices; batches
here are a chip's. Models of MaxText's own calibrate on v5e and v5p, Llama, Mistral and GPT-3 on v6e, DeepSeek-V3's experts on v5p
and v7; all else tests. Recipes that keep a layer's projections or its attention's output (on the chip or the host) are charged
full recomputation all the same. Mixtral's recipes drop tokens, which the estimate does not.

Megatron-DeepSpeed's are BigScience's tests before BLOOM: of 25 and 26 February 2022, a batch of 2,048 or a series of batches,
heads whose width is a multiple of 8, without which tensor cores are not used. Its network is Omni-Path with 6.25 GB/s a GPU.
"""

LOCAL = """## One user: llama.cpp, MLX, exllamav2, transformers

Rows of published_local.csv. Of llama.cpp, MLX and exllamav2 what calibrates and what tests are of different sources and models
(tests/oracle/local.py). llama.cpp's calibrates with a table of May 2024 (Llama 3 8B and 70B on ten chips) and with tables of
its own pull requests of 2024 to 2026; on GeForce cards, whose builds since have become a fifth faster and more, with the latter
alone. Transformers' rows are of one source, split by model. Llama 3.1, which tests, has the shape of Llama 3, which calibrates.
Ollama is llama.cpp; MLC-LLM stands under exllamav2, whose numbers it has not seen.

A token waits between kernels, of which each part of a model has its own: 1 to 3 us on GeForce cards, 10 us on Apple's chips,
and on data-centre cards as much in the builds of 2024 that calibrate them. On NVIDIA prompts meet quantised weights in 8-bit
integers, at 8 to 23% of that peak. Apple's chips are told apart by Metal's families, as llama.cpp prints them: apple7 (M1)
reads at 74% of its bandwidth, apple8 (M2) at 84%, apple9 (M3 and M4) at 92%, and an M1 needs as much time to unpack four bits
as to read them. Metal's products of experts take 32 rows at a time, filled or not. MLX was fitted on an M4; an M1 and an M2 are
taken in llama.cpp's proportion.
"""

CHIPS = """## One user: chips that calibrate nothing

Rows of published_chips.csv: llama-bench on chips that no number was fitted to, written down before they were estimated. A chip's
kin stands in for it: GeForce cards of Ampere go as an RTX 3090, of Ada and Blackwell as an RTX 4090 and 5090; a professional card
of Ampere or Blackwell as the GeForce of its chip; Apple's by Metal's families, an M5 as an M4. The ranges are twice as wide, in
logarithms, as on chips that were measured.

- Tokens/s are near on GeForce cards, a tenth low on Apple's chips from the M2 on and a fifth on M5 Pro and Max. An M1 and an
  M1 Pro are 1.6 times as fast as estimated: the M1 Max that calibrates ran a build of May 2024. A T4 is a quarter slower.
- Prompts run at 1.1 to 1.7 times the estimate on NVIDIA's cards, most on an RTX 3060 and 3080: builds are newer, with flash
  attention. On Apple's chips they run at 1.2 times the estimate.
- An M5 Max's prompts are, in the same table, slower than an M5 Pro's with half the cores: not with its neural accelerators.
- AMD's and Intel's cards were never measured for the fit: prompts are a third of what is measured, or three times that.
"""

ASIDE = """### Set aside

Rows that neither calibrate nor test: builds of May 2024 on cards that newer builds calibrate, before kernels were fused and
integers multiplied on tensor cores; and 16-bit prompts on an L40S and an A100, which the table of published figures calls a known
anomaly of that build.
"""

HEAD = """# Estimates beside published runs

Written by `python tests/test_validation.py`; a test keeps it true. An error above 0 means that the estimate is larger than what
was measured.

- *calibrates*: the shipped factors (`presets/engines/*.yaml`) were fitted to these rows; the others only test. Rows of papers
  were dealt alternately within each source before anything was fitted, those of other frameworks by source and by model, those of
  one user by source.
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
- MT-NLG 530B under DeepSpeed and Megatron in 2021 took a third longer than Megatron-LM's own runs of that year do here, and 12 to
  16% longer than estimated with `--engine megatron-deepspeed`: its figures at three sizes leave some five seconds a step that do
  not shrink with the batch, whose cause is not known here.
- Experts under Megatron: releases of half a year apart differ by half on one model and chip (Qwen3 30B-A3B on eight B200 and
  GB200), which no number here tells apart; on Hopper a layer of experts costs 2 ms besides its arithmetic in each pass: hosts and
  synchronisation, of which AutoModel's runs with larger micro-batches have less.
- Experts on TPUs: gpt-oss 120B takes a quarter longer than estimated; its experts have biases, which MaxText gathers row by row
  and whose gradient it scatters, and the estimate adds. Experts of other models than DeepSeek-V3, which alone calibrates, are
  mostly estimated too slow; Maverick, whose experts are cut by tensor parallelism, too fast.
- Llama 3.1 70B with 128k tokens on v7 is estimated a sixth too slow: the recipe keeps what attention gives.
- GPT-3 175B in int8 on v5p is estimated a quarter too fast: its batches are small, and rounding costs more there.
- llama.cpp on an A100 and an H100: a table of 2024 calibrates them, and tokens of builds of 2026 come 60% faster; the band
  there is wider. Prompts on an RTX 3090 and 4090 come a quarter faster than estimated, from pull requests of mid-2024.
- llama.cpp's experts on CUDA are estimated too fast, by 15 to 36%: none calibrates.
- M1 Ultra under llama.cpp: tokens come a fifth faster than estimated from an M1 Max.
- Prompts under exllamav2 and transformers: nothing was measured; MLX's on an M4 Max and an M3 Max alone.
- DeepSeek-V3: see the remark under its row. MosaicML's fp8 rows: small fp8 matmuls reach less of the doubled peak.
- The first token of a short prompt for one user (500 tokens) is late: what a request costs on its way is that of loaded servers.
- Not in the estimates: stragglers and failures (give `--available`), data loading, checkpoints, the imbalance of a causal mask
  among context-parallel ranks, experts that are not met evenly.
- Not measured here: no GPU was at hand when this page was written, so it has no measurements of our own.
"""


def page() -> str:
    """docs/validation.md."""
    runs, whole, served, users_alone = training(), [row for row, _, _ in hours()], serving(), latency()
    out = [
        HEAD,
        "| | rows that calibrate, median error | rows that only test, median error | goal |",
        "| --- | ---: | ---: | ---: |",
    ]
    groups = [("training", [*runs, *whole, *steps()], "15%"), ("serving", [*served, *users_alone], "20%")]
    for name, rows, goal in [*groups, ("one user at home", one_user(), "20%")]:
        counts = [sum(row.calibrates == kind for row in rows) for kind in (True, False)]
        errors = [f"{typical(rows, kind):.1%} ({n} rows)" if n else "none" for kind, n in zip((True, False), counts, strict=True)]
        out.append(f"| {name} | {errors[0]} | {errors[1]} | {goal} |")
    out += ["", "## Training: seconds per step", ""]
    for source in dict.fromkeys(row.source for row in runs):
        mine = [row for row in runs if row.source == source]
        out += [f"{source}.", "", *_table(mine, ", s"), ""]
        out += [f"{row.name}: {row.remark}.\n" for row in mine if row.remark]
    out += [STEPS, *_kinds(steps(), ", s")]
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
    out += ["## Serving: one user", "", f"{users_alone[0].source}.", "", *_table(users_alone, ""), ""]
    aside = [row for row, apart in alone_rows() if apart]
    out += [LOCAL, *_kinds(one_user(), ", tokens/s"), ASIDE, *_table(aside, ", tokens/s"), "", OUTLIERS]
    out += ["", CHIPS, *_kinds(chips(), ", tokens/s")]
    return "\n".join(out).rstrip("\n") + "\n"


def _kinds(rows: list[Row], unit: str) -> list[str]:
    out = ["| engine | kind | rows that calibrate | error | rows that only test | error | signed | in the band |"]
    out.append("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    groups = list(dict.fromkeys((row.group, row.kind) for row in rows))
    for group, kind in groups:
        mine = [row for row in rows if (row.group, row.kind) == (group, kind)]
        fits, tests = ([row for row in mine if row.calibrates == calibrates] for calibrates in (True, False))
        cells = [f"{len(fits)}", f"{typical(fits, True):.1%}" if fits else "", f"{len(tests)}"]
        cells += (
            [f"{typical(tests, False):.1%}", f"{median(row.error for row in tests):+.1%}", f"{within(tests):.0%}"]
            if tests
            else [""] * 3
        )
        out.append(f"| {group} | {kind} | {' | '.join(cells)} |")
    out.append("")
    for group, kind in groups:
        mine = [row for row in rows if (row.group, row.kind) == (group, kind)]
        out += [f"{group}, {kind}. {'; '.join(dict.fromkeys(row.source for row in mine))}.", ""]
        out += [f"| run | measured{unit} | ideal | estimate | error | |", "| --- | ---: | ---: | ---: | ---: | --- |"]
        for row in mine:
            figures = " | ".join(f"{value:.4g}" for value in (row.measured, row.ideal, row.estimate))
            out.append(f"| {row.name} | {figures} | {row.error:+.1%} | {'calibrates' if row.calibrates else ''} |")
        out.append("")
    return out


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
