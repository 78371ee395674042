"""Evaluations a second on one core, through the Python API: per cost and preset, and whether they depend on L, n or E.

    python tests/benchmarks/throughput.py

Seconds are this process's own (time.process_time), the best of five rounds. "a new model" is a spec not seen before, built
by dataclasses.replace within the time measured; the others are one spec at batches and lengths that were not asked before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from time import process_time
from typing import Any

import llmcx
from llmcx.answers import plan_serve
from llmcx.answers.arrivals import Paces, arriving
from llmcx.answers.load import Load, point
from llmcx.answers.plan import plan
from llmcx.answers.plan_ways import Wanted
from llmcx.answers.serve import estimator
from llmcx.answers.shapes import shapes
from llmcx.catalog.data import load_hardware
from llmcx.cli.plan import _places
from llmcx.engines import engine
from llmcx.engines.efficiency import efficiency
from llmcx.engines.serving_time import Server, Setup
from llmcx.engines.spread import SHARES
from llmcx.engines.training_time import Trainer
from llmcx.model.spec import ModelSpec, MoE

PRESETS = ("gpt3", "llama-3-8b", "mixtral-8x7b")
ROUNDS, CALLS = 5, 4000


def rate(call: Callable[[int], Any], calls: int = CALLS) -> float:
    """Calls a second; each gets another number."""
    numbers = count(1)
    best = 0.0
    for _ in range(ROUNDS):
        mine = [next(numbers) for _ in range(calls)]
        start = process_time()
        for number in mine:
            call(number)
        best = max(best, calls / (process_time() - start))
    return best


def with_layers(spec: ModelSpec, n: int) -> ModelSpec:
    return replace(spec, decoder=(replace(spec.decoder[0], repeat=n),))


def with_experts(spec: ModelSpec, n: int) -> ModelSpec:
    ffn = spec.decoder[0].ffn
    assert isinstance(ffn, MoE)
    return replace(spec, decoder=(replace(spec.decoder[0], ffn=replace(ffn, n_experts=n)),))


def costs(spec: ModelSpec) -> Iterator[tuple[str, Callable[[int], Any]]]:
    """Each cost of one spec, by the number of the call."""
    yield "params(s).total", lambda i: llmcx.params(spec).total
    yield "flops(s, seq=n).forward.total", lambda i: llmcx.flops(spec, seq=1 + i % 2048, batch=i).forward.total
    yield "flops(s, seq=n).train.total", lambda i: llmcx.flops(spec, seq=1 + i % 2048, batch=i).train.total
    yield "flops(s, seq=n).decode.total", lambda i: llmcx.flops(spec, seq=1 + i % 2048, batch=i).decode.total
    yield "flops(s, seq=n), every field", lambda i: every_field(llmcx.flops(spec, seq=1 + i % 2048, batch=i))
    yield "memory(s, seq=n).total_bytes", lambda i: llmcx.memory(spec, seq=1 + i % 2048, batch=i).total_bytes
    yield "memory(s, train=True).total_bytes", lambda i: llmcx.memory(spec, seq=1 + i % 2048, batch=i, train=True).total_bytes
    yield "params of a new model", lambda i: llmcx.params(with_layers(spec, i)).total
    yield "flops of a new model, forward", lambda i: llmcx.flops(with_layers(spec, i), seq=2048).forward.total


def every_field(value: Any) -> Any:
    """Reads all that --json would write."""
    from llmcx.report.json import as_json as plain

    return plain(value)


def forgotten(spec: ModelSpec) -> ModelSpec:
    """The same model, of which nothing is remembered: files that were read are, and no count of it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("llmcx.") and not name.startswith("llmcx.catalog"):
            for each in vars(module).values():
                if hasattr(each, "cache_clear"):
                    each.cache_clear()
    return replace(spec)


def planned() -> float:
    """Layouts sized and timed, the lowerings included."""
    h100, spec = load_hardware("h100"), llmcx.load("deepseek-v3")
    best = 0.0
    for _ in range(ROUNDS):
        new = forgotten(spec)
        start = process_time()
        found = plan(Trainer(new, 4096, h100, efficiency(h100, "megatron")[0]), 2048, 15360, h100.memory_bytes)
        best = max(best, found.searched / (process_time() - start))
    return best


