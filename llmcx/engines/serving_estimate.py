"""How long a serving engine's passes take: what it launches, kernel by kernel, and what the engine adds. Estimates.

Kernels by the laws that were fitted to measured ones (:mod:`llmcx.machine.kernels`); the engine's own numbers are data
(presets/engines/*.yaml), fitted to served loads by tests/oracle/serving.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from llmcx.engines import Engine
from llmcx.engines.closed_loop import first_token, first_token_apart, first_tokens, first_tokens_apart
from llmcx.engines.ideal import CHUNK
from llmcx.engines.kernel_time import Kernels
from llmcx.engines.launches import Launch, Sized
from llmcx.engines.passes import passes
from llmcx.engines.serving_time import Bands, Server, ServingStep, Setup, span, wider
from llmcx.engines.spread import Parts
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
    first token: ``first`` times the pass of the prompt, ``first_layer_us`` a layer, which is launched without a graph, and
    ``request_us`` on the way in and out. A pass has ``together`` tokens of prompts. ``per_token_bands`` and ``first_bands``:
    10th and 90th percentile of measured / estimated, of other models on the accelerators that were measured ("model"), and on
    others ("accelerator").
    """

    decode: float
    launched: float
    moved_us: float
    step_us: float
    user_us: float
    prompts: float
    pass_us: float
    first: float
    first_layer_us: float
    request_us: float
    together: int = 8192
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
        self._alone: dict[tuple[int, int], float] = {}
        self._last: tuple[tuple[int, int] | None, float] = None, 0.0  # users and context, and seconds of their step's kernels

    def _decode(self, batch: int, context: int, tokens: int = 1) -> tuple[ServingStep, float, float]:
        _, flops, moved = super()._decode(batch, context, tokens)
        return self.decode(batch, context, tokens), flops, moved

    def of_stage(self, stage: Stage) -> Server:
        setup = self.setup._replace(pp=1)
        return Timed(self.spec, self.hardware, setup, self.engine, self.schedule, self.stored, self.kernels, stage)

    def decode(self, batch: int, context: int, tokens: int = 1) -> ServingStep:
        if self.stages:
            return super().decode(batch, context, tokens)
        spent, kernels = self._step(self.passes.step(batch, context, tokens), batch)
        if tokens == 1:
            self._last = (batch, context), kernels
        return spent

    def _prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> tuple[ServingStep, float, float]:
        _, flops, moved = super()._prefill(prompt, cached, batch)
        return self.prefill(prompt, cached, batch), flops, moved

    def prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> ServingStep:
        if self.stages:
            return super().prefill(prompt, cached, batch)
        by = self.schedule
        parts = self._parts(self.prompts(prompt, cached, batch))
        spent = (by.first * value for value in parts)
        return ServingStep(*spent)._replace(overhead=by.first * parts.overhead + 1e-6 * by.first_layer_us * self.layers)

    def beyond(self, prompt: int, cached: int, users: int, context: int, many: int) -> float:
        by, key = self.schedule, (users, context)
        if self._last[0] != key:
            self._last = key, self.seconds(self.passes.step(users, context))
        spent = self.seconds(self.passes.mixed(users, context, prompt, cached, many)) - self._last[1]
        return by.prompts * spent + 1e-6 * by.pass_us

    def first(self, prompt: int, cached: int, output: int, users: int, step: float, chunk: int | None) -> float:
        own, further, besides = self._passing(prompt, cached, chunk)
        groups, together = self.setup.attention_dp, self.together(prompt - cached, chunk)
        return besides + first_token(own, step, users / groups, output, together, further, self.setup.pp)

    def firsts(self, prompt: int, cached: int, output: int, users: int, step: float, chunk: int | None) -> Parts:
        own, further, besides = self._passing(prompt, cached, chunk)
        groups, together = self.setup.attention_dp, self.together(prompt - cached, chunk)
        found = first_tokens(own, step, users / groups, output, together, further, self.setup.pp)
        return [(share, each.later(besides)) for share, each in found]

    def _passing(self, prompt: int, cached: int, chunk: int | None) -> tuple[float, float, float]:
        """Seconds for which a prompt's own pass keeps others waiting, its way through further stages, and besides."""
        alone, besides = self.alone(prompt, cached, chunk)
        if not self.stages:
            return alone, 0.0, besides
        from llmcx.engines import pipelined

        own = pipelined.held(self, prompt, cached)
        return own, alone - own, besides

    def alone(self, prompt: int, cached: int, chunk: int | None = None) -> tuple[float, float]:
        besides = 1e-6 * self.schedule.request_us
        if self.stages:
            from llmcx.engines import pipelined

            return pipelined.prefill(self, prompt, cached, self.setup.attention_dp, chunk).total, besides
        if (prompt, cached) not in self._alone:
            self._alone[prompt, cached] = self.prefill(prompt, cached, self.setup.attention_dp).total
        return self._alone[prompt, cached], besides

    def sent(self, tokens: int) -> float:
        from llmcx.engines import pipelined

        return pipelined.sent_by_law(self, self.kernels, tokens)

    def firsts_apart(self, prompt: int, cached: int, output: int, users: float, token: float) -> Parts:
        alone, besides = self.alone(prompt, cached)
        each, together = self.each(prompt, cached, users), max(1.0, CHUNK // (prompt - cached))
        found = first_tokens_apart(alone, each, token, users, output, together)
        return [(share, one.later(besides)) for share, one in found]

    def apart(self, prompt: int, cached: int, users: float, output: int, token: float) -> float:
        alone, besides = self.alone(prompt, cached)
        each, together = self.each(prompt, cached, users), max(1.0, CHUNK // (prompt - cached))
        return besides + first_token_apart(alone, each, token, users, output, together)

    def like(self, setup: Setup, engine: Engine | None = None) -> Server:
        return Timed(self.spec, self.hardware, setup, engine or self.engine, self.schedule, self.stored, self.kernels)

    def bands(self) -> Bands:
        return self._bands

    @cached_property
    def _bands(self) -> Bands:
        by, known = self.schedule, "model" if self.hardware.name in MEASURED else "accelerator"
        bands = Bands(*(span(of.get(known, (1.0, 1.0))) for of in (by.per_token_bands, by.first_bands)))
        return wider(bands, self.setup.pp)

    def numbers(self) -> dict[str, float]:
        return {name: value for name, value in self.schedule._asdict().items() if isinstance(value, (int, float))}

    def decoding(self, batch: int, context: int, tokens: int = 1) -> list[Launch]:
        """What a decode step launches."""
        return self.passes.decoding(batch, context, tokens)

    def prompts(self, prompt: int, cached: int, batch: int) -> list[Launch]:
        """What a pass of ``batch`` prompts launches."""
        return self.passes.prompts(prompt, cached, batch)

    def seconds(self, of: Iterable[Sized]) -> float:
        """Of launches one after the other, of the kernels alone."""
        known, parts, spent = self.kernels.known, self.kernels.parts, 0.0
        for launch in of:
            kind, times, shape, form = launch
            work, begun = known.get((kind, shape, form)) or parts(launch)
            spent += times * (work + begun)
        return spent

    def _step(self, of: Iterable[Sized], batch: int) -> tuple[ServingStep, float]:
        """A decode step; and seconds of its kernels alone."""
        by, known, parts, ridge = self.schedule, self.kernels.known, self.kernels.parts, self._ridge
        weights = compute = cache = communication = overhead = kernels = 0.0
        hidden, moved = by.launched, 1e-6 * by.moved_us
        for launch in of:
            kind, times, shape, form = launch
            work, begun = known.get((kind, shape, form)) or parts(launch)
            spent = times * work
            launched = times * begun
            kernels += spent + launched
            overhead += hidden * launched
            if kind == "moved":
                overhead += times * moved
                weights += spent
            elif kind == "all_reduce":  # with the norm after it
                overhead -= times * moved
                communication += spent
            elif kind == "gemm":
                if shape[0] > ridge:
                    compute += spent
                else:
                    weights += spent
            else:
                part = self._part(kind, shape)
                if part == "weights":
                    weights += spent
                elif part == "compute":
                    compute += spent
                elif part == "cache":
                    cache += spent
                else:
                    communication += spent
        overhead += 1e-6 * (by.step_us + by.user_us * batch / self.setup.attention_dp)
        by_kernels = by.decode
        step = ServingStep(by_kernels * weights, by_kernels * compute, by_kernels * cache, by_kernels * communication, overhead)
        return step, kernels

    def _parts(self, of: list[Launch]) -> ServingStep:
        """Seconds of kernels alone by what they go into."""
        spent = dict.fromkeys(ServingStep._fields, 0.0)
        for launch in of:
            spent[self._part(launch.kind, launch.shape)] += launch.times * self.kernels.seconds(launch)
        return ServingStep(**spent)

    def _part(self, kind: str, shape: tuple[int, ...]) -> str:
        """Products go to what binds them."""
        if kind in ("gemm", "experts"):
            tokens = shape[0] * shape[3] / shape[4] if kind == "experts" else shape[0]
            return "compute" if tokens > self._ridge else "weights"
        if kind in ATTENDING:
            return "cache" if shape[1] == 1 else "compute"
        return "communication" if kind in SENDING else "weights"


ATTENDING = ("attention", "latent", "expanded", "delta", "convolved", "recurrent")
SENDING = ("dispatch", "combine", "all_reduce", "all_gather", "reduce_scatter")
MEASURED = ("h100", "h200", "b200")
"""Accelerators on which loads were measured, in numbers."""
