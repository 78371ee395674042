"""`llmcx explain`: every formula has its symbols, units, source and a computed example, and says what the code does."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import shlex
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcx
from llmcx.answers.shapes import model
from llmcx.catalog import data as catalog
from llmcx.catalog.load import load_preset
from llmcx.catalog.presets import names as presets
from llmcx.costs.kv_cache import cache_fold
from llmcx.errors import InputError
from llmcx.explain import NAMES, names, topic
from llmcx.explain.__main__ import text
from llmcx.explain.collect import drafts, find, made, synonyms
from llmcx.explain.formats import SCHEME_FORMULAS
from llmcx.explain.mixers import CACHED, PATTERNS, built
from llmcx.explain.quantities import QUANTITIES, TAUGHT
from llmcx.explain.rules import COSTS, SAMPLE, dims, hyphens
from llmcx.explain.slips import SLIPS
from llmcx.explain.symbols import short, used
from llmcx.formats import dtypes, gguf, quant
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model import cores, pairs, variants
from llmcx.model.lower import Run, lower
from llmcx.model.mixers import MIXERS
from llmcx.ops.fold import Fold
from llmcx.ops.op import KINDS
from tests.helpers import here

ROOT = Path(__file__).resolve().parent.parent
DRAFTS = drafts()


# --- every topic ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAFTS)
def test_each_has_formula_symbols_source_and_example(name: str) -> None:
    told = topic(name)
    assert told.title and told.text and told.group
    assert told.formulas and all(formula.formula and formula.source for formula in told.formulas)
    assert told.examples and all(example.asked and example.result for example in told.examples)
    known = {symbol.symbol for symbol in told.symbols}
    assert all(symbol.meaning and symbol.unit for symbol in told.symbols)
    unknown = {word for formula in told.formulas for word in used(formula.formula) if short(word) and word not in known}
    assert not unknown, f"symbols without a meaning: {unknown}"


MODELS = (
    *("llama-3-8b", "mixtral-8x7b", "gpt2", "deepseek-v3", "gpt-oss-20b", "mamba2-2.7b", "falcon-mamba-7b", "rwkv-4-3b"),
    *("qwen3-next-80b-a3b", "kimi-linear-48b-a3b", "lfm2-2.6b", "minimax-text-01", "recurrentgemma-9b", "zamba2-7b"),
    *("apertus-8b", "t5-base", "bert-base", "deepseek-v4-flash"),
)
RELEASED = {part.type for name in presets() for run in load_preset(name).groups for part in (run.mixer, run.beside) if part}
NOWHERE = {f"mixer.{name.replace('_', '-')}" for name in MIXERS if name not in RELEASED}
NOWHERE |= {"params.matmul", "active.matmul", "adafactor-rules.matmul"}
"""No preset has these mixers, nor Linformer's learned projections."""


@pytest.mark.parametrize("name", [name for name, draft in DRAFTS.items() if draft.applied is not None])
def test_a_models_numbers_go_in(name: str) -> None:
    """Of the first model that has what the topic is about; the others are refused in a sentence."""
    for preset in MODELS:
        try:
            lines = made(DRAFTS[name], load_preset(preset), 1, 128).numbers
        except InputError as error:
            assert "\n" not in error.message
        else:
            assert all(line.formula and line.source for line in lines)
            return
    kind = name.rpartition(".")[2]
    assert name in NOWHERE or kind in ("tanh", "elu", "relu", "quick-gelu", "situ", "recompute", "vector"), name


def test_the_list_of_names_is_current() -> None:
    """`python -m llmcx.explain` writes it."""
    assert NAMES.read_text(encoding="utf-8") == text()
    assert set(names()) == {"chapter"} | set(DRAFTS) | set(synonyms())


# --- nothing without a topic ----------------------------------------------------------------------------------------


def test_every_fold_and_every_rule_has_one() -> None:
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(llmcx.__path__, "llmcx.")
        if "__main__" not in found.name
    ]
    folds = [value for module in modules for value in vars(module).values() if isinstance(value, Fold)]
    for fold in folds:
        # Of other machines; of several GPUs, told with the kinds of parallelism.
        if fold.name.startswith(("bytes between memory and chip", "elements sent")):
            continue
        assert any(fold is cost.fold for cost in COSTS.values()), fold.name
    for name, cost in COSTS.items():
        for kind in cost.fold.rules:
            assert f"{name}.{hyphens(kind)}" in DRAFTS
    assert set(KINDS) - {"cache"} <= {kind for kind in KINDS if hyphens(kind) in DRAFTS}


