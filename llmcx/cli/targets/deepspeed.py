"""DeepSpeed's configuration, a JSON file, as DeepSpeed 0.19.8 reads it (presets/flags/deepspeed.txt)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from llmcx.cli.launching import bad
from llmcx.cli.targets import Job, hint, one_of, settings, truth, whole
from llmcx.cli.targets.launcher import torchrun
from llmcx.engines.deepspeed import BUCKETS, Buckets
from llmcx.errors import InputError, shown
from llmcx.parallel.layout import Layout

HINT = "# llmcx check"
"""A key that DeepSpeed leaves alone: options of `llmcx check`."""
OPTIMIZERS = {
    **dict.fromkeys(("adam", "adamw", "fusedadam", "deepspeedcpuadam", "cpuadam"), "adam"),
    **{"sgd": "momentum", "lion": "lion", "fusedlion": "lion", "muon": "muon", "adam8bit": "adam8bit"},
}
DEVICES = {"none": None, "cpu": "cpu", "nvme": "nvme"}
OURS = ("train_batch_size", "zero_optimization", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
"""Keys by which a file is known to be DeepSpeed's."""


def written(job: Job, hardware: str | None) -> str:
    """The file. Raises InputError for what it does not say."""
    assert job.gpus is not None  # of what is emitted all is known
    layout = job.layout(job.gpus)
    for name in ("tp", "pp", "cp", "ep"):
        if getattr(layout, name) > 1:
            problem = f"DeepSpeed's file shares a model out by ZeRO alone and has no --{name}; leave it out, or --emit megatron"
            raise InputError(problem, field=name, value=getattr(layout, name))
    check_script(job, layout, "deepspeed")
    if job.dtype not in (None, "bf16", "fp16"):
        raise InputError(f"DeepSpeed's file has no matmuls in {job.dtype}; give bf16 or fp16", field="compute_dtype")
    batch = job.batch(layout)
    file: dict[str, Any] = {HINT: hint(job, hardware, *script(job, layout))}
    file["train_batch_size"] = batch
    file["train_micro_batch_size_per_gpu"] = layout.micro_batch
    file["gradient_accumulation_steps"] = batch // (layout.micro_batch * layout.dp)
    file["fp16" if job.dtype == "fp16" else "bf16"] = {"enabled": True}
    zero: dict[str, Any] = {"stage": layout.zero}
    if layout.zero:
        zero |= {"reduce_bucket_size": job.buckets.reduce, "overlap_comm": True, "contiguous_gradients": True}
    if layout.zero == 3:
        zero |= {"stage3_max_live_parameters": job.buckets.live}
    if job.offload:
        zero["offload_optimizer"] = {"device": "cpu"}
    if job.offload == "params":
        zero["offload_param"] = {"device": "cpu"}
    file["zero_optimization"] = zero
    file["gradient_clipping"] = 1.0
    return json.dumps(file, indent=2)


def check_script(job: Job, layout: Layout, target: str) -> None:
    """Refuse what a training script decides, of which the file has no word."""
    if job.attention == "eager":
        problem = f"--attn eager is the training script's to set, and no file of {target} has it; leave it out"
        raise InputError(problem, field="attn", value="eager")
    if layout.recompute not in ("none", "full"):
        problem = f"a training script for {target} recomputes whole layers; give --recompute full or none"
        raise InputError(problem, field="recompute", value=layout.recompute)


def script(job: Job, layout: Layout) -> list[str]:
    """What the training script sets, as options of `llmcx check`."""
    words = [f"--seq {job.seq}"] if job.seq else []
    return [*words, "--recompute full"] if layout.recompute == "full" else words


FILE = "deepspeed.json"


def start(gpus: int) -> str:
    """The line that starts a training script with the file, on every node."""
    return " ".join([*torchrun(gpus), f"train.py --deepspeed {FILE}"])


SETTABLE = ("micro_batch", "zero", "recompute", "offload")
"""What a change may set."""


def says(layout: Layout, layers: int) -> bool:
    """Whether the file has words for a layout."""
    return layout.gpus == layout.dp and layout.ep == 1 and layout.recompute in ("none", "full")


def spelt(changed: Mapping[str, Any], layout: Layout) -> str:
    """A change as settings."""
    words = [f"on {layout.gpus} GPUs"] if "dp" in changed else []
    words += [f'"train_micro_batch_size_per_gpu": {changed["micro_batch"]}'] if "micro_batch" in changed else []
    words += [f'"stage": {changed["zero"]}'] if "zero" in changed else []
    words += ['"offload_optimizer": {"device": "cpu"}'] if "offload" in changed else []
    words += ['"offload_param": {"device": "cpu"}'] if changed.get("offload") == "params" else []
    words += ["gradient checkpointing in the script"] if "recompute" in changed else []
    return ", ".join(words)


