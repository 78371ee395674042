"""llmcx flops."""

from functools import partial
from itertools import product
from typing import Annotated

from llmcx import units
from llmcx.answers import flops as core
from llmcx.answers import growth as growing
from llmcx.cli.options import Models, command, describe, explaining, option, single
from llmcx.model.spec import ModelSpec, sequence_length
from llmcx.report.render import Item

app = single()


@command(app, "flops")
def flops(
    models: Models,
    seq: Annotated[str | None, option("Tokens per sequence; 8k is 8192. Default: the context.")] = None,
    batch: Annotated[str, option("Sequences.")] = "1",
    source_seq: Annotated[str | None, option("Encoder tokens of an encoder-decoder. Default: --seq.")] = None,
    context: Annotated[str | None, option("Tokens that the decode step attends to. Default: --seq.")] = None,
    causal: Annotated[bool, option("Count only the scores a mask or window leaves.", "--causal")] = False,
    recompute: Annotated[bool, option("Training recomputes the layers' forward.", "--recompute")] = False,
    convention: Annotated[
        str,
        option(
            "flops (2 per multiply-add), macs (1), eager (as transformers' code runs), leading-order (no constants).",
            offers="flops macs eager leading-order",
        ),
    ] = "flops",
) -> list[Item]:
    """Count FLOPs: forward, backward, training, and one decode step with a KV cache.

    forward.total is what PyTorch's FlopCounterMode counts for one eager pass: 2 per multiply-add, the full score
    matrix, the LM head on every position. Norms, softmax and activations are counted apart.

    \b
    llmcx flops --preset gpt3 --seq 2048
    llmcx flops --preset gpt3 --seq 512,2048 --json | jq '.results[].result.forward.total'
    llmcx flops --preset llama-3-8b --kv-heads 32 --causal
    llmcx flops --preset gpt3 --convention leading-order
    """
    lengths = [None] if seq is None else units.many(seq, units.length, "--seq")
    batches = units.many(batch, units.count, "--batch")
    source = None if source_seq is None else units.length(source_seq, "--source-seq")
    attends = None if context is None else units.length(context, "--context")
    items = []
    for spec, shape, notes in models.each():
        for length, size in product(lengths, batches):
            n = sequence_length(spec, length)
            result = core.flops(
                spec, size, n, source=source, ideal=causal, context=attends, recompute=recompute, convention=convention
            )
            inputs = {"batch": size, "seq": n, "convention": convention, "causal": causal, "recompute": recompute}
            inputs |= ({"source_seq": source} if source is not None else {}) | shape
            extra, more = _notes(spec, causal, convention), partial(_growth, spec, n, causal, result)
            items.append(Item(describe(spec), inputs, result, extra + notes, explaining("flops", result), more))
    return items


def _growth(spec: ModelSpec, n: int, causal: bool, result: core.Flops) -> tuple[list[growing.Growth], int | None]:
    """What a picture shows."""
    crossing = result.crossover.with_head
    return growing.growth(spec, growing.span(spec, crossing, n), causal), crossing


def _notes(spec: ModelSpec, causal: bool, convention: str) -> list[str]:
    if convention == "leading-order":
        return ["leading order: n d² for all matrices of a layer, s n d for its attention; constants, heads and LM head dropped"]
    notes = ["full score matrices, as eager attention computes them; --causal counts the useful half"]
    if causal:
        notes = ["--causal: only the scores that the mask or window leaves, n(n+1)/2 per head for full causal attention"]
    elif core.convolves(spec):
        counted = "as FlopCounterMode counts it, each channel's filter meeting every channel"
        notes.append(f"the backward pass of a convolution {counted}; --causal counts its own alone")
    if convention != "eager" and any(part.every_expert for _, part in spec.mixtures):
        eager = "transformers' eager code multiplies every token with every expert: --convention eager"
        notes.append(f"the experts that are chosen; {eager}")
    if spec.encoder:
        notes.append("an encoder-decoder runs --source-seq tokens through the encoder and --seq through the decoder")
    return notes
