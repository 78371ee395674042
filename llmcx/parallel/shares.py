"""What one GPU of each stage of a pipeline has to hold, by sums over its ops that are taken once for each way of cutting them.

Weights and activations are the ops' own, cut as :mod:`llmcx.parallel.sharding` says, so one GPU is
the case of all ways being 1. A layout is then a few additions, which is how a search sizes thousands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llmcx.costs import params as params_fold
from llmcx.costs.saved_activations import RECOMPUTE, fused, kept_bytes, without
from llmcx.formats import quant
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers
from llmcx.parallel.method import PRECISIONS, Method, Ways
from llmcx.parallel.sharding import cut, share
from llmcx.parallel.stages import Span, Sums, Tally, fullest, in_flight, present, spans, tally, total


class Memory(NamedTuple):
    """Bytes on one GPU. ``workspace`` is an estimate: the loss's transients, buffers of communication, the margin."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    workspace: int

    @property
    def total(self) -> int:
        return sum(self)


class Weights(NamedTuple):
    """What a stage's GPU has to learn, before ZeRO: parameters outside the experts and in them, bytes of the optimizer's states
    and master copies of both, parameters of adapters, trained in the place of ``frozen`` bytes, and the parameters of the largest
    layer.
    """

    params: int
    experts: int
    states: int
    expert_states: int
    adapters: int
    frozen: int
    layer: int


class Activations(NamedTuple):
    """What a stage's GPU keeps of one micro-batch, in bytes: of all its layers and of the one that keeps most, for each of
    RECOMPUTE; of the embedding; of the end. Then the rows and columns of its logits, its tokens, the width of the model, the
    experts a token meets.
    """

    layers: dict[str, int]
    layer: dict[str, int]
    embedding: int
    end: int
    head: tuple[int, int] | None
    tokens: int
    width: int
    top_k: int


class Stage(NamedTuple):
    """One GPU of a stage before ZeRO and the schedule are known."""

    span: Span
    weights: Weights
    kept: Activations


class _Sum:
    """A sum over the ops of one spec's runs."""

    def __init__(self, spec: ModelSpec, *says: Any) -> None:
        self.spec, self.says = spec, says


class _Learned(_Sum):
    """Parameters of one of ``tp`` GPUs outside the experts and in them, the optimizer's basis of both, parameters of adapters."""

    def __call__(self, ops: list[Op]) -> Tally:
        name, lora, tp, ep = self.says
        optimizer, fold = OPTIMIZERS[name], params_fold.fold

        def measure(op: Op) -> Sums:
            n, basis = fold.of(op), optimizer.basis(op)
            adapters = 0 if lora is None else lora.params([op])
            return (0, n, 0, basis, adapters) if op.component.startswith("moe.expert") else (n, 0, basis, 0, adapters)

        learning = (op for op in ops if fold.of(op) or op.component == "head")
        return tally(self.spec, (share(op, self.spec, tp, ep, True) for op in learning), measure, 5)


class _Kept(_Sum):
    """Bytes that one of ``tp`` GPUs keeps, one figure for each of RECOMPUTE, then the rows and the columns of its logits."""

    def __call__(self, ops: list[Op]) -> Tally:
        kernels, lora, act, tp, sequence = self.says
        if kernels == "fused":
            ops = [fused(op) for op in ops]
        if lora is not None:
            ops = lora.kept(ops)

        def measure(op: Op) -> Sums:
            whole = kept_bytes([op], act)
            if op.component == "head":
                return (*(whole for _ in RECOMPUTE), op.dims["tokens"], op.dims["d_out"])
            left = (without(op, how) if in_layers(op) else op for how in RECOMPUTE)
            return (*(whole if some is op else kept_bytes([some], act) for some in left), 0, 0)

        keeping = (op for op in (share(op, self.spec, tp, 1, sequence) for op in ops) if op.keeps or op.component == "head")
        return tally(self.spec, keeping, measure, len(RECOMPUTE) + 2)


