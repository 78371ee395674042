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
from llmcx.answers import bounds, flops, growth, memory, moe, routers, serve, shapes, train
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


_KAPLAN = "Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1"
_CHILD = "Child et al. 2019, arXiv:1904.10509, sec. 4.2; Beltagy et al. 2020, arXiv:2004.05150, sec. 3.1"
_HOFFMANN = "Hoffmann et al. 2022, arXiv:2203.15556, eq. 2 and 4"
_FEDUS = "Fedus et al. 2021, arXiv:2101.03961, sec. 5.4"
_MEGATRON = "Shoeybi et al. 2019, arXiv:1909.08053, sec. 3"
_ZERO = "Rajbhandari et al. 2020, arXiv:1910.02054, sec. 5"
_WILLIAMS = "Williams et al. 2009, CACM 52(4)"
_CHAPTER = "the textbook chapter, sec. 1"
_EXPERTS = {"n": ("experts of a layer", "1"), "k": ("experts that one token meets", "1"), "E": ("experts of a layer", "1")}
_SCALING = {
    "k": ("FLOPs per parameter and token: 6", "FLOPs"),
    "L": ("loss", "nats per token"),
    "a": ("exponent of N_opt ~ C^a", "1"),
    "b": ("exponent of D_opt ~ C^b", "1"),
    "G": ("optimal parameters at C = k", "parameters"),
    "K": ("A / G^alpha + B G^beta", "nats per token"),
    "N_opt": ("compute-optimal parameters", "parameters"),
    "D_opt": ("compute-optimal tokens", "tokens"),
}
_MEMORY = "llmcx memory llama-3-8b --train --seq 2k"

