"""Serving: how long a prompt takes, how long each next token takes, and how many users a GPU carries. Estimates.

The passes are :mod:`llmcx.engines.serving_time`'s; here they are put together for a load.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from llmcx.answers import Result
from llmcx.answers.fit import context_limit, formats, tensor_sizes
from llmcx.answers.load import Load, Point, check_load, placed, point, stepped
from llmcx.engines import Engine
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.inference_memory import IDEAL, ONE_GPU, held, needed
from llmcx.engines.kernel_time import kernels
from llmcx.engines.local_time import LOCAL, Local
from llmcx.engines.serving_estimate import Timed
from llmcx.engines.serving_time import Server, Setup, check_setup
from llmcx.engines.spread import SHARES
from llmcx.errors import InputError
from llmcx.formats import dtypes, gguf, quant
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import Roofline
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

T = TypeVar("T")


@dataclass(frozen=True)
class Arrivals:
    """``rate`` requests a second, of at most ``largest_rate`` that are answered as fast as they come; ``utilization`` their
    ratio; ``users`` in the system on average, of whom ``waiting`` for a place among the largest batch, as ``wait_share`` of the
    requests must, ``wait_s`` seconds on average.
    """

    rate: float
    largest_rate: float
    utilization: float
    users: float
    waiting: float
    wait_share: float
    wait_s: float


@dataclass(frozen=True, repr=False)
class Serving(Result, brief="gpus largest_batch first.ttft_s first.tpot_s last.tokens_per_s_gpu", table="estimate"):
    """The answer: ``ideal`` at the peaks, ``estimate`` calibrated, each a frontier over the batch; or, where requests arrive at a
    rate (``arrivals``), each for the users that there are then. ``places``: how many users may be worked for at a time, where
    there are more.
    """

    gpus: int
    weight_bytes_per_gpu: float
    cache_bytes_per_sequence: float
    largest_batch: int
    ideal: list[Point]
    estimate: list[Point]
    prefill_tokens_per_s: float
    decode_step: dict[str, float]
    efficiency: dict[str, float]
    arrivals: Arrivals | None = None
    places: int | None = None

    @property
    def first(self) -> Point:
        """The estimate for the fewest users."""
        return self.estimate[0]

    @property
    def last(self) -> Point:
        """The estimate for the most users."""
        return self.estimate[-1]


def serve(
    real: Server,
    load: Load,
    *,
    batch: int | None = None,
    rate: float | None = None,
    usd_per_hour: float | None = None,
    reserve: float = 0.1,
    dtype: str = "bf16",
) -> Serving:
    """What ``real`` serves, beside the bound. ``batch`` users, of whom some wait where not all fit (None: a frontier of powers of
    two up to the largest that fits); or requests that arrive at a ``rate`` a second, of which ``batch`` at most have a place
    (None: as many as fit).

    Raises InputError when the weights, or one sequence, do not fit.
    """
    spec, hardware, setup = real.spec, real.hardware, real.setup
    check_load(spec, load)
    if load.apart is not None and setup.pp > 1:
        problem = "how stages hand a prompt's cache to GPUs that decode is not known; leave out --pp, or --prefill-workers"
        raise InputError(problem, field="pp", value=setup.pp, allowed="1")
    ideal = Server(spec, hardware, setup, engine=real.engine)
    context = load.prompt + load.output
    workers = 1 if load.apart is None else load.apart.workers
    largest = workers * real.largest_batch(context, reserve)
    if largest == 0:
        raise _too_large(real, context, reserve, dtype)
    if load.apart is not None:
        prompts = real.like(load.apart.prompts(setup))
        if prompts.largest_batch(load.prompt, reserve) == 0:
            raise _too_large(prompts, load.prompt, reserve, dtype, "--set prefill_tp=")
    if rate is not None and batch is not None and batch > largest:
        raise InputError(
            f"--batch is {batch:,}, but only {largest:,} sequences of {context:,} tokens fit {hardware.title}",
            field="batch",
            value=batch,
            allowed=f"at most {largest}",
        )
    most = min(largest, load.places or largest)
    arrivals = None
    if rate is not None:
        if load.exact:
            problem = "requests that arrive at a rate do not ask together, whatever their lengths; leave out --exact"
            raise InputError(problem, field="exact", allowed="without --rate")
        from llmcx.answers.arrivals import Paces, arriving

        one, arrivals = arriving(Paces(real, load, min(batch or most, most)), rate, usd_per_hour, SHARES)
        estimate = [one]
        bounds = [arriving(Paces(ideal, load, min(batch or most, most)), rate, usd_per_hour)[0]]
    else:
        sizes = _sizes(most) if batch is None else [batch]
        load = placed(real, load, sizes[-1], largest, reserve)
        bounds = [point(ideal, load, size, usd_per_hour) for size in sizes]
        estimate = [point(real, load, size, usd_per_hour, SHARES) for size in sizes]
    at = estimate[-1].batch
    each = -(-at // workers) if rate is not None else stepped(real, load, at)[2]
    decoding = min(at, each * workers)
    step = real.decode(each, load.context)
    return Serving(
        gpus=load.gpus(setup),
        weight_bytes_per_gpu=real.weight_bytes,
        cache_bytes_per_sequence=real.cache_bytes(context),
        largest_batch=largest,
        ideal=bounds,
        estimate=estimate,
        prefill_tokens_per_s=(load.prompt - load.cached) / real.prefill(load.prompt, load.cached).total,
        decode_step={"batch": decoding, **step._asdict(), "total": step.total},
        efficiency=real.numbers(),
        arrivals=arrivals,
        places=load.places if rate is None else None,
    )


def _too_large(server: Server, context: int, reserve: float, dtype: str, flag: str = "--tp ") -> InputError:
    """The refusal of a model that does not fit, with formats and numbers of GPUs, by ``flag``, in which it would."""
    spec, hardware, setup = server.spec, server.hardware, server.setup
    need = needed(spec, context, server.layout, server.engine, 1, setup.weight_bits, setup.kv_bits) / 1e9
    ways = []
    for name in formats(spec):
        try:
            bits = weight_bits(spec, name, server.layout, server.engine)
        except InputError:
            continue
        if bits < setup.weight_bits and _fits(server, setup._replace(weight_bits=bits), context, reserve):
            ways.append(f"--dtype {name}")
            break
    for tp in tensor_sizes(spec):
        if tp > setup.tp and _fits(server, setup._replace(tp=tp), context, reserve):
            ways.append(f"{tp * setup.pp} GPUs ({flag}{tp})")
            break
    how = f"; it fits with {' or '.join(ways)}" if ways else "; no format or number of GPUs tried makes it fit"
    return InputError(
        f"{spec.title or spec.name} in {dtype} does not fit {hardware.title}: {need:,.1f} GB on each GPU for one sequence of"
        f" {context:,} tokens, {hardware.memory_gb * (1 - reserve):,.1f} GB to use{how}",
        field="hardware",
        value=hardware.name,
    )


def _fits(server: Server, setup: Setup, context: int, reserve: float) -> bool:
    try:
        return Server(server.spec, server.hardware, setup, engine=server.engine).largest_batch(context, reserve) > 0
    except InputError:  # degrees that do not go together
        return False


def longest_context(server: Server, batch: int = 1) -> int:
    """Tokens of the longest sequences of which ``batch`` fit; 0 where not even a token's worth does."""
    limit = context_limit(server.spec)

    def over(context: int) -> bool:
        return server.largest_batch(context, reserve=0) < batch

    if not over(limit):
        return limit
    return bisect_left(range(1, limit), True, key=over)


