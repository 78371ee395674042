"""First lines of searches for a layout."""

from __future__ import annotations

from typing import Any

from llmcx.report import format
from llmcx.report.headline import words
from llmcx.report.render import Change, Headline


def plan_serve(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx plan serve``."""
    from llmcx.answers.plan_serve import label

    limits = [f"{name} {words.time(inputs[key])}" for name, key in (("first token", "ttft"), ("token", "tpot")) if inputs[key]]
    sure = f", p{inputs['percentile']}" if inputs["percentile"] else ""
    sure += f" in {inputs['confidence']:.0%}" if inputs["confidence"] else ""
    asked = words.line(
        words.title(spec),
        f"{words.tokens(inputs['prompt'])} in, {words.tokens(inputs['output'])} out",
        f"{inputs['users']:,} users" if inputs["users"] else "",
        f"{inputs['rate']:g} requests/s" if inputs["rate"] else "",
        f"{', '.join(limits)}{sure}" if limits else "no limit",
        f"{inputs['gpus']} × {'/'.join(inputs['hardware'])}",
    )
    if not result.best:
        near = result.near[0]
        changes = [
            Change(f"--{key} {1e3 * _above(time):g}ms", f"{label(near.choice)}, {near.choice.batch:,} users each")
            for key, time in (("ttft", near.choice.ttft_held_s), ("tpot", near.choice.tpot_held_s))
            if inputs[key] and time > inputs[key]
        ]
        changes = [Change(" ".join(each.options for each in changes), changes[0].gives)] if changes else []
        return Headline(asked, f"nothing meets that; nearest: {label(near.choice)}: {near.why}", False, changes)
    one = result.best[0]
    cost = "" if one.usd_per_million is None else f", ${format.three(one.usd_per_million)}/M tokens"
    span = one.tpot_range_s and f" ({1e3 * one.tpot_range_s[0]:.3g}-{1e3 * one.tpot_range_s[1]:.3g})"
    verdict = f"{label(one)}: {one.users:,} users, {1e3 * one.tpot_s:.3g}{span or ''} ms a token"
    verdict += f", first in {words.time(one.ttft_s)}"
    if one.prefill_workers and one.ttft_range_s:  # which is known least
        verdict += " ({} to {})".format(*map(words.time, one.ttft_range_s))
    if inputs["percentile"]:
        of = f"{inputs['percentile']}% below"
        verdict += f" ({of} {1e3 * one.tpot_held_s:.3g} ms and {words.time(one.ttft_held_s)})"
    if one.utilization is not None:
        verdict += f", {one.utilization:.0%} busy"
    verdict += f"; {one.tokens_per_s_gpu:,.0f} tokens/s a GPU{cost}"
    return Headline(asked, verdict, True if limits else None)


def plan_lifetime(inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx plan lifetime``."""
    from llmcx.report.format import count

    good = next(
        text.format(count(inputs[key]) if key != "loss" else f"{inputs[key]:g}")
        for key, text in (("params", "as good as {} at their best"), ("loss", "loss {}"), ("compute", "as good as {} FLOPs make"))
        if key in inputs
    )
    served = f"{count(inputs['inference_tokens'])} tokens served"
    asked = words.line("Train and serve", good, served, "/".join(inputs["hardware"]) if result.unit == "USD" else "in FLOPs")
    one = result.best
    cost = f"{one.total:.3g} FLOPs" if result.unit == "FLOP" else f"${count(one.total)}"
    span = one.total_range and f" (${count(one.total_range[0])}-{count(one.total_range[1])})"
    how = f", {one.dtype} on {one.hardware}" if one.hardware else ""
    verdict = f"{count(one.params)} parameters on {count(one.tokens)} tokens{how}: {cost}{span or ''}, "
    verdict += f"{one.saving:.1%} less than {count(one.baseline_params)} on {count(one.baseline_tokens)} ({one.law})"
    return Headline(asked, verdict)


def plan_local(inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx plan local``."""
    from llmcx.answers.plan_local import label

    chosen = {"family": inputs["family"], "licence": inputs["license"]}
    sizes = {"at least": inputs["at_least"], "at most": inputs["at_most"]}
    beside = f" + {words.size(inputs['ram'])}" if inputs["ram"] else ""
    asked = words.line(
        ", ".join(inputs["models"]) or "All presets",
        *(f"{name} {value}*" for name, value in chosen.items() if value),
        *(f"{name} {value / 1e9:g}B" for name, value in sizes.items() if value),
        f"since {inputs['since']}" if inputs["since"] else "",
        f"{words.tokens(inputs['seq'])} tokens" if inputs["seq"] else "up to 8k tokens",
        f"token {words.time(inputs['tpot'])}" if inputs["tpot"] else "",
        f"engine {inputs['engine']}",
        f"{words.gpus(inputs['gpus'], inputs['hardware'])} with {words.size(inputs['budget'])}{beside}",
    )
    if not result.models:
        near = result.near[0] if result.near else None
        said = f"; nearest: {near.model} {near.dtype}: {near.why}" if near else ""
        return Headline(asked, f"nothing runs there{said}", False)
    one = result.models[0]
    span = one.tokens_per_s_range
    rate = "speed not known" if span is None else f"{one.tokens_per_s:.3g} ({span[0]:.3g}-{span[1]:.3g}) tokens/s"
    where = {"split": f", split: {one.flags}", "processor": " on processors"}.get(one.place, "")
    verdict = f"{label(one)}{where}: {rate}, up to {one.context:,} tokens; {len(result.models)} listed"
    return Headline(asked, verdict)


def plan_train(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx plan train``."""
    from llmcx.answers.plan_train import named

    limits = [f"{inputs['days']:g} days" if inputs["days"] else "", words.money(inputs["dollars"]) if inputs["dollars"] else ""]
    sure = f" in {inputs['confidence']:.0%}" if inputs["confidence"] else ""
    within = " and ".join(filter(None, limits))
    asked = words.line(
        words.title(spec),
        f"{words.short(inputs['tokens'])} tokens",
        f"within {within}{sure}" if within else "no limit",
        f"{inputs['gpus']} × {'/'.join(inputs['hardware'])}",
        f"{inputs['global_batch']:,} × {words.tokens(inputs['seq'])}",
    )
    if not result.best:
        near = result.near[0]
        change = _looser(inputs, near.choice)
        return Headline(asked, f"nothing keeps that; nearest: {named(near.choice)}: {near.why}", False, change)
    one, quick = result.best[0], result.fastest
    verdict = f"{named(one)}: {_days(one)}"
    if named(quick) != named(one):
        verdict += f"; fastest {_days(quick)} on {quick.gpus:,} x {quick.hardware}"
    return Headline(asked, verdict, True if within else None)


def _days(one: Any) -> str:
    low, high = one.days_range
    cost = f"{words.count(one.gpu_hours)} GPU-hours" if one.dollars is None else words.money(one.dollars)
    return f"{one.days:.3g} ({low:.3g}-{high:.3g}) days, {cost}"


def _looser(inputs: dict[str, Any], near: Any) -> list[Change]:
    """The limits that the nearest would keep."""
    sure = bool(inputs["confidence"])
    days = near.days_range[1] if sure else near.days
    options = [f"--days {_above(days):g}"] if inputs["days"] and days > inputs["days"] else []
    if inputs["dollars"] and near.dollars is not None:
        dollars = near.dollars_range[1] if sure else near.dollars
        options += [f"--dollars {_above(dollars):.9g}"] if dollars > inputs["dollars"] else []
    return [Change(" ".join(options), f"{near.gpus:,} x {near.hardware} {near.engine}: {_days(near)}")] if options else []


def plan_finetune(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx plan finetune``."""
    run = f"{words.short(inputs['tokens'])} tokens" if inputs["tokens"] else ""
    asked = words.line(
        words.title(spec),
        f"fine-tuned at {words.tokens(inputs['seq'])} tokens",
        run,
        f"{inputs['gpus']} × {inputs['hardware']} with {words.size(inputs['budget'])}",
    )
    fewest: dict[str, Any] = {}
    for one in result.fits:
        fewest.setdefault(one.method, one)
    timed = [one for one in result.fits if one.hours is not None]
    said = [f"{name} {_on(one.gpus)}{_offloaded(one)}" for name, one in fewest.items()]
    verdict = f"fits: {', '.join(said)}" if said else "nothing fits"
    if result.does_not_fit:
        verdict += f"; not {', '.join(one.method for one in result.does_not_fit)}"
    if timed:
        quick = min(timed, key=lambda one: one.hours)
        low, high = (words.duration(3600 * each) for each in quick.hours_range)
        cost = "" if quick.dollars is None else f", {words.money(quick.dollars)}"
        verdict += f"; {quick.method} takes {low} to {high}{cost} on {quick.gpus}"
    if result.fits:
        return Headline(asked, verdict, None if result.does_not_fit else True)
    least = min(result.does_not_fit, key=lambda one: (one.lacks_bytes is None, one.lacks_bytes or 0))
    change = Change("a shorter --seq, more --gpus", f"the nearest, {least.method} on {least.gpus}, lacks {least.misses}")
    return Headline(asked, verdict, False, [change])


def _offloaded(one: Any) -> str:
    """What lies in the host's memory for all GPUs."""
    if one.offload is None:
        return ""
    return " offloaded" if one.host_bytes is None else f" with {words.size(one.host_bytes * one.gpus)} of the host's memory"


def _on(gpus: int) -> str:
    return "on 1" if gpus == 1 else f"from {gpus}"


def _above(seconds: float) -> float:
    """Rounded up to two digits."""
    from math import ceil, floor, log10

    unit = 10.0 ** (floor(log10(seconds)) - 1)
    return ceil(seconds / unit) * unit
