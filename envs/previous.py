"""The last action and reward as parts of an observation. Imports no torch: it also runs in worker processes."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Space, Tuple
from gymnasium.spaces.utils import flatten, flatten_space

REWARD = Box(-np.inf, np.inf, (1,), np.float32)


def previous_actions(space: Space[Any]) -> Box:
    """The last action as a vector: one-hot where it is discrete, and zeros before the first of an episode."""
    flat = flatten_space(space)
    assert isinstance(flat, Box)
    low, high = (bound.astype(np.float32) for bound in (np.minimum(flat.low, 0), np.maximum(flat.high, 0)))
    return Box(low, high, dtype=np.float32)


class WithPrevious(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A Gymnasium environment whose observations are tuples: what it observes, the last action and the last reward."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._actions = previous_actions(env.action_space)
        self.observation_space = Tuple((env.observation_space, self._actions, REWARD))

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**options)
        return (observation, np.zeros(self._actions.shape, np.float32), np.zeros(1, np.float32)), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        done = np.asarray(flatten(self.env.action_space, action), np.float32)
        return (observation, done, np.array([reward], np.float32)), reward, terminated, truncated, info
