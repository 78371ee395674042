"""What an engine logged when it started, beside what llmcx says of that start: term by term, and which differs most."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmcx.answers import Result
from llmcx.answers.log_said import GIB, ROUNDED, Predicted, Said
from llmcx.answers.log_trtllm import predicted as _trtllm
from llmcx.engines.inference_memory import Held, cache_bytes, held, padded
from llmcx.engines.llama_cpp import LlamaCpp
from llmcx.engines.logs import Log
from llmcx.engines.sglang import SGLang
from llmcx.engines.vllm import VLLM, defaults
from llmcx.engines.vllm_lines import LINES, NEWEST
from llmcx.engines.vllm_lines import read as version_in
from llmcx.errors import InputError
from llmcx.formats import dtypes, gguf, quant
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Cache
from llmcx.parallel.layout import Layout, check

CLOSE = 0.02
"""A difference that is none: the share within which terms are said to agree."""
HOSTED = 40 * GIB
"""Memory of an accelerator up to which it is taken to have no links of its own, where the log does not say."""
SPREAD = {"weights": (0.005, 0.03), "workspace": (0.06, 0.03), "outside": (0.05, 0.01), "graphs": (0.3, 0.1)}
"""How far llmcx is from what vLLM logged: a share of the term, and GiB besides. Of 58 starts of 0.19 on H100 (docs/engines.md)
these hold 50, 51, 53 and 54; weights outside of it are those of towers that no preset has.
"""
OTHERS = SPREAD | {"workspace": (0.06, 0.06), "outside": (0.4, 0.15)}
"""And of other versions, and of GPUs that meet in the host (tests/oracle/vllm_v0_starts.csv)."""
PLAIN = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32", "f16": "fp16", "f32": "fp32"}
"""Number formats as logs write them."""
QUANTISED = {
    **{"fp8": "fp8_tensor", "awq": "awq", "awq_marlin": "awq", "bitsandbytes": "nf4", "mxfp8": "mxfp8"},
    **{"gptq": "gptq", "gptq_marlin": "gptq"},
}
"""What vLLM's and SGLang's `quantization` is as --dtype names it, where the model's own files do not say."""
BY_NAME = (
    (r"w8a8|fp8-?dynamic|w8a8_int8", "fp8_channel"),  # 8 bits and an fp32 scale per output, of whole numbers too
    (r"gptq-?int8|w8a16", "gptq:bits=8"),
    (r"w4a16|gptq", "gptq"),
    (r"awq", "awq"),
    (r"nvfp4|fp4", "nvfp4"),
    (r"fp8", "fp8_block"),
)
"""And where that is the name of a library: what the model's own name says."""


@dataclass(frozen=True)
class Term:
    """One quantity: as llmcx ``predicted`` it, for an estimate with the interval ``low`` to ``high``; as it was ``logged``, on
    ``line`` of the log; ``difference`` is logged - predicted, ``share`` that of the predicted. ``unit``: bytes, tokens, blocks,
    requests or count. What is not known is null.
    """

    term: str
    unit: str
    predicted: int | float | None
    low: int | float | None
    high: int | float | None
    logged: int | float | None
    difference: int | float | None
    share: float | None
    line: int | None


@dataclass(frozen=True, repr=False)
class Explained(Result, brief="engine version largest within", table="terms"):
    """The last start in a log: the ``engine``, its ``version``, the ``model`` that the log names, GPUs, the ``starts`` in the
    log, ``settings`` as it states them, and the ``terms``. ``largest`` is the term that differs most, of those that do not follow
    from others and that count for the cache; ``within`` the largest share by which any of these or of what follows differs, by
    more than 0.01 GiB where it is bytes; ``missing`` the lines that the log lacks.
    """

    engine: str
    version: str | None
    model: str | None
    gpus: int
    starts: int
    settings: dict[str, Any]
    terms: list[Term]
    largest: str | None
    within: float | None
    missing: list[str]


