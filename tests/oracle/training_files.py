"""What the programs that train make of emitted launch files, and which settings they have: tests/oracle/training_files.json.

    python tests/oracle/training_files.py settings MEGATRON             their settings
    python -m tests.test_launch_files DIRECTORY                       (llmcx) writes what is emitted
    python tests/oracle/training_files.py accepts MEGATRON DIRECTORY   what they read of each

A Python with torch (CPU), accelerate, deepspeed (DS_BUILD_OPS=0), torchtitan 0.2.2, triton; MEGATRON is Megatron-LM's own
repository at core_v0.16.1. Where one needs a GPU to go on, a stand-in says that there is an H100; nothing is computed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
import tempfile
import typing
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "training_files.json"


# --- settings ------------------------------------------------------------------------------------------------------------


def megatron_parser() -> ArgumentParser:
    from megatron.training.arguments import add_megatron_arguments  # type: ignore[import-not-found]

    made: ArgumentParser = add_megatron_arguments(ArgumentParser(allow_abbrev=False))
    return made


def taken(parser: ArgumentParser) -> dict[str, str]:
    """How many values each flag takes: "" none, "=" one, "+" several, "?" perhaps one."""
    out = {}
    for action in parser._actions:
        takes = {0: "", None: "=", 1: "=", "*": "+", 3: "+"}.get(action.nargs, action.nargs)  # type: ignore[call-overload]
        out |= {flag: takes for flag in action.option_strings if flag.startswith("--")}
    return dict(sorted(out.items()))


def dotted(kind: Any, before: str = "") -> Iterator[str]:
    """The settings of nested dataclasses."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from dotted(hints[field.name], f"{before}{field.name}.")
        else:
            yield before + field.name


def accelerate_settings() -> list[str]:
    from accelerate.commands.config.config_args import ClusterConfig  # type: ignore[import-not-found]
    from accelerate.commands.launch import launch_command_parser  # type: ignore[import-not-found]

    flags = {action.dest for action in launch_command_parser()._actions}
    nested = {"fsdp_config": "fsdp_", "parallelism_config": "parallelism_config_"}
    found = [name for name in ClusterConfig.__dataclass_fields__ if name not in (*nested, "deepspeed_config")]
    found += [f"{table}.{flag}" for table, start in nested.items() for flag in flags if flag.startswith(start)]
    return sorted(found)


def deepspeed_settings() -> list[str]:
    """Of its own table; the top level is checked by no schema of its own, but by who asks for a key."""
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig  # type: ignore[import-not-found]
    from deepspeed.runtime.zero.offload_config import (  # type: ignore[import-not-found]
        DeepSpeedZeroOffloadOptimizerConfig,
        DeepSpeedZeroOffloadParamConfig,
    )

    def names(model: Any, before: str) -> list[str]:
        return [f"{before}{field.alias or name}" for name, field in model.model_fields.items()]

    found = [
        each
        for each in names(DeepSpeedZeroConfig, "zero_optimization.")
        if not each.endswith(("offload_param", "offload_optimizer", "zenflow", "leaf_module"))
    ]
    found += names(DeepSpeedZeroOffloadOptimizerConfig, "zero_optimization.offload_optimizer.")
    return sorted(found + names(DeepSpeedZeroOffloadParamConfig, "zero_optimization.offload_param."))


def torchrun_flags() -> dict[str, str]:
    from torch.distributed.run import get_args_parser  # type: ignore[import-not-found]

    return taken(get_args_parser())


# --- what they read --------------------------------------------------------------------------------------------------------


def megatron_reads(text: str) -> dict[str, Any]:
    """Its parser, and its own checks of the arguments, as on the GPUs that torchrun is told of."""
    from megatron.training import arguments  # type: ignore[import-not-found]

    words = shlex.split(text.replace("\\\n", " "), comments=True)
    os.environ.pop("CUDA_DEVICE_MAX_CONNECTIONS", None)
    if words[0] == "export":
        os.environ |= [words[1].split("=")]
    many = int(words[words.index("--nnodes") + 1]) if "--nnodes" in words else 1
    each = int(words[words.index("--nproc-per-node") + 1])
    os.environ |= {"WORLD_SIZE": str(many * each), "RANK": "0"}
    sys.argv = words[words.index("pretrain_gpt.py") :]
    args = arguments.parse_args()
    with redirect_stdout(sys.stderr):
        arguments.validate_args(args)
    names = "world_size data_parallel_size tensor_model_parallel_size pipeline_model_parallel_size context_parallel_size"
    names += " expert_model_parallel_size expert_tensor_parallel_size micro_batch_size global_batch_size seq_length num_layers"
    names += " hidden_size ffn_hidden_size kv_channels num_query_groups padded_vocab_size recompute_granularity"
    names += " virtual_pipeline_model_parallel_size use_distributed_optimizer data_parallel_sharding_strategy bf16 fp8"
    return {name: getattr(args, name) for name in names.split()}


def accelerate_reads(text: str) -> dict[str, Any]:
    from accelerate.commands.config.config_args import load_config_from_file  # type: ignore[import-not-found]
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser  # type: ignore[import-not-found]

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        config = load_config_from_file(file.name)
        words = ["--config_file", file.name, "--main_process_ip", "localhost", "--main_process_port", "29500", "train.py"]
        args, *_ = _validate_launch_command(launch_command_parser().parse_args(words))
    names = "use_fsdp num_processes num_machines mixed_precision fsdp_version fsdp_reshard_after_forward"
    found = {name: getattr(args, name) for name in f"{names} fsdp_activation_checkpointing fsdp_offload_params".split()}
    return found | {"distributed_type": str(config.distributed_type.value)}


