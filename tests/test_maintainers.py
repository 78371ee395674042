"""docs/maintainers.md: the way of one number through the rooms, and the files that it shows.

`python tests/test_maintainers.py COMMAND...` prints the way that another command takes.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

import pytest

from llmcx.engines import ENGINES
from tests.helpers import data, here, refused

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/maintainers.md").read_text(encoding="utf-8")
COMMAND = ["memory", "llama-3-8b", "--engine", "vllm", "--seq", "8k"]


class Step(NamedTuple):
    file: str
    function: str
    says: str


def steps() -> list[Step]:
    """The rows of the page's table."""
    return [Step(*row) for row in re.findall(r"^\| \d+ \| `([^`]+)` \| `([^`]+)` \| (.+) \|$", PAGE, re.M)]


def code(step: Step) -> CodeType:
    """The code of the function that a row names."""
    module = import_module("llmcx." + step.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    found: Any = module
    for name in step.function.split("."):
        found = inspect.getattr_static(found, name)
    found = getattr(found, "fget", None) or getattr(found, "func", None) or found  # a property
    return inspect.unwrap(found).__code__


class Trace:
    """Functions of llmcx in the order in which they were first entered, and what they returned."""

    def __init__(self) -> None:
        self.entered: dict[CodeType, set[str]] = {}

    def __call__(self, frame: FrameType, event: str, value: object) -> None:
        if "/llmcx/" not in frame.f_code.co_filename.replace("\\", "/"):
            return
        if event == "call":
            self.entered.setdefault(frame.f_code, set())
        elif event == "return" and len(seen := self.entered.setdefault(frame.f_code, set())) < 50:
            seen.add(repr(value) if isinstance(value, (int, str, dict)) else "")


def test_the_way_of_a_number() -> None:
    """In a process of its own: what an earlier command remembers would not be entered again."""
    assert " ".join(COMMAND) in PAGE
    listed = steps()
    assert [int(number) for number in re.findall(r"^\| (\d+) \| `", PAGE, re.M)] == list(range(1, len(listed) + 1))
    codes = [code(step) for step in listed]  # each exists
    ran = subprocess.run([sys.executable, __file__, "--json", *COMMAND], capture_output=True, text=True, check=True, cwd=ROOT)
    entered = {(Path(file), line): returned for file, line, returned in map(json.loads, ran.stderr.splitlines())}
    order = list(entered)
    keys = [(Path(one.co_filename), one.co_firstlineno) for one in codes]
    for step, key in zip(listed, keys, strict=True):
        assert key in entered, step
        for said in re.findall(r"`(\d{3,}|'[^`]+'|\{'[^`]+\})`", step.says):
            assert said in entered[key], (step, entered[key])
    places = [order.index(key) for key in keys]
    assert places == sorted(places), [step.function for _, step in sorted(zip(places, listed, strict=True))]


def block(language: str) -> str:
    [text] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return str(text)


def test_the_accelerator(tmp_path: Path) -> None:
    """Its file is read, shown, and bounds a time: 7.505 B weights of 2 bytes, all but the token table, at 2,000 GB/s."""
    file = tmp_path / "example-x1.yaml"
    file.write_text(block("yaml"), encoding="utf-8")
    shown = here("catalog", "show", str(file))
    assert shown.code == 0 and "Example X1 datasheet (2026)" in shown.out
    asked = ("serve", "llama-3-8b", "--hardware", str(file), "--prompt", "1", "--output", "1", "--batch", "1")
    assert 7.505e-3 <= data(*asked)["result"]["ideal"][0]["tpot_s"] < 7.52e-3


def test_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 tokens take two slots of 512, of 131,072 bytes a token, for each of three sequences."""
    module = ModuleType("llmcx.engines.slots")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(block("python"), "docs/maintainers.md", "exec"), module.__dict__)
    monkeypatch.setitem(ENGINES, "slots", "slots:Slots")
    answer = data("memory", "llama-3-8b", "--engine", "slots", "--seq", "1000", "--batch", "3", "--hardware", "h100")["result"]
    parts = {part["part"]: part["bytes"] for part in answer["parts"]}
    assert (parts["kv_cache"], parts["overhead"]) == (3 * 2 * 512 * 131_072, 2**30)


def test_a_models_file_is_not_an_accelerators() -> None:
    assert "catalog validate" in refused("catalog", "show", str(ROOT / "presets/models/gpt2.yaml"))
    assert "catalog show" in refused("catalog", "validate", str(ROOT / "presets/hardware/h100.yaml"))
    assert len(refused("catalog", "show", "zzzqq")) < 200


def main() -> None:
    """The way of a command, on stderr, and its answer on stdout."""
    from llmcx import cli

    as_json = sys.argv[1:2] == ["--json"]
    sys.argv = ["llmcx", *(sys.argv[1 + as_json :] or COMMAND)]
    trace = Trace()
    sys.setprofile(trace)
    with suppress(SystemExit):
        cli.main()
    sys.setprofile(None)
    for one, returned in trace.entered.items():
        name, where = getattr(one, "co_qualname", one.co_name), one.co_filename
        if as_json:
            print(json.dumps([where, one.co_firstlineno, sorted(returned)]), file=sys.stderr)
        elif "<" not in name:
            print(f"{where.replace(chr(92), '/').rpartition('/llmcx/')[2]}:{one.co_firstlineno} {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
