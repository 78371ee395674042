"""The terminal: how wide it is, and whether it wants colour."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ASCII = str.maketrans("│─┌┐└┘├┤┬┴┼·█●×÷µ", "|-+++++++++.#ox/u") | dict.fromkeys(range(0x2801, 0x2900), "*")
"""For the characters of which figures consist."""


def columns() -> int:
    """COLUMNS where it is a number above 0, in pipes too; else the width of the terminal that stdout, stderr or stdin is; else
    80.
    """
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    for stream in (sys.__stdout__, sys.__stderr__, sys.__stdin__):
        with suppress(AttributeError, OSError, ValueError):
            width = os.get_terminal_size(stream.fileno()).columns  # type: ignore[union-attr]
            if width > 0:
                return width
    return 80


def console() -> Console:
    """Where tables and figures are written. It colours only a terminal whose TERM is not dumb, and not with NO_COLOR set; what is
    no terminal gets no blanks at the ends of lines.
    """
    from rich.console import Console

    out: Any = sys.stdout if sys.stdout.isatty() else Trimmed(sys.stdout)
    return Console(file=out, highlight=False, width=columns(), no_color=bool(os.environ.get("NO_COLOR")))


class Trimmed:
    """A stream without the blanks that fill the lines of tables and figures."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Of whole lines."""
        return self.stream.write(re.sub(" +\n", "\n", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


SPELLED = {"²": "^2", "³": "^3", "≤": "<=", "≥": ">="}
"""For characters of their words that take more than one."""


def writable(text: str) -> bool:
    """Whether stdout can write it."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def spelled(text: str) -> str:
    """A word of a figure, before its place is found, in as many characters as it will take."""
    return text if writable(text) else "".join(SPELLED.get(letter, letter) for letter in text)


def translated(line: Text) -> Text:
    """A line of a figure as it is, or in ASCII where stdout cannot write it."""
    if not writable(line.plain):
        line.plain = line.plain.translate(ASCII)
    return line
