"""llmcx memory."""

from itertools import product
from typing import Annotated, Any

import typer

from llmcx.cli.options import Models, Output, command, describe, single
from llmcx.core import memory as core
from llmcx.core.errors import unknown_name
from llmcx.core.flops import sequence_length
from llmcx.report.render import Item
from llmcx.spec import units

app = single()


@command(app)
def memory(
    models: Models,
    output: Output,
    seq: Annotated[str | None, typer.Option(help="Tokens per sequence; 8k is 8192. Default: the context.")] = None,
    batch: Annotated[str, typer.Option(help="Sequences per GPU.")] = "1",
    train: Annotated[bool, typer.Option("--train", help="Training instead of inference.")] = False,
    dtype: Annotated[str, typer.Option(help="Inference: of the weights.")] = "bf16",
    kv_dtype: Annotated[str, typer.Option(help="Inference: of the KV cache.")] = "bf16",
    precision: Annotated[str, typer.Option(help="Training: fp32, bf16, or mixed (bf16 with an fp32 master copy).")] = "mixed",
    optimizer: Annotated[str, typer.Option(help="Training: sgd, momentum, adam, adam8bit.")] = "adam",
    activations: Annotated[str, typer.Option(help="Training: autograd (op by op) or chapter (L·b·n·d + L·b·H·n²).")] = "autograd",
    attn_implementation: Annotated[str, typer.Option(help="sdpa (fused, also flash) or eager (scores written out).")] = "sdpa",
    checkpoint_every: Annotated[
        str | None, typer.Option(help="Training: keep every c-th layer's input, recompute the rest.")
    ] = None,
    zero: Annotated[int, typer.Option(help="ZeRO stage 0-3 over --gpus.")] = 0,
    gpus: Annotated[str, typer.Option(help="Data-parallel GPUs.")] = "1",
    budget: Annotated[str | None, typer.Option(help="Per GPU, with its unit: 80GB or 80GiB.")] = None,
) -> None:
    """Add up memory for inference (default) or training, part by part, and hold it against a budget.

    \b
    llmcx memory --preset llama-3-8b --seq 8k --batch 16 --budget 80GB
    llmcx memory --preset gpt3 --train --batch 32 --precision fp32 --activations chapter
    llmcx memory --preset gpt3 --train --checkpoint-every 8
    llmcx memory --preset llama-3-8b --train --zero 3 --gpus 8
    """
    lengths = [None] if seq is None else units.many(seq, units.length, "--seq")
    every = None if checkpoint_every is None else units.count(checkpoint_every, "--checkpoint-every")
    n_gpus = units.count(gpus, "--gpus")
    limit = None if budget is None else units.size(budget, "--budget")
    if attn_implementation not in ("sdpa", "eager"):
        raise unknown_name("attention implementation", attn_implementation, ["sdpa", "eager"], field="attn_implementation")
    items = []
    for spec, shape, notes in models.each():
        for length, size in product(lengths, units.many(batch, units.count, "--batch")):
            n = sequence_length(spec, length)
            result = core.memory(
                spec,
                size,
                n,
                train=train,
                dtype=dtype,
                kv_dtype=kv_dtype,
                precision=precision,
                optimizer=optimizer,
                activations=activations,
                fused=attn_implementation == "sdpa",
                checkpoint_every=every,
                zero=zero,
                gpus=n_gpus,
                budget=limit,
            )
            inputs: dict[str, Any] = {"batch": size, "seq": n, "train": train, "attn_implementation": attn_implementation}
            if train:
                inputs |= {"precision": precision, "optimizer": optimizer, "activations": activations, "checkpoint_every": every}
                inputs |= {"zero": zero, "gpus": n_gpus}
            else:
                inputs |= {"dtype": dtype, "kv_dtype": kv_dtype}
            inputs |= {"budget": limit}
            items.append(
                Item(describe(spec), {**inputs, **shape}, result, _notes(train, activations, attn_implementation) + notes)
            )
    output.show("memory", items)


def _notes(train: bool, activations: str, implementation: str) -> list[str]:
    if not train:
        return ["not counted: the CUDA context, fragmentation, and buffers of a serving engine; workspace is an estimate"]
    notes = ["not counted: the CUDA context, fragmentation, communication buffers; dropout is taken as 0"]
    if activations == "chapter":
        return [*notes, "activations at leading order (the chapter's); --activations autograd counts op by op"]
    if implementation == "eager":
        notes.append("eager attention keeps the probabilities of every layer; --attn-implementation sdpa keeps none")
    return notes
