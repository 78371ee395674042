"""llmcx memory."""

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Annotated, Any

from llmcx import units
from llmcx.answers import memory as core
from llmcx.answers.fit import fitted
from llmcx.cli.options import Models, command, describe, explaining, flag_of, option, refuse_given, single
from llmcx.costs.lora import LoRA
from llmcx.engines import engine
from llmcx.engines.recipe import Recipe
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec, sequence_length
from llmcx.parallel.layout import Layout, uneven
from llmcx.report.render import Item

app = single()


@dataclass(frozen=True)
class Parallel:
    """How the GPUs of a training run share the work."""

    gpus: Annotated[str, option("All GPUs; data parallelism takes what tp × pp × cp leave.")] = "1"
    zero: Annotated[str, option("ZeRO stage 0-3 over the data-parallel GPUs; FSDP is 3.")] = "0"
    shard: Annotated[str | None, option("HSDP: ZeRO over groups of this many GPUs.")] = None
    tp: Annotated[str, option("Tensor-parallel GPUs.")] = "1"
    pp: Annotated[str, option("Pipeline stages, 1F1B.")] = "1"
    cp: Annotated[str, option("Context-parallel GPUs.")] = "1"
    ep: Annotated[str, option("Expert-parallel GPUs, among the data-parallel ones.")] = "1"
    attention_dp: Annotated[str, option("Inference: groups of --tp that attend for a share of the batch each.")] = "1"
    virtual: Annotated[str, option("Chunks of layers per stage: an interleaved pipeline.")] = "1"
    micro_batches: Annotated[str | None, option("Per step. Default: enough to fill the pipeline.")] = None
    sequence_parallel: Annotated[
        bool, option("With --tp: cut the rest by tokens.", "--sequence-parallel/--no-sequence-parallel")
    ] = True

    def layout(self) -> Layout:
        """As the core takes them."""
        texts = {name: text for name, text in vars(self).items() if isinstance(text, str)}
        degrees: dict[str, Any] = {name: units.count(text, flag_of(name)) for name, text in texts.items()}
        inner = prod(max(degrees[name], 1) for name in ("tp", "pp", "cp"))
        gpus = degrees.pop("gpus")
        gpus = inner if self.gpus == "1" else gpus
        if gpus < 1 or gpus % inner:
            raise InputError(f"--gpus is {gpus:,}, but must be a multiple of tp × pp × cp = {inner:,}", field="gpus", value=gpus)
        return Layout(**degrees, dp=gpus // inner, sequence=self.sequence_parallel)


@dataclass(frozen=True)
class How:
    """How one micro-batch is trained."""

    precision: Annotated[
        str,
        option(
            "fp32, bf16, mixed (bf16, fp32 master copy) or megatron (mixed, fp32 gradients).",
            offers="formats.precision:PRECISIONS",
        ),
    ] = "mixed"
    optimizer: Annotated[
        str, option("sgd, momentum, adam, adamw, adam8bit, adafactor, lion, muon.", offers="formats.optimizers:OPTIMIZERS")
    ] = "adam"
    attn_implementation: Annotated[
        str, option("sdpa, flash (windows need no mask) or eager (scores kept).", offers="engines.recipe:ATTENTION")
    ] = "sdpa"
    kernels: Annotated[
        str,
        option("eager (transformers) or fused (Megatron-LM: norms, softmax, gates).", offers="costs.saved_activations:KERNELS"),
    ] = "eager"
    dropout: Annotated[bool, option("Keep the masks of dropout too.", "--dropout")] = False
    recompute: Annotated[
        str,
        option(
            "none, selective (the attention's softmax), elementwise (also norms, activations) or full (layers).",
            offers="costs.saved_activations:RECOMPUTE",
        ),
    ] = "none"
    checkpoint_every: Annotated[str | None, option("Keep every c-th layer's input, recompute the rest.")] = None
    loss_chunk: Annotated[str | None, option("Tokens whose logits a chunked loss has at a time.")] = None
    lora: Annotated[str | None, option("Fine-tuning: the rank of low-rank adapters on a frozen model.")] = None
    lora_targets: Annotated[str, option("Of q, k, v, out, gate, up, down.")] = "q,k,v,out,gate,up,down"
    base: Annotated[str | None, option("QLoRA: the frozen weights' format, as nf4_double.", offers="formats.quant:SCHEMES")] = (
        None
    )
    margin: Annotated[str, option("Assumed loss to fragmentation, as a share: 5%.")] = "0%"

    def recipe(self) -> Recipe:
        """As the core takes it."""
        every = None if self.checkpoint_every is None else units.count(self.checkpoint_every, "--checkpoint-every")
        chunk = None if self.loss_chunk is None else max(units.length(self.loss_chunk, "--loss-chunk"), 1)
        return Recipe(
            self.precision,
            self.optimizer,
            attention=self.attn_implementation,
            kernels=self.kernels,
            dropout=self.dropout,
            recompute=self.recompute,
            checkpoint_every=every,
            loss_chunk=chunk,
            margin=units.share(self.margin, "--margin"),
            lora=None if self.lora is None else LoRA(units.count(self.lora, "--lora"), tuple(self.lora_targets.split(","))),
            base=self.base,
        )


@command(app, "memory")
def memory(
    models: Models,
    parallel: Parallel,
    how: How,
    seq: Annotated[str | None, option("Tokens per sequence; 8k is 8192. Default: the context.")] = None,
    batch: Annotated[str, option("Sequences at a time on a GPU; in training, of a micro-batch.")] = "1",
    train: Annotated[bool, option("Training instead of inference.", "--train")] = False,
    dtype: Annotated[
        str | None,
        option(
            "Inference: of the weights, bf16 if not given; also q4_k_m, gptq, awq, nf4, fp8_block, mxfp4.",
            offers="formats.dtypes:BITS formats.quant:SCHEMES formats.gguf:MIXES",
        ),
    ] = None,
    kv_dtype: Annotated[
        str | None, option("Inference: of the KV cache. Default: bf16.", offers="formats.dtypes:BITS formats.dtypes:CACHE_BLOCKS")
    ] = None,
    activations: Annotated[
        str, option("Training: autograd (op by op) or chapter (L·b·n·d + L·b·H·n²).", offers="autograd chapter")
    ] = "autograd",
    runtime: Annotated[
        str, option("Inference: ideal, transformers, vllm or llama.cpp: what is reserved.", offers="engines:ENGINES")
    ] = "ideal",
    block: Annotated[str | None, option("vllm: tokens per block. Default: 16.")] = None,
    ubatch: Annotated[str | None, option("llama.cpp: tokens per physical batch. Default: 512.")] = None,
    budget: Annotated[str | None, option("Per GPU, with its unit: 80GB or 80GiB.")] = None,
    fit: Annotated[
        str | None, option("What to make as large as --budget allows: batch, seq, gpus or dtype.", offers="answers.fit:FIT")
    ] = None,
) -> list[Item]:
    """Add up memory for inference (default) or training, part by part, and hold it against a budget.

    \b
    llmcx memory --preset llama-3-8b --seq 8k --batch 16 --budget 80GB
    llmcx memory --preset gpt3 --train --batch 32 --precision fp32 --activations chapter
    llmcx memory --preset gpt3 --train --checkpoint-every 8
    llmcx memory --preset llama-3-8b --train --zero 3 --gpus 8
    llmcx memory --preset llama-3-8b --dtype q4_k_m --seq 8k --kv-dtype q8_0 --runtime llama.cpp
    llmcx memory --preset llama-3-8b --seq 8k --fit batch --budget 80GB
    llmcx memory --preset llama-3-8b --train --seq 4k --lora 16 --base nf4_double --budget 24GB
    llmcx memory --preset gpt3 --train --tp 8 --pp 8 --gpus 1024 --zero 1 --kernels fused
    """
    lengths = [None] if seq is None else units.many(seq, units.length, "--seq")
    limit = None if budget is None else units.size(budget, "--budget")
    layout, recipe = parallel.layout(), how.recipe()
    sizes = {"block": block, "ubatch": ubatch}
    program = engine(runtime, **{name: units.count(text, f"--{name}") for name, text in sizes.items() if text is not None})
    if train:
        why = "is of inference; in training the formats are those of --precision and --base"
        refuse_given(why, dtype=dtype, kv_dtype=kv_dtype)
        refuse_given("is of inference; training reserves no cache", runtime=None if runtime == "ideal" else runtime, **sizes)
    else:
        usual = vars(How()) | {name: value for name, value in vars(Parallel()).items() if name in _OF_TRAINING}
        given = {name: value for name, value in (vars(how) | vars(parallel)).items() if usual.get(name, value) != value}
        refuse_given("is of training: add --train", **given)
    weights, cache = ("bf16" if given is None else given for given in (dtype, kv_dtype))
    if fit is not None and limit is None:
        raise InputError("--fit needs a --budget to fit into", field="budget")
    items = []
    for spec, shape, notes in models.each():
        for length, size in product(lengths, units.many(batch, units.count, "--batch")):
            n = sequence_length(spec, length)
            asked: dict[str, Any] = {"batch": size, "seq": n, "dtype": weights, "layout": layout}
            fixed: dict[str, Any] = {"train": train, "kv_dtype": cache, "activations": activations}
            fixed |= {"recipe": recipe, "engine": program}
            if fit is None or limit is None:
                result = core.memory(spec, **asked, **fixed, budget=limit)
            else:
                result, asked = fitted(fit, spec, limit, asked, fixed)
            size, n, dtype_, chosen = asked.values()
            inputs: dict[str, Any] = {"batch": size, "seq": n, "train": train}
            if train:
                inputs |= {"activations": activations, "attn_implementation": recipe.attention}
                inputs |= {key: value for key, value in vars(recipe).items() if key != "attention"}
                inputs |= {"gpus": chosen.gpus} | _degrees(chosen)
            else:
                inputs |= {"dtype": dtype_, "kv_dtype": cache, "runtime": program.name, **program.settings()}
                inputs |= {name: getattr(chosen, name) for name in ("tp", "pp", "ep", "attention_dp")}
            inputs |= {"budget": limit, **shape}
            extra = [*result.stored.notes] if result.stored is not None else []
            extra += _notes(spec, train, activations, recipe) + uneven(spec, chosen)
            lines = explaining("memory", spec, size, n, train, cache, result)
            items.append(Item(describe(spec), inputs, result, extra + notes, lines))
    return items


_OF_TRAINING = ("zero", "shard", "cp", "virtual", "micro_batches", "sequence_parallel")


def _degrees(layout: Layout) -> dict[str, Any]:
    """A layout's figures that memory depends on; the micro-batch and what is recomputed are inputs of their own."""
    return {key: value for key, value in layout._asdict().items() if key not in ("micro_batch", "recompute", "attention_dp")}


def _notes(spec: ModelSpec, train: bool, activations: str, recipe: Recipe) -> list[str]:
    if not train:
        return ["not counted: the CUDA context, fragmentation, and buffers of a serving engine; workspace is an estimate"]
    margin = "" if recipe.margin else ", fragmentation (--margin)"
    notes = [f"not counted: the CUDA context{margin}" + ("" if recipe.dropout else "; dropout is taken as 0 (--dropout)")]
    if activations == "chapter":
        return [*notes, "activations at leading order (the chapter's); --activations autograd counts op by op"]
    if recipe.attention == "eager" and recipe.recompute == "none":
        notes.append("eager attention keeps the probabilities of every layer; --attn-implementation sdpa keeps none")
    if recipe.kernels == "eager" and not core.verified(spec):
        notes.append("the activations of such layers were not equal to autograd's on real runs: see docs/kept.md for how far off")
    return notes
