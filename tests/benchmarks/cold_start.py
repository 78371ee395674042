"""Cold start of whole commands, as ratios to `python -c "import typer"` measured in the same run.

    python tests/benchmarks/cold_start.py [PAIRS]

Pairs are interleaved, so that a drift of the machine's speed falls on both sides; the median ratio is the figure to quote.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

LLMCX = shutil.which("llmcx", path=str(Path(sys.executable).parent)) or "llmcx"
BASE = [sys.executable, "-c", "import typer"]
CASES = {
    "params --preset gpt3 --json": [LLMCX, "params", "--preset", "gpt3", "--json"],
    "flops --preset llama-3-8b --json": [LLMCX, "flops", "--preset", "llama-3-8b", "--json"],
    "params --preset gpt3 (table)": [LLMCX, "params", "--preset", "gpt3"],
    "--help": [LLMCX, "--help"],
    "params --help": [LLMCX, "params", "--help"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one run of ``command`` as a process."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print(f"{'command':34} {'median ms':>9} {'import typer ms':>15} {'ratio':>6}   (median of {pairs} pairs)")
    for name, command in CASES.items():
        seconds(BASE), seconds(command)
        base, run = zip(*((seconds(BASE), seconds(command)) for _ in range(pairs)), strict=True)
        ratio = statistics.median(b / a for a, b in zip(base, run, strict=True))
        print(f"{name:34} {1e3 * statistics.median(run):9.0f} {1e3 * statistics.median(base):15.0f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
