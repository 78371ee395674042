"""What subcommands share: the model source, the output, and how a function's parameters become a command.

No `from __future__ import annotations` here: the annotations below are read as objects.
"""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from itertools import product
from typing import Annotated, Any, get_args

import typer

from llmcx import units
from llmcx.cli import SETTINGS, Command, Group
from llmcx.errors import InputError, shown, unknown_name
from llmcx.model.spec import ModelSpec


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


def _completion(offers: Any) -> Any:
    return choosing(*offers.split()) if isinstance(offers, str) else offers


def option(help: str, *flags: str, metavar: str | None = None, offers: Any = None) -> Any:
    """An option of a command; ``offers`` is how a shell completes it: a function, or names as :func:`choosing` takes them."""
    return typer.Option(*flags, help=help, metavar=metavar, autocompletion=_completion(offers))


def flag_of(name: str) -> str:
    """The flag of an option by its name in Python."""
    return f"--{name.replace('_', '-')}"


def argument(help: str, metavar: str, offers: Any = None) -> Any:
    """An argument of a command, as :func:`option`."""
    return typer.Argument(help=help, metavar=metavar, autocompletion=_completion(offers))


_MOST_REMEMBERED = 512
_remembered: dict[Any, list[tuple[ModelSpec, dict[str, Any], list[str]]]] | None = None


@contextmanager
def remembering(models: dict[Any, Any]) -> Iterator[None]:
    """Within, a model asked for again by the same options is the one in ``models``, so that a sweep builds each once, and many of
    its points may read stdin.
    """
    global _remembered
    before, _remembered = _remembered, models
    try:
        yield
    finally:
        _remembered = before


