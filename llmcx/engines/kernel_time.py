"""Seconds of a serving engine's launches on one accelerator, by the laws that were fitted to measured kernels. Estimates."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from llmcx.catalog.kernels import generation, law
from llmcx.engines.launches import SERVER, Sized, shaped
from llmcx.errors import InputError
from llmcx.machine.hardware import Hardware
from llmcx.machine.kernels import Fitted, Peaks, attention, collectives, experts, gemm, peaks, recurrent

KERNELS_OF = {"vllm": "vllm", "sglang": "sglang"}
"""Whose kernels an engine launches; TensorRT-LLM's stand in for those of any other."""
MOVED_SHARE = 0.7
"""Assumed, of a kernel that only moves: the share of the bandwidth that it reaches. Its launch is the engine's number."""
RECURRENT_US, RECURRENT_SHARE = 10.0, 0.2
"""Assumed, of mixers that were not measured: microseconds of their kernels, and the share of the 16-bit peak."""
FAR_US, FAR_SHARE = 25.0, 0.7
"""Assumed, between domains: microseconds of a collective, and the share of the slower network's rate."""
SENT = {"bf16": 2.0, "fp8": 1 + 4 / 128, "nvfp4": 0.5 + 1 / 16}
"""Bytes of an element on its way to an expert, with its share of a scale."""
FEW_TOKENS = 1024
"""Of a GPU, up to which experts' tokens may be sent by kernels made for few: SGLang's recipes for GB200 have them so
(SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK). They were measured up to 256.
"""
ACT = 2
"""Bytes of an activation."""
SKEW = 1.01
"""How unevenly tokens choose their experts: the power law of most measured kernels."""
STEPS = 8
"""New tokens up to which attention is that of a decode step."""


def format_of(stored: str, hardware: Hardware, multiplied: str | None = None) -> str:
    """The format of :data:`llmcx.machine.kernels.FORMATS` in which weights that are ``stored`` so are multiplied.

    Where the accelerator has no such arithmetic, or other arithmetic is asked for, weights are unpacked to 16 bits first.

    >>> from llmcx.catalog.data import load_hardware
    >>> h100, b200 = load_hardware("h100"), load_hardware("b200")
    >>> [format_of("nvfp4", each) for each in (h100, b200)], format_of("fp8_block:rows=64", h100)
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


SUMMED = ("all_reduce", "all_gather", "reduce_scatter")
"""Collectives whose laws know what the host needs to launch them."""

Parts = tuple[float, float]
"""Seconds at work, and of the launch, which an engine may hide behind the kernel before (no collective does)."""

Timing = Callable[[int], Parts]


class Law(NamedTuple):
    """Constants of one kind of kernel, and the peaks that they are shares of."""

    constants: Any
    peaks: Peaks


class Sizes(dict[int, Parts]):
    """Kernels that differ in one size alone: a batch's, as it grows. Each is timed when it is first asked for."""

    def __init__(self, of: Timing) -> None:
        self.of = of

    def __missing__(self, size: int) -> Parts:
        found = self[size] = self.of(size)
        return found


