"""Every pass, op by op, then its total, in the order in which they are shown."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.flops import Flops, LeadingOrder, Macs, Pass
from llmcx.costs.flops import CONVENTION, backward_fold, elementwise, fold
from llmcx.costs.leading_order import attended
from llmcx.explain.terms import by_component, summed, terms, tree
from llmcx.explain.written import plain, told, written
from llmcx.model.lower import Run, lower
from llmcx.model.spec import MoE
from llmcx.ops.fold import Fold
from llmcx.ops.op import Op, in_layers, is_core

_KAPLAN = "Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1"
_SHAZEER = "Shazeer 2019, arXiv:1911.02150, sec. 2.4"
_BISECTED = "by bisection on the exact counts"


def rows(answer: Flops) -> list[Line]:
    """The formulas of an answer, in its convention."""
    leading = isinstance(answer, LeadingOrder)
    forward, backward, again = answer.forward.total, answer.backward.total, answer.recomputation
    tokens = answer.run.batch * answer.run.seq
    step = f"{answer.run.batch:,} · 1 token at context {answer.context:,}"
    found = _leading(answer, answer.run) if leading else _pass(answer, fold, answer.ops)
    found.append(_total("forward", found, answer.forward))
    after = (
        [_doubled(line) for line in found[:-1] if line.component in {row.component for row in answer.forward.components}]
        if leading
        else _pass(answer, backward_fold, answer.ops, "backward ")
    )
    found += [*after, _total("backward", after, answer.backward, "backward ")]
    parts, formula = f"{forward:,} + {backward:,}", "forward + backward"
    if answer.recompute:
        chen = "Chen et al. 2016, arXiv:1604.06174"
        what = "forward - what is outside the layers"
        found.append(Line("recomputation", what, f"{forward:,} - {forward - again:,}", again, chen))
        parts, formula = f"{parts} + {again:,}", f"{formula} + recomputation"
    found += [
        Line("train", formula, parts, answer.train.total, _KAPLAN),
        Line("per_token", "forward / tokens", f"{forward:,} / {tokens:,}", answer.per_token, "the mean over all positions"),
    ]
    decode = (
        [line._replace(component=f"decode {line.component}") for line in _leading(answer, answer.step)]
        if leading
        else _pass(answer, fold, lower(answer.spec, answer.step), "decode ")
    )
    found += [*decode, _total("decode", decode, answer.decode, "decode ", _SHAZEER, step)]
    elements = _named("elementwise ", tree(by_component(terms(elementwise, answer.ops))))
    apart = "counted apart from the matmuls"
    found += [*elements, _total("elementwise", elements, answer.elementwise, "elementwise ", CONVENTION, apart)]
    return [*found, *_crossovers(answer), *_rules_of_thumb(answer)]


def _named(prefix: str, lines: list[Line]) -> list[Line]:
    return [line._replace(component=f"{prefix}{line.component}") for line in lines]


def _total(name: str, lines: list[Line], of: Pass, prefix: str = "", source: str = "its terms above", where: str = "") -> Line:
    """The sum of a pass's rows; the terms of a row are in it already."""
    heads = {f"{prefix}{row.component}" for row in of.components}
    return summed(name, (line for line in lines if line.component in heads), source, where)


def _pass(answer: Flops, of: Fold, ops: list[Op], prefix: str = "") -> list[Line]:
    """The rows of a pass, each with the ops that it sums up."""
    lines = tree(by_component(terms(of, ops)))
    if isinstance(answer, Macs):
        lines = [
            line._replace(formula=f"({line.formula}) / 2", numbers=f"({line.numbers}) / 2", value=int(line.value) // 2)
            for line in lines
        ]
    return _named(prefix, lines)


def _doubled(line: Line) -> Line:
    formula, numbers = (f"2·({text})" if " + " in text else f"2·{text}" for text in (line.formula, line.numbers))
    return Line(f"backward {line.component}", formula, numbers, 2 * line.value, line.source, line.where)


def _leading(answer: Flops, run: Run) -> list[Line]:
    """The chapter's two terms of every kind of layer."""
    spec, d = answer.spec, written(answer.spec.d_model, "d")
    found: dict[str, list[Line]] = {_MATRICES: [], _CORE: []}
    for name, layers in spec.kinds.items():
        encoding = name.startswith("encoder")
        if encoding and not run.encode:
            continue
        met = run.seq if run.source is None else run.source
        q = met if encoding and spec.decoder else run.seq
        kv = q + (0 if encoding else run.past)
        several, n = written(layers.repeat, "L"), written(run.batch * q, "n")
        tokens, ffn = n * d * d, layers.ffn
        if isinstance(ffn, MoE):
            tokens = tokens * written(ffn.top_k, "k") + n * d * written(ffn.n_experts, "E")
        keys = written(attended(layers.mixer, kv, spec.d_model), "s") + (0 if layers.cross is None else written(met, "m"))
        for part, value, where in (
            (_MATRICES, several * tokens, "n tokens, d the width"),
            (_CORE, several * keys * n * d, "s the keys, or what stands for them, that a query meets"),
        ):
            line = Line(f"{part} in {name}", *told(value), plain(value), "the textbook chapter, sec. 1", where)
            found[part].append(line)
    return tree(found)


_MATRICES, _CORE = "projections and feed-forward", "attention core"


def _crossovers(answer: Flops) -> list[Line]:
    """Where attention overtakes the linear layers, with the two at that length and just before it."""
    found, lines = answer.crossover, []
    for name, n, head in (("crossover.layers", found.layers, False), ("crossover.with_head", found.with_head, True)):
        if n is None:
            continue
        sides = [_sides(answer, at, head) for at in (n, n - 1)]
        numbers = f"{n:,}: {sides[0][0]:,} >= {sides[0][1]:,}"
        if n > 1 and sides[1][0] < sides[1][1]:
            numbers += f"; {sides[1][0]:,} < {sides[1][1]:,}"
        where = "attention against the matrices" + (", the head's among them" if head else " of the layers")
        formula = "least n with attention(n) >= matrices(n) from there on"
        lines.append(Line(name, formula, numbers, n, _BISECTED, f"{where}: at n, and at n - 1"))
    return lines


def _sides(answer: Flops, n: int, head: bool) -> tuple[int, int]:
    """Attention's cores and all matrices at a length, in the answer's convention."""
    if isinstance(answer, LeadingOrder):
        totals = {line.component: int(line.value) for line in _leading(answer, Run(seq=n))}
        return totals[_CORE], totals[_MATRICES]
    ops = [op for op in lower(answer.spec, Run(seq=n, ideal=answer.run.ideal)) if head or in_layers(op)]
    core = fold.total(op for op in ops if is_core(op))
    return core, fold.total(ops) - core


def _rules_of_thumb(answer: Flops) -> list[Line]:
    """What rules of thumb say, each beside the exact count."""
    tokens = answer.run.batch * answer.run.seq
    return [
        Line(
            row.rule,
            row.rule,
            f"{row.rule[0]}·{row.value // (int(row.rule[0]) * tokens):,}·{tokens:,}",
            row.value,
            _KAPLAN,
            f"{row.error:+.2%} off the exact {row.exact:,}",
        )
        for row in answer.approximations
    ]