@dataclass(eq=False, repr=False)  # which takes half as long to make, at every start
class Models:
    """The model source, the same on every command. Iterating gives each model asked for, with its inputs and notes."""

    preset: Annotated[
        list[str] | None, option("A built-in model; repeat to compare.", "--preset", "-p", metavar="NAME", offers=PRESETS)
    ] = None
    config: Annotated[
        list[str] | None, option("A preset file or a Hugging Face config.json; - is stdin.", "--config", "-c", metavar="FILE")
    ] = None
    hf: Annotated[list[str] | None, option("A model on the Hugging Face hub (extra llmcx[hub]).", metavar="ORG/NAME")] = None
    as_type: Annotated[
        str | None, option("Read a config.json as this model_type.", "--as", metavar="TYPE", offers="huggingface:WHERE")
    ] = None
    layers: Annotated[
        str | None, option("Layers; where kinds alternate, a multiple of their pattern.", "--layers", "-L", metavar="N")
    ] = None
    d_model: Annotated[str | None, option("Model width.", "--d-model", "-d", metavar="N")] = None
    heads: Annotated[str | None, option("Query heads.", metavar="N")] = None
    kv_heads: Annotated[str | None, option("Key-value heads (1 is MQA).", metavar="N")] = None
    head_dim: Annotated[str | None, option("Width of a head.", metavar="N")] = None
    d_ff: Annotated[str | None, option("Feed-forward width.", metavar="N")] = None
    vocab: Annotated[str | None, option("Vocabulary size; 32k is 32000.", metavar="N")] = None
    positions: Annotated[str | None, option("Learned positions; 8k is 8192.", metavar="N")] = None
    context_length: Annotated[str | None, option("Longest context; 8k is 8192.", metavar="N")] = None
    experts: Annotated[str | None, option("Experts per MoE layer.", metavar="N")] = None
    top_k: Annotated[str | None, option("Experts that one token meets.", metavar="N")] = None
    experts_from: Annotated[
        str | None,
        option(
            "copy (default): each expert as wide as a dense model's feed-forward; split: d_ff / experts.",
            metavar="HOW",
            offers="copy split",
        ),
    ] = None
    window: Annotated[str | None, option("Sliding window, own token included.", metavar="N")] = None
    ffn: Annotated[str | None, option("plain or gated.", metavar="KIND", offers="plain gated")] = None
    norm: Annotated[str | None, option("layernorm or rmsnorm.", metavar="KIND", offers="layernorm rmsnorm")] = None
    attention: Annotated[
        str | None,
        option(
            "standard, flash, causal_flash, ring:p=8, sliding:w=4096, local:w=256, strided:k=64, fixed:k=128,c=8,"
            " longformer:w=512,g=16,m=2, bigbird:b=64,w=3,g=2,r=3, reformer:c=64,h=4, linformer:k=256, performer:r=256, linear,"
            " gated_delta, mamba2, mha, mqa, gqa:g=8, mla, mla_naive, mla_absorbed, dsa:k=2048, nsa:n=16,w=512.",
            "--attention",
            "-a",
            metavar="CORE",
            offers=VARIANTS,
        ),
    ] = None
    bias: Annotated[bool | None, option("Biases in every linear layer.", "--bias/--no-bias")] = None
    tied: Annotated[bool | None, option("Head tied to the token table.", "--tied/--untied")] = None

    _COUNTS = ("layers", "d_model", "heads", "kv_heads", "head_dim", "d_ff", "vocab", "experts", "top_k")
    _LENGTHS = ("positions", "context_length", "window")

    def each(self) -> Iterator[tuple[ModelSpec, dict[str, Any], list[str]]]:
        """Every model x every combination of the values listed: the spec, the shape flags given, the notes."""
        if _remembered is None:
            yield from self._each()
            return
        key = tuple(tuple(value) if isinstance(value, list) else value for value in vars(self).values())
        if key not in _remembered:
            if len(_remembered) == _MOST_REMEMBERED:
                _remembered.clear()
            _remembered[key] = [*self._each()]
        yield from ((spec, dict(shape), list(notes)) for spec, shape, notes in _remembered[key])

    def _each(self) -> Iterator[tuple[ModelSpec, dict[str, Any], list[str]]]:
        from llmcx.catalog.load import load_config, load_hub, load_preset

        sources = [flag_of(name) for name in ("preset", "config", "hf") if getattr(self, name)]
        if len(sources) > 1:
            raise InputError(f"{' and '.join(sources)} are two model sources; give one of them", field=sources[1].lstrip("-"))
        lists: dict[str, list[Any]] = {}
        for name in (*self._COUNTS, *self._LENGTHS):
            if (text := getattr(self, name)) is not None:
                lists[name] = units.many(text, units.length if name in self._LENGTHS else units.count, flag_of(name))
                if min(lists[name]) < 1:
                    problem = f"{flag_of(name)} is {text}, but must be at least 1"
                    raise InputError(problem, field=name, value=text, allowed="1 or more")
        kinds = ("experts_from", "ffn", "norm", "attention", "bias", "tied")
        lists |= {name: [getattr(self, name)] for name in kinds if getattr(self, name) is not None}
        bases: list[ModelSpec] = [load_preset(name) for name in self.preset or ()]
        if self.config and self.config.count("-") > 1:
            raise InputError("--config - reads stdin, which can be read only once", field="config")
        bases += [load_config(path, self.as_type) for path in self.config or ()]
        bases += [load_hub(name, self.as_type) for name in self.hf or ()]
        if self.as_type and not (self.config or self.hf):
            raise InputError("--as says how to read a config.json, so it needs --config or --hf", field="as")
        if bases and not lists:
            yield from ((base, {}, _unchanged(base, {})) for base in bases)
            return
        from llmcx.catalog.override import Shape, apply, from_shape, made_experts

        shapes = [Shape(**dict(zip(lists, values, strict=True))) for values in product(*lists.values())]
        if not bases:
            for shape in shapes:
                spec, notes = from_shape(shape)
                yield spec, shape.stated(), notes + (made_experts(shape) if shape.experts else [])
        for base, shape in product(bases, shapes):
            experts = made_experts(shape) if shape.experts and not base.mixtures else []
            yield apply(base, shape), shape.stated(), _unchanged(base, shape.stated()) + experts


def _unchanged(base: ModelSpec, shape: dict[str, Any]) -> list[str]:
    """What a reader may expect to move with a flag, and did not."""
    notes = [f"{base.name}: {assumed}" for assumed in base.assumes]
    if "d_model" in shape and "d_ff" not in shape and shape["d_model"] != base.d_model:
        notes.append(f"d_ff stays as {base.name} states it; give --d-ff to change it with --d-model")
    return notes


