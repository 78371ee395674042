"""The package as users get it: sdist and wheel, and the wheel run in a clean environment from another directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "presets").rglob("*.yaml"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git would hold: no build left-overs, no caches, and nothing written into the real tree."""
    copy = tmp_path_factory.mktemp("checkout") / "llmcx"
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode or not listed.stdout:  # an unpacked sdist
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "*.egg-info"))
        return copy
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(checkout), cwd=out)
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of a clean environment that holds the wheel and nothing else."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home)
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(home / "bin" / "python"),
        "install",
        "-q",
        "--no-compile",
        str(next(built.glob("*.whl"))),
        cwd=home,
    )
    return home / "bin"


def run(*command: str, cwd: Path, **variables: str) -> str:
    """stdout of a command that must succeed. A PYTHONPATH from outside would let the checkout pass for the wheel."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | variables
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_wheel_holds_the_package_its_data_and_nothing_else(built: Path) -> None:
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert "llmcx/py.typed" in names and "llmcx/huggingface/defaults.json" in names and "llmcx/schemas/flops.json" in names
    assert {f"llmcx/{name}" for name in [*DATA, "presets/index.json"]} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"llmcx"}


def test_shells_find_the_completions_of_the_wheel(installed: Path) -> None:
    """Each under the name and in the directory of the prefix that its shell searches."""
    share = installed.parent / "share"
    for source, target in (
        ("llmcx.bash", "bash-completion/completions/llmcx"),
        ("_llmcx", "zsh/site-functions/_llmcx"),
        ("llmcx.fish", "fish/vendor_completions.d/llmcx.fish"),
    ):
        assert (share / target).read_bytes() == (ROOT / "completions" / source).read_bytes()


def test_man_finds_the_page_of_the_wheel(installed: Path, built: Path) -> None:
    page = (ROOT / "docs" / "llmcx.1").read_bytes()
    assert (installed.parent / "share" / "man" / "man1" / "llmcx.1").read_bytes() == page
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        assert any(name.endswith("/docs/llmcx.1") for name in sdist.getnames())


def test_builds_are_reproducible(checkout: Path, built: Path, tmp_path: Path) -> None:
    """Another path, time, time zone, hash seed, other permissions: the same sdist and wheel, byte for byte."""
    copy = shutil.copytree(checkout, tmp_path / "a longer way" / "elsewhere", copy_function=shutil.copyfile)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o640)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    out = tmp_path / "dist"
    run(
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(out),
        str(copy),
        cwd=tmp_path,
        TZ="Asia/Tokyo",
        PYTHONHASHSEED="7",
    )
    hashes = [{p.name: sha256(p.read_bytes()).hexdigest() for p in each.iterdir()} for each in (built, out)]
    assert len(hashes[0]) == 2 and hashes[0] == hashes[1]


def test_sdist_holds_what_a_packager_needs(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tests = {f"tests/{path.name}" for path in (ROOT / "tests").glob("*.py")}
    completions = {"completions/llmcx.bash", "completions/_llmcx", "completions/llmcx.fish"}
    wanted = {"README.md", "LICENSE", "pyproject.toml", "llmcx/py.typed", "docs/chapter.md", "tests/oracle/golden.json"}
    assert not (wanted | tests | completions | set(DATA)) - names


def test_installed_wheel_runs_from_another_directory(installed: Path, tmp_path: Path) -> None:
    python, llmcx = str(installed / "python"), str(installed / "llmcx")
    inside = installed.parent.resolve()
    assert run(llmcx, "--version", cwd=tmp_path).startswith("llmcx ")
    answer = json.loads(run(python, "-m", "llmcx", "params", "gpt3", "--json", cwd=tmp_path))
    assert answer["result"]["total"] == 174_604_259_328
    assert Path(run(llmcx, "catalog", "path", "gpt3", cwd=tmp_path).strip()).resolve().is_relative_to(inside)
    where, total = run(python, "-c", "import llmcx; print(llmcx.__file__, llmcx.params('gpt3').total)", cwd=tmp_path).split()
    assert Path(where).resolve().is_relative_to(inside) and total == "174604259328"
    assert "epoch" in run(llmcx, "chinchilla", "--compute", "1e21", "--format", "csv", cwd=tmp_path)
    lean = "import sys, llmcx; llmcx.params('gpt3'); assert not {'yaml', 'pydantic', 'numpy', 'rich'} & set(sys.modules)"
    run(python, "-c", lean, cwd=tmp_path)


def test_a_plain_checkout_runs(checkout: Path, installed: Path, tmp_path: Path) -> None:
    """Nothing installed but the dependencies: PYTHONPATH goes before the wheel that is there too."""
    python = str(installed / "python")
    code = "import llmcx; print(llmcx.__file__, llmcx.params('gpt3').total)"
    where, total = run(python, "-c", code, cwd=tmp_path, PYTHONPATH=str(checkout)).split()
    assert Path(where).is_relative_to(checkout) and total == "174604259328"
    answer = json.loads(run(python, "-m", "llmcx", "params", "gpt3", "--json", cwd=tmp_path, PYTHONPATH=str(checkout)))
    assert answer["result"]["total"] == 174_604_259_328
    path = run(python, "-m", "llmcx", "catalog", "path", "gpt3", cwd=tmp_path, PYTHONPATH=str(checkout)).strip()
    assert Path(path).is_relative_to(checkout / "presets")


def test_a_checkout_writes_its_index(checkout: Path, built: Path, installed: Path, tmp_path: Path) -> None:
    """On first use, the wheel's; anew when a preset changes; and where it cannot be written, nothing is lost."""
    copy = shutil.copytree(checkout, tmp_path / "copy", ignore=shutil.ignore_patterns("index.json*"))
    index, gpt2 = copy / "presets" / "index.json", copy / "presets" / "models" / "gpt2.yaml"

    def total() -> str:
        words = ("params", "openai-community/gpt2", "--format", "csv")
        return run(str(installed / "python"), "-m", "llmcx", *words, cwd=tmp_path, PYTHONPATH=str(copy)).splitlines()[-1]

    assert not index.exists() and total() == "total,124439808,1.0"
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        assert index.read_bytes() == wheel.read("llmcx/presets/index.json")
    assert sorted(path.name for path in index.parent.iterdir()) == [
        "energy.yaml",
        "engines",
        "flags",
        "hardware",
        "index.json",
        "kernels",
        "laws",
        "models",
    ]
    gpt2.write_text(gpt2.read_text(encoding="utf-8").replace("vocab: 50257", "vocab: 50258"), encoding="utf-8")
    assert total() == "total,124440576,1.0" and '"vocab": 50258' in index.read_text(encoding="utf-8")
    index.unlink()
    index.mkdir()  # which no file can take the place of, whoever runs this
    assert total() == "total,124440576,1.0"
