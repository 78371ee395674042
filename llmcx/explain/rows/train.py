"""The figures of a run, row by row as they are shown; the parts of its step; and the terms of each part, op by op."""

from __future__ import annotations

from copy import copy
from typing import Any

from llmcx.answers import Line
from llmcx.answers.plan import Plan, label
from llmcx.answers.train import Costs, Outcome, Training, peak
from llmcx.engines.training_step import SPENT_ON, StagePass
from llmcx.engines.training_time import ACT, GRADIENT, HIDDEN, STATES, WEIGHT, Trainer
from llmcx.explain.rows import Figure, lines
from llmcx.explain.written import named, plain, told, written
from llmcx.machine.roofline import Machine, sending
from llmcx.model.lower import lower
from llmcx.parallel.division import division
from llmcx.parallel.layout import Layout, micro_batches
from llmcx.parallel.pipeline import Stage
from llmcx.parallel.ranks import pieces, staged, traffic_of

PALM = "Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1 and appendix B"
_WILLIAMS = "Williams et al. 2009, CACM 52(4): arithmetic or traffic, whichever takes longer, op by op"
_CHEN = "Chen et al. 2016, arXiv:1604.06174; Korthikanti et al. 2022, arXiv:2205.05198, sec. 5"
_MEGATRON = "Shoeybi et al. 2019, arXiv:1909.08053, sec. 3"
_PIPELINE = "Narayanan et al. 2021, arXiv:2104.04473, sec. 2.2"


def rows(
    calibrated: Trainer, bound: Trainer, global_batch: int, costs: Costs, engine: str, answer: Training, plan: Plan | None
) -> list[Line]:
    """The figures of both outcomes, then the parts of a step, then the memory."""
    ideal = _figures(bound, global_batch, costs, answer, answer.ideal)
    real = _figures(calibrated, global_batch, costs, answer, answer.estimate)
    found: list[Line] = []
    for mine, other in zip(ideal, real, strict=True):
        found += lines("ideal", [mine])
        found += [line._replace(interval=_interval(other[0], answer, engine)) for line in lines("estimate", [other])]
    if answer.measured is not None:
        found += lines("measured", _figures(calibrated, global_batch, costs, answer, answer.measured))
    found += _parts("ideal", bound, answer.layout, global_batch, answer.ideal)
    found += _parts("estimate", calibrated, answer.layout, global_batch, answer.estimate)
    parts = " + ".join(f"{size:,}" for size in answer.memory)
    names = " + ".join(answer.memory._fields)
    found += [] if plan is None else _searched(plan)
    return [*found, Line("memory_bytes", names, parts, answer.memory_bytes, "llmcx memory --train --explain, the fullest GPU")]


def _searched(plan: Plan) -> list[Line]:
    """The layouts that were searched: each one's step and memory, of the same parts."""
    found, best = [], plan.best[0].step.total
    for each in [*plan.best, *plan.near]:
        parts = {name: value for name, value in each.step._asdict().items() if value}
        numbers, name = " + ".join(f"{value:.9g}" for value in parts.values()), label(each.layout)
        took = each.step.total
        found += [
            Line(f"{name}: step_s", " + ".join(parts), numbers, took, "the same parts, of this layout"),
            Line(
                f"{name}: to the best",
                "step / the best's",
                f"{took:.9g} / {best:.9g}",
                took / best,
                "the same parts, of this layout",
            ),
            Line(
                f"{name}: bytes",
                "the fullest GPU",
                f"{each.bytes:,}",
                each.bytes,
                "llmcx memory --train --explain, with this layout",
            ),
        ]
    return found


def _interval(name: str, answer: Training, engine: str) -> str:
    """Where eight of ten measurements lie, and by which rows that is known."""
    span = None if name == "steps" else answer.span(name)
    if span is None:
        return ""
    low, high = answer.band
    rows = f"of measured steps that gave no constant (docs/validation.md; presets/engines/{engine}.yaml)"
    return f"{span[0]:,.4g} to {span[1]:,.4g}, 10 to 90%: steps took {low:g} to {high:g} times the estimate, {rows}"


