"""llmcx check --all: the launch lines of a repository's llmcx.toml, what changed since, and why."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcx.catalog.budget import parsed
from llmcx.errors import InputError
from tests.helpers import Ended, here, refused, refused_in_json

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = ("model", "hardware", "budget", "prompt", "output", "batch", "dtype", "require")
CHAT = '[check.chat]\nline = "vllm serve Qwen/Qwen3-8B --max-model-len {length}"\nhardware = "h100"\n'


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of one's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "llmcx.toml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


def budget(*args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(here("check", "--all", *args, "--json").out)["result"]
    return found


def test_an_entry_is_its_lines_answer(at: Path) -> None:
    write(at, CHAT.format(length="8k") + "prompt = '2k'\noutput = 512\nbatch = 8\nrequire = 'users>=8'\n")
    [entry] = budget()["entries"]
    line = (
        "vllm serve Qwen/Qwen3-8B --max-model-len 8k",
        "--hardware",
        "h100",
        "--prompt",
        "2k",
        "--output",
        "512",
        "--batch",
        "8",
    )
    alone = json.loads(here("check", *line, "--json").out)["result"]
    for name in ("fits", "total_bytes", "budget_bytes", "users", "cache_tokens", "parts"):
        assert entry[name] == alone[name], name
    assert entry["tpot_s"] == alone["estimate"][0]["tpot_s"] and entry["met"] is True and entry["require"] == "users>=8"


def test_how_it_ends(at: Path) -> None:
    def ended(text: str, *args: str) -> Ended:
        write(at, text)
        return here("check", "--all", *args)

    fits = CHAT.format(length="8k")
    assert ended(fits).code == 0
    assert (
        ended(fits + '[check.large]\nline = "vllm serve Qwen/Qwen3-32B"\nhardware = "h100"\n').code == 1
    )  # "fits" where nothing is said
    assert ended(fits, "--require", "tpot<1us").code == 1
    assert ended(fits + "require = 'tpot<1us'\n", "--require", "fits").code == 0  # options beside it come first
    assert ended(fits + "require = 'fast'\n").code == 2
    assert ended(fits.replace("--max", "--mxa")).code == 2


def test_a_file_of_an_entry_lies_beside_the_budget(at: Path) -> None:
    (at / "deploy").mkdir()
    (at / "deploy" / "run.sh").write_bytes(b"#!/bin/sh\r\nvllm serve Qwen/Qwen3-8B \\\r\n  --max-model-len 8192\r\n")
    body = b"\xef\xbb\xbf[defaults]\r\nhardware = 'h100'\r\n[check.\"chat, one\"]\r\nfile = 'run.sh'\r\n"
    (at / "deploy" / "llmcx.toml").write_bytes(body)
    [entry] = budget("--file", "deploy/llmcx.toml")["entries"]
    assert entry["fits"] and entry["name"] == "chat, one" and entry["asked"]["seq"] == 8192


def test_what_changed_and_why(at: Path) -> None:
    """Qwen3 8B: 36 layers · 2 · 8 heads · 128 numbers of 2 bytes are 147,456 B a token; 8,000 tokens more, in blocks of 16."""
    write(at, CHAT.format(length="8k") + '[check.gone]\nline = "vllm serve Qwen/Qwen3-4B"\nhardware = "h100"\n', "old.toml")
    (at / "old.json").write_text(here("check", "--all", "--file", "old.toml", "--json").out, encoding="utf-8")
    write(at, CHAT.format(length="16k") + '[check.new]\nline = "vllm serve Qwen/Qwen3-0.6B"\nhardware = "h100"\n')
    by_file, by_answer = (budget("--against", name)["changed"] for name in ("old.toml", "old.json"))
    assert by_file == by_answer
    changed = {each["name"]: each for each in by_answer}
    assert {name: each["what"] for name, each in changed.items()} == {"chat": "changed", "new": "added", "gone": "removed"}
    chat = changed["chat"]
    assert chat["inputs"] == [{"path": "seq", "a": 8000, "b": 16000}]
    figures = {each["figure"]: each["change"] for each in chat["figures"]}
    [cause] = chat["why"]["causes"]
    assert cause["component"] == "kv_cache" and cause["change"] == 8000 * 147_456 == figures["total_bytes"]
    assert figures["headroom_bytes"] == -figures["total_bytes"] and "tpot_s" not in figures
    assert budget("--against", "llmcx.toml")["changed"] == []


def test_the_comment_says_so(at: Path) -> None:
    write(at, CHAT.format(length="8k"), "old.toml")
    write(at, CHAT.format(length="8k").replace("Qwen3-8B", "Qwen3-32B"))
    end = here("check", "--all", "--against", "old.toml", "--format", "markdown")
    assert end.code == 0
    for words in (
        "1 launch line of llmcx.toml",
        "**What changed**",
        "**Why**",
        "| chat | model | qwen3-8b | qwen3-32b |",
        "| chat | weights |",
    ):
        assert words in end.out, words
    write(at, CHAT.format(length="40k").replace("Qwen3-8B", "Qwen3-32B"))
    end = here("check", "--all", "--against", "old.toml", "--format", "markdown")
    assert end.code == 1 and "now does not meet what is required" in end.out and "--kv-cache-dtype fp8" in end.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "[check.NAME]"),
        ("[check]\n", "[check.NAME]"),
        ("check = 1", "table"),
        ("[chek.a]\nline = 'x'", "did you mean check"),
        ("[check.a]\nline = 'x'\nhardwar = 'h100'", "did you mean hardware"),
        ("[defaults]\nline = 'x'\n[check.a]\nline = 'x'", "'line' is not known"),
        ("[check.a]\nhardware = 'h100'", "neither line nor file"),
        ("[check.a]\nline = 'x'\nfile = 'y'", "both"),
        ("[check.a]\nline = 1", "text"),
        ("[check.a]\nline = ''", "empty"),
        ("[check.a]\nline = '-'", "stdin"),
        ("[check.a]\nfile = 'nowhere.sh'", "not there"),
        ("[check.a]\nline = 'x'\nbatch = true", "number"),
        ("[check.a]\nline = 'x'\nprompt = 1979-05-27", "number"),
        ("[check.a]\nline = 'vllm serve Qwen/Qwen3-8B'\nhardware = 'h100'\nbatch = 'many'", "a: "),
        ("[check.a]\nline = 'vllm serve Qwen/Qwen3-8B'\nhardware = 'h100'\nbatch = '1,2'", "2 values"),
        ("[check.a]\nline = 'vllm serve Qwen/Qwen3-8B'\nhardware = 'h100'\nbatch = nan", "whole number"),
        ("[check.a]\nline = 'vllm serve Qwen/Qwen3-8B'\nhardware = 'h101'", "h100"),
        ("[check.a]\nline = 'vllm serve Qwen/Qwen3-8B'", "hardware"),
        ("[check.a\n", "no TOML"),
        ("a = " + "[" * 9000, "TOML"),
    ],
)
def test_a_bad_file_gets_one_sentence(at: Path, text: str, words: str) -> None:
    write(at, text)
    assert words in refused("check", "--all")


def test_what_stands_beside_all(at: Path) -> None:
    assert "--file" in refused("check", "--all")
    write(at, CHAT.format(length="8k"))
    assert refused_in_json("check", "vllm serve x", "--all")["field"] == "all"
    assert "--all" in refused("check")
    assert "--all" in refused("check", "vllm serve Qwen/Qwen3-8B", "--hardware", "h100", "--file", "llmcx.toml")
    for text in (
        "{}",
        "{",
        '{"schema": "llmcx.check/2", "result": {"entries": [{}]}}',
        '{"schema": 1}',
        "[" * 9000,
        '{"a":' * 9000,
    ):
        write(at, text, "old.json")
        assert refused_in_json("check", "--all", "--against", "old.json")["field"] in ("against", "file")
    assert refused_in_json("check", "--all", "--against", "none.json")["field"] == "against"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        assert parsed(raw, "llmcx.toml", OPTIONS)
    except InputError as error:
        assert "\n" not in error.message


KEYS = st.sampled_from(["line", "file", "hardware", "batch", "prompt", "require", "model", "budget", "hardwar", ""])
VALUES: Any = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=9), st.lists(st.integers(), max_size=2))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_entry_is_read_or_refused(entry: dict[str, Any]) -> None:
    def toml(value: Any) -> str:
        return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")

    body = "[check.a]\n" + "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in entry.items())
    try:
        parsed(body.encode("utf-8", "surrogatepass"), "llmcx.toml", OPTIONS)
    except InputError as error:
        assert "\n" not in error.message


SAID = st.sampled_from(["h100", "2xh100", "8k", "fp8", "qwen3-8b", "fits", "users>1", "40ms", "1,2", "-1", "\x00"])


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(OPTIONS), st.one_of(VALUES, SAID), max_size=3), st.booleans())
def test_any_options_of_a_line_are_answered_or_refused(at: Path, options: dict[str, Any], placed: bool) -> None:
    entry = {"line": "vllm serve Qwen/Qwen3-8B --max-model-len 4096", **({"hardware": "h100"} if placed else {}), **options}
    rows = (f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    write(at, "[check.a]\n" + "".join(rows).replace("NaN", "nan").replace("Infinity", "inf"))
    end = here("check", "--all", "--json")
    assert end.code in (0, 1, 2) and "bug" not in end.err and end.err.count("\n") <= 1, end


# --- docs/ci.md -----------------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The one block of that language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return str(found)


def test_the_files_on_the_page_are_read(at: Path) -> None:
    (at / "deploy").mkdir()
    (at / "deploy" / "code.sh").write_text("vllm serve mine/coder -tp 2 --max-model-len 4096\n", encoding="utf-8")
    (at / "models" / "code").mkdir(parents=True)
    (at / "models" / "code" / "config.json").write_bytes((ROOT / "docs" / "config.json").read_bytes())
    write(at, block("toml"))
    assert [entry["name"] for entry in budget("--require", "fits", "--prompt", "1k", "--batch", "1")["entries"]] == [
        "chat",
        "code",
    ]


@pytest.mark.skipif(os.name == "nt" or not shutil.which("bash"), reason="the workflow's steps are bash")
def test_the_workflow_on_the_page(at: Path) -> None:
    """Its actions are pinned, it asks for no secret, and the step that checks writes the comment and the exit code."""
    job = yaml.safe_load(block("yaml"))
    steps = job["jobs"]["check"]["steps"]
    pinned = [step["uses"] for step in steps if "uses" in step]
    assert len(pinned) == 3 and all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", use) for use in pinned)
    assert "secrets" not in block("yaml") and job["permissions"] == {"contents": "read", "pull-requests": "write"}
    [script] = [step["run"] for step in steps if step.get("id") == "check"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for before, require, code in (("8k", "fits", "0"), (None, "tpot<1us", "1")):
        if before:
            (at / "base").mkdir()
            write(at / "base", CHAT.format(length=before))
        else:
            shutil.rmtree(at / "base")
        write(at, CHAT.format(length="16k") + f"require = '{require}'\n")
        written = {"GITHUB_OUTPUT": str(at / "output"), "GITHUB_STEP_SUMMARY": str(at / "summary")}
        (at / "output").unlink(missing_ok=True)
        subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            check=True,
            env={**os.environ, "PATH": path, **written},
            stdout=subprocess.PIPE,
        )
        assert (at / "output").read_text() == f"code={code}\n"
        comment = (at / "comment.md").read_text(encoding="utf-8")
        assert ("What changed" in comment) == bool(before) and "| chat |" in comment
