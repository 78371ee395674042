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
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """HEAD and GET of /ORG/NAME/resolve/REVISION/config.json, with the headers that the client reads."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(f"{self.command} {self.path} {self.headers.get('authorization', '')}".strip())
        if "/resolve/" not in self.path:
            self.send_error(404)
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
