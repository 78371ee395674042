"""Launch files of training and of clusters: written, read back, held to the programs' own parsers; refusals."""

from __future__ import annotations

import json
import re
import sys
from math import prod
from pathlib import Path
from typing import Any

import pytest
import yaml
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


@pytest.mark.usefixtures("answered_once")
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
            {
                "train_batch_size": 64,
                "train_micro_batch_size_per_gpu": 8,
                "bf16": {"enabled": True},
                "zero_optimization": {"stage": 2},
            },
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
        assert {name: flag.takes for name, flag in known.items()} == real


def test_every_flag_of_torchrun_is_known() -> None:
    real = {name[2:].replace("_", "-"): int(takes != "") for name, takes in golden()["settings"]["torchrun"].items()}
    real.pop("help")
    assert {name: takes for name, takes in real.items() if TORCHRUN.get(name) != takes} == {}


def test_torchtitans_models_are_those_of_the_presets() -> None:
    recorded = golden()["torchtitan_models"]
    assert recorded == {" ".join(own): count(load(preset)) for own, preset in FLAVORS.items()}


# --- clusters ------------------------------------------------------------------------------------------------------------------

FIELDS = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "metadata": {"name", "labels"},
    "Deployment": {"replicas", "selector", "template"},
    "Service": {"selector", "ports", "clusterIP"},
    "Job": {"backoffLimit", "completions", "parallelism", "completionMode", "template"},
    "pod": {"containers", "volumes", "restartPolicy", "subdomain"},
    "container": {"name", "image", "command", "args", "env", "ports", "readinessProbe", "resources", "volumeMounts"},
}
"""Fields of Kubernetes' objects that manifests here have, as its API reference names them."""


def manifests(text: str) -> list[dict[str, Any]]:
    """Documents of a manifest, each of known fields."""
    found: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    for each in found:
        assert each.keys() <= FIELDS[""] and each["metadata"].keys() <= FIELDS["metadata"]
        assert each["spec"].keys() <= FIELDS[each["kind"]]
        assert each["apiVersion"] == {"Deployment": "apps/v1", "Job": "batch/v1", "Service": "v1"}[each["kind"]]
        name = each["metadata"]["name"]
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)  # a DNS label, which pods' names begin with
        if each["kind"] != "Service":
            pod = each["spec"]["template"]["spec"]
            assert pod.keys() <= FIELDS["pod"]
            [container] = pod["containers"]
            assert container.keys() <= FIELDS["container"]
            assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/dev/shm"}
            assert all(isinstance(word, str) for word in container["command"])
    return found


def pod_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    [pod] = [each["spec"]["template"]["spec"]["containers"][0] for each in documents if each["kind"] != "Service"]
    found: dict[str, Any] = pod
    return found


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
@pytest.mark.parametrize("emit", ["slurm", "k8s"])
@pytest.mark.parametrize(
    "asked",
    [
        "llama-3.1-70b --hardware 4xh100 --dtype fp8 --batch 8",
        "qwen3-32b --hardware h200",
        "deepseek-v3 --hardware 8xh200 --ep 8",
    ],
)
def test_a_servers_file_is_read_back_as_its_line(engine: str, emit: str, asked: str) -> None:
    line = here("serve", *asked.split(), "--emit", engine).out
    text = here("serve", *asked.split(), "--emit", emit, "--engine", engine).out
    plain, inside = (data("check", "-", stdin=each.encode())["result"] for each in (line, text))
    ignored = {"flags": [], "estimate": []}
    assert inside | ignored == plain | ignored and inside["estimate"] == plain["estimate"]
    if emit == "k8s":
        container = pod_of(manifests(text))
        assert list(container["resources"]["limits"].values()) == [plain["gpus"] * plain["replicas"]]
        assert list(container["resources"]["limits"]) == ["nvidia.com/gpu"]
        assert container["ports"][0]["containerPort"] == container["readinessProbe"]["httpGet"]["port"]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_a_server_on_two_nodes(engine: str) -> None:
    text = here("serve", "llama-3.1-405b", "--hardware", "16xh100", "--emit", "slurm", "--engine", engine).out
    assert "#SBATCH --nodes=2" in text and "#SBATCH --gpus-per-node=8" in text
    assert data("check", "-", stdin=text.encode())["result"]["gpus"] == 16
    fewer = text.replace("--nodes=2", "--nodes=1")
    assert "16" in refused("check", "-", stdin=fewer.encode())


