"""The command line: parse, call, render. One file per subcommand, imported only when that subcommand runs."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import llmcx
from llmcx.errors import InputError, shown

COMMANDS = {
    "params": "Parameters: total, active, per component, bytes.",
    "flops": "FLOPs: forward, backward, training, one decode step.",
    "memory": "Memory for training or inference; does it fit?",
    "attention-compare": "Attention variants: cost, reach, limits.",
    "moe": "Experts: active share, capacity, traffic.",
    "chinchilla": "Compute-optimal model and data by scaling laws.",
    "train": "Training time, cost, energy; the best layout.",
    "serve": "Serving: latency, throughput, cost per token.",
    "plan": "What to run, on what, and how, for an objective.",
    "check": "A launch line: does it fit, how fast, what to change.",
    "compare": "Two models or settings: what changed, and why.",
    "sweep": "A command at every combination of inputs.",
    "explain": "Every formula: symbols, source, example.",
    "explain-log": "An engine's start-up log beside the prediction.",
    "textbook": "What theory bounds; depth against width.",
    "catalog": "Built-in models and accelerators; one's own files.",
    "tools": "JSON Schemas, and completion scripts for shells.",
}

MOVED: dict[tuple[str, ...], tuple[str, ...]] = {
    **{("presets", "list"): ("catalog", "models"), ("presets",): ("catalog",)},
    **{("hardware", "list"): ("catalog", "hardware"), ("hardware",): ("catalog",)},
    **{("bounds",): ("textbook", "bounds"), ("shapes",): ("textbook", "shapes")},
    **{("schema",): ("tools", "schema"), ("completions",): ("tools", "completions")},
}
"""Commands of the first edition, and where they are: scripts that use them go on."""


SETTINGS: dict[str, Any] = {
    "rich_markup_mode": None,  # rich would be imported to print help
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 110},
}
"""Of every Typer app here."""

BELOW = {("chinchilla", "fit")}
"""Commands under a command that also runs by itself; each has a module of its own."""


def _as_typed(param: Any) -> Any:
    """``param``, with values as they are typed: llmcx reads the numbers in them.

    Typer from 0.29 on would import pydantic and build a validator for every option, those left out too: twice the start-up.
    """

    def process_value(ctx: Any, value: Any) -> Any:
        if param.required and param.value_is_missing(value):
            return type(param).process_value(param, ctx, value)  # refuses it
        return value if param.callback is None else param.callback(ctx, param, value)

    param.process_value = process_value
    return param


FOLDED = ("Shape", "Less common", "Shown otherwise")
"""Groups of options that --help leaves to --help-all."""
LAST = ("Model", "Output", "Shape", "Less common", "Shown otherwise")
"""Groups that stand below a command's own."""


