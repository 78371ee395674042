"""What a run of a multimodal model is given beside its tokens: random images, as its processor would hand them over."""

from __future__ import annotations

from typing import Any

import torch

Json = dict[str, Any]
FLAT = ("cosmos3", "dots3_note", "qwen", "glm", "hyperclovax", "lfm3_vl", "minimax_m3_vl", "muse_")
"""Families that take all patches of all images in one row, and the shape of each image in patches."""


def pictured(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """The inputs of ``images`` in each sequence, of ``grid`` patches each, whose tokens take the place of the first ``ids``."""
    name = config.model_type
    vision = config.encoder.vision_config if name == "t5gemma2" else getattr(config, "vision_config", config)
    rows, columns = case["grid"]
    many = case["batch"] * case["images"]
    size = vision.patch_size
    size = size[0] if isinstance(size, (list, tuple)) else size
    channels = next((getattr(vision, key) for key in ("in_channels", "num_channels") if hasattr(vision, key)), 3)
    token = next(
        getattr(config, key) for key in ("image_token_id", "image_token_index") if getattr(config, key, None) is not None
    )
    tokens = case["image_tokens"]
    for image in range(case["images"]):  # a token of text before each
        ids[:, 1 + image * (tokens + 1) : (image + 1) * (tokens + 1)] = token

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    given: Json = {"input_ids": ids}
    if name.startswith(FLAT):
        keys = ("temporal_patch_size", "patch_temporal")
        frames = next((getattr(vision, key) for key in keys if hasattr(vision, key)), 1)
        width = channels * frames * size * size
        given |= {"pixel_values": noise(many * rows * columns, width)}
        given |= {"image_grid_thw": torch.tensor([[1, rows, columns]] * many)}
        given |= {"mm_token_type_ids": (ids == token).int()}
        return given
    if name.startswith("inkling_mm"):
        given |= {"pixel_values": noise(many * rows * columns, vision.temporal_patch_size, size, size, channels)}
        return given
    if name == "neomme":
        return given | {"pixel_values": noise(many * rows * columns, 3 * size * size)}
    if name == "inkling2":  # squares of patches
        merge = vision.spatial_merge_size
        given |= {"pixel_values": noise(many * rows * columns // merge**2, merge * size, merge * size, channels)}
        given |= {"image_grid_thw": torch.tensor([[1, rows // merge, columns // merge]] * many)}
        return given
    if name == "florence2":
        size = vision.patch_stride[0]
    if name == "gemma4_unified":
        rows, columns, size = rows // vision.pooling_kernel_size, columns // vision.pooling_kernel_size, vision.model_patch_size
    if name.startswith("gemma4"):
        places = torch.stack(torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy"), -1).reshape(1, -1, 2)
        given |= {"pixel_values": noise(many, rows * columns, channels * size * size)}
        given |= {"image_position_ids": places.repeat(many, 1, 1), "mm_token_type_ids": (ids == token).int()}
        return given
    if name == "lfm2_vl":
        given |= {"pixel_values": noise(many, rows * columns, channels * size * size)}
        given |= {"spatial_shapes": torch.tensor([[rows, columns]] * many)}
        given |= {"pixel_attention_mask": torch.ones(many, rows * columns, dtype=torch.long)}
        return given
    if name.startswith("minicpm"):  # each patch's rows side by side
        given |= {"pixel_values": noise(1, channels, size, many * rows * columns * size)}
        given |= {"target_sizes": torch.tensor([[rows, columns]] * many, dtype=torch.int32)}
        return given
    if name == "kimi_k25":
        given |= {"pixel_values": noise(many * rows * columns, channels, size, size)}
        given |= {"image_grid_thw": torch.tensor([[1, rows, columns]] * many)}
        return given
    pixels = noise(many, channels, rows * size, columns * size)
    if name in ("idefics2", "idefics3", "smolvlm", "granite_docling", "modernvbert", "ultravbert"):
        pixels = pixels.reshape(case["batch"], case["images"], *pixels.shape[1:])
    given |= {"pixel_values": pixels}
    if name == "granite_docling":
        given |= {"pixel_attention_mask": torch.ones(case["batch"], case["images"], dtype=torch.bool)}
    if name in ("mistral3", "mistral_large4", "lighton_ocr"):
        given |= {"image_sizes": torch.tensor([[rows * size, columns * size]] * many)}
    return given
