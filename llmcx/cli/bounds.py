"""llmcx textbook bounds."""

from typing import Annotated

from llmcx import units
from llmcx.answers import bounds as answers
from llmcx.cli.options import command, explaining, option, single
from llmcx.report.render import Item

app = single()


@command(app, "bounds", without=("plot", "detail"))
def bounds(
    params: Annotated[int, option("Parameters P.", reads="count")] = 100_000_000_000,
    examples: Annotated[int, option("Independent training examples n.", reads="count")] = 100_000_000_000,
    base: Annotated[str, option("Base of the logarithm: e, 2 or 10.", offers="e 2 10")] = "e",
    kl: Annotated[
        float | None, option("KL of posterior and prior in nats (PAC-Bayes). Default: 1 per parameter.", reads="number")
    ] = None,
    compressed: Annotated[
        int | None, option("Size of the compressed weights, e.g. 1GB. Default: 16 bits a parameter.", reads="size")
    ] = None,
    delta: Annotated[float, option("Chance that a certificate fails.", reads="number")] = 0.05,
    seq: Annotated[list[int], option("Lengths for pairs and hops; 8k is 8192.", reads="length", whole=True)] = "4096",  # type: ignore[assignment]
) -> Item:
    """What theory bounds: the generalisation gap, all-pairs work, layers until all tokens are connected.

    \b
    llmcx textbook bounds --params 1e11 --examples 1e11
    llmcx textbook bounds --params 1e11 --examples 1e11 --base 2
    llmcx textbook bounds --params 7B --examples 15T --compressed 2GB --kl 1e9
    llmcx textbook bounds --seq 1k,8k,64k
    """
    lengths = seq if isinstance(seq, list) else units.many(seq, units.length, "--seq")
    gap = answers.generalization(params, examples, base)
    bits = 16 * gap.params if compressed is None else 8 * compressed
    nats = float(gap.params) if kl is None else kl
    certificates = [answers.pac_bayes(nats, gap.examples, delta), answers.compression(bits, gap.examples, delta)]
    pairs = [answers.all_pairs(n) for n in lengths]
    approximation = answers.universal_approximation()
    result = answers.Bounds(gap, certificates, pairs, answers.hops_table(lengths), approximation)
    asked = {"params": gap.params, "examples": gap.examples, "base": base}
    inputs = {**asked, "kl": kl, "bits": bits, "delta": delta, "seq": lengths}
    notes = [gap.statement, *(f"{each.kind}: {each.silent}" for each in certificates), pairs[0].statement]
    notes.append(f"{approximation.statement}, on {approximation.condition}: {approximation.limits}")
    return Item(None, inputs, result, notes, explaining("bounds", result))
