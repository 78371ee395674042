"""Lines of workers for prompts, of workers that decode, and of their router: read by the engines themselves, and by `check`."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from llmcx.catalog.load import load
from llmcx.cli.launching import read_all
from tests.helpers import data, here, refused

GOLDEN = Path(__file__).parent / "oracle" / "workers.json"


class Half(NamedTuple):
    """Workers of one kind on ``tp`` GPUs each, of which ``ep`` share out the experts and ``dp`` groups attend for themselves."""

    number: int
    tp: int
    ep: int = 1
    dp: int = 1


LLAMA = "llama-3.1-70b --hardware h100 --dtype fp8_tensor --prompt 2k --output 512 --batch 96"
QWEN = "qwen3-235b-a22b --hardware h200 --batch 400"
OSS = "gpt-oss-120b --hardware h100 --utilization 0.85 --batch 200"
DEEPSEEK = "deepseek-v3 --hardware b200 --dtype nvfp4 --prompt 4k --output 1k --batch 256"
SERVERS = (  # in layouts of their own, so that no engine has to be asked again when a plan comes to choose another
    (LLAMA, "vllm", Half(2, 2), Half(1, 4)),
    (LLAMA, "sglang", Half(2, 2), Half(1, 4)),
    (LLAMA, "trtllm", Half(3, 1), Half(1, 4)),
    (f"{QWEN} --dtype bf16", "vllm", Half(1, 4), Half(1, 8, dp=2)),
    (f"{QWEN} --dtype fp8_tensor", "sglang", Half(1, 2, ep=2), Half(1, 4, ep=2)),
    (f"{QWEN} --dtype fp8_tensor", "trtllm", Half(1, 2, ep=2), Half(1, 4, ep=2)),
    (OSS, "vllm", Half(1, 2), Half(1, 2)),
    (OSS, "sglang", Half(1, 1), Half(1, 4, dp=4)),
    (OSS, "trtllm", Half(1, 1), Half(1, 2, dp=2)),
    (DEEPSEEK, "vllm", Half(1, 4, dp=4), Half(3, 4, dp=4)),
    (DEEPSEEK, "sglang", Half(1, 4, ep=4, dp=4), Half(1, 8, ep=4, dp=8)),
    (DEEPSEEK, "trtllm", Half(1, 4, dp=4), Half(2, 4, ep=2, dp=4)),
)
"""The model and what is asked of it, the engine, the workers for prompts and those that decode."""


def lines() -> list[dict[str, Any]]:
    """Each server: the text, its workers' lines and the router's, and what stands for the model."""
    out = []
    for model, engine, prompts, decodes in SERVERS:
        spec = load(model.split()[0])
        mixer: Any = spec.decoder[-1].mixer
        experts = spec.mixtures[0][1].n_experts if spec.mixtures else 0
        stands = {"family": spec.family, "heads": mixer.n_heads, "kv_heads": getattr(mixer, "kv_heads", mixer.n_heads)}
        stands |= {"experts": experts, "context": spec.context}
        apart = f"--prefill-workers {prompts.number} --prefill-tp {prompts.tp} --workers {decodes.number}"
        layout = f"--tp {decodes.tp} --ep {decodes.ep} --attention-dp {decodes.dp} {apart}"
        asked = f"serve {model} {layout} --emit {engine}"
        end = here(*asked.split())
        assert end.code == 0, (asked, end.err)
        bare = [re.sub(r"^(\w+=\S+ )+", "", line).removesuffix(" &") for line in end.out.splitlines()]
        row = {"asked": asked, "engine": engine, "text": end.out, **stands}
        row["workers"] = [line for line in bare if re.match(r"(vllm serve|python3 -m sglang.l|trtllm-serve \S+/)", line)]
        row["routers"] = [line for line in bare if re.match(r"(vllm-router|python3 -m sglang_router)", line)]
        out.append(row | {"prefill": prompts, "decode": decodes})
    return out


@pytest.fixture(scope="module")
def now() -> list[dict[str, Any]]:
    return lines()


@pytest.mark.parametrize("what", ["vllm", "sglang", "routers"])
def test_the_engines_take_the_lines(what: str, now: list[dict[str, Any]]) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[what]["lines"]
    there = [
        (row["asked"], line)
        for row in now
        for line in row["routers" if what == "routers" else "workers"]
        if what in (row["engine"], "routers")
    ]
    assert [(row["asked"], row["line"]) for row in golden] == there, "run tests/oracle/workers.py again"
    assert not [row for row in golden if "refused" in row["said"]]


def test_each_worker_has_the_layout_that_was_asked_for(now: list[dict[str, Any]]) -> None:
    """As vLLM and SGLang themselves understand its line."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for row in now:
        if row["engine"] == "trtllm":
            continue
        said = [each["said"] for each in golden[row["engine"]]["lines"] if each["asked"] == row["asked"]]
        roles = {"kv_producer": "prefill", "kv_consumer": "decode"}
        there = Counter(one.get("disaggregation_mode") or roles[one["kv_role"]] for one in said)
        assert there == {"prefill": row["prefill"].number, "decode": row["decode"].number}
        for one in said:
            of = row[one.get("disaggregation_mode") or roles[one["kv_role"]]]
            if row["engine"] == "vllm":
                assert one["kv_connector"] == "NixlConnector"
                assert (one["tensor_parallel_size"] * one["data_parallel_size"], one["data_parallel_size"]) == (of.tp, of.dp)
                assert one["enable_expert_parallel"] == (of.ep > 1)
            else:
                assert (one["tp_size"], one["ep_size"], one["dp_size"]) == (of.tp, of.ep, of.dp)
                assert one["enable_dp_attention"] == (of.dp > 1)
                assert one["disaggregation_transfer_backend"] == "nixl"


