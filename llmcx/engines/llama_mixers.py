"""Mixers beside attention in llama.cpp's graph: latents and recurrent states (src/models of ggml-org/llama.cpp 0.5.0)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmcx.engines.ggml import Tensor

if TYPE_CHECKING:
    from llmcx.engines.llama_graph import Builder

CHOSEN = 2048
"""Keys that an indexer chooses for a query (index_topk, the same in all releases)."""


def latent(of: Builder, mla: Any, x: Tensor) -> Tensor:
    """DeepSeek's attention, absorbed: all heads meet one latent, and what they find is expanded (src/models/deepseek2.cpp)."""
    g, run, t, heads = of.g, of.run, of.run.tokens, mla.n_heads
    wide = mla.kv_rank + mla.rope_dim
    q = x if mla.q_rank is None else of.norm(of.projected(x, mla.q_rank))
    chosen = indexed(of, mla, x, q) if mla.index_heads else None
    q = g.view(of.projected(q, heads * (mla.nope_dim + mla.rope_dim)), mla.nope_dim + mla.rope_dim, heads, t)
    both = of.projected(x, wide)
    rotary = g.op((mla.rope_dim, 1, t), g.view(both, mla.rope_dim, 1, t, whole=False), of.pos, over=True)
    kept = of.norm(g.view(both, mla.kv_rank, t, whole=False))
    turned = g.op((mla.rope_dim, heads, t), g.view(q, mla.rope_dim, heads, t, whole=False), of.pos, over=True)
    plain = g.view(g.view(q, mla.nope_dim, heads, t, whole=False), mla.nope_dim, t, heads, whole=False)
    absorbed = g.view(g.op((mla.kv_rank, t, heads), plain), mla.kv_rank, heads, t, whole=False)
    query = g.op((wide, heads, t), absorbed, turned)
    kept = g.view(kept, mla.kv_rank, 1, t)
    key = g.op((wide, 1, t), kept, rotary)
    mask, ids, _ = of.mask(mla)
    g.expand(query, kept, key)
    g.expand(g.stored(g.view(key, wide, t), ids))
    if chosen is not None:
        mask = unmasked(of, mask, chosen)
    query = g.view(g.view(query, wide, heads, t, 1), wide, t, heads, whole=False)
    if run.flash:
        found = g.view(g.op((mla.kv_rank, heads, t), query, mask), mla.kv_rank, t, heads, whole=False)
    else:
        values = g.op((mask.shape[0], mla.kv_rank, run.seqs), of.slots, item=2)  # the latents, turned over
        scores = g.op((mask.shape[0], t, heads), query)
        scores = g.op(scores.shape, scores, mask, over=True)
        found = g.op((mla.kv_rank, t, heads), values, scores)
    expanded = g.op((mla.v_dim, t, heads), found)
    out = g.op((mla.v_dim * heads, t), g.view(expanded, mla.v_dim, heads, t, whole=False))
    g.expand(out)
    return of.projected(out, of.d)


def indexed(of: Builder, mla: Any, x: Tensor, q: Tensor) -> Tensor:
    """The keys that an indexer chooses for each query; its own go into a cache of their own (src/models/deepseek32.cpp)."""
    g, run, t, heads, dim = of.g, of.run, of.run.tokens, mla.index_heads, mla.index_dim
    turn, mask, ids = of.index_inputs(dim)
    query = g.op((dim, heads, t), g.view(of.projected(q, heads * dim), dim, heads, t), of.pos, over=True)
    key = g.op((dim, t), of.projected(x, dim))
    key = g.op((dim, t), g.op((dim, t), key, over=True), over=True)
    key = g.op((dim, 1, t), g.view(key, dim, 1, t), of.pos, over=True)
    query, key = (g.op(one.shape, turn, one) for one in (query, key))
    g.expand(g.stored(g.view(key, dim, t), ids))
    weights = of.projected(x, heads)
    weights = g.op((heads, t), g.view(weights, heads, t), over=True)
    scores = g.op((run.cells, t), g.view(query, *query.shape), weights, mask)
    many = min(CHOSEN, run.cells)
    return g.op((many, t), g.op((many, t), scores))


def unmasked(of: Builder, mask: Tensor, chosen: Tensor) -> Tensor:
    """A mask of a layer's own, open where keys were chosen."""
    g, t, many = of.g, of.run.tokens, chosen.shape[0]
    closed = g.op(mask.shape, mask, over=True, item=mask.item)
    zeros = g.input(many, t)
    zeros = g.op(zeros.shape, zeros, over=True)
    opened = Tensor(mask.shape, (zeros, g.view(chosen, many, t), g.view(closed, *mask.shape)), mask.item, False, closed, False)
    return g.op(mask.shape, g.view(opened, *mask.shape), mask, over=True, item=mask.item)


def _filtered(of: Builder, mixed: Tensor, channels: int, taps: int) -> Tensor:
    """A causal filter over a sequence's tokens, behind the last inputs of the one before, which are kept again."""
    g, run = of.g, of.run
    state = g.op((taps - 1, channels, run.seqs), of.slots)
    g.expand(state)
    rows = run.tokens // run.seqs
    joined = g.op((taps - 1 + rows, channels, run.seqs), g.view(state, *state.shape), g.view(mixed, *mixed.shape, whole=False))
    g.expand(g.stored(g.view(joined, taps - 1, channels, run.seqs, whole=False)))
    return g.op((channels, run.tokens), joined)


