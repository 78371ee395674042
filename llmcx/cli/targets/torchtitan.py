"""torchtitan's configuration, a TOML file, as torchtitan 0.2.2 reads it, the last release that has one
(presets/flags/torchtitan.txt).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any

from llmcx.cli.launching import bad
from llmcx.cli.targets import Job, hint, one_of, settings, truth, whole
from llmcx.cli.targets.launcher import torchrun
from llmcx.cli.targets.megatron_model import same
from llmcx.errors import InputError, shown, unknown_name
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

FLAVORS = {
    ("llama3", "8B"): "llama-3.1-8b",
    ("llama3", "70B"): "llama-3.1-70b",
    ("llama3", "405B"): "llama-3.1-405b",
    ("qwen3", "0.6B"): "qwen3-0.6b",
    ("qwen3", "1.7B"): "qwen3-1.7b",
    ("qwen3", "4B"): "qwen3-4b",
    ("qwen3", "8B"): "qwen3-8b",
    ("qwen3", "14B"): "qwen3-14b",
    ("qwen3", "32B"): "qwen3-32b",
    ("qwen3", "30B-A3B"): "qwen3-30b-a3b",
    ("qwen3", "235B-A22B"): "qwen3-235b-a22b",
    ("deepseek_v3", "16B"): "deepseek-v2-lite",
    ("deepseek_v3", "236B"): "deepseek-v2",
    ("deepseek_v3", "671B"): "deepseek-v3",
}
"""Its models, name and flavor, by the preset of the same shape (tests/oracle/training_files.py compares their parameters)."""
PRECISION = {("float32", "bfloat16"): "mixed", ("float32", "float32"): "fp32"}
"""training.dtype and training.mixed_precision_param, as a precision of llmcx."""
SECTIONS = ("job", "model", "training", "parallelism", "activation_checkpoint", "optimizer", "lr_scheduler", "compile")


def flavor(spec: ModelSpec) -> tuple[str, str] | None:
    """The model of torchtitan that has the shape of ``spec``: the first of that name, else of that shape."""
    from llmcx.catalog.load import load

    for own, preset in FLAVORS.items():
        if preset == spec.name:
            return own
    return next((own for own, preset in FLAVORS.items() if same(load(preset), spec)), None)


def written(job: Job, hardware: str | None) -> str:
    """The file. Raises InputError for what it does not say."""
    assert job.spec is not None and job.gpus is not None and job.seq is not None  # of what is emitted all is known
    found = flavor(job.spec)
    if found is None:
        known = ", ".join(dict.fromkeys(FLAVORS.values()))
        problem = f"torchtitan has no model of the shape of {job.spec.name}; it has those of {known}"
        raise InputError(problem, field="emit", value="torchtitan")
    layout = job.layout(job.gpus)
    _check(job, layout)
    batch = job.batch(layout)
    local = layout.micro_batch if layout.pp == 1 else batch // layout.dp
    training: dict[str, Any] = {"seq_len": job.seq, "local_batch_size": local, "global_batch_size": batch}
    training |= {"steps": job.steps} if job.steps else {}
    tables: dict[str, dict[str, Any]] = {"model": {"name": found[0], "flavor": found[1]}}
    if job.dtype == "fp8":
        tables["model"]["converters"] = ["quantize.linear.float8"]
    tables |= {"training": training, "parallelism": _parallelism(layout, job.spec.n_layers)}
    tables["activation_checkpoint"] = {"mode": layout.recompute}
    tables["compile"] = {"enable": True}
    lines = [f"# llmcx check: {hint(job, hardware, f'--gpus {job.gpus}')}"]
    lines.append("# torchtitan 0.2.2; --job.config_file names this file; the data and the learning rate are yours to add")
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


def _check(job: Job, layout: Layout) -> None:
    if layout.zero == 1:
        problem = "torchtitan shares out weights and gradients too; give --zero 3, or 2 where layers stay gathered"
        raise InputError(problem, field="zero", value=1)
    if layout.zero == 0 and layout.cp > 1:
        raise InputError("torchtitan shares weights out among context-parallel GPUs; give --zero 3", field="zero", value=0)
    if layout.recompute not in ("none", "full"):
        raise InputError(
            "torchtitan recomputes whole layers as is counted here; give --recompute full or none", field="recompute"
        )
    if job.attention == "eager":
        raise InputError("torchtitan has no eager attention; leave --attn out", field="attn", value="eager")
    if job.dtype not in (None, "bf16", "fp8"):
        raise InputError(f"torchtitan multiplies in bf16 or fp8, not in {job.dtype}", field="compute_dtype", value=job.dtype)
    if layout.tp > 1 and not layout.sequence:
        problem = "torchtitan cuts by tokens what tensor parallelism leaves whole; leave --no-sequence-parallel out"
        raise InputError(problem, field="sequence_parallel")
    assert job.spec is not None
    if layout.pp > 1 and job.spec.n_layers % (layout.pp * layout.virtual):
        problem = f"{job.spec.n_layers} layers do not divide into {layout.pp * layout.virtual} chunks of one size"
        raise InputError(f"torchtitan: {problem}; give another --pp", field="pp", value=layout.pp)


def _parallelism(layout: Layout, layers: int) -> dict[str, Any]:
    shard = 1 if layout.zero == 0 else (layout.shard or layout.replicas) // layout.cp
    table: dict[str, Any] = {"data_parallel_replicate_degree": layout.dp // shard, "data_parallel_shard_degree": shard}
    if layout.zero:
        table["fsdp_reshard_after_forward"] = "always" if layout.zero == 3 else "never"
    table |= {"tensor_parallel_degree": layout.tp, "context_parallel_degree": layout.cp}
    if layout.pp > 1:
        table |= {"pipeline_parallel_degree": layout.pp, "pipeline_parallel_microbatch_size": layout.micro_batch}
        table["pipeline_parallel_schedule"] = "1F1B" if layout.virtual == 1 else "Interleaved1F1B"
        table["pipeline_parallel_layers_per_stage"] = layers // (layout.pp * layout.virtual)
        table |= {"pipeline_parallel_first_stage_less_layers": 0, "pipeline_parallel_last_stage_less_layers": 0}
    if layout.ep > 1:
        table |= {"expert_parallel_degree": layout.ep, "expert_tensor_parallel_degree": layout.expert_tp}
    return table


FILE = "torchtitan.toml"


def start(gpus: int) -> str:
    """The line that starts torchtitan with the file, on every node."""
    return " ".join([*torchrun(gpus), f"-m torchtitan.train --job.config_file {FILE}"])


SETTABLE = ("micro_batch", "zero", "recompute", "tp", "cp")
"""What a change may set."""


def says(layout: Layout, layers: int) -> bool:
    """Whether the file has words for a layout."""
    even = layers % (layout.pp * layout.virtual) == 0
    shared = layout.zero > 1 or (layout.zero == 0 and layout.cp == 1)
    return even and shared and layout.recompute in ("none", "full")


def spelt(changed: Mapping[str, Any], layout: Layout) -> str:
    """A change as settings."""
    words = [f"on {layout.gpus} GPUs"] if changed.keys() <= {"dp", "zero", "recompute"} and "dp" in changed else []
    words += [f"training.local_batch_size = {changed['micro_batch']}"] if "micro_batch" in changed else []
    for name, key in (("tp", "tensor_parallel_degree"), ("cp", "context_parallel_degree")):
        words += [f"parallelism.{key} = {changed[name]}"] if name in changed else []
    if "zero" in changed:
        words.append(f'parallelism.fsdp_reshard_after_forward = "{"always" if changed["zero"] == 3 else "never"}"')
    words += ['activation_checkpoint.mode = "full"'] if "recompute" in changed else []
    return ", ".join(words)


# --- the way back ------------------------------------------------------------------------------------------------------------


def known(values: Mapping[str, Any]) -> bool:
    """Whether tables of TOML are torchtitan's."""
    return any(isinstance(values.get(name), Mapping) for name in SECTIONS)


