"""Weights in quantised formats: published bits per weight and file sizes, and hand sums."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmcx.answers.memory import memory
from llmcx.catalog.load import load_preset
from llmcx.errors import InputError
from llmcx.formats import dtypes, gguf, quant
from llmcx.huggingface import from_config
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

from .helpers import data, here


def spec_of(config: dict[str, Any], name: str = "model") -> ModelSpec:
    return from_config(config, f"{name}.json")


# --- published -------------------------------------------------------------------------------------------------------

PUBLISHED = """
IQ1_S 2.0042, IQ1_M 2.1460, IQ2_XXS 2.3824, IQ2_XS 2.5882, IQ2_S 2.7403, IQ2_M 2.9294, IQ3_XXS 3.2548, IQ3_XS 3.4977,
IQ3_S 3.6606, IQ3_M 3.7628, IQ4_XS 4.4597, IQ4_NL 4.6818, Q2_K_S 2.9697, Q2_K 3.1593, Q3_K_S 3.6429, Q3_K_M 3.9960,
Q3_K_L 4.2979, Q4_K_S 4.6672, Q4_K_M 4.8944, Q5_K_S 5.5704, Q5_K_M 5.7036, Q6_K 6.5633, Q8_0 8.5008
"""
"""Bits per weight of Llama-3.1-8B: the tables in tools/quantize/README.md of ggml-org/llama.cpp."""


@pytest.mark.parametrize(("mix", "bits"), [row.split() for row in PUBLISHED.split(",")])
def test_bits_per_weight_as_llama_cpp_publishes_them(mix: str, bits: str) -> None:
    """To the four digits that are printed."""
    assert round(quant.weights(load_preset("llama-3.1-8b"), mix).bits_per_weight, 4) == float(bits)


@pytest.mark.parametrize(
    ("mix", "size"), [("q4_k_m", 4_081_004_224), ("q5_k_m", 4_783_156_928), ("q6_k", 5_529_194_176), ("q8_0", 7_161_089_728)]
)
def test_released_gguf_files(mix: str, size: int) -> None:
    """llama-2-7b-chat.*.gguf of TheBloke/Llama-2-7B-Chat-GGUF. What is not tensors, the header with its vocabulary and the
    padding, is the same 741,056 bytes in all four files.
    """
    assert size - quant.weights(load_preset("llama-2-7b"), mix).bytes == 741_056


@pytest.mark.parametrize(("size", "gib"), [("20b", 12.8), ("120b", 60.8)])
def test_gpt_oss_checkpoints(size: str, gib: float) -> None:
    """Table 1 of the gpt-oss model card (OpenAI 2025, arXiv:2508.10925): the experts in MXFP4, the rest in BF16."""
    assert round(quant.weights(load_preset(f"gpt-oss-{size}"), "mxfp4").bytes / 2**30, 1) == gib


# --- by hand -----------------------------------------------------------------------------------------------------------


def nbytes(*tensors: tuple[int, int, int]) -> int:
    """Rows x columns x bytes per element, summed."""
    return sum(rows * columns * size for rows, columns, size in tensors)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        # qweight int32 (1376, 4096), qzeros int32 (86, 512), scales fp16 (86, 4096), g_idx int32 (11008,)
        ("gptq", {}, nbytes((1376, 4096, 4), (86, 512, 4), (86, 4096, 2), (1, 11008, 4))),
        # 8 bits: qweight (2752, 4096); groups of 32: qzeros (344, 1024), scales (344, 4096)
        ("gptq", {"bits": 8, "group": 32}, nbytes((2752, 4096, 4), (344, 1024, 4), (344, 4096, 2), (1, 11008, 4))),
        # 3 bits: qweight (1032, 4096), qzeros (86, 384)
        ("gptq", {"bits": 3}, nbytes((1032, 4096, 4), (86, 384, 4), (86, 4096, 2), (1, 11008, 4))),
        # one group: qzeros (1, 512), scales (1, 4096)
        ("gptq", {"group": -1}, nbytes((1376, 4096, 4), (1, 512, 4), (1, 4096, 2), (1, 11008, 4))),
        # qweight int32 (11008, 512), qzeros int32 (86, 512), scales fp16 (86, 4096)
        ("awq", {}, nbytes((11008, 512, 4), (86, 512, 4), (86, 4096, 2))),
        # weight (4096, 11008), weight_scale_inv fp32 (32, 86)
        ("fp8_block", {}, nbytes((4096, 11008, 1), (32, 86, 4))),
        ("fp8_tensor", {}, nbytes((4096, 11008, 1), (1, 1, 4))),
        # weight_packed uint8 (4096, 5504), weight_scale E8M0 (4096, 344)
        ("mxfp4", {}, nbytes((4096, 5504, 1), (4096, 344, 1))),
        # weight_packed uint8 (4096, 5504), weight_scale E4M3 (4096, 688), weight_global_scale fp32
        ("nvfp4", {}, nbytes((4096, 5504, 1), (4096, 688, 1), (1, 1, 4))),
    ],
)
def test_one_matrix(name: str, settings: dict[str, int], expected: int) -> None:
    """Llama-2-7B's down projection, 11008 -> 4096: the shapes of the tensors as each library's source makes them."""
    assert sum(quant.SCHEMES[name].sizes(11008, 4096, **settings)) == expected


def test_a_whole_model_in_awq_by_hand() -> None:
    """Llama-2-7B: 32 layers of 4 matrices 4096 x 4096, 2 of 4096 -> 11008, 1 of 11008 -> 4096; the rest in fp16."""

    def matrix(d_in: int, d_out: int) -> int:
        return nbytes((d_in, d_out // 8, 4), (d_in // 128, d_out // 8, 4), (d_in // 128, d_out, 2))

    layer = 4 * matrix(4096, 4096) + 2 * matrix(4096, 11008) + matrix(11008, 4096)
    rest = 2 * (2 * 32000 * 4096 + 65 * 4096)
    found = quant.weights(load_preset("llama-2-7b"), "awq")
    assert (found.bytes, found.unquantized_bytes) == (32 * layer + rest, rest)
    assert found.quantized_bytes == (6_738_415_616 - rest // 2) // 2
    assert found.bits_per_weight == pytest.approx(8 * found.bytes / 6_738_415_616, rel=1e-12)


def test_deepseek_v3_as_released() -> None:
    """The safetensors files of deepseek-ai/DeepSeek-V3 hold 688,586,727,753 bytes in all: FP8 in blocks of 128 x 128; token
    table, head, norms and router in BF16; and beside the 61 layers a 62nd for multi-token prediction, with a token table and a
    head of its own, three norms and a BF16 projection from 2 d to d. What is left for the headers of 163 files is 0.002 percent.
    """
    config = {"model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"]}
    main = quant.weights(spec_of(config), "fp8_block").bytes
    more = quant.weights(spec_of(config | {"num_hidden_layers": 62}), "fp8_block").bytes
    d, vocab = 7168, 129280
    mtp = (more - main) + 2 * (2 * vocab * d + 2 * d * d + 3 * d)
    assert 0 < 688_586_727_753 - main - mtp < 20_000_000


# --- laws and refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", quant.names())
@pytest.mark.parametrize("model", ["llama-2-7b", "llama-3-70b", "mixtral-8x7b", "gpt2-xl"])
def test_parts_add_up(model: str, text: str) -> None:
    spec = load_preset(model)
    try:
        found = quant.weights(spec, text)
    except InputError:
        assert model in ("mixtral-8x7b", "gpt2-xl")
        return
    assert found.bytes == found.quantized_bytes + found.scale_bytes + found.unquantized_bytes
    assert found.bytes == sum(row["bytes"] for row in found.by_dtype.values())
    assert sum(row["elements"] for row in found.by_dtype.values()) == data("params", model)["result"]["total"]


def test_cost_does_not_grow_with_layers() -> None:
    """10^12 layers in closed form: the share of layers with more bits is 1/8 + 1/8 + 3/4/3 = 1/2."""
    found = quant.weights(spec_of({"model_type": "llama", "num_hidden_layers": 10**12}), "q4_k_m")  # else Llama 7B
    down, v = 11008 * 4096, 4096 * 4096
    assert found.by_dtype["Q6_K"]["elements"] == pytest.approx(10**12 * (down + v) / 2, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 13, 16, 26, 32, 33, 80, 126])
@pytest.mark.parametrize(("first", "step"), [(0, 1), (3, 1), (1, 2)])
def test_types_are_counted_as_layer_by_layer(n: int, first: int, step: int) -> None:
    """In closed form and against the definition."""

    def choice(i: int) -> str:
        more = i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2
        return f"{i < 2}{i < 4}{i < n // 16}{i < n // 8}{n // 8 <= i < 7 * n // 8}{more}"

    assert gguf.spread(choice, n, first, step, n) == Counter(choice(first + step * k) for k in range(n))
    assert all(gguf.more_bits(i, n) == choice(i).endswith("True") for i in range(n))


# --- llama.cpp itself, asked by tests/oracle/gguf.py ----------------------------------------------------------------------------

ORACLE = json.loads((Path(__file__).parent / "oracle" / "gguf.json").read_text())
CASES = {name: case for name, case in ORACLE["cases"].items() if "types" in case}


@pytest.mark.parametrize("name", CASES)
def test_every_type_as_llama_cpp_chooses_it(name: str) -> None:
    """The elements of each type, in each mixture, of a model of each family that its converter knows."""
    spec = spec_of(CASES[name]["config"])
    for mix, types in CASES[name]["types"].items():
        if name.startswith(("t5/", "mt5/", "umt5/")) and mix not in quant.UNIFORM:
            with pytest.raises(InputError, match="encoder-decoder"):
                quant.weights(spec, mix)
        elif not name.startswith(("t5/", "mt5/", "umt5/")):
            found = quant.weights(spec, mix).by_dtype
            assert {kind: row["elements"] for kind, row in found.items()} == types, mix


@pytest.mark.parametrize("name", [name for name, case in ORACLE["cases"].items() if "unknown" in case])
def test_what_llama_cpp_does_not_convert_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="converter has no"):
        quant.weights(spec_of(ORACLE["cases"][name]["config"]), "q4_k_m")


@pytest.mark.parametrize("layout", [{"tp": 2}, {"pp": 2}, {"tp": 2, "pp": 2}])
@pytest.mark.parametrize("model", ["llama-3.1-8b", "mixtral-8x7b"])
def test_on_several_gpus(model: str, layout: dict[str, int]) -> None:
    """Shares of the same types: together at least the whole, and at most what each GPU has for itself more (norms, routers)."""
    spec, gpus = load_preset(model), Layout(**layout)
    whole = quant.weights(spec, "q4_k_m").bytes
    parts = memory(spec, 1, 1024, dtype="q4_k_m", layout=gpus).parts
    fullest = next(part.bytes for part in parts if part.part == "weights")
    assert whole / gpus.gpus <= fullest < 1.1 * whole / gpus.gpus


def test_in_the_command() -> None:
    """weights in `memory`, beside everything else, and the bits per weight."""
    answer = data("memory", "llama-3.1-8b", "--dtype", "q4_k_m", "--seq", "8k")
    stored, parts = answer["result"]["stored"], {part["part"]: part["bytes"] for part in answer["result"]["parts"]}
    assert parts["weights"] == stored["bytes"] and stored["format"] == "q4_k_m"
    assert round(stored["bits_per_weight"], 4) == 4.8944
    assert answer["result"]["total_bytes"] == sum(parts.values())
    assert answer["inputs"]["dtype"] == "q4_k_m"
    assert data("memory", "llama-3.1-8b", "--dtype", "bf16")["result"]["stored"] is None
    table = here("memory", "llama-3.1-8b", "--dtype", "Q4_K_M", "--explain")
    assert table.code == 0 and "bits per weight" in table.out and "llama-quant.cpp" in table.out


def test_cache_types_are_the_blocks_of_gguf() -> None:
    """They are stated twice, so that a short command need not import gguf."""
    blocks = {name.lower(): (block.elements, block.bytes) for name, block in gguf.BLOCKS.items()}
    assert {name: blocks[name] for name in dtypes.CACHE_BLOCKS} == dtypes.CACHE_BLOCKS


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        # 29,568 / 2 = 14,784 = 115.5 groups; Qwen2.5-72B-Instruct-AWQ and -GPTQ-Int4 have an intermediate_size of 29,696, by
        # llmfit's table of config.json and issue 230 of QwenLM/Qwen3-VL.
        (
            "qwen2.5-72b --tp 2",
            "awq needs a multiple of 128 inputs, and ffn.down of qwen2.5-72b has 14,784 of its 29,568 inputs on each of 2 GPUs;"
            " give --tp 1, another --dtype, or --d-ff 29696 where the files are padded to that",
        ),
        # 768 / 8 = 96; 768 / 2 = 384 = 3 groups, and 768 / 4 = 192 is none
        ("qwen3-30b-a3b --tp 8", "moe.expert.down of qwen3-30b-a3b has 96 of its 768 inputs on each of 8 GPUs; give --tp 2 or"),
        ("smollm2-360m", "attention.q of smollm2-360m has 960 inputs; give another --dtype"),
    ],
)
def test_a_matrix_that_blocks_do_not_divide(asked: str, said: str) -> None:
    end = here("memory", *asked.split(), "--dtype", "awq", "--seq", "4k", "--engine", "vllm")
    assert end.code == 2 and said in end.err and end.err.count("\n") == 1
    if "--d-ff 29696" in said:
        assert here("memory", *asked.split(), "--dtype", "awq", "--seq", "4k", "--engine", "vllm", "--d-ff", "29696").code == 0
