"""How long programs for one user take: llama.cpp, MLX, exllamav2, transformers' eager loop. Estimates.

A decode step reads the weights that its token meets at a share of the bandwidth, unpacks quantised ones with as many operations a
weight as the format takes, and waits between the kernels of a layer; where each kernel is launched from Python, it takes at least
as long as the launches. A prompt is multiplied at a share of the peak. The numbers are presets/engines/<engine>.yaml's, by
generation of chips.
"""

from __future__ import annotations

from llmcx.engines import Engine
from llmcx.engines.efficiency import data, of_generation
from llmcx.engines.inference_memory import IDEAL
from llmcx.engines.serving_time import ALONE, Server, ServingStep, Setup
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import Efficiency, Machine, machine
from llmcx.model.spec import ModelSpec

LOCAL = {"llama.cpp": "llama_cpp", "mlx": "mlx", "exllamav2": "exllamav2", "transformers": "transformers"}
"""Engines that this module times, and their files."""


class Local(Server):
    """A model under a program for one user."""

    def __init__(self, spec: ModelSpec, hardware: Hardware, setup: Setup = ALONE, engine: Engine = IDEAL, name: str = "") -> None:
        of = data(LOCAL[name or engine.name])
        number = {key: of_generation(of[key], hardware) for key in ("memory", "prefill", "layer_us", "launch_us", "unpack")}
        self.whose, self.number = of, number
        super().__init__(spec, hardware, setup, Efficiency(memory=number["memory"], hidden_tp=0.0), engine)
        share = of_generation(of["prefill_unpacked"], hardware) if self.quantised else number["prefill"]
        one = Efficiency(matmul=share, attention=share, memory=number["memory"], hidden_tp=0.0)
        self.prompts: Machine = machine(hardware, setup.dtype, one)

    @property
    def quantised(self) -> bool:
        return self.setup.weight_bits < 16

    def decode(self, batch: int, context: int, tokens: int = 1) -> ServingStep:
        """Seconds of weights read + ``unpack`` · weights / peak + ``layer_us`` a layer; at least ``launch_us`` a layer."""
        step, n = super().decode(batch, context, tokens), self.spec.n_layers
        waits = n * self.number["layer_us"] / 1e6
        if self.quantised:
            met = step.weights * self.machine.memory * 8 / self.setup.weight_bits
            step = step._replace(weights=step.weights + met * self.number["unpack"] / self.machine.flops)
        launched = n * self.number["launch_us"] / 1e6
        return step._replace(overhead=step.overhead + max(waits, launched - step.total))

    def prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> ServingStep:
        """As a prompt's arithmetic takes at the share of the peak that its kernels reach; at least the launches."""
        decoding, self.machine = self.machine, self.prompts
        try:
            step = super().prefill(prompt, cached, batch)
        finally:
            self.machine = decoding
        n = self.spec.n_layers
        waits = n * max(self.number["layer_us"] / 1e6, self.number["launch_us"] / 1e6 - step.total / n)
        return step._replace(overhead=step.overhead + waits)
