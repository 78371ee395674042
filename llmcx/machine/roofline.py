"""Time by roofline: an op takes as long as its multiplications or its memory traffic, whichever takes longer.

Williams et al. 2009, "Roofline", CACM 52(4). All results are estimates, in seconds. An :class:`Efficiency` says what share of
each peak is reached: :data:`IDEAL` gives a bound that nothing beats, a calibrated one an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, NamedTuple

from llmcx.costs.flops import fold as flops_fold
from llmcx.costs.params import fold as params_fold
from llmcx.costs.traffic import traffic
from llmcx.errors import InputError, shown, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.ops.op import KINDS, Op

_ONCE = "every input read once and the output written once, no fusion across ops"
moved_fold = traffic(1, 1).derived(
    "elements of activations read and written",
    but=("scores", "values", "linear", "lookup", "product", "residual"),
    change=lambda rule: rule._replace(text=rule.text.replace("act·", "")),  # elements, not bytes
)


@moved_fold.rule("linear", text="tokens·(d_in + d_out)", source=_ONCE)
def linear(tokens: int, d_in: int, d_out: int, bias: int, tied: int) -> int:
    """Without the matrix, which :class:`Task` counts apart: it may be quantised, shared out, or not met.

    >>> linear(tokens=2, d_in=3, d_out=4, bias=1, tied=0)
    14
    """
    return tokens * (d_in + d_out)


@moved_fold.rule("lookup", text="2·tokens·width", source=_ONCE)
def lookup(tokens: int, rows: int, width: int) -> int:
    """Rows read and written."""
    return 2 * tokens * width


@moved_fold.rule("product", "residual", text="3·elements", source=_ONCE)
def two_sided(elements: int) -> int:
    """Two read, one written."""
    return 3 * elements


# The core's inputs and outputs are those of its projections; what an unfused core writes out is in `tasks`.
moved_fold.costs_nothing("scores", "values")
assert set(KINDS) == moved_fold.free | set(moved_fold.rules)

MATRIX = ("linear", "matmul", "conv", "solve")
CORE = ("scores", "values")


class Task(NamedTuple):
    """One op as a machine sees it, all its layers together: ``flops``, ``weights`` (elements of the matrices, all copies),
    ``moved`` elements of activations, and how many ``kernels`` run.

    ``kind`` is "matmul", "attention" or "elementwise"; ``expert`` whether experts share it out; ``copies`` of the matrix and how
    many of them (``used``) one token meets.
    """

    component: str
    group: str
    kind: str
    flops: int
    weights: int
    moved: int
    kernels: int
    expert: bool = False
    copies: int = 1
    used: int = 1


def tasks(ops: Iterable[Op], fused: bool = True) -> list[Task]:
    """Ops as work. ``fused`` kernels keep attention's scores on the chip and a gated activation with its product; else scores are
    written, softmaxed and read back: 4 passes.
    """
    made = []
    ops = list(ops)
    gated = {op.component.removesuffix("product") + "activation" for op in ops if fused and op.kind == "product"}
    for op in ops:
        if op.component in gated:
            continue
        flops, moved = flops_fold.of(op), moved_fold.of(op)
        core = op.kind in CORE or (op.kind == "softmax" and not op.component.startswith("moe."))
        if core:
            kind, weights = "attention", 0
            moved = 0 if fused or op.kind != "softmax" else 4 * op.times * op.dims["elements"]
        elif op.kind in MATRIX:
            kind, weights = "matmul", params_fold.of(op)
            if op.kind == "linear":  # a tied or shared matrix is read all the same
                weights = op.times * max(op.copies, 1) * params_fold.rules["linear"].compute(**op.dims | {"tied": 0})
        else:
            kind, weights = "elementwise", 0
        if flops or moved:
            kernels = 0 if fused and core and op.kind != "scores" else op.times
            expert = op.component.startswith("moe.expert")
            made.append(
                Task(op.component, op.group, kind, flops, weights, moved, kernels, expert, max(op.copies, 1), max(op.used, 1))
            )
    return made


@dataclass(frozen=True)
class Efficiency:
    """Shares of the peaks that a run reaches, each in (0, 1]; the shares of the communication that hides behind arithmetic, in
    [0, 1]; and what each kernel costs besides, in seconds.

    ``matmul`` and ``attention`` of the dense peak, ``memory`` and ``link`` of the bandwidths. ``hidden_*`` by kind of
    parallelism.
    """

    matmul: float = 1.0
    attention: float = 1.0
    memory: float = 1.0
    link: float = 1.0
    hidden_tp: float = 1.0
    hidden_cp: float = 1.0
    hidden_ep: float = 1.0
    hidden_pp: float = 1.0
    hidden_dp: float = 1.0
    kernel_s: float = 0.0
    link_s: float = 0.0
    step_s: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            seconds, hidden = field.name.endswith("_s"), field.name.startswith("hidden")
            least_ok = value >= 0 if seconds or hidden else value > 0
            if not isfinite(value) or not least_ok or (not seconds and value > 1):
                allowed = "0 or more seconds" if seconds else "between 0 and 1"
                raise InputError(
                    f"efficiency {field.name} is {shown(value)}, but must be {allowed}", field=field.name, allowed=allowed
                )


IDEAL = Efficiency()
"""Every peak reached, all communication hidden that can be."""


def with_overrides(efficiency: Efficiency, given: Mapping[str, float]) -> Efficiency:
    """``efficiency`` with some factors replaced. Raises InputError for an unknown name."""
    known = [field.name for field in fields(Efficiency)]
    for name in given:
        if name not in known:
            raise unknown_name("efficiency", name, known, field="efficiency")
    changes: dict[str, Any] = dict(given)
    return replace(efficiency, **changes)


@dataclass(frozen=True)
class Machine:
    """An accelerator with the rates that an efficiency leaves of it, FLOP/s and bytes/s; links each way per accelerator."""

    hardware: Hardware
    efficiency: Efficiency
    matmul: float
    attention: float
    memory: float
    up: float
    out: float

    @property
    def domain(self) -> int:
        return self.hardware.domain

    def link(self, span: int, ranks: int = 1) -> float:
        """Bytes/s of a collective whose ranks lie within ``span`` consecutive accelerators, ``ranks`` of them in each domain.

        Within a domain the fast network; beyond it a ring over all NICs of a domain, never faster than the fast network.
        """
        if span <= self.domain:
            return self.up
        if not self.out:
            raise InputError(
                f"{self.hardware.title}: no network beyond {self.domain} of them is known, and this layout spans {span:,}",
                field="gpus",
                allowed=f"at most {self.domain}",
            )
        return min(self.up, max(1, ranks) * self.out) if self.up else self.out


def machine(hardware: Hardware, efficiency: Efficiency, dtype: str | None = None) -> Machine:
    """``dtype`` is that of the matmuls; attention runs in 16 bits."""
    up = hardware.scale_up.gb_per_s * 1e9 if hardware.scale_up else 0.0
    out = hardware.scale_out.gb_per_s * 1e9 if hardware.scale_out else 0.0
    return Machine(
        hardware,
        efficiency,
        hardware.flops(dtype or hardware.dtype) * efficiency.matmul,
        hardware.flops(hardware.dtype) * efficiency.attention,
        hardware.bytes_per_s * efficiency.memory,
        up * efficiency.link,
        out * efficiency.link,
    )


def seconds(task: Task, on: Machine, share: float, weight_bytes: float, act_bytes: float) -> float:
    """max(FLOPs / rate, bytes / bandwidth) + kernels: ``share`` of the op's FLOPs and traffic, and ``weight_bytes`` of its
    matrices.

    Williams et al. 2009. An elementwise op has only traffic.
    """
    rate = on.attention if task.kind == "attention" else on.matmul
    compute = task.flops * share / rate if task.kind != "elementwise" else 0.0
    traffic = (weight_bytes + task.moved * share * act_bytes) / on.memory
    return max(compute, traffic) + task.kernels * on.efficiency.kernel_s


class Placed(NamedTuple):
    """Work as a roofline shows it: what it multiplies, what it moves, how long that takes (an estimate)."""

    name: str
    flops: float
    bytes: float
    seconds: float

    @property
    def intensity(self) -> float:
        """FLOPs per byte moved.

        >>> Placed("x", 6.0, 2.0, 3.0).intensity
        3.0
        """
        return self.flops / self.bytes if self.bytes else 0.0

    @property
    def rate(self) -> float:
        """FLOP/s.

        >>> Placed("x", 6.0, 2.0, 3.0).rate
        2.0
        """
        return self.flops / self.seconds if self.seconds else 0.0


class Roof(NamedTuple):
    """What a machine cannot exceed: FLOP/s at its peak, bytes/s of its memory."""

    name: str
    flops_per_s: float
    bytes_per_s: float

    @property
    def ridge(self) -> float:
        """FLOPs per byte from which arithmetic binds.

        >>> Roof("x", 100.0, 4.0).ridge
        25.0
        """
        return self.flops_per_s / self.bytes_per_s

    def at(self, intensity: float) -> float:
        """min(peak, intensity · bandwidth), FLOP/s. Williams et al. 2009, CACM 52(4).

        >>> Roof("x", 100.0, 4.0).at(10), Roof("x", 100.0, 4.0).at(1000)
        (40.0, 100.0)
        """
        return min(self.flops_per_s, intensity * self.bytes_per_s)


def roofs(hardware: Hardware) -> list[Roof]:
    """One per number format that an accelerator multiplies, the highest first."""
    made = [Roof(dtype, hardware.flops(dtype), hardware.bytes_per_s) for dtype in hardware.dense_tflops]
    return sorted(made, key=lambda roof: -roof.flops_per_s)


class Roofline(NamedTuple):
    """The roofs of a machine and what stands under them."""

    roofs: list[Roof]
    placed: list[Placed]


def together(name: str, placed: Iterable[Placed]) -> Placed:
    """Several as one: sums.

    >>> together("both", [Placed("x", 1.0, 2.0, 3.0), Placed("y", 1.0, 1.0, 1.0)])
    Placed(name='both', flops=2.0, bytes=3.0, seconds=4.0)
    """
    each = list(placed)
    return Placed(name, sum(p.flops for p in each), sum(p.bytes for p in each), sum(p.seconds for p in each))
