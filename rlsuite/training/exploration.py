"""Epsilon-greedy exploration."""

from typing import Any

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.training.schedules import linear


def epsilon_now(config: Any, end: Tensor, env_step: Tensor, *, explore: bool) -> Tensor:
    """Probability of a random action ``[S]``: the schedule's at an env step or, without ``explore``, in evaluations.

    Args:
        config: with the options of ``EpsilonGreedyConfig``.
        end: where each seed's schedule ends, ``[S]``.
    """
    if explore:
        return linear(env_step, config.epsilon_decay_env_steps, config.epsilon_start, end)
    return torch.full_like(end, config.evaluation_epsilon or 0.0)


def epsilon_greedy(values: Tensor, epsilon: Tensor, key: Tensor) -> Tensor:
    """The best actions ``[S, E]`` by values ``[S, E, A]``, or with probability ``epsilon`` random ones.

    ``epsilon`` is ``[S]``, or ``[S, E]`` where it differs between environments.

    Each environment explores independently; ``key`` ``[S]`` is a random key.
    """
    draw = random.uniform(key, 2, values.shape[1])
    random_action = (draw[:, 1] * values.shape[-1]).long()
    return torch.where(draw[:, 0] < epsilon.view(len(epsilon), -1), random_action, values.argmax(dim=-1))
