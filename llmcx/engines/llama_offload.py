"""What llama.cpp holds on a GPU and what in the host's memory, where a model is split between them.

Rules: src/llama-model.cpp of ggml-org/llama.cpp 0.5.0 (load_tensors, i_gpu_start); common/arg.cpp, --n-cpu-moe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from llmcx.costs.params import active_fold, fold
from llmcx.engines import Engine
from llmcx.engines.inference_memory import Paged, kept
from llmcx.model.lower import Run
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op
from llmcx.parallel.division import division
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import Stage
from llmcx.parallel.ranks import Pieces
from llmcx.parallel.ranks import pieces as uncached

pieces = lru_cache(maxsize=64)(uncached)  # of a model many splits are tried


class Split(NamedTuple):
    """``gpu_layers`` (-ngl): the last so many, of which the output is one more than the layers there are; ``cpu_moe``
    (--n-cpu-moe): the first so many layers' routed experts stay in the host's memory.
    """

    gpu_layers: int
    cpu_moe: int = 0

    @property
    def flags(self) -> str:
        return f"-ngl {self.gpu_layers}" + (f" --n-cpu-moe {self.cpu_moe}" if self.cpu_moe else "")


class Place(NamedTuple):
    """Bytes of weights and of what is kept (by part), and of the largest matrix."""

    weights: int
    kept: dict[str, int]
    matrix: int


Sized = Callable[[Iterable[Op]], int]
"""Bytes of the weights of some ops."""


def placed(spec: ModelSpec, split: Split, batch: int, context: int, engine: Engine, kv_bytes: float, sized: Sized) -> list[Place]:
    """The GPU's, and the host's. Layer i of n is on the GPU from i = n + 1 - gpu_layers on, with its cache, and the output as
    layer n; the token table never is, and has a copy there where it is the output's matrix too.
    """
    n = spec.n_layers
    start = min(max(n + 1 - split.gpu_layers, 0), n)
    of = pieces(spec, Run(1, 1), division(Layout()))
    cached = pieces(spec, step_at(context, batch), division(Layout()))
    before, experts = counted(spec, start), counted(spec, max(split.cpu_moe, start))
    every = [layers.repeat for layers in spec.kinds.values()]
    found = []
    for on_gpu in (True, False):
        layers = [all_ - some for all_, some in zip(every, before, strict=True)] if on_gpu else before
        # Of the layers here, those whose experts are in the host's memory.
        apart = [more - less for more, less in zip(experts, before, strict=True)]
        of_experts = [here - away if on_gpu else here + away for here, away in zip(layers, apart, strict=True)]
        output = on_gpu == (split.gpu_layers > 0)
        ops = [] if on_gpu else [*of.embedding, *of.everywhere]
        ops += _layers(of, layers, of_experts)
        if output:
            ops += of.end if on_gpu else of.tied
        stage = Stage(0, sum(layers), tuple(layers), not on_gpu, output)
        pages = Paged(engine, kept(spec, cached, stage), batch, context, 1).bytes(kv_bytes) or {}
        found.append(Place(sized(ops), pages, _largest(ops, sized)))
    return found


class Met(NamedTuple):
    """Weights that a token meets: those in the host's memory, and all of them (the token table gives it one row); and the share
    of the layers there, with their caches.
    """

    host: float
    all: float
    layers: float


def met(spec: ModelSpec, split: Split) -> Met:
    """Of a split; of routed experts a token meets as many as it is sent to.

    Half of Mixtral's layers have their experts in the host's memory: 16 · 2 experts · 3 · 4,096 · 14,336 weights.

    >>> from llmcx.catalog.presets import load_preset
    >>> round(met(load_preset("mixtral-8x7b"), Split(33, 16)).host / (16 * 2 * 3 * 4096 * 14336), 3)
    1.0
    """
    n = spec.n_layers
    start = min(max(n + 1 - split.gpu_layers, 0), n)
    of = pieces(spec, Run(1, 1), division(Layout()))
    before, experts = counted(spec, start), counted(spec, max(split.cpu_moe, start))
    here = sum(active_fold.of(op) for op in of.end)
    host, every = (0.0, here) if split.gpu_layers > 0 else (here, here)
    for layers, count, routed, one in zip(spec.kinds.values(), before, experts, of.kinds.values(), strict=True):
        for op in one:
            weights = active_fold.of(op)
            host += weights * (routed if op.role == "expert" else count)
            every += weights * layers.repeat
    return Met(host, every, start / n)


def _largest(ops: Iterable[Op], sized: Sized) -> int:
    """Bytes of the largest matrix: no type of weight takes eight times the bytes of another, so that small ones are not asked."""
    matrices = [(fold.of(op._replace(times=1)), op) for op in ops if op.kind == "linear"]
    most = max((elements for elements, _ in matrices), default=0)
    return max((sized([op._replace(times=1)]) for elements, op in matrices if elements * 8 >= most), default=0)


def counted(spec: ModelSpec, first: int) -> list[int]:
    """Of the ``first`` layers, how many of each kind."""
    counts = dict.fromkeys(spec.kinds, 0)
    for name, many in spec.runs:
        taken = min(many, first)
        counts[name] += taken
        first -= taken
    return [*counts.values()]


def _layers(of: Pieces, layers: list[int], of_experts: list[int]) -> list[Op]:
    """The ops of so many layers of each kind, and of the routed experts of so many."""
    ops = []
    for count, routed, one in zip(layers, of_experts, of.kinds.values(), strict=True):
        for op in one:
            times = routed if op.role == "expert" else count
            if times:
                ops.append(op._replace(times=times))
    return ops
