"""Closed forms say what a lowering says; answers that are read late say what they would have said at once."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcx
from llmcx.answers import flops as counting
from llmcx.answers import growth
from llmcx.answers.memory import Memory, _OfRank
from llmcx.catalog.presets import names
from llmcx.costs import params as params_fold
from llmcx.costs.closed import NotClosed, Number, Trace
from llmcx.costs.kv_cache import cache_fold
from llmcx.costs.saved_activations import kept_bytes
from llmcx.costs.work import MOST, Work
from llmcx.errors import InputError
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.model.variants import VARIANTS, parse_variant, with_variant
from llmcx.ops.op import Op


def kept(ops: list[Op]) -> int:
    return kept_bytes(ops, 2)


SUMS = (
    counting.fold.total,
    counting._by_component,
    counting._by_group,
    counting._backward_by_component,
    counting._elementwise_by_component,
    growth._cores_and_layers,
    params_fold.fold.total,
    params_fold.active_fold.total,
    cache_fold.total,
    kept,
)
RUNS = st.builds(
    Run,
    batch=st.integers(1, 9),
    seq=st.one_of(st.integers(1, 70), st.integers(1, 2**20)),
    past=st.one_of(st.just(0), st.integers(0, 70), st.integers(0, 2**20)),
    source=st.one_of(st.none(), st.integers(1, 5000)),
    encode=st.booleans(),
    ideal=st.booleans(),
    fused=st.booleans(),
    masks=st.booleans(),
    dropout=st.booleans(),
)


def same(spec: ModelSpec, runs: list[Run]) -> None:
    for run in runs:
        work, ops = Work(spec, run), lower(spec, run)
        for sums in SUMS:
            found, expected = work.of(sums), sums(ops)
            assert found == expected, (spec.name, run, sums)
            assert not isinstance(expected, dict) or list(found) == list(expected)


@pytest.mark.parametrize("name", names())
@settings(max_examples=6, deadline=None)
@given(runs=st.lists(RUNS, min_size=4, max_size=8))
def test_a_closed_form_is_the_sum_over_the_ops(name: str, runs: list[Run]) -> None:
    same(llmcx.load(name), runs)


SETTINGS = {
    "ring": "p=8",
    "sliding": "w=64",
    "chunked": "w=64",
    "local": "w=32",
    "strided": "k=16",
    "fixed": "k=16,c=4",
    "longformer": "w=32,g=4,m=2",
    "bigbird": "b=8,w=3,g=2,r=3",
    "reformer": "c=16,h=4",
    "linformer": "k=64",
    "performer": "r=64",
    "gqa": "g=8",
    "dsa": "k=64",
    "nsa": "n=4,w=64",
}
STATED = [f"{variant}:{SETTINGS[variant]}" if variant in SETTINGS else variant for variant in VARIANTS]


@pytest.mark.parametrize("variant", STATED)
@settings(max_examples=12, deadline=None)
@given(runs=st.lists(RUNS, min_size=4, max_size=8))
def test_so_it_is_for_every_attention_variant(variant: str, runs: list[Run]) -> None:
    same(with_variant(llmcx.load("llama-3-8b"), parse_variant(variant)), runs)


@pytest.mark.parametrize("name", ["gpt3", "llama-3-8b", "mixtral-8x7b", "gemma-2-9b", "qwen3-next-80b-a3b", "t5-base"])
def test_a_new_run_of_a_known_model_is_not_lowered_again(name: str) -> None:
    """What makes a sweep fast: from the third run on, no op is made."""
    spec = replace(llmcx.load(name))
    for seq in (100, 200, 300):
        work = Work(spec, Run(2, seq))
        work.of(counting.fold.total)
    assert work._ops is None


def test_pieces_are_bounded() -> None:
    spec = with_variant(llmcx.load("llama-3-8b"), parse_variant("bigbird:b=4,w=3,g=1,r=1"))
    for seq in range(1, 200):
        Work(spec, Run(1, seq, ideal=True))
    assert all(len(pieces.found) <= MOST for pieces in spec.__dict__["_found"].values())


def test_gpt3_by_hand() -> None:
    """2·b·(12·L·d²·n + V·d·n) + 4·b·L·d·n² at L 96, d 12288, V 50257: the chapter's GPT-3, at two batches and lengths."""
    layers, d, vocab = 96, 12288, 50257
    for batch, n in ((1, 2048), (3, 1000), (7, 1)):
        by_hand = 2 * batch * n * (12 * layers * d * d + vocab * d) + 4 * batch * layers * d * n * n
        assert llmcx.flops("gpt3", batch=batch, seq=n).forward.total == by_hand


