"""Every example in README.md and docs/ is run, and prints what is written there.

A ```console block is a session: lines that start with "$ " are run by bash, what follows is their output, to the letter.
`python tests/test_readme.py` rewrites the outputs, of all pages or of those that are named, and the diff shows what changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```console\n(.*?)```", re.S)


def commands(block: str) -> list[tuple[str, str]]:
    """The (command, expected output) of a session; a command goes on where a line ends in a backslash."""
    found = []
    for chunk in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command = re.match(r"(?:.*\\\n)*.*", chunk)
        assert command is not None
        found.append((command[0], chunk[command.end() + 1 :]))
    return found


def sessions() -> list[tuple[Path, str, str]]:
    """Every (file, command, expected output)."""
    found = []
    for file in FILES:
        for block in BLOCK.findall(file.read_text(encoding="utf-8")):
            found += [(file, command, output) for command, output in commands(block)]
    return found


def run(command: str) -> str:
    """The command's stdout and stderr in bash, 80 columns wide, with this interpreter's llmcx first on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n" * bool(done.stdout)


@pytest.mark.parametrize(("file", "command", "expected"), [pytest.param(*s, id=s[1][:60]) for s in sessions()])
def test_example(file: Path, command: str, expected: str) -> None:
    if "jq" in command and not shutil.which("jq"):
        pytest.skip("jq is not installed")
    assert run(command) == expected.rstrip("\n") + "\n" * bool(expected.strip())


def test_setup_commands_are_single_lines_that_make_their_own_environment() -> None:
    commands = re.findall(r"```bash\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)[:2]
    assert all(command.count("\n") == 0 and "-m venv" in command for command in commands)
    assert commands[0].endswith("llmcx params --preset gpt3") and " -m pytest" in commands[1]


def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub names them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*FILES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


def test_every_page_is_reached_from_the_index() -> None:
    reached, left = set(), [ROOT / "docs/README.md"]
    while left:
        page = left.pop()
        if page not in reached and page.is_file():
            reached.add(page)
            links = re.findall(r"\]\(([\w./-]+\.md)", page.read_text(encoding="utf-8"))
            left += [(page.parent / link).resolve() for link in links]
    assert {file.name for file in FILES} == {file.name for file in FILES if file in reached}, "docs/README.md"


def rewrite(files: list[Path]) -> None:
    for file in files:
        text = file.read_text(encoding="utf-8")

        def block(match: re.Match[str]) -> str:
            return "```console\n" + "\n".join(f"$ {command}\n{run(command)}" for command, _ in commands(match[1])) + "```"

        file.write_text(BLOCK.sub(block, text), encoding="utf-8")


if __name__ == "__main__":
    rewrite([Path(name) for name in sys.argv[1:]] or FILES)
