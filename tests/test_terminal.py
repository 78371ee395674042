"""Terminals, pipes and screen readers: what is written fits, and says nothing by colour or shape alone."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import here, until_closed
from tests.test_schemas import TABLES, conforms, files_at_hand, pristine  # noqa: F401 - fixtures

LLMCX = str(Path(sys.executable).parent / "llmcx")
PICTURES = [
    "params deepseek-v3",
    "params gpt3 mixtral-8x7b",
    "params gpt3 --layers 12,24",
    "flops llama-3-8b",
    "flops llama-3-8b mixtral-8x7b mamba2-2.7b",
    "memory llama-3-8b --train --tp 2 --pp 4 --gpus 8 --seq 2k --budget 20GB",
    "memory llama-3-8b --seq 2k,8k,32k --budget 24GB",
    "attention-compare llama-3-8b --seq 2k,8k,32k",
    "moe deepseek-v3 mixtral-8x7b qwen3-235b-a22b",
    "chinchilla --compute 1e21",
    "chinchilla fit runs.csv --bootstraps 0",
    "train llama-3-8b --tokens 1T --gpus 64",
    "serve llama-3-8b",
    "textbook shapes --params 7B",
    "catalog show h100",
]


@pytest.mark.usefixtures("files_at_hand", "answered_once")
@pytest.mark.parametrize("call", TABLES)
def test_no_line_is_wider_than_the_terminal_plain_is_words_and_json_conforms(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    widths = [40, 80]
    if call.startswith("explain"):
        widths = [80]  # formulas and examples are never broken
    if "--emit" in call:
        widths = [1000]  # nor is a launch line, which is data
    for width in widths:
        monkeypatch.setenv("COLUMNS", str(width))
        fits(call, width)
    monkeypatch.delenv("COLUMNS")
    words(call)
    conforms(call)


def fits(call: str, width: int) -> None:
    end = here(*shlex.split(call))
    assert (end.code, end.err) == (0, "")
    assert not [line for line in end.out.splitlines() if len(line) > width]
    assert not re.search(r"\S…", end.out) and "\x1b" not in end.out  # nothing is cut off
    assert " \n" not in end.out


@pytest.mark.usefixtures("files_at_hand", "answered_once")
@pytest.mark.parametrize("call", PICTURES)
def test_no_picture_is_wider_than_the_terminal_and_plain_is_words(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    for width in (40, 80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        end = here(*shlex.split(call), "--plot", "-")
        assert (end.code, end.err) == (0, "")
        lines = end.out.splitlines()
        assert len(lines) > 3 and max(map(len, lines)) <= width and "\x1b" not in end.out and " \n" not in end.out
    monkeypatch.delenv("COLUMNS")
    words(f"{call} --plot -")


def test_columns_without_room_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {}
    for width in (80, 300):
        monkeypatch.setenv("COLUMNS", str(width))
        said[width] = here("chinchilla", "--compute", "1e21").out
    header = next(line for line in said[300].splitlines() if line.startswith("law "))
    every = re.split(r"  +", header.strip())
    narrow = next(line for line in said[80].splitlines() if line.startswith("law "))
    missing = [name for name in every if name not in re.split(r"  +", narrow.strip())]
    named = said[80].partition("80 columns have no room for: ")[2].partition("(")[0]
    assert missing and all(name in named for name in missing) and "no room for" not in said[300]


# --- words ----------------------------------------------------------------------------------------------------------


def words(call: str) -> None:
    """Letters, digits and punctuation; no number with a unit in letters; nothing that is lined up."""
    end = here(*shlex.split(call), "--plain")
    assert (end.code, end.err) == (0, "")
    if "--emit" in call:
        assert end.out == here(*shlex.split(call)).out  # a file for another program, whose lines are not words
        return
    strange = {c for c in end.out if not c.isascii() and unicodedata.category(c)[0] != "L"}
    assert not strange and "\x1b" not in end.out and "  " not in end.out.replace("\n", "")
    figures = "\n".join(line for line in end.out.splitlines() if not line.startswith("Note: "))
    assert not re.search(r"\d ?(%|[kMGTP]i?B\b|ms\b|µs\b|×)|\d\.\d+ [TBMk]\b|\de[+-]\d", figures)


def test_one_fact_a_line() -> None:
    lines = here("params", "gpt3", "--plain").out.splitlines()
    assert lines[0].startswith("GPT-3 175B, ") and lines[1].startswith("Answer: 174,604,259,328 parameters")
    assert "174.6 billion" in lines[1] and "349.2 gigabytes (325.2 gibibytes) in bf16" in lines[1]
    four = 96 * 4 * (12_288**2 + 12_288)  # square matrices and their biases, in 96 layers
    assert f"attention: {four:,} parameters, 33.21 percent" in lines
    assert "total: 174,604,259,328 parameters, 100.00 percent" in lines
    every = here("params", "gpt3", "--plain", "--detail").out.splitlines()
    assert every[:2] == lines[:2] and "embedding.tokens: 617,558,016 parameters, 0.35 percent" in every
    # Two experts' copies of 32,768 tokens of 4,096 numbers of two bytes, there and back, in 32 layers.
    traffic = f"exactly {32_768 * 2 * 4_096 * 2 * 2 * 32:,} bytes"
    lines = here("moe", "mixtral-8x7b", "--plain").out.splitlines()
    assert f"all-to-all per forward pass: 34.36 gigabytes, 32.00 gibibytes, {traffic}" in lines


def test_a_sweep_in_words() -> None:
    assert here("sweep", "params", "gpt2", "gpt3", "--plain").out.splitlines()[0].startswith("gpt2: total 124.4 million, ")


def test_llmcx_plain_makes_it_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = here("flops", "gpt2", "--plain").out
    json = here("flops", "gpt2", "--json").out
    table = here("flops", "gpt2").out
    monkeypatch.setenv("LLMCX_PLAIN", "1")
    assert here("flops", "gpt2").out == asked != table
    assert here("flops", "gpt2", "--json").out == json  # a machine's format is not spoken
    monkeypatch.setenv("LLMCX_PLAIN", "0")
    assert here("flops", "gpt2").out == table


@pytest.mark.parametrize(
    ("package", "call", "refused"),
    [
        ("matplotlib", "params gpt2 --plot a.svg", "a picture in a file needs matplotlib: pip install 'llmcx[plot]'"),
        ("plotext", "flops gpt2 --plot -", "curves in the terminal need plotext: pip install 'llmcx[plot]'"),
    ],
)
def test_without_the_extra(tmp_path: Path, package: str, call: str, refused: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        f"u.find_spec = lambda name, *more: None if name == {package!r} else find(name, *more)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    process = subprocess.run([LLMCX, *call.split()], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (2, "", f"llmcx: {refused}\n")


# --- a real terminal, real pipes ------------------------------------------------------------------------------------

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def terminal(command: str, width: int = 80, **environment: Any) -> str:
    """What a shell's command writes to a terminal of ``width`` columns."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "LLMCX_PLAIN", "FORCE_COLOR")}
    process = subprocess.Popen(
        ["sh", "-c", command.replace("llmcx", shlex.quote(LLMCX))],
        stdin=child,
        stdout=child,
        stderr=child,
        env={**clean, "TERM": "xterm-256color", **environment},
        start_new_session=True,
    )
    os.close(child)
    out = until_closed(parent)
    assert process.wait() == 0
    return out.decode().replace("\r\n", "\n")


