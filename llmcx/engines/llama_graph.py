"""The graph that llama.cpp builds of a physical batch, as far as its buffer depends on it (src/llama-graph.cpp and src/models of
ggml-org/llama.cpp, 0.5.0).
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.engines.ggml import Graph, Tensor
from llmcx.model.ffn import FFN, Gated, MoE
from llmcx.model.layers import Layers
from llmcx.model.mixers.attention import Attention
from llmcx.model.mixers.mla import MLA
from llmcx.model.spec import ModelSpec

REPEATS = 3
"""Layers of a run that are followed: the buffer is no larger after more."""
FUSED = ("phi3", "falcon", "gpt2", "gpt_neox", "gpt_bigcode", "bloom", "mpt", "phi", "codegen", "gptj")
"""Families whose queries, keys and values one matrix makes."""
FUSED_UP = ("phi3", "glm4", "glm")
"""Families whose gate and up are one matrix."""
PARALLEL = ("cohere", "cohere2", "falcon", "phi", "gpt_neox", "gptj", "codegen")
"""Families whose feed-forward reads what the attention reads."""
SCALED = ("gemma", "gemma2", "gemma3_text", "granite")
LATE = ("gpt_oss",)
"""Families that pick the positions to be scored after the last layer."""
LAYERNORM = ("layernorm",)


class Pass(NamedTuple):
    """A physical batch: ``tokens`` of ``seqs`` sequences, with logits of ``outputs``; cells by window (None: full layers)."""

    tokens: int
    seqs: int
    outputs: int
    cells: dict[int | None, int]
    flash: bool = True
    quantised: bool = False


class Builder:
    """Makes the graph of one pass."""

    def __init__(self, spec: ModelSpec, run: Pass):
        self.spec, self.run, self.g = spec, run, Graph()
        self.d, self.family = spec.d_model, spec.family or ""

    def reserved(self) -> int:
        """Bytes of the buffer."""
        g, d, t = self.g, self.d, self.run.tokens
        tokens = g.input(t)
        inner = g.op((d, t), tokens)
        g.expand(inner, g.input(d, t))
        self.pos = g.input(t)
        self.masks: dict[int | None, tuple[Tensor, Tensor, Tensor]] = {}
        self.rotations: dict[int, Tensor] = {}
        self.ids = g.input(self.run.outputs)
        if self.spec.embedding.positions:
            inner = g.op((d, t), inner, g.op((d, t), self.pos), over=True)
        if self.spec.embedding.normed:
            inner = self.norm(inner)
        if self.family in SCALED:
            inner = g.op((d, t), inner, over=True)
        layers = [self.spec.kinds[name] for name, n in self.spec.runs for _ in range(min(n, REPEATS))]
        for i, layer in enumerate(layers):
            inner = self.layer(layer, inner, i == len(layers) - 1 and self.family not in LATE)
        if self.family in LATE:
            inner = self.picked(inner)
        out = g.op((self.spec.embedding.vocab, self.run.outputs), self.norm(inner))
        g.outputs.append(out)
        g.expand(out)
        return g.reserved()

    # --- parts ---------------------------------------------------------------------------------------------------------------

    def norm(self, x: Tensor) -> Tensor:
        """Normalised, and times a weight in its own place."""
        made = self.g.op(x.shape, x, over=self.spec.norm.type == "rmsnorm")
        return self.g.op(x.shape, made, over=True)

    def picked(self, x: Tensor) -> Tensor:
        """The positions whose logits are made."""
        return self.g.op((x.shape[0], self.run.outputs), x, self.ids)

    def layer(self, layer: Layers, inner: Tensor, last: bool) -> Tensor:
        """Attention and feed-forward, with the norms that the layer has."""
        g, names = self.g, layer.norm_names
        residual, x = inner, inner
        first = next((name for name in names if name == "attention"), None)
        if first:
            x = self.norm(inner)
        shared = x
        cur = self.attention(layer.mixer, x) if isinstance(layer.mixer, Attention) else self.latent(layer.mixer, x)
        if last:
            cur, residual = self.picked(cur), self.picked(residual)
        if self.family in PARALLEL:
            if last and "ffn" not in names:
                shared = self.picked(shared)
            read = self.norm(residual) if "ffn" in names else shared
            out = self.feed(layer.ffn, read)
            if self.family in ("cohere", "cohere2", "gpt_neox"):
                return g.op(out.shape, g.op(out.shape, out, residual, over=True), cur, over=True)
            return g.op(out.shape, g.op(out.shape, out, cur, over=True), residual, over=True)
        if "attention_out" in names:
            cur = self.norm(cur)
        middle = g.op(cur.shape, cur, residual, over=True)
        if layer.ffn is None:
            return middle
        x = self.norm(middle) if "ffn" in names else middle
        out = self.feed(layer.ffn, x)
        if "ffn_out" in names:
            out = self.norm(out)
        return g.op(out.shape, out, middle, over=True)

    def attention(self, of: Attention, x: Tensor) -> Tensor:
        g, t = self.g, self.run.tokens
        dim, heads, kv = of.width(self.d), of.n_heads, of.kv_heads
        v_dim = of.v_dim or dim
        bias = of.bias
        if self.family in FUSED:
            total = heads * dim + kv * (dim + v_dim)
            joined = g.op((total, t), x)
            if bias:
                joined = g.op((total, t), joined, over=True)
            q, k, v = (g.view(joined, *shape, whole=False) for shape in ((dim, heads, t), (dim, kv, t), (v_dim, kv, t)))
        else:
            flat = of.qk_norm == "full"
            q = self.projected(x, heads * dim, bias)
            k = self.projected(x, kv * dim, bias)
            v = self.projected(x, kv * v_dim, bias)
            if flat:
                q, k = self.norm(q), self.norm(k)
            q, k, v = g.view(q, dim, heads, t), g.view(k, dim, kv, t), g.view(v, v_dim, kv, t)
        if of.qk_norm in ("head", "heads"):
            q, k = self.norm(q), self.norm(k)
        if of.rope:
            q, k = (g.op(one.shape, one, self.pos, over=True) for one in (q, k))
        if self.family in ("gemma2", "gemma3_text", "phi3", "gemma", "phi"):
            q = g.op(q.shape, q, over=True)
        mask, k_ids, v_ids = self.mask(of, kv * v_dim)
        turned = self.run.quantised and dim % 64 == 0
        if turned:
            side = 64
            while dim % (2 * side) == 0:
                side *= 2
            q, k = self.rotated(q, side), self.rotated(k, side)
        if self.run.quantised and v_dim % 64 == 0:
            v = self.rotated(v, 64)
        g.expand(q, *((k, v) if len(self.windows) > 1 else (v, k)))
        g.expand(g.stored(g.view(k, dim * kv, t), k_ids))
        if not self.run.flash and not v.whole:
            v = g.op((v_dim * kv, t), v)
        g.expand(g.stored(g.view(v, v_dim * kv, t), v_ids))
        cur = self.met(of, q, mask, v_dim)
        if self.run.quantised and v_dim % 64 == 0:
            cur = g.view(self.rotated(cur, 64), v_dim * heads, t)
        return self.projected(cur, self.d, of.bias if of.out_bias is None else of.out_bias)

    @property
    def windows(self) -> set[int | None]:
        """Of the layers."""
        return {_window(layer.mixer) for layer in self.spec.groups}

    def projected(self, x: Tensor, width: int, bias: bool) -> Tensor:
        made = self.g.op((width, x.shape[-1]), x)
        return self.g.op(made.shape, made, over=True) if bias else made

    def rotated(self, x: Tensor, side: int) -> Tensor:
        """Quantised caches hold keys and values that were turned."""
        g = self.g
        if side not in self.rotations:
            self.rotations[side] = g.input(side, side)
        size = 1
        for n in x.shape:
            size *= n
        rows = (side, size // side)
        flat = g.view(x, *rows) if x.whole else g.op(rows, x)
        return g.view(g.op(rows, self.rotations[side], flat), *x.shape)

    def mask(self, of: Attention, v_width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Who meets whom, and where new keys and values go; once for all layers of a window."""
        window, g, run = _window(of), self.g, self.run
        if window not in self.masks:
            mask = g.input(run.cells[window], run.tokens, item=2 if run.flash else 4)
            self.masks[window] = mask, g.input(run.tokens, item=8), g.input(run.tokens * (1 if run.flash else v_width), item=8)
        return self.masks[window]

    def met(self, of: Attention, q: Tensor, mask: Tensor, v_dim: int) -> Tensor:
        """Queries, met with the cache, and all heads' values side by side."""
        g, t, heads = self.g, self.run.tokens, of.n_heads
        q = g.view(g.view(q, *q.shape, 1), q.shape[0], t, heads, whole=False)
        if self.run.flash:
            made = g.op((v_dim, heads, t), q, mask)
            out = g.view(made, v_dim * heads, t)
        else:
            scores = g.op((self.run.cells[_window(of)], t, heads), q)
            if self.family in ("gemma2",):
                for _ in range(3):
                    scores = g.op(scores.shape, scores, over=True)
            scores = g.op(scores.shape, scores, mask, over=True)
            values = g.op((v_dim, t, heads), scores)
            out = g.op((v_dim * heads, t), g.view(values, v_dim, heads, t, whole=False))
        g.expand(out)
        return out

    def latent(self, of: object, x: Tensor) -> Tensor:
        assert isinstance(of, MLA)
        raise NotImplementedError

    def feed(self, of: FFN | None, x: Tensor) -> Tensor:
        """A feed-forward."""
        g, rows = self.g, x.shape[-1]
        if isinstance(of, MoE):
            return self.experts(of, x)
        assert of is not None
        if isinstance(of, Gated):
            if self.family in FUSED_UP:
                act = g.op((of.d_ff, rows), g.op((2 * of.d_ff, rows), x))
            else:
                up = self.projected(x, of.d_ff, of.bias)
                gate = self.projected(x, of.d_ff, of.bias)
                act = g.op((of.d_ff, rows), gate, up)
            bias = of.bias if of.down_bias is None else of.down_bias
            return self.projected(act, self.d, bias)
        act = g.op((of.d_ff, rows), self.projected(x, of.d_ff, of.bias), over=True)
        if of.activation == "relu2":
            act = g.op(act.shape, act, over=True)
        return self.projected(act, self.d, of.bias)

    def experts(self, of: MoE, x: Tensor) -> Tensor:
        """Routed experts, each token's side by side, and the shared one."""
        g, rows, n, k, ff = self.g, x.shape[-1], of.n_experts, of.top_k, of.expert.d_ff
        bias = of.expert.bias
        logits = self.projected(x, n, of.router_bias)
        late = self.family in ("gpt_oss",)
        probs = logits if late else g.op((n, rows), logits, over=True)
        chosen_from = g.op((n, rows), probs, over=True) if of.correction else probs
        top = g.view(g.op((n, rows), chosen_from), k, rows, whole=False)
        weights = g.op((1, k, rows), g.view(probs, 1, n, rows), top)
        if late:
            weights = g.op((k, rows), g.view(weights, k, rows), over=True)
            weights = g.view(weights, 1, k, rows)
        if self.family not in ("gpt_oss", "qwen2_moe", "olmoe", "llama4_text"):
            weights = g.view(weights, k, rows)
            total = g.op((1, rows), g.op((1, rows), weights), over=True)
            weights = g.view(g.op((k, rows), weights, total, over=True), 1, k, rows)
        g.expand(weights)
        read = g.view(x, self.d, 1, rows)
        if self.family == "llama4_text":
            read = g.op((self.d, k, rows), g.op((self.d, k, rows), read), weights, over=True)

        def routed(width: int, source: Tensor) -> Tensor:
            made = g.op((width, k, rows), source, top)
            return g.op(made.shape, made, top, over=True) if bias else made

        if isinstance(of.expert, Gated):
            up, gate = routed(ff, read), routed(ff, read)
            act = g.op((ff, k, rows), gate, up)
        else:
            act = g.op((ff, k, rows), routed(ff, read), over=True)
        down = routed(self.d, act)
        if self.family != "llama4_text":
            down = g.op(down.shape, down, weights, over=True)
        g.expand(down)
        parts = [g.view(down, self.d, rows, whole=False) for _ in range(k)]
        g.expand(*parts)
        out = parts[0]
        for part in parts[1:]:
            out = g.op((self.d, rows), out, part, over=True)
            g.expand(out)
        if k == 1:
            out = g.op((self.d, rows), out)
        if of.shared is not None:
            beside = self.feed(of.shared, x)
            if of.shared_gate:
                gate = g.op((1, rows), x)
                gate = g.op((1, rows), g.op((1, rows), gate, over=True), gate, over=True)
                beside = g.op(beside.shape, beside, gate, over=True)
            out = g.op(out.shape, out, beside, over=True)
        return out


def _window(mixer: object) -> int | None:
    core = getattr(mixer, "core", None)
    return getattr(core, "window", None) if core is not None and core.type in ("sliding", "chunked") else None