class Kernels:
    """Kernels of ``engine`` on ``hardware``, multiplied in ``multiplied`` where that is asked for, with a cache of ``cache_bits``
    a number. A method for each kind of launch says how long one takes by its first size, the others given: what depends on
    those alone is worked out once for a search's thousands of batches.
    """

    def __init__(self, hardware: Hardware, engine: str, multiplied: str | None, cache_bits: float) -> None:
        self.hardware, self.engine, self.multiplied = hardware, KERNELS_OF.get(engine, "trtllm"), multiplied
        self.generation = generation(hardware.name)
        self.moving = MOVED_SHARE * hardware.bytes_per_s
        self.narrow = cache_bits < 16  # anything below 16 bits is read as 8
        self._asked: tuple[str, str, str] | None = None
        self._laws: dict[tuple[str, str, str], Law] = {}
        self._sizes: dict[tuple[object, ...], Sizes] = {}

    def seconds(self, launch: Sized) -> float:
        """Of one of its launches, alone."""
        return sum(self.parts(launch))

    def parts(self, launch: Sized) -> Parts:
        """Seconds at work, and of the launch."""
        kind, _, shape, form = launch
        return self.sizes(kind, shape[1:], (), form)[shape[0]]

    def sizes(self, kind: str, others: tuple[int, ...], grow: tuple[int, ...], form: str) -> Sizes:
        """Kernels of the launches of a :class:`~llmcx.engines.launches.Line`."""
        key = kind, others, grow, form
        found = self._sizes.get(key)
        if found is None:
            if grow:
                found = Sizes(lambda n: self.parts((kind, 1, shaped(n, others, grow), form)))
            else:
                found = Sizes(getattr(self, f"_{kind}")(form, *others))
            self._sizes[key] = found
        return found

    def law_of(self, launch: Sized) -> Fitted | None:
        """The fitted law of a launch; None where it only moves, or was not measured."""
        self._asked = None
        kind, _, shape, form = launch
        getattr(self, f"_{kind}")(form, *shape[1:])(shape[0])
        if self._asked is None:
            return None
        kind, form, engine = self._asked
        return law(kind, self.hardware, engine, form)

    def _of(self, law: Law, seconds: Callable[[int], float]) -> Timing:
        """By a law that begins with its launch."""
        launch = 1e-6 * law.constants.launch_us
        return lambda size: (seconds(size) - launch, launch)

    def _law(self, kind: str, form: str, engine: str = "") -> Law:
        engine = engine or self.engine
        self._asked = kind, form, engine
        found = self._laws.get((kind, form, engine))
        if found is None:
            # Nothing is found in the cache on the chip: other layers ran in between.
            on = peaks(self.hardware, form)._replace(l2_bytes=0.0)
            constants = law(kind, self.hardware, engine, form).constants
            if kind in SUMMED:  # in a graph of kernels, which the host does not launch one by one
                constants = constants._replace(host_us=0.0)
            found = self._laws[kind, form, engine] = Law(constants, on)
        return found

    def _gemm(self, form: str, n: int, k: int) -> Timing:
        law = self._law("gemm", format_of(form, self.hardware, self.multiplied))
        return self._of(law, gemm.against(*law, n, k))

    def _beside(self, form: str, n: int, k: int) -> Timing:
        return lambda tokens: (0.0, 0.0)

    def _batched(self, form: str, m: int, n: int, k: int) -> Timing:
        law = self._law("gemm", "bf16")
        return self._of(law, lambda products: gemm.seconds(*law, m, products * n, k))

    def _experts(self, form: str, hidden: int, inner: int, top_k: int, count: int, cut: int, shared: int) -> Timing:
        law = self._routed(form, top_k)
        skew = SKEW if shared <= SERVER else 0.0  # wide layouts copy busy experts until GPUs are even (DeepSeek's EPLB)
        return self._of(law, lambda tokens: experts.seconds(*law, tokens, hidden, inner, top_k, count, cut, shared, skew))

    def _received(self, form: str, hidden: int, inner: int, top_k: int, count: int) -> Timing:
        """As on a rank of its own, to which each token comes with one expert; wide layouts copy busy experts until GPUs are even
        (DeepSeek's EPLB).
        """
        law = self._routed(form, top_k)
        return self._of(law, lambda rows: experts.seconds(*law, rows, hidden, inner, 1, count, 1, 1, 0.0))

    def _routed(self, form: str, top_k: int) -> Law:
        form = format_of(form, self.hardware, self.multiplied)
        return self._law("experts", form, experts.kernel(self.engine, form, top_k))

    def _attention(self, form: str, new: int, past: int, heads: int, kv_heads: int, width: int, window: int) -> Timing:
        form = "bf16_kv_fp8" if self.narrow else "bf16"
        whose = attention.kernels_of(self.engine, self.generation, width, window, form)
        if new <= STEPS and past:  # drafted tokens read the same keys, as more heads would
            law = self._law("decode_attention", self._cached(), whose)
            return self._of(law, lambda batch: attention.decode(*law, batch, heads * new, kv_heads, width, window, past))
        law = self._law("prefill_attention", form, whose)
        return self._of(law, lambda batch: attention.prefill(*law, batch, heads, kv_heads, width, window, new, past))

    def _latent(self, form: str, new: int, past: int, heads: int) -> Timing:
        law = self._law("latent_decode", self._cached())
        return self._of(law, lambda batch: attention.latent_decode(*law, batch, heads * new, past))

    def _expanded(self, form: str, new: int, past: int, heads: int, width: int) -> Timing:
        law = self._law("latent_prefill", self._cached())
        return self._of(law, lambda batch: attention.latent_prefill(*law, batch, heads, new, past))

    def _cached(self) -> str:
        return "fp8" if self.narrow else "bf16"

    def _delta(self, form: str, new: int, key_heads: int, value_heads: int, key_dim: int, value_dim: int) -> Timing:
        if new > 1:
            law = self._law("gated_delta_prefill", "bf16")
            return self._of(law, lambda batch: recurrent.scanned(*law, batch, key_heads, value_heads, new, key_dim, value_dim))
        law = self._law("gated_delta_decode", "bf16")
        return self._of(law, lambda batch: recurrent.stepped(*law, batch, value_heads, key_dim, value_dim))

    def _convolved(self, form: str, new: int, channels: int, width: int) -> Timing:
        law = self._law("convolution_prefill" if new > 1 else "convolution_decode", "bf16")
        return self._of(law, lambda batch: recurrent.convolved(*law, batch, channels, new, width))

    def _recurrent(self, form: str, new: int, flops: int, states: int, moved: int, *scan: int) -> Timing:
        if scan:
            return self._scanned(new, *scan)
        on = self.hardware
        arithmetic = flops / (RECURRENT_SHARE * on.flops(on.dtype))
        spent = max(arithmetic, (8 * states + 2 * moved) / (MOVED_SHARE * on.bytes_per_s)), RECURRENT_US * 1e-6
        return lambda batch: spent

    def _scanned(self, new: int, heads: int, head_dim: int, d_state: int, groups: int, chunk: int) -> Timing:
        """Mamba-2, its states in 32 bits. The host launches a prompt's kernels ahead of those that run."""
        if new > 1:
            law = self._law("mamba2_prefill", "bf16")
            ahead = law.constants._replace(host_us=0.0), law.peaks
            return self._of(law, lambda batch: recurrent.dual(*ahead, batch, heads, new, head_dim, d_state, groups, chunk))
        law = self._law("mamba2_decode", "bf16")
        return self._of(law, lambda batch: recurrent.updated(*law, batch, heads, head_dim, d_state))

    def _moved(self, form: str) -> Timing:
        return lambda elements: (ACT * elements / self.moving, 0.0)

    def _all_reduce(self, form: str, ranks: int, stride: int) -> Timing:
        return self._sent("all_reduce", collectives.all_reduce, 2, ranks, stride)

    def _all_gather(self, form: str, ranks: int, stride: int) -> Timing:
        return self._sent("all_gather", collectives.scattered, 1, ranks, stride)

    def _reduce_scatter(self, form: str, ranks: int, stride: int) -> Timing:
        return self._sent("reduce_scatter", collectives.scattered, 1, ranks, stride)

    def _dispatch(self, form: str, hidden: int, chosen: int, ranks: int) -> Timing:
        name = format_of(form, self.hardware, self.multiplied)
        narrow = "nvfp4" if name == "nvfp4" else "fp8" if name.startswith("fp8") else "bf16"
        return lambda tokens: self._exchanged("dispatch", narrow, tokens, hidden, chosen, ranks)

    def _combine(self, form: str, hidden: int, chosen: int, ranks: int) -> Timing:
        return lambda tokens: self._exchanged("combine", "bf16", tokens, hidden, chosen, ranks)

    def _exchanged(self, kind: str, form: str, tokens: int, hidden: int, chosen: int, ranks: int) -> Parts:
        """By the law of few tokens or of many, whichever is faster; across domains the slower network sets the rate."""
        mine = -(-tokens // ranks)
        kinds = (f"{kind}_low_latency", kind) if mine <= FEW_TOKENS else (kind,)
        return min(self._exchange(each, kind, form, mine, hidden, chosen, ranks) for each in kinds), 0.0

    def _exchange(self, name: str, kind: str, form: str, mine: int, hidden: int, chosen: int, ranks: int) -> float:
        # SGLang and vLLM both launch DeepEP's kernels, which were measured under vLLM; formats are theirs.
        whose = ("trtllm", form) if self.engine == "trtllm" else ("vllm", "default")
        constants, on = self._law(name, whose[1], whose[0])
        if kind == "dispatch":
            constants = constants._replace(width=SENT[form])
        if ranks > on.domain:  # whose whole rate these kernels reach: DeepEP's README, 46 of 50 GB/s among 16 GPUs
            constants, on = constants._replace(link=1.0), on._replace(link=self._beyond(ranks, on.domain) / FAR_SHARE)
        return collectives.exchanged(constants, on, ranks, mine, hidden, chosen)

    def _beyond(self, ranks: int, domain: int) -> float:
        """Bytes/s of an accelerator to other domains."""
        out = self.hardware.scale_out
        if out is None:
            problem = f"{self.hardware.title}: no network beyond {domain} of them is known, and this layout spans {ranks}"
            raise InputError(problem, field="gpus", value=ranks, allowed=f"at most {domain}")
        return FAR_SHARE * out.gb_per_s * 1e9

    def _sent(self, kind: str, seconds: Callable[..., float], passes: int, ranks: int, stride: int) -> Timing:
        """Within a domain by the law; what crosses to other domains by the slower network, after it."""
        constants, on = self._law(kind, "bf16")
        domains = -(-ranks * stride // max(1, on.domain))
        inside = max(1, ranks // domains)

        def spent(elements: int) -> Parts:
            size = ACT * elements
            found = seconds(constants, on, inside, size) if inside > 1 else 0.0
            if domains > 1:
                found += FAR_US * 1e-6 + passes * size * (domains - 1) / domains / (inside * self._beyond(ranks, on.domain))
            return found, 0.0

        return spent


@lru_cache(maxsize=1)
def kernels(hardware: Hardware, engine: str, multiplied: str | None, cache_bits: float) -> Kernels:
    """Those that were asked for last, which a search asks for again with weights in another format."""
    return Kernels(hardware, engine, multiplied, cache_bits)
