"""RL post-training: which models stand on a GPU in each phase, the engine that generates among them.

A model that is not at work holds its shards; at its turn it holds what a forward pass or a training step takes beside them.
"""

from __future__ import annotations

from typing import NamedTuple


class Method(NamedTuple):
    """What a method needs beside the policy and its reference: answers by a rollout engine, a critic that is trained too, a model
    of the reward; and the sequences of one example.
    """

    rollout: bool
    critic: bool
    reward: bool
    sequences: int
    source: str


METHODS = {
    "grpo": Method(True, False, False, 1, "Shao et al. 2024, arXiv:2402.03300: rewards by functions, compared within a group"),
    "ppo": Method(True, True, True, 1, "Schulman et al. 2017, arXiv:1707.06347; Ouyang et al. 2022, arXiv:2203.02155"),
    "dpo": Method(False, False, False, 2, "Rafailov et al. 2023, arXiv:2305.18290: pairs that were chosen and rejected"),
}
ROLLOUTS = ("colocated", "apart", "policy")
"""Who generates: an engine that takes a share of the same GPUs; one on GPUs of its own; the policy itself, with a cache."""
ROLLOUT = "the rollout"


class Model(NamedTuple):
    """Bytes of a model on one GPU: between its turns, while it scores a micro-batch, at the peak of its training (0: frozen)."""

    idle: int
    scoring: int
    training: int = 0


def phases(models: dict[str, Model], pool: int, asleep: bool) -> dict[str, dict[str, int]]:
    """By phase the bytes of each model and of the rollout engine's ``pool``, which is freed outside the rollout where it is
    ``asleep`` (vLLM's sleep mode).

    >>> found = phases({"policy": Model(10, 15, 40), "reference": Model(4, 9)}, 50, True)
    >>> {phase: sum(held.values()) for phase, held in found.items()}
    {'the rollout': 64, 'scores of the policy': 19, 'scores of the reference': 19, 'the step of the policy': 44}
    """
    idle = {name: model.idle for name, model in models.items()}
    found = {ROLLOUT: idle | {"rollout": pool}} if pool else {}
    beside = {"rollout": pool} if pool and not asleep else {}
    for name, model in models.items():
        found[f"scores of the {name}"] = idle | {name: model.scoring} | beside
    for name, model in models.items():
        if model.training:
            found[f"the step of the {name}"] = idle | {name: model.training} | beside
    return found
