"""llmcx train."""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Annotated, Any

from llmcx import units
from llmcx.answers.plan import LEAST_TOKENS, Plan, Trained, label, left_out, plan, ranking, usual_batch
from llmcx.answers.train import Costs
from llmcx.answers.train import train as core
from llmcx.catalog import data as catalog
from llmcx.cli.options import MATMULS, Models, command, completing, describe, explaining, flag_of, option, single
from llmcx.costs.saved_activations import RECOMPUTE
from llmcx.engines import efficiency as calibration
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.parallel.layout import Layout, uneven
from llmcx.report.render import Item

app = single()


@dataclass(frozen=True)
class Parallel:
    """How the GPUs share the work. None of them given: the best layout found."""

    tp: Annotated[str | None, option("Tensor-parallel GPUs.")] = None
    pp: Annotated[str | None, option("Pipeline stages.")] = None
    cp: Annotated[str | None, option("Context-parallel GPUs.")] = None
    ep: Annotated[str | None, option("Expert-parallel GPUs, among the data-parallel ones.")] = None
    micro_batch: Annotated[str | None, option("Sequences at a time.")] = None
    virtual: Annotated[str | None, option("Chunks of layers per stage (interleaved 1F1B).")] = None
    recompute: Annotated[
        str | None,
        option("none, selective, elementwise or full: see `llmcx memory --help`.", offers="costs.saved_activations:RECOMPUTE"),
    ] = None
    zero: Annotated[str | None, option("ZeRO stage 0-3 over the data-parallel GPUs. Default: 1.")] = None

    def given(self) -> bool:
        """Whether any was."""
        return any(value is not None for value in vars(self).values())

    def layout(self, gpus: int) -> Layout:
        """Data parallelism takes what the others leave."""
        if self.recompute is not None and self.recompute not in RECOMPUTE:
            raise unknown_name("recomputation", self.recompute, list(RECOMPUTE), field="recompute")
        texts = {name: text for name, text in vars(self).items() if name != "recompute"}
        degrees: dict[str, Any] = {name: 1 if text is None else units.count(text, flag_of(name)) for name, text in texts.items()}
        inner = prod(max(degrees[name], 1) for name in ("tp", "pp", "cp"))
        if gpus % inner:
            raise InputError(f"{gpus:,} GPUs are not a multiple of tp x pp x cp = {inner:,}", field="gpus", value=gpus)
        return Layout(**degrees, dp=gpus // inner, recompute=self.recompute or "none")


@dataclass(frozen=True)
class Prices:
    """What time is worth. Defaults are dated and printed."""

    price: Annotated[float | None, option("USD per accelerator-hour. Default: the accelerator's, dated.")] = None
    power: Annotated[float | None, option("Watts drawn per accelerator. Default: its rated power.")] = None
    pue: Annotated[float | None, option("Power usage effectiveness of the site.")] = None
    grid: Annotated[float | None, option("Grid intensity, g CO2 per kWh.")] = None
    available: Annotated[float, option("Share of the wall clock that makes progress, 0-1.")] = 1.0

    def costs(self, hardware: Hardware) -> tuple[Costs, list[str]]:
        """With what was not given from the data, and the notes that say so."""
        for name in ("price", "power", "pue", "grid"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1e9:
                raise InputError(f"--{name} is {value}, but must be 0 or more", field=name, value=value, allowed="0 or more")
        if not 0 < self.available <= 1:
            raise InputError("--available must be above 0 and at most 1", field="available", value=self.available)
        price, notes = calibration.price(hardware, self.price)
        watts = hardware.tdp_w if self.power is None else self.power
        if watts is None:
            notes.append(f"no power of {hardware.title} is known; give --power for energy and CO2")
        found = {}
        for name, key in (("pue", "pue"), ("grid", "grid_g_per_kwh")):
            value = getattr(self, name)
            if value is None:
                value, source = calibration.energy(key)
                if watts is not None:
                    notes.append(f"{key.replace('_', ' ')}: {value:g}, {source}; override with --{name}")
            found[key] = value
        if watts is not None and self.power is None:
            notes.append(f"energy: {watts:g} W rated power throughout, hosts and network not counted")
        return Costs(price, watts, found["pue"], found["grid_g_per_kwh"], self.available), notes


@command(app, "train")
def train(
    models: Models,
    parallel: Parallel,
    prices: Prices,
    tokens: Annotated[str, option("Training tokens, e.g. 15.6T.")],
    gpus: Annotated[str, option("Accelerators.")],
    hardware: Annotated[str, option("See `llmcx hardware list`.", offers=completing("hardware"))] = "h100",
    seq: Annotated[str | None, option("Tokens per sequence. Default: the context, at most 8k.")] = None,
    global_batch: Annotated[
        str | None, option("Sequences per step. Default: 4M tokens of them, 16M from 100B parameters on.")
    ] = None,
    dtype: Annotated[str | None, option("Of the matmuls: bf16, fp16, fp8. Default: 16 bits.", offers=MATMULS)] = None,
    eager_attention: Annotated[bool, option("Scores written out, as before flash attention.", "--eager-attention")] = False,
    stack: Annotated[
        str, option("Software that the factors are calibrated to: megatron or fsdp.", offers="megatron fsdp")
    ] = "megatron",
    efficiency: Annotated[
        list[str] | None, option("Override a factor, e.g. matmul=0.7, hidden_tp=0.5; repeat.", metavar="NAME=X")
    ] = None,
    search: Annotated[bool, option("Search all layouts that fit, rank them, say why.", "--plan")] = False,
) -> list[Item]:
    """Time, GPU-hours, cost, energy and CO2 of a training run, by roofline: the ideal bound and a calibrated estimate.

    \b
    llmcx train --preset llama-3.1-405b --tokens 15.6T --hardware h100 --gpus 16384 --plan
    llmcx train --preset llama-2-7b --tokens 2T --hardware a100 --gpus 512 --seq 4k
    llmcx train --preset gpt3 --tokens 300B --hardware a100 --gpus 1024 --tp 8 --pp 8 --recompute full
    """
    machine = catalog.load_hardware(hardware)
    count, total = units.count(gpus, "--gpus"), units.count(tokens, "--tokens")
    if min(count, total) < 1:
        raise InputError("--gpus and --tokens must be at least 1", field="gpus" if count < 1 else "tokens", allowed="1 or more")
    factors, words = calibration.efficiency(machine, stack, dtype, calibration.overrides(efficiency))
    costs, dated = prices.costs(machine)
    items = []
    for spec, shape, notes in models.each():
        length = min(spec.context or 8192, 8192) if seq is None else units.length(seq)
        batch = usual_batch(spec, length) if global_batch is None else units.count(global_batch, "--global-batch")
        ideal = Trainer(spec, length, machine, dtype=dtype, fused=not eager_attention)
        real = Trainer(spec, length, machine, factors, dtype, not eager_attention)
        found: Plan | None = None
        if search or not parallel.given():
            found = plan(real, count, batch, machine.memory_bytes)
        layout = parallel.layout(count) if parallel.given() else found.best[0].layout  # type: ignore[union-attr]
        answer = core(real, ideal, layout, tokens=total, global_batch=batch, costs=costs)
        result: Trained = {"training": answer, "efficiency": factors, "plan": ranking(found) if found and search else None}
        inputs = {"tokens": total, "gpus": count, "hardware": machine.name, "seq": length, "global_batch": batch}
        inputs |= {"dtype": dtype or machine.dtype, "stack": stack, "layout": label(layout), **shape}
        why = [f"why {line}" for line in found.why] if found and search else []
        about = [*why, *_notes(answer.fits, found, parallel.given(), real), *uneven(spec, layout), *words, *dated, *notes]
        lines = explaining("train", real, ideal, batch, costs, answer)
        items.append(Item(describe(spec), inputs, result, about, lines, partial(real.roofline, layout)))
    return items


def _notes(fits: bool, found: Plan | None, given: bool, real: Trainer) -> list[str]:
    recipe = real.recipes["none"]
    notes = ["all figures are estimates; ideal: every peak reached, all communication hidden that can be hidden"]
    how = f"--precision {recipe.precision} --kernels {recipe.kernels} --attn-implementation {recipe.attention}"
    notes.append(f"memory is that of `llmcx memory --train {how}` for this layout")
    if not fits:
        notes.append("this layout does not fit the accelerator's memory")
    if found is not None and not given:
        least = f"{LEAST_TOKENS:,} or more tokens per context-parallel rank"
        notes.append(f"the layout is the fastest of {found.fitted:,} that fit, of {found.searched:,} searched")
        notes.append(f"searched: tensor parallelism within the fast network, {least}")
        notes += [f"not searched: {what}" for what in left_out(real.spec, real.fused)]
    notes.append("MFU counts what must be computed: 2 per multiply-add, the experts chosen, the causal half of the scores")
    return notes
