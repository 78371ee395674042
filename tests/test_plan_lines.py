"""The lines of ten plans are taken by vLLM itself: its parser, and the engine's configuration (tests/oracle/plans.py)."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from llmcx.catalog.load import load
from tests.helpers import data, here, refused

GOLDEN = Path(__file__).parent / "oracle" / "plans.json"
PLANS = (
    "llama-3.1-8b --hardware h100 --gpus 1..2 --tpot 15ms",
    "llama-3.1-70b --hardware h100 --gpus 1..8 --prompt 2k --output 512 --ttft 1s --tpot 25ms",
    "llama-3.1-70b --hardware h200 --gpus 1..8 --tpot 40ms --dtype bf16",
    "llama-3.1-405b --hardware h200 --gpus 8..8 --tpot 60ms",
    "qwen3-32b --hardware h100 --gpus 1..4 --tpot 20ms",
    "qwen3-30b-a3b --hardware h100 --gpus 1..4 --tpot 20ms",
    "qwen3-235b-a22b --hardware h200 --gpus 4..8 --tpot 40ms",
    "mixtral-8x7b --hardware h100 --gpus 2..4 --tpot 30ms",
    "gpt-oss-120b --hardware h100 --gpus 1..8 --users 200 --tpot 30ms",
    "deepseek-v3 --hardware h200 --gpus 8..16 --prompt 4k --output 1k --ttft 2s --tpot 60ms",
)


def lines() -> list[dict[str, Any]]:
    """Each plan's choice for vLLM as a launch line, and what stands for its model."""
    out = []
    for asked in PLANS:
        best = data("plan", "serve", *asked.split(), "--engine", "vllm")["result"]["best"][0]
        words = asked.split()
        options = ["--hardware", f"{best['tp']}x{best['hardware']}", "--dtype", best["dtype"], "--emit", "vllm"]
        options += ["--ep", str(best["ep"])] if best["ep"] > 1 else []
        options += ["--chunk", str(best["chunk"])] if best["chunk"] else []
        options += ["--set", f"attention_dp={best['attention_dp']}"] if best["attention_dp"] > 1 else []
        for flag in ("--prompt", "--output"):
            options += words[words.index(flag) : words.index(flag) + 2] if flag in words else []
        end = here("serve", words[0], *options, "--batch", str(best["batch"]))
        assert end.code == 0, (asked, end.err)
        spec = load(words[0])
        mixer: Any = spec.decoder[-1].mixer
        experts = spec.mixtures[0][1].n_experts if spec.mixtures else 0
        row = {"asked": asked, "line": end.out.splitlines()[-1], "family": spec.family, "heads": mixer.n_heads}
        row |= {"kv_heads": getattr(mixer, "kv_heads", mixer.n_heads), "experts": experts, "context": spec.context}
        out.append(row | {"tp": best["tp"], "attention_dp": best["attention_dp"], "ep": best["ep"]})
    return out


def test_vllm_takes_the_lines_of_ten_plans() -> None:
    recorded = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert recorded["version"] == "0.32.0" and len(recorded["plans"]) == len(PLANS) == 10
    for row, now in zip(recorded["plans"], lines(), strict=True):
        said = row["said"]
        assert now == {name: value for name, value in row.items() if name != "said"}, "run tests/oracle/plans.py again"
        words = shlex.split(now["line"])
        assert (said["tensor_parallel_size"], said["data_parallel_size"]) == (
            now["tp"] // now["attention_dp"],
            now["attention_dp"],
        )
        assert said["enable_expert_parallel"] == (now["ep"] > 1)
        assert said["max_model_len"] == int(words[words.index("--max-model-len") + 1])


