"""How scaling laws read: the optimum by each law, their spread, where a model stands, and IsoFLOP curves."""

from __future__ import annotations

from math import log
from typing import Any

from llmcx.report import format
from llmcx.report.json import as_rows
from llmcx.report.render import Item, View
from llmcx.report.table import Fact, Table, columns_of, facts_of, facts_table, raw_table
from llmcx.scaling.optimum import times

_N_D = "params: parameters (count) | tokens: tokens (count)"
_RATIO = "tokens_per_param: D/N (float)"


def _span(low: float, high: float) -> str:
    """A range of counts, and how wide it is."""
    return f"{format.count(round(low))} to {format.count(round(high))}, {format.cell(high / low, 'factor')}"


def spread(laws: list[Any]) -> list[Fact]:
    """How far laws are apart: the honest error bar of any one of them."""
    facts = []
    for key, title in (("params", "parameters"), ("tokens", "tokens"), ("compute", "FLOPs")):
        values = [getattr(one, key) for one in laws]
        if max(values) > 1.001 * min(values):
            text = f"{min(values):.3g} to {max(values):.3g}" if key == "compute" else _span(min(values), max(values))
            facts.append(Fact(f"spread_{key}", title, text))
    return facts


MARKS = {"all": "", "non-embedding": " *", "active": " †"}
DOTS = 16
"""Width of the dot plot of N over a logarithmic scale."""


def _dot(value: float, low: float, high: float) -> str:
    """Where a value stands between two others, by logarithm.

    >>> _dot(10, 1, 100)
    '········●·······'
    """
    at = round((DOTS - 1) * log(value / low) / log(high / low)) if high > low else 0
    return "·" * at + "●" + "·" * (DOTS - 1 - at)


def _beyond(ratio: float) -> str:
    """How far a budget lies outside those a law was fitted to.

    >>> _beyond(3333.3), _beyond(0.25)
    ('3,333 times the largest', '0.25 times the smallest')
    """
    return f"{times(ratio)} the {'largest' if ratio > 1 else 'smallest'}"


def _optima(laws: list[Any]) -> Table:
    rows = as_rows(laws)
    low, high = min(one.params for one in laws), max(one.params for one in laws)
    for row, one in zip(rows, laws, strict=True):
        ends = one.exponent_low, one.exponent_high
        row["label"] = one.law + MARKS[one.counts]
        row["slope"] = f"{one.exponent:.2f}" + (f" ({ends[0]:.2f}-{ends[1]:.2f})" if None not in ends else "")
        row["range"] = "yes" if one.extrapolation is None else _beyond(one.extrapolation)
        row["dot"] = _dot(one.params, low, high)
    apart = max(one.compute for one in laws) > 1.001 * min(one.compute for one in laws)
    columns = columns_of(
        f"label: law | {_N_D} | {'compute: FLOPs (power) | ' * apart}{_RATIO} | loss: loss (float) | "
        f"{'dot: N on a log scale (drawing 1) | ' * (high > 1.001 * low)}slope: N ~ C^a (text 2) | "
        "range: in fitted range (text 3)"
    )
    return Table("Compute-optimal, by law", columns, rows)


def _data(item: Item) -> Table:
    """For a CSV: the laws as they are, or where a model stands by them."""
    return raw_table(as_rows(item.result["standing"] if "standing" in item.result else item.result["laws"]))


def _accounting(a: Any, model: str) -> Table:
    """A training run's FLOPs, as each convention counts them."""
    rows = [
        {"name": "exact: every matrix product", "flops": a.exact, "ratio": a.exact_ratio},
        {"name": "6 N D", "flops": a.six_nd, "ratio": 1.0},
        {"name": "Hoffmann's appendix F", "flops": a.appendix_f, "ratio": a.appendix_f_ratio},
        {"name": "the same without embeddings and logits", "flops": a.appendix_f_layers, "ratio": a.appendix_f_layers_ratio},
    ]
    title = f"{model}: FLOPs of {format.count(a.tokens)} tokens, n = {a.seq:,}"
    return Table(title, columns_of("name: counted as | flops: FLOPs (power) | ratio: over 6 N D (float)"), rows)


