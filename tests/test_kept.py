"""Bytes that autograd keeps, against torch's saved-tensor hooks on real tiny runs: the "kept" cases of the golden file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.core.lower import Run, lower
from llmcx.core.memory import kept_bytes
from llmcx.families import from_config

GOLDEN = json.loads((Path(__file__).parent / "oracle" / "golden.json").read_text(encoding="utf-8"))
# GPT-2 in bf16 is left out: its eager softmax stays in bf16, and on a CPU so do a layer norm's two statistics per row,
# which a GPU keeps in fp32; we count fp32.
VERIFIED = {"llama": ("fp32", "bf16"), "gpt2": ("fp32",)}
CASES = [
    pytest.param(case, run, id=f"{case['id']}-{run}")
    for case in GOLDEN["cases"]
    if case["kind"] == "kept" and case["model_type"] in VERIFIED
    for run in case["kept"]
    if run.partition("_")[0] in VERIFIED[case["model_type"]]
]


@pytest.mark.parametrize(("case", "run"), CASES)
def test_equal_to_the_byte(case: dict[str, Any], run: str) -> None:
    dtype, attention = run.split("_")
    spec = from_config(case["config"], case["id"])
    ops = lower(spec, Run(case["batch"], case["seq"], fused=attention == "sdpa"))
    assert kept_bytes(ops, {"fp32": 4, "bf16": 2}[dtype]) == case["kept"][run]
