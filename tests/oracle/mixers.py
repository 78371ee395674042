"""Mixers that take the place of a whole attention, in plain torch from their papers: Gated DeltaNet, Mamba-2, native sparse
attention.

Each has `pairs` (None for a recurrence), `name`, and runs a whole sequence; what attention.py measures is said there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as f

Json = dict[str, Any]
Tensor = torch.Tensor
Tiles = list[tuple[Tensor, Tensor, Tensor | None]]


def linear(d_in: int, d_out: int) -> torch.nn.Linear:
    return torch.nn.Linear(d_in, d_out, bias=False)


def filtered(x: Tensor, conv: torch.nn.Conv1d) -> Tensor:
    """A causal filter per channel: padded at both ends, the last outputs dropped; then SiLU."""
    return f.silu(conv(x.mT)[..., : x.shape[1]].mT)


def padded(x: Tensor, chunk: int, axis: int = 2) -> Tensor:
    """Zeros up to whole chunks along the tokens, which become (chunks, chunk)."""
    missing = -x.shape[axis] % chunk
    x = f.pad(x, (0, 0) * (x.dim() - axis - 1) + (0, missing))
    return x.unflatten(axis, (-1, chunk))


class DeltaNet(torch.nn.Module):
    """Yang et al. 2024, arXiv:2412.06464: eq. 10 in the chunks of sec. 3.3, a short filter and a gated norm around it."""

    chunk, pairs, name = 64, None, "gated_delta"

    def __init__(self, case: Json) -> None:
        super().__init__()
        d, self.heads = case["d_model"], case["heads"]
        self.dim = d // self.heads
        width = self.heads * self.dim
        self.qkv, self.gate, self.beta_decay = linear(d, 3 * width), linear(d, width), linear(d, 2 * self.heads)
        self.out = linear(width, d)
        self.conv = torch.nn.Conv1d(3 * width, 3 * width, 4, groups=3 * width, padding=3, bias=False)
        self.dt, self.a = (torch.nn.Parameter(torch.rand(self.heads)) for _ in range(2))
        self.norm = torch.nn.Parameter(torch.ones(self.dim))

    def prepared(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries and keys of length 1, values, the strength of each write, and the logarithm of each token's decay."""
        q, k, v = (t.unflatten(-1, (self.heads, self.dim)).transpose(1, 2) for t in filtered(self.qkv(x), self.conv).chunk(3, -1))
        beta, decay = self.beta_decay(x).mT.chunk(2, 1)
        decay = -torch.exp(self.a)[:, None] * f.softplus(decay + self.dt[:, None])
        return f.normalize(q, dim=-1) * self.dim**-0.5, f.normalize(k, dim=-1), v, torch.sigmoid(beta), decay

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v, beta, decay = self.prepared(x)
        beta, decay = beta[..., None], decay[..., None]
        q, k, v, beta, decay = (padded(t, self.chunk) for t in (q, k, v, beta, decay))
        fade = decay.cumsum(-2)  # logarithm of the decay since the chunk began
        between = torch.exp((fade - fade.mT).tril()).tril()
        # (I + tril(beta K Kᵀ Γ, -1)) U = beta V, and likewise for what the keys take out of the state (the UT transform).
        system = ((beta * k) @ k.mT * between).tril(-1) + torch.eye(self.chunk)
        u = torch.linalg.solve_triangular(system, beta * v, upper=False, unitriangular=True)
        w = torch.linalg.solve_triangular(system, beta * k * torch.exp(fade), upper=False, unitriangular=True)
        inner = q @ k.mT * between
        state = torch.zeros(b, self.heads, self.dim, self.dim)
        outs = []
        for i in range(q.shape[2]):
            new = u[:, :, i] - w[:, :, i] @ state
            outs.append((q[:, :, i] * torch.exp(fade[:, :, i])) @ state + inner[:, :, i] @ new)
            last = fade[:, :, i, -1:]
            state = state * torch.exp(last) + (k[:, :, i] * torch.exp(last - fade[:, :, i])).mT @ new
        return self.finished(torch.stack(outs, 2).flatten(2, 3)[:, :, :n].transpose(1, 2), x)

    def finished(self, out: Tensor, x: Tensor) -> Tensor:
        out = out * torch.rsqrt(out.pow(2).mean(-1, keepdim=True) + 1e-6) * self.norm
        return self.out((out * f.silu(self.gate(x).unflatten(-1, (self.heads, self.dim)))).flatten(2))

    def step_by_step(self, x: Tensor) -> Tensor:
        """The recurrence itself, token by token: what the chunks have to equal."""
        q, k, v, beta, decay = self.prepared(x)
        decay = torch.exp(decay)
        state, outs = torch.zeros(x.shape[0], self.heads, self.dim, self.dim), []
        for t in range(x.shape[1]):
            state = state * decay[:, :, t, None, None]
            held = (state * k[:, :, t, :, None]).sum(-2)
            state = state + k[:, :, t, :, None] * (beta[:, :, t, None] * (v[:, :, t] - held))[:, :, None]
            outs.append((state * q[:, :, t, :, None]).sum(-2))
        return self.finished(torch.stack(outs, 1), x)


