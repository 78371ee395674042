"""What a short command may import: start-up is a feature, and every module costs some.

No test here takes the time: tests/benchmarks/cold_start.py does, and says where it goes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"

PROBE = """
import sys
import __future__, typer, json, dataclasses, gc, locale, textwrap, zlib  # what is paid for anyway, with all that they import
if sys.argv.pop(1) == "yaml":
    import yaml
sys.argv[0] = "llmcx"
before = set(sys.modules)
from llmcx.__main__ import main
try:
    main()
finally:
    print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""

GROUND = {"", "__main__", "api", "cli", "errors"}
MODELS = GROUND | {"model", "ops", "units"}
COUNTED = MODELS | {"answers.params", "costs", "formats.dtypes", "report"}
LOADED = COUNTED | {"catalog"}
HELD = LOADED | {"answers.memory", "formats.gguf", "formats.quant", "formats.schemes", "formats.storage", "parallel"}
HELD |= {"engines.ideal", "engines.inference_memory"}  # those that train, or serve otherwise, only where they are asked for
"""Rooms, and modules of rooms, that a command may import; a room with no module named may be imported whole."""


def imported(*arguments: str, besides: str = "", **environment: str) -> set[str]:
    """What a command imports beyond typer, the few modules of the standard library that every answer needs, and ``besides``."""
    process = [sys.executable, "-c", PROBE, besides, *arguments]
    told = subprocess.run(process, capture_output=True, text=True, env=os.environ | environment, check=True)
    assert told.stdout
    return set(told.stderr.splitlines()[-1].split())


def strangers(modules: set[str], allowed: set[str]) -> set[str]:
    """What is imported of llmcx beside ``allowed``."""
    ours = {name.partition(".")[2] for name in modules if name.partition(".")[0] == "llmcx"}
    packages = {name.partition(".")[0] for name in allowed}
    return {name for name in ours if name not in packages and not ({name, name.partition(".")[0]} & allowed)}


def others(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} - {"llmcx", "typer", "encodings"}


@pytest.mark.parametrize(
    ("arguments", "allowed", "besides"),
    [
        (["params", "gpt3", "--json"], LOADED, ""),
        (["params", "gpt3", "--kv-heads", "8", "--json"], LOADED, ""),
        (["params", str(DOCS / "example.yaml"), "--json"], LOADED, "yaml"),
        (["memory", "llama-3-8b", "--json"], HELD, ""),
        (["--help"], GROUND, ""),
        (["params", "--help"], COUNTED, ""),
    ],
    ids=lambda value: " ".join(map(os.path.basename, value)) if isinstance(value, list) else "",
)
def test_budget(arguments: list[str], allowed: set[str], besides: str) -> None:
    modules = imported(*arguments, besides=besides)
    assert not strangers(modules, allowed)
    assert not others(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        ["params", str(DOCS / "config.json"), "--json"],
        ["flops", "llama-3-8b", "--json"],
        ["memory", "llama-3-8b", "--json"],
        ["moe", "mixtral-8x7b", "--json"],
        ["serve", "llama-3-8b", "--hardware", "h100", "--json"],
        ["train", "gpt2", "--tokens", "1B", "--gpus", "8", "--json"],
        ["chinchilla", "--compute", "1e21", "--json"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_parser_nor_drawing_for_json(arguments: list[str]) -> None:
    assert not others(imported(*arguments)) & {"pydantic", "rich", "yaml", "csv", "numpy", "scipy", "torch", "matplotlib"}


def test_completion() -> None:
    """A shell asks at every press of the key."""
    asked = {"_LLMCX_COMPLETE": "complete_bash", "COMP_WORDS": "llmcx params gp", "COMP_CWORD": "2"}
    modules = imported(**asked)
    assert not strangers(modules, LOADED | {"plugins"})
    assert not others(modules) & {"pydantic", "rich", "yaml"}
