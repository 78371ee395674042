"""How many numbers a model learns, part by part, and what they weigh."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.costs.params import active, active_fold, chapter_estimate, count, embedding, fold, ops_of
from llmcx.formats import dtypes
from llmcx.later import Later
from llmcx.model.spec import ModelSpec
from llmcx.ops.fold import Line


@dataclass(frozen=True)
class Component:
    """A row of a breakdown; the shares of one breakdown add up to 1."""

    component: str
    params: int
    share: float


@dataclass(frozen=True)
class Params(Later):
    """The parameters of a model. ``active`` is what one token meets: all of it, less the experts not chosen."""

    total: int
    active: int
    embedding: int
    non_embedding: int
    dtype: str
    bytes: int
    chapter: int
    components: list[Component]
    lines: list[Line]


def params(spec: ModelSpec, dtype: str = "bf16") -> Params:
    """Count ``spec`` exactly, per component, and its weights' bytes in ``dtype``."""
    total = count(spec)
    return Params.later(_Rest(spec, total, dtype), total=total, dtype=dtype, bytes=dtypes.size(total, dtype))


class _Rest:
    """The other fields of :class:`Params`, each counted when it is read."""

    def __init__(self, spec: ModelSpec, total: int, dtype: str) -> None:
        self.spec, self.total, self.dtype = spec, total, dtype

    def active(self) -> int:
        return active(self.spec)

    def embedding(self) -> int:
        return embedding(self.spec)

    def non_embedding(self) -> int:
        return self.total - embedding(self.spec)

    def chapter(self) -> int:
        return chapter_estimate(self.spec.n_layers, self.spec.d_model, self.spec.embedding.vocab)

    def components(self) -> list[Component]:
        by_component = fold.by(ops_of(self.spec), lambda op: op.component)
        return [Component(name, n, n / self.total) for name, n in by_component.items()]

    def lines(self) -> list[Line]:
        ops, spec = ops_of(self.spec), self.spec
        each = fold.explain(ops)
        seldom = active_fold.explain(op for op in ops if op.copies != op.used)
        met, tables = active(spec), embedding(spec)
        idle = f"{self.total:,} - {self.total - met:,}"
        return [
            *each,
            Line("total", "Σ of the above", f"{len(each)} terms", self.total, "each parameter once, tied ones once"),
            *(line._replace(component=f"{line.component}, active") for line in seldom),
            Line("active", "total - experts not chosen", idle, met, "Shazeer et al. 2017, arXiv:1701.06538, sec. 2"),
            Line(
                "embedding", "Σ of the lookup tables", f"{tables:,}", tables, "transformers, num_parameters(exclude_embeddings)"
            ),
            Line("non_embedding", "total - embedding", f"{self.total:,} - {tables:,}", self.total - tables, "as above"),
            Line(
                "bytes",
                "ceil(total · bits / 8)",
                f"ceil({self.total:,} · {dtypes.bits(self.dtype)} / 8)",
                dtypes.size(self.total, self.dtype),
                f"{self.dtype}, packed",
            ),
            Line(
                "chapter",
                "12 L d² + V d",
                f"12·{spec.n_layers:,}·{spec.d_model:,}² + {spec.embedding.vocab:,}·{spec.d_model:,}",
                self.chapter(),
                "Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1",
            ),
        ]
