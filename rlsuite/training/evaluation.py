"""Evaluation: whole episodes in environments of their own."""

from dataclasses import dataclass

import numpy as np
import torch

from rlsuite.agent import Actor
from rlsuite.experience import Environments


@dataclass(frozen=True)
class Evaluation:
    """Undiscounted returns and lengths of whole episodes, ``[S, episodes]``."""

    returns: np.ndarray
    lengths_env_steps: np.ndarray

    def metrics(self) -> dict[str, np.ndarray]:
        """Per-seed means; the score is the mean return."""
        return {
            "evaluation/score": self.returns.mean(axis=1),
            "evaluation/return_std": self.returns.std(axis=1),
            "evaluation/length_env_steps": self.lengths_env_steps.mean(axis=1),
        }


def evaluate(agent: Actor, environments: Environments, episodes: int, device: torch.device | str = "cpu") -> Evaluation:
    """Play ``episodes`` episodes of every seed without exploration.

    Each of the E environments of a seed plays its first ``ceil(episodes / E)`` episodes, so that short episodes are
    not counted more often than long ones; where E does not divide ``episodes``, the first ``episodes`` in order of
    environment are kept.
    """
    seeds, num_envs = len(environments.seeds), environments.num_envs
    rounds = -(-episodes // num_envs)
    returns = torch.zeros(seeds, num_envs, rounds + 1, dtype=torch.float64)  # the last column is for what comes after
    lengths = torch.zeros_like(returns)
    finished = torch.zeros(seeds, num_envs, 1, dtype=torch.int64)
    observation = environments.reset()
    state = agent.initial_state(num_envs)
    began = torch.ones(seeds, num_envs, dtype=torch.bool, device=device)
    env_step = torch.zeros((), dtype=torch.int64, device=device)
    while bool((finished < rounds).any()):
        acted = agent.act(observation, state, began, env_step, explore=False)
        state, step = acted.state, environments.step(acted.action)
        returns.scatter_add_(2, finished, step.reward.double().cpu().unsqueeze(-1))
        lengths.scatter_add_(2, finished, step.valid.double().cpu().unsqueeze(-1))
        finished = (finished + step.ended.cpu().unsqueeze(-1)).clamp(max=rounds)
        observation, began = step.observation, step.began
        env_step += num_envs
    # Episode r of every environment comes before episode r + 1 of any.
    order = (0, 2, 1)
    return Evaluation(
        returns[..., :rounds].permute(order).reshape(seeds, -1)[:, :episodes].numpy(),
        lengths[..., :rounds].permute(order).reshape(seeds, -1)[:, :episodes].numpy(),
    )