@dataclass(eq=False, repr=False)
class Output:
    """How the answer is written."""

    json: Annotated[bool, option("JSON on stdout, the same as --format json.", "--json")] = False
    format: Annotated[
        str | None,
        option(
            "table (default), json, jsonl, csv or markdown.",
            "--format",
            "-f",
            metavar="FORMAT",
            offers="table json jsonl csv markdown",
        ),
    ] = None
    plain: Annotated[bool, option("The table in words, for a screen reader; LLMCX_PLAIN=1 makes it the default.", "--plain")] = (
        False
    )
    plot: Annotated[
        str | None, option("Draw it: - in the terminal, or .svg, .png, .pdf, .html (extra llmcx[plot]).", metavar="FILE")
    ] = None
    explain: Annotated[bool, option("Under the tables: formulas, the numbers put in, sources.", "--explain")] = False

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
        if self.explain and not any(item.explained() for item in answer.items):
            problem = "nothing is computed here that --explain could tell the formula of; `llmcx explain` lists all formulas"
            raise InputError(problem, field="explain")
        if self.plot is not None:
            from llmcx.report.pictures import draw

            draw(answer, view, self.plot, plain=chosen == "plain")
            if self.plot == "-":
                return
        from llmcx.report import render

        render.show(command, answer.items, view, chosen, self.explain)


def explaining(module: str, *answer: Any, rows: str = "rows") -> Callable[[], list[Any]]:
    """What --explain prints of an answer: ``rows`` of a module of :mod:`llmcx.explain.rows`, imported when it is asked for."""

    def explained() -> list[Any]:
        found: list[Any] = getattr(import_module(f"llmcx.explain.rows.{module}"), rows)(*answer)
        return found

    return explained


def refuse_given(why: str, **options: Any) -> None:
    """Refuse the first of ``options`` that was given (is not None): it would change nothing, for the reason ``why``."""
    for name, value in options.items():
        if value is not None:
            raise InputError(f"{flag_of(name)} {why}", field=name, value=value)


def describe(spec: ModelSpec) -> dict[str, Any]:
    """The `model` of the JSON contract."""
    out = {"name": spec.name, "title": spec.title, "family": spec.family, "source": spec.source}
    return {key: value for key, value in out.items() if value is not None or key in ("name", "family", "source")}


def _number_type(annotation: Any) -> type[int] | type[float] | None:
    """int or float, where ``Annotated[int | None, ...]`` or the like says that an option is a number."""
    kind, *_ = get_args(annotation)
    return next((number for number in (int, float) if number in (kind, *get_args(kind))), None)


def _read_number(kind: type[int] | type[float], name: str, text: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        problem = f"{flag_of(name)} is {shown(text)}, but must be {what}"
        raise InputError(problem, field=name, value=text[:200], allowed=what) from None


def command(app: typer.Typer, shows: str | None = None, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command. A parameter annotated with a dataclass of options brings all of them.

    So a subcommand states its own options and says `models: Models` for the shared ones. What it returns, an Answer or the items
    of one, is shown under the schema ``shows``, with the options of Output; the registered function's ``answer`` finds it without
    showing it, ``numbers`` are its int and float options. A command that ``shows`` nothing writes for itself.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        groups: dict[str, Any] = {}
        options: list[inspect.Parameter] = []
        for parameter in inspect.signature(function).parameters.values():
            kind: Any = parameter.annotation
            if isinstance(kind, type) and is_dataclass(kind):
                groups[parameter.name] = kind
                options += inspect.signature(kind).parameters.values()
            else:
                options.append(parameter)
        output = {} if shows is None else inspect.signature(Output).parameters
        options = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in (*options, *output.values())]
        numbers = {option.name: kind for option in options if (kind := _number_type(option.annotation))}

        def answer(**values: Any) -> Any:
            grouped = {name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
            return function(**grouped, **values)

        def run(**values: Any) -> None:
            for name, kind in numbers.items():
                if isinstance(values[name], str):
                    values[name] = _read_number(kind, name, values[name])
            form = Output(**{name: values.pop(name) for name in output})
            chosen = form.chosen() if shows is not None else ""
            found = answer(**values)
            if shows is not None and found is not None:
                from llmcx.report.render import Answer

                form.show(shows, found if isinstance(found, Answer) else Answer(found), chosen)

        run.answer, run.shows, run.numbers = answer, shows, numbers  # type: ignore[attr-defined]
        run.__doc__ = function.__doc__
        run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        run.__annotations__ = {option.name: option.annotation for option in options}
        app.command(function.__name__.strip("_").replace("_", "-"), **{"cls": Command} | settings)(run)
        return function

    return register


def single() -> typer.Typer:
    """The Typer app of one subcommand."""
    return typer.Typer(cls=Group, add_completion=False, **SETTINGS)
