"""llmcx shapes."""

from typing import Annotated

from llmcx import units
from llmcx.answers import shapes as core
from llmcx.cli.options import command, explaining, option, single
from llmcx.errors import InputError
from llmcx.report.render import Item

app = single()


@command(app, "shapes")
def shapes(
    params: Annotated[str | None, option("Parameters that every shape should have, e.g. 7B.")] = None,
    flops: Annotated[str | None, option("Or forward FLOPs of one sequence, e.g. 30T.")] = None,
    vocab: Annotated[str, option("Vocabulary size.")] = "32000",
    depths: Annotated[str | None, option("Layers to try, e.g. 16,32,64.")] = None,
    seq: Annotated[str, option("Tokens of the forward pass; 8k is 8192.")] = "2048",
    head_dim: Annotated[str, option("Width of a head; widths are its multiples.")] = "128",
    kv_heads: Annotated[str | None, option("Key-value heads. Default: as many as heads.")] = None,
    gated: Annotated[bool, option("LLaMA-like or GPT-like.", "--gated/--ungated")] = True,
) -> list[Item]:
    """Depth against width at equal parameters, or equal FLOPs: each depth with the width that comes closest.

    \b
    llmcx shapes --params 7B
    llmcx shapes --flops 30T --seq 2048 --depths 16,32,64
    llmcx shapes --params 175B --ungated --vocab 50257 --depths 48,96,192
    """
    if (params is None) == (flops is None):
        raise InputError("give one of --params and --flops", field="params", allowed="exactly one")
    by = "params" if params is not None else "flops"
    target = units.count(params or flops or "", f"--{by}")
    n, size = units.length(seq, "--seq"), units.count(vocab, "--vocab")
    layers = core.DEPTHS if depths is None else units.many(depths, units.count, "--depths")
    width = units.count(head_dim, "--head-dim")
    shared = None if kv_heads is None else units.count(kv_heads, "--kv-heads")
    rows = core.shapes(target, size, depths=layers, seq=n, head_dim=width, kv_heads=shared, gated=gated, by=by)
    inputs = {by: target, "vocab": size, "seq": n, "gated": gated}
    notes = [
        "a deeper shape waits for more layers in turn, in every decode step; a wider one gives larger matrices",
        "depth: against what the width can use (Levine et al. 2020, arXiv:2006.12467); by Kaplan et al. 2020, sec. 3.1, d/L"
        " matters little: 6 x 4288 comes within 3% of the loss of 48 x 1600",
        "TP: most GPUs (a power of two up to 64) that divide heads and d_ff; tile: largest power of two in d_model and d_ff",
    ]
    if by == "params":
        depth, width = core.balanced(float(target))
        notes.append(f"Levine et al.'s balance for 12 L d² = {target:.3g}: {depth} x {width:,} (digits of the fit unconfirmed)")
    result: core.Shapes = {"shapes": rows, "references": core.references(n)}
    return [Item(None, inputs, result, notes, explaining("shapes", [*rows, *result["references"]], target, by))]
