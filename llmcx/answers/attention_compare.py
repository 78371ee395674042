"""attention-compare: the same model with its attention exchanged, everything else as it is.

Each variant is an ordinary mixer, lowered and folded like any model. Nothing here knows a cost formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from llmcx.answers import Result, Rows
from llmcx.answers.advice import CHAPTER_LIMIT, Limit, Recommendation, limit_of, recommend
from llmcx.answers.candidate import CORE, Candidate, peak, reach
from llmcx.answers.crossings import Crossing, crossings
from llmcx.answers.search import LIMIT, first_below_zero
from llmcx.costs import params as params_fold
from llmcx.costs.flops import backward_fold, fold
from llmcx.costs.leading_order import attended
from llmcx.costs.saved_activations import kept_bytes
from llmcx.costs.traffic import traffic
from llmcx.engines import Engine
from llmcx.engines.inference_memory import IDEAL, cache_bytes, cached, held, total
from llmcx.errors import InputError, check_size
from llmcx.formats import dtypes
from llmcx.machine.roofline import Machine, roofline
from llmcx.model import cores
from llmcx.model.lower import Run, lower
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec
from llmcx.model.variants import DSA, MQA, SSD, DeltaNet, Latent, Native, Variant

KINDS = {
    **dict.fromkeys(cores.DENSE, "exact"),
    **dict.fromkeys(("mha", "mqa", "gqa"), "shared heads"),
    **dict.fromkeys(("mla", "mla_naive", "mla_absorbed"), "latent"),
    **dict.fromkeys(("sliding", "chunked", "local", "strided", "fixed", "longformer", "bigbird"), "sparse"),
    **dict.fromkeys(("reformer", "dsa", "nsa"), "by content"),
    "linformer": "low rank",
    **dict.fromkeys(("performer", "linear"), "kernel"),
    **dict.fromkeys(("gated_delta", "mamba2"), "recurrent"),
}
"""What a variant does to attention: the same function, other projections, fewer pairs, or something else in its place."""

QUALITY = dict.fromkeys(KINDS.values(), "medium") | dict.fromkeys(("exact", "shared heads", "latent"), "high")
"""The chapter's classes (standard and flash high, the others medium); what attends to all pairs is high too."""

ON_CHIP = 192 * 1024
"""What a kernel holds where no machine is given: an A100's multiprocessor (Dao et al. 2022, arXiv:2205.14135, sec. 2.1)."""


def default_variants(
    window: int = 256, stride: int = 128, n_global: int = 16, rank: int = 256, features: int = 256
) -> list[cores.Core]:
    """The chapter's seven, at given settings."""
    sparse = (cores.Local(window), cores.Strided(stride), cores.Longformer(window, n_global))
    return [cores.Standard(), cores.Flash(), *sparse, cores.Linformer(rank), cores.Performer(features)]


def all_variants(window: int = 256, stride: int = 128, n_global: int = 16, rank: int = 256, features: int = 256) -> list[Variant]:
    """The chapter's seven and what came after them, at their papers' proportions."""
    standard, flash, *sparse, linformer, performer = default_variants(window, stride, n_global, rank, features)
    exact: list[Variant] = [standard, flash, cores.CausalFlash(), MQA(), Latent()]
    by_content = (cores.Reformer(64, 4), DSA(), Native())
    return [*exact, *sparse, cores.BigBird(64), *by_content, linformer, performer, cores.Linear(), DeltaNet(), SSD()]


def suited(spec: ModelSpec, variants: list[Variant], engine: Engine = IDEAL) -> list[Variant]:
    """Those that this model can have, and ``engine`` runs: an encoder has no native sparse attention, which is causal by its
    blocks.
    """
    return [each for each in variants if not (spec.encoder and isinstance(each, Native)) and _runs(spec, each, engine)]


def _runs(spec: ModelSpec, variant: Variant, engine: Engine) -> bool:
    if engine.name == "ideal":
        return True
    [candidate] = candidates_of(spec, [variant], 1, "bf16", False)
    try:
        _cache(candidate, 1, "bf16", engine)
    except InputError:
        return False
    return True


@dataclass(frozen=True)
class Row:
    """One variant at one length: a forward pass, unless it says otherwise.

    ``core_flops`` is the part of ``forward_flops`` in which variants differ, ``projection_flops`` the rest of the attention;
    ``train_flops`` and ``core_train_flops`` are forward and backward. ``pairs`` is what one head of one layer multiplies for one
    sequence; None where there are no pairs. ``memory_bytes`` is what one layer's core writes out and saves, ``kept_bytes`` what
    all layers' cores keep for backward, ``peak_bytes`` (an estimate) the most that one layer's core holds at a time.
    ``kv_bytes`` is the whole cache, ``state_bytes`` the part that does not grow with tokens; ``decode_flops`` one more token of
    the whole model. ``traffic_bytes`` and ``intensity`` (FLOPs per byte) are one layer's core's; ``core_seconds`` its roofline
    time, ``seconds`` with projections, ``binds`` the resource it waits for. ``growth`` is core_flops over the same variant's at
    the first length. On ``devices`` (ring), bytes and seconds are one device's, FLOPs everybody's.
    """

    variant: str
    seq: int
    forward_flops: int
    core_flops: int
    projection_flops: int
    train_flops: int
    core_train_flops: int
    leading_order: int
    pairs: int | None
    memory_bytes: int
    kept_bytes: int
    peak_bytes: int
    kv_bytes: int
    state_bytes: int
    decode_flops: int
    traffic_bytes: int
    intensity: float
    core_seconds: float | None
    seconds: float | None
    binds: str | None
    hops: int | None
    hops_causal: int | None
    max_seq: int | None
    growth: float
    exact: bool
    kind: str
    quality: str
    devices: int
    chapter_max_seq: int | None


