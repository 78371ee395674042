"""What a run of a multimodal model is given beside its tokens: random images, as its processor would hand them over."""

from __future__ import annotations

from typing import Any

import torch

Json = dict[str, Any]
FLAT = ("cosmos3", "dots3_note", "qwen", "glm", "hyperclovax", "lfm3_vl", "minimax_m3_vl", "muse_")
"""Families that take all patches of all images in one row, and the shape of each image in patches."""


def marked(case: Json, ids: torch.Tensor, token: int) -> torch.Tensor:
    """Put the tokens of images among ``ids``, a token of text before each; where they stand."""
    tokens = case["image_tokens"]
    for image in range(case["images"]):
        ids[:, 1 + image * (tokens + 1) : (image + 1) * (tokens + 1)] = token
    return ids == token


def pixels(vision: Any, case: Json, draw: torch.Generator) -> torch.Tensor:
    """Each image's patches where they stand."""
    rows, columns = case["grid"]
    shape = (
        case["batch"] * case["images"],
        getattr(vision, "num_channels", 3),
        rows * vision.patch_size,
        columns * vision.patch_size,
    )
    return torch.randn(*shape, generator=draw)


def flattened(vision: Any, case: Json, draw: torch.Generator) -> torch.Tensor:
    """Each patch's row, column and numbers."""
    rows, columns = case["grid"]
    many = case["batch"] * case["images"]
    places = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), -1).reshape(1, -1, 2)
    noise = torch.randn(many, rows * columns, vision.patch_embed_hidden_size, generator=draw)
    return torch.cat((places.repeat(many, 1, 1).float() + 1, noise), -1)


def beside(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """An image that no token stands for."""
    return {"input_ids": ids, "pixel_values": pixels(config.vision_config, case, draw)}


def before(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """An image whose tokens stand before the text; of several, as frames of a video."""
    seen = pixels(config.vision_config, case, draw)
    if config.num_image_with_embedding is not None:
        seen = seen.reshape(case["batch"], case["images"], *seen.shape[1:])
    return {"input_ids": ids[:, case["images"] * case["image_tokens"] :], "pixel_values": seen}


def kosmos(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """Where an image stands is said beside the tokens."""
    given = {"image_embeds_position_mask": marked(case, ids, 3).long(), "input_ids": ids}
    if config.model_type == "kosmos-2":
        return given | {"pixel_values": pixels(config.vision_config, case, draw)}
    return given | {"flattened_patches": flattened(config.vision_config, case, draw)}


def written(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """The text that is written of an image."""
    return {"decoder_input_ids": ids, "flattened_patches": flattened(config.vision_config, case, draw)}


def pictured_and_written(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """The same of an image in pixels."""
    return {"decoder_input_ids": ids, "pixel_values": pixels(config.encoder, case, draw)}


def page(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """A page's words, each in a box, and its picture, where the run has one."""
    ids = ids[:, case["images"] * case["image_tokens"] :]
    given = {"input_ids": ids, "bbox": torch.rand(*ids.shape, 4, generator=draw)}
    return given | ({"pixel_values": pixels(config, case, draw)} if case["images"] else {})


def attended(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """Images that every token meets."""
    seen = pixels(config.vision_config, case, draw)
    seen = seen.reshape(case["batch"], case["images"], *seen.shape[1:])
    return {
        "input_ids": ids,
        "pixel_values": seen,
        "image_attention_mask": torch.ones(*ids.shape, case["images"], dtype=torch.long),
    }


def folded(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """A protein, and a text of it as long as a decoder's would be."""
    proteins = torch.randint(5, config.protein_encoder_config.vocab_size, ids.shape, generator=draw)
    text = ids[:, : case["decoder_seq"]]
    masks = {"attention_mask": torch.ones_like(text), "protein_attention_mask": torch.ones_like(proteins)}
    return {"input_ids": text, "protein_input_ids": proteins} | masks


def acted(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """What a robot sees, is told, and has done."""
    vlm, batch = config.vlm_config, case["batch"]
    marked(case, ids, vlm.image_token_id)
    seen = pixels(vlm.vision_config, case, draw)
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    given |= {"pixel_values": seen.reshape(batch, case["images"], *seen.shape[1:])}
    given |= {"pixel_attention_mask": torch.ones(batch, case["images"], dtype=torch.bool)}
    noise = torch.randn(batch, config.chunk_size, config.max_action_dim, generator=draw)
    return given | {
        "state": torch.randn(batch, config.max_state_dim, generator=draw),
        "noise": noise,
        "timestep": torch.rand(batch),
    }


def read_off(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """A formula that is written of an image."""
    return {"decoder_input_ids": ids, "pixel_values": pixels(config.vision_config, case, draw)}


def instructed(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """An image, or a video of as many frames, and no instruction."""
    video = config.model_type == "instructblipvideo"
    marked(case, ids, config.video_token_index if video else config.image_token_index)
    seen = pixels(config.vision_config, case, draw)
    seen = seen.reshape(case["batch"], case["images"], *seen.shape[1:]) if video else seen
    return {"input_ids": ids, "pixel_values": seen, "qformer_input_ids": ids[:, :0]}


OWN = {
    "instructblip": instructed,
    "instructblipvideo": instructed,
    "pp_formulanet": read_off,
    "evolla": folded,
    "pi0": acted,
    "idefics": attended,
    "udop": page,
    "vision-encoder-decoder": pictured_and_written,
    "blip": beside,
    "git": before,
    "kosmos-2": kosmos,
    "kosmos-2.5": kosmos,
    "pix2struct": written,
}
"""Families that are given something else."""


def pictured(config: Any, case: Json, ids: torch.Tensor, draw: torch.Generator) -> Json:
    """The inputs of ``images`` in each sequence, of ``grid`` patches each, whose tokens take the place of the first ``ids``."""
    name = config.model_type
    if name in OWN:
        return OWN[name](config, case, ids, draw)
    vision = config.encoder.vision_config if name == "t5gemma2" else getattr(config, "vision_config", config)
    rows, columns = case["grid"]
    many = case["batch"] * case["images"]
    size = vision.patch_size
    size = size[0] if isinstance(size, (list, tuple)) else size
    channels = next((getattr(vision, key) for key in ("in_channels", "num_channels") if hasattr(vision, key)), 3)
    token = next(
        getattr(config, key) for key in ("image_token_id", "image_token_index") if getattr(config, key, None) is not None
    )
    marked(case, ids, token)

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
