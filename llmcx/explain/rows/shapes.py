"""Every figure of every shape."""

from __future__ import annotations

from collections.abc import Sequence

from llmcx.answers import Line
from llmcx.answers.shapes import Shape
from llmcx.explain.rows import Figure, lines


def rows(shapes: Sequence[Shape], target: int, by: str) -> list[Line]:
    """Every figure of every shape: its formula, the numbers put in, the source."""
    found: list[Line] = []
    for row in shapes:
        n, d = row.n_layers, row.d_model
        shape = f"L = {n:,}, d = {d:,}, H = {row.n_heads:,}, d_ff = {row.d_ff:,}"
        got = row.params if by == "params" else row.forward_flops
        figures: list[Figure] = [
            ("params", "Σ parameters", shape, row.params, "counted exactly; widths are multiples of head_dim"),
            ("deviation", f"{by}(L, d) - target", f"{got:,} - {target:,}", row.deviation, "the width that comes closest"),
            ("relative", "deviation / target", f"{row.deviation} / {target:,}", row.relative, "the width that comes closest"),
            ("aspect_ratio", "d / L", f"{d:,} / {n:,}", row.aspect_ratio, "Kaplan et al. 2020, arXiv:2001.08361, sec. 3.1"),
            ("forward_flops", "Σ matmul FLOPs", f"{shape}, n = {row.seq:,}", row.forward_flops, "torch/utils/flop_counter.py"),
            ("train_flops", "forward + backward", f"{row.forward_flops:,} + …", row.train_flops, "torch/utils/flop_counter.py"),
            ("activation_bytes", "Σ kept elements · 2 B", f"{shape}, n = {row.seq:,}", row.activation_bytes, "torch.autograd"),
            (
                "train_state_bytes",
                "16 · params",
                f"16·{row.params:,}",
                row.train_state_bytes,
                "arXiv:1910.02054, sec. 3.1: 2 + 2 + 12",
            ),
            (
                "kv_bytes_per_token",
                "L·2·n_kv_heads·head_dim · bytes",
                f"{n:,}·2·{row.kv_heads:,}·{d // row.n_heads:,} · bytes",
                row.kv_bytes_per_token,
                "Shazeer 2019, arXiv:1911.02150, sec. 2.4",
            ),
            ("sequential_steps", "L", f"{n:,}", row.sequential_steps, "layers that wait for one another"),
            (
                "tensor_parallel",
                "largest 2^k <= 64 dividing heads and d_ff",
                shape,
                row.tensor_parallel,
                "arXiv:1909.08053, sec. 3",
            ),
            ("tile", "largest 2^k <= 256 dividing d and d_ff", shape, row.tile, "a matrix unit's tiles"),
        ]
        name = row.name or f"{n} x {d}"
        found += lines(name, figures)
    return found
