"""What a model's passes launch on one GPU of a layout, whatever the engine and the accelerator, for any number of sequences.

Ops are lowered for a few numbers of sequences. Where every size of every launch is a straight line through them, that is what it
is for others too; a search for a layout asks for thousands. Stages have the same layers in other numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from llmcx.engines.counted import AT
from llmcx.engines.launches import Launch, Line, Sized, fixed, joined, launches
from llmcx.engines.serving_time import last_token
from llmcx.formats.storage import Names
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage
from llmcx.parallel.division import division
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import Stage, stages
from llmcx.parallel.ranks import pieces

_pieces = lru_cache(maxsize=1024)(pieces)  # whatever the weights' format


class Pass:
    """A pass: ``each`` of its launches, one after the other; its ``lines``, those of one size together."""

    def __init__(self, each: Sequence[Line]) -> None:
        self.each = each
        found: dict[tuple[object, ...], Line] = {}
        for line in each:
            key = line[:1] + line[2:]
            met = found.get(key)
            found[key] = line if met is None else line._replace(times=met.times + line.times)
        self.lines = [*found.values()]

    def at(self, groups: int, prompts: int = 0) -> list[Sized]:
        """For so many groups of sequences, and of prompts beside them."""
        return [line.at(groups, prompts) for line in self.lines]


class Asked(NamedTuple):
    """A pass that gives each sequence ``new`` tokens, ``past`` of them before; of ``prompts``, or a decode step."""

    new: int
    past: int
    prompts: bool

    def run(self, batch: int) -> Run:
        """Of so many sequences."""
        return Run(batch, self.new, past=self.past, encode=self.prompts, fused=True, ideal=True)


class Parts:
    """What the layers of each kind launch, one of them, and what stands before and after: of a model whose weights are ``stored``
    so, in a layout.
    """

    def __init__(self, spec: ModelSpec, layout: Layout, stored: Storage) -> None:
        self.spec, self.layout, self.names = spec, layout, Names(spec, stored)
        self._grown: dict[Asked, dict[str, list[Line] | None]] = {}

    def launched(self, of: Asked, batch: int) -> dict[str, list[Launch]]:
        """By ``batch`` sequences, part by part."""
        run = of.run(batch)
        of_all = _pieces(self.spec, run, division(self.layout))
        before, end, tied = of_all.everywhere, of_all.end, of_all.tied
        if of.prompts:
            end, tied = ([last_token(op, batch) for op in ops] for ops in (end, tied))
        ops = {"first": [*of_all.embedding, *before], "further": before, **of_all.kinds, "last": end, "only": tied}
        return {name: launches(each, run, self.layout, self.names) for name, each in ops.items()}

    def grown(self, of: Asked) -> dict[str, list[Line] | None]:
        """By any number of groups of sequences; None of a part that is no straight line through a few."""
        if of not in self._grown:
            first, second, other = (self.launched(of, self.layout.attention_dp * groups) for groups in AT)
            self._grown[of] = {name: growing(each, second[name], other[name]) for name, each in first.items()}
        return self._grown[of]

    def of_stage(self, stage: Stage) -> Iterator[tuple[str, int]]:
        """The parts that a stage has, and how often."""
        yield "first" if stage.first else "further", 1
        yield from ((kind, count) for kind, count in zip(self.spec.kinds, stage.counts, strict=True) if count)
        if stage.last:
            yield "only" if stage.first else "last", 1


class Passes:
    """Of a model whose weights are ``stored`` so, in a layout; of a pipeline's ``stage`` where there are several. A pass is asked
    for by its sequences, and told with how many groups of them it is to be read for: a group has one for each group of GPUs that
    attends for itself.
    """

    def __init__(self, spec: ModelSpec, layout: Layout, stored: Storage, stage: Stage | None = None) -> None:
        self.parts, self.unit = _parts(spec, layout._replace(pp=1), stored), layout.attention_dp
        self.have = [*self.parts.of_stage(stage or stages(spec.runs, 1)[0])]
        self._known: dict[Asked, Pass | None] = {}
        self._alone: dict[tuple[Asked, int], Pass] = {}
        self._mixed: dict[tuple[Pass, Pass], Pass] = {}

    def decoding(self, batch: int, context: int, tokens: int = 1) -> list[Launch]:
        """What a decode step launches."""
        return self._launched(_step(context, tokens), batch)

    def prompts(self, prompt: int, cached: int, batch: int) -> list[Launch]:
        """What a pass of ``batch`` prompts launches."""
        return self._launched(_prompts(prompt, cached), batch)

    def step(self, batch: int, context: int, tokens: int = 1) -> tuple[Pass, int]:
        """:meth:`decoding`."""
        return self._of(_step(context, tokens), batch)

    def prefill(self, prompt: int, cached: int, batch: int) -> tuple[Pass, int]:
        """:meth:`prompts`."""
        return self._of(_prompts(prompt, cached), batch)

    def mixed(self, batch: int, context: int, prompt: int, cached: int, many: int) -> tuple[Pass, int, int]:
        """A decode step with ``many`` prompts in it."""
        one, groups = self.step(batch, context)
        other, prompts = self.prefill(prompt, cached, many)
        found = self._mixed.get((one, other))
        if found is None:
            found = self._mixed[one, other] = Pass(joined(one.each, other.each))
        return found, groups, prompts

    def _launched(self, of: Asked, batch: int) -> list[Launch]:
        found = self.parts.launched(of, batch)
        return [each._replace(times=times * each.times) for part, times in self.have for each in found[part]]

    def _of(self, of: Asked, batch: int) -> tuple[Pass, int]:
        groups, rest = divmod(batch, self.unit)
        if not rest:
            if of not in self._known:
                self._known[of] = self._grown(of)
            found = self._known[of]
            if found is not None:
                return found, groups
        if (of, batch) not in self._alone:
            self._alone[of, batch] = Pass([*map(fixed, self._launched(of, batch))])
        return self._alone[of, batch], 0

    def _grown(self, of: Asked) -> Pass | None:
        """For any number of groups; None where that is not known."""
        found, lines = self.parts.grown(of), []
        for part, times in self.have:
            each = found[part]
            if each is None:
                return None
            lines += [line._replace(times=times * line.times) for line in each]
        return Pass(lines)


@lru_cache(maxsize=64)
def _step(context: int, tokens: int) -> Asked:
    return Asked(tokens, max(0, context - tokens), False)


@lru_cache(maxsize=64)
def _prompts(prompt: int, cached: int) -> Asked:
    new = max(1, prompt - cached)
    return Asked(new, prompt - new, True)


def growing(first: list[Launch], second: list[Launch], other: list[Launch]) -> list[Line] | None:
    """Launches of any number of groups of sequences, through those of :data:`~llmcx.engines.counted.AT`; None where they are no
    straight line.

    >>> growing(*([Launch("gemm", 2, (2 * n, 8, 8))] for n in AT))
    [Line(kind='gemm', times=2, size=0, by=2, more=0, others=(8, 8), grow=(), form='')]
    """
    same = [(one.kind, one.times, one.form) for one in first]
    if any(same != [(one.kind, one.times, one.form) for one in each] for each in (second, other)):
        return None
    found = [_line(one, two) for one, two in zip(first, second, strict=True)]
    return found if [line.at(AT[-1]) for line in found] == other else None


def _line(one: Launch, two: Launch) -> Line:
    """Through what a launch is for one group, and for two."""
    kind, times, shape, form = one
    more = tuple(b - a for a, b in zip(shape, two.shape, strict=True))
    if any(more[1:]):
        return Line(kind, times, 0, 1, 0, tuple(a - b for a, b in zip(shape, more, strict=True)), more, form)
    return Line(kind, times, shape[0] - more[0], more[0], 0, shape[1:], (), form)


_parts = lru_cache(maxsize=1024)(Parts)


@lru_cache(maxsize=1024)
def passes(spec: ModelSpec, layout: Layout, stored: Storage, stage: Stage | None = None) -> Passes:
    """Those of a model in a layout, lowered once however many engines and accelerators are asked about."""
    return Passes(spec, layout, stored, stage)
