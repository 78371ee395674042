"""What a multimodal file has beside its language model: a registry of families and of encoders, and what most of them share.

A family's function makes towers of its file; an encoder's, a tower of a part of it, by the model_type of that part. To add one,
write it in a module here and name it in FAMILIES or ENCODERS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from llmcx.huggingface.common import activation
from llmcx.huggingface.config import STRICT, TEXT_KEYS, Config
from llmcx.model.ffn import FFN, Gated, Plain
from llmcx.model.layers import Layers
from llmcx.model.mixers.attention import Attention
from llmcx.model.norm import Norm
from llmcx.model.pictures import Hearing, Sight
from llmcx.model.spec import ModelSpec
from llmcx.model.tower import Activated, Dense, Piece, Tower, Vector

Towers = tuple[Tower, ...]
Family = Callable[[Config, ModelSpec], Towers]
Encoder = Callable[[Config], Towers]

FAMILIES = {
    "captions": "janus kosmos-2 kosmos-2.5",
    "davit": "florence2",
    "eyes": "deepseek_vl_v2",
    "grids": """cosmos3_omni gemma4 glm46v glm4v glm4v_moe glmga hyperclovax_vision_v2 qwen2_5_vl qwen2_vl qwen3_5 qwen3_5_moe
        qwen3_vl qwen3_vl_moe""",
    "hear": """audioflamingo3 glmasr granite_speech granite_speech_plus musicflamingo qwen2_5_omni_thinker qwen2_audio
        qwen3_asr qwen3_omni_moe_thinker voxtral""",
    "lenses": "cohere_compass ernie4_5_vl_moe fuyu granite_docling muse_glimmer muse_spark nemotron_h_omni qwen4_exp",
    "optics": "gemma4_unified hunyuan_vl lfm3_vl minicpm_ocr minicpmv4_6 minicpmv4_7 minimax_m3_vl step3p7",
    "prisms": "cosmos3_edge dots3_note inkling2 inkling_mm_model unlimited_ocr",
    "queries": "aria blip-2 deepseek_vl_hybrid granite4_vision instructblip instructblipvideo molmo2",
    "sight": """deepseek_vl exaone4_5 glm5_next glm_ocr got_ocr2 mllama ovis2 paddleocr_vl phi4_multimodal pp_chart2table
        video_llama_3""",
    "speech": "moss_transcribe_diarize nemo_speechlm vibevoice_asr voxtral_realtime",
    "vision": """aya_vision cohere2_vision gemma3 idefics2 idefics3 internvl kimi_k25 lfm2_vl lighton_ocr llama4 llava llava_next
        llava_next_video llava_onevision mistral3 mistral_large4 modernvbert paligemma qianfan_ocr shieldgemma2 smolvlm
        t5gemma2_encoder ultravbert video_llava vipllava""",
}
"""Module -> the multimodal model_types whose towers it reads."""
ENCODERS = {
    "captions": "beit deit dinov2 donut-swin janus_vision_model swin vit",
    "couples": "kosmos_2_5_vision_model pix2struct_vision_model",
    "davit": "florence_vision",
    "grids": """gemma4_audio gemma4_vision glm4v_moe_vision glm4v_vision qwen2_5_vl_vision qwen2_vl_vision qwen3_5_moe_vision
        qwen3_5_vision qwen3_vl_moe_vision qwen3_vl_vision qwen2_5_omni_vision_encoder qwen3_omni_moe_vision_encoder""",
    "hear": """audioflamingo3_encoder blip_2_qformer glmasr_encoder granite_speech_encoder
        granite_speech_plus_encoder moss_transcribe_diarize_audio qwen2_5_omni_audio_encoder qwen2_audio_encoder
        qwen3_asr_encoder qwen3_omni_moe_audio_encoder voxtral_encoder""",
    "lenses": """cohere_compass_vision ernie4_5_vl_moe_vision granite_docling_vision muse_glimmer_vision muse_spark_audio
        muse_spark_vision qwen4_exp_vision radio""",
    "optics": """gemma4_unified_audio gemma4_unified_vision hunyuan_vl_vision lfm3_vl_vision minicpm_ocr_vision
        minicpmv4_6_vision minicpmv4_7_vision minimax_m3_vl_vision step3p5_vision""",
    "prisms": """dots3_note_audio_encoder dots3_note_vision_encoder inkling2_vision inkling_audio inkling_vision
        unlimited_ocr_sam_vision_model unlimited_ocr_vision unlimited_ocr_vision_encoder""",
    "queries": """blip_2_vision_model blip_vision_model instructblip_qformer instructblip_vision_model instructblipvideo_qformer
        instructblipvideo_vision_model molmo2_adapter molmo2_vision sam_vision_model""",
    "sight": """exaone4_5_vision glm5_next_vision glm_ocr_vision got_ocr2_vision mllama_vision_model ovis2_vision
        paddleocr_vl_vision phi4_multimodal_audio phi4_multimodal_vision pp_chart2table_vision pp_formulanet_vision
        video_llama_3_vision""",
    "vision": """clip_vision_model cosmos3_edge_vision siglip_vision_model siglip2_vision_model pixtral idefics2_vision
        idefics3_vision smolvlm_vision internvl_vision qianfan_ocr_vision git_vision_model kosmos_2_vision_model
        idefics_vision kimi_k25_vision llama4_vision_model""",
    "speech": "vibevoice_acoustic_tokenizer_encoder voxtral_realtime_encoder",
}
"""Module -> the model_types of encoders that it reads."""

_FAMILIES: dict[str, Family] = {}
_ENCODERS: dict[str, Encoder] = {}
HOME = {name: module for module, names in FAMILIES.items() for name in names.split()}
_WHERE = {name: module for module, names in ENCODERS.items() for name in names.split()}


# What files say of the work before a tower (sizes, tiles, splits of images) and of training, from which no part is built; and
# keys of parts that change nothing.
_PREPARING = """
    audio_ms_per_token audio_sample_rate audio_seq_length do_image_splitting encoder_patch_size ignore_index image_grid_pinpoints
    image_seq_length max_audio_length_sec max_image_tokens max_pixels_tolerance max_splits_per_img max_tiles min_image_tokens
    min_tiles tile_size use_image_special_tokens use_thumbnail video_placeholder video_seq_length vision_aspect_ratio
    vision_soft_tokens_per_image
