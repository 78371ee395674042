"""What real optimizers hold: the states of torch's, transformers' and bitsandbytes' classes, on bf16 and fp32 weights.

python tests/oracle/optimizers.py           writes optimizers_golden.json
python tests/oracle/optimizers.py --check   compares with it and writes nothing
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bitsandbytes
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
    "adam8bit": bitsandbytes.optim.AdamW8bit,
    "paged_adam8bit": bitsandbytes.optim.PagedAdamW8bit,
    "lion8bit": bitsandbytes.optim.Lion8bit,
}
SHAPES = ((64, 64), (63, 64), (96, 128))


def states(optimizer: Any, weight: Any) -> dict[str, Any]:
    """An optimizer's states of ``weight``: after a step, or where its kernels want a GPU as it makes them before one."""
    if isinstance(optimizer, bitsandbytes.optim.optimizer.Optimizer8bit):
        optimizer.init_state(optimizer.param_groups[0], weight, 0, 0)
        return {
            name: value for name, value in optimizer.state[weight].items() if not name.startswith("qmap")
        }  # all tensors share it
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    return dict(optimizer.state[weight])


def measured() -> dict[str, dict[str, dict[str, int]]]:
    """Bytes of the states of matrices, scalars left out, by optimizer, by the weights' format and by shape."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for name, make in MAKE.items():
        for dtype in (torch.float32, torch.bfloat16):
            for shape in SHAPES:
                weight = torch.nn.Parameter(torch.ones(*shape, dtype=dtype))
                held = states(make([weight]), weight).values()
                size = sum(each.numel() * each.element_size() for each in held if torch.is_tensor(each) and each.numel() > 1)
                of_dtype = found.setdefault(name, {}).setdefault(str(dtype).removeprefix("torch."), {})
                of_dtype["x".join(map(str, shape))] = size
    return found


if __name__ == "__main__":
    text = (
        json.dumps(
            {"torch": torch.__version__.partition("+")[0], "bitsandbytes": bitsandbytes.__version__, "states": measured()},
            indent=1,
        )
        + "\n"
    )
    if "--check" in sys.argv:
        same = text == GOLDEN.read_text(encoding="utf-8")
        print("states of optimizers as in optimizers_golden.json" if same else text)
        sys.exit(0 if same else 1)
    GOLDEN.write_text(text, encoding="utf-8")
