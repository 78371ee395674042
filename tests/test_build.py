"""spec.build's short way through a user's file never passes what pydantic's strict mode would refuse or convert."""

from __future__ import annotations

from dataclasses import MISSING
from functools import cache
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, create_model

from llmcx.catalog.build import DENSE, FFN, _hints, _plainly, defaults
from llmcx.model import spec as parts
from llmcx.model.extras import EXTRAS
from llmcx.model.mixers import MIXERS, mixer_class

KINDS = [
    *(parts.ModelSpec, parts.Embedding, parts.Head, parts.Layers, parts.Norm),
    *(mixer_class(name) for name in MIXERS),
    *(parts.CORES | FFN | DENSE | EXTRAS).values(),
]
HINTS = [(kind, name) for kind in KINDS for name in defaults(kind)]
WORDS = st.sampled_from(["head", "rmsnorm", "gelu", "silu", "attention", "", "1", "true"]) | st.text(max_size=4)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.binary(max_size=2)
BUILT = st.sampled_from([parts.Norm(), parts.Standard(), parts.Plain(4), parts.Attention(2), parts.Embedding(8), parts.Layers(1)])
VALUES = SCALARS | BUILT | st.lists(SCALARS | BUILT, max_size=3).map(tuple) | st.dictionaries(WORDS, SCALARS, max_size=2)


@cache
def strict(kind: Any, name: str) -> Any:
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    return create_model("Field", __config__=config, value=(_hints(kind)[name], ...))


def test_every_field_can_pass() -> None:
    """No type of field is left to pydantic altogether: each default passes the short way."""
    for kind in KINDS:
        for name, default in defaults(kind).items():
            if default is not MISSING:
                assert _plainly(default, _hints(kind)[name]), (kind, name)


@settings(deadline=None)
@given(st.sampled_from(HINTS), VALUES)
@example((parts.MoE, "capacity_factor"), 2)
@example((parts.Layers, "repeat"), True)
@example((parts.Norm, "bias"), 1)
def test_what_passes_is_what_pydantic_passes(field: tuple[Any, str], value: Any) -> None:
    kind, name = field
    if _plainly(value, _hints(kind)[name]):
        checked = strict(kind, name)(value=value).value
        assert type(checked) is type(value)
        assert checked == value or value != value  # NaN
