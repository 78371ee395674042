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
from collections.abc import Iterable
from pathlib import Path

import pytest

from llmcx import explain as topics
from llmcx import schemas
from llmcx.answers.fit import FIT
from llmcx.cli import sweeping
from llmcx.cli.completions import SCRIPTS
from llmcx.costs.saved_activations import RECOMPUTE
from llmcx.engines import ENGINES as RUNTIMES
from llmcx.formats import dtypes, quant
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.formats.precision import PRECISIONS
from llmcx.model.variants import VARIANTS
from llmcx.report.render import FORMATS

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
COMMANDS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
# As a user installs them: sourced in bash, found by name on the first Tab in zsh and fish.
# compinit -u -D: whoever owns the checkout, and without a dump file.
SETUP = {
    "bash": "source {files}/llmcx.bash; bind 'set enable-bracketed-paste off'",
    "zsh": "fpath=({files} $fpath); autoload -U compinit; compinit -u -D; PROMPT='> '",
    "fish": "set -p fish_complete_path {files}",
}


def llmcx(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "llmcx", *args], capture_output=True, text=True, env={**os.environ, **variables})


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_checked_in_scripts_are_current(shell: str) -> None:
    done = llmcx("tools", "completions", shell)
    assert done.returncode == 0
    assert (ROOT / "completions" / SCRIPTS[shell][0]).read_text(encoding="utf-8") == done.stdout


def test_write_writes_all_three(tmp_path: Path) -> None:
    assert llmcx("tools", "completions", "--write", str(tmp_path)).returncode == 0
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in (ROOT / "completions").iterdir()}


def test_bad_calls_are_refused(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no-such-folder")
    for args, named in [(["tcsh"], "bash"), ([], "--write"), (["--write", nowhere], nowhere), (["tcsh", "--write", "."], "bash")]:
        done = llmcx("tools", "completions", *args)
        assert done.returncode == 2 and not done.stdout
        assert named in done.stderr and done.stderr.count("\n") == 1


def test_help_shows_one_way_to_completion() -> None:
    """Typer's own --install-completion and --show-completion are gone from the help; its protocol answers all the same."""
    assert "-completion" not in llmcx("--help").stdout
    done = llmcx(_LLMCX_COMPLETE="complete_bash", COMP_WORDS="llmcx --version par", COMP_CWORD="2")
    assert done.stdout == "params\n"  # and --version, further left on the line, is not obeyed


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
        self.answered = 0

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
                self.screen += raw
                asked = len(re.findall(r"\x1b\[0?c", self.screen))
                self.type("\x1b[?62;c" * (asked - self.answered))  # newer fish asks what terminal this is, and waits
                self.answered = asked
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
    ("llmcx catalog sho", "catalog show "),
    ("llmcx params gpt3-13", "params gpt3-13b"),
    ("llmcx params --pre", "params --preset "),
    ("llmcx params --preset gpt3-13", "--preset gpt3-13b"),
    ("llmcx params --preset=gpt3-13", "--preset=gpt3-13b"),
    ("llmcx params -p openai-community/gpt2-m", "-p openai-community/gpt2-medium"),  # an alias
    ("llmcx catalog show gpt3 --json | llmcx flops - --attention perf", "--attention performer"),
    ("llmcx params --format mark", "--format markdown"),
    ("llmcx tools completions zs", "completions zsh"),
    ("llmcx memory gpt3 --dtype mxfp4_", "--dtype mxfp4_moe"),
    ("llmcx memory --optimizer adaf", "--optimizer adafactor"),
    ("llmcx memory --engine vl", "--engine vllm"),
    ("llmcx chinchilla --law muen", "--law muennighoff"),
    ("llmcx serve --hardware=mi355", "--hardware=mi355x"),
    ("llmcx explain universal-a", "explain universal-approximation"),
    ("llmcx explain flops.sc", "explain flops.scores"),
    ("llmcx tools schema chinchilla-f", "schema chinchilla-fit"),
    ("llmcx sweep attention-c", "sweep attention-compare"),
    ("llmcx sweep memory gpt3-13", "memory gpt3-13b"),
    ("llmcx sweep memory --optimizer adaf", "--optimizer adafactor"),
    ("llmcx sweep memory --kv-dt", "memory --kv-dtype"),
    ("llmcx compare gpt3 gpt3-13", "compare gpt3 gpt3-13b"),
    ("llmcx compare gpt3 gpt3-13b --kv-dt", "gpt3-13b --kv-dtype"),
    ("llmcx params my-mo", "params my-model.yaml"),
    ("llmcx params --config my-mo", "--config my-model.yaml"),
    ("llmcx params --config=my-mo", "--config=my-model.yaml"),
    ("llmcx params -c my-mo", "-c my-model.yaml"),
    ("llmcx catalog validate my-mo", "validate my-model.yaml"),
]


def offered(line: str) -> list[str]:
    """What llmcx answers bash to this line, of which the last word is incomplete."""
    count = str(len(line.split(" ")) - 1)
    return llmcx(_LLMCX_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=count).stdout.split()


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("params --dtype", dtypes.BITS),
        ("memory --dtype", [*dtypes.BITS, *quant.names()]),
        ("memory --kv-dtype", [*dtypes.BITS, *dtypes.CACHE_BLOCKS]),
        ("memory --optimizer", OPTIMIZERS),
        ("memory --precision", PRECISIONS),
        ("memory --engine", RUNTIMES),
        ("memory --recompute", RECOMPUTE),
        ("memory --fit", FIT),
        ("memory --hardware", [path.stem for path in (ROOT / "presets" / "hardware").iterdir()]),
        ("train --engine", ["megatron", "fsdp"]),
        ("flops --attention", VARIANTS),
        ("flops --convention", ["flops", "macs", "leading-order"]),
        ("flops --format", FORMATS),
        ("chinchilla --law", [path.stem for path in (ROOT / "presets" / "laws").iterdir()]),
        ("train --hardware", [path.stem for path in (ROOT / "presets" / "hardware").iterdir()]),
        ("explain", topics.names()),
        ("tools schema", schemas.names()),
        ("sweep", sweeping.names()),
        ("sweep memory --optimizer", OPTIMIZERS),
        ("compare gpt3 gpt2 --engine", RUNTIMES),
        ("compare gpt3 gpt2 --with", ["params", "flops", "memory", "serve"]),
    ],
)
def test_every_name_is_offered(option: str, names: Iterable[str]) -> None:
    """Those of the registries, plugins aside."""
    assert set(offered(f"llmcx {option} ")) >= set(names)


def test_a_list_with_commas_goes_on() -> None:
    assert offered("llmcx compare gpt3 gpt2 --with params,") == ["params,flops", "params,memory", "params,serve"]


@pytest.mark.parametrize(
    "line", ["chinchilla --law h", "serve --hardware h", "explain kv", "memory --dtype q", "catalog models --family l"]
)
def test_no_yaml_is_read_and_no_model_built(line: str) -> None:
    words = f"llmcx {line}"
    probe = "import sys; sys.argv[0] = 'llmcx'\nfrom llmcx.__main__ import main\n"
    probe += "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    asked = {"_LLMCX_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=os.environ | asked)
    assert done.stdout.split() and not {"yaml", "pydantic", "rich", "llmcx.explain.collect"} & set(done.stderr.split())


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
