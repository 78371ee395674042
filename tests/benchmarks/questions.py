"""README's questions, as whole commands: milliseconds beyond the interpreter's own start.

    python tests/benchmarks/questions.py [PAIRS]

The first command under each question of the section "Questions" is run in turn with `python -c pass`; the median of the
differences is the figure.
"""

from __future__ import annotations

import re
import shlex
import statistics
import sys
from pathlib import Path

from cold_start import LLMCX, seconds

README = Path(__file__).resolve().parents[2] / "README.md"


def questions() -> list[tuple[str, list[str]]]:
    """Every question with the command that answers it."""
    section = README.read_text(encoding="utf-8").partition("\n## Questions\n")[2].partition("\n## ")[0]
    found = re.findall(r"\*\*(.+?)\*\*.*?\n\$ llmcx ([^\n]*)", section, re.S)
    return [(question, shlex.split(command.partition("|")[0])) for question, command in found]


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"{'question':42} {'ms more':>8}   (median of {pairs} pairs; python -c pass is the base)")
    for question, command in questions():
        seconds([LLMCX, *command])
        more = [seconds([LLMCX, *command]) - seconds([sys.executable, "-c", "pass"]) for _ in range(pairs)]
        print(f"{question:42} {1e3 * statistics.median(more):8.0f}")


if __name__ == "__main__":
    main()
