"""What a training program holds on each GPU: folds over the GPU's own ops (:mod:`llmcx.parallel.ranks`).

Weights, gradients and optimizer states, shared out by ZeRO; activations of the micro-batches in flight; logits; buffers. The sums
over ops are taken once for each way of cutting them, so a layout is a few additions, and a search sizes thousands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llmcx.costs.params import count
from llmcx.costs.params import fold as params_fold
from llmcx.costs.saved_activations import RECOMPUTE, fused, kept_bytes, without
from llmcx.engines import deepspeed, megatron
from llmcx.engines.phases import GPUBytes as GPUBytes
from llmcx.engines.phases import Saved, Sharded, fsdp2, torch_loop
from llmcx.engines.recipe import Recipe
from llmcx.formats import quant
from llmcx.formats.dtypes import BITS
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers
from llmcx.parallel.division import Division, division
from llmcx.parallel.layout import Layout, cut
from llmcx.parallel.pipeline import Stage, fullest, in_flight, stages
from llmcx.parallel.ranks import Measured, Pieces, Sums, Tally, pieces, tally


class StageWeights(NamedTuple):
    """What a GPU of a stage has to learn, before ZeRO: parameters outside the experts and in them, bytes of the optimizer's
    states and master copies of both, parameters of adapters, trained in the place of ``frozen`` bytes, the parameters of the
    largest layer, of all that stands outside the layers, and of one matrix of each shape in the layers.
    """

    params: int
    experts: int
    states: int
    expert_states: int
    adapters: int
    frozen: int
    layer: int
    outside: int
    shapes: int


class StageActivations(NamedTuple):
    """What a GPU of a stage saves of one micro-batch, in bytes: of all its layers and of the one that saves most, for each of
    RECOMPUTE; of the embedding; of the end; the most that a layer's turn takes. Then the rows and columns of its logits, and its
    tokens.
    """

    layers: dict[str, int]
    layer: dict[str, int]
    embedding: int
    end: int
    turn: int
    head: tuple[int, int] | None
    tokens: int


class StageGPU(NamedTuple):
    """One GPU of a stage before ZeRO and the schedule are known."""

    stage: Stage
    weights: StageWeights
    saved: StageActivations


class TrainingMemory:
    """A model trained by one recipe at one length, under any layout. What ``recipe`` recomputes does not matter here."""

    def __init__(self, spec: ModelSpec, seq: int, recipe: Recipe) -> None:
        self.spec, self.seq, self.recipe = spec, seq, recipe
        self.routed = max((part.top_k * (part.latent or spec.d_model) for _, part in spec.mixtures), default=0)  # per token
        self._tallies: dict[object, Tally] = {}
        self._weights: dict[object, StageWeights] = {}
        self._saved: dict[object, StageActivations] = {}
        self._shapes: dict[object, list[frozenset[tuple[int, int]]]] = {}
        self._fullest: dict[object, list[StageGPU]] = {}
        self._beside: dict[object, list[tuple[int, int]]] = {}
        self._models: dict[object, list[tuple[int, int, int]]] = {}
        self._counted: Measured = {}
        self._kept: Measured = {}

    def pieces(self, batch: int, by: Division) -> Pieces:
        """The ops of a micro-batch, of which autograd saves what the recipe's kernels leave."""
        return pieces(self.spec, self.recipe.run(batch, self.seq), by)

    def parameters(self, by: Division) -> Tally:
        """Parameters outside the experts and in them, the optimizer's basis of both, parameters of adapters."""
        key = (by.tp, by.ep, by.expert_tp)
        if key not in self._tallies:
            plain = by._replace(cp=1, expert_tokens=1, sequence=False)
            self._tallies[key] = tally(pieces(self.spec, Run(), plain), self._count, 5, self._counted)
        return self._tallies[key]

    def _count(self, op: Op) -> Sums:
        lora, n = self.recipe.lora, params_fold.of(op)
        adapters = 0 if lora is None else lora.params([op])
        if not n:
            return (0, 0, 0, 0, adapters)
        basis = OPTIMIZERS[self.recipe.optimizer].basis(op)
        return (0, n, 0, basis, adapters) if op.role == "expert" else (n, 0, basis, 0, adapters)

    def activations(self, batch: int, by: Division) -> Tally:
        """Bytes saved, one figure for each of RECOMPUTE; those of a layer's turn; then the rows and the columns of the logits."""
        key = (batch, by.tp, by.cp, by.expert_tp, by.expert_tokens, by.sequence)
        if key not in self._tallies:
            of, lora = self.pieces(batch, by), self.recipe.lora
            if lora is not None:
                of = _each(of, lambda ops: lora.kept(map(self._run, ops)))
            measure = self._keep if lora is not None else lambda op: self._keep(self._run(op))
            self._tallies[key] = tally(of, measure, len(RECOMPUTE) + 3, self._kept)
        return self._tallies[key]

    def _run(self, op: Op) -> Op:
        return fused(op) if self.recipe.kernels == "fused" else op

    def _keep(self, op: Op) -> Sums:
        act = self.recipe.bytes.activation
        turn = megatron.turning(op, act) if in_layers(op) else 0
        if not (op.saved or turn) and op.role != "head":
            return _NOTHING
        if op.role == "head" and op.kind == "linear":
            whole = kept_bytes([op], act)
            return (*(whole for _ in RECOMPUTE), 0, op.dims["tokens"], op.dims["d_out"])
        left = (without(op, how) if in_layers(op) else op for how in RECOMPUTE)
        return (*(kept_bytes([some], act) for some in left), turn, 0, 0)

    def shapes(self, stage: Stage, by: Division) -> list[frozenset[tuple[int, int]]]:
        """Shapes of the matrices in each kind of layer that a stage has."""
        key = (by.tp, by.ep, by.expert_tp)
        if key not in self._shapes:
            of = pieces(self.spec, Run(), by._replace(cp=1, expert_tokens=1, sequence=False))
            self._shapes[key] = [megatron.shapes(ops) for ops in of.kinds.values()]
        return [one for count, one in zip(stage.counts, self._shapes[key], strict=True) if count]

    def weights(self, stage: Stage, by: Division) -> StageWeights:
        """Of one stage."""
        key = (stage.counts, stage.first, stage.last, by.tp, by.ep, by.expert_tp)
        if key not in self._weights:
            of, base = self.parameters(by), self.recipe.base
            optimizer, p = OPTIMIZERS[self.recipe.optimizer], self.recipe.bytes
            n, experts, basis, expert_basis, adapters = map(int, of.of(stage))
            self._weights[key] = StageWeights(
                n,
                experts,
                states=optimizer.of(n, basis, p.updated) + p.master * n,
                expert_states=optimizer.of(experts, expert_basis, p.updated) + p.master * experts,
                adapters=adapters,
                frozen=p.weight * (n + experts) if base is None else _frozen(self.spec, base, p.weight),
                layer=int(max((one[0] + one[1] for one in of.present(stage)), default=0)),
                outside=n + experts - int(sum(of.layers(stage)[:2])),
                shapes=sum(a * b for a, b in frozenset().union(*self.shapes(stage, by))),
            )
        return self._weights[key]

    def saved(self, stage: Stage, batch: int, by: Division) -> StageActivations:
        """Of one stage."""
        key = (stage.counts, stage.first, stage.last, batch, by.tp, by.cp, by.expert_tp, by.expert_tokens, by.sequence)
        if key not in self._saved:
            of = self.activations(batch, by)
            outside = of.everywhere[0] + (of.embedding[0] if stage.first else 0)
            end = (of.tied if stage.first else of.end) if stage.last else None
            most = [max(column) for column in zip(*of.present(stage), strict=True)]
            self._saved[key] = StageActivations(
                dict(zip(RECOMPUTE, map(int, of.layers(stage)), strict=False)),
                dict(zip(RECOMPUTE, map(int, most), strict=False)),
                int(outside),
                0 if end is None else int(end[0]),
                turn=int(most[len(RECOMPUTE)]) if most else 0,
                head=(int(end[-2]), int(end[-1])) if end is not None and end[-1] else None,
                tokens=batch * cut(self.seq, by.cp),
            )
        return self._saved[key]

    def rank(self, stage: Stage, layout: Layout, batch: int) -> StageGPU:
        """One GPU of a stage; of ``layout``, zero, dp and the schedule do not matter."""
        return self._rank(stage, division(layout), batch)

    def _rank(self, stage: Stage, by: Division, batch: int) -> StageGPU:
        return StageGPU(stage, self.weights(stage, by), self.saved(stage, batch, by))

    def ranks(self, layout: Layout, batch: int) -> list[StageGPU]:
        """A GPU of each stage."""
        return [self.rank(stage, layout, batch) for stage in stages(self.spec.runs, layout.pp, layout.virtual)]

    def fullest(self, layout: Layout, batch: int, recipe: Recipe) -> GPUBytes:
        """What the fullest GPU holds, for what ``recipe`` recomputes."""
        by = division(layout)
        key = (by, layout.pp, layout.virtual, batch)
        found = self._fullest.get(key)
        if found is None:
            chosen = fullest(self.spec.runs, layout.pp, layout.virtual)
            found = self._fullest[key] = [self._rank(stage, by, batch) for stage in chosen]
        if recipe.engine == "megatron" and not recipe.margin and recipe.lora is None:
            return self._fullest_of_megatron(key, found, layout, recipe)
        memories = [self.held(rank, layout, recipe)[0] for rank in found]
        return memories[0] if len(memories) == 1 else max(memories, key=sum)

    def _fullest_of_megatron(self, key: tuple[object, ...], found: list[StageGPU], layout: Layout, recipe: Recipe) -> GPUBytes:
        """The same of Megatron-LM's GPUs. Of their phases the fullest does not depend on what is kept for backward, for all but
        the last keep that, nor on the model: it is found once for all that is recomputed, and for every ZeRO.
        """
        beside = self._beside.get(key)
        if beside is None:
            phases = [self._megatron(rank, layout, recipe, (0, 0, 0), 0).values() for rank in found]
            peaks = [max(each, key=sum) for each in phases]
            beside = self._beside[key] = [(peak.logits, peak.workspace) for peak in peaks]
        among = (key[0], layout.pp, layout.virtual, layout.zero, layout.sharers)
        models = self._models.get(among)
        if models is None:
            models = self._models[among] = [self._model(rank, layout, recipe) for rank in found]
        held = [
            (*model, sum(self._stored(rank, layout, recipe)), *rest)
            for model, rank, rest in zip(models, found, beside, strict=True)
        ]
        return GPUBytes(*max(held, key=sum))

    def held(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> tuple[GPUBytes, str | None]:
        """The bytes of a stage's GPU at their peak, and in which phase of a step that is; None where all are held at once.

        In phases (:mod:`llmcx.engines.phases`) are torch's loop on one GPU and FSDP2, of one micro-batch a step: with more,
        gradients are there from the second on. Megatron-LM (:mod:`llmcx.engines.megatron`) has buffers for all gradients.
        """
        if recipe.phased(layout):
            phases = self._phases(rank, layout, recipe)
            at = max(phases, key=lambda phase: phases[phase].total)
            held = phases[at]
            return held._replace(workspace=held.workspace + round(held.total * recipe.margin)), at
        return self.at_once(rank, layout, recipe), None

    def _phases(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> dict[str, GPUBytes]:
        if recipe.engine == "megatron":
            kept = sum(self._stored(rank, layout, recipe))
            return self._megatron(rank, layout, recipe, self._model(rank, layout, recipe), kept)
        p, weights = recipe.bytes, rank.weights
        n = weights.params + weights.experts
        rows, columns = rank.saved.head or (0, 0)
        numbers, table = recipe.at_once(rows) * columns, columns * self.spec.d_model
        kept, again = self._stored(rank, layout, recipe)
        saved = Saved(kept, rank.saved.layer[recipe.recompute], again, *(size * numbers for size in recipe.logit))
        if recipe.lora is not None:
            trained = recipe.lora.bytes * weights.adapters
            states = OPTIMIZERS[recipe.optimizer].of_adapters(weights.adapters)
            return torch_loop(weights.frozen + trained, trained, states, 0, saved)
        if recipe.engine == "deepspeed":
            several = (layout.micro_batches or 1) > 1
            part = self.partition(rank, layout, recipe)
            return deepspeed.phases(part, saved, layout.zero, recipe.buckets, recipe.offload, several)
        if recipe.engine == "fsdp":
            stored = p.master or p.weight
            states = weights.states + weights.expert_states - p.master * n
            reduced = 4 if p.master else p.gradient
            of = Sharded(n, weights.layer, weights.outside, table, states, layout.sharers, stored, p.weight, reduced)
            return fsdp2(of, saved, layout.zero == 3)
        states = weights.states + weights.expert_states
        tied = self.spec.head is not None and self.spec.head.tied
        return torch_loop(p.weight * n, recipe.gradient * n, states, table * recipe.gradient, saved, tied)

    def at_once(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> GPUBytes:
        """The bytes of a stage's GPU where all is held at once: the one place where they are added up.

        Gradients: bytes per gradient · parameters. ZeRO: ceil(states / g) + ceil(states of experts / g_e) from stage 1 on,
        ceil(gradients / g) + ceil(gradients of experts / g_e) from 2 on, ceil(weights / g) + ceil(weights of experts / g_e) at 3:
        g = dp · cp GPUs (or ``shard``), g_e as many as have the same experts (Rajbhandari et al. 2020, arXiv:1910.02054, sec. 5).
        Logits: tokens at once · V · (bytes of an activation + 4).
        """
        p = recipe.bytes
        weights, gradients, optimizer = self._model(rank, layout, recipe)
        logits = loss = 0
        if rank.saved.head is not None:
            rows, columns = rank.saved.head
            saved, passing = recipe.logit
            logits, loss = (recipe.at_once(rows) * columns * size for size in (p.activation + saved, passing // 2))
        alive = sum(self._stored(rank, layout, recipe))
        work = loss + sum(self.buffers(rank, layout, recipe))
        if recipe.margin:
            work += round((weights + gradients + optimizer + alive + logits + work) * recipe.margin)
        return GPUBytes(weights, gradients, optimizer, alive, logits, work)

    def _model(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> tuple[int, int, int]:
        """Bytes of weights, gradients and the optimizer's states, as ZeRO shares them out."""
        n, experts, states, expert_states, adapters, frozen, *_ = rank.weights
        among, among_experts, zero = layout.sharers, layout.expert_sharers, layout.zero
        if recipe.lora is not None:
            trained = recipe.lora.bytes * adapters
            optimizer = OPTIMIZERS[recipe.optimizer].of_adapters(adapters)
            shares = ((3, frozen + trained), (2, trained), (1, optimizer))
            weights, gradients, optimizer = (cut(size, among if zero >= level else 1) for level, size in shares)
            return weights, gradients, optimizer

        def shared(level: int, dense: int, routed: int) -> int:
            return cut(dense, among) + cut(routed, among_experts) if zero >= level else dense + routed

        weight, gradient = recipe.bytes.weight, recipe.gradient
        return (
            shared(3, weight * n, weight * experts),
            shared(2, gradient * n, gradient * experts),
            shared(1, states, expert_states),
        )

    def idle(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> tuple[int, int]:
        """Bytes of weights, and of the optimizer's states, between two steps."""
        weights, _, optimizer = self._model(rank, layout, recipe)
        if recipe.engine == "fsdp" and recipe.lora is None:
            p, of = recipe.bytes, rank.weights
            n = of.params + of.experts
            stored = cut(n, layout.sharers)
            return stored * (p.master or p.weight), cut(of.states + of.expert_states - p.master * n, layout.sharers)
        return weights, 0 if recipe.offload else optimizer

    def forward(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> int:
        """Bytes that a forward pass without gradients takes beside the weights' shares: what is gathered, a layer's activations,
        logits and their log-softmax.
        """
        p, of = recipe.bytes, rank.weights
        rows, columns = rank.saved.head or (0, 0)
        gathered = p.weight * (of.outside + 2 * of.layer) if layout.zero == 3 and layout.sharers > 1 else 0
        return gathered + rank.saved.layer["none"] + (p.activation + recipe.logit[0]) * recipe.at_once(rows) * columns

    def partition(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> deepspeed.Partition:
        """What ZeRO shares out."""
        p, weights = recipe.bytes, rank.weights
        columns = (rank.saved.head or (0, 0))[1]
        n, states = weights.params + weights.experts, weights.states + weights.expert_states
        matrix = columns * self.spec.d_model
        return deepspeed.Partition(n, matrix, states, layout.sharers, p.weight, recipe.gradient, p.master)

    def host(self, layout: Layout, batch: int, recipe: Recipe) -> int | None:
        """Bytes in the host's memory for each GPU, where any are."""
        if recipe.offload is None:
            return None
        [rank] = self.ranks(layout, batch)
        return deepspeed.host(self.partition(rank, layout, recipe), layout.zero, recipe.offload)

    def _megatron(
        self, rank: StageGPU, layout: Layout, recipe: Recipe, model: tuple[int, int, int], kept: int
    ) -> dict[str, GPUBytes]:
        """Megatron-LM's phases, beside the bytes of a ``model`` and what is ``kept`` for backward."""
        p, of = recipe.bytes, rank.saved
        rows, columns = of.head or (0, 0)
        hidden = of.tokens * self.spec.d_model * p.activation
        whole = 2 * hidden if layout.tp > 1 and layout.sequence else cut(hidden, layout.tp) if layout.sequence else hidden
        passing = megatron.Passing(
            shared=p.weight * rank.weights.shapes,
            turn=of.turn + whole,
            logits=p.activation * recipe.at_once(rows) * columns,
            head=p.weight * columns * self.spec.d_model,
            hidden=whole,
        )
        return megatron.phases(model, kept, passing, recipe.fused_loss)

    def _stored(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> tuple[int, int]:
        """Bytes saved by the micro-batches in flight, and of the layers that are recomputed at a time. What stands outside the
        layers is saved once per micro-batch in flight.
        """
        saved, layers = rank.saved, rank.stage.layers
        chunks = in_flight(rank.stage.number, layout.pp, layout.virtual, layout.micro_batches)
        outside = saved.embedding * cut(chunks, layout.virtual) + saved.end
        every = recipe.every
        if every is None:
            return cut(saved.layers[recipe.recompute] * chunks, layout.virtual) + outside, 0
        boundary = saved.tokens * self.spec.d_model * recipe.bytes.activation
        boundary = cut(boundary, layout.tp) if layout.sequence else boundary
        stored = cut(cut(layers, every) * boundary * chunks, layout.virtual)
        return stored + outside, min(every, layers) * saved.layer[recipe.recompute]

    def buffers(self, rank: StageGPU, layout: Layout, recipe: Recipe) -> tuple[int, int, int]:
        """Buffers that sharing needs beside the shares, an estimate: of each kind the largest that is alive.

        ZeRO-3 gathers a layer while the next is on its way, and has a layer's gradients whole before they are shared out;
        sequence parallelism gathers one layer's input; experts send and receive the routed tokens. Gradients are otherwise
        reduced in place.
        """
        tokens, width = rank.saved.tokens, self.spec.d_model
        layer = whole = routed = 0
        if layout.zero == 3 and layout.sharers > 1:
            layer = (2 * recipe.bytes.weight + recipe.gradient) * rank.weights.layer
        if layout.tp > 1 and layout.sequence:
            whole = 2 * tokens * width
        if layout.ep > 1:
            routed = 2 * 2 * cut(tokens, layout.tp if layout.sequence else 1) * self.routed
        return layer, whole, routed


_NOTHING = (0,) * (len(RECOMPUTE) + 3)


def _frozen(spec: ModelSpec, base: str, weight: int) -> int:
    """Bytes of a base in another format; what that leaves in 16 bits has the width of the pass. A plain dtype leaves nothing."""
    if base in BITS:
        return -(-count(spec) * BITS[base] // 8)
    found = quant.weights(spec, base)
    plain = sum(stored["elements"] for name, stored in found.by_dtype.items() if name == "16 bits")
    return found.bytes + plain * (weight - 2)


def _each(of: Pieces, change: Callable[[list[Op]], list[Op]]) -> Pieces:
    """``change`` made to each list of ops."""
    return Pieces({name: change(ops) for name, ops in of.kinds.items()}, *(change(ops) for ops in of[1:]))
