"""What a release says of its weights is what is counted: formats, what they leave alone, module by module, on every GPU.

Llama 3 8B has 32 layers of 218,103,808 numbers in matrices, 6,979,321,856 in all, and 1,050,939,392 others (two tables of
128,256 x 4,096, 65 norms). The bytes below are calculated from those by each method's own layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcx.answers.memory import memory
from llmcx.answers.params import params
from llmcx.catalog.load import from_data, load_config
from llmcx.catalog.presets import load_preset, names
from llmcx.errors import InputError
from llmcx.formats import quant
from llmcx.huggingface.storage import METHODS
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout
from tests.helpers import data, here, refused

ROOT = Path(__file__).resolve().parent.parent
WILD = ROOT.parent / "shared" / "wild"
PAGE = ROOT / "docs" / "stored.md"
INSIDE, OUTSIDE = 6_979_321_856, 1_050_939_392
LAYER, ATTENTION = 218_103_808, 41_943_040
OUTPUTS = 32 * (4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096)
INPUTS = 32 * (6 * 4096 + 14336)
"""Outputs and inputs of all matrices inside the layers."""

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-05,
    "tie_word_embeddings": False,
}


def llama(**more: Any) -> ModelSpec:
    return from_data(LLAMA | more, "llama")


def group(weights: Mapping[str, Any], targets: list[str]) -> dict[str, Any]:
    return {"weights": {"num_bits": 4, "type": "int", "strategy": "group", "symmetric": True} | weights, "targets": targets}


W4A16 = {"group_size": 128}
FP8 = {"num_bits": 8, "type": "float", "strategy": "tensor", "group_size": None}
CASES: dict[str, tuple[dict[str, Any], str, float]] = {
    "fp8, 128 x 128": ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_block", INSIDE * (1 + 4 / 16384)),
    "fp8, per tensor": ({"quant_method": "fp8", "weight_block_size": None}, "fp8_tensor", INSIDE + 4 * 7 * 32),
    "fbgemm": ({"quant_method": "fbgemm_fp8"}, "fp8_channel", INSIDE + 4 * OUTPUTS),
    "gptq, 4 bits": ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq", INSIDE * (0.5 + 2.5 / 128) + 4 * INPUTS),
    "gptq, 8 bits": ({"quant_method": "gptq", "bits": 8, "group_size": 32}, "gptq", INSIDE * (1 + 3 / 32) + 4 * INPUTS),
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": 128}, "awq", INSIDE * (0.5 + 2.5 / 128)),
    "bitsandbytes, 4 bits": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": False},
        "nf4",
        INSIDE * (0.5 + 4 / 64),
    ),
    "bitsandbytes, 8 bits": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "llm_int8", INSIDE + 4 * OUTPUTS),
    "w4a16": (
        {"quant_method": "compressed-tensors", "config_groups": {"group_0": group(W4A16, ["Linear"])}, "ignore": ["lm_head"]},
        "int",
        INSIDE * (0.5 + 2 / 128),
    ),
    "w8a8, per channel": (
        {"quant_method": "compressed-tensors", "config_groups": {"g": group({"num_bits": 8, "strategy": "channel"}, ["Linear"])}},
        "int",
        INSIDE + 2 * OUTPUTS,
    ),
    "fp8-dynamic": (
        {"quant_method": "compressed-tensors", "config_groups": {"g": group({**FP8, "strategy": "channel"}, ["Linear"])}},
        "fp8_channel",
        INSIDE + 4 * OUTPUTS,
    ),
    "nvfp4": (
        {"quant_method": "modelopt", "config_groups": {"g": group({"type": "float", "group_size": 16}, ["Linear"])}},
        "nvfp4",
        INSIDE * (0.5 + 1 / 16),
    ),
    "hf_quant_config.json": ({"quantization": {"quant_algo": "NVFP4", "group_size": 16}}, "nvfp4", INSIDE * (0.5 + 1 / 16)),
    "mxfp4": ({"quant_method": "mxfp4"}, "mxfp4", INSIDE * (0.5 + 1 / 32)),
    "hqq": (
        {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}},
        "hqq",
        INSIDE * (0.5 + 4 / 64),
    ),
    "quark": ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}}, "fp8_tensor", INSIDE),
    "torchao": ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "llm_int8", INSIDE + 4 * OUTPUTS),
    "eetq": ({"quant_method": "eetq"}, "llm_int8", INSIDE + 4 * OUTPUTS),
    "aqlm, 1 x 16": (
        {"quant_method": "aqlm", "nbits_per_codebook": 16, "in_group_size": 8},
        "aqlm",
        INSIDE / 4 + 224 * 2**20 + 2 * OUTPUTS,
    ),
}
"""By method: what a file says, the format's name, and the bytes of the matrices inside the layers to one part in a thousand."""


