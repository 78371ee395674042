"""Training runs from a table: the CSV that `llmcx chinchilla fit` reads."""

from __future__ import annotations

import csv
from math import isfinite
from typing import NamedTuple

from llmcx.catalog.files import read_text
from llmcx.errors import InputError, shown
from llmcx.scaling.fitting import Run
from llmcx.units import count

NAMES = {
    "params": ("params", "parameters", "n", "model_size", "model size"),
    "tokens": ("tokens", "d", "training_tokens", "training tokens"),
    "compute": ("compute", "flops", "c", "training_flops", "training flop", "training flops"),
    "loss": ("loss", "l", "final_loss"),
}
"""Column heads understood, whatever their case; tokens or compute is enough, C = 6 N D."""


class Runs(NamedTuple):
    """The runs, and which column was taken for what."""

    runs: list[Run]
    columns: dict[str, str]


def read_runs(path: str, least_ratio: float = 0.0) -> Runs:
    """The runs of a CSV file ("-" is stdin), those below ``least_ratio`` tokens per parameter left out.

    Raises InputError naming the file, the line, the column and the value.
    """
    name = "stdin" if path == "-" else path
    lines = csv.reader(read_text(path).splitlines())
    head = [cell.strip().lower() for cell in next(lines)]
    columns: dict[str, int] = {}
    for what, known in NAMES.items():
        found = [i for i, cell in enumerate(head) if cell in known]
        if len(found) > 1:
            raise InputError(f"{name} has {len(found)} columns for {what}: {', '.join(head[i] for i in found)}", field=what)
        if found:
            columns[what] = found[0]
    heads = f"its heads are {', '.join(head)}"
    for what in ("params", "loss"):
        if what not in columns:
            raise InputError(f"{name} has no column {what}; {heads}", field=what, allowed=", ".join(NAMES[what]))
    if "tokens" not in columns and "compute" not in columns:
        raise InputError(f"{name} has neither tokens nor compute; {heads}", field="tokens")
    if "tokens" in columns:
        columns.pop("compute", None)
    runs = []
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue

        def value(what: str, cells: list[str] = cells, number: int = number) -> float:
            text = cells[columns[what]].strip() if columns[what] < len(cells) else ""
            try:
                found = float(text)
            except ValueError:
                try:
                    found = float(count(text, what))
                except InputError:
                    found = float("nan")
            if not (isfinite(found) and found > 0):
                problem = f"{name}, line {number}: {head[columns[what]]} is {shown(text)}, but must be a number above 0"
                raise InputError(problem, field=what, value=text[:80], allowed="above 0")
            return found

        n = value("params")
        d = value("tokens") if "tokens" in columns else value("compute") / (6 * n)
        if d / n >= least_ratio:
            runs.append(Run(n, d, value("loss")))
    return Runs(runs, {what: head[at] for what, at in columns.items()})
