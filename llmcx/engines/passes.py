"""What a model's passes launch on one GPU of a layout, whatever the engine and the accelerator, for any number of sequences.

Ops are lowered for a few numbers of sequences. Where every size of every launch is a straight line through them, that is what it
is for others too; a search for a layout asks for thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from llmcx.engines.counted import AT
from llmcx.engines.launches import Launch, Line, Sized, fixed, joined, launches
from llmcx.engines.serving_time import last_token
from llmcx.formats.storage import Names
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import Stage
from llmcx.parallel.ranks import stage_ops

_ops = lru_cache(maxsize=1024)(stage_ops)  # whatever the weights' format


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


class Passes:
    """Of a model whose weights are ``stored`` so, in a layout; of a pipeline's ``stage`` where there are several. A pass is asked
    for by its sequences, and told with how many groups of them it is to be read for: a group has one for each group of GPUs that
    attends for itself.
    """

    def __init__(self, spec: ModelSpec, layout: Layout, stored: Storage, stage: Stage | None = None) -> None:
        self.spec, self.layout, self.names, self.stage = spec, layout, Names(spec, stored), stage
        self._known: dict[tuple[object, ...], Pass | None] = {}
        self._mixed: dict[tuple[Pass, Pass], Pass] = {}

    def decoding(self, batch: int, context: int, tokens: int = 1) -> list[Launch]:
        """What a decode step launches."""
        run = Run(batch, tokens, past=max(0, context - tokens), encode=False, fused=True, ideal=True)
        return launches(_ops(self.spec, run, self.layout, self.stage), run, self.layout, self.names)

    def prompts(self, prompt: int, cached: int, batch: int) -> list[Launch]:
        """What a pass of ``batch`` prompts launches."""
        new = max(1, prompt - cached)
        run = Run(batch, new, past=prompt - new, fused=True, ideal=True)
        ops = (last_token(op, batch) for op in _ops(self.spec, run, self.layout, self.stage))
        return launches(ops, run, self.layout, self.names)

    def step(self, batch: int, context: int, tokens: int = 1) -> tuple[Pass, int]:
        """:meth:`decoding`."""
        return self._of(("step", context, tokens), batch, lambda size: self.decoding(size, context, tokens))

    def prefill(self, prompt: int, cached: int, batch: int) -> tuple[Pass, int]:
        """:meth:`prompts`."""
        return self._of(("prompts", prompt, cached), batch, lambda size: self.prompts(prompt, cached, size))

    def mixed(self, batch: int, context: int, prompt: int, cached: int, many: int) -> tuple[Pass, int, int]:
        """A decode step with ``many`` prompts in it."""
        one, groups = self.step(batch, context)
        other, prompts = self.prefill(prompt, cached, many)
        found = self._mixed.get((one, other))
        if found is None:
            found = self._mixed[one, other] = Pass(joined(one.each, other.each))
        return found, groups, prompts

    def _of(self, key: tuple[object, ...], batch: int, of: Callable[[int], list[Launch]]) -> tuple[Pass, int]:
        unit = self.layout.attention_dp
        groups, rest = divmod(batch, unit)
        if not rest:
            if key not in self._known:
                self._known[key] = growing(of, unit)
            found = self._known[key]
            if found is not None:
                return found, groups
        alone = (*key, batch)
        found = self._known.get(alone)
        if found is None:
            found = self._known[alone] = Pass([*map(fixed, of(batch))])
        return found, 0


def growing(of: Callable[[int], list[Launch]], unit: int) -> Pass | None:
    """A pass for any multiple of ``unit`` sequences, which ``of`` lowers for a number of them; None where it is no straight line.

    >>> growing(lambda n: [Launch("gemm", 2, (n, 8, 8)), Launch("gemm", 3, (n, 8, 8))], 2).at(3)
    [('gemm', 5, (6, 8, 8), '')]
    """
    first, second, other = (of(unit * groups) for groups in AT)
    same = [(one.kind, one.times, one.form) for one in first]
    if any(same != [(one.kind, one.times, one.form) for one in each] for each in (second, other)):
        return None
    found = Pass([_line(one, two) for one, two in zip(first, second, strict=True)])
    return found if sorted(found.at(AT[-1])) == sorted(Pass([*map(fixed, other)]).at(0)) else None


def _line(one: Launch, two: Launch) -> Line:
    """Through what a launch is for one group, and for two."""
    kind, times, shape, form = one
    more = tuple(b - a for a, b in zip(shape, two.shape, strict=True))
    if any(more[1:]):
        return Line(kind, times, 0, 1, 0, tuple(a - b for a, b in zip(shape, more, strict=True)), more, form)
    return Line(kind, times, shape[0] - more[0], more[0], 0, shape[1:], (), form)


@lru_cache(maxsize=256)
def passes(spec: ModelSpec, layout: Layout, stored: Storage, stage: Stage | None = None) -> Passes:
    """Those of a model in a layout, lowered once however many engines and accelerators are asked about."""
    return Passes(spec, layout, stored, stage)
