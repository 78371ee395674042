"""Serving: how long a prompt takes, how long each next token takes, and how many users a GPU carries. Estimates.

The passes are :mod:`llmcx.engines.serving_time`'s; here they are put together for a load.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, cast

from llmcx.answers import Result
from llmcx.answers.fit import context_limit, formats, tensor_sizes
from llmcx.engines import Engine
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.closed_loop import per_token as token
from llmcx.engines.closed_loop import per_tokens, waiting
from llmcx.engines.kernel_time import kernels
from llmcx.engines.local_time import LOCAL, Local
from llmcx.engines.serving_estimate import Timed
from llmcx.engines.serving_time import Bands, Server, ServingStep, Setup, Span
from llmcx.engines.spread import SHARES, Parts, Spread, gap, percentile
from llmcx.errors import InputError
from llmcx.formats import dtypes, gguf, quant
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import Roofline
from llmcx.model.spec import ModelSpec, check_size, sequence_length
from llmcx.model.storage import Storage

T = TypeVar("T")


class Speculation(NamedTuple):
    """``drafted`` tokens a step, each accepted with probability ``acceptance``; drafting one costs ``cost`` of a decode step."""

    drafted: int = 0
    acceptance: float = 0.0
    cost: float = 0.0

    @property
    def tokens(self) -> float:
        """Expected tokens per step: (1 - α^(γ+1)) / (1 - α) (Leviathan et al. 2023, arXiv:2211.17192, eq. 1).

        >>> Speculation(2, 0.5).tokens
        1.75
        """
        if self.acceptance == 1:
            return float(self.drafted + 1)
        return float((1 - self.acceptance ** (self.drafted + 1)) / (1 - self.acceptance))


NO_SPECULATION = Speculation()
DRAFT_COST = 0.05
"""Of drafting a token, as a share of a decode step, where nobody says."""


@dataclass(frozen=True)
class Point:
    """``batch`` users at once: seconds to the first and per next token, tokens/s of each user and of each GPU, cost of a million
    output tokens (prompts included). ``ttft_range_s`` and ``tpot_range_s``: what lies between the 10th and the 90th percentile of
    measured runs; None of a bound. ``ttft_p90_s``, ``tpot_p90_s``: what nine of ten requests lie below in one and the same run,
    and ``itl_p90_s`` nine of ten waits from one token to the next, steps with others' prompts in them; None where nobody waits,
    or it is not known how long, or nobody asked.
    """

    batch: int
    ttft_s: float
    tpot_s: float
    tokens_per_s_user: float
    tokens_per_s_gpu: float
    usd_per_million: float | None
    bound: str
    ttft_range_s: tuple[float, float] | None = None
    tpot_range_s: tuple[float, float] | None = None
    ttft_p50_s: float | None = None
    ttft_p90_s: float | None = None
    ttft_p99_s: float | None = None
    tpot_p50_s: float | None = None
    tpot_p90_s: float | None = None
    tpot_p99_s: float | None = None
    itl_p50_s: float | None = None
    itl_p90_s: float | None = None
    itl_p99_s: float | None = None


class Apart(NamedTuple):
    """``prefill_workers`` of ``prefill_tp`` GPUs each work off the prompts, ``workers`` of the server's layout decode."""

    prefill_workers: int
    prefill_tp: int
    workers: int = 1


@dataclass(frozen=True)
class Load:
    """What is served: prompts of ``prompt`` tokens, ``cached`` of them known, ``output`` tokens each; prompts in pieces of
    ``chunk``; prompts ``apart`` from decoding, where GPUs of their own work them off.
    """

    prompt: int
    output: int
    cached: int = 0
    chunk: int | None = None
    speculation: Speculation = NO_SPECULATION
    apart: Apart | None = None

    def gpus(self, setup: Setup) -> int:
        """All of them."""
        if self.apart is None:
            return setup.gpus
        return setup.gpus * self.apart.workers + self.apart.prefill_workers * self.apart.prefill_tp

    def among(self, apart: Apart) -> Load:
        """The same among other workers."""
        return replace(self, apart=apart)

    @property
    def context(self) -> int:
        """Tokens before a decode step, half-way through an answer."""
        return self.prompt + self.output // 2


