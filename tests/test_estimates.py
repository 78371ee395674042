"""Time by roofline: hand calculations, laws, the plan's speed, the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isclose

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmcx.answers.load import Load, Speculation, point
from llmcx.answers.memory_training import training_ranks as ranks
from llmcx.answers.plan import layouts, plan
from llmcx.answers.serve import serve
from llmcx.answers.train import Costs, train
from llmcx.catalog import data as catalog
from llmcx.catalog.build import build
from llmcx.catalog.presets import load_preset, names
from llmcx.costs.params import count
from llmcx.costs.saved_activations import RECOMPUTE
from llmcx.engines import efficiency as calibration
from llmcx.engines.programs import RECIPE
from llmcx.engines.recipe import Recipe, check_recipe
from llmcx.engines.serving_time import Server, Setup
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError
from llmcx.machine.hardware import hardware
from llmcx.machine.roofline import IDEAL, Efficiency
from llmcx.machine.systolic import stretch
from llmcx.model.lower import Run
from llmcx.parallel.layout import Layout, check_batch
from llmcx.parallel.ranks import rank_ops
from tests.helpers import here
from tests.published import deepseek_v3, gpt

H100, A100 = catalog.load_hardware("h100"), catalog.load_hardware("a100")
SMALL = gpt(8, 1024, 16, 32000, 2048)
# A machine of round numbers: 100 TFLOP/s, 1,000 GB/s, 100 GB/s among 8, 10 GB/s beyond.
ROUND = hardware(
    {
        "name": "round", "title": "Round", "vendor": "me", "year": 2024, "dense_tflops": {"bf16": 100}, "memory_gb": 80,
        "memory_gb_per_s": 1000, "scale_up": {"link": "up", "gb_per_s": 100, "size": 8},
        "scale_out": {"link": "out", "gb_per_s": 10}, "source": "me",
    }
)  # fmt: skip


# --- training -------------------------------------------------------------------------------------------------------


def test_the_bound_of_a_large_model_is_its_flops() -> None:
    """GPT-3: a step at the peaks takes at least 3 x forward / peak, and little more, since its matmuls are bound by arithmetic.

    Forward of 2,048 tokens: 734.80e12 FLOPs (PyTorch's count, tests of `flops`), full score matrix; the causal half of the
    scores is 96 layers x 2 x 2048² x 12288 = 9.9e12 less.
    """
    spec = load_preset("gpt3")
    step = Trainer(spec, 2048, A100).step(Layout(dp=64, micro_batch=1), 64)
    forward = 734.804e12 - 96 * 2 * 2048**2 * 12288
    assert 1.0 < step.compute / (3 * forward / 312e12) < 1.06


def test_the_bubble_is_the_textbooks() -> None:
    """(p - 1) / (m v) of the ideal time (Narayanan et al. 2021, arXiv:2104.04473, sec. 2.2): p 4, m 8 -> 3/8; two chunks ->
    3/16. So between stages that take the same time: here the last one has the head besides, of 0.8% of a stage's FLOPs, which the
    others do not wait for.
    """
    spec = gpt(8, 1024, 16, 64, 2048)
    for chunks, share in ((1, 3 / 8), (2, 3 / 16)):
        step = Trainer(spec, 2048, ROUND).step(Layout(pp=4, virtual=chunks), 8)
        assert share * 0.99 < step.bubble / step.compute <= share


def test_recomputation_costs_a_forward_of_the_layers() -> None:
    """Where a checkpointed layer runs again as a whole. At best without what ends a sublayer, whose output no gradient needs: of
    24 d² + 2 s d = 28 d² FLOPs a token (s = 2 d) those of out and down, 10 d²; a step takes 3 x 24 + 3.5 x 4 = 86 d².
    """
    for last, share in ((1.0, 1 / 3), (0.0, 18 / 86)):
        trainer = Trainer(gpt(8, 1024, 16, 64, 2048), 2048, ROUND, Efficiency(last_product=last))
        none, full = (trainer.step(Layout(recompute=how), 1) for how in ("none", "full"))
        assert isclose(full.recompute / none.compute, share, rel_tol=0.07)


def test_a_layer_of_experts_by_hand() -> None:
    """Ten layers of 4 experts, 2 a token: 1 ms each way in every layer is 20 ms of a step; three more readings of a hidden vector
    of 2 x 512 numbers, 1,024 tokens, forward, and as many twice backward, are 10 x 3 x 3 x 2 MiB / 1 TB/s.
    """
    ffn = {"type": "moe", "n_experts": 4, "top_k": 2, "expert": {"type": "gated", "d_ff": 512, "activation": "silu"}}
    mixer = {"type": "attention", "n_heads": 8, "rope": True}
    shape = {"name": "experts", "d_model": 512, "context": 1024, "embedding": {"vocab": 64}, "head": {"tied": True}}
    spec = build(shape | {"decoder": [{"repeat": 10, "mixer": mixer, "ffn": ffn}], "norm": {"type": "rmsnorm"}})
    of = {
        e: Trainer(spec, 1024, ROUND, e).step(Layout(), 1).compute
        for e in (IDEAL, Efficiency(routed_s=1e-3), Efficiency(permuted=6.0))
    }
    plain, routed, permuted = of.values()
    assert isclose(routed - plain, 0.020, rel_tol=1e-9)
    assert isclose(permuted - plain, 10 * 3 * 3 * 2 * 2**20 / ROUND.bytes_per_s, rel_tol=1e-9)


def test_a_systolic_array_by_hand() -> None:
    """Heads of 64 fill a quarter of an array of 256, and blocks of 2,048 keys the whole square where a mask leaves 2,049 / 4,096.
    Of 16 heads in 8 layers 2 x 2 x 64 FLOPs a pair, forward once and backward 5/2 times.
    """
    spec = gpt(8, 1024, 16, 256, 2048)  # whose other widths are multiples of 256
    pairs = 2048 * 2049 // 2
    once = 8 * 16 * 2 * 2 * 64 * pairs * 3.5 / 1e14
    plain, filled, blocks = (
        Trainer(spec, 2048, ROUND, e).step(Layout(), 1).compute for e in (IDEAL, Efficiency(array=256), Efficiency(block=2048))
    )
    assert isclose(filled - plain, 3 * once, rel_tol=1e-9)
    assert isclose(blocks - plain, (4096 / 2049 - 1) * once, rel_tol=1e-9)


def test_tiles_of_experts_by_hand() -> None:
    """2,048 tokens, two of four experts each: 1,024 rows an expert, and half as much again where each has a tile of 512 to
    itself. A side of 512 is two arrays of 384 wide: 3/2 both ways.
    """
    ffn = {"type": "moe", "n_experts": 4, "top_k": 2, "expert": {"type": "gated", "d_ff": 512, "activation": "silu"}}
    shape = {"name": "experts", "d_model": 512, "context": 2048, "embedding": {"vocab": 64}, "head": {"tied": True}}
    mixer = {"type": "attention", "n_heads": 8, "rope": True}
    spec = build(shape | {"decoder": [{"repeat": 1, "mixer": mixer, "ffn": ffn}], "norm": {"type": "rmsnorm"}})
    ops = [op for op in rank_ops(spec, Run(1, 2048, fused=True), Layout()) if op.role == "expert" and op.kind == "linear"]
    assert len(ops) == 3
    assert all((stretch(op, 0, 0, 512), stretch(op, 384, 0, 0)) == (1.5, 2.25) for op in ops)


def test_gradients_are_added_up_by_hand() -> None:
    """Ten bytes a parameter and micro-batch: read in 16 bits, read and written in 32."""
    spec = gpt(8, 1024, 16, 256, 2048)
    plain, added = (Trainer(spec, 2048, ROUND, e).step(Layout(), 4).compute for e in (IDEAL, Efficiency(accumulated=10.0)))
    matrices, biases, norms = 12 * 1024**2, 9 * 1024 + 4 * 1024, 0
    params = 8 * (matrices + biases + norms) + (256 + 2048) * 1024 + 2 * 1024
    assert isclose(added - plain, 4 * 10 * params / 1e12, rel_tol=1e-3)


def test_what_rounding_to_8_bits_costs_by_hand() -> None:
    """A layer's matrices read 3 d + d + d + 4 d numbers a token and write 3 d + d + 4 d + d: a byte for each, each way, is what
    18 x 1,024 x 2,048 bytes a layer, forward and backward, take.
    """
    spec = gpt(8, 1024, 16, 64, 2048)
    hardware = replace(ROUND, dense_tflops=ROUND.dense_tflops | {"fp8": 2 * ROUND.flops(ROUND.dtype) / 1e12})
    steps = [
        Trainer(spec, 2048, hardware, Efficiency(quantise=q, last_product=1.0), "fp8").step(Layout(), 1).compute
        for q in (0.0, 1.0)
    ]
    assert isclose(steps[1] - steps[0], 2 * 8 * 18 * 1024 * 2048 / ROUND.bytes_per_s, rel_tol=1e-9)


def test_tensor_parallel_traffic_by_hand() -> None:
    """Two all-reduces forward and two backward per layer, each 2 (t - 1)/t of b·s·d·2 bytes (Shoeybi et al. 2019): with t = 4,
    2,048 tokens of 1,024 and 100 GB/s, 4 x 1.5 x 4.19 MB / 100 GB/s = 251.7 us a layer, 8 layers; and one more each for the
    embedding, whose rows lie on different GPUs, and for the gradient of the head's input."""
    trainer = Trainer(SMALL, 2048, ROUND, Efficiency(hidden_tp=0.0))
    by_hand = (8 * 4 + 2) * (2 * 3 / 4) * 2048 * 1024 * 2 / 100e9
    assert isclose(trainer.step(Layout(tp=4), 1).tensor, by_hand, rel_tol=1e-9)
    assert Trainer(SMALL, 2048, ROUND).step(Layout(tp=4), 1).tensor == 0.0  # hidden


def test_data_parallel_traffic_by_hand() -> None:
    """(n - 1)/n of 4 + 2 bytes per parameter under ZeRO-1, of twice 4 where gradients are summed up everywhere. 16 ranks on two
    nodes of 8: a ring over 8 NICs of 10 GB/s, 80 GB/s. The embedding's gradients travel too.
    """
    trainer = Trainer(SMALL, 2048, ROUND, Efficiency(hidden_dp=0.0))
    layer = 12 * 1024**2 + 13 * 1024  # 4 d² + 8 d² and biases 4 d + 4 d + d, norms 4 d
    params = 8 * layer + (32000 + 2048) * 1024 + 2 * 1024  # token table (tied), positions, final norm
    for zero, size in ((0, 8), (1, 6), (2, 6)):
        by_hand = params * size * 15 / 16 / 80e9
        assert isclose(trainer.step(Layout(dp=16, zero=zero), 16).data, by_hand, rel_tol=1e-6)


def test_the_optimizer_reads_and_writes_every_parameter() -> None:
    """Two moments and a master copy read and written, a gradient read, a weight written: 30 B of each parameter, the embedding's
    among them, at 1,000 GB/s; under ZeRO-1 each of 16 GPUs has a sixteenth.
    """
    layer = 12 * 1024**2 + 13 * 1024
    params = 8 * layer + (32000 + 2048) * 1024 + 2 * 1024
    trainer = Trainer(SMALL, 2048, ROUND)
    assert isclose(trainer.step(Layout(), 1).optimizer, params * 30 / 1e12, rel_tol=1e-9)
    assert isclose(trainer.step(Layout(dp=16, zero=1), 16).optimizer, params * 30 / 16 / 1e12, rel_tol=1e-9)


def test_zero_0_sums_up_everywhere() -> None:
    """Llama 3 8B on 8 H100 at 450 GB/s and the links' share of it, nothing hidden: 8 B a parameter, 7/8 of them; ZeRO-1 6 B. (By
    use: both took the same.)
    """
    spec, factors = load_preset("llama-3-8b"), calibration.efficiency(H100, "megatron", None, {"hidden_dp": 0.0})[0]
    trainer = Trainer(spec, 8192, H100, factors)
    by_hand = 8 * 8_030_261_248 * 7 / 8 / (450e9 * factors.link)
    for zero, share in ((0, 1), (1, 6 / 8)):
        assert isclose(trainer.step(Layout(dp=8, zero=zero), 8).data, by_hand * share, rel_tol=1e-6)


def test_memory_of_megatrons_one_trillion() -> None:
    """Narayanan et al. 2021 ran it on 80 GB A100 with TP 8, PP 64 and full recomputation; 18 B per parameter are
    1008e9 / 512 x 18 = 35.4 GB."""
    spec = gpt(128, 25600, 160, 51200, 2048)
    layout = Layout(8, 64, 1, 1, 6, 1, 1, "full", 0, False)
    trainer = Trainer(spec, 2048, A100, attention="eager")
    needs = trainer.memory(layout, 3072)
    assert isclose(needs.weights + needs.gradients + needs.optimizer, 35.4e9, rel_tol=0.1)
    assert needs.total < 80e9 < trainer.memory(layout._replace(pp=32, dp=12), 3072).total


def test_cost_energy_and_co2_by_hand() -> None:
    """100 steps of 1 s would be 100/3600 h on one GPU; here 2 USD, 500 W, PUE 1.2, 400 g/kWh, half of the time available."""
    trainer = Trainer(SMALL, 2048, ROUND)
    layout = Layout()
    costs = Costs(2.0, 500.0, 1.2, 400.0, 0.5)
    answer = train(trainer, trainer, layout, tokens=100 * 2048, global_batch=1, costs=costs, band=(0.9, 1.2))
    hours = 100 * trainer.step(layout, 1).total / 3600 / 0.5
    one = answer.estimate
    assert answer.steps == 100
    assert isclose(one.gpu_hours, hours)
    assert one.usd is not None and isclose(one.usd, 2 * hours)
    assert one.energy_kwh is not None and isclose(one.energy_kwh, 0.5 * 1.2 * hours)
    assert one.co2_kg is not None and isclose(one.co2_kg, 0.4 * 0.5 * 1.2 * hours)


def test_a_run_says_where_eight_of_ten_would_lie() -> None:
    """0.9 to 1.2 times 10 days is 9 to 12 days, the rate of 10 days over 1.2 to over 0.9; nothing beats the ideal."""
    half = replace(IDEAL, matmul=0.5)
    slow, layout, costs = Trainer(SMALL, 2048, ROUND, half), Layout(), Costs(2.0)
    answer = train(slow, Trainer(SMALL, 2048, ROUND), layout, tokens=100 * 2048, global_batch=1, costs=costs, band=(0.9, 1.2))
    one = answer.estimate
    assert answer.span("days") == (0.9 * one.days, 1.2 * one.days)
    assert answer.span("mfu") == (one.mfu / 1.2, one.mfu / 0.9)
    assert answer.span("usd") == (0.9 * one.gpu_hours * 2, 1.2 * one.gpu_hours * 2)
    assert answer.span("co2_kg") is None, "no grid"
    ideal = replace(answer, estimate=answer.ideal)
    assert ideal.span("days") == (answer.ideal.days, 1.2 * answer.ideal.days)


def test_a_measured_run_by_hand() -> None:
    """A step of 4 sequences of 2,048 tokens in 2 s on one GPU: 4,096 tokens/s, 25 steps in 50 s, 2 USD/h; half the MFU of 1 s."""
    trainer, layout, costs = Trainer(SMALL, 2048, ROUND), Layout(), Costs(2.0)
    asked = {"tokens": 100 * 2048, "global_batch": 4, "costs": costs, "band": (0.9, 1.2)}
    one, half = (train(trainer, trainer, layout, **asked, measured_s=seconds).measured for seconds in (2.0, 4.0))
    assert one is not None and half is not None
    assert (one.tokens_per_s_gpu, one.seconds, one.step) == (4096, 50, {})
    assert one.usd is not None and isclose(one.usd, 2 * 50 / 3600)
    assert isclose(one.mfu, 4 * trainer.model_flops / (2 * 100e12)) and isclose(half.mfu, one.mfu / 2)
    with pytest.raises(InputError, match="the arithmetic alone takes"):
        train(trainer, trainer, layout, **asked, measured_s=one.mfu)


def test_mfu_of_palm() -> None:
    """Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1 and appendix B: 238.3 k tokens/s on 6,144 TPU v4 is 46.2% MFU."""
    from tests.published import palm

    run = palm()[0]
    trainer = Trainer(run.spec, 2048, catalog.load_hardware("tpu-v4"))
    mfu, _ = trainer.mfu(run.step_s, run.layout, 2048, 275e12)
    assert isclose(mfu, 0.462, abs_tol=0.004)


WAYS = st.builds(
    Layout,
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 4, 8]),
    cp=st.sampled_from([1, 2]),
    dp=st.sampled_from([1, 2, 4]),
    micro_batch=st.sampled_from([1, 2]),
    recompute=st.sampled_from(RECOMPUTE),
    zero=st.sampled_from([0, 1, 2, 3]),
    ep=st.just(1),
    virtual=st.just(1),
    sequence=st.booleans(),
    shard=st.none(),
    micro_batches=st.none(),
    attention_dp=st.just(1),
)
CALIBRATED = calibration.efficiency(H100, "megatron")[0]
IDEAL_TRAINER, TRAINER = Trainer(SMALL, 2048, H100), Trainer(SMALL, 2048, H100, CALIBRATED)


