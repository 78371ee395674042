"""The ops of one GPU: a model's, cut as a layout says, and what the GPU sends. The only step that divides.

Every figure of a GPU is a fold over what :func:`rank_ops` returns: parameters, FLOPs, saved activations, cache, seconds, bytes
sent. A search asks about thousands of layouts that share most of their parts; a :class:`Tally` sums a fold up once per part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import mul
from typing import NamedTuple

from llmcx.costs.params import fold as params_fold
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import STATES, Op, in_layers
from llmcx.parallel.division import Division, divide, division
from llmcx.parallel.layout import Layout, cut
from llmcx.parallel.pipeline import Stage, stages

Sums = tuple[int | float, ...]


class Pieces(NamedTuple):
    """What GPUs of a pipeline have: of each kind of layer one layer's ops; the embedding's and the towers', of the first stage,
    which cuts the towers' layers as it does its own, and has their other pieces whole on each of its GPUs; ``everywhere``,
    of every stage (the positions' cosines and sines); the end's (final norm and head), with a token table of its own, or ``tied``
    where the first stage is the last too.
    """

    kinds: dict[str, list[Op]]
    embedding: list[Op]
    everywhere: list[Op]
    end: list[Op]
    tied: list[Op]


def pieces(spec: ModelSpec, run: Run, by: Division) -> Pieces:
    """The ops of ``run`` as one GPU has them, by where they stand; in the layers those of one layer, and what it sends."""
    kinds: dict[str, list[Op]] = {name: [] for name in spec.kinds}
    embedding, everywhere, end, tied = [], [], [], []
    others = by._replace(ep=1, expert_tp=1, expert_tokens=1)  # what matters to all but experts
    for place, op, known in _placed(spec, run):
        of = by if op.role == "expert" else others
        mine = known.get(of) or known.setdefault(of, divide(op, of, run.seq))
        if place == "layers":
            kinds[op.group].append(mine)
        elif place == "tower":
            embedding.append(mine)
            if by.tp > 1 and _partial(mine) and mine.dims["tokens"]:
                sent = _sent("tensor", "all_reduce", mine.dims["tokens"] * mine.dims["d_out"], by.tp, 1, 1, 1, "embedding")
                embedding.append(sent._replace(times=mine.times))
        elif place == "rotary":
            everywhere.append(mine)
        elif place == "embedding":
            embedding.append(mine)
        else:
            tied.append(mine)
            end.append(mine._replace(dims=mine.dims | {"tied": 0}) if op.role == "head" else mine)
    residual = run.batch * cut(run.seq, by.cp) * spec.d_model
    for name, ops in kinds.items():
        ops += _layer_traffic(name, ops, by, residual, run)
    if by.tp > 1:  # a token's row is on one GPU; the gradient of the head's input comes from all of them
        embedding.append(_sent("tensor", "all_reduce", residual, by.tp, 1, 1, 0, "embedding"))
        if spec.head is not None:
            last = _sent("tensor", "all_reduce", residual, by.tp, 1, 0, 1, "head")
            end.append(last)
            tied.append(last)
    return Pieces(kinds, embedding, everywhere, end, tied)


@lru_cache(maxsize=128)
def _placed(spec: ModelSpec, run: Run) -> list[tuple[str, Op, dict[Division, Op]]]:
    """The ops of a pass, of layers those of one, and where they stand; and how each was divided before, for a search divides the
    same few passes in many ways, and most ops in fewer.
    """
    found: list[tuple[str, Op, dict[Division, Op]]] = []
    for op in lower(spec, run):
        if op.role == "tower" or not in_layers(op):
            place = op.role if op.role in ("tower", "rotary") else "embedding" if op.group == "embedding" else "end"
            found.append((place, op, {}))
        else:
            found.append(("layers", op._replace(times=1), {}))
    return found


def rank_ops(spec: ModelSpec, run: Run, layout: Layout, stage: int = 0) -> list[Op]:
    """What a GPU of ``stage`` does in a pass of one micro-batch, ``run``'s, and once a step (group "step").

    Weights are counted as if not shared out by ZeRO, which shares storage and not work. Raises InputError for a part whose
    division is not known.

    One layer of 2 heads of 4 numbers, 8 tokens on 2 context-parallel GPUs: keys and values of 4 tokens come from the other.

    >>> from llmcx.model.spec import Attention, Embedding, Layers, ModelSpec
    >>> one = ModelSpec("one", 8, Embedding(10), (Layers(1, Attention(2)),))
    >>> [(op.kind, op.dims["elements"]) for op in rank_ops(one, Run(1, 8), Layout(cp=2)) if op.module == "context"]
    [('ring', 64)]
    """
    return staged(spec, pieces(spec, run, division(layout)), stages(spec.runs, layout.pp, layout.virtual)[stage], layout, run)


def stage_ops(spec: ModelSpec, run: Run, layout: Layout, stage: Stage | None) -> list[Op]:
    """What a GPU of ``stage`` (None: there is one) does in a pass, without what it sends to the next."""
    layout = layout._replace(pp=1)
    if stage is None:
        return rank_ops(spec, run, layout)
    return staged(spec, pieces(spec, run, division(layout)), stage, layout, run)


def staged(spec: ModelSpec, of: Pieces, stage: Stage, layout: Layout, run: Run) -> list[Op]:
    """A stage's ops out of ``of``."""
    ops = [*of.embedding] if stage.first else []
    ops += of.everywhere
    for count, one in zip(stage.counts, of.kinds.values(), strict=True):
        ops += (op._replace(times=count) for op in one if count)
    if stage.last:
        ops += of.tied if stage.first else of.end
    if layout.pp > 1:
        tokens = run.batch * cut(run.seq, layout.cp)
        chunks, size = layout.virtual, cut(tokens * spec.d_model, layout.tp)
        forward, backward = chunks - stage.last, chunks - stage.first
        apart = layout.tp * layout.replicas
        ops.append(_sent("pipeline", "send", size, layout.pp, apart, forward, backward, "stage"))
    return ops + step_traffic(ops, layout)


def step_traffic(ops: Iterable[Op], layout: Layout) -> list[Op]:
    """What is sent once a step to make GPUs with the same weights agree (Rajbhandari et al. 2020, arXiv:1910.02054, sec. 7).

    ZeRO-0 sums gradients up everywhere; ZeRO-1 and 2 where they are needed, and gather the weights. ZeRO-3 (FSDP) gathers them
    for each forward and each backward pass and sums up after it, so that this is sent with every micro-batch.
    """
    if layout.replicas == 1:  # the experts' too are one GPU's
        return []
    learned = [op for op in ops if op.kind not in params_fold.free]
    experts = params_fold.total(op for op in learned if op.role == "expert")
    dense = params_fold.total(learned) - experts
    return traffic_of(dense, experts, layout)


def traffic_of(dense: int, experts: int, layout: Layout) -> list[Op]:
    """The same for so many parameters outside experts and in them."""
    sent = []
    apart = layout.expert_tp * layout.ep if layout.expert_replicas > 1 else 1
    for params, ranks, stride in ((dense, layout.replicas, layout.tp), (experts, layout.expert_replicas, apart)):
        if ranks == 1 or not params:
            continue
        if layout.zero == 0:
            sent.append(("all_reduce", "gradients", 1, 0, params, ranks, stride))
        elif layout.zero < 3:
            sent.append(("reduce_scatter", "gradients", 1, 0, params, ranks, stride))
            sent.append(("all_gather", "weights", 1, 0, params, ranks, stride))
        else:
            sent.append(("all_gather", "weights", 1, 1, params, ranks, stride))
            sent.append(("reduce_scatter", "weights", 0, 1, params, ranks, stride))
    return [
        _sent("data", kind, elements, ranks, stride, forward, backward, "step", what)
        for kind, what, forward, backward, elements, ranks, stride in sent
    ]


def _layer_traffic(group: str, ops: list[Op], by: Division, residual: int, run: Run) -> list[Op]:
    """What a GPU sends in one layer of a kind, forward and backward.

    Tensor parallelism: 4 all-reduces of b·s·d numbers, 2·(tp - 1)/tp of each sent (Shoeybi et al. 2019, arXiv:1909.08053, sec.
    3), two forward and two backward. Context parallelism: 3 · keys and values, or latents, of the tokens that other GPUs hold.
    """
    sent = []
    attention_tp = by.tp // by.attention_dp
    mine = cut(residual, by.attention_dp)
    blocks = {"ffn" if op.role in ("ffn", "expert", "shared_expert") else op.role for op in ops if _partial(op)}
    for block in sorted(blocks):
        # A block's last product leaves partial sums: summed up forward, as the gradient of its input is backward; with
        # sequence parallelism a reduce-scatter and an all-gather of the same bytes (Korthikanti et al. 2022, sec. 4.2.2).
        tp = by.tp if block == "ffn" else attention_tp
        if block == "ffn" and not any(_partial(op) and op.role != "expert" for op in ops):
            tp = by.expert_tp
        if tp > 1:
            size = residual if block == "ffn" else mine
            sent.append(_sent("tensor", "all_reduce", size, tp, 1, 1, 1, group, block))
    for op in ops:
        if op.cut is not None and op.cut.axis == "rows" and op.role == "mixer" and op.module != "out" and attention_tp > 1:
            # A product inside a mixer whose input is cut (Mamba's Δ, B and C).
            size = op.dims["tokens"] * op.dims["d_out"]
            sent.append(_sent("tensor", "all_reduce", size, attention_tp, 1, 1, 1, group, "inner"))
    if by.attention_dp > 1:
        for kind in ("all_gather", "reduce_scatter"):
            sent.append(_sent("tensor", kind, residual, by.attention_dp, attention_tp, 1, 1, group, "attention_dp"))
    if by.cp > 1:
        sent += _context_traffic(group, ops, by, run)
    if by.ep > 1:
        experts = next((op for op in ops if op.role == "expert" and op.kind == "linear"), None)
        if experts is not None:
            width = experts.dims["d_in"]  # the latent's, where experts have one
            tokens = cut(run.batch * cut(run.seq, by.cp), by.tp)
            stride = 1 if by.expert_tokens > 1 else by.tp
            for name in ("dispatch", "combine"):
                op = _sent("expert", "all_to_all", tokens * experts.used * width, by.ep, stride, 1, 1, group, name)
                sent.append(op._replace(copies=experts.used))
    return sent


def _partial(op: Op) -> bool:
    """Whether an op's products are partial sums of the residual stream."""
    return op.cut is not None and op.cut.axis == "rows" and op.module in ("out", "down")


def _context_traffic(group: str, ops: list[Op], by: Division, run: Run) -> Iterable[Op]:
    """Keys and values, or latents, of the tokens before come round the ring; a state is handed on once. Gradients go back with
    them (Liu et al. 2023, arXiv:2310.01889, sec. 3).
    """
    local = cut(run.seq, by.cp)
    for op in ops:
        if op.cache is None or op.cache.kind == "cross":
            continue
        width = op.dims["batch"] * op.dims["width"]
        if op.cache.kind in STATES:
            elements = width * op.dims["tokens"]
        else:
            held = run.seq if op.cache.window is None else min(run.seq, op.cache.window + local)
            elements = max(held - local, 0) * width
        backward = 0 if op.cache.kind == "index" else 2
        yield _sent("context", "ring", elements, by.cp, by.tp, 1, backward, group)


def _sent(
    axis: str, kind: str, elements: int, ranks: int, stride: int, forward: int, backward: int, group: str, what: str = ""
) -> Op:
    """An op of traffic along ``axis``: tensor, context, expert, pipeline or data; ``what`` is sent."""
    dims = {"elements": elements, "ranks": ranks, "stride": stride, "forward": forward, "backward": backward}
    name = f"traffic.{axis}.{what}" if what else f"traffic.{axis}"
    return Op(name, kind, dims, group=group, role="traffic", module=axis, reads=what)


# --- sums that many layouts share ----------------------------------------------------------------------------------


class Tally(NamedTuple):
    """A fold's sums over :class:`Pieces`, several at a time."""

    kinds: tuple[Sums, ...]
    embedding: Sums
    everywhere: Sums
    end: Sums
    tied: Sums

    def of(self, stage: Stage) -> Sums:
        """A stage's: its layers', its part of the embedding's, its end's.

        >>> one = Tally(((1,), (10,)), (100,), (0,), (1000,), (500,))
        >>> one.of(Stage(0, 5, (2, 3), True, False)), one.of(Stage(0, 5, (2, 3), True, True))
        ((132,), (632,))
        """
        rows = [self.everywhere, *([self.embedding] if stage.first else [])]
        rows += [self.tied if stage.first else self.end] if stage.last else []
        return _weighted((*stage.counts, *(1 for _ in rows)), (*self.kinds, *rows))

    def layers(self, stage: Stage) -> Sums:
        """A stage's layers'."""
        return _weighted(stage.counts, self.kinds)

    def present(self, stage: Stage) -> list[Sums]:
        """One layer's, of each kind of which the stage has any."""
        return [one for count, one in zip(stage.counts, self.kinds, strict=True) if count]


def _weighted(counts: tuple[int, ...], rows: tuple[Sums, ...]) -> Sums:
    """So many times each row, summed up."""
    return tuple([sum(map(mul, counts, column)) for column in zip(*rows, strict=True)])


def tally(of: Pieces, measure: Callable[[Op], Sums], width: int, known: Measured) -> Tally:
    """``measure`` (``width`` numbers an op) summed up by place; ``known`` remembers it from one layout to the next."""

    def summed(ops: Iterable[Op]) -> Sums:
        rows: list[Sums] = []
        for op in ops:
            met = known.get(id(op))
            if met is None:
                met = op, measure(op)
                if op.role != "traffic":  # each layout has its own
                    known[id(op)] = met
            rows.append(met[1])
        return tuple(map(sum, zip(*rows, strict=True))) or (0,) * width

    return Tally(tuple(map(summed, of.kinds.values())), *map(summed, of[1:]))


Measured = dict[int, tuple[Op, Sums]]
"""Ops by their identity, with what was measured of them: layouts that divide an op alike have the very same one."""
