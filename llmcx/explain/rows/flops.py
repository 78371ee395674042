"""Every pass, op by op, then its total."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.flops import Flops, LeadingOrder, Macs
from llmcx.answers.growth import growth
from llmcx.costs.flops import CONVENTION, backward_fold, elementwise, fold
from llmcx.costs.leading_order import leading_order
from llmcx.explain.terms import terms
from llmcx.model.lower import lower


def rows(answer: Flops) -> list[Line]:
    """The formulas of an answer, in its convention."""
    passes = _leading_order(answer) if isinstance(answer, LeadingOrder) else _terms(answer)
    elements = [line._replace(component=f"elementwise {line.component}") for line in terms(elementwise, answer.ops)]
    found = [*passes, *_totals(answer), *elements]
    found.append(Line("elementwise", "Σ of its terms", "counted apart from the matmuls", answer.elementwise.total, CONVENTION))
    return [*found, *_crossovers(answer), *_rules_of_thumb(answer)]


def _terms(answer: Flops) -> list[Line]:
    """The ops of the forward and the backward pass and of a decode step."""
    step = lower(answer.spec, answer.step)
    lines = [
        *terms(fold, answer.ops),
        *(line._replace(component=f"backward {line.component}") for line in terms(backward_fold, answer.ops)),
        *(line._replace(component=f"decode {line.component}") for line in terms(fold, step)),
    ]
    if not isinstance(answer, Macs):
        return lines
    return [line._replace(formula=f"({line.formula})/2", numbers=f"({line.numbers})/2", value=line.value // 2) for line in lines]


def _leading_order(answer: Flops) -> list[Line]:
    """The same in the chapter's convention."""
    texts, spec = {"projections and feed-forward": "L·n·d²", "attention core": "L·s·n·d"}, answer.spec
    lines = []
    for name, run, times in (("", answer.run, 1), ("backward ", answer.run, 2), ("decode ", answer.step, 1)):
        twice = "2·" if times == 2 else ""
        numbers = f"{twice}L = {spec.n_layers:,}, n = {run.batch * run.seq:,}, d = {spec.d_model:,}"
        for component, n in leading_order(spec, run)[0].items():
            text = f"{twice}{texts[component]}"
            lines.append(Line(f"{name}{component}", text, numbers, times * n, "the textbook chapter, sec. 1"))
    return lines


def _totals(answer: Flops) -> list[Line]:
    """The totals, each from those before it."""
    forward, backward, again, run = answer.forward.total, answer.backward.total, answer.recomputation, answer.run
    numbers, tokens = f"batch {run.batch:,}, n {run.seq:,}", run.batch * run.seq
    lines = [
        Line("forward", "Σ of its terms", numbers, forward, "the terms above"),
        Line("backward", "Σ of its terms", numbers, backward, "the terms above"),
    ]
    if answer.recompute:
        chen = "Chen et al. 2016, arXiv:1604.06174"
        lines.append(Line("recomputation", "forward of the layers once more", f"{again:,}", again, chen))
    parts, kaplan = f"{forward:,} + {backward:,} + {again:,}", "Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1"
    context, shazeer = f"1 token at context {answer.context:,}", "Shazeer 2019, arXiv:1911.02150, sec. 2.4"
    return [
        *lines,
        Line("train", "forward + backward + recomputation", parts, answer.train.total, kaplan),
        Line("per_token", "forward / tokens", f"{forward:,} / {tokens:,}", answer.per_token, "the mean over all positions"),
        Line("decode", "Σ of its terms", context, answer.decode.total, shazeer),
    ]


def _crossovers(answer: Flops) -> list[Line]:
    """Where attention overtakes the linear layers, with the two at that length."""
    found, lines = answer.crossover, []
    for name, n in (("crossover.layers", found.layers), ("crossover.with_head", found.with_head)):
        if n is not None:
            [at] = growth(answer.spec, [n], answer.run.ideal)
            numbers = f"at n = {n:,}, head counted as linear: attention {at.attention:,}, linear {at.linear:,}"
            lines.append(Line(name, "least n with attention >= linear FLOPs", numbers, n, "by bisection on the exact counts"))
    return lines


def _rules_of_thumb(answer: Flops) -> list[Line]:
    return [
        Line(row.rule, row.rule, f"{row.error:+.2%} off the exact {row.exact:,}", row.value, "Kaplan et al. 2020, sec. 2.1")
        for row in answer.approximations
    ]
