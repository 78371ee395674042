"""What a launch line asks for: lengths, degrees, formats, the share of the memory, and the version of its engine."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, NamedTuple

from llmcx.answers.launched import Asked, longest
from llmcx.cli.accelerator import Limit, serving, settled
from llmcx.cli.launch_more import drafted, kept_twice, notes, offloaded, pictured, slots
from llmcx.cli.launching import Launch, bad
from llmcx.engines import Engine
from llmcx.engines import engine as engine_of
from llmcx.engines.sglang import SGLang
from llmcx.engines.vllm import VLLM
from llmcx.engines.vllm_lines import NEWEST, read
from llmcx.errors import InputError, shown
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec, sequence_length
from llmcx.parallel.layout import Layout

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
TWO, FIRST = ((0, 8), (0, 10)), "0.7"
"""vLLM's versions that have both engines, and the last that has the first one by default."""
SIXTEEN = ("auto", "half", "float16", "bfloat16")


class Question(NamedTuple):
    """What a line asks for, of which memory, the tokens of a step that it states, and what is to be said of that."""

    asked: Asked
    within: Limit
    chunk: int | None
    notes: list[str]


def number(launch: Launch, what: str, default: int | None = None, metric: bool = False) -> int | None:
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
    found = number(launch, what, 1)
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
    divided = launch.value("attention_dp")
    groups = tp if divided is not None and divided.value == "true" else 1
    return Layout(tp=tp, pp=pp, ep=_degree(launch, "ep"), attention_dp=groups, sequence=False), 1


def asked_of(launch: Launch, spec: ModelSpec, hardware: str, budget: int | None, dtype: str | None, engine: str) -> Question:
    """What the line asks for."""
    layout, replicas = _layout(launch, spec)
    chunk = number(launch, "max_num_batched_tokens", metric=launch.engine == "vllm")
    chunk = None if chunk is not None and chunk <= 0 else chunk  # -1 of SGLang: prompts are not cut
    sizes: dict[str, Any] = {"max_num_batched_tokens": chunk, "block": number(launch, "block")}
    limit = number(launch, "users")
    if launch.engine in ("vllm", "sglang"):
        sizes["max_num_seqs"] = number(launch, "max_num_seqs")
        limit = sizes["max_num_seqs"] if launch.engine == "vllm" else limit
    if launch.engine == "llama.cpp":
        attn = launch.value("attn")
        off = attn is not None and attn.value in ("off", "0")
        sizes = {"ubatch": number(launch, "ubatch"), "swa_full": True if launch.value("swa_full") else None}
        sizes["attn"] = "eager" if off else None
        _no_host(launch, spec)
    said = launch.value("max_num_seqs" if launch.engine == "vllm" else "users")
    if limit is not None and limit < 1 and launch.engine != "llama.cpp":
        raise bad(f"{said.flag if said else ''} is {limit:,}, but must be at least 1")
    if limit is not None and launch.engine in ("vllm", "trtllm"):  # of each group that attends for itself
        limit *= layout.attention_dp
    elif limit is not None and launch.engine == "sglang":  # which shares it out among them
        if limit < layout.attention_dp:
            problem = (
                f"{said.flag if said else ''} is {limit:,}, which leaves {layout.attention_dp} groups that attend nothing each"
            )
            raise bad(problem, str(limit))
        limit -= limit % layout.attention_dp
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
    within, program = settled(within, program, spec, layout.gpus, budget, utilization, sizes, layout.tp)
    kv = _cache(launch, spec)
    program = program.caching(kv)
    stored = dtype or _weights(launch, spec)
    length = number(launch, "seq", metric=launch.engine == "vllm")
    if launch.engine == "llama.cpp":
        users = limit if limit is not None and limit > 0 else 1
        total = length or sequence_length(spec, None)
        if total < users:
            raise bad(f"--ctx-size {total:,} is less than a token for each of --parallel {users:,}")
        return Question(Asked(total // users, stored, kv, layout, program, users, users, replicas, there), within, None, [])
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
    draft, words = drafted(launch, spec)
    still = None
    if isinstance(program, VLLM):
        program = replace(program, eager=launch.value("eager") is not None)
        program, still, seen = pictured(launch, spec, seq, program)
        words += seen
    if isinstance(program, SGLang):
        program = replace(program, context=seq, requests=limit)
    room = slots(launch, engine)
    held = within.hardware if launch.engine in ("vllm", "sglang") and budget is None else None
    whole = None if held is None else held.visible_bytes
    asked = Asked(seq, stored, kv, layout, program, 1, limit, replicas, there, whole, offloaded(launch), room, draft, still)
    asked = replace(asked, made=stored == "fp8" and _made(launch, spec))
    words += notes(launch, room)
    again = kept_twice(launch, spec, stored)
    seen_apart = isinstance(program, VLLM) and program.pictures is not None and program.pictures.apart
    asked, words = replace(asked, twice=bool(again), apart=seen_apart), [*words, *again]
    assert within.bytes is not None
    if launch.engine == "sglang" and length is None and (found := longest(spec, asked, within.bytes)) not in (None, seq):
        words.append(f"the pool holds {found:,} of the {seq:,} tokens that the model takes; SGLang starts all the same")
        asked = replace(asked, seq=found)
    return Question(asked, within, chunk, words)


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


def _made(launch: Launch, spec: ModelSpec) -> bool:
    """Whether a flag alone says that weights are fp8, which are in 16 bits in the model's files."""
    from llmcx.catalog.named import format_of

    plain = spec.stored is None or not spec.stored.quantised
    return launch.value("dtype") is not None and plain and format_of(launch.model or "") is None


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


def version_of(launch: Launch, stated: str | None) -> tuple[str, list[str]]:
    """The engine with the version that a comment or an image's tag names, and what is to be said of one that is not known."""
    if stated is not None and stated.partition("@")[0] != launch.engine:
        raise bad(f"the comment `# llmcx check:` has --engine {shown(stated)}, but the line launches {launch.engine}", stated)
    if launch.engine == "sglang" and stated is not None and "@" in stated:
        launch.version = stated.partition("@")[2]
        return launch.engine, []
    if launch.engine != "vllm":
        return stated or launch.engine, []
    named = stated or (None if launch.version is None else f"{launch.engine}@{launch.version}")
    if named is None or "@" not in named:
        return launch.engine, [f"as vLLM {NEWEST} plans: the line names no version, as an image's tag does"]
    number = read(named.partition("@")[2])
    if number is not None and TWO[0] <= number <= TWO[1] and launch.environment.get("VLLM_USE_V1") == "0":
        return f"vllm@{FIRST}", [f"VLLM_USE_V1=0: the first engine, as vLLM {FIRST} has it"]
    backend = next((each.value for each in launch.given if each.flag == "--distributed-executor-backend"), None)
    if number == TWO[0] and _degree(launch, "pp") > 1 and backend != "ray":
        return f"vllm@{FIRST}", [f"stages without Ray: the first engine, as vLLM {FIRST} has it"]
    try:
        engine_of(named)
    except InputError as error:
        if stated is not None:
            raise
        return (error.nearest or [launch.engine])[0], [error.message]
    return named, []
