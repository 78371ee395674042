"""Every attention variant in plain torch, written from its paper, run at tiny sizes and measured; kept in attention_golden.json.

    python tests/oracle/attention.py            measure and write attention_golden.json
    python tests/oracle/attention.py --check    measure again; exit 1 and print what differs

Needs torch (the CPU build will do) and nothing of llmcx. For each case: `forward` and `forward_backward`, FlopCounterMode's
counts of the attention with its projections; `pairs`, the (query, key) pairs of one head, counted on the mask; `kept`, the
bytes that saved-tensor hooks see (each storage once, parameters left out); `decode`, the FLOPs of the last token alone, with what
a cache holds given. Gated DeltaNet, Mamba-2 and native sparse attention are in mixers.py; the two recurrences are also run token
by token there, and have to give what their chunks give.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mixers
import torch
from mixers import linear
from torch.utils.flop_counter import FlopCounterMode

GOLDEN = Path(__file__).resolve().parent / "attention_golden.json"
Json = dict[str, Any]
Tensor = torch.Tensor
Tiles = list[tuple[Tensor, Tensor, Tensor | None]]


class Fused(torch.autograd.Function):
    """Softmax attention tile by tile with a running maximum and sum, as FlashAttention's algorithm 1; the backward pass
    multiplies the scores again, as algorithm 4. A tile is (rows, columns, which of their pairs count).
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float, tiles: Tiles) -> Tensor:
        groups = q.shape[1] // k.shape[1]
        many_k, many_v = (t.repeat_interleave(groups, 1) for t in (k, v))
        most = torch.full(q.shape[:-1], -torch.inf)
        total = torch.zeros(q.shape[:-1])
        out = torch.zeros(*q.shape[:-1], v.shape[-1])
        for rows, columns, mask in tiles:
            scores = q[:, :, rows] @ many_k[:, :, columns].mT * scale
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            top = torch.maximum(most[:, :, rows], scores.amax(-1))
            weights = torch.exp(scores - top[..., None])
            fade = torch.exp(most[:, :, rows] - top)
            total[:, :, rows] = total[:, :, rows] * fade + weights.sum(-1)
            out[:, :, rows] = out[:, :, rows] * fade[..., None] + weights @ many_v[:, :, columns]
            most[:, :, rows] = top
        out = out / total[..., None]
        ctx.save_for_backward(q, k, v, most + torch.log(total))
        ctx.scale, ctx.tiles, ctx.out, ctx.groups = scale, tiles, out.detach(), groups
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        q, k, v, logsum = ctx.saved_tensors
        many_k, many_v = (t.repeat_interleave(ctx.groups, 1) for t in (k, v))
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(many_k), torch.zeros_like(many_v)
        inner = (grad * ctx.out).sum(-1)
        for rows, columns, mask in ctx.tiles:
            scores = q[:, :, rows] @ many_k[:, :, columns].mT * ctx.scale
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            weights = torch.exp(scores - logsum[:, :, rows, None])
            dv.index_add_(2, columns, weights.mT @ grad[:, :, rows])
            ds = weights * (grad[:, :, rows] @ many_v[:, :, columns].mT - inner[:, :, rows, None]) * ctx.scale
            dq.index_add_(2, rows, ds @ many_k[:, :, columns])
            dk.index_add_(2, columns, ds.mT @ q[:, :, rows])

        def together(t: Tensor) -> Tensor:
            return t.unflatten(1, (-1, ctx.groups)).sum(2)

        return dq, together(dk), together(dv), None, None


# --- which pairs count: masks from the papers' definitions ------------------------------------------------------------------


def window(n: int, causal: bool, w: int) -> Tensor:
    """Itself and w neighbours: before it, or half on each side."""
    gap = torch.arange(n)[:, None] - torch.arange(n)[None]
    return (gap >= 0) & (gap <= w) if causal else gap.abs() <= w // 2


def strided(n: int, causal: bool, k: int) -> Tensor:
    """Child et al. 2019, sec. 4.2."""
    gap = torch.arange(n)[:, None] - torch.arange(n)[None]
    seen = (gap.abs() <= k) | (gap % k == 0)
    return seen & (gap >= 0) if causal else seen


