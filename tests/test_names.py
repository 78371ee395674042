"""The names under which models are released, against what public copies of their config.json say of each.

tests/oracle/names.jsonl holds a row for a name and a source, read in November 2026: the keys of config.json that a cost depends
on. Sources are copies of config.json in public repositories, litgpt's table of configurations, and llmfit's table of what the hub
says of popular models, in which parameters are those of the weight files' headers. A copy that somebody shortened for a device
(a context of 512), and what llmfit estimates where a header is missing, is left out of a row. llmfit multiplies a context by the
factor of the file's rope_scaling, which is the row's rope_factor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import llmcx
from llmcx.catalog.index import read_yaml
from llmcx.catalog.load import from_data
from llmcx.catalog.named import COPIES, format_of, known_as, original, way_forward
from llmcx.catalog.presets import MODELS, aliases, load_data, load_preset, names, others
from llmcx.costs.params import count
from llmcx.model.spec import ModelSpec
from tests.helpers import here

ROWS = [json.loads(line) for line in (Path(__file__).parent / "oracle" / "names.jsonl").read_text("utf-8").splitlines()]
KEYED = ("attention", "mla", "compressed")
DENSE = ("llama", "mistral", "qwen2", "qwen3")
READ = [row for row in ROWS if row["config"].get("model_type") in DENSE and "hidden_size" in row["config"]]


def said(spec: ModelSpec) -> dict[str, Any]:
    """A preset in the words of a config.json."""
    layers = [*spec.encoder, *spec.decoder]
    mixer: Any = next(each.mixer for each in layers if each.mixer is not None and each.mixer.type in KEYED)
    ffns: list[Any] = [each.ffn for each in layers if each.ffn is not None]
    return {
        "num_hidden_layers": spec.n_layers,
        "hidden_size": spec.d_model,
        "vocab_size": spec.embedding.vocab,
        "num_attention_heads": mixer.n_heads,
        "num_key_value_heads": getattr(mixer, "n_kv_heads", None) or mixer.n_heads,
        "head_dim": getattr(mixer, "head_dim", None) or spec.d_model // mixer.n_heads,
        "intermediate_size": next((ffn.d_ff for ffn in ffns if ffn.type != "moe"), None),
        "moe_intermediate_size": next((ffn.expert.d_ff for ffn in ffns if ffn.type == "moe"), None),
        "tie_word_embeddings": spec.head is not None and spec.head.tied,
        "max_position_embeddings": spec.context,
        "parameters": count(spec),
    }


def called(name: str) -> str:
    """The name by which a preset is found: the row's own, or, of those who copy, that of the original."""
    return original(name) or name


def test_every_row_is_what_its_preset_says() -> None:
    wrong = []
    for row in ROWS:
        spec = load_preset(called(row["name"]))
        mine = said(spec)
        config = {key: value for key, value in row["config"].items() if key != "model_type"}
        if (length := config.pop("context_length", None)) is not None:
            config["max_position_embeddings"] = length // config.pop("rope_factor", 1)
        wrong += [(row["name"], key, value, mine[key]) for key, value in config.items() if mine[key] != value]
        assert row["preset"] == spec.name and len(config) >= 1
    assert not wrong
    assert len({row["name"] for row in ROWS}) > 150


@pytest.mark.parametrize("row", READ, ids=lambda row: row["name"])
def test_a_file_read_costs_what_its_preset_does(row: dict[str, Any]) -> None:
    """Where a row has every key that a dense model needs: parameters, and the cache of a token."""
    config = {key: value for key, value in row["config"].items() if key not in ("context_length", "rope_factor", "parameters")}
    preset = load_preset(called(row["name"]))
    assert preset.head is not None
    read = from_data({"tie_word_embeddings": preset.head.tied, "max_position_embeddings": preset.context, **config}, "row")
    assert count(read) == count(preset) and read.context == preset.context
    asked = {"seq": 1024, "train": False}
    assert llmcx.memory(read, **asked).kv_bytes_per_token == llmcx.memory(preset, **asked).kv_bytes_per_token


def test_no_name_is_of_two_presets() -> None:
    """ORG/NAME is also called NAME, which must be no other preset's."""
    taken: dict[str, str] = {name: name for name in names()}
    for preset in names():
        for name, context in others(read_yaml(MODELS / f"{preset}.yaml")).items():
            assert name == name.lower() and taken.setdefault(name, preset) == preset, f"{name} is of {preset} and {taken[name]}"
            assert context is None or context != load_preset(preset).context, f"{name} is an alias of {preset}: no other context"


def test_releases_of_another_context_are_confirmed() -> None:
    confirmed = {row["name"].lower() for row in ROWS if {"context_length", "max_position_embeddings"} & row["config"].keys()}
    stated = {name for preset in names() for each in load_preset(preset).releases for name in each.names if "/" in name}
    assert stated and not stated - confirmed


