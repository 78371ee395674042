"""The completion scripts: current, and tried in the real shells through a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmcx.cli.completions import SCRIPTS

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
COMMANDS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": "source {files}/llmcx.bash; bind 'set enable-bracketed-paste off'",
    "zsh": "fpath=({files} $fpath); autoload -U compinit; compinit -u -D; PROMPT='> '",
    "fish": "source {files}/llmcx.fish",
}


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_checked_in_scripts_are_current(shell: str) -> None:
    name, script = SCRIPTS[shell]
    assert (ROOT / "completions" / name).read_text(encoding="utf-8") == script


class Terminal:
    """A shell on a pseudo-terminal: type, and wait for a pattern on its screen."""

    def __init__(self, shell: str, directory: Path) -> None:
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "TERM": "xterm", "HOME": str(directory), "LANG": "C.UTF-8", "PS1": "> ", "COLUMNS": "200"}
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execvpe(COMMANDS[shell][0], COMMANDS[shell], environment)
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self.file, text.encode())

    def wait(self, pattern: str, seconds: float = 20) -> str:
        """What the screen shows once ``pattern`` is on it, without control sequences; fails after ``seconds``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if re.search(pattern, self.text()):
                return self.text()
            if select.select([self.file], [], [], 0.2)[0]:
                try:
                    raw = os.read(self.file, 65536).decode(errors="replace")
                except OSError:
                    break
                if "\x1b[c" in raw or "\x1b[0c" in raw:
                    self.type("\x1b[?62;c")  # fish asks what terminal this is, and waits for the answer
                self.screen += raw
        pytest.fail(f"no {pattern!r} on the screen:\n{self.text()[-2000:]}")

    def text(self) -> str:
        plain = re.sub(r"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>()][A-Z0-9]?", "", self.screen)
        return plain.replace("\r", "")

    def close(self) -> None:
        os.close(self.file)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


CASES = [
    ("llmcx par", "llmcx params "),
    ("llmcx params --preset gpt3-13", "--preset gpt3-13b"),
    ("llmcx params --context-le", "--context-length"),
    ("llmcx presets show gpt3-13", "presets show gpt3-13b"),
    ("llmcx presets val", "presets validate"),
    ("llmcx params --attention perf", "--attention performer"),
    ("llmcx params --config my-mo", "--config my-model.yaml"),
]


@pytest.mark.parametrize("shell", sorted(COMMANDS))
@pytest.mark.parametrize(("typed", "completed"), CASES, ids=[typed for typed, _ in CASES])
def test_in_the_real_shell(shell: str, typed: str, completed: str, tmp_path: Path) -> None:
    """The first Tab of a fresh shell completes what was typed."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "my-model.yaml").write_text("name: x\n", encoding="utf-8")
    terminal = Terminal(shell, tmp_path)
    try:
        terminal.type(SETUP[shell].format(files=ROOT / "completions") + "; echo rea''dy\r")
        terminal.wait("ready")
        terminal.type(typed)
        terminal.wait(re.escape(typed[-6:]))
        terminal.type("\t")
        terminal.wait(re.escape(completed))
    finally:
        terminal.close()


def test_unknown_shell_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "llmcx", "completions", "tcsh"], capture_output=True, text=True)
    assert done.returncode == 2 and "bash" in done.stderr and not done.stdout