def fixed(n: int, causal: bool, k: int, c: int) -> Tensor:
    """Child et al. 2019, sec. 4.2: the same block, or a summary token."""
    i = torch.arange(n)
    seen = (i[:, None] // k == i[None] // k) | (i[None] % k >= k - c)
    return seen & (i[None] <= i[:, None]) if causal else seen


def longformer(n: int, causal: bool, w: int, g: int, m: int = 1) -> Tensor:
    """Beltagy et al. 2020, sec. 3.1: a dilated window, and g leading tokens that see and are seen."""
    i = torch.arange(n)
    gap = i[:, None] - i[None]
    seen = (gap.abs() % m == 0) & (gap.abs() <= m * (w if causal else w // 2))
    seen |= (i[:, None] < g) | (i[None] < g)
    return seen & (gap >= 0) if causal else seen


def bigbird(n: int, causal: bool, b: int, w: int, g: int, r: int) -> Tensor:
    """Zaheer et al. 2020, sec. 2: blocks of a window, global ones, random ones of those not yet seen."""
    blocks = -(-n // b)
    seen = torch.zeros(blocks, blocks, dtype=torch.bool)
    draw = torch.Generator().manual_seed(n)
    for row in range(blocks):
        for column in range(blocks):
            seen[row, column] = abs(row - column) <= w // 2 or row < g or column < g
        free = [c for c in range(n // b) if not seen[row, c] and (c < row or not causal)]
        for pick in torch.randperm(len(free), generator=draw)[:r]:
            seen[row, free[pick]] = True
    mask = seen.repeat_interleave(b, 0).repeat_interleave(b, 1)[:n, :n]
    return mask & torch.ones(n, n).tril().bool() if causal else mask


MASKS: dict[str, Callable[..., Tensor]] = {
    "local": window,
    "strided": strided,
    "fixed": fixed,
    "longformer": longformer,
    "bigbird": bigbird,
}


def settings_of(variant: str) -> tuple[str, dict[str, int]]:
    """`local:w=4` as its name and its settings."""
    name, _, settings = variant.partition(":")
    return name, {key: int(value) for key, _, value in (s.partition("=") for s in filter(None, settings.split(",")))}


def by_row(mask: Tensor) -> Tiles:
    """A kernel that multiplies the pairs of a mask and no others: a tile per query."""
    return [(torch.tensor([i]), torch.nonzero(row)[:, 0], None) for i, row in enumerate(mask)]


def grid(n: int, size: int, causal: bool) -> Tiles:
    """Flash over all pairs in tiles; a causal mask hides, and the hidden pairs are multiplied."""
    parts = torch.arange(n).split(size)
    return [(rows, columns, columns[None] <= rows[:, None] if causal else None) for columns in parts for rows in parts]


# --- whole attentions: projections, core, output ----------------------------------------------------------------------------


class Layer(torch.nn.Module):
    """Queries, keys and values of a case, and what its variant does with them. ``last`` runs the last token alone."""

    def __init__(self, case: Json) -> None:
        super().__init__()
        self.case = case
        d, self.heads, self.kv = case["d_model"], case["heads"], case["kv_heads"]
        self.dim = d // self.heads
        self.name, self.set = settings_of(case["variant"])
        self.kv = {"mha": self.heads, "mqa": 1, "gqa": self.set.get("g", 0)}.get(self.name, self.kv)
        self.pairs: int | None = None
        if self.name.startswith("mla") or self.name == "dsa":
            self.rank, self.rope = 4 * self.dim, self.dim // 2
            self.q = linear(d, self.heads * (self.dim + self.rope))
            self.kv_down = linear(d, self.rank + self.rope)
            self.kv_up = linear(self.rank, self.heads * 2 * self.dim)
            self.out = linear(self.heads * self.dim, d)
            if self.name == "dsa":
                self.index_heads = self.set.get("heads", max(self.heads // 2, 1))
                self.index_dim = self.set.get("dim", 128)
                self.index_q, self.index_k = linear(d, self.index_heads * self.index_dim), linear(d, self.index_dim)
                self.index_w = linear(d, self.index_heads)
            return
        self.q, self.v = linear(d, self.heads * self.dim), linear(d, self.kv * self.dim)
        if self.name != "reformer":
            self.k = linear(d, self.kv * self.dim)
        self.out = linear(self.heads * self.dim, d)
        if self.name == "performer":
            self.register_buffer("draws", torch.randn(self.dim, self.set["r"]))
        if self.name == "linformer":
            for leaf in ("e", "f"):
                self.register_parameter(leaf, torch.nn.Parameter(torch.randn(self.set["k"], case["n"])))

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.dim)).transpose(1, 2)

    def forward(self, x: Tensor, past: Tensor | None = None) -> Tensor:
        """``x`` after ``past`` tokens, whose keys and values are computed outside the count, as if they came from a cache."""
        if self.name.startswith("mla") or self.name == "dsa":
            return self.latent(x, past)
        q, v = self.split(self.q(x)), self.split(self.v(x))
        k = q if self.name == "reformer" else self.split(self.k(x))
        if self.name == "linear" and past is not None:
            return self.out(self.recurrent_step(q, k, v, past))
        if past is not None:
            with uncounted(), torch.no_grad():
                before = [self.split(part(past)) for part in (self.k, self.v)]
            k, v = (torch.cat(both, 2) for both in zip(before, (k, v), strict=True))
        core = {"linformer": self.linformer, "performer": self.performer, "linear": self.linear, "reformer": self.reformer}
        if self.name in core:
            mixed = core[self.name](q, k, v)
        elif self.name in ("standard", "sliding"):
            mixed = self.eager(q, k, v)
        else:
            mixed = Fused.apply(q, k, v, self.dim**-0.5, self.tiles(k.shape[2], q.shape[2]))
        return self.out(mixed.transpose(1, 2).flatten(2))

    def tiles(self, n: int, queries: int) -> Tiles:
        causal, name = self.case["causal"], self.name
        if name in MASKS or name == "causal_flash":
            mask = MASKS[name](n, causal, **self.set) if name in MASKS else torch.ones(n, n).tril().bool()
            mask = mask[n - queries :]
            self.pairs = int(mask.sum())
            return by_row(mask)
        self.pairs = n * queries
        if queries < n:
            return [(torch.arange(queries), torch.arange(n), None)]
        size = -(-n // self.set["p"]) if name == "ring" else 5
        return grid(n, size, causal)

    def eager(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        groups = self.heads // self.kv
        k, v = (t.repeat_interleave(groups, 1) for t in (k, v))
        scores = q @ k.mT * self.dim**-0.5
        n, queries = k.shape[2], q.shape[2]
        self.pairs = n * queries
        if self.name == "sliding":
            mask = window(n, True, self.set["w"] - 1)[n - queries :]
            scores = scores + torch.where(mask, 0.0, -torch.inf)
        elif self.case["causal"]:
            scores = scores + torch.full((n, n), -torch.inf).triu(1)[n - queries :]
        return torch.softmax(scores, -1) @ v

    def linformer(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Wang et al. 2020, eq. 7: E K and F V, one E and one F for all heads."""
        k, v = (self.split(m @ t.transpose(1, 2).flatten(2)) for m, t in ((self.e, k), (self.f, v)))
        return self.eager(q, k, v)

    def features(self, x: Tensor) -> Tensor:
        """Choromanski et al. 2020, lemma 1: positive random features of the softmax kernel."""
        x = x * self.dim**-0.25
        return torch.exp(x @ self.draws - (x * x).sum(-1, keepdim=True) / 2)

    def performer(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.by_kernel(self.features(q), self.features(k), v)

    def linear(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # Contiguous, so that the two products with the queries share one tensor.
        q, k = ((torch.nn.functional.elu(t) + 1).contiguous() for t in (q, k))
        return self.by_kernel(q, k, v)

    def by_kernel(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """phi(Q) [phi(K)ᵀ V] / phi(Q) [phi(K)ᵀ 1] (Katharopoulos et al. 2020, eq. 5), all keys before all queries."""
        groups = self.heads // self.kv
        state, total = (t.repeat_interleave(groups, 1) for t in (k.mT @ v, k.sum(2)[..., None]))
        return (q @ state) / (q @ total)

    def recurrent_step(self, q: Tensor, k: Tensor, v: Tensor, past: Tensor) -> Tensor:
        """Eq. 18 to 20: the state takes one more outer product and is read."""
        with uncounted(), torch.no_grad():
            before_k, before_v = torch.nn.functional.elu(self.split(self.k(past))) + 1, self.split(self.v(past))
            state, total = before_k.mT @ before_v, before_k.sum(2)[..., None]
        q, k = (torch.nn.functional.elu(t) + 1 for t in (q, k))
        groups = self.heads // self.kv
        state, total = ((s + t).repeat_interleave(groups, 1) for s, t in ((state, k.mT @ v), (total, k.mT)))
        return ((q @ state) / (q @ total)).transpose(1, 2).flatten(2)

    def reformer(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Kitaev et al. 2020, sec. 2: in each round, tokens sorted by bucket, chunks that meet themselves and the one before."""
        chunk, rounds, n = self.set["c"], self.set["h"], q.shape[2]
        chunks = -(-n // chunk)
        pad = chunks * chunk - n
        v = v.repeat_interleave(self.heads // self.kv, 1)
        torch.manual_seed(3)
        with torch.no_grad():
            turned = q @ torch.randn(self.dim, rounds * chunks)
        turned = turned.unflatten(-1, (rounds, chunks))
        bucket = torch.cat((turned, -turned), -1).argmax(-1)
        tokens = [torch.nn.functional.pad(t, (0, 0, 0, pad)).flatten(0, 1)[None] for t in (q, q, v)]
        outs = []
        self.pairs = 0
        for index in range(tokens[0].shape[1]):  # each head of each sequence has an order of its own
            one = [t[:, index : index + 1] for t in tokens]
            tiles: Tiles = []
            for order in bucket.flatten(0, 1)[index].T:
                order = torch.cat((order.argsort(stable=True), torch.arange(n, n + pad)))
                parts = order.split(chunk)
                for c, rows in enumerate(parts):
                    columns = rows if chunks == 1 else torch.cat((parts[c - 1], rows))
                    # Of a query, a later token and padding are hidden; it sees itself, so that no row is empty.
                    seen = ((columns[None] <= rows[:, None]) & (columns[None] < n)) | (columns[None] == rows[:, None])
                    tiles.append((rows, columns, seen))
            self.pairs = sum(len(rows) * len(columns) for rows, columns, _ in tiles)
            outs.append(Fused.apply(*one, self.dim**-0.5, tiles))
        return torch.cat(outs, 1)[0].unflatten(0, q.shape[:2])[:, :, :n]

    def latent(self, x: Tensor, past: Tensor | None) -> Tensor:
        """DeepSeek-V2, sec. 2.1, expanded or absorbed; DeepSeek-V3.2's selection on top of the absorbed form."""
        b, n, heads, dim = *x.shape[:2], self.heads, self.dim
        absorbs = self.name in ("mla_absorbed", "dsa") or (self.name == "mla" and past is not None)
        q = self.q(x).unflatten(-1, (heads, -1)).transpose(1, 2)
        latent = self.kv_down(x)
        expanded = None if absorbs else self.kv_up(latent[..., : self.rank])
        if past is not None:
            with uncounted(), torch.no_grad():
                before = self.kv_down(past)
                before_expanded = self.kv_up(before[..., : self.rank])
            latent = torch.cat((before, latent), 1)
            expanded = None if expanded is None else torch.cat((before_expanded, expanded), 1)
        total = latent.shape[1]
        scale = (dim + self.rope) ** -0.5
        tiles = self.tiles(total, n)
        if expanded is not None:
            k, v = expanded.unflatten(-1, (heads, -1)).transpose(1, 2).split(dim, -1)
            k = torch.cat((k, latent[:, None, :, self.rank :].expand(-1, heads, -1, -1)), -1)
            mixed = Fused.apply(q, k, v, scale, tiles)
        else:
            up_k, up_v = self.kv_up.weight.unflatten(0, (heads, 2, dim)).unbind(1)
            wide = torch.cat((q[..., :dim] @ up_k, q[..., dim:]), -1)
            k, v = latent[:, None], latent[:, None, :, : self.rank]
            if self.name == "dsa":
                chosen = self.chosen(x, past, total)
                mixed = torch.cat([Fused.apply(wide[i : i + 1], k[i : i + 1], v[i : i + 1], scale, chosen[i]) for i in range(b)])
            else:
                mixed = Fused.apply(wide, k, v, scale, tiles)
            mixed = mixed @ up_v.mT
        return self.out(mixed.transpose(1, 2).flatten(2))

    def chosen(self, x: Tensor, past: Tensor | None, total: int) -> list[Tiles]:
        """DeepSeek-V3.2, eq. 1 and 2: sum of weighted ReLUs of the indexer's scores, the best of which are kept."""
        n = x.shape[1]
        with torch.no_grad():
            q = self.index_q(x).unflatten(-1, (self.index_heads, -1)).transpose(1, 2)
            k = self.index_k(x)
            if past is not None:
                with uncounted():
                    before = self.index_k(past)
                k = torch.cat((before, k), 1)
            scores = torch.relu(q @ k[:, None].mT).permute(0, 2, 1, 3)  # sequence, query, head, key
            scores = (self.index_w(x)[:, :, None] @ scores)[:, :, 0]
            seen = torch.ones(total, total).tril().bool()[total - n :] if self.case["causal"] else torch.ones(n, total).bool()
            best = scores.masked_fill(~seen, -torch.inf).argsort(-1, descending=True)[..., : self.set["k"]]
            counts = seen.sum(-1).clamp(max=self.set["k"])
        self.pairs = int(counts.sum())
        return [[(torch.tensor([i]), row[i][: counts[i]], None) for i in range(n)] for row in best]


class uncounted:
    """What a cache would hold is computed without being counted."""

    def __enter__(self) -> None:
        self.guard = torch.utils._python_dispatch._disable_current_modes()
        self.guard.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.guard.__exit__(*error)


# --- measuring ----------------------------------------------------------------------------------------------------------------


def counted(run: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def kept(layer: Layer, x: Tensor) -> int:
    own = {p.untyped_storage().data_ptr() for p in (*layer.parameters(), *layer.buffers())}
    seen: dict[int, int] = {}
    held = []

    def pack(t: Tensor) -> Tensor:
        held.append(t)
        storage = t.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = layer(x)
    del out
    return sum(seen.values())


DECODES = ("standard", "flash", "local", "strided", "longformer", "mqa", "linear", "mla", "mla_naive", "mla_absorbed", "dsa")


def built(case: Json) -> Any:
    name, given = settings_of(case["variant"])
    if name == "gated_delta":
        return mixers.DeltaNet(case)
    if name == "mamba2":
        return mixers.Mamba2(case, given["n"])
    if name == "nsa":
        return mixers.Native(case, Fused, *(given[key] for key in "ldbnw"))
    return Layer(case)


def measure(case: Json) -> Json:
    torch.manual_seed(0)
    layer = built(case)
    x = torch.randn(case["batch"], case["n"], case["d_model"], requires_grad=True)
    found: Json = {"forward": counted(lambda: layer(x))}
    found["forward_backward"] = counted(lambda: layer(x).sum().backward())
    found["pairs"] = layer.pairs
    if layer.name in ("gated_delta", "mamba2"):
        assert torch.allclose(layer(x), layer.step_by_step(x), atol=1e-4), case
    found["kept"] = kept(layer, x)
    if layer.name in DECODES and case["causal"]:
        found["decode"] = counted(lambda: layer(x[:, -1:].detach(), x[:, :-1].detach()))
    return case | found


VARIANTS = (
    *("standard", "flash", "causal_flash", "ring:p=3", "sliding:w=4", "local:w=4", "strided:k=3", "fixed:k=4,c=2"),
    *("longformer:w=4,g=2", "longformer:w=4,g=1,m=2", "bigbird:b=2,w=3,g=1,r=1", "reformer:c=4,h=2"),
    *("linformer:k=3", "performer:r=6", "linear", "mha", "mqa", "gqa:g=2"),
    *("mla", "mla_naive", "mla_absorbed", "dsa:k=5,heads=2,dim=6"),
)
ENCODERS = ("standard", "flash", "local", "strided", "fixed", "longformer", "bigbird", "linformer", "performer", "linear")


def cases() -> list[Json]:
    """Lengths that windows, strides and blocks divide, and that they do not."""
    runs = [
        (variant, causal, n)
        for variant in VARIANTS
        for n in (1, 12, 17)
        for causal in (True, False)
        if (variant[:9] != "linformer" if causal else variant.partition(":")[0] in ENCODERS)
    ]
    # Chunks of 64 and 256 tokens, crossed and not.
    runs += [("gated_delta", True, n) for n in (1, 17, 64, 150)]
    runs += [("mamba2:n=6", True, n) for n in (1, 17, 300)]
    runs += [("nsa:l=4,d=2,b=4,n=2,w=3", True, n) for n in (1, 3, 12, 17)]
    shape = {"batch": 2, "d_model": 32, "heads": 4, "kv_heads": 2}
    return [{"variant": variant, "causal": causal} | shape | {"n": n} for variant, causal, n in runs]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with attention_golden.json and write nothing")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    found = [measure(case) for case in cases()]
    if check:
        golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
        changed = [f"was {old}\nis  {new}" for old, new in zip(golden, found, strict=True) if old != new]
        print("\n".join(changed) or f"{len(found)} attention cases as in attention_golden.json (torch {torch.__version__})")
        sys.exit(1 if changed else 0)
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in found)
    GOLDEN.write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{rows}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
