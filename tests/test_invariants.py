"""What holds for every preset: more never costs less, halves add up, one GPU is the model, components are the total."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcx
from llmcx.catalog.presets import names
from llmcx.model.spec import ModelSpec
from tests.helpers import data

PRESETS = names()
every_preset = pytest.mark.parametrize("name", PRESETS)


def longest(spec: ModelSpec) -> int:
    """The longest sequence that is asked of a preset: its context, or 4,096."""
    return min(spec.context or 4096, spec.embedding.positions or 4096, 4096)


def costs(spec: ModelSpec, batch: int, seq: int) -> dict[str, int]:
    """What a model costs: parameters, FLOPs, bytes of inference and of training."""
    sizes, work = llmcx.params(spec), llmcx.flops(spec, batch=batch, seq=seq)
    found = {"params": sizes.total, "active": sizes.active, "embedding": sizes.embedding}
    found |= {name: getattr(work, name).total for name in ("forward", "backward", "train", "elementwise", "decode")}
    found |= {f"inference {part.part}": part.bytes for part in llmcx.memory(spec, batch=batch, seq=seq).parts}
    found["training"] = llmcx.memory(spec, batch=batch, seq=seq, train=True).total_bytes  # at the peak of a step, part or other
    for part in llmcx.memory(spec, batch=batch, seq=seq, train=True, engine="megatron").parts:
        found[f"training {part.part}"] = part.bytes
    return found


def larger(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The same model with one more of something in one place: layers, vocabulary, experts, widths of feed-forwards and states; of
    equal layers in the first.
    """
    if isinstance(value, tuple):
        for at, item in enumerate(value):
            if item in value[:at]:
                continue
            for where, more in larger(item, f"{path}[{at}]"):
                yield where, (*value[:at], more, *value[at + 1 :])
    elif is_dataclass(value):
        for field in fields(value):
            old = getattr(value, field.name)
            if field.name in ("repeat", "vocab", "d_ff", "n_experts", "top_k") and isinstance(old, int):
                if field.name != "top_k" or old < getattr(value, "n_experts", inf):  # an indexer's keys have no such limit
                    yield f"{path}.{field.name}", replace(value, **{field.name: old + 1})
            else:
                for where, more in larger(old, f"{path}.{field.name}"):
                    yield where, replace(value, **{field.name: more})


def no_less(more: dict[str, int], less: dict[str, int]) -> list[str]:
    return [f"{name}: {less[name]} and then {more.get(name)}" for name in less if less[name] > more.get(name, 0)]


@every_preset
@settings(max_examples=4, deadline=None)
@given(draw=st.data())
def test_more_sequences_or_tokens_never_cost_less(name: str, draw: st.DataObject) -> None:
    spec = llmcx.load(name)
    seq, batch = draw.draw(st.integers(2, longest(spec) - 1), "seq"), draw.draw(st.integers(1, 64), "batch")
    more = draw.draw(st.integers(1, longest(spec) - seq), "more")
    base = costs(spec, batch, seq)
    assert not no_less(costs(spec, batch, seq + more), base)
    assert not no_less(costs(spec, batch + 1, seq), base)


@every_preset
def test_a_larger_model_never_costs_less(name: str) -> None:
    spec = llmcx.load(name)
    base = costs(spec, 2, 64)
    for where, more in larger(spec):
        found = costs(more, 2, 64)
        assert not no_less(found, base), where
        assert found["params"] > base["params"] or where.endswith((".top_k", ".ffn.d_ff")), where


@every_preset
@settings(max_examples=5, deadline=None)
@given(draw=st.data())
def test_a_batch_in_two_costs_the_same(name: str, draw: st.DataObject) -> None:
    spec = llmcx.load(name)
    seq = draw.draw(st.integers(1, longest(spec)), "seq")
    one, two = draw.draw(st.integers(1, 10**6), "one"), draw.draw(st.integers(1, 10**6), "two")
    works = [llmcx.flops(spec, batch=batch, seq=seq) for batch in (one, two, one + two, 1, 2)]
    for part in ("forward", "backward", "train", "elementwise", "decode"):
        a, b, both, single, pair = (getattr(work, part).total for work in works)
        # What a pass does once, whatever its batch: a table of angles, and Transformer-XL's projection of relative positions.
        once = 2 * single - pair
        assert a + b - both == once >= 0, part
        assert once == 0 or part == "elementwise" or name in ("chinchilla-70b", "gopher-280b"), part
    cached = [
        {part.part: part.bytes for part in llmcx.memory(spec, batch=batch, seq=seq).parts} for batch in (one, two, one + two)
    ]
    for part in ("kv_cache", "state"):
        assert cached[0].get(part, 0) + cached[1].get(part, 0) == cached[2].get(part, 0)
    assert cached[0]["weights"] == cached[2]["weights"]


@every_preset
def test_one_gpu_is_the_model(name: str) -> None:
    """Every way to share a model over GPUs, at one: the answer is the one without it."""
    alone = ["--tp", "1", "--pp", "1", "--ep", "1", "--gpus", "1"]
    for how, ways in (([], alone), (["--train"], [*alone, "--cp", "1", "--zero", "0"])):
        asked = ["memory", name, "--seq", "64", *how]
        whole, shared = (data(*asked, *more)["result"] for more in ([], ways))
        assert shared["parts"] == whole["parts"] and shared["total_bytes"] == whole["total_bytes"]
        assert shared["gpus"] == 1 and shared["all_gpus_bytes"] == shared["total_bytes"]
    weights = {part["part"]: part["bytes"] for part in shared["parts"]}["weights"]
    assert weights == 2 * llmcx.params(name).total


@every_preset
@pytest.mark.parametrize("convention", ["flops", "macs"])
def test_components_add_up(name: str, convention: str) -> None:
    spec = llmcx.load(name)
    sizes = llmcx.params(spec)
    assert sizes.total == sum(row.params for row in sizes.components) == sizes.embedding + sizes.non_embedding
    assert sizes.active <= sizes.total
    work = llmcx.flops(spec, batch=3, seq=64, convention=convention, recompute="full")
    for part in (work.forward, work.backward, work.train):
        assert part.total == sum(row.flops for row in part.components)
        assert sum(row.share for row in part.components) == pytest.approx(1)
    assert work.train.total == work.forward.total + work.backward.total + work.recomputation
    for train in (False, True):
        held = llmcx.memory(spec, seq=64, train=train)
        assert held.total_bytes == sum(part.bytes for part in held.parts)
