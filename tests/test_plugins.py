"""Plugins: the example of CONTRIBUTING.md, built, installed and used as it says there, and plugins that are wrong.

`python tests/test_plugins.py` rewrites the outputs in CONTRIBUTING.md.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.test_readme import BLOCK, run

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "CONTRIBUTING.md"
FILE = re.compile(r"^`([\w/.-]+\.\w+)` .*?^```\w+\n(.*?)^```", re.M | re.S)
"""A paragraph that begins with a file's name, and the file in the next block."""


def install(site: Path) -> Path:
    """The example, built from the guide's text and installed into ``site``."""
    source = site.parent / "source"
    for name, text in FILE.findall(GUIDE.read_text(encoding="utf-8")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return site


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("example") / "site")


def plugin(site: Path, name: str, entries: dict[str, dict[str, str]], files: dict[str, str]) -> Path:
    """A package as an installer would leave it in ``site``."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    text = "".join(
        f"[llmcx.{group}]\n" + "".join(f"{key} = {value}\n" for key, value in each.items()) for group, each in entries.items()
    )
    wanted = {info / "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", info / "entry_points.txt": text}
    for path, content in (wanted | {site / path: content for path, content in files.items()}).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return site


def llmcx(site: Path, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmcx", *args]
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    return subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment)


def answer(site: Path, *args: str, stdin: str = "") -> Any:
    return json.loads(llmcx(site, *args, "--json", stdin=stdin).stdout)


def refused(site: Path, *args: str, stdin: str = "") -> str:
    done = llmcx(site, *args, stdin=stdin)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1, done
    return done.stderr


def sessions() -> list[tuple[str, str]]:
    """The guide's console session: each command and what it prints."""
    chunks = [c for block in BLOCK.findall(GUIDE.read_text(encoding="utf-8")) for c in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [(command, output) for command, _, output in (chunk.partition("\n") for chunk in chunks)]


@pytest.mark.parametrize(("command", "expected"), [pytest.param(*each, id=each[0][:60]) for each in sessions()])
def test_the_guides_session(example: Path, monkeypatch: pytest.MonkeyPatch, command: str, expected: str) -> None:
    monkeypatch.setenv("PYTHONPATH", str(example))
    assert run(command) == expected.rstrip("\n") + "\n"


def test_the_guides_example_by_hand(example: Path) -> None:
    """Every number from its shape: d = 64, two layers, feed-forward 256, vocabulary 1000, 16 tokens."""
    counted = answer(example, "params", "averaging-tiny")["result"]
    gates, ffn = 128 * 128 + 128, 3 * 64 * 256
    assert counted["total"] == 1000 * 64 + 2 * (gates + ffn + 2 * 64) + 64 == 195_648
    done = answer(example, "flops", "averaging-tiny", "--seq", "16")["result"]
    assert done["forward"]["total"] == 2 * 16 * (2 * (128 * 128 + ffn) + 64 * 1000)
    n, inner = 16 * 64, 16 * 256  # numbers in the stream, in the feed-forward
    average = 2 * n + 4 * 2 * n + 2 * n + n  # scan, sigmoid of two gates, two products, a sum
    layer = 2 * 4 * n + average + 4 * inner + inner + 2 * n  # two RMS norms, mixer, SiLU and product, two residual sums
    assert done["elementwise"]["total"] == 2 * layer + 4 * n
    held = answer(example, "memory", "averaging-tiny", "--seq", "16")["result"]
    assert {part["part"]: part["bytes"] for part in held["parts"]}["state"] == 2 * 2 * 64  # layers x bf16 x d
    config = {"model_type": "averaging", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 256}
    config |= {"vocab_size": 1000, "hidden_act": "silu"}
    read = answer(example, "params", "-", stdin=json.dumps(config))
    assert read["result"]["total"] == 195_648
    assert "stdin: model_type averaging is read by the plugin llmcx-example 0.1, not by llmcx" in read["notes"]
    said = refused(example, "params", "-", stdin=json.dumps(config | {"n_gates": 3}))
    assert "n_gates = 3 is not understood for model_type 'averaging'" in said


def test_names_of_plugins_are_suggested_listed_and_completed(example: Path) -> None:
    assert "did you mean averaging-tiny, " in refused(example, "params", "averaging-tinny")
    assert "did you mean averaging" in refused(example, "params", "-", stdin='{"model_type": "averageing"}')
    model = {"name": "x", "d_model": 64, "embedding": {"vocab": 9}, "decoder": [{"repeat": 1, "mixer": {"type": "averaje"}}]}
    assert "did you mean average?" in refused(example, "params", "-", stdin=json.dumps(model))
    rows = answer(example, "catalog", "models")["result"]
    assert [row["total"] for row in rows if row["name"] == "averaging-tiny"] == [195_648]
    code = "from llmcx.catalog.presets import offered; print(*offered())"
    environment = {**os.environ, "PYTHONPATH": f"{example}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "averaging-tiny" in done.stdout.split()


def test_a_plugin_costs_nothing_until_it_is_needed(example: Path) -> None:
    """Neither the finder nor importlib.metadata is imported for a name that llmcx has."""
    code = (
        "import sys; from llmcx.cli import main; sys.argv[1:] = ['params', 'gpt3', '--json']\n"
        "try: main()\nfinally: print(sorted({'importlib.metadata', 'llmcx.plugins'} & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{example}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stderr == "[]\n" and '"total": 174604259328' in done.stdout


TINY = (ROOT / "docs" / "example.yaml").read_text(encoding="utf-8").replace("name: my-model\n", "name: {name}\n")
STATED = "title: T\nfamily: f\nyear: 2020\nsource: s\n"


def test_a_name_of_llmcx_cannot_be_taken(tmp_path: Path) -> None:
    entries = {"families": {"llama": "evil:read"}, "mixers": {"attention": "evil:Mixer"}, "presets": {"x": "evil_data"}}
    preset = STATED + TINY.replace("{name}", "gpt2")
    hardware = "{name: h100, title: H, vendor: v, year: 1, dense_tflops: {bf16: 1}, memory_gb: 1, memory_gb_per_s: 1, source: s}"
    files = {"evil.py": "raise RuntimeError('imported')\n", "evil_data/models/gpt2.yaml": preset}
    files |= {"evil_data/models/gpt3.yaml": preset, "evil_data/hardware/h100.yaml": hardware}
    site = plugin(tmp_path, "evil", entries, files)
    for name, total in (("gpt2", 124_439_808), ("gpt3", 174_604_259_328)):  # a name, an alias
        assert answer(site, "params", name)["result"]["total"] == total
    config = '{"model_type": "llama", "hidden_size": 64}'
    assert llmcx(site, "params", "-", stdin=config).returncode == 0
    assert answer(site, "catalog", "show", "h100")["result"]["memory_gb"] == 80
    notes = answer(site, "catalog", "models")["notes"]
    assert {f"{name} of the plugin evil 1.0 is passed over: the name is llmcx's own" for name in ("gpt2", "gpt3")} <= set(notes)
    assert "h100 of the plugin evil 1.0 is passed over" in " ".join(answer(site, "catalog", "hardware")["notes"])


def test_a_broken_plugin_is_one_sentence(tmp_path: Path) -> None:
    entries = {
        "families": {name: f"{name}:read" for name in ("thief", "torn", "rude", "odd")}
        | {"bug": "odd:bug", "gone": "nowhere:read"},
        "mixers": {"torn": "torn:Mixer", "odd": "odd:read"},
        "presets": {"x": "absent", "y": "odd_data"},
    }
    files = {
        "thief.py": "from llmcx.huggingface import family\n@family('llama')\ndef read(c): return 5\n",
        "torn.py": "import no_such_module\n",
        "rude.py": "raise SystemExit(0)\n",
        "odd.py": "def read(c): return 5\ndef bug(c): return c.hidden_size\n",
        "odd_data/models/untitled.yaml": TINY.replace("{name}", "untitled"),
        "odd_data/models/misnamed.yaml": STATED + TINY.replace("{name}", "another"),
        "odd_data/models/wrong.yaml": STATED + TINY.replace("{name}", "wrong") + "colour: red\n",
        "odd_data/hardware/chip.yaml": "name: chip\n",
        "odd_data/laws/rule.yaml": "name: rule\nform: magic\n",
    }
    site = plugin(tmp_path, "odd", entries, files)
    for name, words in {
        "thief": "the plugin odd 1.0 is broken: thief:read raises InputError: thief is not where MODULES has 'llama'",
        "torn": "the plugin odd 1.0 is broken: torn:read raises ModuleNotFoundError: No module named 'no_such_module'",
        "rude": "the plugin odd 1.0 is broken: rude:read raises SystemExit: 0",
        "gone": "the plugin odd 1.0 is broken: nowhere:read raises ModuleNotFoundError",
        "odd": "the plugin odd 1.0 reads it as a int, but must return a ModelSpec",
        "bug": "the plugin odd 1.0 fails on it with AttributeError",
    }.items():
        assert words in refused(site, "params", "-", stdin=json.dumps({"model_type": name}))
    for name, words in {"torn": "torn:Mixer raises ModuleNotFoundError", "odd": "must be a dataclass that extends Mixer"}.items():
        model = {"name": "x", "d_model": 64, "embedding": {"vocab": 9}, "decoder": [{"repeat": 1, "mixer": {"type": name}}]}
        assert words in refused(site, "params", "-", stdin=json.dumps(model))
    wrong = {"untitled": "title is missing", "misnamed": "but must be the file's, 'misnamed'", "wrong": "'colour' is not known"}
    for name, words in wrong.items():
        said = refused(site, "params", name)
        assert words in said and f"{name}.yaml" in said
    assert "chip.yaml: hardware lacks" in refused(site, "catalog", "show", "chip")
    assert "rule.yaml: form" in refused(site, "chinchilla", "--law", "rule", "--compute", "1e21")
    listed = answer(site, "catalog", "models")
    assert len(listed["result"]) > 100 and not {*wrong} & {row["name"] for row in listed["result"]}
    assert all(any(words in note for note in listed["notes"]) for words in wrong.values())
    assert "the plugin odd 1.0 names absent for its presets, which is not an installed package" in listed["notes"]
    assert "chip.yaml: hardware lacks" in " ".join(answer(site, "catalog", "hardware")["notes"])


def test_hardware_and_laws_of_a_plugin(tmp_path: Path) -> None:
    chip = (
        "{name: chip, title: Chip, vendor: v, year: 2030, dense_tflops: {bf16: 7}, memory_gb: 5, memory_gb_per_s: 3, source: s}"
    )
    rule = "{name: rule, form: power, source: s, range: {compute: [1, 1.0e+30]}, "
    rule += "constants: {coefficient: 100, compute: 1, exponent: 0.5}}"
    site = plugin(
        tmp_path,
        "more",
        {"presets": {"x": "more_data"}},
        {"more_data/hardware/chip.yaml": chip, "more_data/laws/rule.yaml": rule},
    )
    assert answer(site, "catalog", "show", "chip")["result"]["memory_gb"] == 5
    listed = answer(site, "catalog", "hardware")
    assert [row["tflops"] for row in listed["result"] if row["name"] == "chip"] == [7]
    assert "chip is of the plugin more 1.0" in listed["notes"]
    found = answer(site, "chinchilla", "--law", "rule", "--compute", "1e20")
    assert found["result"]["laws"][0]["params"] == pytest.approx(100 * 1e10)
    assert "did you mean chip?" in refused(site, "catalog", "show", "chipp")


def test_two_plugins_with_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        files = {
            f"{name}_data/models/same.yaml": STATED + TINY.replace("{name}", "same"),
            f"{name}_family.py": "def read(c): 1\n",
        }
        plugin(tmp_path, name, {"presets": {"x": f"{name}_data"}, "families": {"same": f"{name}_family:read"}}, files)
    assert "'same' of models is in several plugins: one 1.0, two 1.0" in refused(tmp_path, "params", "same")
    said = refused(tmp_path, "params", "-", stdin='{"model_type": "same"}')
    assert "several plugins: one 1.0, two 1.0" in said or "several plugins: two 1.0, one 1.0" in said
    assert answer(tmp_path, "params", "gpt2")["result"]["total"] == 124_439_808


def rewrite() -> None:
    with tempfile.TemporaryDirectory() as work:
        os.environ["PYTHONPATH"] = str(install(Path(work) / "site"))
        session = "\n".join(f"$ {command}\n{run(command)}" for command, _ in sessions())
    text = GUIDE.read_text(encoding="utf-8")
    GUIDE.write_text(BLOCK.sub(lambda _: f"```console\n{session}```", text), encoding="utf-8")


if __name__ == "__main__":
    rewrite()
