"""What vLLM looks at when it starts, to see how much memory that takes: the largest video of a sequence, else the largest image.

vllm/v1/worker/gpu_model_runner.py, profile_run; multimodal/encoder_budget.py (v1/worker/utils.py from 0.10 on); and the encoders
in model_executor/models. Known of the encoders of Qwen2-VL and Qwen2.5-VL, of which a start of 0.22 logged 15.26 GiB for 458,752
patches of Qwen2.5-VL-7B on one GPU, where 15.23 are reckoned (-14.28 GiB for the cache at 22% of an A100, tests/test_check.py);
of Qwen3-VL and Qwen3.5, which vLLM 0.32 ran on fake tensors (tests/oracle/vllm_towers.py); and likewise of Gemma 3, Mistral Small
3.1 and its kin with Pixtral's encoder, Llama 4, InternVL as transformers has it, and Idefics3 with SmolVLM (vllm_seen.py there).
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from llmcx.engines.vllm_lines import LINES, Version
from llmcx.model.pictures import Longest, Split, Square, Tiles
from llmcx.model.spec import ModelSpec
from llmcx.model.tower import Normed, Tower


class Held(NamedTuple):
    """Tensors as wide as the encoder that are alive at a moment: ``whole`` on each tensor-parallel GPU (the stream before
    and after the norm; of Qwen3-VL also the positions, and what comes out), ``divided`` among them (queries, keys and values, the
    same in order, what is turned, what is attended), ``summed`` over several; and ``inner`` as wide as its feed-forward, divided.
    """

    whole: int
    divided: int
    summed: int
    inner: int = 0


FIRST, THIRD = (Held(2, 11, 0),), (Held(4, 8, 1),)
ACTIVATING = Held(4, 0, 0, 2)
"""A plain feed-forward, before and after its activation."""
SIGLIP = (ACTIVATING, Held(5, 0, 1, 1))
"""With what comes out of it, which is summed."""
INTERN = (ACTIVATING, Held(8, 0, 0))
"""Attention that every GPU has whole."""
PIXTRAL = (Held(6, 0, 1, 3),)
"""A gated feed-forward: the gate beside what it opens, and their product."""
TURNED = (Held(3, 13, 0), *SIGLIP)
"""Queries and keys that are turned in 32 bits (Llama 4)."""
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


EVERY = 999
"""Images of a prompt that are allowed where nobody says how many."""
ROUNDED = (0, 9)
"""vLLM's last version that rounds up how many images fill a step."""
APART = (0, 10)
"""The first that lets GPUs look apart, of Qwen's and Llama 4's pictures; others are divided all the same."""
FRAMES = (0, 10)
"""The first that shows InternVL videos as transformers has it (models/interns1.py): as many frames as a sequence has room for."""


