"""What a text launches: a training job, or else the line of a server, freed of the cluster's file around it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from llmcx.cli.launching import asked_in, bad, commands, environment_of, filled
from llmcx.cli.targets import Job, accelerate, deepspeed, megatron, torchtitan
from llmcx.cli.targets.clusters import Held, batch_script, here_documents, manifest
from llmcx.cli.targets.launcher import Started, started
from llmcx.errors import shown

_TOML = re.compile(rf"^[ \t]*\[(?:{'|'.join(torchtitan.SECTIONS)})(?:\.[\w.]+)?\][ \t]*(?:#.*)?$", re.M)
_YAML = re.compile(rf"^(?:apiVersion|kind|{'|'.join(accelerate.OURS)})[ \t]*:", re.M)
LARGEST = 2**20
"""Bytes of a file that a line names."""


class Found(NamedTuple):
    """A training job; where it is None, a shell's text that launches something else, the GPUs that a cluster gives it, and the
    files that it writes.
    """

    job: Job | None
    text: str
    gpus: int | None = None
    files: Mapping[str, str] = {}


def read(text: str) -> Found:
    """What is launched. Raises InputError for a file that is broken, or of no program that is known."""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if plain.lstrip().startswith("{"):
        return _json(plain)
    bare = here_documents(plain)[0]
    if _YAML.search(bare):
        return _yaml(plain)
    if _TOML.search(bare):
        return Found(_asking(torchtitan.read(_toml(plain)), plain), plain)
    held = batch_script(plain)
    return _shell(held)


def _json(text: str) -> Found:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise bad(f"the text begins as JSON and is none: {error.msg} in line {error.lineno}") from None
    if "apiVersion" in values:
        return _shell(manifest([values], ""))
    if not deepspeed.known(values):
        keys = ", ".join(deepspeed.OURS[:2])
        raise bad(f"the JSON has none of DeepSpeed's settings ({keys}, ...), and no other program's JSON is read")
    return Found(deepspeed.read(values), text)


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # what became tomllib, for Python 3.10
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise bad(f"the text has tables as TOML and is none: {shown(str(error))[1:-1]}") from None
    return found


def _yaml(text: str) -> Found:
    import yaml

    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise bad(
            f"the text begins as YAML and is none: {getattr(error, 'problem', None) or 'it cannot be read'}{where}"
        ) from None
    if any(isinstance(each, Mapping) and "apiVersion" in each for each in documents):
        comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
        return _shell(manifest(documents, comments))
    [values, *more] = documents
    if more or not isinstance(values, Mapping) or not accelerate.known(values):
        raise bad("the YAML is neither a manifest of Kubernetes nor a configuration of accelerate (distributed_type, ...)")
    return Found(_asking(accelerate.read(values), text), text)


def _asking(job: Job, text: str) -> Job:
    return replace(job, asked=(*job.asked, *asked_in(text)))


def _shell(held: Held) -> Found:
    """What a shell's text starts."""
    text, files = here_documents(held.text)
    environment: dict[str, str] = {}
    found: list[Job] = []
    for words in _all(text):
        words = [filled(word, environment) for word in words]
        environment |= environment_of(words) or {}
        job = _job(words, files, held.gpus)
        found += [] if job is None else [job]
    if len(found) > 1:
        raise bad(f"the text launches {len(found)} training jobs; give one at a time")
    if not found:
        return Found(None, text, held.gpus, files)
    if held.gpus is not None and found[0].gpus not in (None, held.gpus):
        raise bad(f"the line starts {found[0].gpus:,} processes, but the file around it asks for {held.gpus:,} GPUs")
    return Found(_asking(found[0], text), text, held.gpus)


def _all(text: str) -> list[list[str]]:
    """All commands, those too that a shell is told to run."""
    out: list[list[str]] = []
    for words in commands(text):
        inner = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-c", "-lc", "-ic")), None)
        if inner is not None and any(word.endswith("sh") for word in words):
            bare, files = here_documents(inner)
            out += [*([["cat", name, content] for name, content in files.items()]), *_all(bare)]
        else:
            out.append(words)
    return out


def _job(words: Sequence[str], files: dict[str, str], there: int | None) -> Job | None:
    """The training job that a command starts."""
    if words and words[0] == "cat" and len(words) == 3:
        files[words[1]] = words[2]
        return None
    for at, word in enumerate(words):
        name = re.split(r"[/\\]", word)[-1]
        if name == "accelerate" and words[at + 1 : at + 2] == ["launch"]:
            return _accelerate(list(words[at + 2 :]), files)
        if name == "deepspeed":
            return _deepspeed(list(words[at + 1 :]), files, there)
    of = started(words, there)
    if of is None:
        return None
    if megatron.SCRIPT.fullmatch(re.split(r"[/\\]", of.script)[-1]):
        return megatron.read(of)
    if "torchtitan" in of.script or any(word.startswith("--job.config") for word in of.arguments):
        return _torchtitan(of, files)
    named = _named(of.arguments, ("--deepspeed", "--deepspeed_config", "--deepspeed-config"))
    if named is not None:
        return _with_file(named, files, of.gpus)
    if "torchrun" in " ".join(words) or "torch.distributed" in " ".join(words):
        problem = "no file of a program that is read; read are Megatron-LM's pretrain_gpt.py, torchtitan, and --deepspeed FILE"
        raise bad(f"torchrun starts {shown(of.script)}, {problem}", of.script)
    return None


