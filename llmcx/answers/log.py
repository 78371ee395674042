"""What an engine logged when it started, beside what llmcx says of that start: term by term, and which differs most."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llmcx.answers import Result, log_llama_cpp, log_sglang, log_trtllm, log_vllm
from llmcx.answers.log_said import ROUNDED, Predicted, Said, tp_of
from llmcx.engines.logs import Log
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec

CLOSE = 0.02
"""A difference that is none: the share within which terms are said to agree."""


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
        found["kv_cache"] = (log_sglang.pool_of(log), lines.get(named))
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
    return {"graphs"} if log.engine == "sglang" or (log.engine == "vllm" and not log_vllm.aside(log)) else set()


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


PREDICT = {
    "vllm": log_vllm.predicted,
    "sglang": log_sglang.predicted,
    "trtllm": log_trtllm.predicted,
    "llama.cpp": log_llama_cpp.predicted,
}
"""By engine."""
