"""llmcx plan: what to run, on what, and how."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, cast

from llmcx.answers import plan_serve as answers
from llmcx.answers.load import APART, DRAFT_COST, NO_SPECULATION, Load, Speculation, check_load
from llmcx.answers.plan_chunks import MARGIN
from llmcx.answers.plan_ways import ENGINES, Place, Wanted
from llmcx.answers.serve import few
from llmcx.cli import emitting, plan_finetune, plan_lifetime, plan_local, plan_train
from llmcx.cli.accelerator import serving, settled, with_memory
from llmcx.cli.models import Models, describe, stored_notes
from llmcx.cli.options import command, explaining, heading, option, single
from llmcx.cli.planning import Chips, Confidence, Prices, between, check_confidence, chips
from llmcx.engines import Engine
from llmcx.engines.serving_time import Server
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec
from llmcx.report.render import Item

app = single()


@app.callback()
def _plan() -> None:
    """What to run, on what, and how, for an objective."""


MOST_GPUS = 4096
"""Of a search."""


@command(app, "plan")
def serve(
    models: Models,
    hardware: Chips = "h100",  # type: ignore[assignment]
    gpus: Annotated[str, option("How many, or the fewest and the most: 8..64.", metavar="N..M")] = "1..8",
    prompt: Annotated[int, option("Tokens in; 8k is 8192.", reads="length")] = 1024,
    output: Annotated[int, option("Tokens out.", reads="length")] = 1024,
    ttft: Annotated[float | None, option("Time to the first token at most: 2s. Default: any.", reads="time")] = None,
    tpot: Annotated[float | None, option("Time per token at most: 40ms. Default: any.", reads="time")] = None,
    confidence: Confidence = None,
    percentile: Annotated[
        int | None,
        option("50, 90 or 99: hold what so many of 100 requests take to the limits. Default: the mean.", reads="integer"),
    ] = None,
    rate: Annotated[
        float | None, option("Requests that arrive, all answered, in place of users: 20/s, 90/min.", reads="rate")
    ] = None,
    users: Annotated[int | None, option("Users at once, all served. Default: as many as is cheapest.", reads="count")] = None,
    cached: Annotated[int, option("Tokens of the prompt found in the prefix cache.", reads="length")] = 0,
    draft: Annotated[
        list[int] | None,
        option("Tokens drafted per step, several to choose from: 0,1,3. Default: 0.", reads="integer", whole=True),
    ] = None,
    acceptance: Annotated[float, option("Probability that a drafted token is accepted.", reads="share", needs="draft")] = 0.7,
    disaggregated: Annotated[
        bool | None,
        option(
            "Only with prompts on GPUs of their own, or never. Default: both.",
            "--disaggregated/--aggregated",
            reads="flag",
        ),
    ] = None,
    price: Prices = None,
    engine_: Annotated[
        list[str] | None,
        option(
            "vllm or vllm@0.11, sglang, trtllm. Default: all that run there.",
            "--engine",
            offers="answers.plan_ways:ENGINES",
            whole=True,
        ),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        option(
            "Of the weights. Default: as released, and fp8_tensor or nvfp4 where the accelerator multiplies it.",
            offers="formats.dtypes:BITS formats.schemes:SCHEMES",
            whole=True,
        ),
    ] = None,
    kv_dtype: Annotated[
        str | None, option("Of the cache. Default: as released, else bf16.", offers="formats.dtypes:BITS")
    ] = None,
    utilization: Annotated[
        float | None, option("Share of the memory that the engine uses. Default: the engine's.", reads="share")
    ] = None,
    emit: Annotated[
        str | None,
        option(
            "Print the launch line of the best: vllm, sglang, trtllm; slurm or k8s around one.",
            offers="answers.plan_ways:ENGINES cli.emitting:WRAPPED",
            group="Shown otherwise",
        ),
    ] = None,
) -> Item:
    """The cheapest way to serve a model that meets an objective: accelerator, engine, format, layout, replicas, users.

    \b
    llmcx plan serve deepseek-v3 --hardware h200 --gpus 8..32 --prompt 4k --output 1k --ttft 2s --tpot 40ms
    llmcx plan serve llama-3.1-70b --hardware h100,h200,b200 --tpot 30ms --confidence 0.9
    llmcx plan serve qwen3-235b-a22b --hardware h200 --gpus 4..64 --users 500 --tpot 50ms
    llmcx plan serve llama-3.1-70b --hardware h100,h200 --gpus 1..32 --rate 20/s --ttft 1s --percentile 99
    llmcx plan serve deepseek-v3 --hardware h200 --gpus 8..32 --prompt 8k --draft 0,1,2 --disaggregated
    llmcx plan serve llama-3.1-70b --gpus 1..8 --tpot 30ms --emit vllm
    """
    check_confidence(confidence, "measured runs")
    if percentile is not None and percentile not in answers.PERCENTILES:
        problem = f"--percentile is {percentile}, but must be 50, 90 or 99"
        raise InputError(problem, field="percentile", value=percentile, allowed="50, 90, 99")
    if rate is not None and users is not None:
        problem = "--rate says how many requests arrive, --users how many there are at any time; give one"
        raise InputError(problem, field="rate", value=rate)
    within = between(gpus, MOST_GPUS)
    spec, shape, notes = models.load()
    load = Load(prompt, output, cached)
    check_load(spec, load)
    drafts = _drafts(draft, acceptance)
    check_size("users", users)
    engines = engine_ if emit is None else emitting.engines(emit, engine_)
    places, dated = _places(spec, hardware, price, engines, utilization)
    cache = kv_dtype or (spec.stored and spec.stored.cache) or "bf16"
    dtypes.per_element(cache)
    objective = answers.Objective(ttft, tpot, confidence is not None, percentile)
    wanted = Wanted(*within, users, rate, objective.shares)
    result = answers.plan(spec, load, places, cache, wanted, objective, formats=dtype, drafts=drafts, apart=disaggregated)
    inputs: dict[str, Any] = {"hardware": list(dict.fromkeys(place.hardware.name for place in places)), "gpus": gpus}
    inputs |= {"prompt": prompt, "output": output, "ttft": ttft, "tpot": tpot, "confidence": confidence, "users": users}
    inputs |= {"rate": rate, "percentile": percentile, "cached": cached, "disaggregated": disaggregated}
    inputs |= {"draft": draft, "acceptance": acceptance if draft else None}
    inputs |= {"price": list(dict.fromkeys(place.usd_per_hour for place in places))}
    inputs |= {"engine": list(dict.fromkeys(place.name for place in places)), "dtype": dtype, "kv_dtype": cache, **shape}
    about = [f"why {line}" for line in result.why]
    about += [
        f"{result.searched:,} configurations of {result.layouts:,} layouts, and {result.rechunked:,} with other chunks;"
        f" {result.met:,} meet the objective, {result.unfit:,} layouts have no room",
        "times are estimates, as `llmcx serve` gives them for the same options; ranges: 10th to 90th percentile of measured runs",
        "replicas share nothing",
    ]
    shown = [*result.best, *result.frontier]
    if any(each.prefill_workers for each in shown):
        about.append(f"{APART}; --aggregated")
    if any(each.draft for each in shown):
        about.append(
            f"a drafted token is accepted in {acceptance:.0%} of the cases (--acceptance); memory of the draft is not counted"
        )
    if any(each.chunk for each in shown):
        about.append(
            f"steps of other than the engine's own tokens (chunk) are told where that costs {MARGIN:.0%} less or answers"
            f" {MARGIN:.0%} more; no measured run has steps of fewer tokens than a prompt"
        )
    if any(each.pp > 1 for each in shown):
        about.append("ranges of several stages are assumed")
    about += [f"not searched: {each}" for each in result.left_out]
    if dtype is None and len({each.dtype for each in [*result.best, *result.frontier]}) > 1:
        about.append("formats narrower than the release's change its answers; --dtype keeps to one")
    head = heading("plan_serve", spec, inputs, result)
    known = replace(load, speculation=drafts[-1])

    def lines() -> list[Any]:
        first = result.best[0] if result.best else result.near[0].choice
        server, asked, cost, answer = answers.served(spec, known, places, cache, first, rate)
        bound = Server(spec, server.hardware, server.setup, engine=server.engine)
        shown = [*result.best, *few(result.frontier)]
        each = [(one, *answers.served(spec, known, places, cache, one)[:3]) for one in dict.fromkeys(shown)]
        return explaining("plan_serve", each)() + explaining("serve", bound, server, asked, cost, first.dtype, cache, answer)()

    text = None
    if emit is not None:
        given = {"kv_dtype": kv_dtype, "utilization": utilization}
        vendors = {place.hardware.name: place.hardware.vendor for place in places}
        text = emitting.planned(emit, spec, cast(Any, models.model), result.best, inputs, given, vendors)
        inputs |= {"emit": emit, "line": text}
    return Item(describe(spec), inputs, result, [*about, *stored_notes(spec, None), *dated, *notes], lines, head=head, text=text)


def _drafts(draft: Sequence[int] | None, acceptance: float) -> list[Speculation]:
    """Ways to speculate. Raises InputError for what drafts nothing."""
    if draft is None:
        return [NO_SPECULATION]
    if min(draft) < 0 or max(draft) == 0:
        problem = f"--draft is {','.join(map(str, draft))}; name how many tokens are drafted a step, as in 0,1,3"
        raise InputError(problem, field="draft")
    return [Speculation(each, acceptance, DRAFT_COST) if each else NO_SPECULATION for each in sorted(set(draft))]


def _places(
    spec: ModelSpec,
    hardware: Sequence[str],
    price: Sequence[float] | None,
    engines: Sequence[str] | None,
    utilization: float | None,
) -> tuple[list[Place], list[str]]:
    """Each accelerator with each engine that runs there, and what to say of their prices."""
    found, words = [], []
    for text, chip, cost, dated in chips(hardware, price):
        words += dated
        runs = [name for name in ENGINES if chip.vendor == "NVIDIA" or (name != "trtllm" and chip.vendor != "Apple")]
        if not runs:
            problem = (
                f"{chip.title} runs none of {', '.join(ENGINES)}; `llmcx plan local --hardware {chip.name}` plans for one user"
            )
            raise InputError(problem, field="hardware", value=text)
        for name in engines or runs:
            program = name.partition("@")[0]
            if program not in ENGINES:
                raise unknown_name("engine to plan with", name, list(ENGINES), field="engine")
            if program not in runs:
                raise InputError(f"--engine {name} does not run on {chip.title}", field="engine", value=name)
            limit, _ = settled(*serving(name, text, None, utilization, {}), spec, 1, None, utilization, {})
            assert limit.bytes is not None  # there is always an accelerator here
            found.append(Place(with_memory(chip, limit.bytes), name, _engine(spec, name, text, utilization), cost))
    return found, words


def _engine(spec: ModelSpec, name: str, hardware: str, utilization: float | None) -> Callable[[int, int, int | None], Engine]:
    """The engine on so many GPUs of an accelerator, of which so many share a layer, with so many tokens a step."""

    @cache
    def on(gpus: int, tp: int, chunk: int | None) -> Engine:
        sizes = {"max_num_batched_tokens": chunk}
        return settled(*serving(name, hardware, None, utilization, sizes), spec, gpus, None, utilization, sizes, tp)[1]

    return on


command(app, "plan-train", without=("plot",))(plan_train.train)
command(app, "plan-finetune", without=("plot",))(plan_finetune.finetune)
command(app, "plan-local", without=("plot",))(plan_local.local)
command(app, "plan-lifetime", without=("plot",))(plan_lifetime.lifetime)
