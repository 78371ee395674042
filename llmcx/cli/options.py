"""How a command declares its options, and how a function becomes a command.

An option is declared once: what it reads, when it counts, what it is for. From that follow the command line (each takes lists and
ranges), `llmcx sweep`, the Python function of the same name, the help, and the refusal of an option that would change nothing.

No `from __future__ import annotations` here: the annotations below are read as objects.
"""

import os
import sys
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import import_module
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, NamedTuple

import typer

from llmcx.cli import SETTINGS, Command, Group
from llmcx.errors import InputError, unknown_name


def completing(kind: str) -> Callable[[str], list[str]]:
    """Completion of the names of "laws" or "hardware"."""
    return lambda incomplete: [name for name in import_module("llmcx.catalog.index").offered(kind) if name.startswith(incomplete)]


def choosing(*names: str) -> Callable[[str], list[str]]:
    """Completion of these names; where one reads "module:NAME", of those in that registry or that a function of that name gives,
    as core.optimizers:OPTIMIZERS. A module is imported when a shell asks.
    """

    def complete(incomplete: str) -> list[str]:
        found: list[str] = []
        for name in names:
            module, _, registry = name.partition(":")
            listed = getattr(import_module(f"llmcx.{module}"), registry) if registry else [name]
            found += listed() if callable(listed) else listed
        return [name for name in dict.fromkeys(found) if name.startswith(incomplete)]

    return complete


PRESETS = choosing("catalog.presets:offered")
VARIANTS = "model.variants:VARIANTS"
DTYPES = "formats.dtypes:BITS"
MATMULS = "bf16 fp16 fp8 fp4"

METAVARS = {
    **{"count": "N", "length": "N", "integer": "N", "size": "SIZE", "share": "SHARE", "number": "X"},
    **{"time": "TIME", "rate": "RATE"},
    **{"word": "NAME", "text": "TEXT", "words": "NAME"},
}
"""What an option reads, and how its help calls that; "flag" has none. Numbers are read by :mod:`llmcx.cli.values`."""


class Declared(NamedTuple):
    """What llmcx knows of an option beside its flags and its help: what it ``reads``; whether a list of values gives one answer
    (``whole``) in place of one each; the ``group`` in the help that it stands under; whether it is ``rare``, left out of the help
    and given by --set; and what it ``needs``: names of other options, without which it would change nothing.
    """

    reads: str = "word"
    whole: bool = False
    group: str = ""
    rare: bool = False
    needs: str = ""
    default: Any = None


def _completion(offers: Any) -> Any:
    return choosing(*offers.split()) if isinstance(offers, str) else offers


def option(
    help: str,
    *flags: str,
    reads: str = "word",
    metavar: str | None = None,
    offers: Any = None,
    whole: bool = False,
    group: str = "",
    rare: bool = False,
    needs: str = "",
) -> Any:
    """An option of a command; ``offers`` is how a shell completes it: a function, or names as :func:`choosing` takes them. The
    rest is as in :class:`Declared`.
    """
    metavar = metavar or METAVARS.get(reads)
    made = typer.Option(*flags, help=help, metavar=metavar, autocompletion=_completion(offers), hidden=rare)
    made.declared = Declared(reads, whole, group, rare, needs)
    return made


def flag_of(name: str) -> str:
    """The flag of an option by its name in Python."""
    return f"--{name.strip('_').replace('_', '-')}"


def argument(help: str, metavar: str, offers: Any = None, whole: bool = False) -> Any:
    """An argument of a command, as :func:`option`."""
    made = typer.Argument(help=help, metavar=metavar, autocompletion=_completion(offers))
    made.declared = Declared("argument", whole)
    return made


