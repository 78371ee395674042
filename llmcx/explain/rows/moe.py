"""Each expert layer's FLOPs, what routing is expected to do, and the totals."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.moe import Experts
from llmcx.costs import params as params_fold
from llmcx.costs.flops import fold
from llmcx.explain.terms import terms
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec, MoE
from llmcx.ops.op import Op
from llmcx.parallel.expert_parallel import all_to_all_bytes, slots_of
from llmcx.parallel.routing import chances


def rows(spec: ModelSpec, answer: Experts, dtype: str) -> list[Line]:
    """The formulas of an answer about ``spec`` whose activations are sent in ``dtype``."""
    tokens, batch, part = answer.touched.tokens, answer.touched.decode_tokens, spec.mixtures[0][1]
    ops, factor = lower(spec, Run(batch, tokens // batch)), None if answer.capacity is None else answer.capacity.factor
    sent = [(repeat, all_to_all_bytes(tokens, spec.d_model, ffn, factor, dtype)) for repeat, ffn in spec.mixtures]
    one = [line for line in terms(fold, ops) if line.component.startswith("moe.")]
    return [*one, *_expected(answer, spec, part, tokens), *_totals(answer, tokens, part, ops, sent)]


def _expected(answer: Experts, spec: ModelSpec, part: MoE, tokens: int) -> list[Line]:
    """Capacity, overflow and the experts met, of independent tokens."""
    n, k, limit, lines = part.n_experts, part.top_k, answer.capacity, []
    hot, other = chances(n, k, answer.touched.imbalance)
    if limit is not None:
        source = "Fedus et al. 2021, arXiv:2101.03961, eq. 3"
        numbers = f"ceil({tokens:,}·{k}/{n:,}·{limit.factor:g})"
        lines.append(
            Line("capacity of one expert", "ceil(tokens·top_k/n_experts·capacity_factor)", numbers, limit.per_expert, source)
        )
        formula = "(E[max(0, Hot - capacity)] + (n_experts - 1)·E[max(0, Other - capacity)])/(tokens·top_k)"
        numbers = (
            f"Hot ~ Binomial({tokens:,}, {hot:.6g}), Other ~ Binomial({tokens:,}, {other:.6g}), capacity {limit.per_expert:,}"
        )
        lines.append(Line("expected dropped", formula, numbers, limit.dropped, "independent tokens, one hot expert"))
    lines.append(
        Line(
            "distinct experts of a layer",
            "1 - (1 - p_hot)^tokens + (n_experts - 1)·(1 - (1 - p)^tokens)",
            f"1 - (1 - {hot:.6g})^{tokens:,} + {n - 1:,}·(1 - (1 - {other:.6g})^{tokens:,})",
            answer.touched.distinct_experts,
            "independent tokens, top_k distinct experts each; p = top_k/n_experts if uniform",
        )
    )
    lines.append(
        Line(
            "granularity",
            "4·d_model/d_expert",
            f"4·{spec.d_model:,}/{part.expert.d_ff:,}",
            answer.granularity,
            "Krajewski et al. 2024, arXiv:2402.07871: G = d_ff/d_expert, for a dense d_ff of 4·d_model",
        )
    )
    slots = slots_of(tokens, part, None if limit is None else limit.factor)
    numbers = f"2·{slots:,}·{spec.d_model:,}·bytes"
    source = "Fedus et al. 2021, arXiv:2101.03961, sec. 5.4: dispatch and combine"
    sent = answer.all_to_all_bytes_per_layer
    return [*lines, Line("all-to-all of one layer, bytes", "2·slots·d_model·bytes", numbers, sent, source)]


def _totals(answer: Experts, tokens: int, part: MoE, ops: list[Op], sent: list[tuple[int, int]]) -> list[Line]:
    """The figures of the summary."""
    total, active, flops, parallel = answer.total, answer.active, fold.total(ops), answer.expert_parallel
    source = "Shazeer et al. 2017, arXiv:1701.06538, sec. 2"
    lines = [
        Line("total", "Σ parameters", f"{len(ops):,} ops", total, "each parameter once, tied ones once"),
        Line("active", "total - experts not chosen", f"{total:,} - {total - active:,}", active, source),
    ]
    inside = [line for line in terms(params_fold.fold, ops) if line.component.startswith("moe.")]
    for name in ("expert", "shared", "router"):
        some = [line for line in inside if line.component.startswith(f"moe.{name}") and line.component != "moe.shared_gate"]
        numbers = " + ".join(line.numbers for line in some) or "none"
        formula = some[0].formula if some else "Σ parameters"
        lines.append(Line(name, f"Σ {formula}", numbers, sum(int(line.value) for line in some), source))
    numbers = f"{part.top_k:,}/{part.n_experts:,}"
    lines += [
        Line("expert_active_fraction", "top_k/n_experts", numbers, answer.expert_active_fraction, source),
        Line(
            "flops_per_token",
            "forward FLOPs / tokens",
            f"{flops:,} / {tokens:,}",
            answer.flops_per_token,
            "llmcx flops, rounded down",
        ),
        Line(
            "all_to_all_bytes",
            "Σ layers · all-to-all of one layer",
            " + ".join(f"{repeat:,}·{size:,}" for repeat, size in sent),
            answer.all_to_all_bytes,
            "Fedus et al. 2021, arXiv:2101.03961, sec. 5.4",
        ),
    ]
    if parallel is not None:
        numbers = f"{parallel.all_to_all_layer_bytes:,} in one layer, {parallel.ranks:,} GPUs"
        formula = "Σ layers · 2·slots·d_model·bytes·(ranks - 1)/ranks"
        sent_source = "Fedus et al. 2021, arXiv:2101.03961, sec. 5.4"
        lines += [
            Line("expert_parallel.all_to_all_forward_bytes", formula, numbers, parallel.all_to_all_forward_bytes, sent_source),
            Line(
                "expert_parallel.weight_bytes_per_rank",
                "(replicated + ceil(n_experts/ranks) experts) · bytes",
                f"{parallel.replicated_bytes:,} B + {parallel.experts_per_rank:,} experts a layer",
                parallel.weight_bytes_per_rank,
                sent_source,
            ),
        ]
    return lines
