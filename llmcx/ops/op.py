"""The op: one record per distinct piece of work. It states shapes; what they cost is a fold's to say (:mod:`llmcx.ops.fold`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

ACTIVATIONS = {
    "relu": 1,
    "relu2": 2,
    "gelu": 5,  # x/√2, erf, +1, ·x, ·½
    "gelu_new": 9,  # x³ (2), ·c, +x, ·√(2/π), tanh, +1, ·x, ·½
    "gelu_tanh": 9,
    "silu": 4,  # -x, exp, +1, division
    "sigmoid": 4,
    "elu": 3,  # elu(x) + 1: exp, -1, +1
    "tanh": 1,
    "xielu": 8,
}
"""Activation functions, and operations per element by llmcx's convention: each addition, product, root or exponential is one."""

KINDS = {
    "linear": "tokens, d_in, d_out, bias; tied 1: the matrix belongs to another op",
    "lookup": "tokens, rows, width",
    "vector": "size: parameters that no matmul uses, e.g. a gate per head",
    "scores": "batch, heads, pairs, width; rows, keys: how many of each meet; shared: heads that read the same keys; fused 1: in"
    " a kernel that keeps the scores on the chip",
    "values": "as scores",
    "recompute": "batch, heads, pairs, width: scores that a fused kernel did not keep, multiplied again for the backward pass",
    "matmul": "batch, m, k, n; weight: parameters of a learned side; grads: inputs that need a gradient, 2 unless stated",
    "solve": "batch, m, n: triangular systems of m equations with n right-hand sides",
    "conv": "batch, channels, length, kernel, bias: one filter per channel; length: outputs, padding included; met: channels"
    " that a filter meets in the backward pass",
    "scan": "elements, operations: a recurrence over the tokens, operations per element",
    "softmax": "elements",
    "layernorm": "tokens, width, weights",
    "rmsnorm": "tokens, width, weights",
    "product": "elements",
    "residual": "elements",
    "rotary": "elements",
    "cache": "batch, tokens, width",
    **dict.fromkeys(ACTIVATIONS, "elements"),
}
"""Every kind of op and its dims. A fold must have a rule for each, or say that it costs nothing."""


class Kept(NamedTuple):
    """One tensor that autograd keeps for the backward pass.

    ``stored`` is "act" (the activations' dtype), "fp32" (always 4 bytes), "int64", "bool", or "upcast": an fp32 copy
    that exists beside the original only where activations are narrower than fp32; "uncast": one that exists only where they are
    not.
    """

    what: str
    elements: int
    stored: str = "act"


class Op(NamedTuple):
    """``times`` identical operations of one kind, with the dims of one of them.

    ``copies`` is how many sets of weights exist (an MoE layer's experts), ``used`` how many of them one token meets.
    ``group`` is the layer group, e.g. "decoder.0"; ops outside the layers carry "embedding" or "head". ``grad`` False is
    for what runs without gradient and so has no backward.
    """

    component: str
    kind: str
    dims: dict[str, int]
    times: int = 1
    copies: int = 1
    used: int = 1
    keeps: tuple[Kept, ...] = ()
    group: str = ""
    grad: bool = True


# Of all their fields, in order: at half the price of calling the class, where most ops of most models are made.
kept: Callable[[tuple[Any, ...]], Kept] = partial(tuple.__new__, Kept)
op_of: Callable[[tuple[Any, ...]], Op] = partial(tuple.__new__, Op)


def is_core(op: Op) -> bool:
    """Whether an op's cost grows with pairs of positions or stands in for what does: the attention core, not its projections."""
    return op.kind in ("scores", "values", "matmul")


class Grouped(Protocol):
    """An op, or what was made of one: it has the op's group."""

    @property
    def group(self) -> str: ...


def in_layers(op: Grouped) -> bool:
    """Whether an op stands in a layer: not in the embedding, the head, or a stack's final norm."""
    return "." in op.group and not op.group.endswith(".norm")
