"""The FLOP folds: matmul FLOPs as PyTorch's FlopCounterMode counts them, and elementwise work apart.

One multiply-add is 2 FLOPs. Backward is twice forward: each matmul's two inputs get a gradient, each by a matmul of the
same size. Shapes in, integer out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from . import params as params_fold
from .cores import (
    DENSE,
    BigBird,
    Chunked,
    Fixed,
    Linear,
    Linformer,
    Local,
    Longformer,
    Performer,
    Reformer,
    Sliding,
    Strided,
    TopK,
)
from .errors import InputError
from .later import Later, once
from .lower import Run
from .ops import ACTIVATIONS, Fold, Line, Op, Rule
from .parts import Attention, Mixer, ModelSpec, check_size
from .record import dataclass
from .search import lasting_below_zero
from .work import Work

fold = Fold("matmul FLOPs", weight_text="layers")
elementwise = Fold("elementwise operations", weight_text="layers")

_MATMUL = "one multiply-add per term, 2 FLOPs each; torch/utils/flop_counter.py, mm_flop"


@fold.rule("linear", text="2·tokens·d_in·d_out", source=_MATMUL)
def linear(tokens: int, d_in: int, d_out: int, bias: int, tied: int) -> int:
    """(tokens, d_in) times (d_in, d_out). The bias is an addition, not a matmul.

    >>> linear(tokens=2, d_in=3, d_out=4, bias=1, tied=0)
    48
    """
    return 2 * tokens * d_in * d_out


@fold.rule("scores", "values", text="2·batch·heads·pairs·width", source="Vaswani et al. 2017, arXiv:1706.03762, eq. 1; bmm_flop")
def meet(batch: int, heads: int, pairs: int, width: int, **shape: int) -> int:
    """Q Kᵀ (width d_qk) or A V (width d_v), over the (query, key) pairs multiplied; ``shape`` matters to the traffic alone.

    >>> meet(batch=1, heads=2, pairs=16, width=8)
    512
    """
    return 2 * batch * heads * pairs * width


@fold.rule("matmul", text="2·batch·m·k·n", source="torch/utils/flop_counter.py, bmm_flop")
def matmul(batch: int, m: int, k: int, n: int, weight: int, grads: int = 2) -> int:
    """``batch`` products of (m, k) with (k, n).

    >>> matmul(batch=1, m=2, k=3, n=4, weight=0)
    48
    """
    return 2 * batch * m * k * n


@fold.rule("conv", text="2·batch·channels·length·kernel", source="torch/utils/flop_counter.py, conv_flop")
def conv(batch: int, channels: int, length: int, kernel: int, bias: int, met: int) -> int:
    """A filter per channel over ``length`` positions.

    >>> conv(batch=1, channels=2, length=10, kernel=4, bias=1, met=2)
    160
    """
    return 2 * batch * channels * length * kernel


# FlopCounterMode has no formula for a triangular solve; it counts the matmul of its backward.
fold.costs_nothing(
    "solve",
    "recompute",
    "scan",
    "lookup",
    "vector",
    "softmax",
    "layernorm",
    "rmsnorm",
    "product",
    "residual",
    "rotary",
    "cache",
    *ACTIVATIONS,
)

backward_fold = Fold("backward matmul FLOPs", lambda op: op.times * op.grad, weight_text="layers")
"""Each matmul's two inputs get a gradient by a matmul of the same size: twice the forward, unless a kind says otherwise."""


def _twice(rule: Rule) -> Rule:
    def twice(**dims: int) -> int:
        """Each of the matmul's two inputs gets a gradient, by a matmul of the same size."""
        return 2 * rule.compute(**dims)

    return Rule(twice, f"2·({rule.text})", rule.source)


backward_fold.rules = {kind: _twice(rule) for kind, rule in fold.rules.items()}
backward_fold.free = fold.free - {"solve", "recompute"}
backward_fold.rule(
    "recompute",
    text="2·batch·heads·pairs·width",
    source="Dao et al. 2022, arXiv:2205.14135, algorithm 4, line 11: Q Kᵀ once more",
)(meet)


@backward_fold.rule("matmul", text="grads·2·batch·m·k·n", source="torch/utils/flop_counter.py, bmm_flop")
def matmul_backward(batch: int, m: int, k: int, n: int, weight: int, grads: int = 2) -> int:
    """One matmul for each input that needs a gradient: a state that starts at zero needs none."""
    return grads * matmul(batch, m, k, n, weight)


