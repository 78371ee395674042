"""The estimate's decode step, what fits, and the figures of each point of the frontiers."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.serve import Load, Serving, point
from llmcx.engines.serving_estimate import Timed
from llmcx.engines.serving_time import Server, ServingStep
from llmcx.explain.rows import Figure, lines

_ORCA = "Yu et al. 2022, Orca, OSDI: continuous batching"


def rows(ideal: Server, real: Server, load: Load, reserve: float, usd_per_hour: float | None, answer: Serving) -> list[Line]:
    """A decode step of the largest batch shown, what fits, then every point."""
    sizes = [one.batch for one in answer.estimate]
    step = real.decode(sizes[-1], load.context)
    if answer.arrivals is not None:
        return [
            *_explained(real, load, sizes[-1], step),
            *_fitting(real, load.prompt + load.output, answer.largest_batch, reserve),
            *_arriving(answer, load, usd_per_hour),
        ]
    return [
        *_explained(real, load, sizes[-1], step),
        *_fitting(real, load.prompt + load.output, answer.largest_batch, reserve),
        *_points("ideal", ideal, load, sizes, usd_per_hour),
        *_points("estimate", real, load, sizes, usd_per_hour),
    ]


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
    told: list[Line] = []
    context, gpus = load.context, server.setup.tp
    for size in sizes:
        got = point(server, load, size, price)
        step = server.decode(size, context, 1 + load.speculation.drafted).total
        added = server.prompt(load.prompt, load.cached, size, context)
        request = added + load.output * step / load.speculation.tokens / size
        steady = f"a prompt adds {added:.4g} s, decode step {step:.4g} s, {size:,} users, {load.output:,} tokens"
        rate = got.tokens_per_s_gpu * gpus
        found: list[Figure] = [
            (
                "ttft_s",
                "the prompt's pass, steps in between, and the prompts before it",
                f"{load.prompt:,} tokens, {load.cached:,} cached, {size:,} users",
                got.ttft_s,
                "mean of a closed loop of ten rounds (llmcx.engines.closed_loop)",
            ),
            ("tpot_s", "step + users · prompt / output; of one user the step", steady, got.tpot_s, _ORCA),
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
        told += lines(f"{name}, {size:,} users", found)
    return told


def _arriving(answer: Serving, load: Load, price: float | None) -> list[Line]:
    """The figures of requests that arrive at a rate."""
    come, one = answer.arrivals, answer.first
    assert come is not None
    rate, queue = f"{come.rate:g} requests a second", "llmcx.engines.open_loop, held to a simulation in tests"
    late = come.wait_s / come.wait_share if come.wait_share else 0.0
    usd = f"{price}·{answer.gpus:,} / 3600 / {one.tokens_per_s_gpu * answer.gpus:.4g}·1e6"
    parts = f"{come.users:.4g} users, of whom {come.waiting:.4g} wait for a place"
    found: list[Figure] = [
        ("largest_rate", "places / (output · step + places · prompt)", f"{load.output:,} tokens", come.largest_rate, _ORCA),
        ("utilization", "rate / largest_rate", f"{come.rate:g} / {come.largest_rate:.4g}", come.utilization, "by definition"),
        ("users", "rate · (first token + output · time per token)", rate, come.users, "Little 1961, Operations Research 9(3)"),
        ("wait_share", "share of the time that all places are taken", rate, come.wait_share, queue),
        ("wait_s", "wait_share · wait of those that wait", f"{come.wait_share:.4g}·{late:.4g}", come.wait_s, queue),
        ("ttft_s", "wait for a place, for the step, for prompts before it, its own pass", parts, one.ttft_s, queue),
        ("tpot_s", "users / (rate · output)", parts, one.tpot_s, queue),
        ("tokens_per_s_user", "1 / tpot", f"1 / {one.tpot_s:.4g}", one.tokens_per_s_user, _ORCA),
        ("tokens_per_s_gpu", "rate · output / GPUs", f"{rate}, {answer.gpus:,} GPUs", one.tokens_per_s_gpu, "by definition"),
        ("usd_per_million", "price · GPUs / 3600 / tokens per s · 10^6", usd, one.usd_per_million, "the price, or --price"),
    ]
    return lines("estimate", found)


def _explained(server: Server, load: Load, batch: int, step: ServingStep) -> list[Line]:
    """The estimate's decode step, part by part."""
    what = f"of a decode step with {batch} users at context {load.context:,}, s"
    rows = _by_kernel(server, load, batch) if isinstance(server, Timed) else _by_roofline(server, load, batch)
    return [
        Line(f"{name} {what}", formula, numbers, value, source)
        for (name, formula, numbers, source), value in zip(rows, step, strict=True)
    ]


Part = tuple[str, str, str, str]


def _by_kernel(server: Timed, load: Load, batch: int) -> list[Part]:
    """Kernels by the laws of measured ones, and what the engine adds."""
    by, launched = server.schedule, server.decoding(batch, load.context, 1 + load.speculation.drafted)
    lawful = sum(launch.times for launch in launched if launch.kind != "moved")
    moved = sum(launch.times for launch in launched if launch.kind == "moved")
    fitted = "presets/kernels, fitted to measured kernels (docs/kernels.md)"
    each = f"Σ {by.decode:g} · seconds at work, of"
    what = f"{lawful:,} launches of kernels with a law"
    host = f"{moved:,} · {by.moved_us:g} + {by.step_us:g} + {batch:,} · {by.user_us:g} us"
    return [
        ("weights", f"{each} products that wait for their weights, and what only moves", what, fitted),
        ("arithmetic", f"{each} products that wait for arithmetic", what, fitted),
        ("cache", f"{each} attention over the cache", f"{batch:,} users, {load.context:,} tokens each", fitted),
        ("communication", f"{each} the layers' collectives", f"{server.setup.tp:,} GPUs", fitted),
        (
            "overhead",
            "launches that only move, the step, the users",
            host,
            "presets/engines, fitted to served loads (docs/serving.md)",
        ),
    ]


def _by_roofline(server: Server, load: Load, batch: int) -> list[Part]:
    """Op by op, the share of the peak that an engine reaches."""
    on, e, tp = server.machine, server.efficiency, server.setup.tp
    roofline = "Williams et al. 2009, CACM 52(4): arithmetic or traffic, whichever takes longer, op by op"
    moved = f"{server.weight_bytes:,.0f} B of weights per GPU; {on.memory:,.4g} B/s"
    cached = f"{batch}·{server.cache_bytes(load.context):,.0f} / {on.memory:,.4g}"
    sent = f"{server.spec.n_layers} layers, tp {tp}, {on.up:,.4g} B/s, {e.link_s:g} s"
    users = "users · bytes per sequence / bandwidth, where attention's arithmetic takes less"
    shoeybi = "Shoeybi et al. 2019, arXiv:1909.08053, sec. 3"
    reduces = "Σ of the layers' all-reduces and all-to-alls: 2·(tp - 1)/tp · users · d_model · 2 B / link + latency each"
    return [
        ("weights", "Σ bytes / bandwidth over the ops bound by traffic", moved, roofline),
        ("arithmetic", "Σ FLOPs / rate over the ops bound by it", f"{on.matmul:,.4g} FLOP/s", roofline),
        ("cache", users, cached, "Shazeer 2019, arXiv:1911.02150, sec. 2.4"),
        ("communication", reduces, sent, shoeybi),
        ("overhead", "kernels · seconds per kernel", f"{e.kernel_s:g} s per kernel", "presets/engines/serving.yaml"),
    ]
