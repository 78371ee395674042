"""Serving in stages of layers: stages beside hand calculations and a simulation, estimates beside the bound and public runs."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from functools import cache
from math import isclose
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import llmcx  # noqa: E402
from llmcx.answers.arrivals import Paces, arriving  # noqa: E402
from llmcx.answers.load import Load, point  # noqa: E402
from llmcx.answers.serve import arithmetic, estimator, serve, weight_bits  # noqa: E402
from llmcx.catalog.build import build  # noqa: E402
from llmcx.catalog.data import hardware, load_hardware  # noqa: E402
from llmcx.catalog.presets import load_preset  # noqa: E402
from llmcx.cli.accelerator import serving, settled, with_memory  # noqa: E402
from llmcx.engines import engine, pipelined  # noqa: E402
from llmcx.engines.closed_loop import first_token, per_token  # noqa: E402
from llmcx.engines.serving_time import Server, Setup  # noqa: E402
from llmcx.machine.roofline import Efficiency  # noqa: E402
from tests.helpers import here, refused  # noqa: E402
from tests.staged_loads import served  # noqa: E402

ROUND = hardware(
    {
        "name": "round", "title": "Round", "vendor": "me", "year": 2024, "dense_tflops": {"bf16": 100}, "memory_gb": 80,
        "memory_gb_per_s": 1000, "scale_up": {"link": "up", "gb_per_s": 100, "size": 8},
        "scale_out": {"link": "out", "gb_per_s": 10}, "source": "me",
    }
)  # fmt: skip
ENGINES = ("vllm", "sglang", "trtllm")


def uniform(layers: int = 8, d: int = 1024) -> Any:
    """Layers alike, and next to nothing beside them: a token table and a head of eight tokens."""
    layer = {"repeat": layers, "mixer": {"type": "attention", "n_heads": 8}, "ffn": {"type": "gated", "d_ff": 4 * d}}
    shape = {"name": "alike", "d_model": d, "context": 8192, "embedding": {"vocab": 8}, "head": {"tied": False}}
    return build({**shape, "decoder": [layer], "norm": {"type": "rmsnorm"}})


def asked(*words: str) -> Any:
    end = here(*words, "--json")
    assert end.code == 0, end
    return json.loads(end.out)


# --- stages by hand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "layers"), [("trtllm", [32, 32, 31, 31]), ("vllm", [31, 32, 32, 31]), ("sglang", [31, 31, 32, 32])]
)
def test_layers_that_do_not_divide(program: str, layers: list[int]) -> None:
    """126 layers in four stages: TensorRT-LLM's first ones have one more (mapping.py, pp_layers), SGLang's last ones
    (srt/distributed/utils.py, get_pp_indices), vLLM's in the middle (vllm/distributed/utils.py, get_pp_indices).
    """
    server = Server(load_preset("llama-3.1-405b"), load_hardware("h200"), Setup(tp=8, pp=4), engine=engine(program))
    found = {stage.stage.number: stage.layers for stage, _ in server.stages if stage.stage is not None}
    assert [found.get(number) for number in range(4)] == layers or all(layers[n] == found[n] for n in found)
    assert sum(many * stage.layers for stage, many in server.stages) == 126


def test_one_user_by_hand() -> None:
    """Eight layers of 4 d² + 3·4 d² numbers in 16 bits at 1 TB/s are 268 µs, in one stage or in two: then 2 x 1,024 numbers go to
    the next, at 100 GB/s within a server and at 10 GB/s beyond it, an eighth of them from each of eight GPUs, after 10 µs.
    """
    spec, e = uniform(), Efficiency(hidden_tp=1.0, hidden_pp=0.0, link_s=1e-5)
    one, two = (Server(spec, ROUND, Setup(pp=pp), e).decode(1, 1) for pp in (1, 2))
    assert isclose(one.total, 8 * 16 * 1024**2 * 2 / 1e12, rel_tol=0.01)
    assert isclose(two.total - one.total, 1e-5 + 2 * 1024 * 2 / 100e9, rel_tol=0.01)
    assert isclose(two.communication, 1e-5 + 2 * 1024 * 2 / 100e9)
    assert isclose(Server(spec, ROUND, Setup(tp=8, pp=2), e).decode(1, 1).communication, 1e-5 + 2 * 1024 * 2 / 8 / 10e9)
    assert Server(spec, ROUND, Setup(pp=2)).decode(1, 1).communication == 0  # of the bound, all is hidden


def test_many_users_by_hand() -> None:
    """Twice as many users on two stages: a group meets half of the layers while the other meets the other half, so that a token
    takes as long as on one GPU, and there are twice as many.
    """
    one, two = (Server(uniform(), ROUND, Setup(pp=pp), Efficiency(memory=0.999)) for pp in (1, 2))
    for users in (1, 8, 32):
        assert isclose(two.decode(2 * users, 512).total, one.decode(users, 512).total, rel_tol=0.01)
    three = Server(uniform(9), ROUND, Setup(pp=2), Efficiency(memory=0.999))  # five layers, and four
    assert isclose(three.decode(64, 512).total, one.decode(32, 512).total * 10 / 8, rel_tol=0.01)
    assert isclose(three.decode(1, 512).total, one.decode(1, 512).total * 9 / 8, rel_tol=0.01)


def test_a_prompt_by_hand() -> None:
    """Of 4 pieces a stage has the last when it has worked for 3 others: (4 + 2 - 1) / 4 of half a pass."""
    one, two = (Server(uniform(), ROUND, Setup(pp=pp), Efficiency(memory=0.999)) for pp in (1, 2))
    whole = one.prefill(4096).total
    assert isclose(two.prefill(4096).total, whole, rel_tol=0.01)
    assert isclose(two.alone(4096, 0, 1024)[0], 5 / 8 * whole, rel_tol=0.01)


def test_what_a_prompt_adds_by_hand() -> None:
    """Three stages of 10 ms each keep all groups waiting for 30 ms; where two come in a turn, for 40 ms, which is 20 each; where
    prompts fill every step, for 10 ms each.
    """
    rare, often, full = (pipelined.Added(0.01, 0.03, come, room, 1, 1).seconds for come, room in ((1e-9, 8), (8, 1e9), (8, 8)))
    assert isclose(rare, 0.03, rel_tol=1e-6) and isclose(often, 0.01 + 0.02 / 8, rel_tol=1e-3) and full == 0.01
    assert isclose(pipelined.Added(0.01, 0.03, 1e-9, 8, 4, 2).seconds, (0.01 + 0.02 / 4) / 2, rel_tol=1e-6)


# --- stages beside a simulation ---------------------------------------------------------------------------------------


def test_a_closed_loop_beside_a_simulation() -> None:
    """Loads in which prompts take at most as long as decoding."""
    draw, firsts, tokens = random.Random(5), [], []
    while len(tokens) < 30:
        pp, users = draw.choice([1, 2, 4, 8]), draw.choice([8, 32, 128])
        output, stage, prompt = draw.choice([256, 1024]), 10 ** draw.uniform(-3, -2), 10 ** draw.uniform(-3, -1.5)
        each = max(1, min(8, -(-users // pp)))
        if users * 0.9 * prompt > pp * stage * 0.9 * output or users < pp:
            continue
        found = served(pp, 10 * users, 1024, output, lambda n, stage=stage: stage, prompt / 1024, users=users)
        prompt, output = 0.9 * prompt, 0.9 * output
        added = pipelined.Added(prompt, pp * prompt, users / output, pp * 8, 1, 1).seconds
        first = first_token(prompt, pp * stage, users, output, each, (pp - 1) * prompt, pp)
        tokens.append(abs(per_token(pp * stage, added, users, output, first) / mean(one[1] for one in found) - 1))
        firsts.append(abs(first / mean(one[0] for one in found) - 1))
    assert median(tokens) < 0.03 and sorted(tokens)[27] < 0.10
    assert median(firsts) < 0.06 and sorted(firsts)[27] < 0.20


@cache
def server(pp: int, tp: int, whose: str = "vllm", preset: str = "llama-3.1-70b", on: str = "h100") -> Server:
    spec = load_preset(preset)
    setup = Setup(tp, 1, weight_bits(spec, "fp8"), 16.0, pp=pp)
    return estimator(spec, load_hardware(on), setup, engine(whose), "fp8")[0]


def poisson(rate: float) -> Iterator[float]:
    draw, now = random.Random(3), 0.0
    while True:
        now += draw.expovariate(rate)
        yield now


@pytest.mark.parametrize("pp", [2, 4])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_arrivals_beside_a_simulation(pp: int, share: float) -> None:
    """Llama 3.1 70B on four H100 with its own stages and prompts."""
    real, load = server(pp, 4 // pp), Load(1800, 460)
    paces = Paces(real, load, 128)
    rate = share * paces.largest_rate
    found, _ = arriving(paces, rate, None)
    added = pipelined.added(real, load.prompt, 0, found.batch, load.context)
    slow = max((stage for stage, _ in real.stages), key=lambda stage: stage.decode(16, load.context).total)

    @cache
    def stage(n: int) -> float:
        return slow.decode(n, load.context).total

    each = added.longest / added.many
    sim = served(pp, 3000, 2000, 2 * 460 / 1.8, stage, each / load.prompt, coming=poisson(rate))[300:]
    own, further, besides = real.passing(load.prompt, 0, None)
    first = mean(one[0] for one in sim) - pp * each + own + further + besides
    assert found.tpot_s == pytest.approx(mean(one[1] for one in sim), rel=0.10)
    assert found.ttft_s == pytest.approx(first, rel=0.25)


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["ideal", *ENGINES])
def test_memory_is_that_of_the_memory_command(program: str) -> None:
    """Weights of the fullest stage, and as many sequences as `llmcx memory --fit batch` finds."""
    common = ("--hardware", "8xh100", "--tp", "2", "--pp", "4", "--engine", program, "--dtype", "fp8")
    found = asked("serve", "llama-3.1-70b", *common, "--prompt", "1024", "--output", "1024")["result"]
    held = asked("memory", "llama-3.1-70b", *common, "--seq", "2048", "--batch", "1")["result"]
    sizes = {part["part"]: part["bytes"] for part in held["parts"]}
    assert found["weight_bytes_per_gpu"] == pytest.approx(sizes["weights"], rel=1e-6)
    most = asked("memory", "llama-3.1-70b", *common, "--seq", "2048", "--fit", "batch")["result"]["fit"]["value"]
    assert found["largest_batch"] == most


def test_sglangs_share_of_the_memory() -> None:
    """SGLang sizes CUDA graphs by the GPUs that share a layer, and keeps 1 GiB for eight GPUs in all (arg_groups/memory_hook.py):
    two by two keep 512 + 1.5·8,192 + 4/8·1,024 + 2·256 + 8·58 MiB, four without stages twice as many sequences' graphs.
    """
    kept = {}
    for tp, pp in ((2, 2), (4, 1)):
        line = f"python -m sglang.launch_server --model meta-llama/Llama-3.1-8B --tp {tp} --pp-size {pp}"
        found = asked("check", line, "--hardware", "4xh100")
        kept[tp] = found["inputs"]["utilization"]
    mib = 512 + 1.5 * 8192 + 512 + 8 * 58
    assert kept == {2: round(1 - (mib + 512) / 81559, 3), 4: round(1 - (mib + 1024) / 81559, 3)}


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["llama-3-8b", "mixtral-8x7b", "gemma-3-12b", "deepseek-v3", "qwen3-next-80b-a3b"]),
    st.sampled_from([1, 2, 3, 4, 6, 8]),
    st.sampled_from([2, 3, 4]),
    st.sampled_from(["ideal", "vllm", "sglang"]),
)
def test_more_stages_never_hold_more(name: str, pp: int, times: int, program: str) -> None:
    """Of weights and cache on the fullest GPU, where every stage becomes several."""
    spec, on = load_preset(name), load_hardware("h200")
    few, more = (Server(spec, on, Setup(pp=n), engine=engine(program)) for n in (pp, pp * times))
    assert more.weight_bytes <= few.weight_bytes
    if program != "vllm" or len({layer.mixer for layer in spec.kinds.values()}) == 1:  # whose windows keep the steps under way
        assert more.cache_bytes(4096) <= few.cache_bytes(4096)


# --- estimates ------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([("llama-3-8b", 1), ("mixtral-8x7b", 2), ("gemma-3-12b", 1)]),
    st.sampled_from([2, 3, 4]),
    st.integers(1, 300),
    st.integers(1, 9000),
    st.integers(17, 2000),
    st.sampled_from(["h100", "mi300x", "rtx-4090"]),
    st.sampled_from(["ideal", *ENGINES]),
)
def test_no_estimate_beats_the_bound(
    of: tuple[str, int], pp: int, users: int, prompt: int, output: int, on: str, program: str
) -> None:
    """And more users never have shorter turns. Of answers of a few tokens, half of the users wait for their first one, which is
    not counted.
    """
    spec, made = load_preset(of[0]), engine(program)
    setup = Setup(of[1], 1, 8.0, 16.0, pp=pp)
    ideal = Server(spec, load_hardware(on), setup, engine=made)
    real, _ = estimator(spec, load_hardware(on), setup, made, "fp8")
    load = Load(prompt, output)
    best, one = point(ideal, load, users, None), point(real, load, users, None)
    assert best.tpot_s <= one.tpot_s and best.ttft_s <= one.ttft_s
    assert best.tokens_per_s_gpu >= one.tokens_per_s_gpu
    assert real.decode(2 * users, load.context).total >= real.decode(users, load.context).total * 0.999


@pytest.mark.parametrize(("whose", "on"), [("vllm", "h100"), ("ideal", "mi300x")])
def test_stages_are_for_many_users(whose: str, on: str) -> None:
    """One user's tokens come no faster than on one GPU; of many users, four stages serve almost four times as many tokens."""
    one, four = (server(pp, 1, whose, "llama-3-8b", on) for pp in (1, 4))
    load = Load(256, 1024)
    assert point(four, load, 1, None).tpot_s >= point(one, load, 1, None).tpot_s
    few, many = point(one, load, 32, None), point(four, load, 128, None)
    assert 2.4 < 4 * many.tokens_per_s_gpu / few.tokens_per_s_gpu < 4