class Command(TyperCommand):
    """A command whose options come as they are typed, in the spellings of other tools too; its help is in groups."""

    everything = False
    """Whether its help is to show every group."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [_as_typed(param) for param in super().get_params(ctx)]

    @property
    def flags(self) -> dict[str, Any]:
        """Its options by flag."""
        return {flag: param for param in self.params for flag in (*param.opts, *param.secondary_opts) if flag.startswith("-")}

    @property
    def rare(self) -> dict[str, Any]:
        """Those that --set takes, by flag."""
        question = getattr(self.callback, "question", None)
        declared = {} if question is None else question.declared
        return {param.opts[0]: param for param in self.params if param.name in declared and declared[param.name].rare}

    def respelled(self, args: list[str]) -> list[str]:
        from llmcx.cli.spelling import respelled

        return respelled(args, self.flags, self.rare)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        self.everything = "--help-all" in args
        if any(param.name == "line" for param in self.params):
            from llmcx.cli.launching import quoted

            args = quoted(args)
        words = self.respelled(["--help" if arg == "--help-all" else arg for arg in args])
        found: list[str] = super().parse_args(ctx, words)
        return found

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """As every Typer has them: some put brackets and dots around those of an argument's own."""
        return [re.sub(r"^\[(\[.*\](?:\.\.\.)?)\](\.\.\.)?$", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        from llmcx.cli.help import write_options

        write_options(self, ctx, formatter)


class Group(TyperGroup):
    """A group whose options come as they are typed, without --install-completion: `llmcx tools completions` stands for that."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [_as_typed(param) for param in super().get_params(ctx) if not str(param.name).endswith("_completion")]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Each with its whole first sentence, which would be cut at the end of a line."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(1000)) for name, each in found if each is not None])


@lru_cache(maxsize=8)
def built(name: str) -> Any:
    """A command by its full name, as Typer builds it: its module is imported now."""
    return typer.main.get_command(import_module(f"llmcx.cli.{name.replace('-', '_').replace(' ', '_')}").app)


class _Lazy(Group):
    """Knows every subcommand by name and one line of help; builds the one that is called.

    Typer would otherwise build some 300 options before it runs one command.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        for old, new in MOVED.items():
            if tuple(args[: len(old)]) == old:
                args = [*new, *args[len(old) :]]
                break
        name, command, rest = super().resolve_command(ctx, args)
        if (name, *rest[:1]) in BELOW:
            name, rest = f"{name} {rest[0]}", rest[1:]
        return name, built(name) if name else command, rest


app = typer.Typer(
    cls=_Lazy,
    name="llmcx",
    add_completion=bool(os.environ.get("_LLMCX_COMPLETE")),  # only a shell that asks needs what it sets up
    no_args_is_help=True,
    **SETTINGS,
)


def _version(ctx: typer.Context, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:  # resilient: a shell asks for completions of a line with --version in it
        sys.stdout.write(f"llmcx {llmcx.__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """The cost of large language models, exactly: parameters, FLOPs, memory, attention variants, experts, scaling laws.

    \b
    llmcx params gpt3
    llmcx flops llama-3-8b --seq 8k --json | jq .result.forward.total
    llmcx memory llama-3.1-70b --dtype fp8 --seq 32k --batch 16 --hardware 2xh100
    """


for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(lambda: None)


def main() -> None:
    """Entry point: exit 0 on success, 2 on a bad call or bad input, 1 where what is required does
    not hold and on a bug; never a traceback."""
    _quiet_pipes()
    _write_anything()
    try:
        if sys.stdout is None:
            raise InputError("stdout is closed, so there is nowhere to write the answer to", field="stdout")
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        code = _refuse(error)
    except typer.TyperException as error:
        code = _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # a platform without SIGPIPE
        code = 0
    except OSError as error:
        if error.filename is None:
            code = _refuse(InputError(f"the answer cannot be written: {error.strerror}", field="stdout"))
            _abandon_stdout()
        else:
            code = _refuse(InputError(f"{error.filename} cannot be read: {error.strerror}", value=error.filename))
    except Exception as error:
        code = _bug(error)
    sys.exit(code if isinstance(code, int) else 0)


def _quiet_pipes() -> None:
    """Let `llmcx … | head` end as any Unix filter does: silently, by SIGPIPE."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def _write_anything() -> None:
    """Make every character writable: UTF-8 into pipes and files, whatever the locale, and escapes where a terminal has less."""
    if isinstance(sys.stdout, TextIOWrapper):
        encoding = sys.stdout.encoding if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


def _abandon_stdout() -> None:
    """Keep the interpreter from trying to flush again what could not be written, and complaining about it."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wants_json() -> bool:
    """Whether the call asks for JSON, read off argv because the call may be the thing that is wrong."""
    return re.search(r"(^| )(--json|(--format|-f)[ =]?jsonl?)( |$)", " ".join(sys.argv[1:])) is not None


def _refuse(error: InputError) -> int:
    _say(error)
    return 2


def _say(error: InputError, **more: Any) -> None:
    """One line on stderr; what a file or a flag put into it is cut where it gets long, and its end kept."""
    message = re.sub(r"\S{200,}", lambda long: f"{long[0][:80]}...{long[0][-40:]}", error.message)
    message = message if len(message) <= 400 else f"{message[:300]}...{message[-80:]}"
    if _wants_json():
        import json
        from math import isfinite

        fields = error.as_dict() | {"message": message} | more
        if isinstance(error.value, str):
            fields["value"] = error.value[:200]
        elif isinstance(error.value, float) and not isfinite(error.value):  # JSON has no such number
            fields["value"] = str(error.value)
        message = json.dumps({"error": fields}, ensure_ascii=False, default=str)
    else:
        message = f"llmcx: {message}"
    # Where stderr is closed or full, the exit code has to say it alone.
    with suppress(AttributeError, OSError):
        sys.stderr.write(message + "\n")
        sys.stderr.flush()


def _usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(error.ctx.get_help() + "\n")
        return 2
    field = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and isinstance(command := error.ctx.command, Command):
        from llmcx.cli.spelling import unknown

        return _refuse(unknown(str(field), command.flags, _full_name(error.ctx)))
    message = _ways_on(error) or error.format_message().rstrip(".")
    parameter = getattr(error, "param", None)
    field = field or (parameter.name if parameter else None)
    return _refuse(InputError(" ".join(message.split()), field=field))


def _ways_on(error: Any) -> str | None:
    """What is missing or not known, with what there is: the commands of a group, or what a required option says of itself."""
    if error.ctx is None:
        return None
    command, name = error.ctx.command, f"llmcx {_full_name(error.ctx)}".rstrip()
    if type(error).__name__ == "MissingParameter" and error.param is not None:
        parameter = error.param
        said = str(getattr(parameter, "help", None) or "").partition("  ")[0].rstrip(".")
        given = (
            parameter.opts[0] if parameter.param_type_name == "option" else str(parameter.metavar or parameter.name).strip("{}")
        )
        return f"{name} needs {given}: {said[:1].lower()}{said[1:]}" if said else None
    if not isinstance(command, TyperGroup):
        return None
    has = f"has {', '.join(command.list_commands(error.ctx))}"
    if error.message.startswith("Missing command"):
        return f"{name} needs a command: it {has}"
    word = re.match(r"No such command '(.*)'\.$", error.message, re.DOTALL)
    if word is None:  # with the nearest
        return None
    from llmcx.catalog.load import names_file, stand_in
    from llmcx.catalog.named import known_as

    if name == "llmcx" and (names_file(word[1]) or stand_in(word[1]) is not None or known_as(word[1]) is not None):
        return f"{shown(word[1])} is a model, and a command comes first: llmcx params {word[1]}"
    return f"{name} has no command {shown(word[1])}; it {has}"


def _full_name(ctx: Any) -> str:
    """Of a command, those above it first, llmcx itself left out."""
    names = []
    while ctx.parent is not None:
        names.append(ctx.info_name)
        ctx = ctx.parent
    return " ".join(reversed(names))


def _bug(error: Exception) -> int:
    import traceback

    if os.environ.get("LLMCX_DEBUG"):
        traceback.print_exc()
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}:{where.lineno}"
    what = f"this is a bug in llmcx, please report it: {type(error).__name__} at {place}: {error}"
    _say(InputError(f"{what} (LLMCX_DEBUG=1 shows the traceback)"), bug=True)
    return 1
