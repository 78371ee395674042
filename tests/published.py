"""Published runs: what was measured, where it is printed, and the layout it was measured with.

``calibrates`` marks the rows that the shipped factors were fitted to; the others only test. Rows were dealt alternately within each
source before anything was fitted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmcx.core.layout import Layout
from llmcx.core.parts import ModelSpec
from llmcx.spec.build import build
from llmcx.spec.presets import load_preset


@dataclass(frozen=True)
class Run:
    """One training run: ``step_s`` as printed, or as it follows from what is printed (``how``)."""

    name: str
    spec: ModelSpec
    hardware: str
    seq: int
    batch: int
    layout: Layout
    step_s: float
    source: str
    calibrates: bool = False
    dtype: str | None = None
    fused: bool = True
    how: str = ""
    stack: str = "megatron"
    remark: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def gpt(layers: int, d: int, heads: int, vocab: int, seq: int, bias: bool = True) -> ModelSpec:
    """A GPT-3-like model."""
    return build(
        {
            "name": f"gpt-{layers}x{d}",
            "d_model": d,
            "context": seq,
            "embedding": {"vocab": vocab, "positions": seq},
            "decoder": [
                {
                    "repeat": layers,
                    "mixer": {"type": "attention", "n_heads": heads, "bias": bias},
                    "ffn": {"type": "plain", "d_ff": 4 * d, "activation": "gelu", "bias": bias},
                }
            ],
            "norm": {"type": "layernorm", "bias": bias},
            "head": {"tied": True},
        }
    )


# --- Narayanan et al. 2021, arXiv:2104.04473, Table 1 (micro-batches and interleaving: Megatron-LM, examples/sc21/run_table_1.sh) ---
# billions, heads, d_model, layers, tp, pp, GPUs, batch, micro-batch, chunks per stage, TFLOP/s per GPU
MEGATRON = [
    (1.7, 24, 2304, 24, 1, 1, 32, 512, 16, 1, 137),
    (3.6, 32, 3072, 30, 2, 1, 64, 512, 16, 1, 138),
    (7.5, 32, 4096, 36, 4, 1, 128, 512, 16, 1, 142),
    (18.4, 48, 6144, 40, 8, 1, 256, 1024, 8, 1, 135),
    (39.1, 64, 8192, 48, 8, 2, 512, 1536, 4, 1, 138),
    (76.1, 80, 10240, 60, 8, 4, 1024, 1792, 2, 3, 140),
    (145.6, 96, 12288, 80, 8, 8, 1536, 2304, 2, 2, 148),
    (310.1, 128, 16384, 96, 8, 16, 1920, 2160, 1, 2, 155),
    (529.6, 128, 20480, 105, 8, 35, 2520, 2520, 1, 3, 163),
    (1008.0, 160, 25600, 128, 8, 64, 3072, 3072, 1, 1, 163),
]


def megatron() -> list[Run]:
    """F = 96 B s l h² (1 + s/6h + V/16lh) FLOPs a step, recomputation included (their eq. 3); seconds = F / (GPUs · TFLOP/s)."""
    runs = []
    s, vocab = 2048, 51200
    for number, (size, heads, d, n, tp, pp, gpus, batch, mb, v, tflops) in enumerate(MEGATRON):
        flops = 96 * batch * s * n * d**2 * (1 + s / (6 * d) + vocab / (16 * n * d))
        layout = Layout(tp, pp, 1, 1, gpus // (tp * pp), mb, v, "full", 0, False)
        runs.append(
            Run(
                f"Megatron {size}B",
                gpt(n, d, heads, vocab, s),
                "a100",
                s,
                batch,
                layout,
                flops / (gpus * tflops * 1e12),
                "Narayanan et al. 2021, arXiv:2104.04473, Table 1",
                number % 2 == 0,
                fused=False,
                how=f"{tflops} TFLOP/s per GPU",
            )
        )
    return runs


def korthikanti() -> list[Run]:
    """Iteration times of Korthikanti et al. 2022, arXiv:2205.05198, Table 5: full recomputation, and sequence parallelism with
    selective recomputation.
    """
    rows = [
        ("22B", 48, 6144, 64, 1, 1, 8, 4, 4, 1.42, 1.10),
        ("175B", 96, 12288, 96, 8, 3, 64, 64, 1, 18.13, 13.75),
        ("530B", 105, 20480, 128, 35, 3, 280, 280, 1, 49.05, 37.83),
        ("1T", 128, 25600, 160, 64, 1, 512, 512, 1, 94.42, 71.49),
    ]
    runs = []
    for number, (name, n, d, heads, pp, v, gpus, batch, mb, full, selective) in enumerate(rows):
        for recompute, seconds, sequence in (("full", full, False), ("selective", selective, True)):
            layout = Layout(8, pp, 1, 1, gpus // (8 * pp), mb, v, recompute, 0, sequence)
            runs.append(
                Run(
                    f"{name}, {recompute} recomputation",
                    gpt(n, d, heads, 51200, 2048),
                    "a100",
                    2048,
                    batch,
                    layout,
                    seconds,
                    "Korthikanti et al. 2022, arXiv:2205.05198, Table 5",
                    (number + (recompute == "full")) % 2 == 0,
                    fused=False,
                    how=f"{seconds} s",
                )
            )
    return runs


# MosaicML, llm-foundry, scripts/train/benchmarking/README.md: model, seq, GPUs, micro-batch, accumulation, recomputation,
# tokens/s/GPU, dtype. FSDP, full shard.
MPT = {"70b": (80, 8192, 64), "30b": (48, 7168, 56), "13b": (40, 5120, 40), "7b": (32, 4096, 32), "3b": (32, 2560, 20), "1b": (24, 2048, 16)}
MOSAIC = [
    ("70b", 2048, 64, 8, 4, "full", 1039, "bf16"),
    ("70b", 2048, 32, 2, 16, "full", 882, "bf16"),
    ("30b", 8192, 8, 1, 21, "full", 1384, "bf16"),
    ("30b", 2048, 32, 14, 3, "full", 2308, "bf16"),
    ("13b", 16384, 8, 3, 3, "full", 2985, "bf16"),
    ("13b", 2048, 64, 2, 1, "none", 4800, "bf16"),
    ("13b", 2048, 8, 2, 1, "none", 4792, "bf16"),
    ("7b", 32768, 8, 2, 2, "full", 3318, "bf16"),
    ("7b", 8192, 8, 8, 2, "full", 6935, "bf16"),
    ("7b", 2048, 8, 6, 1, "none", 10643, "bf16"),
    ("3b", 8192, 8, 3, 6, "none", 16578, "bf16"),
    ("3b", 2048, 64, 6, 3, "none", 22525, "bf16"),
    ("1b", 8192, 8, 3, 4, "none", 29157, "bf16"),
    ("1b", 2048, 8, 14, 1, "none", 45455, "bf16"),
    ("3b", 8192, 8, 3, 6, "none", 19146, "fp8"),
    ("3b", 2048, 8, 10, 6, "none", 30586, "fp8"),
]


def mosaic() -> list[Run]:
    runs = []
    for number, (name, seq, gpus, mb, accumulate, recompute, rate, dtype) in enumerate(MOSAIC):
        n, d, heads = MPT[name]
        batch = gpus * mb * accumulate
        runs.append(
            Run(
                f"MPT {name}, {seq:,} tokens, {gpus} GPUs, {dtype}",
                gpt(n, d, heads, 50368, seq, bias=False),
                "h100",
                seq,
                batch,
                Layout(dp=gpus, micro_batch=mb, recompute=recompute, zero=3),
                batch * seq / (rate * gpus),
                "MosaicML llm-foundry, scripts/train/benchmarking/README.md",
                number % 2 == 0,
                dtype=dtype,
                how=f"{rate:,} tokens/s per GPU",
                stack="fsdp",
            )
        )
    return runs


def bridge() -> list[Run]:
    """NVIDIA Megatron-Bridge, docs/performance-summary.md, container 25.11, DGX-H100, FP8 with current scaling."""
    rows = [
        ("llama-3-8b", 8, 128, Layout(dp=8, zero=3), 14451),
        ("llama-3-70b", 64, 128, Layout(4, 8, 1, 1, 2, 1, 5), 1602),
        ("llama-3.1-405b", 1024, 512, Layout(8, 8, 2, 1, 8, 1, 8), 292),
    ]
    return [
        Run(
            f"{name}, {gpus} GPUs, fp8",
            load_preset(name),
            "h100",
            8192,
            batch,
            layout,
            batch * 8192 / (rate * gpus),
            "NVIDIA Megatron-Bridge, docs/performance-summary.md, 25.11",
            number % 2 == 0,
            dtype="fp8",
            how=f"{rate:,} tokens/s per GPU",
        )
        for number, (name, gpus, batch, layout, rate) in enumerate(rows)
    ]


def llama_3() -> list[Run]:
    """Llama Team 2024, arXiv:2407.21783, Table 4: TFLOP/s per GPU. Their FLOPs are taken as 6 N per token and the causal half of the
    scores; the table does not say. One layer per chunk of the pipeline, since their first chunk is the embedding alone (sec. 3.3.2).
    """
    spec = load_preset("llama-3.1-405b")
    n, d, size = 126, 16384, 405.9e9
    rows = [
        (8192, 2048, Layout(8, 16, 1, 1, 64, 1, 8, "selective", 1), 430),
        (8192, 2048, Layout(8, 16, 1, 1, 128, 1, 8, "selective", 1), 400),
        (131072, 128, Layout(8, 16, 16, 1, 8, 1, 8, "selective", 1), 380),
    ]
    runs = []
    for number, (seq, batch, layout, tflops) in enumerate(rows):
        flops = batch * seq * (6 * size + 6 * n * seq * d)
        runs.append(
            Run(
                f"Llama 3.1 405B, {layout.gpus:,} GPUs, {seq:,} tokens",
                spec,
                "h100",
                seq,
                batch,
                layout,
                flops / (layout.gpus * tflops * 1e12),
                "Llama Team 2024, arXiv:2407.21783, Table 4",
                number == 1,
                how=f"{tflops} TFLOP/s per GPU",
            )
        )
    return runs


def palm() -> list[Run]:
    """Chowdhery et al. 2022, arXiv:2204.02311, sec. 4: 6,144 TPU v4, 12-way model and 256-way data parallel in each of two pods,
    rematerialisation, 238.3 k tokens/s at batch 2048: 46.2% MFU.
    """
    spec = build(
        {
            "name": "palm-540b",
            "d_model": 18432,
            "context": 2048,
            "embedding": {"vocab": 256000},
            "decoder": [
                {
                    "repeat": 118,
                    "norms": ["shared"],
                    "mixer": {"type": "attention", "n_heads": 48, "n_kv_heads": 1, "head_dim": 256, "rope": True},
                    "ffn": {"type": "gated", "d_ff": 73728, "activation": "silu"},
                }
            ],
            "norm": {"type": "layernorm", "bias": False},
            "head": {"tied": True},
        }
    )
    layout = Layout(tp=12, dp=512, micro_batch=1, recompute="selective", zero=3)
    return [
        Run(
            "PaLM 540B",
            spec,
            "tpu-v4",
            2048,
            2048,
            layout,
            2048 * 2048 / 238.3e3,
            "Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1",
            how="238.3 k tokens/s, 46.2% MFU",
        )
    ]


def training() -> list[Run]:
    """All of them."""
    return [*megatron(), *korthikanti(), *mosaic(), *bridge(), *llama_3(), *palm()]
