"""The rooms and their one-way dependencies: every import in llmcx, wherever it stands, points downward."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "llmcx"
BELOW = {
    "core": set(),
    "families": {"core"},
    "spec": {"core", "families"},
    "report": {"core"},
    "topics": {"core", "spec"},
    "schemas": {"core", "spec", "topics"},
    "cli": {"core", "families", "spec", "report", "schemas", "topics"},
}
"""What each room may import beside itself."""
THIRD_PARTY = {
    "core": {"scipy", "numpy"},  # of the extra llmcx[fit], inside functions
    "families": set(),
    "spec": {"yaml", "pydantic", "huggingface_hub"},
    "report": {"rich", "matplotlib", "pyarrow"},
    "topics": set(),
    "schemas": {"pydantic"},
    "cli": {"typer", "yaml"},
}


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, in full, those for type checkers included."""
    package = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            yield from (f"{base}.{name.name}" for name in node.names)


@pytest.mark.parametrize("room", BELOW)
def test_imports_point_downward(room: str) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert files
    wrong = []
    for file in files:
        for name in imports(file):
            top, _, rest = name.partition(".")
            if top == "llmcx":
                where = rest.partition(".")[0]
                allowed = where in BELOW[room] | {room} or (room == "cli" and where in ("", "__version__"))
            else:
                allowed = top in sys.stdlib_module_names | THIRD_PARTY[room] | {"__future__"}
            if not allowed:
                wrong.append(f"{file.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_private_names_stay_in_their_module() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    leaves = {f"{file.relative_to(PACKAGE)} imports {name}" for file in files for name in imports(file)}
    own = re.compile(r" imports (?:llmcx\..*\._(?!_)|typer\._)")
    # Typer has no public name for a completion with a help text.
    assert {each for each in leaves if own.search(each)} == {
        "cli/sweeping.py imports typer._click.shell_completion.CompletionItem"
    }


def test_the_map_of_core_is_complete() -> None:
    """Each module stands once in the list that llmcx/core/__init__.py gives a newcomer."""
    from llmcx import core

    listed = re.findall(r"\b[a-z_]+\b", " ".join(re.findall(r"^- (?:[^:\n]*: )?(.*)$", core.__doc__ or "", re.M)))
    modules = {path.stem for path in (PACKAGE / "core").glob("*.py")} - {"__init__"} | {"mixers"}
    words = [word for word in listed if word in modules]
    assert sorted(words) == sorted(modules)
