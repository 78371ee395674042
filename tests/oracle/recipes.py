"""How public runs were started, where the scripts that started them say it; else as the engine does by itself.

A run's row tells its layout and its load. What else decides how long it takes stands in the recipes of InferenceMAX
(github.com/InferenceMAX/InferenceMAX, later SemiAnalysisAI/InferenceX): benchmarks/*.sh, and .github/configs/nvidia-master.yaml,
which says since when which image, layout and number of users ran, with drafts or without. Read from their history of August 2025
to May 2026.
"""

from __future__ import annotations

from typing import NamedTuple

VARIED = ("llama-3.1-70b", "gpt-oss-120b", "deepseek-v3", "minimax-m2", "qwen3.5-397b-a17b")
"""Models of InferenceMAX, whose lengths are drawn from 80 to 100% of what is stated; those of others are exact."""


class Recipe(NamedTuple):
    """``together`` tokens of prompts in a pass at most; a request is taken up ``hold`` steps after it came, on average; bits of a
    cached number; ``drafts`` tokens a step, None where runs with and without have the same row; ``exact`` lengths; the ``share``
    of the memory that the engine was given.
    """

    together: int
    hold: float
    cache_bits: float
    drafts: int | None
    exact: bool
    share: float | None


class Row(NamedTuple):
    """What a row states."""

    engine: str
    version: str
    model: str
    hardware: str
    precision: str
    prompt: int  # as stated
    output: int
    users: int
    gpus: int
    attention_dp: int
    ep: int


def recipe(row: Row) -> Recipe:
    """Of a row."""
    together, hold, bits = _trtllm(row) if row.engine == "trtllm" else _vllm(row) if row.engine == "vllm" else _sglang(row)
    return Recipe(together, hold, bits, _drafts(row), row.model not in VARIED, _share(row))


def _trtllm(row: Row) -> tuple[int, float, float]:
    narrow = 16.0 if row.precision == "bf16" else 8.0
    if row.model == "llama-3.1-70b":  # batch_wait_timeout_iters: 20, batch_wait_max_tokens_ratio: 0.9
        return 16384, 20.0 if row.prompt == row.output == 1024 and row.gpus < 8 else 0.0, 8.0
    if row.model == "gpt-oss-120b":
        return 20000, 0.0, 8.0 if row.hardware == "b200" else 16.0
    if row.model == "deepseek-v3":  # max_num_tokens is counted from the load, and since 2026 8,192 at least, without drafts
        tokens = row.prompt + -(-(row.users + 64) // 64) * 64
        return max(tokens, 8192 if row.version.endswith("rc6.post2") else 0), 0.0, 8.0
    return 8192, 0.0, narrow


def _vllm(row: Row) -> tuple[int, float, float]:
    if row.model == "minimax-m2":
        return (2 * row.prompt, 0.0, 8.0) if row.hardware == "b200" else (8192, 0.0, 16.0)
    # H100s had room for as many users as fit a cache of 16 bits, as their script of September 2025 had it.
    narrow = row.hardware != "h100" if row.model == "llama-3.1-70b" else (row.model, row.hardware) == ("gpt-oss-120b", "b200")
    return 8192, 0.0, 8.0 if narrow else 16.0


def _sglang(row: Row) -> tuple[int, float, float]:
    if row.model not in VARIED:
        return 8192, 0.0, 16.0
    if row.hardware != "b200":
        return (16384, 0.0, 8.0) if row.model == "qwen3.5-397b-a17b" else (32768, 0.0, 16.0)
    # Every so many steps the scheduler looks for new requests (--scheduler-recv-interval): half of them is the mean wait.
    hold = 15.0 if row.users >= 16 else 5.0
    if row.model == "deepseek-v3" and (row.precision == "fp4" or row.gpus == 4):
        return 16384 if row.precision == "fp4" else 8192, hold, 8.0
    return 32768, hold, 16.0 if row.precision == "bf16" else 8.0


def _share(row: Row) -> float | None:
    if row.model == "deepseek-v3" and row.engine == "sglang":
        return 0.85 if row.precision == "fp4" else 0.95 if row.gpus == 4 else 0.82
    if row.model == "deepseek-v3" and row.engine == "trtllm":
        return 0.8 if row.hardware == "b200" else 0.75
    if row.model == "gpt-oss-120b" and row.engine == "trtllm":
        return 0.85
    return 0.82 if row.model == "qwen3.5-397b-a17b" else None


MTP = 3
"""Tokens that the multi-token layer drafts a step; 1 where GPUs attend for users of their own (TensorRT-LLM)."""


def _drafts(row: Row) -> int | None:
    few = 1 if row.attention_dp > 1 else MTP
    if row.model == "qwen3.5-397b-a17b" and row.engine == "sglang" and row.precision == "fp8":
        if row.hardware == "h200":
            return None  # 8 GPUs share out experts with drafts and without
        return MTP if (row.gpus, row.ep) == (4, 1) else 0
    if row.model != "deepseek-v3":
        return 0
    if row.version == "1.2.0rc6.post3":
        return few
    if row.version == "1.1.0rc2.post2":
        return few if _only_drafting(row) else None
    if row.engine == "sglang" and row.version == "0.5.9" and row.precision == "fp8" and row.hardware == "b200":
        alone = row.users > 64 or (row.prompt == 8192 and row.users > 4)
        return 0 if row.gpus == 4 else MTP if alone else None
    return 0 if row.version in ("", "1.2.0rc6.post2", "0.5.9") else None


def _only_drafting(row: Row) -> bool:
    """Whether TensorRT-LLM 1.1 ran so many users in such a layout with drafts alone."""
    if row.precision == "fp4":
        return row.attention_dp > 1 and row.users < (64 if row.prompt == 8192 else 256)
    if row.attention_dp > 1:
        return row.users > 64 or (row.hardware == "b200" and row.prompt == 8192)
    return row.users > 64
