"""Encoders of the largest new families, and the families that have them: Inkling."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import ceil, log
from operator import mul

from llmcx.huggingface.common import layer_count
from llmcx.huggingface.config import Config
from llmcx.huggingface.queries import overridden
from llmcx.huggingface.towers import RMS, Towers, encoder, heard, multimodal, seen
from llmcx.model.spec import ModelSpec
from llmcx.model.tower import Activated, Dense, Normed, Piece, Table, Tower

# --- Inkling --------------------------------------------------------------------------------------------------------


def _factors(number: int) -> list[int]:
    """Prime factors, the largest first."""
    found, factor = [], 2
    while factor * factor <= number:
        while number % factor == 0:
            found.append(factor)
            number //= factor
        factor += 1
    return ([number] if number > 1 else []) + found[::-1]


def _scales(c: Config) -> list[tuple[int, int]]:
    """What stands before, between and after the layers: how many pixels lie side by side in one place, and its width. A layer
    takes the scale nearest, in logarithms, to its share of the way to a whole patch.
    """
    frames, side, channels = c.size("temporal_patch_size"), c.size("patch_size"), c.size("num_channels")
    n = layer_count(c)
    if max(frames, side) > 10_000:
        raise c.wrong("patch_size", max(frames, side), "at most 10,000")
    spatial = [*accumulate(_factors(side), mul)]
    scales = [(1, channels), *((edge**2, ceil(edge**2 * channels / 64) * 64) for edge in spatial)]
    scales += [(times * side**2, side**2 * channels * times * 64) for times in accumulate(_factors(frames), mul)]
    if n < len(scales) or side < 2 or frames < 2:
        raise c.wrong("num_hidden_layers", n, f"at least {len(scales)}, and a patch of 2 frames and pixels or more")
    whole = log(side**2 * frames * channels)
    near = [min(range(len(scales)), key=lambda j: abs(whole * i / n - log(scales[j][0]))) for i in range(n + 1)]
    return [scales[j] for j in (0, *near[1:-1], len(scales) - 1)]


@encoder("inkling_vision")
def inkling_vision(c: Config) -> Towers:
    """Matrices, each of which lays more pixels side by side or none, until one place is a patch (Touvron et al. 2022,
    arXiv:2203.09795, sec. 5); norms between them.
    """
    c.ignore("hidden_size", "num_attention_heads")
    scales, out = _scales(c), c.size("text_hidden_size")
    pieces: list[Piece] = []
    for at, ((before, inner), (after, width)) in enumerate(pairwise(scales)):
        last, parts = at == len(scales) - 2, scales[-1][0] // after
        width = out if last else width
        pieces.append(Dense(f"{at}", inner * (after // before), width, stem=at == 0, parts=parts))
        if not last:
            pieces += [Normed(f"{at}.norm", width, parts=parts), Activated(f"{at}.activation", width, parts=parts)]
    return (Tower("vision", out, (*pieces, Normed("norm", out)), norm=RMS),)


@encoder("inkling_audio")
def inkling_audio(c: Config) -> Towers:
    """A table of levels for each band, the sum of a frame's, and a norm."""
    d = c.size("text_hidden_size")
    levels = Table("levels", c.size("n_mel_bins") * c.size("mel_vocab_size"), d)
    return (Tower("audio", d, (levels, Normed("norm", d)), norm=RMS, fed="audio"),)


@multimodal("inkling_mm_model")
def inkling(c: Config, spec: ModelSpec) -> Towers:
    """Both end at the language model's width."""
    c.ignore("mtp_config")
    for key in ("vision_config", "audio_config"):
        overridden(c, key, text_hidden_size=spec.d_model)
    return *seen(c)[1], *heard(c)[1]