def served() -> float:
    """Users at a batch: first token, time per token, throughput."""
    server, load = Server(llmcx.load("llama-3-8b"), load_hardware("h100")), Load(1024, 1024)
    return rate(lambda i: point(server, load, 1 + i % 200, None), 500)


def served_by_kernels() -> float:
    """The same of an engine's estimate, kernel by kernel, with the percentiles that the command prints."""
    h100 = load_hardware("h100")
    server, _ = estimator(llmcx.load("llama-3-8b"), h100, Setup(), engine("vllm"), "bf16")
    load = Load(1024, 1024)
    return rate(lambda i: point(server, load, 1 + i % 200, None, SHARES), 500)


def arrived() -> float:
    """Rates at which requests arrive."""
    server, _ = estimator(llmcx.load("llama-3-8b"), load_hardware("h100"), Setup(), engine("vllm"), "bf16")
    paces = Paces(server, Load(1024, 1024), 200)
    return rate(lambda i: arriving(paces, paces.largest_rate * (1 + i % 900) / 1000, None, SHARES), 500)


def planned_serving(wanted: Wanted, apart: bool | None) -> float:
    """Configurations of a plan for serving, the lowerings included."""
    spec = llmcx.load("qwen3-235b-a22b")
    places, _ = _places(spec, ["h100", "h200", "b200"], None, None, None)
    best = 0.0
    for _ in range(ROUNDS):
        new = forgotten(spec)
        start = process_time()
        found = plan_serve.plan(new, Load(1024, 1024), places, "bf16", wanted, plan_serve.Objective(None, 0.04), apart=apart)
        best = max(best, found.searched / (process_time() - start))
    return best


def main() -> None:
    print(f"{'evaluations a second':36}" + "".join(f"{name:>14}" for name in PRESETS))
    table = [list(costs(llmcx.load(name))) for name in PRESETS]
    for row in zip(*table, strict=True):
        print(f"{row[0][0]:36}" + "".join(f"{rate(call):14,.0f}" for _, call in row))
    gpt, mixtral = llmcx.load("gpt3"), llmcx.load("mixtral-8x7b")
    longer = llmcx.load("llama-3-8b")
    print("\nGPUs, a second")
    rows: tuple[tuple[str, Callable[[], float]], ...] = (
        ("layouts in train --plan, DeepSeek-V3 on 2,048 H100", planned),
        ("points of serve, the bound", served),
        ("points of serve --engine vllm, with percentiles", served_by_kernels),
        ("points of serve --rate, with percentiles", arrived),
        ("configurations of plan serve", lambda: planned_serving(Wanted(1, 64), None)),
        ("of these without prompts on GPUs of their own", lambda: planned_serving(Wanted(1, 64), False)),
        ("configurations of plan serve --rate 20/s", lambda: planned_serving(Wanted(1, 64, rate=20.0), None)),
    )
    for what, number in ((what, call()) for what, call in rows):
        print(f"{what:60}{number:10,.0f}")
    print("\nflatness, evaluations a second")
    cases: list[tuple[str, tuple[int, ...], Callable[[int], Callable[[int], Any]]]] = [
        ("L", (2, 2**10, 2**20), lambda n: lambda i: llmcx.flops(with_layers(gpt, n), seq=2048, batch=i).forward.total),
        ("n", (1, 2**10, 2**20), lambda n: lambda i: llmcx.flops(longer, seq=n, batch=i).forward.total),
        ("L, shapes", (1, 10**3, 10**6), lambda n: lambda i: shapes(10**12 + i, 32000, depths=[n])),
        ("E", (2, 2**8, 2**15), lambda n: lambda i: llmcx.flops(with_experts(mixtral, n), seq=2048, batch=i).forward.total),
    ]
    for what, values, make in cases:
        print(f"{what:10}" + "".join(f"{value:>12,}: {rate(make(value)):9,.0f}" for value in values))


if __name__ == "__main__":
    main()
