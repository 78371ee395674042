"""A rank is a list of ops: the ranks of any layout add up to the model, and every answer about GPUs folds over them.

Figures in docstrings marked "by use" are defects that users met; the right value is computed there by hand.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmcx.answers.attention_compare import compare
from llmcx.answers.fit import fitted
from llmcx.answers.memory import memory
from llmcx.answers.memory_training import training_ranks
from llmcx.answers.train import Costs, train
from llmcx.catalog import data as catalog
from llmcx.catalog.presets import load_preset, names
from llmcx.costs.communication import sent_backward_fold, sent_fold
from llmcx.costs.flops import fold as flops_fold
from llmcx.costs.kv_cache import cache_fold
from llmcx.costs.params import count
from llmcx.costs.params import fold as params_fold
from llmcx.engines import ENGINES, engine
from llmcx.engines.inference_memory import cached, largest_batch
from llmcx.engines.recipe import Recipe
from llmcx.engines.serving_time import Server, Setup
from llmcx.engines.training_memory import TrainingMemory
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError
from llmcx.huggingface import from_config
from llmcx.machine.roofline import IDEAL
from llmcx.model.cores import Flash
from llmcx.model.lower import Run, lower
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import VOCAB
from llmcx.parallel.division import dividable, divide, division
from llmcx.parallel.layout import Layout, check
from llmcx.parallel.pipeline import stages
from llmcx.parallel.ranks import rank_ops
from tests.helpers import data, here, refused

H100, H200 = catalog.load_hardware("h100"), catalog.load_hardware("h200")
PRESETS = names()
SHORT = 256  # every preset has positions for so many tokens
MIXED = ["llama-4-maverick", "jamba-1.5-mini", "deepseek-v3", "gemma-3-27b", "gpt-oss-20b", "qwen3-next-80b-a3b", "nemotron-h-8b"]


def runs_with(spec: ModelSpec, layout: Layout) -> bool:
    """Whether the layout can be run with that model."""
    try:
        check(spec, layout)
    except InputError:
        return False
    return layout.tp == 1 or dividable(spec, layout.tp)


LAYOUTS = st.builds(
    Layout,
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 3, 5]),
    cp=st.sampled_from([1, 2]),
    ep=st.sampled_from([1, 2, 4]),
    dp=st.sampled_from([1, 4, 8]),
    virtual=st.sampled_from([1, 2]),
    micro_batch=st.just(1),
    recompute=st.sampled_from(["none", "full"]),
    zero=st.integers(0, 3),
    sequence=st.booleans(),
    shard=st.none(),
    micro_batches=st.none(),
    attention_dp=st.just(1),
)


# --- ranks add up to the model -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_one_gpu_is_the_model(name: str) -> None:
    spec = load_preset(name)
    run = Run(2, SHORT)
    mine = [op for op in rank_ops(spec, run, Layout()) if op.role != "traffic"]
    assert params_fold.total(mine) == count(spec)
    for fold in (flops_fold, cache_fold):
        assert fold.total(mine) == fold.total(lower(spec, run))
    assert not any(op.role == "traffic" for op in rank_ops(spec, run, Layout()))


@pytest.mark.parametrize("name", [name for name in PRESETS if dividable(load_preset(name))])
def test_the_parameters_of_all_ranks_are_the_models(name: str) -> None:
    """Each weight once: what tensor parallelism cuts from each of two GPUs, what it leaves whole from one; of two stages, each
    its own, but for a table that is tied to the head, which the last stage has too.
    """
    spec, run = load_preset(name), Run(1, 16)
    ops = lower(spec, run)
    if runs_with(spec, Layout(tp=2)):
        total = 0
        for op in ops:
            whole, share = params_fold.of(op), params_fold.of(divide(op, division(Layout(tp=2)), 16))
            many = op.times * op.copies
            twice = many * op.dims["bias"] * op.dims["d_out"] if op.cut and op.cut.axis == "rows" else 0  # biases, on both
            rows = op.dims.get("rows", op.dims.get("d_out", 0))
            if op.cut == VOCAB and rows % 2:  # a row of padding
                twice = many * (op.dims.get("width") or (1 - op.dims["tied"]) * op.dims["d_in"] + op.dims["bias"])
            total += whole if share == whole else 2 * share - twice
        assert total == count(spec)
    if not (spec.encoder and spec.decoder):
        tied = any(op.role == "head" and op.dims.get("tied") for op in ops)
        table = spec.embedding.vocab * (spec.embedding.width or spec.d_model) if tied else 0
        halves = [params_fold.total(rank_ops(spec, run, Layout(pp=2), stage)) for stage in range(2)]
        assert sum(halves) == count(spec) + table


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(MIXED), LAYOUTS)
def test_sums_that_searches_share_are_folds_over_the_rank(name: str, layout: Layout) -> None:
    """What a search adds up from parts is what the folds say of each stage's GPU."""
    spec = load_preset(name)
    assume(runs_with(spec, layout))
    sizes = TrainingMemory(spec, SHORT, Recipe("megatron", kernels="fused", attention="flash"))
    for rank in sizes.ranks(layout, 1):
        ops = rank_ops(spec, sizes.recipe.run(1, SHORT), layout, rank.stage.number)
        experts = params_fold.total(op for op in ops if op.role == "expert")
        assert (rank.weights.params, rank.weights.experts) == (params_fold.total(ops) - experts, experts)
    trainer = Trainer(spec, SHORT, H100)
    for stage, _, spent in trainer.passes(layout, division(layout)):
        ops = rank_ops(spec, trainer.run(1), layout, stage.number)
        timed = [trainer.measure(op) for op in ops if op.module not in ("data", "pipeline")]
        assert spent.forward == pytest.approx(sum(row[0] for row in timed), rel=1e-9)
        assert spent.backward == pytest.approx(sum(row[1] for row in timed), rel=1e-9)


