"""--explain: every figure of every command's summary has its formula, the numbers put in, the result and the source."""

from __future__ import annotations

import json
import shlex
from math import isclose
from typing import Any

import pytest

from llmcx.cli import COMMANDS, options
from llmcx.report.views import VIEWS
from tests.helpers import here

CALLS = [
    "params gpt3",
    "params mixtral-8x7b --dtype int4",
    "flops llama-3-8b --seq 8k --batch 2",
    "flops gpt3 --convention macs --recompute full",
    "flops gpt3 --convention leading-order --seq 512",
    "flops t5-base --seq 512",
    "memory llama-3-8b --seq 8k --budget 80GB",
    "memory llama-3.1-8b --dtype q4_k_m --kv-dtype q8_0 --seq 8k",
    "memory gpt3 --train --set checkpoint_every=8",
    "memory llama-3-8b --train --gpus 8 --zero 3 --seq 2k",
    "attention-compare llama-3-8b --seq 1k,8k --hardware h100",
    "moe mixtral-8x7b --seq 4k --capacity-factor 1.25 --ep 8",
    "moe deepseek-v3",
    "chinchilla --compute 1e21",
    "chinchilla llama-3-8b --tokens 15T",
    "chinchilla --params 13B --tokens 1T --law hoffmann-3 --law muennighoff --unique-tokens 1B --inference-tokens 1T",
    "chinchilla --compute 5.76e23 --compare 280B,70B --law hoffmann-3",
    "textbook bounds --seq 1k,8k",
    "textbook shapes --params 7B --depths 16,32",
    "train llama-3-8b --tokens 1T --gpus 64",
    "train mixtral-8x7b --tokens 1T --gpus 64 --plan",
    "serve llama-3-8b --hardware h100",
    "serve llama-3-70b --tp 4 --batch 16",
    "serve llama-3-70b --hardware 4xh100 --rate 2/s",
    "plan serve llama-3.1-70b --hardware h100 --gpus 2..8 --tpot 30ms",
    "compare gpt3 llama-3-8b",
]
FILES = {"catalog", "tools", "explain", "explain-log", "check", "sweep"}
"""Of these, what they list has its own sources, or there is nothing to explain."""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a command would show: its view, and its answer."""
    found: list[Any] = []
    monkeypatch.setattr(options.Output, "show", lambda self, command, answer, chosen: found.append((command, answer)))
    return found


def same(value: float, figure: float) -> bool:
    return value == figure or isclose(value, figure, rel_tol=1e-12)


@pytest.mark.parametrize("call", CALLS)
def test_every_figure_of_the_summary_is_explained(call: str, shown: list[Any]) -> None:
    end = here(*shlex.split(call), "--explain")
    assert end.code == 0, end.err
    [(command, answer)] = shown
    for item in answer.items:
        values = [line.value for line in item.explained()]
        figures = {fact.key: fact.value for fact in VIEWS[answer.view or command].facts(item)}
        for key, figure in figures.items():
            if isinstance(figure, bool) or not isinstance(figure, (int, float)):
                continue
            seconds = figure / 1000 if key.endswith("_ms") else figure
            assert any(same(value, seconds) for value in values), f"{key} {figure} has no line"


@pytest.mark.parametrize("call", CALLS)
def test_every_line_has_formula_numbers_result_and_source(call: str) -> None:
    lines = json.loads(here(*shlex.split(call), "--explain", "--json").out)["explain"]
    assert lines and "source: " in here(*shlex.split(call), "--explain").out
    for line in lines:
        assert line["component"] and line["formula"] and line["numbers"] and line["source"], line
        assert isinstance(line["value"], (int, float))


SUMS = {
    "params gpt3": "total active embedding non_embedding bytes chapter",
    "flops gpt3 --recompute full": "forward.total backward.total recomputation train.total per_token elementwise.total"
    " decode.total crossover.layers crossover.with_head",
    "memory gpt3 --train --set checkpoint_every=8 --budget 80GB": "total_bytes all_gpus_bytes kv_bytes_per_token"
    " headroom_bytes chapter.total_bytes checkpointing.checkpoints checkpointing.bytes checkpointing.best_bytes"
    " checkpointing.train_factor",
    "moe mixtral-8x7b --ep 8 --capacity-factor 1.25": "total active expert shared router expert_active_fraction"
    " granularity flops_per_token capacity.per_expert capacity.dropped all_to_all_bytes all_to_all_bytes_per_layer"
    " touched.distinct_experts expert_parallel.all_to_all_forward_bytes expert_parallel.weight_bytes_per_rank",
    "train llama-3-8b --tokens 1T --gpus 64": "training.steps training.memory_bytes "
    + " ".join(
        f"training.{how}.{what}"
        for how in ("ideal", "estimate")
        for what in ("step_s", "days", "gpu_hours", "mfu", "hfu", "usd", "energy_kwh", "co2_kg", "tokens_per_s_gpu")
    ),
    "serve llama-3-8b --batch 8": "weight_bytes_per_gpu cache_bytes_per_sequence largest_batch",
}


@pytest.mark.parametrize("call", SUMS)
def test_totals_of_the_result(call: str) -> None:
    """What a script would read."""
    out = json.loads(here(*shlex.split(call), "--explain", "--json").out)
    values = [line["value"] for line in out["explain"]]
    for path in SUMS[call].split():
        figure = out["result"]
        for key in path.split("."):
            figure = figure[key]
        assert any(same(value, figure) for value in values), path


def test_terms_add_up_to_their_totals() -> None:
    """GPT-3 at 2048: 734,804,261,732,352 forward; llama-3-8b's weights, term by term."""
    lines = json.loads(here("flops", "gpt3", "--seq", "2048", "--explain", "--json").out)["explain"]
    told = {line["component"]: line["value"] for line in lines}

    def terms(*starts: str) -> int:
        return sum(line["value"] for line in lines if line["component"].startswith(starts))

    assert terms("attention.", "ffn.", "head") == told["forward"] == 734_804_261_732_352
    for name in ("backward", "decode", "elementwise"):
        assert terms(f"{name} ") == told[name]


def test_every_command_is_tried() -> None:
    assert {call.split()[0] for call in CALLS} == set(COMMANDS) - FILES