def test_each_router_finds_each_worker(now: list[dict[str, Any]]) -> None:
    golden = {(row["asked"], row["line"].split()[0]): row["said"] for row in json.loads(GOLDEN.read_text())["routers"]["lines"]}
    for row in now:
        ports: dict[str, list[str]] = {"prefill": [], "decode": []}
        for launch in read_all(row["text"]):
            port = next(each.value for each in launch.given if each.flag == "--port")
            ports["prefill" if _first(launch, row) else "decode"].append(port)
        assert {role: len(each) for role, each in ports.items()} == {role: row[role].number for role in ports}
        if (
            row["engine"] == "trtllm"
        ):  # tensorrt_llm/llmapi/disagg_utils.py, extract_ctx_gen_cfgs: one colon, as many as instances
            values = yaml.safe_load(row["text"].split("<<END\n")[1].split("\nEND")[0])
            for role, name in (("prefill", "context_servers"), ("decode", "generation_servers")):
                assert values[name]["num_instances"] == len(values[name]["urls"])
                assert [url.split(":")[1] for url in values[name]["urls"]] == ports[role]
                assert all(url.count(":") == 1 for url in values[name]["urls"])
            continue
        said = golden[row["asked"], "vllm-router" if row["engine"] == "vllm" else "python3"]
        assert said["apart"] is True
        assert [url.rsplit(":", 1)[1] for url, _ in said["prefill"]] == ports["prefill"]
        assert [url.rsplit(":", 1)[1] for url in said["decode"]] == ports["decode"]
        if row["engine"] == "sglang":
            boots = [re.search(r"bootstrap-port (\d+)", line) for line in row["workers"]]
            assert [boot for _, boot in said["prefill"]] == [int(boot[1]) for boot in boots if boot]


def _first(launch: Any, row: dict[str, Any]) -> bool:
    """Whether a line is of a worker for prompts, by its own words."""
    words = json.dumps([each.value for each in launch.given])
    return "producer" in words or '"prefill"' in words or "prefill.yaml" in words


# --- lines of plans ---------------------------------------------------------------------------------------------------------


