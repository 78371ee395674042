"""Three ways to count the FLOPs of one training run, side by side.

``exact``: every matrix product that runs, forward and backward (:func:`llmcx.answers.flops.flops`). ``six_nd``: 6 N D with all
parameters (Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1, who leave embeddings out). ``appendix_f``: Hoffmann et al. 2022,
arXiv:2203.15556, appendix F, which adds to the forward pass 2 n V d for the embeddings, as if looked up by a product with one-hot
vectors, and 3 H n² per layer for the softmax, and takes the backward pass as twice that. ``appendix_f_layers`` is that without
embeddings and logits: the paper's text includes them, but its Table A4 comes out to the digit only without.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.costs.flops import backward_fold, fold
from llmcx.costs.flops import softmax as softmax_flops
from llmcx.costs.params import active as count_active
from llmcx.costs.params import count, counted_by_law
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec, check_size, sequence_length
from llmcx.ops.op import in_layers


@dataclass(frozen=True)
class Accounting:
    """FLOPs of training on ``tokens`` in sequences of ``seq``; ratios are over 6 N D. A token meets ``active`` of ``params``;
    ``active_non_embedding`` leaves out the embeddings and an untied head.
    """

    seq: int
    tokens: int
    params: int
    active: int
    active_non_embedding: int
    exact: int
    six_nd: int
    appendix_f: int
    appendix_f_layers: int
    exact_ratio: float
    appendix_f_ratio: float
    appendix_f_layers_ratio: float


def accounting(spec: ModelSpec, tokens: int, seq: int | None = None) -> Accounting:
    """FLOPs of one epoch over ``tokens`` tokens in sequences of ``seq`` (default: the context), nothing recomputed.

    A last, shorter sequence is charged by the token, rounded down. 6 N D takes the active parameters, as is the custom for
    mixtures of experts; of a dense model they are all. Limits: tokens from 1. Raises InputError (tokens, seq).

    Hoffmann et al., Table A4: 40 layers of 3584, 6.8B parameters, cost 0.99 times 6 N D. Per layer and token 24 · 3584² +
    4 · 2048 · 3584 + 3 · 28 · 2048 = 337,813,504 FLOPs; 3 · 40 · 337,813,504 / (6 · 6,796e6) = 0.994.

    >>> from llmcx.answers.shapes import model
    >>> accounting(model(40, 3584, 32000), 1, 2048).appendix_f_layers == 3 * 40 * 337_813_504
    True
    """
    check_size("tokens", tokens)
    n = sequence_length(spec, seq)
    ops = lower(spec, Run(1, n))
    forward = fold.total(ops)
    exact = (forward + backward_fold.total(ops)) * tokens // n
    looked_up = sum(2 * op.dims["tokens"] * op.dims["rows"] * op.dims["width"] * op.times for op in ops if op.kind == "lookup")
    softmax = sum(softmax_flops(**op.dims) * op.times for op in ops if op.kind == "softmax")
    inside = fold.total(op for op in ops if in_layers(op))
    appendix_f = 3 * (forward + looked_up + softmax) * tokens // n
    layers = 3 * (inside + softmax) * tokens // n
    active = count_active(spec)
    inner = counted_by_law(spec, "non-embedding")
    six_nd = 6 * active * tokens
    ratios = (exact / six_nd, appendix_f / six_nd, layers / six_nd)
    return Accounting(n, tokens, count(spec), active, inner, exact, six_nd, appendix_f, layers, *ratios)