@dataclass(eq=False, repr=False)
class Output:
    """How the answer is written."""

    json: Annotated[bool, option("JSON on stdout, the same as --format json.", "--json", reads="flag", group="Output")] = False
    format: Annotated[
        str | None,
        option(
            "table (default), json, jsonl, csv or markdown.",
            "--format",
            "-f",
            metavar="FORMAT",
            offers="table json jsonl csv markdown",
            group="Output",
        ),
    ] = None
    detail: Annotated[bool, option("Every row, table and note.", "--detail", reads="flag", group="Output")] = False
    explain: Annotated[
        bool, option("Under the tables: formulas, the numbers put in, sources.", "--explain", reads="flag", group="Output")
    ] = False
    plain: Annotated[
        bool,
        option(
            "The table in words, for a screen reader; LLMCX_PLAIN=1 makes it the default.",
            "--plain",
            reads="flag",
            group="Shown otherwise",
        ),
    ] = False
    plot: Annotated[
        str | None,
        option(
            "Draw it: - in the terminal, or .svg, .png, .pdf, .html (extra llmcx[plot]).", metavar="FILE", group="Shown otherwise"
        ),
    ] = None

    def chosen(self) -> str:
        """The format asked for, "plain" among them. Raises InputError where options contradict each other."""
        from llmcx.report.render import FORMATS

        chosen = ("json" if self.json else "table") if self.format is None else self.format
        if chosen not in FORMATS:
            raise unknown_name("format", chosen, list(FORMATS), field="format")
        if self.json and chosen != "json":
            raise InputError(f"--json and --format {chosen} contradict each other; give one", field="format", value=chosen)
        if chosen != "table":
            given = "--json" if self.json else f"--format {chosen}"
            if self.plain:
                raise InputError(f"--plain is a form of the table and contradicts {given}; give one", field="plain")
            if self.plot == "-":
                raise InputError(f"--plot - draws in the terminal and contradicts {given}; name a file", field="plot", value="-")
            if self.detail and chosen != "markdown":
                problem = f"{given} has every row and note already, so --detail would change nothing"
                raise InputError(problem, field="detail")
        elif self.plain or os.environ.get("LLMCX_PLAIN", "0") not in ("", "0"):
            chosen = "plain"
        if self.plot == "-" and self.explain:
            problem = "--plot - draws in place of the tables, under which --explain would stand; give one, or name a file to draw"
            raise InputError(problem, field="explain")
        if self.plot is not None:
            from llmcx.report.image import check

            check(self.plot)
        return chosen

    def show(self, command: str, answer: Any, chosen: str) -> None:
        """Render a :class:`~llmcx.report.render.Answer` as ``chosen``; a picture in the terminal stands in its place."""
        view = answer.view or command
        if chosen in ("table", "plain") and all(item.text is not None for item in answer.items):
            for name in ("explain", "detail", "plot"):
                if getattr(self, name):
                    raise InputError(f"--emit prints a launch line alone, to which --{name} adds nothing; give one", field=name)
            sys.stdout.write("".join(f"{item.text}\n" for item in answer.items))
            return
        if self.explain and not any(item.explained() for item in answer.items):
            problem = "nothing is computed here that --explain could tell the formula of; `llmcx explain` lists all formulas"
            raise InputError(problem, field="explain")
        if self.plot is not None:
            from llmcx.report.pictures import draw

            draw(answer, view, self.plot, plain=chosen == "plain")
            if self.plot == "-":
                return
        from llmcx.report import render

        render.show(command, answer.items, view, chosen, self.explain, self.detail)


def explaining(module: str, *answer: Any, rows: str = "rows") -> Callable[[], list[Any]]:
    """What --explain prints of an answer: ``rows`` of a module of :mod:`llmcx.explain.rows`, imported when it is asked for."""

    @cache  # asked whether there is any, and then for them
    def explained() -> list[Any]:
        found: list[Any] = getattr(import_module(f"llmcx.explain.rows.{module}"), rows)(*answer)
        return found

    return explained


def heading(name: str, *answer: Any) -> Callable[[], Any]:
    """The first lines of an answer: by :mod:`llmcx.report.headline`, written when they are printed."""

    def headed() -> Any:
        from llmcx.report import headline

        return headline.written(name, *answer)

    return headed


# --- a function becomes a command -------------------------------------------------------------------------------------


class Question:
    """A command as something that can be asked: by the command line, by a sweep, by Python."""

    def __init__(self, function: Callable[..., Any], shows: str | None) -> None:
        self.function, self.shows = function, shows
        self.groups: dict[str, Any] = {}
        self.parameters: dict[str, Parameter] = {}
        for parameter in signature(function).parameters.values():
            kind: Any = parameter.annotation
            if isinstance(kind, type) and is_dataclass(kind):
                self.groups[parameter.name] = kind
                self.parameters |= signature(kind).parameters
            else:
                self.parameters[parameter.name] = parameter
        self.declared = {name: _declared(parameter) for name, parameter in self.parameters.items()}
        self.arguments = {name for name, each in self.declared.items() if each.reads == "argument"}
        self._names = {name: [field.name for field in fields(kind)] for name, kind in self.groups.items()}
        self._defaults = {name: each.default for name, each in self.declared.items()}
        self.flags = {name: _flag(parameter) for name, parameter in self.parameters.items()}

    def answer(self, given: Mapping[str, Any]) -> Any:
        """The answer for one value of each option given, read already (a list where the option is ``whole``).

        Raises InputError for one that would change nothing.
        """
        values = {**self._defaults, **given}
        for name in given:
            if needs := self.declared[name].needs:
                check_needs(self, name, needs, values)
        grouped = {name: kind(**{key: values.pop(key) for key in self._names[name]}) for name, kind in self.groups.items()}
        return self.function(**grouped, **values)