class Pictures(NamedTuple):
    """Patches that are looked at, numbers of a patch, the tokens that come out, and that are ``stored``, of the model's width,
    ``deep`` times more from within the encoder; its width and what it holds, with a feed-forward of ``inner``. ``items``:
    pictures that can be shared out among GPUs of which each has the encoder whole (``apart``; --mm-encoder-tp-mode data).
    """

    patches: int
    numbers: int
    tokens: int
    stored: int
    width: int
    d_model: int
    deep: int
    held: tuple[Held, ...]
    inner: int = 0
    items: int = 1
    apart: bool = False

    def peak(self, tp: int) -> int:
        """Bytes at the encoder's fullest moment. Where GPUs look apart, each sends as much as the one that has most, and has what
        all of them sent (models/vision.py, run_dp_sharded_mrope_vision_model).
        """
        if not self.apart or tp == 1:
            return self._looking(self.patches, self.tokens, tp) + 2 * self.numbers * self.patches
        share = self._share(tp)
        looking = self._looking(int(share * self.patches), int(share * self.tokens), 1)
        sent = (1 + self.deep) * int(share * self.tokens) * 2 * self.d_model
        stored = self.kept if self.stored > self.tokens else 0
        given = 2 * self.numbers * self.patches
        return given + max(looking + 2 * self.numbers * int(share * self.patches), (1 + tp) * sent, tp * sent + stored)

    def _looking(self, patches: int, tokens: int, tp: int) -> int:
        wide = max(
            (self.width * (of.whole * tp + of.divided) + of.inner * self.inner) // tp + (self.width * of.summed if tp > 1 else 0)
            for of in self.held
        )
        return patches * 2 * wide + self.deep * tokens * 2 * self.d_model

    def _share(self, tp: int) -> float:
        return -(-self.items // tp) / self.items

    @property
    def kept(self) -> int:
        """Bytes of what comes out, which is kept while the model itself is tried."""
        return (1 + self.deep) * self.stored * 2 * self.d_model

    def stays(self, tp: int) -> int:
        """The same on each of ``tp`` GPUs: what was sent stays whole where parts of it are kept as they are."""
        if not self.apart or tp == 1 or self.stored > self.tokens or self.held not in (FIRST, THIRD):
            return self.kept
        return tp * int(self._share(tp) * self.kept)


def tried(
    spec: ModelSpec,
    room: int,
    step: int,
    videos: bool = True,
    images: bool = True,
    version: Version = LATEST,
    most: int | None = None,
    apart: bool = False,
) -> Pictures | None:
    """What ``version`` looks at of a model that has ``room`` tokens for a video, with ``step`` tokens a step; ``videos`` and
    ``images`` may be shown, ``most`` images at once of all sequences; GPUs are to look ``apart``. None where that is not known,
    or nothing is seen.
    """
    tower = next((tower for tower in spec.towers if tower.name == "vision"), None)
    if tower is None:
        return None
    of = FAMILIES.get(spec.family or "")
    if of is None:
        found = _others(spec, tower, room, step, videos, images, version, most)
        if found is None or found.held is not TURNED:
            return found
        return found._replace(apart=apart and version >= APART)
    see = getattr(spec.sight, "see", None)
    if see is None:
        return None
    image = see(LARGE, LARGE)
    patches, tokens = sum(many * rows * columns for many, rows, columns in image.pictures), image.tokens
    numbers = 3 * 2 * getattr(spec.sight, "patch", 14) ** 2
    norms = [piece for each in spec.towers for piece in each.before if isinstance(piece, Normed)]
    deep = next((piece.times for piece in norms if piece.name == "deepstack.norm"), 0)
    timed = of is THIRD and videos and version <= TIMES
    if of is THIRD and videos and (timed or not images):
        patches, tokens = VIDEO * 3 // numbers, VIDEO * 3 // numbers * tokens // patches
    many = max(1, step // int(tokens * TIMED if timed else tokens))
    items = many
    if of is FIRST and videos:
        many, items = min(GRIDS, max(1, room // tokens)), 1
    patches, tokens = many * patches, many * tokens
    stored = int(tokens * TIMED) if timed else tokens
    return Pictures(patches, numbers, tokens, stored, tower.width, spec.d_model, deep, of, 0, items, apart and version >= APART)


def images_alone(spec: ModelSpec) -> bool:
    """Whether it is known that vLLM can show the model images and no videos."""
    tower = next((tower for tower in spec.towers if tower.name == "vision"), None)
    found = None if tower is None else _largest(spec, tower)
    return found is not None and found[0] is not INTERN and not isinstance(spec.sight, Split)  # SmolVLM sees videos


def _others(
    spec: ModelSpec, tower: Tower, room: int, step: int, videos: bool, images: bool, version: Version, most: int | None
) -> Pictures | None:
    """Encoders of images that are all of one size, or cut into squares."""
    found = _largest(spec, tower)
    if found is None or not tower.layers:
        return None
    held, patches, tokens = found
    sight = spec.sight
    if videos and held is INTERN and version >= FRAMES and isinstance(sight, Tiles):
        frames = max(1, room // sight.tokens)
        if frames * sight.tokens > tokens or not images:
            patches, tokens = frames * ((sight.side // sight.patch) ** 2 + tower.added), frames * sight.tokens
    many = max(step, tokens) / tokens
    many = ceil(many) if version <= ROUNDED else int(many)
    if most is not None:
        many = min(many, most)
    many = max(1, many)
    inner = getattr(tower.layers[0].ffn, "d_ff", 0)
    numbers = 3 * getattr(sight, "patch", 14) ** 2
    tiles = many * patches // ((sight.side // sight.patch) ** 2 + tower.added) if isinstance(sight, Tiles) else many
    out = many * tokens
    return Pictures(many * patches, numbers, out, out, tower.width, spec.d_model, 0, held, inner, tiles)


def _largest(spec: ModelSpec, tower: Tower) -> tuple[tuple[Held, ...], int, int] | None:
    """How the encoder of a family holds its tensors, and the patches and tokens of the image that has most of them; tokens that
    mark rows and edges are not counted, for no picture is put in their place.
    """
    sight, family = spec.sight, spec.family or ""
    if isinstance(sight, Square) and family.startswith("gemma3"):
        return SIGLIP, (sight.side // sight.patch) ** 2 + tower.added, sight.tokens
    if isinstance(sight, Longest) and sight.breaks:
        side = sight.edge // sight.patch
        return PIXTRAL, side**2, (side // sight.merge) ** 2
    held: tuple[Held, ...] = SIGLIP
    if isinstance(sight, Split):
        many = (sight.edge // sight.side) ** 2 + 1
    elif isinstance(sight, Tiles) and family == "llama4_text":
        held, many = TURNED, sight.most + 1
    elif isinstance(sight, Tiles) and any(piece.name == "scale.ffn" for piece in tower.inside):
        held, many = INTERN, sight.most + 1
    else:
        return None
    return held, many * ((sight.side // sight.patch) ** 2 + tower.added), many * sight.tokens
