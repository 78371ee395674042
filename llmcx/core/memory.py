"""The memory folds: what autograd keeps, what a cache holds, what an optimizer stores; and the budget they add up to.

Element counts are exact integers; bytes follow from the dtypes. What is an estimate (the workspace) says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isqrt

from . import dtypes
from . import params as params_fold
from .errors import InputError, unknown_name
from .flops import in_layers, sequence_length
from .lower import Run, lower
from .ops import ACTIVATIONS, KINDS, Fold, Line, Op
from .parts import Attention, ModelSpec, check_size

cache_fold = Fold("cached elements", weight_text="layers")


@cache_fold.rule(
    "cache", text="batch·tokens·width", source="Shazeer 2019, arXiv:1911.02150, sec. 2.4: keys and values of every past token"
)
def cache(batch: int, tokens: int, width: int) -> int:
    """Elements a layer leaves for the next step; ``width`` is 2 · n_kv_heads · head_dim for keys and values.

    >>> cache(batch=1, tokens=4096, width=2 * 8 * 128)
    8388608
    """
    return batch * tokens * width


STATES = (".recurrent", ".state")
"""How a "cache" op's component ends where what it holds does not grow with the tokens."""

cache_fold.costs_nothing(*(kind for kind in KINDS if kind != "cache"))


def kept_bytes(ops: Iterable[Op], act: int) -> int:
    """Bytes that autograd keeps for backward when activations take ``act`` bytes each.

    Each op names the tensors it saves once (torch.autograd.graph.saved_tensors_hooks sees the same storages).
    """
    width = {"act": act, "fp32": 4, "int64": 8, "upcast": 4 if act < 4 else 0}
    return sum(op.times * kept.elements * width[kept.stored] for op in ops for kept in op.keeps)


