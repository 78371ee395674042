"""Each change, then the terms of every component that changed, on either side."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.compare import Contrast
from llmcx.explain.terms import tree
from llmcx.explain.written import text


def rows(answer: Contrast) -> list[Line]:
    """Each change, then the terms of every component that changed, on either side."""
    lines = []
    for each in answer.figures:
        if each.change is None or each.a is None or each.b is None:
            continue
        name, source = f"{each.command}: {each.figure}", f"llmcx {each.command} --explain"
        lines.append(Line(name, "B - A", f"{text(each.b)} - {text(each.a)}", each.change, source))
        if each.relative is not None:
            lines.append(Line(f"{name}, relative", "(B - A) / A", f"{text(each.change)} / {text(each.a)}", each.relative, source))
    for reason in answer.why:
        for cause in reason.causes:
            name = f"{reason.command}: {cause.component}"
            for label, size, terms in (("A", cause.a, cause.a_terms), ("B", cause.b, cause.b_terms)):
                lines += (
                    tree(
                        {
                            f"{label} · {name}": [
                                term._replace(component=f"{label} · {reason.command}: {term.component}") for term in terms
                            ]
                        }
                    )
                    if terms
                    else [Line(f"{label} · {name}", "none", f"{size:,}", size, f"llmcx {reason.command} --explain")]
                )
            numbers = f"{cause.b:,} - {cause.a:,}"
            lines.append(Line(f"{name}, change", "B - A", numbers, cause.change, f"llmcx {reason.command} --explain"))
    return lines
