"""The fold of what a GPU sends: elements, forward and backward, by ring algorithms."""

from __future__ import annotations

from llmcx.ops.fold import Fold
from llmcx.ops.op import KINDS

_RING = "Thakur et al. 2005, doi:10.1177/1094342005051521, sec. 4: each rank sends its share to the next, ranks - 1 times"


def _folds(name: str, passes: str) -> Fold:
    made = Fold(f"elements sent {name}", weight_text="layers", free=KINDS)

    @made.rule("all_reduce", text=f"{passes}·2·elements·(ranks - 1)/ranks", source=_RING)
    def all_reduce(elements: int, ranks: int, **dims: int) -> int:
        """A reduce-scatter and an all-gather."""
        return dims[passes] * 2 * _share(elements, ranks)

    @made.rule("reduce_scatter", "all_gather", text=f"{passes}·elements·(ranks - 1)/ranks", source=_RING)
    def shared_out(elements: int, ranks: int, **dims: int) -> int:
        """All but a rank's own share."""
        return dims[passes] * _share(elements, ranks)

    @made.rule("all_to_all", text=f"{passes}·elements·(ranks - 1)/ranks", source="experts are met evenly: 1/ranks stay")
    def all_to_all(elements: int, ranks: int, **dims: int) -> int:
        """What is not the rank's own."""
        return dims[passes] * _share(elements, ranks)

    @made.rule("ring", "send", text=f"{passes}·elements", source="Liu et al. 2023, arXiv:2310.01889, sec. 3")
    def passed_on(elements: int, **dims: int) -> int:
        """All of it."""
        return dims[passes] * elements

    return made


def _share(elements: int, ranks: int) -> int:
    return -(-elements * (ranks - 1) // ranks)


sent_fold, sent_backward_fold = _folds("forward", "forward"), _folds("backward", "backward")
