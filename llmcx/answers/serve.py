"""Serving by roofline: how long a prompt takes, how long each next token takes, and how many users a GPU carries. Estimates.

A decode step reads the weights that its tokens meet and the cache of every sequence, and multiplies; a prefill multiplies. The
larger of arithmetic and traffic counts, op by op.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from llmcx.answers.memory import workspace
from llmcx.costs import params as params_fold
from llmcx.costs.kv_cache import cache_fold
from llmcx.errors import InputError
from llmcx.machine.hardware import Hardware
from llmcx.machine.roofline import IDEAL, Efficiency, Machine, Placed, Roofline, Task, machine, roofs, seconds, tasks
from llmcx.model.lower import Run, lower
from llmcx.model.mixers.mla import MLA
from llmcx.model.place import step_at
from llmcx.model.spec import Attention, ModelSpec, check_size
from llmcx.ops.fold import Line
from llmcx.parallel.layout import check_heads

ACT = 2  # bytes of an activation
PREFILL_TOKENS = 8192
"""Prompt tokens that an engine puts into one pass (the default of TensorRT-LLM's and of vLLM's scheduler on large GPUs)."""


class Setup(NamedTuple):
    """How a model is served: ``tp`` GPUs share each layer, ``ep`` of them share out the experts, which leaves tp / ep for each
    one; bits per weight and per cached number; ``dtype`` of the matmuls (None: the accelerator's 16-bit format).
    """

    tp: int = 1
    ep: int = 1
    weight_bits: float = 16.0
    kv_bits: float = 16.0
    dtype: str | None = None


ALONE = Setup()


class Speculation(NamedTuple):
    """``drafted`` tokens a step, each accepted with probability ``acceptance``; drafting one costs ``cost`` of a decode step."""

    drafted: int = 0
    acceptance: float = 0.0
    cost: float = 0.0

    @property
    def tokens(self) -> float:
        """Expected tokens per step: (1 - α^(γ+1)) / (1 - α) (Leviathan et al. 2023, arXiv:2211.17192, eq. 1).

        >>> Speculation(2, 0.5).tokens
        1.75
        """
        if self.acceptance == 1:
            return float(self.drafted + 1)
        return float((1 - self.acceptance ** (self.drafted + 1)) / (1 - self.acceptance))


NO_SPECULATION = Speculation()


class Step(NamedTuple):
    """One forward pass on one GPU, in seconds, by what bounds it."""

    weights: float  # ops whose traffic is mostly weights or activations
    compute: float  # ops bound by arithmetic
    cache: float  # attention bound by reading the cache
    communication: float
    overhead: float

    @property
    def total(self) -> float:
        return sum(self)


class Server:
    """A model on ``tp`` accelerators."""

    def __init__(self, spec: ModelSpec, hardware: Hardware, setup: Setup = ALONE, efficiency: Efficiency = IDEAL) -> None:
        check(spec, setup)
        self.spec, self.hardware, self.setup, self.efficiency = spec, hardware, setup, efficiency
        self.machine: Machine = machine(hardware, efficiency, setup.dtype)
        ops = lower(spec, Run(1, 1))
        experts = params_fold.fold.total(op for op in ops if op.component.startswith("moe.expert"))
        dense = params_fold.fold.total(ops) - experts
        # Experts are divided by all GPUs, whole (ep) or each (tp).
        self.weight_bytes = (dense + experts) * setup.weight_bits / 8 / setup.tp
        mixers = [(g.repeat, g.mixer) for g in spec.groups if g.mixer is not None]
        # Ranks beyond the key-value heads hold copies; a latent is not divided at all.
        shares = [(n, 1 / min(setup.tp, _divisible(mixer, setup.tp))) for n, mixer in mixers]
        self.cache_share = sum(n * share for n, share in shares) / (sum(n for n, _ in shares) or 1)
        self.moe_layers = sum(repeat for repeat, _ in spec.mixtures)
        self._absorbed = {
            name: (2 * m.kv_rank + m.rope_dim) / (m.nope_dim + m.rope_dim + m.v_dim)
            for name, m in ((name, layers.mixer) for name, layers in spec.kinds.items())
            if isinstance(m, MLA)
        }

    def cache_bytes(self, context: int) -> float:
        """What one sequence of ``context`` tokens leaves on each GPU: keys and values, latents, or states."""
        elements = cache_fold.total(lower(self.spec, step_at(context)))
        return elements * self.setup.kv_bits / 8 * self.cache_share

    def largest_batch(self, context: int, reserve: float = 0.1) -> int:
        """Sequences of ``context`` tokens whose cache fits beside the weights; ``reserve`` of the memory is kept for the
        engine.
        """
        run = Run(1, min(context, 8192), fused=True)
        work, _ = workspace(lower(self.spec, run), ACT)
        room = self.hardware.memory_bytes * (1 - reserve) - self.weight_bytes - work / self.setup.tp
        per = self.cache_bytes(context)
        return max(0, int(room / per)) if per else 0

    # --- one pass ----------------------------------------------------------------------------------------------------

    def decode(self, batch: int, context: int, tokens: int = 1) -> Step:
        """A step that gives each of ``batch`` sequences its next token (``tokens`` of them verified at once)."""
        return self._decode(batch, context, tokens)[0]

    def _decode(self, batch: int, context: int, tokens: int = 1) -> tuple[Step, float, float]:
        ops = lower(self.spec, Run(1, tokens, past=max(0, context - tokens), encode=False, fused=True, ideal=True))
        read = self.cache_bytes(context) * batch
        return self._pass(tasks(ops), batch, batch * tokens, read, absorbed=True)

    def roofline(self, load: Load, batches: Iterable[int]) -> Roofline:
        """One prompt's prefill, and a decode step of each of ``batches``, on one GPU under the roof of the matmuls' format.

        FLOPs and bytes of all ops over the pass's time with communication and overhead. Source: Williams et al. 2009, CACM
        52(4); Pope et al. 2022, arXiv:2211.05102, sec. 2.
        """
        context = load.prompt + load.output // 2
        passes = {"prefill": self._prefill(load.prompt, load.cached)}
        passes |= {f"decode, batch {size:,}": self._decode(size, context, 1 + load.speculation.drafted) for size in batches}
        placed = [Placed(name, flops, moved, step.total) for name, (step, flops, moved) in passes.items()]
        dtype = self.setup.dtype or self.hardware.dtype
        return Roofline([roof for roof in roofs(self.hardware) if roof.name == dtype], placed)

    def prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> Step:
        """A prompt of ``prompt`` tokens, of which the first ``cached`` are found in the cache. Logits of the last token only."""
        return self._prefill(prompt, cached, batch)[0]

    def _prefill(self, prompt: int, cached: int = 0, batch: int = 1) -> tuple[Step, float, float]:
        new = max(1, prompt - cached)
        ops = lower(self.spec, Run(1, new, past=prompt - new, fused=True, ideal=True))
        made = [_last_token(task, new) for task in tasks(ops)]
        return self._pass(made, batch, batch * new, self.cache_bytes(prompt) * batch if cached else 0.0)

    def _pass(
        self, made: Iterable[Task], batch: int, tokens: int, read: float, absorbed: bool = False
    ) -> tuple[Step, float, float]:
        """Its seconds; the FLOPs it multiplies and the bytes it moves on one GPU."""
        on, setup, e = self.machine, self.setup, self.efficiency
        share = batch / setup.tp
        weights = compute = core = flops = 0.0
        moved = read
        kernels = 0
        for task in made:
            kernels += task.kernels
            if task.kind == "attention":
                factor = self._absorbed.get(task.group, 1.0) if absorbed else 1.0
                core += task.flops * factor * share / on.attention
                flops += task.flops * factor * share
                continue
            met = touched(task.copies, task.used, tokens) if task.expert else 1.0
            # A lookup reads rows, not the table; a replicated norm or residual is not divided.
            part = batch if task.kind == "elementwise" and task.component.startswith(("norm", "residual", "final")) else share
            size = task.weights * met * setup.weight_bits / 8 / setup.tp
            time = seconds(task._replace(kernels=0), on, part, size, ACT)
            multiplied = task.flops * share if task.kind == "matmul" else 0.0
            arithmetic = multiplied / on.matmul
            flops, moved = flops + multiplied, moved + size + task.moved * part * ACT
            if arithmetic >= time:
                compute += time
            else:
                weights += time
        traffic = read / on.memory
        if core > traffic:
            compute, cache = compute + core, 0.0
        else:
            cache = traffic
        step = Step(weights, compute, cache, self._communication(tokens), kernels * e.kernel_s + e.step_s)
        return step, flops, moved

    def _communication(self, tokens: int) -> float:
        """Two all-reduces per layer among ``tp`` (Shoeybi et al. 2019, arXiv:1909.08053, sec. 3); where experts are shared out,
        an all-to-all each way in place of the second.
        """
        setup, on, e = self.setup, self.machine, self.efficiency
        if setup.tp == 1:
            return 0.0
        size = tokens * self.spec.d_model * ACT
        link = on.link(setup.tp, min(setup.tp, on.domain))
        once = 2 * (setup.tp - 1) / setup.tp * size / link + e.link_s
        layers = self.spec.n_layers
        total = 2 * layers * once
        if setup.ep > 1 and self.moe_layers:
            top_k = max(part.top_k for _, part in self.spec.mixtures)
            sent = 2 * (top_k * size / setup.tp * (setup.ep - 1) / setup.ep / link + e.link_s)
            total += self.moe_layers * (sent - once)
        return total * (1 - e.hidden_tp)


def check(spec: ModelSpec, setup: Setup) -> None:
    """Refuse what cannot be shared out."""
    check_size("tp", setup.tp)
    check_size("ep", setup.ep)
    for name in ("weight_bits", "kv_bits"):
        value = getattr(setup, name)
        if not 0 < value <= 64:
            raise InputError(f"{name} is {value}, but must be above 0 and at most 64", field=name, value=value, allowed="0 to 64")
    if not spec.decoder or spec.head is None:
        raise InputError(f"{spec.name} does not generate: it has no decoder with a head", field="decoder")
    check_heads(spec, setup.tp)
    for n in (part.n_experts for _, part in spec.mixtures):
        if n % setup.ep:
            raise InputError(f"ep is {setup.ep}, which does not divide the {n} experts", field="ep", allowed=f"a divisor of {n}")
    if setup.tp % setup.ep:
        raise InputError(f"ep is {setup.ep}, but must divide the {setup.tp} GPUs of tp", field="ep", value=setup.ep)


def _divisible(mixer: object, tp: int) -> int:
    """Among how many GPUs a mixer's cache can be divided."""
    if isinstance(mixer, Attention):
        return mixer.kv_heads
    return 1 if isinstance(mixer, MLA) else tp


def touched(experts: int, top_k: int, tokens: int) -> float:
    """Share of the experts that at least one of ``tokens`` meets, choices uniform and independent: 1 - (1 - k/E)^t, which is
    :func:`llmcx.parallel.routing.distinct_experts` over E, without its care for tiny chances: this one runs op by op.

    >>> touched(8, 2, 1), touched(4, 2, 2)
    (0.25, 0.75)
    """
    return 1.0 - (1.0 - top_k / experts) ** tokens


def _last_token(task: Task, tokens: int) -> Task:
    """A prefill needs the logits of its last token alone."""
    if task.component != "head":
        return task
    return task._replace(flops=task.flops // tokens, moved=task.moved // tokens)


# --- the answer -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """``batch`` users at once: seconds to the first and per next token, tokens/s of each user and of each GPU, cost of a million
    output tokens (prompts included). ``optimal`` points are beaten by no other in both time per token and throughput.
    """

    batch: int
    ttft_s: float
    tpot_s: float
    tokens_per_s_user: float
    tokens_per_s_gpu: float
    usd_per_million: float | None
    bound: str


@dataclass(frozen=True)
class Load:
    """What is served: prompts of ``prompt`` tokens, ``cached`` of them known, ``output`` tokens each; prompts in pieces of
    ``chunk``.
    """

    prompt: int
    output: int
    cached: int = 0
    chunk: int | None = None
    speculation: Speculation = NO_SPECULATION


def point(server: Server, load: Load, batch: int, usd_per_hour: float | None) -> Point:
    """Steady state of continuous batching: of every output token's time, a share goes into the prompts of those that follow.

    A request costs t_prefill + output · t_decode(batch) / batch / tokens per step. With ``chunk``, prompts ride along with
    decode steps: the first token waits for all pieces, each a step long.
    """
    context = load.prompt + load.output // 2
    spec = load.speculation
    step = server.decode(batch, context, 1 + spec.drafted)
    seconds_step = step.total + (spec.drafted * spec.cost * server.decode(batch, context).total if spec.drafted else 0.0)
    prefill = server.prefill(load.prompt, load.cached).total
    per_token = seconds_step / spec.tokens
    # Short prompts are worked off together, so that the weights are read once for many.
    together = max(1, min(batch, PREFILL_TOKENS // (load.prompt - load.cached)))
    shared = server.prefill(load.prompt, load.cached, together).total / together if together > 1 else prefill
    request = shared + load.output * per_token / batch
    first = prefill
    if load.chunk is not None:
        pieces = -(-(load.prompt - load.cached) // load.chunk)
        first = prefill + pieces * seconds_step
    tpot = request * batch / load.output if batch > 1 else per_token
    rate = load.output / request
    gpus = server.setup.tp
    bound = max(("weights", "compute", "cache", "communication", "overhead"), key=lambda name: getattr(step, name))
    usd = None if usd_per_hour is None else usd_per_hour * gpus / 3600 / rate * 1e6
    return Point(batch, first, tpot, 1 / tpot, rate / gpus, usd, bound)


@dataclass(frozen=True)
class Serving:
    """The answer: ``ideal`` at the peaks, ``estimate`` calibrated, each a frontier over the batch."""

    gpus: int
    weight_bytes_per_gpu: float
    cache_bytes_per_sequence: float
    largest_batch: int
    ideal: list[Point]
    estimate: list[Point]
    prefill_tokens_per_s: float
    decode_step: dict[str, float]
    efficiency: Efficiency
    behind: _Lines = field(repr=False, compare=False)

    @property
    def lines(self) -> list[Line]:
        """The formulas behind the figures."""
        return self.behind.lines()


def serve(
    spec: ModelSpec,
    hardware: Hardware,
    setup: Setup,
    load: Load,
    efficiency: Efficiency,
    *,
    batch: int | None = None,
    usd_per_hour: float | None = None,
    reserve: float = 0.1,
) -> Serving:
    """``batch`` users (None: a frontier of powers of two up to the largest that fits).

    Raises InputError when the weights, or one sequence, do not fit.
    """
    check_size("prompt", load.prompt)
    check_size("output", load.output)
    check_size("cached", load.cached, least=0)
    check_size("chunk", load.chunk)
    if load.cached >= load.prompt:
        allowed = f"at most {load.prompt - 1}"
        raise InputError(f"cached is {load.cached}, but the prompt has {load.prompt} tokens", field="cached", allowed=allowed)
    if not 0 <= load.speculation.acceptance <= 1:
        raise InputError("acceptance must be between 0 and 1", field="acceptance", value=load.speculation.acceptance)
    ideal, real = Server(spec, hardware, setup), Server(spec, hardware, setup, efficiency)
    context = load.prompt + load.output
    largest = real.largest_batch(context, reserve)
    if largest == 0:
        need = (real.weight_bytes + real.cache_bytes(context)) / 1e9
        raise InputError(
            f"{spec.name} needs {need:,.1f} GB per GPU for weights and one sequence of {context:,} tokens; {hardware.title} has"
            f" {hardware.memory_gb:g} GB, {100 * reserve:g}% of it reserved: give more --tp or fewer --weight-bits",
            field="tp",
        )
    if batch is not None and batch > largest:
        raise InputError(
            f"batch is {batch}, but only {largest} sequences of {context:,} tokens fit",
            field="batch",
            allowed=f"at most {largest}",
        )
    sizes = [batch] if batch is not None else _sizes(largest)
    at = sizes[-1]
    step = real.decode(at, load.prompt + load.output // 2)
    return Serving(
        behind=_Lines(ideal, real, load, sizes, usd_per_hour, reserve, largest, step),
        gpus=setup.tp,
        weight_bytes_per_gpu=real.weight_bytes,
        cache_bytes_per_sequence=real.cache_bytes(context),
        largest_batch=largest,
        ideal=[point(ideal, load, size, usd_per_hour) for size in sizes],
        estimate=[point(real, load, size, usd_per_hour) for size in sizes],
        prefill_tokens_per_s=(load.prompt - load.cached) / real.prefill(load.prompt, load.cached).total,
        decode_step={"batch": at, **step._asdict(), "total": step.total},
        efficiency=efficiency,
    )


class _Lines(NamedTuple):
    """The formulas of :class:`Serving`."""

    ideal: Server
    real: Server
    load: Load
    sizes: list[int]
    usd_per_hour: float | None
    reserve: float
    largest: int
    step: Step

    def lines(self) -> list[Line]:
        load, sizes = self.load, self.sizes
        return [
            *_explained(self.real, load, sizes[-1], self.step),
            *_fitting(self.real, load.prompt + load.output, self.largest, self.reserve),
            *_points("ideal", self.ideal, load, sizes, self.usd_per_hour),
            *_points("estimate", self.real, load, sizes, self.usd_per_hour),
        ]


_ORCA = "Yu et al. 2022, Orca, OSDI: continuous batching"


def _fitting(server: Server, context: int, largest: int, reserve: float) -> list[Line]:
    """What a GPU holds, and how many sequences beside it."""
    cache, bits = server.cache_bytes(context), server.setup
    room = f"({server.hardware.memory_bytes:,}·(1 - {reserve:g}) - {server.weight_bytes:,.0f} - workspace) / {cache:,.0f}"
    numbers = f"{bits.weight_bits:g} bits a weight, {bits.tp:,} GPUs"
    kept = f"context {context:,}, {bits.kv_bits:g} bits"
    shazeer = "Shazeer 2019, arXiv:1911.02150, sec. 2.4"
    return [
        Line("weight_bytes_per_gpu", "Σ parameters · bits / 8 / GPUs", numbers, server.weight_bytes, "llmcx params"),
        Line("cache_bytes_per_sequence", "Σ cached elements · bits / 8 / GPUs", kept, cache, shazeer),
        Line(
            "largest_batch", "floor((memory·(1 - reserve) - weights - workspace) / cache)", room, largest, "llmcx memory's parts"
        ),
    ]


def _points(name: str, server: Server, load: Load, sizes: list[int], price: float | None) -> list[Line]:
    """The figures of each point of a frontier."""
    lines, context, gpus = [], load.prompt + load.output // 2, server.setup.tp
    prefill = server.prefill(load.prompt, load.cached).total
    roofline = "Williams et al. 2009, CACM 52(4), op by op"
    for size in sizes:
        got = point(server, load, size, price)
        step = server.decode(size, context, 1 + load.speculation.drafted).total
        request = got.tpot_s * load.output / (size if size > 1 else 1)
        steady = f"prefill {prefill:.4g} s, decode step {step:.4g} s, {size:,} users, {load.output:,} tokens"
        rate = got.tokens_per_s_gpu * gpus
        found: list[tuple[str, str, str, float | None, str]] = [
            (
                "ttft_s",
                "prefill of the prompt, and its pieces' steps",
                f"{load.prompt:,} tokens, {load.cached:,} cached",
                got.ttft_s,
                roofline,
            ),
            ("tpot_s", "(t_prefill + output · t_decode/users) · users / output", steady, got.tpot_s, _ORCA),
            ("tokens_per_s_user", "1 / tpot", f"1 / {got.tpot_s:.4g}", got.tokens_per_s_user, _ORCA),
            (
                "tokens_per_s_gpu",
                "output / request / GPUs",
                f"{load.output:,} / {request:.4g} / {gpus:,}",
                got.tokens_per_s_gpu,
                _ORCA,
            ),
            (
                "usd_per_million",
                "price · GPUs / 3600 / tokens per s · 10^6",
                f"{price}·{gpus:,} / 3600 / {rate:.4g}·1e6",
                got.usd_per_million,
                "the accelerator's price, or --price",
            ),
        ]
        lines += [
            Line(f"{name}, {size:,} users: {what}", formula, numbers, value, source)
            for what, formula, numbers, value, source in found
            if value is not None
        ]
    return lines


def _explained(server: Server, load: Load, batch: int, step: Step) -> list[Line]:
    """The estimate's decode step, part by part."""
    on, e, setup = server.machine, server.efficiency, server.setup
    context = load.prompt + load.output // 2
    cache = server.cache_bytes(context)
    roofline = "Williams et al. 2009, CACM 52(4): arithmetic or traffic, whichever takes longer, op by op"
    what = f"of a decode step with {batch} users at context {context:,}, s"
    return [
        Line(
            f"weights {what}",
            "Σ bytes / bandwidth over the ops bound by traffic",
            f"{server.weight_bytes:,.0f} B of weights per GPU; {on.memory:,.4g} B/s",
            step.weights,
            roofline,
        ),
        Line(f"arithmetic {what}", "Σ FLOPs / rate over the ops bound by it", f"{on.matmul:,.4g} FLOP/s", step.compute, roofline),
        Line(
            f"cache {what}",
            "users · bytes per sequence / bandwidth, where attention's arithmetic takes less",
            f"{batch}·{cache:,.0f} / {on.memory:,.4g}",
            step.cache,
            "Shazeer 2019, arXiv:1911.02150, sec. 2.4",
        ),
        Line(
            f"communication {what}",
            "layers · 2 · (2·(tp - 1)/tp · users · d_model · 2 B / link + latency)",
            f"{server.spec.n_layers}·2·(…, tp {setup.tp}, {on.up:,.4g} B/s, {e.link_s:g} s)",
            step.communication,
            "Shoeybi et al. 2019, arXiv:1909.08053, sec. 3",
        ),
        Line(
            f"overhead {what}",
            "kernels · seconds per kernel",
            f"{e.kernel_s:g} s per kernel",
            step.overhead,
            "presets/calibration.yaml",
        ),
    ]


def _sizes(largest: int) -> list[int]:
    """1, 2, 4, ... and the largest."""
    sizes = [1 << power for power in range(largest.bit_length()) if 1 << power < largest]
    return [*sizes, largest]
