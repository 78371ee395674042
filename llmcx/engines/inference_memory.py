"""What an inference engine holds on each GPU: folds over the GPU's own ops, for every command that speaks of memory.

Weights, the cache as the engine lays it out, the logits of the last position, and the largest transient of one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import lcm
from typing import Any, NamedTuple

from llmcx.costs.kv_cache import cache_fold
from llmcx.costs.params import fold as params_fold
from llmcx.engines import GPU, Engine, Kept
from llmcx.engines.ideal import Ideal
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.model.lower import Run
from llmcx.model.pictures import NOTHING, Shown
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import ACTIVATIONS, STATES, Cache, Op
from llmcx.parallel.division import Division, division
from llmcx.parallel.layout import Layout, check, cut
from llmcx.parallel.pipeline import Stage, fullest
from llmcx.parallel.ranks import Pieces, pieces, staged

IDEAL, ONE_GPU = Ideal(), Layout()
ACT = 2
"""Bytes of an activation."""
MOST = 2**40
"""Sequences beyond which nobody asks whether they fit."""
SIX = 6
"""Bits a parameter below which a mixture that is released in MXFP4 is held in it, and not in a wider format, asked for."""
EIGHT = (7, 12)
"""Bits a parameter between which attention is stored in eight; with fewer it is often left in 16."""
USUAL = 64
"""Sequences of which it is tried first whether they fit."""
AT = (2, 1009)
"""Numbers of sequences at which it is seen whether caches are so many times that of one."""
_pieces = lru_cache(maxsize=512)(pieces)  # engines and accelerators are compared at the same batches


class Held(NamedTuple):
    """What a GPU of a stage holds: its parameters, and the ops that have them; cached numbers that grow with the tokens
    ("kv_cache") or do not ("state"), and the bytes of these; bytes of logits and of the workspace, an estimate, with what it is;
    what else the engine takes. ``paged``: what an engine needs to know that lays the cache out in pages of all layers. ``gpu``:
    what the engine knows of it, with the ops of a pass that need room; ``caches``: the ops that leave something for the next.
    ``padding``: bytes by which experts in MXFP4 grow; ``copies``: of matrices that are kept in 16 bits besides, where they are
    stored in eight.
    """

    stage: Stage
    params: int
    weights: list[Op]
    cached: dict[str, int]
    states: int
    logits: int
    workspace: int
    transient: str
    paged: Paged
    padding: int
    copies: int
    overhead: int
    taken: str
    gpu: GPU
    caches: list[Op]


class Paged(NamedTuple):
    """What a GPU keeps, layer by layer, for whom, and by which engine."""

    engine: Engine
    kept: tuple[Kept, ...]
    batch: int
    context: int
    pp: int

    def bytes(self, kv_bytes: float) -> dict[str, int] | None:
        """Of all pages and states; None where the engine has none of its own."""
        return self.engine.paged(self.kept, self.batch, self.context, kv_bytes, self.pp)


def check_inference(spec: ModelSpec, layout: Layout, engine: Engine) -> None:
    """Refuse what is not run so. Raises InputError."""
    check(spec, layout)
    engine.check(spec.reads_source)
    if layout.cp != 1 or layout.zero:
        raise InputError("cp and zero are for training; inference is divided by tp, pp and ep", field="cp")


def held(
    spec: ModelSpec,
    batch: int,
    context: int,
    layout: Layout = ONE_GPU,
    engine: Engine = IDEAL,
    *,
    fused: bool = True,
    shown: Shown = NOTHING,
) -> list[Held]:
    """A GPU of each stage that may be the fullest, for ``batch`` sequences of ``context`` tokens; ``fused`` False: attention
    writes its scores out. The towers see what is ``shown`` in as many sequences as a pass has whole, at least in one.
    """
    step, run, by = step_at(context, batch), largest_pass(batch, context, engine, fused), division(layout)
    cache = _caches(spec, batch, context, by)
    prompts = max(1, engine.pass_tokens(batch, context) // context)
    seen = pieces(spec, Run(min(prompts, batch), 1, fused=fused)._replace(**shown.fed()), by).embedding if shown.tokens else []
    found = []
    for stage in fullest(spec.runs, layout.pp, more=engine.more_layers):
        ops, weights, params = _worked(spec, run, stage, layout)
        last = spec.head is not None and stage.last
        vocab = spec.embedding.vocab if spec.head is None else spec.head.outputs(spec.embedding.vocab)
        sizes = spec.d_model, vocab, layout.tp, layout.pp, run.batch * run.seq
        gpu = GPU(ops, stage.layers, last, *sizes, layout.ep, layout.attention_dp, spec.family)
        peak = engine.peak(gpu)
        alone = peak is None and layout.tp == layout.pp == layout.ep == 1
        reserved = peak or (engine.compute(spec, batch, context) if alone else None)
        alive = [*ops, *seen] if stage.first else ops
        transient, text = reserved or workspace(alive, ACT)
        caches = staged(spec, cache, stage, layout, step)
        cached, states = _reserved(spec, caches, context, engine)
        logits = batch * gpu.vocab * 4 if last and peak is None else 0
        paged = Paged(engine, kept(spec, cache, stage), cut(batch, layout.attention_dp), context, layout.pp)
        padding = engine.padding(gpu) if spec.stored is not None and "mxfp4" in spec.stored.formats else 0
        more = engine.overhead(gpu)
        gpu = gpu if reserved else gpu._replace(ops=alive)
        rest = paged, padding, engine.copies(gpu), *more, gpu, caches
        found.append(Held(stage, params, weights, cached, states, logits, transient, text, *rest))
    return found


@lru_cache(maxsize=512)
def _worked(spec: ModelSpec, run: Run, stage: Stage, layout: Layout) -> tuple[list[Op], list[Op], int]:
    """The ops of a stage in a pass, those that have parameters, and how many."""
    ops = staged(spec, _pieces(spec, run, division(layout)), stage, layout, run)
    weights = [op for op in ops if params_fold.of(op)]
    return ops, weights, params_fold.total(weights)


def _caches(spec: ModelSpec, batch: int, context: int, by: Division) -> Pieces:
    """The ops that cache, of ``batch`` sequences: those of one, so many times. A search asks for thousands of numbers."""
    one = _cache_of_one(spec, context, by)
    return _pieces(spec, step_at(context, batch), by) if one is None else _caching(one, cut(batch, by.attention_dp))


def _caching(of: Pieces, batch: int | None = None) -> Pieces:
    """The ops of ``of`` that cache; for ``batch`` sequences where that is given."""

    def those(ops: list[Op]) -> list[Op]:
        found = [op for op in ops if op.cache is not None]
        return found if batch is None else [op._replace(dims=op.dims | {"batch": batch}) for op in found]

    return Pieces({name: those(ops) for name, ops in of.kinds.items()}, *map(those, of[1:]))


@lru_cache(maxsize=512)
def _cache_of_one(spec: ModelSpec, context: int, by: Division) -> Pieces | None:
    """The ops that cache, of one sequence for each group of GPUs that attends for itself; None where those of others are not as
    many times theirs.
    """
    one, *others = (_caching(pieces(spec, step_at(context, n * by.attention_dp), by)) for n in (1, *AT))
    return one if all(_caching(one, n) == other for n, other in zip(AT, others, strict=True)) else None


def kept(spec: ModelSpec, of: Pieces, stage: Stage) -> tuple[Kept, ...]:
    """The caches of a stage's layers, mixer by mixer."""
    found = []
    for (name, layers), count in zip(spec.kinds.items(), stage.counts, strict=True):
        if spec.decoder and not name.startswith("decoder"):
            continue
        for role in ("mixer", "beside", "cross"):
            ops = tuple(op for op in of.kinds[name] if op.cache is not None and op.role == role)
            part: Any = getattr(layers, role) or layers.mixer  # a whole layer may have its own cross-attention (ProphetNet)
            if ops and count:
                found.append(Kept(count, part.type, spec.family, ops))
    return tuple(found)


