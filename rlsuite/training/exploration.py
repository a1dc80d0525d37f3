"""Epsilon-greedy exploration."""

import torch
from torch import Tensor

from rlsuite import random


def epsilon_greedy(values: Tensor, epsilon: Tensor, key: Tensor) -> Tensor:
    """The best actions ``[S, E]`` by values ``[S, E, A]``, or with probability ``epsilon`` random ones.

    ``epsilon`` is ``[S]``, or ``[S, E]`` where it differs between environments.

    Each environment explores independently; ``key`` ``[S]`` is a random key.
    """
    draw = random.uniform(key, 2, values.shape[1])
    random_action = (draw[:, 1] * values.shape[-1]).long()
    return torch.where(draw[:, 0] < epsilon.view(len(epsilon), -1), random_action, values.argmax(dim=-1))