@dataclass(frozen=True, repr=False)
class Comparison(Result, brief="rows crossovers recommendation limits"):
    """Every variant at every length; where they cross; what to take; the chapter's limits beside this model's."""

    rows: Rows[Row] = field()  # or dataclasses would take Result.rows for its default
    crossovers: list[Crossing]
    recommendation: list[Recommendation]
    limits: list[Limit]


def compare(
    spec: ModelSpec,
    seqs: list[int],
    batch: int = 1,
    *,
    variants: list[Variant] | None = None,
    dtype: str = "bf16",
    ideal: bool = False,
    budget: int | None = None,
    machine: Machine | None = None,
    on_chip: int = ON_CHIP,
    engine: Engine = IDEAL,
) -> Comparison:
    """Every variant at every length.

    ``dtype`` is that of weights, activations and cache; ``ideal`` counts only the pairs a causal mask leaves (standard and flash;
    the sparse patterns are always counted so). ``budget`` in bytes gives ``max_seq``: the longest prefill whose weights, cache,
    residual stream and one layer's core fit; the cache as ``engine`` lays it out, with what it reserves. ``machine`` gives times;
    ``on_chip`` is what a kernel holds where there is none.
    """
    if not seqs:
        raise InputError("attention-compare needs at least one sequence length", field="seq")
    for seq in seqs:
        check_size("seq", seq)
    check_size("batch", batch)
    check_size("on_chip", on_chip)
    chosen: list[Variant] = [*default_variants()] if variants is None else variants
    candidates = candidates_of(spec, chosen, batch, dtype, ideal)
    chip = machine.on_chip if machine else on_chip
    rows: list[Row] = []
    limits: list[Limit] = []
    for candidate in candidates:
        longest = max_seq(candidate, dtype, budget, engine) if budget is not None else None
        first, known = 0, {}
        for seq in seqs:
            row = known[seq] = _row(candidate, seq, dtype, longest, first, machine, chip, engine)
            first = first or row.core_flops
            rows.append(row)
        told = CHAPTER_LIMIT.get(candidate.variant.type)
        if told is not None:
            there = known.get(told) or _row(candidate, told, dtype, longest, first, machine, chip, engine)
            limits.append(limit_of(there, budget is not None))
    baselines = {candidates[0].name} | {candidate.name for candidate in candidates if candidate.variant.type == "causal_flash"}
    return Comparison(
        rows=Rows(rows),
        crossovers=crossings(candidates, baselines, machine),
        recommendation=[recommend(spec, rows, seq, ideal) for seq in seqs],
        limits=limits,
    )


