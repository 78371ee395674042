"""Bad input gets one sentence, exit 2, nothing on stdout, and never a traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tests.helpers import here, refused, refused_in_json, strict

GOOD: dict[str, Any] = {
    "name": "x",
    "d_model": 64,
    "embedding": {"vocab": 100},
    "decoder": [
        {
            "repeat": 2,
            "mixer": {"type": "attention", "n_heads": 4, "core": {"type": "local", "window": 8}},
            "ffn": {"type": "moe", "n_experts": 4, "top_k": 2, "expert": {"type": "gated", "d_ff": 96}},
        }
    ],
}
unix = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's devices")


# --- calls ----------------------------------------------------------------------------------------------------------

CALLS = """
params :: no model is named
params gpt33 :: did you mean gpt3
params gpt2 --plot - --explain :: --plot - draws in place of the tables
params --preset ../../etc/passwd :: is not known
parms :: Did you mean 'params'
catalog shw :: Did you mean 'show'
{catalog|presets} :: llmcx catalog needs a command: it has models, hardware, show
textbook llama-3-8b :: llmcx textbook has no command 'llama-3-8b'; it has bounds, shapes
estimate gpt3 :: llmcx has no command 'estimate'; it has params, flops, memory
{llama-3-8b|7B|./config.json|Qwen/Qwen3-8B} :: a command comes first: llmcx params
{train|plan train} gpt3 :: needs --tokens: training tokens, e.g.
catalog show :: llmcx catalog show needs NAME: a preset or an accelerator
params llama3 :: did you mean llama-3-70b or llama-3-8b or llama-3.1-405b, or a config.json of its own?
params qwen3-235b :: did you mean qwen3-235b-a22b, or a config.json of its own?
params longcat-flash :: any other model is read from its config.json
params 7 :: a shape of 7 parameters is not built; 10^6 to 10^15 are
{serve gpt2 --tpot 40ms|serve gpt2 --ttft 2s} :: is an option of llmcx plan serve
train gpt2 --tokens 1T --days 30 :: is an option of llmcx plan train and chinchilla
plan train gpt2 --tokens 1T --budget 1M :: did you mean --dollars (USD)?
plan serve gpt2 --batch-size 8 :: did you mean --users
serve gpt2 --max-model-len 8k :: did you mean --prompt (tokens in; --output is tokens out)?
train gpt2 --tokens 1T --batch 8 :: did you mean --global-batch
{plan serve gpt2 --tpot 50|plan local --tpot 50} :: --tpot is 50, but must be a time with its unit: 50ms or 50s
check vllm serve Qwen/Qwen3-8B --max-model-len 8k --hardware h100 :: llmcx check --hardware h100 -- vllm serve ...
{memory|serve} gpt2 --hardware 24GB :: 24GB is a size, and --hardware names an accelerator; give --budget 24GB
{memory|serve} llama-3-8b --engine llama.cpp --dtype awq :: llama.cpp loads GGUF files, which have no awq; give --dtype q8_0
memory llama-3-8b --engine llama.cpp --dtype {fp8|gptq|fp8_block} :: llama.cpp loads GGUF files, which have no
memory deepseek-v3 --engine llama.cpp :: llama.cpp loads GGUF files, which have no fp8_block; give --dtype q8_0
memory llama-3-8b --hardware 3xh100 :: the 32 heads, as 2 and 4 would; or pp of 3, in stages of layers
compare gpt2 gpt3 llama-3-8b :: compare takes two sides, and 'llama-3-8b' is one more
attention-compare deepseek-v3 :: a model that has one is llama-3-8b
check nofile.sh --hardware h100 :: nofile.sh cannot be read: there is no such file
params --prest gpt3 :: --preset
params --preset :: requires an argument
params gpt3 stray :: stray
params gpt3 --json=yes :: --json
params gpt3 --config x.yaml :: x.yaml cannot be read
params gpt3 ./gpt3 :: ./gpt3 cannot be read
params {tests|./tests} :: a directory without a config.json
params {- -|- --config -} :: read only once
params gpt3 {--heads 7|--kv-heads 5} :: not divisible
params gpt3 --d-model 1000 --heads 96 :: d_model 1000 is not divisible by n_heads 96
params gpt3 --layers -3 :: --layers is '-3'
params gpt3 --layers= :: --layers is '', which has an empty entry
params gpt3 --layers 0 :: at least 1
params gpt3 --layers abc :: --layers is 'abc', but must be a whole number
params gpt3 --layers {1.5|1e|0x10|٣|１２|²} :: whole number
params gpt3 --layers 1e400 :: 10^36
params gpt3 --d-model NaN :: --d-model is 'NaN'
params gpt3 --layers 1,,2 :: empty entry
params gpt3 --layers 1e20 :: between 1 and 10^15
params mixtral-8x7b --top-k 9 :: only 8 experts
params gpt3 --experts 8 :: --top-k
params gpt3 --top-k 2 :: --experts
params gpt3 --attention lokal:w=3 :: did you mean local
params gpt3 --attention local :: needs a value for window
params gpt3 --attention local:w={x|٣} :: local:w is
params gpt3 --attention local:v=3 :: not known
params gpt3 --attention flash --set window=8 :: give one
params switch-c --layers 3 :: layer groups
params gpt3 --set :: --set needs NAME=VALUE
params gpt3 --set head_dim :: write --set head_dim=VALUE
params gpt3 --set head_din=64 :: did you mean head_dim
params gpt3 --set head_dim=x :: --head-dim is 'x', but must be a whole number
params gpt3 --set tied=yes :: tied is 'yes', but must be true or false
params gpt3 --dtype fp7 :: did you mean
params gpt3 --format {xml|''} :: known: csv
params gpt3 --format markdwn :: did you mean markdown
params gpt3 --set norm=batchnorm :: layernorm or rmsnorm
params gpt3 --set ffn=swiglu :: plain or gated
params --layers 2 --d-model 64 :: --vocab
params gpt3 --as llama :: gpt3 is a preset, which needs none
params --weights nowhere.safetensors :: does not exist
params gpt2 --plain --json :: --plain is a form of the table and contradicts --json; give one
params gpt2 --plain --format csv :: --plain is a form of the table and contradicts --format csv; give one
params gpt2 --plot - --json :: --plot - draws in the terminal and contradicts
params gpt2 --plot a.gif :: must end in .svg, .png, .pdf or .html
catalog show gpt2 --plot - :: has no picture; params, flops, memory
{textbook bounds|catalog models|hardware list|compare gpt2 gpt3} --plot - :: has no --plot
{catalog show gpt3 --json|catalog show h100} --explain :: nothing is computed here
{catalog models|hardware list} --explain :: has no --explain

