"""The JSON contract that other programs depend on, and what a pipe and a terminal get."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

import llmcx
from llmcx.catalog.load import load_preset
from llmcx.catalog.presets import MODELS, names
from llmcx.cli import MOVED
from llmcx.model.spec import Attention
from tests.helpers import data, here, refused, strict
from tests.helpers import llmcx as call

CONTRACT = """
params total:int active:int embedding:int non_embedding:int components:list
flops forward.total:int backward.total:int train.total:int per_token:number elementwise:dict
memory total_bytes:int parts:list
attention-compare rows:list crossovers:list recommendation:list
moe total:int active:int expert:int shared:int router:int flops_per_token:int capacity:dict? dense_equivalent:dict
moe all_to_all_bytes:int
chinchilla laws:list

params components[] component:str params:int share:float
flops forward.components[] component:str flops:int share:float
flops backward.components[] component:str flops:int share:float
flops train.components[] component:str flops:int share:float
memory parts[] part:str bytes:int formula:str
attention-compare rows[] variant:str seq:int forward_flops:int memory_bytes:int kv_bytes:int hops:int? max_seq:int?
chinchilla laws[] law:str params:float tokens:float compute:float loss:float? tokens_per_param:float
"""
"""Fields and their types, by command; a word that ends in [] is the list whose rows have them."""
TYPES = {"int": (int,), "number": (int, float), "float": (float,), "str": (str,), "list": (list,), "dict": (dict,)}
PARTS = {"weights", "gradients", "optimizer", "activations", "kv_cache", "state", "logits", "workspace"}
MIXTURES = {name for name in names() if load_preset(name).mixtures}


def at(value: Any, path: str) -> Any:
    """What stands at a path such as forward.total; the value itself at none."""
    for key in filter(None, path.split(".")):
        value = value[key]
    return value


def check(command: str, out: dict[str, Any]) -> None:
    """One object of the contract."""
    assert next(iter(out)) == "schema" and out["schema"] == f"llmcx.{command}/2"
    assert set(out) >= {"schema", "inputs", "result", "notes"}
    if command not in ("chinchilla", "bounds", "shapes"):  # these are about no model
        assert set(out["model"]) >= {"name", "family", "source"} and isinstance(out["model"]["name"], str)
    assert isinstance(out["inputs"], dict) and all(isinstance(note, str) for note in out["notes"])
    assert all(isinstance(out.get(key, ""), str) for key in ("asked", "verdict"))
    for line in CONTRACT.splitlines():
        owner, *fields = line.split() or [""]
        if owner != command:
            continue
        of_rows = fields[0].endswith("[]")
        rows = at(out["result"], fields.pop(0)[:-2]) if of_rows else [out["result"]]
        assert rows
        for row in rows:
            for path, _, kind in (field.partition(":") for field in fields):
                value = at(row, path)
                allowed = TYPES[kind.rstrip("?")] + ((type(None),) if kind.endswith("?") else ())
                assert isinstance(value, allowed) and not isinstance(value, bool), f"{path} is {value!r}"


@pytest.mark.parametrize("preset", names())
def test_every_preset_keeps_the_contract(preset: str) -> None:
    """Fields, types, sums; and every integer is the Python API's, exactly."""
    out = data("params", preset)
    check("params", out)
    sizes = llmcx.params(preset)
    for name in ("total", "active", "embedding", "non_embedding"):
        assert out["result"][name] == getattr(sizes, name)
    assert [(row["component"], row["params"]) for row in out["result"]["components"]] == [
        (row.component, row.params) for row in sizes.components
    ]

    out = data("flops", preset, "--seq", "64", "--batch", "3")
    check("flops", out)
    assert out["inputs"] | {"batch": 3, "seq": 64, "convention": "flops", "causal": False} == out["inputs"]
    run = llmcx.flops(preset, batch=3, seq=64)
    for name in ("forward", "backward", "train"):
        assert out["result"][name]["total"] == getattr(run, name).total

    for train in (False, True):
        out = data("memory", preset, "--seq", "64", *(["--train"] if train else []))
        check("memory", out)
        assert out["result"]["total_bytes"] == llmcx.memory(preset, seq=64, train=train).total_bytes
        assert {part["part"] for part in out["result"]["parts"]} <= PARTS

    if any(isinstance(layers.mixer, Attention) for layers in load_preset(preset).groups):
        check("attention-compare", data("attention-compare", preset, "--seq", "64"))
    else:
        assert "no plain softmax attention" in refused("attention-compare", preset, "--seq", "64")
    if preset in MIXTURES:
        out = data("moe", preset, "--seq", "64")
        check("moe", out)
        experts = llmcx.moe(preset, seq=64)
        for name in ("total", "active", "expert", "shared", "router", "flops_per_token", "all_to_all_bytes"):
            assert out["result"][name] == getattr(experts, name)
        assert (out["result"]["total"], out["result"]["active"]) == (sizes.total, sizes.active)

    shown = data("catalog", "show", preset)
    assert shown["schema"] == "llmcx.presets/2" and shown["result"]["name"] == preset
    end = here("params", "-", "--json", stdin=here("catalog", "show", preset, "--json").out.encode())
    assert strict(end.out)["result"]["total"] == sizes.total
    assert here("catalog", "path", preset).out == f"{MODELS / preset}.yaml\n"
    assert here("catalog", "show", preset).out == (MODELS / f"{preset}.yaml").read_text(encoding="utf-8")
    valid = data("catalog", "validate", str(MODELS / f"{preset}.yaml"))
    assert valid["model"]["name"] == preset and valid["result"]["total"] == sizes.total