@pytest.mark.parametrize("case", CASES)
def test_each_method_is_the_default(case: str) -> None:
    config, name, inside = CASES[case]
    spec = llama(quantization_config=config)
    found = params(spec)
    assert found.dtype.partition(":")[0] == name
    assert abs(found.bytes - 2 * OUTSIDE - inside) < 0.001 * inside, found.bytes - 2 * OUTSIDE - inside
    assert params(spec, "bf16").bytes == 2 * (INSIDE + OUTSIDE)  # --dtype overrides it


def test_mlx_quantises_the_tables_too() -> None:
    """4 bits, groups of 64, a 16-bit scale and bias each: 4.5 bits a number, norms apart."""
    spec = llama(quantization={"group_size": 64, "bits": 4})
    norms = 65 * 4096
    assert params(spec).bytes == (INSIDE + OUTSIDE - norms) * 9 // 16 + 2 * norms


def test_dtypes() -> None:
    assert params(llama(torch_dtype="float32")).bytes == 4 * (INSIDE + OUTSIDE)
    assert params(llama(dtype="float16")).dtype == "fp16"
    assert memory(llama(torch_dtype="float32"), 1, 16).parts[0].bytes == 4 * (INSIDE + OUTSIDE)


def test_a_config_nested_beside_the_text_is_read() -> None:
    inner = {**LLAMA, "quantization_config": CASES["fp8, 128 x 128"][0]}
    outer = {"model_type": "llava", "text_config": inner, "vision_config": {"model_type": "clip_vision_model"}}
    assert params(from_data(outer, "llava")).dtype == "fp8_block"
    beside = {"model_type": "llava", "text_config": LLAMA, "quantization_config": CASES["w4a16"][0]}
    assert params(from_data(beside, "llava")).dtype == "int:bits=4,group=128"


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (["model.layers.0.self_attn*", "model.layers.1.self_attn*"], 2 * ATTENTION),
        (["re:.*self_attn.*"], 32 * ATTENTION),
        (["model.layers.3.mlp.down_proj", "model.layers.4.mlp.down_proj"], 2 * 4096 * 14336),
        (["model.layers.10."], 0),
        (["self_attn"], 32 * ATTENTION),
        (["model.layers.31"], LAYER),
        (["re:.*mlp\\.(gate|up)_proj$"], 64 * 4096 * 14336),
        (["vision_tower", "model.embed_tokens", "lm_head"], 0),
    ],
)
def test_modules_that_are_left_alone(keep: list[str], left: int) -> None:
    config = CASES["fp8, per tensor"][0] | {"modules_to_not_convert": keep}
    whole, kept = params(llama(quantization_config=CASES["fp8, per tensor"][0])), params(llama(quantization_config=config))
    assert 0 <= left - (kept.bytes - whole.bytes) <= 4 * 7 * 32  # a byte more each, less its scales


