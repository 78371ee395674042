"""Training memory, stage by stage of a pipeline: weights, gradients, optimizer, activations, logits, buffers.

Weights and activations are the ops' own (:func:`llmcx.core.lower.lower`), cut as :mod:`llmcx.core.sharding` says, so one GPU is
the case of all ways being 1. A :class:`Shares` takes their sums once for each way of cutting them; a layout is then a few
additions, which is how a search sizes thousands.
"""

from __future__ import annotations

from typing import NamedTuple

from . import params as params_fold
from . import quant
from .errors import InputError, check_size, unknown_name
from .flops import in_layers
from .kept import KERNELS, RECOMPUTE, fused, kept_bytes, without
from .lora import LoRA
from .lower import Run, lower
from .ops import Op
from .optimizers import OPTIMIZERS
from .parts import ModelSpec, MoE
from .record import dataclass
from .sharding import cut, share
from .stages import Span, Sums, Tally, fullest, in_flight, present, spans, tally, total


@dataclass(frozen=True)
class Precision:
    """Bytes per weight, gradient and activation, and of the fp32 master copy that mixed precision adds."""

    name: str
    weight: int
    gradient: int
    activation: int
    master: int


PRECISIONS = {
    "fp32": Precision("fp32", 4, 4, 4, 0),
    "bf16": Precision("bf16", 2, 2, 2, 0),
    "mixed": Precision("mixed", 2, 2, 2, 4),  # Micikevicius et al. 2018, arXiv:1710.03740; ZeRO's 2 + 2 + 12 bytes
    "megatron": Precision("megatron", 2, 4, 2, 4),  # gradients summed up in fp32: Megatron-LM's 18 bytes per parameter
}


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


@dataclass(frozen=True)
class Part:
    """One entry of the budget, with the formula that gave it."""

    part: str
    bytes: int
    formula: str


@dataclass(frozen=True)
class Rank:
    """One GPU of each pipeline stage; the others of a stage hold no more."""

    stage: int
    layers: int
    in_flight: int
    total_bytes: int
    parts: list[Part]


class Ways(NamedTuple):
    """How GPUs share the work: ``tp`` tensor-, ``pp`` pipeline-, ``cp`` context-, ``ep`` expert- and ``dp`` data-parallel.

    ``sequence`` cuts what tensor parallelism leaves whole by tokens. ``zero`` 1, 2, 3 shares out optimizer states, then
    gradients, then weights (Rajbhandari et al. 2020, arXiv:1910.02054; FSDP is 3) among dp·cp GPUs, or ``shard`` of them (HSDP).
    ``virtual`` chunks of layers per stage make the pipeline interleaved; ``micro_batches`` per step, at least pp of them if not
    stated.
    """

    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1
    dp: int = 1
    sequence: bool = True
    zero: int = 0
    shard: int | None = None
    virtual: int = 1
    micro_batches: int | None = None

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.cp * self.dp


@dataclass(frozen=True)
class Method:
    """How one micro-batch is trained: number formats, optimizer, kernels, what is recomputed, the loss, the margin."""

    precision: str = "mixed"
    optimizer: str = "adam"
    gradient_bytes: int | None = None
    attention: str = "sdpa"
    kernels: str = "eager"
    dropout: bool = False
    recompute: str = "none"
    checkpoint_every: int | None = None
    loss_chunk: int | None = None
    margin: float = 0.0
    lora: LoRA | None = None
    base: str | None = None


