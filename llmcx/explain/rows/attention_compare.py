"""Each variant's core at the last length, term by term; then every figure of every row."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.attention_compare import Comparison, Row, candidates_of
from llmcx.answers.candidate import Candidate
from llmcx.costs.flops import fold
from llmcx.costs.traffic import traffic
from llmcx.explain.terms import terms
from llmcx.model.spec import ModelSpec
from llmcx.model.variants import Variant


def rows(
    spec: ModelSpec, answer: Comparison, variants: list[Variant], batch: int, dtype: str, ideal: bool, on_chip: int
) -> list[Line]:
    """The formulas of an answer to what was asked; a kernel holds ``on_chip`` bytes."""
    last = answer.rows[-1].seq
    cores = [line for each in candidates_of(spec, variants, batch, dtype, ideal) for line in _terms(each, last, on_chip)]
    return cores + [line for row in answer.rows for line in _figures(row)]


def _terms(candidate: Candidate, seq: int, chip: int) -> list[Line]:
    """One layer's FLOPs and traffic, term by term."""
    ops = [op._replace(times=1) for op in candidate.core_ops(seq)]
    counted = [(f"{candidate.name} {line.component}", line) for line in terms(fold, candidate.core_ops(seq))]
    moved = [(f"{candidate.name} {line.component}, bytes", line) for line in terms(traffic(chip, candidate.act), ops)]
    return [line._replace(component=name) for name, line in counted + moved]


FIGURES = {
    "forward_flops": (
        "Σ FLOPs of all ops",
        "core {core_flops:,}, projections {projection_flops:,}, the rest is equal",
        "mm_flop",
    ),
    "core_flops": ("Σ layers · 2·batch·heads·pairs·width", "pairs {pairs}", "Vaswani et al. 2017, arXiv:1706.03762, eq. 1"),
    "projection_flops": ("attention - core", "n = {seq:,}", "Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2.2"),
    "train_flops": ("forward + backward", "forward {forward_flops:,}", "torch/utils/flop_counter.py"),
    "core_train_flops": ("forward + backward of the cores", "forward {core_flops:,}", "torch/utils/flop_counter.py"),
    "leading_order": ("Σ layers · s·n·d", "n = {seq:,}", "the textbook chapter, sec. 3"),
    "memory_bytes": ("Σ kept elements of one layer's core · bytes", "n = {seq:,}", "torch.autograd's saved tensors"),
    "kept_bytes": ("Σ kept elements of all cores · bytes", "n = {seq:,}", "torch.autograd's saved tensors"),
    "peak_bytes": ("largest tensors of one core alive together", "n = {seq:,}", "an estimate"),
    "kv_bytes": ("Σ layers · batch·tokens·width · bytes", "n = {seq:,}", "Shazeer 2019, arXiv:1911.02150, sec. 2.4"),
    "state_bytes": ("Σ states · bytes", "of any n", "Choromanski et al. 2020, arXiv:2009.14794, sec. 2.5"),
    "decode_flops": ("Σ FLOPs of one token's ops", "context {seq:,}", "Shazeer 2019, arXiv:1911.02150, sec. 2.4"),
    "traffic_bytes": (
        "Σ bytes read and written, of one layer's core",
        "n = {seq:,}",
        "Dao et al. 2022, arXiv:2205.14135, algorithm 1",
    ),
    "intensity": ("FLOPs / bytes of one layer's core", "{traffic_bytes:,} bytes", "Williams et al. 2009, CACM 52(4)"),
    "core_seconds": ("Σ kernels, max(FLOPs / rate, bytes / bandwidth)", "waits for {binds}", "Williams et al. 2009, CACM 52(4)"),
    "seconds": ("the same with projections", "waits for {binds}", "Williams et al. 2009, CACM 52(4)"),
    "hops": ("layers until all tokens are connected, no mask", "n = {seq:,}", "Child et al. 2019, arXiv:1904.10509, sec. 4.2"),
    "hops_causal": ("the same under a causal mask", "n = {seq:,}", "Child et al. 2019, arXiv:1904.10509, sec. 4.2"),
    "max_seq": ("largest n with weights + cache + logits + workspace <= budget", "by bisection", "llmcx memory's parts"),
    "growth": ("core FLOPs / those at the first length", "core {core_flops:,}", "the textbook chapter, sec. 3"),
}
"""Of a row: the formula, the numbers put in, the source."""


def _figures(row: Row) -> list[Line]:
    """Every figure of a row that it has."""
    lines = []
    for name, (formula, numbers, source) in FIGURES.items():
        value = getattr(row, name)
        if value is not None:
            put = numbers.format(**vars(row))
            lines.append(Line(f"{row.variant}, n = {row.seq:,}: {name}", formula, put, value, source))
    return lines
