"""Bad input gets one sentence, exit 2, nothing on stdout, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmcx import cli

GOOD: dict[str, Any] = {
    "name": "x",
    "d_model": 64,
    "embedding": {"vocab": 100},
    "decoder": [
        {
            "repeat": 2,
            "mixer": {"type": "attention", "n_heads": 4, "core": {"type": "local", "window": 8}},
            "ffn": {"type": "moe", "n_experts": 4, "top_k": 2, "expert": {"type": "gated", "d_ff": 96}},
        }
    ],
}


class Run:
    """llmcx in this process, through its real entry point."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *args: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["llmcx", *args])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = self.capsys.readouterr()
        return int(end.value.code or 0), out, err

    def refused(self, *args: str) -> str:
        code, out, err = self(*args)
        assert (code, out) == (2, ""), (code, out, err)
        assert err.startswith("llmcx: ") and err.count("\n") == 1 and len(err) < 500, err
        return err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("params", "--preset"),
        ("params --preset gpt33", "did you mean gpt3"),
        ("params --preset ../../etc/passwd", "is not known"),
        ("parms", "Did you mean 'params'"),
        ("params --prest gpt3", "--preset"),
        ("params --preset gpt3 --config x.yaml", "two model sources"),
        ("params --config - --config -", "read only once"),
        ("params --preset gpt3 --heads 7", "not divisible"),
        ("params --preset gpt3 --kv-heads 5", "not divisible"),
        ("params --preset gpt3 --layers -3", "--layers is '-3'"),
        ("params --preset gpt3 --layers 0", "at least 1"),
        ("params --preset gpt3 --layers abc", "whole number"),
        ("params --preset gpt3 --layers 1.5", "not a whole number"),
        ("params --preset gpt3 --layers 1e400", "10^36"),
        ("params --preset gpt3 --layers NaN", "whole number"),
        ("params --preset gpt3 --layers ٣", "whole number"),
        ("params --preset gpt3 --layers 1,,2", "empty entry"),
        ("params --preset gpt3 --layers 1e20", "between 1 and 10^15"),
        ("params --preset mixtral-8x7b --top-k 9", "only 8 experts"),
        ("params --preset gpt3 --experts 8", "--top-k"),
        ("params --preset gpt3 --attention lokal:w=3", "did you mean local"),
        ("params --preset gpt3 --attention local", "needs a value for window"),
        ("params --preset gpt3 --attention local:w=x", "whole number"),
        ("params --preset gpt3 --attention local:v=3", "not known"),
        ("params --preset gpt3 --attention flash --window 8", "give one"),
        ("params --preset switch-c --layers 3", "layer groups"),
        ("params --preset gpt3 --dtype fp7", "did you mean"),
        ("params --preset gpt3 --format xml", "known: csv"),
        ("params --preset gpt3 --norm batchnorm", "layernorm or rmsnorm"),
        ("params --layers 2 --d-model 64", "--vocab"),
        ("params --preset gpt3 --as llama", "--config"),
        ("flops --preset gpt3 --seq 4096", "learned positions for only 2048"),
        ("flops --preset gpt3 --seq 0", "between 1"),
        ("flops --preset gpt3 --convention mac", "macs"),
        ("flops --preset gpt3 --batch 1e400", "10^36"),
        ("memory --preset gpt3 --budget 80", "unit"),
        ("memory --preset gpt3 --budget 80G", "unit"),
        ("memory --preset gpt3 --train --optimizer adm", "did you mean adam"),
        ("memory --preset gpt3 --train --zero 4", "0, 1, 2 or 3"),
        ("memory --preset gpt3 --train --checkpoint-every 97", "96 layers"),
        ("memory --preset gpt3 --checkpoint-every 8", "--train"),
        ("attention-compare --preset gpt3 --variant strided:k=0", "between 1"),
        ("moe --preset gpt3", "no mixture-of-experts"),
        ("moe --preset mixtral-8x7b --capacity-factor nan", "positive"),
        ("moe --preset mixtral-8x7b --capacity-factor x", "capacity-factor"),
        ("chinchilla", "exactly one"),
        ("chinchilla --compute 1e21 --params 1B", "exactly one"),
        ("chinchilla --compute 1e21 --law hofmann-1", "did you mean hoffmann-1"),
        ("chinchilla --gpu-hours 1M --mfu 1.5", "mfu"),
        ("bounds --base 3", "not known"),
        ("shapes", "--params"),
        ("presets show gtp2", "did you mean gpt2"),
        ("presets validate nowhere.yaml", "No such file"),
        ("params --weights nowhere.safetensors", "does not exist"),
    ],
)
def test_bad_call(run: Run, args: str, words: str) -> None:
    assert words in run.refused(*args.split(" "))


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    """GOOD with one value replaced, or with ``...`` removed."""
    data: dict[str, Any] = json.loads(json.dumps(GOOD))
    here: Any = data
    for step in path[:-1]:
        here = here[step]
    if value is ...:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return data


