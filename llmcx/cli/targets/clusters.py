"""Clusters: a launch line as a batch script for Slurm or as a manifest for Kubernetes, and the line that such a file holds."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llmcx.cli.launching import bad
from llmcx.cli.targets.launcher import PER_NODE, nodes
from llmcx.errors import InputError, shown

RESOURCES = {"NVIDIA": "nvidia.com/gpu", "AMD": "amd.com/gpu", "Intel": "gpu.intel.com/xe"}
"""What a container asks Kubernetes for, by the vendor of the accelerator."""
IMAGES = {
    "vllm": "vllm/vllm-openai:latest",
    "sglang": "lmsysorg/sglang:latest",
    "trtllm": "nvcr.io/nvidia/tensorrt-llm/release:latest",
    "llama.cpp": "ghcr.io/ggml-org/llama.cpp:server-cuda",
}
TRAINS = "nvcr.io/nvidia/pytorch:26.01-py3"
PORTS = {"vllm": 8000, "sglang": 30000, "trtllm": 8000, "llama.cpp": 8080}
SHARED = "16Gi"
"""Of the host's memory, which processes of one pod share: the usual 64 MiB is too little for NCCL."""
FIRST = 'MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)\nexport MASTER_ADDR'
CORES = 8
"""Of the host for each GPU, on a part of a node. A task gets one in all where a script does not ask."""


class Line(NamedTuple):
    """A launch line as targets write it: comments, files that it names, the line itself, variables that are set before it."""

    comments: list[str]
    files: dict[str, str]
    line: str
    before: Sequence[str] = ()


def parted(text: str) -> Line:
    """Comments and line of what a target wrote."""
    lines = text.splitlines()
    comments, before = ([each for each in lines if each.startswith(start)] for start in ("#", "export "))
    return Line(comments, {}, "\n".join(each for each in lines if each not in (*comments, *before)), before)


def written(files: Mapping[str, str]) -> Iterator[str]:
    """Files, written where the line is run."""
    for name, content in files.items():
        yield f"cat > {name} <<'END'\n{content}\nEND"


def slurm(name: str, of: Line, gpus: int, engine: str | None = None) -> str:
    """A batch script; ``engine``: the server that it starts, None where it trains. Raises InputError for what spans no nodes."""
    many, each = nodes(gpus)
    tasks = each if engine == "trtllm" and many > 1 else 1
    head = ["#!/bin/bash", f"#SBATCH --job-name={name}", f"#SBATCH --nodes={many}", f"#SBATCH --ntasks-per-node={tasks}"]
    head += [f"#SBATCH --gpus-per-node={each}", cores(each), *of.comments, *of.before, *written(of.files)]
    if many == 1:
        return "\n".join([*head, f"srun {of.line}"])
    if engine is None:
        return "\n".join([*head, FIRST, 'export RUN_ID="$SLURM_JOB_ID"', f"srun {of.line}"])
    return "\n".join([*head, FIRST, _spanning(of.line, engine, many, each)])


def cores(gpus: int) -> str:
    """What of the host's processor a job gets with so many GPUs of a node: all of it with all of them."""
    return "#SBATCH --exclusive" if gpus == PER_NODE else f"#SBATCH --cpus-per-gpu={CORES}"


def _spanning(line: str, engine: str, many: int, each: int) -> str:
    """A server's line on several nodes."""
    if engine == "trtllm":
        return f"srun --mpi=pmix trtllm-llmapi-launch {line}"
    if engine == "sglang":
        ranked = _ranked(line, many, '"$SLURM_NODEID"', '"$MASTER_ADDR:20000"')
        return f"srun bash -c {shlex.quote(ranked)}"
    return "srun " + _by_ray(line, engine, many, each, '"$MASTER_ADDR:6379"', "slurm")


def _ranked(line: str, many: int, rank: str, first: str) -> str:
    """SGLang's line, which each node runs with its own ``rank``, and the address of the ``first``."""
    return f"{line} --nnodes {many} --node-rank {rank} --dist-init-addr {first}"


def _by_ray(line: str, engine: str, many: int, each: int, first: str, emit: str) -> str:
    """vLLM's line, which Ray runs once on nodes that all start it so. Raises InputError for what it does not run."""
    if engine == "vllm" and "--data-parallel-size" not in line:
        ray = f"ray symmetric-run --address {first} --min-nodes {many} --num-gpus {each} --"
        return f"{ray} {line} --distributed-executor-backend ray"
    what = "vLLM's data-parallel groups" if engine == "vllm" else engine
    problem = f"{what} on {many * each} GPUs need a line of their own on each node, which --emit {emit} does not have"
    problem += "; --emit slurm does" if engine == "trtllm" else ""
    raise InputError(problem, field="emit", value=emit)


