"""How accelerators and the estimates that rest on them read."""

from __future__ import annotations

from .render import Item, View
from .table import Column, Table


def _hardware_tables(item: Item) -> list[Table]:
    columns = [
        Column("name", "accelerator"),
        Column("tflops", "TFLOP/s", "float"),
        Column("fp8_tflops", "fp8", "float", 5),
        Column("memory_gb", "GB", "float"),
        Column("memory_gb_per_s", "GB/s", "int"),
        Column("scale_up_gb_per_s", "scale-up", "float", 2),
        Column("domain", "of", "int", 4),
        Column("scale_out_gb_per_s", "scale-out", "float", 3),
        Column("tdp_w", "W", "int", 1),
        Column("usd_per_hour", "USD/h", "float", 6),
    ]
    return [Table("", columns, item.result)]


HARDWARE = View(lambda item: [], _hardware_tables)


def _accelerator_tables(item: Item) -> list[Table]:
    one = item.result
    rows = [
        {"figure": f"dense {dtype}", "value": f"{rate:g} TFLOP/s", "source": one.source_of("dense_tflops")}
        for dtype, rate in one.dense_tflops.items()
    ]

    def add(figure: str, value: str, key: str) -> None:
        rows.append({"figure": figure, "value": value, "source": one.source_of(key)})

    add("memory", f"{one.memory_gb:g} GB", "memory_gb")
    add("memory bandwidth", f"{one.memory_gb_per_s:g} GB/s", "memory_gb_per_s")
    for figure, link, key in (("scale-up", one.scale_up, "scale_up"), ("scale-out", one.scale_out, "scale_out")):
        if link is not None:
            among = f" among {link.size:,}" if link.size else ""
            add(figure, f"{link.gb_per_s:g} GB/s{among}, {link.link}", key)
    if one.tdp_w is not None:
        add("power", f"{one.tdp_w:g} W", "tdp_w")
    if one.on_chip is not None:
        chip = one.on_chip
        add("processors", f"{chip.units} {chip.unit}", "on_chip")
        for figure, size, unit in (
            ("shared memory", chip.shared_kib, f"KiB per {chip.unit}"),
            ("L2 cache", chip.l2_mib, "MiB"),
            ("last-level cache", chip.last_level_mib, "MiB"),
        ):
            if size is not None:
                add(figure, f"{size:g} {unit}", "on_chip")
    if one.usd_per_hour is not None:
        price = one.usd_per_hour
        rows.append({"figure": "price", "value": f"{price.usd:g} USD/h", "source": f"{price.source}, {price.date}"})
    return [Table(one.title, [Column("figure", ""), Column("value", "value"), Column("source", "source", "text", 1)], rows)]


ACCELERATOR = View(lambda item: [], _accelerator_tables)