def test_what_clusters_cannot_say_is_refused() -> None:
    assert "slurm" in refused("serve", "llama-3.1-405b", "--hardware", "16xh100", "--engine", "trtllm", "--emit", "k8s")
    assert "node" in refused("serve", "deepseek-v3", "--hardware", "16xh200", "--set", "attention_dp=16", "--emit", "slurm")
    assert "Google" in refused("serve", "llama-3.1-8b", "--hardware", "tpu-v5e", "--emit", "k8s")
    assert "megatron" in refused(
        "train", "llama-3.1-8b", "--tokens", "1B", "--hardware", "8xh100", "--engine", "llmq", "--emit", "slurm"
    )


@pytest.mark.parametrize("engine", ["megatron", "torchtitan", "fsdp"])
@pytest.mark.parametrize("emit", ["slurm", "k8s"])
@pytest.mark.parametrize("gpus", [8, 32])
def test_a_training_job_on_a_cluster(engine: str, emit: str, gpus: int) -> None:
    asked = [
        "llama-3.1-8b",
        "--tokens",
        "10B",
        "--hardware",
        f"{gpus}xh100",
        "--engine",
        engine,
        "--zero",
        "3",
        "--recompute",
        "full",
    ]
    text = here("train", *asked, "--emit", emit).out
    found = data("check", "-", stdin=text.encode())["result"]
    assert (found["gpus"], found["layout"]["zero"], found["layout"]["recompute"]) == (gpus, 3, "full")
    if emit == "k8s":
        container = pod_of(manifests(text))
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
        assert {each["name"] for each in container.get("env", [])} == ({"MASTER_ADDR", "RUN_ID"} if gpus > 8 else set())
        assert len(manifests(text)) == (2 if gpus > 8 else 1)
    else:
        assert f"--nodes={gpus // 8}" in text


def test_a_manifest_of_ones_own() -> None:
    """A pod that leaves its image to start the server, and sets a variable."""
    text = """
apiVersion: v1
kind: Pod
metadata: {name: x}
spec:
  containers:
    - name: proxy
      image: nginx
    - name: server
      image: vllm/vllm-openai:v0.11.0
      args: [--model, $(MODEL), --tensor-parallel-size, "2", --max-model-len, "8192"]
      env: [{name: MODEL, value: Qwen/Qwen3-32B}]
      resources: {limits: {nvidia.com/gpu: "2"}}
"""
    found = data("check", "-", "--hardware", "h100", stdin=text.encode())
    assert (found["model"]["name"], found["result"]["gpus"], found["result"]["fits"]) == ("qwen3-32b", 2, True)
    assert "2" in refused(
        "check", "-", "--hardware", "h100", stdin=text.replace('parallel-size, "2"', 'parallel-size, "4"').encode()
    )


# --- what is wrong gets one sentence ---------------------------------------------------------------------------------------