class Shares:
    """A model trained by one method at one length, cut in any ways; summed up once per cut.

    Of ``method``, what is recomputed does not matter here.
    """

    def __init__(self, spec: ModelSpec, seq: int, method: Method) -> None:
        self.spec, self.seq, self.method = spec, seq, method
        self.repeats, self.n_layers = tuple(group.repeat for group in spec.groups), spec.n_layers
        self.top_k = max((part.top_k for _, part in spec.mixtures), default=0)
        self._tallies: dict[tuple[int, ...], Tally] = {}
        self._weights: dict[tuple[Span, int, int], Weights] = {}
        self._kept: dict[tuple[Span, int, int, int, bool], Activations] = {}
        self._fullest: dict[tuple[int, ...], list[Stage]] = {}

    def ops(self, batch: int, cp: int) -> list[Op]:
        """A micro-batch of ``batch`` sequences on one of ``cp`` GPUs."""
        of = self.method
        flags = {"fused": of.attention != "eager", "masks": of.attention == "sdpa", "dropout": of.dropout}
        return lower(self.spec, Run(batch, cut(self.seq, cp), **flags))

    def parameters(self, tp: int, ep: int) -> Tally:
        """Parameters outside the experts and in them, the optimizer's basis of both, parameters of adapters."""
        key = tp, ep
        if key not in self._tallies:
            learned = _Learned(self.spec, self.method.optimizer, self.method.lora, tp, ep)
            self._tallies[key] = learned(self.ops(1, 1))
        return self._tallies[key]

    def activations(self, batch: int, tp: int, cp: int, sequence: bool) -> Tally:
        """Bytes kept, one figure for each of RECOMPUTE, then the rows and the columns of the logits."""
        key = batch, tp, cp, sequence
        if key not in self._tallies:
            of = self.method
            kept = _Kept(self.spec, of.kernels, of.lora, PRECISIONS[of.precision].activation, tp, sequence)
            self._tallies[key] = kept(self.ops(batch, cp))
        return self._tallies[key]

    def weights(self, span: Span, tp: int, ep: int) -> Weights:
        """Of one stage."""
        key = span, tp, ep
        if key not in self._weights:
            of, base = self.parameters(tp, ep), self.method.base
            optimizer, p = OPTIMIZERS[self.method.optimizer], PRECISIONS[self.method.precision]
            n, experts, basis, expert_basis, adapters = map(sum, zip(*total(of, span), strict=True))
            self._weights[key] = Weights(
                n,
                experts,
                states=optimizer.of(n, basis) + p.master * n,
                expert_states=optimizer.of(experts, expert_basis) + p.master * experts,
                adapters=adapters,
                frozen=p.weight * (n + experts) if base is None else quant.weights(self.spec, base).bytes,
                layer=max((one[0] + one[1] for one in present(of, span)), default=0),
            )
        return self._weights[key]

    def kept(self, span: Span, batch: int, tp: int, cp: int, sequence: bool) -> Activations:
        """Of one stage."""
        key = span, batch, tp, cp, sequence
        if key not in self._kept:
            of = self.activations(batch, tp, cp, sequence)
            layers, embedding, end = total(of, span)
            self._kept[key] = Activations(
                dict(zip(RECOMPUTE, layers, strict=False)),
                dict(zip(RECOMPUTE, map(max, zip(*present(of, span), strict=True)), strict=False)),
                embedding[0],
                end[0],
                head=(end[-2], end[-1]) if end[-1] else None,
                tokens=batch * cut(self.seq, cp),
                width=self.spec.d_model,
                top_k=self.top_k,
            )
        return self._kept[key]

    def stage(self, span: Span, ways: Ways, batch: int) -> Stage:
        """One stage; of ``ways``, zero, dp and the schedule do not matter."""
        return Stage(span, self.weights(span, ways.tp, ways.ep), self.kept(span, batch, ways.tp, ways.cp, ways.sequence))

    def stages(self, ways: Ways, batch: int) -> list[Stage]:
        """All stages."""
        return [self.stage(span, ways, batch) for span in spans(self.repeats, ways.pp, ways.virtual)]

    def fullest(self, ways: Ways, batch: int, method: Method) -> Memory:
        """What the fullest GPU holds, for what ``method`` recomputes: that of :func:`ranks` with the most bytes."""
        spare = ways.virtual if ways.pp * ways.virtual > self.n_layers else 1
        key = ways.tp, ways.pp, ways.cp, ways.ep, ways.sequence, batch, spare
        stages = self._fullest.get(key)
        if stages is None:
            chosen = fullest(self.repeats, ways.pp, spare)
            stages = self._fullest[key] = [self.stage(span, ways, batch) for span in chosen]
        memories = [held(stage, ways, method) for stage in stages]
        return memories[0] if len(memories) == 1 else max(memories, key=sum)


