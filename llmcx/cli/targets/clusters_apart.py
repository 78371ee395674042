"""Clusters: a server whose prompts are worked off on GPUs of their own, as a script for Slurm or as Kubernetes' manifests."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from llmcx.cli.targets.clusters import IMAGES, container, named, resource_of, written

if TYPE_CHECKING:
    from llmcx.cli.emitting_apart import Pair, Worker


def slurm(pair: Pair, workers: Sequence[Worker], many: int) -> str:
    """A batch script: a step for each worker, which shares its node with others and sees GPUs of its own; the router last."""
    from llmcx.cli.emitting_apart import filled, headed, line_of, router

    each = max(worker.gpus.stop for worker in workers)
    tasks = each if pair.engine == "trtllm" else 1
    head = ["#!/bin/bash", f"#SBATCH --job-name={pair.name}", f"#SBATCH --nodes={many}", f"#SBATCH --ntasks-per-node={tasks}"]
    # whole nodes, of which GPUs are numbered from 0
    lines = [*head, f"#SBATCH --gpus-per-node={each}", "#SBATCH --exclusive", *pair.comments]
    for node in range(many):
        lines.append(f'NODE{node}=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n {node + 1}p)')
    lines += written(pair.files)
    for node in range(many):
        lines += headed(pair, workers, many, node)
        for worker in workers:
            if worker.node == node:
                lines.append(_step(pair, worker, *line_of(pair, worker, f'"$NODE{node}"', True)))
    files, line = router(pair, workers, [f"$NODE{worker.node}" for worker in workers])
    return "\n".join([*lines, *filled(files), line])


def _step(pair: Pair, worker: Worker, before: Sequence[str], line: str) -> str:
    """A worker's step of the job."""
    tasks = len(worker.gpus) if pair.engine == "trtllm" else 1
    words = ["srun", *(["--mpi=pmix"] if pair.engine == "trtllm" else []), "--overlap", "--nodes=1", f"--ntasks={tasks}"]
    seen = f"CUDA_VISIBLE_DEVICES={','.join(map(str, worker.gpus))}"
    words += [
        f'--nodelist="$NODE{worker.node}"',
        "env",
        seen,
        *before,
        *(["trtllm-llmapi-launch"] if pair.engine == "trtllm" else []),
    ]
    return f"{' '.join(words)} {line} &"


def kubernetes(pair: Pair, vendor: str) -> str:
    """Manifests: workers of each kind in a StatefulSet, whose pods the router finds by name; its own Deployment and Service."""
    from llmcx.cli.emitting_apart import ROUTES, WORKS, Worker, line_of, router

    resource, name = resource_of(vendor), named(pair.name)
    image, port = IMAGES[pair.engine], ROUTES[pair.engine]
    lines = [*pair.comments]
    workers: list[Worker] = []
    hosts: list[str] = []
    for number, half in enumerate((pair.prefill, pair.decode)):
        one, of = Worker(half, number, 0, range(half.gpus)), f"{name}-{half.role}"
        before, line = line_of(pair, one, "$(POD_IP)", True)
        environment: dict[str, str | None] = {"POD_IP": None} if before else {}
        environment |= dict(each.split("=", 1) for each in before)
        at = WORKS[pair.engine] + number
        pod = container(of, image, _words(line, half.files), half.gpus, resource, at, "      ", environment)
        lines += [*_set(of, half.number), *pod, "---", *_service(of, at, headless=True), "---"]
        workers += [one] * half.number
        hosts += [f"{of}-{pod_number}.{of}" for pod_number in range(half.number)]
    files, line = router(pair, workers, hosts)
    words = _words(line, files)
    if pair.engine == "vllm":  # whose image has no router
        words = ["bash", "-c", f"pip install vllm-router && exec {line}"]
    lines += ["apiVersion: apps/v1", "kind: Deployment", f"metadata: {{name: {name}}}", "spec:", "  replicas: 1"]
    lines += [*_template(name), *container(name, image, words, 0, resource, port, "      ")]
    return "\n".join([*lines, "---", *_service(name, port)])


def _words(line: str, files: Mapping[str, str]) -> list[str]:
    """A command, in a shell where it needs files."""
    return ["bash", "-c", "\n".join([*written(files), f"exec {line}"])] if files else shlex.split(line)


def _set(name: str, number: int) -> Iterator[str]:
    """So many pods, each with a name of its own, all started at once."""
    yield from ("apiVersion: apps/v1", "kind: StatefulSet", f"metadata: {{name: {name}}}", "spec:", f"  serviceName: {name}")
    yield from (f"  replicas: {number}", "  podManagementPolicy: Parallel")
    yield from _template(name)


def _template(name: str) -> Iterator[str]:
    yield from (f"  selector: {{matchLabels: {{app: {name}}}}}", "  template:", f"    metadata: {{labels: {{app: {name}}}}}")
    yield "    spec:"


def _service(name: str, port: int, headless: bool = False) -> Iterator[str]:
    """A Service; ``headless``: by which pods are found by their own names, before they are ready."""
    yield from ("apiVersion: v1", "kind: Service", f"metadata: {{name: {name}}}", "spec:")
    if headless:
        yield from ("  clusterIP: None", "  publishNotReadyAddresses: true")
    yield from (f"  selector: {{app: {name}}}", f"  ports: [{{port: {port}, targetPort: {port}}}]")
