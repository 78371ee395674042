"""llmcx sweep: every point, in order, the same as the command's own answer, whatever writes it and however it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcx
from llmcx.cli import COMMANDS, sweeping
from llmcx.cli.grid import Grid
from llmcx.cli.values import texts
from llmcx.errors import InputError
from llmcx.report.parquet import GROUP
from tests.helpers import data, here, refused, strict, until_closed

CLI = Path(__file__).resolve().parent.parent / "llmcx" / "cli"


def answer(*words: str) -> dict[str, Any]:
    """A command's own answer, without the lines that are for a reader: as a sweep has it."""
    [whole] = data(*words)["results"]
    return {key: value for key, value in whole.items() if key not in ("asked", "verdict", "changes")}


def lines(call: str) -> list[Any]:
    end = here(*shlex.split(f"sweep {call}"))
    assert (end.code, end.err) == (0, ""), end
    return [strict(line) for line in end.out.splitlines()]


def table(call: str) -> list[dict[str, str]]:
    end = here(*shlex.split(f"sweep {call} --format csv"))
    assert (end.code, end.err) == (0, ""), end
    return list(csv.DictReader(io.StringIO(end.out)))


# --- the points -------------------------------------------------------------------------------------------------------


def test_each_line_is_the_commands_own_answer() -> None:
    rows = lines("memory gpt2 llama-3-8b --seq 512:1k:x2 --batch 1 --batch 4 --train true,false")
    points = product(("gpt2", "llama-3-8b"), ("512", "1024"), ("1", "4"), (["--train"], []))
    assert rows == [answer("memory", p, "--seq", n, "--batch", b, *train) for p, n, b, train in points]
    assert rows == lines("memory --preset gpt2,llama-3-8b --seq 512,1k --batch 1,4 --train true,false")


def test_the_command_itself_takes_the_same_lists() -> None:
    asked = "memory gpt2 llama-3-8b --seq 512:1k:x2 --batch 1,4 --set tied=true"
    results = data(*asked.split())["results"]
    assert len(results) == 8
    assert [{key: one[key] for key in ("schema", "model", "inputs", "result", "notes")} for one in results] == lines(asked)


@pytest.mark.parametrize("name", sweeping.names())
def test_every_command_can_be_swept(name: str) -> None:
    asked = {
        "chinchilla": "--compute 1e21,1e22 --law epoch",
        "bounds": "--params 1M,10M --examples 1B",
        "shapes": "--params 100M,200M",
        "moe": "mixtral-8x7b --batch 1,2",
        "train": "gpt2 --tokens 1B,2B --gpus 8",
        "attention-compare": "gpt2 --variant standard,flash --seq 512",
        "serve": "gpt2 --prompt 512 --output 512 --dtype int8,int4",
    }.get(name, "gpt2 --batch 1,2" if name != "params" else "gpt2 gpt3")
    found = lines(f"{name} {asked}")
    assert len(found) == 2 and found[0] != found[1]
    assert {row["schema"] for row in found} == {f"llmcx.{sweeping.swept(name).shows}/2"}


def test_what_is_swept_is_every_command_that_answers_a_question() -> None:
    others = {"catalog", "tools", "textbook", "plan", "explain", "explain-log", "check", "sweep", "compare"}
    assert set(COMMANDS) - set(sweeping.names()) == others
    assert set(sweeping.names()) - set(COMMANDS) == {"bounds", "shapes"}  # the textbook's


@settings(max_examples=60, deadline=None)
@given(lists=st.dictionaries(st.sampled_from("abcde"), st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1))
def test_points_are_the_product_in_order(lists: dict[str, list[int]]) -> None:
    grid = Grid(lists)
    expected = [dict(zip(lists, point, strict=True)) for point in product(*lists.values())]
    assert [grid.point(number) for number in range(grid.size)] == expected


def test_zip() -> None:
    rows = table("memory gpt2 --seq 128,256 --batch 8,4 --dtype bf16,fp32 --zip seq,batch --select result.total_bytes")
    points = [(row["seq"], row["batch"], row["dtype"]) for row in rows]
    assert points == [("128", "8", "bf16"), ("128", "8", "fp32"), ("256", "4", "bf16"), ("256", "4", "fp32")]


