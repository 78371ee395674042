"""The plan for serving: what it returns fits and runs, is what `llmcx serve` says of it, and is the best; docs/plan.md."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmcx import units  # noqa: E402
from llmcx.answers.load import Load, Point  # noqa: E402
from llmcx.answers.plan_serve import frontier  # noqa: E402
from llmcx.answers.plan_ways import Found, Place, Way, layouts  # noqa: E402
from llmcx.catalog.data import load_hardware  # noqa: E402
from llmcx.catalog.presets import load_preset  # noqa: E402
from llmcx.engines import engine  # noqa: E402
from llmcx.engines.inference_memory import held, largest_batch  # noqa: E402
from llmcx.engines.inference_memory import total as held_bytes  # noqa: E402
from llmcx.engines.launches import Launch  # noqa: E402
from llmcx.engines.passes import Passes  # noqa: E402
from llmcx.engines.serving_time import Setup  # noqa: E402
from llmcx.formats.quant import stored_as  # noqa: E402
from llmcx.parallel.layout import Layout, check  # noqa: E402
from tests.helpers import between, data, refused, write_between  # noqa: E402
from tests.oracle import regret  # noqa: E402

PAGE = ROOT / "docs" / "plan.md"


def planned(line: str) -> dict[str, Any]:
    found: dict[str, Any] = answered(line)["result"]
    return found


@cache  # several tests look at the same plan
def answered(line: str) -> dict[str, Any]:
    found: dict[str, Any] = data("plan", "serve", *shlex.split(line))
    return found


# --- what is returned can be run ------------------------------------------------------------------------------------------

ASKED = {
    "deepseek-v3 --hardware h200 --gpus 8..32 --prompt 4k --output 1k --ttft 2s --tpot 40ms": "deepseek-v3",
    "llama-3.1-70b --hardware h100,b200 --tpot 30ms": "llama-3.1-70b",
    "gpt-oss-120b --gpus 1..16 --users 200 --tpot 20ms": "gpt-oss-120b",
    "qwen3-next-80b-a3b --hardware h200 --gpus 2..8 --tpot 15ms --confidence 0.9": "qwen3-next-80b-a3b",
    "llama-3.1-8b --hardware mi300x --gpus 1..4": "llama-3.1-8b",
}


@pytest.mark.parametrize(("line", "model"), ASKED.items())
def test_every_choice_is_a_layout_that_fits_and_is_what_serve_says(line: str, model: str) -> None:
    found, inputs = planned(line), answered(line)["inputs"]
    choices = [*found["best"], *(each["choice"] for each in found["near"]), *found["frontier"][::5]]
    assert found["best"] and len(found["frontier"]) > 3
    spec = load_preset(model)
    for each in choices:
        check(spec, Layout(tp=each["tp"], ep=each["ep"], attention_dp=each["attention_dp"], sequence=False))
        prompts = each["prefill_workers"] * each["prefill_tp"]
        assert each["gpus"] == each["tp"] * each["pp"] * each["replicas"] * each["workers"] + prompts
        assert each["users"] == each["batch"] * each["replicas"]
        assert each["batch"] <= each["largest_batch"] and each["batch"] % each["attention_dp"] == 0
        served = data("serve", model, *serving(each, inputs, own=spec.stored is not None and each["dtype"] == spec.stored.name))
        [point] = served["result"]["estimate"]
        assert served["result"]["largest_batch"] == each["largest_batch"]
        for key in ("ttft_s", "tpot_s", "tokens_per_s_user", "tokens_per_s_gpu", "usd_per_million", "bound"):
            expected = each[key] if isinstance(each[key], str | None) else pytest.approx(each[key], rel=1e-9)
            assert point[key] == expected, key


def serving(each: dict[str, Any], inputs: dict[str, Any], own: bool) -> list[str]:
    """Options of `llmcx serve` for a replica of a choice; ``own``: its format is the release's."""
    said = {"prompt": inputs["prompt"], "output": inputs["output"], "cached": inputs["cached"], "kv-dtype": inputs["kv_dtype"]}
    said |= {name: each[name] for name in ("engine", "hardware", "tp", "pp", "ep", "batch")} | {
        "attention-dp": each["attention_dp"]
    }
    said |= {} if own else {"dtype": each["dtype"]}
    said |= {"chunk": each["chunk"]} if each["chunk"] else {}
    said |= {"draft": each["draft"], "acceptance": inputs["acceptance"]} if each["draft"] else {}
    options = [word for name, value in said.items() for word in (f"--{name}", str(value))]
    if each["prefill_workers"]:
        options += ["--prefill-workers", str(each["prefill_workers"])]
        options += ["--set", f"prefill_tp={each['prefill_tp']}", "--set", f"workers={each['workers']}"]
    return options


