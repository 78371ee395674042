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
    "quick_gelu": 6,  # x·1.702, sigmoid (4), ·x
    "silu": 4,  # -x, exp, +1, division
    "sigmoid": 4,
    "elu": 3,  # elu(x) + 1: exp, -1, +1
    "tanh": 1,
    "xielu": 8,
    "situ": 11,  # β tanh(x/β) · sigmoid (8), and β' tanh(y/β') of what it gates (3)
}
"""Activation functions, and operations per element by llmcx's convention: each addition, product, root or exponential is one."""

KINDS = {
    "linear": "tokens, d_in, d_out, bias; tied 1: the matrix belongs to another op; grads: inputs that need a gradient, 2 unless"
    " stated: not a frozen matrix",
    "lookup": "tokens, rows, width",
    "vector": "size: parameters that no matmul uses, e.g. a gate per head",
    "scores": "batch, heads, pairs, width; rows, keys: how many of each meet; shared: heads that read the same keys; fused 1: in"
    " a kernel that keeps the scores on the chip; grads: inputs that need a gradient, 2 unless stated",
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

COLLECTIVES = {
    "all_reduce": "elements: of the tensor that each of the ranks has and gets summed up",
    "reduce_scatter": "elements: of the whole tensor, of which each rank gets a share summed up",
    "all_gather": "elements: of the whole tensor, of which each rank has a share",
    "all_to_all": "elements: that a rank sends to the experts of its tokens, its own included; copies: experts a token meets",
    "ring": "elements: that a rank receives from the ranks before it, and passes on",
    "send": "elements: that a rank sends to the next one",
}
"""What a rank sends, in ops of their own. Further dims of all: ranks, how many take part; stride, how far apart they are among
the GPUs; forward, backward: how often in a pass. Only the fold of what is sent has rules for them.
"""


Dims = dict[str, Any]
"""Some dims of an op, to be passed on by name."""


class Saved(NamedTuple):
    """One tensor that autograd saves for the backward pass.

    ``stored`` is "act" (the activations' dtype), "fp32" (always 4 bytes), "int64", "bool", or "upcast": an fp32 copy
    that exists beside the original only where activations are narrower than fp32; "uncast": one that exists only where they are
    not. ``units``: heads among which tensor parallelism shares it out, where these are not the op's own.
    """

    what: str
    elements: int
    stored: str = "act"
    units: int = 0


VIEW = "queries and keys that the values are a view with"
"""What is saved of a tensor beyond what backward reads of it."""


class Cut(NamedTuple):
    """How tensor parallelism divides an op (Shoeybi et al. 2019, arXiv:1909.08053, sec. 3; Korthikanti et al. 2022,
    arXiv:2205.05198, sec. 4.2).

    ``axis``: "columns" of a matrix or "rows" of it (what comes out are then partial sums), "heads", in shares of
    ``units`` (heads, columns); "vocab"; "tokens": weights are on every GPU, and sequence parallelism divides the tokens;
    "replicated": every GPU does it for all tokens; "whole": the same, and sequence parallelism does not reach it.
    ``gathered``: the input is whole on every GPU even then. ``strict``: GPUs that do not divide the units are refused, for what a
    share is then is not known.
    """

    axis: str
    units: int = 0
    gathered: bool = False
    strict: bool = False


TOKENS, REPLICATED, WHOLE, VOCAB = Cut("tokens"), Cut("replicated"), Cut("whole"), Cut("vocab")


class Cache(NamedTuple):
    """What a "cache" op leaves for the next token: ``kind`` "kv" (keys and values), "latent" (in place of them), "index" (an
    indexer's keys), "cross" (the encoder's keys and values), or what does not grow with the tokens: "state", and "conv", the last
    inputs of a filter. ``window``: tokens after which a key is never read again; ``chunks``: counted from its multiples.
    ``wide``: a state that the model's own code keeps in fp32; ``whole``: that code keeps what is behind the window too.
    """

    kind: str
    window: int | None = None
    chunks: bool = False
    wide: bool = False
    whole: bool = False


STATES = ("state", "conv")
"""Caches that do not grow with the tokens."""


class Op(NamedTuple):
    """``times`` identical operations of one kind, with the dims of one of them.

    ``component`` is its name for readers; costs go by the other fields. ``copies`` is how many sets of weights exist (an MoE
    layer's experts), ``used`` how many of them one token meets. ``group`` is the kind of layer, e.g. "decoder.0"; ops outside
    the layers carry "embedding" or "head". ``grad`` False is for what runs without gradient and so has no backward. ``role`` is
    one of :data:`ROLES`, ``module`` which matrix of it a linear op is (q, k, v, out, gate, up, down, ...; of traffic: along
    which axis of the layout), ``reads`` one of :data:`READS` (of traffic: what is sent), ``cut`` how tensor parallelism divides
    it (None: not known), ``cache`` what a cache op holds. ``joined``: a fused kernel does it together with the product that
    follows. ``joint``: transformers' code has this matrix and the ones before it with the same input as one.
    """

    component: str
    kind: str
    dims: dict[str, int]
    times: int = 1
    copies: int = 1
    used: int = 1
    saved: tuple[Saved, ...] = ()
    group: str = ""
    grad: bool = True
    role: str = "mixer"
    module: str = ""
    reads: str = ""
    cut: Cut | None = None
    cache: Cache | None = None
    joined: bool = False
    joint: bool = False


ROLES = (
    "embedding",  # the token table
    "positions",  # other tables, and what is done once to what is looked up
    "rotary",  # cosines and sines of the positions, which every stage of a pipeline has
    "norm",
    "residual",
    "mixer",
    "beside",  # a second mixer on the same input
    "cross",  # cross-attention
    "ffn",
    "router",
    "expert",
    "shared_expert",
    "extra",
    "final_norm",
    "head",  # the matrix over the vocabulary
    "head_transform",  # what stands before or beside it
    "tower",  # what sees and hears, and brings that to the model's width
    "traffic",  # what a rank sends
)
"""What an op belongs to."""

READS = ("", "normed", "activated")
"""What made a linear op's input: a norm, an activation or a product of its own block, or anything else."""


# Of all their fields, in order: at half the price of calling the class, where most ops of most models are made.
saved_of: Callable[[tuple[Any, ...]], Saved] = partial(tuple.__new__, Saved)
op_of: Callable[[tuple[Any, ...]], Op] = partial(tuple.__new__, Op)


def is_expert(op: Op) -> bool:
    """Whether a router chooses who does it: weights that expert parallelism shares out."""
    return op.role == "expert"


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
