"""llmcx explain-log."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import TextIOWrapper
from typing import Annotated, Any, cast

from llmcx.answers import log as answers
from llmcx.cli.models import Models, describe
from llmcx.cli.options import argument, command, completing, heading, option, single
from llmcx.engines import logs
from llmcx.errors import InputError
from llmcx.report.render import Item

app = single()
_stdin: tuple[Any, logs.Log] | None = None
"""What was read of stdin, for every model that is set beside it."""
KNOWN = "vLLM, SGLang, TensorRT-LLM or llama.cpp"
HEAD = 4096
"""Bytes by which a binary file is told from text."""


@command(app, "explain-log", without=("plot", "explain"))
def explain_log(
    log: Annotated[str, argument("A start-up log of vLLM, SGLang, TensorRT-LLM or llama.cpp; - is stdin.", "LOG")],
    models: Models,
    dtype: Annotated[
        str | None,
        option(
            "Of the weights. Default: what the log's dtype and quantization say.",
            offers="formats.dtypes:BITS formats.schemes:SCHEMES formats.gguf:MIXES",
        ),
    ] = None,
    hardware: Annotated[
        str | None, option("Of vLLM, where the log does not say a GPU's memory: h100, ...", offers=completing("hardware"))
    ] = None,
) -> Item:
    """What an engine logged at its start beside what llmcx predicts, term by term, and which differs most.

    The model is the one that the log names, where that is a preset's name; else name it. Of several starts the last is read.

    \b
    llmcx explain-log vllm.log
    llmcx explain-log vllm.log gemma-3-12b --dtype bf16
    llmcx explain-log vllm.log --json | jq -c '.result.terms[] | [.term, .logged, .share]'
    """
    if log == "-" and cast(Any, models.model) == "-":
        raise InputError("the log and the model are both -, but stdin can be read only once", field="model", value="-")
    found = read(log)
    name = "stdin" if log == "-" else os.path.basename(log)
    notes = _about(found)
    if hardware is not None and (found.engine != "vllm" or found.get("memory") is not None):
        why = f"is for vLLM, and {name} is of {logs.NAMES[str(found.engine)]}"
        why = f"changes nothing: {name} says a GPU's memory" if found.engine == "vllm" else why
        raise InputError(f"--hardware {why}; leave it out", field="hardware", value=hardware)
    models, taken = _named(models, found)
    shape: dict[str, Any] = {}
    if models.model is None and not models.shape():
        if dtype is not None or hardware is not None:
            flag = "--dtype" if dtype is not None else "--hardware"
            problem = f"{flag} changes nothing without a model, and {taken}; name one after the log"
            raise InputError(problem, field=flag.removeprefix("--"), value=dtype or hardware)
        spec, named = None, [f"{taken}: name the model to predict, as in `llmcx explain-log {name} llama-3.1-8b`"]
    else:
        spec, shape, named = models.load()
        named = [taken, *named] if taken else named
    result, more = answers.explain_log(found, spec, dtype, _memory(hardware))
    head = heading("explain_log", spec, result)
    inputs = {"log": log, "dtype": dtype, "hardware": hardware, **shape}
    about = None if spec is None else describe(spec)
    return Item(about, inputs, result, [*notes, *named, *more], head=head)


def read(path: str) -> logs.Log:
    """The last start in a log file. Raises InputError for what is no start-up log, and one that ends before it says anything."""
    global _stdin
    if path == "-" and _stdin is not None and _stdin[0] is sys.stdin:
        return _stdin[1]
    name = "stdin" if path == "-" else path
    with _opened(path) as file:
        found = logs.read(logs.pieces(file))
    if not found.read:
        raise InputError(f"{name} is empty", field="log", value=path)
    if found.engine is None:
        lines = "its one line is of none of them" if found.read == 1 else f"its {found.read:,} lines are of none of them"
        raise InputError(f"{name} is no start-up log of {KNOWN}: {lines}", field="log", value=path)
    if not found.measured and not any(key in found.values for key in answers.SHAPE):
        what = logs.NAMES[found.engine] + (f" {found.get('version')}" if found.get("version") else "")
        missing = ", no ".join(f'"{line}"' for line in found.missing())
        problem = f"{name} is of {what} and ends before a size is said: it has no {missing}"
        if (error := found.get("error")) is not None:
            problem += f"; its first error is {error}"
        raise InputError(problem, field="log", value=path)
    if path == "-":
        _stdin = sys.stdin, found
    return found


@contextmanager
def _opened(path: str) -> Iterator[TextIOWrapper]:
    """A file as text, whatever bytes it holds; "-" is stdin. Raises InputError for what cannot be read, and for a binary file."""
    if path == "-":
        if sys.stdin is None:
            raise InputError("stdin is closed, so there is nothing to read from it", field="log", value=path)
        yield _text(sys.stdin.buffer, path)
        return
    if not path.strip() or "\x00" in path:
        raise InputError(f"{path!r} is not a file name", field="log", value=path)
    if os.path.isdir(path):
        raise InputError(f"{path} is a directory, but must be a log file", field="log", value=path)
    try:
        with open(path, "rb") as raw:
            yield _text(raw, path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="log", value=path) from None


def _text(raw: Any, path: str) -> TextIOWrapper:
    """Bytes as text: UTF-8, or UTF-16 as some shells of Windows write it; only a newline ends a line."""
    head = raw.peek(HEAD)[:HEAD] if hasattr(raw, "peek") else raw.getvalue()[:HEAD]
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not wide and b"\x00" in head:
        name = "stdin" if path == "-" else path
        raise InputError(f"{name} is a binary file, but must be a log", field="log", value=path)
    return TextIOWrapper(raw, "utf-16" if wide else "utf-8", errors="replace", newline="\n")


def _about(log: logs.Log) -> list[str]:
    """What to know of a log."""
    notes = []
    if log.starts > 1:
        notes.append(f"the log has {log.starts} starts, of which the last is read")
    if missing := log.missing():
        error = f"; the first error is {log.get('error')}" if log.get("error") else ""
        notes.append(f"the log is cut off or incomplete: it has no {', no '.join(missing)}{error}")
    if log.another:
        notes.append("a draft model is loaded after this one, of which nothing is read")
    return notes


def _named(models: Models, log: logs.Log) -> tuple[Models, str]:
    """The model, where none is given the preset of the name that the log has; and what is to be said of that."""
    if models.model is not None:
        return models, ""
    from llmcx.catalog.named import preset_of

    names = [str(log.get(key)) for key in ("model", "file") if log.get(key)]
    preset = next(filter(None, map(preset_of, names)), None)
    if preset is None:
        said = f"the log names {names[0]}, which is no preset" if names else "the log names no model"
        return models, said
    return replace(models, model=cast(Any, preset)), f"the log names {names[0]}, whose shape is taken from the preset {preset}"


def _memory(hardware: str | None) -> int | None:
    """Bytes of a GPU's memory as torch sees them."""
    if hardware is None:
        return None
    from llmcx.cli.accelerator import accelerators

    return accelerators(hardware).hardware.visible_bytes