def test_ranges_are_wider() -> None:
    one, two = (point(server(pp, 1, preset="llama-3-8b"), Load(256, 256), 8, None).tpot_range_s for pp in (1, 2))
    assert one is not None and two is not None and two[1] / two[0] > 1.5 * one[1] / one[0]


def test_groups_that_attend_apart() -> None:
    """DeepSeek-V3 on two stages of eight GPUs: each attends for an eighth of a group's users."""
    spec = load_preset("deepseek-v3")
    setup = Setup(8, 8, 8.0, 16.0, attention_dp=8, pp=2)
    real, _ = estimator(spec, load_hardware("h200"), setup, engine("sglang"), "fp8")
    turn = pipelined.turn(real, 256, 4096)
    assert (turn.groups, turn.users) == (2, 128)
    [*stages] = (stage for stage, _ in real.stages)
    launched = {each.shape[0] for each in stages[0].decoding(128, 4096) if each.kind == "latent"}  # type: ignore[attr-defined]
    assert launched == {16}


# --- public runs ----------------------------------------------------------------------------------------------------


def real(model: str, on: str, whose: str, dtype: str, kv: str, tp: int, pp: int, groups: int = 1) -> Server:
    """As the command makes it."""
    spec = load_preset(model)
    within, program = serving(whose, on, None, None, {})
    within, program = settled(within, program, spec, tp * pp, None, None, {}, tp)
    assert within.hardware is not None and within.bytes is not None
    machine = with_memory(within.hardware, within.bytes)
    bits = {"fp8": 8.0, "bf16": 16.0}[kv]
    setup = Setup(tp, groups, weight_bits(spec, dtype), bits, arithmetic(machine, dtype), groups, pp)
    return estimator(spec, machine, setup, program.caching(kv), dtype)[0]


