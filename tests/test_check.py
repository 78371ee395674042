"""llmcx check: launch lines read, sized, timed and judged; and `serve --emit`, which writes them."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcx.answers.require import terms
from llmcx.cli import launching
from llmcx.cli.launching import flags, lexed, read
from llmcx.cli.spelling import LAUNCH_FLAG, SAME_FLAG
from llmcx.engines import engine as engine_of
from llmcx.errors import InputError
from tests.helpers import here, refused, refused_in_json
from tests.launch_lines import (
    FAILED,
    FRESH_FAILED,
    FRESH_RAN,
    HELD_FAILED,
    HELD_RAN,
    LAST_FAILED,
    LAST_RAN,
    MLLAMA,
    NEXT_FAILED,
    NEXT_RAN,
    QWEN25_VL,
    QWEN_VL,
    RAN,
    Published,
)

GOLDEN = Path(__file__).parent / "oracle" / "launch.json"
H100 = ("--hardware", "h100")


def data(*args: str, stdin: bytes = b"") -> dict[str, Any]:
    end = here("check", *args, "--json", stdin=stdin)
    assert end.code == 0, end.err
    out: dict[str, Any] = json.loads(end.out)
    return out


def result(*args: str, stdin: bytes = b"") -> dict[str, Any]:
    found: dict[str, Any] = data(*args, stdin=stdin)["result"]
    return found


# --- a shell's words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        """vllm serve 'a b' --x="c \\"d\\"" e\\ f""",
        """a --json '{"k": [1, 2], "s": "it"}' "b'c" ''""",
        "plain words -x=1 --y",
    ],
)
def test_words_are_those_of_a_posix_shell(text: str) -> None:
    """As Python's own reader of shell words has them, which knows no operators."""
    assert [word.text for word in lexed(text)] == shlex.split(text)


def test_windows_comments_and_what_is_redirected() -> None:
    unix = [word.text for word in lexed("vllm serve m \\\n  --port 8000\n") if not word.operator]
    assert unix == ["vllm", "serve", "m", "--port", "8000"]
    for text in (
        "vllm serve m \\\r\n  --port 8000\r\n",
        "vllm serve m ^\r\n  --port 8000\r\n",
        "vllm serve m `\r\n  --port 8000\r\n",
        "\ufeffvllm serve m --port 8000 # a server\n",
        "vllm serve m --port 8000 > log.txt 2>&1",
        "vllm serve m --port 8000 2>/dev/null",
    ):
        assert [word.text for word in lexed(text) if not word.operator] == unix, text
    assert read(r"llama-server.exe -m C:\models\qwen3-8b-q4_k_m.gguf -c 8192").model == r"C:\models\qwen3-8b-q4_k_m.gguf"


def test_what_stands_around_the_command() -> None:
    script = (
        "#!/bin/bash\nset -e\nexport M=Qwen/Qwen3-8B TP=2\ncd /srv && CUDA_VISIBLE_DEVICES=0,1 nohup vllm serve ${M} -tp $TP &\n"
    )
    found = read(script)
    assert (found.engine, found.model, found.visible) == ("vllm", "Qwen/Qwen3-8B", 2)
    assert found.value("tp") == ("--tensor-parallel-size", "2", "tp") or found.value("tp") == ("-tp", "2", "tp")
    docker = "docker run --gpus '\"device=0,1\"' -e HF_TOKEN=x -v /a:/b -p 8000:8000 vllm/vllm-openai:v0.11.2 --model a/b -tp 2"
    assert (read(docker).model, read(docker).visible, read(docker).environment["HF_TOKEN"]) == ("a/b", 2, "x")
    inside = "docker run --gpus all lmsysorg/sglang:latest bash -c 'python3 -m sglang.launch_server --model-path a/b --tp 4'"
    assert (read(inside).engine, read(inside).model) == ("sglang", "a/b")
    assert read("uv run python -m vllm.entrypoints.openai.api_server --model=a/b --port=1").model == "a/b"
    assert read("trtllm-serve serve a/b --tp_size 4").value("tp") == ("--tp-size", "4", "tp")
    assert read("docker run ghcr.io/ggml-org/llama.cpp:server-cuda -m /m/x.gguf -c 512").engine == "llama.cpp"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("vllm serve 'Qwen/Qwen3-8B", "quote"),
        ('vllm serve "Qwen/Qwen3-8B', "quote"),
        ("vllm serve Qwen/Qwen3-8B \\", "backslash"),
        ("vllm serve Qwen/Qwen3-8B \\  \n --port 1", "blanks"),
        ("", "empty"),
        ("nginx -g daemon", "launch"),
        ("vllm serve Qwen/Qwen3-8B; vllm serve Qwen/Qwen3-4B", "2"),
        ("vllm serve Qwen/Qwen3-8B --max-modle-len 8k", "--max-model-len"),
        ("vllm serve Qwen/Qwen3-8B --max-model-len", "value"),
        ("vllm serve Qwen/Qwen3-8B --max-model-len many", "whole number"),
        ("vllm serve Qwen/Qwen3-8B --max-model-len $LENGTH", "$LENGTH"),
        ("vllm serve Qwen/Qwen3-8B -tp 2 --tensor-parallel-size 4", "contradict"),
        ("vllm serve Qwen/Qwen3-8B --max-model-len 1000000", "context"),
        ("vllm serve Qwen/Qwen3-8B --tensor-parallel-size 0", "at least 1"),
        ("vllm serve Qwen/Qwen3-8B --tensor-parallel-size 3", "heads"),
        ("vllm serve Qwen/Qwen3-8B --max-num-seqs 0", "at least 1"),
        ("trtllm-serve Qwen/Qwen3-8B --max_batch_size 0", "at least 1"),
        ("python -m sglang.launch_server --model-path Qwen/Qwen3-8B --chunked-prefill-size 99999999999999999999", "10^15"),
        ("vllm serve Qwen/Qwen3-8B extra", "extra"),
        ("vllm serve", "model"),
        ("vllm serve someone/unheard-of", "preset"),
        ("vllm serve Qwen/Qwen3-8B --quantization magic", "magic"),
        ("vllm serve Qwen/Qwen3-8B --kv-cache-dtype int3", "int3"),
        ("vllm serve Qwen/Qwen3-8B --gpu-memory-utilization lots", "share"),
        ("CUDA_VISIBLE_DEVICES=0 vllm serve Qwen/Qwen3-8B -tp 2", "GPUs"),
        ("llama-server -m qwen3-8b-q4_k_m.gguf -c 8192 -ngl 10", "offload"),
        ("llama-server -m qwen3-8b-q4_k_m.gguf -c 8192 -ctk q8_0", "alike"),
    ],
)
def test_a_bad_line_gets_one_sentence(line: str, word: str) -> None:
    assert word in refused("check", line, *H100)


