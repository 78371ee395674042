"""What transformers' own processors make of images and sounds, written to images.json: tokens in the text, and the pictures.

    python tests/oracle/images.py

It takes pillow and torchvision beside what the other scripts take. Processors are built from their classes, with no file of any
release: an image processor cuts a random image, and the text's
processor counts the tokens, on a tokenizer that knows one token for each mark.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import WhisperFeatureExtractor
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

Json = dict[str, Any]
SIZES = [(1024, 768), (768, 1024), (224, 224), (64, 64), (1, 1), (40, 1900), (3000, 41), (1920, 1080), (4000, 3000), (333, 777)]
SIZES += [(448, 896), (1500, 500), (10000, 1), (1, 900)]
SECONDS = [0.5, 1, 7.3, 29.99, 30, 30.01, 61, 600]
VIT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
MERGED = {"depth": 2, "num_heads": 2}
SIGLIP = {"model_type": "siglip_vision_model", **VIT}
CLIP = {"model_type": "clip_vision_model", **VIT, "image_size": 336, "patch_size": 14}

FAMILIES: dict[str, tuple[str, Json, Json]] = {
    # name: class of the image processor, what config.json states, what preprocessor_config.json states
    "llava": (
        "clip.CLIPImageProcessor",
        {"vision_config": CLIP},
        {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}},
    ),
    "llava/full": (
        "clip.CLIPImageProcessor",
        {"vision_config": CLIP, "vision_feature_select_strategy": "full"},
        {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}},
    ),
    "llava/pixtral": (
        "pixtral.PixtralImageProcessor",
        {"vision_config": {"model_type": "pixtral", **VIT, "image_size": 1024, "patch_size": 16}},
        {},
    ),
    "paligemma": (
        "siglip.SiglipImageProcessor",
        {"vision_config": {**SIGLIP, "image_size": 448, "patch_size": 14}},
        {"size": {"height": 448, "width": 448}},
    ),
    "gemma3": (
        "gemma3.Gemma3ImageProcessor",
        {"vision_config": {**SIGLIP, "image_size": 896, "patch_size": 14}, "mm_tokens_per_image": 256},
        {"size": {"height": 896, "width": 896}},
    ),
    "qwen2_vl": ("qwen2_vl.Qwen2VLImageProcessor", {"vision_config": {**MERGED, "embed_dim": 32}}, {}),
    "qwen2_5_vl": ("qwen2_vl.Qwen2VLImageProcessor", {"vision_config": MERGED}, {"min_pixels": 3136, "max_pixels": 12845056}),
    "qwen3_vl": (
        "qwen2_vl.Qwen2VLImageProcessor",
        {"vision_config": {**MERGED, "patch_size": 16, "deepstack_visual_indexes": [0]}},
        {"size": {"longest_edge": 16777216, "shortest_edge": 65536}, "patch_size": 16},
    ),
    "glm4v": ("glm4v.Glm4vImageProcessor", {"vision_config": MERGED}, {}),
    "glm46v": (
        "glm46v.Glm46VImageProcessor",
        {"vision_config": MERGED},
        {"size": {"shortest_edge": 12544, "longest_edge": 9633792}},
    ),
    "mistral3": (
        "pixtral.PixtralImageProcessor",
        {"vision_config": {"model_type": "pixtral", **VIT, "image_size": 1540, "patch_size": 14}, "spatial_merge_size": 2},
        {"patch_size": 14, "size": {"longest_edge": 1540}},
    ),
    "mistral_large4": (
        "pixtral.PixtralImageProcessor",
        {"vision_config": {"model_type": "pixtral", **VIT, "image_size": 1540, "patch_size": 14}, "spatial_merge_size": 2},
        {"patch_size": 14, "size": {"longest_edge": 1540}},
    ),
    "glmga": ("glmga.GlmgaImageProcessor", {"vision_config": MERGED}, {}),
    "hyperclovax_vision_v2": ("qwen2_vl.Qwen2VLImageProcessor", {"vision_config": MERGED}, {}),
    "dots3_note": ("qwen2_vl.Qwen2VLImageProcessor", {}, {}),
    "lfm3_vl": (
        "qwen2_vl.Qwen2VLImageProcessor",
        {"vision_config": {**VIT, "num_key_value_heads": 2, "patch_size": 16, "layer_types": ["conv", "full_attention"]}},
        {"patch_size": 16, "min_pixels": 65536, "max_pixels": 2097152},
    ),
    "cosmos3_omni": (
        "qwen2_vl.Qwen2VLImageProcessor",
        {"vision_config": {**MERGED, "patch_size": 16, "deepstack_visual_indexes": [0]}},
        {"size": {"longest_edge": 16777216, "shortest_edge": 65536}, "patch_size": 16},
    ),
    "glm5_next": ("glm5_next.Glm5NextImageProcessor", {"vision_config": MERGED}, {}),
    "glm5_next/900": ("glm5_next.Glm5NextImageProcessor", {"vision_config": MERGED}, {"max_image_tokens": 900}),
    "minimax_m3_vl": ("minimax_m3_vl.MiniMaxM3VLImageProcessor", {"vision_config": {**VIT, "patch_size": 14}}, {}),
    "paddleocr_vl": ("paddleocr_vl.PaddleOCRVLImageProcessor", {"vision_config": {**VIT, "patch_size": 14}}, {}),
    "video_llama_3": ("video_llama_3.VideoLlama3ImageProcessor", {"vision_config": {**VIT, "patch_size": 14}}, {}),
    "cohere_compass": (
        "cohere_compass.CohereCompassImageProcessor",
        {"vision_config": {**MERGED, "patch_size": 16, "deepstack_visual_indexes": [0]}},
        {"patch_size": 16},
    ),
    "modernvbert": (
        "idefics3.Idefics3ImageProcessor",
        {"vision_config": {**SIGLIP, "image_size": 512, "patch_size": 16}, "pixel_shuffle_factor": 4},
        {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}},
    ),
    "idefics2": ("idefics2.Idefics2ImageProcessor", {"vision_config": {**VIT, "image_size": 980, "patch_size": 14}}, {}),
    "idefics2/quarters": (
        "idefics2.Idefics2ImageProcessor",
        {"vision_config": {**VIT, "image_size": 980, "patch_size": 14}},
        {"do_image_splitting": True},
    ),
    "lighton_ocr": (
        "pixtral.PixtralImageProcessor",
        {"vision_config": {"model_type": "pixtral", **VIT, "image_size": 1540, "patch_size": 14}, "spatial_merge_size": 2},
        {"patch_size": 14, "size": {"longest_edge": 1540}},
    ),
    "kimi_k25": ("kimi_k25.Kimi_K25ImageProcessor", {"vision_config": {**VIT, "patch_size": 14}}, {}),
    "gemma4": ("gemma4.Gemma4ImageProcessor", {"vision_config": {**VIT, "num_key_value_heads": 2}}, {}),
    "gemma4/560": ("gemma4.Gemma4ImageProcessor", {"vision_config": {**VIT, "num_key_value_heads": 2}}, {"max_soft_tokens": 560}),
    "internvl": (
        "got_ocr2.GotOcr2ImageProcessor",
        {"vision_config": {**VIT, "image_size": [448, 448], "patch_size": [14, 14]}, "downsample_ratio": 0.5},
        {"size": {"height": 448, "width": 448}},
    ),
    "internvl/6": (
        "got_ocr2.GotOcr2ImageProcessor",
        {"vision_config": {**VIT, "image_size": [448, 448], "patch_size": [14, 14]}, "downsample_ratio": 0.5},
        {"size": {"height": 448, "width": 448}, "max_patches": 6, "min_patches": 2},
    ),
    "qianfan_ocr": (
        "got_ocr2.GotOcr2ImageProcessor",
        {"vision_config": {**VIT, "image_size": [448, 448], "patch_size": [14, 14]}, "downsample_ratio": 0.5},
        {"size": {"height": 448, "width": 448}},
    ),
    "exaone4_5": (
        "qwen2_vl.Qwen2VLImageProcessor",
        {"vision_config": {**MERGED, "num_key_value_heads": 2, "hidden_size": 32}},
        {},
    ),
    "aya_vision": (
        "got_ocr2.GotOcr2ImageProcessor",
        {"vision_config": {**SIGLIP, "image_size": 364, "patch_size": 14}, "downsample_factor": 2},
        {"size": {"height": 364, "width": 364}},
    ),
    "cohere2_vision": (
        "cohere2_vision.Cohere2VisionImageProcessor",
        {"vision_config": {**SIGLIP, "image_size": 512, "patch_size": 16}, "downsample_factor": 2},
        {},
    ),
    "llama4": (
        "llama4.Llama4ImageProcessor",
        {"vision_config": {**VIT, "image_size": 336, "patch_size": 14, "pixel_shuffle_ratio": 0.5}},
        {},
    ),
    "idefics3": (
        "idefics3.Idefics3ImageProcessor",
        {"vision_config": {**VIT, "image_size": 364, "patch_size": 14}, "scale_factor": 2},
        {},
    ),
    "smolvlm": (
        "smolvlm.SmolVLMImageProcessor",
        {"vision_config": {**VIT, "image_size": 512, "patch_size": 16}, "scale_factor": 4},
        {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}},
    ),
    "llava_next": (
        "llava_next.LlavaNextImageProcessor",
        {"vision_config": CLIP, "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]},
        {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}},
    ),
    "llava_onevision": (
        "llava_onevision.LlavaOnevisionImageProcessor",
        {
            "vision_config": {**SIGLIP, "image_size": 384, "patch_size": 14},
            "image_grid_pinpoints": [[384 * a, 384 * b] for a in range(1, 7) for b in range(1, 7)],
            "vision_feature_select_strategy": "full",
        },
        {},
    ),
    "lfm2_vl": ("lfm2_vl.Lfm2VlImageProcessor", {"vision_config": {"model_type": "siglip2_vision_model", **VIT}}, {}),
    "lfm2_vl/one": (
        "lfm2_vl.Lfm2VlImageProcessor",
        {"vision_config": {"model_type": "siglip2_vision_model", **VIT}},
        {"do_image_splitting": False, "max_image_tokens": 128},
    ),
}


class Marks:
    """A tokenizer that has a token for each mark, and one for blank lines."""

    def __getattr__(self, name: str) -> Any:
        if name.endswith("_id"):
            return 1
        if name.endswith("_token"):
            return f"<{name}>"
        raise AttributeError(name)

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        return 1

    def __call__(self, text: str, **more: Any) -> Json:
        return {"input_ids": marks(text)}


def marks(text: str) -> list[str]:
    """Marks and runs of new lines, each one token."""
    found = re.findall(r"<[^<>]+>|\n+", text)
    assert "".join(found) == text, text[:80]
    return found


def text_processor(name: str, images: Any, config: Any, patches: int) -> Any:
    """The family's processor of text, made of its class without a tokenizer's files."""
    home = {
        "mistral3": "pixtral",
        "mistral_large4": "pixtral",
        "glmga": "glm46v",
        "cosmos3_omni": "qwen3_vl",
        "modernvbert": "idefics3",
    }.get(name, name)
    module = import_module(f"transformers.models.{home}.processing_{home}")
    kind = next(value for key, value in vars(module).items() if key.endswith("Processor") and value.__module__ == module.__name__)
    made = kind.__new__(kind)
    made.image_processor, made.tokenizer = images, Marks()
    made.image_token, made.fake_image_token, made.global_image_token = "<image>", "<fake>", "<global>"
    made.global_image_tag = "<global>"
    vision = config.vision_config
    size = getattr(vision, "patch_size", 1)
    made.patch_size = size[0] if isinstance(size, (list, tuple)) else size
    return made


def count(name: str, width: int, height: int, images: Any, made: Any, config: Any, cut: Any) -> int:
    """Tokens of one image in the text."""
    vision, side = config.vision_config, (height, width)
    if name in ("llava", "llava_next", "llava_onevision"):
        made.vision_feature_select_strategy = config.vision_feature_select_strategy
        made.num_additional_image_tokens = int(vision.model_type == "clip_vision_model")
        made.num_image_tokens = (384 // 14) ** 2
        made.vision_aspect_ratio = "anyres_max_9"
    if name in ("paligemma", "gemma3"):
        made.image_seq_length = 256 if name == "gemma3" else (vision.image_size // vision.patch_size) ** 2
    if name in ("internvl", "qianfan_ocr"):
        made.image_seq_length = int((448 // 14) ** 2 * config.downsample_ratio**2)
    if name == "aya_vision":
        made.img_size, made.patch_size = vision.image_size, vision.patch_size * config.downsample_factor
    if name == "cohere2_vision":
        made.patch_size = 512 // 16 // 2
    if name in ("mistral3", "mistral_large4", "lighton_ocr"):
        made.spatial_merge_size, made.patch_size = config.spatial_merge_size, vision.patch_size
        made.effective_patch_size = vision.patch_size * config.spatial_merge_size
    if name == "paddleocr_vl":  # as its processor writes it, too
        return int(cut["image_grid_thw"][0].prod()) // images.merge_size**2
    if name == "idefics2":  # as its processor writes it, in which neighbours share a mark
        around, many = made.fake_image_token, 5 if images.do_image_splitting else 1
        text = f"{around}{made.image_token * config.perceiver_config.resampler_n_latents}{around}" * many
        return len(marks(text.replace(around * 2, around)))
    if name == "llama4":
        made.downsample_ratio, made.patch_size = 4, 14
        text = made.replace_image_token(cut, 0)
        return len(marks(text))
    if name == "lfm2_vl":
        made.image_start_token, made.image_end_token, made.image_thumbnail_token = "<start>", "<end>", "<whole>"
        plain = {key: cut[key].tolist() for key in ("image_rows", "image_cols", "image_sizes")}
        return len(marks(made.replace_image_token(plain, 0, use_image_special_tokens=True)))
    if name in ("idefics3", "smolvlm", "modernvbert"):
        edge = images.max_image_size["longest_edge"]
        factor = config.pixel_shuffle_factor if name == "modernvbert" else config.scale_factor
        made.image_seq_len = (edge // vision.patch_size // factor) ** 2
        text = made.replace_image_token(cut, 0)
        return len(marks(text))
    return int(made._get_num_multimodal_tokens([list(side)])["num_image_tokens"][0])


def pictures(name: str, cut: Any, config: Any) -> list[list[int]]:
    """What the encoder is fed: how many pictures, of how many rows and columns of patches."""
    patch = config.vision_config.patch_size
    patch = patch[0] if isinstance(patch, (list, tuple)) else patch
    if "image_grid_thw" in cut:
        return [[1, int(cut["image_grid_thw"][0][1]), int(cut["image_grid_thw"][0][2])]]
    if name == "gemma4":
        columns, rows = (int(n) + 1 for n in cut["image_position_ids"].reshape(-1, 2).amax(0))
        return [[1, rows, columns]]
    if name == "lfm2_vl":
        return [[many, *shape] for shape, many in Counter(tuple(map(int, each)) for each in cut["spatial_shapes"]).items()]
    if "image_sizes" in cut and name in ("llava", "mistral3", "mistral_large4", "lighton_ocr"):
        return [[1, *(int(n) // patch for n in cut["image_sizes"][0])]]
    shape = cut["pixel_values"].shape
    many = shape[-4] if len(shape) > 3 else 1
    return [[many, shape[-2] // patch, shape[-1] // patch]]


def seen(label: str) -> Json:
    """All sizes of a family."""
    processor, stated, beside = FAMILIES[label]
    name = label.partition("/")[0]
    config = CONFIG_MAPPING[name](**stated)
    home, _, kind = processor.partition(".")
    module = f"transformers.models.{home}.image_processing_{home}"
    images = getattr(import_module(module), kind)(**beside)
    if label == "llava/pixtral":
        name = "pixtral"
    made = text_processor(name, images, config, 0)
    more: Json = {"crop_to_patches": True} if name in ("internvl", "qianfan_ocr", "aya_vision") else {}
    if name in ("idefics3", "smolvlm", "modernvbert", "lfm2_vl"):
        more["return_row_col_info"] = True
    if name in ("mistral3", "mistral_large4", "pixtral"):
        made.spatial_merge_size = getattr(config, "spatial_merge_size", 1)
        more["patch_size"] = config.vision_config.patch_size * made.spatial_merge_size
    made.images_kwargs = more
    made._merge_kwargs = lambda **given: {"images_kwargs": {**more, **given}, "videos_kwargs": {}, "text_kwargs": {}}
    cases = []
    for width, height in SIZES:
        try:
            cut = images(
                torch.randint(0, 255, (3, height, width), dtype=torch.uint8),
                return_tensors="pt",
                input_data_format="channels_first",
                **more,
            )
            tokens = count(name, width, height, images, made, config, cut)
            found = pictures("llava" if name == "pixtral" else name, cut, config)
            cases.append({"image": [width, height], "tokens": tokens, "pictures": found})
        except (ValueError, ZeroDivisionError, RuntimeError) as refusal:
            cases.append({"image": [width, height], "refused": str(refusal)[:60]})
    return {"family": label, "config": {"model_type": label.partition("/")[0], **stated}, "preprocessor": beside, "cases": cases}


def heard(name: str) -> Json:
    """All sounds of a family."""
    module = import_module(f"transformers.models.{name}.processing_{name}")
    kind = next(value for key, value in vars(module).items() if key.endswith("Processor") and value.__module__ == module.__name__)
    made = kind.__new__(kind)
    made.feature_extractor = WhisperFeatureExtractor(feature_size=128)
    made.audio_token, made.tokenizer = "<a>", Marks()
    made.audio_bos_token, made.audio_eos_token = "<b>", "<e>"
    made.max_audio_len = {"audioflamingo3": 600, "glmasr": 655, "musicflamingo": 1200}.get(name, 30)
    cases = []
    for seconds in SECONDS:
        if seconds > made.max_audio_len and name != "voxtral":
            cases.append({"seconds": seconds, "refused": "cut off"})
            continue
        sound = torch.randn(int(seconds * 16000)).numpy()
        given = dict(made.audio_kwargs) | {"sampling_rate": 16000}
        if name == "voxtral":
            given.pop("max_source_positions")
            mel = made._retrieve_input_features([sound], 3000, **given)
            shape = mel.shape
            tokens = shape[0] * (shape[2] // 2) // 4  # as its projector lays four steps side by side
        else:
            cut, text = made._process_audio([sound], **given)
            shape, tokens = cut["input_features"].shape, len(marks(text[0]))
        cases.append({"seconds": seconds, "tokens": int(tokens), "windows": [int(shape[0]), int(shape[2])]})
    return {"family": name, "config": {"model_type": name}, "cases": cases}


HEARD = {"qwen2_audio": 182, "voxtral": 750, "audioflamingo3": 182, "glmasr": 91, "musicflamingo": 182}
"""Tokens of 7.3 s in the tiny models; Voxtral's lays two steps side by side, of 30 s."""
AROUND = {"musicflamingo": 2}
"""Marks around them."""


