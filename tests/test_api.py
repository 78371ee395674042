"""The Python API: the commands as functions, with every option by name, and answers that become data."""

from __future__ import annotations

import csv
import doctest
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from inspect import Parameter, signature
from keyword import iskeyword
from pathlib import Path
from typing import Any

import pytest

import llmcx
from llmcx.answers.chinchilla import Optima
from llmcx.answers.weights import Weights
from llmcx.cli import api
from llmcx.cli.python import FUNCTIONS, SHOWN, function
from llmcx.huggingface.weights import Compared
from llmcx.scaling.standing import Advice
from tests.helpers import data, refused, refuses

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

# Each function once or twice, beside the same question on the command line.
CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "params": (lambda: llmcx.params("llama-3-8b", kv_heads=32, dtype="int4"), "params llama-3-8b --kv-heads 32 --dtype int4"),
    "params of a shape": (
        lambda: llmcx.params(layers=4, d_model="1k", heads=8, vocab=1000),
        "params --layers 4 --d-model 1000 --heads 8 --vocab 1000",
    ),
    "flops": (
        lambda: llmcx.flops("t5-base", seq=100, source_seq="1k", recompute="full"),
        "flops t5-base --seq 100 --source-seq 1k --recompute full",
    ),
    "macs": (lambda: llmcx.flops("gpt3", batch=2, convention="macs"), "flops gpt3 --batch 2 --convention macs"),
    "memory": (
        lambda: llmcx.memory("llama-3-8b", seq="8k", batch=16, hardware="h100", engine="vllm", block=32),
        "memory llama-3-8b --seq 8k --batch 16 --hardware h100 --engine vllm --set block=32",
    ),
    "memory in training": (
        lambda: llmcx.memory(
            "llama-3-8b", train=True, seq=4096, tp=2, zero=1, gpus=8, sequence_parallel=False, budget=80_000_000_000
        ),
        "memory llama-3-8b --train --seq 4k --tp 2 --zero 1 --gpus 8 --set sequence_parallel=false --budget 80GB",
    ),
    "attention_compare": (
        lambda: llmcx.attention_compare("gpt3", seq=[512, "2k"], globals=8, utilization="50%", hardware="a100"),
        "attention-compare gpt3 --seq 512,2k --set globals=8 --utilization 0.5 --hardware a100",
    ),
    "moe": (
        lambda: llmcx.moe("mixtral-8x7b", seq=64, ep=4, imbalance=2, capacity_factor=1.25),
        "moe mixtral-8x7b --seq 64 --ep 4 --imbalance 2 --capacity-factor 1.25",
    ),
    "chinchilla": (
        lambda: llmcx.chinchilla(dollars="1M", hardware="h100", mfu="40%", law="epoch"),
        "chinchilla --dollars 1M --hardware h100 --mfu 0.4 --law epoch",
    ),
    "chinchilla of a model": (
        lambda: llmcx.chinchilla("gpt3", law=["hoffmann-3", "muennighoff"], compare=[10**9], unique_tokens=10**9, shape=True),
        "chinchilla gpt3 --law hoffmann-3 --law muennighoff --compare 1B --unique-tokens 1B --shape",
    ),
    "train": (
        lambda: llmcx.train("llama-2-7b", tokens=2 * 10**12, hardware="512xa100", seq="4k", plan=True),
        "train llama-2-7b --tokens 2T --hardware 512xa100 --seq 4k --plan",
    ),
    "serve": (
        lambda: llmcx.serve("mixtral-8x7b", hardware="2xh100", draft=3, acceptance=0.8, efficiency=["decode=0.9"]),
        "serve mixtral-8x7b --hardware 2xh100 --draft 3 --acceptance 0.8 --efficiency decode=0.9",
    ),
    "plan_serve": (
        lambda: llmcx.plan_serve("gpt-oss-120b", hardware=["h100", "h200"], gpus=4, tpot="20ms", price=[3, 4], confidence=0.9),
        "plan serve gpt-oss-120b --hardware h100,h200 --gpus 4 --tpot 20ms --price 3,4 --confidence 90%",
    ),
    "plan_local": (
        lambda: llmcx.plan_local(hardware="rtx-4090", ram="64GB", ram_bandwidth=80 * 10**9, seq=4096, at_most="20B", top=2),
        "plan local --hardware rtx-4090 --ram 64GB --ram-bandwidth 80GB --seq 4k --at-most 20B --top 2",
    ),
    "plan_lifetime": (
        lambda: llmcx.plan_lifetime(params="7B", inference_tokens="1T", hardware="h100", dtype=["fp8", "int4"], mfu="30%"),
        "plan lifetime --params 7B --inference-tokens 1T --hardware h100 --dtype fp8,int4 --mfu 0.3",
    ),
    "plan_train": (
        lambda: llmcx.plan_train(
            "llama-3-8b", tokens="1T", gpus="64", hardware=["h100", "a100"], days=20, price=[3, 2], engine="fsdp"
        ),
        "plan train llama-3-8b --tokens 1T --gpus 64 --hardware h100,a100 --days 20 --price 3,2 --engine fsdp",
    ),
    "plan_finetune": (
        lambda: llmcx.plan_finetune(
            "llama-3-8b", gpus=1, method=["lora", "qlora"], seq="2k", samples=1000, lora=8, budget="20GB"
        ),
        "plan finetune llama-3-8b --gpus 1 --method lora,qlora --seq 2k --samples 1k --lora 8 --budget 20GB",
    ),
    "compare": (
        lambda: llmcx.compare("llama-3-8b", "llama-3-8b --kv-heads 32", seq=8192, hardware="h100", budget=40 * 10**9),
        "compare llama-3-8b 'llama-3-8b --kv-heads 32' --seq 8k --hardware h100 --budget 40GB",
    ),
    "compare two": (
        lambda: llmcx.compare("llama-3-8b", "mistral-7b", with_=["params", "flops"], tied=True, causal=True),
        "compare llama-3-8b mistral-7b --with params,flops --set tied=true --causal",
    ),
    "bounds": (
        lambda: llmcx.bounds(params="7B", examples=15 * 10**12, compressed="2GB", seq=["1k", 8192]),
        "bounds --params 7B --examples 15T --compressed 2GB --seq 1k,8k",
    ),
    "shapes": (
        lambda: llmcx.shapes(flops="30T", depths=[16, 32], gated=False),
        "shapes --flops 30T --depths 16,32 --ungated",
    ),
}


