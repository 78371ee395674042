"""What a model's passes launch on one GPU of a layout, whatever the engine and the accelerator, for any number of sequences.

Ops are lowered for a few numbers of sequences. Where every size of every launch is a straight line through them, that is what it
is for others too; a search for a layout asks for thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from llmcx.engines.counted import AT
from llmcx.engines.launches import Launch, Sized, launches, together
from llmcx.engines.serving_time import last_token
from llmcx.formats.storage import Names
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import Stage
from llmcx.parallel.ranks import stage_ops

_ops = lru_cache(maxsize=1024)(stage_ops)  # whatever the weights' format


class Passes:
    """Of a model whose weights are ``stored`` so, in a layout; of a pipeline's ``stage`` where there are several."""

    def __init__(self, spec: ModelSpec, layout: Layout, stored: Storage, stage: Stage | None = None) -> None:
        self.spec, self.layout, self.names, self.stage = spec, layout, Names(spec, stored), stage
        self._lowered: dict[tuple[object, ...], list[Launch]] = {}
        self._growing: dict[tuple[object, ...], Growing] = {}

    def decoding(self, batch: int, context: int, tokens: int = 1) -> list[Launch]:
        """What a decode step launches."""
        run = Run(batch, tokens, past=max(0, context - tokens), encode=False, fused=True, ideal=True)
        return launches(_ops(self.spec, run, self.layout, self.stage), run, self.layout, self.names)

    def prompts(self, prompt: int, cached: int, batch: int) -> list[Launch]:
        """What a pass of ``batch`` prompts launches."""
        key = prompt, cached, batch
        if key not in self._lowered:
            new = max(1, prompt - cached)
            run = Run(batch, new, past=prompt - new, fused=True, ideal=True)
            ops = (last_token(op, batch) for op in _ops(self.spec, run, self.layout, self.stage))
            self._lowered[key] = launches(ops, run, self.layout, self.names)
        return self._lowered[key]

    def step(self, batch: int, context: int, tokens: int = 1) -> Sequence[Sized]:
        """:meth:`decoding`, launches of one size together."""
        return self._grown((context, tokens), batch, lambda size: self._decoded(size, context, tokens))

    def mixed(self, batch: int, context: int, prompt: int, cached: int, many: int) -> Sequence[Sized]:
        """A decode step with ``many`` prompts in it, launches of one size together."""
        other = self.prompts(prompt, cached, many)
        key = context, prompt, cached, many
        return self._grown(key, batch, lambda size: together(self._decoded(size, context, 1), other))

    def _decoded(self, batch: int, context: int, tokens: int) -> list[Launch]:
        """:meth:`decoding`, remembered: a mixed pass has the same."""
        key = "decode", batch, context, tokens
        if key not in self._lowered:
            self._lowered[key] = self.decoding(batch, context, tokens)
        return self._lowered[key]

    def _grown(self, key: tuple[object, ...], batch: int, of: Callable[[int], list[Launch]]) -> Sequence[Sized]:
        unit = self.layout.attention_dp
        if batch % unit:
            return of(batch)
        if key not in self._growing:
            self._growing[key] = Growing(of, unit)
        return self._growing[key].at(batch)


class Growing:
    """A pass for any multiple of ``unit`` sequences; ``of`` lowers it for a number of them.

    >>> Growing(lambda n: [Launch("gemm", 2, (n, 8, 8)), Launch("gemm", 3, (n, 8, 8))], 2).at(6)
    [('gemm', 5, (6, 8, 8), '')]
    """

    def __init__(self, of: Callable[[int], list[Launch]], unit: int) -> None:
        self.of, self.unit = of, unit
        first, second, other = (of(unit * groups) for groups in AT)
        same = [(one.kind, one.times, one.form) for one in first]
        self.lines: list[Line] = []
        if all(same == [(one.kind, one.times, one.form) for one in each] for each in (second, other)):
            found: dict[tuple[str, str, tuple[int, ...], tuple[int, ...]], int] = {}
            for one, two in zip(first, second, strict=True):
                more = tuple(b - a for a, b in zip(one.shape, two.shape, strict=True))
                key = (one.kind, one.form, one.shape, more)
                found[key] = found.get(key, 0) + one.times
            self.lines = [
                (kind, times, shape[0], more[0], shape[1:], more[1:] if any(more[1:]) else None, form)
                for (kind, form, shape, more), times in found.items()
            ]
            if sorted(self.at(unit * AT[-1])) != sorted(_summed(other)):
                self.lines = []

    def at(self, batch: int) -> Sequence[Sized]:
        """For ``batch`` sequences."""
        if not self.lines:
            return self.of(batch)
        further = batch // self.unit - 1
        return [
            (
                kind,
                times,
                (size + further * by, *others)
                if more is None
                else (size + further * by, *(n + further * m for n, m in zip(others, more, strict=True))),
                form,
            )
            for kind, times, size, by, others, more, form in self.lines
        ]


Line = tuple[str, int, int, int, tuple[int, ...], "tuple[int, ...] | None", str]
"""Of one unit: kind, times, the first size and by how much it grows, the others and by how much they do (None: not), format."""


def _summed(of: list[Launch]) -> list[Sized]:
    """Launches of one size together."""
    found: dict[tuple[str, tuple[int, ...], str], int] = {}
    for kind, times, shape, form in of:
        found[kind, shape, form] = found.get((kind, shape, form), 0) + times
    return [(kind, times, shape, form) for (kind, shape, form), times in found.items()]


@lru_cache(maxsize=256)
def passes(spec: ModelSpec, layout: Layout, stored: Storage, stage: Stage | None = None) -> Passes:
    """Those of a model in a layout, lowered once however many engines and accelerators are asked about."""
    return Passes(spec, layout, stored, stage)
