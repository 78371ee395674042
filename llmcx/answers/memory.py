"""The budget: what inference or training holds on a GPU, part by part; and what a cache holds.

Element counts are exact integers; bytes follow from the dtypes. What is an estimate (the workspace) says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isqrt

from llmcx.answers.training import Part, Rank, ranks
from llmcx.costs import params as params_fold
from llmcx.costs.kv_cache import cache_fold
from llmcx.engines.runtimes import RUNTIMES, Serving, cached, kv_elements
from llmcx.errors import InputError, unknown_name
from llmcx.formats import dtypes, quant
from llmcx.model.lower import Run, lower
from llmcx.model.place import step_at
from llmcx.model.spec import Attention, ModelSpec, check_size, sequence_length
from llmcx.ops.fold import Line
from llmcx.ops.op import ACTIVATIONS, Op
from llmcx.parallel.method import PRECISIONS, Method, Ways, check, check_every
from llmcx.parallel.sharding import share
from llmcx.parallel.shares import Shares

SOURCES = {
    "weights": "each parameter once, tied ones once",
    "gradients": "one per parameter",
    "optimizer": "states per parameter of the optimizer named",
    "activations": "what torch.autograd saves, op by op; at leading order Korthikanti et al. 2022, arXiv:2205.05198, sec. 4",
    "logits": "torch.nn.functional.cross_entropy keeps the log-softmax in fp32",
    "kv_cache": "Shazeer 2019, arXiv:1911.02150, sec. 2.4",
    "state": "Choromanski et al. 2020, arXiv:2009.14794, sec. 2.5: a sum of outer products in place of a cache",
    "workspace": "llmcx's estimate of the largest transient tensors, collectives' buffers and margin",
}


FORMULAS = {
    "weights": "parameters · bytes",
    "gradients": "parameters · bytes",
    "optimizer": "parameters · bytes of state",
    "activations": "Σ kept elements · bytes",
    "logits": "b·n·V · bytes",
    "kv_cache": "elements · bytes",
    "state": "elements · bytes",
    "workspace": "largest transient + buffers + margin",
}
"""What a part is, before it is known how: its ``formula`` says that, with the numbers."""


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
class Fit:
    """What fits, and the next step, which does not (None: nothing further to try)."""

    what: str
    value: int | str
    next: int | str | None
    next_bytes: int | None


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
    behind: _Lines = field(repr=False, compare=False)
    ranks: list[Rank] = field(default_factory=list)
    heaviest: str | None = None
    fit: Fit | None = None
    stored: quant.Weights | None = None

    @property
    def lines(self) -> list[Line]:
        """The formulas behind the figures."""
        return self.behind.lines()


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
    check_every(every, n_layers)

    def cost(c: int) -> int:
        return -(-n_layers // c) * boundary + c * layer

    root = isqrt(n_layers) + 1
    candidates = set(range(1, min(root, n_layers) + 1)) | {-(-n_layers // m) for m in range(1, root + 1)}
    best = min(sorted(candidates), key=cost)
    stored = -(-n_layers // every)
    return Checkpointing(every, stored, stored * boundary, every * layer, cost(every), best, cost(best), 4 / 3)


def memory(
    spec: ModelSpec,
    batch: int = 1,
    seq: int | None = None,
    *,
    train: bool = False,
    dtype: str = "bf16",
    kv_dtype: str = "bf16",
    activations: str = "autograd",
    method: Method | None = None,
    ways: Ways | None = None,
    budget: int | None = None,
    serving: Serving | None = None,
) -> Memory:
    """Bytes that the fullest GPU holds; ``batch`` sequences (in training: of a micro-batch) of ``seq`` tokens.

    Inference holds weights (``dtype``), cache (``kv_dtype``, laid out as ``serving`` says), the last position's logits and one
    layer's workspace. Training is :func:`llmcx.answers.training.ranks`, with its activations op by op ("autograd") or at the
    textbook's leading order ("chapter": L b n d + L b H n²).
    """
    seq = sequence_length(spec, seq)
    check_size("batch", batch)
    method, ways, serving = method or Method(), ways or Ways(), serving or Serving()
    serving.check()
    if activations not in ("autograd", "chapter"):
        raise unknown_name("activations", activations, ["autograd", "chapter"], field="activations")
    if method.checkpoint_every is not None and not train:
        raise InputError("checkpointing saves activations of training, so it needs --train", field="checkpoint_every")
    stages: list[Rank] = []
    stored: quant.Weights | None = None
    plan: Checkpointing | None = None
    if train:
        stages = ranks(spec, batch, seq, ways, method)
        chapter = chapter_activations(spec, batch, seq, PRECISIONS[method.precision].activation)
        if activations == "chapter":
            stages = [_chapter_rank(stages[0], chapter, spec, batch, seq, ways, method)]
        parts = max(stages, key=lambda rank: rank.total_bytes).parts
        if method.checkpoint_every is not None:
            plan = _plan(spec, batch, seq, method, activations, chapter)
    else:
        check(spec, ways, method)
        chapter = chapter_activations(spec, batch, seq, 2)
        stored = None if dtype in dtypes.BITS else quant.weights(spec, dtype)
        parts = inference(spec, batch, seq, dtype, kv_dtype, ways, serving, stored)
    total = sum(part.bytes for part in parts)
    everywhere = (sum(rank.total_bytes for rank in stages) or total) * (ways.gpus // ways.pp)
    totals = (total, everywhere, budget, chapter, plan)
    return Memory(
        behind=_Lines(spec, batch, seq, train, kv_dtype, parts, stored, totals),
        total_bytes=total,
        parts=parts,
        gpus=ways.gpus,
        all_gpus_bytes=everywhere,
        kv_bytes_per_token=kv_bytes_per_token(spec, kv_dtype),
        checkpointing=plan,
        chapter=chapter,
        budget_bytes=budget,
        fits=None if budget is None else total <= budget,
        headroom_bytes=None if budget is None else budget - total,
        ranks=stages,
        heaviest=_why(stages) if len(stages) > 1 else None,
        fit=None,
        stored=stored,
    )


class _Lines:
    """The formulas of :class:`Memory`."""

    def __init__(
        self,
        spec: ModelSpec,
        batch: int,
        seq: int,
        train: bool,
        kv_dtype: str,
        parts: list[Part],
        stored: quant.Weights | None,
        totals: tuple[int, int, int | None, Chapter, Checkpointing | None],
    ) -> None:
        self.spec, self.batch, self.seq, self.train, self.kv_dtype = spec, batch, seq, train, kv_dtype
        self.parts, self.stored, self.totals = parts, stored, totals

    def sums(self) -> list[Line]:
        """The figures that follow from the parts."""
        total, everywhere, budget, chapter, plan = self.totals
        each = " + ".join(f"{part.bytes:,}" for part in self.parts)
        per, spec = kv_bytes_per_token(self.spec, self.kv_dtype), self.spec
        bnd = f"{spec.n_layers:,}·{self.batch:,}·{self.seq:,}·{spec.d_model:,} elements"
        what = "elements that one more token adds · bytes"
        lines = [
            Line("total_bytes", "Σ parts", each, total, "the fullest GPU"),
            Line(
                "all_gpus_bytes",
                "Σ over stages · GPUs of a stage",
                f"{total:,} on the fullest",
                everywhere,
                "every GPU of the run",
            ),
            Line("kv_bytes_per_token", what, f"in {self.kv_dtype}", per, SOURCES["kv_cache"]),
            Line("chapter.activation_bytes", "L b n d · bytes", bnd, chapter.activation_bytes, "the textbook chapter, sec. 2"),
            Line(
                "chapter.score_bytes",
                "L b H n² · bytes",
                f"Σ heads of all layers · {self.batch:,}·{self.seq:,}²",
                chapter.score_bytes,
                "the textbook chapter, sec. 2",
            ),
            Line(
                "chapter.total_bytes",
                "activations + scores",
                f"{chapter.activation_bytes:,} + {chapter.score_bytes:,}",
                chapter.total_bytes,
                "the textbook chapter, sec. 2",
            ),
        ]
        if self.stored is not None:
            held = self.stored
            elements = sum(each["elements"] for each in held.by_dtype.values())
            put = f"8·{held.bytes:,} / {elements:,}"
            lines.append(Line("stored.bits_per_weight", "8 · bytes / elements", put, held.bits_per_weight, held.source))
        if budget is not None:
            numbers = f"{budget:,} - {total:,}"
            lines.append(Line("headroom_bytes", "budget - total", numbers, budget - total, "fits where it is 0 or more"))
        return lines + ([] if plan is None else _plan_lines(plan, spec.n_layers))

    def lines(self) -> list[Line]:
        sources = SOURCES if self.stored is None else SOURCES | {"weights": self.stored.source}
        lines = [
            Line(part.part, FORMULAS[part.part], part.formula, part.bytes, sources[part.part]) for part in self.parts
        ] + self.sums()
        if self.train:
            return lines
        step = lower(self.spec, step_at(self.seq, self.batch))
        return lines + [line._replace(component=f"elements of {line.component}") for line in cache_fold.explain(step)]


def inference(
    spec: ModelSpec, batch: int, seq: int, dtype: str, kv_dtype: str, ways: Ways, serving: Serving, stored: quant.Weights | None
) -> list[Part]:
    """Weights, cache, the logits of the last position, a layer's workspace; on each of ``ways.tp`` GPUs that share them."""
    if (ways.pp, ways.cp) != (1, 1) or ways.zero:
        raise InputError("pp, cp and zero are for training; inference is divided by tp and ep", field="pp")
    ops = [share(op, spec, ways.tp, ways.ep, False) for op in lower(spec, Run(batch, seq, fused=True))]
    n = params_fold.fold.total(ops)
    work, formula = workspace(ops, 2)
    per_kv = dtypes.per_element(kv_dtype)
    if stored is None:
        parts = [Part("weights", dtypes.size(n, dtype), f"{n:,} parameters × {dtypes.bits(dtype) / 8:g} B ({dtype})")]
    elif ways.tp > 1:
        raise InputError(f"how {dtype} is divided among GPUs is not known; give no --tp", field="tp", value=ways.tp)
    else:
        parts = [Part("weights", stored.bytes, stored.formula)]
    rule = "" if serving.runtime == "ideal" else "; " + RUNTIMES[serving.runtime].format(**serving._asdict())
    for name, elements in cached(spec, batch, seq, None, serving, ways.tp).items():
        parts.append(Part(name, dtypes.size(elements, kv_dtype), f"{elements:,} elements × {per_kv:g} B ({kv_dtype}){rule}"))
    if spec.head is not None:
        parts.append(Part("logits", batch * spec.embedding.vocab * 4, "b·V × 4 B: fp32 logits of the last position"))
    return [*parts, Part("workspace", work, formula)]


