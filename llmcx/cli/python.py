"""Commands as functions of Python: their parameters, and how a call becomes a question."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from keyword import iskeyword
from typing import Any, NamedTuple

from llmcx.catalog import load
from llmcx.cli import values
from llmcx.cli.options import Question
from llmcx.errors import InputError, shown
from llmcx.model.spec import ModelSpec
from llmcx.report.render import Answer

FUNCTIONS = {
    **{name: (name, name) for name in ("params", "flops", "memory", "attention_compare", "moe", "chinchilla")},
    **{name: (name, name) for name in ("train", "serve", "compare", "bounds", "shapes")},
    "plan_serve": ("plan", "serve"),
    "plan_local": ("plan", "local"),
    "plan_lifetime": ("plan", "lifetime"),
    "plan_train": ("plan", "train"),
    "plan_finetune": ("plan", "finetune"),
    "explain_log": ("explain_log", "explain_log"),
    "check": ("check", "check"),
    "presets": ("catalog", "models"),
}
"""By name: the module of :mod:`llmcx.cli`, and the command in it."""

SHOWN = {"textbook", "measure", "emit", "all_", "file", "against"}
"""Options that say how an answer is shown, or ask for several: no function has them, for its answer is one, and whole."""


class Function(NamedTuple):
    """A command as Python calls it: the option that each parameter is, and the default of each that has one."""

    question: Question
    names: dict[str, str]
    defaults: dict[str, Any]


@cache
def function(name: str) -> Function:
    """One of :data:`FUNCTIONS`.

    Where an option needs another, its default is None: given at all, it has to count for something.

    >>> found = function("memory")
    >>> found.names["engine"], found.defaults["train"], found.defaults["precision"]
    ('engine_', False, None)
    """
    module, command = FUNCTIONS[name]
    registered = import_module(f"llmcx.cli.{module}").app.registered_commands
    [question] = [each.callback.question for each in registered if each.callback.question.function.__name__ == command]
    names = {parameter_of(question, option): option for option in question.declared if option not in SHOWN}
    defaults = {}
    for parameter, option in names.items():
        declared = question.declared[option]
        defaults[parameter] = None if declared.needs and declared.default is not False else declared.default
    return Function(question, names, defaults)


def parameter_of(question: Question, option: str) -> str:
    """The flag of an option as a name in Python; the option's own where Python has that word for itself."""
    [info] = question.parameters[option].annotation.__metadata__
    flags = [flag.partition("/")[0] for flag in (info.default, *(info.param_decls or ())) if isinstance(flag, str)]
    long = next((flag for flag in flags if flag.startswith("--")), f"--{option.strip('_')}")
    name = long[2:].replace("-", "_")
    return option if iskeyword(name) else name


def answer(name: str, given: Mapping[str, Any]) -> Any:
    """What a function of :data:`FUNCTIONS` answers: the result of its command, with what is ``given`` read as there.

    Raises InputError as the command does, and for a list where it takes one value.
    """
    if name == "compare":
        return _compare(**given)
    asked = function(name)
    defaults = asked.defaults
    told = {key: value for key, value in given.items() if value is not None and value is not defaults[key]}
    if name == "flops" and told.keys() <= _COUNTED and (found := _flops(told)) is not None:
        return found
    for key, value in told.items():
        if isinstance(value, (list, tuple, range)) and not asked.question.declared[asked.names[key]].whole:
            raise _list(key, value, name)
    lists = values.lists(asked.question, {asked.names[key]: _text(key, value) for key, value in told.items()})
    for option, listed in lists.items():
        if len(listed) != 1:
            key = next(key for key in told if asked.names[key] == option)
            raise _list(key, told[key], name)
    found = asked.question.answer({option: value for option, [value] in lists.items()})
    if isinstance(found, Answer):
        [found] = found.items
    return _named(name, found.result)


_COUNTED = {"model", "seq", "batch", "context"}


def _flops(told: dict[str, Any]) -> Any:
    """A count that is asked for with nothing but numbers, without what the command would write around it; else None.

    It takes as long as the count alone, which may be asked for ten thousand times a second.
    """
    from llmcx.answers.flops import flops

    numbers = dict(told)
    model = numbers.pop("model", None)
    plain = isinstance(model, ModelSpec) or (isinstance(model, str) and load.stand_in(model) is None)
    if not plain or any(type(value) is not int for value in numbers.values()):
        return None
    return flops(load.load(model), **numbers)


def _compare(a: Any, b: Any, with_: Any, **given: Any) -> Any:
    """What ``llmcx compare`` answers of two models, or of two settings as it takes them in words; ``given`` holds for both."""
    from llmcx.answers.compare import FIGURES

    words: list[Any] = [_side(a), _side(b)]
    for key, value in given.items():
        asked = next(each for each in map(function, FIGURES) if key in each.names)
        if value is not None and (value, asked.defaults[key]) != (False, False):
            words += _words(key, value, asked.question, asked.names[key])
    names = {} if with_ is None else {"with_": with_ if isinstance(with_, str) else ",".join(with_)}
    return function("compare").question.answer({"words": words} | names).result


def _side(source: Any) -> Any:
    """A side as a word of the command line, or the model itself."""
    if isinstance(source, os.PathLike):
        return shlex.quote(load.spelled("config", os.fspath(source)))
    return source if isinstance(source, str) else load.load(source)


def _words(key: str, value: Any, question: Question, option: str) -> list[str]:
    """An option as words of the command line."""
    declared, flag = question.declared[option], f"--{key.replace('_', '-')}"
    if declared.reads == "flag":
        return [f"{flag}={'true' if value else 'false'}"]
    listed = value if isinstance(value, (list, tuple, range)) else [value]
    if listed is value and not declared.whole:
        raise _list(key, value, "compare")
    unit = "B" if declared.reads == "size" else ""
    return [f"{flag}={each if isinstance(each, str) else f'{_text(key, each)}{unit}'}" for each in listed]


def _text(key: str, value: Any) -> Any:
    """A path as text, where it is no model."""
    if key == "model":
        return value
    if isinstance(value, (list, tuple)):
        return [_text(key, each) for each in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _list(key: str, value: Any, name: str) -> InputError:
    problem = f"{key} is {shown(value)}, a list, but llmcx.{name} takes one value; llmcx.sweep takes lists"
    return InputError(problem, field=key, value=shown(value), allowed="one value")


def _named(name: str, result: Any) -> Any:
    """A mapping that lacks what was not asked for, as a class that has all."""
    if name == "chinchilla":
        from llmcx.answers.chinchilla import Optima

        return Optima(**result)
    if isinstance(result, dict):
        from llmcx.answers.weights import Weights

        return Weights(**result)
    return result
