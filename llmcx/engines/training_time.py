"""How long a training step takes: folds over the ops of each GPU, and the schedule of the pipeline. Estimates, all of them.

A step is the pipeline's (:meth:`Trainer.step`): every stage's micro-batches, forward and backward, with the tensor, context and
expert traffic that does not hide; the hand-overs; what the data-parallel reduction leaves uncovered; the optimizer. The GPU that
the others wait for is the slowest of the same ranks whose memory :mod:`llmcx.engines.training_memory` adds up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from llmcx.costs.flops import backward_fold
from llmcx.costs.flops import fold as flops_fold
from llmcx.costs.lora import LoRA
from llmcx.engines.programs import PROGRAMS, RECIPE
from llmcx.engines.recipe import Recipe
from llmcx.engines.training_memory import GPUBytes, StageWeights, TrainingMemory
from llmcx.engines.training_step import StagePass, TrainingStep
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import IDEAL, Efficiency, Machine, Placed, Roofline, machine, roof, seconds, sending, task, together
from llmcx.machine.systolic import stretch
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers, is_core
from llmcx.parallel.division import Division, division
from llmcx.parallel.layout import Layout, micro_batches
from llmcx.parallel.pipeline import Stage, distinct
from llmcx.parallel.ranks import Measured, Sums, Tally, pieces, rank_ops, tally, traffic_of

ACT, WEIGHT, GRADIENT = RECIPE.bytes.activation, RECIPE.bytes.weight, RECIPE.gradient
STATES = RECIPE.bytes.master + OPTIMIZERS[RECIPE.optimizer].states


class Timed(NamedTuple):
    """Seconds of one micro-batch on the stage that the others wait for, and of a step's ``bubble``. Of each stage that differs:
    parameters outside the experts and in them, seconds of a backward pass and of both passes.
    """

    compute: float
    recompute: float
    tensor: float
    context: float
    expert: float
    host: float
    bubble: float
    stages: list[tuple[int, int, float, float]]


LAST = ("out", "down")
"""Products that end a sublayer: what they give is added to the residual stream, and its backward pass asks for their inputs."""

ADAPTER = ("lora_a", "lora_b")
"""An adapter's two products."""

WIDE = ("fp32", "bf16", "fp16")
"""Formats of a frozen model that is multiplied as it is stored."""

NARROW = ("fp8", "fp6", "fp4", "int8", "int4")
"""Formats of matmuls to which activations are rounded first."""

HIDDEN = {"tensor": "hidden_tp", "context": "hidden_cp", "expert": "hidden_ep"}
"""What a GPU sends in a pass, and the efficiency's share of it that hides."""


