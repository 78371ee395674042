"""llmcx check."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, cast

from llmcx.answers import check as answers
from llmcx.answers import require as requirements
from llmcx.answers import serve as serving_answers
from llmcx.answers.launched import Asked, missing
from llmcx.answers.load import APART, Apart, Load
from llmcx.cli import launching
from llmcx.cli.accelerator import Limit, with_memory
from llmcx.cli.check_train import Stated, checked, refuse
from llmcx.cli.launch_apart import Served, apart_as, half, served, unhanded
from llmcx.cli.launch_asks import asked_of, version_of
from llmcx.cli.launch_more import read_by, stored_by
from llmcx.cli.launching import Launch, bad
from llmcx.cli.models import Models, describe
from llmcx.cli.options import argument, command, completing, explaining, heading, option, single
from llmcx.cli.targets.reading import read
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.serving_time import Server, Setup
from llmcx.engines.vllm import VLLM
from llmcx.engines.vllm_graphs import DRIVER, OLD
from llmcx.errors import InputError, check_size, shown
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec
from llmcx.report.format import size
from llmcx.report.render import Answer, Item

app = single()

LARGEST = 2**20
"""Bytes of a file with a launch line."""
NONE = Models()


@command(app, "check", without=("plot",))
def check(
    line: Annotated[str | None, argument("What launches a server or trains; or a file with it; - is stdin.", "[LINE]")] = None,
    models: Models = NONE,
    hardware: Annotated[
        str | None, option("What it runs on: h100, 8xh200, rtx-4090, FILE.yaml, auto.", offers=completing("hardware"))
    ] = None,
    budget: Annotated[
        int | None, option("Bytes of memory on each GPU, in place of the accelerator's: 24GB.", reads="size")
    ] = None,
    prompt: Annotated[int | None, option("Tokens in, for the times. Default: 1024.", reads="length")] = None,
    output: Annotated[int | None, option("Tokens out, for the times. Default: 1024.", reads="length")] = None,
    batch: Annotated[int | None, option("Users at once, for the times. Default: one, and as many as fit.", reads="count")] = None,
    dtype: Annotated[
        str | None,
        option(
            "Of the weights. Default: as the line, the model's name or its files say.",
            offers="formats.dtypes:BITS formats.schemes:SCHEMES formats.gguf:MIXES",
        ),
    ] = None,
    driver: Annotated[
        str | None,
        option(
            "NVIDIA's driver, on which vLLM's CUDA graphs depend: 535.183.01. Default: 550 or newer.",
            reads="text",
            metavar="TEXT",
        ),
    ] = None,
    require: Annotated[
        str | None,
        option("Exit 1 unless it holds: 'fits and tpot<40ms'; also ttft, users, tokens, headroom.", reads="text", metavar="TEXT"),
    ] = None,
    all_: Annotated[bool, option("Every line that llmcx.toml lists, in place of LINE.", "--all", reads="flag")] = False,
    file: Annotated[str | None, option("That file, by another name.", reads="text", metavar="FILE", needs="all_")] = None,
    against: Annotated[
        str | None,
        option(
            "An earlier --all --json, or another llmcx.toml: what changed, and why.", reads="text", metavar="FILE", needs="all_"
        ),
    ] = None,
    gpus: Annotated[int | None, option("All GPUs, where the file does not say.", reads="count", group="Training")] = None,
    seq: Annotated[
        int | None, option("Tokens of a sequence, where the file does not say.", reads="length", group="Training")
    ] = None,
    micro_batch: Annotated[
        int | None, option("Sequences at a time on a GPU, where the file does not say.", reads="count", group="Training")
    ] = None,
    global_batch: Annotated[
        int | None, option("Sequences per step, where the file does not say.", reads="count", group="Training")
    ] = None,
    recompute: Annotated[
        str | None, option("none or full, where the file does not say.", offers="none full", group="Training")
    ] = None,
) -> Item | Answer:
    """A launch line or file: does it fit, for how many users, how fast, and what to change if not.

    A line is in quotes, or stands last and behind --. The model is the one that the line names; name it after the line where that
    is no preset and not on disk. Training is read from Megatron-LM's line, torchtitan's TOML, accelerate's YAML and DeepSpeed's
    JSON; all from Slurm's scripts and Kubernetes' manifests too.

    \b
    llmcx check 'vllm serve Qwen/Qwen3-32B --max-model-len 32k' --hardware h100
    llmcx check launch.sh --hardware 8xh200 --require 'fits and tpot<40ms'
    llmcx check 'llama-server -m qwen3-8b-q4_k_m.gguf -c 16384' --hardware 4090
    llmcx serve qwen3-32b --emit vllm | llmcx check -
    llmcx check --all --against main.json --format markdown
    """
    if require is not None:
        requirements.terms(require)
    if all_:
        if line is not None or models.model is not None or models.shape():
            raise InputError(
                "--all checks the lines of a file, each with its own model; leave out the line and the model", field="all"
            )
        from llmcx.cli import budget as repository

        given = {"hardware": hardware, "budget": budget, "prompt": prompt, "output": output, "batch": batch}
        given |= {"dtype": dtype, "driver": driver, "require": require, "gpus": gpus, "seq": seq}
        given |= {"micro_batch": micro_batch, "global_batch": global_batch, "recompute": recompute}
        return repository.checked(file, against, {name: value for name, value in given.items() if value is not None})
    if line is None:
        raise bad("no launch line is given; name one in quotes, a file with it, or --all for those of llmcx.toml")
    held = read(_text(line))
    of_training = Stated(hardware, budget, gpus, seq, micro_batch, global_batch, recompute)
    if held.job is not None:
        refuse({"prompt": prompt, "output": output, "batch": batch, "dtype": dtype, "driver": driver}, "the file trains")
        return checked(held.job, models, of_training, line, require)
    refuse({name: value for name, value in vars(of_training).items() if name not in ("hardware", "budget")}, "the line serves")
    of = served(held.text, held.files, held.gpus)
    launch = unhanded(of.launch, of.role)
    more = _stated(launch.asked)
    hardware = hardware if hardware is not None else more.get("hardware")
    prompt = prompt if prompt is not None else _whole(more, "prompt")
    output = output if output is not None else _whole(more, "output")
    batch = batch if batch is not None else _whole(more, "batch")
    budget = budget if budget is not None else _whole(more, "budget")
    dtype = dtype if dtype is not None else more.get("dtype")
    driver = driver if driver is not None else more.get("driver")
    if hardware is None:
        problem = "what it runs on is not said; give --hardware h100, 8xh200, rtx-4090, ..., or auto for this machine's"
        raise InputError(problem, field="hardware")
    engine, said = version_of(launch, more.get("engine"))
    models, named = _named(models, launch)
    spec, shape, notes = models.load()
    spec, blind = read_by(launch, spec)
    if dtype is None:
        spec, kept = stored_by(launch, spec)
        blind += kept
    asked, within, chunk, of_asked = asked_of(launch, spec, hardware, budget, dtype, engine)
    asked, known = _with_driver(asked, within, hardware, driver)
    assert within.bytes is not None and within.hardware is not None  # there is always an accelerator here
    check_size("batch", batch)
    load = _load(asked.seq, prompt, output, chunk if of.role is None else None)
    machine = with_memory(within.hardware, within.bytes)
    server, words = (None, []) if asked.host or (of.role and of.prompts is None) else _server(spec, machine, asked)
    first = None
    if of.prompts is not None:
        first = asked_of(of.prompts, spec, hardware, budget, dtype, engine)
        load, unknown = _apart(of, load, first.asked, asked, server, held.gpus or within.number)
        server, words = (server, words) if unknown is None else (None, [unknown])
    cost, dated = efficiencies.price(machine, None)
    seen = within.hardware.memory_bytes if asked.engine.name != "vllm" else within.hardware.visible_bytes
    full = int(seen * answers.FULL) if asked.engine.name == "vllm" and within.utilization < answers.FULL and not budget else None
    flags = [answers.Read(*each) for each in launch.given]
    found = answers.check(
        spec, asked, within.bytes, server=server, load=load, batch=batch, usd_per_hour=cost, full=full, flags=flags
    )
    if of.prompts is not None and first is not None and load.apart is not None:
        read_too = [answers.Read(*each) for each in of.prompts.given]
        alone = answers.check(spec, first.asked, first.within.bytes or 0, server=None, load=load, full=full, flags=read_too)
        found = answers.joined(found, alone, load.apart)
    if require is not None:
        found = answers.required(found, require)
    inputs: dict[str, Any] = {"line": line, "engine": asked.engine.name, "hardware": within.hardware.name, "budget": within.bytes}
    inputs |= {
        "utilization": within.utilization,
        "seq": asked.seq,
        "dtype": _format(spec, asked.dtype),
        "kv_dtype": asked.kv_dtype,
    }
    inputs |= {"tp": asked.layout.tp, "pp": asked.layout.pp, "ep": asked.layout.ep, "attention_dp": asked.layout.attention_dp}
    inputs |= {"prompt": load.prompt, "output": load.output, "batch": batch, "driver": driver, "require": require, **shape}
    one_half = half(of)
    about = [
        *named,
        *said,
        *(known or _driven(spec, asked, within, found)),
        *(asked.engine.notes() if "@" in engine else []),
        *([] if one_half is None else [one_half]),
        *([f"users and times are those of each of {asked.replicas:,} copies"] if asked.replicas > 1 and found.estimate else []),
        *_both(found),
        *_understood(launch, of.prompts),
        *blind,
        *of_asked,
        *notes,
        *(words if found.estimate or server is None else []),
        *(dated if found.estimate else []),
    ]
    lines = explaining("check", spec, asked, server, load, cost, found)
    return Item(describe(spec), inputs, found, about, lines, head=heading("check", spec, inputs, found))


def _with_driver(asked: Asked, within: Limit, hardware: str, stated: str | None) -> tuple[Asked, list[str]]:
    """The same with CUDA graphs as the driver makes them that is ``stated``, or found on this machine; and what is to be said of
    it. Raises InputError for one that changes nothing, and for what is no version.
    """
    engine, machine = asked.engine, within.hardware
    makes = isinstance(engine, VLLM) and not engine.eager and machine is not None and machine.vendor == "NVIDIA"
    if stated is None:
        from llmcx.catalog.detect import driver as found

        stated = found() if makes and hardware.strip().lower() == "auto" else None
        if stated is None:
            return asked, []
    number = re.match(r"\d{2,4}(?=\.|$)", stated, re.ASCII)
    if number is None:
        raise InputError(f"--driver is {shown(stated)}, but must be a version such as 535.183.01", field="driver", value=stated)
    if not isinstance(engine, VLLM) or not makes:
        why = "makes none here" if engine.name == "vllm" else "is not what the line launches"
        problem = f"--driver changes what vLLM's CUDA graphs take on NVIDIA's accelerators, and vLLM {why}; leave it out"
        raise InputError(problem, field="driver", value=stated)
    old = int(number[0]) < DRIVER
    said = (
        f"driver {shown(stated)}: CUDA graphs take "
        + (f"{OLD:g} times what they do" if old else "what they do")
        + f" from {DRIVER} on"
    )
    return replace(asked, engine=replace(engine, old=old)), [said]


def _driven(spec: ModelSpec, asked: Asked, within: Limit, found: answers.Check) -> list[str]:
    """What an older driver would change; GPUs that compute in 4 bits have none so old."""
    machine = within.hardware
    if machine is None or not found.fits or machine.vendor != "NVIDIA" or "fp4" in machine.dense_tflops:
        return []
    short = missing(spec, asked, within.bytes or 0)
    more = f"{OLD:g} times as much, {size(short)} too much"
    return [f"with a driver before {DRIVER} (CUDA 12.4) CUDA graphs take {more}; {answers.EAGER} has none"] if short else []


def _text(line: str) -> str:
    """The text that an argument is, or the file that it names; "-" is stdin. Raises InputError."""
    if line == "-":
        if sys.stdin is None:
            raise bad("stdin is closed, so there is nothing to read from it")
        return str(sys.stdin.read(LARGEST))
    if not os.path.isfile(line):
        if not re.search(r"\s", line) and re.search(r"[./\\]", line):
            raise bad(f"{line} cannot be read: there is no such file, and no launch line is a single word", line)
        return line
    try:
        with open(line, "rb") as file:
            raw = file.read(LARGEST)
        return raw.decode("utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
    except OSError as error:
        raise bad(f"{line} cannot be read: {error.strerror}", line) from None
    except UnicodeDecodeError:
        raise bad(f"{line} is not a text file, but must hold a launch line", line) from None


STATED = ("hardware", "prompt", "output", "batch", "budget", "dtype", "engine", "driver")


def _stated(words: Sequence[str]) -> dict[str, str]:
    """Options that a comment in the text states."""
    out = {}
    for flag, value in zip(words[::2], words[1::2], strict=False):
        if flag.removeprefix("--") not in STATED:
            raise bad(f"the comment `# llmcx check:` has {shown(flag)}; what it may have is --{', --'.join(STATED)}", flag)
        out[flag.removeprefix("--")] = value
    return out


def _whole(stated: dict[str, str], name: str) -> int | None:
    from llmcx import units

    if name not in stated:
        return None
    reads = {"budget": units.size, "batch": units.count}.get(name, units.length)
    return reads(stated[name], f"--{name}")


def _named(models: Models, launch: Launch) -> tuple[Models, list[str]]:
    """The model: what is named after the line, else what the line names; and what is to be said of that."""
    if models.model is not None or models.shape():
        return models, []
    given = launch.value("hf") or launch.value("preset")
    name = launch.model or (given and given.value)
    if name is None:
        raise bad(f"the line names no model to {launching.NAMES[launch.engine]}; name one after it, or in it")
    repo = name.partition(":")[0] if launch.value("hf") else name
    from llmcx.catalog.named import known_as
    from llmcx.catalog.presets import aliases

    if os.path.exists(repo) or repo.lower() in aliases():
        return replace(models, model=cast(Any, repo)), []
    known = known_as(repo)
    if known is not None:
        said = [] if known == repo else [f"the line serves {name}, whose shape is taken from the preset {known}"]
        return replace(models, model=cast(Any, known)), said
    try:
        found = replace(models, model=cast(Any, repo))
        found.load()
    except InputError as error:
        problem = f"the line serves {name}, which is no preset and no file here; name its config.json or a preset after the line"
        raise InputError(problem, field="model", value=name, nearest=error.nearest) from None
    return found, []


def _load(seq: int, prompt: int | None, output: int | None, chunk: int | None) -> Load:
    """What times are for: as many tokens in and out as are stated, else 1024 each, or half of a shorter length."""
    check_size("prompt", prompt)
    check_size("output", output)
    half = max(1, seq // 2)
    tokens = prompt if prompt is not None else min(1024, half)
    out = output if output is not None else min(1024, max(1, seq - tokens))
    if tokens + out > seq:
        raise InputError(
            f"--prompt {tokens:,} and --output {out:,} are more than the {seq:,} tokens of a sequence that the line states",
            field="prompt",
            value=tokens,
            allowed=f"{seq} together",
        )
    return Load(tokens, out, 0, chunk)


def _server(spec: ModelSpec, machine: Any, asked: Asked) -> tuple[Server | None, list[str]]:
    """What says how long it takes, where that is known."""
    layout = asked.layout
    if layout.pp > 1 and not asked.engine.pipelined:
        return None, [f"times are not known of {asked.engine.name} on several GPUs"]
    name = spec.stored.name if asked.dtype == dtypes.RELEASED and spec.stored is not None else asked.dtype
    arithmetic = serving_answers.arithmetic(machine, name)
    kv = 8 * dtypes.per_element(asked.kv_dtype)
    setup = Setup(layout.tp, layout.ep, 16.0, kv, arithmetic, layout.attention_dp, layout.pp)
    setup = serving_answers.with_bits(spec, setup, asked.dtype, asked.engine)
    server, words = serving_answers.estimator(spec, machine, setup, asked.engine, asked.dtype)
    if layout.pp > 1:
        try:
            server.sent(1)
        except InputError as refusal:  # memory is known all the same
            return None, [f"times are not known: {refusal.message}"]
    return server, words


def _format(spec: ModelSpec, dtype: str) -> str:
    return spec.stored.name if dtype == dtypes.RELEASED and spec.stored is not None else dtype


def _understood(*launches: Launch | None) -> list[str]:
    """What was not counted, and what changes nothing."""
    notes = []
    for effect, what in (("apart", "not counted"), ("harmless", "change neither memory nor time")):
        if found := dict.fromkeys(flag for launch in launches if launch is not None for flag in launch.of(effect)):
            notes.append(f"{what}: {', '.join(found)}")
    return notes


def _both(found: answers.Check) -> list[str]:
    """What is to be said of workers of both kinds."""
    if not found.workers:
        return []
    prompts, decodes = found.workers
    parts, other = ("decodes", prompts) if prompts.fits or not decodes.fits else ("works off prompts", decodes)
    does = "works off prompts" if other is prompts else "decodes"
    said = f"memory is that of a worker that {parts}; one that {does} holds {size(other.total_bytes)} on each GPU"
    return [said, APART] if found.estimate else [said]


def _apart(
    of: Served, load: Load, prompts: Asked, decodes: Asked, server: Server | None, there: int | None
) -> tuple[Load, str | None]:
    """What is served by workers of both kinds, on GPUs of which so many are ``there``; why its times are not known."""
    on = prompts.layout
    apart = Apart(of.prefill_workers, on.gpus, of.workers, on.ep, on.attention_dp)
    need = apart.prefill_workers * prompts.layout.gpus + apart.workers * decodes.layout.gpus
    if there is not None and need > there:
        each = (
            f"{apart.prefill_workers} × {prompts.layout.gpus} for prompts and {apart.workers} × {decodes.layout.gpus} to decode"
        )
        raise bad(f"the lines ask for {need:,} GPUs ({each}), but there are {there:,}")
    return replace(load, apart=apart), None if server is None else apart_as(prompts, server.setup)
