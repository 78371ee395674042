"""Where the textbook chapter is wrong or loose, by topic: the table of docs/chapter.md, which the test holds against this."""

from __future__ import annotations

from llmcx.explain import Slip

SLIPS: dict[str, tuple[Slip, ...]] = {
    "decode": (
        Slip(
            "GPT-3 takes 3.5e13 FLOPs per generated token",
            "leading order, and for a whole 2048-token sequence; exactly 7.35e14 per sequence, 3.6e11 per cached token",
        ),
    ),
    "chapter-activations": (
        Slip("GPT-3's training scores take 500 GB, 800 GB in all", "4.95 TB, 5.26 TB in all: a tenfold slip"),
    ),
    "flops.linear": (
        Slip("a head's projections cost n d_h², so n d²/H in all", "a head projects from d: n d d_h, n d² for all heads"),
    ),
    "convention": (Slip("the feed-forward costs 8 n d²", "multiply-adds; 16 n d² FLOPs"),),
    "checkpointing": (Slip("checkpointing doubles compute", "it doubles the forward: 3 units become 4"),),
    "local": (Slip("sparse attention costs 256 d, whatever n", "per query; s n d in all"),),
    "moe": (
        Slip(
            "a mixture of experts costs k n d²/E",
            "only where the experts split one dense feed-forward; with full-size experts it is top_k times dense, plus the"
            " router",
        ),
        Slip("1/2048 of Switch's parameters are active", "of its experts' parameters"),
        Slip("Switch computes about as much as GPT-3", "the paper's 890 GFLOPs per sequence are far below"),
    ),
    "generalisation": (
        Slip("sqrt(P log n / n) is about 6, with log n = 38", "ln 1e11 = 25.3 gives 5.03, log2 1e11 = 36.5 gives 6.04"),
    ),
    "leading-order": (
        Slip(
            "attention costs 4 times the feed-forward at n = 4d",
            "at leading order; with constants 4 n² d = 16 n d² at n = 4d",
        ),
    ),
}
ALSO = {
    "flops": ("flops.linear", "convention", "decode", "leading-order"),
    "crossover": ("leading-order",),
    "linear": ("flops.linear",),
    "feed-forward": ("convention",),
    **dict.fromkeys(("standard", "attention"), ("flops.linear",)),
    "activations": ("chapter-activations",),
    "backward": ("checkpointing",),
    **dict.fromkeys(("strided", "longformer", "sliding", "bigbird", "fixed"), ("local",)),
    "active": ("moe",),
}
"""Topics that tell the slips of others too."""


def of(name: str) -> list[Slip]:
    """The slips that a topic tells."""
    return [slip for each in (name, *ALSO.get(name, ())) for slip in SLIPS.get(each, ())]