def test_lists_as_people_write_them() -> None:
    assert texts("512,1k:4k:x2,8:10:+1", "length", "--seq") == [512, 1024, 2048, 4096, 8, 9, 10]
    assert texts("1k:3k:+1k", "count", "--heads") == [1000, 2000, 3000]
    for several in (["mla", "fixed:k=128,c=8", "gqa:g=8", "local:w=4"], ["q4_k_m", "gptq:bits=8,group=32", "bf16"]):
        assert texts(",".join(several), "word", "-a") == several
    for asked, stdin in (("flops gpt2 --seq 4,096", b""), ("-", b"{command: flops, model: gpt2, seq: '4,096'}")):
        assert "write 4096" in refused("sweep", *asked.split(), stdin=stdin)
    rows = table("memory gpt2 --budget 1GB:3GB:+1GB --select result.headroom_bytes,result.budget_bytes")
    budgets = ["1000000000", "2000000000", "3000000000"]
    assert [row["result.budget_bytes"] for row in rows] == [row["budget"] for row in rows] == budgets
    prices = ["1.5", "2.0", "2.5", "3.0"]
    assert [row["price"] for row in table("serve -p llama-3.2-1b --price 1.5:3:+0.5")] == prices
    assert [row["bias"] for row in table("params gpt2 --no-bias=true,false")] == ["false", "true"]
    assert len(table("params -p gpt2 -L12,24 -d 768")) == 2


# --- columns ----------------------------------------------------------------------------------------------------------


def test_csv_has_the_inputs_the_model_and_every_number_of_the_result() -> None:
    [row] = table("flops gpt3 --seq 2k")
    result = data("flops", "gpt3", "--seq", "2k")["result"]
    assert list(row)[:2] == ["model", "seq"] and row["model"] == "gpt3" and row["seq"] == "2048"
    flat = {f"result.{key}": value for key, value in result.items() if not isinstance(value, (dict, list))}
    flat |= {f"result.{key}.total": result[key]["total"] for key in ("forward", "backward", "train", "elementwise", "decode")}
    flat |= {f"result.crossover.{key}": value for key, value in result["crossover"].items()}
    assert {name: value for name, value in row.items() if name.startswith("result.")} == {k: str(v) for k, v in flat.items()}


def test_columns_do_not_depend_on_the_first_row() -> None:
    """A number that only some answers have has its column, empty elsewhere."""
    rows = table("memory gpt2 --train --recompute none --set checkpoint_every=2,4")
    assert [row["result.checkpointing.every"] for row in rows] == ["2", "4"]
    names = list(rows[0])
    assert list(table("memory gpt2")[0]) == [name for name in names if name not in ("train", "recompute", "checkpoint_every")]


def test_select() -> None:
    paths = (
        "result.total_bytes,result.parts.weights.bytes,result.parts.0.bytes,inputs.dtype,model.family,result.checkpointing.every"
    )
    [row] = lines(f"memory gpt2 --seq 1k --select {paths}")
    whole = data("memory", "gpt2", "--seq", "1k")
    weights = whole["result"]["parts"][0]["bytes"]
    assert list(row) == ["model", "seq", *paths.split(",")]
    assert list(row.values())[2:] == [whole["result"]["total_bytes"], weights, weights, "bf16", "gpt2", None]
    [row] = lines("params gpt3 --select result.components.attention.q.params,result.components.no.such")
    assert row["result.components.attention.q.params"] == 14_496_694_272 and row["result.components.no.such"] is None
    [row] = table("memory gpt2 --select result.parts")
    assert json.loads(row["result.parts"])[0] == whole["result"]["parts"][0]


# --- plans ------------------------------------------------------------------------------------------------------------

PLAN = """
command: memory
model: [gpt2, gpt3]
seq: 512:1k:x2
batch: [1, 2]
train: [true, false]
zip: [seq, batch]
select: [result.total_bytes]
"""


