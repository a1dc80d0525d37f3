"""Dynamics of which only a part is seen, so that acting well takes memory."""

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from envs.core import State
from envs.registration import make_dynamics
from rlsuite import random

_NOISE = 1  # makes the keys of the noise others than those of the dynamics


class PartlyObserved:
    """Other dynamics, of whose observations some columns (of pictures: channels) are seen, with noise if wanted.

    Args:
        whole: ``module:Class`` of the others.
        seen: the indices of what is seen.
        noise: standard deviation of normal numbers that are added to what is seen, anew at each step; the sums are
            clipped to the bounds of the space.
        options: of the other dynamics.

    Raises:
        ValueError: noise is negative, or is to be added to bytes.
    """

    is_random: bool

    def __init__(self, whole: str, seen: tuple[int, ...], noise: float = 0.0, **options: Any) -> None:
        self.whole = make_dynamics(whole, options)
        space: Box = self.whole.observation_space
        if noise < 0 or (noise > 0 and space.dtype == np.uint8):
            raise ValueError(f"noise must be positive, and added to numbers other than bytes, not {noise} to {space}")
        self.seen, self.noise = tuple(seen), noise
        dtype: Any = space.dtype
        self.observation_space = Box(space.low[list(seen)], space.high[list(seen)], dtype=dtype)
        self.action_space = self.whole.action_space
        self.max_episode_steps, self.render_fps = self.whole.max_episode_steps, self.whole.render_fps
        self.is_random = self.whole.is_random or noise > 0

    def initial(self, key: Tensor) -> State:
        return self.whole.initial(key) | self._noise(key)

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        following, reward, terminated = self.whole.transition(state, action, key)
        return following | self._noise(key), reward, terminated

    def _noise(self, key: Tensor) -> State:
        """The noise of one observation, part of the state so that it stays what it is however often it is seen."""
        if not self.noise:
            return {}
        return {"noise": self.noise * random.normal(random.fold(key, _NOISE), *self.observation_space.shape)}

    def observe(self, state: State) -> Tensor:
        columns = self.whole.observe(state).unbind(1)
        seen = torch.stack([columns[index] for index in self.seen], dim=1)
        if not self.noise:
            return seen
        bounds = (self.observation_space.low, self.observation_space.high)
        low, high = (torch.as_tensor(bound, device=seen.device) for bound in bounds)
        return (seen + state["noise"]).clamp(low, high)

    def render(self, state: State) -> np.ndarray:
        """The picture of all that there is, seen or not."""
        return self.whole.render(state)
