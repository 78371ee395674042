"""Seconds of a serving engine's launches on one accelerator, by the laws that were fitted to measured kernels. Estimates."""

from __future__ import annotations

from typing import Any, NamedTuple

from llmcx.catalog.kernels import law
from llmcx.engines.launches import Launch
from llmcx.machine.hardware import Hardware
from llmcx.machine.kernels import Peaks, experts, gemm, peaks

KERNELS_OF = {"vllm": "vllm", "sglang": "sglang"}
"""Whose kernels an engine launches; TensorRT-LLM's stand in for those of any other."""
MOVED_US, MOVED_SHARE = 2.0, 0.7
"""Assumed, of a kernel that only moves: microseconds of its own, and the share of the bandwidth that it reaches."""


def format_of(stored: str, kind: str, hardware: Hardware, multiplied: str | None = None) -> str:
    """The format of :data:`llmcx.machine.kernels.FORMATS` in which weights that are ``stored`` so are multiplied.

    Where the accelerator has no such arithmetic, or other arithmetic is asked for, weights are unpacked to 16 bits first.

    >>> from llmcx.catalog.data import load_hardware
    >>> h100, b200 = load_hardware("h100"), load_hardware("b200")
    >>> [format_of("nvfp4", "gemm", each) for each in (h100, b200)], format_of("fp8_block:rows=64", "gemm", h100)
    (['int4_wo', 'nvfp4'], 'fp8_block')
    """
    name, _, settings = stored.partition(":")
    narrow = {"nvfp4": "fp4", "mxfp4": "fp4"}.get(name, "fp8" if name.startswith(("fp8", "mxfp8")) else "")
    if narrow and narrow in hardware.dense_tflops and multiplied in (None, narrow):
        if name == "mxfp4":
            return "mxfp4_mxfp8"
        return name if name in ("nvfp4", "fp8_block") else "fp8"
    if name in ("bf16", "fp16", "fp32"):
        return "bf16"
    if name == "mxfp4":
        return "mxfp4"
    return "int8_wo" if narrow == "fp8" or "8" in name or "bits=8" in settings else "int4_wo"


class Law(NamedTuple):
    constants: Any
    peaks: Peaks


class Kernels:
    """Kernels of ``engine`` on ``hardware``, multiplied in ``multiplied`` where that is asked for, with a cache in ``cache``."""

    def __init__(self, hardware: Hardware, engine: str, multiplied: str | None, cache: str) -> None:
        self.hardware, self.engine, self.multiplied = hardware, KERNELS_OF.get(engine, "trtllm"), multiplied
        self.cache = "fp8" if cache in ("fp8", "int8") else "bf16"
        self._laws: dict[tuple[str, str], Law] = {}
        self._seconds: dict[tuple[str, tuple[int, ...], str], float] = {}

    def law(self, kind: str, form: str) -> Law:
        """Its constants, and the peaks that they are shares of."""
        found = self._laws.get((kind, form))
        if found is None:
            of = law(kind, self.hardware, self.engine, form)
            found = self._laws[kind, form] = Law(of.constants, peaks(self.hardware, form))
        return found

    def seconds(self, launch: Launch) -> float:
        """Of one of its launches."""
        key = launch.kind, launch.shape, launch.form
        found = self._seconds.get(key)
        if found is None:
            found = self._seconds[key] = getattr(self, f"_{launch.kind}")(launch.form, *launch.shape)
        return found

    def _gemm(self, form: str, m: int, n: int, k: int) -> float:
        return gemm.seconds(*self.law("gemm", format_of(form, "gemm", self.hardware, self.multiplied)), m, n, k)

    def _batched(self, form: str, products: int, m: int, n: int, k: int) -> float:
        return gemm.seconds(*self.law("gemm", "bf16"), m, products * n, k)

    def _experts(self, form: str, *shape: int) -> float:
        return experts.seconds(*self.law("experts", format_of(form, "experts", self.hardware, self.multiplied)), *shape)

    def _moved(self, form: str, elements: int) -> float:
        return MOVED_US * 1e-6 + 2 * elements / (MOVED_SHARE * self.hardware.bytes_per_s)
