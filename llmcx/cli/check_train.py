"""llmcx check of training: what a launch file of a program that trains says, sized, timed and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from llmcx import units
from llmcx.answers import check_train as answers
from llmcx.answers.train import Costs, outcome
from llmcx.cli.accelerator import Limit, limit, with_memory
from llmcx.cli.launching import bad
from llmcx.cli.models import Models, describe
from llmcx.cli.options import heading
from llmcx.cli.targets import TARGETS, Job, module
from llmcx.cli.targets.megatron_model import same, with_vocabulary
from llmcx.costs.params import count
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.programs import PROGRAMS
from llmcx.engines.recipe import Recipe
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec, sequence_length
from llmcx.parallel.layout import Layout, check_batch
from llmcx.report.render import Item


@dataclass(frozen=True)
class Stated:
    """Options of `llmcx check` that say of training what a file does not."""

    hardware: str | None = None
    budget: int | None = None
    gpus: int | None = None
    seq: int | None = None
    micro_batch: int | None = None
    global_batch: int | None = None
    recompute: str | None = None


READS = {"budget": units.size, "gpus": units.count, "seq": units.length, "micro_batch": units.count, "global_batch": units.count}
FILE = {"seq": "a length", "micro_batch": "a micro-batch", "global_batch": "a global batch", "recompute": "what is recomputed"}


def refuse(given: Mapping[str, Any], why: str) -> None:
    """Refuse options that change nothing, because of what the text launches."""
    for name, value in given.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} changes nothing here: {why}; leave it out", field=name, value=value)


def checked(job: Job, models: Models, stated: Stated, line: str, require: str | None) -> Item:
    """The answer. Raises InputError for what contradicts itself, or is open and not stated beside the file."""
    stated, named = _asked(job, stated)
    if stated.hardware is None:
        problem = "what it trains on is not said; give --hardware h100, 8xh200, ..., or auto for this machine's"
        raise InputError(problem, field="hardware")
    spec, shape, notes = _model(job, models, named)
    within = limit(stated.hardware, stated.budget, None, usual=1.0)
    assert within.hardware is not None and within.bytes is not None  # there is always an accelerator here
    job, assumed = _filled(job, stated)
    length = min(spec.context or 8192, 8192) if job.seq is None else sequence_length(spec, job.seq)
    if job.seq is None:
        assumed.append(f"sequences of {length:,} tokens, which the file does not state; --seq does")
    gpus = _gpus(job, stated, within)
    layout = job.layout(gpus)
    batch = job.batch(layout)
    check_batch(layout, batch)
    recipe = _recipe(job, layout)
    machine = with_memory(within.hardware, within.bytes)
    estimate, words = _estimate(job, spec, machine, layout, length, batch)
    target = module(job.target)
    says = partial(target.says, layers=spec.n_layers)
    asked = answers.Asked(layout, length, batch, recipe, answers.Words(target.SETTABLE, says, target.spelt), within.number)
    found = answers.check(spec, asked, within.bytes, job.target, estimate, list(job.given))
    if require is not None:
        from llmcx.answers.require import met

        found = replace(found, met=met(require, found))
    inputs: dict[str, Any] = {"line": line, "engine": job.target, "hardware": within.hardware.name, "budget": within.bytes}
    inputs |= {"gpus": gpus, "seq": length, "global_batch": batch, "precision": recipe.precision, "optimizer": recipe.optimizer}
    inputs |= {
        "compute_dtype": job.dtype or ("fp32" if recipe.precision == "fp32" else "bf16"),
        "attn": recipe.attention,
        "require": require,
        **shape,
    }
    about = [*_understood(job), *assumed, _counted(spec, layout, recipe), *words, *notes]
    head = heading("check_train", spec, inputs, found)
    return Item(describe(spec), inputs, found, about, head=head)


def _asked(job: Job, stated: Stated) -> tuple[Stated, str | None]:
    """``stated`` with what a comment in the file states, and the model that it names."""
    found: dict[str, Any] = {}
    model = None
    words = list(job.asked)
    while words:
        word = words.pop(0)
        name = word.removeprefix("--").replace("-", "_")
        if not word.startswith("--"):
            model = word
            continue
        if name not in Stated.__dataclass_fields__ or not words:
            known = ", ".join(f"--{each.replace('_', '-')}" for each in Stated.__dataclass_fields__)
            raise bad(f"the comment `# llmcx check:` has {word}; what it may have is a model, {known}, each with its value", word)
        text = words.pop(0)
        found[name] = READS[name](text, word) if name in READS else text
    given = {name: value for name, value in vars(stated).items() if value is not None}
    return Stated(**found | given), model


def _model(job: Job, models: Models, named: str | None) -> tuple[ModelSpec, dict[str, Any], list[str]]:
    """The model: named after the file, in its comment, or by the file itself; which must be the shape that the file states."""
    if models.model is None and not models.shape():
        name = named or job.model
        if name is None and job.spec is not None:
            return _titled(job.spec), {}, []
        if name is None:
            title = TARGETS[job.target].title
            raise bad(f"the file of {title} names no model; name it after the file: llmcx check FILE llama-3-8b")
        models = replace(models, model=cast(Any, name))
    spec, shape, notes = models.load()
    if job.spec is not None and same(job.spec, spec):
        return with_vocabulary(spec, job.spec.embedding.vocab), shape, notes
    if job.spec is not None:
        if named is not None and str(models.model) == named:  # a comment that was left behind when the line was changed
            return (
                _titled(job.spec),
                {},
                [f"the line states another shape than {named}, which its comment names: the line's is counted"],
            )
        raise bad(f"the line states another shape than {spec.name}, which is named after it; leave one of them out")
    if job.model is not None and str(models.model) != job.model:
        from llmcx.catalog.load import load

        if not same(load(job.model), spec):
            raise bad(f"the file trains a model of the shape of {job.model}, and {spec.name} is named after it; leave one out")
    return spec, shape, notes


def _titled(spec: ModelSpec) -> ModelSpec:
    """The model of a line's arguments, called by its size."""
    return replace(spec, title=f"{count(spec) / 1e9:.3g}B by its arguments")


