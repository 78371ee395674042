"""The way out: the launch line of an engine for what `llmcx serve` was asked, which `llmcx check` reads back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmcx.answers.check import SPELT
from llmcx.answers.load import Apart
from llmcx.answers.plan_ways import ENGINES
from llmcx.cli.targets import clusters
from llmcx.cli.targets.clusters import Line
from llmcx.engines.trtllm import TensorRTLLM
from llmcx.errors import InputError, unknown_name
from llmcx.model.spec import ModelSpec

if TYPE_CHECKING:
    from llmcx.answers.plan_serve import Choice

STARTS = {
    "vllm": "vllm serve {model}",
    "sglang": "python3 -m sglang.launch_server --model-path {model}",
    "trtllm": "trtllm-serve {model}",
    "llama.cpp": "llama-server -m {model}",
}
PLAIN = ("bf16", "fp16")
"""Formats that every engine loads the files of a release in."""
WRAPPED = ("slurm", "k8s")
"""Files of clusters, which run an engine's line."""
MADE = {"fp8": "fp8", "fp8_tensor": "fp8", "nf4": "bitsandbytes"}
"""Formats that vLLM and SGLang make of 16-bit files when they load them; others are of a checkpoint."""


def engine_of(emit: str, named: str | None) -> str:
    """The engine whose line is written. Raises InputError for one that has none, or another than the one asked about."""
    program = None if named is None else named.partition("@")[0]
    if emit in WRAPPED:
        if (program or "vllm") not in STARTS:
            raise InputError(f"--emit {emit} starts {', '.join(STARTS)}, and --engine is {named}", field="engine", value=named)
        return named or "vllm"
    if emit not in STARTS:
        raise unknown_name("launch line", emit, [*STARTS, *WRAPPED], field="emit")
    if program not in (None, emit):
        raise InputError(f"--emit {emit} and --engine {named} contradict each other; give one", field="emit", value=emit)
    return named or emit


def engines(emit: str, named: Sequence[str] | None) -> Sequence[str] | None:
    """The engines of a plan whose line is to be printed; None: all. Raises InputError for what is not planned."""
    if emit not in (*ENGINES, *WRAPPED):
        if emit in STARTS:
            problem = f"{emit} is not planned; `llmcx serve --emit {emit}` prints its line for what it is asked"
            raise InputError(problem, field="emit", value=emit, allowed=", ".join((*ENGINES, *WRAPPED)))
        raise unknown_name("launch line", emit, [*ENGINES, *WRAPPED], field="emit")
    if emit in WRAPPED or named is None:
        return named if emit in WRAPPED else [emit]
    return [engine_of(emit, each) for each in ([named] if isinstance(named, str) else named)]


def planned(
    emit: str,
    spec: ModelSpec,
    source: str | None,
    best: Sequence[Choice],
    asked: Mapping[str, Any],
    given: Mapping[str, Any],
    vendors: Mapping[str, str],
) -> str:
    """The line or file of the best choice that the engine's flags can say: of one replica, and how many there are.

    Raises InputError where nothing meets the objective, or no line says a choice.
    """
    if not best:
        problem = "nothing meets the objective, so there is no launch line; leave --emit out to see what comes near"
        raise InputError(problem, field="emit")
    refusals = []
    for one in best:
        inputs = {name: getattr(one, name) for name in ("tp", "pp", "ep", "attention_dp", "hardware", "engine")}
        inputs |= {name: asked[name] for name in ("prompt", "output")}
        own = spec.stored is not None and one.dtype == spec.stored.name
        more = {
            "batch": one.batch,
            "dtype": None if own else one.dtype,
            "draft": one.draft,
            "chunk": one.chunk,
            "cached": asked["cached"],
            **given,
        }
        try:
            return printed(emit, spec, source, inputs, more, one.apart, vendors[one.hardware], one.replicas)
        except InputError as refusal:  # what this engine's flags do not say, another choice may not need
            refusals.append(refusal)
    raise refusals[0]