PRESETS = ["gpt3", "gpt2", "llama-2-7b", "llama-3.1-405b", "mixtral-8x7b", "deepseek-v3", "gemma-2-9b", "bert-base", "mamba-2.8b"]


@settings(max_examples=300, deadline=None)
@given(
    preset=st.sampled_from(PRESETS),
    layout=st.builds(
        Layout,
        tp=st.sampled_from([1, 2, 3, 8]),
        pp=st.sampled_from([1, 2, 7, 16]),
        cp=st.sampled_from([1, 2]),
        ep=st.sampled_from([1, 1, 4]),
        dp=st.sampled_from([1, 4, 64]),
        micro_batch=st.sampled_from([1, 3]),
        virtual=st.sampled_from([1, 2, 8]),
        recompute=st.sampled_from(RECOMPUTE),
        zero=st.integers(0, 3),
        sequence=st.booleans(),
        shard=st.none(),
        micro_batches=st.none(),
        attention_dp=st.just(1),
    ),
    m=st.sampled_from([1, 3, 16, 128]),
    seq=st.sampled_from([512, 1001]),
    fused=st.booleans(),
)
def test_memory_is_that_of_llmcx_memory(preset: str, layout: Layout, m: int, seq: int, fused: bool) -> None:
    """To the byte, or neither knows it: the search asks only the stages that may be the fullest, `llmcx memory` all of them."""
    spec = load_preset(preset)
    how = "flash" if fused else "eager"
    method = Recipe("megatron", attention=how, kernels="fused", recompute=layout.recompute, engine="megatron")
    try:
        stages = ranks(spec, layout.micro_batch, seq, layout._replace(micro_batches=m), method)
    except InputError:
        assume(False)
    needs = Trainer(spec, seq, H100, attention="flash" if fused else "eager").memory(layout, m * layout.micro_batch * layout.dp)
    parts = {part.part: part.bytes for part in max(stages, key=lambda stage: stage.total_bytes).parts}
    assert needs._asdict() == {"logits": 0} | parts


