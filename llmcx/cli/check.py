"""llmcx check."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, cast

from llmcx.answers import check as answers
from llmcx.answers import require as requirements
from llmcx.answers import serve as serving_answers
from llmcx.cli import launching
from llmcx.cli.accelerator import Limit, serving, settled, with_memory
from llmcx.cli.check_train import Stated, checked, refuse
from llmcx.cli.launching import Launch, bad
from llmcx.cli.models import Models, describe
from llmcx.cli.options import argument, command, completing, explaining, heading, option, single
from llmcx.cli.targets.reading import read
from llmcx.engines import Engine
from llmcx.engines import efficiency as efficiencies
from llmcx.engines import engine as engine_of
from llmcx.engines.serving_time import Server, Setup
from llmcx.engines.vllm_lines import NEWEST
from llmcx.errors import InputError, check_size, shown
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec, sequence_length
from llmcx.parallel.layout import Layout
from llmcx.report.render import Answer, Item

app = single()

LARGEST = 2**20
"""Bytes of a file with a launch line."""
QUANTIZATIONS = {
    **dict.fromkeys(("awq", "awq_marlin", "awq-marlin", "moe_wna16"), "awq"),
    **dict.fromkeys(("gptq", "gptq_marlin", "gptq_marlin_24", "gptq-marlin", "auto-gptq", "w4a16"), "gptq"),
    **dict.fromkeys(("bitsandbytes", "nf4"), "nf4"),
    **dict.fromkeys(("fp8", "fbgemm_fp8", "ptpc_fp8", "modelopt", "modelopt_fp8", "w8a8_fp8", "fp8_per_tensor"), "fp8"),
    **dict.fromkeys(("modelopt_fp4", "nvfp4", "petit_nvfp4"), "nvfp4"),
    **dict.fromkeys(("w8a8_int8", "int8", "experts_int8"), "int8"),
    **dict.fromkeys(("mxfp4", "gpt_oss_mxfp4"), "mxfp4"),
}
"""--quantization of vLLM and SGLang -> a format of weights, where a checkpoint does not state its own."""
OF_CHECKPOINT = ("compressed-tensors", "compressed_tensors", "quark", "auto-round", "none", "None", "gguf", "auto", "hqq", "inc")
"""Values that leave it to the checkpoint."""
CACHES = {
    **dict.fromkeys(("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc"), "fp8"),
    **dict.fromkeys(("bfloat16", "bf16"), "bf16"),
    **dict.fromkeys(("float16", "fp16", "half", "f16"), "fp16"),
    **dict.fromkeys(("f32", "float32"), "fp32"),
}
SIXTEEN = ("auto", "half", "float16", "bfloat16")
NONE = Models()


@command(app, "check", without=("plot",))
def check(
    line: Annotated[str | None, argument("What launches a server or trains; or a file with it; - is stdin.", "[LINE]")] = None,
    models: Models = NONE,
    hardware: Annotated[
        str | None, option("What it runs on: h100, 8xh200, rtx-4090, FILE.yaml, auto.", offers=completing("hardware"))
    ] = None,
    budget: Annotated[
        int | None, option("Bytes of memory on each GPU, in place of the accelerator's: 24GB.", reads="size")
    ] = None,
    prompt: Annotated[int | None, option("Tokens in, for the times. Default: 1024.", reads="length")] = None,
    output: Annotated[int | None, option("Tokens out, for the times. Default: 1024.", reads="length")] = None,
    batch: Annotated[int | None, option("Users at once, for the times. Default: one, and as many as fit.", reads="count")] = None,
    dtype: Annotated[
        str | None,
        option(
            "Of the weights. Default: as the line, the model's name or its files say.",
            offers="formats.dtypes:BITS formats.quant:SCHEMES formats.gguf:MIXES",
        ),
    ] = None,
    require: Annotated[
        str | None,
        option("Exit 1 unless it holds: 'fits and tpot<40ms'; also ttft, users, tokens, headroom.", reads="text", metavar="TEXT"),
    ] = None,
    all_: Annotated[bool, option("Every line that llmcx.toml lists, in place of LINE.", "--all", reads="flag")] = False,
    file: Annotated[str | None, option("That file, by another name.", reads="text", metavar="FILE", needs="all_")] = None,
    against: Annotated[
        str | None,
        option(
            "An earlier --all --json, or another llmcx.toml: what changed, and why.", reads="text", metavar="FILE", needs="all_"
        ),
    ] = None,
    gpus: Annotated[int | None, option("All GPUs, where the file does not say.", reads="count", group="Training")] = None,
    seq: Annotated[
        int | None, option("Tokens of a sequence, where the file does not say.", reads="length", group="Training")
    ] = None,
    micro_batch: Annotated[
        int | None, option("Sequences at a time on a GPU, where the file does not say.", reads="count", group="Training")
    ] = None,
    global_batch: Annotated[
        int | None, option("Sequences per step, where the file does not say.", reads="count", group="Training")
    ] = None,
    recompute: Annotated[
        str | None, option("none or full, where the file does not say.", offers="none full", group="Training")
    ] = None,
) -> Item | Answer:
    """A launch line or file: does it fit, for how many users, how fast, and what to change if not.

    The model is the one that the line names; name it after the line where that is no preset and not on disk. Training is read
    from Megatron-LM's line, torchtitan's TOML, accelerate's YAML and DeepSpeed's JSON; all from Slurm's scripts and Kubernetes'
    manifests too.

    \b
    llmcx check 'vllm serve Qwen/Qwen3-32B --max-model-len 32k' --hardware h100
    llmcx check launch.sh --hardware 8xh200 --require 'fits and tpot<40ms'
    llmcx check 'llama-server -m qwen3-8b-q4_k_m.gguf -c 16384' --hardware 4090
    llmcx serve qwen3-32b --emit vllm | llmcx check -
    llmcx check --all --against main.json --format markdown
    """
    if require is not None:
        requirements.terms(require)
    if all_:
        if line is not None or models.model is not None or models.shape():
            raise InputError(
                "--all checks the lines of a file, each with its own model; leave out the line and the model", field="all"
            )
        from llmcx.cli import budget as repository

        given = {"hardware": hardware, "budget": budget, "prompt": prompt, "output": output, "batch": batch}
        given |= {"dtype": dtype, "require": require, "gpus": gpus, "seq": seq}
        given |= {"micro_batch": micro_batch, "global_batch": global_batch, "recompute": recompute}
        return repository.checked(file, against, {name: value for name, value in given.items() if value is not None})
    if line is None:
        raise bad("no launch line is given; name one in quotes, a file with it, or --all for those of llmcx.toml")
    held = read(_text(line))
    of_training = Stated(hardware, budget, gpus, seq, micro_batch, global_batch, recompute)
    if held.job is not None:
        refuse({"prompt": prompt, "output": output, "batch": batch, "dtype": dtype}, "the file trains")
        return checked(held.job, models, of_training, line, require)
    refuse({name: value for name, value in vars(of_training).items() if name not in ("hardware", "budget")}, "the line serves")
    launch = launching.read(held.text)
    launch.visible = held.gpus if launch.visible is None else launch.visible
    more = _stated(launch.asked)
    hardware = hardware if hardware is not None else more.get("hardware")
    prompt = prompt if prompt is not None else _whole(more, "prompt")
    output = output if output is not None else _whole(more, "output")
    batch = batch if batch is not None else _whole(more, "batch")
    budget = budget if budget is not None else _whole(more, "budget")
    dtype = dtype if dtype is not None else more.get("dtype")
    if hardware is None:
        problem = "what it runs on is not said; give --hardware h100, 8xh200, rtx-4090, ..., or auto for this machine's"
        raise InputError(problem, field="hardware")
    engine, said = _version(launch, more.get("engine"))
    models, named = _named(models, launch)
    spec, shape, notes = models.load()
    asked, within, chunk = _asked(launch, spec, hardware, budget, dtype, engine)
    assert within.bytes is not None and within.hardware is not None  # there is always an accelerator here
    check_size("batch", batch)
    load = _load(asked.seq, prompt, output, chunk)
    machine = with_memory(within.hardware, within.bytes)
    server, words = _server(spec, machine, asked)
    cost, dated = efficiencies.price(machine, None)
    seen = within.hardware.memory_bytes if asked.engine.name != "vllm" else within.hardware.visible_bytes
    full = int(seen * answers.FULL) if asked.engine.name == "vllm" and within.utilization < answers.FULL and not budget else None
    flags = [answers.Read(*each) for each in launch.given]
    found = answers.check(
        spec, asked, within.bytes, server=server, load=load, batch=batch, usd_per_hour=cost, full=full, flags=flags
    )
    if require is not None:
        found = answers.required(found, require)
    inputs: dict[str, Any] = {"line": line, "engine": asked.engine.name, "hardware": within.hardware.name, "budget": within.bytes}
    inputs |= {
        "utilization": within.utilization,
        "seq": asked.seq,
        "dtype": _format(spec, asked.dtype),
        "kv_dtype": asked.kv_dtype,
    }
    inputs |= {"tp": asked.layout.tp, "pp": asked.layout.pp, "ep": asked.layout.ep, "attention_dp": asked.layout.attention_dp}
    inputs |= {"prompt": load.prompt, "output": load.output, "batch": batch, "require": require, **shape}
    about = [
        *named,
        *said,
        *(asked.engine.notes() if "@" in engine else []),
        *_understood(launch),
        *notes,
        *(words if found.estimate else []),
        *(dated if found.estimate else []),
    ]
    lines = explaining("check", spec, asked, server, load, cost, found)
    return Item(describe(spec), inputs, found, about, lines, head=heading("check", spec, inputs, found))


def _text(line: str) -> str:
    """The text that an argument is, or the file that it names; "-" is stdin. Raises InputError."""
    if line == "-":
        if sys.stdin is None:
            raise bad("stdin is closed, so there is nothing to read from it")
        return str(sys.stdin.read(LARGEST))
    if "\n" in line or not os.path.isfile(line):
        return line
    try:
        with open(line, "rb") as file:
            raw = file.read(LARGEST)
        return raw.decode("utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
    except OSError as error:
        raise bad(f"{line} cannot be read: {error.strerror}", line) from None
    except UnicodeDecodeError:
        raise bad(f"{line} is not a text file, but must hold a launch line", line) from None


STATED = ("hardware", "prompt", "output", "batch", "budget", "dtype", "engine")


def _stated(words: Sequence[str]) -> dict[str, str]:
    """Options that a comment in the text states."""
    out = {}
    for flag, value in zip(words[::2], words[1::2], strict=False):
        if flag.removeprefix("--") not in STATED:
            raise bad(f"the comment `# llmcx check:` has {shown(flag)}; what it may have is --{', --'.join(STATED)}", flag)
        out[flag.removeprefix("--")] = value
    return out


def _whole(stated: dict[str, str], name: str) -> int | None:
    from llmcx import units

    if name not in stated:
        return None
    reads = {"budget": units.size, "batch": units.count}.get(name, units.length)
    return reads(stated[name], f"--{name}")


def _named(models: Models, launch: Launch) -> tuple[Models, list[str]]:
    """The model: what is named after the line, else what the line names; and what is to be said of that."""
    if models.model is not None or models.shape():
        return models, []
    given = launch.value("hf") or launch.value("preset")
    name = launch.model or (given and given.value)
    if name is None:
        raise bad(f"the line names no model to {launching.NAMES[launch.engine]}; name one after it, or in it")
    repo = name.partition(":")[0] if launch.value("hf") else name
    from llmcx.catalog.named import preset_of
    from llmcx.catalog.presets import aliases

    if os.path.exists(repo) or repo.lower() in aliases():
        return replace(models, model=cast(Any, repo)), []
    preset = preset_of(repo)
    if preset is not None:
        said = [] if preset == repo else [f"the line serves {name}, whose shape is taken from the preset {preset}"]
        return replace(models, model=cast(Any, preset)), said
    try:
        found = replace(models, model=cast(Any, repo))
        found.load()
    except InputError as error:
        problem = f"the line serves {name}, which is no preset and no file here; name its config.json or a preset after the line"
        raise InputError(problem, field="model", value=name, nearest=error.nearest) from None
    return found, []


def _number(launch: Launch, what: str, default: int | None = None, metric: bool = False) -> int | None:
    """A whole number that a flag gives; with ``metric``, as vLLM reads 32k (32,000) and 32K (32,768)."""
    given = launch.value(what)
    if given is None or given.value is None:
        return default
    text = given.value.strip()
    scale = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30} if metric else {}
    try:
        if text[-1:] in scale:
            return int(float(text[:-1]) * scale[text[-1]])
        return int(text)
    except ValueError:
        raise bad(f"{given.flag} is {shown(text)}, but must be a whole number", text) from None


def _degree(launch: Launch, what: str) -> int:
    found = _number(launch, what, 1)
    given = launch.value(what)
    if found is None or found < 1:
        raise bad(f"{given.flag if given else what} is {found}, but must be at least 1")
    return found


def _layout(launch: Launch, spec: ModelSpec) -> tuple[Layout, int]:
    """How the GPUs share the model, and in how many copies."""
    tp, pp, dp = _degree(launch, "tp"), _degree(launch, "pp"), _degree(launch, "replicas")
    if launch.engine == "vllm":
        if not spec.mixtures or dp == 1:
            ep = tp if launch.value("spread") is not None and spec.mixtures else 1
            return Layout(tp=tp, pp=pp, ep=ep, sequence=False), dp
        # of a mixture all GPUs share the experts, and groups of them attend for a share of the batch each
        ep = tp * dp if launch.value("spread") is not None else 1
        return Layout(tp=tp * dp, pp=pp, ep=ep, attention_dp=dp, sequence=False), 1
    if launch.engine == "sglang":
        ep = _degree(launch, "ep")
        if launch.value("attention_dp") is not None:
            return Layout(tp=tp, pp=pp, ep=ep, attention_dp=dp, sequence=False), 1
        return Layout(tp=tp, pp=pp, ep=ep, sequence=False), dp
    return Layout(tp=tp, pp=pp, ep=_degree(launch, "ep"), sequence=False), 1


def _asked(
    launch: Launch, spec: ModelSpec, hardware: str, budget: int | None, dtype: str | None, engine: str
) -> tuple[answers.Asked, Limit, int | None]:
    """What the line asks for, of which memory, and the tokens of a step that it states."""
    layout, replicas = _layout(launch, spec)
    chunk = _number(launch, "max_num_batched_tokens", metric=launch.engine == "vllm")
    chunk = None if chunk is not None and chunk <= 0 else chunk  # -1 of SGLang: prompts are not cut
    sizes: dict[str, Any] = {"max_num_batched_tokens": chunk, "block": _number(launch, "block")}
    limit = _number(launch, "users")
    if launch.engine in ("vllm", "sglang"):
        sizes["max_num_seqs"] = _number(launch, "max_num_seqs")
        limit = sizes["max_num_seqs"] if launch.engine == "vllm" else limit
    if launch.engine == "llama.cpp":
        attn = launch.value("attn")
        off = attn is not None and attn.value in ("off", "0")
        sizes = {"ubatch": _number(launch, "ubatch"), "swa_full": True if launch.value("swa_full") else None}
        sizes["attn"] = "eager" if off else None
        _no_host(launch, spec)
    said = launch.value("max_num_seqs" if launch.engine == "vllm" else "users")
    if limit is not None and limit < 1 and launch.engine != "llama.cpp":
        raise bad(f"{said.flag if said else ''} is {limit:,}, but must be at least 1")
    share = launch.value("utilization")
    utilization = None
    if share is not None and share.value is not None:
        try:
            utilization = float(share.value)
        except ValueError:
            raise bad(f"{share.flag} is {shown(share.value)}, but must be a share such as 0.9", share.value) from None
    within, program = serving(engine, hardware, budget, utilization, sizes)
    if launch.engine == "llama.cpp" and budget is None and utilization is None:
        within, program = serving(launch.engine, hardware, None, 1.0, sizes)  # it takes what it needs of all
        if (within.number or 1) > 1 and not _alone(launch):
            layout = Layout(pp=min(within.number or 1, spec.n_layers), sequence=False)
    need = layout.gpus * replicas
    there = launch.visible if launch.visible is not None else within.number
    if there is not None and need > there:
        whose = f"--hardware {hardware} names" if launch.visible is None else "the line shows it"
        raise bad(f"the line asks for {need:,} GPUs ({_degrees(launch)}), but {whose} {there:,}")
    within, program = settled(within, program, spec, layout.gpus, budget, utilization, sizes)
    kv = _cache(launch, spec)
    program = program.caching(kv)
    stored = dtype or _weights(launch, spec)
    length = _number(launch, "seq", metric=launch.engine == "vllm")
    if launch.engine == "llama.cpp":
        users = limit if limit is not None and limit > 0 else 1
        total = length or sequence_length(spec, None)
        if total < users:
            raise bad(f"--ctx-size {total:,} is less than a token for each of --parallel {users:,}")
        return answers.Asked(total // users, stored, kv, layout, program, users, users, replicas, there), within, None
    if length is not None and length <= 0:
        length = _longest(spec, stored, kv, layout, program, within)
    seq = sequence_length(spec, length)
    if length is not None and spec.context is not None and length > spec.context and launch.engine == "vllm":
        allowed = launch.environment.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN") == "1"
        if not allowed and "--hf-overrides" not in launch.of("apart") and "--rope-scaling" not in launch.of("apart"):
            problem = f"--max-model-len is {length:,}, but {spec.title or spec.name} has a context of {spec.context:,}"
            raise bad(f"{problem}; vLLM refuses that unless --hf-overrides stretches it")
    if chunk is not None and launch.engine == "vllm" and "--no-enable-chunked-prefill" in launch.of("apart") and chunk < seq:
        raise bad(f"--max-num-batched-tokens {chunk:,} is less than --max-model-len {seq:,} without chunked prefill")
    return answers.Asked(seq, stored, kv, layout, program, 1, limit, replicas, there), within, chunk


def _degrees(launch: Launch) -> str:
    names = [launch.value(what) for what in ("tp", "pp", "replicas")]
    return " ".join(f"{each.flag} {each.value}" for each in names if each is not None)


def _alone(launch: Launch) -> bool:
    split = launch.value("split")
    return split is not None and split.value == "none"


def _no_host(launch: Launch, spec: ModelSpec) -> None:
    """Refuse what keeps a part of the model in the host's memory: how much is another command's question."""
    layers, experts = launch.value("gpu_layers"), launch.value("host_experts")
    few = layers is not None and str(layers.value).lstrip("-").isdecimal() and 0 <= int(str(layers.value)) <= spec.n_layers
    if few or (experts is not None and experts.value != "0") or launch.value("host_all") is not None:
        how = f"`llmcx memory {spec.name} --engine llama.cpp --fit offload` says what fits where"
        raise bad(f"the line leaves a part of the model in the host's memory, which is not checked here; {how}")


def _longest(spec: ModelSpec, dtype: str, kv: str, layout: Layout, program: Engine, within: Limit) -> int:
    """The longest length of which one sequence fits, which vLLM finds for --max-model-len auto."""
    from llmcx.answers.fit import fitted

    assert within.bytes is not None
    asked = {"batch": 1, "seq": 1, "dtype": dtype, "layout": layout}
    _, found = fitted("seq", spec, within.bytes, asked, {"train": False, "kv_dtype": kv, "engine": program})
    return int(found["seq"])


def _weights(launch: Launch, spec: ModelSpec) -> str:
    """The format of the weights: what the model's files say, else the flag, else the name."""
    from llmcx.catalog.named import format_of

    given = launch.value("dtype")
    by_flag = None
    if given is not None and given.value is not None and given.value not in OF_CHECKPOINT:
        by_flag = QUANTIZATIONS.get(given.value)
        if by_flag is None:
            known = ", ".join(QUANTIZATIONS)
            raise bad(f"{given.flag} {given.value} is not known; known: {known}; or say the format with --dtype", given.value)
    hf, file = launch.value("hf"), launch.value("file")
    name = str((file and file.value) or (hf and hf.value) or launch.model or "")
    by_name = format_of(name)
    if hf is not None and file is None and ":" not in name:
        by_name = by_name or "q4_k_m"  # what llama.cpp takes where no format is named
    quantised = spec.stored is not None and spec.stored.quantised
    if quantised and not (by_name and os.path.basename(name).lower() != spec.name.lower() and by_name[:3] != "fp8"):
        return dtypes.RELEASED
    if by_name and (by_flag is None or by_flag[:3] == by_name[:3] or by_name.startswith("gptq")):
        return by_name
    if by_flag:
        return by_flag
    plain = launch.value("plain")
    if plain is not None and plain.value in ("float32", "float"):
        return "fp32"
    if plain is not None and plain.value not in SIXTEEN and launch.engine != "llama.cpp":
        raise bad(f"--dtype is {shown(plain.value)}, but must be {', '.join(SIXTEEN)} or float32", str(plain.value))
    return dtypes.default(spec)


