"""The plan for a machine of one's own: what is listed fits, is what `memory` and `serve` say, and is ranked as the page says."""

from __future__ import annotations

import json
import shlex
import sys
from math import isclose, sqrt
from pathlib import Path
from statistics import median
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import llmcx  # noqa: E402
from llmcx.answers.plan_local import Ask, Entry, Machine, candidate, entry, plan, proxy  # noqa: E402
from llmcx.catalog.data import load_hardware  # noqa: E402
from llmcx.catalog.presets import load_preset, names, summaries  # noqa: E402
from llmcx.cli import plan_local as command  # noqa: E402
from llmcx.engines import engine  # noqa: E402
from llmcx.engines.llama_offload import Split, met  # noqa: E402
from llmcx.engines.local_time import Local, on_processors  # noqa: E402
from llmcx.engines.serving_time import Setup  # noqa: E402
from tests import published  # noqa: E402
from tests.helpers import between, data, here, refused, write_between  # noqa: E402
from tests.validation import alone  # noqa: E402

PAGE = ROOT / "docs" / "plan_local.md"


def planned(line: str) -> dict[str, Any]:
    found: dict[str, Any] = data("plan", "local", *shlex.split(line))["result"]
    return found


# --- what is listed runs, and is what the other commands say -----------------------------------------------------------------


@pytest.mark.parametrize("line", ["--hardware rtx-4090 --seq 16k --top 4 --since 2025", "--hardware m4-max --ram 64GB --top 3"])
def test_whole_models_fit_as_memory_says(line: str) -> None:
    share = "0.9" if "rtx" in line else "0.75"
    chip = "rtx-4090" if "rtx" in line else "m4-max"
    found = planned(line)["models"]
    assert len(found) == int(line.split("--top ")[1].split()[0])
    for one in found:
        words = ("--dtype", one["dtype"], "--seq", str(one["seq"]), "--engine", "llama.cpp", "--hardware", chip)
        budget = ("--utilization", share) if "rtx" in line else ("--budget", "48GB")
        said = data("memory", one["model"], *words, *budget)["result"]
        assert said["fits"] and said["total_bytes"] == one["gpu_bytes"] and one["place"] == "gpu"


def test_speeds_are_those_of_serve() -> None:
    """A prompt of half the sequence, and the token after it."""
    one = planned("qwen3-14b --hardware rtx-4090 --dtype q4_k_m --seq 8k")["models"][0]
    words = ("--dtype", "q4_k_m", "--engine", "llama.cpp", "--hardware", "rtx-4090", "--prompt", "4096", "--output", "1")
    [said] = data("serve", "qwen3-14b", *words, "--batch", "1")["result"]["estimate"]
    assert isclose(1 / one["tokens_per_s"], said["tpot_s"], rel_tol=1e-9)
    assert isclose(4096 / one["prompt_tokens_per_s"], said["ttft_s"], rel_tol=1e-9)
    low, high = said["tpot_range_s"]
    assert isclose(one["tokens_per_s_range"][0], 1 / high) and isclose(one["tokens_per_s_range"][1], 1 / low)


@pytest.mark.parametrize("model", ["gpt-oss-120b", "llama-3.1-70b", "gemma-3-27b"])
def test_splits_are_those_of_memory(model: str) -> None:
    """Of a tied head too, which lies on the GPU as a copy of the token table."""
    dtype = "mxfp4_moe" if model.startswith("gpt") else "q8_0"
    one = planned(f"{model} --hardware rtx-4090 --ram 96GB --ram-bandwidth 80GB --dtype {dtype} --seq 8k")["models"][0]
    words = ("--dtype", dtype, "--seq", "8k", "--engine", "llama.cpp", "--hardware", "rtx-4090", "--fit", "offload")
    said = data("memory", model, *words, "--set", "ram=96GB")["result"]
    assert one["place"] == "split" and one["flags"] == f"{said['fit']['value']} -c 8192"
    assert (one["gpu_bytes"], one["host_bytes"]) == (said["total_bytes"], said["host_bytes"])


def test_the_longest_context_is_the_last_that_fits() -> None:
    one = planned("qwen3-32b --hardware rtx-4090 --dtype q4_k_m")["models"][0]
    words = ("--dtype", "q4_k_m", "--engine", "llama.cpp", "--hardware", "rtx-4090")
    fits = [data("memory", "qwen3-32b", *words, "--seq", str(one["context"] + more))["result"]["fits"] for more in (0, 256)]
    assert fits == [True, False]


