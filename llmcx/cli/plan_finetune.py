"""llmcx plan finetune: what can be fine-tuned on the GPUs that one has, and how."""

from typing import Annotated, Any

from llmcx import units
from llmcx.answers import plan_finetune as answers
from llmcx.cli.accelerator import accelerators, limit, with_memory
from llmcx.cli.models import Models, describe
from llmcx.cli.options import completing, explaining, heading, option
from llmcx.costs.lora import LoRA
from llmcx.engines import efficiency as efficiencies
from llmcx.engines.recipe import ATTENTION
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.formats.precision import PRECISIONS
from llmcx.model.spec import sequence_length
from llmcx.report.render import Item

MOST_GPUS = 4096
"""Of a search."""


def finetune(
    models: Models,
    hardware: Annotated[
        str, option("rtx-4090, h100, FILE.yaml, auto: `llmcx catalog hardware`.", offers=completing("hardware"))
    ] = "rtx-4090",
    gpus: Annotated[str | None, option("How many there are, or the fewest and the most: 1..8.", metavar="N..M")] = None,
    method: Annotated[
        list[str] | None,
        option(
            "lora, qlora, full, dpo, grpo, or dpo and grpo of adapters: dpo+lora. Default: all.",
            offers="answers.plan_finetune:METHODS",
            whole=True,
        ),
    ] = None,
    seq: Annotated[int | None, option("Tokens of a sequence. Default: the context, at most 4k.", reads="length")] = None,
    tokens: Annotated[int | None, option("Tokens of the run.", reads="count")] = None,
    samples: Annotated[int | None, option("Or its sequences, of --seq tokens each.", reads="count")] = None,
    lora: Annotated[int, option("Rank of adapters, which all matrices have.", reads="count")] = 16,
    precision: Annotated[str, option("fp32, bf16 or mixed.", offers="formats.precision:PRECISIONS")] = "mixed",
    optimizer: Annotated[
        str, option("adamw, adam8bit, paged_adam8bit, lion, sgd, ...", offers="formats.optimizers:OPTIMIZERS")
    ] = "adamw",
    attn: Annotated[
        str, option("sdpa, flash or eager (scores written out).", offers="engines.recipe:ATTENTION", group="Less common")
    ] = "sdpa",
    price: Annotated[float | None, option("USD per accelerator-hour. Default: its own, dated.", reads="number")] = None,
    budget: Annotated[
        int | None,
        option("Bytes of memory on each GPU, in place of the accelerator's: 24GB.", reads="size", group="Less common"),
    ] = None,
    utilization: Annotated[
        float | None, option("Share of the memory to use. Default: all.", reads="share", group="Less common")
    ] = None,
) -> Item:
    """What can be fine-tuned on the GPUs that one has: which methods fit, the largest micro-batch and sequence, how to run them.

    \b
    llmcx plan finetune llama-3.1-8b --hardware rtx-4090 --gpus 1..2 --seq 4k --samples 10k
    llmcx plan finetune qwen2.5-7b --hardware h100 --gpus 8 --method full,dpo,grpo --tokens 100M
    llmcx plan finetune qwen3-32b --hardware h100 --gpus 1..8 --method qlora,lora --lora 64 --seq 8k
    """
    chip, number = accelerators(hardware)
    if number is not None and gpus is not None:
        problem = f"--gpus is {gpus}, and --hardware names {number:,}; give one"
        raise InputError(problem, field="gpus", value=gpus)
    asked = gpus if gpus is not None else "1..8" if number is None else str(number)
    many = units.between(asked, "--gpus")
    if many[1] > MOST_GPUS:
        raise InputError(f"--gpus is {asked}, but a search goes up to {MOST_GPUS:,}", field="gpus", value=asked)
    methods = list(answers.METHODS) if method is None else list(dict.fromkeys(method))
    for name in methods:
        if name not in answers.METHODS:
            raise unknown_name("method of fine-tuning", name, list(answers.METHODS), field="method")
    for what, chosen, known in (
        ("precision", precision, PRECISIONS),
        ("optimizer", optimizer, OPTIMIZERS),
        ("attention implementation", attn, ATTENTION),
    ):
        if chosen not in known:
            raise unknown_name(what, chosen, list(known), field=what.partition(" ")[0])
    if tokens is not None and samples is not None:
        raise InputError("--tokens and --samples both say how long the run is; give one", field="samples", value=samples)
    for name, value in (("tokens", tokens), ("samples", samples), ("lora", lora)):
        check_size(name, value)
    adapted = any(answers.METHODS[name].adapters for name in methods)
    if lora != 16 and not adapted:
        raise InputError("--lora changes nothing without adapters; add lora, qlora or dpo+lora to --method", field="lora")
    spec, shape, notes = models.load()
    length = min(spec.context or 4096, 4096) if seq is None else sequence_length(spec, seq)
    usable = limit(hardware, budget, utilization, usual=1.0).bytes
    assert usable is not None  # there is always an accelerator here
    cost, dated = efficiencies.price(chip, price)
    question = answers.Question(spec, length, usable, lora, precision, optimizer, attn)
    run = tokens if samples is None else samples * length
    result = answers.plan(question, methods, many, with_memory(chip, usable), tokens=run, usd_per_hour=cost)
    inputs: dict[str, Any] = {"hardware": chip.name, "gpus": asked, "method": methods, "seq": length, "tokens": run}
    inputs |= {"samples": samples, "lora": lora if adapted else None, "precision": precision, "optimizer": optimizer}
    inputs |= {"attn": attn, "price": cost, "budget": usable, **shape}
    about = [f"{precision} precision, {optimizer}, {attn} attention; one micro-batch a step on each GPU"]
    if adapted:
        made = LoRA(lora)
        about.append(f"adapters: rank {lora} on {','.join(made.targets)}, fp32; qlora: a base in nf4")
    about.append("memory as `llmcx memory` counts it for each row's options, which --json has and --detail shows")
    about.append("the longest sequence: a micro-batch of one, all layers recomputed")
    if any(answers.METHODS[name].rl for name in methods):
        about.append("dpo: pairs, compared with a frozen copy (of adapters: with their base); grpo: an engine on the same GPUs")
    if any(one.tokens_per_s_gpu is not None for one in result.fits):
        how = (
            "transformers and PEFT, on A100s" if efficiencies.known_on("transformers", chip) else "an assumed range, not measured"
        )
        about.append(f"time: estimates by measured steps, of adapters and on one GPU those of {how}; docs/finetuning.md")
    if any(one.tokens_per_s_gpu is None for one in result.fits):
        about.append(
            "time is known of adapters, of full fine-tuning on one GPU and of FSDP's in mixed precision on A100s and H100s; of"
            " experts, offloaded states, dpo and grpo no measured steps calibrate one"
        )
    head = heading("plan_finetune", spec, inputs, result)
    lines = explaining("plan_finetune", question, result, many)
    return Item(describe(spec), inputs, result, [*about, *dated, *notes], lines, head=head)
