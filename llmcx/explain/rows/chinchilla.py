"""What the scaling laws say, step by step: optima, where a model stands, and what else was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmcx.answers import Line
from llmcx.costs.flops import backward_fold, fold, softmax
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import in_layers
from llmcx.scaling.accounting import Accounting
from llmcx.scaling.fitting import Fit
from llmcx.scaling.laws import FineGrained, Law, Parametric
from llmcx.scaling.optimum import EQ2, EQ4, SIX_ND, EqualCompute, Optimum, Split, frontier, optimum, parametric
from llmcx.scaling.standing import MUENNIGHOFF, SARDANA, Advice, Constrained, Lifetime, Standing

_LOSS = "E + A / N^α + B / D^β"


def rows(laws: Sequence[Law], answer: Advice, given: str, spec: ModelSpec | None) -> list[Line]:
    """The formulas of ``answer`` by ``laws``, each named; ``given``: which of compute, params and tokens was stated;
    ``spec``: the model whose training is counted.
    """
    best = list(zip(laws, answer["laws"], strict=True))
    fitted = [(law, top) for law, top in best if law.form == "parametric"]
    repeating = [(law, top) for law, top in fitted if law.repetition is not None]
    found = _accounting(spec, answer["accounting"]) if "accounting" in answer and spec is not None else []
    if "standing" in answer:
        placed = zip((law for law in laws if law.form != "fine-grained"), answer["standing"], strict=True)
        found += [line for law, stands in placed for line in _named(law, _standing(law, stands))]
    else:
        found += [line for law, top in best for line in _named(law, of_optimum(law, top, given))]
    for (law, top), kept in zip(repeating, answer.get("constrained", ()), strict=False):
        found += _named(law, _constrained(law, top, kept))
    for (law, top), whole in zip(fitted, answer.get("lifetime", ()), strict=False):
        found += _named(law, _lifetime(law, top, whole))
    for (law, _), alike in zip(fitted, answer.get("equal_compute", ()), strict=False):
        found += _named(law, _equal_compute(law, alike))
    return found


def of_fit(found: Fit) -> list[Line]:
    """Each constant of a fitted law: what it minimises, of how many runs."""
    return [
        Line(each.constant, "argmin of Σ Huber(log-sum-exp - ln L)", "", each.value, found.law.source, f"over {found.runs} runs")
        for each in found.estimates
    ]


def _named(law: Law, lines: Iterable[Line]) -> list[Line]:
    return [line._replace(component=f"{law.name} {line.component}") for line in lines]


def of_optimum(law: Law, best: Optimum, given: str) -> list[Line]:
    """A law's optimum, found from ``given``: compute, params or tokens."""
    n, d, c = best.params, best.tokens, best.compute
    steps = _fine_grained(law, law.constants, best) if isinstance(law.constants, FineGrained) else _frontier(law, best, given)
    if not any(step.component == "compute" for step in steps):
        steps.append(Line("compute", "k·N·D", f"{c / (n * d):.6g}·{n:.6g}·{d:.6g}", c, SIX_ND))
    return [*steps, Line("tokens_per_param", "D / N", f"{d:.6g} / {n:.6g}", best.tokens_per_param, law.source)]