def _named(words: Sequence[str], flags: Sequence[str]) -> str | None:
    """The value of one of some flags."""
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in flags and (equals or at + 1 < len(words)):
            return value if equals else words[at + 1]
    return None


def _content(name: str, files: Mapping[str, str]) -> str:
    """The text of a file that a line names. Raises InputError."""
    if name in files:
        return files[name]
    if not os.path.isfile(name):
        raise bad(f"the line names {name}, which is not here; run llmcx check where it is, or check the file itself", name)
    try:
        with open(name, encoding="utf-8") as file:
            return file.read(LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise bad(
            f"{name}, which the line names, cannot be read: {getattr(error, 'strerror', None) or 'no text'}", name
        ) from None


def mapping_of(name: str, files: Mapping[str, str]) -> dict[str, Any] | None:
    """What a YAML file that a line names sets; None where it is not here. Raises InputError for one that is broken."""
    plain = name.removeprefix("./")
    if name not in files and plain not in files and not os.path.isfile(name):
        return None
    import yaml

    try:
        values = yaml.safe_load(files[plain] if plain in files else _content(name, files))
    except yaml.YAMLError:
        raise bad(f"{name} is no YAML", name) from None
    if values is not None and not isinstance(values, Mapping):
        raise bad(f"{name} has no settings", name)
    return {} if values is None else {str(key): value for key, value in values.items()}


def _with_file(name: str, files: Mapping[str, str], gpus: int | None) -> Job:
    """The job of DeepSpeed's file that a line names."""
    try:
        values = json.loads(_content(name, files))
    except json.JSONDecodeError as error:
        raise bad(f"{name} is no JSON: {error.msg} in line {error.lineno}", name) from None
    if not isinstance(values, Mapping):
        raise bad(f"{name} is no configuration of DeepSpeed", name)
    return deepspeed.read(values, gpus)


def _accelerate(words: list[str], files: Mapping[str, str]) -> Job:
    name = _named(words, ("--config_file", "--config-file"))
    if name is None:
        raise bad("accelerate launch names no --config_file, so what it does is its user's default; name one, or check that file")
    text = _content(name, files)
    import yaml

    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        raise bad(f"{name} is no YAML", name) from None
    if not isinstance(values, Mapping):
        raise bad(f"{name} is no configuration of accelerate", name)
    stated = _named(words, ("--num_processes", "--num-processes"))
    gpus = int(stated) if stated is not None and stated.isdecimal() else None
    values = {**values} if gpus is None else {**values, "num_processes": gpus}
    job = _asking(accelerate.read(values), text)
    inner = _named(words, ("--deepspeed", "--deepspeed_config_file", "--deepspeed_config"))
    return job if inner is None else _with_file(inner, files, job.gpus)


def _deepspeed(words: list[str], files: Mapping[str, str], there: int | None) -> Job | None:
    """The launcher of DeepSpeed."""
    name = _named(words, ("--deepspeed_config", "--deepspeed-config", "--deepspeed"))
    if name is None or name.startswith("-"):
        raise bad("the deepspeed line names no --deepspeed_config FILE; name one, or check that file")
    sizes = [_named(words, (f"--num_{what}", f"--num-{what}")) for what in ("nodes", "gpus")]
    gpus = there
    if sizes[1] is not None and all(size is None or size.isdecimal() for size in sizes):
        gpus = int(sizes[0] or 1) * int(sizes[1])
    return _with_file(name, files, gpus)


def _torchtitan(of: Started, files: Mapping[str, str]) -> Job:
    """torchtitan's file, with what the line sets beside it."""
    name = _named(of.arguments, ("--job.config_file", "--job.config-file"))
    text = "" if name is None else _content(name, files)
    values = _toml(text)
    todo = list(of.arguments)
    while todo:
        word = todo.pop(0)
        flag, equals, value = word.partition("=")
        if not flag.startswith("--"):
            raise bad(f"{shown(word)} is no setting of torchtitan", word)
        if not equals:
            value = todo.pop(0) if todo and not todo[0].startswith("--") else "true"
        path = flag.removeprefix("--").replace("-", "_").split(".")
        if path[:2] == ["job", "config_file"]:
            continue
        at = values
        for part in path[:-1]:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise bad(f"{flag} is no setting of torchtitan", flag)
        at[path[-1]] = value
    return _asking(torchtitan.read(values, of.gpus), text)
