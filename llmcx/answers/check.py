"""Does a launch line fit, for how many users, how fast, and what would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from math import floor
from typing import Any, NamedTuple

from llmcx.answers import Result
from llmcx.answers.fit import most, tensor_sizes
from llmcx.answers.launched import Asked, holding, loading, served
from llmcx.answers.load import Apart, Load, Point, placed, point
from llmcx.answers.memory import Memory, Part, memory
from llmcx.answers.remedies import MOST, remedies
from llmcx.engines.inference_memory import beside, largest_batch
from llmcx.engines.serving_time import Server
from llmcx.engines.sglang import SGLang
from llmcx.engines.spread import SHARES
from llmcx.engines.vllm import VLLM
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import cut

MANY = 2**20
"""Users beyond which nobody asks."""
FULL = 0.95
"""The share of the memory that is suggested where a smaller one does not suffice."""


EAGER = "--enforce-eager"
"""vLLM's, that it makes no CUDA graphs."""


STILL = "--limit-mm-per-prompt '{\"video\": 0}'"
"""vLLM's, that no videos may be shown."""


class Change(NamedTuple):
    """Flags of the engine that make it fit, and bytes on the fullest GPU with them."""

    flags: str
    total_bytes: int


class Read(NamedTuple):
    """A flag of the line: its value, and the option of llmcx that it sets; "harmless" where it changes neither memory nor time,
    "apart" where what it changes is not counted.
    """

    flag: str
    value: str | None
    effect: str


class Workers(NamedTuple):
    """``number`` of workers on ``gpus`` each, that "prefill" or "decode", and what the fullest GPU of one holds."""

    role: str
    number: int
    gpus: int
    fits: bool
    total_bytes: int
    cache_tokens: int


@dataclass(frozen=True, repr=False)
class Check(Result, brief="engine fits total_bytes cache_tokens users", table="parts"):
    """Bytes on the fullest GPU with the cache of the fewest sequences that the engine starts for, in ``parts`` (``beside``:
    of the whole memory, with all the cache of the engine's share, where what comes on top of that has no room); ``cache_bytes``
    and ``cache_tokens`` that the rest holds; ``users`` that fit with ``seq`` tokens each; ``largest_batch`` with the tokens that
    times are for; ``estimate``: times for one user and for as many as fit, or are asked for; ``changes`` that make it fit;
    ``flags``: how each was understood; ``met``: whether what is required holds. Where prompts are worked off on GPUs of their
    own, ``workers`` of both kinds; ``gpus`` and ``users`` are those of all, the rest is of one that decodes, or where only that
    for prompts does not fit, of that. ``places``: of more users so many are worked for at a time, by all of them.
    """

    engine: str
    fits: bool
    total_bytes: int
    budget_bytes: int
    headroom_bytes: int
    parts: list[Part]
    gpus: int
    replicas: int
    seq: int
    cache_bytes: int
    cache_tokens: int
    users: int
    largest_batch: int
    estimate: list[Point]
    changes: list[Change]
    flags: list[Read]
    met: bool | None = None
    workers: list[Workers] = field(default_factory=list)
    places: int | None = None


