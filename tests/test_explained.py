"""--explain: every figure of every command's summary has its formula, the numbers put in, the result and the source."""

from __future__ import annotations

import json
import re
import shlex
from math import isclose
from typing import Any

import pytest

from llmcx.catalog.presets import names as presets
from llmcx.cli import COMMANDS, options
from llmcx.report.format import exact
from llmcx.report.table import Table
from llmcx.report.views import VIEWS
from tests.arithmetic import agrees
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
    "memory gemma-3-12b --hardware h100 --engine vllm",
    "memory llama-3.1-8b --hardware rtx4090 --engine llama.cpp --dtype q4_k_m",
    "memory mixtral-8x7b --hardware 2xh100 --tp 2 --engine sglang",
    "memory mixtral-8x7b --hardware 2xh100 --tp 2 --engine vllm",
    "memory llama-3-8b --hardware h100 --engine trtllm --batch 8",
    "memory qwen3-next-80b-a3b --hardware 4xh100 --engine sglang",
    "memory mamba2-2.7b",
    "memory deepseek-v3 --hardware 16xh100 --engine vllm --seq 4k",
    "memory llama-3-8b --hardware h100 --fit batch --seq 8k",
    "memory llama-3-8b --hardware h100 --fit seq",
    "memory llama-3-8b --train --gpus 16 --tp 4 --pp 2 --engine megatron --precision megatron",
    "memory llama-3-8b --train --lora 16 --seq 4k",
    "memory llama-3-8b --train --lora 16 --seq 4k --dtype nf4",
    "memory llama-3-8b --train --gpus 8 --zero 2 --engine deepspeed",
    "memory llama-3-8b --train --gpus 8 --zero 3 --engine deepspeed --offload optimizer",
    "memory mixtral-8x7b --train --gpus 8 --ep 8 --engine megatron",
    "memory llama-3-8b --train --recompute full --seq 4k",
    "memory gpt2 --train",
    "memory llama-3-8b --train --rl grpo --hardware 8xh100 --zero 3 --seq 4k",
    "memory llama-3-8b --train --rl ppo --hardware 8xh100 --zero 3 --seq 2k",
    "memory llama-3-8b --train --rl dpo --gpus 8 --zero 3 --seq 2k",
    "memory llama-3-8b --set activations=textbook --train",
    "memory gemma-3-12b --seq 32k --kv-dtype fp8 --engine transformers",
    "memory qwen3-32b --dtype q4_k_m --hardware 4090 --engine llama.cpp --fit offload",
    "memory gpt-oss-20b",
    "train llama-3-70b --tokens 1T --gpus 256 --tp 8 --pp 4",
    "train mixtral-8x7b --tokens 1T --gpus 64 --ep 8 --recompute full",
    "train llama-3-70b --tokens 1T --gpus 256 --tp 4 --cp 2 --pp 4 --seq 32k",
    "train llama-3-8b --tokens 1T --gpus 64 --zero 3 --compute-dtype fp8",
    "train gpt2 --tokens 10B --gpus 8 --hardware a100",
    "train qwen2-1.5b --tokens 1M --hardware 1xa100 --lora 16 --seq 256 --micro-batch 1 --recompute full",
    "train llama-3-8b --tokens 10M --hardware 8xa100 --lora 16 --dtype nf4 --seq 1k --zero 3 --micro-batch 2",
    "serve mixtral-8x7b --hardware 2xh100",
    "serve llama-3-8b --hardware mi300x",
    "serve qwen3-32b --dtype q4_k_m --hardware 4090 --engine llama.cpp",
    "serve llama-3-70b --hardware 4xh100 --dtype fp8 --kv-dtype fp8 --engine vllm",
    "serve llama-3-8b --hardware h100 --draft 3 --chunk 512",
    "serve llama-3-70b --hardware 4xh100 --prefill-workers 2",
    "serve gemma-3-12b --hardware h100 --engine sglang",
    "serve qwen3-32b --hardware 2xh100 --engine vllm --prompt 4096 --batch 128",
    "serve deepseek-v3 --hardware 8xh200 --attention-dp 8 --ep 8 --prompt 7372 --batch 64",
    "serve deepseek-v3 --hardware 16xh100 --engine vllm --dtype fp8",
    "serve llama-3-8b --hardware m3-max --engine mlx",
    "serve llama-3.1-70b --hardware 8xh100 --pp 2 --engine vllm",
    "serve llama-3-8b --hardware 6xmi300x --pp 3 --tp 2 --chunk 512 --batch 32",
    "check 'vllm serve Qwen/Qwen3-32B --max-model-len 32K' --hardware h100",
    "check 'llama-server -m qwen3-8b-q4_k_m.gguf -c 16384' --hardware 4090",
    "check 'vllm serve meta-llama/Llama-3.1-70B --tensor-parallel-size 4' --hardware 4xh100",
    "check 'vllm serve meta-llama/Llama-3.1-70B -tp 2 -pp 2 --max-model-len 8k' --hardware 4xh100",
]
BY_TRYING = re.compile(
    r"^(saved|workspace|held|argmin|the law's|the queue's|the allocator's|\(E\[max|of what is on the GPU|each token once)"
    r"|^saved but for"
)
"""Formulas whose result no arithmetic gives: a minimum that is searched for, an allocator's peak, a law of a kernel, a mean of
chances, a queue. Their lines say what was put in in words.
"""
FILES = {"catalog", "tools", "explain", "explain-log", "sweep"}
"""Of these, what they list has its own sources, or there is nothing to explain."""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a command shows: its view, and its answer."""
    found: list[Any] = []
    show = options.Output.show

    def kept(self: Any, command: str, answer: Any, chosen: str) -> None:
        found.append((command, answer))
        show(self, command, answer, chosen)

    monkeypatch.setattr(options.Output, "show", kept)
    return found


def same(value: float, figure: float) -> bool:
    return value == figure or isclose(value, figure, rel_tol=1e-12)


@pytest.mark.usefixtures("answered_once")
@pytest.mark.parametrize("call", CALLS)
def test_every_figure_is_explained(call: str, shown: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the summary and of the tables have a line, and what is printed is arithmetic."""
    monkeypatch.setenv("COLUMNS", "100000")
    ends = [here(*shlex.split(call), "--explain", *form) for form in ((), ("--json",))]
    assert [end.code for end in ends] == [0, 0], ends
    figures_of_the_summary(*shown[0])
    numbers_of_the_tables(*shown[0])
    arithmetic(*(end.out for end in ends))


