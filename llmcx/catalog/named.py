"""The preset of a model that a log, a file or a repository names: its shape, whatever it was tuned for or stored in."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from llmcx.catalog.index import stems
from llmcx.catalog.presets import MODELS, aliases

if TYPE_CHECKING:
    from llmcx.model.spec import ModelSpec
    from llmcx.model.storage import Storage

_ENDS = (
    r"(?:instruct|chat|it|hf|base|pt|thinking|v0\.1|\d{4}|abliterated|i1)",
    r"(?:quantized(?:\.w\d+a\d+)?|w\d+a\d+|fp8(?:-(?:dynamic|block|kv))?|dynamic|bf16|f16|f32|fp16|nvfp4|mxfp4|nvfp4a16)",
    r"(?:awq|gptq(?:-int[48])?|int[48]|[2-8]-?bits?|bnb(?:-4bit)?|gguf|mlx|(?:nv)?fp4(?:-v2)?|unsloth|marlin|qat|ud|autoround|imat(?:rix)?)",
    r"(?:i?q\d(?:[-_](?:[01ksml]|xs|xxs|nl|k[-_][sml]|k[-_]xl))?)",
)
_END = re.compile(rf"[-_.](?:{'|'.join(_ENDS)})$")
_BEGINS = re.compile(r"^(?:meta-|[a-z0-9.-]+_(?=[a-z]))")
_PIECE = re.compile(r"-\d{5}-of-\d{5}$")


def preset_of(name: str) -> str | None:
    """The name of the preset that has the shape of the model ``name``; None where no preset is called so.

    >>> preset_of("meta-llama/Llama-3.1-8B-Instruct"), preset_of("/models/Qwen2.5-7B-Instruct-Q4_K_M.gguf"), preset_of("my-own")
    ('llama-3.1-8b', 'qwen2.5-7b', None)
    >>> preset_of("Mistral Large Instruct 2407"), preset_of("gpt2")
    ('mistral-large-2', 'gpt2')
    """
    found = known_as(name)
    return found and aliases().get(found, found)


def known_as(name: str) -> str | None:
    """The name of a preset or of a release of it that a model's name comes to without what it was tuned for or stored in.

    >>> known_as("Qwen/Qwen2.5-7B-Instruct-AWQ"), known_as("unsloth/Qwen2.5-7B")
    ('qwen2.5-7b-instruct', 'qwen2.5-7b')
    """
    known = {*stems(MODELS), *aliases()}
    lower = re.sub(r"\s+", "-", name.strip().lower().replace("\\", "/").rstrip("/"))
    parts = [part for part in lower.split("/") if part]
    if not parts:
        return None
    full = "/".join(parts[-2:])
    if "snapshots" in parts[:-1]:  # a cache of the hub: models--ORG--NAME/snapshots/REVISION
        repo = parts[parts.index("snapshots") - 1].removeprefix("models--")
        parts, full = [repo.rpartition("--")[2]], repo.replace("--", "/")
    own = _PIECE.sub("", parts[-1].removesuffix(".gguf"))
    for each in (full, own):
        if each in known:
            return each
    bare = {_bare(key): key for key in (*aliases(), *stems(MODELS)) if "/" not in key}
    for start in dict.fromkeys((own, _BEGINS.sub("", own))):
        while True:
            if (found := bare.get(_bare(start))) is not None:
                return found
            shorter = _END.sub("", start)
            if shorter == start:
                break
            start = shorter
    return None


COPIES = ("unsloth", "nousresearch", "redhatai", "neuralmagic", "modelscope", "llm-research", "ai-modelscope")
"""Who puts models of others on the hub again, under the name that they have there, in the format in which they were released."""


def original(repo: str) -> str | None:
    """ORG/NAME of what one of :data:`COPIES` has a copy of; None for any other repository.

    >>> original("unsloth/Llama-3.3-70B-Instruct"), original("me/Llama-3.3-70B-Instruct"), original("unsloth/my-own")
    ('meta-llama/llama-3.3-70b-instruct', None, None)
    """
    org, _, name = repo.partition("@")[0].lower().partition("/")
    if org not in COPIES:
        return None
    return next((own for own in aliases() if own.rpartition("/")[2] == name and "/" in own), None)


def way_forward(repo: str) -> tuple[str, list[str]]:
    """What to give in place of a repository that is out of reach, in words that follow a refusal, and the names in them.

    >>> way_forward("Qwen/Qwen2.5-72B-Instruct-AWQ")[0]
    '; its base is the preset qwen2.5-72b-instruct: give that with --dtype awq'
    """
    name = repo.partition("@")[0]
    base, stored = known_as(name), format_of(name)
    if base is not None and stored is None and "gguf" in name.lower():
        return f"; its base is the preset {base}: give that with --dtype q4_k_m, or the format of the file that you use", [base]
    if base is not None:
        how = "" if stored is None else f" with --dtype {stored}"
        return f"; its base is the preset {base}: give that{how}", [base]
    from difflib import get_close_matches

    known = {*stems(MODELS), *aliases()}
    own = name.lower().rpartition("/")[2]
    near = get_close_matches(name.lower(), [each for each in known if "/" in each], n=1, cutoff=0.7)
    near = near or get_close_matches(own, [each for each in known if "/" not in each], n=1, cutoff=0.75)
    return (f"; did you mean {near[0]}?" if near else "; `llmcx catalog models` lists what needs no network"), near


_FORMATS = {  # releases leave tables in 16 bits
    r"mxfp4": "mxfp4",
    r"nvfp4|fp4": "nvfp4",
    r"fp8[-_]dynamic|fp8[-_]kv": "fp8_channel",
    r"fp8": "fp8_tensor",
    r"awq": "awq",
    r"gptq[-_]?int8|gptq[-_]8bit": "gptq:bits=8",
    r"gptq|int4|w4a16": "gptq",
    r"bnb[-_]4bit|4bit|nf4": "nf4",
    r"w8a8|w8a16|int8": "int:bits=8,group=-1",
    r"bnb[-_]8bit|8bit": "llm_int8",
}


def format_of(name: str) -> str | None:
    """The format of the weights that the name of a model or a file states; None where it states none.

    >>> format_of("Qwen/Qwen2.5-72B-Instruct-AWQ"), format_of("qwen2.5-7b-instruct-q4_k_m.gguf"), format_of("Qwen/Qwen3-8B")
    ('awq', 'q4_k_m', None)
    """
    from llmcx.formats.gguf import ALIASES, MIXES

    own = re.split(r"[/\\:]", name.strip().lower())[-1] if "/snapshots/" not in name else name.lower()
    own = own.removesuffix(".gguf")
    mixes = sorted((*MIXES, *ALIASES, "bf16", "f16"), key=len, reverse=True)
    if name.lower().endswith(".gguf") or ":" in name or "gguf" in name.lower():
        found = re.search(rf"(?:^|[-_.])({'|'.join(mixes)})(?=$|[-_.])", own.replace("-k-", "_k_").replace("q4-k-m", "q4_k_m"))
        return None if found is None else {"f16": "fp16"}.get(found[1], ALIASES.get(found[1], found[1]))
    if "mlx" in name.lower() and (bits := re.search(r"[-_.]([2-8])-?bits?$", own)) is not None:
        return f"mlx:bits={bits[1]}"
    for pattern, stored in _FORMATS.items():
        if re.search(rf"(?:^|[-_.])(?:{pattern})(?=$|[-_.])", own):
            return stored
    return None


_META = re.compile(r"(?:meta-)?llama-3\.1-405b(?:-instruct)?-fp8$")
"""Meta's own files: feed-forwards in fp8 by the row, but for those of the first and the last layer, and all attention in 16 bits
(Llama Team 2024, arXiv:2407.21783, sec. 6.2).
"""
_SECOND = re.compile(r"deepseek-r1-0528-(?:nv)?fp4-v2")
_PROJECTIONS = ("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj")


def released(name: str, spec: ModelSpec) -> Storage | None:
    """How a release named ``name`` stores the model, where it is known to leave more alone than its format does.

    NVFP4 of some mixtures leaves attention in 16 bits, the second one of DeepSeek-R1-0528 but its last projection, as its card
    says.
    """
    from llmcx.model.storage import Storage

    own = re.split(r"[/\\:]", name.strip().lower())[-1]
    if _META.fullmatch(own):
        ends = tuple(f"model.layers.{layer}.mlp" for layer in (0, spec.n_layers - 1))
        return Storage("fp8_channel", keep=("self_attn", *ends))
    if spec.mixtures and format_of(name) == "nvfp4":
        from llmcx.formats.quant import stored_as

        stored = stored_as(spec, "nvfp4")
        return replace(stored, keep=_PROJECTIONS) if _SECOND.fullmatch(own) else stored if stored.keep else None
    return None


def _bare(name: str) -> str:
    return re.sub(r"[\s._-]", "", name)
