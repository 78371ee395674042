"""One machine, one roofline: an op takes as long as its multiplications or its memory traffic, whichever takes longer.

Williams et al. 2009, "Roofline", CACM 52(4). All results are estimates, in seconds. An :class:`Efficiency` says what share of
each peak is reached: :data:`IDEAL` gives a bound that nothing beats, a calibrated one an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, NamedTuple

from llmcx.costs.communication import sent_backward_fold, sent_fold
from llmcx.costs.flops import fold as flops_fold
from llmcx.costs.params import fold as params_fold
from llmcx.costs.traffic import kernels, moved_fold, traffic
from llmcx.errors import InputError, shown, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.ops.op import Op

WHOLE_CHIP = 108 * 192 * 1024
"""Tiles that all multiprocessors hold together, where a machine states no figure of its own: an A100's 108 with 192 KiB each
(Dao et al. 2022, sec. 2.1). They work on the same keys at about the same time, so memory sends those once for all of them.
"""


AMOUNTS = ("permuted", "quantise", "logit", "accumulated", "array", "block", "tile")
"""Numbers of an :class:`Efficiency` that are no shares and no seconds."""


@dataclass(frozen=True)
class Efficiency:
    """Shares of the peaks that a run reaches, each in (0, 1]; the shares of the communication that hides behind arithmetic, in
    [0, 1]; and what each kernel, collective and step costs besides, in seconds.

    ``matmul`` and ``attention`` of the dense peak, ``experts`` what experts' matmuls reach of others' rate, ``memory`` and
    ``link`` of the bandwidths. ``hidden_*`` by kind of parallelism. ``routed_s`` is what a layer of experts costs besides in each
    pass, forward or backward, and ``permuted`` how often each hidden vector sent to an expert is read or written on its way there
    and back (3 in the weighted sum alone). ``quantise`` bytes move for each number that a matmul in fewer than 16 bits reads or
    writes, to round it, scale it and lay it out; ``logit`` bytes for each logit, in the loss and its gradient. ``last_product``
    is the share of a sublayer's last product that full recomputation does again: the backward pass does not need it.
    ``accumulated`` bytes move for each parameter and micro-batch where gradients are added up by kernels of their own. ``array``
    is the side of a systolic array, ``block`` the keys that an attention kernel meets at once, ``tile`` the rows that a grouped
    matmul takes at once (0: of any size; :mod:`llmcx.machine.systolic`).
    """

    matmul: float = 1.0
    attention: float = 1.0
    experts: float = 1.0
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
    routed_s: float = 0.0
    permuted: float = 3.0
    quantise: float = 0.0
    logit: float = 0.0
    last_product: float = 0.0
    accumulated: float = 0.0
    array: float = 0.0
    block: float = 0.0
    tile: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            amount = field.name.endswith("_s") or field.name in AMOUNTS
            least_ok = value >= 0 if amount or field.name.startswith(("hidden", "last")) else value > 0
            if not isfinite(value) or not least_ok or (not amount and value > 1):
                allowed = "0 or more" if amount else "between 0 and 1"
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


class Machine(NamedTuple):
    """An accelerator at work. ``flops`` a second of matmuls, ``bandwidth`` bytes a second of memory, ``on_chip`` bytes for tiles,
    ``link`` bytes a second that one device sends to the next (None: unknown): the peaks, as integers. Then the rates that an
    efficiency leaves of them, FLOP/s and bytes/s; ``up`` within a domain of ``domain`` accelerators, ``out`` beyond it, each way
    and for one accelerator.
    """

    name: str
    flops: int
    bandwidth: int
    on_chip: int
    link: int | None
    matmul: float
    attention: float
    memory: float
    up: float
    out: float
    domain: int
    efficiency: Efficiency = IDEAL

    def between(self, ranks: int, stride: int = 1) -> float:
        """Bytes/s of a ring of ``ranks`` accelerators that are ``stride`` apart.

        Within a domain the fast network; beyond it, as many NICs of a domain as there are ranks in it, never faster than the fast
        network. Raises InputError where no network reaches so far.
        """
        if ranks * stride <= self.domain:
            return self.up
        if not self.out:
            raise InputError(
                f"{self.name}: no network beyond {self.domain} of them is known, and this layout spans {ranks * stride:,}",
                field="gpus",
                allowed=f"at most {self.domain}",
            )
        inside = max(1, min(ranks, self.domain // stride))
        return min(self.up, inside * self.out) if self.up else self.out


ARITHMETIC = {"fp32": ("tf32", "fp32"), "tf32": ("tf32",), "bf16": ("bf16", "fp16"), "fp16": ("fp16", "bf16")}
"""Matmul rates that serve numbers stored in a dtype, the first one that a machine has."""


def machine(hardware: Hardware, dtype: str | None = None, efficiency: Efficiency = IDEAL, on_chip: int | None = None) -> Machine:
    """``hardware`` with matmuls in ``dtype`` (None: its 16-bit format); attention runs in 16 bits.

    ``on_chip`` bytes override the memory of all its processors together, since they work on the same keys at about the same time;
    else its shared cache. The bound holds at the highest clock; an efficiency is a share of what the datasheet states. Raises
    InputError for a dtype that it does not multiply.
    """
    kinds = ARITHMETIC.get(dtype or hardware.dtype, (dtype or hardware.dtype,))
    rate = hardware.flops(next((kind for kind in kinds if kind in hardware.dense_tflops), dtype or hardware.dtype))
    lift = (hardware.boost or 1.0) if efficiency == IDEAL else 1.0
    rate *= lift
    up = hardware.scale_up.gb_per_s * 1e9 if hardware.scale_up else 0.0
    out = hardware.scale_out.gb_per_s * 1e9 if hardware.scale_out else 0.0
    of = efficiency
    return Machine(
        hardware.title,
        flops=round(rate),
        bandwidth=round(hardware.bytes_per_s),
        on_chip=on_chip or hardware.chip_bytes or WHOLE_CHIP,
        link=round(up) or None,
        matmul=rate * of.matmul,
        attention=hardware.flops(hardware.dtype) * lift * of.attention,
        memory=hardware.bytes_per_s * of.memory,
        up=up * of.link,
        out=out * of.link,
        domain=hardware.domain,
        efficiency=of,
    )


# --- one op --------------------------------------------------------------------------------------------------------

MATRIX = ("linear", "matmul", "conv", "solve")
CORE = ("scores", "values")


class Task(NamedTuple):
    """An op as a machine sees it: ``flops``, ``weights`` (elements of the matrices, all copies), ``moved`` elements of
    activations, and how many ``kernels`` run. ``kind`` is "matmul", "attention" or "elementwise".
    """

    kind: str
    flops: float
    weights: int
    moved: float
    kernels: int


def task(op: Op, fused: bool = True) -> Task | None:
    """An op as work; None where there is none. ``fused`` kernels keep attention's scores on the chip and a gated activation with
    its product; else scores are written, softmaxed and read back: 4 passes.
    """
    if (fused and op.joined) or op.role == "traffic":
        return None
    flops, moved = flops_fold.of(op), moved_fold.of(op)
    core = op.kind in CORE or (op.kind == "softmax" and op.role != "router")
    weights = 0
    if core:
        kind = "attention"
        moved = 0 if fused or op.kind != "softmax" else 4 * op.times * op.dims["elements"]
    elif op.kind in MATRIX:
        kind, weights = "matmul", params_fold.of(op)
        if op.kind == "linear":  # a tied or shared matrix is read all the same
            weights = op.times * max(op.copies, 1) * params_fold.rules["linear"].compute(**op.dims | {"tied": 0})
    else:
        kind = "elementwise"
    if not flops and not moved:
        return None
    return Task(kind, flops, weights, moved, 0 if fused and core and op.kind != "scores" else op.times)


def seconds(of: Task, on: Machine, weight_bytes: float, act_bytes: float) -> float:
    """max(FLOPs / rate, bytes / bandwidth) + kernels, with ``weight_bytes`` of matrices and ``act_bytes`` an activation.

    Williams et al. 2009. An elementwise op has only traffic.
    """
    rate = on.attention if of.kind == "attention" else on.matmul
    compute = of.flops / rate if of.kind != "elementwise" else 0.0
    return max(compute, (weight_bytes + of.moved * act_bytes) / on.memory) + of.kernels * on.efficiency.kernel_s


def sending(op: Op, on: Machine, size: float) -> tuple[float, float]:
    """Seconds of what a rank sends, forward and backward, with ``size`` bytes an element: bytes / link, and the latency of each.

    Of an all-to-all, a token goes once to each domain that holds one of its experts, then on within it (DeepSeek-AI 2024,
    arXiv:2412.19437, sec. 3.2.2); experts are taken as uniformly met.
    """
    d, latency = op.dims, on.efficiency.link_s
    if op.kind == "all_to_all":
        once = _all_to_all(d["elements"] * size, op.copies, d["ranks"], d["stride"], on) + latency
        return op.times * d["forward"] * once, op.times * d["backward"] * once
    ranks = 2 if op.kind == "send" else d["ranks"]
    rate = on.between(ranks, d["stride"])
    forward, backward = sent_fold.of(op) * size / rate, sent_backward_fold.of(op) * size / rate
    return forward + op.times * d["forward"] * latency, backward + op.times * d["backward"] * latency


def _all_to_all(size: float, top_k: int, ranks: int, stride: int, on: Machine) -> float:
    local = max(1, min(ranks, on.domain // stride))  # ranks of the group within a domain
    domains = max(1, ranks // local)
    inside = size * (local - 1) / local / on.up if on.up else 0.0
    if domains == 1:
        return inside
    met = domains * (1 - (1 - 1 / domains) ** top_k)  # of the domains, by a token
    return max(inside, met * size / top_k * (domains - 1) / domains / on.between(2, on.domain))


# --- kernels one after the other -----------------------------------------------------------------------------------


class Time(NamedTuple):
    """Kernels one after the other, each as long as the resource that binds it takes.

    ``ticks`` is the time in units of 1 / (flops · bandwidth) seconds, an exact integer; ``binds`` the resource that most of it
    waits for.
    """

    ticks: int
    seconds: float
    binds: str


def roofline(ops: Iterable[Op], on: Machine, act: int, devices: int = 1, sent: int = 0) -> Time:
    """The least time that ``ops`` take on each of ``devices`` machines which share them evenly and send ``sent`` bytes each
    meanwhile.

    A kernel takes max(FLOPs / flops, bytes / bandwidth) (Williams et al. 2009, doi:10.1145/1498765.1498785). Elementwise
    arithmetic is free, launches too, and every pattern is as efficient as a dense matmul: a bound, not a measurement.
    """
    moved = traffic(on.on_chip, act)
    spent: dict[str, int] = {"compute": 0, "memory": 0, "link": 0}
    for kernel in kernels(ops):
        compute = flops_fold.total(kernel) * on.bandwidth
        memory = moved.total(kernel) * on.flops
        spent["compute" if compute >= memory else "memory"] += max(compute, memory)
    binds = max(spent, key=lambda name: spent[name])
    ticks = -(-sum(spent.values()) // devices)
    if sent and on.link:
        passing = -(-sent * on.flops * on.bandwidth // on.link)
        ticks, binds = (passing, "link") if passing > ticks else (ticks, binds)
    return Time(ticks, ticks / (on.flops * on.bandwidth), binds)


# --- the picture ---------------------------------------------------------------------------------------------------


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


class Roofline(NamedTuple):
    """The roofs of a machine and what stands under them."""

    roofs: list[Roof]
    placed: list[Placed]


def roof(hardware: Hardware, dtype: str | None) -> Roof:
    """The roof of one number format that an accelerator multiplies (None: its 16-bit format)."""
    name = dtype or hardware.dtype
    return Roof(name, hardware.flops(name), hardware.bytes_per_s)


def roofs(hardware: Hardware) -> list[Roof]:
    """One per number format that an accelerator multiplies, the highest first."""
    return sorted((roof(hardware, dtype) for dtype in hardware.dense_tflops), key=lambda each: -each.flops_per_s)


def together(name: str, placed: Iterable[Placed]) -> Placed:
    """Several as one: sums.

    >>> together("both", [Placed("x", 1.0, 2.0, 3.0), Placed("y", 1.0, 1.0, 1.0)])
    Placed(name='both', flops=2.0, bytes=3.0, seconds=4.0)
    """
    each = list(placed)
    return Placed(name, sum(p.flops for p in each), sum(p.bytes for p in each), sum(p.seconds for p in each))
