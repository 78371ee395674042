"""Low-rank adapters on a frozen model: what is trained, and what autograd then saved.

LoRA (Hu et al. 2021, arXiv:2106.09685, sec. 4.1) adds B A x, A of ``rank`` x d_in, B of d_out x ``rank``, to a linear layer.
QLoRA (Dettmers et al. 2023, arXiv:2305.14314) is the same on quantised weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from llmcx.errors import InputError, check_size
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, Saved, in_layers

LEAVES = ("q", "k", "v", "out", "gate", "up", "down")
"""What may be adapted: the attention's projections and the feed-forward's, experts and shared ones too."""


@dataclass(frozen=True)
class LoRA:
    """Adapters of ``rank`` on the projections named by ``targets``, in ``bytes`` per parameter (fp32, as PEFT casts them)."""

    rank: int
    targets: tuple[str, ...] = ("q", "k", "v", "out", "gate", "up", "down")
    bytes: int = 4

    def __post_init__(self) -> None:
        check_size("lora", self.rank)
        for target in self.targets:
            if target not in LEAVES:
                raise InputError(
                    f"lora_targets has {target!r}, but may name {', '.join(LEAVES)}",
                    field="lora_targets",
                    value=target,
                    allowed=", ".join(LEAVES),
                )

    def adapts(self, op: Op) -> bool:
        """Whether the op is a projection with an adapter. What sees and hears has none."""
        return op.kind == "linear" and in_layers(op) and op.module in self.targets and op.role != "tower"

    def params(self, ops: Iterable[Op]) -> int:
        """Trained parameters: rank (d_in + d_out) for each matrix adapted. Of matrices that the code has as one, the input's side
        is there once.

        >>> dims = {"tokens": 1, "d_in": 64, "d_out": 32, "bias": 0, "tied": 0}
        >>> LoRA(8, ("q",)).params([Op("attention.q", "linear", dims, 2, group="decoder.0", module="q")])
        1536
        """
        return sum(
            self.rank * (op.dims["d_out"] + (0 if op.joint else op.dims["d_in"])) * op.copies * op.times
            for op in ops
            if self.adapts(op)
        )

    def check(self, ops: Iterable[Op]) -> None:
        """Refuse to adapt a part of what the code has as one matrix. Raises InputError."""
        for op in ops:
            if op.joint and op.kind == "linear" and op.module in LEAVES:
                parts = next(each for each in JOINT if op.module in each)
                named = [part for part in parts if part in self.targets]
                if named and len(named) < len(parts):
                    whole = f"{', '.join(parts[:-1])} and {parts[-1]}"
                    problem = (
                        f"{whole} of this model are one matrix in its code, which an adapter changes whole; name all of them"
                    )
                    given = ",".join(self.targets)
                    raise InputError(f"lora_targets has {', '.join(named)}, but {problem}", field="lora_targets", value=given)

    def trained(self, ops: Iterable[Op], spec: ModelSpec) -> list[Op]:
        """The ops of a pass of ``spec`` in which only the adapters learn, with the adapters' own: x A after each matrix, and that
        times B.

        The gradient passes through a frozen matrix to its input, by one product in place of two; and stops where nothing before
        it learns: in a stack's layers up to its first adapter, in what sees and hears. A layer with one norm for mixer and
        feed-forward gives both the same input; that two norms may read the same input too (GPT-NeoX) is not known here: there the
        first layer's count is a little high.
        """
        out: list[Op] = []
        ops = list(ops)
        self.check(ops)
        adapted = {op.group for op in ops if self.adapts(op)}
        encoded = any(name.startswith("encoder") for name in adapted)
        unreached = self._unreached(spec, adapted)
        for group, many in groupby(ops, lambda op: op.group):
            of = list(many)
            if not in_layers(of[0]) or of[0].role == "tower":
                out += self._outside(of)
                continue
            layers = spec.kinds[group]
            beside = layers.ffn is not None and len(layers.norm_names) == 1
            every, before = layers.repeat, unreached[group]
            for number, stream in ((before, False), (every - before, True)):
                if number:
                    some = [op._replace(times=op.times // every * number) for op in of]
                    out += self._layer(some, stream, encoded, beside)
        return out

    def _unreached(self, spec: ModelSpec, adapted: Collection[str]) -> dict[str, int]:
        """Of each kind of layer, how many have an input that needs no gradient."""
        found = dict.fromkeys(spec.kinds, 0)
        reached = {"encoder": False, "decoder": False}
        for group, many in spec.runs:
            stack = group.partition(".")[0]
            if not reached[stack]:
                found[group] += 1 if group in adapted else many
                reached[stack] = group in adapted
        return found

    def _outside(self, ops: list[Op]) -> list[Op]:
        """What stands in no layer: nothing before the layers learns, and the head is frozen."""
        return [_backward(op, 1) if op.role in ("head", "head_transform") else op._replace(grad=False) for op in ops]

    def _layer(self, ops: list[Op], stream: bool, encoded: bool, beside: bool) -> list[Op]:
        """The ops of layers before which something learns (``stream``) or nothing does, or in what was ``encoded`` for them.
        ``beside``: all their parts read the layer's input.
        """
        out: list[Op] = []
        live: dict[str, bool] = {}  # of what the sublayer has made so far, what needs a gradient
        within = ""
        for op in ops:
            if op.role != within and op.role not in ("norm", "residual"):
                stream, live, within = stream or (any(live.values()) and not beside), {}, op.role
            if op.kind == "linear":
                reads = encoded if op.role == "cross" and op.module in ("k", "v") else stream
                needs = reads or (any(live.values()) and op.module not in FIRST)
                out.append(_backward(op, int(needs)))
                if adapted := self.adapts(op):
                    out += self._adapter(op, needs)
                live[op.module] = needs or adapted
            elif op.kind in ("scores", "values"):
                sides = ("q", "k") if op.kind == "scores" else ("scores", "v")
                grads = sum(live.get(side, stream or any(live.values())) for side in sides)
                out.append(_backward(op, grads))
                live[op.kind] = grads > 0
            else:
                out.append(_backward(op, int(stream or any(live.values()))))
        return out

    def _adapter(self, op: Op, needs: bool) -> Iterator[Op]:
        """Both matrices of an adapter; the input of the first needs a gradient or does not."""
        inner = {"d_out": self.rank, "bias": 0, "tied": 0, "grads": 1 + needs}
        made = op._replace(component=f"{op.component}.lora", saved=())
        if not op.joint:
            yield made._replace(dims=op.dims | inner, module="lora_a")
        yield made._replace(dims=op.dims | {"d_in": self.rank, "bias": 0, "tied": 0, "grads": 2}, module="lora_b")

    def kept(self, ops: Iterable[Op]) -> list[Op]:
        """The ops with what autograd keeps when only the adapters are trained.

        A frozen matrix needs no input and a frozen norm no normalised one. An adapter keeps its input, in its own dtype (a copy
        where that is wider; else projections of the same input share one), and ``rank`` numbers per token.
        """
        ops = list(ops)
        self.check(ops)
        out = []
        shared: set[tuple[str, str, str]] = set()
        for op in ops:
            if op.kind == "linear":
                out.append(op._replace(saved=self._adapted(op, shared) if self.adapts(op) else ()))
            elif op.kind == "rmsnorm":
                out.append(op._replace(saved=tuple(kept for kept in op.saved if kept.what != "normalised input")))
            elif op.kind == "lookup":
                out.append(op._replace(saved=()))
            else:
                out.append(op)
        return out

    def _adapted(self, op: Op, shared: set[tuple[str, str, str]]) -> tuple[Saved, ...]:
        if op.joint:  # what the first of the joint matrices keeps is for all
            return ()
        n, where = op.dims["tokens"], (op.group, op.role, "normed" if op.reads == "normed" else op.module)
        saved: tuple[Saved, ...] = (Saved("adapter's inner numbers", n * self.rank, "fp32" if self.bytes == 4 else "act"),)
        if self.bytes == 4:
            saved += (Saved("adapter's copy of its input", n * op.dims["d_in"], "upcast"),)
        if where not in shared:
            shared.add(where)
            # Where the activations are fp32 there is no copy, but the input itself; narrower ones are kept for no one else.
            saved += (Saved("adapter's input", n * op.dims["d_in"], "uncast" if self.bytes == 4 else "act"),)
        return saved


JOINT = (("q", "k", "v"), ("gate", "up"))
"""Matrices that some code has as one."""

FIRST = ("q", "k", "v", "gate", "up")
"""Matrices that read what comes into a sublayer, and not what another one of it has made."""


def _backward(op: Op, inputs: int) -> Op:
    """A frozen op, of whose inputs that are no weights so many need a gradient."""
    if not inputs:
        return op._replace(grad=False)
    if op.kind in ("linear", "scores", "values"):
        return op._replace(dims=op.dims | {"grads": min(inputs, op.dims.get("grads", 2))})
    if op.kind == "matmul" and op.dims["weight"]:
        return op._replace(dims=op.dims | {"grads": op.dims.get("grads", 2) - 1})
    return op._replace(dims=op.dims | {"met": 0}) if op.kind == "conv" else op
