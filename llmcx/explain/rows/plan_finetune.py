"""What a setting adds up to; its bytes are those of `memory`."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.plan_finetune import METHODS, FinetunePlan, Question
from llmcx.engines.rl import METHODS as POST


def rows(of: Question, answer: FinetunePlan, gpus: tuple[int, int]) -> list[Line]:
    """Of what fits on the fewest GPUs: the steps of the run, and where its bytes are from."""
    if not answer.fits:
        return []
    one = answer.fits[0]
    method = METHODS[one.method].rl
    sequences = POST[method].sequences if method else 1
    asked = f"llmcx memory {of.spec.name} {one.options}"
    found = [Line("memory_bytes", "the fullest GPU", f"on {one.gpus:,} of {gpus[0]:,} to {gpus[1]:,}", one.memory_bytes, asked)]
    if one.steps is not None:
        numbers = f"tokens / ({one.gpus:,}·{one.micro_batch:,}·{sequences}·{of.seq:,})"
        formula = "ceil(tokens / (GPUs · micro-batch · sequences of an example · seq))"
        found.append(Line("steps", formula, numbers, one.steps, "one micro-batch a step on each GPU"))
    if one.steps is not None and one.hours is not None and one.hours_range is not None:
        step_s, (low, high) = 3600 * one.hours / one.steps, one.hours_range
        source = "llmcx train --explain, for the same engine, --lora, --dtype and layout"
        where = f"{low:.3g} to {high:.3g}, 10 to 90%: presets/engines, by measured steps that gave no constant"
        found.append(Line("hours", "steps · step / 3600", f"{one.steps:,}·{step_s:.6g} / 3600", one.hours, source, where))
    return found
