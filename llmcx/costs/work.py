"""One run of a model, to be summed up in several ways; many runs of one model, each at the price of a polynomial."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmcx.later import once
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op

if TYPE_CHECKING:
    from llmcx.costs.closed import Piece

MOST = 24
"""Pieces that are kept of one kind of run. A run in none of them is lowered with numbers, as the first one is."""


class Pieces:
    """The closed forms of one kind of run of one spec, from the second run on."""

    def __init__(self) -> None:
        self.found: list[Piece] = []
        self.runs = 0
        self.closed = True

    def of(self, spec: ModelSpec, run: Run) -> Piece | None:
        """The piece that ``run`` is in; None if it is to be lowered with numbers."""
        self.runs += 1
        batch, seq, past, source = at = run[:4]
        if self.runs == 1 or batch < 1 or seq < 1 or past < 0 or (source is not None and source < 1):
            return None
        for piece in self.found:
            if piece.holds(*at):
                return piece
        if not self.closed or len(self.found) == MOST:
            return None
        from llmcx.costs.closed import NotClosed, Piece

        try:
            self.found.append(Piece(spec, run))
        except NotClosed:
            self.closed = False
            return None
        return self.found[-1]


class Work:
    """One run of a model. ``of(sums)`` is ``sums(lower(spec, run))``, however it is found."""

    __slots__ = ("_ops", "_piece", "run", "spec")

    def __init__(self, spec: ModelSpec, run: Run) -> None:
        self.spec, self.run = spec, run
        self._piece = once(spec, (run.source is None, *run[4:]), Pieces).of(spec, run)
        self._ops = lower(spec, run) if self._piece is None else None  # now, for it may refuse

    @property
    def ops(self) -> list[Op]:
        """The ops themselves."""
        if self._ops is None:
            self._ops = lower(self.spec, self.run)
        return self._ops

    def of(self, sums: Callable[[list[Op]], Any] | Dependent) -> Any:
        """What ``sums`` makes of the ops: integers, text, or tuples or dicts of them.

        It is known again by equality: a function of a module, or an object whose fields say all that it depends on.
        """
        if self._ops is None and self._piece is not None:
            form = self._piece.form(sums)
            found = None if form is None else form(*self.run[:4])
            if found is not None:
                return found
        return sums.of(self.run, self.ops) if isinstance(sums, Dependent) else sums(self.ops)


class Dependent:
    """A sum over a run's ops that also reads the run."""

    def of(self, run: Run, ops: list[Op]) -> Any:
        """The sum."""
        raise NotImplementedError