def test_memory_on_the_command_line() -> None:
    """The same layout, asked of both commands."""
    ways = ["gpt3", "--gpus", "1024", "--seq", "2k", "--tp", "8", "--pp", "8", "--set", "virtual=12", "--zero", "1"]
    told = json.loads(here("train", *ways, "--tokens", "300B", "--hardware", "a100", "--global-batch", "1536", "--json").out)
    how = ["--precision", "megatron", "--engine", "megatron", "--attn", "flash"]
    held = json.loads(here("memory", *ways, "--train", *how, "--json").out)["result"]
    training = told["result"]["training"]
    assert training["memory_bytes"] == held["total_bytes"]
    assert training["memory"] == {"logits": 0} | {part["part"]: part["bytes"] for part in held["parts"]}


def test_every_preset_is_timed_and_sized() -> None:
    """On one GPU, where every kind of layer can be counted."""
    for name in names():
        trainer = Trainer(load_preset(name), 512, H100)
        assert trainer.memory(Layout(), 1).total > 18 * count(trainer.spec)
        assert trainer.step(Layout(), 1).total > 0


def test_the_ends_may_fill_a_chunk_of_their_own() -> None:
    """Llama 3.1 405B: 126 layers, the embedding and the head on 16 x 8 chunks (arXiv:2407.21783, sec. 3.3.2)."""
    stages = ranks(load_preset("llama-3.1-405b"), 1, 8192, Layout(tp=8, pp=16, dp=64, virtual=8, zero=1), RECIPE)
    assert [stage.layers for stage in stages] == [7] + [8] * 14 + [7]
    assert sum(stage.parts[0].bytes for stage in stages) * 8 == pytest.approx(2 * 405.85e9, rel=1e-3)


