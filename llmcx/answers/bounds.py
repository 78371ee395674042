"""What theory says and does not say: generalisation, the price of all pairs, reach per layer, universal approximation.

Only the pairs and the hops are exact numbers. The generalisation bound is the leading term of an O(), so its size means
something only when it is below 1; universal approximation is a statement without a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log2, log10, sqrt

from llmcx.answers import Result
from llmcx.answers.attention_compare import default_variants
from llmcx.answers.search import first_below_zero
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.model.cores import Core, Linformer
from llmcx.model.pairs import causal, dense, hops
from llmcx.model.variants import label

LOGARITHMS = {"e": ("ln", log), "2": ("log2", log2), "10": ("log10", log10)}
"""The bases a bound may be stated in."""

_BOOK = "Shalev-Shwartz and Ben-David 2014"
_UNIFORM = f"uniform convergence over a class of VC dimension about P: {_BOOK}, Understanding Machine Learning, ch. 6"


@dataclass(frozen=True)
class Generalization:
    """test error <= train error + O(``bound``). ``vacuous`` when ``bound`` >= 1, which every classifier satisfies.

    ``enough`` is the smallest number of examples at which the same P is no longer vacuous.
    """

    params: int
    examples: int
    base: str
    log: float
    bound: float
    vacuous: bool
    enough: int
    statement: str
    formula: str
    numbers: str
    source: str


def generalization(params: int, examples: int, base: str = "e") -> Generalization:
    """sqrt(P log n / n): the gap between test and train error, up to a constant.

    P = ``params``, n = ``examples`` (independent samples; tokens of one text are not), log to ``base`` "e", "2" or "10". The gap
    is a difference of error rates, a number without unit. The base only moves the hidden constant, but the printed figure
    needs it named: at P = n = 1e11 it is sqrt(ln 1e11) = sqrt(25.33) = 5.03 or sqrt(log2 1e11) = sqrt(36.54) = 6.04, vacuous both
    ways. Limits: P from 1, n from 2, both to 10^15. Raises InputError (params, examples, base).

    Source: uniform convergence with VC dimension about P (Shalev-Shwartz and Ben-David 2014, ch. 6).

    >>> round(generalization(10**11, 10**11).bound, 2), round(generalization(10**11, 10**11, base="2").bound, 2)
    (5.03, 6.04)
    """
    check_size("params", params)
    check_size("examples", examples, least=2)
    if base not in LOGARITHMS:
        raise unknown_name("logarithm base", str(base), list(LOGARITHMS), field="base")
    name, logarithm = LOGARITHMS[base]

    def gap(n: int) -> float:
        return sqrt(params * logarithm(n) / n)

    # log n / n falls from n = 3 on, and no whole P is below 1 at n = 2 but not at 3; P up to 10^15 gets there before 2^80.
    enough = first_below_zero(lambda n: gap(n) - 1 if n >= 2 else 1.0, limit=2**80)
    assert enough is not None
    bound = gap(examples)
    if bound >= 1:
        meaning = "at least 1, so it says nothing: an error rate is never above 1 (vacuous)"
    else:
        meaning = "below 1, so it says something, up to the constant that O() hides"
    return Generalization(
        params=params,
        examples=examples,
        base=base,
        log=logarithm(examples),
        bound=bound,
        vacuous=bound >= 1,
        enough=enough,
        statement=f"test error <= train error + O({bound:.3g}); {bound:.3g} is {meaning}",
        formula=f"sqrt(P·{name}(n) / n)",
        numbers=f"sqrt({params:,}·{name}({examples:,}) / {examples:,})",
        source=_UNIFORM,
    )


@dataclass(frozen=True)
class Certificate:
    """test error <= train error + ``gap`` with probability 1 - ``delta`` over the examples; ``silent`` on the rest."""

    kind: str
    gap: float
    vacuous: bool
    complexity: float
    examples: int
    delta: float
    silent: str
    formula: str
    numbers: str
    source: str


def pac_bayes(kl: float, examples: int, delta: float = 0.05) -> Certificate:
    """sqrt((KL(Q‖P) + ln(2 sqrt(n) / delta)) / (2 n)): a randomised predictor Q against a prior P chosen before the data.

    ``kl`` in nats, n = ``examples`` independent, errors between 0 and 1. Limits: kl from 0, n from 8, 0 < delta < 1. Raises
    InputError (kl, examples, delta). Source: McAllester 1999, PAC-Bayesian model averaging, COLT, with the constant of Maurer
    2004, A note on the PAC-Bayesian theorem, arXiv:cs/0411099, Theorem 5.

    KL 5000 nats, 50,000 examples, delta 0.05: sqrt((5000 + ln(2 · 223.6 / 0.05)) / 100,000) = sqrt(5009.1 / 100,000).

    >>> round(pac_bayes(5000, 50_000).gap, 4)
    0.2238
    """
    check_size("examples", examples, least=8)
    _share(delta)
    if not 0 <= kl < 1e18:
        raise InputError(f"kl is {kl:g}, but must be 0 or more nats", field="kl", value=str(kl), allowed="0 or more")
    gap = sqrt((kl + log(2 * sqrt(examples) / delta)) / (2 * examples))
    return Certificate(
        kind="PAC-Bayes",
        gap=gap,
        vacuous=gap >= 1,
        complexity=kl,
        examples=examples,
        delta=delta,
        silent="it holds for the randomised predictor on average, not for one set of weights, and is as good as the prior;"
        " a sharp optimum makes KL large",
        formula="sqrt((KL + ln(2·sqrt(n)/delta)) / (2·n))",
        numbers=f"sqrt(({kl:.4g} + ln(2·sqrt({examples:,})/{delta:g})) / (2·{examples:,}))",
        source="McAllester 1999; Maurer 2004, arXiv:cs/0411099, Theorem 5",
    )


def compression(bits: int, examples: int, delta: float = 0.05) -> Certificate:
    """sqrt((b + ln(2 / delta)) / (2 n)): a predictor that a prefix-free code chosen before the data describes in b bits.

    b = ``bits`` (quantised, compressed weights and what decodes them), n = ``examples`` independent. Limits: b from 1, n from 1,
    0 < delta < 1. Raises InputError (bits, examples, delta). Source: Shalev-Shwartz and Ben-David 2014, Understanding Machine
    Learning, Theorem 7.7. (ln 2 · b would do in place of b.) Lotfi et al. 2023, arXiv:2312.17173, use one like it to certify
    language models that are compressed to a few percent.

    1 MB of code, 1e9 examples, delta 0.05: sqrt((8e6 + ln 40) / 2e9) = sqrt(0.004).

    >>> round(compression(8_000_000, 10**9).gap, 4)
    0.0632
    """
    check_size("bits", bits)
    check_size("examples", examples)
    _share(delta)
    gap = sqrt((bits + log(2 / delta)) / (2 * examples))
    return Certificate(
        kind="compression",
        gap=gap,
        vacuous=gap >= 1,
        complexity=float(bits),
        examples=examples,
        delta=delta,
        silent="it is about the compressed predictor, whose training error has to be measured; tokens of one text are not"
        " independent examples",
        formula="sqrt((b + ln(2/delta)) / (2·n))",
        numbers=f"sqrt(({bits:,} + ln(2/{delta:g})) / (2·{examples:,}))",
        source=f"{_BOOK}, Theorem 7.7",
    )


def _share(delta: float) -> None:
    if not 0 < delta < 1:
        raise InputError(f"delta is {delta:g}, but must lie between 0 and 1", field="delta", value=str(delta), allowed="0 to 1")


@dataclass(frozen=True)
class AllPairs:
    """How many interactions ``seq`` tokens have, and why no exact method avoids them."""

    seq: int
    pairs: int
    causal_pairs: int
    statement: str
    source: str


def all_pairs(seq: int) -> AllPairs:
    """n² ordered (query, key) pairs, n (n + 1) / 2 under a causal mask: the Omega(n²) of all-pairs interaction.

    n = ``seq`` tokens; exact integers (:mod:`llmcx.model.pairs`). Limits: 1 to 10^15. Raises InputError (seq).

    Source: Duman Keles, Wijewardena and Hegde 2023, On the Computational Complexity of Self-Attention, ALT: quadratic time is
    necessary unless the Strong Exponential Time Hypothesis fails, even approximately.

    >>> all_pairs(4096).pairs, all_pairs(4096).causal_pairs
    (16777216, 8390656)
    """
    check_size("seq", seq)
    return AllPairs(
        seq=seq,
        pairs=dense(seq, seq),
        causal_pairs=causal(seq, seq),
        statement="if every token may depend on every other, n² interactions have to be looked at in the worst case: Omega(n²)."
        " Softmax attention cannot be computed, or approximated to small error, in less than quadratic time unless the Strong"
        " Exponential Time Hypothesis is false; faster variants give up some pairs or the guarantee",
        source="Duman Keles, Wijewardena and Hegde 2023, On the Computational Complexity of Self-Attention, ALT, PMLR 201",
    )


@dataclass(frozen=True)
class Hops:
    """Layers until every token can have reached every token; None where that never happens.

    ``causal`` asks only for what a causal mask allows; it is None too for Linformer, which has no causal form.
    """

    pattern: str
    seq: int
    hops: int | None
    causal: int | None
    why: str


_WHY = {
    **dict.fromkeys(("standard", "flash", "causal_flash", "ring"), "every query meets every key"),
    "chunked": "no token ever sees another chunk, however many layers there are",
    "sliding": "the reach grows by the window less one a layer, causally; by half a window without a mask",
    "local": "the reach grows by the window a layer, causally: ceil((n-1)/w); by half a window without a mask",
    "strided": "one hop along the stride, one within the block",
    "fixed": "into the summary of the block, and from it to everybody",
    "bigbird": "into a global block and out of it; causally the window of blocks has to, at worst",
    **dict.fromkeys(("reformer", "topk"), "which tokens meet depends on the data"),
    **dict.fromkeys(("linear", "performer"), "every query meets all keys through the features"),
    "longformer": "into a global token and out of it; causally these cannot relay, so the window has to: ceil((n-1-g)/w)",
    "linformer": "every query meets a mixture of all keys",
}


def hops_table(seqs: Sequence[int], cores: Sequence[Core] | None = None) -> list[Hops]:
    """Each pattern at each length: layers until all tokens are connected (:func:`llmcx.model.pairs.hops`).

    Standard 1, local ceil((n-1)/w), strided 2, Longformer 2. ``seqs`` in tokens, 1 to 10^15; ``cores`` default to the chapter's
    seven (:func:`llmcx.answers.attention_compare.default_variants`). Raises InputError (seq). Sources: Child et al. 2019,
    arXiv:1904.10509, sec. 4.2; Beltagy et al. 2020, arXiv:2004.05150, sec. 3.1.

    4096 tokens, window 256: ceil(4095 / 256) = 16 causal layers.

    >>> [(row.pattern, row.causal) for row in hops_table([4096]) if row.pattern.startswith(("local", "strided"))]
    [('local:w=256', 16), ('strided:k=128', 2)]
    """
    if not seqs:
        raise InputError("a table of hops needs at least one sequence length", field="seq")
    for seq in seqs:
        check_size("seq", seq)

    def row(core: Core, seq: int) -> Hops:
        masked = None if isinstance(core, Linformer) else hops(core, seq, masked=True)
        return Hops(label(core), seq, hops(core, seq), masked, _WHY[core.type])

    return [row(core, seq) for core in (default_variants() if cores is None else cores) for seq in seqs]


@dataclass(frozen=True)
class Statement:
    """A theorem without a number: what holds, when, and what it leaves open."""

    name: str
    statement: str
    condition: str
    limits: str
    source: str


def universal_approximation() -> Statement:
    """For every continuous sequence-to-sequence function on a compact domain and every error there is a transformer within it.

    A statement, not a cost: no formula, no units, nothing raised. Source: Yun et al. 2020, arXiv:1912.10077.

    >>> universal_approximation().name
    'universal approximation'
    """
    return Statement(
        name="universal approximation",
        statement="transformers approximate any continuous sequence-to-sequence function arbitrarily well",
        condition="a compact domain and a fixed sequence length; with positional encodings, since without them only"
        " permutation-equivariant functions are reached",
        limits="it says that such a model exists: not how large it is, nor that training finds it, nor how much data that takes",
        source="Yun et al. 2020, Are Transformers universal approximators of sequence-to-sequence functions?, arXiv:1912.10077",
    )


@dataclass(frozen=True, repr=False)
class Bounds(Result, brief="generalization.bound generalization.vacuous certificates", table="certificates"):
    """Everything that theory bounds here: the gap, its certificates, the pairs, the reach, and what is only a statement."""

    generalization: Generalization
    certificates: list[Certificate]
    all_pairs: list[AllPairs]
    hops: list[Hops]
    approximation: Statement
