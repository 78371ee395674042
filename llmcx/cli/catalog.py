"""llmcx catalog: the models and accelerators that are built in, and one's own files."""

from dataclasses import replace
from typing import Annotated

import typer

from llmcx.catalog import data as accelerators
from llmcx.catalog import presets as store
from llmcx.catalog.build import to_yaml
from llmcx.catalog.files import parse, read_text
from llmcx.catalog.index import ROOT, data_of, indexed, names, offered
from llmcx.catalog.load import load_config
from llmcx.cli.models import describe
from llmcx.cli.options import PRESETS, Output, argument, command, explaining, heading, option, single
from llmcx.errors import InputError, unknown_name
from llmcx.machine.hardware import summary
from llmcx.machine.roofline import Roofline, roofs
from llmcx.report.render import Answer, Item

app = single()
NOTES = [
    "peaks are dense TFLOP/s of the widest 16-bit format (and fp8); figures that need structured sparsity are never used",
    "links: GB/s each way per accelerator; prices are dated defaults, override them with --price",
]


def families(incomplete: str) -> list[str]:
    """Of the presets, those that begin so."""
    found = {(indexed(name) or {"data": {"family": ""}})["data"]["family"] for name in store.names()}
    return sorted(family for family in found if family and family.startswith(incomplete))


def licenses(incomplete: str) -> list[str]:
    """Of the presets, those that begin so."""
    found = {(indexed(name) or {"data": {}})["data"].get("license") for name in store.names()}
    return sorted(license for license in found if license and license.startswith(incomplete))


def _vendors(incomplete: str) -> list[str]:
    found = {data_of(ROOT / "hardware" / f"{name}.yaml")["vendor"].lower() for name in names("hardware")}
    return sorted(vendor for vendor in found if vendor.startswith(incomplete.lower()))


def _anything(incomplete: str) -> list[str]:
    return PRESETS(incomplete) + [name for name in offered("hardware") if name.startswith(incomplete)]


Name = Annotated[
    str, argument("A preset or an accelerator, by name or alias; an accelerator's FILE.yaml.", "NAME", offers=_anything)
]
Preset = Annotated[str, argument("A preset or an alias.", "NAME", offers=PRESETS)]


@command(app, "presets", without=("plot", "explain", "detail"))
def models(
    family: Annotated[str | None, option("Only families that begin so, e.g. llama or qwen3.", offers=families)] = None,
    license_: Annotated[
        str | None, option("Only licences that begin so, e.g. apache or mit.", "--license", offers=licenses)
    ] = None,
    moe: Annotated[bool | None, option("Only mixtures of experts, or only dense models.", "--moe/--dense")] = None,
    at_least: Annotated[int, option("Only models of N parameters or more, e.g. 7B.", reads="count")] = 0,
    at_most: Annotated[int | None, option("Only models of up to N parameters.", reads="count")] = None,
    context: Annotated[int, option("Only models of N tokens of context or more, e.g. 128k.", reads="length")] = 0,
    year: Annotated[int | None, option("Only this year.", reads="integer")] = None,
) -> Item:
    """Every built-in model, and those of plugins: family, exact size, active size, context, year.

    \b
    llmcx catalog models
    llmcx catalog models --family llama --at-least 30B
    llmcx catalog models --moe --context 128k --format csv
    """
    more, notes = store.plugin_summaries()
    rows = store.summaries() + more
    known = sorted({row["family"] for row in rows})
    if family is not None and not any(each.startswith(family.lower()) for each in known):
        raise unknown_name("family", family, known, field="family")
    stated = sorted({row["license"] for row in rows if row["license"]})
    if license_ is not None and not any(each.startswith(license_.lower()) for each in stated):
        raise unknown_name("license", license_, stated, field="license")
    rows = [
        row
        for row in rows
        if (family is None or row["family"].startswith(family.lower()))
        and (license_ is None or (row["license"] or "").startswith(license_.lower()))
        and (moe is None or moe == (row["active"] != row["total"]))
        and row["total"] >= at_least
        and (at_most is None or row["total"] <= at_most)
        and (row["context"] or 0) >= context
        and (year is None or row["year"] == year)
    ]
    return Item(None, {}, rows, notes if rows else ["no preset fits", *notes])


