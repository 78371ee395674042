"""How long programs for one user take: llama.cpp, MLX, exllamav2, transformers' eager loop. Estimates.

A decode step reads the weights that its token meets at a share of the bandwidth, unpacks quantised ones with as many operations a
weight as the format takes, and waits between the kernels of a layer; where each kernel is launched from Python, it takes at least
as long as the launches. A prompt is multiplied at a share of the peak. The numbers are presets/engines/<engine>.yaml's, by
generation of chips.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmcx.engines import Engine
from llmcx.engines.efficiency import data, of_generation
from llmcx.engines.inference_memory import IDEAL
from llmcx.engines.serving_time import ALONE, Bands, Server, ServingStep, Setup, span
from llmcx.errors import InputError, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import Efficiency, Machine, machine
from llmcx.model.spec import ModelSpec

LOCAL = {"llama.cpp": "llama_cpp", "mlx": "mlx", "exllamav2": "exllamav2", "transformers": "transformers"}
"""Engines that this module times, and their files."""

SHARES = ("memory", "prefill", "prefill_unpacked")
NUMBERS = (*SHARES, "layer_us", "launch_us", "unpack")
"""What a file gives, and ``--efficiency`` overrides."""


class Local(Server):
    """A model under a program for one user."""

    def __init__(
        self,
        spec: ModelSpec,
        hardware: Hardware,
        setup: Setup = ALONE,
        engine: Engine = IDEAL,
        name: str = "",
        overrides: Mapping[str, float] | None = None,
    ) -> None:
        self.whose = data(LOCAL[name or engine.name])
        self.number = {key: of_generation(self.whose[key], hardware) for key in NUMBERS} | _checked(overrides or {})
        memory = self.number["memory"]
        super().__init__(spec, hardware, setup, Efficiency(memory=memory, hidden_tp=0.0), engine)
        share = self.number["prefill_unpacked" if self.quantised else "prefill"]
        one = Efficiency(matmul=share, attention=share, memory=memory, hidden_tp=0.0)
        self.prompts: Machine = machine(hardware, setup.dtype, one)

    def bands(self) -> Bands:
        """Of rows that its numbers have not seen."""
        return Bands(span(self.whose["token_band"]), span(self.whose["prompt_band"]))

    def numbers(self) -> dict[str, float]:
        """Those of the file, for this accelerator."""
        return dict(self.number)

    def sources(self) -> list[str]:
        """Where they are from."""
        return [f"{self.whose['title']}: {self.whose['source']}, {self.whose['date']}"]

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


def _checked(overrides: Mapping[str, float]) -> dict[str, float]:
    for name, value in overrides.items():
        if name not in NUMBERS:
            raise unknown_name("number of the engine", name, list(NUMBERS), field="efficiency")
        most = 1.0 if name in SHARES else 1e9
        if not 0 <= value <= most or (name in SHARES and not value):
            allowed = "above 0, at most 1" if name in SHARES else "0 or more"
            raise InputError(f"efficiency {name} is {value:g}, but must be {allowed}", field="efficiency", value=value)
    return dict(overrides)
