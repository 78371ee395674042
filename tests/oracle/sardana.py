"""What the authors' own code of "Beyond Chinchilla-Optimal" finds: sizes and tokens that are cheapest to train and then serve.

    python tests/oracle/sardana.py DIRECTORY      # a checkout of nikhilsardana/beyond-chinchilla, Apache-2.0, 190f70e; scipy

Needs nothing of llmcx.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent / "sardana.json"
LOSSES = (1.89, 1.947, 2.1, 2.4)
TOKENS = (1e10, 2e12, 1e14)
GPUS = [  # trained on, in, served on, in; USD per hour; utilisation of training, prompts, answers; tokens in and out
    ("A100_80", "bf16", "A100_40", "int8", 1.40, 0.60, 0.5, 0.4, 0.2, 1000, 250),
    ("H100", "bf16", "H100", "fp8", 2.0, 2.0, 0.5, 0.5, 0.01, 70, 215),
    ("H100", "bf16", "H100", "bf16", 2.0, 2.0, 0.5, 0.5, 0.05, 1024, 1024),
]
REQUESTS = (1e9, 1e10)


def main(directory: str) -> None:
    sys.path.insert(0, directory)
    from compute_optimal import calculate_compute_optimal_model, total_flops
    from cost_calculator import CostModel, cost_per_flop, total_cost
    from cost_optimal import calculate_cost_optimal_model
    from model_calculator import ChinchillaConstants, Model

    constants = ChinchillaConstants()
    flops: list[dict[str, Any]] = []
    for loss in LOSSES:
        for served in TOKENS:
            base = Model(True, constants, loss=loss)
            best = calculate_compute_optimal_model(base, served)
            row = {"loss": loss, "served": served, "params": best.params, "tokens": best.train_tokens}
            row |= {"base_params": base.params, "base_tokens": base.train_tokens}
            row["total"] = total_flops(best.params, best.train_tokens, served)
            row["base_total"] = total_flops(base.params, base.train_tokens, served)
            flops.append(row)
    dollars: list[dict[str, Any]] = []
    for train, trained_in, serve, served_in, paid, price, mfu, prefill, decode, prompt, output in GPUS:
        for loss in LOSSES[1:3]:
            for requests in REQUESTS:
                costs = cost_per_flop(train, trained_in, paid), cost_per_flop(serve, served_in, price)
                base = CostModel(*costs, mfu, prefill, decode, chinchilla_style=True, constants=constants, loss=loss)
                read, written = requests * prompt, requests * output
                best = calculate_cost_optimal_model(base, read, written)
                row = {"train": train, "serve": serve, "dtype": served_in, "train_price": paid, "price": price, "mfu": mfu}
                row |= {"prefill_mfu": prefill, "decode_mfu": decode, "prompt": prompt, "output": output, "requests": requests}
                row |= {"loss": loss, "params": best.params, "tokens": best.train_tokens}
                row["total"], row["base_total"] = total_cost(best, read, written), total_cost(base, read, written)
                dollars.append(row)
    named = {key: getattr(constants, key) for key in ("E", "A", "B", "alpha", "beta")}
    GOLDEN.write_text(json.dumps({"constants": named, "flops": flops, "dollars": dollars}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