def _filled(job: Job, stated: Stated) -> tuple[Job, list[str]]:
    """``job`` with what is stated beside it, and what is assumed. Raises InputError where the file says otherwise."""
    has = {"seq": job.seq, "global_batch": job.global_batch} | {
        name: job.degrees.get(name) for name in ("micro_batch", "recompute")
    }
    for name, value in has.items():
        told = getattr(stated, name)
        if value is not None and told is not None and told != value:
            flag = f"--{name.replace('_', '-')}"
            raise bad(f"{flag} is {told}, but the file states {FILE[name]} of {value}; leave {flag} out, or change the file")
    degrees, assumed = dict(job.degrees), []
    if degrees.get("recompute") is None and stated.recompute is None and job.unsure:
        raise bad(f"{job.unsure}; --recompute none and --recompute full say what bounds it")
    if stated.recompute is not None:
        degrees["recompute"] = stated.recompute
    if stated.micro_batch is not None:
        degrees["micro_batch"] = stated.micro_batch
    elif "micro_batch" not in degrees:
        assumed.append("a micro-batch of one sequence, which the file does not state; --micro-batch does")
    seq, batch = job.seq or stated.seq, job.global_batch or stated.global_batch
    if degrees.get("recompute") is None:
        degrees.pop("recompute", None)
    return replace(job, degrees=degrees, seq=seq, global_batch=batch), assumed


