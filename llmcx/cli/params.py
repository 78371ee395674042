"""llmcx params."""

from typing import Annotated

from llmcx.answers import params as answers
from llmcx.cli.models import Models, beside, describe, stored_notes
from llmcx.cli.options import command, explaining, heading, option, single
from llmcx.report.render import Answer, Item

app = single()


@command(app, "params")
def params(
    models: Models,
    dtype: Annotated[
        str | None,
        option(
            "Of the weights: bf16, fp8, int4, q4_k_m, awq, ... Default: as released.",
            offers="formats.dtypes:BITS formats.schemes:SCHEMES formats.gguf:MIXES",
            needs="not weights",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        option(
            "Safetensors or GGUF, a file, a directory or ORG/NAME on the hub: what is stored, beside the count.",
            reads="text",
            metavar="PATH",
        ),
    ] = None,
    textbook: Annotated[
        bool, option("Beside it the textbook's 12 L d² + V d.", "--textbook", group="Less common", needs="not weights")
    ] = False,
) -> Item | Answer:
    """Count parameters: total, active, per component, and their bytes.

    \b
    llmcx params gpt3
    llmcx params llama-3-8b mixtral-8x7b
    llmcx params --layers 48 --d-model 4096 --vocab 32000
    llmcx params llama-2-70b --kv-heads 1,8,64 --dtype int4
    llmcx params ./config.json
    llmcx params --weights ./model-directory
    llmcx catalog show gpt3 --json | llmcx params -
    """
    if weights is not None:
        return _stored(models, weights, dtype)
    spec, shape, notes = models.load()
    found = answers.params(spec, dtype)
    inputs = {"dtype": found.dtype, **shape} | ({"textbook": True} if textbook else {})
    lines = explaining("params", spec, found)
    notes = [*stored_notes(spec, dtype), *notes]
    return Item(describe(spec), inputs, found, notes, lines, head=heading("params", spec, inputs, found))


def _stored(models: Models, path: str, dtype: str | None) -> Answer:
    """What files hold, beside the count of the model that is named, or of the config.json beside them."""
    from llmcx.huggingface.files import read
    from llmcx.huggingface.weights import Compared

    stored, models = read(path), beside(models, path)
    if models.model is None and not models.shape():
        note = "no config.json beside the weights and no model named, so there is nothing to compare with"
        return Answer([Item(None, {"weights": path}, {"stored": stored, "counted": None}, [note])], "stored")
    spec, shape, notes = models.load()
    counted = answers.params(spec, dtype)
    result: Compared = {"stored": stored, "counted": counted.total, "difference": stored.elements - counted.total}
    lines = explaining("params", spec, counted, stored.elements, rows="with_stored")
    note = "files may also hold buffers, a second copy of tied weights, scales of quantised formats, or lack what is tied"
    return Answer([Item(describe(spec), {"weights": path, **shape}, result, [note, *notes], lines)], "stored")
