"""Bytes that autograd keeps, against torch's saved-tensor hooks on real tiny runs: the "kept" cases of the golden file.

docs/kept.md is written from the same comparison: `python tests/test_kept.py` rewrites it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from llmcx.costs.saved_activations import kept_bytes
from llmcx.errors import InputError
from llmcx.huggingface import from_config
from llmcx.model.lower import Run, lower
from llmcx.ops.op import Op

ROOT = Path(__file__).parent.parent
GOLDEN = json.loads((ROOT / "tests" / "oracle" / "golden.json").read_text(encoding="utf-8"))
TABLE = ROOT / "docs" / "kept.md"
CASES: list[dict[str, Any]] = [case for case in GOLDEN["cases"] if case["kind"] == "kept"]
BYTES = {"fp32": 4, "bf16": 2}


def ops_of(case: dict[str, Any], run: str) -> list[Op]:
    spec = from_config(case["config"], case["id"])
    fused = run.endswith("sdpa")
    seq = case["decoder_seq"] if spec.reads_source else case["seq"]
    return lower(spec, Run(case["batch"], seq, source=case["seq"], fused=fused, masks=fused, all_experts=True))


def ours(case: dict[str, Any], run: str) -> int:
    return kept_bytes(ops_of(case, run), BYTES[run.partition("_")[0]])


def elements(ops: Iterable[Op], what: str, component: str = "") -> int:
    return sum(op.times * kept.elements for op in ops for kept in op.saved if kept.what == what and component in op.component)


# What is known to differ, and by how many bytes, ours less torch's. Each is a few numbers per token or per model.
Difference = Callable[[dict[str, Any], str, list[Op]], int]


def statistics(case: dict[str, Any], run: str, ops: list[Op]) -> int:
    """On a CPU, a bf16 layer norm keeps its two statistics per row in bf16; on a GPU in fp32, as we count them."""
    return 2 * elements(ops, "mean and deviation") if run.startswith("bf16") else 0


def rotary(case: dict[str, Any], run: str, ops: list[Op]) -> int:
    """OLMo's tables of cosines and sines stay in fp32."""
    return -2 * elements(ops, "cos and sin of the positions") if run.startswith("bf16") else 0


def scale(case: dict[str, Any], run: str, ops: list[Op]) -> int:
    """Gemma keeps the number by which it scales the embeddings."""
    return -BYTES[run.partition("_")[0]]


def positions(case: dict[str, Any], run: str, ops: list[Op]) -> int:
    """OPT and RoBERTa number the positions of each sequence apart; we count one list for all."""
    return -8 * (case["batch"] - 1) * case["seq"]


def table(case: dict[str, Any], run: str, ops: list[Op]) -> int:
    """BERT keeps its whole buffer of position numbers, as long as max_position_embeddings, and one list of types for all."""
    return -8 * (case["config"]["max_position_embeddings"] - case["seq"]) + 8 * (case["batch"] - 1) * case["seq"]


def temperature(case: dict[str, Any], run: str, ops: list[Op]) -> int:
    """Ministral 3 keeps a factor per position in each layer."""
    return -BYTES[run.partition("_")[0]] * case["seq"] * case["config"]["num_hidden_layers"]


EXPLAINED: dict[str, tuple[Difference, ...]] = {
    **dict.fromkeys(("llama", "mistral", "ministral", "mixtral", "qwen2", "qwen3", "granite", "seed_oss", "smollm3"), ()),
    **dict.fromkeys(("exaone4", "hunyuan_v1_dense", "arcee"), ()),
    **dict.fromkeys(("gpt2", "gpt_bigcode", "bloom", "starcoder2"), (statistics,)),
    **dict.fromkeys(("olmo", "olmo2"), (rotary,)),
    **dict.fromkeys(("roberta", "xlm-roberta", "camembert", "opt"), (positions, statistics)),
    **dict.fromkeys(("bert", "electra"), (table, statistics)),
    "gemma": (scale,),
    "ministral3": (temperature,),
}
CHECKED = [
    pytest.param(case, run, id=f"{case['id']}-{run}") for case in CASES if case["model_type"] in EXPLAINED for run in case["kept"]
]


@pytest.mark.parametrize(("case", "run"), CHECKED)
def test_equal_to_the_byte_or_explained(case: dict[str, Any], run: str) -> None:
    ops = ops_of(case, run)
    explained = sum(difference(case, run, ops) for difference in EXPLAINED[case["model_type"]])
    assert ours(case, run) - explained == case["kept"][run]


def test_families_equal_to_the_byte() -> None:
    """Without any explanation, in fp32 and bf16, eager and sdpa."""
    exact = {case["model_type"] for case in CASES}
    exact -= {case["model_type"] for case in CASES for run in case["kept"] if _deviation(case, run) != 0}
    assert len(exact) >= 11
    assert len(EXPLAINED) >= 25


def _deviation(case: dict[str, Any], run: str) -> float:
    try:
        return ours(case, run) / case["kept"][run] - 1
    except InputError:
        return float("nan")


def written() -> str:
    """The table of every family."""
    runs = ("fp32_eager", "fp32_sdpa", "bf16_eager", "bf16_sdpa")
    lines = [
        "# What autograd keeps: llmcx against torch",
        "",
        f"Bytes that torch {GOLDEN['torch']} keeps for the backward pass of a tiny model of each family (transformers",
        f"{GOLDEN['transformers']}, on a CPU, seen by saved-tensor hooks), and how far `llmcx memory --train`'s count is off.",
        'Written by `tests/test_kept.py`. "explained": equal to the byte once what that file names, a few numbers per token or',
        "model, is taken out. A dash: the family does not run so.",
        "",
        "| model_type | " + " | ".join(run.replace("_", " ") for run in runs) + " | explained |",
        "| --- | " + "---: | " * 4 + "--- |",
    ]
    worst = 0.0
    for case in CASES:
        if case["id"].count(":"):
            continue
        deviations = [_deviation(case, run) if run in case["kept"] else None for run in runs]
        known = case["model_type"] in EXPLAINED
        worst = max(worst, *(abs(value) for value in deviations if value and known), 0.0)
        shown = ["–" if value is None else "0" if value == 0 else f"{value:+.2%}" for value in deviations]
        exact = all(value in (None, 0) for value in deviations)
        lines.append(f"| {case['model_type']} | " + " | ".join(shown) + f" | {'equal' if exact else 'yes' if known else 'no'} |")
    lines += ["", f"Largest deviation of the equal and explained families: {worst:.2%}, before the explanation."]
    return "\n".join(lines) + "\n"


def test_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == written()


if __name__ == "__main__":
    TABLE.write_text(written(), encoding="utf-8")