def _gpus(job: Job, stated: Stated, within: Limit) -> int:
    """All GPUs. Raises InputError where the file and what is said beside it differ, or nobody says it."""
    named = stated.gpus or within.number
    if stated.gpus is not None and within.number is not None and stated.gpus != within.number:
        raise bad(f"--gpus is {stated.gpus:,}, but --hardware names {within.number:,}; give one")
    if job.gpus is None:
        if named is None:
            assert within.hardware is not None
            problem = f"how many GPUs train is not said; give --gpus 8, or --hardware 8x{within.hardware.name}"
            raise InputError(problem, field="gpus", allowed="1 or more")
        return named
    if named is not None and job.gpus > named:
        raise bad(f"the file is for {job.gpus:,} GPUs, but --{'gpus' if stated.gpus else 'hardware'} names {named:,}")
    return job.gpus


def _recipe(job: Job, layout: Layout) -> Recipe:
    """How a micro-batch is trained, as `llmcx memory --train` is asked for it."""
    program = "deepspeed" if job.target == "deepspeed" else PROGRAMS[TARGETS[job.target].engine].counts_as(layout)
    return Recipe(
        job.precision,
        job.optimizer,
        attention=job.attention,
        kernels="fused" if program == "megatron" else "eager",
        dropout=job.dropout,
        recompute=layout.recompute,
        engine=program,
        fused_loss=job.fused_loss,
        offload=job.offload,
        buckets=job.buckets,
    )


def _counted(spec: ModelSpec, layout: Layout, recipe: Recipe) -> str:
    """The question of `llmcx memory` that has the same numbers."""
    ways = [f"--{name} {getattr(layout, name)}" for name in ("tp", "pp", "cp", "ep") if getattr(layout, name) > 1]
    ways += [f"--gpus {layout.gpus}", f"--zero {layout.zero}", f"--micro-batch {layout.micro_batch}"]
    ways += [f"--recompute {layout.recompute}"] if layout.recompute != "none" else []
    how = [f"--engine {recipe.engine}", f"--precision {recipe.precision}", f"--attn {recipe.attention}"]
    name = "MODEL" if spec.name == "megatron" else spec.name
    return f"memory as `llmcx memory {name} --train {' '.join([*ways, *how])}` counts it"


def _estimate(
    job: Job, spec: ModelSpec, machine: Any, layout: Layout, seq: int, batch: int
) -> tuple[answers.Estimate | None, list[str]]:
    """Seconds of a step, where they are known, and what to say of them."""
    if job.offload is not None:
        return None, ["times are not known of a job that keeps states in the host's memory"]
    if job.precision == "fp32" or (job.dtype is not None and job.dtype not in machine.dense_tflops):
        return None, [f"times are not known of training in {'fp32' if job.precision == 'fp32' else job.dtype} on {machine.title}"]
    engine = TARGETS[job.target].engine
    factors, words = efficiencies.efficiency(machine, engine, job.dtype)
    trainer = Trainer(spec, seq, machine, factors, job.dtype, job.attention, engine)
    price, dated = efficiencies.price(machine, None)
    found = outcome(trainer, layout, batch, job.steps or 1, Costs(price))
    if job.target == "deepspeed":
        words.append("times are those of FSDP: no run of DeepSpeed calibrates its own")
    if job.optimizer != "adam":
        words.append(f"times are those of Adam, not of {job.optimizer}")
    low, high = efficiencies.band(engine, bool(spec.mixtures))
    words.append(f"of ten measured steps, eight took {low:g} to {high:g} times as long as estimated (docs/validation.md)")
    return answers.estimated(found, (low, high), job.steps), [*words, *(dated if job.steps else [])]


def _understood(job: Job) -> list[str]:
    """What was not counted, and what changes nothing."""
    by: Mapping[str, list[str]] = {effect: [each.flag for each in job.given if each.effect == effect] for effect in _SAID}
    return [f"{said}: {', '.join(dict.fromkeys(by[effect]))}" for effect, said in _SAID.items() if by[effect]]


_SAID = {"apart": "not counted", "harmless": "change neither memory nor time"}
