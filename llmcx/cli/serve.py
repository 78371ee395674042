"""llmcx serve."""

from functools import partial
from typing import Annotated, Any, cast

from llmcx.answers import serve as answers
from llmcx.answers.load import DRAFT_COST, NO_SPECULATION, Apart, Load, Speculation
from llmcx.cli.accelerator import serving, settled, with_memory
from llmcx.cli.models import Models, context_notes, describe, stored_notes
from llmcx.cli.options import MATMULS, command, completing, explaining, heading, option, single
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.serving_estimate import Timed
from llmcx.engines.serving_time import Server, Setup
from llmcx.errors import InputError, check_size
from llmcx.formats import dtypes
from llmcx.report.render import Item

app = single()


@command(app, "serve")
def serve(
    models: Models,
    hardware: Annotated[
        str, option("h100, 8xh200, rtx-4090, FILE.yaml, auto: `llmcx catalog hardware`.", offers=completing("hardware"))
    ] = "h100",
    prompt: Annotated[int, option("Tokens in; 8k is 8192.", reads="length")] = 1024,
    output: Annotated[int, option("Tokens out.", reads="length")] = 1024,
    batch: Annotated[
        int | None,
        option("Users at once; with --rate, at most. Default: a frontier up to the most that fit.", reads="count"),
    ] = None,
    rate: Annotated[
        float | None, option("Requests that arrive, in place of users at any time: 20/s, 90/min.", reads="rate")
    ] = None,
    dtype: Annotated[
        str | None,
        option(
            "Of the weights: bf16, fp8, int4, q4_k_m, awq, mxfp4, ... Default: as released.",
            offers="formats.dtypes:BITS formats.schemes:SCHEMES formats.gguf:MIXES",
        ),
    ] = None,
    kv_dtype: Annotated[
        str | None,
        option("Of the cache. Default: as released, else bf16.", offers="formats.dtypes:BITS formats.dtypes:CACHE_BLOCKS"),
    ] = None,
    compute_dtype: Annotated[
        str | None,
        option("Of the matmuls: bf16, fp8, fp4. Default: fp8 for fp8 weights where the accelerator has it.", offers=MATMULS),
    ] = None,
    budget: Annotated[
        int | None, option("Bytes of memory on each GPU, in place of the accelerator's: 24GB.", reads="size")
    ] = None,
    utilization: Annotated[
        float | None, option("Share of the memory that the engine uses. Default: 90%; of a --budget all.", reads="share")
    ] = None,
    engine_: Annotated[
        str | None,
        option(
            "Whose cache and reserves: ideal (reserves nothing), transformers, vllm or vllm@0.11, sglang, trtllm, llama.cpp.",
            "--engine",
            offers="engines:ENGINES",
        ),
    ] = None,
    price: Annotated[float | None, option("USD per accelerator-hour. Default: the accelerator's, dated.", reads="number")] = None,
    gpus: Annotated[
        int | None, option("All GPUs. Default: those of --hardware, else --tp × --pp.", reads="count", group="GPUs")
    ] = None,
    tp: Annotated[int | None, option("GPUs that share each layer. Default: all.", reads="count", group="GPUs")] = None,
    pp: Annotated[int, option("Stages of layers, each on --tp GPUs of its own.", reads="count", group="GPUs")] = 1,
    ep: Annotated[int, option("GPUs that share out the experts, a divisor of --tp.", reads="count", group="GPUs")] = 1,
    attention_dp: Annotated[
        int, option("Groups of --tp that attend for a share of the users each.", reads="count", group="GPUs")
    ] = 1,
    cached: Annotated[int, option("Tokens of the prompt found in the prefix cache.", reads="length", group="Schedule")] = 0,
    chunk: Annotated[
        int | None, option("Chunked prefill: tokens of a prompt per step.", reads="length", group="Schedule")
    ] = None,
    exact: Annotated[
        bool,
        option(
            "All prompts and answers have these very lengths, as load generators send them.",
            reads="flag",
            group="Schedule",
            rare=True,
        ),
    ] = False,
    max_num_seqs: Annotated[
        int | None,
        option(
            "Sequences that a copy works for at a time at most; other users wait.", reads="count", group="Schedule", rare=True
        ),
    ] = None,
    prefill_workers: Annotated[
        int | None, option("Copies that only work off prompts, on GPUs of their own.", reads="count", group="Schedule")
    ] = None,
    prefill_tp: Annotated[
        int | None,
        option("GPUs of each of them. Default: --tp.", reads="count", group="Schedule", rare=True, needs="prefill_workers"),
    ] = None,
    workers: Annotated[
        int, option("Copies that decode, beside them.", reads="count", group="Schedule", rare=True, needs="prefill_workers")
    ] = 1,
    draft: Annotated[int, option("Speculative decoding: tokens drafted per step.", reads="integer", group="Schedule")] = 0,
    acceptance: Annotated[
        float,
        option("Probability that a drafted token is accepted.", reads="share", group="Schedule", rare=True, needs="draft"),
    ] = 0.7,
    draft_cost: Annotated[
        float,
        option("Drafting a token, as a share of a decode step.", reads="share", group="Schedule", rare=True, needs="draft"),
    ] = DRAFT_COST,
    emit: Annotated[
        str | None,
        option(
            "Print a launch line in place of the answer: vllm, sglang, trtllm, llama.cpp; slurm or k8s around one.",
            offers="cli.emitting:STARTS cli.emitting:WRAPPED",
            group="Shown otherwise",
        ),
    ] = None,
    efficiency: Annotated[
        list[str] | None,
        option("Override a number of the engine, e.g. decode=0.9; repeat.", metavar="NAME=X", whole=True, group="Less common"),
    ] = None,
) -> Item:
    """First token, time per token, tokens/s, largest batch and cost of serving, by roofline: ideal and calibrated.

    \b
    llmcx serve llama-3-8b --hardware h100
    llmcx serve qwen3-32b --dtype q4_k_m --hardware 4090
    llmcx serve llama-3-70b --hardware 4xh100 --dtype fp8 --kv-dtype fp8
    llmcx serve llama-3-70b --hardware 4xh100 --engine vllm --rate 2/s
    llmcx serve mixtral-8x7b --hardware 2xh100 --batch 64 --draft 3
    llmcx serve qwen3-32b --hardware 2xh100 --emit vllm
    """
    if emit is not None:
        from llmcx.cli.emitting import engine_of

        engine_ = engine_of(emit, engine_)
    engine_ = engine_ or "ideal"
    if engine_ == "llama.cpp" and utilization is None and budget is None:
        utilization = 1.0  # it takes what it needs of all
    named = engine_.partition("@")[0]
    sizes = {"max_num_batched_tokens": chunk if named in ("vllm", "sglang", "trtllm") else None}
    if max_num_seqs is not None:
        check_size("max_num_seqs", max_num_seqs)
        if max_num_seqs % attention_dp:
            problem = (
                f"max_num_seqs is {max_num_seqs:,}, which {attention_dp} groups that attend for themselves do not share evenly"
            )
            multiple = f"a multiple of {attention_dp}"
            raise InputError(problem, field="max_num_seqs", value=max_num_seqs, allowed=multiple)
        if named == "vllm":  # each group plans for its own
            sizes["max_num_seqs"] = max_num_seqs // attention_dp
    within, program = serving(engine_, hardware, budget, utilization, sizes)
    assert within.hardware is not None and within.bytes is not None  # there is always an accelerator here
    spec, shape, notes = models.load()
    degree = _degree(gpus, within.number, tp, pp)
    within, program = settled(within, program, spec, degree * pp, budget, utilization, sizes, degree)
    assert within.hardware is not None and within.bytes is not None
    machine = with_memory(within.hardware, within.bytes)
    weights = dtypes.default(spec) if dtype is None else dtype
    name = spec.stored.name if weights == dtypes.RELEASED and spec.stored is not None else weights
    cache = kv_dtype or (spec.stored and spec.stored.cache) or "bf16"
    program.check_weights(spec.stored.formats if weights == dtypes.RELEASED and spec.stored is not None else (weights,))
    program = program.caching(cache)
    arithmetic = compute_dtype or answers.arithmetic(machine, name)
    setup = Setup(degree, ep, kv_bits=8 * dtypes.per_element(cache), dtype=arithmetic, attention_dp=attention_dp, pp=pp)
    setup = answers.with_bits(spec, setup, weights, program)
    server, words = answers.estimator(spec, machine, setup, program, weights, compute_dtype, efficiencies.overrides(efficiency))
    if draft < 0 or draft_cost < 0:
        raise InputError("--draft and --draft-cost must be 0 or more", field="draft", value=draft)
    drafts = Speculation(draft, acceptance, draft_cost) if draft else NO_SPECULATION
    apart = None if prefill_workers is None else Apart(prefill_workers, prefill_tp or degree, workers)
    places = None if max_num_seqs is None else max_num_seqs * (1 if apart is None else workers)
    load = Load(prompt, output, cached, chunk, drafts, apart, exact, places)
    cost, dated = efficiencies.price(machine, price)
    answer = answers.serve(server, load, batch=batch, rate=rate, usd_per_hour=cost, reserve=0, dtype=name)
    inputs = {
        "hardware": machine.name,
        "gpus": load.gpus(setup),
        "tp": setup.tp,
        "pp": pp,
        "ep": ep,
        "attention_dp": attention_dp,
    }
    inputs |= {"prompt": prompt, "output": output, "batch": batch, "dtype": name, "kv_dtype": cache, "engine": engine_}
    inputs |= {
        "rate": rate,
        "compute_dtype": arithmetic,
        "budget": within.bytes,
        "utilization": within.utilization,
        "cached": cached,
        "chunk": chunk,
        "exact": exact,
        "max_num_seqs": max_num_seqs,
        "draft": draft,
    }
    inputs |= {"prefill_workers": prefill_workers, "prefill_tp": apart and apart.prefill_tp, "workers": apart and workers}
    inputs |= {"acceptance": acceptance if draft else None, "draft_cost": draft_cost if draft else None, "price": cost, **shape}
    more = partial(answers.rooflines, server, load, [point.batch for point in answer.estimate])
    lines = explaining("serve", Server(spec, machine, setup, engine=program), server, load, cost, name, cache, answer)
    head = heading("serve", spec, inputs, answer, server)
    line = None
    if emit is not None:
        from llmcx.cli.emitting import printed

        given: dict[str, Any] = {"batch": batch, "dtype": dtype, "kv_dtype": kv_dtype, "compute_dtype": compute_dtype}
        given |= {"budget": budget, "utilization": None if engine_ == "llama.cpp" else utilization, "chunk": chunk}
        given |= {"cached": cached, "exact": exact, "draft": draft, "efficiency": efficiency}
        given["max_num_seqs"] = answer.places if engine_ == "llama.cpp" and answer.places else max_num_seqs
        line = printed(emit, spec, cast(Any, models.model), inputs, given, apart, machine.vendor)
        inputs |= {"emit": emit, "line": line}
    about = [
        *context_notes(spec, prompt + output),
        *program.notes(),
        *stored_notes(spec, dtype),
        *_notes(apart is not None, rate is not None, exact, bool(spec.mixtures) and isinstance(server, Timed)),
        *words,
        *dated,
        *notes,
    ]
    return Item(describe(spec), inputs, answer, about, lines, more, head, line)