@pytest.mark.parametrize(
    "asked",
    [
        "llama-3.1-70b --hardware h100,h200 --gpus 1..8 --tpot 30ms --emit vllm",
        "qwen3-32b --gpus 1..16 --tpot 25ms --users 400 --emit sglang",
        "deepseek-v3 --hardware h200 --gpus 8..16 --tpot 60ms --engine vllm@0.11 --emit slurm",
        "qwen3-30b-a3b --gpus 1..4 --tpot 20ms --emit k8s",
        "llama-3.1-8b --gpus 1..2 --tpot 15ms --emit trtllm",
        "llama-3.1-70b --gpus 1..4 --prompt 2k --output 512 --aggregated --emit sglang",
        "deepseek-v3 --hardware h200 --gpus 8..16 --prompt 4k --output 1k --ttft 2s --tpot 40ms --aggregated --emit trtllm",
    ],
)
def test_a_plan_is_printed_as_a_line_of_the_same_numbers(asked: str) -> None:
    """The choice that is printed is one of the best, and ``check`` reads back its users, their times and its GPUs."""
    plan = data("plan", "serve", *asked.split())
    line = here("plan", "serve", *asked.split()).out
    assert line == f"{plan['inputs']['line']}\n"
    end = here("check", "-", "--json", stdin=line.encode())
    assert end.code == 0, end.err
    found = json.loads(end.out)["result"]
    assert found["fits"]
    times = {(one["gpus"] // one["replicas"], one["batch"], round(one["tpot_s"], 9)) for one in plan["result"]["best"]}
    assert {(found["gpus"], point["batch"], round(point["tpot_s"], 9)) for point in found["estimate"]} & times


@pytest.mark.parametrize("emit", ["", "slurm", "k8s"])
@pytest.mark.parametrize(
    "asked",
    [
        "llama-3.1-70b --hardware h100 --gpus 1..8 --prompt 2k --output 512 --ttft 1s --tpot 25ms --engine vllm",
        "llama-3.1-70b --hardware h100 --gpus 1..8 --prompt 2k --output 512 --tpot 25ms --kv-dtype fp8 --engine trtllm",
        "qwen3-235b-a22b --hardware h200 --gpus 4..24 --tpot 40ms --users 900 --engine sglang --utilization 0.85",
        "gpt-oss-120b --hardware h200,b200 --gpus 1..16 --users 1500 --tpot 20ms --engine trtllm",
        "deepseek-v3 --hardware b200 --gpus 8..16 --prompt 4k --output 1k --tpot 60ms --engine sglang",
        "qwen3-8b --hardware h100 --gpus 2..12 --rate 30/s --prompt 4k --output 256 --tpot 12ms --engine vllm@0.11",
    ],
)
def test_workers_of_both_kinds_are_printed_and_read_back_as_the_same_plan(asked: str, emit: str) -> None:
    engine = asked.split("--engine ")[1].split("@")[0].split()[0]
    plan = data("plan", "serve", *asked.split(), "--disaggregated", "--emit", emit or engine)
    end = here("check", "-", "--json", stdin=plan["inputs"]["line"].encode())
    assert end.code == 0, end.err
    found = json.loads(end.out)
    read, result = found["inputs"], found["result"]
    assert result["fits"]
    [point] = result["estimate"]
    prompts, decodes = result["workers"]
    assert (prompts["role"], decodes["role"]) == ("prefill", "decode")
    [one] = [
        each
        for each in plan["result"]["best"]
        if (each["prefill_workers"], each["prefill_tp"]) == (prompts["number"], prompts["gpus"])
        and (each["workers"], each["tp"], each["batch"]) == (decodes["number"], decodes["gpus"], point["batch"])
        and (each["ep"], each["attention_dp"]) == (read["ep"], read["attention_dp"])
    ]
    assert (result["gpus"], read["hardware"]) == (one["gpus"], one["hardware"])
    if "--rate" in asked:  # where the users are no whole number, and wait for each other otherwise
        assert point["tpot_s"] == pytest.approx(one["tpot_s"], rel=0.02)
    else:
        assert (point["ttft_s"], point["tpot_s"]) == pytest.approx((one["ttft_s"], one["tpot_s"]), rel=1e-9)


def test_replicas_are_said() -> None:
    asked = ("plan", "serve", "qwen3-32b", "--gpus", "8..16", "--tpot", "20ms", "--users", "400", "--aggregated")
    best = data(*asked, "--engine", "vllm")["result"]["best"][0]
    assert best["replicas"] > 1
    first = here(*asked, "--emit", "vllm").out.splitlines()[0]
    assert first == f"# one of {best['replicas']} replicas, each on {best['tp']} GPUs of its own"
    assert f"replicas: {best['replicas']}" in here(*asked, "--emit", "k8s", "--engine", "vllm").out


def test_what_a_plan_cannot_print_is_refused() -> None:
    small = ("plan", "serve", "qwen3-8b", "--gpus", "1")
    assert "llmcx serve --emit llama.cpp" in refused(*small, "--emit", "llama.cpp")
    assert "contradict" in refused(*small, "--emit", "vllm", "--engine", "sglang")
    assert "nothing meets" in refused(*small, "--tpot", "1us", "--emit", "vllm")
    assert "--kv-dtype fp8" in refused(*small, "--emit", "trtllm", "--kv-dtype", "fp16")
    assert "vllm@0.7" in refused(*small, "--engine", "vllm@0.1")
    assert "one version" in refused(*small, "--engine", "sglang@0.4")


def test_a_plan_is_of_the_version_that_is_asked_for() -> None:
    """vLLM 0.11 samples with bytes that later versions do not take (docs/engines.md), so that fewer users fit."""
    asked = ("plan", "serve", "qwen3-8b", "--gpus", "1", "--hardware", "l4", "--prompt", "2k")
    new, old = (data(*asked, "--engine", name)["result"]["best"][0] for name in ("vllm", "vllm@0.11"))
    assert old["engine"] == "vllm@0.11" and new["engine"] == "vllm"
    assert old["largest_batch"] != new["largest_batch"]


if __name__ == "__main__":
    json.dump(lines(), sys.stdout)
