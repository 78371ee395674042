"""One GPU's share of one op: tensor, sequence, context and expert parallelism as Megatron-LM and serving engines divide them.

Shoeybi et al. 2019, arXiv:1909.08053, sec. 3: the first matrices of a block are cut by columns, the last by rows, attention by
heads, tables and head by vocabulary. Korthikanti et al. 2022, arXiv:2205.05198, sec. 4.2: sequence parallelism cuts what is left
between the blocks by tokens. What comes out are ops again, so every fold works on a GPU's share as on the whole.
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.errors import InputError
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, Saved
from llmcx.parallel.layout import Layout, cut, divisors

SHARED = {
    "linear": ("d_out",),
    "lookup": ("rows",),
    "vector": ("size",),
    "scores": ("heads",),
    "values": ("heads",),
    "recompute": ("heads",),
    "matmul": ("batch",),  # batch · heads
    "solve": ("batch",),
    "conv": ("channels",),
    "cache": ("width",),
    "layernorm": ("tokens",),  # rows, one a head
    "rmsnorm": ("tokens",),
}
"""The dims that a share of heads or columns divides; "elements" of all other kinds."""

BY_TOKEN = {
    "linear": ("tokens",),
    "lookup": ("tokens",),
    "vector": (),
    "scores": ("pairs", "rows"),
    "values": ("pairs", "rows"),
    "recompute": ("pairs",),
    "matmul": ("batch",),
    "solve": ("batch",),
    "conv": ("length",),
    "cache": ("tokens",),
    "layernorm": ("tokens",),
    "rmsnorm": ("tokens",),
}
"""The dims that a share of the tokens divides; "elements" of all other kinds."""

ATTENDING = ("mixer", "beside", "cross", "norm", "residual")
"""Roles whose ops are of a share of the batch under attention data parallelism."""


class Division(NamedTuple):
    """What a layout says about an op. ``expert_tokens``: the experts of a GPU are met by one in so many of its routed tokens."""

    tp: int
    cp: int
    ep: int
    expert_tp: int
    expert_tokens: int
    attention_dp: int
    sequence: bool


def division(layout: Layout) -> Division:
    """Of all that makes a layout, what divides ops."""
    among = 1 if layout.replicas % layout.ep == 0 else layout.ep // layout.replicas
    return Division(
        layout.tp, layout.cp, layout.ep, layout.expert_tp, among, layout.attention_dp, layout.sequence and layout.tp > 1
    )


NOTHING = division(Layout())


def divide(op: Op, by: Division, seq: int) -> Op:
    """What the fullest GPU has of ``op``, lowered for sequences of ``seq`` tokens.

    Raises InputError for a part whose division by heads or columns is not known.
    """
    if by == NOTHING:
        return op
    tp, expert = by.tp, op.role == "expert"
    if expert:
        op = op._replace(copies=cut(op.copies, by.ep))
        tp = by.expert_tp
        if by.expert_tokens > 1:
            op = _tokens(op, 1, by.expert_tokens)
    elif by.attention_dp > 1 and op.role in ATTENDING:
        # A share of the sequences, whose cache is whole; of everything else, of their tokens.
        whole = op.dims | {"batch": cut(op.dims["batch"], by.attention_dp)} if op.cache else {}
        op = op._replace(dims=whole) if whole else _tokens(op, 1, by.attention_dp)
        tp //= by.attention_dp
    if by.cp > 1:
        op = _tokens(op, cut(seq, by.cp), seq)
    return op if tp == 1 else _tensor(op, tp, by.sequence)


def dividable(spec: ModelSpec, tp: int = 2) -> bool:
    """Whether it is known how ``tp`` GPUs divide every part."""
    by = division(Layout(tp=tp))
    try:
        return all(divide(op, by, 1) for op in lower(spec, Run()))
    except InputError:
        return False


def _tensor(op: Op, tp: int, sequence: bool) -> Op:
    if op.cut is None:
        raise InputError(
            f"tp is {tp}, but how tensor parallelism divides {op.component} is not known; use tp 1",
            field="tp",
            value=tp,
            allowed="1",
        )
    axis, units, gathered, strict = op.cut
    if strict and units % tp:
        known = ", ".join(map(str, divisors(units)))
        raise InputError(
            f"tp is {tp}, but the {units} groups of {op.component} are known to be divided by {known} only",
            field="tp",
            value=tp,
            allowed=known,
        )
    if axis == "tokens":
        return _tokens(op, 1, tp) if sequence else op
    if axis == "replicated":
        return op._replace(saved=_scaled(op.saved, 1, tp)) if sequence else op
    if axis == "whole":
        return op
    if axis == "vocab":
        dim = {"linear": "d_out", "lookup": "rows", "vector": "size"}[op.kind]
        op = op._replace(dims=op.dims | {dim: cut(op.dims[dim], tp)})
        return op._replace(saved=_scaled(op.saved, 1, tp)) if sequence and op.kind == "linear" else op
    share = cut(units, tp)
    dims = dict(op.dims)
    if op.kind == "linear":
        dim = "d_in" if axis == "rows" else "tokens" if axis == "heads" else "d_out"
        dims[dim] = cut(dims[dim] * share, units)
        if axis == "columns":
            saved = _scaled(op.saved, 1, tp) if sequence and not gathered else op.saved
            return op._replace(dims=dims, saved=saved)
    elif op.kind in ("layernorm", "rmsnorm"):
        if axis == "columns":
            dims["width"] = cut(dims["width"] * share, units)
            dims["weights"] = cut(dims["weights"] * share, units)
        else:  # a row a head; a vector for each where there is more than one
            if dims["weights"] >= units * dims["width"] > dims["width"]:
                dims["weights"] = cut(dims["weights"] * share, units)
            dims["tokens"] = cut(dims["tokens"] * share, units)
    elif op.kind == "lookup":
        dims["width"] = cut(dims["width"] * share, units)
    else:
        for dim in SHARED.get(op.kind, ("elements",)):
            dims[dim] = cut(dims[dim] * share, units)
        if "shared" in dims:  # heads that read the same keys: fewer heads of a GPU may, never more than it has
            dims["shared"] = max(1, min(dims["shared"], dims["heads"]))
    saved = tuple(_part(one, cut(one.units, tp), one.units) if one.units else _part(one, share, units) for one in op.saved)
    return op._replace(dims=dims, saved=saved)


def _tokens(op: Op, share: int, of: int) -> Op:
    """``share`` of ``of`` tokens."""
    dims = dict(op.dims)
    for dim in BY_TOKEN.get(op.kind, ("elements",)):
        if dim in dims:
            dims[dim] = cut(dims[dim] * share, of)
    return op._replace(dims=dims, saved=_scaled(op.saved, share, of))


def _part(saved: Saved, share: int, of: int) -> Saved:
    return saved._replace(elements=cut(saved.elements * share, of))


def _scaled(saved: tuple[Saved, ...], share: int, of: int) -> tuple[Saved, ...]:
    return tuple(_part(saved, share, of) for saved in saved)
