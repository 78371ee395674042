"""core.record's dataclasses behave as the standard library's do; the specs made of them are hashed, compared and pickled."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

import llmcx
from llmcx import record


def made(decorator: Any) -> Any:
    class Part:
        """Three kinds of field."""

        n: int
        width: int | None = None
        names: list[str] = dataclasses.field(default_factory=list)

        def __post_init__(self) -> None:
            if self.n < 0:
                raise ValueError("n")

    return decorator(frozen=True)(Part)


OURS, THEIRS = made(record.dataclass), made(dataclasses.dataclass)


@pytest.mark.parametrize(
    ("args", "given"),
    [((1,), {}), ((), {"n": 1}), ((1, 2, ["a"]), {}), ((1,), {"names": ["b"]}), ((), {"width": 3, "n": 2}), ((1, None), {})],
)
def test_values(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    ours, theirs = OURS(*args, **given), THEIRS(*args, **given)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert repr(ours) == repr(theirs)
    assert list(vars(ours)) == list(vars(theirs)) == ["n", "width", "names"]
    assert ours == OURS(*args, **given) != dataclasses.replace(ours, n=9)
    assert copy.deepcopy(ours) == ours


@pytest.mark.parametrize(
    ("args", "given"), [((), {}), ((), {"width": 1}), ((1, 2, [], 4), {}), ((1,), {"n": 1}), ((1,), {"wide": 1}), ((-1,), {})]
)
def test_refusals(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    refusals = []
    for kind in (OURS, THEIRS):
        with pytest.raises((TypeError, ValueError)) as refused:
            kind(*args, **given)
        refusals.append(refused.type)
    assert refusals[0] is refusals[1]


def test_frozen_and_unhashable_values() -> None:
    part = OURS(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        part.n = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del part.n
    with pytest.raises(TypeError, match="unhashable"):
        hash(part)
    assert part.names is not OURS(1).names
    assert part != THEIRS(1) and part != 1


def test_signature() -> None:
    assert str(inspect.signature(OURS)) == "(n: 'int', width: 'int | None' = None, names: 'list[str]' = <factory>)"


@pytest.mark.parametrize("name", ["gpt3", "deepseek-v3", "gemma-3-27b", "jamba-1.5-mini", "t5-11b"])
def test_specs_are_values(name: str) -> None:
    spec = llmcx.load(name)
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec and hash(again) == hash(spec) and again is not spec
    assert dataclasses.replace(spec, d_model=spec.d_model * 2) != spec
    assert pickle.loads(pickle.dumps(llmcx.params(spec))) == llmcx.params(name)