def kubernetes(name: str, of: Line, gpus: int, vendor: str, engine: str | None = None, replicas: int = 1) -> str:
    """Manifests: a Deployment of ``replicas`` and a Service of a server; a Job where ``engine`` is None, on several nodes with a
    Service by which its pods find the first one.
    """
    resource, safe = resource_of(vendor), named(name)
    if engine is not None and gpus > PER_NODE:
        return "\n".join([*of.comments, *_group(safe, of, gpus, resource, engine, replicas)])
    if engine is not None:
        return "\n".join([*of.comments, *_server(safe, of, gpus, resource, engine, replicas)])
    return "\n".join([*of.comments, *_job(safe, of, gpus, resource)])


def resource_of(vendor: str) -> str:
    """What a container asks for. Raises InputError where that is not known."""
    if vendor not in RESOURCES:
        problem = f"what a container asks for {vendor}'s accelerators is not known; --emit slurm, or NVIDIA's, AMD's or Intel's"
        raise InputError(problem, field="emit", value="k8s")
    return RESOURCES[vendor]


def named(name: str) -> str:
    """A name as Kubernetes takes it, of a Service too: letters, digits and dashes, a letter first."""
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return safe if safe[:1].isalpha() else f"model-{safe}".strip("-")


def _server(name: str, of: Line, gpus: int, resource: str, engine: str, replicas: int) -> list[str]:
    port = PORTS[engine]
    words = [*shlex.split(of.line), "--host", "0.0.0.0", "--port", str(port)]
    words = ["bash", "-c", "\n".join([*written(of.files), f"exec {shlex.join(words)}"])] if of.files else words
    lines = ["apiVersion: apps/v1", "kind: Deployment", f"metadata: {{name: {name}}}", "spec:", f"  replicas: {replicas}"]
    lines += [f"  selector: {{matchLabels: {{app: {name}}}}}", "  template:", f"    metadata: {{labels: {{app: {name}}}}}"]
    lines += ["    spec:", *container(name, IMAGES[engine], words, gpus, resource, port, "      ")]
    lines += ["---", "apiVersion: v1", "kind: Service", f"metadata: {{name: {name}}}", "spec:", f"  selector: {{app: {name}}}"]
    return [*lines, f"  ports: [{{port: {port}, targetPort: {port}}}]"]


LEADER = "$(LWS_LEADER_ADDRESS)"
"""The first pod of a group, as LeaderWorkerSet tells each."""


def _group(name: str, of: Line, gpus: int, resource: str, engine: str, replicas: int) -> list[str]:
    """A LeaderWorkerSet: groups of pods, one on each node, started and ended together; a Service finds the first of each."""
    many, each = nodes(gpus)
    port = PORTS[engine]
    line = f"{of.line} --host 0.0.0.0 --port {port}"
    if engine == "sglang":
        line = _ranked(line, many, "$(LWS_WORKER_INDEX)", f"{LEADER}:20000")
    else:
        line = _by_ray(line, engine, many, each, f"{LEADER}:6379", "k8s")
    lines = ["apiVersion: leaderworkerset.x-k8s.io/v1", "kind: LeaderWorkerSet", f"metadata: {{name: {name}}}", "spec:"]
    lines += [f"  replicas: {replicas}", "  leaderWorkerTemplate:", f"    size: {many}"]
    for template, listens in (("leaderTemplate", port), ("workerTemplate", None)):
        lines += [f"    {template}:", "      spec:"]
        lines += container(name, IMAGES[engine], shlex.split(line), each, resource, listens, "        ")
    lines += ["---", "apiVersion: v1", "kind: Service", f"metadata: {{name: {name}}}", "spec:", "  selector:"]
    lines += [f"    leaderworkerset.sigs.k8s.io/name: {name}", '    leaderworkerset.sigs.k8s.io/worker-index: "0"']
    return [*lines, f"  ports: [{{port: {port}, targetPort: {port}}}]"]


def _job(name: str, of: Line, gpus: int, resource: str) -> list[str]:
    many, each = nodes(gpus)
    script = "\n".join([*of.before, *written(of.files), of.line])
    lines = []
    if many > 1:
        lines += ["apiVersion: v1", "kind: Service", f"metadata: {{name: {name}}}"]
        lines += ["spec:", "  clusterIP: None", f"  selector: {{job-name: {name}}}", "---"]
    lines += ["apiVersion: batch/v1", "kind: Job", f"metadata: {{name: {name}}}", "spec:", "  backoffLimit: 0"]
    lines += [f"  completions: {many}", f"  parallelism: {many}", "  completionMode: Indexed", "  template:", "    spec:"]
    lines += ["      restartPolicy: Never", *([f"      subdomain: {name}"] if many > 1 else [])]
    first = {"MASTER_ADDR": f"{name}-0.{name}", "RUN_ID": name} if many > 1 else {}
    return [*lines, *container(name, TRAINS, ["bash", "-c", script], each, resource, None, "      ", first)]