QUANTITIES: dict[str, Quantity] = {
    # --- compute ---
    "accounting": Quantity(
        "Three ways to count a training run",
        "compute",
        (accounting.accounting,),
        {"Kaplan et al.": "6 N D", "embeddings by one-hot products": "2 n V d", "softmax, per layer": "3 H n²"},
        "Hoffmann et al. 2022, arXiv:2203.15556, appendix F",
        commands=("llmcx chinchilla chinchilla-70b --tokens 1.4T",),
        synonyms=("appendix-f",),
        applied=applied.compute,
    ),
    # --- memory ---
    # --- parallelism ---
    # --- experts ---
    "dropped-tokens": Quantity(
        "Dropped tokens: assignments beyond capacity",
        "experts",
        (routing.dropped, routing.chances),
        {"share": "the sum over experts of E[max(0, X - per_expert)], over tokens·top_k"},
        "Fedus et al. 2021, arXiv:2101.03961, sec. 2.2; independent tokens, one hot expert",
        symbols={
            "X": ("tokens that an expert receives, Binomial(tokens, p)", "tokens"),
            "E": ("expected value", "1"),
            "per_expert": ("tokens that an expert accepts", "tokens"),
        },
        commands=("llmcx moe mixtral-8x7b --seq 4k --capacity-factor 1.25 --imbalance 1.5",),
        synonyms=("dropped", "load-balance", "imbalance"),
        applied=applied.experts("capacity.dropped"),
    ),
    "routers": Quantity(
        "Routers: four ways to send tokens to experts",
        "experts",
        (routers.routers,),
        {"top-k, FLOPs per token": "2 M d E", "expert choice, tokens nobody takes": "(1 - k/E)^E"},
        "Shazeer et al. 2017, arXiv:1701.06538, sec. 2.1; Zhou et al. 2022, arXiv:2202.09368, sec. 3.2",
        symbols=_EXPERTS | {"M": ("layers with experts", "1")},
        commands=("llmcx moe mixtral-8x7b",),
        synonyms=("router", "expert-choice", "hash-routing"),
        applied=applied.experts("router", "forward moe.router"),
    ),
    # --- scaling ---
    "equal-compute": Quantity(
        "A huge model on few tokens, or a medium one on many",
        "scaling",
        (scaling.at_equal_compute, scaling.loss),
        {"tokens of each size": "D = C / (k N)"},
        "Hoffmann et al. 2022, arXiv:2203.15556, sec. 3.3",
        symbols=_SCALING,
        commands=("llmcx chinchilla --compute 5.76e23 --compare 280B,70B --law hoffmann-3",),
        synonyms=("isoflop",),
    ),
    "standing": Quantity(
        "Under- or over-trained: a model against the optimum of its compute",
        "scaling",
        (standing.standing,),
        {
            "loss along the frontier": "L = E + K (C/k)^(-gamma)",
            "served tokens that justify it": "T = 3 D (alpha A N^-alpha / (beta B D^-beta) - 1)",
        },
        "Hoffmann et al. 2022, arXiv:2203.15556, eq. 2 and 4; Sardana et al. 2024, arXiv:2401.00448, eq. 3",
        symbols=_SCALING,
        commands=("llmcx chinchilla --params 8B --tokens 15T --law hoffmann-3",),
        synonyms=("over-trained", "under-trained"),
    ),
    "lifetime": Quantity(
        "The cheapest model to train and then serve",
        "scaling",
        (standing.lifetime,),
        {"least of": "min k N D + (k/3) N T", "at the minimum": "alpha (L - E - B / D^beta) = beta B / D^beta (1 + T / (3 D))"},
        "Sardana et al. 2024, arXiv:2401.00448, eq. 3",
        symbols=_SCALING,
        commands=("llmcx chinchilla --params 13B --inference-tokens 2T --law hoffmann-3",),
        synonyms=("inference-aware", "beyond-chinchilla"),
    ),
    "repeated-data": Quantity(
        "Repeated data: what a token is worth the next time",
        "scaling",
        (standing.effective, standing.constrained, scaling.loss),
        {"effective tokens": "D' = U_D + U_D R_D* (1 - exp(-R_D / R_D*))"},
        "Muennighoff et al. 2023, arXiv:2305.16264, eq. 5 and 6",
        symbols={
            "D'": ("fresh tokens that the data are worth", "tokens"),
            "U_D": ("unique tokens", "tokens"),
            "R_D": ("repeats: D / U_D - 1", "1"),
            "R_D*": ("repeats after which they lose their worth", "1"),
        },
        commands=("llmcx chinchilla --compute 1e22 --law muennighoff --unique-tokens 10B",),
        synonyms=("epochs", "unique-tokens", "data-constrained"),
    ),
    "fit": Quantity(
        "Fitting a law to one's own runs",
        "scaling",
        (fitting.fit, scaling.loss),
        {"starts": "a, b, e are ln A, ln B, ln E"},
        "Hoffmann et al. 2022, arXiv:2203.15556, sec. 3.3 and appendix D.2",
        symbols={"a": ("ln A", "1"), "b": ("ln B", "1"), "e": ("ln E", "1")},
        synonyms=("huber", "approach-3"),
    ),
    # --- bounds ---
    "pac-bayes": Quantity(
        "PAC-Bayes: a certificate for a randomised predictor",
        "bounds",
        (bounds.pac_bayes,),
        {"error rate": "sqrt((KL + ln(2·sqrt(n)/delta)) / (2·n))"},
        symbols={"n": ("independent examples", "examples")},
        commands=("llmcx textbook bounds --kl 5000 --examples 50000",),
    ),
    "compression": Quantity(
        "Compression: a certificate for a predictor of few bits",
        "bounds",
        (bounds.compression,),
        {"error rate": "sqrt((b + ln(2/delta)) / (2·n))"},
        symbols={"n": ("independent examples", "examples"), "b": ("bits that describe the predictor", "bits")},
        commands=("llmcx textbook bounds --compressed 1MB --examples 1e9",),
    ),
    "universal-approximation": Quantity(
        "Universal approximation: a statement without a number",
        "bounds",
        (bounds.universal_approximation,),
        {"statement": "transformers approximate any continuous sequence-to-sequence function arbitrarily well"},
        commands=("llmcx textbook bounds",),
    ),
    # --- design ---
    "pairs": Quantity(
        "Pairs that a causal mask leaves",
        "design",
        (pairs.causal, pairs.banded, pairs.centred),
        {"pairs": "q·kv - q(q-1)/2", "a full pass": "n(n+1)/2"},
        "Dao 2023, arXiv:2307.08691, sec. 3.1",
        commands=("llmcx flops llama-3-8b --causal",),
        synonyms=("causal", "causal-mask"),
    ),
    "longest-sequence": Quantity(
        "Longest sequence: a variant's limit under a budget, and the chapter's",
        "design",
        (compare.max_seq, pairs.hops),
        {"growth": "core_flops over the same variant's at the first length"},
        "the textbook chapter, sec. 3",
        symbols={"core_flops": ("FLOPs of the attention cores", "FLOPs")},
        commands=("llmcx attention-compare llama-3-8b --budget 80GB",),
        synonyms=("max-seq", "growth"),
    ),
    "shapes": Quantity(
        "Depth against width at equal parameters",
        "design",
        (shapes.shapes, shapes.balanced, shapes.model),
        {"aspect ratio": "d / L"},
        "Levine et al. 2020, arXiv:2006.12467",
        commands=("llmcx textbook shapes --params 7B",),
        synonyms=("depth", "width", "aspect-ratio"),
    ),
    # --- time ---
    "flash-tiles": Quantity(
        "Tiles of a fused attention, and how often rows are read",
        "time",
        (traffic.visits, traffic.tile),
        {"keys of a tile": "ceil(M / 4d)", "visits": "rows · ceil(keys / tile)"},
        traffic.FLASH,
        symbols={
            "M": ("elements that fit on the chip", "1"),
            "tile": ("keys that a tile holds", "1"),
            "d": ("width of a head", "1"),
        },
        commands=("llmcx attention-compare llama-3-8b",),
        synonyms=("tile", "tiles"),
    ),
    "train": Quantity(
        "Time of a training step and of a run",
        "time",
        (training_time.Trainer.step, training_time.Trainer.mfu, train.outcome, scaling.gpu_hours),
        {
            "a step": "(m - 1) max t + Σ t",
            "MFU": "FLOPs of forward and backward that must be done / (seconds · GPUs · peak)",
            "energy": "accelerators · watts · PUE · hours",
        },
        "Narayanan et al. 2021, arXiv:2104.04473, sec. 2.2; Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1",
        symbols={
            "m": ("micro-batches of a step", "1"),
            "t": ("seconds of a micro-batch on a stage", "seconds"),
        },
        commands=("llmcx train llama-3-8b --tokens 1T --gpus 64",),
        synonyms=("mfu", "energy", "co2", "training-cost", "training-time"),
    ),
    "serve": Quantity(
        "Serving: a request's time and cost",
        "time",
        (serve.point, serving_time.touched),
        {"seconds of a request": "t_prefill + output · t_decode(batch) / batch / tokens per step"},
        "Pope et al. 2022, arXiv:2211.05102, sec. 2; Yu et al. 2022, Orca, OSDI: continuous batching",
        symbols={
            "t_prefill": ("seconds of a prompt", "seconds"),
            "t_decode": ("seconds of a decode step", "seconds"),
            "output": ("tokens made", "tokens"),
        },
        commands=("llmcx serve llama-3-8b --hardware h100",),
        synonyms=("prefill", "ttft", "tpot", "latency", "throughput"),
    ),
}