def _figures(trainer: Trainer, global_batch: int, costs: Costs, answer: Training, got: Outcome) -> list[Figure]:
    """The figures of an outcome, each from those before it."""
    layout, steps, gpus = answer.layout, answer.steps, answer.gpus
    model, per_step = global_batch * trainer.model_flops, global_batch * trainer.seq
    done = global_batch * (trainer.done_flops + trainer.again_flops[layout.recompute])
    parts = [(name, value) for name, value in got.step.items() if value] or [("the step that was measured", got.step_s)]
    most = trainer.hardware.boost or 1.0

    def used(flops: float) -> str:
        share = f"{text(flops)} / ({got.step_s:.6g}·{gpus:,}·{peak(trainer):.6g})"
        return share if flops / (got.step_s * gpus * peak(trainer)) <= most else f"min({share}, {most:g})"

    return [
        (
            "step_s",
            " + ".join(name for name, _ in parts),
            " + ".join(f"{value:.6g}" for _, value in parts),
            got.step_s,
            "its parts, below" if got.step else "--measured",
        ),
        (
            "steps",
            "ceil(tokens / (global batch · seq))",
            f"ceil({answer.tokens:,} / {per_step:,})",
            steps,
            "one pass over the data",
        ),
        ("seconds", "step·steps / available", f"{got.step_s:.6g}·{steps:,} / {costs.available:g}", got.seconds, "wall clock"),
        ("days", "seconds / 86400", f"{got.seconds:.6g} / 86400", got.days, "wall clock"),
        ("gpu_hours", "seconds / 3600·GPUs", f"{got.seconds:.6g} / 3600·{gpus:,}", got.gpu_hours, "accelerators rented"),
        (
            "tokens_per_s_gpu",
            "tokens of a step / step / GPUs",
            f"{per_step:,} / {got.step_s:.6g} / {gpus:,}",
            got.tokens_per_s_gpu,
            PALM,
        ),
        ("mfu", "FLOPs of forward and backward / (step·GPUs·peak)", used(model), got.mfu, PALM),
        ("hfu", "FLOPs that are done, again too / (step·GPUs·peak)", used(done), got.hfu, PALM),
        ("usd", "GPU-hours·price", f"{got.gpu_hours:.6g}·{costs.usd_per_hour}", got.usd, "the accelerator's price, or --price"),
        (
            "energy_kwh",
            "GPU-hours·watts / 1000·PUE",
            f"{got.gpu_hours:.6g}·{costs.watts} / 1000·{costs.pue:g}",
            got.energy_kwh,
            "rated power throughout",
        ),
        (
            "co2_kg",
            "kWh·g per kWh / 1000",
            f"{got.energy_kwh or 0:.6g}·{costs.grid_g_per_kwh:g} / 1000",
            got.co2_kg,
            "defaults dated in presets/energy.yaml",
        ),
    ]


def text(flops: float) -> str:
    """A whole number in full."""
    return f"{flops:,}" if isinstance(flops, int) else f"{flops:.9g}"


def _parts(name: str, trainer: Trainer, layout: Layout, global_batch: int, got: Outcome) -> list[Line]:
    """The parts of a step on the GPU that the others wait for, those that are 0 left out, each after its terms."""
    m, by, how = micro_batches(layout, global_batch), division(layout), layout.recompute
    passes = trainer.passes(layout, by)
    stage, _, one = max(passes, key=lambda row: row[2].total(how))
    terms = _terms(name, trainer, layout, stage)
    put = _numbers(trainer, layout, m, one, passes)
    where = f"on a GPU of stage {stage.number}, which has {stage.layers} layers: the others wait for it; {m:,} micro-batches"
    found: list[Line] = []
    for part, value in got.step.items():
        if not value:
            continue
        formula, numbers, source = put[part]
        found += terms.get(part, [])
        if part in ("compute", "tensor", "context", "expert") and terms.get(part):
            each = " + ".join(f"{line.value:.6g}" for line in terms[part])
            numbers = f"{m:,}·({each})"
        line = Line(f"{name}: {SPENT_ON[part]}, s of a step", formula, numbers, value, source, where)
        found.append(line)
    return found


def _terms(name: str, trainer: Trainer, layout: Layout, stage: Stage) -> dict[str, list[Line]]:
    """Of one micro-batch on a stage's GPU, op by op: the trainer's own measure on numbers that remember their names."""
    traced = copy(trainer)
    traced.machine = named_machine(trainer.machine)
    run, by = trainer.run(layout.micro_batch), division(layout)
    found: dict[str, list[Line]] = {}
    full = layout.recompute == "full"
    at = {field: i for i, field in enumerate(StagePass._fields)}
    whole = trainer.lora is not None  # adapters are for GPUs that have every layer
    ops = (
        trainer.learned(lower(trainer.spec, run))
        if whole
        else staged(trainer.spec, pieces(trainer.spec, run, by), stage, layout, run)
    )
    for op in ops:
        if op.role == "traffic" and op.module not in HIDDEN:
            continue  # between stages and at the end of a step: told with them
        spent: Any = traced.measure(named(op))
        sums = {"compute": spent[at["forward"]] + spent[at["backward"]]}
        for part in ("tensor", "context", "expert"):
            sums[part] = spent[at[part]] + (spent[at[f"{part}_again"]] if full else 0)
        for part, value in sums.items():
            if value:
                what = "forward and backward" if part == "compute" else "sent"
                line = Line(f"{name}: {op.component}, {what}, s of a micro-batch", *told(value), float(plain(value)), _WILLIAMS)
                found.setdefault(part, []).append(line)
    return found


