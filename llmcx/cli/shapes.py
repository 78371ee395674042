"""llmcx textbook shapes."""

from functools import partial
from typing import Annotated

from llmcx.answers import shapes as answers
from llmcx.cli.options import command, explaining, option, single
from llmcx.errors import InputError
from llmcx.report.render import Item

app = single()


@command(app, "shapes", without=("detail",))
def shapes(
    params: Annotated[
        int | None, option("Parameters that every shape should have, e.g. 7B.", reads="count", needs="not flops")
    ] = None,
    flops: Annotated[int | None, option("Or forward FLOPs of one sequence, e.g. 30T.", reads="count")] = None,
    vocab: Annotated[int, option("Vocabulary size.", reads="count")] = 32000,
    depths: Annotated[list[int] | None, option("Layers to try, e.g. 16,32,64.", reads="count", whole=True)] = None,
    seq: Annotated[int, option("Tokens of the forward pass; 8k is 8192.", reads="length")] = 2048,
    head_dim: Annotated[int, option("Width of a head; widths are its multiples.", reads="count")] = 128,
    kv_heads: Annotated[int | None, option("Key-value heads. Default: as many as heads.", reads="count")] = None,
    gated: Annotated[bool, option("LLaMA-like or GPT-like.", "--gated/--ungated")] = True,
) -> Item:
    """Depth against width at equal parameters, or equal FLOPs: each depth with the width that comes closest.

    \b
    llmcx textbook shapes --params 7B
    llmcx textbook shapes --flops 30T --seq 2048 --depths 16,32,64
    llmcx textbook shapes --params 175B --ungated --vocab 50257 --depths 48,96,192
    """
    target = params if params is not None else flops
    if target is None:
        raise InputError("give one of --params and --flops", field="params", allowed="exactly one")
    by = "params" if params is not None else "flops"
    layers = answers.DEPTHS if depths is None else depths
    rows = answers.shapes(target, vocab, depths=layers, seq=seq, head_dim=head_dim, kv_heads=kv_heads, gated=gated, by=by)
    inputs = {by: target, "vocab": vocab, "seq": seq, "gated": gated}
    notes = [
        "a deeper shape waits for more layers in turn, in every decode step; a wider one gives larger matrices",
        "depth: against what the width can use (Levine et al. 2020, arXiv:2006.12467); by Kaplan et al. 2020, sec. 3.1, d/L"
        " matters little: 6 x 4288 comes within 3% of the loss of 48 x 1600",
        "TP: most GPUs (a power of two up to 64) that divide heads and d_ff; tile: largest power of two in d_model and d_ff",
    ]
    if by == "params":
        depth, width = answers.balanced(float(target))
        notes.append(f"Levine et al.'s balance for 12 L d² = {target:.3g}: {depth} x {width:,} (digits of the fit unconfirmed)")
    built = partial(answers.model, vocab=vocab, head_dim=head_dim, kv_heads=kv_heads, gated=gated)
    result = answers.Shapes(rows, answers.references(seq))
    return Item(
        None,
        inputs,
        result,
        notes,
        explaining("shapes", [*rows, *result.references], target, by, built),
    )
