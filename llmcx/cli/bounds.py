"""llmcx bounds."""

from typing import Annotated

import typer

from llmcx.cli.options import Output, command, single
from llmcx.core import bounds as core
from llmcx.core.ops import Line
from llmcx.report.render import Item
from llmcx.spec import units

app = single()


@command(app)
def bounds(
    output: Output,
    params: Annotated[str, typer.Option(help="Parameters P.")] = "100B",
    examples: Annotated[str, typer.Option(help="Independent training examples n.")] = "100B",
    base: Annotated[str, typer.Option(help="Base of the logarithm: e, 2 or 10.")] = "e",
    seq: Annotated[str, typer.Option(help="Lengths for pairs and hops; 8k is 8192.")] = "4096",
) -> None:
    """What theory bounds: the generalisation gap, all-pairs work, layers until all tokens are connected.

    \b
    llmcx bounds --params 1e11 --examples 1e11
    llmcx bounds --params 1e11 --examples 1e11 --base 2
    llmcx bounds --seq 1k,8k,64k
    """
    lengths = units.many(seq, units.length, "--seq")
    gap = core.generalization(units.count(params, "--params"), units.count(examples, "--examples"), base)
    pairs = [core.all_pairs(n) for n in lengths]
    approximation = core.universal_approximation()
    result = {"generalization": gap, "all_pairs": pairs, "hops": core.hops_table(lengths), "approximation": approximation}
    inputs = {"params": gap.params, "examples": gap.examples, "base": base, "seq": lengths}
    notes = [
        gap.statement,
        pairs[0].statement,
        f"{approximation.statement}, on {approximation.condition}: {approximation.limits}",
    ]
    lines = [Line("generalisation gap", gap.formula, gap.numbers, gap.bound, gap.source)]
    lines += [Line("pairs", "n²", f"{pair.seq:,}²", pair.pairs, pair.source) for pair in pairs]
    output.show("bounds", [Item(None, inputs, result, notes, lines)])
