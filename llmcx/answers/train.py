"""The time of a training step, its parts, and what a whole run comes to. Estimates, all of them.

A step of a layout is: (m + (p - 1)/v) micro-batches of the fullest stage, forward and backward, with the tensor, context and
expert traffic that does not hide; the pipeline's hand-overs; what the data-parallel reduction leaves uncovered; the optimizer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil
from typing import NamedTuple

from llmcx.costs.flops import backward_fold
from llmcx.costs.flops import fold as flops_fold
from llmcx.costs.params import fold as params_fold
from llmcx.costs.saved_activations import RECOMPUTE
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import IDEAL, Efficiency, Machine, Placed, Roofline, Task, machine, roofs, seconds, tasks, together
from llmcx.model.lower import Run, lower
from llmcx.model.spec import Attention, ModelSpec
from llmcx.ops.fold import Line
from llmcx.ops.op import in_layers
from llmcx.parallel.layout import Layout, check, micro_batches
from llmcx.parallel.method import PRECISIONS, Method
from llmcx.parallel.shares import Memory, Shares

METHOD = Method("megatron", kernels="fused", attention="flash")
"""What is trained here: Megatron-LM's mixed precision and kernels, Adam, fused attention unless it is eager."""
_FORMAT = PRECISIONS[METHOD.precision]
ACT, WEIGHT, GRADIENT = _FORMAT.activation, _FORMAT.weight, _FORMAT.gradient  # bytes; activations are what is sent
STATES = _FORMAT.master + OPTIMIZERS[METHOD.optimizer].states


class Step(NamedTuple):
    """Seconds of one step, by what they are spent on. Communication is what is not hidden."""

    compute: float
    recompute: float
    bubble: float
    tensor: float
    context: float
    expert: float
    pipeline: float
    data: float
    optimizer: float

    @property
    def total(self) -> float:
        return sum(self)


SPENT_ON = {
    "compute": "arithmetic, memory traffic",
    "recompute": "recomputation",
    "bubble": "pipeline bubble",
    "tensor": "tensor-parallel traffic",
    "context": "context-parallel traffic",
    "expert": "all-to-all",
    "pipeline": "pipeline hand-overs",
    "data": "data-parallel traffic",
    "optimizer": "optimizer",
}
"""What a reader is told of each part of a :class:`Step`."""


class Layer(NamedTuple):
    """One average layer on one GPU, one micro-batch: seconds forward, backward, done again, and of traffic not hidden."""

    forward: float
    backward: float
    again: dict[str, float]
    tensor: float
    context: float
    expert: float


