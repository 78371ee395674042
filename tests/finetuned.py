"""Published steps of fine-tuning: what was run, and the seconds of a step.

Rows of published_finetuning.csv were dealt before anything was fitted: of each source one model calibrates (Mistral 7B, the first
Qwen 7B), the others only test; torchtune's and NeMo's rows only test.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from llmcx.catalog.build import build
from llmcx.catalog.presets import load_preset
from llmcx.costs.lora import LoRA
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

TABLE = Path(__file__).parent / "published_finetuning.csv"

SHAPES = {
    "qwen-1.8b": (24, 2048, 16, 16, 5504, 151936, "q,k,v"),
    "qwen-7b": (32, 4096, 32, 32, 11008, 151936, "q,k,v"),
    "qwen-14b": (40, 5120, 40, 40, 13696, 152064, "q,k,v"),
    "qwen-72b": (80, 8192, 64, 64, 24576, 152064, "q,k,v"),
    "powerlm-3b": (40, 2304, 36, 36, 9216, 49152, ""),
}
"""Layers, width, heads, key-value heads, feed-forward, vocabulary and biases of models that have no preset: their config.json."""


@dataclass(frozen=True)
class Tuned:
    """One row."""

    engine: str
    kind: str
    spec: ModelSpec
    hardware: str
    dtype: str | None
    frozen: str | None
    lora: LoRA | None
    layout: Layout
    batch: int
    seq: int
    seconds: float
    calibrates: bool
    source: str


def shaped(name: str) -> ModelSpec:
    """A model of SHAPES, GPT-BigCode's SantaCoder, or a preset."""
    if name == "santacoder":
        mixer = {"type": "attention", "n_heads": 16, "n_kv_heads": 1, "bias": True}
        ffn = {"type": "plain", "d_ff": 8192, "activation": "gelu_tanh", "bias": True}
        of = {"name": name, "d_model": 2048, "context": 2048, "embedding": {"vocab": 49280, "positions": 2048}}
        return build(of | {"decoder": [{"repeat": 24, "mixer": mixer, "ffn": ffn}], "norm": {"type": "layernorm", "bias": True}})
    if name not in SHAPES:
        return load_preset(name)
    layers, width, heads, kv_heads, inner, vocab, biases = SHAPES[name]
    mixer = {"type": "attention", "n_heads": heads, "n_kv_heads": kv_heads, "rope": True}
    mixer |= {"bias": True, "out_bias": False} if biases else {}
    ffn = {"type": "gated", "d_ff": inner, "activation": "silu"}
    of = {"name": name, "d_model": width, "context": 8192, "embedding": {"vocab": vocab}, "head": {"tied": not biases}}
    return build(of | {"decoder": [{"repeat": layers, "mixer": mixer, "ffn": ffn}], "norm": {"type": "rmsnorm"}})


@lru_cache(maxsize=1)
def steps() -> list[Tuned]:
    """All rows."""
    found, specs = [], {}
    with TABLE.open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            name = line["model"]
            if name not in specs:
                specs[name] = shaped(name)
            lora = LoRA(int(line["lora"]), tuple(line["lora_targets"].split(","))) if line["lora"] else None
            gpus, zero = int(line["gpus"]), int(line["zero"])
            layout = Layout(dp=gpus, zero=zero, micro_batch=int(line["micro_batch"]), recompute=line["recompute"])
            dtype = line["dtype"] if line["dtype"] == "fp8" else None
            how = (line["engine"], line["kind"], specs[name], line["hardware"], dtype, line["frozen"] or None, lora, layout)
            of = (
                int(line["global_batch"]),
                int(line["seq"]),
                float(line["seconds"]),
                line["calibrates"] == "yes",
                line["source"],
            )
            found.append(Tuned(*how, *of))
    return found
