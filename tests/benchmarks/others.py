"""What a user of each other tool runs, as small as it goes: one function a tool, called by against.py as a process of its own.

    python tests/benchmarks/others.py TOOL DIRECTORY SEQ [ARGUMENT ...]

DIRECTORY holds a config.json. Of packages, only the tool at hand is imported. The model hub is never asked: where a tool would
ask it for a model's config, it reads DIRECTORY instead, which is the faster way. Each function prints one line of JSON, last.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "oracle"))

import cases

Json = dict[str, Any]

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="critical", TOKENIZERS_PARALLELISM="false")
warnings.filterwarnings("ignore")

# Batched experts keep a copy of every expert they pick, which eager ones do not: no bytes are measured for these.
ROUTED = ("mixtral", "deepseek_v3")
# Small enough to run for real on the CPU in a second, of the same kind as the model; a window stays shorter than the sequence.
SMALL = {
    "gpt2": "n_layer=3 n_embd=96 n_head=4 vocab_size=101",
    "llama": "96/200/3/8/2/101",
    "mixtral": "96/200/3/8/2/101",
    "gemma3_text": "num_hidden_layers=7 hidden_size=96 intermediate_size=200 head_dim=20 vocab_size=101 sliding_window=32"
    " layer_types=null",
    "deepseek_v3": "96/200/3/4/4/101 q_lora_rank=20 kv_lora_rank=14 qk_nope_head_dim=10 qk_rope_head_dim=6 v_head_dim=12"
    " moe_intermediate_size=28 n_routed_experts=16 n_group=4 topk_group=2 num_experts_per_tok=4 first_k_dense_replace=1",
    "mamba2": "num_hidden_layers=3 hidden_size=64 num_heads=8 head_dim=16 n_groups=2 state_size=24 vocab_size=101",
    "t5": "num_layers=3 num_decoder_layers=3 d_model=48 d_ff=100 num_heads=4 d_kv=10 vocab_size=101",
}
"""As tests/oracle/cases.py writes a config."""


def build(config: Json, device: str, attention: str, experts: str) -> Any:
    """The model that `architectures` names, in bf16, without loading any weight."""
    import torch
    import transformers

    parsed = transformers.CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
    parsed.use_cache = False
    kind = getattr(transformers, config["architectures"][0])
    with torch.device(device):
        return kind._from_config(
            parsed, attn_implementation=attention, experts_implementation=experts, dtype=torch.bfloat16
        ).eval()


class Masks(dict):  # type: ignore[type-arg]
    """Gemma 3 takes a mask by kind of layer; calflops calls `.to(device)` on every argument."""

    def to(self, device: Any) -> Masks:
        return self


def arguments(config: Json, seq: int, device: str) -> Json:
    """One sequence. The mask is given whole: the code that makes it reads values, which a meta tensor has not."""
    import torch

    ids = torch.zeros(1, seq, dtype=torch.long, device=device)
    mask = torch.zeros(1, 1, seq, seq, dtype=torch.bfloat16, device=device)
    if config["model_type"] == "t5":
        return {"input_ids": ids, "decoder_input_ids": ids}
    if config["model_type"] == "mamba2":
        return {"input_ids": ids}
    whole = Masks(full_attention=mask, sliding_attention=mask)
    return {"input_ids": ids, "attention_mask": whole if config["model_type"] == "gemma3_text" else mask}


def forward_flops(model: Any, given: Json) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**given)
    return int(counter.get_total_flops())


def kept_bytes(model: Any, given: Json) -> int:
    """Each distinct storage that autograd saves for the backward pass, once, in full, parameters left out."""
    import torch

    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    held: dict[int, Any] = {}  # the tensors, so that no storage is freed and its address used again

    def pack(tensor: Any) -> Any:
        held.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(**given).logits.float().sum()
    del loss
    return sum(tensor.untyped_storage().nbytes() for address, tensor in held.items() if address not in own)


def transformers(config: Json, directory: Path, seq: int) -> Json:
    """The truth: the model at full size on the meta device, eager attention."""
    # One expert after another needs the tokens' values; the batched form multiplies the same matrices by the same tokens.
    model = build(config, "meta", "eager", "batched_mm")
    given = arguments(config, seq, "meta")
    found = {"params": sum(parameter.numel() for parameter in model.parameters()), "flops": forward_flops(model, given)}
    found["body"] = sum(parameter.numel() for parameter in model.base_model.parameters())  # what AutoModel builds: no head
    return found if config["model_type"] in ROUTED else found | {"activations": kept_bytes(model, given)}


def check(config: Json, directory: Path, seq: int) -> Json:
    """What a real run on the CPU and the meta device count, for a small model of the same kind: [real, meta]."""
    small = config | cases.config(SMALL[config["model_type"]].split())
    real = build(small, "cpu", "eager", "eager")
    meta = build(small, "meta", "eager", "batched_mm")
    on_cpu, on_meta = arguments(small, seq, "cpu"), arguments(small, seq, "meta")
    flops = forward_flops(real, on_cpu)
    found: Json = {"flops": [flops, forward_flops(meta, on_meta)]}
    if config["model_type"] not in ROUTED:
        found["activations"] = [kept_bytes(real, on_cpu), kept_bytes(meta, on_meta)]
    # What calflops sees of experts when they are really run, one after another: the meta device cannot show it.
    return found | {"calflops": calflops_count(real, on_cpu)["flops"] / flops - 1}


def calflops_count(model: Any, given: Json) -> Json:
    from calflops import calculate_flops

    flops, _, params = calculate_flops(model=model, kwargs=given, print_results=False, output_as_string=False)
    return {"params": params, "flops": flops}


def calflops(config: Json, directory: Path, seq: int) -> Json:
    return calflops_count(build(config, "meta", "eager", "batched_mm"), arguments(config, seq, "meta"))


def accelerate(config: Json, directory: Path, seq: int) -> Json:
    """`accelerate estimate-memory DIRECTORY`, the hub's description of the model put in its place."""
    from accelerate.commands import accelerate_cli, estimate

    estimate.verify_on_hub = lambda repo, token=None: SimpleNamespace(library_name="transformers", config=config)
    sys.argv = ["accelerate", "estimate-memory", str(directory), "--dtypes", "float32", "float16"]
    accelerate_cli.main()
    return {}


def llm_analysis(config: Json, directory: Path, seq: int) -> Json:
    """The LLMAnalysis class, on a GPU of a size that any model fits: the command line stops where one GPU is too small."""
    from llm_analysis.analysis import LLMAnalysis
    from llm_analysis.config import GPUConfig, get_model_config_by_name

    own = directory / "llm-analysis.json"
    asked = get_model_config_by_name(str(own if own.exists() else directory))
    gpu = GPUConfig("any", 1e9, 2000.0, 600.0, 8e-6, 300.0)
    analysis = LLMAnalysis(asked, gpu)
    summary = analysis.training(batch_size_per_gpu=1, seq_len=seq, flash_attn=False)
    parts = {name: summary[f"{name}_memory_per_gpu"] for name in ("weight", "gradient", "optimizer_state")}
    return {
        "params": analysis.get_num_params_total(),
        "flops": analysis.get_num_flops_fwd_total(1, seq),
        "weights": parts["weight"],
        "states": sum(parts.values()),
        "activations": asked.num_layers * analysis.get_activation_memory_per_layer(1, seq, is_inference=False, flash_attn=False),
    }


def main() -> None:
    tool, directory, seq = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    found = globals()[tool.replace("-", "_")](config, directory, seq)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
