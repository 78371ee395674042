"""The estimate's step, part by part, and the figures of a run."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.train import Costs, Training, outcome, peak
from llmcx.engines.training_time import ACT, Trainer
from llmcx.explain.rows import Figure, lines
from llmcx.parallel.division import division
from llmcx.parallel.layout import Layout, micro_batches

PALM = "Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1 and appendix B"


def rows(calibrated: Trainer, bound: Trainer, global_batch: int, costs: Costs, answer: Training) -> list[Line]:
    """The parts of a step, then the figures of both outcomes, then the memory."""
    parts = "weights + gradients + optimizer + activations + logits + workspace"
    numbers = " + ".join(f"{size:,}" for size in answer.memory)
    return [
        *_step(calibrated, answer.layout, global_batch),
        *_totals("ideal", bound, global_batch, costs, answer),
        *_totals("estimate", calibrated, global_batch, costs, answer),
        Line("memory_bytes", parts, numbers, answer.memory_bytes, "llmcx memory --train, the fullest GPU"),
    ]


def _totals(name: str, trainer: Trainer, global_batch: int, costs: Costs, answer: Training) -> list[Line]:
    """The figures of an outcome, each from those before it."""
    layout, steps, gpus = answer.layout, answer.steps, answer.gpus
    got = outcome(trainer, layout, global_batch, steps, costs)
    model, per_step = global_batch * trainer.model_flops, global_batch * trainer.seq
    parts = " + ".join(f"{value:.4g}" for value in got.step.values() if value)
    found: list[Figure] = [
        ("step_s", "Σ of its parts", parts, got.step_s, "the parts above; ideal: at the peaks"),
        (
            "steps",
            "ceil(tokens / (global batch · seq))",
            f"ceil({answer.tokens:,} / {per_step:,})",
            steps,
            "one pass over the data",
        ),
        ("seconds", "step · steps / available", f"{got.step_s:.4g}·{steps:,} / {costs.available:g}", got.seconds, "wall clock"),
        ("days", "seconds / 86400", f"{got.seconds:.6g} / 86400", got.days, "wall clock"),
        ("gpu_hours", "seconds / 3600 · GPUs", f"{got.seconds:.6g} / 3600·{gpus:,}", got.gpu_hours, "accelerators rented"),
        (
            "tokens_per_s_gpu",
            "tokens of a step / step / GPUs",
            f"{per_step:,} / {got.step_s:.4g} / {gpus:,}",
            got.tokens_per_s_gpu,
            PALM,
        ),
        (
            "mfu",
            "FLOPs of forward and backward / (step · GPUs · peak)",
            f"{model:,} / ({got.step_s:.4g}·{gpus:,}·{peak(trainer):.4g})",
            got.mfu,
            PALM,
        ),
        ("hfu", "the same, and what is done again", f"recompute {layout.recompute}", got.hfu, PALM),
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
            "defaults dated in presets/energy.yaml",
        ),
    ]
    return lines(name, found)


def _step(trainer: Trainer, layout: Layout, global_batch: int) -> list[Line]:
    """The estimate's step on the GPU that the others wait for; the parts that are 0 left out."""
    tp, pp, v = layout.tp, layout.pp, layout.virtual
    m, on, step = micro_batches(layout, global_batch), trainer.machine, trainer.step(layout, global_batch)
    stage, _, one = max(trainer.passes(layout, division(layout)), key=lambda row: row[2].total(layout.recompute))
    size = layout.micro_batch * -(-trainer.seq // layout.cp) * trainer.spec.d_model * ACT
    layers = f"{stage.layers} layers of stage {stage.number}"
    parts = {
        "compute": (
            "micro-batches · (forward + backward) of the slowest stage; max(FLOPs / rate, bytes / bandwidth) op by op",
            f"{m}·({one.forward:.4g} + {one.backward:.4g}), {layers}; {on.matmul:.4g} FLOP/s, {on.memory:.4g} B/s",
            "Williams et al. 2009, CACM 52(4)",
        ),
        "recompute": (
            "micro-batches · what is done again in the layers",
            f"{m}·{one.again(layout.recompute):.4g}",
            "Chen et al. 2016, arXiv:1604.06174; Korthikanti et al. 2022, arXiv:2205.05198, sec. 5",
        ),
        "bubble": (
            "(Σ of one micro-batch over the stages - the slowest's) / v",
            f"{pp} stages, v = {v}",
            "Narayanan et al. 2021, arXiv:2104.04473, sec. 2.2",
        ),
        "tensor": (
            "micro-batches · Σ of the all-reduces of the layers: 2·(tp - 1)/tp · b·s·d · 2 B / link each, not hidden",
            f"{m}·{one.tensor:.4g}; 2·({tp} - 1)/{tp}·{size:.4g} / {on.up:.4g} each",
            "Shoeybi et al. 2019, arXiv:1909.08053, sec. 3",
        ),
        "context": (
            "micro-batches · Σ of keys and values, or latents, of the tokens before: forward, and twice backward, not hidden",
            f"{m}·{one.context:.4g}",
            "Liu et al. 2023, arXiv:2310.01889",
        ),
        "expert": (
            "micro-batches · Σ of 4 all-to-alls a layer: within a domain or across, whichever takes longer, not hidden",
            f"{m}·{one.expert:.4g}",
            "DeepSeek-AI 2024, arXiv:2412.19437, sec. 3.2.2",
        ),
        "pipeline": (
            "2 · micro-batches · v · b·s·d · 2 B / tp / link, not hidden",
            f"2·{m}·{v}·{size:.4g}/{tp} / {on.between(2, tp * layout.replicas):.4g}" if pp > 1 else "",
            "Narayanan et al. 2021, arXiv:2104.04473, sec. 4.1",
        ),
        "data": (
            "bytes reduced and gathered / link, less what hides behind the backward pass",
            f"n = {layout.replicas}, ZeRO-{layout.zero}",
            "Rajbhandari et al. 2020, arXiv:1910.02054, sec. 7",
        ),
        "optimizer": (
            "bytes of states read and written / bandwidth",
            f"{on.memory:.4g} B/s",
            "two Adam moments and a master copy",
        ),
    }
    return [
        Line(f"{name}, s of a step", *parts[name][:2], value, parts[name][2]) for name, value in step._asdict().items() if value
    ]
