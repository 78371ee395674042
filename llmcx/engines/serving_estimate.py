"""How long a serving engine's passes take: what it launches, kernel by kernel, and what the engine adds. Estimates.

Kernels by the laws that were fitted to measured ones (:mod:`llmcx.machine.kernels`); the engine's own numbers are data
(presets/engines/*.yaml), fitted to served loads by tests/oracle/serving.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from llmcx.engines import Engine
from llmcx.engines.closed_loop import first_token
from llmcx.engines.kernel_time import Kernels
from llmcx.engines.launches import Launch, launches, together
from llmcx.engines.serving_time import Server, ServingStep, Setup, last_token
from llmcx.formats.storage import Names
from llmcx.machine import roofline
from llmcx.machine.hardware import Hardware
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage
from llmcx.parallel.ranks import rank_ops


class Schedule(NamedTuple):
    """What an engine adds to its kernels: data (presets/engines/*.yaml), fitted to served loads.

    ``decode`` and ``prompts``: times the kernels' seconds alone, of a decode step and of prompts. Microseconds of the host:
    ``step_us`` a step, ``layer_us`` a layer (kernels that have no law among them), ``user_us`` a user in each step, ``pass_us`` a
    pass with prompts, ``prompt_us`` a prompt; ``request_us`` until a request is in the engine and its first token out of it.
    ``together`` tokens of prompts in a pass, which decodes at the same time where it ``mixes``. ``per_token`` and ``first``: 10th
    and 90th percentile of measured / estimated.
    """

    decode: float
    prompts: float
    step_us: float
    layer_us: float
    user_us: float
    pass_us: float
    prompt_us: float
    request_us: float
    rounds: float
    together: int
    mixes: bool
    per_token: tuple[float, float] = (1.0, 1.0)
    first: tuple[float, float] = (1.0, 1.0)


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

    def _decode(self, batch: int, context: int, tokens: int = 1) -> tuple[ServingStep, float, float]:
        _, flops, moved = super()._decode(batch, context, tokens)
        return self._step(self._decoding(batch, context, tokens), batch), flops, moved

    def decode(self, batch: int, context: int, tokens: int = 1) -> ServingStep:
        return self._step(self._decoding(batch, context, tokens), batch)

    def _prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> tuple[ServingStep, float, float]:
        _, flops, moved = super()._prefill(prompt, cached, batch)
        return self.prefill(prompt, cached, batch), flops, moved

    def prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> ServingStep:
        of = self.schedule
        host = of.step_us + of.pass_us + batch * of.prompt_us + of.layer_us * self.spec.n_layers
        return self._parts(self._prompts(prompt, cached, batch), of.prompts, host)

    def prompt(self, prompt: int, cached: int, users: int, context: int) -> float:
        """What a pass takes beyond the decode step that is in it, or beside it."""
        of = self.schedule
        many = max(1, min(users, of.together // (prompt - cached)))
        prompts = self._prompts(prompt, cached, many)
        if of.mixes:
            decoding = self._decoding(users, context)
            spent = self._sum(together(decoding, prompts)) - self._sum(decoding)
        else:
            spent = self._sum(prompts) + 1e-6 * of.layer_us * self.spec.n_layers
        return (of.prompts * spent + 1e-6 * of.pass_us) / many + 1e-6 * of.prompt_us

    def first(self, prompt: int, cached: int, output: int, users: int, step: float, chunk: int | None) -> float:
        of, new = self.schedule, prompt - cached
        added = self.prompt(prompt, cached, users, prompt + output // 2)
        at_once = (chunk or of.together) / new
        return 1e-6 * of.request_us + first_token(added, step, users, output, at_once if at_once < 1 else at_once // 1, of.rounds)

    def _decoding(self, batch: int, context: int, tokens: int = 1) -> list[Launch]:
        run = Run(batch, tokens, past=max(0, context - tokens), encode=False, fused=True, ideal=True)
        return launches(rank_ops(self.spec, run, self.layout), run, self.layout, self.names)

    def _prompts(self, prompt: int, cached: int, batch: int) -> list[Launch]:
        new = max(1, prompt - cached)
        run = Run(batch, new, past=prompt - new, fused=True, ideal=True)
        ops = (last_token(op, batch) for op in rank_ops(self.spec, run, self.layout))
        return launches(ops, run, self.layout, self.names)

    def _sum(self, of: Iterable[Launch]) -> float:
        return sum(launch.times * self.kernels.seconds(launch) for launch in of)

    def _step(self, of: list[Launch], batch: int) -> ServingStep:
        by = self.schedule
        host = by.step_us + by.layer_us * self.spec.n_layers + by.user_us * batch
        return self._parts(of, by.decode, host)

    def _parts(self, of: list[Launch], times: float, host_us: float) -> ServingStep:
        """Seconds by what they go into: products to what binds them."""
        spent = dict.fromkeys(ServingStep._fields, 0.0)
        for launch in of:
            spent[self._part(launch)] += times * launch.times * self.kernels.seconds(launch)
        spent["overhead"] += 1e-6 * host_us
        return ServingStep(**spent)

    def _part(self, launch: Launch) -> str:
        if launch.kind in ("attention", "latent", "expanded", "recurrent"):
            return "cache" if launch.shape[1] == 1 else "compute"
        if launch.kind in ("all_reduce", "all_gather", "reduce_scatter"):
            return "communication"
        ridge = self.machine.flops / self.machine.bandwidth * self.setup.weight_bits / 16
        tokens = launch.shape[0] * launch.shape[3] / launch.shape[4] if launch.kind == "experts" else launch.shape[0]
        return "compute" if launch.kind in ("gemm", "experts") and tokens > ridge else "weights"