def test_a_plan_from_a_file_or_stdin(tmp_path: Path) -> None:
    flags = "memory gpt2 gpt3 --seq 512:1k:x2 --batch 1,2 --train true,false --zip seq,batch --select result.total_bytes"
    expected = here("sweep", *flags.split()).out
    assert expected.count("\n") == 8
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN, encoding="utf-8")
    assert here("sweep", str(file)).out == expected
    assert here("sweep", "-", stdin=PLAN.encode()).out == expected
    assert here("sweep", "-", stdin=PLAN.replace("model:", "preset:").encode()).out == expected
    narrower = here("sweep", str(file), "--preset", "gpt2", "--select", "result.gpus")
    assert narrower.out.count("\n") == 4 and "total_bytes" not in narrower.out


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("model: gpt2", "has no `command:`"),
        ("{command: memory, model: gpt2, sequ: 5}", "did you mean seq?"),
        ("{command: memory, model: gpt2, seq: {from: 1}}", "seq is {'from': 1}, but must be a whole number"),
        ("{command: memory, model: gpt2, train: 3}", "train is 3, but must be true or false"),
        ("{command: memory, model: gpt2, seq: []}", "seq has no values to sweep over"),
        ("{command: memory, model: []}", "model has no values to sweep over"),
        ("{command: params, preset: [], layers: 2, d_model: 64, vocab: 100}", "model has no values to sweep over"),
        ("{command: memory, model: gpt2, zip: 3}", "zip is 3, but must be a list"),
        ("{command: [memory]}", "has no `command:`"),
        ("{command: memory, model: gpt2, zip: [[]]}", "zip has an empty list"),
        ("{command: memory, model: gpt2, seq: 5, zip: [seq, [seq]]}", "zip holds 'seq'"),
        ("{command: memory, model: gpt2, select: []}", "select is empty"),
        ("{command: serve, model: gpt2, draft: 1.5}", "--draft is 1.5, but must be a whole number"),
    ],
)
def test_refused_plans(plan: str, words: str) -> None:
    assert words in refused("sweep", "-", stdin=plan.encode())


# --- refused points ---------------------------------------------------------------------------------------------------

HEADS = "memory llama-3-8b --kv-heads 1:4:+1 --select result.total_bytes --format csv"


def test_a_refused_point_stops_the_sweep_and_is_named() -> None:
    end = here("sweep", *HEADS.split())
    assert end.code == 2
    assert [row["kv_heads"] for row in csv.DictReader(io.StringIO(end.out))] == ["1", "2"]
    assert end.err.startswith("llmcx: at model llama-3-8b, kv_heads 3: n_heads 32 is not divisible by n_kv_heads 3")


def test_refused_points_are_skipped_and_counted() -> None:
    end = here("sweep", *HEADS.split(), "--on-error", "skip")
    assert end.code == 0
    assert [row["kv_heads"] for row in csv.DictReader(io.StringIO(end.out))] == ["1", "2", "4"]
    assert "1 of 4 points refused\nllmcx: 1 × n_heads 32 is not divisible by n_kv_heads 3" in end.err
    end = here("sweep", *HEADS.replace("1:4:+1", "3,5").split(), "--on-error", "skip")
    assert end.code == 2 and "none of the 2 points could be answered" in end.err


def test_refused_points_are_rows() -> None:
    end = here("sweep", *HEADS.split(), "--on-error", "row")
    rows = list(csv.DictReader(io.StringIO(end.out)))
    assert end.code == 0 and [bool(row["error"]) for row in rows] == [False, False, True, False]
    assert rows[2]["result.total_bytes"] == "" and "n_kv_heads 3" in rows[2]["error"]
    end = here("sweep", *HEADS.partition(" --select")[0].split(), "--on-error", "row")
    row = strict(end.out.splitlines()[2])
    assert row["inputs"] == {"model": "llama-3-8b", "kv_heads": 3} and row["error"]["field"] == "n_kv_heads"


# --- Parquet ----------------------------------------------------------------------------------------------------------


