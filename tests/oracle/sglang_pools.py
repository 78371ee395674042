"""What SGLang's own arithmetic of memory answers, without a GPU: the share that is its default, and the tokens of a pool.

    pip download sglang==0.5.23 --no-deps; unzip the wheel into DIRECTORY
    python tests/oracle/sglang_pools.py DIRECTORY        (a Python with torch)

Two of its files are run, srt/arg_groups/memory_hook.py and srt/model_executor/pool_configurator.py; what they import is stood in
for, so the sizes of a model are those given here, not read of its files by SGLang. It writes tests/oracle/sglang.json.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace as Made
from typing import Any
from unittest.mock import MagicMock

HERE = Path(__file__).resolve().parent
VERSION = "0.5.23"


class Absent:
    """Stands in for every module of SGLang."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] == "sglang" else None

    def create_module(self, spec: Any) -> Any:
        module = MagicMock()
        module.__path__ = []
        return module

    def exec_module(self, module: Any) -> None:
        return None


def load(path: Path) -> dict[str, Any]:
    """The names of a file that is run on its own."""
    names: dict[str, Any] = {"__name__": path.stem}
    sys.modules[path.stem] = Made(__dict__=names)  # type: ignore[assignment]
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    return names


def shares(root: Path) -> list[dict[str, Any]]:
    """mem_fraction_static by memory in MiB, GPUs, sequences and kind of attention."""
    graph = load(root / "arg_groups/cuda_graph_hook.py")
    graph["resolving_view"] = lambda args: args
    sys.modules["sglang.srt.arg_groups.cuda_graph_hook"] = Made(**graph)  # type: ignore[assignment]
    names = load(root / "arg_groups/memory_hook.py")
    names |= {"resolving_view": lambda args: args, "resolved_view": lambda args: args}
    names["declare_resolution"] = lambda args, hook, **found: vars(args).update(found)
    names |= {"model_config_of": lambda args: Made(is_multimodal=False), "post_capture_kv_sizing_planned": lambda args: False}
    names |= {"attn_dp_enabled_of": lambda args: False, "get_platform": lambda: Made(is_xpu=False)}
    names["envs"].SGLANG_SYMM_MEM_PREALLOC_GB_SIZE.is_set = lambda: True
    found = []
    for memory, tp, most, latent in product((15360, 24564, 46068, 81559, 143771, 183359), (1, 4, 8), (None, 16), (False, True)):
        names["get_device_memory_capacity"] = lambda device, memory=memory: memory
        names["use_mla_backend"] = lambda args, latent=latent: latent
        backend = names["Backend"].FULL
        graphs = Made(decode=Made(max_bs=None, bs=None, backend=backend), prefill=Made(max_bs=None, bs=None, backend=backend))
        args = Made(cuda_graph_config=graphs, device="cuda", chunked_prefill_size=None, max_running_requests=most, tp_size=tp)
        vars(args).update(
            pp_size=1, max_total_tokens=None, model_path="a/b", mem_fraction_static=None, disaggregation_mode="null"
        )
        vars(args).update(
            disable_cuda_graph_padding=False, speculative_algorithm=None, moe_a2a_backend="none", enable_symm_mem=False
        )
        vars(args).update(language_only=False, language_model_only=False, attn_dp_size=1, max_prefill_tokens=16384)
        sys.modules["sglang.srt.arg_groups.model_overrides.qwen3_vl"] = MagicMock()
        names["handle_gpu_memory_settings"](args)
        row = {"memory": memory, "tp": tp, "max_running_requests": most, "latent": latent, "chunk": args.chunked_prefill_size}
        found.append(row | {"graphs": args.cuda_graph_config.decode.max_bs, "share": args.mem_fraction_static})
    return found


