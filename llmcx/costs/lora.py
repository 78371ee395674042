"""Low-rank adapters on a frozen model: what is trained, and what autograd then saved.

LoRA (Hu et al. 2021, arXiv:2106.09685, sec. 4.1) adds B A x, A of ``rank`` x d_in, B of d_out x ``rank``, to a linear layer.
QLoRA (Dettmers et al. 2023, arXiv:2305.14314) is the same on quantised weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmcx.errors import InputError, check_size
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
        """Trained parameters: rank (d_in + d_out) for each matrix adapted.

        >>> dims = {"tokens": 1, "d_in": 64, "d_out": 32, "bias": 0, "tied": 0}
        >>> LoRA(8, ("q",)).params([Op("attention.q", "linear", dims, 2, group="decoder.0", module="q")])
        1536
        """
        return sum(self.rank * (op.dims["d_in"] + op.dims["d_out"]) * op.copies * op.times for op in ops if self.adapts(op))

    def kept(self, ops: Iterable[Op]) -> list[Op]:
        """The ops with what autograd keeps when only the adapters are trained.

        A frozen matrix needs no input and a frozen norm no normalised one. An adapter keeps its input, in its own dtype (a copy
        where that is wider; else projections of the same input share one), and ``rank`` numbers per token.
        """
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
        n, where = op.dims["tokens"], (op.group, op.role, "normed" if op.reads == "normed" else op.module)
        saved: tuple[Saved, ...] = (Saved("adapter's inner numbers", n * self.rank, "fp32" if self.bytes == 4 else "act"),)
        if self.bytes == 4:
            saved += (Saved("adapter's copy of its input", n * op.dims["d_in"], "upcast"),)
        if where not in shared:
            shared.add(where)
            # Where the activations are fp32 there is no copy, but the input itself; narrower ones are kept for no one else.
            saved += (Saved("adapter's input", n * op.dims["d_in"], "uncast" if self.bytes == 4 else "act"),)
        return saved
