"""What vLLM's encoders of pictures hold when it starts, beside vLLM itself and what it logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmcx.catalog.load import from_data
from llmcx.engines.vllm_pictures import THIRD, Pictures, tried
from llmcx.model.spec import ModelSpec

GIB = 2**30
GOLDEN = json.loads((Path(__file__).parent / "oracle" / "vllm_towers.json").read_text(encoding="utf-8"))
WIDTHS = {"Qwen3-VL-4B": (1024, 2560), "Qwen3-VL-30B-A3B": (1152, 2048), "Qwen3-VL-235B-A22B": (1152, 4096)}


def qwen3_vl(d_model: int = 2048) -> ModelSpec:
    """Qwen3-VL-30B-A3B as its config.json and preprocessor_config.json say."""
    text = {"model_type": "qwen3_vl_moe_text", "hidden_size": d_model, "num_hidden_layers": 48, "num_attention_heads": 32}
    text |= {"num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768}
    text |= {"num_experts": 128, "num_experts_per_tok": 8, "decoder_sparse_step": 1, "mlp_only_layers": [], "vocab_size": 151936}
    text |= {"norm_topk_prob": True, "max_position_embeddings": 262144}
    vision = {"model_type": "qwen3_vl_moe", "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16}
    vision |= {"out_hidden_size": d_model, "deepstack_visual_indexes": [8, 16, 24], "patch_size": 16, "spatial_merge_size": 2}
    vision |= {"temporal_patch_size": 2, "in_channels": 3, "num_position_embeddings": 2304, "hidden_act": "gelu_pytorch_tanh"}
    sees = {
        "size": {"longest_edge": 16777216, "shortest_edge": 65536},
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    data = {"model_type": "qwen3_vl_moe", "text_config": text, "vision_config": vision, "tie_word_embeddings": False}
    return from_data(data | {"preprocessor_config": sees}, "Qwen3-VL-30B-A3B")


def test_peaks_as_vllm_has_them() -> None:
    """All 27 rows; the tables of turned positions are not counted, and are most of what is missing of small pictures."""
    assert GOLDEN["versions"]["vllm"].startswith("0.32")
    for row in GOLDEN["rows"]:
        width, d_model = WIDTHS[row["model"]]
        of = Pictures(row["patches"], 3 * 2 * 16**2, row["patches"] // 4, row["patches"] // 4, width, d_model, 3, THIRD)
        assert of.kept == row["out"]
        assert of.peak(row["tp"]) == pytest.approx(row["peak"], rel=0.01 if row["patches"] == 65536 else 0.03)


def test_what_is_looked_at() -> None:
    """vLLM 0.11.0 logged of Qwen3-VL-30B-A3B "a budget of 153600 tokens", and one video; later versions look at an image of 4,096
    by 4,096 pixels, and where only videos may be shown at one of 24,576 times 1,024 pixels in two frames a patch.
    """
    spec = qwen3_vl()
    early, late = tried(spec, 65536, 2048, version=(0, 11)), tried(spec, 65536, 2048, version=(0, 19))
    assert early is not None and late is not None
    assert (early.patches, early.stored) == (24576 * 1024 // 512, 153_600)
    assert (late.patches, late.tokens, late.stored) == (256 * 256, 128 * 128, 128 * 128)
    video, still = tried(spec, 65536, 2048, images=False), tried(spec, 65536, 2048, videos=False, version=(0, 11))
    assert video is not None and still is not None
    assert (video.patches, still.patches) == (early.patches, late.patches)
    more = tried(spec, 65536, 40000)
    assert more is not None and more.patches == 2 * late.patches


def test_what_0_11_kept_while_it_looked() -> None:
    """Two starts of vLLM 0.11.0 with 256 sequences at once, whose sampler takes 38.4 B of each of 151,936 logits. Four RTX 3090s
    at 90% of 23.57 GiB, Qwen3-VL-30B-A3B (a log on GitHub of 10-06): 14.77 GiB of weights, 2.31 for the cache, so 4.13 besides,
    0.23 outside of torch. Eight A100s, 79.25 GiB, Qwen3-VL-235B-A22B-FP8 (QwenLM/Qwen3-VL issue 1684): 35.68 for the
    cache; its weights, 235.1 billion parameters in a byte, scales, tables and the encoder in two, are 28.1, and 1.4 outside.
    """
    sampler = 256 * 151936 * 38.4 / GIB
    small, large = (tried(qwen3_vl(d), 65536, 2048, version=(0, 11)) for d in (2048, 4096))
    assert small is not None and large is not None
    assert small.kept / GIB + sampler == pytest.approx(0.9 * 23.57 - 14.77 - 2.31 - 0.23, rel=0.05)
    assert large.kept / GIB + sampler == pytest.approx(0.9 * 79.25 - 28.1 - 35.68 - 1.4, rel=0.05)
