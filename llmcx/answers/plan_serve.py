"""The search for a way to serve: accelerator, engine, format, layout, replicas and batch, prompts apart from decoding or not, the
cheapest that meets an objective. What it chooses among is :mod:`llmcx.answers.plan_ways`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from llmcx.answers import Result, plan_chunks
from llmcx.answers.load import NO_SPECULATION, Apart, Load, Point, Speculation
from llmcx.answers.plan_chunks import MARGIN, Firsts
from llmcx.answers.plan_ways import Found, Place, Wanted, Way, disaggregated, offered, servers, together
from llmcx.answers.serve import Serving, arithmetic, estimator, serve, with_bits
from llmcx.engines.serving_time import Server, Setup
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec

KEPT = 5
NEAR = 3
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


@dataclass(frozen=True)
class Choice:
    """A configuration: ``replicas`` of ``pp`` stages of ``tp`` GPUs, ``batch`` users on each, ``users`` on all. Where
    ``prefill_workers`` of ``prefill_tp`` GPUs take the prompts, there is one replica, of which ``workers`` of ``tp`` GPUs decode.
    ``draft`` tokens are drafted a step; a step takes ``chunk`` tokens of prompts, None where that is the engine's own number.
    Times and rates as in :class:`~llmcx.answers.load.Point`; ``largest_batch`` fits a replica; ``usd_per_hour`` of all GPUs.
    ``over``: its worse time as a multiple of the limit. ``ttft_held_s`` and ``tpot_held_s`` are the times that are held against
    the limits: the mean's, or a percentile's, with their ranges' upper end where that is asked for. ``utilization``: of requests
    that arrive at a rate, the share of the largest rate that a replica answers.
    """

    hardware: str
    engine: str
    dtype: str
    tp: int
    pp: int
    ep: int
    attention_dp: int
    replicas: int
    workers: int
    prefill_workers: int
    prefill_tp: int
    draft: int
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
    chunk: int | None = None

    @property
    def apart(self) -> Apart | None:
        """The workers of both kinds, where prompts have GPUs of their own."""
        return Apart(self.prefill_workers, self.prefill_tp, self.workers) if self.prefill_workers else None


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
    that fit, ``unfit`` that hold not one sequence or not the users; ``left_out``: engines and formats that are not known to run;
    ``rechunked``: configurations that were tried besides, with other than the engine's own tokens a step.
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
    rechunked: int = 0

    def __repr__(self) -> str:
        first = f", best={label(self.best[0])!r}" if self.best else ""
        return f"ServePlan(searched={self.searched:_}, met={self.met:_}{first})"


def plan(
    spec: ModelSpec,
    load: Load,
    places: Sequence[Place],
    kv_dtype: str,
    wanted: Wanted,
    objective: Objective,
    *,
    formats: Sequence[str] | None = None,
    drafts: Sequence[Speculation] = (NO_SPECULATION,),
    apart: bool | None = None,
) -> ServePlan:
    """Search. Without ``users`` a replica is given as many as is cheapest, and the best has the lowest cost of a token; with them
    all are served at once, and the best costs least by the hour, as for requests that arrive at a ``rate`` a second, which go to
    replicas at random. Where no price is known, GPUs stand for it. ``drafts``: ways to speculate, each tried. ``apart``: prompts
    on GPUs of their own alone, or never; None: both.

    Raises InputError when nothing fits.
    """
    found: list[Found] = []
    firsts: dict[tuple[int, str], Server] = {}
    ways = unfit = 0
    refusals: list[InputError] = []
    left_out: list[str] = []
    loads = [replace(load, speculation=each) for each in drafts]
    kinds = [kind for kind, left in ((together, apart is True), (disaggregated, apart is False)) if not left]
    for place in places:
        for weights in formats or offered(spec, place.hardware):
            before, refused = ways + unfit, len(refusals)
            for server, dtype in servers(spec, place, weights, kv_dtype, wanted.most, refusals):
                try:
                    largest = server.largest_batch(load.prompt + load.output, 0)
                except InputError as refusal:  # it is not known what each GPU has
                    refusals.append(refusal)
                    continue
                before_it = len(found)
                firsts.setdefault((id(place), dtype), server)
                for each in loads:
                    way = Way(place, dtype, server.setup, largest, each)
                    for kind in kinds:
                        found += kind(server, way, wanted)
                fits = len(found) > before_it
                ways, unfit = ways + fits, unfit + (not fits)
            if ways + unfit == before and len(refusals) > refused:
                left_out.append(f"{place.name} in {weights} on {place.hardware.name}: {refusals[-1].message}")
    if not found:
        raise refusals[-1] if refusals and not unfit else _nothing(spec, load, places, wanted)
    hourly = wanted.users is not None or wanted.rate is not None
    key = _rank(hourly)
    found.sort(key=key)
    met, better = _judged(found, objective, key)
    edge = frontier(found)
    more, tried = chunked(kv_dtype, wanted, objective, met, better, edge, key, firsts)
    if more:
        also, short = _judged(sorted(more, key=key), objective, key)
        met, edge = sorted([*met, *also], key=key), frontier([*edge, *more])
        better = [each for each in [*better, *short] if not met or key(each) < key(met[0])]
    near = _first_of_each(sorted(better, key=lambda each: objective.over(each.point)), NEAR)

    def told(each: Found) -> Choice:
        return choice(each, objective)

    return ServePlan(
        best=[told(each) for each in _first_of_each(met, KEPT)],
        near=[Miss(told(each), missed(each.point, objective)) for each in near],
        frontier=[told(each) for each in edge],
        why=list(_why(met, hourly)),
        searched=len(found),
        rechunked=tried,
        met=len(met),
        layouts=ways,
        unfit=unfit,
        left_out=left_out,
    )


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


def _judged(found: Sequence[Found], objective: Objective, key: Key) -> tuple[list[Found], list[Found]]:
    """Of those in order, the ones that meet the objective, and those that would be better and do not."""
    met: list[Found] = []
    missed: list[Found] = []
    for each in found:
        (met if objective.over(each.point) <= 1 else missed).append(each)
    return met, [each for each in missed if not met or key(each) < key(met[0])]


def chunked(
    kv_dtype: str,
    wanted: Wanted,
    objective: Objective,
    met: Sequence[Found],
    better: Sequence[Found],
    edge: Sequence[Found],
    key: Key,
    firsts: Firsts,
) -> tuple[list[Found], int]:
    """Configurations in which a step takes other than the engine's own number of tokens, as far as they are better by
    :data:`~llmcx.answers.plan_chunks.MARGIN` than those that have ``met`` the objective, and than the ``edge`` that is the
    frontier; of how many. Tried around these, and around those that are ``better`` and miss the objective by least.
    """
    near_misses = sorted(better, key=lambda each: objective.over(each.point))
    among = [*_first_of_each(met, KEPT), *_first_of_each(near_misses, KEPT), *edge]
    others = [*plan_chunks.tried(kv_dtype, wanted, among, firsts)]
    kept = []
    best = min((each for each in others if objective.over(each.point) <= 1), key=key, default=None)
    if best is not None and (not met or key(best)[0] < (1 - MARGIN) * key(met[0])[0]):
        kept.append(best)

    def near(one: Found, other: Found) -> bool:
        """Whether an engine's own number gives almost as much as the other."""
        of, than = one.point, other.point
        same = one.way.place.hardware.name == other.way.place.hardware.name
        return same and of.tpot_s <= (1 + MARGIN) * than.tpot_s and (1 + MARGIN) * of.tokens_per_s_gpu > than.tokens_per_s_gpu

    beyond = [other for other in frontier(others) if other is not best and not any(near(one, other) for one in edge)]
    return [*kept, *beyond], len(others)