def _frontier(law: Law, best: Optimum, given: str) -> list[Line]:
    """Along the line of optima."""
    n, d, c = best.params, best.tokens, best.compute
    k = c / (n * d)
    line = frontier(law, k)
    where = "c parameters are best at u FLOPs, and grow with the power a of them; k FLOPs a parameter and token"
    source = EQ4 if isinstance(law.constants, Parametric) else law.source
    best_c, u, a = f"{line.coefficient:.9g}", f"{line.compute:.9g}", f"{line.exponent:.9g}"
    first = {
        "compute": Line("params", "c·(C / u)^a", f"{best_c}·({c:.9g} / {u})^{a}", n, source, where),
        "params": Line("compute", "u·(N / c)^(1 / a)", f"{u}·({n:.9g} / {best_c})^(1 / {a})", c, source, where),
        "tokens": Line(
            "compute",
            "u·(k·D / (u / c))^(1 / (1 - a))",
            f"{u}·({k:.9g}·{d:.9g} / ({u} / {best_c}))^(1 / (1 - {a}))",
            c,
            source,
            where,
        ),
    }[given]
    if given == "tokens":
        steps = [first, Line("params", "C / (k·D)", f"{c:.9g} / ({k:.9g}·{d:.9g})", n, SIX_ND)]
    else:
        steps = [first, Line("tokens", "C / (k·N)", f"{c:.9g} / ({k:.9g}·{n:.9g})", d, SIX_ND)]
    if best.loss is not None:
        steps.append(Line("loss", _LOSS, _put(parametric(law), n, d), best.loss, EQ2))
    return steps


def _put(p: Parametric, n: float, d: float) -> str:
    """The loss with its numbers put in."""
    return f"{p.E:g} + {p.A:g} / {n:.6g}^{p.alpha:g} + {p.B:g} / {d:.6g}^{p.beta:g}"


def _fine_grained(law: Law, p: FineGrained, best: Optimum) -> list[Line]:
    """Of a mixture of experts, whose granularity is chosen too."""
    assert best.total_params is not None and best.loss is not None
    whole, c, d, size = best.total_params, best.compute, best.tokens, best.granularity
    text = f"{p.E:g} + ({p.A:g} + {p.g:g} / {size}^{p.gamma:g}) / {whole:.6g}^{p.alpha:g} + {p.B:g} / {d:.6g}^{p.beta:g}"
    where = f"least loss under C = F(N, G)·D, N active: G = {size}, {whole:.6g} parameters in all, C = {c:.6g}"
    return [
        Line("params", "argmin of the loss over N, D and G", "", best.params, law.source, where),
        Line("tokens", "C / F(N, G)", f"{c:.9g} / {c / d:.9g}", d, law.source),
        Line("loss", "E + (A + g / G^γ) / N^α + B / D^β", text, best.loss, law.source, "N: all parameters"),
    ]


def _equal_compute(law: Law, answer: EqualCompute) -> list[Line]:
    return [line for row in answer.rows for line in _split(parametric(law), answer.optimum, row)]


def _split(p: Parametric, best: Optimum, row: Split) -> list[Line]:
    """One row of a comparison at equal compute."""
    c, n, d = best.compute, row.params, row.tokens
    name, section = f"of {n:.6g} parameters at {c:.6g} FLOPs", "Hoffmann et al. 2022, arXiv:2203.15556, sec. 3.3"
    return [
        Line(f"tokens {name}", "C / (k·N)", f"{c:.6g} / ({c / (n * d):.6g}·{n:.6g})", d, SIX_ND),
        Line(f"tokens_per_param {name}", "D / N", f"{d:.6g} / {n:.6g}", row.tokens_per_param, SIX_ND),
        Line(f"loss {name}", _LOSS, _put(p, n, d), row.loss, EQ2),
        Line(f"excess_loss {name}", "L - L_opt", f"{row.loss:.6g} - {best.loss:.6g}", row.excess_loss, section),
    ]


