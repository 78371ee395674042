"""A variant in a model: its ops at any length, what it holds and how far it reaches."""

from __future__ import annotations

from math import lcm

from llmcx.costs.flops import fold
from llmcx.costs.saved_activations import kept_bytes
from llmcx.engines.inference_memory import cached
from llmcx.machine.roofline import Machine, roofline
from llmcx.model.cores import Ring, TopK
from llmcx.model.mixers.attention import Attention
from llmcx.model.pairs import hops
from llmcx.model.run import LayerRun, Run
from llmcx.model.spec import ModelSpec
from llmcx.model.variants import DSA, Replacement, Variant, label, with_variant
from llmcx.ops.op import Op

CORE = ("scores", "softmax", "values", "recompute", "matmul", "solve", "scan", "elu")
"""Kinds of ops in which tokens meet, or what stands in for it. The rest of a mixer is projections, norms, filters and gates."""


class Candidate:
    """A variant in the model, and its ops at any length."""

    def __init__(self, spec: ModelSpec, variant: Variant, batch: int, act: int, ideal: bool) -> None:
        self.variant, self.name = variant, label(variant)
        self.model = with_variant(spec, variant)
        self.batch, self.act, self.ideal = batch, act, ideal
        self.devices = variant.devices if isinstance(variant, Ring) else 1
        self.exchanged = [
            (name, layers.mixer, layers.repeat)
            for name, layers in self.model.kinds.items()
            if isinstance(spec.kinds[name].mixer, Attention) and layers.mixer is not None
        ]
        self.layers = sum(repeat for _, _, repeat in self.exchanged)
        self.period = lcm(*(mixer.period() for _, mixer, _ in self.exchanged))  # in tokens, of the steps that chunks make

    def mixer_ops(self, seq: int) -> list[Op]:
        """The ops of the exchanged mixers alone, projections included: a part of :func:`lower`, cheap enough for crossings."""
        run = Run(self.batch, seq, ideal=self.ideal)
        return [
            op
            for name, mixer, repeat in self.exchanged
            for op in mixer.ops(LayerRun(self.model, run, self.batch, seq, seq, seq, name.startswith("decoder"), name, repeat))
        ]

    def core_ops(self, seq: int) -> list[Op]:
        """The ops of the cores alone, all layers'."""
        return [op for op in self.mixer_ops(seq) if op.kind in CORE]

    def sent(self, seq: int) -> int:
        """Bytes that a device of a ring passes on in one layer: its keys and values, and everybody's but its neighbour's."""
        if self.devices == 1:
            return 0
        held = cached(self.model, self.batch, seq).get("kv_cache", 0) // self.layers * self.act
        return -(-held * (self.devices - 1) // self.devices)

    def costs(self, seq: int, machine: Machine | None) -> dict[str, int]:
        """What crossings compare."""
        ops = self.core_ops(seq)
        found = {"core_flops": fold.total(ops), "kept_bytes": -(-kept_bytes(ops, self.act) // self.devices)}
        if machine is not None:
            found["core_seconds"] = roofline(ops, machine, self.act, self.devices, self.sent(seq) * self.layers).ticks
        return found


def reach(variant: Variant, seq: int, masked: bool) -> int | None:
    """Layers until all tokens meet (:func:`llmcx.model.pairs.hops`); other heads and recurrences connect them at once."""
    if isinstance(variant, DSA):
        return hops(TopK(variant.top_k), seq, masked)
    return 1 if isinstance(variant, Replacement) else hops(variant, seq, masked)


def peak(ops: list[Op], act: int) -> int:
    """The most bytes that one layer's core holds at a time, as an estimate: what it is given and saves, and beside that the
    scores and their softmax together, or the largest output of one op.
    """
    given = kept_bytes((op for op in ops if op.kind != "softmax"), act)

    def made(op: Op) -> int:
        d = op.dims
        if op.kind == "softmax" and not d["fused"]:
            return 2 * d["elements"]
        if op.kind == "values" and "rows" in d:
            return d["batch"] * d["heads"] * d["rows"] * d["width"]
        return d["batch"] * d["m"] * d["n"] if op.kind == "matmul" else 0

    return given + act * max(map(made, ops))