def read(values: Mapping[str, Any], gpus: int | None = None) -> Job:
    """The job of a file; ``gpus``: those that a launcher states."""
    found, given = settings(values, "torchtitan", "a torchtitan file")
    name, kind = str(found.get("model.name", "llama3")), str(found.get("model.flavor", "debugmodel"))
    model = FLAVORS.get((name, kind))
    if (name, kind) not in FLAVORS and "debugmodel" not in kind:
        short = FLAVORS.get((name, kind.partition("_")[0]))  # 8B_flex: another attention kernel
        if short is None:
            raise unknown_name("model of torchtitan", f"{name} {kind}", [" ".join(own) for own in FLAVORS], field="line")
        model = short
    one = {key: whole(found, f"parallelism.{key}", 1, 1) or 1 for key in _DEGREES}
    shard = whole(found, "parallelism.data_parallel_shard_degree", -1, -1) or -1
    inner = one["tensor_parallel_degree"] * one["pipeline_parallel_degree"] * one["context_parallel_degree"]
    copies = one["data_parallel_replicate_degree"]
    if shard == -1 and gpus is not None:
        if gpus % (inner * copies):
            raise bad(f"{gpus:,} GPUs are no multiple of the degrees' product {inner * copies:,}", str(gpus))
        shard = gpus // (inner * copies)
    elif shard > 0:
        total = prod((inner, copies, shard))
        if gpus is not None and gpus != total:
            raise bad(f"the parallelism of the file is of {total:,} GPUs, but the launcher starts {gpus:,}", str(gpus))
        gpus = total
    degrees = {"tp": one["tensor_parallel_degree"], "pp": one["pipeline_parallel_degree"], "cp": one["context_parallel_degree"]}
    degrees |= {"ep": one["expert_parallel_degree"], "zero": _zero(found, shard, degrees["cp"], degrees["pp"])}
    if copies > 1 and shard > 1:
        degrees["shard"] = shard * degrees["cp"]
    local = whole(found, "training.local_batch_size", 1, 8) or 8
    micro = (whole(found, "parallelism.pipeline_parallel_microbatch_size", 1, 1) or 1) if degrees["pp"] > 1 else local
    if local % micro:
        raise bad(
            f"training.local_batch_size {local:,} is no multiple of pipeline_parallel_microbatch_size {micro:,}", str(local)
        )
    degrees["micro_batch"] = micro
    batch = whole(found, "training.global_batch_size", -1, -1)
    if batch is not None and batch > 0 and gpus is not None:
        dp = gpus // inner
        if batch % (local * dp):
            sizes = f"local batch {local:,} × data-parallel {dp:,}"
            raise bad(f"training.global_batch_size {batch:,} is no multiple of {sizes}", str(batch))
    more: dict[str, Any] = {}
    more["recompute"], unsure = _recompute(found)
    precision, dtype = _precision(found)
    if degrees["pp"] > 1:
        more["virtual"] = _virtual(found, degrees["pp"], model)
    job = Job(
        "torchtitan",
        degrees | more,
        gpus,
        whole(found, "training.seq_len", 1, 2048),
        batch if batch and batch > 0 else None,
        accumulation=None if batch and batch > 0 else local // micro,
        steps=whole(found, "training.steps", 1, 10_000),
        model=model,
        dtype=dtype,
        precision=precision,
        optimizer=one_of(found, "optimizer.name", {"Adam": "adam", "AdamW": "adam"}, "AdamW"),
        unsure=unsure,
        given=given,
    )
    if gpus is not None and degrees["ep"] > 1:
        _experts(found, job.layout(gpus))
    return job


