"""The bounds, the pairs and the reach."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.bounds import Bounds

REACH = "Child et al. 2019, arXiv:1904.10509, sec. 4.2; Beltagy et al. 2020, arXiv:2004.05150, sec. 3.1"


def rows(answer: Bounds) -> list[Line]:
    """The formulas of an answer."""
    gap, pairs = answer.generalization, answer.all_pairs
    lines = [Line("generalisation gap", gap.formula, gap.numbers, gap.bound, gap.source)]
    lines += [Line(each.kind, each.formula, each.numbers, each.gap, each.source) for each in answer.certificates]
    there = gap.numbers.replace(f"({gap.examples:,})", f"({gap.enough:,})").replace(f"/ {gap.examples:,}", f"/ {gap.enough:,}")
    numbers, formula = f"{gap.enough:,}: {there} ≈ 1", f"least n with {gap.formula} < 1"
    lines.append(Line("enough examples", formula, numbers, gap.enough, gap.source, "by bisection"))
    lines += [Line(f"pairs of {pair.seq:,} tokens", "n²", f"{pair.seq:,}²", pair.pairs, pair.source) for pair in pairs]
    lines += [
        Line("causal pairs", "n·(n + 1) / 2", f"{pair.seq:,}·{pair.seq + 1:,} / 2", pair.causal_pairs, pair.source)
        for pair in pairs
    ]
    for row in answer.hops:
        for name, found in (("hops", row.hops), ("hops, causal", row.causal)):
            if found is not None:
                lines.append(Line(f"{row.pattern}, {name}", row.why, f"{found}", found, REACH, f"n = {row.seq:,}"))
    return lines
