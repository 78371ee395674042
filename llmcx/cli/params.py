"""llmcx params."""

from typing import Annotated

import typer

from llmcx.cli.options import Models, Output, command, describe, single
from llmcx.core import params as core
from llmcx.report.render import Item
from llmcx.report.views import PARAMS

app = single()


@command(app)
def params(
    models: Models,
    output: Output,
    dtype: Annotated[str, typer.Option(help="Of the weights: fp32, tf32, bf16, fp16, fp8, int8, int4.")] = "bf16",
) -> None:
    """Count parameters: total, active, per component, and their bytes.

    \b
    llmcx params --preset gpt3
    llmcx params --preset llama-3-8b --preset mixtral-8x7b
    llmcx params --layers 48 --d-model 4096 --vocab 32000
    llmcx params --preset llama-2-70b --kv-heads 1,8,64 --dtype int4
    llmcx presets show gpt3 --json | llmcx params --config -
    """
    items = [
        Item(describe(spec), {"dtype": dtype, **shape}, core.params(spec, dtype), notes) for spec, shape, notes in models.each()
    ]
    output.show("params", items, PARAMS)
