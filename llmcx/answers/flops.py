"""FLOPs of a model's passes: forward, backward, training, one decode step; by component and layer group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from llmcx.answers.growth import Crossover, crossover, growth
from llmcx.costs import params as params_fold
from llmcx.costs.flops import CONVENTION, backward_fold, elementwise, fold
from llmcx.costs.leading_order import leading_order
from llmcx.errors import InputError
from llmcx.later import Later
from llmcx.model.lower import Run, lower
from llmcx.model.place import step_at
from llmcx.model.spec import ModelSpec, check_size, sequence_length
from llmcx.ops.fold import Line
from llmcx.ops.op import Op, in_layers


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


def convolves(spec: ModelSpec) -> bool:
    """Whether a model has convolutions, whose backward FlopCounterMode counts far above what it takes."""
    return any(op.kind == "conv" for op in lower(spec, Run()))


# Sums over the ops of a run.


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
        self.ops = lower(spec, run)  # now, for it may refuse

    @cached_property
    def step(self) -> Run:
        """The decode step."""
        run = self.run
        return step_at(self.context, run.batch, run.source or run.seq, run.ideal)

    def _sums(self, ops: list[Op], sums: Callable[[list[Op]], dict[str, int]]) -> dict[str, int]:
        return {name: n // self.unit for name, n in sums(ops).items()}

    def _pass(self, ops: list[Op], total: Callable[[list[Op]], int], sums: Callable[[list[Op]], dict[str, int]]) -> Pass:
        return Pass.later(_Sums(lambda: total(ops) // self.unit, lambda: self._sums(ops, sums)))

    def forward(self) -> Pass:
        return self._pass(self.ops, fold.total, _by_component)

    def backward(self) -> Pass:
        return self._pass(self.ops, backward_fold.total, _backward_by_component)

    def recomputed(self) -> int:
        return _of_layers(self.ops) // self.unit

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
        return breakdown(self._sums(self.ops, _by_group))

    def elementwise(self) -> Pass:
        ops = self.ops
        return Pass.later(_Sums(lambda: elementwise.total(ops), lambda: _elementwise_by_component(ops)))

    def decode(self) -> Pass:
        return self._pass(lower(self.spec, self.step), fold.total, _by_component)

    def crossover(self) -> Crossover:
        return crossover(self.spec, self.run.ideal)

    def approximations(self) -> list[Approximation]:
        return rules_of_thumb(self.spec, fold.total(self.ops), self.run.batch * self.run.seq)

    def terms(self) -> list[Line]:
        """Every pass, op by op."""
        step, ops = lower(self.spec, self.step), self.ops
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
            *(line._replace(component=f"elementwise {line.component}") for line in elementwise.explain(self.ops)),
            Line("elementwise", "Σ of its terms", "counted apart from the matmuls", elements, CONVENTION),
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
