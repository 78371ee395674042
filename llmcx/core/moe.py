"""Mixture of experts: what is stored, what one token uses, and what routing adds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, comb, exp, lgamma, log, log1p

from . import dtypes
from . import params as params_fold
from .errors import InputError
from .flops import fold, forward_flops, sequence_length
from .lower import Run, lower
from .ops import Line
from .parts import Gated, Layers, ModelSpec, MoE, Plain, check_size


@dataclass(frozen=True)
class Dense:
    """A dense model of the same layers whose feed-forward is ``d_ff`` wide, as near as a whole width allows."""

    d_ff: int
    params: int
    flops_per_token: int
    moe_over_dense: float


@dataclass(frozen=True)
class DenseEquivalent:
    """Dense models with the MoE's active parameters, and with all of its parameters."""

    same_active: Dense
    same_total: Dense


@dataclass(frozen=True)
class Capacity:
    """What one expert accepts of a batch of ``tokens``, and the share of assignments expected to overflow.

    ``dropped_uniform`` assumes that every token picks its experts uniformly at random; a trained router is never that even.
    """

    tokens: int
    factor: float
    per_expert: int
    dropped_uniform: float


@dataclass(frozen=True)
class Experts:
    """The MoE answer. ``expert`` are the routed experts' parameters, ``shared`` the always-on ones', ``router`` the routers'."""

    total: int
    active: int
    expert: int
    shared: int
    router: int
    moe_layers: int
    n_experts: int
    top_k: int
    expert_active_fraction: float
    flops_per_token: int
    router_flops_per_token: int
    capacity: Capacity | None
    dense_equivalent: DenseEquivalent
    all_to_all_bytes: int
    all_to_all_bytes_per_layer: int
    lines: list[Line]


