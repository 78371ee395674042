"""One rank's share of an op: tensor, sequence and expert parallelism as Megatron-LM divides them.

Shoeybi et al. 2019, arXiv:1909.08053, sec. 3: the first matrices of a block are cut by columns, the last by rows, attention by
heads, tables and head by vocabulary. Korthikanti et al. 2022, arXiv:2205.05198, sec. 4.2: sequence parallelism cuts what is left
between the blocks by tokens. What comes out are ops again, so every fold works on a rank's share as on the whole.
"""

from __future__ import annotations

from math import isqrt

from llmcx.errors import InputError
from llmcx.model.lower import Run, lower
from llmcx.model.mixers.attention import Attention
from llmcx.model.mixers.mla import MLA
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Kept, Op

BY_TOKENS = ("norm", "final_norm", "residual", "router", "router_norm", "softmax", "combine", "shared_gate", "correction")
WHOLE = ("q_down", "kv_down", "q_norm", "kv_norm")  # of latent attention: every rank computes the latents
KNOWN = ("attention", "cross_attention", "ffn", "moe", "norm", "final_norm", "residual", "embedding", "head", "pooler")


def cut(n: int, ways: int) -> int:
    """The largest of ``ways`` shares of ``n``.

    >>> cut(10, 4)
    3
    """
    return -(-n // ways)


def divisors(n: int) -> list[int]:
    """What divides ``n``, ascending.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]


def share(op: Op, spec: ModelSpec, tp: int, ep: int, sequence: bool) -> Op:
    """What the fullest of ``tp`` ranks, and of ``ep`` groups of experts, has of ``op``.

    Raises InputError for a part whose division is not known (recurrent mixers).
    """
    if op.component.startswith("moe.expert"):
        op = op._replace(copies=cut(op.copies, ep))
    if tp == 1:
        return op
    root, _, leaf = op.component.partition(".")
    if root not in KNOWN or "indexer" in leaf:
        raise InputError(
            f"tp is {tp}, but how tensor parallelism divides {op.component} is not known; use tp 1", field="tp", allowed="1"
        )
    if root == "embedding":
        return _dims(op, rows=cut(op.dims["rows"], tp)) if leaf == "tokens" else op
    if root == "head" and not leaf:
        return _tokens(_dims(op, d_out=cut(op.dims["d_out"], tp)), tp, sequence)
    if root in ("attention", "cross_attention"):
        return _attention(op, spec, leaf, tp, sequence)
    if root in BY_TOKENS or (root == "moe" and leaf in BY_TOKENS):
        return _tokens(op, tp, sequence)
    if root in ("ffn", "moe"):
        return _block(op, leaf.rpartition(".")[2], tp, sequence)
    return op


def dividable(spec: ModelSpec) -> bool:
    """Whether it is known how tensor parallelism divides every part."""
    try:
        for op in lower(spec, Run()):
            share(op, spec, 2, 1, True)
    except InputError:
        return False
    return True


def _attention(op: Op, spec: ModelSpec, leaf: str, tp: int, sequence: bool) -> Op:
    """By heads; key-value heads are doubled where there are fewer than ranks."""
    mixer = _mixer(op, spec)
    heads, of = cut(mixer.n_heads, tp), mixer.n_heads
    if isinstance(mixer, MLA) and leaf in WHOLE:
        return _tokens(op, tp, sequence)
    kv, kv_of = (cut(mixer.kv_heads, tp), mixer.kv_heads) if isinstance(mixer, Attention) else (heads, of)
    if op.kind == "linear":
        if leaf == "out":
            return _scaled(_dims(op, d_in=op.dims["d_in"] * heads // of), heads, of)
        mine = (kv, kv_of) if leaf in ("k", "v") else (heads, of)
        narrow = _dims(op, d_out=op.dims["d_out"] * mine[0] // mine[1])
        # Latents are whole on each rank; the input of the others comes cut by tokens, where it is.
        return narrow if isinstance(mixer, MLA) and leaf.endswith("_up") else _tokens(narrow, tp, sequence)
    if op.kind == "vector":
        return _dims(op, size=op.dims["size"] * heads // of)
    if op.kind == "cache":
        return op if isinstance(mixer, MLA) else _dims(op, width=op.dims["width"] * kv // kv_of)
    if leaf == "k_norm":
        return _scaled(op, kv, kv_of)
    if op.kind == "scores" and isinstance(mixer, Attention) and op.dims.get("fused"):
        # A fused kernel keeps keys and values as they are, unless a mask made PyTorch copy them to every head.
        narrow_kv = 2 * op.dims["batch"] * op.dims["keys"] * kv_of * op.dims["width"]
        keeps = tuple(
            _part(kept, kv, kv_of) if kept.what == "keys and values" and kept.elements == narrow_kv else _part(kept, heads, of)
            for kept in op.keeps
        )
        return op._replace(keeps=keeps)
    return _scaled(op, heads, of)


def _block(op: Op, leaf: str, tp: int, sequence: bool) -> Op:
    """A feed-forward: up and gate by columns, down by rows, what lies between with them."""
    if op.kind != "linear":
        return _scaled(op, 1, tp)
    if leaf == "down":
        return _scaled(_dims(op, d_in=cut(op.dims["d_in"], tp)), 1, tp)
    narrow = _dims(op, d_out=cut(op.dims["d_out"], tp))
    # Routed tokens are gathered before the experts, and stay so.
    return narrow if op.component.startswith("moe.expert") else _tokens(narrow, tp, sequence)


def _mixer(op: Op, spec: ModelSpec) -> Attention | MLA:
    layers = spec.kinds[op.group]
    mixer = layers.cross if op.component.startswith("cross_attention") else layers.mixer
    if not isinstance(mixer, (Attention, MLA)):
        raise InputError(f"how tensor parallelism divides {getattr(mixer, 'type', mixer)} is not known; use tp 1", field="tp")
    return mixer


def _dims(op: Op, **changed: int) -> Op:
    return op._replace(dims=op.dims | changed)


def _part(kept: Kept, share: int, of: int) -> Kept:
    return kept._replace(elements=cut(kept.elements * share, of))


def _scaled(op: Op, share: int, of: int) -> Op:
    """The kept tensors cut by heads or by width."""
    return op._replace(keeps=tuple(_part(kept, share, of) for kept in op.keeps))


def _tokens(op: Op, tp: int, sequence: bool) -> Op:
    """The kept tensors whole on every rank, or cut by tokens."""
    return _scaled(op, 1, tp) if sequence else op
