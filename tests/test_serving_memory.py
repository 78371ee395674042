"""What runtimes reserve for the cache, and the inverse questions, against published figures and hand calculations."""

from __future__ import annotations

from typing import Any

import pytest

import llmcx
from llmcx.answers.fit import fitted
from llmcx.answers.memory import kv_bytes_per_token, memory
from llmcx.catalog.load import load_preset
from llmcx.engines import engine
from llmcx.engines.recipe import Recipe
from llmcx.errors import InputError
from llmcx.huggingface import from_config
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

GIB = 2**30


def gpt_oss(layers: int, experts: int) -> ModelSpec:
    """gpt-oss-20b and -120b: 64 heads, 8 key-value heads of 64, a window of 128 in every other layer (arXiv:2508.10925)."""
    config = {"model_type": "gpt_oss", "num_hidden_layers": layers, "num_local_experts": experts, "sliding_window": 128}
    sizes = {"hidden_size": 2880, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2880}
    return from_config({**config, **sizes, "num_experts_per_tok": 4, "vocab_size": 201088}, "config.json")


def cache(spec: ModelSpec, seq: int, batch: int, runtime: str) -> int:
    parts = memory(spec, batch, seq, engine=engine(runtime)).parts
    return sum(part.bytes for part in parts if part.part == "kv_cache")


def test_llama_2_70b_per_token() -> None:
    """80 layers x 2 x 8 heads x 128 x 2 B = 320 KiB (Touvron et al. 2023, arXiv:2307.09288, Table 1)."""
    assert kv_bytes_per_token(load_preset("llama-2-70b"), "bf16") == 320 * 1024


def test_deepseek_v3_latents_per_token() -> None:
    """61 layers x (512 + 64) x 2 B = 70,272 B = 68.6 KiB (arXiv:2412.19437, sec. 4.2)."""
    assert kv_bytes_per_token(from_config({"model_type": "deepseek_v3"}, "config.json"), "bf16") == 70_272


def test_gpt_oss_120b_under_vllm() -> None:
    """vLLM's own log: 5.38 GiB = 78,384 tokens (hf-mem issue 60), which were blocks x 16 / 2 groups then, of 18 layers each:
    4,899 blocks for each. A request of so many tokens takes as many in the full layers; in those with a window of 128, as many as
    two steps of 8,192 tokens and 127 more fill, and one.
    """
    block = 18 * 16 * 2 * 8 * 64 * 2
    assert pytest.approx(5.38, abs=0.005) == 2 * 4899 * block / GIB
    assert cache(gpt_oss(36, 128), 78_384, 1, "vllm") == (4899 + 1032 + 1) * block


def test_gpt_oss_20b_reserved_and_needed() -> None:
    """8,192 tokens, batch 32, bf16: 12.00 GiB reserved by vLLM, 6.09 GiB with the window honoured (hf-mem pull request 70). A
    windowed layer has a block more, for a window need not begin with one.
    """
    spec = gpt_oss(24, 32)
    assert cache(spec, 8192, 32, "vllm") / GIB == pytest.approx(12.00 * (1 + 1 / 1024), abs=0.005)
    assert cache(spec, 8192, 32, "ideal") / GIB == pytest.approx(6.09, abs=0.005)


def test_gemma_3_27b_at_128k() -> None:
    """62 layers of 16 key-value heads of 128, 10 of them without the window of 1024, bf16, by hand: 11.17 GB where the window is
    honoured; vLLM has groups of 10 layers, six with windows: 8,192 blocks, and six times those of 1,023 + 2 x 8,192 tokens and
    one. (A tool's 12.68 and 2.20 GB for this model could not be traced to its shape.)
    """
    spec, layer = load_preset("gemma-3-27b"), 2 * 16 * 128 * 2
    assert cache(spec, 131_072, 1, "vllm") == (8192 + 6 * (1088 + 1)) * 10 * 16 * layer
    assert cache(spec, 131_072, 1, "ideal") == (10 * 131_072 + 52 * 1024) * layer


@pytest.mark.parametrize(
    ("runtime", "per_layer"),
    [
        ("ideal", {"windowed": 128, "full": 5000}),
        ("transformers", {"windowed": 127, "full": 5000}),
        ("vllm", {"windowed": 5024, "full": 5008}),  # 313 blocks of 16, with a window one more
        ("llama.cpp", {"windowed": 768, "full": 5120}),  # 128 + 512, and 5000, in 256s
    ],
)
def test_tokens_per_layer(runtime: str, per_layer: dict[str, int]) -> None:
    """12 windowed and 12 full layers, each 2 x 8 x 64 numbers a token."""
    by_hand = 12 * (per_layer["windowed"] + per_layer["full"]) * 2 * 8 * 64 * 2
    assert cache(gpt_oss(24, 32), 5000, 1, runtime) == by_hand


