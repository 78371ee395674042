"""Every figure of every shape, the sums op by op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd

from llmcx.answers import Line
from llmcx.answers.shapes import Shape, published
from llmcx.costs import params as params_fold
from llmcx.costs.flops import backward_fold, fold
from llmcx.costs.saved_activations import kept_bytes
from llmcx.explain.rows import Figure, lines
from llmcx.explain.terms import summed, terms
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec

_COUNTER = "torch/utils/flop_counter.py"


def rows(shapes: Sequence[Shape], target: int, by: str, build: Callable[[int, int], ModelSpec]) -> list[Line]:
    """Every figure of every shape: its formula, the numbers put in, the source; ``build``: the model of a depth and width."""
    known, found = published(), []
    for row in shapes:
        found += _shape(row, known[row.name] if row.name else build(row.n_layers, row.d_model), target, by)
    return found


def _shape(row: Shape, spec: ModelSpec, target: int, by: str) -> list[Line]:
    n, d, length = row.n_layers, row.d_model, Run(1, row.seq)
    ops, name = lower(spec, length), row.name or f"{row.n_layers} x {row.d_model}"
    counted = [summed("params", terms(params_fold.fold, ops), "each parameter once, tied ones once")]
    forward = summed("forward_flops", terms(fold, ops), _COUNTER, f"of one sequence of {row.seq:,} tokens")
    backward = backward_fold.total(ops)
    kept = [(op, kept_bytes([op], 2)) for op in lower(spec, Run(1, row.seq, fused=True))]
    saved = " + ".join(f"{size:,}" for _, size in kept if size)
    got = row.params if by == "params" else row.forward_flops
    width, tp = d // row.n_heads, row.tensor_parallel
    heads = gcd(row.n_heads, row.kv_heads, row.d_ff)
    where = f"L = {n:,}, d = {d:,}, H = {row.n_heads:,}, d_ff = {row.d_ff:,}"
    put = [
        *(line._replace(component=f"{name}: {line.component}", where=where) for line in counted),
        forward._replace(component=f"{name}: forward_flops"),
    ]
    figures: list[Figure] = [
        ("deviation", f"{by} - target", f"{got:,} - {target:,}", row.deviation, "the width that comes closest"),
        ("relative", "deviation / target", f"{row.deviation} / {target:,}", row.relative, "the width that comes closest"),
        ("aspect_ratio", "d / L", f"{d:,} / {n:,}", row.aspect_ratio, "Kaplan et al. 2020, arXiv:2001.08361, sec. 3.1"),
        ("train_flops", "forward + backward", f"{row.forward_flops:,} + {backward:,}", row.train_flops, _COUNTER),
        ("activation_bytes", "Σ of what each op saves, 2 B an activation", saved, row.activation_bytes, "torch.autograd"),
        ("train_state_bytes", "16·params", f"16·{row.params:,}", row.train_state_bytes, "arXiv:1910.02054, sec. 3.1: 2 + 2 + 12"),
        (
            "kv_bytes_per_token",
            "L·2·n_kv_heads·head_dim·bytes",
            f"{n:,}·2·{row.kv_heads:,}·{width:,}·{row.kv_bytes_per_token / (n * 2 * row.kv_heads * width):g}",
            row.kv_bytes_per_token,
            "Shazeer 2019, arXiv:1911.02150, sec. 2.4",
        ),
        ("sequential_steps", "L", f"{n:,}", row.sequential_steps, "layers that wait for one another"),
        (
            "tensor_parallel",
            "largest 2^k <= 64 that divides heads and d_ff",
            f"{tp}: {tp} <= 64; {heads // tp}·{tp} <= {heads}",
            row.tensor_parallel,
            "Shoeybi et al. 2019, arXiv:1909.08053, sec. 3",
        ),
        (
            "tile",
            "largest 2^k <= 256 that divides d and d_ff",
            f"{row.tile}: {row.tile} <= 256; {gcd(d, row.d_ff) // row.tile}·{row.tile} <= {gcd(d, row.d_ff):,}",
            row.tile,
            "a matrix unit's tiles",
        ),
    ]
    return put + lines(name, figures)
