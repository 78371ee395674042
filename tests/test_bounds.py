"""Theoretical bounds against the chapter, hand calculation and exhaustive search."""

from __future__ import annotations

from math import e, log, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcx.answers.bounds import all_pairs, compression, generalization, hops_table, pac_bayes, universal_approximation
from llmcx.model.spec import Core, Linformer, Local, Longformer, Standard, Strided
from tests.helpers import refuses


def test_the_chapters_bound() -> None:
    """P = n = 1e11: ln 1e11 = 11 · 2.302585 = 25.3284, sqrt 5.0327; log2 1e11 = 25.3284 / 0.693147 = 36.5412, sqrt 6.0449."""
    natural, binary = generalization(10**11, 10**11), generalization(10**11, 10**11, "2")
    assert round(natural.bound, 2) == 5.03 and round(natural.log, 4) == 25.3284
    assert round(binary.bound, 2) == 6.04 and round(binary.log, 4) == 36.5412
    assert natural.vacuous and binary.vacuous
    assert "ln(n)" in natural.formula and "log2(n)" in binary.formula
    assert "vacuous" in natural.statement


def test_bound_by_hand() -> None:
    """P = 1, n = 100, base 10: sqrt(2 / 100) = 0.1414, not vacuous. P = 1, n = 2, base 2: sqrt(1 / 2)."""
    assert round(generalization(1, 100, "10").bound, 4) == 0.1414
    assert not generalization(1, 100, "10").vacuous
    assert generalization(1, 2, "2").bound == sqrt(0.5)


def test_enough_by_hand() -> None:
    """P = 1, base 2: n = 2 gives 1/2 < 1. P = 2: 2 log2(n) / n is 1 at n = 2, 1.06 at 3, 1 at 4, 0.93 at 5."""
    assert generalization(1, 10, "2").enough == 2
    assert generalization(2, 10, "2").enough == 5


@given(st.integers(1, 10**15), st.integers(2, 10**15), st.sampled_from(["e", "2", "10"]))
def test_bound_always(params: int, examples: int, base: str) -> None:
    found = generalization(params, examples, base)
    number = {"e": e, "2": 2, "10": 10}[base]
    assert found.bound == pytest.approx(sqrt(params * log(examples) / log(number) / examples))
    assert found.vacuous == (found.bound >= 1)
    assert found.base == base
    if examples >= found.enough:
        assert not found.vacuous
    elif examples > 3:
        assert found.vacuous
    # A constant factor between the bases, nothing else.
    assert generalization(params, examples, "2").bound == pytest.approx(generalization(params, examples).bound / sqrt(log(2)))


def test_pairs_by_hand() -> None:
    """4 tokens: 16 pairs, 1 + 2 + 3 + 4 = 10 under a causal mask. The chapter's growth table: 512, 2048, 8192, 32768."""
    assert (all_pairs(4).pairs, all_pairs(4).causal_pairs) == (16, 10)
    assert [all_pairs(n).pairs for n in (512, 2048, 8192, 32768)] == [262_144, 4_194_304, 67_108_864, 1_073_741_824]
    assert "Omega(n²)" in all_pairs(4).statement


@given(st.integers(1, 10**15))
def test_pairs_always(seq: int) -> None:
    found = all_pairs(seq)
    assert found.pairs == seq * seq
    assert 2 * found.causal_pairs == found.pairs + seq


def test_the_chapters_hops() -> None:
    """Standard 1, local ceil((n-1)/w), strided 2, Longformer 2. n 4096, w 256: ceil(4095 / 256) = 16."""
    cores: list[Core] = [Standard(), Local(256), Strided(64), Longformer(256, 16)]
    rows = {row.pattern: row for row in hops_table([4096], cores)}
    assert rows["standard"].hops == rows["standard"].causal == 1
    assert rows["local:w=256"].causal == 16
    assert rows["strided:k=64"].hops == rows["strided:k=64"].causal == 2
    assert rows["longformer:w=256,g=16"].hops == 2


def test_default_table() -> None:
    rows = hops_table([512, 4096])
    assert len(rows) == 14 and all(row.why for row in rows)
    assert [row.seq for row in rows[:2]] == [512, 4096]
    assert {row.causal for row in hops_table([100], [Linformer(8)])} == {None}


@given(st.integers(2, 40), st.integers(1, 12))
def test_local_hops_by_search(n: int, window: int) -> None:
    """Information walks: after l layers a causal token knows all that is reachable in l steps of at most ``window`` back."""
    known = [{i} for i in range(n)]
    layers = 0
    while any(len(seen) < i + 1 for i, seen in enumerate(known)):
        known = [set().union(*(known[j] for j in range(max(0, i - window), i + 1))) for i in range(n)]
        layers += 1
    [row] = hops_table([n], [Local(window)])
    assert row.causal == layers


def test_universal_approximation_has_no_number() -> None:
    found = universal_approximation()
    assert "1912.10077" in found.source
    assert "compact" in found.condition and "how large" in found.limits


def test_refusals() -> None:
    for call, field in (
        (lambda: generalization(0, 10), "params"),
        (lambda: generalization(10, 1), "examples"),
        (lambda: generalization(10, 10**16), "examples"),
        (lambda: generalization(10, 10, "3"), "base"),
        (lambda: all_pairs(0), "seq"),
        (lambda: hops_table([]), "seq"),
        (lambda: hops_table([0]), "seq"),
    ):
        with refuses(field):
            call()


# --- certificates ---------------------------------------------------------------------------------------------------


def test_certificates_by_hand() -> None:
    """PAC-Bayes, KL 100, n 1000, delta 0.01: ln(2 · 31.6228 / 0.01) = ln 6324.56 = 8.7522; sqrt(108.7522 / 2000) = 0.23319.
    Compression, 1000 bits, n 10,000, delta 0.05: ln 40 = 3.6889; sqrt(1003.6889 / 20,000) = 0.22402.
    """
    assert round(pac_bayes(100, 1000, 0.01).gap, 5) == 0.23319
    assert round(compression(1000, 10_000).gap, 5) == 0.22402


def test_certificates_of_a_plain_language_model_say_nothing() -> None:
    """16 bits for each of 7e9 parameters against 1e9 documents: sqrt(1.12e11 / 2e9) = 7.5."""
    found = compression(16 * 7 * 10**9, 10**9)
    assert found.vacuous and round(found.gap, 1) == 7.5


@given(st.floats(0, 1e12), st.integers(8, 10**15 // 2), st.floats(0.001, 0.5))
def test_more_examples_never_loosen_a_certificate(kl: float, n: int, delta: float) -> None:
    assert pac_bayes(kl, 2 * n, delta).gap <= pac_bayes(kl, n, delta).gap <= pac_bayes(2 * kl + 1, n, delta).gap


@pytest.mark.parametrize(("call", "field"), [(lambda: pac_bayes(-1, 100), "kl"), (lambda: compression(8, 100, 1.0), "delta")])
def test_bad_certificates(call: Any, field: str) -> None:
    with refuses(field):
        call()