CHUNKED = (
    "deepseek-v3 --hardware h200 --gpus 8..16 --prompt 4k --output 1k --ttft 2s --tpot 40ms --aggregated",
    "llama-3.1-70b --hardware h100 --gpus 1..4 --prompt 2k --output 512 --engine sglang --aggregated",
    "llama-3.1-70b --hardware h100,h200 --gpus 1..8 --prompt 2k --output 512 --ttft 1s --tpot 25ms",
    "gpt-oss-120b --gpus 1..16 --users 200 --tpot 20ms --aggregated",
)


@pytest.mark.parametrize("line", CHUNKED)
def test_another_chunk_than_the_engines_own_is_told_where_it_is_five_percent_better(line: str) -> None:
    """Each that is told costs 5% less than any of the engine's own that meets the objective, or answers 5% more than any of the
    frontier that is as fast; and the same by `serve`, of which fewer tokens a step leave room for no fewer users.
    """
    found, inputs = planned(line), answered(line)["inputs"]
    assert found["rechunked"] > 0
    usual = [each for each in [*found["best"], *found["frontier"]] if not each["chunk"]]
    limits = {name: inputs[name] or float("inf") for name in ("ttft", "tpot")}
    met = [each for each in usual if each["ttft_s"] <= limits["ttft"] and each["tpot_s"] <= limits["tpot"]]
    cost = "usd_per_hour" if inputs["users"] else "usd_per_million"
    for each in [*found["best"], *found["frontier"]]:
        if not each["chunk"]:
            continue
        cheaper = all(each[cost] < 0.95 * other[cost] for other in met)
        same = [other for other in usual if other["hardware"] == each["hardware"] and other["tpot_s"] <= each["tpot_s"]]
        assert cheaper or all(each["tokens_per_s_gpu"] > 1.05 * other["tokens_per_s_gpu"] for other in same)
        own = load_preset(line.split()[0]).stored is not None
        words = serving(each, inputs, own=own)
        at = words.index("--chunk")
        fewer, more = (
            data("serve", line.split()[0], *each_words)["result"] for each_words in (words, words[:at] + words[at + 2 :])
        )
        assert fewer["largest_batch"] == each["largest_batch"] >= more["largest_batch"]
    if line == CHUNKED[2]:
        assert not any(each["chunk"] for each in [*found["best"], *found["frontier"]])


def test_a_prompt_in_pieces() -> None:
    """Twice as many tokens a step are half as many steps: what a prompt adds differs by what a step with prompts takes besides
    (pass_us of the engine), and by the kernels', which differ by less than a tenth; the first token waits for each piece.
    """
    asked = "llama-3.1-8b --hardware h100 --engine vllm --prompt 8k --output 256 --batch 16"
    line = shlex.split(asked)
    one, two, whole = (
        data("serve", *line, *more)["result"]["estimate"][0] for more in (("--chunk", "1k"), ("--chunk", "2k"), ())
    )
    besides = 16 * 1484e-6 * (8 - 4) / 256  # users · pass_us of presets/engines/vllm.yaml · pieces / output
    assert one["tpot_s"] - two["tpot_s"] == pytest.approx(besides, abs=0.1 * whole["tpot_s"])
    assert one["ttft_s"] > two["ttft_s"] > whole["ttft_s"]
    assert one["itl_p99_s"] < two["itl_p99_s"] < whole["itl_p99_s"]


