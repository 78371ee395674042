"""llmcx explain-log: lines of real start-up logs, the numbers that they state, and what is predicted beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcx
from llmcx.answers.log import Explained, explain_log
from llmcx.answers.log_said import SPREAD
from llmcx.catalog.index import stems
from llmcx.catalog.load import load_preset
from llmcx.catalog.named import preset_of
from llmcx.catalog.presets import MODELS
from llmcx.engines import logs
from llmcx.schemas import text as schema
from tests.helpers import data, here, refused, refused_in_json, strict
from tests.test_vllm import shape, starts

DOCS = Path(__file__).resolve().parent.parent / "docs"
GIB, MIB = 2**30, 2**20


def read(text: str) -> logs.Log:
    return logs.read(text.strip("\n").splitlines(keepends=True))


def terms(text: str, preset: str | None = None, **more: Any) -> dict[str, Any]:
    """The terms of a log, by name."""
    found, _ = explain_log(read(text), None if preset is None else load_preset(preset), **more)
    return {term.term: term for term in found.terms}


def file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "start.log"
    path.write_text(text, encoding="utf-8")
    return str(path)


# --- vLLM -----------------------------------------------------------------------------------------------------------

V019 = """
(APIServer pid=1) INFO 04-22 01:35:30 [entrypoints/utils.py:299]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.19.0
(APIServer pid=1) INFO 04-22 01:35:30 [entrypoints/utils.py:233] non-default args: {'model_tag': 'meta-llama/Llama-3.1-8B-Instruct', 'model': 'meta-llama/Llama-3.1-8B-Instruct', 'max_model_len': 8192, 'tensor_parallel_size': 2, 'gpu_memory_utilization': 0.95, 'enable_prefix_caching': False}
(APIServer pid=1) DEBUG 04-22 01:35:31 [engine/arg_utils.py:2242] Defaulting max_num_seqs to 1024 for OPENAI_API_SERVER usage context.
(APIServer pid=1) INFO 04-22 01:35:31 [config/scheduler.py:238] Chunked prefill is enabled with max_num_batched_tokens=8192.
(EngineCore pid=245) INFO 04-22 01:35:43 [v1/engine/core.py:105] Initializing a V1 LLM engine (v0.19.0) with config: model='meta-llama/Llama-3.1-8B-Instruct', speculative_config=None, dtype=torch.bfloat16, max_seq_len=8192, download_dir=None, load_format=auto, tensor_parallel_size=2, pipeline_parallel_size=1, data_parallel_size=1, disable_custom_all_reduce=False, quantization=None, enforce_eager=False, kv_cache_dtype=auto, device_config=cuda
(Worker pid=445) DEBUG 04-22 01:35:55 [v1/worker/gpu_worker.py:284] worker init memory snapshot: torch_peak=0.01GiB, free_memory=77.66GiB, total_memory=79.19GiB, cuda_memory=1.53GiB
(Worker_TP0 pid=444) INFO 04-22 01:36:06 [v1/worker/gpu_model_runner.py:4820] Model loading took 7.51 GiB memory and 10.562171 seconds
(Worker_TP0 pid=444) DEBUG 04-22 01:36:26 [v1/worker/gpu_worker.py:435] Memory profiling takes 19.38 seconds. Total non KV cache memory: 11.47GiB; torch peak memory increase: 1.89GiB; non-torch forward increase memory: 2.07GiB; weights memory: 7.51GiB.
(Worker_TP0 pid=444) INFO 04-22 01:36:26 [v1/worker/gpu_worker.py:436] Available KV cache memory: 63.76 GiB
(EngineCore pid=245) INFO 04-22 01:36:26 [v1/core/kv_cache_utils.py:1319] GPU KV cache size: 1,044,688 tokens
(EngineCore pid=245) INFO 04-22 01:36:26 [v1/core/kv_cache_utils.py:1324] Maximum concurrency for 8,192 tokens per request: 127.53x
(Worker_TP0 pid=444) INFO 04-22 01:36:30 [v1/worker/gpu_model_runner.py:6046] Graph capturing finished in 4 secs, took 0.76 GiB
(APIServer pid=1) DEBUG 04-22 01:36:32 [v1/metrics/loggers.py:273] Engine 000: vllm cache_config_info with initialization after num_gpu_blocks is: 65293
"""  # noqa: E501
"""jgchn/llm-d-planner, accuracy/results/v0.19.0/logs/meta-llama-llama-3-1-8b---h100-80gb--tp2pp1dp1--8192.log, lines cut."""


def test_vllm() -> None:
    log = read(V019)
    said = {"version": "0.19.0", "model": "meta-llama/Llama-3.1-8B-Instruct", "dtype": "bfloat16", "kv_dtype": "auto", "tp": 2}
    said |= {"pp": 1, "seq": 8192, "utilization": 0.95, "max_num_batched_tokens": 8192, "max_num_seqs": 1024}
    said |= {"kv_tokens": 1_044_688, "blocks": 65_293, "concurrency": 127.53, "at_length": 8192}
    for name, gib in {
        "weights": 7.51,
        "workspace": 1.89,
        "outside": 2.07,
        "graphs": 0.76,
        "kv_cache": 63.76,
        "memory": 79.19,
    }.items():
        said[name] = round(gib * GIB)
    assert {name: log.get(name) for name in said} == said
    assert log.get("quantization") is None and not log.missing() and log.starts == 1 and log.lines["weights"] == 7
    found = terms(V019, "llama-3.1-8b")
    for name in ("weights", "workspace", "outside", "kv_cache", "kv_tokens", "blocks", "concurrency"):
        assert abs(found[name].share) < 0.02, found[name]
    assert found["graphs"].low <= 0.76 * GIB <= found["graphs"].high  # of the same start another log has 1.69
    # 2 × 8 heads / 2 GPUs × 128 × 2 B × 32 layers: 65,536 B a token of 63.76 GiB, in blocks of 16
    assert found["kv_tokens_of_pool"].predicted == 63.76 * GIB // (16 * 65_536) * 16
    assert found["kv_tokens_of_pool"].low <= 1_044_688 <= found["kv_tokens_of_pool"].high


def test_vllm_before_its_second_engine() -> None:
    """0.6.5: two models of the same command in vllm-project/vllm, pull request 10511."""
    lines = """
