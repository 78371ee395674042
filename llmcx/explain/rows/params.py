"""Each row of the table with the terms that it sums up, then the totals."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.params import Params
from llmcx.costs.params import active_fold, fold, is_embedding
from llmcx.explain.grouped import parts
from llmcx.explain.terms import by_component, summed, terms, tree
from llmcx.explain.written import told, written
from llmcx.formats import dtypes, quant
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op

_SHAZEER = "Shazeer et al. 2017, arXiv:1701.06538, sec. 2"


def rows(spec: ModelSpec, answer: Params) -> list[Line]:
    """Every op that has parameters, under the row that it is part of, then every total."""
    ops, total, tables = lower(spec, Run()), answer.total, answer.embedding
    by = by_component(terms(fold, ops))
    found: list[Line] = []
    heads: list[Line] = []
    for part, components in parts(answer.components, answer.stacks).items():
        below = [tree({each.component: by[each.component]}) for each in components]
        found += [line for lines in below for line in lines]
        if len(components) > 1:
            found.append(summed(part, (lines[-1] for lines in below)))
        heads.append(found[-1])
    found.append(summed("total", heads, "each parameter once, tied ones once"))
    if answer.active != total:
        found += active(ops, total, answer.active)
    looked_up = [line._replace(component=f"{line.component}, table") for line in terms(fold, filter(is_embedding, ops))]
    return [
        *found,
        summed("embedding", looked_up, "transformers, num_parameters(exclude_embeddings)", "the lookup tables"),
        Line("non_embedding", "total - embedding", f"{total:,} - {tables:,}", answer.non_embedding, "as above"),
        *weighed("bytes", spec, answer.dtype, total, answer.bytes),
        Line(
            "chapter",
            "12·L·d² + V·d",
            f"12·{spec.n_layers:,}·{spec.d_model:,}² + {spec.embedding.vocab:,}·{spec.d_model:,}",
            answer.chapter,
            "Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1",
            "the textbook chapter's count, sec. 2",
        ),
    ]


def counted(ops: list[Op]) -> list[Line]:
    """A line for each component that has parameters."""
    by = by_component(terms(fold, ops))
    return [summed(name, lines) if len(lines) > 1 else lines[0] for name, lines in by.items()]


def active(ops: list[Op], total: int, met: int) -> list[Line]:
    """What a token meets: all but the experts that are not chosen, and what sees and hears."""
    seldom = [op for op in ops if fold.of(op) != active_fold.of(op)]
    each = [line._replace(component=f"{line.component}, met") for line in terms(active_fold, seldom)]
    idle = "".join(f" - ({fold.of(op):,} - {active_fold.of(op):,})" for op in seldom)
    formula, where = "total - Σ (stored - met by a token)", "experts that are not chosen, and what sees and hears"
    return [*each, Line("active", formula, f"{total:,}{idle}", met, _SHAZEER, where)]


def weighed(
    name: str,
    spec: ModelSpec,
    dtype: str,
    params: int,
    size: int,
    mine: list[Op] | None = None,
    stored: quant.Weights | None = None,
) -> list[Line]:
    """``size`` bytes of ``params`` parameters (of the ops ``mine``, where they are a share) in a format, or as they are
    ``stored``: where it has scales, by the formats of the tensors.
    """
    if dtype in dtypes.BITS and stored is None:
        n = written(params, "parameters")
        got = dtypes.bits(dtype)
        formula, numbers = (
            told(n * written(got // 8, "bytes"))
            if got % 8 == 0
            else (
                "ceil(parameters·bits / 8)",
                f"ceil({params:,}·{got} / 8)",
            )
        )
        return [Line(name, formula, numbers, size, f"{dtype}, packed")]
    of = dtypes.RELEASED if spec.stored is not None and dtype == spec.stored.name else dtype
    found = stored or quant.weights(spec, of, mine)
    held = [
        Line(
            f"{name} in {each}",
            "elements · bytes of one, scales included",
            f"{row['elements']:,}·{row['bytes'] / row['elements']:.9g}",
            row["bytes"],
            found.source,
        )
        for each, row in found.by_dtype.items()
        if row["elements"]
    ]
    return [*held, summed(name, held, found.source, found.formula)]


def with_stored(spec: ModelSpec, answer: Params, stored: int) -> list[Line]:
    """The same, and how many more elements the files of weights hold."""
    difference = Line(
        "difference", "stored - counted", f"{stored:,} - {answer.total:,}", stored - answer.total, "the files' headers"
    )
    return [*rows(spec, answer), difference]
