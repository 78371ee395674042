"""Each component's parameters, and the totals."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.params import Params
from llmcx.costs.params import active_fold, fold
from llmcx.explain.terms import terms
from llmcx.formats import dtypes, quant
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec


def rows(spec: ModelSpec, answer: Params) -> list[Line]:
    """Every op that has parameters, then every total."""
    ops, total, tables = lower(spec, Run()), answer.total, answer.embedding
    each = terms(fold, ops)
    seldom = terms(active_fold, (op for op in ops if op.copies != op.used))
    idle = f"{total:,} - {total - answer.active:,}"
    return [
        *each,
        Line("total", "Σ of the above", f"{len(each)} terms", total, "each parameter once, tied ones once"),
        *(line._replace(component=f"{line.component}, active") for line in seldom),
        Line("active", "total - experts not chosen", idle, answer.active, "Shazeer et al. 2017, arXiv:1701.06538, sec. 2"),
        Line("embedding", "Σ of the lookup tables", f"{tables:,}", tables, "transformers, num_parameters(exclude_embeddings)"),
        Line("non_embedding", "total - embedding", f"{total:,} - {tables:,}", answer.non_embedding, "as above"),
        _bytes(spec, answer),
        Line(
            "chapter",
            "12 L d² + V d",
            f"12·{spec.n_layers:,}·{spec.d_model:,}² + {spec.embedding.vocab:,}·{spec.d_model:,}",
            answer.chapter,
            "Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1",
        ),
    ]


def _bytes(spec: ModelSpec, answer: Params) -> Line:
    """The weights in their format."""
    if answer.dtype in dtypes.BITS:
        numbers = f"ceil({answer.total:,} · {dtypes.bits(answer.dtype)} / 8)"
        return Line("bytes", "ceil(total · bits / 8)", numbers, answer.bytes, f"{answer.dtype}, packed")
    name = dtypes.RELEASED if spec.stored is not None and answer.dtype == spec.stored.name else answer.dtype
    found = quant.weights(spec, name)
    return Line("bytes", "Σ quants + scales + what stays", found.formula, answer.bytes, found.source)


def with_stored(spec: ModelSpec, answer: Params, stored: int) -> list[Line]:
    """The same, and how many more elements the files of weights hold."""
    difference = Line(
        "difference", "stored - counted", f"{stored:,} - {answer.total:,}", stored - answer.total, "the files' headers"
    )
    return [*rows(spec, answer), difference]