FULL = [
    ("llama-3.1-70b", 1, 1, [(1000, 1000, 1901), (1024, 1024, 1887), (8192, 1024, 327), (32768, 1024, 67)]),
    ("qwen3-30b-a3b", 2, 2, [(1000, 1000, 7059), (1024, 1024, 7019), (8192, 1024, 1416)]),
    ("qwen3-235b-a22b", 2, 2, [(1000, 1000, 1731), (1024, 1024, 1732), (1024, 8192, 644), (32768, 1024, 70)]),
]
"""TensorRT-LLM's docs/source/developer-guide/perf-overview.md (version 1.2): two stages of RTX PRO 6000, nvfp4, all requests at
once and of one length: model, GPUs of a stage, groups that attend apart; tokens in, out, and output tokens/s of a GPU.
"""
ARRIVE = [
    ("a100-40gb", 4, [(1, 110.4, 43.72), (4, 139.8, 61.63)]),
    ("a100", 2, [(1, 183.9, 68.63), (4, 250.3, 104.6)]),
]
"""gist.github.com/surajssd, vLLM's nightly benchmark on Azure: Llama 3.3 70B in bf16, two stages on two machines, 200 ShareGPT
prompts of 213 tokens in and 214 out, which arrive at a rate: accelerator, GPUs of a stage; requests a second, mean
milliseconds to the first token and between tokens.
"""