def cached(
    spec: ModelSpec, batch: int, context: int, layout: Layout = ONE_GPU, engine: Engine = IDEAL, source: int | None = None
) -> dict[str, int]:
    """Numbers that the cache of the fullest GPU has room for: growing with tokens ("kv_cache") or of fixed size ("state")."""
    step = step_at(context, batch, source)
    of = pieces(spec, step, division(layout))
    stages = fullest(spec.runs, layout.pp, more=engine.more_layers)
    rows = [_reserved(spec, staged(spec, of, stage, layout, step), context, engine)[0] for stage in stages]
    return max(rows, key=lambda row: sum(row.values()))


def cache_of(spec: ModelSpec, batch: int, context: int, layout: Layout, engine: Engine, kv_bits: float) -> float:
    """Bytes of the cache on the fullest GPU, at ``kv_bits`` a number."""
    step = step_at(context, batch)
    of, sequences = _caches(spec, batch, context, division(layout)), cut(batch, layout.attention_dp)

    def one(stage: Stage) -> float:
        pages = engine.paged(kept(spec, of, stage), sequences, context, kv_bits / 8, layout.pp)
        numbers, states = _reserved(spec, staged(spec, of, stage, layout, step), context, engine)
        return numbers.get("kv_cache", 0) * kv_bits / 8 + states if pages is None else sum(pages.values())

    return max(one(stage) for stage in fullest(spec.runs, layout.pp, more=engine.more_layers))


