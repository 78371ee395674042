"""Older versions of vLLM beside their own planners (tests/oracle/vllm_lines.py), and beside starts that were logged."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.catalog.load import load_preset
from llmcx.engines.inference_memory import held, kept
from llmcx.engines.pages import Layout as Pages
from llmcx.engines.vllm import VLLM
from llmcx.engines.vllm_lines import LINES, Line
from llmcx.errors import InputError
from llmcx.model.run import step_at
from llmcx.parallel.division import division
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import stages
from llmcx.parallel.ranks import pieces
from tests.helpers import between, write_between
from tests.test_vllm import BY_OPTION, UNKNOWN, model

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/engines.md"
GOLDEN = json.loads((ROOT / "tests/oracle/vllm_lines.json").read_text(encoding="utf-8"))
CONFIGS = {
    name: case["config"]
    for name, case in json.loads((ROOT / "tests/oracle/vllm.json").read_text(encoding="utf-8"))["cases"].items()
}
ROWS = [
    (version, name, i)
    for version, of in GOLDEN.items()
    for name, rows in of["cases"].items()
    if name not in BY_OPTION | UNKNOWN
    for i in range(len(rows))
]


def pages(version: str, name: str, row: dict[str, Any]) -> tuple[VLLM, Pages]:
    """llmcx's pages of a case."""
    spec, layout = model(CONFIGS[name]), Layout(tp=row["tp"])
    engine = VLLM(max_num_batched_tokens=row["batched"], version=version)
    [stage] = stages(spec.runs, 1)
    layers = kept(spec, pieces(spec, step_at(1), division(layout)), stage)
    return engine, engine.layout(layers, 1 if row["cache"] == "fp8" else 2)


