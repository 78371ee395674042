"""What is served, and one point of it: so many users at once, their first token, the time between tokens, what they cost.

Prompts are worked off among the decode steps, or by workers of their own. The passes are
:mod:`llmcx.engines.serving_time`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple, cast

from llmcx.engines.closed_loop import lacking, per_tokens, waiting
from llmcx.engines.closed_loop import per_token as token
from llmcx.engines.serving_time import Bands, Server, ServingStep, Setup, Span
from llmcx.engines.spread import Parts, Spread, gap, percentile
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec, check_size, sequence_length


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
    and ``itl_p90_s`` nine of ten waits from one token to the next, steps with others' prompts in them; None of a bound, of
    lengths that are all the same, or where nobody asked.
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


APART = "of prompts on GPUs of their own the first token is known to a factor of 2 or 3 alone (docs/serving.md)"
"""What is to be said of such times."""


class Apart(NamedTuple):
    """``prefill_workers`` of ``prefill_tp`` GPUs each work off the prompts, ``workers`` of the server's layout decode. Where
    ``prefill_ep`` and ``prefill_attention_dp`` are not stated, experts and attention are divided as among those that decode.
    """

    prefill_workers: int
    prefill_tp: int
    workers: int = 1
    prefill_ep: int | None = None
    prefill_attention_dp: int | None = None

    def gpus(self, setup: Setup) -> int:
        """All of them, of which those that decode are laid out so."""
        return setup.gpus * self.workers + self.prefill_workers * self.prefill_tp

    def prompts(self, setup: Setup) -> Setup:
        """The layout of those that work off prompts, beside ones that decode laid out so."""
        found = prefilling(setup, self.prefill_tp)
        ep, attention_dp = self.prefill_ep or found.ep, self.prefill_attention_dp or found.attention_dp
        return found._replace(ep=ep, attention_dp=attention_dp)


@dataclass(frozen=True)
class Load:
    """What is served: prompts of ``prompt`` tokens, ``cached`` of them known, ``output`` tokens each; prompts in pieces of
    ``chunk``; prompts ``apart`` from decoding, where GPUs of their own work them off; ``exact``: all have these very lengths, in
    place of lengths that vary around them. ``places``: of more users so many are worked for at a time, by all copies that decode.
    """

    prompt: int
    output: int
    cached: int = 0
    chunk: int | None = None
    speculation: Speculation = NO_SPECULATION
    apart: Apart | None = None
    exact: bool = False
    places: int | None = None

    def gpus(self, setup: Setup) -> int:
        """All of them."""
        return setup.gpus if self.apart is None else self.apart.gpus(setup)

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
    t_decode(batch) / batch / tokens per step, and nobody's tokens wait for a prompt, for an engine may let all of those come
    first. With ``chunk``, prompts ride along with decode steps: the first token waits for all pieces, each a step long.
    ``apart``, a user's tokens wait for no prompt, and a request for nothing but its own. Of more users than ``places`` the others
    wait for one.
    """
    if load.apart is not None:
        return Pool(server, load, load.apart.prompts(server.setup)).point(load.apart, batch, usd_per_hour, shares)
    if load.places is not None and batch > load.places:
        served = point(server, replace(load, places=None), load.places, usd_per_hour, shares)
        return _crowded(served, batch, load.output, server.bands())
    context, spec = load.context, load.speculation
    step, seconds_step = _step(server, load, batch)
    per_token = seconds_step / spec.tokens
    told: dict[str, float] = {}
    if load.exact and batch > 1 and server.bands() is not None:
        of = load.prompt, load.cached, load.output, batch, seconds_step, per_token, load.chunk
        first, tpot = server.exact(*of)
        request = (first + load.output * tpot) / batch
        return pointed(server, load, batch, first, tpot, load.output / request, step.largest, usd_per_hour, told)
    added = server.prompt(load.prompt, load.cached, batch, context, load.chunk)
    first = server.first(load.prompt, load.cached, load.output, batch, seconds_step, load.chunk)
    if server.bands() is None:
        request = added + load.output * per_token / batch
        tpot = per_token
    else:
        tpot = token(per_token, added, batch, load.output, first)
        request = (first + load.output * tpot) / batch
    firsts = server.firsts(load.prompt, load.cached, load.output, batch, seconds_step, load.chunk) if shares else None
    if firsts is not None:
        came = (batch - 1) * spec.tokens / load.output
        gaps = seconds_step, added, came, server.together(load.prompt - load.cached, load.chunk)
        told = percentiles(shares, firsts, per_tokens(per_token, added, batch, load.output, first), gaps)
    return pointed(server, load, batch, first, tpot, load.output / request, step.largest, usd_per_hour, told)


def placed(server: Server, load: Load, batch: int, largest: int, reserve: float = 0.0) -> Load:
    """The load of ``batch`` users, of whom ``largest`` fit with their whole answers: with as many places as there are, in memory
    and by what it says itself, where some wait for one; else with none.
    """
    places = batch
    if batch > largest:
        copies = 1 if load.apart is None else load.apart.workers
        places = copies * server.places(load.prompt, load.output, reserve)
    places = min(places, load.places or places)
    return replace(load, places=places if places < batch else None)


