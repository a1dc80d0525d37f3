"""Actions as people see and choose them, and the ways in which one may depart from what the agent would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from torch import Tensor

from rlsuite.agent import Diagnostics


class Actions:
    """The actions of an environment as numbers within bounds; discrete ones are a single number, counted from 0.

    Args:
        space: that in which the agent acts.
        seed: of random actions.
    """

    def __init__(self, space: Any, seed: int) -> None:
        self.is_choice = isinstance(space, Discrete)  # among named actions
        self.is_whole = not isinstance(space, Box)
        start: Any = 0
        match space:
            case Box(low=low, high=high):
                pass
            case MultiDiscrete(start=start, nvec=choices):
                low, high = start, start + choices - 1
            case MultiBinary(shape=shape):
                low, high = np.zeros(shape), np.ones(shape)
            case Discrete(n=count):
                low, high = np.zeros(1), np.full(1, count - 1)
        self.low, self.high = (np.asarray(bound, np.float64).reshape(-1) for bound in (low, high))  # [A]
        self._start = np.broadcast_to(np.asarray(start, np.float64).reshape(-1), self.low.shape)
        self._random = np.random.default_rng(seed)

    def numbers(self, action: Tensor) -> np.ndarray:
        """Return the A numbers of an agent's action."""
        return action.cpu().numpy().reshape(-1) + self._start

    def action(self, numbers: Sequence[float], like: Tensor) -> Tensor:
        """Return the action with these numbers, brought within the bounds, in the shape and type of another.

        Raises:
            ValueError: they are not A finite numbers.
        """
        array = np.asarray(numbers, np.float64).reshape(-1)
        if array.shape != self.low.shape or not np.isfinite(array).all():
            raise ValueError(f"an action has {len(self.low)} finite numbers, not {list(numbers)}")
        array = np.clip(np.rint(array) if self.is_whole else array, self.low, self.high) - self._start
        return torch.as_tensor(array, device=like.device).to(like.dtype).reshape(like.shape)

    def random(self, like: Tensor) -> Tensor:
        """Return an action drawn uniformly within the bounds; from a standard normal distribution where there are none.

        It has the shape and type of another action.
        """
        if self.is_whole:
            return self.action(self._random.integers(self.low.astype(int), self.high.astype(int) + 1).tolist(), like)
        bounded = np.isfinite(self.low) & np.isfinite(self.high)
        low, high = np.where(bounded, self.low, 0.0), np.where(bounded, self.high, 1.0)
        drawn = np.where(bounded, self._random.uniform(low, high), self._random.standard_normal(len(low)))
        return self.action(drawn.tolist(), like)

    def happens(self, probability: float) -> bool:
        return bool(self._random.random() < probability)

    def drawn(self, preferences: np.ndarray) -> int:
        """Return the index of an action drawn from the softmax of its preferences (Gumbel, 1954)."""
        return int(np.argmax(preferences + self._random.gumbel(size=len(preferences))))


@dataclass
class Deviation:
    """Departures of what is watched from the agent's own choice; none unless told.

    Args:
        epsilon: probability of a random action.
        temperature: of the softmax from which discrete actions are drawn: of the values of actions divided by it, or
            of log-probabilities divided by it, so that 1 is the policy itself. 0 is the agent's own choice.
    """

    epsilon: float = 0.0
    temperature: float = 0.0

    def action(self, own: Tensor, thoughts: Diagnostics, row: int, actions: Actions) -> Tensor:
        """Return the action to take, given the agent's own ``[1, 1, ...]`` and the diagnostics of all seeds."""
        if self.epsilon and actions.happens(self.epsilon):
            return actions.random(own)
        if not (self.temperature and actions.is_choice and thoughts.scores is not None):
            return own
        scores = thoughts.scores[row, 0].double().cpu().numpy()
        if not np.isfinite(scores).all():  # of a network that has diverged
            return own
        preferences = np.log(np.maximum(scores, 1e-300)) if thoughts.scores_are_probabilities else scores
        return actions.action([actions.drawn(preferences / self.temperature)], own)