def test_beside_public_runs() -> None:
    """All but one of fifteen within the range of the estimate, and all within a factor of 1.7. Requests of one length come in
    waves, whose prompts follow each other without a gap: such runs are up to half as fast again as the estimate.
    """
    inside, off = [], []
    for model, tp, groups, rows in FULL:
        of = real(model, "rtx-pro-6000", "trtllm", "nvfp4", "fp8", tp, 2, groups)
        for prompt, output, rate in rows:
            one = serve(of, Load(prompt, output), reserve=0).last
            times, bands = one.tokens_per_s_gpu / rate, of.bands()
            assert bands is not None
            off.append(times)
            inside.append(bands.per_token[0] <= times <= bands.per_token[1])
    assert 0.6 < min(off) < max(off) < 1.2 and sum(inside) == 10
    for on, tp, rows_ in ARRIVE:
        of = real("llama-3.1-70b", on, "vllm", "bf16", "bf16", tp, 2)
        for rate, first, token in rows_:
            one = serve(of, Load(213, 214), rate=rate, reserve=0).first
            times = token / 1e3 / one.tpot_s
            off.append(times)
            assert one.tpot_range_s is not None
            inside.append(one.tpot_range_s[0] <= token / 1e3 <= one.tpot_range_s[1])
            assert 0.75 < first / 1e3 / one.ttft_s < 1.3
    assert len(inside) == 15 and sum(inside) >= 14
    assert min(off) > 1 / 1.7 and max(off) < 1.7


