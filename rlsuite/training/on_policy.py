"""The source of on-policy agents: T vector steps with the present policy, learned from once."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rlsuite.experience import Environments
from rlsuite.replay.rollout import Rollout, RolloutBatch
from rlsuite.training.episodes import EpisodeStatistics
from rlsuite.training.execution import Execution, compiled
from rlsuite.training.stopwatch import Stopwatch


class PolicyActor(Protocol):
    """An agent as the rollout sees it."""

    def draw(self, observation: Tensor, env_step: Tensor) -> Tensor:
        """What the policy draws for observations ``[S, E, ...]``: what it learns from."""
        ...

    def to_action(self, draw: Tensor) -> Tensor:
        """The action in the environment's units that a draw stands for."""
        ...


class RolloutSource:
    """Collects a rollout of all environments, hands them out as one batch, and begins anew.

    Episodes go on from one rollout to the next; how their unfinished part is valued is the learner's matter.
    Where the environments are on the device, collecting is compiled if ``execution`` says so.

    Args:
        agent: draws the actions.
        environments: where they are taken.
        rollout: holds the T vector steps that are learned from at once.
        clip_rewards: learn from rewards clipped to [-1, 1]; episode statistics keep the raw ones.
    """

    def __init__(
        self,
        agent: PolicyActor,
        environments: Environments,
        rollout: Rollout,
        *,
        clip_rewards: bool = False,
        execution: Execution = "eager",
        device: torch.device | str = "cpu",
    ) -> None:
        self.agent, self.environments, self.rollout, self.clip_rewards = agent, environments, rollout, clip_rewards
        shape = (len(environments.seeds), environments.num_envs)
        self.env_steps = 0
        self.episodes = EpisodeStatistics(*shape, device)
        self._env_step = torch.zeros((), dtype=torch.int64, device=device)
        self._has_begun = False
        self._observation: Tensor | None = None
        self._watch = Stopwatch()
        self._take_step = compiled(self._step, execution if environments.on_device else "eager")

    def collect(self) -> int:
        if self._observation is None:
            self._has_begun = True
            self._observation = self.environments.reset().clone()
        for _ in range(self.rollout.length):
            with self._watch("collect"):
                self._take_step()
        self.env_steps += self.rollout.length * self.environments.num_envs
        return 1

    def _step(self) -> None:
        assert self._observation is not None
        with self._watch("act"):
            draw = self.agent.draw(self._observation, self._env_step)
        with self._watch("environment"):
            step = self.environments.step(self.agent.to_action(draw))
        with self._watch("store"):
            self.rollout.add(self._observation, draw, step.with_clipped_reward() if self.clip_rewards else step)
            self.episodes.add(step)
        self._observation.copy_(step.observation)
        self._env_step.add_(self.environments.num_envs)

    def sample(self) -> RolloutBatch:
        return self.rollout.batch()

    def statistics(self) -> dict[str, np.ndarray | float]:
        return self.episodes.drain() | self._watch.fractions()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here; where environments failed, to go on with new episodes."""
        state: dict[str, Any] = {
            "env_steps": self.env_steps,
            "episodes": self.episodes.state_dict(),
            "started": self._has_begun,
        }
        if self._has_begun:
            state["environments"] = self.environments.state_dict()
        if self._observation is not None:
            state["observation"] = self._observation
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.env_steps = state["env_steps"]
        self._env_step.fill_(self.env_steps)
        self.episodes.load_state_dict(state["episodes"])
        self._has_begun = state["started"]
        if not self._has_begun:
            return
        fresh = self.environments.load_state_dict(state["environments"])
        if self.environments.exact_resume:
            self._observation = state["observation"].clone()
        else:
            self._observation = fresh.clone()
            self.episodes.abandon()

    def close(self) -> None:
        self.environments.close()
