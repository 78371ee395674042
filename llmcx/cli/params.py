"""llmcx params."""

import os
from dataclasses import replace
from typing import Annotated

from llmcx.answers import params as core
from llmcx.cli.options import DTYPES, Models, command, describe, explaining, option, single
from llmcx.report.render import Answer, Item

app = single()


@command(app, "params")
def params(
    models: Models,
    dtype: Annotated[str, option("Of the weights: fp32, tf32, bf16, fp16, fp8, int8, int4.", offers=DTYPES)] = "bf16",
    weights: Annotated[
        str | None, option("Safetensors or GGUF, a file or a directory: what is stored, beside the count.", metavar="PATH")
    ] = None,
) -> list[Item] | Answer:
    """Count parameters: total, active, per component, and their bytes.

    \b
    llmcx params --preset gpt3
    llmcx params --preset llama-3-8b --preset mixtral-8x7b
    llmcx params --layers 48 --d-model 4096 --vocab 32000
    llmcx params --preset llama-2-70b --kv-heads 1,8,64 --dtype int4
    llmcx params --config ./config.json
    llmcx params --weights ./model-directory
    llmcx presets show gpt3 --json | llmcx params --config -
    """
    if weights is None:
        items = []
        for spec, shape, notes in models.each():
            found = core.params(spec, dtype)
            items.append(Item(describe(spec), {"dtype": dtype, **shape}, found, notes, explaining("params", spec, found)))
        return items
    from llmcx.huggingface.weights import Compared, read

    stored = read(weights)
    config = os.path.join(weights, "config.json")
    named = models.preset or models.config or models.hf
    if not named and os.path.isfile(config):
        models, named = replace(models, config=[config]), [config]
    if not named:
        note = "no config.json beside the weights and no model named, so there is nothing to compare with"
        return Answer([Item(None, {"weights": weights}, {"stored": stored, "counted": None}, [note])], "stored")
    items = []
    for spec, shape, notes in models.each():
        counted = core.params(spec, dtype)
        result: Compared = {"stored": stored, "counted": counted.total, "difference": stored.elements - counted.total}
        lines = explaining("params", spec, counted, stored.elements, rows="with_stored")
        note = "files may also hold buffers, a second copy of tied weights, scales of quantised formats, or lack what is tied"
        items.append(Item(describe(spec), {"weights": weights, **shape}, result, [note, *notes], lines))
    return Answer(items, "stored")