# --- by hand ----------------------------------------------------------------------------------------------------------------


def test_a_split_takes_its_two_parts() -> None:
    """Llama 3 8B, 16 of its 32 layers on the processors: each has 4 * 4096 * 4096 * (1 + 1/4) / 2 of attention (q and o whole,
    k and v a quarter), three of 4096 * 14336, two norms; in eight bits, at 45% of 100 GB/s.
    """
    spec = load_preset("llama-3-8b")
    server = Local(spec, load_hardware("rtx-4090"), Setup(weight_bits=8.0, kv_bits=16.0), engine("llama.cpp"))
    layer = 4096 * 4096 * 2 + 2 * 4096 * 1024 + 3 * 4096 * 14336 + 2 * 4096
    found = met(spec, Split(17))
    assert found.host == 16 * layer and found.all == 32 * layer + 4096 + 4096 * 128256 and found.layers == 0.5
    step, cache = server.decode(1, 2048), 2 * 1024 * 2 * 2048 * 32
    share = found.host / found.all
    gpu = (step.weights + step.compute) * (1 - share) + step.cache / 2 + step.overhead
    assert isclose(server.split(Split(17), 2048, 1e11), gpu + (16 * layer + cache / 2) / 45e9, rel_tol=1e-9)
    assert server.split(Split(33), 2048, 1e11) == server.decode(1, 2048).total
    assert isclose(on_processors(spec, 8.0, cache, 1e11), (found.all + cache) / 45e9, rel_tol=1e-9)


def test_a_prompt_of_a_split_waits_for_weights() -> None:
    """2,048 tokens in four pieces, each after 10 GB over 80% of 31.5 GB/s; a network that is no PCIe is not the host's."""
    spec = load_preset("llama-3-8b")
    server = Local(spec, load_hardware("rtx-4090"), Setup(weight_bits=8.0), engine("llama.cpp"))
    more = (server.split_prompt(2048, 512, 10e9) or 0) - server.prefill(2048).total
    assert isclose(more, 4 * 10 / (0.8 * 31.5), rel_tol=1e-9)
    assert Local(spec, load_hardware("h100"), Setup(weight_bits=8.0), engine("llama.cpp")).split_prompt(2048, 512, 10e9) is None


def test_the_proxy_ranks() -> None:
    assert isclose(proxy(30e9, 3e9), sqrt(90) * 1e9) and proxy(8e9, 8e9) == 8e9
    found = planned("--hardware m4-max --top 8")["models"]
    ranks = [one["proxy"] for one in found]
    assert ranks == sorted(ranks, reverse=True)
    assert all(isclose(one["proxy"], sqrt(one["total"] * one["active"])) for one in found)


def test_the_most_precise_format_that_lies_whole() -> None:
    """Of a model alone on a card that holds q6_k and not q8_0, q6_k."""
    spec = load_preset("qwen3-32b")
    ask = Ask(engine("llama.cpp"), 4096)
    sizes = {}
    for name in ("q8_0", "q6_k"):
        found = candidate(spec, entry(spec), name, Machine(load_hardware("h100"), 1, 10**12), ask)
        sizes[name] = found.gpu_bytes  # type: ignore[union-attr]
    for budget, wanted in ((sizes["q8_0"], "q8_0"), (sizes["q8_0"] - 1, "q6_k"), (sizes["q6_k"] - 1, "q5_k_m")):
        got = plan([entry(spec)], Machine(load_hardware("h100"), 1, budget), ask, 1)
        assert [one.dtype for one in got.models] == [wanted]


def test_a_limit_on_time_leaves_out_what_is_slow() -> None:
    quick = planned("--hardware m4-max --tpot 20ms --top 6 --since 2025")
    assert quick["models"] and all(one["tokens_per_s"] >= 50 for one in quick["models"]) and quick["too_slow"]
    assert all("over 20 ms" in each["why"] or "more than there is" in each["why"] for each in quick["near"])


# --- what is asked -----------------------------------------------------------------------------------------------------------

