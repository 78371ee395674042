"""Commands as tools of an agent: what each takes, as a JSON Schema, and what its --json answers."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

from llmcx import cli
from llmcx.cli import COMMANDS, built
from llmcx.cli.options import Output, Question
from llmcx.errors import InputError, shown, unknown_name

TOOLS: dict[str, tuple[str, ...]] = {
    **{name.replace("-", "_"): (name,) for name in COMMANDS if name not in ("plan", "sweep", "textbook", "catalog", "tools")},
    **{f"plan_{name}": ("plan", name) for name in ("serve", "train", "finetune", "local", "lifetime")},
    **{"bounds": ("textbook", "bounds"), "shapes": ("textbook", "shapes")},
    **{"models": ("catalog", "models"), "hardware": ("catalog", "hardware"), "show": ("catalog", "show")},
}
"""By name: the command that a tool is."""
TYPES = {
    **{reads: ["integer", "string", "array"] for reads in ("count", "length", "size", "integer")},
    **{reads: ["number", "string", "array"] for reads in ("number", "share", "time")},
    **{reads: ["string", "array"] for reads in ("word", "words")},
    **{"flag": ["boolean"], "text": ["string"]},
}
"""What a value may be, by what its option reads: several give an answer each."""
FORMS = {*Output.__dataclass_fields__, "preset", "config", "hf"}
"""Options that no tool has: forms of an answer, which is JSON; and of the model's name, which ``model`` takes in every form."""
_STDIN = re.compile(r"[;,] - (?:is|for) stdin|, - for stdin")
SET = "set"
"""The argument that has the rarer options, as --set has on the command line."""


class Tool(NamedTuple):
    """A command that may be called: its words, what it is for, and what it takes."""

    name: str
    command: tuple[str, ...]
    about: str
    takes: dict[str, Any]


@cache
def tools() -> dict[str, Tool]:
    """Every tool by its name.

    >>> found = tools()["memory"].takes["properties"]
    >>> found["seq"]["type"], found["train"]["type"], found["model"]["type"]
    (['integer', 'string', 'array'], ['boolean'], ['string', 'array'])
    """
    return {name: _tool(name, words) for name, words in TOOLS.items()}


def _command(words: tuple[str, ...]) -> Any:
    """The command that the words name."""
    found = built(words[0])
    return found.commands[words[-1]] if len(words) > 1 else found


def _asked(question: Question) -> list[str]:
    """Its options, but those of how an answer is shown, and other ways to name the model."""
    return [name for name in question.declared if name not in FORMS]


def _rare(question: Question, name: str) -> bool:
    declared = question.declared[name]
    return declared.rare or declared.group == "Shape"


def _tool(name: str, words: tuple[str, ...]) -> Tool:
    """A tool of a command: its options that are no mere form of the answer."""
    command = _command(words)
    question: Question = command.callback.question
    helps = {param.name: param.help for param in command.params}
    properties: dict[str, Any] = {}
    rarer = []
    for option in _asked(question):
        if _rare(question, option):
            rarer.append(_key(question, option))
            continue
        about = _STDIN.sub("", helps.get(option) or "")
        properties[_key(question, option)] = {"type": _type(question, option), "description": about}
    if rarer:
        about = f"Rarer inputs by name, each with its value: {', '.join(rarer)}."
        properties[SET] = {"type": "object", "description": about}
    required = [_key(question, option) for option in question.arguments if _required(question, option)]
    takes = {"type": "object", "properties": properties, "additionalProperties": False}
    return Tool(name, words, _about(command), takes | ({"required": required} if required else {}))


def _key(question: Question, option: str) -> str:
    """An option's name as an argument of a tool."""
    return option if option in question.arguments else question.flags[option].removeprefix("--").replace("-", "_")


def _type(question: Question, option: str) -> list[str]:
    declared = question.declared[option]
    if declared.reads == "argument":
        several = "list" in str(question.parameters[option].annotation.__origin__)
        return ["string", "array"] if several else ["string"]
    return TYPES.get(declared.reads, ["string"])


