"""Training memory under parallelism, against published formulas written out here.

docs/memory.md is written from the same comparisons: `python tests/test_training_memory.py` rewrites it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcx.answers.memory import Rank, memory
from llmcx.answers.memory_training import training_ranks as ranks
from llmcx.catalog.load import load_preset
from llmcx.engines.recipe import Recipe
from llmcx.errors import InputError
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model.spec import Attention, Embedding, Head, Layers, ModelSpec, Norm, Plain
from llmcx.ops.op import Op
from llmcx.parallel.layout import Layout, uneven
from tests.helpers import data

PAGE = Path(__file__).parent.parent / "docs" / "memory.md"

# Korthikanti et al. 2022, arXiv:2205.05198, Table 3: heads, hidden, layers, tensor x pipeline, micro-batch. s 2048, v 51200.
PUBLISHED = {
    "22B": (64, 6144, 48, 8, 1, 4),
    "175B": (96, 12288, 96, 8, 8, 1),
    "530B": (128, 20480, 105, 8, 35, 1),
    "1T": (160, 25600, 128, 8, 64, 1),
}
SEQ = 2048


def gpt(heads: int, hidden: int, layers: int) -> ModelSpec:
    block = Layers(layers, Attention(heads, bias=True), Plain(4 * hidden, True, "gelu"))
    return ModelSpec(
        name="megatron", d_model=hidden, norm=Norm(), embedding=Embedding(51200), decoder=(block,), head=Head(tied=True)
    )


def activations(rank: Rank) -> int:
    return next(part.bytes for part in rank.parts if part.part == "activations")


def per_layer(name: str, sequence: bool, recompute: str) -> tuple[int, float, float]:
    """Ours, the closed form of Korthikanti's Table 2, and ours less the two statistics per norm and row that it leaves out."""
    a, h, _, t, _, b = PUBLISHED[name]
    method = Recipe(attention="eager", kernels="fused", dropout=True, recompute=recompute)
    ways = Layout(tp=t, sequence=sequence)
    one, two = (activations(ranks(gpt(a, h, n), b, SEQ, ways, method)[0]) for n in (1, 2))
    s = SEQ
    scores = 0 if recompute == "selective" else 5 * a * s / h
    if recompute == "full":
        closed = 2 * s * b * h / (t if sequence else 1)
    elif sequence:
        closed = s * b * h / t * (34 + scores)
    else:
        closed = s * b * h * (10 + 24 / t + scores / t)
    statistics = 2 * 2 * 4 * s * b / (t if sequence else 1) if recompute != "full" else 0
    return two - one, closed, two - one - statistics


CASES = [
    (name, sequence, recompute) for name in PUBLISHED for sequence in (False, True) for recompute in ("none", "selective", "full")
]


@pytest.mark.parametrize(("name", "sequence", "recompute"), CASES)
def test_korthikantis_table_2(name: str, sequence: bool, recompute: str) -> None:
    _, closed, ours = per_layer(name, sequence, recompute)
    assert ours == pytest.approx(closed, rel=1e-12)


def test_elementwise_recomputation_by_hand() -> None:
    """Llama 3 8B, a token of a layer in 16 bits: what is left are the inputs of two norms (4096), queries and attention's output
    (4096), keys and values (1024), gate and up (14336); in fp32 a root per norm and a log-sum-exp for each of 32 heads. Beside
    them, "none" keeps what those bring back: both norms' outputs and the product; "selective" as much, for a flash kernel writes
    no scores.
    """
    left = 2 * (2 * 4096 + 2 * 4096 + 2 * 1024 + 2 * 14336) + 4 * (2 + 32)
    spec = load_preset("llama-3-8b")
    for recompute, by_hand in (("elementwise", left), ("selective", left + 2 * (2 * 4096 + 14336))):
        method = Recipe(kernels="fused", attention="flash", recompute=recompute)
        one, two = (
            activations(ranks(replace(spec, decoder=(replace(spec.decoder[0], repeat=n),)), 1, SEQ, Layout(), method)[0])
            for n in (1, 2)
        )
        assert two - one == SEQ * by_hand


def megatron(name: str, dp: int) -> tuple[float, float]:
    """Megatron-LM's own report (its theoretical memory usage), for sequence parallelism and selective recomputation: bytes of
    weights and optimizer on the fullest GPU, and of activations on the first stage, as its documentation states them:

    parameters P = 10 L h² (1 + groups/(5 heads) + 2/(5 h) + 1/(5 L h)) + v h, of which the fullest shard has
    (layers / pp + v h) / tp;
    18 bytes each, or 6 + 12 / dp with the distributed optimizer; activations s b h (18 + 4 · 4) per layer, all L of them in
    flight, plus 8 s b pp for the embedding's input and s b h pp for its dropout, all divided by tp.
    """
    a, h, layers, t, p, b = PUBLISHED[name]
    inside = 10 * layers * h * h * (1 + a / (5 * a) + 2 / (5 * h) + 1 / (5 * layers * h))
    weights = (inside / p + 51200 * h) / t * (6 + 12 / dp)
    activations = (SEQ * b * h * (18 + 4 * 4) * layers + 8 * SEQ * b * p + SEQ * b * h * p) / t
    if p == 1:
        activations += SEQ * b * h * 4 * (1 + 51200 / h) / t
    return weights, activations


