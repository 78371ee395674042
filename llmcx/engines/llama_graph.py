"""The graph that llama.cpp builds of a physical batch, as far as the size of its buffer depends on it: src/llama-graph.cpp and
src/models of ggml-org/llama.cpp 0.5.0. Held to the log of real contexts, tests/oracle/llama_cpp.py.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import NamedTuple

from llmcx.engines.ggml import Graph, Tensor
from llmcx.model.extras import PerLayer
from llmcx.model.ffn import FFN, Gated, MoE
from llmcx.model.layers import Layers
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention
from llmcx.model.spec import ModelSpec

REPEATS = 3
"""Layers of a run that are followed; the buffer is no larger after more."""
FUSED = ("phi3", "falcon", "gpt2", "gpt_neox", "gpt_bigcode", "bloom", "mpt", "codegen", "dbrx")
"""Families whose queries, keys and values one matrix makes."""
FUSED_UP = ("phi3", "glm4", "glm")
"""Families whose gate and up are one matrix."""
PARALLEL = ("gpt_neox",)
"""Families whose feed-forward reads what the attention reads, through a norm of its own."""
RESIDUAL_FIRST = ("cohere", "cohere2", "gpt_neox")
"""Parallel families that add the residual to the feed-forward before the attention's output."""
ATTENTION_FIRST = ("phi",)
"""Parallel families that add the feed-forward to the attention's output."""
ONTO_RESIDUAL = ("phi3", "phimoe", "jamba", "lfm2")
"""Families that add a feed-forward to the residual, not the other way round; jamba and lfm2 the mixer too."""
SCALED = ("gemma", "gemma2", "gemma3", "gemma4", "granite", "afmoe")
"""Families that multiply embeddings by a number, which is an operation of its own."""
SCALED_QUERIES = ("gemma", "gemma2", "gemma3", "phi3", "phimoe", "phi")
"""Families that scale queries rather than scores."""
ROPED_WINDOWS = ("cohere2", "exaone4")
"""Families whose full layers turn neither queries nor keys, where they have windowed ones."""
CAPPED = ("gemma2", "grok")
"""Families whose scores go through a tanh."""
PICKED_NORMED = ("afmoe",)
"""Families that pick the positions to be scored behind the norm of the attention's output."""
LATE = ("gpt_oss",)
"""Families that pick the positions to be scored after the last layer."""
LATEST = ("qwen3_next", "qwen3_5", "qwen3_5_moe", "gemma4", "nemotron_h")
"""Families that pick them after the final norm."""
JOINED_GATE = ("qwen3_next", "qwen3_5", "qwen3_5_moe")
"""Families whose queries and their gate one matrix makes."""
RMS = ("phimoe",)
"""Families whose norms are RMS norms here, whatever their configs say."""
UNNORMED = ("gpt_oss", "qwen2_moe", "olmoe", "llama4", "deepseek_v2", "jamba")
"""Families whose routed weights are not divided by their sum."""
WINDOWS: dict[str, int | None] = {
    **dict.fromkeys(("gemma2", "gemma3", "gemma3n", "gemma4", "gpt_oss", "cohere2", "cohere2_moe", "olmo3", "afmoe")),
    **dict.fromkeys(("exaone4", "exaone_moe", "granite_swa", "granitemoe_swa", "laguna", "mellum", "mimo_v2_flash", "step3p5")),
    "llama4": 8192,
}
"""Families whose windowed layers have a cache of their own, with the window where it is fixed. In others every layer keeps all:
Mistral's, Phi-3's, Qwen2's and StarCoder2's windows are not used (src/models).
"""
WHOLE = {"exaone4": 64}
"""Families that have windows only with so many layers."""