@pytest.mark.parametrize("name", PRESETS)
def test_stages_share_the_layers_evenly(name: str) -> None:
    """A stage's share of each kind of layer follows the model's order; of all layers it differs by one at most."""
    spec = load_preset(name)
    for pp in (2, 4, 7):
        if pp > spec.n_layers:
            continue
        found = stages(spec.runs, pp)
        assert max(stage.layers for stage in found) - min(stage.layers for stage in found) <= 1
        totals = [sum(stage.counts[kind] for stage in found) for kind in range(len(spec.kinds))]
        assert totals == [layers.repeat for layers in spec.kinds.values()]


def test_alternating_layers_are_shared_by_both_stages() -> None:
    """By use: Llama 4 Maverick alternates dense layers and 128 experts, so two stages have about 200 B parameters each; 8.6 and
    392 B were said. Jamba 1.5 Mini on four: 12.9 B each.
    """
    for name, pp, each in (("llama-4-maverick", 2, 200.4e9), ("jamba-1.5-mini", 4, 12.9e9)):
        for rank in training_ranks(load_preset(name), 1, 2048, Layout(pp=pp), Recipe()):
            assert rank.parts[0].bytes / 2 == pytest.approx(each, rel=0.02)


# --- what a rank does and sends ------------------------------------------------------------------------------------


def sent(spec: ModelSpec, layout: Layout, start: str, seq: int = 4096) -> tuple[int, int]:
    """Elements that a GPU sends forward and backward in a micro-batch, under components that start so."""
    ops = [op for op in rank_ops(spec, Run(1, seq), layout) if op.component.startswith(start)]
    return sent_fold.total(ops), sent_backward_fold.total(ops)


def test_latents_travel_too() -> None:
    """DeepSeek-V3 on 4 context-parallel GPUs: each receives the 512 + 64 numbers a token of the three quarters of the sequence
    that it does not hold, in 61 layers; backward they and their gradients. By use: a silent zero.
    """
    by_hand = 61 * 3 * 1024 * 576
    assert sent(load_preset("deepseek-v3"), Layout(cp=4), "traffic.context") == (by_hand, 2 * by_hand)


