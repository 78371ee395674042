"""Mixture of experts: what is stored, what one token uses, and what routing adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from llmcx.answers import Result
from llmcx.answers.routers import Router
from llmcx.answers.routers import routers as ways
from llmcx.costs import params as params_fold
from llmcx.costs.flops import fold, forward_flops
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.model.lower import Run, lower
from llmcx.model.spec import Layers, ModelSpec, MoE, check_size, sequence_length
from llmcx.ops.op import Op
from llmcx.parallel.expert_parallel import ExpertParallel, all_to_all_bytes, expert_parallel
from llmcx.parallel.routing import Simulated, capacity, distinct_experts, dropped, simulate


@dataclass(frozen=True)
class Dense:
    """A dense model of the same layers whose feed-forward is ``d_ff`` wide, as near as a whole width allows."""

    d_ff: int
    params: int
    flops_per_token: int
    moe_over_dense: float


@dataclass(frozen=True)
class DenseEquivalent:
    """Dense models with the MoE's active parameters, with all of its parameters, and with its FLOPs."""

    same_active: Dense
    same_total: Dense
    same_flops: Dense


@dataclass(frozen=True)
class Capacity:
    """What one expert accepts of a batch of ``tokens``, and the share of assignments expected to overflow.

    ``dropped_uniform`` is under uniform routing, ``dropped`` under the ``imbalance`` asked for (see ``routing``).
    """

    tokens: int
    factor: float
    per_expert: int
    dropped_uniform: float
    dropped: float


@dataclass(frozen=True)
class Touched:
    """Experts of a layer that a batch is expected to meet: a pass over all ``tokens``, and a decode step of ``batch`` tokens,
    which must read the weights of those it meets, ``decode_expert_bytes`` in all layers.
    """

    tokens: int
    imbalance: float
    distinct_experts: float
    decode_tokens: int
    decode_distinct_experts: float
    decode_expert_bytes: int


@dataclass(frozen=True, repr=False)
class Experts(Result, brief="total active n_experts top_k moe_layers"):
    """The MoE answer. ``expert`` are the routed experts' parameters, ``shared`` the always-on ones', ``router`` the routers'.

    ``sparsity`` is n_experts / top_k. ``granularity`` is 4·d_model over an expert's width, ``granularity_active`` the width
    that a token meets (its experts and the shared one) over an expert's width.
    """

    total: int
    active: int
    expert: int
    shared: int
    router: int
    moe_layers: int
    n_experts: int
    top_k: int
    expert_active_fraction: float
    sparsity: float
    granularity: float
    granularity_active: float
    flops_per_token: int
    router_flops_per_token: int
    capacity: Capacity | None
    dense_equivalent: DenseEquivalent
    all_to_all_bytes: int
    all_to_all_bytes_per_layer: int
    touched: Touched
    simulated: Simulated | None
    expert_parallel: ExpertParallel | None
    routers: list[Router]

    @property
    def shares(self) -> dict[str, int]:
        """The total in four: parameters ``other`` than experts, ``shared`` experts, experts that one token ``met``, and ``idle``
        ones, which are total - active.
        """
        idle = self.total - self.active
        rest = self.total - self.expert - self.shared
        return {"other": rest, "shared": self.shared, "met": self.expert - idle, "idle": idle}

    def rows(self) -> list[dict[str, Any]]:
        """The four parts of the total."""
        return [{"part": part, "params": size, "share": size / self.total} for part, size in self.shares.items()]


