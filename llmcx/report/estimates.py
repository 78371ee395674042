"""How accelerators and the estimates that rest on them read."""

from __future__ import annotations

from typing import Any

from llmcx.report.format import count
from llmcx.report.render import Item, View, title
from llmcx.report.table import Column, Fact, Table, facts_table, raw_table


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
    rows: list[dict[str, Any]] = []

    def add(figure: str, value: float, unit: str, source: str, detail: str = "") -> None:
        text = f"{value:g} {unit}{detail}"
        rows.append({"figure": figure, "value": value, "unit": unit, "text": text, "source": source})

    for dtype, rate in one.dense_tflops.items():
        add(f"dense {dtype}", rate, "TFLOP/s", one.source_of("dense_tflops"))
    add("memory", one.memory_gb, "GB", one.source_of("memory_gb"))
    add("memory bandwidth", one.memory_gb_per_s, "GB/s", one.source_of("memory_gb_per_s"))
    for figure, link, key in (("scale-up", one.scale_up, "scale_up"), ("scale-out", one.scale_out, "scale_out")):
        if link is not None:
            among = f" among {link.size:,}" if link.size else ""
            add(figure, link.gb_per_s, "GB/s", one.source_of(key), f"{among}, {link.link}")
    if one.tdp_w is not None:
        add("power", one.tdp_w, "W", one.source_of("tdp_w"))
    if one.on_chip is not None:
        chip = one.on_chip
        add("processors", chip.units, chip.unit, one.source_of("on_chip"))
        for figure, size, unit in (
            ("shared memory", chip.shared_kib, f"KiB per {chip.unit}"),
            ("L2 cache", chip.l2_mib, "MiB"),
            ("last-level cache", chip.last_level_mib, "MiB"),
        ):
            if size is not None:
                add(figure, size, unit, one.source_of("on_chip"))
    if one.usd_per_hour is not None:
        price = one.usd_per_hour
        add("price", price.usd, "USD/h", f"{price.source}, {price.date}")
    columns = [Column("figure", ""), Column("text", "value"), Column("source", "source", "text", 1)]
    return [Table(one.title, columns, rows, keys=("figure", "value", "unit", "source"))]


ACCELERATOR = View(lambda item: [], _accelerator_tables)


# --- train ----------------------------------------------------------------------------------------------------------


def _train_facts(item: Item) -> list[Fact]:
    t = item.result["training"]
    e = t.estimate
    return [
        Fact("days", "days", e.days, "float"),
        Fact("gpu_hours", "GPU-hours", e.gpu_hours, "count"),
        Fact("mfu", "MFU", e.mfu, "share"),
        Fact("usd", "USD", e.usd, "count"),
        Fact("bytes", "memory per GPU", round(t.memory_bytes), "bytes"),
    ]


_RESULTS = (
    ("step_s", "seconds per step", "float"),
    ("days", "days", "float"),
    ("gpu_hours", "GPU-hours", "count"),
    ("tokens_per_s_gpu", "tokens/s per GPU", "float"),
    ("mfu", "MFU", "share"),
    ("hfu", "HFU", "share"),
    ("usd", "USD", "count"),
    ("energy_kwh", "kWh", "count"),
    ("co2_kg", "kg CO2", "count"),
)


def _train_tables(item: Item) -> list[Table]:
    from llmcx.engines.training_time import SPENT_ON  # there already, where there is a result of it

    t, inputs = item.result["training"], item.inputs
    rows = [
        {"quantity": name, "kind": kind, "ideal": getattr(t.ideal, key), "estimate": getattr(t.estimate, key)}
        for key, name, kind in _RESULTS
    ]
    columns = [Column("quantity", ""), Column("ideal", "ideal bound", "cell"), Column("estimate", "estimate", "cell")]
    heading = f"{title(item)} · {count(t.tokens)} tokens on {t.gpus:,} x {inputs['hardware']} · {inputs['layout']}"
    tables = [Table(heading, columns, rows)]
    parts = [
        {"part": SPENT_ON[part], "ideal": t.ideal.step[part], "estimate": spent, "share": spent / t.estimate.step_s}
        for part, spent in t.estimate.step.items()
        if spent or t.ideal.step[part]
    ]
    columns = [
        Column("part", "of one step, s"),
        Column("ideal", "ideal", "float"),
        Column("estimate", "estimate", "float"),
        Column("share", "share", "share"),
    ]
    tables.append(Table("", columns, parts))
    memory = [{"part": part, "bytes": round(size)} for part, size in t.memory._asdict().items()]
    total = {"part": "fullest GPU", "bytes": round(t.memory_bytes)}
    tables.append(Table("", [Column("part", "memory"), Column("bytes", "bytes", "size")], memory, total))
    plan = item.result["plan"]
    if plan is not None:
        best = plan["best"][0]["step_s"]
        columns = [
            Column("layout", "layout"),
            Column("step_s", "s/step", "float"),
            Column("slower", "to the best", "factor", 2),
            Column("bytes", "memory", "bytes"),
        ]
        for key, heading in (("best", "Fastest layouts that fit"), ("near", "Faster still, but too large")):
            rows = [row | {"slower": row["step_s"] / best} for row in plan[key]]
            if rows:
                tables.append(Table(heading, columns, rows))
    return tables