def check(spec: ModelSpec, ways: Ways, method: Method) -> None:
    """Refuse what cannot be run, or what is not known."""
    for name in ("tp", "pp", "cp", "ep", "dp", "virtual"):
        check_size(name, getattr(ways, name))
    for what, name, known in (
        ("optimizer", method.optimizer, OPTIMIZERS),
        ("precision", method.precision, PRECISIONS),
        ("kernels", method.kernels, KERNELS),
        ("recompute", method.recompute, RECOMPUTE),
        ("attention implementation", method.attention, ATTENTION),
    ):
        if name not in known:
            raise unknown_name(what, name, list(known), field=what.replace(" ", "_"))
    if ways.zero not in (0, 1, 2, 3):
        raise InputError(f"zero is {ways.zero}, but must be 0, 1, 2 or 3", field="zero", value=ways.zero, allowed="0, 1, 2 or 3")
    chunks, spare = ways.pp * ways.virtual, 0 if ways.virtual == 1 else 2  # the embedding and the head may fill one each
    if chunks > spec.n_layers + spare:
        ends = ", its embedding and its head, to fill chunks" if spare else ""
        raise InputError(
            f"pp × virtual is {chunks}, but {spec.name} has {spec.n_layers} layers{ends}",
            field="pp",
            value=ways.pp,
            allowed=f"pp × virtual of at most {spec.n_layers + spare}",
        )
    if ways.pp > 1 and spec.encoder and spec.decoder:
        raise InputError("pp is for models with one stack; this one has an encoder and a decoder", field="pp", value=ways.pp)
    if ways.virtual > 1 and ways.pp == 1:
        raise InputError("virtual divides pipeline stages, so it needs pp above 1", field="virtual", value=ways.virtual)
    experts = [group.ffn.n_experts for group in spec.groups if isinstance(group.ffn, MoE)]
    if ways.ep > 1 and (not experts or (ways.dp * ways.cp) % ways.ep):
        why = "the model has no experts" if not experts else f"it must divide dp × cp = {ways.dp * ways.cp}"
        raise InputError(f"ep is {ways.ep}, but {why}", field="ep", value=ways.ep)
    if ways.shard is not None and (ways.shard < 1 or (ways.dp * ways.cp) % ways.shard):
        raise InputError(f"shard is {ways.shard}, but must divide dp × cp = {ways.dp * ways.cp}", field="shard", value=ways.shard)
    if ways.cp > 1 and method.attention == "eager":
        raise InputError("cp needs a fused attention: eager code has all scores of a sequence in one place", field="cp")
    if method.lora is not None and ways.gpus != ways.dp:
        raise InputError("adapters are for models that each GPU holds, or ZeRO shares out: give no tp, pp, cp or ep", field="tp")
    if method.lora is None and method.base is not None:
        raise InputError("a base in another format is frozen, so it needs --lora", field="base", value=method.base)
    if method.checkpoint_every is not None and method.checkpoint_every > spec.n_layers:
        raise InputError(
            f"checkpoint_every is {method.checkpoint_every}, but the model has {spec.n_layers} layers",
            field="checkpoint_every",
            value=method.checkpoint_every,
            allowed=f"1 to {spec.n_layers}",
        )
    if not 0 <= method.margin < 1:
        raise InputError(f"margin is {method.margin}, but must be from 0 to below 1", field="margin", value=method.margin)


def uneven(spec: ModelSpec, ways: Ways) -> list[str]:
    """What does not divide, so that the fullest GPU, which is counted, has more than others."""
    heads = {n for n in (getattr(group.mixer, "n_heads", None) for group in spec.groups) if isinstance(n, int)}
    experts = {group.ffn.n_experts for group in spec.groups if isinstance(group.ffn, MoE)}
    counts = [("layers", n, "pp", ways.pp) for n in (spec.n_layers,)]
    counts += [("heads", n, "tp", ways.tp) for n in sorted(heads)] + [("experts", n, "ep", ways.ep) for n in sorted(experts)]
    return [
        f"uneven: {n} {what} on {name} {by}; the fullest GPU has {cut(n, by)}, and is what is counted"
        for what, n, name, by in counts
        if n % by
    ]


ATTENTION = ("sdpa", "flash", "eager")


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
    :data:`~llmcx.core.kept.RECOMPUTE`; of the embedding; of the end. Then the rows and columns of its logits, its tokens, the
    width of the model, the experts a token meets.
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