@pytest.mark.parametrize(("tp", "pp", "rate", "share"), [(4, 2, 261.16, 0.57), (2, 4, 307.61, 0.33)])
def test_runs_found_later(tp: int, pp: int, rate: float, share: float) -> None:
    """substratus.ai/blog/benchmarking-llama-3.1-70b-on-l4: vLLM's first engine without CUDA graphs on eight L4, 1,000 ShareGPT
    prompts of 233 tokens in and 175 out at once, 512 at a time at most; output tokens a second. How far off the estimate is.
    """
    one = point(real("llama-3.1-70b", "l4", "vllm", "fp8", "fp8", tp, pp), Load(233, 175), 512, None)
    assert rate / 8 / one.tokens_per_s_gpu == pytest.approx(share, abs=0.01)


def test_one_user_beside_a_public_ratio() -> None:
    """Llama 3.1 405B in fp8 on eight H200 by TensorRT-LLM: with the least latency, eight GPUs that share each layer are 5.6 times
    as fast as eight stages (developer.nvidia.com/blog/boosting-llama-3-1-405b-throughput-by-another-1-5x-on-nvidia-h200-tensor-
    core-gpus-and-nvlink-switch).
    """
    times = [
        point(real("llama-3.1-405b", "h200", "trtllm", "fp8", "fp8", tp, 8 // tp), Load(2048, 128), 1, None).tpot_s
        for tp in (8, 1)
    ]
    assert times[1] / times[0] == pytest.approx(5.6, rel=0.1)


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ENGINES)
@pytest.mark.parametrize("more", [(), ("--dtype", "fp8")])
def test_the_line_is_read_back_as_the_same(program: str, more: tuple[str, ...]) -> None:
    ask = ("llama-3.1-70b", "--hardware", "8xh100", "--pp", "2", "--batch", "64", "--prompt", "2048", "--output", "512", *more)
    line = here("serve", *ask, "--emit", program).out
    flag = {"vllm": "--pipeline-parallel-size 2", "sglang": "--pp-size 2", "trtllm": "--pp_size 2"}[program]
    assert flag in line
    end = here("check", "-", "--json", stdin=line.encode())
    assert end.code == 0, end
    back, there = json.loads(end.out)["result"]["estimate"][0], asked("serve", *ask, "--engine", program)["result"]["estimate"][0]
    assert {name: back[name] for name in ("tpot_s", "ttft_s", "tokens_per_s_gpu")} == {
        name: there[name] for name in ("tpot_s", "ttft_s", "tokens_per_s_gpu")
    }


def test_gpus_of_a_replica() -> None:
    found = llmcx.serve("llama-3.1-70b", hardware="8xh100", pp=2, batch=8, dtype="fp8", price=1)
    same = llmcx.serve("llama-3.1-70b", hardware="h100", tp=4, pp=2, batch=8, dtype="fp8", price=1)
    assert found.gpus == same.gpus == 8 and found.first == same.first
    rate = found.first.tokens_per_s_gpu * 8
    assert found.first.usd_per_million == pytest.approx(8 / 3600 / rate * 1e6)
    one = llmcx.serve("llama-3.1-70b", hardware="8xh100", pp=1, batch=8, dtype="fp8")
    assert one.first == llmcx.serve("llama-3.1-70b", hardware="8xh100", batch=8, dtype="fp8").first


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("llama-3-8b --engine llama.cpp --pp 2", "llama.cpp does not work for several users in stages"),
        ("llama-3-8b --engine transformers --pp 2", "transformers does not work for several users in stages"),
        ("llama-3-8b --pp 33", "pp is 33, but llama-3-8b has 32 layers"),
        ("llama-3-8b --pp 0", "pp is 0"),
        ("llama-3-8b --hardware 4xh100 --pp 3", "4 GPUs do not divide into --pp 3 stages"),
        ("llama-3-8b --hardware 8xh100 --tp 2 --pp 2", "8 GPUs are not --tp 2 --pp 2"),
        ("llama-3-8b --pp 2 --prefill-workers 2", "leave out --pp, or --prefill-workers"),
        ("t5-base --pp 2", "pp is for models with one stack"),
        ("llama-3-8b --hardware 16xl4 --pp 16", "no network beyond"),
    ],
)
def test_what_is_refused(words: str, why: str) -> None:
    assert why in refused("serve", *words.split())


def test_a_line_of_llama_cpp_on_two_gpus_has_no_times() -> None:
    found = asked("check", "llama-server -m qwen3-8b-q4_k_m.gguf -c 16384", "--hardware", "2x4090")
    assert found["result"]["estimate"] == [] and any("llama.cpp on several GPUs" in note for note in found["notes"])