def held(stage: Stage, ways: Ways, method: Method) -> Memory:
    """The bytes of a stage's GPU: the one place where they are added up.

    States, gradients and weights are shared by dp · cp GPUs (or ``shard``) from ZeRO-1, 2, 3 on, those of experts by 1/ep of
    them.
    """
    p = PRECISIONS[method.precision]
    n, experts, states, expert_states, adapters, frozen, _ = stage.weights
    among = ways.shard or ways.dp * ways.cp
    zero, among_experts = ways.zero, max(among // ways.ep, 1)
    gradient = method.gradient_bytes or p.gradient
    if method.lora is not None:
        trained = method.lora.bytes * adapters
        weights = cut(frozen + trained, among if zero >= 3 else 1)
        gradients = cut(trained, among if zero >= 2 else 1)
        optimizer = cut(OPTIMIZERS[method.optimizer].of(adapters), among if zero >= 1 else 1)
    else:
        optimizer = cut(states, among) + cut(expert_states, among_experts) if zero >= 1 else states + expert_states
        gradients = cut(gradient * n, among) + cut(gradient * experts, among_experts) if zero >= 2 else gradient * (n + experts)
        weights = cut(p.weight * n, among) + cut(p.weight * experts, among_experts) if zero >= 3 else p.weight * (n + experts)
    logits = loss = 0
    if stage.kept.head is not None:
        rows, columns = stage.kept.head
        logits, loss = method.at_once(rows) * columns * (p.activation + 4), method.at_once(rows) * columns * 4
    alive = _activations(stage, ways, method, p.activation)
    work = loss + sum(buffers(stage, ways, p.weight, gradient))
    if method.margin:
        work += round((weights + gradients + optimizer + alive + logits + work) * method.margin)
    return Memory(weights, gradients, optimizer, alive, logits, work)


def _activations(stage: Stage, ways: Ways, method: Method, act: int) -> int:
    """Bytes kept by the micro-batches in flight. What stands outside the layers is kept once per micro-batch in flight."""
    kept, layers = stage.kept, stage.span.layers
    chunks = in_flight(stage.span.stage, ways.pp, ways.virtual, ways.micro_batches)
    outside = kept.embedding * cut(chunks, ways.virtual) + kept.end
    every = method.every
    if every is None:
        return cut(kept.layers[method.recompute] * chunks, ways.virtual) + outside
    boundary = kept.tokens * kept.width * act
    boundary = cut(boundary, ways.tp) if ways.sequence else boundary
    stored = cut(cut(layers, every) * boundary * chunks, ways.virtual)
    return stored + min(every, layers) * kept.layer[method.recompute] + outside


def buffers(stage: Stage, ways: Ways, weight: int, gradient: int) -> tuple[int, int, int]:
    """Buffers that the ways of sharing need beside their shares, an estimate: of each kind the largest that is alive.

    ZeRO-3 gathers a layer while the next is on its way, and has a layer's gradients whole before they are shared out; sequence
    parallelism gathers one layer's input; experts send and receive the routed tokens. Gradients are otherwise reduced in place.
    """
    kept, layer, whole, routed = stage.kept, 0, 0, 0
    if ways.zero == 3 and (ways.shard or ways.dp * ways.cp) > 1:
        layer = (2 * weight + gradient) * stage.weights.layer
    if ways.tp > 1 and ways.sequence:
        whole = 2 * kept.tokens * kept.width
    if ways.ep > 1:
        routed = 2 * 2 * cut(kept.tokens, ways.tp if ways.sequence else 1) * kept.top_k * kept.width
    return layer, whole, routed
