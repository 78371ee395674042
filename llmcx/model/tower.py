"""Towers: what sees and hears for a language model, and what brings that to its width, as stacks of ops like its own.

A :class:`Tower` is a few pieces, layers, and a few pieces more. An image comes to it as patches, a sound as frames; without any,
it costs its parameters and no FLOPs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, NamedTuple, Union

from llmcx.errors import check_sizes
from llmcx.model.extras import Extra
from llmcx.model.ffn import Activation
from llmcx.model.layers import Layers
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import WHOLE, Dims, Op, Saved


class Dense(NamedTuple):
    """A matrix. A ``stem`` meets what the tower is fed, which needs no gradient; a convolution is one over its kernel's numbers,
    ``d_in`` of them for each output. ``per``: patches or frames that an output stands for, where they are not the
    tower's; ``times`` matrices alike; ``parts``: pieces of a token that meet it one by one.
    """

    name: str
    d_in: int
    d_out: int
    bias: bool = False
    stem: bool = False
    per: int | None = None
    times: int = 1
    parts: int = 1
    type: Literal["dense"] = "dense"

    def ops(self, at: LayerRun, tokens: int) -> Iterator[Op]:
        """A product with a learned side; the stem's takes one product to go back through."""
        if not self.stem:
            yield at.linear(self.name, self.d_in, self.d_out, self.bias, tokens=tokens, cut=WHOLE)._replace(
                times=at.times * self.times
            )
            return
        weight = self.d_out * (self.d_in + self.bias)
        dims: Dims = {"batch": 1, "m": tokens, "k": self.d_in, "n": self.d_out, "weight": weight, "grads": 1}
        yield at.op(self.name, "matmul", Saved("input", tokens * self.d_in), cut=WHOLE, **dims)


class Table(NamedTuple):
    """A table of ``rows`` that are looked up."""

    name: str
    rows: int
    width: int
    type: Literal["table"] = "table"

    def ops(self, at: LayerRun, tokens: int) -> Iterator[Op]:
        """A lookup."""
        dims: Dims = {"tokens": tokens, "rows": self.rows, "width": self.width}
        yield at.op(self.name, "lookup", Saved("indices", tokens, "int64"), cut=WHOLE, **dims)


class Vector(NamedTuple):
    """``size`` learned numbers outside any matrix: a class token, a table that is added as a whole, a gate."""

    name: str
    size: int
    type: Literal["vector"] = "vector"

    def ops(self, at: LayerRun, tokens: int) -> Iterator[Op]:
        """Its numbers."""
        yield at.op(self.name, "vector", cut=WHOLE, size=self.size)


class Normed(NamedTuple):
    """A norm over ``width`` numbers of each token, by default of the tower's kind; ``times`` norms alike."""

    name: str
    width: int
    norm: Norm | None = None
    per: int | None = None
    times: int = 1
    parts: int = 1
    type: Literal["normed"] = "normed"

    def ops(self, at: LayerRun, tokens: int) -> Iterator[Op]:
        """The norm."""
        yield at.norm(self.name, self.norm or at.spec.norm, self.width, tokens, cut=WHOLE)._replace(times=at.times * self.times)


class Activated(NamedTuple):
    """An activation function on ``width`` numbers of each token."""

    name: str
    width: int
    activation: Activation = "gelu"
    per: int | None = None
    times: int = 1
    parts: int = 1
    type: Literal["activated"] = "activated"

    def ops(self, at: LayerRun, tokens: int) -> Iterator[Op]:
        """The function."""
        n = tokens * self.width
        yield at.op(self.name, self.activation, Saved("activation", n), cut=WHOLE, elements=n)._replace(
            times=at.times * self.times
        )


