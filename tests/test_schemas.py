"""The JSON Schemas: current, and true of what the commands print."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from llmcx import schemas
from llmcx.cli.man import commands
from llmcx.schemas.__main__ import RESULTS, files, read
from tests.helpers import here, strict

ROOT = Path(__file__).resolve().parent.parent
VALIDATORS = {name: Draft202012Validator(json.loads(schemas.text(name))) for name in schemas.names()}


def valid(text: str) -> None:
    """Every answer in ``text`` conforms to the schema that it names."""
    out = strict(text)
    name = out["schema"].removeprefix("llmcx.").partition("/")[0]
    problems = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in deepest(VALIDATORS[name], out)]
    assert not problems, problems


def deepest(validator: Draft202012Validator, out: Any) -> list[Any]:
    """Errors, those within the alternatives in place of "is not valid under any of the given schemas"."""
    found, todo = [], list(validator.iter_errors(out))
    while todo:
        error = todo.pop()
        todo += error.context or []
        found += [] if error.context else [error]
    return found


def examples() -> list[str]:
    """Every call in the help of every command and subcommand, up to a pipe or a redirection."""
    calls = []
    for _, command in commands():
        lines = (line.strip() for line in (command.help or "").splitlines())
        calls += [line for line in lines if line.startswith("llmcx ")]
    return list(dict.fromkeys(call.split(" | ")[0].split(" > ")[0].removeprefix("llmcx ") for call in calls))


EXAMPLES = examples()
# One of each kind of answer that the examples lack.
MORE = [
    "params gpt2 mixtral-8x7b",
    "memory llama-3-8b --train --tp 2 --pp 4 --gpus 8 --seq 2k",
    "moe deepseek-v3 --seq 4k --capacity-factor 1.25 --ep 64 --simulate 2",
    "train llama-3-8b --tokens 1T --gpus 64 --plan",
    "serve llama-3-8b --batch 4",
    "chinchilla mixtral-8x7b --tokens 1T",
    "chinchilla --params 13B --tokens 1T --law hoffmann-3 --law muennighoff --unique-tokens 1B --compare 1B --shape",
    "chinchilla fit runs.csv --bootstraps 0",
    "catalog show deepseek-v3",
    "catalog show gemma-3-27b",
    "explain leading-order gpt3",
]
SILENT = ("catalog path", "catalog from-config", "tools", "sweep")
"""Commands that write text, not one JSON document."""


def question(call: str) -> str:
    """A call without the form that it asks for."""
    return re.sub(r" --json| --plot -| --format \S+", "", call)


DRAWN = ("catalog show", *SILENT)
"""Commands that write a file's own text (of an accelerator: tables), or rows for machines."""
TABLES = list(
    dict.fromkeys(question(call) for call in [*EXAMPLES, *MORE] if not call.startswith(DRAWN) or call == "catalog show h100")
)
"""Calls whose answers test_terminal.py has drawn, and holds to their schemas while it has them."""


@pytest.fixture
def files_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pristine: Path) -> None:
    """The files that the examples name, in a directory of the test's own."""
    shutil.copytree(pristine, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Those files, written once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("pristine"))
        write_files()
        yield Path.cwd()


