"""The estimates hold against published runs, and docs/validation.md says how well. `python tests/test_validation.py` rewrites
it.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmcx.answers.plan import plan  # noqa: E402
from llmcx.catalog import data as catalog  # noqa: E402
from llmcx.catalog.presets import load_preset  # noqa: E402
from llmcx.engines import efficiency as calibration  # noqa: E402
from llmcx.engines.training_time import Trainer  # noqa: E402
from llmcx.machine.roofline import IDEAL  # noqa: E402
from tests import published, validation  # noqa: E402

PAGE = ROOT / "docs" / "validation.md"


def test_training_within_the_goal() -> None:
    rows = [*validation.training(), *(row for row, _, _ in validation.hours()), *validation.steps()]
    assert validation.typical(rows, False) <= 0.15


def test_serving_within_the_goal() -> None:
    assert validation.typical([*validation.serving(), *validation.latency()], False) <= 0.20


def test_the_factors_are_the_fit() -> None:
    """Rounded to two digits, each stack's factor makes the median of estimate / measured over its calibrating rows 1."""
    for group in ("megatron", "fsdp"):
        assert abs(validation.balance(validation.training(), group) - 1) < 0.02


def test_steps_of_each_kind_within_the_goal() -> None:
    """Ten rows or more of a kind: a fifth at most, on rows that the numbers have not seen."""
    by_kind: dict[str, list[validation.Row]] = {}
    for row in validation.steps():
        by_kind.setdefault(row.kind, []).append(row)
    for kind, rows in by_kind.items():
        if len(rows) >= 10:
            assert validation.typical(rows, False) <= 0.20, kind


def test_the_band_holds_what_it_says() -> None:
    """The 10-90 band holds 75 to 85% of the rows that only test."""
    assert 0.75 <= validation.within(validation.steps()) <= 0.85
    assert 0.75 <= validation.within(validation.one_user()) <= 0.85


def test_one_user_within_the_goal() -> None:
    rows = validation.one_user()
    assert validation.typical(rows, False) <= 0.15
    for kind in {row.kind for row in rows}:
        of = [row for row in rows if row.kind == kind]
        if len(of) >= 10:
            assert validation.typical(of, False) <= 0.22, kind
    assert all(row.measured < row.ideal for row in rows)


def test_chips_that_calibrate_nothing() -> None:
    """No row of theirs is of a chip that was measured for the fit; nothing beats the ideal; tokens are within the goal where
    kin were measured, and the ranges, twice as wide, hold four rows in five there.
    """
    rows = validation.chips()
    assert not {run.hardware for run in published.local("published_chips.csv")} & {run.hardware for run in published.local()}
    assert all(row.measured < row.ideal for row in rows)
    kin = [row for row in rows if not row.kind.endswith("AMD and Intel")]
    assert validation.typical([row for row in kin if row.kind.startswith("decode")], False) <= 0.15
    assert validation.within(kin) >= 0.8


def test_what_was_measured_is_said() -> None:
    """llama.cpp's file names the chips of the published rows, on which alone its ranges are not widened."""
    measured = {run.hardware for run in published.local() if run.engine == "llama.cpp"}
    assert set(calibration.data("llama_cpp")["measured"]) == measured


def test_no_published_row_is_left_out() -> None:
    """Rows of the shared table of published figures that train or run for one user are all here, with what was measured."""
    shared = ROOT.parent / "shared" / "silicon" / "published.csv"
    if not shared.exists():
        pytest.skip("the shared table of published figures is not beside this checkout")
    ours = {(run.hardware, run.step_s) for run in published.steps()} | {(run.hardware, run.rate) for run in published.local()}
    with shared.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"].startswith(("training", "fine-tuning", "local engines")):
                assert (row["command"].partition("--hardware ")[2].split()[0], float(row["measured"])) in ours


def test_gpt_3s_compute() -> None:
    """Brown et al. 2020, arXiv:2005.14165, Table D.1: 3.14e23 FLOPs for 300 B tokens, as 6 N D; attention's n² and the head come
    on top.
    """
    trainer = Trainer(load_preset("gpt3"), 2048, catalog.load_hardware("v100"))
    total = trainer.model_flops * 300e9 / 2048
    assert 1.0 < total / 3.14e23 < 1.04


def test_nothing_beats_the_ideal() -> None:
    """The bound is a bound: no measured step is faster, no measured throughput higher."""
    assert all(row.measured > row.ideal for row in [*validation.training(), *validation.steps()])
    assert all(row.measured < row.ideal for row in validation.serving())


def test_half_of_the_rows_calibrate() -> None:
    rows = validation.training()
    assert 0.4 <= sum(row.calibrates for row in rows) / len(rows) <= 0.6
    assert not any(row.calibrates for row in validation.serving())


def test_a_layout_near_the_published_one() -> None:
    """Llama 3.1 405B on 16,384 H100 ran with TP 8, PP 16, DP 128 (arXiv:2407.21783, Table 4): that is among the layouts that
    fit, within a tenth of the best, which has as many replicas."""
    hardware = catalog.load_hardware("h100")
    trainer = Trainer(load_preset("llama-3.1-405b"), 8192, hardware, calibration.efficiency(hardware, "megatron")[0])
    found = plan(trainer, 16384, 2048, hardware.memory_bytes, keep=10**6)
    best = found.best[0]
    theirs = next(c for c in found.best if (c.layout.tp, c.layout.pp, c.layout.cp, c.layout.dp) == (8, 16, 1, 128))
    assert best.layout.dp == 128
    assert theirs.step.total / best.step.total < 1.1
    assert Trainer(load_preset("llama-3.1-405b"), 8192, hardware, IDEAL).step(best.layout, 2048).total < best.step.total


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == validation.page()


if __name__ == "__main__":
    PAGE.write_text(validation.page(), encoding="utf-8")