@dataclass(frozen=True)
class Optimizer:
    """Bytes per parameter of the states, and the source. ``block`` > 0 adds two fp32 scales per block of that many values."""

    name: str
    states: int
    block: int
    source: str

    def bytes(self, params: int) -> int:
        """States of ``params`` parameters.

        >>> OPTIMIZERS["adam"].bytes(10)
        80
        """
        scales = 8 * -(-params // self.block) if self.block else 0
        return self.states * params + scales


OPTIMIZERS = {
    "sgd": Optimizer("sgd", 0, 0, "no state"),
    "momentum": Optimizer("momentum", 4, 0, "one fp32 velocity per parameter (Polyak 1964)"),
    "adam": Optimizer("adam", 8, 0, "two fp32 moments per parameter (Kingma and Ba 2015, arXiv:1412.6980)"),
    "adam8bit": Optimizer(
        "adam8bit", 2, 2048, "two 1-byte moments, an fp32 scale each per block of 2048 (Dettmers et al. 2021, arXiv:2110.02861)"
    ),
}


@dataclass(frozen=True)
class Precision:
    """Bytes per weight, gradient and activation, and of the fp32 master copy that mixed precision adds."""

    name: str
    weight: int
    gradient: int
    activation: int
    master: int


PRECISIONS = {
    "fp32": Precision("fp32", 4, 4, 4, 0),
    "bf16": Precision("bf16", 2, 2, 2, 0),
    "mixed": Precision("mixed", 2, 2, 2, 4),  # Micikevicius et al. 2018, arXiv:1710.03740; ZeRO's 2 + 2 + 12 bytes
}


@dataclass(frozen=True)
class Part:
    """One entry of the budget, with the formula that gave it."""

    part: str
    bytes: int
    formula: str


SOURCES = {
    "weights": "each parameter once, tied ones once",
    "gradients": "one per parameter",
    "optimizer": "states per parameter of the optimizer named",
    "activations": "what torch.autograd saves, op by op; at leading order Korthikanti et al. 2022, arXiv:2205.05198, sec. 4",
    "logits": "torch.nn.functional.cross_entropy keeps the log-softmax in fp32",
    "kv_cache": "Shazeer 2019, arXiv:1911.02150, sec. 2.4",
    "state": "Choromanski et al. 2020, arXiv:2009.14794, sec. 2.5: a sum of outer products in place of a cache",
    "workspace": "llmcx's estimate of the largest transient tensors",
}


@dataclass(frozen=True)
class Checkpointing:
    """Keeping only every ``every``-th layer's input and recomputing the layers between (Chen et al. 2016, arXiv:1604.06174).

    ``bytes`` = ``checkpoints`` inputs + the activations of one segment while it is recomputed. ``best_every`` makes
    that smallest. Costs one extra forward of the layers: 4 units in place of 3.
    """

    every: int
    checkpoints: int
    checkpoint_bytes: int
    segment_bytes: int
    bytes: int
    best_every: int
    best_bytes: int
    train_factor: float


@dataclass(frozen=True)
class Chapter:
    """The textbook's leading order: L b n d activations and L b H n² scores, in activation bytes."""

    activation_bytes: int
    score_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU, part by part, and what is left of the budget."""

    total_bytes: int
    parts: list[Part]
    gpus: int
    all_gpus_bytes: int
    kv_bytes_per_token: int
    checkpointing: Checkpointing | None
    chapter: Chapter
    budget_bytes: int | None
    fits: bool | None
    headroom_bytes: int | None
    lines: list[Line]


def chapter_activations(spec: ModelSpec, batch: int, seq: int, act: int) -> Chapter:
    """L b n d + L b H n² elements of ``act`` bytes (encoder and decoder layers alike).

    GPT-3 at b 32, n 2048, fp32: 309 GB + 4.95 TB.
    """
    plain = spec.n_layers * batch * seq * spec.d_model * act
    scores = sum(g.repeat * g.mixer.n_heads for g in spec.groups if isinstance(g.mixer, Attention)) * batch * seq * seq * act
    return Chapter(plain, scores, plain + scores)


def checkpointing(n_layers: int, boundary: int, layer: int, every: int) -> Checkpointing:
    """Checkpoint every ``every`` layers: ceil(L / c) boundaries stored, c layers' activations alive while one segment is redone.

    The best c minimises ceil(L/c)·boundary + c·layer; all candidates with distinct ceil(L/c) are O(sqrt L) many.

    >>> checkpointing(96, boundary=1, layer=1, every=8).checkpoints
    12
    """
    check_size("checkpoint_every", every)
    if every > n_layers:
        raise InputError(
            f"checkpoint_every is {every}, but the model has {n_layers} layers",
            field="checkpoint_every",
            value=every,
            allowed=f"1 to {n_layers}",
        )

    def cost(c: int) -> int:
        return -(-n_layers // c) * boundary + c * layer

    root = isqrt(n_layers) + 1
    candidates = set(range(1, min(root, n_layers) + 1)) | {-(-n_layers // m) for m in range(1, root + 1)}
    best = min(sorted(candidates), key=cost)
    stored = -(-n_layers // every)
    return Checkpointing(every, stored, stored * boundary, every * layer, cost(every), best, cost(best), 4 / 3)


def kv_elements(spec: ModelSpec, batch: int, context: int, source: int | None = None) -> dict[str, int]:
    """Elements in the cache after ``context`` tokens: growing with tokens ("kv_cache") or of fixed size ("state")."""
    run = Run(batch, 1, past=context - 1, source=context if source is None else source, encode=False)
    return cache_fold.by(lower(spec, run), lambda op: "state" if op.component.endswith(STATES) else "kv_cache")


def memory(
    spec: ModelSpec,
    batch: int = 1,
    seq: int | None = None,
    *,
    train: bool = False,
    dtype: str = "bf16",
    kv_dtype: str = "bf16",
    precision: str = "mixed",
    optimizer: str = "adam",
    activations: str = "autograd",
    fused: bool = True,
    checkpoint_every: int | None = None,
    zero: int = 0,
    gpus: int = 1,
    budget: int | None = None,
) -> Memory:
    """Bytes that one of ``gpus`` data-parallel GPUs holds; ``batch`` is per GPU.

    Inference holds weights (``dtype``), cache (``kv_dtype``), the last position's logits and one layer's workspace.
    Training holds weights, gradients, optimizer states, the activations kept for backward ("autograd": op by op;
    "chapter": L b n d + L b H n²) and the logits with their log-softmax. ``fused`` attention kernels write no scores
    out. ``zero`` 1, 2, 3 divides optimizer states, then gradients, then weights by ``gpus`` (Rajbhandari et al. 2020,
    arXiv:1910.02054), rounding up.
    """
    seq = sequence_length(spec, seq)
    check_size("batch", batch)
    check_size("gpus", gpus)
    if zero not in (0, 1, 2, 3):
        raise InputError(f"zero is {zero}, but must be 0, 1, 2 or 3", field="zero", value=zero, allowed="0, 1, 2 or 3")
    if optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, list(OPTIMIZERS), field="optimizer")
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, list(PRECISIONS), field="precision")
    if activations not in ("autograd", "chapter"):
        raise unknown_name("activations", activations, ["autograd", "chapter"], field="activations")
    if checkpoint_every is not None and not train:
        raise InputError("checkpointing saves activations of training, so it needs --train", field="checkpoint_every")
    ops = lower(spec, Run(batch, seq, fused=fused))
    n = params_fold.fold.total(ops)
    vocab = spec.embedding.vocab if spec.head is not None else 0
    cached = kv_elements(spec, batch, seq)
    chapter_act = PRECISIONS[precision].activation if train else 2
    chapter = chapter_activations(spec, batch, seq, chapter_act)
    plan: Checkpointing | None = None
    parts: list[Part]
    if train:
        p, opt = PRECISIONS[precision], OPTIMIZERS[optimizer]
        by = [gpus if zero >= stage else 1 for stage in (1, 2, 3)]

        def shared(size: int, stage: int) -> int:
            return -(-size // by[stage - 1])

        def over(stage: int) -> str:
            return f" / {gpus} GPUs (ZeRO-{zero})" if by[stage - 1] > 1 else ""

        kept, kept_formula = _activations(ops, p.activation, activations, chapter)
        if checkpoint_every is not None:
            boundary = batch * seq * spec.d_model * p.activation
            plan = checkpointing(
                spec.n_layers, boundary, _largest_layer(ops, spec, p.activation, activations, chapter), checkpoint_every
            )
            kept = plan.bytes
            kept_formula = f"{plan.checkpoints} checkpoints × b·n·d·{p.activation} B + {checkpoint_every} layers recomputed"
        master = f" + {p.master} B master copy" if p.master else ""
        states = opt.bytes(n) + p.master * n
        parts = [
            Part("weights", shared(p.weight * n, 3), f"{n:,} parameters × {p.weight} B{over(3)}"),
            Part("gradients", shared(p.gradient * n, 2), f"{n:,} parameters × {p.gradient} B{over(2)}"),
            Part("optimizer", shared(states, 1), f"{opt.name}: {opt.source}{master}{over(1)}"),
            Part("activations", kept, kept_formula),
        ]
        if vocab:
            logits = batch * seq * vocab
            parts.append(Part("logits", logits * (p.activation + 4), f"b·n·V × ({p.activation} B logits + 4 B log-softmax)"))
    else:
        per_kv = dtypes.bits(kv_dtype) / 8
        parts = [Part("weights", dtypes.size(n, dtype), f"{n:,} parameters × {dtypes.bits(dtype) / 8:g} B ({dtype})")]
        for name, elements in cached.items():
            formula = f"{elements:,} elements × {per_kv:g} B ({kv_dtype})"
            parts.append(Part(name, dtypes.size(elements, kv_dtype), formula))
        if vocab:
            parts.append(Part("logits", batch * vocab * 4, "b·V × 4 B: fp32 logits of the last position"))
        work, formula = workspace(ops, 2)
        parts.append(Part("workspace", work, formula))
    total = sum(part.bytes for part in parts)
    step = lower(spec, Run(batch, 1, past=seq - 1, source=seq, encode=False))
    cached_lines = (
        [] if train else [line._replace(component=f"elements of {line.component}") for line in cache_fold.explain(step)]
    )
    return Memory(
        total_bytes=total,
        parts=parts,
        gpus=gpus,
        all_gpus_bytes=total * gpus,
        kv_bytes_per_token=kv_bytes_per_token(spec, kv_dtype),
        checkpointing=plan,
        chapter=chapter,
        budget_bytes=budget,
        fits=None if budget is None else total <= budget,
        headroom_bytes=None if budget is None else budget - total,
        lines=[Line(part.part, part.formula, "", part.bytes, SOURCES[part.part]) for part in parts] + cached_lines,
    )


def kv_bytes_per_token(spec: ModelSpec, kv_dtype: str) -> int:
    """What one more token of context adds to the cache, while it is shorter than any window."""
    two, one = kv_elements(spec, 1, 2, 0).get("kv_cache", 0), kv_elements(spec, 1, 1, 0).get("kv_cache", 0)
    return dtypes.size(two - one, kv_dtype)


def workspace(ops: list[Op], act: int) -> tuple[int, str]:
    """Estimate of the largest transient of one layer in a forward pass: the probabilities where they are written out
    (scores and their softmax both alive), else the widest feed-forward tensors (gate, up and product alive together).
    """
    best, formula = 0, "no layer"
    for op in ops:
        probabilities = sum(kept.elements for kept in op.keeps if kept.what == "probabilities")
        if op.kind == "softmax" and probabilities:
            size, text = 2 * probabilities * act, "estimate: scores and probabilities of one layer"
        elif op.kind == "product" or op.kind in ACTIVATIONS:
            alive = 3 if op.kind == "product" else 2
            size, text = alive * op.dims["elements"] * act, "estimate: feed-forward tensors of one layer"
        else:
            continue
        if size > best:
            best, formula = size, text
    return best, formula


def _activations(ops: list[Op], act: int, how: str, chapter: Chapter) -> tuple[int, str]:
    if how == "chapter":
        return chapter.total_bytes, f"(L·b·n·d + L·b·H·n²) × {act} B"
    return kept_bytes(ops, act), f"what autograd keeps, op by op, at {act} B per activation"


def _largest_layer(ops: list[Op], spec: ModelSpec, act: int, how: str, chapter: Chapter) -> int:
    """Activations of the layer that keeps most: a recomputed segment is as large as its largest layers."""
    if how == "chapter":
        return -(-chapter.total_bytes // spec.n_layers)
    sizes: dict[str, int] = {}
    for op in ops:
        if in_layers(op):
            sizes[op.group] = sizes.get(op.group, 0) + kept_bytes([op._replace(times=1)], act)
    return max(sizes.values())
