"""Does a training job fit, how long does a step take, and which changes of its launch file make it fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from llmcx.answers import Result
from llmcx.answers.check import Change, Read
from llmcx.answers.memory import Memory, Part, memory
from llmcx.answers.remedies import MOST
from llmcx.answers.train import Outcome
from llmcx.engines.recipe import Recipe, check_recipe
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout, check_batch, divisors, micro_batches

NODES = 2**14
"""GPUs up to which more are tried."""


class Estimate(NamedTuple):
    """A step and its range, 10th to 90th percentile of measured ones; what it comes to; ``days`` of all steps that the file
    states.
    """

    step_s: float
    step_range_s: tuple[float, float]
    tokens_per_s_gpu: float
    mfu: float
    hfu: float
    days: float | None
    usd: float | None


class Words(NamedTuple):
    """What a launch file has words for: what it may be ``settable`` to, which layouts it ``says``, and how a change is
    ``spelt``, with the layout that it leads to.
    """

    settable: tuple[str, ...]
    says: Callable[[Layout], bool]
    spelt: Callable[[Mapping[str, Any], Layout], str]


@dataclass(frozen=True)
class Asked:
    """What a file asks for: ``layout`` with its micro-batches, ``batch`` sequences of ``seq`` tokens a step, trained by
    ``recipe``; what may be changed its ``words`` say, and ``there`` GPUs are there, where that is said.
    """

    layout: Layout
    seq: int
    batch: int
    recipe: Recipe
    words: Words
    there: int | None = None

    def memory(self, spec: ModelSpec, **changed: Any) -> Memory:
        """What a GPU holds, with fields of the layout or the recipe ``changed``. Raises InputError where that cannot be run."""
        layout = self.layout._replace(**{key: value for key, value in changed.items() if key in Layout._fields})
        recipe = replace(self.recipe, **{key: value for key, value in changed.items() if key in ("recompute", "offload")})
        check_batch(layout, self.batch)
        check_recipe(spec, layout, recipe)
        layout = layout._replace(micro_batches=micro_batches(layout, self.batch))
        return memory(spec, layout.micro_batch, self.seq, train=True, layout=layout, recipe=recipe)


@dataclass(frozen=True, repr=False)
class TrainingCheck(Result, brief="engine fits total_bytes estimate.step_s", table="parts"):
    """Bytes on the fullest GPU, in ``parts``, at its ``peak`` in a step; ``layout``; ``estimate``: of a step, None where times
    are not known; ``changes`` of the file that make it fit; ``flags``: how each of its settings was understood; ``met``: whether
    what is required holds.
    """

    engine: str
    fits: bool
    total_bytes: int
    budget_bytes: int
    headroom_bytes: int
    parts: list[Part]
    peak: str | None
    host_bytes: int | None
    gpus: int
    layout: Layout
    seq: int
    global_batch: int
    estimate: Estimate | None
    changes: list[Change]
    flags: list[Read]
    met: bool | None = None


def estimated(of: Outcome, band: tuple[float, float], steps: int | None) -> Estimate:
    """``of`` with its range; days and dollars where the file states how many ``steps`` there are."""
    days, usd = (of.days, of.usd) if steps else (None, None)
    low, high = (bound * of.step_s for bound in band)
    return Estimate(of.step_s, (low, high), of.tokens_per_s_gpu, of.mfu, of.hfu, days, usd)


def check(
    spec: ModelSpec,
    asked: Asked,
    budget: int,
    engine: str,
    estimate: Estimate | None,
    flags: list[Read],
) -> TrainingCheck:
    """What ``engine`` makes of ``asked`` in ``budget`` bytes on each GPU."""
    found = asked.memory(spec)
    fits = found.total_bytes <= budget
    return TrainingCheck(
        engine=engine,
        fits=fits,
        total_bytes=found.total_bytes,
        budget_bytes=budget,
        headroom_bytes=budget - found.total_bytes,
        parts=found.parts,
        peak=found.peak,
        host_bytes=found.host_bytes,
        gpus=asked.layout.gpus,
        layout=asked.layout,
        seq=asked.seq,
        global_batch=asked.batch,
        estimate=estimate,
        changes=[] if fits else _changes(spec, asked, budget),
        flags=flags,
    )


def _changes(spec: ModelSpec, asked: Asked, budget: int) -> list[Change]:
    """Up to three changes that make it fit, each computed; those that cost the least speed first."""
    found: list[Change] = []
    enough: list[dict[str, Any]] = []
    for changed in _tries(spec, asked):
        layout = asked.layout._replace(**{key: value for key, value in changed.items() if key in Layout._fields})
        sayable = changed.keys() <= {*asked.words.settable, "dp"} and asked.words.says(layout)
        if not sayable or any(one.keys() <= changed.keys() for one in enough):
            continue
        try:
            size = asked.memory(spec, **changed).total_bytes
        except InputError:  # what this model or program does not run
            continue
        if size <= budget:
            enough.append(changed)
            found.append(Change(asked.words.spelt(changed, layout), size))
        if len(found) == MOST:
            break
    return found


def _tries(spec: ModelSpec, asked: Asked) -> Iterator[dict[str, Any]]:
    """Smaller micro-batches; more shared out; recomputation; both; GPUs that divide the model further, the same number of them;
    states in the host's memory; more GPUs.
    """
    layout = asked.layout
    smaller = [size for size in reversed(divisors(layout.micro_batch)) if size < layout.micro_batch]
    single: list[dict[str, Any]] = [{"micro_batch": size} for size in smaller]
    levels = [{"zero": zero} for zero in range(layout.zero + 1, 4)] if layout.replicas > 1 else []
    again: list[dict[str, Any]] = [{"recompute": "full"}] if layout.recompute != "full" else []
    yield from single
    yield from levels
    yield from again
    least = single[-1:] or [{}]
    for level in levels or [{}]:
        for how in again or [{}]:
            yield {**least[0], **level, **how}
    for name in ("tp", "pp", "cp"):
        for times in (2, 4, 8):
            if layout.dp % times == 0:
                divided = {name: getattr(layout, name) * times, "dp": layout.dp // times}
                yield divided
                for how in again:
                    yield {**divided, **how}
    for what in ("optimizer", "params"):
        if asked.recipe.offload is None:
            yield {"offload": what}
            for how in again:
                yield {"offload": what, **how}
    gpus = 2 * layout.gpus
    while gpus <= min(asked.there or NODES, NODES):
        yield {"dp": layout.dp * gpus // layout.gpus}
        yield {"dp": layout.dp * gpus // layout.gpus, **(levels[-1] if levels else {}), **(again[0] if again else {})}
        gpus *= 2