def _crowded(found: Point, users: int, output: int, bands: Bands | None) -> Point:
    """The same where there are more ``users`` than those of ``found``, who have a place: the others wait for one.

    Percentiles are those of requests that wait as long as they do on average.
    """
    first = waiting(found.ttft_s, found.tpot_s, users, found.batch, output)
    changed: dict[str, Any] = {"batch": users, "ttft_s": first}
    if bands is not None:
        changed["ttft_range_s"] = spanned(first, bands.first)
    for name in ("ttft_p50_s", "ttft_p90_s", "ttft_p99_s"):
        if (value := getattr(found, name)) is not None:
            changed[name] = value + (first - found.ttft_s)
    return replace(found, **changed)


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
    """A decode step with ``batch`` users in all, its seconds, and those that each of the copies decodes for at a time."""
    if load.apart is not None:
        return Pool(server, load, load.apart.prompts(server.setup)).stepped(load.apart, batch)
    users = min(batch, load.places or batch)
    return *_step(server, load, users), users


class Pool:
    """Copies of ``server`` that decode, and others laid out as ``prefills`` that work off ``prompts`` for them, however many
    there are of each: a pass is timed once. ``handed``: seconds in which a prompt's cache goes to where it is decoded.

    Raises InputError where no network is known over which it would go, or the prompts' GPUs divide nothing so.
    """

    def __init__(self, server: Server, load: Load, prefills: Setup) -> None:
        self.server, self.load = server, load
        self.prompts = server.like(prefills)
        self.handed = self.prompts.handed(load.prompt)
        self._steps: dict[int, tuple[ServingStep, float]] = {}

    def step(self, users: int) -> tuple[ServingStep, float]:
        """A decode step of one of the copies; its seconds, drafting included."""
        if users not in self._steps:
            self._steps[users] = _step(self.server, self.load, users)
        return self._steps[users]

    def each(self, users: float) -> float:
        """Seconds of a prompt, of one of ``users`` whose prompts a worker works off."""
        return self.prompts.each(self.load.prompt, self.load.cached, users)

    def stepped(self, apart: Apart, batch: int) -> tuple[ServingStep, float, int]:
        """A decode step with ``batch`` users in all, its seconds, and the users of each copy.

        Where prompts bound the rate, fewer than all decode: as many as the prompts that are made in the time of an answer.
        """
        load, users = self.load, min(batch, self.load.places or batch)
        each = -(-users // apart.workers)
        step, seconds = self.step(each)
        rate = apart.prefill_workers / self.each(batch / apart.prefill_workers)
        while (fed := max(1, ceil(rate * load.output * seconds / load.speculation.tokens))) < users:
            users, each = fed, -(-fed // apart.workers)
            step, seconds = self.step(each)
        return step, seconds, each

    def point(self, apart: Apart, batch: int, usd_per_hour: float | None, shares: Sequence[float] = ()) -> Point:
        """:func:`point`: a user's tokens wait for no prompt, and a request for nothing but its own."""
        load, prompts = self.load.among(apart), self.prompts
        step, seconds, _ = self.stepped(apart, batch)
        token, handed = seconds / load.speculation.tokens, self.handed + prompts.taken_up(seconds)
        users = batch / apart.prefill_workers
        alone = handed + prompts.apart(load.prompt, load.cached, users, load.output, token)
        first = max(alone, lacking(token, batch, load.places or batch, load.output, handed))
        told: dict[str, float] = {}
        firsts = prompts.firsts_apart(load.prompt, load.cached, load.output, users, token) if shares else None
        if firsts is not None:  # whoever lacks a place waits as long as all do on average
            firsts = [(share, one.later(handed + first - alone)) for share, one in firsts]
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
    ranges = (None, None) if bands is None else (spanned(first, bands.first), spanned(tpot, bands.per_token))
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


def spanned(value: float, by: Span) -> Span:
    """From the one multiple of a value to the other."""
    return value * by[0], value * by[1]


def check_load(spec: ModelSpec, load: Load) -> None:
    """Refuse what cannot be served. Raises InputError."""
    sequence_length(spec, load.prompt + load.output)
    check_size("prompt", load.prompt)
    check_size("output", load.output)
    check_size("cached", load.cached, least=0)
    check_size("chunk", load.chunk)
    check_size("max_num_seqs", load.places)
    if load.cached >= load.prompt:
        allowed = f"at most {load.prompt - 1}"
        raise InputError(f"cached is {load.cached}, but the prompt has {load.prompt} tokens", field="cached", allowed=allowed)
    if load.apart is not None:
        for name, value in load.apart._asdict().items():
            check_size(name, value)
        if load.chunk is not None:
            problem = "chunk is for prompts among decode steps; with --prefill-workers they are worked off apart"
            raise InputError(problem, field="chunk", value=load.chunk)
        if load.exact:
            problem = "how workers of prompts follow users who ask together is not known; leave out --exact"
            raise InputError(problem, field="exact")
    if not 0 <= load.speculation.acceptance <= 1:
        raise InputError("acceptance must be between 0 and 1", field="acceptance", value=load.speculation.acceptance)