INFO 12-13 19:54:18 worker.py:243] Memory profiling results:
INFO 12-13 19:54:18 worker.py:243] total_gpu_memory     79.22GiB
INFO 12-13 19:54:18 worker.py:243] gpu_memory_utilization       0.90
INFO 12-13 19:54:18 worker.py:243] model weights take   14.96GiB
INFO 12-13 19:54:18 worker.py:243] non_torch_memory     1.79GiB
INFO 12-13 19:54:18 worker.py:243] PyTorch activation peak memory       1.26GiB
INFO 12-13 19:54:18 worker.py:243] available_kv_cache_memory    53.29GiB
"""
    found = terms(lines, "llama-3-8b")
    logged = {name: round(found[name].logged / GIB, 2) for name in ("weights", "outside", "workspace", "kv_cache")}
    assert logged == {"weights": 14.96, "outside": 1.79, "workspace": 1.26, "kv_cache": 53.29}
    assert abs(found["weights"].share) < 0.001
    # vllm-project/vllm, pull request 14447
    later = """
(VllmWorkerProcess pid=507) INFO 04-12 08:21:19 [worker.py:267] Memory profiling takes 17.59 seconds
(VllmWorkerProcess pid=507) INFO 04-12 08:21:19 [worker.py:267] the current vLLM instance can use total_gpu_memory (23.58GiB) x gpu_memory_utilization (0.99) = 23.35GiB
(VllmWorkerProcess pid=507) INFO 04-12 08:21:19 [worker.py:267] model weights take 21.21GiB; non_torch_memory takes 0.20GiB; PyTorch activation peak memory takes 0.37GiB; the rest of the memory reserved for KV Cache is 1.57GiB.
"""  # noqa: E501
    log = read(later)
    wanted = {"memory": 23.58, "weights": 21.21, "outside": 0.2, "workspace": 0.37, "kv_cache": 1.57}
    assert {name: round(log.get(name) / GIB, 2) for name in wanted} == wanted and log.get("utilization") == 0.99


def test_vllm_without_room() -> None:
    """0.7 (vllm-project/vllm, issue 13882): a pool below 0."""
    lines = """
INFO 02-26 09:54:02 model_runner.py:1115] Loading model weights took 5.2032 GB
INFO 02-26 09:54:05 worker.py:267] the current vLLM instance can use total_gpu_memory (8.00GiB) x gpu_memory_utilization (0.70) = 5.60GiB
INFO 02-26 09:54:05 worker.py:267] model weights take 5.20GiB; non_torch_memory takes 0.03GiB; PyTorch activation peak memory takes 1.42GiB; the rest of the memory reserved for KV Cache is -1.05GiB.
INFO 02-26 09:54:05 executor_base.py:111] # cuda blocks: 0, # CPU blocks: 4681
INFO 02-26 09:54:05 executor_base.py:116] Maximum concurrency for 4096 tokens per request: 0.00x
"""  # noqa: E501
    found = terms(lines, "qwen2.5-7b", dtype="gptq")
    assert round(found["kv_cache"].logged / GIB, 2) == -1.05 and found["kv_cache"].predicted < 0
    assert found["blocks"].logged == 0 and found["concurrency"].logged == 0
    assert "no room" in here("explain-log", "-", "qwen2.5-7b", "--dtype", "gptq", stdin=lines.encode()).out


def test_vllm_without_its_memory() -> None:
    """0.7 (vllm-project/vllm, pull request 12569): no memory of a GPU, so of the cache only what follows from its blocks."""
    lines = """
