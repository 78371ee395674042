"""Fit a serving engine's own numbers to served loads, and say how well they hold for models and accelerators never seen.

    PYTHONPATH=. python tests/oracle/serving.py [--silicon ../shared/silicon] [--no-write]

Reads runs.csv: closed loops at a fixed concurrency. Kernels are as the laws in presets/kernels say, which no run has touched; of
an engine nine numbers (:class:`llmcx.engines.serving_estimate.Schedule`) are fitted, in the logarithm, by soft L1, each pulled a
little to what is usual. Errors and bands are those of fits without the row's model, and without its accelerator. Written:
presets/engines/<engine>.yaml, serving.json (the errors). Needs numpy and scipy.

What the file does not say, and how it is read here:

- ``tp_size`` x ``attention_dp_size`` is the square of the GPUs where moe_tp_size = moe_ep_size = their root (64, 1, 8, 8: eight
  GPUs), and where tp_size = attention_dp_size (4, 4, 1, 16: four). Rows that are the same measurement to the last digit stand
  there once so and once as 8, 1, 1, 8; a fit to both readings is 40% off on the first. No public recipe of those runs shares
  experts out among fewer GPUs than it has. Where no attention_dp_size is stated, 4, 2, 2 is four GPUs.
- what else the engine was told, how lengths were drawn, and which runs drafted tokens: recipes.py. Of two rows of equal settings
  where both is possible the faster drafted; where only one is there it is scored as if it had not, and not fitted.
- no precision stated: as the model was released.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from llmcx.answers.load import Apart, Load, Pool, Speculation
from llmcx.answers.serve import with_bits
from llmcx.catalog.data import load_hardware
from llmcx.catalog.presets import load_preset
from llmcx.cli.accelerator import serving, settled, with_memory
from llmcx.engines.closed_loop import first_token, lacking, per_token, together, waiting
from llmcx.engines.ideal import Ideal
from llmcx.engines.kernel_time import Kernels
from llmcx.engines.launches import together as joined
from llmcx.engines.serving_estimate import Schedule, Timed
from llmcx.engines.serving_time import Server, Setup
from tests.oracle.recipes import MTP, Recipe, Row, laid_out, limits, recipe, stored

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
    recipe: Recipe
    version: str

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
                times = f"{run.ttft_s:.4g} {run.tpot_s:.4g}"  # some stand there again, rounded
                key = (run.model, run.hardware, run.engine, run.precision, run.users, run.gpus, run.prompt, run.output, times)
                found.setdefault(key, run)
    alike: dict[Run, list[Run]] = {}
    for run in found.values():
        alike.setdefault((replace(run, ttft_s=0.0, tpot_s=0.0)), []).append(run)
    return [told for same in alike.values() for told in _told(same)]


def _told(same: list[Run]) -> list[Run]:
    """Runs of equal settings, each drafting or not, where their times tell: the faster of two by a fifth and more."""
    fast, slow = min(run.tpot_s for run in same), max(run.tpot_s for run in same)
    if same[0].recipe.drafts is not None or slow < 1.2 * fast:
        return same
    few = 1 if same[0].engine == "trtllm" and same[0].attention_dp > 1 else MTP
    drafts = [few if run.tpot_s < (fast * slow) ** 0.5 else 0 for run in same]
    return [replace(run, recipe=run.recipe._replace(drafts=n)) for run, n in zip(same, drafts, strict=True)]


def _read(line: dict[str, str]) -> Run | None:
    def number(key: str) -> int:
        return max(1, int(float(line[key] or 1)))

    precision = line["precision"] or "bf16"
    if line["mode"] != "agg" or precision not in ("bf16", "fp8", "fp4"):
        return None
    tp, dp, expert_tp, ep = (number(key) for key in ("tp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size"))
    if not line["attention_dp_size"] and expert_tp * ep > tp:  # experts tell of how many GPUs attention is divided among
        dp = expert_tp * ep // tp
    gpus = tp * dp
    if expert_tp == ep > 1 and expert_tp * ep == gpus and line["attention_dp_size"]:
        gpus, dp = ep, ep if dp > 1 else 1
    elif tp == dp > 1:  # vLLM's recipe divides attention for many users in fp4 alone
        gpus, dp = (
            tp,
            dp if (precision, line["isl"], line["osl"]) == ("fp4", "1024", "1024") and number("concurrency") >= 512 else 1,
        )
    if gpus > MOST_GPUS:
        return None
    prompt, output = number("isl"), number("osl")
    batch = float(line["batch_size"]) * number("attention_dp_size")  # fewer than all users where several copies share them
    users = int(min(float(line["concurrency"] or batch), batch))
    ms = float(line["ttft_ms"]), float(line["tpot_ms"])
    of = line["model"], line["hardware"], line["engine"], precision
    row = Row(line["engine"], line["engine_version"], *of[:2], precision, prompt, output, users, gpus, dp, min(ep, gpus))
    layout = users, gpus, *laid_out(row)
    by = recipe(row._replace(attention_dp=layout[2], ep=layout[3]))
    if not by.exact:
        prompt, output = prompt * 9 // 10, output * 9 // 10
    return Run(*of, prompt, output, *layout, ms[0] / 1e3, ms[1] / 1e3, by, line["engine_version"])


class Beside(NamedTuple):
    """A run that decodes apart from prompts, and the users that it had places for; None: for all."""

    run: Run
    apart: Apart
    places: int | None


def read_apart(path: Path) -> list[Beside]:
    """The runs that decode apart from prompts, of which the file says how many copies do what; each measurement once."""
    found: dict[str, Beside] = {}
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
            layout = int(float(counts[2])), gpus, of[1], min(of[2], gpus)
            by = recipe(Row(who[2], line["engine_version"], *who[:2], who[3], *lengths, *layout))
            run = Run(*who, prompt, output, *layout, ms[0] / 1e3, ms[1] / 1e3, by, line["engine_version"])
            ep, dp = (min(tp, max(1, int(float(line[f"prefill_{key}_size"])))) for key in ("moe_ep", "attention_dp"))
            prefills, workers = int(float(counts[0])), int(float(counts[1]))
            told = limits(run.engine, run.hardware, run.precision, *lengths, run.users, prefills, workers)
            groups = run.attention_dp if run.engine == "trtllm" else 1
            places = None if told.sequences is None else told.sequences * workers * groups
            apart = Apart(prefills, tp, workers, ep, told.prefill_attention_dp or dp)
            found.setdefault(f"{ms[0]:.4g} {ms[1]:.4g}", Beside(run, apart, places))
    return [*found.values()]


class FeaturesApart:
    """What a run that decodes apart takes by the engine's other numbers, which no such run has touched, and a step of it."""

    def __init__(self, of: Beside, by: Schedule) -> None:
        run = self.run = of.run
        server, load = _server(run, by), Load(run.prompt, run.output, apart=of.apart, places=of.places)
        pool = Pool(server, load, of.apart.prompts(server.setup))
        _, self.token, _ = pool.stepped(of.apart, run.users)
        users = run.users
        waited = pool.prompts.apart(run.prompt, 0, users / of.apart.prefill_workers, run.output, self.token)
        self.first, self.handed, self.places = pool.handed + waited, pool.handed, of.places or users


