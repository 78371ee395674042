"""GGUF: ggml's block types, and which of them llama.cpp's quantize gives to which tensor of which layer.

Read from ggml-org/llama.cpp in its state of October 2026: the blocks in ggml/src/ggml-common.h, the choice of types in
src/llama-quant.cpp (its functions llama_tensor_get_type_impl, tensor_type_fallback and llama_ftype_get_default_type). The rules
look at a layer's index only through "the first k" and "more bits" (the first and last eighth, and every third between), so
a count of layers is enough and no cost grows with it.
"""

from __future__ import annotations

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
    """What the rules look at: layers, query heads per key-value head, experts, a tied head, and whether llama.cpp calls
    it a 70B.
    """

    layers: int
    gqa: int
    experts: int
    tied: bool
    is_70b: bool


class Choice(NamedTuple):
    """``special`` in ``layers`` of the layers, ``rest`` in all others."""

    special: str
    layers: int
    rest: str


def more_bits(n: int) -> int:
    """How many of ``n`` layers have more bits: i < n/8, i ≥ 7n/8, or (i - n/8) mod 3 = 2, each division rounded down.

    >>> more_bits(32)
    16
    """
    low, high = n // 8, 7 * n // 8
    return low + (n - high) + (high - low) // 3


def choose(mix: str, role: str, d_in: int, m: Model) -> Choice:
    """The types of the tensor ``role`` (llama.cpp's name, e.g. "ffn_down_exps") over the layers, for rows of ``d_in``."""
    kind = MIXES[mix]
    place = role.removesuffix("_exps").removesuffix("_shexp")
    if place == "output" or (place == "token_embd" and m.tied):
        if kind in ("Q8_0", "MXFP4") or d_in % BLOCKS[kind].elements:
            return _same("Q8_0")
        return _same("Q5_K" if mix in _LOW | {"iq3_xxs"} else "Q6_K")
    if mix == "mxfp4_moe":
        return _same("MXFP4" if role.endswith("_exps") and m.experts > 1 else "Q8_0")
    if place == "token_embd":
        return _same(_TOKENS.get(mix, kind))
    if mix in _LOW:
        return _low(mix, role, place, kind, m)
    if place in ("attn_v", "attn_qkv"):
        return _attn_v(mix, kind, m)
    if place == "ffn_down":
        return _ffn_down(mix, kind, m)
    if place == "attn_output":
        return _same(_attn_output(mix, kind, m))
    if place == "attn_k" and m.experts == 8:
        return _same("Q8_0")
    if place in ("attn_q", "attn_k"):
        return _same({"iq3_xs": "IQ3_XXS", "iq3_xxs": "IQ2_S"}.get(mix, kind))
    if place in ("ffn_up", "ffn_gate") and mix == "iq3_xs":
        return Choice("IQ3_XXS", 7 * m.layers // 8 - m.layers // 8, kind)
    return _same(kind)


def _same(kind: str) -> Choice:
    return Choice(kind, 0, kind)


def _low(mix: str, role: str, place: str, kind: str, m: Model) -> Choice:
    """The mixtures of two bits and fewer."""
    better = "IQ3_S" if mix in ("iq2_s", "iq2_m") else "Q2_K"
    if place in ("attn_v", "attn_qkv"):
        return _same("Q4_K" if m.gqa >= 4 or m.experts >= 4 else better)
    if place == "attn_k" and m.experts == 8:
        return _same("Q4_K")
    if place == "ffn_down":
        # llama.cpp counts tensors here, not layers; only without a shared expert beside the routed ones is that the same.
        if role.endswith("_shexp") or (m.experts and not role.endswith("_exps")):
            raise InputError(f"the rule of {mix} for models with shared experts is not known", field="dtype", value=mix)
        return Choice(better, m.layers // 8, kind)
    if place == "attn_output":
        if m.experts == 8:
            return _same("Q5_K")
        return _same({"iq1_s": "IQ2_XXS", "iq1_m": "IQ2_XXS", "iq2_s": "IQ3_S", "iq2_m": "IQ3_S"}.get(mix, kind))
    return _same(kind)


def _attn_v(mix: str, kind: str, m: Model) -> Choice:
    grouped, n = m.gqa >= 4, m.layers
    choice = _same(kind)
    if mix == "q2_k":
        choice = _same("Q4_K" if grouped else "Q3_K")
    elif (mix in ("q2_k_s", "iq3_xxs", "iq3_xs", "iq3_s") and grouped) or mix == "iq3_m":
        choice = _same("Q4_K")
    elif mix == "q3_k_m":
        choice = Choice("Q5_K", min(2, n), "Q4_K")
    elif mix == "q3_k_l" or (mix in ("iq4_nl", "iq4_xs") and grouped):
        choice = _same("Q5_K")
    elif mix in ("q4_k_m", "q5_k_m"):
        choice = Choice("Q6_K", more_bits(n), kind)
    elif mix == "q4_k_s":
        choice = Choice("Q5_K", min(4, n), kind)
    if m.is_70b:
        raised = {"Q3_K": "Q5_K", "Q4_K": "Q5_K"}
        choice = Choice(raised.get(choice.special, choice.special), choice.layers, raised.get(choice.rest, choice.rest))
    return _same("Q8_0") if m.experts == 8 else choice


def _ffn_down(mix: str, kind: str, m: Model) -> Choice:
    n = m.layers
    if mix == "q2_k":
        return _same("Q3_K")
    if mix == "q3_k_l":
        return _same("Q5_K")
    rules = {
        "q2_k_s": Choice("Q4_K", n // 8, kind),
        "q3_k_m": Choice("Q5_K", n // 16, "Q4_K"),
        "iq3_m": Choice("Q4_K", more_bits(n) if m.experts == 8 else n // 8, kind),
        **dict.fromkeys(("q4_k_m", "q5_k_m"), Choice("Q6_K", more_bits(n), kind)),
        **dict.fromkeys(("q4_k_s", "iq4_nl", "iq4_xs"), Choice("Q5_K", n // 8, kind)),
    }
    return rules.get(mix, _same(kind))


def _attn_output(mix: str, kind: str, m: Model) -> str:
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
    if kind not in _FALLBACK:
        problem = f"rows of {d_in} elements are no whole blocks of {kind} ({BLOCKS[kind].elements} elements)"
        raise InputError(f"{problem}, and llama.cpp has no other type for them", field="dtype", value=kind.lower())
    other = _FALLBACK[kind]
    return "F16" if d_in % BLOCKS[other].elements else other
