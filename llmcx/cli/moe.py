"""llmcx moe."""

from typing import Annotated

import typer

from llmcx.cli.options import Models, Output, command, describe, single
from llmcx.core import moe as core
from llmcx.core.flops import sequence_length
from llmcx.report.render import Item
from llmcx.spec import units

app = single()


@command(app)
def moe(
    models: Models,
    output: Output,
    seq: Annotated[str | None, typer.Option(help="Tokens per sequence; 8k is 8192. Default: the context.")] = None,
    batch: Annotated[str, typer.Option(help="Sequences.")] = "1",
    capacity_factor: Annotated[float | None, typer.Option(help="Room of an expert over an even share.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the activations sent between GPUs.")] = "bf16",
) -> None:
    """Mixture of experts: total and active parameters, capacity, traffic, and the dense models it compares with.

    \b
    llmcx moe --preset mixtral-8x7b
    llmcx moe --preset switch-c --capacity-factor 1.25
    llmcx moe --preset llama-3-8b --experts 8 --top-k 2
    """
    items = []
    for spec, shape, notes in models.each():
        for length in [None] if seq is None else units.many(seq, units.length, "--seq"):
            for size in units.many(batch, units.count, "--batch"):
                n = sequence_length(spec, length)
                result = core.moe(spec, size, n, capacity_factor=capacity_factor, dtype=dtype)
                inputs = {"batch": size, "seq": n, "capacity_factor": capacity_factor, "dtype": dtype, **shape}
                items.append(Item(describe(spec), inputs, result, [*core.NOTES, *notes]))
    output.show("moe", items)
