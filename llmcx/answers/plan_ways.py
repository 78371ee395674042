"""The ways to serve a model that a plan chooses among: each accelerator, engine, format and layout, timed for users or arrivals.

A way's prompts are worked off among its decode steps, or by workers of their own (disaggregated). Times are those of
:func:`llmcx.answers.load.point`, for every number of users that fits; a layout's passes are lowered once
(:mod:`llmcx.engines.passes`), so that each further one costs a few dozen kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import NamedTuple

from llmcx.answers.arrivals import Paces, arriving, batches
from llmcx.answers.fit import tensor_sizes
from llmcx.answers.load import Apart, Load, Point, Pool, point, prefilling
from llmcx.answers.serve import arithmetic, estimator, weight_bits, with_bits
from llmcx.engines import Engine
from llmcx.engines.serving_time import Server, Setup
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.machine.hardware import Hardware
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import divisors

ENGINES = ("vllm", "sglang", "trtllm")
"""Those whose memory and whose times are known."""


class Place(NamedTuple):
    """An accelerator with the memory that an engine uses of it, the engine for so many of them, of which so many share a layer,
    with so many tokens a step (None: as many as it takes by itself), and USD per hour of one.
    """

    hardware: Hardware
    name: str
    engine: Callable[[int, int, int | None], Engine]
    usd_per_hour: float | None


class Way(NamedTuple):
    """A replica: where it runs, its weights' format, its layout, the most users that it has room for, and what each of them asks;
    GPUs of each of the workers that take its prompts, 0 where there are none of their own.
    """

    place: Place
    dtype: str
    setup: Setup
    largest: int
    load: Load
    prefill_tp: int = 0


class Found(NamedTuple):
    """So many replicas of a way, each with its users, timed; the ``utilization`` of each where requests arrive at a rate; how
    many workers take prompts and how many decode, where those are ``apart``.
    """

    way: Way
    replicas: int
    point: Point
    utilization: float | None = None
    apart: Apart | None = None

    @property
    def gpus(self) -> int:
        setup = self.way.setup
        return self.replicas * (setup.gpus if self.apart is None else self.apart.gpus(setup))

    @property
    def usd_per_hour(self) -> float | None:
        return None if self.way.place.usd_per_hour is None else self.gpus * self.way.place.usd_per_hour


class Wanted(NamedTuple):
    """From ``least`` to ``most`` GPUs; ``users`` at a time, all served, or requests that arrive at a ``rate`` a second, or
    neither; ``shares``: percentiles that are asked for.
    """

    least: int
    most: int
    users: int | None = None
    rate: float | None = None
    shares: Sequence[float] = ()

    def allows(self, gpus: int) -> bool:
        return self.least <= gpus <= self.most


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


STAGES = (1, 2, 4, 8)
"""Of layers, that are tried."""


def layouts(spec: ModelSpec, engine: str, most: int, domain: int) -> Iterator[tuple[int, int, int]]:
    """GPUs that share each layer, groups that share out its experts, groups that attend for themselves: as an engine runs them.

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
    """A server for each layout, with the format's name; ``refusals`` gets why others are not run. In stages each layer's GPUs
    attend together, and share its experts out among all of them or none.
    """
    stored = spec.stored
    name = stored.name if weights == dtypes.RELEASED and stored is not None else weights
    cached = 8 * dtypes.per_element(kv_dtype)
    multiplied = arithmetic(place.hardware, name)
    first: Server | None = None
    program = place.name.partition("@")[0]
    ways = [(pp, *way) for pp in STAGES for way in layouts(spec, program, most // pp, place.hardware.domain)]
    for pp, tp, ep, groups in ways:
        reached = pp == 1 or tp * pp <= place.hardware.domain or place.hardware.scale_out is not None
        if not reached or (pp > 1 and (groups > 1 or ep not in (1, tp))):
            continue
        setup = Setup(tp, ep, 16.0, cached, multiplied, groups, pp)
        try:
            engine = place.engine(setup.gpus, tp, None).caching(kv_dtype)
            setup = with_bits(spec, setup, weights, engine)
            server = estimator(spec, place.hardware, setup, engine, weights)[0] if first is None else first.like(setup, engine)
        except InputError as refusal:  # a layout that is not run so
            refusals.append(refusal)
            continue
        first = first or server
        yield server, name


# --- prompts among decode steps -------------------------------------------------------------------------------------------


def together(server: Server, way: Way, wanted: Wanted) -> Iterator[Found]:
    """Replicas of a way, each of which works off its own prompts."""
    if wanted.rate is not None:
        yield from _arriving(server, way, wanted, wanted.rate)
        return
    for replicas, batch in _sizes(way, wanted):
        yield Found(way, replicas, point(server, way.load, batch, way.place.usd_per_hour, wanted.shares))


def _sizes(way: Way, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """Replicas, and users of each, as many on each of its groups."""
    gpus, groups = way.setup.gpus, way.setup.attention_dp
    first = -(-wanted.least // gpus)
    if wanted.users is None:
        if first * gpus <= wanted.most:
            yield from ((first, groups * size) for size in batches(way.largest // groups))
        return
    tried = set()
    for replicas in range(first, wanted.most // gpus + 1):
        batch = -(-wanted.users // (replicas * groups)) * groups
        if batch <= way.largest and batch not in tried:  # more replicas that carry no fewer each only cost more
            tried.add(batch)
            yield replicas, batch


def _arriving(server: Server, way: Way, wanted: Wanted, rate: float) -> Iterator[Found]:
    """Each number of replicas among which the requests can be divided."""
    if not way.largest:
        return
    paces, gpus = Paces(server, way.load, way.largest), way.setup.gpus
    for replicas in range(max(-(-wanted.least // gpus), int(rate / paces.largest_rate) + 1), wanted.most // gpus + 1):
        timed, arrivals = arriving(paces, rate / replicas, way.place.usd_per_hour, wanted.shares)
        yield Found(way, replicas, timed, arrivals.utilization)


# --- prompts on GPUs of their own -----------------------------------------------------------------------------------------


def disaggregated(server: Server, way: Way, wanted: Wanted) -> Iterator[Found]:
    """The same layout where it only decodes, with each size of worker for its prompts that holds the weights and one of them."""
    if not way.largest or way.setup.pp > 1:  # how stages hand a cache on is not known
        return
    if server.hardware.scale_out is None:  # over which a cache would go
        wanted = wanted._replace(most=min(wanted.most, server.hardware.domain))
    for tp in tensor_sizes(server.spec):
        if tp + way.setup.tp > wanted.most:
            break
        try:
            pool = Pool(server, way.load, prefilling(server.setup, tp))
            if pool.prompts.largest_batch(way.load.prompt, 0) < pool.prompts.setup.attention_dp:
                continue
        except InputError:  # not divided so, or no network is known
            continue
        of, usd = way._replace(prefill_tp=tp), way.place.usd_per_hour
        if wanted.rate is not None:
            yield from _arriving_apart(server, of, wanted, wanted.rate)
            continue
        for apart, batch in _ratios(pool, of, wanted):
            yield Found(of, 1, pool.point(apart, batch, usd, wanted.shares), apart=apart)


def _ratios(pool: Pool, way: Way, wanted: Wanted) -> Iterator[tuple[Apart, int]]:
    """Workers of both kinds, and users of all. Of as many users on a worker as are served, those numbers of workers that have the
    fewest GPUs for each that decodes, once with just enough for the prompts and once with a quarter more.
    """
    load, tp, groups = way.load, way.setup.tp, way.setup.attention_dp
    copies = batches((wanted.most - way.prefill_tp) // tp)
    if wanted.users is None:
        sizes = [(groups * size, copies) for size in batches(way.largest // groups)]
    else:
        each = {workers: -(-wanted.users // (workers * groups)) * groups for workers in copies}
        sizes = [(each[workers], [workers]) for workers in copies if each[workers] <= way.largest]
    for users, numbers in sizes:
        answer = load.output * pool.step(users)[1] / load.speculation.tokens
        busy = users * pool.each(users) / answer  # workers for prompts, of one that decodes
        for spare in (1.0, 1.25):
            pairs = [Apart(max(1, ceil(spare * workers * busy)), way.prefill_tp, workers) for workers in numbers]
            inside = [each for each in pairs if wanted.allows(each.gpus(way.setup))]
            if inside:
                best = min(inside, key=lambda each: (tp + each.prefill_tp * each.prefill_workers / each.workers, each.workers))
                yield best, users * best.workers


def _arriving_apart(server: Server, way: Way, wanted: Wanted, rate: float) -> Iterator[Found]:
    """Numbers of workers of both kinds that keep up with the rate, from the fewest on."""
    load, other = way.load, way.prefill_tp
    one = Paces(server, load.among(Apart(1, other)), way.largest)
    decoding, prompting = int(rate / one.answered(len(one.sizes) - 1)) + 1, int(rate * one.alone[0]) + 1
    for workers in sorted({ceil(decoding * more) for more in (1, 1.25, 1.5, 2, 3)}):
        for prefill_workers in sorted({ceil(prompting * more) for more in (1, 1.25, 1.5)}):
            apart = Apart(prefill_workers, other, workers)
            paces = one.among(apart)
            if wanted.allows(apart.gpus(way.setup)) and rate < paces.largest_rate:
                timed, arrivals = arriving(paces, rate, way.place.usd_per_hour, wanted.shares)
                yield Found(way, 1, timed, arrivals.utilization, apart)