def known(values: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a configuration of DeepSpeed."""
    return any(key in values for key in (*OURS, "bf16", "fp16")) or (
        {"bf16", "fp16", "optimizer"} & values.keys() != set() and "model" not in values
    )


def read(values: Mapping[str, Any], gpus: int | None = None) -> Job:
    """The job of a file; ``gpus``: those that a launcher states."""
    asked = values.get(HINT, "")
    if not isinstance(asked, str):
        raise bad(f"{HINT} is {shown(asked)}, but must be a text of options")
    found, given = settings({key: value for key, value in values.items() if key != HINT}, "deepspeed", "a DeepSpeed file")
    stage = whole(found, "zero_optimization.stage", 0, 0) or 0
    if stage > 3:
        raise bad(f"zero_optimization.stage is {stage}, but must be 0 to 3", str(stage))
    micro = whole(found, "train_micro_batch_size_per_gpu")
    many, total = whole(found, "gradient_accumulation_steps"), whole(found, "train_batch_size")
    half = [name for name in ("bf16", "fp16") if truth(found, f"{name}.enabled", name == "bf16" and _left(found))]
    if len(half) > 1:
        raise bad("bf16.enabled and fp16.enabled contradict each other; enable one")
    if micro is None and total is not None and gpus is not None:
        micro = _micro(total, many or 1, gpus)
    degrees: dict[str, Any] = {"zero": stage} | ({} if micro is None else {"micro_batch": micro})
    small = whole(found, "zero_optimization.zero_hpz_partition_size", 1, 1) or 1
    if small > 1:
        problem = f"zero_hpz_partition_size {small} keeps a second copy of the weights, which is not counted; set it to 1"
        raise bad(problem, str(small))
    if gpus is None and None not in (total, micro):
        gpus = _gpus(total or 0, micro or 0, many)
    return Job(
        "deepspeed",
        degrees,
        gpus,
        global_batch=total,
        accumulation=many,
        dtype="fp16" if half == ["fp16"] else None,
        precision="mixed" if half else "fp32",
        optimizer=_optimizer(found),
        offload=_offload(found, stage),
        buckets=Buckets(
            whole(found, "zero_optimization.reduce_bucket_size", 1, BUCKETS.reduce) or BUCKETS.reduce,
            whole(found, "zero_optimization.stage3_max_live_parameters", 0, BUCKETS.live) or BUCKETS.live,
        ),
        given=given,
        asked=tuple(shlex.split(asked)),
    )


def _left(found: Mapping[str, Any]) -> bool:
    """Whether the file leaves bf16 to its trainer, which then says yes."""
    return found.get("bf16.enabled") == "auto"


def _gpus(total: int, micro: int, many: int | None) -> int | None:
    """GPUs that the three sizes leave: those are the batch's own."""
    if many is None:
        return None
    if total % (micro * many):
        problem = f"train_batch_size {total:,} is no multiple of micro-batch {micro:,} × {many:,} gradient accumulation steps"
        raise bad(problem, str(total))
    return total // (micro * many)


def _micro(total: int, many: int, gpus: int) -> int:
    if total % (many * gpus):
        raise bad(
            f"train_batch_size {total:,} is no multiple of {many:,} gradient accumulation steps × {gpus:,} GPUs", str(total)
        )
    return total // (many * gpus)


def _optimizer(found: Mapping[str, Any]) -> str:
    name = found.get("optimizer.type")
    if name is None:
        return "adam"
    short = str(name).lower().replace("_", "")
    if short not in OPTIMIZERS:
        raise bad(f"optimizer.type {shown(name)} is not counted; counted are Adam, AdamW, SGD, Lion and Muon", str(name))
    return OPTIMIZERS[short]


def _offload(found: Mapping[str, Any], stage: int) -> str | None:
    """What lies in the host's memory, or on its disks: for the GPU it is one."""
    states = one_of(found, "zero_optimization.offload_optimizer.device", DEVICES, "none")
    weights = one_of(found, "zero_optimization.offload_param.device", DEVICES, "none")
    if weights and not states:
        raise bad("offload_param without offload_optimizer is not counted; add offload_optimizer, or take both out")
    if weights and stage < 3:
        raise bad(f"offload_param needs stage 3, and the stage is {stage}")
    if states and not stage:
        raise bad("offload_optimizer needs stage 1 or more, and the stage is 0")
    return "params" if weights else "optimizer" if states else None
