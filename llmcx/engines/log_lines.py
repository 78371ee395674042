"""The start-up lines of vLLM, SGLang, TensorRT-LLM and llama.cpp: which says what. One table of patterns an engine.

To read one more line, add its pattern to the engine's table: a text that stands in the line (found first, because it is quicker),
and a regular expression whose groups are named as in :data:`FIELDS`. A new field is a line there.

The lines are those of vLLM 0.6 to 0.32 (vllm/v1/worker/gpu_worker.py, gpu_model_runner.py, core/kv_cache_utils.py, before them
worker/worker.py), SGLang 0.4 to 0.5 (python/sglang/srt/model_executor/model_runner.py, mem_cache/memory_pool.py), TensorRT-LLM
0.12 to 1.3 (cpp/tensorrt_llm/batch_manager/kvCacheManager.cpp, tensorrt_llm/_torch/pyexecutor/_util.py) and llama.cpp from b1500
on (src/llama-model.cpp, llama-context.cpp, llama-kv-cache.cpp).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

NAMES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM", "llama.cpp": "llama.cpp"}
"""Engines whose logs are read."""
LONGEST = 2**16
"""Characters of a line that are looked at; vLLM's configuration has some 10,000."""
MOST_DEVICES = 256
"""Buffers of one kind that are kept apart."""


class Field(NamedTuple):
    """How a value is read, and which of several is kept: the "first", "last", "max", "min", or "each", by the group ``of``."""

    read: Callable[[str], Any]
    keep: str = "first"


class Pattern(NamedTuple):
    """A text that stands in the line, and what is read of it; ``start``: the line begins a start of the engine, where the one
    before has come so far; ``anew``: fields of an earlier line of its kind do not hold any more.
    """

    hint: str
    regex: re.Pattern[str]
    start: bool = False
    anew: tuple[str, ...] = ()


def _integer(text: str) -> int:
    value = int(text.replace(",", ""))
    if value > 10**12:
        raise ValueError
    return value


def _positive(text: str) -> int:
    value = _integer(text)
    if not value:
        raise ValueError
    return value


def _decimal(text: str) -> float:
    return float(text.replace(",", ""))


def _gib(text: str) -> int:
    """Bytes; what vLLM and SGLang call GB are 2^30 bytes too."""
    return round(_decimal(text) * 2**30)


def _mib(text: str) -> int:
    return round(_decimal(text) * 2**20)


def _sized(text: str) -> int:
    """Bytes of a number with its unit."""
    number, _, unit = text.partition(" ")
    return _gib(number) if unit == "GiB" else _mib(number)


def _text(text: str) -> str:
    return "".join(c for c in text.strip().strip("'\"") if c.isprintable())[:200]


def _dtype(text: str) -> str:
    return _text(text).removeprefix("torch.").lower()


