"""Every figure of every variant at every length, then where variants cross."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from llmcx.answers import Line
from llmcx.answers.attention_compare import Comparison, Row, candidates_of, needed
from llmcx.answers.candidate import CORE, Candidate
from llmcx.costs.flops import backward_fold, fold
from llmcx.costs.kv_cache import cache_fold
from llmcx.costs.leading_order import attended
from llmcx.costs.saved_activations import kept_bytes
from llmcx.costs.traffic import kernels, traffic
from llmcx.engines import Engine
from llmcx.explain.rows import lines as figures_of
from llmcx.explain.terms import terms
from llmcx.explain.written import told, written
from llmcx.formats import dtypes
from llmcx.machine.roofline import Machine, roofline
from llmcx.model.lower import Run, lower
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec
from llmcx.model.variants import Variant
from llmcx.ops.op import Op

_VASWANI = "Vaswani et al. 2017, arXiv:1706.03762, eq. 1"
_COUNTER = "torch/utils/flop_counter.py"
_SAVED = "torch.autograd's saved tensors"
_DAO = "Dao et al. 2022, arXiv:2205.14135, algorithm 1"
_WILLIAMS = "Williams et al. 2009, CACM 52(4)"
_SHAZEER = "Shazeer 2019, arXiv:1911.02150, sec. 2.4"
_CHILD = "Child et al. 2019, arXiv:1904.10509, sec. 4.2"
_BOUND = "a bound: launches, softmax's arithmetic and uneven sparse kernels cost more"


class Asked(NamedTuple):
    """What was asked for beside the model: variants, sequences, formats, pairs, memory, machine, what a kernel holds, engine."""

    variants: list[Variant]
    batch: int
    dtype: str
    ideal: bool
    budget: int | None
    machine: Machine | None
    on_chip: int
    engine: Engine


def rows(spec: ModelSpec, answer: Comparison, *asked: Any) -> list[Line]:
    """The formulas of an answer to what was asked (:class:`Asked`)."""
    of = Asked(*asked)
    named = {each.name: each for each in candidates_of(spec, of.variants, of.batch, of.dtype, of.ideal)}
    found: list[Line] = []
    first: dict[str, int] = {}
    for row in answer.rows:
        begun = first.setdefault(row.variant, row.core_flops)
        found += _row(named[row.variant], row, of, begun)
    for limit in answer.limits:
        c = named[limit.variant]
        mixers = c.mixer_ops(limit.chapter_seq)
        cores = [[op._replace(times=1) for op in mixers if op.kind in CORE and op.group == group] for group, _, _ in c.exchanged]
        fullest = max(cores, key=lambda ops: kept_bytes(ops, c.act))
        put = _each(c, "Σ saved by one layer's core", [kept_bytes([op], c.act) for op in fullest])
        name = f"{limit.variant} at the chapter's limit, n = {limit.chapter_seq:,}: memory_bytes"
        found.append(Line(name, *put, limit.memory_bytes, _SAVED))
    for each in answer.crossovers:
        costs = [
            [named[name].costs(n, of.machine)[each.measure] for name in (each.cheaper, each.than)]
            for n in (each.seq, each.seq - 1)
        ]
        (a, b), (before, then) = costs
        numbers = f"{each.seq:,}: {a:,} < {b:,}; {before:,} >= {then:,}"
        name = f"{each.cheaper} under {each.than}: {each.measure}"
        formula = f"least n with cost(n) < cost of {each.than}(n) from there on"
        where = "in units of 1 / (FLOP/s · bytes/s) seconds, which are whole numbers" if each.measure == "core_seconds" else ""
        found.append(Line(name, formula, numbers, each.seq, "by bisection on the exact counts", where))
    return found


def _row(c: Candidate, row: Row, of: Asked, first: int) -> list[Line]:
    """Every figure that a row has, the cores' terms before it."""
    n, name = row.seq, f"{row.variant}, n = {row.seq:,}"
    mixers, whole = c.mixer_ops(n), lower(c.model, Run(c.batch, n, ideal=c.ideal))
    core = [op for op in mixers if op.kind in CORE]
    chip = of.machine.on_chip if of.machine else of.on_chip
    moved = traffic(chip, c.act)
    layers = [[op._replace(times=1) for op in mixers if op.group == group] for group, _, _ in c.exchanged]
    cores = [[op for op in layer if op.kind in CORE] for layer in layers]
    busiest, fullest = max(cores, key=moved.total), max(cores, key=lambda ops: kept_bytes(ops, c.act))
    put = [
        *(line._replace(component=f"{name}: {line.component}") for line in terms(fold, core)),
        *(line._replace(component=f"{name}: {line.component}, bytes of a layer") for line in terms(moved, busiest)),
    ]
    rest = row.forward_flops - row.core_flops - row.projection_flops
    parts = f"{row.core_flops:,} + {row.projection_flops:,} + {rest:,}"
    back, core_back = backward_fold.total(whole), backward_fold.total(core)
    others = _sum(fold.of(op) for op in mixers if op.kind not in CORE)
    figures: list[Any] = [
        ("core_flops", "Σ of the core's terms", _sum(map(fold.of, core)), row.core_flops, _VASWANI),
        ("projection_flops", "Σ of the attention's other matrices", others, row.projection_flops, f"{_VASWANI}; sec. 3.2.2"),
        ("forward_flops", "core + projections + all else", parts, row.forward_flops, _COUNTER),
        ("train_flops", "forward + backward", f"{row.forward_flops:,} + {back:,}", row.train_flops, _COUNTER),
        (
            "core_train_flops",
            "forward + backward of the cores",
            f"{row.core_flops:,} + {core_back:,}",
            row.core_train_flops,
            _COUNTER,
        ),
        ("leading_order", *_leading(c, n), row.leading_order, "the textbook chapter, sec. 3"),
        (
            "memory_bytes",
            *_each(c, "Σ saved by one layer's core", [kept_bytes([op], c.act) for op in fullest]),
            row.memory_bytes,
            _SAVED,
        ),
        ("kept_bytes", *_each(c, "Σ saved by all cores", [kept_bytes([op], c.act) for op in core]), row.kept_bytes, _SAVED),
        ("peak_bytes", *_peak(c, cores, row.peak_bytes), row.peak_bytes, "an estimate: no kernel's own buffers"),
        ("kv_bytes", *_cached(c, n, of, row), row.kv_bytes, _SHAZEER),
        ("state_bytes", "of which does not grow with n", f"{row.state_bytes:,}", row.state_bytes, _SHAZEER),
        ("decode_flops", "Σ FLOPs of one token's ops", _step(c, n), row.decode_flops, _SHAZEER),
        ("traffic_bytes", *_each(c, "Σ moved by one layer's core", [*map(moved.of, busiest)]), row.traffic_bytes, _DAO),
        (
            "intensity",
            "FLOPs / bytes of one layer's core",
            f"{fold.total(busiest):,} / {moved.total(busiest):,}",
            row.intensity,
            _WILLIAMS,
        ),
        ("core_seconds", *_seconds(c, cores, n, of), row.core_seconds, f"{_WILLIAMS}; {_BOUND}"),
        ("seconds", *_seconds(c, layers, n, of), row.seconds, f"{_WILLIAMS}; {_BOUND}"),
        ("hops", "layers until all tokens are connected, no mask", str(row.hops), row.hops, _CHILD),
        ("hops_causal", "the same under a causal mask", str(row.hops_causal), row.hops_causal, _CHILD),
        ("max_seq", *_longest(c, of, row), row.max_seq, "llmcx memory's parts: weights, cache, logits, workspace"),
        (
            "growth",
            "core / core at the first length",
            f"{row.core_flops:,} / {first:,}" if first else "1",
            row.growth,
            "the textbook chapter, sec. 3",
        ),
    ]
    return put + figures_of(name, figures)