def deepspeed_reads(text: str) -> dict[str, Any]:
    from deepspeed import comm  # type: ignore[import-not-found]
    from deepspeed.runtime.config import DeepSpeedConfig  # type: ignore[import-not-found]

    comm.get_rank = lambda: 0  # of the ranks below, none of which run

    class Ranks:
        """As many data-parallel ranks as the batch sizes say, which is what the check is of."""

        def __init__(self, many: int) -> None:
            self.many = many

        def get_data_parallel_world_size(self) -> int:
            return self.many

    values = json.loads(text)
    ranks = values["train_batch_size"] // values["train_micro_batch_size_per_gpu"] // values["gradient_accumulation_steps"]
    config = DeepSpeedConfig(values, mpu=Ranks(ranks))
    names = "train_batch_size train_micro_batch_size_per_gpu gradient_accumulation_steps zero_optimization_stage world_size"
    found = {name: getattr(config, name) for name in names.split()}
    return found | {
        "bf16": bool(config.bfloat16_config.enabled),
        "reduce_bucket_size": int(config.zero_config.reduce_bucket_size),
    }


def torchtitan_reads(text: str) -> dict[str, Any]:
    from torchtitan.config import ConfigManager  # type: ignore[import-not-found]
    from torchtitan.distributed import ParallelDims  # type: ignore[import-not-found]

    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        config = ConfigManager().parse_args(["--job.config_file", file.name])
    of = config.parallelism
    shard = of.data_parallel_shard_degree
    world = (
        shard
        * of.data_parallel_replicate_degree
        * of.tensor_parallel_degree
        * of.pipeline_parallel_degree
        * of.context_parallel_degree
    )
    dims = ParallelDims(
        dp_shard=shard,
        dp_replicate=of.data_parallel_replicate_degree,
        cp=of.context_parallel_degree,
        tp=of.tensor_parallel_degree,
        pp=of.pipeline_parallel_degree,
        ep=of.expert_parallel_degree,
        etp=of.expert_tensor_parallel_degree,
        world_size=world,
    )
    found = {name: getattr(dims, name) for name in ["dp_shard", "dp_replicate", "cp", "tp", "pp", "ep", "etp", "world_size"]}
    found |= {name: getattr(config.training, name) for name in ["seq_len", "local_batch_size", "global_batch_size"]}
    found |= {"model": config.model.name, "flavor": config.model.flavor, "recompute": config.activation_checkpoint.mode}
    return found | {"fsdp_reshard_after_forward": of.fsdp_reshard_after_forward}


def torchtitan_models() -> dict[str, int]:
    """Parameters of its models, built without memory."""
    import torch  # type: ignore[import-not-found]
    from torchtitan.protocols.train_spec import get_train_spec  # type: ignore[import-not-found]

    out = {}
    for name in ("llama3", "qwen3", "deepseek_v3"):
        spec = get_train_spec(name)
        for flavor, args in spec.model_args.items():
            if "debug" in flavor or "_" in flavor:
                continue
            if name == "deepseek_v3":
                args.moe_impl = "standard"  # what a job's own settings would set
            with torch.device("meta"):
                out[f"{name} {flavor}"] = sum(each.numel() for each in spec.model_cls(args).parameters())
    return out


READS = {
    "megatron": megatron_reads,
    "fsdp-accelerate": accelerate_reads,
    "deepspeed": deepspeed_reads,
    "torchtitan": torchtitan_reads,
}


def an_h100() -> None:
    """What Megatron-LM asks a GPU for, where there is none."""
    import torch  # type: ignore[import-not-found]

    torch.cuda.get_device_capability = lambda *_: (9, 0)
    torch.cuda.get_device_properties = lambda *_: type("H100", (), {"major": 9, "minor": 0, "name": "H100"})()


def main() -> None:
    what, megatron, *more = sys.argv[1:]
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != GOLDEN.parent.resolve()]  # our deepspeed.py's kin
    sys.path.insert(0, megatron)
    an_h100()
    found = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    names = {"accelerate": "accelerate", "deepspeed": "deepspeed", "torchtitan": "torchtitan", "torch": "torch"}
    found["versions"] = {name: version(package) for name, package in names.items()} | {"megatron": "core_v0.16.1"}
    if what == "settings":
        from torchtitan.config import JobConfig  # type: ignore[import-not-found]

        found["settings"] = {
            "megatron": taken(megatron_parser()),
            "torchrun": torchrun_flags(),
            "accelerate": accelerate_settings(),
            "deepspeed": deepspeed_settings(),
            "torchtitan": sorted(dotted(JobConfig)),
        }
        found["torchtitan_models"] = torchtitan_models()
    else:
        found["files"] = {}
        for path in sorted(Path(more[0]).iterdir()):
            target = path.name.rpartition(".")[2]
            text = path.read_text(encoding="utf-8")
            try:
                read: dict[str, Any] = READS[target](text)
            except (Exception, SystemExit) as error:
                read = {"refused": f"{type(error).__name__}: {error}"[:300]}
                print(path.name, read)
            found["files"][path.name] = {"text": text, "read": read}
    GOLDEN.write_text(json.dumps(found, indent=1, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