def _first_of_each(found: Sequence[Found], most: int) -> list[Found]:
    """The first of each way, whatever its workers for prompts have of GPUs."""
    kept: dict[object, Found] = {}
    for each in found:
        way = each.way
        kept.setdefault((id(way.place), way.dtype, way.setup, way.load.speculation, way.prefill_tp > 0), each)
        if len(kept) == most:
            break
    return [*kept.values()]


def choice(of: Found, objective: Objective) -> Choice:
    """As it is told."""
    way, setup, timed = of.way, of.way.setup, of.point
    apart = of.apart or Apart(0, 0)
    return Choice(
        hardware=way.place.hardware.name,
        engine=way.place.name,
        dtype=way.dtype,
        tp=setup.tp,
        pp=setup.pp,
        ep=setup.ep,
        attention_dp=setup.attention_dp,
        replicas=of.replicas,
        workers=apart.workers,
        prefill_workers=apart.prefill_workers,
        prefill_tp=apart.prefill_tp,
        draft=way.load.speculation.drafted,
        gpus=of.gpus,
        batch=timed.batch,
        users=timed.batch * of.replicas,
        largest_batch=way.largest * apart.workers,
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
        chunk=way.load.chunk,
    )


def served(
    spec: ModelSpec, load: Load, places: Sequence[Place], kv_dtype: str, of: Choice, rate: float | None = None
) -> tuple[Server, Load, float | None, Serving]:
    """A choice's replica as `llmcx serve` has it, what it serves, its price of an hour, and the answer; ``load`` says how often
    drafts are accepted.
    """
    place = next(place for place in places if (place.hardware.name, place.name) == (of.hardware, of.engine))
    weights = dtypes.RELEASED if spec.stored is not None and of.dtype == spec.stored.name else of.dtype
    cached, multiplied = 8 * dtypes.per_element(kv_dtype), arithmetic(place.hardware, of.dtype)
    setup = Setup(of.tp, of.ep, 16.0, cached, multiplied, of.attention_dp, of.pp)
    engine = place.engine(setup.gpus, of.tp, of.chunk).caching(kv_dtype)
    server, _ = estimator(spec, place.hardware, with_bits(spec, setup, weights, engine), engine, weights)
    drafts = load.speculation._replace(drafted=of.draft) if of.draft else NO_SPECULATION
    load = replace(load, apart=of.apart, speculation=drafts, chunk=of.chunk)
    asked = {"batch": of.batch} if rate is None else {"rate": rate / of.replicas}
    answer = serve(server, load, **asked, usd_per_hour=place.usd_per_hour, reserve=0, dtype=of.dtype)
    return server, load, place.usd_per_hour, answer


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
    ways = [f"TP {of.tp}" if of.tp > 1 else "", f"PP {of.pp}" if of.pp > 1 else "", f"EP {of.ep}" if of.ep > 1 else ""]
    ways += [
        f"attention DP {of.attention_dp}" if of.attention_dp > 1 else "",
        f"{of.replicas} replicas" if of.replicas > 1 else "",
    ]
    if of.prefill_workers:
        ways = [f"prompts {of.prefill_workers} x TP {of.prefill_tp}, decode {of.workers} x TP {of.tp}", *ways[1:]]
    ways += [f"draft {of.draft}" if of.draft else "", f"chunk {of.chunk}" if of.chunk else ""]
    return " ".join([f"{of.gpus} x {of.hardware}", of.engine, of.dtype, *filter(None, ways)])