def test_groups_in_formats_of_their_own() -> None:
    groups = {"a": group(FP8, ["re:.*self_attn.*"]), "b": group({"type": "float", "group_size": 16}, ["re:.*mlp.*"])}
    spec = llama(quantization_config={"quant_method": "compressed-tensors", "config_groups": groups, "kv_cache_scheme": FP8})
    found = quant.weights(spec, "released")
    assert found.by_dtype["F8_E4M3"]["elements"] == 32 * ATTENTION
    assert found.by_dtype["NVFP4"]["elements"] == INSIDE - 32 * ATTENTION
    assert spec.stored is not None and spec.stored.cache == "fp8"


def test_of_every_gpu() -> None:
    """Tensor parallelism cuts the matrices evenly: two GPUs hold what one does, and the norms twice."""
    spec = llama(quantization_config=CASES["awq"][0])
    one = memory(spec, 1, 16).parts[0].bytes
    two = memory(spec, 1, 16, layout=Layout(tp=2)).parts[0].bytes
    assert 2 * two - one == 2 * 65 * 4096
    with_stages = memory(spec, 1, 16, layout=Layout(pp=4)).all_gpus_bytes
    assert with_stages >= one
    assert memory(load_preset("gpt-oss-120b"), 1, 16, layout=Layout(tp=4)).parts[0].bytes < 20e9


RELEASED = {"gpt-oss-20b": (13_761_264_768, "mxfp4"), "gpt-oss-120b": (65.25e9, "mxfp4")}


def test_gpt_oss_to_the_byte() -> None:
    """24 layers x 32 experts x 3 matrices of 2,880 x 2,880 at 17 bytes per 32 numbers, all else at 2 bytes a number: what
    model.safetensors.index.json of openai/gpt-oss-20b states.
    """
    experts = 24 * 32 * 3 * 2880 * 2880
    assert params(load_preset("gpt-oss-20b")).bytes == experts // 32 * 17 + 2 * (20_914_757_184 - experts) == 13_761_264_768


def test_presets_say_how_they_are_released() -> None:
    stored = {name: spec.stored.name for name in names() if (spec := load_preset(name)).stored is not None}
    assert stored == {
        **dict.fromkeys(("gpt-oss-20b", "gpt-oss-120b"), "mxfp4"),
        **dict.fromkeys(("deepseek-v3", "deepseek-v3.2", "kimi-k2", "minimax-m2"), "fp8_block"),
        "kimi-k2.5": "int:bits=4,group=32",
        **dict.fromkeys(("deepseek-v4-pro", "deepseek-v4-flash"), "fp8_block:scale=1+mxfp4"),
    }
    verdict = data("memory", "gpt-oss-120b", "--seq", "8k", "--hardware", "h100")
    assert verdict["result"]["fits"] and "mxfp4 as released" in verdict["asked"]
    assert "mxfp4 as released" in here("serve", "gpt-oss-120b", "--hardware", "h100").out.splitlines()[0]


@pytest.mark.skipif(not WILD.is_dir(), reason="the collection of released files is not beside this checkout")
@pytest.mark.parametrize(
    ("name", "gigabytes", "form"),
    [
        ("Kimi-K2.5", 594, "int:bits=4,group=32"),
        ("Devstral-Small-2-24B", 24.9 + 2 * 0.439, "fp8_tensor"),
        ("gpt-oss-20b", 13.76, "mxfp4"),
        ("Qwen3-32B-FP8", 34.3, "fp8_block"),
        ("DeepSeek-R1-Distill-Llama-8B", 32.1, "fp32"),
        ("Gemma-4-26B-A4B-NVFP4", 17.6 + 2 * 0.573, "nvfp4"),
    ],
)
def test_released_files(name: str, gigabytes: float, form: str) -> None:
    """Sizes as published, or calculated from the parts that the file quantises; towers in 16 bits beside the language model."""
    found = params(load_config(str(WILD / f"{name}.json")))
    assert found.dtype == form and abs(found.bytes / 1e9 - gigabytes) < 0.01 * gigabytes