class Trainer:
    """A model on an accelerator at one sequence length: lowered once, then asked about any number of layouts."""

    def __init__(
        self,
        spec: ModelSpec,
        seq: int,
        hardware: Hardware,
        efficiency: Efficiency = IDEAL,
        dtype: str | None = None,
        fused: bool = True,
    ) -> None:
        self.spec, self.seq, self.fused = spec, seq, fused
        self.machine: Machine = machine(hardware, efficiency, dtype)
        self.efficiency = efficiency
        ops = lower(spec, Run(1, seq, fused=fused, ideal=fused))
        eager = lower(spec, Run(1, seq))
        self.flops = flops_fold.total(eager)
        self.backward_flops = backward_fold.total(eager)
        self.layer_flops = flops_fold.total(op for op in eager if in_layers(op))
        all_tasks = tasks(ops, fused)
        self.inside = [task for task in all_tasks if in_layers(task)]
        self.outside = [task for task in all_tasks if not in_layers(task)]
        experts = [op for op in ops if op.component.startswith("moe.expert")]
        self.expert_params = params_fold.total(experts) / spec.n_layers
        all_params = params_fold.total(op for op in ops if in_layers(op))
        self.layer_params = (all_params - params_fold.total(experts)) / spec.n_layers
        method = METHOD if fused else replace(METHOD, attention="eager")
        self.methods = {recompute: replace(method, recompute=recompute) for recompute in RECOMPUTE}
        self.shares = Shares(spec, seq, method)
        self.byte = 1 if dtype == "fp8" else ACT
        attention = [(g.repeat, g.mixer) for g in spec.groups if isinstance(g.mixer, Attention)]
        self.kv_width = sum(n * 2 * a.kv_heads * a.width(spec.d_model) for n, a in attention) / spec.n_layers
        self.top_k = sum(n * part.top_k for n, part in spec.mixtures) / spec.n_layers
        self._layers: dict[tuple[int, int, int, int, bool], Layer] = {}
        self._ends: dict[tuple[int, int, int], float] = {}

    # --- one layer ---------------------------------------------------------------------------------------------------

    def layer(self, tp: int, cp: int, ep: int, micro_batch: int, sequence: bool) -> Layer:
        """Cached: layouts differ in far fewer of these than there are layouts."""
        key = (tp, cp, ep, micro_batch, sequence)
        found = self._layers.get(key)
        if found is None:
            found = self._layers[key] = self._layer(*key)
        return found

    def _layer(self, tp: int, cp: int, ep: int, micro_batch: int, sequence: bool) -> Layer:
        n, e, on = self.spec.n_layers, self.efficiency, self.machine

        def time(task: Task, factor: float = 1.0) -> float:
            share, weights = self._part(task, tp, cp, ep, micro_batch, sequence)
            task = task if factor == 1 else task._replace(flops=int(task.flops * factor))
            return seconds(task, on, share, weights, ACT) / n

        once = [(task, time(task)) for task in self.inside]
        forward = sum(spent for _, spent in once)
        # Backward multiplies each matrix twice; a fused attention brings its scores back first: 5 products for 2.
        backward = sum(2 * (time(task, 1.25) if task.kind == "attention" and self.fused else spent) for task, spent in once)
        unfused = () if self.fused else ("attention",)
        core = sum(spent for task, spent in once if task.kind in unfused)
        light = sum(spent for task, spent in once if task.kind in ("elementwise", *unfused))
        again = {"none": 0.0, "selective": core, "elementwise": light, "full": forward}

        tokens = micro_batch * self.seq / cp
        size = tokens * self.spec.d_model * ACT
        # Two all-reduces forward and two backward (Shoeybi et al. 2019, arXiv:1909.08053, sec. 3), each 2 (t - 1)/t of the
        # tensor; with sequence parallelism a reduce-scatter and an all-gather of the same bytes (Korthikanti et al. 2022, sec.
        # 4.2.2).
        tensor = 0.0
        if tp > 1:
            tensor = 4 * (2 * (tp - 1) / tp * size / on.link(tp, tp) + e.link_s) * (1 - e.hidden_tp)
        # Keys and values go round the ring forward, they and their gradients backward (Liu et al. 2023, arXiv:2310.01889).
        context = 0.0
        if cp > 1:
            moved = 3 * (cp - 1) * tokens * self.kv_width / tp * ACT
            context = moved / on.link(tp * cp, cp) * (1 - e.hidden_cp)
        return Layer(forward, backward, again, tensor, context, self._all_to_all(tp, ep, tokens))

    def _part(self, task: Task, tp: int, cp: int, ep: int, micro_batch: int, sequence: bool) -> tuple[float, float]:
        """What one GPU has of an op: the share of its FLOPs and traffic, and the bytes of its matrices."""
        replicated = not sequence and task.kind == "elementwise" and task.component.startswith(("norm", "residual"))
        return micro_batch / (cp if replicated else tp * cp), task.weights / (tp * (ep if task.expert else 1)) * self.byte

    def roofline(self, layout: Layout, hardware: Hardware, dtype: str | None = None) -> Roofline:
        """One micro-batch's forward pass on one GPU, part by part and together, under the roof of the matmuls' format.

        Time as in a step, communication left out: max(FLOPs / rate, bytes / bandwidth) op by op, at this trainer's efficiency.
        Parts that multiply nothing stand in the pass alone. Source: Williams et al. 2009, CACM 52(4).
        """
        parts: dict[str, list[Placed]] = {}
        for task in (*self.inside, *self.outside):
            share, size = self._part(task, layout.tp, layout.cp, layout.ep, layout.micro_batch, layout.sequence)
            time = seconds(task, self.machine, share, size, ACT)
            name = task.component.partition(".")[0]
            flops = 0.0 if task.kind == "elementwise" else task.flops * share
            parts.setdefault(name, []).append(Placed(name, flops, size + task.moved * share * ACT, time))
        placed = [together(name, each) for name, each in parts.items()]
        whole = together("forward pass", placed)
        roof = dtype or hardware.dtype
        shown = [one for one in placed if one.flops and one.bytes]
        return Roofline([one for one in roofs(hardware) if one.name == roof], [*shown, whole])

    def _all_to_all(self, tp: int, ep: int, tokens: float) -> float:
        """Dispatch and combine, forward and backward. A token goes once to each domain that holds one of its experts, then on
        within it (DeepSeek-AI 2024, arXiv:2412.19437, sec. 3.2.2); experts are taken as uniformly met.
        """
        if ep == 1 or not self.top_k:
            return 0.0
        on = self.machine
        size = tokens / tp * self.spec.d_model * (ACT + self.byte) / 2
        local = max(1, min(ep, on.domain // tp))  # ranks of the group within a domain
        domains = max(1, ep // local)
        inside = self.top_k * size * (local - 1) / local / on.up if on.up else 0.0
        met = domains * (1 - (1 - 1 / domains) ** self.top_k)
        across = met * size * (domains - 1) / domains / on.out if domains > 1 else 0.0
        return 4 * (max(inside, across) + self.efficiency.link_s) * (1 - self.efficiency.hidden_ep)

    def ends(self, tp: int, cp: int, micro_batch: int) -> float:
        """Embedding, final norm and head, forward and backward, on one GPU."""
        key = (tp, cp, micro_batch)
        if key not in self._ends:
            on, share = self.machine, micro_batch / (tp * cp)
            self._ends[key] = 3 * sum(seconds(task, on, share, task.weights / tp * ACT, ACT) for task in self.outside)
        return self._ends[key]

    # --- one step ----------------------------------------------------------------------------------------------------

    def step(self, layout: Layout, global_batch: int) -> Step:
        """Seconds of one step of ``global_batch`` sequences."""
        tp, pp, cp, ep, dp, mb, v, recompute, zero, sequence = layout
        on, e = self.machine, self.efficiency
        m = micro_batches(layout, global_batch)
        n = self.spec.n_layers
        layer = self.layer(tp, cp, ep, mb, sequence)
        # The fullest stage: ceil(L/p) layers, or the last one's share and the head.
        layers: float = ceil(n / pp)
        last = n - (pp - 1) * layers if n > (pp - 1) * layers else n / pp
        ends = self.ends(tp, cp, mb)
        one = layer.forward + layer.backward + layer.again[recompute] + layer.tensor + layer.context + layer.expert
        if recompute == "full":
            one += layer.tensor / 2 + layer.context / 3 + layer.expert / 2  # the forward's traffic again
        if last * one + ends > layers * one:
            layers = last
            head = ends
        else:
            head = 0.0 if pp > 1 else ends
        stage = layers * one + head
        again = 1.5 if recompute == "full" else 1.0
        bubble = (pp - 1) / v * stage
        # Hand-overs of a stage's output, split among the tensor ranks, forward and backward, once per chunk of layers.
        handed = 0.0
        if pp > 1:
            size = mb * self.seq / cp * self.spec.d_model * ACT / tp
            handed = 2 * m * v * (size / on.link(layout.gpus, tp) + e.link_s) * (1 - e.hidden_pp)
        data = self._data(layout, layers, m, m * layers * (layer.backward if zero < 3 else layer.forward + layer.backward))
        params = layers * (self.layer_params / tp + self.expert_params / (tp * ep))
        shards = dp * cp if zero else 1
        optimizer = params * (2 * STATES + GRADIENT + WEIGHT) / shards / on.memory
        return Step(
            compute=m * (layers * (layer.forward + layer.backward) + head),
            recompute=m * layers * layer.again[recompute],
            bubble=bubble,
            tensor=m * layers * layer.tensor * again,
            context=m * layers * layer.context * (4 / 3 if recompute == "full" else 1.0),
            expert=m * layers * layer.expert * again,
            pipeline=handed,
            data=data,
            optimizer=optimizer + e.step_s,
        )

    def _data(self, layout: Layout, layers: float, micro_batches: int, backward: float) -> float:
        """Gradients reduced and weights gathered, (n - 1)/n of each, less what hides behind the backward pass. ZeRO-3 gathers the
        weights for every forward and backward, and reduces, micro-batch by micro-batch (Rajbhandari et al. 2020,
        arXiv:1910.02054, sec. 7; PyTorch FSDP).
        """
        tp, cp, ep, dp = layout.tp, layout.cp, layout.ep, layout.dp
        ranks = dp * cp
        if ranks == 1:
            return 0.0
        on = self.machine
        per_param = WEIGHT + GRADIENT if layout.zero < 3 else micro_batches * 3 * WEIGHT
        time = 0.0
        for params, group in ((self.layer_params / tp, ranks), (self.expert_params / (tp * ep), ranks // ep)):
            if group > 1 and params:
                inside = max(1, on.domain // tp) if group == ranks else max(1, on.domain // (tp * ep))
                time += layers * params * per_param * (group - 1) / group / on.link(tp * ranks, inside)
        return max(time * (1 - self.efficiency.hidden_dp), time - backward)

    # --- what it comes to --------------------------------------------------------------------------------------------

    def memory(self, layout: Layout, global_batch: int) -> Memory:
        """Bytes on the fullest GPU: `llmcx memory --train`'s, with :data:`METHOD` and what the layout recomputes."""
        ways = layout.ways(micro_batches(layout, global_batch))
        return self.shares.fullest(ways, layout.micro_batch, self.methods[layout.recompute])

    def mfu(self, step_s: float, layout: Layout, global_batch: int, peak: float) -> tuple[float, float]:
        """Model and hardware FLOPs utilisation (Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1 and appendix B): FLOPs of
        forward and backward over what the peak would do; hardware's with what is done again.

        FLOPs are `llmcx flops`'s: 2 per multiply-add, the full score matrix, the head on every token.
        """
        model = global_batch * (self.flops + self.backward_flops)
        again = global_batch * self.layer_flops if layout.recompute == "full" else 0
        available = step_s * layout.gpus * peak
        return model / available, (model + again) / available


@dataclass(frozen=True)
class Outcome:
    """What a run comes to at one set of efficiencies. ``mfu`` and ``hfu`` are results here, not inputs."""

    step_s: float
    step: dict[str, float]
    seconds: float
    days: float
    gpu_hours: float
    tokens_per_s_gpu: float
    mfu: float
    hfu: float
    usd: float | None
    energy_kwh: float | None
    co2_kg: float | None


@dataclass(frozen=True)
class Costs:
    """What an hour, a kWh and a site add: price per accelerator-hour, watts drawn, power usage effectiveness, g CO2 per kWh, and
    the share of the wall clock in which the run makes progress.
    """

    usd_per_hour: float | None = None
    watts: float | None = None
    pue: float = 1.0
    grid_g_per_kwh: float = 0.0
    available: float = 1.0


@dataclass(frozen=True)
class Training:
    """The answer: ``ideal`` at the peaks, all communication hidden that can be; ``estimate`` calibrated."""

    layout: Layout
    gpus: int
    tokens: int
    steps: int
    memory: Memory
    memory_bytes: int
    capacity_bytes: int
    fits: bool
    train_flops: int
    ideal: Outcome
    estimate: Outcome
    behind: _Lines = field(repr=False, compare=False)

    @property
    def lines(self) -> list[Line]:
        """The formulas behind the figures."""
        return self.behind.lines()


def outcome(trainer: Trainer, layout: Layout, global_batch: int, steps: int, costs: Costs, peak: float) -> Outcome:
    """A run of ``steps`` steps. Energy: accelerators · watts · PUE · hours; CO2 by the grid's intensity."""
    step = trainer.step(layout, global_batch)
    time = step.total * steps / costs.available
    hours = time / 3600 * layout.gpus
    mfu, hfu = trainer.mfu(step.total, layout, global_batch, peak)
    kwh = None if costs.watts is None else hours * costs.watts / 1000 * costs.pue
    return Outcome(
        step_s=step.total,
        step=step._asdict(),
        seconds=time,
        days=time / 86400,
        gpu_hours=hours,
        tokens_per_s_gpu=global_batch * trainer.seq / step.total / layout.gpus,
        mfu=mfu,
        hfu=hfu,
        usd=None if costs.usd_per_hour is None else hours * costs.usd_per_hour,
        energy_kwh=kwh,
        co2_kg=None if kwh is None else kwh * costs.grid_g_per_kwh / 1000,
    )


def train(
    calibrated: Trainer, ideal: Trainer, layout: Layout, *, tokens: int, global_batch: int, costs: Costs, dtype: str | None = None
) -> Training:
    """A whole run of ``tokens`` tokens with ``layout``, at both efficiencies. Raises InputError for a layout that cannot be
    run.
    """
    check(calibrated.spec, layout, global_batch, calibrated.methods["none"])
    hardware = calibrated.machine.hardware
    steps = -(-tokens // (global_batch * calibrated.seq))
    needs = calibrated.memory(layout, global_batch)
    peak = hardware.flops(dtype or hardware.dtype)
    return Training(
        behind=_Lines(calibrated, ideal, layout, (global_batch, steps, tokens), costs, peak, needs),
        layout=layout,
        gpus=layout.gpus,
        tokens=tokens,
        steps=steps,
        memory=needs,
        memory_bytes=needs.total,
        capacity_bytes=hardware.memory_bytes,
        fits=needs.total <= hardware.memory_bytes,
        train_flops=steps * global_batch * (calibrated.flops + calibrated.backward_flops),
        ideal=outcome(ideal, layout, global_batch, steps, costs, peak),
        estimate=outcome(calibrated, layout, global_batch, steps, costs, peak),
    )


class _Lines(NamedTuple):
    """The formulas of :class:`Training`."""

    calibrated: Trainer
    bound: Trainer
    layout: Layout
    run: tuple[int, int, int]
    costs: Costs
    peak: float
    needs: Memory

    def lines(self) -> list[Line]:
        parts = "weights + gradients + optimizer + activations + logits + workspace"
        numbers = " + ".join(f"{size:,}" for size in self.needs)
        return [
            *_explained(self.calibrated, self.layout, self.run[0]),
            *_totals("ideal", self.bound, self.layout, self.run, self.costs, self.peak),
            *_totals("estimate", self.calibrated, self.layout, self.run, self.costs, self.peak),
            Line("memory_bytes", parts, numbers, self.needs.total, "llmcx memory --train, the fullest GPU"),
        ]


def _totals(name: str, trainer: Trainer, layout: Layout, run: tuple[int, int, int], costs: Costs, peak: float) -> list[Line]:
    """The figures of an :class:`Outcome`, each from those before it."""
    global_batch, steps, tokens = run
    got = outcome(trainer, layout, global_batch, steps, costs, peak)
    model, gpus = global_batch * (trainer.flops + trainer.backward_flops), layout.gpus
    palm = "Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1 and appendix B"
    parts = " + ".join(f"{value:.4g}" for value in got.step.values() if value)
    per_step = global_batch * trainer.seq
    found: list[tuple[str, str, str, float | int | None, str]] = [
        ("step_s", "Σ of its parts", parts, got.step_s, "the parts above; ideal: at the peaks"),
        ("steps", "ceil(tokens / (global batch · seq))", f"ceil({tokens:,} / {per_step:,})", steps, "one pass over the data"),
        ("seconds", "step · steps / available", f"{got.step_s:.4g}·{steps:,} / {costs.available:g}", got.seconds, "wall clock"),
        ("days", "seconds / 86400", f"{got.seconds:.6g} / 86400", got.days, "wall clock"),
        ("gpu_hours", "seconds / 3600 · GPUs", f"{got.seconds:.6g} / 3600·{gpus:,}", got.gpu_hours, "accelerators rented"),
        (
            "tokens_per_s_gpu",
            "tokens of a step / step / GPUs",
            f"{per_step:,} / {got.step_s:.4g} / {gpus:,}",
            got.tokens_per_s_gpu,
            palm,
        ),
        (
            "mfu",
            "FLOPs of forward and backward / (step · GPUs · peak)",
            f"{model:,} / ({got.step_s:.4g}·{gpus:,}·{peak:.4g})",
            got.mfu,
            palm,
        ),
        ("hfu", "the same, and what is done again", f"recompute {layout.recompute}", got.hfu, palm),
        ("usd", "GPU-hours · price", f"{got.gpu_hours:.6g}·{costs.usd_per_hour}", got.usd, "the accelerator's price, or --price"),
        (
            "energy_kwh",
            "GPU-hours · watts / 1000 · PUE",
            f"{got.gpu_hours:.6g}·{costs.watts} / 1000·{costs.pue:g}",
            got.energy_kwh,
            "rated power throughout",
        ),
        (
            "co2_kg",
            "kWh · g per kWh / 1000",
            f"{got.energy_kwh or 0:.6g}·{costs.grid_g_per_kwh:g} / 1000",
            got.co2_kg,
            "defaults dated in presets/calibration.yaml",
        ),
    ]
    return [
        Line(f"{name}: {what}", formula, numbers, value, source)
        for what, formula, numbers, value, source in found
        if value is not None
    ]


def _explained(trainer: Trainer, layout: Layout, global_batch: int) -> list[Line]:
    """The estimate's step, part by part; the parts that are 0 left out."""
    tp, pp, v = layout.tp, layout.pp, layout.virtual
    m, on, step = micro_batches(layout, global_batch), trainer.machine, trainer.step(layout, global_batch)
    size = layout.micro_batch * trainer.seq / layout.cp * trainer.spec.d_model * ACT
    layer = trainer.layer(tp, layout.cp, layout.ep, layout.micro_batch, layout.sequence)
    ranks = layout.dp * layout.cp
    stage = f"{m}·{ceil(trainer.spec.n_layers / pp)}"
    parts = {
        "compute": (
            "micro-batches · layers of a stage · (forward + backward) + head; max(FLOPs / rate, bytes / bandwidth) op by op",
            f"{stage}·({layer.forward:.4g} + {layer.backward:.4g}) + head; {on.matmul:.4g} FLOP/s, {on.memory:.4g} B/s",
            "Williams et al. 2009, CACM 52(4)",
        ),
        "recompute": (
            "micro-batches · layers · what is done again",
            f"{stage}·{layer.again[layout.recompute]:.4g}",
            "Chen et al. 2016, arXiv:1604.06174; Korthikanti et al. 2022, arXiv:2205.05198, sec. 5",
        ),
        "bubble": (
            "(pp - 1)/v · one micro-batch of a stage",
            f"({pp} - 1)/{v}·…",
            "Narayanan et al. 2021, arXiv:2104.04473, sec. 2.2",
        ),
        "tensor": (
            "micro-batches · layers · 4 · 2·(tp - 1)/tp · b·s·d · 2 B / link, not hidden",
            f"{stage}·4·2·({tp} - 1)/{tp}·{size:.4g} / {on.up:.4g}",
            "Shoeybi et al. 2019, arXiv:1909.08053, sec. 3",
        ),
        "context": (
            "micro-batches · layers · 3·(cp - 1) · tokens · keys and values · 2 B / link, not hidden",
            f"{stage}·{layer.context:.4g}",
            "Liu et al. 2023, arXiv:2310.01889",
        ),
        "expert": (
            "micro-batches · layers · 4 all-to-alls: within a domain or across, whichever takes longer, not hidden",
            f"{stage}·{layer.expert:.4g}",
            "DeepSeek-AI 2024, arXiv:2412.19437, sec. 3.2.2",
        ),
        "pipeline": (
            "2 · micro-batches · v · b·s·d · 2 B / tp / link, not hidden",
            f"2·{m}·{v}·{size:.4g}/{tp} / {on.link(layout.gpus, tp):.4g}" if pp > 1 else "",
            "Narayanan et al. 2021, arXiv:2104.04473, sec. 4.1",
        ),
        "data": (
            "(n - 1)/n · bytes reduced and gathered / link, less what hides behind the backward pass",
            f"n = {ranks}, ZeRO-{layout.zero}",
            "Rajbhandari et al. 2020, arXiv:1910.02054, sec. 7",
        ),
        "optimizer": (
            "bytes of states read and written / bandwidth",
            f"{on.memory:.4g} B/s",
            "two Adam moments and a master copy",
        ),
    }
    lines = [
        Line(f"{name}, s of a step", *parts[name][:2], value, parts[name][2]) for name, value in step._asdict().items() if value
    ]
    return lines