def container(
    name: str,
    image: str,
    words: Sequence[str],
    gpus: int,
    resource: str,
    port: int | None,
    at: str,
    environment: Mapping[str, str | None] = {},
) -> Iterator[str]:
    """The pod's containers and volumes, in lines that begin ``at``; texts as JSON writes them, which is YAML too. A variable
    without a value is the pod's address.
    """
    yield f"{at}containers:"
    yield f"{at}  - name: {name}"
    yield f"{at}    image: {image}"
    if words[:2] == ["bash", "-c"]:
        yield f'{at}    command: ["bash", "-c"]'
        yield f"{at}    args:"
        yield f"{at}      - |"
        yield from (f"{at}        {line}".rstrip() for line in words[2].splitlines())
    else:
        yield f"{at}    command: {json.dumps(list(words), ensure_ascii=False)}"
    if environment:
        yield f"{at}    env:"
        yield from (f"{at}      - {{name: {key}, {_valued(value)}}}" for key, value in environment.items())
    if port is not None:
        yield f"{at}    ports: [{{containerPort: {port}}}]"
        yield f"{at}    readinessProbe: {{httpGet: {{path: /health, port: {port}}}, periodSeconds: 10, failureThreshold: 180}}"
    if not gpus:
        return
    yield f"{at}    resources: {{limits: {{{resource}: {gpus}}}}}"
    yield f"{at}    volumeMounts: [{{name: shm, mountPath: /dev/shm}}]"
    yield f"{at}volumes: [{{name: shm, emptyDir: {{medium: Memory, sizeLimit: {SHARED}}}}}]"


def _valued(value: str | None) -> str:
    return "valueFrom: {fieldRef: {fieldPath: status.podIP}}" if value is None else f"value: {json.dumps(value)}"


# --- the way back ------------------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """What a cluster's file holds: a shell's text, and all GPUs that are asked for, where that is said."""

    text: str
    gpus: int | None = None


_HERE = re.compile(r"^[ \t]*cat[ \t]*>[ \t]*(\S+)[ \t]*<<-?[ \t]*(['\"]?)(\w+)\2[ \t]*\n(.*?)\n[ \t]*\3[ \t]*$", re.M | re.S)
_SBATCH = re.compile(r"^[ \t]*#SBATCH[ \t]+(.*?)[ \t\r]*$", re.M)


def here_documents(text: str) -> tuple[str, dict[str, str]]:
    """A script without the files that it writes, and these.

    >>> here_documents("cat > a.toml <<'END'\\n[model]\\nEND\\nrun a.toml")
    ('\\nrun a.toml', {'a.toml': '[model]'})
    """
    files = {match[1].strip("'\""): match[4] for match in _HERE.finditer(text)}
    return _HERE.sub("", text), files


def batch_script(text: str) -> Held:
    """A script with the GPUs that its #SBATCH lines ask for."""
    stated: dict[str, str] = {}
    for options in _SBATCH.findall(text):
        words = shlex.split(options, comments=True)
        for at, word in enumerate(words):
            name, equals, value = word.partition("=")
            if word.startswith("-") and not equals and at + 1 < len(words):
                value = words[at + 1]
            stated[{"-N": "--nodes", "-n": "--ntasks", "-G": "--gpus"}.get(name, name)] = value
    each = _gpus(stated)
    if each is None:
        return Held(text)
    if "--gpus" in stated and "--gpus-per-node" not in stated and "--gres" not in stated:
        return Held(text, each)
    many = stated.get("--nodes", "1").rpartition("-")[2]
    if not many.isdecimal() or not 1 <= int(many) < 10**6:
        raise bad(f"#SBATCH --nodes is {shown(many)}, but must be a whole number of at least 1", many)
    return Held(text, int(many) * each)


def _gpus(stated: Mapping[str, str]) -> int | None:
    """GPUs of a node, or of all where only those are said: 8, h100:8, gpu:h100:8."""
    for name in ("--gpus-per-node", "--gres", "--gpus"):
        value = stated.get(name)
        if value is None or (name == "--gres" and not value.startswith("gpu")):
            continue
        number = value.split(",")[0].rpartition(":")[2]
        number = "1" if number == "gpu" else number
        if not number.isdecimal() or not 1 <= int(number) < 10**6:
            raise bad(f"#SBATCH {name} is {shown(value)}, but must end in a whole number of at least 1", value)
        return int(number)
    return None


