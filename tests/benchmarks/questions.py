"""Five questions, as whole commands, tables drawn: milliseconds beyond the interpreter's own start.

    python tests/benchmarks/questions.py [PAIRS]

Each command is run in turn with `python -c pass`; the median of the differences is the figure (docs/speed.md).
"""

from __future__ import annotations

import statistics
import sys

from cold_start import LLMCX, seconds

QUESTIONS = {
    "How many parameters?": "params deepseek-v3",
    "Will it fit?": "memory llama-3-8b --seq 8k --batch 16 --budget 80GB",
    "How long, and for how much?": "train llama-3-8b --tokens 15T --hardware h100 --gpus 1024",
    "How fast will it serve?": "serve llama-3-8b --hardware h100",
    "Which attention, at which length?": "attention-compare llama-3-8b --seq 8k:512k:x8 --hardware h100",
}


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"{'question':42} {'ms more':>8}   (median of {pairs} pairs; python -c pass is the base)")
    for question, command in QUESTIONS.items():
        asked = [LLMCX, *command.split()]
        seconds(asked)
        more = [seconds(asked) - seconds([sys.executable, "-c", "pass"]) for _ in range(pairs)]
        print(f"{question:42} {1e3 * statistics.median(more):8.0f}")


if __name__ == "__main__":
    main()
