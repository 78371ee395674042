"""How long a serving engine's passes take at least: folds over the ops of one GPU.

A decode step reads the weights that its tokens meet and the cache of every sequence, and multiplies; a prefill multiplies. The
larger of arithmetic and traffic counts, op by op. What engines really reach: :mod:`llmcx.engines.serving_estimate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from llmcx.engines import Engine, pipelined
from llmcx.engines.closed_loop import first_token, first_token_apart, first_tokens, first_tokens_apart
from llmcx.engines.counted import Counted, Counting, counted
from llmcx.engines.ideal import CHUNK
from llmcx.engines.inference_memory import ACT, IDEAL, cache_of, check_inference, held, largest_batch
from llmcx.engines.spread import Parts
from llmcx.errors import InputError
from llmcx.machine import roofline
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import Efficiency, Machine, Placed, Roofline, Task, roof, seconds, sending
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import Stage, distinct
from llmcx.parallel.ranks import stage_ops


class Setup(NamedTuple):
    """How a model is served: ``tp`` GPUs share each layer, ``ep`` of them share out the experts, which leaves tp / ep for each
    one; ``attention_dp`` groups of them attend for a share of the batch each; bits per weight and per cached number; ``dtype`` of
    the matmuls (None: the accelerator's 16-bit format); ``pp`` stages of layers, each on GPUs of its own.
    """

    tp: int = 1
    ep: int = 1
    weight_bits: float = 16.0
    kv_bits: float = 16.0
    dtype: str | None = None
    attention_dp: int = 1
    pp: int = 1

    @property
    def layout(self) -> Layout:
        return Layout(tp=self.tp, pp=self.pp, ep=self.ep, attention_dp=self.attention_dp, sequence=False)

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.tp * self.pp


ALONE = Setup()


class ServingStep(NamedTuple):
    """One forward pass on one GPU, in seconds, by what bounds it."""

    weights: float  # ops whose traffic is mostly weights or activations
    compute: float  # ops bound by arithmetic
    cache: float  # attention bound by reading the cache
    communication: float
    overhead: float

    @property
    def total(self) -> float:
        return sum(self)

    @property
    def largest(self) -> str:
        """The name of the largest part."""
        return self._fields[self.index(max(self))]


class Asked(NamedTuple):
    """Of a pass on one GPU its seconds, FLOPs and bytes moved."""

    step: ServingStep
    flops: float
    moved: float


Waits = tuple[float, float]
"""Seconds to the first token, and between tokens."""
EXACT = "--exact is known of vllm, sglang and trtllm on NVIDIA's accelerators; of others it was not seen whom users wait for"
Span = tuple[float, float]


class Bands(NamedTuple):
    """10th and 90th percentile of measured / estimated: of the time between tokens, and of that to the first."""

    per_token: Span
    first: Span


def span(of: Sequence[float]) -> Span:
    """Two numbers of a file.

    >>> span([0.9, 1.2])
    (0.9, 1.2)
    """
    low, high = of
    return float(low), float(high)


class Server:
    """A model on the accelerators of a ``setup``; of a pipeline, the layers of a ``stage`` alone where one is given."""

    budget = CHUNK
    """Tokens of prompts that a pass takes."""

    def __init__(
        self,
        spec: ModelSpec,
        hardware: Hardware,
        setup: Setup = ALONE,
        efficiency: Efficiency = roofline.IDEAL,
        engine: Engine = IDEAL,
        stage: Stage | None = None,
    ) -> None:
        check_setup(spec, setup, engine)
        self.spec, self.hardware, self.setup, self.efficiency, self.engine = spec, hardware, setup, efficiency, engine
        self.layout, self.stage = setup.layout, stage
        self.layers = spec.n_layers if stage is None else stage.layers
        self.flow = pipelined.ALONE if setup.pp == 1 else pipelined.IN_STAGES
        self.machine: Machine = roofline.machine(hardware, setup.dtype, efficiency)
        self._steps: dict[tuple[int, int], Counting] = {}
        self._prompts: dict[tuple[int, int, int], Counted] = {}
        self._worked: dict[tuple[int, int, int], float] = {}

    @cached_property
    def stages(self) -> tuple[tuple[Server, int], ...]:
        """The stages that differ from each other, each with how many are like it."""
        found = distinct(self.spec.runs, self.setup.pp, more=self.engine.more_layers)
        return tuple((self.of_stage(stage), many) for stage, many in found)

    def of_stage(self, stage: Stage) -> Server:
        """The same, of a stage's layers alone."""
        return Server(self.spec, self.hardware, self.setup._replace(pp=1), self.efficiency, self.engine, stage)

    @cached_property
    def weight_bytes(self) -> float:
        """Of the fullest GPU."""
        return max(gpu.params for gpu in held(self.spec, 1, 1, self.layout, self.engine)) * self.setup.weight_bits / 8

    def cache_bytes(self, context: int) -> float:
        """What one sequence of ``context`` tokens leaves on the fullest GPU: keys and values, latents, or states.

        Under attention data parallelism, on the average GPU.
        """
        sequences = self.setup.attention_dp
        return cache_of(self.spec, sequences, context, self.layout, self.engine, self.setup.kv_bits) / sequences

    def largest_batch(self, context: int, reserve: float = 0.1) -> int:
        """Sequences of ``context`` tokens that fit beside the weights; ``reserve`` of the memory is kept for the engine. What
        `llmcx memory --fit batch` finds for that budget.
        """
        budget = int(self.hardware.memory_bytes * (1 - reserve))
        bits = self.setup
        return largest_batch(self.spec, context, self.layout, self.engine, budget, bits.weight_bits, bits.kv_bits)

    def places(self, prompt: int, output: int, reserve: float = 0.1) -> int:
        """Users who are worked for at a time, of more than fit: with their whole answers, or where an engine gives an answer
        memory as it grows, with half of them, for some have just begun and others are almost done.
        """
        return self.largest_batch(prompt + (output // 2 if self.engine.growing else output), reserve)

    def bands(self) -> Bands | None:
        """How far measured times lie from these; None of the bound."""
        return None if self.efficiency == roofline.IDEAL else wider(ASSUMED, self.setup.pp)

    def bands_apart(self) -> Bands | None:
        """The same where prompts are worked off on GPUs of their own."""
        return self.bands()

    def numbers(self) -> dict[str, float]:
        """The shares and seconds of the estimate."""
        return dict(vars(self.efficiency))

    # --- one pass ----------------------------------------------------------------------------------------------------

    def decode(self, batch: int, context: int, tokens: int = 1) -> ServingStep:
        """What gives each of ``batch`` sequences its next token (``tokens`` of them verified at once)."""
        return self.flow.decode(self, batch, context, tokens)

    def step(self, batch: int, context: int, tokens: int) -> ServingStep:
        """The same of one stage."""
        return self.counted_step(batch, context, tokens)[0]

    def counted_step(self, batch: int, context: int, tokens: int = 1) -> Asked:
        """The same at the peaks."""
        key = context, tokens
        if key not in self._steps:
            self._steps[key] = Counting(lambda size: self.step_ops(size, context, tokens), self.setup.attention_dp)
        return self._pass(self._steps[key].at(batch), batch * tokens, read=True)

    def step_ops(self, batch: int, context: int, tokens: int = 1) -> list[Op]:
        """The ops of a decode step on one GPU."""
        run = Run(batch, tokens, past=max(0, context - tokens), encode=False, fused=True, ideal=True)
        return stage_ops(self.spec, run, self.layout, self.stage)

    def prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> ServingStep:
        """A prompt of ``prompt`` tokens, of which the first ``cached`` are found in the cache. Logits of the last token only."""
        return self.flow.prefill(self, prompt, cached, batch)

    def prompts_pass(self, prompt: int, cached: int, batch: int) -> ServingStep:
        """The same of one stage."""
        return self.counted_pass(prompt, cached, batch)[0]

    def counted_pass(self, prompt: int, cached: int = 0, batch: int = 1) -> Asked:
        """The same at the peaks."""
        new = max(1, prompt - cached)
        key = prompt, cached, batch
        if key not in self._prompts:
            run = Run(batch, new, past=prompt - new, fused=True, ideal=True)
            ops = stage_ops(self.spec, run, self.layout, self.stage)
            self._prompts[key] = counted(last_token(op, batch) for op in ops)
        return self._pass(self._prompts[key], batch * new, read=cached > 0)

    # --- among other users ----------------------------------------------------------------------------------------------

    def prompt(self, prompt: int, cached: int, users: int, context: int, chunk: int | None = None) -> float:
        """Seconds that a prompt adds to the steps of ``users``. Short ones are worked off together, as many as there are in
        ``chunk`` tokens, so that the weights are read once for many; a longer one takes several steps. Of the bound, what its
        arithmetic takes beyond a step that reads the weights all the same.
        """
        by = self.flow.added_at_least if self.bands() is None else self.flow.added
        return by(self, prompt, cached, users, context, chunk)

    def in_pieces(self, prompt: int, cached: int, users: int, context: int, chunk: int) -> float:
        """Seconds that a prompt adds where a step takes ``chunk`` of its tokens: as many times those of a piece, which are the
        mean of the first one's and of the last one's, for each looks back on those before it.
        """
        many = self.setup.attention_dp
        first = self.beyond(cached + chunk, cached, users, context, many)
        last = self.beyond(prompt, prompt - chunk, users, context, many)
        return (prompt - cached) / chunk * (first + last) / 2 / many

    def beyond(self, prompt: int, cached: int, users: int, context: int, many: int) -> float:
        """Seconds that a pass of ``many`` prompts takes beyond the step of ``users`` that it is in."""
        return self.prompts_pass(prompt, cached, many).total - self.shared(prompt, cached, users, context, many)

    def shared(self, prompt: int, cached: int, users: int, context: int, many: int) -> float:
        """Seconds of a pass of ``many`` prompts that a step of ``users`` takes anyway: weights are read once for both, whatever
        bounds the step.
        """
        own, step = self.prompts_pass(prompt, cached, many), self.step(users, context, 1)
        return own.overhead + min(own.weights, step.weights + step.compute)

    def first(self, prompt: int, cached: int, output: int, users: int, step: float, chunk: int | None) -> float:
        """Seconds to the first token among other users; of the bound, nobody waits but for the prompt, in pieces of ``chunk`` a
        step.
        """
        if self.bands() is not None:
            besides, of = self.riding(prompt, cached, output, users, step, chunk)
            return besides + first_token(*of)
        pieces = 0 if chunk is None else -(-(prompt - cached) // chunk)
        each = step / self.setup.pp  # of a stage, which is when the next piece follows
        return max(self.alone(prompt, cached, chunk)[0], pieces * each + (step - each) if pieces else 0.0)

    def firsts(self, prompt: int, cached: int, output: int, users: int, step: float, chunk: int | None) -> Parts | None:
        """:meth:`first` over requests; None of the bound."""
        if self.bands() is None:
            return None
        besides, of = self.riding(prompt, cached, output, users, step, chunk)
        return [(share, each.later(besides)) for share, each in first_tokens(*of)]

    def riding(
        self, prompt: int, cached: int, output: int, users: int, step: float, chunk: int | None
    ) -> tuple[float, tuple[float, float, float, float, float, float, int]]:
        """Seconds of a request besides, and what :func:`~llmcx.engines.closed_loop.first_token` asks for."""
        own, further, besides = self.passing(prompt, cached, chunk)
        if users > 1 and self.setup.pp == 1:
            own -= self.shared(prompt, cached, users, prompt + output // 2, 1)
        among, together = users / self.setup.attention_dp, self.together(prompt - cached, chunk)
        return besides, (own, step, among, output, together, further, self.setup.pp)

    def passing(self, prompt: int, cached: int, chunk: int | None) -> tuple[float, float, float]:
        """Seconds for which a prompt's own pass keeps others waiting, its way through further stages, and besides."""
        alone, besides = self.alone(prompt, cached, chunk)
        own = self.flow.held(self, prompt, cached, alone)
        return own, alone - own, besides

    def alone(self, prompt: int, cached: int, chunk: int | None = None) -> tuple[float, float]:
        """Seconds of a prompt's own pass, and of what it takes on the way in and out, which nobody else waits for."""
        return self.flow.alone(self, prompt, cached, 1, chunk), 0.0

    def sent(self, tokens: int) -> float:
        """Seconds in which a pass of ``tokens`` is handed from each stage to the next."""
        return pipelined.sent(self, tokens)

    def together(self, new: int, chunk: int | None) -> float:
        """Prompts of ``new`` tokens that a step takes at most; below 1: a prompt takes several."""
        tokens = chunk or self.budget
        return tokens // new or tokens / new

    def in_a_pass(self, new: int, users: int, tokens: int) -> int:
        """Prompts of ``new`` tokens that go through a pass of ``tokens``, at most those of the ``users``; each group of GPUs that
        attends for itself has a pass of its own.
        """
        groups = self.setup.attention_dp
        return groups * max(1, min(users // groups, tokens // new))

    def exact(self, prompt: int, cached: int, output: int, users: int, step: float, token: float, chunk: int | None) -> Waits:
        """Seconds to the first token and between tokens where all lengths are the same, so that users who begin together ask
        together again: a step takes ``step``, ``token`` seconds for each token of it.
        """
        raise InputError(EXACT, field="exact", allowed="engines whose loads were measured")

    def each(self, prompt: int, cached: int, users: float) -> float:
        """Seconds of a prompt where as many go through a pass as it takes, at most the ``users``; each group of GPUs that attends
        for itself has a pass of its own.
        """
        groups = self.setup.attention_dp
        many = max(1, min(round(users), groups * max(1, CHUNK // (prompt - cached))))
        key = prompt, cached, many
        if key not in self._worked:
            self._worked[key] = self.in_a_row(prompt, cached, many) / many
        return self._worked[key]

    def in_a_row(self, prompt: int, cached: int, many: int) -> float:
        """Seconds of a pass of ``many`` prompts, where others follow it."""
        return self.prefill(prompt, cached, many).total

    def taken_up(self, step: float) -> float:
        """Seconds until a cache that has come is decoded from, in steps of ``step`` seconds."""
        return 0.0

    def handed(self, prompt: int) -> float:
        """Seconds in which a prompt's cache goes to where it is decoded."""
        network = self.hardware.scale_out or self.hardware.scale_up
        if network is None:
            problem = f"no network of {self.hardware.title} is known over which a prompt's cache would go"
            raise InputError(problem, field="prefill_workers", allowed="none")
        return self.cache_bytes(prompt) / (network.gb_per_s * 1e9)

    def firsts_apart(self, prompt: int, cached: int, output: int, users: float, token: float) -> Parts | None:
        """:meth:`apart` over requests; None of the bound."""
        if self.bands() is None:
            return None
        return first_tokens_apart(*self.worked_apart(prompt, cached, output, users, token))

    def apart(self, prompt: int, cached: int, users: float, output: int, token: float) -> float:
        """Seconds that a prompt waits and takes on GPUs that work off prompts alone, those of ``users``, whose tokens are
        ``token`` seconds apart: of the bound, those it takes, or for which prompts keep users from decoding.
        """
        if self.bands() is None:
            return max(self.prefill(prompt, cached).total, users * self.each(prompt, cached, users) - output * token)
        return first_token_apart(*self.worked_apart(prompt, cached, output, users, token))

    def worked_apart(
        self, prompt: int, cached: int, output: int, users: float, token: float
    ) -> tuple[float, float, float, float, float, float]:
        """What :func:`~llmcx.engines.closed_loop.first_token_apart` asks for."""
        alone, _ = self.alone(prompt, cached)
        return alone, self.each(prompt, cached, users), token, users, output, max(1.0, CHUNK // (prompt - cached))

    def like(self, setup: Setup, engine: Engine | None = None) -> Server:
        """The same in another layout, by another ``engine`` where one is given."""
        return Server(self.spec, self.hardware, setup, self.efficiency, engine or self.engine)

    def roofline(self, passes: dict[str, tuple[int, int, int] | tuple[int, int]]) -> Roofline:
        """Passes on one GPU under the roof of the matmuls' format: prefills by (prompt, cached), decode steps by (batch, context,
        tokens).

        FLOPs and bytes of all ops over the pass's time with communication and overhead. Source: Williams et al. 2009, CACM
        52(4); Pope et al. 2022, arXiv:2211.05102, sec. 2.
        """
        placed = []
        for name, of in passes.items():
            step, flops, moved = self.flow.asked_of_prompts(self, *of, 1) if len(of) == 2 else self.flow.asked(self, *of)
            placed.append(Placed(name, flops, moved, step.total))
        return Roofline([roof(self.hardware, self.setup.dtype)], placed)

    def _pass(self, of: Counted, tokens: int, read: bool) -> Asked:
        """Its seconds; the FLOPs it multiplies and the bytes it moves on one GPU. ``read``: attention reads the cache."""
        on, e = self.machine, self.efficiency
        weights = compute = sent = flops = moved = 0.0
        cores: dict[str, float] = {}
        caches: dict[str, float] = {}
        kernels = 0
        for op, elements in zip(of.sent, of.elements, strict=True):
            sent += sending(op._replace(dims=op.dims | {"elements": elements}), on, ACT)[0]
        for work, (multiplied, passed, cached) in zip(of.works, of.counts, strict=True):
            kind, group, matrices, launched, experts = work
            if cached and read:
                caches[group] = caches.get(group, 0.0) + cached * self.setup.kv_bits / 8
            kernels += launched
            if kind == "attention":
                cores[group] = cores.get(group, 0.0) + multiplied / on.attention
                flops += multiplied
            elif kind:
                met = 1.0 if experts is None else touched(experts[0] * self.layout.ep, experts[1], tokens)
                size = matrices * met * self.setup.weight_bits / 8
                time = seconds(Task(kind, multiplied, matrices, passed, 0), on, size, ACT)
                multiplied = multiplied if kind == "matmul" else 0
                flops, moved = flops + multiplied, moved + size + passed * ACT
                if multiplied / on.matmul >= time:
                    compute += time
                else:
                    weights += time
        cache = 0.0
        for group in cores | caches:
            core, traffic = cores.get(group, 0.0), caches.get(group, 0.0) / on.memory
            compute, cache = (compute + core, cache) if core > traffic else (compute, cache + traffic)
        communication = sent * (1 - e.hidden_tp)
        step = ServingStep(weights, compute, cache, communication, kernels * e.kernel_s + e.step_s)
        return Asked(step, flops, moved + sum(caches.values()))


STAGED = (0.75, 1.35)
"""Assumed: how much wider a band is where layers are in stages, of which no load was fitted. Of the few public runs 14 of 15 lie
within (tests/test_pipelined.py).
"""


def wider(of: Bands, pp: int) -> Bands:
    """A band where layers are in ``pp`` stages.

    >>> wider(Bands((1.0, 2.0), (0.5, 4.0)), 2).first
    (0.375, 5.4)
    """
    return of if pp == 1 else Bands(*((low * STAGED[0], high * STAGED[1]) for low, high in of))


ASSUMED = Bands((0.75, 1.45), (0.5, 2.0))
"""Where neither the engine's kernels nor its loads were measured: what half of the published rows outside of them lie within
(docs/validation.md), made wider.
"""


def check_setup(spec: ModelSpec, setup: Setup, engine: Engine = IDEAL) -> None:
    """Refuse what cannot be shared out. Raises InputError."""
    for name in ("weight_bits", "kv_bits"):
        value = getattr(setup, name)
        if not 0 < value <= 64:
            raise InputError(f"{name} is {value}, but must be above 0 and at most 64", field=name, value=value, allowed="0 to 64")
    if setup.pp > 1 and not engine.pipelined:
        problem = f"{engine.name} does not work for several users in stages; pp is for --engine ideal, vllm, sglang and trtllm"
        raise InputError(problem, field="pp", value=setup.pp, allowed="1")
    if not spec.decoder or spec.head is None:
        raise InputError(f"{spec.name} does not generate: it has no decoder with a head", field="decoder")
    check_inference(spec, setup.layout, engine)


def touched(experts: int, top_k: int, tokens: int) -> float:
    """Share of the experts that at least one of ``tokens`` meets, choices uniform and independent: 1 - (1 - k/E)^t, which is
    :func:`llmcx.parallel.routing.distinct_experts` over E, without its care for tiny chances: this one runs op by op.

    >>> touched(8, 2, 1), touched(4, 2, 2)
    (0.25, 0.75)
    """
    return 1.0 - (1.0 - top_k / experts) ** tokens


def last_token(op: Op, sequences: int) -> Op:
    """A prefill needs the logits of each sequence's last token alone."""
    return op._replace(dims=op.dims | {"tokens": sequences}) if op.role == "head" and op.kind == "linear" else op
