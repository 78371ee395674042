"""How public runs were started, where the scripts that started them say it; else as the engine does by itself.

A run's row tells its layout and its load. What else decides how long it takes stands in the recipes of InferenceMAX
(github.com/InferenceMAX/InferenceMAX, later SemiAnalysisAI/InferenceX): benchmarks/*.sh, and .github/configs/nvidia-master.yaml,
which says since when which image, layout and number of users ran, with drafts or without. Read from their history of August 2025
to May 2026. Of servers whose prompts have workers of their own: disaggregated.csv, from the recipes of NVIDIA/srt-slurm (their
history of November 2025 to August 2026), which start the runs that InferenceMAX publishes.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from math import exp
from pathlib import Path
from typing import NamedTuple

from llmcx.catalog.named import released
from llmcx.formats.quant import stored_as
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage

VARIED = ("llama-3.1-70b", "gpt-oss-120b", "deepseek-v3", "minimax-m2", "qwen3.5-397b-a17b")
"""Models of InferenceMAX, whose lengths are drawn from 80 to 100% of what is stated; those of others are exact."""


class Recipe(NamedTuple):
    """``together`` tokens of prompts in a pass at most; a request is taken up ``hold`` steps after it came, on average; bits of a
    cached number; ``drafts`` tokens a step, None where runs with and without have the same row; ``exact`` lengths; the ``share``
    of the memory that the engine was given; ``in_step``: users who began together stay together (see :func:`recipe`).
    """

    together: int
    hold: float
    cache_bits: float
    drafts: int | None
    exact: bool
    share: float | None
    in_step: bool = False


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
    """Of a row.

    SGLang works off all prompts that wait before anybody gets another token, unless it is started with --enable-mixed-chunk, as
    the generator of the scripts of 0.5.6 has it (ai-dynamo/aiconfigurator, pull request 257). Where lengths are exact, those who
    began together then end in the same step, and ask again together.
    """
    together, hold, bits = _trtllm(row) if row.engine == "trtllm" else _vllm(row) if row.engine == "vllm" else _sglang(row)
    exact = row.model not in VARIED
    in_step = exact and row.engine == "sglang" and row.version.startswith("0.5.1")
    return Recipe(together, hold, bits, _drafts(row), exact, _share(row), in_step)


def laid_out(row: Row) -> tuple[int, int]:
    """Groups of GPUs that attend for themselves, and GPUs among which experts are spread. Of runs without a version neither
    stands in the row: the scripts of September and October 2025 chose them by the load.
    """
    if row.version or row.engine == "vllm" or row.model not in ("deepseek-v3", "gpt-oss-120b"):
        return row.attention_dp, row.ep
    if row.engine == "sglang":  # --enable-ep-moe
        return row.attention_dp, row.gpus if row.precision == "fp4" else row.ep
    if row.model == "gpt-oss-120b":
        short = row.prompt == 1024 and row.gpus >= 4 and row.users >= 16
        return (row.gpus if row.users >= 256 else 1), (row.gpus if row.hardware == "h200" or short or row.users >= 256 else 1)
    many = {"fp4": (255, 255, 32), "fp8": (32, 64, 64) if row.hardware == "b200" else (64, 64, 32)}[row.precision]
    load = 2 if row.prompt == 8192 else 1 if row.output == 8192 else 0
    apart = row.users > many[load]
    few = (32, 32, 32) if row.gpus == 4 else (8, 16, 32)
    spread = row.precision == "fp8" or row.users > few[load]
    return (row.gpus if apart else 1), (row.gpus if spread else 1)


def _trtllm(row: Row) -> tuple[int, float, float]:
    narrow = 16.0 if row.precision == "bf16" else 8.0
    if row.model == "llama-3.1-70b":  # batch_wait_timeout_iters: 20, batch_wait_max_tokens_ratio: 0.9
        return 16384, batched(20, 0.9 * 16384, row) if row.prompt == row.output == 1024 and row.gpus < 8 else 0.0, 8.0
    # attention_dp_config: enable_balance; DeepSeek-V3's timeout_iters: 60, else as the engine does by itself
    timeout = 60 if row.model == "deepseek-v3" else 50
    hold = balanced(timeout, row) if row.attention_dp > 1 else 0.0
    if row.model == "gpt-oss-120b":
        return 20000, hold, 8.0 if row.hardware == "b200" else 16.0
    if row.model == "deepseek-v3":  # max_num_tokens is counted from the load, and since 2026 8,192 at least, without drafts
        users = row.users // row.attention_dp if not row.version else row.users
        tokens = row.prompt + -(-(users + 64) // 64) * 64
        return max(tokens, 8192 if row.version.endswith("rc6.post2") else 0), hold, 8.0
    return 8192, 0.0, narrow


def came(row: Row) -> float:
    """Requests that come in a step on average: each user asks once an answer, of a token a step, with drafts some more."""
    tokens = sum(0.7**n for n in range(1 + (_drafts(row) or 0)))
    return row.users * tokens / (row.output if row.model not in VARIED else 0.9 * row.output)


def batched(timeout: float, most: float, row: Row) -> float:
    """Steps that a request waits for others in TensorRT-LLM (batch_wait_timeout_iters): the first for ``timeout`` steps, or until
    there are ``most`` tokens of prompts; those that come in between for the rest of that time.

    >>> round(batched(20, 1e9, Row("trtllm", "", "llama-3.1-70b", "b200", "fp8", 1024, 1024, 46, 1, 1, 1)), 1)
    15.0
    """
    rate = came(row)
    steps = min(timeout, (most / row.prompt - 1) / rate)
    return (steps + rate * steps * steps / 2) / (1 + rate * steps)


def balanced(timeout: int, row: Row) -> float:
    """Steps that a request waits in TensorRT-LLM where groups of GPUs attend for themselves (enable_balance): prompts are taken
    up once every group has one, or else each ``timeout`` steps. Between two such times lies E[D], and one who comes at any time
    waits for E[D²] / 2 E[D] (the inspection paradox).

    >>> few = Row("trtllm", "", "deepseek-v3", "b200", "fp4", 8192, 1024, 1, 8, 8, 8)
    >>> round(balanced(60, few)), balanced(60, few._replace(users=4096)) < 3
    (30, True)
    """
    groups = row.attention_dp
    rate = came(row) / groups
    still = [1 - (1 - exp(-rate * (step + 0.5))) ** groups for step in range(timeout)]
    return sum((step + 0.5) * share for step, share in enumerate(still)) / sum(still)


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
        narrow = row.model == "qwen3.5-397b-a17b" or row.hardware == "gb200"
        return (16384 if row.model == "qwen3.5-397b-a17b" else 32768), 0.0, 8.0 if narrow else 16.0
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


def stored(model: str, engine: str, version: str, dtype: str, spec: ModelSpec) -> Storage:
    """The weights that were served: of DeepSeek-R1-0528 in four bits NVIDIA's second files, but by SGLang until October 2025."""
    if (model, dtype) == ("deepseek-v3", "nvfp4") and (version or engine != "sglang"):
        found = released("nvidia/DeepSeek-R1-0528-FP4-V2", spec)
        assert found is not None
        return found
    return stored_as(spec, dtype)


class Limits(NamedTuple):
    """What a server was told whose prompts are worked off apart: ``sequences`` that a copy decodes at a time at most, of
    TensorRT-LLM each of the groups that attend for themselves; those groups of GPUs of a worker for prompts. None: not told.
    """

    sequences: int | None = None
    prefill_attention_dp: int | None = None


def limits(engine: str, hardware: str, precision: str, *numbers: int) -> Limits:
    """Of a run: its prompt and output as stated, users, workers for prompts, workers that decode. No recipe is known of ten."""
    return _limits().get((engine, hardware, precision, *map(str, numbers)), Limits())


@lru_cache(maxsize=1)
def _limits() -> dict[tuple[str, ...], Limits]:
    with Path(__file__).with_name("disaggregated.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[1:]
    return {tuple(line[:8]): Limits(*(int(text) if text else None for text in line[8:])) for line in lines}