@pytest.mark.parametrize(
    ("name", "preset", "context"),
    [
        # config.json of each, by the rows above
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b", 32_768),
        ("qwen2.5-7b-instruct", "qwen2.5-7b", 32_768),
        ("Qwen2.5_7B_Instruct", "qwen2.5-7b", 32_768),
        ("preset:qwen2.5-7b-instruct", "qwen2.5-7b", 32_768),
        ("https://huggingface.co/Qwen/Qwen2.5-7B-Instruct/tree/main", "qwen2.5-7b", 32_768),
        ("qwen2.5-7b", "qwen2.5-7b", 131_072),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b", 262_144),
        ("zai-org/GLM-4.6", "glm-4.5", 202_752),
        ("llama-3.3-70b", "llama-3.1-70b", 131_072),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b-v0.3", 32_768),
    ],
)
def test_found_by_name(name: str, preset: str, context: int) -> None:
    spec = llmcx.load(name)
    assert (spec.name, spec.context) == (preset, context)


def test_a_release_is_shown_with_its_context() -> None:
    assert load_data("qwen/qwq-32b")["context"] == 40_960 and load_data("qwen2.5-32b")["context"] == 131_072
    assert '"context": 40960' in here("catalog", "show", "qwq-32b", "--json").out


def test_what_a_name_comes_to_keeps_its_context() -> None:
    """A quantised copy of an instruct model is that model's, not the base's."""
    assert known_as("Qwen/Qwen2.5-72B-Instruct-AWQ") == "qwen2.5-72b-instruct"
    assert known_as("/models/Qwen3-30B-A3B-Instruct-2507-Q4_K_M.gguf") == "qwen3-30b-a3b-instruct-2507"
    assert known_as("mlx-community/Qwen3-4B-Instruct-2507-4bit") == "qwen3-4b-instruct-2507"
    assert format_of("mlx-community/Qwen3-4B-Instruct-2507-4bit") == "mlx:bits=4"
    assert known_as("gemma-2-9b-it-GGUF") == "gemma-2-9b-it"
    assert known_as("mistralai/Mistral-7B-v0.4") is None  # v0.2 and v0.3 are other models than v0.1


@pytest.mark.parametrize(
    ("name", "forward"),
    [
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "meta-llama-3.1-70b-instruct: give that with --dtype awq"),
        ("Qwen/Qwen2.5-32B-Instruct-GPTQ-Int8", "qwen2.5-32b-instruct: give that with --dtype gptq:bits=8"),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "llama-3.1-8b-instruct: give that with --dtype fp8"),
        ("nvidia/Llama-3.3-70B-Instruct-FP4", "llama-3.3-70b-instruct: give that with --dtype nvfp4"),
        ("nvidia/DeepSeek-R1-0528-NVFP4-v2", "deepseek-r1-0528: give that with --dtype nvfp4"),
        ("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "meta-llama-3.1-8b-instruct: give that with --dtype q4_k_m, or the format"),
        ("TheBloke/Llama-2-13B-chat-GPTQ", "llama-2-13b: give that with --dtype gptq"),
        ("huihui-ai/Qwen3-8B-abliterated", "qwen3-8b: give that"),
        ("meta-llama/Llama-3.1-8B-Instuct", "did you mean meta-llama/llama-3.1-8b-instruct?"),
        ("org/zzzz", "`llmcx catalog models` lists"),
    ],
)
def test_the_way_forward(name: str, forward: str) -> None:
    assert forward in way_forward(name)[0]
    for nearest in way_forward(name)[1]:
        load_preset(nearest)


def test_copies_are_of_what_they_are_called() -> None:
    assert original("unsloth/Qwen2.5-7B-Instruct") == "qwen/qwen2.5-7b-instruct"
    assert original("unsloth/Qwen2.5-7B-Instruct-bnb-4bit") is None and original("qwen/qwen2.5-7b") is None
    copied = [row["name"] for row in ROWS if row["name"].lower().split("/")[0] in COPIES and row["name"].lower() not in aliases()]
    assert len(copied) >= 5 and all(original(name) for name in copied)


def offline(tmp_path: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), **more}
    return subprocess.run([sys.executable, "-m", "llmcx", *args], env=environment, capture_output=True, text=True, timeout=120)


def test_out_of_reach(tmp_path: Path) -> None:
    """Refused in a sentence with the way forward; a copy answers and says whose."""
    pytest.importorskip("huggingface_hub", reason="the optional extra llmcx[hub] is not installed")
    done = offline(tmp_path, "params", "Qwen/Qwen2.5-72B-Instruct-AWQ")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout
    assert done.stderr.endswith("its base is the preset qwen2.5-72b-instruct: give that with --dtype awq\n")
    done = offline(tmp_path, "params", "unsloth/Llama-3.3-70B-Instruct", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["result"]["total"] == 70_553_706_496
    assert (
        "unsloth/Llama-3.3-70B-Instruct is out of reach, and taken for a copy of meta-llama/llama-3.3-70b-instruct" in done.stdout
    )
    done = offline(tmp_path, "params", "--hf", "unsloth/Llama-3.3-70B-Instruct")
    assert done.returncode == 2 and "give that" in done.stderr


def test_without_the_extra(tmp_path: Path) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise ImportError\n", encoding="utf-8")
    done = offline(tmp_path, "params", "TheBloke/Mistral-7B-Instruct-v0.2-AWQ", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "llmcx[hub]" in done.stderr and "preset mistral-7b-instruct-v0.2: give that with --dtype awq" in done.stderr
