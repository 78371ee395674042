"""What vLLM looks at when it starts, to see how much memory that takes: the largest video of a sequence, else the largest image.

vllm/v1/worker/gpu_model_runner.py, profile_run; model_executor/models/qwen2_vl.py and qwen3_vl.py. Known of the encoders of
Qwen2-VL and Qwen2.5-VL, of which a start of 0.22 logged 15.26 GiB for 458,752 patches of Qwen2.5-VL-7B on one GPU, where 15.23
are reckoned (-14.28 GiB for the cache at 22% of an A100, tests/test_check.py); and of Qwen3-VL and Qwen3.5, which vLLM 0.32 ran
on fake tensors (tests/oracle/vllm_towers.py).
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.engines.vllm_lines import LINES, Version
from llmcx.model.spec import ModelSpec
from llmcx.model.tower import Normed


class Held(NamedTuple):
    """Tensors as wide as the encoder that are alive while it attends: ``whole`` on each tensor-parallel GPU (the stream before
    and after the norm; of Qwen3-VL also the positions, and what comes out), ``divided`` among them (queries, keys and values, the
    same in order, what is turned, what is attended), and ``summed`` over several.
    """

    whole: int
    divided: int
    summed: int


FIRST, THIRD = Held(2, 11, 0), Held(4, 8, 1)
FAMILIES = {
    **dict.fromkeys(("qwen2_vl_text", "qwen2_5_vl_text"), FIRST),
    **dict.fromkeys(("qwen3_vl_text", "qwen3_vl_moe_text", "qwen3_5_text", "qwen3_5_moe_text"), THIRD),
}
GRIDS = 7
"""Squares of patches of a video: of two of its frames each, of which there are 14 at most."""
LARGE = 9_999_999
"""Pixels on each side of an image that no processor leaves as large."""
VIDEO = 24576 * 32 * 32
"""Pixels of a video of Qwen3-VL, all frames together (video_preprocessor_config.json); two of them are a patch."""
TIMED = 12.5
"""Tokens of a video that vLLM up to 0.12 reckoned with for one that there is, for the times between them: with them a video was
larger than an image, and as many were kept.
"""
TIMES, LATEST = (0, 12), LINES[-1].last


class Pictures(NamedTuple):
    """Patches that are looked at, numbers of a patch, the tokens that come out, and that are ``stored``, of the model's width,
    ``deep`` times more from within the encoder; its width and what it holds.
    """

    patches: int
    numbers: int
    tokens: int
    stored: int
    width: int
    d_model: int
    deep: int
    held: Held

    def peak(self, tp: int) -> int:
        """Bytes while the encoder attends."""
        of = self.held
        wide = self.width * (of.whole * tp + of.divided) // tp + (self.width * of.summed if tp > 1 else 0)
        return self.patches * 2 * (wide + self.numbers) + self.deep * self.tokens * 2 * self.d_model

    @property
    def kept(self) -> int:
        """Bytes of what comes out, which is kept while the model itself is tried."""
        return (1 + self.deep) * self.stored * 2 * self.d_model


def tried(
    spec: ModelSpec, room: int, step: int, videos: bool = True, images: bool = True, version: Version = LATEST
) -> Pictures | None:
    """What ``version`` looks at of a model that has ``room`` tokens for a video, with ``step`` tokens a step; ``videos`` and
    ``images`` may be shown. None where that is not known, or nothing is seen.
    """
    tower = next((tower for tower in spec.towers if tower.name == "vision"), None)
    see, held = getattr(spec.sight, "see", None), FAMILIES.get(spec.family or "")
    if tower is None or see is None or held is None:
        return None
    image = see(LARGE, LARGE)
    patches, tokens = sum(many * rows * columns for many, rows, columns in image.pictures), image.tokens
    numbers = 3 * 2 * getattr(spec.sight, "patch", 14) ** 2
    norms = [piece for each in spec.towers for piece in each.before if isinstance(piece, Normed)]
    deep = next((piece.times for piece in norms if piece.name == "deepstack.norm"), 0)
    timed = held is THIRD and videos and version <= TIMES
    if held is THIRD and videos and (timed or not images):
        patches, tokens = VIDEO * 3 // numbers, VIDEO * 3 // numbers * tokens // patches
    many = max(1, step // int(tokens * TIMED if timed else tokens))
    if held is FIRST and videos:
        many = min(GRIDS, max(1, room // tokens))
    patches, tokens = many * patches, many * tokens
    stored = int(tokens * TIMED) if timed else tokens
    return Pictures(patches, numbers, tokens, stored, tower.width, spec.d_model, deep, held)
