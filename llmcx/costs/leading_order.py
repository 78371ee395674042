"""The textbook chapter's leading order: constants dropped, n d² for a layer's matrices and s n d for its attention."""

from __future__ import annotations

from typing import Any

from llmcx.model.cores import (
    DENSE,
    BigBird,
    Chunked,
    Fixed,
    Linear,
    Linformer,
    Local,
    Longformer,
    Performer,
    Reformer,
    Sliding,
    Strided,
    TopK,
)
from llmcx.model.run import Run
from llmcx.model.spec import Attention, Mixer, ModelSpec


def leading_order(spec: ModelSpec, run: Run) -> tuple[dict[str, int], dict[str, int]]:
    """The chapter's convention, constants dropped: per layer n d² for all matrices and s n d for the attention core.

    s is n (standard, flash), the window (local, sliding, Longformer), stride + n / stride, the rank (Linformer) or
    the features (Performer); a mixer without pairs has no such term. An MoE layer multiplies n d² by top_k and adds
    the router's n d E. Returns sums by component and by layer group.
    """
    components = {"projections and feed-forward": 0, "attention core": 0}
    groups: dict[str, int] = {}
    d = spec.d_model
    n_source = run.seq if run.source is None else run.source
    for name, layers in spec.kinds.items():
        encoding = name.startswith("encoder")
        if encoding and not run.encode:
            continue
        q = n_source if encoding and spec.decoder else run.seq
        kv = q + (0 if encoding else run.past)
        matrices = run.batch * q * d * d
        if layers.ffn is not None and layers.ffn.type == "moe":
            matrices = matrices * layers.ffn.top_k + run.batch * q * d * layers.ffn.n_experts
        met = q * attended(layers.mixer, kv, d) + (q * n_source if layers.cross is not None else 0)
        cores = run.batch * met * d
        components["projections and feed-forward"] += layers.repeat * matrices
        components["attention core"] += layers.repeat * cores
        groups[name] = layers.repeat * (matrices + cores)
    return components, groups


def attended(mixer: Mixer | None, kv: int, d_model: int) -> int:
    """s of the chapter's s n d: the keys, features or projected positions that one query meets, edges ignored; a recurrence's
    state per channel, likewise. 0 for a mixer that is none of these.

    >>> attended(Attention(n_heads=1, core=Local(window=256)), 16384, 1024)
    256
    """
    core: Any = getattr(mixer, "core", mixer)
    if core is None:
        return 0
    if isinstance(core, (Local, Sliding, Chunked)):
        met = core.window
    elif isinstance(core, Longformer):
        met = core.window + core.n_global
    elif isinstance(core, BigBird):
        met = core.block * (core.window + core.n_global + core.random)
    elif isinstance(core, Strided):
        met = core.stride + kv // core.stride
    elif isinstance(core, Fixed):
        met = core.stride + core.summary * (kv // core.stride)
    elif isinstance(core, Reformer):
        met = 2 * core.chunk * core.rounds
    elif isinstance(core, TopK):
        met = core.top_k
    elif isinstance(core, Linformer):
        met = core.rank
    elif isinstance(core, Performer):
        return core.features
    elif isinstance(core, Linear):
        assert isinstance(mixer, Attention)
        return mixer.width(d_model)
    elif core.type in DENSE:
        met = kv
    else:
        return int(getattr(core, {"gated_delta": "k_dim", "mamba2": "d_state"}.get(core.type, ""), 0))
    return min(met, kv)