def words(call: str) -> list[str]:
    """A command line's words, one of them perhaps quoted."""
    return [quoted or bare for quoted, bare in re.findall(r"'([^']*)'|(\S+)", call)]


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    return {name: call() for name, (call, _) in CALLS.items()}


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_published_counts() -> None:
    """Brown et al. 2020 (GPT-3 with its own vocabulary), Meta's and DeepSeek's checkpoints, as their files sum up."""
    assert llmcx.params("gpt3").total == 174_604_259_328
    assert llmcx.params("llama-3-8b").total == 8_030_261_248
    assert llmcx.params("deepseek-v3").total == 671_026_404_352
    assert llmcx.moe("mixtral-8x7b").total == 46_702_792_704


@pytest.mark.parametrize("name", CALLS)
def test_the_answer_is_the_commands(name: str, answers: dict[str, Any]) -> None:
    assert answers[name].to_dict() == data(*words(CALLS[name][1]))["result"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (lambda: llmcx.flops("llama-3-8b", seq="8k"), lambda: llmcx.flops("llama-3-8b", seq=8192)),
        (lambda: llmcx.memory("gpt2", seq=64, budget="80GB"), lambda: llmcx.memory("gpt2", seq=64, budget=80 * 10**9)),
        (
            lambda: llmcx.memory("gpt2", seq=64, hardware="h100", utilization="50%"),
            lambda: llmcx.memory("gpt2", seq=64, hardware="h100", utilization=0.5),
        ),
        (lambda: llmcx.shapes(params="7B", depths="16,32"), lambda: llmcx.shapes(params=7 * 10**9, depths=[16, 32])),
        (lambda: llmcx.bounds(params="1e9"), lambda: llmcx.bounds(params=10**9)),
    ],
)
def test_text_sizes_are_numbers(text: Callable[[], Any], number: Callable[[], Any]) -> None:
    assert text().to_dict() == number().to_dict()