flops gpt3 --seq 4096 :: learned positions for only 2048
flops gpt3 --seq 0 :: between 1
flops gpt3 --seq 512,,1024 :: empty entry
flops gpt3 --convention mac :: macs
flops gpt3 --batch 1e400 :: --batch is 1e400, which is beyond 10^36
flops gpt3 --batch 0 :: between 1
flops gpt3 --recompute selective :: known: full, none
flops gpt3 --seq 1:1001:+1 :: `llmcx sweep` streams any number

memory gpt2 --engine llamacpp :: did you mean llama.cpp
memory gpt2 --train --engine vllm :: --engine vllm is for inference
memory gpt3 --budget {80|80G} :: unit
memory gpt3 --hardware h100 --utilization {0|1.5|-1} :: above 0 and at most 1
memory gpt3 --hardware h100 --utilization x :: a share such as 90% or 0.9
memory gpt3 --hardware 0xh100 :: at least one accelerator
memory gpt3 --hardware 2xh1000 :: did you mean
memory gpt3 --hardware 2xh100 --gpus 4 :: --hardware names 2; give one
memory gpt3 --engine megatron :: --engine megatron trains; add --train
memory gpt3 --runtime vllm :: did you mean --engine
memory gpt3 --train --batch 2 --micro-batch 2 :: give --micro-batch
memory gpt3 --optimizer adam :: --optimizer changes nothing without --train; add --train
memory gpt3 --train --optimizer adm :: did you mean adam
memory gpt3 --train --precision half :: half
memory gpt3 --train --set activations=autograde :: did you mean autograd
memory gpt3 --train --attn sdp :: did you mean sdpa
memory gpt3 --kv-dtype int3 :: did you mean
memory gpt3 {--dtype|--kv-dtype} '' :: dtype
memory gpt3 --train --dtype fp7 :: --dtype changes nothing in full training
memory gpt3 --train --kv-dtype fp8 :: --kv-dtype changes nothing with --train
memory gpt3 --train --zero 4 :: 0, 1, 2 or 3
memory gpt3 --train --zero {x|٣} :: --zero
memory gpt3 --train --set checkpoint_every=97 :: 96 layers
memory gpt3 --train --set checkpoint_every=0 :: between 1 and 10^15
memory gpt3 --set checkpoint_every=8 :: --train
memory llama-3-8b --dtype q4_k_l :: did you mean q4_k
memory llama-3-8b --dtype q4_k_m:bits=4 :: setting of q4_k_m
memory llama-3-8b --dtype gptq:bits=5 :: must be 2, 3, 4 or 8
memory llama-3-8b --dtype gptq:bits=four :: must be a whole number
memory llama-3-8b --dtype gptq:group=0 :: above 0, or -1 for one group
memory llama-3-8b --dtype awq:bits=4 :: setting of awq
memory llama-3-8b --dtype awq:group=100 :: a multiple of 100
memory gpt3 --dtype q4_k_m :: llama.cpp's converter has no gpt3
memory switch-c --dtype {nf4|q4_k_m} :: is not known:
memory mixtral-8x7b --dtype nf4 :: experts in one tensor
memory --layers 4 --d-model 512 --vocab 1000 --seq 128 --dtype q4_k_m :: is not known

