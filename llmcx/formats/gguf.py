"""GGUF: ggml's block types, and which of them llama.cpp's quantize gives to which tensor of which layer.

Read from ggml-org/llama.cpp in its state of October 2026: the blocks in ggml/src/ggml-common.h, the choice of types in
src/llama-quant.cpp (its functions llama_tensor_get_type_impl, tensor_type_fallback and llama_ftype_get_default_type). The rules
look at a tensor's index only through "the first k" and "more bits" (the first and last eighth, and every third between), so they
are counted in closed form and no cost grows with the layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from llmcx.errors import InputError


class Block(NamedTuple):
    """A ggml type: ``elements`` of a row are stored together in ``payload`` bytes of quants and ``scales`` bytes of scales,
    minima and shared exponents.
    """

    elements: int
    payload: int
    scales: int

    @property
    def bytes(self) -> int:
        return self.payload + self.scales


_BLOCKS = """
F64 1 8 0, F32 1 4 0, F16 1 2 0, BF16 1 2 0, I8 1 1 0, I16 1 2 0, I32 1 4 0, I64 1 8 0,
Q1_0 128 16 2, Q2_0 64 16 2, Q4_0 32 16 2, Q4_1 32 16 4, Q5_0 32 20 2, Q5_1 32 20 4, Q8_0 32 32 2, Q8_1 32 32 4,
Q2_K 256 64 20, Q3_K 256 96 14, Q4_K 256 128 16, Q5_K 256 160 16, Q6_K 256 192 18, Q8_K 256 256 36,
IQ1_S 256 48 2, IQ1_M 256 48 8, IQ2_XXS 256 64 2, IQ2_XS 256 64 10, IQ2_S 256 72 10, IQ3_XXS 256 96 2, IQ3_S 256 104 6,
IQ4_NL 32 16 2, IQ4_XS 256 128 8, TQ1_0 256 52 2, TQ2_0 256 64 2, MXFP4 32 16 1, NVFP4 64 32 4
"""
# Codebook types (IQ): indices and signs are payload. The smallest ones hide bits of their scales among them.
BLOCKS = {name: Block(*map(int, numbers)) for name, *numbers in map(str.split, _BLOCKS.split(","))}
"""The structs of ggml-common.h, their fields sorted into quants (qs, ql, qh, hmask, signs) and scales (d, dmin, m, e, scales)."""

_ALIKE = """q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q6_k iq1_s iq1_m iq2_xxs iq2_xs iq3_xxs iq3_s iq4_nl iq4_xs tq1_0 tq2_0"""
MIXES = {
    **{name: name.upper() for name in _ALIKE.split()},
    "q2_k_s": "Q2_K",
    **dict.fromkeys(("q3_k_s", "q3_k_m", "q3_k_l"), "Q3_K"),
    **dict.fromkeys(("q4_k_s", "q4_k_m"), "Q4_K"),
    **dict.fromkeys(("q5_k_s", "q5_k_m"), "Q5_K"),
    "iq2_s": "IQ2_XS",
    "iq2_m": "IQ2_S",
    **dict.fromkeys(("iq3_xs", "iq3_m"), "IQ3_S"),
    "mxfp4_moe": "MXFP4",
}
"""llama.cpp's mixtures, and the type that each gives to a tensor without a rule of its own."""

ALIASES = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}

_LOW = {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m"}
NEEDS_IMATRIX = _LOW | {"q2_k_s", "iq3_xxs", "iq3_xs"}
"""Mixtures that llama.cpp makes only with an importance matrix; the others are reckoned without one."""

VARIES_WITH_IMATRIX = {"iq4_nl", "iq4_xs", "q4_0", "q5_0"}

_TOKENS = {
    **dict.fromkeys(("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs"), "Q2_K"),
    **dict.fromkeys(("iq2_s", "iq2_m", "iq3_xxs"), "IQ3_S"),
    **dict.fromkeys(("tq1_0", "tq2_0"), "Q4_K"),
}
_FALLBACK = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}


