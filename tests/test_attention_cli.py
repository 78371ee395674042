"""attention-compare from the command line: ranges, machines, plots, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmcx.model.variants import VARIANTS, label, parse_variant
from tests.helpers import data, here

TYPED = """
    standard flash causal_flash ring:p=8 sliding:w=64 chunked:w=64 local:w=256 strided:k=64 fixed:k=128,c=8 linear mha mqa gqa:g=4
    longformer:w=512,g=16,m=2 bigbird:b=64,w=5 reformer:c=64,h=4 linformer:k=256 performer:r=256 mla:c=256 mla_naive mla_absorbed
    dsa:k=2048 gated_delta mamba2:n=64 nsa:n=8
"""


@pytest.mark.parametrize("text", TYPED.split())
@pytest.mark.parametrize("command", ["params", "flops", "memory"])
def test_every_command_accepts_every_variant(command: str, text: str) -> None:
    assert label(parse_variant(text)) == text
    data(command, "llama-3-8b", "--attention", text)


def test_no_variant_is_left_out() -> None:
    assert {text.partition(":")[0] for text in TYPED.split()} == set(VARIANTS)


def test_an_encoder_has_no_causal_blocks() -> None:
    """Native sparse attention is left out of the default set, with a word; asked for by name it is refused."""
    out = data("attention-compare", "bert-base", "--seq", "512")
    assert "nsa" not in {row["variant"].partition(":")[0] for row in out["result"]["rows"]}
    assert any("native sparse attention is left out" in note for note in out["notes"])
    assert not any("left out" in note for note in data("attention-compare", "bert-base", "-v", "flash")["notes"])


def test_a_range_of_lengths() -> None:
    result = data("attention-compare", "llama-3-8b", "--seq", "1k:1M:x4", "-v", "flash")["result"]
    assert [row["seq"] for row in result["rows"]] == [2**10, 2**12, 2**14, 2**16, 2**18, 2**20]


def test_a_machine_decides_by_traffic() -> None:
    """As many FLOPs, but eager waits for memory and flash for arithmetic."""
    given = "--seq 16k --hardware h100 -v standard -v flash -v causal_flash"
    standard, flash, causal = data("attention-compare", "llama-3-8b", *given.split())["result"]["rows"]
    assert standard["core_flops"] == flash["core_flops"] == 4 * 16384**2 * 4096 * 32
    assert (standard["binds"], flash["binds"]) == ("memory", "compute")
    assert flash["core_seconds"] == pytest.approx(4 * 16384**2 * 4096 / 989.4e12)  # one layer, at the peak rate
    assert standard["core_seconds"] > 4 * flash["core_seconds"] > 7 * causal["core_seconds"]
    assert standard["pairs"] == 16384**2 and causal["pairs"] == 16384 * 16385 // 2


def test_the_chips_size_is_an_input() -> None:
    given = ("llama-3-8b", "--seq", "64k", "-v", "flash")
    small, large = (data("attention-compare", *given, "--on-chip", size)["result"]["rows"][0] for size in ("128KiB", "256KiB"))
    assert small["traffic_bytes"] > 1.9 * large["traffic_bytes"]


def test_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole table of six lengths, and no column dropped from it."""
    monkeypatch.setenv("COLUMNS", "80")
    given = "attention-compare llama-3-8b --seq 1k:1M:x4 --hardware h100"
    out = here(*given.split()).out
    head, recommendation, table = (part.splitlines() for part in out.split("\n\n")[:3])
    assert "Llama 3 8B" in head[0] and recommendation[0] == "Recommendation"
    assert table[1].split() == ["variant", "1k", "4k", "16k", "64k", "256k", "1M"]
    assert max(map(len, table)) <= 80


def test_a_plot_in_the_terminal() -> None:
    out = here(*["attention-compare", "gpt3", "--seq", "1k:64k:x4", "-v", "flash", "-v", "linear", "--plot", "-"]).out
    ends = [line.rpartition("│")[2].strip() for line in out.splitlines()]
    assert [end for end in ends if end in ("flash", "linear")] == ["flash", "linear"] and "\x1b" not in out


def test_a_plot_in_a_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    data("attention-compare", "gpt3", "-v", "flash", "--plot", str(tmp_path / "plot.svg"))
    assert "<svg" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def advised(*args: str) -> tuple[str, str]:
    """The variant recommended at one length, and why."""
    [said] = data("attention-compare", "llama-3-8b", *args)["result"]["recommendation"]
    return said["variant"], said["reason"]


def test_advice_where_nothing_exact_fits() -> None:
    """Llama 3 8B caches 2 · 32 · 8 · 128 · 2 B = 131,072 B a token: 524,288 tokens, 68.7 GB, do not fit into 80 GB
    beside 16.06 GB of weights. A linear attention caches none.
    """
    assert 524_288 * 131_072 + 16_060_522_496 > 80e9
    variant, reason = advised("--seq", "512k", "--budget", "80GB", "-v", "flash", "-v", "linear")
    assert variant == "linear"
    [longest] = re.findall(r"no exact attention fits the budget, only up to ([\d,]+) tokens", reason)
    assert 0 < int(longest.replace(",", "")) <= (80e9 - 16_060_522_496) / 131_072
    variant, reason = advised("--seq", "512k", "--budget", "80GB", "-v", "flash", "-v", "standard")
    assert variant == "flash" and re.search("nothing .*connects the tokens", reason)


def test_advice_among_approximations() -> None:
    """64 neighbours to a side in 32 layers reach 2,048 tokens, not 524,288."""
    assert advised("--seq", "512k", "-v", "local:w=64", "-v", "linear")[0] == "linear"
    assert "connects" in advised("--seq", "512k", "-v", "local:w=64")[1]