class Trainer:
    """A model on an accelerator at one sequence length: lowered once per micro-batch, then asked about any number of layouts."""

    def __init__(
        self,
        spec: ModelSpec,
        seq: int,
        hardware: Hardware,
        efficiency: Efficiency = IDEAL,
        dtype: str | None = None,
        attention: str = "flash",
        engine: str = "megatron",
        sizes: TrainingMemory | None = None,
        lora: LoRA | None = None,
        frozen: str | None = None,
    ) -> None:
        """``engine`` of PROGRAMS; ``lora`` adapters on a model that is ``frozen`` in another format; ``sizes`` of the same model,
        length, attention, engine and adapters, where they are known already.
        """
        fused = attention != "eager"
        self.spec, self.seq, self.fused, self.hardware, self.dtype = spec, seq, fused, hardware, dtype
        self.machine: Machine = machine(hardware, dtype, efficiency)
        self.efficiency = efficiency
        self.narrow = dtype in NARROW
        # What is not a layer's matrix is multiplied in 16 bits; the bound leaves open that it were not.
        self.wider = 1.0 if efficiency == IDEAL else self.machine.flops / hardware.flops(hardware.dtype)
        self.byte = 1 if dtype == "fp8" else ACT
        self.engine, self.program = engine, PROGRAMS[engine]
        self.lora, self.packed = lora, frozen is not None and frozen not in WIDE
        self.base = replace(self.program.base, attention=attention, lora=lora, base=frozen)
        self.sizes = TrainingMemory(spec, seq, self.base) if sizes is None else sizes
        self._recipes: dict[tuple[str, str], Recipe] = {}
        # What must be computed: the pairs that the mask leaves, the experts that are chosen.
        needed = self.learned(lower(spec, Run(1, seq, fused=True, ideal=True)))
        self.model_flops = flops_fold.total(needed) + backward_fold.total(op for op in needed if op.kind != "recompute")
        done = [_plain(op) for op in self.learned(lower(spec, self.run(1)))]
        inside = [op for op in done if in_layers(op)]
        self.done_flops = flops_fold.total(done) + backward_fold.total(op for op in done if op.kind != "recompute")
        core = 0 if fused else flops_fold.total(op for op in inside if is_core(op))
        spared = (1 - efficiency.last_product) * flops_fold.total(op for op in inside if _ends(op))
        self.again_flops = {"none": 0, "selective": core, "elementwise": core, "full": flops_fold.total(inside) - spared}
        self.forget()

    def forget(self) -> None:
        """What was timed: at another efficiency it takes another time."""
        self._measured: Measured = {}
        self._tallies: dict[object, Tally] = {}
        self._passes: dict[object, list[tuple[Stage, int, StagePass]]] = {}
        self._stages: dict[object, list[tuple[int, int, float, float]]] = {}
        self._timed: dict[object, Timed] = {}
        self._updates: dict[object, tuple[float, float]] = {}

    def run(self, micro_batch: int) -> Run:
        """A micro-batch as it is timed: a fused attention multiplies what the mask leaves, eager code everything."""
        return Run(micro_batch, self.seq, fused=self.fused, ideal=self.fused)

    def learned(self, ops: Iterable[Op]) -> list[Op]:
        """The ops of a pass in which what is trained learns: everything, or adapters."""
        return list(ops) if self.lora is None else self.lora.trained(ops, self.spec)

    # --- one GPU -----------------------------------------------------------------------------------------------------

    def measure(self, op: Op) -> Sums:
        """Seconds of one op of a GPU: forward, backward, done again as a core, as elementwise, as part of a layer; of traffic; in
        which it is launched, and launched again.
        """
        if op.role == "traffic":
            return self._traffic(op)
        of = task(op, self.fused)
        if of is None:
            return _NOTHING
        on, e = self.machine, self.efficiency
        besides = 0.0
        if e.array or e.block or e.tile:
            of = of._replace(flops=of.flops * stretch(op, e.array, e.block, e.tile))
        if op.role == "expert" and of.kind == "matmul":
            of = of._replace(flops=of.flops / e.experts)
        elif op.role == "router":
            if op.kind == "product":
                of = of._replace(moved=of.moved * e.permuted / 3)
            elif op.kind == "linear":
                besides = op.times * e.routed_s
        elif op.role == "head" and op.kind == "linear":
            besides = op.dims["tokens"] * op.dims["d_out"] * e.logit / 2 / on.memory
        elif op.module in ADAPTER:
            besides = (
                op.times * op.dims["tokens"] * op.dims["d_in" if op.module == ADAPTER[0] else "d_out"] * e.adapted / on.memory
            )
        elif self.packed and op.kind == "linear" and in_layers(op):
            besides = of.weights * e.unpacked / on.memory
        size = of.weights * (self.byte if of.kind == "matmul" and in_layers(op) else ACT)
        if self.narrow and of.kind == "matmul":
            if op.kind == "linear" and in_layers(op) and op.role != "router":
                besides += of.moved * e.quantise / on.memory
            else:  # a head, a router, what mixes activations with activations
                of = of._replace(flops=of.flops * self.wider)
        forward = seconds(of, on, size, ACT)
        # Backward multiplies each matrix twice; a fused attention brings its scores back first: 5 products for 2.
        again = seconds(of._replace(flops=of.flops * 5 / 4), on, size, ACT) if of.kind == "attention" and self.fused else forward
        unfused = of.kind == "attention" and not self.fused
        inside, grads = in_layers(op), op.dims.get("grads", 2) if op.grad else 0
        launched = op.times * e.host_s
        return (
            forward + besides,
            grads * again + besides if grads else 0.0,
            forward if unfused and inside else 0.0,
            forward if inside and (unfused or of.kind == "elementwise") else 0.0,
            (forward + besides) * (e.last_product if _ends(op) else 1) if inside else 0.0,
            *_NO_TRAFFIC,
            (1 + grads) * launched,
            launched if inside else 0.0,
        )

    def _traffic(self, op: Op) -> Sums:
        forward, backward = sending(op, self.machine, self.byte if op.reads == "dispatch" else ACT)
        shown = 1 - getattr(self.efficiency, HIDDEN[op.module])
        both, once = (forward + backward) * shown, forward * shown if in_layers(op) else 0.0
        spent = {name: (both, once) if name == op.module else (0.0, 0.0) for name in HIDDEN}
        return (*_NOTHING[:5], *(pair[0] for pair in spent.values()), *(pair[1] for pair in spent.values()), 0.0, 0.0)

    def passes(self, layout: Layout, by: Division) -> list[tuple[Stage, int, StagePass]]:
        """One micro-batch on a GPU of each stage that differs, and how many stages there are like it. Cached: layouts differ in
        far fewer of these than there are layouts.
        """
        key = (by, layout.pp, layout.virtual, layout.micro_batch)
        found = self._passes.get(key)
        if found is None:
            stages = distinct(self.spec.runs, layout.pp, layout.virtual)
            if self.lora is not None:  # whose first layers differ from the others; each GPU has them all
                [(stage, many)] = stages
                spent = map(
                    sum, zip(*map(self.measure, self.learned(lower(self.spec, self.run(layout.micro_batch)))), strict=True)
                )
                found = self._passes[key] = [(stage, many, StagePass(*spent))]
                return found
            of = self._tally(by, layout.micro_batch)
            found = self._passes[key] = [
                (stage, many, self._added_up(StagePass(*of.of(stage)), stage, by)) for stage, many in stages
            ]
        return found

    def _added_up(self, one: StagePass, stage: Stage, by: Division) -> StagePass:
        """With its gradients added to those of the micro-batches before."""
        each = self.efficiency.accumulated / self.machine.memory
        if not each:
            return one
        weights = self.sizes.weights(stage, by)
        return one._replace(backward=one.backward + each * (weights.params + weights.experts))

    def _tally(self, by: Division, micro_batch: int) -> Tally:
        key = (by, micro_batch)
        if key not in self._tallies:
            self._tallies[key] = tally(
                pieces(self.spec, self.run(micro_batch), by), self.measure, len(StagePass._fields), self._measured
            )
        return self._tallies[key]

    # --- one step ----------------------------------------------------------------------------------------------------

    def step(self, layout: Layout, global_batch: int) -> TrainingStep:
        """Seconds of one step of ``global_batch`` sequences, as the slowest stage has them (:meth:`timed`)."""
        m, e = micro_batches(layout, global_batch), self.efficiency
        compute, again, tensor, context, expert, host, bubble, stages = self.timed(layout)
        handed = 0.0
        if layout.pp > 1:
            handed = m * self._handed(layout) * (1 - e.hidden_pp)
        reduced, updated = max([self.update(layout, m, *stage) for stage in stages], key=sum)
        return TrainingStep(
            m * compute, m * again, bubble, m * tensor, m * context, m * expert, handed, reduced, updated + e.step_s, m * host
        )

    def timed(self, layout: Layout) -> Timed:
        """What does not depend on how often the model is replicated, so that layouts share it.

        1F1B takes (m - 1) max t + Σ t over the stages' times t for m micro-batches, so that the slowest stage waits for
        (Σ t - max t) / v with v chunks of layers per stage (Narayanan et al. 2021, arXiv:2104.04473, sec. 2.2).
        """
        by, how = division(layout), layout.recompute
        key = (by, layout.pp, layout.virtual, layout.micro_batch)
        found = self._timed.get((key, how))
        if found is None:
            stages = self.passes(layout, by)
            times = [one.total(how) for _, _, one in stages]
            slowest = max(range(len(stages)), key=times.__getitem__)
            one, full = stages[slowest][2], how == "full"
            waited = sum([many * time for (_, many, _), time in zip(stages, times, strict=True)]) - times[slowest]
            if key not in self._stages:
                weights = [self._learning(self.sizes.weights(stage, by)) for stage, _, _ in stages]
                self._stages[key] = [
                    (*of, each.backward, each.forward + each.backward) for of, (_, _, each) in zip(weights, stages, strict=True)
                ]
            found = self._timed[key, how] = Timed(
                one.forward + one.backward,
                one.again(how),
                one.tensor + full * one.tensor_again,
                one.context + full * one.context_again,
                one.expert + full * one.expert_again,
                one.waits(how),
                waited / layout.virtual,
                self._stages[key],
            )
        return found

    def _handed(self, layout: Layout) -> float:
        """Seconds in which a stage hands a micro-batch over: its output forward and the gradient backward, once per chunk of
        layers, split among the tensor ranks.
        """
        size = layout.micro_batch * -(-self.seq // layout.cp) * self.spec.d_model * ACT / layout.tp
        apart = layout.tp * layout.replicas
        return 2 * layout.virtual * (size / self.machine.between(2, apart) + self.efficiency.link_s)

    def update(self, layout: Layout, m: int, dense: int, experts: int, backward: float, both: float) -> tuple[float, float]:
        """Seconds in which a stage's GPU reduces gradients and gathers weights, less what hides behind its backward pass; and
        those in which the optimizer reads and writes its states.
        """
        key = (dense, experts, layout.tp, layout.ep, layout.replicas, layout.zero, layout.shard)
        found = self._updates.get(key)
        if found is None:
            found = self._updates[key] = self._sent(dense, experts, layout), self._updated(dense, experts, layout)
        sent, updated = found
        if not sent:
            return 0.0, updated
        each = layout.zero == 3
        sent, behind = sent * (m if each else 1), m * (both if each else backward)
        return max(sent * (1 - self.efficiency.hidden_dp), sent - behind), updated

    def _learning(self, of: StageWeights) -> tuple[int, int]:
        """Parameters that a stage trains outside the experts, and in them."""
        return (of.params, of.experts) if self.lora is None else (of.adapters, 0)

    def frozen_bytes(self, layout: Layout) -> int:
        """Of a frozen model that ZeRO-3 shares out, as it is stored."""
        if self.lora is None or layout.zero < 3:
            return 0
        [(stage, _)] = distinct(self.spec.runs, layout.pp, layout.virtual)
        return self.sizes.weights(stage, division(layout)).frozen

    def _sent(self, dense: int, experts: int, layout: Layout) -> float:
        """Seconds in which so many gradients are reduced and weights gathered once, a frozen model for a forward and a backward
        pass.
        """
        sent = 0.0
        for op in traffic_of(dense, experts, layout):
            sent += sum(sending(op, self.machine, GRADIENT if op.reads == "gradients" else WEIGHT))
        gathers = traffic_of(self.frozen_bytes(layout), 0, layout)[:1]
        return sent + sum(sum(sending(op, self.machine, 1)) for op in gathers)

    def _updated(self, dense: int, experts: int, layout: Layout) -> float:
        """Seconds in which the optimizer updates so many parameters, those that ZeRO leaves a GPU of them."""
        params = float(dense + experts)
        if layout.zero:
            params = dense / layout.sharers + experts / layout.expert_sharers
        return params * (2 * STATES + GRADIENT + WEIGHT) / self.machine.memory

    # --- what it comes to --------------------------------------------------------------------------------------------

    def recipe(self, layout: Layout) -> Recipe:
        """How a micro-batch is trained, as `llmcx memory --train` is asked for it."""
        key = (self.program.counts_as(layout, self.lora is not None), layout.recompute)
        if key not in self._recipes:
            self._recipes[key] = replace(self.base, engine=key[0], recompute=key[1])
        return self._recipes[key]

    def memory(self, layout: Layout, global_batch: int) -> GPUBytes:
        """Bytes on the fullest GPU: `llmcx memory --train`'s."""
        asked = layout._replace(micro_batches=micro_batches(layout, global_batch))
        return self.sizes.fullest(asked, layout.micro_batch, self.recipe(layout))

    def mfu(self, step_s: float, layout: Layout, global_batch: int, peak: float) -> tuple[float, float]:
        """Model and hardware FLOPs utilisation (Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1 and appendix B).

        FLOPs of forward and backward that must be done / (seconds · GPUs · peak): of the experts that are chosen, of the pairs
        that the causal mask or a window leaves. Hardware FLOPs are those that are done, with what is done again. Above 1, or
        what the highest clock makes of it, is an error of the estimate: raises ArithmeticError.
        """
        available = step_s * layout.gpus * peak
        model = global_batch * self.model_flops / available
        hardware = global_batch * (self.done_flops + self.again_flops[layout.recompute]) / available
        most = self.hardware.boost or 1.0  # of the datasheet's peak
        if max(model, hardware) > most + 1e-9:
            raise ArithmeticError(f"MFU {model:.4f}, HFU {hardware:.4f}: more than the peak; {layout}")
        return min(model, most), min(hardware, most)

    def roofline(self, layout: Layout) -> Roofline:
        """One micro-batch's forward pass on a GPU of the first stage, part by part and together, under the roof of the matmuls'
        format.

        Time as in a step, communication left out: max(FLOPs / rate, bytes / bandwidth) op by op, at this trainer's efficiency.
        Parts that multiply nothing stand in the pass alone. Source: Williams et al. 2009, CACM 52(4).
        """
        parts: dict[str, list[Placed]] = {}
        for op in rank_ops(self.spec, self.run(layout.micro_batch), layout):
            of = task(op, self.fused)
            if of is None:
                continue
            size = float(of.weights * (self.byte if in_layers(op) else ACT))
            flops = 0.0 if of.kind == "elementwise" else float(of.flops)
            spent = seconds(of, self.machine, size, ACT)
            parts.setdefault(op.role, []).append(Placed(op.role, flops, size + of.moved * ACT, spent))
        placed = [together(name.replace("_", " "), each) for name, each in parts.items()]
        whole = together("forward pass", placed)
        return Roofline([roof(self.hardware, self.dtype)], [*(one for one in placed if one.flops and one.bytes), whole])


def _ends(op: Op) -> bool:
    """Whether this is a sublayer's last product. A routed expert's is not: its weight's gradient reads what it gives."""
    return op.kind == "linear" and op.module in LAST and op.role != "expert" and in_layers(op)


def _plain(op: Op) -> Op:
    """A filter meets its own channel alone, whatever FlopCounterMode counts."""
    return op._replace(dims=op.dims | {"met": 1}) if op.kind == "conv" else op


_NO_TRAFFIC = (0.0,) * 6
_NOTHING = (0.0,) * len(StagePass._fields)
