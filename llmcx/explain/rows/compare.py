"""Each change, then the terms of every component that changed, on either side."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.compare import Contrast


def rows(answer: Contrast) -> list[Line]:
    """Each change, then the terms of every component that changed, on either side."""
    lines = [
        Line(
            f"{each.command}: {each.figure}", "B - A", f"{each.b:,} - {each.a:,}", each.change, f"llmcx {each.command} --explain"
        )
        for each in answer.figures
        if each.change is not None
    ]
    for reason in answer.why:
        for cause in reason.causes:
            for label, terms in (("A", cause.a_terms), ("B", cause.b_terms)):
                lines += [term._replace(component=f"{label} · {reason.command}: {term.component}") for term in terms]
    return lines
