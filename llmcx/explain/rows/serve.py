"""The estimate's decode step, what fits, and the figures of each point of the frontiers."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.serve import Load, Serving, point
from llmcx.engines.serving_time import Server, ServingStep
from llmcx.explain.rows import Figure, lines

_ORCA = "Yu et al. 2022, Orca, OSDI: continuous batching"


def rows(ideal: Server, real: Server, load: Load, reserve: float, usd_per_hour: float | None, answer: Serving) -> list[Line]:
    """A decode step of the largest batch shown, what fits, then every point."""
    sizes = [one.batch for one in answer.estimate]
    step = real.decode(sizes[-1], load.context)
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
    prefill = server.prefill(load.prompt, load.cached).total
    roofline = "Williams et al. 2009, CACM 52(4), op by op"
    for size in sizes:
        got = point(server, load, size, price)
        step = server.decode(size, context, 1 + load.speculation.drafted).total
        request = got.tpot_s * load.output / (size if size > 1 else 1)
        steady = f"prefill {prefill:.4g} s, decode step {step:.4g} s, {size:,} users, {load.output:,} tokens"
        rate = got.tokens_per_s_gpu * gpus
        found: list[Figure] = [
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
        told += lines(f"{name}, {size:,} users", found)
    return told


def _explained(server: Server, load: Load, batch: int, step: ServingStep) -> list[Line]:
    """The estimate's decode step, part by part."""
    on, e, setup = server.machine, server.efficiency, server.setup
    context = load.context
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
            "Σ of the layers' all-reduces and all-to-alls: 2·(tp - 1)/tp · users · d_model · 2 B / link + latency each",
            f"{server.spec.n_layers} layers, tp {setup.tp}, {on.up:,.4g} B/s, {e.link_s:g} s",
            step.communication,
            "Shoeybi et al. 2019, arXiv:1909.08053, sec. 3",
        ),
        Line(
            f"overhead {what}",
            "kernels · seconds per kernel",
            f"{e.kernel_s:g} s per kernel",
            step.overhead,
            "presets/engines/trtllm.yaml",
        ),
    ]
