"""The textbook chapter's exercises and figures, out of the commands; and its slips, with the right figures.

Every expected number here is the chapter's (or its checked correction), not a result of this code.
"""

from __future__ import annotations

import pytest

import llmcx
from tests.helpers import data


def one_layer(heads: int) -> dict[str, object]:
    """A layer 1024 wide, without a head."""
    layer = {"repeat": 1, "mixer": {"type": "attention", "n_heads": heads}, "ffn": {"type": "plain", "d_ff": 4096}}
    return {"name": "x", "d_model": 1024, "embedding": {"vocab": 1}, "head": None, "decoder": [layer]}


def test_exercise_1_attention_and_feed_forward_at_leading_order() -> None:
    """n 4096, d 1024: attention n² d = 1.72e10, FFN n d² = 4.29e9, ratio n / d = 4."""
    shape = ["--layers", "1", "--d-model", "1024", "--vocab", "32000"]
    result = data("flops", *shape, "--seq", "4096", "--convention", "leading-order")["result"]
    rows = {row["component"]: row["flops"] for row in result["forward"]["components"]}
    assert rows["attention core"] == 4096**2 * 1024 == 17_179_869_184
    assert rows["projections and feed-forward"] == 4096 * 1024**2 == 4_294_967_296
    assert rows["attention core"] // rows["projections and feed-forward"] == 4


def test_exercise_1_with_constants_attention_equals_the_feed_forward_at_n_4d() -> None:
    """Exact: 4 n² d against 16 n d² for the feed-forward alone, so the chapter's 4x is 1x."""
    result = llmcx.flops(one_layer(1), seq=4096)
    rows = {row.component: row.flops for row in result.forward.components}
    assert rows["attention.scores"] + rows["attention.values"] == rows["ffn.up"] + rows["ffn.down"] == 68_719_476_736


def test_exercise_2_checkpoints() -> None:
    """96 layers, one checkpoint every 8: 12 checkpoints."""
    result = data("memory", "gpt3", "--train", "--set", "checkpoint_every=8")["result"]
    assert result["checkpointing"]["checkpoints"] == 12


def test_exercise_3_sparse_attention() -> None:
    """s 256, n 16384, d 1024: standard 2.75e11, sparse 4.29e9, ratio n / s = 64."""
    shape = ["--layers", "1", "--d-model", "1024", "--vocab", "32000", "--seq", "16384", "--set", "sparse_window=256"]
    rows = data("attention-compare", *shape)["result"]["rows"]
    leading = {row["variant"]: row["leading_order"] for row in rows}
    assert leading["standard"] == 274_877_906_944
    assert leading["local:w=256"] == 4_294_967_296
    assert leading["standard"] // leading["local:w=256"] == 64


def test_exercise_4_parameters() -> None:
    """L 48, d 4096, V 32000: 12 L d² + V d = 9,794,748,416; the exact count adds two layer norms per layer and a final one."""
    result = data("params", "--layers", "48", "--d-model", "4096", "--vocab", "32000")["result"]
    assert result["chapter"] == 9_794_748_416
    assert result["total"] == 9_794_748_416 + 48 * 4 * 4096 + 2 * 4096


def test_gpt3_parameters() -> None:
    assert data("params", "gpt3")["result"]["total"] == 174_604_259_328
    assert llmcx.params("gpt3", dtype="fp32").bytes == pytest.approx(700e9, rel=0.003)  # "175B, 700 GB in fp32"


def test_gpt3_flops() -> None:
    """96 (24 n d² + 4 n² d) + 2 n d V with n 2048, d 12288, V 50257; 7.35e14 in the checked chapter."""
    n, d = 2048, 12288
    assert 96 * (24 * n * d * d + 4 * n * n * d) + 2 * n * d * 50257 == 734_804_261_732_352
    assert data("flops", "gpt3", "--seq", "2048")["result"]["forward"]["total"] == 734_804_261_732_352