def check(
    spec: ModelSpec,
    asked: Asked,
    budget: int,
    *,
    server: Server | None,
    load: Load,
    batch: int | None = None,
    usd_per_hour: float | None = None,
    full: int | None = None,
    flags: list[Read],
) -> Check:
    """What the engine makes of ``asked`` in ``budget`` bytes on each GPU (``full``: with the largest share that is suggested).

    ``server`` (None: not known) says how fast it serves ``load``, to ``batch`` users (None: to one, and to as many as fit).
    """
    found = holding(spec, asked, budget)
    if (wide := loading(spec, asked)) > (asked.whole or budget):
        return _unloaded(spec, asked, budget, wide, flags)
    if found.total_bytes <= budget and (over := _over(spec, asked, budget)) is not None:
        return _beside(spec, asked, found, budget, over, flags)
    fits = found.total_bytes <= budget
    cache = sum(part.bytes for part in found.parts if part.part in ("kv_cache", "state"))
    pool = max(0, budget - found.total_bytes + cache)
    fixed_size = asked.engine.name == "llama.cpp"  # which makes its whole cache when it starts
    pool = min(pool, cache) if fixed_size else pool
    users = _users(spec, asked, found, budget, fixed_size) if fits else 0
    largest = min(users, asked.batch) if fixed_size else 0
    if server is not None and fits and not fixed_size:
        largest = server.largest_batch(load.prompt + load.output, reserve=0)
    copies = 1 if load.apart is None else load.apart.workers
    largest *= copies
    tokens = int(pool * asked.seq * asked.batch / cache) if cache else 0
    points: list[Point] = []
    if server is not None and fits and largest:
        limit = largest if fixed_size else asked.limit and asked.limit * copies
        users_most = min(largest, limit or largest)
        sizes = [batch] if batch is not None else [1] if users_most == 1 else [1, users_most]
        load = placed(server, replace(load, places=limit), sizes[-1], largest)
        points = [point(server, load, size, usd_per_hour, SHARES) for size in sizes]
    return Check(
        engine=asked.engine.name,
        fits=fits,
        total_bytes=found.total_bytes,
        budget_bytes=budget,
        headroom_bytes=budget - found.total_bytes,
        parts=found.parts,
        gpus=asked.layout.gpus,
        replicas=asked.replicas,
        seq=asked.seq,
        cache_bytes=pool,
        cache_tokens=tokens,
        users=users,
        largest_batch=largest,
        estimate=points,
        places=load.places,
        changes=[] if fits else _changes(spec, asked, budget, found.total_bytes, full),
        flags=flags,
    )


def joined(found: Check, prompts: Check, apart: Apart) -> Check:
    """The answer about workers that decode, with that about those which work off ``prompts`` for them."""
    kinds = (("prefill", apart.prefill_workers, prompts), ("decode", apart.workers, found))
    both = [Workers(role, many, of.gpus, of.fits, of.total_bytes, of.cache_tokens) for role, many, of in kinds]
    fits = found.fits and prompts.fits
    shown = prompts if found.fits and not prompts.fits else found
    return replace(
        shown,
        fits=fits,
        gpus=sum(of.number * of.gpus for of in both),
        users=found.users * apart.workers if fits else 0,
        largest_batch=found.largest_batch if fits else 0,
        estimate=found.estimate if fits else [],
        flags=[*prompts.flags, *found.flags],
        workers=both,
    )


def _over(spec: ModelSpec, asked: Asked, budget: int) -> Part | None:
    """What comes on top of the engine's share of a GPU, where the GPU has less left than that."""
    if asked.whole is None:
        return None
    size, what = beside(served(spec, asked), asked.batch, asked.seq, asked.layout, asked.engine)
    return Part("beside", size, what) if budget + size > asked.whole else None


def _beside(spec: ModelSpec, asked: Asked, found: Memory, budget: int, over: Part, flags: list[Read]) -> Check:
    """The answer where the share holds what is asked for, and the GPU not what comes on top, once the cache has all of it."""
    assert asked.whole is not None
    spare = budget - found.total_bytes
    cache = sum(part.bytes for part in found.parts if part.part == "kv_cache")
    parts = [replace(part, bytes=part.bytes + spare) if part.part == "kv_cache" else part for part in found.parts]
    changes = []
    if isinstance(asked.engine, SGLang):
        changes = _shorter(spec, asked, over.bytes)
    elif (share := floor(100 * (asked.whole - over.bytes) / asked.whole) / 100) * asked.whole >= found.total_bytes:
        changes.append(Change(f"{SPELT[asked.engine.name]['--utilization']} {share:g}", found.total_bytes))
    if (eager := _eager(asked)) is not None and _over(spec, eager, budget) is None:
        changes.append(Change(EAGER, holding(spec, eager).total_bytes))
    pool = cache + spare
    tokens = int(pool * asked.seq * asked.batch / cache) if cache else 0
    return _refused(asked, [*parts, over], budget + over.bytes, asked.whole, changes, flags, pool, tokens)


def _shorter(spec: ModelSpec, asked: Asked, over: int) -> list[Change]:
    """The longest context for which SGLang's table of requests has room."""
    assert isinstance(asked.engine, SGLang) and asked.engine.context is not None
    engine = replace(asked.engine, context=asked.engine.context - 1)
    row = over - beside(served(spec, asked), asked.batch, asked.seq, asked.layout, engine)[0]
    context = asked.engine.context - cut(over, row)
    of = replace(asked, seq=min(asked.seq, context), engine=replace(engine, context=context))
    return [Change(f"--context-length {context}", holding(spec, of).total_bytes)] if context > 0 else []


