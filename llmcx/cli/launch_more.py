"""What a launch line asks for beside the model: room for adapters, a draft, layers in the host's memory."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

from llmcx.answers.launched import Draft, Slots
from llmcx.cli.launching import Launch, bad
from llmcx.engines.vllm import VLLM
from llmcx.engines.vllm_lines import read as version
from llmcx.engines.vllm_lines import release
from llmcx.engines.vllm_pictures import EVERY, images_alone, tried
from llmcx.errors import InputError, shown
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec

SLOTS, RANK = {"vllm": 1, "sglang": 8}, {"vllm": 16}
"""Adapters at once, and the largest rank of one, where a line does not say (vllm/config/lora.py, sglang's server arguments)."""
DENSE = (0, 10)
"""vLLM's last version without adapters of experts."""
TABLES = ("ngram", "[ngram]", "ngram_gpu", "suffix", "NGRAM", "LOOKAHEAD")
"""Ways to draft that need no weights."""
TWICE = {"qwen3_moe": 0, "qwen3_vl_moe": 3, "qwen3_vl_moe_text": 3}
"""Families whose parameters SGLang 0.5 holds on to as it found them, from this release on to :data:`ONCE`: experts in 4 bits are
laid out anew for Marlin's kernels, and so are there twice (srt/models/qwen3_moe.py and qwen3_vl_moe.py, _cached_params_dict;
srt/layers/quantization/gptq.py and awq.py, process_weights_after_loading; of 0.4.10, 0.5.0rc0 to 0.5.10).
"""
ONCE = 10
"""The release of 0.5 that has none of that."""
OWN = ("EAGLE", "NEXTN", "FROZEN_KV_MTP")
"""SGLang's, that take the model's own layers where no other model is named."""


def whole(launch: Launch, what: str, default: int | None) -> int | None:
    """A whole number above 0 that a flag gives."""
    given = launch.value(what)
    if given is None or given.value is None:
        return default
    if not given.value.strip().isdecimal() or not 0 < int(given.value) < 10**15:
        raise bad(f"{given.flag} is {shown(given.value)}, but must be a whole number above 0", given.value)
    return int(given.value)


def slots(launch: Launch, engine: str) -> Slots | None:
    """Room for adapters; None where the line asks for none, or does not say of what rank."""
    rank = whole(launch, "rank", RANK.get(launch.engine))
    many = whole(launch, "slots", SLOTS.get(launch.engine, 1))
    if launch.value("adapters") is None or rank is None:
        return None
    number = version(engine.partition("@")[2]) if launch.engine == "vllm" else None
    return Slots(many or 1, rank, number is None or number > DENSE)


def offloaded(launch: Launch) -> int:
    """Bytes of each GPU's weights that stay in the host's memory at most."""
    given = launch.value("offload")
    if given is None or given.value is None:
        return 0
    try:
        size = float(given.value)
    except ValueError:
        size = -1.0
    if not 0 <= size < 10**6:
        raise bad(f"{given.flag} is {shown(given.value)}, but must be GiB such as 10", given.value)
    return int(size * 2**30)


def speculation(launch: Launch) -> dict[str, Any]:
    """What the line says of drafting: a method, a model."""
    found: dict[str, Any] = {}
    for each in launch.given:
        flag, _, path = each.flag.partition(".")
        if each.effect == "speculative" and path:
            found[path.replace("-", "_")] = each.value
        elif each.effect == "speculative" and each.value is not None:
            try:
                stated = json.loads(each.value)
            except ValueError:
                stated = None
            if not isinstance(stated, dict):
                raise bad(f'{flag} is {shown(each.value)}, but must be a JSON object, as {{"method": "mtp"}}', each.value)
            found |= stated
        elif each.effect in ("spec_method", "spec_model"):
            found[each.effect.removeprefix("spec_")] = each.value
    return found


def drafted(launch: Launch, spec: ModelSpec) -> tuple[Draft | None, list[str]]:
    """What drafts, and what is to be said of what is not counted."""
    said = speculation(launch)
    method, model = said.get("method"), said.get("model")
    if (method is None and model is None) or method in TABLES or model in TABLES:
        return None, []
    timed = "times are those without the draft"
    if model is None or model == launch.model:
        if not (str(method).lower().endswith("mtp") or method in OWN) or not spec.mtp:
            return None, [f"not counted: the memory of the draft ({method}), whose layers are not known here; {timed}"]
        return Draft(), [f"the model's own layers for multi-token prediction draft; {timed}"]
    found = _model(str(model))
    if found is None:
        return None, [f"not counted: the memory of the draft {shown(str(model))}, which is no preset and not on disk; {timed}"]
    from llmcx.catalog.named import format_of

    return Draft(found, format_of(str(model))), [f"{found.title or found.name} drafts: {timed}"]


def _model(name: str) -> ModelSpec | None:
    from llmcx.catalog.load import load
    from llmcx.catalog.named import known_as

    try:
        return load(name) if os.path.exists(name) else None if (known := known_as(name)) is None else load(known)
    except InputError:
        return None


def pictured(launch: Launch, spec: ModelSpec, seq: int, program: VLLM) -> tuple[VLLM, VLLM | None, list[str]]:
    """The engine with what it looks at when it starts; with images alone, where it may be shown videos; what is to be said."""
    if launch.value("unseen") is not None or not any(tower.fed == "image" for tower in spec.towers):
        return program, None, []
    limits = _limits(launch)
    images, videos = limits.get("image", EVERY), limits.get("video", EVERY)
    step = program.pass_tokens(1, seq)
    number = version(program.version) or program.line.last
    most = program.max_num_seqs * images if images else program.max_num_seqs
    apart = looked_apart(launch)
    of = tried(spec, seq if program.line.shown else step, step, videos > 0, images > 0, number, most, apart)
    if of is None or program.line.by_length:
        return program, None, ["not counted: the memory of the images that vLLM tries when it starts"]
    unmoved = tried(spec, seq, step, videos=False, version=number, most=most, apart=apart)
    still = replace(program, pictures=unmoved) if videos and images else None
    return replace(program, pictures=of), still, []


def looked_apart(launch: Launch) -> bool:
    """Whether each GPU is to have the encoder of images whole, and to look at some of them."""
    said = launch.value("encoder")
    if said is None:
        return False
    if said.value not in ("weights", "data"):
        raise bad(f"{said.flag} is {shown(str(said.value))}, but must be weights or data", str(said.value))
    return said.value == "data"


def read_by(launch: Launch, spec: ModelSpec) -> tuple[ModelSpec, list[str]]:
    """The model that is loaded, without its encoder where nothing may be shown (model_executor/models/interfaces.py), and what is
    to be said of that.
    """
    if launch.engine != "vllm" or not any(tower.fed == "image" for tower in spec.towers):
        return spec, []
    alone = launch.value("unseen")
    limits = _limits(launch)
    none = limits.get("image") == 0 and (limits.get("video") == 0 or images_alone(spec))
    if (alone is None or alone.flag != "--language-model-only") and not none:
        return spec, []
    left = tuple(tower for tower in spec.towers if tower.fed != "image")
    return replace(spec, towers=left, sight=None), ["no images may be shown, so that their encoder is not loaded"]


def stored_by(launch: Launch, spec: ModelSpec) -> tuple[ModelSpec, list[str]]:
    """The model as the release that the line names stores it, where its own files do not say, and what is to be said of that."""
    from llmcx.catalog.named import released

    found = released(launch.model or "", spec)
    of = spec.stored
    if found is None or (of is not None and of.quantised and of.format.partition(":")[0] == found.format):
        return spec, []
    what = "attention" if "self_attn" in found.keep else "attention but its last projection"
    return replace(spec, stored=found), [f"as released in {found.format}, with {what} in 16 bits"]


def kept_twice(launch: Launch, spec: ModelSpec, stored: str) -> list[str]:
    """What is to be said of experts that the line's version of SGLang keeps twice; nothing where it does not."""
    text, first = launch.version or "", TWICE.get(spec.family or "")
    release_ = release(text)
    if launch.engine != "sglang" or first is None or version(text) != (0, 5) or release_ is None or not first <= release_ < ONCE:
        return []
    of = spec.stored.format if stored == dtypes.RELEASED and spec.stored is not None else stored
    if of.partition(":")[0] not in ("awq", "gptq"):
        return []
    return [f"SGLang 0.5.{release_} keeps experts in 4 bits twice, as they were loaded and as its kernels take them"]


def _limits(launch: Launch) -> dict[str, int]:
    """How many images and videos a prompt may have, as {"image": 2, "video": {"count": 1}} or image=2,video=1 say it, or
    --limit-mm-per-prompt.video 0.
    """
    counts: dict[str, int] = {}
    for given in launch.given:
        if given.effect != "limits" or given.value is None:
            continue
        text, path = given.value.strip(), given.flag.split(".")[1:]
        try:
            if path and (len(path) == 1 or path[1] == "count"):
                found = {path[0]: text}
            elif path:
                continue
            else:
                found = json.loads(text) if text.startswith("{") else dict(each.split("=", 1) for each in text.split(","))
            counts |= {name: int(each.get("count", 1) if isinstance(each, dict) else each) for name, each in found.items()}
        except (ValueError, TypeError):
            form = "a number" if path else 'as {"image": 2, "video": 0}'
            raise bad(f"{given.flag} is {shown(text)}, but must be {form}", text) from None
    return counts


def notes(launch: Launch, asked_slots: Slots | None) -> list[str]:
    """What is to be said of these flags."""
    found = []
    adapters, room = launch.value("adapters"), launch.value("slots") or launch.value("rank")
    if adapters is not None and asked_slots is None:
        found.append(f"not counted: {adapters.flag} without --max-lora-rank, as the adapters' own rank is not known here")
    if adapters is None and room is not None:
        found.append(f"{room.flag} has no effect without --enable-lora")
    if launch.value("eager") is not None:
        found.append("times are those with CUDA graphs; without them steps of few tokens take longer")
    if launch.value("offload") is not None:
        found.append("times are not known of weights in the host's memory")
    return found
