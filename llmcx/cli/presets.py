"""llmcx presets: list, show, path, validate."""

from dataclasses import replace
from typing import Annotated

import typer

from llmcx import units
from llmcx.catalog import presets as store
from llmcx.catalog.build import to_yaml
from llmcx.catalog.index import indexed
from llmcx.catalog.load import load_config
from llmcx.cli.options import PRESETS, Output, argument, command, describe, explaining, option, single
from llmcx.errors import unknown_name
from llmcx.report.render import Answer, Item

app = single()
Name = Annotated[str, argument("A preset or an alias.", "NAME", offers=PRESETS)]


def _families(incomplete: str) -> list[str]:
    found = {(indexed(name) or {"data": {"family": ""}})["data"]["family"] for name in store.names()}
    return sorted(family for family in found if family and family.startswith(incomplete))


@command(app, "presets")
def _list(
    family: Annotated[str | None, option("Only families that begin so, e.g. llama or qwen3.", offers=_families)] = None,
    moe: Annotated[bool | None, option("Only mixtures of experts, or only dense models.", "--moe/--dense")] = None,
    at_least: Annotated[str, option("Only models of N parameters or more, e.g. 7B.", metavar="N")] = "0",
    at_most: Annotated[str | None, option("Only models of up to N parameters.", metavar="N")] = None,
    context: Annotated[str, option("Only models of N tokens of context or more, e.g. 128k.", metavar="N")] = "0",
    year: Annotated[int | None, option("Only this year.")] = None,
) -> list[Item]:
    """Every built-in model, and those of plugins: family, exact size, active size, context, year.

    \b
    llmcx presets list
    llmcx presets list --family llama --at-least 30B
    llmcx presets list --moe --context 128k --format csv
    """
    least, tokens = units.count(at_least, "--at-least"), units.length(context, "--context")
    most = None if at_most is None else units.count(at_most, "--at-most")
    more, notes = store.plugin_summaries()
    rows = store.summaries() + more
    families = sorted({row["family"] for row in rows})
    if family is not None and not any(known.startswith(family.lower()) for known in families):
        raise unknown_name("family", family, families, field="--family")
    rows = [
        row
        for row in rows
        if (family is None or row["family"].startswith(family.lower()))
        and (moe is None or moe == (row["active"] != row["total"]))
        and row["total"] >= least
        and (most is None or row["total"] <= most)
        and (row["context"] or 0) >= tokens
        and (year is None or row["year"] == year)
    ]
    return [Item(None, {}, rows, notes if rows else ["no preset fits", *notes])]


@command(app)
def show(name: Name, output: Output) -> None:
    """A preset as it would be written in a file; --json feeds --config -.

    \b
    llmcx presets show llama-3-8b
    llmcx presets show gpt3 --json | llmcx params --config -
    """
    chosen = output.chosen()
    data = store.load_data(name)
    spec = store.load_preset(name)
    if chosen not in ("table", "plain") or output.plot is not None:
        output.show("presets", Answer([Item(describe(spec), {"name": name}, data, [])], "preset"), chosen)
    else:
        typer.echo(store.path_of(name).read_text(encoding="utf-8"), nl=False)


@command(app)
def path(name: Name) -> None:
    """Where a preset's file is."""
    typer.echo(store.path_of(name))


@command(app)
def from_config(
    file: Annotated[str, argument("A Hugging Face config.json; - is stdin.", "FILE")],
    name: Annotated[str | None, option("Name of the preset. Default: the folder's or the file's.")] = None,
    as_type: Annotated[
        str | None, option("Read it as this model_type.", "--as", metavar="TYPE", offers="huggingface:WHERE")
    ] = None,
) -> None:
    """A config.json as a preset file, on stdout.

    \b
    llmcx presets from-config ./config.json --name my-model > my-model.yaml
    llmcx params --config my-model.yaml
    """
    spec = load_config(file, as_type)
    typer.echo(to_yaml(spec if name is None else replace(spec, name=name)), nl=False)


@command(app, "params")
def validate(file: Annotated[str, argument("A model in YAML or JSON; - is stdin.", "FILE")]) -> list[Item]:
    """Check a model file and count it; exit 2 with the field at fault otherwise.

    \b
    llmcx presets validate my-model.yaml
    """
    from llmcx.answers.params import params

    spec = load_config(file)
    found = params(spec)
    return [Item(describe(spec), {"dtype": "bf16"}, found, list(spec.assumes), explaining("params", spec, found))]