class Shares:
    """A model trained by one method at one length, cut in any ways: lowered once per micro-batch, summed up once per cut.

    Of ``method``, what is recomputed does not matter here.
    """

    def __init__(self, spec: ModelSpec, seq: int, method: Method) -> None:
        self.spec, self.seq, self.method = spec, seq, method
        self.repeats, self.n_layers = tuple(group.repeat for group in spec.groups), spec.n_layers
        self.top_k = max((group.ffn.top_k for group in spec.groups if isinstance(group.ffn, MoE)), default=0)
        self._ops: dict[tuple[int, int], list[Op]] = {}
        self._tallies: dict[tuple[int, ...], Tally] = {}
        self._weights: dict[tuple[Span, int, int], Weights] = {}
        self._kept: dict[tuple[Span, int, int, int, bool], Activations] = {}
        self._fullest: dict[tuple[int, ...], list[Stage]] = {}

    def lowered(self, batch: int, cp: int) -> list[Op]:
        """The ops of a micro-batch of ``batch`` sequences on one of ``cp`` GPUs, as the method's kernels run them."""
        key = batch, cp
        if key not in self._ops:
            of = self.method
            flags = {"fused": of.attention != "eager", "masks": of.attention == "sdpa", "dropout": of.dropout}
            ops = lower(self.spec, Run(batch, cut(self.seq, cp), **flags))
            if of.kernels == "fused":
                ops = [fused(op) for op in ops]
            self._ops[key] = ops if of.lora is None else of.lora.kept(ops)
        return self._ops[key]

    def parameters(self, tp: int, ep: int) -> Tally:
        """Parameters outside the experts and in them, the optimizer's basis of both, parameters of adapters."""
        key = tp, ep
        if key not in self._tallies:
            optimizer, lora, fold = OPTIMIZERS[self.method.optimizer], self.method.lora, params_fold.fold

            def measure(op: Op) -> Sums:
                n, basis = fold.of(op), optimizer.basis(op)
                adapters = lora.params([op]) if lora is not None else 0
                return (0, n, 0, basis, adapters) if op.component.startswith("moe.expert") else (n, 0, basis, 0, adapters)

            ops = (op for op in self.lowered(1, 1) if fold.of(op) or op.component == "head")
            self._tallies[key] = tally(self.spec, (share(op, self.spec, tp, ep, True) for op in ops), measure, 5)
        return self._tallies[key]

    def activations(self, batch: int, tp: int, cp: int, sequence: bool) -> Tally:
        """Bytes kept, one figure for each of RECOMPUTE, then the rows and the columns of the logits."""
        key = batch, tp, cp, sequence
        if key not in self._tallies:
            act = PRECISIONS[self.method.precision].activation

            def measure(op: Op) -> Sums:
                whole, layer = kept_bytes([op], act), in_layers(op)
                left = (without(op, how) if layer else op for how in RECOMPUTE)
                kept = (whole if one is op else kept_bytes([one], act) for one in left)
                head = op.component == "head"
                return (*kept, op.dims["tokens"] if head else 0, op.dims["d_out"] if head else 0)

            ops = (share(op, self.spec, tp, 1, sequence) for op in self.lowered(batch, cp))
            keeping = (op for op in ops if op.keeps or op.component == "head")
            self._tallies[key] = tally(self.spec, keeping, measure, len(RECOMPUTE) + 2)
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
        chunk = rows if method.loss_chunk is None else min(method.loss_chunk, rows)
        logits, loss = chunk * columns * (p.activation + 4), chunk * columns * 4
    alive = _activations(stage, ways, method, p.activation)
    work = loss + sum(_buffers(stage, ways, p.weight, gradient))
    if method.margin:
        work += round((weights + gradients + optimizer + alive + logits + work) * method.margin)
    return Memory(weights, gradients, optimizer, alive, logits, work)


def _activations(stage: Stage, ways: Ways, method: Method, act: int) -> int:
    """Bytes kept by the micro-batches in flight. What stands outside the layers is kept once per micro-batch in flight."""
    kept, layers = stage.kept, stage.span.layers
    chunks = in_flight(stage.span.stage, ways.pp, ways.virtual, ways.micro_batches)
    outside = kept.embedding * cut(chunks, ways.virtual) + kept.end
    every = method.checkpoint_every or (1 if method.recompute == "full" else None)
    if every is None:
        return cut(kept.layers[method.recompute] * chunks, ways.virtual) + outside
    boundary = kept.tokens * kept.width * act
    boundary = cut(boundary, ways.tp) if ways.sequence else boundary
    stored = cut(cut(layers, every) * boundary * chunks, ways.virtual)
    return stored + min(every, layers) * kept.layer[method.recompute] + outside


