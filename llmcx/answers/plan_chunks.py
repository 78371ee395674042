"""How many tokens of prompts a step takes, where the engine's own number is not the best: few make more room for users and keep
others waiting for less long, many answer a burst of prompts sooner.

Tried of the configurations that the search without it finds best, nearest, and on the frontier. No measured run has steps of
fewer tokens than a prompt, so that what differs less than :data:`MARGIN` is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from llmcx.answers.plan_ways import Found, Wanted, Way, together
from llmcx.engines.serving_time import Server
from llmcx.errors import InputError

TRIED = (1 / 4, 1 / 2, 2.0)
"""Of the engine's own number."""
MARGIN = 0.05
"""By how much another number must cost less or answer more to be told: the laws of kernels alone step by 2% between sizes."""
MOST = 12
"""Layouts of which others are tried."""


def chunks(way: Way) -> list[int]:
    """Numbers to try of a way."""
    setup, load = way.setup, way.load
    usual = way.place.engine(setup.gpus, setup.tp, None).pass_tokens(1, load.prompt + load.output)
    return [int(usual * share) for share in TRIED]


Firsts = Mapping[tuple[int, str], Server]
"""A server of each place, by its identity, and format of the weights, in some layout."""


def servers(kv_dtype: str, way: Way, firsts: Firsts) -> Iterator[tuple[Server, Way]]:
    """A way's server with each of them, which has room for as many users as that leaves."""
    load, setup = way.load, way.setup
    for chunk in chunks(way):
        engine = way.place.engine(setup.gpus, setup.tp, chunk).caching(kv_dtype)
        try:
            server = firsts[id(way.place), way.dtype].like(setup, engine)
            largest = server.largest_batch(load.prompt + load.output, 0)
        except InputError:  # the engine has no room for such a step
            continue
        yield server, way._replace(largest=largest, load=replace(load, chunk=chunk))


def tried(kv_dtype: str, wanted: Wanted, among: Sequence[Found], firsts: Firsts) -> Iterator[Found]:
    """Configurations of the ways ``among`` these with other numbers."""
    ways: dict[object, Way] = {}
    for each in among:
        way = each.way
        if each.apart is None and way.setup.pp == 1:  # nobody's tokens wait where prompts are apart; of stages it is not known
            ways.setdefault((id(way.place), way.dtype, way.setup, way.load), way)
    for way in [*ways.values()][:MOST]:
        for server, of in servers(kv_dtype, way, firsts):
            yield from together(server, of, wanted)