def point(server: Server, load: Load, batch: int, usd_per_hour: float | None, shares: Sequence[float] = ()) -> Point:
    """Steady state of continuous batching: of every output token's time, a share goes into the prompts of those that follow;
    with percentiles for ``shares`` of the requests.

    An answer takes ttft + output · tpot, and each user has one at a time; of the bound, a request costs t_prefill + output ·
    t_decode(batch) / batch / tokens per step. With ``chunk``, prompts ride along with decode steps: the first token waits for
    all pieces, each a step long. ``apart``, a user's tokens wait for no prompt, and a request for nothing but its own.
    """
    if load.apart is not None:
        return Pool(server, load, load.apart.prefill_tp).point(load.apart, batch, usd_per_hour, shares)
    context, spec = load.context, load.speculation
    step, seconds_step = _step(server, load, batch)
    per_token = seconds_step / spec.tokens
    told: dict[str, float] = {}
    added = server.prompt(load.prompt, load.cached, batch, context)
    first = server.first(load.prompt, load.cached, load.output, batch, seconds_step, load.chunk)
    if server.bands() is None:
        request = added + load.output * per_token / batch
        tpot = request * batch / load.output if batch > 1 else per_token
    else:
        tpot = token(per_token, added, batch, load.output, first) if batch > 1 else per_token
        request = (first + load.output * tpot) / batch
    firsts = server.firsts(load.prompt, load.cached, load.output, batch, seconds_step, load.chunk) if shares else None
    if firsts is not None:
        came = batch * spec.tokens / load.output if batch > 1 else 0.0
        gaps = seconds_step, added, came, server.together(load.prompt - load.cached, load.chunk)
        told = percentiles(shares, firsts, per_tokens(per_token, added, batch, load.output, first), gaps)
    return pointed(server, load, batch, first, tpot, load.output / request, step.largest, usd_per_hour, told)


def prefilling(setup: Setup, tp: int) -> Setup:
    """The layout of what works off prompts on ``tp`` GPUs: experts and attention are divided as among those that decode."""
    shared, divided = setup.ep > 1 and tp <= setup.ep, setup.attention_dp == setup.tp > 1
    return setup._replace(tp=tp, ep=tp if shared else 1, attention_dp=tp if divided else 1)


def _step(server: Server, load: Load, users: int) -> tuple[ServingStep, float]:
    """A decode step of one of the server's copies; its seconds, drafting included."""
    of = load.speculation
    step = server.decode(users, load.context, 1 + of.drafted)
    more = of.drafted * of.cost * server.decode(users, load.context).total if of.drafted else 0.0
    return step, step.total + more


def stepped(server: Server, load: Load, batch: int) -> tuple[ServingStep, float, int]:
    """A decode step with ``batch`` users in all, its seconds, and the users of each of the copies that decode."""
    if load.apart is not None:
        return Pool(server, load, load.apart.prefill_tp).stepped(load.apart, batch)
    return *_step(server, load, batch), batch


