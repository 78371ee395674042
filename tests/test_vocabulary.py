"""One vocabulary: the same concept has the same option everywhere, each option counts or is refused, and the answer comes first.

The cases come from what users met (options that changed nothing, answers that misled); figures in them are hand calculations or
published numbers, said beside each.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from llmcx.cli import COMMANDS, built, spelling
from llmcx.cli.options import Declared, Question
from llmcx.cli.sweeping import names
from tests.helpers import data, here, llmcx, refused, refused_in_json

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "vocabulary.md"

# --- options that changed nothing ---------------------------------------------------------------------------------------

NOTHING = """
memory llama-3-8b --lora 8 :: add --train
memory llama-3-8b --optimizer adamw :: add --train
memory llama-3-8b --optimizer adam :: add --train
memory llama-3-8b --precision bf16 :: add --train
memory llama-3-8b --recompute full :: add --train
memory llama-3-8b --attn eager :: add --train
memory llama-3-8b --dropout :: add --train
memory llama-3-8b --set dropout=true :: add --train
memory llama-3-8b --set fragmentation=5% :: add --train
memory llama-3-8b --set loss_chunk=1k :: add --train
memory llama-3-8b --set activations=textbook :: add --train
memory llama-3-8b --set micro_batches=4 :: add --train
memory llama-3-8b --zero 1 :: add --train
memory llama-3-8b --micro-batch 2 :: add --train
memory llama-3-8b --train --set micro_batches=4 :: add --pp
memory llama-3-8b --train --set virtual=2 :: add --pp
memory llama-3-8b --train --set lora_targets=q,v :: add --lora
memory llama-3-8b --train --kv-dtype fp8 :: leave one of them out
memory llama-3-8b --train --attention-dp 2 :: leave one of them out
memory llama-3-8b --train --dtype fp8 :: with --lora it is the base's
memory llama-3-8b --train --set block=16 :: --engine is vllm
memory llama-3-8b --train --set ubatch=256 :: --engine is llama.cpp
memory llama-3-8b --set block=16 :: --engine is vllm
memory llama-3-8b --utilization 0.9 :: --hardware or --budget
memory llama-3-8b --fit batch :: --hardware or --budget
serve llama-3-8b --acceptance 0.8 :: add --draft
serve llama-3-8b --draft-cost 0.1 :: add --draft
chinchilla --compute 1e21 --vocab 32k :: without a model
chinchilla --compute 1e21 --seq 4k :: without a model
chinchilla --compute 1e21 --count 6nd :: without a model
chinchilla --compute 1e21 --heads 8 :: without a model
chinchilla --days 3 --gpus 8 --price 2 :: add --dollars
chinchilla --compute 1e21 --mfu 0.4 :: none of them is given
flops gpt3 --source-seq 512 :: encoder-decoder
moe mixtral-8x7b --seed 3 :: add --simulate
params gpt3 --weights x.safetensors --dtype fp8 :: leave one of them out
textbook shapes --params 1B --flops 1T :: leave one of them out
attention-compare llama-3-8b -v flash --set stride=64 :: leave one of them out
params gpt3 --json --detail :: would change nothing
"""


@pytest.mark.parametrize(("call", "words"), [line.split(" :: ") for line in filter(None, NOTHING.splitlines())])
def test_an_option_that_would_change_nothing_is_refused_with_what_would_make_it_count(call: str, words: str) -> None:
    assert words in refused(*call.split())


@pytest.mark.parametrize(
    ("given", "right"), [("4,096", "4096"), ("131,072", "131072"), ("32,768", "32768"), ("1,048,576", "1048576")]
)
def test_thousands_are_not_a_list(given: str, right: str) -> None:
    assert f"write {right}" in refused("flops", "llama-3-8b", "--seq", given)
    assert f"write {right}" in refused("sweep", "flops", "llama-3-8b", "--seq", given)


def test_numbers_of_three_digits_are_a_list() -> None:
    assert [one["inputs"]["seq"] for one in data("flops", "gpt2", "--seq", "128,256,512")["results"]] == [128, 256, 512]
    assert "write 128256" in refused("params", "gpt2", "--vocab", "128,256")


def test_zero_micro_batches_and_a_base_that_is_its_own_suggestion() -> None:
    assert "must be between 1" in refused("memory", "gpt2", "--train", "--pp", "2", "--set", "micro_batches=0")
    said = refused_in_json("memory", "gpt2", "--train", "--lora", "8", "--dtype", "int9")
    assert said["field"] == "dtype" and "int9" not in said.get("nearest", [])


def test_help_offers_no_option_that_the_command_refuses() -> None:
    for call in ("compare", "textbook bounds", "catalog models", "catalog hardware"):
        assert "--plot" not in here(*call.split(), "--help-all").out


# --- answers that misled ------------------------------------------------------------------------------------------------


def test_a_table_in_csv_has_named_rows_and_raw_numbers() -> None:
    call = ("train", "llama-3-8b", "--tokens", "1T", "--hardware", "64xh100")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(here(*call, "--format", "csv").out))}
    estimate = data(*call)["result"]["training"]["estimate"]
    assert (
        float(rows["days"]["estimate"]) == estimate["days"] and float(rows["step.data"]["estimate"]) == estimate["step"]["data"]
    )
    served = list(csv.DictReader(io.StringIO(here("serve", "llama-3-8b", "--batch", "8", "--format", "csv").out)))
    assert float(served[0]["tpot_s"]) == data("serve", "llama-3-8b", "--batch", "8")["result"]["estimate"][0]["tpot_s"]


def test_the_crossover_of_the_leading_order_is_d() -> None:
    """n d² = n² d at n = d = 12,288 (the textbook's convention); 6 d = 73,728 where every multiply-add counts twice."""
    assert data("flops", "gpt3", "--convention", "leading-order")["result"]["crossover"]["layers"] == 12288
    assert data("flops", "gpt3")["result"]["crossover"]["layers"] == 73728


def test_a_cached_step_meets_its_window() -> None:
    """Mistral 7B at 32k: 2 x 7.11 B multiply-adds of matrices and head, and 4 · 4096 · 4096 · 32 of the window's scores."""
    whole = data("flops", "mistral-7b", "--seq", "32k")["result"]
    head, layers = 4096 * 32000, 32 * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    assert whole["decode"]["total"] == 2 * (head + layers) + 4 * 32 * 4096 * 4096
    assert data("flops", "mistral-7b", "--seq", "32k", "--causal")["result"]["decode"]["total"] == whole["decode"]["total"]


def test_each_crossover_says_which_it_is() -> None:
    out = here("flops", "llama-3-8b").out
    found = data("flops", "llama-3-8b")["result"]["crossover"]
    assert re.search(rf"attention = the layers' matrices at n +{found['layers']:,}", out)
    assert re.search(rf"attention = all matrices, head included, at n +{found['with_head']:,}", out)
    verdict = data("attention-compare", "llama-3-8b", "--seq", "512")["verdict"]
    assert re.search(r"half only from n = [\d,]+ with causal_flash", verdict)


def test_an_approximation_saves_of_the_attention_core_only() -> None:
    """At 512 tokens the cores are 0.9% of Llama 3 8B's forward pass: 2 · 513 · 4096 · 32 of 2 · 7.5 B: nothing saves 2.2%."""
    verdict = data("attention-compare", "llama-3-8b", "--seq", "512")["verdict"]
    [share, saved] = [float(match) for match in re.findall(r"([\d.]+)%", verdict)][:2]
    assert saved <= share < 1


def test_the_textbooks_scores_of_latent_attention() -> None:
    """DeepSeek-V3: 61 layers · 128 heads · 4096² scores · 2 B = 262 GB."""
    found = data("memory", "deepseek-v3", "--train", "--textbook", "--seq", "4k")["result"]["chapter"]
    assert found["score_bytes"] == 61 * 128 * 4096**2 * 2


def test_a_wide_terminal_cuts_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "3,333" in here("chinchilla", "--compute", "1e25", "--detail").out


def test_sentences_that_are_clear(tmp_path: Path) -> None:
    assert "vendor 'foo' is not known" in refused("catalog", "hardware", "--vendor", "foo")
    assert "e.g. gqa:g=8" in refused("params", "llama-3-8b", "--attention", "gqa")
    (tmp_path / "null.json").write_text("null")
    assert "holds nothing (null)" in refused("params", str(tmp_path / "null.json"))
    for word in ("x" * 5000, "/x" * 2500):
        said = refused("params", word)
        assert "site-packages" not in said and len(said) < 450


# --- one name each ------------------------------------------------------------------------------------------------------


def questions() -> dict[str, Question]:
    """Every command that answers a question."""
    return {name: built(name).callback.question for name in names()}


QUESTIONS = questions()


@pytest.mark.parametrize("name", [*names(), "check", "compare", "sweep", "explain"])
def test_help_is_short(name: str) -> None:
    shown, every = (
        re.findall(r"^  (?:-\w, )?(--[\w-]+)", here(name, flag).out, re.MULTILINE) for flag in ("--help", "--help-all")
    )
    assert len(shown) <= 30 and len(every) <= 45, (len(shown), len(every))
    assert set(shown) <= set(every)
    for flag in ("--help", "--help-all"):
        assert max(map(len, here(name, flag).out.splitlines())) <= 80


def test_one_name_means_one_thing() -> None:
    """An option of one name is read in one way, wherever it stands."""
    kinds: dict[str, set[str]] = {}
    for question in QUESTIONS.values():
        for option, declared in question.declared.items():
            kinds.setdefault(question.flags[option], set()).add(declared.reads)
    assert {flag for flag, reads in kinds.items() if len(reads) > 1} == set()


CONCEPTS = {
    "model": ("model",),
    "accelerator": ("--hardware",),
    "memory limit": ("--budget", "--utilization"),
    "format of the weights": ("--dtype",),
    "format of the cache": ("--kv-dtype",),
    "arithmetic": ("--compute-dtype",),
    "engine": ("--engine",),
    "tokens of a sequence": ("--seq",),
    "tokens of a request": ("--prompt", "--output"),
    "sequences at a time": ("--batch", "--micro-batch", "--global-batch"),
    "GPUs": ("--gpus", "--tp", "--pp", "--cp", "--ep", "--zero", "--attention-dp"),
    "recomputation": ("--recompute",),
    "attention kernel": ("--attn",),
    "training tokens": ("--tokens",),
    "price of an hour": ("--price",),
}


def page() -> str:
    """docs/vocabulary.md: each concept's options, and the commands that take them."""
    shown = [name for name in COMMANDS if name in QUESTIONS]
    lines = ["# One name each", "", "Written by `python tests/test_vocabulary.py`; a test keeps it true.", ""]
    lines += ["| concept | option | " + " | ".join(shown) + " |", "| --- | --- |" + " :-: |" * len(shown)]
    for concept, flags in CONCEPTS.items():
        for flag in flags:
            has = [flag in (*QUESTIONS[name].flags.values(), *QUESTIONS[name].arguments) for name in shown]
            word = "`MODEL`..." if flag == "model" else f"`{flag}`"
            lines.append(f"| {concept} | {word} | " + " | ".join("x" if each else "" for each in has) + " |")
    lines += ["", "Flags of other tools that mean the same are taken as they are:", "", "| llmcx | also |", "| --- | --- |"]
    lines += [f"| `{ours}` | {', '.join(f'`{each}`' for each in theirs.split())} |" for ours, theirs in spelling.SAME.items()]
    lines += [
        "",
        "Options that each command has in `--help`, and in `--help-all`:",
        "",
        "| command | help | all |",
        "| --- | --: | --: |",
    ]
    for name in shown:
        counts = [
            len(re.findall(r"^  (?:-\w, )?--[\w-]+", here(name, flag).out, re.MULTILINE)) for flag in ("--help", "--help-all")
        ]
        lines.append(f"| {name} | {counts[0]} | {counts[1]} |")
    return "\n".join(lines) + "\n"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize(("theirs", "ours"), list(spelling.SAME_FLAG.items()))
def test_spellings_of_other_tools(theirs: str, ours: str) -> None:
    """Each stands for an option that some command has."""
    takers = [name for name in QUESTIONS if ours in QUESTIONS[name].flags.values()]
    assert takers, ours
    if ours != "--preset":
        assert spelling.respelled([theirs, "7"], {ours: None}, {}) == [ours, "7"]


def test_suggestions_are_by_meaning() -> None:
    for flag, command, right in (
        ("--quant", "memory", "--dtype"),
        ("--context", "memory", "--seq"),
        ("--runtime", "memory", "--engine"),
        ("--weight-bits", "serve", "--dtype"),
        ("--users", "serve", "--batch"),
        ("--verbose", "params", "--detail"),
    ):
        assert f"did you mean {right}" in refused(command, "llama-3-8b", flag, "4")
    assert {ours for ours, _ in spelling.LIKE.values()} <= {
        *(flag for question in QUESTIONS.values() for flag in question.flags.values()),
        *("--detail", "--format", "--set", "--plan"),
    }


def test_vllms_flags_ask_the_same() -> None:
    ours = data("memory", "llama-3.1-8b", "--seq", "8k", "--hardware", "2xh100", "--utilization", "0.8", "--kv-dtype", "fp8")
    theirs = "--model llama-3.1-8b --max-model-len 8k --hardware h100 --tensor-parallel-size 2 --gpu-memory-utilization 0.8"
    assert data("memory", *theirs.split(), "--kv-cache-dtype", "fp8")["result"] == ours["result"]


@pytest.mark.parametrize(
    ("name", "gpus"),
    [("NVIDIA H100 80GB HBM3", 1), ("h100_sxm", 1), ("H100-SXM5", 1), ("2xh100", 2), ("2 x H100", 2), ("h100:2", 2)],
)
def test_names_of_accelerators(name: str, gpus: int) -> None:
    found = data("memory", "llama-3-8b", "--seq", "1k", "--hardware", name)["inputs"]
    assert (found["hardware"], found["gpus"]) == ("h100", gpus)


def test_an_accelerator_of_ones_own(tmp_path: Path) -> None:
    """A file, and what the vendor's tool says of this machine: here a script of that name, which prints what nvidia-smi would."""
    chip = "name: mine, title: Mine, vendor: me, year: 2026, dense_tflops: {bf16: 100}, memory_gb: 48, memory_gb_per_s: 1000"
    (tmp_path / "mine.yaml").write_text(f"{{{chip}, source: me}}")
    found = data("memory", "llama-3-8b", "--seq", "1k", "--hardware", f"2x{tmp_path / 'mine.yaml'}", "--utilization", "1")
    assert (found["inputs"]["hardware"], found["inputs"]["gpus"], found["inputs"]["budget"]) == ("mine", 2, 48 * 10**9)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3'\necho 'NVIDIA H100 80GB HBM3'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    done = llmcx("memory", "llama-3-8b", "--seq", "1k", "--hardware", "auto", "--json", env={**os.environ, "PATH": str(tmp_path)})
    inputs = json.loads(done.stdout)["inputs"]
    assert (inputs["hardware"], inputs["gpus"], inputs["tp"]) == ("h100", 2, 2)
    assert "at least one" in refused("memory", "llama-3-8b", "--hardware", "0xh100")


@pytest.mark.parametrize("name", ["Llama-3.1-70B", "llama_3.1_70b", "meta-llama/Llama-3.1-70B", "LLAMA 3.1 70b"])
def test_names_of_models(name: str) -> None:
    assert data("params", name)["model"]["name"] == "llama-3.1-70b"


# --- every option counts ------------------------------------------------------------------------------------------------

EXPERTS = "llama-3-8b --experts 4 --top-k 2"
SENSES = [f"{ROOT / 'tests' / 'oracle' / name}.json --seq 64 {more}" for name, more in (("sees", "--image 64x64"), ("hears", ""))]
"""Tiny models that see and that hear."""
BASES = {
    "params": ["gpt2", "llama-3-8b", "--layers 2 --d-model 64 --vocab 100", "mixtral-8x7b", EXPERTS],
    "flops": [
        "gpt2",
        "mistral-7b --seq 8k",
        "t5-base",
        "mixtral-8x7b --seq 64",
        "llama-3-8b --seq 64",
        "llama-3-8b --seq 64 --lora 8",
        EXPERTS,
        *SENSES,
    ],
    "memory": [
        "llama-3-8b --seq 4k --hardware h100",
        "llama-3-8b --seq 4k --train",
        "llama-3-8b --seq 4k --train --pp 2",
        "llama-3-8b --seq 4k --train --lora 8",
        "llama-3-8b --seq 4k --train --gpus 8 --zero 3",
        "llama-3-8b --seq 4k --train --tp 2",
        "llama-3-8b --seq 4k --train --tp 2 --engine megatron",
        "llama-3-8b --seq 64 --train --gpus 8 --zero 3 --engine deepspeed",
        "llama-3-8b --seq 64 --train --gpus 8 --zero 3 --rl grpo --budget 80GB",
        "llama-3-8b --seq 4k --train --gpus 8 --zero 3 --rl dpo",
        "mistral-7b --seq 5001 --engine vllm",
        "llama-3-8b --seq 8k --batch 4 --engine llama.cpp",
        "gemma-3-1b --seq 8k --engine llama.cpp",
        "llama-3-8b --seq 8k --dtype q4_k_m --engine llama.cpp --budget 4GB --fit offload",
        "mixtral-8x7b --seq 4k --gpus 8 --tp 4",
        "mixtral-8x7b --seq 4k --train --gpus 8",
        "gpt2 --seq 512 --batch 8 --tp 4",
        "llama-3-8b --seq 4k --train --pp 2 --set micro_batches=1",
        f"{EXPERTS} --seq 512",
        *SENSES,
    ],
    "attention-compare": ["llama-3-8b --seq 4k", "llama-3-8b --seq 4k --hardware h100", f"{EXPERTS} --seq 4k"],
    "moe": [
        "mixtral-8x7b --seq 512",
        "mixtral-8x7b --seq 512 --simulate 2 --capacity-factor 1",
        "mixtral-8x7b --seq 64 --imbalance 2 --capacity-factor 1",
        EXPERTS,
    ],
    "chinchilla": [
        "--compute 1e21 --law epoch --law muennighoff",
        "gpt3",
        "--compute 1e21 --law epoch --shape",
        "--days 10 --gpus 8 --law epoch",
        "--dollars 1M --law epoch",
        "llama-3-8b --law epoch",
        "--law epoch",
        f"{EXPERTS} --tokens 1T --law epoch",
        "--gpu-hours 1M --law epoch",
        "--params 1B --law epoch",
        "--tokens 1B --law epoch",
    ],
    "train": [
        "llama-3-8b --tokens 1B --gpus 8",
        "llama-3-8b --tokens 1B --gpus 8 --pp 2",
        "mixtral-8x7b --tokens 1B --gpus 16 --zero 3",
        "gpt2 --tokens 1B --gpus 8 --recompute full",
        "llama-3-8b --tokens 1M --gpus 8 --lora 8",
        f"{EXPERTS} --tokens 1B --gpus 8",
    ],
    "serve": [
        "llama-3-8b --batch 4",
        "llama-3-8b --batch 4 --draft 3",
        "llama-3-8b --batch 8 --prefill-workers 2",
        "mixtral-8x7b --tp 8 --batch 8",
        "llama-3-8b --tp 2",
        EXPERTS,
    ],
    "bounds": [""],
    "shapes": ["--params 1B --depths 8", "--flops 30T --depths 8"],
}
"""Calls by command, in the modes that it has."""

VALUES = {
    "count": ["2", "3", "4", "8", "16", "64", "1B", "300B"],
    "rate": ["1/s", "30/min"],
    "length": ["3", "256", "2k"],
    "integer": ["0", "1", "3"],
    "size": ["1GB", "100KiB", "40GB"],
    "share": ["0.05", "0.5"],
    "number": ["0.5", "1.5", "3"],
}
WORDS = {
    "--hardware": ["a100"], "--engine": ["vllm", "fsdp"], "--fit": ["seq"], "--efficiency": ["memory=0.5", "decode=0.5"],
    "--law": ["kaplan"],
    "--variant": ["flash"], "--attention": ["mqa"], "--lora-targets": ["q"], "--with": ["params"], "--measure": ["memory"],
    "--measured": ["9s"], "--image": ["640x480"], "--audio": ["10s"],
}  # fmt: skip
ELSEWHERE = {
    "model",
    "preset",
    "config",
    "hf",
    "as_type",
    "ignore",
    "weights",
    "weights_",
    "out",
    "textbook",
    "measure",
    "search",
    "unique_tokens",
}
"""Sources, files and what only changes the view; tried by tests of their own."""


def values_of(question: Question, name: str, declared: Declared) -> list[list[str]]:
    flag = question.flags[name]
    if declared.reads == "flag":
        param = next(p for p in _params(question) if p.name == name)
        return [[each] for each in (*param.opts, *param.secondary_opts) if each.startswith("--")]
    if declared.reads in VALUES:
        return [[flag, value] for value in VALUES[declared.reads]]
    param = next(p for p in _params(question) if p.name == name)
    offered = [item.value for item in param.shell_complete(_context(question), "")]
    return [[flag, value] for value in WORDS.get(flag, offered)]


def _command(question: Question) -> Any:
    return next(built(name) for name in names() if built(name).callback.question is question)


def _params(question: Question) -> list[Any]:
    found: list[Any] = _command(question).params
    return found


def _context(question: Question) -> Any:
    import typer

    return typer.Context(_command(question))


CASES = [(name, option) for name in QUESTIONS for option in QUESTIONS[name].declared if option not in ELSEWHERE]


@pytest.mark.parametrize(("command", "option"), CASES)
def test_every_option_changes_the_answer(command: str, option: str) -> None:
    """In some mode of the command, some value of the option gives another result."""
    question = QUESTIONS[command]
    tried = values_of(question, option, question.declared[option])
    assert tried, "no value to try"
    for base, value in product(BASES[command], tried):
        words = base.split()
        if value[0] in words:  # in its place
            at = words.index(value[0])
            del words[at : at + len(value)]
        end = here(command, *words, *value, "--json")
        if end.code == 0 and _changed(command, base, json.loads(end.out)):
            return
    pytest.fail(f"{question.flags[option]} of llmcx {command} changed nothing")


_PLAIN: dict[str, Any] = {}


def _changed(command: str, base: str, found: dict[str, Any]) -> bool:
    call = f"{command} {base}"
    if call not in _PLAIN:
        end = here(*call.split(), "--json")
        _PLAIN[call] = json.loads(end.out) if end.code == 0 else {}
    return bool(found.get("result") != _PLAIN[call].get("result") or found.get("model") != _PLAIN[call].get("model"))


# --- the answer first ---------------------------------------------------------------------------------------------------

ASKED = {
    "memory llama-3.1-70b --dtype fp8 --seq 32k --batch 16 --hardware 2xh100": "does not fit",
    "memory llama-3.1-8b --train --lora 16 --dtype nf4 --seq 2k --recompute full --hardware 4090": "fits",
    "serve qwen3-32b --dtype q4_k_m --hardware 4090": "tokens/s",
    "train 1.2B --tokens 20B --hardware 8xa100": "$",
    "flops gpt3": "FLOP",
    "chinchilla --compute 5e23": "parameters on",
    "compare deepseek-v3 qwen3-235b-a22b --hardware 8xh200 --dtype fp8 --seq 4k": "tokens/s per GPU",
    "attention-compare llama-3-8b --seq 256k": "linear",
}
"""Questions of a new user, and a word of the answer."""


@pytest.mark.parametrize(("call", "word"), ASKED.items())
def test_the_first_two_lines_answer(call: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = here(*call.split()).out.splitlines()
    assert len(lines[0]) <= 80 and len(lines[1]) <= 80
    assert word in lines[1], lines[:3]


@pytest.mark.parametrize("name", ["gpt3", "llama-3-8b", "deepseek-v3", "jamba-1.5-mini", "qwen3-next-80b-a3b", "t5-base"])
@pytest.mark.parametrize(
    "call",
    [
        "params {}",
        "memory {} --seq 512",
        "memory {} --seq 512 --train",
        "memory {} --seq 512 --budget 1GB",
        "serve {} --prompt 128 --output 128 --hardware 8xh200",
    ],
)
def test_answers_fit_a_screen(call: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    end = here(*call.format(name).split())
    assert len(end.out.splitlines()) <= 24, end.out


def test_changes_make_it_fit() -> None:
    """Each change that is told, taken: the answer is then a yes, with those bytes."""
    for call in (
        "memory llama-3.1-70b --dtype fp8 --seq 32k --batch 16 --hardware 2xh100",
        "memory llama-3-8b --train --seq 4k --hardware h100",
    ):
        changes = data(*call.split())["changes"]
        assert 2 <= len(changes) <= 3
        for change in changes:
            words = change["options"].split()
            given = call.split()
            for flag in words[::2]:
                if flag in given:
                    at = given.index(flag)
                    del given[at : at + 2]
            if "--gpus" in words:
                given[given.index("--hardware") + 1] = given[given.index("--hardware") + 1].split("x")[-1]
            assert data(*given, *words)["result"]["fits"], change


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
