"""How a family's processor cuts an image or a sound: the rules of :mod:`llmcx.model.pictures`, with the sizes of the model's
parts, of a preprocessor_config.json where the release has one beside its config.json, and else of the processor's class in
transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmcx.errors import InputError, shown
from llmcx.huggingface.config import Config
from llmcx.huggingface.towers import side
from llmcx.model import pictures as rules
from llmcx.model.pictures import Hearing, Sight

BESIDE = "preprocessor_config"
"""The key under which a config.json has what stands in the file of that name beside it."""

# Of values, colours, files: what changes no number of patches.
_IDLE = """
    auto_map chat_template data_format default_to_square device disable_grouping do_center_crop do_convert_rgb do_normalize do_pad
    do_rescale do_resize feature_extractor_type feature_size hop_length image_mean image_processor_type image_std
    input_data_format n_fft nb_max_frames num_mel_bins offset padding_side padding_value pad_size processor_class resample
    rescale_factor return_attention_mask return_row_col_info return_tensors sampling_rate temporal_patch_size
    chunk_length n_samples dither max_frames min_frames fps num_mel_frames background_color image_seq_length image_seq_len
    video_processor_type process_image_mode num_frames_for_rope dtype
"""
IDLE = frozenset(_IDLE.split())
ON = ("do_resize",)
"""What must not be switched off."""


class Prep:
    """The keys of a preprocessor_config.json; none where there is no such file."""

    def __init__(self, data: Mapping[str, Any], source: str) -> None:
        self.data, self.source, self.read = data, source, set[str]()

    def wrong(self, key: str, value: Any, allowed: str) -> InputError:
        """The refusal of a value."""
        problem = f"preprocessor_config.json: {key} is {shown(value)}, but must be {allowed}"
        return InputError(problem, field=key, value=shown(value), allowed=allowed)

    def number(self, key: str, otherwise: int) -> int:
        """A whole number of at least 1."""
        self.read.add(key)
        value = self.data.get(key)
        if value is None:
            return otherwise
        if isinstance(value, Mapping) and value.get("height") == value.get("width"):
            value = value.get("height")
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**9:
            raise self.wrong(key, value, "a whole number between 1 and 10^9")
        return value

    def flag(self, key: str, otherwise: bool) -> bool:
        """True or false."""
        self.read.add(key)
        value = self.data.get(key)
        return otherwise if value is None else bool(value)

    def inner(self, key: str, *names: str) -> int | None:
        """One of ``names`` in a mapping under ``key``, the first that it has; a bare number is each of them."""
        self.read.add(key)
        value = self.data.get(key)
        if isinstance(value, Mapping):
            value = next((value[name] for name in names if value.get(name) is not None), None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**9:
            raise self.wrong(key, value, "sizes between 1 and 10^9")
        return value

    def edge(self, otherwise: int, *keys: str) -> int:
        """The side of the square that an image is made."""
        for key in keys or ("crop_size", "size"):
            if (found := self.inner(key, "height", "shortest_edge")) is not None:
                self.read.update(("crop_size", "size"))
                return found
        return otherwise

    def check(self) -> None:
        """Refuse what was not asked for and may change the pictures. Raises InputError."""
        for key, value in self.data.items():
            if key in ON and value is False:
                raise self.wrong(key, value, "true")
            if key not in self.read and key not in IDLE and value not in (None, False) and not key.startswith("_"):
                problem = (
                    f"preprocessor_config.json: {key} = {shown(value)} is not understood, and may change what an image becomes"
                )
                raise InputError(problem, field=key, value=shown(value))


Look = Callable[[Config, Config, Prep], Sight]
LOOKS: dict[str, Look] = {}


def looks(*model_types: str) -> Callable[[Look], Look]:
    """Register the decorated function as the reader of how ``model_types`` look at an image."""

    def register(reader: Look) -> Look:
        LOOKS.update(dict.fromkeys(model_types, reader))
        return reader

    return register


def sight_of(c: Config) -> Sight | None:
    """How a multimodal file's model looks at an image; None where that is not known."""
    reader = LOOKS.get(c.model_type)
    part = next((part for part in c.parts if part.source.endswith("vision_config")), None)
    if reader is None or part is None:
        return None
    given = c.data.get(BESIDE)
    prep = Prep(given if isinstance(given, Mapping) else {}, c.source)
    try:
        rule = reader(c, part, prep)
        prep.check()
        rules.check(rule)
    except InputError as refusal:
        return rules.Unknown(refusal.message)
    return rule


def _edges(v: Config, prep: Prep) -> tuple[int, int, int]:
    """The side of the square, of a patch, and the patches on a side."""
    edge, patch = prep.edge(side(v, "image_size")), side(v, "patch_size")
    return edge, patch, edge // patch


