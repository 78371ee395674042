"""The lines of ten plans are taken by vLLM itself: its parser, and the engine's configuration (tests/oracle/plans.py)."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from llmcx.catalog.load import load
from tests.helpers import data, here

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


if __name__ == "__main__":
    json.dump(lines(), sys.stdout)
