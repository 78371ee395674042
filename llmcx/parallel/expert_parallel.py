"""Expert parallelism: which rank holds which experts, what crosses between ranks, and the rank that others wait for."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from llmcx.costs import params as params_fold
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.model.spec import MoE
from llmcx.ops.op import Op
from llmcx.parallel.layout import cut
from llmcx.parallel.routing import capacity, chances


@dataclass(frozen=True)
class ExpertParallel:
    """``ranks`` GPUs that share out the experts of every MoE layer; all else is held by each, and each brings an equal part
    of the batch.

    ``experts_per_rank`` is of the ``full_ranks`` fullest ranks, ``fewest_experts`` of the others (the same if ``even``).
    All-to-all bytes are of all ranks together; ``all_to_all_unique_bytes`` is the forward pass where a token goes to a rank
    once, however many of its experts live there. ``hot_rank_load`` is the fullest rank's expected assignments over the mean,
    the hot expert being one of its own.
    """

    ranks: int
    experts_per_rank: int
    fewest_experts: int
    full_ranks: int
    even: bool
    weight_bytes_per_rank: int
    lightest_weight_bytes: int
    replicated_bytes: int
    all_to_all_layer_bytes: int
    all_to_all_forward_bytes: int
    all_to_all_backward_bytes: int
    all_to_all_step_bytes: int
    all_to_all_step_bytes_per_rank: int
    all_to_all_unique_bytes: int | None
    hot_rank_load: float


def expert_parallel(
    ranks: int,
    layers: list[tuple[int, MoE]],
    ops: list[Op],
    tokens: int,
    d_model: int,
    factor: float | None,
    dtype: str,
    imbalance: float = 1.0,
) -> ExpertParallel:
    """Share out the experts of ``layers`` (repeat and part of each group) over ``ranks``; weights and activations in ``dtype``.

    Experts go round as evenly as they can: n_experts mod ranks of the ranks hold one more. Raises InputError for more ranks
    than experts.
    """
    fewest = min(part.n_experts for _, part in layers)
    if not 1 <= ranks <= fewest:
        raise InputError(
            f"ep is {ranks:,}, but must be 1 to {fewest:,}, the experts of a layer",
            field="ep",
            value=ranks,
            allowed=f"1 to {fewest}",
        )
    part = layers[0][1]
    most, least = cut(part.n_experts, ranks), part.n_experts // ranks
    inside = [op for op in ops if op.role == "expert"]
    replicated = params_fold.fold.total(ops) - params_fold.fold.total(inside)
    full = params_fold.fold.total(op._replace(copies=cut(op.copies, ranks)) for op in inside)
    light = params_fold.fold.total(op._replace(copies=op.copies // ranks) for op in inside)
    sent = [(repeat, crossing_bytes(tokens, d_model, ffn, factor, dtype, ranks)) for repeat, ffn in layers]
    forward = sum(repeat * size for repeat, size in sent)
    unique = None
    if factor is None:
        unique = sum(repeat * unique_bytes(tokens, d_model, ffn, dtype, ranks) for repeat, ffn in layers)
    hot, other = chances(part.n_experts, part.top_k, imbalance)
    return ExpertParallel(
        ranks=ranks,
        experts_per_rank=most,
        fewest_experts=least,
        full_ranks=part.n_experts % ranks or ranks,
        even=most == least,
        weight_bytes_per_rank=dtypes.size(replicated + full, dtype),
        lightest_weight_bytes=dtypes.size(replicated + light, dtype),
        replicated_bytes=dtypes.size(replicated, dtype),
        all_to_all_layer_bytes=sent[0][1],
        all_to_all_forward_bytes=forward,
        all_to_all_backward_bytes=forward,
        all_to_all_step_bytes=2 * forward,
        all_to_all_step_bytes_per_rank=cut(2 * forward, ranks),
        all_to_all_unique_bytes=unique,
        hot_rank_load=ranks * (hot + (most - 1) * other) / part.top_k,
    )


def slots_of(tokens: int, part: MoE, factor: float | None) -> int:
    """Activations that a layer sends to its experts: tokens · top_k assignments, or with a capacity, buffers of a fixed size,
    n_experts · capacity (Fedus et al. 2021, arXiv:2101.03961, sec. 5.4: E × C × d_model each way).
    """
    return tokens * part.top_k if factor is None else part.n_experts * capacity(tokens, part.n_experts, part.top_k, factor)


def all_to_all_bytes(tokens: int, d_model: int, part: MoE, factor: float | None, dtype: str) -> int:
    """Bytes that one MoE layer moves in a forward pass, dispatch and combine together, if every expert is on another GPU.

    Without a capacity each assignment sends d_model activations there and back: 2 · tokens · top_k · d_model · bytes.
    With one, the buffers have a fixed size: 2 · n_experts · capacity · d_model · bytes (Fedus et al. 2021, sec. 5.4:
    E × C × d_model each way).

    >>> from llmcx.model.ffn import Gated
    >>> all_to_all_bytes(tokens=4, d_model=8, part=MoE(4, 2, Gated(16)), factor=None, dtype="bf16")
    256
    """
    return dtypes.size(2 * slots_of(tokens, part, factor) * d_model, dtype)


def crossing_bytes(tokens: int, d_model: int, part: MoE, factor: float | None, dtype: str, ranks: int) -> int:
    """Bytes one layer moves between ranks in a forward pass: 2 · slots · d_model · bytes · (ranks - 1) / ranks, rounded up.

    slots are tokens · top_k assignments, or the fixed buffers n_experts · capacity (Fedus et al. 2021, arXiv:2101.03961,
    sec. 5.4). Of a token's picks, those on its own rank do not travel. Tokens lie evenly over ranks, so that share is
    the mean over ranks of (chance of a pick on the rank) = 1/ranks: exact in expectation for any split and any imbalance.
    The backward pass sends each gradient the way back: the same bytes.

    >>> from llmcx.model.ffn import Gated
    >>> crossing_bytes(tokens=4, d_model=8, part=MoE(4, 2, Gated(16)), factor=None, dtype="bf16", ranks=4)
    192
    """
    return cut(all_to_all_bytes(tokens, d_model, part, factor, dtype) * (ranks - 1), ranks)


def unique_bytes(tokens: int, d_model: int, part: MoE, dtype: str, ranks: int) -> int:
    """The same when a token is sent once to each rank that holds one of its experts, under uniform routing, rounded up:
    2 · tokens · d_model · bytes · (ranks - 1)/ranks · the sum over ranks of 1 - C(E - held, k)/C(E, k).

    The last factor is the expected number of ranks a token meets: a rank is missed if all k picks fall outside its experts.

    >>> from llmcx.model.ffn import Gated
    >>> unique_bytes(tokens=4, d_model=8, part=MoE(4, 2, Gated(16)), dtype="bf16", ranks=2)      # 2·(1 - 1/6) = 5/3 ranks
    107
    """
    n, k = part.n_experts, part.top_k
    ways, extra, missed = comb(n, k), n % ranks, n - n // ranks
    met = (ranks - extra) * (ways - comb(missed, k)) + (extra * (ways - comb(missed - 1, k)) if extra else 0)
    return cut(dtypes.size(2 * tokens * d_model, dtype) * (ranks - 1) * met, ranks * ways)
