"""llmcx attention-compare."""

from typing import Annotated

from llmcx import units
from llmcx.answers import attention_compare as answers
from llmcx.answers.advice import differences
from llmcx.cli.accelerator import serving, settled
from llmcx.cli.models import Models, describe
from llmcx.cli.options import DTYPES, VARIANTS, command, completing, explaining, heading, option, single
from llmcx.machine.roofline import machine as machine_of
from llmcx.model.variants import parse_variant
from llmcx.report.attention_compare import measured
from llmcx.report.render import Item

app = single()


@command(app, "attention-compare")
def attention_compare(
    models: Models,
    seq: Annotated[
        list[int], option("Lengths to compare at, 8k is 8192; a range is 1k:1M:x4.", reads="length", whole=True)
    ] = "512:32k:x4",  # type: ignore[assignment]
    batch: Annotated[int, option("Sequences.", reads="count")] = 1,
    variant: Annotated[
        list[str] | None,
        option(
            "A variant such as local:w=512, gqa:g=8 or dsa:k=2048; repeat. Default: seventeen. The first is the baseline.",
            "--variant",
            "-v",
            whole=True,
            offers=VARIANTS,
        ),
    ] = None,
    hardware: Annotated[
        str | None, option("Times on this machine, and its memory as budget: h100, auto.", offers=completing("hardware"))
    ] = None,
    budget: Annotated[int | None, option("Memory that gives each variant's longest prefill: 80GB.", reads="size")] = None,
    utilization: Annotated[float | None, option("Share of the accelerator's memory to use. Default: 90%.", reads="share")] = None,
    engine_: Annotated[
        str | None,
        option("Whose cache and reserves. Default: ideal (reserves nothing).", "--engine", offers="engines:ENGINES"),
    ] = None,
    dtype: Annotated[str, option("Of weights, activations and cache.", offers=DTYPES)] = "bf16",
    causal: Annotated[bool, option("Count only the pairs a causal mask leaves.", "--causal")] = False,
    measure: Annotated[
        str | None,
        option(
            "What to tabulate and draw by length: time, flops, memory, cache or traffic.",
            offers="report.attention_compare:MEASURES",
        ),
    ] = None,
    on_chip: Annotated[
        int | None, option("What tiles of keys may fill on the chip: 192KiB.", reads="size", group="Less common")
    ] = None,
    sparse_window: Annotated[int, option("w of local and Longformer.", reads="count", rare=True, needs="not variant")] = 256,
    stride: Annotated[int, option("k of strided.", reads="count", rare=True, needs="not variant")] = 128,
    globals_: Annotated[
        int, option("Global tokens of Longformer.", "--globals", reads="count", rare=True, needs="not variant")
    ] = 16,
    rank: Annotated[int, option("k of Linformer.", reads="count", rare=True, needs="not variant")] = 256,
    features: Annotated[int, option("r of Performer.", reads="count", rare=True, needs="not variant")] = 256,
) -> Item:
    """Exchange the attention of a model and compare FLOPs, memory, traffic, time, cache, reach and limits.

    \b
    llmcx attention-compare llama-3-8b --seq 1k:1M:x4 --hardware h100
    llmcx attention-compare llama-3-8b --seq 2k,8k,32k,128k --budget 80GB --plot -
    llmcx attention-compare gpt3 --variant flash --variant local:w=512
    llmcx attention-compare llama-3-8b --seq 16k --set sparse_window=512
    """
    asked = [parse_variant(text) for text in variant or ()]
    usual = answers.all_variants(sparse_window, stride, globals_, rank, features)
    within, program = serving(engine_ or "ideal", hardware, budget, utilization, {})
    machine = None if within.hardware is None else machine_of(within.hardware, dtype, on_chip=on_chip)
    by = measured(measure, machine is not None)
    spec, shape, notes = models.load()
    within, program = settled(within, program, spec, 1, budget, utilization, {})
    program = program.caching(dtype)
    lengths = seq if isinstance(seq, list) else units.many(seq, units.length, "--seq")
    variants = asked or answers.suited(spec, usual, program)
    tile = on_chip or answers.ON_CHIP
    result = answers.compare(
        spec,
        lengths,
        batch,
        variants=variants,
        dtype=dtype,
        ideal=causal,
        budget=within.bytes,
        machine=machine,
        on_chip=tile,
        engine=program,
    )
    inputs = {"seq": lengths, "batch": batch, "dtype": dtype, "causal": causal, "budget": within.bytes, **shape}
    inputs |= {"hardware": within.hardware and within.hardware.name, "utilization": within.utilization, "engine": program.name}
    inputs |= {"on_chip": machine.on_chip if machine else tile, "measure": by}
    about = (
        program.notes()
        + answers.notes(spec, variants, lengths, causal, machine)
        + differences(result.recommendation, result.limits)
    )
    if not asked and variants != usual:
        if program.name == "ideal":
            about.append("native sparse attention is left out: it is causal, and an encoder has no such form")
        else:
            named = ", ".join(variant.type for variant in usual if variant not in variants)
            about.append(f"left out, for {program.name} does not run them: {named}")
    asked_for = (variants, batch, dtype, causal, within.bytes, machine, inputs["on_chip"], program)
    lines = explaining("attention_compare", spec, result, *asked_for)
    head = heading("attention_compare", spec, inputs, result)
    return Item(describe(spec), inputs, result, about + notes, lines, head=head)
