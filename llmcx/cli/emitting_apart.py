"""The launch lines of a server whose prompts are worked off on GPUs of their own: workers of both kinds, and the router.

As the engines' own documentation starts them: SGLang's PD disaggregation (docs/advanced_features/pd_disaggregation.md), vLLM's
NixlConnector (docs/features/nixl_connector_usage.md) behind vllm-router, TensorRT-LLM's `trtllm-serve disaggregated`
(docs/source/features/disagg-serving.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llmcx.answers.load import Apart
from llmcx.cli.emitting import launched
from llmcx.cli.targets import clusters_apart
from llmcx.cli.targets.clusters import written
from llmcx.cli.targets.launcher import PER_NODE
from llmcx.engines.serving_time import Setup
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec

ROUTES = {"vllm": 8000, "sglang": 30000, "trtllm": 8000}
"""The router's port."""
WORKS = {"vllm": 8100, "sglang": 30100, "trtllm": 8100}
"""The first worker's; each has one of its own, by which its kind is told."""
SIDE, BOOT = 5600, 8998
"""The first port of vLLM's handshakes, of which a worker takes one for each group that attends; of SGLang's bootstrap server."""
WAITED = 3600
"""Seconds in which the workers must have loaded the model."""


class Half(NamedTuple):
    """``number`` workers on ``gpus`` each that have the same ``line`` and ``files``; they "prefill" or "decode"."""

    role: str
    number: int
    gpus: int
    line: str
    files: Mapping[str, str]


class Worker(NamedTuple):
    """One of a half: its number among all, the node it is on, its GPUs there."""

    half: Half
    number: int
    node: int
    gpus: range


class Pair(NamedTuple):
    """Both halves of a server of a model called ``name``; ``comments`` say what its lines cannot."""

    engine: str
    name: str
    comments: Sequence[str]
    prefill: Half
    decode: Half

    @property
    def gpus(self) -> int:
        return sum(half.number * half.gpus for half in (self.prefill, self.decode))

    @property
    def files(self) -> dict[str, str]:
        """That the workers' lines name."""
        return {**self.prefill.files, **self.decode.files}


def printed(emit: str, pair: Pair, vendor: str) -> str:
    """What --emit prints. Raises InputError for what the cluster's file does not say."""
    if emit == "k8s":
        return clusters_apart.kubernetes(pair, vendor)
    workers, many = placed(pair)
    return clusters_apart.slurm(pair, workers, many) if emit == "slurm" else "\n".join(script(pair, workers, many))


def paired(
    engine: str,
    spec: ModelSpec,
    source: str | None,
    inputs: Mapping[str, Any],
    given: Mapping[str, Any],
    apart: Apart,
    comments: Sequence[str],
) -> Pair:
    """Both halves, laid out as they are timed. Raises InputError for what the engine does not say."""
    if engine not in ROUTES:
        problem = f"{engine} does not hand a prompt's cache on; --prefill-workers is for {', '.join(ROUTES)}"
        raise InputError(problem, field="prefill_workers", value=apart.prefill_workers)
    if inputs.get("pp", 1) > 1:
        raise InputError("how stages hand a cache on is not known; leave --pp out", field="pp", value=inputs["pp"])
    decodes = Setup(inputs["tp"], inputs["ep"], attention_dp=inputs["attention_dp"])
    halves = []
    for role, number, setup in (
        ("prefill", apart.prefill_workers, apart.prompts(decodes)),
        ("decode", apart.workers, decodes),
    ):
        if setup.tp > PER_NODE:
            problem = (
                f"a worker on {setup.tp:,} GPUs spans nodes of {PER_NODE}, which needs a line on each; give at most {PER_NODE}"
            )
            raise InputError(problem, field="tp" if role == "decode" else "prefill_tp", value=setup.tp)
        layout = {**inputs, "tp": setup.tp, "ep": setup.ep, "attention_dp": setup.attention_dp}
        limits = given if role == "decode" else {**given, "max_num_seqs": None}
        files, line = launched(engine, spec, source, layout, limits, f"{role}.yaml", _settings(engine, role, inputs["prompt"]))
        halves.append(Half(role, number, setup.tp, line, files))
    return Pair(engine, spec.name, comments, *halves)


def _settings(engine: str, role: str, prompt: int) -> list[str]:
    """Those of TensorRT-LLM's workers that have no flag: the buffer holds a prompt; workers for prompts have no overlap."""
    if engine != "trtllm":
        return []
    of = ["disable_overlap_scheduler: true"] if role == "prefill" else []
    return [*of, f"cache_transceiver_config: {{backend: DEFAULT, max_tokens_in_buffer: {prompt}}}"]