class Mamba2(torch.nn.Module):
    """Dao and Gu 2024, arXiv:2405.21060, listing 1, its contractions as the matrix products of figure 5; one group of B and C."""

    chunk, dim, pairs, name = 256, 64, None, "mamba2"

    def __init__(self, case: Json, states: int) -> None:
        super().__init__()
        d, self.states = case["d_model"], states
        self.inner = 2 * d
        self.heads = self.inner // self.dim
        mixed = self.inner + 2 * states
        self.into, self.out = linear(d, self.inner + mixed + self.heads), linear(self.inner, d)
        self.conv = torch.nn.Conv1d(mixed, mixed, 4, groups=mixed, padding=3)
        self.dt, self.a, self.d = (torch.nn.Parameter(torch.rand(self.heads)) for _ in range(3))
        self.norm = torch.nn.Parameter(torch.ones(self.inner))

    def prepared(self, x: Tensor) -> tuple[Tensor, ...]:
        """Gate, x times its step, B and C of every head, and the logarithm of each token's decay."""
        gate, mixed, dt = self.into(x).split((self.inner, self.inner + 2 * self.states, self.heads), -1)
        xs, b, c = filtered(mixed, self.conv).split((self.inner, self.states, self.states), -1)
        dt = f.softplus(dt + self.dt)
        xs = xs.unflatten(-1, (self.heads, self.dim)).transpose(1, 2)
        b, c = (t[:, None].expand(-1, self.heads, -1, -1) for t in (b, c))
        return gate, xs, xs * dt.mT[..., None], b, c, (-torch.exp(self.a) * dt).mT

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[1]
        gate, raw, xs, b, c, decay = self.prepared(x)
        xs, b, c, decay = (padded(t, self.chunk) for t in (xs, b, c, decay[..., None]))
        fade = decay.cumsum(-2)
        within = c @ b.mT * torch.exp((fade - fade.mT).tril()).tril() @ xs
        last = fade[..., -1:, :]
        states = xs.mT @ (b * torch.exp(last - fade))  # head width x state, of each chunk
        before = f.pad(states, (0, 0, 0, 0, 1, 0))  # the state that the first chunk finds
        ends = f.pad(last[..., 0, 0], (1, 0)).cumsum(-1)
        carry = torch.exp((ends[..., :, None] - ends[..., None, :]).tril()).tril()
        found = (carry @ before.flatten(-2)).unflatten(-1, states.shape[-2:])[:, :, :-1]
        across = c @ found.mT * torch.exp(fade)
        return self.finished((within + across).flatten(2, 3)[:, :, :n], raw, gate)

    def finished(self, y: Tensor, raw: Tensor, gate: Tensor) -> Tensor:
        y = (y + self.d[:, None, None] * raw).transpose(1, 2).flatten(2) * f.silu(gate)
        return self.out(y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-5) * self.norm)

    def step_by_step(self, x: Tensor) -> Tensor:
        """The recurrence itself: h = exp(Δ A) h + Δ B x, y = C h + D x."""
        gate, raw, xs, b, c, decay = self.prepared(x)
        state, outs = torch.zeros(x.shape[0], self.heads, self.dim, self.states), []
        for t in range(x.shape[1]):
            state = state * torch.exp(decay[:, :, t, None, None]) + xs[:, :, t, :, None] * b[:, :, t, None]
            outs.append((state * c[:, :, t, None]).sum(-1))
        return self.finished(torch.stack(outs, 2), raw, gate)


