"""The order of layers: against the order in which transformers runs them, in files, and in what does not depend on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcx
from llmcx.catalog import presets
from llmcx.catalog.build import MAX_RUNS, as_data, to_yaml, validate
from llmcx.catalog.files import parse
from llmcx.catalog.load import load_config
from llmcx.catalog.override import Shape, apply
from llmcx.costs.params import fold
from llmcx.errors import InputError
from llmcx.huggingface import from_config
from llmcx.model.lower import Run, lower
from llmcx.model.order import Entry, labels, shorten
from llmcx.model.spec import Attention, Chunked, Layers, ModelSpec, MoE, Plain, Sliding, runs_of

ORACLE = Path(__file__).resolve().parent / "oracle"
GOLDEN = json.loads((ORACLE / "order.json").read_text(encoding="utf-8"))
CONFIGS = {case["id"]: case["config"] for case in json.loads((ORACLE / "golden.json").read_text(encoding="utf-8"))["cases"]}

CLASSES = {
    r"GatedDeltaNet$": "gated_delta",
    r"DeltaAttention$|^Glm5NextTextLinearAttention$": "kimi_delta",
    r"LightningAttention$": "lightning",
    r"ShortConv$": "short_conv",
    r"RecurrentBlock$": "rg_lru",
    r"Mamba2Mixer$|BambaMixer$|MambaLayer$|Zamba2MambaMixer$": "mamba2",
    r"MambaMixer$": "mamba",
    r"Attention$": "attention",
}
"""Of transformers' classes, the first pattern that fits: what llmcx calls the mixer. Latent attention is an Attention there."""
SOFTMAX = (
    "attention",
    "mla",
    "compressed",
    "indexed",
    "convolved",
    "clipped",
    "merged",
    "differential",
    "dynamic",
    "routed",
    "longformer",
    "longt5",
    "big_bird",
    "global_local",
    "filtered",
    "conv_bert",
    "mingled",
    "summed",
)
WHOLE = ("prophet", "reversible")
"""Mixers that are a whole layer with attention, its feed-forward included."""


def theirs(rows: list[list[Any]]) -> Iterator[list[Any]]:
    """Layer by layer: mixer, window, feed-forward, parameters."""
    for n, mixer, window, ffn, weights in rows:
        kind = next((kind for pattern, kind in CLASSES.items() if re.search(pattern, mixer)), mixer) if mixer else None
        yield from [[kind, window, ffn, weights]] * n