LINE = (
    "torchrun --nproc-per-node 8 pretrain_gpt.py --num-layers 32 --hidden-size 4096 --num-attention-heads 32"
    " --use-distributed-optimizer --ffn-hidden-size 14336 --swiglu"
    " --normalization RMSNorm --disable-bias-linear --position-embedding-type rope --padded-vocab-size 128256 --bf16"
    " --seq-length 4096 --micro-batch-size 1 --global-batch-size 128"
)
DS = '{"bf16": {"enabled": true}, "train_micro_batch_size_per_gpu": 1, "zero_optimization": {"stage": 3}}'
TITAN = '[model]\nname = "llama3"\nflavor = "8B"\n[activation_checkpoint]\nmode = "full"\n[training]\nlocal_batch_size = 1\n'
FSDP = "distributed_type: FSDP\nnum_processes: 8\nmixed_precision: bf16\nfsdp_config: {fsdp_version: 2}\n"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (LINE + " --tensor-modle-parallel-size 2", "--tensor-model-parallel-size"),
        (LINE + " --tensor-model-parallel-size", "needs a value"),
        (LINE + " --tensor-model-parallel-size many", "whole number"),
        (LINE + " --tensor-model-parallel-size 3", "multiple"),
        (LINE + " --pipeline-model-parallel-size 5 --tensor-model-parallel-size 8", "divide"),
        (LINE + " --seq-length 2048", "contradict"),
        (LINE + " --fp16", "contradict"),
        (LINE + " --micro-batch-size=3", "contradict"),
        (LINE.replace("--global-batch-size 128", "--global-batch-size 100"), "100"),
        (LINE.replace("--micro-batch-size 1 ", ""), "--micro-batch-size"),
        (LINE.replace("--num-layers 32 ", "").replace("--hidden-size 4096", "--num-layers 32"), "--hidden-size"),
        (LINE + " --num-experts 8 --expert-model-parallel-size 3", "expert"),
        (LINE + " --num-experts 8 --moe-layer-freq '([0]*3+[1]*5)'", "32"),
        (LINE + " --num-experts 8 --moe-layer-freq '__import__(1)'", "list"),
        (LINE + " --num-query-groups 8", "--group-query-attention"),
        (LINE + " --recompute-granularity full", "--recompute-method"),
        (LINE + " --recompute-granularity full --recompute-method block --recompute-num-layers 4", "--recompute"),
        (LINE + " --optimizer-cpu-offload", "not counted"),
        (LINE + " --yaml-cfg x.yaml", "not counted"),
        (LINE + " --seq-length $SEQ", "$SEQ"),
        (LINE.replace("--seq-length 4096", "--seq-length $SEQ"), "$SEQ"),
        (LINE + " --mock-data extra", "extra"),
        (LINE + " --lr '1e-4", "quote"),
        (LINE + " \\", "backslash"),
        (LINE.replace("--nproc-per-node 8", "--nproc-per-nod 8"), "--nproc-per-node"),
        (LINE.replace("--nproc-per-node 8", "--nproc-per-node eight"), "whole number"),
        (LINE.replace("pretrain_gpt.py", "train.py"), "train.py"),
        (f"{LINE}; {LINE}", "2"),
        ("#SBATCH --nodes=2 --gpus-per-node=4\n#SBATCH --nodes=2\n#SBATCH --gpus-per-node=2\n" + LINE, "4"),
        ('{"train_batch_size": 64, "zero_optimisation": {"stage": 3}}', "zero_optimization"),
        ('{"train_batch_size": 64, "zero_optimization": {"stage": 4}}', "stage"),
        ('{"train_batch_size": 65, "train_micro_batch_size_per_gpu": 4, "gradient_accumulation_steps": 2}', "65"),
        ('{"train_batch_size": 64, "bf16": {"enabled": true}, "fp16": {"enabled": true}}', "contradict"),
        ('{"train_batch_size": "many"}', "whole number"),
        ('{"train_batch_size": 0}', "at least 1"),
        ('{"train_batch_size": 64, "optimizer": {"type": "OneBitAdam"}}', "OneBitAdam"),
        ('{"train_batch_size": 64, "zero_optimization": {"stage": 2, "offload_param": {"device": "cpu"}}}', "offload_optimizer"),
        ('{"train_batch_size": 64, "zero_optimization": {"stage": 2, "offload_optimizer": {"device": "disk"}}}', "nvme"),
        ('{"train_batch_size": 64,', "line 1"),
        ('{"learning_rate": 3}', "DeepSpeed"),
        ("{}", "DeepSpeed"),
        (TITAN + "seq_length = 3\n", "seq_len"),
        (TITAN.replace('"8B"', '"9B"'), "8B"),
        (TITAN.replace("full", "selective"), "--recompute"),
        (TITAN + "global_batch_size = 100\n[parallelism]\ndata_parallel_shard_degree = 8\n", "100"),
        (TITAN + "enable_cpu_offload = true\n", "enable_cpu_offload"),
        (TITAN + 'dtype = "float16"\n', "float16"),
        (TITAN + "[parallelism]\npipeline_parallel_degree = 2\npipeline_parallel_schedule = 'ZBVZeroBubble'\n", "1F1B"),
        (TITAN + "seq_len = \n", "TOML"),
        (FSDP + "num_process: 3\n", "num_processes"),
        (FSDP + "num_machines: 3\n", "3"),
        (FSDP.replace("bf16", "bf17"), "bf16"),
        (FSDP.replace("fsdp_version: 2", "fsdp_version: 2, fsdp_offload_params: true"), "fsdp_offload_params"),
        (FSDP.replace("fsdp_version: 2", "fsdp_sharding_strategy: HYBRID_SHARD"), "HYBRID_SHARD"),
        (FSDP.replace("FSDP", "XLA"), "FSDP"),
        (FSDP + "  x: [\n", "YAML"),
        ("kind: Deployment\nx: 1\n", "Kubernetes"),
        ("apiVersion: v1\nkind: Service\nspec: {}\n", "container"),
        ("accelerate launch train.py", "--config_file"),
        ("accelerate launch --config_file nowhere.yaml train.py", "nowhere.yaml"),
        ("deepspeed train.py", "--deepspeed_config"),
        ("torchrun --nproc-per-node 8 -m torchtitan.train --job.config_file nowhere.toml", "nowhere.toml"),
    ],
)
def test_a_bad_file_gets_one_sentence(text: str, word: str) -> None:
    for ends in ("\n", "\r\n"):
        model = [] if "pretrain" in text else ["llama-3.1-8b"]
        said = refused("check", "-", *model, "--hardware", "8xh100", stdin=text.replace("\n", ends).encode())
        assert word in said, said


