"""How GPUs share the work: one layout for training and inference, and what it may be."""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

from llmcx.errors import InputError, check_size
from llmcx.model.spec import ModelSpec


class Layout(NamedTuple):
    """Degrees of parallelism. Of the GPUs, numbered innermost first: tensor, context, data, pipeline.

    ``tp`` tensor-, ``pp`` pipeline-, ``cp`` context-, ``dp`` data-parallel. ``ep`` groups of GPUs share out the experts: of the
    ``dp`` · ``cp`` where these suffice (an expert's matrices are then cut by ``tp``), else of all tp · cp · dp.
    ``attention_dp`` of the ``tp`` GPUs' groups hold attention for a share of the batch each, in place of a share of the heads.
    ``micro_batch`` sequences at a time, ``virtual`` chunks of layers per pipeline stage (interleaved 1F1B), ``micro_batches`` per
    step (None: at least as many as fill the pipeline). ``zero`` 1, 2, 3 shares out optimizer states, then gradients, then weights
    (Rajbhandari et al. 2020, arXiv:1910.02054; FSDP is 3) among dp · cp GPUs, or ``shard`` of them (HSDP). ``sequence`` cuts what
    tensor parallelism leaves whole by tokens. ``recompute`` is one of :data:`~llmcx.costs.saved_activations.RECOMPUTE`.
    """

    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1
    dp: int = 1
    micro_batch: int = 1
    virtual: int = 1
    recompute: str = "none"
    zero: int = 0
    sequence: bool = True
    shard: int | None = None
    micro_batches: int | None = None
    attention_dp: int = 1

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.cp * self.dp

    @property
    def replicas(self) -> int:
        """GPUs that have the same weights of a stage, before ZeRO: dp · cp."""
        return self.dp * self.cp

    @property
    def sharers(self) -> int:
        """GPUs among which ZeRO shares out what is not an expert's."""
        return self.shard or self.replicas

    @property
    def expert_tp(self) -> int:
        """GPUs that cut one expert's matrices: tp where ep takes data-parallel GPUs, else what ep leaves of all."""
        return self.tp if self.replicas % self.ep == 0 else self.tp * self.replicas // self.ep

    @property
    def expert_replicas(self) -> int:
        """GPUs that have the same experts."""
        return self._with_the_same_experts(self.replicas)

    @property
    def expert_sharers(self) -> int:
        """GPUs among which ZeRO shares out what is an expert's."""
        return self._with_the_same_experts(self.sharers)

    def _with_the_same_experts(self, among: int) -> int:
        return max(self.tp * among // (self.ep * self.expert_tp), 1)


def cut(n: int, among: int) -> int:
    """The largest of ``among`` shares of ``n``.

    >>> cut(10, 4)
    3
    """
    return -(-n // among)


def divisors(n: int) -> list[int]:
    """What divides ``n``, ascending.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]


def micro_batches(layout: Layout, global_batch: int) -> int:
    """Micro-batches that each pipeline runs per step."""
    return global_batch // (layout.dp * layout.micro_batch)


def check(spec: ModelSpec, layout: Layout) -> None:
    """Refuse a layout that no program runs, or of which it is not known what each GPU has. Raises InputError."""
    for name in ("tp", "pp", "cp", "ep", "dp", "virtual", "micro_batch", "micro_batches", "attention_dp"):
        check_size(name, getattr(layout, name))
    if layout.zero not in (0, 1, 2, 3):
        raise InputError(f"zero is {layout.zero}, but must be 0, 1, 2 or 3", field="zero", value=layout.zero, allowed="0 to 3")
    if layout.shard is not None and (layout.shard < 1 or layout.replicas % layout.shard):
        why = f"shard is {layout.shard}, but must divide dp × cp = {layout.replicas}"
        raise InputError(why, field="shard", value=layout.shard)
    _check_pipeline(spec, layout)
    for heads in spec.head_counts:
        if heads % layout.tp:
            allowed = f"a divisor of {heads}"
            fewer, more = (next((n for n in each if not heads % n), None) for each in _around(layout.tp, heads))
            does = " and ".join(f"{n}" for n in (fewer, more) if n)
            stages = f"; or pp of {layout.tp}, in stages of layers" if layout.pp == 1 and layout.tp <= spec.n_layers else ""
            problem = f"tp is {layout.tp}, which does not divide the {heads} heads, as {does} would{stages}"
            raise InputError(problem, field="tp", value=layout.tp, allowed=allowed)
    if layout.tp % layout.attention_dp:
        problem = f"attention_dp is {layout.attention_dp}, but must divide tp = {layout.tp}"
        raise InputError(problem, field="attention_dp", value=layout.attention_dp, allowed=f"a divisor of {layout.tp}")
    _check_experts(spec, layout)


def _around(tp: int, heads: int) -> tuple[range, range]:
    """What to try in place of a number of GPUs: fewer, the most first, and more, the fewest first."""
    return range(min(tp, heads + 1) - 1, 0, -1), range(tp + 1, heads + 1)


def _check_pipeline(spec: ModelSpec, layout: Layout) -> None:
    chunks, spare = layout.pp * layout.virtual, 0 if layout.virtual == 1 else 2  # the embedding and the head may fill one each
    if chunks > spec.n_layers + spare:
        ends = ", its embedding and its head, to fill chunks" if spare else ""
        what = "pp × virtual" if layout.virtual > 1 else "pp"
        raise InputError(
            f"{what} is {chunks}, but {spec.name} has {spec.n_layers} layers{ends}",
            field="pp",
            value=layout.pp,
            allowed=f"{what} of at most {spec.n_layers + spare}",
        )
    if layout.pp > 1 and spec.reads_source:
        raise InputError("pp is for models with one stack; this one has an encoder and a decoder", field="pp", value=layout.pp)
    if layout.virtual > 1 and layout.pp == 1:
        raise InputError("virtual divides pipeline stages, so it needs pp above 1", field="virtual", value=layout.virtual)


def _check_experts(spec: ModelSpec, layout: Layout) -> None:
    if layout.ep == 1:
        return
    all_gpus, replicas = layout.tp * layout.replicas, layout.replicas
    if not spec.mixtures:
        raise InputError(f"ep is {layout.ep}, but the model has no experts", field="ep", value=layout.ep)
    if replicas % layout.ep and (layout.ep % replicas or all_gpus % layout.ep):
        problem = f"ep is {layout.ep}, but must divide dp × cp = {replicas}, or be a multiple of it that divides tp × cp × dp"
        raise InputError(f"{problem} = {all_gpus}", field="ep", value=layout.ep)
    for experts in sorted({part.n_experts for _, part in spec.mixtures}):
        if experts % layout.ep:
            allowed = f"a divisor of {experts}"
            problem = f"ep is {layout.ep}, but must divide the {experts} experts"
            raise InputError(problem, field="ep", value=layout.ep, allowed=allowed)


def check_batch(layout: Layout, global_batch: int) -> None:
    """Refuse a global batch that the layout does not divide."""
    at_once = layout.dp * layout.micro_batch
    if global_batch % at_once:
        raise InputError(
            f"a global batch of {global_batch} sequences is not a multiple of dp x micro-batch = {at_once}",
            field="global_batch",
            value=global_batch,
            allowed=f"a multiple of {at_once}",
        )
    if layout.virtual > 1 and micro_batches(layout, global_batch) % layout.pp:
        raise InputError(
            f"the interleaved schedule needs micro-batches in multiples of pp = {layout.pp} (Narayanan et al. 2021, sec. 2.2.2)",
            field="virtual",
        )


def uneven(spec: ModelSpec, layout: Layout) -> list[str]:
    """What does not divide, so that the fullest GPU, which is counted, has more than others."""
    if spec.n_layers % layout.pp == 0:
        return []
    most = cut(spec.n_layers, layout.pp)
    return [f"{spec.n_layers} layers do not divide into {layout.pp} stages: the fullest GPU, with {most}, is counted"]
