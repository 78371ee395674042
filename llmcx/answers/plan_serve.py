"""The search for a way to serve: accelerator, engine, format, layout, replicas and batch, the cheapest that meets an objective.

Times are those of :func:`llmcx.answers.serve.point`, for every number of users that fits; a layout's passes are lowered once
(:mod:`llmcx.engines.passes`), so that each further one costs a few dozen kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llmcx.answers import Result
from llmcx.answers.arrivals import Paces, arriving, batches
from llmcx.answers.fit import tensor_sizes
from llmcx.answers.serve import Load, Point, Serving, arithmetic, estimator, point, serve, weight_bits
from llmcx.engines import Engine
from llmcx.engines.serving_time import Server, Setup
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.machine.hardware import Hardware
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import divisors

ENGINES = ("vllm", "sglang", "trtllm")
"""Those whose memory and whose times are known."""
KEPT = 5
NEAR = 3
WAYS = ("hardware", "engine", "dtype", "tp", "ep", "attention_dp")
PERCENTILES = (50, 90, 99)


class Objective(NamedTuple):
    """Seconds to the first token and between tokens at most (None: any): the mean of all requests, or what ``percentile`` of a
    hundred lie below; ``sure``: by the upper end of their ranges in place of the estimate.
    """

    ttft_s: float | None = None
    tpot_s: float | None = None
    sure: bool = False
    percentile: int | None = None

    @property
    def shares(self) -> tuple[float, ...]:
        """Percentiles that are asked for."""
        return () if self.percentile is None else (self.percentile / 100,)

    def times(self, of: Point) -> tuple[float, float]:
        """What is held against the limits."""
        first, token = of.ttft_s, of.tpot_s
        if self.percentile is not None:  # where nobody knows how long who waits, the mean
            late = getattr(of, f"ttft_p{self.percentile}_s"), getattr(of, f"tpot_p{self.percentile}_s")
            first, token = (first if late[0] is None else late[0]), (token if late[1] is None else late[1])
        if self.sure and of.ttft_range_s is not None and of.tpot_range_s is not None:
            return first * of.ttft_range_s[1] / of.ttft_s, token * of.tpot_range_s[1] / of.tpot_s
        return first, token

    def over(self, of: Point) -> float:
        """The worse time as a multiple of its limit: at most 1 where both are met."""
        first, token = self.times(of)
        return max(first / self.ttft_s if self.ttft_s else 0.0, token / self.tpot_s if self.tpot_s else 0.0)


class Place(NamedTuple):
    """An accelerator with the memory that an engine uses of it, the engine for so many of them, and USD per hour of one."""

    hardware: Hardware
    name: str
    engine: Callable[[int], Engine]
    usd_per_hour: float | None


class Way(NamedTuple):
    """A replica: where it runs, its weights' format, its layout, the most users that it has room for."""

    place: Place
    dtype: str
    setup: Setup
    largest: int


class Found(NamedTuple):
    """So many replicas of a way, each with its users, timed; the ``utilization`` of each where requests arrive at a rate."""

    way: Way
    replicas: int
    point: Point
    utilization: float | None = None

    @property
    def gpus(self) -> int:
        return self.replicas * self.way.setup.gpus

    @property
    def usd_per_hour(self) -> float | None:
        return None if self.way.place.usd_per_hour is None else self.gpus * self.way.place.usd_per_hour


@dataclass(frozen=True)
class Choice:
    """A configuration: ``replicas`` of ``tp`` GPUs, ``batch`` users on each, ``users`` on all. Times and rates as in
    :class:`~llmcx.answers.serve.Point`; ``largest_batch`` fits a replica; ``usd_per_hour`` of all GPUs. ``over``: its worse time
    as a multiple of the limit. ``ttft_held_s`` and ``tpot_held_s`` are the times that are held against the limits: the mean's, or
    a percentile's, with their ranges' upper end where that is asked for. ``utilization``: of requests that arrive at a rate, the
    share of the largest rate that a replica answers.
    """

    hardware: str
    engine: str
    dtype: str
    tp: int
    ep: int
    attention_dp: int
    replicas: int
    gpus: int
    batch: int
    users: int
    largest_batch: int
    ttft_s: float
    ttft_range_s: tuple[float, float] | None
    tpot_s: float
    tpot_range_s: tuple[float, float] | None
    tokens_per_s_user: float
    tokens_per_s_gpu: float
    usd_per_million: float | None
    usd_per_hour: float | None
    bound: str
    over: float
    ttft_held_s: float
    tpot_held_s: float
    utilization: float | None = None


@dataclass(frozen=True)
class Miss:
    """A choice that would be better than the best, and what it misses."""

    choice: Choice
    why: str