def _standing(law: Law, answer: Standing) -> list[Line]:
    """A trained model, the optimum of its compute, and how the two compare."""
    n, d, c = answer.params, answer.tokens, answer.compute
    k = c / (n * d)
    best = optimum(law, compute=c, flops_per_param_token=k)
    steps = of_optimum(law, best, "compute")
    lines = [
        Line("of the model: params", "N, as the law counts", f"{n:.9g}", n, "llmcx params"),
        Line("of the model: tokens", "D", f"{d:.9g}", d, "stated, or the model's own"),
        Line("of the model: compute", "k·N·D", f"{k:.6g}·{n:.6g}·{d:.6g}", c, SIX_ND),
        Line("of the model: tokens_per_param", "D / N", f"{d:.6g} / {n:.6g}", answer.tokens_per_param, "the model's own"),
        *steps,
        Line(
            "ratio",
            "(D/N) / (D_opt/N_opt)",
            f"({d:.6g} / {n:.6g}) / ({best.tokens:.6g} / {best.params:.6g})",
            answer.ratio,
            steps[0].source,
        ),
    ]
    same, excess = answer.same_loss_compute, answer.excess_compute
    if answer.loss is None or same is None or excess is None:
        return lines
    assert best.loss is not None
    p = parametric(law)
    gamma = p.alpha * p.beta / (p.alpha + p.beta)
    lines += [
        Line("of the model: loss", _LOSS, _put(p, n, d), answer.loss, EQ2),
        Line(
            "same_loss_compute",
            "C·((L_opt - E) / (L - E))^(1 / γ)",
            f"{c:.9g}·(({best.loss:.9g} - {p.E:g}) / ({answer.loss:.9g} - {p.E:g}))^(1 / {gamma:.9g})",
            same,
            EQ2,
            "the compute of the same loss along the line of optima; γ = α·β / (α + β)",
        ),
        Line("excess_compute", "1 - same_loss_compute / C", f"1 - {same:.6g} / {c:.6g}", excess, EQ2),
    ]
    if answer.justified_inference is not None:
        gain = f"{p.alpha:g}·{p.A:g} / {n:.9g}^{p.alpha:g} / ({p.beta:g}·{p.B:g} / {d:.9g}^{p.beta:g})"
        formula, where = "3·D·(α·A / N^α / (β·B / D^β) - 1)", "what a larger model would gain over what more tokens would"
        lines.append(Line("justified_inference", formula, f"3·{d:.9g}·({gain} - 1)", answer.justified_inference, SARDANA, where))
    return lines


def _lifetime(law: Law, best: Optimum, answer: Lifetime) -> list[Line]:
    """The cheapest model to train and serve, against the training optimum."""
    n, d, training, serving = answer.params, answer.tokens, answer.train_compute, answer.inference_compute
    k, whole, served = training / (n * d), answer.total_compute, answer.inference_tokens
    p = parametric(law)
    left = f"{p.alpha:g}·({answer.loss:.9g} - {p.E:g} - {p.B:g} / {d:.9g}^{p.beta:g})"
    right = f"{p.beta:g}·{p.B:g} / {d:.9g}^{p.beta:g}·(1 + {served:.9g} / (3·{d:.9g}))"
    rest = f"({p.A:g} / ({answer.loss:.9g} - {p.E:g} - {p.B:g} / {d:.9g}^{p.beta:g}))^(1 / {p.alpha:g})"
    base = f"{best.compute:.6g} + {k / 3:.6g}·{best.params:.6g}·{served:.6g}"
    spare = f"1 - {whole:.6g} / {answer.baseline_compute:.6g}"
    least = "D with α·(L - E - B / D^β) = β·B / D^β·(1 + T / (3·D))"
    lines = [
        Line("params", "(A / (L - E - B / D^β))^(1 / α)", rest, n, SARDANA, "of the optimum's loss L"),
        Line("tokens", least, f"{d:,.0f}: {left} ≈ {right}", d, SARDANA, "by bisection in log D; T tokens are served"),
        Line("tokens_per_param", "D / N", f"{d:.6g} / {n:.6g}", answer.tokens_per_param, SARDANA),
        Line("train_compute", "k·N·D", f"{k:.6g}·{n:.6g}·{d:.6g}", training, SARDANA),
        Line("inference_compute", "(k / 3)·N·T", f"({k:.6g} / 3)·{n:.6g}·{served:.6g}", serving, SARDANA),
        Line("total_compute", "k·N·D + (k / 3)·N·T", f"{training:.6g} + {serving:.6g}", whole, SARDANA),
        Line("baseline_compute", "C + (k / 3)·N·T", base, answer.baseline_compute, SARDANA, "of the training optimum"),
        Line("saving", "1 - total / baseline", spare, answer.saving, SARDANA),
    ]
    return [line._replace(component=f"lifetime {line.component}") for line in lines]


