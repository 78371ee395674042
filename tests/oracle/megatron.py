"""What Megatron-LM's own estimator says of weights, gradients, states and activations.

    python tests/oracle/megatron.py DIR            writes megatron.json; DIR is a checkout of Megatron-LM
    python tests/oracle/megatron.py DIR --check    asks again; exit 1 and print what differs

Calls the functions of megatron/training/theoretical_memory_usage.py with the arguments that its command line would have. Needs
nothing else, and nothing of llmcx.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("megatron.json")
FILE = "megatron/training/theoretical_memory_usage.py"


def gpt(heads: int, hidden: int, layers: int) -> dict[str, Any]:
    return {"num_layers": layers, "hidden_size": hidden, "num_attention_heads": heads, "ffn_hidden_size": 4 * hidden}


def llama(hidden: int, ffn: int, heads: int, groups: int, layers: int, vocab: int) -> dict[str, Any]:
    of = {"num_layers": layers, "hidden_size": hidden, "num_attention_heads": heads, "num_query_groups": groups}
    more = {"ffn_hidden_size": ffn, "padded_vocab_size": vocab, "group_query_attention": True, "swiglu": True}
    return of | more | {"normalization": "RMSNorm", "untie_embeddings_and_output_weights": True}


def mixture(of: dict[str, Any], experts: int, ffn: int, top_k: int, dense: int = 0, shared: int | None = None) -> dict[str, Any]:
    pattern = [0] * dense + [1] * (of["num_layers"] - dense)
    more = {"num_experts": experts, "moe_ffn_hidden_size": ffn, "moe_router_topk": top_k, "moe_layer_freq": pattern}
    return of | more | {"moe_shared_expert_intermediate_size": shared}


def latent(of: dict[str, Any]) -> dict[str, Any]:
    """DeepSeek's attention."""
    widths = {"q_lora_rank": 1536, "kv_lora_rank": 512, "qk_head_dim": 128, "qk_pos_emb_head_dim": 64, "v_head_dim": 128}
    return of | widths | {"multi_latent_attention": True, "group_query_attention": False}


MODELS = {
    "22B": gpt(64, 6144, 48),
    "175B": gpt(96, 12288, 96),
    "530B": gpt(128, 20480, 105),
    "1T": gpt(160, 25600, 128),
    "llama3-8b": llama(4096, 14336, 32, 8, 32, 128256),
    "llama3-70b": llama(8192, 28672, 64, 8, 80, 128256),
    "mixtral-8x7b": mixture(llama(4096, 14336, 32, 8, 32, 32000), 8, 14336, 2),
    "deepseek-v2": latent(mixture(llama(5120, 12288, 128, 128, 60, 102400), 160, 1536, 6, 1, 3072)),
    "deepseek-v3": latent(mixture(llama(7168, 18432, 128, 128, 61, 129280), 256, 2048, 8, 3, 2048)),
}
"""In the arguments' own names. GPT of Korthikanti et al. 2022, arXiv:2205.05198, Table 3."""
LAYOUTS = {
    "22B": [(8, 1, 1, 1, 1), (8, 1, 1, 1, 8)],
    "175B": [(8, 8, 1, 1, 1), (8, 8, 1, 1, 16), (8, 8, 3, 1, 1)],
    "530B": [(8, 35, 1, 1, 1), (8, 35, 3, 1, 1)],
    "1T": [(8, 64, 1, 1, 4)],
    "llama3-8b": [(1, 1, 1, 1, 8), (2, 2, 1, 1, 2), (4, 1, 1, 1, 2)],
    "llama3-70b": [(4, 4, 1, 1, 4), (8, 1, 1, 1, 8), (8, 8, 2, 1, 2)],
    "mixtral-8x7b": [(1, 1, 1, 8, 8), (2, 4, 1, 4, 4), (1, 1, 1, 4, 16)],
    "deepseek-v2": [(1, 1, 1, 8, 8), (1, 4, 1, 8, 8)],
    "deepseek-v3": [(1, 1, 1, 32, 32), (1, 1, 1, 64, 128)],
}
"""tp, pp, virtual, ep, dp."""
DEFAULTS: dict[str, Any] = {
    "seq_length": 2048,
    "micro_batch_size": 1,
    "padded_vocab_size": 51200,
    "group_query_attention": False,
    "num_experts": None,
    "swiglu": False,
    "normalization": "LayerNorm",
    "multi_latent_attention": False,
    "untie_embeddings_and_output_weights": False,
    "mtp_num_layers": None,
    "moe_layer_freq": 1,
    "moe_ffn_hidden_size": None,
    "moe_shared_expert_intermediate_size": None,
    "moe_router_topk": 2,
    "moe_latent_size": None,
    "add_bias_linear": False,
}


def estimator(root: Path) -> Any:
    """The module, with the two helpers that it imports from beside it."""
    utils: Any = types.ModuleType("training.utils")
    utils.is_hybrid_model, utils.print_rank_0 = lambda args: False, print
    package = types.ModuleType("training")
    package.__path__ = []
    sys.modules.update({"training": package, "training.utils": utils})
    spec = importlib.util.spec_from_file_location("training.estimator", root / FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked(module: Any) -> list[dict[str, Any]]:
    """Every case: bytes of the most loaded shard, and for GPT of activations under sequence parallelism."""
    cases = []
    for name, model in MODELS.items():
        for tp, pp, virtual, ep, dp in LAYOUTS[name]:
            layout: dict[str, Any] = {"tensor_model_parallel_size": tp, "pipeline_model_parallel_size": pp}
            layout |= {"virtual_pipeline_model_parallel_size": virtual if virtual > 1 else None, "data_parallel_size": dp}
            layout |= {"expert_model_parallel_size": ep, "world_size": tp * pp * dp}
            for distributed in (False, True):
                args = types.SimpleNamespace(**DEFAULTS | model | layout, use_distributed_optimizer=distributed)
                args.kv_channels = args.hidden_size // args.num_attention_heads
                args.expert_tensor_parallel_size = tp
                case = {"model": name, "layout": [tp, pp, virtual, ep, dp], "distributed": distributed}
                case["weights"] = round(module.compute_weight_and_optimizer_memory(args))
                if name in ("22B", "175B", "530B", "1T"):
                    case["activations"] = round(module.compute_activation_memory(args, None))
                cases.append(case)
    return cases


if __name__ == "__main__":
    root = Path(next(word for word in sys.argv[1:] if not word.startswith("-")))
    version = subprocess.run(["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    result = {"megatron-lm": version.stdout.strip(), "models": MODELS, "cases": asked(estimator(root))}
    if "--check" in sys.argv:
        old = json.loads(GOLDEN.read_text(encoding="utf-8"))
        print("as in megatron.json" if old["cases"] == result["cases"] else json.dumps(result["cases"]))
        sys.exit(0 if old["cases"] == result["cases"] else 1)
    lines = ",\n".join(json.dumps(case) for case in result.pop("cases"))
    GOLDEN.write_text(f'{json.dumps(result)[:-1]}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