def test_what_check_itself_needs(tmp_path: Path) -> None:
    line = "vllm serve Qwen/Qwen3-8B --max-model-len 8192"
    assert refused_in_json("check", line)["field"] == "hardware"
    assert "2" in refused("check", line + " -tp 4", "--hardware", "2xh100")
    for require in ("fast", "tpot<40", "speed<4", "users>", "tpot<40ms or fits", "tpot<1.2.3ms", "tokens_per_s>1..2", "tpot<٣ms"):
        assert refused_in_json("check", line, *H100, "--require", require)["field"] == "require", require
    assert refused_in_json("check", line, *H100, "--prompt", "8k")["field"] == "prompt"
    for name in ("prompt", "output", "batch"):
        assert refused_in_json("check", line, *H100, f"--{name}", "0")["field"] == name
    path = tmp_path / "launch.bat"
    path.write_bytes(b"\xff\xfe" + line.encode("utf-16-le"))
    assert result(str(path), *H100) == result(line, *H100) == result("-", *H100, stdin=line.encode())


# --- flags --------------------------------------------------------------------------------------------------------------


def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_every_flag_of_the_real_parser_is_known_with_as_many_values(engine: str) -> None:
    for flag, takes in golden()[engine]["flags"].items():
        known = flags(engine).get(flag) or flags(engine).get(flag.replace("--no-", "--", 1))
        assert known is not None, flag
        assert known.takes == takes or (takes == "*" and known.takes == "+"), flag


@pytest.mark.parametrize("engine", list(launching.NAMES))
def test_every_flag_that_is_read_sets_something(engine: str) -> None:
    for flag, (_, effect) in flags(engine).items():
        assert effect in ("read", "harmless", "apart")
        assert effect != "read" or flag in LAUNCH_FLAG or flag in SAME_FLAG, flag


def test_harmless_flags_change_nothing_and_are_said() -> None:
    plain = "vllm serve Qwen/Qwen3-8B --max-model-len 8192"
    more = plain + " --port 1 --served-model-name a b --trust-remote-code --no-enable-log-requests --seed=3"
    found = data(more, *H100)
    assert found["result"] | {"flags": []} == result(plain, *H100) | {"flags": []}
    assert any("--served-model-name" in note for note in found["notes"])
    assert {each["flag"]: each["effect"] for each in found["result"]["flags"]}["--seed"] == "harmless"
    apart = data(plain + " --enable-sleep-mode --compilation-config.level 3", *H100)
    assert any("--enable-sleep-mode, --compilation-config" in note and "not counted" in note for note in apart["notes"])


# --- the answer ---------------------------------------------------------------------------------------------------------


def test_sizes_by_hand() -> None:
    """Llama 3.1 8B: 2 · 32 layers · 8 heads · 128 = 65,536 numbers a token in bf16; 8,030,261,248 parameters of 2 bytes."""
    found = result("vllm serve meta-llama/Llama-3.1-8B-Instruct --max-model-len 8192", *H100)
    parts = {part["part"]: part["bytes"] for part in found["parts"]}
    assert parts["weights"] == 2 * 8_030_261_248
    assert parts["kv_cache"] == 8192 * 2 * 65_536
    assert found["cache_tokens"] == found["cache_bytes"] // (2 * 65_536)
    assert found["users"] == found["cache_tokens"] // 8192
    half = result("vllm serve meta-llama/Llama-3.1-8B-Instruct --max-model-len 8192 -tp 2", "--hardware", "2xh100")
    assert {part["part"]: part["bytes"] for part in half["parts"]}["kv_cache"] == 8192 * 65_536


def test_vllm_reads_k_as_1000_and_capital_k_as_1024() -> None:
    assert result("vllm serve Qwen/Qwen3-8B --max-model-len 8k", *H100)["seq"] == 8000
    assert result("vllm serve Qwen/Qwen3-8B --max-model-len 8K", *H100)["seq"] == 8192
    longest = result("vllm serve Qwen/Qwen3-32B --max-model-len -1 --gpu-memory-utilization 0.9", *H100)
    assert longest["fits"] and longest["users"] == 1


def test_changes_make_it_fit() -> None:
    """Each change, made, is a yes with the bytes that were promised."""
    line = "vllm serve Qwen/Qwen3-32B --max-model-len 32768"
    found = result(line, *H100)
    assert not found["fits"] and 1 <= len(found["changes"]) <= 3
    for change in found["changes"]:
        words = change["flags"].split()
        base = [word for word in line.split() if words[0] != "--max-model-len" or word not in ("--max-model-len", "32768")]
        after = result(" ".join([*base, *words]), *H100)
        assert after["fits"] and after["total_bytes"] == change["total_bytes"], change
    split = result("llama-server -m qwen3-32b-q4_k_m.gguf -c 65536", "--hardware", "rtx-4090")
    assert not split["fits"] and split["changes"][0]["flags"].startswith("-ngl")


def test_what_is_required_decides_how_it_ends() -> None:
    line = "vllm serve Qwen/Qwen3-8B --max-model-len 8192"
    times = result(line, *H100)["estimate"][0]
    just = 1000 * times["tpot_s"]
    for require, code in (
        ("fits", 0),
        (f"fits and tpot<{just * 1.01:.4f}ms", 0),
        (f"fits and tpot<{just * 0.99:.4f}ms", 1),
        ("users>=10, ttft<10s", 0),
        ("users>1M", 1),
        ("headroom>1TB", 1),
    ):
        end = here("check", line, *H100, "--require", require, "--json")
        assert (end.code, json.loads(end.out)["result"]["met"]) == (code, code == 0), require
    assert here("check", "vllm serve Qwen/Qwen3-32B", *H100).code == 0  # a no that nobody required
    assert here("check", "vllm serve Qwen/Qwen3-32B", *H100, "--require", "fits").code == 1
    with pytest.raises(InputError):
        terms("")


def test_the_first_two_lines_answer() -> None:
    first, second, *_ = here("check", "vllm serve Qwen/Qwen3-8B --max-model-len 8192", *H100).out.splitlines()
    assert "Qwen3 8B" in first and "h100" in first and second.startswith("fits")


# --- beside the model, and beside the share ----------------------------------------------------------------------------

GIB = 2**30