def ours_as_megatron(name: str, dp: int) -> tuple[int, int]:
    a, h, layers, t, p, b = PUBLISHED[name]
    method = Recipe(precision="megatron", attention="eager", kernels="fused", dropout=True, recompute="selective")
    first = ranks(gpt(a, h, layers), b, SEQ, Layout(tp=t, pp=p, dp=dp, zero=1), method)[0]
    held = {part.part: part.bytes for part in first.parts}
    return held["weights"] + held["gradients"] + held["optimizer"], held["activations"] + held.get("logits", 0)


@pytest.mark.parametrize("dp", [1, 8])
@pytest.mark.parametrize("name", PUBLISHED)
def test_megatrons_own_formula(name: str, dp: int) -> None:
    """Its formula divides biases and norms by tp too, and counts the ends of the model otherwise: within 2%."""
    for ours, theirs in zip(ours_as_megatron(name, dp), megatron(name, dp), strict=True):
        assert ours == pytest.approx(theirs, rel=0.02)


def test_in_flight_of_1f1b() -> None:
    """Narayanan et al. 2021: the first of p stages holds p micro-batches, the last one."""
    stages = ranks(load_preset("gpt3"), 1, SEQ, Layout(tp=8, pp=8), Recipe())
    assert [stage.in_flight for stage in stages] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert [stage.layers for stage in stages] == [12] * 8
    assert [stage.layers for stage in ranks(load_preset("gpt3"), 1, SEQ, Layout(pp=7), Recipe())] == [14] * 5 + [13] * 2


def test_zero_of_the_paper() -> None:
    """Rajbhandari et al. 2020, Fig. 1: 7.5B parameters on 64 GPUs, mixed precision with Adam: 120, 31.4, 16.6, 1.9 GB."""
    spec = gpt(32, 4096, 36)  # 7.46B
    exact = memory(spec, train=True, seq=16).parts[0].bytes // 2
    for zero, published in ((0, 120e9), (1, 31.4e9), (2, 16.6e9), (3, 1.88e9)):
        held = memory(spec, 1, 16, train=True, layout=Layout(dp=64, zero=zero)).parts[:3]
        assert sum(part.bytes for part in held) == pytest.approx(published * exact / 7.5e9, rel=0.01)


def test_optimizers_by_hand() -> None:
    """One linear layer of 4 by 6 with a bias beside a table of 10 by 4: 28 + 40 + a norm's 8 and 8 parameters."""
    linear = Op("ffn.up", "linear", {"tokens": 1, "d_in": 4, "d_out": 6, "bias": 1, "tied": 0}, group="decoder.0")
    table = Op("embedding.tokens", "lookup", {"tokens": 1, "rows": 10, "width": 4}, group="embedding")
    ops = [linear, table]
    held = {name: optimizer.bytes(ops) for name, optimizer in OPTIMIZERS.items()}
    assert held["sgd"] == 0
    assert held["adam"] == held["adamw"] == 8 * (30 + 40)
    assert held["lion"] == held["momentum"] == 4 * 70
    assert held["adam8bit"] == 8 * 70 and held["lion8bit"] == 4 * 70  # all below 4,096 numbers
    assert held["muon"] == 4 * 30 + 8 * 40
    assert held["adafactor"] == 4 * ((4 + 6) + 6 + (10 + 4))


@pytest.mark.parametrize(
    ("layout", "method", "field"),
    [
        (Layout(ep=2), Recipe(), "ep"),
        (Layout(pp=97), Recipe(), "pp"),
        (Layout(virtual=2), Recipe(), "virtual"),
        (Layout(cp=2), Recipe(attention="eager"), "cp"),
        (Layout(dp=4, shard=3), Recipe(), "shard"),
    ],
)
def test_refused(layout: Layout, method: Recipe, field: str) -> None:
    with pytest.raises(InputError) as refusal:
        ranks(load_preset("gpt3"), 1, 64, layout, method)
    assert refusal.value.field == field


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError) as refusal:
        Recipe(kernels="fast")
    assert refusal.value.field == "kernels"


def test_uneven_splits_are_said() -> None:
    """96 layers on 7 stages: one has 14."""
    (note,) = uneven(load_preset("gpt3"), Layout(pp=7, tp=8))
    assert "96 layers" in note and "7 stages" in note and "14" in note