HELD = """
afmoe apertus arcee bloom cohere cohere2 deepseek_v2 deepseek_v3 deepseek_v32 ernie4_5_moe exaone4 exaone_moe falcon falcon_h1
falcon_mamba gemma gemma2 gemma3 gemma4 glm4 glm4_moe gpt2 gpt_bigcode gpt_neox gpt_oss granite granitemoe granitemoehybrid
hunyuan_v1_dense hunyuan_v1_moe jamba lfm2 llama llama4 mamba mamba2 minimax_m2 mistral mixtral mpt nemotron nemotron_h olmo
olmo2 olmo3 olmoe phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_5 qwen3_5_moe qwen3_moe qwen3_next seed_oss smollm3 stablelm
starcoder2
"""
"""Families whose buffers were compared with llama.cpp's own (tests/oracle/llama_cpp.json); of others they are estimates."""


def family(spec: ModelSpec) -> str:
    """As the tables here name it."""
    return (spec.family or "").removesuffix("_text")


def window(name: str, layers: int, stated: int | None) -> int | None:
    """The window of a layer's cache, of a model of family ``name``; None: it keeps all.

    >>> window("gemma3", 34, 1024), window("mistral", 32, 4096), window("llama4", 48, 8192)
    (1024, None, 8192)
    """
    if stated is None or name not in WINDOWS or layers != WHOLE.get(name, layers):
        return None
    return WINDOWS[name] or stated


class Pass(NamedTuple):
    """A physical batch: ``tokens`` of ``seqs`` sequences, with logits of ``outputs``; ``cells`` of a sequence that a full layer
    has, and ``windowed`` those of a windowed one; whether attention is fused, and the cache in blocks.
    """

    tokens: int
    seqs: int
    outputs: int
    cells: int
    windowed: int
    flash: bool = True
    quantised: bool = False


@lru_cache(maxsize=256)
def reserved(spec: ModelSpec, run: Pass) -> int:
    """Bytes of the buffer that llama.cpp reserves for ``run``. Raises NotImplementedError for a layer not followed here."""
    return Builder(spec, run).reserved()


