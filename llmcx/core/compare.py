"""attention-compare: the same model with its attention core exchanged, everything else as it is.

Each variant is an ordinary mixer core, lowered and folded like any model. Nothing here knows a cost formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

from . import dtypes
from . import params as params_fold
from .cores import label
from .errors import InputError
from .flops import attended, crossover, fold, smallest
from .lower import Run, lower
from .memory import kept_bytes, kv_elements
from .ops import Line, Op
from .pairs import hops
from .parts import (
    Core,
    Flash,
    Linformer,
    Local,
    Longformer,
    ModelSpec,
    Performer,
    Standard,
    Strided,
    check_size,
    with_core,
)

# Practical limits and quality classes as the chapter prints them; llmcx reports them beside what the model's costs say.
CHAPTER_LIMIT = {
    "standard": 8_192,
    "local": 65_536,
    "strided": 65_536,
    "longformer": 65_536,
    "linformer": 65_536,
    "performer": 1_048_576,
    "flash": 65_536,
}
QUALITY = {"standard": "high", "flash": "high", "sliding": "medium", "local": "medium", "strided": "medium"}
QUALITY |= {"chunked": "medium", "longformer": "medium", "linformer": "medium", "performer": "medium"}


def default_variants(
    window: int = 256, stride: int = 128, n_global: int = 16, rank: int = 256, features: int = 256
) -> list[Core]:
    """The chapter's seven, at given settings."""
    return [
        Standard(),
        Flash(),
        Local(window),
        Strided(stride),
        Longformer(window, n_global),
        Linformer(rank),
        Performer(features),
    ]


@dataclass(frozen=True)
class Row:
    """One variant at one length. ``core_flops`` is the part of ``forward_flops`` in which variants differ;
    ``memory_bytes`` is what one layer's core writes out, ``kept_bytes`` what all layers' cores keep for backward;
    ``growth`` is core_flops over the same variant's at the first length.
    """

    variant: str
    seq: int
    forward_flops: int
    core_flops: int
    leading_order: int
    memory_bytes: int
    kept_bytes: int
    kv_bytes: int
    hops: int | None
    hops_causal: int | None
    max_seq: int | None
    growth: float
    exact: bool
    quality: str
    chapter_max_seq: int | None


@dataclass(frozen=True)
class Crossing:
    """From ``seq`` on, ``cheaper`` costs less than ``than`` in ``measure``."""

    cheaper: str
    than: str
    measure: str
    seq: int


@dataclass(frozen=True)
class Recommendation:
    """What the model's own costs say at ``seq``, and what the chapter's rule by length says, told apart."""

    seq: int
    variant: str
    reason: str
    chapter_variant: str
    chapter_reason: str
    agrees: bool


@dataclass(frozen=True)
class Comparison:
    rows: list[Row]
    crossovers: list[Crossing]
    recommendation: list[Recommendation]
    lines: list[Line]


def core_ops(spec: ModelSpec, run: Run) -> list[Op]:
    """The ops of the self-attention cores alone: no projections, no cross-attention."""
    leaves = {"scores", "softmax", "values", "k_down", "v_down", "q_features", "k_features", "state", "read", "normaliser"}
    return [op for op in lower(spec, run) if op.component.partition(".")[::2] in {("attention", leaf) for leaf in leaves}]