INFO 01-30 03:18:12 gpu_model_runner.py:848] Loading model weights took 67.7229 GB
INFO 01-30 03:18:25 backends.py:585] Dynamo bytecode transform time: 12.88 s
INFO 01-30 03:19:14 kv_cache_utils.py:395] # GPU blocks: 1381
INFO 01-30 03:19:14 kv_cache_utils.py:398] Maximum concurrency for 2048 tokens per request: 10.79x
"""
    found = terms(lines, "llama-3.1-70b", dtype="fp8_channel")  # Meta-Llama-3.1-70B-Instruct-quantized.w8a8
    assert abs(found["weights"].share) < 0.001 and found["kv_cache"].predicted is None
    assert (found["concurrency"].predicted, found["concurrency"].logged) == (10.79, 10.79)
    with_memory = terms(lines, "llama-3.1-70b", dtype="fp8_channel", memory=round(79.19 * GIB))
    assert with_memory["kv_cache"].predicted > 0 and with_memory["blocks"].logged == 1381


def test_vllm_sets_graphs_aside() -> None:
    """0.27 (gpustack/runner, pull request 251)."""
    line = (
        "(Worker_TP1 pid=448) INFO 08-14 14:07:22 [gpu_model_runner.py:6806] Estimated CUDA graph memory: 0.36 GiB total\n"
        "(Worker_TP0 pid=447) INFO 08-14 14:07:22 [gpu_worker.py:563] Available KV cache memory: 6.87 GiB\n"
        "(Worker_TP0 pid=447) INFO 08-14 14:07:22 [gpu_worker.py:578] CUDA graph memory profiling is enabled (default since "
        "v0.21.0). The current --gpu-memory-utilization=0.8200 is equivalent to --gpu-memory-utilization=0.8048 without\n"
    )
    log = read(line)
    assert log.get("graphs_aside") and log.get("utilization") == 0.82 and log.get("rank") == 1
    assert explain_log(log)[0].gpus == 2


def test_every_start_that_was_measured() -> None:
    """57 starts of 0.19 (tests/oracle/vllm_starts.csv): the cache of the logged pool within 2%; each interval holds most."""
    inside = dict.fromkeys(SPREAD, 0)
    rows = starts()
    for row in rows:
        values: dict[str, Any] = {"version": "0.19.0", "model": row["model"], "memory": round(79.19 * GIB), "dtype": row["dtype"]}
        values |= {"kv_dtype": row["kv_dtype"], "utilization": float(row["utilization"]), "max_num_seqs": 1024}
        values |= {"tp": int(row["tp"]), "pp": int(row["pp"]), "seq": int(row["length"]), "max_num_batched_tokens": 8192}
        values |= {"quantization": row["quantization"] or None, "kv_tokens": int(row["tokens"])}
        theirs = {"weights": "weights", "workspace": "activations", "outside": "outside", "graphs": "graphs", "kv_cache": "cache"}
        values |= {ours: round(float(row[name]) * GIB) for ours, name in theirs.items() if row[name]}
        log = logs.Log("vllm", values, dict.fromkeys(values, 1))
        found, notes = explain_log(log, shape(row["model"].rpartition("/")[2]))
        by = {term.term: term for term in found.terms}
        assert abs(by["kv_tokens_of_pool"].share or 0) < 0.02, (row["model"], notes)
        for name in inside:
            if name in by and by[name].low is not None and by[name].logged is not None:
                inside[name] += by[name].low <= by[name].logged <= by[name].high  # type: ignore[operator]
    assert len(rows) >= 55
    assert all(many > 0.8 * len(rows) for many in inside.values()), inside


# --- SGLang ---------------------------------------------------------------------------------------------------------


def test_sglang() -> None:
    """sgl-project/sglang, pull request 17157: two groups that attend apart. Qwen3-VL 30B-A3B has the layers of Qwen3 30B-A3B."""
    lines = """
[2026-01-15 13:56:49 DP1 TP1] Load weight end. type=Qwen3VLMoeForConditionalGeneration, dtype=torch.bfloat16, avail mem=29.92 GB, mem usage=30.67 GB.
[2026-01-15 13:56:49 DP0 TP0] Using KV cache dtype: torch.bfloat16
[2026-01-15 13:56:49 DP0 TP0] The available memory for KV cache is 17.67 GB.
[2026-01-15 13:56:49 DP0 TP0] KV Cache is allocated. #tokens: 192896, K size: 8.84 GB, V size: 8.84 GB
[2026-01-15 13:56:49 DP1 TP1] KV Cache is allocated. #tokens: 192896, K size: 8.84 GB, V size: 8.84 GB
[2026-01-15 13:56:49 DP0 TP0] Memory pool end. avail mem=11.85 GB
"""  # noqa: E501
    found = terms(lines, "qwen3-30b-a3b")
    assert found["kv_cache"].predicted == 192_896 * 2 * 4 * 128 * 2 * 48
    assert abs(found["kv_cache"].share) < 0.002 and found["kv_tokens"].logged == 192_896
    assert round(found["weights"].logged / GIB, 2) == 30.67


def test_sglang_on_one_gpu() -> None:
    """sgl-project/sglang, pull request 11830: a model with the cache of Qwen2.5-7B (28 layers of 4 heads of 128), on a B200."""
    lines = """
