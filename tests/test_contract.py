"""The JSON contract that other programs depend on, and what a pipe and a terminal get."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcx
from llmcx.core.cores import label, parse_core
from llmcx.core.flops import flops
from llmcx.core.lower import Run, lower
from llmcx.core.memory import kv_elements
from llmcx.core.params import count, params
from llmcx.core.parts import (
    Attention,
    Core,
    Embedding,
    Flash,
    Gated,
    Head,
    Layers,
    Linformer,
    Local,
    Longformer,
    ModelSpec,
    MoE,
    Norm,
    Performer,
    Plain,
    Sliding,
    Standard,
    Strided,
)
from llmcx.report import format
from llmcx.spec import units
from llmcx.spec.build import as_data, build
from llmcx.spec.presets import names
from tests.helpers import answer
from tests.helpers import llmcx as call

# Field -> type, as design.md's contract names them.
FIELDS: dict[str, dict[str, Any]] = {
    "params": {"total": int, "active": int, "embedding": int, "non_embedding": int, "components": list},
    "flops": {"forward": dict, "backward": dict, "train": dict, "per_token": (int, float), "elementwise": dict},
    "memory": {"total_bytes": int, "parts": list},
    "attention-compare": {"rows": list, "crossovers": list, "recommendation": list},
    "moe": {
        "total": int,
        "active": int,
        "expert": int,
        "shared": int,
        "router": int,
        "flops_per_token": int,
        "capacity": (dict, type(None)),
        "dense_equivalent": dict,
        "all_to_all_bytes": int,
    },
}
ROWS = {
    ("params", "components"): {"component": str, "params": int, "share": float},
    ("memory", "parts"): {"part": str, "bytes": int, "formula": str},
    ("attention-compare", "rows"): {
        "variant": str,
        "seq": int,
        "forward_flops": int,
        "memory_bytes": int,
        "kv_bytes": int,
        "hops": (int, type(None)),
        "max_seq": (int, type(None)),
    },
}
PARTS = {"weights", "gradients", "optimizer", "activations", "kv_cache", "state", "logits", "workspace"}


def check(command: str, out: dict[str, Any]) -> None:
    assert out["schema"] == f"llmcx.{command}/1"
    assert set(out) >= {"schema", "model", "inputs", "result", "notes"} and set(out["model"]) >= {"name", "family", "source"}
    for field, kind in FIELDS[command].items():
        assert isinstance(out["result"][field], kind), field
    for (owner, field), kinds in ROWS.items():
        if owner == command:
            assert out["result"][field]
            assert all(isinstance(row[key], kind) for row in out["result"][field] for key, kind in kinds.items())


@pytest.mark.parametrize("command", sorted(FIELDS))
@pytest.mark.parametrize("preset", ["gpt3", "llama-3-8b", "mixtral-8x7b", "switch-base-128"])
def test_fields(command: str, preset: str) -> None:
    if command == "moe" and preset in ("gpt3", "llama-3-8b"):
        return
    check(command, answer(command, "--preset", preset))


def test_flops_inputs_and_passes() -> None:
    out = answer("flops", "--preset", "gpt3", "--seq", "2048", "--batch", "2")
    assert set(out["inputs"]) >= {"batch", "seq", "convention", "causal"}
    result = out["result"]
    for part in ("forward", "backward", "train"):
        assert result[part]["total"] == sum(row["flops"] for row in result[part]["components"])
    assert result["train"]["total"] == result["forward"]["total"] + result["backward"]["total"]


def test_memory_part_names() -> None:
    for more in ([], ["--train"], ["--attention", "performer:r=64"]):
        assert {part["part"] for part in answer("memory", "--preset", "gpt3", *more)["result"]["parts"]} <= PARTS


def test_chinchilla_fields() -> None:
    out = answer("chinchilla", "--compute", "5.76e23")
    assert out["schema"] == "llmcx.chinchilla/1"
    for law in out["result"]["laws"]:
        assert set(law) >= {"law", "params", "tokens", "compute", "loss", "tokens_per_param"}


def test_several_results() -> None:
    out = answer("params", "--preset", "gpt3", "--preset", "gpt2", "--kv-heads", "1,4")
    assert out["schema"] == "llmcx.params/1" and len(out["results"]) == 4
    for one in out["results"]:
        check("params", one)
    lines = call("params", "--preset", "gpt3", "--preset", "gpt2", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["result"]["total"] for line in lines] == [174_604_259_328, 124_439_808]


def test_integers_survive_every_format() -> None:
    exact = 174_604_259_328
    rows = list(csv.DictReader(io.StringIO(call("params", "--preset", "gpt3", "--format", "csv").stdout)))
    assert int(rows[-1]["params"]) == exact == sum(int(row["params"]) for row in rows[:-1])
    markdown = call("params", "--preset", "gpt3", "--format", "markdown").stdout
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table[:14]}) == 1 and f"{exact:,}" in markdown
    assert answer("params", "--preset", "gpt3")["result"]["total"] == llmcx.params("gpt3").total == exact


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
@pytest.mark.parametrize(
    ("args", "total"),
    [
        ("params --preset gpt3", 174_604_259_328),
        ("flops --preset gpt3", 734_804_261_732_352),
        ("memory --preset llama-3-8b --dtype bf16", 2 * 8_030_261_248),
        ("moe --preset mixtral-8x7b", 46_702_792_704),
    ],
)
def test_tables_never_cut_a_number(columns: int, args: str, total: int) -> None:
    out = call(*args.split(), env={**os.environ, "COLUMNS": str(columns)}).stdout
    assert "…" not in out and "\x1b" not in out and f"{total:,}" in out


def test_colour_only_in_a_terminal_that_wants_it() -> None:
    import pty

    def seen(**environment: str) -> bytes:
        parent, child = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "llmcx", "params", "--preset", "gpt2"],
            stdout=child,
            stdin=child,
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )
        os.close(child)
        out = b""
        while True:
            try:
                chunk = os.read(parent, 65536)
            except OSError:
                break
            if not chunk:
                break
            out += chunk
        process.wait()
        os.close(parent)
        return out

    # Bold is allowed under NO_COLOR (no-color.org speaks of colour); colours are not.
    assert not re.search(rb"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|9[0-7]|38;|48;)", seen(NO_COLOR="1"))


def test_explain_names_formula_numbers_and_source() -> None:
    for args in (
        ["params", "--preset", "gpt3"],
        ["flops", "--preset", "gpt3"],
        ["memory", "--preset", "gpt3"],
        ["attention-compare", "--preset", "gpt3", "--seq", "512"],
        ["moe", "--preset", "mixtral-8x7b"],
        ["chinchilla", "--compute", "1e21"],
        ["bounds"],
        ["shapes", "--params", "1B", "--depths", "24"],
    ):
        lines = answer(*args, "--explain")["explain"]
        assert lines and all(line["formula"] and line["source"] for line in lines), args
        assert "source: " in call(*args, "--explain").stdout


# --- what must always hold ------------------------------------------------------------------------------------------

CORES: st.SearchStrategy[Core] = st.one_of(
    st.just(Standard()),
    st.just(Flash()),
    st.builds(Sliding, st.integers(1, 64)),
    st.builds(Local, st.integers(1, 64)),
    st.builds(Strided, st.integers(1, 64)),
    st.builds(Longformer, st.integers(1, 64), st.integers(0, 4), st.integers(1, 3)),
    st.builds(Linformer, st.integers(1, 64)),
    st.builds(Performer, st.integers(1, 64)),
)


@st.composite
def attentions(draw: st.DrawFn, core: bool = True) -> Attention:
    kv = draw(st.integers(1, 4))
    return Attention(
        n_heads=kv * draw(st.integers(1, 3)),
        n_kv_heads=kv,
        head_dim=draw(st.integers(1, 16)),
        bias=draw(st.booleans()),
        rope=draw(st.booleans()),
        qk_norm=draw(st.sampled_from([None, "head", "heads", "full"])),
        core=draw(CORES) if core else Standard(),
    )


DENSE = st.one_of(
    st.builds(Plain, st.integers(1, 64), st.booleans()),
    st.builds(Gated, st.integers(1, 64), st.booleans()),
)
FFN = st.one_of(
    DENSE,
    st.integers(1, 6).flatmap(
        lambda n: st.builds(MoE, st.just(n), st.integers(1, n), DENSE, st.one_of(st.none(), DENSE), st.booleans())
    ),
)


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    both = draw(st.booleans())
    layers = st.builds(Layers, st.integers(1, 5), attentions(), FFN, attentions(core=False) if both else st.none())
    return ModelSpec(
        name="x",
        d_model=draw(st.integers(1, 64)),
        embedding=Embedding(draw(st.integers(1, 200)), draw(st.one_of(st.none(), st.just(512)))),
        decoder=tuple(draw(st.lists(layers, min_size=1, max_size=3))),
        encoder=(Layers(2, Attention(2, head_dim=4), Plain(8)),) if both else (),
        norm=Norm(draw(st.sampled_from(["layernorm", "rmsnorm"]))),
        head=draw(st.one_of(st.none(), st.builds(Head, st.booleans(), st.booleans()))),
    )


@given(specs(), st.integers(1, 3), st.integers(1, 40))
def test_breakdowns_add_up(spec: ModelSpec, batch: int, seq: int) -> None:
    sizes = params(spec)
    assert sum(row.params for row in sizes.components) == sizes.total == sizes.embedding + sizes.non_embedding
    assert sum(row.share for row in sizes.components) == pytest.approx(1)
    assert sizes.active <= sizes.total
    run = flops(spec, batch, seq)
    assert sum(row.flops for row in run.forward.components) == run.forward.total == sum(row.flops for row in run.groups)
    assert run.forward.total + run.backward.total == run.train.total


@given(specs(), st.integers(1, 40))
def test_doubling_the_batch_doubles_the_flops(spec: ModelSpec, seq: int) -> None:
    # Transformer-XL's positions are projected once for all sequences; no such part is drawn here.
    assert 2 * flops(spec, 1, seq).forward.total == flops(spec, 2, seq).forward.total


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 16), CORES)
def test_more_kv_heads_never_cost_less(kv: int, times: int, dim: int, core: Core) -> None:
    def model(n: int) -> ModelSpec:
        mixer = Attention(12, n, dim, core=core)
        return ModelSpec(name="x", d_model=32, embedding=Embedding(50), decoder=(Layers(2, mixer, Plain(64)),))

    few, many = sorted(n for n in (1, 2, 3, 4, 6, 12) if n in (kv, kv * times)), 12
    for n in few:
        assert count(model(n)) <= count(model(many))
        assert flops(model(n), 1, 16).forward.total <= flops(model(many), 1, 16).forward.total
        assert sum(kv_elements(model(n), 1, 16).values()) <= sum(kv_elements(model(many), 1, 16).values())


@given(specs())
def test_what_is_written_reads_back_the_same(spec: ModelSpec) -> None:
    assert build(json.loads(json.dumps(as_data(spec)))) == spec


@given(CORES)
def test_a_core_reads_back_as_it_is_typed(core: Core) -> None:
    assert parse_core(label(core)) == core


@settings(max_examples=30)
@given(specs(), st.integers(1, 20))
def test_splitting_a_group_changes_nothing(spec: ModelSpec, seq: int) -> None:
    from dataclasses import replace

    split = tuple(replace(layers, repeat=1) for layers in spec.decoder for _ in range(layers.repeat))
    apart = replace(spec, decoder=split)
    assert count(apart) == count(spec)
    assert flops(apart, 1, seq).forward.total == flops(spec, 1, seq).forward.total
    assert len(lower(spec, Run())) <= len(lower(apart, Run()))


@given(st.integers(0, 10**15))
def test_sizes_read_back_what_was_printed(value: int) -> None:
    printed = format.count(value)
    # Four significant digits: what is read back is within half a unit of the last one.
    assert units.count(printed) == pytest.approx(value, rel=5.1e-4)
    assert units.count(str(value)) == value == units.count(f"{value:_}")


def test_every_preset_answers_every_question() -> None:
    for name in names():
        assert llmcx.flops(name).forward.total > 0
        assert llmcx.memory(name).total_bytes > 0 and llmcx.memory(name, train=True).total_bytes > 0
