"""Megatron-LM with Transformer Engine: what a GPU of a pipeline's stage holds, phase by phase.

Weights, gradients and the optimizer's states are buffers that are there all along; activations of the micro-batches in flight
come and go. Beside them stand what the kernels reserve and, at a layer's turn and at the loss, gradients that are passed on. Held
against measured peaks (tests/oracle/megatron_peaks.csv) and Megatron-LM's own estimator (tests/oracle/megatron.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from llmcx.costs.saved_activations import kept_bytes
from llmcx.engines.phases import LOSS, STEP, GPUBytes
from llmcx.ops.op import Op, in_layers

TURN, HEAD = "the last layer's turn", "the head's backward"
KERNELS = 96 << 20
"""Bytes that matrix multiplication kernels reserve: what measured peaks of Llama 3 70B have more than the rest of this module."""
ROUTED = 5
"""Copies of the routed tokens at a layer's turn: permuted, sent, the experts' output, unsorted, sent back; the sorted ones are
saved. What measured peaks of DeepSeek-V2's first stage have more than the rest of this module.
"""


class Passing(NamedTuple):
    """Bytes on a stage's GPU that are there for a moment. ``shared``: weight gradients of which Transformer Engine keeps one of
    each shape, for they are summed up elsewhere; ``turn``: gradients while a layer turns from forward to backward; ``logits`` in
    the activations' format, 0 where the stage has no head; ``head``: the gradient of its matrix; ``hidden``: a layer's input.
    """

    shared: int
    turn: int
    logits: int
    head: int
    hidden: int


def phases(model: tuple[int, int, int], kept: int, of: Passing, fused_loss: bool) -> dict[str, GPUBytes]:
    """``model``: weights, gradients and states; ``kept`` for backward by all micro-batches in flight.

    The last layer's turn: everything is kept, and gradients are passed on. The loss: logits in 16 bits and in fp32; a
    ``fused_loss`` (--cross-entropy-loss-fusion) writes their gradient in their place. The head's backward: their gradient in 16
    bits, that of its matrix, its input's. The step: fused Adam needs nothing beside its states.

    >>> one = phases((10, 20, 30), 100, Passing(0, 7, 40, 5, 1), False)
    >>> {phase: held.total - KERNELS for phase, held in one.items()}
    {"the last layer's turn": 167, 'the loss': 280, "the head's backward": 206, "the optimizer's step": 60}
    """
    fixed = KERNELS + of.shared
    found = {TURN: GPUBytes(*model, kept, 0, fixed + of.turn)}
    if of.logits:
        if not fused_loss:
            found[LOSS] = GPUBytes(*model, kept, of.logits, fixed + 2 * of.logits)
        found[HEAD] = GPUBytes(*model, kept, of.logits, fixed + of.head + of.hidden)
    return found | {STEP: GPUBytes(*model, 0, 0, fixed)}


def turning(op: Op, activation: int) -> int:
    """Bytes of gradients in a feed-forward while its layer turns: of its first matrices' output, at ``activation`` a number; of
    experts, :data:`ROUTED` times the routed tokens.
    """
    if op.kind != "linear" or op.module not in ("gate", "up"):
        return 0
    if op.role == "expert":
        return ROUTED * kept_bytes([op._replace(times=1)], activation)
    return activation * op.dims["tokens"] * op.dims["d_out"] if op.role == "ffn" else 0


def shapes(ops: Iterable[Op]) -> frozenset[tuple[int, int]]:
    """The shapes of a layer's matrices on one GPU: queries, keys and values are one, gate and up are one."""
    widths: dict[tuple[str, str], tuple[int, int]] = {}
    for op in ops:
        if op.kind == "linear" and in_layers(op) and op.role != "router" and not op.dims["tied"]:
            of = (op.role, _JOINED.get(op.module, op.module or op.component))
            widths[of] = (op.dims["d_in"], op.dims["d_out"] + widths.get(of, (0, 0))[1])
    return frozenset(widths.values())


_JOINED = {"q": "qkv", "k": "qkv", "v": "qkv", "gate": "up"}
