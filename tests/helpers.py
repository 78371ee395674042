"""Running the real command in tests: as a process of its own, or here, which is quicker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llmcx.errors import InputError


def llmcx(*args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`llmcx ARGS` as a process of its own; fails the test unless it exits 0."""
    return subprocess.run([sys.executable, "-m", "llmcx", *args], capture_output=True, text=True, check=True, **more)


class Ended(NamedTuple):
    """How a call ended."""

    code: int
    out: str
    err: str


def here(*args: str, stdin: bytes = b"") -> Ended:
    """`llmcx ARGS` in this process, through its entry point, on streams of its own."""
    from llmcx import cli

    before = sys.argv, sys.stdin, sys.stdout, sys.stderr
    on_pipe = signal.getsignal(signal.SIGPIPE) if hasattr(signal, "SIGPIPE") else None
    raw = BytesIO(), BytesIO()
    out, err = TextIOWrapper(raw[0], "utf-8"), TextIOWrapper(raw[1], "utf-8", errors="backslashreplace")
    sys.argv, sys.stdin, sys.stdout, sys.stderr = ["llmcx", *args], TextIOWrapper(BytesIO(stdin), "utf-8"), out, err
    code: Any = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = before
        if on_pipe is not None:  # main() lets a closed pipe end the process: not this one
            signal.signal(signal.SIGPIPE, on_pipe)
    out.flush()
    err.flush()
    return Ended(code, *(stream.getvalue().decode() for stream in raw))


def refused(*args: str, stdin: bytes = b"") -> str:
    """The sentence with which `llmcx ARGS` is refused: exit 2, nothing on stdout, one line without an escape sequence."""
    end = here(*args, stdin=stdin)
    assert (end.code, end.out) == (2, ""), end
    assert (
        end.err.startswith('{"error": ' if "--json" in args else "llmcx: ") and end.err.endswith("\n") and len(end.err) < 500
    ), end
    assert end.err[:-1].isprintable(), end
    return end.err


def refused_in_json(*args: str, stdin: bytes = b"") -> dict[str, Any]:
    """The fields of the same refusal under --json."""
    end = here(*args, "--json", stdin=stdin)
    assert (end.code, end.out) == (2, "") and end.err.count("\n") == 1, end
    error: dict[str, Any] = strict(end.err)["error"]
    return error


@contextmanager
def refuses(field: str) -> Iterator[None]:
    """What is done within is refused for this field."""
    with pytest.raises(InputError) as error:
        yield
    assert error.value.field == field


def until_closed(parent: int) -> bytes:
    """What is written to a pseudo-terminal, until the last process has closed it."""
    out = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # Linux ends a pseudo-terminal so
            break
        if not chunk:
            break
        out += chunk
    os.close(parent)
    return out


def strict(text: str) -> Any:
    """JSON as the RFC has it: no NaN, no Infinity."""

    def refuse(token: str) -> Any:
        raise ValueError(f"{token} is not JSON")

    return json.loads(text, parse_constant=refuse)


def data(*args: str) -> Any:
    """The parsed JSON of `llmcx ARGS --json`, run here; fails the test unless it exits 0 with nothing on stderr."""
    end = here(*args, "--json")
    assert (end.code, end.err) == (0, ""), end
    return strict(end.out)


answer = data  # test_fit.py calls it so


def between(page: Path, name: str) -> str:
    """What stands in a page between the marks of ``name``, which a test wrote there."""
    return (
        page.read_text(encoding="utf-8")
        .partition(f"<!-- {name}: ")[2]
        .partition("-->\n")[2]
        .partition(f"\n<!-- end of {name}")[0]
    )


def write_between(page: Path, name: str, text: str) -> None:
    """Write ``text`` there."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name}: ")
    head, end, _ = rest.partition("-->\n")
    page.write_text(
        f"{before}{mark}{head}{end}{text}\n<!-- end of {name}{rest.partition(f'<!-- end of {name}')[2]}", encoding="utf-8"
    )