def test_what_comes_on_top_of_the_share() -> None:
    """vLLM 0.11 takes 99% of 79.19 GiB for itself, and then 0.45 GiB of context and 134 CUDA graphs (67 of the steps, 67 of
    decoding) of 2.77 MiB and 0.181 for each of 64 layers: 2.94 times what is left. Each change, made, is a yes with the bytes
    that were promised.
    """
    line = "# llmcx check: --engine vllm@0.11\nvllm serve Qwen/Qwen3-32B -tp 2 --max-model-len 8192 --gpu-memory-utilization "
    h100 = ("--hardware", "2xh100")
    found = result(line + "0.99", *h100)
    sizes = {part["part"]: part["bytes"] for part in found["parts"]}
    assert (found["fits"], found["users"], found["budget_bytes"]) == (False, 0, int(79.19 * GIB))
    assert sizes["beside"] == pytest.approx(134 * (2.77 + 64 * 0.181) * 2**20 + 0.45 * GIB, rel=1e-6)
    assert sum(sizes.values()) == found["total_bytes"] == int(0.99 * int(79.19 * GIB)) + sizes["beside"]
    assert [change["flags"] for change in found["changes"]] == ["--gpu-memory-utilization 0.97", "--enforce-eager"]
    lower, eager = result(line + "0.97", *h100), result(line + "0.99 --enforce-eager", *h100)
    for change, after in zip(found["changes"], (lower, eager), strict=True):
        assert after["fits"] and after["total_bytes"] == change["total_bytes"]
    newest = [result(line.replace("0.11", "0.32") + "0.99" + more, *h100) for more in ("", " --enforce-eager")]
    assert newest[0]["fits"]  # for it sets the graphs aside
    set_aside = newest[1]["cache_bytes"] - newest[0]["cache_bytes"]
    assert set_aside == pytest.approx(102 * (2.77 + 64 * 0.181) * 2**20, rel=1e-5)  # 51 and 51, as 0.19's log has them


def test_what_an_older_driver_takes() -> None:
    """Qwen3-32B on two L20s ran out of memory while vLLM 0.8.5 captured graphs (vllm-project/vllm issue 17462); 67 of 2.77 MiB,
    and 0.181 for each of 64 layers and 0.163 for its sums through NCCL, have room in a tenth of 44.5 GiB, and 3.35 times as much
    not.
    """
    line = "# llmcx check: --engine vllm@0.8.5\nvllm serve Qwen/Qwen3-32B -tp 2 --gpu-memory-utilization "
    graphs = 67 * (2.77 + 64 * 0.344) * 2**20
    l20 = ("--hardware", "2xl40s")

    def warned(text: str, *more: str) -> bool:
        return any("driver before 550" in note for note in data(text, *(more or l20))["notes"])

    left = 0.1 * 44.53 * GIB
    assert graphs < left < 3.35 * graphs and warned(line + "0.9")
    assert not warned(line + "0.8") and not warned(line + "0.9 --enforce-eager")
    assert not warned("vllm serve Qwen/Qwen3-32B -tp 2", "--hardware", "2xb200")  # which has no driver so old


def test_the_driver_that_is_stated() -> None:
    """The same line, with its own driver (535.161.08) and with a newer one; by an option, and by a comment."""
    line = "# llmcx check: --engine vllm@0.8.5{}\nvllm serve Qwen/Qwen3-32B -tp 2 --gpu-memory-utilization 0.9"
    l20 = ("--hardware", "2xl40s")
    old, new = (result(line.format(""), *l20, "--driver", version) for version in ("535.161.08", "570.86.15"))
    assert (old["fits"], new["fits"]) == (False, True)
    sizes = {part["part"]: part["bytes"] for part in old["parts"]}
    assert sizes["beside"] == pytest.approx(3.35 * 67 * (2.77 + 64 * 0.344) * 2**20, rel=1e-3)
    by_comment = data(line.format(" --driver 535.161.08"), *l20)
    assert by_comment["result"] == old and by_comment["inputs"]["driver"] == "535.161.08"
    assert any("535.161.08" in note for note in by_comment["notes"])
    assert not any("with a driver before 550" in note for note in by_comment["notes"])
    for text, more in ((" --enforce-eager", l20), ("", ("--hardware", "2xmi300x"))):
        assert "--driver" in refused("check", line.format("") + text, *more, "--driver", "535")
    assert "--driver" in refused("check", "python -m sglang.launch_server --model Qwen/Qwen3-8B", *H100, "--driver", "535")
    for text in ("new", "5", "-1", "1e3", ""):
        assert "--driver" in refused("check", line.format(""), *l20, f"--driver={text}")


def test_sequences_of_0_8() -> None:
    """vllm/engine/arg_utils.py, _set_default_args_v1, of each release."""
    from llmcx.engines.vllm import defaults

    def of(version: str, name: str, memory: int) -> tuple[int | None, ...]:
        return tuple(defaults(memory * GIB, name, version).values())

    for version in ("0.8.0", "0.8.3", "v0.8.1"):
        assert of(version, "rtx-3090", 24) == of(version, "a100-sxm", 80) == (2048, 1024)
        assert of(version, "h100", 80) == of(version, "h200", 141) == (8192, 1024)
    assert of("0.8.4", "a100-sxm", 80) == of("0.8.4", "b200", 180) == (2048, 256) and of("0.8.4", "h100", 80) == (8192, 1024)
    for version in ("0.8.5", "0.8.5.post1", "0.8"):
        assert of(version, "rtx-3090", 24) == (2048, 256) and of(version, "h100", 80) == (8192, 1024)


def test_experts_in_4_bits_are_kept_twice() -> None:
    """SGLang 0.5.0 to 0.5.9 of Qwen3's mixtures (sgl-project/sglang issues 9506 and 9574), and from 0.5.3 on of Qwen3-VL's.
    94 layers of 128 experts of three matrices of 4,096 by 1,536, in 4 bits, a scale and a zero for each 128, and an index.
    """
    line = "--model-path Qwen/Qwen3-235B-A22B-GPTQ-Int4 --tp 4"
    hardware = ("--hardware", "4xh200")

    def copies(tag: str, text: str = line) -> int:
        found = result(f"docker run --gpus all lmsysorg/sglang:{tag} python3 -m sglang.launch_server {text}", *hardware)
        assert found["total_bytes"] == sum(part["bytes"] for part in found["parts"])
        return {part["part"]: part["bytes"] for part in found["parts"]}.get("copies", 0)

    numbers = 94 * 128 * 3 * 4096 * 1536 // 4
    assert copies("v0.5.2") == pytest.approx(numbers * (4 + 20 / 128) / 8, rel=0.02)
    assert copies("v0.5.0rc2") == copies("v0.5.9-cu130") == copies("v0.5.2")
    assert not any(copies(tag) for tag in ("latest", "v0.4.10", "v0.5.10", "v0.6.0", "dev"))
    assert not copies("v0.5.2", line.replace("-GPTQ-Int4", "-FP8"))
    by_comment = result(f"# llmcx check: --engine sglang@0.5.3\npython3 -m sglang.launch_server {line}", *hardware)
    assert "copies" in {part["part"] for part in by_comment["parts"]}
    vision = line.replace("Qwen3-235B-A22B-GPTQ-Int4", "Qwen3-VL-235B-A22B-Instruct-AWQ")
    assert not copies("v0.5.2", vision) and copies("v0.5.3", vision) > 0