def candidates_of(spec: ModelSpec, variants: list[Variant], batch: int, dtype: str, ideal: bool) -> list[Candidate]:
    """``spec`` with each of ``variants`` once, at activations of ``dtype``."""
    act = -(-dtypes.bits(dtype) // 8)
    return [Candidate(spec, variant, batch, act, ideal) for variant in dict.fromkeys(variants)]


def _row(
    c: Candidate, seq: int, dtype: str, longest: int | None, first: int, machine: Machine | None, chip: int, engine: Engine
) -> Row:
    whole, mixers = lower(c.model, Run(c.batch, seq, ideal=c.ideal)), c.mixer_ops(seq)
    core = [op for op in mixers if op.kind in CORE]
    flops, forward = fold.total(core), fold.total(whole)
    layers = [[op._replace(times=1) for op in mixers if op.group == group] for group, _, _ in c.exchanged]
    cores = [[op for op in layer if op.kind in CORE] for layer in layers]
    moved = traffic(chip, c.act)
    busiest = max(cores, key=moved.total)
    times = None
    if machine is not None:
        sent = c.sent(seq)
        times = [max(roofline(ops, machine, c.act, c.devices, sent) for ops in per_layer) for per_layer in (cores, layers)]
    kv, state = _cache(c, seq, dtype, engine)
    step = lower(c.model, step_at(seq, c.batch, ideal=c.ideal))
    kind = KINDS[c.variant.type]

    def each(total: int) -> int:
        return -(-total // c.devices)

    return Row(
        variant=c.name,
        seq=seq,
        forward_flops=forward,
        core_flops=flops,
        projection_flops=fold.total(mixers) - flops,
        train_flops=forward + backward_fold.total(whole),
        core_train_flops=flops + backward_fold.total(core),
        leading_order=leading(c.model, c.batch, seq),
        pairs=next((op.dims["pairs"] for op in core if op.kind == "scores"), None),
        memory_bytes=each(max(kept_bytes(ops, c.act) for ops in cores)),
        kept_bytes=each(kept_bytes(core, c.act)),
        peak_bytes=each(max(peak(ops, c.act) for ops in cores)),
        kv_bytes=each(kv),
        state_bytes=state,
        decode_flops=fold.total(step),
        traffic_bytes=each(moved.total(busiest)),
        intensity=fold.total(busiest) / max(moved.total(busiest), 1),
        core_seconds=times[0].seconds if times else None,
        seconds=times[1].seconds if times else None,
        binds=times[0].binds if times else None,
        hops=reach(c.variant, seq, False),
        hops_causal=reach(c.variant, seq, True) if c.model.decoder and c.variant.type != "linformer" else None,
        max_seq=longest,
        growth=flops / first if first else 1.0,
        exact=kind == "exact",
        kind=kind,
        quality=QUALITY[kind],
        devices=c.devices,
        chapter_max_seq=CHAPTER_LIMIT.get(c.variant.type),
    )


def _cache(c: Candidate, seq: int, dtype: str, engine: Engine) -> tuple[int, int]:
    """Bytes of the whole cache and of its states: all in ``dtype`` for "ideal", as the textbook counts; else as ``engine`` holds
    them.
    """
    if engine.name == "ideal":
        left = cached(c.model, c.batch, seq)
        return dtypes.size(sum(left.values()), dtype), dtypes.size(left.get("state", 0), dtype)
    [gpu] = held(c.model, c.batch, seq, engine=engine)
    parts = cache_bytes(gpu, dtype)
    return sum(parts.values()), parts.get("state", 0)


def leading(spec: ModelSpec, batch: int, seq: int) -> int:
    """The chapter's s n d, summed over the layers: n² d, w n d, n k d or n r d each."""
    groups = spec.groups
    return sum(batch * g.repeat * seq * attended(g.mixer, seq, spec.d_model) * spec.d_model for g in groups)


def max_seq(candidate: Candidate, dtype: str, budget: int, engine: Engine = IDEAL) -> int | None:
    """Longest sequence that fits ``budget`` bytes, as `llmcx memory` counts it: weights, cache, logits and the workspace of a
    pass, in which a core that writes its scores out has them. None if not one token fits; 2^40 stands for "longer than anyone
    asks". On several devices, each has its share and all the weights.
    """
    over = first_below_zero(lambda n: budget - needed(candidate, dtype, engine, n), start=4096)
    return LIMIT if over is None else over - 1 or None


def needed(candidate: Candidate, dtype: str, engine: Engine, n: int) -> int:
    """Bytes of a prefill of ``n`` tokens on each of its devices."""
    weights = dtypes.size(params_fold.count(candidate.model), dtype)
    [gpu] = held(candidate.model, candidate.batch, n, engine=engine, fused=False)
    return weights + -(-(total(gpu, weights, dtype) - weights) // candidate.devices)


def notes(spec: ModelSpec, variants: list[Variant], seqs: list[int], ideal: bool, machine: Machine | None = None) -> list[str]:
    """What a reader of the comparison must know."""
    out = []
    kinds = {variant.type for variant in variants}
    if not ideal:
        out.append(
            "standard and flash multiply all n² pairs here (eager); --causal counts the half a mask leaves; sparse cores count"
            " their own pairs"
        )
    if machine is not None:
        out.append(
            f"times are a roofline, a lower bound: {machine.name} at {machine.flops / 1e12:,.4g} TFLOP/s and"
            f" {machine.bandwidth / 1e9:,.0f} GB/s, tiles of {machine.on_chip / 2**20:,.1f} MiB on the chip; kernel launches, the"
            " arithmetic of softmax and uneven sparse kernels cost more"
        )
    if spec.decoder and "linformer" in kinds:
        out.append("Linformer mixes all positions: it has no causal form, so it cannot replace a decoder's attention as it is")
    if spec.decoder and "longformer" in kinds:
        out.append(
            "Longformer connects all tokens in 2 hops through global tokens that see the whole text; under a causal mask they"
            " cannot, see hops_causal"
        )
    if kinds & {"reformer", "mla", "mla_naive", "mla_absorbed", "dsa", "nsa", "gated_delta", "mamba2"}:
        out.append(
            "kept bytes of MLA, Reformer, DSA, NSA and the recurrences are estimates: from 11% above to 34% below what plain"
            " torch keeps at tiny sizes; the others are equal to it"
        )
    if kinds & {"reformer", "dsa"}:
        out.append("Reformer and DSA choose keys by content, so hops depend on the text beyond the length they see whole")
    rows = spec.embedding.positions
    if rows is not None and max(seqs) > rows:
        learned = f"{spec.name} has learned positions for {rows:,} tokens"
        out.append(f"{learned}; longer rows are what it would cost, not what it can run")
    return out