def test_every_variant_mixer_law_optimizer_and_format_has_one() -> None:
    for name in variants.VARIANTS:
        found = find({"linear": "linear-attention"}.get(name, name))
        assert found.lesson or f"Attention variant {name}" in found.title
    for name in MIXERS:
        assert f"mixer.{hyphens(name)}" in DRAFTS
    for name in [*catalog.names("laws"), *OPTIMIZERS, *dtypes.BITS, *quant.SCHEMES, *gguf.MIXES]:
        assert hyphens(name) in DRAFTS, name
    for name in dtypes.CACHE_BLOCKS:
        assert f"kv.{hyphens(name)}" in DRAFTS
    assert set(CACHED) == set(variants.REPLACEMENTS)
    assert set(PATTERNS) | {"linformer", "performer", "linear"} == set(cores.CORES)


def test_every_public_function_of_the_theory_is_told() -> None:
    """A function of these modules whose docstring names a source belongs to a topic."""
    told = {function for of in (*QUANTITIES.values(), *TAUGHT.values()) for function in of.functions}
    for module in ("answers.bounds", "scaling.optimum", "scaling.standing", "parallel.routing"):
        for name, function in vars(importlib.import_module(f"llmcx.{module}")).items():
            own = inspect.isfunction(function) and function.__module__ == f"llmcx.{module}" and not name.startswith("_")
            if own and "arXiv" in (function.__doc__ or "") and name != "isoflop":  # which is a curve of `loss`
                assert function in told, f"{module}.{name}"


# --- the formulas are the code's ------------------------------------------------------------------------------------


def value(formula: str, numbers: dict[str, int]) -> Any:
    """A formula of products and sums, computed."""
    return eval(formula.replace("·", "*").replace("/", "//"), {"ceil": ceil}, dict(numbers))


@settings(max_examples=25, deadline=None)
@given(st.data())
@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, cost in COSTS.items() for kind in cost.fold.rules], ids=lambda part: part
)
def test_a_rules_text_is_what_it_computes(name: str, kind: str, data: st.DataObject) -> None:
    rule = COSTS[name].fold.rules[kind]
    wanted = dims(kind)
    drawn = {dim: data.draw(st.integers(0, 1) if dim in ("bias", "tied") else st.integers(1, 50), dim) for dim in wanted}
    drawn |= {"fused": 0} if "fused" in drawn else {}
    drawn |= {"heads": drawn["heads"] * drawn["shared"]} if "shared" in drawn else {}
    stated = rule.text.partition(";")[0]
    assert value(stated, drawn | {"act": 2}) == rule.compute(**drawn), stated


def squeezed(words: str) -> str:
    return re.sub(r"[\s·*#`]", "", words)


CORE = squeezed("".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "llmcx").rglob("*.py")) if path.is_file()))


@pytest.mark.parametrize("name", QUANTITIES)
def test_what_a_quantity_quotes_stands_in_the_code(name: str) -> None:
    for quote in QUANTITIES[name].quotes.values():
        assert squeezed(quote) in CORE, quote


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
@pytest.mark.parametrize("name", SCHEME_FORMULAS)
def test_a_formats_formula_is_what_it_takes(name: str, a: int, b: int) -> None:
    d_in, d_out = 128 * a, 32 * b
    numbers = {"d_in": d_in, "d_out": d_out, "groups": a, "bits": 4}
    exact = Fraction(1) * eval(
        SCHEME_FORMULAS[name].replace("·", "*"), {"ceil": ceil}, {k: Fraction(v) for k, v in numbers.items()}
    )
    assert exact == sum(quant.SCHEMES[name].sizes(d_in, d_out))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(1, 12))
