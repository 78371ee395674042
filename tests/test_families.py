"""config.json readers against what transformers builds and FlopCounterMode counts: every case of tests/oracle/golden.json.

The numbers were measured on the real models (tests/oracle/measure.py); nothing here computes a count. The README's table is
written from the same outcome: `python tests/test_families.py` rewrites it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from llmcx.core.errors import InputError
from llmcx.core.flops import flops
from llmcx.core.params import params
from llmcx.families import WHERE, from_config

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = json.loads((ROOT / "tests" / "oracle" / "golden.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = [case for case in GOLDEN["cases"] if case["kind"] in ("params", "flops")]
BEGIN, END = "<!-- families: written by tests/test_families.py -->", "<!-- end of families -->"


def ours(case: dict[str, Any]) -> dict[str, int]:
    """Our figures for a case, by the names that the golden file uses."""
    spec = from_config(case["config"], case["id"])
    counted = params(spec)
    out = {"params": counted.total, "embedding": counted.embedding}
    # `varies`: experts that dropped tokens; which ones depends on the weights, and we count every token.
    if case["kind"] == "flops" and "varies" not in case:
        seq = case["decoder_seq"] if spec.encoder and spec.decoder else case["seq"]
        run = flops(spec, case["batch"], seq, source=case["seq"])
        out |= {"forward": run.forward.total, "forward_backward": run.train.total}
    return out


def outcome(case: dict[str, Any]) -> str:
    """exact, refused or wrong."""
    try:
        found = ours(case)
    except InputError:
        return "refused"
    return "exact" if all(found[key] == case[key] for key in found if key in case) else "wrong"


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    """Exact, or refused; a wrong number never."""
    try:
        found = ours(case)
    except InputError as refusal:
        assert len(str(refusal).splitlines()) == 1
        return
    assert {key: case[key] for key in found if key in case} == {key: found[key] for key in found if key in case}


def table() -> str:
    """Families, cases tried, exact, refused, wrong."""
    tally: dict[str, dict[str, int]] = {name: {"exact": 0, "refused": 0, "wrong": 0} for name in sorted(WHERE)}
    for case in CASES:
        row = tally.setdefault(case["model_type"], {"exact": 0, "refused": 0, "wrong": 0})
        row[outcome(case)] += 1
    rows = ["| model_type | cases | exact | refused | wrong |", "| --- | ---: | ---: | ---: | ---: |"]
    total = {"exact": 0, "refused": 0, "wrong": 0}
    for name, row in sorted(tally.items()):
        rows.append(f"| {name} | {sum(row.values())} | {row['exact']} | {row['refused']} | {row['wrong']} |")
        total = {key: total[key] + row[key] for key in total}
    rows.append(f"| **all {len(tally)}** | {sum(total.values())} | {total['exact']} | {total['refused']} | {total['wrong']} |")
    head = f"torch {GOLDEN['torch']}, transformers {GOLDEN['transformers']}:"
    return "\n".join([BEGIN, head, "", *rows, END])


if __name__ == "__main__":
    readme = ROOT / "README.md"
    text = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: table(), readme.read_text(encoding="utf-8"), flags=re.S)
    readme.write_text(text, encoding="utf-8")