# --- squares --------------------------------------------------------------------------------------------------------


@looks("paligemma", "vipllava", "deepseek_vl")
def square(c: Config, v: Config, prep: Prep) -> Sight:
    """As many tokens as patches."""
    prep.read.update(("min_size", "high_res_size"))
    edge, patch, patches = _edges(v, prep)
    return rules.Square(edge, patch, patches**2)


@looks("gemma3", "shieldgemma2")
def gemma3(c: Config, v: Config, prep: Prep) -> Sight:
    """A fixed number of tokens; crops beside the whole (pan and scan) are off by default."""
    prep.read.update(("pan_and_scan_max_num_crops", "pan_and_scan_min_crop_size", "pan_and_scan_min_ratio_to_activate"))
    edge, patch, patches = _edges(v, prep)
    return rules.Square(edge, patch, c.size("mm_tokens_per_image") if c.has("mm_tokens_per_image") else patches**2)


def _class_token(c: Config, v: Config) -> int:
    """Whether the class token of an encoder that has one stands in the text too."""
    whole = c.has("vision_feature_select_strategy") and c.text("vision_feature_select_strategy") == "full"
    return int(whole and v.model_type == "clip_vision_model")


@looks("llava")
def llava(c: Config, v: Config, prep: Prep) -> Sight:
    """A square of CLIP's or SigLIP's; of any shape with Pixtral's encoder."""
    if v.model_type == "pixtral":
        return pixtral(c, v, prep)
    edge, patch, patches = _edges(v, prep)
    return rules.Square(edge, patch, patches**2 + _class_token(c, v))


# --- any shape ------------------------------------------------------------------------------------------------------


@looks("mistral3", "mistral_large4")
def pixtral(c: Config, v: Config, prep: Prep) -> Sight:
    """No side longer than the encoder's image_size, where the file beside says no other."""
    merge = c.size("spatial_merge_size") if c.has("spatial_merge_size") else 1
    prep.read.update(("patch_size", "spatial_merge_size"))
    edge = prep.inner("size", "longest_edge", "height") or side(v, "image_size")
    return rules.Longest(side(v, "patch_size"), merge, edge)


@looks("lighton_ocr")
def lighton(c: Config, v: Config, prep: Prep) -> Sight:
    """The same without tokens at the ends of rows, and rounded up to patches."""
    prep.read.update(("patch_size", "spatial_merge_size"))
    edge = prep.inner("size", "longest_edge", "height") or side(v, "image_size")
    return rules.Longest(side(v, "patch_size"), c.size("spatial_merge_size"), edge, breaks=False, whole=False)


def _multiples(v: Config, prep: Prep, least: int, most: int, **more: Any) -> Sight:
    prep.read.update(("patch_size", "merge_size", "spatial_merge_size"))
    low = prep.number("min_pixels", prep.inner("size", "shortest_edge", "min_pixels") or least)
    high = prep.number("max_pixels", prep.inner("size", "longest_edge", "max_pixels") or most)
    patch, merge = side(v, "patch_size"), v.size("spatial_merge_size")
    for key, has in (("patch_size", patch), ("merge_size", merge)):
        if prep.number(key, has) != has:
            raise prep.wrong(key, prep.data[key], f"{has}, as the encoder has it")
    return rules.Multiples(patch, merge, low, high, **more)