def ours(spec: ModelSpec) -> Iterator[list[Any]]:
    """The same of a spec."""
    weights = fold.by(lower(spec, Run(1, 8)), lambda op: op.group)
    for name, n in spec.runs:
        layers = spec.kinds[name]
        mixer, core = layers.mixer, getattr(layers.mixer, "core", None)
        kind = getattr(mixer, "type", None)
        window = core.window if isinstance(core, (Sliding, Chunked)) else getattr(mixer, "window", None)
        dense = layers.ffn is not None or getattr(layers.beside, "type", None) == "shared_block"
        ffn = "moe" if isinstance(layers.ffn, MoE) else "dense" if dense or kind in WHOLE else None
        yield from [["attention" if kind in SOFTMAX + WHOLE else kind, window, ffn, weights.get(name, 0) // layers.repeat]] * n


@pytest.mark.parametrize("case", GOLDEN["families"])
def test_a_familys_layers_are_in_the_order_in_which_transformers_runs_them(case: str) -> None:
    found, expected = list(ours(from_config(CONFIGS[case], case))), list(theirs(GOLDEN["families"][case]))
    if case.startswith("zamba2"):  # where the first layer with a shared block holds the adapters of the later ones
        assert sum(layer[3] for layer in found) == sum(layer[3] for layer in expected)
        found, expected = ([layer[:3] for layer in layers] for layers in (found, expected))
    if case.startswith(("inkling2", "reformer")):  # queries over depth stand beside the layers; a last norm in the last
        found, expected = ([layer[:3] for layer in layers] for layers in (found, expected))
    if case.startswith("zamba/"):  # whose hybrid layers begin with the attention of the block that they share
        expected = [["mamba", *layer[1:]] for layer in expected]
    assert found == expected


@pytest.mark.parametrize("name", GOLDEN["presets"])
def test_a_presets_layers_are_in_that_order(name: str) -> None:
    """Sizes are those of a tiny model there, so what is compared is which layers have a window."""
    found = [[mixer, window is not None, ffn] for mixer, window, ffn, _ in ours(llmcx.load(name))]
    assert found == [[mixer, window is not None, ffn] for mixer, window, ffn, _ in theirs(GOLDEN["presets"][name])]


def test_every_preset_whose_layers_differ_is_compared() -> None:
    several = {name for name in presets.names() if len(llmcx.load(name).kinds) > 1}
    alike = {"bart-large"}  # one kind in each stack
    assert several - alike == set(GOLDEN["presets"])


@pytest.mark.parametrize("name", presets.names())
def test_kinds_and_runs_agree_and_a_file_of_it_is_the_model(name: str) -> None:
    spec = llmcx.load(name)
    assert sum(n for _, n in spec.runs) == sum(layers.repeat for layers in spec.groups) == spec.n_layers
    for kind, layers in spec.kinds.items():
        assert sum(n for run, n in spec.runs if run == kind) == layers.repeat
    assert all(one[0] != two[0] for one, two in zip(spec.runs, spec.runs[1:], strict=False))
    shown = presets.path_of(name).read_text(encoding="utf-8")
    for text in (shown, to_yaml(spec), json.dumps(as_data(spec)), json.dumps(presets.load_data(name))):
        assert validate(parse(text, name), name) == spec


@pytest.mark.parametrize("name", ["gpt3", "gemma-3-27b", "jamba-1.5-mini", "switch-base-128", "zamba2-7b", "deepseek-v3"])
def test_a_run_cut_in_two_changes_no_count(name: str) -> None:
    spec = llmcx.load(name)

    def cut(runs: tuple[Layers, ...]) -> tuple[Layers, ...]:
        pairs = (
            (replace(run, repeat=run.repeat // 2), replace(run, repeat=-(-run.repeat // 2))) for run in runs if run.repeat > 1
        )
        return tuple(half for pair in pairs for half in pair) + tuple(run for run in runs if run.repeat == 1)

    other = replace(spec, encoder=cut(spec.encoder), decoder=cut(spec.decoder))
    assert llmcx.params(other).total == llmcx.params(spec).total
    for part in ("forward", "train"):
        assert getattr(llmcx.flops(other, seq=64), part).total == getattr(llmcx.flops(spec, seq=64), part).total
    assert llmcx.memory(other, seq=64).total_bytes == llmcx.memory(spec, seq=64).total_bytes


def test_gemma_3_reads_as_one_says_it() -> None:
    text = to_yaml(llmcx.load("gemma-3-27b"))
    assert "decoder:\n- {repeat: 10, layers: [5 sliding, full]}\n- 2 sliding\n" in text


# --- in short -------------------------------------------------------------------------------------------------------------


def written_out(entries: tuple[Entry, ...]) -> list[str]:
    out: list[str] = []
    for count, what in entries:
        out += ([what] if isinstance(what, str) else written_out(what)) * count
    return out


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), max_size=20), st.integers(1, 5))
def test_what_is_shortened_says_the_same(runs: list[tuple[str, int]], times: int) -> None:
    names = [name for name, n in runs * times for _ in range(n)]
    assert written_out(shorten([(name, 1) for name in names])) == names


@pytest.mark.parametrize(
    ("order", "short"),
    [
        ("abababab", ((4, ((1, "a"), (1, "b"))),)),
        (3 * "aaaabaaa", ((3, ((4, "a"), (1, "b"), (3, "a"))),)),
        ("abbb", ((1, "a"), (3, "b"))),
        ("abcabcabcab", ((3, ((1, "a"), (1, "b"), (1, "c"))), (1, "a"), (1, "b"))),
    ],
)
def test_the_shortest_pattern_is_found(order: str, short: tuple[Entry, ...]) -> None:
    assert shorten([(name, 1) for name in order]) == short


def test_kinds_get_names_that_tell_them_apart() -> None:
    assert [*labels(llmcx.load("zamba2-7b").kinds).values()] == ["mamba2", "shared_block", "shared_block_reused"]
    assert [*labels(llmcx.load("llama-4-maverick").kinds).values()] == ["chunked_dense", "chunked_moe", "full_moe"]


# --- files ----------------------------------------------------------------------------------------------------------------

LOCAL = {
    "mixer": {"type": "attention", "n_heads": 2, "core": {"type": "sliding", "window": 4}},
    "ffn": {"type": "plain", "d_ff": 8},
}
FULL = {"mixer": {"type": "attention", "n_heads": 2}, "ffn": {"type": "plain", "d_ff": 8}}


def model(decoder: Any, **more: Any) -> dict[str, Any]:
    kinds = {"kinds": {"local": LOCAL, "full": FULL}}
    return {"name": "x", "d_model": 8, "embedding": {"vocab": 9}, **kinds, "decoder": decoder, **more}


def test_entries_are_layers_names_or_patterns_of_them() -> None:
    local, full = (replace(layers, repeat=1) for layers in llmcx.load(model(["local", "full"])).decoder)
    inner = {"repeat": 2, "layers": ["2 local", {"repeat": 1, **FULL}]}
    spec = llmcx.load(model([{"repeat": 2, "layers": [inner, "local"]}, {"repeat": 3, **LOCAL}, "full"]))
    once = [local, local, full] * 2 + [local]
    assert spec.decoder == runs_of([*once, *once, replace(local, repeat=3), full])
    assert [run.repeat for run in spec.decoder] == [2, 1, 2, 1, 3, 1, 2, 1, 4, 1]


@pytest.mark.parametrize(
    ("decoder", "more", "message"),
    [
        (["globl", "local", "full"], {}, "decoder\\[0\\]: kind 'globl' is not known; did you mean"),
        (["5  local", "full"], {}, "decoder\\[0\\] is '5  local', but must be the name of a kind, or a number and the name"),
        (["0 local", "full"], {}, "decoder\\[0\\]: repeat is 0, but must be between 1 and 10\\^15"),
        (["local"], {}, "kinds.full is a kind of layer that neither stack has"),
        (
            [{"repeat": 2, "layers": ["local", "fulll"]}],
            {},
            "decoder\\[0\\].layers\\[1\\]: kind 'fulll' is not known; did you mean full",
        ),
        ([{"layers": ["local", "full"]}], {}, "decoder\\[0\\].repeat is missing"),
        ([{"repeat": 0, "layers": ["local", "full"]}], {}, "decoder\\[0\\]: repeat is 0"),
        ([{"repeat": "2", "layers": ["local", "full"]}], {}, "decoder\\[0\\].repeat is '2'"),
        ([{"repeat": 2, "layers": "local"}], {}, "decoder\\[0\\].layers is 'local', but must be a list"),
        ([{"repeat": 2, "layers": []}, "local", "full"], {}, "decoder\\[0\\]: layers is empty"),
        ([{"repeat": 2, "layers": ["local", "full"], "ffn": None}], {}, "decoder\\[0\\].*ffn"),
        (
            [{"repeat": MAX_RUNS, "layers": ["local", "full"]}],
            {},
            "decoder\\[0\\]: repeat is 10000, but must leave at most 10,000 runs",
        ),
        (["local"], {"kinds": {"local": {"repeat": 5, **LOCAL}}}, "kinds.local.repeat does not belong there"),
        (["local"], {"kinds": {"5 local": LOCAL}}, "kinds has the name '5 local', but must be a word"),
        (["local"], {"kinds": [LOCAL]}, "kinds is .*, but must be a mapping of names to layers"),
        (["local"], {"kinds": {}}, "decoder\\[0\\] names the kind 'local', but the model has no kinds"),
        (["local"], {"kinds": {"local": {"mixr": None}}}, "key of kinds.local 'mixr' is not known; did you mean mixer"),
    ],
)
def test_a_mistake_is_named_where_it_stands(decoder: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        llmcx.load(model(decoder, **more))


def test_a_stack_far_longer_than_any_is_still_written(tmp_path: Path) -> None:
    a, b = Layers(1, Attention(2), Plain(8)), Layers(10**9, Attention(4), Plain(8))
    spec = replace(llmcx.load("gpt3"), d_model=8, decoder=(a, b, a))
    file = tmp_path / "long.yaml"
    file.write_text(to_yaml(spec), encoding="utf-8")
    assert load_config(str(file)) == spec


# --- flags ----------------------------------------------------------------------------------------------------------------


def test_layers_of_a_pattern_are_the_pattern_again() -> None:
    spec = llmcx.load("gemma-3-27b")
    assert [run.repeat for run in apply(spec, Shape(layers=12)).decoder] == [5, 1, 5, 1]
    assert apply(spec, Shape(layers=62)).decoder == spec.decoder
    with pytest.raises(InputError, match="a multiple of 6"):
        apply(spec, Shape(layers=13))
    with pytest.raises(InputError, match="layer groups"):
        apply(llmcx.load("deepseek-v3"), Shape(layers=12))