def test_a_model_is_named_in_many_ways(tmp_path: Path) -> None:
    spec = llmcx.load("gpt2")
    file = DOCS / "example.yaml"
    mapping = json.loads((DOCS / "config.json").read_text(encoding="utf-8"))
    copied = tmp_path / "a model.json"
    copied.write_text(json.dumps(mapping), encoding="utf-8")
    total = llmcx.params("gpt2").total
    assert (
        llmcx.params(spec).total == llmcx.params(model="gpt2").total == llmcx.params(preset="gpt2").total == total == 124_439_808
    )
    assert llmcx.params(file).total == llmcx.params(str(file)).total == llmcx.params(config=file).total
    assert llmcx.params(copied).total == llmcx.params(mapping).total == llmcx.params(config=str(copied)).total
    assert llmcx.params("7B").total == llmcx.params(llmcx.load("7B")).total
    pairs: list[tuple[Any, Any]] = [(copied, spec), (str(copied).replace(" ", "\\ "), "gpt2"), (mapping, llmcx.load("gpt2"))]
    changes = [llmcx.compare(a, b, seq=64).figures[0].change for a, b in pairs]
    assert changes == [total - llmcx.params(mapping).total] * 3


def test_weights_beside_the_count(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    found = llmcx.params("gpt2", weights=file)
    assert isinstance(found, Weights) and (found.stored.elements, found.counted) == (2, 124_439_808)
    assert found.to_dict() == data("params", "gpt2", "--weights", str(file))["result"]
    assert llmcx.params(weights=str(file)).to_dict() == data("params", "--weights", str(file))["result"]
    assert found.rows() == [{"dtype": "F32", "elements": 2, "bytes": 8}] and len(repr(found)) < 200


def test_what_is_asked_with_numbers_alone_is_the_same() -> None:
    """flops of nothing but sizes goes round what the command writes about them."""
    for name in ("gpt3", "llama-3-8b", "t5-base", "7B"):
        for asked in ({}, {"seq": 100}, {"seq": 100, "batch": 3}, {"context": 7, "seq": 50}):
            numbers: dict[str, Any] = dict(asked)
            whole = function("flops").question.answer({"model": name, **numbers}).result
            assert llmcx.flops(name, **numbers).to_dict() == llmcx.flops(llmcx.load(name), **numbers).to_dict() == whole.to_dict()
    for wrong in ({"seq": 0}, {"batch": 0}, {"context": 0}, {"seq": 4096}, {"seq": -1}):
        fields = []
        for kind in (int, float):
            with pytest.raises(llmcx.InputError) as error:
                llmcx.flops("gpt3", **{key: kind(value) for key, value in wrong.items()})  # type: ignore[arg-type]
            fields.append((error.value.field, error.value.message))
        assert fields[0] == fields[1]


def test_rows_of_the_catalogue() -> None:
    assert llmcx.presets() == data("catalog", "models")["result"]
    assert {row["name"] for row in llmcx.presets(moe=True, at_least="600B")} >= {"deepseek-v3", "kimi-k2"}
    assert llmcx.hardware() == data("catalog", "hardware")["result"]
    assert llmcx.hardware("rtx4090").name == "rtx-4090" and llmcx.hardware("h100").memory_gb == 80
    with refuses("hardware"):
        llmcx.hardware("h1000")


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "field", "said"),
    [
        (lambda: llmcx.params("gtp3"), "preset", "did you mean gpt3"),
        (lambda: llmcx.params(7), "model", "must be a preset's name"),  # type: ignore[call-overload]
        (lambda: llmcx.memory("gpt3", dropout=True), "dropout", "changes nothing without --train"),
        (lambda: llmcx.memory("gpt3", precision="mixed"), "precision", "changes nothing without --train"),
        (lambda: llmcx.memory("gpt3", train=True, kv_dtype="fp8"), "kv_dtype", "changes nothing with --train"),
        (lambda: llmcx.memory("gpt3", block=32), "block", "unless --engine is vllm"),
        (lambda: llmcx.serve("gpt2", acceptance=0.5), "acceptance", "without --draft"),
        (lambda: llmcx.shapes(params="1B", flops="1T"), "params", "changes nothing with --flops"),
        (lambda: llmcx.memory("gpt3", seq=2.5), "seq", "must be a whole number"),  # type: ignore[arg-type]
        (lambda: llmcx.flops("gpt3", seq=True, batch=1), "seq", "must be a whole number"),
        (lambda: llmcx.flops("gpt3", causal="yes"), "causal", "must be true or false"),  # type: ignore[arg-type]
        (lambda: llmcx.compare("gpt3", "gpt2", with_="params", seq=64), "with", "which --with leaves out"),
        (lambda: llmcx.compare("gpt3", "gpt2", with_="memori"), "with", "did you mean memory"),
    ],
)
def test_refusals_are_the_commands(call: Callable[[], Any], field: str, said: str) -> None:
    with pytest.raises(llmcx.InputError, match=re.escape(said)) as error:
        call()
    assert error.value.field == field and error.value.message.isprintable()