def _buffers(stage: Stage, ways: Ways, weight: int, gradient: int) -> tuple[int, int, int]:
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


def ranks(spec: ModelSpec, batch: int, seq: int, ways: Ways, method: Method) -> list[Rank]:
    """What one GPU of each stage holds at its fullest, for micro-batches of ``batch`` sequences."""
    check(spec, ways, method)
    optimizer = OPTIMIZERS[method.optimizer]
    if method.lora is not None and (optimizer.factored or optimizer.matrices is not None):
        raise InputError(f"the states of {optimizer.name} for adapters are not known; use adamw", field="optimizer")
    return [_rank(spec, stage, ways, method) for stage in Shares(spec, seq, method).stages(ways, batch)]


def _rank(spec: ModelSpec, stage: Stage, ways: Ways, method: Method) -> Rank:
    """A stage's bytes with the formulas that gave them."""
    p, memory = PRECISIONS[method.precision], held(stage, ways, method)
    said = _model_texts(spec, stage, ways, method)
    chunks = in_flight(stage.span.stage, ways.pp, ways.virtual, ways.micro_batches)
    times = f" × {chunks} in flight" if chunks > 1 else ""
    every = method.checkpoint_every or (1 if method.recompute == "full" else None)
    said.append(f"kept for backward op by op, at {p.activation} B per activation{times}")
    if every is not None:
        said[-1] = f"the input of every {every}. layer{times}, and {every} recomputed at a time"
    work = []
    head = stage.kept.head
    if head is None:
        said.append("")
    else:
        rows = head[0]
        chunk = rows if method.loss_chunk is None else min(method.loss_chunk, rows)
        text = "b·n·V" if chunk == rows else f"{chunk:,} tokens at a time × V"
        text += f" / {ways.tp} (tensor parallel)" if ways.tp > 1 else ""
        said.append(f"{text} × ({p.activation} B logits + 4 B log-softmax)")
        work.append(f"{text} × 4 B: the logits in fp32, or their gradient")
    why = ("two layers gathered, one layer's gradients", "a layer's input gathered", "routed tokens sent and received")
    sizes = _buffers(stage, ways, p.weight, method.gradient_bytes or p.gradient)
    if any(sizes):
        work.append("estimate: " + ", ".join(text for text, size in zip(why, sizes, strict=True) if size))
    if method.margin:
        work.append(f"an assumed {method.margin:.0%} of the rest is lost between blocks")
    said.append("; ".join(work) or "none")
    parts = [
        Part(part, size, formula)
        for (part, size), formula in zip(memory._asdict().items(), said, strict=True)
        if part != "logits" or head is not None
    ]
    return Rank(stage.span.stage, stage.span.layers, chunks, memory.total, parts)


def _model_texts(spec: ModelSpec, stage: Stage, ways: Ways, method: Method) -> list[str]:
    """The formulas of weights, gradients and optimizer."""
    p, optimizer = PRECISIONS[method.precision], OPTIMIZERS[method.optimizer]
    n, among = stage.weights.params + stage.weights.experts, ways.shard or ways.dp * ways.cp
    if method.lora is not None:
        each, trained = method.lora.bytes, stage.weights.adapters
        base = f"{n:,} frozen parameters × {p.weight} B" if method.base is None else quant.weights(spec, method.base).formula
        return [
            f"{base} + {trained:,} of adapters × {each} B",
            f"{trained:,} parameters of adapters × {each} B",
            f"{optimizer.name} for the adapters: {optimizer.source}",
        ]

    def told(level: int) -> str:
        return f" / {among} GPUs (ZeRO-{ways.zero})" if ways.zero >= level and among > 1 else ""

    master = f" + {p.master} B master copy" if p.master else ""
    return [
        f"{n:,} parameters × {p.weight} B{told(3)}",
        f"{n:,} parameters × {method.gradient_bytes or p.gradient} B{told(2)}",
        f"{optimizer.name}: {optimizer.source}{master}{told(1)}",
    ]
