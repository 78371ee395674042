"""RL post-training beside settings that verl and TRL document as running, and some that were reported out of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import between, data, refused, write_between

PAGE = Path(__file__).resolve().parent.parent / "docs/engines.md"
VERL, TRL = "verl b178a3c, examples/", "TRL f2cd577, "
NOTEBOOK = TRL + "examples/notebooks/grpo_trl_lora_qlora.ipynb"
T4 = (
    "--rl grpo --budget 15360MiB --lora 32 --dtype nf4 --precision fp32 --optimizer paged_adam8bit --recompute full --seq 768"
    " --micro-batch 8 --set rollout=policy --set loss_chunk=1k"
)
"""Its prompts are up to 512 tokens, its answers 256; a loss in chunks; transformers generates."""
PACKED = "--zero 3 --recompute full --hardware 8xa100 --set rollout_tp=2 --set rollout_utilization="
"""verl packs whole sequences into micro-batches of up to 24,000 tokens: so many as fit at full length."""
ONLINE = "--rl dpo --hardware 8xh100 --zero 2 --seq 565 --set reward_model=true"

RUN = [
    *((f"{model} {T4}", NOTEBOOK) for model in ("qwen2-7b", "qwen2.5-7b", "qwen3-8b", "llama-3.1-8b", "llama-3.2-3b")),
    (f"qwen2-7b --rl grpo --micro-batch 15 --seq 1536 {PACKED}60%", VERL + "grpo_trainer/run_qwen2-7b_seq_balance.sh"),
    (
        f"llama-2-7b --vocab 102400 --rl grpo --micro-batch 23 --seq 1024 {PACKED}60%",
        VERL + "grpo_trainer/run_deepseek7b_llm_seq_balance.sh",
    ),
    (f"qwen2-7b --rl ppo --micro-batch 2 --seq 8192 {PACKED}50%", VERL + "ppo_trainer/run_qwen2-7b_rm_seq_balance.sh"),
    (
        f"qwen2-7b --rl ppo --micro-batch 2 --seq 8192 {PACKED}50% --set reward_model=false",
        VERL + "ppo_trainer/run_qwen2-7b_seq_balance.sh",
    ),
    (
        "qwen2.5-72b --rl grpo --gpus 32 --budget 97871MiB --micro-batch 23 --seq 1024 --zero 3 --recompute full"
        " --set rollout_tp=16 --set rollout_utilization=60% --set offload=params",
        VERL + "tuning/70b/qwen2-70b_grpo_32_h20_fsdp_vllm.sh",
    ),
    (f"pythia-6.9b {ONLINE} --micro-batch 4", TRL + "docs/source/online_dpo_trainer.md"),
    (f"pythia-2.8b {ONLINE} --micro-batch 8", TRL + "docs/source/online_dpo_trainer.md"),
    (
        "qwen2.5-72b --rl grpo --hardware 32xh100 --engine deepspeed --zero 3 --seq 768 --micro-batch 4 --recompute full"
        " --set rollout=apart --set reference=false",
        TRL + "docs/source/grpo_trainer.md",
    ),
]
"""What runs, and where that is said. --train stands before each."""
OUT = [
    (f"qwen3-14b {T4}", NOTEBOOK),
    (
        "qwen2-7b --rl grpo --hardware a100-40gb --precision bf16 --optimizer adamw --attn eager --seq 768 --micro-batch 8"
        " --set rollout=policy --set reference=false",
        NOTEBOOK + ", all that saves memory left out",
    ),
    (
        "llama-3-8b --rl ppo --hardware 8xa100-40gb --engine deepspeed --zero 2 --recompute full --seq 2048 --micro-batch 2"
        " --set rollout=policy --set offload=optimizer",
        "OpenRLHF issue 398, its states offloaded as its script has it",
    ),
    (
        "qwen2.5-32b --rl grpo --hardware 2xa100 --zero 3 --recompute full --seq 2048 --set rollout_tp=2"
        " --set rollout_utilization=80% --set offload=params",
        "HKUNLP/critic-rl issue 2",
    ),
    ("mistral-7b --rl dpo --hardware h100 --seq 4096", "TRL issue 1024, at the smallest batch"),
]


def said(call: str) -> Any:
    return data("memory", *call.split(), "--train")["result"]


@pytest.mark.parametrize(("call", "source"), RUN, ids=lambda word: word.split()[0] if "--" in word else "")
def test_what_is_documented_to_run_fits(call: str, source: str) -> None:
    assert said(call)["fits"], source


@pytest.mark.parametrize(("call", "source"), OUT, ids=lambda word: word.split()[0] if "--" in word else "")
def test_what_was_out_of_memory_does_not_fit(call: str, source: str) -> None:
    assert not said(call)["fits"], source


def test_models_by_hand() -> None:
    """Llama 3 8B on 8 GPUs: fp32 shards of weights and two moments, 12 B a parameter; a reference of 2; 30% of 85.5 GB; a critic
    is the policy without its head of 128,256 · 4,096.
    """
    n, head = 8_030_261_248, 128256 * 4096
    result = said("llama-3-8b --rl ppo --hardware 8xh100 --zero 3 --seq 1k --recompute full")
    assert result["peak"] == "the rollout"
    parts = {part["part"]: part["bytes"] for part in result["parts"]}
    assert parts["policy"] == pytest.approx(12 * n / 8, abs=64) and parts["reference"] == pytest.approx(2 * n / 8, abs=64)
    assert parts["critic"] == pytest.approx(12 * (n - head) / 8, abs=64)
    assert parts["rollout"] == int(0.3 * result["budget_bytes"])
    assert max(result["phases"].values()) == result["total_bytes"] == sum(parts.values())


def test_adapters_are_compared_with_their_base() -> None:
    """With LoRA the reference is the policy without its adapters, and takes nothing."""
    whole = said("llama-3-8b --rl dpo --seq 1k --recompute full --hardware h200 --precision bf16")
    lora = said("llama-3-8b --rl dpo --seq 1k --recompute full --hardware h200 --precision bf16 --lora 16")
    assert "scores of the reference" in whole["phases"] and "scores of the reference" not in lora["phases"]


def test_turns() -> None:
    """An engine that sleeps leaves its share to the step; what is offloaded leaves its share to the rollout."""
    call = "llama-3-8b --rl grpo --hardware 8xh100 --zero 3 --seq 1k --recompute full"
    asleep, awake = said(call), said(f"{call} --set rollout_sleep=false")
    pool = int(0.3 * asleep["budget_bytes"])
    step = "the step of the policy"
    assert awake["phases"][step] == asleep["phases"][step] + pool
    offloaded = said(f"{call} --set offload=params")
    assert offloaded["phases"]["the rollout"] == pool and offloaded["phases"][step] < asleep["phases"][step]
    assert "the rollout" not in said(f"{call} --set rollout=apart")["phases"]


def test_what_is_refused() -> None:
    call = ("memory", "llama-3-8b", "--train", "--rl")
    assert "grpo" in refused(*call, "reinforce")
    assert "--hardware" in refused(*call, "grpo", "--zero", "3", "--gpus", "8")
    assert "weights" in refused(*call, "grpo", "--hardware", "rtx-4090")
    assert "data-parallel" in refused(*call, "dpo", "--tp", "2")
    assert "--fit" in refused(*call, "dpo", "--fit", "batch", "--hardware", "h100")
    assert "--rl is" in refused(*call, "dpo", "--set", "rollout_tp=2")


def table() -> str:
    """What each takes of what there is."""
    lines = ["| setting | GB of a GPU | there are | fullest in | source |", "| --- | ---: | ---: | --- | --- |"]
    for call, source in [*RUN, *OUT]:
        result = said(call)
        words = call.split()
        shape = " ".join(words[:1] + [word for word in words[1:] if word in ("grpo", "ppo", "dpo")])
        used, there = (f"{result[name] / 1e9:.1f}" for name in ("total_bytes", "budget_bytes"))
        lines.append(f"| {shape} | {used} | {there} | {result['peak']} | {source} |")
    runs, out = len(RUN), len(OUT)
    return "\n".join([f"{runs} settings that run, and {out} that were reported out of memory (the last ones):", "", *lines])


def test_table_is_current() -> None:
    """`python tests/test_rl.py` writes it."""
    assert between(PAGE, "rl") == table()


if __name__ == "__main__":
    write_between(PAGE, "rl", table())
