"""What a choice adds up to; its step is that of `train`."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.plan_train import Choice


def rows(one: Choice, band: tuple[float, float]) -> list[Line]:
    """The GPUs that its degrees need, and the range of its days."""
    by = "the layout that was searched, parallel/layout.py"
    measured = "10th and 90th percentile of measured / estimated steps: docs/validation.md"
    return [
        Line("gpus", "tp · pp · cp · dp", f"{one.tp:,} · {one.pp:,} · {one.cp:,} · {one.dp:,}", one.gpus, by),
        Line("days_range[0]", "days · low", f"{one.days:.4g} · {band[0]:g}", one.days_range[0], measured),
        Line("days_range[1]", "days · high", f"{one.days:.4g} · {band[1]:g}", one.days_range[1], measured),
    ]
