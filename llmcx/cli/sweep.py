"""llmcx sweep."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Annotated, Any

from llmcx.cli import sweeping
from llmcx.cli.grid import Grid
from llmcx.cli.options import Output, argument, command, option, single
from llmcx.errors import InputError, shown, unknown_name
from llmcx.report.parquet import Parquet
from llmcx.report.render import Answer

app = single()

FORMATS = ("jsonl", "csv", "parquet", "table")
IN_A_TABLE = 200
"""Rows that a table may have. A terminal is given one, unless something else is asked for, up to AT_ONCE rows."""
AT_ONCE = 50


@command(app, cls=sweeping.Borrowing, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True})
def sweep(
    words: Annotated[
        list[str] | None,
        argument(
            "A command; or a plan in YAML: `command:`, and its options as values, lists or ranges; - is stdin.",
            "COMMAND [OPTIONS OF THE COMMAND]...",
            offers=sweeping.completed,
        ),
    ] = None,
    select: Annotated[
        str | None, option("Only these, as result.total,result.active: flat rows, much faster.", reads="text", metavar="PATHS")
    ] = None,
    together: Annotated[
        list[str] | None,
        option(
            "Options that advance together, as seq,batch; repeat for others.", "--zip", reads="text", whole=True, metavar="NAMES"
        ),
    ] = None,
    format: Annotated[
        str | None,
        option(
            "jsonl, csv, parquet or table. Default: by --out; a small table in a terminal, else jsonl.",
            "--format",
            "-f",
            metavar="FORMAT",
            offers=" ".join(FORMATS),
        ),
    ] = None,
    json: Annotated[bool, option("The same as --format jsonl.", "--json")] = False,
    out: Annotated[str | None, option("Write to this file: .jsonl, .csv or .parquet.", reads="text", metavar="FILE")] = None,
    jobs: Annotated[int, option("Processes. The rows and their order stay the same.", reads="count")] = 1,
    on_error: Annotated[
        str,
        option(
            "A point that is refused: stop (default), skip (and say how many), or row (with the reason in it).",
            metavar="HOW",
            offers=" ".join(sweeping.ON_ERROR),
        ),
    ] = "stop",
    plain: Annotated[bool, option("A table in words, for a screen reader.", "--plain")] = False,
    explain: Annotated[bool, option("With whole answers as JSON lines: formulas and sources.", "--explain")] = False,
) -> None:
    """Answer a command at every combination of its inputs, row after row.

    Every option of the command takes a list (bf16,fp8), a range (1k:128k:x2 multiplies, 8:64:+8 adds), or is repeated; a
    flag takes true,false. The last option changes fastest. Rows stream in that order: whole answers as JSON lines, or
    flat rows whose columns are the inputs swept, the model, and the numbers of the result by their path.

    \b
    llmcx sweep memory llama-3-8b gpt2 --seq 512,1k --batch 1:64:x2 --format csv
    llmcx sweep flops llama-3-8b --seq 1k:128k:x2 --select result.forward.total
    llmcx sweep memory gpt3 --train --zero 0,3 --gpus 8,64 --zip zero,gpus
    llmcx sweep params llama-3-8b --kv-heads 1:32:x2 --out heads.parquet
    llmcx sweep plan.yaml --jobs 4 > rows.jsonl
    """
    asked = _asked(words or [], select, together or [], on_error)
    form = _form(format, json, out)
    if plain and form not in (None, "table"):
        raise InputError(f"--plain is a form of the table and contradicts {form}; give one", field="plain")
    form = "table" if plain else form
    count = Grid(asked.lists, asked.together).size
    if form is None:
        form = "table" if sys.stdout.isatty() and count <= AT_ONCE and select is None else "jsonl"
    if explain and (form not in ("jsonl", "table") or asked.select is not None):
        raise InputError("--explain goes with whole answers: --format jsonl without --select, or table", field="explain")
    asked = asked._replace(form=form if form in ("jsonl", "csv") else "rows", explain=explain)
    if not 1 <= jobs <= 512:
        raise InputError(f"--jobs is {jobs}, but must be between 1 and 512", field="jobs", value=jobs, allowed="1 to 512")
    if jobs > 1 and "-" in asked.lists.get("model", ()):
        raise InputError("- reads stdin, which only one process can; give --jobs 1", field="jobs", value=jobs)
    if form == "table":
        _table(asked, count, plain)
        return
    with _interruptible() as going:
        _stream(asked, form, out, min(jobs, max(count, 1)), going)


def _asked(words: list[str], select: str | None, together: list[str], on_error: str) -> sweeping.Plan:
    """The plan of a file, of the command line, or of both; the command line has the last word."""
    given: dict[str, Any] = {}
    plan = words.pop(0) if words and (words[0] == "-" or words[0].endswith((".yaml", ".yml", ".json"))) else None
    if plan is not None:
        from llmcx.catalog.files import parse, read_text

        given = dict(parse(read_text(plan), "stdin" if plan == "-" else plan))
    name = given.pop("command", None)
    if words and not words[0].startswith("-") and (name is None or words[0] in sweeping.names()):
        name = words.pop(0)
    if not isinstance(name, str):
        known = ", ".join(sweeping.names())
        what = f"{plan} has no `command:`" if plan else "name the command to sweep first"
        raise InputError(f"{what}; it is one of {known}", field="command", allowed=known)
    chosen = sweeping.swept(name)
    paths, pairs = given.pop("select", None), given.pop("zip", None)
    lists = sweeping.listed(chosen, given) | sweeping.parse(chosen, words)
    pairs = [text.split(",") for text in together] or pairs
    return sweeping.planned(chosen, lists, paths if select is None else select, pairs, on_error)


def _form(format: str | None, json: bool, out: str | None) -> str | None:
    """The format given, or that of the file's name; None if by neither."""
    chosen = format or ("jsonl" if json else None)
    if chosen is None and out is not None:
        chosen = out.rpartition(".")[2].lower()
        if chosen not in ("csv", "parquet", "jsonl"):
            problem = f"--out is {shown(out)}, which tells no format: name it .jsonl, .csv or .parquet, or give --format"
            raise InputError(problem, field="out", value=out, allowed=".jsonl, .csv or .parquet")
    if chosen not in (None, *FORMATS):
        raise unknown_name("format", chosen, list(FORMATS), field="format")
    if json and chosen != "jsonl":
        raise InputError(f"--json and --format {chosen} contradict each other; give one", field="format", value=chosen)
    if chosen == "parquet" and out is None:
        raise InputError("Parquet is written to a file, so it needs --out FILE.parquet", field="out")
    if chosen == "table" and out is not None:
        raise InputError("a table is for a terminal; --out writes jsonl, csv or parquet", field="format", value=chosen)
    return chosen