def check_needs(question: Question, name: str, needs: str, values: Mapping[str, Any]) -> None:
    """Refuse an option without what it ``needs``: "train", "not train", "engine=vllm|sglang"; one of several, with " or "; all of
    several, with commas.

    Raises InputError, which says what would make it count.
    """
    for need in needs.split(","):
        if " or " in need:
            refused = []
            for either in need.split(" or "):
                try:
                    check_needs(question, name, either, values)
                    break
                except InputError as error:
                    refused.append(error)
            else:
                raise refused[0]
            continue
        key, _, allowed = need.removeprefix("not ").partition("=")
        if key not in question.declared:  # a command that does nothing else, as `llmcx train`
            continue
        flag, wanted, value = question.flags[key], question.flags[name], values[key]
        if need.startswith("not "):
            if value:
                raise InputError(f"{wanted} changes nothing with {flag}; leave one of them out", field=name)
        elif allowed:
            if str(value).partition("@")[0] not in allowed.split("|"):  # an engine may be named with its version
                problem = f"{wanted} changes nothing unless {flag} is {' or '.join(allowed.split('|'))}"
                raise InputError(problem, field=name)
        elif not value:
            raise InputError(f"{wanted} changes nothing without {flag}; add {flag}", field=name)


def _info(parameter: Parameter) -> Any:
    [info] = parameter.annotation.__metadata__
    return info


def _declared(parameter: Parameter) -> Declared:
    info = _info(parameter)
    found: Declared = getattr(info, "declared", Declared())
    kinds = getattr(parameter.annotation.__origin__, "__args__", (parameter.annotation.__origin__,))
    reads = "flag" if bool in kinds else found.reads
    default = None if parameter.default is Parameter.empty else parameter.default
    return found._replace(reads=reads, default=default)


def _flag(parameter: Parameter) -> str:
    """The long flag of an option."""
    info = _info(parameter)
    decls = [info.default, *(getattr(info, "param_decls", None) or ())]  # the first stands where a default would
    flags = [decl.partition("/")[0] for decl in decls if isinstance(decl, str)]
    return next((flag for flag in flags if flag.startswith("--")), flag_of(parameter.name))


def _registered(parameter: Parameter, declared: Declared) -> Parameter:
    """A parameter as Typer is to have it: None where it is not given, and a list of texts, because each may be repeated."""
    info = copy(_info(parameter))  # a function may be registered twice
    if isinstance(info, type(typer.Argument())):
        return parameter.replace(kind=Parameter.KEYWORD_ONLY)
    kept = declared.default
    if parameter.default is Parameter.empty:
        default: Any = Parameter.empty
    else:
        default = None
        if kept not in (None, False) and declared.reads != "flag":
            info.help = f"{info.help} [default: {kept}]"
    kind = bool if declared.reads == "flag" else list[str]
    return parameter.replace(
        kind=Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind if default is Parameter.empty else kind | None, info],
    )


_SET = Parameter(
    "set",
    Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[list[str] | None, option("Any rarer input; repeat.", metavar="NAME=VALUE", group="Model")],
)
"""Stands in the help, and is read before the others (:mod:`llmcx.cli.spelling`)."""


def command(
    app: typer.Typer, shows: str | None = None, without: tuple[str, ...] = (), **settings: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command. A parameter annotated with a dataclass of options brings all of them.

    So a subcommand states its own options and says `models: Models` for the shared ones. Each option takes lists and ranges: the
    function is called for every combination, with one value of each. What it returns, an Answer or an Item, is shown under the
    schema ``shows``, with the options of Output, ``without`` those that would change nothing. A command that ``shows`` nothing
    writes for itself, and is called once.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        question = Question(function, shows)
        options = [_registered(parameter, question.declared[name]) for name, parameter in question.parameters.items()]
        if any(each.rare for each in question.declared.values()):
            options.append(_SET)
        output = (
            {} if shows is None else {name: each for name, each in signature(Output).parameters.items() if name not in without}
        )
        options += [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in output.values()]

        def run(**values: Any) -> None:
            form = Output(**{name: values.pop(name) for name in output})
            values.pop("set", None)  # by now the options that it stood for
            if shows is None:
                from llmcx.cli.values import once

                question.answer(once(question, values))
                return
            chosen = form.chosen()
            from llmcx.cli.values import ask

            answer = ask(question, values)
            form.show(shows, answer, chosen)
            if any(getattr(item.result, "met", None) is False for item in answer.items):
                raise typer.Exit(1)

        run.question = question  # type: ignore[attr-defined]
        run.__doc__ = function.__doc__
        run.__signature__ = Signature(options)  # type: ignore[attr-defined]
        run.__annotations__ = {option.name: option.annotation for option in options}
        app.command(function.__name__.strip("_").replace("_", "-"), **{"cls": Command} | settings)(run)
        return function

    return register


def single() -> typer.Typer:
    """The Typer app of one subcommand."""
    return typer.Typer(cls=Group, add_completion=False, **SETTINGS)
