"""First lines of what a launch line, a budget or a log comes to."""

from __future__ import annotations

import re
from math import ceil
from typing import Any

from llmcx.report import format
from llmcx.report.headline import words
from llmcx.report.render import Change, Headline

_HALVES = {"prefill": "prompts", "decode": "decode"}


def check(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx check``."""
    ways = " ".join(f"{name.upper()} {inputs[name]}" for name in ("tp", "pp", "ep") if inputs[name] > 1)
    if result.workers:
        ways = ", ".join(f"{_HALVES[each.role]} {each.number:,} x {each.gpus:,}" for each in result.workers)
    copies = f"{result.replicas:,} copies" if result.replicas > 1 else ""
    used = f" at {100 * inputs['utilization']:g}%" if inputs["utilization"] < 1 else ""
    asked = words.line(
        f"{result.engine}: {words.title(spec)}",
        f"{words.stored(spec, inputs['dtype'])}, {inputs['kv_dtype']} cache",
        f"{words.tokens(result.seq)} tokens",
        ways,
        copies,
        f"{words.gpus(result.gpus * result.replicas, inputs['hardware'])}{used}",
    )
    each = " on each GPU" if result.gpus > 1 else ""
    of = f"{words.size(result.total_bytes)}{each} of {words.size(result.budget_bytes)}"
    if not result.fits:
        changes = [Change(change.flags, f"fits: {words.size(change.total_bytes)}") for change in result.changes]
        none = [Change("", "nothing tried makes it fit: more and larger GPUs, or a smaller model")]
        none_of = "" if not result.workers else "workers for prompts: " if result.workers[1].fits else "workers that decode: "
        verdict = f"does not fit: {none_of}{of}, {words.size(-result.headroom_bytes)} too much"
        return Headline(asked, verdict, False, changes or none)
    users = f"{result.users:,} users" if result.users != 1 else "one user"
    of_each = " each" if result.replicas > 1 else ""
    verdict = f"fits: cache for {result.cache_tokens:,} tokens, {users} at {words.tokens(result.seq)}{of_each}"
    if result.estimate:
        one = result.estimate[0]
        low_high = f" ({1e3 * one.tpot_range_s[0]:.3g} to {1e3 * one.tpot_range_s[1]:.3g})" if one.tpot_range_s else ""
        many = f" for {one.batch:,} users" if one.batch > 1 else ""
        verdict += f"; {1e3 * one.tpot_s:.3g} ms a token{low_high}{many}"
        if result.places is not None:
            busy = result.places
            if result.workers:  # those who decode, by Little's law: fewer where prompts are the bound
                busy = min(busy, ceil(one.tokens_per_s_gpu * result.gpus * one.tpot_s - 1e-6))
            verdict += f", {busy:,} at a time"
    if result.met is not None:
        asked_for = re.sub(r"(?<=\d)(?=m?s\b)", " ", inputs["require"])
        verdict += f"; {'meets' if result.met else 'does not meet'} {asked_for}"
    return Headline(asked, verdict, result.met is not False)


def budget(inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx check --all``."""
    since = f"against {inputs['against']}" if inputs["against"] else ""
    many = len(result.entries)
    asked = words.line(f"{many:,} launch line{'s' * (many != 1)} of {inputs['file']}", since)
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

    asked = words.line(
        f"{result.engine}: {words.title(spec)}",
        inputs["compute_dtype"],
        f"{result.global_batch:,} × {words.tokens(result.seq)}",
        label(result.layout),
        words.gpus(result.gpus, inputs["hardware"]),
    )
    each = " on the fullest GPU" if result.gpus > 1 else ""
    of = f"{words.size(result.total_bytes)}{each} of {words.size(result.budget_bytes)}"
    if not result.fits:
        changes = [Change(change.flags, f"fits: {words.size(change.total_bytes)}") for change in result.changes]
        none = [Change("", "nothing tried makes it fit: more and larger GPUs, or a smaller model")]
        return Headline(asked, f"does not fit: {of}, {words.size(-result.headroom_bytes)} too much", False, changes or none)
    verdict = f"fits: {of}"
    if result.estimate is not None:
        low, high = result.estimate.step_range_s
        verdict += f"; {result.estimate.step_s:.3g} s a step ({low:.3g} to {high:.3g}), MFU {result.estimate.mfu:.1%}"
    if result.met is not None:
        verdict += f"; {'meets' if result.met else 'does not meet'} {inputs['require']}"
    return Headline(asked, verdict, result.met is not False)


def explain_log(spec: Any, result: Any) -> Headline:
    """``llmcx explain-log``: what was read; which term differs most, or that all agree."""
    from llmcx.answers.log import CLOSE
    from llmcx.engines.logs import NAMES

    settings = result.settings
    name = words.title(spec) if spec is not None else str(result.model or "a model that is not named").rpartition("/")[2]
    stored, length = settings.get("quantization") or settings.get("dtype") or "", settings.get("seq")
    first = words.line(
        f"{NAMES[result.engine]} {'b' * (result.engine == 'llama.cpp')}{result.version}"
        if result.version
        else NAMES[result.engine],
        name,
        f"{result.gpus:,} GPU{'s' * (result.gpus > 1)}" if result.gpus else "CPU",
        str(stored),
        f"{words.tokens(length)} tokens" if length else "",
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