def printed(
    emit: str,
    spec: ModelSpec,
    source: str | None,
    inputs: Mapping[str, Any],
    given: Mapping[str, Any],
    apart: Apart | None,
    vendor: str,
    replicas: int = 1,
) -> str:
    """What --emit prints for the engine and layout of ``inputs``; ``given``: what was stated of what else follows from the model
    and the engine. Raises InputError for what the engine's flags, or the cluster's file, do not say.
    """
    engine, gpus = str(inputs["engine"]).partition("@")[0], inputs["tp"] * inputs["pp"]
    for name in ("draft", "cached", "exact", "compute_dtype", "efficiency"):
        if given.get(name):
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} has no flag in a launch line of {engine}; leave it out", field=name)
    comments = [hint(inputs, given)]
    dtype = given.get("dtype")
    if (
        engine != "llama.cpp"
        and dtype not in (None, *PLAIN)
        and (engine == "trtllm" or spec.stored is not None or dtype not in MADE)
    ):
        comments.append(f"# the weights are in {dtype}: a checkpoint in it takes the place of the model's name")
    if apart is not None:
        from llmcx.cli import emitting_apart

        pair = emitting_apart.paired(engine, spec, source, inputs, given, apart, comments)
        return emitting_apart.printed(emit, pair, vendor)
    if replicas > 1:
        comments = [f"# one of {replicas:,} replicas, each on {gpus:,} GPU{'s' * (gpus > 1)} of its own", *comments]
    of = Line(comments, *launched(engine, spec, source, inputs, given))
    if emit == "slurm":
        return clusters.slurm(spec.name, of, gpus, engine)
    if emit == "k8s":
        return clusters.kubernetes(spec.name, of, gpus, vendor, engine, replicas)
    return "\n".join([*of.comments, *clusters.written(of.files), of.line])


