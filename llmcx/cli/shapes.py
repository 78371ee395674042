"""llmcx shapes."""

from typing import Annotated

import typer

from llmcx.cli.options import Output, command, single
from llmcx.core import shapes as core
from llmcx.core.ops import Line
from llmcx.report.render import Item
from llmcx.spec import units

app = single()


@command(app)
def shapes(
    output: Output,
    params: Annotated[str, typer.Option(help="Parameters that every shape should have, e.g. 7B.")],
    vocab: Annotated[str, typer.Option(help="Vocabulary size.")] = "32000",
    depths: Annotated[str | None, typer.Option(help="Layers to try, e.g. 16,32,64.")] = None,
    seq: Annotated[str, typer.Option(help="Tokens of the forward pass; 8k is 8192.")] = "2048",
    head_dim: Annotated[str, typer.Option(help="Width of a head; widths are its multiples.")] = "128",
    kv_heads: Annotated[str | None, typer.Option(help="Key-value heads. Default: as many as heads.")] = None,
    gated: Annotated[bool, typer.Option("--gated/--plain", help="LLaMA-like or GPT-like.")] = True,
) -> None:
    """Depth against width at equal parameters: each depth with the width that comes closest.

    \b
    llmcx shapes --params 7B
    llmcx shapes --params 175B --plain --vocab 50257 --depths 48,96,192
    """
    target = units.count(params, "--params")
    n = units.length(seq, "--seq")
    rows = core.shapes(
        target,
        units.count(vocab, "--vocab"),
        depths=core.DEPTHS if depths is None else units.many(depths, units.count, "--depths"),
        seq=n,
        head_dim=units.count(head_dim, "--head-dim"),
        kv_heads=None if kv_heads is None else units.count(kv_heads, "--kv-heads"),
        gated=gated,
    )
    inputs = {"params": target, "vocab": vocab, "seq": n, "gated": gated}
    notes = ["a deeper shape waits for more layers in turn; a wider one gives larger matrices; theory names no best ratio d / L"]
    source = "parameters of the shape, counted exactly; widths are multiples of head_dim"
    lines = [Line(f"{row.n_layers} x {row.d_model}", "params(L, d) - target", "", row.deviation or 0, source) for row in rows]
    result = {"shapes": rows, "references": core.references(n)}
    output.show("shapes", [Item(None, inputs, result, notes, lines)])
