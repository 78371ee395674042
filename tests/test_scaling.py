"""Scaling laws against the papers' own tables. What a tolerance is, and why, stands beside each."""

from __future__ import annotations

from math import isclose, log
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmcx.explain.rows.chinchilla import of_optimum
from llmcx.scaling import optimum as scaling
from llmcx.scaling.laws import Law, Parametric, Power, law
from llmcx.scaling.optimum import optimum
from tests.helpers import refuses

PRESETS = Path(__file__).resolve().parent.parent / "presets"
NAMES = (
    *("hoffmann-1", "hoffmann-2", "hoffmann-3", "epoch", "kaplan"),
    *("muennighoff", "deepseek", "llama-3", "krajewski-dense", "sardana"),
)


def data(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PRESETS / "laws" / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


LAWS = {name: law(data(name)) for name in NAMES}
PARAMETRIC = [found for found in LAWS.values() if found.form == "parametric"]

# Hoffmann et al. 2022, arXiv:2203.15556: FLOPs and tokens for models of these sizes. Half a unit of the last printed digit is
# 0.05e9 tokens in the first three rows, 0.05e12 in the others.
SIZES = (400e6, 1e9, 10e9, 67e9, 175e9, 280e9, 520e9, 1e12, 10e12)
HALF_UNITS = (*[0.05e9] * 3, *[0.05e12] * 6)


def rows(compute: str, tokens: str) -> list[tuple[float, float, float, float]]:
    """Parameters, FLOPs, tokens and half a unit of the tokens' last digit."""
    return list(zip(SIZES, map(float, compute.split()), map(float, tokens.split()), HALF_UNITS, strict=True))


TABLE_3 = rows(
    "1.92e19 1.21e20 1.23e22 5.76e23 3.85e24 9.90e24 3.43e25 1.27e26 1.30e28",
    "8.0e9 20.2e9 205.1e9 1.5e12 3.7e12 5.9e12 11.0e12 21.2e12 216.2e12",
)
TABLE_A3_2 = rows(
    "1.84e19 1.20e20 1.32e22 6.88e23 4.54e24 1.18e25 4.19e25 1.59e26 1.75e28",
    "7.7e9 20.0e9 219.5e9 1.7e12 4.3e12 7.1e12 13.4e12 26.5e12 292.0e12",
)
# The paper prints 1.26e24 for 175B, a slip: 6 · 175e9 · 12.0e12 = 1.26e25, and its neighbours are 1.71e24 and 3.52e25.
TABLE_A3_3 = rows(
    "2.21e19 1.62e20 2.46e22 1.71e24 1.26e25 3.52e25 1.36e26 5.65e26 8.55e28",
    "9.2e9 27.1e9 410.1e9 4.1e12 12.0e12 20.1e12 43.5e12 94.1e12 1425.5e12",
)


@pytest.mark.parametrize(("name", "row"), [(n, r) for n, t in (("hoffmann-1", TABLE_3), ("hoffmann-2", TABLE_A3_2)) for r in t])
def test_hoffmann_tables_of_approaches_1_and_2(name: str, row: tuple[float, float, float, float]) -> None:
    """FLOPs within 0.5 % (three printed digits, half a unit is up to 0.42 %), tokens within that and their own rounding.

    67B is a size rounded from Gopher's budget: N is free by ±0.75 % from its rounding, C goes as N², and the row does not obey
    its own 6 N D (6.03e23 against 5.76e23 printed). It gets 3 % (approach 1) and 8 % (approach 2, 7 % off the other rows' line).
    """
    params, compute, tokens, half = row
    loose = params == 67e9
    within = (0.03 if name == "hoffmann-1" else 0.08) if loose else 0.005
    best = optimum(LAWS[name], params=params)
    assert isclose(best.compute, compute, rel_tol=within)
    assert abs(best.tokens - tokens) <= half + (within + (0.05 if loose else 0)) * tokens
    assert best.loss is None
    # The other way round: N goes as C^0.5, so its error is half as large.
    assert isclose(optimum(LAWS[name], compute=compute).params, params, rel_tol=within / 2 + 0.001)


def test_exponents_lie_in_the_papers_intervals() -> None:
    """Table 2: 0.50 (0.488, 0.502), 0.49 (0.462, 0.534), 0.46, and 0.73 for Kaplan; to two digits. Besiroglu: 0.5126."""
    found = {
        name: scaling.frontier(LAWS[name]).exponent for name in ("hoffmann-1", "hoffmann-2", "hoffmann-3", "epoch", "kaplan")
    }
    assert {name: round(a, 2) for name, a in found.items() if name != "epoch"} == {
        "hoffmann-1": 0.50,
        "hoffmann-2": 0.49,
        "hoffmann-3": 0.46,
        "kaplan": 0.73,
    }
    assert round(found["epoch"], 4) == 0.5126
    for name in ("hoffmann-1", "hoffmann-2"):
        [spread] = LAWS[name].uncertainty
        assert spread.low <= found[name] <= spread.high


def test_head_to_head_at_1e21() -> None:
    """Hoffmann et al., sec. D.4: at 1e21 FLOPs approach 1 says 2.86B and Kaplan's law 4.68B. Three digits; 0.5 % for the fit."""
    assert isclose(optimum(LAWS["hoffmann-1"], compute=1e21).params, 2.86e9, rel_tol=0.005)
    assert isclose(optimum(LAWS["kaplan"], compute=1e21).params, 4.68e9, rel_tol=0.002)


def test_kaplan_tokens() -> None:
    """Table 6: D_opt = 2e10 tokens at C_min = 1 PF-day, which is C = 1.728e20 spent. One printed digit: 1.5e10 to 2.5e10."""
    best = optimum(LAWS["kaplan"], compute=2 * 8.64e19)
    assert best.params == 1.3e9
    assert 1.5e10 <= best.tokens < 2.5e10


def test_gopher_budget() -> None:
    """5.76e23 FLOPs. Fig. 4: 40B by approach 3; Table 3: 67B, ± 1.5 %; sec. 4: between 40 and 70 billion over the three."""
    assert round(optimum(LAWS["hoffmann-3"], compute=5.76e23).params / 1e9) == 40
    assert isclose(optimum(LAWS["hoffmann-1"], compute=5.76e23).params, 67e9, rel_tol=0.015)
    assert 40e9 <= optimum(LAWS["hoffmann-2"], compute=5.76e23).params <= 70e9
    rounded = LAWS["hoffmann-3"].printed
    assert rounded == Parametric(1.69, 406.4, 410.7, 0.34, 0.28)
    assert rounded is not None
    assert round(optimum(Law("rounded", "", rounded, 1, 2, ""), compute=5.76e23).params / 1e9) == 32  # why these are not used


@pytest.mark.parametrize("row", TABLE_A3_3)
def test_hoffmann_table_of_approach_3(row: tuple[float, float, float, float]) -> None:
    """The table was not made with the constants the paper gives: with its TeX digits FLOPs and tokens come out 2 % to 19 %
    higher, with the printed ones 57 % to 122 %. So 20 %, one-sided; and at the same budget N within 9 % (0.457 of that).
    """
    params, compute, tokens, _ = row
    best = optimum(LAWS["hoffmann-3"], params=params)
    assert 1 <= best.compute / compute <= 1.20
    assert 1 <= best.tokens / tokens <= 1.20
    assert 0.91 <= optimum(LAWS["hoffmann-3"], compute=compute).params / params <= 1
    rounded = Law("rounded", "", Parametric(1.69, 406.4, 410.7, 0.34, 0.28), 1, 2, "")
    assert optimum(rounded, params=params).compute / compute > 1.5


# eq. 4 worked out apart from this package: law, C, N, D, D/N, L, to the digits written.
EQ_4 = [
    ("hoffmann-3", 1e19, 2.706e8, 6.16e9, 22.76, 2.9216),
    ("hoffmann-3", 1e21, 2.215e9, 7.526e10, 33.98, 2.2954),
    ("hoffmann-3", 5.76e23, 4.031e10, 2.382e12, 59.08, 1.9184),
    ("hoffmann-3", 1e24, 5.185e10, 3.214e12, 61.98, 1.9000),
    ("hoffmann-3", 3.8e25, 2.729e11, 2.321e13, 85.06, 1.8110),
    ("epoch", 1e19, 2.622e8, 6.357e9, 24.25, 2.9271),
    ("epoch", 1e21, 2.778e9, 5.999e10, 21.59, 2.3055),
    ("epoch", 5.76e23, 7.225e10, 1.329e12, 18.39, 1.9744),
    ("epoch", 1e24, 9.586e10, 1.739e12, 18.14, 1.9597),
    ("epoch", 3.8e25, 6.187e11, 1.024e13, 16.55, 1.8917),
]


@pytest.mark.parametrize(("name", "compute", "params", "tokens", "ratio", "expected"), EQ_4)
def test_closed_form(name: str, compute: float, params: float, tokens: float, ratio: float, expected: float) -> None:
    """Half a unit of the fourth digit is at most 0.05 %."""
    best = optimum(LAWS[name], compute=compute)
    assert isclose(best.params, params, rel_tol=5e-4)
    assert isclose(best.tokens, tokens, rel_tol=5e-4)
    assert isclose(best.tokens_per_param, ratio, rel_tol=5e-4)
    assert best.loss is not None
    assert abs(best.loss - expected) <= 6e-5


def test_closed_form_by_hand() -> None:
    """A law whose eq. 4 can be done in the head: alpha = beta = 1/2, A = 4 B, so G = 4 and a = b = 1/2.

    C = 6e6: C/6 = 1e6, N = 4 · 1000, D = 1000 / 4, L = 1 + 40 / sqrt(4000) + 10 / sqrt(250) = 1 + 0.632456 + 0.632456.
    """
    mine = Law("mine", "", Parametric(1, 40, 10, 0.5, 0.5), 1, 1e9, "")
    best = optimum(mine, compute=6e6)
    assert isclose(best.params, 4000) and isclose(best.tokens, 250)
    assert best.loss is not None and isclose(best.loss, 2.264911, rel_tol=1e-6)
    # k = 24: C/k = 250,000, N = 4 · 500, D = 500 / 4.
    other = optimum(mine, compute=6e6, flops_per_param_token=24)
    assert isclose(other.params, 2000) and isclose(other.tokens, 125)


def test_chinchilla_against_gopher() -> None:
    """The chapter's A against B at equal compute, by hand with approach 3: 5.76e23 / (6 · 280e9) = 3.42857e11 tokens.

    280e9^0.3392 = e^(26.3580 · 0.3392) = 7636, 406.4 / 7636 = 0.0532; 3.42857e11^0.2849 = e^(26.5606 · 0.2849) = 1934,
    410.7 / 1934 = 0.2124; 1.6934 + 0.0532 + 0.2124 = 1.9590. For 70e9 and 1.37143e12: 0.0852 + 0.1431, 1.9217.
    """
    table = scaling.at_equal_compute(LAWS["hoffmann-3"], 5.76e23, [280e9, 70e9])
    gopher, chinchilla = table.rows
    assert isclose(gopher.tokens, 3.42857e11, rel_tol=1e-5)
    assert isclose(gopher.tokens_per_param, 1.224, rel_tol=1e-3)
    assert abs(gopher.loss - 1.9590) < 2e-4
    assert abs(chinchilla.loss - 1.9217) < 2e-4
    assert table.best == 1
    assert gopher.excess_loss > chinchilla.excess_loss > 0
    # The refit agrees on the winner.
    assert scaling.at_equal_compute(LAWS["epoch"], 5.76e23, [280e9, 70e9]).best == 1


def test_published_budgets() -> None:
    """6 N D against FLOPs that the authors print: GPT-3 3.14e23 (Table D.1; 174.6B, 300B tokens), Llama 3.1 405B 3.8e25."""
    assert isclose(scaling.training_compute(174.6e9, 300e9), 3.14e23, rel_tol=0.002)
    assert isclose(scaling.training_compute(405e9, 15.6e12), 3.8e25, rel_tol=0.005)


def test_gpu_hours_by_hand() -> None:
    """1 h of 312e12 FLOP/s at 50 %: 3600 · 156e12 = 5.616e17. Llama 2 70B's 1,720,320 A100-hours: 1.9323e24 at the peak."""
    assert scaling.gpu_compute(1, 312e12, 0.5) == 5.616e17
    assert isclose(scaling.gpu_compute(1_720_320, 312e12, 1), 1.9323e24, rel_tol=1e-4)


# --- what must always hold ------------------------------------------------------------------------------------------

budgets = st.floats(1e15, 1e30)
factors = st.floats(1, 100)


@given(st.sampled_from(NAMES), budgets, factors)
def test_budget_is_spent_exactly(name: str, compute: float, k: float) -> None:
    best = optimum(LAWS[name], compute=compute, flops_per_param_token=k)
    assert best.compute == compute
    assert isclose(k * best.params * best.tokens, compute, rel_tol=1e-12)
    assert isclose(scaling.training_compute(best.params, best.tokens, k), compute, rel_tol=1e-12)
    assert isclose(best.tokens_per_param, best.tokens / best.params)


@given(st.sampled_from(NAMES), budgets, factors)
def test_three_ways_in_are_one(name: str, compute: float, k: float) -> None:
    """1e-9: exponents 1 / (1 - a) up to 3.7 enlarge rounding of some 1e-15 in logarithms of up to 70."""
    best = optimum(LAWS[name], compute=compute, flops_per_param_token=k)
    for again in (
        optimum(LAWS[name], params=best.params, flops_per_param_token=k),
        optimum(LAWS[name], tokens=best.tokens, flops_per_param_token=k),
    ):
        assert isclose(again.compute, compute, rel_tol=1e-9)
        assert isclose(again.params, best.params, rel_tol=1e-9)
        assert isclose(again.tokens, best.tokens, rel_tol=1e-9)


@given(st.sampled_from(PARAMETRIC), budgets, factors, st.floats(1.01, 100), st.booleans())
def test_optimum_beats_its_neighbours(found: Law, compute: float, k: float, ratio: float, larger: bool) -> None:
    best = optimum(found, compute=compute, flops_per_param_token=k)
    size = best.params * ratio if larger else best.params / ratio
    [row] = scaling.at_equal_compute(found, compute, [size], k).rows
    assert row.excess_loss > 0
    assert isclose(k * row.params * row.tokens, compute, rel_tol=1e-12)


@given(st.sampled_from(PARAMETRIC), budgets)
def test_optimum_balances_its_terms(found: Law, compute: float) -> None:
    """At the optimum the marginal losses are equal: alpha A / N^alpha = beta B / D^beta."""
    best, c = optimum(found, compute=compute), found.constants
    assert isinstance(c, Parametric)
    assert isclose(c.alpha * c.A / best.params**c.alpha, c.beta * c.B / best.tokens**c.beta, rel_tol=1e-9)


@given(st.sampled_from(PARAMETRIC), budgets, st.floats(1.1, 1000))
def test_more_compute_is_never_worse(found: Law, compute: float, more: float) -> None:
    less, best = optimum(found, compute=compute), optimum(found, compute=compute * more)
    assert less.loss is not None and best.loss is not None
    assert best.loss < less.loss
    assert isinstance(found.constants, Parametric)
    assert best.loss > found.constants.E


@given(st.floats(1, 1e9), st.floats(1e12, 1e16), st.floats(0.01, 1))
def test_hours_and_back(hours: float, peak: float, mfu: float) -> None:
    assert isclose(scaling.gpu_hours(scaling.gpu_compute(hours, peak, mfu), peak, mfu), hours, rel_tol=1e-12)


@given(st.sampled_from(NAMES), budgets)
def test_range(name: str, compute: float) -> None:
    found = LAWS[name]
    best = optimum(found, compute=compute)
    assert best.in_range == (found.compute_min <= compute <= found.compute_max)
    assert best.in_range == (best.warning is None)
    if best.warning is not None:
        assert name in best.warning and "extrapolation" in best.warning


@given(st.sampled_from(NAMES), budgets)
def test_explanation_ends_in_the_answer(name: str, compute: float) -> None:
    best = optimum(LAWS[name], compute=compute)
    lines = of_optimum(LAWS[name], best, "compute")
    told = {line.component: line.value for line in lines}
    expected = {"params": best.params, "tokens": best.tokens, "tokens_per_param": best.tokens_per_param}
    assert isclose(told.pop("compute"), compute, rel_tol=1e-12)
    assert told == expected | ({} if best.loss is None else {"loss": best.loss})
    assert all("arXiv" in line.source for line in lines)


# --- the files ------------------------------------------------------------------------------------------------------


def test_every_file_is_tested() -> None:
    assert {path.stem for path in (PRESETS / "laws").glob("*.yaml")} == {*NAMES, "krajewski-moe"}


@pytest.mark.parametrize("name", NAMES)
def test_file(name: str) -> None:
    found = LAWS[name]
    assert found.name == name
    assert found.title != name and "arXiv" in found.source and found.notes
    assert found.range_note
    text = (PRESETS / "laws" / f"{name}.yaml").read_text(encoding="utf-8")
    assert all(len(line) <= 130 for line in text.splitlines())


def test_epochs_standard_errors() -> None:
    """Table 1 of arXiv:2404.10102."""
    errors = {spread.constant: (spread.high - spread.low) / 2 for spread in LAWS["epoch"].uncertainty}
    table = {"E": 0.03, "A": 124.58, "B": 1293.23, "alpha": 0.02, "beta": 0.02, "a": 0.02}
    assert errors == pytest.approx(table)


def test_fit_is_the_least_squares_line() -> None:
    """The constants of approaches 1 and 2 are not printed anywhere; the files say how they were fitted, and this repeats it."""
    for name, table in (("hoffmann-1", TABLE_3), ("hoffmann-2", TABLE_A3_2)):
        points = [(log(c / 1e21), log(n)) for n, c, _, _ in table if n != 67e9]
        mx, my = (sum(point[i] for point in points) / len(points) for i in (0, 1))
        slope = sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)
        line = LAWS[name].constants
        assert isinstance(line, Power)
        assert line.exponent == round(slope, 4)
        assert isclose(log(line.coefficient), my - slope * mx, abs_tol=2e-4)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "compute"),
        ({"compute": 1e21, "params": 1e9}, "compute"),
        ({"compute": 0}, "compute"),
        ({"compute": -1e21}, "compute"),
        ({"compute": float("nan")}, "compute"),
        ({"compute": float("inf")}, "compute"),
        ({"compute": 10**400}, "compute"),
        ({"compute": True}, "compute"),
        ({"compute": "1e21"}, "compute"),
        ({"params": 0.5}, "params"),
        ({"tokens": -1}, "tokens"),
        ({"compute": 1e21, "flops_per_param_token": 0}, "flops_per_param_token"),
    ],
)
def test_bad_optimum(arguments: dict[str, Any], field: str) -> None:
    for found in LAWS.values():
        with refuses(field):
            optimum(found, **arguments)