def compare(
    spec: ModelSpec,
    seqs: list[int],
    batch: int = 1,
    *,
    variants: list[Core] | None = None,
    dtype: str = "bf16",
    ideal: bool = False,
    budget: int | None = None,
) -> Comparison:
    """Every variant at every length. ``dtype`` is that of weights, activations and cache; ``ideal`` counts only the
    pairs a causal mask leaves (standard and flash; the sparse patterns are always counted so). ``budget`` in bytes
    gives
    ``max_seq``: the longest prefill whose weights, cache, residual stream and one layer's core fit.
    """
    if not seqs:
        raise InputError("attention-compare needs at least one sequence length", field="seq")
    for seq in seqs:
        check_size("seq", seq)
    check_size("batch", batch)
    act = -(-dtypes.bits(dtype) // 8)
    cores = default_variants() if variants is None else variants
    models = {label(core): (core, with_core(spec, core)) for core in cores}
    masked = bool(spec.decoder)
    rows: list[Row] = []
    for name, (core, model) in models.items():
        longest = max_seq(model, batch, dtype, ideal, budget) if budget is not None else None
        first = 0
        for seq in seqs:
            run = Run(batch, seq, ideal=ideal)
            ops = core_ops(model, run)
            flops = fold.total(ops)
            first = first or flops
            kept = kept_bytes(ops, act)
            rows.append(
                Row(
                    variant=name,
                    seq=seq,
                    forward_flops=fold.total(lower(model, run)),
                    core_flops=flops,
                    leading_order=leading(model, batch, seq),
                    memory_bytes=_one_layer(ops, act),
                    kept_bytes=kept,
                    kv_bytes=dtypes.size(sum(kv_elements(model, batch, seq).values()), dtype),
                    hops=hops(core, seq),
                    hops_causal=hops(core, seq, masked=True) if masked and not isinstance(core, (Linformer,)) else None,
                    max_seq=longest,
                    growth=flops / first,
                    exact=isinstance(core, (Standard, Flash)),
                    quality=QUALITY[core.type],
                    chapter_max_seq=CHAPTER_LIMIT.get(core.type),
                )
            )
    return Comparison(
        rows=rows,
        crossovers=crossings({name: model for name, (_, model) in models.items()}, batch, act, ideal),
        recommendation=[recommend(spec, rows, seq, ideal) for seq in seqs],
        lines=[
            line for name, (_, model) in models.items() for line in _explained(name, model, Run(batch, seqs[-1], ideal=ideal))
        ],
    )


def _explained(name: str, model: ModelSpec, run: Run) -> list[Line]:
    return [line._replace(component=f"{name} {line.component}") for line in fold.explain(core_ops(model, run))]


def _one_layer(ops: list[Op], act: int) -> int:
    """Bytes that the core of the costliest layer writes out."""
    sizes: dict[str, int] = {}
    for op in ops:
        sizes[op.group] = sizes.get(op.group, 0) + kept_bytes([op._replace(times=1)], act)
    return max(sizes.values(), default=0)


def leading(spec: ModelSpec, batch: int, seq: int) -> int:
    """The chapter's s n d, summed over the layers: n² d, w n d, n k d or n r d each."""
    groups = spec.groups
    return sum(batch * layers.repeat * seq * attended(layers.mixer, seq) * spec.d_model for layers in groups)


def max_seq(spec: ModelSpec, batch: int, dtype: str, ideal: bool, budget: int) -> int | None:
    """Longest sequence whose prefill fits ``budget`` bytes: weights + cache + 2 b n d residual stream + one layer's core. None if
    not one token fits; 2^40 stands for "longer than anyone asks".
    """
    act = -(-dtypes.bits(dtype) // 8)
    weights = dtypes.size(params_fold.count(spec), dtype)

    def too_long(n: int) -> bool:
        cached = dtypes.size(sum(kv_elements(spec, batch, n).values()), dtype)
        stream = 2 * batch * n * spec.d_model * act
        return weights + cached + stream + _one_layer(core_ops(spec, Run(batch, n, ideal=ideal)), act) > budget

    first = smallest(too_long)
    if first is None:
        return 2**40
    return first - 1 if first > 1 else None


def crossings(models: dict[str, ModelSpec], batch: int, act: int, ideal: bool) -> list[Crossing]:
    """For every ordered pair, the smallest n from which the second is cheaper, in core FLOPs and in kept bytes. Pairs that keep
    their order at every length, or tie, are left out.
    """
    measures: dict[str, Callable[[list[Op]], int]] = {"core_flops": fold.total, "kept_bytes": lambda ops: kept_bytes(ops, act)}
    found = []
    for than, cheaper in permutations(models, 2):
        for measure, cost in measures.items():

            def wins(n: int, a: str = than, b: str = cheaper, cost: Callable[[list[Op]], int] = cost) -> bool:
                run = Run(batch, n, ideal=ideal)
                return cost(core_ops(models[b], run)) < cost(core_ops(models[a], run))

            if wins(1) or not wins(2**40):
                continue
            seq = smallest(wins)
            if seq is not None:
                found.append(Crossing(cheaper, than, measure, seq))
    return found


def chapter_rule(seq: int) -> tuple[str, str]:
    """The chapter's rule by length: n < 2K standard; 2K-8K flash; 8K-64K sparse or Linformer; above 64K Performer or
    hierarchical.
    """
    for limit, variant, text in (
        (2_048, "standard", "n < 2K: standard"),
        (8_192, "flash", "2K-8K: flash"),
        (65_536, "sparse or linformer", "8K-64K: sparse or Linformer"),
    ):
        if seq < limit or (seq == limit and variant != "standard"):
            return variant, text
    return "performer or hierarchical", "> 64K: Performer or hierarchical"


def recommend(spec: ModelSpec, rows: list[Row], seq: int, ideal: bool) -> Recommendation:
    """Exact attention while it is the smaller part of the forward pass (an approximation cannot save half); beyond, the
    cheapest variant that fits and connects the tokens.

    The figure that decides is this model's own: the smallest n at which its attention cores cost as much as its matrices.
    """
    here = [row for row in rows if row.seq == seq]
    here = [row for row in here if row.max_seq is None or row.max_seq >= seq] or here  # what fits the budget, if one is given
    exact = [row for row in here if row.exact] or here
    dense = min(exact, key=lambda row: row.memory_bytes)
    share = dense.core_flops / dense.forward_flops
    limit = crossover(with_core(spec, Flash()), ideal).layers
    # A variant that cannot connect the tokens within the model's layers, or has no causal form, is no replacement.
    masked = bool(spec.decoder)
    able = [
        row
        for row in here
        if (reach := row.hops_causal if masked else row.hops) is not None and reach <= spec.n_layers and row not in exact
    ]
    cheapest = min(able or exact, key=lambda row: row.forward_flops)
    saving = 1 - cheapest.forward_flops / dense.forward_flops
    if limit is None or seq < limit:
        pick = dense
        reason = (
            f"attention is {share:.1%} of the forward FLOPs at n = {seq:,}"
            + (f" (half only from n = {limit:,})" if limit else "")
            + f": an approximation would save {max(saving, 0.0):.1%}; {dense.variant} keeps the least memory of the exact ones"
        )
    else:
        pick = cheapest
        reason = (
            f"attention is {share:.1%} of the forward FLOPs at n = {seq:,}: {pick.variant} saves {saving:.1%}, at the price of an"
            " approximation; flash stays the choice where exactness counts"
        )
    variant, rule = chapter_rule(seq)
    kind = pick.variant.partition(":")[0]
    sparse = kind in ("local", "strided", "longformer", "sliding", "chunked")
    return Recommendation(seq, pick.variant, reason, variant, rule, kind in variant or (sparse and "sparse" in variant))


def notes(spec: ModelSpec, cores: list[Core], seqs: list[int], ideal: bool) -> list[str]:
    """What a reader of the comparison must know."""
    out = []
    if not ideal:
        out.append(
            "standard and flash multiply all n² pairs here (eager); --causal counts the half a mask leaves; sparse cores count"
            " their own pairs"
        )
    kinds = {core.type for core in cores}
    if spec.decoder and "linformer" in kinds:
        out.append("Linformer mixes all positions: it has no causal form, so it cannot replace a decoder's attention as it is")
    if spec.decoder and "longformer" in kinds:
        out.append(
            "Longformer connects all tokens in 2 hops through global tokens that see the whole text; under a causal mask they"
            " cannot, see hops_causal"
        )
    rows = spec.embedding.positions
    if rows is not None and max(seqs) > rows:
        out.append(
            f"{spec.name} has learned positions for {rows:,} tokens; longer rows are what it would cost, not what it can run"
        )
    return out
