"""Published steps of fine-tuning: what was run, and the seconds of a step.

Rows of published_finetuning.csv. Of transformers and Unsloth's kernels those of one GPU calibrate all together, and each model is
estimated with numbers fitted without it (WITHOUT); those of several GPUs, of experts, of frozen norms in fp32, of DeepSpeed's
ZeRO-3, of torchtune and of NeMo only test. A first split, two models of 7B against the rest, left undetermined what products take
and what passes over memory do, since both models are as wide.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from llmcx.catalog.build import build
from llmcx.catalog.data import load_hardware
from llmcx.catalog.presets import load_preset
from llmcx.costs.lora import LoRA
from llmcx.engines import efficiency as calibration
from llmcx.engines.training_time import Trainer
from llmcx.machine.roofline import IDEAL, Efficiency
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
    command: str


def shaped(name: str) -> ModelSpec:
    """A model of SHAPES, GPT-BigCode's SantaCoder, or a preset."""
    if name == "santacoder":
        mixer = {"type": "attention", "n_heads": 16, "n_kv_heads": 1, "bias": True, "joint": True}
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
            found.append(Tuned(*how, *of, line["command"]))
    return found


WITHOUT: dict[tuple[str, str], dict[str, float]] = {
    ("transformers", "llama-2-70b"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 5e-05,
        "adapted": 4.14,
        "unpacked.nf4": 32.0,
        "unpacked.gptq": 8.37,
    },
    ("transformers", "mistral-7b"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 5e-05,
        "adapted": 4.14,
        "unpacked.nf4": 34.3,
        "unpacked.gptq": 8.37,
    },
    ("transformers", "powerlm-3b"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 5e-05,
        "adapted": 4.14,
        "unpacked.nf4": 20.3,
        "unpacked.gptq": 8.37,
    },
    ("transformers", "qwen-1.8b"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 4.42e-05,
        "adapted": 4.14,
        "unpacked.nf4": 28.3,
        "unpacked.gptq": 8.37,
    },
    ("transformers", "qwen-14b"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 5.37e-05,
        "adapted": 4.36,
        "unpacked.nf4": 26.8,
        "unpacked.gptq": 8.37,
    },
    ("transformers", "qwen-72b"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 5e-05,
        "adapted": 4.68,
        "unpacked.nf4": 24.9,
        "unpacked.gptq": 8.37,
    },
    ("transformers", "qwen-7b"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 5e-05,
        "adapted": 4.68,
        "unpacked.nf4": 24.9,
        "unpacked.gptq": 8.37,
    },
    ("transformers", "santacoder"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 5e-05,
        "adapted": 4.45,
        "unpacked.nf4": 12.6,
        "unpacked.gptq": 8.37,
    },
    ("unsloth", "llama-2-70b"): {
        "kernels": 1.0,
        "memory": 0.337,
        "host_s": 5e-05,
        "adapted": 3.29,
        "unpacked.nf4": 0.5,
        "unpacked.gptq": 2.37,
    },
    ("unsloth", "llama-3-8b"): {
        "kernels": 1.0,
        "memory": 0.32,
        "host_s": 5e-05,
        "adapted": 1.07,
        "unpacked.nf4": 6.01,
        "unpacked.gptq": 5.21,
    },
    ("unsloth", "mistral-7b"): {
        "kernels": 1.0,
        "memory": 0.337,
        "host_s": 5e-05,
        "adapted": 1.86,
        "unpacked.nf4": 7.1,
        "unpacked.gptq": 4.87,
    },
    ("unsloth", "powerlm-3b"): {
        "kernels": 1.0,
        "memory": 0.362,
        "host_s": 5e-05,
        "adapted": 2.22,
        "unpacked.nf4": 3.64,
        "unpacked.gptq": 7.28,
    },
    ("unsloth", "santacoder"): {
        "kernels": 1.0,
        "memory": 0.337,
        "host_s": 5e-05,
        "adapted": 2.52,
        "unpacked.nf4": 0.5,
        "unpacked.gptq": 4.14,
    },
}
"""Numbers fitted without a model, by tests/oracle/finetuning.py."""


def factors(run: Tuned, values: Mapping[str, float]) -> Efficiency:
    """An engine's efficiency with ``values`` in place of its own; ``memory`` is a share before ``kernels``."""
    hardware = load_hardware(run.hardware)
    using, _ = calibration.efficiency(hardware, run.engine, run.dtype, frozen=run.frozen)
    kernels = calibration.of_generation(calibration.data(calibration.STACKS[run.engine])["kernels"], hardware)
    of = values.get("kernels", kernels) / kernels
    using = replace(using, matmul=min(1.0, using.matmul * of), attention=min(1.0, using.attention * of))
    if "memory" in values:
        using = replace(using, memory=min(1.0, values["memory"] * kernels * of))
    plain = {name: value for name, value in values.items() if name in ("host_s", "adapted")}
    return replace(using, unpacked=values.get(f"unpacked.{run.frozen}", using.unpacked), **plain)


def trainer(run: Tuned, using: Efficiency) -> Trainer:
    """Of a row."""
    hardware = load_hardware(run.hardware)
    return Trainer(run.spec, run.seq, hardware, using, run.dtype, "flash", run.engine, lora=run.lora, frozen=run.frozen)


@dataclass(frozen=True)
class Estimated:
    """A row, its ideal, and the estimate: by numbers that have not seen its model."""

    run: Tuned
    ideal: float
    estimate: float

    @property
    def error(self) -> float:
        return self.estimate / self.run.seconds - 1

    @property
    def holds(self) -> bool:
        """Whether the printed range holds what was measured."""
        hardware = load_hardware(self.run.hardware)
        low, high = calibration.band(self.run.engine, bool(self.run.spec.mixtures), hardware, self.run.layout.zero)
        return max(low * self.estimate, self.ideal) <= self.run.seconds <= high * self.estimate


ENGINES = ("transformers", "unsloth", "megatron")
"""That `llmcx train --lora` knows."""


def rows() -> list[Tuned]:
    """Those of ENGINES."""
    return [run for run in steps() if run.engine in ENGINES]


@lru_cache(maxsize=1)
def estimated() -> list[Estimated]:
    """All of them."""
    found = []
    for run in rows():
        using = factors(run, WITHOUT.get((run.engine, run.spec.name), {}))
        ideal, estimate = (trainer(run, of).step(run.layout, run.batch).total for of in (IDEAL, using))
        found.append(Estimated(run, ideal, estimate))
    return found