@backward_fold.rule(
    "conv", text="2·batch·channels·length·kernel·(1 + met)", source="torch/utils/flop_counter.py, conv_backward_flop"
)
def conv_backward(batch: int, channels: int, length: int, kernel: int, bias: int, met: int) -> int:
    """The input's gradient costs a forward, and so does the filters', which FlopCounterMode counts ``met`` = channels times.

    >>> conv_backward(batch=1, channels=2, length=10, kernel=4, bias=1, met=2)
    480
    """
    return 2 * batch * channels * length * kernel * (1 + met)


@backward_fold.rule("solve", text="2·batch·m·m·n", source="torch/utils/flop_counter.py, bmm_flop: the gradient of the matrix")
def solve_backward(batch: int, m: int, n: int) -> int:
    """The right-hand sides' gradient is another solve; the matrix's is one matmul.

    >>> solve_backward(batch=1, m=4, n=3)
    96
    """
    return 2 * batch * m * m * n


_CONVENTION = "operations per element by llmcx's convention: each addition, multiplication, root and exponential is one"
for _kind, _operations in {**ACTIVATIONS, "product": 1, "residual": 1, "rotary": 3}.items():

    def _per_element(operations: int) -> Callable[..., int]:
        def per_element(elements: int) -> int:
            """So many operations on each element, one by one."""
            return operations * elements

        return per_element

    elementwise.rule(_kind, text=f"{_operations}·elements", source=_CONVENTION)(_per_element(_operations))


@elementwise.rule("softmax", text="3·elements", source="Hoffmann et al. 2022, arXiv:2203.15556, appendix F: exp, sum, division")
def softmax(elements: int, fused: int = 0) -> int:
    """Over scores or router logits.

    >>> softmax(elements=10)
    30
    """
    return 3 * elements


@elementwise.rule("layernorm", text="7·tokens·width", source=_CONVENTION)
def layernorm(tokens: int, width: int, weights: int) -> int:
    """Mean, difference, square, sum, division by the deviation, scale, shift."""
    return 7 * tokens * width


@elementwise.rule("rmsnorm", text="4·tokens·width", source=_CONVENTION)
def rmsnorm(tokens: int, width: int, weights: int) -> int:
    """Square, sum, division by the root, scale."""
    return 4 * tokens * width


@elementwise.rule("scan", text="operations·elements", source=_CONVENTION)
def scan(elements: int, operations: int) -> int:
    """A recurrence, token by token: each step is elementwise."""
    return operations * elements


elementwise.costs_nothing("solve", "conv", "linear", "lookup", "vector", "scores", "values", "recompute", "matmul", "cache")


# --- the answer -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Component:
    """A row of a breakdown, in the convention asked for; shares add up to 1."""

    component: str
    flops: int
    share: float


@dataclass(frozen=True)
class Pass(Later):
    """A total and what it consists of."""

    total: int
    components: list[Component]


@dataclass(frozen=True)
class Approximation:
    """A rule of thumb beside the exact value; ``error`` is relative, positive when the rule says too much."""

    rule: str
    value: int
    exact: int
    error: float


@dataclass(frozen=True)
class Crossover:
    """Smallest sequence length at which the attention cores cost as much as the linear layers; None when they never do.

    ``layers`` compares within the layers (projections and feed-forward), ``with_head`` counts the LM head as linear too.
    """

    layers: int | None
    with_head: int | None


@dataclass(frozen=True)
class Flops(Later):
    """FLOPs of one forward pass, its backward, and training with recomputation; and of one cached decode step."""

    forward: Pass
    backward: Pass
    recomputation: int
    train: Pass
    per_token: int | float
    groups: list[Component]
    elementwise: Pass
    decode: Pass
    decode_context: int
    crossover: Crossover
    approximations: list[Approximation]
    lines: list[Line]


def breakdown(sums: dict[str, int]) -> list[Component]:
    """Named sums as rows with shares."""
    total = sum(sums.values())
    return [Component(name, n, n / total if total else 0.0) for name, n in sums.items()]


class _Sums:
    """A pass that is summed up when it is read: its total alone, or by component."""

    def __init__(self, total: Callable[[], int], sums: Callable[[], dict[str, int]]) -> None:
        self.total = total
        self.sums = sums

    def components(self) -> list[Component]:
        return breakdown(self.sums())


