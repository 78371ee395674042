"""What vLLM's encoders of pictures hold when it starts, beside vLLM itself and what it logged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.catalog.load import from_data
from llmcx.engines.vllm_pictures import INTERN, PIXTRAL, SIGLIP, THIRD, TURNED, Held, Pictures, tried
from llmcx.model.spec import ModelSpec
from tests.helpers import here
from tests.launch_lines import INTERNVL, MISTRAL3, MLLAMA

GIB = 2**30
ORACLE = Path(__file__).parent / "oracle"
GOLDEN = json.loads((ORACLE / "vllm_towers.json").read_text(encoding="utf-8"))
SEEN = json.loads((ORACLE / "vllm_seen.json").read_text(encoding="utf-8"))
TEXT = {"hidden_size": 4096, "num_hidden_layers": 2, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
TEXT |= {"intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072}
SIGLIP_SIZES = {
    "hidden_size": 1152,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "intermediate_size": 4304,
    "patch_size": 14,
}
FACES = {"hidden_size": 1408, "num_hidden_layers": 34, "num_attention_heads": 16, "intermediate_size": 5632, "patch_size": 14}
FACES |= {"image_size": 336, "projector_input_dim": 4096, "projector_output_dim": 4096, "vision_output_dim": 4096}
OTHERS: dict[str, tuple[tuple[Held, ...], int, dict[str, Any]]] = {
    "gemma3": (
        SIGLIP,
        4096,
        {
            "model_type": "gemma3",
            "mm_tokens_per_image": 256,
            "text_config": {**TEXT, "model_type": "gemma3_text"},
            "vision_config": {**SIGLIP_SIZES, "model_type": "siglip_vision_model", "image_size": 896, "vision_use_head": False},
        },
    ),
    "mistral3": (PIXTRAL, 110**2, json.loads(MISTRAL3)),
    "llama4": (
        TURNED,
        17 * 577,
        {
            "model_type": "llama4",
            "vision_config": {**FACES, "pixel_shuffle_ratio": 0.5},
            "text_config": {**TEXT, "model_type": "llama4_text", "intermediate_size_mlp": 8192, "num_local_experts": 16},
            "preprocessor_config": {"max_patches": 16, "size": {"height": 336, "width": 336}},
        },
    ),
    "internvl": (INTERN, 13 * 1025, json.loads(INTERNVL)),
    "idefics3": (
        SIGLIP,
        17 * 676,
        {
            "model_type": "idefics3",
            "scale_factor": 2,
            "vision_config": {**SIGLIP_SIZES, "image_size": 364},
            "text_config": {**TEXT, "model_type": "llama"},
            "preprocessor_config": {"size": {"longest_edge": 1456}, "max_image_size": {"longest_edge": 364}},
        },
    ),
}
"""How each holds its tensors, the patches of its largest image, and its config.json."""
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


@pytest.mark.parametrize("name", OTHERS)
def test_other_encoders_as_vllm_has_them(name: str) -> None:
    """Two images on one, two, four and eight GPUs, and with a wider feed-forward; tables of positions are not counted."""
    held, patches, _ = OTHERS[name]
    assert SEEN["versions"]["vllm"].startswith("0.32")
    rows = SEEN[name]["held"]
    assert {row["tp"] for row in rows} == {1, 2, 4, 8}
    for row in rows:
        tokens = row["out"] // (2 * 4096)
        of = Pictures(2 * patches, 3 * 14**2, tokens, tokens, SEEN[name]["width"], 4096, 0, held, row["inner"])
        assert of.kept == row["out"]
        assert of.peak(row["tp"]) == pytest.approx(row["peak"], rel=0.02)


@pytest.mark.parametrize("name", OTHERS)
def test_how_many_images_vllm_tries(name: str) -> None:
    """As MultiModalBudget answered for the steps, sequences and limits that it was asked for."""
    _, each, data = OTHERS[name]
    spec = from_data(data, name)
    for row in SEEN[name]["asked"]:
        limit = row["limit"] or {}
        of = tried(spec, row["length"], row["step"], limit.get("video", 1) > 0, most=row["sequences"] * limit.get("image", 999))
        assert of is not None
        if row["tried"] == "video":  # one of 512 frames, of which 499 leave room for the text
            assert (name, of.patches, row["shapes"]["pixel_values_videos"][0]) == ("internvl", 512 * 1025, 512)
            continue
        many = row["items"]["image"]
        assert (of.patches, of.tokens) == (many * each, many * row["tokens"]["image"])


def test_steps_are_rounded_up_up_to_0_9() -> None:
    """v1/worker/gpu_model_runner.py of 0.8 and 0.9, profile_run: cdiv(encoder_budget, max_tokens_per_mm_item)."""
    spec = from_data(OTHERS["mistral3"][2], "mistral3")
    early, late = (tried(spec, 4096, 8192, version=version) for version in ((0, 9), (0, 10)))
    assert early is not None and late is not None
    assert (early.patches, late.patches) == (3 * 110**2, 2 * 110**2)


def test_gpus_that_look_apart() -> None:
    """models/vision.py, run_dp_sharded_mrope_vision_model: one image is one GPU's, and all eight keep as much as all sent.
    16,384 tokens, three layers beside what comes out, 4,096 wide.
    """
    spec = qwen3_vl(4096)
    whole, apart = (tried(spec, 65536, 2048, videos=False, apart=apart) for apart in (False, True))
    assert whole is not None and apart is not None and apart.items == 1
    image = 16384 * 4 * 4096 * 2
    assert (whole.stays(8), apart.stays(1), apart.stays(8)) == (image, image, 8 * image)
    assert apart.peak(1) == whole.peak(1) and apart.peak(8) >= 9 * image
    several = tried(spec, 65536, 8 * 16384, videos=False, apart=True)
    assert several is not None and several.items == 8 and several.stays(8) == 8 * image
    before = tried(spec, 65536, 2048, version=(0, 9), apart=True)
    assert before is not None and not before.apart


def test_memory_counts_what_check_does() -> None:
    """Of Mistral Small 3.1 with 0.32 and 0.9 on an H200; of an encoder that is not known both say so."""
    for version in ("0.32", "0.9"):
        line = f"# llmcx check: --engine vllm@{version}\nvllm serve some/model --max-model-len 8192"
        checked = json.loads(here("check", line, "-", "--hardware", "h200", "--json", stdin=MISTRAL3.encode()).out)
        asked = ("memory", "-", "--engine", f"vllm@{version}", "--seq", "8k", "--hardware", "h200", "--json")
        added = json.loads(here(*asked, stdin=MISTRAL3.encode()).out)
        workspace, other = (
            next(part["bytes"] for part in found["result"]["parts"] if part["part"] == "workspace") for found in (checked, added)
        )
        assert workspace == other
    unknown = json.loads(here("memory", "-", "--engine", "vllm", "--seq", "8k", "--json", stdin=MLLAMA.encode()).out)
    assert any("not counted: the memory of the images" in note for note in unknown["notes"])
    assert not any("images that vLLM" in note for note in added["notes"])
