"""llmcx: the cost of large language models, exactly.

>>> import llmcx
>>> llmcx.params("gpt3").total
174604259328

Every function takes a preset's name, a path to a YAML or JSON file, a mapping, or a ``ModelSpec``, and returns a frozen
dataclass whose fields are those of the JSON that the command of the same name prints under ``result``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from typing import TypeAlias

    from llmcx.answers.attention_compare import Comparison
    from llmcx.answers.flops import Flops
    from llmcx.answers.memory import Memory
    from llmcx.answers.moe import Experts
    from llmcx.answers.params import Params
    from llmcx.model.spec import ModelSpec
    from llmcx.scaling.optimum import Optimum

    Source: TypeAlias = "str | os.PathLike[str] | ModelSpec | Mapping[str, Any]"

__version__ = "0.1.0"
__all__ = ["attention_compare", "chinchilla", "flops", "load", "memory", "moe", "params", "sweep"]


def load(source: Source) -> ModelSpec:
    """The model itself: what `llmcx catalog show` prints, as a ``ModelSpec``."""
    from llmcx.catalog.load import load

    return load(source)


def params(source: Source, /, **inputs: Any) -> Params:
    """See :func:`llmcx.answers.params.params`."""
    from llmcx.answers.params import params

    return params(load(source), **inputs)


def flops(source: Source, /, **inputs: Any) -> Flops:
    """See :func:`llmcx.answers.flops.flops`.

    >>> flops("gpt3", seq=2048).forward.total
    734804261732352
    """
    from llmcx.answers.flops import flops

    return flops(load(source), **inputs)


def memory(source: Source, /, **inputs: Any) -> Memory:
    """See :func:`llmcx.answers.memory.memory`."""
    from llmcx.answers.memory import memory

    return memory(load(source), **inputs)


def attention_compare(source: Source, /, **inputs: Any) -> Comparison:
    """See :func:`llmcx.answers.attention_compare.compare`."""
    from llmcx.answers.attention_compare import compare

    return compare(load(source), **inputs)


def moe(source: Source, /, **inputs: Any) -> Experts:
    """See :func:`llmcx.answers.moe.moe`."""
    from llmcx.answers.moe import moe

    return moe(load(source), **inputs)


def chinchilla(law: str = "hoffmann-3", **inputs: float) -> Optimum:
    """See :func:`llmcx.scaling.optimum.optimum`.

    >>> round(chinchilla("epoch", compute=1e21).tokens_per_param, 2)
    21.59
    """
    from llmcx.catalog.data import load_law
    from llmcx.scaling.optimum import optimum

    return optimum(load_law(law), **inputs)


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
