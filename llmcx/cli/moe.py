"""llmcx moe."""

from itertools import product
from typing import Annotated, Any

from llmcx import units
from llmcx.answers import moe as core
from llmcx.cli.options import DTYPES, Models, command, describe, explaining, option, single
from llmcx.model.spec import sequence_length
from llmcx.report.render import Item

app = single()


@command(app, "moe")
def moe(
    models: Models,
    seq: Annotated[str | None, option("Tokens per sequence; 8k is 8192. Default: the context.")] = None,
    batch: Annotated[str, option("Sequences.")] = "1",
    capacity_factor: Annotated[float | None, option("Room of an expert over an even share.")] = None,
    dtype: Annotated[str, option("Of the weights and of the activations sent between GPUs.", offers=DTYPES)] = "bf16",
    imbalance: Annotated[float, option("Load of the hottest expert over the mean; 1 is uniform routing.")] = 1.0,
    ep: Annotated[str | None, option("GPUs that share out the experts.")] = None,
    simulate: Annotated[str | None, option("Batches to draw and count, beside the expected values.")] = None,
    seed: Annotated[int, option("Of the simulation.")] = 0,
) -> list[Item]:
    """Mixture of experts: total and active parameters, capacity, traffic, and the dense models it compares with.

    \b
    llmcx moe --preset mixtral-8x7b
    llmcx moe --preset switch-c --capacity-factor 1.25
    llmcx moe --preset deepseek-v3 --seq 4k --batch 16 --ep 64 --imbalance 2
    llmcx moe --preset switch-c --seq 512 --batch 8 --capacity-factor 1.25 --imbalance 4 --simulate 20
    llmcx moe --preset llama-3-8b --experts 8 --top-k 2 --experts-from split
    """
    ranks = None if ep is None else units.count(ep, "--ep")
    trials = None if simulate is None else units.count(simulate, "--simulate")
    asked: dict[str, Any] = {"capacity_factor": capacity_factor, "dtype": dtype, "imbalance": imbalance, "ep": ranks}
    lengths = [None] if seq is None else units.many(seq, units.length, "--seq")
    items = []
    for spec, shape, notes in models.each():
        for length, size in product(lengths, units.many(batch, units.count, "--batch")):
            n = sequence_length(spec, length)
            result = core.moe(spec, size, n, **asked, trials=trials, seed=seed)
            inputs = {"batch": size, "seq": n, **asked, "simulate": trials, "seed": seed, **shape}
            lines = explaining("moe", spec, result, dtype)
            items.append(Item(describe(spec), inputs, result, [*core.notes(result), *notes], lines))
    return items