def test_memory_part_names() -> None:
    for more in (
        "",
        "--train",
        "--attention performer:r=64",
        "--train --zero 3 --gpus 8 --set checkpoint_every=8",
        "--kv-dtype int8",
    ):
        assert {part["part"] for part in data("memory", "gpt3", *more.split())["result"]["parts"]} <= PARTS


@pytest.mark.parametrize(
    "args",
    [
        "chinchilla --compute 5.76e23",
        "chinchilla --params 70B --compare 1B,2B",
        "textbook bounds",
        "textbook shapes --params 1B --depths 8",
    ],
)
def test_answers_about_no_model(args: str) -> None:
    check(args.removeprefix("textbook ").split()[0], data(*args.split()))


def test_catalog_of_models() -> None:
    out = data("catalog", "models")
    assert out["schema"] == "llmcx.presets/2"
    assert [(row["name"], row["total"]) for row in out["result"]] == [(name, llmcx.params(name).total) for name in names()]


def test_the_real_command_once() -> None:
    done = call("params", "gpt3", "--json")
    assert done.stderr == "" and strict(done.stdout) == data("params", "gpt3")


SEVERAL = [
    ("params gpt3 gpt2 --kv-heads 1,4", 4),
    ("params llama-2-70b --kv-heads 1,8,64 --dtype int4", 3),
    ("flops gpt3 llama-3-8b --seq 128,256 --batch 1,2", 8),
    ("memory gpt2 --seq 128,256 --batch 1,2", 4),
    ("attention-compare gpt2 gpt3 --seq 64,128", 2),
    ("moe mixtral-8x7b switch-c --seq 64", 2),
]


@pytest.mark.parametrize(("args", "count"), SEVERAL)
def test_several_results(args: str, count: int) -> None:
    command = args.split()[0]
    out = data(*args.split())
    assert set(out) == {"schema", "results"} and out["schema"] == f"llmcx.{command}/2" and len(out["results"]) == count
    for one in out["results"]:
        check(command, one)
    assert len({repr((one["model"]["name"], one["inputs"])) for one in out["results"]}) == count
    lines = here(*args.split(), "--format", "jsonl").out.splitlines()
    assert [strict(line) for line in lines] == out["results"]


def test_one_answer_as_jsonl_is_one_line() -> None:
    out = here("params", "gpt3", "-f", "jsonl").out
    assert out.count("\n") == 1 and [strict(out)] == data("params", "gpt3")["results"]


@pytest.mark.parametrize("args", ["params gpt3", "memory llama-3.1-70b --hardware h100", "catalog show h100", "catalog models"])
def test_the_parts_of_one_answer_stand_at_the_top_too(args: str) -> None:
    out = data(*args.split())
    assert out["results"] == [{key: value for key, value in out.items() if key != "results"}]


