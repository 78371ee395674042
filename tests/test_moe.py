"""Mixtures of experts: routing as chance, expert parallelism, and experts made of a dense feed-forward."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcx
from llmcx.parallel.routing import MOST_PICKS, chances, distinct_experts, dropped, simulate
from tests.helpers import data, refused


def every_batch(tokens: int, n_experts: int, top_k: int) -> list[list[int]]:
    """The loads of all equally likely batches, one by one."""
    picks = list(combinations(range(n_experts), top_k))
    return [[sum(e in pick for pick in batch) for e in range(n_experts)] for batch in product(picks, repeat=tokens)]


@pytest.mark.parametrize(("tokens", "n_experts", "top_k"), [(1, 4, 2), (3, 4, 1), (3, 4, 2), (4, 3, 2), (2, 5, 3)])
def test_uniform_routing_against_every_batch(tokens: int, n_experts: int, top_k: int) -> None:
    loads = every_batch(tokens, n_experts, top_k)
    met = Fraction(sum(sum(x > 0 for x in load) for load in loads), len(loads))
    assert distinct_experts(tokens, n_experts, top_k) == pytest.approx(float(met), rel=1e-12)
    for room in range(tokens + 1):
        lost = Fraction(sum(sum(max(0, x - room) for x in load) for load in loads), len(loads) * tokens * top_k)
        assert dropped(tokens, n_experts, top_k, room) == pytest.approx(float(lost), rel=1e-12, abs=1e-15)


def test_hot_expert_by_hand() -> None:
    """4 experts, top-1, imbalance 2: the hot one is met with chance 1/2, the others with 1/6. Two tokens: 1 - 1/4 = 3/4 of the
    hot one and 3 x (1 - 25/36) = 11/12 of the others are met; with room for 1, both on the hot one (1/4) or on one of the
    others (3/36) loses 1 of 2: (1/4 + 1/12)/2 = 1/6.
    """
    assert chances(4, 1, 2) == (0.5, pytest.approx(1 / 6))
    assert distinct_experts(2, 4, 1, 2) == pytest.approx(3 / 4 + 11 / 12)
    assert dropped(2, 4, 1, 1, 2) == pytest.approx(1 / 6)


@pytest.mark.parametrize(("imbalance", "room"), [(1.0, 40), (4.0, 40), (4.0, 32), (32.0, 60)])
def test_simulation_agrees_with_expectation(imbalance: float, room: int) -> None:
    """Within four standard errors, drawn and not derived."""
    drawn = simulate(1024, 32, 1, room, imbalance, trials=40, seed=7)
    assert drawn.dropped is not None and drawn.dropped_error is not None
    assert abs(drawn.dropped - dropped(1024, 32, 1, room, imbalance)) <= 4 * drawn.dropped_error + 1e-12
    assert drawn == simulate(1024, 32, 1, room, imbalance, trials=40, seed=7)
    assert drawn.hottest >= imbalance * 0.9


def test_simulated_top_k_picks_are_distinct() -> None:
    """Every token meets all of 4 experts at top-4; with one token, exactly top_k are met."""
    assert simulate(10, 4, 4, 9, trials=3).dropped == pytest.approx(0.1)
    assert simulate(1, 64, 8, None, 8.0, trials=50).distinct_experts == 8


@given(st.integers(2, 300), st.data())
def test_laws_of_chance(n_experts: int, draw: st.DataObject) -> None:
    top_k = draw.draw(st.integers(1, n_experts))
    tokens = draw.draw(st.integers(1, 10**7))
    imbalance = draw.draw(st.floats(1, n_experts / top_k))
    room = draw.draw(st.integers(0, tokens))
    met = distinct_experts(tokens, n_experts, top_k, imbalance)
    assert top_k * (1 - 1e-9) <= met <= n_experts * (1 + 1e-9)
    assert distinct_experts(tokens, n_experts, top_k) >= met * (1 - 1e-9)  # a hot expert leaves others cold
    lost = dropped(tokens, n_experts, top_k, room, imbalance)
    assert 0 <= lost <= 1 + 1e-6
    least = max(0.0, 1 - room * n_experts / (tokens * top_k))  # what is beyond all room together
    assert lost >= least - 1e-6


def test_normal_tail_meets_the_sum() -> None:
    """On both sides of where the sum gives way: E[(X - mean)+] is 0.39894 deviations (the half-normal's mean over 2)."""
    for tokens in (3 * 10**8, 5 * 10**8):
        mean, deviation = tokens / 4, (tokens * 3 / 16) ** 0.5
        assert dropped(tokens, 4, 1, tokens // 4) == pytest.approx(0.39894228 * deviation / mean, rel=1e-4)


def test_expert_parallel_by_hand() -> None:
    """Mixtral 8x7B over 4 GPUs: 2 of 8 experts each. An expert is 3·4096·14336 weights in 32 layers. Four tokens of 4096 bf16
    numbers to 2 experts, there and back: 2·8·4096·2 bytes a layer, of which 3/4 cross.
    """
    expert = 32 * 3 * 4096 * 14336
    r = llmcx.moe("mixtral-8x7b", seq=4, ep=4, imbalance=2)
    p = r.expert_parallel
    assert p is not None and p.even and (p.experts_per_rank, p.fewest_experts, p.full_ranks) == (2, 2, 4)
    assert p.replicated_bytes == 2 * (46_702_792_704 - 8 * expert)
    assert p.weight_bytes_per_rank == p.lightest_weight_bytes == 2 * (46_702_792_704 - 6 * expert)
    layer = 2 * 8 * 4096 * 2 * 3 // 4
    assert (p.all_to_all_layer_bytes, p.all_to_all_forward_bytes) == (layer, 32 * layer)
    assert p.all_to_all_step_bytes == 64 * layer and p.all_to_all_step_bytes_per_rank == 16 * layer
    # A rank holds 2 of 8: missed by C(6, 2)/C(8, 2) = 15/28 of tokens, so a token goes to 4·13/28 = 13/7 ranks, not 2.
    assert p.all_to_all_unique_bytes == 32 * -(-2 * 4 * 4096 * 2 * 3 * 13 // (4 * 7))
    # The hot expert takes 2 x 1/4 of tokens, another (2 - 1/2)/7 = 3/14; a rank's mean is 1/2.
    assert p.hot_rank_load == pytest.approx((1 / 2 + 3 / 14) / (1 / 2))


def test_one_rank_sends_nothing_and_holds_all() -> None:
    p = llmcx.moe("mixtral-8x7b", seq=4, ep=1).expert_parallel
    assert p is not None and p.all_to_all_step_bytes == 0 == p.all_to_all_unique_bytes
    assert p.weight_bytes_per_rank == 2 * 46_702_792_704 and p.hot_rank_load == pytest.approx(1)


def test_uneven_split_is_said() -> None:
    out = data("moe", "mixtral-8x7b", "--seq", "64", "--ep", "3")
    p = out["result"]["expert_parallel"]
    assert (p["experts_per_rank"], p["full_ranks"], p["fewest_experts"], p["even"]) == (3, 2, 2, False)
    assert p["hot_rank_load"] == pytest.approx(9 / 8)  # 3 experts where the mean is 8/3
    assert any("uneven split" in note for note in out["notes"])


def test_a_simulation_has_a_limit() -> None:
    assert "at most" in refused("moe", "mixtral-8x7b", "--seq", "1", "--simulate", str(MOST_PICKS))


def test_split_and_copy_are_different_models() -> None:
    """Llama 3 8B, 8 experts, top-2. A layer's feed-forward is 3·4096·14336, its router 4096·8, in 32 layers. Split leaves the
    total but for the routers; copy adds 7 feed-forwards a layer (Switch). A token meets 2/8 of the first, 2 of the second.
    """
    dense, ffn, router = llmcx.params("llama-3-8b").total, 32 * 3 * 4096 * 14336, 32 * 4096 * 8

    def made(how: str) -> tuple[int, int]:
        out = data("moe", "llama-3-8b", "--experts", "8", "--top-k", "2", "--set", f"experts_from={how}", "--seq", "64")
        assert any(f"experts_from={how}" in note for note in out["notes"])
        return out["result"]["total"], out["result"]["active"]

    assert made("split") == (dense + router, dense + router - ffn * 6 // 8)
    assert made("copy") == (dense + router + 7 * ffn, dense + router + ffn)
    default = data("moe", "llama-3-8b", "--experts", "8", "--top-k", "2", "--seq", "64")["result"]
    assert (default["total"], default["active"]) == made("copy")


def test_split_costs_what_the_chapter_says() -> None:
    """k n d²/E: a plain feed-forward 4d wide costs 2·2·4d² FLOPs a token; split in E = 16 with k = 1, a 16th, and the router's
    2·d·E.
    """
    args = ("--layers", "1", "--d-model", "1024", "--vocab", "1000", "--seq", "1")
    dense = data("flops", *args)["result"]["forward"]["total"]
    split = data("flops", *args, "--experts", "16", "--top-k", "1", "--set", "experts_from=split")["result"]["forward"]["total"]
    whole = 2 * 2 * 4 * 1024**2
    assert split == dense - whole + whole // 16 + 2 * 1024 * 16


def test_sparsity_and_granularity() -> None:
    """Kimi-K2: 384 experts over 8 is 48. Krajewski et al. 2024: an expert as wide as the dense 4d is G = 1; so in
    Switch-Base. DeepSeek-V3's token meets 8 + 1 experts of one width, the 18432 of its dense layers: 9.
    """
    assert llmcx.moe("kimi-k2", seq=8).sparsity == 48
    switch = llmcx.moe("switch-base-128", seq=8)
    assert (switch.granularity, switch.granularity_active) == (1, 1)
    deepseek = llmcx.moe("deepseek-v3", seq=8)
    assert deepseek.granularity == 4 * 7168 / 2048 == 14 and deepseek.granularity_active == 9 == 18432 / 2048


@pytest.mark.parametrize("name", ["mixtral-8x7b", "switch-base-128", "deepseek-v2-lite"])
def test_dense_of_equal_flops(name: str) -> None:
    """One unit of d_ff is the finest step: at most half a percent."""
    same = llmcx.moe(name, seq=64).dense_equivalent.same_flops
    assert same.moe_over_dense == pytest.approx(1, rel=5e-3)


def test_decode_reads_what_it_meets() -> None:
    """Batch 1 reads the top_k experts of each layer: 2·32·3·4096·14336 weights in bf16."""
    r = llmcx.moe("mixtral-8x7b", batch=1, seq=64).touched
    assert r.decode_distinct_experts == pytest.approx(2) and r.decode_expert_bytes == 2 * 2 * 32 * 3 * 4096 * 14336


# --- routers --------------------------------------------------------------------------------------------------------


def test_routers_of_deepseek_v3() -> None:
    """58 layers x 256 experts x 7168: 106,430,464 parameters; with a bias per expert, 58 x 256 = 14,848 more. Chance that none
    of 256 experts, each taking 8/256 of the tokens, takes a given one: (1 - 1/32)^256 = e^(256 ln 0.96875) = e^-8.1276 =
    0.000295.
    """
    rows = {row["router"]: row for row in data("moe", "deepseek-v3", "--seq", "4k")["result"]["routers"]}
    assert rows["top-k"]["params"] == 106_430_464 and rows["bias"]["params"] == 106_430_464 + 14_848
    assert rows["hash"]["params"] == rows["hash"]["flops_per_token"] == 0
    assert rows["expert choice"]["unserved"] == pytest.approx(0.000295, abs=1e-6)
    assert [row["causal"] for row in rows.values()] == [True, False, True, True]
    assert rows["top-k"]["dropped"] == 0  # no capacity, nothing dropped


def test_expert_choice_against_draws() -> None:
    """4000 tokens, 16 experts that each take 500 at random: the share that nobody took, against (1 - 2/16)^16 = 0.1181."""
    from random import Random

    draw = Random(1)
    taken = set()
    for _ in range(16):
        taken.update(draw.sample(range(4000), 500))
    assert 1 - len(taken) / 4000 == pytest.approx((1 - 2 / 16) ** 16, abs=0.01)
