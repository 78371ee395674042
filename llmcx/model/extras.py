"""What stands beside the layers: parts that all layers have alike (Gemma 3n and 4, DeepSeek-V4), further tables, what draft
models add, weights that nothing runs.

They are NamedTuples, which cost a fifth of a dataclass at start-up; the model that takes one in checks it (:func:`check`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, cast

from llmcx.errors import check_size, check_sizes
from llmcx.model.ffn import Activation
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, WHOLE, Op, Saved

if TYPE_CHECKING:
    from llmcx.model.spec import ModelSpec


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


class HyperConnections(NamedTuple):
    """``streams`` copies of the residual stream; before each part their weighted mean, after it a mixture of them all (without
    ``mixing``: themselves), with weights that depend on the token (Zhu et al. 2024, arXiv:2409.19606; as DeepSeek-V4 and Hy 4
    constrain them). ``plain``: after the last layer their mean without weights (GLM 5.3).
    """

    streams: int
    mixing: bool = True
    plain: bool = False
    type: Literal["hyper_connections"] = "hyper_connections"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """The mean of the streams that the final norm reads."""
        if self.plain:
            elements = at.tokens * self.streams * at.d_model
            yield at.op("hyper.head.mean", "residual", elements=elements, cut=TOKENS)
        else:
            yield from self._weights(at, "hyper.head", self.streams, 1)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Before and after the mixer, before and after the feed-forward."""
        n, d, streams = where.tokens, where.d_model, self.streams
        for part in ("attention", "ffn"):
            count = (2 + (streams if self.mixing else 0)) * streams
            yield from self._weights(where, f"hyper.{part}", count, 3 if self.mixing else 2)
            if self.mixing:
                kept = Saved("streams and weights", n * streams * (d + streams))
                name = f"hyper.{part}.mixture"
                yield where.op(name, "matmul", kept, batch=n, m=streams, k=streams, n=d, weight=0, cut=TOKENS)
            yield where.op(f"hyper.{part}.sum", "residual", elements=n * streams * d, cut=TOKENS)

    def _weights(self, where: LayerRun, name: str, count: int, scales: int) -> Iterator[Op]:
        """``count`` weights of a token from all its streams, and the streams' mean by the first of them."""
        wide = self.streams * where.d_model
        yield where.norm(f"{name}.norm", Norm("rmsnorm", scale=False), wide)
        yield where.linear(f"{name}.weights", wide, count, cut=TOKENS)
        yield where.op(f"{name}.base", "vector", size=count + scales, cut=TOKENS)
        elements = where.tokens * wide
        yield where.op(f"{name}.mean", "product", Saved("streams", elements), elements=elements, cut=TOKENS)