def test_parquet_is_what_jsonl_is(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    asked = "flops gpt2 llama-3-8b --seq 1:300:+1 --batch 1,2,3"
    paths = "result.forward.total,result.per_token,result.crossover.layers,inputs.causal,model.family"
    assert here("sweep", *asked.split(), "--select", paths, "--out", str(file)) == (0, "", "")
    assert pq.read_table(file).to_pylist() == lines(f"{asked} --select {paths}")


def test_parquet_keeps_integers_beyond_64_bits_exact(tmp_path: Path) -> None:
    """The column grows wider in the middle of the file, when row groups have been written already."""
    file = tmp_path / "rows.parquet"
    asked = "flops llama-3.1-405b --seq 1k --batch 1:1e13:+1e9"
    end = here("sweep", *asked.split(), "--select", "result.forward.total,result.decode_context", "--out", str(file))
    assert end.code == 0
    assert "result.forward.total goes beyond 64 bits, so its column is decimal(38, 0)" in end.err
    read = pq.read_table(file)
    assert pq.ParquetFile(file).num_row_groups == 2 and read.num_rows == 10_000 > GROUP
    one = llmcx.flops("llama-3.1-405b", seq=1024).forward.total
    assert [int(value) for value in read["result.forward.total"].to_pylist()] == [b * one for b in range(1, 10**13 + 1, 10**9)]
    assert str(read.schema.field("result.decode_context").type) == "int64"
    assert list(tmp_path.iterdir()) == [file]


def test_parquet_beyond_38_digits_is_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    big = "flops --layers 1e15 --d-model 1e12 --heads 1 --vocab 1e15 --context-length 1e15 --batch 1,1e12"
    end = here("sweep", *big.split(), "--select", "result.train.total", "--out", str(file))
    assert end.code == 0 and "so its column is text" in end.err
    assert [int(row["result.train.total"]) for row in pq.read_table(file).to_pylist()] == [
        row["result.train.total"] for row in lines(f"{big} --select result.train.total")
    ]


def test_without_pyarrow(tmp_path: Path) -> None:
    code = "import sys; sys.modules['pyarrow'] = None; from llmcx.cli import main; sys.argv[0] = 'llmcx'; main()"
    call = [sys.executable, "-c", code, "sweep", "params", "gpt2", "--out", str(tmp_path / "x.parquet")]
    end = subprocess.run(call, capture_output=True, text=True)
    assert end.returncode == 2 and end.stderr == "llmcx: Parquet needs pyarrow: pip install 'llmcx[parquet]'\n"


# --- streams, processes, terminals ------------------------------------------------------------------------------------

GRID = "flops gpt2 --seq 1:500:+1 --batch 1,2"


@pytest.mark.parametrize(
    "more", ["", " --select result.forward.total", " --format csv", " --select result.per_token --format csv"]
)
def test_jobs_change_nothing(more: str) -> None:
    alone, together = (here("sweep", *f"{GRID}{more} --jobs {jobs}".split()) for jobs in (1, 3))
    assert alone == together and alone.out.count("\n") >= 1000


def test_jobs_stop_where_one_would() -> None:
    call = HEADS.replace("1:4:+1", "1:32:+1")
    for how in ("stop", "skip", "row"):
        alone, together = (here("sweep", *call.split(), "--on-error", how, "--jobs", jobs) for jobs in ("1", "4"))
        assert alone == together


def run(*words: str, **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "llmcx", "sweep", *words], **more)


