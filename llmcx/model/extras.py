"""What Gemma 3n and 4, Kimi K3 and draft models add to a decoder: parts that all layers have alike, or that stand outside them.

They are NamedTuples, which cost a fifth of a dataclass at start-up; the model that takes one in checks it (:func:`check`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Union

from llmcx.errors import check_sizes
from llmcx.model.ffn import Activation
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, Op, Saved


class PerLayer(NamedTuple):
    """Per-layer embeddings (Gemma 3n): a second token table of ``vocab`` rows with ``width`` numbers for each layer.

    Beside them the tokens' embeddings are projected to as many; each layer gates their sum with its own output.
    """

    vocab: int
    width: int
    activation: Activation = "gelu_tanh"
    type: Literal["per_layer"] = "per_layer"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """The table, the projection and its norm, for all layers at once."""
        layers, n = at.spec.n_layers, at.tokens
        indices = Saved("indices", n, "int64")
        yield at.op("embedding.per_layer", "lookup", indices, tokens=n, rows=self.vocab, width=layers * self.width)
        yield at.linear("embedding.per_layer.projection", at.d_model, layers * self.width)
        yield at.norm("embedding.per_layer.norm", at.spec.norm, self.width, n * layers)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Down, times the layer's share, up, norm."""
        elements = where.tokens * self.width
        yield where.linear("per_layer.gate", where.d_model, self.width)
        yield where.op("per_layer.activation", self.activation, Saved("activation", elements), elements=elements, joined=True)
        yield where.op("per_layer.product", "product", Saved("both factors", 2 * elements), elements=elements)
        yield where.linear("per_layer.up", self.width, where.d_model)
        yield where.norm("norm.per_layer", where.spec.norm, where.d_model, role="norm")
        yield where._replace(role="residual").op("residual", "residual", elements=where.tokens * where.d_model, cut=TOKENS)


class AltUp(NamedTuple):
    """Alternating updates: ``streams`` copies of the residual stream, of which a layer computes one and predicts the others
    (Baykal et al. 2023, arXiv:2301.13310, sec. 3; as Gemma 3n has them).
    """

    streams: int
    type: Literal["altup"] = "altup"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """A projection for every further stream, on the way in and on the way out."""
        for leaf in ("in", "out"):
            op = at.linear(f"altup.{leaf}", at.d_model, at.d_model)
            yield op._replace(times=self.streams - 1)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Predict all streams before the layer, correct them after it; the router runs both times."""
        n, d, streams = where.tokens, where.d_model, self.streams
        yield where.norm("norm.altup", where.spec.norm, d, 2 * n, role="norm")
        yield where.linear("altup.router", d, streams, tokens=2 * n)
        yield where.op("altup.tanh", "tanh", Saved("routing", 2 * n * streams), elements=2 * n * streams)
        yield where.linear("altup.prediction", streams, streams * streams, saves=False)
        yield where.linear("altup.correction", streams, streams, saves=False)
        kept = Saved("streams and coefficients", n * streams * (d + streams))
        yield where.op("altup.predict", "matmul", kept, batch=n, m=d, k=streams, n=streams, weight=0)
        yield where.op("altup.correct", "product", Saved("innovation", n * d), elements=n * d * streams)
        yield where.op("altup.scale", "vector", size=d)


class Laurel(NamedTuple):
    """A learned residual of ``rank`` beside the attention (Menghani et al. 2024, arXiv:2411.07501, sec. 2; in Gemma 3n)."""

    rank: int
    type: Literal["laurel"] = "laurel"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Down, up, norm; the input is the attention's."""
        yield where.linear("laurel.down", where.d_model, self.rank, saves=False)
        yield where.linear("laurel.up", self.rank, where.d_model)
        yield where.norm("norm.laurel", where.spec.norm, where.d_model, role="norm")
        yield where._replace(role="residual").op("residual", "residual", elements=where.tokens * where.d_model, cut=TOKENS)


class Drafting(NamedTuple):
    """What a draft model has of its own around its layers: a projection of ``states`` states of its target, ``width`` wide each
    (Li et al. 2025, arXiv:2503.01840, sec. 3), with a norm after it (``normed``, DFlash) or a learned state for what is masked
    (``masked``, P-EAGLE). ``markov`` is the rank of a bias from the token before to the next, and ``confidence`` tells whether a
    draft will be accepted, from the state and that bias's (DSpark).
    """

    states: int
    width: int
    normed: bool = False
    masked: bool = False
    markov: int = 0
    confidence: bool = False
    type: Literal["drafting"] = "drafting"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """The projection and what goes with it; the heads beside the head."""
        n, wide, vocab = at.tokens, self.states * self.width, at.spec.embedding.vocab
        yield at.linear("draft.states", wide, at.d_model)
        if self.normed:
            yield at.norm("norm.states", at.spec.norm, at.d_model)
        if self.masked:
            yield at.op("draft.masked", "vector", size=wide)
        last = at._replace(role="head_transform")
        if self.markov:
            yield last.op("head.markov", "lookup", Saved("indices", n, "int64"), tokens=n, rows=vocab, width=self.markov)
            yield last.linear("head.markov.up", self.markov, vocab)
        if self.confidence:
            yield last.linear("head.confidence", at.d_model + self.markov, 1, True)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()


class ResidualAttention(NamedTuple):
    """Attention over depth in place of the residual sum (Kimi K3): before each part of a layer, and at the end, a token's states
    at the start of every block of ``block`` layers and its sum since are mixed by a softmax of normalised states times a vector.
    """

    block: int
    type: Literal["residual_attention"] = "residual_attention"

    def met(self, layers: int) -> int:
        """How many states are mixed, over all parts of all layers: the first part of the first layer has nothing to mix.

        >>> ResidualAttention(2).met(3)  # 2 before the first feed-forward, then 2 and 2, then 2 and 3, and 3 at the end
        14
        """
        inside = sum((i - 1) // self.block + 2 + i // self.block + 2 for i in range(1, layers))
        return inside + 2 + (layers - 1) // self.block + 2

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """All of them at once, since layers differ by what came before: norm, scores, softmax, mixture."""
        layers, d, n = at.spec.n_layers, at.d_model, at.tokens
        met, vectors = n * self.met(layers), 2 * layers + 1
        at = at._replace(role="extra")
        yield at.norm("norm.depth", at.spec.norm, d, met, vectors)
        kept = Saved("states at the start of each block", n * -(-layers // self.block) * d)
        yield at.op("depth.scores", "matmul", kept, batch=1, m=met, k=d, n=1, weight=vectors * d)
        yield at.op("depth.softmax", "softmax", Saved("probabilities", met, "fp32"), elements=met)
        yield at.op("depth.mixture", "matmul", batch=n, m=1, k=self.met(layers), n=d, weight=0)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()


Extra = Union[PerLayer, AltUp, Laurel, Drafting, ResidualAttention]
EXTRAS: dict[str, Any] = {"per_layer": PerLayer, "altup": AltUp, "laurel": Laurel, "drafting": Drafting}
EXTRAS |= {"residual_attention": ResidualAttention}


def check(extra: Extra) -> None:
    """Raises InputError where a size of ``extra`` is none."""
    check_sizes(extra, *(name for name in ("vocab", "width", "streams", "rank", "states", "block") if name in extra._fields))