def test_what_cannot_be_counted_is_not_searched() -> None:
    """How tensor parallelism divides RG-LRU is not known, nor how a pipeline an encoder-decoder."""
    found = {ways.tp for ways in layouts(load_preset("recurrentgemma-9b"), 2048, 16, 32, 8)}
    assert found == {1}
    assert {ways.pp for ways in layouts(load_preset("t5-base"), 512, 16, 32, 8)} == {1}
    assert {ways.cp for ways in layouts(SMALL, 16384, 16, 32, 8, fused=False)} == {1}
    call = ["train", "recurrentgemma-9b", "--tokens", "1B", "--gpus", "8"]
    assert any("not searched: tensor parallelism" in note for note in json.loads(here(*call, "--json").out)["notes"])
    end = here(*call, "--tp", "2")
    assert end.code == 2 and "tensor parallelism" in end.err


@settings(max_examples=200, deadline=None)
@given(WAYS)
def test_laws_of_a_step(layout: Layout) -> None:
    """Nothing beats the ideal; every part is 0 or more; recomputation and ZeRO (but for its buffers) never need more memory, and
    MFU is below 1."""
    batch = 64
    ideal, real = IDEAL_TRAINER.step(layout, batch), TRAINER.step(layout, batch)
    assert all(part >= 0 for part in real)
    assert ideal.total <= real.total
    assert 0 < IDEAL_TRAINER.mfu(ideal.total, layout, batch, 989.4e12)[0] <= 1
    needs = [TRAINER.memory(layout._replace(zero=stage), batch) for stage in range(4)]
    held = [need.total - need.workspace for need in needs]
    assert held == sorted(held, reverse=True)
    kept = [TRAINER.memory(layout._replace(recompute=how), batch).activations for how in RECOMPUTE[:3]]
    assert kept[0] == kept[1] >= kept[2]  # a fused attention writes nothing that selective recomputation could do again