def test_a_model_has_to_be_named() -> None:
    for call in (llmcx.params, llmcx.flops, lambda: llmcx.serve(None)):
        with pytest.raises(llmcx.InputError, match="no model"):
            call()


@pytest.mark.parametrize(
    ("call", "same"),
    [
        (lambda: llmcx.flops("gpt3", seq="8K8"), "flops gpt3 --seq 8K8"),
        (lambda: llmcx.flops("gpt3", seq=4096), "flops gpt3 --seq 4k"),
        (lambda: llmcx.memory("gpt3", budget="1G"), "memory gpt3 --budget 1G"),
        (lambda: llmcx.memory("gpt3", utilization=0.5), "memory gpt3 --utilization 50%"),
        (lambda: llmcx.memory("gpt3", lora_targets=["q"]), "memory gpt3 --set lora_targets=q"),
        (lambda: llmcx.train("gpt2", tokens="1B"), "train gpt2 --tokens 1B"),
        (lambda: llmcx.compare("gpt2", "gpt3", with_="serve", tp=1, gpus=2), "compare gpt2 gpt3 --with serve --tp 1 --gpus 2"),
        (lambda: llmcx.moe("gpt2"), "moe gpt2"),
        (lambda: llmcx.chinchilla("gpt2", law="chinchila"), "chinchilla gpt2 --law chinchila"),
    ],
)
def test_so_is_the_sentence(call: Callable[[], Any], same: str) -> None:
    with pytest.raises(llmcx.InputError) as error:
        call()
    assert refused(*words(same)) == f"llmcx: {error.value.message}\n"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: llmcx.flops("gpt3", seq=[1024, 2048]), "seq"),  # type: ignore[arg-type]
        (lambda: llmcx.flops("gpt3", seq=[1024]), "seq"),  # type: ignore[arg-type]
        (lambda: llmcx.flops("gpt3", seq="1k,2k"), "seq"),
        (lambda: llmcx.flops("gpt3", seq="1k:2k"), "seq"),
        (lambda: llmcx.flops(["gpt3"]), "model"),  # type: ignore[arg-type]
        (lambda: llmcx.memory("gpt3", engine=("vllm", "ideal")), "engine"),  # type: ignore[arg-type]
        (lambda: llmcx.train("gpt3", tokens=range(3)), "tokens"),  # type: ignore[arg-type]
        (lambda: llmcx.compare("gpt3", "gpt2", seq=[64, 128]), "seq"),  # type: ignore[arg-type]
    ],
)
def test_a_list_is_for_a_sweep(call: Callable[[], Any], field: str) -> None:
    with pytest.raises(llmcx.InputError, match=r"a list, but llmcx\.\w+ takes one value; llmcx\.sweep takes lists$") as error:
        call()
    assert error.value.field == field