TAUGHT: dict[str, Taught] = {
    "convention": Taught((flops.flops, flop_counter.linear), applied.passes("2 × N", "6 × N")),
    "leading-order": Taught(
        (leading.leading_order, leading.attended),
        applied.passes("projections and feed-forward", "attention core", convention="leading-order"),
    ),
    "chapter-params": Taught((params.chapter_estimate,), applied.chapter_params),
    "chapter-activations": Taught(
        (memory.chapter_activations, memory.checkpointing),
        applied.part("chapter.activation_bytes", "chapter.score_bytes", train=False),
    ),
    "granularity": Taught((moe.Experts, routing.capacity), applied.experts("granularity")),
    "expert-parallel": Taught((expert_parallel.crossing_bytes, expert_parallel.unique_bytes), applied.experts("all_to_all")),
    "generalisation": Taught((bounds.generalization,), applied.generalisation),
    "all-pairs": Taught((bounds.all_pairs, pairs.dense, pairs.causal)),
    "hops": Taught((pairs.hops, bounds.hops_table), applied.hops),
    "rules-of-thumb": Taught((flops.rules_of_thumb, scaling.training_compute), applied.passes("2 × N", "6 × N")),
    "weights": Taught((dtypes.size, dtypes.bits), applied.part("weights")),
    "gradients": Taught((training_memory.TrainingMemory.held, memory.training_ranks), applied.part("gradients")),
    "kv-bytes-per-token": Taught((memory.kv_bytes_per_token, cached.cache), applied.part("kv_bytes_per_token", train=False)),
    "crossover": Taught((growth.crossover, growth.growth), applied.passes("crossover")),
    "decode": Taught((run.step_at, flop_counter.linear), applied.passes("decode")),
    "optimizer": Taught((optimizers.Optimizer.of, training_memory.TrainingMemory.held), applied.part("optimizer")),
    "activations": Taught((kept.kept_bytes, memory.training_ranks), applied.part("activations")),
    "checkpointing": Taught((memory.checkpointing,), applied.checkpointing),
    "logits": Taught((training_memory.TrainingMemory.held, memory.training_ranks), applied.part("logits")),
    "kv-cache": Taught((cached.cache, inference_memory.cached), applied.cache),
    "workspace": Taught(
        (inference_memory.workspace, training_memory.TrainingMemory.buffers, memory.training_ranks), applied.part("workspace")
    ),
    "lora": Taught((lora.LoRA, memory.training_ranks)),
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
