"""Other spellings: what vLLM, SGLang, TensorRT-LLM, llama.cpp, Megatron-LM and transformers call the same thing.

Where a flag of theirs means the same, it is taken; where it means nearly the same, the refusal names the option of llmcx.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from llmcx.errors import InputError, unknown_name

SAME = {
    "--seq": "--max-model-len --seq-length --seq-len --sequence-length --ctx-size --max-seq-len",
    "--utilization": "--gpu-memory-utilization --mem-fraction-static --kv-cache-free-gpu-memory-fraction",
    "--tp": "-tp --tensor-parallel-size --tp-size --tensor-model-parallel-size",
    "--pp": "-pp --pipeline-parallel-size --pp-size --pipeline-model-parallel-size",
    "--cp": "--context-parallel-size --cp-size",
    "--ep": "--expert-parallel-size --ep-size --expert-model-parallel-size",
    "--kv-dtype": "--kv-cache-dtype --cache-type-k",
    "--dtype": "--quantization",
    "--prompt": "--isl --input-len --random-input-len --prompt-tokens --input-tokens",
    "--output": "--osl --output-len --random-output-len --output-tokens --max-tokens",
    "--batch": "--batch-size --concurrency --max-concurrency",
    "--micro-batch": "--micro-batch-size --per-device-train-batch-size",
    "--global-batch": "--global-batch-size",
    "--chunk": "--chunked-prefill-size --max-num-batched-tokens",
    "--layers": "--num-layers --num-hidden-layers --n-layers",
    "--d-model": "--hidden-size",
    "--heads": "--num-attention-heads --n-heads",
    "--kv-heads": "--num-key-value-heads --num-query-groups --n-kv-heads",
    "--d-ff": "--intermediate-size --ffn-hidden-size",
    "--vocab": "--vocab-size --padded-vocab-size",
    "--experts": "--num-experts --num-local-experts --n-experts",
    "--top-k": "--moe-router-topk --num-experts-per-tok",
    "--head-dim": "--kv-channels",
    "--recompute": "--recompute-granularity",
    "--attn": "--attn-implementation --attention-backend",
    "--lora": "--lora-rank --lora-r --r",
    "--hardware": "--gpu --gpu-type --accelerator --device --system",
    "--gpus": "--num-gpus --n-gpus --gpu-count --world-size",
    "--preset": "--model --model-path --model-name",
    "--optimizer": "--optim",
    "--engine": "--backend --framework",
    "--virtual": "--virtual-pipeline-model-parallel-size",
    "--block": "--block-size --page-size --tokens-per-block",
    "--budget": "--memory-budget --vram",
    "--price": "--usd-per-hour --gpu-price",
    "--zero": "--zero-stage",
}
"""Ours -> theirs, where both mean the same; each is taken by a command that has ours."""

ALSO = {
    "--max-num-batched-tokens": "--chunked-prefill-size --max-num-tokens",
    "--max-num-seqs": "--max-running-requests --cuda-graph-max-bs",
}
"""The same of a command that has no option of :data:`SAME`."""

LAUNCH = {
    "preset": "-m",
    "hf": "-hf -hfr --hf-repo",
    "file": "-hff --hf-file",
    "seq": "-c --context-length",
    "dtype": "-q",
    "plain": "--dtype",
    "replicas": "-dp --dp-size --data-parallel-size",
    "attention_dp": "--enable-dp-attention",
    "ep": "--ep --moe-expert-parallel-size",
    "spread": "-ep --enable-expert-parallel",
    "utilization": "--device-memory-utilization --free-gpu-memory-fraction",
    "users": "--max-running-requests --max-batch-size -np --parallel",
    "max_num_seqs": "--max-num-seqs --cuda-graph-max-bs --cuda-graph-max-bs-decode",
    "max_num_batched_tokens": "--max-num-batched-tokens --max-num-tokens --chunked-prefill-size",
    "kv_dtype": "-ctk",
    "values": "-ctv --cache-type-v",
    "ubatch": "-ub --ubatch-size",
    "attn": "-fa --flash-attn",
    "gpu_layers": "-ngl --gpu-layers --n-gpu-layers",
    "host_experts": "-ncmoe --n-cpu-moe",
    "host_all": "-cmoe --cpu-moe",
    "split": "-sm --split-mode",
    "swa_full": "--swa-full",
    "eager": "--enforce-eager",
    "role": "--disaggregation-mode --server-role",
    "transfer": "--kv-transfer-config",
    "config": "--config --extra-llm-api-options",
    "offload": "--cpu-offload-gb",
    "adapters": "--enable-lora",
    "slots": "--max-loras --max-loras-per-batch",
    "rank": "--max-lora-rank",
    "limits": "--limit-mm-per-prompt",
    "unseen": "--language-model-only --skip-mm-profiling",
    "encoder": "--mm-encoder-tp-mode",
    "speculative": "--speculative-config -sc",
    "spec_method": "--spec-method --speculative-algorithm",
    "spec_model": "--spec-model --speculative-model --speculative-draft-model --speculative-draft-model-path",
}
"""What only a launch line has (:mod:`llmcx.cli.launching`): what it sets -> its flags, before those of SAME."""

LAUNCH_FLAG = {spelling: what for what, theirs in LAUNCH.items() for spelling in theirs.split()}
SAME_FLAG = {spelling: ours for ours, theirs in SAME.items() for spelling in theirs.split()}
ALSO_FLAG = {spelling: ours for ours, theirs in ALSO.items() for spelling in theirs.split()}

FORMATS = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float8_e4m3fn": "fp8", "fp8_e4m3": "fp8"}
"""torch's and vLLM's names of number formats, and ours."""

LIKE = {
    "--quant": ("--dtype", "the format of the weights"),
    "--quantize": ("--dtype", "the format of the weights"),
    "--bits": ("--dtype", "the format of the weights, as int4 or q4_k_m"),
    "--weight-bits": ("--dtype", "the format of the weights, as fp8 or q4_k_m"),
    "--weight-dtype": ("--dtype", "the format of the weights"),
    "--load-in-4bit": ("--dtype", "the format of the weights: --dtype nf4"),
    "--load-in-8bit": ("--dtype", "the format of the weights: --dtype int8"),
    "--base": ("--dtype", "with --lora, the format of the frozen weights"),
    "--kv-bits": ("--kv-dtype", "the format of the cache, as fp8"),
    "--cache-type-v": ("--kv-dtype", "the format of the cache, keys and values alike"),
    "--cache-dtype": ("--kv-dtype", "the format of the cache"),
    "--context": ("--seq", "tokens of a sequence"),
    "--context-len": ("--seq", "tokens of a sequence"),
    "--length": ("--seq", "tokens of a sequence"),
    "--max-length": ("--seq", "tokens of a sequence"),
    "--runtime": ("--engine", "the program that runs the model"),
    "--stack": ("--engine", "the program that runs the model"),
    "--kernels": ("--engine", "the program that trains: megatron has fused kernels"),
    "--reserve": ("--utilization", "the share of the memory that is used: 1 less the reserve"),
    "--margin": ("--utilization", "the share of the memory that is used"),
    "--memory": ("--budget", "bytes of memory on a GPU, as 24GB"),
    "--gpu-memory": ("--budget", "bytes of memory on a GPU, as 24GB"),
    "--eager-attention": ("--attn", "--attn eager"),
    "--flash-attention": ("--attn", "--attn flash"),
    "--gradient-checkpointing": ("--recompute", "--recompute full"),
    "--activation-checkpointing": ("--recompute", "--recompute full"),
    "--users": ("--batch", "sequences at a time"),
    "--max-num-seqs": ("--batch", "sequences at a time"),
    "--max-running-requests": ("--batch", "sequences at a time"),
    "--max-batch-size": ("--batch", "sequences at a time"),
    "--requests": ("--batch", "sequences at a time"),
    "--enable-expert-parallel": ("--ep", "GPUs that share out the experts"),
    "--data-parallel-size": ("--attention-dp", "groups of GPUs that attend for a share of the batch each"),
    "--enable-dp-attention": ("--attention-dp", "groups of GPUs that attend for a share of the batch each"),
    "--dp": ("--gpus", "all GPUs: data parallelism takes what --tp, --pp and --cp leave"),
    "--fsdp": ("--zero", "--zero 3"),
    "--activations": ("--set", "--set activations=textbook"),
    "--speculative-num-steps": ("--draft", "tokens drafted in a step"),
    "--num-speculative-tokens": ("--draft", "tokens drafted in a step"),
    "--cost": ("--price", "USD per accelerator-hour"),
    "--dataset-tokens": ("--tokens", "training tokens"),
    "--param": ("--params", "parameters"),
    "--plan-file": ("--plan", "a plan's file"),
    "--verbose": ("--detail", "every row, table and note"),
    "--all": ("--detail", "every row, table and note"),
    "--full": ("--detail", "every row, table and note"),
    "--csv": ("--format", "--format csv"),
    "--markdown": ("--format", "--format markdown"),
    "--output-format": ("--format", "json, csv or markdown"),
    "--n-gpu-layers": ("--fit", "--engine llama.cpp --fit offload says how many layers fit"),
    "--num-layers-per-virtual-pipeline-stage": ("--virtual", "chunks of layers per stage: --set virtual=2"),
}
"""Flags whose meaning is near: the option of llmcx, and what it is."""


INSTEAD = {
    "--batch": (("--users", "users at once"), ("--global-batch", "sequences a step; --micro-batch is a GPU's")),
    "--seq": (("--prompt", "tokens in; --output is tokens out"),),
    "--prompt": (("--seq", "tokens of a sequence"),),
    "--tokens": (("--inference-tokens", "tokens served over the lifetime"), ("--output", "tokens out")),
    "--budget": (("--dollars", "USD"), ("--ram", "bytes of the machine's memory")),
}
"""What stands for one of our own options in a command that does not have it; the first that the command has."""


def respelled(args: Sequence[str], flags: Mapping[str, Any], settable: Collection[str]) -> list[str]:
    """The words of a command line with flags of other tools in llmcx's own spelling, and ``--set name=value`` as the flag that
    it stands for. ``flags`` are the command's, ``settable`` those of them that --set takes.

    >>> respelled(["gpt3", "--max-model-len", "8k", "--set", "head_dim=64"], {"--seq": 0, "--head-dim": 0}, {"--head-dim"})
    ['gpt3', '--seq', '8k', '--head-dim', '64']
    """
    out: list[str] = []
    todo = list(args)
    while todo:
        word = todo.pop(0)
        flag, equals, value = word.partition("=")
        if flag == "--":
            return [*out, word, *todo]
        if flag == "--set" and settable:
            if not equals:
                if not todo:
                    raise InputError("--set needs NAME=VALUE", field="set", allowed="NAME=VALUE")
                value = todo.pop(0)
            out += _setting(value, flags, settable)
            continue
        if flag.startswith("--") and flag not in flags:
            flag = flag.replace("_", "-")  # as trtllm-serve has them
            word = f"{flag}{equals}{value}"
        ours = SAME_FLAG.get(flag)
        ours = ours if ours in flags else ALSO_FLAG.get(flag, ours)
        if flag.startswith("-") and flag not in flags and ours in flags:
            if ours == "--preset" and not equals and todo and "--preset" in flags:
                out.append(todo.pop(0))  # theirs names a preset, a path or a repository
                continue
            word = f"{ours}{equals}{value}"
        out.append(word)
    return out


def _setting(text: str, flags: Mapping[str, Any], settable: Collection[str]) -> list[str]:
    name, equals, value = text.partition("=")
    flag = f"--{name.strip().replace('_', '-')}"
    if flag not in flags:
        known = sorted(each[2:].replace("-", "_") for each in settable)
        raise unknown_name("--set", name.strip(), known, field="set")
    if not equals:
        raise InputError(f"--set {name} has no value; write --set {name}=VALUE", field="set", value=text, allowed="NAME=VALUE")
    option = flags[flag]
    if getattr(option, "is_flag", False):
        if value not in ("true", "false"):
            raise InputError(f"--set {name} is {value!r}, but must be true or false", field=name, value=value)
        off = next(iter(getattr(option, "secondary_opts", ())), None)
        return [flag] if value == "true" else [off] if off else []
    return [flag, value]


def _having(flag: str, command: str) -> list[str]:
    """Up to three commands that have an option, the plan for ``command`` first."""
    from llmcx.cli import built
    from llmcx.cli.sweeping import names

    planned = [f"plan {each}" for each in built("plan").commands]
    first = [name for name in planned if name == f"plan {command}"]
    return [name for name in dict.fromkeys((*first, *names(), *planned)) if flag in _flags(name)][:3]


def _flags(name: str) -> Collection[str]:
    """The options of a command by its full name."""
    from llmcx.cli import built

    whole, _, part = name.partition(" ")
    found = built(whole)
    flags: Collection[str] = (found.commands[part] if part else found).flags
    return flags


def unknown(flag: str, flags: Collection[str], command: str) -> InputError:
    """The refusal of an option that ``command`` does not have: what means the same first, then what is spelt alike."""
    long = flag.partition("=")[0]
    near, what = LIKE.get(long, ("", ""))
    near = SAME_FLAG.get(long, near or ALSO_FLAG.get(long, ""))
    if near not in flags:
        near, what = next((each for each in INSTEAD.get(near or long, ()) if each[0] in flags), (near, what))
    known = sorted(each for each in flags if each.startswith("--"))
    if near in flags:
        meaning = f" ({what})" if what else ""
        return InputError(f"llmcx {command} has no {long}; did you mean {near}{meaning}?", field=long, value=long, nearest=[near])
    if others := _having(near or long, command):
        problem = f"llmcx {command} has no {long}; {near or long} is an option of llmcx {' and '.join(others)}"
        return InputError(problem, field=long, value=long)
    error = unknown_name(f"option of llmcx {command}", long, known, field=long)
    if not error.nearest:
        return InputError(
            f"llmcx {command} has no {long}; `llmcx {command} --help-all` lists what it has", field=long, value=long
        )
    return InputError(
        f"llmcx {command} has no {long}; did you mean {' or '.join(error.nearest)}?",
        field=long,
        value=long,
        nearest=error.nearest,
    )
