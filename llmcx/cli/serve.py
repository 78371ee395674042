"""llmcx serve."""

from functools import partial
from typing import Annotated

from llmcx import units
from llmcx.answers import serve as core
from llmcx.catalog import data as catalog
from llmcx.cli.options import MATMULS, Models, command, completing, describe, explaining, option, single
from llmcx.engines import efficiency as calibration
from llmcx.engines.serving_time import Server, Setup
from llmcx.errors import InputError
from llmcx.report.render import Item

app = single()


@command(app, "serve")
def serve(
    models: Models,
    hardware: Annotated[str, option("See `llmcx hardware list`.", offers=completing("hardware"))] = "h100",
    tp: Annotated[str, option("GPUs that share each layer.")] = "1",
    ep: Annotated[str, option("GPUs that share out the experts, a divisor of --tp.")] = "1",
    attention_dp: Annotated[str, option("Groups of --tp that attend for a share of the users each.")] = "1",
    prompt: Annotated[str, option("Tokens in; 8k is 8192.")] = "1k",
    out: Annotated[str, option("Tokens out.", "--output")] = "1k",
    batch: Annotated[str | None, option("Users at once. Default: a frontier up to the largest batch.")] = None,
    weight_bits: Annotated[float, option("Bits per weight, scales included, e.g. 4.5.")] = 16.0,
    kv_bits: Annotated[float, option("Bits per cached number.")] = 16.0,
    dtype: Annotated[str | None, option("Of the matmuls: bf16, fp8, fp4. Default: 16 bits.", offers=MATMULS)] = None,
    cached: Annotated[str, option("Tokens of the prompt found in the prefix cache.")] = "0",
    chunk: Annotated[str | None, option("Chunked prefill: tokens of a prompt per step.")] = None,
    draft: Annotated[int, option("Speculative decoding: tokens drafted per step.")] = 0,
    acceptance: Annotated[float, option("Probability that a drafted token is accepted.")] = 0.7,
    draft_cost: Annotated[float, option("Drafting a token, as a share of a decode step.")] = 0.05,
    reserve: Annotated[float, option("Share of the memory kept for the engine.")] = 0.1,
    price: Annotated[float | None, option("USD per accelerator-hour. Default: the accelerator's, dated.")] = None,
    efficiency: Annotated[list[str] | None, option("Override a factor, e.g. memory=0.9; repeat.", metavar="NAME=X")] = None,
) -> list[Item]:
    """First token, time per token, tokens/s, largest batch and cost of serving, by roofline: ideal and calibrated.

    \b
    llmcx serve --preset llama-3-8b --hardware h100
    llmcx serve --preset llama-3-70b --tp 4 --prompt 4k --output 500 --weight-bits 8 --kv-bits 8 --dtype fp8
    llmcx serve --preset mixtral-8x7b --tp 2 --batch 64 --draft 3 --acceptance 0.8
    """
    machine = catalog.load_hardware(hardware)
    factors, words = calibration.efficiency(machine, "serving", dtype, calibration.overrides(efficiency))
    groups = units.count(attention_dp, "--attention-dp")
    setup = Setup(units.count(tp, "--tp"), units.count(ep, "--ep"), weight_bits, kv_bits, dtype, groups)
    if not 0 <= reserve < 1:
        raise InputError("--reserve must be at least 0 and below 1", field="reserve", value=reserve)
    if draft < 0 or draft_cost < 0:
        raise InputError("--draft and --draft-cost must be 0 or more", field="draft", value=draft)
    load = core.Load(
        units.length(prompt, "--prompt"),
        units.length(out, "--output"),
        units.length(cached, "--cached"),
        None if chunk is None else units.length(chunk, "--chunk"),
        core.Speculation(draft, acceptance if draft else 0.0, draft_cost if draft else 0.0),
    )
    price, dated = calibration.price(machine, price)
    size = None if batch is None else units.count(batch, "--batch")
    items = []
    for spec, shape, notes in models.each():
        answer = core.serve(spec, machine, setup, load, factors, batch=size, usd_per_hour=price, reserve=reserve)
        inputs = {
            "hardware": machine.name,
            "tp": setup.tp,
            "ep": setup.ep,
            "attention_dp": groups,
            "prompt": load.prompt,
            "output": load.output,
        }
        inputs |= {"batch": size, "weight_bits": weight_bits, "kv_bits": kv_bits, "dtype": dtype or machine.dtype}
        inputs |= {"cached": load.cached, "chunk": load.chunk, "draft": draft, "acceptance": acceptance if draft else None}
        inputs |= shape
        server = Server(spec, machine, setup, factors)
        more = partial(core.rooflines, server, load, [point.batch for point in answer.estimate])
        lines = explaining("serve", Server(spec, machine, setup), server, load, reserve, price, answer)
        items.append(Item(describe(spec), inputs, answer, [*_NOTES, *words, *dated, *notes], lines, more))
    return items


_NOTES = [
    "all figures are estimates; ideal: every peak reached, no overhead",
    "steady state of continuous batching, requests never lacking; time per token includes the prompts worked off in between",
]