def run(name: str) -> Json:
    """The forward FLOPs of a tiny model on 8 tokens of text and 7.3 s of sound."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import measure

    golden = json.loads((Path(__file__).resolve().parent / "golden.json").read_text(encoding="utf-8"))
    config = next(case["config"] for case in golden["cases"] if case["id"] == f"{name}/tiny")
    key = "max_position_embeddings" if name == "glmasr" else "max_source_positions"
    audio = {key: value for key, value in config["audio_config"].items() if key != "max_source_positions"} | {key: 1500}
    config = {**config, "audio_config": audio}
    model, tokens = measure.build(config, "cpu"), HEARD[name]
    for said in ("audio_token_id", "audio_token_index"):
        if hasattr(model.config, said):
            setattr(model.config, said, 3)
    marks = AROUND.get(name, 0)
    ids = torch.randint(4, 90, (1, 8 + marks + tokens))
    if marks:  # a sound's beginning and end are found by them, which say where its frames stand in time
        model.config.audio_bos_token_id, model.config.audio_eos_token_id = 1, 2
        ids[:, 1], ids[:, 2 + tokens] = 1, 2
    ids[:, 2 : 2 + tokens] = 3
    mask = torch.zeros(1, 3000, dtype=torch.long)
    mask[:, :730] = 1
    given = {"input_ids": ids, "input_features": torch.randn(1, model.config.audio_config.num_mel_bins, 3000), "use_cache": False}
    if name == "qwen2_audio":
        given |= {"feature_attention_mask": mask, "attention_mask": torch.ones_like(ids)}
    elif name != "voxtral":
        given["input_features_mask"] = mask
    forward = sum(measure.count(lambda: model(**given)).values())
    case = {"seconds": 7.3, "seq": 8, "tokens": tokens + marks, "forward": forward}
    return {"family": name, "config": config, "cases": [case]}


def main() -> None:
    torch.manual_seed(0)
    out = {"transformers": transformers.__version__, "images": [seen(label) for label in FAMILIES]}
    out["sounds"] = [heard(name) for name in HEARD]
    out["runs"] = [run(name) for name in HEARD]
    path = Path(__file__).with_suffix(".json")
    lines = ["{", f' "transformers": "{transformers.__version__}",']
    for what in ("images", "sounds", "runs"):
        lines.append(f' "{what}": [')
        for family in out[what]:
            head = {key: value for key, value in family.items() if key != "cases"}
            cases = ",\n    ".join(json.dumps(case) for case in family["cases"])
            lines.append(
                f"  {json.dumps(head)[:-1]},\n   " + f'"cases": [\n    {cases}]' + ("}," if family is not out[what][-1] else "}")
            )
        lines.append(" ]" if what == "runs" else " ],")
    path.write_text("\n".join([*lines, "}"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
