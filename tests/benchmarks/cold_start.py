"""Cold start of whole commands, as ratios to `python -c "import typer"` measured in the same run.

    python tests/benchmarks/cold_start.py [PAIRS]              the commands below
    python tests/benchmarks/cold_start.py [PAIRS] ARGUMENTS    any other: cold_start.py 20 train gpt3 --json
    python tests/benchmarks/cold_start.py --where [RUNS] [ARGUMENTS]    where a command's milliseconds go

Run it from a regular install (`pip install .`), whose bytecode is compiled. Pairs are interleaved, so that a drift of the
machine's speed falls on both sides; the median ratio is the figure to quote.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

LLMCX = shutil.which("llmcx", path=str(Path(sys.executable).parent)) or "llmcx"
BASE = [sys.executable, "-c", "import typer"]
DOCS = Path(__file__).resolve().parents[2] / "docs"
CASES = [
    "params gpt3 --json",
    "--help",
    f"params {DOCS / 'example.yaml'} --json",
    f"params {DOCS / 'config.json'} --json",
    "flops llama-3-8b --json",
    "memory llama-3-8b --json",
    "params gpt3",
    "params --help",
    "complete: params gp",
    "complete: memory --dtype q",
    "complete: explain kv",
    "complete: sweep memory --optimizer ad",
]

DRIVER = r"""
import sys, time
sys.path.remove("")  # the checkout where this is run, whose bytecode may not be compiled
from importlib import _bootstrap

now = time.perf_counter
started, totals, stack = float(sys.argv.pop(1)), {}, ["interpreter: start"]
at = started
HOOKS = {
    "typer.main": {"get_command": "build the command"},
    "llmcx.catalog.load": {"load_preset": "load the preset", "load_config": "load the file"},
    "llmcx.catalog.files": {"parse": "parse the file"},
    "llmcx.model.lower": {"lower": "lower to ops"},
    "llmcx.answers.params": {"params": "fold the ops"},
    "llmcx.answers.flops": {"flops": "fold the ops"},
    "llmcx.answers.memory": {"memory": "fold the ops"},
    "llmcx.report.render": {"show": "render"},
}

def charge():
    global at
    before, at = at, now()
    totals[stack[-1]] = totals.get(stack[-1], 0.0) + at - before

def timed(function, name):
    def run(*args, **given):
        charge()
        stack.append(name)
        try:
            return function(*args, **given)
        finally:
            charge()
            stack.pop()
    return run

find_and_load = _bootstrap._find_and_load

def load(name, import_):
    outer = next((s for s in stack if s.startswith("import ") and "llmcx" not in s), None)
    own = "import " + (name if name.startswith("llmcx") else name.partition(".")[0])
    found = timed(find_and_load, outer or own)(name, import_)
    module = sys.modules.get(name)
    for attribute, label in HOOKS.pop(name, {}).items() if module else ():
        setattr(module, attribute, timed(getattr(module, attribute), label))
    return found

_bootstrap._find_and_load = load
charge()
stack[0] = "parse the call, and the rest"
sys.argv[0] = "llmcx"
timed(__import__, "import typer")("typer")
from llmcx.__main__ import main
try:
    main()
except SystemExit as ended:
    code = ended.code
charge()
print(repr(totals), now(), sep="\n", file=sys.stderr)
sys.exit(code)
"""


def command(case: str) -> tuple[list[str], dict[str, str]]:
    """A case as a process and what its environment adds."""
    words = case.removeprefix("complete: ").split()
    if words == case.split():
        return [LLMCX, *words], {}
    # As completions/llmcx.bash asks.
    return [LLMCX], {"_LLMCX_COMPLETE": "complete_bash", "COMP_WORDS": f"llmcx {' '.join(words)}", "COMP_CWORD": str(len(words))}


def seconds(process: list[str], more: dict[str, str] | None = None) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    subprocess.run(process, stdout=subprocess.DEVNULL, check=True, env=os.environ | (more or {}))
    return time.perf_counter() - start


def ratios(cases: list[str], pairs: int) -> None:
    print(f"{'command':42} {'median ms':>9} {'import typer ms':>15} {'ratio':>6}   (median of {pairs} pairs)")
    for case in cases:
        process, more = command(case)
        seconds(BASE), seconds(process, more)
        base, run = zip(*((seconds(BASE), seconds(process, more)) for _ in range(pairs)), strict=True)
        ratio = statistics.median(b / a for a, b in zip(base, run, strict=True))
        name = case.replace(f"{DOCS}{os.sep}", "docs/")
        print(f"{name:42} {1e3 * statistics.median(run):9.1f} {1e3 * statistics.median(base):15.1f} {ratio:6.2f}", flush=True)


def where(case: str, runs: int) -> None:
    """Median milliseconds of each stage of one process; a stage's time excludes that of the stages inside it."""
    taken: dict[str, list[float]] = defaultdict(list)
    for run in range(runs + 1):
        start = time.perf_counter()
        process = [sys.executable, "-c", DRIVER, str(start), *case.split()]
        told = subprocess.run(process, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True).stderr
        end = time.perf_counter()
        if run:  # the first one warms the disk's cache
            stages, last = told.splitlines()[-2:]
            for name, value in json.loads(stages.replace("'", '"')).items():
                taken[name].append(value)
            taken["interpreter: exit"].append(end - float(last))
            taken["total"].append(end - start)
    medians = {name: 1e3 * statistics.median(values) for name, values in taken.items()}
    total = medians.pop("total")
    small = {name: value for name, value in medians.items() if value < 0.15}
    print(f"llmcx {case}: {total:.1f} ms (median of {runs} runs; each line by itself, without what it calls)")
    for name, value in medians.items():
        if name not in small:
            print(f"{value:7.1f}  {name}")
    print(f"{sum(small.values()):7.1f}  {len(small)} others of less than 0.15 ms")


def main() -> None:
    words = sys.argv[1:]
    places = words[:1] == ["--where"]
    words = words[places:]
    number = int(words.pop(0)) if words and words[0].isdecimal() else 20
    if places:
        where(" ".join(words) or CASES[0], number)
    else:
        ratios([" ".join(words)] if words else CASES, number)


if __name__ == "__main__":
    main()
