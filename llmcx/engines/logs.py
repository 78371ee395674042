"""The last start in a log: the lines of :mod:`llmcx.engines.log_lines`, read once, however long the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from llmcx.engines.log_lines import ANOTHER, EXPECTED, FIELDS, INNER, LONGEST, MARKS, MOST_DEVICES, NAMES, PATTERNS, TERMS

__all__ = ["LONGEST", "NAMES", "Log", "pieces", "plain", "read"]

_CODES = re.compile(
    r"\x1b(?:\[[0-9;?]{0,20}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\-_])|\x1b?\[\d{1,3}(?:;\d{1,3}){0,4}m"
)
_ERROR = re.compile(r"(?:^|[ )])(?P<error>(?:[A-Za-z_]{1,40}\.){0,6}[A-Z][A-Za-z]{1,40}(?:Error|Exception): .{1,200})")
_SECOND_HAND = "Engine core initialization failed"


@dataclass
class Log:
    """What the last start in a log says: ``values`` by field, the ``lines`` on which they stand, and how many ``starts`` there
    are. Buffers are lists of a name and bytes.
    """

    engine: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    starts: int = 1
    read: int = 0
    another: bool = False

    def get(self, name: str, other: Any = None) -> Any:
        """A field's value."""
        return self.values.get(name, other)

    def total(self, name: str) -> int | None:
        """Bytes of buffers of one kind, on all devices."""
        found = self.values.get(name)
        return None if found is None else sum(size for _, size in found)

    @property
    def measured(self) -> bool:
        """Whether the start has come so far as to say the size of anything."""
        return self.engine is not None and any(name in self.values for name in TERMS[self.engine])

    def missing(self) -> list[str]:
        """The lines that the log lacks."""
        expected = {} if self.engine is None else EXPECTED[self.engine]
        return [line for line, fields in expected.items() if not any(name in self.values for name in fields)]


def plain(line: str) -> str:
    """A line without the codes that color it in a terminal; also those that lost their escape when they were copied.

    >>> plain("\\x1b[1;36m(Worker pid=3)\\x1b[0;0m INFO: [32mI [0mprint_info: n_layer = 2")
    '(Worker pid=3) INFO: I print_info: n_layer = 2'
    """
    return _CODES.sub("", line) if "[" in line or "\x1b" in line else line


def read(lines: Iterable[str]) -> Log:
    """The last start of an engine in a log's lines, of which each may be of any length but is looked at up to :data:`LONGEST`.

    >>> log = read(["INFO [core.py:1] Initializing a V1 LLM engine (v0.10.0) with config: model='a/b', dtype=torch.bfloat16"])
    >>> log.engine, log.get("version"), log.get("model"), log.get("dtype"), log.missing()[0]
    ('vllm', '0.10.0', 'a/b', 'bfloat16', 'Model loading took')
    """
    log = Log()
    seen: set[str] = set()  # the lines that begin a start, of this one
    for line in lines:
        log.read += 1
        line = plain(line[:LONGEST])
        engine = log.engine or _engine(line)
        if engine is None:
            continue
        log.engine = engine
        if engine == "llama.cpp" and any(mark in line for mark in ANOTHER):
            log.another = True
        for pattern in PATTERNS[engine]:
            if pattern.hint not in line:
                continue
            found = pattern.regex.search(line)
            if found is None:
                continue
            if pattern.start:
                if _again(pattern.hint, seen, log):
                    log = Log(engine, starts=log.starts + 1, read=log.read)
                    seen = set()
                seen.add(pattern.hint)
            if not log.another:
                for name in pattern.anew:
                    log.values.pop(name, None)
                _take(log, found)
        failed = "error" not in log.values and ("Error: " in line or "Exception: " in line) and _SECOND_HAND not in line
        if failed and (error := _ERROR.search(line)) is not None:
            _take(log, error)
    return log


def _again(hint: str, seen: set[str], log: Log) -> bool:
    """Whether a line that begins a start begins another one: after sizes were read, or an error where its like was ``seen``.

    A server of several processes writes some of them more than once.
    """
    failed = "error" in log.values and hint in seen
    if hint not in INNER:
        return log.measured or failed
    if log.another or (log.engine == "vllm" and seen - {hint}):  # a draft's file; a server's several engines
        return False
    return failed or (log.measured and (hint in seen or not seen))


def _engine(line: str) -> str | None:
    """The engine that a line is of."""
    for engine, marks in MARKS.items():
        for mark in marks:
            if mark in line and any(p.hint in line and p.regex.search(line) for p in PATTERNS[engine]):
                return engine
    return None


def _take(log: Log, found: re.Match[str]) -> None:
    """The groups of a match, each as its field is read and kept. A number that is none is left."""
    groups = found.groupdict()
    device = groups.pop("of", None)
    for name, text in groups.items():
        if text is None:
            continue
        kind = FIELDS[name]
        try:
            value = kind.read(text)
        except ValueError:
            continue
        before = log.values.get(name)
        if kind.keep == "each":
            listed = log.values.setdefault(name, [])
            if len(listed) < MOST_DEVICES:
                listed.append((device or "", value))
        elif (
            before is None
            or kind.keep == "last"
            or (kind.keep == "max" and value > before)
            or (kind.keep == "min" and value < before)
        ):
            log.values[name] = value
        else:
            continue
        log.lines[name] = log.read


def pieces(file: Any) -> Iterator[str]:
    """The lines of an open text file, each cut at :data:`LONGEST`: what is held never grows with a line."""
    while line := file.readline(LONGEST):
        yield line
        while line and not line.endswith("\n"):
            line = file.readline(LONGEST)