FIELDS: dict[str, Field] = {
    # the engine and what it was asked
    "version": Field(_text),
    "model": Field(_text, "last"),
    "file": Field(_text),
    "error": Field(_text),
    **dict.fromkeys(("dtype", "quantization", "kv_dtype"), Field(_dtype, "last")),
    "file_type": Field(_text, "last"),
    **dict.fromkeys(("k_type", "v_type"), Field(_text)),
    **dict.fromkeys(("tp", "pp", "dp", "seq", "block", "max_num_batched_tokens", "max_num_seqs"), Field(_positive, "last")),
    "utilization": Field(_decimal, "last"),
    "eager": Field(lambda text: text == "True"),
    "graphs_aside": Field(bool),
    **dict.fromkeys(("first_engine", "hosted"), Field(bool)),
    "dp_attention": Field(lambda text: text != "False"),
    "rank": Field(_integer, "max"),
    # memory of a GPU
    "memory": Field(_gib),
    "free": Field(_gib, "min"),
    "before": Field(_gib),
    "requested": Field(_gib),
    "weights": Field(_gib, "max"),
    "workspace": Field(_gib, "max"),
    "outside": Field(_gib, "max"),
    "graphs": Field(_gib, "last"),
    "graphs_estimate": Field(_gib, "last"),
    # the cache
    "kv_cache": Field(_gib, "min"),
    "kv_tokens": Field(_integer, "last"),
    "blocks": Field(_integer, "last"),
    "concurrency": Field(_decimal, "last"),
    "at_length": Field(_positive, "last"),
    **dict.fromkeys(("k_cache", "v_cache", "latent_cache", "window_pool", "conv_cache", "ssm_cache"), Field(_gib, "last")),
    **dict.fromkeys(("most_tokens", "state_slots"), Field(_integer, "last")),
    # TensorRT-LLM
    **dict.fromkeys(("kv_pool", "available", "taken"), Field(_gib, "last")),
    "temporary": Field(_gib),
    "token_bytes": Field(_decimal, "last"),
    "windowed": Field(bool),
    # llama.cpp
    **dict.fromkeys(("n_ctx", "n_ubatch", "n_seq_max"), Field(_positive, "last")),
    **dict.fromkeys(("layers", "d_model", "heads", "kv_heads", "vocab", "experts", "n_swa"), Field(_integer, "last")),
    "file_size": Field(_sized, "last"),
    "engine_size": Field(_mib),
    "offloaded": Field(_integer, "last"),
    **dict.fromkeys(("model_buffers", "kv_buffers", "state_buffers", "compute_buffers", "output_buffers"), Field(_mib, "each")),
}
"""Every field, by the name of its group."""

N = r"\d[\d,]{0,15}(?:\.\d{1,9})?"
"""A number as logs write it."""


def _p(hint: str, regex: str, start: bool = False, anew: tuple[str, ...] = ()) -> Pattern:
    return Pattern(hint, re.compile(regex), start, anew)


def _setting(hint: str, *names: str) -> list[Pattern]:
    """Settings in a line of them, as name=value or 'name': value. Each is "name in the log:group:kind of value"."""
    kinds = {"n": N, "w": r"['\"]?[\w.:/@+ -]{1,200}", "q": r"'[^']{1,300}'", "b": "True|False"}
    found = []
    for text in names:
        name, group, kind = text.split(":")
        found.append(_p(hint, rf"(?<!\w)['\"]?{name}['\"]?\s?[=:]\s?(?!None)(?P<{group}>{kinds[kind]})"))
    return found