def test_the_first_row_comes_at_once() -> None:
    """Of a grid that would take days."""
    process = run(*["flops", "gpt2", "--seq", "1:1000:+1", "--batch", "1:1000000:+1"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and select.select([process.stdout], [], [], 30)[0]
        assert json.loads(process.stdout.readline())["inputs"]["batch"] == 1
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_closed_pipe_ends_it_and_its_workers(jobs: str) -> None:
    process = run(*f"flops gpt2 --seq 1:1000:+1 --batch 1:1000000:+1 --jobs {jobs}".split(), stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    workers = children(process.pid)
    assert len(workers) == (0 if jobs == "1" else int(jobs))
    process.stdout.close()
    process.wait(30)
    assert gone(workers)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def gone(pids: list[int], within: float = 10.0) -> bool:
    end = time.monotonic() + within
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_ctrl_c_in_a_terminal(tmp_path: Path, jobs: str, ending: str) -> None:
    """Whole lines, a file that can be read, exit 130, no workers left, and nothing but the bar on the terminal."""
    file = tmp_path / f"rows.{ending}"
    parent, child = pty.openpty()
    words = f"flops gpt2 --seq 1:1000:+1 --batch 1:1000000:+1 --jobs {jobs} --select result.forward.total --out {file}"
    process = run(*words.split(), stdin=child, stdout=child, stderr=child, start_new_session=True)
    os.close(child)
    seen = b""
    while b"/s" not in seen:  # the bar is up
        assert select.select([parent], [], [], 30)[0], seen
        seen += os.read(parent, 4096)
    workers = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everybody gets it
    seen += until_closed(parent)
    assert process.wait(30) == 130
    assert gone(workers)
    text = seen.decode()
    assert "Traceback" not in text and text.endswith("\r\x1b[K") and re.search(r"[\d,]+ of 1,000,000,000  [\d,]+/s", text)
    if ending == "parquet":
        rows = pq.read_table(file).to_pylist()
    elif ending == "csv":
        rows = list(csv.DictReader(file.open(encoding="utf-8")))
        assert file.read_text(encoding="utf-8").endswith("\n")
    else:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert rows and [int(row["batch"]) for row in rows] == list(range(1, len(rows) + 1))
    assert all(row["result.forward.total"] for row in rows)


def test_no_bar_outside_a_terminal() -> None:
    end = here("sweep", *GRID.split())
    assert (end.code, end.err) == (0, "") and end.out.count("\n") == 1000


def test_a_small_sweep_is_a_table_in_a_terminal() -> None:
    parent, child = pty.openpty()
    process = run(*["params", "llama-3-8b", "--kv-heads", "1,8,32"], stdout=child, stderr=subprocess.DEVNULL)
    os.close(child)
    text = until_closed(parent).decode()
    assert process.wait(30) == 0 and "kv_heads" in text and "8.836 B" in text


def test_a_table_has_one_column_of_models() -> None:
    end = here("sweep", *["params", "gpt2", "llama-3-8b", "--kv-heads", "1,2", "--format", "table"])
    assert (end.code, end.err) == (0, "") and end.out.split()[:3] == ["model", "kv_heads", "total"]


def test_a_file_whose_name_tells_no_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    assert "tells no format" in refused("sweep", "params", "gpt2", "--out", str(path))
    assert not path.exists()
    assert here("sweep", "params", "gpt2", "--out", str(path), "--format", "csv").code == 0
    assert path.read_text().startswith("model,")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("llmcx sweep fl", ["flops"]),
        ("llmcx sweep flops gpt3-m", ["gpt3-medium"]),
        ("llmcx sweep flops --seq 1k --preset gpt3-m", ["gpt3-medium"]),
        ("llmcx sweep memory --seq 1k --attention lo", ["local", "longformer"]),
        ("llmcx sweep flops gpt3 --forma", ["--format"]),
        ("llmcx compare gpt2 gpt3-m", ["gpt3-medium"]),
    ],
)
def test_completion(line: str, offered: list[str]) -> None:
    asked = {"_LLMCX_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    end = subprocess.run([Path(sys.executable).parent / "llmcx"], capture_output=True, text=True, env=os.environ | asked)
    assert end.stdout.split() == offered, end


# --- the Python API ---------------------------------------------------------------------------------------------------


def test_from_python() -> None:
    points = [(model, seq) for model in ("gpt2", "gpt3") for seq in ("512", "1k")]
    expected = [answer("flops", model, "--seq", seq, "--causal") for model, seq in points]
    assert list(llmcx.sweep("flops", model=["gpt2", "gpt3"], seq="512,1k", causal=True)) == expected
    assert list(llmcx.sweep("flops", preset=["gpt2", "gpt3"], seq="512,1k", causal=True)) == expected
    one = next(llmcx.sweep("attention-compare", model="gpt2", seq="512", variant=[["standard", "flash"]]))
    assert {row["variant"] for row in one["result"]["rows"]} == {"standard", "flash"}
    [wide] = llmcx.sweep("attention_compare", model="gpt2", seq=512, select="result.rows.0.variant")
    assert wide["result.rows.0.variant"] == "standard"
    lengths = llmcx.sweep("serve", model="llama-3-8b", prompt=[1, 2], output=[3, 4], batch=1, zip=["prompt", "output"])
    assert [(row["inputs"]["prompt"], row["inputs"]["output"]) for row in lengths] == [(1, 3), (2, 4)]
    rows = list(llmcx.sweep("memory", model="llama-3-8b", kv_heads=[1, 3], on_error="row"))
    assert rows[1]["error"]["field"] == "n_kv_heads"


@pytest.mark.parametrize("pairs", [["seq", "batch"], [["seq", "batch"]]])
@pytest.mark.parametrize("paths", ["result.total_bytes,result.gpus", ["result.total_bytes", "result.gpus"]])
def test_what_advances_together_from_python(pairs: Any, paths: Any) -> None:
    rows = llmcx.sweep("memory", model="gpt2", seq=range(128, 130), batch=(1, 2), zip=pairs, select=paths)
    assert [(row["model"], row["seq"], row["batch"], row["result.gpus"]) for row in rows] == [
        ("gpt2", 128, 1, 1),
        ("gpt2", 129, 2, 1),
    ]


@pytest.mark.parametrize("wrong", [{"sequ": 1}, {"select": ["result.nothing"]}, {"on_error": "ignore"}, {"layers": [1, 0]}])
def test_refused_from_python(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        llmcx.sweep("flopz", model="gpt2")
    with pytest.raises(InputError):
        list(llmcx.sweep("flops", **{"model": "gpt2"} | wrong))


def test_numbers_that_typer_reads() -> None:
    rows = lines("serve llama-3-8b --batch 1 --draft 1,2 --acceptance 0.7:0.8:+0.1")
    assert [(row["inputs"]["draft"], row["inputs"]["acceptance"]) for row in rows] == [(1, 0.7), (1, 0.8), (2, 0.7), (2, 0.8)]
    assert rows[3] == answer(*["serve", "llama-3-8b", "--batch", "1", "--draft", "2", "--acceptance", "0.8"])
    one = next(llmcx.sweep("serve", model="llama-3-8b", batch=1, draft=2, acceptance=1))
    assert one == answer(*["serve", "llama-3-8b", "--batch", "1", "--draft", "2", "--acceptance", "1"])
    [shape] = lines("shapes --params 1B --vocab 32k")
    assert shape == answer(*["textbook", "shapes", "--params", "1B", "--vocab", "32k"]) and shape["inputs"]["vocab"] == 32000


def test_a_flag_by_the_name_of_its_opposite() -> None:
    both: dict[str, Any] = {"model": "gpt2", "select": ["result.total"]}
    tied = [row["result.total"] for row in llmcx.sweep("params", **both, tied=[True, False])]
    untied = [row["result.total"] for row in llmcx.sweep("params", **both, untied=[True, False])]
    assert tied == untied[::-1] == [124_439_808, 124_439_808 + 50257 * 768]


def test_the_plan_of_train() -> None:
    [row] = lines("train llama-3-8b --tokens 1B --gpus 8 --plan true")
    assert row == answer(*["train", "llama-3-8b", "--tokens", "1B", "--gpus", "8", "--plan"])


def test_files_are_read_anew_by_each_sweep(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    for d_model in (64, 128):
        text = "name: mine\nd_model: {}\nembedding: {{vocab: 100}}\n"
        text += "decoder: [{{repeat: 2, mixer: {{type: attention, n_heads: 2}}, ffn: {{type: plain, d_ff: 64}}}}]\n"
        file.write_text(text.format(d_model), encoding="utf-8")
        [row] = lines(f"params {file} --select result.embedding")
        assert row["result.embedding"] == 100 * d_model


def test_stdin_is_one_model_for_every_point() -> None:
    config = (CLI.parent.parent / "docs" / "config.json").read_bytes()
    end = here("sweep", *["flops", "-", "--seq", "1,2,3", "--select", "result.forward.total"], stdin=config)
    assert end.code == 0 and end.out.count("\n") == 3