def test_what_started_has_room_beside_the_share() -> None:
    """Starts of 0.19 at 95% of an H100 (tests/oracle/vllm_starts.csv): what is reckoned has room beside, as what was logged."""
    from csv import DictReader

    from llmcx.engines import GPU
    from llmcx.engines.vllm_lines import CONTEXT

    with (Path(__file__).parent / "oracle" / "vllm_starts.csv").open(encoding="utf-8") as file:
        logged = [float(row["graphs"]) * GIB for row in DictReader(file) if row["utilization"] == "0.95"]
    left = 0.05 * 79.19 * GIB
    assert len(logged) >= 57 and max(logged) + CONTEXT < left
    engine: Any = replace(engine_of("vllm@0.19"))
    gpu = GPU([], 80, True, 8192, 128256, 1, 1, 8192, 1, 1, "llama")
    assert CONTEXT < engine.beside(gpu)[0] < left


def test_the_first_engine_is_asked_for_by_a_variable() -> None:
    line = "vllm/vllm-openai:v0.8.5 --model Qwen/Qwen3-8B --max-model-len 8192"
    old, new = (data(f"docker run {each} {line}", *H100)["notes"] for each in ("-e VLLM_USE_V1=0", ""))
    assert any("as vLLM 0.7 has it" in note for note in old) and not any("0.7" in note for note in new)
    ancient = data(f"docker run {line}".replace("v0.8.5", "v0.5.4"), *H100)["notes"]
    assert any("older than what llmcx knows" in note for note in ancient) and any("as vLLM 0.7 plans" in note for note in ancient)


def test_weights_in_the_hosts_memory() -> None:
    plain = result("vllm serve Qwen/Qwen3-32B --max-model-len 8192", *H100)
    for line in ("vllm serve Qwen/Qwen3-32B --max-model-len 8192", "python -m sglang.launch_server --model Qwen/Qwen3-32B"):
        found = result(line + " --cpu-offload-gb 10", *H100)
        assert {part["part"]: part["bytes"] for part in found["parts"]}["host"] == -10 * GIB
    found = result("vllm serve Qwen/Qwen3-32B --max-model-len 8192 --cpu-offload-gb 10", *H100)
    assert found["total_bytes"] == plain["total_bytes"] - 10 * GIB and found["users"] > plain["users"]
    assert found["estimate"] == []  # how fast they come is not known
    small = result("vllm serve Qwen/Qwen3-0.6B --cpu-offload-gb 10", *H100)  # a table of 151,936 · 1,024 stays on the GPU
    host = -{part["part"]: part["bytes"] for part in small["parts"]}["host"]
    assert host == pytest.approx(2 * (596_049_920 - 151_936 * 1024), rel=1e-4)
    for bad_size in ("-1", "nan", "much", "1e9"):
        assert "--cpu-offload-gb" in refused("check", f"vllm serve Qwen/Qwen3-8B --cpu-offload-gb={bad_size}", *H100)


def test_weights_are_loaded_in_16_bits_before_they_are_made_fp8() -> None:
    """Qwen3 32B has 32,762,123,264 parameters, in 16 bits more than an L40S and in fp8 less. vLLM up to 0.14 and SGLang have them
    all there first, later vLLMs one matrix at a time (vllm/model_executor/layers/quantization/fp8.py of 0.14.1 and 0.19.1).
    """
    line = "vllm serve Qwen/Qwen3-32B --max-model-len 8192 --quantization fp8"
    l40s = ("--hardware", "2xl40s")
    found = result(f"# llmcx check: --engine vllm@0.14\n{line}", *l40s)
    assert not found["fits"] and [part["bytes"] for part in found["parts"]] == [2 * 32_762_123_264] == [found["total_bytes"]]
    assert [change["flags"] for change in found["changes"]][-1] == "--tensor-parallel-size 2"
    assert result(f"# llmcx check: --engine vllm@0.14\n{line} -tp 2", *l40s)["fits"]
    assert result(f"# llmcx check: --engine vllm@0.14\n{line} --cpu-offload-gb 20", *l40s)["fits"]
    assert result(f"# llmcx check: --engine vllm@0.15\n{line}", *l40s)["fits"] and result(line, *l40s)["fits"]
    sglang = "python -m sglang.launch_server --context-length 8192 --model-path Qwen/Qwen3-32B"
    assert not result(f"{sglang} --quantization fp8", *l40s)["fits"]
    assert result(f"{sglang}-FP8 --quantization fp8", *l40s)["fits"]  # whose files are in fp8


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3_moe"])
def test_room_for_adapters_is_vllms(name: str) -> None:
    """To the byte, of tiny models that vLLM 0.32 built (tests/oracle/vllm_adapters.py)."""
    golden = json.loads((GOLDEN.parent / "vllm_adapters.json").read_text(encoding="utf-8"))
    assert golden["version"] == "0.32.0"
    line = f"vllm serve a/b --max-model-len 256 --enable-lora --max-loras {golden['slots']} --max-lora-rank {golden['rank']}"
    model = golden["models"][name]
    found = {
        part["part"]: part["bytes"] for part in result(line, "-", *H100, stdin=json.dumps(model["config"]).encode())["parts"]
    }
    assert found["adapters"] == sum(model["bytes"].values())


def test_room_for_adapters() -> None:
    """Of a layer of Llama 3.1 8B: q and o 4096 + 4096, k and v 4096 + 1024, gate, up and down 4096 + 14336 numbers a rank; of two
    GPUs each has half of one of both sides. Of the token table and of the head 128256 + 4096, whole on every GPU.
    """
    line = "vllm serve meta-llama/Llama-3.1-8B --max-model-len 8192 --enable-lora --max-loras 4 --max-lora-rank 64"
    each = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    found = {part["part"]: part["bytes"] for part in result(line, *H100)["parts"]}
    tables = 2 * (128256 + 4096)
    assert found["adapters"] == 4 * 64 * (32 * each + tables) * 2
    halves = (4096 + 2048) + 2 * (4096 + 512) + (2048 + 4096) + 2 * (4096 + 7168) + (7168 + 4096)
    two = {part["part"]: part["bytes"] for part in result(line + " -tp 2", "--hardware", "2xh100")["parts"]}
    assert two["adapters"] == 4 * 64 * (32 * halves + tables) * 2
    usual = {part["part"]: part["bytes"] for part in result(line.partition(" --max-loras")[0], *H100)["parts"]}
    assert usual["adapters"] == 1 * 16 * (32 * each + tables) * 2
    sglang = "python -m sglang.launch_server --model meta-llama/Llama-3.1-8B --enable-lora"
    assert any("not counted: --enable-lora" in note for note in data(sglang, *H100)["notes"])
    held = {part["part"]: part["bytes"] for part in result(f"{sglang} --max-lora-rank 64", *H100)["parts"]}
    assert held["adapters"] == 8 * 64 * 32 * each * 2
    assert any("no effect" in note for note in data("vllm serve Qwen/Qwen3-8B --max-loras 4", *H100)["notes"])
    assert "--max-loras" in refused("check", "vllm serve Qwen/Qwen3-8B --enable-lora --max-loras 0", *H100)


