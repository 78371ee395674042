"""What would make it fit: the smallest changes to a question whose answer is no, each computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from llmcx.answers.fit import context_limit, formats, most, tensor_sizes
from llmcx.answers.memory import Memory, memory
from llmcx.costs.lora import LoRA
from llmcx.engines.recipe import Recipe
from llmcx.errors import InputError
from llmcx.formats import dtypes, quant
from llmcx.model.spec import ModelSpec

MOST = 3
"""Changes that are told."""
ADAPTERS = LoRA(16, ("q", "k", "v", "out", "gate", "up", "down"))
"""What is suggested where all weights are trained and do not fit."""
NODES = (2, 4, 8, 16, 32, 64)
"""GPUs that are tried in training."""


class Remedy(NamedTuple):
    """Options that make it fit, and bytes on the fullest GPU with them."""

    options: str
    bytes: int


Try = Callable[[], tuple[str, Memory]]


def remedies(spec: ModelSpec, budget: int, asked: dict[str, Any], fixed: dict[str, Any]) -> list[Remedy]:
    """The first few changes that fit ``budget``, those that cost the user least first. ``asked`` and ``fixed`` are the inputs of
    :func:`llmcx.answers.memory.memory`, as :func:`llmcx.answers.fit.fitted` takes them.
    """
    found: list[Remedy] = []
    for attempt in _training(spec, asked, fixed) if fixed["train"] else _inference(spec, budget, asked, fixed):
        try:
            options, result = attempt()
        except InputError:  # what this model or layout does not take
            continue
        flags = {word for word in options.split() if word.startswith("--")}
        more = any(flags >= {word for word in one.options.split() if word.startswith("--")} for one in found)
        if result.total_bytes <= budget and not more:  # no more of the same, nor what goes beyond what is enough
            found.append(Remedy(options, result.total_bytes))
        if len(found) == MOST:
            break
    return found


def _inference(spec: ModelSpec, budget: int, asked: dict[str, Any], fixed: dict[str, Any]) -> Iterator[Try]:
    """A smaller cache, then weights in fewer bits (with both), fewer sequences, shorter ones, more GPUs."""

    def tried(options: str, cache: str | None = None, **changed: Any) -> tuple[str, Memory]:
        return options, memory(spec, **{**asked, **changed}, **(fixed if cache is None else {**fixed, "kv_dtype": cache}))

    def largest(what: str, limit: int) -> tuple[str, Memory]:
        value, result, _ = most(lambda n: memory(spec, **{**asked, what: n}, **fixed), budget, limit, what)
        return f"--{what} {value}", result

    cache = _smaller_cache(fixed)
    if cache is not None:
        yield partial(tried, f"--kv-dtype {cache}", cache)
    now = _bits(spec, asked["dtype"])
    for name in formats(spec):
        if _bits(spec, name) < now:
            yield partial(tried, f"--dtype {name}", dtype=name)
            if cache is not None:
                yield partial(tried, f"--dtype {name} --kv-dtype {cache}", cache, dtype=name)
    for what, limit in (
        ("batch", asked["batch"]),
        ("seq", asked["seq"] if "shown" in fixed else min(asked["seq"], context_limit(spec))),
    ):
        if limit > 1:
            yield partial(largest, what, limit)
    layout = asked["layout"]
    for tp in tensor_sizes(spec):
        if tp > layout.tp and layout.pp == 1:
            yield partial(tried, f"--gpus {tp * layout.dp} --tp {tp}", layout=layout._replace(tp=tp))


def _smaller_cache(fixed: dict[str, Any]) -> str | None:
    """A format of the cache with half the bytes, as the engine has it."""
    if dtypes.per_element(fixed["kv_dtype"]) < 2:
        return None
    return {"llama.cpp": "q8_0", "transformers": None}.get(fixed["engine"].name, "fp8")


def _bits(spec: ModelSpec, dtype: str) -> float:
    return dtypes.BITS[dtype] if dtype in dtypes.BITS else quant.weights(spec, dtype).bits_per_weight


def _training(spec: ModelSpec, asked: dict[str, Any], fixed: dict[str, Any]) -> Iterator[Try]:
    """One sequence at a time, recomputation, sharing states, smaller states, adapters, a frozen model in 4 bits; more GPUs."""
    recipe: Recipe = fixed["recipe"]
    layout = asked["layout"]
    alone = layout.gpus == layout.dp

    def tried(options: str, recipe: Recipe = recipe, **changed: Any) -> tuple[str, Memory]:
        return options, memory(spec, **{**asked, **changed}, **{**fixed, "recipe": recipe})

    def steps() -> Iterator[tuple[str, Recipe]]:
        if recipe.optimizer in ("adam", "adamw") and recipe.lora is None:
            yield "--optimizer adam8bit", replace(recipe, optimizer="adam8bit")
        if recipe.lora is None and alone:
            yield "--lora 16", replace(recipe, lora=ADAPTERS)
        if recipe.base is None and alone:
            named = "" if recipe.lora else "--lora 16 "
            yield f"{named}--dtype nf4", replace(recipe, lora=recipe.lora or ADAPTERS, base="nf4")

    again = recipe.every is None
    if asked["batch"] > 1:
        yield partial(tried, "--micro-batch 1", batch=1)
    if again:
        yield partial(tried, "--recompute full", replace(recipe, recompute="full"))
    if layout.replicas > 1:
        for zero in range(layout.zero + 1, 4):
            yield partial(tried, f"--zero {zero}", layout=layout._replace(zero=zero))
        if again:
            for zero in range(layout.zero + 1, 4):
                less = replace(recipe, recompute="full")
                yield partial(tried, f"--zero {zero} --recompute full", less, layout=layout._replace(zero=zero))
    for options, changed in steps():
        yield partial(tried, options, changed)
        if again:
            yield partial(tried, f"{options} --recompute full", replace(changed, recompute="full"))
    for gpus in NODES if alone else ():
        if gpus > layout.dp:
            yield partial(tried, f"--gpus {gpus} --zero 3", layout=layout._replace(dp=gpus, zero=3))