@command(app, "hardware", without=("plot", "explain", "detail"))
def hardware(vendor: Annotated[str | None, option("Only this vendor, e.g. NVIDIA.", offers=_vendors)] = None) -> Item:
    """Every accelerator, by maker: dense peak, memory, links, power, price.

    \b
    llmcx catalog hardware
    llmcx catalog hardware --vendor amd --format csv
    """
    known, notes = accelerators.listed()
    vendors = sorted({one.vendor for one in known})
    if vendor is not None and vendor.lower() not in map(str.lower, vendors):
        raise unknown_name("vendor", vendor, vendors, field="vendor")
    rows = [summary(one) for one in known if vendor is None or one.vendor.lower() == vendor.lower()]
    return Item(None, {"vendor": vendor}, rows, [*NOTES, *notes])


@command(app)
def show(name: Name, output: Output) -> None:
    """A preset as it would be written in a file, or an accelerator, every figure with its source.

    \b
    llmcx catalog show llama-3-8b
    llmcx catalog show h100
    llmcx catalog show my-accelerator.yaml
    llmcx catalog show gpt3 --json | llmcx params -
    """
    chosen = output.chosen()
    if accelerators.is_hardware(name) or _of_an_accelerator(name):
        output.show("hardware", _accelerator(name), chosen)
        return
    try:
        data = store.load_data(name)
    except InputError as error:
        if error.field != "preset":
            raise
        every = [*store.offered(), *offered("hardware")]
        lists = "catalog models` or `llmcx catalog hardware"
        raise unknown_name("preset or accelerator", name, every, field="name", listed=lists) from None
    if chosen not in ("table", "plain") or output.plot is not None or output.explain:
        spec = store.load_preset(name)
        output.show("presets", Answer([Item(describe(spec), {"name": name}, data, [])], "preset"), chosen)
    else:
        typer.echo(store.path_of(name).read_text(encoding="utf-8"), nl=False)


def _of_an_accelerator(name: str) -> bool:
    """Whether this is a file, and not a model's. Raises InputError for one that cannot be read."""
    if not name.lower().endswith((".yaml", ".yml")):
        return False
    if "d_model" in parse(read_text(name), name):
        problem = f"{name} is a model's file; `llmcx catalog validate {name}` checks it"
        raise InputError(problem, field="name", value=name)
    return True


def _accelerator(name: str) -> Answer:
    """An accelerator's figures."""
    one = accelerators.load_hardware(name)
    sources = [f"source: {one.source}", *(f"source of {figure}: {text}" for figure, text in (one.sources or {}).items())]
    notes = [*sources, *one.notes, *(f"{figure} is unconfirmed" for figure in one.unconfirmed)]
    return Answer([Item(None, {"name": name}, one, notes, more=lambda: Roofline(roofs(one), []))], "accelerator")


@command(app)
def path(name: Preset) -> None:
    """Where a preset's file is."""
    typer.echo(store.path_of(name))


@command(app)
def from_config(
    file: Annotated[str, argument("A Hugging Face config.json; - is stdin.", "FILE")],
    name: Annotated[str | None, option("Name of the preset. Default: the folder's or the file's.")] = None,
    as_type: Annotated[
        str | None, option("Read it as this model_type.", "--as", metavar="TYPE", offers="huggingface:WHERE")
    ] = None,
    ignore: Annotated[
        list[str] | None,
        option("A key that is known to cost nothing; repeat.", "--ignore", reads="words", metavar="KEY", whole=True),
    ] = None,
) -> None:
    """A config.json as a preset file, on stdout.

    \b
    llmcx catalog from-config ./config.json --name my-model > my-model.yaml
    llmcx params my-model.yaml
    """
    spec = load_config(file, as_type, ignore or ())
    typer.echo(to_yaml(spec if name is None else replace(spec, name=name)), nl=False)


@command(app, "params")
def validate(file: Annotated[str, argument("A model in YAML or JSON; - is stdin.", "FILE")]) -> Item:
    """Check a model's file and count it; exit 2 with the field at fault otherwise. An accelerator's: llmcx catalog show FILE.

    \b
    llmcx catalog validate my-model.yaml
    """
    from llmcx.answers.params import params

    if file.lower().endswith((".yaml", ".yml")) and "dense_tflops" in parse(read_text(file), file):
        problem = f"{file} is an accelerator's file; `llmcx catalog show {file}` checks it"
        raise InputError(problem, field="file", value=file)
    spec = load_config(file)
    found, inputs = params(spec), {"dtype": "bf16"}
    lines, head = explaining("params", spec, found), heading("params", spec, inputs, found)
    return Item(describe(spec), inputs, found, list(spec.assumes), lines, head=head)