def test_another_model_drafts() -> None:
    """Qwen3 0.6B beside Qwen3 32B: 596,049,920 parameters, and 2 · 28 layers · 8 heads · 128 numbers a token, in 16 bits."""
    draft = 2 * 596_049_920 + 8192 * 2 * 2 * 28 * 8 * 128
    for said in (
        """--speculative-config '{"method": "draft_model", "model": "Qwen/Qwen3-0.6B", "num_speculative_tokens": 3}'""",
        "--speculative-config.model Qwen/Qwen3-0.6B --speculative-config.num_speculative_tokens 3",
        "--speculative-model Qwen/Qwen3-0.6B --num-speculative-tokens 3",
    ):
        found = result(f"vllm serve Qwen/Qwen3-32B --max-model-len 8192 {said}", "--hardware", "h200")
        assert {part["part"]: part["bytes"] for part in found["parts"]}["draft"] == draft, said
    plain = result("vllm serve Qwen/Qwen3-32B --max-model-len 8192", "--hardware", "h200")
    assert found["users"] < plain["users"] and found["total_bytes"] == plain["total_bytes"] + draft
    unknown = data("vllm serve Qwen/Qwen3-8B --speculative-model me/my-head", *H100)
    assert any("me/my-head" in note and "not counted" in note for note in unknown["notes"])
    none = data("""vllm serve Qwen/Qwen3-8B -sc '{"method": "ngram", "num_speculative_tokens": 3}'""", *H100)["result"]
    assert [part["part"] for part in none["parts"]] == ["weights", "kv_cache", "workspace", "overhead"]
    for text in ("{", "[]", "3"):
        assert "JSON object" in refused("check", f"vllm serve Qwen/Qwen3-8B --speculative-config={text}", *H100)


def test_the_models_own_layers_draft() -> None:
    """DeepSeek-V3's module for multi-token prediction has 11.5 billion parameters of its own (README_WEIGHTS.md beside the
    weights), in fp8 but for the 2 · 7168² of its projection, which each GPU has, as each has the whole cache of a layer more.
    """
    line = "vllm serve deepseek-ai/DeepSeek-V3 --tensor-parallel-size 8 --max-model-len 8192"
    plain, drafts = (
        {part["part"]: part["bytes"] for part in result(each, "--hardware", "8xh200")["parts"]}
        for each in (line, line + """ --speculative-config '{"method": "mtp", "num_speculative_tokens": 1}'""")
    )
    projection = 2 * 7168**2
    more = drafts["weights"] - plain["weights"] + drafts["draft"]
    assert more == pytest.approx((11.5e9 - projection) / 8 + 2 * projection, rel=0.03)
    assert drafts["kv_cache"] / plain["kv_cache"] == 62 / 61
    glm = "python3 -m sglang.launch_server --model-path zai-org/GLM-4.5-Air-FP8 --tp-size 4 --speculative-algorithm EAGLE"
    assert "draft" in [part["part"] for part in result(glm, "glm-4.5-air", "--hardware", "4xh100")["parts"]]


def test_what_vllm_looks_at_when_it_starts(tmp_path: Path) -> None:
    """A start of 0.22 with Qwen2.5-VL-7B at 22% of an A100's 79.25 GiB, with steps of 2,048 tokens, logged 15.67 GiB of weights,
    0.53 of CUDA graphs and -14.28 for the cache, for one video of 114,688 tokens (a log on GitHub, 07-01): with 0.25 GiB outside
    of torch it took 15.27 to look at 458,752 patches.
    """
    logged = 0.22 * 79.25 - 15.67 - 0.53 - 0.25 + 14.28
    shape = json.loads(QWEN25_VL)
    shape |= {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4}
    shape |= {"intermediate_size": 18944, "vocab_size": 152064, "tie_word_embeddings": False}
    shape["vision_config"]["out_hidden_size"] = 3584
    file = tmp_path / "config.json"
    file.write_text(json.dumps(shape), encoding="utf-8")
    line = "vllm serve Qwen/Qwen2.5-VL-7B-Instruct --gpu-memory-utilization 0.22 --max-num-batched-tokens 2048"
    a100 = (str(file), "--hardware", "a100")

    def looked(more: str) -> float:
        return float({part["part"]: part["bytes"] for part in result(line + more, *a100)["parts"]}["workspace"] / GIB)

    assert looked("") == pytest.approx(logged, rel=0.01)
    assert looked("""  --limit-mm-per-prompt '{"video": 0}'""") == pytest.approx(logged / 7, rel=0.05)
    assert looked(" --max-model-len 40000") == pytest.approx(logged * 2 / 7, rel=0.05)  # two grids of 16,384 tokens have room
    assert looked(" --skip-mm-profiling") < 1 > looked(" --limit-mm-per-prompt image=0,video=0")
    whole, *blind = (
        {part["part"]: part["bytes"] for part in result(line + more, *a100)["parts"]}["weights"]
        for more in ("", " --language-model-only", " --limit-mm-per-prompt image=0,video=0")
    )
    assert blind[0] == blind[1] == 2 * 7_615_616_512 < whole - GIB  # Qwen2.5 7B alone
    assert any("images that vLLM tries" in note for note in data(line, "-", *a100[1:], stdin=MLLAMA.encode())["notes"])
    assert "--limit-mm-per-prompt" in refused("check", line + " --limit-mm-per-prompt some", *a100)


def test_gpus_that_have_the_encoder_whole() -> None:
    """--mm-encoder-tp-mode data of Qwen3-VL-235B on eight GPUs: seven eighths of the encoder's layers more on each; what stands
    before and after them is counted whole in either case.
    """
    line = "vllm serve Qwen/Qwen3-VL-235B-A22B-Instruct-FP8 --tensor-parallel-size 8 --max-model-len 32768 --mm-encoder-tp-mode "
    whole, divided = (result(line + mode, "-", "--hardware", "8xh200", stdin=QWEN_VL.encode()) for mode in ("data", "weights"))
    sizes = {part["part"]: part["bytes"] for part in whole["parts"]}
    assert whole["total_bytes"] == sum(sizes.values()) and whole["fits"]
    layers = 27 * (4 * 1152**2 + 2 * 1152 * 4304)
    assert sizes["encoder"] == pytest.approx(2 * layers * 7 / 8, rel=0.01)
    assert "encoder" not in {part["part"] for part in divided["parts"]}
    assert divided["cache_tokens"] > whole["cache_tokens"]
    assert "weights or data" in refused("check", line + "both", "-", "--hardware", "8xh200", stdin=QWEN_VL.encode())
    alone = result(line.replace("-size 8", "-size 1") + "data", "-", "--hardware", "8xh200", stdin=QWEN_VL.encode())
    assert "encoder" not in {part["part"] for part in alone["parts"]}