def _stream(plan: sweeping.Plan, form: str, out: str | None, jobs: int, going: Any) -> None:
    """Every row to where it is wanted; what was written is whole, however this ends."""
    work = sweeping.Sweep(plan)
    size = work.grid.size
    with _opened(out) if out and form != "parquet" else nullcontext(sys.stdout) as file:
        sink: Any = Lines(file)
        if form == "parquet":
            sink = Parquet(str(out), work.columns)
            _opened(str(out)).close()  # or refused now, not after the first row group
        watched = sys.stderr is not None and sys.stderr.isatty() and (out or not sys.stdout.isatty())
        bar = Progress(size) if watched and os.environ.get("TERM") != "dumb" else None
        refused: Counter[str] = Counter()
        done = written = 0
        rows = work.all() if jobs == 1 else sweeping.in_processes(plan, size, jobs, going)
        try:
            if (head := work.head()) is not None:
                sink.write(head)
            for found in rows:
                for row in found.written:
                    sink.write(row)
                    written += 1
                done += 1
                if found.refused is not None:
                    if plan.on_error == "stop":
                        raise sweeping.stopped(found.point, found.refused)
                    refused[found.refused] += 1
                if bar is not None:
                    bar.show(done)
                if not going():
                    break
        finally:
            rows.close()
            with suppress(OSError):
                sink.close()
            if bar is not None:
                bar.clear()
    _report(sink, refused, size)
    if not going():
        raise KeyboardInterrupt
    if refused and not written:
        raise InputError(f"none of the {size:,} points could be answered", field="sweep")


