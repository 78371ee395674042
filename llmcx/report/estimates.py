"""How accelerators and the estimates that rest on them read."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmcx.report.format import cell
from llmcx.report.render import Item, View
from llmcx.report.table import Fact, Table, columns_of, facts_of, facts_table, raw_table


def _hardware_tables(item: Item) -> list[Table]:
    columns = columns_of(
        "name: accelerator | tflops: TFLOP/s (float) | fp8_tflops: fp8 (float 5) | memory_gb: GB (float) | "
        "memory_gb_per_s: GB/s (int) | scale_up_gb_per_s: scale-up (float 2) | domain: of (int 4) | "
        "scale_out_gb_per_s: scale-out (float 3) | tdp_w: W (int 1) | usd_per_hour: USD/h (float 6)"
    )
    return [Table("", columns, item.result)]


HARDWARE = View(_hardware_tables)


def _accelerator_tables(item: Item) -> list[Table]:
    one = item.result
    rows: list[dict[str, Any]] = []

    def add(figure: str, value: float | None, unit: str, key: str, detail: str = "", source: str = "") -> None:
        if value is not None:
            text = f"{value:g} {unit}{detail}"
            row = {"figure": figure, "value": value, "unit": unit, "text": text}
            rows.append(row | {"source": source or one.source_of(key)})

    for dtype, rate in one.dense_tflops.items():
        add(f"dense {dtype}", rate, "TFLOP/s", "dense_tflops")
    add("memory", one.memory_gb, "GB", "memory_gb")
    add("memory bandwidth", one.memory_gb_per_s, "GB/s", "memory_gb_per_s")
    for figure, link, key in (("scale-up", one.scale_up, "scale_up"), ("scale-out", one.scale_out, "scale_out")):
        if link is not None:
            among = f" among {link.size:,}" if link.size else ""
            add(figure, link.gb_per_s, "GB/s", key, f"{among}, {link.link}")
    add("power", one.tdp_w, "W", "tdp_w")
    if (chip := one.on_chip) is not None:
        add("processors", chip.units, chip.unit, "on_chip")
        add("shared memory", chip.shared_kib, f"KiB per {chip.unit}", "on_chip")
        add("L2 cache", chip.l2_mib, "MiB", "on_chip")
        add("last-level cache", chip.last_level_mib, "MiB", "on_chip")
    if (price := one.usd_per_hour) is not None:
        add("price", price.usd, "USD/h", "usd_per_hour", source=f"{price.source}, {price.date}")
    columns = columns_of("figure: | text: value | source: source (text 1)")
    return [Table(one.title, columns, rows, keys=("figure", "value", "unit", "source"))]


ACCELERATOR = View(_accelerator_tables)


def _train_facts(item: Item) -> list[Fact]:
    t = item.result.training
    facts = "days: days (float) | gpu_hours: GPU-hours (count) | mfu: MFU (share) | usd: USD (usd)"
    return facts_of(t.estimate, f"{facts} | bytes: memory per GPU (bytes)", bytes=round(t.memory_bytes))


_RESULTS = columns_of(
    "step_s: seconds per step (float) | days: days (float) | gpu_hours: GPU-hours (count) | "
    "tokens_per_s_gpu: tokens/s per GPU (float) | mfu: MFU (share) | hfu: HFU (share) | usd: USD (usd) | "
    "energy_kwh: kWh (count) | co2_kg: kg CO2 (count)"
)
"""Figures of a run, side by side: ideal and estimated."""


def _train_tables(item: Item, detail: bool = False) -> list[Table]:
    from llmcx.engines.training_step import SPENT_ON  # there already, where there is a result of it

    t = item.result.training
    rows = [
        {"quantity": name, "kind": kind, "ideal": getattr(t.ideal, key), "estimate": getattr(t.estimate, key)}
        | ({"measured": getattr(t.measured, key)} if t.measured is not None else {})
        | {"span": "" if (span := t.span(key)) is None else " to ".join(cell(each, kind) for each in span)}
        for key, name, kind, _ in _RESULTS
    ]
    own = "" if t.measured is None else " | measured: measured (cell)"
    columns = columns_of("quantity: | ideal: ideal bound (cell) | estimate: estimate (cell) | span: 10-90% (text 1)" + own)
    tables = [Table("", columns, rows)]
    parts = [
        {"part": SPENT_ON[part], "ideal": t.ideal.step[part], "estimate": spent, "share": spent / t.estimate.step_s}
        for part, spent in t.estimate.step.items()
        if spent or t.ideal.step[part]
    ]
    columns = columns_of("part: of one step, s | ideal: ideal (float) | estimate: estimate (float) | share: share (share)")
    tables.append(Table("", columns, parts))
    if detail:
        tables += _fullest(t)
    plan = item.result.plan
    if plan is not None:
        best = plan["best"][0]["step_s"]
        columns = columns_of("layout: layout | step_s: s/step (float) | slower: to the best (factor 2) | bytes: memory (bytes)")
        for key, heading in (("best", "Fastest layouts that fit"), ("near", "Faster still, but too large")):
            rows = [row | {"slower": row["step_s"] / best} for row in plan[key]]
            if rows:
                tables.append(Table(heading, columns, rows))
    return tables


def _fullest(t: Any) -> list[Table]:
    """Memory of the fullest GPU, part by part."""
    memory = [{"part": part, "bytes": round(size)} for part, size in t.memory._asdict().items()]
    total = {"part": "fullest GPU", "bytes": round(t.memory_bytes)}
    return [Table("", columns_of("part: memory | bytes: bytes (size)"), memory, total)]


def _train_data(item: Item) -> Table:
    """For a CSV: the results, the parts of a step and of the memory, by their names in JSON."""
    t = item.result.training
    rows = [{"name": key, "ideal": getattr(t.ideal, key), "estimate": getattr(t.estimate, key)} for key, *_ in _RESULTS]
    if t.measured is not None:
        rows = [row | {"measured": getattr(t.measured, row["name"])} for row in rows]
    rows += [{"name": f"step.{part}", "ideal": t.ideal.step[part], "estimate": s} for part, s in t.estimate.step.items()]
    rows += [{"name": f"memory.{part}", "ideal": None, "estimate": size} for part, size in t.memory._asdict().items()]
    return raw_table(rows)


TRAIN = View(_train_tables, _train_facts, _train_data, partial(_train_tables, detail=True))


def _serve_facts(item: Item) -> list[Fact]:
    s = item.result
    return facts_of(
        s.estimate[-1],
        "largest_batch: largest batch (int) | ttft_ms: first token, ms (float) | tpot_ms: per token alone, ms (float) | "
        "tokens_per_s_gpu: tokens/s per GPU (float) | usd_per_million: USD per million tokens (float)",
        largest_batch=s.largest_batch,
        ttft_ms=1e3 * s.estimate[0].ttft_s,
        tpot_ms=1e3 * s.estimate[0].tpot_s,
    )


def _serve_tables(item: Item, detail: bool = False) -> list[Table]:
    from llmcx.answers.serve import few  # there already

    s = item.result
    shown = ("batch", "tokens_per_s_user", "tokens_per_s_gpu", "usd_per_million", "bound")
    pairs = list(zip(s.ideal, s.estimate, strict=True))
    if not detail:
        pairs = few(pairs)
    rows = [
        {key: getattr(real, key) for key in shown}
        | {"ttft_ms": 1e3 * real.ttft_s, "tpot_ms": 1e3 * real.tpot_s, "ideal_tpot_ms": 1e3 * ideal.tpot_s}
        | {"ideal_tokens_per_s_gpu": ideal.tokens_per_s_gpu, "range": _range(real.tpot_range_s)}
        for ideal, real in pairs
    ]
    columns = columns_of(
        "batch: users (int) | ttft_ms: first, ms (float 4) | tpot_ms: ms/token (float) | range: 10-90% (text 2) | "
        "ideal_tpot_ms: ideal (float 3) | tokens_per_s_user: tok/s user (float 6) | tokens_per_s_gpu: tok/s GPU (float) | "
        "ideal_tokens_per_s_gpu: ideal (float 5) | usd_per_million: USD/M (float 3) | bound: bound by (text 7)"
    )
    facts = facts_of(
        s,
        "weights: weights on each GPU (size) | cache: cache of a sequence on each GPU (size) | "
        "prefill: prompt tokens/s, one prompt at a time (int)",
        weights=round(s.weight_bytes_per_gpu),
        cache=round(s.cache_bytes_per_sequence),
        prefill=round(s.prefill_tokens_per_s),
    )
    if s.arrivals is not None:
        facts = [*_arrival_facts(s.arrivals), *facts]
    found = [Table("", columns, rows), facts_table("", facts)]
    if len(s.estimate) == 1 and s.first.ttft_p50_s is not None:
        found.insert(1, _percentiles(s.first))
    return found


def _arrival_facts(of: Any) -> list[Fact]:
    return facts_of(
        of,
        "largest_rate: requests a second at most (float) | utilization: of them these are (share) | "
        "users: users at a time (float) | wait_share: wait for a place (share) | wait_ms: wait of all for a place, ms (float)",
        wait_ms=1e3 * of.wait_s,
    )


def _percentiles(one: Any) -> Table:
    """What so many requests, or tokens, lie below."""
    names = {"ttft": "first token, ms", "tpot": "per token of a request, ms", "itl": "from a token to the next, ms"}
    rows = [
        {"name": words} | {f"p{share}": 1e3 * getattr(one, f"{name}_p{share}_s") for share in (50, 90, 99)}
        for name, words in names.items()
    ]
    return Table("Over requests", columns_of("name: below (text) | p50: 50% (float) | p90: 90% (float) | p99: 99% (float)"), rows)


def _range(of: tuple[float, float] | None) -> str:
    return "" if of is None else "-".join(f"{1e3 * seconds:.3g}" for seconds in of)


def _serve_data(item: Item) -> Table:
    """For a CSV: every batch size, ideal and estimated."""
    s = item.result
    rows = []
    for ideal, real in zip(s.ideal, s.estimate, strict=True):
        bound = {key: value for key, value in vars(ideal).items() if key not in ("batch", "bound") and "_p" not in key[:7]}
        rows.append(vars(real) | {f"ideal_{key}": value for key, value in bound.items()})
    return raw_table(rows)


SERVE = View(_serve_tables, _serve_facts, _serve_data, partial(_serve_tables, detail=True))


def _check_facts(item: Item) -> list[Fact]:
    c = item.result
    held = "total_bytes: on the fullest GPU (size) | budget_bytes: to use (size)"
    if hasattr(c, "layout"):  # of training
        return [*facts_of(c, held), *_step_facts(c)]
    return facts_of(c, f"{held} | users: users at the stated length (int) | cache_tokens: tokens of cache (int)")


def _step_facts(c: Any) -> list[Fact]:
    """What a step comes to, where that is known."""
    of = c.estimate
    if of is None:
        return []
    told = "step_s: seconds of a step (float) | range: 10-90% | tokens_per_s_gpu: tokens/s per GPU (float) | mfu: MFU (share)"
    told += " | days: days of all steps (float)" if of.days is not None else ""
    told += " | usd: USD of all steps (float)" if of.usd is not None else ""
    low, high = of.step_range_s
    return facts_of(of, told, range=f"{low:.3g}-{high:.3g}")


def _check_tables(item: Item, detail: bool = False) -> list[Table]:
    c = item.result
    parts = [vars(part) for part in c.parts]
    tables = [Table("", columns_of("part: part | bytes: size (size) | formula: formula (text 1)"), parts)]
    if hasattr(c, "layout"):
        tables += [facts_table("", _step_facts(c))] if c.estimate is not None else []
    elif c.estimate:
        tables.append(_check_times(c))
    if detail and c.flags:
        read = [{"flag": one.flag, "value": one.value or "", "effect": one.effect} for one in c.flags]
        tables.append(Table("", columns_of("flag: flag | value: value (text) | effect: sets (text)"), read))
    return tables


def _check_times(c: Any) -> Table:
    """Of a server, for so many users."""
    rows = [
        {"batch": one.batch, "ttft_ms": 1e3 * one.ttft_s, "tpot_ms": 1e3 * one.tpot_s, "range": _range(one.tpot_range_s)}
        | {"tokens_per_s_user": one.tokens_per_s_user, "tokens_per_s_gpu": one.tokens_per_s_gpu}
        for one in c.estimate
    ]
    columns = (
        "batch: users (int) | ttft_ms: first, ms (float) | tpot_ms: ms/token (float) | range: 10-90% (text 2) | "
        "tokens_per_s_user: tok/s user (float) | tokens_per_s_gpu: tok/s GPU (float)"
    )
    return Table("", columns_of(columns), rows)


CHECK = View(_check_tables, _check_facts, details=partial(_check_tables, detail=True))
