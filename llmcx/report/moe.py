"""How a mixture of experts reads: what is stored and what is active, dense models beside it, routing, expert parallelism."""

from __future__ import annotations

from typing import Any

from llmcx.report import pictures
from llmcx.report.figure import Bars
from llmcx.report.json import as_json
from llmcx.report.render import Item, View, title
from llmcx.report.table import Fact, Table, columns_of, facts_of, facts_table


def _moe_facts(item: Item) -> list[Fact]:
    r = item.result
    return facts_of(
        r,
        "total: total (count) | active: active per token (count) | expert: routed experts (count) | "
        "shared: shared experts (count) | router: routers (count) | flops_per_token: forward FLOPs per token (flops) | "
        "all_to_all_bytes: all-to-all per forward pass (size)",
    )


def _moe_tables(item: Item) -> list[Table | Bars]:
    r = item.result
    experts = f"{r.n_experts} experts, top-{r.top_k}, in {r.moe_layers} layers"
    facts = _moe_facts(item) + facts_of(
        r,
        "all_to_all_bytes_per_layer: all-to-all per layer (size) | router_flops_per_token: router FLOPs per token (flops) | "
        "expert_active_fraction: share of the experts active (share) | sparsity: sparsity, experts over top-k (float) | "
        "granularity: granularity, 4 d over an expert's width (float) | "
        "granularity_active: granularity, active width over an expert's (float)",
    )
    bars = pictures.moe([item])[0]._replace(title=f"{title(item)} · {experts}")
    tables: list[Table | Bars] = [bars, facts_table("", facts)]
    if r.capacity is not None:
        c = r.capacity
        facts = facts_of(
            c,
            f"tokens: tokens in the batch (int) | per_expert: capacity of one expert (factor {c.factor:g}) (int) | "
            "dropped_uniform: expected dropped, uniform routing (share)",
        )
        if r.touched.imbalance != 1:
            facts += facts_of(c, f"dropped: expected dropped, imbalance {r.touched.imbalance:g} (share)")
        tables.append(facts_table("Capacity", facts))
    columns = columns_of(
        "what: dense model with | d_ff: d_ff (int) | params: parameters (count) | flops_per_token: FLOPs/token (flops) | "
        "moe_over_dense: MoE FLOPs (factor)"
    )
    d = r.dense_equivalent
    rows = [
        {"what": "the same active parameters", **as_json(d.same_active)},
        {"what": "the same total parameters", **as_json(d.same_total)},
        {"what": "the same FLOPs", **as_json(d.same_flops)},
    ]
    beside = Table("Beside dense models of the same layers", columns, rows)
    return [*tables, beside, *_moe_routing(r), _routers(r)]


def _routers(r: Any) -> Table:
    rows = [{**as_json(one), "decodes": "yes" if one.causal else "no"} for one in r.routers]
    columns = columns_of(
        "router: if routed by | params: parameters (count) | flops_per_token: FLOPs/token (flops) | "
        "hottest: hottest (factor) | dropped: dropped (share 2) | unserved: no expert (share 1) | decodes: decodes | "
        "note: but (text 3)"
    )
    return Table("The same layers under other routers", columns, rows)


def _moe_routing(r: Any) -> list[Table]:
    """Distinct experts, the simulation, and expert parallelism, where asked for."""
    t, s, p = r.touched, r.simulated, r.expert_parallel
    routing = "uniform routing" if t.imbalance == 1 else f"imbalance {t.imbalance:g}"
    facts = facts_of(
        t,
        f"distinct_experts: by {t.tokens:,} tokens (float) | "
        f"decode_distinct_experts: by a decode step of batch {t.decode_tokens:,} (float) | "
        "decode_expert_bytes: expert weights that step reads (size)",
    )
    tables = [facts_table(f"Distinct experts of a layer expected to be used, of {r.n_experts:,}, {routing}", facts)]
    if s is not None:
        facts = facts_of(
            s,
            "distinct_experts: distinct experts used (float) | hottest: hottest expert over the mean (factor) | "
            "dropped: dropped (share) | dropped_error: its standard error (share)",
        )
        tables.append(facts_table(f"Simulated, mean of {s.trials:,}, seed {s.seed}", facts))
    if p is not None:
        experts = f"{p.experts_per_rank:,}"
        if not p.even:
            experts += f" on {p.full_ranks:,}, {p.fewest_experts:,} on the rest"
        facts = facts_of(
            p,
            "experts_per_rank: experts of a layer per GPU | weight_bytes_per_rank: weights per GPU (size) | "
            "replicated_bytes: of these on every GPU (size) | all_to_all_layer_bytes: all-to-all of a layer, forward (size) | "
            "all_to_all_forward_bytes: all-to-all, forward (size) | all_to_all_unique_bytes: … each token once per GPU (size) | "
            "all_to_all_step_bytes: all-to-all, forward and backward (size) | "
            "all_to_all_step_bytes_per_rank: … per GPU (size) | hot_rank_load: load of the hot GPU over the mean (factor)",
            experts_per_rank=experts,
        )
        tables.append(facts_table(f"Expert parallelism over {p.ranks:,} GPUs", facts))
    return tables


VIEW = View(_moe_tables, _moe_facts)
