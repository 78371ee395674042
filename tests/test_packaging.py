"""The package as users get it: sdist and wheel, and the wheel run in a clean environment from another directory."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "presets").rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of a clean environment that holds the wheel and nothing else."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=True)
    wheel = next(built.glob("*.whl"))
    subprocess.run([home / "bin" / "python", "-m", "pip", "install", "-q", str(wheel)], check=True, capture_output=True)
    return home / "bin"


def test_wheel_holds_the_package_its_data_and_nothing_else(built: Path) -> None:
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert "llmcx/py.typed" in names and "llmcx/families/defaults.json" in names
    assert {f"llmcx/{name}" for name in DATA} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"llmcx"}


def test_sdist_holds_what_a_packager_needs(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"README.md", "LICENSE", "pyproject.toml", "completions/_llmcx", "tests/test_packaging.py", "docs/chapter.md"}
    assert wanted | set(DATA) <= names


def test_installed_wheel_runs_from_another_directory(installed: Path, tmp_path: Path) -> None:
    def run(*command: str) -> str:
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    python, llmcx = str(installed / "python"), str(installed / "llmcx")
    assert run(llmcx, "--version").startswith("llmcx ")
    assert json.loads(run(python, "-m", "llmcx", "params", "--preset", "gpt3", "--json"))["result"]["total"] == 174_604_259_328
    assert Path(run(llmcx, "presets", "path", "gpt3").strip()).is_relative_to(installed.parent)
    assert run(python, "-c", "import llmcx; print(llmcx.params('gpt3').total)").strip() == "174604259328"
    assert "epoch" in run(llmcx, "chinchilla", "--compute", "1e21", "--format", "csv")
    run(
        python,
        "-c",
        "import sys, llmcx; llmcx.params('gpt3'); assert not {'yaml', 'pydantic', 'numpy', 'rich'} & set(sys.modules)",
    )


def test_a_plain_checkout_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import llmcx; print(llmcx.params('gpt3').total)"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "174604259328"
