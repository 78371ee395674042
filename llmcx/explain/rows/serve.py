"""Each row of the frontier, what fits, then a decode step of the largest batch: part by part, kernel by kernel or op by op."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

from llmcx.answers import Line
from llmcx.answers.load import Load, Point, stepped
from llmcx.answers.load import point as pointed
from llmcx.answers.memory import Part
from llmcx.answers.serve import Serving, few
from llmcx.engines import closed_loop
from llmcx.engines.counted import counted
from llmcx.engines.ideal import CHUNK
from llmcx.engines.inference_memory import cache_of, held, needed
from llmcx.engines.kernel_time import Kernels
from llmcx.engines.launches import Launch
from llmcx.engines.local_time import Local
from llmcx.engines.serving_estimate import MEASURED, Timed
from llmcx.engines.serving_time import STAGED, Server, Span
from llmcx.explain.rows import Figure, lines
from llmcx.explain.rows.memory_inference import cache as cached_lines
from llmcx.explain.rows.train import named_machine
from llmcx.explain.terms import summed
from llmcx.explain.written import named, plain, told, written
from llmcx.formats import dtypes

_ORCA = "Yu et al. 2022, Orca, OSDI: continuous batching"
_LOOP = "llmcx/engines/closed_loop.py: ten rounds of each user, held to a simulation"
_WILLIAMS = "Williams et al. 2009, CACM 52(4): arithmetic or traffic, whichever takes longer, op by op"
_KERNELS = "presets/kernels: laws fitted to measured kernels (docs/kernels.md)"
PARTS = {
    "weights": "weights",
    "compute": "arithmetic",
    "cache": "cache",
    "communication": "communication",
    "overhead": "overhead",
}


def rows(
    ideal: Server, real: Server, load: Load, usd_per_hour: float | None, dtype: str, kv_dtype: str, answer: Serving
) -> list[Line]:
    """Every row that is shown, then what a GPU holds, then the steps that the rows rest on."""
    found: list[Line] = []
    if answer.arrivals is not None:
        found = [*_arriving(answer, load, usd_per_hour), *_fitting(real, load, answer, dtype, kv_dtype)]
        return [*found, _prefilled(real, load, answer)]
    shown = few(list(zip(answer.ideal, answer.estimate, strict=True)))
    for bound, one in shown:
        found += point("estimate", real, load, one, usd_per_hour, answer.places)
        found += point("ideal", ideal, load, bound, usd_per_hour, answer.places)
    if len(answer.estimate) == 1:
        found += _below(answer.first)
    found += [*_fitting(real, load, answer, dtype, kv_dtype), _prefilled(real, load, answer)]
    load, users = replace(load, places=answer.places or load.places), answer.estimate[-1].batch
    each, best = (stepped(server, load, users)[2] for server in (real, ideal))
    return [*found, *step("estimate", real, load, each), *step("ideal", ideal, load, best)]


def _prefilled(server: Server, load: Load, answer: Serving) -> Line:
    new, alone = load.prompt - load.cached, server.prefill(load.prompt, load.cached).total
    rate = f"{new:,} / {alone:.6g}"
    return Line("prefill_tokens_per_s", "prompt tokens / seconds of its pass", rate, answer.prefill_tokens_per_s, _ORCA)


# --- a row ----------------------------------------------------------------------------------------------------------


def point(name: str, server: Server, load: Load, got: Point, price: float | None, places: int | None = None) -> list[Line]:
    """The figures of a point: the step and the prompt that they rest on, then each as it stands in the table; ``places`` of its
    users are worked for at a time.
    """
    asked, batch = got.batch, places or got.batch
    context, speculation = load.context, load.speculation
    gpus = load.gpus(server.setup)
    load = replace(load, places=places or load.places)
    step, _, each = stepped(server, load, asked)
    drafted = server.decode(each, context).total if speculation.drafted else 0.0
    seconds = step.total + speculation.drafted * speculation.cost * drafted
    token = seconds / speculation.tokens
    first_s = got.ttft_s  # of those who have a place
    if places is not None and load.apart is None:
        first_s = pointed(server, load, batch, None).ttft_s
    title = f"{name}, {asked:,} user{'s' * (asked > 1)}"
    parts = {PARTS[part]: value for part, value in step._asdict().items() if value}
    put: list[Figure] = [
        ("decode step, s", " + ".join(parts), " + ".join(f"{value:.9g}" for value in parts.values()), step.total, "below"),
    ]
    if speculation.drafted:
        a, n = speculation.acceptance, speculation.drafted
        many = f"{n + 1}" if a == 1 else f"((1 - {a:g}^({n} + 1)) / (1 - {a:g}))"
        numbers = f"({step.total:.9g} + {n}·{speculation.cost:g}·{drafted:.9g}) / {many}"
        formula = "(step + drafted·cost·a step of one token) / tokens accepted a step"
        put.append(("a token, s", formula, numbers, token, "Leviathan et al. 2023, arXiv:2211.17192, eq. 1"))
    first, added, request = _first(server, load, batch, seconds, token, asked)
    per = told(written(token, "token"))
    together = isinstance(server, Timed) and load.exact and batch > 1
    if isinstance(server, Timed) and together:
        first, per, added = _together(server, load, batch, token, first, added)
    if added:
        put.append(("a prompt among the steps, s", *added, _ORCA))
    among = load.apart is None and server.bands() is not None
    if among and batch > 1 and not (isinstance(server, Timed) and together and server.schedule.at_once):
        prompt = server.prompt(load.prompt, load.cached, batch, context, load.chunk)
        output = f"{load.output:,}"
        whole = f"({output}·{token:.9g} + {batch - 1:,}·{prompt:.9g} - {first_s:.9g})"
        numbers = f"({whole} + ({whole}^2 + 4·{output}·{token:.9g}·{first_s:.9g})^0.5) / (2·{output})"
        per = "x = token + (users - 1)·prompt·x / (first token + output·x)", numbers
    if among:
        request = (first_s + load.output * got.tpot_s) / batch
    if places is not None and load.apart is None:
        answered = f"({first_s:.9g} + {load.output:,}·{got.tpot_s:.9g})"
        first = (
            f"{first[0]} + (users / places - 1)·(first token + output·token)",
            f"{first[1]} + ({asked:,} / {batch:,} - 1)·{answered}",
        )
    rate = got.tokens_per_s_gpu * gpus
    usd = f"{price}·{gpus:,} / 3600 / {rate:.6g}·1,000,000"
    put += [
        ("first token, ms", *_thousand(first), 1e3 * got.ttft_s, _LOOP if server.bands() else _WILLIAMS),
        ("ms per token", *_thousand(per), 1e3 * got.tpot_s, _ORCA),
        ("tokens_per_s_user", "1 / seconds per token", f"1 / {got.tpot_s:.6g}", got.tokens_per_s_user, _ORCA),
        (
            "tokens_per_s_gpu",
            "output / request / GPUs",
            f"{load.output:,} / {request:.9g} / {gpus:,}",
            got.tokens_per_s_gpu,
            _ORCA,
        ),
        (
            "usd_per_million",
            "price·GPUs / 3600 / tokens per s·10^6",
            usd,
            got.usd_per_million,
            "the accelerator's price, or --price",
        ),
    ]
    ranges = {"first token, ms": got.ttft_range_s, "ms per token": got.tpot_range_s}
    return [
        line._replace(
            interval=_interval(server, ranges.get(line.component.partition(": ")[2]), load.apart is not None), where=_where(line)
        )
        for line in lines(title, put)
    ]


_QUEUE = "llmcx/engines/open_loop.py: a queue in closed formulas, held to a simulation"


def _arriving(answer: Serving, load: Load, price: float | None) -> list[Line]:
    """The figures of requests that arrive at a rate."""
    come, one, ideal = answer.arrivals, answer.first, answer.ideal[0]
    assert come is not None
    rate, tokens = f"{come.rate:.12g}", f"{load.output:,}"
    usd = f"{price}·{answer.gpus:,} / 3600 / ({rate}·{tokens})·1,000,000"
    users = f"{rate}·({one.ttft_s:.9g} + {tokens}·{one.tpot_s:.9g})"
    found: list[Figure] = [
        ("utilization", "rate / largest rate", f"{rate} / {come.largest_rate:.9g}", come.utilization, "by definition"),
        ("users", "rate·(first token + output·time per token)", users, come.users, "Little 1961, Operations Research 9(3)"),
        ("tokens_per_s_user", "1 / seconds per token", f"1 / {one.tpot_s:.9g}", one.tokens_per_s_user, _ORCA),
        ("tokens_per_s_gpu", "rate·output / GPUs", f"{rate}·{tokens} / {answer.gpus:,}", one.tokens_per_s_gpu, "by definition"),
        (
            "usd_per_million",
            "price·GPUs / 3600 / tokens per s·10^6",
            usd,
            one.usd_per_million,
            "the accelerator's price, or --price",
        ),
    ]
    largest = "places / (output·step + places·prompt), or what prompts leave"
    queue = {
        "requests a second at most": (largest, come.largest_rate),
        "share that waits for a place": ("share of the time that all places are taken", come.wait_share),
        "wait for a place, ms": ("mean of all requests", 1e3 * come.wait_s),
        "first token, ms": ("waits for a place, for the step and for prompts before it, then its own pass", 1e3 * one.ttft_s),
        "ms per token": ("users that are answered / (rate·output)", 1e3 * one.tpot_s),
        "ms per token, ideal": ("the same of the bound", 1e3 * ideal.tpot_s),
    }
    told = [
        Line(f"estimate: {what}", "the queue's", "", value, _QUEUE, where=f"{where}; requests arrive independently")
        for what, (where, value) in queue.items()
    ]
    return [*told, *lines("estimate", found), *_below(one)]


def _below(one: Point) -> list[Line]:
    """Percentiles over requests."""
    names = {"ttft": "first token", "tpot": "per token of a request", "itl": "from a token to the next"}
    where = (
        "from the mean and the variance of what requests wait: a gamma distribution, and an even one of those that begin together"
    )
    return [
        Line(f"estimate: {words} below, {share}%, ms", "the queue's percentile", "", 1e3 * value, _SPREAD, where=where)
        for name, words in names.items()
        for share in (50, 90, 99)
        if (value := getattr(one, f"{name}_p{share}_s")) is not None
    ]


_SPREAD = "llmcx/engines/spread.py, held to a simulation"


def _thousand(of: Pair) -> Pair:
    """Seconds as milliseconds."""
    first, second = (f"1000·({text})" if " " in text else f"1000·{text}" for text in of)
    return first, second


def _where(line: Line) -> str:
    if line.component.endswith("tokens_per_s_gpu"):
        return "request: seconds of all GPUs that one request costs: an answer's, shared by the users"
    return ""


def _interval(server: Server, span: Span | None, apart: bool) -> str:
    """Where eight of ten measurements lie, and by which rows that is known; prompts worked off ``apart`` or not."""
    if span is None:
        return ""
    ends = f"{1e3 * span[0]:.4g} to {1e3 * span[1]:.4g}, 10 to 90%"
    if server.setup.pp > 1:
        by = " to ".join(f"{factor:g}" for factor in STAGED)
        return f"{ends}, assumed: {by} times the range of one stage, for no load of several was fitted (docs/serving.md)"
    if isinstance(server, Timed):
        what = "models" if server.hardware.name in MEASURED else "accelerators"
        what = "accelerators of disaggregated engines" if apart else what
        what = f"{what} that the fit had not seen"
        return f"{ends}, of served loads of {what}: presets/engines, docs/serving.md"
    if isinstance(server, Local):
        return f"{ends}, of rows that gave no constant: presets/engines, docs/validation.md"
    return f"{ends}, assumed: neither the engine's kernels nor its loads were measured here (docs/validation.md)"


Pair = tuple[str, str]


def _first(
    server: Server, load: Load, batch: int, step: float, token: float, asked: int
) -> tuple[Pair, tuple[str, str, float] | None, float]:
    """Formula and numbers of the seconds to the first token; of what a prompt adds; the seconds that a request costs. Of
    ``asked`` users ``batch`` are worked for at a time.
    """
    if load.apart is not None:
        first, request = _first_apart(server, load, batch, step, token, asked)
        return first, None, request
    new, context = load.prompt - load.cached, load.context
    prompt = server.prompt(load.prompt, load.cached, batch, context, load.chunk)
    request = prompt + load.output * token / batch
    if server.setup.pp > 1:
        from llmcx.explain.rows import stages

        return *stages.first(server, load, batch, step), request
    alone = written(server.alone(load.prompt, load.cached)[0], "pass")
    if server.bands() is not None:
        of_prompt = load.prompt, load.cached, load.output, batch, step, load.chunk
        besides, (own, _, among, output, ahead, *_) = server.riding(*of_prompt)
        groups = server.setup.attention_dp
        named = (own, "pass"), (step, "step"), (among, "users"), (float(output), "output"), (ahead, "together")
        value: Any = closed_loop.first_token(*(written(number, name) for number, name in named))
        if besides:
            value = written(besides, "request") + value
        if load.chunk is not None and load.chunk < new:
            ends = ((load.cached + load.chunk, load.cached), (load.prompt, load.prompt - load.chunk))
            of, last = (server.beyond(*end, batch, context, groups) for end in ends)
            put = f"{new:,} / {load.chunk:,}·({of:.9g} + {last:.9g}) / 2 / {groups}"
            return told(value), ("tokens / chunk·(the first piece + the last piece) / 2 / groups", put, prompt), request
        many = server.in_a_pass(new, batch, load.chunk or server.budget)
        if not isinstance(server, Timed):
            spent = server.prompts_pass(load.prompt, load.cached, many).total
            shared = server.shared(load.prompt, load.cached, batch, context, many)
            formula = "(pass - what the step takes anyway) / prompts in it"
            return told(value), (formula, f"({spent:.9g} - {shared:.9g}) / {many}", prompt), request
        by = server.schedule
        mixed, *sizes = server.passes.mixed(batch, context, load.prompt, load.cached, many)
        decode, size = server.passes.step(batch, context)
        both, before = server.seconds(mixed.at(*sizes)), server.seconds(decode.at(size))
        put = f"({by.prompts:g}·({both:.9g} - {before:.9g}) + {by.pass_us:g} / 1,000,000) / {many}"
        formula = "(prompts·(kernels with them - kernels of the step) + pass) / prompts in a pass"
        return told(value), (formula, put, prompt), request
    value = alone
    if load.chunk is not None:
        value = max(alone, -(-new // load.chunk) * written(step, "step"))
    together = server.in_a_pass(new, batch, CHUNK)
    arithmetic = server.counted_pass(load.prompt, load.cached, together).flops
    one, more, _ = server.counted_step(batch, context)
    numbers = f"max(0, ({arithmetic:.9g} + {more:.9g}) / {server.machine.matmul:.9g} - {one.total:.9g}) / {together}"
    formula = "max(0, FLOPs of prompts and step / rate - step) / prompts in a pass"
    return told(value), (formula, numbers, prompt), request


def _together(
    server: Timed, load: Load, batch: int, token: float, first: Pair, added: tuple[str, str, float] | None
) -> tuple[Pair, Pair, tuple[str, str, float] | None]:
    """The same where users ask together; what lies between their tokens, where it is no sum of shares; what a prompt adds."""
    by = server.schedule
    if not by.at_once:
        alone, _ = server.alone(load.prompt, load.cached)
        return (f"{first[0]} + behind·pass", f"{first[1]} + {by.behind:g}·{alone:.9g}"), told(written(token, "token")), added
    many = server.in_a_pass(load.prompt - load.cached, batch, load.chunk or server.budget)
    each = server.in_a_row(load.prompt, load.cached, many) / many
    kernels = server.seconds(server.prompts(load.prompt, load.cached, many))
    first = (
        "request + (users + prompts in a pass) / 2·a prompt",
        f"{by.request_us:g} / 1,000,000 + ({batch:,} + {many:,}) / 2·{each:.9g}",
    )
    between = (
        "token + (users - prompts in a pass) / 2·a prompt / output",
        f"{token:.9g} + ({batch:,} - {many:,}) / 2·{each:.9g} / {load.output:,}",
    )
    put = f"({by.prompts:g}·{kernels:.9g} + {by.pass_us:g} / 1,000,000) / {many:,}"
    return first, between, ("(prompts·kernels + pass) / prompts in a pass", put, each)


def _first_apart(server: Server, load: Load, batch: int, step: float, token: float, asked: int) -> tuple[Pair, float]:
    """Where prompts are worked off by GPUs of their own: until one is made, and its cache is taken up where it is decoded."""
    assert load.apart is not None
    prompts = server.like(load.apart.prompts(server.setup))
    users = asked / load.apart.prefill_workers
    waited = prompts.apart(load.prompt, load.cached, users, load.output, token)
    network = prompts.hardware.scale_out or prompts.hardware.scale_up
    assert network is not None
    size = prompts.cache_bytes(load.prompt)
    put = f"{waited:.9g} + {size:,.0f} / {network.gb_per_s * 1e9:.9g}"
    taken = prompts.handed(load.prompt) + prompts.taken_up(step)
    formula, first = "waiting and pass + cache / network", waited + taken
    if isinstance(server, Timed):
        formula, put = f"{formula} + handed·step", f"{put} + {server.schedule.handed:g}·{step:.9g}"
    lacks = closed_loop.lacking(token, asked, batch, load.output, taken)
    if lacks > first:
        answer = f"{load.output:,}·{token:.9g}"
        put = f"{asked:,} / {batch:,}·({taken:.9g} + {answer}) - {answer}"
        formula, first = "users / places·(take-up + output·token) - output·token", lacks
    return (formula, put), (first + load.output * token) / asked


# --- what fits ------------------------------------------------------------------------------------------------------


def _fitting(server: Server, load: Load, answer: Serving, dtype: str, kv_dtype: str) -> list[Line]:
    """What a GPU holds, and how many sequences beside it."""
    bits, context, sequences = server.setup, load.prompt + load.output, server.setup.attention_dp
    gpu = max(held(server.spec, 1, 1, server.layout, server.engine), key=lambda one: one.params)
    numbers = f"{gpu.params:,}·{bits.weight_bits:.12g} / 8"
    found = [
        Line("weight_bytes_per_gpu", "parameters·bits / 8", numbers, answer.weight_bytes_per_gpu, "llmcx params", f"in {dtype}")
    ]
    stages = held(server.spec, sequences, context, server.layout, server.engine)
    whole = cache_of(server.spec, sequences, context, server.layout, server.engine, bits.kv_bits)
    each = answer.cache_bytes_per_sequence
    terms = [line for one in stages for line in _cache(server, one, kv_dtype, whole)]
    found += terms[:-1]
    put = terms[-1].numbers if terms else f"{whole:,.0f}"
    if sequences > 1:
        put = f"({put}) / {sequences}"
    found.append(
        Line(
            "cache_bytes_per_sequence", "Σ layer by layer, or page by page", put, each, "llmcx memory --explain", f"in {kv_dtype}"
        )
    )
    workers = 1 if load.apart is None else load.apart.workers
    n, budget = answer.largest_batch // workers, server.hardware.memory_bytes
    takes = [
        needed(server.spec, context, server.layout, server.engine, size, bits.weight_bits, bits.kv_bits) for size in (n, n + 1)
    ]
    numbers = f"{answer.largest_batch:,}: {takes[0]:,.0f} <= {budget:,}; {takes[1]:,.0f} > {budget:,}"
    formula = "largest batch with weights + cache + logits + workspace <= memory"
    where = f"of {context:,} tokens each" + (f", on {workers} workers" if workers > 1 else "")
    return [*found, Line("largest_batch", formula, numbers, answer.largest_batch, "llmcx memory --fit batch", where)]


def _cache(server: Server, gpu: Any, kv_dtype: str, whole: float) -> list[Line]:
    """The cache of the fullest GPU, its terms first."""
    pages = gpu.paged.bytes(dtypes.per_element(kv_dtype))
    sizes = pages or {name: gpu.states if name == "state" else dtypes.size(n, kv_dtype) for name, n in gpu.cached.items()}
    if abs(sum(sizes.values()) - whole) > 1:
        return []
    found: list[Line] = []
    totals: list[Line] = []
    for name, size in sizes.items():
        each = list(cached_lines(server.spec, gpu, Part(name, size, ""), kv_dtype))
        found += each[:-1]
        totals.append(each[-1])
    return [*found, *totals] if len(totals) == 1 else [*found, *totals, summed("cache", totals)]


# --- a step ---------------------------------------------------------------------------------------------------------


def step(name: str, server: Server, load: Load, batch: int) -> list[Line]:
    """A decode step, part by part."""
    if server.setup.pp > 1:
        from llmcx.explain.rows import stages

        return stages.step(name, server, load, batch)
    what = f"{name}: of a decode step with {batch:,} user{'s' * (batch > 1)} at context {load.context:,}, s"
    tokens = 1 + load.speculation.drafted
    one = server.decode(batch, load.context, tokens)
    if isinstance(server, Timed):
        of, size = server.passes.step(batch, load.context, tokens)
        return _by_kernel(what, server, [Launch(*each) for each in of.at(size)], load, batch)
    traced: Any = copy(server)
    traced.machine = named_machine(server.machine)
    ops = map(named, server.step_ops(batch, load.context, tokens))
    traced.counted_step = lambda *asked: traced._pass(counted(ops), batch * tokens, read=True)
    again = type(server).decode(traced, batch, load.context, tokens)
    found = []
    for part, value in one._asdict().items():
        got = getattr(again, part)
        if value:
            found.append(Line(f"{PARTS[part]} {what}", *told(got), float(plain(got)), _WILLIAMS))
    return found


def _by_kernel(what: str, server: Timed, launched: list[Launch], load: Load, batch: int) -> list[Line]:
    """Kernels by the laws of measured ones, and what the engine adds."""
    by, kernels = server.schedule, server.kernels
    parts: dict[str, list[tuple[Launch, float, float]]] = {}
    for launch in launched:
        work, begun = kernels.parts(launch)
        parts.setdefault(server.part(launch), []).append((launch, work, begun))
    found: list[Line] = []
    for part in ("weights", "compute", "cache", "communication"):
        if part not in parts:
            continue
        for launch, work, _ in parts[part]:
            if launch.kind != "moved":
                found.append(_kernel(launch, work, kernels))
        each = " + ".join(f"{launch.times}·{work:.9g}" for launch, work, _ in parts[part])
        moved = " and what only moves" if any(launch.kind == "moved" for launch, *_ in parts[part]) else ""
        formula = f"decode·Σ launches·seconds at work, of its kernels{moved}"
        value = sum(launch.times * by.decode * work for launch, work, _ in parts[part])
        found.append(Line(f"{PARTS[part]} {what}", formula, f"{by.decode:g}·({each})", value, _KERNELS))
    whole = [one for of in parts.values() for one in of]
    starts = " + ".join(f"{launch.times}·{begun:.6g}" for launch, _, begun in whole if begun) or "0"
    moving = sum(launch.times * ((launch.kind == "moved") - (launch.kind == "all_reduce")) for launch, *_ in whole)
    value = server.decode(batch, load.context, 1 + load.speculation.drafted).overhead
    groups = server.setup.attention_dp
    users = f"{batch:,} / {groups:,}" if groups > 1 else f"{batch:,}"
    numbers = f"{by.launched:g}·({starts}) + ({moving}·{by.moved_us:g} + {by.step_us:g} + {users}·{by.user_us:g}) / 1,000,000"
    formula = "launched·Σ launches + (what only moves·moved_us + step_us + users of a group·user_us) / 10^6"
    source = "presets/engines, fitted to served loads (docs/serving.md)"
    return [*found, Line(f"overhead {what}", formula, numbers, value, source)]


def _kernel(launch: Launch, work: float, kernels: Kernels) -> Line:
    """One kernel: what it computes and moves, and how far measured ones lie from its law."""
    law = kernels.law_of(launch)
    shape = " × ".join(f"{n:,}" for n in launch.shape)
    name = f"{launch.kind.replace('_', ' ')} {shape}{' in ' + launch.form if launch.form else ''}, s at work"
    on = kernels.hardware
    where = "by a law of its shape" if launch.kind != "beside" else "none of its own: while tokens are on their way to others"
    if launch.kind == "gemm":
        m, n, k = launch.shape
        flops, size = 2 * m * n * k / on.flops(on.dtype), 2 * (m * k + k * n + m * n) / on.bytes_per_s
        where = (
            f"at 16 bits no less than max(2·m·n·k / peak, bytes / bandwidth) = max({flops:.4g}, {size:.4g}) s, m × n × k as named"
        )
    interval = (
        ""
        if law is None
        else f"{law.low:g} to {law.high:g} times it: eight of ten kernels that the fit had not seen, of {law.rows:,}"
    )
    return Line(name, "the law's, without its launch", "", work, _KERNELS, where, interval)
