"""llmcx compare."""

import shlex
from copy import copy
from typing import Annotated, Any

import typer

from llmcx.answers.compare import FIGURES, contrast
from llmcx.cli import sweeping
from llmcx.cli.models import Models, remembering
from llmcx.cli.options import PRESETS, argument, command, explaining, heading, option, single
from llmcx.errors import InputError, shown, unknown_name
from llmcx.model.spec import ModelSpec
from llmcx.report.render import Item

app = single()


def _with(incomplete: str) -> list[str]:
    """The next of a list with commas."""
    before, comma, last = incomplete.rpartition(",")
    chosen = before.split(",")
    return [f"{before}{comma}{name}" for name in FIGURES if name.startswith(last) and name not in chosen]


class _Comparing(sweeping.Borrowing):
    lenders = tuple(FIGURES)


def _side(ctx: typer.Context, incomplete: str) -> list[str]:
    """A preset, or the values of the option before."""
    words = ctx.params.get("words") or ("",)
    return sweeping.offered([*FIGURES], ctx, incomplete) if words[-1].startswith("-") else PRESETS(incomplete)


@command(app, "compare", without=("plot",), cls=_Comparing, context_settings={"ignore_unknown_options": True})
def compare(
    words: Annotated[
        list[str],
        argument('Each a preset, a file or -, or "gpt3 --seq 1k" with options.', "A B [OPTIONS OF BOTH]...", offers=_side),
    ],
    with_: Annotated[
        str | None,
        option(
            "Which answers to compare: of params, flops, memory, serve. Default: the first three; with --hardware all.",
            "--with",
            reads="text",
            metavar="COMMANDS",
            offers=_with,
        ),
    ] = None,
) -> Item:
    """Set two models, or two settings of one, side by side: what changed, by how much, and why.

    Options after A and B are for both; within quotes, for that side alone. They are those of the commands compared. The
    changes of the components add up to the change of their total.

    \b
    llmcx compare llama-3-8b mistral-7b
    llmcx compare deepseek-v3 qwen3-235b-a22b --hardware 8xh200 --dtype fp8
    llmcx compare llama-3-8b "llama-3-8b --kv-heads 32" --seq 8k
    llmcx compare "llama-3-8b --seq 8k" "llama-3-8b --seq 32k" --with memory
    llmcx compare gpt3 ./config.json --with params --json | jq .result.spec
    """
    usual = [name for name in FIGURES if name != "serve" or any("--hardware" in word for word in _texts(words))]
    names = usual if with_ is None else [name.strip() for name in with_.split(",")]
    for name in names:
        if name not in FIGURES:
            raise unknown_name("--with", name, list(FIGURES), field="with")
    asked = {name: sweeping.swept(name) for name in names}
    if len(words) < 2 or any(word.startswith("--") and " " not in word for word in _texts(words[:2])):
        raise InputError('compare takes two sides, each a preset, a file or -, as: llama-3-8b "gpt3 --seq 1k"', field="words")
    sides = [_words(text, label) + words[2:] for text, label in zip(words, "AB", strict=False)]
    if all(side[0] == "-" for side in sides):
        raise InputError("both sides are -, but stdin can be read only once", field="config", value="-")
    from llmcx.explain.terms import by_row

    with remembering({}):
        options = [_options(asked, side, label) for side, label in zip(sides, "AB", strict=True)]
        spec_a, spec_b = map(_spec, options)
        alike = _at_one_length(asked, options, spec_a, spec_b)
        (items_a, refused_a), (items_b, refused_b) = (_answers(asked, each) for each in options)
    names = [name for name in names if name in items_a and name in items_b]
    refusals = [f"{label}: {why}" for label, why in (("A", refused_a), ("B", refused_b)) if why]
    answers = {name: (items_a[name].result, items_b[name].result) for name in names}
    inputs = tuple({key: value for item in items.values() for key, value in item.inputs.items()} for items in (items_a, items_b))
    notes = refusals + alike + [note for items in (items_a, items_b) for item in items.values() for note in item.notes]
    terms = {name: (by_row(items_a[name].explained()), by_row(items_b[name].explained())) for name in names}
    result = contrast(spec_a, spec_b, (inputs[0], inputs[1]), answers, terms)
    called = [" ".join(getattr(word, "name", word) for word in side) for side in sides]
    call = {"a": called[0], "b": called[1], "with": names}
    head = heading("compare", (spec_a, spec_b), inputs, answers, refusals)
    return Item(None, call, result, list(dict.fromkeys(notes)), explaining("compare", result), head=head)


