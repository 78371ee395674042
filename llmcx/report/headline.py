"""The first lines of an answer, one function a command: what was asked, with all that moves the number, and the verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from llmcx.report import format
from llmcx.report.render import Change, Headline

WIDTH = 80
"""Of the first line: one that is wider would push the verdict off the second."""


def _line(*pieces: str) -> str:
    """Pieces in one line, in the order of their importance; closer together where it would be too wide, and at last without the
    words that a reader can do without.
    """
    line = " · ".join(piece for piece in pieces if piece)
    for long, short in ((" × ", "×"), (" tokens", ""), (" micro-batch ", " mb "), (" · ", ", "), ("engine ", "")):
        if len(line) > WIDTH:
            line = line.replace(long, short)
    return line


def _title(spec: Any) -> str:
    return str(spec.title or spec.name)


def _stored(spec: Any, dtype: str) -> str:
    """The format of the weights, and whether it is that of the release."""
    stored = spec.stored
    if stored is not None and stored.unsized is not None and dtype == stored.plain:
        return f"{dtype} for {stored.unsized}"
    released = stored is not None and dtype == stored.name
    apart = ", MTP apart" if spec.mtp else ""  # of DeepSeek-V3's released bytes the layers for multi-token prediction are 2%
    apart += _index(spec) if released and stored.total is not None else ""
    return f"{dtype} as released{apart}" if released and stored.quantised else f"{dtype}{apart if released else ''}"


def _index(spec: Any) -> str:
    """What the index beside a config states, where that is another size by more than 2%."""
    from llmcx.formats.quant import index_beside

    return "" if index_beside(spec, 50) is None else f", index {_size(spec.stored.total)}"


def _tokens(n: int) -> str:
    return format.cell(n, "length")


def _beside(inputs: dict[str, Any]) -> str:
    """What a sequence has beside its text."""
    seen = f" + {inputs['images'] * inputs['image_tokens']:,} image" if "image" in inputs else ""
    return seen + (f" + {inputs['audio_tokens']:,} sound" if "audio" in inputs else "")


def _size(n: float) -> str:
    return format.short_size(round(n))


def _both(n: int) -> str:
    return format.size(n)


def _count(n: float) -> str:
    return format.count(round(n))


def _short(n: int) -> str:
    """A round number without the digits that say nothing: 300 B."""
    return format.tick(n, "count")


def _time(seconds: float) -> str:
    return re.sub(r"(?<=\d)(?=[nmµ]?s)", " ", format.time(seconds))


def _money(usd: float) -> str:
    return f"${usd:,.0f}" if usd >= 100 else f"${usd:,.2f}"


def _gpus(n: int, hardware: Any) -> str:
    name = hardware.name if hasattr(hardware, "name") else hardware
    return f"{n:,} × {name}" if n > 1 else str(name)


def params(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx params``."""
    active = f"{_count(result.active)} active" if result.active != result.total else _count(result.total)
    verdict = f"{result.total:,} parameters, {active}; {_both(result.bytes)} in {result.dtype}"
    return Headline(_line(_title(spec), "every weight counted", _stored(spec, result.dtype)), verdict)