def _report(sink: Any, refused: Counter[str], size: int) -> None:
    """What a reader of the rows has to know."""
    for name, kind in getattr(sink, "widened", {}).items():
        what = "decimal(38, 0)" if kind == "decimal" else "text"
        sys.stderr.write(f"llmcx: {name} goes beyond 64 bits, so its column is {what}\n")
    if refused:
        sys.stderr.write(f"llmcx: {refused.total():,} of {size:,} points refused\n")
        for message, times in refused.most_common(5):
            sys.stderr.write(f"llmcx: {times:,} × {message}\n")
        if len(refused) > 5:
            sys.stderr.write(f"llmcx: other reasons: {len(refused) - 5:,}; --on-error row has each\n")


def _table(plan: sweeping.Plan, count: int, plain: bool) -> None:
    """All answers side by side, as the command itself shows several."""
    if count > IN_A_TABLE:
        problem = f"a table of {count:,} rows is more than {IN_A_TABLE}; use --format csv, jsonl or parquet"
        raise InputError(problem, field="format", value="table")
    if plan.select is not None:
        raise InputError("--select makes flat rows: use --format csv, jsonl or parquet", field="select")
    work = sweeping.Sweep(plan._replace(form="jsonl"))
    refused: Counter[str] = Counter()
    items = []
    for number in range(count):
        point = work.grid.point(number)
        try:
            more = {key: value for key, value in point.items() if key != "model"}  # which has a column of its own
            items += [item._replace(inputs=more | item.inputs) for item in work.items(point)]
        except InputError as error:
            if plan.on_error == "stop":
                raise sweeping.stopped(point, error.message) from None
            refused[error.message] += 1
    if items:
        output = Output(plain=plain, explain=plan.explain)
        output.show(plan.command, Answer(items), output.chosen())
    _report(None, refused, count)
    if not items:
        raise InputError(f"none of the {count:,} points could be answered", field="sweep")


def _opened(path: str) -> Any:
    """The file to write to, empty."""
    try:
        return open(path, "w", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"--out {path} cannot be written: {error.strerror}", field="out", value=path) from None


@contextmanager
def _interruptible() -> Iterator[Any]:
    """Within, Ctrl-C ends a sweep between two rows: the function given says whether it goes on. A second one ends it at once."""
    pressed = False

    def press(*_: Any) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    try:
        before = signal.signal(signal.SIGINT, press)
    except ValueError:  # not the main thread
        yield lambda: True
        return
    try:
        yield lambda: not pressed
    finally:
        signal.signal(signal.SIGINT, before)


class Lines:
    """Whole lines into a text file; the first at once, then as often as somebody who watches would see."""

    def __init__(self, file: Any) -> None:
        self.file, self.last = file, -1.0

    def write(self, line: str) -> None:
        """Write a line, and pass it on now and then."""
        self.file.write(line)
        now = time.monotonic()
        if now - self.last > 0.05:
            self.file.flush()
            self.last = now

    def close(self) -> None:
        """Pass on what is left."""
        self.file.flush()


class Progress:
    """A bar on stderr, drawn at most ten times a second."""

    def __init__(self, size: int) -> None:
        self.size, self.begun, self.last = size, time.monotonic(), 0.0

    def show(self, done: int) -> None:
        """``done`` points are done."""
        now = time.monotonic()
        if now - self.last < 0.1:
            return
        self.last = now
        rate = done / max(now - self.begun, 1e-9)
        left = (self.size - done) / rate
        bar = ("━" * (20 * done // self.size)).ljust(20, "─")
        sys.stderr.write(f"\r\x1b[K{bar} {done:,} of {self.size:,}  {rate:,.0f}/s  {left:,.0f} s left")
        sys.stderr.flush()

    def clear(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