def _train_data(item: Item) -> Table:
    """For a CSV: the results, the parts of a step and of the memory, by their names in JSON."""
    t = item.result["training"]
    rows = [{"name": key, "ideal": getattr(t.ideal, key), "estimate": getattr(t.estimate, key)} for key, *_ in _RESULTS]
    rows += [{"name": f"step.{part}", "ideal": t.ideal.step[part], "estimate": s} for part, s in t.estimate.step.items()]
    rows += [{"name": f"memory.{part}", "ideal": None, "estimate": size} for part, size in t.memory._asdict().items()]
    return raw_table(rows)


TRAIN = View(_train_facts, _train_tables, _train_data)


# --- serve ----------------------------------------------------------------------------------------------------------


def _serve_facts(item: Item) -> list[Fact]:
    s = item.result
    last = s.estimate[-1]
    return [
        Fact("largest_batch", "largest batch", s.largest_batch, "int"),
        Fact("ttft_ms", "first token, ms", 1e3 * s.estimate[0].ttft_s, "float"),
        Fact("tpot_ms", "per token alone, ms", 1e3 * s.estimate[0].tpot_s, "float"),
        Fact("tokens_per_s_gpu", "tokens/s per GPU", last.tokens_per_s_gpu, "float"),
        Fact("usd_per_million", "USD per million tokens", last.usd_per_million, "float"),
    ]


def _serve_tables(item: Item) -> list[Table]:
    s, inputs = item.result, item.inputs
    heading = f"{title(item)} · {s.gpus} x {inputs['hardware']} · {inputs['prompt']:,} tokens in, {inputs['output']:,} out"
    rows = [
        {
            "batch": real.batch,
            "ttft_ms": 1e3 * real.ttft_s,
            "tpot_ms": 1e3 * real.tpot_s,
            "ideal_tpot_ms": 1e3 * ideal.tpot_s,
            "tokens_per_s_user": real.tokens_per_s_user,
            "tokens_per_s_gpu": real.tokens_per_s_gpu,
            "ideal_tokens_per_s_gpu": ideal.tokens_per_s_gpu,
            "usd_per_million": real.usd_per_million,
            "bound": real.bound,
        }
        for ideal, real in zip(s.ideal, s.estimate, strict=True)
    ]
    columns = [
        Column("batch", "users", "int"),
        Column("ttft_ms", "first, ms", "float", 4),
        Column("tpot_ms", "ms/token", "float"),
        Column("ideal_tpot_ms", "ideal", "float", 1),
        Column("tokens_per_s_user", "tok/s user", "float", 5),
        Column("tokens_per_s_gpu", "tok/s GPU", "float"),
        Column("ideal_tokens_per_s_gpu", "ideal", "float", 2),
        Column("usd_per_million", "USD/M", "float", 3),
        Column("bound", "bound by", "text", 6),
    ]
    facts = [
        Fact("largest_batch", "largest batch", s.largest_batch, "int"),
        Fact("weights", "weights per GPU", round(s.weight_bytes_per_gpu), "bytes"),
        Fact("cache", "cache per sequence and GPU", round(s.cache_bytes_per_sequence), "bytes"),
        Fact("prefill", "prompt tokens/s, one prompt at a time", s.prefill_tokens_per_s, "float"),
    ]
    return [Table(heading, columns, rows), facts_table("", facts)]


SERVE = View(_serve_facts, _serve_tables)