def test_images_that_gemma_3_is_shown() -> None:
    """256 tokens each, so 32 of them in 8,192: 4,096 patches of 1,152, of which 4 are alive beside two of 4,304; 588 numbers."""
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34, "num_attention_heads": 8, "head_dim": 256}
    text |= {"num_key_value_heads": 4, "intermediate_size": 10240, "vocab_size": 262208, "sliding_window": 1024}
    vision = {"model_type": "siglip_vision_model", "hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16}
    vision |= {"intermediate_size": 4304, "image_size": 896, "patch_size": 14, "vision_use_head": False}
    shape = {"model_type": "gemma3", "mm_tokens_per_image": 256, "text_config": text, "vision_config": vision}
    line = "vllm serve google/gemma-3-4b-it --max-model-len 8192 --max-num-seqs 8 --limit-mm-per-prompt "
    given = json.dumps(shape).encode()

    def workspace(more: str) -> int:
        found = result(line + more, "-", "--hardware", "h200", stdin=given)
        return next(part["bytes"] for part in found["parts"] if part["part"] == "workspace")

    each = 4096 * 2 * (4 * 1152 + 2 * 4304 + 588)
    assert workspace("image=4") == workspace("image=999") == pytest.approx(32 * each, rel=0.02)
    assert workspace("image=4") - workspace("image=2") == 16 * each
    assert workspace("image=2") > workspace("image=1") > workspace("image=0")
    none = data(line + "image=0", "-", "--hardware", "h200", stdin=given)
    assert any("encoder is not loaded" in note for note in none["notes"])  # for Gemma 3 is shown no videos
    assert not any(
        "not counted: the memory of the images" in note for note in data(line + "image=1", "-", *H100, stdin=given)["notes"]
    )


def test_the_table_of_requests() -> None:
    """SGLang 0.4.6 tried 80.04 GiB for Llama 4 Scout's ten million tokens (sgl-project/sglang issue 5755)."""
    line = "python3 -m sglang.launch_server --model meta-llama/Llama-4-Scout-17B-16E-Instruct --tp 8"
    found = result(line, "--hardware", "8xh100")
    more = next(part for part in found["parts"] if part["part"] == "beside")
    left = next(part for part in found["parts"] if part["part"] == "workspace")
    assert (more["bytes"] + left["bytes"]) / 2**30 == pytest.approx(80.04, abs=0.005)
    assert not found["fits"] and "2,049 requests × 10,485,764 tokens" in more["formula"]
    [change] = found["changes"]
    length = int(change["flags"].split()[1])
    assert result(f"{line} --context-length {length}", "--hardware", "8xh100")["total_bytes"] == change["total_bytes"]
    above = result(f"{line} --context-length {length + 1}", "--hardware", "8xh100")
    assert not above["fits"] and above["parts"][-1]["part"] == "beside"
    assert result(f"{line} --max-running-requests 64", "--hardware", "8xh100")["fits"]


def test_stages_of_the_first_engine() -> None:
    """Its blocks are divided between as many engines as stages (vllm 0.8.5, worker/worker.py, raise_if_cache_size_invalid), and
    it is what 0.8 takes for stages without Ray (engine/arg_utils.py): vllm-project/vllm issue 14452 logged 58,384 tokens.
    """
    line = "vllm serve QwQ-32B-unsloth-bnb-4bit -pp 2 --gpu-memory-utilization 0.85 --max-model-len 50000"

    def tokens(version: str, more: str = "") -> float:
        found = result(f"# llmcx check: --engine vllm@{version}\n{line}{more}", "qwen2.5-32b", "--hardware", "2xrtx-5090")
        return float(found["cache_tokens"])

    assert tokens("0.8.5") == pytest.approx(58384, rel=0.1)
    assert tokens("0.8.5", " --distributed-executor-backend ray") > 1.8 * tokens("0.8.5")
    assert tokens("0.9.2") > 1.8 * tokens("0.8.5")


def test_limits_of_pictures_by_a_dot() -> None:
    line = "vllm serve Qwen/Qwen2.5-VL-3B-Instruct"

    def total(more: str) -> int:
        shape = QWEN25_VL.encode()
        return int(data(f"{line} {more}", "-", "--hardware", "a100", stdin=shape)["result"]["total_bytes"])

    none = total("--limit-mm-per-prompt.video 0 --limit-mm-per-prompt.image.count 0")
    assert none == total('--limit-mm-per-prompt \'{"image": 0, "video": 0}\'') < total("--limit-mm-per-prompt.video 0")
    with pytest.raises(AssertionError, match="must be a number"):
        total("--limit-mm-per-prompt.video few")


def test_tables_of_a_release_in_8_bits() -> None:
    """Qwen3-32B-FP8's own quantization_config, which has no word of tables, leaves them in 16 bits."""
    d, ffn, vocab, layers = 5120, 25600, 151936, 64
    matrices = layers * (2 * d * 64 * 128 + 2 * d * 8 * 128 + 3 * d * ffn)
    for name in ("Qwen3-32B-FP8", "Qwen3-32B-INT8-W8A16"):
        found = result(f"vllm serve Qwen/{name} --max-model-len 8192", "qwen3-32b", "--hardware", "h100")
        weights = next(part["bytes"] for part in found["parts"] if part["part"] == "weights")
        assert weights == pytest.approx(matrices + 2 * 2 * vocab * d, rel=1e-3)


def test_what_a_release_leaves_in_16_bits() -> None:
    """Meta's 405B in fp8 has all attention and the feed-forwards of the first and the last layer in 16 bits (arXiv:2407.21783,
    sec. 6.2); NVFP4 of a mixture its attention, the second one of DeepSeek-R1-0528 but for the last projection, as its card says.
    What files say, or --dtype, comes first.
    """
    meta = "vllm serve meta-llama/Meta-Llama-3.1-405B-Instruct-FP8 -tp 8 --max-model-len 8192"
    d, d_ff, kv, layers, vocab = 16384, 53248, 1024, 126, 128256
    attention, ffn = layers * (2 * d * d + 2 * d * kv), 3 * d * d_ff
    scales = 4 * (layers - 2) * (2 * d_ff + d)
    size = 2 * (attention + 2 * ffn + 2 * vocab * d) + (layers - 2) * ffn + scales

    def weights(*args: str) -> float:
        return float(next(part["bytes"] for part in result(*args)["parts"] if part["part"] == "weights"))

    h100 = ("--hardware", "8xh100")
    assert weights(meta, *h100) == pytest.approx(size / 8, rel=1e-3)
    assert weights(meta, *h100, "--dtype", "fp8_channel") < 0.9 * size / 8
    nvidia = "vllm serve nvidia/DeepSeek-R1-NVFP4 -tp 4 --max-model-len 8192"
    b200 = ("deepseek-v3", "--hardware", "4xb200")
    more = weights(nvidia, *b200) - weights(nvidia.replace("R1-NVFP4", "R1-0528-FP4-V2"), *b200)
    assert more == pytest.approx(61 * 128 * 128 * 7168 / 4 * (16 - 4.5) / 8, rel=0.001)
    assert weights(nvidia, *b200) == weights(nvidia, *b200, "--dtype", "nvfp4")
    qwen = "vllm serve nvidia/Qwen3-30B-A3B-NVFP4 --max-model-len 2048"  # excludes gates and the head alone
    d, experts = 2048, 48 * 128 * 3 * 2048 * 768
    inside = experts + 48 * (2 * d * 32 * 128 + 2 * d * 4 * 128)
    size = 4.5 / 8 * inside + 2 * (2 * 151936 * d + 48 * 128 * d)
    assert weights(qwen, "qwen3-30b-a3b", "--hardware", "b200") == pytest.approx(size, rel=0.001)
    # what every GPU has whole (7168 × 1536 and 7168 × 576), and a quarter of the rest of attention, in 16 bits as are tables and
    # routers; a quarter of the dense layers, of the shared and the routed experts
    whole, inside = 61 * 7168 * (1536 + 576), 61 * (1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168)
    experts = 3 * 7168 * (3 * 18432 + 58 * 257 * 2048)
    tables = 2 * 129280 * 7168 / 4 + 58 * 256 * 7168
    assert weights(nvidia, *b200) == pytest.approx(2 * (whole + inside / 4 + tables) + 4.5 / 8 * experts / 4, rel=0.002)


def test_users_beyond_what_the_line_takes_at_a_time() -> None:
    """Of 64 users a line for 32 answers half at a time; llama.cpp's slots are all that it has."""
    line = "vllm serve meta-llama/Llama-3.1-8B --max-model-len 8192 --max-num-seqs"
    half, whole, most = (result(f"{line} {seqs}", *H100, "--batch", str(users)) for seqs, users in ((32, 64), (64, 64), (32, 32)))
    assert (half["places"], whole["places"], most["places"]) == (32, None, None)
    few, all_at_once, alone = (of["estimate"][0] for of in (half, whole, most))
    assert few["tpot_s"] == alone["tpot_s"] < all_at_once["tpot_s"]
    assert few["ttft_s"] == pytest.approx(2 * alone["ttft_s"] + 1024 * alone["tpot_s"])
    slots = result("llama-server -m llama-3.1-8b-Q4_K_M.gguf -c 32768 -np 4", "--hardware", "rtx-4090", "--batch", "8")
    assert slots["places"] == 4


def test_a_pool_shorter_than_the_context_starts() -> None:
    """SGLang refuses only where not one token has room; a length that the line states is held to."""
    line = "python -m sglang.launch_server --model-path Qwen/Qwen3-32B"
    found = data(line, *H100)
    assert found["result"]["fits"] and found["result"]["seq"] < 40960
    assert any("SGLang starts all the same" in note for note in found["notes"])
    assert not result(line + " --context-length 40960", *H100)["fits"]


# --- the way out --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
@pytest.mark.parametrize(
    "asked",
    [
        "qwen3-32b --hardware 2xh100",
        "llama-3.1-70b --hardware 4xh200 --dtype fp8 --prompt 4096 --output 512 --batch 16",
        "llama-3.1-8b --hardware h100 --chunk 4096 --utilization 0.85",
        "deepseek-v3 --hardware 8xh200 --ep 8",
        "gpt-oss-120b --hardware h200",
    ],
)
def test_what_is_emitted_is_read_back_as_the_same_numbers(engine: str, asked: str) -> None:
    end = here("serve", *asked.split(), "--emit", engine)
    assert (end.code, end.err) == (0, "")
    assert here("serve", *asked.split(), "--emit", engine).out == end.out
    found = result("-", stdin=end.out.encode())
    served = json.loads(here("serve", *asked.split(), "--engine", engine, "--json").out)["result"]
    assert found["largest_batch"] == served["largest_batch"]
    by_users = {point["batch"]: point for point in served["estimate"]}
    for point in found["estimate"]:
        assert by_users.get(point["batch"], point) == point
    assert found["estimate"][0]["batch"] in by_users


def test_what_a_launch_line_cannot_say_is_refused() -> None:
    assert "--draft" in refused("serve", "qwen3-8b", "--emit", "vllm", "--draft", "3")
    assert "contradict" in refused("serve", "qwen3-8b", "--emit", "vllm", "--engine", "sglang")
    assert "--detail" in refused("serve", "qwen3-8b", "--emit", "vllm", "--detail")
    in_json = json.loads(here("serve", "qwen3-8b", "--emit", "vllm", "--json").out)["inputs"]["line"]
    assert here("serve", "qwen3-8b", "--emit", "vllm").out == f"{in_json}\n"
    assert "known" in refused("serve", "qwen3-8b", "--emit", "tgi")
    line = here("serve", "qwen3-8b", "--emit", "llama.cpp", "--dtype", "q4_k_m", "--hardware", "rtx-4090", "--batch", "4").out
    assert result("-", stdin=line.encode())["users"] == 4


# --- lines that people published ------------------------------------------------------------------------------------------


def fits(row: Published) -> bool:
    """What is said of a published line, as the version has it that its source states; where it states none, vLLM took 90% of the
    memory by default.
    """
    share = (
        " --gpu-memory-utilization 0.9" if "vllm" in row.line and "utilization" not in row.line and row.version is None else ""
    )
    stated = {"engine": row.version and f"vllm@{row.version}", "driver": row.driver}
    asked = "".join(f" --{name} {value}" for name, value in stated.items() if value is not None)
    version = f"# llmcx check:{asked}\n" if asked else ""
    line = version + row.line.rstrip(" &\n\\") + share
    shape = row.preset or ""
    model = ["-"] if shape.startswith("{") else [shape] if shape else []
    return bool(result(line, *model, "--hardware", row.hardware, stdin=shape.encode() if model == ["-"] else b"")["fits"])


def test_lines_that_ran_fit() -> None:
    """All but gpt-oss-120b on one A100 with its whole context, which docs/check.md speaks of."""
    assert len(RAN) == 20 and sum(map(fits, RAN)) >= 19


def test_lines_that_failed_do_not_fit() -> None:
    """docs/check.md says what the others ran out of."""
    assert len(FAILED) == 10 and sum(not fits(row) for row in FAILED) == 8


def test_lines_found_later() -> None:
    """As it fell: 6 said not to fit when they were judged the first time, then 5, since GPUs without links are known to keep less
    for the libraries that link them; 6 again with the encoders of two models and what vLLM looks at; and 7 with what SGLang 0.5
    kept twice.
    """
    assert len(HELD_RAN) == 10 and sum(map(fits, HELD_RAN)) == 10
    assert len(HELD_FAILED) == 11 and sum(not fits(row) for row in HELD_FAILED) == 7


def test_lines_chosen_before_the_last_changes() -> None:
    """Judged the first time, as they were chosen: 9 and 4. Then SGLang's pool may be shorter than the context, which is one more
    of those that ran, and one fewer of the others; and graphs came on top of old versions' shares, which is two more of those.
    """
    assert len(FRESH_RAN) == 10 and sum(map(fits, FRESH_RAN)) == 10
    assert len(FRESH_FAILED) == 11 and sum(not fits(row) for row in FRESH_FAILED) == 5


def test_lines_chosen_after_them() -> None:
    """Judged the first time, as they were chosen: 12 of 13, once a flag of theirs was read, and 6 of 12. Then SGLang's table of
    requests was counted, which is one more of those, and 0.8.1's 1,024 sequences, which is another.
    """
    assert len(LAST_RAN) == 13 and sum(map(fits, LAST_RAN)) == 12
    assert len(LAST_FAILED) == 12 and sum(not fits(row) for row in LAST_FAILED) == 8


def test_lines_of_a_fifth_list() -> None:
    """Judged as they were chosen, before pictures beyond Qwen's were known: 13 of 13, and 6 of 11."""
    assert len(NEXT_RAN) == 13 and sum(map(fits, NEXT_RAN)) == 13
    assert len(NEXT_FAILED) == 11 and sum(not fits(row) for row in NEXT_FAILED) == 6


# --- any text -------------------------------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        [
            *("vllm", "serve", "Qwen/Qwen3-8B", "python", "-m", "vllm.entrypoints.openai.api_server", "sglang.launch_server"),
            *("llama-server", "trtllm-serve", "docker", "run", "vllm/vllm-openai", "bash", "-c", "--gpus", "export", "M=1"),
            *("--max-model-len", "--model", "--model-path", "-tp", "--tensor-parallel-size=2", "-dp", "8192", "-1", "1e9", "$M"),
            *(
                "--gpu-memory-utilization",
                "nan",
                "inf",
                "0",
                "--kv-cache-dtype",
                "fp8",
                "--quantization",
                "awq",
                "-c",
                "-np",
                "--",
            ),
            *("-m", "qwen3-8b-q4_k_m.gguf", "--ctx-size", "--x", "-", "'", '"', "\\", "\\\r\n", "^\r\n", "`\n", "#", ";", "&&"),
            *("|", ">", "2>&1", "<", "$(", "${M:-8}", "\r\n", "\n", "\t", "\x00", "\ufeff", "é", "--max_model_len=8k", "--no-x"),
        ]
    ),
    st.text(max_size=6),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(WORDS, max_size=12), st.sampled_from([" ", "", "\r\n"]), st.booleans())