def _constrained(law: Law, free: Optimum, answer: Constrained) -> list[Line]:
    """The best use of a budget when data repeats."""
    n, d, c, unique = answer.params, answer.tokens, free.compute, answer.unique_tokens
    numbers = (
        f"U_D = {unique:.6g} unique tokens, C = {c:.6g}: N' = {answer.effective_params:.6g}, D' = {answer.effective_tokens:.6g}"
    )
    worth = _put(parametric(law), answer.effective_params, answer.effective_tokens)
    formula = "E + A / N'^α + B / D'^β"
    return [
        Line("constrained params", f"argmin of {formula}", "", n, MUENNIGHOFF, f"by golden section in log N; {numbers}"),
        Line("constrained tokens", "C / (k·N)", f"{c:.9g} / ({c / (n * d):.9g}·{n:.9g})", d, MUENNIGHOFF),
        Line("constrained epochs", "D / U_D", f"{d:.6g} / {unique:.6g}", answer.epochs, MUENNIGHOFF),
        Line("constrained loss", formula, worth, answer.loss, MUENNIGHOFF, "N' and D': what they would be worth as fresh ones"),
    ]


def _accounting(spec: ModelSpec, counted: Accounting) -> list[Line]:
    """Each way to count the FLOPs of training."""
    hoffmann, t, n = "Hoffmann et al. 2022, arXiv:2203.15556, appendix F", counted.tokens, counted.seq
    ops = lower(spec, Run(1, n))
    forward, backward = fold.total(ops), backward_fold.total(ops)
    tables = sum(2 * op.dims["tokens"] * op.dims["rows"] * op.dims["width"] * op.times for op in ops if op.kind == "lookup")
    exponents = sum(softmax(**op.dims) * op.times for op in ops if op.kind == "softmax")
    inside = fold.total(op for op in ops if in_layers(op))
    idle, tables_of_all = counted.params - counted.active, counted.active - counted.active_non_embedding
    rest = f"{counted.active:,} - {tables_of_all:,}"
    where = f"of one sequence of {n:,} tokens"
    extra = f"{where}, with products by one-hot vectors for the tables and the softmax, 3 a score"
    return [
        Line("params", "each parameter once", f"{counted.params:,}", counted.params, "llmcx params"),
        Line("active", "params - what a token does not meet", f"{counted.params:,} - {idle:,}", counted.active, "llmcx params"),
        Line("active_non_embedding", "active - embeddings - an untied head", rest, counted.active_non_embedding, SIX_ND),
        Line(
            "exact",
            "floor((forward + backward)·tokens / n)",
            f"floor(({forward:,} + {backward:,})·{t:,} / {n:,})",
            counted.exact,
            "llmcx flops",
            where,
        ),
        Line("six_nd", "6·N·D", f"6·{counted.active:,}·{t:,}", counted.six_nd, SIX_ND),
        Line(
            "appendix_f",
            "floor(3·(forward + tables + softmax)·tokens / n)",
            f"floor(3·({forward:,} + {tables:,} + {exponents:,})·{t:,} / {n:,})",
            counted.appendix_f,
            hoffmann,
            extra,
        ),
        Line(
            "appendix_f_layers",
            "floor(3·(layers + softmax)·tokens / n)",
            f"floor(3·({inside:,} + {exponents:,})·{t:,} / {n:,})",
            counted.appendix_f_layers,
            hoffmann,
            "without the tables and the head",
        ),
        *(
            Line(f"{name}_ratio", f"{name} / six_nd", f"{value:,} / {counted.six_nd:,}", ratio, SIX_ND)
            for name, value, ratio in (
                ("exact", counted.exact, counted.exact_ratio),
                ("appendix_f", counted.appendix_f, counted.appendix_f_ratio),
                ("appendix_f_layers", counted.appendix_f_layers, counted.appendix_f_layers_ratio),
            )
        ),
    ]