@looks(
    *("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "exaone4_5"),
    *("qwen2_5_omni_thinker", "qwen3_omni_moe_thinker", "cosmos3_omni", "dots3_note", "hyperclovax_vision_v2", "qwen4_exp"),
    *("lfm3_vl", "cohere_compass"),
)
def qwen(c: Config, v: Config, prep: Prep) -> Sight:
    """Qwen2VLImageProcessor's bounds."""
    return _multiples(v, prep, 56 * 56, 28 * 28 * 1280)


@looks("glm4v", "glm4v_moe", "glm46v", "glmga")
def glm(c: Config, v: Config, prep: Prep) -> Sight:
    """Glm4vImageProcessor's bounds, of the frames that a patch spans."""
    if prep.number("patch_expand_factor", 1) != 1:
        raise prep.wrong("patch_expand_factor", prep.data["patch_expand_factor"], "1")
    return _multiples(v, prep, 112 * 112, 28 * 28 * 15000, frames=v.size("temporal_patch_size"), small="scaled")


@looks("glm5_next")
def glm5(c: Config, v: Config, prep: Prep) -> Sight:
    """Glm5NextImageProcessor's numbers of tokens."""
    prep.read.update(("patch_size", "merge_size", "size"))
    patch, merge, frames = side(v, "patch_size"), v.size("spatial_merge_size"), v.size("temporal_patch_size")
    for key, has in (("patch_size", patch), ("merge_size", merge), ("patch_expand_factor", 1)):
        if prep.number(key, has) != has:
            raise prep.wrong(key, prep.data[key], f"{has}, as the encoder has it")
    return rules.Padded(patch, merge, prep.number("min_image_tokens", 16), prep.number("max_image_tokens", 8000), frames)


@looks("minimax_m3_vl")
def minimax(c: Config, v: Config, prep: Prep) -> Sight:
    """MiniMaxM3VLImageProcessor's bounds."""
    return _multiples(v, prep, 4 * 28 * 28, 451_584)


@looks("paddleocr_vl")
def paddle(c: Config, v: Config, prep: Prep) -> Sight:
    """PaddleOCRVLImageProcessor's bounds."""
    return _multiples(v, prep, 384 * 384, 1536 * 1536, small="rounded")


@looks("video_llama_3")
def video_llama(c: Config, v: Config, prep: Prep) -> Sight:
    """VideoLlama3ImageProcessor's bounds; of an image, every patch is a token."""
    prep.read.update(("patch_size", "merge_size"))
    if prep.number("merge_size", 1) != 1:
        raise prep.wrong("merge_size", prep.data["merge_size"], "1")
    low = prep.number("min_pixels", prep.inner("size", "shortest_edge", "min_pixels") or 56 * 56)
    high = prep.number("max_pixels", prep.inner("size", "longest_edge", "max_pixels") or 28 * 28 * 1280)
    return rules.Multiples(side(v, "patch_size"), 1, low, high)


@looks("kimi_k25")
def kimi(c: Config, v: Config, prep: Prep) -> Sight:
    """Kimi_K25ImageProcessor's bounds. What the makers' own processor says stands under media_proc_cfg, and is not read."""
    rows, columns = v.get("merge_kernel_size")
    if rows != columns:
        raise v.wrong("merge_kernel_size", [rows, columns], "a square")
    prep.read.update(("patch_size", "merge_size"))
    edge = prep.inner("size", "max_height") or 512
    return rules.Fitted(side(v, "patch_size"), rows, prep.number("max_patches", 16384), edge)


@looks("gemma4")
def gemma4(c: Config, v: Config, prep: Prep) -> Sight:
    """As many tokens as the file beside says, or the config."""
    prep.read.update(("patch_size", "pooling_kernel_size", "size", "image_seq_length"))
    stated = c.data.get("vision_soft_tokens_per_image")
    tokens = prep.number("max_soft_tokens", stated if isinstance(stated, int) else 280)
    return rules.Filled(v.size("patch_size"), v.size("pooling_kernel_size"), tokens)


# --- tiles ----------------------------------------------------------------------------------------------------------


def _tiles(v: Config, prep: Prep, merge: float, most: int = 12, **more: Any) -> Sight:
    prep.read.update(("crop_to_patches", "patch_size", "downsample_factor", "use_thumbnail"))
    edge, patch, patches = _edges(v, prep)
    least = prep.number("min_patches", 1)
    return rules.Tiles(edge, patch, int(patches * merge) ** 2, prep.number("max_patches", most), least, **more)


@looks("internvl", "qianfan_ocr")
def internvl(c: Config, v: Config, prep: Prep) -> Sight:
    """GotOcr2ImageProcessor's tiles, all in one pair of marks."""
    return _tiles(v, prep, float(c.get("downsample_ratio")))


@looks("aya_vision")
def aya(c: Config, v: Config, prep: Prep) -> Sight:
    """The same tiles with a mark each."""
    return _tiles(v, prep, 1 / c.size("downsample_factor"), marks=1)


@looks("cohere2_vision")
def cohere(c: Config, v: Config, prep: Prep) -> Sight:
    """Tiles that stretch the image least."""
    return _tiles(v, prep, 1 / c.size("downsample_factor"), how="tightest", marks=1)


@looks("llama4")
def llama4(c: Config, v: Config, prep: Prep) -> Sight:
    """The same choice, of 16 tiles, with marks between them."""
    if prep.flag("resize_to_max_canvas", False):
        raise prep.wrong("resize_to_max_canvas", True, "false")
    return _tiles(v, prep, float(v.get("pixel_shuffle_ratio")), 16, how="tightest", marks=1)


@looks("idefics3", "smolvlm", "modernvbert")
def idefics3(c: Config, v: Config, prep: Prep) -> Sight:
    """Squares of the encoder's size, four on the longest side where the file beside says no other."""
    prep.read.update(("video_sampling", "max_image_size", "do_image_splitting"))
    edge, patch = prep.inner("max_image_size", "longest_edge") or side(v, "image_size"), side(v, "patch_size")
    if not prep.flag("do_image_splitting", True):
        raise prep.wrong("do_image_splitting", False, "true")
    tokens = (edge // patch // c.size("pixel_shuffle_factor" if c.has("pixel_shuffle_factor") else "scale_factor")) ** 2
    return rules.Split(edge, patch, tokens, prep.inner("size", "longest_edge") or 4 * edge)


@looks("idefics2")
def idefics2(c: Config, v: Config, prep: Prep) -> Sight:
    """As many tokens as the resampler has latents; in quarters where the file beside says so."""
    perceiver = next(part for part in c.parts if part.source.endswith("perceiver_config"))
    least, most = prep.inner("size", "shortest_edge") or 378, prep.inner("size", "longest_edge") or 980
    quarters = prep.flag("do_image_splitting", False)
    return rules.Between(side(v, "patch_size"), least, most, perceiver.size("resampler_n_latents"), quarters)


@looks("llava_next", "llava_next_video", "llava_onevision")
def llava_next(c: Config, v: Config, prep: Prep) -> Sight:
    """The sizes in image_grid_pinpoints, of the file beside or of the config."""
    edge, patch, _ = _edges(v, prep)
    prep.read.update(("image_grid_pinpoints", "aspect_ratio_setting", "patch_size"))
    usual = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
    if c.model_type == "llava_onevision":
        usual = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]
    pins = prep.data.get("image_grid_pinpoints") or c.get("image_grid_pinpoints") or usual
    if not isinstance(pins, list) or not all(isinstance(pin, list) and len(pin) == 2 for pin in pins):
        raise c.wrong("image_grid_pinpoints", pins, "a list of pairs")
    sizes = tuple(size for pin in pins for size in pin)
    if any(isinstance(size, bool) or not isinstance(size, int) or size % edge for size in sizes):
        raise c.wrong("image_grid_pinpoints", pins, f"pairs of multiples of {edge}, the side of a tile")
    most, alone = None, c.model_type == "llava_onevision"
    if c.model_type == "llava_onevision":
        said = c.text("vision_aspect_ratio") if c.has("vision_aspect_ratio") else "anyres_max_9"
        if not said.startswith("anyres_max_") or not said[11:].isdecimal():
            raise c.wrong("vision_aspect_ratio", said, "anyres_max_N")
        most = int(said[11:])
    return rules.Resolutions(edge, patch, sizes, most, _class_token(c, v), alone)


@looks("lfm2_vl")
def lfm2(c: Config, v: Config, prep: Prep) -> Sight:
    """The sizes that config.json repeats, where the file beside does not say them."""

    def stated(key: str, otherwise: int) -> int:
        said = c.data.get(key)
        return prep.number(key, said if isinstance(said, int) and not isinstance(said, bool) else otherwise)

    prep.read.update(("size", "max_num_patches"))
    cut = prep.flag("do_image_splitting", c.data.get("do_image_splitting") is not False)
    tolerance = prep.data.get("max_pixels_tolerance") or c.data.get("max_pixels_tolerance") or 2.0
    prep.read.add("max_pixels_tolerance")
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 < tolerance <= 1000:
        raise prep.wrong("max_pixels_tolerance", tolerance, "a number above 0 and at most 1,000")
    return rules.Overview(
        stated("encoder_patch_size", side(v, "patch_size")),
        stated("downsample_factor", 2),
        stated("tile_size", 512),
        stated("max_image_tokens", 256),
        stated("min_image_tokens", 64),
        stated("min_tiles", 2) if cut else 1,
        stated("max_tiles", 10) if cut else 1,
        float(tolerance),
        prep.flag("use_thumbnail", c.data.get("use_thumbnail") is not False),
        c.data.get("use_image_special_tokens") is not False,
    )


# --- sounds ---------------------------------------------------------------------------------------------------------

HEARS: dict[str, Hearing] = {
    "qwen2_audio": rules.Windows(2, most=30),
    "audioflamingo3": rules.Windows(2, most=600),
    "musicflamingo": rules.Windows(2, most=1200, marks=2),
    "glmasr": rules.Windows(4, most=655),
}
"""How families listen whose encoder meets all of a window of 30 s, silence included."""


def hearing_of(c: Config) -> Hearing | None:
    """How a multimodal file's model listens; None where that is not known."""
    if c.model_type == "voxtral":  # whose projector lays as many steps side by side as its feed-forward is wide
        part = next(part for part in c.parts if part.source.endswith("audio_config"))
        return rules.Windows(max(1, part.size("intermediate_size") // part.size("hidden_size")), padded=True)
    return HEARS.get(c.model_type)