def hint(inputs: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """The comment that asks :mod:`llmcx.cli.check` what a launch line cannot say."""
    asked = [f"--hardware {shlex.quote(str(inputs['hardware']))}"]
    asked += [f"--prompt {inputs['prompt']}", f"--output {inputs['output']}"]
    asked += [f"--{name} {given[name]}" for name in ("batch", "budget", "dtype") if given.get(name)]
    named = str(inputs.get("engine") or "")
    asked += [f"--engine {named}"] if "@" in named else []
    return f"# llmcx check: {' '.join(asked)}"


LIMITS = {"vllm": "--max-num-seqs", "sglang": "--max-running-requests", "trtllm": "--max_batch_size"}
"""What limits the sequences that an engine works for at a time; of vLLM and TensorRT-LLM those of a group that attends."""
MANY = 1 << 30
"""More than any number of users."""
CONFIG = "trtllm.yaml"
"""The file of TensorRT-LLM's settings that have no flag."""


def launched(
    engine: str,
    spec: ModelSpec,
    source: str | None,
    inputs: Mapping[str, Any],
    given: Mapping[str, Any],
    file: str = CONFIG,
    settings: Sequence[str] = (),
) -> tuple[dict[str, str], str]:
    """The files that a line of ``engine`` names, and the line; ``file``: where TensorRT-LLM's ``settings`` stand, with those that
    have no flag.
    """
    tp, ep, groups, pp = inputs["tp"], inputs["ep"], inputs["attention_dp"], inputs.get("pp", 1)
    if engine == "llama.cpp" and (tp > 1 or ep > 1):
        raise InputError("llama.cpp has no --tp; ask about one GPU", field="tp", value=tp)
    length = inputs["prompt"] + inputs["output"]
    most = given.get("max_num_seqs")
    users = min(given.get("batch") or most or 1, most or MANY)
    names = SPELT[engine]
    words = [STARTS[engine].format(model=shlex.quote(_model(spec, source, engine, given.get("dtype"))))]
    settings = [*settings]
    if engine == "vllm":
        words += [f"{names['--tp']} {tp // groups}"] if tp // groups > 1 else []
        words += [f"--data-parallel-size {groups}"] if groups > 1 else []
        if ep not in (1, tp):
            raise InputError(f"vLLM shares experts among all GPUs or none; give --ep {tp} or 1", field="ep", value=ep)
        words += ["--enable-expert-parallel"] if ep > 1 else []
    elif engine == "sglang":
        words += [f"{names['--tp']} {tp}"] if tp > 1 else []
        words += [f"--dp-size {groups} --enable-dp-attention"] if groups > 1 else []
        words += [f"--ep-size {ep}"] if ep > 1 else []
    elif engine == "trtllm":
        words += [f"{names['--tp']} {tp}"] if tp > 1 else []
        words += [f"--ep_size {ep}"] if ep > 1 else []
        if groups not in (1, tp):
            problem = f"TensorRT-LLM attends on each GPU for itself or on all together; give --attention-dp {tp} or 1"
            raise InputError(problem, field="attention_dp", value=groups)
        long = inputs["prompt"] > (given.get("chunk") or TensorRTLLM.max_num_batched_tokens)  # which it refuses in one piece
        words += ["--enable_chunked_prefill"] if long else []
        settings += ["enable_attention_dp: true"] if groups > 1 else []
        settings += [f"kv_cache_config: {{dtype: {given['kv_dtype']}}}"] if given.get("kv_dtype") == "fp8" else []
        if given.get("kv_dtype") not in (None, "fp8", "bf16"):
            problem = "TensorRT-LLM's file has --kv-dtype fp8, or none for 16 bits"
            raise InputError(problem, field="kv_dtype", value=given["kv_dtype"])
    words += [f"{names['--pp']} {pp}"] if pp > 1 else []
    words.append(f"{names['--seq']} {length * (users if engine == 'llama.cpp' else 1)}")
    if engine == "llama.cpp":
        words += [f"--parallel {users}"] if users > 1 else []
        words.append("-ngl 99")
    if given.get("kv_dtype") and "--kv-dtype" in names:
        kv = {"sglang": {"fp8": "fp8_e4m3", "bf16": "bfloat16"}, "vllm": {"bf16": "bfloat16"}, "llama.cpp": {"fp16": "f16"}}
        kind = kv.get(engine, {}).get(given["kv_dtype"], given["kv_dtype"])
        words.append(f"{names['--kv-dtype']} {kind}" + (f" --cache-type-v {kind}" if engine == "llama.cpp" else ""))
    if engine in ("vllm", "sglang") and given.get("dtype") in MADE and spec.stored is None:
        words.append(f"{names['--dtype']} {MADE[given['dtype']]}")
    if given.get("utilization") is not None and "--utilization" in names:
        words.append(f"{names['--utilization']} {given['utilization']:g}")
    if given.get("chunk") and "--chunk" in names:
        words.append(f"{names['--chunk']} {given['chunk']}")
    if most and engine in LIMITS:  # SGLang shares it out among groups itself
        words.append(f"{LIMITS[engine]} {most if engine == 'sglang' else most // groups}")
    words += [f"--config {file}"] if settings else []
    return {file: "\n".join(settings)} if settings else {}, " ".join(words)


def _model(spec: ModelSpec, source: str | None, engine: str, dtype: str | None) -> str:
    """What the engine is to load: a model on the hub, where the preset has one; a file of llama.cpp."""
    from llmcx.catalog.presets import aliases

    if engine == "llama.cpp":
        return source if source is not None and source.endswith(".gguf") else f"{spec.name}-{dtype or 'bf16'}.gguf"
    if source is not None and "/" in source:
        return source
    repositories = [alias for alias, preset in aliases().items() if preset == spec.name and "/" in alias]
    spelt = [each for each in re.findall(r"[\w.-]+/[\w.-]+", spec.source or "") if each.lower() in repositories]
    return spelt[0] if spelt else repositories[0] if repositories else spec.name
