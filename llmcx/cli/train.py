"""llmcx train."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, cast

from llmcx import units
from llmcx.answers.plan import LEAST_TOKENS, Plan, Trained, label, left_out, plan, ranking, usual_batch
from llmcx.answers.train import Costs
from llmcx.answers.train import train as trained
from llmcx.cli.accelerator import limit, with_memory
from llmcx.cli.adapters import Adapters, frozen_in
from llmcx.cli.models import Models, describe
from llmcx.cli.options import MATMULS, command, completing, explaining, heading, option, single
from llmcx.cli.parallel import Degrees, laid_out
from llmcx.costs.saved_activations import RECOMPUTE
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.programs import Program
from llmcx.engines.recipe import ATTENTION
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.model.spec import sequence_length
from llmcx.parallel.layout import Layout, uneven
from llmcx.report.render import Item

app = single()


@dataclass(frozen=True)
class Parallel(Degrees):
    """How the GPUs share the work. None of them given: the best layout found."""

    micro_batch: Annotated[int | None, option("Sequences at a time on a GPU.", reads="count", group="GPUs")] = None
    recompute: Annotated[
        str | None,
        option(
            "none, selective (the attention's softmax), elementwise (also norms, activations) or full (layers).",
            offers="costs.saved_activations:RECOMPUTE",
            group="GPUs",
        ),
    ] = None

    DEGREES = (*Degrees.DEGREES, "micro_batch", "recompute")

    def layout(self, gpus: int, program: Program) -> Layout | None:
        """None where the best is to be found; the level of ZeRO is the ``program``'s own where none is given."""
        given = self.degrees()
        if "recompute" in given and given["recompute"] not in RECOMPUTE:
            raise unknown_name("recomputation", given["recompute"], list(RECOMPUTE), field="recompute")
        return laid_out({"zero": program.zero[0], "sequence": program.sequence} | given, gpus) if given else None