BASE = "--hardware rtx-4090 --top 3"
CHANGES = {
    f"{BASE} --seq 32k": BASE,
    f"{BASE} --family qwen3": BASE,
    f"{BASE} --license mit": BASE,
    f"{BASE} --at-least 33B": BASE,
    f"{BASE} --at-most 10B": BASE,
    f"{BASE} --since 2026": BASE,
    f"{BASE} --tpot 20ms": BASE,
    f"{BASE} --ram 64GB": BASE,
    f"{BASE} --ram 64GB --ram-bandwidth 80GB": f"{BASE} --ram 64GB",
    f"{BASE} --dtype q3_k_m": BASE,
    f"{BASE} --kv-dtype q8_0": BASE,
    f"{BASE} --engine exllamav2": BASE,
    f"{BASE} --utilization 50%": BASE,
    "--hardware rtx-4090 --top 2": BASE,
    "--hardware 2xrtx-3090 --top 3": BASE,
    "--hardware m4-max --ram 32GB --top 2": "--hardware m4-max --top 2",
}


@pytest.mark.parametrize(("line", "other"), CHANGES.items())
def test_every_option_changes_the_answer(line: str, other: str) -> None:
    assert planned(line) != planned(other)


def test_filters_hold() -> None:
    found = planned("--hardware m4-max --license apache --family qwen --at-least 5B --at-most 40B --since 2025 --top 20")
    assert len(found["models"]) > 4 and not found["beyond"]
    for one in found["models"]:
        assert one["license"].startswith("apache") and one["family"].startswith("qwen")
        assert 5e9 <= one["total"] <= 40e9 and one["year"] >= 2025


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--hardware nope", "not known"),
        ("--hardware cpu", "--ram"),
        ("--hardware cpu --ram 0GB", "between 1"),
        ("--hardware cpu --ram 32GB --engine mlx", "without a GPU"),
        ("--hardware rtx-4090 --engine mlx", "Apple"),
        ("--hardware m4-max --engine exllamav2", "NVIDIA"),
        ("--hardware rtx-4090 --engine vllm", "not known"),
        ("--hardware 2xm4-max", "one Mac"),
        ("--hardware m4-max --ram-bandwidth 80GB", "reads the machine's memory itself"),
        ("--hardware rtx-4090 --ram-bandwidth 80GB", "--ram"),
        ("--hardware 2xrtx-3090 --ram 64GB", "several GPUs"),
        ("--hardware rtx-4090 --ram 64", "80GB"),
        ("--hardware rtx-4090 --seq 0", "seq"),
        ("--hardware rtx-4090 --tpot 5x", "5x"),
        ("--hardware rtx-4090 --family nope", "not known"),
        ("--hardware rtx-4090 --license nope", "not known"),
        ("--hardware rtx-4090 --dtype nope", "not known"),
        ("--hardware rtx-4090 --kv-dtype nope", "not known"),
        ("--hardware rtx-4090 --utilization 2", "at most 1"),
        ("--hardware m4-max --utilization 0", "above 0"),
        ("--hardware rtx-4090 --top 0", "between 1"),
        ("qwen3-8b --hardware rtx-4090 --top 2", "one is named"),
        ("qwen3-8b --hardware rtx-4090 --family llama", "models are named"),
        ("qwen3-8b --hardware rtx-4090 --seq 1M", "fewer than --seq"),
        ("qwen3-8 --hardware rtx-4090", "qwen3-8b"),
        ("./nothing.json --hardware rtx-4090", "nothing.json"),
        ("bert-base --hardware rtx-4090", "does not generate"),
        ("opt-66b --hardware rtx-4090", "no opt"),
    ],
)
def test_bad_input_is_one_sentence(line: str, words: str) -> None:
    assert words in refused("plan", "local", *shlex.split(line))


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    end = here("plan", "local", "deepseek-v3", "--hardware", "rtx-4090")
    assert end.code == 0 and "nothing runs there; nearest: deepseek-v3" in " ".join(end.out.split())
    file = tmp_path / "mein modell ü.json"
    shape = {"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape |= {"intermediate_size": 512, "vocab_size": 1000}
    file.write_text(json.dumps(shape, indent=1), encoding="utf-8", newline="\r\n")
    found = planned(f"'{file}' llama-3-8b --hardware rtx-4090")
    layer = 4 * 256**2 + 3 * 256 * 512 + 512
    assert [one["total"] for one in found["models"]] == [8_030_261_248, 2 * layer + 256 * 2001]


def test_a_machine_without_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speeds need the memory's bandwidth; all else is said."""
    monkeypatch.setattr("llmcx.catalog.detect.shutil.which", lambda tool: None)
    monkeypatch.setattr(command, "_memory", lambda: 32 * 10**9)
    found = data("plan", "local", "--hardware", "auto", "--top", "2", "--at-most", "9B")
    assert found["inputs"]["hardware"] == "cpu" and "32.0 GB" in str(found["notes"])
    assert all(one["tokens_per_s"] is None and one["place"] == "processor" for one in found["result"]["models"])
    assert any("--ram-bandwidth" in note for note in found["notes"])
    known = data("plan", "local", "--ram-bandwidth", "60GB", "--top", "2", "--at-most", "9B")["result"]
    assert all(one["tokens_per_s"] > 0 and one["prompt_tokens_per_s"] is None for one in known["models"])
    monkeypatch.setattr(command, "_memory", lambda: None)
    assert "no accelerator was found" in refused("plan", "local")


def test_python_gives_the_same() -> None:
    ours = llmcx.plan_local(["qwen3-8b", "qwen3-14b"], hardware="rtx-4090", tpot="50ms")
    theirs = planned("qwen3-8b qwen3-14b --hardware rtx-4090 --tpot 50ms")
    assert ours.to_dict() == theirs and repr(ours) == "LocalPlan(models[2], first='qwen3-14b q8_0')"


def test_large_models_are_not_built() -> None:
    """What is far too large by its row is never loaded."""

    def explode() -> Any:
        raise AssertionError

    machine = Machine(load_hardware("rtx-4090"), 1, 20 * 10**9)
    found = plan([Entry("huge", 10**12, 10**12, explode)], machine, Ask(engine("llama.cpp")), 5)
    assert (found.models, found.too_large) == ([], 1)


def test_licences_are_one_word() -> None:
    """As model cards name them: a word each, and most presets that have files have one."""
    stated = [row["license"] for row in summaries()]
    assert sum(each is not None for each in stated) > 0.7 * len(names())
    assert all(each is None or (each == each.lower() and " " not in each) for each in stated)
    assert load_preset("qwen3-8b").license == "apache-2.0" and load_preset("llama-3.1-8b").license == "llama3.1"
    rows = data("catalog", "models", "--license", "mit")["result"]
    assert {row["name"] for row in rows} >= {"phi-4", "glm-4.5"} and {row["license"] for row in rows} == {"mit"}
    assert "not known" in refused("catalog", "models", "--license", "nope")


# --- beside measured runs ------------------------------------------------------------------------------------------------------


def beside() -> str:
    """By machine: how far estimates are from what was measured, rows that calibrate and rows that only test."""
    rows = [row for row in published.local() if row.engine != "transformers" and not row.aside]
    lines = [
        "| machine | program | rows that calibrate | within 20% | median error | rows that test | within 20% | median error |",
        "| --- | --- | --: | --: | --: | --: | --: | --: |",
    ]
    for chip, program in dict.fromkeys((row.hardware, row.engine) for row in rows):
        cells = []
        for calibrates in (True, False):
            of = [row for row in rows if (row.hardware, row.engine, row.calibrates) == (chip, program, calibrates)]
            far = [abs(alone(row) / row.rate - 1) for row in of]
            share = f"{sum(each <= 0.2 for each in far)}" if far else ""
            cells += [str(len(of)), share, f"{median(far):.0%}" if far else ""]
        lines.append(f"| {chip} | {program} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_local_speeds_beside_measured_runs() -> None:
    """Sources and models that calibrate do not test; the page says how far the rest is."""
    rows = [row for row in published.local() if row.engine != "transformers" and not row.aside]
    for key in ("source", "model"):
        both = {getattr(row, key) for row in rows if row.calibrates} & {getattr(row, key) for row in rows if not row.calibrates}
        # Llama 2 7B and 70B calibrate exllamav2 and test others; no program's models do both, but for MLC-LLM's.
        assert key == "model" or not both
    for program in ("llama.cpp", "mlx"):
        mine = [row for row in rows if row.engine == program]
        assert not {row.model for row in mine if row.calibrates} & {row.model for row in mine if not row.calibrates} - {
            "llama-3-70b"  # calibrates llama.cpp, and tests MLX
        }
    tests = [row for row in rows if not row.calibrates and row.hardware.startswith("m") and row.of == "output"]
    assert median(abs(alone(row) / row.rate - 1) for row in tests) <= 0.10
    assert between(PAGE, "local") == beside()


if __name__ == "__main__":
    write_between(PAGE, "local", beside())