def test_gpt3_leading_order_is_per_sequence_not_per_generated_token() -> None:
    """The chapter's 3.46e13 "per generated token" is leading order for 2048 tokens; a cached token is 3.6e11."""
    result = llmcx.flops("gpt3", seq=2048, convention="leading-order")
    assert result.forward.total == pytest.approx(3.46e13, rel=0.0015)
    assert llmcx.flops("gpt3", seq=2048).decode.total == pytest.approx(3.6e11, rel=0.005)


def test_gpt3_training_memory() -> None:
    """Activations 309 GB and scores 4.95 TB at b 32, fp32: the chapter prints 500 GB for the scores, a tenfold slip."""
    args = "gpt3 --train --micro-batch 32 --seq 2048 --precision fp32 --set activations=textbook"
    result = data("memory", *args.split())["result"]
    assert result["chapter"]["activation_bytes"] == 4 * 96 * 32 * 2048 * 12288 == 309_237_645_312
    assert result["chapter"]["score_bytes"] == 4 * 96 * 32 * 96 * 2048**2 == 4_947_802_324_992
    assert result["chapter"]["total_bytes"] == pytest.approx(5.26e12, rel=0.001)
    assert {part["part"]: part["bytes"] for part in result["parts"]}["activations"] == result["chapter"]["total_bytes"]


def test_checkpointing_costs_a_third_of_a_training_step() -> None:
    """Not "doubles compute": the forward doubles, forward + backward go from 3 units to 4."""
    plain, again = (llmcx.flops(one_layer(1), seq=64, recompute=recompute) for recompute in ("none", "full"))
    assert again.train.total * 3 == plain.train.total * 4


def test_projections_cost_n_d_squared_whatever_the_number_of_heads() -> None:
    """A head projects from d, not from d / H: H heads cost n d², not n d² / H."""
    one, many = (llmcx.flops(one_layer(heads), seq=64) for heads in (1, 16))
    rows = [{row.component: row.flops for row in result.forward.components} for result in (one, many)]
    assert rows[0]["attention.q"] == rows[1]["attention.q"] == 2 * 64 * 1024**2


def test_growth_table() -> None:
    """n² at 512, 2048, 8192, 32768: 1x, 16x, 256x, 4096x."""
    rows = data("attention-compare", "gpt3", "--variant", "standard")["result"]["rows"]
    assert [row["growth"] for row in rows] == [1, 16, 256, 4096]


@pytest.mark.parametrize(
    ("seq", "rule"), [(1024, "standard"), (4096, "flash"), (32768, "sparse or linformer"), (131072, "performer")]
)
def test_rules_by_length(seq: int, rule: str) -> None:
    said = llmcx.attention_compare("llama-3-8b", seq=seq).recommendation[0]
    assert said.chapter_variant.startswith(rule)


def test_hops() -> None:
    """Standard 1, local ceil((n-1)/w), strided 2, Longformer 2."""
    rows = llmcx.attention_compare("llama-3-8b", seq=4096).rows
    said = {row.variant.partition(":")[0]: (row.hops, row.hops_causal) for row in rows}
    assert said["standard"] == (1, 1) and said["strided"][0] == 2 and said["longformer"][0] == 2
    assert said["local"][1] == -(-4095 // 256) == 16


def test_crossover_is_where_scores_equal_the_linear_flops_not_n_equals_d() -> None:
    """GPT-3: 4 n² d = 24 n d² at n = 6 d = 73,728."""
    assert data("flops", "gpt3")["result"]["crossover"]["layers"] == 6 * 12288 == 73_728


def test_switch_active_share_is_of_the_experts_only() -> None:
    """1/2048 of the expert parameters are active, but 1.7B of 1.6T in all."""
    result = llmcx.moe("switch-c")
    assert result.expert_active_fraction == 1 / 2048
    assert result.total == pytest.approx(1.6e12, rel=0.02)
    assert result.active / result.total > 2 / 2048
