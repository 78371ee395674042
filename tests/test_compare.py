"""llmcx compare: what differs, by how much, and why; changes that add up, and that turn round with the sides."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcx.catalog.presets import names
from tests.helpers import data, here

ROOT = Path(__file__).resolve().parent.parent


def compared(*words: str) -> Any:
    return data("compare", *words)["result"]


def figure(result: Any, command: str, name: str) -> Any:
    [row] = [row for row in result["figures"] if (row["command"], row["figure"]) == (command, name)]
    return row


def test_by_hand_more_key_value_heads() -> None:
    """Llama 3 8B has 32 layers of width 4096 with 8 key-value heads of 128; with 32 of them, keys and values are 4096 wide."""
    result = compared("llama-3-8b", "llama-3-8b --kv-heads 32", "--seq", "8k", "--batch", "2")
    assert result["spec"] == [{"path": "decoder[0].mixer.n_kv_heads", "a": 8, "b": 32}]
    assert result["inputs"] == [{"path": "kv_heads", "a": None, "b": 32}]
    more = 32 * 4096 * (32 - 8) * 128  # of the keys, and as many of the values
    total = figure(result, "params", "total")
    assert (total["a"], total["b"], total["change"]) == (8_030_261_248, 8_030_261_248 + 2 * more, 2 * more)
    assert total["relative"] == 2 * more / 8_030_261_248
    params, flops, memory = result["why"]
    assert {row["component"]: row["change"] for row in params["causes"]} == {"attention.k": more, "attention.v": more}
    assert {row["component"]: row["change"] for row in flops["causes"]} == dict.fromkeys(
        ("attention.k", "attention.v"), 2 * 2 * 8192 * more
    )
    assert {row["component"]: row["change"] for row in memory["causes"]} == {
        "weights": 2 * 2 * more,
        "kv_cache": 2 * 2 * 32 * 2 * 8192 * 24 * 128,
    }
    k = params["causes"][0]
    assert [line["value"] for line in k["a_terms"]] == [k["a"]] and [line["value"] for line in k["b_terms"]] == [k["b"]]
    assert k["a_terms"][0]["numbers"] == "32·4,096·1,024"


def test_two_models() -> None:
    """Mistral 7B is Llama 3 8B with a smaller vocabulary, a longer context, and a window (Jiang et al. 2023, table 1)."""
    result = compared("llama-3-8b", "mistral-7b", "--seq", "4k")
    paths = {row["path"]: (row["a"], row["b"]) for row in result["spec"]}
    assert paths == {
        "embedding.vocab": (128_256, 32_000),
        "decoder[0].mixer.head_dim": (None, 128),
        "decoder[0].mixer.core.type": ("standard", "sliding"),
        "decoder[0].mixer.core.window": (None, 4096),
        "context": (8192, 32_768),
    }
    assert result["inputs"] == []
    assert figure(result, "params", "total")["change"] == 7_241_732_096 - 8_030_261_248 == 2 * (32_000 - 128_256) * 4096
    assert [row["component"] for row in result["why"][0]["causes"]] == ["embedding.tokens", "head"]
    assert (result["a"]["name"], result["b"]["title"]) == ("llama-3-8b", "Mistral 7B")


def test_two_settings() -> None:
    result = compared("llama-3-8b --seq 8k", "llama-3-8b --seq 32k --dtype fp8", "--with", "memory")
    assert result["inputs"] == [{"path": "seq", "a": 8192, "b": 32768}, {"path": "dtype", "a": "bf16", "b": "fp8"}]
    assert result["spec"] == []
    changes = {row["component"]: row["change"] for row in result["why"][0]["causes"]}
    assert changes["weights"] == -8_030_261_248 and changes["kv_cache"] == 3 * 2 * 2 * 32 * 8 * 128 * 8192
    whole = data("compare", "llama-3-8b", "llama-3-8b", "--dtype", "q4_k_m")
    assert [row["path"] for row in whole["result"]["inputs"]] == []  # memory judges the format; params counts


SIDES = st.builds(
    " ".join,
    st.tuples(
        st.sampled_from(names()),
        st.sampled_from(["", "--batch 3"]),
        st.sampled_from(["--seq 64", "--seq 512"]),
        st.sampled_from(["", "--train", "--train --zero 3 --gpus 8"]),
    ),
)


@settings(max_examples=40, deadline=None)
@given(a=SIDES, b=SIDES)
def test_changes_add_up_and_turn_round(a: str, b: str) -> None:
    there, back = compared(a, b), compared(b, a)
    for why in there["why"]:
        first = next(row for row in there["figures"] if row["command"] == why["command"])
        assert first["figure"] == why["figure"]
        assert sum(cause["change"] for cause in why["causes"]) == why["change"] == first["change"] == first["b"] - first["a"]
        assert all(cause["change"] == cause["b"] - cause["a"] != 0 for cause in why["causes"])
        sizes = [abs(cause["change"]) for cause in why["causes"]]
        assert sizes == sorted(sizes, reverse=True)
        for cause in why["causes"]:
            if why["command"] != "memory":
                for side in ("a", "b"):
                    assert sum(line["value"] for line in cause[f"{side}_terms"]) == cause[side]
    assert [row["change"] for row in back["figures"]] == [-row["change"] for row in there["figures"]]
    assert [why["change"] for why in back["why"]] == [-why["change"] for why in there["why"]]
    for name in ("spec", "inputs"):
        turned = [{"path": row["path"], "a": row["b"], "b": row["a"]} for row in back[name]]
        assert sorted(turned, key=lambda row: row["path"]) == sorted(there[name], key=lambda row: row["path"])


@settings(max_examples=20, deadline=None)
@given(a=SIDES)
def test_nothing_differs_from_itself(a: str) -> None:
    result = compared(a, a)
    assert result["spec"] == result["inputs"] == []
    assert all(row["change"] == 0 and row["relative"] in (0, None) for row in result["figures"])
    assert all(why["change"] == 0 and why["causes"] == [] for why in result["why"])


def test_an_alias_with_a_slash_is_a_preset() -> None:
    assert not data("compare", "Qwen/Qwen3-0.6B", "qwen3-0.6b", "--with", "params")["result"]["spec"]


def test_files_and_stdin() -> None:
    config = (ROOT / "docs" / "config.json").read_bytes()
    by_file = compared(str(ROOT / "docs" / "config.json"), "gpt2", "--seq", "64")
    end = here("compare", "-", "gpt2", "--seq", "64", "--json", stdin=config)
    assert end.code == 0
    piped = json.loads(end.out)["result"]
    assert (piped["figures"], piped["spec"]) == (by_file["figures"], by_file["spec"])
    shape = compared("--layers 2 --d-model 64 --vocab 100", "--layers 4 --d-model 64 --vocab 100", "--with", "params")
    assert shape["spec"] == [{"path": "decoder[0].repeat", "a": 2, "b": 4}]


@pytest.mark.parametrize(
    "pair", [("llama-3-8b", "mistral-7b"), ("gpt3", "gpt3 --seq 1k"), ("mixtral-8x7b", "deepseek-v3"), ("gpt2", "gpt2")]
)
def test_formats(monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    asked = [*pair, "--seq", "512"] if "--seq" not in pair[1] else [*pair]
    whole = data("compare", *asked)
    end = here("compare", *asked)
    assert (end.code, end.err) == (0, "")
    assert max(map(len, end.out.splitlines())) <= 80
    assert "figure" in end.out and ("why: parameters" in end.out) == any(why["change"] for why in whole["result"]["why"][:1])
    rows = list(csv.DictReader(io.StringIO(here("compare", *asked, "--format", "csv").out)))
    figures = [row for row in rows if not row["component"]]
    assert [row["a"] for row in figures] == [str(row["a"]) for row in whole["result"]["figures"]]
    assert len(rows) - len(figures) == sum(len(why["causes"]) for why in whole["result"]["why"])
    markdown = here("compare", *asked, "--format", "markdown").out
    assert "| figure | A | B | change | relative |" in markdown
    explained = json.loads(here("compare", *asked, "--explain", "--json").out)["explain"]
    assert here("compare", *asked, "--explain").out.count("source:") == len(explained)


def test_both_sides_at_the_shorter_context() -> None:
    """Llama 3 8B has 8,192 tokens of context, Mistral 7B 32,768: at its own length each, the lengths would be what differs."""
    found = data("compare", "llama-3-8b", "mistral-7b")
    assert not found["result"]["inputs"]
    assert "8,192" in found["notes"][0]
    flops = {row["figure"]: row for row in found["result"]["figures"] if row["command"] == "flops"}
    # The layers are of one shape; the heads, 4096 x 128,256 and 4096 x 32,000, are not.
    assert flops["forward.total"]["change"] == 2 * 8192 * 4096 * (32_000 - 128_256)


def test_a_length_on_one_side_is_that_sides_own() -> None:
    found = data("compare", "llama-3-8b --seq 1k", "llama-3-8b")["result"]
    assert {row["path"]: (row["a"], row["b"]) for row in found["inputs"]} == {"seq": (1024, 8192)}


def test_bytes_of_weights_are_memorys_where_it_is_asked() -> None:
    """fp8 halves them: 8,030,261,248 bytes less one for each parameter of two."""
    found = data("compare", "llama-3-8b", "llama-3-8b --dtype fp8")["result"]
    assert "bytes" not in {row["figure"] for row in found["figures"]}
    [causes] = [why["causes"] for why in found["why"] if why["command"] == "memory"]
    assert {cause["component"]: cause["change"] for cause in causes} == {"weights": -8_030_261_248}


def test_a_number_format_counts_where_memory_is_not_asked() -> None:
    """GPT-2's 124,439,808 parameters take two bytes each in bf16, one in fp8."""
    found = data("compare", "gpt2", "gpt2 --dtype fp8", "--with", "params,flops")["result"]
    assert figure(found, "params", "bytes")["change"] == -124_439_808


def test_serving_where_an_accelerator_is_named() -> None:
    """Llama 2 7B has 32 key-value heads, Llama 3 8B 8 of the same width: fewer users share an H100, whose price is the same."""
    asked = ["llama-3-8b", "llama-2-7b", "--seq", "2k"]
    found = compared(*asked, "--hardware", "h100")
    assert "serve" not in {row["command"] for row in compared(*asked)["figures"]}
    cache = figure(found, "memory", "kv_bytes_per_token")
    assert (cache["a"], cache["b"]) == (2 * 2 * 32 * 8 * 128, 2 * 2 * 32 * 32 * 128)
    users, speed, cost = (figure(found, "serve", f) for f in ("largest_batch", "last.tokens_per_s_gpu", "last.usd_per_million"))
    assert users["a"] > 3 * users["b"] and speed["a"] > speed["b"]
    price = data("serve", "llama-3-8b", "--hardware", "h100")["inputs"]["price"]
    for side in "ab":
        assert cost[side] == pytest.approx(price / 3600 / speed[side] * 1e6, rel=1e-9)
    assert not re.search(r"\de[+-]\d", here("compare", *asked, "--hardware", "h100").out)  # a difference of milliseconds