class Averaged(NamedTuple):
    """Means over squares of ``per`` patches, as a product with what each token has of each patch (Gemma 4)."""

    name: str
    width: int
    per: int
    type: Literal["averaged"] = "averaged"

    def ops(self, at: LayerRun, tokens: int) -> Iterator[Op]:
        """One side is not learned."""
        dims: Dims = {"batch": at.batch, "m": tokens // max(at.batch, 1), "k": at.q, "n": self.width, "weight": 0, "grads": 1}
        yield at.op(self.name, "matmul", cut=WHOLE, **dims)


class Filter(NamedTuple):
    """A filter of ``kernel`` numbers for each of ``width`` channels, over patches or frames and neighbours; ``times`` filters
    alike.
    """

    name: str
    width: int
    kernel: int
    bias: bool = False
    per: int | None = None
    times: int = 1
    parts: int = 1
    type: Literal["filter"] = "filter"

    def ops(self, at: LayerRun, tokens: int) -> Iterator[Op]:
        """As many outputs as tokens; in the backward pass FlopCounterMode lets each filter meet every channel."""
        dims: Dims = {"batch": 1, "channels": self.width, "length": tokens, "kernel": self.kernel, "bias": int(self.bias)}
        dims["met"] = 1 if at.run.ideal else self.width
        made = at.op(self.name, "conv", Saved("input", tokens * self.width), cut=WHOLE, **dims)
        yield made._replace(times=at.times * self.times)


class Channels(NamedTuple):
    """Attention of ``width`` channels to one another, in ``n_groups``, over all tokens (Ding et al. 2022, arXiv:2204.03645,
    sec. 3.2): a product of queries and keys, and one with values.
    """

    name: str
    width: int
    n_groups: int
    type: Literal["channels"] = "channels"

    def ops(self, at: LayerRun, tokens: int) -> Iterator[Op]:
        """Neither side of the two is learned."""
        each, n = self.width // self.n_groups, tokens // max(at.batch, 1)
        dims: Dims = {"batch": at.batch * self.n_groups, "m": each, "k": n, "n": each, "weight": 0}
        yield at.op(f"{self.name}.scores", "matmul", Saved("queries and keys", 2 * tokens * self.width), cut=WHOLE, **dims)
        kept = Saved("probabilities", at.batch * self.width * each)
        yield at.op(f"{self.name}.softmax", "softmax", kept, cut=WHOLE, elements=at.batch * self.width * each)
        dims = {"batch": at.batch * self.n_groups, "m": each, "k": each, "n": n, "weight": 0}
        yield at.op(f"{self.name}.values", "matmul", Saved("values", tokens * self.width), cut=WHOLE, **dims)


Piece = Union[Dense, Table, Vector, Normed, Activated, Averaged, Filter, Channels]
PIECES = {"dense": Dense, "table": Table, "vector": Vector, "normed": Normed, "activated": Activated, "averaged": Averaged}
PIECES |= {"filter": Filter, "channels": Channels}


@dataclass(frozen=True)
class Tower:
    """``before`` the layers, ``layers``, and what is done ``after``: an encoder of images or sounds, a projector, a resampler.
    Every layer has what is ``inside`` (gates).

    ``name`` is what it is counted under: vision, audio, projector. It is ``fed`` an image's patches or a sound's frames; a token
    of its layers stands for ``per`` frames, or a square of ``per`` patches, and ``added`` are tokens that stand for none
    (a class token). A resampler has ``latents`` tokens for each image or sound, whatever its size, which meet the others by
    cross-attention. A layer whose attention is chunked meets squares of so many patches on a side. ``grad`` False: nobody reads
    what comes out, so that no gradient comes back. ``met``: what comes out stands not among the model's tokens, and its
    cross-attention meets it; so it does what an encoder makes of a text, which is a tower where it is of another width than the
    decoder. ``joins``: its tokens meet the model's own, too, by the keys and values that its layers have made.
    ``pads``: windows at the edges of an image are as large as the others, filled up.
    """

    name: str
    width: int
    before: tuple[Piece, ...] = ()
    layers: tuple[Layers, ...] = ()
    after: tuple[Piece, ...] = ()
    inside: tuple[Piece, ...] = ()
    norm: Norm = field(default_factory=Norm)
    fed: Literal["image", "audio", "text"] = "image"
    per: int = 1
    added: int = 0
    latents: int | None = None
    grad: bool = True
    met: bool = False
    joins: bool = False
    pads: bool = False

    extras: ClassVar[tuple[Extra, ...]] = ()
    context: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_sizes(self, "width", "per", "latents")

    @property
    def d_model(self) -> int:
        """As a model calls the width of its layers."""
        return self.width

    @property
    def n_layers(self) -> int:
        """All its layers."""
        return sum(layers.repeat for layers in self.layers)

    @property
    def kinds(self) -> dict[str, Layers]:
        """Each kind of layer once, by the name that its ops carry: "vision.0"."""
        found: dict[object, Layers] = {}
        for layers in self.layers:
            before = found.get(layers.kind)
            found[layers.kind] = layers if before is None else replace(before, repeat=before.repeat + layers.repeat)
        return {f"{self.name}.{number}": layers for number, layers in enumerate(found.values())}
