"""One environment with NumPy arrays in and out, for code that expects a ``gymnasium.Env``."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode

from envs.core import Dynamics, TorchVectorEnv

_NO_LIMIT = 2**31 - 1  # steps; gymnasium.make adds its own TimeLimit


class NumpyEnv(gymnasium.Env[np.ndarray, Any]):
    """A single ``TorchVectorEnv`` environment as a ``gymnasium.Env`` on the CPU.

    Args:
        dynamics: the kind of environment.
        render_mode: None, or ``rgb_array`` for ``render``.
    """

    def __init__(self, dynamics: Dynamics, render_mode: str | None = None) -> None:
        self._vector = TorchVectorEnv(
            dynamics, 1, max_episode_steps=_NO_LIMIT, autoreset_mode=AutoresetMode.DISABLED, render_mode=render_mode
        )
        self.render_mode = render_mode
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": dynamics.render_fps}
        self.observation_space: Space[Any] = dynamics.observation_space
        self.action_space: Space[Any] = dynamics.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode: with a seed the first of it, without one the next. There are no options."""
        if options:
            raise ValueError(f"unknown reset options {sorted(options)}: there are none.")
        super().reset(seed=seed)
        if seed is None and self._np_random is None:
            seed = int(self.np_random.integers(2**31))
        observation, _ = self._vector.reset(seed=seed)
        return observation[0].numpy(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Act once; ``ValueError`` where the episode has ended or the action is not one."""
        actions = torch.as_tensor(np.asarray(action)).unsqueeze(0)
        observation, reward, terminated, truncated, _ = self._vector.step(actions)
        return observation[0].numpy(), float(reward), bool(terminated), bool(truncated), {}

    def render(self) -> np.ndarray | None:
        frames = self._vector.render()
        return None if frames is None else frames[0]
