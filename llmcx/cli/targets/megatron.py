"""Megatron-LM's command line: pretrain_gpt.py with the arguments of Megatron Core 0.16.1 (presets/flags/megatron.txt)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmcx.answers.check import Read
from llmcx.cli.launching import bad, flags
from llmcx.cli.targets import Job, hint
from llmcx.cli.targets.launcher import Started, torchrun, wrapped
from llmcx.cli.targets.megatron_model import Values, shaped, stated
from llmcx.errors import InputError, shown, unknown_name
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import stages

SCRIPT = re.compile(r"pretrain_\w+\.py")
SHARDING = {"no_shard": 0, "optim": 1, "optim_grads": 2, "optim_grads_params": 3}
OPTIMIZERS = {"adam": "adam", "sgd": "momentum", "muon": "muon"}
STOPS: tuple[str, ...] = (
    "--optimizer-cpu-offload",
    "--cpu-offloading-num-layers",
    "--yaml-cfg",
    "--heterogeneous-layers-config-path",
)
STOPS += ("--heterogeneous-layers-config-encoded-json", "--use-checkpoint-args", "--hybrid-override-pattern", "--is-hybrid-model")
STOPS += ("--mtp-num-layers", "--experimental-attention-variant", "--fine-grained-activation-offloading", "--perform-rl-step")
"""Arguments with which the counts would be of something else."""


def written(job: Job, hardware: str | None) -> str:
    """The line, in one that a shell runs. Raises InputError for what the arguments do not say."""
    assert job.spec is not None and job.gpus is not None and job.seq is not None  # of what is emitted all is known
    layout = job.layout(job.gpus)
    model = shaped(job.spec, layout.tp)
    words = [*torchrun(job.gpus), "pretrain_gpt.py", *model]
    if not any(word.startswith("--max-position-embeddings") for word in model):
        words.append(f"--max-position-embeddings {job.seq}")
    words += [f"--seq-length {job.seq}", f"--micro-batch-size {layout.micro_batch}", f"--global-batch-size {job.batch(layout)}"]
    words += [f"--train-iters {job.steps}"] if job.steps else []
    words += [*_precision(job), *_layout(job, layout), *_recompute(layout)]
    words += [f"--attention-backend {'unfused' if job.attention == 'eager' else 'flash'}"]
    words += ["--attention-dropout 0", "--hidden-dropout 0", "--lr 1e-4", "--tokenizer-type NullTokenizer", "--mock-data"]
    asked = hint(job, hardware)
    note = "# the data, the tokenizer and --lr stand for yours"
    one = "export CUDA_DEVICE_MAX_CONNECTIONS=1\n" if max(layout.tp, layout.cp) > 1 and layout.zero < 2 else ""
    return f"# llmcx check: {asked}\n{note}\n{one}{wrapped(words)}"


def _precision(job: Job) -> Iterator[str]:
    yield "--fp16" if job.dtype == "fp16" else "--bf16"
    if job.dtype == "fp8":
        yield "--fp8-format hybrid"
    elif job.dtype == "fp4":
        yield "--fp4-format e2m1"
    elif job.dtype not in (None, "bf16", "fp16"):
        raise InputError(f"Megatron-LM multiplies in bf16, fp16, fp8 or fp4, not in {job.dtype}", field="compute_dtype")


def _layout(job: Job, layout: Layout) -> Iterator[str]:
    assert job.spec is not None
    for flag, size in (("--tensor-model-parallel-size", layout.tp), ("--context-parallel-size", layout.cp)):
        yield from (f"{flag} {size}",) if size > 1 else ()
    if layout.tp > 1 and layout.sequence:
        yield "--sequence-parallel"
    yield from _pipeline(job, layout)
    if layout.ep > 1 or (job.spec.mixtures and layout.tp > 1):
        yield f"--expert-model-parallel-size {layout.ep}"
        yield f"--expert-tensor-parallel-size {layout.expert_tp}"
    if job.spec.mixtures:
        yield "--moe-grouped-gemm"
        yield "--moe-token-dispatcher-type alltoall"
    yield from _sharing(layout.zero)


def _sharing(zero: int) -> Iterator[str]:
    """What is shared out among data-parallel GPUs."""
    if zero:
        yield "--use-distributed-optimizer"
        yield "--overlap-grad-reduce"
        yield "--overlap-param-gather"
    if zero > 1:
        strategy = next(name for name, level in SHARDING.items() if level == zero)
        yield f"--use-megatron-fsdp --data-parallel-sharding-strategy {strategy}"
        yield "--no-gradient-accumulation-fusion --ckpt-format fsdp_dtensor"


def _pipeline(job: Job, layout: Layout) -> Iterator[str]:
    """Stages. Layers that do not divide are stated stage by stage, or leave room for the embedding and the head."""
    assert job.spec is not None
    if layout.pp == 1:
        return
    yield f"--pipeline-model-parallel-size {layout.pp}"
    n, chunks = job.spec.n_layers, layout.pp * layout.virtual
    if layout.virtual > 1:
        yield f"--num-virtual-stages-per-pipeline-rank {layout.virtual}"
        spare = chunks - n
        if spare == 2:
            yield "--account-for-embedding-in-pipeline-split --account-for-loss-in-pipeline-split"
        elif n % chunks:
            problem = f"{n} layers do not divide into {chunks} chunks; give --pp and --set virtual= whose product divides {n}"
            raise InputError(f"Megatron-LM: {problem}", field="virtual", value=layout.virtual)
    elif n % layout.pp:
        sizes = [stage.layers for stage in stages(job.spec.runs, layout.pp)]
        yield f'--pipeline-model-parallel-layout "E{"|".join(f"t*{size}" for size in sizes)}L"'


def _recompute(layout: Layout) -> Iterator[str]:
    if layout.recompute == "full":
        yield "--recompute-granularity full --recompute-method uniform --recompute-num-layers 1"
    elif layout.recompute == "selective":
        yield "--recompute-granularity selective --recompute-modules core_attn"
    elif layout.recompute == "elementwise":
        problem = "Megatron-LM recomputes modules, not all that is elementwise; give --recompute selective or full"
        raise InputError(problem, field="recompute", value="elementwise")


SETTABLE = ("micro_batch", "zero", "recompute", "tp", "pp", "cp")
"""What a change may set."""


def says(layout: Layout, layers: int) -> bool:
    """Whether the arguments have words for a layout."""
    chunks = layout.pp * layout.virtual
    return layout.recompute != "elementwise" and (layout.virtual == 1 or layers % chunks == 0 or chunks == layers + 2)


def spelt(changed: Mapping[str, Any], layout: Layout) -> str:
    """A change as arguments."""
    words = []
    flags_of = {"micro_batch": "--micro-batch-size", "tp": "--tensor-model-parallel-size"}
    flags_of |= {"pp": "--pipeline-model-parallel-size", "cp": "--context-parallel-size"}
    for name, value in changed.items():
        if name in flags_of:
            words.append(f"{flags_of[name]} {value}")
        elif name == "zero":
            words += [each for each in _sharing(value) if not each.startswith("--overlap")]
        elif name == "recompute":
            words += _recompute(layout)
    if changed.keys() <= {"dp", "zero", "recompute"} and "dp" in changed:
        words.insert(0, f"on {layout.gpus} GPUs")
    if changed.get("tp", 1) > 1:
        words.append("--sequence-parallel")
    return " ".join(words)


# --- the way back ------------------------------------------------------------------------------------------------------------


def read(of: Started) -> Job:
    """The job of a command line. Raises InputError for what Megatron-LM does not have, and for what contradicts itself."""
    values, given = arguments(of.arguments)
    for flag in STOPS:
        if flag in values or any(each.flag == flag for each in given):
            raise bad(f"{flag} is not counted, and changes what a GPU holds; ask without it", flag)
    tp = _size(values, "--tensor-model-parallel-size", 1)
    degrees: dict[str, Any] = {"tp": tp, "pp": _size(values, "--pipeline-model-parallel-size", 1)}
    degrees |= {"cp": _size(values, "--context-parallel-size", 1), "micro_batch": _size(values, "--micro-batch-size", 0)}
    if not degrees["micro_batch"]:
        raise bad("the line states no --micro-batch-size, which Megatron-LM asks for; add it")
    if tp > 1 and "--sequence-parallel" not in values:
        degrees["sequence"] = False
    degrees |= {"ep": _size(values, "--expert-model-parallel-size", 1), "zero": _zero(values)}
    degrees["recompute"], unsure = _recomputed(values)
    seq = _size(values, "--seq-length", 0) or None
    spec = stated(values) if "--num-layers" in values else None
    degrees["virtual"] = _virtual(values, degrees["pp"], spec.n_layers if spec else None)
    steps = _size(values, "--train-iters", 0) or None
    narrow = "fp8" if values.get("--fp8-format") else "fp4" if values.get("--fp4-format") else None
    half = "--bf16" in values or "--fp16" in values
    if "--bf16" in values and "--fp16" in values:
        raise bad("--bf16 and --fp16 contradict each other; give one")
    if narrow and not half:
        raise bad(f"--{narrow}-format counts only with --bf16; add it")
    drop = any(float(values.get(flag) or 0.1) > 0 for flag in ("--attention-dropout", "--hidden-dropout"))
    job = Job(
        "megatron",
        degrees,
        of.gpus,
        seq,
        _size(values, "--global-batch-size", 0) or None,
        steps=steps,
        spec=spec,
        dtype=narrow or ("fp16" if "--fp16" in values else None),
        precision=("mixed" if "--grad-reduce-in-bf16" in values else "megatron") if half else "fp32",
        optimizer=_word(values, "--optimizer", OPTIMIZERS, "adam"),
        attention="eager" if values.get("--attention-backend") in ("unfused", "local") else "flash",
        dropout=drop,
        unsure=unsure,
        fused_loss="--cross-entropy-loss-fusion" in values,
        given=given,
    )
    if of.gpus is not None:
        _experts(values, job.layout(of.gpus))
    return job


def arguments(words: list[str]) -> tuple[dict[str, str | None], tuple[Read, ...]]:
    """The arguments that are read, by flag, and all as they were understood. Raises InputError for one that there is not."""
    known, todo = flags("megatron"), list(words)
    values: dict[str, str | None] = {}
    given: list[Read] = []
    while todo:
        word = todo.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            raise bad(f"{shown(word)} is no argument of Megatron-LM, and no value of the one before it", word)
        if name not in known:
            raise unknown_name("argument of Megatron-LM", name, list(known), field="line")
        takes, effect = known[name]
        text: str | None = value if equals else None
        if takes and not equals:
            taken: list[str] = []
            most = 1 if takes == "=" else len(todo)
            while todo and len(taken) < most and (not todo[0].startswith("--")):
                taken.append(todo.pop(0))
            if not taken and takes != "?":
                raise bad(f"{name} of Megatron-LM needs a value", name)
            text = " ".join(taken) or None
        elif equals and not takes:
            raise bad(f"{name} of Megatron-LM takes no value, and has {shown(value)}", word)
        if effect == "read":
            if text is not None and "$" in text:
                raise bad(f"{name} is {shown(text)}, which the text does not set; write its value", text)
            if name in values and values[name] != text:
                raise bad(f"{name} {values[name]} and {name} {text} contradict each other", f"{name} {text}")
            values[name] = text
        given.append(Read(name, text, "counted" if effect == "read" else effect))
    return values, tuple(given)


def _size(values: Values, flag: str, default: int) -> int:
    text = values.get(flag)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,15}", text) or int(text) < 1:
        raise bad(f"{flag} is {shown(text)}, but must be a whole number of at least 1", text)
    return int(text)


def _word(values: Values, flag: str, allowed: dict[str, str], default: str) -> str:
    text = values.get(flag) or default
    if text not in allowed:
        raise bad(f"{flag} {text} is not counted; counted are {', '.join(allowed)}", text)
    return allowed[text]


def _zero(values: Values) -> int:
    """How much is shared out among data-parallel GPUs."""
    if "--use-torch-fsdp2" in values:
        return 2 if "--torch-fsdp2-no-reshard-after-forward" in values else 3
    if "--use-megatron-fsdp" in values:
        text = values.get("--data-parallel-sharding-strategy") or "no_shard"
        if text not in SHARDING:
            raise unknown_name("--data-parallel-sharding-strategy", text, list(SHARDING), field="line")
        return SHARDING[text]
    return 1 if "--use-distributed-optimizer" in values else 0


def _recomputed(values: Values) -> tuple[str | None, str]:
    """What is recomputed, or why that is not counted."""
    granularity = values.get("--recompute-granularity") or ("selective" if "--recompute-activations" in values else None)
    if granularity is None:
        return "none", ""
    if granularity == "selective":
        modules = (values.get("--recompute-modules") or "core_attn").split()
        if modules != ["core_attn"]:
            return None, f"--recompute-modules {' '.join(modules)} is not counted, but for core_attn"
        return "selective", ""
    if granularity != "full":
        raise unknown_name("--recompute-granularity", granularity, ["full", "selective"], field="line")
    method, layers = values.get("--recompute-method"), values.get("--recompute-num-layers") or "1"
    if method is None:
        raise bad("--recompute-granularity full needs --recompute-method uniform or block, which Megatron-LM asks for; add it")
    if (method, layers) != ("uniform", "1"):
        return None, f"--recompute-method {method} --recompute-num-layers {layers} is not counted, but for uniform and 1"
    return "full", ""


def _virtual(values: Values, pp: int, layers: int | None) -> int:
    """Chunks of layers on a stage."""
    stated_ = _size(values, "--num-virtual-stages-per-pipeline-rank", 0)
    each = _size(values, "--num-layers-per-virtual-pipeline-stage", 0)
    text = values.get("--pipeline-model-parallel-layout")
    if text is not None:
        _even(text, pp, layers)
    spare = sum(f"--account-for-{end}-in-pipeline-split" in values for end in ("embedding", "loss"))
    if each and layers is not None:
        if (layers + spare) % (pp * each):
            problem = f"{layers} layers on {pp} stages do not divide into chunks of {each}"
            raise bad(f"--num-layers-per-virtual-pipeline-stage {each}: {problem}", str(each))
        return (layers + spare) // (pp * each)
    virtual = stated_ or 1
    if layers is not None and text is None and (layers + spare) % (pp * virtual):
        how = f"{pp * virtual} {'chunks' if virtual > 1 else 'stages'}"
        raise bad(f"{layers} layers do not divide into {how}, which Megatron-LM refuses; give --pipeline-model-parallel-layout")
    return virtual


def _even(text: str, pp: int, layers: int | None) -> None:
    """Refuse a layout of stages other than that in which the first ones have a layer more."""
    sizes = [int(size) for size in re.findall(r"t\*(\d+)", text)]
    plain = re.fullmatch(r"Et\*\d+(?:\|t\*\d+)*L", text) is not None and len(sizes) == pp
    if not plain or sizes != sorted(sizes, reverse=True) or sizes[0] - sizes[-1] > 1 or (layers or sum(sizes)) != sum(sizes):
        counted = "counted are stages of equally many layers, the first ones of one more"
        raise bad(f"--pipeline-model-parallel-layout {shown(text)} is not counted; {counted}", text)


def _experts(values: Values, layout: Layout) -> None:
    """Refuse experts that are cut otherwise than is counted."""
    text = values.get("--expert-tensor-parallel-size")
    cut = layout.tp if text is None else int(text) if text.isdecimal() else 0
    if "--num-experts" in values and cut != layout.expert_tp:
        flag = f"--expert-tensor-parallel-size {text}" if text else "no --expert-tensor-parallel-size"
        problem = f"{flag} with --expert-model-parallel-size {layout.ep}: counted is {layout.expert_tp} for these GPUs"
        raise bad(problem, text or "")