# --- signatures -------------------------------------------------------------------------------------------------------


def test_the_written_file_is_current() -> None:
    """`python -m llmcx.cli.api` writes it anew."""
    assert api.HERE.read_text(encoding="utf-8") == api.text()


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "compare"])
def test_every_option_is_a_parameter(name: str) -> None:
    question = function(name).question
    found = signature(getattr(llmcx, name)).parameters
    assert len(found) == len(question.declared.keys() - SHOWN)
    for option, declared in question.declared.items():
        if option in SHOWN:
            continue
        spelled = question.flags[option].lstrip("-").replace("-", "_")
        near = [each for each in (spelled, option, option.strip("_"), "plan" if option == "search" else spelled) if each in found]
        parameter = found[near[-1]]
        assert parameter.kind is (
            Parameter.POSITIONAL_OR_KEYWORD if option in ("model", "models", "log") else Parameter.KEYWORD_ONLY
        )
        assert "Any" not in parameter.annotation and not iskeyword(parameter.name)
        assert ("Sequence" in parameter.annotation) == declared.whole
        if question.parameters[option].default is Parameter.empty:
            assert parameter.default is Parameter.empty
        elif not declared.needs:
            assert parameter.default == declared.default
        assert name != "params" or option == "model" or f"\n    {parameter.name}: " in (getattr(llmcx, name).__doc__ or "")


def test_compare_has_the_options_of_all_four() -> None:
    found = signature(llmcx.compare).parameters
    lent = {key for name in ("params", "flops", "memory", "serve") for key in signature(getattr(llmcx, name)).parameters}
    assert list(found)[:3] == ["a", "b", "with_"]
    assert found.keys() - {"a", "b", "with_"} == lent - {"model", "preset", "config", "hf", "weights"}


def test_classes_of_python_hold_what_the_mappings_do() -> None:
    assert Optima.__dataclass_fields__.keys() == Advice.__required_keys__ | Advice.__optional_keys__
    assert Weights.__dataclass_fields__.keys() == Compared.__required_keys__ | Compared.__optional_keys__