def _required(question: Question, option: str) -> bool:
    parameter = question.parameters[option]
    return parameter.default is parameter.empty and option != "model"


def _about(command: Any) -> str:
    """What a command is for, and examples of it on the command line."""
    text = command.help or ""
    return " ".join(text.replace("\b", "\n").split())


def words_of(tool: Tool, given: Mapping[str, Any]) -> list[str]:
    """A call as words of the command line. Raises InputError for what the tool does not take."""
    question: Question = _command(tool.command).callback.question
    given = dict(given)
    more = given.pop(SET, None) or {}
    if not isinstance(more, Mapping):
        raise InputError(f"{SET} is {shown(more)}, but must be an object: names of inputs, each with its value", field=SET)
    keys = {_key(question, option): option for option in _asked(question)}
    flags, arguments = [], {}
    for key, value in [*given.items(), *more.items()]:
        if key not in keys:
            raise unknown_name(f"argument of {tool.name}", key, [*keys], field=str(key))
        option = keys[key]
        if value is None:
            continue
        if option in question.arguments:
            arguments[option] = _texts(key, value)
        elif question.declared[option].reads == "flag":
            flags += _switch(question, option, key, value)
        else:
            flags += [f"{question.flags[option]}={text}" for text in _texts(key, value)]
    free = tool.name == "compare"  # which takes both sides' options among its words
    for key, texts in arguments.items():
        for text in texts:
            if text == "-" or (text.startswith("-") and not free):
                raise InputError(f"{key} is {shown(text)}, but must be a name, a file or a text: there is no stdin", field=key)
    return [*tool.command, *(text for option in question.declared for text in arguments.get(option, ())), *flags]


def _switch(question: Question, option: str, key: str, value: Any) -> list[str]:
    """A flag that is on, or off where it can be."""
    if not isinstance(value, bool):
        raise InputError(f"{key} is {shown(value)}, but must be true or false", field=key, value=shown(value))
    if value:
        return [question.flags[option]]
    [info] = question.parameters[option].annotation.__metadata__
    off = [decl.partition("/")[2] for decl in (info.default, *(info.param_decls or ())) if isinstance(decl, str) and "/" in decl]
    return off[:1]


def _texts(key: str, value: Any) -> list[str]:
    """A value, or several, as they are typed."""
    found = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, bool) or not isinstance(each, (str, int, float)):
            raise InputError(f"{key} is {shown(each)}, but must be a number or a text", field=key, value=shown(each))
        found.append(str(each))
    return found


class Called(NamedTuple):
    """How a call ended: what --json printed, or the refusal as --json has it."""

    answer: dict[str, Any]
    refused: bool


def call(name: str, given: Mapping[str, Any]) -> Called:
    """The answer of a tool.

    >>> call("params", {"model": "gpt3"}).answer["result"]["total"], call("params", {"modle": "gpt3"}).refused
    (174604259328, True)
    """
    try:
        if name not in TOOLS:
            raise unknown_name("tool", name, [*TOOLS], field="name")
        words = words_of(tools()[name], given)
    except InputError as error:
        return Called({"error": error.as_dict()}, True)
    with _captured([*words, "--json"]) as (out, err), suppress(SystemExit):  # 1: what is required does not hold
        cli.main()
    text = out.getvalue() or err.getvalue()
    found = json.loads(text[text.find("{") :])
    return Called(found, "error" in found)


@contextmanager
def _captured(words: list[str]) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """The command line of another call, with streams of its own."""
    before = sys.argv, sys.stdin, sys.stdout, sys.stderr
    out, err = io.StringIO(), io.StringIO()
    sys.argv, sys.stdin, sys.stdout, sys.stderr = ["llmcx", *words], io.StringIO(), out, err
    try:
        yield out, err
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = before
