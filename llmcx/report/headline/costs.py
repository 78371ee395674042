"""First lines of what a model costs, and of two models or variants beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmcx.report import format
from llmcx.report.headline import words
from llmcx.report.render import Change, Headline


def params(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx params``."""
    active = f"{words.count(result.active)} active" if result.active != result.total else words.count(result.total)
    verdict = f"{result.total:,} parameters, {active}; {words.both(result.bytes)} in {result.dtype}"
    return Headline(words.line(words.title(spec), "every weight counted", words.stored(spec, result.dtype)), verdict)


def flops(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx flops``."""
    unit = {"macs": "MAC", "leading-order": "op"}.get(inputs["convention"], "FLOP")
    pairs = "the pairs a mask leaves" if inputs["causal"] else "all pairs"
    again = "full recomputation" if inputs["recompute"] == "full" else ""
    many = f"{inputs['batch']:,} × {inputs['seq']:,}{words.beside(inputs)} tokens"
    asked = words.line(words.title(spec), many, inputs["convention"], pairs, again)
    train, forward = result.train.total, result.forward.total
    tokens = inputs["batch"] * inputs.get("tokens", inputs["seq"])
    verdict = f"forward {format.flops(forward)}{unit}, {format.flops(round(forward / tokens))}{unit} a token; "
    if spec.training_tokens is None or unit != "FLOP":
        return Headline(asked, f"{verdict}training step {format.flops(train)}{unit}")
    from llmcx.units import count

    trained = count(spec.training_tokens, "training_tokens")
    return Headline(asked, f"{verdict}training on {words.short(trained)} tokens: {format.flops(train * trained // tokens)}{unit}")


def memory(spec: Any, inputs: dict[str, Any], result: Any, asked: Any, fixed: Any, within: Any) -> Headline:
    """``llmcx memory``."""
    layout = asked["layout"]
    ways = " ".join(
        f"{name.upper()} {getattr(layout, name)}" for name in ("tp", "pp", "cp", "ep", "dp") if getattr(layout, name) > 1
    )
    of = ""
    if within.hardware is not None:
        used = f" at {100 * within.utilization:g}%" if within.utilization < 1 else ""
        of = f"{words.gpus(layout.gpus, within.hardware)}{used}"
    elif layout.gpus > 1:
        of = f"{layout.gpus:,} GPUs"
    shape = f"{asked['batch']:,} × {words.tokens(asked['seq'])}{words.beside(inputs)} tokens"
    if fixed["train"]:
        recipe = fixed["recipe"]
        what = inputs.get("rl") or "training"
        how = f"{what}, {recipe.precision}" if recipe.precision != inputs["engine"] else what
        if recipe.lora:
            how = " ".join(filter(None, (inputs.get("rl"), f"LoRA {recipe.lora.rank} on {inputs['dtype'] or '16 bits'}")))
        zero = f"ZeRO-{layout.zero}" if layout.zero else ""
        again = f"recompute {recipe.recompute}" if recipe.recompute != "none" else ""
        first = words.line(words.title(spec), f"{how}, {recipe.optimizer}", shape, again, ways, zero, inputs["engine"], of)
    else:
        formats = f"{words.stored(spec, inputs['dtype'])}, {fixed['kv_dtype']} cache"
        first = words.line(words.title(spec), formats, shape, ways, f"engine {inputs['engine']}", of)
    each = " on each GPU" if layout.gpus > 1 else ""
    total = result.total_bytes
    if result.fit is not None:
        return Headline(first, _fitted(result, within.bytes), True)
    if within.bytes is None:
        return Headline(first, f"{words.both(total)}{each}")
    if result.fits:
        free = words.size(result.headroom_bytes)
        return Headline(first, f"fits: {words.both(total)}{each} of {words.size(within.bytes)}, {free} to spare", True)
    verdict = (
        f"does not fit: {words.both(total)}{each} of {words.size(within.bytes)}, {words.size(-result.headroom_bytes)} too much"
    )
    from llmcx.answers.remedies import remedies

    changes = [Change(each.options, f"fits: {words.size(each.bytes)}") for each in remedies(spec, within.bytes, asked, fixed)]
    return Headline(
        first, verdict, False, changes or [Change("", "nothing tried makes it fit: more and larger GPUs, or less of both")]
    )


def _fitted(result: Any, budget: int) -> str:
    fit = result.fit
    names = {"batch": "largest batch", "seq": "largest context", "gpus": "fewest GPUs", "dtype": "most precise format"}
    what = names.get(fit.what, "most on the GPU")
    value = f"{fit.value:,}" if isinstance(fit.value, int) else fit.value
    unit = " tokens" if fit.what == "seq" else ""
    verdict = f"{what}: {value}{unit}, {words.size(result.total_bytes)} of {words.size(budget)}"
    if fit.next is None:
        return f"{verdict}; all that the model takes" if fit.what == "seq" else verdict
    after = f"{fit.next:,}" if isinstance(fit.next, int) else fit.next
    return f"{verdict}; {after} would take {words.size(fit.next_bytes)}"


def attention_compare(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx attention-compare``."""
    lengths = [words.tokens(n) for n in inputs["seq"]]
    at = lengths[0] if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    on = f"on {inputs['hardware']}" if inputs["hardware"] else ""
    pairs = "causal pairs" if inputs["causal"] else "all pairs"
    asked = words.line(words.title(spec), f"{inputs['batch']:,} × {at} tokens", inputs["dtype"], pairs, on)
    if not result.recommendation:
        return Headline(asked, "nothing compared here can be recommended")
    last = result.recommendation[-1]
    return Headline(asked, f"at {words.tokens(last.seq)} tokens: {last.reason}")


def moe(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx moe``."""
    asked = words.line(words.title(spec), f"{inputs['batch']:,} × {words.tokens(inputs['seq'])} tokens", inputs["dtype"])
    share = result.active / result.total
    verdict = f"{words.count(result.active)} of {words.count(result.total)} parameters active for a token ({share:.1%})"
    return Headline(asked, verdict)


def chinchilla(model: dict[str, Any] | None, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx chinchilla``: the laws' median, and how far they spread."""
    from statistics import median  # which imports a good deal

    best = result["laws"]
    laws = f"{len(best)} laws" if len(best) > 1 else best[0].law
    name = f"{model.get('title') or model['name']}" if model else ""
    forms: dict[str, Callable[[float], str]] = {
        "compute": lambda value: f"{value:,.4g} training FLOPs".replace("e+", "e"),
        "params": lambda value: f"{words.short(round(value))} parameters",
        "tokens": lambda value: f"{words.short(round(value))} tokens",
        "dollars": words.money,
        "gpu_hours": lambda value: f"{words.short(round(value))} GPU-hours",
        "days": lambda value: f"{value:g} days",
    }
    said = [forms[key](value) for key, value in inputs.items() if key in forms and isinstance(value, (int, float))]
    n, d = [one.params for one in best], [one.tokens for one in best]
    verdict = f"{words.count(median(n))} parameters on {words.count(median(d))} tokens"
    if len(best) > 1:
        differs, unit = (d, " tokens") if min(n) == max(n) else (n, "")  # of a size that is given they agree
        verdict += f"; by law {words.count(min(differs))} to {words.count(max(differs))}{unit}"
    start = "" if model is None else "the same compute buys "
    return Headline(words.line(name, *said, laws), start + verdict)


def compare(specs: tuple[Any, Any], inputs: Any, answers: Any, refusals: list[str]) -> Headline:
    """``llmcx compare``: how many times B is A."""
    a, b = specs
    shared = {key: value for key, value in inputs[0].items() if inputs[1].get(key) == value}
    at = [str(shared["dtype"])] if shared.get("dtype") else []
    at += [f"{words.tokens(shared['seq'])} tokens"] if shared.get("seq") else []
    at += [words.gpus(shared.get("gpus") or 1, shared["hardware"])] if shared.get("hardware") else []
    names = (words.title(a), words.title(b)) if words.title(a) != words.title(b) else ("A", "B")
    first = words.line(f"{names[0]} (A) against {names[1]} (B)" if names != ("A", "B") else words.title(a), *at)
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
    ("serve", "first.tpot_s", "time per token alone", words.time),
    ("params", "total", "parameters", words.count),
    ("memory", "total_bytes", "memory on a GPU", words.size),
    ("flops", "per_token", "FLOPs per token", lambda n: f"{format.flops(round(n))}"),
)
"""What is said of two models, the first three that differ."""
