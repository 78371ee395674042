"""Bytes that autograd keeps when only low-rank adapters are trained: plain torch adapters on tiny transformers models.

    python tests/oracle/lora.py [--check]      measure into lora.json, or compare with it

Needs torch and transformers, and nothing of llmcx. The adapter is PEFT's: its input cast to fp32, two fp32 matrices, no dropout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cases
import measure
import torch
from torch import nn

GOLDEN = Path(__file__).resolve().parent / "lora.json"
RANK = 5
EVERY = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TARGETS = (("q_proj", "v_proj"), EVERY)


class Adapted(nn.Module):
    """A frozen linear layer with an adapter beside it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, RANK, bias=False)
        self.up = nn.Linear(RANK, base.out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.base(x)
        return (y + self.up(self.down(x.float())) * 2.0).to(y.dtype)


def one(family: str, targets: tuple[str, ...], dtype: str, attention: str, layers: int) -> dict[str, Any]:
    """A case, measured."""
    config = cases.merged(cases.FAMILIES[family].tiny, {"num_hidden_layers": layers})
    case = cases.case(family, "kept", "lora", config)
    model = measure.build(case["config"], "cpu", attention, {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype])
    model.requires_grad_(False)
    for layer in model.model.layers:
        for module in (layer.self_attn, layer.mlp):
            for name in targets:
                if hasattr(module, name):
                    setattr(module, name, Adapted(getattr(module, name)))
    tensors = measure.kept_tensors(model, measure.inputs(model, case, 1))
    kept = sum(tensor.untyped_storage().nbytes() for tensor in tensors)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    run = {"dtype": dtype, "attention": attention, "targets": targets, "rank": RANK, "layers": layers}
    return {**case, **run, "kept": kept, "trained": trained}


def main() -> None:
    torch.set_num_threads(1)
    found = [
        one(family, targets, dtype, attention, layers)
        for family in ("llama", "qwen3", "mistral")
        for targets in TARGETS
        for dtype in ("fp32", "bf16")
        for attention in ("eager", "sdpa")
        for layers in (1, 3)
    ]
    text = json.dumps(measure.versions() | {"cases": found}, indent=0) + "\n"
    if "--check" not in sys.argv:
        GOLDEN.write_text(text, encoding="utf-8")
    elif text != GOLDEN.read_text(encoding="utf-8"):
        sys.exit("lora.json is not what torch measures now")


if __name__ == "__main__":
    main()