def test_what_is_open_is_said_by_options() -> None:
    assert refused_in_json("check", DS, "llama-3.1-8b", "--hardware", "h100")["field"] == "gpus"
    assert refused_in_json("check", DS, "llama-3.1-8b")["field"] == "hardware"
    assert "names no model" in refused("check", DS, "--hardware", "8xh100")
    assert "--batch" in refused("check", DS, "llama-3.1-8b", "--hardware", "8xh100", "--batch", "3")
    assert "--seq" in refused("check", "vllm serve Qwen/Qwen3-8B", "--hardware", "h100", "--seq", "3")
    assert "4096" in refused("check", LINE, "--hardware", "8xh100", "--seq", "2k")
    assert "shape" in refused("check", LINE, "llama-3.1-70b", "--hardware", "8xh100")
    found = data(
        "check",
        DS,
        "llama-3.1-8b",
        "--hardware",
        "h100",
        "--gpus",
        "16",
        "--seq",
        "4k",
        "--micro-batch",
        "1",
        "--global-batch",
        "64",
    )
    assert (found["result"]["gpus"], found["result"]["seq"], found["result"]["global_batch"]) == (16, 4096, 64)
    none, full = (
        data("check", DS, "llama-3.1-8b", "--hardware", "8xh100", "--seq", "4k", "--recompute", how)["result"]
        for how in ("none", "full")
    )
    assert none["total_bytes"] > full["total_bytes"] and none["estimate"]["step_s"] < full["estimate"]["step_s"]
    between = data("check", TITAN.replace("full", "selective"), "--hardware", "8xh100", "--recompute", "full")["result"]
    assert between["layout"]["recompute"] == "full"


def test_a_line_may_name_its_file(tmp_path: Path) -> None:
    """By a launcher, which says how many GPUs there are; torchtitan's line sets more beside it."""
    file, titan, fsdp = tmp_path / "ds.json", tmp_path / "t.toml", tmp_path / "f.yaml"
    file.write_text(DS, encoding="utf-8")
    titan.write_text(TITAN, encoding="utf-8")
    fsdp.write_text(FSDP, encoding="utf-8")
    asked = ("llama-3.1-8b", "--hardware", "h100", "--seq", "4k")
    for line in (
        f"deepspeed --num_gpus 4 --num_nodes 2 train.py --deepspeed {file}",
        f"torchrun --nnodes 2 --nproc-per-node=4 train.py --deepspeed={file} --lr 3",
        f"accelerate launch --config_file {fsdp} --num_processes 8 train.py",
        f"torchrun --nproc-per-node 8 -m torchtitan.train --job.config_file={titan} --training.seq_len 4096",
    ):
        asked_ = asked[:3] if "torchtitan" in line else asked
        found = data("check", line, *asked_)["result"]
        assert (found["gpus"], found["seq"], found["layout"]["zero"]) == (8, 4096, 3), line


