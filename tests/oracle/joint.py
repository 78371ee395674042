"""Adapters on every linear layer of models whose code has some matrices as one: what PEFT's rule, rank (in + out), comes to.

    python tests/oracle/joint.py [--check]      count into joint.json, or compare with it

Needs torch and transformers, and nothing of llmcx. PEFT wraps each nn.Linear (or GPT-2's Conv1D) that target_modules names whole
(peft/tuners/lora/layer.py, LoraLayer.update_layer); "all-linear" leaves the head out.
"""

from __future__ import annotations

import json
from pathlib import Path

import cases
import measure
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

GOLDEN = Path(__file__).resolve().parent / "joint.json"
RANK = 5
FAMILIES = [
    "gpt2",
    "gpt_bigcode",
    "codegen",
    "gpt_neox",
    "gpt_neox_japanese",
    "bloom",
    "mpt",
    "falcon",
    "phi3",
    "glm",
    "glm4",
    "persimmon",
    "openai-gpt",
]


def counted(family: str) -> dict[str, object]:
    """A family's tiny model, the shapes of its layers' matrices, and the parameters of their adapters."""
    case = cases.case(family, "kept", "joint", cases.FAMILIES[family].tiny)
    found = []
    for name, module in measure.build(case["config"], "cpu", "eager", torch.float32).named_modules():
        if isinstance(module, nn.Linear) and "head" not in name and "embed" not in name:
            found.append((name.rpartition(".")[2], int(module.in_features), int(module.out_features)))
        elif isinstance(module, Conv1D):
            found.append((name.rpartition(".")[2], *map(int, module.weight.shape)))
    shapes = sorted(set(found))
    return {**case, "rank": RANK, "matrices": shapes, "trained": sum(RANK * (a + b) for _, a, b in found)}


def main() -> None:
    torch.set_num_threads(1)
    text = json.dumps(measure.versions() | {"cases": [counted(family) for family in FAMILIES]}, indent=0) + "\n"
    measure.settle(GOLDEN, text, "transformers' modules say")


if __name__ == "__main__":
    main()