class GatedResidual(NamedTuple):
    """``streams`` copies of the residual stream, of which each part reads a mean, weighed channel by channel through a bottleneck
    of ``rank``, and writes to all by a number each (Qwen4-Exp). The streams' norm is the part's, and after the last layer the
    final one.
    """

    streams: int
    rank: int
    type: Literal["gated_residual"] = "gated_residual"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """The mean that the head reads."""
        yield from self._mean(at, "residual.final")

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Before and after the mixer, before and after the feed-forward."""
        elements = where.tokens * self.streams * where.d_model
        for part in ("attention", "ffn"):
            yield from self._mean(where, f"residual.{part}")
            wide = self.streams * where.d_model
            yield where.linear(f"residual.{part}.inject", wide, self.streams, saves=False, cut=TOKENS)
            kept = Saved("what is written, and the weights", where.tokens * (where.d_model + self.streams))
            yield where.op(f"residual.{part}.sum", "residual", kept, elements=2 * elements, cut=TOKENS)

    def _mean(self, where: LayerRun, name: str) -> Iterator[Op]:
        wide, n = self.streams * where.d_model, where.tokens
        norm = where.spec.norm
        yield where.norm(f"{name}.norm", norm, where.d_model, n * self.streams, self.streams)
        yield where.linear(f"{name}.down", wide, self.rank, cut=TOKENS)
        yield where.op(f"{name}.activation", "silu", Saved("activation", n * self.rank), elements=n * self.rank, cut=TOKENS)
        yield where.linear(f"{name}.up", self.rank, wide, cut=TOKENS)
        yield where.op(f"{name}.gate", "sigmoid", Saved("gate", n * wide), elements=n * wide, cut=TOKENS)
        yield where.op(f"{name}.mean", "product", elements=n * wide, cut=TOKENS)


class Tables(NamedTuple):
    """Further tables that each token looks up, of ``rows`` rows each: ERNIE's tasks, LayoutLM's places on a page, RoFormer's
    sines, as wide as a head (``width``).
    """

    rows: tuple[int, ...]
    width: int | None = None
    type: Literal["tables"] = "tables"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """A row of each table for each token."""
        embedding = cast("ModelSpec", at.spec).embedding  # a tower has no tables of tokens
        width = self.width or embedding.width or at.d_model
        n, indices = at.tokens, Saved("indices", at.tokens, "int64")
        for rows in self.rows:
            yield at.op("embedding.tables", "lookup", indices, tokens=n, rows=rows, width=width, cut=WHOLE)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()


class Beside(NamedTuple):
    """Further tables of ``rows`` rows each, whose ``widths`` are laid beside the tokens' embedding and projected with it to its
    width: how a character looks and how it sounds (RoCBERT).
    """

    rows: tuple[int, ...]
    widths: tuple[int, ...]
    type: Literal["beside"] = "beside"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """A row of each table for each token, and the projection."""
        n, indices = at.tokens, Saved("indices", at.tokens, "int64")
        for rows, width in zip(self.rows, self.widths, strict=True):
            yield at.op("embedding.beside", "lookup", indices, tokens=n, rows=rows, width=width, cut=WHOLE)
        yield at.linear("embedding.together", at.d_model + sum(self.widths), at.d_model, True, cut=WHOLE)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()


class Adapters(NamedTuple):
    """A bottleneck of ``width`` after each layer, of so many ``languages`` one each, of which a token meets that of its language
    (Pfeiffer et al. 2022, arXiv:2205.06266, sec. 3). Before it stands a norm of its own (``normed``), or the layer's last
    ``again``.
    """

    width: int
    languages: int
    normed: bool = False
    again: bool = False
    activation: Activation = "gelu"
    type: Literal["adapters"] = "adapters"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Norm, down, up, residual."""
        n, d = where.tokens, where.d_model
        if self.normed:
            yield where.norm("norm.adapter", where.spec.norm, d, role="norm")
        elif self.again:
            yield where.norm("norm.adapter", where.spec.norm, d, role="norm")._replace(copies=0, used=0)
        yield where.linear("adapter.down", d, self.width, True, copies=self.languages)
        yield where.op("adapter.activation", self.activation, Saved("activation", n * self.width), elements=n * self.width)
        yield where.linear("adapter.up", self.width, d, True, copies=self.languages)
        yield where._replace(role="residual").op("residual", "residual", elements=n * d, cut=TOKENS)


class GatedNorms(NamedTuple):
    """A gate on what a norm before attention or experts leaves: the sigmoid of a bottleneck of ``rank`` (A.X-K2)."""

    rank: int
    type: Literal["gated_norms"] = "gated_norms"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Down, up, gate; of a dense feed-forward's norm there is none."""
        n, d = where.tokens, where.d_model
        layers = where.spec.kinds[where.group]
        for part in ("attention", "moe") if getattr(layers.ffn, "type", "") == "moe" else ("attention",):
            yield where.linear(f"gated_norm.{part}.down", d, self.rank, cut=TOKENS)
            kept = Saved("activation", n * self.rank)
            yield where.op(f"gated_norm.{part}.activation", "silu", kept, elements=n * self.rank, cut=TOKENS)
            yield where.linear(f"gated_norm.{part}.up", self.rank, d, cut=TOKENS)
            yield where.op(f"gated_norm.{part}.gate", "sigmoid", Saved("gate", n * d, "fp32"), elements=n * d, cut=TOKENS)
            yield where.op(f"gated_norm.{part}.product", "product", elements=n * d, cut=TOKENS)