def first_apart(of: FeaturesApart, by: Schedule) -> float:
    """Estimated / measured first token."""
    run, taken = of.run, by.handed * of.token
    return max(of.first + taken, lacking(of.token, run.users, of.places, run.output, of.handed + taken)) / run.ttft_s


def fitted_apart(rows: list[FeaturesApart], by: Schedule) -> Schedule:
    """The number that prompts apart add."""
    return _fit(rows, by, HANDED, first_apart)


def held_out_apart(runs: list[Beside], rows: list[Features]) -> list[Scored]:
    """Each run with estimated / measured of both times, by fits of all numbers to the engine's runs on all other accelerators."""
    found: list[Scored] = []
    for engine, hardware in sorted({(of.run.engine, of.run.hardware) for of in runs}):
        by = fitted([row for row in rows if row.run.engine == engine and row.run.hardware != hardware])
        mine = [FeaturesApart(of, by) for of in runs if of.run.engine == engine]
        by = fitted_apart([row for row in mine if row.run.hardware != hardware], by)
        found += [(row, first_apart(row, by), row.token / row.run.tpot_s) for row in mine if row.run.hardware == hardware]
    return found


def _server(run: Run, by: Schedule) -> Timed:
    spec, hardware = load_preset(run.model), load_hardware(run.hardware)
    setup = Setup(run.gpus, run.ep, 16.0, 16.0, None, run.attention_dp)
    kernels = _kernels(run.hardware, run.engine, run.recipe.cache_bits)
    return Timed(spec, hardware, setup, Ideal(), by, stored(run.model, run.engine, run.version, run.dtype, spec), kernels)


