"""Docstrings as documentation: the prose, the sources they name, and their examples, run now."""

from __future__ import annotations

import doctest
import inspect
import io
import re
import sys
from contextlib import redirect_stdout
from typing import Any

from llmcx.explain import Example


def doc(thing: Any) -> str:
    """The docstring without its examples, ``code`` as `code`, cross-references as names.

    >>> doc(doc).splitlines()[0]
    'The docstring without its examples, `code` as `code`, cross-references as names.'
    """
    text = inspect.cleandoc(inspect.getdoc(thing) or "")
    kept: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        cut = next((number for number, line in enumerate(lines) if line.lstrip().startswith(">>>")), len(lines))
        if lines[:cut]:
            kept.append(" ".join(line.strip() for line in lines[:cut]))
    text = "\n\n".join(kept).replace("``", "`")
    return re.sub(r":(?:func|class|data|mod|meth):`~?([^`]+)`", lambda match: match[1].rpartition(".")[2], text)


def first(text: str) -> str:
    """The first sentence, without its full stop.

    >>> first("One thing (Smith et al. 2020, sec. 2). Another.")
    'One thing (Smith et al. 2020, sec. 2)'
    """
    return re.split(r"(?<!et al)(?<!sec)(?<!eq)\.(?:\s+(?=[A-Z`])|$)", text.partition("\n\n")[0], maxsplit=1)[0]


SOURCE = re.compile(r"[Ss]ources?: (.+?)(?:\. (?=[A-Z])|\.?$|\n\n)", re.S)
AUTHORS = r"[A-Z][\w.-]+(?: et al\.| and [A-Z]\w+|, [A-Z][\w, ]+ and [A-Z]\w+)?"
PAPER = re.compile(AUTHORS + r"(?: \d{4},? )?[^().]*?arXiv:[\d.]+\d(?:[^().]|\.(?=\d| ?\d))*")


def source(thing: Any) -> str:
    """What a docstring names as its source: after "Source:", else a paper in it, else its module's paper; "" where none is."""
    for text in (doc(thing), doc(sys.modules[thing.__module__])):
        for pattern in (SOURCE, PAPER):
            match = pattern.search(text)
            if match:
                return (match[1] if pattern is SOURCE else match[0]).strip(" .,:;")
    return ""


def examples(thing: Any) -> list[Example]:
    """The examples of a docstring, run in its module: what was asked, what came out."""
    space = dict(vars(sys.modules[thing.__module__]))
    found = []
    for each in doctest.DocTestParser().get_examples(inspect.getdoc(thing) or ""):
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile(each.source, "<example>", "single"), space)
        if out.getvalue():
            found.append(Example(each.source.strip(), out.getvalue().strip()))
    return found
