"""DeepSpeed's memory beside DeepSpeed itself on fake ranks, and its estimators (tests/oracle/zero.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.answers.memory import memory
from llmcx.engines.deepspeed import Buckets, Partition, host, phases
from llmcx.engines.phases import BACKWARD, LOSS, REDUCE, STEP, Saved
from llmcx.engines.recipe import Recipe
from llmcx.engines.training_memory import TrainingMemory
from llmcx.huggingface import from_config
from llmcx.parallel.layout import Layout
from tests.helpers import between, data, refused, write_between

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs/engines.md"
GOLDEN = json.loads((HERE / "oracle/zero.json").read_text(encoding="utf-8"))


def said(case: dict[str, Any]) -> dict[str, int]:
    """llmcx's bytes by part of the step, the host's with the GPU's, as on a CPU."""
    spec = from_config({"model_type": "llama", **GOLDEN["models"][case["model"]]}, case["model"])
    layout = Layout(dp=case["gpus"], zero=case["zero"])
    buckets = Buckets(case["reduce"], case["prefetch"], case["live"])
    recipe = Recipe("mixed", "adamw", engine="deepspeed", offload=case["offload"], buckets=buckets)
    of = TrainingMemory(spec, case["seq"], recipe)
    [rank] = of.ranks(layout, 1)
    outside = of.host(layout, 1, recipe) or 0
    held = {phase: gpu.total + outside for phase, gpu in of._phases(rank, layout, recipe).items()}
    return {"forward": held[LOSS], "backward": max(held[BACKWARD], held[REDUCE]), "step": held[STEP]}


def named(case: dict[str, Any]) -> str:
    return "-".join(str(case[key]) for key in ("model", "zero", "gpus", "offload", "live"))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=named)
def test_peaks_are_deepspeeds(case: dict[str, Any]) -> None:
    """The largest of forward, backward and step."""
    assert max(said(case).values()) == pytest.approx(max(case["peak"].values()), rel=0.05), (said(case), case["peak"])