ENGINES, FILES = ("vllm", "sglang", "trtllm"), ("slurm", "k8s")
PLANS = (
    ("llama-3.1-70b --hardware h100 --gpus 1..8 --prompt 2k --output 512 --tpot 60ms --disaggregated", ENGINES),
    ("qwen3-235b-a22b --hardware h200 --gpus 4..16 --tpot 100ms --users 400 --disaggregated", ENGINES),
    ("gpt-oss-120b --hardware h100 --gpus 1..8 --users 200 --tpot 80ms --utilization 0.85 --disaggregated", ENGINES),
    ("deepseek-v3 --hardware b200 --gpus 8..16 --prompt 4k --output 1k --tpot 120ms --disaggregated", ENGINES),
    ("llama-3.1-70b --hardware h100 --gpus 9..16 --tpot 60ms --disaggregated --engine vllm", FILES),
    ("qwen3-235b-a22b --hardware h200 --gpus 4..24 --tpot 100ms --users 900 --disaggregated --engine sglang", FILES),
    ("llama-3.1-70b --hardware h100 --gpus 9..16 --tpot 60ms --disaggregated --engine trtllm", FILES),
    ("qwen3-32b --hardware h100 --gpus 8..16 --tpot 60ms --users 400 --aggregated --engine vllm", FILES),
)
"""With limits that leave a choice to other fits of the engines too."""


@pytest.mark.parametrize(("asked", "emits"), PLANS)
def test_a_plan_prints_what_serve_prints_of_its_choice(asked: str, emits: tuple[str, ...]) -> None:
    """Of the first of its best that the engine's flags can say."""
    for emit in emits:
        plan = data("plan", "serve", *asked.split(), "--emit", emit)
        ends = (here("serve", *of_choice(asked, one), "--emit", emit) for one in plan["result"]["best"])
        one, end = next((one, end) for one, end in zip(plan["result"]["best"], ends, strict=True) if end.code == 0)
        text, many, gpus = end.out, one["replicas"], one["tp"] * one["pp"]
        assert bool(one["prefill_workers"]) == ("--disaggregated" in asked)
        if many > 1:
            said = f"# one of {many} replicas, each on {gpus} GPU{'s' * (gpus > 1)} of its own\n"
            text = text.replace("# llmcx check", f"{said}# llmcx check").replace("replicas: 1\n", f"replicas: {many}\n")
        assert f"{plan['inputs']['line']}\n" == text, (asked, emit)


def of_choice(asked: str, one: dict[str, Any]) -> list[str]:
    """What `llmcx serve` is asked for a choice of a plan, with what the plan was asked about the load and the engine."""
    words = asked.split()
    stored = load(words[0]).stored
    flags = ["batch", "engine", "hardware", "tp", "pp", "ep", "attention_dp"] + ["chunk"] * (one["chunk"] is not None)
    flags += ["dtype"] * (stored is None or stored.name != one["dtype"])
    flags += ["prefill_workers", "prefill_tp", "workers"] if one["prefill_workers"] else []
    kept = [words[at : at + 2] for at, word in enumerate(words) if word in ("--prompt", "--output", "--utilization")]
    return [words[0], *chain(*kept), *chain(*((f"--{name.replace('_', '-')}", str(one[name])) for name in flags))]


# --- lines that others wrote ------------------------------------------------------------------------------------------------

SGLANG = """
python -m sglang.launch_server --model-path meta-llama/Llama-3.1-8B-Instruct --disaggregation-mode prefill --port 30000
python -m sglang.launch_server --model-path meta-llama/Llama-3.1-8B-Instruct --disaggregation-mode decode --port 30001
python -m sglang_router.launch_router --pd-disaggregation --prefill http://127.0.0.1:30000 --decode http://127.0.0.1:30001
"""
BOTH = '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'
VLLM = f"""
CUDA_VISIBLE_DEVICES=0 VLLM_NIXL_SIDE_CHANNEL_PORT=5600 vllm serve Qwen/Qwen3-0.6B --port 8100 --kv-transfer-config '{BOTH}' &
CUDA_VISIBLE_DEVICES=1 VLLM_NIXL_SIDE_CHANNEL_PORT=5601 vllm serve Qwen/Qwen3-0.6B --port 8200 --kv-transfer-config '{BOTH}' &
python proxy_server.py --prefiller-hosts localhost --prefiller-ports 8100 --decoder-hosts localhost --decoder-ports 8200
"""
TRTLLM = """
cat > disagg_config.yaml <<'EOF'
hostname: localhost
port: 8000
context_servers:
  num_instances: 2
  urls:
      - "localhost:8001"
      - "localhost:8002"
generation_servers:
  num_instances: 1
  urls:
      - "localhost:8003"
EOF
trtllm-serve meta-llama/Llama-3.1-8B --port 8001 --config c.yml &
trtllm-serve meta-llama/Llama-3.1-8B --port 8002 --config c.yml &
trtllm-serve meta-llama/Llama-3.1-8B --port 8003 --tp_size 2 --config c.yml &
trtllm-serve disaggregated -c disagg_config.yaml
"""