def test_keys_and_values_travel() -> None:
    """Llama 3 8B on 2: 32 layers of 2 x 8 x 128 numbers for half of 4,096 tokens; on 4 tensor-parallel GPUs a quarter each."""
    by_hand = 32 * 2048 * 2 * 8 * 128
    assert sent(load_preset("llama-3-8b"), Layout(cp=2), "traffic.context")[0] == by_hand
    assert sent(load_preset("llama-3-8b"), Layout(cp=2, tp=4), "traffic.context")[0] == by_hand // 4


def test_experts_behind_a_latent_send_the_latent() -> None:
    """Nemotron-H with experts of a latent width 1,024 of d_model 4,096: an all-to-all of the latent, a quarter."""
    config = {"model_type": "nemotron_h", "hidden_size": 4096, "num_hidden_layers": 2, "hybrid_override_pattern": "E*"}
    config |= {"n_routed_experts": 16, "num_experts_per_tok": 4, "moe_latent_size": 1024, "moe_intermediate_size": 512}
    with_latent, without = (
        sent(from_config({**config, "moe_latent_size": latent}, "config.json"), Layout(dp=4, ep=4), "traffic.expert")[0]
        for latent in (1024, None)
    )
    assert 4 * with_latent == without == 2 * 4096 * 4 * 4096 * 3 // 4


def test_all_reduces_of_megatron() -> None:
    """Two forward and two backward a layer of b·s·d numbers, 2 (t - 1)/t of each sent (Shoeybi et al. 2019, sec. 3), one forward
    for the embedding and one backward for the head.
    """
    spec = load_preset("gpt3")
    once = 2 * 7 * 2048 * 12288 // 8
    assert sent(spec, Layout(tp=8), "traffic.tensor", 2048) == ((2 * 96 + 1) * once, (2 * 96 + 1) * once)