class Features:
    """What the kernels of a run take, alone: those of a decode step one by one, what prompts add to it, and a pass of prompts."""

    def __init__(self, run: Run) -> None:
        server = _server(run, UNIT)
        self.run, by, kernels = run, run.recipe, server.kernels
        self.places = places(run)
        users = min(run.users, self.places)
        drafts, context = by.drafts or 0, run.prompt + run.output // 2
        cycle = (run.ttft_s + run.output * run.tpot_s) * users / run.users
        self.seen = max(0.1 * run.ttft_s, cycle - run.output * run.tpot_s)  # without the wait for a place
        groups, self.users = run.attention_dp, users
        self.many = groups * max(1, min(users // groups, by.together // run.prompt))
        users = _even(users, run)
        decoding = server.decoding(users, context)
        steps = [(1.0, server.decoding(users, context, 1 + drafts)), (drafts * DRAFTING.cost, decoding)]
        prompts = server.prompts(run.prompt, 0, self.many)
        self.tokens = DRAFTING._replace(drafted=drafts).tokens if drafts else 1.0
        self.steps = 1 + drafts * DRAFTING.cost
        self.moved = sum(share * each.times for share, step in steps for each in step if each.kind == "moved")
        self.fused = sum(share * each.times for share, step in steps for each in step if each.kind == "all_reduce")
        self.work, self.begun = (
            sum(share * each.times * kernels.parts(each)[part] for share, step in steps for each in step) for part in (0, 1)
        )
        self.prompts = server.seconds(server.prompts(run.prompt, 0, run.attention_dp))
        self.added = (server.seconds(joined(decoding, prompts)) - server.seconds(decoding)) / self.many
        self.each = server.seconds(prompts) / self.many if by.in_step else 0.0


DRAFTING = Speculation(MTP, 0.7, 0.05)
"""What ``llmcx serve --draft`` assumes of drafts where nothing else is said."""


def places(run: Run) -> int:
    """How many users the engine has memory for at a time, by its own plan; at least one, for it did run."""
    spec, cache = load_preset(run.model), "fp8" if run.recipe.cache_bits < 16 else "bf16"
    sizes = {"max_num_batched_tokens": run.recipe.together}
    within, program = serving(run.engine, run.hardware, None, run.recipe.share, sizes)
    within, program = settled(within, program, spec, run.gpus, None, run.recipe.share, sizes)
    hardware = with_memory(within.hardware, within.bytes)
    setup = Setup(run.gpus, run.ep, 16.0, run.recipe.cache_bits, None, run.attention_dp)
    setup = with_bits(spec, setup, run.dtype, program)
    return max(1, Server(spec, hardware, setup, engine=program.caching(cache)).places(run.prompt, run.output, 0))


def _even(count: int, run: Run) -> int:
    """Sequences, as many on each group of GPUs that attends for itself."""
    return -(-count // run.attention_dp) * run.attention_dp


R = TypeVar("R")
UNIT = Schedule(1, 0, 0, 0, 0, 1, 0, 1, 0)


@lru_cache(maxsize=64)
def _kernels(hardware: str, engine: str, cache_bits: float) -> Kernels:
    return Kernels(load_hardware(hardware), engine, None, cache_bits)


def tokens(of: Features, by: Schedule, first: float) -> float:
    """Seconds between tokens, ``first`` to the first of them, as :class:`~llmcx.engines.serving_estimate.Timed` adds them up."""
    run = of.run
    host = by.moved_us * (of.moved - of.fused) + of.steps * (by.step_us + by.user_us * of.users / run.attention_dp)
    step = (by.decode * of.work + by.launched * of.begun + 1e-6 * host) / of.tokens
    if of.users == 1:
        return step
    if run.recipe.in_step:
        return together(step, each(of, by), of.users, of.many, run.output)[1]
    prompt = by.prompts * of.added + 1e-6 * by.pass_us / of.many
    return per_token(step, prompt, of.users, run.output, first)


def each(of: Features, by: Schedule) -> float:
    """Seconds of a prompt, of those in a pass in which nothing is decoded."""
    return by.prompts * of.each + 1e-6 * by.pass_us / of.many


BEHIND = {"trtllm": 2.0, "vllm": 1.0, "sglang": 1.0}
"""Prompts for which one waits where lengths are exact, so that users who began together ask together again, each in the step
after the one before: that of the step that runs as he asks; and where the host prepares a step while the one before runs, that
one's too (TensorRT-LLM's overlap scheduler: what a step answers is read after the next one was launched).
"""


def firsts(of: Features, by: Schedule, token: float) -> float:
    """Seconds to the first token of those who have a place, of a run with ``token`` seconds between tokens."""
    run = of.run
    if run.recipe.in_step:
        return 1e-6 * by.request_us + together(0.0, each(of, by), of.users, of.many, run.output)[0]
    alone = by.first * of.prompts
    step = max(0.2 * token, token - of.users / run.attention_dp * alone / run.output) * of.tokens
    at_once = run.recipe.together // run.prompt or run.recipe.together / run.prompt
    apart = BEHIND[run.engine] * alone if run.recipe.exact else 0.0
    return (
        apart
        + 1e-6 * by.request_us
        + run.recipe.hold * token * of.tokens
        + first_token(alone, step, of.users / run.attention_dp, run.output, at_once)
    )


TOKEN = {"decode": (1, 0.05), "launched": (0.6, 0.4), "moved_us": (5, 3), "step_us": (500, 500), "user_us": (12, 6)}
TOKEN |= {"prompts": (1, 0.1), "pass_us": (2000, 3000)}
FIRST = {"first": (1.15, 0.15), "request_us": (20000, 20000)}
HANDED = {"handed": (10, 10)}
"""Numbers: what is usual, and by how much they differ."""
PULL = 0.1
"""How much that counts beside the rows."""
SCALE = 0.05
"""Errors beyond it count by their size rather than its square, so that the fit is to the median run."""


def fitted(rows: list[Features]) -> Schedule:
    """An engine's numbers: those of the time between tokens, then those of the first."""
    rows = newest([row for row in rows if row.run.recipe.drafts == 0])
    by = _fit(rows, UNIT, TOKEN, lambda row, by: tokens(row, by, row.seen) / row.run.tpot_s)
    return _fit(rows, by, FIRST, lambda row, by: firsts(row, by, row.run.tpot_s) / row.seen)


def newest(rows: list[Features]) -> list[Features]:
    """Of several versions of an engine with the same model, accelerator and format, the runs of the last."""
    last: dict[tuple[str, str, str], tuple[int, ...]] = {}
    for row in rows:
        key = row.run.model, row.run.hardware, row.run.precision
        last[key] = max(last.get(key, ()), numbered(row.run.version))
    return [row for row in rows if numbered(row.run.version) == last[row.run.model, row.run.hardware, row.run.precision]]


def numbered(version: str) -> tuple[int, ...]:
    """A version's numbers, in order; a build by its date or name after all releases.

    >>> numbered("1.2.0rc6.post2") < numbered("1.2.0rc6.post3") < numbered("nightly-dev")
    True
    """
    found = tuple(int(each) for each in re.findall(r"[0-9]+", version))
    return found if version[:1].isdigit() or not version else (10**9, *found)


def _fit(
    rows: list[R], start: Schedule, numbers: dict[str, tuple[float, float]], ratio: Callable[[R, Schedule], float]
) -> Schedule:
    import numpy as np
    from scipy.optimize import least_squares

    usual, differ = (np.array(each, dtype=float) for each in zip(*numbers.values(), strict=True))

    def made(x: Any) -> Schedule:
        return start._replace(**{key: float(value) for key, value in zip(numbers, x * differ, strict=True)})

    def wrong(x: Any) -> Any:
        by = made(x)
        errors = np.log([ratio(row, by) for row in rows]) / SCALE
        soft = np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1))
        return np.concatenate([soft, PULL * len(rows) ** 0.5 * (x - usual / differ)])

    return made(least_squares(wrong, usual / differ, bounds=(0, np.inf)).x)


def predicted(row: Features, by: Schedule) -> tuple[float, float]:
    """Seconds to the first token, between tokens: of the estimate, measured / predicted's reciprocal."""
    first = firsts(row, by, tokens(row, by, 0.0))
    token = tokens(row, by, first)
    return waiting(first, token, row.run.users, row.users, row.run.output) / row.run.ttft_s, token / row.run.tpot_s


def by_its_row(run: Run) -> Features:
    """Of a run of which nothing is known but its row: what the engine does by itself stands in for its recipe."""
    bits = 8.0 if run.engine in ("trtllm", "vllm") and run.precision != "bf16" else 16.0
    return Features(replace(run, recipe=Recipe(UNIT.together, 0.0, bits, 0, False, None)))


def held_out(
    rows: list[Features], by: Callable[[Run], str], asked: Mapping[Run, Features]
) -> list[tuple[Features, float, float]]:
    """Each row with predicted / measured of both times, by a fit to the engine's rows of all other models, or accelerators;
    predicted from what is ``asked`` of the run.
    """
    found = []
    for engine in ENGINES:
        mine = [row for row in rows if row.run.engine == engine]
        for value in sorted({by(row.run) for row in mine}):
            others = [row for row in mine if by(row.run) != value]
            if len(others) < 20:
                continue
            schedule = fitted(others)
            found += [(row, *predicted(asked[row.run], schedule)) for row in mine if by(row.run) == value]
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
    numbers = {key: float(f"{max(0.0, round(getattr(by, key), 4)):.4g}") for key in (TOKEN | FIRST | HANDED)}
    numbers["together"] = by.together
    numbers["behind"] = BEHIND[engine]
    lines = "".join(f"  {key}: {value:g}\n" for key, value in numbers.items())
    spans = "".join(f"  {name}: {{{', '.join(f'{kind}: {span}' for kind, span in of.items())}}}\n" for name, of in bands.items())
    return f"""# What this engine adds to its kernels: llmcx.engines.serving_estimate.Schedule says what each number is.
# Written by tests/oracle/serving.py. `--efficiency name=value` overrides one for a call.
name: {engine}
title: {TITLES[engine]}
date: "{DATE}"
source: "{SOURCE}, {rows} runs"
at_once: {str(engine == "sglang").lower()}
schedule:
{lines}# 10th and 90th percentile of measured / estimated, by fits without the run's model, and without its accelerator;
# of prompts that are worked off apart without the accelerator (of an engine that has no such run, by those of the others)
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
    whole, alone = {row.run: row for row in rows}, {row.run: by_its_row(row.run) for row in rows}
    apart = {name: held_out(rows, by, whole) for name, by in SPLITS.items()}
    report: dict[str, Any] = {"date": DATE, "source": SOURCE}
    for name, scored in apart.items():
        said = [row for row in scored if row[0].run.recipe.drafts == 0]
        drafting = [row for row in scored if row[0].run.recipe.drafts]
        report[name] = {"all": errors(scored), "all that do not draft": errors(said), "all that draft": errors(drafting)}
        report[name]["all, by their rows alone"] = errors(held_out(rows, SPLITS[name], alone))
        for key in ("engine", "hardware", "precision", "model", "gpus"):
            report[name] |= {
                f"{key} {value}": errors([row for row in scored if getattr(row[0].run, key) == value])
                for value in sorted({getattr(row[0].run, key) for row in scored})
            }
    engines = {engine: [row for row in rows if row.run.engine == engine] for engine in ENGINES}
    fits = {engine: fitted(mine) for engine, mine in engines.items()}
    told = read_apart(args.silicon / "runs.csv")
    beside, unseen = [FeaturesApart(of, fits[of.run.engine]) for of in told], held_out_apart(told, rows)
    for engine, mine in engines.items():
        handing = [row for row in beside if row.run.engine == engine] or beside
        fits[engine] = fitted_apart(handing, fits[engine])
        bands = {
            time: {name: band([row for row in scored if row[0].run.engine == engine], at) for name, scored in apart.items()}
            | {"apart": band([row for row in unseen if row[0].run in {each.run for each in handing}], at)}
            for time, at in (("per_token", 2), ("first", 1))
        }
        text = written(engine, fits[engine], len(mine), bands)
        print(text)
        if not args.no_write:
            (ROOT / "presets" / "engines" / f"{engine}.yaml").write_text(text, encoding="utf-8")
    groups: dict[str, list[Scored]] = {}
    for scored_row in unseen:
        run = scored_row[0].run
        groups.setdefault(f"engine {run.engine}, {run.hardware}", []).append(scored_row)
    unlimited = held_out_apart([of._replace(places=None) for of in told], rows)
    alike = {"all": unseen, "all, by their rows alone": unlimited, **dict(sorted(groups.items()))}
    report["apart"] = {name: errors(of) for name, of in alike.items()}
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