def _sum(values: Iterable[int]) -> str:
    return " + ".join(f"{value:,}" for value in values if value) or "0"


def _each(c: Candidate, formula: str, sizes: list[int]) -> tuple[str, str]:
    """A sum that devices share out."""
    numbers = _sum(sizes)
    return (formula, numbers) if c.devices == 1 else (f"ceil(({formula}) / devices)", f"ceil(({numbers}) / {c.devices})")


def _leading(c: Candidate, n: int) -> tuple[str, str]:
    tokens, d = written(c.batch * n, "n"), written(c.model.d_model, "d")
    value = sum(written(g.repeat, "L") * written(attended(g.mixer, n, c.model.d_model), "s") * tokens * d for g in c.model.groups)
    return told(value)


def _peak(c: Candidate, cores: list[list[Op]], size: int) -> tuple[str, str]:
    """What a core is given and saves, and the largest that it makes beside."""
    formula = "saved but for the softmax + largest tensors made"
    for ops in cores:
        given = kept_bytes((op for op in ops if op.kind != "softmax"), c.act)
        if c.devices == 1 and given <= size:
            return formula, f"{given:,} + {size - given:,}"
    return formula, ""


def _cached(c: Candidate, n: int, of: Asked, row: Row) -> tuple[str, str]:
    """The cache, op by op where the engine lays it out so."""
    if of.engine.name != "ideal" or c.devices > 1:
        return "the engine's cache, its states among it", f"{row.kv_bytes - row.state_bytes:,} + {row.state_bytes:,}"
    elements = [cache_fold.of(op) for op in lower(c.model, step_at(n, c.batch)) if op.cache is not None]
    bits = dtypes.bits(of.dtype)
    numbers = f"ceil(({_sum(elements)})·{bits} / 8)"
    return ("Σ elements · bits / 8", numbers)


def _step(c: Candidate, n: int) -> str:
    sums = fold.by(lower(c.model, step_at(n, c.batch, ideal=c.ideal)), lambda op: op.component)
    return _sum(sums.values())


def _seconds(c: Candidate, layers: list[list[Op]], n: int, of: Asked) -> tuple[str, str]:
    """Kernel by kernel, whichever takes longer: arithmetic or memory; or what a ring passes on."""
    on = of.machine
    if on is None:
        return "", ""
    moved, sent = traffic(on.on_chip, c.act), c.sent(n)
    ops = max(layers, key=lambda each: roofline(each, on, c.act, c.devices, sent))
    if roofline(ops, on, c.act, c.devices, sent).binds == "link":
        return "bytes sent / link", f"{sent:,} / {on.link:,}"
    parts = [f"max({fold.total(kernel):,} / {on.flops:,}, {moved.total(kernel):,} / {on.bandwidth:,})" for kernel in kernels(ops)]
    several = len(parts) > 1 and c.devices > 1
    numbers = " + ".join(parts)
    numbers = f"({numbers}) / {c.devices}" if several else numbers if c.devices == 1 else f"{numbers} / {c.devices}"
    return "Σ over kernels of max(FLOPs / rate, bytes / bandwidth)", numbers


def _longest(c: Candidate, of: Asked, row: Row) -> tuple[str, str]:
    """The longest prefill that fits, and the next, which does not."""
    n, budget = row.max_seq, of.budget
    if n is None or budget is None:
        return "", ""
    fits, over = (needed(c, of.dtype, of.engine, length) for length in (n, n + 1))
    numbers = f"{n:,}: {fits:,} <= {budget:,}" + (f"; {over:,} > {budget:,}" if over > budget else "")
    return "largest n with weights + cache + logits + workspace <= budget", numbers
