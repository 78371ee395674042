"""Training memory, stage by stage of a pipeline: weights, gradients, optimizer, activations, logits, buffers.

Weights and activations are the ops' own (:func:`llmcx.core.lower.lower`), cut as :mod:`llmcx.core.sharding` says, so one GPU is
the case of all ways being 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from . import params as params_fold
from . import quant
from .errors import InputError, check_size, unknown_name
from .flops import in_layers
from .kept import KERNELS, RECOMPUTE, fused, kept_bytes, without_core
from .lora import LoRA
from .lower import Run, lower
from .ops import Op
from .optimizers import OPTIMIZERS
from .parts import ModelSpec, MoE
from .record import dataclass
from .sharding import cut, share


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
    if ways.pp * ways.virtual > spec.n_layers:
        raise InputError(
            f"pp × virtual is {ways.pp * ways.virtual}, but the model has {spec.n_layers} layers", field="pp", value=ways.pp
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


def ranks(spec: ModelSpec, batch: int, seq: int, ways: Ways, method: Method) -> list[Rank]:
    """What one GPU of each stage holds at its fullest, for micro-batches of ``batch`` sequences."""
    check(spec, ways, method)
    run = Run(
        batch,
        cut(seq, ways.cp),
        fused=method.attention != "eager",
        masks=method.attention == "sdpa",
        dropout=method.dropout,
    )
    ops = lower(spec, run)
    if method.kernels == "fused":
        ops = [fused(op) for op in ops]
    if method.recompute == "selective":
        ops = [without_core(op) for op in ops]
    if method.lora is not None:
        ops = method.lora.kept(ops)
    ops = [share(op, spec, ways.tp, ways.ep, ways.sequence) for op in ops]
    return [_rank(spec, stage, ops, run, ways, method) for stage in range(ways.pp)]


def _rank(spec: ModelSpec, stage: int, ops: list[Op], run: Run, ways: Ways, method: Method) -> Rank:
    p, optimizer = PRECISIONS[method.precision], OPTIMIZERS[method.optimizer]
    here, layers = stage_ops(spec, ops, stage, ways.pp)
    expert = [op for op in here if op.component.startswith("moe.expert")]
    dense = [op for op in here if not op.component.startswith("moe.expert")]
    n, n_expert = (params_fold.fold.total(some) for some in (dense, expert))
    among = ways.shard or ways.dp * ways.cp
    among_experts = max(among // ways.ep, 1)

    def over(level: int, each: int) -> int:
        by, by_expert = (among, among_experts) if ways.zero >= level else (1, 1)
        return cut(each * n, by) + cut(each * n_expert, by_expert)

    def told(level: int) -> str:
        return f" / {among} GPUs (ZeRO-{ways.zero})" if ways.zero >= level and among > 1 else ""

    gradient = method.gradient_bytes or p.gradient
    by, by_expert = (among, among_experts) if ways.zero >= 1 else (1, 1)
    states = cut(optimizer.bytes(dense) + p.master * n, by) + cut(optimizer.bytes(expert) + p.master * n_expert, by_expert)
    master = f" + {p.master} B master copy" if p.master else ""
    in_flight, alive, formula = activations(spec, here, run, ways, method, stage, layers, p.activation)
    total = n + n_expert
    parts = [
        Part("weights", over(3, p.weight), f"{total:,} parameters × {p.weight} B{told(3)}"),
        Part("gradients", over(2, gradient), f"{total:,} parameters × {gradient} B{told(2)}"),
        Part("optimizer", states, f"{optimizer.name}: {optimizer.source}{master}{told(1)}"),
    ]
    if method.lora is not None:
        parts = _adapters(spec, method.lora, here, method, [among if ways.zero >= level else 1 for level in (1, 2, 3)])
    parts.append(Part("activations", alive, formula))
    work: list[tuple[int, str]] = []
    head = next((op for op in here if op.component == "head"), None)
    if head is not None:
        rows, width = head.dims["tokens"], head.dims["d_out"]
        chunk = rows if method.loss_chunk is None else min(method.loss_chunk, rows)
        text = "b·n·V" if chunk == rows else f"{chunk:,} tokens at a time × V"
        text += f" / {ways.tp} (tensor parallel)" if ways.tp > 1 else ""
        parts.append(Part("logits", chunk * width * (p.activation + 4), f"{text} × ({p.activation} B logits + 4 B log-softmax)"))
        work.append((chunk * width * 4, f"{text} × 4 B: the logits in fp32, or their gradient"))
    work.append(communication(here, run, ways, p.weight, gradient, spec))
    if method.margin:
        held = sum(part.bytes for part in parts) + sum(size for size, _ in work)
        work.append((round(held * method.margin), f"an assumed {method.margin:.0%} of the rest is lost between blocks"))
    parts.append(Part("workspace", sum(size for size, _ in work), "; ".join(f"{text}" for size, text in work if size) or "none"))
    return Rank(stage, layers, in_flight, sum(part.bytes for part in parts), parts)


def _adapters(spec: ModelSpec, lora: LoRA, ops: list[Op], method: Method, by: list[int]) -> list[Part]:
    """Weights, gradients and states where only the adapters are trained; ``by`` GPUs share states, gradients, weights."""
    optimizer, trained = OPTIMIZERS[method.optimizer], lora.params(ops)
    if optimizer.factored or optimizer.matrices is not None:
        raise InputError(f"the states of {optimizer.name} for adapters are not known; use adamw", field="optimizer")
    n, each = params_fold.fold.total(ops), PRECISIONS[method.precision].weight
    frozen, told = each * n, f"{n:,} frozen parameters × {each} B"
    if method.base is not None:
        stored = quant.weights(spec, method.base)
        frozen, told = stored.bytes, stored.formula
    return [
        Part("weights", cut(frozen + lora.bytes * trained, by[2]), f"{told} + {trained:,} of adapters × {lora.bytes} B"),
        Part("gradients", cut(lora.bytes * trained, by[1]), f"{trained:,} parameters of adapters × {lora.bytes} B"),
        Part("optimizer", cut(optimizer.of(trained), by[0]), f"{optimizer.name} for the adapters: {optimizer.source}"),
    ]


def stage_ops(spec: ModelSpec, ops: Iterable[Op], stage: int, pp: int) -> tuple[list[Op], int]:
    """The ops of a stage, and its number of layers: the first L mod pp stages have one more than the others.

    Layers stand in the order of the spec's groups. The first stage embeds, the last has the head: its own copy of a tied table.
    """
    if pp == 1:
        return list(ops), spec.n_layers
    each, more = divmod(spec.n_layers, pp)
    first = stage * each + min(stage, more)
    last = first + each + (stage < more)
    span: dict[str, tuple[int, int]] = {}
    start = 0
    for stack, groups in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        for index, group in enumerate(groups):
            end = start + group.repeat
            span[f"{stack}.{index}"] = max(0, min(end, last) - max(start, first)), group.repeat
            start = end
    out = []
    for op in ops:
        if op.group in span:
            mine, of = span[op.group]
            times = op.times * mine // of
            if times:
                out.append(op._replace(times=times))
        elif op.group == "embedding":
            if stage == 0 or op.component == "embedding.rotary":
                out.append(op)
        elif stage == pp - 1:
            out.append(op._replace(dims=op.dims | {"tied": 0}) if op.component == "head" else op)
    return out, last - first


def in_flight(stage: int, ways: Ways) -> int:
    """Chunks of layers (a stage's layers / virtual) whose activations a stage holds at most.

    1F1B holds pp - stage micro-batches (Narayanan et al. 2021, arXiv:2104.04473, sec. 2.2.1); interleaved, 2 (pp - stage - 1) +
    (virtual - 1) pp + 1 chunks, on the first stage pp·virtual + pp - 1, which is 1 + (pp - 1) / (pp·virtual) times as much
    (Korthikanti et al. 2022, arXiv:2205.05198, sec. 4.2.3).

    >>> in_flight(0, Ways(pp=4)), in_flight(3, Ways(pp=4)), in_flight(0, Ways(pp=4, virtual=2))
    (4, 1, 11)
    """
    most = ways.pp - stage if ways.virtual == 1 else 2 * (ways.pp - stage - 1) + (ways.virtual - 1) * ways.pp + 1
    return most if ways.micro_batches is None else min(most, ways.micro_batches * ways.virtual)


def activations(
    spec: ModelSpec, here: list[Op], run: Run, ways: Ways, method: Method, stage: int, layers: int, act: int
) -> tuple[int, int, str]:
    """Chunks in flight, bytes kept, formula. What stands outside the layers is kept once per micro-batch in flight."""
    chunks = in_flight(stage, ways)
    batches = cut(chunks, ways.virtual)
    inside = [op for op in here if in_layers(op)]
    outside = kept_bytes((op for op in here if not in_layers(op) and op.group == "embedding"), act) * batches
    outside += kept_bytes((op for op in here if not in_layers(op) and op.group != "embedding"), act)
    every = method.checkpoint_every or (1 if method.recompute == "full" else None)
    times = f" × {chunks} in flight" if chunks > 1 else ""
    if every is None:
        alive = cut(kept_bytes(inside, act) * chunks, ways.virtual)
        return chunks, alive + outside, f"kept for backward op by op, at {act} B per activation{times}"
    if every > spec.n_layers:
        raise InputError(
            f"checkpoint_every is {every}, but the model has {spec.n_layers} layers",
            field="checkpoint_every",
            value=every,
            allowed=f"1 to {spec.n_layers}",
        )
    boundary = run.batch * run.seq * spec.d_model * act
    boundary = cut(boundary, ways.tp) if ways.sequence else boundary
    stored = cut(cut(layers, every) * boundary * chunks, ways.virtual)
    segment = min(every, layers) * largest_layer(inside, act)
    return chunks, stored + segment + outside, f"the input of every {every}. layer{times}, and {every} recomputed at a time"


def largest_layer(inside: Iterable[Op], act: int) -> int:
    """Bytes that the layer which keeps most keeps: a recomputed segment is as large as its largest layers."""
    sizes: dict[str, int] = {}
    for op in inside:
        sizes[op.group] = sizes.get(op.group, 0) + kept_bytes([op._replace(times=1)], act)
    return max(sizes.values(), default=0)


def communication(here: list[Op], run: Run, ways: Ways, weight: int, gradient: int, spec: ModelSpec) -> tuple[int, str]:
    """Buffers that the ways of sharing need beside their shares, an estimate: of each kind the largest that is alive.

    ZeRO-3 gathers a layer while the next is on its way, and has a layer's gradients whole before they are shared out; sequence
    parallelism gathers one layer's input; experts send and receive the routed tokens. Gradients are otherwise reduced in place.
    """
    size, why = 0, []
    inside = [op for op in here if in_layers(op)]
    if ways.zero == 3 and (ways.shard or ways.dp * ways.cp) > 1:
        layer: dict[str, int] = {}
        for op in inside:
            layer[op.group] = layer.get(op.group, 0) + params_fold.fold.of(op._replace(times=1))
        size += (2 * weight + gradient) * max(layer.values(), default=0)
        why.append("two layers gathered, one layer's gradients")
    tokens = run.batch * run.seq
    if ways.tp > 1 and ways.sequence:
        size += 2 * tokens * spec.d_model
        why.append("a layer's input gathered")
    if ways.ep > 1:
        top_k = max(group.ffn.top_k for group in spec.groups if isinstance(group.ffn, MoE))
        size += 2 * 2 * cut(tokens, ways.tp if ways.sequence else 1) * top_k * spec.d_model
        why.append("routed tokens sent and received")
    return size, "estimate: " + ", ".join(why)
