"""What vLLM looks at when it starts, to see how much memory that takes: the largest video of a sequence, else the largest image.

vllm/v1/worker/gpu_model_runner.py, profile_run; model_executor/models/qwen2_vl.py. Known of the encoders of Qwen2-VL and
Qwen2.5-VL. A start of 0.22 logged 15.26 GiB for 458,752 patches of Qwen2.5-VL-7B on one GPU, where 15.23 are reckoned
(-14.28 GiB for the cache at 22% of an A100, tests/test_check.py).
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.model.spec import ModelSpec

FAMILIES = ("qwen2_vl_text", "qwen2_5_vl_text")
GRIDS = 7
"""Squares of patches of a video: of two of its frames each, of which there are 14 at most."""
LARGE = 9_999_999
"""Pixels on each side of an image that no processor leaves as large."""
PIXELS = 3 * 2 * 14 * 14
"""Numbers of a patch of two frames."""
STREAM, HEADS = 2, 11
"""Tensors as wide as the encoder that are alive while it attends: its stream before and after the norm; and, divided among
tensor-parallel GPUs, queries, keys and values, the same in order, and of queries and keys what is turned, in fp32 and in 16 bits.
"""


class Pictures(NamedTuple):
    """Patches that are looked at, the tokens that come out, and the widths of the encoder and of the model."""

    patches: int
    tokens: int
    width: int
    d_model: int

    def peak(self, tp: int) -> int:
        """Bytes while the encoder attends."""
        return self.patches * 2 * (self.width * (STREAM * tp + HEADS) // tp + PIXELS)

    @property
    def kept(self) -> int:
        """Bytes of what comes out, which is kept while the model itself is tried."""
        return self.tokens * 2 * self.d_model


def tried(spec: ModelSpec, room: int, step: int, videos: bool = True) -> Pictures | None:
    """What is looked at of a model that has ``room`` tokens for a video, with ``step`` tokens a step; ``videos`` may be shown, or
    only images. None where that is not known, or nothing is seen.
    """
    tower = next((tower for tower in spec.towers if tower.name == "vision"), None)
    see = getattr(spec.sight, "see", None)
    if tower is None or see is None or spec.family not in FAMILIES:
        return None
    image = see(LARGE, LARGE)
    patches = sum(many * rows * columns for many, rows, columns in image.pictures)
    many = min(GRIDS, max(1, room // image.tokens)) if videos else max(1, step // image.tokens)
    return Pictures(many * patches, many * image.tokens, tower.width, spec.d_model)