@pytest.mark.skipif(not WILD.is_dir(), reason="the collection of released files is not beside this checkout")
def test_no_released_file_is_sized_in_silence() -> None:
    """Every quantised file that is read is sized in its own format, or says that it is not."""
    for path in sorted(WILD.glob("*.json")):
        text = json.loads(path.read_text(encoding="utf-8"))
        if not any(key in json.dumps(text) for key in ('"quantization_config"', '"quantization"')):
            continue
        try:
            spec = load_config(str(path))
        except InputError:
            continue
        assert spec.stored is not None, path.name
        assert spec.stored.quantised or spec.stored.unsized, path.name


def test_a_format_that_is_not_known_is_said_first(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA | {"quantization_config": {"quant_method": "vptq"}}))
    for command in ("params", "memory", "serve"):
        found = data(command, str(path))
        assert "vptq" in found["asked"] and any("--weights" in note for note in found["notes"])
    found = data("params", str(path), "--dtype", "int4")
    assert "vptq" not in found["asked"] and not any("--weights" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("fp8", "must be a mapping"),
        ({"quant_method": "gptq"}, "quantization_config.bits"),
        ({"quant_method": "gptq", "bits": "4"}, "whole number"),
        ({"quant_method": "awq", "bits": 4, "group_size": 0}, "whole number"),
        ({"quant_method": "fp8", "weight_block_size": [0, 128]}, "two whole numbers"),
        ({"quant_method": "fp8", "weight_block_size": "128"}, "two whole numbers"),
        ({"quant_method": "fp8", "modules_to_not_convert": "lm_head"}, "list of module names"),
        ({"quant_method": "compressed-tensors", "config_groups": {"a": 3}}, "must be a mapping"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": True}, "only one of them"),
        ({"quant_method": "awq", "bits": 4, "group_size": 96}, "multiple of 96"),
        ({"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": 3}}}, "must be a mapping"),
    ],
)
def test_what_cannot_be_is_one_sentence(config: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA | {"quantization_config": config}))
    assert words in refused("params", str(path))


def test_a_pattern_that_is_no_expression(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA | {"quantization_config": CASES["w4a16"][0] | {"ignore": ["re:("]}}))
    assert "no regular expression" in refused("params", str(path))
    for hostile in ("re:(.*)*x", "re:(a+)+$", "re:(a|a)*$", "re:" + ".*" * 200, "re:" + "a" * 2000):
        path.write_text(json.dumps(LLAMA | {"quantization_config": CASES["w4a16"][0] | {"ignore": [hostile]}}))
        assert "the module pattern" in refused("params", str(path))


def test_weights_of_files_are_those_of_memory(tmp_path: Path) -> None:
    numpy, safetensors = pytest.importorskip("numpy"), pytest.importorskip("safetensors.numpy")
    safetensors.save_file({"a": numpy.zeros((100, 64), numpy.int8)}, tmp_path / "model.safetensors")
    small = LLAMA | {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(small | {"intermediate_size": 128, "vocab_size": 100}))
    found = data("memory", "--weights", str(tmp_path), "--seq", "16", "--budget", "1GB")
    assert found["result"]["parts"][0]["bytes"] == 6400 and found["inputs"]["dtype"] == "files" and found["result"]["fits"]
    assert "give one" in refused("memory", "--weights", str(tmp_path), "--dtype", "fp8")


