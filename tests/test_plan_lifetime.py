"""The plan for a lifetime: what its authors' code and pages print (Sardana et al. 2024; de Vries 2023), and dollars by hand."""

from __future__ import annotations

import json
import shlex
from math import isclose
from pathlib import Path
from typing import Any

import pytest

import llmcx
from llmcx.answers.plan_lifetime import Demand, Where, plan, quality
from llmcx.catalog.data import load_hardware, load_law
from llmcx.scaling.laws import Law, Parametric
from llmcx.scaling.optimum import optimum
from llmcx.scaling.standing import lifetime, loss_at, of_loss, smaller
from tests.helpers import data, here, refused

ROOT = Path(__file__).resolve().parent.parent
LAW = ROOT / "docs" / "sardana-law.yaml"
GOLDEN = json.loads((ROOT / "tests" / "oracle" / "sardana.json").read_text(encoding="utf-8"))
THEIRS = Law("theirs", "", Parametric(**GOLDEN["constants"]), 6e18, 3e21, "")


def planned(line: str) -> dict[str, Any]:
    found: dict[str, Any] = data("plan", "lifetime", *shlex.split(line))["result"]
    return found


# --- Sardana et al. ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", GOLDEN["flops"], ids=lambda row: f"{row['loss']}-{row['served']:g}")
def test_flops_as_the_authors_code(row: dict[str, float]) -> None:
    best = of_loss(THEIRS, row["loss"])
    assert isclose(best.params, row["base_params"], rel_tol=1e-6) and isclose(best.tokens, row["base_tokens"], rel_tol=1e-6)
    found = lifetime(THEIRS, best, row["served"])
    for ours, theirs in (
        ("params", "params"),
        ("tokens", "tokens"),
        ("total_compute", "total"),
        ("baseline_compute", "base_total"),
    ):
        assert isclose(getattr(found, ours), row[theirs], rel_tol=1e-5), ours


@pytest.mark.parametrize(
    "row", GOLDEN["dollars"], ids=lambda row: f"{row['train']}-{row['serve']}-{row['loss']}-{row['requests']:g}"
)
def test_dollars_as_the_authors_code(row: dict[str, Any]) -> None:
    """int8 on an A100, fp8 and bf16 on an H100: peaks of their datasheets, which their code rounds (989 TFLOP/s for 989.4)."""
    chips = {"A100_80": "a100", "A100_40": "a100-40gb", "H100": "h100"}
    train, serve = (load_hardware(chips[row[each]]) for each in ("train", "serve"))
    place = Where(train, serve, row["train_price"], row["price"], row["mfu"], row["prefill_mfu"], row["decode_mfu"])
    tokens = row["requests"] * (row["prompt"] + row["output"])
    demand = Demand(tokens, row["prompt"] / (row["prompt"] + row["output"]))
    [found] = plan([(THEIRS, of_loss(THEIRS, row["loss"]))], demand, [place], [row["dtype"]]).choices
    for ours, theirs in (("params", "params"), ("tokens", "tokens"), ("total", "total"), ("baseline_total", "base_total")):
        assert isclose(getattr(found, ours), row[theirs], rel_tol=1e-3), ours


def test_the_examples_of_their_readme() -> None:
    """compute_optimal.py --loss 1.947 --inference_tokens 2e12, and cost_optimal.py with A100s, as printed."""
    [one] = planned(f"--loss 1.947 --inference-tokens 2T --law '{LAW}'")["choices"]
    assert f"{one['params']:.3e}" == "2.418e+10" and f"{one['tokens']:.3e}" == "2.657e+12"
    assert f"{one['params'] / one['baseline_params']:.2%}" == "70.96%"
    assert f"{one['tokens'] / one['baseline_tokens']:.2%}" == "146.77%" and f"{1 - one['saving']:.2%}" == "95.22%"
    words = f"--loss 1.947 --inference-tokens 12500B --prompt 1000 --output 250 --law '{LAW}' --hardware a100-40gb --dtype int8"
    words += " --price 0.6 --train-hardware a100 --train-price 1.4 --mfu 0.5 --prefill-mfu 0.4 --decode-mfu 0.2"
    [one] = planned(words)["choices"]
    assert f"{one['params']:.3e}" == "2.053e+10" and f"{one['tokens']:.3e}" == "3.302e+12"
    assert f"{one['params'] / one['baseline_params']:.2%}" == "60.23%"
    assert f"{one['tokens'] / one['baseline_tokens']:.2%}" == "182.41%" and f"{1 - one['saving']:.2%}" == "88.76%"


def test_their_model_calculator() -> None:
    """model_calculator.py: 70B on 1T tokens, and 30B at its best on 1.556T."""
    assert f"{loss_at(THEIRS.constants, 70e9, 1e12):.3f}" == "1.947"  # type: ignore[arg-type]
    best = optimum(THEIRS, params=30e9)
    assert f"{best.tokens:.3e} {best.compute:.3e}" == "1.556e+12 2.801e+23" and isclose(best.loss or 0, 1.958253360475841)