attention-compare gpt3 --variant strided:k=0 :: between 1
attention-compare bert-base -v nsa :: causal
attention-compare llama-3-8b --seq 1k:1M:4 :: FROM:TO:xFACTOR
attention-compare llama-3-8b --seq 8k:1k:x2 :: grow up to its end
attention-compare llama-3-8b --seq 1:2M:+1 :: more than 1,000,000 values
attention-compare llama-3-8b --measure time :: --hardware
attention-compare llama-3-8b --measure tim --hardware h100 :: time
attention-compare llama-3-8b --hardware h1000 :: h100
attention-compare llama-3-8b --hardware h100 --dtype int4 :: int4
attention-compare llama-3-8b --on-chip 192 :: unit
attention-compare llama-3-8b --plot plot.gif :: .svg
attention-compare llama-3-8b -v bigbird:b=64,w=4 :: odd
attention-compare llama-3-8b -v fixed:k=4,c=8 :: stride
attention-compare llama-3-8b -v gqa:g=3 :: divisible
attention-compare llama-3-8b -v longfromer:w=4 :: longformer
attention-compare llama-3-8b -v topk:k=8 :: dsa

moe gpt3 :: no mixture-of-experts
moe mixtral-8x7b --capacity-factor {nan|-1} :: number
moe mixtral-8x7b --capacity-factor x :: capacity-factor
moe mixtral-8x7b --ep {9|0} :: 1 to 8
moe mixtral-8x7b --imbalance {5|0.5} :: 1 to 4
moe mixtral-8x7b --simulate 0 :: 1 or more
moe mixtral-8x7b --set experts_from=split :: give --experts and --top-k
moe mixtral-8x7b --experts 4 --set experts_from=split :: has experts already
moe llama-3-8b --experts 3 --top-k 1 --set experts_from=split :: 14,336

chinchilla {|--compute 1e21 --params 1B} :: exactly one
chinchilla --compute 1e21 --law hofmann-1 :: did you mean hoffmann-1
chinchilla --gpu-hours 1M --mfu 1.5 :: mfu
chinchilla --compute 1e21 --mfu 7 :: mfu
chinchilla --gpu-hours 1M --hardware h10 :: did you mean h100
chinchilla --compute 1e21 --hardware h10 :: --hardware turns
chinchilla --dollars 1M --hardware '' :: hardware
train gpt2 --tokens 1B --gpus 8 --zero ٣ :: zero
{serve llama-3-8b|train gpt2 --tokens 1B --gpus 8} --price -1 :: 0 or more
train gpt2 --tokens 1B :: how many GPUs train is not said
textbook bounds --base 3 :: not known
textbook shapes :: --params
catalog {show|path} gtp2 :: did you mean gpt2
catalog validate nowhere.yaml :: nowhere.yaml cannot be read: No such file
tools completions bsh :: did you mean bash

