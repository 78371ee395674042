"""llmcx explain: every formula, with symbols, units, source and an example."""

from typing import Annotated

import typer

from llmcx import explain as topics
from llmcx import units
from llmcx.cli.options import Models, Output, argument, command, describe, option, single
from llmcx.errors import InputError
from llmcx.report import render
from llmcx.report.explain import show

app = single()


@command(app)
def explain(
    models: Models,
    topic: Annotated[
        str | None, argument("kv-cache, linear, flops.scores, gqa, chinchilla, ...", "TOPIC", offers="explain:names")
    ] = None,
    seq: Annotated[str | None, option("With a model: tokens per sequence; 8k is 8192. Default: the context.")] = None,
    batch: Annotated[str, option("With a model: sequences.")] = "1",
    json: Annotated[bool, option("JSON on stdout, the same as --format json.", "--json")] = False,
    format: Annotated[
        str | None,
        option(
            "table (text for reading, default), json, jsonl or markdown.",
            "--format",
            "-f",
            metavar="FORMAT",
            offers="table json jsonl markdown",
        ),
    ] = None,
    plain: Annotated[bool, option("In words, for a screen reader.", "--plain")] = False,
) -> None:
    """A formula with its symbols, units, source and an example computed on the spot; without a topic, the list of all.

    \b
    llmcx explain
    llmcx explain kv-cache
    llmcx explain flops.scores
    llmcx explain gqa --preset llama-2-7b --seq 4k
    llmcx explain chinchilla --json | jq -r '.result.formulas[].formula'
    """
    chosen = Output(json=json, format=format, plain=plain).chosen()
    if chosen == "csv":
        problem = "explain is text, of which CSV has none; give json, jsonl, markdown or table"
        raise InputError(problem, field="format", value=chosen)
    named = any(value is not None for value in vars(models).values())
    if topic is None:
        if named or seq is not None:
            raise InputError("give a topic, whose formula the model's numbers are put into", field="topic")
        found = [render.Item(None, {}, topics.listed(), [])]
    elif named:
        length, sequences = seq if seq is None else units.length(seq, "--seq"), units.count(batch, "--batch")
        asked = {"topic": topic, "seq": length, "batch": sequences}
        found = [
            render.Item(describe(spec), asked | shape, topics.topic(topic, spec, sequences, length), notes)
            for spec, shape, notes in models.each()
        ]
    else:
        if seq is not None or batch != "1":
            raise InputError("--seq and --batch are a model's: name one, e.g. --preset llama-3-8b", field="seq", value=seq)
        found = [render.Item(None, {"topic": topic}, topics.topic(topic), [])]
    if chosen in ("json", "jsonl"):
        render.show("explain", found, "explain", chosen, False)
        return
    for number, item in enumerate(found):
        if number:
            typer.echo()
        show(item.result, chosen, item.model["name"] if item.model else None)
