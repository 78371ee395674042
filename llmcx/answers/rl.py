"""What RL post-training holds on each GPU, phase by phase (:mod:`llmcx.engines.rl`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llmcx.answers.memory import Memory, Part, chapter_activations, kv_bytes_per_token
from llmcx.costs.params import count
from llmcx.engines.recipe import Recipe, check_recipe
from llmcx.engines.rl import METHODS, ROLLOUTS, Model, phases
from llmcx.engines.training_memory import StageGPU, TrainingMemory
from llmcx.errors import InputError, unknown_name
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout, cut


@dataclass(frozen=True)
class RL:
    """``method`` of METHODS. The rollout engine takes the share ``utilization`` of each of its GPUs and divides the model by
    ``tp``; ``rollout`` is one of ROLLOUTS; ``asleep``: it frees its memory while the policy is trained. ``reward``: a model of
    the policy's size judges (None: as the method says). ``reference``: one that the policy is compared with. ``offload``:
    "optimizer" or "params", what is moved to the host's memory between a model's turns.
    """

    method: str
    utilization: float = 0.3
    tp: int = 1
    rollout: str = "colocated"
    asleep: bool = True
    reward: bool | None = None
    reference: bool = True
    offload: str | None = None


def post_trained(spec: ModelSpec, batch: int, seq: int, layout: Layout, recipe: Recipe, rl: RL, budget: int | None) -> Memory:
    """Bytes that the fullest training GPU holds in its fullest phase, for micro-batches of ``batch`` examples of ``seq`` tokens.

    Raises InputError for what is not known: layouts other than data parallelism, a rollout whose GPU is not named.
    """
    if rl.method not in METHODS:
        raise unknown_name("method of post-training", rl.method, list(METHODS), field="rl")
    recipe = replace(recipe, rl=True)
    check_recipe(spec, layout, recipe)
    if layout.gpus != layout.dp:
        raise InputError(
            "RL is known of data-parallel training with --zero: give no tp, pp, cp or ep", field="rl", value=rl.method
        )
    found = held(spec, batch, seq, layout, recipe, rl, budget)
    totals = {phase: sum(each.values()) for phase, each in found.items()}
    peak = max(totals, key=totals.__getitem__)
    parts = [Part(name, size, _said(name, size, peak, spec, seq, rl)) for name, size in found[peak].items()]
    total = totals[peak]
    return Memory(
        total_bytes=total,
        parts=parts,
        gpus=layout.gpus,
        all_gpus_bytes=total * layout.gpus,
        kv_bytes_per_token=kv_bytes_per_token(spec, "bf16", seq),
        checkpointing=None,
        chapter=chapter_activations(spec, batch, seq, recipe.bytes.activation),
        budget_bytes=budget,
        fits=None if budget is None else total <= budget,
        headroom_bytes=None if budget is None else budget - total,
        peak=peak,
        phases=totals,
    )


def held(
    spec: ModelSpec, batch: int, seq: int, layout: Layout, recipe: Recipe, rl: RL, budget: int | None
) -> dict[str, dict[str, int]]:
    """Bytes of each model and of the rollout on a GPU, phase by phase."""
    method = METHODS[rl.method]
    rows = batch * method.sequences
    pool = _pool(spec, rows, seq, layout, recipe, rl, budget) if method.rollout else 0
    models = {"policy": _trained(spec, rows, seq, layout, recipe, rl)}
    if rl.reference and recipe.lora is None:
        models["reference"] = _frozen(spec, rows, seq, layout, recipe, rl)
    headless = replace(spec, head=None)
    if method.reward if rl.reward is None else rl.reward:
        models["reward"] = _frozen(headless, rows, seq, layout, recipe, rl)
    if method.critic:
        models["critic"] = _trained(headless, rows, seq, layout, recipe, rl)
    return phases(models, pool, rl.asleep or rl.rollout == "policy")


def _trained(spec: ModelSpec, batch: int, seq: int, layout: Layout, recipe: Recipe, rl: RL) -> Model:
    """A model that is trained by ``recipe``."""
    of = TrainingMemory(spec, seq, recipe)
    [rank] = of.ranks(layout, batch)
    return trained(of, rank, layout, recipe, rl)


def trained(of: TrainingMemory, rank: StageGPU, layout: Layout, recipe: Recipe, rl: RL) -> Model:
    """What a model that is trained holds between its turns, while it scores, and at the peak of its step."""
    here = of.idle(rank, layout, recipe)
    idle = {"params": (0, 0), "optimizer": (here[0], 0)}.get(rl.offload or "", here)
    return Model(sum(idle), here[0] + idle[1] + of.forward(rank, layout, recipe), of.held(rank, layout, recipe)[0].total)


def _frozen(spec: ModelSpec, batch: int, seq: int, layout: Layout, recipe: Recipe, rl: RL) -> Model:
    """A model that only scores, in the format of the pass."""
    of = TrainingMemory(spec, seq, recipe)
    [rank] = of.ranks(layout, batch)
    return frozen(of, rank, layout, recipe, rl)


def frozen(of: TrainingMemory, rank: StageGPU, layout: Layout, recipe: Recipe, rl: RL) -> Model:
    """What a model that only scores holds between its turns, and while it does."""
    here = cut(recipe.bytes.weight * (rank.weights.params + rank.weights.experts), layout.sharers if layout.zero == 3 else 1)
    return Model(0 if rl.offload == "params" else here, here + of.forward(rank, layout, recipe))


def _pool(spec: ModelSpec, batch: int, seq: int, layout: Layout, recipe: Recipe, rl: RL, budget: int | None) -> int:
    """Bytes that the rollout takes of a training GPU: the engine's share, which must hold its weights and one sequence; or the
    cache of the micro-batch, and the weights gathered.
    """
    if rl.rollout not in ROLLOUTS:
        raise unknown_name("rollout", rl.rollout, list(ROLLOUTS), field="rollout")
    if rl.rollout == "apart":
        return 0
    weights, cache = recipe.bytes.weight * count(spec), seq * kv_bytes_per_token(spec, "bf16", seq)
    if rl.rollout == "policy":
        return batch * cache + (weights if layout.zero == 3 and layout.sharers > 1 else 0)
    if budget is None:
        raise InputError("the rollout engine takes a share of a GPU's memory: give --hardware or --budget", field="hardware")
    pool, needed = int(rl.utilization * budget), cut(2 * count(spec), rl.tp) + cut(cache, rl.tp)
    if pool < needed:
        problem = f"the rollout engine has {pool:,} B of a GPU, but its weights and one sequence take {needed:,} B"
        raise InputError(problem, field="rollout_utilization", value=rl.utilization)
    return pool


def _said(name: str, size: int, peak: str, spec: ModelSpec, seq: int, rl: RL) -> str:
    """What a model, or the rollout, holds in the fullest phase."""
    if name == "rollout" and rl.rollout == "policy":
        return "the answers' keys and values, and weights that are gathered"
    if name == "rollout":
        weights = cut(2 * count(spec), rl.tp)
        tokens = (size - weights) * rl.tp // max(kv_bytes_per_token(spec, "bf16", seq), 1)
        return f"{rl.utilization:.0%} of the GPU: {weights:,} B of weights, the rest activations and at most {tokens:,} tokens"
    if name in peak:
        return "its weights and what the phase takes beside them"
    return f"between its turns; offloaded: {rl.offload}" if rl.offload else "its weights, and states where it is trained"
