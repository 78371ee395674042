"""Accelerate's configuration, a YAML file, as accelerate 1.15.0 reads it (presets/flags/accelerate.txt): FSDP, or DeepSpeed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from llmcx.cli.launching import bad
from llmcx.cli.targets import Job, hint, one_of, settings, truth, whole
from llmcx.cli.targets.deepspeed import DEVICES, check_script, script
from llmcx.cli.targets.launcher import nodes
from llmcx.errors import InputError, shown
from llmcx.parallel.layout import Layout

KINDS = {"FSDP": "fsdp", "DEEPSPEED": "deepspeed", "MULTI_GPU": "ddp", "NO": "ddp"}
"""distributed_type, as far as it is counted."""
STRATEGIES = {
    **dict.fromkeys(("FULL_SHARD", "1", "HYBRID_SHARD", "4"), 3),
    **dict.fromkeys(("SHARD_GRAD_OP", "2", "HYBRID_SHARD_ZERO2", "5"), 2),
    **dict.fromkeys(("NO_SHARD", "3"), 0),
}
"""fsdp_sharding_strategy of FSDP's first version -> how much is shared out."""
PRECISION = {"bf16": ("mixed", None), "fp16": ("mixed", "fp16"), "fp8": ("mixed", "fp8"), "no": ("fp32", None)}
OURS = ("distributed_type", "fsdp_config", "compute_environment", "main_training_function", "downcast_bf16")


def written(job: Job, hardware: str | None) -> str:
    """The file. Raises InputError for what it does not say."""
    assert job.gpus is not None  # of what is emitted all is known
    layout = job.layout(job.gpus)
    for name in ("tp", "pp", "cp", "ep"):
        if getattr(layout, name) > 1:
            problem = f"accelerate's file shares a model out by FSDP alone and has no --{name}; leave it out, or --emit megatron"
            raise InputError(problem, field=name, value=getattr(layout, name))
    if layout.zero == 1:
        problem = "FSDP shares out weights and gradients too; give --zero 3, or 2 where layers stay gathered"
        raise InputError(problem, field="zero", value=1)
    check_script(job, layout, "accelerate")
    if job.dtype not in (None, "bf16", "fp16", "fp8"):
        raise InputError(f"accelerate multiplies in bf16, fp16 or fp8, not in {job.dtype}", field="compute_dtype")
    batch, many = job.batch(layout), nodes(job.gpus)[0]
    words = script(replace(job, degrees={}), layout._replace(recompute="none"))  # what is recomputed, the file says
    words += [f"--micro-batch {layout.micro_batch}", f"--global-batch {batch}"]
    lines = [f"# llmcx check: {hint(job, hardware, *words)}", "compute_environment: LOCAL_MACHINE"]
    lines += ["debug: false", f"distributed_type: {'FSDP' if layout.zero else 'MULTI_GPU'}", "downcast_bf16: 'no'"]
    if layout.zero:
        lines += ["fsdp_config:", f"  fsdp_activation_checkpointing: {_yes(layout.recompute == 'full')}"]
        lines += ["  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP", "  fsdp_cpu_ram_efficient_loading: true"]
        lines += ["  fsdp_offload_params: false", f"  fsdp_reshard_after_forward: {_yes(layout.zero == 3)}"]
        lines += ["  fsdp_state_dict_type: SHARDED_STATE_DICT", "  fsdp_version: 2"]
    elif layout.recompute == "full":
        raise InputError("without FSDP the training script recomputes, and no file has it; give --zero 3", field="recompute")
    lines += ["enable_cpu_affinity: false", "machine_rank: 0", "main_training_function: main"]
    lines += [f"mixed_precision: {job.dtype or 'bf16'}", f"num_machines: {many}", f"num_processes: {job.gpus}"]
    return "\n".join([*lines, "rdzv_backend: c10d", "same_network: false", "use_cpu: false"])


SETTABLE = ("micro_batch", "zero", "recompute")
"""What a change may set."""


def says(layout: Layout, layers: int) -> bool:
    """Whether the file has words for a layout."""
    return layout.zero != 1 and layout.gpus == layout.dp and layout.ep == 1 and layout.recompute in ("none", "full")


def spelt(changed: Mapping[str, Any], layout: Layout) -> str:
    """A change as settings."""
    words = [f"num_processes: {layout.gpus}"] if "dp" in changed else []
    words += [f"micro-batch {changed['micro_batch']} in the script"] if "micro_batch" in changed else []
    words += [f"fsdp_reshard_after_forward: {_yes(changed['zero'] == 3)}"] if "zero" in changed else []
    words += ["fsdp_activation_checkpointing: true"] if "recompute" in changed else []
    return ", ".join(words)


FILE = "fsdp.yaml"


def start(gpus: int) -> str:
    """The line that starts a training script with the file, on every node."""
    meet = " --main_process_ip ${MASTER_ADDR:-localhost} --main_process_port 29500" if nodes(gpus)[0] > 1 else ""
    return f"accelerate launch --config_file {FILE}{meet} train.py"


