"""FLOPs of a model's passes: forward, backward, training, one decode step; by component and layer group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from llmcx.answers import Result
from llmcx.answers.growth import Crossover, crossover
from llmcx.costs import params as params_fold
from llmcx.costs.flops import backward_fold, elementwise, fold
from llmcx.costs.leading_order import leading_order
from llmcx.costs.lora import LoRA
from llmcx.errors import InputError
from llmcx.model.lower import Run, lower
from llmcx.model.pictures import NOTHING, Shown
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec, check_size, text_length
from llmcx.ops.fold import Fold
from llmcx.ops.op import Op, in_layers


class Component(NamedTuple):
    """A row of a breakdown, in the convention asked for; shares add up to 1."""

    component: str
    flops: int
    share: float


class Pass(NamedTuple):
    """A total and what it consists of."""

    total: int
    components: list[Component]


class Approximation(NamedTuple):
    """A rule of thumb beside the exact value; ``error`` is relative, positive when the rule says too much."""

    rule: str
    value: int
    exact: int
    error: float


def one_pass(sums: dict[str, int]) -> Pass:
    """Named sums as a pass."""
    total = sum(sums.values())
    return Pass(total, [Component(name, n, n / total if total else 0.0) for name, n in sums.items()])


def convolves(ops: list[Op]) -> bool:
    """Whether there are convolutions, whose backward FlopCounterMode counts far above what it takes."""
    return any(op.kind == "conv" for op in ops)


@dataclass(frozen=True, repr=False)
class Flops(Result, brief="forward.total train.total decode.total", table="forward.components"):
    """FLOPs of one forward pass, its backward, and training with recomputation; and of one cached decode step."""

    # What was asked; each figure is counted when it is first read (llmcx.answers.shown).
    spec: ModelSpec
    run: Run
    context: int
    recompute: bool
    ops: list[Op]
    lora: LoRA | None = None

    unit = 1
    """FLOPs that are counted as one."""

    @property
    def step(self) -> Run:
        """The decode step: of what the cache holds, a window meets its own keys alone."""
        step = step_at(self.context, self.run.batch, self.run.source or self.run.seq, True, self.run.all_experts)
        seen = {name: getattr(self.run, name) for name in ("images", "grid", "further", "sounds", "frames")}
        return step._replace(**seen)  # of which a cross-attention finds keys and values in the cache

    def _sums(self, of: Fold, ops: list[Op]) -> dict[str, int]:
        return {name: n // self.unit for name, n in of.by(ops, lambda op: op.component).items()}

    @cached_property
    def forward(self) -> Pass:
        return one_pass(self._sums(fold, self.ops))

    @cached_property
    def backward(self) -> Pass:
        return one_pass(self._sums(backward_fold, self.ops))

    @cached_property
    def recomputation(self) -> int:
        return fold.total(op for op in self.ops if in_layers(op)) // self.unit if self.recompute else 0

    @cached_property
    def train(self) -> Pass:
        sums: dict[str, int] = {}
        for row in (*self.forward.components, *self.backward.components):
            sums[row.component] = sums.get(row.component, 0) + row.flops
        return one_pass(sums | ({"recomputation": self.recomputation} if self.recompute else {}))

    @cached_property
    def per_token(self) -> int | float:
        tokens = self.run.batch * self.run.seq
        whole, rest = divmod(self.forward.total, tokens)
        return self.forward.total / tokens if rest else whole

    @cached_property
    def groups(self) -> list[Component]:
        return one_pass({name: n // self.unit for name, n in fold.by(self.ops, lambda op: op.group).items()}).components

    @cached_property
    def elementwise(self) -> Pass:
        return one_pass(elementwise.by(self.ops, lambda op: op.component))

    @cached_property
    def decode(self) -> Pass:
        return one_pass(self._sums(fold, lower(self.spec, self.step)))

    @cached_property
    def decode_context(self) -> int:
        return self.context

    @cached_property
    def crossover(self) -> Crossover:
        return crossover(self.spec, self.run.ideal)

    @cached_property
    def approximations(self) -> list[Approximation]:
        forward, tokens = fold.total(self.ops), self.run.batch * self.run.seq
        training = 3 * forward if self.lora is None else forward + backward_fold.total(self.ops)
        return rules_of_thumb(self.spec, forward, training, tokens, 6 if self.lora is None else 4)


class Macs(Flops):
    """Multiply-adds: half of each, for every FLOP here is one of a pair."""

    unit = 2


class LeadingOrder(Flops):
    """The chapter's convention."""

    @cached_property
    def forward(self) -> Pass:
        return one_pass(leading_order(self.spec, self.run)[0])

    @cached_property
    def backward(self) -> Pass:
        return one_pass({row.component: 2 * row.flops for row in self.forward.components})

    @cached_property
    def recomputation(self) -> int:
        return self.forward.total if self.recompute else 0

    @cached_property
    def groups(self) -> list[Component]:
        return one_pass(leading_order(self.spec, self.run)[1]).components

    @cached_property
    def decode(self) -> Pass:
        return one_pass(leading_order(self.spec, self.step)[0])

    @cached_property
    def crossover(self) -> Crossover:
        return crossover(self.spec, convention="leading-order")


_CONVENTIONS = {"flops": Flops, "macs": Macs, "eager": Flops, "leading-order": LeadingOrder}


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
    images: int = 0,
    grid: tuple[int, int] = (0, 0),
    shown: Shown = NOTHING,
    lora: LoRA | None = None,
) -> Flops:
    """Count a pass of ``batch`` sequences of ``seq`` tokens (default: the model's context).

    ``ideal`` counts only the pairs that the causal mask and windows leave. ``recompute`` adds one more forward of the
    layers, as full gradient checkpointing does. ``context`` is the number of tokens that the decode step attends to,
    its own included. ``convention``: "flops" (2 per multiply-add), "macs" (1), "eager" (2, and every
    expert where transformers' own code multiplies all of them), or "leading-order" (the chapter's). ``images`` of ``grid``
    patches (rows and columns) stand in each sequence, their tokens among the ``seq``; those of what is ``shown`` are added to it.
    With ``lora`` the passes are those in which its adapters alone learn; in the decode step they are merged into the weights.
    """
    seq = text_length(spec, seq, shown.tokens) + shown.tokens
    check_size("batch", batch)
    check_size("source_seq", source)
    context = seq if context is None else context
    check_size("context", context)
    kind = _CONVENTIONS.get(convention)
    if lora is not None and kind is LeadingOrder:
        raise InputError("--convention leading-order knows no adapters; leave out --lora", field="convention", value=convention)
    if kind is None:
        problem = f"convention {convention!r} is not known; it is flops, macs, eager or leading-order"
        raise InputError(problem, field="convention", value=convention)
    run = Run(batch, seq, source=source, ideal=ideal, all_experts=convention == "eager", images=images, grid=grid)
    run = run._replace(**shown.fed())
    ops = lower(spec, run)
    return kind(spec, run, context, recompute, ops if lora is None else lora.trained(ops, spec), lora)


def rules_of_thumb(spec: ModelSpec, forward: int, training: int, tokens: int, factor: int = 6) -> list[Approximation]:
    """2N per token forward and 6N per token training (Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1), N active; 4N where N is
    frozen and needs no gradients of its own.
    """
    n = params_fold.active(spec)
    rows = []
    for name, size in (("N", n), ("N without embeddings", n - params_fold.embedding(spec))):
        for times, true, what in ((2, forward, "forward"), (factor, training, "training")):
            value = times * size * tokens
            rows.append(Approximation(f"{times} × {name} × tokens ({what})", value, true, value / true - 1))
    return rows
