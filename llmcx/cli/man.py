"""The man page, from the commands themselves: `python -m llmcx.cli.man` writes docs/llmcx.1."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

import typer

import llmcx
from llmcx.cli import BELOW, COMMANDS, app, built
from llmcx.cli.models import Models
from llmcx.cli.options import Output

PAGE = Path(__file__).resolve().parents[2] / "docs" / "llmcx.1"
DATE = "November 25, 2026"
"""Of the page's form: what is in it is as old as the version that it names."""

SHARED: dict[str, tuple[Any, str]] = {
    "MODEL OPTIONS": (Models, "The model, or the models, that a command is about. A flag beside a preset overrides it."),
    "OUTPUT OPTIONS": (Output, "Data goes to standard output, everything else to standard error."),
}
"""Groups of options that commands have in common."""

STATUS = [("0", "Answered."), ("1", "A bug in llmcx."), ("2", "A bad call or a bad input: one sentence says which field.")]
VARIABLES = [
    ("COLUMNS", "Width of tables, where the terminal does not say."),
    ("NO_COLOR", "No colours."),
    ("LLMCX_PLAIN", "If set to 1, tables are written in words, as by --plain."),
    ("LLMCX_DEBUG", "If set, a bug shows its traceback."),
]


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be called, by its full name."""
    for name in (*COMMANDS, *(" ".join(pair) for pair in BELOW)):
        top = built(name)
        inner = getattr(top, "commands", None)
        yield from [(name, top)] if inner is None else ((f"{name} {sub}", command) for sub, command in inner.items())


def escaped(text: str) -> str:
    """Text as troff takes it: hyphens that are minus signs, no control characters at the start of a line, ASCII alone.

    >>> escaped("--seq 8k × 2")
    '\\\\-\\\\-seq 8k \\\\[u00D7] 2'
    """
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = "".join(character if character.isascii() else f"\\[u{ord(character):04X}]" for character in text)
    return guarded(text)


def guarded(line: str) -> str:
    """A line that is text, though it may begin as a request to troff does."""
    return f"\\&{line}" if line.startswith((".", "'")) else line


def paragraph(text: str) -> Iterator[str]:
    """Running text, its lines short."""
    yield from map(guarded, wrap(escaped(" ".join(text.split())), 76, break_long_words=False, break_on_hyphens=False))


def items(pairs: list[tuple[str, str]]) -> Iterator[str]:
    """A list of terms and what each means."""
    for term, meaning in pairs:
        yield ".TP"
        yield f"\\fB{escaped(term)}\\fR"
        yield from paragraph(meaning)


def records(params: list[Any], ctx: Any) -> list[tuple[str, str]]:
    """Options as their help has them, those of --set too, and arguments without a type, which not every Typer adds to them;
    --help left out.
    """
    found = []
    for param in params:
        record = param.get_help_record(ctx) or (f"--set {param.opts[0][2:].replace('-', '_')}=", param.help)
        if record and "--help" not in param.opts:
            found.append(record if param.param_type_name == "option" else (param.metavar, record[1]))
    return found


def help_text(help_: str) -> Iterator[str]:
    """A command's help: paragraphs, and after a \\b lines as they stand."""
    for block in re.split(r"\n\s*\n", help_.strip()):
        if block.lstrip().startswith("\b"):
            yield from (".PP", ".nf", ".RS 4")
            yield from (escaped(line.strip()) for line in block.replace("\b", "").strip().splitlines())
            yield from (".RE", ".fi")
        else:
            yield ".PP"
            yield from paragraph(block)


def section(name: str, command: Any) -> Iterator[str]:
    """One command: how it is called, what it does, its own options."""
    ctx = typer.Context(command, info_name=f"llmcx {name}", max_content_width=10_000, terminal_width=10_000)
    yield f".SS llmcx {escaped(name)}"
    shared = {field: title for title, (kind, _) in SHARED.items() for field in kind.__dataclass_fields__}
    named = {param.name for param in command.params}
    whole = {title for title, (kind, _) in SHARED.items() if set(kind.__dataclass_fields__) <= named}
    own = [param for param in command.params if shared.get(param.name) not in whole]
    # Not every Typer adds dots to an argument that may be repeated; its metavar says so.
    usage = " ".join(piece.removesuffix("...") for piece in command.collect_usage_pieces(ctx) if piece)
    yield f"\\fBllmcx {escaped(name)}\\fR {escaped(usage)}"
    yield from help_text(command.help or "")
    options = records(own, ctx)
    yield from items(options)
    if whole:
        yield from (".PP", f"Besides, {' and '.join(sorted(whole))} as above.")


def page() -> str:
    """The page as troff's man macros."""
    version = llmcx.__version__
    lines = [
        '.\\" Written by python -m llmcx.cli.man.',
        f'.TH LLMCX 1 "{DATE}" "llmcx {version}" "User Commands"',
        ".SH NAME",
        "llmcx \\- the cost of large language models, exactly",
        ".SH SYNOPSIS",
        "\\fBllmcx\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]",
        ".SH DESCRIPTION",
    ]
    lines += list(help_text(typer.main.get_command(app).help or ""))[1:]
    lines += [".SH COMMANDS", *items([*COMMANDS.items()])]
    models = built("params")
    ctx = typer.Context(models, info_name="llmcx params", max_content_width=10_000, terminal_width=10_000)
    for title, (kind, text) in SHARED.items():
        params = [param for param in models.params if param.name in kind.__dataclass_fields__]
        lines += [f".SH {title}", *paragraph(text), *items(records(params, ctx))]
    lines.append(".SH EACH COMMAND")
    for name, command in commands():
        lines += section(name, command)
    lines += [".SH EXIT STATUS", *items(STATUS), ".SH ENVIRONMENT", *items(VARIABLES)]
    lines += [
        ".SH SEE ALSO",
        "\\fBllmcx explain\\fR tells every formula; \\fBllmcx tools completions\\fR prints completion scripts.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="ascii")
