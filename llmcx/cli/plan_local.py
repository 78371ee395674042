"""llmcx plan local."""

import os
from contextlib import suppress
from typing import Annotated, Any, cast

from llmcx.answers import plan_local as answers
from llmcx.cli.accelerator import accelerators, limit
from llmcx.cli.catalog import families, licenses
from llmcx.cli.options import PRESETS, argument, completing, explaining, heading, option
from llmcx.engines import efficiency, engine
from llmcx.engines.local_time import LOCAL
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.formats import dtypes, gguf, quant
from llmcx.report.render import Item

PROCESSOR = "cpu"
"""As --hardware: no accelerator."""
METAL = 0.75
"""Of the memory that an Apple chip shares with its GPU, what macOS lets the GPU have at 36 GB and more
(recommendedMaxWorkingSetSize, as llama.cpp prints it: 51,540 of 68,719 MB, 154,619 of 206,158); two thirds below.
"""
SMALL = (2 / 3, 36e9)
USUAL = 0.2
"""Seconds a token at most, where models are not named: five tokens a second."""
OWN = 0.9
"""Of the machine's memory, what a model may take: the system and programs have the rest."""
ON = {"mlx": "Apple", "exllamav2": "NVIDIA"}
"""Programs for the chips of one maker."""


def local(
    models: Annotated[
        list[str] | None,
        argument("Presets, files, ORG/NAME on the hub. Default: all presets.", "[MODEL]...", PRESETS, whole=True),
    ] = None,
    hardware: Annotated[
        str,
        option(
            "rtx-4090, 2xrtx-3090, m4-max, FILE.yaml, cpu, or auto: what is found here.",
            offers=completing("hardware"),
        ),
    ] = "auto",
    ram: Annotated[
        int | None,
        option("Bytes of the machine's memory: 64GB. Default: of auto what is found here, else none is used.", reads="size"),
    ] = None,
    ram_bandwidth: Annotated[
        int | None, option("Bytes a second at which processors read it: 80GB. Default: not known.", reads="size")
    ] = None,
    seq: Annotated[
        int | None, option("Tokens of a sequence; 16k is 16384. Default: 8k, or the model's context.", reads="length")
    ] = None,
    tpot: Annotated[
        float | None, option("Time per token at most: 100ms. Default: 200ms; of named models any.", reads="time")
    ] = None,
    family: Annotated[str | None, option("Only families that begin so, e.g. llama or qwen3.", offers=families)] = None,
    license_: Annotated[
        str | None, option("Only licences that begin so, e.g. apache or mit.", "--license", offers=licenses)
    ] = None,
    at_least: Annotated[int | None, option("Only models of N parameters or more, e.g. 7B.", reads="count")] = None,
    at_most: Annotated[int | None, option("Only models of up to N parameters.", reads="count")] = None,
    since: Annotated[int | None, option("Only models of this year or later.", reads="integer")] = None,
    engine_: Annotated[
        str, option("llama.cpp, mlx, exllamav2 or transformers.", "--engine", offers="engines.local_time:LOCAL")
    ] = "llama.cpp",
    dtype: Annotated[
        list[str] | None,
        option(
            "Formats of the weights to choose from. Default: the program's, of 4 bits and more.",
            offers="formats.dtypes:BITS formats.schemes:SCHEMES formats.gguf:MIXES",
            whole=True,
        ),
    ] = None,
    kv_dtype: Annotated[str, option("Of the cache.", offers="formats.dtypes:BITS formats.dtypes:CACHE_BLOCKS")] = "bf16",
    utilization: Annotated[
        float | None,
        option("Share of the accelerator's memory that is used. Default: 90%; of Apple's what macOS allows.", reads="share"),
    ] = None,
    top: Annotated[int | None, option("Models to list. Default: 10.", reads="count")] = None,
) -> Item:
    """What runs on a machine of one's own: models and formats, tokens/s, the longest context, how llama.cpp splits them.

    Ranked by the geometric mean of all parameters and of those that a token meets, which says nothing of data and training.

    \b
    llmcx plan local --hardware rtx-4090 --ram 64GB --ram-bandwidth 80GB --seq 16k
    llmcx plan local --hardware m4-max --ram 64GB --license apache --tpot 50ms
    llmcx plan local qwen3-30b-a3b --hardware 2xrtx-3090
    llmcx plan local --hardware cpu --ram 32GB --ram-bandwidth 60GB --at-most 14B
    """
    if engine_ not in LOCAL:
        raise unknown_name("program for one user", engine_, list(LOCAL), field="engine")
    for name, value in (
        ("ram", ram),
        ("ram_bandwidth", ram_bandwidth),
        ("seq", seq),
        ("at_least", at_least),
        ("at_most", at_most),
        ("top", top),
    ):
        check_size(name, value)
    dtypes.per_element(kv_dtype)
    for each in dtype or ():
        if gguf.ALIASES.get(each, each).partition(":")[0] not in (known := [*dtypes.BITS, *quant.names()]):
            raise unknown_name("dtype", each, known, field="dtype")
    machine, about = _machine(hardware, ram, ram_bandwidth, utilization, engine_)
    named = models or []
    if named:
        given = {"family": family, "license": license_, "at_least": at_least, "at_most": at_most, "since": since}
        for name, chosen in given.items():
            if chosen is not None:
                problem = f"--{name.replace('_', '-')} chooses among presets, and models are named; leave one of them out"
                raise InputError(problem, field=name, value=chosen)
        entries = [answers.entry(_load(each)) for each in named]
    else:
        if family is not None and not any(known.startswith(family.lower()) for known in families("")):
            raise unknown_name("family", family, families(""), field="family")
        if license_ is not None and not any(known.startswith(license_.lower()) for known in licenses("")):
            raise unknown_name("license", license_, licenses(""), field="license")
        entries = list(answers.cataloged(family, license_, at_least or 0, at_most, since))
    limited = tpot if tpot is not None or named else USUAL
    ask = answers.Ask(engine(engine_), seq, limited, kv_dtype, dtype)
    if len(entries) == 1 and named:
        if top is not None:
            raise InputError("--top counts models, and one is named; leave it out", field="top", value=top)
        result = answers.formats_of(entries[0], machine, ask)
    else:
        result = answers.plan(entries, machine, ask, top or (len(entries) if named else 10))
    chip = machine.hardware
    inputs: dict[str, Any] = {"models": named, "hardware": PROCESSOR if chip is None else chip.name, "gpus": machine.gpus}
    inputs |= {"budget": machine.budget, "ram": machine.ram, "ram_bandwidth": ram_bandwidth, "seq": seq, "tpot": limited}
    inputs |= {"family": family, "license": license_, "at_least": at_least, "at_most": at_most, "since": since}
    inputs |= {"engine": engine_, "dtype": dtype, "kv_dtype": kv_dtype, "top": top}
    head = heading("plan_local", inputs, result)
    notes = [*_notes(machine, result, ask, engine_), *about]
    years = [each.year for each in result.models if each.year is not None]
    if not named and since is None and years and min(years) < max(years) - 1:
        notes.insert(1, f"ranked by size whatever their year: --since {max(years) - 1} leaves older models out")
    return Item(None, inputs, result, notes, explaining("plan_local", result), head=head)


