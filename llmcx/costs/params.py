"""The parameter fold: how many numbers a model learns, and how many of them one token meets."""

from __future__ import annotations

from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.fold import Fold
from llmcx.ops.op import ACTIVATIONS, Op

fold = Fold("params", lambda op: op.times * op.copies, "layers × copies")


@fold.rule("linear", text="d_in·d_out·(1 - tied) + d_out·bias", source="Vaswani et al. 2017, arXiv:1706.03762, sec. 3")
def linear(tokens: int, d_in: int, d_out: int, bias: int, tied: int, grads: int = 2) -> int:
    """A matrix and, with ``bias`` 1, a vector; ``tied`` 1 if the matrix is another op's.

    >>> linear(tokens=7, d_in=3, d_out=4, bias=1, tied=0)
    16
    """
    return d_in * d_out * (1 - tied) + d_out * bias


@fold.rule("lookup", text="rows·width", source="Vaswani et al. 2017, arXiv:1706.03762, sec. 3.4")
def lookup(tokens: int, rows: int, width: int) -> int:
    """An embedding table.

    >>> lookup(tokens=7, rows=50257, width=768)
    38597376
    """
    return rows * width


@fold.rule("layernorm", text="weights", source="Ba et al. 2016, arXiv:1607.06450, eq. 4: a scale and a shift per feature")
@fold.rule("rmsnorm", text="weights", source="Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4: a scale per feature")
def norm(tokens: int, width: int, weights: int) -> int:
    """A scale per feature, and for a layer norm with bias a shift.

    >>> norm(tokens=7, width=768, weights=2 * 768)
    1536
    """
    return weights


@fold.rule(
    "matmul", text="weight", source="the learned right-hand side of the product, e.g. Linformer's E, arXiv:2006.04768, eq. 7"
)
def matmul(batch: int, m: int, k: int, n: int, weight: int, grads: int = 2) -> int:
    """A product of activations has no parameters unless one side is learned."""
    return weight


@fold.rule(
    "conv", text="channels·(kernel + bias)", source="Gu and Dao 2023, arXiv:2312.00752, sec. 3.4: a causal filter per channel"
)
def conv(batch: int, channels: int, length: int, kernel: int, bias: int, met: int) -> int:
    """A filter per channel, and a bias.

    >>> conv(batch=2, channels=8, length=22, kernel=4, bias=1, met=8)
    40
    """
    return channels * (kernel + bias)


@fold.rule("vector", text="size", source="a learned vector of the mixer or activation that owns it")
def vector(size: int) -> int:
    """Learned numbers outside any matrix."""
    return size


fold.costs_nothing(
    "scores", "values", "recompute", "solve", "scan", "softmax", "product", "residual", "rotary", "cache", *ACTIVATIONS
)
active_fold = fold.derived("active params", lambda op: op.times * op.used, "layers × used")


def is_embedding(op: Op) -> bool:
    """Lookup tables over tokens, positions and distances; an untied head is not one (as transformers' exclude_embeddings)."""
    return op.kind == "lookup"


def count(spec: ModelSpec) -> int:
    """The parameters of ``spec``, tied weights once."""
    return fold.total(lower(spec, Run()))


def active(spec: ModelSpec) -> int:
    """The parameters that one token meets."""
    return active_fold.total(lower(spec, Run()))


def embedding(spec: ModelSpec) -> int:
    """The parameters of the tables (see :func:`is_embedding`)."""
    return fold.total(op for op in lower(spec, Run()) if is_embedding(op))


def mtp(spec: ModelSpec) -> int:
    """The parameters of the layers for multi-token prediction, which are in a release beside the model: each a layer as the last
    one with attention, a projection of 2 d_model, and three norms. Copies of the token table and the head, which some releases
    store with them, are not counted.

    Source: DeepSeek-AI 2024, arXiv:2412.19437, sec. 2.2.
    """
    if not spec.mtp:
        return 0
    attends = [name for name, layers in spec.kinds.items() if getattr(layers.mixer, "type", None) in ("attention", "mla")]
    last = (attends or [*spec.kinds])[-1]
    layer = fold.total(op for op in lower(spec, Run()) if op.group == last) // spec.kinds[last].repeat
    return spec.mtp * (layer + 2 * spec.d_model**2 + 3 * spec.d_model)


def untied_head(spec: ModelSpec) -> int:
    """The matrix of a head that is not tied, which laws that leave embeddings out leave out too."""
    return 0 if spec.head is None or spec.head.tied else spec.d_model * spec.head.outputs(spec.embedding.vocab)


def counted_by_law(spec: ModelSpec, counts: str) -> int:
    """N as a scaling law counts it (:class:`llmcx.scaling.laws.Law`): of what one token meets all, or for "non-embedding" and
    "active" all but the tables and an untied head.
    """
    met = active(spec)
    return met if counts == "all" else met - embedding(spec) - untied_head(spec)


def chapter_estimate(n_layers: int, d_model: int, vocab: int) -> int:
    """12 L d² + V d: attention 4 d² and a 4x-wide plain feed-forward 8 d² per layer, a tied token table; no norms,
    biases or positions.

    The textbook's rule (Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1, gives N ≈ 12 L d²).

    >>> chapter_estimate(48, 4096, 32000)
    9794748416
    """
    return 12 * n_layers * d_model**2 + vocab * d_model