@lru_cache(maxsize=64)
def per_token(spec: ModelSpec, seq: int = 1, layout: Layout = ONE_GPU) -> int:
    """Numbers that one more token after ``seq`` adds to the cache of one GPU; layers whose window is full add none. Where a layer
    keeps an entry for so many tokens, the mean of as many.

    Shazeer 2019, arXiv:1911.02150, sec. 2.4.
    """
    step = lcm(*(mixer.period() for layers in spec.groups for mixer in (layers.mixer, layers.beside) if mixer is not None))
    more, now = (cached(spec, 1, n, layout, source=0).get("kv_cache", 0) for n in (seq + step, seq))
    return (more - now) // step


def workspace(ops: list[Op], act: int) -> tuple[int, str]:
    """Estimate of the largest transient of one layer in a forward pass, in bytes: the probabilities where they are written out
    (scores and their softmax both alive), else the widest feed-forward tensors (gate, up and product alive together). What an
    indexer multiplies pair by pair, without a gradient, is summed over its heads as kernels go along, and not written out.
    """
    best, formula = 0, "no layer"
    for op in ops:
        if not op.grad:
            continue
        probabilities = sum(saved.elements for saved in op.saved if saved.what == "probabilities")
        if op.kind == "softmax" and probabilities:
            size, text = 2 * probabilities * act, "estimate: scores and probabilities of one layer"
        elif op.kind == "product" or op.kind in ACTIVATIONS:
            alive = 3 if op.kind == "product" else 2
            size, text = alive * op.dims["elements"] * act, "estimate: feed-forward tensors of one layer"
        else:
            continue
        if size > best:
            best, formula = size, text
    return best, formula


def cache_bytes(of: Held, kv_dtype: str) -> dict[str, int]:
    """Bytes of the cache, in one or in two parts."""
    pages = of.paged.bytes(dtypes.per_element(kv_dtype))
    if pages is not None:
        return pages
    return {name: of.states if name == "state" else dtypes.size(numbers, kv_dtype) for name, numbers in of.cached.items()}


def total(of: Held, weight_bytes: int, kv_dtype: str) -> int:
    """Bytes of all."""
    return sum(cache_bytes(of, kv_dtype).values()) + besides(of, weight_bytes)


def padded(of: Held, weight_bytes: float) -> int:
    """Bytes that weights of ``weight_bytes`` take more in the engine's kernels."""
    bits = 8 * weight_bytes
    return (of.padding if bits < SIX * of.params else 0) + (of.copies if EIGHT[0] < bits / of.params < EIGHT[1] else 0)


def besides(of: Held, weight_bytes: float) -> int:
    """Bytes of all but the cache, with what the engine leaves free."""
    taken = int(weight_bytes) + padded(of, weight_bytes) + of.logits + of.workspace + of.overhead
    return taken + of.paged.engine.spare(taken)


def beside(spec: ModelSpec, batch: int, context: int, layout: Layout, engine: Engine) -> tuple[int, str]:
    """Bytes on the fullest GPU beside the engine's share of its memory, and in words what they are."""
    return max(engine.beside(of.gpu) for of in held(spec, batch, context, layout, engine))