[2025-11-30 12:50:10] Using KV cache dtype: torch.bfloat16
[2025-11-30 12:50:10] KV Cache is allocated. #tokens: 2243474, K size: 59.91 GB, V size: 59.91 GB
[2025-11-30 12:50:10] Memory pool end. avail mem=40.03 GB
[2025-11-30 12:50:15] Capture cuda graph end. Time elapsed: 5.37 s. mem usage=1.44 GB. avail mem=38.05 GB.
"""
    found = terms(lines, "qwen2.5-7b")
    assert found["kv_cache"].predicted == 2_243_474 * 2 * 4 * 128 * 2 * 28 and abs(found["kv_cache"].share) < 0.001
    assert round(found["graphs"].logged / GIB, 2) == 1.44


def test_sglang_says_what_it_was_asked() -> None:
    """The arguments as ServerArgs prints itself, in a line written here."""
    log = read(
        "[2025-11-30 12:49:10] server_args=ServerArgs(model_path='Qwen/Qwen3-8B', tokenizer_path='Qwen/Qwen3-8B', dtype='auto', "
        "quantization=None, kv_cache_dtype='auto', mem_fraction_static=0.79, tp_size=2, pp_size=1, enable_dp_attention=False)"
    )
    assert (log.get("model"), log.get("utilization"), log.get("tp"), log.get("dp_attention")) == ("Qwen/Qwen3-8B", 0.79, 2, None)


# --- TensorRT-LLM ---------------------------------------------------------------------------------------------------

SPARK = """
[12/20/2025-04:21:09] [TRT-LLM] [I] max_seq_len is not specified, using inferred value 131072
[TensorRT-LLM][INFO] Number of tokens per block: 32.
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 0.56 GiB for max tokens in paged KV cache (8224).
[12/20/2025-04:21:10] [TRT-LLM] [I] max_seq_len=8224, max_num_requests=64, max_num_tokens=8192, max_batch_size=64
[12/20/2025-04:21:50] [TRT-LLM] [I] Memory used after loading model weights (inside torch) in memory usage profiling: 63.52 GiB
[12/20/2025-04:21:50] [TRT-LLM] [I] Memory used after loading model weights (outside torch) in memory usage profiling: 49.78 GiB
[12/20/2025-04:21:51] [TRT-LLM] [I] Memory dynamically allocated during inference (inside torch) in memory usage profiling: 0.85 GiB
[12/20/2025-04:21:51] [TRT-LLM] [I] Memory used outside torch (e.g., NCCL and CUDA graphs) in memory usage profiling: 49.28 GiB
[12/20/2025-04:21:51] [TRT-LLM] [I] Peak memory during memory usage profiling (torch + non-torch): 113.65 GiB, available KV cache memory when calculating max tokens: 5.95 GiB, fraction is set 0.8999999761581421, kv size is 73728. device total memory 119.70 GiB, , tmp kv_mem 0.56 GiB
[12/20/2025-04:21:51] [TRT-LLM] [W] Adjusted max_seq_len to 86720
[TensorRT-LLM][INFO] Number of tokens per block: 32.
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 5.95 GiB for max tokens in paged KV cache (86720).
[12/20/2025-04:21:52] [TRT-LLM] [I] max_seq_len=86720, max_num_requests=64, max_num_tokens=8192, max_batch_size=64
"""  # noqa: E501
"""gpt-oss-120b on a DGX Spark, 1.1.0rc3 (GitHub, a page on TensorRT-LLM there, 2025-12-20), lines cut."""


def test_trtllm() -> None:
    """The pool of the profile is not the one that holds. 2 x 8 x 64 x 2 B in 36 layers: 73,728 B a token, as it says itself;
    0.9 x (119.70 - 113.65 + 0.56) GiB.
    """
    log = read(SPARK)
    assert log.engine == "trtllm" and not log.missing() and log.get("token_bytes") == 73_728 == 2 * 8 * 64 * 2 * 36
    assert (log.get("kv_tokens"), log.get("block"), log.get("seq")) == (86_720, 32, 86_720)
    assert round(log.get("kv_pool") / GIB, 2) == 5.95 and log.get("utilization") == pytest.approx(0.9)
    found = terms(SPARK, "gpt-oss-120b")
    assert found["kv_cache"].predicted == pytest.approx(0.9 * 6.61 * GIB, rel=1e-6) and abs(found["kv_cache"].share) < 0.002
    assert abs(found["kv_tokens_of_pool"].share) < 0.001 and abs(found["kv_tokens"].share) < 0.002
    assert round(found["weights"].logged / GIB, 2) == 63.52 and found["weights"].predicted is None
    cut = SPARK.split("[12/20/2025-04:21:51] [TRT-LLM] [W]")[0]
    assert read(cut).missing() and terms(cut, "gpt-oss-120b")["kv_cache"].logged is None
    shares = {row.term: row.share for row in explain_log(read(SPARK), load_preset("llama-3.1-8b"))[0].terms}
    assert abs(shares["kv_tokens_of_pool"] or 0) > 0.05  # another model's tokens are of another size


def test_trtllms_engine() -> None:
    """The C++ runtime, 0.12 (NVIDIA/TensorRT-LLM at fe7dc6a, benchmarks/Suite.md): 62.99 GiB of 63.62 that were free, in fp8."""
    lines = """