def is_core(op: Op) -> bool:
    """Whether an op's cost grows with pairs of positions or stands in for what does: the attention core, not its projections."""
    return op.kind in ("scores", "values", "matmul")


def in_layers(op: Op) -> bool:
    return "." in op.group and not op.group.endswith(".norm")


def convolves(spec: ModelSpec) -> bool:
    """Whether a model has convolutions, whose backward FlopCounterMode counts far above what it takes."""
    return any(op.kind == "conv" for op in params_fold.ops_of(spec))


def forward_flops(spec: ModelSpec, run: Run) -> int:
    """Matmul FLOPs of one forward pass."""
    return int(Work(spec, run).of(fold.total))


# Sums over the ops of a run, for Work.of: functions of this module, so that each has one closed form per model.


def _component(op: Op) -> str:
    return op.component


def _group(op: Op) -> str:
    return op.group


def _by_component(ops: list[Op]) -> dict[str, int]:
    return fold.by(ops, _component)


def _by_group(ops: list[Op]) -> dict[str, int]:
    return fold.by(ops, _group)


def _backward_by_component(ops: list[Op]) -> dict[str, int]:
    return backward_fold.by(ops, _component)


def _elementwise_by_component(ops: list[Op]) -> dict[str, int]:
    return elementwise.by(ops, _component)


def _of_layers(ops: list[Op]) -> int:
    return fold.total(op for op in ops if in_layers(op))


def _cores_and_all(ops: list[Op]) -> tuple[int, int]:
    return fold.total(op for op in ops if is_core(op)), fold.total(ops)


def _cores_and_layers(ops: list[Op]) -> tuple[int, int]:
    return _cores_and_all([op for op in ops if in_layers(op)])


def crossover(spec: ModelSpec, ideal: bool = False) -> Crossover:
    """Where attention overtakes the linear layers. For a plain dense model of full attention this solves
    4 n² H d_h = the layers' linear FLOPs: n = 6d when d_ff = 4d.
    """

    steps = {mixer.period() for g in spec.groups for mixer in (g.mixer, g.beside) if mixer is not None} | {spec.pad_to or 1}

    def overtakes(sums: Callable[[list[Op]], tuple[int, int]]) -> int | None:
        def linear_beyond(n: int) -> int:
            core, every = Work(spec, Run(seq=n, ideal=ideal)).of(sums)
            return int(every - 2 * core) - 1

        return lasting_below_zero(linear_beyond, steps)

    def found() -> Crossover:
        return Crossover(overtakes(_cores_and_layers), overtakes(_cores_and_all))

    return once(spec, ("crossover", ideal), found)


@dataclass(frozen=True)
class Growth:
    """FLOPs of one forward pass at one length: the ``attention`` cores, everything ``linear`` in it, and their ``total``."""

    seq: int
    linear: int
    attention: int
    total: int


def growth(spec: ModelSpec, seqs: Iterable[int], ideal: bool = False) -> list[Growth]:
    """How a forward pass of one sequence grows with its length: total = linear + attention, the head counted as linear.

    The two are equal where :class:`Crossover` says ``with_head``. FLOPs. No errors; ``seqs`` may exceed the model's context.
    Source: Kaplan et al. 2020, arXiv:2001.08361, Table 1: 2 N against 2 n_layer n_ctx d_attn.

    >>> from .shapes import model
    >>> [(g.linear, g.attention, g.total) for g in growth(model(1, 8, vocab=10, head_dim=8, gated=False), [1, 2])]
    [(1696, 32, 1728), (3392, 128, 3520)]
    """
    found = []
    for seq in seqs:
        core, total = Work(spec, Run(seq=seq, ideal=ideal)).of(_cores_and_all)
        found.append(Growth(seq, total - core, core, total))
    return found


def span(spec: ModelSpec, crossing: int | None, *lengths: int) -> list[int]:
    """Powers of two from 128 to a picture of growth's end: the context, ``lengths``, and four times where attention overtakes,
    if that is below 2^24.

    >>> from .shapes import model
    >>> span(model(1, 8, vocab=10, head_dim=8), 1000)[-1]
    4096
    """
    ends = [*lengths, spec.context or 0, *([4 * crossing] if crossing is not None and crossing < 2**24 else [])]
    return [2**power for power in range(7, max(10, (max(ends) - 1).bit_length()) + 1)]