def named_machine(on: Machine) -> Machine:
    """A machine whose rates remember their names."""
    rates = {"matmul": "rate", "attention": "attention_rate", "memory": "bandwidth", "up": "link", "out": "network"}
    return on._replace(**{field: written(getattr(on, field), name) for field, name in rates.items() if getattr(on, field)})


def _numbers(
    trainer: Trainer, layout: Layout, m: int, one: StagePass, passes: list[tuple[Stage, int, StagePass]]
) -> dict[str, tuple[str, str, str]]:
    """Of each part the formula, the numbers put in, the source."""
    on, e, how, v = trainer.machine, trainer.efficiency, layout.recompute, layout.virtual
    times = [(many, stage.total(how)) for _, many, stage in passes]
    slowest = max(time for _, time in times)
    every = " + ".join(f"{many}·{time:.12g}" for many, time in times)
    size = layout.micro_batch * -(-trainer.seq // layout.cp) * trainer.spec.d_model * ACT
    handed = ""
    if layout.pp > 1:
        rate = on.between(2, layout.tp * layout.replicas)
        handed = f"{m}·2·{v}·({size:,} / {layout.tp} / {rate:.6g} + {e.link_s:g})·(1 - {e.hidden_pp:g})"
    sent, behind, params = _update(trainer, layout, m)
    launched = one.launches + (one.launches_again if how == "full" else 0.0)
    states = f"(2·{STATES} + {GRADIENT} + {WEIGHT})"
    again = {"none": "", "selective": "the cores'", "elementwise": "what is elementwise", "full": "the layers'"}[how]
    return {
        "compute": ("micro-batches · Σ over its ops", f"{m}·({one.forward:.9g} + {one.backward:.9g})", _WILLIAMS),
        "recompute": (f"micro-batches · forward of {again}", f"{m}·{one.again(how):.9g}", _CHEN),
        "bubble": ("(Σ of one micro-batch over the stages - the slowest's) / v", f"({every} - {slowest:.12g}) / {v}", _PIPELINE),
        "tensor": ("micro-batches · Σ of what is sent and not hidden", f"{m}·{one.tensor:.9g}", _MEGATRON),
        "context": (
            "micro-batches · Σ of what is sent and not hidden",
            f"{m}·{one.context:.9g}",
            "Liu et al. 2023, arXiv:2310.01889",
        ),
        "expert": (
            "micro-batches · Σ of what is sent and not hidden",
            f"{m}·{one.expert:.9g}",
            "DeepSeek-AI 2024, arXiv:2412.19437, sec. 3.2.2",
        ),
        "pipeline": ("micro-batches · 2 · v · (bytes / tp / link + latency)·(1 - hidden)", handed, f"{_PIPELINE}; sec. 4.1"),
        "data": (
            "max(sent·(1 - hidden), sent - backward)",
            f"max({sent}·(1 - {e.hidden_dp:g}), {sent} - {behind:.9g})",
            "Rajbhandari et al. 2020, arXiv:1910.02054, sec. 7",
        ),
        "optimizer": (
            "parameters·(2·states + gradient + weight) / bandwidth",
            f"{params:,.0f}·{states} / {on.memory:.6g}" + (f" + {e.step_s:g}" if e.step_s else ""),
            "Adam's moments and a master copy are read and written, gradients read, weights written",
        ),
        "host": (
            "micro-batches · (launches - what the GPU does)",
            f"{m}·({launched:.9g} - {one.forward:.9g} - {one.backward:.9g} - {one.again(how):.9g})",
            "eager code launches its kernels one by one; the GPU waits for them",
        ),
    }


def _update(trainer: Trainer, layout: Layout, m: int) -> tuple[str, float, float]:
    """What the stage with the longest update sends, in seconds; the passes that it may hide behind; parameters to update."""
    dense, experts, backward, both = max(trainer.timed(layout)[-1], key=lambda stage: sum(trainer.update(layout, m, *stage)))
    traced, sent = named_machine(trainer.machine), []
    for op in traffic_of(dense, experts, layout):
        each: Any = sum(sending(named(op), traced, GRADIENT if op.reads == "gradients" else WEIGHT))
        if each:
            sent.append(told(each)[1])
    for op in traffic_of(trainer.frozen_bytes(layout), 0, layout)[:1]:  # the frozen model, as it is stored
        each = sum(sending(named(op), traced, 1))
        sent.append(told(each)[1])
    numbers = f"({' + '.join(sent)})" if sent else "0"
    if layout.zero == 3:
        numbers = f"{m}·{numbers}"
    behind = m * (backward if layout.zero < 3 else both)
    params = float(dense + experts)
    if layout.zero:
        params = dense / layout.sharers + experts / layout.expert_sharers
    return numbers, behind, params