class Model(NamedTuple):
    """What the rules look at: layers, query heads per key-value head in the first layer, experts, a tied head, tensors of values
    (attn_v, attn_qkv and attn_kv_b), and whether llama.cpp calls it a 70B, or Falcon.
    """

    layers: int
    gqa: int
    experts: int
    tied: bool
    values: int
    is_70b: bool = False
    is_falcon: bool = False


_VALUES = ("attn_v", "attn_qkv", "attn_kv_b", "cross_attn_v")


def place(role: str) -> str:
    """What the rules call a tensor: values, one of the feed-forward's three whoever has it, keys, or its own name."""
    if role in _VALUES:
        return "values"
    if role == "indexer.attn_k":
        return "attn_k"
    return role.removesuffix("_exps").removesuffix("_shexp") if role.startswith("ffn_") else role


def by_tensor(mix: str) -> bool:
    """Whether a mixture counts the tensors of a feed-forward even where experts share it, and not the layers."""
    return mix in _LOW


def more_bits(i: int, n: int) -> bool:
    """Whether the ``i``-th of ``n`` has more bits: i < n/8, i ≥ 7n/8, or (i - n/8) mod 3 = 2, each division rounded down."""
    return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2


def spread(choice: Callable[[int], str], n: int, first: int, step: int, count: int) -> Counter[str]:
    """How many of the ``count`` indices from ``first`` on, each ``step`` further, have which type, ``choice`` being one of the
    rules below for ``n`` layers: between the places where these change they repeat every third time.

    >>> spread(lambda i: "Q6_K" if more_bits(i, 32) else "Q4_K", 32, 0, 1, 32)["Q6_K"]
    16
    """
    edges = {min(max(0, -(-(edge - first) // step)), count) for edge in (2, 4, n // 16, n // 8, 7 * n // 8)}
    found: Counter[str] = Counter()
    for low, high in pairwise(sorted(edges | {0, count})):
        for k in range(low, min(low + 3, high)):
            found[choice(first + step * k)] += len(range(k, high, 3))
    return found


def choose(mix: str, role: str, d_in: int, m: Model, i: int = 0, copies: int = 1) -> str:
    """The type of the ``i``-th tensor ``role`` (llama.cpp's name, e.g. "ffn_down_exps"), for rows of ``d_in`` and ``copies`` of
    it side by side.
    """
    kind, what = MIXES[mix], place(role)
    table = what in ("token_embd", "per_layer_token_embd")
    if what == "output" or (table and m.tied):
        if kind in ("Q8_0", "MXFP4") or d_in % BLOCKS[kind].elements or m.is_falcon:
            return "Q8_0"
        return "Q5_K" if mix in _LOW | {"iq3_xxs"} else "Q6_K"
    if mix == "mxfp4_moe":
        return "MXFP4" if copies > 1 else "Q8_0"
    if table:
        return _TOKENS.get(mix, kind)
    if mix in _LOW:
        return _low(mix, what, kind, m, i)
    if what == "values":
        return _values(mix, kind, m, i)
    if what == "ffn_down":
        return (m.is_falcon and _falcon_down(mix, kind, m.layers, i)) or _ffn_down(mix, kind, m, i)
    if what == "attn_output":
        return _attn_output(mix, kind, m)
    if what == "attn_k" and m.experts == 8:
        return "Q8_0"
    if what in ("attn_q", "attn_k"):
        return {"iq3_xs": "IQ3_XXS", "iq3_xxs": "IQ2_S"}.get(mix, kind)
    if what in ("ffn_up", "ffn_gate") and mix == "iq3_xs":
        return "IQ3_XXS" if m.layers // 8 <= i < 7 * m.layers // 8 else kind
    return kind


def _low(mix: str, what: str, kind: str, m: Model, i: int) -> str:
    """The mixtures of two bits and fewer."""
    better = "IQ3_S" if mix in ("iq2_s", "iq2_m") else "Q2_K"
    if what == "values":
        return "Q4_K" if m.gqa >= 4 or m.experts >= 4 else better
    if what == "attn_k" and m.experts == 8:
        return "Q4_K"
    if what == "ffn_down":
        return better if i < m.layers // 8 else kind
    if what == "attn_output":
        if m.experts == 8:
            return "Q5_K"
        return {"iq1_s": "IQ2_XXS", "iq1_m": "IQ2_XXS", "iq2_s": "IQ3_S", "iq2_m": "IQ3_S"}.get(mix, kind)
    return kind


def _values(mix: str, kind: str, m: Model, i: int) -> str:
    grouped = m.gqa >= 4
    if mix == "q2_k":
        kind = "Q4_K" if grouped else "Q3_K"
    elif (mix in ("q2_k_s", "iq3_xxs", "iq3_xs", "iq3_s") and grouped) or mix == "iq3_m":
        kind = "Q4_K"
    elif mix == "q3_k_m":
        kind = "Q5_K" if i < 2 else "Q4_K"
    elif mix == "q3_k_l" or (mix in ("iq4_nl", "iq4_xs") and grouped) or (mix == "q4_k_s" and i < 4):
        kind = "Q5_K"
    elif mix in ("q4_k_m", "q5_k_m") and more_bits(i, m.values):
        kind = "Q6_K"
    if m.is_70b and kind in ("Q3_K", "Q4_K"):
        kind = "Q5_K"
    return "Q8_0" if m.experts == 8 else kind


def _ffn_down(mix: str, kind: str, m: Model, i: int) -> str:
    n = m.layers
    early = i < n // 8
    rules = {
        "q2_k": "Q3_K",
        "q3_k_l": "Q5_K",
        "q2_k_s": "Q4_K" if early else kind,
        "q3_k_m": "Q5_K" if i < n // 16 else "Q4_K",
        "iq3_m": "Q4_K" if early or (m.experts == 8 and more_bits(i, n)) else kind,
        **dict.fromkeys(("q4_k_m", "q5_k_m"), "Q6_K" if more_bits(i, n) else kind),
        **dict.fromkeys(("q4_k_s", "iq4_nl", "iq4_xs"), "Q5_K" if early else kind),
    }
    return rules.get(mix, kind)


def _falcon_down(mix: str, kind: str, n: int, i: int) -> str | None:
    """Where Falcon's ffn_down has a rule of its own."""
    more = more_bits(i, n)
    return {
        "q3_k_m": "Q5_K" if i < n // 16 else "Q4_K" if more else "Q3_K",
        "q3_k_l": "Q4_K",
        "q4_k_m": "Q6_K" if i < n // 16 else "Q5_K" if more else "Q4_K",
        "q4_k_s": kind,
    }.get(mix)


def _attn_output(mix: str, kind: str, m: Model) -> str:
    if m.is_falcon:
        return "Q4_K" if mix == "q3_k_l" else kind
    if m.experts == 8:
        raised = ("q2_k", "iq3_xs", "iq3_xxs", "q3_k_s", "q3_k_m", "iq4_nl", "q4_k_s", "q4_k_m", "iq3_s", "iq3_m", "iq4_xs")
        return "Q5_K" if mix in raised else kind
    return {"q2_k": "Q3_K", "iq3_xxs": "IQ3_S", "q3_k_m": "Q4_K", "q3_k_l": "Q5_K", "iq3_m": "Q4_K"}.get(mix, kind)


def fitting(kind: str, d_in: int) -> str:
    """``kind``, or what llama.cpp falls back to where rows of ``d_in`` are no whole blocks of it.

    Raises InputError where llama.cpp refuses too.

    >>> fitting("Q4_K", 2880), fitting("Q4_K", 4096), fitting("Q6_K", 100)
    ('Q5_0', 'Q4_K', 'F16')
    """
    if d_in % BLOCKS[kind].elements == 0:
        return kind
    if kind not in _FALLBACK and BLOCKS[kind].elements <= 32:
        return "F16"
    if kind not in _FALLBACK:
        problem = f"rows of {d_in} elements are no whole blocks of {kind} ({BLOCKS[kind].elements} elements)"
        raise InputError(f"{problem}, and llama.cpp has no other type for them", field="dtype", value=kind.lower())
    other = _FALLBACK[kind]
    return "F16" if d_in % BLOCKS[other].elements else other