def test_verdicts() -> None:
    """Llama 3.1 70B's 70.55 B parameters of two bytes are 141 GB, more than the 80 GB of one H100 and less than those of four."""
    no = data("memory", "llama-3.1-70b", "--seq", "1k", "--hardware", "h100")
    assert 2 * 70_553_706_496 > 80e9 and no["result"]["fits"] is False
    assert "does not fit" in no["verdict"] and "Llama 3.1 70B" in no["asked"] and no["changes"]
    for change in no["changes"]:
        words = here("memory", "llama-3.1-70b", "--seq", "1k", "--hardware", "h100", *change["options"].split(), "--json")
        assert words.code == 0 and strict(words.out)["result"]["fits"] is True, change
    yes = data("memory", "llama-3.1-70b", "--seq", "1k", "--hardware", "4xh100")
    assert yes["result"]["fits"] is True and "changes" not in yes and "does not fit" not in yes["verdict"]


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=[" ".join(old) for old in MOVED])
def test_scripts_of_the_first_edition_go_on(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """A call by a command's old name is the call by its new one."""
    more: dict[tuple[str, ...], str] = {
        ("presets",): "show gpt3 --json",
        ("hardware",): "show h100 --json",
        ("shapes",): "--params 1B",
        ("completions",): "zsh",
    }
    rest = more.get(old, "").split()
    end = here(*old, *rest)
    assert (end.code, end.err) == (0, "") and end.out and end == here(*new, *rest)


def test_a_model_by_its_option_is_the_same_model() -> None:
    config = here("catalog", "show", "gpt3", "--json").out.encode()
    assert data("params", "--preset", "gpt3") == data("params", "gpt3")
    assert here("params", "--config", "-", "--json", stdin=config) == here("params", "-", "--json", stdin=config)
    both = data("params", "gpt2", "--preset", "gpt3", "--config", str(MODELS / "llama-3-8b.yaml"))
    assert [one["model"]["name"] for one in both["results"]] == ["gpt2", "gpt3-175b", "llama-3-8b"]


# --- CSV and Markdown -----------------------------------------------------------------------------------------------


def table(*args: str) -> list[dict[str, str]]:
    """The rows of `llmcx ARGS --format csv`, header first, all of one width, nothing after them."""
    end = here(*args, "--format", "csv")
    assert (end.code, end.err) == (0, ""), end
    header, *rows = list(csv.reader(io.StringIO(end.out)))
    assert header and all(header) and len(set(header)) == len(header) and rows
    assert all(len(row) == len(header) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ("params gpt3", "components"),
        ("params switch-c", "components"),
        ("flops gpt3", "forward.components"),
        ("memory gpt3 --train", "parts"),
        ("attention-compare gpt3 --seq 64,128 --budget 80GB", "rows"),
        ("chinchilla --compute 1e21", "laws"),
        ("textbook shapes --params 1B --depths 8,16", "shapes"),
        ("catalog models", ""),
    ],
)
def test_csv_holds_what_json_holds(args: str, path: str) -> None:
    expected = at(data(*args.split())["result"], path)
    rows = table(*args.split())
    for row, reference in zip(rows, expected, strict=False):  # a total may follow
        for key, text in row.items():
            if key in reference:
                assert text == ("" if reference[key] is None else str(reference[key])), key
    for extra in rows[len(expected) :]:
        for key in ("params", "flops", "bytes"):
            if key in extra:  # to the last digit
                assert int(extra[key]) == sum(row[key] for row in expected)


@pytest.mark.parametrize(
    "args",
    [
        "train llama-3-8b --tokens 1T --gpus 64 --plan",
        "serve llama-3-8b --batch 8",
        "catalog show h100",
        "memory llama-3-8b --seq 8k --budget 80GB",
        "moe mixtral-8x7b",
        "chinchilla --compute 1e25",
        "chinchilla gpt3",
        "textbook bounds",
    ],
)
def test_a_row_of_csv_has_a_name_and_raw_numbers(args: str) -> None:
    rows = table(*args.split())
    names = [next(iter(row.values())) for row in rows]
    assert all(names) and len(set(names)) == len(names)
    rounded = re.compile(r"-?[\d,]+(\.\d+)? ?(%|×|[kMGTPE]?B|[kMBTGPE]|[µm]?s)")
    assert not [
        text for row in rows for text in row.values() if rounded.fullmatch(text) or re.fullmatch(r"\d{1,3}(,\d{3})+", text)
    ]


def test_train_as_csv_is_json_by_name() -> None:
    args = ["train", "llama-3-8b", "--tokens", "1T", "--gpus", "64"]
    run, rows = data(*args)["result"]["training"], {row["name"]: row for row in table(*args)}
    for side in ("ideal", "estimate"):
        results = run[side] | {f"step.{part}": seconds for part, seconds in run[side]["step"].items()}
        named = {name: float(row[side]) for name, row in rows.items() if not name.startswith("memory.")}
        assert named == {name: results[name] for name in named} and {"days", "mfu", "usd", "step.compute"} <= named.keys()
    assert {name: float(row["estimate"]) for name, row in rows.items() if name.startswith("memory.")} == {
        f"memory.{part}": size for part, size in run["memory"].items()
    }