NOTHING = Predicted({}, [])
UNITS = {"kv_tokens": "tokens", "kv_tokens_of_pool": "tokens", "blocks": "blocks", "concurrency": "requests"} | dict.fromkeys(
    ("layers", "d_model", "heads", "kv_heads", "vocab"), "count"
)
"""Of the terms that are not bytes."""
SHAPE = ("layers", "d_model", "heads", "kv_heads", "vocab")
FOLLOW = {"kv_cache", "kv_tokens", "blocks", "concurrency"}
"""vLLM's terms that follow from those before them."""
_ASKED = {name: name for name in ("dtype", "quantization", "kv_dtype", "tp", "pp", "dp", "seq", "utilization")}
SETTINGS = {
    "vllm": _ASKED | {name: name for name in ("max_num_batched_tokens", "max_num_seqs", "block")} | {"memory_bytes": "memory"},
    "sglang": _ASKED,
    "trtllm": _ASKED | {"max_num_batched_tokens": "max_num_batched_tokens", "block": "block", "memory_bytes": "memory"},
    "llama.cpp": {"dtype": "file_type", "kv_dtype": "k_type", "seq": "n_ctx", "batch": "n_seq_max", "ubatch": "n_ubatch"}
    | {"gpu_layers": "offloaded"},
}
"""What an engine was asked, under llmcx's names: the field of the log."""


def explain_log(
    log: Log, spec: ModelSpec | None = None, dtype: str | None = None, memory: int | None = None
) -> tuple[Explained, list[str]]:
    """The last start of ``log`` beside what is predicted of ``spec``, and what to know about it; ``dtype`` of the weights and
    ``memory`` of a GPU where the log does not say them. Without ``spec``, what the log says alone.
    """
    assert log.engine is not None
    try:
        predicted = NOTHING if spec is None else PREDICT[log.engine](log, spec, dtype, memory)
    except InputError as error:  # a layout that the model can not have, a cache that the engine's file does not know
        predicted = Predicted({}, [f"nothing is predicted: {error.message}"])
    terms = [_term(name, predicted.terms.get(name, Said()), *logged) for name, logged in _logged(log).items()]
    settings = {name: log.get(theirs) for name, theirs in SETTINGS[log.engine].items() if log.get(theirs) is not None}
    compared = [term for term in terms if term.share is not None and term.term not in after_pool(log)]
    found = Explained(
        engine=log.engine,
        version=log.get("version"),
        model=log.get("model") or log.get("file"),
        gpus=gpus(log),
        starts=log.starts,
        settings=settings,
        terms=terms,
        largest=_largest(compared, log),
        within=max((0.0 if _rounding(term) else abs(term.share or 0) for term in compared), default=None),
        missing=log.missing(),
    )
    return found, predicted.notes


def gpus(log: Log) -> int:
    """GPUs of a start: of llama.cpp the devices that hold layers."""
    if log.engine == "llama.cpp":
        buffers = [each for kind in ("model_buffers", "kv_buffers") for each in log.get(kind, [])]
        return len({name for name, size in buffers if size and not re.search(r"CPU|_Host", name)})
    return int(tp_of(log) * log.get("pp", 1) * (log.get("dp", 1) if log.engine == "vllm" else 1))


def tp_of(log: Log) -> int:
    """GPUs that share each layer: as the log says, or by the ranks that write in it."""
    return int(log.get("tp") or log.get("rank", 0) + 1)


def _term(name: str, said: Said, logged: int | float | None, line: int | None) -> Term:
    difference = share = None
    if said.value is not None and logged is not None:
        difference = logged - said.value
        share = difference / said.value if said.value > 0 else None if difference else 0.0
        difference = round(difference, 4) if isinstance(difference, float) else difference
    return Term(name, UNITS.get(name, "bytes"), *said, logged, difference, share, line)