def checked(text: str, *more: str) -> dict[str, Any]:
    end = here("check", "-", "--hardware", "h100", *more, "--json", stdin=text.encode())
    assert end.code == 0, end.err
    out: dict[str, Any] = json.loads(end.out)
    return out


@pytest.mark.parametrize(
    ("text", "prompts", "decodes"), [(SGLANG, (1, 1), (1, 1)), (VLLM, (1, 1), (1, 1)), (TRTLLM, (2, 1), (1, 2))]
)
def test_what_the_engines_documentation_starts_is_read(text: str, prompts: tuple[int, int], decodes: tuple[int, int]) -> None:
    """The forms of sglang's, vLLM's and TensorRT-LLM's own pages (:mod:`llmcx.cli.emitting_apart` names them)."""
    found = checked(text, "--batch", "8")["result"]
    assert [(each["role"], each["number"], each["gpus"]) for each in found["workers"]] == [
        ("prefill", *prompts),
        ("decode", *decodes),
    ]
    assert found["fits"] and found["gpus"] == prompts[0] * prompts[1] + decodes[0] * decodes[1]
    apart = ("--prefill-workers", str(prompts[0]), "--prefill-tp", str(prompts[1]), "--tp", str(decodes[1]))
    program = "vllm" if "vllm serve" in text else "sglang" if "sglang." in text else "trtllm"
    name = "qwen3-0.6b" if program == "vllm" else "llama-3.1-8b"
    served = data("serve", name, "--hardware", "h100", *apart, "--engine", program, "--batch", "8")["result"]["estimate"][0]
    assert (found["estimate"][0]["ttft_s"], found["estimate"][0]["tpot_s"]) == (served["ttft_s"], served["tpot_s"])


def test_workers_of_prompts_have_a_layout_of_their_own() -> None:
    """As a public run of DeepSeek-R1 in NVFP4 on twelve B200 had them, SGLang 0.5.8, 64 users with 8k and 1k tokens: four GPUs
    each attend for prompts of their own and share out the experts, eight decode together; 16.9 ms a token (runs that NVIDIA
    aiconfigurator-core 0.12.0 carries). None was fitted.
    """
    model = "python -m sglang.launch_server --model-path nvidia/DeepSeek-V3-0324-FP4 --kv-cache-dtype fp8_e4m3"
    decodes = f"{model} --disaggregation-mode decode --port 30001 --tp 8 --ep 8 --base-gpu-id 4"
    asked = "deepseek-v3 --hardware b200 --dtype nvfp4 --prompt 7372 --output 921 --batch 64 --json"

    def estimated(flags: str) -> dict[str, float]:
        prompts = f"{model} --disaggregation-mode prefill --port 30000 --tp 4 --ep 4 {flags}"
        text = "\n".join((prompts, decodes, SGLANG.strip().splitlines()[-1]))
        end = here("check", "-", *asked.split(), stdin=text.encode())
        assert end.code == 0, end.err
        found: dict[str, float] = json.loads(end.out)["result"]["estimate"][0]
        return found

    own, same = estimated("--dp 4 --enable-dp-attention"), estimated("")
    assert own["tpot_s"] == pytest.approx(0.01693, rel=0.15) and own["ttft_s"] != same["ttft_s"]


def test_one_half_alone_says_that_the_other_is_missing() -> None:
    prompts, decodes = SGLANG.strip().splitlines()[:2]
    for line, word in (
        (prompts, "works off prompts"),
        (decodes, "decodes"),
        (VLLM.strip().splitlines()[0], "works off prompts or decodes"),
    ):
        found = checked(line)
        assert found["result"]["fits"] and not found["result"]["estimate"]
        assert any(word in note and "times are not known from it alone" in note for note in found["notes"])


def test_a_worker_for_prompts_that_does_not_fit_is_the_answer() -> None:
    text = SGLANG.replace("Llama-3.1-8B-Instruct", "Llama-3.1-70B").replace("decode --port", "decode --tp 4 --port")
    found = checked(text)
    assert not found["result"]["fits"] and [each["fits"] for each in found["result"]["workers"]] == [False, True]
    assert found["result"]["estimate"] == [] and found["result"]["users"] == 0
    assert "workers for prompts" in here("check", "-", "--hardware", "h100", stdin=text.encode()).out.splitlines()[1]