def test_bad_amounts() -> None:
    three = LAWS["hoffmann-3"]
    for call, field in (
        (lambda: scaling.loss(LAWS["hoffmann-1"], 1e9, 1e9), "law"),
        (lambda: scaling.loss(three, 0, 1e9), "params"),
        (lambda: scaling.loss(three, 1e9, float("nan")), "tokens"),
        (lambda: scaling.training_compute(1e9, 1e9, -6), "flops_per_param_token"),
        (lambda: scaling.gpu_compute(1, 312e12, 1.01), "mfu"),
        (lambda: scaling.gpu_compute(1, 312e12, 0), "mfu"),
        (lambda: scaling.gpu_compute(-1, 312e12, 0.5), "gpu_hours"),
        (lambda: scaling.gpu_compute(1, 0, 0.5), "peak_flops"),
        (lambda: scaling.gpu_hours(0, 312e12, 0.5), "compute"),
        (lambda: scaling.at_equal_compute(three, 1e21, []), "sizes"),
        (lambda: scaling.at_equal_compute(three, 1e21, [1e21]), "sizes"),
        (lambda: scaling.at_equal_compute(three, 1, [1]), "compute"),
        (lambda: scaling.at_equal_compute(LAWS["kaplan"], 1e21, [1e9]), "law"),
    ):
        with refuses(field):
            call()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"form": "parametrik"}, "form"),
        ({"tittle": "x"}, "tittle"),
        ({"constants": {"E": 1.7}}, "constants.A"),
        ({"constants": {"E": 1.7, "A": 1, "B": 1, "alpha": 0, "beta": 1}}, "constants.alpha"),
        ({"constants": {"E": -1, "A": 1, "B": 1, "alpha": 1, "beta": 1}}, "constants.E"),
        ({"constants": {"E": 1, "A": "1e3", "B": 1, "alpha": 1, "beta": 1}}, "constants.A"),
        ({"constants": {"E": 1, "A": 1, "B": 1, "alpha": 1, "beta": 1, "gamma": 1}}, "constants.gamma"),
        ({"constants": [1]}, "constants"),
        ({"form": "power", "constants": {"coefficient": 1, "compute": 1, "exponent": 1}}, "constants.exponent"),
        ({"range": {"compute": [3e21, 6e18]}}, "range.compute"),
        ({"range": {"compute": 3e21}}, "range.compute"),
        ({"range": None}, "range"),
        ({"source": ""}, "source"),
        ({"parameters": "some"}, "parameters"),
        ({"notes": "one"}, "notes"),
        ({"uncertainty": {"kind": "±", "delta": 1}}, "uncertainty.delta"),
        ({"uncertainty": {"A": 1}}, "kind"),
    ],
)
def test_bad_law(change: dict[str, Any], field: str) -> None:
    with refuses(field):
        law(data("epoch") | change)


def test_overflowing_law_is_refused() -> None:
    steep = Law("steep", "", Power(1e9, 1e20, 1e-4), 1, 2, "")
    with refuses("params"):
        optimum(steep, params=1e12)
    with refuses("law"):
        optimum(Law("flat", "", Parametric(1, 1e50, 1, 1e-9, 1e-9), 1, 2, ""), compute=1e21)