def figures_of_the_summary(command: str, answer: Any) -> None:
    for item in answer.items:
        values = [line.value for line in item.explained()]
        figures = {fact.key: fact.value for fact in VIEWS[answer.view or command].facts(item)}
        for key, figure in figures.items():
            if isinstance(figure, bool) or not isinstance(figure, (int, float)):
                continue
            assert any(same(value, figure) for value in values), f"{key} {figure} has no line"


ASKED = ("batch", "seq", "chapter_seq", "unique_tokens", "complexity", "d_model", "a", "b")
"""Columns of what was asked for, or of other commands' answers."""


def numbers_of_the_tables(command: str, answer: Any) -> None:
    """Of each table of the answer, shares apart, which are a row over the total."""
    for item in answer.items:
        values = [line.value for line in item.explained()]
        for table in VIEWS[answer.view or command].tables(item):
            for row in table.every_row() if isinstance(table, Table) else ():
                for column in table.columns:
                    figure = row.get(column.key)
                    plain = isinstance(figure, (int, float)) and not isinstance(figure, bool)
                    asked = (
                        column.key in ASKED or column.kind == "share" or (column.key == "params" and "tokens_per_param" in row)
                    )
                    if not plain or asked or (column.key == "ideal" and not figure) or (column.key == "ratio" and figure == 1):
                        continue
                    found = any(same(value, figure) or round(value) == figure for value in values)
                    assert found, f"{table.title}: {column.title} {figure} of {next(iter(row.values()))} has no line"


def printed(text: str) -> list[tuple[str, list[str]]]:
    """What stands under the tables: each figure's name and its lines that begin with "=", continued lines joined."""
    found: list[tuple[str, list[str]]] = []
    before = ""
    for line in text.splitlines():
        if line.startswith("    = "):
            if before and not before.startswith(" "):
                found.append((before, []))
            found[-1][1].append(line[6:])
        elif line.startswith("      ") and before.startswith("    = "):
            found[-1][1][-1] += " " + line.strip()
            line = before
        elif line.startswith("      ") and found and not before.startswith(" "):
            line = f"{before} {line.strip()}"  # of a name that takes two lines
        before = line
    return found


def arithmetic(table: str, body: str) -> None:
    """Every line with numbers comes to the result under it, and that is the figure of the command's JSON."""
    lines = json.loads(body)["explain"]
    assert lines
    for line in lines:
        assert line["component"] and line["formula"] and line["source"], line
        assert isinstance(line["value"], (int, float))
        assert not re.search(r"``|\bNone\b|\bself\.|\bop\.|\bnan\b|if .* else|==", " ".join(map(str, line.values()))), line
        assert line["numbers"] or (BY_TRYING.match(line["formula"]) and (line["where"] or "once" in line["formula"])), line
    told = printed(table)
    assert [(name, steps[0], steps[-1]) for name, steps in told] == [
        (line["component"], line["formula"], exact(line["value"])) for line in lines
    ]
    for (name, steps), line in zip(told, lines, strict=True):
        numbers = steps[1] if len(steps) == 3 else line["numbers"]
        if numbers:
            assert agrees(numbers, steps[-1]), (name, *steps)


def test_the_evaluator() -> None:
    """By hand: what it accepts, and what not."""
    for numbers, result in (
        ("2·3 + 4", "10"),
        ("ceil(10 / 4)·1,000", "3,000"),
        ("8·(0.2381 + 0.4901)", "5.826"),
        ("12·2² + 5", "53"),
        ("5: 4·5 >= 20; 4·4 < 20", "5"),
        ("(1 - 0.25)^2", "0.5625"),
        ("1 - 65 / 1000", "0.935"),
    ):
        assert agrees(numbers, result), numbers
    for numbers, result in (("2·3 + 4", "11"), ("8·(0.2381 + 0.4901)", "5.836"), ("5: 4·5 >= 21", "5"), ("3.000·2", "6.010")):
        assert not agrees(numbers, result), numbers


@pytest.mark.parametrize("preset", presets()[::8])
def test_presets(preset: str) -> None:
    """Parameters, FLOPs and memory of every eighth preset."""
    for command in ("params", "flops", "memory"):
        end = here(command, preset, "--explain", "--json", *(["--seq", "256"] if command != "params" else []))
        if end.code:
            continue  # a model without such an answer is refused in a sentence, which other tests read
        for line in json.loads(end.out)["explain"]:
            assert not line["numbers"] or agrees(line["numbers"], exact(line["value"])), line


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
        return sum(line["value"] for line in lines if line["component"].startswith(starts) and " in " not in line["component"])

    assert terms("attention.", "ffn.", "head") == told["forward"] == 734_804_261_732_352
    for name in ("backward", "decode", "elementwise"):
        assert terms(f"{name} ") == told[name]


def test_every_command_is_tried() -> None:
    assert {call.split()[0] for call in CALLS} == set(COMMANDS) - FILES
