"""Topics of single quantities: the functions that compute them, with the formula as the code states it.

What a formula quotes stands in its function's module, word for word but for spaces and dots of multiplication; the test holds
them together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from llmcx.answers import attention_compare as compare
from llmcx.answers import bounds, flops, growth, load, memory, memory_training, moe, routers, shapes, train
from llmcx.costs import flops as flop_counter
from llmcx.costs import kv_cache as cached
from llmcx.costs import leading_order as leading
from llmcx.costs import lora, params, traffic
from llmcx.costs import saved_activations as kept
from llmcx.engines import inference_memory, serving_time, training_memory, training_time
from llmcx.explain import Draft, Example, Formula, applied
from llmcx.explain.applied import Numbers
from llmcx.explain.read import doc, examples, source
from llmcx.formats import dtypes, optimizers
from llmcx.machine import roofline
from llmcx.model import pairs, run
from llmcx.parallel import division, expert_parallel, layout, pipeline, ranks, routing
from llmcx.scaling import accounting, fitting, standing
from llmcx.scaling import optimum as scaling


class Quantity(NamedTuple):
    """``quotes``: what each formula gives, and the formula; ``functions`` compute it, the first one's docstring is the text."""

    title: str
    group: str
    functions: tuple[Any, ...]
    quotes: dict[str, str]
    source: str = ""
    symbols: Mapping[str, tuple[str, str]] = MappingProxyType({})
    commands: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    applied: Numbers | None = None


class Taught(NamedTuple):
    """What computes a quantity that has a text of its own, and what puts a model's numbers in."""

    functions: tuple[Any, ...]
    applied: Numbers | None = None


QUANTITIES: dict[str, Quantity] = {
    "fit": Quantity(
        "Fitting a law to one's own runs",
        "scaling",
        (fitting.fit, scaling.loss),
        {"starts": "a, b, e are ln A, ln B, ln E"},
        "Hoffmann et al. 2022, arXiv:2203.15556, sec. 3.3 and appendix D.2",
        symbols={"a": ("ln A", "1"), "b": ("ln B", "1"), "e": ("ln E", "1")},
        synonyms=("huber", "approach-3"),
    ),
    "universal-approximation": Quantity(
        "Universal approximation: a statement without a number",
        "bounds",
        (bounds.universal_approximation,),
        {"statement": "transformers approximate any continuous sequence-to-sequence function arbitrarily well"},
        commands=("llmcx textbook bounds",),
    ),
}


