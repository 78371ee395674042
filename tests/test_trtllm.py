"""TensorRT-LLM's blocks and pool beside what it logged (tests/oracle/trtllm_starts.csv)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from llmcx.catalog.load import load_preset
from llmcx.engines import Kept
from llmcx.engines.inference_memory import held, kept
from llmcx.engines.trtllm import TensorRTLLM
from llmcx.formats import dtypes
from llmcx.model.run import step_at
from llmcx.parallel.division import division
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import stages
from llmcx.parallel.ranks import pieces
from tests.helpers import between, data, refused, write_between

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/engines.md"
GIB = 2**30
ROUNDED = 0.0051
LONG = 2**40
"""A context that no window reaches."""

Row = dict[str, str]


def starts() -> list[Row]:
    with (ROOT / "tests/oracle/trtllm_starts.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cached(preset: str, tp: int = 1) -> tuple[Kept, ...]:
    spec = load_preset(preset)
    [stage] = stages(spec.runs, 1)
    return kept(spec, pieces(spec, step_at(1), division(Layout(tp=tp))), stage)


def token(row: Row) -> int:
    """Bytes of a token, in all layers, as these versions had one pool for them."""
    windows = TensorRTLLM().windows(cached(row["shape"], int(row["tp"])), LONG, dtypes.per_element(row["kv_dtype"]))
    return sum(windows.values())


def free(row: Row) -> float | None:
    """GiB that were free when the pool was sized."""
    if row["free"]:
        return float(row["free"])
    return float(row["total"]) - float(row["taken"]) if row["taken"] else None


STARTS = starts()
SIZED = [row for row in STARTS if row["pool"] and row["tokens"]]
FREE = [row for row in STARTS if free(row) is not None]


def name(row: Row) -> str:
    return f"{row['model']}-{row['tokens'] or row['pool']}"


def test_enough_starts() -> None:
    assert len(STARTS) >= 10


@pytest.mark.parametrize("row", SIZED, ids=name)
def test_tokens_of_a_pool(row: Row) -> None:
    """Whole blocks, and as many GiB as were logged: MHA, GQA shared by two GPUs, MLA whole on each of eight."""
    assert token(row) * int(row["tokens"]) / GIB == pytest.approx(float(row["pool"]), abs=ROUNDED)
    assert not row["block"] or int(row["tokens"]) % int(row["block"]) == 0


@pytest.mark.parametrize("row", FREE, ids=name)
def test_the_pool_is_a_share_of_what_was_free(row: Row) -> None:
    """Blocks are rounded up. What was free has two decimals: 0.01 GiB of it is up to 0.02% of the tokens, of little more."""
    of = free(row)
    assert of is not None
    share, block = float(row["fraction"]), int(row["block"])
    near = 0.011 * GIB / token(row) + block
    found = TensorRTLLM(block=block).tokens(
        cached(row["shape"], int(row["tp"])), int(of * GIB), LONG, dtypes.per_element(row["kv_dtype"]), share
    )
    if row["shape"] == "gpt-oss-120b":  # 1.1.0rc3 had one pool of 73,728 B a token; 1.2 has one for each window
        found = int(share * of * GIB / token(row))
        assert token(row) == 73_728
    tokens = int(row["tokens"]) if row["tokens"] else float(row["pool"]) * GIB / token(row)
    assert found == pytest.approx(tokens, abs=2 * near)


def test_the_pool_of_an_accelerator() -> None:
    """Qwen3-Reranker-0.6B on an H100, which gave the constant: 68.69 GiB."""
    [row] = [row for row in STARTS if row["model"] == "Qwen3-Reranker-0.6B"]
    spec = load_preset(row["shape"])
    [gpu] = held(spec, 1, 8192, Layout(), TensorRTLLM())
    left = float(row["total"]) * GIB - 2 * gpu.params - gpu.workspace - gpu.overhead
    assert 0.9 * left / GIB == pytest.approx(float(row["pool"]), rel=0.01)


def test_windows_have_pools_by_their_part_of_a_sequence() -> None:
    """gpt-oss-20b, 8k tokens: 12 layers of 128 and 12 of 8,192 tokens, equally wide. A window of 128 and
    one block has 5 blocks of 32, its share is 128 / 8,320 of the memory: (5 × 32 / 128) × 8,320 × 12 layers × 2,048 B.
    """
    need = TensorRTLLM().paged(cached("gpt-oss-20b"), 1, 8192, 2, 1)["kv_cache"]
    assert need == 5 * 32 * 8320 // 128 * 12 * 2048


def test_memory_keeps_a_tenth_of_what_is_left() -> None:
    """total <= visible, where 0.1 of what weights, activations and libraries leave is in the overhead: 55 users, by hand:
    0.9 × (79.19 GiB - 14.96 - 0.906 - 1.5625) = 55.6 of 1 GiB each.
    """
    found = data("memory", "llama-3.1-8b", "--engine", "trtllm", "--hardware", "h100", "--seq", "8k", "--fit", "batch")["result"]
    assert found["fit"]["value"] == 55
    served = data("serve", "llama-3.1-8b", "--engine", "trtllm", "--hardware", "h100", "--prompt", "8191", "--output", "1")
    assert served["result"]["largest_batch"] == 55


def test_its_own_flags_are_taken() -> None:
    ours = ("--tp", "2", "--seq", "8k", "--max-num-batched-tokens", "4k", "--utilization", "0.8", "--block", "64")
    theirs = ("--tp_size", "2", "--max_seq_len", "8k", "--max_num_tokens", "4k", "--kv_cache_free_gpu_memory_fraction", "0.8")
    asked = ("memory", "llama-3.1-8b", "--engine", "trtllm", "--hardware", "2xh100")
    assert data(*asked, *ours) == data(*asked, *theirs, "--tokens-per-block", "64")
    assert "--batch" in refused(*asked, "--max_batch_size", "4")


def test_what_is_not_known_is_refused() -> None:
    assert "fp8" in refused("memory", "llama-3.1-8b", "--engine", "trtllm", "--seq", "8k", "--kv-dtype", "q8_0")
    for preset in ("qwen3.5-27b", "deepseek-v3.2", "t5-large"):
        assert "--engine ideal" in refused("memory", preset, "--engine", "trtllm", "--seq", "512")


def table() -> str:
    rows = [
        "| model | tp | cache | tokens logged | of the pool | of what was free |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for row in STARTS:
        tokens = int(row["tokens"]) if row["tokens"] else None
        of_pool = f"{float(row['pool']) * GIB / token(row) / tokens - 1:+.2%}" if tokens and row["pool"] else ""
        of = free(row)
        logged = tokens or float(row["pool"]) * GIB / token(row)
        of_free = "" if of is None else f"{float(row['fraction']) * of * GIB / token(row) / logged - 1:+.2%}"
        counted = "" if tokens is None else f"{tokens:,}"
        rows.append(f"| {row['model']} | {row['tp']} | {row['kv_dtype']} | {counted} | {of_pool} | {of_free} |")
    return "\n".join(rows)


def test_table_is_current() -> None:
    """`python tests/test_trtllm.py` writes it."""
    assert between(PAGE, "trtllm") == table()


if __name__ == "__main__":
    write_between(PAGE, "trtllm", table())
