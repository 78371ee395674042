"""What a sweep runs: a command's options as lists, every point of their grid answered in order, by one process or several."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import typer

from llmcx.cli import COMMANDS, Command, built, grid, spelling, values
from llmcx.cli.models import remembering
from llmcx.cli.options import PRESETS, Question, flag_of
from llmcx.errors import InputError, shown, unknown_name
from llmcx.report import csv
from llmcx.report.json import answer_line, envelope, line, refusal_line
from llmcx.report.render import Answer, Item
from llmcx.report.select import Columns, leads_somewhere, scalars

ON_ERROR = ("stop", "skip", "row")


class Swept(NamedTuple):
    """A command that can be swept: how to ask it, its options by flag and what each says where it takes no value."""

    name: str
    question: Question
    flags: dict[str, tuple[Any, bool]]
    rare: dict[str, Any]

    @property
    def shows(self) -> str:
        """The schema of its answers."""
        return str(self.question.shows)

    def ask(self, point: Mapping[str, Any]) -> list[Item]:
        """The answers at a point. Raises InputError where the command refuses it."""
        found = self.question.answer(point)
        items = found.items if isinstance(found, Answer) else found
        return list(items) if isinstance(items, list) else [items]

    def schema(self) -> dict[str, Any]:
        from llmcx import schemas

        schema: dict[str, Any] = json.loads(schemas.text(self.shows))
        return schema


@lru_cache(maxsize=1)
def names() -> list[str]:
    """The commands that can be swept: those that are one function, and that show what it found."""
    others = ("catalog", "tools", "textbook", "plan", "explain", "explain-log", "check", "sweep", "compare")
    return [*(name for name in COMMANDS if name not in others), "bounds", "shapes"]


@lru_cache(maxsize=8)
def swept(name: str) -> Swept:
    """A command by its name. Raises InputError with the nearest ones."""
    if name not in names():
        if name in COMMANDS:
            problem = f"llmcx {name} cannot be swept; the commands that can are {', '.join(names())}"
            raise InputError(problem, field="command", value=name)
        raise unknown_name("command to sweep", name, names(), field="command")
    command = built(name)
    question: Question = command.callback.question
    options = [option for option in command.params if option.name in question.declared and option.name != "model"]
    flags = {flag: (option, True) for option in options for flag in option.opts}
    flags |= {flag: (option, False) for option in options for flag in option.secondary_opts}
    return Swept(name, question, flags, command.rare)


def completed(ctx: typer.Context, incomplete: str) -> list[str]:
    """What a shell may offer after `llmcx sweep`: a command, then models, or the values of the option before."""
    words = ctx.params.get("words") or ()
    if not words:
        return [name for name in names() if name.startswith(incomplete)]
    return offered([*words[:1]], ctx, incomplete) if words[-1].startswith("-") else PRESETS(incomplete)


def offered(commands: Sequence[str], ctx: typer.Context, incomplete: str) -> list[str]:
    """The values of the option that the last word is, of one of ``commands``."""
    for command in commands:
        found = swept(command).flags.get(ctx.params["words"][-1]) if command in names() else None
        if found is not None:
            return [item.value for item in found[0].shell_complete(ctx, incomplete)]
    return []


class Borrowing(Command):
    """A command that takes the options of others too: of :data:`lenders`, else of the one that its first word names."""

    lenders: tuple[str, ...] = ()

    def respelled(self, args: list[str]) -> list[str]:
        """As they are: the command that lends its options reads them."""
        return args

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Their options as well as its own."""
        found = {item.value: item for item in super().shell_complete(ctx, incomplete)}
        for name in self.lenders or (ctx.params.get("words") or ())[:1]:
            if incomplete.startswith("-") and name in names():
                lent = built(name).shell_complete(ctx, incomplete)
                found = {item.value: item for item in lent if item.value in swept(name).flags} | found
        return list(found.values())


# --- what is asked ----------------------------------------------------------------------------------------------------


def parse(command: Swept, words: Sequence[str]) -> dict[str, list[Any]]:
    """The lists on the command line, by option, in their order; a word that follows no option names a model."""
    given: dict[str, list[Any]] = {}
    todo = spelling.respelled(words, {flag: option for flag, (option, _) in command.flags.items()}, command.rare)
    while todo:
        word = todo.pop(0)
        flag, equals, text = word.partition("=")
        if not word.startswith("--") and len(word) > 2 and word[:2] in command.flags:  # -L48
            flag, equals, text = word[:2], "=", word[2:].removeprefix("=")
        if flag not in command.flags:
            if (word == "-" or not flag.startswith("-")) and "model" in command.question.declared:
                given.setdefault("model", []).append(word)
                continue
            if not flag.startswith("-"):
                problem = f"{shown(word)} is not an option; options of llmcx {command.name} begin with --"
                raise InputError(problem, field="option", value=word)
            raise spelling.unknown(flag, command.flags, command.name)
        option, says = command.flags[flag]
        if option.is_flag:
            if not equals and todo and re.fullmatch(r"(true|false)(,(true|false))*", todo[0], re.IGNORECASE):
                text = todo.pop(0)
            entries = (text or "true").lower().split(",")
            found: list[Any] = [says == (entry == "true") for entry in entries if _truth(flag, entry)]
        else:
            if not equals:
                if not todo:
                    raise InputError(f"{flag} needs a value", field=option.name)
                text = todo.pop(0)
            found = [text]
        given.setdefault(option.name, []).extend(found)
    return values.lists(command.question, given, each=True)


