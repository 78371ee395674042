"""A real shape near a size: what a scaling law's optimum looks like as a model that one can build."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import log

from llmcx.answers.shapes import model
from llmcx.costs.params import count, counted_by_law
from llmcx.errors import InputError
from llmcx.model.spec import Attention, Gated, ModelSpec, Plain

ASPECT = 128
"""d / L aimed at: GPT-3 175B and LLaMA 7B have 128, Chinchilla 102. Kaplan et al. 2020, arXiv:2001.08361, sec. 3.1: loss varies
by a few percent while the aspect ratio varies 40-fold.
"""
SMALL = 500_000_000
"""Below this d / L aims at 64, heads are 64 wide and the output head is tied, as in GPT-2 small (12 x 768); above, 128 and
untied.
"""
VOCAB, CONTEXT = 32_000, 4096
"""Of a stand-in: tokens of LLaMA's vocabulary, and of Llama 2's context."""
WITHIN = 0.05
"""Of the size asked for: a shape must lie this near to be chosen for its aspect ratio."""


@dataclass(frozen=True)
class Architecture:
    """A shape, its exact parameters, and how far they are from what was asked: ``relative`` = (found - asked) / asked."""

    asked: float
    counts: str
    params: int
    relative: float
    n_layers: int
    d_model: int
    n_heads: int
    d_ff: int
    vocab: int
    aspect_ratio: float
    spec: ModelSpec


def architecture(asked: float, vocab: int, *, counts: str = "all", gated: bool = True) -> Architecture:
    """The shape of ``asked`` parameters whose d / L lies nearest :data:`ASPECT`, among those within 5% of the size.

    ``counts`` is what ``asked`` counts: "all", or "non-embedding", for which token table and untied head come on top. Depths are
    even; widths are multiples of 1024 from 4096 on (8 heads of 128, so that tensor parallelism over 8 GPUs divides them), of 512
    from 2048 on, else of 128. d_ff is 8/3 d up to a multiple of 256, or 4 d. Limits: 10^6 to 10^15 parameters. Raises
    InputError (params, vocab).

    LLaMA 7B's own shape from its own size:

    >>> found = architecture(6_738_415_616, 32000)
    >>> found.n_layers, found.d_model, found.d_ff, found.params
    (32, 4096, 11008, 6738415616)
    """
    if not 1e6 <= asked <= 1e15:
        raise InputError(f"a shape of {asked:.3g} parameters is not built; 10^6 to 10^15 are", field="params", value=asked)
    head_dim, tied, aspect = (64, True, ASPECT / 2) if asked < SMALL else (128, None, float(ASPECT))

    build = partial(model, vocab=vocab, head_dim=head_dim, gated=gated, tied=tied)
    near = (aspect * asked / 12) ** (1 / 3)  # 12 L d² = N and d = aspect · L
    unit = 1024 if near >= 4096 else 512 if near >= 2048 else 128
    found: list[tuple[bool, float, ModelSpec]] = []
    for width in range(max(unit, int(near * 0.5) // unit * unit), int(near * 2) + unit + 1, unit):
        two, four = (counted_by_law(build(depth, width), counts) for depth in (2, 4))
        depth = max(2, 2 + 2 * round((asked - two) / (four - two)))
        spec = build(depth, width)
        off = abs(counted_by_law(spec, counts) - asked) / asked
        found.append((off > WITHIN, off if off > WITHIN else abs(log(width / depth / aspect)), spec))
    spec = min(found, key=lambda each: each[:2])[2]
    layers = spec.decoder[0]
    assert isinstance(layers.mixer, Attention) and isinstance(layers.ffn, (Plain, Gated))
    return Architecture(
        asked=asked,
        counts=counts,
        params=count(spec),
        relative=(counted_by_law(spec, counts) - asked) / asked,
        n_layers=spec.n_layers,
        d_model=spec.d_model,
        n_heads=layers.mixer.n_heads,
        d_ff=layers.ffn.d_ff,
        vocab=vocab,
        aspect_ratio=spec.d_model / spec.n_layers,
        spec=spec,
    )


def stand_in(params: int) -> tuple[ModelSpec, list[str]]:
    """A model of which only the size is known, as a LLaMA-like one of that size, and what is assumed."""
    found = architecture(float(params), VOCAB)
    shape = f"{found.n_layers} layers, d_model {found.d_model:,}, d_ff {found.d_ff:,}, {found.vocab:,} tokens"
    note = f"a stand-in for {params:,} parameters: a dense LLaMA-like model of {shape}; {found.params:,} parameters"
    unit, letter = (10**12, "T") if params >= 10**12 else (10**9, "B") if params >= 10**9 else (10**6, "M")
    title = f"{params / unit:g}{letter} stand-in"
    return replace(found.spec, title=title, context=CONTEXT), [note]