"""
_IDLE = """
    image_seq_length is_composition max_image_size size tie_word_embeddings use_base_siglip video_seq_length
"""
PREPARING, IDLE = tuple(_PREPARING.split()), tuple(_IDLE.split())


class UnknownTower(Exception):
    """A part of a model_type that is not read."""


def multimodal(*model_types: str) -> Callable[[Family], Family]:
    """Register the decorated function as the reader of the towers of ``model_types``."""

    def register(reader: Family) -> Family:
        _FAMILIES.update(dict.fromkeys(model_types, reader))
        return reader

    return register


def encoder(*model_types: str) -> Callable[[Encoder], Encoder]:
    """Register the decorated function as the reader of encoders of ``model_types``."""

    def register(reader: Encoder) -> Encoder:
        _ENCODERS.update(dict.fromkeys(model_types, reader))
        return reader

    return register


class Senses(NamedTuple):
    """What a multimodal file has beside its language model, how it looks at an image and listens to a sound, and notes."""

    towers: Towers
    sight: Sight | None
    hearing: Hearing | None
    notes: list[str]


def senses_of(outer: Mapping[str, Any], spec: ModelSpec, source: str, flat: bool) -> Senses | None:
    """The towers of a multimodal file around ``spec``; None where a part of it is not known.

    ``flat`` where the language model's keys stand beside the parts'. Raises InputError for a key that is not understood.
    """
    name = str(outer.get("model_type"))
    name = "gemma3" if name == "shieldgemma2" else name  # the same under another head
    if name not in HOME:
        return None
    import_module(f"llmcx.huggingface.{HOME[name]}")
    from llmcx.huggingface.looks import BESIDE, hearing_of, sight_of

    c = Config(outer, name, source)
    c.begins = STRICT
    c.ignore(*TEXT_KEYS)
    try:
        made = _FAMILIES[name](c, spec)
    except UnknownTower:
        return None
    sight, hearing = sight_of(c), hearing_of(c)
    c.ignore("tie_word_embeddings", BESIDE, *PREPARING)
    checked(c)
    if not flat:
        c.check_leftovers()
    return Senses(made, sight, hearing, c.notes)


def checked(c: Config) -> None:
    """Refuse what is not understood in a file's parts, and in theirs. Raises InputError."""
    for part in c.parts:
        part.ignore(*IDLE)
        part.check_leftovers()
        checked(part)


def encoded(c: Config, key: str = "vision_config") -> tuple[Config, Towers] | None:
    """What ``key`` holds, and the towers that it makes; None where the file has none."""
    part = c.part(key)
    return None if part is None else (part, towers_of(part))