def test_gradients_of_all_parameters() -> None:
    """Llama 3 8B on 4 replicas: ZeRO-0 sends 2·3/4 of all 8.03e9 gradients, the embedding's and the head's among them; ZeRO-1
    3/4 of gradients and 3/4 of weights.
    """
    spec = load_preset("llama-3-8b")
    for zero, kinds in ((0, {"all_reduce": 2}), (1, {"reduce_scatter": 1, "all_gather": 1})):
        ops = [op for op in rank_ops(spec, Run(1, 16), Layout(dp=4, zero=zero)) if op.module == "data"]
        assert {op.kind: sent_fold.of(op) for op in ops} == {k: n * (8_030_261_248 * 3 // 4) for k, n in kinds.items()}


def test_a_column_split_product_is_a_share() -> None:
    """By use: Llama 3 70B's workspace on 8 GPUs was that of one."""
    spec = load_preset("llama-3-70b")
    one, eight = (memory(spec, 1, 8192, layout=Layout(tp=tp)).parts[-1].bytes for tp in (1, 8))
    assert eight == one // 8


def test_experts_and_heads_by_one_rule() -> None:
    """--tp 8 --ep 8 answers in memory and in serve alike; heads that tp does not divide are refused by all."""
    mixture = ("mixtral-8x7b", "--tp", "8", "--ep", "8")
    held = data("memory", *mixture, "--seq", "2k")["result"]["parts"][0]["bytes"]
    assert held == data("serve", *mixture)["result"]["weight_bytes_per_gpu"]
    odd = ("llama-3-8b", "--tp", "3")
    for call in (("memory", *odd), ("serve", *odd), ("train", *odd, "--tokens", "1B", "--gpus", "3")):
        assert "does not divide the 32 heads" in refused(*call)


# --- one cache, one largest batch, one longest context -------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([name for name in PRESETS if load_preset(name).decoder and load_preset(name).head]),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(list(ENGINES)),
    st.sampled_from([100, 1000, 1024]),
)
def test_serve_has_the_cache_of_memory(name: str, tp: int, program: str, context: int) -> None:
    spec, chosen = load_preset(name), engine(program)
    assume(runs_with(spec, Layout(tp=tp)) and not (spec.encoder and program in ("llama.cpp", "sglang", "trtllm")))
    assume(spec.embedding.positions is None or spec.embedding.positions >= context)
    server = Server(spec, H200, Setup(tp=tp), engine=chosen)
    try:
        parts = memory(spec, 1, context, dtype="bf16", layout=Layout(tp=tp), engine=chosen).parts
    except InputError as refusal:  # what the engine does not run
        assert "give --engine ideal" in refusal.message
        return
    held = {part.part: part.bytes for part in parts}
    assert server.cache_bytes(context) == held.get("kv_cache", 0) + held.get("state", 0)
    assert server.weight_bytes == held["weights"]


@pytest.mark.parametrize("name", ["llama-3-8b", "gemma-3-27b", "deepseek-v2-lite", "qwen3-next-80b-a3b", "mamba-2.8b"])
@pytest.mark.parametrize("context", [1024, 8192])
def test_one_largest_batch(name: str, context: int) -> None:
    spec, budget = load_preset(name), int(H200.memory_bytes * 0.9)
    if spec.embedding.positions:
        pytest.skip("learned positions")
    asked = {"batch": 1, "seq": context, "dtype": "bf16", "layout": Layout()}
    try:
        found = fitted("batch", spec, budget, asked, {"train": False})[0].fit
    except InputError:
        assert largest_batch(spec, context, Layout(), engine("ideal"), budget, 16, 16) == 0
        return
    assert found is not None
    assert found.value == Server(spec, H200).largest_batch(context, 0.1)


def test_one_longest_context() -> None:
    """By use: Llama-3.1-8B in 80 GB had three answers in three commands."""
    spec, budget = load_preset("llama-3.1-8b"), 80 * 10**9
    longest = compare(spec, [8192], variants=[Flash()], budget=budget).rows[0].max_seq
    assert longest is not None
    assert memory(spec, 1, longest).total_bytes <= budget < memory(spec, 1, longest + 1).total_bytes
    assert cached(spec, 1, longest)["kv_cache"] == 32 * 2 * 8 * 128 * longest


def test_shares_of_a_cache_are_those_of_its_layers() -> None:
    """By use: Gemma 4 31B on 8 GPUs at 129k tokens: 1.70 GB was said. 50 windowed layers of 16 heads of 256 numbers and 10 full
    ones of 4 heads of 512, which are doubled on 8 GPUs, in bf16.
    """
    spec = load_preset("gemma-4-31b")
    by_hand = 2 * (50 * 1024 * 2 * 2 * 256 + 10 * 129 * 1024 * 1 * 2 * 512)
    assert cached(spec, 1, 129 * 1024, Layout(tp=8))["kv_cache"] * 2 == by_hand == 2_810_183_680


def test_latent_attention_reads_its_cache() -> None:
    """By use: DeepSeek-V3's decode steps were bound by arithmetic, for the latents were absorbed twice. 128 users of 1,536 tokens
    of 576 numbers in 61 layers, 4.8 TB/s; each of 8 GPUs multiplies for an eighth of the heads.
    """
    step = Server(load_preset("deepseek-v3"), H200, Setup(tp=8, ep=8, weight_bits=8)).decode(128, 1536)
    assert step.cache == pytest.approx(128 * 1536 * 61 * 576 * 2 / 4.8e12, rel=1e-9)
    assert step.compute < step.cache


def test_attention_data_parallelism_shares_out_sequences() -> None:
    """DeepSeek-V3 on 8 GPUs: latents are on each of 8 tensor-parallel ones; with attention data parallelism each has an eighth of
    the sequences, and all attention weights. 61 layers of q_down, q_up, kv_down, kv_up, out: 187,107,328 parameters each.
    """
    spec, tp8 = load_preset("deepseek-v3"), Layout(tp=8, ep=8)
    shared = tp8._replace(attention_dp=8)
    one = 61 * 576 * 1000
    assert cached(spec, 16, 1000, tp8)["kv_cache"] == 16 * one
    assert cached(spec, 16, 1000, shared)["kv_cache"] == 2 * one
    whole, eighth = (
        params_fold.total(op for op in rank_ops(spec, Run(1, 16), layout) if op.role == "mixer" and op.kind == "linear")
        for layout in (shared, tp8)
    )
    assert whole == 61 * (7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 * 128 * 256 + 128 * 128 * 7168)
    assert whole > 3 * eighth
    assert Server(spec, H200, Setup(8, 8, 8)).largest_batch(4096) < Server(
        spec, H200, Setup(8, 8, 8, attention_dp=8)
    ).largest_batch(4096)


# --- utilisation ---------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PRESETS), LAYOUTS, st.booleans(), st.sampled_from([SHORT, 512]))
def test_utilisation_is_at_most_1(name: str, layout: Layout, fused: bool, seq: int) -> None:
    """Trainer.mfu raises above 1; so does the step below 0."""
    spec = load_preset(name)
    assume(runs_with(spec, layout) and (fused or layout.cp == 1))
    ideal = Trainer(spec, seq, H100, IDEAL, attention="flash" if fused else "eager")
    batch = layout.dp * layout.pp * 2
    step = ideal.step(layout, batch)
    assert min(step) >= 0
    mfu, hfu = ideal.mfu(step.total, layout, batch, H100.flops("bf16"))
    assert 0 < mfu <= hfu <= 1


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("recompute", ["none", "selective", "elementwise", "full"])
def test_every_preset_on_one_gpu(name: str, recompute: str) -> None:
    trainer = Trainer(load_preset(name), 512, H100, attention="eager")
    layout = Layout(recompute=recompute)
    answer = train(trainer, trainer, layout, tokens=512 * 8, global_batch=8, costs=Costs(), band=(1.0, 1.0))
    assert 0 < answer.ideal.mfu <= answer.ideal.hfu <= 1


@pytest.mark.parametrize(
    "call",
    [
        "llama-4-maverick --tokens 1T --gpus 256 --hardware h200 --seq 8k --global-batch 256",
        "llama-3.1-8b --tokens 1B --gpus 8 --cp 8 --seq 128k --global-batch 8 --recompute full",
        "llama-3.2-1b --tokens 20B --hardware a100 --gpus 8",
    ],
)
def test_utilisation_by_use(call: str) -> None:
    """852%, 114% and 106% were said."""
    result = json.loads(here("train", *call.split(), "--json").out)["result"]["training"]
    for outcome in (result["ideal"], result["estimate"]):
        assert 0 < outcome["mfu"] <= outcome["hfu"] <= 1


# --- the house -----------------------------------------------------------------------------------------------------


def test_no_cost_reads_a_components_name() -> None:
    """``component`` is for readers: outside report/, explain/ and cli/ nothing matches on its text, but for the table of what
    llama.cpp calls each matrix.
    """
    package = Path(__file__).resolve().parent.parent / "llmcx"
    wrong = []
    for file in sorted(package.rglob("*.py")):
        where = file.relative_to(package)
        if where.parts[0] in ("report", "explain", "cli") or str(where) == "formats/tensors.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "component"
            compared = isinstance(node, ast.Compare) and any(
                isinstance(side, ast.Attribute) and side.attr == "component" for side in (node.left, *node.comparators)
            )
            if named or compared:
                wrong.append(f"{where}:{node.lineno}")
    assert not wrong


@pytest.mark.parametrize("name", PRESETS)
def test_every_cache_says_what_it_is(name: str) -> None:
    ops = lower(load_preset(name), step_at(SHORT))
    assert all((op.cache is None) == (op.kind != "cache") for op in ops)


@pytest.mark.parametrize("program", ENGINES)
@pytest.mark.parametrize("name", ["llama-3-8b", "gemma-3-4b", "qwen3-next-80b-a3b", "mamba-2.8b"])
def test_serve_and_memory_have_one_largest_batch_by_engine(name: str, program: str) -> None:
    """`serve --engine` and `memory --engine --fit batch` on one H200, at the same length."""
    gpu = ("--hardware", "h200", "--utilization", "0.95", "--engine", program)
    served = here("serve", name, "--prompt", "1000", "--output", "1000", *gpu, "--json")
    fitted_ = here("memory", name, "--seq", "2000", "--fit", "batch", *gpu, "--json")
    if served.code:
        assert fitted_.code == served.code
        return
    most = json.loads(served.out)["result"]["largest_batch"]
    assert most == json.loads(fitted_.out)["result"]["fit"]["value"]
