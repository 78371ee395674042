"""Bytes that autograd keeps, and FLOPs, when only low-rank adapters learn: plain torch adapters on tiny transformers models.

    python tests/oracle/lora.py [--check]      measure into lora.json, or compare with it

Needs torch and transformers, and nothing of llmcx. The adapter is PEFT's: its input cast to fp32, two fp32 matrices, no dropout.
"""

from __future__ import annotations

import json
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

    @property
    def weight(self) -> nn.Parameter:
        """T5's layers look at its type."""
        return self.base.weight

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


COUNTED = (
    "llama", "qwen3", "mistral", "gemma2", "gemma3_text", "olmo2", "granite", "phi", "stablelm", "starcoder2", "cohere2",
    "mixtral", "deepseek_v3", "minicpm3", "bamba", "recurrent_gemma", "lfm2", "t5", "bart",
)  # fmt: skip
MIXTURES = ("mixtral", "deepseek_v3")
"""Whose experts are no layers of torch's, and stay without adapters here."""
LEAVES = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "o_proj": "out", "out_proj": "out", "dense": "out"}
LEAVES |= {"gate_proj": "gate", "up_proj": "up", "down_proj": "down", "fc1": "up", "fc2": "down", "c_fc": "up", "c_proj": "down"}
LEAVES |= {"q": "q", "k": "k", "v": "v", "o": "out", "wi_0": "gate", "wi_1": "up", "wi": "up", "wo": "down"}
LEAVES |= {"w1": "gate", "w3": "up", "w2": "down", "linear_out": "out"}
"""What families call the matrices that may be adapted."""
SOME = (("q", "v"), ("k",), ("out",), ("down",), ("up", "down"), ("q", "k", "v", "out", "gate", "up", "down"))


def counted(family: str, targets: tuple[str, ...], layers: int) -> dict[str, Any] | None:
    """FLOPs of a pass forward, and of both ways, of a family's tiny model; None where it has no such matrix."""
    names = ("num_hidden_layers", "num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers")
    tiny = cases.FAMILIES[family].tiny
    config = cases.merged(tiny, {name: layers for name in names if name in tiny})
    if "layer_types" in config:
        config["layer_types"] = [config["layer_types"][i % len(config["layer_types"])] for i in range(layers)]
    case = cases.case(family, "flops", "lora", config)
    model = measure.build(case["config"], "cpu")
    model.requires_grad_(False)
    adapted = 0
    for name, module in list(model.named_modules()):
        for leaf, of in list(module.named_children()):
            if isinstance(of, nn.Linear) and LEAVES.get(leaf) in targets and "head" not in name:
                setattr(module, leaf, Adapted(of))
                adapted += 1
    if not adapted:
        return None
    given = measure.inputs(model, case, 1)
    forward = sum(measure.count(lambda: model(**given)).values())
    both = sum(measure.backward(model, given).values())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    run = {"targets": targets, "rank": RANK, "layers": layers, "trained": trained}
    return {**case, **run, "forward": forward, "forward_backward": both}


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
    flops = [
        case
        for family in COUNTED
        for targets in SOME
        if family not in MIXTURES or not {"gate", "up", "down"} & {*targets}
        for layers in (1, 3)
        if (case := counted(family, targets, layers)) is not None
    ]
    text = json.dumps(measure.versions() | {"cases": found, "flops": flops}, indent=0) + "\n"
    measure.settle(GOLDEN, text, "torch measures")


if __name__ == "__main__":
    main()
