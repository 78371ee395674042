"""The registry in which a cost keeps one formula per kind of op.

A :class:`Fold` turns the shapes that an op states into a cost: parameters, FLOPs, bytes. To add an op, give each fold a rule for
its kind (or say that it costs nothing there); to add a cost, add a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from llmcx.ops.op import COLLECTIVES, Op


class Rule(NamedTuple):
    """A formula as code, as text over the op's dims, and where it comes from."""

    compute: Callable[..., int]
    text: str
    source: str


class Fold:
    """A cost: one rule per kind of op, summed over ops. ``free`` are the kinds that cost nothing: by default what GPUs send."""

    def __init__(
        self,
        name: str,
        weight: Callable[[Op], int] = lambda op: op.times,
        weight_text: str = "times",
        free: Iterable[str] = COLLECTIVES,
    ) -> None:
        self.name = name
        self.rules: dict[str, Rule] = {}
        self.free: set[str] = set(free)
        self.weight = weight
        self.weight_text = weight_text

    def rule(self, *kinds: str, text: str, source: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
        """Register the decorated function as the formula of ``kinds``. It receives the op's dims by name.

        Raises ValueError for a kind that has a rule here, or costs nothing.
        """

        def register(compute: Callable[..., int]) -> Callable[..., int]:
            self._refuse_known(kinds)
            self.rules.update(dict.fromkeys(kinds, Rule(compute, text, source)))
            return compute

        return register

    def costs_nothing(self, *kinds: str) -> None:
        """Say that these kinds are known and contribute 0, so that an unknown kind is an error and not a zero.

        Raises ValueError for a kind that has a rule here, or was said to cost nothing before.
        """
        self._refuse_known(kinds)
        self.free.update(kinds)

    def _refuse_known(self, kinds: Iterable[str]) -> None:
        for kind in kinds:
            if kind in self.rules or kind in self.free:
                raise ValueError(f"the fold {self.name} has a rule for {kind} already, or counts it as nothing")

    def derived(
        self,
        name: str,
        weight: Callable[[Op], int] | None = None,
        weight_text: str | None = None,
        *,
        but: Collection[str] = (),
        change: Callable[[Rule], Rule] | None = None,
    ) -> Fold:
        """Another cost with the rules that this one has by now, each passed through ``change``; weighted as here unless stated.

        It does not know the kinds in ``but``, so that they can be given other rules.

        >>> learned = Fold("learned")
        >>> _ = learned.rule("vector", text="size", source="a number each")(lambda size: size)
        >>> twice = learned.derived("twice", change=lambda rule: rule._replace(compute=lambda **dims: 2 * rule.compute(**dims)))
        >>> twice.rules["vector"].compute(size=3)
        6
        """
        fold = Fold(name, weight or self.weight, weight_text or self.weight_text, self.free - {*but})
        fold.rules = {kind: change(rule) if change else rule for kind, rule in self.rules.items() if kind not in but}
        return fold

    def of(self, op: Op) -> int:
        """The cost of an op, all its ``times`` together."""
        if op.kind in self.free:
            return 0
        return self.weight(op) * self.rules[op.kind].compute(**op.dims)

    def total(self, ops: Iterable[Op]) -> int:
        free, rules, weight = self.free, self.rules, self.weight
        total = 0
        for op in ops:
            if op.kind not in free:
                total += weight(op) * rules[op.kind].compute(**op.dims)
        return total

    def by(self, ops: Iterable[Op], key: Callable[[Op], str]) -> dict[str, int]:
        """Sums by ``key``, in order of first appearance, zero entries left out."""
        sums: dict[str, int] = {}
        for op in ops:
            cost = self.of(op)
            if cost:
                name = key(op)
                sums[name] = sums.get(name, 0) + cost
        return sums
