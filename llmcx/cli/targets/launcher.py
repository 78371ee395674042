"""What starts a training program on every GPU: torchrun, srun, `accelerate launch`, `deepspeed`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from llmcx.cli.launching import bad
from llmcx.errors import shown, unknown_name

PER_NODE = 8
"""GPUs of a node in what is written, unless there are fewer in all."""

TORCHRUN = {
    **dict.fromkeys(("nnodes", "nproc-per-node", "rdzv-backend", "rdzv-endpoint", "rdzv-id", "rdzv-conf", "max-restarts"), 1),
    **dict.fromkeys(("monitor-interval", "start-method", "event-log-handler", "role", "log-dir", "redirects", "tee"), 1),
    **dict.fromkeys(("local-ranks-filter", "node-rank", "master-addr", "master-port", "local-addr", "logs-specs"), 1),
    **dict.fromkeys(
        ("duplicate-stdout-filters", "duplicate-stderr-filters", "numa-binding", "signals-to-handle", "shutdown-timeout"), 1
    ),
    **dict.fromkeys(("standalone", "module", "no-python", "run-path", "virtual-local-rank"), 0),
}
"""torchrun's flags of PyTorch 2.13 -> how many values each takes (tests/oracle/training_files.py)."""
SHORT = {"-m": "module", "-r": "redirects", "-t": "tee"}


class Started(NamedTuple):
    """What runs, with its arguments, on how many GPUs where that is said."""

    script: str
    arguments: list[str]
    gpus: int | None = None


def nodes(gpus: int) -> tuple[int, int]:
    """Nodes, and GPUs of each, of so many GPUs. Raises InputError where nodes of eight do not make them up."""
    if gpus <= PER_NODE:
        return 1, gpus
    if gpus % PER_NODE:
        raise bad(f"{gpus:,} GPUs are no whole number of nodes of {PER_NODE}; give --gpus in multiples of {PER_NODE}", str(gpus))
    return gpus // PER_NODE, PER_NODE


def torchrun(gpus: int) -> list[str]:
    """The words that start a script on so many GPUs; nodes meet at the first one, whose address is in the environment."""
    many, each = nodes(gpus)
    if many == 1:
        return ["torchrun", f"--nproc-per-node {each}"]
    meet = ["--rdzv-backend c10d", "--rdzv-id ${RUN_ID:-1}", "--rdzv-endpoint ${MASTER_ADDR:-localhost}:29500"]
    return ["torchrun", f"--nnodes {many}", f"--nproc-per-node {each}", *meet]


def wrapped(words: Sequence[str], width: int = 100) -> str:
    """A line that goes on after backslashes. A word that holds blanks outside of quotes is several, which stay together."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) > width:
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {word}"
    return " \\\n".join(lines)


def started(words: Sequence[str], there: int | None = None) -> Started | None:
    """What is started by a command line, None where no script of Python is; ``there``: GPUs that a batch script asks for.

    >>> started("torchrun --nnodes=2 --nproc_per_node 8 pretrain_gpt.py --bf16".split())
    Started(script='pretrain_gpt.py', arguments=['--bf16'], gpus=16)
    """
    for at, word in enumerate(words):
        name = re.split(r"[/\\]", word)[-1].removesuffix(".exe")
        rest = list(words[at + 1 :])
        if name == "torchrun" or (word == "-m" and rest[:1] in (["torch.distributed.run"], ["torch.distributed.launch"])):
            return _torchrun(rest if name == "torchrun" else rest[1:], there)
        if name.endswith(".py"):
            return Started(word, rest, there)
        if word == "-m" and rest[:1] and rest[0].startswith("torchtitan"):
            return Started(rest[0], rest[1:], there)
    return None


def _torchrun(words: list[str], there: int | None) -> Started:
    values: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            return Started(word, words, _world(values, there))
        name, equals, value = word.partition("=")
        flag = SHORT.get(name, name.removeprefix("--").replace("_", "-"))
        if flag not in TORCHRUN:
            raise unknown_name("flag of torchrun", name, [f"--{each}" for each in TORCHRUN], field="line")
        if TORCHRUN[flag] and not equals:
            if not words:
                raise bad(f"{name} of torchrun needs a value", name)
            value = words.pop(0)
        values[flag] = value
    raise bad("the torchrun line names no script")


def _world(values: dict[str, str], there: int | None) -> int | None:
    """GPUs of all nodes; ``there`` where the number of a node's is left to the machine."""
    many = values.get("nnodes", "1").rpartition(":")[2]
    each = values.get("nproc-per-node", "1")
    sizes = []
    for name, text in (("--nnodes", many), ("--nproc-per-node", each)):
        if "$" in text or text in ("gpu", "auto"):
            return there
        if not text.isdecimal() or int(text) < 1:
            raise bad(f"{name} is {shown(text)}, but must be a whole number of at least 1", text)
        sizes.append(int(text))
    return sizes[0] * sizes[1]
