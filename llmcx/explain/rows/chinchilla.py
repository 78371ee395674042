"""What the scaling laws say, step by step: optima, where a model stands, and what else was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmcx.answers import Line
from llmcx.scaling.accounting import Accounting
from llmcx.scaling.fitting import Fit
from llmcx.scaling.laws import FineGrained, Law, Parametric
from llmcx.scaling.optimum import EQ2, EQ4, SIX_ND, EqualCompute, Optimum, Split, frontier, optimum, parametric
from llmcx.scaling.standing import MUENNIGHOFF, SARDANA, Advice, Constrained, Lifetime, Standing, marginal_ratio

_LOSS = "E + A/N^alpha + B/D^beta"


def rows(laws: Sequence[Law], answer: Advice, given: str) -> list[Line]:
    """The formulas of ``answer`` by ``laws``, each named; ``given``: which of compute, params and tokens was stated."""
    best = list(zip(laws, answer["laws"], strict=True))
    fitted = [(law, top) for law, top in best if law.form == "parametric"]
    repeating = [(law, top) for law, top in fitted if law.repetition is not None]
    found = list(_accounting(answer["accounting"])) if "accounting" in answer else []
    if "standing" in answer:
        placed = zip((law for law in laws if law.form != "fine-grained"), answer["standing"], strict=True)
        found += [line for law, stands in placed for line in _named(law, _standing(law, stands))]
    else:
        found += [line for law, top in best for line in _named(law, of_optimum(law, top, given))]
    for (law, top), kept in zip(repeating, answer.get("constrained", ()), strict=False):
        found += _named(law, _constrained(top, kept))
    for (law, top), whole in zip(fitted, answer.get("lifetime", ()), strict=False):
        found += _named(law, _lifetime(top, whole))
    for (law, _), alike in zip(fitted, answer.get("equal_compute", ()), strict=False):
        found += _named(law, _equal_compute(law, alike))
    return found


def of_fit(found: Fit) -> list[Line]:
    """Each constant of a fitted law: what it minimises, of how many runs."""
    return [
        Line(each.constant, "argmin Σ Huber(log-sum-exp - ln L)", f"{found.runs} runs", each.value, found.law.source)
        for each in found.estimates
    ]


def _named(law: Law, lines: Iterable[Line]) -> list[Line]:
    return [line._replace(component=f"{law.name} {line.component}") for line in lines]


def of_optimum(law: Law, best: Optimum, given: str) -> list[Line]:
    """A law's optimum, found from ``given``: compute, params or tokens."""
    n, d, c = best.params, best.tokens, best.compute
    steps = _fine_grained(law, law.constants, best) if isinstance(law.constants, FineGrained) else _frontier(law, best, given)
    if not any(step.component == "compute" for step in steps):
        steps.append(Line("compute", "k N D", f"{c / (n * d):.4g}·{n:.4g}·{d:.4g}", c, SIX_ND))
    return [*steps, Line("tokens_per_param", "D / N", f"{d:.4g} / {n:.4g}", best.tokens_per_param, law.source)]


def _frontier(law: Law, best: Optimum, given: str) -> list[Line]:
    """Along the line of optima."""
    n, d, c = best.params, best.tokens, best.compute
    k = c / (n * d)
    line = frontier(law, k)
    numbers = f"c = {line.coefficient:.4g}, u = {line.compute:.4g}, a = {line.exponent:.4f}, k = {k:g}"
    source = EQ4 if isinstance(law.constants, Parametric) else law.source
    first = {
        "compute": Line("params", "c·(C/u)^a", f"{numbers}, C = {c:.4g}", n, source),
        "params": Line("compute", "u·(N/c)^(1/a)", f"{numbers}, N = {n:.4g}", c, source),
        "tokens": Line("compute", "u·(k·D·c/u)^(1/(1-a))", f"{numbers}, D = {d:.4g}", c, source),
    }[given]
    if given == "tokens":
        steps = [first, Line("params", "C / (k·D)", f"{c:.4g} / ({k:g}·{d:.4g})", n, SIX_ND)]
    else:
        steps = [first, Line("tokens", "C / (k·N)", f"{c:.4g} / ({k:g}·{n:.4g})", d, SIX_ND)]
    if best.loss is not None:
        steps.append(Line("loss", _LOSS, _put(parametric(law), n, d), best.loss, EQ2))
    return steps


def _put(p: Parametric, n: float, d: float) -> str:
    """The loss with its numbers put in."""
    return f"{p.E:g} + {p.A:g}/{n:.4g}^{p.alpha:g} + {p.B:g}/{d:.4g}^{p.beta:g}"


def _fine_grained(law: Law, p: FineGrained, best: Optimum) -> list[Line]:
    """Of a mixture of experts, whose granularity is chosen too."""
    assert best.total_params is not None and best.loss is not None
    whole, c, d, size = best.total_params, best.compute, best.tokens, best.granularity
    text = f"{p.E:g} + ({p.A:g} + {p.g:g}/{size}^{p.gamma:g})/{whole:.4g}^{p.alpha:g} + {p.B:g}/{d:.4g}^{p.beta:g}"
    where = f"least loss under C = F(N, G)·D: G = {size}, {whole:.4g} parameters in all"
    return [
        Line("params", "argmin L(N, D, G), N active", f"{where}, C = {c:.4g}", best.params, law.source),
        Line("tokens", "C / F(N, G)", f"{c:.4g} / {c / d:.4g}", d, law.source),
        Line("loss", "E + (A + g/G^gamma)/N^alpha + B/D^beta, N all", text, best.loss, law.source),
    ]


def _equal_compute(law: Law, answer: EqualCompute) -> list[Line]:
    return [line for row in answer.rows for line in _split(parametric(law), answer.optimum, row)]


