"""A state that recurrences computed in chunks carry from one chunk to the next."""

from __future__ import annotations

from collections.abc import Iterator

from llmcx.model.run import LayerRun
from llmcx.ops.op import Cut, Op, Saved


def carried(
    where: LayerRun, name: str, reads: tuple[str, ...], heads: int, d_k: int, d_v: int, rows: int, chunk: int
) -> Iterator[Op]:
    """``reads`` of the state by each of ``rows`` queries, and each chunk's addition to it.

    The state that the first chunk reads is zero and needs no gradient; what the last chunk adds is read by nobody, so
    that nothing goes backward through it.
    """
    batch, by_heads = where.batch * heads, Cut("heads", heads)
    first = min(chunk, rows)
    last = rows - (-(-rows // chunk) - 1) * chunk
    for leaf in reads:
        yield where.op(f"{name}.{leaf}", "matmul", batch=batch, m=first, k=d_k, n=d_v, weight=0, grads=1, cut=by_heads)
        if rows > first:
            kept = Saved("queries of the state", batch * rows * d_k, "fp32")
            yield where.op(f"{name}.{leaf}", "matmul", kept, batch=batch, m=rows - first, k=d_k, n=d_v, weight=0, cut=by_heads)
    if rows > last:
        kept = Saved("keys, values and states", batch * (rows * (d_k + d_v) + rows // chunk * d_k * d_v), "fp32")
        yield where.op(f"{name}.write", "matmul", kept, batch=batch, m=d_k, k=rows - last, n=d_v, weight=0, cut=by_heads)
    yield where.op(f"{name}.write", "matmul", batch=batch, m=d_k, k=last, n=d_v, weight=0, cut=by_heads)._replace(grad=False)