def write_files() -> None:
    config = (ROOT / "docs" / "config.json").read_text(encoding="utf-8")
    Path("config.json").write_text(config, encoding="utf-8")
    Path("vllm.log").write_text((ROOT / "docs" / "vllm.log").read_text(encoding="utf-8"), encoding="utf-8")
    Path("launch.sh").write_text("vllm serve Qwen/Qwen3-8B --max-model-len 8192", encoding="utf-8")
    Path("llmcx.toml").write_text("[check.chat]\nfile = 'launch.sh'\nhardware = 'h100'\n", encoding="utf-8")
    Path("main.json").write_text(here("check", "--all", "--json").out, encoding="utf-8")
    Path("my-model.yaml").write_text((ROOT / "docs" / "example.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    accelerator = (ROOT / "presets/hardware/h100.yaml").read_text(encoding="utf-8")
    Path("my-accelerator.yaml").write_text(accelerator.replace("name: h100", "name: mine"), encoding="utf-8")
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    Path("model-directory").mkdir()
    Path("model-directory/model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    Path("model-directory/config.json").write_text(config, encoding="utf-8")
    with Path("runs.csv").open("w", encoding="utf-8", newline="") as file:  # L = 2 + 400/N^0.33 + 400/D^0.28
        rows = [(n, d, 2 + 400 / n**0.33 + 400 / d**0.28) for n in (1e8, 3e8, 1e9) for d in (1e9, 1e10, 1e11)]
        csv.writer(file).writerows([("params", "tokens", "loss"), *rows])
    Path("mine.yaml").write_text(
        "name: mine\nform: power\nsource: me\nrange: {compute: [1.0e+18, 1.0e+25]}\n"
        "constants: {coefficient: 1.0e+9, compute: 1.0e+20, exponent: 0.5}\n",
        encoding="utf-8",
    )


SHOWN = {name: command.callback.question.shows for name, command in commands()} | {"explain": "explain"}
"""The schema of each command's answers; None of those that write for themselves."""


def test_there_is_one_for_every_command() -> None:
    assert set(SHOWN.values()) - {None} == set(RESULTS) == set(schemas.names()) - {"error"}
    themselves = {name for name, shows in SHOWN.items() if shows is None}
    silent = {name for name in SHOWN if name.startswith(SILENT)}
    assert themselves == silent | {"catalog show"}  # which shows an entry of catalog models, or of catalog hardware


def test_checked_in_schemas_are_current() -> None:
    """`python -m llmcx.schemas` writes them anew."""
    for name, text in files().items():
        assert json.loads((schemas.HERE / name).read_text(encoding="utf-8")) == json.loads(text), name


@pytest.mark.parametrize("name", schemas.names())
def test_each_is_a_schema_and_says_what_it_is(name: str) -> None:
    body = json.loads(schemas.text(name))
    Draft202012Validator.check_schema(body)
    assert body["$schema"] == "https://json-schema.org/draft/2020-12/schema" and body["title"] == f"llmcx.{name}/2"
    for title, part in body.get("$defs", {}).items():
        assert part["additionalProperties"] is False and part["description"], title


def conforms(call: str) -> None:
    """What is printed, formulas too, is as the schema says that it names."""
    listed = ("explain", "catalog models", "catalog hardware", "catalog show", "params --weights", "check")  # already, or none
    formulas = [] if call.startswith(listed) else ["--explain"]
    end = here(*shlex.split(question(call)), "--json", *formulas)
    assert (end.code, end.err) == (0, ""), end
    valid(end.out)


@pytest.mark.usefixtures("files_at_hand")
@pytest.mark.parametrize("call", [call for call in [*EXAMPLES, *MORE] if call.startswith("catalog show")])
def test_an_entry_conforms(call: str) -> None:
    conforms(call)


def test_every_schema_is_tried() -> None:
    tried = {shows for call in [*EXAMPLES, *MORE] for name, shows in SHOWN.items() if f"{call} ".startswith(f"{name} ")}
    assert set(RESULTS) <= tried


@pytest.mark.parametrize("call", ["params gtp3", "flops gpt3 --seq 0", "params --no-such-flag", "memory gpt3 --budget 1G"])
def test_refusals_conform(call: str) -> None:
    end = here(*call.split(), "--json")
    assert end.code == 2 and not end.out
    assert not deepest(VALIDATORS["error"], strict(end.err))


@pytest.mark.parametrize("call", ["params gpt2 --kv-heads 1,12", "flops gpt2 llama-3-8b --seq 64,128"])
def test_sweeps_lines_are_the_commands_answers(call: str) -> None:
    end = here("sweep", *call.split())
    lines = end.out.splitlines()
    assert end.code == 0 and len(lines) >= 2
    for line in lines:
        valid(line)


def test_a_new_or_a_missing_field_is_noticed() -> None:
    out = strict(here("params", "gpt2", "--json").out)
    out["result"]["new"] = 1
    assert any("'new' was unexpected" in error.message for error in deepest(VALIDATORS["params"], out))
    out["result"].pop("new")
    out["result"].pop("active")
    assert any("'active' is a required property" in error.message for error in deepest(VALIDATORS["params"], out))
    out["result"]["active"] = "124M"
    assert any("is not of type 'integer'" in error.message for error in deepest(VALIDATORS["params"], out))


class Row(NamedTuple):
    """A row."""

    name: str


@dataclass(frozen=True)
class Asked:
    """What was asked, and figures that are counted when they are first read."""

    seq: int

    @cached_property
    def rows(self) -> list[Row]:
        return [Row("a")]

    @cached_property
    def per_token(self) -> int | float:
        return 1.5


def test_cached_properties_are_the_fields_of_a_class_that_has_them() -> None:
    body = TypeAdapter(read(Asked)).json_schema(mode="serialization")
    assert list(body["properties"]) == body["required"] == ["rows", "per_token"] and body["additionalProperties"] is False
    assert body["properties"]["per_token"]["anyOf"] == [{"type": "integer"}, {"type": "number"}]
    assert body["$defs"]["Row"]["required"] == ["name"] and body["$defs"]["Row"]["type"] == "object"


def test_the_command_prints_the_file() -> None:
    end = here("tools", "schema", "flops")
    assert end.code == 0 and end.out == schemas.text("flops")
    assert here("tools", "schema").out.split() == schemas.names()
    end = here("tools", "schema", "flpos")
    assert end.code == 2 and "did you mean flops?" in end.err
