"""What real optimizers hold: dtypes of the states of torch's and transformers' classes, after a step on bf16 and fp32 weights.

python tests/oracle/optimizers.py           writes optimizers_golden.json
python tests/oracle/optimizers.py --check   compares with it and writes nothing
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers.optimization import Adafactor

GOLDEN = Path(__file__).with_name("optimizers_golden.json")
MAKE: dict[str, Callable[[Any], Any]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "momentum": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "sgd": lambda params: torch.optim.SGD(params, lr=0.1),
    "muon": torch.optim.Muon,
    "adafactor": Adafactor,
}


def measured() -> dict[str, dict[str, int]]:
    """Bytes of the states of a 64 x 64 matrix, scalars left out, by optimizer and by the weights' format."""
    found: dict[str, dict[str, int]] = {}
    for name, make in MAKE.items():
        for dtype in (torch.float32, torch.bfloat16):
            weight = torch.nn.Parameter(torch.ones(64, 64, dtype=dtype))
            optimizer = make([weight])
            weight.grad = torch.ones_like(weight)
            optimizer.step()
            tensors = [value for value in optimizer.state[weight].values() if torch.is_tensor(value) and value.numel() > 1]
            size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
            found.setdefault(name, {})[str(dtype).removeprefix("torch.")] = size
    return found


if __name__ == "__main__":
    text = json.dumps({"torch": torch.__version__.partition("+")[0], "states": measured()}, indent=1) + "\n"
    if "--check" in sys.argv:
        same = text == GOLDEN.read_text(encoding="utf-8")
        print("states of optimizers as in optimizers_golden.json" if same else text)
        sys.exit(0 if same else 1)
    GOLDEN.write_text(text, encoding="utf-8")
