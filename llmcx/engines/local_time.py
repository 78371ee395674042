"""How long programs for one user take: llama.cpp, MLX, exllamav2, transformers' eager loop. Estimates.

A decode step reads the weights that its token meets at a share of the bandwidth, unpacks quantised ones with as many operations a
weight as the format takes, and waits between its kernels, of which each part of a model has its own; where each is launched from
Python, it takes at least as long as the launches. A prompt is multiplied at a share of the peak. The numbers are
presets/engines/<engine>.yaml's, by generation of chips.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmcx.engines import Engine
from llmcx.engines.efficiency import data, of_generation
from llmcx.engines.inference_memory import IDEAL
from llmcx.engines.llama_offload import Split, met
from llmcx.engines.serving_time import ALONE, Bands, Server, ServingStep, Setup, Span, span, touched
from llmcx.errors import InputError, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import Efficiency, Machine, machine
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.parallel.ranks import rank_ops

LOCAL = {"llama.cpp": "llama_cpp", "mlx": "mlx", "exllamav2": "exllamav2", "transformers": "transformers"}
"""Engines that this module times, and their files."""

SHARES = ("memory", "prefill", "prefill_unpacked")
NUMBERS = (*SHARES, "kernel_us", "launch_us", "unpack")
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
        between = self.number["kernel_us"] / 1e6
        super().__init__(spec, hardware, setup, Efficiency(memory=memory, hidden_tp=0.0, kernel_s=between), engine)
        share = self.number["prefill_unpacked" if self.quantised else "prefill"]
        attention = of_generation(self.whose.get("attention", share), hardware)
        one = Efficiency(matmul=share, attention=attention, memory=memory, hidden_tp=0.0, kernel_s=between)
        rates = hardware.dense_tflops  # Blackwell Ultra has next to no integers
        integers = self.quantised and rates.get("int8", 0.0) >= rates[hardware.dtype] and bool(self.whose.get("integers"))
        self.prompts: Machine = machine(hardware, "int8" if integers else setup.dtype, one)

    def bands(self) -> Bands:
        """Of rows that its numbers have not seen; twice as wide, in logarithms, on a chip on which nothing was measured."""
        both = (of_generation(self.whose[name], self.hardware) for name in ("token_band", "prompt_band"))
        return Bands(*(span([end if self.measured else end**2 for end in of]) for of in both))

    @property
    def measured(self) -> bool:
        """Whether the program was measured on this chip, where its file says on which it was."""
        return self.hardware.name in self.whose.get("measured", [self.hardware.name])

    def numbers(self) -> dict[str, float]:
        """Those of the file, for this accelerator."""
        return dict(self.number)

    def sources(self) -> list[str]:
        """Where they are from."""
        like = f"{self.whose['title']} was not measured on {self.hardware.title}: as on its nearest kin, in a range twice as wide"
        return [f"{self.whose['title']}: {self.whose['source']}, {self.whose['date']}", *([] if self.measured else [like])]

    @property
    def quantised(self) -> bool:
        return self.setup.weight_bits < 16

    @property
    def plain_flops(self) -> float:
        """FLOP/s without tensor cores, where they are known: one token's products are made there."""
        rates = self.hardware.dense_tflops
        return self.hardware.flops("fp32" if "fp32" in rates else self.hardware.dtype)

    def decode(self, batch: int, context: int, tokens: int = 1) -> ServingStep:
        """Seconds of weights read + ``unpack`` · weights / fp32 peak + ``kernel_us`` a kernel; at least ``launch_us`` a layer."""
        step = super().decode(batch, context, tokens)
        if self.quantised:
            met = step.weights * self.machine.memory * 8 / self.setup.weight_bits
            step = step._replace(weights=step.weights + met * self.number["unpack"] / self.plain_flops)
        return self._launched(step)

    def split(self, of: Split, context: int, host_bytes_per_s: float) -> float:
        """Seconds of a token where a model is split (llama.cpp): the GPU's layers as ever, then the host's, whose processors read
        weights and caches at a share of its memory's ``host_bytes_per_s``.
        """
        step, there = self.decode(1, context), met(self.spec, of)
        weights, layers = there.host / there.all, there.layers
        gpu = (step.weights + step.compute) * (1 - weights) + step.cache * (1 - layers) + step.overhead
        read = there.host * self.setup.weight_bits / 8 + layers * self.cache_bytes(context)
        return gpu + read / (host_bytes_per_s * float(self.whose["host"]))

    @staticmethod
    def processor_band() -> Span:
        """Of :meth:`split`, and of :func:`on_processors`."""
        return span(data(LOCAL["llama.cpp"])["host_band"])

    def split_prompt(self, prompt: int, piece: int, host_weights: float) -> float | None:
        """Seconds of a prompt where ``host_weights`` bytes lie in the host's memory: each ``piece`` of it has them copied to the
        GPU, which multiplies all; None where it is not known how fast they get there.
        """
        link = self.hardware.scale_up
        if link is None or not link.link.startswith("PCIe"):
            return None
        copied = -(-prompt // piece) * host_weights / (link.gb_per_s * 1e9 * float(data("kernels")["link"]["value"]))
        return self.prefill(prompt).total + copied

    def part_filled(self, prompt: int, cached: int, batch: int) -> float:
        """Seconds in which experts' kernels multiply what no token fills of a ``tile`` of rows: half a tile of each expert that
        is met, in each piece of a prompt.
        """
        tile = of_generation(self.whose.get("tile", 0.0), self.hardware)
        piece = min(prompt - cached, self.engine.pass_tokens(batch, prompt))
        if not tile or not piece:
            return 0.0
        more = 0.0
        for op in rank_ops(self.spec, Run(batch, piece, fused=True, ideal=True), self.layout):
            if op.role == "expert" and op.kind == "linear":
                met = op.copies * touched(op.copies, op.used, batch * piece)
                more += op.times * met * tile * op.dims["d_in"] * op.dims["d_out"]
        return more * (prompt - cached) / piece / self.machine.matmul

    def prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> ServingStep:
        """As a prompt's arithmetic takes at the share of the peak that its kernels reach; at least the launches."""
        decoding, self.machine = self.machine, self.prompts
        try:
            step = super().prefill(prompt, cached, batch)
            step = step._replace(compute=step.compute + self.part_filled(prompt, cached, batch))
        finally:
            self.machine = decoding
        return self._launched(step)

    def _launched(self, step: ServingStep) -> ServingStep:
        """A pass that takes at least as long as its launches."""
        launched = self.spec.n_layers * self.number["launch_us"] / 1e6
        return step._replace(overhead=step.overhead + max(0.0, launched - step.total))


def on_processors(spec: ModelSpec, weight_bits: float, cache_bytes: float, host_bytes_per_s: float) -> float:
    """Seconds of a token of llama.cpp without a GPU: its weights and its cache, read from the host's memory."""
    read = met(spec, Split(0)).all * weight_bits / 8 + cache_bytes
    return read / (host_bytes_per_s * float(data(LOCAL["llama.cpp"])["host"]))


def _checked(overrides: Mapping[str, float]) -> dict[str, float]:
    for name, value in overrides.items():
        if name not in NUMBERS:
            raise unknown_name("number of the engine", name, list(NUMBERS), field="efficiency")
        most = 1.0 if name in SHARES else 1e9
        if not 0 <= value <= most or (name in SHARES and not value):
            allowed = "above 0, at most 1" if name in SHARES else "0 or more"
            raise InputError(f"efficiency {name} is {value:g}, but must be {allowed}", field="efficiency", value=value)
    return dict(overrides)
