"""The peaks of DeepSpeed's training steps, from the real program without a GPU, and what its own estimators say.

    python tests/oracle/zero.py            writes zero.json
    python tests/oracle/zero.py --check    measures again; exit 1 and print what differs

DeepSpeed trains a small Llama as one of several ranks of torch's fake process group, on the CPU; a dispatch mode adds up the
storages that are alive. Up to level 2 it is the last rank, whose share holds the head: its gradients come first. On the CPU what
is offloaded is counted with the rest. Needs deepspeed (its ops need not be built), torch and transformers, and nothing of llmcx.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
import weakref
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("zero.json")
MODELS: dict[str, dict[str, Any]] = {
    "wide": {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6, "vocab_size": 2000},
    "long": {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 20, "vocab_size": 1000},
}
for sizes in MODELS.values():
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False, "max_position_embeddings": 2048}
RUNS: list[dict[str, Any]] = [
    {"model": model, "zero": zero, "gpus": gpus, "offload": offload, "seq": seq, **buckets}
    for model, seq, gpus in (("wide", 16, 8), ("long", 128, 2))
    for zero, offload in ((0, None), (1, None), (2, None), (3, None), (2, "optimizer"), (3, "optimizer"), (3, "params"))
    for buckets in (
        {"reduce": 600_000, "prefetch": 50_000, "live": 1_000_000},
        {"reduce": 1_200_000, "prefetch": 500_000, "live": 0},
    )
    if buckets["live"] or zero > 1
]
ESTIMATES = [
    (total, layer, gpus, nodes)
    for total, layer in ((8_030_261_248, 525_336_576), (2_000_000_000, 100_000_000))
    for gpus, nodes in ((1, 1), (4, 1), (8, 1), (8, 4))
]
"""Parameters, those of the largest layer, GPUs of a node, nodes."""


def rank_of(run: dict[str, Any]) -> int:
    """The rank that is measured."""
    return 0 if run["zero"] == 3 else run["gpus"] - 1


def peak(run: dict[str, Any]) -> dict[str, int]:
    """Bytes alive at most in forward, backward and step of the third iteration."""
    import torch
    import torch.distributed as dist
    import transformers
    from torch.testing._internal.distributed.fake_pg import FakeStore
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    dist.init_process_group("fake", store=FakeStore(), rank=rank_of(run), world_size=run["gpus"])
    import deepspeed

    class Alive(TorchDispatchMode):
        """Bytes of the storages that exist."""

        def __init__(self) -> None:
            super().__init__()
            self.now, self.peak = 0, 0
            self.seen: dict[int, int] = {}

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            for tensor in tree_leaves(out):
                if isinstance(tensor, torch.Tensor) and tensor.device.type != "meta":
                    storage = tensor.untyped_storage()
                    if storage._cdata not in self.seen:
                        self.seen[storage._cdata] = storage.nbytes()
                        self.now += storage.nbytes()
                        self.peak = max(self.peak, self.now)
                        weakref.finalize(storage, self.gone, storage._cdata)
            return out

        def gone(self, key: int) -> None:
            self.now -= self.seen.pop(key)

        def most(self) -> int:
            found, self.peak = self.peak, self.now
            return found

    with Alive() as alive:
        config = transformers.LlamaConfig(use_cache=False, **MODELS[run["model"]])
        model = transformers.LlamaForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.bfloat16)
        zero = {"stage": run["zero"], "reduce_bucket_size": run["reduce"], "overlap_comm": False}
        if run["zero"] == 3:
            zero |= {"stage3_prefetch_bucket_size": run["prefetch"], "stage3_param_persistence_threshold": 0}
            zero |= {"stage3_max_live_parameters": run["live"], "stage3_max_reuse_distance": run["live"]}
        if run["offload"]:
            zero["offload_optimizer"] = {"device": "cpu"}
        if run["offload"] == "params":
            zero["offload_param"] = {"device": "cpu"}
        options = {"train_micro_batch_size_per_gpu": 1, "bf16": {"enabled": True}, "zero_optimization": zero}
        options |= {"zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False}
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=options)
        found = {}
        for _ in range(3):
            ids = torch.randint(0, 100, (1, run["seq"]))
            alive.most()
            loss = engine(input_ids=ids, labels=ids).loss
            found["forward"] = alive.most()
            engine.backward(loss)
            found["backward"] = alive.most()
            engine.step()
            found["step"] = alive.most()
    return found


def child(run: dict[str, Any]) -> dict[str, int]:
    """:func:`peak` in a process of its own: a process has one process group."""
    place = {
        "RANK": str(rank_of(run)),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(run["gpus"]),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29511",
    }
    env = os.environ | place | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--one", json.dumps(run)], env=env, capture_output=True, text=True, check=True
    )
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def estimates() -> list[dict[str, Any]]:
    """DeepSpeed's estimators, without their factor for other buffers: bytes of a node's host, of a GPU."""
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as three
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as two

    rows = []
    for total, layer, gpus, nodes in ESTIMATES:
        for offload in (None, "optimizer", "params"):
            case = {"total": total, "layer": layer, "gpus": gpus, "nodes": nodes, "offload": offload}
            if offload != "params":
                rows.append(case | {"zero": 2, "bytes": two(total, gpus, nodes, offload is not None, 1.0)})
            found = three(total, layer, gpus, nodes, offload is not None, offload == "params", True, 1.0)
            rows.append(case | {"zero": 3, "bytes": found[:2]})
    return rows


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    os.environ.update(TRANSFORMERS_VERBOSITY="critical", HF_HUB_OFFLINE="1", DS_ACCELERATOR="cpu")
    logging.disable(logging.CRITICAL)
    if "--one" in sys.argv:
        print(json.dumps(peak(json.loads(sys.argv[-1]))))
        sys.exit()
    import deepspeed
    import torch
    import transformers

    versions = {"deepspeed": deepspeed.__version__.strip(), "torch": torch.__version__.partition("+")[0]}
    result = versions | {"transformers": transformers.__version__, "models": MODELS, "estimates": estimates()}
    result["cases"] = [run | {"peak": child(run)} for run in RUNS]
    if "--check" in sys.argv:
        old = json.loads(GOLDEN.read_text(encoding="utf-8"))
        print("as in zero.json" if old["cases"] == result["cases"] else json.dumps(result["cases"]))
        sys.exit(0 if old["cases"] == result["cases"] else 1)
    cases, rows = result.pop("cases"), result.pop("estimates")
    lines = [json.dumps(row) for row in rows], [json.dumps(case) for case in cases]
    text = ", ".join(
        f'"{name}": [\n{",".join(chr(10) + line for line in each)[1:]}\n]'
        for name, each in zip(("estimates", "cases"), lines, strict=True)
    )
    GOLDEN.write_text(f"{json.dumps(result)[:-1]}, {text}}}\n", encoding="utf-8")