def weight_bits(spec: ModelSpec, dtype: str, layout: Layout = ONE_GPU, engine: Engine = IDEAL) -> float:
    """Bits of a weight in a format, scales and what the format leaves alone included: of those that the fullest GPU of a
    ``layout`` holds. What a format leaves alone may stand on every GPU.

    Raises InputError for a format that is not known, or not for this model.
    """
    if dtype in dtypes.BITS:
        return float(dtypes.BITS[dtype])
    listed = spec.stored is not None and spec.stored.tensors  # of which only the sum is known
    if layout.gpus == 1 or listed:
        return quant.weights(spec, dtype).bits_per_weight
    gpu = max(held(spec, 1, 1, layout, engine), key=lambda each: each.params)
    return quant.weights(spec, dtype, gpu.weights).bytes * 8 / gpu.params


def with_bits(spec: ModelSpec, setup: Setup, dtype: str, engine: Engine) -> Setup:
    """The setup with what a weight in ``dtype`` takes on its fullest GPU. Raises InputError where it cannot be shared out so."""
    check_setup(spec, setup, engine)
    return setup._replace(weight_bits=weight_bits(spec, dtype, setup.layout, engine))


def estimator(
    spec: ModelSpec,
    hardware: Hardware,
    setup: Setup,
    engine: Engine,
    dtype: str,
    multiplied: str | None = None,
    overrides: Mapping[str, float] | None = None,
) -> tuple[Server, list[str]]:
    """What the estimate asks for times, and in words what those rest on; weights in ``dtype``, multiplied in ``multiplied`` where
    that is asked for.

    On NVIDIA's accelerators the engine's kernels as they were measured (TensorRT-LLM's for the engine that reserves nothing);
    else, and for files of llama.cpp and MLX, the shares of the peaks that a tuned engine reaches. Raises InputError for an
    override that is not known.
    """
    if engine.name in LOCAL:
        local = Local(spec, hardware, setup, engine, overrides=overrides)
        return local, local.sources()
    whose = "trtllm" if engine.name == "ideal" else engine.name
    name = dtype.partition(":")[0]
    name = gguf.ALIASES.get(name, name)
    if hardware.vendor == "NVIDIA" and whose in efficiencies.ESTIMATED and name not in gguf.MIXES and name != "mlx":
        schedule, words = efficiencies.schedule(whose, overrides)
        timed = kernels(hardware, whose, multiplied, setup.kv_bits)
        made: Server = Timed(spec, hardware, setup, engine, schedule, quant.stored_as(spec, dtype), timed)
    else:
        factors, words = efficiencies.efficiency(hardware, "serving", setup.dtype, overrides)
        made = Server(spec, hardware, setup, factors, engine)
    if setup.pp > 1:
        groups = f"{setup.pp} groups of users, each a stage behind the one before; weights and cache: of the fullest GPU"
        words = [f"PP {setup.pp}: {groups}; ranges are assumed, for no load of several stages was fitted", *words]
    return made, words