def _standing(standing: list[Any]) -> Table:
    """Where a model stands by each law."""
    columns = columns_of(
        "law: law | loss: loss (float 2) | optimal_params: optimal N (count) | optimal_tokens: optimal D (count 4) | "
        "ratio: D/N ÷ best (factor) | verdict: so it is | excess_compute: wasted (share 1) | "
        "justified_inference: pays from (count 3)"
    )
    one = max(standing, key=lambda each: each.params)
    title = f"{format.count(round(one.params))} parameters on {format.count(round(one.tokens))} tokens"
    return Table(
        f"{title}: {format.three(one.tokens_per_param)} a parameter, {one.compute:.3g} FLOPs", columns, as_rows(standing)
    )


def _shapes(shapes: list[Any]) -> Table:
    """Models that one can build, near each optimum."""
    columns = columns_of(
        "law: law | n_layers: layers (int) | d_model: d_model (int) | n_heads: heads (int) | d_ff: d_ff (int) | "
        "params: parameters (count) | relative: off (share 1) | aspect_ratio: d/L (float 2)"
    )
    return Table("A shape near each optimum", columns, as_rows(shapes))


def _tables(item: Item) -> list[Table]:
    r = item.result
    tables = []
    if "accounting" in r:
        tables.append(_accounting(r["accounting"], item.model["title"] if item.model else ""))
    tables.append(_standing(r["standing"]) if "standing" in r else _optima(r["laws"]))
    if "standing" not in r and len(r["laws"]) > 1:
        tables.append(facts_table("The laws differ by", spread(r["laws"])))
    if "constrained" in r:
        more = "epochs: epochs (float) | loss: loss (float) | naive_loss: loss unadapted (float 1)"
        columns = columns_of(f"law: law | unique_tokens: unique (count) | {_N_D} | {more}")
        tables.append(Table("With limited unique data", columns, as_rows(r["constrained"])))
    if "lifetime" in r:
        more = f"{_RATIO} | total_compute: FLOPs in all (power) | saving: saved (share)"
        columns = columns_of(f"law: law | inference_tokens: served (count) | {_N_D} | {more}")
        tables.append(Table("Cheapest to train and serve, at the same loss", columns, as_rows(r["lifetime"])))
    if "shapes" in r:
        tables.append(_shapes(r["shapes"]))
    for each in r.get("equal_compute", []):
        columns = columns_of(f"{_N_D} | {_RATIO} | loss: loss (float) | excess_loss: over the optimum (float)")
        tables.append(Table(f"At equal compute, by {each.law}", columns, as_rows(each.rows)))
    return tables


def _facts(item: Item) -> list[Fact]:
    r = item.result
    if "standing" not in r:
        return [Fact(f"params_{one.law}", f"N by {one.law}", one.params, "count") for one in r["laws"]]
    largest = max(r["standing"], key=lambda each: each.params)
    facts = facts_of(largest, "params: parameters (count) | tokens_per_param: D/N (float) | compute: FLOPs (power)")
    return facts + [Fact(f"ratio_{one.law}", f"by {one.law}", one.ratio, "factor") for one in r["standing"]]


VIEW = View(_tables, _facts, _data)


def _fitted(item: Item) -> list[Table]:
    f, iso = item.result["fit"], item.result["isoflop"]
    ends = " | low: 10% (float) | high: 90% (float)" if f.bootstraps else ""
    columns = columns_of(f"constant: constant | value: value (float){ends}")
    tables = [Table(f"L = E + A/N^alpha + B/D^beta, N ~ C^a, fitted to {f.runs:,} runs", columns, as_rows(f.estimates))]
    facts = facts_of(
        f,
        "rmse_log: root mean square error of ln L (float) | r2: share of ln L's variance explained (share) | "
        f"agreeing: starts that ended here, of {f.starts} (int) | compute: FLOPs of the runs",
        compute=f"{f.compute_min:.3g} to {f.compute_max:.3g}",
    )
    tables.append(facts_table("", facts))
    if iso is not None:
        facts = facts_of(
            iso,
            "budgets: budgets with a minimum (int) | exponent: a of N ~ C^a (float) | coefficient: N at 1e20 FLOPs (count)",
            budgets=len(iso.budgets),
            coefficient=round(iso.coefficient),
        )
        tables.append(facts_table("Beside it, approach 2: a parabola per budget", facts))
    if item.result["laws"]:
        tables.append(_optima(item.result["laws"]))
    return tables


FIT = View(_fitted, lambda item: [Fact(e.constant, e.constant, e.value, "float") for e in item.result["fit"].estimates])
