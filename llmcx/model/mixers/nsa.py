"""Native sparse attention: compressed blocks, the best blocks in full, and a window, added up by learned gates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Dims, Op, Saved


@dataclass(frozen=True)
class NSA(Mixer):
    """Yuan et al. 2025, arXiv:2502.11089, sec. 3.3, for grouped-query attention of ``n_heads`` and ``n_kv_heads``.

    Three branches with keys and values of their own. Blocks of ``block`` tokens, one every ``stride``, are compressed to a key
    and a value by a learned map of the whole block; those that end at or before a query are met by it. Their scores, summed over
    the heads of a group, choose ``selected`` blocks of ``select_block`` tokens, the query's own among them, which are met in
    full. And the last ``window`` tokens. The paper's map is an MLP of unstated width: here one linear layer over the block, keys
    and values apart, all heads alike, after a learned position in the block.
    """

    n_heads: int
    n_kv_heads: int
    head_dim: int
    block: int = 32
    stride: int = 16
    select_block: int = 64
    selected: int = 16
    window: int = 512
    type: Literal["nsa"] = "nsa"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "n_kv_heads", "head_dim", "block", "stride", "select_block", "selected", "window")
        for name, small, large in (("stride", self.stride, self.block), ("n_kv_heads", self.n_kv_heads, self.n_heads)):
            if large % small:
                raise InputError(
                    f"{name} is {small}, but must divide {large}", field=name, value=small, allowed=f"divides {large}"
                )
        if self.select_block % self.stride:
            problem = f"select_block is {self.select_block}, but must be a multiple of the stride {self.stride}"
            raise InputError(problem, field="select_block", value=self.select_block, allowed=f"a multiple of {self.stride}")

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections, compression, the three branches, their gates, the output projection."""
        if not where.masked:
            raise InputError("native sparse attention is causal: an encoder has no such form", field="attention", value="nsa")
        d, heads, dim, batch, q, kv = where.d_model, self.n_heads, self.head_dim, where.batch, where.q, where.kv
        width, shared = self.n_kv_heads * dim, heads // self.n_kv_heads
        yield where.linear(f"{name}.q", d, heads * dim)
        for branch in ("compressed", "selected", "window"):
            for leaf in ("k", "v"):
                yield where.linear(f"{name}.{branch}.{leaf}", d, width, saves=False)
        yield where.linear(f"{name}.gates", d, 3 * heads, saves=False)
        yield from self._compress(where, name)

        blocks = max(0, (kv - self.block) // self.stride + 1)
        met = {
            "compressed": (compressed(q, kv, self.block, self.stride), blocks),
            "selected": (chosen(q, kv, self.select_block, self.selected), kv),
            "window": (pairs.banded(q, kv, self.window), kv),
        }
        for branch, (count, keys) in met.items():
            held = Saved("keys and values", 2 * batch * keys * width)
            queries = Saved("queries", batch * q * heads * dim if branch == "compressed" else 0)
            yield from meet(
                where, f"{name}.{branch}", heads, count, dim, dim, queries, held, keys=keys, shared=shared, fused=True
            )
            if branch == "compressed":  # the kernel kept no scores, so choosing multiplies them again, without gradient
                again: Dims = {
                    "batch": batch,
                    "heads": heads,
                    "pairs": count,
                    "width": dim,
                    "rows": q,
                    "keys": keys,
                    "shared": shared,
                }
                yield where.op(f"{name}.importance", "scores", **again, fused=1)._replace(grad=False)
        gates = Saved("gates", 3 * batch * q * heads)
        yield where.op(f"{name}.gates.activation", "sigmoid", gates, elements=3 * batch * q * heads)
        outputs = Saved("outputs of the branches", 3 * batch * q * heads * dim)
        yield where.op(f"{name}.product", "product", outputs, elements=3 * batch * q * heads * dim)
        yield where.linear(f"{name}.out", heads * dim, d)
        for branch, tokens in (("compressed", blocks), ("selected", kv), ("window", min(kv, self.window))):
            left = Cache("kv", self.window if branch == "window" else None)
            yield where.op(f"{name}.{branch}.cache", "cache", batch=batch, tokens=tokens, width=2 * width, cache=left)
        yield where.op(
            f"{name}.compressed.buffer",
            "cache",
            batch=batch,
            tokens=min(kv, self.block),
            width=2 * width,
            cache=Cache("kv", self.block),
        )

    def _compress(self, where: LayerRun, name: str) -> Iterator[Op]:
        """The blocks that are complete now and were not before."""
        done = [max(0, (n - self.block) // self.stride + 1) for n in (where.kv, where.kv - where.q)]
        rows = where.batch * (done[0] - done[1]) * self.n_kv_heads
        wide = self.block * self.head_dim
        for leaf in ("k", "v"):
            yield where.op(f"{name}.compress_{leaf}.positions", "vector", size=wide)
            yield where.linear(f"{name}.compress_{leaf}", wide, self.head_dim, tokens=rows)


def compressed(q: int, kv: int, block: int, stride: int) -> int:
    """Pairs of the last ``q`` of ``kv`` queries with compressed blocks: a query at p sees floor((p - block) / stride) + 1.

    >>> compressed(6, 6, 4, 2)      # 0, 0, 0, 1, 1, 2
    4
    """

    def upto(p: int) -> int:
        # Σ floor(i / stride) + 1 over i = 0 .. p - block
        steps, rest = divmod(max(0, p - block + 1), stride)
        return stride * steps * (steps + 1) // 2 + rest * (steps + 1)

    return upto(kv) - upto(kv - q)


def chosen(q: int, kv: int, block: int, selected: int) -> int:
    """Pairs with the chosen blocks: the query's own up to itself, and min(selected, blocks so far) - 1 whole ones before it.

    >>> chosen(5, 5, 2, 2)      # 1, 2, then 1 + 2, 2 + 2, and 1 + 2
    13
    """

    def upto(p: int) -> int:
        whole, rest = divmod(p, block)
        before = (pairs.banded(whole, whole, selected) - whole) * block * block
        return pairs.blocks(p, block, True) + before + rest * (min(selected, whole + 1) - 1) * block

    return upto(kv) - upto(kv - q)
