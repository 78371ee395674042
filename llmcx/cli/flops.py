"""llmcx flops."""

from functools import partial
from typing import Annotated

from llmcx.answers import flops as answers
from llmcx.answers import growth as growing
from llmcx.cli.adapters import Adapters
from llmcx.cli.models import Models, describe
from llmcx.cli.options import command, explaining, heading, option, single
from llmcx.cli.showing import Showing
from llmcx.errors import InputError, unknown_name
from llmcx.model.spec import ModelSpec, text_length
from llmcx.report.render import Item

app = single()


@command(app, "flops")
def flops(
    models: Models,
    showing: Showing,
    adapters: Adapters,
    seq: Annotated[int | None, option("Tokens of a sequence; 8k is 8192. Default: the context.", reads="length")] = None,
    batch: Annotated[int, option("Sequences.", reads="count")] = 1,
    source_seq: Annotated[int | None, option("Encoder tokens of an encoder-decoder. Default: --seq.", reads="length")] = None,
    context: Annotated[int | None, option("Tokens that the decode step attends to. Default: --seq.", reads="length")] = None,
    causal: Annotated[
        bool, option("Count only the scores a mask or window leaves.", "--causal", needs="convention=flops|macs|eager")
    ] = False,
    recompute: Annotated[str, option("none, or full: training does the layers' forward again.", offers="none full")] = "none",
    convention: Annotated[
        str,
        option(
            "flops (2 per multiply-add), macs (1), eager (as transformers' code runs), leading-order (no constants).",
            offers="flops macs eager leading-order",
        ),
    ] = "flops",
    textbook: Annotated[bool, option("Beside it the textbook's rules of thumb.", "--textbook", group="Less common")] = False,
) -> Item:
    """Count FLOPs: forward, backward, training, and one decode step with a KV cache.

    forward.total is what PyTorch's FlopCounterMode counts for one eager pass: 2 per multiply-add, the full score
    matrix, the LM head on every position. Norms, softmax and activations are counted apart.

    \b
    llmcx flops gpt3 --seq 2048
    llmcx flops gpt3 --seq 512,2048 --json | jq '.results[].result.forward.total'
    llmcx flops llama-3-8b --kv-heads 32 --causal
    llmcx flops llama-3.1-70b --lora 16 --seq 4k
    llmcx flops gpt3 --convention leading-order
    """
    if recompute not in ("none", "full"):
        raise unknown_name("recomputation in flops", recompute, ["none", "full"], field="recompute")
    spec, shape, notes = models.load()
    if source_seq is not None and not spec.reads_source:
        problem = f"--source-seq is for an encoder-decoder, which {spec.name} is not"
        raise InputError(problem, field="source_seq", value=source_seq)
    beside = showing.of(spec)
    n, again = text_length(spec, seq, beside.tokens), recompute == "full"
    if showing.given and convention == "leading-order":
        problem = "--convention leading-order knows the layers of text alone; leave out --image and --audio"
        raise InputError(problem, field="convention", value=convention)
    result = answers.flops(
        spec,
        batch,
        n,
        source=source_seq,
        ideal=causal,
        context=context,
        recompute=again,
        convention=convention,
        shown=beside,
        lora=adapters.of(),
    )
    inputs = {"batch": batch, "seq": n, "convention": convention, "causal": causal, "recompute": recompute}
    inputs |= adapters.inputs()
    inputs |= {"source_seq": source_seq} if source_seq is not None else {}
    inputs |= ({"context": context} if context is not None else {}) | shape
    inputs |= ({"textbook": True} if textbook else {}) | showing.inputs(beside, n)
    about = showing.notes(spec, beside) + _notes(spec, result, causal, convention) + notes
    more = partial(_growth, spec, n + beside.tokens, causal, result)
    head = heading("flops", spec, inputs, result)
    return Item(describe(spec), inputs, result, about, explaining("flops", result), more, head)


def _growth(spec: ModelSpec, n: int, causal: bool, result: answers.Flops) -> tuple[list[growing.Growth], int | None]:
    """What a picture shows."""
    crossing = result.crossover.with_head
    return growing.growth(spec, growing.span(spec, crossing, n), causal), crossing


def _notes(spec: ModelSpec, result: answers.Flops, causal: bool, convention: str) -> list[str]:
    if convention == "leading-order":
        return ["leading order: n d² for all matrices of a layer, s n d for its attention; constants, heads and LM head dropped"]
    notes = ["full score matrices, as eager attention computes them; --causal counts the useful half"]
    if causal:
        notes = ["--causal: only the scores that the mask or window leaves, n(n+1)/2 per head for full causal attention"]
    elif answers.convolves(result.ops):
        notes.append(
            "the backward pass of a convolution is counted as FlopCounterMode does, dense over channels; --causal: each by itself"
        )
    if convention != "eager" and any(part.every_expert for _, part in spec.mixtures):
        eager = "transformers' eager code multiplies every token with every expert: --convention eager"
        notes.append(f"the experts that are chosen; {eager}")
    if result.lora is not None:
        notes.append("adapters alone learn: frozen matrices have no gradient of their own; a decode step has them merged")
    if spec.reads_source:
        notes.append("an encoder-decoder runs --source-seq tokens through the encoder and --seq through the decoder")
    return notes
