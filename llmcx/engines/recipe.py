"""How one micro-batch is trained: number formats, optimizer, kernels, what is recomputed; and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.costs.lora import LoRA
from llmcx.costs.saved_activations import KERNELS, RECOMPUTE
from llmcx.engines.deepspeed import BUCKETS, OFFLOAD, Buckets
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.formats.precision import PRECISIONS, Precision
from llmcx.model.lower import Run
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout, check

ATTENTION = ("sdpa", "flash", "eager")
TRAINERS = ("transformers", "fsdp", "deepspeed", "megatron")
"""Programs that train. Without ZeRO transformers' loop; fsdp is torch's FSDP2, at level 3, or 2 where layers stay gathered."""


@dataclass(frozen=True)
class Recipe:
    """``precision`` of :data:`PRECISIONS`, ``optimizer`` of :data:`OPTIMIZERS`, ``attention`` and ``kernels`` as code runs them,
    ``recompute`` of :data:`RECOMPUTE` or, in its place, only every ``checkpoint_every``-th layer's input kept; the loss over
    ``loss_chunk`` tokens at a time; ``margin`` a share lost to fragmentation; ``lora`` adapters on a base in the format ``base``;
    ``engine`` one of :data:`TRAINERS`; ``fused_loss``: Megatron-LM's loss in one kernel (--cross-entropy-loss-fusion);
    ``offload``, one of OFFLOAD, and ``buckets`` are DeepSpeed's. ``rl``: the loss needs log-probabilities of the answers alone,
    in 16 bits, and not the cross entropy in fp32.
    """

    precision: str = "mixed"
    optimizer: str = "adam"
    gradient_bytes: int | None = None
    attention: str = "sdpa"
    kernels: str = "eager"
    dropout: bool = False
    recompute: str = "none"
    checkpoint_every: int | None = None
    loss_chunk: int | None = None
    margin: float = 0.0
    lora: LoRA | None = None
    base: str | None = None
    engine: str = "transformers"
    fused_loss: bool = False
    offload: str | None = None
    buckets: Buckets = BUCKETS
    rl: bool = False

    def __post_init__(self) -> None:
        for what, name, known in (
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("precision", self.precision, PRECISIONS),
            ("kernels", self.kernels, KERNELS),
            ("recompute", self.recompute, RECOMPUTE),
            ("attention implementation", self.attention, ATTENTION),
            ("engine", self.engine, TRAINERS),
        ):
            if name not in known:
                raise unknown_name(what, name, list(known), field=what.replace(" ", "_"))

    @property
    def bytes(self) -> Precision:
        """Bytes per number."""
        return PRECISIONS[self.precision]

    @property
    def gradient(self) -> int:
        """Bytes of a gradient."""
        return self.gradient_bytes or self.bytes.gradient

    @property
    def logit(self) -> tuple[int, int]:
        """Bytes that a logit keeps for backward, and of its gradients: log-softmax and two gradients in fp32; where only
        log-probabilities are asked for, the logit and its gradient.
        """
        return (self.bytes.activation, self.bytes.activation) if self.rl else (4, 8)

    @property
    def every(self) -> int | None:
        """Of how many layers only the first input is kept: 1 where whole layers are recomputed; None: nothing of the kind."""
        return self.checkpoint_every or (1 if self.recompute == "full" else None)

    def at_once(self, rows: int) -> int:
        """Of ``rows`` tokens, those whose logits exist at a time."""
        return rows if self.loss_chunk is None else min(self.loss_chunk, rows)

    def phased(self, layout: Layout) -> bool:
        """Whether what a GPU holds changes in a step: its gradients are not there from the start."""
        if self.engine in ("megatron", "deepspeed"):
            return self.lora is None and (self.engine == "megatron" or layout.gpus == layout.dp)
        if self.kernels == "fused" or (layout.micro_batches or 1) > 1:
            return False
        return self.engine == "fsdp" if layout.gpus > 1 else self.engine == "transformers"

    def run(self, batch: int, seq: int) -> Run:
        """A pass of a micro-batch as this recipe's kernels run it."""
        return Run(batch, seq, fused=self.attention != "eager", masks=self.attention == "sdpa", dropout=self.dropout)


def usual(layout: Layout, lora: bool) -> str:
    """The program of TRAINERS where none is named: FSDP2 at ZeRO-3, DeepSpeed at lower levels, else transformers."""
    alone = layout.gpus == layout.dp and not lora
    return {1: "deepspeed", 2: "deepspeed", 3: "fsdp"}.get(layout.zero, "transformers") if alone else "transformers"


def check_recipe(spec: ModelSpec, layout: Layout, recipe: Recipe) -> None:
    """Refuse what cannot be trained so, or of which the memory is not known. Raises InputError."""
    check(spec, layout)
    if layout.cp > 1 and recipe.attention == "eager":
        raise InputError("cp needs a fused attention: eager code has all scores of a sequence in one place", field="cp")
    if layout.attention_dp > 1:
        raise InputError("attention_dp is for inference; training takes dp", field="attention_dp", value=layout.attention_dp)
    if recipe.lora is not None and layout.gpus != layout.dp:
        raise InputError("adapters are for models that each GPU holds, or ZeRO shares out: give no tp, pp, cp or ep", field="tp")
    if recipe.engine == "fsdp" and (layout.gpus != layout.dp or layout.zero not in (2, 3) or recipe.lora is not None):
        problem = "fsdp shares out full training by --zero 3 (or 2, where layers stay gathered) among data-parallel GPUs alone"
        raise InputError(problem, field="engine", value="fsdp")
    _check_offload(layout, recipe)
    if recipe.engine == "deepspeed" and layout.pp > 1 and layout.zero > 1:
        raise InputError("DeepSpeed's pipelines take ZeRO up to 1", field="zero", value=layout.zero)
    if recipe.lora is None and recipe.base is not None:
        raise InputError("a base in another format is frozen, so it needs --lora", field="base", value=recipe.base)
    optimizer = OPTIMIZERS[recipe.optimizer]
    if recipe.lora is not None and (optimizer.factored or optimizer.matrices is not None):
        raise InputError(f"the states of {optimizer.name} for adapters are not known; use adamw", field="optimizer")
    if recipe.checkpoint_every is not None:
        check_every(recipe.checkpoint_every, spec.n_layers)
    if not 0 <= recipe.margin < 1:
        raise InputError(f"margin is {recipe.margin}, but must be from 0 to below 1", field="margin", value=recipe.margin)


def _check_offload(layout: Layout, recipe: Recipe) -> None:
    if recipe.offload is None:
        return
    if recipe.offload not in OFFLOAD:
        raise unknown_name("what is offloaded", recipe.offload, list(OFFLOAD), field="offload")
    least = 2 if recipe.offload == "optimizer" else 3
    if recipe.engine != "deepspeed" or recipe.lora is not None or layout.gpus != layout.dp or layout.zero < least:
        problem = f"offload {recipe.offload} is known of DeepSpeed's full training, data-parallel at --zero {least} or more"
        raise InputError(problem, field="offload", value=recipe.offload)


def check_every(every: int, n_layers: int) -> None:
    """Refuse a checkpoint every ``every`` of ``n_layers`` layers that there cannot be."""
    check_size("checkpoint_every", every)
    if every > n_layers:
        raise InputError(
            f"checkpoint_every is {every}, but the model has {n_layers} layers",
            field="checkpoint_every",
            value=every,
            allowed=f"1 to {n_layers}",
        )
