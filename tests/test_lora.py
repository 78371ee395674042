"""Adapters on a frozen model, against plain torch adapters on tiny real models (tests/oracle/lora.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.answers.flops import flops
from llmcx.answers.memory import memory
from llmcx.catalog.load import load_preset
from llmcx.costs.lora import LoRA
from llmcx.costs.saved_activations import kept_bytes
from llmcx.engines.recipe import Recipe
from llmcx.errors import InputError
from llmcx.huggingface import from_config
from llmcx.model.lower import Run, lower
from llmcx.parallel.layout import Layout
from tests.helpers import here

ORACLE = json.loads((Path(__file__).parent / "oracle" / "lora.json").read_text(encoding="utf-8"))
JOINT = json.loads((Path(__file__).parent / "oracle" / "joint.json").read_text(encoding="utf-8"))["cases"]
GOLDEN, FLOPS = ORACLE["cases"], ORACLE["flops"]
LEAVES = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "o_proj": "out", "gate_proj": "gate", "up_proj": "up", "down_proj": "down"}
PAIRS = [
    pytest.param(one, three, id=f"{one['model_type']}-{len(one['targets'])}-{one['dtype']}-{one['attention']}")
    for one, three in zip(GOLDEN[::2], GOLDEN[1::2], strict=True)
]


def ours(case: dict[str, Any]) -> tuple[int, int]:
    """Saved bytes and trained parameters."""
    fused = case["attention"] == "sdpa"
    spec = from_config(case["config"], case["id"])
    ops = lower(spec, Run(case["batch"], case["seq"], fused=fused, masks=fused))
    lora = LoRA(case["rank"], tuple(LEAVES[name] for name in case["targets"]))
    return kept_bytes(lora.kept(ops), {"fp32": 4, "bf16": 2}[case["dtype"]]), lora.params(ops)


@pytest.mark.parametrize(("one", "three"), PAIRS)
def test_against_torch(one: dict[str, Any], three: dict[str, Any]) -> None:
    """Trained parameters exactly; what two more layers keep, to the byte in eager code.

    The first layer keeps less than we say: what stands before its first adapter needs no gradient. Under sdpa we count up to a
    quarter less or more per layer of these tiny models, where a frozen projection changes which layout the kernel's tensors have.
    """
    assert ours(three)[1] == three["trained"]
    layers, measured = ours(three)[0] - ours(one)[0], three["kept"] - one["kept"]
    if one["attention"] == "eager":
        assert layers == measured
        assert 0 <= ours(three)[0] - three["kept"] < measured / 2
    else:
        assert layers == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize("case", FLOPS, ids=lambda case: f"{case['model_type']}-{'-'.join(case['targets'])}-{case['layers']}")
def test_flops_against_torch(case: dict[str, Any]) -> None:
    """Forward, and both ways, as FlopCounterMode counts them: frozen matrices, layers before the first adapter, the adapters."""
    spec = from_config(case["config"], case["id"])
    seq, source = (case["decoder_seq"], case["seq"]) if spec.reads_source else (case["seq"], None)
    lora = LoRA(case["rank"], tuple(case["targets"]))
    found = flops(spec, case["batch"], seq, source=source, convention="eager", lora=lora)
    assert found.forward.total == case["forward"]
    assert found.train.total == case["forward_backward"]
    assert lora.params(lower(spec, Run())) == case["trained"]


@pytest.mark.parametrize("case", JOINT, ids=lambda case: str(case["model_type"]))
def test_matrices_that_the_code_has_as_one(case: dict[str, Any]) -> None:
    """An adapter of all has one side for their input: trained parameters as PEFT's rule gives them for transformers' modules."""
    spec = from_config(case["config"], case["id"])
    assert LoRA(case["rank"]).params(lower(spec, Run())) == case["trained"]


@pytest.mark.parametrize(("model", "targets"), (("phi-4", "q,v"), ("glm-4-9b", "gate"), ("gpt2", "k,out")))
def test_no_part_of_one_matrix_is_adapted(model: str, targets: str) -> None:
    for call in (
        f"flops {model} --lora 8 --lora-targets {targets}",
        f"memory {model} --train --seq 64 --lora 8 --lora-targets {targets}",
        f"train {model} --tokens 1M --gpus 1 --lora 8 --lora-targets {targets}",
    ):
        end = here(*call.split())
        assert end.code == 2 and "one matrix in its code" in end.err, end


def test_joint_flops_by_hand() -> None:
    """Phi-4, one token: queries of 5,120 and keys and values of 1,280 each from 5,120 by one matrix; 17,920 twice by another."""
    made = flops(load_preset("phi-4"), 1, 1, lora=LoRA(16))
    plain = flops(load_preset("phi-4"), 1, 1)
    qkv, gate_up = 5120 + 5120 + 2 * 1280, 5120 + 2 * 17920
    numbers = 40 * 16 * (qkv + gate_up + (5120 + 5120) + (17920 + 5120))
    assert made.forward.total - plain.forward.total == 2 * numbers


def test_flops_of_a_70b_by_hand() -> None:
    """One token: without scores, the matrices forward and the input's gradient back, which the first layer's q, k and v have not,
    and the adapters three times; of Llama 3.1 70B 80 layers, 8192 wide, keys 1024, feed-forward 28672, 128256 words.
    """
    q, k, up, head, r = 8192 * 8192, 8192 * 1024, 8192 * 28672, 8192 * 128256, 16
    matrices = 80 * (2 * q + 2 * k + 3 * up) + head
    adapters = 80 * r * (2 * (8192 + 8192) + 2 * (8192 + 1024) + 3 * (8192 + 28672))
    found = flops(load_preset("llama-3.1-70b"), 1, 1, lora=LoRA(r))
    scores = sum(row.flops for row in found.train.components if row.component in ("attention.scores", "attention.values"))
    spared = q + 2 * k + 3 * r * 8192  # the first layer's input is an embedding
    assert found.train.total - scores == 2 * (2 * matrices + 3 * adapters - spared)
    full = flops(load_preset("llama-3.1-70b"), 1, 1).train.total
    assert found.train.total / full == pytest.approx(0.6675, abs=0.003)  # two thirds, and the adapters


def test_llama_2_7b_by_hand() -> None:
    """Rank 8 on queries and values of 32 layers, 4096 wide: 2 x 32 x 8 x (4096 + 4096) = 4,194,304 (as PEFT prints it)."""
    assert LoRA(8, ("q", "v")).params(lower(load_preset("llama-2-7b"), Run())) == 4_194_304


def test_parts() -> None:
    """Frozen weights in bf16, adapters, their gradients and Adam's moments in fp32."""
    spec, trained = load_preset("llama-2-7b"), 4_194_304
    recipe, several = Recipe(lora=LoRA(8, ("q", "v"))), Layout(micro_batches=2)  # gradients are there all along
    parts = {part.part: part.bytes for part in memory(spec, 1, 128, train=True, recipe=recipe, layout=several).parts}
    assert parts["weights"] == 2 * 6_738_415_616 + 4 * trained
    assert (parts["gradients"], parts["optimizer"]) == (4 * trained, 8 * trained)


def test_refused() -> None:
    with pytest.raises(InputError, match="lora_targets"):
        LoRA(8, ("qkv",))
    with pytest.raises(InputError, match="tp"):
        memory(load_preset("llama-2-7b"), 1, 64, train=True, recipe=Recipe(lora=LoRA(8)), layout=Layout(tp=2))
