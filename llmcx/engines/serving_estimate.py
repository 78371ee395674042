"""How long a serving engine's passes take: what it launches, kernel by kernel, and what the engine adds. Estimates.

Kernels by the laws that were fitted to measured ones (:mod:`llmcx.machine.kernels`); the engine's own numbers are data
(presets/engines/*.yaml), fitted to served loads by tests/oracle/serving.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from llmcx.engines import Engine
from llmcx.engines.closed_loop import first_token, first_token_apart
from llmcx.engines.kernel_time import Kernels
from llmcx.engines.launches import Launch, launches, together
from llmcx.engines.serving_time import Bands, Server, ServingStep, Setup, last_token, span
from llmcx.formats.storage import Names
from llmcx.machine import roofline
from llmcx.machine.hardware import Hardware
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage
from llmcx.parallel.ranks import rank_ops


class Schedule(NamedTuple):
    """What an engine adds to its kernels: data (presets/engines/*.yaml), fitted to served loads.

    A decode step takes ``decode`` times the seconds that kernels measured alone are at work, and the share ``launched`` of their
    launches, the rest of which hides behind the kernel before; ``moved_us`` for each that no law covers (norms, rotations,
    quantisation, writes to the cache), besides its bytes; ``step_us`` of the host and the sampler, and ``user_us`` of them a
    user. Prompts add ``prompts`` times what they take in the step that they are in, and ``pass_us`` a step that has any. To the
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
    ) -> None:
        super().__init__(spec, hardware, setup, roofline.IDEAL, engine)
        self.schedule, self.names, self.kernels = schedule, Names(spec, stored), kernels
        self._passes: dict[tuple[Run, bool], list[Launch]] = {}

    def _decode(self, batch: int, context: int, tokens: int = 1) -> tuple[ServingStep, float, float]:
        _, flops, moved = super()._decode(batch, context, tokens)
        return self._step(self.decoding(batch, context, tokens), batch), flops, moved

    def decode(self, batch: int, context: int, tokens: int = 1) -> ServingStep:
        return self._step(self.decoding(batch, context, tokens), batch)

    def _prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> tuple[ServingStep, float, float]:
        _, flops, moved = super()._prefill(prompt, cached, batch)
        return self.prefill(prompt, cached, batch), flops, moved

    def prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> ServingStep:
        by = self.schedule
        parts = self._parts(self.prompts(prompt, cached, batch))
        spent = (by.first * value for value in parts)
        return ServingStep(*spent)._replace(overhead=by.first * parts.overhead + 1e-6 * by.first_layer_us * self.spec.n_layers)

    def prompt(self, prompt: int, cached: int, users: int, context: int) -> float:
        """What a pass takes beyond the decode step that it is in, shared out."""
        by = self.schedule
        many = max(1, min(users, by.together // (prompt - cached)))
        decoding = self.decoding(users, context)
        spent = self.seconds(together(decoding, self.prompts(prompt, cached, many))) - self.seconds(decoding)
        return (by.prompts * spent + 1e-6 * by.pass_us) / many

    def first(self, prompt: int, cached: int, output: int, users: int, step: float, chunk: int | None) -> float:
        by, new = self.schedule, prompt - cached
        tokens, alone = chunk or by.together, self.prefill(prompt, cached).total
        return 1e-6 * by.request_us + first_token(alone, step, users, output, tokens // new or tokens / new)

    def apart(self, alone: float, users: float, output: int, token: float, together: float) -> float:
        return 1e-6 * self.schedule.request_us + first_token_apart(alone, token, users, output, together)

    def like(self, setup: Setup) -> Server:
        return Timed(self.spec, self.hardware, setup, self.engine, self.schedule, self.names.stored, self.kernels)

    def bands(self) -> Bands:
        by, known = self.schedule, "model" if self.hardware.name in MEASURED else "accelerator"
        return Bands(*(span(of.get(known, (1.0, 1.0))) for of in (by.per_token_bands, by.first_bands)))

    def numbers(self) -> dict[str, float]:
        return {name: value for name, value in self.schedule._asdict().items() if isinstance(value, (int, float))}

    def decoding(self, batch: int, context: int, tokens: int = 1) -> list[Launch]:
        """What a decode step launches."""
        return self._launched(Run(batch, tokens, past=max(0, context - tokens), encode=False, fused=True, ideal=True), False)

    def prompts(self, prompt: int, cached: int, batch: int) -> list[Launch]:
        """What a pass of ``batch`` prompts launches."""
        new = max(1, prompt - cached)
        return self._launched(Run(batch, new, past=prompt - new, fused=True, ideal=True), True)

    def _launched(self, run: Run, last: bool) -> list[Launch]:
        """One pass's; with logits of each sequence's ``last`` token alone. A load asks for each of its passes more than once."""
        if (run, last) not in self._passes:
            ops = rank_ops(self.spec, run, self.layout)
            if last:
                ops = [last_token(op, run.batch) for op in ops]
            self._passes[run, last] = launches(ops, run, self.layout, self.names)
        return self._passes[run, last]

    def seconds(self, of: Iterable[Launch]) -> float:
        """Of launches one after the other, of the kernels alone."""
        return sum(launch.times * self.kernels.seconds(launch) for launch in of)

    def _step(self, of: list[Launch], batch: int) -> ServingStep:
        """A decode step."""
        by = self.schedule
        spent = dict.fromkeys(ServingStep._fields, 0.0)
        for launch in of:
            work, begun = self.kernels.parts(launch)
            spent[self._part(launch)] += launch.times * by.decode * work
            spent["overhead"] += launch.times * (by.launched * begun + (1e-6 * by.moved_us if launch.kind == "moved" else 0.0))
        spent["overhead"] += 1e-6 * (by.step_us + by.user_us * batch)
        return ServingStep(**spent)

    def _parts(self, of: list[Launch]) -> ServingStep:
        """Seconds of kernels alone by what they go into."""
        spent = dict.fromkeys(ServingStep._fields, 0.0)
        for launch in of:
            spent[self._part(launch)] += launch.times * self.kernels.seconds(launch)
        return ServingStep(**spent)

    def _part(self, launch: Launch) -> str:
        """Products go to what binds them."""
        kind, shape = launch.kind, launch.shape
        if kind in ("attention", "latent", "expanded", "delta", "convolved", "recurrent"):
            return "cache" if shape[1] == 1 else "compute"
        if kind in ("all_reduce", "all_gather", "reduce_scatter"):
            return "communication"
        ridge = self.machine.flops / self.machine.bandwidth * self.setup.weight_bits / 16
        tokens = shape[0] * shape[3] / shape[4] if kind == "experts" else shape[0]
        return "compute" if kind in ("gemm", "experts") and tokens > ridge else "weights"


MEASURED = ("h100", "h200", "b200")
"""Accelerators on which loads were measured, in numbers."""