def numbers(seq: int) -> tuple[Trace, Number]:
    trace = Trace()
    return trace, Number(trace, {(1,): 1}, seq)


def test_symbols_refuse_what_is_not_a_polynomial() -> None:
    _, n = numbers(8)
    for leave in (str, int, float, hash, lambda n: n / 2, lambda n: f"{n}", lambda n: range(n), lambda n: 8 // (n - 8)):
        with pytest.raises(TypeError):
            leave(n)
    with pytest.raises(NotClosed):
        _ = n + 0.5


def test_a_comparison_bounds_the_piece_unless_it_always_holds() -> None:
    trace, n = numbers(8)
    assert n >= 1 and n > 0 and n + 1 > n and not n < 1 and n == n and not trace.guards
    assert n > 7 and not n > 8 and n != 3
    assert list(trace.guards) == ["1*seq+-7 > 0".replace("1*seq", "seq"), "seq+-8 <= 0", "seq+-3 != 0"]


READ = {
    "params": ("gpt3", {}),
    "flops": ("t5-base", {"seq": 100, "batch": 2, "recompute": True}),
    "memory": ("mixtral-8x7b", {"seq": 100}),
}


@pytest.mark.parametrize("name", READ)
def test_answers_read_late_are_dataclasses_as_any(name: str) -> None:
    source, inputs = READ[name]
    late = getattr(llmcx, name)(source, **inputs)
    values = {field.name: getattr(getattr(llmcx, name)(source, **inputs), field.name) for field in fields(late)}
    whole = type(late)(**values)
    assert late == whole and repr(late) == repr(whole)
    assert pickle.loads(pickle.dumps(late)) == whole
    assert replace(late, lines=[]).lines == []
    with pytest.raises(AttributeError, match="no attribute 'totall'"):
        _ = late.totall


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
        (lambda: llmcx.params(None), "source"),  # type: ignore[arg-type]
        (lambda: llmcx.params(["gpt3"]), "source"),  # type: ignore[arg-type]
        (lambda: llmcx.memory("gpt3", seq=2049), "seq"),
    ],
)
def test_inputs_are_refused_by_the_call(call: object, field: str) -> None:
    for _ in range(3):  # a known model refuses as a new one does
        with pytest.raises(InputError) as refused:
            call()  # type: ignore[operator]
        assert refused.value.field == field


@pytest.mark.parametrize("name", ["gpt3", "llama-3-8b", "mixtral-8x7b", "gemma-2-9b"])
@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 64), seq=st.integers(1, 2048), tp=st.sampled_from([1, 2, 3, 8]))
def test_inference_on_a_rank(name: str, batch: int, seq: int, tp: int) -> None:
    spec = llmcx.load(name)
    sums = _OfRank(spec, tp, 1)
    run = Run(batch, seq, fused=True)
    assert Work(spec, run).of(sums) == sums(lower(spec, run))


def test_a_spec_travels_without_what_was_found_out_about_it() -> None:
    spec = llmcx.load("gpt3")
    before = pickle.dumps(replace(spec))
    for seq in (1, 2, 3):
        _ = llmcx.flops(spec, seq=seq).forward.total
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert len(pickle.dumps(spec)) == len(before)
    assert isinstance(llmcx.memory(spec), Memory)