def test_changes_make_it_fit() -> None:
    """Each, written into the file, is a yes with the bytes that were promised."""
    long = LINE.replace("4096 --micro-batch-size 1", "8192 --micro-batch-size 4")
    found = data("check", long, "--hardware", "8xh100")["result"]
    assert not found["fits"] and 1 <= len(found["changes"]) <= 3
    for change in found["changes"]:
        base = long.replace(" --micro-batch-size 4", "") if "--micro-batch-size" in change["flags"] else long
        after = data("check", f"{base} {change['flags']}", "--hardware", "8xh100")["result"]
        assert after["fits"] and after["total_bytes"] == change["total_bytes"], change
    asked = ("llama-3.1-8b", "--hardware", "8xh100", "--seq", "2k", "--budget", "40GB")
    small = json.loads(DS) | {"zero_optimization": {"stage": 1}}
    found = data("check", json.dumps(small), *asked)["result"]
    assert not found["fits"] and found["changes"][0]["flags"].startswith('"stage": ')
    stage = json.loads("{" + found["changes"][0]["flags"] + "}")["stage"]
    after = data("check", json.dumps(small | {"zero_optimization": {"stage": stage}}), *asked)["result"]
    assert after["fits"] and after["total_bytes"] == found["changes"][0]["total_bytes"]


def test_what_is_required_decides_how_it_ends() -> None:
    step = data("check", LINE, "--hardware", "8xh200")["result"]["estimate"]["step_s"]
    for require, code in (
        ("fits", 0),
        (f"fits and step<{1.01 * step:.4f}s", 0),
        (f"step<{0.99 * step:.4f}s", 1),
        ("mfu>0.2, headroom>1GB", 0),
        ("mfu>0.9", 1),
        ("users>3", 2),
    ):
        assert here("check", LINE, "--hardware", "8xh200", "--require", require, "--json").code == code, require
    assert "step" in refused("check", "vllm serve Qwen/Qwen3-8B --max-model-len 8k", "--hardware", "h100", "--require", "step<3s")


def test_a_comment_left_behind_does_not_count() -> None:
    text = here("train", "llama-3.1-8b", "--tokens", "10B", "--hardware", "8xh100", "--emit", "megatron").out
    found = data("check", "-", stdin=text.replace("--num-layers 32", "--num-layers 16").encode())
    assert any("another shape" in note for note in found["notes"])


def test_what_a_file_cannot_say_is_refused() -> None:
    train = ("train", "llama-3.1-8b", "--tokens", "1B", "--hardware", "8xh100")
    for emit, option, value in (
        ("deepspeed", "--tp", "2"),
        ("fsdp-accelerate", "--pp", "2"),
        ("fsdp-accelerate", "--zero", "1"),
        ("torchtitan", "--zero", "1"),
        ("megatron", "--recompute", "elementwise"),
        ("torchtitan", "--attn", "eager"),
        ("deepspeed", "--compute-dtype", "fp8"),
    ):
        field = refused_in_json(*train, "--emit", emit, option, value)["field"]
        assert f"--{field.replace('_', '-')}" == option, (emit, option)
    assert "gelu" in refused("train", "gemma-2-9b", "--tokens", "1B", "--hardware", "64xh100", "--emit", "megatron")
    assert "torchtitan" in refused("train", "mistral-7b", "--tokens", "1B", "--hardware", "64xh100", "--emit", "torchtitan")
    assert "contradict" in refused(*train, "--emit", "megatron", "--engine", "fsdp")
    assert "known" in refused(*train, "--emit", "nemo") and "--detail" in refused(*train, "--emit", "megatron", "--detail")


if __name__ == "__main__":  # python tests/test_launch_files.py DIRECTORY writes what the oracle is to read
    for name, text in emitted().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