# --- de Vries --------------------------------------------------------------------------------------------------------------

TABLE = [  # C; N, D of the optimum, of half its size, of 0.3 of it, in billions: "Training tokens for various k_N"
    (2.21e19, 0.40, 9.22, 0.20, 22.28, 0.12, 63.20),
    (1.62e20, 0.99, 27.20, 0.50, 65.70, 0.30, 186.35),
    (2.46e22, 9.87, 415.53, 4.93, 1003.77, 2.96, 2847.27),
    (1e23, 18.73, 889.63, 9.37, 2149.02, 5.62, 6095.86),
    (1.71e24, 68.60, 4154.24, 34.30, 10035.16, 20.58, 28465.50),
]


@pytest.mark.parametrize("row", TABLE)
def test_the_table_of_go_smol_or_go_home(row: tuple[float, ...]) -> None:
    """As printed, to half a unit of the last digit of N and of D, which it gives to a hundredth of a billion."""
    compute, n, d, *others = row
    best = optimum(THEIRS, compute=compute)
    assert abs(best.params / 1e9 - n) <= 0.006 and isclose(best.tokens / 1e9, d, rel_tol=1e-3)
    for size, (params, tokens) in zip((0.5, 0.3), (others[:2], others[2:]), strict=True):
        found = smaller(THEIRS, best, size)
        assert found is not None
        assert abs(found.params / 1e9 - params) <= 0.006 and isclose(found.tokens / 1e9, tokens, rel_tol=1e-3)


@pytest.mark.parametrize(("size", "printed"), [(0.75, 0.028), (0.5, 0.20), (0.25, 1.88), (0.6, 0.10), (0.4, 0.42), (0.3, 1.0)])
def test_the_overheads_of_go_smol_or_go_home(size: float, printed: float) -> None:
    """ "2.8%", "20%", "188%"; "10-42%" at 60 to 40%; "around 30% ... a 100% overhead"."""
    found = smaller(THEIRS, optimum(THEIRS, compute=1e23), size)
    assert found is not None and abs(found.overhead - printed) <= (0.06 if size == 0.3 else 0.02 if size == 0.4 else 0.01)


def test_smaller_models_reach_the_same_loss_and_pay_where_they_are_cheapest() -> None:
    """At the demand from which a size pays, it is the optimum of :func:`lifetime`; below a least size no tokens suffice."""
    law = load_law("epoch")
    best = optimum(law, params=13e9)
    half = smaller(law, best, 0.5)
    assert half is not None
    assert isclose(loss_at(law.constants, half.params, half.tokens), best.loss or 0, rel_tol=1e-12)  # type: ignore[arg-type]
    assert isclose(lifetime(law, best, half.pays_from).params, half.params, rel_tol=1e-6)
    assert smaller(law, best, 0.05) is None and smaller(law, best, 1.0).overhead == pytest.approx(0)  # type: ignore[union-attr]


# --- by hand -----------------------------------------------------------------------------------------------------------------


def test_dollars_by_hand() -> None:
    """H100 at 3.6 USD an hour: a thousandth a second. Trained at 40% of 989.4 TFLOP/s; prompts in fp8 at 50% of 1,978.9, answers
    at 5% of as many; of a request three tokens in four in its prompt.
    """
    chip = load_hardware("h100")
    place = Where(chip, chip, 3.6, 3.6, 0.4, 0.5, 0.05)
    assert isclose(place.training, 1e-3 / (0.4 * chip.flops("bf16")))
    fast = chip.flops("fp8")
    assert isclose(place.serving("fp8", 0.75), 1e-3 * (0.75 / (0.5 * fast) + 0.25 / (0.05 * 2 * chip.flops("bf16"))))
    assert isclose(place.serving("int4", 0.0), 1e-3 / (0.05 * 4 * chip.flops("bf16")))
    law = load_law("hoffmann-3")
    best = quality(law, params=13e9)
    [one] = plan([(law, best)], Demand(1e12, 0.75), [place], ["fp8"]).choices
    assert isclose(one.training, 6 * one.params * one.tokens * place.training)
    assert isclose(one.serving, 2 * one.params * 1e12 * place.serving("fp8", 0.75))
    assert one.total == one.training + one.serving < one.baseline_total and isclose(one.loss, best.loss or 0)


def test_no_neighbour_is_cheaper() -> None:
    """Sizes a little smaller and larger, on the tokens that they need for the same loss."""
    law = load_law("epoch")
    best = quality(law, params=70e9)
    chip = load_hardware("h100")
    place = Where(chip, chip, 2.0, 2.0, 0.4, 0.5, 0.05)
    [one] = plan([(law, best)], Demand(1e13), [place], ["bf16"]).choices
    for factor in (0.97, 1.03):
        other = smaller(law, best, factor * one.params / best.params)
        assert other is not None
        cost = 6 * other.params * other.tokens * place.training + 2 * other.params * 1e13 * place.serving("bf16", 0.5)
        assert cost > one.total


