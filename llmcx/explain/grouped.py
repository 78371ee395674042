"""Components summed up by what they are part of, as a table and its formulas name them."""

from __future__ import annotations

from collections.abc import Sequence

from llmcx.answers.params import Component

SCREEN = 10
"""Rows beyond which components are summed up by what they are part of."""
_PART = {"norm": "norms", "final_norm": "norms"}


def parts(components: Sequence[Component], stacks: Sequence[Component]) -> dict[str, list[Component]]:
    """The rows of a table: components by what they are part of, where each would take more lines than a screen has; what sees and
    hears in a row each.
    """
    if len(components) <= SCREEN:
        return {each.component: [each] for each in components}
    found: dict[str, list[Component]] = {}
    apart = {stack.component for stack in stacks}
    for each in components:
        first, _, rest = each.component.partition(".")
        part = first if first in apart else _PART.get(first) or (each.component.rpartition(".")[0] if rest else first)
        found.setdefault(part, []).append(each)
    return {each[0].component if len(each) == 1 else part: each for part, each in found.items()}
