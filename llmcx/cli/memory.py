"""llmcx memory."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from llmcx.answers import memory as answers
from llmcx.cli.accelerator import Limit, limit, looking, serving, settled
from llmcx.cli.adapters import ALL, RANK, TARGETS, lora_of
from llmcx.cli.models import Models, beside, context_notes, describe, stored_notes
from llmcx.cli.options import command, completing, explaining, heading, option, single
from llmcx.cli.parallel import Parallel
from llmcx.cli.rl import PostTraining
from llmcx.cli.showing import Showing
from llmcx.costs.lora import LEAVES
from llmcx.engines import ENGINES, Engine, engine
from llmcx.errors import InputError, unknown_name
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec, text_length
from llmcx.parallel.layout import Layout, uneven
from llmcx.report.render import Item

if TYPE_CHECKING:
    from llmcx.engines.recipe import Recipe

app = single()

KERNELS = {"transformers": "eager", "fsdp": "eager", "deepspeed": "eager", "megatron": "fused"}
"""What trains, and the kernels that it has."""


@dataclass(frozen=True)
class Training:
    """How one micro-batch is trained."""

    micro_batch: Annotated[
        int | None, option("Sequences at a time on a GPU. Default: 1.", reads="count", group="Training", needs="train")
    ] = None
    precision: Annotated[
        str | None,
        option(
            "fp32, bf16, mixed (bf16, fp32 master copy) or megatron (mixed, fp32 gradients). Default: mixed, or megatron's.",
            offers="formats.precision:PRECISIONS",
            group="Training",
            needs="train",
        ),
    ] = None
    optimizer: Annotated[
        str,
        option(
            "sgd, momentum, adam, adamw, adam8bit, paged_adam8bit, adafactor, lion, lion8bit, muon.",
            offers="formats.optimizers:OPTIMIZERS",
            group="Training",
            needs="train",
        ),
    ] = "adam"
    recompute: Annotated[
        str,
        option(
            "none, selective (the attention's softmax), elementwise (also norms, activations) or full (layers).",
            offers="costs.saved_activations:RECOMPUTE",
            group="Training",
            needs="train",
        ),
    ] = "none"
    lora: Annotated[
        int | None,
        option(RANK, reads="count", group="Training", needs="train"),
    ] = None
    attn: Annotated[
        str,
        option(
            "sdpa, flash (windows need no mask) or eager (scores kept); llama.cpp: flash or eager.",
            offers="engines.recipe:ATTENTION",
            rare=True,
            needs="train or engine_=llama.cpp",
        ),
    ] = "sdpa"
    lora_targets: Annotated[
        list[str],
        option(
            TARGETS,
            whole=True,
            metavar="NAMES",
            offers=" ".join(LEAVES),
            rare=True,
            needs="lora",
        ),
    ] = ALL  # type: ignore[assignment]
    dropout: Annotated[bool, option("Keep the masks of dropout too.", "--dropout", rare=True, needs="train")] = False
    checkpoint_every: Annotated[
        int | None, option("Keep every c-th layer's input, recompute the rest.", reads="count", rare=True, needs="train")
    ] = None
    loss_chunk: Annotated[
        int | None, option("Tokens whose logits a chunked loss has at a time.", reads="length", rare=True, needs="train")
    ] = None
    cross_entropy_loss_fusion: Annotated[
        bool,
        option(
            "megatron: the loss in one kernel, in its logits' place.",
            "--cross-entropy-loss-fusion",
            rare=True,
            needs="engine_=megatron",
        ),
    ] = False
    offload: Annotated[
        str | None,
        option(
            "deepspeed, or rl between turns: optimizer (states) or params (weights too), in the host's memory.",
            offers="engines.deepspeed:OFFLOAD",
            rare=True,
            needs="engine_=deepspeed or rl",
        ),
    ] = None
    reduce_bucket_size: Annotated[
        int | None,
        option("deepspeed: gradients summed up at a time.", reads="count", rare=True, needs="engine_=deepspeed,zero"),
    ] = None
    max_live_parameters: Annotated[
        int | None,
        option(
            "deepspeed: weights that stay gathered, or are ahead of time.",
            reads="count",
            rare=True,
            needs="engine_=deepspeed,zero=3",
        ),
    ] = None
    fragmentation: Annotated[
        float | None, option("Assumed loss to fragmentation, as a share: 5%.", reads="share", rare=True, needs="train")
    ] = None
    activations: Annotated[
        str,
        option(
            "autograd (op by op) or textbook (L·b·n·d + L·b·H·n²).",
            offers="autograd textbook",
            rare=True,
            needs="train",
        ),
    ] = "autograd"

    def recipe(self, program: str, base: str | None) -> "Recipe":
        """How ``program`` trains; with adapters, on weights in the format ``base``. Raises InputError."""
        if program not in KERNELS:
            if program.partition("@")[0] in ENGINES:
                problem = f"--engine {program} is for inference; in training it is {' or '.join(KERNELS)}"
                raise InputError(problem, field="engine", value=program, allowed=", ".join(KERNELS))
            raise unknown_name("engine that trains", program, list(KERNELS), field="engine")
        from llmcx.engines.deepspeed import Buckets
        from llmcx.engines.recipe import Recipe

        buckets = {"reduce": self.reduce_bucket_size, "live": self.max_live_parameters}
        return Recipe(
            self.precision or ("megatron" if program == "megatron" else "mixed"),
            self.optimizer,
            attention=self.attn,
            kernels=KERNELS[program],
            dropout=self.dropout,
            recompute=self.recompute,
            checkpoint_every=self.checkpoint_every,
            loss_chunk=None if self.loss_chunk is None else max(self.loss_chunk, 1),
            margin=self.fragmentation or 0.0,
            lora=lora_of(self.lora, self.lora_targets),
            base=base,
            engine=program,
            fused_loss=self.cross_entropy_loss_fusion,
            offload=self.offload if program == "deepspeed" else None,
            buckets=Buckets(**{name: size for name, size in buckets.items() if size is not None}),
        )


@command(app, "memory")
def memory(
    models: Models,
    parallel: Parallel,
    training: Training,
    post: PostTraining,
    showing: Showing,
    train: Annotated[bool, option("Training instead of inference.", "--train")] = False,
    hardware: Annotated[
        str | None,
        option("What it should fit on: h100, 2xh100, rtx-4090, FILE.yaml, auto.", offers=completing("hardware")),
    ] = None,
    budget: Annotated[int | None, option("Or bytes on each GPU, with their unit: 80GB, 80GiB.", reads="size")] = None,
    utilization: Annotated[
        float | None,
        option(
            "Share of the memory to use. Default: 90% in inference (vllm: 92%; sglang: by memory), all in training.",
            reads="share",
        ),
    ] = None,
    fit: Annotated[
        str | None, option("What to make as large as fits: batch, seq, gpus, dtype or offload.", offers="answers.fit:FIT")
    ] = None,
    seq: Annotated[int | None, option("Tokens of a sequence; 8k is 8192. Default: the context.", reads="length")] = None,
    batch: Annotated[int | None, option("Sequences at a time. Default: 1.", reads="count")] = None,
    dtype: Annotated[
        str | None,
        option(
            "Of the weights (with --lora the frozen ones): fp8, int4, q4_k_m, awq, nf4, ... Default: as released.",
            offers="formats.dtypes:BITS formats.schemes:SCHEMES formats.gguf:MIXES",
        ),
    ] = None,
    kv_dtype: Annotated[
        str | None,
        option(
            "Of the KV cache. Default: as released, else bf16.",
            offers="formats.dtypes:BITS formats.dtypes:CACHE_BLOCKS",
            needs="not train",
        ),
    ] = None,
    engine_: Annotated[
        str | None,
        option(
            "ideal (reserves nothing), transformers, vllm (a version: vllm@0.11), sglang, trtllm, llama.cpp; "
            "with --train transformers, fsdp, deepspeed, megatron.",
            "--engine",
            offers="engines:ENGINES fsdp deepspeed megatron",
        ),
    ] = None,
    weights_: Annotated[
        str | None,
        option(
            "Safetensors or GGUF files, or ORG/NAME on the hub: the bytes that they store, from their headers.",
            "--weights",
            reads="text",
            metavar="PATH",
            group="Less common",
            needs="not train",
        ),
    ] = None,
    textbook: Annotated[bool, option("Beside it the textbook's leading order.", "--textbook", rare=True, needs="train")] = False,
    block: Annotated[
        int | None,
        option(
            "vllm, sglang, trtllm: tokens of a block. Default: 16, 1 and 32.",
            reads="count",
            rare=True,
            needs="engine_=vllm|sglang|trtllm",
        ),
    ] = None,
    max_num_batched_tokens: Annotated[
        int | None,
        option(
            "vllm, sglang, trtllm: tokens of a step. Default: by memory.",
            reads="length",
            rare=True,
            needs="engine_=vllm|sglang|trtllm",
        ),
    ] = None,
    max_num_seqs: Annotated[
        int | None,
        option(
            "vllm: sequences of a step; sglang: of its largest graph. Default: by memory.",
            reads="count",
            rare=True,
            needs="engine_=vllm|sglang",
        ),
    ] = None,
    ubatch: Annotated[
        int | None,
        option("llama.cpp: tokens of a physical batch. Default: 512.", reads="count", rare=True, needs="engine_=llama.cpp"),
    ] = None,
    swa_full: Annotated[
        bool,
        option("llama.cpp: windowed layers keep as many cells as full ones.", "--swa-full", rare=True, needs="engine_=llama.cpp"),
    ] = False,
    ram: Annotated[
        int | None,
        option("llama.cpp: bytes of the host's memory that --fit offload may use.", reads="size", rare=True, needs="fit=offload"),
    ] = None,
    outputs: Annotated[
        int | None,
        option(
            "llama.cpp: positions of a physical batch whose logits are made. Default: one a sequence, as llama-server asks.",
            reads="count",
            rare=True,
            needs="engine_=llama.cpp",
        ),
    ] = None,
) -> Item:
    """Add up memory for inference (default) or training, part by part: does it fit, and what would make it fit?

    \b
    llmcx memory llama-3-8b --seq 8k --batch 16 --hardware h100
    llmcx memory llama-3.1-70b --dtype fp8 --seq 32k --batch 16 --hardware 2xh100
    llmcx memory llama-3-8b --seq 8k --fit batch --budget 80GB
    llmcx memory qwen3-32b --dtype q4_k_m --hardware 4090 --fit seq
    llmcx memory llama-3-8b --train --seq 4k --lora 16 --dtype nf4 --budget 24GB
    llmcx memory llama-3-8b --train --zero 3 --hardware 8xh100 --recompute full
    llmcx memory gpt3 --train --tp 8 --pp 8 --gpus 1024 --zero 1 --engine megatron
    """
    sizes: dict[str, Any] = {
        "block": block,
        "ubatch": ubatch,
        "max_num_batched_tokens": max_num_batched_tokens,
        "max_num_seqs": max_num_seqs,
    }
    if engine_ == "llama.cpp":
        sizes |= {"swa_full": swa_full or None, "outputs": outputs, "attn": training.attn}
    within, program = _limits(hardware, budget, utilization, train, engine_, sizes)
    if fit is not None and within.bytes is None:
        raise InputError("--fit needs something to fit into: give --hardware or --budget", field="budget")
    if batch is not None and training.micro_batch is not None:
        raise InputError("--batch and --micro-batch are one thing in training; give --micro-batch", field="batch", value=batch)
    if train and dtype is not None and training.lora is None:
        problem = "--dtype changes nothing in full training, whose formats are those of --precision; with --lora it is the base's"
        raise InputError(problem, field="dtype", value=dtype)
    files = None
    if weights_ is not None:
        from llmcx.huggingface.shards import of_files

        if dtype is not None:
            raise InputError("--weights says what the weights weigh, and so does --dtype; give one", field="dtype", value=dtype)
        files, models = of_files(weights_), beside(models, weights_)
    spec, shape, notes = models.load()
    seen = showing.of(spec)
    n, size = text_length(spec, seq, seen.tokens), training.micro_batch or (1 if batch is None else batch)
    weights = dtypes.default(spec) if dtype is None else dtype
    layout = parallel.layout(None if fit == "gpus" and parallel.gpus is None else within.number, train)
    if not train:
        within, program = settled(within, program, spec, layout.tp * layout.pp, budget, utilization, sizes, layout.tp)
        program.check_weights(spec.stored.formats if weights == dtypes.RELEASED and spec.stored is not None else (weights,))
        program, blind = looking(program, spec, n)
        notes = [*notes, *blind]
    base = weights if dtype is not None or weights == dtypes.RELEASED else None
    named, recipe = engine_ or "ideal", None
    if train:
        from llmcx.engines.recipe import usual

        named = engine_ or usual(layout, training.lora is not None)
        recipe = training.recipe(named, base if training.lora is not None else None)
    cache = kv_dtype or (spec.stored and spec.stored.cache) or "bf16"
    asked: dict[str, Any] = {"batch": size, "seq": n, "dtype": weights, "layout": layout}
    fixed: dict[str, Any] = {"train": train, "kv_dtype": cache, "activations": training.activations}
    fixed |= {"recipe": recipe, "engine": program} | ({} if files is None else {"files": files})
    fixed |= {"shown": seen} if showing.given else {}
    if post.rl is not None and recipe is not None:
        from llmcx.answers.rl import post_trained

        if fit is not None:
            raise InputError("--fit is not known of --rl; leave one of them out", field="fit", value=fit)
        result = post_trained(spec, size, n, layout, recipe, post.settings(training.offload), within.bytes)
    elif fit is None or within.bytes is None:
        result = answers.memory(spec, **asked, **fixed, budget=within.bytes)
    elif fit == "offload":
        from llmcx.answers.offload import offloaded

        if files is not None or train:
            raise InputError("--fit offload is for inference with --dtype", field="fit", value=fit)
        result, split, host = offloaded(spec, within.bytes, ram, asked, fixed)
        notes = [*notes, _host(split.flags, host)]
    else:
        from llmcx.answers.fit import fitted

        result, asked = fitted(fit, spec, within.bytes, asked, fixed)
    inputs = _inputs(spec, asked, fixed, within, named) | showing.inputs(seen, asked["seq"]) | shape | post.inputs()
    if train:
        inputs["offload"] = training.offload
    if textbook:
        inputs["textbook"] = True
    if ram is not None:
        inputs["ram"] = ram
    if weights_ is not None:
        inputs |= {"dtype": "files", "weights": weights_}
    about = (
        showing.notes(spec, seen, program.name)
        + stored_notes(spec, dtype)
        + _notes(spec, training.activations, recipe, program.name)
        + ([] if train else context_notes(spec, asked["seq"]) + program.notes())
        + uneven(spec, asked["layout"])
    )
    about += [*result.stored.notes] if result.stored is not None else []
    rl = None if post.rl is None else post.settings(training.offload)
    lines = explaining("memory", spec, asked, fixed, rl, result)
    head = heading("memory", spec, inputs, result, asked, fixed, within)
    return Item(describe(spec), inputs, result, about + notes, lines, head=head)


def _limits(
    hardware: str | None,
    budget: int | None,
    utilization: float | None,
    train: bool,
    named: str | None,
    sizes: dict[str, Any],
) -> tuple[Limit, Engine]:
    """The memory to fit into, and the inference engine that does."""
    if not train and named in KERNELS.keys() - ENGINES.keys():
        raise InputError(f"--engine {named} trains; add --train, or name one that serves", field="engine", value=named)
    if train:
        return limit(hardware, budget, utilization, 1.0), engine("ideal")
    return serving(named or "ideal", hardware, budget, utilization, sizes)


def _inputs(spec: ModelSpec, asked: dict[str, Any], fixed: dict[str, Any], within: Limit, program: str) -> dict[str, Any]:
    """As JSON has them."""
    layout: Layout = asked["layout"]
    recipe: Recipe | None = fixed["recipe"]
    train = fixed["train"]
    inputs: dict[str, Any] = {"micro_batch" if train else "batch": asked["batch"], "seq": asked["seq"], "train": train}
    if recipe is not None:
        inputs |= {"activations": fixed["activations"], "attn": recipe.attention}
        left_out = ("attention", "margin", "base", "gradient_bytes", "kernels", "engine", "fused_loss", "buckets", "rl")
        inputs |= {key: value for key, value in vars(recipe).items() if key not in left_out}
        inputs |= {"cross_entropy_loss_fusion": recipe.fused_loss} if program == "megatron" else {}
        inputs |= recipe.buckets.named() if program == "deepspeed" else {}
        inputs |= {"fragmentation": recipe.margin, "dtype": _named(spec, recipe.base), "engine": program, "gpus": layout.gpus}
        inputs |= {key: value for key, value in layout._asdict().items() if key not in _ELSEWHERE}
    else:
        inputs |= {
            "dtype": _named(spec, asked["dtype"]),
            "kv_dtype": fixed["kv_dtype"],
            "engine": program,
            **fixed["engine"].settings(),
        }
        inputs |= {"gpus": layout.gpus, **{name: getattr(layout, name) for name in ("tp", "pp", "ep", "attention_dp")}}
    inputs |= {"hardware": within.hardware and within.hardware.name, "budget": within.bytes}
    return inputs | ({} if within.bytes is None else {"utilization": within.utilization})


def _host(flags: str, host: Any) -> str:
    """What lies in the host's memory, in GB."""
    kept = sum(host.kept.values())
    cache = f" and {kept / 1e9:.2f} GB of cache" if kept else ""
    return f"in the host's memory: {host.weights / 1e9:.2f} GB of weights{cache}; the flags: {flags}"


