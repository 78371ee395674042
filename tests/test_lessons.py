"""The topics that people meet first: each formula computed as it is printed, from the values as they are printed, and the
commands asked for the same. Nothing here reads the formulas by the code that prints them.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from functools import lru_cache
from typing import Any

import pytest

from llmcx.catalog.presets import names as presets
from llmcx.explain.collect import drafts
from tests.helpers import here

LESSONS = [name for name, draft in drafts().items() if draft.lesson]
ASKED = (
    "parameters attention feed-forward kv-cache activations checkpointing flash sparse linformer performer moe "
    "capacity all-to-all chinchilla compute-optimal tensor-parallel pipeline context-parallel zero fsdp lora qlora "
    "roofline arithmetic-intensity mfu workspace quantization quantisation gguf gqa mqa mla sliding-window rope "
    "speculative-decoding prefill decode ttft tpot continuous-batching prefix-caching optimizer-states mixed- "
    "precision mamba state tp pp cp ffn "
)


@lru_cache
def told(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(here("explain", name, "--json").out)["result"]
    return found


@lru_cache
def result(command: str) -> Any:
    end = here(*shlex.split(command)[1:], "--json")
    assert end.code == 0, end.err
    return json.loads(end.out)["result"]


def number(text: str) -> float:
    return float(text.replace(",", ""))


def last_digit(text: str) -> float:
    """Half a unit of the last digit that is printed."""
    mantissa, _, power = text.replace(",", "").partition("e")
    return 0.5 * 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))


def computed(formula: str, values: dict[str, float]) -> float:
    """A formula of + - · / ^ ², brackets, ceil, min and max."""
    assert re.fullmatch(r"[\w\s·/^²+\-(),.]+", formula), formula
    python = formula.replace("·", "*").replace("^", "**").replace("²", "**2")
    return float(eval(python, {"__builtins__": {}, "ceil": math.ceil, "min": min, "max": max}, dict(values)))


def at(value: Any, field: str) -> float:
    """parts[kv_cache].bytes: of a list the row that any of its texts names, or a number's."""
    if " + " in field:
        return sum(at(value, part) for part in field.split(" + "))
    for name, row in re.findall(r"\.?(\w+)|\[([^\]]+)\]", field):
        if name:
            value = value[name]
        elif row.isdecimal():
            value = value[int(row)]
        else:
            [value] = [each for each in value if row in each.values()]
    return float(value)


@pytest.mark.parametrize("name", ASKED.split())
def test_what_people_meet_first_is_taught(name: str) -> None:
    assert told(name)["lesson"]


@pytest.mark.parametrize("name", LESSONS)
def test_the_example_is_the_formula_with_the_printed_values_put_in(name: str) -> None:
    lesson = told(name)
    printed = {each["symbol"]: each["value"] for each in lesson["symbols"]}
    values = {symbol: number(value) for symbol, value in printed.items()}
    used = set()
    for formula, example in zip(lesson["formulas"], lesson["examples"], strict=True):
        left, _, right = formula["formula"].partition(" = ")
        slack = last_digit(printed[left])
        assert computed(right, values) == pytest.approx(values[left], abs=slack * 1.001, rel=1e-12), formula
        put_in = example["asked"].partition(" = ")[2]
        assert computed(re.sub(r",(?=\d{3})", "", put_in), {}) == pytest.approx(values[left], abs=slack * 1.001, rel=1e-12)
        assert example["result"].startswith(printed[left])
        used |= {left, *re.findall(r"[^\W\d][a-z_]*", right)} - {"ceil", "min", "max", "²"}
    assert used == set(printed), "a symbol without a meaning, or a meaning that no formula needs"


@pytest.mark.parametrize("name", LESSONS)
def test_the_commands_say_the_same(name: str) -> None:
    lesson = told(name)
    printed = {each["symbol"]: each["value"] for each in lesson["symbols"]}
    assert lesson["lesson"]["answers"]
    for answer in lesson["lesson"]["answers"]:
        said, value = at(result(answer["command"]), answer["field"]), printed[answer["symbol"]]
        assert said == pytest.approx(number(value), abs=last_digit(value) * 1.001), answer


@pytest.mark.parametrize("name", LESSONS)
def test_it_is_prose(name: str) -> None:
    """No code, no docstring; each symbol has a meaning; what to read next exists; 80 columns hold it."""
    lesson = told(name)
    prose = [lesson["title"], lesson["text"], lesson["lesson"]["misleads"], *(each["meaning"] for each in lesson["symbols"])]
    for text in prose:
        assert text and not re.search(r"``|\bNone\b|Raises|self\.|\bdef\b|==|\*\*|:func:|>>>", text), text
    assert lesson["lesson"]["example"] and all(formula["source"] for formula in lesson["formulas"])
    assert all(other in drafts() for other in lesson["lesson"]["see"])
    assert any(
        word in " ".join(answer["command"] for answer in lesson["lesson"]["answers"]) for word in (*presets(), "gpt3", "--")
    )


@pytest.mark.parametrize("name", LESSONS)
def test_eighty_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = here("explain", name).out
    assert max(map(len, page.splitlines())) <= 80
    assert "²" not in here("explain", name, "--plain").out and "| --- |" in here("explain", name, "--format", "markdown").out


def test_the_list() -> None:
    """By theme, on two screens; --list names all; a misspelt topic gives one sentence with the nearest."""
    short, every = (json.loads(here("explain", *more, "--json").out)["result"] for more in ((), ("--list",)))
    assert [each["name"] for each in short] == LESSONS and len(short) >= 40
    assert [each["name"] for each in every] == list(drafts())
    end = here("explain", "kv-cach")
    assert end.code == 2 and "kv-cache" in end.err and len(end.err.splitlines()) == 1
    assert here("explain", "kv-cache", "--list").code == 2
