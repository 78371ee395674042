"""The ops of one GPU as a serving engine launches them: what it fuses into one kernel is one launch.

Projections of one input are one product (queries, keys and values; gate and up), a mixture's experts one grouped product, scores,
softmax and values one kernel; a norm takes the residual sum with it. What a launch costs is for
:mod:`llmcx.machine.kernels` to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from llmcx.costs.flops import fold as flops_fold
from llmcx.costs.traffic import moved_fold
from llmcx.formats.storage import Names, is_matrix
from llmcx.model.lower import Run
from llmcx.model.mixers import Mixer
from llmcx.ops.op import STATES, Op
from llmcx.parallel.layout import Layout, cut


class Launch(NamedTuple):
    """``times`` launches of one ``kind`` with the same ``shape``, of weights in ``form`` ("" where it reads none). The shapes, of
    one GPU:

    ========== ===========================================================================================================
    gemm       m, n, k
    beside     the same, of a shared expert on a stream of its own, while tokens are on their way to others, which takes longer
    batched    products, m, n, k: as many small ones, each with a matrix of its own
    experts    tokens of all GPUs, hidden, inner, top_k, experts, GPUs that cut an expert, GPUs that share them out
    received   the same where tokens are sent one by one: those that came, once for each of its experts; hidden, inner, top_k, its
               experts
    attention  sequences, new tokens of each, tokens before them, heads, key heads, width, window (0: none)
    latent     sequences, new tokens of each, tokens before them, heads: on latents as they are cached
    expanded   the same, on keys and values of each head; and their width
    delta      sequences, new tokens of each, key heads, value heads, width of a key, width of a value
    convolved  sequences, new tokens of each, channels, filter
    recurrent  sequences, new tokens of each, FLOPs, numbers of states, elements read and written: any other mixer; of Mamba-2
               also heads, their width, states of each number, groups, tokens of a chunk
    moved      elements read and written
    dispatch, combine
               tokens of all GPUs, hidden, experts of a token, GPUs that share experts out: to the experts' GPUs and back
    all_reduce, all_gather, reduce_scatter
               elements of the whole tensor, GPUs, how far apart
    ========== ===========================================================================================================
    """

    kind: str
    times: int
    shape: tuple[int, ...]
    form: str = ""


Sized = tuple[str, int, tuple[int, ...], str]
"""A launch as a bare tuple: kind, times, shape, format. A search makes millions."""


def launches(ops: Iterable[Op], run: Run, layout: Layout, names: Names) -> list[Launch]:
    """``ops`` of one GPU, of ``run``, as launches, layer kind by layer kind; ``names`` say the format of each matrix."""
    groups: dict[str, list[Op]] = {}
    for op in ops:
        groups.setdefault(op.group, []).append(op)
    found: list[Launch] = []
    for name, of in groups.items():
        kind = names.spec.kinds.get(name)
        mixers = () if kind is None else (kind.mixer, kind.beside)
        scan = next((each for each in mixers if getattr(each, "type", "") == "mamba2"), None)
        found += _layer(of, mixers[0] if mixers else None, run, layout, names, scan)
    return found


FUSED = ("scores", "values", "softmax", "recompute", "cache", "vector")
"""Kinds that are part of another launch, or none: of attention's kernel; a router's softmax is one of its own."""


def _layer(ops: list[Op], of: Mixer | None, run: Run, layout: Layout, names: Names, scan: Mixer | None) -> list[Launch]:
    """``scan``: Mamba-2, which may stand beside attention."""
    mixer: str = getattr(of, "type", "")
    found: list[Launch] = []
    products: dict[tuple[str, int, int, bool], list[Op]] = {}
    experts: list[Op] = []
    recurrent: list[Op] = []
    scanned: list[Op] = []
    attends = mixer in ("", "attention", "mla")
    summed = any(op.role == "traffic" and op.reads == "ffn" for op in ops)
    routed = next((op for op in ops if op.role == "expert" and op.kind == "linear"), None)
    apart = routed is not None and wide(layout)
    if apart:
        ops = [_own(op, layout) for op in ops]
    for op in ops:
        if op.role == "traffic":
            found += _exchanged(op, routed, run, names) if apart and routed is not None else _sent(op, summed, layout)
        elif op.role == "expert":
            experts.append(op)
        elif scan is not None and op.role == ("mixer" if scan is of else "beside") and op.kind != "linear":
            scanned.append(op)
        elif op.kind == "linear":
            if op.dims["tied"] and op.role == "mixer":
                found.append(_absorbed(op, run, layout))
            elif op.dims["tokens"]:
                last = op.module in ("out", "down")  # reads what its block made, though that may be as wide as the model
                products.setdefault((op.role, op.dims["tokens"], op.dims["d_in"], last), []).append(op)
        elif op.kind == "scores" and op.dims.get("fused") and op.dims["rows"]:
            found.append(_attention(op, ops, mixer, run, layout))
        elif op.role == "mixer" and not attends:
            recurrent.append(op)
        elif op.joined or op.role == "residual" or (op.kind in FUSED if op.role != "router" else op.kind == "product"):
            continue  # done by attention, by a norm, by the experts
        elif moved := moved_fold.of(op):
            found.append(Launch("moved", op.times, (moved // op.times,)))
    for (_, tokens, d_in, _), same in products.items():
        width = sum(op.dims["d_out"] for op in same)
        kind = "beside" if apart and same[0].role == "shared_expert" else "gemm"
        found.append(Launch(kind, same[0].times, (tokens, width, d_in), _format(same[0], names)))
    if experts:
        found.append(_experts(experts, run, layout, names))
    if recurrent:
        sequences = _mine(run, layout)
        delta = mixer in ("gated_delta", "kimi_delta")
        found += _delta(recurrent, of, sequences, run.seq) if delta else [_recurrent(recurrent, sequences, run.seq)]
    if scanned:
        found += _scanned(scanned, scan, _mine(run, layout), run.seq)
    return found


def _format(op: Op, names: Names) -> str:
    """That most layers have it in."""
    if not is_matrix(op, names.stored.tables):
        return names.stored.plain
    found = names.formats(op)
    return max(found, key=lambda form: found[form])


def _absorbed(op: Op, run: Run, layout: Layout) -> Launch:
    """A head's own small product with every token: latent attention's expansion, multiplied into queries and outputs."""
    tokens, rows = max(1, _mine(run, layout) * run.seq), op.dims["tokens"]
    heads = max(1, rows // tokens)
    return Launch("batched", op.times, (heads, rows // heads, op.dims["d_out"], op.dims["d_in"]))


def _attention(op: Op, ops: list[Op], mixer: str, run: Run, layout: Layout) -> Launch:
    d = op.dims
    # Of a share of the sequences, an op says that it is of a share of the tokens.
    batch, new = (d["batch"], d["rows"]) if layout.attention_dp == 1 else (_mine(run, layout), run.seq)
    past, heads, shared = max(0, d["keys"] - new), d["heads"], d.get("shared", 1)
    if mixer == "mla" and shared == heads:
        return Launch("latent", op.times, (batch, new, past, heads))
    if mixer == "mla":
        return Launch("expanded", op.times, (batch, new, past, heads, d["width"]))
    cache = next((each.cache for each in ops if each.cache is not None and each.role == op.role), None)
    window = cache.window or 0 if cache is not None else 0
    return Launch("attention", op.times, (batch, new, past, heads, max(1, heads // shared), d["width"], window))


def _mine(run: Run, layout: Layout) -> int:
    """Sequences for which a GPU attends."""
    return cut(run.batch, layout.attention_dp)


def _experts(ops: list[Op], run: Run, layout: Layout, names: Names) -> Launch:
    matrices = [op for op in ops if op.kind == "linear"]
    first, last = matrices[0], matrices[-1]
    inner, experts = last.dims["d_in"] * layout.expert_tp, first.copies * layout.ep
    tokens, hidden = run.batch * run.seq, first.dims["d_in"]
    if wide(layout):
        shape: tuple[int, ...] = (cut(tokens * first.used, layout.ep), hidden, inner, first.used, first.copies)
        return Launch("received", first.times, shape, _format(first, names))
    shape = (tokens, hidden, inner, first.used, experts, layout.expert_tp, layout.ep)
    return Launch("experts", first.times, shape, _format(first, names))


def _delta(ops: list[Op], of: Any, batch: int, new: int) -> list[Launch]:
    """The delta rule in one kernel, or some that work on the same chunks; the convolution before it; the gated norm after."""
    times = ops[0].times
    state = next(op for op in ops if op.cache is not None and op.cache.kind == "state")
    k_dim = state.dims["tokens"]
    v_dim = getattr(of, "v_dim", k_dim)  # Kimi's queries, keys and values are alike
    heads = max(1, state.dims["width"] // v_dim)
    keys = max(1, heads * getattr(of, "k_heads", 1) // getattr(of, "v_heads", 1))
    return [Launch("delta", times, (batch, new, keys, heads, k_dim, v_dim)), *_around(ops, batch, new)]


def _scanned(ops: list[Op], of: Any, batch: int, new: int) -> list[Launch]:
    """Mamba-2's scan or its step; the convolution before it; the gate and the norm after."""
    times = ops[0].times
    state = next(op for op in ops if op.cache is not None and op.cache.kind == "state")
    heads = max(1, state.dims["width"] // of.head_dim)
    groups = max(1, of.n_groups * heads // of.n_heads)
    states = batch * heads * of.head_dim * of.d_state
    shape = (batch, new, 0, states, 0, heads, of.head_dim, of.d_state, groups, of.chunk)
    return [Launch("recurrent", times, shape), *_around(ops, batch, new)]


def _around(ops: list[Op], batch: int, new: int) -> list[Launch]:
    """The convolution before a recurrent mixer, and the gated norm after it."""
    times = ops[0].times
    found = [Launch("convolved", times, (batch, new, op.dims["channels"], op.dims["kernel"])) for op in ops if op.kind == "conv"]
    after = sum(moved_fold.of(op) for op in ops if op.kind in ("rmsnorm", "product")) // times
    return [*found, Launch("moved", times, (after,))]


def _recurrent(ops: list[Op], batch: int, new: int) -> Launch:
    """What a mixer does that is no attention: multiplied, kept as states (read and written), and moved besides."""
    times = ops[0].times
    flops = sum(flops_fold.of(op) for op in ops) // times
    states = sum(op.dims["batch"] * op.dims["tokens"] * op.dims["width"] for op in ops if op.cache and op.cache.kind in STATES)
    moved = sum(moved_fold.of(op) for op in ops if op.kind != "scan") // times
    return Launch("recurrent", times, (batch, new, flops, states, moved))


SERVER = 8
"""GPUs that share experts out and still gather all tokens; where more do, a token goes only to where its experts are."""


def wide(layout: Layout) -> bool:
    """Whether each GPU attends for users of its own, and tokens are sent to the experts' GPUs one by one: wide expert
    parallelism (DeepEP; DeepSeek-V3, arXiv:2412.19437, sec. 3.4).
    """
    return layout.tp == layout.ep == layout.attention_dp > SERVER


def _own(op: Op, layout: Layout) -> Op:
    """An op beside the experts where no tokens are gathered: a shared expert and a router work on the GPU's own tokens, whole."""
    if op.kind != "linear" or op.role not in ("shared_expert", "router"):
        return op
    d, cuts = op.dims, layout.tp if op.role == "shared_expert" else 1
    side = "d_in" if op.module in ("out", "down") else "d_out"
    return op._replace(dims=d | {"tokens": cut(d["tokens"], layout.attention_dp), side: d[side] * cuts})


def _exchanged(op: Op, routed: Op, run: Run, names: Names) -> list[Launch]:
    """Dispatch and combine, in place of gathered tokens."""
    times = op.times * op.dims["forward"]
    if not times or op.kind != "all_to_all":
        return []
    shape = run.batch * run.seq, routed.dims["d_in"], routed.used, op.dims["ranks"]
    return [Launch(op.reads, times, shape, _format(routed, names) if op.reads == "dispatch" else "")]


def _sent(op: Op, summed: bool, layout: Layout) -> list[Launch]:
    """Collectives of a forward pass, as engines have them. Tokens that every GPU has are summed up after the experts by one
    all-reduce (``summed``: beside what else the feed-forward leaves); under attention data parallelism they are gathered before
    and scattered after.
    """
    d, times, apart = op.dims, op.times * op.dims["forward"], layout.attention_dp > 1
    if not times or (apart and (op.kind == "all_to_all" or op.reads == "ffn")):
        return []
    if op.kind != "all_to_all":
        return [Launch(op.kind, times, (d["elements"], d["ranks"], d["stride"]))]
    if summed or op.reads == "combine":
        return []
    return [Launch("all_reduce", times, (d["elements"] // op.copies * d["ranks"], d["ranks"], d["stride"]))]


def together(one: Iterable[Launch], other: Iterable[Launch]) -> list[Launch]:
    """Two passes as one step (:func:`joined`)."""
    return [Launch(*line.at()) for line in joined(map(fixed, one), map(fixed, other))]


class Line(NamedTuple):
    """Launches of any number of sequences. ``n`` = ``size`` + ``by`` · groups of sequences + ``more`` · groups of prompts is the
    first size, before the ``others``; where other sizes grow too, by ``grow`` each time, ``n`` says how often they have.
    """

    kind: str
    times: int
    size: int
    by: int
    more: int
    others: tuple[int, ...]
    grow: tuple[int, ...]
    form: str

    def at(self, groups: int = 0, prompts: int = 0) -> Sized:
        """For so many groups of sequences, and of prompts beside them.

        >>> Line("gemm", 2, 0, 1, 512, (8, 8), (), "").at(16, 1), Line("x", 1, 0, 1, 0, (5, 0), (0, 3), "").at(4)
        (('gemm', 2, (528, 8, 8), ''), ('x', 1, (5, 12), ''))
        """
        n = self.size + self.by * groups + self.more * prompts
        return self.kind, self.times, shaped(n, self.others, self.grow), self.form


def shaped(n: int, others: tuple[int, ...], grow: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a :class:`Line`'s launches."""
    return tuple(size + n * by for size, by in zip(others, grow, strict=True)) if grow else (n, *others)


def fixed(launch: Launch) -> Line:
    """A launch that does not grow."""
    return Line(launch.kind, launch.times, launch.shape[0], 0, 0, launch.shape[1:], (), launch.form)


def joined(one: Iterable[Line], prompts: Iterable[Line]) -> list[Line]:
    """A decode step with a pass of prompts in it: what multiplies the same matrices, moves or sends is launched once for the
    tokens of both; attention is of each.
    """
    found = list(one)
    free: dict[object, list[int]] = {}
    for place, line in enumerate(found):
        if line.kind in SHARED:
            free.setdefault((line.kind, line.times, line.others, line.form), []).append(place)
    for line in prompts:
        alike = free.get((line.kind, line.times, line.others, line.form))
        if alike:
            place = alike.pop(0)
            met = found[place]
            found[place] = met._replace(size=met.size + line.size, more=line.by)
        else:
            found.append(line._replace(by=0, more=line.by))
    return found


SHARED = ("gemm", "beside", "experts", "received", "moved", "dispatch", "combine", "all_reduce", "all_gather", "reduce_scatter")
"""Kinds whose first size grows with the tokens of a step, whosever they are."""