def test_the_search_is_complete() -> None:
    trainer = Trainer(deepseek_v3(), 4096, H100, CALIBRATED)
    found = plan(trainer, 2048, 15360, H100.memory_bytes)
    assert found.searched > 1000
    assert found.searched == len(set(layouts(trainer.spec, 4096, 2048, 15360, 8)))
    times = [c.step.total for c in found.best]
    assert times == sorted(times)
    assert all(c.bytes <= H100.memory_bytes for c in found.best)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tp": 3}, "tp"),
        ({"pp": 16}, "pp"),
        ({"ep": 2}, "ep"),
        ({"dp": 3}, "global_batch"),
        ({"micro_batch": 0}, "micro_batch"),
        ({"pp": 4, "virtual": 2, "micro_batch": 16}, "virtual"),
        ({"recompute": "some"}, "recompute"),
        ({"zero": 4}, "zero"),
    ],
)
def test_layouts_that_are_refused(change: dict, field: str) -> None:
    with pytest.raises(InputError) as refused:
        layout = Layout()._replace(**change)
        check_recipe(SMALL, layout, replace(RECIPE, recompute=layout.recompute))
        check_batch(layout, 32)
    assert refused.value.field == field


def test_nothing_fits() -> None:
    with pytest.raises(InputError, match=r"no layout .* fits"):
        plan(Trainer(load_preset("llama-3.1-405b"), 8192, H100), 8, 8, H100.memory_bytes)