@dataclass(frozen=True, repr=False)
class ServePlan(Result, brief="searched met best[0].tokens_per_s_gpu", table="frontier"):
    """``best`` choices that meet the objective, a layout each, the best first; ``near`` ones that would be better and do not, the
    nearest first; ``frontier``: on each accelerator, what no other beats both in tokens/s of a user and of a GPU; ``why``: for
    each way of the best, what the next best costs; ``searched`` configurations, of which ``met`` the objective, in ``layouts``
    that fit, ``unfit`` that hold not one sequence or not the users; ``left_out``: engines and formats that are not known to run.
    """

    best: list[Choice]
    near: list[Miss]
    frontier: list[Choice]
    why: list[str]
    searched: int
    met: int
    layouts: int
    unfit: int
    left_out: list[str]

    def __repr__(self) -> str:
        first = f", best={label(self.best[0])!r}" if self.best else ""
        return f"ServePlan(searched={self.searched:_}, met={self.met:_}{first})"


def plan(
    spec: ModelSpec,
    load: Load,
    places: Sequence[Place],
    kv_dtype: str,
    gpus: tuple[int, int],
    objective: Objective,
    *,
    users: int | None = None,
    rate: float | None = None,
    formats: Sequence[str] | None = None,
) -> ServePlan:
    """Search, from ``gpus[0]`` to ``gpus[1]`` GPUs. Without ``users`` a replica is given as many as is cheapest, and the best has
    the lowest cost of a token; with them all are served at once, and the best costs least by the hour, as for requests that
    arrive at a ``rate`` a second, which go to replicas at random. Where no price is known, GPUs stand for it.

    Raises InputError when nothing fits.
    """
    least, most = gpus
    found: list[Found] = []
    ways = unfit = 0
    refusals: list[InputError] = []
    left_out: list[str] = []
    for place in places:
        for weights in formats or offered(spec, place.hardware):
            before, refused = ways + unfit, len(refusals)
            for server, dtype in servers(spec, place, weights, kv_dtype, most, refusals):
                try:
                    largest = server.largest_batch(load.prompt + load.output, 0)
                except InputError as refusal:  # it is not known what each GPU has
                    refusals.append(refusal)
                    continue
                way, before_it = Way(place, dtype, server.setup, largest), len(found)
                if rate is not None:
                    found += _arriving(server, load, way, (least, most), rate, objective.shares)
                else:
                    for replicas, batch in _sizes(way, least, most, users):
                        timed = point(server, load, batch, place.usd_per_hour, objective.shares)
                        found.append(Found(way, replicas, timed))
                fits = len(found) > before_it
                ways, unfit = ways + fits, unfit + (not fits)
            if ways + unfit == before and len(refusals) > refused:
                left_out.append(f"{place.name} in {weights} on {place.hardware.name}: {refusals[-1].message}")
    if not found:
        raise refusals[-1] if refusals and not unfit else _nothing(spec, load, places, most, users, rate)
    hourly = users is not None or rate is not None
    key = _rank(hourly)
    found.sort(key=key)
    met = [each for each in found if objective.over(each.point) <= 1]
    better = [each for each in found if objective.over(each.point) > 1 and (not met or key(each) < key(met[0]))]
    near = _first_of_each(sorted(better, key=lambda each: objective.over(each.point)), NEAR)

    def told(each: Found) -> Choice:
        return choice(each, objective)

    return ServePlan(
        best=[told(each) for each in _first_of_each(met, KEPT)],
        near=[Miss(told(each), missed(each.point, objective)) for each in near],
        frontier=[told(each) for each in frontier(found)],
        why=list(_why(met, hourly)),
        searched=len(found),
        met=len(met),
        layouts=ways,
        unfit=unfit,
        left_out=left_out,
    )


def offered(spec: ModelSpec, hardware: Hardware) -> list[str]:
    """Formats of the weights to try: that of the release, and narrower ones that the accelerator multiplies.

    >>> from llmcx.catalog.data import load_hardware
    >>> from llmcx.catalog.presets import load_preset
    >>> offered(load_preset("llama-3-8b"), load_hardware("b200")), offered(load_preset("llama-3-8b"), load_hardware("a100"))
    (['bf16', 'fp8_tensor', 'nvfp4'], ['bf16'])
    """
    released = dtypes.default(spec)
    bits, found = weight_bits(spec, released), [released]
    for name, rate in (("fp8_tensor", "fp8"), ("nvfp4", "fp4")):
        if rate in hardware.dense_tflops:
            try:
                narrower = weight_bits(spec, name) < 0.8 * bits
            except InputError:
                continue
            if narrower:
                found.append(name)
    return found


