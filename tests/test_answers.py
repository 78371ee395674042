"""Answers of the Python API: right at once from many threads, refused by the call, and carried from process to process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

import llmcx
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec
from llmcx.ops.fold import Fold
from llmcx.ops.op import Op
from llmcx.report.json import as_json as plain

THREADS = 16
PRESETS = ("gpt3", "llama-3-8b", "mixtral-8x7b", "gemma-2-9b", "t5-base")


def asked(spec: ModelSpec) -> list[Any]:
    """What a thread asks of one model."""
    runs = [(1 + batch, 100 * n) for batch in range(2) for n in range(1, 5)]
    return [
        plain(llmcx.params(spec)),
        *(plain(llmcx.flops(spec, batch=batch, seq=seq)) for batch, seq in runs),
        *(plain(llmcx.memory(spec, batch=batch, seq=seq, train=batch == 2)) for batch, seq in runs),
    ]


def test_many_threads_get_what_one_gets() -> None:
    """All at once about the same models, which no thread has asked about before."""
    alone = {name: asked(replace(llmcx.load(name))) for name in PRESETS}
    shared = {name: replace(llmcx.load(name)) for name in PRESETS}
    together = Barrier(THREADS)

    def thread(number: int) -> dict[str, list[Any]]:
        together.wait()
        start = number % len(PRESETS)
        return {name: asked(shared[name]) for name in (*PRESETS[start:], *PRESETS[:start])}

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(thread, range(THREADS)):
            assert found == alone


def test_gpt3_by_hand() -> None:
    """2·b·(12·L·d²·n + V·d·n) + 4·b·L·d·n² at L 96, d 12288, V 50257: the chapter's GPT-3, at several batches and lengths."""
    layers, d, vocab = 96, 12288, 50257
    for batch, n in ((1, 2048), (3, 1000), (7, 1)):
        by_hand = 2 * batch * n * (12 * layers * d * d + vocab * d) + 4 * batch * layers * d * n * n
        assert llmcx.flops("gpt3", batch=batch, seq=n).forward.total == by_hand


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: llmcx.flops("gpt3", seq=0), "seq"),
        (lambda: llmcx.flops("gpt3", seq=4096), "seq"),
        (lambda: llmcx.flops("gpt3", batch=0), "batch"),
        (lambda: llmcx.flops("gpt3", context=0), "context"),
        (lambda: llmcx.flops("gpt3", convention="flop"), "convention"),
        (lambda: llmcx.params("gpt3", dtype="bf17"), "dtype"),
        (lambda: llmcx.memory("gpt3", dtype=8), "dtype"),
        (lambda: llmcx.params(["gpt3"]), "model"),  # type: ignore[call-overload]
        (lambda: llmcx.memory("gpt3", seq=2049), "seq"),
    ],
)
def test_inputs_are_refused_by_the_call(call: Callable[[], Any], field: str) -> None:
    for _ in range(2):  # a known model refuses as a new one does
        with pytest.raises(InputError) as refused:
            call()
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("name", "source", "inputs"),
    [("params", "gpt3", {}), ("flops", "t5-base", {"seq": 100, "recompute": "full"}), ("memory", "mixtral-8x7b", {"seq": 100})],
)
def test_an_answer_is_a_value(name: str, source: str, inputs: dict[str, Any]) -> None:
    one, two = (getattr(llmcx, name)(source, **inputs) for _ in range(2))
    figures = plain(one)
    assert one == two and pickle.loads(pickle.dumps(one)) == two and plain(pickle.loads(pickle.dumps(one))) == figures
    with pytest.raises(AttributeError, match="no attribute 'totall'"):
        _ = one.totall


def test_a_spec_travels_as_it_is() -> None:
    spec = llmcx.load("gpt3")
    before = pickle.dumps(replace(spec))
    for seq in (1, 2, 3):
        _ = llmcx.flops(spec, seq=seq).forward.total
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert len(pickle.dumps(spec)) == len(before)


def test_a_fold_has_one_rule_for_a_kind() -> None:
    """A second one is refused, and so is a rule for what costs nothing; a derived fold's own rules leave the other's alone."""
    fold = Fold("numbers")
    fold.rule("vector", text="size", source="each")(lambda size: size)
    fold.costs_nothing("scan")
    for kind in ("vector", "scan"):
        with pytest.raises(ValueError, match=f"has a rule for {kind}"):
            fold.rule(kind, text="0", source="none")(lambda **dims: 0)
        with pytest.raises(ValueError, match=f"has a rule for {kind}"):
            fold.costs_nothing(kind)
    other = fold.derived("others", but=["vector"])
    other.rule("vector", text="2·size", source="twice")(lambda size: 2 * size)
    op = Op("x", "vector", {"size": 3}, times=5)
    assert (fold.of(op), other.of(op)) == (15, 30)
