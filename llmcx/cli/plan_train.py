"""llmcx plan train: days against dollars, over accelerators, engines, formats, numbers of GPUs and layouts."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

from llmcx.answers import plan_train as answers
from llmcx.answers.plan import LEAST_TOKENS, left_out, usual_batch
from llmcx.answers.train import Costs
from llmcx.cli.accelerator import limit, with_memory
from llmcx.cli.models import Models, describe
from llmcx.cli.options import MATMULS, explaining, heading, option
from llmcx.cli.planning import Chips, Confidence, Prices, between, check_confidence, chips
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.model.spec import ModelSpec, sequence_length
from llmcx.parallel.layout import Layout
from llmcx.report.render import Item

MOST_GPUS = 65536
"""Of a search."""


def train(
    models: Models,
    tokens: Annotated[int, option("Training tokens, e.g. 2T.", reads="count")],
    hardware: Chips = "h100",  # type: ignore[assignment]
    gpus: Annotated[str, option("How many, or the fewest and the most: 64..1024.", metavar="N..M")] = "64..1024",
    days: Annotated[float | None, option("At most. Default: any.", reads="number")] = None,
    dollars: Annotated[float | None, option("USD at most: 2M. Default: any.", reads="count")] = None,
    confidence: Confidence = None,
    seq: Annotated[int | None, option("Tokens of a sequence. Default: the context, at most 8k.", reads="length")] = None,
    global_batch: Annotated[
        int | None,
        option("Sequences per step. Default: 4M tokens of them, 16M from 100B parameters on.", reads="count"),
    ] = None,
    price: Prices = None,
    engine_: Annotated[
        list[str] | None,
        option(
            "megatron, fsdp, torchtitan, maxtext. Default: all that run there.",
            "--engine",
            offers="answers.plan_train:ENGINES",
            whole=True,
        ),
    ] = None,
    compute_dtype: Annotated[
        list[str] | None,
        option("Of the matmuls. Default: 16 bits, and fp8 where the accelerator is faster in it.", offers=MATMULS, whole=True),
    ] = None,
    emit: Annotated[
        str | None,
        option(
            "Print the launch file of the best: megatron, torchtitan, fsdp-accelerate, deepspeed, slurm or k8s.",
            offers="cli.emitting_train:ALL",
            group="Shown otherwise",
        ),
    ] = None,
    utilization: Annotated[float | None, option("Share of the memory to use. Default: all.", reads="share")] = None,
    available: Annotated[float, option("Share of the wall clock that makes progress.", reads="share")] = 1.0,
) -> Item:
    """The cheapest way to train a model within days and dollars: accelerator, engine, format, number of GPUs, layout.

    \b
    llmcx plan train llama-3.1-70b --tokens 2T --hardware h100,h200 --gpus 64..1024 --days 30
    llmcx plan train llama-3.1-8b --tokens 1T --gpus 8..256 --dollars 200k
    llmcx plan train qwen3-30b-a3b --tokens 1T --hardware b200 --gpus 32..64 --days 60 --confidence 0.9
    llmcx plan train llama-3.1-8b --tokens 100B --gpus 8..64 --days 7 --emit slurm
    """
    check_confidence(confidence, "measured steps")
    if confidence is not None and days is None and dollars is None:
        raise InputError("--confidence changes nothing without a limit; add --days or --dollars", field="confidence")
    within = between(gpus, MOST_GPUS)
    if tokens < 1:
        raise InputError("--tokens must be at least 1", field="tokens", value=tokens, allowed="1 or more")
    for name, value in (("days", days), ("dollars", dollars)):
        if value is not None and not 0 < value < 1e15:
            raise InputError(f"--{name} is {value:g}, but must be above 0", field=name, value=value, allowed="above 0")
    if not 0 < available <= 1:
        raise InputError("--available must be above 0 and at most 1", field="available", value=available)
    check_size("global_batch", global_batch)
    spec, shape, notes = models.load()
    length = min(spec.context or 8192, 8192) if seq is None else sequence_length(spec, seq)
    batch = usual_batch(spec, length) if global_batch is None else global_batch
    written = _written(emit, engine_, spec)
    places, dated = _places(spec, length, hardware, price, [*written] or engine_, compute_dtype, utilization)
    if written:
        places = [place._replace(runs=written[place.trainer.engine]) for place in places]
    if dollars is not None and places[0].usd_per_hour is None:
        raise InputError(f"no price of {places[0].hardware.title} is known, so --dollars needs --price", field="price")
    limits = answers.Limits(days, dollars, confidence is not None)
    result = answers.plan(places, tokens, batch, within, limits, available)
    inputs: dict[str, Any] = {"tokens": tokens, "hardware": list(dict.fromkeys(place.hardware.name for place in places))}
    inputs |= {"gpus": gpus, "days": days, "dollars": dollars, "confidence": confidence, "seq": length, "global_batch": batch}
    inputs |= {"price": list(dict.fromkeys(place.usd_per_hour for place in places))}
    inputs |= {"engine": list(dict.fromkeys(place.trainer.engine for place in places))}
    inputs |= {"compute_dtype": list(dict.fromkeys(place.trainer.dtype for place in places)), "available": available, **shape}
    about = [f"why {line}" for line in result.why]
    about += [
        f"{result.searched:,} configurations; {result.fitted:,} fit, {result.met:,} of them keep the limits",
        "times are estimates, as `llmcx train` gives them for the same options; ranges: 10th to 90th percentile of measured ones",
        f"searched: tensor parallelism within the fast network, {LEAST_TOKENS:,} or more tokens per context-parallel rank",
    ]
    about += [f"not searched: {each}" for each in [*left_out(spec), *result.left_out]]
    if engine_ is None:
        about.append("not searched: deepspeed, of which the memory is known and the time is not")
        if spec.mixtures:
            about.append("not searched: fsdp and torchtitan, with which no step of experts was measured; --engine names them")
    if "maxtext" in inputs["engine"]:
        about.append("how much memory MaxText takes is not known: it is counted as Megatron-LM's at ZeRO-3")
    if compute_dtype is None and len(inputs["compute_dtype"]) > 1:
        about.append("fp8 changes what is computed; --compute-dtype bf16 keeps to 16 bits")
    head = heading("plan_train", spec, inputs, result)

    def lines() -> list[Any]:
        first = result.best[0] if result.best else result.near[0].choice
        place, bound, answer = answers.trained(places, first, tokens, available)
        costs = Costs(place.usd_per_hour, available=available)
        step = explaining("train", place.trainer, bound, batch, costs, first.engine, answer, None)
        return explaining("plan_train", first, place.band)() + step()

    text = None
    if emit is not None:
        from llmcx.cli.emitting_train import emitted, target_of

        if not result.best:
            raise InputError(
                "nothing keeps the limits, so there is no launch file; leave --emit out to see what comes near", field="emit"
            )
        first = result.best[0]
        vendor = next(place.hardware.vendor for place in places if place.hardware.name == first.hardware)
        usable = first.capacity_bytes if utilization is not None else None
        text = emitted(emit, target_of(emit, first.engine), first, spec, cast(Any, models.model), vendor, tokens, usable)
        inputs |= {"emit": emit, "line": text}
    return Item(describe(spec), inputs, result, [*about, *dated, *notes], lines, head=head, text=text)


def _written(emit: str | None, engines: Sequence[str] | None, spec: ModelSpec) -> dict[str, Callable[[Layout], bool]]:
    """Engines whose launch file can be printed, and the layouts that it has words for; none where no file is asked for."""
    if emit is None:
        return {}
    from llmcx.cli.emitting_train import BY_ENGINE, sayable, target_of
    from llmcx.cli.targets import TARGETS

    cluster = [name for name in BY_ENGINE if efficiencies.measured(name, bool(spec.mixtures))]
    found: dict[str, Callable[[Layout], bool]] = {}
    refusals: list[InputError] = []
    for name in engines or ([TARGETS[target_of(emit, None)].engine] if emit in TARGETS else cluster):
        target = target_of(emit, name)
        try:
            found[name] = sayable(target, spec)
        except InputError as refusal:  # a model that the program has no words for
            refusals.append(refusal)
    if not found:
        raise refusals[0]
    return found


def _places(
    spec: ModelSpec,
    seq: int,
    hardware: Sequence[str],
    price: Sequence[float] | None,
    engines: Sequence[str] | None,
    formats: Sequence[str] | None,
    utilization: float | None,
) -> tuple[list[answers.Place], list[str]]:
    """Each accelerator with each engine and format that runs there, and what to say of their prices."""
    found: list[answers.Place] = []
    words: list[str] = []
    for text, chip, cost, dated in chips(hardware, price):
        words += dated
        usable = limit(text, None, utilization, usual=1.0).bytes
        assert usable is not None  # there is always an accelerator here
        found += _on(spec, seq, with_memory(chip, usable), cost, engines, formats, found)
    return found, list(dict.fromkeys(words))


def _on(
    spec: ModelSpec,
    seq: int,
    chip: Hardware,
    cost: float | None,
    engines: Sequence[str] | None,
    formats: Sequence[str] | None,
    before: Sequence[answers.Place],
) -> list[answers.Place]:
    """An accelerator's places; those of an engine share what it holds with those ``before``."""
    found: list[answers.Place] = []
    mixed = bool(spec.mixtures)
    usual = [name for name in answers.ENGINES if answers.runs_on(name, chip) and efficiencies.measured(name, mixed)]
    for name in engines or usual:
        if name == "deepspeed":
            problem = "--engine deepspeed: its memory is known (`llmcx memory --train`), its time is not"
            raise InputError(problem, field="engine", value=name)
        if name not in answers.ENGINES:
            raise unknown_name("engine to plan with", name, list(answers.ENGINES), field="engine")
        if not answers.runs_on(name, chip):
            raise InputError(f"--engine {name} is not known on {chip.title}", field="engine", value=name)
        for dtype in formats or answers.formats(chip):
            sizes = next((place.trainer.sizes for place in [*before, *found] if place.trainer.engine == name), None)
            factors, _ = efficiencies.efficiency(chip, name, dtype)
            trainer = Trainer(spec, seq, chip, factors, dtype, engine=name, sizes=sizes)
            found.append(answers.Place(trainer, efficiencies.band(name, mixed), cost))
    if not found:
        problem = f"no engine that trains on {chip.title} is known; those that are run on NVIDIA, AMD and Google's"
        raise InputError(problem, field="hardware", value=chip.name)
    return found