def _unloaded(spec: ModelSpec, asked: Asked, budget: int, wide: int, flags: list[Read]) -> Check:
    """The answer where the weights in 16 bits, of which the engine makes fp8, are more than a GPU."""
    part = Part("weights", wide, "all parameters of the GPU × 2 B: as they are loaded, before they are made fp8")
    whole = asked.whole or budget
    return _refused(asked, [part], wide, whole, _changes(spec, asked, budget, wide, None), flags)


def _refused(
    asked: Asked,
    parts: list[Part],
    total: int,
    whole: int,
    changes: list[Change],
    flags: list[Read],
    pool: int = 0,
    tokens: int = 0,
) -> Check:
    """A no to what a GPU as a whole does not hold."""
    return Check(
        engine=asked.engine.name,
        fits=False,
        total_bytes=total,
        budget_bytes=whole,
        headroom_bytes=whole - total,
        parts=parts,
        gpus=asked.layout.gpus,
        replicas=asked.replicas,
        seq=asked.seq,
        cache_bytes=pool,
        cache_tokens=tokens,
        users=0,
        largest_batch=0,
        estimate=[],
        changes=changes,
        flags=flags,
    )


def _eager(asked: Asked) -> Asked | None:
    """The same without CUDA graphs; None where there are none."""
    engine = asked.engine
    return replace(asked, engine=replace(engine, eager=True)) if isinstance(engine, VLLM) and not engine.eager else None


def _users(spec: ModelSpec, asked: Asked, found: Memory, budget: int, fixed_size: bool) -> int:
    """Sequences of the stated length that fit."""
    if fixed_size:
        return asked.batch
    if not asked.plain:
        many, *_ = most(lambda n: holding(spec, replace(asked, batch=n)), budget, asked.limit or MANY, "user")
        return many
    weights = next(part.bytes for part in found.parts if part.part == "weights")
    params = sum(part.bytes for part in memory(spec, **{**asked.inputs()[0], "dtype": "int8"}, **asked.inputs()[1]).parts[:1])
    bits, kv_bits = 8 * weights / params, 8 * dtypes.per_element(asked.kv_dtype)
    many = max(1, largest_batch(spec, asked.seq, asked.layout, asked.engine.caching(asked.kv_dtype), budget, bits, kv_bits))
    return many if asked.limit is None else min(many, asked.limit)


def _changes(spec: ModelSpec, asked: Asked, budget: int, total: int, full: int | None) -> list[Change]:
    """Up to three changes of the line that make it fit, each computed; those that cost the user least first."""
    found = []
    name = asked.engine.name
    if full is not None and total <= full and _over(spec, asked, full) is None:
        found.append(Change(f"{SPELT[name]['--utilization']} {FULL:g}", total))
    for options, attempt in _files(spec, asked, budget) if name == "llama.cpp" else _tries(spec, asked, budget):
        try:
            size = attempt()
        except InputError:  # what this model, layout or engine does not take
            continue
        flags = spelt(name, options)
        again = any(each.flags in (flags or "") or each.flags.split()[0] == (flags or " ").split(" ")[0] != "a" for each in found)
        if size <= budget and flags is not None and not again:
            found.append(Change(flags, size))
        if len(found) == MOST:
            break
    return found


