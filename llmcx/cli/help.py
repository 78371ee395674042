"""The options of a command in its help: its own groups first, the shared ones short, the rest by --help-all."""

from __future__ import annotations

from typing import Any

from llmcx.cli import FOLDED, LAST, Command


def grouped(command: Command, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Each group's options as its help has them, in the order in which they are shown."""
    question = getattr(command.callback, "question", None)
    declared = {} if question is None else question.declared
    groups: dict[str, list[tuple[str, str]]] = {}
    from llmcx.cli.options import Output

    output = {name: _group(field.type) for name, field in Output.__dataclass_fields__.items()} | {"set": "Model"}
    for param in command.get_params(ctx):
        if (record := param.get_help_record(ctx)) is None:
            continue
        if param.param_type_name == "argument":  # of which not every Typer says the same
            record = (param.metavar, record[1])
        own = declared[param.name].group if param.name in declared else output.get(str(param.name), "Output")
        groups.setdefault(own or "Options", []).append(record)
    first = [name for name in groups if name not in LAST]
    return {name: groups[name] for name in (*first, *(name for name in LAST if name in groups))}


def _group(annotation: Any) -> str:
    [info] = annotation.__metadata__
    return str(info.declared.group)


def write_options(command: Command, ctx: Any, formatter: Any) -> None:
    """The groups, and what --set takes."""
    groups = grouped(command, ctx)
    for name, records in groups.items():
        if command.everything or name not in FOLDED:
            with formatter.section(name):
                formatter.write_dl(records)
    if command.everything:
        settable = [(f"{_name(param)}=", param.help) for param in command.rare.values()]
        if settable:
            with formatter.section("By --set NAME=VALUE"):
                formatter.write_dl(settable)
    elif command.rare or any(name in FOLDED for name in groups):
        words = {"Shape": "of the model's shape", "Less common": "less common", "Shown otherwise": "of other forms of output"}
        folded = [f"{len(groups[name])} {words[name]}" for name in FOLDED if name in groups]
        more = [*folded, *([f"{len(command.rare)} that --set takes"] if command.rare else [])]
        formatter.write_paragraph()
        formatter.write_text(f"--help-all lists the others: {', '.join(more)}.")


def _name(param: Any) -> str:
    return str(param.opts[0]).removeprefix("--").replace("-", "_")
