"""The accelerators of this machine, as their vendor's own tool names them."""

from __future__ import annotations

import re
import shutil
import subprocess

from llmcx.errors import InputError

TOOLS = {
    "nvidia-smi": ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
    "rocm-smi": ["rocm-smi", "--showproductname", "--csv"],
    "system_profiler": ["system_profiler", "SPHardwareDataType"],
}
"""What is asked, in this order."""


def detected() -> tuple[str, int]:
    """The name of the accelerators, and how many there are. Raises InputError where no tool finds any."""
    for tool, call in TOOLS.items():
        if shutil.which(tool) is None:
            continue
        names = listed(tool, _printed(call))
        if names:
            if len(set(names)) > 1:
                kinds = ", ".join(sorted(set(names)))
                problem = f"this machine has accelerators of several kinds ({kinds}); name one of them with --hardware"
                raise InputError(problem, field="hardware", value="auto")
            return names[0], len(names)
    problem = "no accelerator was found here: nvidia-smi, rocm-smi and system_profiler name none; give --hardware NAME"
    raise InputError(problem, field="hardware", value="auto")


def driver() -> str | None:
    """The version of NVIDIA's driver, as nvidia-smi says it; None where it says none."""
    call = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return next(iter(listed("nvidia-smi", _printed(call))), None)


def _printed(call: list[str]) -> str:
    """What a tool printed; nothing where it is absent, fails or does not answer in 20 seconds."""
    try:
        return subprocess.run(call, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def listed(tool: str, text: str) -> list[str]:
    """The names that a tool printed, one for each accelerator.

    >>> listed("nvidia-smi", "NVIDIA H100 80GB HBM3\\nNVIDIA H100 80GB HBM3\\n")
    ['NVIDIA H100 80GB HBM3', 'NVIDIA H100 80GB HBM3']
    >>> listed("system_profiler", "      Chip: Apple M4 Max\\n      Memory: 64 GB\\n")
    ['Apple M4 Max']
    """
    if tool == "system_profiler":
        return re.findall(r"^\s*Chip: (.+?)\s*$", text, re.MULTILINE)[:1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if tool == "rocm-smi":
        return [match[0] for line in lines[1:] if (match := re.search(r"MI\d{2,3}[A-Z]?|Radeon[^,]*", line))]
    return lines