ARITHMETIC = {**dict.fromkeys(("fp8", "fp8_block", "fp8_tensor", "fp8_channel", "mxfp8"), "fp8"), "nvfp4": "fp4"}
"""What engines multiply such weights in, where the accelerator can; other formats are widened to 16 bits first."""


def arithmetic(hardware: Hardware, dtype: str) -> str:
    """The format of the matmuls that weights in ``dtype`` get on an accelerator.

    >>> from llmcx.catalog.data import load_hardware
    >>> arithmetic(load_hardware("h100"), "fp8"), arithmetic(load_hardware("a100"), "fp8")
    ('fp8', 'bf16')
    """
    name = dtype.partition("+")[0].partition(":")[0]
    wanted = ARITHMETIC.get(name, hardware.dtype)
    if name == "mxfp4" and "fp4" in hardware.dense_tflops:
        wanted = "fp8"  # with activations in mxfp8
    return wanted if wanted in hardware.dense_tflops else hardware.dtype


def rooflines(server: Server, load: Load, batches: list[int]) -> Roofline:
    """One prompt's prefill, and a decode step of each of ``batches``, on one GPU."""
    tokens = 1 + load.speculation.drafted
    passes: dict[str, tuple[int, int, int] | tuple[int, int]] = {"prefill": (load.prompt, load.cached)}
    passes |= {f"decode, batch {size:,}": (size, load.context, tokens) for size in batches}
    return server.roofline(passes)


def _sizes(largest: int) -> list[int]:
    """1, 2, 4, ... and the largest."""
    sizes = [1 << power for power in range(largest.bit_length()) if 1 << power < largest]
    return [*sizes, largest]


FEW = 6
"""Points of a frontier that are shown unless --detail asks for all."""


def few(points: Sequence[T]) -> list[T]:
    """As many of a frontier as a table shows, about as far apart.

    >>> few(range(11))
    [0, 2, 4, 6, 8, 10]
    """
    if len(points) <= FEW:
        return list(points)
    return [points[round(k * (len(points) - 1) / (FEW - 1))] for k in range(FEW)]