def _tries(spec: ModelSpec, asked: Asked, budget: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """A cache of half the size, shorter sequences, weights of half and of a quarter of the size, more GPUs."""

    def size(**changed: Any) -> int:
        if "kv_dtype" in changed:
            asked.engine.caching(changed["kv_dtype"])
        of = replace(asked, **changed)
        if "dtype" in changed:
            of = replace(of, made=changed["dtype"] == "fp8")
        return max(holding(spec, of).total_bytes, wide if (wide := loading(spec, of)) > (asked.whole or budget) else 0)

    layout = asked.layout
    if asked.still is not None:
        yield STILL, partial(size, engine=asked.still)
    wide = dtypes.per_element(asked.kv_dtype) >= 2
    if wide:
        yield "--kv-dtype fp8", partial(size, kv_dtype="fp8")
    try:
        seq, *_ = most(lambda n: holding(spec, replace(asked, seq=n)), budget, asked.seq, "seq")
        yield f"--seq {seq}", partial(size, seq=seq)
    except InputError:  # not even one token
        pass
    bits = spec.stored.name if asked.dtype == dtypes.RELEASED and spec.stored is not None else asked.dtype
    if asked.made:
        yield "--dtype fp8_tensor", partial(size, dtype="fp8_tensor")
    for dtype in ("fp8", "awq") if dtypes.BITS.get(bits, 8 if bits.startswith("fp8") else 4) > 8 else ("awq",):
        yield f"--dtype {dtype}", partial(size, dtype=dtype)
    for tp in tensor_sizes(spec):
        if tp > layout.tp and layout.attention_dp == 1 and tp * layout.pp <= (asked.there or tp * layout.pp):
            ep = tp if layout.ep == layout.tp > 1 else layout.ep
            yield f"--tp {tp}", partial(size, layout=layout._replace(tp=tp, ep=ep))
    if wide:
        yield "--dtype awq --kv-dtype fp8", partial(size, dtype="awq", kv_dtype="fp8")
    if (eager := _eager(asked)) is not None:
        yield EAGER, partial(size, engine=eager.engine)


def _files(spec: ModelSpec, asked: Asked, budget: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """Of llama.cpp: a part in the host's memory, then a smaller cache, file, or fewer and shorter sequences."""
    inputs, fixed = asked.inputs()
    if asked.layout.gpus == 1:
        from llmcx.answers.offload import offloaded

        try:
            made, split, _ = offloaded(spec, budget, None, inputs, fixed)
            yield split.flags, lambda: made.total_bytes
        except InputError:
            pass
    for each in remedies(spec, budget, inputs, fixed):
        options = each.options
        if options.startswith("--seq "):  # of each slot
            options = f"--seq {int(options.split()[1]) * asked.batch}"
        yield options, partial(int, each.bytes)


SPELT: dict[str, dict[str, str]] = {
    "vllm": {
        "--tp": "--tensor-parallel-size",
        "--pp": "--pipeline-parallel-size",
        "--seq": "--max-model-len",
        "--utilization": "--gpu-memory-utilization",
        "--dtype": "--quantization",
        "--kv-dtype": "--kv-cache-dtype",
        "--chunk": "--max-num-batched-tokens",
    },
    "sglang": {
        "--tp": "--tp-size",
        "--pp": "--pp-size",
        "--seq": "--context-length",
        "--utilization": "--mem-fraction-static",
        "--dtype": "--quantization",
        "--kv-dtype": "--kv-cache-dtype",
        "--chunk": "--chunked-prefill-size",
    },
    "trtllm": {
        "--tp": "--tp_size",
        "--pp": "--pp_size",
        "--seq": "--max_seq_len",
        "--utilization": "--kv_cache_free_gpu_memory_fraction",
        "--chunk": "--max_num_tokens",
    },
    "llama.cpp": {"--seq": "--ctx-size", "--kv-dtype": "--cache-type-k", "--batch": "--parallel"},
}
"""Options of llmcx as each engine's command has them."""


def spelt(engine: str, options: str) -> str | None:
    """llmcx's options as flags of ``engine``; None where it has none for them.

    >>> spelt("vllm", "--gpus 2 --tp 2"), spelt("vllm", "--dtype awq"), spelt("llama.cpp", "--gpus 2 --tp 2")
    ('--tensor-parallel-size 2', 'a checkpoint in awq', None)
    """
    words = options.split()
    if words[0] in ("-ngl", "--n-cpu-moe", EAGER, STILL.split()[0]):
        return options
    out = []
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag == "--gpus":
            continue
        if flag == "--dtype" and (engine in ("trtllm", "llama.cpp") or value != "fp8"):
            out.append(f"a {'file' if engine == 'llama.cpp' else 'checkpoint'} in {value}")
            continue
        if flag == "--kv-dtype" and engine == "llama.cpp":
            out.append(f"--cache-type-k {value} --cache-type-v {value}")
            continue
        if flag not in SPELT[engine]:
            return None
        if flag == "--kv-dtype" and engine == "sglang" and value == "fp8":
            value = "fp8_e4m3"
        out.append(f"{SPELT[engine][flag]} {value}")
    return " ".join(out)


def required(found: Check, text: str) -> Check:
    """``found`` with whether it meets what is required (:mod:`llmcx.answers.require`)."""
    from llmcx.answers.require import met

    return replace(found, met=met(text, found))