compare gpt3 :: compare takes two sides
compare gpt3 gtp2 :: preset 'gtp2' is not known; did you mean gpt2
compare gpt3 gpt2 --with parms :: did you mean params?
compare gpt3 gpt2 --sequ 5 :: llmcx compare has no --sequ; did you mean --seq
compare gpt3 gpt2 --seq 1k,512 :: A has 2 values for seq, but must have one; llmcx sweep takes lists
compare gpt3 gpt2 --with params --seq 1k :: --seq is an option of llmcx flops and of llmcx memory
compare - - :: stdin can be read only once
compare gpt3 gpt2 --optimizer lion :: --optimizer changes nothing without --train
compare gpt3 "gpt2 'x" :: cannot be read: No closing quotation
compare gpt3 '' :: B is empty, but must name a model
compare 'gpt3 --seq 9k' gpt2 :: learned positions for only 2048 tokens

explain kv-cahe :: did you mean kv-cache
explain lifetime gpt3 :: takes no model
explain kv-cache --seq 8k :: name one
explain --preset gpt3 :: give a topic
explain kv-cache gpt3 gpt2 :: one model is taken here, not 2
explain moe gpt3 :: no mixture-of-experts layer
explain kv-cache --format csv :: CSV has none
explain mixer.mamba gpt3 :: no layer with the mixer mamba

