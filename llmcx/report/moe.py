"""How a mixture of experts reads: what is stored and what is active, dense models beside it, routing, expert parallelism."""

from __future__ import annotations

from typing import Any

from llmcx.report import pictures
from llmcx.report.figure import Bars
from llmcx.report.json import as_json
from llmcx.report.render import Item, View, title
from llmcx.report.table import Column, Fact, Table, facts_table


def _moe_facts(item: Item) -> list[Fact]:
    r = item.result
    return [
        Fact("total", "total", r.total, "count"),
        Fact("active", "active per token", r.active, "count"),
        Fact("expert", "routed experts", r.expert, "count"),
        Fact("shared", "shared experts", r.shared, "count"),
        Fact("router", "routers", r.router, "count"),
        Fact("flops_per_token", "forward FLOPs per token", r.flops_per_token, "flops"),
        Fact("all_to_all_bytes", "all-to-all per forward pass", r.all_to_all_bytes, "size"),
    ]


def _moe_tables(item: Item) -> list[Table | Bars]:
    r = item.result
    experts = f"{r.n_experts} experts, top-{r.top_k}, in {r.moe_layers} layers"
    facts = [
        *_moe_facts(item),
        Fact("all_to_all_bytes_per_layer", "all-to-all per layer", r.all_to_all_bytes_per_layer, "size"),
        Fact("router_flops_per_token", "router FLOPs per token", r.router_flops_per_token, "flops"),
        Fact("expert_active_fraction", "share of the experts active", r.expert_active_fraction, "share"),
        Fact("sparsity", "sparsity, experts over top-k", r.sparsity, "float"),
        Fact("granularity", "granularity, 4 d over an expert's width", r.granularity, "float"),
        Fact("granularity_active", "granularity, active width over an expert's", r.granularity_active, "float"),
    ]
    bars = pictures.moe([item])[0]._replace(title=f"{title(item)} · {experts}")
    tables: list[Table | Bars] = [bars, facts_table("", facts)]
    if r.capacity is not None:
        c = r.capacity
        facts = [
            Fact("tokens", "tokens in the batch", c.tokens, "int"),
            Fact("per_expert", f"capacity of one expert (factor {c.factor:g})", c.per_expert, "int"),
            Fact("dropped_uniform", "expected dropped, uniform routing", c.dropped_uniform, "share"),
        ]
        if r.touched.imbalance != 1:
            facts.append(Fact("dropped", f"expected dropped, imbalance {r.touched.imbalance:g}", c.dropped, "share"))
        tables.append(facts_table("Capacity", facts))
    columns = [
        Column("what", "dense model with"),
        Column("d_ff", "d_ff", "int"),
        Column("params", "parameters", "count"),
        Column("flops_per_token", "FLOPs/token", "flops"),
        Column("moe_over_dense", "MoE FLOPs", "factor"),
    ]
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
    columns = [
        Column("router", "if routed by"),
        Column("params", "parameters", "count"),
        Column("flops_per_token", "FLOPs/token", "flops"),
        Column("hottest", "hottest", "factor"),
        Column("dropped", "dropped", "share", 2),
        Column("unserved", "no expert", "share", 1),
        Column("decodes", "decodes", "text"),
        Column("note", "but", "text", 3),
    ]
    return Table("The same layers under other routers", columns, rows)


def _moe_routing(r: Any) -> list[Table]:
    """Distinct experts, the simulation, and expert parallelism, where asked for."""
    t, s, p = r.touched, r.simulated, r.expert_parallel
    routing = "uniform routing" if t.imbalance == 1 else f"imbalance {t.imbalance:g}"
    facts = [
        Fact("distinct_experts", f"by {t.tokens:,} tokens", t.distinct_experts, "float"),
        Fact("decode_distinct_experts", f"by a decode step of batch {t.decode_tokens:,}", t.decode_distinct_experts, "float"),
        Fact("decode_expert_bytes", "expert weights that step reads", t.decode_expert_bytes, "size"),
    ]
    tables = [facts_table(f"Distinct experts of a layer expected to be used, of {r.n_experts:,}, {routing}", facts)]
    if s is not None:
        facts = [
            Fact("distinct_experts", "distinct experts used", s.distinct_experts, "float"),
            Fact("hottest", "hottest expert over the mean", s.hottest, "factor"),
            Fact("dropped", "dropped", s.dropped, "share"),
            Fact("dropped_error", "its standard error", s.dropped_error, "share"),
        ]
        tables.append(facts_table(f"Simulated, mean of {s.trials:,}, seed {s.seed}", facts))
    if p is not None:
        experts = f"{p.experts_per_rank:,}"
        if not p.even:
            experts += f" on {p.full_ranks:,}, {p.fewest_experts:,} on the rest"
        facts = [
            Fact("experts_per_rank", "experts of a layer per GPU", experts),
            Fact("weight_bytes_per_rank", "weights per GPU", p.weight_bytes_per_rank, "size"),
            Fact("replicated_bytes", "of these on every GPU", p.replicated_bytes, "size"),
            Fact("all_to_all_layer_bytes", "all-to-all of a layer, forward", p.all_to_all_layer_bytes, "size"),
            Fact("all_to_all_forward_bytes", "all-to-all, forward", p.all_to_all_forward_bytes, "size"),
            Fact("all_to_all_unique_bytes", "… each token once per GPU", p.all_to_all_unique_bytes, "size"),
            Fact("all_to_all_step_bytes", "all-to-all, forward and backward", p.all_to_all_step_bytes, "size"),
            Fact("all_to_all_step_bytes_per_rank", "… per GPU", p.all_to_all_step_bytes_per_rank, "size"),
            Fact("hot_rank_load", "load of the hot GPU over the mean", p.hot_rank_load, "factor"),
        ]
        tables.append(facts_table(f"Expert parallelism over {p.ranks:,} GPUs", facts))
    return tables


VIEW = View(_moe_facts, _moe_tables)
