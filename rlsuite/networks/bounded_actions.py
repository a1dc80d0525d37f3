"""Actions of a bounded ``Box`` as components in [-1, 1], as the networks of actors and critics know them."""

import math

import torch
from gymnasium.spaces import Box, Space
from torch import Tensor

from rlsuite import random
from rlsuite.networks import distributions


class BoundedActions:
    """The way from components ``[..., A]`` in [-1, 1] to actions ``[..., *shape]`` of a space, and back.

    Args:
        agent: its name, for the message.
        space: a ``Box`` with finite bounds.
        acts_in: the spaces that the agent acts in, for the message.
        device: of the actions.

    Raises:
        ValueError: the space is another.
    """

    def __init__(self, agent: str, space: Space, acts_in: str, device: torch.device | str) -> None:
        if not isinstance(space, Box) or not space.is_bounded():
            raise ValueError(f"{agent} needs a {acts_in} action space, but this one is {space}")
        self.shape, self.components = space.shape, math.prod(space.shape)
        self._low, self._high = (torch.tensor(bound.reshape(-1), device=device) for bound in (space.low, space.high))

    def from_unit(self, unit: Tensor) -> Tensor:
        action = distributions.from_unit(unit, self._low, self._high)
        return action.reshape(*action.shape[:-1], *self.shape)

    def to_unit(self, action: Tensor) -> Tensor:
        """``[S, B, A]`` of actions ``[S, B, *shape]``."""
        return distributions.to_unit(action.reshape(*action.shape[:2], self.components), self._low, self._high)

    def uniform(self, key: Tensor, num_envs: int) -> Tensor:
        """Random components ``[S, E, A]``, all alike likely."""
        return 2.0 * random.uniform(key, num_envs, self.components) - 1.0
