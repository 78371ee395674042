"""llmcx chinchilla fit."""

import os
from typing import Annotated

from llmcx.catalog import runs as table
from llmcx.cli.options import argument, command, explaining, option, single
from llmcx.report.render import Item
from llmcx.scaling import fitting
from llmcx.scaling import optimum as scaling
from llmcx.scaling.laws import as_data

app = single()


@command(app, "chinchilla-fit")
def fit(
    file: Annotated[str, argument("Columns params, tokens (or compute) and loss; - is stdin.", "RUNS.CSV")],
    compute: Annotated[
        list[int] | None, option("Budgets at which to read the law, e.g. 1e21,1e24.", reads="count", whole=True)
    ] = None,
    starts: Annotated[int, option("Points of the grid of starts that are followed.", reads="integer")] = 60,
    bootstraps: Annotated[int, option("Resamples for the intervals; 0 for none.", reads="integer")] = 200,
    seed: Annotated[int, option("Of the resamples.", reads="integer")] = 0,
    min_ratio: Annotated[float, option("Leave out runs with fewer tokens per parameter.", reads="number")] = 0.0,
    out: Annotated[str | None, option("Write the law as a file for chinchilla --law.", reads="text", metavar="FILE")] = None,
) -> Item:
    """Fit a scaling law to one's own runs: L = E + A/N^alpha + B/D^beta, as Chinchilla's approach 3. Needs llmcx[fit].

    Huber loss on log L, followed from the best of 4,500 starts, bootstrap intervals. Where runs share budgets, approach 2
    (a parabola per budget) stands beside it.

    \b
    llmcx chinchilla fit runs.csv
    llmcx chinchilla fit runs.csv --compute 1e22,1e24 --out mine.yaml
    llmcx chinchilla --law ./mine.yaml --compute 1e24
    """
    # On matrices of five rows the threads of linear algebra only wait for one another; numpy reads this when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    read = table.read_runs(file, min_ratio)
    found = fitting.fit(read.runs, starts=starts, bootstraps=bootstraps, seed=seed)
    laws = [scaling.optimum(found.law, compute=float(c)) for c in compute or ()]
    result: fitting.Fitted = {"fit": found, "isoflop": fitting.isoflop(read.runs), "laws": laws}
    settings = {"starts": starts, "bootstraps": bootstraps, "seed": seed}
    inputs = {"file": file, "columns": read.columns, **settings, "min_ratio": min_ratio}
    notes = [f"columns: {', '.join(f'{what} = {head}' for what, head in read.columns.items())}", *found.warnings]
    notes += result["isoflop"].warnings if result["isoflop"] else []
    if any(not one.in_range for one in laws):
        notes.append("beyond the runs' own budgets the law is extrapolated")
    if out is not None:
        import yaml

        with open(out, "w", encoding="utf-8") as target:
            yaml.safe_dump(as_data(found.law), target, sort_keys=False, allow_unicode=True, width=120)

    def drawn() -> tuple[list[fitting.Run], list[tuple[str, list[tuple[float, float]]]]]:
        middle = [scaling.optimum(found.law, compute=c) for c in fitting.octaves(found)]
        return read.runs, [(f"{best.compute:.3g} FLOPs", scaling.isoflop(found.law, best)[1]) for best in middle]

    return Item(None, inputs, result, notes, explaining("chinchilla", found, rows="of_fit"), drawn)