def _logged(log: Log) -> dict[str, tuple[int | float | None, int | None]]:
    """What the log says of each term, and on which line. A whole log's main terms are there even where it lacks them."""
    lines = log.lines
    if log.engine == "vllm":
        found = {name: (log.get(name), lines.get(name)) for name in ("weights", "workspace", "outside", "graphs", "kv_cache")}
        if log.get("kv_cache") is not None and log.get("kv_tokens") is not None:
            found["kv_tokens_of_pool"] = (log.get("kv_tokens"), lines["kv_tokens"])
        found |= {name: (log.get(name), lines.get(name)) for name in ("kv_tokens", "blocks", "concurrency")}
    elif log.engine == "sglang":
        found = {"weights": (log.get("weights"), lines.get("weights")), "graphs": (log.get("graphs"), lines.get("graphs"))}
        named = next((name for name in ("window_pool", "k_cache", "latent_cache", "kv_cache") if name in lines), "kv_cache")
        if log.get("ssm_cache") is not None:
            found["state"] = (log.get("ssm_cache") + log.get("conv_cache", 0), lines.get("ssm_cache"))
        found["kv_cache"] = (_sglang_pool(log), lines.get(named))
        if found["kv_cache"][0] and log.get("kv_tokens") is not None:
            found["kv_tokens_of_pool"] = (log.get("kv_tokens"), lines["kv_tokens"])
        found["kv_tokens"] = (log.get("kv_tokens"), lines.get("kv_tokens"))
    elif log.engine == "trtllm":
        found = {name: (log.get(name), lines.get(name)) for name in ("weights", "workspace", "outside")}
        if found["weights"][0] is None:
            found["weights"] = (log.get("engine_size"), lines.get("engine_size"))
        found["kv_cache"] = (log.get("kv_pool"), lines.get("kv_pool"))
        if log.get("kv_pool") and log.get("kv_tokens"):
            found["kv_tokens_of_pool"] = (log.get("kv_tokens"), lines["kv_tokens"])
        found |= {name: (log.get(name), lines.get(name)) for name in ("kv_tokens", "blocks")}
    else:
        found = {name: (log.get(name), lines.get(name)) for name in SHAPE if log.get(name)}
        whole = "file_size" if log.get("file_size") is not None else "model_buffers"
        size = log.get("file_size") if whole == "file_size" else log.total("model_buffers")
        found["weights"] = (size, lines.get(whole))
        for kind, one in (("model_buffers", "model_buffer"), ("kv_buffers", "kv_cache"), ("state_buffers", "state")):
            if kind != "model_buffers":
                found[one] = (log.total(kind), lines.get(kind))
        for kind, one in (
            ("compute_buffers", "compute_buffer"),
            ("output_buffers", "output_buffer"),
            ("model_buffers", "model_buffer"),
        ):
            by: dict[str, int] = {}
            for device, size in log.get(kind, []):
                by[device] = by.get(device, 0) + size if kind == "model_buffers" else size
            found |= {f"{one}.{device}": (size, lines.get(kind)) for device, size in by.items()}
    optional = {"graphs", "blocks", "state", "workspace", "outside"}
    return {name: value for name, value in found.items() if value[0] is not None or name not in optional}


def after_pool(log: Log) -> set[str]:
    """Terms that take nothing of the cache: vLLM captured CUDA graphs after it had sized the cache, up to 0.20."""
    return {"graphs"} if log.engine == "sglang" or (log.engine == "vllm" and not _aside(log)) else set()


def _aside(log: Log) -> bool:
    """Whether CUDA graphs are set aside before the cache is sized."""
    return bool(log.get("graphs_aside")) or VLLM(version=version_of(log)[0]).line.aside


def _rounding(term: Term) -> bool:
    """Whether a difference is no more than the last digit that logs write."""
    return term.unit == "bytes" and abs(term.difference or 0) <= 2 * ROUNDED


def _largest(terms: list[Term], log: Log) -> str | None:
    """The term that differs most: one of the shape first; then, of those that do not follow from others, by bytes."""
    for term in terms:
        if term.unit == "count" and term.difference:
            return term.term
    pool = log.get("kv_cache") or 0

    def weight(term: Term) -> float:
        assert term.share is not None and term.difference is not None
        return abs(term.difference) if term.unit == "bytes" else abs(term.share) * pool

    causes = [term for term in terms if term.term not in FOLLOW] if log.engine == "vllm" else terms
    best = max(causes or terms, key=weight, default=None)
    return None if best is None else best.term


# --- vLLM -----------------------------------------------------------------------------------------------------------