def test_nothing_is_imported_before_a_question() -> None:
    probe = (
        "import sys, typing, collections.abc; before = set(sys.modules); import llmcx; print(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in found if name != "__future__"] == ["llmcx", "llmcx.api", "llmcx.errors"]


# --- answers as data --------------------------------------------------------------------------------------------------


class Table(HTMLParser):
    """The cells of a table, row by row; every tag is closed in order, and none is unknown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[list[tuple[str, str, str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("table", "caption", "thead", "tbody", "tr", "th", "td")
        self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("th", "td"):
            self.cells[-1].append((tag, str(dict(attrs)["style"]), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] in ("th", "td"):
            tag, style, before = self.cells[-1][-1]
            self.cells[-1][-1] = (tag, style, before + text)


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_is_short_in_a_shell_and_a_table_in_a_notebook(name: str, answers: dict[str, Any]) -> None:
    answer = answers[name]
    text, rows = repr(answer), answer.rows()
    assert text.startswith(f"{type(answer).__name__}(") and len(text) < 200 and text.isprintable()
    assert rows and all(not isinstance(value, dict) for row in rows for value in row.values())
    table = Table(answer._repr_html_())
    head, *body = table.cells
    assert not table.open and len(body) == len(rows)
    assert [cell for _, _, cell in head] == list(rows[0])
    for row, cells in zip(rows, body, strict=True):
        for value, (tag, style, cell) in zip(row.values(), cells, strict=True):
            assert tag == "td"
            if isinstance(value, int) and not isinstance(value, bool):
                assert style == "text-align: right" and int(cell.replace(",", "")) == value
            elif isinstance(value, str):
                assert cell == value


@pytest.mark.parametrize("name", CALLS)
def test_rows_are_rows(name: str, answers: dict[str, Any]) -> None:
    rows = answers[name].rows()
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows)
    assert frame.shape == (len(rows), len(rows[0])) and list(frame.columns) == list(rows[0])


def test_main_tables_add_up(answers: dict[str, Any]) -> None:
    """The rows that are parts of a total are all of it."""
    for name, number, total in (
        ("params", "params", answers["params"].total),
        ("flops", "flops", answers["flops"].forward.total),
        ("memory", "bytes", answers["memory"].total_bytes),
        ("moe", "params", answers["moe"].total),
    ):
        assert sum(row[number] for row in answers[name].rows()) == total
    run = answers["train"]
    step = {row["name"]: row["estimate"] for row in run.rows()}
    assert step["step_s"] == pytest.approx(sum(value for key, value in step.items() if key.startswith("step.")))
    assert step["days"] == run.training.estimate.days


def test_a_field_called_rows_is_both() -> None:
    found = llmcx.attention_compare("gpt3", seq=64, variant=["flash", "mqa"])
    assert [row.variant for row in found.rows] == [row["variant"] for row in found.rows()] == ["flash", "mqa"]


def test_html_is_escaped() -> None:
    spec = llmcx.params({**json.loads((DOCS / "config.json").read_text(encoding="utf-8"))})
    assert "&lt;" not in spec._repr_html_()
    from llmcx.answers import Result

    class Odd(Result, table="found", brief="said"):
        said = "<b>&"
        found = ({"<i>": "<script>", "n": None}, {"<i>": True, "n": 1e21})

    text = Odd()._repr_html_()
    assert "<script>" not in text and "<b>" not in text and "&lt;script&gt;" in text
    assert [[cell for _, _, cell in row] for row in Table(text).cells] == [["<i>", "n"], ["<script>", ""], ["True", "1e+21"]]


# --- docs/python.md ---------------------------------------------------------------------------------------------------

PAGE = DOCS / "python.md"


def examples() -> list[doctest.Example]:
    """Those of the page."""
    blocks = re.findall(r"```pycon\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return [example for block in blocks for example in doctest.DocTestParser().get_examples(block)]


def test_the_page_is_true() -> None:
    pytest.importorskip("pandas")
    test = doctest.DocTest(examples(), {}, PAGE.name, str(PAGE), 0, None)
    report = io.StringIO()
    found = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(test, out=report.write)
    assert found.attempted > 20 and not found.failed, report.getvalue()


TYPED = """
reveal_type(llmcx.params("gpt3"))
reveal_type(llmcx.params(weights="x"))
reveal_type(llmcx.train("gpt3", tokens=1).training.estimate.days)
reveal_type(llmcx.chinchilla(compute="1e21").laws[0].loss)
reveal_type(llmcx.attention_compare("gpt3").rows())
reveal_type(llmcx.hardware("h100"))
"""
REVEALED = ("Params", "Weights", "float", "float | None", "list[dict[str, Any]]", "Hardware")


def test_the_page_is_typed(tmp_path: Path) -> None:
    """mypy --strict, somewhere else, as of a package that is installed: it has no complaint, and knows what comes back."""
    pytest.importorskip("mypy")
    source = "".join(example.source for example in examples()).replace("import pandas\n", "import pandas  # type: ignore\n")
    (tmp_path / "page.py").write_text(source + TYPED, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(
        'import llmcx\nllmcx.flops("gpt3", sequence=1)\nllmcx.flops("gpt3", seq=[1])\n', encoding="utf-8"
    )
    flags = ["--strict", "--no-error-summary", "--no-warn-unused-ignores", "--cache-dir", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, "page.py", "wrong.py"], cwd=tmp_path, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if ": note: " not in line or "Revealed" in line]
    revealed = [line.partition('Revealed type is "')[2].rstrip('"') for line in lines if "Revealed" in line]
    assert [re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", each) for each in revealed] == list(REVEALED), done.stdout
    problems = [line for line in lines if "Revealed" not in line]
    assert [line.partition(":")[0] for line in problems] == ["wrong.py"] * 2, done.stdout
    assert "sequence" in problems[0] and "list[int]" in problems[1]