class ResidualGates(NamedTuple):
    """A number for each channel that weighs a part's output against what it is added to; norms without weights of the embedding
    and of what attention says (Muse Spark).
    """

    type: Literal["residual_gates"] = "residual_gates"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """The embedding's norm."""
        yield at.norm("embedding.norm", Norm("rmsnorm", scale=False), at.d_model, cut=WHOLE)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """The norm, and the gates of both parts."""
        yield where.norm("norm.attention_out", Norm("rmsnorm", scale=False), where.d_model)
        elements = where.tokens * where.d_model
        for part in ("attention", "ffn"):
            yield where.op(f"residual.{part}.gate", "vector", size=where.d_model, cut=TOKENS)
            yield where.op(
                f"residual.{part}.product", "product", Saved("both terms", 2 * elements), elements=2 * elements, cut=TOKENS
            )


class SharedBias(NamedTuple):
    """A table of ``rows`` distances and pairs of segments, ``heads`` wide, looked up once and added to the scores of all layers
    (CPM-Ant).
    """

    rows: int
    heads: int
    type: Literal["shared_bias"] = "shared_bias"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """The table."""
        yield at.op("position_bias", "vector", size=self.rows * self.heads, cut=WHOLE)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """A sum."""
        elements = where.batch * self.heads * where.q * where.kv
        yield where.op("attention.bias", "residual", elements=elements, cut=TOKENS)


class Delayed(NamedTuple):
    """A scale of what each feed-forward reads, made through a bottleneck of ``rank`` of how late the model may answer: one vector
    for all tokens of a pass (Voxtral Realtime).
    """

    rank: int
    type: Literal["delayed"] = "delayed"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Down, up, product. Sinusoids go in, which need no gradient."""
        d, elements = where.d_model, where.tokens * where.d_model
        yield where.op("delay.down", "matmul", batch=1, m=1, k=d, n=self.rank, weight=d * self.rank, grads=1, cut=WHOLE)
        yield where.op("delay.activation", "gelu", Saved("activation", self.rank), elements=self.rank, cut=WHOLE)
        yield where.linear("delay.up", self.rank, d, tokens=1, cut=WHOLE)
        yield where.op("delay.product", "product", Saved("both factors", elements + d), elements=elements, cut=TOKENS)


class Beforehand(NamedTuple):
    """What a small model that reads first has outside its layers: a table of ``vocab`` rows, a norm and a head, ``width`` wide.
    Nothing goes backward through it (BLT, whose patches begin where it is surprised).
    """

    vocab: int
    width: int
    type: Literal["beforehand"] = "beforehand"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """On every token."""
        n = at.tokens
        for op in (
            at.op("patcher.tokens", "lookup", tokens=n, rows=self.vocab, width=self.width, cut=WHOLE),
            at.norm("patcher.norm", at.spec.norm, self.width, cut=WHOLE),
            at.linear("patcher.head", self.width, self.vocab, cut=WHOLE),
            at.op("patcher.softmax", "softmax", elements=n * self.vocab, cut=WHOLE),
        ):
            yield op._replace(grad=False, saved=())

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()


class ScaledResiduals(NamedTuple):
    """A learned scale and shift for each channel of both sides of every residual sum, and of the embedding (ZAYA)."""

    type: Literal["scaled_residuals"] = "scaled_residuals"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """The embedding's."""
        yield at.op("embedding.scale", "vector", size=2 * at.d_model, cut=TOKENS)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Four vectors after the mixer, and four after the feed-forward."""
        elements = where.tokens * where.d_model
        yield where.op("residual.scales", "vector", size=8 * where.d_model, cut=TOKENS)
        yield where.op(
            "residual.scaled", "product", Saved("both sides of both sums", 4 * elements), elements=8 * elements, cut=TOKENS
        )


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
        n, wide, vocab = at.tokens, self.states * self.width, cast("ModelSpec", at.spec).embedding.vocab
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


class Idle(NamedTuple):
    """So many weights that the model holds and no pass meets: ESM's contact head."""

    size: int
    type: Literal["idle"] = "idle"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """Once, as a vector."""
        yield at.op("idle", "vector", size=self.size, used=0, cut=WHOLE)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()