def _why(met: Sequence[Found], hourly: bool) -> Iterator[str]:
    """For each way of the best: the best with another value of it that meets the objective, and what it costs more."""
    if not met:
        return
    key, best = _rank(hourly), met[0]
    for name, way in WAYS.items():
        mine = way(best)
        other = next((each for each in met if way(each) != mine), None)
        if other is not None:
            cost = key(best)[0]
            more = key(other)[0] / cost - 1 if cost else 0.0  # where all cost nothing
            dearer = "costs as much" if more < 0.0005 else f"costs {more:.1%} more"
            yield f"{name.replace('_', ' ')} {mine}: the best with another, {label(choice(other, Objective()))}, {dearer}"


WAYS: dict[str, Callable[[Found], object]] = {
    "hardware": lambda of: of.way.place.hardware.name,
    "engine": lambda of: of.way.place.name,
    "dtype": lambda of: of.way.dtype,
    "tp": lambda of: of.way.setup.tp,
    "pp": lambda of: of.way.setup.pp,
    "ep": lambda of: of.way.setup.ep,
    "attention_dp": lambda of: of.way.setup.attention_dp,
    "prompts": lambda of: "among decode steps" if of.apart is None else "on GPUs of their own",
    "draft": lambda of: of.way.load.speculation.drafted,
    "chunk": lambda of: of.way.load.chunk or "the engine's own",
}


def _nothing(spec: ModelSpec, load: Load, places: Sequence[Place], wanted: Wanted) -> InputError:
    names, most = ", ".join(dict.fromkeys(place.hardware.title for place in places)), wanted.most
    if wanted.rate is not None:
        problem = f"no layout of {spec.name} on up to {most:,} x {names} answers {wanted.rate:g} requests a second"
        return InputError(f"{problem}; give more --gpus, or a narrower --dtype", field="gpus", value=most)
    what = "one sequence" if wanted.users is None else f"{wanted.users:,} users"
    problem = f"no layout of {spec.name} on up to {most:,} x {names} holds {what} of {load.prompt + load.output:,} tokens"
    return InputError(f"{problem}; give more --gpus, or a narrower --dtype", field="gpus", value=most)
