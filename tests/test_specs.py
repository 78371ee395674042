"""Specs are values: hashed, compared, pickled."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

import llmcx


@pytest.mark.parametrize("name", ["gpt3", "deepseek-v3", "gemma-3-27b", "jamba-1.5-mini", "t5-11b"])
def test_specs_are_values(name: str) -> None:
    spec = llmcx.load(name)
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec and hash(again) == hash(spec) and again is not spec
    assert dataclasses.replace(spec, d_model=spec.d_model * 2) != spec
    assert pickle.loads(pickle.dumps(llmcx.params(spec))) == llmcx.params(name)