def moe(
    spec: ModelSpec,
    batch: int = 1,
    seq: int | None = None,
    *,
    capacity_factor: float | None = None,
    dtype: str = "bf16",
    imbalance: float = 1.0,
    ep: int | None = None,
    trials: int | None = None,
    seed: int = 0,
) -> Experts:
    """Cost of a spec with MoE layers. ``capacity_factor`` overrides the spec's; ``dtype`` is that of the weights and of the
    activations sent between GPUs; ``imbalance`` the hottest expert's load over the mean; ``ep`` the ranks that share out the
    experts; ``trials`` batches are drawn from ``seed``.

    Raises InputError for a model without experts.
    """
    groups = spec.mixtures
    if not groups:
        problem = (
            f"{spec.name} has no mixture-of-experts layer; add one with --experts and --top-k, or see `llmcx catalog models`"
        )
        raise InputError(problem, field="ffn")
    part = groups[0][1]
    seq = sequence_length(spec, seq)
    check_size("batch", batch)
    tokens = batch * seq
    ops = lower(spec, Run(batch, seq))
    sums = params_fold.fold.by(ops, lambda op: op.role)
    factor = part.capacity_factor if capacity_factor is None else capacity_factor
    limit, per_expert, even, skewed = None, None, 0.0, 0.0
    if factor is not None:
        if not 0 < factor < 1e6:
            problem = f"capacity_factor is {factor}, but must be a positive number"
            raise InputError(problem, field="capacity_factor", value=str(factor))
        per_expert = capacity(tokens, part.n_experts, part.top_k, factor)
        even, skewed = (dropped(tokens, part.n_experts, part.top_k, per_expert, load) for load in (1.0, imbalance))
        limit = Capacity(tokens, factor, per_expert, even, skewed)
    moe_layers = sum(repeat for repeat, _ in groups)
    sent = [(repeat, all_to_all_bytes(tokens, spec.d_model, ffn, factor, dtype)) for repeat, ffn in groups]
    parallel = None
    if ep is not None:
        parallel = expert_parallel(ep, groups, ops, tokens, spec.d_model, factor, dtype, imbalance)
    drawn = None
    if trials is not None:
        drawn = simulate(tokens, part.n_experts, part.top_k, per_expert, imbalance, trials, seed)
    routers = [op for op in ops if op.role == "router" and op.module == "router"]
    return Experts(
        total=params_fold.fold.total(ops),
        active=params_fold.active_fold.total(ops),
        expert=sums.get("expert", 0),
        shared=sums.get("shared_expert", 0),
        router=params_fold.fold.total(routers),
        moe_layers=moe_layers,
        n_experts=part.n_experts,
        top_k=part.top_k,
        expert_active_fraction=part.top_k / part.n_experts,
        sparsity=part.n_experts / part.top_k,
        granularity=4 * spec.d_model / part.expert.d_ff,
        granularity_active=part.top_k + (part.shared.d_ff / part.expert.d_ff if part.shared else 0),
        flops_per_token=fold.total(ops) // tokens,
        router_flops_per_token=fold.total(routers) // tokens,
        capacity=limit,
        dense_equivalent=dense_equivalent(spec, batch, seq),
        all_to_all_bytes=sum(repeat * size for repeat, size in sent),
        all_to_all_bytes_per_layer=sent[0][1],
        touched=touched(ops, part, tokens, batch, imbalance, dtype),
        simulated=drawn,
        expert_parallel=parallel,
        routers=ways(spec.d_model, part.n_experts, part.top_k, moe_layers, part.router_bias, even, skewed, imbalance),
    )


def touched(ops: list[Op], part: MoE, tokens: int, batch: int, imbalance: float, dtype: str) -> Touched:
    """Expected experts met, and the bytes that a decode step reads of them: over layers, distinct experts · an expert's bytes."""

    def met(n: int) -> float:
        return distinct_experts(n, part.n_experts, part.top_k, imbalance)

    read = 0.0
    for op in ops:
        if op.role == "expert":
            share = 1.0 if op.copies == 1 else distinct_experts(batch, op.copies, op.used, imbalance) / op.copies
            read += share * dtypes.size(params_fold.fold.of(op), dtype)
    return Touched(tokens, imbalance, met(tokens), batch, met(batch), round(read))


def dense_equivalent(spec: ModelSpec, batch: int, seq: int) -> DenseEquivalent:
    """The dense models to compare with: each MoE layer's experts replaced by one feed-forward block of the width that matches."""
    run = Run(batch, seq)
    ops = lower(spec, run)
    tokens = batch * seq
    exact = fold.total(ops)

    def match(wanted: int, cost: Callable[[ModelSpec], int]) -> Dense:
        # Every unit of width costs the same: the two widths about the one sought follow from the first two.
        one, two = (cost(dense_of(spec, width)) for width in (1, 2))
        high = max(2, 1 - (one - wanted) // (two - one))
        width = min((high - 1, high), key=lambda d: abs(one + (d - 1) * (two - one) - wanted))
        model = dense_of(spec, width)
        flops = forward_flops(model, run)
        return Dense(width, params_fold.count(model), flops // tokens, exact / flops)

    return DenseEquivalent(
        same_active=match(params_fold.active_fold.total(ops), params_fold.count),
        same_total=match(params_fold.fold.total(ops), params_fold.count),
        same_flops=match(exact, lambda model: forward_flops(model, run)),
    )


def dense_of(spec: ModelSpec, d_ff: int) -> ModelSpec:
    """The model with a dense feed-forward of that width in the place of its experts."""

    def swap(layers: Layers) -> Layers:
        return replace(layers, ffn=replace(layers.ffn.expert, d_ff=d_ff)) if isinstance(layers.ffn, MoE) else layers

    return spec.with_layers(swap)


def notes(result: Experts) -> list[str]:
    """What to bear in mind with a result."""
    said = [
        "FLOPs count every token on all of its top-k experts; tokens dropped at capacity would save some",
        "all-to-all: dispatch and combine of one forward pass, as if every expert were on another GPU",
        "distinct experts and dropped tokens are estimates: tokens are independent; under imbalance one expert is hot",
    ]
    p = result.expert_parallel
    if p is not None:
        said.append("expert parallelism: attention, shared experts and routers are held by every GPU; each brings an equal batch")
        if not p.even:
            said.append(
                f"uneven split: {result.n_experts:,} experts over {p.ranks:,} GPUs leave {p.full_ranks:,} with"
                f" {p.experts_per_rank:,} and {p.ranks - p.full_ranks:,} with {p.fewest_experts:,};"
                " memory and load are the fullest's"
            )
    return said
