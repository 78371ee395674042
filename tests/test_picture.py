"""README's picture of the terminal is what llmcx prints today. `python tests/test_picture.py` draws docs/terminal.svg anew."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/terminal.svg"
COMMAND = "llmcx memory llama-3.1-70b --dtype fp8 --seq 32k --batch 16 --hardware 2xh100"
WIDTH = 80

FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; \
line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's own frame, without the font that it would fetch from the network."""


def seen(command: str) -> str:
    """What a terminal WIDTH columns wide is sent: colours and all."""
    import pty

    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "LLMCX_PLAIN")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    running = subprocess.Popen(command, shell=True, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=theirs)
    os.close(theirs)
    sent = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so that the other end is closed
            break
        if not part:
            break
        sent += part
    os.close(ours)
    assert running.wait() == 0
    return sent.decode("utf-8").replace("\r\n", "\n")


def drawn() -> str:
    """The command and its answer as an SVG."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, width=WIDTH + 1, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "dim"), COMMAND), soft_wrap=True)
    console.print(Text.from_ansi(seen(COMMAND)), soft_wrap=True)
    svg = console.export_svg(title="", theme=MONOKAI, code_format=FRAME, unique_id="llmcx")
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_the_picture_is_current() -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn(), "python tests/test_picture.py"


def test_the_picture_is_small_and_fetches_nothing() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    assert len(text) < 20_000
    assert text.count("http") == 1 and "does not fit" in text.replace("&#160;", " ")


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
