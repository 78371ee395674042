"""Models on the hub through the real huggingface_hub client, against a server on loopback that speaks the hub's resolve URLs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("huggingface_hub", reason="the optional extra llmcx[hub] is not installed")

CONFIG = json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}).encode()
HEADER = json.dumps({"a.weight": {"dtype": "BF16", "shape": [1000, 2500], "data_offsets": [0, 5_000_000]}}).encode()
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(5_000_000)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """/ORG/NAME/resolve/REVISION/FILE with the headers that the client reads, of weights by ranges; what a repository holds."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(f"{self.command} {self.path} {self.headers.get('authorization', '')}".strip())
        if self.path.startswith("/api/models/org/gone") or not ("/resolve/" in self.path or self.path.startswith("/api/")):
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            return
        if self.path.startswith("/api/"):
            files = [{"type": "file", "path": name, "size": len(WEIGHTS), "oid": "abc"} for name in self.held()]
            about = {"_id": "1", "id": self.path.split("/")[3], "sha": COMMIT, "siblings": [], "private": False, "tags": []}
            self.answer(json.dumps(files if "/tree/" in self.path else about).encode(), 200)
            return
        if "config.json" not in self.path and "/gated/" not in self.path:
            first, _, last = self.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
            self.asked[-1] += f" {first}-{last}"
            self.answer(WEIGHTS[int(first) : int(last or len(WEIGHTS) - 1) + 1], 206)
            return
        _, name, _, revision, _ = self.path.strip("/").split("/")
        error = {"gone": "RepoNotFound", "gated": "GatedRepo"}.get(name) or ("EntryNotFound" if name == "bare" else None)
        if revision == "nowhere":
            error = "RevisionNotFound"
        self.send_response({None: 200, "GatedRepo": 403, "RepoNotFound": 404}.get(error, 404))
        if error:
            self.send_header("X-Error-Code", error)
            self.send_header("X-Error-Message", error)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"abc"')
        self.send_header("Content-Length", str(0 if error else len(CONFIG)))
        self.end_headers()
        if self.command == "GET" and not error:
            self.wfile.write(CONFIG)

    do_GET = do_HEAD

    def held(self) -> list[str]:
        """The files of a repository."""
        two = [f"model-0000{number}-of-00002.gguf" for number in (1, 2)]
        return {"shards": two[:1]}.get(self.path.split("/")[4].partition("?")[0], ["config.json", "model.safetensors"])

    def answer(self, body: bytes, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which the client talks to our server and caches in a directory of its own."""
    Hub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and "proxy" not in key.lower()}
    yield {**clean, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_x"}
    server.shutdown()


def run(environment: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmcx", "params", *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("named", ["org/llama", "--hf org/llama", "https://huggingface.co/org/llama"])
def test_reads_config_json_and_nothing_else(hub: dict[str, str], named: str) -> None:
    done = run(hub, *named.split(), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    # LlamaConfig() as transformers builds it.
    assert answer["result"]["total"] == 6_738_415_616
    assert answer["model"]["name"] == "llama" and answer["model"]["source"] == "config.json of org/llama"
    assert all("/config.json" in asked for asked in Hub.asked)
    assert any("Bearer hf_x" in asked for asked in Hub.asked)


@pytest.mark.parametrize("named", ["org/llama", "org/llama/model.safetensors"])
def test_reads_the_headers_of_weights_and_no_weights(hub: dict[str, str], named: str) -> None:
    """5 MB of 2,500,000 numbers, beside the config.json of the same repository; a quarter of a megabyte is asked for at most."""
    done = run(hub, "--weights", named, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["result"]
    assert found["stored"]["by_dtype"] == {"BF16": {"elements": 2_500_000, "bytes": 5_000_000}}
    assert found["counted"] == 6_738_415_616
    asked = [text.rsplit(" ", 1)[1].split("-") for text in Hub.asked if "safetensors" in text and "GET" in text]
    assert asked and sum(int(last) - int(first) for first, last in asked) < 2**19


def test_offline_uses_the_cache_and_says_when_it_cannot(hub: dict[str, str]) -> None:
    assert run(hub, "org/llama").returncode == 0
    offline = {**hub, "HF_HUB_OFFLINE": "1"}
    assert run(offline, "org/llama").returncode == 0
    done = run(offline, "org/other")
    assert done.returncode == 2 and "offline" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("org/gone", "not on the hub"),
        ("--hf org/gone", "not on the hub"),
        ("org/gated", "gated"),
        ("org/bare", "has no config.json"),
        ("org/llama@nowhere", "no revision"),
        ("--weights org/gone", "not on the hub"),
        ("--weights org/gated", "gated"),
        ("--weights org/llama/other.gguf", "not on the hub"),
        ("--weights org/shards", "1 of the 2 shards"),
        ("--hf llama", "must be ORG/NAME"),
        ("--hf ../etc/passwd", "must be ORG/NAME"),
    ],
)
def test_refusals_are_one_sentence(hub: dict[str, str], named: str, words: str) -> None:
    done = run(hub, *named.split())
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


def test_nobody_there(hub: dict[str, str], tmp_path: Path) -> None:
    """The client tries several times, and is not waited for."""
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep = lambda seconds: None\n")
    done = run({**hub, "HF_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": str(tmp_path)}, "org/llama")
    assert done.returncode == 2 and "cannot be reached" in done.stderr and done.stderr.count("\n") == 1
