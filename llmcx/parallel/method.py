"""How a model is trained, and how GPUs share the work: what may be said of it, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from llmcx.costs.lora import LoRA
from llmcx.costs.saved_activations import KERNELS, RECOMPUTE
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.formats.optimizers import OPTIMIZERS
from llmcx.model.spec import ModelSpec
from llmcx.parallel.sharding import cut


@dataclass(frozen=True)
class Precision:
    """Bytes per weight, gradient and activation, and of the fp32 master copy that mixed precision adds."""

    name: str
    weight: int
    gradient: int
    activation: int
    master: int


PRECISIONS = {
    "fp32": Precision("fp32", 4, 4, 4, 0),
    "bf16": Precision("bf16", 2, 2, 2, 0),
    "mixed": Precision("mixed", 2, 2, 2, 4),  # Micikevicius et al. 2018, arXiv:1710.03740; ZeRO's 2 + 2 + 12 bytes
    "megatron": Precision("megatron", 2, 4, 2, 4),  # gradients summed up in fp32: Megatron-LM's 18 bytes per parameter
}


ATTENTION = ("sdpa", "flash", "eager")


class Ways(NamedTuple):
    """How GPUs share the work: ``tp`` tensor-, ``pp`` pipeline-, ``cp`` context-, ``ep`` expert- and ``dp`` data-parallel.

    ``sequence`` cuts what tensor parallelism leaves whole by tokens. ``zero`` 1, 2, 3 shares out optimizer states, then
    gradients, then weights (Rajbhandari et al. 2020, arXiv:1910.02054; FSDP is 3) among dp·cp GPUs, or ``shard`` of them (HSDP).
    ``virtual`` chunks of layers per stage make the pipeline interleaved; ``micro_batches`` per step, at least pp of them if not
    stated.
    """

    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1
    dp: int = 1
    sequence: bool = True
    zero: int = 0
    shard: int | None = None
    virtual: int = 1
    micro_batches: int | None = None

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.cp * self.dp


@dataclass(frozen=True)
class Method:
    """How one micro-batch is trained: number formats, optimizer, kernels, what is recomputed, the loss, the margin."""

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

    @property
    def every(self) -> int | None:
        """Of how many layers only the first input is kept: 1 where whole layers are recomputed; None: nothing of the kind."""
        return self.checkpoint_every or (1 if self.recompute == "full" else None)

    def at_once(self, rows: int) -> int:
        """Of ``rows`` tokens, those whose logits exist at a time."""
        return rows if self.loss_chunk is None else min(self.loss_chunk, rows)


def check(spec: ModelSpec, ways: Ways, method: Method) -> None:
    """Refuse what cannot be run, or what is not known."""
    for name in ("tp", "pp", "cp", "ep", "dp", "virtual"):
        check_size(name, getattr(ways, name))
    for what, name, known in (
        ("optimizer", method.optimizer, OPTIMIZERS),
        ("precision", method.precision, PRECISIONS),
        ("kernels", method.kernels, KERNELS),
        ("recompute", method.recompute, RECOMPUTE),
        ("attention implementation", method.attention, ATTENTION),
    ):
        if name not in known:
            raise unknown_name(what, name, list(known), field=what.replace(" ", "_"))
    if ways.zero not in (0, 1, 2, 3):
        raise InputError(f"zero is {ways.zero}, but must be 0, 1, 2 or 3", field="zero", value=ways.zero, allowed="0, 1, 2 or 3")
    chunks, spare = ways.pp * ways.virtual, 0 if ways.virtual == 1 else 2  # the embedding and the head may fill one each
    if chunks > spec.n_layers + spare:
        ends = ", its embedding and its head, to fill chunks" if spare else ""
        raise InputError(
            f"pp × virtual is {chunks}, but {spec.name} has {spec.n_layers} layers{ends}",
            field="pp",
            value=ways.pp,
            allowed=f"pp × virtual of at most {spec.n_layers + spare}",
        )
    if ways.pp > 1 and spec.encoder and spec.decoder:
        raise InputError("pp is for models with one stack; this one has an encoder and a decoder", field="pp", value=ways.pp)
    if ways.virtual > 1 and ways.pp == 1:
        raise InputError("virtual divides pipeline stages, so it needs pp above 1", field="virtual", value=ways.virtual)
    if ways.ep > 1 and (not spec.mixtures or (ways.dp * ways.cp) % ways.ep):
        why = "the model has no experts" if not spec.mixtures else f"it must divide dp × cp = {ways.dp * ways.cp}"
        raise InputError(f"ep is {ways.ep}, but {why}", field="ep", value=ways.ep)
    if ways.shard is not None and (ways.shard < 1 or (ways.dp * ways.cp) % ways.shard):
        raise InputError(f"shard is {ways.shard}, but must divide dp × cp = {ways.dp * ways.cp}", field="shard", value=ways.shard)
    if ways.cp > 1 and method.attention == "eager":
        raise InputError("cp needs a fused attention: eager code has all scores of a sequence in one place", field="cp")
    if method.lora is not None and ways.gpus != ways.dp:
        raise InputError("adapters are for models that each GPU holds, or ZeRO shares out: give no tp, pp, cp or ep", field="tp")
    if method.lora is None and method.base is not None:
        raise InputError("a base in another format is frozen, so it needs --lora", field="base", value=method.base)
    if method.checkpoint_every is not None:
        check_every(method.checkpoint_every, spec.n_layers)
    if not 0 <= method.margin < 1:
        raise InputError(f"margin is {method.margin}, but must be from 0 to below 1", field="margin", value=method.margin)


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


def uneven(spec: ModelSpec, ways: Ways) -> list[str]:
    """What does not divide, so that the fullest GPU, which is counted, has more than others."""
    experts = sorted({part.n_experts for _, part in spec.mixtures})
    counts = [("layers", spec.n_layers, "pp", ways.pp)]
    counts += [("heads", n, "tp", ways.tp) for n in spec.head_counts] + [("experts", n, "ep", ways.ep) for n in experts]
    return [
        f"uneven: {n} {what} on {name} {by}; the fullest GPU has {cut(n, by)}, and is what is counted"
        for what, n, name, by in counts
        if n % by
    ]
