"""llmcx bounds."""

from typing import Annotated

from llmcx import units
from llmcx.answers import bounds as core
from llmcx.cli.options import command, explaining, option, single
from llmcx.report.render import Item

app = single()


@command(app, "bounds")
def bounds(
    params: Annotated[str, option("Parameters P.")] = "100B",
    examples: Annotated[str, option("Independent training examples n.")] = "100B",
    base: Annotated[str, option("Base of the logarithm: e, 2 or 10.", offers="e 2 10")] = "e",
    kl: Annotated[float | None, option("KL of posterior and prior in nats (PAC-Bayes). Default: 1 per parameter.")] = None,
    compressed: Annotated[str | None, option("Size of the compressed weights, e.g. 1GB. Default: 16 bits a parameter.")] = None,
    delta: Annotated[float, option("Chance that a certificate fails.")] = 0.05,
    seq: Annotated[str, option("Lengths for pairs and hops; 8k is 8192.")] = "4096",
) -> list[Item]:
    """What theory bounds: the generalisation gap, all-pairs work, layers until all tokens are connected.

    \b
    llmcx bounds --params 1e11 --examples 1e11
    llmcx bounds --params 1e11 --examples 1e11 --base 2
    llmcx bounds --params 7B --examples 15T --compressed 2GB --kl 1e9
    llmcx bounds --seq 1k,8k,64k
    """
    lengths = units.many(seq, units.length, "--seq")
    gap = core.generalization(units.count(params, "--params"), units.count(examples, "--examples"), base)
    bits = 16 * gap.params if compressed is None else 8 * units.size(compressed, "--compressed")
    nats = float(gap.params) if kl is None else kl
    certificates = [core.pac_bayes(nats, gap.examples, delta), core.compression(bits, gap.examples, delta)]
    pairs = [core.all_pairs(n) for n in lengths]
    approximation = core.universal_approximation()
    result: core.Bounds = {
        "generalization": gap,
        "certificates": certificates,
        "all_pairs": pairs,
        "hops": core.hops_table(lengths),
        "approximation": approximation,
    }
    asked = {"params": gap.params, "examples": gap.examples, "base": base}
    inputs = {**asked, "kl": kl, "bits": bits, "delta": delta, "seq": lengths}
    notes = [gap.statement, *(f"{each.kind}: {each.silent}" for each in certificates), pairs[0].statement]
    notes.append(f"{approximation.statement}, on {approximation.condition}: {approximation.limits}")
    return [Item(None, inputs, result, notes, explaining("bounds", result))]
