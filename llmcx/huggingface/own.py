"""Families that transformers does not know, whose code is released beside the weights: what that code assumes.

huggingface/defaults.json has what transformers assumes, and so none of these. Their readers stand among the others, in the module
of the family that they are most like.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Own(NamedTuple):
    """What a family's code assumes for keys that a file leaves out: its own ``defaults``, and behind them those of the family
    that it is ``like``. ``names``: other names for keys. ``stem``: what its classes are called, in lower case, where that is not
    the model_type; several, with blanks.
    """

    like: str | None = None
    defaults: Mapping[str, Any] = {}
    names: Mapping[str, str] = {}
    stem: str = ""


OWN = {
    "kimi_k2": Own("deepseek_v3", stem="deepseekv3"),
}