class Learned(NamedTuple):
    """So many learned numbers that are added to the embedding as they stand: the tables of Reformer's axial positions."""

    size: int
    type: Literal["learned"] = "learned"

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """Once, as a vector."""
        yield at.op("embedding.learned", "vector", size=self.size, cut=WHOLE)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()


class ResidualAttention(NamedTuple):
    """Attention over depth in place of the residual sum (Kimi K3): before each part of a layer, and at the end, a token's states
    at the start of every block of ``block`` layers and its sum since are mixed by a softmax of normalised states times a vector.
    ``scaled`` False: the norms have no weights, and the first part no vector; the layers numbered in ``thrice`` mix what queries,
    keys and values read apart (Inkling 2).
    """

    block: int
    scaled: bool = True
    thrice: tuple[int, ...] = ()
    type: Literal["residual_attention"] = "residual_attention"

    def met(self, layers: int) -> int:
        """How many states are mixed, over all parts of all layers: the first part of the first layer has nothing to mix.

        >>> ResidualAttention(2).met(3)  # 2 before the first feed-forward, then 2 and 2, then 2 and 3, and 3 at the end
        14
        """
        thrice = sum(2 * ((i - 1) // self.block + 2) for i in self.thrice if 0 < i < layers)
        inside = thrice + sum((i - 1) // self.block + 2 + i // self.block + 2 for i in range(1, layers))
        return inside + 2 + (layers - 1) // self.block + 2

    def outside(self, at: LayerRun) -> Iterator[Op]:
        """All of them at once, since layers differ by what came before: norm, scores, softmax, mixture."""
        layers, d, n = at.spec.n_layers, at.d_model, at.tokens
        met, vectors = n * self.met(layers), 2 * layers + 1
        if not self.scaled:
            vectors += 2 * sum(0 < i < layers for i in self.thrice) - 1
        at = at._replace(role="extra")
        yield at.norm("norm.depth", at.spec.norm if self.scaled else Norm("rmsnorm", scale=False), d, met, vectors)
        kept = Saved("states at the start of each block", n * -(-layers // self.block) * d)
        if not self.scaled:  # one query a token, in a kernel of attention over a few states, which FlopCounterMode does not see
            yield at.op("depth.vectors", "vector", size=vectors * d)
            yield at.op("depth.mixture", "scan", kept, elements=met * d, operations=4)
            return
        yield at.op("depth.scores", "matmul", kept, batch=1, m=met, k=d, n=1, weight=vectors * d)
        yield at.op("depth.softmax", "softmax", Saved("probabilities", met, "fp32"), elements=met)
        yield at.op("depth.mixture", "matmul", batch=n, m=1, k=self.met(layers), n=d, weight=0)

    def inside(self, where: LayerRun) -> Iterator[Op]:
        """Nothing."""
        yield from ()


Extra = Union[
    PerLayer,
    AltUp,
    Laurel,
    HyperConnections,
    GatedResidual,
    Tables,
    Beside,
    Adapters,
    GatedNorms,
    ResidualGates,
    Idle,
    Learned,
    Beforehand,
    SharedBias,
    Delayed,
    ScaledResiduals,
    Drafting,
    ResidualAttention,
]
EXTRAS: dict[str, Any] = {"per_layer": PerLayer, "altup": AltUp, "laurel": Laurel, "hyper_connections": HyperConnections}
EXTRAS |= {"gated_residual": GatedResidual, "tables": Tables, "idle": Idle, "drafting": Drafting}
EXTRAS |= {"residual_attention": ResidualAttention, "beside": Beside, "adapters": Adapters}
EXTRAS |= {"gated_norms": GatedNorms, "residual_gates": ResidualGates, "delayed": Delayed, "scaled_residuals": ScaledResiduals}
EXTRAS |= {"beforehand": Beforehand, "shared_bias": SharedBias, "learned": Learned}


def check(extra: Extra) -> None:
    """Raises InputError where a size of ``extra`` is none."""
    for rows in extra.rows if isinstance(extra, (Tables, Beside)) else ():
        check_size("rows", rows)
    sizes = ("vocab", "width", "streams", "rank", "size", "states", "block", "languages")
    check_sizes(extra, *(name for name in sizes if name in extra._fields))