def _truth(flag: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise InputError(f"{flag} is {shown(text)}, but must be true, false, or both", field=flag, value=text)
    return True


def listed(command: Swept, given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The lists of a plan or a caller: each a value, a text as the command line has it, or a list of those."""
    found: dict[str, list[Any]] = {}
    for key, value in given.items():
        name = _option_of(command, str(key))
        if name not in command.question.declared:
            known = [flag.lstrip("-") for flag in command.flags if flag.startswith("--")]
            raise unknown_name(f"option of llmcx {command.name}", str(key), known, field="option")
        entries = list(value) if isinstance(value, (list, tuple, range)) else [value]
        option = command.flags.get(flag_of(str(key)), (None, True))[0]
        if option is not None and flag_of(str(key)) in option.secondary_opts:  # as tied: false is untied: true
            entries = [not entry if isinstance(entry, bool) else entry for entry in entries]
        found.setdefault(name, []).extend(entries)
    return values.lists(command.question, found, each=True)


class Plan(NamedTuple):
    """All that a sweep is: a worker is sent it."""

    command: str
    lists: dict[str, list[Any]]
    together: Sequence[Sequence[str]] = ()
    select: list[str] | None = None
    form: str = "jsonl"  # or "csv" or "rows"
    on_error: str = "stop"
    explain: bool = False

    def checked(self) -> Plan:
        """Itself, refused where it asks for what is not there."""
        schema = swept(self.command).schema()
        for path in self.select or ():
            if not leads_somewhere(schema, path):
                raise unknown_name("--select", path, ["model.name", *scalars(schema)], field="select")
        if self.on_error not in ON_ERROR:
            raise unknown_name("--on-error", self.on_error, list(ON_ERROR), field="on_error")
        for name, listed in self.lists.items():
            if not listed:
                raise InputError(f"{name} has no values to sweep over", field=name)
        return self


def planned(command: Swept, lists: dict[str, list[Any]], select: Any, together: Any, on_error: str) -> Plan:
    """A plan of ``lists``; ``select`` is a text with commas or a list, ``together`` a list of names or several."""
    paths = select.split(",") if isinstance(select, str) else select
    pairs = [] if together is None else together
    for each, what in ((paths, "select"), (pairs, "zip")):
        if each is not None and not isinstance(each, (list, tuple)):
            raise InputError(f"{what} is {shown(each)}, but must be a list", field=what, value=shown(each))
    if paths is not None and not paths:
        raise InputError("select is empty, but must list paths, as result.total", field="select")
    if pairs and all(isinstance(name, str) for name in pairs):
        pairs = [pairs]
    for each in pairs:
        if not isinstance(each, (list, tuple)):
            problem = f"zip holds {shown(each)}, but must be a list of names, or of such lists"
            raise InputError(problem, field="zip", value=shown(each))
    named = [[_option_of(command, str(name)) for name in names] for names in pairs]
    paths = None if paths is None else [str(path).strip() for path in paths]
    return Plan(command.name, lists, named, paths, on_error=on_error).checked()


def _option_of(command: Swept, name: str) -> str:
    """The option that a name means: its own, or that of its flag, as output of serve's ``out``."""
    name = name.strip().lstrip("-")
    found = command.flags.get(flag_of(name))
    if found is None and flag_of(name) in (flags := command.rare):
        return str(flags[flag_of(name)].name)
    return str(found[0].name) if found is not None else name.replace("-", "_")


# --- answering --------------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """A point's outcome: what to write for each of its answers, or why there is none."""

    point: dict[str, Any]
    written: list[Any]
    refused: str | None = None


class Sweep:
    """The points of a plan, answered."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan.checked()
        self.command = swept(plan.command)
        self.grid = grid.Grid(plan.lists, plan.together)
        self.columns = Columns(self.grid.names, self.command.schema(), plan.select, plan.on_error == "row")
        if plan.form != "jsonl" and not self.columns.paths:
            problem = f"the answers of llmcx {plan.command} are lists, so flat rows need --select, as result.rows.0.forward_flops"
            raise InputError(problem, field="select")
        self._csv = csv.Lines(self.columns.names)
        self._models: dict[Any, Any] = {}

    def items(self, point: Mapping[str, Any]) -> list[Item]:
        """The answers of one point. Raises InputError where the command refuses it."""
        with remembering(self._models):
            return self.command.ask(point)

    def written(self, point: dict[str, Any], outcome: Item | InputError) -> Any:
        """An answer or a refusal as the plan wants it written."""
        form, shows = self.plan.form, self.command.shows
        if form == "jsonl" and self.plan.select is None:
            if isinstance(outcome, InputError):
                return refusal_line(shows, point, outcome)
            return answer_line(shows, outcome, self.plan.explain)
        row = self.columns.row(point, outcome)
        return row if form == "rows" else line(row) if form == "jsonl" else self._csv.line(row)

    def head(self) -> str | None:
        """The line above the rows."""
        return self._csv.head() if self.plan.form == "csv" else None

    def found(self, start: int, stop: int) -> Iterator[Found]:
        """The points from ``start`` up to ``stop``, in order."""
        for number in range(start, stop):
            point = self.grid.point(number)
            try:
                yield Found(point, [self.written(point, item) for item in self.items(point)])
            except InputError as error:
                written = [self.written(point, error)] if self.plan.on_error == "row" else []
                yield Found(point, written, error.message)

    def all(self) -> Generator[Found, None, None]:
        """Every point, in this process."""
        yield from self.found(0, self.grid.size)


def answers(plan: Plan) -> Iterator[dict[str, Any]]:
    """Each answer of a plan as a mapping: whole as --json has it, or a flat row of what is selected."""
    work = Sweep(plan._replace(form="rows" if plan.select is not None else "jsonl"))

    def each() -> Iterator[dict[str, Any]]:
        for number in range(work.grid.size):
            point = work.grid.point(number)
            try:
                for item in work.items(point):
                    whole = plan.select is None
                    yield envelope(work.command.shows, item, plan.explain) if whole else work.columns.row(point, item)
            except InputError as error:
                if plan.on_error == "stop":
                    raise stopped(point, error.message) from None
                if plan.on_error == "row":
                    refused = {"inputs": point, "error": error.as_dict()}
                    yield refused if plan.select is None else work.columns.row(point, error)

    return each()


def stopped(point: Mapping[str, Any], why: str) -> InputError:
    """The refusal that ends a sweep, with the point at which it happened."""
    at = ", ".join(f"{name} {value}" for name, value in point.items())
    return InputError(f"at {at}: {why}" if at else why, field="sweep", value=at)


# --- several processes ------------------------------------------------------------------------------------------------

CHUNK = 64
"""Points that a worker is sent at a time, from the second on; the first chunks are smaller, so that rows come at once."""


def _serve(connection: Any, others: list[Any], plan: Plan) -> None:
    """A worker: answers chunks until there are no more. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in others:
        other.close()  # or a parent that is gone would not be noticed
    sweep = Sweep(plan)
    try:
        while True:
            connection.send(list(sweep.found(*connection.recv())))
    except (EOFError, BrokenPipeError):
        pass
    except Exception as error:
        connection.send(RuntimeError(f"{type(error).__name__} in a worker: {error}"))


def in_processes(plan: Plan, size: int, jobs: int, going: Callable[[], bool]) -> Generator[Found, None, None]:
    """Every point, in order, answered by ``jobs`` processes, as long as ``going()``. They are gone when this ends."""
    import multiprocessing as mp

    context: Any = mp.get_context("fork" if sys.platform == "linux" else "spawn")
    chunks = _chunks(size, jobs)
    connections: list[Any] = []
    workers = []
    try:
        for _ in range(jobs):
            mine, theirs = context.Pipe()
            # A forked worker has the ends of the pipes made before its own.
            others = [*connections, mine] if sys.platform == "linux" else []
            worker = context.Process(target=_serve, args=(theirs, others, plan), daemon=True)
            worker.start()
            theirs.close()
            connections.append(mine)
            workers.append(worker)
        waiting: list[int] = []
        for which in [*range(jobs), *range(jobs)]:  # one chunk at work and one at hand
            if (chunk := next(chunks, None)) is not None:
                connections[which].send(chunk)
                waiting.append(which)
        while waiting:
            which = waiting.pop(0)
            while not connections[which].poll(0.1):
                if not going():
                    return
            try:
                found = connections[which].recv()
            except EOFError:
                problem = "a worker of the sweep ended before its time, perhaps for want of memory"
                raise InputError(problem, field="jobs") from None
            if isinstance(found, RuntimeError):
                raise found
            if (chunk := next(chunks, None)) is not None:
                connections[which].send(chunk)
                waiting.append(which)
            yield from found
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def _chunks(size: int, jobs: int) -> Iterator[tuple[int, int]]:
    start, width = 0, 1
    while start < size:
        for _ in range(jobs):
            if start < size:
                yield start, min(start + width, size)
            start += width
        width = min(2 * width, CHUNK)
