"""presets/engines/*.yaml as an Efficiency: what share of each peak a run with this engine on this accelerator reaches."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

from llmcx.catalog.index import ROOT, data_of
from llmcx.engines.serving_estimate import Schedule
from llmcx.errors import InputError, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import Efficiency, with_overrides


@lru_cache(maxsize=8)
def data(name: str) -> dict[str, Any]:
    """A file of presets/engines."""
    return data_of(ROOT / "engines" / f"{name}.yaml")


TRAINING = ("megatron", "megatron-deepspeed", "fsdp", "torchtitan", "maxtext", "llmq", "transformers", "unsloth")
STACKS = {**{name: name.replace("-", "_") for name in TRAINING}, "transformers": "finetuning", "serving": "serving"}
"""Software that was calibrated, and its file: what trains; a tuned serving engine."""


def efficiency(
    hardware: Hardware,
    stack: str,
    dtype: str | None = None,
    overrides: Mapping[str, float] | None = None,
    frozen: str | None = None,
) -> tuple[Efficiency, list[str]]:
    """The calibrated factors and, in words, where each is from. ``stack`` is one of :data:`STACKS`; ``frozen`` the format of a
    model that only adapters change.
    """
    if stack not in STACKS:
        raise unknown_name("software stack", stack, list(STACKS), field="stack")
    table, chosen = data("kernels"), data(STACKS[stack])
    best, measured = matmul(hardware, dtype)
    kernels = of_generation(chosen["kernels"], hardware)
    attention = chosen.get("attention", table["attention"]["value"])
    made = Efficiency(
        matmul=min(1.0, best * kernels),
        attention=attention * kernels,
        memory=min(1.0, chosen.get("memory", table["memory"]["value"]) * kernels),
        link=table["link"]["value"],
        kernel_s=chosen.get("kernel_us", 0.0) / 1e6,
        link_s=chosen.get("link_us", 0.0) / 1e6,
        experts=chosen.get("experts", 1.0),
        routed_s=of_generation(chosen.get("routed_us", 0.0), hardware) / 1e6,
        permuted=chosen.get("permuted", 3.0),
        quantise=chosen.get("quantise", 0.0),
        logit=chosen.get("logit", 0.0),
        last_product=chosen.get("last_product", 0.0),
        adapted=chosen.get("adapted", 0.0),
        unpacked=_unpacked(chosen, frozen),
        host_s=chosen.get("host_us", 0.0) / 1e6,
        accumulated=chosen.get("accumulated", 0.0),
        array=of_generation(chosen.get("array", 0.0), hardware),
        block=chosen.get("block", 0.0),
        tile=chosen.get("tile", 0.0),
        **{f"hidden_{name}": share for name, share in chosen["hidden"].items()},
    )
    how = (
        f"{best:.0%} measured for the best kernel"
        if measured
        else f"{best:.0%} assumed for the best kernel: no measurement is known"
    )
    words = [
        f"calibrated on {chosen['date']} to {chosen['title']}: {chosen['source']}",
        f"matmuls reach {made.matmul:.0%} of the peak ({how}; {kernels:.0%} of that in this engine), memory"
        f" {made.memory:.0%}, links {made.link:.0%}",
    ]
    if overrides:
        made = with_overrides(made, overrides)
        words.append("overridden: " + ", ".join(f"{name} = {value:g}" for name, value in overrides.items()))
    return made, words


def _unpacked(chosen: Mapping[str, Any], frozen: str | None) -> float:
    """Bytes for each number of a matrix in a format, which may have settings behind its name."""
    known: Mapping[str, float] = chosen.get("unpacked", {"default": 0.0})
    return known.get((frozen or "").partition(":")[0], known["default"])


def band(stack: str, experts: bool, hardware: Hardware | None = None, zero: int = 0) -> tuple[float, float]:
    """10th and 90th percentile of measured / estimated steps of a training engine, over rows that its numbers have not seen.

    Where an engine was measured on some generations of chips alone, others have a wider one, that is assumed; so have GPUs that
    share a model out (``zero`` 3), where they were measured apart.
    """
    of = data(STACKS[stack])
    low, high = of.get("band_experts", ASSUMED) if experts else of["band"]
    if not experts and zero == 3:
        low, high = of.get("band_shared", (low, high))
    if hardware is not None and not known_on(stack, hardware):
        low, high = of["band_elsewhere"]
    return float(low), float(high)


def known_on(stack: str, hardware: Hardware) -> bool:
    """Whether an engine was measured on such chips, where it says on which it was."""
    chips = data(STACKS[stack]).get("measured")
    return chips is None or any(name in chips for name in generations(hardware))


def measured(stack: str, experts: bool) -> bool:
    """Whether steps of such models were measured with a training engine."""
    return not experts or "band_experts" in data(STACKS[stack])


ASSUMED = (0.6, 1.7)
"""A band where an engine's experts were not measured."""