def test_prompts_on_gpus_of_their_own() -> None:
    """Disaggregated alone, never, or whichever is better; and prompts do not bind: four times their workers gain little."""
    asked = "llama-3.1-70b --hardware h100 --gpus 4..16 --prompt 8k --output 512 --ttft 2s --tpot 25ms"
    apart, among, both = (planned(f"{asked} {how}".strip()) for how in ("--disaggregated", "--aggregated", ""))
    assert all(each["prefill_workers"] for each in [*apart["best"], *apart["frontier"]])
    assert not any(each["prefill_workers"] for each in [*among["best"], *among["frontier"]])
    costs = [each["best"][0]["usd_per_million"] for each in (apart, among, both)]
    assert costs[2] == min(costs) and both["searched"] == apart["searched"] + among["searched"]
    inputs = answered(f"{asked} --disaggregated")["inputs"]
    for each in apart["best"]:
        assert 4 <= each["gpus"] <= 16 and each["ttft_s"] <= 2 and each["tpot_s"] <= 0.025
        [more] = data(
            "serve", "llama-3.1-70b", *serving(each | {"prefill_workers": 4 * each["prefill_workers"]}, inputs, own=False)
        )["result"]["estimate"]
        assert more["tpot_s"] == pytest.approx(each["tpot_s"], rel=0.05)  # as fast as with prompts in abundance
    late = planned(f"{asked} --disaggregated --rate 3/s")
    for each in late["best"]:
        assert each["prefill_workers"] and 0 < each["utilization"] < 1 and each["replicas"] == 1
        assert each["tokens_per_s_gpu"] == pytest.approx(3 * 512 / each["gpus"])


def test_what_no_server_holds_is_served_in_stages() -> None:
    """405B parameters of 2 bytes are 810 GB, and a server of eight H100 has 640: two of them, a stage on each."""
    found = planned("llama-3.1-405b --hardware h100 --gpus 8..16 --dtype bf16 --aggregated")
    assert {(each["tp"], each["pp"]) for each in found["best"]} >= {(8, 2)}
    assert all(each["tp"] * each["pp"] == 16 for each in [*found["best"], *found["frontier"]])
    pairs = planned("qwen2.5-32b --hardware rtx-3090 --gpus 1..4 --dtype awq")  # NVLink joins two, and nothing is known beyond
    for each in [*pairs["best"], *pairs["frontier"]]:
        assert each["tp"] * each["pp"] * each["workers"] + each["prefill_tp"] * each["prefill_workers"] <= 2


def test_drafts_are_chosen_where_they_pay() -> None:
    """One user's step costs little more with two tokens to verify than with one, of which 1.7 are kept; what drafts are accepted
    is said.
    """
    asked = "llama-3.1-8b --hardware h100 --gpus 1 --tpot 5ms"
    plain, drafting = planned(asked), planned(f"{asked} --draft 0,1,3 --acceptance 0.7")
    assert drafting["frontier"][0]["draft"] == 3
    assert drafting["best"][0]["draft"] and drafting["best"][0]["usd_per_million"] < plain["best"][0]["usd_per_million"]
    inputs = answered(f"{asked} --draft 0,1,3 --acceptance 0.7")["inputs"]
    [point] = data("serve", "llama-3.1-8b", *serving(drafting["best"][0], inputs, own=False))["result"]["estimate"]
    assert point["tpot_s"] == pytest.approx(drafting["best"][0]["tpot_s"], rel=1e-9)


def test_a_cached_prefix_makes_it_cheaper() -> None:
    asked = "llama-3.1-8b --hardware h100 --gpus 1 --tpot 10ms --prompt 8k"
    costs = [planned(f"{asked} --cached {n}")["best"][0]["usd_per_million"] for n in (0, 4096, 7168)]
    assert costs == sorted(costs, reverse=True)