def _cache(launch: Launch, spec: ModelSpec) -> str:
    """The format of the cache."""
    given, values = launch.value("kv_dtype"), launch.value("values")
    if launch.engine == "llama.cpp" and (values.value if values else "f16") != (given.value if given else "f16"):
        raise bad("--cache-type-k and --cache-type-v differ (f16 where one is not given); both alike are counted")
    if given is None or given.value in (None, "auto"):
        stated = (spec.stored and spec.stored.cache) or "bf16"
        return "fp16" if launch.engine == "llama.cpp" else stated
    known = {**CACHES, **({name: name for name in dtypes.CACHE_BLOCKS} if launch.engine == "llama.cpp" else {})}
    if given.value not in known:
        raise bad(f"{given.flag} {given.value} is not known; known: auto, {', '.join(known)}", str(given.value))
    return known[given.value]


def _load(seq: int, prompt: int | None, output: int | None, chunk: int | None) -> serving_answers.Load:
    """What times are for: as many tokens in and out as are stated, else 1024 each, or half of a shorter length."""
    check_size("prompt", prompt)
    check_size("output", output)
    half = max(1, seq // 2)
    tokens = prompt if prompt is not None else min(1024, half)
    out = output if output is not None else min(1024, max(1, seq - tokens))
    if tokens + out > seq:
        raise InputError(
            f"--prompt {tokens:,} and --output {out:,} are more than the {seq:,} tokens of a sequence that the line states",
            field="prompt",
            value=tokens,
            allowed=f"{seq} together",
        )
    return serving_answers.Load(tokens, out, 0, chunk)


def _server(spec: ModelSpec, machine: Any, asked: answers.Asked) -> tuple[Server | None, list[str]]:
    """What says how long it takes, where that is known."""
    layout = asked.layout
    if layout.pp > 1:
        return None, ["times are not known of a model in pipeline stages"]
    name = spec.stored.name if asked.dtype == dtypes.RELEASED and spec.stored is not None else asked.dtype
    arithmetic = serving_answers.arithmetic(machine, name)
    bits, kv = serving_answers.weight_bits(spec, asked.dtype), 8 * dtypes.per_element(asked.kv_dtype)
    setup = Setup(layout.tp, layout.ep, bits, kv, arithmetic, layout.attention_dp)
    return serving_answers.estimator(spec, machine, setup, asked.engine, asked.dtype)


def _format(spec: ModelSpec, dtype: str) -> str:
    return spec.stored.name if dtype == dtypes.RELEASED and spec.stored is not None else dtype


def _version(launch: Launch, stated: str | None) -> tuple[str, list[str]]:
    """The engine with the version that a comment or an image's tag names, and what is to be said of one that is not known."""
    if stated is not None:
        if stated.partition("@")[0] != launch.engine:
            raise bad(f"the comment `# llmcx check:` has --engine {shown(stated)}, but the line launches {launch.engine}", stated)
        return stated, []
    if launch.engine != "vllm" or launch.version is None:
        newest = [f"as vLLM {NEWEST} plans: the line names no version, as an image's tag does"] if launch.engine == "vllm" else []
        return launch.engine, newest
    named = f"{launch.engine}@{launch.version}"
    try:
        engine_of(named)
    except InputError as error:
        return launch.engine, [error.message]
    return named, []


def _understood(launch: Launch) -> list[str]:
    """What was not counted, and what changes nothing."""
    notes = []
    if apart := launch.of("apart"):
        notes.append(f"not counted: {', '.join(apart)}")
    if harmless := launch.of("harmless"):
        notes.append(f"change neither memory nor time: {', '.join(harmless)}")
    return notes