def widest(text: str) -> int:
    return max(len(line) for line in ESCAPE.sub("", text).splitlines())


PLOT = "llmcx flops llama-3-8b --plot -"


def test_colours_in_a_terminal_that_takes_them() -> None:
    assert COLOUR.search(terminal(PLOT))


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"NO_COLOR": "false"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("call", [PLOT, "llmcx params gpt2"])
def test_no_colours_in_one_that_does_not(call: str, environment: dict[str, Any]) -> None:
    """And without them the picture is the same. Bold is allowed: no-color.org speaks of colour."""
    out = terminal(call, **environment)
    assert not COLOUR.search(out)
    assert ESCAPE.sub("", out) == ESCAPE.sub("", terminal(call))
    if "TERM" in environment:
        assert "\x1b" not in out


def test_an_empty_no_color_is_none() -> None:
    """no-color.org: "when present and not an empty string"."""
    assert COLOUR.search(terminal(PLOT, NO_COLOR=""))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_as_wide_as_the_terminal(width: int) -> None:
    out = terminal(PLOT, width)
    assert min(width, 160) - 2 <= widest(out) <= width
    assert widest(terminal("llmcx params deepseek-v3", width)) <= width


def test_columns_overrule_the_terminal_and_hold_in_pipes() -> None:
    narrow = ESCAPE.sub("", terminal(PLOT, 80, COLUMNS="50"))
    assert widest(narrow) <= 50
    for seed in (0, 2):  # numbers on an axis that are left out do not go by chance
        assert terminal(PLOT + " | cat", 200, COLUMNS="50", PYTHONHASHSEED=str(seed)) == narrow
    assert ESCAPE.sub("", terminal(PLOT, 70, COLUMNS="nonsense")) == ESCAPE.sub("", terminal(PLOT, 70))


@pytest.mark.parametrize("pipe", ["cat", "tee /dev/null", "head -100", "less -FX"])
def test_pipes_get_text(pipe: str) -> None:
    """As wide as the terminal at their end, without one escape of ours."""
    out = terminal(f"{PLOT} | {pipe}", 100)
    ours = out if "less" not in pipe else re.sub(r"\x1b\[\??[0-9;]*[a-zA-Z]|\x1b[=>]|\r", "", out)
    assert "\x1b" not in ours and 98 <= widest(ours) <= 100


def test_head_ends_it_silently() -> None:
    assert terminal("llmcx catalog models | head -1").count("\n") == 1


def test_a_terminal_of_ascii_gets_ascii() -> None:
    plain: dict[str, Any] = {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    assert terminal("llmcx params gpt2 --plot -", **plain).splitlines()[5].endswith("  #########")
    lines = terminal(PLOT, **plain).splitlines()
    assert all(line.isascii() and "\\" not in line for line in lines)
    ends = [end[1] for end in (re.search(r".[|+](?: (\w.*))?$", line) for line in lines) if end]
    assert len(ends) > 18 and [end for end in ends if end] == ["total", "attention, n^2 d", "matrices, n d^2"]
    assert any(re.fullmatch(r" +\+[-+]{56,}", line) for line in lines)  # 80 columns less the names and the numbers
    assert all(line.isascii() for line in terminal("llmcx memory llama-3-8b", **plain).splitlines() if "WWW" in line)
