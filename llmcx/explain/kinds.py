"""Topics of scaling laws and optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import partial

from llmcx.answers import Line
from llmcx.catalog import data as catalog
from llmcx.catalog.index import offered
from llmcx.costs import params
from llmcx.explain import Draft, Example, Formula
from llmcx.explain.read import doc, examples
from llmcx.explain.rows.chinchilla import of_optimum
from llmcx.explain.rules import hyphens
from llmcx.explain.terms import substitute
from llmcx.formats import optimizers
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.scaling import optimum as scaling
from llmcx.scaling.laws import Law

FORMULAS = {
    "power": "N_opt = coefficient (C / compute)^exponent",
    "parametric": "L(N, D) = E + A / N^alpha + B / D^beta",
    "fine-grained": "L(N, D, G) = E + (A + g / G^gamma) / N^alpha + B / D^beta",
}
"""Of the forms, as their classes state them."""
_LAW = {
    "L": ("loss", "nats per token"),
    "N_opt": ("compute-optimal parameters", "parameters"),
    "coefficient": ("the optimum at a budget of `compute`", "parameters"),
    "compute": ("the budget at which the coefficient holds", "FLOPs"),
    "exponent": ("a of N_opt ~ C^a", "1"),
    "g": ("what coarse experts add to the weight of size", "nats per token"),
    "G": ("granularity: how finely experts are cut", "1"),
    "a": ("exponent of N_opt ~ C^a", "1"),
    "u": ("the budget at which the coefficient holds", "FLOPs"),
    "c": ("the optimum at a budget of u", "parameters"),
    "k": ("FLOPs per parameter and token: 6", "FLOPs"),
    "F": ("FLOPs of training per token", "FLOPs"),
}
BUDGET = 1e21
"""FLOPs of the examples."""


def _law_examples(law: Law) -> list[Example]:
    constants = ", ".join(f"{item.name} = {getattr(law.constants, item.name):.6g}" for item in fields(law.constants))
    best = scaling.optimum(law, compute=BUDGET)
    return [
        Example("constants", constants),
        Example("fitted to", f"{law.compute_min:.3g} to {law.compute_max:.3g} FLOPs"),
        *(
            Example(f"{term.component}: {term.formula} = {term.numbers}", f"{term.value:.4g}")
            for term in of_optimum(law, best, "compute")
        ),
    ]


def _of_law(law: Law, spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    return of_optimum(law, scaling.optimum(law, params=params.counted_by_law(spec, law.parameters)), "params")


def of_laws() -> Iterator[Draft]:
    """A topic for each law that is shipped or brought by a plugin."""
    for name in offered("laws"):
        law = catalog.load_law(name)
        best = scaling.optimum(law, compute=BUDGET)
        counted = {"all": "all parameters", "non-embedding": "parameters without embeddings", "active": "active parameters"}
        text = [doc(type(law.constants)), f"N counts {counted[law.parameters]}.", *law.notes]
        if law.uncertainty:
            known = "; ".join(f"{each.constant} {each.low:.4g} to {each.high:.4g}" for each in law.uncertainty)
            text.append(f"How well it is known ({law.uncertainty[0].kind}): {known}.")
        yield Draft(
            name,
            f"Scaling law: {law.title}",
            "laws",
            "\n\n".join(text),
            [
                Formula("the law", FORMULAS[law.form], law.source),
                *(
                    Formula(term.component, term.formula, term.source)
                    for term in of_optimum(law, best, "compute")
                    if term.formula not in FORMULAS[law.form]
                ),
            ],
            partial(_law_examples, law),
            symbols=_LAW,
            commands=(f"llmcx chinchilla --compute 1e21 --law {name}",),
            applied=partial(_of_law, law),
        )


# --- optimizers -----------------------------------------------------------------------------------------------------


def _optimizer_formula(optimizer: optimizers.Optimizer) -> str:
    if optimizer.factored:
        return "4·basis"
    if optimizer.matrices is not None:
        return f"{optimizer.matrices}·basis + {optimizer.states}·(params - basis)"
    if optimizer.block:
        return f"{optimizer.states}·(basis + 4·(params - basis) + 4·ceil(basis / {optimizer.block}))"
    return f"{optimizer.states}·params"


def _optimizer_example(optimizer: optimizers.Optimizer) -> list[Example]:
    formula, n, basis = _optimizer_formula(optimizer), 1_000_000, 6000 if optimizer.factored else 900_000
    put = substitute(formula, {"params": n, "basis": basis})
    return [Example(f"{formula} = {put}", f"{optimizer.of(n, basis):,} bytes"), *examples(type(optimizer).of)]


def _of_optimizer(optimizer: optimizers.Optimizer, spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    ops = lower(spec, Run())
    put = {"params": params.count(spec), "basis": sum(map(optimizer.basis, ops))}
    formula = _optimizer_formula(optimizer)
    return [Line("optimizer states, bytes", formula, substitute(formula, put), optimizer.bytes(ops), optimizer.source)]


def of_optimizers() -> Iterator[Draft]:
    """A topic for each."""
    for name, optimizer in optimizers.OPTIMIZERS.items():
        yield Draft(
            hyphens(name),
            f"Optimizer {name}: bytes of state",
            "optimizers",
            f"{optimizer.source[0].upper()}{optimizer.source[1:]}. Mixed precision adds a master copy of 4 bytes a parameter.",
            [Formula("states, bytes", _optimizer_formula(optimizer), optimizer.source)],
            partial(_optimizer_example, optimizer),
            commands=(f"llmcx memory llama-3-8b --train --optimizer {name}",),
            applied=partial(_of_optimizer, optimizer),
        )
