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
ROOMS = (
    "cli",
    "schemas",
    "report",
    "explain",
    "answers",
    "engines",
    "catalog",
    "huggingface",
    "machine",
    "scaling",
    "parallel",
    "formats",
    "costs",
    "model",
    "ops",
)
"""From the top: each may import itself, the rooms below it, and the ground."""
GROUND = {"errors", "plugins", "units"}
"""Modules of no room, for every room; they import none."""
THIRD_PARTY = {
    # tomli: what became tomllib in Python 3.11; mcp and anyio of the extra llmcx[mcp], inside functions
    "cli": {"typer", "yaml", "tomllib", "tomli", "mcp", "anyio"},
    "schemas": {"pydantic"},
    "report": {"rich", "plotext", "matplotlib", "pyarrow"},
    "catalog": {"yaml", "pydantic", "tomllib", "tomli"},
    "huggingface": {"huggingface_hub"},
    "scaling": {"scipy", "numpy"},  # of the extra llmcx[fit], inside functions
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


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_downward(room: str) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert files
    below = {*ROOMS[ROOMS.index(room) :], *GROUND} | ({"__version__"} if room == "cli" else set())
    wrong = []
    for file in files:
        for name in imports(file):
            top, _, rest = name.partition(".")
            if top == "llmcx":
                allowed = rest.partition(".")[0] in below | ({""} if room == "cli" else set())
            else:
                allowed = top in sys.stdlib_module_names | THIRD_PARTY.get(room, set()) | {"__future__"}
            if not allowed:
                wrong.append(f"{file.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_the_map_shows_the_rooms() -> None:
    """CONTRIBUTING.md lists them in this order."""
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)/` \|", page, re.M) == list(ROOMS)


def test_every_room_is_on_the_list() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)
    assert {path.stem for path in PACKAGE.glob("*.py")} == GROUND | {"__init__", "__main__", "api"}


def test_private_names_stay_in_their_module() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    leaves = {f"{file.relative_to(PACKAGE)} imports {name}" for file in files for name in imports(file)}
    own = re.compile(r" imports (?:llmcx\..*\._(?!_)|typer\._)")
    assert not {each for each in leaves if own.search(each)}