def test_transformers_cache_as_measured() -> None:
    """A real DynamicCache of a tiny Gemma 3 (window 7, layers: windowed, full, windowed; 2 heads of 20) after 30 tokens: key
    tensors of (2, 2, 6, 20), (2, 2, 30, 20), (2, 2, 6, 20), seen with transformers 5.23.
    """
    config = {"model_type": "gemma3_text", "hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 20}
    config |= {"num_hidden_layers": 3, "sliding_window": 7, "vocab_size": 101, "intermediate_size": 76}
    config |= {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
    spec = from_config(config, "config.json")
    assert cache(spec, 30, 2, "transformers") == 2 * 2 * 2 * 20 * (6 + 30 + 6) * 2


def test_a_window_model_without_full_layers_is_bounded_in_vllm() -> None:
    """4,095 tokens and those of two steps, in blocks of 16, and one block."""
    spec = from_config({"model_type": "mistral", "sliding_window": 4096}, "config.json")
    assert cache(spec, 32_768, 1, "vllm") == (1280 + 1) * 16 * 2 * 8 * 128 * 2 * 32


@pytest.mark.parametrize("what", ["batch", "seq"])
def test_the_largest_fits_and_one_more_does_not(what: str) -> None:
    spec, budget = load_preset("llama-3-8b"), 40 * 10**9
    asked = {"batch": 1, "seq": 2048, "dtype": "bf16", "layout": Layout()}
    result, made = fitted(what, spec, budget, asked, {"train": False})
    assert result.total_bytes <= budget
    if result.fit.next is None:
        assert made["seq"] == spec.context
        return
    more = memory(spec, **{**made, what: made[what] + 1})
    assert more.total_bytes == result.fit.next_bytes > budget


def test_gpus_and_dtype() -> None:
    """Llama 3 70B: 141.1 GB of bf16 weights need two 80 GB GPUs, or on one 8.5 bits each, 75.0 GB."""
    spec = load_preset("llama-3-70b")
    asked = {"batch": 1, "seq": 2048, "dtype": "bf16", "layout": Layout()}
    result, made = fitted("gpus", spec, 80 * 10**9, asked, {"train": False})
    assert (result.fit.value, result.fit.next, made["layout"].tp) == (2, 1, 2)
    result, made = fitted("dtype", spec, 80 * 10**9, asked, {"train": False})
    assert (made["dtype"], result.fit.next) == ("q8_0", "bf16")


def test_what_cannot_fit_is_refused() -> None:
    asked = {"batch": 1, "seq": 64, "dtype": "bf16", "layout": Layout()}
    with pytest.raises(InputError, match="not even batch 1"):
        fitted("batch", load_preset("gpt3"), 10**9, asked, {"train": False})
    with pytest.raises(InputError, match="ZeRO"):
        fitted("gpus", load_preset("gpt3"), 10**9, asked, {"train": True, "recipe": Recipe()})


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm", "ideal"])
def test_groups_that_attend_apart_share_out_the_sequences(engine: str) -> None:
    """DeepSeek-V3 keeps 576 numbers a token in each of 61 layers, whole on every GPU that attends for a sequence: of 2,048 tokens
    in a byte each, 71,958,528 bytes; of eight GPUs that attend for an eighth of the sequences each, an eighth of that on average.
    """
    asked: dict[str, Any] = {"hardware": "8xb200", "tp": 8, "ep": 8, "engine": engine, "dtype": "nvfp4", "kv_dtype": "fp8"}
    whole, apart = (llmcx.serve("deepseek-v3", batch=8, prompt=1024, output=1024, attention_dp=n, **asked) for n in (1, 8))
    assert whole.cache_bytes_per_sequence == 576 * 61 * 2048 == 8 * apart.cache_bytes_per_sequence
    # all of attention, in 16 bits, for an eighth of what is divided by heads: 7168 × (1536 + 576) stands on each GPU anyway
    divided = 61 * (1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168)
    more = apart.weight_bytes_per_gpu - whole.weight_bytes_per_gpu
    assert more == pytest.approx(2 * divided * 7 / 8, rel=0.001)
    assert apart.largest_batch > 4 * whole.largest_batch