def test_lines_that_are_no_one_server_are_refused() -> None:
    one, two, _ = SGLANG.strip().splitlines()
    assert "2 launch commands" in refused("check", f"{one}\n{one}", "--hardware", "h100")
    assert "different lines" in refused("check", f"{one}\n{two}\n{two} --tp 2", "--hardware", "h100")
    other = two.replace("8B-Instruct", "70B")
    assert "and the other" in refused("check", f"{one}\n{other}", "--hardware", "h100")
    assert "but there are 1" in refused("check", f"{one}\n{two}", "--hardware", "1xh100")
    assert "JSON object" in refused("check", "vllm serve gpt2 --kv-transfer-config nixl", "--hardware", "h100")


def test_what_keeps_a_cache_elsewhere_hands_nothing_on() -> None:
    line = """vllm serve Qwen/Qwen3-0.6B --kv-transfer-config '{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}'"""
    found = checked(line)
    assert found["result"]["estimate"] and any("not counted: --kv-transfer-config" in note for note in found["notes"])


def test_the_file_of_a_trtllm_line_is_read() -> None:
    """Attention on each GPU for itself and a cache in fp8 have no flag of trtllm-serve; the file comes before the line."""
    asked = ("serve", "gpt-oss-120b", "--hardware", "4xh200", "--attention-dp", "4", "--kv-dtype", "fp8", "--batch", "64")
    line = here(*asked, "--emit", "trtllm").out
    assert "enable_attention_dp: true" in line and shlex.split(line.splitlines()[-1])[-2:] == ["--config", "trtllm.yaml"]
    end = here("check", "-", "--json", stdin=line.encode())
    found = json.loads(end.out)
    assert (found["inputs"]["attention_dp"], found["inputs"]["kv_dtype"]) == (4, "fp8")
    told = data(*asked, "--engine", "trtllm")["result"]["estimate"][0]
    assert found["result"]["estimate"][0]["tpot_s"] == told["tpot_s"]
    shorter = line.replace("enable_attention_dp", "max_seq_len: 512\nenable_attention_dp")
    assert (
        json.loads(
            here(
                "check", "-", "--json", stdin=shorter.replace("--prompt 1024 --output 1024", "--prompt 256 --output 256").encode()
            ).out
        )["inputs"]["seq"]
        == 512
    )


@pytest.mark.parametrize(
    ("engine", "flag"),
    [("vllm", "--max-num-seqs 8"), ("sglang", "--max-running-requests 32"), ("trtllm", "--max_batch_size 8")],
)
def test_sequences_at_a_time(engine: str, flag: str) -> None:
    """Workers that decode say how many they take: SGLang's of all groups that attend, the others' of each."""
    apart = ("--prefill-workers", "1", "--attention-dp", "4", "--ep", "4", "--set", "max_num_seqs=32")
    text = here("serve", "qwen3-30b-a3b", "--hardware", "4xh200", *apart, "--emit", engine).out
    at = [line for line in text.splitlines() if flag in line]
    assert len(at) == 1 and text.count(flag.partition(" ")[0]) == 1
    assert ("decode.yaml" if engine == "trtllm" else "consumer" if engine == "vllm" else "decode") in at[0]
    found = json.loads(here("check", "-", "--json", stdin=text.encode()).out)["result"]
    assert found["estimate"][-1]["batch"] == 32


def test_what_no_lines_say_is_refused() -> None:
    apart = ("serve", "llama-3.1-8b", "--hardware", "2xh100", "--prefill-workers", "1")
    assert "hand a prompt's cache on" in refused(*apart[:3], "h100", "--prefill-workers", "1", "--emit", "llama.cpp")
    assert "--draft" in refused(*apart, "--draft", "2", "--emit", "vllm")
    wide = ("serve", "llama-3.1-405b", "--hardware", "16xh100", "--prefill-workers", "1", "--emit", "vllm")
    assert "spans nodes of 8" in refused(*wide)


if __name__ == "__main__":
    json.dump(lines(), sys.stdout)