def largest_batch(
    spec: ModelSpec, context: int, layout: Layout, engine: Engine, budget: int, weight_bits: float, kv_bits: float
) -> int:
    """The most sequences of ``context`` tokens that fit ``budget`` bytes on the fullest GPU; 0 where none does.

    Cache and logits grow with the batch; so does the workspace, up to the engine's largest pass.
    """

    def spare(batch: int) -> float:
        return budget - needed(spec, context, layout, engine, batch, weight_bits, kv_bits)

    low, left = 1, spare(1)
    if left < 0:
        return 0
    high = USUAL
    while (right := spare(high)) >= 0:
        if high >= MOST:
            return high
        low, left, high = high, right, min(16 * high, MOST)
    step = 0
    while high - low > 1:  # bytes grow as a line, in pieces: look where it meets the budget, and halve where that does not help
        step += 1
        at = (low + high) // 2 if step % 3 == 0 else low + int((high - low) * left / (left - right))
        at = min(max(at, low + 1), high - 1)
        found = spare(at)
        if found < 0:
            high, right = at, found
        else:
            low, left = at, found
    return low


def needed(
    spec: ModelSpec, context: int, layout: Layout, engine: Engine, batch: int, weight_bits: float, kv_bits: float
) -> float:
    """Bytes on the fullest GPU for ``batch`` sequences of ``context`` tokens."""
    return max([_bytes(gpu, weight_bits, kv_bits) for gpu in _held(spec, batch, context, layout, engine)])


_held = lru_cache(maxsize=512)(held)  # a search tries the same batches for other formats of the weights and other accelerators


def _bytes(gpu: Held, weight_bits: float, kv_bits: float) -> float:
    pages = gpu.paged.bytes(kv_bits / 8)
    cache = gpu.cached.get("kv_cache", 0) * kv_bits / 8 + gpu.states if pages is None else sum(pages.values())
    return cache + besides(gpu, gpu.params * weight_bits / 8)


def largest_pass(batch: int, seq: int, engine: Engine, fused: bool = True) -> Run:
    """The largest prefill pass: all prompts at once, or as many tokens as the engine takes: the last of one, or of several."""
    tokens = engine.pass_tokens(batch, seq)
    if tokens < seq:
        return Run(1, tokens, past=seq - tokens, fused=fused)
    if tokens % seq:  # prompts and a piece of another: each token is a row that meets up to seq keys
        return Run(tokens, 1, past=seq - 1, fused=fused)
    return Run(tokens // seq, seq, fused=fused)


def roomy(spec: ModelSpec, ops: list[Op], context: int, engine: Engine) -> Iterator[tuple[str, Op, Cache]]:
    """The cache ops with room for as many tokens as the engine has, and whether they grow with the tokens."""
    windows = {_window(layers.mixer) for name, layers in spec.kinds.items() if name.startswith("decoder")} - {0}
    mixed = None in windows and len(windows) > 1
    for op in ops:
        held = op.cache
        if held is None:
            continue
        if held.kind not in (*STATES, "cross"):
            tokens = engine.cells(op.dims["tokens"], context, held, mixed)
            op = op._replace(dims=op.dims | {"tokens": tokens})
        yield "state" if held.kind in STATES else "kv_cache", op, held


def _reserved(spec: ModelSpec, ops: list[Op], context: int, engine: Engine) -> tuple[dict[str, int], int]:
    """The cache ops' numbers, with room for as many tokens as the engine has; and the bytes of those that do not grow."""
    found: dict[str, int] = {}
    states = 0
    for name, op, held in roomy(spec, ops, context, engine):
        found[name] = found.get(name, 0) + cache_fold.of(op)
        if name == "state":
            states += cache_fold.of(op) * engine.state_bytes(held)
    return found, states


def _window(mixer: object) -> int | None:
    """The window of an attention's cache; 0 where a mixer has none, None where it keeps all."""
    core = getattr(mixer, "core", None)
    return 0 if core is None else getattr(core, "window", None) if core.type in ("sliding", "chunked") else None