[TensorRT-LLM][INFO] Engine version 0.12.0.dev2024073000 found in the config file, assuming engine(s) built by new builder API.
[TensorRT-LLM][INFO] MPI size: 1, MPI local size: 1, rank: 0
[TensorRT-LLM][INFO] Loaded engine size: 6214 MiB
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 928.77 MiB for execution context memory.
[TensorRT-LLM][INFO] Memory usage when calculating max tokens in paged kv cache: total: 79.10 GiB, available: 63.62 GiB
[TensorRT-LLM][INFO] Number of blocks in KV cache primary pool: 4607
[TensorRT-LLM][INFO] Number of tokens per block: 64.
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 62.99 GiB for max tokens in paged KV cache (294848).
KV Cache Dtype:         FP8
"""
    found = terms(lines, "gpt-j-6b")
    assert found["kv_tokens_of_pool"].share == pytest.approx(0, abs=0.001) and found["blocks"].logged == 4607 == 294_848 // 64
    assert found["weights"].logged == 6214 * MIB and read(lines).get("version") == "0.12.0.dev2024073000"
    assert found["kv_cache"].share == pytest.approx(0.99 / 0.9 - 1, abs=0.002)  # the share was 0.99, which no line says


# --- versions of vLLM -----------------------------------------------------------------------------------------------


def test_the_log_says_its_version() -> None:
    """gpt-oss-20b, 5.38 GiB and 78,384 tokens with 0.10 and 0.11 (hf-mem issue 60 has them of the 120b): tokens were those of a
    group's blocks; from 0.20 on as many as fit in requests of the longest length.
    """
    lines = """
INFO [core.py:58] Initializing a V1 LLM engine (v{}) with config: model='openai/gpt-oss-120b', max_seq_len=131072, dtype=torch.bfloat16
INFO [gpu_worker.py:276] Available KV cache memory: 5.38 GiB
INFO [kv_cache_utils.py:849] GPU KV cache size: 78,384 tokens
"""  # noqa: E501
    old, new = (terms(lines.format(version), "gpt-oss-120b")["kv_tokens_of_pool"] for version in ("0.10.1", "0.32.0"))
    assert old.low <= 78_384 <= old.high and new.predicted > 1.5 * 78_384
    notes = explain_log(read(lines.format("0.10.1")), load_preset("gpt-oss-120b"))[1]
    assert any("0.10" in note for note in notes)
    for version, words in {"0.5.4": "0.7 holds it", "0.99.1": "newer", "dev": "does not say its version"}.items():
        notes = explain_log(read(lines.format(version)), load_preset("gpt-oss-120b"))[1]
        assert any(words in note for note in notes), (version, notes)


def test_the_first_engine_of_a_later_version() -> None:
    """0.8.5 on cards older than Ampere, one of four that sample (a page on vllm-openai:v0.8.5): 1.45 GiB of activations."""
    lines = """
INFO 06-07 09:00:00 [llm_engine.py:243] Initializing a V0 LLM engine (v0.8.5) with config: model='qwen3-8b', max_seq_len=65536, tensor_parallel_size=4, dtype=torch.float16
INFO 06-07 09:00:01 [config.py:2003] Chunked prefill is enabled with max_num_batched_tokens=8192.
INFO 06-07 09:00:30 [worker.py:287] the current vLLM instance can use total_gpu_memory (21.48GiB) x gpu_memory_utilization (0.93) = 19.98GiB
INFO 06-07 09:00:30 [worker.py:287] model weights take 3.85GiB; non_torch_memory takes 0.20GiB; PyTorch activation peak memory takes 1.45GiB; the rest of the memory reserved for KV Cache is 14.49GiB.
INFO 06-07 09:00:31 [executor_base.py:117] Maximum concurrency for 65536 tokens per request: 6.44x
"""  # noqa: E501
    found = terms(lines, "qwen3-8b")
    for name in ("workspace", "outside", "kv_cache", "concurrency"):
        assert found[name].low <= found[name].logged <= found[name].high or abs(found[name].share) < 0.02, found[name]
    assert abs(found["workspace"].share) < 0.01 and abs(found["kv_cache"].share) < 0.01


def test_a_long_log_is_streamed(tmp_path: Path) -> None:
    """100 MB of lines that say nothing, with codes of a terminal among them: read once, in little memory."""
    import tracemalloc

    path = tmp_path / "long.log"
    with path.open("w", encoding="utf-8") as out:
        out.write(SPARK)
        for _ in range(100):
            out.write("\x1b[32m" + "x" * 999_990 + "\x1b[0m\n")
    assert path.stat().st_size > 99_000_000
    tracemalloc.start()
    found = data("explain-log", str(path), "gpt-oss-120b")["result"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["engine"] == "trtllm" and peak < 60e6


@pytest.mark.parametrize(
    "text",
    [
        "[TensorRT-LLM][INFO] Number of tokens per block: 64.",
        "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 9999999999999999 GiB for max tokens in paged KV cache (9).",
        "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 0.00 GiB for max tokens in paged KV cache (0).",
        "[TRT-LLM] [I] Peak memory during memory usage profiling (torch + non-torch): 1",
        "INFO [core.py:1] Initializing a V1 LLM engine (v) with config: ",
        "LMDeploy [TM][INFO] [BlockManager] max_block_count = 1274",
    ],
)
def test_cut_off_and_unknown_logs(text: str) -> None:
    end = here("explain-log", "-", "llama-3.1-8b", stdin=text.encode())
    assert end.code in (0, 2) and "Traceback" not in end.err
    if end.code:
        assert end.err.count("\n") == 1 and end.out == ""


# --- llama.cpp ------------------------------------------------------------------------------------------------------

QWEN3 = """
build: 5639 (f470bc36) with cc (Ubuntu 11.4.0) for x86_64-linux-gnu
llama_model_loader: - type  f32:  241 tensors
print_info: file format = GGUF V3 (latest)
print_info: file type   = Q4_K - Medium
print_info: file size   = 17.28 GiB (4.86 BPW)
print_info: arch             = qwen3moe
print_info: n_embd           = 2048
print_info: n_layer          = 48
print_info: n_head           = 32
print_info: n_head_kv        = 4
print_info: n_expert         = 128
print_info: general.name     = Qwen3-30B-A3B
"""
"""ggml-org/llama.cpp, issue 14235, lines cut; the first and the last written here."""


def test_llama_cpp() -> None:
    found = terms(QWEN3, preset_of("Qwen3-30B-A3B"))
    sizes = {name: found[name].logged for name in ("layers", "d_model", "heads", "kv_heads")}
    assert sizes == {"layers": 48, "d_model": 2048, "heads": 32, "kv_heads": 4}
    assert all(found[name].difference == 0 for name in sizes)
    assert round(found["weights"].logged / GIB, 2) == 17.28 and abs(found["weights"].share) < 0.001


def test_llama_cpp_of_another_model() -> None:
    found, _ = explain_log(read(QWEN3), load_preset("qwen3-8b"))
    assert found.largest == "layers"  # 36 of them


def test_llama_cpp_and_a_draft() -> None:
    """ggml-org/llama.cpp, issue 11200: Qwen2.5-Coder 32B, then a draft of 1.5B, of which nothing is read."""
    lines = """