GROUP = ["decoder", 0]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["d_modle"], 64, "did you mean d_model"),
        (["embedding", "vocabulary"], 64, "did you mean vocab"),
        ([*GROUP, "repeats"], 2, "did you mean repeat"),
        ([*GROUP, "mixer", "n_headz"], 4, "did you mean n_heads"),
        ([*GROUP, "mixer", "core", "windw"], 4, "did you mean window"),
        ([*GROUP, "ffn", "experts"], 4, "n_experts"),
        ([*GROUP, "ffn", "expert", "dff"], 4, "did you mean d_ff"),
        ([*GROUP, "mixer", "type"], "atention", "did you mean attention"),
        ([*GROUP, "ffn", "type"], ..., "decoder[0].ffn.type is missing"),
        ([*GROUP, "ffn", "expert", "type"], "moe", "is not known"),
        (["d_model"], "64", "d_model is '64'"),
        (["d_model"], 64.0, "d_model is 64.0"),
        (["d_model"], True, "d_model is True"),
        (["d_model"], None, "d_model is None"),
        (["d_model"], [64], "d_model is"),
        (["d_model"], 0, "d_model is 0"),
        (["d_model"], -64, "d_model is -64"),
        (["d_model"], 10**16, "d_model is 10000000000000000"),
        (["d_model"], ..., "d_model is missing"),
        (["d_model"], float("nan"), "d_model is nan"),
        (["d_model"], float("inf"), "d_model is inf"),
        (["d_model"], 66, "not divisible by n_heads 4"),
        (["decoder"], ..., "needs layers"),
        (["decoder"], {}, "must be a list"),
        (["decoder"], [], "needs layers"),
        (["embedding"], 100, "must be a mapping"),
        ([*GROUP, "ffn", "top_k"], 5, "only 4 experts"),
        ([*GROUP, "ffn", "expert", "activation"], "swish2", "activation"),
        (["name"], 5, "name is 5"),
        (["aliases"], "a", "aliases"),
    ],
)
def test_bad_file(run: Run, tmp_path: Path, path: list[Any], value: Any, words: str) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)), encoding="utf-8")
    said = run.refused("params", "--config", str(file))
    assert words in said and str(file) in said


def test_the_good_file_is_good(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    assert run("params", "--config", str(file))[0] == 0
    assert run("presets", "validate", str(file))[0] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"\x7fELF\x00\x01\x02\xff\xfe", "not text"),
        (b"name: x\x00\n", "binary"),
        ("name: x".encode("utf-16"), "not text"),
        (b"- 1\n- 2\n", "list"),
        (b"42\n", "int"),
        (b"a: 1\n---\nb: 2\n", "another document"),
        (b"name: [1\n", "not valid YAML at line"),
        (b"a: &x [1]\nb: [*x, *x]\n", "alias"),
        (b"!!python/object/apply:os.system ['echo hi > pwned']\n", "constructor"),
        (b"name: x\nname: y\n", "'name' twice"),
        (b'{"name": "x", "name": "y"}', "'name' twice"),
        (b"[" * 10_000 + b"]" * 10_000, "levels"),
        (b'{"a": ' * 10_000 + b"1" + b"}" * 10_000, "levels"),
        (b'{"d_model": NaN}', "NaN"),
        (b'{"d_model": -Infinity}', "Infinity"),
        (b'{"name": "x", "d_model": ' + b"9" * 5000 + b"}", "not a number that a model can have"),
        (b"name: x\nd_model: " + b"9" * 5000 + b"\n", "not valid YAML"),
        (b'{"name": "x", "d_model": "\\u001b[31mred\\n", "embedding": {"vocab": 1}}', "d_model is"),
        (b"a: 1\n" * 60_000, "values"),
    ],
)
def test_hostile_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_bytes(content)
    assert words in run.refused("params", "--config", "model.yaml")
    assert not Path("pwned").exists()


def test_a_gigabyte_is_not_read(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    with file.open("wb") as big:
        big.truncate(1 << 30)
    start = time.perf_counter()
    assert "larger than 1 MiB" in run.refused("params", "--config", str(file))
    assert time.perf_counter() - start < 2


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs a Unix device")
def test_devices_and_directories(run: Run, tmp_path: Path) -> None:
    assert "larger" in run.refused("params", "--config", "/dev/zero")
    assert "empty" in run.refused("params", "--config", "/dev/null")
    assert "directory" in run.refused("params", "--config", str(tmp_path))
    assert "Not a directory" in run.refused("params", "--config", "/dev/null/x")


def test_json_errors(run: Run) -> None:
    code, out, err = run("params", "--preset", "gpt33", "--json")
    error = json.loads(err)["error"]
    assert (code, out) == (2, "") and error["field"] == "preset" and error["value"] == "gpt33" and "gpt3" in error["nearest"]


def test_preset_beside_all_shape_flags_is_fine_and_the_flags_win(run: Run) -> None:
    args = "--preset gpt3 --layers 2 --d-model 64 --heads 4 --d-ff 256 --vocab 100 --positions 16 --json"
    code, out, _ = run("params", *args.split())
    # 2 layers x (4 d² + 4 d biases + 8 d² + 5 d biases + 4 d norms) + (100 + 16) d + 2 d
    assert code == 0 and json.loads(out)["result"]["total"] == 2 * (12 * 64**2 + 13 * 64) + 116 * 64 + 2 * 64


SHELL = [
    ("llmcx presets list | head -1", 141, "preset"),
    ("llmcx presets list > /dev/full", 2, ""),
    ("llmcx presets list >&-", 2, ""),
]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
@pytest.mark.parametrize(("command", "code", "starts"), SHELL)
def test_broken_stdout(command: str, code: int, starts: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    # A reader that leaves early ends the writer by SIGPIPE, unless everything was written before.
    assert done.returncode in {code, 0 if code == 141 else code} and done.stdout.startswith(starts)
    assert "Traceback" not in done.stderr and done.stderr.count("\n") <= 1


def test_interrupt_is_silent() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "llmcx", "params", "--config", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.5)  # it is waiting for stdin by then
    process.send_signal(2)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and not out and "Traceback" not in err
