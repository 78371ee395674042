"""How many numbers a model learns, part by part, and what they weigh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from llmcx.answers import Result
from llmcx.costs.params import active_fold, chapter_estimate, fold, is_embedding, mtp
from llmcx.formats import dtypes
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec


class Component(NamedTuple):
    """A row of a breakdown; the shares of one breakdown add up to 1."""

    component: str
    params: int
    share: float


@dataclass(frozen=True, repr=False)
class Params(Result, brief="total active bytes dtype", table="components"):
    """The parameters of a model. ``active`` is what one token of text meets: all of it, less the experts not chosen and what sees
    and hears; ``stacks`` has these apart, where there are any. ``mtp``, layers for multi-token prediction that are released
    beside it, are in none.
    """

    total: int
    active: int
    embedding: int
    non_embedding: int
    dtype: str
    bytes: int
    chapter: int
    mtp: int
    components: list[Component]
    stacks: list[Component]


def params(spec: ModelSpec, dtype: str | None = None) -> Params:
    """Count ``spec`` exactly, per component, and its weights' bytes in ``dtype`` (None: as it is released)."""
    dtype = dtypes.default(spec) if dtype is None else dtype
    ops = lower(spec, Run())
    by_component = fold.by(ops, lambda op: op.component)
    by_stack = fold.by(ops, lambda op: op.group.partition(".")[0] if op.role == "tower" else "text") if spec.towers else {}
    total, embedding = sum(by_component.values()), fold.total(op for op in ops if is_embedding(op))
    return Params(
        total=total,
        active=active_fold.total(ops),
        embedding=embedding,
        non_embedding=total - embedding,
        dtype=spec.stored.name if dtype == dtypes.RELEASED and spec.stored is not None else dtype,
        bytes=_bytes(spec, total, dtype),
        mtp=mtp(spec),
        chapter=chapter_estimate(spec.n_layers, spec.d_model, spec.embedding.vocab),
        components=[Component(name, n, n / total) for name, n in by_component.items()],
        stacks=[Component(name, n, n / total) for name, n in by_stack.items()],
    )


def _bytes(spec: ModelSpec, total: int, dtype: str) -> int:
    if dtype in dtypes.BITS:
        return dtypes.size(total, dtype)
    from llmcx.formats import quant  # which a short command need not import

    return quant.weights(spec, dtype).bytes