def _load(source: str) -> Any:
    from llmcx.catalog.load import load

    return load(cast(Any, source))


def _machine(
    hardware: str, ram: int | None, ram_bandwidth: int | None, utilization: float | None, program: str
) -> tuple[answers.Machine, list[str]]:
    """What there is to run on, and what was found or assumed of it."""
    about = []
    auto, text = hardware.strip().lower() == "auto", hardware
    if auto:
        try:
            chip, number = accelerators("auto")
            text = f"{number}x{chip.name}"
            about.append(f"found here: {number} x {chip.title}")
        except InputError as error:
            if "several kinds" in error.message or _memory() is None:
                raise
            text = PROCESSOR
            about.append("found here: no accelerator (nvidia-smi, rocm-smi, system_profiler), so processors alone")
        if ram is None and (ram := _memory()) is not None:
            about.append(f"found here: {ram / 1e9:.1f} GB of memory; --ram says otherwise")
    if text.strip().lower() == PROCESSOR:
        return _processor(ram, ram_bandwidth, utilization, program), about
    chip, number = accelerators(text)
    if program in ON and chip.vendor != ON[program]:
        raise InputError(
            f"--engine {program} does not run on {chip.title}, but on {ON[program]}'s", field="engine", value=program
        )
    gpus = number or 1
    if chip.vendor == "Apple":
        if gpus > 1:
            raise InputError(f"--hardware is {hardware}, but one Mac has one {chip.title}", field="hardware", value=hardware)
        of = ram or chip.memory_bytes
        share = utilization if utilization is not None else METAL if of >= SMALL[1] else SMALL[0]
        if not 0 < share <= 1:
            limit(None, of, share)  # says what is wrong with it
        if ram_bandwidth is not None:
            problem = f"--ram-bandwidth changes nothing on {chip.title}, whose GPU reads the machine's memory itself"
            raise InputError(problem, field="ram_bandwidth", value=ram_bandwidth)
        if utilization is None:
            about.append(f"macOS lets the GPU have {share:.0%} of {of / 1e9:.0f} GB; --utilization says otherwise")
        return answers.Machine(chip, 1, int(of * share)), about
    budget = limit(text, None, utilization).bytes
    assert budget is not None  # an accelerator has memory
    if ram_bandwidth is not None and (ram is None or gpus > 1 or program != "llama.cpp"):
        problem = "--ram-bandwidth changes nothing unless llama.cpp splits models between one GPU and --ram"
        raise InputError(problem, field="ram_bandwidth", value=ram_bandwidth)
    if ram is not None and (gpus > 1 or program != "llama.cpp"):
        if not auto:
            why = "several GPUs" if gpus > 1 else f"--engine {program}"
            problem = f"--ram changes nothing with {why}: only llama.cpp on one GPU is known to split a model"
            raise InputError(problem, field="ram", value=ram)
        ram = None
    rate = None if ram_bandwidth is None else float(ram_bandwidth)
    return answers.Machine(chip, gpus, budget, None if ram is None else int(ram * OWN), rate), about