def test_patterns_formulas_by_brute_force(n: int, w: int) -> None:
    """What the topics state of pairs, against counting them one by one."""
    near = [(i, j) for i in range(n) for j in range(n) if abs(i - j) <= w]
    side = min(w, n - 1)
    assert len(near) == n * (2 * side + 1) - side * (side + 1) == pairs.centred(n, w)
    assert sum(min(p, w) for p in range(1, n + 1)) == pairs.banded(n, n, w)
    whole, rest = divmod(n, w)
    assert whole * w**2 + rest**2 == pairs.blocks(n, w, False)
    assert whole * (w * (w + 1) // 2) + rest * (rest + 1) // 2 == pairs.blocks(n, w, True)
    assert 2 * pairs.strided(n, n, w) - n == pairs.strided_both_sides(n, w)
    chunks = -(-n // w)
    if chunks > 1:
        assert 3 * chunks * w * 2 * w == pairs.reformer(n, n, cores.Reformer(w, 3))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.sampled_from([64, 128]), st.integers(64, 4096))
@pytest.mark.parametrize("name", CACHED)
def test_what_a_variant_caches(name: str, kv: int, times: int, head_dim: int, n: int) -> None:
    """The formula against the cache fold, at other shapes than the example's; each setting at its default, or as typed."""
    heads, kept = 2 * kv * times, 2 if name == "gqa" else kv
    spec = variants.with_variant(model(1, heads * head_dim, 100, head_dim=head_dim, kv_heads=kv), built(name))
    numbers = {"n": n, "n_heads": heads, "n_kv_heads": kept, "head_dim": head_dim, "d_model": heads * head_dim}
    numbers |= {"kv_rank": 4 * head_dim, "rope_dim": head_dim // 2, "index_dim": 128, "d_state": 128, "d_conv": 4}
    numbers |= {"window": 512, "block": 32, "stride": 16}
    formula = CACHED[name][0].replace("·", "*").replace("/", "//")
    step = lower(spec, Run(1, 1, past=n - 1, source=n, encode=False))
    assert eval(formula, {"min": min, "floor": lambda whole: whole}, numbers) == cache_fold.total(step)


# --- the textbook's slips -------------------------------------------------------------------------------------------


def test_the_slips_are_those_of_docs_chapter() -> None:
    slips = (ROOT / "docs" / "chapter.md").read_text(encoding="utf-8").partition("## Where the chapter")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \| `(\S+)` \|$", slips, re.M)
    told = [(slip.chapter, slip.checked, name) for name, found in SLIPS.items() for slip in found]
    assert sorted(told) == sorted(rows) and len(told) == 11
    for chapter, _, name in told:
        assert chapter in here("explain", name, "--json").out.replace("\\", "")


def test_the_topics_that_docs_chapter_names_exist() -> None:
    page = (ROOT / "docs" / "chapter.md").read_text(encoding="utf-8").partition("## Each figure")[0]  # whose tables name fields
    tables = [line for line in page.splitlines() if line.startswith("| ")]
    named = {name for line in tables for name in re.findall(r"`([^`\s]+)`", line.rpartition(" | ")[2])} - {"llmcx"}
    assert len(named) > 20
    for name in named:
        find(name)


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted({command for draft in DRAFTS.values() for command in draft.commands}))
def test_what_it_suggests_runs(command: str) -> None:
    end = here(*shlex.split(command)[1:], "--json")
    assert end.code == 0, end.err


def test_numbers_from_outside() -> None:
    """Llama 3 8B at 8k: 32 layers x 2 x 8 heads x 128 x 8192 tokens; GPT-3's scores 96 layers x 2 x 96 x 2048² x 128."""
    told = json.loads(here("explain", "kv-cache", "llama-3-8b", "--seq", "8k", "--json").out)
    values = [line["value"] for line in told["result"]["numbers"]]
    assert values == [2 * 32 * 2 * 8 * 128 * 8192]
    told = json.loads(here("explain", "flops.scores", "gpt3", "--seq", "2048", "--json").out)
    [line] = told["result"]["numbers"]
    assert line["value"] == 96 * 2 * 96 * 2048**2 * 128
    assert line["numbers"] == "96·2·1·96·4,194,304·128"
    told = json.loads(here("explain", "adam", "gpt3", "--json").out)
    assert told["result"]["numbers"][0]["value"] == 8 * 174_604_259_328
    told = json.loads(here("explain", "kaplan", "llama-3-8b", "--json").out)  # N without table and untied head
    assert f"({8_030_261_248 - 2 * 128_256 * 4096:.8g} / 1.3e+09)" in told["result"]["numbers"][0]["numbers"]
    told = json.loads(here("explain", "12 L d".replace(" ", "-"), "--json").out or "{}")
    assert told == {}


def test_synonyms() -> None:
    assert here("explain", "KV_Cache").out == here("explain", "kvcache").out == here("explain", "kv-cache").out


@pytest.mark.parametrize("call", ["explain", "explain generalisation", "explain gqa llama-2-7b --seq 4k"])
def test_formats(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    end = here(*call.split())
    assert end.code == 0 and "\x1b" not in end.out
    plain = here(*call.split(), "--plain")
    assert plain.code == 0 and "²" not in plain.out and "Σ" not in plain.out
    markdown = here(*call.split(), "--format", "markdown").out
    assert "| --- |" in markdown or "| --- " in markdown
    assert json.loads(here(*call.split(), "--json").out)["schema"] == "llmcx.explain/2"


def test_samples_cover_every_dim() -> None:
    taken = {dim for cost in COSTS.values() for kind in cost.fold.rules for dim in dims(kind)}
    assert taken == set(SAMPLE)
