"""Which models run on a machine of one's own, in which format, how fast, and with what of them in the host's memory.

Bytes are those of :func:`llmcx.answers.memory.memory` and :func:`llmcx.answers.offload.offloaded`, times those of
:class:`llmcx.engines.local_time.Local`, so that `llmcx memory` and `llmcx serve` say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, NamedTuple

from llmcx.answers import Result
from llmcx.answers.fit import context_limit
from llmcx.answers.memory import Memory, memory
from llmcx.answers.offload import offloaded
from llmcx.answers.search import below_zero
from llmcx.answers.serve import arithmetic, weight_bits
from llmcx.costs.params import active, count
from llmcx.engines import Engine
from llmcx.engines.llama_cpp import LlamaCpp
from llmcx.engines.llama_offload import Split
from llmcx.engines.local_time import Local, on_processors
from llmcx.engines.serving_time import ALONE, Setup, check_setup
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.formats.tensors import check as check_gguf
from llmcx.machine.hardware import Hardware
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

FORMATS = {
    "llama.cpp": ("q8_0", "q6_k", "q5_k_m", "q4_k_m"),
    "mlx": ("mlx:bits=8", "mlx:bits=6", "mlx:bits=4"),
    "exllamav2": ("gptq:bits=8", "gptq:bits=4"),
    "transformers": ("bf16", "llm_int8", "nf4"),
}
"""Of each program, from the most precise: what is tried where nothing is asked for. Below four bits a model answers visibly worse
than its size promises.
"""
NARROW = {"llama.cpp": ("iq4_xs", "q3_k_m", "q2_k")}
"""Of a model that is named, also these."""
MIXTURE = "mxfp4_moe"
"""How llama.cpp has models that were released in mxfp4."""
LEAST_BITS = 4.0
"""Of a weight in the narrowest of :data:`FORMATS`: what is larger even so is not looked at further."""
NEAR = 3
ALMOST = 1.3
"""How many times the memory a model may take to be told of as near."""


class Machine(NamedTuple):
    """``gpus`` accelerators (None: a processor alone) of which ``budget`` bytes each may be used, and ``ram`` bytes beside them
    (None: nothing of a model lies there), which processors read at ``ram_bytes_per_s`` at most (None: not known).
    """

    hardware: Hardware | None
    gpus: int
    budget: int
    ram: int | None = None
    ram_bytes_per_s: float | None = None

    @property
    def capacity(self) -> int:
        """Bytes that a model may take."""
        return self.budget * self.gpus + (self.ram or 0)


class Entry(NamedTuple):
    """A model that may be looked at: its size before it is built."""

    name: str
    total: int
    active: int
    load: Callable[[], ModelSpec]

    @property
    def proxy(self) -> float:
        return proxy(self.total, self.active)


def proxy(total: float, active: float) -> float:
    """What models are ranked by: the geometric mean of the parameters in all and of those that a token meets.

    >>> proxy(8e9, 8e9), round(proxy(30.5e9, 3.3e9) / 1e9, 1)
    (8000000000.0, 10.0)
    """
    return sqrt(total * active)


def entry(spec: ModelSpec) -> Entry:
    """A model that is built already."""
    return Entry(spec.name, count(spec), active(spec), lambda: spec)


@dataclass(frozen=True)
class Candidate:
    """A model in a format. ``place``: "gpu" (whole), "split" (some of it in the host's memory) or "processor"; ``flags`` of
    llama.cpp; bytes on each GPU and in the host's memory with ``seq`` tokens; ``context``: tokens for which there is room with
    the same flags; tokens/s with half of ``seq`` in the cache, and of a prompt that long, each None where it is not known, with
    the rates that lie at the 10th and the 90th percentile of measured runs.
    """

    model: str
    title: str
    family: str | None
    license: str | None
    year: int | None
    total: int
    active: int
    proxy: float
    dtype: str
    weight_bits: float
    place: str
    flags: str | None
    gpu_bytes: int
    host_bytes: int
    seq: int
    context: int
    tokens_per_s: float | None
    tokens_per_s_range: tuple[float, float] | None
    prompt_tokens_per_s: float | None
    prompt_tokens_per_s_range: tuple[float, float] | None


@dataclass(frozen=True)
class Miss:
    """A model that would rank higher, and why it is not there."""

    model: str
    dtype: str
    why: str


@dataclass(frozen=True, repr=False)
class LocalPlan(Result, brief="models searched", table="models"):
    """``models``, the first the one of the highest proxy; ``near``: what would rank higher and just does not run; ``searched``
    models, of which ``too_large``, ``too_slow`` and ``short`` (of context) and ``unknown`` to the program do not run,
    ``untimed`` are left out, for their speed is not known, and ``beyond`` rank lower than those listed and were not looked at.
    """

    models: list[Candidate]
    near: list[Miss]
    searched: int
    too_large: int
    too_slow: int
    short: int
    unknown: int
    untimed: int
    beyond: int

    def __repr__(self) -> str:
        first = f", first={label(self.models[0])!r}" if self.models else ""
        return f"LocalPlan(models[{len(self.models)}]{first})"


def label(of: Candidate) -> str:
    """In short."""
    return f"{of.model} {of.dtype}"


class Refused(NamedTuple):
    """Why a model in a format does not run here: "too_large", with the bytes that lack, "too_slow", with the tokens/s, or
    "unknown" to the program.
    """

    why: str
    by: float
    said: str


class Ask(NamedTuple):
    """What is asked of each model: a program, tokens of a sequence (None: up to 8k, or as many as the model has), seconds per
    token at most (None: any), the format of the cache, formats (None: the program's, from the most precise).
    """

    engine: Engine
    seq: int | None = None
    tpot_s: float | None = None
    kv_dtype: str = "bf16"
    formats: Sequence[str] | None = None


USUAL = 8192
"""Tokens of a sequence where none are asked for."""


def plan(entries: Sequence[Entry], machine: Machine, ask: Ask, top: int) -> LocalPlan:
    """The ``top`` models of the highest proxy that run: of each the most precise format that lies whole on the GPUs, else the
    most precise that is quick enough, split; where no limit is set, the narrowest. Behind them those whose speed is not known.
    """
    found: list[Candidate] = []
    untimed: list[Candidate] = []
    misses: list[tuple[float, Miss]] = []
    counts = dict.fromkeys(("too_large", "too_slow", "short", "unknown"), 0)
    queue = sorted(entries, key=lambda each: -each.proxy)
    looked = 0
    for each in queue:
        if len(found) == top:
            break
        looked += 1
        if each.total * LEAST_BITS / 8 > ALMOST * machine.capacity:
            counts["too_large"] += 1
            continue
        spec = each.load()
        seq = min(ask.seq or USUAL, context_limit(spec))
        if ask.seq is not None and seq < ask.seq:
            counts["short"] += 1
            continue
        one = best(spec, each, machine, ask._replace(seq=seq))
        if isinstance(one, Candidate):
            (untimed if one.tokens_per_s is None else found).append(one)
            continue
        name, refused = one
        counts[refused.why] += 1
        if refused.by:
            misses.append((refused.by, Miss(spec.name, name, refused.said)))
    near = [miss for by, miss in sorted(misses, key=lambda each: each[0]) if by <= ALMOST]
    models = [*found, *untimed][:top]
    counts["untimed"] = len(found) + len(untimed) - len(models)
    return LocalPlan(models, near[:NEAR], looked, **counts, beyond=len(queue) - looked)


def formats_of(one: Entry, machine: Machine, ask: Ask) -> LocalPlan:
    """A named model in every format that runs, from the most precise."""
    spec = one.load()
    seq = min(ask.seq or USUAL, context_limit(spec))
    if ask.seq is not None and seq < ask.seq:
        problem = f"{spec.name} has a context of {seq:,} tokens, fewer than --seq {ask.seq:,}"
        raise InputError(problem, field="seq", value=ask.seq, allowed=f"at most {seq}")
    found: list[Candidate] = []
    near = []
    counts = dict.fromkeys(("too_large", "too_slow", "short", "unknown"), 0)
    refusal: InputError | None = None
    for name in names(spec, ask, NARROW.get(ask.engine.name, ())):
        try:
            tried = candidate(spec, one, name, machine, ask._replace(seq=seq))
        except InputError as error:
            refusal = error
            counts["unknown"] += 1
            continue
        if isinstance(tried, Candidate):
            found.append(longest(spec, tried, machine, ask))
        else:
            counts[tried.why] += 1
            near.append(Miss(spec.name, name, tried.said))
    if refusal is not None and not found and not near:
        raise refusal
    return LocalPlan(found, near, len(found) + len(near), **counts, untimed=0, beyond=0)


def names(spec: ModelSpec, ask: Ask, more: Sequence[str] = ()) -> Sequence[str]:
    """Formats to try of a model, from the most precise."""
    if ask.formats is not None:
        return ask.formats
    if ask.engine.name == "llama.cpp" and spec.stored is not None and spec.stored.name.startswith("mxfp4"):
        return (MIXTURE,)
    return (*FORMATS[ask.engine.name], *more)


def best(spec: ModelSpec, one: Entry, machine: Machine, ask: Ask) -> Candidate | tuple[str, Refused]:
    """The format to run a model in; or the narrowest tried, and why not even that runs.

    From the narrowest up, as long as it lies as whole as that one and is quick enough; where no speed is known, the narrowest.
    """
    chosen: Candidate | None = None
    refused: tuple[str, Refused] | None = None
    for name in reversed(names(spec, ask)):
        try:
            tried = candidate(spec, one, name, machine, ask, split=chosen is None or chosen.place == "split")
        except InputError as error:
            refused = refused or (name, Refused("unknown", 0.0, error.message))
            continue
        if isinstance(tried, Refused):
            if chosen is None:
                return name, tried
            break
        chosen = tried
        if tried.tokens_per_s is None:
            break
    if chosen is None:
        assert refused is not None  # there is a format to try
        return refused
    return longest(spec, chosen, machine, ask)


def candidate(spec: ModelSpec, one: Entry, name: str, machine: Machine, ask: Ask, split: bool = True) -> Candidate | Refused:
    """A model in a format on a machine, whole or, where that is wanted, ``split``.

    Raises InputError where the program does not have it so.
    """
    check_setup(spec, ALONE)
    if isinstance(ask.engine, LlamaCpp):
        check_gguf(spec, name)
    bits, engine, seq = weight_bits(spec, name), ask.engine, ask.seq or USUAL
    layout = Layout(pp=machine.gpus)
    asked: dict[str, Any] = {"batch": 1, "seq": seq, "dtype": name, "layout": layout}
    fixed: dict[str, Any] = {"train": False, "kv_dtype": ask.kv_dtype, "engine": engine}
    weights = one.total * bits / 8

    def whole(tokens: int) -> Memory:
        return memory(spec, **{**asked, "seq": tokens}, **fixed)

    if machine.hardware is None:
        engine = engine.caching(ask.kv_dtype)
        held = whole(seq).total_bytes
        if held > machine.budget:
            return _large(held, machine.budget)
        cache = sum(part.bytes for part in whole(seq // 2).parts if part.part in ("kv_cache", "state"))
        rate = machine.ram_bytes_per_s
        seconds = None if rate is None else on_processors(spec, bits, cache, rate)
        band = Local.processor_band()
        return _slow(seconds, ask) or _told(spec, one, name, bits, "processor", None, 0, held, seq, seconds, band)
    setup = Setup(1, 1, bits, 8 * dtypes.per_element(ask.kv_dtype), arithmetic(machine.hardware, name))
    server = Local(spec, machine.hardware, setup, engine.caching(ask.kv_dtype))
    bands, prompt = server.bands(), max(seq // 2, 1)
    if weights <= machine.budget * machine.gpus and (fits := whole(seq)).total_bytes <= machine.budget:
        seconds, first = server.decode(1, prompt).total, server.prefill(prompt).total
        flags = Split(spec.n_layers + 1).flags if isinstance(engine, LlamaCpp) else None
        held = fits.total_bytes
        made = _told(spec, one, name, bits, "gpu", flags, held, 0, seq, seconds, bands.per_token, first, bands.first)
        return _slow(seconds, ask) or made
    if not (split and isinstance(engine, LlamaCpp)) or machine.gpus > 1 or machine.ram is None:
        need = weights if weights > machine.budget * machine.gpus else float(whole(seq).total_bytes * machine.gpus)
        return _large(need, machine.budget * machine.gpus)
    if weights > machine.capacity:
        return _large(weights, machine.capacity)
    try:
        answer, of, host = offloaded(spec, machine.budget, machine.ram, asked, fixed)
    except InputError as error:
        if error.field not in ("budget", "ram"):
            raise
        return _large(max(weights, float(machine.capacity + 1)), machine.capacity)
    rate = machine.ram_bytes_per_s
    token = None if rate is None else server.split(of, prompt, rate)
    first_s = server.split_prompt(prompt, engine.ubatch, host.weights)
    beside = answer.host_bytes or 0
    made = _told(
        spec, one, name, bits, "split", of.flags, answer.total_bytes, beside, seq, token, server.processor_band(), first_s,
        bands.first,
    )  # fmt: skip
    return _slow(token, ask) or made


def _told(
    spec: ModelSpec,
    one: Entry,
    name: str,
    bits: float,
    place: str,
    flags: str | None,
    gpu_bytes: int,
    host_bytes: int,
    seq: int,
    seconds: float | None,
    band: tuple[float, float],
    first: float | None = None,
    first_band: tuple[float, float] = (1.0, 1.0),
) -> Candidate:
    prompt = max(seq // 2, 1)
    return Candidate(
        model=spec.name,
        title=spec.title or spec.name,
        family=spec.family,
        license=spec.license,
        year=spec.year,
        total=one.total,
        active=one.active,
        proxy=one.proxy,
        dtype=name,
        weight_bits=bits,
        place=place,
        flags=flags and f"{flags} -c {seq}",
        gpu_bytes=gpu_bytes,
        host_bytes=host_bytes,
        seq=seq,
        context=seq,
        tokens_per_s=None if seconds is None else 1 / seconds,
        tokens_per_s_range=None if seconds is None else (1 / (seconds * band[1]), 1 / (seconds * band[0])),
        prompt_tokens_per_s=None if first is None else prompt / first,
        prompt_tokens_per_s_range=None if first is None else (prompt / (first * first_band[1]), prompt / (first * first_band[0])),
    )


def _slow(seconds: float | None, ask: Ask) -> Refused | None:
    if seconds is None or ask.tpot_s is None or seconds <= ask.tpot_s:
        return None
    said = f"{1 / seconds:.3g} tokens/s, {seconds / ask.tpot_s - 1:.0%} over {1e3 * ask.tpot_s:.3g} ms a token"
    return Refused("too_slow", seconds / ask.tpot_s, said)


def _large(need: float, there: int) -> Refused:
    return Refused("too_large", need / max(there, 1), f"{need / 1e9:.3g} GB, {(need - there) / 1e9:.2g} GB more than there is")


CELLS = 256
"""By so many tokens caches grow in all these programs but transformers, where it is near enough."""


def longest(spec: ModelSpec, of: Candidate, machine: Machine, ask: Ask) -> Candidate:
    """A choice with the longest sequence that fits: all that the model has, or a multiple of :data:`CELLS`; of a split the one
    that it is for, since a longer one would be split otherwise.
    """
    limit = context_limit(spec)
    if of.place == "split" or of.seq >= limit:
        return of

    def left(tokens: int) -> int:
        layout = Layout(pp=machine.gpus)
        held = memory(spec, 1, tokens, dtype=of.dtype, kv_dtype=ask.kv_dtype, engine=ask.engine, layout=layout)
        return machine.budget - held.total_bytes

    if left(limit) >= 0:
        return replace(of, context=limit)
    cells = below_zero(lambda cells: left(CELLS * cells), of.seq // CELLS, -(-limit // CELLS)) - 1
    return replace(of, context=max(of.seq, CELLS * cells))


def cataloged(family: str | None, license: str | None, at_least: int, at_most: int | None, since: int | None) -> Iterator[Entry]:
    """The presets that make text, by what they say of themselves."""
    from llmcx.catalog.presets import load_preset, summaries

    for row in summaries():
        if (
            (family is None or row["family"].startswith(family.lower()))
            and (license is None or (row["license"] or "").startswith(license.lower()))
            and row["total"] >= at_least
            and (at_most is None or row["total"] <= at_most)
            and (since is None or row["year"] >= since)
        ):
            name = row["name"]
            yield Entry(name, row["total"], row["active"], lambda name=name: load_preset(name))  # type: ignore[misc]
