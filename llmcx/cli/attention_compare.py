"""llmcx attention-compare."""

from typing import Annotated

from llmcx import units
from llmcx.answers import attention_compare as core
from llmcx.answers.advice import differences
from llmcx.cli.options import DTYPES, VARIANTS, Models, command, completing, describe, explaining, option, single
from llmcx.model.variants import parse_variant
from llmcx.report.attention_compare import measured
from llmcx.report.render import Item

app = single()


@command(app, "attention-compare")
def attention_compare(
    models: Models,
    seq: Annotated[str, option("Lengths to compare at, 8k is 8192; a range is 1k:1M:x4.")] = "512:32k:x4",
    batch: Annotated[str, option("Sequences.")] = "1",
    variant: Annotated[
        list[str] | None,
        option(
            "A variant such as local:w=512, gqa:g=8 or dsa:k=2048; repeat. Default: seventeen. The first is the baseline.",
            "--variant",
            "-v",
            metavar="CORE",
            offers=VARIANTS,
        ),
    ] = None,
    hardware: Annotated[
        str | None, option("Times on this machine, and its memory as budget.", offers=completing("hardware"))
    ] = None,
    on_chip: Annotated[str | None, option("What tiles of keys may fill on the chip: 192KiB.")] = None,
    sparse_window: Annotated[str, option("w of local and Longformer.")] = "256",
    stride: Annotated[str, option("k of strided.")] = "128",
    globals_: Annotated[str, option("Global tokens of Longformer.", "--globals")] = "16",
    rank: Annotated[str, option("k of Linformer.")] = "256",
    features: Annotated[str, option("r of Performer.")] = "256",
    dtype: Annotated[str, option("Of weights, activations and cache.", offers=DTYPES)] = "bf16",
    causal: Annotated[bool, option("Count only the pairs a causal mask leaves.", "--causal")] = False,
    budget: Annotated[str | None, option("Memory that gives each variant's longest prefill: 80GB.")] = None,
    measure: Annotated[
        str | None,
        option(
            "What to tabulate and draw by length: time, flops, memory, cache or traffic.",
            offers="report.attention_compare:MEASURES",
        ),
    ] = None,
) -> list[Item]:
    """Exchange the attention of a model and compare FLOPs, memory, traffic, time, cache, reach and limits.

    \b
    llmcx attention-compare --preset llama-3-8b --seq 1k:1M:x4 --hardware h100
    llmcx attention-compare --preset llama-3-8b --seq 2k,8k,32k,128k --budget 80GB --plot -
    llmcx attention-compare --preset gpt3 --variant flash --variant local:w=512
    llmcx attention-compare --layers 1 --d-model 1024 --vocab 32000 --seq 16384 --sparse-window 256
    """
    asked = [parse_variant(text) for text in variant or ()]
    settings = {"sparse-window": sparse_window, "stride": stride, "globals": globals_, "rank": rank, "features": features}
    usual = core.all_variants(*(units.count(text, f"--{name}") for name, text in settings.items()))
    lengths = units.many(seq, units.length, "--seq")
    limit = None if budget is None else units.size(budget, "--budget")
    chip = None if on_chip is None else units.size(on_chip, "--on-chip")
    size = units.count(batch, "--batch")
    machine = None
    if hardware is not None:
        from llmcx.catalog.data import load_hardware
        from llmcx.machine.roofline import machine as machine_of

        one_of = load_hardware(hardware)
        machine = machine_of(one_of, dtype, on_chip=chip)
        limit = one_of.memory_bytes if limit is None else limit
    by = measured(measure, machine is not None)
    items = []
    for spec, shape, notes in models.each():
        variants = asked or core.suited(spec, usual)
        tile = chip or core.ON_CHIP
        result = core.compare(
            spec, lengths, size, variants=variants, dtype=dtype, ideal=causal, budget=limit, machine=machine, on_chip=tile
        )
        inputs = {"seq": lengths, "batch": size, "dtype": dtype, "causal": causal, "budget": limit, **shape}
        inputs |= {"hardware": hardware, "on_chip": machine.on_chip if machine else tile, "measure": by}
        extra = core.notes(spec, variants, lengths, causal, machine) + differences(result.recommendation, result.limits)
        if not asked and variants != usual:
            extra.append("native sparse attention is left out: it is causal, and an encoder has no such form")
        lines = explaining("attention_compare", spec, result, variants, size, dtype, causal, inputs["on_chip"])
        items.append(Item(describe(spec), inputs, result, extra + notes, lines))
    return items
