"""llmcx hardware: list, show."""

from typing import Annotated

import typer

from llmcx.cli.options import command, completing, single
from llmcx.report.render import Answer, Item
from llmcx.spec import catalog

app = single()
Name = Annotated[str, typer.Argument(metavar="NAME", help="An accelerator or an alias.", autocompletion=completing("hardware"))]
NOTES = [
    "peaks are dense TFLOP/s of the widest 16-bit format (and fp8); figures that need structured sparsity are never used",
    "links: GB/s each way per accelerator; prices are dated defaults, override them with --price",
]


@command(app, "hardware")
def _list(
    vendor: Annotated[str | None, typer.Option(help="Only this vendor, e.g. NVIDIA.")] = None,
) -> list[Item]:
    """Every accelerator: dense peak, memory, links, power, price.

    \b
    llmcx hardware list
    llmcx hardware list --vendor amd --format csv
    """
    known = [catalog.load_hardware(name) for name in catalog.names("hardware")]
    rows = [
        {
            "name": one.name,
            "tflops": one.flops(one.dtype) / 1e12,
            "fp8_tflops": one.dense_tflops.get("fp8"),
            "memory_gb": one.memory_gb,
            "memory_gb_per_s": one.memory_gb_per_s,
            "scale_up_gb_per_s": one.scale_up and one.scale_up.gb_per_s,
            "domain": one.domain,
            "scale_out_gb_per_s": one.scale_out and one.scale_out.gb_per_s,
            "tdp_w": one.tdp_w,
            "usd_per_hour": one.usd_per_hour and one.usd_per_hour.usd,
            "vendor": one.vendor,
            "year": one.year,
            "title": one.title,
        }
        for one in known
        if vendor is None or one.vendor.lower() == vendor.lower()
    ]
    return [Item(None, {"vendor": vendor}, rows, NOTES)]


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
    return Answer([Item(None, {"name": name}, one, notes)], "accelerator")