_DEGREES: tuple[str, ...] = (
    "tensor_parallel_degree",
    "pipeline_parallel_degree",
    "context_parallel_degree",
    "expert_parallel_degree",
)
_DEGREES += ("data_parallel_replicate_degree",)


def _zero(found: Mapping[str, Any], shard: int, cp: int, pp: int) -> int:
    if truth(found, "training.enable_cpu_offload"):
        raise bad("training.enable_cpu_offload is not counted; set it to false")
    if shard == 1 and cp == 1:
        return 0
    again = {"always": 3, "never": 2, "default": 2 if pp > 1 else 3}  # stages keep what every micro-batch would gather again
    level: int = one_of(found, "parallelism.fsdp_reshard_after_forward", again, "default")
    return level


def _recompute(found: Mapping[str, Any]) -> tuple[str | None, str]:
    """What is recomputed, or why that is not counted."""
    mode = str(found.get("activation_checkpoint.mode", "selective"))
    return (mode, "") if mode in ("none", "full") else (None, f"activation_checkpoint.mode {mode} is not counted")


def _precision(found: Mapping[str, Any]) -> tuple[str, str | None]:
    converters = found.get("model.converters") or []
    dtype = "fp8" if any("float8" in str(each) for each in converters) else None
    stored = str(found.get("training.dtype", "float32"))
    if stored == "bfloat16":
        return "bf16", dtype
    key = (stored, str(found.get("training.mixed_precision_param", "bfloat16")))
    if key not in PRECISION:
        raise bad(f"training.dtype {shown(key[0])} with mixed_precision_param {shown(key[1])} is not one of torchtitan's")
    return PRECISION[key], dtype


def _virtual(found: Mapping[str, Any], pp: int, model: str | None) -> int:
    """Chunks of layers on a stage."""
    schedule = str(found.get("parallelism.pipeline_parallel_schedule", "1F1B"))
    if schedule not in ("1F1B", "Interleaved1F1B"):
        raise bad(f"pipeline_parallel_schedule {schedule} is not counted; counted are 1F1B and Interleaved1F1B", schedule)
    each = whole(found, "parallelism.pipeline_parallel_layers_per_stage", 1)
    if schedule == "1F1B":
        return 1
    if each is None or model is None:
        return 2  # what torchtitan takes for a schedule of several chunks
    from llmcx.catalog.load import load

    return max(load(model).n_layers // (pp * each), 1)


def _experts(found: Mapping[str, Any], layout: Layout) -> None:
    etp = whole(found, "parallelism.expert_tensor_parallel_degree", 1, 1)
    if etp != layout.expert_tp:
        problem = f"expert_tensor_parallel_degree {etp} with expert_parallel_degree {layout.ep} is not counted on these GPUs"
        raise bad(f"{problem}; counted is {layout.expert_tp}", str(etp))