def _processor(ram: int | None, ram_bandwidth: int | None, utilization: float | None, program: str) -> answers.Machine:
    if program != "llama.cpp":
        raise InputError(f"--engine {program} is not known without a GPU; llama.cpp is", field="engine", value=program)
    if ram is None:
        raise InputError("--hardware cpu needs --ram: how much memory there is", field="ram")
    budget = limit(None, ram, OWN if utilization is None else utilization).bytes
    assert budget is not None
    return answers.Machine(None, 1, budget, None, None if ram_bandwidth is None else float(ram_bandwidth))


def _memory() -> int | None:
    """Bytes of this machine's memory, where its system says."""
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _notes(machine: answers.Machine, result: answers.LocalPlan, ask: answers.Ask, program: str) -> list[str]:
    """What to bear in mind."""
    notes = []
    if result.models:
        notes.append("tokens/s with half of the sequence in the cache; ranges: 10th to 90th percentile of measured runs")
    if result.untimed or any(each.tokens_per_s is None for each in result.models):
        notes.append(
            "speed not known where processors read weights: give --ram-bandwidth, e.g. 80GB for two channels of DDR5-5200"
        )
    counts = {"too large": result.too_large, "too slow": result.too_slow, "of shorter context": result.short}
    counts |= {f"not known of {program}": result.unknown, "of unknown speed": result.untimed, "of lower rank": result.beyond}
    said = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    if said:
        notes.append(f"not listed: {said}")
    if machine.hardware is not None and machine.ram is None and program == "llama.cpp" and machine.hardware.vendor != "Apple":
        if machine.gpus == 1:
            notes.append("only models that lie whole on the GPU: --ram lets llama.cpp split larger ones")
        else:
            notes.append(f"layers are shared out among {machine.gpus} GPUs, which take turns: memory adds up, speed does not")
    if program != "llama.cpp":
        notes.append(f"which families {program} has is not known here; formats are its own")
    of = efficiency.data(LOCAL[program])
    if any(each.tokens_per_s is not None for each in result.models):
        notes.append(f"times are estimates; {of['title']}: {of['source']}, {of['date']}")
    return notes