def test_users_are_spread_over_replicas() -> None:
    """500 users on 4 GPUs a replica: on two replicas 250 each, on three 167; an hour costs the GPUs' price."""
    asked = "qwen3-235b-a22b --hardware h200 --gpus 4..64 --users 500 --tpot 50ms --price 4"
    for each in (found := planned(f"{asked} --aggregated"))["frontier"]:
        groups = each["attention_dp"]
        assert each["batch"] == -(-500 // (each["replicas"] * groups)) * groups and 4 <= each["gpus"] <= 64
        assert each["usd_per_hour"] == 4 * each["gpus"]
    assert found["best"][0]["usd_per_hour"] == min(each["usd_per_hour"] for each in found["best"])


def test_requests_at_a_rate_are_what_serve_says_of_a_replica() -> None:
    """20 requests a second on five replicas are 4 on each; all are answered; a percentile is what is held to the limit."""
    asked = (
        "llama-3.1-70b --hardware h100,h200 --gpus 1..32 --prompt 2k --output 512 --rate 12/s --ttft 1s --tpot 40ms --aggregated"
    )
    found, late = planned(f"{asked} --price 4,5"), planned(f"{asked} --price 4,5 --percentile 99")
    assert found["best"] and late["best"] and late["best"][0]["usd_per_hour"] >= found["best"][0]["usd_per_hour"]
    for each in [*found["best"], *late["best"], *late["frontier"][::6]]:
        assert each["gpus"] == each["tp"] * each["pp"] * each["replicas"] and 0 < each["utilization"] < 1
        assert each["tokens_per_s_gpu"] == pytest.approx(12 * 512 / each["gpus"])
        options = f"--engine {each['engine']} --dtype {each['dtype']} --hardware {each['hardware']} --tp {each['tp']}"
        options += f" --pp {each['pp']}"
        options += f" --prompt 2k --output 512 --rate {12 / each['replicas']:.11g}"
        served = data("serve", "llama-3.1-70b", *options.split())["result"]
        [point] = served["estimate"]
        assert served["arrivals"]["utilization"] == pytest.approx(each["utilization"], rel=1e-9)
        for key in ("ttft_s", "tpot_s", "batch"):
            assert point[key] == pytest.approx(each[key], rel=1e-9), key
        if each in late["best"]:
            assert each["ttft_held_s"] == pytest.approx(point["ttft_p99_s"], rel=1e-3) and each["ttft_held_s"] <= 1
            assert each["tpot_held_s"] == pytest.approx(point["tpot_p99_s"], rel=1e-3) and each["tpot_held_s"] <= 0.04
    costs = [planned(f"llama-3.1-70b --gpus 1..32 --rate {n}/s --tpot 40ms")["best"][0]["usd_per_hour"] for n in (2, 5, 10, 20)]
    assert costs == sorted(costs)


def test_percentiles_of_a_closed_loop_are_held_to_the_limits() -> None:
    asked = "llama-3.1-70b --hardware h200 --gpus 1..8 --ttft 2s --tpot 30ms"
    means, late = planned(asked), planned(f"{asked} --percentile 90")
    assert late["best"][0]["usd_per_million"] >= means["best"][0]["usd_per_million"]
    for each in late["best"]:
        assert each["ttft_held_s"] <= 2 and each["tpot_held_s"] <= 0.03 and each["over"] <= 1


# --- and it is the best ---------------------------------------------------------------------------------------------------


def test_a_looser_objective_is_never_worse() -> None:
    asked = "llama-3.1-70b --hardware h100,h200 --gpus 1..8 --prompt 2k --output 512 --engine trtllm"
    costs = [planned(f"{asked} --tpot {ms}ms --ttft 800ms")["best"] for ms in (8, 12, 20, 30, 50, 100)]
    usd = [best[0]["usd_per_million"] for best in costs if best]
    assert len(usd) > 3 and all(later <= before for before, later in pairwise(usd))
    usd = [planned(f"{asked} --tpot 30ms --ttft {ms}ms")["best"][0]["usd_per_million"] for ms in (300, 600, 1200, 5000)]
    assert all(later <= before for before, later in pairwise(usd))
    wider = [planned(f"llama-3.1-70b --gpus 1..{most} --tpot 20ms")["best"][0]["usd_per_million"] for most in (4, 8)]
    assert wider[1] <= wider[0]


def test_what_meets_the_objective_does() -> None:
    asked = "llama-3.1-70b --hardware h200 --gpus 1..8 --prompt 2k --output 512 --ttft 1s --tpot 25ms"
    plain, sure = planned(asked), planned(f"{asked} --confidence 0.9")
    for each in plain["best"]:
        assert each["tpot_s"] <= 0.025 and each["ttft_s"] <= 1 and each["over"] <= 1
    for each in sure["best"]:
        assert each["tpot_range_s"][1] <= 0.025 and each["ttft_range_s"][1] <= 1
    assert sure["best"][0]["usd_per_million"] >= plain["best"][0]["usd_per_million"]
    for each in plain["near"]:
        miss = each["choice"]
        assert miss["over"] == pytest.approx(max(miss["tpot_s"] / 0.025, miss["ttft_s"])) and miss["over"] > 1
        assert miss["usd_per_million"] < plain["best"][0]["usd_per_million"] and "over" in each["why"]
    nothing = data("plan", "serve", *f"{asked} --engine vllm".replace("25ms", "1ms").split())
    assert (
        not nothing["result"]["best"] and "nothing meets" in nothing["verdict"] and "--tpot" in nothing["changes"][0]["options"]
    )


@pytest.mark.parametrize("line", ASKED)
def test_no_point_of_the_frontier_is_beaten(line: str) -> None:
    points = planned(line)["frontier"]
    for one in points:
        for other in points:
            if other is not one and other["hardware"] == one["hardware"]:
                assert not (
                    other["tokens_per_s_user"] >= one["tokens_per_s_user"]
                    and other["tokens_per_s_gpu"] >= one["tokens_per_s_gpu"]
                )


def test_a_frontier_by_hand() -> None:
    """Of (100, 10), (50, 40), (40, 30), (20, 90), (20, 80) tokens/s of a user and of a GPU, (40, 30) is beaten by the second and
    (20, 80) by the fourth.
    """
    place = Place(load_hardware("h100"), "vllm", lambda gpus, tp: engine("vllm"), None)
    way = Way(place, "bf16", Setup(), 1, Load(1024, 1024))

    def at(user: float, gpu: float) -> Found:
        return Found(way, 1, Point(1, 0.1, 1 / user, user, gpu, None, "weights"))

    kept = frontier([at(20, 80), at(40, 30), at(100, 10), at(20, 90), at(50, 40)])
    assert [(round(each.point.tokens_per_s_user), each.point.tokens_per_s_gpu) for each in kept] == [
        (100, 10),
        (50, 40),
        (20, 90),
    ]


# --- what makes it quick changes no number ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", ["llama-3.1-70b", "gpt-oss-120b", "deepseek-v3", "qwen3-next-80b-a3b", "mixtral-8x7b", "jamba-1.5-mini"]
)
@pytest.mark.parametrize(
    "layout", [Layout(sequence=False), Layout(tp=8, sequence=False), Layout(4, ep=4, attention_dp=4, sequence=False)]
)
def test_passes_of_any_batch_are_those_lowered_for_it(model: str, layout: Layout) -> None:
    spec = load_preset(model)
    if layout.ep > 1 and not spec.mixtures:
        pytest.skip("no experts")
    of = Passes(spec, layout, stored_as(spec, "bf16"))
    for batch in (1, 4, 12, 100, 1000):
        direct, grown = Counter[Launch](), Counter[Launch]()
        line, size = of.step(batch, 3000)
        for launches, found in ((of.decoding(batch, 3000), direct), (line.at(size), grown)):
            for kind, times, shape, form in launches:
                found[Launch(kind, 1, shape, form)] += times
        assert grown == direct


