"""llmcx hardware: list, show."""

from typing import Annotated

from llmcx.catalog import data as catalog
from llmcx.catalog.index import ROOT, data_of, names
from llmcx.cli.options import argument, command, completing, option, single
from llmcx.machine.hardware import summary
from llmcx.machine.roofline import Roofline, roofs
from llmcx.report.render import Answer, Item

app = single()
Name = Annotated[str, argument("An accelerator or an alias.", "NAME", offers=completing("hardware"))]
NOTES = [
    "peaks are dense TFLOP/s of the widest 16-bit format (and fp8); figures that need structured sparsity are never used",
    "links: GB/s each way per accelerator; prices are dated defaults, override them with --price",
]


def _vendors(incomplete: str) -> list[str]:
    found = {data_of(ROOT / "hardware" / f"{name}.yaml")["vendor"].lower() for name in names("hardware")}
    return sorted(vendor for vendor in found if vendor.startswith(incomplete.lower()))


@command(app, "hardware")
def _list(vendor: Annotated[str | None, option("Only this vendor, e.g. NVIDIA.", offers=_vendors)] = None) -> list[Item]:
    """Every accelerator: dense peak, memory, links, power, price.

    \b
    llmcx hardware list
    llmcx hardware list --vendor amd --format csv
    """
    known, notes = catalog.listed()
    rows = [summary(one) for one in known if vendor is None or one.vendor.lower() == vendor.lower()]
    return [Item(None, {"vendor": vendor}, rows, [*NOTES, *notes])]


@command(app, "hardware")
def show(name: Name) -> Answer:
    """One accelerator, every figure with its source.

    \b
    llmcx hardware show h100
    llmcx hardware show mi300x --json
    """
    one = catalog.load_hardware(name)
    sources = [f"source: {one.source}", *(f"source of {figure}: {text}" for figure, text in (one.sources or {}).items())]
    notes = [*sources, *one.notes, *(f"{figure} is unconfirmed" for figure in one.unconfirmed)]
    return Answer([Item(None, {"name": name}, one, notes, more=lambda: Roofline(roofs(one), []))], "accelerator")
