"""Dynamics of which only a part is seen, so that acting well takes memory; and with more to remember."""

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from envs.core import Dynamics, State
from envs.previous import REWARD, previous_actions
from envs.registration import make_dynamics
from rlsuite import random
from rlsuite.spaces import Parts

_NOISE = 1 << 40  # makes keys of the noise others than those of the dynamics, which are folded with numbers of steps


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


class WithPrevious:
    """Other dynamics, whose observations have the last action and reward beside them, as ``envs.previous`` has it."""

    def __init__(self, whole: Dynamics) -> None:
        self.whole = whole
        actions = previous_actions(whole.action_space)
        self._actions = actions.shape[0]
        self.observation_space: Box = Parts([whole.observation_space, actions, REWARD])
        self.action_space = whole.action_space
        self.max_episode_steps, self.render_fps = whole.max_episode_steps, whole.render_fps
        self.is_random = whole.is_random

    def initial(self, key: Tensor) -> State:
        action = torch.zeros(len(key), self._actions, device=key.device)
        return self.whole.initial(key) | {"previous_action": action, "previous_reward": torch.zeros_like(action[:, :1])}

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        following, reward, terminated = self.whole.transition(state, action, key)
        done = action.flatten(1) if action.dim() > 1 else action.unsqueeze(-1)
        if isinstance(self.action_space, Box):  # as the dynamics take it
            bounds = (self.action_space.low, self.action_space.high)
            low, high = (torch.as_tensor(bound, device=action.device).flatten() for bound in bounds)
            done = done.clamp(low, high)
        if isinstance(self.action_space, Discrete):
            done = done == torch.arange(self._actions, device=action.device)
        previous = {"previous_action": done.float(), "previous_reward": reward.float().unsqueeze(-1)}
        return following | previous, reward, terminated

    def observe(self, state: State) -> Tensor:
        seen = self.whole.observe(state).flatten(1).float()
        return torch.cat([seen, state["previous_action"], state["previous_reward"]], dim=-1)

    def render(self, state: State) -> np.ndarray:
        return self.whole.render(state)
