"""Which attention to take: what the model's own costs say, and the chapter's rules and limits, told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmcx.answers.growth import crossover
from llmcx.model.spec import ModelSpec
from llmcx.model.variants import parse_variant, with_variant

if TYPE_CHECKING:
    from llmcx.answers.attention_compare import Row

CHAPTER_LIMIT = {"standard": 8_192, "performer": 1_048_576}
CHAPTER_LIMIT |= dict.fromkeys(("local", "strided", "longformer", "linformer", "flash"), 65_536)
"""Practical limits as the chapter prints them, from variants' names."""


@dataclass(frozen=True)
class Recommendation:
    """What the model's own costs say at ``seq``, and what the chapter's rule by length says, told apart."""

    seq: int
    variant: str
    reason: str
    chapter_variant: str
    chapter_reason: str
    agrees: bool


@dataclass(frozen=True)
class Limit:
    """The chapter's practical limit of a variant beside this model's costs: ``own_seq`` is the longest prefill that fits the
    budget, ``memory_bytes`` what one layer's core writes out at the chapter's limit, ``share`` the core's of the forward FLOPs.
    """

    variant: str
    chapter_seq: int
    own_seq: int | None
    memory_bytes: int
    share: float
    agrees: bool | None
    why: str


def chapter_rule(seq: int) -> tuple[str, str]:
    """What the chapter takes at a length, and its rule."""
    if seq < 2_048:
        return "standard", "n < 2K: standard"
    if seq <= 8_192:
        return "flash", "2K-8K: flash"
    if seq <= 65_536:
        return "sparse or linformer", "8K-64K: sparse or Linformer"
    return "performer or hierarchical", "> 64K: Performer or hierarchical"


def recommend(spec: ModelSpec, rows: Sequence[Row], seq: int, ideal: bool) -> Recommendation:
    """Exact attention while it is the smaller part of the forward pass (an approximation cannot save half); beyond, the
    cheapest variant that fits and connects the tokens.

    The figure that decides is this model's own: the smallest n at which its attention cores cost as much as its matrices.
    """
    every = [row for row in rows if row.seq == seq]
    here = [row for row in every if row.max_seq is None or row.max_seq >= seq]  # what fits the budget, if one is given
    # A variant that cannot connect the tokens within the model's layers, or has no causal form, is no replacement.
    masked = bool(spec.decoder)
    able = [
        row
        for row in here
        if not row.exact and (reach := row.hops_causal if masked else row.hops) is not None and reach <= spec.n_layers
    ]
    pick, reason = _choice(spec, every, [row for row in here if row.exact], able, ideal)
    variant, rule = chapter_rule(seq)
    kind = pick.variant.partition(":")[0]
    sparse = kind in ("local", "strided", "fixed", "longformer", "bigbird", "sliding", "chunked")
    # Linear attention is Performer's kind, a kernel in place of the softmax; causal flash skips what the mask hides.
    alike = (sparse and "sparse" in variant) or (kind == "linear" and "performer" in variant)
    agrees = kind.removeprefix("causal_") in variant or alike
    return Recommendation(seq, pick.variant, reason, variant, rule, agrees)


def _choice(spec: ModelSpec, every: Sequence[Row], exact: Sequence[Row], able: Sequence[Row], ideal: bool) -> tuple[Row, str]:
    """What to take of ``every`` variant at a length, and why; the ``exact`` and the ``able`` ones fit the budget."""

    def light(row: Row) -> tuple[float, int, int]:
        return row.core_seconds or 0, row.memory_bytes, row.core_flops

    known = exact or [row for row in every if row.exact]
    cheapest = min(able, key=lambda row: (row.core_seconds or 0, row.core_flops, row.forward_flops), default=None)
    if not known:
        if cheapest is None:
            pick = min(every, key=light)
            return pick, f"{pick.variant}, the lightest; nothing compared here is exact, or fits and connects the tokens"
        return cheapest, f"{cheapest.variant}, the cheapest that fits and connects the tokens; nothing compared here is exact"
    dense, n = min(known, key=light), every[0].seq
    share = f"{dense.core_flops / dense.forward_flops:.1%}"
    best = f"{dense.variant} " + ("is the fastest" if dense.core_seconds else "keeps the least memory") + " of the exact ones"
    if not exact:
        why = f"no exact attention fits the budget, only up to {max(row.max_seq or 0 for row in known):,} tokens"
        if cheapest is None:
            return dense, f"{best}; {why}, and nothing else compared here fits and connects the tokens"
        return cheapest, f"{cheapest.variant}, an approximation, is the cheapest that fits and connects the tokens; {why}"
    if cheapest is None:
        return dense, f"{best}; attention is {share} of the forward FLOPs"
    limit = crossover(with_variant(spec, parse_variant(dense.variant)), ideal).layers
    # Of the attention core alone: what else a variant changes, as MQA's projections, is no approximation's saving.
    saving = (dense.core_flops - cheapest.core_flops) / dense.forward_flops
    if limit is None or n < limit or saving <= 0:
        half = f", half only from n = {limit:,} with {dense.variant}" if limit else ""
        less = f"an approximation would save at most {max(saving, 0.0):.1%}"
        return dense, f"{best}; attention is {share} of the forward FLOPs{half}: {less}"
    return cheapest, (
        f"{cheapest.variant} saves {saving:.1%} of the forward FLOPs, of which attention is {share}; it is an approximation:"
        f" where exactness counts, {dense.variant}"
    )


def limit_of(row: Row, budgeted: bool) -> Limit:
    """The chapter's limit beside ``row``, taken at that length."""
    kind = row.variant.partition(":")[0]
    share = row.core_flops / row.forward_flops
    own = row.max_seq if budgeted else None
    if kind == "standard":
        why = "the memory for n² scores limits it; flash attention writes none"
    elif kind == "flash":
        why = "it keeps n numbers, not n²: time limits it, not memory"
    else:
        why = "it is nearly linear: the cache, the residual stream or quality limit it, not the core"
    agrees = None if not budgeted else own is not None and row.seq <= 2 * own and own <= 2 * row.seq
    return Limit(row.variant, row.seq, own, row.memory_bytes, share, agrees, why)


def differences(advised: Sequence[Recommendation], limits: Sequence[Limit]) -> list[str]:
    """Where this model's costs and the chapter disagree, and why: each of its rules and each reason once."""
    rules = {said.chapter_reason: said for said in reversed(advised) if not said.agrees}
    out = [f"the textbook says {rule}; here {said.reason}" for rule, said in reversed(rules.items())]
    reasons: dict[str, list[str]] = {}
    for limit in limits:
        if limit.agrees is False:
            reasons.setdefault(limit.why, []).append(f"{limit.variant.partition(':')[0]} ({limit.chapter_seq:,})")
    return out + [f"the textbook's limit of {', '.join(names)}: {why}" for why, names in reasons.items()]
