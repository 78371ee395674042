"""llmcx attention-compare."""

from typing import Annotated

import typer

from llmcx.cli.options import Models, Output, command, describe, single
from llmcx.core import compare as core
from llmcx.core.variants import parse_variant
from llmcx.report.render import Item
from llmcx.spec import units

app = single()


@command(app)
def attention_compare(
    models: Models,
    output: Output,
    seq: Annotated[str, typer.Option(help="Lengths to compare at; 8k is 8192.")] = "512,2048,8192,32768",
    batch: Annotated[str, typer.Option(help="Sequences.")] = "1",
    variant: Annotated[
        list[str] | None, typer.Option("--variant", "-v", help="A core such as local:w=512; repeat. Default: all seven.")
    ] = None,
    sparse_window: Annotated[str, typer.Option(help="w of local and Longformer.")] = "256",
    stride: Annotated[str, typer.Option(help="k of strided.")] = "128",
    globals_: Annotated[str, typer.Option("--globals", help="Global tokens of Longformer.")] = "16",
    rank: Annotated[str, typer.Option(help="k of Linformer.")] = "256",
    features: Annotated[str, typer.Option(help="r of Performer.")] = "256",
    dtype: Annotated[str, typer.Option(help="Of weights, activations and cache.")] = "bf16",
    causal: Annotated[bool, typer.Option("--causal", help="Count only the pairs a causal mask leaves.")] = False,
    budget: Annotated[str | None, typer.Option(help="Memory that gives each variant's longest prefill: 80GB.")] = None,
) -> None:
    """Exchange the attention core of a model and compare FLOPs, memory, cache, reach and limits.

    \b
    llmcx attention-compare --preset llama-3-8b --seq 2k,8k,32k,128k --budget 80GB
    llmcx attention-compare --preset gpt3 --variant flash --variant local:w=512
    llmcx attention-compare --layers 1 --d-model 1024 --vocab 32000 --seq 16384 --sparse-window 256
    """
    one = units.count
    cores = [parse_variant(text) for text in variant or ()] or core.all_variants(
        one(sparse_window, "--sparse-window"),
        one(stride, "--stride"),
        one(globals_, "--globals"),
        one(rank, "--rank"),
        one(features, "--features"),
    )
    lengths = units.many(seq, units.length, "--seq")
    limit = None if budget is None else units.size(budget, "--budget")
    size = one(batch, "--batch")
    items = []
    for spec, shape, notes in models.each():
        result = core.compare(spec, lengths, size, variants=cores, dtype=dtype, ideal=causal, budget=limit)
        inputs = {"seq": lengths, "batch": size, "dtype": dtype, "causal": causal, "budget": limit, **shape}
        items.append(Item(describe(spec), inputs, result, core.notes(spec, cores, lengths, causal) + notes))
    output.show("attention-compare", items)
