"""Training memory, stage by stage of a pipeline, with its formulas: weights, gradients, optimizer, activations, logits, buffers.

The bytes are :func:`llmcx.parallel.shares.held`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.errors import InputError
from llmcx.formats import quant
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model.spec import ModelSpec
from llmcx.parallel.method import PRECISIONS, Method, Ways, check
from llmcx.parallel.shares import Shares, Stage, buffers, held
from llmcx.parallel.stages import in_flight


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


def ranks(spec: ModelSpec, batch: int, seq: int, ways: Ways, method: Method) -> list[Rank]:
    """What one GPU of each stage holds at its fullest, for micro-batches of ``batch`` sequences.

    Raises InputError for what cannot be run or is not known.

    >>> from llmcx.model.spec import Attention, Embedding, Layers, ModelSpec, Plain
    >>> one = ModelSpec("one", 64, Embedding(100), (Layers(4, Attention(4), Plain(256)),))
    >>> [(rank.layers, rank.in_flight) for rank in ranks(one, 1, 16, Ways(pp=2), Method())]
    [(2, 2), (2, 1)]
    """
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
    if method.every is None:
        said.append(f"kept for backward op by op, at {p.activation} B per activation{times}")
    else:
        said.append(f"the input of every {method.every}. layer{times}, and {method.every} recomputed at a time")
    work = []
    head = stage.kept.head
    if head is None:
        said.append("")
    else:
        rows, chunk = head[0], method.at_once(head[0])
        text = "b·n·V" if chunk == rows else f"{chunk:,} tokens at a time × V"
        text += f" / {ways.tp} (tensor parallel)" if ways.tp > 1 else ""
        said.append(f"{text} × ({p.activation} B logits + 4 B log-softmax)")
        work.append(f"{text} × 4 B: the logits in fp32, or their gradient")
    why = ("two layers gathered, one layer's gradients", "a layer's input gathered", "routed tokens sent and received")
    sizes = buffers(stage, ways, p.weight, method.gradient_bytes or p.gradient)
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