def mamba(of: Builder, ssm: Any, x: Tensor) -> Tensor:
    """Mamba (src/models/mamba-base.cpp): the scan makes outputs and the last state in one tensor."""
    g, run, t, inner, state = of.g, of.run, of.run.tokens, ssm.d_inner, ssm.d_state
    both = of.projected(x, 2 * inner)
    made = _filtered(of, g.view(both, inner, t, whole=False), inner, ssm.d_conv)
    made = g.op((inner, t), g.op((inner, t), made, over=True), over=True)
    read = of.projected(made, ssm.dt_rank + 2 * state)
    step, b, c = (g.view(read, width, t, whole=False) for width in (ssm.dt_rank, state, state))
    if ssm.inner_norms is None:
        step = g.op((ssm.dt_rank, t), step)
    else:
        step, b, c = of.norm(step), of.norm(b), of.norm(c)
    step = of.projected(step, inner, True)
    scanned = g.op((inner * t + state * inner * run.seqs,), g.view(made, inner, t), step, b, c, of.slots)
    g.expand(scanned)
    g.expand(g.stored(g.view(scanned, state * inner * run.seqs, whole=False)))
    skipped = g.op((inner, t), made, over=True)
    out = of.add(g.view(scanned, inner, t), skipped)
    gate = g.op((inner, t), g.view(both, inner, t, whole=False))
    return of.projected(g.op((inner, t), gate, out), of.d, ssm.bias)


def mamba2(of: Builder, ssm: Any, x: Tensor) -> Tensor:
    """Mamba-2 (src/models/mamba-base.cpp)."""
    g, run, t, heads, state = of.g, of.run, of.run.tokens, ssm.n_heads, ssm.d_state
    inner = heads * ssm.head_dim
    mixed = inner + 2 * ssm.n_groups * state
    both = of.projected(x, inner + mixed + heads)
    made = _filtered(of, g.view(both, mixed, t, whole=False), mixed, ssm.d_conv)
    made = g.op((mixed, t), g.op((mixed, t), made, over=True), over=True)
    read, b, c = (g.view(made, width, t, whole=False) for width in (inner, ssm.n_groups * state, ssm.n_groups * state))
    step = g.op((heads, t), g.view(both, heads, t, whole=False))
    step = g.op((heads, t), step, over=True)
    scanned = g.op((inner * t + state * inner * run.seqs,), read, step, b, c, of.slots)
    g.expand(scanned)
    g.expand(g.stored(g.view(scanned, state * inner * run.seqs, whole=False)))
    out = of.add(g.view(scanned, inner, t), g.op((inner, t), read, over=True))
    gate = g.op((inner, t), g.view(both, inner, t, whole=False))
    out = g.op((inner, t), gate, out)
    if ssm.gated_norm:
        out = g.view(of.norm(g.view(out, inner // ssm.n_groups, ssm.n_groups, t)), inner, t)
    return of.projected(out, of.d, ssm.bias if ssm.out_bias is None else ssm.out_bias)


def short_conv(of: Builder, conv: Any, x: Tensor) -> Tensor:
    """LFM2's filter (src/models/lfm2.cpp)."""
    g, d, t = of.g, of.d, of.run.tokens
    all_three = of.projected(x, 3 * d, conv.bias)
    b, c, value = (g.view(all_three, d, t, whole=False) for _ in range(3))
    product = g.op((d, t), b, value, over=True)
    made = _filtered(of, product, d, conv.d_conv)
    return of.projected(g.op((d, t), c, made, over=True), d, conv.bias)


def gated_delta(of: Builder, delta: Any, x: Tensor) -> Tensor:
    """Gated DeltaNet, fused (src/models/qwen3next.cpp, qwen35.cpp, delta-net-base.cpp)."""
    g, run, t, heads = of.g, of.run, of.run.tokens, delta.v_heads
    keys, values = delta.k_heads * delta.k_dim, heads * delta.v_dim
    mixed, state = 2 * keys + values, heads * delta.v_dim * delta.k_dim * run.seqs
    gate = of.projected(x, values)
    made = _filtered(of, of.projected(x, mixed), mixed, delta.d_conv)
    kept = g.op((state,), of.slots)
    g.expand(kept)
    made = g.op((mixed, t), made, over=True)
    older = of.family == "qwen3_next"
    if older:
        both = of.projected(x, 2 * heads)
        beta, decay = (g.op((heads, t), g.view(both, heads, t, whole=False)) for _ in range(2))
    else:
        beta, decay = (g.view(of.projected(x, heads), heads, 1, t) for _ in range(2))
    beta = g.op(beta.shape, beta, over=True)
    for _ in range(3):
        decay = g.op(decay.shape, decay, over=True)
    q, k = (g.op((keys, t), g.view(made, keys, t, whole=False)) for _ in range(2))
    if older and delta.k_heads != heads:  # a copy for each head of values
        q, k = (g.op((heads * delta.k_dim, t), g.view(one, keys, 1, t)) for one in (q, k))
    met = g.op((values * t + state,), q, k, g.view(made, values, t, whole=False), decay, beta, g.view(kept, state))
    g.expand(g.stored(g.view(met, state, whole=False)))
    out = of.norm(g.view(met, delta.v_dim, heads, t))
    opened = g.op(out.shape, g.view(gate, *out.shape), over=True)
    return of.projected(g.view(g.op(out.shape, out, opened, over=True), values, t), of.d)


MIXERS: dict[str, Callable[[Builder, Any, Tensor], Tensor]] = {
    "mla": latent,
    "mamba": mamba,
    "mamba2": mamba2,
    "short_conv": short_conv,
    "gated_delta": gated_delta,
}
"""By the mixer's type; of the others the graph is not known here."""