def _degree(gpus: int | None, named: int | None, tp: int | None, pp: int) -> int:
    """GPUs that share each layer: all of them, or of a stage."""
    check_size("pp", pp)
    if gpus is not None and named is not None and gpus != named:
        raise InputError(f"--gpus is {gpus:,}, but --hardware names {named:,}; give one", field="gpus", value=gpus)
    gpus = named if gpus is None else gpus
    if gpus is not None and tp is not None and gpus != tp * pp:
        asked = f"--tp {tp:,}" + (f" --pp {pp:,}" if pp > 1 else "")
        problem = f"{gpus:,} GPUs are not {asked}: several copies of a model serve apart; ask for one of them"
        raise InputError(problem, field="gpus", value=gpus)
    if gpus is not None and gpus % pp:
        raise InputError(
            f"{gpus:,} GPUs do not divide into --pp {pp:,} stages", field="pp", value=pp, allowed=f"a divisor of {gpus}"
        )
    return tp or (gpus or pp) // pp


def _notes(apart: bool, arriving: bool, exact: bool, mixture: bool) -> list[str]:
    """What a load is, and what is assumed of it."""
    found = ["times are estimates; ideal: every peak reached, nothing lost"]
    if mixture:
        found.append(
            "ideal: experts chosen evenly; kernels were measured with uneven choices, which meet fewer experts in a step"
        )
    if arriving:
        found.append("requests arrive independently of each other; time per token includes others' prompts, first token the wait")
    elif exact:
        found.append("all users began together and, their lengths being the same, ask together again (docs/serving.md)")
    elif not apart:
        found.append("constant load: a request is always waiting; time per token includes others' prompts")
    return found