def test_a_network_nobody_knows_is_refused() -> None:
    one = catalog.load_hardware("l4")
    with pytest.raises(InputError, match="no network beyond 8"):
        Trainer(SMALL, 2048, one).step(Layout(dp=16), 16)


# --- serving --------------------------------------------------------------------------------------------------------


def test_decoding_alone_reads_the_weights() -> None:
    """Llama 3 8B in bf16: 8.03e9 parameters, of which the token table's 128,256 x 4,096 rows are looked up, not read:
    15.01 GB / 3,350 GB/s = 4.48 ms, and 1,024 tokens of cache of 131,072 B, 0.04 ms."""
    step = Server(load_preset("llama-3-8b"), H100).decode(1, 1024)
    read = 2 * (8_030_261_248 - 128_256 * 4096) / 3350e9
    assert isclose(step.total, read + 1024 * 131_072 / 3350e9, rel_tol=0.01)


def test_prefill_is_arithmetic() -> None:
    """2 FLOPs per parameter outside the token table and head, and 4 n² d / 2 of causal scores per layer, 8,192 tokens."""
    step = Server(load_preset("llama-3-8b"), H100).prefill(8192)
    tables = 2 * 128_256 * 4096
    flops = 2 * (8_030_261_248 - tables) * 8192 + 32 * 2 * 8192**2 * 4096
    assert isclose(step.compute, flops / 989.4e12, rel_tol=0.01)