def _split(p: Parametric, best: Optimum, row: Split) -> list[Line]:
    """One row of a comparison at equal compute."""
    c, n, d = best.compute, row.params, row.tokens
    name, section = f"of {n:.4g} parameters at {c:.4g} FLOPs", "Hoffmann et al. 2022, arXiv:2203.15556, sec. 3.3"
    return [
        Line(f"tokens {name}", "C / (k·N)", f"{c:.4g} / ({c / (n * d):.4g}·{n:.4g})", d, SIX_ND),
        Line(f"tokens_per_param {name}", "D / N", f"{d:.4g} / {n:.4g}", row.tokens_per_param, SIX_ND),
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
        Line("of the model: params", "N", f"{n:.4g}", n, "the model's own, as the law counts"),
        Line("of the model: tokens", "D", f"{d:.4g}", d, "the model's own"),
        Line("of the model: compute", "k N D", f"{k:.4g}·{n:.4g}·{d:.4g}", c, SIX_ND),
        Line("of the model: tokens_per_param", "D / N", f"{d:.4g} / {n:.4g}", answer.tokens_per_param, "the model's own"),
        *steps,
        Line("ratio", "(D/N) / (D_opt/N_opt)", f"{d / n:.4g} / {best.tokens_per_param:.4g}", answer.ratio, steps[0].source),
    ]
    same, excess = answer.same_loss_compute, answer.excess_compute
    if answer.loss is None or same is None or excess is None:
        return lines
    lines += [
        Line("of the model: loss", _LOSS, f"N = {n:.4g}, D = {d:.4g}", answer.loss, EQ2),
        Line("same_loss_compute", "C·((L_opt - E)/(L - E))^(1/gamma)", f"L = {answer.loss:.4f}", same, EQ2),
        Line("excess_compute", "1 - same_loss_compute / C", f"1 - {same:.4g} / {c:.4g}", excess, EQ2),
    ]
    if answer.justified_inference is not None:
        numbers = f"αA/N^α over βB/D^β = {marginal_ratio(parametric(law), n, d):.4g}, D = {d:.4g}"
        lines.append(Line("justified_inference", "3·D·(that - 1)", numbers, answer.justified_inference, SARDANA))
    return lines


def _lifetime(best: Optimum, answer: Lifetime) -> list[Line]:
    """The cheapest model to train and serve, against the training optimum."""
    n, d, training, serving = answer.params, answer.tokens, answer.train_compute, answer.inference_compute
    k, whole, served = training / (n * d), answer.total_compute, answer.inference_tokens
    numbers = f"L = {answer.loss:.4f}, T = {served:.4g}"
    lines = [
        Line("params", "argmin k·N·D + (k/3)·N·T at loss L", numbers, n, SARDANA),
        Line("tokens", "α(L - E - B/D^β) = βB/D^β·(1 + T/(3D))", numbers, d, SARDANA),
        Line("train_compute", "k·N·D", f"{k:g}·{n:.4g}·{d:.4g}", training, SARDANA),
        Line("inference_compute", "(k/3)·N·T", f"{k / 3:g}·{n:.4g}·{served:.4g}", serving, SARDANA),
        Line("total_compute", "k·N·D + (k/3)·N·T", f"{training:.4g} + {serving:.4g}", whole, SARDANA),
        Line("baseline_compute", "the same of the training optimum", f"N = {best.params:.4g}", answer.baseline_compute, SARDANA),
        Line("saving", "1 - total / baseline", f"1 - {whole:.4g} / {answer.baseline_compute:.4g}", answer.saving, SARDANA),
    ]
    return [line._replace(component=f"lifetime {line.component}") for line in lines]


def _constrained(free: Optimum, answer: Constrained) -> list[Line]:
    """The optimum of repeated data."""
    n, d, c, unique = answer.params, answer.tokens, free.compute, answer.unique_tokens
    numbers = f"U_D = {unique:.4g}, C = {c:.4g}: N' = {answer.effective_params:.4g}, D' = {answer.effective_tokens:.4g}"
    return [
        Line("constrained params", "argmin E + A/N'^α + B/D'^β", numbers, n, MUENNIGHOFF),
        Line("constrained tokens", "C / (k·N)", f"{c:.4g} / ({c / (n * d):g}·{n:.4g})", d, MUENNIGHOFF),
        Line("constrained epochs", "D / U_D", f"{d:.4g} / {unique:.4g}", answer.epochs, MUENNIGHOFF),
        Line("constrained loss", "E + A/N'^α + B/D'^β", numbers, answer.loss, MUENNIGHOFF),
    ]


def _accounting(counted: Accounting) -> Iterable[Line]:
    """Each way to count the FLOPs of training."""
    hoffmann, kaplan = "Hoffmann et al. 2022, arXiv:2203.15556, appendix F", SIX_ND
    numbers = f"{counted.tokens:,} tokens in sequences of {counted.seq:,}"
    rest = f"of {counted.active:,}"
    return [
        Line("params", "Σ parameters", "each once", counted.params, "llmcx params"),
        Line("active", "what one token meets", f"of {counted.params:,}", counted.active, "llmcx params"),
        Line("active_non_embedding", "active - embeddings - an untied head", rest, counted.active_non_embedding, kaplan),
        Line("exact", "(forward + backward) · tokens / n", numbers, counted.exact, "llmcx flops"),
        Line("six_nd", "6 N D", f"6·{counted.active:,}·{counted.tokens:,}", counted.six_nd, kaplan),
        Line("appendix_f", "3·(forward + 2 n V d + 3 H n²) · tokens / n", numbers, counted.appendix_f, hoffmann),
        Line("appendix_f_layers", "3·(layers + 3 H n²) · tokens / n", numbers, counted.appendix_f_layers, hoffmann),
    ]
