"""The preset of a model that a log, a file or a repository names: its shape, whatever it was tuned for or stored in."""

from __future__ import annotations

import re

from llmcx.catalog.index import stems
from llmcx.catalog.presets import MODELS, aliases

_ENDS = (
    r"(?:instruct|chat|it|hf|base|pt|thinking|v0\.[12]|\d{4}|abliterated)",
    r"(?:quantized(?:\.w\d+a\d+)?|w\d+a\d+|fp8(?:-(?:dynamic|block|kv))?|dynamic|bf16|f16|f32|fp16|nvfp4|mxfp4|nvfp4a16)",
    r"(?:awq|gptq(?:-int[48])?|int[48]|4bit|8bit|bnb(?:-4bit)?|gguf|unsloth|marlin|qat|ud|autoround)",
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
    known = {**{own: own for own in stems(MODELS)}, **aliases()}
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
            return known[each]
    bare = {_bare(key.rpartition("/")[2]): value for key, value in known.items()}
    for start in dict.fromkeys((own, _BEGINS.sub("", own))):
        while True:
            if (found := bare.get(_bare(start))) is not None:
                return found
            shorter = _END.sub("", start)
            if shorter == start:
                break
            start = shorter
    return None


def _bare(name: str) -> str:
    return re.sub(r"[\s._-]", "", name)