def test_latent_cache_is_not_divided() -> None:
    """DeepSeek-V3 caches 576 numbers per token and layer (arXiv:2412.19437, sec. 2.1.1), on every tensor-parallel GPU; Llama 3
    8B's eight key-value heads divide by eight and no further."""
    assert Server(deepseek_v3(), H100, Setup(tp=8)).cache_bytes(1000) == 1000 * 61 * 576 * 2
    llama = load_preset("llama-3-8b")
    one, eight, more = (Server(llama, H100, Setup(tp=tp)).cache_bytes(1000) for tp in (1, 8, 16))
    assert one == 131_072_000 and eight == one / 8 and more == eight


def test_experts_touched() -> None:
    """One token of Mixtral reads 2 of 8 experts: 12.88e9 active parameters; many tokens read them all, 46.7e9 (less the
    table).
    """
    server = Server(load_preset("mixtral-8x7b"), ROUND)
    table = 32_000 * 4096
    assert isclose(server.decode(1, 1).total, 2 * (12.879e9 - table) / 1e12, rel_tol=0.01)
    assert isclose(server.decode(200, 1).weights, 2 * (46.703e9 - table) / 1e12, rel_tol=0.05)


def test_speculation_by_hand() -> None:
    """Leviathan et al. 2023, arXiv:2211.17192, eq. 1: α 0.8, γ 4 gives (1 - 0.8^5) / 0.2 = 3.3616 tokens a step."""
    assert isclose(Speculation(4, 0.8).tokens, 3.3616)
    assert Speculation(4, 1.0).tokens == 5
    server = Server(load_preset("llama-3-8b"), H100)
    plain, fast = (point(server, Load(1024, 128, speculation=s), 1, None) for s in (Speculation(), Speculation(4, 0.8)))
    assert 3.2 < plain.tpot_s / fast.tpot_s < 3.3616


def test_quantised_weights_and_cache() -> None:
    spec = load_preset("llama-3-8b")
    wide, narrow = Server(spec, H100), Server(spec, H100, Setup(weight_bits=4, kv_bits=8))
    assert narrow.weight_bytes == wide.weight_bytes / 4
    assert narrow.cache_bytes(100) == wide.cache_bytes(100) / 2
    assert narrow.largest_batch(8192) > 2 * wide.largest_batch(8192)


