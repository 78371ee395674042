"""Launch files of training: a module for each program that trains, which writes its file and reads it back.

What a file says is a :class:`Job`, whichever program it is of; :mod:`llmcx.cli.targets.reading` finds out which that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from typing import Any, NamedTuple

from llmcx.answers.check import Read
from llmcx.cli.launching import Flag, bad, flags
from llmcx.engines.deepspeed import BUCKETS, Buckets
from llmcx.errors import shown, unknown_name
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

WRAPPED = ("slurm", "k8s")
"""Targets that run another one's line on a cluster."""


class Target(NamedTuple):
    """A program that trains: the ``engine`` of `llmcx train` that times it, and what it is called."""

    engine: str
    title: str


TARGETS = {
    "megatron": Target("megatron", "Megatron-LM"),
    "torchtitan": Target("torchtitan", "torchtitan"),
    "fsdp-accelerate": Target("fsdp", "accelerate"),
    "deepspeed": Target("fsdp", "DeepSpeed"),
}


@dataclass(frozen=True)
class Job:
    """A training job as a launch file states it; None is what it does not state.

    ``degrees`` are fields of :class:`~llmcx.parallel.layout.Layout`, without dp, which is what the ``gpus`` leave;
    ``accumulation``: micro-batches of a step. ``spec``: the model, where the file has its shape; ``model`` what the file calls
    it. ``dtype`` is that of the matmuls. ``unsure``: why it is not known what is recomputed. ``given``: what the file says,
    setting by setting; ``asked``: options of `llmcx check` that a comment in it states, ``budget`` one of them.
    """

    target: str
    degrees: Mapping[str, Any] = field(default_factory=dict)
    gpus: int | None = None
    seq: int | None = None
    global_batch: int | None = None
    accumulation: int | None = None
    steps: int | None = None
    spec: ModelSpec | None = None
    model: str | None = None
    dtype: str | None = None
    precision: str = "mixed"
    optimizer: str = "adam"
    attention: str = "flash"
    dropout: bool = False
    fused_loss: bool = False
    offload: str | None = None
    buckets: Buckets = BUCKETS
    unsure: str = ""
    budget: int | None = None
    given: tuple[Read, ...] = ()
    asked: tuple[str, ...] = ()

    def layout(self, gpus: int) -> Layout:
        """The layout of so many GPUs. Raises InputError where they do not divide, or the batch does not."""
        degrees = dict(self.degrees)
        inner = {name: max(degrees.get(name, 1), 1) for name in ("tp", "pp", "cp")}
        if gpus % prod(inner.values()):
            ways = " × ".join(f"{name} {size}" for name, size in inner.items() if size > 1)
            raise bad(f"{gpus:,} GPUs are no multiple of {ways} = {prod(inner.values()):,}", str(gpus))
        return Layout(**degrees, dp=gpus // prod(inner.values()))

    def batch(self, layout: Layout) -> int:
        """Sequences of a step: those stated, else one micro-batch after another as often as is stated, once if it is not."""
        at_once = layout.dp * layout.micro_batch
        if self.global_batch is None:
            return at_once * (self.accumulation or 1)
        many = self.accumulation or max(self.global_batch // at_once, 1)
        if many * at_once != self.global_batch:
            accumulated = f" × {self.accumulation:,} accumulated" if self.accumulation else ""
            problem = (
                f"a global batch of {self.global_batch:,} is not micro-batch {layout.micro_batch:,} × data-parallel {layout.dp:,}"
            )
            raise bad(f"{problem}{accumulated or ' × a whole number'}", str(self.global_batch))
        return self.global_batch


def degrees_of(layout: Layout) -> dict[str, Any]:
    """What of a layout a launch file says: all but dp, and what is as it is without saying."""
    plain = Layout()
    fields = layout._asdict()
    keep = ("micro_batch",)
    return {name: value for name, value in fields.items() if name != "dp" and (value != getattr(plain, name) or name in keep)}


def module(target: str) -> Any:
    """What writes and reads a target's file."""
    return import_module(f"llmcx.cli.targets.{target.replace('fsdp-', '')}")


def hint(job: Job, hardware: str | None, *more: str) -> str:
    """Options of `llmcx check` that a file cannot state: the model, what it runs on, ``more``."""
    import shlex

    words = [shlex.quote(job.model)] if job.model else []
    words += [f"--hardware {shlex.quote(hardware)}"] if hardware else []
    words += [f"--budget {job.budget}"] if job.budget else []
    return " ".join([*words, *more])


# --- settings of files -------------------------------------------------------------------------------------------------------


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by dotted names.

    >>> list(flattened({"a": {"b": 1, "c": [2]}, "d": None}))
    [('a.b', 1), ('a.c', [2]), ('d', None)]
    """
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def settings(values: Mapping[str, Any], target: str, what: str) -> tuple[dict[str, Any], tuple[Read, ...]]:
    """The settings of a file that are read, by their dotted names, and every one as it was understood.

    Raises InputError for one that the program does not have.
    """
    known = flags(target)
    found: dict[str, Any] = {}
    read: list[Read] = []
    for name, value in flattened(values):
        flag = known.get(name) or _below(known, name)
        if flag is None:
            raise unknown_name(f"setting of {what}", shown(name)[1:-1], list(known), field="line")
        text = None if value is None else shown(value)[:60].strip("'")
        read.append(Read(name, text, "counted" if flag.effect == "read" else flag.effect))
        if flag.effect == "read":
            found[name] = value
    return found, tuple(read)


def _below(known: Mapping[str, Flag], name: str) -> Flag | None:
    """What is known of all that stands below a name."""
    parts = name.split(".")
    starred = (known.get(".".join(parts[:at]) + ".*") for at in range(len(parts) - 1, 0, -1))
    return next((flag for flag in starred if flag is not None), None)


def whole(values: Mapping[str, Any], name: str, least: int = 1, default: int | None = None) -> int | None:
    """A whole number of a file, or the ``default``, for "auto" too. Raises InputError."""
    value = values.get(name)
    if value is None or value == "auto":
        return default
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad(f"{name} is {shown(value)}, but must be a whole number", str(value))
    if value < least:
        raise bad(f"{name} is {value:,}, but must be at least {least}", str(value))
    return value


def truth(values: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A yes or no of a file. Raises InputError."""
    value = values.get(name, default)
    if value is None or value == "auto":
        return default
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise bad(f"{name} is {shown(value)}, but must be true or false", str(value))
    return value


def one_of(values: Mapping[str, Any], name: str, allowed: Mapping[str, Any], default: str) -> Any:
    """What a word of a file stands for. Raises InputError for one that is not among the ``allowed``."""
    value = values.get(name, default)
    value = default if value in (None, "auto") else str(value)
    if value not in allowed:
        raise unknown_name(name, value, list(allowed), field="line")
    return allowed[value]
