"""RL post-training: the options that say which method, and what generates the answers."""

from dataclasses import dataclass
from typing import Annotated, Any

from llmcx.cli.options import option
from llmcx.errors import InputError


@dataclass(frozen=True)
class PostTraining:
    """A policy that is trained by rewards or preferences, in place of the next token."""

    rl: Annotated[
        str | None,
        option("Post-training: grpo, ppo or dpo.", offers="engines.rl:METHODS", group="Less common", needs="train"),
    ] = None
    rollout_utilization: Annotated[
        float | None,
        option("Share of a GPU that the rollout engine takes. Default: 30%.", reads="share", rare=True, needs="rl=grpo|ppo"),
    ] = None
    rollout_tp: Annotated[
        int | None, option("GPUs that divide the model in the rollout engine.", reads="count", rare=True, needs="rl=grpo|ppo")
    ] = None
    rollout: Annotated[
        str,
        option(
            "colocated (an engine that shares the GPUs), apart (GPUs of its own), policy (it answers itself).",
            offers="engines.rl:ROLLOUTS",
            rare=True,
            needs="rl=grpo|ppo",
        ),
    ] = "colocated"
    rollout_sleep: Annotated[
        bool,
        option(
            "The rollout engine frees its memory in training.",
            "--rollout-sleep/--no-rollout-sleep",
            rare=True,
            needs="rl=grpo|ppo",
        ),
    ] = True
    reward_model: Annotated[
        bool | None,
        option(
            "A model of the policy's size judges. Default: with ppo.", "--reward-model/--no-reward-model", rare=True, needs="rl"
        ),
    ] = None
    reference: Annotated[
        bool,
        option("A copy of the policy that it must not leave far.", "--reference/--no-reference", rare=True, needs="rl"),
    ] = True

    def settings(self, offload: str | None) -> Any:
        """What was asked for. Raises InputError."""
        from llmcx.answers.rl import RL

        share = 0.3 if self.rollout_utilization is None else self.rollout_utilization
        if not 0 < share <= 1:
            problem = f"--rollout-utilization is {share}, but must be above 0 and at most 1"
            raise InputError(problem, field="rollout_utilization", value=share)
        return RL(
            self.rl or "",
            share,
            self.rollout_tp or 1,
            rollout=self.rollout,
            asleep=self.rollout_sleep,
            reward=self.reward_model,
            reference=self.reference,
            offload=offload,
        )

    def inputs(self) -> dict[str, Any]:
        """As JSON has them."""
        return {} if self.rl is None else {name: value for name, value in vars(self).items() if value is not None}
