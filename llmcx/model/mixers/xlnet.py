"""XLNet's attention: keys for what tokens say and for how far apart they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.model.mixers.attention import Attention
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cut, Dims, Op, Saved


@dataclass(frozen=True)
class Distant(Attention):
    """Attention whose scores have a second product, with keys made of sinusoids of all 2 n distances between n tokens, and three
    learned vectors a head beside the queries, and two for segments (Yang et al. 2019, arXiv:1906.08237, sec. 2.4 and 2.5; Dai et
    al. 2019, arXiv:1901.02860, sec. 3.3). Source: transformers, models/xlnet, which makes these keys for each sequence again, and
    weighs a single key's values without a matmul.
    """

    type: Literal["distant"] = "distant"  # type: ignore[assignment]

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        heads, batch, q, d = self.n_heads, where.batch, where.q, where.d_model
        width, by_heads = heads * dim, Cut("columns", heads)
        far = q + kv
        keys: Dims = {"batch": 1, "m": batch * far, "k": d, "n": width, "weight": d * width, "grads": 1}
        yield where.op(f"{name}.relative", "matmul", Saved("sinusoids", batch * far * d), cut=by_heads, **keys)
        yield where.op(f"{name}.biases", "vector", size=5 * width, cut=Cut("heads", heads))
        kept = Saved("keys of the distances, queries and their biases", batch * (far + q) * width)
        met: Dims = {"batch": batch, "heads": heads, "pairs": q * far, "width": dim}
        yield where.op(f"{name}.relative_scores", "scores", kept, cut=Cut("heads", heads), **met)
        yield from (op for op in super()._core(where, name, kv, dim, cross) if kv > 1 or op.kind != "values")