def pools(root: Path) -> list[dict[str, Any]]:
    """Tokens of a pool: keys and values, latents, windows; tp up to more than there are heads; pages; fp8."""
    import torch

    names = load(root / "model_executor/pool_configurator.py")
    names["envs"].SGLANG_NPU_ENABLE_SPARSE_KV_OFFLOAD.get = lambda: False
    names["mambaish_config"] = lambda config: None
    names |= {"is_deepseek_dsa": lambda config: False, "is_minimax_sparse": lambda config: False}
    names["is_float4_e2m1fn_x2"] = lambda dtype: False
    names["compute_page_shard_scratch_bytes"] = lambda *args, **more: 0
    names["DefaultPoolConfigurator"]._compute_qsa_cell_size = staticmethod(lambda **more: 0)
    names |= {"get_memory": lambda: Made(enable_unified_memory=False), "_dflash_draft_cell_size": lambda kvc: 0}
    schedule = Made(max_total_tokens=None, swa_full_tokens_ratio=0.8)
    names["get_schedule"] = lambda: schedule
    utils = sys.modules["sglang.srt.layers.cp.utils"] = MagicMock()
    utils.get_glm_dsa_layer_split_effective_num_layers = lambda kvc, layers: layers
    configurator = sys.modules["sglang.srt.mem_cache.kv_cache_configurator"] = MagicMock()
    configurator.calculate_mla_kv_cache_dim = lambda *, model_config, kv_cache_dtype: model_config.latent
    found = []
    models = {
        "llama-3.1-8b": {"layers": 32, "kv_heads": 8, "head_dim": 128},
        "qwen2.5-7b": {"layers": 28, "kv_heads": 4, "head_dim": 128},
        "gpt-oss-20b": {"layers": 24, "kv_heads": 8, "head_dim": 64, "windowed": 12},
        "deepseek-v3": {"layers": 61, "latent": 576},
    }
    for (model, of), tp, page, wide in product(models.items(), (1, 4, 16), (1, 64), (2, 1)):
        if model == "gpt-oss-20b" and tp > 8:
            continue
        names["get_parallel"] = lambda tp=tp: Made(attn_tp_size=tp, attn_dcp_size=1)
        heads = lambda parallel, dcp=1, of=of: max(1, of.get("kv_heads", 1) // parallel)  # noqa: E731
        dim = of.get("head_dim", 0)
        config = Made(get_num_kv_heads=heads, get_swa_num_kv_heads=heads, head_dim=dim, v_head_dim=dim, swa_head_dim=dim)
        vars(config).update(swa_v_head_dim=dim, latent=of.get("latent"), hf_config=None, context_len=131072, attention_arch="MHA")
        full = of["layers"] - of.get("windowed", 0)
        layers = Made(
            num_effective_layers=of["layers"], full_attention_layer_ids=[0] * full, start_layer=0, end_layer=of["layers"]
        )
        layers.swa_attention_layer_ids = [0] * of.get("windowed", 0)
        drafts = Made(is_eagle=lambda: False, is_standalone=lambda: False, is_dflash_family=lambda: False)
        kvc = Made(
            kv_cache_dtype_str="auto", model_config=config, layer_info=layers, spec_algorithm=drafts, is_draft_worker=False
        )
        vars(kvc).update(kv_cache_dtype=torch.bfloat16 if wide == 2 else torch.float8_e4m3fn, use_mla_backend="latent" in of)
        vars(kvc).update(server_args=Made(enable_hisparse=False), sliding_window_size=128, page_size=page)
        kvc.fused_entry_bytes = lambda name: None
        kind = names["HybridSWAPoolConfigurator" if "windowed" in of else "DefaultPoolConfigurator"]
        for pool in (10**10, 54 * 2**30 + 12345):
            answer = kind(kvc).calculate_pool_sizes(pool, page)
            row = {"model": model, "tp": tp, "block": page, "bytes": wide, "pool": pool, "tokens": answer.max_total_num_tokens}
            found.append(row | {"windowed": answer.swa_max_total_num_tokens or 0})
    return found


if __name__ == "__main__":
    sys.meta_path.append(Absent())  # type: ignore[arg-type]
    root = Path(sys.argv[1]) / "sglang/srt"
    golden = {"versions": {"sglang": VERSION}, "shares": shares(root), "pools": pools(root)}
    rows = ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in golden[name]) + "\n]"  # type: ignore[attr-defined]
        for name in ("shares", "pools")
    )
    text = f'{{\n"versions": {json.dumps(golden["versions"])},\n{rows}\n}}\n'
    (HERE / "sglang.json").write_text(text, encoding="utf-8")
