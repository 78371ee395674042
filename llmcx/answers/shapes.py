"""Depth against width at equal parameters: for each depth, the width whose exact count comes closest to a target.

No formula of a cost lives here: each shape is an ordinary model, and every figure a fold over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil, gcd, log

from llmcx.answers import Result
from llmcx.answers.memory import kv_bytes_per_token
from llmcx.answers.search import first_below_zero
from llmcx.costs.flops import backward_fold, forward_flops
from llmcx.costs.params import count
from llmcx.costs.saved_activations import kept_bytes
from llmcx.errors import InputError, unknown_name
from llmcx.formats import dtypes
from llmcx.model.lower import Run, lower
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Norm, Plain, check_size
from llmcx.scaling.minimum import rising

DEPTHS = (4, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128)
"""Depths listed when none are asked for; the published models of 0.1B to 500B lie between them."""


@dataclass(frozen=True)
class Shape:
    """One shape and what it costs. ``deviation`` is its parameters (or FLOPs) less the target, ``relative`` that over the target;
    both are None for a published reference. ``aspect_ratio`` is d / L; ``sequential_steps`` the layers that wait for one
    another, in a forward pass and in every decode step. ``train_flops`` are forward and backward of one sequence,
    ``train_state_bytes`` 16 bytes a parameter (mixed-precision Adam). ``tensor_parallel`` is the most GPUs, a power of two up to
    64, that divide heads, key-value heads and d_ff; ``tile`` the largest power of two up to 256 that divides d_model and d_ff (a
    matrix unit wants 64 or 128). ``depth`` is :func:`depth_advice`.
    """

    name: str | None
    n_layers: int
    d_model: int
    n_heads: int
    kv_heads: int
    d_ff: int
    params: int
    deviation: int | None
    relative: float | None
    aspect_ratio: float
    seq: int
    forward_flops: int
    train_flops: int
    activation_bytes: int
    train_state_bytes: int
    kv_bytes_per_token: int
    sequential_steps: int
    tensor_parallel: int
    tile: int
    depth: str


@dataclass(frozen=True, repr=False)
class Shapes(Result, brief="shapes references", table="shapes"):
    """The shapes of equal parameters or FLOPs, and published ones beside them."""

    shapes: list[Shape]
    references: list[Shape]


def model(
    n_layers: int,
    d_model: int,
    vocab: int,
    *,
    head_dim: int = 128,
    kv_heads: int | None = None,
    gated: bool = False,
    ffn_multiple: float | None = None,
    ffn_round: int | None = None,
    positions: int | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> ModelSpec:
    """A decoder of ``n_layers`` identical layers of width ``d_model``, with d_model / head_dim heads.

    d_ff = ffn_multiple · d_model, rounded up to a multiple of ``ffn_round``. ``gated`` chooses the family, and the defaults of
    what is not given: plain is GPT's (4 d, biases, layer norms, tied head; Brown et al. 2020, arXiv:2005.14165, sec. 2.1), gated
    is LLaMA's (8/3 d rounded up to 256, no biases, RMS norms, an untied head; Touvron et al. 2023, arXiv:2302.13971, sec. 2.2).
    Positions are rotary, or with ``positions`` learned. Raises InputError (n_layers, d_model, vocab, head_dim, kv_heads,
    ffn_multiple, ffn_round, positions).

    LLaMA 7B:

    >>> count(model(32, 4096, 32000, gated=True))
    6738415616
    """
    check_size("n_layers", n_layers)
    check_size("d_model", d_model)
    check_size("head_dim", head_dim)
    if d_model % head_dim:
        problem = f"d_model {d_model} is not a multiple of head_dim {head_dim}"
        raise InputError(problem, field="d_model", value=d_model, allowed=f"a multiple of {head_dim}")
    bias = not gated if bias is None else bias
    mixer = Attention(d_model // head_dim, kv_heads, head_dim, bias=bias, rope=positions is None)
    width = feed_forward(d_model, gated, ffn_multiple, ffn_round)
    ffn = Gated(width, bias) if gated else Plain(width, bias)
    return ModelSpec(
        name=f"{n_layers} x {d_model}",
        d_model=d_model,
        embedding=Embedding(vocab, positions),
        decoder=(Layers(n_layers, mixer, ffn),),
        norm=Norm("rmsnorm" if gated else "layernorm"),
        head=Head(tied=not gated if tied is None else tied),
    )


def feed_forward(d_model: int, gated: bool = False, ffn_multiple: float | None = None, ffn_round: int | None = None) -> int:
    """d_ff: ceil(ffn_multiple · d_model / ffn_round) · ffn_round, exactly.

    Default 4 d, or gated 8/3 d up to a multiple of 256: two thirds of 4 d, so that three matrices have the parameters of two
    (Shazeer 2020, arXiv:2002.05202, sec. 2). A float multiple is read as the nearest fraction with a denominator up to 1000.
    Limits: multiple above 0 and at most 1000, rounding 1 to 10^15. Raises InputError (ffn_multiple, ffn_round).

    8/3 · 4096 = 10922.7, up to 11008 = 43 · 256 (LLaMA 7B):

    >>> feed_forward(12288), feed_forward(4096, gated=True)
    (49152, 11008)
    """
    unit = (256 if gated else 1) if ffn_round is None else ffn_round
    check_size("ffn_round", unit)
    if ffn_multiple is None:
        times = Fraction(8, 3) if gated else Fraction(4)
    else:
        if isinstance(ffn_multiple, bool) or not isinstance(ffn_multiple, (int, float)) or not 0.001 <= ffn_multiple <= 1000:
            problem = f"ffn_multiple is {ffn_multiple}, but must be a number from 0.001 to 1000"
            raise InputError(problem, field="ffn_multiple", value=str(ffn_multiple), allowed="0.001 to 1000")
        times = Fraction(ffn_multiple).limit_denominator(1000)
    return ceil(times * d_model / unit) * unit


def shapes(
    params: int,
    vocab: int,
    *,
    depths: Sequence[int] = DEPTHS,
    seq: int = 2048,
    head_dim: int = 128,
    kv_heads: int | None = None,
    gated: bool = False,
    ffn_multiple: float | None = None,
    ffn_round: int | None = None,
    positions: int | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
    kv_dtype: str = "bf16",
    by: str = "params",
) -> list[Shape]:
    """For each of ``depths`` the width whose exact parameters lie closest to ``params``, and what that shape costs.

    With ``by`` "flops" the target is forward FLOPs of one sequence instead.

    Widths are multiples of head_dim (times kv_heads, where given, so that query heads divide among them). The count grows with
    the width, so the width is found by bisection on integers, O(log d) counts of O(1) each, whatever the depth; of two widths
    equally far off the narrower is taken. Where even the narrowest is too large, it is listed with its deviation.

    Figures: ``params`` exact (:func:`llmcx.costs.params.count`), forward FLOPs of one sequence of ``seq`` tokens with every pair
    multiplied, bytes that autograd keeps of it in bf16 with fused attention, cache bytes per token in ``kv_dtype``. The other
    arguments are :func:`model`'s. Limits: sizes 1 to 10^15. Raises InputError (params, depths, seq, kv_dtype and those of
    :func:`model`). Source: Kaplan et al. 2020, arXiv:2001.08361, sec. 3.1, compares shapes at equal size.

    GPT-3's 174,604,259,328 parameters in 96 layers are its own 12288 wide:

    >>> row = shapes(174_604_259_328, 50257, depths=[96], positions=2048)[0]
    >>> row.d_model, row.deviation, row.aspect_ratio
    (12288, 0, 128.0)
    """
    check_size("params", params)
    check_size("seq", seq)
    check_size("head_dim", head_dim)
    check_size("kv_heads", kv_heads)
    if positions is not None and seq > positions:
        problem = f"seq is {seq}, but there are only {positions} learned positions"
        raise InputError(problem, field="seq", value=seq, allowed=f"at most {positions}")
    if by not in ("params", "flops"):
        raise unknown_name("target", by, ["params", "flops"], field="by")
    if not depths:
        raise InputError("a list of shapes needs at least one depth", field="depths")
    for depth in depths:
        check_size("depths", depth)
    step = head_dim * (kv_heads or 1)

    build = partial(
        model,
        vocab=vocab,
        head_dim=head_dim,
        kv_heads=kv_heads,
        gated=gated,
        ffn_multiple=ffn_multiple,
        ffn_round=ffn_round,
        positions=positions,
        bias=bias,
        tied=tied,
    )

    def size(spec: ModelSpec) -> int:
        return count(spec) if by == "params" else forward_flops(spec, Run(1, seq))

    def nearest(depth: int) -> ModelSpec:
        above = first_below_zero(lambda units: params - size(build(depth, units * step)))
        assert above is not None  # the count passes 10^15 long before a width of 2^40
        return min(
            (build(depth, units * step) for units in (above - 1, above) if units), key=lambda spec: abs(size(spec) - params)
        )

    return [_row(spec, seq, kv_dtype, size(spec) - params, params) for spec in map(nearest, depths)]


def _row(spec: ModelSpec, seq: int, kv_dtype: str, deviation: int | None, target: int | None, name: str | None = None) -> Shape:
    layers = spec.decoder[0]
    assert isinstance(layers.mixer, Attention) and isinstance(layers.ffn, (Plain, Gated))
    exact = count(spec)
    return Shape(
        name=name,
        n_layers=spec.n_layers,
        d_model=spec.d_model,
        n_heads=layers.mixer.n_heads,
        kv_heads=layers.mixer.kv_heads,
        d_ff=layers.ffn.d_ff,
        params=exact,
        deviation=deviation,
        relative=None if deviation is None or target is None else deviation / target,
        aspect_ratio=spec.d_model / spec.n_layers,
        seq=seq,
        forward_flops=forward_flops(spec, Run(1, seq)),
        train_flops=forward_flops(spec, Run(1, seq)) + backward_fold.total(lower(spec, Run(1, seq))),
        activation_bytes=kept_bytes(lower(spec, Run(1, seq, fused=True)), dtypes.bits("bf16") // 8),
        train_state_bytes=16 * exact,
        kv_bytes_per_token=kv_bytes_per_token(spec, kv_dtype),
        sequential_steps=spec.n_layers,
        tensor_parallel=_two(gcd(layers.mixer.n_heads, layers.mixer.kv_heads, layers.ffn.d_ff), 64),
        tile=_two(gcd(spec.d_model, layers.ffn.d_ff), 256),
        depth=depth_advice(spec.n_layers, spec.d_model),
    )


def _two(number: int, most: int) -> int:
    """The largest power of two up to ``most`` that divides a number."""
    return min(number & -number, most)


LEVINE = (5.039, 0.0555)
"""ln d = a + b L where more depth stops paying (Levine et al. 2020, arXiv:2006.12467, fitted to 6 to 48 layers). The digits are
unconfirmed; they give the 30K that the abstract names for a trillion parameters, and GPT-3 as too deep, as it says.
"""


def balanced(params: float) -> tuple[int, int]:
    """The depth and width at which 12 L d² = ``params`` and ln d = a + b L (:data:`LEVINE`), rounded. By bisection in L.

    Raises InputError (params) outside 10^6 to 10^15.

    A trillion parameters want a width of 30K (the paper's abstract):

    >>> balanced(1e12)
    (95, 29657)
    """
    if not 1e6 <= params <= 1e15:
        raise InputError(f"params is {params:g}, but must be 10^6 to 10^15", field="params", value=params)
    a, b = LEVINE
    depth = rising(lambda layers: log(12 * layers) + 2 * (a + b * layers) - log(params), 1e-6, 1e4)
    return round(depth), round((params / (12 * depth)) ** 0.5)


def depth_advice(n_layers: int, d_model: int) -> str:
    """ "deep" or "shallow" where L is over 1.1 times or under 0.9 times (ln d - a) / b, the depth that a width can use by Levine
    et al. 2020 (:data:`LEVINE`), else "balanced". Kaplan et al. 2020, arXiv:2001.08361, sec. 3.1, find it to matter little: 6 x
    4288 within 3% of the loss of 48 x 1600.

    >>> depth_advice(96, 12288), depth_advice(32, 4096), depth_advice(12, 4096)
    ('deep', 'shallow', 'shallow')
    """
    a, b = LEVINE
    at = n_layers * b / max(log(d_model) - a, 1e-9)
    return "deep" if at > 1.1 else "shallow" if at < 0.9 else "balanced"


def references(seq: int = 2048, kv_dtype: str = "bf16") -> list[Shape]:
    """The published shapes to hold the others against: GPT-3 96 x 12288, LLaMA 7B 32 x 4096, LLaMA 65B 80 x 8192.

    The figures of :func:`shapes`, for each model with its own vocabulary. Sources: Brown et al. 2020, arXiv:2005.14165, Table
    2.1; Touvron et al. 2023, arXiv:2302.13971, Table 2. Limits: seq from 1; above a model's context it is what it would cost.
    Raises InputError (seq, dtype).

    >>> [(row.name, row.n_layers, row.d_model, row.params) for row in references()][0]
    ('GPT-3 175B', 96, 12288, 174604259328)
    """
    check_size("seq", seq)
    return [_row(spec, seq, kv_dtype, None, None, name) for name, spec in published().items()]


def published() -> dict[str, ModelSpec]:
    """The models of :func:`references`."""
    return {
        "GPT-3 175B": model(96, 12288, 50257, positions=2048),
        "LLaMA 7B": model(32, 4096, 32000, gated=True),
        "LLaMA 65B": model(80, 8192, 32000, gated=True),
    }
