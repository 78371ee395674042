"""How long a serving engine's passes take: what it launches, kernel by kernel, and what the engine adds. Estimates.

Kernels by the laws that were fitted to measured ones (:mod:`llmcx.machine.kernels`); the engine's own numbers are data
(presets/engines/*.yaml), fitted to served loads by tests/oracle/serving.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from llmcx.engines import Engine, pipelined
from llmcx.engines.closed_loop import per_token, together
from llmcx.engines.kernel_time import ACT, Kernels, Sizes
from llmcx.engines.launches import Launch, Sized, shaped
from llmcx.engines.passes import Pass, passes
from llmcx.engines.serving_time import Bands, Server, ServingStep, Setup, Waits, span, wider
from llmcx.errors import InputError
from llmcx.machine import roofline
from llmcx.machine.hardware import Hardware
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage
from llmcx.parallel.pipeline import Stage


class Schedule(NamedTuple):
    """What an engine adds to its kernels: data (presets/engines/*.yaml), fitted to served loads.

    A decode step takes ``decode`` times the seconds that kernels measured alone are at work, and the share ``launched`` of
    their launches, the rest of which hides behind the kernel before; ``moved_us`` for each that no law covers (rotations,
    quantisation, writes to the cache, norms but those that an all-reduce does), besides its bytes; ``step_us`` of the host
    and the sampler, and ``user_us`` of them a user, of which each group of GPUs that attends for itself schedules its own.
    Prompts add ``prompts`` times what they take in the step that they are in, and ``pass_us`` a step that has any. To the
    first token: ``first`` times the pass of the prompt, and ``request_us`` on the way in and out. A pass has ``together``
    tokens of prompts. Where all lengths are the same, one waits for ``behind`` prompts besides, or, where all that wait are
    worked off ``at_once``, as :func:`llmcx.engines.closed_loop.together` has it. Where prompts are worked off apart, a request
    waits for ``handed`` steps of those that decode, who take it up between steps, in place of ``request_us``.
    ``per_token_bands`` and ``first_bands``: 10th and 90th percentile of measured / estimated, of other models on the
    accelerators that were measured ("model"), on others ("accelerator"), and of prompts that are worked off apart ("apart").
    """

    decode: float
    launched: float
    moved_us: float
    step_us: float
    user_us: float
    prompts: float
    pass_us: float
    first: float
    request_us: float
    together: int = 8192
    behind: float = 1.0
    handed: float = 0.0
    at_once: bool = False
    per_token_bands: Mapping[str, Sequence[float]] = MappingProxyType({})
    first_bands: Mapping[str, Sequence[float]] = MappingProxyType({})


class Timed(Server):
    """A server whose kernels take as long as measured ones, in an engine with a ``schedule``; ``stored``: the format of each
    matrix.
    """

    def __init__(
        self,
        spec: ModelSpec,
        hardware: Hardware,
        setup: Setup,
        engine: Engine,
        schedule: Schedule,
        stored: Storage,
        kernels: Kernels,
        stage: Stage | None = None,
    ) -> None:
        super().__init__(spec, hardware, setup, roofline.IDEAL, engine, stage)
        self.schedule, self.stored, self.kernels, self.budget = schedule, stored, kernels, schedule.together
        self.passes = passes(spec, self.layout, stored, stage)
        self._ridge = self.machine.flops / self.machine.bandwidth * setup.weight_bits / 16
        self._bounds: dict[Pass, Bound] = {}
        self._alone: dict[tuple[int, int, int | None], tuple[float, float, float]] = {}
        self._last: tuple[tuple[int, int] | None, float] = None, 0.0  # users and context, and seconds of their step's kernels

    def of_stage(self, stage: Stage) -> Server:
        setup = self.setup._replace(pp=1)
        return Timed(self.spec, self.hardware, setup, self.engine, self.schedule, self.stored, self.kernels, stage)

    def step(self, batch: int, context: int, tokens: int) -> ServingStep:
        by, (of, groups) = self.schedule, self.passes.step(batch, context, tokens)
        bound = self._bound(of)
        work, begun = bound.spent(groups)
        launched = sum(begun)
        if tokens == 1:
            self._last = (batch, context), sum(work) + launched
        host = by.step_us + by.user_us * batch / self.setup.attention_dp
        overhead = by.launched * launched + 1e-6 * (bound.moved * by.moved_us + host)
        weights, compute, cache, sent = [by.decode * part for part in work]
        return ServingStep(weights, compute, cache, sent, overhead)

    def prompts_pass(self, prompt: int, cached: int, batch: int) -> ServingStep:
        by, (of, groups) = self.schedule, self.passes.prefill(prompt, cached, batch)
        work, begun = self._bound(of).spent(groups)
        weights, compute, cache, sent = [by.first * (one + other) for one, other in zip(work, begun, strict=True)]
        return ServingStep(weights, compute, cache, sent, 0.0)

    def beyond(self, prompt: int, cached: int, users: int, context: int, many: int) -> float:
        by = self.schedule
        if self._last[0] != (users, context):
            self.step(users, context, 1)
        of, groups, prompts = self.passes.mixed(users, context, prompt, cached, many)
        work, begun = self._bound(of).spent(groups, prompts)
        return by.prompts * (sum(work) + sum(begun) - self._last[1]) + 1e-6 * by.pass_us

    def exact(self, prompt: int, cached: int, output: int, users: int, step: float, token: float, chunk: int | None) -> Waits:
        if self.setup.pp > 1:
            problem = "how users who ask together follow each other through stages is not known; leave out --pp"
            raise InputError(problem, field="pp", value=self.setup.pp, allowed="1")
        by, many = self.schedule, self.in_a_pass(prompt - cached, users, chunk or self.budget)
        if by.at_once:
            each = self.in_a_row(prompt, cached, many) / many
            first, between = together(token, each, users, many, output)
            return 1e-6 * by.request_us + first, between
        first = self.first(prompt, cached, output, users, step, chunk) + by.behind * self.alone(prompt, cached)[0]
        added = self.prompt(prompt, cached, users, prompt + output // 2, chunk)
        return first, per_token(token, added, users, output, first)

    def shared(self, prompt: int, cached: int, users: int, context: int, many: int) -> float:
        return 0.0  # the numbers are fitted to a pass and a step one after the other

    def passing(self, prompt: int, cached: int, chunk: int | None) -> tuple[float, float, float]:
        key = prompt, cached, chunk
        if key not in self._alone:
            alone = self.flow.alone(self, prompt, cached, self.setup.attention_dp, chunk)
            held = self.flow.held(self, prompt, cached, alone)
            self._alone[key] = held, alone - held, 1e-6 * self.schedule.request_us
        return self._alone[key]

    def alone(self, prompt: int, cached: int, chunk: int | None = None) -> tuple[float, float]:
        own, further, besides = self.passing(prompt, cached, chunk)
        return own + further, besides

    def sent(self, tokens: int) -> float:
        elements = pipelined.gathered(self, tokens)
        return sum(many * sum(sizes[elements]) for many, sizes in self._links)

    @cached_property
    def _links(self) -> list[tuple[int, Sizes]]:
        """How many of the stages send to the next, and over what."""
        return pipelined.links_by_law(self, self.kernels)

    def in_a_row(self, prompt: int, cached: int, many: int) -> float:
        by, (of, groups) = self.schedule, self.passes.prefill(prompt, cached, many)
        work, begun = self._bound(of).spent(groups)
        return by.prompts * (sum(work) + sum(begun)) + 1e-6 * by.pass_us

    def taken_up(self, step: float) -> float:
        return self.schedule.handed * step

    def like(self, setup: Setup, engine: Engine | None = None) -> Server:
        return Timed(self.spec, self.hardware, setup, engine or self.engine, self.schedule, self.stored, self.kernels)

    def bands(self) -> Bands:
        return self._bands

    @cached_property
    def _bands(self) -> Bands:
        return wider(self._measured("model" if self.hardware.name in MEASURED else "accelerator"), self.setup.pp)

    def bands_apart(self) -> Bands:
        of = zip(self._bands, self._measured("apart"), strict=True)  # few runs: no narrower than where prompts are not apart
        return Bands(*((min(one[0], two[0]), max(one[1], two[1])) for one, two in of))

    def _measured(self, among: str) -> Bands:
        by = self.schedule
        return Bands(*(span(of.get(among, (1.0, 1.0))) for of in (by.per_token_bands, by.first_bands)))

    def numbers(self) -> dict[str, float]:
        return {name: value for name, value in self.schedule._asdict().items() if type(value) in (int, float)}

    def decoding(self, batch: int, context: int, tokens: int = 1) -> list[Launch]:
        """What a decode step launches."""
        return self.passes.decoding(batch, context, tokens)

    def prompts(self, prompt: int, cached: int, batch: int) -> list[Launch]:
        """What a pass of ``batch`` prompts launches."""
        return self.passes.prompts(prompt, cached, batch)

    def seconds(self, of: Iterable[Sized]) -> float:
        """Of launches one after the other, of the kernels alone."""
        return sum(launch[1] * self.kernels.seconds(launch) for launch in of)

    def _bound(self, of: Pass) -> Bound:
        """A pass by these kernels."""
        found = self._bounds.get(of)
        if found is None:
            lines: list[BoundLine] = []
            moved, only = 0, (0, 0, 0)
            for kind, times, size, by, more, others, grow, form in of.lines:
                if kind == "moved":  # at one rate, whatever their sizes
                    moved += times
                    only = only[0] + times * size, only[1] + times * by, only[2] + times * more
                    continue
                if kind == "all_reduce":
                    moved -= times
                binds = self._binds(kind, shaped(1, others, grow))
                lines.append((self.kernels.sizes(kind, others, grow, form), times, size, by, more, *binds))
            found = self._bounds[of] = Bound(lines, moved, only, self.kernels.moving)
        return found

    def part(self, launch: Sized) -> str:
        """The part of a step that a launch goes into."""
        limit, few, many = self._binds(launch[0], launch[2])
        return ServingStep._fields[many if launch[2][0] > limit else few]

    def _binds(self, kind: str, shape: tuple[int, ...]) -> tuple[float, int, int]:
        """Launches by what binds them: up to a first size by one part of a step, beyond it by another."""
        if kind == "gemm":
            return self._ridge, WEIGHTS, COMPUTE
        if kind == "experts":
            return self._ridge * shape[4] / shape[3], WEIGHTS, COMPUTE
        if kind == "received":
            return self._ridge * shape[4], WEIGHTS, COMPUTE
        part = WEIGHTS
        if kind in ATTENDING:
            part = CACHE if shape[1] == 1 else COMPUTE
        elif kind in SENDING:
            part = COMMUNICATION
        return 0.0, part, part


BoundLine = tuple[Sizes, int, int, int, int, float, int, int]
"""Of a :class:`~llmcx.engines.launches.Line` its kernels; how often it is launched; the first size, and by how much that grows;
the part of a step that it goes into, up to a first size and beyond.
"""


class Bound(NamedTuple):
    """A pass by a server's kernels; ``moved``: how many launches only move, less those that an all-reduce does; ``only``: their
    elements, and by how much these grow, ``moving`` bytes a second.
    """

    lines: list[BoundLine]
    moved: int
    only: tuple[int, int, int]
    moving: float

    def spent(self, groups: int, prompts: int = 0) -> tuple[list[float], list[float]]:
        """Seconds at work, and of launches, by part."""
        work, begun = [0.0] * PARTS, [0.0] * PARTS
        for sizes, times, size, by, more, limit, few, many in self.lines:
            size += by * groups + more * prompts
            part = many if size > limit else few
            spent, launched = sizes[size]
            work[part] += times * spent
            begun[part] += times * launched
        size, by, more = self.only
        work[WEIGHTS] += ACT * (size + by * groups + more * prompts) / self.moving
        return work, begun


WEIGHTS, COMPUTE, CACHE, COMMUNICATION = range(4)
"""Parts of a :class:`~llmcx.engines.serving_time.ServingStep`."""
PARTS = 4
ATTENDING = ("attention", "latent", "expanded", "delta", "convolved", "recurrent")
SENDING = ("dispatch", "combine", "all_reduce", "all_gather", "reduce_scatter")
MEASURED = ("h100", "h200", "b200")
"""Accelerators on which loads were measured, in numbers."""
