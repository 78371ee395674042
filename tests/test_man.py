"""The man page: current, sound, and complete."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from llmcx.cli import BELOW, COMMANDS
from llmcx.cli.man import PAGE, commands, escaped, page


def test_the_checked_in_page_is_current() -> None:
    """`python -m llmcx.cli.man` writes it."""
    assert PAGE.read_text(encoding="ascii") == page()


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_mandoc_finds_nothing_to_complain_of() -> None:
    done = subprocess.run(["mandoc", "-Tlint", str(PAGE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_it_reads_as_the_help_does() -> None:
    """Every command, every option, every example, as a reader sees them."""
    shown = subprocess.run(["mandoc", "-Tutf8", "-O", "width=900", str(PAGE)], capture_output=True, text=True).stdout
    shown = re.sub(r".\x08", "", shown)  # bold and underlined are struck twice
    flat = " ".join(shown.split())
    for name in (*COMMANDS, *map(" ".join, BELOW)):
        assert f"llmcx {name}" in flat
    for name, command in commands():
        for param in command.params:
            rare = param.opts[0] in getattr(command, "rare", {})
            flags = [f"--set {param.opts[0][2:].replace('-', '_')}="] if rare else param.opts
            assert all(flag in flat for flag in flags if flag.startswith("-")), (name, param.opts)
        for line in (command.help or "").splitlines():
            if line.strip().startswith("llmcx "):
                assert " ".join(line.split()) in flat, line


def test_escapes() -> None:
    assert escaped(".x") == "\\&.x" and escaped("a\\b") == "a\\eb" and escaped("n²") == "n\\[u00B2]"