def flops(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx flops``."""
    unit = {"macs": "MAC", "leading-order": "op"}.get(inputs["convention"], "FLOP")
    pairs = "the pairs a mask leaves" if inputs["causal"] else "all pairs"
    again = "full recomputation" if inputs["recompute"] == "full" else ""
    asked = _line(
        _title(spec), f"{inputs['batch']:,} × {inputs['seq']:,}{_beside(inputs)} tokens", inputs["convention"], pairs, again
    )
    train, forward = result.train.total, result.forward.total
    tokens = inputs["batch"] * inputs.get("tokens", inputs["seq"])
    verdict = f"forward {format.flops(forward)}{unit}, {format.flops(round(forward / tokens))}{unit} a token; "
    if spec.training_tokens is None or unit != "FLOP":
        return Headline(asked, f"{verdict}training step {format.flops(train)}{unit}")
    from llmcx.units import count

    trained = count(spec.training_tokens, "training_tokens")
    return Headline(asked, f"{verdict}training on {_short(trained)} tokens: {format.flops(train * trained // tokens)}{unit}")


def memory(spec: Any, inputs: dict[str, Any], result: Any, asked: Any, fixed: Any, within: Any) -> Headline:
    """``llmcx memory``."""
    layout = asked["layout"]
    ways = " ".join(
        f"{name.upper()} {getattr(layout, name)}" for name in ("tp", "pp", "cp", "ep", "dp") if getattr(layout, name) > 1
    )
    of = ""
    if within.hardware is not None:
        used = f" at {100 * within.utilization:g}%" if within.utilization < 1 else ""
        of = f"{_gpus(layout.gpus, within.hardware)}{used}"
    elif layout.gpus > 1:
        of = f"{layout.gpus:,} GPUs"
    shape = f"{asked['batch']:,} × {_tokens(asked['seq'])}{_beside(inputs)} tokens"
    if fixed["train"]:
        recipe = fixed["recipe"]
        what = inputs.get("rl") or "training"
        how = f"{what}, {recipe.precision}" if recipe.precision != inputs["engine"] else what
        if recipe.lora:
            how = " ".join(filter(None, (inputs.get("rl"), f"LoRA {recipe.lora.rank} on {inputs['dtype'] or '16 bits'}")))
        zero = f"ZeRO-{layout.zero}" if layout.zero else ""
        again = f"recompute {recipe.recompute}" if recipe.recompute != "none" else ""
        first = _line(_title(spec), f"{how}, {recipe.optimizer}", shape, again, ways, zero, inputs["engine"], of)
    else:
        formats = f"{_stored(spec, inputs['dtype'])}, {fixed['kv_dtype']} cache"
        first = _line(_title(spec), formats, shape, ways, f"engine {inputs['engine']}", of)
    each = " on each GPU" if layout.gpus > 1 else ""
    total = result.total_bytes
    if result.fit is not None:
        return Headline(first, _fitted(result, within.bytes), True)
    if within.bytes is None:
        return Headline(first, f"{_both(total)}{each}")
    if result.fits:
        free = _size(result.headroom_bytes)
        return Headline(first, f"fits: {_both(total)}{each} of {_size(within.bytes)}, {free} to spare", True)
    verdict = f"does not fit: {_both(total)}{each} of {_size(within.bytes)}, {_size(-result.headroom_bytes)} too much"
    from llmcx.answers.remedies import remedies

    changes = [Change(each.options, f"fits: {_size(each.bytes)}") for each in remedies(spec, within.bytes, asked, fixed)]
    return Headline(
        first, verdict, False, changes or [Change("", "nothing tried makes it fit: more and larger GPUs, or less of both")]
    )


def _fitted(result: Any, budget: int) -> str:
    fit = result.fit
    names = {"batch": "largest batch", "seq": "largest context", "gpus": "fewest GPUs", "dtype": "most precise format"}
    what = names.get(fit.what, "most on the GPU")
    value = f"{fit.value:,}" if isinstance(fit.value, int) else fit.value
    unit = " tokens" if fit.what == "seq" else ""
    verdict = f"{what}: {value}{unit}, {_size(result.total_bytes)} of {_size(budget)}"
    if fit.next is None:
        return f"{verdict}; all that the model takes" if fit.what == "seq" else verdict
    after = f"{fit.next:,}" if isinstance(fit.next, int) else fit.next
    return f"{verdict}; {after} would take {_size(fit.next_bytes)}"


def train(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx train``."""
    run = result.training
    t = run.estimate
    asked = _line(
        _title(spec),
        f"{_short(inputs['tokens'])} tokens",
        _gpus(run.gpus, inputs["hardware"]),
        f"{inputs['global_batch']:,} × {_tokens(inputs['seq'])}",
        inputs["compute_dtype"],
        inputs["layout"],
    )
    usd = "" if t.usd is None else f", {_money(t.usd)}"
    took, low, high, best = (_duration(seconds) for seconds in (t.seconds, *run.span("seconds"), run.ideal.seconds))
    unit = took[took.index(" ") :]  # said once where the others have it too
    low, high, best = (each.removesuffix(unit) for each in (low, high, best))
    verdict = f"{took} ({low} to {high}; at best {best}){usd}: MFU {t.mfu:.1%}"
    if run.measured is not None:
        slower, (least, most) = run.measured.step_s / t.step_s, run.band
        where = "within" if least <= slower <= most else "above" if slower > most else "below"
        verdict = f"measured: MFU {run.measured.mfu:.1%}, {_duration(run.measured.seconds)}; {slower:.2f} times the estimate's "
        verdict += f"{took}, {where} its range of {low} to {high}"
    memory = f"{_size(run.memory_bytes)} of {_size(run.capacity_bytes)}"
    if not run.fits:
        changes = [Change("leave the layout out", "finds the fastest that fits")] if result.plan is None else []
        return Headline(asked, f"does not fit: {memory} on the fullest GPU; {verdict}", False, changes)
    return Headline(asked, verdict)


def _duration(seconds: float) -> str:
    if seconds >= 86400:
        return f"{format.three(seconds / 86400)} days"
    return f"{seconds / 3600:.3g} hours" if seconds >= 7200 else f"{seconds / 60:.3g} minutes"


def serve(spec: Any, inputs: dict[str, Any], result: Any, server: Any) -> Headline:
    """``llmcx serve``."""
    from llmcx.answers.serve import longest_context

    asked = _line(
        _title(spec),
        f"{_stored(spec, inputs['dtype'])}, {inputs['kv_dtype']} cache",
        f"{_tokens(inputs['prompt'])} in, {_tokens(inputs['output'])} out",
        f"{inputs['rate']:g} requests/s" if inputs["rate"] else "",
        f"TP {inputs['tp']}" if inputs["tp"] > 1 else "",
        f"prompts apart on {inputs['prefill_workers']}×{inputs['prefill_tp']}" if inputs["prefill_workers"] else "",
        f"engine {inputs['engine']}" if inputs["engine"] != "ideal" else "",
        f"{_gpus(inputs['gpus'], inputs['hardware'])} with {_size(inputs['budget'])}",
    )
    one, most = result.first, result.last
    if result.arrivals is not None:
        return Headline(asked, _arriving(one, result.arrivals))
    users = f"{one.batch:,} users" if one.batch > 1 else "one user"
    context = longest_context(server, min(one.batch, result.largest_batch))
    span = one.tpot_range_s and f" ({format.three(1 / one.tpot_range_s[1])} to {format.three(1 / one.tpot_range_s[0])})"
    verdict = f"{format.three(one.tokens_per_s_user)} tokens/s{span or ''} for {users} with up to {context:,} tokens"
    if most.batch != one.batch:
        verdict += f"; {most.tokens_per_s_gpu * result.gpus:,.0f} for {most.batch:,}"
    verdict += f"; first token in {_time(one.ttft_s)}"
    if result.places is not None:
        verdict += f"; {result.places:,} at a time, the others wait"
    elif most.batch != result.largest_batch:
        verdict += f"; at most {result.largest_batch:,} users"
    return Headline(asked, verdict)


def _arriving(one: Any, arrivals: Any) -> str:
    """What requests that come at a rate get."""
    span = one.tpot_range_s and f" ({1 / one.tpot_range_s[1]:,.3g} to {1 / one.tpot_range_s[0]:,.3g})"
    verdict = f"{one.tokens_per_s_user:,.3g} tokens/s{span or ''} for {arrivals.users:,.3g} users at a time"
    late = f" ({_time(one.ttft_p99_s)} in 99%)" if one.ttft_p99_s is not None else ""
    verdict += f"; first token in {_time(one.ttft_s)}{late}"
    return f"{verdict}; {arrivals.utilization:.0%} of the {arrivals.largest_rate:,.3g} requests/s that it can answer"


def plan_serve(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx plan serve``."""
    from llmcx.answers.plan_serve import label

    limits = [f"{name} {_time(inputs[key])}" for name, key in (("first token", "ttft"), ("token", "tpot")) if inputs[key]]
    sure = f", p{inputs['percentile']}" if inputs["percentile"] else ""
    sure += f" in {inputs['confidence']:.0%}" if inputs["confidence"] else ""
    asked = _line(
        _title(spec),
        f"{_tokens(inputs['prompt'])} in, {_tokens(inputs['output'])} out",
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
    verdict += f", first in {_time(one.ttft_s)}"
    if inputs["percentile"]:
        of = f"{inputs['percentile']}% below"
        verdict += f" ({of} {1e3 * one.tpot_held_s:.3g} ms and {_time(one.ttft_held_s)})"
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
    asked = _line("Train and serve", good, served, "/".join(inputs["hardware"]) if result.unit == "USD" else "in FLOPs")
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
    beside = f" + {_size(inputs['ram'])}" if inputs["ram"] else ""
    asked = _line(
        ", ".join(inputs["models"]) or "All presets",
        *(f"{name} {value}*" for name, value in chosen.items() if value),
        *(f"{name} {value / 1e9:g}B" for name, value in sizes.items() if value),
        f"since {inputs['since']}" if inputs["since"] else "",
        f"{_tokens(inputs['seq'])} tokens" if inputs["seq"] else "up to 8k tokens",
        f"token {_time(inputs['tpot'])}" if inputs["tpot"] else "",
        f"engine {inputs['engine']}",
        f"{_gpus(inputs['gpus'], inputs['hardware'])} with {_size(inputs['budget'])}{beside}",
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

    limits = [f"{inputs['days']:g} days" if inputs["days"] else "", _money(inputs["dollars"]) if inputs["dollars"] else ""]
    sure = f" in {inputs['confidence']:.0%}" if inputs["confidence"] else ""
    within = " and ".join(filter(None, limits))
    asked = _line(
        _title(spec),
        f"{_short(inputs['tokens'])} tokens",
        f"within {within}{sure}" if within else "no limit",
        f"{inputs['gpus']} × {'/'.join(inputs['hardware'])}",
        f"{inputs['global_batch']:,} × {_tokens(inputs['seq'])}",
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
    cost = f"{_count(one.gpu_hours)} GPU-hours" if one.dollars is None else _money(one.dollars)
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
    run = f"{_short(inputs['tokens'])} tokens" if inputs["tokens"] else ""
    asked = _line(
        _title(spec),
        f"fine-tuned at {_tokens(inputs['seq'])} tokens",
        run,
        f"{inputs['gpus']} × {inputs['hardware']} with {_size(inputs['budget'])}",
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
        low, high = (_duration(3600 * each) for each in quick.hours_range)
        cost = "" if quick.dollars is None else f", {_money(quick.dollars)}"
        verdict += f"; full takes {low} to {high}{cost} on {quick.gpus}"
    if result.fits:
        return Headline(asked, verdict, None if result.does_not_fit else True)
    least = min(result.does_not_fit, key=lambda one: (one.lacks_bytes is None, one.lacks_bytes or 0))
    change = Change("a shorter --seq, more --gpus", f"the nearest, {least.method} on {least.gpus}, lacks {least.misses}")
    return Headline(asked, verdict, False, [change])


def _offloaded(one: Any) -> str:
    """What lies in the host's memory for all GPUs."""
    if one.offload is None:
        return ""
    return " offloaded" if one.host_bytes is None else f" with {_size(one.host_bytes * one.gpus)} of the host's memory"


def _on(gpus: int) -> str:
    return "on 1" if gpus == 1 else f"from {gpus}"


def _above(seconds: float) -> float:
    """Rounded up to two digits."""
    from math import ceil, floor, log10

    unit = 10.0 ** (floor(log10(seconds)) - 1)
    return ceil(seconds / unit) * unit


def check(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx check``."""
    ways = " ".join(f"{name.upper()} {inputs[name]}" for name in ("tp", "pp", "ep") if inputs[name] > 1)
    copies = f"{result.replicas:,} copies" if result.replicas > 1 else ""
    used = f" at {100 * inputs['utilization']:g}%" if inputs["utilization"] < 1 else ""
    asked = _line(
        f"{result.engine}: {_title(spec)}",
        f"{_stored(spec, inputs['dtype'])}, {inputs['kv_dtype']} cache",
        f"{_tokens(result.seq)} tokens",
        ways,
        copies,
        f"{_gpus(result.gpus * result.replicas, inputs['hardware'])}{used}",
    )
    each = " on each GPU" if result.gpus > 1 else ""
    of = f"{_size(result.total_bytes)}{each} of {_size(result.budget_bytes)}"
    if not result.fits:
        changes = [Change(change.flags, f"fits: {_size(change.total_bytes)}") for change in result.changes]
        none = [Change("", "nothing tried makes it fit: more and larger GPUs, or a smaller model")]
        verdict = f"does not fit: {of}, {_size(-result.headroom_bytes)} too much"
        return Headline(asked, verdict, False, changes or none)
    users = f"{result.users:,} users" if result.users != 1 else "one user"
    verdict = f"fits: cache for {result.cache_tokens:,} tokens, {users} at {_tokens(result.seq)}"
    if result.estimate:
        one = result.estimate[0]
        low_high = f" ({1e3 * one.tpot_range_s[0]:.3g} to {1e3 * one.tpot_range_s[1]:.3g})" if one.tpot_range_s else ""
        many = f" for {one.batch:,} users" if one.batch > 1 else ""
        verdict += f"; {1e3 * one.tpot_s:.3g} ms a token{low_high}{many}"
    if result.met is not None:
        asked_for = re.sub(r"(?<=\d)(?=m?s\b)", " ", inputs["require"])
        verdict += f"; {'meets' if result.met else 'does not meet'} {asked_for}"
    return Headline(asked, verdict, result.met is not False)


def budget(inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx check --all``."""
    since = f"against {inputs['against']}" if inputs["against"] else ""
    many = len(result.entries)
    asked = _line(f"{many:,} launch line{'s' * (many != 1)} of {inputs['file']}", since)
    short = [each.name for each in result.entries if not each.met]
    verdict = "all meet what is required of them"
    if short:
        named = ", ".join(short[:3]) + (f" and {len(short) - 3:,} more" if len(short) > 3 else "")
        verdict = f"{many - len(short):,} of {many:,} meet what is required of them: not {named}"
    if result.changed is not None:
        verdict += f"; {len(result.changed):,} changed" if result.changed else "; nothing changed"
    return Headline(asked, verdict, result.met)


def check_train(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx check`` of a training job."""
    from llmcx.answers.plan import label

    asked = _line(
        f"{result.engine}: {_title(spec)}",
        inputs["compute_dtype"],
        f"{result.global_batch:,} × {_tokens(result.seq)}",
        label(result.layout),
        _gpus(result.gpus, inputs["hardware"]),
    )
    each = " on the fullest GPU" if result.gpus > 1 else ""
    of = f"{_size(result.total_bytes)}{each} of {_size(result.budget_bytes)}"
    if not result.fits:
        changes = [Change(change.flags, f"fits: {_size(change.total_bytes)}") for change in result.changes]
        none = [Change("", "nothing tried makes it fit: more and larger GPUs, or a smaller model")]
        return Headline(asked, f"does not fit: {of}, {_size(-result.headroom_bytes)} too much", False, changes or none)
    verdict = f"fits: {of}"
    if result.estimate is not None:
        low, high = result.estimate.step_range_s
        verdict += f"; {result.estimate.step_s:.3g} s a step ({low:.3g} to {high:.3g}), MFU {result.estimate.mfu:.1%}"
    if result.met is not None:
        verdict += f"; {'meets' if result.met else 'does not meet'} {inputs['require']}"
    return Headline(asked, verdict, result.met is not False)


def attention_compare(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx attention-compare``."""
    lengths = [_tokens(n) for n in inputs["seq"]]
    at = lengths[0] if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    on = f"on {inputs['hardware']}" if inputs["hardware"] else ""
    pairs = "causal pairs" if inputs["causal"] else "all pairs"
    asked = _line(_title(spec), f"{inputs['batch']:,} × {at} tokens", inputs["dtype"], pairs, on)
    if not result.recommendation:
        return Headline(asked, "nothing compared here can be recommended")
    last = result.recommendation[-1]
    return Headline(asked, f"at {_tokens(last.seq)} tokens: {last.reason}")


def moe(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx moe``."""
    asked = _line(_title(spec), f"{inputs['batch']:,} × {_tokens(inputs['seq'])} tokens", inputs["dtype"])
    share = result.active / result.total
    verdict = f"{_count(result.active)} of {_count(result.total)} parameters active for a token ({share:.1%})"
    return Headline(asked, verdict)


def chinchilla(model: dict[str, Any] | None, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx chinchilla``: the laws' median, and how far they spread."""
    from statistics import median  # which imports a good deal

    best = result["laws"]
    laws = f"{len(best)} laws" if len(best) > 1 else best[0].law
    name = f"{model.get('title') or model['name']}" if model else ""
    forms: dict[str, Callable[[float], str]] = {
        "compute": lambda value: f"{value:,.4g} training FLOPs".replace("e+", "e"),
        "params": lambda value: f"{_short(round(value))} parameters",
        "tokens": lambda value: f"{_short(round(value))} tokens",
        "dollars": _money,
        "gpu_hours": lambda value: f"{_short(round(value))} GPU-hours",
        "days": lambda value: f"{value:g} days",
    }
    said = [forms[key](value) for key, value in inputs.items() if key in forms and isinstance(value, (int, float))]
    n, d = [one.params for one in best], [one.tokens for one in best]
    verdict = f"{_count(median(n))} parameters on {_count(median(d))} tokens"
    if len(best) > 1:
        verdict += f"; by law {_count(min(n))} to {_count(max(n))}"
    start = "" if model is None else "the same compute buys "
    return Headline(_line(name, *said, laws), start + verdict)


def compare(specs: tuple[Any, Any], inputs: Any, answers: Any, refusals: list[str]) -> Headline:
    """``llmcx compare``: how many times B is A."""
    a, b = specs
    shared = {key: value for key, value in inputs[0].items() if inputs[1].get(key) == value}
    at = [str(shared["dtype"])] if shared.get("dtype") else []
    at += [f"{_tokens(shared['seq'])} tokens"] if shared.get("seq") else []
    at += [_gpus(shared.get("gpus") or 1, shared["hardware"])] if shared.get("hardware") else []
    names = (_title(a), _title(b)) if _title(a) != _title(b) else ("A", "B")
    first = _line(f"{names[0]} (A) against {names[1]} (B)" if names != ("A", "B") else _title(a), *at)
    said = []
    for command, path, what, form in _RATIOS:
        if command in answers:
            one, two = (_at(result, path) for result in answers[command])
            if one and two and one != two:
                said.append(f"{format.three(two / one)}× the {what} ({form(two)} for {form(one)})")
    verdict = f"B has {', '.join(said[:3])}" if said else "both cost the same"
    if refusals:
        verdict = "; ".join(refusals)
    return Headline(first, verdict, None if not refusals else False)


def _at(result: Any, path: str) -> Any:
    for name in path.split("."):
        result = getattr(result, name)
    return result


_RATIOS = (
    ("serve", "last.tokens_per_s_gpu", "tokens/s per GPU", lambda n: f"{n:,.0f}"),
    ("serve", "first.tpot_s", "time per token alone", _time),
    ("params", "total", "parameters", _count),
    ("memory", "total_bytes", "memory on a GPU", _size),
    ("flops", "per_token", "FLOPs per token", lambda n: f"{format.flops(round(n))}"),
)
"""What is said of two models, the first three that differ."""


def explain_log(spec: Any, result: Any) -> Headline:
    """``llmcx explain-log``: what was read; which term differs most, or that all agree."""
    from llmcx.answers.log import CLOSE
    from llmcx.engines.logs import NAMES

    settings = result.settings
    name = _title(spec) if spec is not None else str(result.model or "a model that is not named").rpartition("/")[2]
    stored, length = settings.get("quantization") or settings.get("dtype") or "", settings.get("seq")
    first = _line(
        f"{NAMES[result.engine]} {'b' * (result.engine == 'llama.cpp')}{result.version}"
        if result.version
        else NAMES[result.engine],
        name,
        f"{result.gpus:,} GPU{'s' * (result.gpus > 1)}" if result.gpus else "CPU",
        str(stored),
        f"{_tokens(length)} tokens" if length else "",
        f"utilization {settings['utilization']:g}" if "utilization" in settings else "",
    )
    terms = {term.term: term for term in result.terms}
    if result.largest is None:
        known = [f"{_term(term)} {_figure(term, term.logged, result)}" for term in result.terms if term.logged is not None]
        return Headline(first, f"the log alone: {', '.join(known[:3])}" if known else "the log says no size")
    most, cache = terms[result.largest], terms.get("kv_cache")
    said = "" if cache is None or cache.share is None or cache is most else f"KV cache {_against(cache.share)}; "
    said = "no room for a cache; " if cache is not None and (cache.logged or 1) < 0 else said
    if result.within <= CLOSE:
        shares = [abs(term.share) for term in result.terms if term.share is not None]
        many = len(shares)
        close = sum(share <= max(result.within, 0.0005) for share in shares)  # what counts for no cache may differ
        said += f"{close} of " if close < many else "all " if many > 2 else ""
        what = f"{many} terms agree" if many > 2 else "both terms agree" if many == 2 else f"{_term(most)} as predicted"
        return Headline(first, said + what + (f" within {result.within:.1%}" if result.within >= 0.0005 else ""))
    if most.unit == "count":
        return Headline(first, f"another model: {_term(most)} {most.logged:,} in the log, {most.predicted:,} in {name}")
    off = _figure(most, abs(most.difference), result)
    sign = "+" if most.difference > 0 else "-"
    return Headline(first, f"{said}furthest off: {_term(most)}, {sign}{off} ({most.share:+.1%})")


def _against(share: float) -> str:
    """How a figure stands to its prediction."""
    return "as predicted" if abs(share) < 0.0005 else f"{abs(share):.1%} {'more' if share > 0 else 'less'} than predicted"


def _term(term: Any) -> str:
    from llmcx.report.log import words

    return words(term.term)


def _figure(term: Any, value: Any, result: Any) -> str:
    """A term's value with its unit."""
    from llmcx.report.log import kind_of

    text = format.cell(value, kind_of(term.unit, result.engine))
    return f"{text} tokens" if term.unit == "tokens" else text
