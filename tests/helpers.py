"""Running the real command in tests."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def llmcx(*args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`llmcx ARGS` as a process of its own; fails the test unless it exits 0."""
    return subprocess.run([sys.executable, "-m", "llmcx", *args], capture_output=True, text=True, check=True, **more)


def answer(*args: str) -> Any:
    """The parsed JSON of `llmcx ARGS --json`."""
    return json.loads(llmcx(*args, "--json").stdout)