def _chapter_rank(rank: Rank, chapter: Chapter, spec: ModelSpec, batch: int, seq: int, ways: Ways, method: Method) -> Rank:
    """The textbook's activations in place of the ops' own, on one GPU of a model that is not divided."""
    if (ways.tp, ways.pp, ways.cp, ways.ep) != (1, 1, 1, 1):
        raise InputError("the chapter's activations are of a whole model: give no tp, pp, cp or ep", field="activations")
    act = PRECISIONS[method.precision].activation
    size, formula = chapter.total_bytes, f"(L·b·n·d + L·b·H·n²) × {act} B"
    if method.checkpoint_every is not None:
        plan = _plan(spec, batch, seq, method, "chapter", chapter)
        size, formula = plan.bytes, f"{plan.checkpoints} checkpoints × b·n·d·{act} B + {plan.every} layers recomputed"
    parts = [Part("activations", size, formula) if part.part == "activations" else part for part in rank.parts]
    return Rank(rank.stage, rank.layers, rank.in_flight, sum(part.bytes for part in parts), parts)


def _plan(spec: ModelSpec, batch: int, seq: int, method: Method, how: str, chapter: Chapter) -> Checkpointing:
    """Checkpointing of the whole model on one GPU: what c is best."""
    act = PRECISIONS[method.precision].activation
    if how == "chapter":
        layer = -(-chapter.total_bytes // spec.n_layers)
    else:
        kept = Shares(spec, seq, replace(method, lora=None)).activations(batch, 1, 1, True)
        layer = max(one[0] for one in kept.groups)
    return checkpointing(spec.n_layers, batch * seq * spec.d_model * act, layer, method.checkpoint_every or 1)


def _plan_lines(plan: Checkpointing, n_layers: int) -> list[Line]:
    """The formulas of :class:`Checkpointing`."""
    layer = plan.segment_bytes // plan.every
    boundary = plan.checkpoint_bytes // plan.checkpoints
    source = "Chen et al. 2016, arXiv:1604.06174"

    def cost(c: int) -> str:
        return f"ceil({n_layers:,}/{c})·{boundary:,} + {c}·{layer:,}"

    return [
        Line("checkpointing.checkpoints", "ceil(L/c)", f"ceil({n_layers:,}/{plan.every})", plan.checkpoints, source),
        Line("checkpointing.bytes", "ceil(L/c)·boundary + c·layer", cost(plan.every), plan.bytes, source),
        Line("checkpointing.best_bytes", "the same at the best c", cost(plan.best_every), plan.best_bytes, source),
        Line(
            "checkpointing.train_factor",
            "(1 + 1 + 2) / (1 + 2)",
            "forward twice, backward 2 units",
            plan.train_factor,
            source,
        ),
    ]


def _why(stages: list[Rank]) -> str:
    """Why the fullest GPU is that."""
    fullest = max(stages, key=lambda rank: rank.total_bytes)
    least = min(stages, key=lambda rank: rank.total_bytes)
    held = {part.part: part.bytes for part in least.parts}
    part = max(fullest.parts, key=lambda part: part.bytes - held.get(part.part, 0))
    more = part.bytes - held.get(part.part, 0)
    reason = {
        "activations": f"it has {fullest.in_flight} chunks in flight, stage {least.stage} {least.in_flight}",
        "logits": "it has the head, and so the logits",
        "workspace": "the loss is there, or more to gather",
    }.get(part.part, "it has a token table or more layers")
    return f"stage {fullest.stage} holds {more:,} B more {part.part} than stage {least.stage}: {reason}"


def kv_bytes_per_token(spec: ModelSpec, kv_dtype: str) -> int:
    """What one more token of context adds to the cache, while it is shorter than any window."""
    return dtypes.size(kv_elements_per_token(spec), kv_dtype)


def kv_elements_per_token(spec: ModelSpec) -> int:
    """The same in elements."""
    return kv_elements(spec, 1, 2, 0).get("kv_cache", 0) - kv_elements(spec, 1, 1, 0).get("kv_cache", 0)


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


def verified(spec: ModelSpec) -> bool:
    """Whether real runs keep what we count, to the byte or nearly: softmax attention and no extras (docs/kept.md)."""
    plain = all(isinstance(g.mixer, Attention) and g.beside is None for g in spec.groups)
    return plain and not spec.extras and not any(g.cross for g in spec.groups)