def test_a_recurrent_mixer_is_not_divided() -> None:
    from llmcx.huggingface import from_config

    with pytest.raises(InputError, match="attention"):
        ranks(from_config({"model_type": "rwkv"}, "config.json"), 1, 64, Layout(tp=2), Recipe())


@settings(max_examples=30, deadline=None)
@given(
    preset=st.sampled_from(["llama-3-8b", "mixtral-8x7b", "gpt2"]),
    tp=st.sampled_from([1, 2, 4]),
    pp=st.sampled_from([1, 2, 4]),
    dp=st.sampled_from([1, 2, 8]),
    zero=st.integers(0, 3),
    kernels=st.sampled_from(["eager", "fused"]),
)
def test_laws(preset: str, tp: int, pp: int, dp: int, zero: int, kernels: str) -> None:
    """Parts add up; more sharing never holds more weights; all shares together hold the whole at least once."""
    spec, method = load_preset(preset), Recipe(kernels=kernels)
    whole = ranks(spec, 1, 128, Layout(), method)[0]
    stages = ranks(spec, 1, 128, Layout(tp=tp, pp=pp, dp=dp, zero=zero), method)
    for stage in stages:
        assert stage.total_bytes == sum(part.bytes for part in stage.parts)
        assert stage.parts[0].bytes <= whole.parts[0].bytes
    among = dp if zero == 3 else 1
    assert sum(stage.parts[0].bytes for stage in stages) * tp * among >= whole.parts[0].bytes


def page() -> str:
    lines = [
        "# Training memory against published formulas",
        "",
        "Written by `tests/test_training_memory.py`, which holds the published formulas written out.",
        "",
        "## One layer, against Korthikanti et al. 2022 (arXiv:2205.05198), Table 2",
        "",
        "Bytes that a GPU keeps of one layer, for the four models of its Table 3 (tensor parallelism 8, dropout, kernels that",
        "are fused but write the probabilities out). Ours also has the two fp32 statistics per row of each layer norm, which the",
        "closed form leaves out; nothing else differs.",
        "",
        "| model | sequence parallel | recomputed | closed form | llmcx | deviation |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    worst = 0.0
    for name, sequence, recompute in CASES:
        ours, closed, _ = per_layer(name, sequence, recompute)
        worst = max(worst, abs(ours / closed - 1))
        lines.append(
            f"| {name} | {'yes' if sequence else 'no'} | {recompute} | {closed:,.0f} | {ours:,} | {ours / closed - 1:+.3%} |"
        )
    lines += [
        "",
        f"Largest deviation: {worst:.3%}.",
        "",
        "## The fullest GPU, against Megatron-LM's own report",
        "",
        "Its formula for sequence parallelism, selective recomputation and the distributed optimizer; data parallelism 8.",
        "",
        "| model | weights, gradients, optimizer: theirs | llmcx | | activations: theirs | llmcx | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    worst = 0.0
    for name in PUBLISHED:
        cells = []
        for ours, theirs in zip(ours_as_megatron(name, 8), megatron(name, 8), strict=True):
            worst = max(worst, abs(ours / theirs - 1))
            cells.append(f"{theirs:,.0f} | {ours:,} | {ours / theirs - 1:+.2%}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Largest deviation: {worst:.2%}."]) + "\n"


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")


def test_states_of_optimizers_are_what_their_classes_hold() -> None:
    """tests/oracle/optimizers.py: of matrices, in fp32 and in bf16 without a master copy."""
    golden = json.loads((Path(__file__).parent / "oracle" / "optimizers_golden.json").read_text(encoding="utf-8"))["states"]
    for name, by_dtype in golden.items():
        for dtype, by_shape in by_dtype.items():
            for shape, size in by_shape.items():
                rows, columns = map(int, shape.split("x"))
                dims = {"tokens": 1, "d_in": columns, "d_out": rows, "bias": 0, "tied": 0}
                basis = OPTIMIZERS[name].basis(Op("ffn.up", "linear", dims, group="decoder.0"))
                width = {"float32": 4, "bfloat16": 2}[dtype]
                assert OPTIMIZERS[name].of(rows * columns, basis, width) == size, (name, dtype, shape)


def test_pure_bf16_has_bf16_moments() -> None:
    """2 bytes each of weights and gradients, 4 of AdamW's moments: torch's zeros_like."""
    ranks = data("memory", "llama-3-8b", "--train", "--seq", "512", "--precision", "bf16", "--optimizer", "adamw")["result"]
    parts = {part["part"]: part["bytes"] for part in ranks["parts"]}
    assert parts["optimizer"] == 4 * 8_030_261_248 and parts["weights"] == 2 * 8_030_261_248