def test_whole_names_of_compressed_tensors() -> None:
    """Its `ignore` names modules, not what is in them: an attention that is listed leaves its matrices quantised."""
    config = CASES["w4a16"][0]
    whole, named, inside = (
        params(llama(quantization_config={**config, "ignore": ignored})).bytes
        for ignored in (["lm_head"], ["lm_head", "model.layers.0.self_attn"], ["lm_head", "model.layers.0.self_attn.q_proj"])
    )
    assert whole == named
    assert inside - whole == 2 * 4096 * 4096 - (4096 * 4096 // 2 + 2 * 32 * 4096 + 16)


def test_a_quantize_config_beside_it(tmp_path: Path) -> None:
    """AutoGPTQ's file, and an index that some tool wrote without a size."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 128, "desc_act": False}))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": {}}))
    found = data("params", str(tmp_path))
    assert found["result"]["dtype"] == "gptq:bits=4,group=128" and not any("index" in note for note in found["notes"])


def test_a_head_that_the_release_stores_apart(tmp_path: Path) -> None:
    """The index names a head: 128,256 x 4,096 numbers more than a tied one, and both counts are said."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"tie_word_embeddings": True}))
    index = {"metadata": {"total_size": 16_060_522_496}, "weight_map": {"lm_head.weight": "a", "model.norm.weight": "a"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    found = data("params", str(tmp_path))
    assert found["result"]["total"] == 8_030_261_248
    assert any("8,030,261,248" in note and "7,504,924,672" in note for note in found["notes"])


def tensors_of_a_tiny_llama(n_layers: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes as transformers saves them: 8 heads of 8, 2 key-value heads, d 64, d_ff 96, vocabulary 100; and what files
    may hold beside: a layer for multi-token prediction, a tower.
    """
    layer = {"self_attn.q_proj": (64, 64), "self_attn.k_proj": (16, 64), "self_attn.v_proj": (16, 64)}
    layer |= {"self_attn.o_proj": (64, 64), "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96)}
    norms = {"input_layernorm": (64,), "post_attention_layernorm": (64,)}
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens": (100, 64), "model.norm": (64,), "lm_head": (100, 64)}
    for number in range(n_layers):
        shapes |= {f"model.layers.{number}.{name}": shape for name, shape in (layer | norms).items()}
    return {f"{name}.weight": shape for name, shape in shapes.items()}


def test_weights_of_files_on_several_gpus(tmp_path: Path) -> None:
    """Bytes by hand: a layer's matrices have 4,096 + 1,024 + 1,024 + 4,096 + 3 · 6,144 numbers, its norms 128; the tables 6,400
    each. Tensor parallelism halves the matrices and the tables; with 4 GPUs, 2 key-value heads are on 2 GPUs each.
    """
    numpy, safetensors = pytest.importorskip("numpy"), pytest.importorskip("safetensors.numpy")
    shapes = tensors_of_a_tiny_llama(5) | {"vision_tower.layers.0.q_proj.weight": (10, 10)}
    safetensors.save_file({name: numpy.zeros(shape, numpy.float16) for name, shape in shapes.items()}, tmp_path / "a.safetensors")
    small = LLAMA | {"num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 8, "num_key_value_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(small | {"intermediate_size": 96, "vocab_size": 100}))
    rest, tower = 4096 + 4096 + 3 * 6144, 100
    expected = {
        ("--tp", "1"): 4 * (rest + 2048 + 128) + 64 + 12800 + tower,
        ("--tp", "2"): 4 * ((rest + 2048) // 2 + 128) + 64 + 6400 + tower,
        ("--tp", "4"): 4 * (rest // 4 + 1024 + 128) + 64 + 3200 + tower,
        ("--pp", "2"): 2 * (rest + 2048 + 128) + 6400 + 64,  # the last stage, which has the logits too
        ("--pp", "4"): rest + 2048 + 128 + 6400 + 64,
    }
    for layout, numbers in expected.items():
        found = data("memory", "--weights", str(tmp_path), "--seq", "16", *layout)
        assert found["result"]["parts"][0]["bytes"] == 2 * numbers, layout
        assert any("multi-token" in note for note in found["notes"])


def page() -> str:
    """docs/stored.md: every method that is read, on Llama 3 8B."""
    lines = ["# How a release stores its weights", "", "Written by `python tests/test_storage.py`; a test keeps it true.", ""]
    lines += [
        "What `config.json` says (its `quantization_config`, also within `text_config`; MLX's `quantization`; `dtype`) is the",
        "default of `params`, `memory`, `serve` and of the frozen weights under `--lora`; `--dtype` overrides it.",
        "`--weights` reads the headers of the files themselves, in a directory or on the hub (`--weights ORG/NAME`, of which no",
        "weights are downloaded); under `--tp`, `--pp` and `--ep` each tensor is divided as the matrix that it belongs to.",
        "A method quantises the matrices inside the layers; the modules that it names are left alone, layer by layer.",
        "",
        "| the file says | format | Llama 3 8B, GB | bits per weight |",
        "| --- | --- | ---: | ---: |",
    ]
    for case, (config, _, _) in CASES.items():
        found = quant.weights(llama(quantization_config=config), "released")
        lines.append(f"| {case} | `{found.format}` | {found.bytes / 1e9:.3f} | {found.bits_per_weight:.3f} |")
    found = quant.weights(llama(quantization={"group_size": 64, "bits": 4}), "released")
    lines.append(f"| MLX, 4 bits | `{found.format}` | {found.bytes / 1e9:.3f} | {found.bits_per_weight:.3f} |")
    lines += ["", "| preset | released in | GB |", "| --- | --- | ---: |"]
    for name in names():
        spec = load_preset(name)
        if spec.stored is not None:
            lines.append(f"| {name} | `{spec.stored.name}` | {params(spec).bytes / 1e9:,.1f} |")
    lines += ["", f"`quant_method` is read for: {', '.join(sorted(METHODS))}.", ""]
    return "\n".join(lines)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_multi_token_prediction_is_counted_apart() -> None:
    """DeepSeek-V3 on the hub has 684.49 B: the main part, one more layer, and copies of the token table and the head
    (DeepSeek-AI 2024, arXiv:2412.19437, sec. 2.2; README_WEIGHTS.md of the release).
    """
    found = params(load_preset("deepseek-v3"))
    copies = 2 * 129280 * 7168
    assert round((found.total + found.mtp + copies) / 1e9, 2) == 684.49
    assert found.total == 671_026_404_352 and params(load_preset("llama-3-8b")).mtp == 0


def test_modelopts_file_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(CASES["hf_quant_config.json"][0]))
    assert data("params", str(tmp_path))["result"]["dtype"] == "nvfp4"


def test_an_index_that_states_other_bytes_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 2 * (INSIDE + OUTSIDE)}, "weight_map": {}}))
    assert not any("the index beside" in note for note in data("params", str(tmp_path))["notes"])
    index.write_text(json.dumps({"metadata": {"total_size": 4 * (INSIDE + OUTSIDE)}, "weight_map": {"x": "y" * 10**6}}))
    [said] = [note for note in data("params", str(tmp_path))["notes"] if "the index beside" in note]
    assert "+100.0%" in said and "16,060,522,496" in said
    assert "index 32.12 GB" in data("params", str(tmp_path))["asked"]
    index.write_bytes(b'{"metadata": {"total_size": 1e9')
    assert data("params", str(tmp_path))["result"]["dtype"] == "bf16"


def test_a_hybrid_in_gguf() -> None:
    """34 bytes per 32 numbers of the matrices, 4 bytes of the rest (ggml): 28.58 GB for Qwen3.5 27B. Of a family that llama.cpp
    does not know, nobody knows how it is stored.
    """
    assert round(params(load_preset("qwen3.5-27b"), "q8_0").bytes / 1e9, 2) == 28.58
    assert "llama.cpp's converter has no grok" in refused("params", "grok-1", "--dtype", "q4_k_m")


def test_layers_for_multi_token_prediction_are_in_the_headline() -> None:
    """DeepSeek-V3 is stored in 688.6 GB with them (its index), 673.2 without."""
    assert "MTP apart" in data("params", "deepseek-v3")["asked"]
    assert "MTP" not in data("params", "deepseek-v3", "--dtype", "bf16")["asked"]


def test_a_class_of_another_family_is_said() -> None:
    warned = llama(architectures=["DeepseekV41ForCausalLM"]).assumes
    assert any("DeepseekV41ForCausalLM" in note and note.startswith("warning") for note in warned)
    assert not any(note.startswith("warning") for note in llama(architectures=["LlamaForCausalLM"]).assumes)
    for name in names():
        assert not any("no class of model_type" in note for note in load_preset(name).assumes)


def test_minimaxs_list_of_attention_types() -> None:
    """MiniMax-01: seven lightning layers to one of softmax attention (MiniMax 2025, arXiv:2501.08313, sec. 2.2)."""
    sizes = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100}
    base = {"model_type": "minimax", "num_hidden_layers": 8, "head_dim": 16, "num_local_experts": 4, **sizes}
    spec = from_data(base | {"attn_type_list": [0] * 7 + [1]}, "minimax")
    assert {layers.mixer.type: layers.repeat for layers in spec.groups if layers.mixer} == {"lightning": 7, "attention": 1}


def test_a_changed_model_keeps_its_format() -> None:
    spec = load_preset("gpt-oss-20b")
    assert replace(spec, context=1).stored == spec.stored
    assert data("params", "gpt-oss-20b", "--layers", "12")["result"]["dtype"] == "mxfp4"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")


V4 = {
    "model_type": "deepseek_v4",
    "hidden_size": 7168,
    "num_hidden_layers": 62,  # the layer for multi-token prediction, which has a window as the last one has, is counted as one
    "compress_ratios": [128, 128, *(29 * [4, 128]), 4, 0],
    **{"num_attention_heads": 128, "head_dim": 512, "q_lora_rank": 1536, "o_lora_rank": 1024, "o_groups": 16},
    **{"sliding_window": 128, "index_n_heads": 64, "index_head_dim": 128, "index_topk": 1024, "hc_mult": 4, "vocab_size": 129280},
    **{"n_routed_experts": 384, "num_experts_per_tok": 6, "moe_intermediate_size": 3072},
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128], "scale_fmt": "ue8m0"},
}
"""What config.json of deepseek-ai/DeepSeek-V4-Pro says."""


@pytest.mark.parametrize("inside", [False, True])
def test_experts_in_fp4_beside_fp8(inside: bool) -> None:
    """The hub lists 786,381,668,352 bytes of I8, two numbers of E2M1 in each, and 49,150,268,416 scales of E8M0, which are one
    for every 32 of those, and one for each block of 128 x 128 of all else in FP8 (safetensors of deepseek-ai/DeepSeek-V4-Pro).
    Two more matrices of the layer that predicts tokens, 7,168 x 7,168 each, have 2 · 56 · 56 blocks. Its files take 864.7 GB.
    """
    named = {"expert_dtype": "fp4"}
    config = V4 | ({"quantization_config": V4["quantization_config"] | named} if inside else named)  # type: ignore[operator]
    found = quant.weights(from_data(config, "v4"), "released")
    assert found.by_dtype["MXFP4"]["elements"] == 2 * 786_381_668_352
    assert found.scale_bytes == 49_150_268_416 - 2 * 56 * 56
    assert abs(found.bytes / 1e9 - 864.7) < 0.001 * 864.7
    whole = quant.weights(from_data(V4 | {"expert_dtype": "fp8"}, "v4"), "released")
    assert whole.format == "fp8_block" and whole.bytes > 1.8 * found.bytes
    other = from_data(V4 | {"expert_dtype": "int3"}, "v4").stored
    assert other is not None and other.unsized == "experts in 'int3'"


def test_what_a_compressed_cache_takes() -> None:
    """A token of DeepSeek-V4-Pro: in 30 layers a quarter of an entry of 512 numbers and of the indexer's 128, in 31 an entry of
    512 for 128 tokens. At 2^20 tokens published as 9.62 GiB in bf16 ("DeepSeek V4", AINews of 2026-04-25).
    """
    spec = from_data(V4 | {"num_hidden_layers": 61}, "v4")
    found = memory(spec, 1, 2**20)
    assert found.kv_bytes_per_token == 2 * (30 * (512 + 128) // 4 + 31 * 512 // 128)
    parts = {part.part: part.bytes for part in found.parts}
    assert round(parts["kv_cache"] / 2**30, 2) == 9.62
    assert parts["workspace"] < 3e9  # nothing of a size of tokens times entries is written out