def capacity(tokens: int, n_experts: int, top_k: int, factor: float) -> int:
    """Tokens an expert accepts: ceil(tokens · top_k / n_experts · factor).

    Fedus et al. 2021, arXiv:2101.03961, eq. 3 (top_k = 1 there). ``factor`` is taken as the decimal it was written as.

    >>> capacity(tokens=1024, n_experts=8, top_k=1, factor=1.25)
    160
    """
    digits = 10**9
    scaled = round(factor * digits)
    return -(-tokens * top_k * scaled // (n_experts * digits))


def dropped_uniform(tokens: int, n_experts: int, top_k: int, per_expert: int) -> float:
    """Expected share of assignments beyond capacity when each token picks ``top_k`` distinct experts uniformly.

    An expert receives X ~ Binomial(tokens, top_k / n_experts); the share is E[max(0, X - capacity)] / E[X]
    (experts are exchangeable, so one speaks for all). A tail sum over at most a few standard deviations.

    >>> dropped_uniform(tokens=2, n_experts=2, top_k=1, per_expert=1)      # both on one expert half of the time: 1 of 2 dropped
    0.25
    """
    p = top_k / n_experts
    mean = tokens * p
    if per_expert >= tokens:
        return 0.0
    if p == 1:
        return (tokens - per_expert) / tokens
    if tokens <= 60:
        over = sum((x - per_expert) * comb(tokens, x) * p**x * (1 - p) ** (tokens - x) for x in range(per_expert + 1, tokens + 1))
        return over / mean
    deviation = (mean * (1 - p)) ** 0.5
    last = min(tokens, ceil(max(mean, per_expert) + 12 * deviation + 12))
    start = max(per_expert + 1, int(mean - 12 * deviation))
    choose = lgamma(tokens + 1)
    over = 0.0
    for x in range(start, last + 1):
        logp = choose - lgamma(x + 1) - lgamma(tokens - x + 1) + x * log(p) + (tokens - x) * log1p(-p)
        over += (x - per_expert) * exp(logp)
    return over / mean


def moe_groups(spec: ModelSpec) -> Iterator[tuple[Layers, MoE]]:
    """The layer groups whose feed-forward is a mixture of experts."""
    for layers in spec.groups:
        if isinstance(layers.ffn, MoE):
            yield layers, layers.ffn


def moe(
    spec: ModelSpec,
    batch: int = 1,
    seq: int | None = None,
    *,
    capacity_factor: float | None = None,
    dtype: str = "bf16",
) -> Experts:
    """Cost of a spec with MoE layers. ``capacity_factor`` overrides the spec's; ``dtype`` is that of the activations
    sent between GPUs.

    Raises InputError for a model without experts.
    """
    groups = list(moe_groups(spec))
    if not groups:
        raise InputError(
            f"{spec.name} has no mixture-of-experts layer; add one with --experts and --top-k, or see `llmcx presets list`",
            field="ffn",
        )
    part = groups[0][1]
    seq = sequence_length(spec, seq)
    check_size("batch", batch)
    tokens = batch * seq
    ops = lower(spec, Run(batch, seq))
    sums = params_fold.fold.by(ops, lambda op: op.component.rpartition(".")[0] or op.component)
    factor = part.capacity_factor if capacity_factor is None else capacity_factor
    limit = None
    if factor is not None:
        if not 0 < factor < 1e6:
            raise InputError(
                f"capacity_factor is {factor}, but must be a positive number", field="capacity_factor", value=str(factor)
            )
        per_expert = capacity(tokens, part.n_experts, part.top_k, factor)
        limit = Capacity(tokens, factor, per_expert, dropped_uniform(tokens, part.n_experts, part.top_k, per_expert))
    moe_layers = sum(layers.repeat for layers, _ in groups)
    sent = [
        (layers.repeat, all_to_all_bytes(tokens, spec.d_model, ffn.top_k, ffn.n_experts, factor, dtype)) for layers, ffn in groups
    ]
    routers = [op for op in ops if op.component == "moe.router"]
    return Experts(
        total=params_fold.fold.total(ops),
        active=params_fold.active_fold.total(ops),
        expert=sums.get("moe.expert", 0),
        shared=sums.get("moe.shared", 0),
        router=params_fold.fold.total(routers),
        moe_layers=moe_layers,
        n_experts=part.n_experts,
        top_k=part.top_k,
        expert_active_fraction=part.top_k / part.n_experts,
        flops_per_token=fold.total(ops) // tokens,
        router_flops_per_token=fold.total(routers) // tokens,
        capacity=limit,
        dense_equivalent=dense_equivalent(spec, batch, seq),
        all_to_all_bytes=sum(repeat * size for repeat, size in sent),
        all_to_all_bytes_per_layer=sent[0][1],
        lines=[line for line in fold.explain(ops) if line.component.startswith("moe.")]
        + _explained(tokens, spec, part, limit, sent[0][1]),
    )


def _explained(tokens: int, spec: ModelSpec, part: MoE, limit: Capacity | None, sent: int) -> list[Line]:
    lines = []
    if limit is not None:
        numbers = f"ceil({tokens:,}·{part.top_k}/{part.n_experts:,}·{limit.factor:g})"
        source = "Fedus et al. 2021, arXiv:2101.03961, eq. 3"
        lines.append(
            Line("capacity of one expert", "ceil(tokens·top_k/n_experts·capacity_factor)", numbers, limit.per_expert, source)
        )
    slots = tokens * part.top_k if limit is None else part.n_experts * limit.per_expert
    numbers = f"2·{slots:,}·{spec.d_model:,}·bytes"
    source = "Fedus et al. 2021, arXiv:2101.03961, sec. 5.4: dispatch and combine"
    return [*lines, Line("all-to-all of one layer, bytes", "2·slots·d_model·bytes", numbers, sent, source)]


def all_to_all_bytes(tokens: int, d_model: int, top_k: int, n_experts: int, factor: float | None, dtype: str) -> int:
    """Bytes that one MoE layer moves in a forward pass, dispatch and combine together, if every expert is on another GPU.

    Without a capacity each assignment sends d_model activations there and back: 2 · tokens · top_k · d_model · bytes.
    With one, the buffers have a fixed size: 2 · n_experts · capacity · d_model · bytes (Fedus et al. 2021, sec. 5.4:
    E × C × d_model each way).

    >>> all_to_all_bytes(tokens=4, d_model=8, top_k=2, n_experts=4, factor=None, dtype="bf16")
    256
    """
    slots = tokens * top_k if factor is None else n_experts * capacity(tokens, n_experts, top_k, factor)
    return dtypes.size(2 * slots * d_model, dtype)


def dense_equivalent(spec: ModelSpec, batch: int, seq: int) -> DenseEquivalent:
    """The dense models to compare with: each MoE layer's experts replaced by one feed-forward block of the width that matches."""
    ops = lower(spec, Run(batch, seq))
    wanted = params_fold.active_fold.total(ops), params_fold.fold.total(ops)
    tokens = batch * seq
    exact = fold.total(ops)

    def match(params: int) -> Dense:
        low, high = 1, 2
        while params_fold.count(_dense(spec, high)) < params:
            high *= 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if params_fold.count(_dense(spec, middle)) < params else (low, middle)
        width = min((low, high), key=lambda d: abs(params_fold.count(_dense(spec, d)) - params))
        model = _dense(spec, width)
        flops = forward_flops(model, Run(batch, seq))
        return Dense(width, params_fold.count(model), flops // tokens, exact / flops)

    return DenseEquivalent(match(wanted[0]), match(wanted[1]))


def _dense(spec: ModelSpec, d_ff: int) -> ModelSpec:
    from dataclasses import replace

    def swap(layers: Layers) -> Layers:
        if not isinstance(layers.ffn, MoE):
            return layers
        block: Plain | Gated = replace(layers.ffn.expert, d_ff=d_ff)
        return replace(layers, ffn=block)

    return replace(spec, encoder=tuple(map(swap, spec.encoder)), decoder=tuple(map(swap, spec.decoder)))


NOTES = [
    "FLOPs count every token on all of its top-k experts; tokens dropped at capacity would save some",
    "all-to-all: dispatch and combine of one forward pass, as if every expert were on another GPU",
]