def _named(spec: ModelSpec, dtype: str | None) -> str | None:
    """A format by its name, that of the release too."""
    return spec.stored.name if dtype == dtypes.RELEASED and spec.stored is not None else dtype


_ELSEWHERE = ("micro_batch", "recompute", "attention_dp")


def _notes(spec: ModelSpec, activations: str, recipe: "Recipe | None", program: str) -> list[str]:
    if recipe is None:
        if program == "vllm":
            return ["workspace and overhead are estimates, from start-up logs; not counted: what the driver takes"]
        if program in ("sglang", "trtllm"):
            return ["workspace and overhead are the engine's own reserves and estimates, from start-up logs: docs/engines.md"]
        if program == "llama.cpp":
            return ["not counted: what the driver takes; logits lie in the host's memory, and on a GPU its inputs too"]
        return ["not counted: what the driver takes, fragmentation, an engine's own buffers; the workspace is an estimate"]
    loss = "" if recipe.margin else ", fragmentation (--set fragmentation=5%)"
    notes = [f"not counted: what the driver takes{loss}" + ("" if recipe.dropout else "; no dropout (--set dropout=true)")]
    if activations == "textbook":
        return [
            *notes,
            "activations at the textbook's leading order; without --set activations=textbook they are counted op by op",
        ]
    if recipe.attention == "eager" and recipe.recompute == "none":
        notes.append("eager attention keeps the probabilities of every layer; --attn sdpa keeps none")
    if recipe.kernels == "eager" and not answers.verified(spec):
        notes.append("activations of such layers differed from autograd's on real runs: docs/kept.md says by how much")
    return notes
