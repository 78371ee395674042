"""What is stored and what is met, the experts' FLOPs, what routing is expected to do: in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable

from llmcx.answers import Line
from llmcx.answers.moe import Experts, dense_of
from llmcx.costs import params as params_fold
from llmcx.costs.flops import fold, forward_flops
from llmcx.explain.rows.params import active, counted
from llmcx.explain.terms import by_component, summed, terms, tree
from llmcx.explain.written import told, written
from llmcx.formats import dtypes
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec, MoE
from llmcx.ops.op import Op
from llmcx.parallel.expert_parallel import all_to_all_bytes, slots_of
from llmcx.parallel.routing import chances

_SHAZEER = "Shazeer et al. 2017, arXiv:1701.06538, sec. 2"
_FEDUS = "Fedus et al. 2021, arXiv:2101.03961, sec. 5.4: dispatch and combine"
_CHANCE = "independent tokens, top_k distinct experts each; p = top_k / n_experts if uniform"
_NONE = "an expectation under that assumption: a trained router's loads are less even (docs/moe.md)"


def rows(spec: ModelSpec, answer: Experts, dtype: str) -> list[Line]:
    """The formulas of an answer about ``spec`` whose activations are sent in ``dtype``."""
    tokens, batch, part = answer.touched.tokens, answer.touched.decode_tokens, spec.mixtures[0][1]
    run = Run(batch, tokens // batch)
    ops = lower(spec, run)
    factor = None if answer.capacity is None else answer.capacity.factor
    return [
        *_stored(ops, answer),
        *_flops(ops, answer, tokens),
        *_sent(spec, answer, part, factor, dtype),
        *_ratios(spec, answer, part),
        *_capacity(answer, part),
        *_dense(spec, answer, run, ops),
        *_met(answer, part, batch, ops, dtype),
        *_routers(spec, answer),
        *_parallel(answer),
    ]


def _stored(ops: list[Op], answer: Experts) -> list[Line]:
    """The total and what a token meets of it; then the experts, the shared ones, the routers."""
    lines = counted(ops)
    lines.append(summed("total", lines, "each parameter once, tied ones once"))
    lines += active(ops, answer.total, answer.active)
    for name, roles in (("expert", ("expert",)), ("shared", ("shared_expert",)), ("router", ("router",))):
        some = [op for op in ops if op.role in roles and (name != "router" or op.module == "router")]
        within = [line._replace(component=f"{line.component}, of {name}") for line in terms(params_fold.fold, some)]
        lines.append(summed(name, within, _SHAZEER) if within else Line(name, "none", "0", 0, _SHAZEER))
    return lines


def _flops(ops: list[Op], answer: Experts, tokens: int) -> list[Line]:
    """Every op of the pass, per token."""
    each = [line._replace(component=f"forward {line.component}") for line in tree(by_component(terms(fold, ops)))]
    heads = [line for line in each if " in " not in line.component]
    total = summed("forward", heads)
    routed = fold.total(op for op in ops if op.role == "router" and op.module == "router")
    return [
        *each,
        total,
        Line(
            "flops_per_token",
            "floor(forward / tokens)",
            f"floor({total.value:,} / {tokens:,})",
            answer.flops_per_token,
            "llmcx flops",
        ),
        Line(
            "router_flops_per_token",
            "floor(FLOPs of the routers / tokens)",
            f"floor({routed:,} / {tokens:,})",
            answer.router_flops_per_token,
            _SHAZEER,
        ),
    ]


def _sent(spec: ModelSpec, answer: Experts, part: MoE, factor: float | None, dtype: str) -> list[Line]:
    """What crosses if every expert is on another GPU."""
    tokens = answer.touched.tokens
    slots, bytes_ = slots_of(tokens, part, factor), dtypes.bits(dtype) / 8
    sizes = [(repeat, all_to_all_bytes(tokens, spec.d_model, ffn, factor, dtype)) for repeat, ffn in spec.mixtures]
    per = answer.all_to_all_bytes_per_layer
    what = "slots: tokens · top_k" if factor is None else "slots: n_experts · capacity"
    numbers = f"2·{slots:,}·{spec.d_model:,}·{bytes_:g}"
    every = " + ".join(f"{repeat:,}·{size:,}" for repeat, size in sizes)
    return [
        Line("all_to_all_bytes_per_layer", "2·slots·d_model·bytes", numbers, per, _FEDUS, f"{what}; there and back"),
        Line("all_to_all_bytes", "Σ layers · all-to-all of one layer", every, answer.all_to_all_bytes, _FEDUS),
    ]


def _ratios(spec: ModelSpec, answer: Experts, part: MoE) -> list[Line]:
    width = part.expert.d_ff
    shared = 0 if part.shared is None else part.shared.d_ff
    krajewski = "Krajewski et al. 2024, arXiv:2402.07871: G = d_ff / d_expert, for a dense d_ff of 4·d_model"
    met = f"({part.top_k}·{width:,} + {shared:,}) / {width:,}"
    return [
        Line(
            "expert_active_fraction",
            "top_k / n_experts",
            f"{part.top_k:,} / {part.n_experts:,}",
            answer.expert_active_fraction,
            _SHAZEER,
        ),
        Line("sparsity", "n_experts / top_k", f"{part.n_experts:,} / {part.top_k:,}", answer.sparsity, _SHAZEER),
        Line("granularity", "4·d_model / d_expert", f"4·{spec.d_model:,} / {width:,}", answer.granularity, krajewski),
        Line("granularity_active", "(top_k·d_expert + d_shared) / d_expert", met, answer.granularity_active, krajewski),
    ]


def _capacity(answer: Experts, part: MoE) -> list[Line]:
    """What one expert accepts, and what is expected to overflow."""
    limit, tokens, n, k = answer.capacity, answer.touched.tokens, part.n_experts, part.top_k
    if limit is None:
        return []
    source = "Fedus et al. 2021, arXiv:2101.03961, eq. 3"
    numbers = f"ceil({tokens:,}·{k} / {n:,}·{limit.factor:g})"
    formula = "(E[max(0, Hot - capacity)] + (n_experts - 1)·E[max(0, Other - capacity)]) / (tokens·top_k)"
    found = [Line("capacity.per_expert", "ceil(tokens·top_k / n_experts·capacity_factor)", numbers, limit.per_expert, source)]
    for name, value, load in (
        ("capacity.dropped_uniform", limit.dropped_uniform, 1.0),
        ("capacity.dropped", limit.dropped, answer.touched.imbalance),
    ):
        hot, other = chances(n, k, load)
        where = f"Hot ~ Binomial({tokens:,}, {hot:.6g}), Other ~ Binomial({tokens:,}, {other:.6g}), capacity {limit.per_expert:,}"
        found.append(Line(name, formula, "", value, "independent tokens, one hot expert", where, _NONE))
    return found


def _dense(spec: ModelSpec, answer: Experts, run: Run, ops: list[Op]) -> list[Line]:
    """Dense models beside it: as each unit of width costs the same, two widths tell all."""
    found: list[Line] = []
    of, exact = answer.dense_equivalent, fold.total(ops)
    counts: Callable[[ModelSpec], int] = params_fold.count
    for name, dense, wanted, cost in (
        ("same_active", of.same_active, answer.active, counts),
        ("same_total", of.same_total, answer.total, counts),
        ("same_flops", of.same_flops, exact, lambda model: forward_flops(model, run)),
    ):
        one, two = (cost(dense_of(spec, width)) for width in (1, 2))
        ratio, name = f"{answer.flops_per_token:,} / {dense.flops_per_token:,}", f"dense_equivalent.{name}"
        width = f"round(1 + ({wanted:,} - {one:,}) / ({two:,} - {one:,}))"
        made = Line(
            f"{name}.d_ff", "round(1 + (wanted - cost of width 1) / (cost of 2 - cost of 1))", width, dense.d_ff, _SHAZEER
        )
        n = f"{counts(dense_of(spec, 1)):,} + {dense.d_ff - 1:,}·{counts(dense_of(spec, 2)) - counts(dense_of(spec, 1)):,}"
        formula = "FLOPs of the mixture / of the dense model"
        found += [
            made,
            Line(f"{name}.params", "params of width 1 + (d_ff - 1)·params of a unit", n, dense.params, "llmcx params"),
            Line(
                f"{name}.flops_per_token",
                "floor(forward / tokens)",
                f"floor({forward_flops(dense_of(spec, dense.d_ff), run):,} / {answer.touched.tokens:,})",
                dense.flops_per_token,
                "llmcx flops",
            ),
            Line(f"{name}.moe_over_dense", formula, ratio, dense.moe_over_dense, "llmcx flops"),
        ]
    return found


def _met(answer: Experts, part: MoE, batch: int, ops: list[Op], dtype: str) -> list[Line]:
    """Distinct experts of a layer, and the bytes that a decode step reads of them."""
    n, k, touched = part.n_experts, part.top_k, answer.touched
    hot, other = chances(n, k, touched.imbalance)
    formula = "1 - (1 - p_hot)^tokens + (n_experts - 1)·(1 - (1 - p)^tokens)"
    lines = []
    for name, tokens, value in (
        ("touched.distinct_experts", touched.tokens, touched.distinct_experts),
        ("touched.decode_distinct_experts", batch, touched.decode_distinct_experts),
    ):
        numbers = f"1 - (1 - {hot:.9g})^{tokens:,} + {n - 1:,}·(1 - (1 - {other:.9g})^{tokens:,})"
        lines.append(Line(name, formula, numbers, value, _CHANCE, f"{tokens:,} tokens", _NONE))
    experts = [op for op in ops if op.role == "expert" and params_fold.fold.of(op)]
    size = dtypes.size(sum(map(params_fold.fold.of, experts)), dtype)
    alike = {op.copies for op in experts} == {n}
    numbers = f"round({touched.decode_distinct_experts:.9g} / {n:,}·{size:,})" if alike else ""
    lines.append(
        Line(
            "touched.decode_expert_bytes",
            "round(distinct experts / n_experts · bytes of all experts)",
            numbers,
            touched.decode_expert_bytes,
            "each expert that is met is read once",
        )
    )
    return lines


def _routers(spec: ModelSpec, answer: Experts) -> list[Line]:
    """The same layers under other routers."""
    found, d = [], written(spec.d_model, "d_model")
    matrix = written(answer.moe_layers, "layers") * d * written(answer.n_experts, "n_experts")
    for one in answer.routers:
        name = f"routers.{one.router}"
        n = one.params - matrix
        value = matrix + written(int(n), "biases") if one.params else 0
        formula, numbers = told(value)
        found.append(Line(f"{name}.params", formula, numbers, one.params, one.source))
        hottest = "1" if one.hottest == 1 else f"{one.hottest:g}"
        found.append(Line(f"{name}.hottest", "load of the hottest expert / mean, as stated", hottest, one.hottest, one.source))
        formula, numbers = told(2 * matrix if one.flops_per_token else 0)
        found.append(Line(f"{name}.flops_per_token", formula, numbers, one.flops_per_token, one.source))
        if one.unserved is not None and one.router == "expert choice":
            numbers = f"(1 - {answer.top_k} / {answer.n_experts})^{answer.n_experts}"
            where = "the share of tokens that no expert takes, if experts choose independently"
            formula = "(1 - top_k / n_experts)^n_experts"
            found.append(Line(f"{name}.unserved", formula, numbers, one.unserved, one.source, where, _NONE))
    return found


def _parallel(answer: Experts) -> list[Line]:
    """Experts shared out over GPUs."""
    p = answer.expert_parallel
    if p is None:
        return []
    name, n = "expert_parallel", answer.n_experts
    hot, other = chances(n, answer.top_k, answer.touched.imbalance)
    crossing = f"ceil({answer.all_to_all_bytes_per_layer:,}·({p.ranks} - 1) / {p.ranks})"
    layers = p.all_to_all_forward_bytes // p.all_to_all_layer_bytes if p.all_to_all_layer_bytes else 0
    exact = layers * p.all_to_all_layer_bytes == p.all_to_all_forward_bytes
    held = p.weight_bytes_per_rank - p.replicated_bytes
    per = f"ceil({p.all_to_all_step_bytes:,} / {p.ranks})"
    unique = p.all_to_all_unique_bytes
    return [
        Line(f"{name}.experts_per_rank", "ceil(n_experts / GPUs)", f"ceil({n:,} / {p.ranks})", p.experts_per_rank, _FEDUS),
        Line(
            f"{name}.weight_bytes_per_rank",
            "what every GPU holds + its experts",
            f"{p.replicated_bytes:,} + {held:,}",
            p.weight_bytes_per_rank,
            _FEDUS,
        ),
        Line(
            f"{name}.all_to_all_layer_bytes",
            "ceil(2·slots·d_model·bytes·(GPUs - 1) / GPUs)",
            crossing,
            p.all_to_all_layer_bytes,
            _FEDUS,
        ),
        Line(
            f"{name}.all_to_all_forward_bytes",
            "Σ over the layers",
            f"{layers:,}·{p.all_to_all_layer_bytes:,}" if exact else f"{p.all_to_all_forward_bytes:,}",
            p.all_to_all_forward_bytes,
            _FEDUS,
        ),
        Line(
            f"{name}.all_to_all_step_bytes",
            "forward + backward",
            f"{p.all_to_all_forward_bytes:,} + {p.all_to_all_backward_bytes:,}",
            p.all_to_all_step_bytes,
            _FEDUS,
        ),
        Line(f"{name}.all_to_all_step_bytes_per_rank", "ceil(of a step / GPUs)", per, p.all_to_all_step_bytes_per_rank, _FEDUS),
        Line(
            f"{name}.replicated_bytes",
            "all parameters but the experts' · bytes",
            f"{answer.total - answer.expert:,}·{p.replicated_bytes / (answer.total - answer.expert):.9g}",
            p.replicated_bytes,
            "attention, shared experts and routers on every GPU",
        ),
        Line(
            f"{name}.hot_rank_load",
            "GPUs·(p_hot + (experts per GPU - 1)·p) / top_k",
            f"{p.ranks}·({hot:.9g} + {p.experts_per_rank - 1}·{other:.9g}) / {answer.top_k}",
            p.hot_rank_load,
            _CHANCE,
            "",
            _NONE,
        ),
        *(
            []
            if unique is None
            else [
                Line(f"{name}.all_to_all_unique_bytes", "each token once to each GPU with one of its experts", "", unique, _FEDUS)
            ]
        ),
    ]
