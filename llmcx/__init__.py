"""llmcx: the cost of large language models, exactly.

>>> import llmcx
>>> llmcx.params("gpt3").total
174604259328

A model is a preset's name, a path, ORG/NAME on the hub, a size such as "7B", a mapping, or a ``ModelSpec``. Every function has
the options of the command of its name, sizes as numbers or as text ("8k", "80GB"), and refuses with :class:`InputError` what
the command refuses. An answer is a frozen dataclass whose fields are those of the command's JSON, with ``to_dict()``, and
``rows()`` for ``pandas.DataFrame``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from llmcx.api import (
    attention_compare,
    bounds,
    check,
    chinchilla,
    compare,
    explain_log,
    flops,
    memory,
    moe,
    params,
    plan_finetune,
    plan_lifetime,
    plan_local,
    plan_serve,
    plan_train,
    presets,
    serve,
    shapes,
    train,
)
from llmcx.errors import InputError

if TYPE_CHECKING:
    from llmcx.api import Model
    from llmcx.machine.hardware import Hardware, Summary
    from llmcx.model.spec import ModelSpec

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "attention_compare",
    "bounds",
    "check",
    "chinchilla",
    "compare",
    "explain_log",
    "flops",
    "hardware",
    "load",
    "memory",
    "moe",
    "params",
    "plan_finetune",
    "plan_lifetime",
    "plan_local",
    "plan_serve",
    "plan_train",
    "presets",
    "serve",
    "shapes",
    "sweep",
    "train",
]


def load(source: Model) -> ModelSpec:
    """The model itself: what `llmcx catalog show` prints, as a ``ModelSpec``.

    >>> load("gpt3").n_layers
    96
    """
    from llmcx.catalog import load

    size = load.stand_in(source) if isinstance(source, str) else None
    if size is None:
        return load.load(source)
    from llmcx.answers.architecture import stand_in

    return stand_in(size)[0]


@overload
def hardware(name: None = None) -> list[Summary]: ...


@overload
def hardware(name: str) -> Hardware: ...


def hardware(name: str | None = None) -> list[Summary] | Hardware:
    """Every accelerator in a row, as `llmcx catalog hardware` lists them; or one, with every figure and its source.

    >>> hardware("h100").memory_gb, [row["name"] for row in hardware() if row["memory_gb"] > 400]
    (80, ['m3-ultra'])
    """
    from llmcx.catalog import data
    from llmcx.machine.hardware import summary

    return [summary(one) for one in data.listed()[0]] if name is None else data.load_hardware(name)


def sweep(
    command: str,
    /,
    *,
    select: str | Sequence[str] | None = None,
    zip: Sequence[str] | Sequence[Sequence[str]] = (),
    on_error: str = "stop",
    **inputs: Any,
) -> Iterator[dict[str, Any]]:
    """Each answer of a command of the same name as on the command line, at every combination of ``inputs``: what
    `llmcx sweep` streams, as mappings.

    An input is a value, a list or a range, under the name of the command's option; a text is a list or range as there. ``select``
    gives flat rows of these paths, ``zip`` names inputs that advance together (or is a list of such lists), ``on_error`` is
    "stop", "skip" or "row". Raises InputError at once for what is not known, and at a point that is refused.

    >>> for row in sweep("flops", preset="gpt3", seq=[1024, 2048], select=["result.forward.total"]):
    ...     print(row["seq"], row["result.forward.total"])
    1024 362454328541184
    2048 734804261732352
    """
    from llmcx.cli.sweeping import answers, listed, planned, swept

    asked = swept(str(command).replace("_", "-"))
    return answers(planned(asked, listed(asked, inputs), select, zip, on_error))
