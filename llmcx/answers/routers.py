"""Four ways to send tokens to experts, for the same layers: what each changes in size, work, balance and dropped tokens.

Symbols: d d_model, E experts, k experts per token, n tokens, M layers with experts.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.errors import InputError


@dataclass(frozen=True)
class Router:
    """One way. ``params`` and ``flops_per_token`` of all its layers; ``dropped`` the expected share of assignments beyond
    capacity, ``unserved`` that of tokens which no expert takes (None: follows from no simple chance); ``hottest`` the fullest
    expert over the mean; ``causal`` whether a token's experts depend on nothing after it, without which one cannot decode.
    """

    router: str
    params: int
    flops_per_token: int
    dropped: float
    unserved: float | None
    hottest: float
    causal: bool
    note: str
    source: str


_REMARKS = {
    "top-k": ("even only by a loss or by luck", "arXiv:1701.06538, sec. 2.1"),
    "expert choice": ("a token's experts depend on the whole batch", "arXiv:2202.09368, sec. 3.2"),
    "hash": ("as even as the vocabulary", "arXiv:2106.04426, sec. 3"),
    "bias": ("even once the biases have settled", "arXiv:2408.15664, sec. 3"),
}
"""The note and the source of each."""


def routers(
    d_model: int, n_experts: int, top_k: int, layers: int, bias: bool, dropped_uniform: float, dropped: float, imbalance: float
) -> list[Router]:
    """The four of them. ``dropped_uniform`` and ``dropped`` are the shares beyond capacity under uniform routing and under
    ``imbalance`` (:func:`llmcx.parallel.routing.dropped`), 0 without a capacity.

    - top-k: M (d E) parameters (+ E of bias), 2 M d E FLOPs per token (Shazeer et al. 2017, arXiv:1701.06538, sec. 2.1).
    - expert choice: each expert takes the n k / E tokens that fit it best, so loads are equal and nothing overflows, but a token
      is taken by nobody with chance (1 - k/E)^E if experts choose independently (Zhou et al. 2022, arXiv:2202.09368, sec. 3.2).
    - hash: a fixed table of the vocabulary, no parameters and no FLOPs; top-1 in the paper (Roller et al. 2021,
      arXiv:2106.04426, sec. 3).
    - bias: top-k of score + b_e, where b_e is moved against the load by hand and not by a loss: E numbers a layer, no FLOPs that
      count (Wang et al. 2024, arXiv:2408.15664, sec. 3).

    Raises InputError (n_experts) below 1.

    >>> [(r.router, r.params, r.flops_per_token) for r in routers(8, 4, 2, 3, False, 0.0, 0.0, 1.0)]
    [('top-k', 96, 192), ('expert choice', 96, 192), ('hash', 0, 0), ('bias', 108, 192)]
    >>> routers(8, 4, 2, 3, False, 0.0, 0.0, 1.0)[1].unserved      # (1 - 2/4)^4
    0.0625
    """
    if n_experts < 1:
        raise InputError(f"n_experts is {n_experts}, but must be 1 or more", field="n_experts", value=n_experts)
    matrix = layers * d_model * n_experts
    learned, work = matrix + layers * n_experts * bias, 2 * matrix
    unserved = (1 - top_k / n_experts) ** n_experts
    alone, settled = (dropped, dropped_uniform) if top_k == 1 else (None, None)
    return [
        Router("top-k", learned, work, dropped, alone, imbalance, True, *_REMARKS["top-k"]),
        Router("expert choice", learned, work, 0.0, unserved, 1.0, False, *_REMARKS["expert choice"]),
        Router("hash", 0, 0, dropped, alone, imbalance, True, *_REMARKS["hash"]),
        Router("bias", matrix + layers * n_experts, work, dropped_uniform, settled, 1.0, True, *_REMARKS["bias"]),
    ]