def plans(version: str, name: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """What llmcx makes of the memories and lengths of a row."""
    found = []
    try:
        engine, layout = pages(version, name, row)
    except InputError as refused:
        return [{"memory": plan["memory"], "length": plan["length"], "refused": refused.message} for plan in row["plans"]]
    for plan in row["plans"]:
        blocks = plan["memory"] // layout.block_bytes
        tokens, requests = engine.capacity(layout, blocks, plan["length"])
        groups = sorted(group.layers for group in layout.groups)
        found.append({**plan, "blocks": blocks, "tokens": tokens, "concurrency": requests, "groups": groups})
    return found


@pytest.mark.parametrize(("version", "name", "at"), ROWS)
def test_blocks_tokens_and_concurrency_are_that_versions(version: str, name: str, at: int) -> None:
    row = GOLDEN[version]["cases"][name][at]
    wanted = [plan | ({"groups": sorted(plan["groups"])} if "groups" in plan else {}) for plan in row["plans"]]
    found = plans(version, name, row)
    assert [{**plan, "refused": True} if "refused" in plan else plan for plan in found] == [
        {**plan, "refused": True} if "refused" in plan else plan for plan in wanted
    ]


# --- starts before 0.15 ------------------------------------------------------------------------------------------------

GIB = 2**30


def starts() -> list[dict[str, str]]:
    with (ROOT / "tests/oracle/vllm_v0_starts.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def predicted(row: dict[str, str]) -> tuple[float, float]:
    """GiB of the activation peak and of the cache, with the weights as they were logged. Of 0.8.5 those are starts of its first
    engine, for cards older than Ampere.
    """
    version = "0.7" if row["version"][:3] in ("0.6", "0.8") else row["version"]
    tokens = int(row["tokens"]) if row["tokens"] else None
    engine = VLLM(16, tokens, int(row["sequences"] or 256), version, row["links"] == "host")
    layout = Layout(tp=int(row["tp"]))
    [gpu] = held(load_preset(row["shape"]), 1, int(row["length"]), layout, engine)
    peak = gpu.workspace / GIB
    outside = engine.outside(layout.tp, 1) / GIB
    pool = float(row["utilization"] or 0) * float(row["total"] or 0) - float(row["weights"]) - peak - outside
    return peak, pool


def test_activation_peaks_before_the_samplers_kernel() -> None:
    """One constant, bytes of a logit that is sorted, from three models; held to eleven starts of seven others."""
    tested = [row for row in starts() if row["role"] == "test" and row["activations"]]
    assert len(tested) >= 9 and not {row["shape"] for row in tested} & {row["shape"] for row in starts() if row["role"] == "fit"}
    off = [predicted(row)[0] / float(row["activations"]) - 1 for row in tested]
    assert max(map(abs, off)) < 0.03, off


def test_pools_before_the_samplers_kernel() -> None:
    off = {row["model"]: predicted(row)[1] - float(row["cache"]) for row in starts() if row["cache"]}
    assert max(map(abs, off.values())) < 0.21, off


def test_a_block_of_the_first_engine() -> None:
    """As 0.8.5's CacheEngine says it."""
    tried = 0
    for version, name, at in ROWS:
        row = GOLDEN[version]["cases"][name][at]
        if "first" in row:
            _, layout = pages("0.7", name, row)
            assert layout.block_bytes == row["first"], (name, row["tp"])
            tried += 1
    assert tried >= 20


def test_enough_architectures() -> None:
    """Three older lines and more, each with the architectures that it has."""
    counts = {version: len(of["cases"]) for version, of in GOLDEN.items()}
    assert len(counts) >= 4 and min(counts.values()) >= 12 and sum(count >= 25 for count in counts.values()) >= 3
    assert all(any(of.asked == version.partition(".post")[0] for of in LINES) for version in GOLDEN)


# --- the table in docs/engines.md ------------------------------------------------------------------------------------


def _span(of: Line) -> str:
    first, last = (".".join(map(str, end)) for end in (of.first, of.last))
    return first if first == last else f"{first} to {last}"


def _plans(of: Line) -> str:
    if not of.grouped:
        return "every layer keeps every token"
    said = ["windows" + ("" if of.chunked else ", not chunks,") + " in groups"]
    said += ["the next step's tokens too"] if of.ahead else []
    said += [] if of.equalised else ["pages of one size only"]
    said += ["groups as wide as the commonest kind"] if of.widest else []
    return "; ".join(said)


def table() -> str:
    """Line by line: what it plans and reserves, and how many plans are its own."""
    rows = ["| versions | the plan | bytes a logit | outside of torch, GiB: one GPU, linked, through the host | asked | equal |"]
    rows.append("| --- | --- | ---: | --- | --- | ---: |")
    for of in LINES:
        equal = ""
        for version in GOLDEN:
            if of.asked == version.partition(".post")[0] and not of.by_length:
                mine = [(version, name, i) for v, name, i in ROWS if v == version]
                tried = [
                    (plans(*row[:2], found), found["plans"])
                    for row in mine
                    for found in [GOLDEN[version]["cases"][row[1]][row[2]]]
                ]
                same = sum(_same(a, b) for found, wanted in tried for a, b in zip(found, wanted, strict=True))
                equal = f"{same} of {sum(len(wanted) for _, wanted in tried)}"
        sizes = ", ".join(f"{size / GIB:.2f}" for size in (of.alone, of.linked, of.hosted))
        rows.append(f"| {_span(of)} | {_plans(of)} | {of.logit:g} | {sizes} | {of.asked} | {equal} |")
    tested = [row for row in starts() if row["role"] == "test"]
    peaks = sorted(abs(predicted(row)[0] / float(row["activations"]) - 1) for row in tested if row["activations"])
    pools = sorted(abs(predicted(row)[1] / float(row["cache"]) - 1) for row in tested if row["cache"])
    summary = (
        f"Starts before 0.15 that gave no constant: activation peaks of {len(peaks)} within {peaks[-1]:.1%}; KV GiB of "
        f"{len(pools)}, with the weights as logged, median error {pools[len(pools) // 2]:.1%}, worst {pools[-1]:.1%}."
    )
    return "\n".join(rows) + f"\n\n{summary}"


def _same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    if "refused" in found or "refused" in wanted:
        return "refused" in found and "refused" in wanted
    return found == wanted | {"groups": sorted(wanted["groups"])}


def test_table_is_current() -> None:
    """`python tests/test_vllm_lines.py` writes it."""
    assert between(PAGE, "vllm versions") == table()


if __name__ == "__main__":
    write_between(PAGE, "vllm versions", table())