llama_new_context_with_model: n_ctx         = 32768
llama_new_context_with_model: freq_scale    = 1
llama_kv_cache_init: kv_size = 32768, offload = 1, type_k = 'q8_0', type_v = 'q8_0', n_layer = 64, can_shift = 1
llama_kv_cache_init:      CUDA0 KV buffer size =  2788.00 MiB
llama_kv_cache_init:      CUDA1 KV buffer size =  1564.00 MiB
llama_new_context_with_model: KV self size  = 4352.00 MiB, K (q8_0): 2176.00 MiB, V (q8_0): 2176.00 MiB
llama_new_context_with_model:  CUDA_Host  output buffer size =     0.58 MiB
llama_new_context_with_model:      CUDA0 compute buffer size =   233.00 MiB
llama_new_context_with_model:      CUDA1 compute buffer size =   237.51 MiB
llama_new_context_with_model:  CUDA_Host compute buffer size =   133.01 MiB
srv    load_model: loading draft model 'qwen2.5-coder:1.5b-instruct-q8_0.gguf'
llama_model_loader: loaded meta data with 34 key-value pairs and 338 tensors from q.gguf (version GGUF V3 (latest))
llama_kv_cache_init:      CUDA1 KV buffer size =   896.00 MiB
"""
    found = terms(lines, "qwen2.5-32b")
    assert found["kv_cache"].predicted == found["kv_cache"].logged == 4352 * MIB
    assert found["compute_buffer.CUDA1"].logged == round(237.51 * MIB) and found["compute_buffer.CUDA1"].predicted is None
    assert read(lines).another and read(lines).starts == 1


def test_llama_cpp_under_ollama() -> None:
    """ollama/ollama, pull request 6279: journald's prefix before each line."""
    lines = """
Sep 11 01:16:15 lena ollama[1884]: llm_load_print_meta: model ftype      = Q4_0
Sep 11 01:16:15 lena ollama[1884]: llm_load_print_meta: model params     = 70.55 B
Sep 11 01:16:15 lena ollama[1884]: llm_load_print_meta: model size       = 37.22 GiB (4.53 BPW)
Sep 11 01:16:15 lena ollama[1884]: llm_load_print_meta: general.name     = Meta Llama 3.1 70B Instruct
"""
    found = terms(lines, preset_of(read(lines).get("model")))
    assert abs(found["weights"].share) < 0.001


def test_llama_cpp_of_several_files() -> None:
    """LostRuins/koboldcpp, issue 1528: the buffers of a file in pieces add up."""
    lines = """
print_info: general.name     = Mistral Large Instruct 2407
print_info: n_vocab          = 32768
load_tensors: offloaded 0/89 layers to GPU
load_tensors:   CPU_Mapped model buffer size = 22722.80 MiB
load_tensors:   CPU_Mapped model buffer size = 22813.64 MiB
load_tensors:   CPU_Mapped model buffer size = 22797.14 MiB
load_tensors:   CPU_Mapped model buffer size = 12113.72 MiB
llama_context: constructing llama_context
llama_context: n_ctx         = 32768
"""
    found = terms(lines, preset_of(read(lines).get("model")))
    assert found["weights"].logged == sum(round(size * MIB) for size in (22722.80, 22813.64, 22797.14, 12113.72))
    assert found["vocab"].difference == 0
    assert found["kv_cache"].predicted == 32_768 * 2 * 8 * 128 * 2 * 88  # 88 layers of 8 heads of 128 in 16 bits