sweep :: name the command to sweep first; it is one of params, flops
sweep flopz gpt3 :: did you mean flops?
sweep catalog :: llmcx catalog cannot be swept
sweep params gpt2 --plain --format csv :: --plain is a form of the table and contradicts csv
sweep memory gpt2 --seq 1,2 --batch 1,2,3 --zip seq,batch :: as many values each, not seq 2, batch 3
sweep memory gpt2 --seq 1,2 --batch 1,2 --zip sek,batch :: did you mean seq?
sweep memory gpt2 --seq 1,2 --batch 1,2 {--zip seq,seq|--zip seq,batch --zip batch,seq} :: named once
sweep memory gpt2 --select result.total_byte :: did you mean result.total_bytes
sweep memory gpt2 --select total :: is not known
sweep attention-compare gpt2 --format csv :: need --select
sweep flops gpt3 --sequ 5 :: llmcx flops has no --sequ; did you mean --seq
sweep flops gpt3 --seq 8k:1k :: must begin at 1 or more (0 with +STEP) and grow up to its end
sweep flops gpt3 --seq 1k,,2k :: which has an empty entry
sweep flops gpt3 --causal=maybe :: --causal is 'maybe', but must be true, false, or both
sweep flops --preset :: --preset needs a value
sweep flops gtp3 :: preset 'gtp3' is not known; did you mean gpt3
sweep bounds gpt3 :: 'gpt3' is not an option
sweep flops gpt3 --format cvs :: did you mean csv?
sweep flops gpt3 --format parquet :: needs --out FILE.parquet
sweep flops gpt3 --on-error ignore :: --on-error 'ignore' is not known
sweep flops gpt3 --jobs 0 :: --jobs is 0, but must be between 1 and 512
sweep flops gpt3 --explain --format csv :: --explain goes with whole answers
sweep flops gpt3 --seq 1:2000:+1 --format table :: a table of 2,000 rows is more than 200
sweep flops --config - --jobs 2 :: give --jobs 1
sweep serve gpt3 --price 8:4:+1 :: a range FROM:TO:+STEP that grows up to its end
sweep moe mixtral-8x7b --seed x :: --seed is 'x', but must be a whole number
sweep params gpt2 --out /no/such/rows.csv :: cannot be written: No such file or directory
"""
"""Calls, and words of their refusals. {a|b} stands for one call with each."""


def calls() -> Iterator[tuple[str, str]]:
    for line in filter(None, CALLS.splitlines()):
        call, _, words = line.partition(" :: ")
        before, brace, rest = call.partition("{")
        choices, _, after = rest.partition("}")
        yield from ((f"{before}{choice}{after}", words) for choice in choices.split("|")) if brace else [(call, words)]


@pytest.mark.parametrize(("args", "words"), list(calls()))
def test_bad_call(args: str, words: str) -> None:
    assert words in refused(*shlex.split(args))


@pytest.mark.parametrize(
    ("args", "extra"),
    [
        ("params gpt2 --plot /no/such/place.svg", "matplotlib"),
        ("sweep params gpt2 --out /no/such/rows.parquet", "pyarrow"),
    ],
)
def test_a_file_of_an_extra_that_cannot_be_written(args: str, extra: str) -> None:
    pytest.importorskip(extra)
    assert "cannot be written: No such file or directory" in refused(*shlex.split(args))


def test_a_refused_value_that_json_has_no_number_for() -> None:
    said = refused_in_json("train", "gpt2", "--tokens", "1B", "--gpus", "8", "--price", "nan")
    assert said["value"] == "nan" and said["field"] == "price"


COMMANDS = {
    "params": "gpt2",
    "flops": "gpt2",
    "memory": "gpt2 --train",
    "attention-compare": "gpt2 --seq 64",
    "moe": "mixtral-8x7b",
    "chinchilla": "--compute 1e21",
    "train": "gpt2 --tokens 1B --gpus 8",
    "serve": "gpt2 --prompt 64 --output 64",
    "textbook bounds": "",
    "textbook shapes": "--params 1B --depths 8",
}
NASTY = ["", "-1", "nan", "9" * 5000, "1e36", "x" * 5000, "x " * 3000, "\x1b[31m\n", "٣", "\udcff", "1e-9999", "%s{0}"]


def options(command: str) -> list[str]:
    """Every option of a command that takes a value, and the model; those of the model source once, on params."""
    known = typer.main.get_command(import_module(f"llmcx.cli.{command.split()[-1].replace('-', '_')}").app).params
    names = [opt.opts[0] for opt in known if not getattr(opt, "is_flag", False) and opt.name not in ("help", "hf")]
    shared = () if command == "params" else options("params")
    return [name for name in names if name not in shared]


@pytest.mark.parametrize(("command", "option"), [(command, option) for command in COMMANDS for option in options(command)])
def test_no_value_of_an_option_is_a_bug(command: str, option: str) -> None:
    base = COMMANDS[command].split()
    for value in NASTY:
        # Any other source would be refused as a second one.
        given = [] if option in ("model", "--preset", "--config", "--weights") else base
        asked = [f"{option}={value}", "--json"] if option.startswith("-") else ["--json", "--", value]
        end = here(*command.split(), *given, *asked)
        if end.code == 0:
            strict(end.out)
            assert end.err == "", (value[:20], end)
        else:
            said = strict(end.err)["error"]["message"]
            assert (end.code, end.out) == (2, "") and said and "bug" not in said, (value[:20], end)
            assert said.isprintable() and len(said) < 500 and len(end.err) < 900, (value[:20], end)


def test_long_values_are_shortened_in_the_message() -> None:
    for args in ("{}", "--preset {}", "./{}", "--config {}", "gpt2 --layers {}", "gpt2 --attention local:w={}"):
        for digit in "x9":
            assert refused("params", *args.format(digit * 9000).split()).count(digit) < 300


def test_a_preset_beside_all_shape_flags_is_fine_and_the_flags_win() -> None:
    args = "gpt3 --layers 2 --d-model 64 --heads 4 --d-ff 256 --vocab 100 --set positions=16 --json"
    end = here("params", *args.split())
    # 2 layers x (4 d² + 4 d biases + 8 d² + 5 d biases + 4 d norms) + (100 + 16) d + 2 d
    assert end.code == 0 and strict(end.out)["result"]["total"] == 2 * (12 * 64**2 + 13 * 64) + 116 * 64 + 2 * 64


# --- files ----------------------------------------------------------------------------------------------------------


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    """GOOD with one value replaced, or with ``...`` removed."""
    made: dict[str, Any] = json.loads(json.dumps(GOOD))
    at: Any = made
    for step in path[:-1]:
        at = at[step]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


GROUP = ["decoder", 0]
NAN, INF = float("nan"), float("inf")
BAD_FIELDS = [
    (["d_modle"], 64, "did you mean d_model"),
    (["embedding", "vocabulary"], 64, "key of embedding 'vocabulary' is not known; did you mean vocab"),
    ([*GROUP, "repeats"], 2, "did you mean repeat"),
    ([*GROUP, "mixer", "n_headz"], 4, "key of decoder[0].mixer 'n_headz' is not known; did you mean n_heads"),
    ([*GROUP, "mixer", "core", "windw"], 4, "key of decoder[0].mixer.core 'windw' is not known; did you mean window"),
    ([*GROUP, "ffn", "experts"], 4, "n_experts"),
    ([*GROUP, "ffn", "expert", "dff"], 4, "key of decoder[0].ffn.expert 'dff' is not known; did you mean d_ff"),
    (["norm"], {"tpye": "rmsnorm"}, "did you mean type"),
    (["head"], {"tide": True}, "did you mean tied"),
    ([*GROUP, 7], 2, "'7' is not known"),
    ([*GROUP, "mixer", "type"], "atention", "did you mean attention"),
    ([*GROUP, "mixer", "type"], ["attention"], "decoder[0].mixer.type"),
    ([*GROUP, "mixer", "core", "type"], "lokal", "did you mean local"),
    ([*GROUP, "mixer", "core"], "local", "must be a mapping"),
    ([*GROUP, "ffn", "type"], ..., "decoder[0].ffn.type is missing"),
    ([*GROUP, "ffn", "expert", "type"], "moe", "is not known"),
    ([*GROUP, "ffn", "expert"], ..., "decoder[0].ffn.expert is missing"),
    ([*GROUP, "ffn", "expert"], None, "decoder[0].ffn.expert is None"),
    ([*GROUP, "mixer", "n_heads"], ..., "decoder[0].mixer.n_heads is missing"),
    ([*GROUP, "repeat"], ..., "decoder[0].repeat is missing"),
    *((["d_model"], value, f"d_model is {value!r}") for value in ("64", 64.0, True, None, -64, 10**16, NAN, INF)),
    *((["d_model"], value, "d_model is") for value in ([64], {"a": 64})),
    (["d_model"], 0, "d_model is 0, but must be between 1 and 10^15"),
    (["d_model"], ..., "d_model is missing"),
    (["d_model"], 66, "d_model 66 is not divisible by n_heads 4"),
    ([*GROUP, "repeat"], 0, "decoder[0]: repeat is 0"),
    ([*GROUP, "mixer", "n_kv_heads"], 3, "n_heads 4 is not divisible by n_kv_heads 3"),
    ([*GROUP, "mixer", "core", "window"], -1, "decoder[0].mixer.core: window is -1"),
    ([*GROUP, "mixer", "bias"], "yes", "decoder[0].mixer.bias is 'yes'"),
    ([*GROUP, "mixer", "bias"], 1, "decoder[0].mixer.bias is 1"),
    (["decoder"], ..., "needs layers"),
    (["decoder"], {}, "decoder is {}, but must be a list"),
    (["decoder"], [], "needs layers"),
    (["decoder"], [3], "decoder[0] is 3, but must be a mapping"),
    (["embedding"], 100, "must be a mapping"),
    ([*GROUP, "ffn", "top_k"], 5, "only 4 experts"),
    ([*GROUP, "ffn", "top_k"], 0, "decoder[0].ffn: top_k is 0"),
    ([*GROUP, "ffn", "expert", "activation"], "swish2", "activation"),
    (["name"], 5, "name is 5"),
    (["name"], "", "name is ''"),
    (["name"], "two\nlines", r"name is 'two\nlines', but must be printable text on one line"),
    (["name"], "\x1b]0;owned\x07", r"name is '\x1b]0;owned\x07', but must be printable"),
    (["title"], "\x1b[31mred", "title is"),
    (["name"], "\u202egpj.x", r"name is '\u202egpj.x'"),
    *((["aliases"], value, "aliases") for value in ("a", ["a", "b\x1b[2J"], [1])),
]


@pytest.mark.parametrize(("path", "value", "words"), BAD_FIELDS)
def test_bad_file(tmp_path: Path, path: list[Any], value: Any, words: str) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)), encoding="utf-8")
    said = refused("params", str(file))
    assert words in said and str(file) in said


@pytest.mark.parametrize(("path", "value", "words"), [row for row in BAD_FIELDS if not isinstance(row[0][-1], int)])
def test_bad_file_from_a_pipe_in_json(path: list[Any], value: Any, words: str) -> None:
    error = refused_in_json("params", "-", stdin=json.dumps(changed(path, value)).encode())
    if value == value and value != INF:  # JSON has neither NaN nor Infinity, and is refused before
        assert error["message"].startswith("stdin: ") and words in error["message"] and error["field"]


def test_the_good_file_is_good(tmp_path: Path) -> None:
    for number, text in enumerate((yaml.safe_dump(GOOD), json.dumps(GOOD), "\ufeff" + yaml.safe_dump(GOOD))):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert here("params", str(file)).code == here("params", "--config", str(file)).code == 0
        assert here("catalog", "validate", str(file)).code == 0
        assert here("params", "-", stdin=text.encode()).code == here("params", "--config", "-", stdin=text.encode()).code == 0


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [" % (97 + n, 97 + n) + b",".join([b"*%c" % (96 + n)] * 9) + b"]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"# only a comment\n", "holds nothing"),
        (b"\x7fELF\x00\x01\x02\xff\xfe", "not text"),
        (b"name: x\x00\n", "binary"),
        (b"name: \xff\n", "not text"),
        ("name: x".encode("utf-16"), "not text"),
        ("name: x".encode("utf-32"), "not text"),
        (b"- 1\n- 2\n", "holds a list, but must hold a mapping"),
        (b"[1, 2]", "holds a list, but must hold a mapping"),
        (b"42\n", "holds a number"),
        (b'"text"', "holds a text"),
        (b"a: 1\n---\nb: 2\n", "another document"),
        *((text, "not valid YAML at line") for text in (b"name: [1\n", b"name: 'a\n", b'{"name": "x",}x')),
        (b"a: b: c\n", "not valid YAML at line 1, column 5"),
        (b"? [1]\n: 2\n", "unhashable"),
        (b"a: &x [1]\nb: [*x, *x]\n", "alias"),
        (BOMB, "alias"),
        (b"!!python/object/apply:os.system ['echo hi > pwned']\n", "constructor"),
        (b"name: !!python/object/apply:os.system ['echo hi > pwned']\n", "constructor"),
        (b"name: !!python/name:os.system\n", "constructor"),
        (b"name: x\nname: y\n", "'name' twice"),
        (b"embedding:\n  vocab: 1\n  vocab: 2\n", "'vocab' twice"),
        (b'{"name": "x", "name": "y"}', "'name' twice"),
        (b'{"embedding": {"vocab": 1, "vocab": 2}}', "'vocab' twice"),
        (b"[" * 10_000 + b"]" * 10_000, "levels"),
        (b"a: " + b"[" * 10_000 + b"]" * 10_000, "levels"),
        (b"a: " + b"{a: " * 10_000 + b"1" + b"}" * 10_000, "levels"),
        (b"- " * 10_000 + b"1", "levels"),
        (b'{"a": ' * 10_000 + b"1" + b"}" * 10_000, "levels"),
        (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", "levels"),
        (b'{"a": ' * 64 + b"1" + b"}" * 64, "'a' is not known"),
        (b"name: x\nd_model: .nan\nembedding: {vocab: 1}", "d_model is nan"),
        (b"name: x\nd_model: .inf\nembedding: {vocab: 1}", "d_model is inf"),
        (b"name: x\nd_model: 1.0e+400\nembedding: {vocab: 1}", "d_model is inf"),
        (b"name: x\nd_model: 1e400\nembedding: {vocab: 1}", "d_model is '1e400'"),
        (b'{"d_model": NaN}', "NaN"),
        (b'{"d_model": -Infinity}', "Infinity"),
        (b'{"name": "x", "d_model": 1e999, "embedding": {"vocab": 1}}', "d_model is inf"),
        (b'{"name": "x", "d_model": ' + b"9" * 5000 + b"}", "not a number that a model can have"),
        (b'{"name": "x", "d_model": ' + b"9" * 300 + b', "embedding": {"vocab": 1}, "decoder": [{"repeat": 1}]}', "10^15"),
        (b"name: x\nd_model: " + b"9" * 5000 + b"\n", "not valid YAML"),
        # YAML 1.1 would read 64, and 750: silently wrong numbers.
        (b"name: x\nd_model: 0100\n", "'0100', which YAML reads as octal"),
        (b"name: x\nd_model: 12:30\n", "'12:30', which YAML reads as in base 60"),
        (b"name: 2024-01-01\nd_model: 1\nembedding: {vocab: 1}", "name is datetime.date"),
        (b'{"name": "x", "d_model": "\\u001b[31mred\\n", "embedding": {"vocab": 1}}', "d_model is"),
        (b'{"name": "\\ud800", "d_model": 8, "embedding": {"vocab": 1}}', r"name is '\ud800'"),
        (b'{"name": "' + b"x" * 9000 + b'", "d_model": "' + b"y" * 9000 + b'", "embedding": {"vocab": 1}}', "d_model is 'yyy"),
        (b"\x1b[31mkey: 1\n", "not valid YAML"),
        (b'"\\e[31mkey": 1\n', r"\x1b[31mkey"),
        (b"a: 1\n" * 60_000, "values"),
        (b"schema: llmcx.presets/1\n", "result is missing"),
        (b"schema: llmcx.presets/2\nresult: 5\n", "result"),
    ],
)
def test_hostile_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_bytes(content)
    said = refused("params", "model.yaml")
    assert words in said and "model.yaml" in said
    assert not Path("pwned").exists()
    assert refused_in_json("params", "--config", "-", stdin=content)["message"].startswith("stdin")


@pytest.mark.parametrize("name", ["", " ", "a\x00b", "no\x1b[31msuch\nfile"])
def test_bad_file_names(name: str) -> None:
    refused("params", name)
    refused("params", "--config", name)
    refused("catalog", "validate", name)


@unix
def test_devices_and_directories(tmp_path: Path) -> None:
    assert "larger" in refused("params", "/dev/zero")
    assert "empty" in refused("params", "/dev/null")
    assert "directory" in refused("params", str(tmp_path))
    assert "Not a directory" in refused("params", "/dev/null/x")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file(tmp_path: Path) -> None:
    file = tmp_path / "secret.yaml"
    file.write_text("name: x", encoding="utf-8")
    file.chmod(0)
    assert "Permission denied" in refused("params", str(file))


# --- the process ----------------------------------------------------------------------------------------------------


def shell(command: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `llmcx` is the one under test."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **more.pop("env", {})}
    command = ["bash", "-o", "pipefail", "-c", f'llmcx() {{ "{sys.executable}" -m llmcx "$@"; }}; {command}']  # type: ignore[assignment]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, **more)


@unix
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("llmcx params gpt33", 2, "did you mean gpt3"),
        ("echo 'nmae: x' | llmcx params -", 2, "stdin: key of the model 'nmae' is not known; did you mean name"),
        ("llmcx params - < /dev/null", 2, "stdin is empty"),
        ("llmcx params - <&-", 2, "stdin is closed"),
        ("yes | llmcx params /dev/stdin", 2, "larger than 16 MiB"),
        ("llmcx params <(yes)", 2, "larger than 16 MiB"),
        ("llmcx catalog models > /dev/full", 2, "cannot be written"),
        ("llmcx --help > /dev/full", 2, "cannot be written"),
        ("llmcx params gpt2 --json > /dev/full", 2, "cannot be written"),
        ("llmcx catalog models >&-", 2, "stdout is closed"),
        ("llmcx params gpt33 2>&-", 2, ""),
        ("llmcx params gpt33 2> /dev/full", 2, ""),
    ],
)
def test_streams(command: str, code: int, words: str) -> None:
    done = shell(command)
    # bash's own `yes` may end by SIGPIPE first, which pipefail reports only if llmcx succeeds.
    assert (done.returncode, done.stdout) == (code, ""), done
    assert words in done.stderr and done.stderr.count("\n") == (1 if words else 0), done


@unix
def test_a_reader_that_leaves_early() -> None:
    done = shell("llmcx catalog models --json | head -1")
    # By SIGPIPE, as any filter, unless everything was written before.
    assert done.returncode in (0, 141) and done.stdout == "{\n" and done.stderr == ""


@unix
def test_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    with file.open("wb") as big:
        big.truncate(1 << 30)
    assert "larger than 16 MiB" in refused("params", str(file))
    done = shell(f"ulimit -v 500000; llmcx params '{file}'")
    assert done.returncode == 2 and "larger than 16 MiB" in done.stderr


@unix
def test_a_locale_without_the_letters() -> None:
    """Latin-1 or ASCII locales: a pipe gets UTF-8 all the same, a refusal escapes what it must."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell("llmcx params gpt2 --textbook --format markdown", env=ascii_only, encoding="utf-8")
    assert done.returncode == 0 and "12 L d² + V d" in done.stdout and done.stderr == ""
    done = shell("llmcx params gpt2é", env=ascii_only)
    assert done.returncode == 2 and "did you mean gpt2" in done.stderr and done.stderr.count("\n") == 1


@unix
def test_interrupt_is_silent() -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "llmcx", "params", "-"]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    # Nothing tells from outside that it waits for stdin; Linux does: the call it sleeps in is read() on descriptor 0.
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            call = Path(f"/proc/{process.pid}/syscall").read_text()
        except OSError:
            call = "0 0x0 "
            time.sleep(1.5)
        if call.startswith(("0 0x0 ", "63 0x0 ")):  # read is 0 on x86-64, 63 on arm64
            break
        time.sleep(0.02)
    process.send_signal(2)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and not out and "Traceback" not in err and err.count("\n") <= 1