def test_a_window_bounds_the_cache() -> None:
    """Mistral 7B as first released: a window of 4,096 (arXiv:2310.06825, Table 1), so 8,192 tokens leave no more than 4,096
    do.
    """
    shape = {"layers": 32, "d-model": 4096, "heads": 32, "kv-heads": 8, "d-ff": 14336, "vocab": 32000, "window": 4096}
    call = ["serve", "--set", "ffn=gated", "--batch", "1", "--output", "1", "--json", *(f"--{k}={v}" for k, v in shape.items())]
    short, long = (json.loads(here(*call, f"--prompt={n}").out)["result"]["cache_bytes_per_sequence"] for n in (4096, 8192))
    assert short == long == 32 * 2 * 8 * 128 * 2 * 4096


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["llama-3-8b", "mixtral-8x7b"]),
    st.integers(1, 256),
    st.integers(1, 8192),
    st.integers(1, 4096),
    st.sampled_from([1, 2, 4, 8]),
)
def test_laws_of_serving(name: str, batch: int, prompt: int, output: int, tp: int) -> None:
    """Nothing beats the ideal; more users give more tokens/s and no shorter steps; a cached prefix never makes the first token
    later. Of answers of a few tokens, half of the users wait for their first one: that the others' steps are shorter then is not
    counted.
    """
    spec = load_preset(name)
    ideal = Server(spec, H100, Setup(tp=tp))
    real = Server(spec, H100, Setup(tp=tp), calibration.efficiency(H100, "serving")[0])
    load = Load(prompt, output)
    best, one, two = point(ideal, load, batch, 2.0), point(real, load, batch, 2.0), point(real, load, 2 * batch, 2.0)
    assert best.tpot_s <= one.tpot_s and best.ttft_s <= one.ttft_s
    assert two.tokens_per_s_gpu >= one.tokens_per_s_gpu * (0.999 if output > 16 else 0.9)
    assert real.decode(2 * batch, prompt).total >= real.decode(batch, prompt).total
    assert real.prefill(prompt, prompt // 2).total <= real.prefill(prompt).total * 1.001
    assert one.usd_per_million is not None
    assert isclose(one.usd_per_million, 2.0 / 3600 / one.tokens_per_s_gpu * 1e6)


@pytest.mark.parametrize(
    ("setup", "load", "options", "field"),
    [
        (Setup(tp=3), Load(10, 10), {}, "tp"),
        (Setup(weight_bits=0), Load(10, 10), {}, "weight_bits"),
        (Setup(tp=2, ep=4), Load(10, 10), {}, "ep"),
        (Setup(), Load(10, 10, cached=10), {}, "cached"),
        (Setup(), Load(10, 0), {}, "output"),
        (Setup(), Load(10, 10, speculation=Speculation(2, 1.5)), {}, "acceptance"),
        (Setup(), Load(10, 10), {"batch": 10**6, "rate": 1.0}, "batch"),
        (Setup(dtype="fp4"), Load(10, 10), {}, "dtype"),
    ],
)
def test_serving_refusals(setup: Setup, load: Load, options: dict, field: str) -> None:
    spec = load_preset("mixtral-8x7b" if setup.ep > 1 else "llama-3-8b")
    with pytest.raises(InputError) as refused:
        serve(Server(spec, H100, setup), load, **options)
    assert refused.value.field == field


def test_weights_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="--tp 2"):
        serve(Server(load_preset("llama-3-70b"), H100, Setup()), Load(10, 10))


# --- the command line -----------------------------------------------------------------------------------------------


def test_train_on_the_command_line() -> None:
    call = ["train", "llama-2-7b", "--tokens", "2T", "--hardware", "a100", "--gpus", "512", "--seq", "4k"]
    out = json.loads(here(*call, "--plan", "--json").out)
    result = out["result"]["training"]
    assert out["schema"] == "llmcx.train/2"
    assert 0 < result["ideal"]["gpu_hours"] < result["estimate"]["gpu_hours"]
    assert out["result"]["plan"]["best"][0]["step_s"] == result["estimate"]["step_s"]
    assert any("calibrated" in note for note in out["notes"])
    fixed = json.loads(here(*call, "--tp", "8", "--micro-batch", "2", "--json").out)
    assert fixed["result"]["training"]["layout"]["dp"] == 64
    assert "estimate" in here(*call).out


def test_serve_on_the_command_line() -> None:
    out = json.loads(here("serve", "llama-3-8b", "--json").out)["result"]
    assert out["estimate"][-1]["batch"] == out["largest_batch"]
    faster = json.loads(here("serve", "llama-3-8b", "--efficiency", "decode=0.5", "--json").out)["result"]
    assert faster["estimate"][0]["tpot_s"] < out["estimate"][0]["tpot_s"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("train gpt3 --tokens 1B --gpus 8 --efficiency matmul", "name=number"),
        ("train gpt3 --tokens 1B --gpus 8 --efficiency speed=1", "efficiency"),
        ("train gpt3 --tokens 1B --gpus 8 --engine mega", "megatron"),
        ("train gpt3 --tokens 1B --gpus 8 --tp 16", "multiple of"),
        ("train gpt3 --tokens 1B --gpus 8 --grid -1", "0 or more"),
        ("serve llama-3-8b --hardware h1000", "did you mean"),
        ("serve llama-3-8b --utilization 0", "above 0"),
    ],
)
def test_bad_calls(call: str, says: str) -> None:
    end = here(*call.split())
    assert end.code == 2 and says in end.err