TAUGHT: dict[str, Taught] = {
    "accounting": Taught((accounting.accounting,), applied.compute),
    "dropped-tokens": Taught((routing.dropped, routing.chances), applied.experts("capacity.dropped")),
    "routers": Taught((routers.routers,), applied.experts("router", "forward moe.router")),
    "equal-compute": Taught((scaling.at_equal_compute, scaling.loss)),
    "standing": Taught((standing.standing,)),
    "lifetime": Taught((standing.lifetime,)),
    "repeated-data": Taught((standing.effective, standing.constrained, scaling.loss)),
    "pac-bayes": Taught((bounds.pac_bayes,)),
    "compression": Taught((bounds.compression,)),
    "pairs": Taught((pairs.causal, pairs.banded, pairs.centred)),
    "longest-sequence": Taught((compare.max_seq, pairs.hops)),
    "shapes": Taught((shapes.shapes, shapes.balanced, shapes.model)),
    "flash-tiles": Taught((traffic.visits, traffic.tile)),
    "train": Taught((training_time.Trainer.step, training_time.Trainer.mfu, train.outcome, scaling.gpu_hours)),
    "serve": Taught((load.point, serving_time.touched)),
    "convention": Taught((flops.flops, flop_counter.linear), applied.passes("2 × N", "6 × N")),
    "leading-order": Taught(
        (leading.leading_order, leading.attended),
        applied.passes("projections and feed-forward", "attention core", convention="leading-order"),
    ),
    "chapter-params": Taught((params.chapter_estimate,), applied.chapter_params),
    "chapter-activations": Taught(
        (memory.chapter_activations, memory_training.checkpointing),
        applied.part("chapter.activation_bytes", "chapter.score_bytes", train=False),
    ),
    "granularity": Taught((moe.Experts, routing.capacity), applied.experts("granularity")),
    "expert-parallel": Taught((expert_parallel.crossing_bytes, expert_parallel.unique_bytes), applied.experts("all_to_all")),
    "generalisation": Taught((bounds.generalization,), applied.generalisation),
    "all-pairs": Taught((bounds.all_pairs, pairs.dense, pairs.causal)),
    "hops": Taught((pairs.hops, bounds.hops_table), applied.hops),
    "rules-of-thumb": Taught((flops.rules_of_thumb, scaling.training_compute), applied.passes("2 × N", "6 × N")),
    "weights": Taught((dtypes.size, dtypes.bits), applied.part("weights")),
    "gradients": Taught((training_memory.TrainingMemory.held, memory_training.training_ranks), applied.part("gradients")),
    "kv-bytes-per-token": Taught((memory.kv_bytes_per_token, cached.cache), applied.part("kv_bytes_per_token", train=False)),
    "crossover": Taught((growth.crossover, growth.growth), applied.passes("crossover")),
    "decode": Taught((run.step_at, flop_counter.linear), applied.passes("decode")),
    "optimizer": Taught((optimizers.Optimizer.of, training_memory.TrainingMemory.held), applied.part("optimizer")),
    "activations": Taught((kept.kept_bytes, memory_training.training_ranks), applied.part("activations")),
    "checkpointing": Taught((memory_training.checkpointing,), applied.checkpointing),
    "logits": Taught((training_memory.TrainingMemory.held, memory_training.training_ranks), applied.part("logits")),
    "kv-cache": Taught((cached.cache, inference_memory.cached), applied.cache),
    "workspace": Taught(
        (inference_memory.workspace, training_memory.TrainingMemory.buffers, memory_training.training_ranks),
        applied.part("workspace"),
    ),
    "lora": Taught((lora.LoRA, memory_training.training_ranks)),
    "zero": Taught((training_memory.TrainingMemory.held, layout.cut), applied.part("optimizer")),
    "tensor-parallel": Taught((division.divide, layout.cut)),
    "pipeline-parallel": Taught((pipeline.in_flight,)),
    "context-parallel": Taught((ranks.rank_ops, roofline.sending)),
    "expert-capacity": Taught((routing.capacity,), applied.experts("capacity")),
    "distinct-experts": Taught((routing.distinct_experts, serving_time.touched), applied.experts("touched.")),
    "all-to-all": Taught((expert_parallel.all_to_all_bytes, expert_parallel.crossing_bytes), applied.experts("all_to_all")),
    "moe": Taught((moe.moe, routing.capacity, expert_parallel.all_to_all_bytes), applied.experts("")),
    "training-compute": Taught((scaling.training_compute,), applied.compute),
    "gpu-hours": Taught((scaling.gpu_hours, scaling.gpu_compute)),
    "loss": Taught((scaling.loss,)),
    "chinchilla": Taught((scaling.optimum, scaling.frontier), applied.compute),
    "feed-forward": Taught((shapes.feed_forward,)),
    "roofline": Taught((roofline.seconds, roofline.Roof.at, traffic.visits)),
}
"""Quantities whose formula, symbols and example are told in lessons/."""


def _run(functions: tuple[Any, ...]) -> list[Example]:
    return [example for function in functions for example in examples(function)]


def drafts() -> Iterator[Draft]:
    """A topic for each quantity; of those with a text of their own, what puts a model's numbers in."""
    for name, of in QUANTITIES.items():
        cite = of.source or source(of.functions[0])
        yield Draft(
            name,
            of.title,
            of.group,
            doc(of.functions[0]),
            [Formula(what, quote, cite) for what, quote in of.quotes.items()],
            partial(_run, of.functions),
            of.symbols,
            of.commands,
            of.synonyms,
            of.applied,
        )
    for name, taught in TAUGHT.items():
        yield Draft(name, "", "", "", [], list, applied=taught.applied)