@dataclass(frozen=True)
class Prices:
    """What time is worth. Defaults are dated and printed."""

    price: Annotated[
        float | None, option("USD per accelerator-hour. Default: the accelerator's, dated.", reads="number", group="Cost")
    ] = None
    power: Annotated[
        float | None, option("Watts drawn per accelerator. Default: its rated power.", reads="number", rare=True)
    ] = None
    pue: Annotated[float | None, option("Power usage effectiveness of the site.", reads="number", rare=True)] = None
    grid: Annotated[float | None, option("Grid intensity, g CO2 per kWh.", reads="number", rare=True)] = None
    available: Annotated[float, option("Share of the wall clock that makes progress.", reads="share", rare=True)] = 1.0

    def costs(self, hardware: Hardware) -> tuple[Costs, list[str]]:
        """With what was not given from the data, and the notes that say so."""
        for name in ("price", "power", "pue", "grid"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1e9:
                raise InputError(f"--{name} is {value}, but must be 0 or more", field=name, value=value, allowed="0 or more")
        if not 0 < self.available <= 1:
            raise InputError("--available must be above 0 and at most 1", field="available", value=self.available)
        price, notes = efficiencies.price(hardware, self.price)
        watts = hardware.tdp_w if self.power is None else self.power
        if watts is None:
            notes.append(f"no power of {hardware.title} is known; give --power for energy and CO2")
        found = {}
        for name, key in (("pue", "pue"), ("grid", "grid_g_per_kwh")):
            value = getattr(self, name)
            if value is None:
                value, source = efficiencies.energy(key)
                if watts is not None:
                    notes.append(f"{_MEANS[name]} {value:g}: {source}; --{name} overrides it")
            found[key] = value
        if watts is not None and self.power is None:
            notes.append(f"energy: {watts:g} W rated power throughout, hosts and network not counted")
        return Costs(price, watts, found["pue"], found["grid_g_per_kwh"], self.available), notes


ADAPTED = ("transformers", "unsloth", "megatron")
"""Engines whose steps with adapters were measured."""

_MEANS = {"pue": "power usage effectiveness", "grid": "g CO2 per kWh"}


@command(app, "train")
def train(
    models: Models,
    parallel: Parallel,
    prices: Prices,
    adapters: Adapters,
    tokens: Annotated[int, option("Training tokens, e.g. 15.6T.", reads="count")],
    hardware: Annotated[
        str, option("h100, 1024xh100, FILE.yaml, auto: `llmcx catalog hardware`.", offers=completing("hardware"))
    ] = "h100",
    budget: Annotated[
        int | None,
        option("Bytes of memory on each GPU, in place of the accelerator's: 24GB.", reads="size", group="Less common"),
    ] = None,
    utilization: Annotated[
        float | None, option("Share of the memory to use. Default: all.", reads="share", group="Less common")
    ] = None,
    seq: Annotated[int | None, option("Tokens of a sequence. Default: the context, at most 8k.", reads="length")] = None,
    global_batch: Annotated[
        int | None,
        option(
            "Sequences per step. Default: 4M tokens of them, 16M from 100B parameters on; with --lora 16, or one a GPU.",
            reads="count",
        ),
    ] = None,
    search: Annotated[bool, option("Search all layouts that fit, rank them, say why.", "--plan")] = False,
    engine_: Annotated[
        str | None,
        option(
            "Whose measured efficiency. Default: megatron; with --lora transformers.",
            "--engine",
            offers="engines.efficiency:TRAINING",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        option(
            "With --lora, of the frozen weights: nf4, gptq, fp8, ... Default: as released.",
            offers="formats.dtypes:BITS formats.schemes:SCHEMES",
            needs="lora",
        ),
    ] = None,
    compute_dtype: Annotated[str | None, option("Of the matmuls: bf16, fp16, fp8. Default: 16 bits.", offers=MATMULS)] = None,
    attn: Annotated[
        str,
        option("flash, sdpa (windows need a mask) or eager (scores written out).", offers="engines.recipe:ATTENTION"),
    ] = "flash",
    measured: Annotated[
        str | None,
        option("What a run of one's own reached: 5.9s a step, or 716k tokens/s of all GPUs.", metavar="TIME|N"),
    ] = None,
    emit: Annotated[
        str | None,
        option(
            "Print a launch file in place of the answer: megatron, torchtitan, fsdp-accelerate, deepspeed, slurm or k8s.",
            offers="cli.emitting_train:ALL",
            group="Shown otherwise",
        ),
    ] = None,
    efficiency: Annotated[
        list[str] | None,
        option("Override a factor, e.g. matmul=0.7, hidden_tp=0.5; repeat.", metavar="NAME=X", whole=True, group="Less common"),
    ] = None,
) -> Item:
    """Time, GPU-hours, cost, energy and CO2 of a training run, by roofline: the ideal bound and a calibrated estimate.

    \b
    llmcx train 1.2B --tokens 20B --hardware 8xa100
    llmcx train llama-3.1-405b --tokens 15.6T --hardware 16384xh100 --plan
    llmcx train llama-2-7b --tokens 2T --hardware a100 --gpus 512 --seq 4k
    llmcx train gpt3 --tokens 300B --hardware 1024xa100 --tp 8 --pp 8
    llmcx train llama-3.1-8b --tokens 10M --hardware 1xa100 --lora 16 --dtype nf4
    llmcx train llama-3.1-8b --tokens 1T --hardware 64xh100 --measured 650k
    llmcx train llama-3.1-8b --tokens 1T --hardware 64xh100 --emit torchtitan
    """
    within = limit(hardware, budget, utilization, usual=1.0)
    assert within.hardware is not None and within.bytes is not None  # there is always an accelerator here
    machine = with_memory(within.hardware, within.bytes)
    count = parallel.all_gpus(within.number)
    if count is None:
        problem = f"how many GPUs train is not said; give --gpus 8, or --hardware 8x{machine.name}"
        raise InputError(problem, field="gpus", allowed="1 or more")
    if min(count, tokens) < 1:
        raise InputError("--gpus and --tokens must be at least 1", field="gpus" if count < 1 else "tokens", allowed="1 or more")
    check_size("--gpus", count)
    target = None
    if emit is not None:
        from llmcx.cli.emitting_train import sayable, target_of
        from llmcx.cli.targets import TARGETS

        target = target_of(emit, engine_)
        engine_ = TARGETS[target].engine
    lora = adapters.of()
    engine = engine_ or ("megatron" if lora is None else "transformers")
    if engine not in efficiencies.TRAINING:
        raise unknown_name("engine that trains", engine, list(efficiencies.TRAINING), field="engine")
    if lora is not None and (emit is not None or engine not in ADAPTED):
        what = f"a launch file of {emit}" if emit is not None else f"a step of {engine}"
        problem = (
            f"{what} with adapters is not known; leave out --lora, or give --engine {', '.join(ADAPTED[:-1])} or {ADAPTED[-1]}"
        )
        raise InputError(problem, field="lora", value=lora.rank)
    if attn not in ATTENTION:
        raise unknown_name("attention implementation", attn, list(ATTENTION), field="attn")
    costs, dated = prices.costs(machine)
    spec, shape, notes = models.load()
    frozen = None if lora is None else frozen_in(spec, dtype)
    factors, words = efficiencies.efficiency(machine, engine, compute_dtype, efficiencies.overrides(efficiency), frozen)
    length = min(spec.context or 8192, 8192) if seq is None else sequence_length(spec, seq)
    usual = usual_batch(spec, length) if lora is None else 16 if count <= 16 and 16 % count == 0 else count
    batch = usual if global_batch is None else global_batch
    ideal = Trainer(spec, length, machine, dtype=compute_dtype, attention=attn, engine=engine, lora=lora, frozen=frozen)
    real = Trainer(spec, length, machine, factors, compute_dtype, attn, engine, ideal.sizes, lora, frozen)
    chosen = parallel.layout(count, real.program)
    can = None if target is None else sayable(target, spec)
    found = plan(real, count, batch, machine.memory_bytes, runs=can) if search or chosen is None else None
    layout = chosen or found.best[0].layout  # type: ignore[union-attr]
    band = efficiencies.band(engine, bool(spec.mixtures), machine, layout.zero)
    took = None if measured is None else _step_of(measured, batch * length)
    answer = trained(real, ideal, layout, tokens=tokens, global_batch=batch, costs=costs, band=band, measured_s=took)
    result = Trained(answer, factors, ranking(found) if found and search else None)
    inputs = {"tokens": tokens, "gpus": count, "hardware": machine.name, "seq": length, "global_batch": batch}
    inputs |= {"compute_dtype": compute_dtype or machine.dtype, "attn": attn, "engine": engine, **adapters.inputs()}
    inputs |= {} if lora is None else {"dtype": frozen}
    inputs |= {"layout": label(layout), "budget": within.bytes, "price": costs.usd_per_hour, **shape}
    inputs |= {"measured": measured} if measured is not None else {}
    why = [f"why {line}" for line in found.why] if found and search else []
    low, high = band
    if efficiencies.known_on(engine, machine):
        page = "finetuning" if lora is not None else "validation"
        words.append(f"of ten measured steps, eight took {low:g} to {high:g} times as long as estimated (docs/{page}.md)")
    else:
        words.append(f"range: {low:g} to {high:g} times the estimate, assumed: {engine} was not measured on {machine.title}")
    if lora is not None and spec.mixtures:
        words.append("of experts Mixtral's eight alone were measured with adapters; eager code that loops over more takes longer")
    about = [*why, *_notes(answer.fits, found, chosen is not None, real, layout), *uneven(spec, layout), *words, *dated, *notes]
    lines = explaining("train", real, ideal, batch, costs, engine, answer, found if search else None)
    head = heading("train", spec, inputs, result)
    text = None
    if emit is not None and target is not None:
        from llmcx.answers.training_run import running
        from llmcx.cli.emitting_train import emitted

        limited = within.bytes if budget is not None or utilization is not None else None
        run, named = running(real, layout, batch), cast(Any, models.model)
        text = emitted(emit, target, run, spec, named, machine.vendor, tokens, limited)
        inputs |= {"emit": emit, "line": text}
    return Item(describe(spec), inputs, result, about, lines, partial(real.roofline, layout), head, text)


def _step_of(measured: str, tokens: int) -> float:
    """Seconds of a step of ``tokens`` tokens: 5.9s, 590ms; or of tokens a second: 716k, 716k/s."""
    text = measured.strip()
    if text[-1:] in ("s", "n") and not text.endswith("/s"):
        return units.seconds(text, "measured")
    rate = units.count(text.removesuffix("/s"), "measured")
    if not rate:
        raise InputError("measured is 0 tokens/s, but must be more", field="measured", value=measured, allowed="above 0")
    return tokens / rate


def _notes(fits: bool, found: Plan | None, given: bool, real: Trainer, layout: Layout) -> list[str]:
    recipe = real.recipe(layout)
    notes = ["times are estimates; ideal: every peak reached, all communication hidden that can be"]
    if real.hardware.boost is not None:
        clock = f"{real.hardware.boost:g} times that of the datasheet's peak"
        notes.append(f"ideal at the highest clock, {clock}, which MFU is a share of")
    how = f"--precision {recipe.precision} --engine {recipe.engine} --attn {recipe.attention}"
    if recipe.lora is not None:
        how += f" --lora {recipe.lora.rank}" + (f" --dtype {recipe.base}" if recipe.base else "")
    notes.append(f"memory as `llmcx memory --train {how}` counts it for this layout")
    if not fits:
        notes.append("this layout does not fit the accelerator's memory")
    if found is not None and not given:
        least = f"{LEAST_TOKENS:,} or more tokens per context-parallel rank"
        notes.append(f"the layout is the fastest of {found.fitted:,} that fit, of {found.searched:,} searched")
        notes.append(f"searched: tensor parallelism within the fast network, {least}")
        notes += [f"not searched: {what}" for what in left_out(real.spec, real.fused)]
    notes.append("MFU counts what must be computed: 2 per multiply-add, the experts chosen, the causal half of the scores")
    return notes