def generations(hardware: Hardware) -> list[str]:
    """Which of kernels.yaml's generations of chips an accelerator is of, and its vendor."""
    known: Mapping[str, list[str]] = data("kernels")["generations"]
    return [*(name for name, members in known.items() if hardware.name in members), hardware.vendor.lower()]


def generation(hardware: Hardware) -> str:
    """The first of them; its vendor where that is not told apart."""
    return generations(hardware)[0]


Value = TypeVar("Value", float, list[float])


def of_generation(values: Value | Mapping[str, Value], hardware: Hardware) -> Value:
    """A number, or several, that may be given by accelerator, else by generation, of two the later one, else by vendor, its
    "default" for others.
    """
    if not isinstance(values, Mapping):
        return values
    *chips, vendor = generations(hardware)
    return next((values[name] for name in (hardware.name, *reversed(chips), vendor) if name in values), values["default"])


ESTIMATED = ("trtllm", "vllm", "sglang")
"""Serving engines of which loads were measured, and whose kernels were."""


def schedule(engine: str, overrides: Mapping[str, float] | None = None) -> tuple[Schedule, list[str]]:
    """An engine's own numbers and, in words, where they are from. ``engine`` is one of :data:`ESTIMATED`.

    Raises InputError for an override that it has not.
    """
    of = data(engine)
    numbers, bands = of["schedule"], {f"{name}_bands": band for name, band in of["bands"].items()}
    words = [f"kernels as measured ones (presets/kernels), {of['title']} by {of['source']}, {of['date']}"]
    for name, value in (overrides or {}).items():
        if name not in numbers:
            raise unknown_name("number of the engine", name, list(numbers), field="efficiency")
        if not 0 <= value < 1e9:
            raise InputError(f"efficiency {name} is {value:g}, but must be 0 or more", field="efficiency", value=value)
    if overrides:
        words.append("overridden: " + ", ".join(f"{name} = {value:g}" for name, value in overrides.items()))
    return Schedule(**numbers | dict(overrides or {}), at_once=of["at_once"], **bands), words


def matmul(hardware: Hardware, dtype: str | None) -> tuple[float, bool]:
    """The best matmul's share of the peak, and whether somebody measured it. 8-bit formats share a figure."""
    table = data("kernels")["matmul"]
    narrow = (dtype or hardware.dtype) in ("fp8", "int8", "fp6", "fp4", "int4")
    found = table["fp8" if narrow else "bf16"].get(hardware.name)
    return (found, True) if found is not None else (table["default"], False)


def overrides(texts: list[str] | None) -> dict[str, float]:
    """["memory=0.9"] -> {"memory": 0.9}. Raises InputError for what is not name=number."""
    given = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        try:
            given[name.strip()] = float(value)
        except ValueError:
            raise InputError(f"--efficiency {text} is not name=number, e.g. memory=0.9", field="efficiency", value=text) from None
    return given


def price(hardware: Hardware, stated: float | None) -> tuple[float | None, list[str]]:
    """USD per accelerator-hour: the one stated, else the accelerator's, and what to say of that."""
    if stated is not None:
        if not 0 <= stated < 1e9:
            raise InputError(f"--price is {stated}, but must be 0 or more", field="price", value=stated, allowed="0 or more")
        return stated, []
    known = hardware.usd_per_hour
    if known is None:
        return None, [f"no price of {hardware.title} is known; give --price for a cost"]
    return known.usd, [f"price: {known.stated()}; override with --price"]


def energy(name: str) -> tuple[float, str]:
    """A default of the energy section, and where it is from."""
    entry = data_of(ROOT / "energy.yaml")[name]
    dated = f", {entry['date']}" if "date" in entry else ""
    return entry["value"], entry["source"] + dated