def manifest(documents: Sequence[Any], comments: str) -> Held:
    """The commands of Kubernetes' manifests that run on GPUs; ``comments``: those of the file, which may ask.

    Of several containers with GPUs each is as many lines as it has pods, which see the GPUs of one.
    """
    found = [each for document in documents for each in _containers(_one_of_group(document))]
    with_gpus = [each for each in found if each[1]]
    chosen = with_gpus or found
    if not chosen:
        raise bad("the manifest has no container, so it launches nothing")
    if len(chosen) > 1 and not with_gpus:
        names = ", ".join(str(container.get("name", "?")) for container, *_ in chosen[:4])
        raise bad(f"the manifest has {len(chosen)} containers ({names}); check one at a time")
    if len(chosen) == 1:
        container, gpus, copies = chosen[0]
        environment = [f"export {each['name']}={shlex.quote(str(each['value']))}" for each in _env(container)]
        return Held("\n".join([comments, *environment, _line(container)]), gpus * copies if gpus else None)
    lines = [comments]
    for document in documents:
        pods = _pods(document)
        for container, gpus, _ in _containers(_one_of_group(document)):
            line = _line(container)
            seen = f"export CUDA_VISIBLE_DEVICES={','.join(map(str, range(gpus)))}" if gpus else ""
            lines += [seen, line] * (pods if gpus else 1)
    return Held("\n".join(lines))


def _one_of_group(document: Any) -> Any:
    """A LeaderWorkerSet as what one of its pods runs, as often as a group has pods; what is none of them as it is."""
    spec = document.get("spec") if isinstance(document, Mapping) else None
    of = spec.get("leaderWorkerTemplate") if isinstance(spec, Mapping) else None
    if not isinstance(of, Mapping):
        return document
    return {"parallelism": of.get("size", 1), "template": of.get("leaderTemplate", of.get("workerTemplate"))}


def _pods(document: Any) -> int:
    """How many of its pods run."""
    spec = document.get("spec") if isinstance(document, Mapping) else None
    many = spec.get("replicas", 1) if isinstance(spec, Mapping) else 1
    if not isinstance(many, int) or isinstance(many, bool) or not 0 <= many < 10**4:
        raise bad(f"replicas is {shown(many)}, but must be a whole number", str(many))
    return many


def _line(container: Mapping[str, Any]) -> str:
    """What a container runs, as a shell has it."""
    words = [*_texts(container, "command"), *_texts(container, "args")]
    if not words or not _texts(container, "command"):
        words = ["docker", "run", str(container.get("image", "")), *words]
    if words[:2] == ["bash", "-c"] and len(words) == 3:
        return words[2]
    line = " ".join(shlex.quote(re.sub(r"\$\((\w+)\)", r"${\1}", word)) for word in words)
    return re.sub(r"'(\$\{\w+\})'", r"\1", line)


def _env(container: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = container.get("env") or []
    return [each for each in listed if isinstance(each, Mapping) and "name" in each and "value" in each]


def _texts(container: Mapping[str, Any], name: str) -> list[str]:
    value = container.get(name) or []
    if not isinstance(value, list):
        raise bad(f"{name} of a container is {shown(value)[:60]}, but must be a list of texts")
    return [str(each) for each in value]


def _containers(of: Any, copies: int = 1) -> Iterator[tuple[Mapping[str, Any], int, int]]:
    """Containers, wherever they stand, with their GPUs and how many pods run them as one job."""
    if isinstance(of, Mapping):
        many = of.get("parallelism") if isinstance(of.get("parallelism"), int) else of.get("completions")
        copies = many if isinstance(many, int) and not isinstance(many, bool) and many > 0 else copies
        for name, value in of.items():
            if name == "containers" and isinstance(value, list):
                for each in value:
                    if isinstance(each, Mapping):
                        yield each, _limit(each), copies
            else:
                yield from _containers(value, copies)
    elif isinstance(of, list):
        for each in of:
            yield from _containers(each, copies)


def _limit(container: Mapping[str, Any]) -> int:
    resources = container.get("resources")
    for kind in ("limits", "requests"):
        sizes = resources.get(kind) if isinstance(resources, Mapping) else None
        for name, value in sizes.items() if isinstance(sizes, Mapping) else ():
            if str(name).endswith(("/gpu", "/xe")) or name in RESOURCES.values():
                if not str(value).isdecimal():
                    raise bad(f"{name} is {shown(value)}, but must be a whole number", str(value))
                return int(value)
    return 0
