"""How GPUs share the work: the same options, with the same defaults, in every command."""

from dataclasses import dataclass
from math import prod
from typing import Annotated, Any, ClassVar

from llmcx.cli.options import option
from llmcx.errors import InputError
from llmcx.parallel.layout import Layout


@dataclass(frozen=True)
class Degrees:
    """Into how many each kind of parallelism divides a model."""

    gpus: Annotated[
        int | None, option("All GPUs. Default: those of --hardware, else tp × pp × cp.", reads="count", group="GPUs")
    ] = None
    tp: Annotated[int | None, option("Tensor-parallel GPUs.", reads="count", group="GPUs")] = None
    pp: Annotated[int | None, option("Pipeline stages.", reads="count", group="GPUs")] = None
    cp: Annotated[int | None, option("Context-parallel GPUs.", reads="count", group="Less common", needs="train")] = None
    ep: Annotated[int | None, option("Expert-parallel GPUs.", reads="count", group="GPUs")] = None
    zero: Annotated[
        int | None,
        option("ZeRO stage 0-3 over the data-parallel GPUs; FSDP is 3.", reads="integer", group="GPUs", needs="train"),
    ] = None
    virtual: Annotated[
        int | None, option("Chunks of layers per stage: an interleaved pipeline.", reads="count", rare=True, needs="train,pp")
    ] = None

    DEGREES: ClassVar[tuple[str, ...]] = ("tp", "pp", "cp", "ep", "zero", "virtual")

    def degrees(self) -> dict[str, Any]:
        """Those that were given, --gpus aside."""
        return {name: value for name in self.DEGREES if (value := getattr(self, name)) is not None}

    def all_gpus(self, named: int | None) -> int | None:
        """All GPUs, where that is said; ``named``: those of --hardware."""
        if self.gpus is not None and named is not None and self.gpus != named:
            raise InputError(f"--gpus is {self.gpus:,}, but --hardware names {named:,}; give one", field="gpus", value=self.gpus)
        return named if self.gpus is None else self.gpus


@dataclass(frozen=True)
class Parallel(Degrees):
    """None of them given: in inference tensor parallelism over all GPUs, in training data parallelism."""

    attention_dp: Annotated[
        int | None,
        option("Groups of --tp that attend for a share of the batch each.", reads="count", rare=True, needs="not train"),
    ] = None
    shard: Annotated[
        int | None, option("HSDP: ZeRO over groups of this many GPUs.", reads="count", rare=True, needs="train,zero")
    ] = None
    micro_batches: Annotated[
        int | None,
        option("Micro-batches of a step. Default: enough to fill the pipeline.", reads="count", rare=True, needs="train,pp"),
    ] = None
    sequence_parallel: Annotated[
        bool,
        option("With --tp: cut the rest by tokens.", "--sequence-parallel/--no-sequence-parallel", rare=True, needs="train,tp"),
    ] = True

    DEGREES = (*Degrees.DEGREES, "attention_dp", "shard", "micro_batches")

    def layout(self, named: int | None, train: bool) -> Layout:
        """The layout in memory: ``named`` GPUs are those of --hardware."""
        given, gpus = self.degrees(), self.all_gpus(named)
        if not train and gpus is not None and not given.keys() & {"tp", "pp"}:
            given["tp"] = gpus
        return laid_out(given, gpus)._replace(sequence=self.sequence_parallel)


def laid_out(degrees: dict[str, Any], gpus: int | None) -> Layout:
    """Data parallelism takes what tp, pp and cp leave of ``gpus`` (None: nothing). Raises InputError where they do not divide."""
    inner = prod(max(degrees.get(name, 1), 1) for name in ("tp", "pp", "cp"))
    gpus = inner if gpus is None else gpus
    if gpus < 1 or gpus % inner:
        raise InputError(f"--gpus is {gpus:,}, but must be a multiple of tp × pp × cp = {inner:,}", field="gpus", value=gpus)
    return Layout(**degrees, dp=gpus // inner)
