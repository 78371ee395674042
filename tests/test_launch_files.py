"""Launch files of training and of clusters: written, read back, held to the programs' own parsers; refusals."""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from llmcx.catalog.load import load
from llmcx.cli.launching import flags
from llmcx.cli.targets import TARGETS, Job, degrees_of, module
from llmcx.cli.targets.launcher import TORCHRUN
from llmcx.cli.targets.megatron_model import same, shaped, stated
from llmcx.cli.targets.reading import read
from llmcx.cli.targets.torchtitan import FLAVORS
from llmcx.costs.params import count
from llmcx.errors import InputError
from llmcx.parallel.layout import Layout, check, check_batch
from tests.helpers import here, refused, refused_in_json

GOLDEN = Path(__file__).parent / "oracle" / "training_files.json"
MODELS = ("llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "qwen3-30b-a3b", "qwen2.5-7b", "gpt3", "mixtral-8x7b", "deepseek-v3")


def data(*args: str, stdin: bytes = b"") -> dict[str, Any]:
    end = here(*args, "--json", stdin=stdin)
    assert end.code == 0, end.err
    out: dict[str, Any] = json.loads(end.out)
    return out


def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


# --- round trips -----------------------------------------------------------------------------------------------------------

powers = st.sampled_from([1, 2, 4, 8])


@st.composite
def jobs(draw: Any) -> Job:
    """A job of any target that has words for it."""
    target = draw(st.sampled_from(list(TARGETS)))
    names = list(MODELS) if target != "torchtitan" else sorted({*MODELS} & {*FLAVORS.values()})
    spec = load(draw(st.sampled_from(names)))
    flat = target in ("deepspeed", "fsdp-accelerate")
    tp, cp = (1, 1) if flat else (draw(powers), draw(st.sampled_from([1, 2])))
    pp = 1 if flat else draw(st.sampled_from([1, 2, 3, 4, 8, 16]))
    virtual = draw(st.sampled_from([1, 2, 8])) if pp > 1 else 1
    dp, micro = draw(st.sampled_from([1, 2, 8, 16, 64])), draw(st.sampled_from([1, 2, 3]))
    ep = draw(st.sampled_from([1, 2, 8])) if spec.mixtures and not flat else 1
    zero = draw(st.sampled_from({"megatron": [0, 1, 2, 3], "deepspeed": [0, 1, 2, 3]}.get(target, [0, 2, 3])))
    zero = zero if dp * cp > 1 else 0
    again = draw(st.sampled_from(["none", "full", "selective"] if target == "megatron" else ["none", "full"]))
    layout = Layout(tp, pp, cp, ep, dp, micro, virtual, again, zero)
    many = draw(st.integers(1, 6)) * (pp if virtual > 1 else 1)
    assume(module(target).says(layout, spec.n_layers) and layout.gpus % min(layout.gpus, 8) == 0)
    assume(not (target == "fsdp-accelerate" and zero == 0 and again == "full"))
    try:
        check(spec, layout)
        check_batch(layout, dp * micro * many)
    except InputError:
        assume(False)
    return Job(
        target,
        degrees_of(layout),
        layout.gpus,
        draw(st.sampled_from([512, 2048])),
        dp * micro * many,
        steps=draw(st.sampled_from([None, 1000])) if not flat else None,
        spec=spec,
        model=spec.name,
        dtype=draw(st.sampled_from({"megatron": [None, "fp8", "fp16"], "torchtitan": [None, "fp8"]}.get(target, [None, "fp16"]))),
        precision="megatron" if target == "megatron" else "mixed",
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(jobs(), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read_back(job: Job, ends: str) -> None:
    """The layout, the batches, the length, the formats; of Megatron-LM the model's shape too; whatever ends the lines."""
    text = module(job.target).written(job, "h100")
    found = read(text.replace("\n", ends)).job
    assert found is not None and job.gpus is not None and found.target == job.target
    gpus = found.gpus or job.gpus
    layout = found.layout(gpus)
    said = dict(zip(found.asked[::1], found.asked[1:], strict=False))
    micro = int(said["--micro-batch"]) if "micro_batch" not in found.degrees else layout.micro_batch
    again = said.get("--recompute", layout.recompute)
    assert (gpus, layout._replace(micro_batch=micro, recompute=again)) == (job.gpus, job.layout(job.gpus))
    assert (found.global_batch or int(said["--global-batch"])) == job.global_batch
    assert (found.seq or int(said["--seq"])) == job.seq
    assert (found.dtype, found.precision, found.attention) == (job.dtype, job.precision, job.attention)
    assert found.steps == job.steps or job.steps is None
    assert found.asked[:3] == (job.model, "--hardware", "h100")
    if found.spec is not None:
        assert job.spec is not None and same(found.spec, job.spec)
        assert count(found.spec) == count(job.spec) or job.spec.embedding.vocab % layout.tp
    assert not {each.flag for each in found.given if each.effect == "unknown"}


@pytest.mark.parametrize("name", MODELS)
def test_megatrons_arguments_have_as_many_parameters_as_the_model(name: str) -> None:
    spec = load(name)
    values = {flag: text.strip('"') or None for flag, _, text in (word.partition(" ") for word in shaped(spec, 1))}
    assert count(stated(values)) == count(spec)


ASKED = [
    "llama-3.1-8b --tokens 10B --hardware 8xh100",
    "llama-3.1-8b --tokens 10B --hardware 16xa100 --seq 4k --global-batch 64",
    "qwen3-30b-a3b --tokens 10B --hardware 64xh100",
    "llama-3.1-70b --tokens 1T --hardware 256xh100 --compute-dtype fp8",
]


@pytest.mark.parametrize("emit", ["megatron", "torchtitan", "fsdp-accelerate", "slurm", "k8s"])
@pytest.mark.parametrize("asked", ASKED)
def test_check_of_what_train_emits_says_what_train_says(emit: str, asked: str) -> None:
    """The same layout, bytes, seconds and days."""
    end = here("train", *asked.split(), "--emit", emit)
    if "fp8" in asked and emit == "fsdp-accelerate" and end.code:
        pytest.skip("no layout fits")
    assert (end.code, end.err) == (0, ""), end.err
    answer = data("train", *asked.split(), "--emit", emit)
    trained, found = answer["result"]["training"], data("check", "-", stdin=end.out.encode())["result"]
    assert answer["inputs"]["line"] + "\n" == end.out
    assert found["layout"] == trained["layout"]
    assert found["total_bytes"] == trained["memory_bytes"] and found["fits"]
    assert found["estimate"]["step_s"] == pytest.approx(trained["estimate"]["step_s"], rel=1e-9)
    if emit != "fsdp-accelerate":
        assert found["estimate"]["days"] == pytest.approx(trained["estimate"]["days"], rel=1e-9)


@pytest.mark.parametrize(
    ("file", "memory"),
    [
        (
            {"train_batch_size": 64, "train_micro_batch_size_per_gpu": 8, "bf16": {"enabled": True}, "zero_optimization": {"stage": 2}},
            "--gpus 8 --zero 2 --micro-batch 8 --engine deepspeed --attn flash --seq 2k",
        ),
        (
            {
                "train_micro_batch_size_per_gpu": 1,
                "zero_optimization": {"stage": 3, "offload_optimizer": {"device": "cpu"}, "reduce_bucket_size": 10**6},
                "fp16": {"enabled": True},
            },
            "--gpus 8 --zero 3 --micro-batch 1 --engine deepspeed --attn flash --seq 2k --set offload=optimizer"
            " --set reduce_bucket_size=1000000",
        ),
    ],
)
def test_the_bytes_are_those_of_memory(file: dict[str, Any], memory: str) -> None:
    text = json.dumps(file)
    found = data("check", text, "llama-3.1-8b", "--hardware", "8xh100", "--seq", "2k")["result"]
    same_ = data("memory", "llama-3.1-8b", "--train", *memory.split())["result"]
    assert (found["total_bytes"], found["host_bytes"]) == (same_["total_bytes"], same_["host_bytes"])
    parts = {part["part"]: part["bytes"] for part in found["parts"]}
    assert parts == {part["part"]: part["bytes"] for part in same_["parts"]}


def test_a_megatron_line_by_hand() -> None:
    """Llama 3.1 8B on TP 2, DP 4 with a distributed optimizer: 8,030,261,248 parameters; each GPU has half, and the norms whole:
    65 · 4096 / 2 more. Weights 2 bytes, gradients 4, master copies and states 12 over the four ranks.
    """
    line = (
        "torchrun --nproc_per_node=8 pretrain_gpt.py --num-layers 32 --hidden-size 4096 --num-attention-heads 32"
        " --group-query-attention --num-query-groups 8 --ffn-hidden-size 14336 --swiglu --normalization RMSNorm"
        " --disable-bias-linear --position-embedding-type rope --untie-embeddings-and-output-weights --padded-vocab-size 128256"
        " --seq-length 8192 --micro-batch-size 1 --global-batch-size 128 --bf16 --use-distributed-optimizer"
        " --tensor-model-parallel-size 2 --sequence-parallel --attention-dropout 0.0 --hidden-dropout 0.0"
    )
    parts = {part["part"]: part["bytes"] for part in data("check", line, "--hardware", "8xh100")["result"]["parts"]}
    each = (8_030_261_248 + 65 * 4096) // 2
    assert parts["weights"] == 2 * each
    assert parts["gradients"] == 4 * each
    assert parts["optimizer"] == 12 * each // 4


# --- the programs' own parsers -----------------------------------------------------------------------------------------------


EMITTED = {
    "8b": "llama-3.1-8b --tokens 10B --hardware 8xh100",
    "8b-16": "llama-3.1-8b --tokens 10B --hardware 16xh100 --seq 4k --global-batch 64",
    "70b": "llama-3.1-70b --tokens 1T --hardware 256xh100",
    "moe": "qwen3-30b-a3b --tokens 10B --hardware 64xh100",
    "full": "llama-3.1-8b --tokens 10B --hardware 8xh100 --zero 3 --recompute full --micro-batch 2",
    "405b": "llama-3.1-405b --tokens 1T --hardware 1024xh100 --tp 8 --pp 16 --virtual 8 --global-batch 2048",
    "uneven": "llama-3.1-70b --tokens 1T --hardware 96xh100 --tp 8 --pp 3 --global-batch 256",
    "mla": "deepseek-v3 --tokens 1T --hardware 2048xh100 --pp 16 --ep 64 --seq 4k --global-batch 8192 --recompute full",
    "mixtral": "mixtral-8x7b --tokens 1T --hardware 64xh100 --tp 2 --ep 8 --global-batch 512",
    "gpt": "gpt3 --tokens 300B --hardware 1024xa100 --tp 8 --pp 8 --seq 2k --global-batch 1536",
    "fp8": "llama-3.1-8b --tokens 10B --hardware 64xh100 --compute-dtype fp8",
    "cp": "llama-3.1-8b --tokens 10B --hardware 64xh100 --tp 2 --cp 2 --seq 32k --global-batch 64",
    "hsdp": "llama-3.1-8b --tokens 10B --hardware 8xh100 --zero 2 --micro-batch 1",
}


def emitted() -> dict[str, str]:
    """Each of EMITTED for each target that has words for it."""
    out = {}
    for name, asked in EMITTED.items():
        for target in TARGETS:
            end = here("train", *asked.split(), "--emit", target)
            if end.code == 0:
                out[f"{name}.{target}"] = end.out
    return out


def test_the_programs_themselves_read_what_is_emitted() -> None:
    """As recorded by tests/oracle/training_files.py of these very files; none was refused."""
    recorded, now = golden()["files"], emitted()
    assert recorded.keys() == now.keys() and len(now) >= 30
    for name, text in now.items():
        assert recorded[name]["text"] == text, f"{name} is another file than the one that was tried: run the oracle again"
        said = recorded[name]["read"]
        assert "refused" not in said, (name, said)
        job = read(text).job
        assert job is not None
        _as_read(job, said)


def _as_read(job: Job, said: dict[str, Any]) -> None:
    """What the program read is what is meant."""
    gpus = job.gpus or said["world_size"]
    layout = job.layout(gpus)
    if job.target == "megatron":
        assert said["world_size"] == gpus and said["data_parallel_size"] == layout.dp
        sizes = ("tensor_model", "pipeline_model", "context")
        assert tuple(said[f"{size}_parallel_size"] for size in sizes) == (layout.tp, layout.pp, layout.cp)
        assert (said["expert_model_parallel_size"], said["micro_batch_size"]) == (layout.ep, layout.micro_batch)
        assert (said["virtual_pipeline_model_parallel_size"] or 1) == layout.virtual
        assert job.spec is not None and said["num_layers"] == job.spec.n_layers
        assert said["global_batch_size"] == job.global_batch and said["seq_length"] == job.seq
    elif job.target == "torchtitan":
        degrees = (said["tp"], said["pp"], said["cp"], said["ep"], said["dp_shard"] * said["dp_replicate"])
        assert degrees == (layout.tp, layout.pp, layout.cp, layout.ep, layout.dp)
        assert (said["world_size"], said["global_batch_size"], said["seq_len"]) == (gpus, job.global_batch, job.seq)
    elif job.target == "deepspeed":
        assert said["zero_optimization_stage"] == layout.zero and said["world_size"] == gpus
        assert said["train_batch_size"] == job.global_batch
        micro, many = said["train_micro_batch_size_per_gpu"], said["gradient_accumulation_steps"]
        assert prod((micro, many, gpus)) == job.global_batch
    else:
        assert said["num_processes"] == gpus and said["use_fsdp"] == (layout.zero > 0)
        assert str(said["fsdp_reshard_after_forward"]).lower() == str(layout.zero == 3).lower()
        assert str(said["fsdp_activation_checkpointing"]).lower() == str(layout.recompute == "full").lower()


@pytest.mark.parametrize("target", ["megatron", "torchtitan", "accelerate", "deepspeed"])
def test_every_setting_of_the_programs_is_known(target: str) -> None:
    real, known = golden()["settings"][target], flags(target)
    missing = [name for name in real if name not in known and name != "--help"]
    assert not missing
    if target == "megatron":
        assert {name: flag.takes for name, flag in known.items()} == {name: takes for name, takes in real.items() if name != "--help"}


def test_every_flag_of_torchrun_is_known() -> None:
    real = {name[2:].replace("_", "-"): int(takes != "") for name, takes in golden()["settings"]["torchrun"].items()}
    real.pop("help")
    assert {name: takes for name, takes in real.items() if TORCHRUN.get(name) != takes} == {}


def test_torchtitans_models_are_those_of_the_presets() -> None:
    recorded = golden()["torchtitan_models"]
    assert recorded == {" ".join(own): count(load(preset)) for own, preset in FLAVORS.items()}


if __name__ == "__main__":  # python tests/test_launch_files.py DIRECTORY writes what the oracle is to read
    for name, text in emitted().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