def flops(
    spec: ModelSpec,
    batch: int = 1,
    seq: int | None = None,
    *,
    source: int | None = None,
    ideal: bool = False,
    context: int | None = None,
    recompute: bool = False,
    convention: str = "flops",
) -> Flops:
    """Count a pass of ``batch`` sequences of ``seq`` tokens (default: the model's context).

    ``ideal`` counts only the pairs that the causal mask and windows leave. ``recompute`` adds one more forward of the
    layers, as full gradient checkpointing does. ``context`` is the number of tokens that the decode step attends to,
    its own included. ``convention``: "flops" (2 per multiply-add), "macs" (1), or "leading-order" (the chapter's).
    """
    seq = sequence_length(spec, seq)
    check_size("batch", batch)
    check_size("source_seq", source)
    context = seq if context is None else context
    check_size("context", context)
    kind = _CONVENTIONS.get(convention)
    if kind is None:
        raise InputError(
            f"convention {convention!r} is not known; it is flops, macs or leading-order",
            field="convention",
            value=convention,
        )
    counted = kind(spec, Run(batch, seq, source=source, ideal=ideal), context, recompute)
    return Flops.later(counted, decode_context=context)


class _Counted:
    """The fields of :class:`Flops`, each counted when it is read."""

    unit = 1

    def __init__(self, spec: ModelSpec, run: Run, context: int, recompute: bool) -> None:
        self.spec, self.run, self.context, self.recompute = spec, run, context, recompute
        self.work = Work(spec, run)

    @cached_property
    def step(self) -> Run:
        """The decode step."""
        return step_at(self.run, self.context)

    def _sums(self, work: Work, sums: Callable[[list[Op]], dict[str, int]]) -> dict[str, int]:
        return {name: n // self.unit for name, n in work.of(sums).items()}

    def _pass(self, work: Work, total: Callable[[list[Op]], int], sums: Callable[[list[Op]], dict[str, int]]) -> Pass:
        return Pass.later(_Sums(lambda: work.of(total) // self.unit, lambda: self._sums(work, sums)))

    def forward(self) -> Pass:
        return self._pass(self.work, fold.total, _by_component)

    def backward(self) -> Pass:
        return self._pass(self.work, backward_fold.total, _backward_by_component)

    def recomputed(self) -> int:
        return int(self.work.of(_of_layers)) // self.unit

    def recomputation(self) -> int:
        return self.recomputed() if self.recompute else 0

    def train(self) -> Pass:
        forward, backward = self.forward(), self.backward()

        def sums() -> dict[str, int]:
            one, two = ({row.component: row.flops for row in each.components} for each in (forward, backward))
            both = {name: one.get(name, 0) + two.get(name, 0) for name in one | two}
            return both | ({"recomputation": self.recomputation()} if self.recompute else {})

        return Pass.later(_Sums(lambda: forward.total + backward.total + self.recomputation(), sums))

    def per_token(self) -> int | float:
        tokens, total = self.run.batch * self.run.seq, self.forward().total
        whole, rest = divmod(total, tokens)
        return total / tokens if rest else whole

    def groups(self) -> list[Component]:
        return breakdown(self._sums(self.work, _by_group))

    def elementwise(self) -> Pass:
        work = self.work
        return Pass.later(_Sums(lambda: work.of(elementwise.total), lambda: work.of(_elementwise_by_component)))

    def decode(self) -> Pass:
        return self._pass(Work(self.spec, self.step), fold.total, _by_component)

    def crossover(self) -> Crossover:
        return crossover(self.spec, self.run.ideal)

    def approximations(self) -> list[Approximation]:
        return rules_of_thumb(self.spec, self.work.of(fold.total), self.run.batch * self.run.seq)

    def terms(self) -> list[Line]:
        """Every pass, op by op."""
        step = Work(self.spec, self.step).ops
        ops = self.work.ops
        return [
            *fold.explain(ops),
            *(line._replace(component=f"backward {line.component}") for line in backward_fold.explain(ops)),
            *(line._replace(component=f"decode {line.component}") for line in fold.explain(step)),
        ]

    def lines(self) -> list[Line]:
        forward, backward, train = (each().total for each in (self.forward, self.backward, self.train))
        again, tokens, step = self.recomputation(), self.run.batch * self.run.seq, self.decode().total
        elements = self.elementwise().total
        lines = [
            *self.terms(),
            Line("forward", "Σ of its terms", f"batch {self.run.batch:,}, n {self.run.seq:,}", forward, "the terms above"),
            Line("backward", "Σ of its terms", f"batch {self.run.batch:,}, n {self.run.seq:,}", backward, "the terms above"),
        ]
        if self.recompute:
            lines.append(Line("recomputation", "forward of the layers once more", f"{again:,}", again, _CHECKPOINTING))
        of = f"{forward:,} + {backward:,} + {again:,}"
        lines += [
            Line("train", "forward + backward + recomputation", of, train, "Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1"),
            Line("per_token", "forward / tokens", f"{forward:,} / {tokens:,}", self.per_token(), "the mean over all positions"),
            Line(
                "decode",
                "Σ of its terms",
                f"1 token at context {self.context:,}",
                step,
                "Shazeer 2019, arXiv:1911.02150, sec. 2.4",
            ),
            *(line._replace(component=f"elementwise {line.component}") for line in elementwise.explain(self.work.ops)),
            Line("elementwise", "Σ of its terms", "counted apart from the matmuls", elements, _CONVENTION),
        ]
        found = self.crossover()
        for name, n in (("crossover.layers", found.layers), ("crossover.with_head", found.with_head)):
            if n is not None:
                [at] = growth(self.spec, [n], self.run.ideal)
                numbers = f"at n = {n:,}, head counted as linear: attention {at.attention:,}, linear {at.linear:,}"
                lines.append(Line(name, "least n with attention >= linear FLOPs", numbers, n, "by bisection on the exact counts"))
        for row in self.approximations():
            lines.append(
                Line(
                    row.rule, row.rule, f"{row.error:+.2%} off the exact {row.exact:,}", row.value, "Kaplan et al. 2020, sec. 2.1"
                )
            )
        return lines


_CHECKPOINTING = "Chen et al. 2016, arXiv:1604.06174"


class _Macs(_Counted):
    """Multiply-adds: half of each, for every FLOP here is one of a pair."""

    unit = 2

    def terms(self) -> list[Line]:
        return [
            line._replace(formula=f"({line.formula})/2", numbers=f"({line.numbers})/2", value=line.value // 2)
            for line in super().terms()
        ]


class _LeadingOrder(_Counted):
    """The chapter's convention."""

    def _known(self, sums: dict[str, int]) -> Pass:
        return Pass(sum(sums.values()), breakdown(sums))

    def terms(self) -> list[Line]:
        texts = {"projections and feed-forward": "L·n·d²", "attention core": "L·s·n·d"}
        lines = []
        for name, run, times in (("", self.run, 1), ("backward ", self.run, 2), ("decode ", self.step, 1)):
            twice = "2·" if times == 2 else ""
            numbers = f"{twice}L = {self.spec.n_layers:,}, n = {run.batch * run.seq:,}, d = {self.spec.d_model:,}"
            for component, n in leading_order(self.spec, run)[0].items():
                text = f"{twice}{texts[component]}"
                lines.append(Line(f"{name}{component}", text, numbers, times * n, "the textbook chapter, sec. 1"))
        return lines

    def forward(self) -> Pass:
        return self._known(leading_order(self.spec, self.run)[0])

    def backward(self) -> Pass:
        return self._known({name: 2 * n for name, n in leading_order(self.spec, self.run)[0].items()})

    def recomputed(self) -> int:
        return self.forward().total

    def groups(self) -> list[Component]:
        return breakdown(leading_order(self.spec, self.run)[1])

    def decode(self) -> Pass:
        return self._known(leading_order(self.spec, self.step)[0])


_CONVENTIONS = {"flops": _Counted, "macs": _Macs, "leading-order": _LeadingOrder}


def step_at(run: Run, context: int) -> Run:
    """The decode step after a pass: forward of q = 1 token at kv = context, the token's own key included.

    ``run`` says how many sequences, and of an encoder-decoder how many source tokens. No errors. Source: Shazeer 2019,
    arXiv:1911.02150, sec. 2.4.

    >>> step = step_at(Run(batch=4, seq=2048), 2048)
    >>> step.seq, step.past
    (1, 2047)
    """
    return Run(run.batch, 1, past=context - 1, source=run.source or run.seq, encode=False, ideal=run.ideal)


def sequence_length(spec: ModelSpec, seq: int | None) -> int:
    """``seq`` if given, else the model's context length.

    Raises InputError when neither is known, or when the model has fewer learned positions than ``seq``.
    """
    if seq is None:
        if spec.context is None:
            raise InputError(f"{spec.name} states no context length, so give the sequence length with --seq", field="seq")
        seq = spec.context
    check_size("seq", seq)
    rows = spec.embedding.positions
    if rows is not None and seq > rows:
        raise InputError(
            f"seq is {seq}, but {spec.name} has learned positions for only {rows} tokens; a longer run needs --positions",
            field="seq",
            value=seq,
            allowed=f"at most {rows}",
        )
    return seq


def rules_of_thumb(spec: ModelSpec, exact: int, tokens: int) -> list[Approximation]:
    """2N per token forward and 6N per token training (Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1), N active."""
    n = params_fold.active(spec)
    without = n - params_fold.embedding(spec)
    rows = []
    for name, size in (("N", n), ("N without embeddings", without)):
        for factor, units, what in ((2, 1, "forward"), (6, 3, "training")):
            value = factor * size * tokens
            rows.append(Approximation(f"{factor} × {name} × tokens ({what})", value, units * exact, value / (units * exact) - 1))
    return rows


def leading_order(spec: ModelSpec, run: Run) -> tuple[dict[str, int], dict[str, int]]:
    """The chapter's convention, constants dropped: per layer n d² for all matrices and s n d for the attention core.

    s is n (standard, flash), the window (local, sliding, Longformer), stride + n / stride, the rank (Linformer) or
    the features (Performer); a mixer without pairs has no such term. An MoE layer multiplies n d² by top_k and adds
    the router's n d E. Returns sums by component and by layer group.
    """
    components = {"projections and feed-forward": 0, "attention core": 0}
    groups: dict[str, int] = {}
    d = spec.d_model
    n_source = run.seq if run.source is None else run.source
    for stack, layer_groups in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        if stack == "encoder" and not run.encode:
            continue
        q = run.seq if stack == "decoder" or not spec.decoder else n_source
        kv = q + (run.past if stack == "decoder" else 0)
        for index, layers in enumerate(layer_groups):
            matrices = run.batch * q * d * d
            if layers.ffn is not None and layers.ffn.type == "moe":
                matrices = matrices * layers.ffn.top_k + run.batch * q * d * layers.ffn.n_experts
            met = q * attended(layers.mixer, kv, d) + (q * n_source if layers.cross is not None else 0)
            cores = run.batch * met * d
            components["projections and feed-forward"] += layers.repeat * matrices
            components["attention core"] += layers.repeat * cores
            groups[f"{stack}.{index}"] = layers.repeat * (matrices + cores)
    return components, groups


def attended(mixer: Mixer | None, kv: int, d_model: int) -> int:
    """s of the chapter's s n d: the keys, features or projected positions that one query meets, edges ignored; a recurrence's
    state per channel, likewise. 0 for a mixer that is none of these.

    >>> attended(Attention(n_heads=1, core=Local(window=256)), 16384, 1024)
    256
    """
    core: Any = getattr(mixer, "core", mixer)
    if core is None:
        return 0
    if isinstance(core, (Local, Sliding, Chunked)):
        met = core.window
    elif isinstance(core, Longformer):
        met = core.window + core.n_global
    elif isinstance(core, BigBird):
        met = core.block * (core.window + core.n_global + core.random)
    elif isinstance(core, Strided):
        met = core.stride + kv // core.stride
    elif isinstance(core, Fixed):
        met = core.stride + core.summary * (kv // core.stride)
    elif isinstance(core, Reformer):
        met = 2 * core.chunk * core.rounds
    elif isinstance(core, TopK):
        met = core.top_k
    elif isinstance(core, Linformer):
        met = core.rank
    elif isinstance(core, Performer):
        return core.features
    elif isinstance(core, Linear):
        assert isinstance(mixer, Attention)
        return mixer.width(d_model)
    elif core.type in DENSE:
        met = kv
    else:
        return int(getattr(core, {"gated_delta": "k_dim", "mamba2": "d_state"}.get(core.type, ""), 0))
    return min(met, kv)
