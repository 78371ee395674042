"""The peak of a training step beside torch's own memory trackers, on fake tensors (tests/oracle/phases.py)."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from llmcx.answers.memory import memory
from llmcx.catalog.load import from_data, load_preset
from llmcx.engines.recipe import Recipe
from llmcx.parallel.layout import Layout
from tests.helpers import between, refused, write_between

PAGE = Path(__file__).resolve().parent.parent / "docs/engines.md"
GOLDEN = json.loads((Path(__file__).parent / "oracle" / "phases.json").read_text(encoding="utf-8"))
LAYOUTS = {"one": Layout(), "fsdp": Layout(dp=8, zero=3), "fsdp-keep": Layout(dp=8, zero=2)}


def of(case: dict[str, Any]) -> int:
    """llmcx's bytes at the peak."""
    engine = "transformers" if case["layout"] == "one" else "fsdp"
    recipe = Recipe(case["precision"], "adamw", engine=engine)
    spec = from_data(case["config"], case["config"]["model_type"])
    return memory(spec, case["batch"], case["seq"], train=True, recipe=recipe, layout=LAYOUTS[case["layout"]]).total_bytes


def name(case: dict[str, Any]) -> str:
    return "-".join(str(case[key]) for key in ("layout", "precision", "seq"))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['config']['model_type']}-{name(case)}")
def test_peaks_are_those_of_torch(case: dict[str, Any]) -> None:
    found, peak = of(case), case["peak"]["Total"]
    assert found == pytest.approx(peak, rel=0.05), case["peak"]


def test_most_peaks_are_exact() -> None:
    """Half of all peaks to a thousandth; the rest are tensors of rotary tables and of a step's own bookkeeping."""
    off = [abs(of(case) / case["peak"]["Total"] - 1) for case in GOLDEN["cases"]]
    assert median(off) < 0.002


def test_a_loop_with_several_micro_batches_has_gradients_all_along() -> None:
    """LLaMA-2-7B in pure bf16: 4 parts of 13.48 GB are there at once from the second micro-batch on."""
    spec, recipe = load_preset("llama2-7b"), Recipe("bf16", "adamw", engine="transformers")
    one = memory(spec, 1, 512, train=True, recipe=recipe, layout=Layout())
    two = memory(spec, 1, 512, train=True, recipe=recipe, layout=Layout(micro_batches=2))
    assert one.peak is not None and two.peak is None
    assert two.total_bytes > one.total_bytes
    assert one.total_bytes == pytest.approx(4 * 2 * 6_738_415_616, rel=0.001)  # the step: weights, gradients, two moments


def test_what_trains_by_fsdp_says_how() -> None:
    assert "--zero 3" in refused("memory", "llama2-7b", "--train", "--engine", "fsdp", "--gpus", "8", "--zero", "1")


def table() -> str:
    """Family by family: the largest deviation in each layout."""
    rows = [f"| model_type | {' | '.join(LAYOUTS)} |", "| --- |" + " ---: |" * len(LAYOUTS)]
    for family in dict.fromkeys(case["config"]["model_type"] for case in GOLDEN["cases"]):
        cells = []
        for layout in LAYOUTS:
            mine = [case for case in GOLDEN["cases"] if (case["config"]["model_type"], case["layout"]) == (family, layout)]
            cells.append(f"{max((of(case) / case['peak']['Total'] - 1 for case in mine), key=abs):+.2%}")
        rows.append(f"| {family} | {' | '.join(cells)} |")
    return f"Peaks beside torch {GOLDEN['torch']} and transformers {GOLDEN['transformers']}, the worst of each:\n\n" + "\n".join(
        rows
    )


def test_table_is_current() -> None:
    """`python tests/test_phases.py` writes it."""
    assert between(PAGE, "phases") == table()


if __name__ == "__main__":
    write_between(PAGE, "phases", table())
