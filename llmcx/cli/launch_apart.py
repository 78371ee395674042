"""Launch lines of a server whose prompts are worked off on GPUs of their own: which line is of which workers, and how many.

SGLang's lines say it; vLLM's say it by kv_role, or leave it to the router, as TensorRT-LLM's do: then its ports tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from llmcx.answers.launched import Asked
from llmcx.cli.launching import Launch, bad, commands, filled, read_all, several
from llmcx.engines.serving_time import Setup
from llmcx.errors import shown

PREFILL, DECODE, EITHER = "prefill", "decode", "either"
ROLES = {"prefill": PREFILL, "context": PREFILL, "decode": DECODE, "generation": DECODE}
"""What a line calls them."""
KV_ROLES = {"kv_producer": PREFILL, "kv_consumer": DECODE, "kv_both": EITHER}
HANDING = ("nixl", "p2pnccl", "mooncakeconnector", "moriio")
"""vLLM's connectors that hand a cache from worker to worker begin so; of others kv_both keeps it elsewhere."""
HALVES = {PREFILL: "works off prompts", DECODE: "decodes", EITHER: "works off prompts or decodes"}
_PORT = re.compile(r":(\d+)/?$")


@dataclass(frozen=True)
class Served:
    """The line of what decodes, or the only one, and what it does of both (``role``; None: everything), in ``workers`` copies;
    the line of ``prefill_workers`` copies that work off ``prompts`` for it.
    """

    launch: Launch
    role: str | None = None
    workers: int = 1
    prompts: Launch | None = None
    prefill_workers: int = 0


def served(text: str, files: Mapping[str, str], gpus: int | None) -> Served:
    """What a text serves that writes ``files``, on ``gpus`` in all. Raises InputError for lines that are no one server."""
    found = read_all(text, files)
    routed = _routed(text, files)
    roles = [_role(launch, routed) for launch in found]
    first = found[0]
    if len(found) == 1:
        first.visible = gpus if first.visible is None else first.visible
        return Served(first, roles[0])
    if set(roles) != {PREFILL, DECODE} or len({launch.engine for launch in found}) > 1:
        raise several(found)
    halves = []
    for role in (PREFILL, DECODE):
        [one, *more] = [launch for launch, of in zip(found, roles, strict=True) if of == role]
        for other in more:
            if _alike(other) != _alike(one):
                what = f"two workers of which each {HALVES[role]}"
                raise bad(f"{what} have different lines, and those of one layout are counted; check one at a time")
        halves.append((one, 1 + len(more)))
    (prompts, many), (decodes, workers) = halves
    if prompts.model != decodes.model:
        raise bad(f"one line serves {shown(prompts.model or '')} and the other {shown(decodes.model or '')}; give one at a time")
    return Served(decodes, DECODE, workers, prompts, many)


def _alike(launch: Launch) -> tuple[object, ...]:
    """What the workers of a kind have in common."""
    counted = [
        (each.effect, each.value) for each in launch.given if each.effect not in ("harmless", "role", "transfer", "config")
    ]
    return launch.model, launch.visible, sorted(counted, key=str)


def _role(launch: Launch, routed: Mapping[int, str]) -> str | None:
    """What of both a line's worker does; None where it does everything."""
    found = None
    if (stated := launch.value("role")) is not None:
        found = ROLES.get(str(stated.value).lower())
    elif launch.engine == "vllm" and launch.value("transfer") is not None:
        of = _transfer(launch)
        handing = str(of.get("kv_connector", "")).lower().startswith(HANDING)
        found = KV_ROLES.get(str(of.get("kv_role", "")), EITHER) if handing else None
    elif launch.value("transfer") is not None:
        found = EITHER
    port = next((each.value for each in reversed(launch.given) if each.flag == "--port"), None)
    at = routed.get(int(port)) if port is not None and port.isdecimal() else None
    return at if at is not None and found in (None, EITHER) else found


def _transfer(launch: Launch) -> dict[str, object]:
    """What --kv-transfer-config says, as JSON or by dots."""
    out: dict[str, object] = {}
    for given in launch.given:
        if given.effect != "transfer" or given.value is None:
            continue
        path = given.flag.split(".", 1)[1:]
        if path:
            out[path[0].replace("-", "_")] = given.value
            continue
        try:
            stated = json.loads(given.value)
        except ValueError:
            stated = None
        if not isinstance(stated, dict):
            example = '{"kv_connector": "NixlConnector", "kv_role": "kv_producer"}'
            raise bad(f"{given.flag} is {shown(given.value)}, but must be a JSON object, as {example}", given.value)
        out |= stated
    return out


def _routed(text: str, files: Mapping[str, str]) -> dict[int, str]:
    """Ports of workers for prompts and of those that decode, as a router's line in the text has them."""
    found: dict[int, set[str]] = {}
    for words in commands(text):
        words = [filled(word, {}) for word in words]
        role = None
        named: list[tuple[str, str]] = []
        for at, word in enumerate(words):
            if word.startswith("-"):
                kind = re.fullmatch(r"--(prefill|decode)(?:er|r)?(?:-ports?)?", word)
                role = None if kind is None else ROLES[kind[1]]
            elif role is not None and (port := _PORT.search(word) or re.fullmatch(r"(\d+)", word)) is not None:
                named.append((role, port[1]))
                role = role if port.re is not _PORT else None  # what follows an address is of another kind
            if word == "disaggregated" and "trtllm-serve" in words[:at]:
                named += _servers(words[at:], files)
        for kind_of, number in named:
            found.setdefault(int(number), set()).add(kind_of)
    return {port: roles.pop() for port, roles in found.items() if len(roles) == 1}


def _servers(words: Sequence[str], files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Of the file that `trtllm-serve disaggregated` is given."""
    from llmcx.cli.targets.reading import mapping_of

    name = next((after for flag, after in pairwise(words) if flag in ("-c", "--config_file")), None)
    values = None if name is None else mapping_of(name, files)
    out = []
    for key, role in (("context_servers", PREFILL), ("generation_servers", DECODE)):
        of = (values or {}).get(key)
        for url in (of.get("urls") or []) if isinstance(of, Mapping) else []:
            if (port := _PORT.search(str(url))) is not None:
                out.append((role, port[1]))
    return out


def half(of: Served) -> str | None:
    """What is to be said where a text has one half of a server alone."""
    if of.role is None or of.prompts is not None:
        return None
    other = {PREFILL: "workers that decode", DECODE: "workers for prompts", EITHER: "other workers and of its router"}[of.role]
    said = f"the line's worker {HALVES[of.role]}, so times are not known from it alone"
    return f"{said}; check it in one text with the lines of the {other}"


def apart_as(asked: Asked, setup: Setup) -> str | None:
    """Why times are not known of prompts that are worked off in this layout; None where they are."""
    return "times are not known: how stages hand a cache on" if asked.layout.pp > 1 or setup.pp > 1 else None


def unhanded(launch: Launch, role: str | None) -> Launch:
    """A line whose --kv-transfer-config hands nothing to other workers, which is then not counted."""
    if role is not None or launch.engine != "vllm":
        return launch
    return replace(launch, given=[each._replace(effect="apart") if each.effect == "transfer" else each for each in launch.given])
