"""Files of `--emit slurm` and `--emit k8s` are taken by a real Slurm and by Kubernetes' schemas (tests/oracle/clusters.py)."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from llmcx.catalog.load import load
from llmcx.cli.emitting import printed
from llmcx.cli.targets.clusters import named
from tests.helpers import here

GOLDEN = Path(__file__).parent / "oracle" / "clusters.json"
APART = "serve llama-3.1-70b --hardware 4xh100 --dtype fp8_tensor --batch 256 --prefill-workers 2 --prefill-tp 1 --workers 2"
REPLICAS = "plan serve qwen3-32b, whose choice is 7 replicas of 58 users in fp8_tensor on 2 H100s each"
ASKED = (  # in layouts of their own, so that Slurm does not have to be asked again when a plan comes to choose another
    "serve llama-3.1-70b --hardware 4xh100 --dtype fp8",
    "serve llama-3.1-405b --hardware 16xh100 --dtype fp8",
    "serve llama-3.1-405b --hardware 16xh100 --dtype fp8 --engine sglang",
    "serve llama-3.1-405b --hardware 16xh100 --dtype fp8 --engine trtllm",
    "serve qwen3-235b-a22b --hardware 8xh200 --kv-dtype fp8 --attention-dp 8 --ep 8 --engine trtllm",
    "serve llama-3.1-70b --hardware 4xh200 --dtype fp8 --prefill-workers 3 --prefill-tp 1 --engine vllm",
    f"{APART} --engine vllm",
    "serve qwen3-235b-a22b --hardware 8xh200 --dtype fp8_tensor --batch 904 --attention-dp 4 --ep 8 --prefill-workers 2"
    " --prefill-tp 2 --workers 2 --engine sglang",
    f"{APART} --engine trtllm",
    REPLICAS,
    "train llama-3.1-8b --tokens 100B --hardware 16xh100 --seq 4k --engine megatron",
    "train llama-3.1-8b --tokens 100B --hardware 4xh100 --seq 4k --engine fsdp",
    "train llama-3.1-8b --tokens 100B --hardware 16xh100 --seq 4k --engine torchtitan",
)
NO_MANIFEST = ("405b --hardware 16xh100 --dtype fp8 --engine trtllm",)
"""What starts by MPI on several nodes."""


def files() -> list[dict[str, Any]]:
    out = []
    for emit in ("slurm", "k8s"):
        for asked in ASKED:
            if emit == "k8s" and any(name in asked for name in NO_MANIFEST):
                continue
            if asked == REPLICAS:
                text = f"{replicated(emit)}\n"
            else:
                end = here(*asked.split(), "--emit", emit)
                assert end.code == 0, (asked, end.err)
                text = end.out
            out.append({"asked": f"{asked} --emit {emit}", "text": text})
    return out


def replicated(emit: str) -> str:
    """Replicas, which only a plan counts, for a choice that stays what it is."""
    inputs = {"tp": 2, "pp": 1, "ep": 1, "attention_dp": 1, "hardware": "h100", "engine": "vllm", "prompt": 1024, "output": 1024}
    return printed(emit, load("qwen3-32b"), None, inputs, {"batch": 58, "dtype": "fp8_tensor"}, None, "NVIDIA", 7)


@pytest.fixture(scope="module")
def now() -> dict[str, str]:
    return {row["asked"]: row["text"] for row in files()}


def recorded(what: str, now: dict[str, str]) -> list[dict[str, Any]]:
    """What was said of the files, which are those that are printed now."""
    rows: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))[what]["files"]
    assert {row["asked"]: row["text"] for row in rows} == {
        asked: text for asked, text in now.items() if f"--emit {what}" in asked
    }, "run tests/oracle/clusters.py again"
    return rows


def test_slurm_runs_the_scripts(now: dict[str, str]) -> None:
    """Neither bash nor ShellCheck warns; the scheduler takes them; every command runs, with at least eight cores for each GPU of
    its node.
    """
    for row in recorded("slurm", now):
        said = row["said"]
        assert (said["bash"], said["shellcheck"], said["code"], said["output"]) == ("", "", 0, ""), row["asked"]
        asks = dict(re.findall(r"#SBATCH --(\S+?)=(\S+)", row["text"]))
        nodes, gpus = int(asks["nodes"]), int(asks["gpus-per-node"])
        assert {one["SLURMD_NODENAME"] for one in said["ran"]} == {f"gpu{number}" for number in range(1, nodes + 1)}
        assert all(int(one["SLURM_CPUS_ON_NODE"]) >= 8 * gpus for one in said["ran"]), row["asked"]
        if "#SBATCH --exclusive" not in row["text"] or nodes > 1:
            continue
        assert {one["SLURM_CPUS_ON_NODE"] for one in said["ran"]} == {"64"}  # all of the node's


def test_workers_of_both_kinds_share_out_the_gpus_and_the_router_finds_each(now: dict[str, str]) -> None:
    found = 0
    for row in recorded("slurm", now):
        said = [one for one in row["said"]["ran"] if "--port" in one["words"] and "router" not in " ".join(one["words"])]
        if "prompts on" not in row["text"]:
            continue
        seen: dict[str, tuple[str, set[int]]] = {}
        for one in said:  # of TensorRT-LLM each of a worker's tasks
            at = f"{one['SLURMD_NODENAME']}:{one['words'][one['words'].index('--port') + 1]}"
            seen[at] = one["SLURMD_NODENAME"], {int(number) for number in one["CUDA_VISIBLE_DEVICES"].split(",")}
        for node in {node for node, _ in seen.values()}:
            sets = [gpus for of, gpus in seen.values() if of == node]
            assert sum(map(len, sets)) == len(set().union(*sets)) <= 8  # no GPU has two workers
        routed = re.findall(r"(gpu\d:\d+)", " ".join(" ".join(one["words"]) for one in row["said"]["ran"] if one not in said))
        if "trtllm" not in row["asked"]:  # whose router reads a file
            assert sorted(routed) == sorted(seen), row["asked"]
        found += 1
    assert found == 4


def test_manifests_are_kubernetes(now: dict[str, str]) -> None:
    for row in recorded("k8s", now):
        assert [one for one in row["said"] if one["wrong"] is not None] == [], row["asked"]
    kinds = {one["kind"] for row in recorded("k8s", now) for one in row["said"]}
    assert kinds == {"Deployment", "Service", "StatefulSet", "LeaderWorkerSet", "Job"}


@pytest.mark.parametrize("name", ["01-ai/Yi 34B", "x" * 39 + "-y", "GPT-2 (small)", "3"])
def test_names_are_those_of_a_service(name: str) -> None:
    """A label of RFC 1035, which a Service's name must be, with room for what is put behind it."""
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", named(name)) and len(f"{named(name)}-prefill-10") <= 63


if __name__ == "__main__":
    json.dump(files(), sys.stdout)