class Pool:
    """Copies of ``server`` that decode, and others on ``prefill_tp`` GPUs that work off ``prompts`` for them, however many there
    are of each: a pass is timed once.
    """

    def __init__(self, server: Server, load: Load, prefill_tp: int) -> None:
        self.server, self.load = server, load
        self.prompts = server.like(prefilling(server.setup, prefill_tp))
        self._steps: dict[int, tuple[ServingStep, float]] = {}

    def step(self, users: int) -> tuple[ServingStep, float]:
        """A decode step of one of the copies; its seconds, drafting included."""
        if users not in self._steps:
            self._steps[users] = _step(self.server, self.load, users)
        return self._steps[users]

    @cached_property
    def handed(self) -> float:
        """Seconds in which a prompt's cache goes to where it is decoded."""
        return self.prompts.handed(self.load.prompt)

    def each(self, users: float) -> float:
        """Seconds of a prompt, of one of ``users`` whose prompts a worker works off."""
        return self.prompts.each(self.load.prompt, self.load.cached, users)

    def stepped(self, apart: Apart, batch: int) -> tuple[ServingStep, float, int]:
        """A decode step with ``batch`` users in all, its seconds, and the users of each copy.

        Where prompts bound the rate, fewer than all decode: as many as the prompts that are made in the time of an answer.
        """
        load, users, each = self.load, batch, -(-batch // apart.workers)
        step, seconds = self.step(each)
        if self.server.bands() is None:
            return step, seconds, each
        rate = apart.prefill_workers / self.each(batch / apart.prefill_workers)
        for _ in range(4):
            fed = max(1, min(batch, round(rate * load.output * seconds / load.speculation.tokens)))
            if fed >= users:
                break
            users, each = fed, -(-fed // apart.workers)
            step, seconds = self.step(each)
        return step, seconds, each

    def point(self, apart: Apart, batch: int, usd_per_hour: float | None, shares: Sequence[float] = ()) -> Point:
        """:func:`point`: a user's tokens wait for no prompt, and a request for nothing but its own."""
        load, prompts = self.load.among(apart), self.prompts
        step, seconds, _ = self.stepped(apart, batch)
        token, users = seconds / load.speculation.tokens, batch / apart.prefill_workers
        first = prompts.apart(load.prompt, load.cached, users, load.output, token) + self.handed
        told: dict[str, float] = {}
        firsts = prompts.firsts_apart(load.prompt, load.cached, load.output, users, token) if shares else None
        if firsts is not None:
            firsts = [(share, one.later(self.handed)) for share, one in firsts]
            told = percentiles(shares, firsts, [(1.0, Spread(token, 0.0, 0.0))], (seconds, 0.0, 0.0, 1))
        rate = load.output * batch / (first + load.output * token)
        return pointed(self.server, load, batch, first, token, rate, step.largest, usd_per_hour, told)


def pointed(
    server: Server,
    load: Load,
    batch: int,
    first: float,
    tpot: float,
    rate: float,
    bound: str,
    usd_per_hour: float | None,
    told: Mapping[str, float],
) -> Point:
    """What follows from ``rate`` tokens/s of all users, with ranges; ``told`` percentiles."""
    gpus, bands = load.gpus(server.setup), server.bands() if load.apart is None else server.bands_apart()
    usd = None if usd_per_hour is None else usd_per_hour * gpus / 3600 / rate * 1e6
    ranges = (None, None) if bands is None else (_times(first, bands.first), _times(tpot, bands.per_token))
    found = Point(batch, first, tpot, 1 / tpot, rate / gpus, usd, bound, *ranges)
    return replace(found, **cast(dict[str, Any], told)) if told else found


def percentiles(
    shares: Sequence[float], firsts: Parts, tokens: Parts, gaps: tuple[float, float, float, float]
) -> dict[str, float]:
    """Fields of a :class:`Point`; ``gaps``: what :func:`llmcx.engines.spread.gap` asks for."""
    found = {}
    for share in shares:
        name = f"p{100 * share:.0f}_s"
        found[f"ttft_{name}"], found[f"tpot_{name}"] = percentile(firsts, share), percentile(tokens, share)
        found[f"itl_{name}"] = gap(share, *gaps)
    return found


def _times(value: float, by: Span) -> Span:
    return value * by[0], value * by[1]


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
    rate (``arrivals``), each for the users that there are then. ``places``: how many users are worked for at a time, where some
    must wait for that.
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


def check_load(spec: ModelSpec, load: Load) -> None:
    """Refuse what cannot be served. Raises InputError."""
    sequence_length(spec, load.prompt + load.output)
    check_size("prompt", load.prompt)
    check_size("output", load.output)
    check_size("cached", load.cached, least=0)
    check_size("chunk", load.chunk)
    if load.cached >= load.prompt:
        allowed = f"at most {load.prompt - 1}"
        raise InputError(f"cached is {load.cached}, but the prompt has {load.prompt} tokens", field="cached", allowed=allowed)
    if load.apart is not None:
        for name, value in load.apart._asdict().items():
            check_size(name, value)
        if load.chunk is not None:
            problem = "chunk is for prompts among decode steps; with --prefill-workers they are worked off apart"
            raise InputError(problem, field="chunk", value=load.chunk)
    if not 0 <= load.speculation.acceptance <= 1:
        raise InputError("acceptance must be between 0 and 1", field="acceptance", value=load.speculation.acceptance)


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
        prompts = real.like(prefilling(setup, load.apart.prefill_tp))
        if prompts.largest_batch(load.prompt, reserve) == 0:
            raise _too_large(prompts, load.prompt, reserve, dtype, "--set prefill_tp=")
    places = None
    if batch is not None and batch > largest:
        if load.apart is not None or rate is not None:
            raise InputError(
                f"--batch is {batch:,}, but only {largest:,} sequences of {context:,} tokens fit {hardware.title}",
                field="batch",
                value=batch,
                allowed=f"at most {largest}",
            )
        fit = real.places(load.prompt, load.output, reserve)
        places = fit if fit < batch else None
    arrivals = None
    if rate is not None:
        from llmcx.answers.arrivals import Paces, arriving

        one, arrivals = arriving(Paces(real, load, batch or largest), rate, usd_per_hour, SHARES)
        estimate = [one]
        bounds = [arriving(Paces(ideal, load, batch or largest), rate, usd_per_hour)[0]]
    else:
        sizes = _sizes(largest) if batch is None else [places or batch]
        bounds = [point(ideal, load, size, usd_per_hour) for size in sizes]
        estimate = [point(real, load, size, usd_per_hour, SHARES) for size in sizes]
        if batch is not None and places is not None:
            bounds = [crowded(bounds[0], batch, load.output, ideal.bands())]
            estimate = [crowded(estimate[0], batch, load.output, real.bands())]
    at = places or estimate[-1].batch
    step = real.decode(-(-at // workers), load.context)
    return Serving(
        gpus=load.gpus(setup),
        weight_bytes_per_gpu=real.weight_bytes,
        cache_bytes_per_sequence=real.cache_bytes(context),
        largest_batch=largest,
        ideal=bounds,
        estimate=estimate,
        prefill_tokens_per_s=(load.prompt - load.cached) / real.prefill(load.prompt, load.cached).total,
        decode_step={"batch": at, **step._asdict(), "total": step.total},
        efficiency=real.numbers(),
        arrivals=arrivals,
        places=places,
    )


def crowded(found: Point, users: int, output: int, bands: Bands | None) -> Point:
    """The same where there are more ``users`` than those of ``found``, who have a place: the others wait for one.

    Percentiles are those of requests that wait as long as they do on average.
    """
    first = waiting(found.ttft_s, found.tpot_s, users, found.batch, output)
    changed: dict[str, Any] = {"batch": users, "ttft_s": first}
    if bands is not None:
        changed["ttft_range_s"] = _times(first, bands.first)
    for name in ("ttft_p50_s", "ttft_p90_s", "ttft_p99_s"):
        if (value := getattr(found, name)) is not None:
            changed[name] = value + (first - found.ttft_s)
    return replace(found, **changed)


def _too_large(server: Server, context: int, reserve: float, dtype: str, flag: str = "--tp ") -> InputError:
    """The refusal of a model that does not fit, with formats and numbers of GPUs, by ``flag``, in which it would."""
    spec, hardware, setup = server.spec, server.hardware, server.setup
    need = (server.weight_bytes + server.cache_bytes(context)) / 1e9
    ways = []
    for name in formats(spec):
        try:
            bits = weight_bits(spec, name)
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


def weight_bits(spec: ModelSpec, dtype: str) -> float:
    """Bits of a weight in a format, scales and what the format leaves alone included.

    Raises InputError for a format that is not known, or not for this model.
    """
    return float(dtypes.BITS[dtype]) if dtype in dtypes.BITS else quant.weights(spec, dtype).bits_per_weight


def stored_as(spec: ModelSpec, dtype: str) -> Storage:
    """How weights in ``dtype`` are stored, matrix by matrix; "released": as the model's files say.

    >>> from llmcx.catalog.presets import load_preset
    >>> stored_as(load_preset("llama-3-8b"), "fp8").format
    'fp8'
    """
    if dtype == dtypes.RELEASED and spec.stored is not None:
        return spec.stored
    return Storage("bf16" if dtype == dtypes.RELEASED else dtype, "bf16" if spec.stored is None else spec.stored.plain)


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
        made: Server = Timed(spec, hardware, setup, engine, schedule, stored_as(spec, dtype), timed)
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