def _texts(words: list[Any]) -> list[str]:
    """Those that are no model itself, which Python may give in place of its name."""
    return [word for word in words if isinstance(word, str)]


def _words(text: Any, label: str) -> list[Any]:
    """One side's words, the model first named by an option: --preset or --config."""
    if not isinstance(text, str):
        return [text]
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"{label} is {shown(text)}, which cannot be read: {error}", field=label.lower(), value=text) from None
    if not words:
        raise InputError(f"{label} is empty, but must name a model", field=label.lower(), value=text)
    return words


def _options(commands: dict[str, sweeping.Swept], words: list[Any], label: str) -> dict[str, Any]:
    """One side's options, each with its one value."""
    models, words = [word for word in words if not isinstance(word, str)], _texts(words)
    flags: dict[str, Any] = {}
    rare: dict[str, Any] = {}
    used = {word.partition("=")[0] for word in words}
    merged = copy(next(iter(commands.values())).question)
    merged.declared, merged.flags = {}, {}
    for each in commands.values():
        flags |= each.flags
        rare |= each.rare
        merged.declared |= each.question.declared
        merged.flags |= each.question.flags
    flags.pop("--weights", None)  # a comparison of its own
    for flag in sorted(used - flags.keys()):
        others = [name for name in FIGURES if flag in sweeping.swept(name).flags and name not in commands]
        if others:
            problem = f"{flag} is an option of llmcx {' and of llmcx '.join(others)}, which --with leaves out"
            raise InputError(problem, field="with", value=flag)
    parsed = sweeping.parse(sweeping.Swept("compare", merged, flags, rare), words)
    if models:
        parsed["model"] = [*models, *parsed.get("model", [])]
    given = {}
    for name, values in parsed.items():
        if len(values) != 1:
            if name == "model":
                problem = f"compare takes two sides, and {shown(values[-1])} is one more; options of both follow them"
                raise InputError(problem, field="model", value=values[-1])
            problem = f"{label} has {len(values):,} values for {name}, but must have one; llmcx sweep takes lists"
            raise InputError(problem, field=name)
        [given[name]] = values
    return given


def _spec(given: dict[str, Any]) -> ModelSpec:
    """One side's model."""
    spec, _, _ = Models(**{key: value for key, value in given.items() if key in Models.__dataclass_fields__}).load()
    return spec


def _at_one_length(commands: dict[str, sweeping.Swept], options: list[dict[str, Any]], a: ModelSpec, b: ModelSpec) -> list[str]:
    """Where no length is given, put both sides at the shorter context: at their own, the lengths would be what differs."""
    if a.context is None or b.context is None or a.context == b.context or any("seq" in given for given in options):
        return []
    if not any("seq" in each.question.declared for each in commands.values()):
        return []
    shorter = min(a.context, b.context)
    for given in options:
        given["seq"] = shorter
    return [f"both at {shorter:,} tokens, the shorter of the two contexts; --seq states another length"]


def _answers(commands: dict[str, sweeping.Swept], given: dict[str, Any]) -> tuple[dict[str, Item], str | None]:
    """Each command's answer about one side, and why it cannot be served, where it cannot."""
    shape = Models.__dataclass_fields__
    items = {}
    refusal = None
    for name, each in commands.items():
        # The number format of the weights is memory's to judge, where memory is asked, as contrast() has it.
        known = shape if name == "params" and "memory" in commands else each.question.declared
        try:
            [items[name]] = each.ask({key: value for key, value in given.items() if key in known})
        except InputError as error:
            if name != "serve" or len(commands) == 1:
                raise
            refusal = error.message
    return items, refusal