def towers_of(part: Config) -> Towers:
    """The towers that a part makes."""
    if part.model_type not in _WHERE:
        raise UnknownTower(part.model_type)
    import_module(f"llmcx.huggingface.{_WHERE[part.model_type]}")
    return _ENCODERS[part.model_type](part)


def seen(c: Config, key: str = "vision_config") -> tuple[Config, Towers]:
    """The same of a part that the family always has."""
    found = encoded(c, key)
    if found is None:
        raise UnknownTower(key)
    return found


def heard(c: Config) -> tuple[Config, Towers]:
    """The same of an audio_config."""
    return seen(c, "audio_config")


def layers(
    c: Config,
    d_ff: str = "intermediate_size",
    heads: str = "num_attention_heads",
    count: str = "num_hidden_layers",
    act: str = "hidden_act",
    *,
    bias: bool = True,
    ffn: FFN | None = None,
    gate: bool = False,
    **attention: Any,
) -> tuple[Layers, ...]:
    """A tower's layers, all alike: attention with biases, and a feed-forward with the same."""
    made = Attention(c.size(heads), **{"bias": bias, "softmax_fp32": True, **attention})
    ffn = ffn or (Gated if gate else Plain)(c.size(d_ff), bias, activation(c, act))
    return (Layers(c.size(count), made, ffn),)


def patches(c: Config, d: int, bias: bool = True, channels: str = "num_channels", frames: int = 1) -> Dense:
    """The product of each patch's numbers that makes a token of it."""
    return Dense("patches", c.size(channels) * frames * side(c, "patch_size") ** 2, d, bias, stem=True)


def stem(d: int, bins: int) -> tuple[Piece, ...]:
    """Two convolutions over three frames each, of which the second halves their number."""
    first = Dense("stem.0", 3 * bins, d, True, stem=True, per=1)
    halved = Dense("stem.1", 3 * d, d, True)
    return first, Activated("stem.activation.0", d, per=1), halved, Activated("stem.activation.1", d)


def side(c: Config, key: str) -> int:
    """A number of pixels; of a height and a width, which must be the same."""
    value = c.get(key)
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] == value[1]:
        c.data[key] = value[0]
    return c.size(key)


def ratio(c: Config) -> float:
    """How much wider a feed-forward is than the rest."""
    value = c.get("mlp_ratio")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1000:
        raise c.wrong("mlp_ratio", value, "a number between 0 and 1000")
    return value


def whole_numbers(c: Config, key: str, count: int | None = None) -> list[int]:
    """A list of them, of which there must be ``count``."""
    found = c.get(key)
    if not isinstance(found, (list, tuple)) or not found or not all(type(each) is int and 0 < each < 10**6 for each in found):
        raise c.wrong(key, found, "a list of whole numbers")
    if count is not None and len(found) != count:
        raise c.wrong(key, found, f"a list of {count}")
    return [*found]


def per_image(c: Config) -> int:
    """The patches of an image of image_size."""
    if side(c, "image_size") < side(c, "patch_size"):
        raise c.wrong("image_size", c.size("image_size"), f"at least patch_size, {c.size('patch_size')}")
    return (side(c, "image_size") // side(c, "patch_size")) ** 2


def mlp(inner: int, width: int, out: int, act: Any, bias: bool = True, times: int = 1) -> tuple[Piece, ...]:
    """Two matrices with an activation between them."""
    return (
        Dense("up", inner, width, bias, times=times),
        Activated("activation", width, act, times=times),
        Dense("down", width, out, bias, times=times),
    )


def gated_mlp(inner: int, width: int, out: int, act: Any) -> tuple[Piece, ...]:
    """Three matrices: a gate, activated, times what goes up, and down."""
    up, activated, down = mlp(inner, width, out, act, False)
    return Dense("gate", inner, width), up, activated, down


def pooled(c: Config, d: int, d_ff: int) -> Tower:
    """SigLIP's head: one learned query meets all tokens, and a feed-forward."""
    heads = Attention(c.size("num_attention_heads"), bias=True)
    layer = Layers(1, cross=heads, ffn=Plain(d_ff, True, activation(c, "hidden_act")), norms=("head",))
    return Tower("vision", d, (Vector("probe", d),), (layer,), latents=1, grad=False)


LAYER, RMS = Norm("layernorm"), Norm("rmsnorm")
