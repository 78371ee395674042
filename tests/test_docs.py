"""Figures in prose: what README, docs, the changelog and --help say of llmcx is what it has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median

import pytest

from llmcx.answers.attention_compare import all_variants
from llmcx.catalog.index import names
from llmcx.catalog.presets import names as presets
from llmcx.huggingface import WHERE

ROOT = Path(__file__).resolve().parent.parent
WORDS = {"eleven": 11, "seventeen": 17}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def held_against_torch() -> int:
    """Attention variants of which tests/oracle/attention.py has a plain reference."""
    return len({case["variant"].partition(":")[0] for case in json.loads(read("tests/oracle/attention_golden.json"))["cases"]})


def kept_exactly() -> int:
    """Families whose kept bytes are equal to autograd's, or explained to the byte."""
    return len(re.findall(r"\| (?:equal|yes) \|$", read("docs/kept.md"), re.M))


@pytest.mark.parametrize(
    ("file", "pattern", "count"),
    [
        ("README.md", r"is one of (\w+) presets", len(presets())),
        ("docs/own_models.md", r"presets/models\) has (\w+) to start from", len(presets())),
        ("CHANGELOG.md", r"(\w+) `model_type`s", len(WHERE)),
        ("README.md", r"On (\w+) accelerators", len(names("hardware"))),
        ("docs/guide.md", r"on (\w+) accelerators", len(names("hardware"))),
        ("README.md", r"(\w+) published laws", len(names("laws"))),
        ("README.md", r"(\w+) more, as people asked", len(re.findall("^### ", read("docs/questions.md"), re.M))),
        ("docs/truth.md", r"(\w+) published laws", len(names("laws"))),
        ("CHANGELOG.md", r"(\w+) scaling laws", len(names("laws"))),
        ("docs/guide.md", r"(\w+) published fits", len(names("laws"))),
        ("docs/speed.md", r"\((\w+) variants, every crossing", len(all_variants())),
        ("llmcx/cli/attention_compare.py", r"Default: (\w+)\. The first", len(all_variants())),
        ("docs/truth.md", r"References of (\w+) variants", held_against_torch()),
        ("docs/truth.md", r"exact for (\w+) families", kept_exactly()),
    ],
)
def test_counts(file: str, pattern: str, count: int) -> None:
    found = re.findall(pattern, read(file))
    assert [WORDS.get(said.lower()) or int(said) for said in found] == [count]


def test_readme_repeats_what_was_measured() -> None:
    """The milliseconds of docs/speed.md's questions, the median errors of docs/validation.md."""
    questions = read("docs/speed.md").partition("| question | ms more |")[2].partition("\n##")[0]
    spent = [int(ms) for ms in re.findall(r"\| (\d+) \|$", questions, re.M)]
    assert 70 <= median(spent) <= 130 and "in a tenth of a second" in " ".join(read("README.md").split())
    errors = re.findall(
        r"^\| (?:training|serving) \| (?:[\d.]+% \(\d+ rows\)|none) \| ([\d.]+)%", read("docs/validation.md"), re.M
    )
    assert [int(float(error) + 0.5) for error in errors] == [9, 8]
    assert "9% in training, 8% in serving" in read("README.md") and "9% in training and 8% in serving" in read("docs/guide.md")
