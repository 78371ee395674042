"""Low-rank adapters, the same options in every command that trains: flops, train; memory's stand among its own of training."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

from llmcx.cli.options import option
from llmcx.costs.lora import LEAVES, LoRA
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec

RANK = "Fine-tuning: the rank of low-rank adapters on a frozen model."
TARGETS = "The matrices that have adapters."
ALL = ",".join(LEAVES)


def lora_of(rank: int | None, targets: str | Collection[str]) -> LoRA | None:
    """What the options say. Raises InputError."""
    return None if rank is None else LoRA(rank, tuple(targets.split(",") if isinstance(targets, str) else targets))


def frozen_in(spec: ModelSpec, dtype: str | None) -> str | None:
    """The format of frozen weights: the one asked for, else as they were released where that is no 16-bit format."""
    return dtype or (dtypes.RELEASED if dtypes.default(spec) == dtypes.RELEASED else None)


@dataclass(frozen=True)
class Adapters:
    """What learns on a frozen model."""

    lora: Annotated[int | None, option(RANK, reads="count")] = None
    lora_targets: Annotated[
        list[str], option(TARGETS, whole=True, metavar="NAMES", offers=" ".join(LEAVES), rare=True, needs="lora")
    ] = ALL  # type: ignore[assignment]

    def of(self) -> LoRA | None:
        return lora_of(self.lora, self.lora_targets)

    def inputs(self) -> dict[str, Any]:
        """Of an answer's inputs, where there are any."""
        of = self.of()
        return {} if of is None else {"lora": of.rank, "lora_targets": ",".join(of.targets)}