def placed(pair: Pair) -> tuple[list[Worker], int]:
    """Each worker on a node of eight GPUs, the largest first, and how many nodes those are; as evenly as they go."""
    halves = [half for half in (pair.prefill, pair.decode) for _ in range(half.number)]
    order = sorted(range(len(halves)), key=lambda at: -halves[at].gpus)
    nodes = -(-pair.gpus // PER_NODE)
    while True:
        for most in range(-(-pair.gpus // nodes), PER_NODE + 1):
            filled, where = [0] * nodes, {}
            for at in order:
                node = next((node for node in range(nodes) if filled[node] + halves[at].gpus <= most), None)
                if node is None:
                    break
                where[at] = node, range(filled[node], filled[node] + halves[at].gpus)
                filled[node] += halves[at].gpus
            if len(where) == len(halves):
                return [Worker(half, at, *where[at]) for at, half in enumerate(halves)], nodes
        nodes += 1


def line_of(pair: Pair, worker: Worker, host: str | None, listens: bool) -> tuple[list[str], str]:
    """Variables that are set for a worker's line, and the line; ``host``: its node's address where others reach it by that,
    None on one node; ``listens`` on all addresses.
    """
    half, port = worker.half, WORKS[pair.engine] + worker.number
    before, words = [], [half.line]
    if listens and pair.engine != "vllm":  # which does so by itself
        words.append("--host 0.0.0.0")
    words.append(f"--port {port}")
    if pair.engine == "vllm":
        before += [f"VLLM_NIXL_SIDE_CHANNEL_HOST={host}"] if host is not None else []
        before.append(f"VLLM_NIXL_SIDE_CHANNEL_PORT={SIDE + PER_NODE * worker.number}")
        role = "kv_producer" if half.role == "prefill" else "kv_consumer"
        transfer = json.dumps({"kv_connector": "NixlConnector", "kv_role": role}, separators=(",", ":"))
        words.append(f"--kv-transfer-config '{transfer}'")
    elif pair.engine == "sglang":
        words.append(f"--disaggregation-mode {half.role} --disaggregation-transfer-backend nixl")
        words += [f"--disaggregation-bootstrap-port {BOOT + worker.number}"] if half.role == "prefill" else []
    return before, " ".join(words)


def router(pair: Pair, workers: Sequence[Worker], hosts: Sequence[str]) -> tuple[dict[str, str], str]:
    """The files that the router's line names, and the line; ``hosts``: the address of each worker."""
    at = [(worker, f"{host}:{WORKS[pair.engine] + worker.number}") for worker, host in zip(workers, hosts, strict=True)]
    port = ROUTES[pair.engine]
    if pair.engine == "trtllm":
        lines = ["hostname: 0.0.0.0", f"port: {port}", "backend: pytorch"]
        for name, role in (("context_servers", "prefill"), ("generation_servers", "decode")):
            urls = [f'"{url}"' for worker, url in at if worker.half.role == role]
            lines += [f"{name}:", f"  num_instances: {len(urls)}", f"  urls: [{', '.join(urls)}]"]
        return {"disagg.yaml": "\n".join(lines)}, f"trtllm-serve disaggregated -c disagg.yaml -t {WAITED}"
    words = ["vllm-router --vllm-pd-disaggregation"]
    if pair.engine == "sglang":
        words = ["python3 -m sglang_router.launch_router --pd-disaggregation"]
    for worker, url in at:
        boot = f" {BOOT + worker.number}" if pair.engine == "sglang" and worker.half.role == "prefill" else ""
        address = f'"http://{url}"' if "$" in url else f"http://{url}"
        words.append(f"--{worker.half.role} {address}{boot}")
    return {}, " ".join([*words, f"--host 0.0.0.0 --port {port} --worker-startup-timeout-secs {WAITED}"])


def headed(pair: Pair, workers: Sequence[Worker], many: int, node: int) -> Iterator[str]:
    """What a node runs, in words."""
    if many > 1:
        yield f"# on node {node + 1} of {many}, whose address is NODE{node}"
    for half in (pair.prefill, pair.decode):
        there = sum(worker.node == node and worker.half is half for worker in workers)
        what = ("for prompts" if half.role == "prefill" else "to decode") + f" on {half.gpus} GPU{'s' * (half.gpus > 1)}"
        if there:
            yield f"# {there} worker{'s' * (there > 1)} {what}{' each' * (there > 1)}"


def script(pair: Pair, workers: Sequence[Worker], many: int) -> Iterator[str]:
    """Lines for a shell: all workers and the router of one node; of several nodes, what each of them runs."""
    yield from pair.comments
    for node in range(many):
        yield from headed(pair, workers, many, node)
        yield from written(pair.files)
        for worker in workers:
            if worker.node == node:
                before, line = line_of(pair, worker, f'"$NODE{node}"' if many > 1 else None, many > 1)
                seen = f"CUDA_VISIBLE_DEVICES={','.join(map(str, worker.gpus))}"
                yield f"{' '.join([seen, *before])} {line} &"
    files, line = router(pair, workers, [f"$NODE{worker.node}" if many > 1 else "127.0.0.1" for worker in workers])
    if many > 1:
        yield "# on node 1: the router"
    yield from filled(files)
    yield line


def filled(files: Mapping[str, str]) -> list[str]:
    """Files in which the shell fills in the addresses of nodes."""
    return [f"cat > {name} <<END\n{content}\nEND" for name, content in files.items()]