@pytest.mark.parametrize("model", ["llama-3.1-70b", "gpt-oss-120b", "deepseek-v3", "qwen3-next-80b-a3b"])
@pytest.mark.parametrize("name", ["ideal", "vllm", "sglang", "trtllm"])
def test_one_more_than_the_largest_batch_does_not_fit(model: str, name: str) -> None:
    if (model, name) == ("qwen3-next-80b-a3b", "trtllm"):
        pytest.skip("how TensorRT-LLM holds gated_delta is not known")
    spec, program = load_preset(model), engine(name)
    layout, budget, context = Layout(tp=8, sequence=False), 120 * 10**9, 3000
    largest = largest_batch(spec, context, layout, program, budget, 8, 16)

    def taken(batch: int) -> int:
        return max(held_bytes(gpu, gpu.params, "bf16") for gpu in held(spec, batch, context, layout, program))

    assert largest > 1 and taken(largest) <= budget < taken(largest + 1)


# --- what is asked --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--gpus 8..4", "8..64"),
        ("--gpus 0", "at least 1"),
        ("--gpus 1..9999", "up to"),
        ("--ttft 0s", "above 0"),
        ("--tpot 40m", "40ms"),
        ("--tpot -1", "above 0"),
        ("--hardware 8xh200", "--gpus 8"),
        ("--hardware h100,h200 --price 3", "one for each"),
        ("--hardware h100,nope", "not known"),
        ("--engine ideal", "not known"),
        ("--hardware mi300x --engine trtllm", "does not run"),
        ("--hardware m4-max", "plan local --hardware m4-max"),
        ("--confidence 0.8", "0.9"),
        ("--users 0", "between 1"),
        ("--rate 0", "above 0"),
        ("--rate 5/s --users 10", "give one"),
        ("--rate 100000/s", "more --gpus"),
        ("--percentile 95", "50, 90 or 99"),
        ("--users 1000000", "more --gpus"),
        ("--gpus 1 --dtype bf16", "more --gpus"),
        ("--dtype nope", "not known"),
        ("--kv-dtype nope", "not known"),
        ("--price=-1", "0 or more"),
        ("--prompt 0", "prompt"),
        ("--draft 0", "0,1,3"),
        ("--draft=-1,2", "0,1,3"),
        ("--acceptance 0.5", "--draft"),
        ("--cached 2k", "the prompt has 1024"),
        ("--disaggregated --gpus 1", "more --gpus"),
    ],
)
def test_bad_input_is_one_sentence(line: str, words: str) -> None:
    assert words in refused("plan", "serve", "llama-3.1-70b", *line.split())