def test_llama_cpp_without_a_window() -> None:
    """The window of Mistral 7B's configuration is not in its GGUF file: ollama/ollama, issue 9496, with the lines of such a file
    before it that ggml-org/llama.cpp, issue 5619, has in another type. 4048 MiB are 32,384 cells.
    """
    lines = """
llm_load_print_meta: n_swa            = 0
llm_load_print_meta: general.name     = mistralai_mistral-7b-instruct-v0.2
llama_init_from_model: n_ctx         = 32384
llama_kv_cache_init:        CPU KV buffer size =  4048.00 MiB
llama_init_from_model: KV self size  = 4048.00 MiB, K (f16): 2024.00 MiB, V (f16): 2024.00 MiB
llama_init_from_model:        CPU  output buffer size =     2.02 MiB
llama_init_from_model:        CPU compute buffer size =  2119.26 MiB
"""
    found = terms(lines, preset_of(read(lines).get("model")))
    cells = -(-32_384 // 256) * 256
    assert found["kv_cache"].predicted == cells * 2 * 8 * 128 * 2 * 32 and abs(found["kv_cache"].share) < 0.005


def test_codes_of_a_terminal() -> None:
    """ggml-org/llama.cpp, issue 27680, whose codes lost their escape when they were copied; and with it."""
    line = "{0}[34m0.00.612.798{0}[0m {0}[32mI {0}[0mprint_info: n_layer               = 43\n"
    for escape in ("", "\x1b"):
        assert read(line.format(escape)).get("layers") == 43
    colored = V019.replace("Available KV", "\x1b[1;36mAvail\x1b[0mable KV")
    assert read(colored).values == read(V019).values


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """google/gemma-3-12b-it (jgchn/llm-d-planner, v0.19.0): the preset is the language model alone, the server has a tower."""
    monkeypatch.setenv("COLUMNS", "80")
    first, second, *_ = here("explain-log", str(DOCS / "vllm.log")).out.splitlines()
    assert len(first) <= 80 and len(second) <= 80
    assert all(word in first for word in ("vLLM 0.19.0", "Gemma 3 12B", "1 GPU")) and "weights, +1.39 GiB" in second
    out = data("explain-log", str(DOCS / "vllm.log"))
    assert out["schema"] == "llmcx.explain-log/2" and out["model"]["name"] == "gemma-3-12b"
    assert out["result"]["largest"] == "weights" and out["result"]["terms"][0]["logged"] == round(23.31 * GIB)
    assert json.loads(schema("explain-log"))["$id"] == "urn:llmcx:explain-log:2"


def test_python() -> None:
    found: Explained = llmcx.explain_log(DOCS / "vllm.log")
    assert found.to_dict() == data("explain-log", str(DOCS / "vllm.log"))["result"]
    assert found.rows()[0]["term"] == "weights"
    assert llmcx.explain_log(str(DOCS / "vllm.log"), "gemma-3-27b").terms[0].predicted > 2 * found.terms[0].predicted  # type: ignore[operator]


def test_options_change_the_answer(tmp_path: Path) -> None:
    bare = "\n".join(line for line in V019.splitlines() if "total_memory" not in line)
    path = file(tmp_path, bare)
    plain = data("explain-log", path)["result"]
    cache = {term["term"]: term["predicted"] for term in plain["terms"]}
    assert cache["kv_cache"] is None
    for more in (("--hardware", "h100"), ("--dtype", "fp8"), ("--set", "head_dim=64"), ("llama-3.1-70b",)):
        assert data("explain-log", path, *more)["result"] != plain, more
    assert "memory" in refused("explain-log", str(DOCS / "vllm.log"), "--hardware", "h100")
    unknown = file(tmp_path, V019.replace("Llama-3.1-8B-Instruct", "of-my-own"))
    assert "model" in refused("explain-log", unknown, "--dtype", "fp8")
    assert data("explain-log", unknown)["result"]["largest"] is None
    named = next(note for note in data("explain-log", unknown)["notes"] if "of-my-own" in note)
    assert "explain-log" in named


def test_the_last_of_several_starts(tmp_path: Path) -> None:
    whole = V019 + (DOCS / "vllm.log").read_text(encoding="utf-8")
    out = data("explain-log", file(tmp_path, whole))
    assert out["model"]["name"] == "gemma-3-12b" and out["result"]["starts"] == 2 and "2 starts" in out["notes"][0]
    assert read(V019 + V019).starts == 2 and read(V019).starts == 1
    twice = "\n".join(line for line in V019.splitlines() for _ in range(2))  # as each of two processes writes it
    assert read(twice).starts == 1 and read(twice).values == read(V019).values
    failed = "\n".join(V019.splitlines()[:6]) + "\nOSError: no such model\n"
    assert read(failed + V019).starts == 2 and read(failed + V019).values == read(V019).values
    assert (
        here("explain-log", "-", stdin=whole.encode()).out.splitlines()[:2]
        == here("explain-log", str(tmp_path / "start.log")).out.splitlines()[:2]
    )


def test_bad_logs_are_refused_in_a_sentence(tmp_path: Path) -> None:
    assert "empty" in refused("explain-log", os.devnull)
    assert "directory" in refused("explain-log", str(tmp_path))
    assert "No such file" in refused("explain-log", str(tmp_path / "none.log"))
    assert "binary" in refused("explain-log", "-", stdin=b"GGUF\x00\x01\x02")
    assert "vLLM, SGLang, TensorRT-LLM or llama.cpp" in refused("explain-log", "-", stdin=b"Starting nginx\nready\n")
    assert refused_in_json("explain-log", "-", stdin=b"hello")["field"] == "log"
    assert "-" in refused("explain-log", "-", "-", stdin=V019.encode())
    cut = "\n".join(V019.splitlines()[:6])
    assert "Model loading took" in refused("explain-log", "-", stdin=cut.encode())
    failed = cut + "\n(EngineCore pid=9) ValueError: Free memory on device cuda:1 (60.87/79.19 GiB) is less than desired\n"
    assert "ValueError: Free memory" in refused("explain-log", "-", stdin=failed.encode())
    later = "\n".join(V019.splitlines()[:9])
    end = data_of(later)
    assert any("Available KV cache memory" in note for note in end["notes"]) and end["result"]["missing"]


def test_several_models_beside_one_log() -> None:
    end = here("explain-log", "-", "llama-3.1-8b", "llama-3-8b", "--json", stdin=V019.encode())
    assert end.code == 0 and [one["model"]["name"] for one in strict(end.out)["results"]] == ["llama-3.1-8b", "llama-3-8b"]
    assert here("explain-log", "-", "llama-3.1-8b", "llama-3-8b", stdin=V019.encode()).code == 0


def data_of(text: str) -> Any:
    end = here("explain-log", "-", "--json", stdin=text.encode())
    assert (end.code, end.err) == (0, ""), end
    return strict(end.out)


def test_windows_writes_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "start.log"
    path.write_text(V019.replace("\n", "\r\n"), encoding="utf-16")
    assert data("explain-log", str(path))["result"]["terms"] == data_of(V019)["result"]["terms"]


def test_what_is_read_is_bounded(tmp_path: Path) -> None:
    """A line of 20 MB among others, and one that would take an expression long: what is held is a piece of it."""
    path = tmp_path / "start.log"
    hostile = "[utils.py:1] " + "█ version " * 10_000 + "worker init memory snapshot: " * 2_000 + "n_layer " + " " * 50_000
    path.write_text(V019 + "x" * 20_000_000 + "\n" + hostile + "\n", encoding="utf-8")
    with path.open(encoding="utf-8") as opened:
        assert max(map(len, logs.pieces(opened))) <= logs.LONGEST
    assert data("explain-log", str(path))["result"]["terms"] == data_of(V019)["result"]["terms"]


PIECES = [line for text in (V019, QWEN3) for line in text.splitlines() if line]


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=400) | st.lists(st.sampled_from(PIECES) | st.text(max_size=60), max_size=30).map("\n".join).map(str.encode)
)
def test_any_bytes_give_an_answer_or_one_sentence(raw: bytes) -> None:
    end = here("explain-log", "-", stdin=raw)
    assert end.code in (0, 2) and (end.err == "") == (end.code == 0), end
    assert end.err.count("\n") <= 1


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PIECES), st.from_regex(r"[0-9]{1,14}(\.[0-9]{1,3})?", fullmatch=True), st.integers(0, 12))
def test_any_numbers_give_an_answer(line: str, number: str, at: int) -> None:
    """A number of a real line put in place of another."""
    import re

    found = [*re.finditer(r"\d[\d,.]*", line)]
    one = found[at % len(found)]
    text = "\n".join([*V019.splitlines(), line[: one.start()] + number + line[one.end() :]])
    end = here("explain-log", "-", stdin=text.encode())
    assert end.code in (0, 2) and (end.code == 0 or end.err.count("\n") == 1), end


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "llama-3.1-8b"),
        ("/models/models--meta-llama--Meta-Llama-3.1-8B-Instruct/snapshots/0e9e39f", "llama-3.1-8b"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "qwen2.5-7b"),
        ("mistral-7b-instruct-v0.2.Q8_0.gguf", "mistral-7b-v0.2"),
        ("/m/Mixtral-8x7B-Instruct-v0.1-Q4_0-00001-of-00002.gguf", "mixtral-8x7b"),
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
        ("mistralai_mistral-7b-instruct-v0.1", "mistral-7b"),
        ("google_gemma-3-27b-it-Q4_K_M.gguf", "gemma-3-27b"),
        ("Qwen3VL-32B-Instruct-Q4_K_M.gguf", "qwen3-vl-32b"),
        ("Qwen3-Omni-30B-A3B-Instruct-Q4_K_M.gguf", None),
        ("moonshotai/Kimi-VL-A3B-Instruct", None),
        ("", None),
    ],
)
def test_names(name: str, preset: str | None) -> None:
    assert preset_of(name) == preset


def test_every_preset_is_itself() -> None:
    assert all(preset_of(name) == name for name in stems(MODELS))