def test_any_text_is_answered_or_refused_in_one_sentence(words: list[str], between: str, begun: bool) -> None:
    line = ("vllm serve Qwen/Qwen3-8B --max-model-len 8192 " if begun else "") + between.join(words)
    end = here("check", "-", *H100, "--json", stdin=line.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode())
    assert end.code in (0, 2), (line, end)
    assert end.code == 0 or (end.err.count("\n") == 1 and json.loads(end.err)["error"]["message"].isprintable()), (line, end)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["fits", "and", "tpot", "users", "headroom", "usd_per_million", "<", ">=", "40ms", "1.2.3", "80GB", ","]
            ),
            st.text(max_size=5),
        ),
        max_size=6,
    )
)
def test_any_requirement_is_read_or_refused(words: list[str]) -> None:
    for text in (" ".join(words), "".join(words)):
        try:
            assert terms(text)
        except InputError as error:
            assert error.message.isprintable() and error.field


START = {
    "vllm": "vllm serve Qwen/Qwen3-8B",
    "sglang": "python -m sglang.launch_server --model-path Qwen/Qwen3-8B",
    "trtllm": "trtllm-serve Qwen/Qwen3-8B",
    "llama.cpp": "llama-server -m qwen3-8b-q4_k_m.gguf",
}
ODD = [
    "0",
    "1",
    "-1",
    "3",
    "99999999999999999999",
    "1e9",
    "0.5",
    "nan",
    "inf",
    "-inf",
    "auto",
    "fp8",
    "1k",
    "1K",
    "８",
    "",
    "q8_0",
]