def test_an_engine_that_does_not_hold_a_model_is_left_out_and_said() -> None:
    found = planned("qwen3-next-80b-a3b --hardware h200 --gpus 4")
    assert any("trtllm" in each and "gated_delta" in each for each in found["left_out"])
    assert {each["engine"] for each in found["frontier"]} <= {"vllm", "sglang"}
    assert "gated_delta" in refused("plan", "serve", "qwen3-next-80b-a3b", "--engine", "trtllm")


def test_accelerators_that_cost_nothing() -> None:
    """The fastest for a user is the best, with one user on each replica."""
    found = planned("gpt2 --gpus 1 --prompt 64 --output 64 --price 0")
    assert found["best"][0]["usd_per_million"] == 0 and found["best"][0]["tpot_s"] == found["frontier"][0]["tpot_s"]


def test_times_as_people_write_them() -> None:
    assert [units.seconds(each) for each in ("2s", "40ms", "1.5s", "250us", "1 min")] == [2.0, 0.04, 1.5, 0.00025, 60.0]


def test_engines_run_their_own_layouts() -> None:
    """vLLM has experts on all GPUs or none; TensorRT-LLM attends on each GPU alone or on all together."""
    spec = load_preset("deepseek-v3")
    assert {ep for tp, ep, _ in layouts(spec, "vllm", 8, 8) if tp == 8} == {1, 8}
    assert {ep for tp, ep, _ in layouts(spec, "trtllm", 8, 8) if tp == 8} == {1, 2, 4, 8}
    assert {groups for tp, _, groups in layouts(spec, "trtllm", 8, 8) if tp == 8} == {1, 8}
    assert {(ep, tp // groups <= 8) for tp, ep, groups in layouts(spec, "sglang", 32, 8) if tp == 32} == {(32, True)}


# --- beside measured runs -------------------------------------------------------------------------------------------------


def regrets() -> str:
    return f"{regret.SOURCE}; {regret.DATE}.\n\n{regret.table()}"


def test_regret_beside_measured_runs() -> None:
    """The chosen one of the measured configurations is within 15% of the best in four of five cells."""
    if not regret.SILICON.is_dir():
        pytest.skip("../shared/silicon is not here")
    found = regret.cells()
    assert sum(cell.rate is not None and cell.rate >= 0.85 for cell in found) >= 0.8 * len(found) > 200
    assert between(PAGE, "regret") == regrets()


if __name__ == "__main__":
    write_between(PAGE, "regret", regrets())