def _yes(value: bool) -> str:
    return "true" if value else "false"


def known(values: Mapping[str, Any]) -> bool:
    """Whether a YAML mapping is a configuration of accelerate."""
    return any(key in values for key in OURS)


def read(values: Mapping[str, Any], gpus: int | None = None) -> Job:
    """The job of a file; ``gpus``: those that a launcher states."""
    found, given = settings(values, "accelerate", "an accelerate file")
    kind = one_of(found, "distributed_type", KINDS, "NO")
    stated = whole(found, "num_processes", 1)
    if gpus is not None and stated is not None and gpus != stated:
        raise bad(f"num_processes is {stated:,}, but the launcher starts {gpus:,}", str(stated))
    gpus = gpus or stated
    machines = whole(found, "num_machines", 1, 1) or 1
    if gpus is not None and gpus % machines:
        raise bad(f"num_processes {gpus:,} is no multiple of num_machines {machines:,}", str(gpus))
    word = found.get("mixed_precision", "no")
    word = "no" if word is False or word is None else word  # YAML reads a bare no as false
    if str(word) not in PRECISION:
        raise bad(f"mixed_precision is {shown(word)}, but must be {', '.join(PRECISION)}", str(word))
    precision, dtype = PRECISION[str(word)]
    job = Job("fsdp-accelerate", gpus=gpus, dtype=dtype, precision=precision, given=given)
    if kind == "deepspeed":
        return _deepspeed(job, found)
    return _fsdp(job, found) if kind == "fsdp" else replace(job, degrees={"zero": 0})


def _fsdp(job: Job, found: Mapping[str, Any]) -> Job:
    """By FSDP, of either version."""
    if truth(found, "fsdp_config.fsdp_offload_params"):
        raise bad("fsdp_offload_params is not counted; set it to false, or use DeepSpeed's offload_optimizer, which is")
    version = whole(found, "fsdp_config.fsdp_version", 1, 1)
    degrees: dict[str, Any] = {}
    if version == 2:
        degrees["zero"] = 3 if truth(found, "fsdp_config.fsdp_reshard_after_forward", True) else 2
    else:
        old = found.get("fsdp_config.fsdp_reshard_after_forward")
        name = found.get("fsdp_config.fsdp_sharding_strategy", old if isinstance(old, str) else "FULL_SHARD")
        strategy = str(name).upper()
        if strategy not in STRATEGIES:
            allowed = "FULL_SHARD, SHARD_GRAD_OP or NO_SHARD"
            raise bad(f"fsdp_sharding_strategy is {shown(name)}, but must be {allowed}", str(name))
        if "HYBRID" in strategy or strategy in ("4", "5"):
            raise bad("HYBRID_SHARD does not say among how many GPUs; give fsdp_version 2 and a parallelism_config")
        degrees["zero"] = STRATEGIES[strategy]
    if truth(found, "fsdp_config.fsdp_activation_checkpointing"):
        degrees["recompute"] = "full"
    sizes = {name: whole(found, f"parallelism_config.parallelism_config_{name}_size", 1, 1) or 1 for name in _SIZES}
    copies = sizes.pop("dp_replicate")
    if sizes.pop("sp") > 1:
        raise bad("parallelism_config_sp_size is not counted; set it to 1, or use parallelism_config_cp_size")
    degrees |= {name: size for name, size in sizes.items() if size > 1 and name in ("tp", "cp")}
    if copies > 1:
        shard = sizes["dp_shard"] * sizes["cp"]
        if shard == 1:
            degrees["zero"] = 0
        else:
            degrees["shard"] = shard
    total = prod(sizes.values()) * copies
    if "parallelism_config.parallelism_config_dp_shard_size" in found and job.gpus is not None and total != job.gpus:
        raise bad(f"parallelism_config divides {total:,} GPUs, but num_processes is {job.gpus:,}", str(total))
    return replace(job, degrees=degrees)


_SIZES = ("dp_replicate", "dp_shard", "tp", "cp", "sp")


def _deepspeed(job: Job, found: Mapping[str, Any]) -> Job:
    """By DeepSpeed, which the file configures itself."""
    if "deepspeed_config.deepspeed_config_file" in found:
        raise bad("deepspeed_config_file names a file of its own; check that one")
    stage = whole(found, "deepspeed_config.zero_stage", 0, 2)
    if stage is None or stage > 3:
        raise bad(f"deepspeed_config.zero_stage is {stage}, but must be 0 to 3", str(stage))
    states = one_of(found, "deepspeed_config.offload_optimizer_device", DEVICES, "none")
    weights = one_of(found, "deepspeed_config.offload_param_device", DEVICES, "none")
    if weights and not states:
        raise bad("offload_param_device without offload_optimizer_device is not counted; give both, or none")
    offload = "params" if weights else "optimizer" if states else None
    many = whole(found, "deepspeed_config.gradient_accumulation_steps", 1)
    return replace(job, target="deepspeed", degrees={"zero": stage}, accumulation=many, offload=offload)
