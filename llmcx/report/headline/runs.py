"""First lines of a training run and of serving."""

from __future__ import annotations

from typing import Any

from llmcx.report import format
from llmcx.report.headline import words
from llmcx.report.render import Change, Headline


def train(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx train``."""
    run = result.training
    t = run.estimate
    asked = words.line(
        words.title(spec),
        f"{words.short(inputs['tokens'])} tokens",
        words.gpus(run.gpus, inputs["hardware"]),
        f"{inputs['global_batch']:,} × {words.tokens(inputs['seq'])}",
        inputs["compute_dtype"],
        f"LoRA {inputs['lora']} on {inputs['dtype'] or '16 bits'}" if "lora" in inputs else "",
        inputs["layout"],
    )
    usd = "" if t.usd is None else f", {words.money(t.usd)}"
    took, low, high, best = (words.duration(seconds) for seconds in (t.seconds, *run.span("seconds"), run.ideal.seconds))
    unit = took[took.index(" ") :]  # said once where the others have it too
    low, high, best = (each.removesuffix(unit) for each in (low, high, best))
    verdict = f"{took} ({low} to {high}; at best {best}){usd}: MFU {t.mfu:.1%}"
    if run.measured is not None:
        slower, (least, most) = run.measured.step_s / t.step_s, run.band
        where = "within" if least <= slower <= most else "above" if slower > most else "below"
        verdict = (
            f"measured: MFU {run.measured.mfu:.1%}, {words.duration(run.measured.seconds)}; {slower:.2f} times the estimate's "
        )
        verdict += f"{took}, {where} its range of {low} to {high}"
    memory = f"{words.size(run.memory_bytes)} of {words.size(run.capacity_bytes)}"
    if not run.fits:
        changes = [Change("leave the layout out", "finds the fastest that fits")] if result.plan is None else []
        return Headline(asked, f"does not fit: {memory} on the fullest GPU; {verdict}", False, changes)
    return Headline(asked, verdict)


def serve(spec: Any, inputs: dict[str, Any], result: Any, server: Any) -> Headline:
    """``llmcx serve``."""
    from llmcx.answers.serve import longest_context

    asked = words.line(
        words.title(spec),
        f"{words.stored(spec, inputs['dtype'])}, {inputs['kv_dtype']} cache",
        f"{words.tokens(inputs['prompt'])} in, {words.tokens(inputs['output'])} out",
        "exact lengths" if inputs["exact"] else "",
        f"{inputs['rate']:g} requests/s" if inputs["rate"] else "",
        f"TP {inputs['tp']}" if inputs["tp"] > 1 else "",
        f"PP {inputs['pp']}" if inputs["pp"] > 1 else "",
        f"prompts apart on {inputs['prefill_workers']}×{inputs['prefill_tp']}" if inputs["prefill_workers"] else "",
        f"engine {inputs['engine']}" if inputs["engine"] != "ideal" else "",
        f"{words.gpus(inputs['gpus'], inputs['hardware'])} with {words.size(inputs['budget'])}",
    )
    one, most = result.first, result.last
    if result.arrivals is not None:
        return Headline(asked, _arriving(one, result.arrivals))
    users = f"{one.batch:,} users" if one.batch > 1 else "one user"
    context = longest_context(server, -(-min(one.batch, result.largest_batch) // (inputs["workers"] or 1)))
    span = one.tpot_range_s and f" ({format.three(1 / one.tpot_range_s[1])} to {format.three(1 / one.tpot_range_s[0])})"
    verdict = f"{format.three(one.tokens_per_s_user)} tokens/s{span or ''} for {users} with up to {context:,} tokens"
    if most.batch != one.batch:
        verdict += f"; {most.tokens_per_s_gpu * result.gpus:,.0f} for {most.batch:,}"
    verdict += f"; first token in {words.time(one.ttft_s)}"
    copies, decoding = inputs["workers"] or 1, int(result.decode_step["batch"])
    fit = min(result.largest_batch, (inputs["max_num_seqs"] or result.largest_batch) * copies)
    if decoding < min(one.batch, result.places or one.batch):
        verdict += f"; {decoding:,} at a time, the others wait for their prompts"
    elif result.places is not None:
        verdict += f"; {result.places:,} at a time, the others wait"
    elif most.batch != fit:
        verdict += f"; at most {fit:,} users"
    return Headline(asked, verdict)


def _arriving(one: Any, arrivals: Any) -> str:
    """What requests that come at a rate get."""
    span = one.tpot_range_s and f" ({1 / one.tpot_range_s[1]:,.3g} to {1 / one.tpot_range_s[0]:,.3g})"
    verdict = f"{one.tokens_per_s_user:,.3g} tokens/s{span or ''} for {arrivals.users:,.3g} users at a time"
    late = f" ({words.time(one.ttft_p99_s)} in 99%)" if one.ttft_p99_s is not None else ""
    verdict += f"; first token in {words.time(one.ttft_s)}{late}"
    return f"{verdict}; {arrivals.utilization:.0%} of the {arrivals.largest_rate:,.3g} requests/s that it can answer"