@st.composite
def set_oddly(draw: Any) -> str:
    """A launch line with some of the flags that are read, at values that they may not have."""
    engine = draw(st.sampled_from(list(START)))
    read_ = [flag for flag, (_, effect) in flags(engine).items() if effect == "read"]
    given_ = draw(st.lists(st.tuples(st.sampled_from(read_), st.sampled_from(ODD)), max_size=3))
    return " ".join([START[engine], *(f"{flag}={value}" if flags(engine)[flag].takes else flag for flag, value in given_)])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(set_oddly(), st.sampled_from(["h100", "8xh100", "2xrtx-4090"]))
def test_any_value_of_a_flag_is_answered_or_refused(line: str, hardware: str) -> None:
    end = here("check", "-", "--hardware", hardware, "--json", stdin=line.encode())
    assert end.code == 0 or (end.code == 2 and end.err.count("\n") == 1), (line, hardware, end)


def test_a_line_behind_two_dashes() -> None:
    """As `env`, `time` and `docker run` take a command: its words as they are, without quotes around all of them."""
    line = ["vllm", "serve", "Qwen/Qwen3-VL-8B-Instruct", "--max-model-len", "8k", "--limit-mm-per-prompt"]
    for last in ('{"image": 2}', "image=2"):
        apart = here("check", "--hardware", "h100", "--json", "--", *line, last)
        whole = here("check", shlex.join([*line, last]), "--hardware", "h100", "--json")
        assert apart == whole and apart.code == 0, last
    assert here("check", "--hardware", "h100", "--", " ".join(line[:5])).code == 0  # quoted, and behind them