def version_of(log: Log) -> tuple[str, list[str]]:
    """The version of vLLM as which a start is predicted, and what is to be said of that.

    >>> version_of(Log("vllm", {"version": "0.10.2.dev378+g4d7fe40fc"}))
    ('0.10', [])
    >>> version_of(Log("vllm", {"version": "0.8.5", "first_engine": True}))
    ('0.7', ['the log is of vLLM 0.8.5 with its first engine (V0), predicted as that of 0.7'])
    """
    said = log.get("version")
    number = version_in(said or "")
    oldest, newest = LINES[0], LINES[-1]
    first = ".".join(map(str, oldest.first))
    if log.get("first_engine") and (number is None or number > oldest.last):
        of = f"the log is of vLLM{f' {said}' if said else ''} with its first engine (V0)"
        return first, [f"{of}, predicted as that of {first}"]
    if number is None:
        return NEWEST, [f"the log does not say its version of vLLM; predicted as {NEWEST}"]
    if number < oldest.first:
        return first, [f"predicted as vLLM {first} holds it; the log is of {said}, which measured in another way"]
    if number > newest.last:
        return NEWEST, [f"predicted as vLLM {NEWEST} holds it; the log is of {said}, which is newer"]
    return f"{number[0]}.{number[1]}", []


def stored_format(log: Log, spec: ModelSpec) -> str | None:
    """The format of the weights, as --dtype names it, by what the log says; None where that is not enough.

    SGLang says no quantization of a model whose own files have it.
    """
    quantization, plain = log.get("quantization"), PLAIN.get(log.get("dtype"), log.get("dtype"))
    own = spec.stored is not None and spec.stored.quantised and spec.stored.unsized is None
    named = by_name(str(log.get("model") or ""))
    if quantization is None:
        if log.engine == "sglang":
            return named or (dtypes.RELEASED if own else plain if plain in dtypes.BITS else dtypes.default(spec))
        return plain if plain in dtypes.BITS else dtypes.default(spec)
    form = QUANTISED.get(quantization)
    if own and spec.stored is not None and (form is None or form[:3] == spec.stored.name[:3]):
        return dtypes.RELEASED
    return form if quantization in ("fp8", "awq", "awq_marlin", "bitsandbytes") else named or form


def by_name(name: str) -> str | None:
    """The format that a model's name says.

    >>> by_name("RedHatAI/Qwen2.5-7B-Instruct-quantized.w8a8"), by_name("Qwen/Qwen3-8B-FP8"), by_name("Qwen/Qwen3-8B")
    ('fp8_channel', 'fp8_block', None)
    """
    return next((form for pattern, form in BY_NAME if re.search(pattern, name.lower())), None)


def cache_format(log: Log) -> str:
    """The format of the cache: that of the arithmetic unless the log says another."""
    said = log.get("kv_dtype") or "auto"
    if said.startswith(("fp8", "float8")):
        return "fp8"
    found = PLAIN.get(said, said) if said != "auto" else PLAIN.get(log.get("dtype"), log.get("dtype") or "bf16")
    return found if found in dtypes.BITS else "bf16"


def weights_of(spec: ModelSpec, gpu: Held, dtype: str, divided: bool) -> int:
    """Bytes of the weights on a GPU."""
    if dtype in dtypes.BITS:
        return dtypes.size(gpu.params, dtype)
    return quant.weights(spec, dtype, gpu.weights if divided else None).bytes


def _spread(name: str, value: int, spread: Mapping[str, tuple[float, float]] = SPREAD) -> Said:
    share, besides = spread[name]
    by = round(share * value + besides * GIB) + ROUNDED
    return Said(value, max(0, value - by), value + by)