def layouts(spec: ModelSpec, engine: str, most: int, domain: int) -> Iterator[tuple[int, int, int]]:
    """GPUs of a replica, groups that share out its experts, and groups that attend for themselves, as an engine runs them.

    vLLM shares experts out among all GPUs or none; TensorRT-LLM's attention data parallelism has a group for each GPU. Experts
    and groups of attention reach beyond the fast network, tensor parallelism does not.
    """
    mixtures = spec.mixtures
    for tp in tensor_sizes(spec):
        if tp > most:
            break
        shared = [ep for ep in divisors(tp) if all(part.n_experts % ep == 0 for _, part in mixtures)] if mixtures else [1]
        apart = divisors(tp) if mixtures else [1]
        for ep in shared if engine != "vllm" else {1, shared[-1]} & {1, tp}:
            for groups in apart if engine != "trtllm" else sorted({1, apart[-1]}):
                if tp <= domain or (ep == tp and tp // groups <= domain):
                    yield tp, ep, groups


def servers(
    spec: ModelSpec, place: Place, weights: str, kv_dtype: str, most: int, refusals: list[InputError]
) -> Iterator[tuple[Server, str]]:
    """A server for each layout, with the format's name; ``refusals`` gets why others are not run."""
    stored = spec.stored
    name = stored.name if weights == dtypes.RELEASED and stored is not None else weights
    bits, cached = weight_bits(spec, weights), 8 * dtypes.per_element(kv_dtype)
    multiplied = arithmetic(place.hardware, name)
    first: Server | None = None
    for tp, ep, groups in layouts(spec, place.name.partition("@")[0], most, place.hardware.domain):
        setup = Setup(tp, ep, bits, cached, multiplied, groups)
        try:
            engine = place.engine(tp).caching(kv_dtype)
            server = estimator(spec, place.hardware, setup, engine, weights)[0] if first is None else first.like(setup, engine)
        except InputError as refusal:  # a layout that is not run so
            refusals.append(refusal)
            continue
        first = first or server
        yield server, name


def _sizes(way: Way, least: int, most: int, users: int | None) -> Iterator[tuple[int, int]]:
    """Replicas, and users of each, as many on each of its groups."""
    tp, groups = way.setup.tp, way.setup.attention_dp
    if users is None:
        replicas = -(-least // tp)
        if replicas * tp <= most:
            yield from ((replicas, groups * size) for size in batches(way.largest // groups))
        return
    tried = set()
    for replicas in range(-(-least // tp), most // tp + 1):
        batch = -(-users // (replicas * groups)) * groups
        if batch <= way.largest and batch not in tried:  # more replicas that carry no fewer each only cost more
            tried.add(batch)
            yield replicas, batch


def _arriving(
    server: Server, load: Load, way: Way, gpus: tuple[int, int], rate: float, shares: Sequence[float]
) -> Iterator[Found]:
    """Each number of replicas among which the requests can be divided."""
    if not way.largest:
        return
    paces, tp = Paces(server, load, way.largest), way.setup.tp
    for replicas in range(max(-(-gpus[0] // tp), int(rate / paces.largest_rate) + 1), gpus[1] // tp + 1):
        timed, arrivals = arriving(paces, rate / replicas, way.place.usd_per_hour, shares)
        yield Found(way, replicas, timed, arrivals.utilization)


Key = Callable[[Found], tuple[float, ...]]


def _rank(hourly: bool) -> Key:
    """What is least of the best: USD of a token, or of an hour where it is given what is served; or GPUs; then time per token."""

    def key(each: Found) -> tuple[float, ...]:
        of, usd = each.point, each.usd_per_hour
        if hourly:
            return (each.gpus if usd is None else usd, of.tpot_s, each.gpus)
        return (1 / of.tokens_per_s_gpu if of.usd_per_million is None else of.usd_per_million, of.tpot_s, each.gpus)

    return key


def frontier(found: Sequence[Found]) -> list[Found]:
    """On each accelerator, what no other beats in both tokens/s of a user and of a GPU; the fastest for a user first."""
    kept: list[Found] = []
    for name in dict.fromkeys(each.way.place.hardware.name for each in found):
        best = 0.0
        mine = (each for each in found if each.way.place.hardware.name == name)
        for each in sorted(mine, key=lambda each: (each.point.tpot_s, -each.point.tokens_per_s_gpu)):
            if each.point.tokens_per_s_gpu > best:
                best = each.point.tokens_per_s_gpu
                kept.append(each)
    return kept


def _first_of_each(found: Sequence[Found], most: int) -> list[Found]:
    """The first of each way."""
    kept: dict[int, Found] = {}
    for each in found:
        kept.setdefault(id(each.way), each)
        if len(kept) == most:
            break
    return [*kept.values()]


def choice(of: Found, objective: Objective) -> Choice:
    """As it is told."""
    way, setup, timed = of.way, of.way.setup, of.point
    return Choice(
        hardware=way.place.hardware.name,
        engine=way.place.name,
        dtype=way.dtype,
        tp=setup.tp,
        ep=setup.ep,
        attention_dp=setup.attention_dp,
        replicas=of.replicas,
        gpus=of.gpus,
        batch=timed.batch,
        users=timed.batch * of.replicas,
        largest_batch=way.largest,
        ttft_s=timed.ttft_s,
        ttft_range_s=timed.ttft_range_s,
        tpot_s=timed.tpot_s,
        tpot_range_s=timed.tpot_range_s,
        tokens_per_s_user=timed.tokens_per_s_user,
        tokens_per_s_gpu=timed.tokens_per_s_gpu,
        usd_per_million=timed.usd_per_million,
        usd_per_hour=of.usd_per_hour,
        bound=timed.bound,
        over=objective.over(timed),
        ttft_held_s=objective.times(timed)[0],
        tpot_held_s=objective.times(timed)[1],
        utilization=of.utilization,
    )


def served(
    spec: ModelSpec, load: Load, places: Sequence[Place], kv_dtype: str, of: Choice, rate: float | None = None
) -> tuple[Server, float | None, Serving]:
    """A choice's replica as `llmcx serve` has it, its price of an hour, and the answer."""
    place = next(place for place in places if (place.hardware.name, place.name) == (of.hardware, of.engine))
    weights = dtypes.RELEASED if spec.stored is not None and of.dtype == spec.stored.name else of.dtype
    bits, cached = weight_bits(spec, weights), 8 * dtypes.per_element(kv_dtype)
    setup = Setup(of.tp, of.ep, bits, cached, arithmetic(place.hardware, of.dtype), of.attention_dp)
    server, _ = estimator(spec, place.hardware, setup, place.engine(of.tp).caching(kv_dtype), weights)
    asked = {"batch": of.batch} if rate is None else {"rate": rate / of.replicas}
    answer = serve(server, load, **asked, usd_per_hour=place.usd_per_hour, reserve=0, dtype=of.dtype)
    return server, place.usd_per_hour, answer


def missed(of: Point, objective: Objective) -> str:
    """Which limits, and by how much."""
    said = []
    of_all = "" if objective.percentile is None else f" in {objective.percentile}%"
    for what, time, limit in zip(
        (f"first token{of_all}", f"time per token{of_all}"),
        objective.times(of),
        (objective.ttft_s, objective.tpot_s),
        strict=True,
    ):
        if limit is not None and time > limit:
            said.append(f"{what} {1e3 * time:,.3g} ms, {time / limit - 1:.0%} over {1e3 * limit:,.3g} ms")
    return "; ".join(said)


def label(of: Choice) -> str:
    """A choice in short."""
    ways = [f"TP {of.tp}" if of.tp > 1 else "", f"EP {of.ep}" if of.ep > 1 else ""]
    ways += [
        f"attention DP {of.attention_dp}" if of.attention_dp > 1 else "",
        f"{of.replicas} replicas" if of.replicas > 1 else "",
    ]
    return " ".join([f"{of.gpus} x {of.hardware}", of.engine, of.dtype, *filter(None, ways)])


def _why(met: Sequence[Found], hourly: bool) -> Iterator[str]:
    """For each way of the best: the best with another value of it that meets the objective, and what it costs more."""
    if not met:
        return
    key, best = _rank(hourly), met[0]
    ways = _ways(best)
    for name in WAYS:
        other = next((each for each in met if _ways(each)[name] != ways[name]), None)
        if other is not None:
            cost = key(best)[0]
            more = key(other)[0] / cost - 1 if cost else 0.0  # where all cost nothing
            dearer = "costs as much" if more < 0.0005 else f"costs {more:.1%} more"
            yield f"{name.replace('_', ' ')} {ways[name]}: the best with another, {label(choice(other, Objective()))}, {dearer}"


def _ways(of: Found) -> dict[str, object]:
    setup = of.way.setup
    where = of.way.place.hardware.name, of.way.place.name, of.way.dtype
    return dict(zip(WAYS, (*where, setup.tp, setup.ep, setup.attention_dp), strict=True))


def _nothing(
    spec: ModelSpec, load: Load, places: Sequence[Place], most: int, users: int | None, rate: float | None
) -> InputError:
    names = ", ".join(dict.fromkeys(place.hardware.title for place in places))
    if rate is not None:
        problem = f"no layout of {spec.name} on up to {most:,} x {names} answers {rate:g} requests a second"
        return InputError(f"{problem}; give more --gpus, or a narrower --dtype", field="gpus", value=most)
    what = "one sequence" if users is None else f"{users:,} users"
    problem = f"no layout of {spec.name} on up to {most:,} x {names} holds {what} of {load.prompt + load.output:,} tokens"
    return InputError(f"{problem}; give more --gpus, or a narrower --dtype", field="gpus", value=most)