_ASKED = (
    *("model:model:q", "max_model_len:seq:n", "tensor_parallel_size:tp:n", "pipeline_parallel_size:pp:n"),
    *("data_parallel_size:dp:n", "gpu_memory_utilization:utilization:n", "max_num_batched_tokens:max_num_batched_tokens:n"),
    *("max_num_seqs:max_num_seqs:n", "block_size:block:n"),
)
VLLM = (
    _p(
        "version ",
        r"\[(?:entrypoints/)?(?:utils|api_utils)\.py:\d+\].{0,60}█.{0,60}? version (?P<version>[\w.+-]{1,60})",
        start=True,
    ),
    _p("API server version", r"vLLM API server version (?P<version>[\w.+-]{1,60})", start=True),
    _p("non-default args:", r"non-default args: \{", start=True),
    *_setting("non-default args:", *_ASKED, "dtype:dtype:w", "quantization:quantization:w", "kv_cache_dtype:kv_dtype:w"),
    *_setting("args: Namespace(", *_ASKED),
    _p("LLM engine (v", r"Initializing an? (?:V\d )?LLM engine \(v(?P<version>[\w.+-]{1,60})\)", start=True),
    *_setting(
        "LLM engine (v",
        *("model:model:q", "dtype:dtype:w", "max_seq_len:seq:n", "tensor_parallel_size:tp:n", "pipeline_parallel_size:pp:n"),
        *("data_parallel_size:dp:n", "quantization:quantization:w", "kv_cache_dtype:kv_dtype:w", "enforce_eager:eager:b"),
    ),
    _p("V0 LLM engine", r"Initializing an? (?P<first_engine>V0) LLM engine"),
    _p(
        "Custom allreduce is disabled",
        r"disabled because (?P<hosted>your platform lacks GPU P2P|it's not supported on more than two)",
    ),
    _p("max model len", rf"Using max model len (?P<seq>{N})"),
    _p("max_num_batched_tokens", rf"max_num_batched_tokens(?:=| to )(?P<max_num_batched_tokens>{N})"),
    _p("max_num_seqs", rf"max_num_seqs(?:=| to )(?P<max_num_seqs>{N})"),
    _p("Worker_TP", r"\(Worker_TP(?P<rank>\d{1,3})"),
    _p("VllmWorker rank=", r"\(VllmWorker rank=(?P<rank>\d{1,3}) "),
    _p("oading", rf"(?:Model loading|Loading model weights) took (?P<weights>{N}) ?Gi?B"),
    _p(
        "total_memory=", rf"worker init memory snapshot: .{{0,100}}?free_memory=(?P<free>{N})GiB, total_memory=(?P<memory>{N})GiB"
    ),
    _p("Free memory on device", rf"Free memory on device [^(]{{0,20}}\((?P<free>{N})/(?P<memory>{N}) GiB\) on startup"),
    _p("GPU memory utilization is (", rf"GPU memory utilization is \((?P<utilization>{N}), (?P<requested>{N}) GiB\)"),
    _p("requested memory", rf"worker requested memory: (?P<requested>{N}) ?GiB"),
    _p("torch peak memory increase", rf"torch peak memory increase: (?P<workspace>{N})GiB"),
    _p("non-torch forward increase", rf"non-torch forward increase memory: (?P<outside>{N})GiB"),
    _p("for peak activation", rf"(?P<workspace>{N}) GiB for peak activation, (?P<outside>{N}) GiB for non-torch memory"),
    _p("GiB for CUDAGraph memory", rf"(?P<graphs>{N}) GiB for CUDAGraph memory"),
    _p("Graph capturing finished", rf"Graph capturing finished in {N} secs?, took (?P<graphs>{N}) GiB"),
    _p("Estimated CUDA graph memory", rf"Estimated CUDA graph memory: (?P<graphs_estimate>{N}) GiB"),
    _p(
        "graph memory profiling is enabled", rf"(?P<graphs_aside>profiling is enabled).{{0,100}}?utilization=(?P<utilization>{N})"
    ),
    _p(
        "the current vLLM instance", rf"total_gpu_memory \((?P<memory>{N})GiB\) x gpu_memory_utilization \((?P<utilization>{N})\)"
    ),
    _p(
        "model weights take",
        rf"(?P<first_engine>model) weights take (?P<weights>{N})GiB; non_torch_memory takes (?P<outside>{N})GiB; "
        rf"PyTorch activation peak memory takes (?P<workspace>{N})GiB; .{{0,60}} KV Cache is (?P<kv_cache>-?{N})GiB",
    ),
    _p("total_gpu_memory=", rf"total_gpu_memory=(?P<memory>{N})GiB"),
    _p("non_torch_memory=", rf"non_torch_memory=(?P<outside>{N})GiB kv_cache_size=(?P<kv_cache>-?{N})GiB"),
    _p("gpu_memory_utilization=", rf"kv_cache_size={N}GiB gpu_memory_utilization=(?P<utilization>{N})"),
    _p("worker.py", rf"\] total_gpu_memory +(?P<memory>{N})GiB"),
    _p("worker.py", rf"\] gpu_memory_utilization +(?P<utilization>{N})"),
    _p("worker.py", rf"\] model weights take +(?P<weights>{N})GiB"),
    _p("worker.py", rf"\] non_torch_memory +(?P<outside>{N})GiB"),
    _p("worker.py", rf"\] PyTorch activation peak memory +(?P<workspace>{N})GiB"),
    _p("worker.py", rf"\] available_kv_cache_memory +(?P<kv_cache>-?{N})GiB"),
    _p("Available KV cache memory", rf"Available KV cache memory: (?P<kv_cache>-?{N}) GiB"),
    _p("GPU KV cache size", rf"GPU KV cache size: (?P<kv_tokens>{N}) tokens"),
    _p("# ", rf"# (?:GPU|cuda) blocks: (?P<blocks>{N})"),
    _p("num_gpu_blocks is", rf"num_gpu_blocks is: (?P<blocks>{N})"),
    _p("Maximum concurrency", rf"Maximum concurrency for (?P<at_length>{N}) tokens per request: (?P<concurrency>{N})x"),
)
SGLANG = (
    _p(" TP", r"\d(?P<dp_attention> DP\d{1,3})? (?:PP\d{1,3} )?TP(?P<rank>\d{1,3})(?: EP\d{1,3})?\] "),
    _p("enable_dp_attention=", r"enable_dp_attention=(?P<dp_attention>True)"),
    _p("server_args=", r"server_args=ServerArgs\(", start=True),
    *_setting(
        "server_args=",
        *("model_path:model:q", "tp_size:tp:n", "pp_size:pp:n", "dp_size:dp:n", "mem_fraction_static:utilization:n"),
        *("context_length:seq:n", "dtype:dtype:w", "quantization:quantization:w", "kv_cache_dtype:kv_dtype:w"),
        *("page_size:block:n", "max_total_tokens:most_tokens:n"),
    ),
    _p("Load weight begin", rf"Load weight begin\. avail mem=(?P<before>{N}) ?GB"),
    _p("Load weight end", r"Load weight end\. .{0,200}?dtype=(?P<dtype>[\w.]{1,40})"),
    _p("Load weight end", rf"Load weight end\. .{{0,300}}?mem usage=(?P<weights>{N}) ?GB"),
    _p("KV cache dtype", r"Using KV cache dtype: (?P<kv_dtype>[\w.]{1,40})"),
    _p("memory for KV cache", rf"The available memory for KV cache is (?P<kv_cache>-?{N}) ?GB"),
    _p("KV Cache is allocated", rf"#tokens: (?P<kv_tokens>{N}), K size: (?P<k_cache>{N}) ?GB, V size: (?P<v_cache>{N}) ?GB"),
    _p("KV Cache is allocated", rf"#tokens: (?P<kv_tokens>{N}), KV size: (?P<latent_cache>{N}) ?GB"),
    _p("liding window memory pool", r"(?P<windowed>[Ss]liding window memory pool)"),
    _p("SWAKVPool mem usage", rf"(?P<windowed>SWAKVPool) mem usage: (?P<window_pool>{N}) ?GB"),
    _p(
        "Mamba Cache is allocated",
        rf"max_mamba_cache_size: (?P<state_slots>{N}), conv_state size: (?P<conv_cache>{N}) ?GB, "
        rf"ssm_state size: (?P<ssm_cache>{N}) ?GB",
    ),
    _p("max_total_num_tokens=", rf"max_total_num_tokens=(?P<kv_tokens>{N})"),
    _p("context_len=", rf"context_len=(?P<seq>{N})"),
    _p("Capture cuda graph end", rf"Capture cuda graph end\. .{{0,80}}?mem usage=(?P<graphs>{N}) ?GB"),
)
TRTLLM = (
    _p("ensorRT", r"Tensor(?:RT|RT-)[ -]?LLM version:? ?(?P<version>\d[\w.+-]{1,60})", start=True),
    _p("ngine version ", r"Engine version (?P<version>\d[\w.+-]{1,60}) found in the config file"),
    _p("MPI size: ", r"MPI size: (?P<tp>\d{1,4}),"),
    _p("Model: ", r"^Model: +(?P<model>\S{1,200})"),
    _p("KV Cache Dtype: ", r"KV Cache Dtype: +(?P<kv_dtype>\w{1,20})"),
    _p("Quantization: ", r"^Quantization: +(?P<quantization>\w{1,40})"),
    _p("Dtype: ", r"^Dtype: +(?P<dtype>\w{1,20})"),
    _p("free_gpu_memory_fraction=", rf"free_gpu_memory_fraction=(?P<utilization>{N})"),
    _p("Loaded engine size: ", rf"Loaded engine size: (?P<engine_size>{N}) MiB"),
    _p("after loading ", rf"after loading (?:model )?weights \(inside torch\) in memory usage profiling: (?P<weights>{N}) GiB"),
    _p("during inference ", rf"during inference \(inside torch\) in memory usage profiling: (?P<workspace>{N}) GiB"),
    _p("outside torch ", rf"Memory used outside torch .{{0,60}}in memory usage profiling: (?P<outside>{N}) GiB"),
    _p(
        "max tokens in paged kv cache: total",
        rf"max tokens in paged kv cache: total: (?P<memory>{N}) GiB, available: (?P<available>{N}) GiB",
    ),
    _p(  # the pool before it was for the profile
        "Peak memory during",
        rf"Peak memory during memory usage profiling \(torch \+ non-torch\): (?P<taken>{N}) GiB",
        anew=("kv_pool", "kv_tokens", "blocks", "seq"),
    ),
    _p("Peak memory during", rf"when calculating max tokens: (?P<kv_cache>-?{N}) GiB"),
    _p("Peak memory during", rf"fraction is set (?P<utilization>\d\.\d{{1,20}}), kv size (?:per token )?is (?P<token_bytes>{N})"),
    _p("Peak memory during", rf"device total memory (?P<memory>{N}) GiB"),
    _p("Peak memory during", rf"(?:tmp kv_mem|kv cache memory during profiling) (?P<temporary>{N}) GiB"),
    _p("okens per block", r"[Tt]okens per block(?:: |=)(?P<block>\d{1,6})"),
    _p("primary", r"(?:KV cache primary pool: |primary blocks=)(?P<blocks>\d{1,12})"),
    _p("in paged KV cache (", rf"Allocated (?P<kv_pool>{N}) GiB for max tokens in paged KV cache \((?P<kv_tokens>{N})\)"),
    _p("max_seq_len=", rf"max_seq_len=(?P<seq>{N}), .{{0,80}}?max_num_tokens=(?P<max_num_batched_tokens>{N})"),
)
_META = r"(?:print_info|llm_load_print_meta): +"
_BUFFER = r"(?P<of>[\w.()]{1,40}) +"
_NEW_CONTEXT = ("k_type", "v_type", "kv_buffers", "state_buffers", "compute_buffers", "output_buffers")
LLAMA_CPP = (
    _p("build", r"\bbuild(?::| =) ?(?P<version>\d{3,6}) \(\w{4,12}\)", start=True),
    _p(
        "loaded meta data with", r"loaded meta data with \d+ key-value pairs and \d+ tensors from (?P<file>\S{1,300})", start=True
    ),
    _p("general.name", rf"{_META}general\.name +=(?P<model>.{{1,200}})"),
    _p("file type", rf"{_META}file type +=(?P<file_type>.{{1,80}})"),
    _p("model ftype", rf"{_META}model ftype +=(?P<file_type>.{{1,80}})"),
    _p("file size", rf"{_META}file size +=\s*(?P<file_size>{N} [GM]iB)"),
    _p("model size", rf"{_META}model size +=\s*(?P<file_size>{N} [GM]iB)"),
    *(
        _p(f"{theirs} ", rf"{_META}{theirs} +=\s*(?P<{ours}>\d{{1,9}})\s*$")
        for theirs, ours in (("n_layer", "layers"), ("n_embd", "d_model"), ("n_head", "heads"), ("n_head_kv", "kv_heads"))
    ),
    _p("n_vocab ", rf"{_META}n_vocab +=\s*(?P<vocab>\d{{1,9}})"),
    _p("n_expert ", rf"{_META}n_expert +=\s*(?P<experts>\d{{1,9}})"),
    _p("n_swa ", rf"{_META}n_swa +=\s*(?P<n_swa>\d{{1,9}})"),
    _p("layers to GPU", r"offloaded (?P<offloaded>\d{1,6})/\d{1,6} layers to GPU"),
    _p("model buffer size", rf"{_BUFFER}model buffer size = +(?P<model_buffers>{N}) MiB"),
    _p("llm_load_tensors:", rf"llm_load_tensors: +{_BUFFER}buffer size = +(?P<model_buffers>{N}) MiB"),
    _p("constructing llama_context", "constructing llama_context", anew=_NEW_CONTEXT),
    _p("n_ctx ", r"(?:llama_context|llama_new_context_with_model|llama_init_from_model): n_ctx +=\s*(?P<n_ctx>\d{1,9})"),
    _p("n_ubatch ", r": n_ubatch +=\s*(?P<n_ubatch>\d{1,9})"),
    _p("n_seq_max ", r": n_seq_max +=\s*(?P<n_seq_max>\d{1,9})"),
    _p("KV buffer size", rf"{_BUFFER}KV buffer size = +(?P<kv_buffers>{N}) MiB"),
    _p("RS buffer size", rf"{_BUFFER}RS buffer size = +(?P<state_buffers>{N}) MiB"),
    _p("K (", r"K \((?P<k_type>\w{1,10})\): +[\d.]+ MiB, V \((?P<v_type>\w{1,10})\)"),
    _p("compute buffer size", rf"{_BUFFER}compute buffer size (?:of [\d.]+ MiB )?= +(?P<compute_buffers>{N}) MiB"),
    _p("output buffer size", rf"{_BUFFER}output buffer size = +(?P<output_buffers>{N}) MiB"),
)
PATTERNS: dict[str, tuple[Pattern, ...]] = {"vllm": VLLM, "sglang": SGLANG, "trtllm": TRTLLM, "llama.cpp": LLAMA_CPP}
"""By engine, in the order in which the lines come."""
MARKS = {
    "vllm": (
        *("vLLM API server version", "LLM engine (v", "vllm", "non-default args:", "entrypoints/utils.py", "KV cache size: "),
        *("model_runner.py", "worker.py", "Available KV cache", "# GPU blocks", "# cuda blocks", "Maximum concurrency for"),
    ),
    "sglang": ("server_args=ServerArgs(", "Load weight begin. avail mem=", "Load weight end. ", "KV Cache is allocated. #tokens"),
    "trtllm": ("[TensorRT-LLM]", "[TRT-LLM]", "[MemUsageChange]", "TensorRT-LLM version", "TensorRT LLM version"),
    "llama.cpp": (
        *("llama_model_loader:", "llm_load_print_meta:", "print_info: ", "llm_load_tensors:", "load_tensors:", "llama_kv_cache"),
        *("llama_context:", "llama_new_context_with_model:", "llama_init_from_model:", "build: ", "build = "),
    ),
}
"""What a line of an engine has, beside what one of its patterns reads, where the engine is not known yet."""
ANOTHER = ("loading draft model", "llama_model_load_draft")
"""After such a line a second model is loaded, of which nothing is read."""
INNER = ("LLM engine (v", "loaded meta data with")
"""Lines that begin a start where none of the server's own does."""
TERMS: dict[str, tuple[str, ...]] = {
    "vllm": ("weights", "workspace", "outside", "graphs", "kv_cache", "kv_tokens", "blocks", "concurrency"),
    "sglang": ("weights", "k_cache", "latent_cache", "kv_tokens", "graphs"),
    "trtllm": ("weights", "engine_size", "available", "taken", "kv_pool"),
    "llama.cpp": ("file_size", "model_buffers", "kv_buffers", "compute_buffers"),
}
"""What a start has measured: where a log has none of it, it ends too early."""
EXPECTED: dict[str, dict[str, tuple[str, ...]]] = {
    "vllm": {
        "Model loading took": ("weights",),
        "Available KV cache memory": ("kv_cache", "blocks"),
        "GPU KV cache size": ("kv_tokens", "blocks"),
    },
    "sglang": {"Load weight end": ("weights",), "KV Cache is allocated": ("kv_tokens",)},
    "trtllm": {"for max tokens in paged KV cache": ("kv_pool",)},
    "llama.cpp": {
        "model buffer size": ("model_buffers",),
        "KV buffer size": ("kv_buffers", "state_buffers"),
        "compute buffer size": ("compute_buffers",),
    },
}
"""Lines that every whole log has, and the fields any of which stands for one."""
