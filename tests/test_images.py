"""Images and sounds become as many tokens, in as many pictures, as transformers' own processors make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.errors import InputError
from llmcx.huggingface import from_config
from llmcx.model.spec import ModelSpec

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = json.loads((ROOT / "tests" / "oracle" / "images.json").read_text(encoding="utf-8"))


def read(family: dict[str, Any]) -> ModelSpec:
    """The model of a case."""
    beside = {"preprocessor_config": family["preprocessor"]} if family.get("preprocessor") else {}
    return from_config({**family["config"], **beside}, family["family"])


@pytest.mark.parametrize("family", [pytest.param(each, id=each["family"]) for each in GOLDEN["images"]])
def test_images(family: dict[str, Any]) -> None:
    """All sizes: tall, wide, tiny, huge, square."""
    sight = read(family).sight
    assert sight is not None
    for case in family["cases"]:
        width, height = case["image"]
        if "refused" in case:
            with pytest.raises(InputError):
                sight.see(width, height)
            continue
        seen = sight.see(width, height)
        assert (case["image"], seen.tokens, [*map(list, seen.pictures)]) == (case["image"], case["tokens"], case["pictures"])


@pytest.mark.parametrize("family", [pytest.param(each, id=each["family"]) for each in GOLDEN["sounds"]])
def test_sounds(family: dict[str, Any]) -> None:
    """From half a second to ten minutes; what the processor would cut off is refused."""
    hearing = read(family).hearing
    assert hearing is not None
    for case in family["cases"]:
        samples = int(case["seconds"] * 16000)
        if "refused" in case:
            with pytest.raises(InputError, match="keeps"):
                hearing.hear(samples)
            continue
        heard = hearing.hear(samples)
        assert (samples, heard.tokens, [heard.windows, heard.frames]) == (samples, case["tokens"], case["windows"])