def _vllm(log: Log, spec: ModelSpec, dtype: str | None, memory: int | None) -> Predicted:
    """Weights, activation peak, what is outside of torch and CUDA graphs are those of the GPU that has most of them; the cache is
    what they leave of the share of the memory on the GPU that has least left, in blocks as vLLM lays them out.
    """
    layout = Layout(tp=tp_of(log), pp=log.get("pp", 1))
    check(spec, layout)
    notes = []
    memory = log.get("memory") or memory
    version, about = version_of(log)
    usual = defaults(memory or 80 * GIB, version=version)
    steps: dict[str, Any] = {name: log.get(name, usual[name]) for name in usual}
    hosted = bool(log.get("hosted")) or (memory or 80 * GIB) <= HOSTED
    engine = VLLM(log.get("block", 16), **steps, version=version, hosted=hosted)
    notes += about
    if not about and version != NEWEST:
        notes += engine.notes()
    spread = SPREAD if engine.line.buffers and not hosted else OTHERS
    seq = log.get("seq") or log.get("at_length") or spec.context or 8192
    stages = held(spec, 1, seq, layout, engine)
    asked = dtype or stored_format(log, spec)
    weights: list[int | None] = [None] * len(stages)
    if asked is None:
        notes.append(_unknown(log))
    else:
        try:
            sizes = [weights_of(spec, gpu, asked, layout.gpus > 1) for gpu in stages]
            weights = [size + padded(gpu, size) for gpu, size in zip(stages, sizes, strict=True)]
        except InputError as error:
            notes.append(f"weights are not predicted: {error.message}")
    terms: dict[str, Said] = {}
    known = [size for size in weights if size is not None]
    if known:
        terms["weights"] = _spread("weights", max(known))
    outside = engine.outside(layout.tp, layout.pp)
    graphs = [0 if log.get("eager") else engine.graphs(gpu.gpu) for gpu in stages]
    terms["workspace"] = _spread("workspace", max(gpu.workspace for gpu in stages), spread)
    terms["outside"] = _spread("outside", outside, spread)
    terms["graphs"] = _spread("graphs", max(graphs))
    kv = cache_format(log)
    each = [gpu.paged.engine for gpu in stages]
    assert all(one is engine for one in each)
    pages = [engine.layout(gpu.paged.kept, dtypes.per_element(kv)) for gpu in stages]

    def tokens(pools: list[int]) -> tuple[int, int, float] | None:
        """Blocks, tokens and requests of the longest length, on the GPU that has the fewest blocks."""
        blocks = min((pool // page.block_bytes for pool, page in zip(pools, pages, strict=True) if page.block_bytes), default=0)
        return capacity(blocks) if blocks > 0 else None

    def capacity(blocks: int) -> tuple[int, int, float]:
        """And of so many blocks."""
        each = [engine.capacity(page, blocks, seq, layout.pp) for page in pages]
        return blocks, min(tokens for tokens, _ in each), round(min(requests for _, requests in each), 2)

    pool = log.get("kv_cache")
    if pool is not None and pool > 0 and (found := tokens([pool] * len(stages))) is not None:
        by = max(1, round(found[1] * ROUNDED / pool))
        terms["kv_tokens_of_pool"] = Said(found[1], found[1] - by, found[1] + by)
    share = log.get("utilization", engine.utilization)
    if memory is None:
        notes.append("the log does not say how much memory a GPU has, so the pool is not predicted: --hardware says it")
        if (blocks := log.get("blocks")) is not None:
            _, count, requests = capacity(blocks)
            terms |= {"kv_tokens": Said(count), "concurrency": Said(requests)}
        return Predicted(terms, notes)
    aside = _aside(log)
    used = log.get("requested") or int(share * memory)
    if not known and log.get("weights") is None:
        return Predicted(terms, notes)
    if not known:
        notes.append("the pool is predicted with the weights that were logged")
    pools = [
        used - (log.get("weights") if size is None else size) - gpu.workspace - outside - (graph if aside else 0)
        for size, gpu, graph in zip(weights, stages, graphs, strict=True)
    ]
    by = sum(_off(terms[name]) for name in ("weights", "workspace", "outside", *(("graphs",) if aside else ())) if name in terms)
    best = min(pools)
    terms["kv_cache"] = Said(best, best - by, best + by)
    ends = [tokens([max(0, pool + more) for pool in pools]) for more in (0, -by, by)]
    for i, name in enumerate(("blocks", "kv_tokens", "concurrency")):
        if ends[0] is not None:
            terms[name] = Said(*(0 if end is None else end[i] for end in ends))
    if log.get("utilization") is None and log.get("requested") is None:
        notes.append(f"the log does not say the share of the memory; vLLM's usual {share:.2f} is taken")
    return Predicted(terms, notes)


def _unknown(log: Log) -> str:
    return f"how quantization {log.get('quantization')} stores this model is not known: --dtype says the format"


def _off(said: Said) -> int:
    assert said.value is not None and said.high is not None
    return int(said.high - said.value)


# --- SGLang ---------------------------------------------------------------------------------------------------------


def _sglang(log: Log, spec: ModelSpec, dtype: str | None, memory: int | None) -> Predicted:
    """The weights; the pools that they leave of the share of what was free before them; else the cache of as many tokens as were
    logged.
    """
    layout = Layout(tp=tp_of(log), pp=log.get("pp", 1))
    apart = bool(log.get("dp_attention"))
    engine = SGLang(block=log.get("block", 1), memory=memory)
    terms: dict[str, Said] = {}
    notes = []
    asked, kv = dtype or stored_format(log, spec), dtypes.per_element(cache_format(log))
    if asked is None:
        notes.append(_unknown(log))
    elif apart:
        notes.append("weights are not predicted: those of attention are on every GPU of a group that attends for itself")
    else:
        stages = held(spec, 1, 1, layout, engine)
        terms["weights"] = _spread("weights", max(weights_of(spec, gpu, asked, layout.gpus > 1) for gpu in stages))
    shared = Layout(tp=max(1, layout.tp // log.get("dp", layout.tp)), pp=layout.pp) if apart else layout
    kept = [gpu.paged.kept for gpu in held(spec, 1, 1, shared, engine)]
    cells = [engine.cell(each, kv) for each in kept]
    before, share, pool, count = log.get("before"), log.get("utilization"), _sglang_pool(log), log.get("kv_tokens")
    if before is None and memory is not None:
        before = memory - engine.outside(layout.gpus)
    loaded = terms.get("weights") or (Said(*[log.get("weights")] * 3) if log.get("weights") is not None else None)
    if None not in (before, share, loaded) and log.get("most_tokens") is None:
        assert loaded is not None and loaded.value is not None
        best, by = int(share * before - loaded.value), _off(loaded) + ROUNDED
        rooms = [min(engine.room(each, max(0, best + more), kv) for each in kept) for more in (0, -by, by)]
        terms["kv_tokens"] = Said(*(room.tokens for room in rooms))
        terms["state"] = Said(*(max(cell.state for cell in cells) * (room.slots + bool(room.slots)) for room in rooms))
        sizes = [best + more - (terms["state"].value or 0) for more in (0, -by, by)]
        terms["kv_cache"] = Said(*map(int, sizes))
    elif count is not None:
        terms["kv_cache"] = Said(int(max(cell.bytes for cell in cells) * count))
    if pool and count is not None:
        found = min(int(pool / cell.bytes) for cell in cells if cell.bytes)
        by = max(1, round(found * 2 * ROUNDED / pool))
        terms["kv_tokens_of_pool"] = Said(found, found - by, found + by)
    return Predicted(terms, notes)


def _sglang_pool(log: Log) -> int | None:
    """Bytes of the cache that were logged."""
    parts = [log.get(name) for name in ("k_cache", "v_cache", "latent_cache") if log.get(name) is not None]
    size: int | None = log.get("window_pool") or (sum(parts) if parts else log.get("kv_cache"))
    return size


# --- llama.cpp ------------------------------------------------------------------------------------------------------


def file_format(text: str | None) -> str | None:
    """llama.cpp's name of a file's type as --dtype has it; None for one that is not known.

    >>> file_format("Q4_K - Medium"), file_format("Q8_0"), file_format("BF16"), file_format("all F32"), file_format("unknown")
    ('q4_k_m', 'q8_0', 'bf16', 'fp32', None)
    """
    name = (text or "").lower().removeprefix("all ").removeprefix("mostly ").split(" (")[0].strip()
    name = re.sub(r"\s*-\s*(small|medium|large)$", lambda end: f"_{end[1][0]}", name)
    name = re.sub(r" - [\d.]+ bpw$", "", name)
    name = PLAIN.get(name, name).replace(" ", "_")
    name = gguf.ALIASES.get(name, name)
    return name if name in gguf.MIXES or name in dtypes.BITS else None


@dataclass(frozen=True)
class Unwindowed(LlamaCpp):
    """llama.cpp where a file states no window (n_swa = 0), whatever the model's own configuration has: every layer keeps all."""

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return super().cells(context, context, cache._replace(window=None), mixed)


def _llama_cpp(log: Log, spec: ModelSpec, dtype: str | None, memory: int | None) -> Predicted:
    """The file's tensors, and the cache of the context that it was started with. Compute buffers are not predicted."""
    terms: dict[str, Said] = {name: Said(value) for name, value in shape_of(spec).items() if value is not None}
    notes = []
    asked = dtype or file_format(log.get("file_type"))
    if asked is None:
        said = (
            f"the file's type {log.get('file_type')} is not known"
            if log.get("file_type")
            else "the log does not say the file's type"
        )
        notes.append(f"{said}: --dtype says the format of the weights")
    else:
        try:
            terms["weights"] = Said(quant.weights(spec, asked).bytes if asked not in dtypes.BITS else _plain_file(spec, asked))
        except InputError as error:
            notes.append(f"weights are not predicted: {error.message}")
    cells, sequences = log.get("n_ctx"), log.get("n_seq_max", 1)
    if cells is None:
        return Predicted(terms, [*notes, "the log does not say n_ctx, so the cache is not predicted"])
    kinds = [PLAIN.get(log.get(name, "f16").lower(), log.get(name, "f16").lower()) for name in ("k_type", "v_type")]
    if not all(kind in dtypes.BITS or kind in dtypes.CACHE_BLOCKS for kind in kinds):
        return Predicted(terms, [*notes, f"the cache is not predicted: its types {' and '.join(kinds)} are not known"])
    windows = any(getattr(getattr(layer.mixer, "core", None), "window", None) for layer in spec.kinds.values())
    kind = Unwindowed if log.get("n_swa") == 0 else LlamaCpp
    windows = windows and kind is LlamaCpp
    if windows and any(kind in dtypes.CACHE_BLOCKS for kind in kinds):
        return Predicted(terms, [*notes, "the cache is not predicted: which of the windows' caches are quantised is not known"])
    if windows and sequences > 1:
        return Predicted(
            terms, [*notes, f"the cache is not predicted: how windows are shared by {sequences} sequences is not known"]
        )
    try:
        [gpu] = held(spec, 1, cells, Layout(), kind(log.get("n_ubatch", 512)))
    except InputError as error:
        return Predicted(terms, [*notes, f"the cache is not predicted: {error.message}"])
    parts = [cache_bytes(gpu, kind) for kind in kinds]
    terms["kv_cache"] = Said(sum(part.get("kv_cache", 0) for part in parts) // 2)
    if parts[0].get("state"):
        terms["state"] = Said(cache_bytes(gpu, "fp32")["state"] * sequences)
    return Predicted(terms, notes)


def _plain_file(spec: ModelSpec, dtype: str) -> int:
    [gpu] = held(spec, 1, 1)
    return dtypes.size(gpu.params, dtype)


def shape_of(spec: ModelSpec) -> dict[str, int | None]:
    """The sizes that llama.cpp prints of a model, where each layer has the same."""
    mixers = [layer.mixer for layer in spec.kinds.values()]
    heads = {getattr(mixer, "n_heads", None) for mixer in mixers}
    kv_heads = {getattr(mixer, "n_kv_heads", None) or getattr(mixer, "n_heads", None) for mixer in mixers}
    latent = any(getattr(mixer, "type", "") == "mla" for mixer in mixers)
    return {
        "layers": spec.n_layers,
        "d_model": spec.d_model,
        "heads": heads.pop() if len(heads) == 1 else None,
        "kv_heads": kv_heads.pop() if len(kv_heads) == 1 and not latent else None,
        "vocab": spec.embedding.vocab,
    }


PREDICT = {"vllm": _vllm, "sglang": _sglang, "trtllm": _trtllm, "llama.cpp": _llama_cpp}
"""By engine."""
