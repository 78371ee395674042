"""llmcx moe."""

from typing import Annotated, Any

from llmcx.answers import moe as answers
from llmcx.cli.models import Models, describe
from llmcx.cli.options import DTYPES, command, explaining, heading, option, single
from llmcx.model.spec import sequence_length
from llmcx.report.render import Item

app = single()


@command(app, "moe")
def moe(
    models: Models,
    seq: Annotated[int | None, option("Tokens of a sequence; 8k is 8192. Default: the context.", reads="length")] = None,
    batch: Annotated[int, option("Sequences.", reads="count")] = 1,
    capacity_factor: Annotated[float | None, option("Room of an expert over an even share.", reads="number")] = None,
    dtype: Annotated[str, option("Of the weights and of the activations sent between GPUs.", offers=DTYPES)] = "bf16",
    imbalance: Annotated[float, option("Load of the hottest expert over the mean; 1 is uniform routing.", reads="number")] = 1.0,
    ep: Annotated[int | None, option("GPUs that share out the experts.", reads="count")] = None,
    simulate: Annotated[int | None, option("Batches to draw and count, beside the expected values.", reads="count")] = None,
    seed: Annotated[int, option("Of the simulation.", reads="integer", needs="simulate")] = 0,
) -> Item:
    """Mixture of experts: total and active parameters, capacity, traffic, and the dense models it compares with.

    \b
    llmcx moe mixtral-8x7b
    llmcx moe switch-c --capacity-factor 1.25
    llmcx moe deepseek-v3 --seq 4k --batch 16 --ep 64 --imbalance 2
    llmcx moe switch-c --seq 512 --batch 8 --capacity-factor 1.25 --simulate 20
    llmcx moe llama-3-8b --experts 8 --top-k 2 --set experts_from=split
    """
    asked: dict[str, Any] = {"capacity_factor": capacity_factor, "dtype": dtype, "imbalance": imbalance, "ep": ep}
    spec, shape, notes = models.load()
    n = sequence_length(spec, seq)
    result = answers.moe(spec, batch, n, **asked, trials=simulate, seed=seed)
    inputs = {"batch": batch, "seq": n, **asked, "simulate": simulate, "seed": seed, **shape}
    head = heading("moe", spec, inputs, result)
    about = [*answers.notes(result), *notes]
    return Item(describe(spec), inputs, result, about, explaining("moe", spec, result, dtype), head=head)
