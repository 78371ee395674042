"""The topics that people meet first: each formula computed as it is printed, from the values as they are printed, and the
commands asked for the same. Nothing here reads the formulas by the code that prints them.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from llmcx.catalog.presets import names as presets
from llmcx.explain.collect import drafts
from llmcx.explain.slips import SLIPS
from tests.helpers import here

LESSONS = [name for name, draft in drafts().items() if draft.lesson]
ASKED = (
    "parameters attention feed-forward kv-cache activations checkpointing flash sparse linformer performer moe "
    "capacity all-to-all chinchilla compute-optimal tensor-parallel pipeline context-parallel zero fsdp lora qlora "
    "roofline arithmetic-intensity mfu workspace quantization quantisation gguf gqa mqa mla sliding-window rope "
    "speculative-decoding prefill decode ttft tpot continuous-batching prefix-caching optimizer-states mixed-precision"
    " mamba state tp pp cp ffn "
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
    """A formula of + - · / ^ ², brackets, ceil, min, max, ln and sqrt."""
    assert re.fullmatch(r"[\w\s·/^²+\-(),.]+", formula), formula
    python = formula.replace("·", "*").replace("^", "**").replace("²", "**2")
    known = {"__builtins__": {}, "ceil": math.ceil, "min": min, "max": max, "ln": math.log, "sqrt": math.sqrt}
    return float(eval(python, known, dict(values)))


def at(value: Any, field: str) -> float:
    """parts[kv_cache].bytes: of a list the row that any of its texts names, or a number's; of [ffn.*] all rows together."""
    if " / " in field:
        return at(value, field.partition(" / ")[0]) / at(value, field.partition(" / ")[2])
    if " + " in field:
        return sum(at(value, part) for part in field.split(" + "))
    if ".*]" in field:
        rows, _, rest = field.partition(".*]")
        rows, _, start = rows.rpartition("[")
        found = value
        for name in rows.split("."):
            found = found[name]
        return sum(at(row, rest.lstrip(".")) for row in found if row["component"].startswith(f"{start}."))
    for name, row in re.findall(r"\.?(\w+)|\[([^\]]+)\]", field):
        if name:
            value = value[name]
        elif row.isdecimal():
            value = value[int(row)]
        else:
            value = next(each for each in value if row in each.values())
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
        used |= {left, *re.findall(r"[^\W\d][a-z_]*", right)} - {"ceil", "min", "max", "ln", "sqrt", "²"}
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


# --- the chapter -------------------------------------------------------------------------------------------------------

CHAPTER = told("chapter")
FIGURES = [(i, j) for i, section in enumerate(CHAPTER["sections"]) for j, _ in enumerate(section["figures"])]
NAMES = ("gpt3", "llama-7b")


@pytest.mark.parametrize(("section", "figure"), FIGURES)
def test_each_figure_of_the_chapter(section: int, figure: int) -> None:
    """The formula computed from the printed symbols of either model, and what the command says of it."""
    of = CHAPTER["sections"][section]["figures"][figure]
    symbols = {each["symbol"]: each["values"] for each in CHAPTER["symbols"]}
    for i, model in enumerate(NAMES):
        values = {symbol: number(printed[i]) for symbol, printed in symbols.items()}
        assert set(re.findall(r"[^\W\d]\w*", of["formula"].replace("²", ""))) - {"ceil", "ln", "sqrt"} <= set(values)
        printed, slack = number(of["values"][i]), last_digit(of["values"][i]) * 1.001
        assert computed(of["formula"], values) == pytest.approx(printed, abs=slack), of
        if of["command"]:
            command = of["command"].replace("MODEL", model).replace("TOKENS", symbols["D"][i])
            said = at(result(command.replace("PARAMS", symbols["P"][i].replace(",", ""))), of["field"])
            assert said == pytest.approx(printed, abs=slack), of


def test_the_chapters_symbols_are_the_models() -> None:
    for i, model in enumerate(NAMES):
        assert result(f"llmcx params {model}")["total"] == number(
            next(s for s in CHAPTER["symbols"] if s["symbol"] == "P")["values"][i]
        )


@pytest.mark.parametrize("exercise", CHAPTER["exercises"], ids=lambda exercise: str(exercise["field"]))
def test_the_chapters_exercises(exercise: dict[str, Any]) -> None:
    for step, value in exercise["steps"]:
        assert computed(re.sub(r",(?=\d{3})", "", step), {}) == number(value)
    assert at(result(exercise["command"]), exercise["field"]) == number(exercise["steps"][-1][1])


def test_the_chapters_growth_and_slips() -> None:
    """The share of scores and weighted values in the layers' FLOPs; every slip of the list is told once."""
    for row in CHAPTER["growth"]:
        for model, share in zip(NAMES, row["shares"], strict=True):
            longer = f" --set positions={row['seq']}" if model == "gpt3" else ""
            said = result(f"llmcx flops {model} --seq {row['seq']}{longer}")
            core = at(said, "forward.components[attention.scores].flops + forward.components[attention.values].flops")
            assert share == pytest.approx(core / at(said, "groups[decoder.0].flops"), rel=1e-3)
    told_slips = [slip["chapter"] for section in CHAPTER["sections"] for slip in section["slips"]]
    assert sorted(told_slips) == sorted(slip.chapter for slips in SLIPS.values() for slip in slips)
    assert all(other in drafts() for section in CHAPTER["sections"] for other in section["see"])


def test_the_page_quotes_the_command_of_each_figure_and_exercise() -> None:
    """docs/chapter.md, as it stands or with GPT-3's numbers put in."""
    page = (Path(__file__).parent.parent / "docs" / "chapter.md").read_text(encoding="utf-8")
    own = {"MODEL": "gpt3", "PARAMS": "174604259328", "TOKENS": "300e9"}
    commands = {figure["command"] for section in CHAPTER["sections"] for figure in section["figures"] if figure["command"]}
    for command in sorted(commands | {exercise["command"] for exercise in CHAPTER["exercises"]}):
        for word, value in own.items():
            command = command.replace(word, value)
        assert f"`{command}`" in page, command


def test_the_picture_of_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    """n d² is straight, n² d twice as steep, and they meet at n = d, half-way between 128 and 2^20 tokens."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = here("explain", "chapter").out.splitlines()
    start = next(at for at, line in enumerate(lines) if "leading order, multiply-adds by tokens n" in line)
    rows = [line.partition("|")[2][:40] for line in lines[start + 1 : start + 13]]
    [cross] = [row.index("+") for row in rows if "+" in row]
    assert cross == round(39 * math.log(12288 / 128) / math.log(2**20 / 128)) == 20
    before, after = ([row for row in rows if row[column : column + 1].strip()] for column in (4, 37))
    assert before[0][4] == "." and after[0][37] == "*", "matrices are above before, attention after"
    seen = {letter: [at for at, row in enumerate(rows) if letter in row] for letter in ".*"}
    rise = {letter: at[-1] - at[0] for letter, at in seen.items()}
    assert rise["*"] == 11 and rise["."] in (5, 6)
    assert "n = d = 12,288" in "".join(lines) and "73,728" in lines[start + 7]


def test_the_chapter_in_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, here("explain", "chapter").out.splitlines())) <= 80
    assert "²" not in here("explain", "chapter", "--plain").out
    assert "| --- |" in here("explain", "chapter", "--format", "markdown").out
    assert here("explain", "chapter", "gpt2").code == 2
