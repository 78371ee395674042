"""Where a part is lowered: the run, the shapes its neighbours share, and short ways to write its ops."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmcx.ops.op import TOKENS, Cache, Cut, Dims, Op, Saved, op_of, saved_of

if TYPE_CHECKING:
    from llmcx.model.norm import Norm
    from llmcx.model.spec import ModelSpec
    from llmcx.model.tower import Tower


class Run(NamedTuple):
    """What is run: ``batch`` sequences, ``seq`` new tokens each, after ``past`` tokens already in the cache.

    ``source`` is the encoder's length in an encoder-decoder (None: the same as ``seq``); ``encode`` False leaves the
    encoder out, as a decode step does. ``ideal`` multiplies only the pairs a mask or window leaves. ``fused`` runs the
    softmax attentions in kernels that never write the scores out (PyTorch's sdpa, flash): the same FLOPs, less kept.
    ``masks`` says that such a kernel knows a window only as a mask of all pairs (sdpa), not as a number (flash).
    ``all_experts`` multiplies every token with every expert where transformers' eager code does (Llama 4). ``dropout`` draws
    masks: a byte per number that a part adds to the residual stream, and per probability written out.

    ``images`` of ``grid`` patches (rows and columns) stand in each sequence, and ``sounds`` of ``frames``: what its towers are
    fed, beside the ``seq`` tokens, among which their outputs stand. ``further`` images have grids of their own.
    """

    batch: int = 1
    seq: int = 1
    past: int = 0
    source: int | None = None
    encode: bool = True
    ideal: bool = False
    fused: bool = False
    masks: bool = False
    dropout: bool = False
    all_experts: bool = False
    images: int = 0
    grid: tuple[int, int] = (0, 0)
    further: tuple[tuple[int, tuple[int, int]], ...] = ()
    sounds: int = 0
    frames: int = 0


def step_at(context: int, batch: int = 1, source: int | None = None, ideal: bool = False, all_experts: bool = False) -> Run:
    """The decode step: forward of q = 1 token at kv = context, the token's own key included.

    ``batch`` sequences at once; of an encoder-decoder with ``source`` tokens in the encoder's memory (None: as many as
    ``context``). No errors. Source: Shazeer 2019, arXiv:1911.02150, sec. 2.4.

    >>> step = step_at(2048, batch=4)
    >>> step.seq, step.past
    (1, 2047)
    """
    source = context if source is None else source
    return Run(batch, 1, past=context - 1, source=source, encode=False, ideal=ideal, all_experts=all_experts)


class LayerRun(NamedTuple):
    """A kind of layer's place in a run: ``q`` new tokens per sequence attend to ``kv``; ``source`` encoder tokens are at hand.

    ``width`` is the tokens' where it is not the model's d_model; ``role`` what the ops made here belong to.
    """

    spec: ModelSpec | Tower
    run: Run
    batch: int
    q: int
    kv: int
    source: int
    masked: bool
    group: str
    times: int = 1
    width: int | None = None
    role: str = "mixer"

    @property
    def tokens(self) -> int:
        return self.batch * self.q

    @property
    def d_model(self) -> int:
        return self.spec.d_model if self.width is None else self.width

    def op(
        self,
        component: str,
        kind: str,
        *saved: Saved,
        copies: int = 1,
        used: int = 1,
        cut: Cut | None = None,
        cache: Cache | None = None,
        joined: bool = False,
        role: str | None = None,
        **dims: int,
    ) -> Op:
        """An op of this kind of layer, once per layer."""
        of = role or self.role
        return op_of(
            (component, kind, dims, self.times, copies, used, saved, self.group, True, of, "", "", cut, cache, joined, False)
        )

    def linear(
        self,
        component: str,
        d_in: int,
        d_out: int,
        bias: bool = False,
        *,
        saves: bool = True,
        tied: bool = False,
        tokens: int | None = None,
        copies: int = 1,
        used: int = 1,
        reads: str = "",
        cut: Cut | None = None,
    ) -> Op:
        """A dense layer over all tokens of the pass. ``saves`` False when its input is already kept by an op before it, ``tied``
        when its matrix is another op's. The last word of its name says which matrix it is.
        """
        n = self.batch * self.q if tokens is None else tokens
        saved = (saved_of(("input", n * d_in, "act", 0)),) if saves else ()
        dims: Dims = {"tokens": n, "d_in": d_in, "d_out": d_out, "bias": int(bias), "tied": int(tied)}
        module = component[component.rfind(".") + 1 :]
        times, group, role = self.times, self.group, self.role
        return op_of(
            (component, "linear", dims, times, copies, used, saved, group, True, role, module, reads, cut, None, False, False)
        )

    @property
    def steps(self) -> bool:
        """Whether this is one decode step, which a recurrence takes from the state that it left."""
        return self.run.past > 0 and self.q == 1

    def conv(self, component: str, channels: int, kernel: int, bias: bool, cut: Cut | None = None) -> Op:
        """A causal filter per channel over the tokens.

        transformers pads kernel - 1 zeros at both ends and drops the last outputs; a decode step has the last inputs
        in its state. In the backward pass FlopCounterMode lets each filter meet every channel.
        """
        length = self.q if self.steps or self.run.ideal else self.q + kernel - 1
        dims: Dims = {"batch": self.batch, "channels": channels, "length": length, "kernel": kernel, "bias": int(bias)}
        dims["met"] = 1 if self.run.ideal else channels
        return self.op(component, "conv", Saved("input", self.tokens * channels), cut=cut, **dims)

    def norm(
        self,
        component: str,
        norm: Norm,
        width: int,
        tokens: int | None = None,
        vectors: int = 1,
        cut: Cut | None = TOKENS,
        role: str | None = None,
    ) -> Op:
        """A normalisation over ``width`` features of each of ``tokens`` rows, with ``vectors`` rows of weights.

        A layer norm keeps its input and two statistics per row; transformers' RMS norm, written in Python, an fp32
        input, the normalised one and a root.
        """
        n = self.batch * self.q if tokens is None else tokens
        wide = "fp32" if norm.fp32 else "act"
        saved: tuple[Saved, ...]
        if norm.type == "layernorm":
            saved = (saved_of(("input", n * width, wide, 0)), saved_of(("mean and deviation", 2 * n, "fp32", 0)))
        else:
            saved = (
                saved_of(("input in fp32", n * width, "fp32", 0)),
                saved_of(("normalised input", n * width, wide, 0)),
                saved_of(("reciprocal root", n, "fp32", 0)),
            )
        if norm.offset:
            saved += (Saved("scale, one added", vectors * width, "fp32"),)
        dims: Dims = {"tokens": n, "width": width, "weights": vectors * width * (int(norm.scale) + int(norm.shift))}
        of = role or self.role
        return op_of((component, norm.type, dims, self.times, 1, 1, saved, self.group, True, of, "", "", cut, None, False, False))