class Native(torch.nn.Module):
    """Yuan et al. 2025, arXiv:2502.11089, sec. 3.3: eq. 7 (compression), 8 to 12 (selection), the window, and the gates of eq.
    5.
    """

    name = "nsa"

    def __init__(self, case: Json, fused: Any, block: int, stride: int, select: int, count: int, window: int) -> None:
        super().__init__()
        d, self.heads, self.kv, self.fused = case["d_model"], case["heads"], case["kv_heads"], fused
        self.dim, self.pairs = d // self.heads, 0
        self.block, self.stride, self.select, self.count, self.window = block, stride, select, count, window
        self.q, self.gates, self.out = (
            linear(d, self.heads * self.dim),
            linear(d, 3 * self.heads),
            linear(self.heads * self.dim, d),
        )
        self.kvs = torch.nn.ModuleList(linear(d, self.kv * self.dim) for _ in range(6))
        self.maps = torch.nn.ModuleList(linear(block * self.dim, self.dim) for _ in range(2))
        self.places = torch.nn.ParameterList(torch.rand(block, self.dim) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[1]
        q = self.q(x).unflatten(-1, (self.heads, self.dim)).transpose(1, 2)
        k1, v1, k2, v2, k3, v3 = (part(x).unflatten(-1, (self.kv, self.dim)).transpose(1, 2) for part in self.kvs)
        ends = torch.arange(max(0, (n - self.block) // self.stride + 1)) * self.stride + self.block  # tokens seen with a block
        k1, v1 = (
            which((t.unfold(2, self.block, self.stride).mT + place).flatten(3)) if len(ends) else t[:, :, :0]
            for t, which, place in zip((k1, v1), self.maps, self.places, strict=True)
        )
        seen = ends[None] <= torch.arange(n)[:, None] + 1
        tiles = [(torch.tensor([i]), torch.nonzero(row)[:, 0], None) for i, row in enumerate(seen) if row.any()]
        self.pairs = int(seen.sum())
        branches = [self.attend(q, k1, v1, tiles)]
        with torch.no_grad():
            best = self.chosen(q, k1, tiles, n)
        i = torch.arange(n)
        outs = []
        for head in range(self.kv):  # the heads of a group share the blocks; each sequence and group has its own
            group = slice(head * (self.heads // self.kv), (head + 1) * (self.heads // self.kv))
            rows = []
            for s in range(x.shape[0]):
                tiles = [
                    (i[t : t + 1], torch.nonzero(best[s, head, t][i // self.select] & (i <= t))[:, 0], None) for t in range(n)
                ]
                rows.append(
                    self.attend(q[s : s + 1, group], k2[s : s + 1, head : head + 1], v2[s : s + 1, head : head + 1], tiles)
                )
            outs.append(torch.cat(rows))
        self.pairs += sum(len(columns) for _, columns, _ in tiles)
        branches.append(torch.cat(outs, 1))
        near = (i[:, None] - i[None] >= 0) & (i[:, None] - i[None] < self.window)
        self.pairs += int(near.sum())
        branches.append(self.attend(q, k3, v3, [(i[t : t + 1], torch.nonzero(near[t])[:, 0], None) for t in range(n)]))
        gates = torch.sigmoid(self.gates(x)).unflatten(-1, (3, self.heads)).permute(2, 0, 3, 1)[..., None]
        return self.out(sum(g * o for g, o in zip(gates, branches, strict=True)).transpose(1, 2).flatten(2))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, tiles: Tiles) -> Tensor:
        out = self.fused.apply(q, k, v, self.dim**-0.5, tiles)
        return torch.where(out.isnan(), torch.zeros(()), out) if len(tiles) < q.shape[2] else out

    def chosen(self, q: Tensor, k: Tensor, tiles: Tiles, n: int) -> Tensor:
        """The scores of compressed blocks, summed over a group's heads and over what of each block to choose they cover."""
        blocks, per, wide = -(-n // self.select), self.select // self.stride, self.block // self.stride
        worth = torch.zeros(q.shape[0], self.kv, n, blocks)
        many = k.repeat_interleave(self.heads // self.kv, 1)
        for rows, columns, _ in tiles:
            p = torch.softmax(q[:, :, rows] @ many[:, :, columns].mT * self.dim**-0.5, -1)
            p = p.unflatten(1, (self.kv, -1)).sum(2)[:, :, 0]
            for j in range(blocks):
                covered = [per * j - m + a for m in range(wide) for a in range(per) if 0 <= per * j - m + a < len(columns)]
                worth[:, :, rows[0], j] = p[:, :, covered].sum(-1)
        own = torch.arange(n) // self.select
        best = torch.zeros_like(worth, dtype=torch.bool)
        for t in range(n):
            worth[:, :, t, own[t]] = torch.inf  # its own block always
            worth[:, :, t, own[t] + 1 :] = -torch.inf
            picks = worth[:, :, t].topk(min(self.count, int(own[t]) + 1)).indices
            best[:, :, t] = torch.zeros_like(best[:, :, t]).scatter(-1, picks, True)
        return best