def test_nothing_served_is_the_training_optimum() -> None:
    [one] = planned("--params 13B --inference-tokens 0 --law epoch")["choices"]
    assert isclose(one["params"], 13e9, rel_tol=1e-9) and abs(one["saving"]) < 1e-9


def test_more_demand_makes_models_smaller() -> None:
    sizes = [planned(f"--params 13B --inference-tokens {n} --law epoch")["choices"][0]["params"] for n in ("1B", "1T", "100T")]
    assert sizes == sorted(sizes, reverse=True)


def test_the_same_as_chinchilla_says() -> None:
    ours = planned("--params 13B --inference-tokens 2T --law hoffmann-3")["choices"][0]
    theirs = data("chinchilla", "--params", "13B", "--law", "hoffmann-3", "--inference-tokens", "2T")["result"]["lifetime"][0]
    assert (ours["params"], ours["tokens"], ours["total"]) == (theirs["params"], theirs["tokens"], theirs["total_compute"])


# --- what is asked -------------------------------------------------------------------------------------------------------------

BASE = "--params 13B --inference-tokens 2T --law epoch"
ON = f"{BASE} --hardware h100"
CHANGES = {
    "--params 13B --inference-tokens 3T --law epoch": BASE,
    "--params 14B --inference-tokens 2T --law epoch": BASE,
    "--params 13B --inference-tokens 2T --law sardana": BASE,
    "--loss 2.1 --inference-tokens 2T --law epoch": BASE,
    "--compute 1e23 --inference-tokens 2T --law epoch": BASE,
    ON: BASE,
    **{
        f"{ON} {more}": ON
        for more in (
            "--dtype int4", "--prompt 8k", "--output 8k", "--price 1", "--prefill-mfu 0.3", "--decode-mfu 0.2",
            "--train-hardware b200", "--train-price 1", "--mfu 0.3",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("line", "other"), CHANGES.items())
def test_every_option_changes_the_answer(line: str, other: str) -> None:
    assert planned(line) != planned(other)


def test_the_cheapest_of_several() -> None:
    """Every place and format is tried, and each law's come from the cheapest up; what trains is what trains cheapest."""
    found = planned("--params 70B --inference-tokens 10T --law epoch --law hoffmann-3 --hardware h100,b200 --dtype bf16,fp8,int4")
    for law in ("epoch", "hoffmann-3"):
        mine = [each for each in found["choices"] if each["law"] == law]
        assert len(mine) == 6 and [each["total"] for each in mine] == sorted(each["total"] for each in mine)
        assert len({each["train_hardware"] for each in mine}) == 1
    chips = [load_hardware(name) for name in ("h100", "b200")]
    cheapest = min(chips, key=lambda chip: chip.usd_per_hour.usd / chip.flops("bf16"))  # type: ignore[union-attr]
    assert found["choices"][0]["train_hardware"] == cheapest.name


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "exactly one"),
        ("--params 7B", "--inference-tokens"),
        ("--params 7B --loss 2 --inference-tokens 1T", "exactly one"),
        ("--loss 2 --inference-tokens 1T", "one --law"),
        ("--loss 1.5 --inference-tokens 1T --law epoch", "above 1.8172"),
        ("--loss 9999999 --inference-tokens 1T --law epoch", "below"),
        ("--params 0 --inference-tokens 1T", "params"),
        ("--params 7B --inference-tokens=-3", "inference-tokens"),
        ("--params 7B --inference-tokens 1T --law kaplan", "no loss"),
        ("--params 7B --inference-tokens 1T --law nope", "not known"),
        ("--params 7B --inference-tokens 1T --dtype fp8", "--hardware"),
        ("--params 7B --inference-tokens 1T --hardware h100 --dtype fp4", "not known"),
        ("--params 7B --inference-tokens 1T --hardware 8xh100", "give h100"),
        ("--params 7B --inference-tokens 1T --hardware m4-max", "no price"),
        ("--params 7B --inference-tokens 1T --hardware h100 --mfu 0", "above 0"),
        ("--params 7B --inference-tokens 1T --hardware h100 --decode-mfu 2", "at most 1"),
        ("--params 7B --inference-tokens 1T --hardware h100,b200 --price 2", "one for each"),
        ("--params 7B --inference-tokens 1T --hardware h100 --train-price 0", "above 0"),
        ("--params 7B --inference-tokens 1T --hardware h100 --prompt 0", "prompt"),
    ],
)
def test_bad_input_is_one_sentence(line: str, words: str) -> None:
    assert words in refused("plan", "lifetime", *shlex.split(line))


def test_huge_values_are_numbers_or_a_sentence() -> None:
    for line in ("--params 1e30 --inference-tokens 1e30 --law epoch", "--params 10 --inference-tokens 1e35 --law epoch"):
        end = here("plan", "lifetime", *line.split())
        assert end.code in (0, 2) and "bug" not in end.err


def test_python_gives_the_same() -> None:
    ours = llmcx.plan_lifetime(params="13B", inference_tokens="2T", law="epoch", hardware=["h100"], dtype="fp8")
    assert ours.to_dict() == planned(f"{ON} --dtype fp8") and ours.best.dtype == "fp8"
