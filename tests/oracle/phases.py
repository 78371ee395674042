"""The peak of a training step, as torch's own memory trackers see it on fake tensors, by kind of tensor.

    python tests/oracle/phases.py            writes phases.json
    python tests/oracle/phases.py --check    measures again; exit 1 and print what differs
    python tests/oracle/phases.py llama      prints the peaks of one family

Each case is a step of AdamW after a first one: on one GPU as torch's loop runs it (MemTracker), and on one of eight as
fully_shard does, with layers gathered again for backward or kept gathered (FSDPMemTracker). Attention is torch's fused kernel
without a mask, as on a GPU; on fake tensors transformers would build one. Needs torch and transformers, and nothing of llmcx.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
os.environ.update(TRANSFORMERS_VERBOSITY="critical", HF_HUB_OFFLINE="1")

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
import transformers  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker  # noqa: E402
from torch.distributed._tools.mem_tracker import MemTracker  # noqa: E402
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard  # noqa: E402
from torch.testing._internal.distributed.fake_pg import FakeStore  # noqa: E402
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS  # noqa: E402
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS  # noqa: E402

GOLDEN = Path(__file__).with_name("phases.json")
GPUS = 8
SIZES = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 6, "num_attention_heads": 8, "vocab_size": 8000}
OLD = {"n_embd": 512, "n_inner": 2048, "n_layer": 6, "n_head": 8, "vocab_size": 8000, "n_positions": 2048}
NEW = SIZES | {"num_key_value_heads": 2, "max_position_embeddings": 4096, "tie_word_embeddings": False}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", NEW),
    "mistral": ("MistralForCausalLM", NEW | {"sliding_window": None}),
    "qwen2": ("Qwen2ForCausalLM", NEW | {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3ForCausalLM", NEW | {"head_dim": 64}),
    "phi3": ("Phi3ForCausalLM", NEW | {"pad_token_id": 0}),
    "olmo2": ("Olmo2ForCausalLM", NEW),
    "granite": ("GraniteForCausalLM", NEW),
    "gemma": ("GemmaForCausalLM", NEW | {"head_dim": 64, "tie_word_embeddings": True}),
    "starcoder2": ("Starcoder2ForCausalLM", NEW | {"sliding_window": None}),
    "gpt_neox": ("GPTNeoXForCausalLM", SIZES | {"max_position_embeddings": 4096}),
    "gpt2": ("GPT2LMHeadModel", OLD),
    "opt": ("OPTForCausalLM", {"hidden_size": 512, "ffn_dim": 2048, "num_hidden_layers": 6, "num_attention_heads": 8}),
}
"""model_type -> class and config."""
FAMILIES["opt"][1].update(vocab_size=8000, max_position_embeddings=2048, word_embed_proj_dim=512, dropout=0.0)
LAYOUTS = ("one", "fsdp", "fsdp-keep")
RUNS = (("bf16", 2, 1024), ("fp32", 1, 64), ("mixed", 2, 1024))
"""Precision, sequences and tokens. Mixed is FSDP's: fp32 shares, bf16 in the pass, gradients reduced in fp32."""


def fused(module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float | None = None, **_: Any) -> tuple[Any, None]:
    """Causal attention in torch's kernel, without a mask and without copies of shared keys and values."""
    shared = key.shape[1] != query.shape[1]
    out = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=shared)
    return out.transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register("fused", fused)
ALL_MASK_ATTENTION_FUNCTIONS.register("fused", lambda *args, **more: None)


def peak(family: str, layout: str, precision: str, batch: int, seq: int, mesh: Any) -> dict[str, int]:
    """Bytes at the peak of the second step, by kind."""
    name, sizes = FAMILIES[family]
    config = transformers.CONFIG_MAPPING[family](**sizes)
    config.use_cache = False
    for key in config.to_dict():
        if key.endswith(("dropout", "pdrop")):  # masks are bytes that an evaluation does not have; llmcx counts them on request
            setattr(config, key, 0.0)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = getattr(transformers, name)._from_config(config, attn_implementation="fused", dtype=dtype)
        if layout != "one":
            how: dict[str, Any] = {"mesh": mesh, "reshard_after_forward": layout == "fsdp"}
            if precision == "mixed":
                how["mp_policy"] = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
            for layer in next(part for part in model.modules() if isinstance(part, torch.nn.ModuleList)):
                fully_shard(layer, **how)
            fully_shard(model, **how)
        # Of a fused step on shares the tracker counts tensors that are not there.
        optimizer = torch.optim.AdamW(model.parameters(), fused=layout == "one", foreach=False)
        tracker: Any = MemTracker() if layout == "one" else FSDPMemTracker(model, optimizer)
        tracker.track_external(model, optimizer) if layout == "one" else tracker.track_inputs(())
        with tracker:
            for step in range(2):
                ids = torch.randint(0, 100, (batch, seq))
                model(input_ids=ids, labels=ids).loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                if step == 0:
                    tracker.reset_mod_stats()
        found = next(iter(tracker.get_tracker_snapshot("peak").values()))
    return {str(getattr(kind, "value", kind)): size for kind, size in found.items() if size}


def measured(families: list[str]) -> dict[str, Any]:
    """Every case of ``families``."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=GPUS)
    mesh = init_device_mesh("cpu", (GPUS,))
    cases = []
    for family in families:
        for layout in LAYOUTS:
            for precision, batch, seq in RUNS:
                if layout == "one" and precision == "mixed":
                    continue
                found = peak(family, layout, precision, batch, seq, mesh)
                run = {"layout": layout, "precision": precision, "batch": batch, "seq": seq}
                config = {"model_type": family, "architectures": [FAMILIES[family][0]], **FAMILIES[family][1]}
                cases.append({**run, "config": config, "peak": found})
    return {"torch": torch.__version__.partition("+")[0], "transformers": transformers.__version__, "cases": cases}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asked = [word for word in sys.argv[1:] if not word.startswith("-")]
    result = measured(asked or [*FAMILIES])
    if asked:
        for case in result["cases"]:
            print(*(value for key, value in case.items() if key != "config"))
    elif "--check" in sys.argv:
        old = json.loads(GOLDEN.read_text(encoding="utf-8"))
        print("peaks of training steps as in phases.json" if old == result else json.dumps(result))
        sys.exit(0 if old == result else 1)
    else:
        lines = ",\n".join(json.dumps(case) for case in result.pop("cases"))
        GOLDEN.write_text(f'{json.dumps(result)[:-1]}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