@pytest.mark.parametrize("args", ["moe mixtral-8x7b", "textbook bounds"])
def test_csv_of_a_summary(args: str) -> None:
    table(*args.split())


@pytest.mark.parametrize(("args", "count"), SEVERAL)
def test_csv_of_several(args: str, count: int) -> None:
    rows = table(*args.split())
    assert len(rows) == count
    for row, one in zip(rows, data(*args.split())["results"], strict=True):
        assert row.get("model", one["model"]["name"]) == one["model"]["name"]
        for key, text in row.items():
            value = one["result"].get(key, one["inputs"].get(key))
            if isinstance(value, dict):
                value = value.get("total")
            if isinstance(value, int) and not isinstance(value, bool):
                assert int(text) == value, key


@pytest.mark.parametrize("args", ["params gpt2 mixtral-8x7b", "params mixtral-8x7b gpt2"])
def test_csv_of_several_has_every_models_columns(args: str) -> None:
    active = {row["model"]: int(row["active"]) for row in table(*args.split())}
    assert active == {name: llmcx.params(name).active for name in ("gpt2", "mixtral-8x7b")}


EVERY = [
    "params gpt3",
    "params gpt3 --explain",
    "flops llama-3-8b",
    "flops switch-c --causal",
    "memory gpt3 --train --set checkpoint_every=8 --zero 2 --gpus 8",
    "attention-compare gpt3 --budget 80GB",
    "moe mixtral-8x7b --capacity-factor 1.25",
    "chinchilla --compute 1e21 --compare 1B,2B",
    "textbook bounds",
    "textbook shapes --params 1B --depths 8,16",
    "catalog models",
    "catalog show gpt3",
    *(args for args, _ in SEVERAL),
]


@pytest.mark.parametrize("args", EVERY)
def test_markdown_is_pipe_tables(args: str) -> None:
    end = here(*args.split(), "--format", "markdown")
    assert (end.code, end.err) == (0, "") and "\x1b" not in end.out
    lines = end.out.splitlines()
    cells = [len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0 for line in lines]
    starts = [at for at, n in enumerate(cells) if n and not (at and cells[at - 1])]
    assert starts
    for at in starts:
        assert re.fullmatch(r"\|( -+:? \|)+", lines[at + 1]), lines[at + 1]
        rows = next((n for n, width in enumerate(cells[at:]) if not width), len(cells) - at)
        assert rows > 2 and len(set(cells[at : at + rows])) == 1
        assert at == 0 or lines[at - 1] == ""  # a table needs a blank line before it, as its title needs one after


def test_exact_integers_in_markdown() -> None:
    assert "174,604,259,328" in here("params", "gpt3", "--format", "markdown").out


# --- terminals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 20, 40, 80, 200])
@pytest.mark.parametrize(
    ("args", "total"),
    [
        ("params gpt3", "174,604,259,328"),
        # transformers' count, and the release's own head
        ("params switch-c", f"{1_571_261_049_120 + 32_128 * 2_080:,}"),
        ("flops gpt3", "734,804,261,732,352"),
        ("memory llama-3-8b --dtype bf16", f"{2 * 8_030_261_248:,}"),
        ("moe mixtral-8x7b", "46,702,792,704"),
        ("catalog models", "174.6 B"),  # the exact number follows where there is room
    ],
)
def test_tables_never_cut_a_number(monkeypatch: pytest.MonkeyPatch, columns: int, args: str, total: str) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    end = here(*args.split())
    assert (end.code, end.err) == (0, "")
    assert "…" not in end.out and "\x1b" not in end.out and total in end.out


@pytest.mark.parametrize("args", [args for args in EVERY if "compare" not in args])
def test_nothing_that_fits_is_broken_over_lines(monkeypatch: pytest.MonkeyPatch, args: str) -> None:
    """A number that was cut or folded would not stand in the widest rendering."""
    found = []
    for columns in ("200", "1000"):
        monkeypatch.setenv("COLUMNS", columns)
        end = here(*args.split())
        assert (end.code, end.err) == (0, "") and "…" not in end.out and "\x1b" not in end.out
        found.append(set(re.findall(r"\d[\d,.]*", end.out.replace(f"{columns} columns have no room", ""))))
    assert found[0] <= found[1]
