"""llmcx presets: list, show, path, validate."""

from dataclasses import replace
from typing import Annotated

import typer

from llmcx.cli.options import Output, _presets, command, describe, single
from llmcx.core import params as core
from llmcx.report.render import Item
from llmcx.spec import presets as store
from llmcx.spec import units

app = single()
Name = Annotated[str, typer.Argument(metavar="NAME", help="A preset or an alias.", autocompletion=_presets)]


@command(app)
def _list(
    output: Output,
    family: Annotated[str | None, typer.Option(help="Only this family, e.g. llama.")] = None,
    year: Annotated[int | None, typer.Option(help="Only this year.")] = None,
    at_least: Annotated[str, typer.Option(metavar="N", help="Only models of N parameters or more, e.g. 7B.")] = "0",
    at_most: Annotated[str | None, typer.Option(metavar="N", help="Only models of up to N parameters.")] = None,
    moe: Annotated[bool, typer.Option("--moe", help="Only mixtures of experts.")] = False,
) -> None:
    """Every built-in model, its exact and its published size.

    \b
    llmcx presets list
    llmcx presets list --family llama --at-least 30B
    llmcx presets list --moe --format csv
    """
    least = units.count(at_least, "--at-least")
    most = None if at_most is None else units.count(at_most, "--at-most")
    rows = []
    for name in store.names():
        spec = store.load_preset(name)
        sizes = core.params(spec)
        if (family and spec.family != family) or (year and spec.year != year) or (moe and sizes.active == sizes.total):
            continue
        if sizes.total < least or (most is not None and sizes.total > most):
            continue
        rows.append(
            {
                "name": name,
                "family": spec.family,
                "year": spec.year,
                "total": sizes.total,
                "active": sizes.active,
                "published": spec.published_params,
                "context": spec.context,
                "aliases": list(spec.aliases),
                "title": spec.title,
            }
        )
    output.show("presets", [Item(None, {}, rows, [])])


@command(app)
def show(name: Name, output: Output) -> None:
    """A preset as it would be written in a file; --json feeds --config -.

    \b
    llmcx presets show llama-3-8b
    llmcx presets show gpt3 --json | llmcx params --config -
    """
    data = store.load_data(name)
    spec = store.load_preset(name)
    if output.json or output.format not in (None, "table"):
        output.show("presets", [Item(describe(spec), {"name": name}, data, [])], "preset")
    else:
        typer.echo(store.path_of(name).read_text(encoding="utf-8"), nl=False)


@command(app)
def path(name: Name) -> None:
    """Where a preset's file is."""
    typer.echo(store.path_of(name))


@command(app)
def from_config(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A Hugging Face config.json; - is stdin.")],
    name: Annotated[str | None, typer.Option(help="Name of the preset. Default: the folder's or the file's.")] = None,
    as_type: Annotated[str | None, typer.Option("--as", metavar="TYPE", help="Read it as this model_type.")] = None,
) -> None:
    """A config.json as a preset file, on stdout.

    \b
    llmcx presets from-config ./config.json --name my-model > my-model.yaml
    llmcx params --config my-model.yaml
    """
    from llmcx.spec.build import to_yaml
    from llmcx.spec.load import load_config

    spec = load_config(file, as_type)
    typer.echo(to_yaml(spec if name is None else replace(spec, name=name)), nl=False)


@command(app)
def validate(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A model in YAML or JSON; - is stdin.")],
    output: Output,
) -> None:
    """Check a model file and count it; exit 2 with the field at fault otherwise.

    \b
    llmcx presets validate my-model.yaml
    """
    from llmcx.spec.load import load_config

    spec = load_config(file)
    output.show("params", [Item(describe(spec), {"dtype": "bf16"}, core.params(spec), list(spec.assumes))])