class Builder:
    """Makes the graph of one pass."""

    def __init__(self, spec: ModelSpec, run: Pass):
        self.spec, self.run, self.g = spec, run, Graph()
        self.d, self.family = spec.d_model, family(spec)
        positions = 4 if self.family in ("qwen3_5", "qwen3_5_moe") else 1  # of time, height, width; and one more
        self.pos, self.ids = self.g.input(positions * run.tokens), self.g.input(run.outputs)
        self.scale = self.g.input(run.tokens)
        self.slots = self.g.input(run.seqs)  # where each sequence has its state
        self.masks: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self.rotations: dict[tuple[str, int], Tensor] = {}
        self.index: tuple[Tensor, Tensor, Tensor] | None = None
        windows = {self.window(layer.mixer) for layer in spec.groups}
        self.mixed = bool(windows - {None})

    def window(self, mixer: Mixer | None) -> int | None:
        """Of a layer's cache."""
        core = getattr(mixer, "core", None)
        stated = core.window if core is not None and core.type in ("sliding", "chunked") else None
        return window(self.family, self.spec.n_layers, stated)

    def reserved(self) -> int:
        """Bytes of the buffer."""
        g, d, t = self.g, self.d, self.run.tokens
        embedding = self.spec.embedding
        inner = g.op((d, t), g.input(t))
        g.expand(inner, g.input(d, t))  # tokens, or what is given in place of them
        if embedding.positions:
            inner = g.op((d, t), inner, g.op((d, t), self.pos), over=True)
        if embedding.normed:
            inner = self.norm(inner)
        if self.family in SCALED:
            inner = g.op((d, t), inner, over=True)
        share = self.shares(inner)
        # Each layer with an indexer has a tensor from the start.
        indexes = any(getattr(layer.mixer, "index_heads", 0) for layer in self.spec.groups)
        layers = [self.spec.kinds[name] for name, n in self.spec.runs for _ in range(n if indexes else min(n, REPEATS))]
        for i, layer in enumerate(layers):
            inner = self.layer(layer, inner, i == len(layers) - 1 and self.family not in (*LATE, *LATEST))
            if share is not None:
                inner = self.shared(inner, share)
        if self.family in LATE:
            g.outputs.append(inner)
            inner = self.picked(inner)
        inner = self.norm(inner)
        if self.family in LATEST:
            g.outputs.append(inner)
            inner = self.picked(inner)
        vocab = embedding.vocab if self.spec.head is None else self.spec.head.outputs(embedding.vocab)
        out = g.op((vocab, self.run.outputs), inner)
        g.outputs += [inner, out]
        g.expand(out)
        return g.reserved()

    def shares(self, inner: Tensor) -> Tensor | None:
        """What each layer is given of a second table and of the embeddings (Gemma 4). Raises NotImplementedError for other parts
        beside the layers.
        """
        if not self.spec.extras:
            return None
        [extra, *others] = self.spec.extras
        if others or not isinstance(extra, PerLayer) or self.family != "gemma4":
            raise NotImplementedError("parts beside the layers")
        g, t, n = self.g, self.run.tokens, self.spec.n_layers
        wide = (extra.width, n, t)
        table = g.op(wide, g.view(g.op((extra.width * n, t), g.input(t)), *wide), over=True)
        g.expand(table)
        made = self.projected(inner, extra.width * n)
        made = self.norm(g.view(g.op(made.shape, made, over=True), *wide))
        made = g.op(wide, self.add(made, table), over=True)
        return g.op((extra.width, t, n), g.view(made, extra.width, t, n, whole=False))

    def shared(self, inner: Tensor, share: Tensor) -> Tensor:
        """A layer's output, gated by its share, and added."""
        width, t, _ = share.shape
        made = self.projected(inner, width)
        made = self.g.op(made.shape, made, over=True)
        made = self.g.op(made.shape, made, self.g.view(share, width, t, whole=False), over=True)
        return self.add(inner, self.norm(self.projected(made, self.d)))

    # --- a layer -------------------------------------------------------------------------------------------------------------

    def norm(self, x: Tensor) -> Tensor:
        """Normalised, and times a weight in its own place."""
        made = self.g.op(x.shape, x, over=self.spec.norm.type == "rmsnorm" or self.family in RMS)
        return self.g.op(x.shape, made, over=True)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        return self.g.op(a.shape, a, b, over=True)

    def projected(self, x: Tensor, width: int, bias: bool = False) -> Tensor:
        """A matrix times ``x``, and a bias."""
        made = self.g.op((width, *x.shape[1:]), x)
        return self.g.op(made.shape, made, over=True) if bias else made

    def picked(self, x: Tensor) -> Tensor:
        """The positions whose logits are made."""
        return self.g.op((x.shape[0], self.run.outputs), x, self.ids)

    def layer(self, layer: Layers, inner: Tensor, last: bool) -> Tensor:
        """Mixer and feed-forward, with the norms that the layer has."""
        names = layer.norm_names
        x = self.norm(inner) if {"attention", "layer", "ssm", "conv"} & set(names) else inner
        if layer.mixer is None:
            out = self.add(self.feed(layer.ffn, self.norm(inner)), inner)
            return self.picked(out) if last else out
        residual, shared = inner, x
        if self.family in JOINED_GATE:
            self.g.expand(x)
        cur = self.mixer(layer.mixer, x)
        if layer.beside is not None:  # which reads a norm of its own
            cur = self.add(cur, self.mixer(layer.beside, self.norm(inner)))
            residual = self.add(cur, residual)
            middle = self.picked(residual) if last else residual
            return self.add(self.feed(layer.ffn, self.norm(middle)), middle)
        if last and self.family not in PICKED_NORMED:
            cur, residual = self.picked(cur), self.picked(residual)
        if "layer" in names or self.family in PARALLEL:
            if last and "ffn" not in names:
                shared = self.picked(shared)
            out = self.feed(layer.ffn, self.norm(residual) if "ffn" in names else shared)
            if self.family in RESIDUAL_FIRST:
                return self.add(self.add(out, residual), cur)
            both = self.add(cur, out) if self.family in ATTENTION_FIRST else self.add(out, cur)
            return self.add(both, residual)
        if "attention_out" in names:
            cur = self.norm(cur)
        if last and self.family in PICKED_NORMED:
            cur, residual = self.picked(cur), self.picked(residual)
        middle = self.add(residual, cur) if self.family in ("jamba", "lfm2") else self.add(cur, residual)
        if layer.ffn is None:
            return middle
        if "experts" in names and isinstance(layer.ffn, MoE):
            out = self.beside(layer.ffn, middle)
        else:
            out = self.feed(layer.ffn, self.norm(middle) if "ffn" in names else middle)
        if "ffn_out" in names:
            out = self.norm(out)
        return self.add(middle, out) if self.family in ONTO_RESIDUAL else self.add(out, middle)

    def mixer(self, of: Mixer | None, x: Tensor) -> Tensor:
        """Where tokens meet."""
        if isinstance(of, Attention):
            return self.attention(of, x)
        from llmcx.engines import llama_mixers

        name = getattr(of, "type", "no mixer")
        if name not in llama_mixers.MIXERS:
            raise NotImplementedError(name)
        return llama_mixers.MIXERS[name](self, of, x)

    # --- attention -----------------------------------------------------------------------------------------------------------

    def attention(self, of: Attention, x: Tensor) -> Tensor:
        """Queries, keys and values; keys and values into the cache; queries met with it; the output."""
        g, t = self.g, self.run.tokens
        dim, heads, kv = of.width(self.d), of.n_heads, of.kv_heads
        v_dim = of.v_dim or dim
        shapes = (dim, heads, t), (dim, kv, t), (v_dim, kv, t)
        gate = None
        if self.family in JOINED_GATE and of.gate:  # a head's query and gate side by side
            both = self.projected(x, 2 * dim * heads, of.bias)
            k, v = (self.projected(x, a * b, of.bias) for a, b, _ in shapes[1:])
            q, gate = (g.view(g.view(both, 2 * dim, heads, t), dim, heads, t, whole=False) for _ in range(2))
            k, v = g.view(k, dim, kv, t), g.view(v, v_dim, kv, t)
        elif self.family in FUSED:
            joined = self.projected(x, sum(a * b for a, b, _ in shapes), of.bias)
            q, k, v = (g.view(joined, *shape, whole=False) for shape in shapes)
        else:
            q, k, v = (self.projected(x, a * b, of.bias) for a, b, _ in shapes)
            if of.qk_norm == "full":
                q, k = self.norm(q), self.norm(k)
            q, k, v = (g.view(one, *shape) for one, shape in zip((q, k, v), shapes, strict=True))
        if of.qk_norm in ("head", "heads"):
            q, k = self.norm(q), self.norm(k)
        if of.rope and not (self.family in ROPED_WINDOWS and self.mixed and self.window(of) is None):
            q, k = (g.op(one.shape, one, self.pos, over=True) for one in (q, k))
        if of.v_norm:
            v = g.op(v.shape, v, over=True)
        if self.family in SCALED_QUERIES:
            q = g.op(q.shape, q, over=True)
        elif self.family == "llama4" and not of.rope:  # by a number for each position
            q = g.op(q.shape, q, self.scale, over=True)
        turned = self.turned(of, v_dim)
        if self.run.quantised and dim % 64 == 0:
            side = 64
            while dim % (2 * side) == 0:
                side *= 2
            turn = self.rotation("k", of, side)
            q, k = self.rotated(q, turn), self.rotated(k, turn)
        if turned is not None:
            v = self.rotated(v, turned)
        mask, k_ids, v_ids = self.mask(of)
        g.expand(q, *((k, v) if self.mixed else (v, k)))
        g.expand(g.stored(g.view(k, dim * kv, t), k_ids))
        if not self.run.flash and not v.whole:
            v = g.op((v_dim * kv, t), v)
        elif not self.run.flash and v_dim * kv < self.widest:  # padded
            v = g.op((self.widest, t), g.view(v, v_dim * kv, t))
        g.expand(g.stored(g.view(v, prod(v.shape)), v_ids))
        q = g.view(g.view(q, *q.shape, 1), dim, t, heads, whole=False)
        if self.run.flash:
            out = g.view(g.op((v_dim, heads, t), q, mask), v_dim * heads, t)
        else:
            scores = g.op((mask.shape[0], t, heads), q)
            for _ in range(3 if self.family in CAPPED else 0):
                scores = g.op(scores.shape, scores, over=True)
            scores = g.op(scores.shape, scores, mask, over=True)
            values = g.op((v_dim, t, heads), scores)
            out = g.op((v_dim * heads, t), g.view(values, v_dim, heads, t, whole=False))
        g.expand(out)
        if turned is not None:
            out = g.view(self.rotated(out, turned), v_dim * heads, t)
        if gate is not None:
            flat = g.op(out.shape, gate)
            out = g.op(out.shape, out, g.op(out.shape, flat, over=True), over=True)
        elif of.gate:
            opened = self.projected(x, heads if of.gate_per_head else v_dim * heads)
            out = g.op(out.shape, out, g.op(opened.shape, opened, over=True), over=True)
        return self.projected(out, self.d, of.bias if of.out_bias is None else of.out_bias)

    def turned(self, of: Attention, v_dim: int) -> Tensor | None:
        """What turns values on their way into a quantised cache, and back."""
        return self.rotation("v", of, 64) if self.run.quantised and v_dim % 64 == 0 else None

    def rotation(self, of: str, layer: Attention, side: int) -> Tensor:
        """What turns keys or values, once for all layers of a window."""
        key = of, self.window(layer) or 0
        if key not in self.rotations:
            self.rotations[key] = self.g.input(side, side)
        return self.rotations[key]

    def rotated(self, x: Tensor, turn: Tensor) -> Tensor:
        """Quantised caches hold keys and values that were turned."""
        g, side = self.g, turn.shape[0]
        rows = (side, prod(x.shape) // side)
        flat = g.view(x, *rows) if x.whole else g.op(rows, x)
        return g.view(g.op(rows, turn, flat), *x.shape)

    def index_inputs(self, dim: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of all indexers: what turns their queries and keys, a mask, where keys go."""
        if self.index is None:
            g, run = self.g, self.run
            mask = g.input(run.cells, run.tokens, item=2)
            self.index = g.input(dim, dim), mask, g.input(run.tokens, item=8)
        return self.index

    @property
    def widest(self) -> int:
        """Of a token's values in a layer."""
        found = [layer.mixer for layer in self.spec.groups if isinstance(layer.mixer, Attention)]
        return max((of.kv_heads * (of.v_dim or of.width(self.d)) for of in found), default=1)

    def mask(self, of: Mixer) -> tuple[Tensor, Tensor, Tensor]:
        """Who meets whom, and where new keys and values go; once for all layers of a window. Values that are not met by a fused
        kernel are stored number by number.
        """
        g, run, of_window = self.g, self.run, self.window(of)
        if (of_window or 0) not in self.masks:
            cells = run.cells if of_window is None else run.windowed
            mask = g.input(cells, run.tokens, item=2 if run.flash else 4)
            values = g.input(run.tokens * (1 if run.flash else self.widest), item=8)
            self.masks[of_window or 0] = mask, g.input(run.tokens, item=8), values
        return self.masks[of_window or 0]

    # --- feed-forwards -------------------------------------------------------------------------------------------------------

    def feed(self, of: FFN | None, x: Tensor) -> Tensor:
        """A feed-forward, plain, gated or routed."""
        g = self.g
        assert of is not None
        if isinstance(of, MoE):
            return self.experts(of, x)
        wide = (of.d_ff, *x.shape[1:])
        if not isinstance(of, Gated):
            act = g.op(wide, self.projected(x, of.d_ff, of.bias), over=True)
            act = g.op(wide, act, over=True) if of.activation == "relu2" else act
            return self.projected(act, self.d, of.bias)
        if self.family in FUSED_UP:
            act = g.op(wide, self.projected(x, 2 * of.d_ff, of.bias))
        else:
            act = g.op(wide, self.projected(x, of.d_ff, of.bias), self.projected(x, of.d_ff, of.bias))
        return self.projected(act, self.d, of.bias if of.down_bias is None else of.down_bias)

    def beside(self, of: MoE, x: Tensor) -> Tensor:
        """Gemma 4's shared expert and routed ones, each between norms of its own; the router reads a third."""
        assert of.shared is not None
        read = x
        for _ in range(3):  # normalised, scaled twice
            read = self.g.op(x.shape, read, over=True)
        alone = replace(of, shared=None)
        routed = self.norm(self.experts(alone, self.norm(x), self.projected(read, of.n_experts)))
        return self.add(self.norm(self.feed(of.shared, self.norm(x))), routed)

    def experts(self, of: MoE, x: Tensor, logits: Tensor | None = None) -> Tensor:
        """Routed experts, each token's side by side, then added one after the other; and the shared one."""
        g, rows, n, k, ff = self.g, x.shape[-1], of.n_experts, of.top_k, of.expert.d_ff
        logits = self.projected(x, n, of.router_bias) if logits is None else logits
        late = self.family == "gpt_oss"
        probabilities = logits if late else g.op((n, rows), logits, over=True)
        scored = logits if self.family == "llama4" else probabilities
        if of.correction and self.family != "gemma4":
            scored = g.op((n, rows), scored, over=True)
        top = g.view(g.op((n, rows), scored), k, rows, whole=False)
        weights = g.op((1, k, rows), g.view(probabilities, 1, n, rows), top)
        if late:
            weights = g.view(g.op((k, rows), g.view(weights, k, rows), over=True), 1, k, rows)
        if self.family not in UNNORMED:
            weights = g.view(weights, k, rows)
            total = g.op((1, rows), g.op((1, rows), weights), over=True)
            weights = g.view(g.op((k, rows), weights, total, over=True), 1, k, rows)
        g.expand(weights)
        read = g.view(x, self.d, 1, rows)
        if self.family == "llama4":  # weighs what goes in
            read = g.op((self.d, k, rows), g.op((self.d, k, rows), read), weights, over=True)

        def routed(width: int, source: Tensor) -> Tensor:
            made = g.op((width, k, rows), source, top)
            return g.op(made.shape, made, top, over=True) if of.expert.bias else made

        if isinstance(of.expert, Gated):
            up, gate = routed(ff, read), routed(ff, read)
            act = g.op((ff, k, rows), gate, up)
        else:
            act = g.op((ff, k, rows), routed(ff, read), over=True)
        down = routed(self.d, act)
        if self.family != "llama4":
            down = g.op(down.shape, down, weights, over=True)
        g.expand(down)
        parts = [g.view(down, self.d, rows, whole=False) for _ in range(k)]
        g.expand(*parts)
        out = parts[0] if k > 1 else g.op((self.d, rows), parts[0])
        for part in parts[1:]:
            out = self.add(out, part)
            g.expand(out)
        if of.shared is None:
            return out
        beside = self.feed(of.shared, x)
        if of.shared_gate:
            gate = self.projected(x, 1)
            gate = g.op((1, rows), g.op((1, rows), gate, over=True), gate, over=True)
            beside = g.op(beside.shape, beside, gate, over=True)
        return self.add(out, beside)
