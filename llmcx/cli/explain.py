"""llmcx explain: every formula, with symbols, units, source and an example."""

from dataclasses import replace
from typing import Annotated

from llmcx import explain as topics
from llmcx.cli.models import Models, describe
from llmcx.cli.options import Output, argument, command, option, single
from llmcx.errors import InputError
from llmcx.report import render
from llmcx.report.explain import show

app = single()


@command(app)
def explain(
    topic: Annotated[
        str | None, argument("kv-cache, linear, flops.scores, gqa, chinchilla, ...", "TOPIC", offers="explain:names")
    ] = None,
    models: Models = Models(),  # noqa: B008
    seq: Annotated[
        int | None, option("With a model: tokens of a sequence; 8k is 8192. Default: the context.", reads="length")
    ] = None,
    batch: Annotated[int | None, option("With a model: sequences. Default: 1.", reads="count")] = None,
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
    every: Annotated[bool, option("Without a topic: name all, each rule and format too.", "--list")] = False,
    plain: Annotated[bool, option("In words, for a screen reader.", "--plain")] = False,
) -> None:
    """A formula with its symbols, units, a worked example, its limits and source; without a topic, what there is to read.

    \b
    llmcx explain
    llmcx explain kv-cache
    llmcx explain flops.scores
    llmcx explain gqa llama-2-7b --seq 4k
    llmcx explain chapter
    llmcx explain --list
    llmcx explain chinchilla --json | jq -r '.result.formulas[].formula'
    """
    chosen = Output(json=json, format=format, plain=plain).chosen()
    if chosen == "csv":
        problem = "explain is text, of which CSV has none; give json, jsonl, markdown or table"
        raise InputError(problem, field="format", value=chosen)
    if topic is not None and isinstance(models.model, str) and topics.known(f"{topic}-{models.model}"):
        topic, models = f"{topic}-{models.model}", replace(models, model=None)  # two words, as people say it
    named = models.model is not None or bool(models.shape())
    if topic is None:
        if named or seq is not None:
            raise InputError("give a topic, whose formula the model's numbers are put into", field="topic")
        item = render.Item(None, {"list": every}, topics.listed(every), [])
    elif topic.strip().lower() == "chapter" and not every:
        from llmcx.explain.tour import MODELS, tour

        if named or seq is not None or batch is not None:
            raise InputError(f"the chapter is told on {' and '.join(MODELS.values())}: give no model", field="topic", value=topic)
        item = render.Item(None, {"topic": topic}, tour(), [])
    elif every:
        raise InputError("--list names all topics, so give no topic beside it", field="list", value=topic)
    elif named:
        spec, shape, notes = models.load()
        asked = {"topic": topic, "seq": seq, "batch": batch or 1} | shape
        item = render.Item(describe(spec), asked, topics.topic(topic, spec, batch or 1, seq), notes)
    else:
        if seq is not None or batch is not None:
            raise InputError("--seq and --batch are a model's: name one, e.g. llama-3-8b", field="seq", value=seq)
        item = render.Item(None, {"topic": topic}, topics.topic(topic), [])
    if chosen in ("json", "jsonl"):
        render.show("explain", [item], "explain", chosen)
        return
    show(item.result, chosen, item.model["name"] if item.model else None)
